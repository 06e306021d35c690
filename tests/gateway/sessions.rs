//! Sessions of roles at a gateway that follows a control plane: who they are, what they may do, and what ends them.

use portcullis::access::{AwsSignatures, Replay};
use portcullis::authn::assertion::{Presented, RequestLine, Session};
use portcullis::authn::session::{Claims, SessionKey};
use portcullis::authn::sigv4::Profile;
use portcullis::snapshot::wire::{Change, read_json};
use portcullis::types::{AccessKeyId, Secret, SigningKey, Timestamp};
use serde_json::{Value as Json, json};

use super::aws::Aws;
use super::backend::Backend;
use super::client::{Answer, Ask, NOW_MS, Who};
use super::harness::{ACCOUNT, ADMIN, OTHER_ACCOUNT, Setup, UPSTREAM_KEY, World, nobodys, number, text};
use super::signatures::{CLASSIC, Parts};
use super::tokens::{self, EPOCH, TOKEN_KEY, USER, follow_with, sealing_key, signer};

/// A role of another account than the user who takes it.
const ROLE: &str = "901e0000000000000000000000000001";
const KEY: &str = "5e550000000000000000000000000001";
const ALLOW: (u16, &str) = (200, "allow");
const MISMATCH: (u16, &str) = (401, "signature_mismatch");
const INVALID: (u16, &str) = (401, "session_token_invalid");
const INACTIVE: (u16, &str) = (401, "owner_inactive");
const IMPLICIT: (u16, &str) = (403, "implicit_deny");

const DEFINITION: &str = r#"
kind: scp-iam:action-definition
service: iam
service_type: scp-iam
paths:
  /v1/public:
    get: {authentication: none}
  /v1/groups:
    get: {action: iam:ListGroups, access_level: List}
    post: {action: iam:CreateGroup, access_level: Create}
  /v1/groups/{id}:
    get: {action: iam:ShowGroup, access_level: Read, resources: [{'iam:group': {resource_id: "path['id']"}}]}
    delete: {action: iam:DeleteGroup, access_level: Delete, resources: [{'iam:group': {resource_id: "path['id']"}}]}
"#;

fn role_srn() -> String {
    format!("srn:e::{OTHER_ACCOUNT}:::scp-iam:role/{ROLE}")
}

fn user_srn() -> String {
    format!("srn:e::{ACCOUNT}:::scp-iam:user/{USER}")
}

/// A policy of these statements.
fn document(statements: &str) -> String {
    format!(r#"{{"Version": "2024-07-01", "Statement": [{statements}]}}"#)
}

/// What the role may do; the user who takes it may do everything in their own account.
const OF_ROLE: &str = r#"{"Effect": "Allow", "Action": ["iam:List*", "iam:Show*", "iam:Create*"], "Resource": ["*"]}"#;

fn put(record: &Json) -> Change {
    let record = record.to_string();
    Change::Put { key: read_json(&record).unwrap().key().to_string(), record }
}

/// What the control plane feeds, with a role that may do what these statements say; a test changes a record.
fn records(statements: &str, change: impl Fn(&str, &mut Json) -> bool) -> Vec<Change> {
    let policy = "90110000000000000000000000000002";
    let of_role = [
        json!({"kind": "account", "id": OTHER_ACCOUNT, "name": "second"}),
        json!({"kind": "role", "id": ROLE, "account": OTHER_ACCOUNT, "name": "deployer"}),
        json!({"kind": "policy", "id": policy, "account": OTHER_ACCOUNT, "name": "some", "document": document(statements)}),
        json!({"kind": "attachment", "policy": policy, "role": ROLE}),
        json!({"kind": "sessions_valid_from", "role": ROLE, "sequence": 3}),
    ];
    let of_role = of_role.into_iter().filter_map(|mut record| {
        let kind = record["kind"].as_str().unwrap().to_owned();
        change(&format!("{kind} of the role"), &mut record).then(|| put(&record))
    });
    let of_user = tokens::records(|kind, record| {
        if kind == "definition" {
            record["document"] = json!(DEFINITION);
        }
        change(kind, record)
    });
    of_user.into_iter().chain(of_role).collect()
}

fn whole() -> Vec<Change> {
    records(OF_ROLE, |_, _| true)
}

fn publish(world: &World, changes: &[Change], epoch: u64) {
    let profile = Profile::Generic;
    let sigv4 = AwsSignatures { service: "iam".into(), regions: None, profile, unsigned_payload: true };
    follow_with(world, changes, epoch, (Replay::Changing, Some(sigv4)));
}

fn following() -> (Backend, World) {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    publish(&world, &whole(), EPOCH);
    (backend, world)
}

fn claims() -> Claims {
    Claims {
        subject: role_srn(),
        role: ROLE.parse().unwrap(),
        account: OTHER_ACCOUNT.parse().unwrap(),
        access_key: KEY.parse().unwrap(),
        source: user_srn(),
        user: USER.parse().unwrap(),
        name: "build-7".to_owned(),
        mfa: false,
        policy: None,
        id: "1d000000000000000000000000000001".parse().unwrap(),
        issued_at: Timestamp::from_milliseconds(NOW_MS - 60_000),
        expires_at: Timestamp::from_milliseconds(NOW_MS + 1_000),
        epoch: EPOCH,
        sequence: 3,
    }
}

fn token_of(claims: &Claims) -> String {
    String::from_utf8(claims.sign(&signer(TOKEN_KEY, 1)).unwrap().expose().to_vec()).unwrap()
}

fn token() -> String {
    token_of(&claims())
}

fn narrowed(statements: &str) -> String {
    token_of(&Claims { policy: Some(document(statements)), ..claims() })
}

/// The key pair of a session.
fn session(access_key: &str) -> Who {
    let key: AccessKeyId = access_key.parse().unwrap();
    let secret = SessionKey::new(&sealing_key()).secret(EPOCH, key);
    let text = String::from_utf8(secret.expose().to_vec()).unwrap();
    Who { key: key.to_string().leak(), secret: text.leak() }
}

fn line(token: &str) -> String {
    format!("X-Auth-Token: {token}")
}

fn ask_for(world: &World, target: &str, token: &str) -> Answer {
    world.ask(Ask::get(target).line(&line(token)).by(&session(KEY)))
}

fn ask(world: &World, token: &str) -> Answer {
    ask_for(world, "/v1/groups", token)
}

/// The request in each of the ways in which a session signs.
fn ways(who: Who, token: &str) -> Vec<(&'static str, Vec<u8>)> {
    let classic = Parts::signed_by(&CLASSIC, &who, ("GET", "/v1/groups"), "", NOW_MS);
    let classic = Parts { more: format!("X-Auth-Token: {token}\r\n"), ..classic };
    let aws = Aws { who, ..Aws::new("GET", "/v1/groups") };
    vec![
        ("v2", Ask::get("/v1/groups").line(&line(token)).by(&who)),
        ("Classic", classic.bytes()),
        ("SigV4", aws.clone().header("x-amz-security-token", token).signed()),
        ("presigned", aws.query(&format!("X-Amz-Security-Token={token}")).presigned("60")),
    ]
}

#[test]
fn a_session_is_its_role_in_every_dialect_and_nobody_sees_its_token() {
    let (backend, mut world) = following();
    let (who, token) = (session(KEY), token_of(&Claims { mfa: true, ..claims() }));
    for (way, request) in ways(who, &token) {
        let answer = world.ask(request);
        assert_eq!(answer.verdict(), ALLOW, "{way}: {}", answer.text());
        assert_eq!(answer.header("portcullis-revision"), Some("7.3"));
        let seen = backend.last();
        let told = |name: &str| seen.header(name).unwrap_or_default();
        assert_eq!((told("portcullis-principal"), &*told("portcullis-account")), (role_srn(), OTHER_ACCOUNT));
        let assertion = told("portcullis-assertion");
        let presented = Presented::parse(&assertion).unwrap();
        let (principal, id) = (role_srn(), told("portcullis-request-id"));
        let line = RequestLine { method: "GET", target: "/v1/groups", principal: &principal, account: OTHER_ACCOUNT, request_id: &id };
        assert!(presented.verify(&SigningKey::new(&Secret::new(UPSTREAM_KEY.as_bytes())), &line), "{assertion}");
        assert_eq!((presented.authentication_type, presented.access_key, presented.mfa), ("RoleSession", KEY, "true"));
        assert_eq!(presented.session, Some(Session { name: "build-7", source: &user_srn(), narrowed: "false" }));
        assert!(token.split('.').all(|part| !seen.head.contains(part)) && !seen.head.contains(who.secret), "{}", seen.head);
        let record = world.record(answer.request_id());
        let member = |name: &str| text(&record, name).map(str::to_owned);
        assert_eq!((member("principal"), member("role_name")), (Some(role_srn()), Some("deployer".to_owned())));
        assert_eq!((member("session_name"), member("session_source")), (Some("build-7".to_owned()), Some(user_srn())));
        assert_eq!((member("user_name"), member("authentication_type")), (None, Some("RoleSession".to_owned())));
    }
    world.stop();
    let log = std::fs::read_to_string(world.folder().join("decisions.jsonl")).unwrap();
    assert!(token.split('.').all(|part| !log.contains(part)) && !log.contains(who.secret), "{log}");
}

#[test]
fn what_the_user_may_does_not_count_and_what_the_role_may_counts_in_its_account() {
    let (_backend, world) = following();
    let token = token();
    assert_eq!(ask_for(&world, "/v1/groups/g1", &token).verdict(), ALLOW);
    let delete = Ask::new("DELETE", "/v1/groups/g1");
    assert_eq!(world.ask(delete.clone().line(&line(&token)).by(&session(KEY))).verdict(), IMPLICIT);
    assert_eq!(world.ask(delete.by(&ADMIN)).verdict(), ALLOW);
    let of_account = |account: &str| Ask::get("/v1/groups").line(&line(&token)).line(&format!("Scp-AccountId: {account}"));
    let signed = |account: &str| {
        let who = session(KEY);
        let string = format!("GEThttp://iam.test/v1/groups{NOW_MS}{KEY}{account}Openapi");
        let mac = SigningKey::of(who.secret.as_bytes()).mac(string.as_bytes());
        let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, mac);
        world.ask(of_account(account).with(&who.lines(NOW_MS, &signature)))
    };
    assert_eq!(signed(OTHER_ACCOUNT).verdict(), ALLOW);
    assert_eq!(signed(ACCOUNT).verdict(), (403, "account_mismatch"));
}

#[test]
fn a_stranger_learns_nothing_about_sessions() {
    let (backend, world) = following();
    let (token, signed_by) = (token(), |key: &'static str, secret: &'static str| Who { key, secret });
    let wrong = "0".repeat(64).leak();
    let unknown = "5e55000000000000000000000000dead";
    let get = || Ask::get("/v1/groups");
    let answers = [
        ("a session's key, another secret, its token", get().line(&line(&token)).by(&signed_by(KEY, wrong))),
        ("a session's key, another secret, no token", get().by(&signed_by(KEY, wrong))),
        ("a session's key and secret, no token", get().by(&session(KEY))),
        ("an unknown key, its token", get().line(&line(&token)).by(&signed_by(unknown, wrong))),
        ("an unknown key, a text", get().line(&line("x")).by(&signed_by(unknown, wrong))),
        ("a known key, another secret, a token", get().line(&line(&token)).by(&signed_by(ADMIN.key, wrong))),
        ("a known key, another secret, a text", get().line(&line("x")).by(&signed_by(ADMIN.key, wrong))),
        ("a known key, the secret of a session", get().line(&line(&token)).by(&session(ADMIN.key))),
        ("the decoy's secret", get().line(&line(&token)).by(&signed_by(unknown, "a secret that belongs to no key."))),
    ];
    let by_others =
        nobodys().map(|key| ("an unknown key, the secret of another one", get().line(&line(&token)).by(&signed_by(key, ADMIN.secret))));
    let answers: Vec<_> = answers
        .into_iter()
        .chain(by_others)
        .map(|(what, request)| {
            let answer = world.ask(request);
            let id = answer.request_id().to_owned();
            assert_eq!(answer.verdict(), MISMATCH, "{what}");
            (answer.text().replace(&id, "ID"), answer.header("portcullis-revision").map(str::to_owned))
        })
        .collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // Alone it is a token, and none that counts; nor is it one of another kind beside nothing.
    for lines in [line(&token), format!("Authorization: Bearer {token}")] {
        assert_eq!(world.ask(get().line(&lines).plain()).verdict(), (401, "token_invalid"));
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_token_counts_beside_its_own_key_only() {
    let (backend, world) = following();
    let who = session(KEY);
    let by = |token: &str, who: &Who| world.ask(Ask::get("/v1/groups").line(&line(token)).by(who));
    let other_key = "5e550000000000000000000000000002";
    let of_another_key = token_of(&Claims { access_key: other_key.parse().unwrap(), ..claims() });
    let by_another = Claims::sign(&claims(), &signer(TOKEN_KEY, 2)).unwrap();
    let by_another = String::from_utf8(by_another.expose().to_vec()).unwrap();
    for (what, answer, expected) in [
        ("its own", by(&token(), &who), ALLOW),
        ("another session's", by(&of_another_key, &who), INVALID),
        ("beside another session's key", by(&token(), &session(other_key)), INVALID),
        ("beside a permanent key", by(&token(), &ADMIN), INVALID),
        ("a user's token", by(&tokens::token(), &who), INVALID),
        ("a text", by("x", &who), INVALID),
        ("one signed by a stranger", by(&by_another, &who), INVALID),
        ("one byte more", by(&format!("{}A", token()), &who), INVALID),
        (
            "of another role",
            by(&token_of(&Claims { role: KEY.parse().unwrap(), subject: role_srn().replace(ROLE, KEY), ..claims() }), &who),
            INACTIVE,
        ),
        (
            "of the role in another account",
            by(
                &token_of(&Claims { account: ACCOUNT.parse().unwrap(), subject: role_srn().replace(OTHER_ACCOUNT, ACCOUNT), ..claims() }),
                &who,
            ),
            INVALID,
        ),
        ("ended", by(&token_of(&Claims { expires_at: Timestamp::from_milliseconds(NOW_MS), ..claims() }), &who), (401, "token_expired")),
    ] {
        assert_eq!(answer.verdict(), expected, "{what}: {}", answer.text());
    }
    let twice = Ask::get("/v1/groups").line(&line(&token())).line(&line(&token())).by(&who);
    assert_eq!(world.ask(twice).verdict(), (400, "several_credentials"));
    let bearer = Ask::get("/v1/groups").line(&format!("Authorization: Bearer {}", token())).by(&who);
    assert_eq!(world.ask(bearer).verdict(), (400, "several_credentials"));
    let aws = Aws { who, ..Aws::new("GET", "/v1/groups") };
    let both = aws.clone().header("x-amz-security-token", &token()).query(&format!("X-Amz-Security-Token={}", token()));
    assert_eq!(world.ask(both.signed()).verdict(), (400, "several_credentials"));
    assert_eq!(world.ask(both.presigned("60")).verdict(), (401, "credential_malformed"));
    let mut other_header = aws;
    other_header.more = format!("{}\r\n", line(&token()));
    assert_eq!(world.ask(other_header.signed()).verdict(), (400, "several_credentials"));
    assert_eq!(backend.count(), 1);
}

#[test]
fn a_session_is_checked_again_with_every_snapshot() {
    let (backend, world) = following();
    let token = token();
    let with = |kind: &'static str, member: &'static str, value: Json| {
        records(OF_ROLE, move |found, record| {
            if found == kind {
                record[member] = value.clone();
            }
            true
        })
    };
    let without = |kind: &'static str| records(OF_ROLE, move |found, _| found != kind);
    let past = "2026-11-20T22:29:45Z";
    for (what, changes, epoch, expected) in [
        ("a role that is gone", without("role of the role"), EPOCH, INACTIVE),
        ("a role that moved", with("role of the role", "account", json!(ACCOUNT)), EPOCH, INVALID),
        ("an inactive account", with("account of the role", "active", json!(false)), EPOCH, INACTIVE),
        ("no account", without("account of the role"), EPOCH, INACTIVE),
        ("no policy", without("attachment of the role"), EPOCH, IMPLICIT),
        ("a policy that is gone before its attachment", without("policy of the role"), EPOCH, (403, "invalid_policy")),
        ("sessions ended after it was issued", with("sessions_valid_from of the role", "sequence", json!(4)), EPOCH, INVALID),
        ("sessions ended before it was issued", with("sessions_valid_from of the role", "sequence", json!(2)), EPOCH, ALLOW),
        ("sessions of another role ended", with("sessions_valid_from of the role", "role", json!(KEY)), EPOCH, ALLOW),
        ("no user", without("user"), EPOCH, INACTIVE),
        ("an inactive user", with("user", "active", json!(false)), EPOCH, INACTIVE),
        ("a user who moved", with("user", "account", json!(OTHER_ACCOUNT)), EPOCH, INVALID),
        ("the user's account is inactive", with("account", "active", json!(false)), EPOCH, INACTIVE),
        ("the user's tokens ended after it was issued", with("tokens_valid_from", "sequence", json!(4)), EPOCH, INVALID),
        ("the user has no rights any more", without("attachment"), EPOCH, ALLOW),
        ("the user has no key any more", without("access_key"), EPOCH, ALLOW),
        ("the user's keys are good nowhere", with("key_security", "allowed_addresses", json!([])), EPOCH, ALLOW),
        ("no token key", without("token_key"), EPOCH, INVALID),
        ("a token key that ended", with("token_key", "not_after", json!(past)), EPOCH, INVALID),
        ("another token key", with("token_key", "public_key", json!(signer(TOKEN_KEY, 2).public_key().to_string())), EPOCH, INVALID),
        ("other definitions", with("definition", "document", json!(DEFINITION.replace("ListGroups", "ReadGroups"))), EPOCH, IMPLICIT),
        ("another epoch", whole(), EPOCH + 1, MISMATCH),
    ] {
        publish(&world, &changes, epoch);
        let before = backend.count();
        let answer = ask(&world, &token);
        assert_eq!(answer.verdict(), expected, "{what}: {}", answer.text());
        assert_eq!(backend.count() - before, usize::from(expected == ALLOW), "{what}");
        publish(&world, &whole(), EPOCH);
        assert_eq!(ask(&world, &token).verdict(), ALLOW, "after {what}");
    }
}

#[test]
fn the_policy_of_a_session_narrows_it_and_never_widens_it() {
    let (_backend, world) = following();
    let allow = |actions: &str, resource: &str| format!(r#"{{"Effect": "Allow", "Action": {actions}, "Resource": "{resource}"}}"#);
    let deny = |actions: &str, resource: &str| format!(r#"{{"Effect": "Deny", "Action": {actions}, "Resource": "{resource}"}}"#);
    let everything = allow(r#""*""#, "*");
    let explicit = (403, "explicit_deny");
    let invalid = (403, "invalid_policy");
    for (what, statements, list, show, delete) in [
        ("everything", everything.clone(), ALLOW, ALLOW, IMPLICIT),
        ("what the role has not", allow(r#""iam:DeleteGroup""#, "*"), IMPLICIT, IMPLICIT, IMPLICIT),
        ("some of what the role has", allow(r#""iam:Show*""#, "*"), IMPLICIT, ALLOW, IMPLICIT),
        ("another group", allow(r#""iam:*""#, "srn:e:::::scp-iam:group/g2"), IMPLICIT, IMPLICIT, IMPLICIT),
        ("this group, of the role's account", allow(r#""iam:*""#, "srn:e:::::scp-iam:group/g1"), IMPLICIT, ALLOW, IMPLICIT),
        ("a Deny alone", deny(r#""iam:ShowGroup""#, "*"), IMPLICIT, explicit, IMPLICIT),
        ("a Deny alone of something else", deny(r#""iam:SetGroup""#, "*"), IMPLICIT, IMPLICIT, IMPLICIT),
        ("a Deny beside everything", format!("{everything}, {}", deny(r#""iam:ShowGroup""#, "*")), ALLOW, explicit, IMPLICIT),
        ("nothing that can be read", r#"{"Effect": "Maybe"}"#.to_owned(), invalid, invalid, invalid),
        (
            "principals",
            everything.replace("\"Action\"", r#""Principal": {"scp": "srn:e::a:::iam:user/u"}, "Action""#),
            invalid,
            invalid,
            invalid,
        ),
    ] {
        let token = narrowed(&statements);
        for _ in 0..2 {
            assert_eq!(ask(&world, &token).verdict(), list, "{what}");
            assert_eq!(ask_for(&world, "/v1/groups/g1", &token).verdict(), show, "{what}");
            let request = Ask::new("DELETE", "/v1/groups/g1").line(&line(&token)).by(&session(KEY));
            assert_eq!(world.ask(request).verdict(), delete, "{what}");
        }
    }
    let answer = ask_for(&world, "/v1/groups/g1", &narrowed(&deny(r#""iam:ShowGroup""#, "*")));
    let record = world.record(answer.request_id());
    assert_eq!((text(&record, "policy"), number(&record, "statement")), (Some("session"), Some(0)));
    let empty = token_of(&Claims { policy: Some(String::new()), ..claims() });
    assert_eq!(ask(&world, &empty).verdict(), invalid);
    // It is what the role may at the time of the request that is narrowed.
    publish(&world, &records(r#"{"Effect": "Deny", "Action": "*", "Resource": "*"}"#, |_, _| true), EPOCH);
    assert_eq!(ask(&world, &narrowed(&everything)).verdict(), explicit);
}

#[test]
fn a_backend_is_told_that_a_session_has_fewer_rights_than_its_role() {
    let (backend, world) = following();
    let token = narrowed(r#"{"Effect": "Allow", "Action": "iam:List*", "Resource": "*"}"#);
    assert_eq!(ask(&world, &token).verdict(), ALLOW);
    assert!(backend.last().header("portcullis-assertion").unwrap().contains(";narrowed=true;"));
}

#[test]
fn a_policy_of_a_session_is_read_by_the_definitions_that_are_in_force() {
    let (_backend, world) = following();
    let token = narrowed(r#"{"Effect": "Allow", "Action": "iam:List*", "Resource": "*"}"#);
    assert_eq!(ask(&world, &token).verdict(), ALLOW);
    let more = DEFINITION.replace(
        "  /v1/groups:\n",
        "  /v1/aaa:\n    get: {action: iam:AddSomething, access_level: Update}\n    put: {action: iam:Aaa, access_level: Update}\n  /v1/groups:\n",
    );
    let changed = records(OF_ROLE, move |kind, record| {
        if kind == "definition" {
            record["document"] = json!(more);
        }
        true
    });
    publish(&world, &changed, EPOCH);
    assert_eq!(ask(&world, &token).verdict(), ALLOW);
    assert_eq!(ask_for(&world, "/v1/groups/g1", &token).verdict(), IMPLICIT);
}

#[test]
fn conditions_see_the_role_and_not_the_user() {
    let (_backend, world) = following();
    let (plain, with_mfa) = (token(), token_of(&Claims { mfa: true, ..claims() }));
    for (condition, without, with) in [
        (r#"{"StringEquals": {"scp:AuthenticationType": "RoleSession"}}"#, ALLOW, ALLOW),
        (r#"{"StringEquals": {"scp:AuthenticationType": "AuthenticationKey"}}"#, IMPLICIT, IMPLICIT),
        (r#"{"Bool": {"scp:MultiFactorAuthPresent": "true"}}"#, IMPLICIT, ALLOW),
        (r#"{"Bool": {"scp:MultiFactorAuthPresent": "false"}}"#, ALLOW, IMPLICIT),
        (r#"{"Null": {"scp:UserName": "true", "scp:UserId": "true"}}"#, ALLOW, ALLOW),
        (r#"{"StringLike": {"scp:UserName": "*"}}"#, IMPLICIT, IMPLICIT),
        (r#"{"IpAddress": {"scp:SourceIp": "127.0.0.0/8"}}"#, ALLOW, ALLOW),
        (r#"{"IpAddress": {"scp:SourceIp": "10.0.0.0/8"}}"#, IMPLICIT, IMPLICIT),
        (r#"{"DateLessThan": {"scp:CurrentTime": "2026-11-21T00:00:00Z"}}"#, ALLOW, ALLOW),
    ] {
        let statement = format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {condition}}}"#);
        publish(&world, &records(&statement, |_, _| true), EPOCH);
        assert_eq!((ask(&world, &plain).verdict(), ask(&world, &with_mfa).verdict()), (without, with), "{condition}");
    }
}

#[test]
fn the_policy_of_a_resource_names_the_role_and_not_who_took_it() {
    let (_backend, world) = following();
    let group = format!("srn:e::{OTHER_ACCOUNT}:::scp-iam:group/g1");
    let naming = |principal: &str| {
        let statement = json!({"Effect": "Allow", "Principal": {"scp": [principal]}, "Action": ["iam:DeleteGroup"], "Resource": [group]});
        let document = document(&statement.to_string());
        let mut changes = whole();
        changes.push(put(&json!({"kind": "resource_policy", "resource": group, "document": document})));
        changes
    };
    let delete = |token: &str| world.ask(Ask::new("DELETE", "/v1/groups/g1").line(&line(token)).by(&session(KEY)));
    publish(&world, &naming(&role_srn()), EPOCH);
    assert_eq!(delete(&token()).verdict(), ALLOW);
    // A session's policy caps this too (R50).
    assert_eq!(delete(&narrowed(r#"{"Effect": "Allow", "Action": "iam:List*", "Resource": "*"}"#)).verdict(), IMPLICIT);
    publish(&world, &naming(&user_srn()), EPOCH);
    assert_eq!(delete(&token()).verdict(), IMPLICIT);
}

#[test]
fn a_signature_of_a_session_is_good_once() {
    let (backend, world) = following();
    let create = Ask::new("POST", "/v1/groups").line(&line(&token())).body("{}");
    let signed = create.by(&session(KEY));
    assert_eq!((world.ask(&signed).verdict(), world.ask(&signed).verdict()), (ALLOW, (401, "replayed")));
    assert_eq!(backend.count(), 1);
}

#[test]
fn all_sessions_together_send_what_the_roles_account_may() {
    let backend = Backend::start();
    let world = Setup::new().set("rates", "{account: {requests_per_s: 1, burst: 4}}").start(&backend);
    publish(&world, &whole(), EPOCH);
    let mut allowed = 0;
    for number in 0..20 {
        let key = format!("5e55{number:028}");
        let token = token_of(&Claims { access_key: key.parse().unwrap(), ..claims() });
        let answer = world.ask(Ask::get("/v1/groups").line(&line(&token)).by(&session(&key)));
        assert!([ALLOW, (429, "too_many_requests")].contains(&answer.verdict()), "{}", answer.text());
        allowed += usize::from(answer.status == 200);
    }
    assert!((4..12).contains(&allowed), "{allowed}");
    assert_eq!(world.ask(Ask::get("/v1/groups").by(&ADMIN)).verdict(), ALLOW, "the user's account is another one");
}

#[test]
fn who_has_a_session_of_a_role_that_is_too_new_may_wait_for_it() {
    let (_backend, world) = following();
    publish(&world, &records(OF_ROLE, |kind, _| kind != "role of the role"), EPOCH);
    let ask = || Ask::get("/v1/groups").line(&line(&token())).line("Portcullis-Min-Revision: 7.4");
    assert_eq!(ask_for(&world, "/v1/groups", &token()).verdict(), INACTIVE);
    assert_eq!(world.ask(ask().by(&session(KEY))).verdict(), (503, "revision_not_reached"));
    // A stranger waits for nothing.
    let wrong = Who { secret: "0", ..session(KEY) };
    assert_eq!(world.ask(ask().by(&wrong)).verdict(), MISMATCH);
}

#[test]
fn nobody_issues_sessions_in_file_mode() {
    let backend = Backend::start();
    let world = Setup::new().set("service", "sigv4: {service: iam}").start(&backend);
    for (way, request) in ways(session(KEY), &token()) {
        assert_eq!(world.ask(request).verdict(), MISMATCH, "{way}");
    }
    let answer = world.ask(Ask::get("/v1/groups").line(&line(&token())).by(&ADMIN));
    assert_eq!(answer.verdict(), INVALID);
    assert_eq!(backend.count(), 0);
}
