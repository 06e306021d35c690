//! A roster ends at the same state whatever the way there, and fails closed for what it cannot read.

use proptest::prelude::*;

use super::*;
use crate::authn::token::Signer;
use crate::types::{AccessKeyId, Secret};

fn id(kind: u8, number: u8) -> String {
    format!("{kind:02x}{number:02x}{}", "5a".repeat(14))
}

fn sealing_key() -> Arc<SealingKey> {
    Arc::new(SealingKey::from_text(&"0a".repeat(32)).unwrap())
}

fn roster() -> Roster {
    Roster::new("e".parse().unwrap(), sealing_key())
}

fn put(record: &str) -> Change {
    Change::Put { key: wire::read_json(record).unwrap().key().to_string(), record: record.to_owned() }
}

fn delete(key: String) -> Change {
    Change::Delete { key }
}

fn broken(key: String) -> Change {
    Change::Put { key, record: r#"{"kind":"of another time"}"#.to_owned() }
}

const DEFINITION: &str =
    "kind: scp-iam:action-definition\nservice: SERVICE\npaths:\n  /v1/things:\n    get: {action: SERVICE:List, access_level: List}\n";

fn account(active: bool) -> Change {
    put(&format!(r#"{{"kind":"account","id":"{}","name":"a","active":{active}}}"#, id(1, 0)))
}

fn user(number: u8, name: &str) -> Change {
    put(&format!(r#"{{"kind":"user","id":"{}","account":"{}","name":"{name}"}}"#, id(2, number), id(1, 0)))
}

fn group(number: u8) -> Change {
    put(&format!(r#"{{"kind":"group","id":"{}","account":"{}","name":"g"}}"#, id(3, number), id(1, 0)))
}

fn policy(number: u8, action: &str) -> Change {
    let document = format!(
        r#"{{\"Version\":\"2024-07-01\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":[\"{action}\"],\"Resource\":[\"*\"]}}]}}"#
    );
    put(&format!(r#"{{"kind":"policy","id":"{}","account":"{}","name":"p","document":"{document}"}}"#, id(4, number), id(1, 0)))
}

fn membership(number: u8, member: u8) -> Change {
    put(&format!(r#"{{"kind":"membership","group":"{}","user":"{}"}}"#, id(3, number), id(2, member)))
}

/// The first byte of the ids of those who hold policies.
fn holder(kind: &str) -> u8 {
    match kind {
        "user" => 2,
        "role" => 7,
        _ => 3,
    }
}

fn role(number: u8) -> Change {
    put(&format!(r#"{{"kind":"role","id":"{}","account":"{}","name":"r"}}"#, id(7, number), id(1, 0)))
}

fn sessions_valid_from(number: u8, sequence: u8) -> Change {
    put(&format!(r#"{{"kind":"sessions_valid_from","role":"{}","sequence":{sequence}}}"#, id(7, number)))
}

fn attachment(policy: u8, kind: &str, to: u8) -> Change {
    let holder = id(holder(kind), to);
    put(&format!(r#"{{"kind":"attachment","policy":"{}","{kind}":"{holder}"}}"#, id(4, policy)))
}

fn security(number: u8, addresses: &str) -> Change {
    put(&format!(r#"{{"kind":"key_security","user":"{}","allowed_addresses":{addresses}}}"#, id(2, number)))
}

fn access_key(number: u8, enabled: bool) -> Change {
    let (key, owner): (AccessKeyId, UserId) = (id(5, number).parse().unwrap(), id(2, number % 4).parse().unwrap());
    let sealed = sealing_key().seal(&Secret::new(vec![number; 32]), &wire::seal_owner(key, owner), [number; 12]).unwrap();
    put(&format!(r#"{{"kind":"access_key","id":"{key}","user":"{owner}","secret":{{"sealed":"{sealed}"}},"enabled":{enabled}}}"#))
}

fn definition(service: &str) -> Change {
    let document = DEFINITION.replace("SERVICE", service).replace('\n', "\\n");
    put(&format!(r#"{{"kind":"definition","service":"{service}","document":"{document}"}}"#))
}

fn revoked_token(user: u8, token: u8) -> Change {
    let (user, token) = (id(2, user), id(7, token));
    put(&format!(r#"{{"kind":"revoked_token","user":"{user}","id":"{token}","expires_at":"2027-01-31T00:00:00Z"}}"#))
}

/// Before any key has ended.
const ALWAYS: Timestamp = Timestamp::from_milliseconds(i64::MIN);

fn token_key(number: u8, ended: bool) -> Change {
    let signer = Signer::new(id(6, number).parse().unwrap(), &Secret::new([number; 32])).unwrap();
    let end = if ended { r#","not_after":"2027-01-31T00:00:00Z""# } else { "" };
    put(&format!(r#"{{"kind":"token_key","id":"{}","public_key":"{}"{end}}}"#, id(6, number), signer.public_key()))
}

/// Everything a decision could see.
fn seen(snapshot: &Snapshot) -> String {
    let mut all = Vec::new();
    for number in 0..8 {
        let (user, group, policy, key) = (id(2, number), id(3, number), id(4, number), id(5, number));
        if let Some(user) = snapshot.user(user.parse().unwrap()) {
            let held: Vec<String> = snapshot
                .policies_of(user)
                .iter()
                .map(|policy| format!("{} {} {:?}", policy.id(), policy.is_invalid(), policy.statements()))
                .collect();
            all.push(format!("{user:?} {} {held:?}", snapshot.is_active(user)));
        }
        if let Some(role) = snapshot.role(id(7, number).parse().unwrap()) {
            let held: Vec<&str> = snapshot.policies_of_role(role).iter().map(|policy| policy.id()).collect();
            all.push(format!("{role:?} {held:?}"));
        }
        all.push(format!("{:?}", snapshot.group(group.parse().unwrap())));
        all.push(format!("{:?}", snapshot.policy(policy.parse().unwrap()).map(|policy| format!("{policy:?}"))));
        let key = snapshot.key(key.parse().unwrap());
        all.push(format!("{:?}", snapshot.token_key(id(6, number).parse().unwrap(), ALWAYS)));
        all.push(format!("{:?}", key.map(|key| (key.user, key.enabled, key.expires_at, key.secret.signing_key().mac(b"x")))));
    }
    for service in ["iam", "vm"] {
        all.push(format!("{:?}", snapshot.definition(service).map(|definition| definition.operations())));
    }
    all.push(format!(
        "{:?} {:?}",
        snapshot.sizes(),
        snapshot.catalogue().actions().map(|(_, action)| action.name.to_string()).collect::<Vec<_>>()
    ));
    all.join("\n")
}

fn any_change() -> impl Strategy<Value = Change> {
    let number = 0..4u8;
    prop_oneof![
        any::<bool>().prop_map(account),
        (number.clone(), "[a-c]").prop_map(|(user_number, name)| user(user_number, &name)),
        number.clone().prop_map(group),
        (number.clone(), prop::sample::select(vec!["iam:List", "vm:*", "*"])).prop_map(|(number, action)| policy(number, action)),
        (number.clone(), number.clone()).prop_map(|(group, user)| membership(group, user)),
        (number.clone(), prop::sample::select(vec!["user", "group", "role"]), number.clone())
            .prop_map(|(policy, kind, to)| attachment(policy, kind, to)),
        (number.clone(), prop::sample::select(vec![r#""not_used""#, "[]", r#"["10.0.0.0/8"]"#]))
            .prop_map(|(number, list)| security(number, list)),
        (number.clone(), any::<bool>()).prop_map(|(number, enabled)| access_key(number, enabled)),
        (number.clone(), 1..4u8).prop_map(|(number, sequence)| sessions_valid_from(number, sequence)),
        number.clone().prop_map(role),
        (number.clone(), any::<bool>()).prop_map(|(number, ended)| token_key(number, ended)),
        (number.clone(), number).prop_map(|(user, token)| revoked_token(user, token)),
        prop::sample::select(vec!["iam", "vm"]).prop_map(definition),
    ]
}

fn any_step() -> impl Strategy<Value = Change> {
    (any_change(), 0..6u8).prop_map(|(change, kind)| match kind {
        0 | 1 => delete(change.key().to_owned()),
        2 => broken(change.key().to_owned()),
        _ => change,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever was put, replaced, deleted and could not be read on the way: only the records that are there now count, in any order.
    #[test]
    fn the_state_is_that_of_the_records_and_not_of_the_way_there(
        steps in prop::collection::vec(any_step(), 0..60),
        pause in 0..60usize,
        order in any::<prop::sample::Index>(),
    ) {
        let revision = Revision::Store { epoch: 1, sequence: 1 };
        let mut followed = roster();
        let mut between = None;
        for (index, step) in steps.iter().enumerate() {
            followed.apply(std::slice::from_ref(step));
            if index == pause {
                let snapshot = followed.snapshot(revision);
                between = Some((seen(&snapshot), snapshot));
            }
        }
        let mut now: Vec<Change> = Vec::new();
        for step in &steps {
            now.retain(|change| change.key() != step.key());
            if matches!(step, Change::Put { .. }) {
                now.push(step.clone());
            }
        }
        if !now.is_empty() {
            let middle = order.index(now.len());
            now.rotate_left(middle);
        }
        let mut fresh = roster();
        fresh.apply(&now);
        prop_assert_eq!(seen(&followed.snapshot(revision)), seen(&fresh.snapshot(revision)));
        prop_assert_eq!((followed.digest(), followed.records()), (fresh.digest(), fresh.records()));
        // A snapshot given out never changes.
        if let Some((text, snapshot)) = between {
            prop_assert_eq!(seen(&snapshot), text);
        }
    }
}

#[test]
fn what_cannot_be_read_refuses_whom_it_concerns() {
    let revision = Revision::Store { epoch: 1, sequence: 1 };
    let base = [
        account(true),
        user(0, "a"),
        user(1, "b"),
        group(0),
        policy(0, "*"),
        attachment(0, "group", 0),
        membership(0, 0),
        membership(0, 1),
        definition("iam"),
        access_key(0, true),
        token_key(0, false),
    ];
    let find = |snapshot: &Snapshot, number| Arc::clone(snapshot.user(id(2, number).parse().unwrap()).unwrap());
    let readable = |snapshot: &Snapshot, number| snapshot.policies_of(&find(snapshot, number)).iter().all(|policy| !policy.is_invalid());
    let with = |key: String| {
        let mut roster = roster();
        roster.apply(&base);
        assert!(readable(&roster.snapshot(revision), 0) && roster.take_unreadable().is_empty());
        roster.apply(&[broken(key.clone())]);
        let snapshot = roster.snapshot(revision);
        let unreadable = roster.take_unreadable();
        assert_eq!((unreadable.len(), unreadable[0].key.clone()), (1, key.clone()));
        // Readable again, it is as before.
        let again = base.iter().find(|change| change.key() == key).cloned();
        roster.apply(&[again.unwrap_or_else(|| delete(key))]);
        let healed = roster.snapshot(revision);
        assert!(readable(&healed, 0) && readable(&healed, 1) && healed.is_active(&find(&healed, 0)));
        assert!(healed.token_key(id(6, 0).parse().unwrap(), ALWAYS).is_some());
        assert!(healed.key(id(5, 0).parse().unwrap()).is_some() && healed.definition("iam").is_some());
        assert_eq!((&find(&healed, 0).holds.allowed_addresses, find(&healed, 0).holds.tokens_valid_from), (&Allowlist::NotUsed, 0));
        snapshot
    };
    let snapshot = with(format!("policy/{}", id(4, 0)));
    assert!(!readable(&snapshot, 0) && !readable(&snapshot, 1));
    let snapshot = with(format!("group/{}", id(3, 0)));
    assert!(!readable(&snapshot, 0));
    let snapshot = with(format!("membership/{}/{}", id(3, 0), id(2, 0)));
    assert!(!readable(&snapshot, 0) && readable(&snapshot, 1));
    let snapshot = with(format!("attachment/{}/group/{}", id(4, 0), id(3, 0)));
    assert!(!readable(&snapshot, 0) && !readable(&snapshot, 1));
    let snapshot = with(format!("attachment/{}/user/{}", id(4, 1), id(2, 0)));
    assert!(!readable(&snapshot, 0) && readable(&snapshot, 1));
    let snapshot = with(format!("account/{}", id(1, 0)));
    assert!(!snapshot.is_active(&find(&snapshot, 0)));
    let snapshot = with(format!("key_security/{}", id(2, 0)));
    assert_eq!(find(&snapshot, 0).holds.allowed_addresses, Allowlist::Enabled(Box::new(std::iter::empty().collect())));
    let somewhere = Some("192.0.2.1".parse().unwrap());
    for key in [format!("console_access/user/{}", id(2, 0)), format!("console_access/account/{}", id(1, 0))] {
        let snapshot = with(key);
        assert!(!snapshot.console_allows(&find(&snapshot, 0), somewhere));
    }
    let snapshot = with(format!("tokens_valid_from/{}", id(2, 0)));
    assert!(snapshot.console_allows(&find(&snapshot, 0), somewhere));
    assert_eq!(find(&snapshot, 0).holds.tokens_valid_from, u64::MAX);
    let snapshot = with(format!("revoked_token/{}/{}", id(2, 0), id(7, 0)));
    let revoked = |token| find(&snapshot, 0).holds.revoked(id(7, token).parse().unwrap()).is_some();
    assert_eq!((revoked(0), revoked(1)), (true, false));
    assert!(with(format!("user/{}", id(2, 0))).user(id(2, 0).parse().unwrap()).is_none());
    assert!(with(format!("access_key/{}", id(5, 0))).key(id(5, 0).parse().unwrap()).is_none());
    assert!(with(format!("token_key/{}", id(6, 0))).token_key(id(6, 0).parse().unwrap(), ALWAYS).is_none());
    assert!(with("definition/iam".to_owned()).definition("iam").is_none());
}

#[test]
fn what_cannot_be_read_of_a_role_refuses_its_sessions() {
    let base = [policy(0, "*"), role(0), attachment(0, "role", 0), sessions_valid_from(0, 3)];
    let find = |snapshot: &Snapshot| snapshot.role(id(7, 0).parse().unwrap()).map(Arc::clone);
    let state = |snapshot: &Snapshot| {
        find(snapshot).map(|role| {
            let policies = snapshot.policies_of_role(&role);
            (policies.len(), policies.iter().any(|policy| policy.is_invalid()), role.holds.sessions_valid_from)
        })
    };
    let (attachment, sessions) = (format!("attachment/{}/role/{}", id(4, 0), id(7, 0)), format!("sessions_valid_from/{}", id(7, 0)));
    for (key, expected) in [
        (format!("policy/{}", id(4, 0)), Some((1, true, 3))),
        (attachment, Some((1, true, 3))),
        (sessions, Some((1, false, u64::MAX))),
        (format!("role/{}", id(7, 0)), None),
    ] {
        let (mut roster, revision) = (roster(), Revision::Store { epoch: 1, sequence: 1 });
        roster.apply(&base);
        assert_eq!(state(&roster.snapshot(revision)), Some((1, false, 3)));
        roster.apply(&[broken(key.clone())]);
        assert_eq!((state(&roster.snapshot(revision)), roster.take_unreadable().len()), (expected, 1), "{key}");
        roster.apply(&base);
        assert_eq!(state(&roster.snapshot(revision)), Some((1, false, 3)), "{key}");
        roster.apply(&[delete(format!("role/{}", id(7, 0)))]);
        assert_eq!(state(&roster.snapshot(revision)), None);
    }
}

#[test]
fn a_key_sealed_for_another_or_a_record_under_anothers_key_is_not_there() {
    let revision = Revision::Store { epoch: 1, sequence: 1 };
    let mut roster = roster();
    let Change::Put { record, .. } = access_key(0, true) else { panic!() };
    let stolen = record.replace(&id(2, 0), &id(2, 1));
    roster.apply(&[
        put(&stolen),
        Change::Put {
            key: format!("user/{}", id(2, 2)),
            record: match user(3, "x") {
                Change::Put { record, .. } => record,
                Change::Delete { .. } => panic!(),
            },
        },
    ]);
    let snapshot = roster.snapshot(revision);
    assert!(snapshot.key(id(5, 0).parse().unwrap()).is_none() && snapshot.user(id(2, 2).parse().unwrap()).is_none());
    let why: Vec<String> = roster.take_unreadable().into_iter().map(|found| found.why).collect();
    assert!(why[0].contains("does not open") && why[1].contains("says that it is"), "{why:?}");
}

#[test]
fn a_definition_that_does_not_fit_is_left_out_alone() {
    let mut roster = roster();
    let clash = put(&format!(
        r#"{{"kind":"definition","service":"zz","document":"{}"}}"#,
        DEFINITION.replace("SERVICE", "iam").replace('\n', "\\n")
    ));
    roster.apply(&[definition("iam"), definition("vm"), clash]);
    let snapshot = roster.snapshot(Revision::Store { epoch: 1, sequence: 1 });
    assert!(snapshot.definition("iam").is_some() && snapshot.definition("vm").is_some());
    assert_eq!(roster.take_unreadable()[0].key, "definition/zz");
}

#[test]
fn a_policy_of_a_resource_follows_its_record_and_its_definition_and_fails_closed() {
    let box_definition = "kind: scp-iam:action-definition\nservice: iam\npaths:\n  /v1/boxes/{id}:\n    get: {action: iam:Show, access_level: Read, resources: [{'iam:box': {resource_id: \"path['id']\"}}]}\n";
    let box_definition = box_definition.replace('\n', "\\n").replace('"', "\\\"");
    let definition = put(&format!(r#"{{"kind":"definition","service":"iam","document":"{box_definition}"}}"#));
    let document = r#"{\"Version\":\"2024-07-01\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"iam:*\",\"Principal\":{\"scp\":\"srn:e::acc:::iam:user/u\"},\"Resource\":\"*\"}}"#;
    let policy = put(&format!(r#"{{"kind":"resource_policy","resource":"srn:e::acc:::iam:box/b1","document":"{document}"}}"#));
    let key = "resource_policy/srn:e::acc:::iam:box/b1".to_owned();
    assert_eq!(policy.key(), key);
    let mut roster = roster();
    let found = |roster: &mut Roster, id: &str| {
        let snapshot = roster.snapshot(Revision::Store { epoch: 1, sequence: 1 });
        let Some(kind) = snapshot.catalogue().find_resource_type("iam", "box") else { return "no such type".to_owned() };
        let resource = crate::policy::Resource::new(kind, "acc", "", id);
        let policies = snapshot.policies_of_resources(&[resource]);
        policies.iter().map(|policy| if policy.policy().is_invalid() { "invalid" } else { "readable" }).collect::<Vec<_>>().join(" ")
    };
    roster.apply(&[policy]);
    assert_eq!(found(&mut roster, "b1"), "no such type");
    assert_eq!(roster.take_unreadable().len(), 1);
    roster.apply(std::slice::from_ref(&definition));
    assert_eq!(["b1", "b1/x/y", "b2", "b", "b10"].map(|id| found(&mut roster, id)), ["readable", "readable", "", "", ""]);
    roster.apply(&[broken(key.clone())]);
    assert_eq!(["b1", "b1/x", "b2"].map(|id| found(&mut roster, id)), ["invalid", "invalid", ""]);
    roster.apply(&[delete(key)]);
    assert_eq!(["b1", "b1/x"].map(|id| found(&mut roster, id)), ["", ""]);
    assert_eq!(found(&mut roster, "b1"), "");
}
