//! How long a decision takes: `cargo bench --bench policy`.
//!
//! What goes in is texts: the name of the action, the SRN of the resource, and the values of the context; turning them into numbers
//! counts. The principal holds as many statements as the last part of the name says, in documents that are as large as documents may be.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a measurement that cannot be made ends at once")]
#![allow(missing_docs, reason = "criterion's macros make the functions that they name")]

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use portcullis::policy::{
    Catalogue, Context, DOCUMENT_BYTES_MAX, Kind, Owner, Policies, Policy, PolicySet, Principal, Request, Resource, STATEMENTS_MAX, Scalar,
    Values, Verdict, evaluate,
};
use portcullis::source::{Report, Source};
use portcullis::types::{AccessLevel, Srn};

/// The product's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ACCOUNT: &str = "9b7653f6f47a42e38055934a0575a813";
const USER: &str = "efda56a968cd45b2873d9bf5fab58e95";

/// Actions of thirty services, as large a world as the public cloud's: ten on resources each, and ten that list and create.
fn catalogue() -> Catalogue {
    let mut builder = Catalogue::builder("e".parse().expect("an offering"));
    for service in 0..30 {
        let name = format!("service{service}");
        builder.service(&name, &format!("scp-{name}"), &[]).expect("a service");
        for kind in 0..5 {
            let kind = builder.resource_type(&format!("{name}:kind{kind}")).expect("a type");
            for action in 0..4 {
                let action = format!("{name}:Act{}On{}", action, kind.index() % 5);
                let level = if action.contains("Act0") { AccessLevel::Read } else { AccessLevel::Update };
                builder.action(action.parse().expect("an action"), level, &[kind]).expect("an action");
            }
        }
        for action in 0..9 {
            builder.action(format!("{name}:List{action}").parse().expect("an action"), AccessLevel::List, &[]).expect("an action");
        }
    }
    builder.build()
}

/// What a principal holds, as a gateway has it for one who asks often.
struct Held {
    policies: Vec<Arc<Policy>>,
    set: Option<PolicySet>,
}

impl Held {
    fn policies(&self) -> Policies<'_, Arc<Policy>> {
        Policies::identity(&self.policies).found_by(self.set.as_ref())
    }
}

/// Policies of these statements, as few as have room for them.
fn policies(statements: impl IntoIterator<Item = String>, catalogue: &Catalogue) -> Held {
    let mut documents: Vec<Vec<String>> = vec![Vec::new()];
    let mut bytes = 0;
    for statement in statements {
        let full = bytes + statement.len() + 100 > DOCUMENT_BYTES_MAX || documents.last().is_some_and(|last| last.len() == STATEMENTS_MAX);
        if full {
            documents.push(Vec::new());
            bytes = 0;
        }
        bytes += statement.len() + 1;
        documents.last_mut().expect("a document").push(statement);
    }
    let owner = Owner::account(ACCOUNT);
    let policies: Vec<Arc<Policy>> = documents.iter().map(|statements| Arc::new(load(&statements.join(","), &owner, catalogue))).collect();
    let set = PolicySet::of(&policies);
    Held { policies, set }
}

fn load(statements: &str, owner: &Owner, catalogue: &Catalogue) -> Policy {
    let report = Report::new();
    let source = Source::new("p", format!(r#"{{"Version":"2024-07-01","Statement":[{statements}]}}"#));
    Policy::load(&source, "p", owner.clone(), catalogue, &report).unwrap_or_else(|| panic!("{report}"))
}

/// A request as texts.
#[derive(Clone)]
struct Asked {
    action: String,
    srn: String,
    address: IpAddr,
    region: String,
}

impl Asked {
    fn decide<P: AsRef<Policy>>(&self, catalogue: &Catalogue, policies: &Policies<'_, P>) -> Verdict {
        let action = catalogue.action_id(&self.action).expect("an action");
        let srn = Srn::parse(&self.srn).expect("an SRN");
        let kind = catalogue.find_resource_type(srn.service_type, srn.resource_type).expect("a type");
        let resources = [Resource::new(kind, srn.account, srn.region, srn.resource_id)];
        let text = |text| Values::One(Scalar::Text(text));
        let context = Context {
            source_ip: Values::One(Scalar::Address(self.address)),
            user_id: text(USER),
            user_name: text("ada"),
            authentication_type: text("AuthenticationKey"),
            mfa: Values::One(Scalar::Bool(false)),
            requested_region: text(&self.region),
            ..Context::EMPTY
        };
        let principal = Principal { kind: Kind::User, account: ACCOUNT, id: USER };
        let request = Request { action, resources: &resources, principal, context, needs_resource_policy: false };
        evaluate(&request, policies)
    }
}

fn asked(action: &str, kind: &str, id: &str) -> Asked {
    Asked {
        action: action.to_owned(),
        srn: format!("srn:e::{ACCOUNT}:kr-west1::{kind}/{id}"),
        address: IpAddr::from([10, 1, 2, 3]),
        region: "kr-west1".to_owned(),
    }
}

/// What people write: by service and type, on ids, beginnings and ends; every tenth denies.
fn mixed(number: usize) -> String {
    let (service, kind) = (number % 30, number / 30 % 5);
    let effect = if number % 10 == 9 { "Deny" } else { "Allow" };
    let action = number / 150 % 4;
    let id = match number % 4 {
        0 => format!("id-{number:05}"),
        1 => format!("team-{number:05}-*"),
        2 => format!("*-team-{number:05}"),
        _ => format!("id-{number:05}-*"),
    };
    format!(
        r#"{{"Effect":"{effect}","Action":"service{service}:Act{action}On{kind}","Resource":"srn:e:::::service{service}:kind{kind}/{id}"}}"#
    )
}

fn hot(criterion: &mut Criterion) {
    let catalogue = catalogue();
    let mut group = criterion.benchmark_group("decide/hot");
    for count in [4, 1_000, 10_000] {
        let held = policies((0..count).map(mixed), &catalogue);
        let wanted = count / 2 / 4 * 4;
        let (service, kind, action) = (wanted % 30, wanted / 30 % 5, wanted / 150 % 4);
        let asked = asked(
            &format!("service{service}:Act{action}On{kind}"),
            &format!("scp-service{service}:kind{kind}"),
            &format!("id-{wanted:05}"),
        );
        assert!(matches!(asked.decide(&catalogue, &held.policies()), Verdict::Allow(Some(_))));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| black_box(&asked).decide(&catalogue, &black_box(&held).policies()));
        });
    }
    group.finish();
}

fn infix(criterion: &mut Criterion) {
    let catalogue = catalogue();
    let statement = |number: usize| {
        format!(r#"{{"Effect":"Allow","Action":"service1:Act0On1","Resource":"srn:e:::::service1:kind1/*-{:05}-*"}}"#, number * 7 % 100_000)
    };
    let held = policies((0..10_000).map(statement), &catalogue);
    let asked = asked("service1:Act0On1", "scp-service1:kind1", "volume-of-team-34993-for-backups");
    assert!(matches!(asked.decide(&catalogue, &held.policies()), Verdict::Allow(Some(_))));
    criterion.bench_function("decide/infix/10000", |bencher| {
        bencher.iter(|| black_box(&asked).decide(&catalogue, &black_box(&held).policies()));
    });
}

fn conditions(criterion: &mut Criterion) {
    let catalogue = catalogue();
    // Fifty conditions over six keys; the last of each ten holds.
    let condition = |number: usize| match number % 5 {
        0 => format!(r#""StringEquals":{{"scp:UserName":"user{number}"}}"#),
        1 => format!(r#""IpAddress":{{"scp:SourceIp":"192.0.2.{number}/32"}}"#),
        2 => format!(r#""StringLike":{{"scp:RequestedRegion":"eu-{number}*"}}"#),
        3 => format!(r#""StringEqualsIsIgnoreCase":{{"scp:UserId":"ID{number}"}}"#),
        _ if number % 10 == 4 => format!(r#""StringNotEquals":{{"scp:AuthenticationType":"kind{number}"}}"#),
        _ => format!(r#""StringLike":{{"scp:AuthenticationType":"kind{number}*"}}"#),
    };
    let statement = |number: usize| {
        let (one, two) = (number % 50, (number * 7 + 1 + number / 50) % 50);
        let two = if one % 5 == two % 5 { (two + 1) % 50 } else { two };
        let conditions = format!("{},{}", condition(one), condition(two));
        let conditions = if conditions.matches("StringLike").count() > 1 { condition(one) } else { conditions };
        format!(r#"{{"Effect":"Allow","Action":"service1:Act0On1","Resource":"*","Condition":{{{conditions}}}}}"#)
    };
    let held = policies((0..1_000).map(statement), &catalogue);
    let asked = asked("service1:Act0On1", "scp-service1:kind1", "id");
    assert_eq!(asked.decide(&catalogue, &held.policies()), Verdict::ImplicitDeny);
    criterion.bench_function("decide/conditions/1000", |bencher| {
        bencher.iter(|| black_box(&asked).decide(&catalogue, &black_box(&held).policies()));
    });
}

/// A million principals with four documents of three thousand, of a hundred statements each; asked in no order.
fn cold(criterion: &mut Criterion) {
    let catalogue = catalogue();
    let document = |number: usize| (0..100).map(|place| mixed(number * 100 + place)).collect::<Vec<_>>().join(",");
    let owner = Owner::account(ACCOUNT);
    let policies: Vec<Policy> = (0..3_000).map(|number| load(&document(number), &owner, &catalogue)).collect();
    let mut state = 1_u64;
    let mut random = move |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let principals: Vec<[u16; 4]> = (0..1_000_000).map(|_| [(); 4].map(|()| random(3_000) as u16)).collect();
    let requests: Vec<(usize, Asked)> = (0..20_000)
        .map(|_| {
            let who = random(principals.len());
            let number = usize::from(principals[who][random(4)]) * 100 + random(25) * 4;
            let (service, kind, action) = (number % 30, number / 30 % 5, number / 150 % 4);
            let action = format!("service{service}:Act{action}On{kind}");
            (who, asked(&action, &format!("scp-service{service}:kind{kind}"), &format!("id-{number:05}")))
        })
        .collect();
    let mut next = 0;
    criterion.bench_function("decide/cold/1000000", |bencher| {
        bencher.iter_batched(
            || {
                next = (next + 1) % requests.len();
                next
            },
            |next| {
                let (who, asked) = &requests[next];
                let held = principals[*who].map(|policy| &policies[usize::from(policy)]);
                asked.decide(&catalogue, &Policies::identity(&held))
            },
            BatchSize::SmallInput,
        );
    });
}

/// What becomes of texts before anything can be decided: a hundred and ten thousand statements.
fn compile(criterion: &mut Criterion) {
    let catalogue = catalogue();
    let (statements, owner) = ((0..100).map(mixed).collect::<Vec<_>>().join(","), Owner::account(ACCOUNT));
    criterion.bench_function("compile/document/100", |bencher| bencher.iter(|| load(black_box(&statements), &owner, &catalogue)));
    let policies = policies((0..10_000).map(mixed), &catalogue).policies;
    criterion.bench_function("compile/set/10000", |bencher| bencher.iter(|| PolicySet::of(black_box(&policies))));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = hot, infix, conditions, cold, compile
}
criterion_main!(benches);
