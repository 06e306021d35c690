//! Tokens at a gateway that follows a control plane: who may use one, for how long, and that no backend and no record sees it.

use std::sync::Arc;

use portcullis::access::{AwsSignatures, ErrorProtocol, Mode, Replay, ServiceSettings, Services};
use portcullis::authn::token::{Claims, Signer};
use portcullis::snapshot::Roster;
use portcullis::snapshot::wire::{Change, read_json, seal_owner};
use portcullis::types::{PathProfile, Revision, SealingKey, Secret, Timestamp};
use serde_json::{Value as Json, json};

use super::backend::Backend;
use super::client::{Answer, Ask, NOW_MS};
use super::harness::{ACCOUNT, ADMIN, Setup, World, text};

pub(super) const USER: &str = "ad000000000000000000000000000001";
const OTHER_USER: &str = "5e000000000000000000000000000001";
pub(super) const TOKEN_KEY: &str = "70c0000000000000000000000000000a";
/// The id of the token that is used.
const TOKEN: &str = "1d000000000000000000000000000001";
pub(super) const EPOCH: u64 = 7;
const DEFINITION: &str = "kind: scp-iam:action-definition\nservice: iam\nservice_type: scp-iam\npaths:\n  /v1/groups:\n    get: {action: iam:ListGroups, access_level: List}\n  /v1/public:\n    get: {authentication: none}\n";

pub(super) fn signer(id: &str, seed: u8) -> Signer {
    Signer::new(id.parse().unwrap(), &Secret::new([seed; 32])).unwrap()
}

fn claims() -> Claims {
    Claims {
        subject: format!("srn:e::{ACCOUNT}:::scp-iam:user/{USER}"),
        user: USER.parse().unwrap(),
        account: ACCOUNT.parse().unwrap(),
        access_key: ADMIN.key.parse().ok(),
        id: TOKEN.parse().unwrap(),
        issued_at: Timestamp::from_milliseconds(NOW_MS - 60_000),
        expires_at: Timestamp::from_milliseconds(NOW_MS + 1_000),
        epoch: EPOCH,
        sequence: 3,
    }
}

fn token_by(signer: &Signer, claims: &Claims) -> String {
    String::from_utf8(signer.sign(claims).unwrap().expose().to_vec()).unwrap()
}

pub(super) fn token() -> String {
    token_by(&signer(TOKEN_KEY, 1), &claims())
}

/// What the control plane feeds; a test changes a record.
pub(super) fn records(change: impl Fn(&str, &mut Json) -> bool) -> Vec<Change> {
    let key = (ADMIN.key.parse().unwrap(), USER.parse().unwrap());
    let sealed = sealing_key().seal(&Secret::new(ADMIN.secret.as_bytes()), &seal_owner(key.0, key.1), [1; 12]).unwrap();
    let document = r#"{"Version":"2024-07-01","Statement":[{"Effect":"Allow","Action":["*"],"Resource":["*"]}]}"#;
    let policy = "90110000000000000000000000000001";
    let all = [
        json!({"kind": "account", "id": ACCOUNT, "name": "first"}),
        json!({"kind": "user", "id": USER, "account": ACCOUNT, "name": "admin"}),
        json!({"kind": "access_key", "id": ADMIN.key, "user": USER, "secret": {"sealed": sealed}}),
        json!({"kind": "key_security", "user": USER, "allowed_addresses": "not_used"}),
        json!({"kind": "policy", "id": policy, "account": "system", "name": "all", "document": document}),
        json!({"kind": "attachment", "policy": policy, "user": USER}),
        json!({"kind": "token_key", "id": TOKEN_KEY, "public_key": signer(TOKEN_KEY, 1).public_key().to_string()}),
        json!({"kind": "definition", "service": "iam", "document": DEFINITION}),
        json!({"kind": "tokens_valid_from", "user": USER, "sequence": 3}),
        json!({"kind": "console_access", "user": USER, "allowed_addresses": "not_used"}),
        json!({"kind": "revoked_token", "user": USER, "id": "1d000000000000000000000000000002", "expires_at": "2026-11-20T22:30:00Z"}),
    ];
    let changed = all.into_iter().filter_map(|mut record| {
        let kind = record["kind"].as_str().unwrap().to_owned();
        change(&kind, &mut record).then(|| record.to_string())
    });
    changed.map(|record| Change::Put { key: read_json(&record).unwrap().key().to_string(), record }).collect()
}

pub(super) fn sealing_key() -> SealingKey {
    SealingKey::from_text(&"0a".repeat(32)).unwrap()
}

/// Puts records in force as a feed does.
pub(super) fn follow(world: &World, changes: &[Change], epoch: u64) {
    follow_with(world, changes, epoch, (Replay::All, None));
}

/// The same with services that take these signatures once only, and AWS signatures or not.
pub(super) fn follow_with(world: &World, changes: &[Change], epoch: u64, (replay, sigv4): (Replay, Option<AwsSignatures>)) {
    let mut roster = Roster::new("e".parse().unwrap(), Arc::new(sealing_key()));
    roster.apply(changes);
    let snapshot = roster.snapshot(Revision::Store { epoch, sequence: 3 });
    let settings = |name: &str| ServiceSettings {
        name: name.into(),
        hosts: vec![format!("{name}.test")],
        definitions: vec![name.to_owned()],
        mode: Mode::Enforce,
        path_profile: PathProfile::Segments,
        error_protocol: ErrorProtocol::Scp,
        public_routes: vec![(http::Method::GET, "/v1/public".to_owned())],
        body_bytes_max: 1024,
        replay,
        sigv4: sigv4.clone(),
    };
    let mut state = world.changed(|setup| setup);
    state.view.services = Arc::new(Services::bind(&[settings("iam"), settings("store")], &snapshot));
    state.view.snapshot = Arc::new(snapshot);
    world.publish(state);
}

fn whole() -> Vec<Change> {
    records(|_, _| true)
}

/// A gateway that follows a feed, and its backend.
pub(super) fn following() -> (Backend, World) {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    follow(&world, &whole(), EPOCH);
    (backend, world)
}

fn ask(world: &World, lines: &[&str]) -> Answer {
    world.ask(lines.iter().fold(Ask::get("/v1/groups"), |ask, line| ask.line(line)).plain())
}

#[test]
fn a_token_is_a_credential_by_itself() {
    let (backend, mut world) = following();
    let token = token();
    let mut ids = Vec::new();
    for line in [format!("X-Auth-Token: {token}"), format!("Authorization: Bearer {token}"), format!("authorization: bEARER {token}")] {
        let answer = ask(&world, &[&line]);
        assert_eq!(answer.verdict(), (200, "allow"), "{line}: {}", answer.text());
        assert_eq!(answer.header("portcullis-revision"), Some("7.3"));
        let seen = backend.last();
        assert_eq!(seen.header("portcullis-principal").as_deref(), Some(&*claims().subject));
        let assertion = seen.header("portcullis-assertion").unwrap();
        assert!(assertion.contains(&format!(";type=ApiToken;key={};mfa=false;", ADMIN.key)), "{assertion}");
        assert!(!seen.head.contains(&token) && !seen.head.to_lowercase().contains("bearer"), "{}", seen.head);
        ids.push(answer.request_id().to_owned());
    }
    // On a public route it is not looked at, and not passed on either.
    let public = world.ask(Ask::get("/v1/public").line(&format!("X-Auth-Token: {token}")).plain());
    assert_eq!(public.verdict(), (200, "allow"));
    assert!(!backend.last().head.contains(&token));
    for id in ids {
        let record = world.record(&id);
        assert_eq!((text(&record, "authentication_type"), text(&record, "access_key")), (Some("ApiToken"), Some(ADMIN.key)));
    }
    world.stop();
    let log = std::fs::read_to_string(world.folder().join("decisions.jsonl")).unwrap();
    assert!(token.split('.').all(|part| !log.contains(part)), "{log}");
}

#[test]
fn one_token_in_one_place_and_no_signature_beside_it() {
    let (backend, world) = following();
    let token = token();
    let (auth_token, bearer) = (format!("X-Auth-Token: {token}"), format!("Authorization: Bearer {token}"));
    let invalid = (401, "token_invalid");
    for (lines, expected) in [
        (vec!["X-Auth-Token: ", &bearer], (200, "allow")),
        (vec![&*auth_token, "X-Auth-Token: "], (200, "allow")),
        (vec![&*auth_token, &bearer], (400, "several_credentials")),
        (vec![&*auth_token, &auth_token], (400, "several_credentials")),
        (vec![&*bearer, &bearer], (400, "several_credentials")),
        (vec![&*bearer, "Authorization: Basic eA=="], (400, "several_credentials")),
        (vec![&*auth_token, "Authorization: "], (400, "several_credentials")),
        (vec![&*auth_token, "X-Cmp-Signature: x"], (401, "credential_malformed")),
        (vec![&*bearer, "X-Cmp-Signature: x"], (400, "several_credentials")),
        (vec![&*bearer, "Svaccesskey: x"], (400, "several_credentials")),
        (vec![&*bearer, "X-Cmp-ClientType: OpenApi", "X-Cmp-ProjectId: PROJECT-a"], (200, "allow")),
        (vec![&*auth_token, "Scp-Timestamp: 1795213785000"], (401, "credential_malformed")),
        (vec!["X-Auth-Token: "], (401, "no_credential")),
        (vec!["Authorization: Bearer"], (401, "no_credential")),
        (vec!["Authorization: Basic eA=="], (401, "no_credential")),
        (vec![&*format!("Authorization: {token}")], (401, "no_credential")),
        (vec![&*format!("Authorization: Bearer  {token}")], invalid),
        (vec![&*format!("Authorization: Bearer {token},")], invalid),
        (vec![&*format!("X-Auth-Token: Bearer {token}")], invalid),
        (vec![&*format!("X-Auth-Token: {token}, {token}")], invalid),
        (vec![&*format!("X-Auth-Token: {token}=")], invalid),
        (vec![&*format!("X-Auth-Token: {}", "a".repeat(4_097))], invalid),
    ] {
        assert_eq!(ask(&world, &lines).verdict(), expected, "{lines:?}");
    }
    let before = backend.count();
    for (lines, expected) in [
        (vec![&*auth_token], (401, "session_token_invalid")),
        (vec![&*bearer], (400, "several_credentials")),
        (vec![&*auth_token, &auth_token], (400, "several_credentials")),
    ] {
        let signed = lines.iter().fold(Ask::get("/v1/groups"), |ask, line| ask.line(line)).by(&ADMIN);
        assert_eq!(world.ask(signed).verdict(), expected, "signed, with {lines:?}");
    }
    assert_eq!(backend.count(), before);
}

#[test]
fn a_token_is_good_for_many_requests_where_a_signature_is_good_for_one() {
    let (backend, world) = following();
    let line = format!("X-Auth-Token: {}", token());
    for _ in 0..3 {
        assert_eq!(ask(&world, &[&line]).verdict(), (200, "allow"));
    }
    let signed = Ask::get("/v1/groups").by(&ADMIN);
    assert_eq!((world.ask(&signed).verdict(), world.ask(&signed).verdict()), ((200, "allow"), (401, "replayed")));
    assert_eq!(backend.count(), 4);
}

#[test]
fn a_token_ends_at_the_second_it_says() {
    let (_backend, world) = following();
    for (expires_at, expected) in [
        (NOW_MS + 1_000, (200, "allow")),
        (NOW_MS, (401, "token_expired")),
        (NOW_MS - 1_000, (401, "token_expired")),
        (NOW_MS - 60_000, (401, "token_expired")),
    ] {
        let claims = Claims { expires_at: Timestamp::from_milliseconds(expires_at), ..claims() };
        let token = token_by(&signer(TOKEN_KEY, 1), &claims);
        let answer = ask(&world, &[&format!("X-Auth-Token: {token}")]);
        assert_eq!(answer.verdict(), expected, "{expires_at}");
        assert_eq!(answer.header("portcullis-revision").is_some(), expected.0 == 200);
        let told = answer.all("www-authenticate").into_iter().any(|line| line == r#"Bearer realm="portcullis", error="invalid_token""#);
        assert_eq!(told, expected.0 == 401);
    }
}

#[test]
fn a_token_is_checked_again_with_every_snapshot() {
    let (backend, world) = following();
    let line = format!("X-Auth-Token: {}", token());
    let with = |kind: &'static str, member: &'static str, value: Json| {
        records(move |found, record| {
            if found == kind {
                record[member] = value.clone();
            }
            true
        })
    };
    let without = |kind: &'static str| records(move |found, _| found != kind);
    let past = "2026-11-20T22:29:45Z";
    let allowed = (200, "allow");
    let other_user = with("user", "id", json!(OTHER_USER));
    let long_revoked = records(|found, record| {
        if found == "revoked_token" {
            (record["id"], record["expires_at"]) = (json!(TOKEN), json!("2099-01-01T00:00:00Z"));
        }
        true
    });
    for (what, changes, epoch, expected) in [
        ("a disabled key", with("access_key", "enabled", json!(false)), EPOCH, (401, "credential_disabled")),
        ("an expired key", with("access_key", "expires_at", json!(past)), EPOCH, (401, "credential_expired")),
        ("no key", without("access_key"), EPOCH, (401, "token_invalid")),
        ("an inactive user", with("user", "active", json!(false)), EPOCH, (401, "owner_inactive")),
        ("no user", without("user"), EPOCH, (401, "owner_inactive")),
        ("a user of another id", other_user, EPOCH, (401, "owner_inactive")),
        ("a user who moved", with("user", "account", json!("0".repeat(32))), EPOCH, (401, "token_invalid")),
        ("an inactive account", with("account", "active", json!(false)), EPOCH, (401, "owner_inactive")),
        ("no address", with("key_security", "allowed_addresses", json!([])), EPOCH, (403, "key_address_refused")),
        ("another address", with("key_security", "allowed_addresses", json!(["10.0.0.0/8"])), EPOCH, (403, "key_address_refused")),
        ("this address", with("key_security", "allowed_addresses", json!(["127.0.0.1"])), EPOCH, allowed),
        ("no rights", without("attachment"), EPOCH, (403, "implicit_deny")),
        ("no token key", without("token_key"), EPOCH, (401, "token_invalid")),
        ("a token key that ended", with("token_key", "not_after", json!(past)), EPOCH, (401, "token_invalid")),
        ("one that will end", with("token_key", "not_after", json!("2026-11-20T22:29:46Z")), EPOCH, allowed),
        (
            "another token key",
            with("token_key", "public_key", json!(signer(TOKEN_KEY, 2).public_key().to_string())),
            EPOCH,
            (401, "token_invalid"),
        ),
        ("tokens ended after it was issued", with("tokens_valid_from", "sequence", json!(4)), EPOCH, (401, "token_invalid")),
        ("tokens ended before it was issued", with("tokens_valid_from", "sequence", json!(2)), EPOCH, allowed),
        ("tokens of another user ended", with("tokens_valid_from", "user", json!(OTHER_USER)), EPOCH, allowed),
        ("it was revoked", with("revoked_token", "id", json!(TOKEN)), EPOCH, (401, "token_invalid")),
        ("it was revoked, for longer than it lives", long_revoked, EPOCH, (401, "token_invalid")),
        ("another epoch", whole(), EPOCH + 1, (401, "token_invalid")),
    ] {
        follow(&world, &changes, epoch);
        let before = backend.count();
        assert_eq!(ask(&world, &[&line]).verdict(), expected, "{what}");
        assert_eq!(backend.count() - before, usize::from(expected == allowed), "{what}");
        follow(&world, &whole(), EPOCH);
        assert_eq!(ask(&world, &[&line]).verdict(), allowed, "after {what}");
    }
}

#[test]
fn a_revoked_token_is_refused_in_every_spelling_also_where_it_was_remembered() {
    let (backend, world) = following();
    let token = token();
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    assert_eq!(ask(&world, &[&format!("X-Auth-Token: {token}")]).verdict(), (200, "allow"));
    let revoked = records(|kind, record| {
        if kind == "revoked_token" {
            record["id"] = json!(TOKEN);
        }
        true
    });
    // Also where its record cannot be read.
    let unreadable = revoked.iter().cloned().map(|change| match change {
        Change::Put { key, .. } if key.starts_with("revoked_token/") => Change::Put { key, record: "{}".to_owned() },
        other @ (Change::Put { .. } | Change::Delete { .. }) => other,
    });
    for changes in [revoked.clone(), unreadable.collect()] {
        follow(&world, &changes, EPOCH);
        let before = backend.count();
        let (cut, last) = (signature.get(..signature.len() - 1).unwrap(), signature.chars().last().unwrap());
        // The last letter of a signature has four bits that say nothing.
        let next = char::from(u8::try_from(last).unwrap() + 1);
        for text in [
            token.clone(),
            format!("{token}="),
            format!("{token}A"),
            format!("{token}."),
            format!("{token},"),
            format!("{head}=.{claims}.{signature}"),
            format!("{head}.{claims}=.{signature}"),
            format!("{head}.{claims}.{cut}"),
            format!("{head}.{claims}.{cut}{next}"),
            format!("{head}.{claims}.{}", signature.to_uppercase()),
            token.to_uppercase(),
            token.replace('-', "+").replace('_', "/") + "==",
        ] {
            for line in [format!("X-Auth-Token: {text}"), format!("Authorization: Bearer {text}"), format!("authorization: bEARER {text}")]
            {
                assert_eq!(ask(&world, &[&line]).verdict(), (401, "token_invalid"), "{line}");
            }
        }
        assert_eq!(backend.count(), before);
    }
    // Another one of the same user is not concerned.
    let other = Claims { id: "1d000000000000000000000000000003".parse().unwrap(), ..self::claims() };
    assert_eq!(ask(&world, &[&format!("X-Auth-Token: {}", token_by(&signer(TOKEN_KEY, 1), &other))]).verdict(), (200, "allow"));
}

#[test]
fn a_token_loses_what_a_group_gave_with_the_group() {
    let (_backend, world) = following();
    let line = format!("X-Auth-Token: {}", token());
    let group = "96000000000000000000000000000001";
    let by_group = records(|kind, record| {
        if kind == "attachment" {
            record.as_object_mut().unwrap().remove("user");
            record["group"] = json!(group);
        }
        true
    });
    let with = |more: &[Json]| {
        let more = more.iter().map(|record| {
            let record = record.to_string();
            Change::Put { key: read_json(&record).unwrap().key().to_string(), record }
        });
        by_group.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    let whole = [
        json!({"kind": "group", "id": group, "account": ACCOUNT, "name": "all"}),
        json!({"kind": "membership", "group": group, "user": USER}),
    ];
    for (what, more, expected) in [
        ("a member of the group", &whole[..], (200, "allow")),
        ("no member any more", &whole[..1], (403, "implicit_deny")),
        ("a member again", &whole, (200, "allow")),
        // What belongs to nothing is not overlooked: there may have been a Deny behind it.
        ("a group that is gone before what names it", &whole[1..], (403, "invalid_policy")),
    ] {
        follow(&world, &with(more), EPOCH);
        assert_eq!(ask(&world, &[&line]).verdict(), expected, "{what}");
    }
}

#[test]
fn an_unknown_token_key_and_a_wrong_signature_get_the_same_answer() {
    let (_backend, world) = following();
    let unknown = token_by(&signer(&"0".repeat(32), 1), &claims());
    let wrong = token_by(&signer(TOKEN_KEY, 2), &claims());
    // Whoever has the private half of the decoy has nothing.
    let decoy_seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let decoy_seed: Vec<u8> = decoy_seed.as_bytes().chunks(2).map(pair).collect();
    let decoy = Signer::new("0".repeat(32).parse().unwrap(), &Secret::new(decoy_seed)).unwrap();
    let of_another = Claims {
        account: "0".repeat(32).parse().unwrap(),
        subject: format!("srn:e::{}:::scp-iam:user/{USER}", "0".repeat(32)),
        ..claims()
    };
    let of_another = token_by(&signer(TOKEN_KEY, 1), &of_another);
    let answers = [unknown, wrong, token_by(&decoy, &claims()), of_another, "x".to_owned()].map(|token| {
        let answer = ask(&world, &[&format!("X-Auth-Token: {token}")]);
        let id = answer.request_id().to_owned();
        (answer.status, answer.text().replace(&id, "ID"))
    });
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[test]
fn nobody_issues_tokens_in_file_mode() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    for epoch in [EPOCH, 0] {
        let token = token_by(&signer(TOKEN_KEY, 1), &Claims { epoch, ..claims() });
        for line in [format!("X-Auth-Token: {token}"), format!("Authorization: Bearer {token}")] {
            assert_eq!(ask(&world, &[&line]).verdict(), (401, "token_invalid"));
        }
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn the_token_of_a_console_login_is_used_from_allowed_addresses_only_whatever_the_keys_may() {
    let (backend, world) = following();
    let console = Claims { access_key: None, ..claims() };
    let line = format!("X-Auth-Token: {}", token_by(&signer(TOKEN_KEY, 1), &console));
    let refused = (403, "console_address_refused");
    let allowed = (200, "allow");
    let with = |kind: &'static str, member: &'static str, value: Json| {
        records(move |found, record| {
            if found == kind {
                record[member] = value.clone();
            }
            true
        })
    };
    let of_account = |addresses: Json| {
        let mut changes = whole();
        let record = json!({"kind": "console_access", "account": ACCOUNT, "allowed_addresses": addresses}).to_string();
        changes.push(Change::Put { key: format!("console_access/account/{ACCOUNT}"), record });
        changes
    };
    for (what, changes, expected) in [
        ("not used", whole(), allowed),
        ("this address", with("console_access", "allowed_addresses", json!(["10.0.0.0/8", "127.0.0.0/8"])), allowed),
        ("another address", with("console_access", "allowed_addresses", json!(["10.0.0.0/8"])), refused),
        ("used and empty", with("console_access", "allowed_addresses", json!([])), refused),
        ("the account's, this address", of_account(json!(["127.0.0.1"])), allowed),
        ("the account's, another address", of_account(json!(["127.0.0.2"])), refused),
        ("the account's, used and empty", of_account(json!([])), refused),
        // What holds for keys holds for keys.
        ("no address for keys", with("key_security", "allowed_addresses", json!([])), allowed),
        ("temporary keys only", with("key_security", "authentication_method", json!("TemporaryKey")), allowed),
        ("no key", records(|found, _| found != "access_key"), allowed),
        ("ended", with("tokens_valid_from", "sequence", json!(4)), (401, "token_invalid")),
        ("an inactive user", with("user", "active", json!(false)), (401, "owner_inactive")),
        ("an inactive account", with("account", "active", json!(false)), (401, "owner_inactive")),
        ("no rights", records(|found, _| found != "attachment"), (403, "implicit_deny")),
    ] {
        follow(&world, &changes, EPOCH);
        let before = backend.count();
        let answer = ask(&world, &[&line]);
        assert_eq!(answer.verdict(), expected, "{what}: {}", answer.text());
        assert_eq!(backend.count() - before, usize::from(expected == allowed), "{what}");
        if expected == allowed {
            let assertion = backend.last().header("portcullis-assertion").unwrap();
            assert!(assertion.contains(";type=ConsoleLogin;key=;mfa=false;"), "{assertion}");
        }
    }
    // Tokens of keys do not ask for the console's list, and a signature does not either.
    follow(&world, &with("console_access", "allowed_addresses", json!([])), EPOCH);
    assert_eq!(ask(&world, &[&format!("X-Auth-Token: {}", token())]).verdict(), allowed);
    assert_eq!(world.ask(Ask::get("/v1/groups").by(&ADMIN)).verdict(), allowed);
}
