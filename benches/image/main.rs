//! What a million principals cost a gateway in memory, and what a change of a policy costs the decisions beside it:
//! `cargo bench --bench image -- --principals 1000000`.
//!
//! The records go the way of the feed: each is read, checked and put into a roster, which makes snapshots. Then one thread decides
//! without a pause, for principals at random, from the state in force; in every second window another one changes policies, each change
//! its own state. Both windows of a round are compared with each other.

#![expect(clippy::expect_used, clippy::print_stdout, clippy::print_stderr, reason = "a measurement that cannot be made ends at once")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads clocks and its arguments")]

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use portcullis::policy::{Policies, Request, Resource, Verdict, evaluate};
use portcullis::snapshot::wire::Change;
use portcullis::snapshot::{Roster, Snapshot};
use portcullis::types::{Revision, SealingKey, Secret, Srn, Timestamp, UserId};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVICES: usize = 30;
const KINDS: usize = 5;
const ACTIONS: usize = 4;
const STATEMENTS: usize = 100;
const USERS_PER_GROUP: usize = 100;
const GROUPS_OF_USER: usize = 2;
const POLICIES_OF_GROUP: usize = 2;
const ACCOUNT: &str = "9b7653f6f47a42e38055934a0575a813";

struct Options {
    principals: usize,
    documents: usize,
    rounds: usize,
    window: Duration,
    changes_per_second: u32,
}

fn main() {
    let Some(options) = options() else {
        eprintln!("options: --principals N, --documents N, --rounds N, --window SECONDS, --changes PER_SECOND");
        std::process::exit(2);
    };
    let empty = resident_bytes();
    let mut world = World::load(&options);
    let snapshot = world.snapshot();
    let loaded = resident_bytes();
    let statements = options.documents * STATEMENTS;
    let all = loaded.saturating_sub(empty);
    println!(
        "{} principals with a key each, {} groups, {} documents, {statements} statements, {} records: loaded in {:.1} s",
        options.principals,
        world.groups,
        options.documents,
        world.roster.records(),
        world.took.as_secs_f64(),
    );
    println!(
        "resident memory {:.0} MiB: documents {:.0} MiB, {} bytes per statement; the rest {} bytes per principal",
        mib(all),
        mib(world.documents_bytes),
        world.documents_bytes / statements.max(1),
        all.saturating_sub(world.documents_bytes) / options.principals.max(1),
    );
    compare(&options, world, snapshot);
}

/// Reads `--name value` pairs; what `cargo bench` adds is no option of ours.
fn options() -> Option<Options> {
    let mut options = Options { principals: 100_000, documents: 0, rounds: 10, window: Duration::from_secs(1), changes_per_second: 1_000 };
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        let value: u32 = arguments.next()?.parse().ok().filter(|value| *value > 0)?;
        match name.as_str() {
            "--principals" => options.principals = value as usize,
            "--documents" => options.documents = value as usize,
            "--rounds" => options.rounds = value as usize,
            "--window" => options.window = Duration::from_secs(value.into()),
            "--changes" => options.changes_per_second = value,
            _ => return None,
        }
    }
    if options.documents == 0 {
        options.documents = (options.principals * 3).div_ceil(1_000).max(10);
    }
    Some(options)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().expect("a number") * 1_024
}

/// A permutation of numbers that looks like random ids.
fn id(kind: u8, number: usize) -> String {
    let mixed = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) ^ (u128::from(kind) << 120);
    format!("{mixed:032x}")
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

struct World {
    roster: Roster,
    sequence: u64,
    groups: usize,
    documents: usize,
    documents_bytes: usize,
    took: Duration,
}

impl World {
    fn load(options: &Options) -> Self {
        let started = Instant::now();
        let key = Arc::new(SealingKey::from_text(&"0a".repeat(32)).expect("a key"));
        let mut roster = Roster::new("e".parse().expect("an offering"), Arc::clone(&key));
        let mut all = vec![account()];
        all.extend((0..SERVICES).map(definition));
        roster.apply(&all);
        let groups = options.principals.div_ceil(USERS_PER_GROUP).max(GROUPS_OF_USER);
        let mut world = Self { roster, sequence: 0, groups, documents: options.documents, documents_bytes: 0, took: Duration::ZERO };
        drop(world.snapshot());
        let before = resident_bytes();
        for number in 0..options.documents {
            world.roster.apply(&[policy(number, 0)]);
        }
        drop(world.snapshot());
        world.documents_bytes = resident_bytes().saturating_sub(before);
        let mut random = Random(1);
        for group in 0..groups {
            let held = (0..POLICIES_OF_GROUP).map(|_| attachment(random.below(options.documents), group)).collect::<Vec<_>>();
            world.roster.apply(&[self::group(group)]);
            world.roster.apply(&held);
        }
        for user in 0..options.principals {
            world.roster.apply(&[self::user(user), access_key(&key, user)]);
            let first = random.below(groups);
            let member = (0..GROUPS_OF_USER).map(|which| membership((first + which * (groups / GROUPS_OF_USER)) % groups, user));
            world.roster.apply(&member.collect::<Vec<_>>());
        }
        assert!(world.roster.take_unreadable().is_empty());
        world.took = started.elapsed();
        world
    }

    fn snapshot(&mut self) -> Arc<Snapshot> {
        self.sequence += 1;
        Arc::new(self.roster.snapshot(Revision::Store { epoch: 1, sequence: self.sequence }))
    }

    /// Another version of some policy, in force.
    fn change(&mut self, random: &mut Random, version: usize) -> Arc<Snapshot> {
        self.roster.apply(&[policy(random.below(self.documents), version)]);
        self.snapshot()
    }
}

fn put(key: String, record: String) -> Change {
    Change::Put { key, record }
}

fn account() -> Change {
    put(format!("account/{ACCOUNT}"), format!(r#"{{"kind":"account","id":"{ACCOUNT}","name":"a","active":true}}"#))
}

fn definition(service: usize) -> Change {
    let mut text = format!("kind: scp-iam:action-definition\nservice: service{service}\nservice_type: scp-service{service}\npaths:\n");
    for kind in 0..KINDS {
        for action in 0..ACTIONS {
            let _ = write!(
                text,
                "  /v1/kind{kind}/{{id}}/act{action}:\n    get: {{action: 'service{service}:Act{action}On{kind}', access_level: Read, \
                 resources: [{{'service{service}:kind{kind}': {{resource_id: \\\"path['id']\\\"}}}}]}}\n"
            );
        }
    }
    let document = text.replace('\n', "\\n");
    put(format!("definition/service{service}"), format!(r#"{{"kind":"definition","service":"service{service}","document":"{document}"}}"#))
}

fn user(number: usize) -> Change {
    let id = id(2, number);
    put(format!("user/{id}"), format!(r#"{{"kind":"user","id":"{id}","account":"{ACCOUNT}","name":"user-{number}"}}"#))
}

fn access_key(key: &SealingKey, number: usize) -> Change {
    let (id, user) = (id(5, number), id(2, number));
    let mut nonce = [0; 12];
    nonce.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
    let owner = format!("access_key/{id}/{user}");
    let sealed = key.seal(&Secret::new(format!("secret-{number:024}").into_bytes()), &owner, nonce).expect("sealed");
    let record = format!(r#"{{"kind":"access_key","id":"{id}","user":"{user}","secret":{{"sealed":"{sealed}"}},"enabled":true}}"#);
    put(format!("access_key/{id}"), record)
}

fn group(number: usize) -> Change {
    let id = id(3, number);
    put(format!("group/{id}"), format!(r#"{{"kind":"group","id":"{id}","account":"{ACCOUNT}","name":"group-{number}"}}"#))
}

fn membership(group: usize, user: usize) -> Change {
    let (group, user) = (id(3, group), id(2, user));
    put(format!("membership/{group}/{user}"), format!(r#"{{"kind":"membership","group":"{group}","user":"{user}"}}"#))
}

fn attachment(policy: usize, group: usize) -> Change {
    let (policy, group) = (id(4, policy), id(3, group));
    put(format!("attachment/{policy}/group/{group}"), format!(r#"{{"kind":"attachment","policy":"{policy}","group":"{group}"}}"#))
}

fn policy(number: usize, version: usize) -> Change {
    let id = id(4, number);
    let statements = (0..STATEMENTS).map(|place| statement(number * STATEMENTS + place, version)).collect::<Vec<_>>().join(",");
    let document = format!(r#"{{"Version":"2024-07-01","Statement":[{statements}]}}"#).replace('"', "\\\"");
    let record = format!(r#"{{"kind":"policy","id":"{id}","account":"{ACCOUNT}","name":"p{number}","document":"{document}"}}"#);
    put(format!("policy/{id}"), record)
}

/// As in the bench of the engine: ids, beginnings and ends; every tenth denies. A new version names other ids with an end only.
fn statement(number: usize, version: usize) -> String {
    let (service, kind) = (number % SERVICES, number / SERVICES % KINDS);
    let effect = if number % 10 == 9 { "Deny" } else { "Allow" };
    let action = number / 150 % ACTIONS;
    let resource = match number % 4 {
        0 => format!("id-{number:06}"),
        1 => format!("team-{number:06}-*"),
        2 => format!("*-team-{version}-{number:06}"),
        _ => format!("id-{number:06}-*"),
    };
    format!(
        r#"{{"Effect":"{effect}","Action":"service{service}:Act{action}On{kind}","Resource":"srn:e:::::service{service}:kind{kind}/{resource}"}}"#
    )
}

/// A request as texts.
struct Asked {
    user: UserId,
    action: String,
    srn: String,
}

fn asked(options: &Options) -> Vec<Asked> {
    let mut random = Random(7);
    (0..50_000)
        .map(|_| {
            let number = random.below(options.documents * STATEMENTS / 4) * 4;
            let (service, kind, action) = (number % SERVICES, number / SERVICES % KINDS, number / 150 % ACTIONS);
            Asked {
                user: id(2, random.below(options.principals)).parse().expect("an id"),
                action: format!("service{service}:Act{action}On{kind}"),
                srn: format!("srn:e::{ACCOUNT}:kr-west1::scp-service{service}:kind{kind}/id-{number:06}"),
            }
        })
        .collect()
}

fn decide(snapshot: &Snapshot, asked: &Asked) -> Verdict {
    let catalogue = snapshot.catalogue();
    let action = catalogue.action_id(&asked.action).expect("an action");
    let srn = Srn::parse(&asked.srn).expect("an SRN");
    let kind = catalogue.find_resource_type(srn.service_type, srn.resource_type).expect("a type");
    let user = snapshot.user(asked.user).expect("a user");
    let held = snapshot.policies_of(user);
    let resources = [Resource::new(kind, srn.account, srn.region, srn.resource_id)];
    let address = Some(IpAddr::from([10, 1, 2, 3]));
    let context = user.context(address, "AuthenticationKey", srn.region, Timestamp::from_milliseconds(1_790_000_000_000));
    let request = Request { action, resources: &resources, principal: user.asking(), context, needs_resource_policy: false };
    evaluate(&request, &Policies::identity(&held))
}

/// Decisions with and without changes beside them, in turn.
fn compare(options: &Options, mut world: World, snapshot: Arc<Snapshot>) {
    let asked = asked(options);
    let state = ArcSwap::new(snapshot);
    let (changing, ended, changes) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    let mut windows: [Vec<Window>; 2] = [Vec::new(), Vec::new()];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut random, pause) = (Random(3), Duration::from_secs(1) / options.changes_per_second);
            let mut due = Instant::now();
            while !ended.load(Relaxed) {
                if changing.load(Relaxed) {
                    let version = changes.fetch_add(1, Relaxed) as usize + 1;
                    state.store(world.change(&mut random, version));
                    due += pause;
                } else {
                    due = Instant::now() + pause;
                }
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        });
        let mut reader = arc_swap::Cache::new(&state);
        let mut next = 0;
        for round in 0..=options.rounds {
            for with_changes in [round % 2 == 0, round % 2 == 1] {
                changing.store(with_changes, Relaxed);
                let before = changes.load(Relaxed);
                let mut window = Window::default();
                let started = Instant::now();
                while started.elapsed() < options.window {
                    for _ in 0..100 {
                        next = (next + 1) % asked.len();
                        let Some(asked) = asked.get(next) else { continue };
                        let snapshot = reader.load();
                        let begun = Instant::now();
                        let verdict = decide(snapshot, asked);
                        window.add(begun.elapsed(), verdict);
                    }
                }
                window.changes = changes.load(Relaxed) - before;
                // The first round warms up.
                if let (1.., Some(windows)) = (round, windows.get_mut(usize::from(with_changes))) {
                    windows.push(window);
                }
            }
        }
        ended.store(true, Relaxed);
    });
    report(&mut windows);
}

/// The decisions of some time.
#[derive(Default)]
struct Window {
    nanoseconds: Vec<u32>,
    allowed: usize,
    changes: u64,
}

impl Window {
    fn add(&mut self, took: Duration, verdict: Verdict) {
        self.nanoseconds.push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
        self.allowed += usize::from(matches!(verdict, Verdict::Allow(_)));
    }

    /// How long all but so many of a thousand took at most, in nanoseconds.
    fn all_but(&mut self, per_mille: usize) -> u32 {
        let place = self.nanoseconds.len() * (1_000 - per_mille) / 1_000;
        let place = place.min(self.nanoseconds.len().saturating_sub(1));
        *self.nanoseconds.select_nth_unstable(place).1
    }
}

fn report(windows: &mut [Vec<Window>; 2]) {
    let [without, with] = windows;
    println!("round   decisions    p50 alone  with changes    p99 alone  with changes   ratio   p99.9 alone  with changes   changes");
    let mut ratios = Vec::new();
    for (round, (alone, beside)) in without.iter_mut().zip(with).enumerate() {
        let at = |window: &mut Window| [500, 10, 1].map(|per_mille| window.all_but(per_mille));
        let ([p50, p99, p999], [changed_p50, changed_p99, changed_p999]) = (at(alone), at(beside));
        let ratio = f64::from(changed_p99) / f64::from(p99);
        ratios.push(ratio);
        println!(
            "{round:5} {:11} {p50:9} ns {changed_p50:10} ns {p99:9} ns {changed_p99:10} ns {ratio:7.3} {p999:10} ns {changed_p999:10} ns {:9}",
            alone.nanoseconds.len() + beside.nanoseconds.len(),
            beside.changes,
        );
        assert!(alone.allowed > 0 && beside.changes > 0, "somebody is allowed something, and policies change");
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
    println!("p99 with changes beside, over p99 alone: median of the rounds {median:.3}");
}
