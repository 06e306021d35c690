//! Temporary keys: they end with the key they were made with, and only who may use them may; what the owner's setting permits.

use super::backend::Backend;
use super::client::{Ask, NOW_MS, Who};
use super::harness::{ACCOUNT, Setup, World, text};

const PARENT: Who = Who { key: "9a4e0000000000000000000000000001", secret: "parent-secret-000001" };
const CHILD: Who = Who { key: "c41d0000000000000000000000000001", secret: "child-secret-0000001" };
const USER: &str = "7e390000000000000000000000000001";

const ALLOWED: (u16, &str) = (200, "allow");
const NOT_PERMITTED: (u16, &str) = (403, "method_not_permitted");

/// A user with a permanent key and one made with it.
fn people(parent: &str, child: &str, setting: &str) -> Setup {
    let reading = r#"{"Effect": "Allow", "Action": ["iam:Show*", "iam:Make*"], "Resource": ["*"]},
        {"Sid": "Proved", "Effect": "Allow", "Action": ["iam:List*"], "Resource": ["*"],
         "Condition": {"Bool": {"scp:MultiFactorAuthPresent": true}, "StringEquals": {"scp:AuthenticationType": ["TemporaryKey"]}}}"#;
    let setup = Setup::new()
        .set("service", "sigv4: {service: iam}")
        .paths("  /v1/keys:\n    post: {action: iam:MakeKey, access_level: Create, authentication: any_key}")
        .record(&format!("{{kind: user, id: {USER}, account: {ACCOUNT}, name: tess}}"))
        .key(&PARENT, USER, parent)
        .key(&CHILD, USER, &format!(", parent: {}{child}", PARENT.key))
        .policy(ACCOUNT, USER, reading);
    if setting.is_empty() {
        return setup;
    }
    setup.record(&format!("{{kind: key_security, user: {USER}, allowed_addresses: not_used, authentication_method: {setting}}}"))
}

fn verdict(world: &World, who: &Who, path: &str) -> (u16, String) {
    let answer = world.ask(Ask::get(path).by(who));
    (answer.status, answer.verdict().1.to_owned())
}

#[test]
fn a_temporary_key_ends_with_the_key_it_was_made_with() {
    let backend = Backend::start();
    let world = people("", "", "").start(&backend);
    let past = ", expires_at: '2026-11-20T22:29:45Z'";
    for (what, parent, child, expected) in [
        ("both are good", "", "", ALLOWED),
        ("the child is off", "", ", enabled: false", (401, "credential_disabled")),
        ("the child has ended", "", past, (401, "credential_expired")),
        ("the parent is off", ", enabled: false", "", (401, "credential_disabled")),
        ("the parent has ended", past, "", (401, "credential_expired")),
        ("the parent ends in a second", ", expires_at: '2026-11-20T22:29:46Z'", "", ALLOWED),
    ] {
        world.publish(world.changed(|_| people(parent, child, "")));
        let answer = world.ask(Ask::get("/v1/groups/g1").by(&CHILD));
        assert_eq!(answer.verdict(), expected, "{what}: {}", answer.text());
        let told = answer.text().contains("that this temporary key was made with");
        assert_eq!(told, !parent.is_empty() && expected != ALLOWED, "{what}: {}", answer.text());
    }
    assert_eq!(NOW_MS, 1_795_213_785_000, "the ends above are about this moment");
}

#[test]
fn a_passcode_counts_as_a_second_factor_and_backends_are_told() {
    let backend = Backend::start();
    let world = people("", "", "").start(&backend);
    for (who, kind, mfa, listed) in [
        (&PARENT, "AuthenticationKey", "false", (403, "implicit_deny".to_owned())),
        (&CHILD, "TemporaryKey", "true", (200, "allow".to_owned())),
    ] {
        assert_eq!(verdict(&world, who, "/v1/groups"), listed);
        let answer = world.ask(Ask::get("/v1/groups/g1").by(who));
        assert_eq!(answer.verdict(), ALLOWED);
        let assertion = backend.last().header("portcullis-assertion").unwrap();
        assert!(assertion.contains(&format!(";type={kind};key={};mfa={mfa};", who.key)), "{assertion}");
        assert_eq!(text(&world.record(answer.request_id()), "authentication_type"), Some(kind));
    }
}

#[test]
fn only_the_kind_of_key_that_its_owner_has_chosen_may_be_used() {
    let backend = Backend::start();
    let world = people("", "", "").start(&backend);
    for (setting, for_parent, for_child) in [
        ("", ALLOWED, ALLOWED),
        ("Any", ALLOWED, ALLOWED),
        ("AuthenticationKey", ALLOWED, NOT_PERMITTED),
        ("TemporaryKey", NOT_PERMITTED, ALLOWED),
    ] {
        world.publish(world.changed(|_| people("", "", setting)));
        for (who, expected) in [(&PARENT, for_parent), (&CHILD, for_child)] {
            let before = backend.count();
            assert_eq!(world.ask(Ask::get("/v1/groups/g1").by(who)).verdict(), expected, "{setting} {}", who.key);
            assert_eq!(backend.count() - before, usize::from(expected == ALLOWED));
            // How else would somebody get a temporary key who may use nothing else?
            assert_eq!(world.ask(Ask::new("POST", "/v1/keys").by(who)).verdict(), ALLOWED, "{setting} {}", who.key);
            // A wrong signature is told nothing of it.
            let wrong = Who { secret: "not-the-secret-of-it", ..*who };
            assert_eq!(world.ask(Ask::get("/v1/groups/g1").by(&wrong)).verdict(), (401, "signature_mismatch"));
        }
    }
    // Either kind of key for the route is not either address.
    world.publish(world.changed(|_| {
        people("", "", "")
            .record(&format!("{{kind: key_security, user: {USER}, allowed_addresses: [], authentication_method: TemporaryKey}}"))
    }));
    assert_eq!(world.ask(Ask::new("POST", "/v1/keys").by(&CHILD)).verdict(), (403, "key_address_refused"));
}
