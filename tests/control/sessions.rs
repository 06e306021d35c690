//! Taking a role: who may, for how long, what the answer and the token say, and what a role's session may do here.

use portcullis::authn::session::{Claims, Presented, SessionKey};
use portcullis::authn::token::PublicKey;
use portcullis::types::Timestamp;
use serde_json::{Value as Json, json};

use super::harness::{Answer, Control, IDENTITY_KEY, NOW_MS, Request, Who, members, sealing_key};
use super::policies::details;
use super::roles::{call, create, everybody, keyed, policy, trust, user};

const TARGET: &str = "/v1/assume-role";

/// What names a role.
fn indicator(account: &str, name: &str) -> String {
    format!("e:{account}:{name}")
}

async fn assume(control: &Control, who: &Who, role: &str, more: Json) -> Answer {
    control.send(asking(who, "AuthenticationKey", role, more)).await
}

fn asking(who: &Who, kind: &str, role: &str, more: Json) -> Request {
    let mut body = json!({"role_session_name": "ci", "role_indicator": role});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    Request::signed(who, kind, "POST", TARGET, NOW_MS, IDENTITY_KEY).body(Some(body))
}

/// The session of an answer, as a gateway vouches for it: which user is behind it, and whether it is narrowed.
fn session(account: &str, answer: &Answer, source: &Who, narrowed: bool) -> Who {
    let body = answer.json(200);
    Who {
        account: account.to_owned(),
        srn: body["assumed_role_user"]["srn"].as_str().unwrap().to_owned(),
        key: body["credentials"]["access_key_id"].as_str().unwrap().to_owned(),
        session: Some(("ci", source.srn.clone(), narrowed)),
    }
}

/// What the token of an answer says to a gateway that follows the store.
async fn claims(control: &Control, answer: &Answer) -> Claims {
    let records = control.records().await;
    let (_, record) = records.iter().find(|(key, _)| key.starts_with("token_key/")).unwrap();
    let record: Json = serde_json::from_str(record).unwrap();
    let key: PublicKey = record["public_key"].as_str().unwrap().parse().unwrap();
    let body = answer.json(200);
    Presented::parse(body["credentials"]["session_token"].as_str().unwrap().as_bytes())
        .unwrap()
        .verify(&key, control.store.epoch())
        .unwrap()
}

#[track_caller]
fn refused(answer: &Answer, part: &str) {
    let (code, detail) = answer.error(403);
    assert_eq!(code, "Forbidden");
    assert!(detail.as_str().unwrap().contains(part), "{detail} does not say `{part}`");
}

#[tokio::test]
async fn whoever_takes_a_role_gets_a_key_pair_and_its_token() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let role = create(&control, &root, "deploy", &[&everybody(&root.account)], &[]).await;
    let narrow = json!({"Version": "2024-07-01", "Statement": {"Effect": "Allow", "Action": "iam:*[List]", "Resource": "*"}});
    let mut issued = Vec::new();
    for (more, duration_s, kept) in [
        (json!({}), 3_600, None),
        (json!({"duration_seconds": 3_600, "policy": null}), 3_600, None),
        (
            json!({"policy": narrow}),
            3_600,
            Some(r#"{"Version":"2024-07-01","Statement":[{"Effect":"Allow","Action":["iam:*[List]"],"Resource":["*"]}]}"#),
        ),
        (
            json!({"policy": narrow.to_string()}),
            3_600,
            Some(r#"{"Version":"2024-07-01","Statement":[{"Effect":"Allow","Action":["iam:*[List]"],"Resource":["*"]}]}"#),
        ),
    ] {
        let answer = assume(&control, &admin, &indicator(&root.account, "deploy"), more).await;
        let body = answer.json(200);
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        assert_eq!(members(&body), ["assumed_role_user", "credentials"]);
        assert_eq!(members(&body["credentials"]), ["access_key_id", "expiration", "secret_access_key", "session_token"]);
        let srn = format!("srn:e::{}:::scp-iam:role/{role}", root.account);
        assert_eq!(body["assumed_role_user"], json!({"assumed_role_id": format!("{role}:ci"), "srn": srn}));
        let said = claims(&control, &answer).await;
        let expected = Claims {
            subject: srn,
            role: role.parse().unwrap(),
            account: control.first.account,
            access_key: body["credentials"]["access_key_id"].as_str().unwrap().parse().unwrap(),
            source: admin.srn.clone(),
            user: control.first.administrator,
            name: "ci".to_owned(),
            mfa: false,
            policy: kept.map(str::to_owned),
            id: said.id,
            issued_at: Timestamp::from_milliseconds(NOW_MS),
            expires_at: Timestamp::from_milliseconds(NOW_MS + duration_s * 1_000),
            epoch: control.store.epoch(),
            sequence: *control.store.head().borrow(),
        };
        assert_eq!(said, expected);
        assert_eq!(body["credentials"]["expiration"], said.expires_at.to_string());
        assert_eq!(answer.header("Portcullis-Committed-Revision"), Some(&*format!("{}.{}", said.epoch, said.sequence)));
        let secret = SessionKey::new(&sealing_key()).secret(control.store.epoch(), said.access_key);
        assert_eq!(body["credentials"]["secret_access_key"].as_str().unwrap().as_bytes(), secret.expose());
        issued.push((said.access_key, body["credentials"]["secret_access_key"].clone(), body["credentials"]["session_token"].clone()));
    }
    assert!(issued.iter().enumerate().all(|(index, one)| issued[..index].iter().all(|other| one.0 != other.0 && one.1 != other.1)));
    // Gateways need nothing for it, and neither the store nor the log has what makes it good.
    let keys: Vec<String> = control.records().await.into_iter().map(|(key, body)| key + &body).collect();
    assert!(issued.iter().all(|(key, ..)| keys.iter().all(|record| !record.contains(&key.to_string()))));
    let log = control.call(&root, "GET", "/portcullis/v1/audit?action=sts:AssumeRole&size=1", None).await.json(200);
    let entry = &log["entries"][0];
    assert_eq!((&entry["account_id"], &entry["user_id"]), (&json!(root.account), &json!(control.first.administrator.to_string())));
    assert_eq!((&entry["after"]["access_key_id"], &entry["after"]["source"]), (&json!(issued[3].0.to_string()), &json!(admin.srn)));
    assert_eq!((&entry["after"]["role_session_name"], &entry["session"]), (&json!("ci"), &Json::Null));
    assert_eq!(entry["after"]["policy"]["Statement"][0]["Action"], json!(["iam:*[List]"]));
    for file in ["portcullis.db", "portcullis.db-wal"] {
        let bytes = std::fs::read(control.folder.path().join(file)).unwrap();
        for (_, secret, token) in &issued {
            for text in [secret, token] {
                let text = text.as_str().unwrap().as_bytes();
                assert!(!bytes.windows(text.len()).any(|window| window == text), "{file}");
            }
        }
    }
}

#[tokio::test]
async fn in_ones_own_account_both_sides_must_allow() {
    let control = Control::start().await;
    let root = keyed(&control, &control.root(), control.root()).await;
    let account = root.account.clone();
    let assuming = policy(&control, &root, "assuming", "Allow", &["sts:AssumeRole"]).await;
    let denying = policy(&control, &root, "denying", "Deny", &["sts:*"]).await;
    let allowed = user(&control, &root, "allowed", &[&assuming]).await;
    let denied = user(&control, &root, "denied", &[&assuming, &denying]).await;
    let poor = user(&control, &root, "poor", &[]).await;
    let open = create(&control, &root, "open", &[&everybody(&account)], &[]).await;
    create(&control, &root, "poors", &[&poor.srn, &denied.srn], &[]).await;
    let not_allowed = format!("your policies do not allow `sts:AssumeRole` on `srn:e::{account}:::scp-iam:role/{open}`");
    let untrusted =
        |name: &str| format!("there is no role `{}` that trusts you: its trust policy does not let you", indicator(&account, name));
    let by_policy = format!("statement 1 of your policy `{denying}` denies `sts:AssumeRole`");
    for (who, name, expected) in [
        (&allowed, "open", None),
        (&root, "open", None),
        (&poor, "open", Some(not_allowed)),
        (&denied, "open", Some(by_policy.clone())),
        // Being named is not enough, and having the right is not enough.
        (&poor, "poors", Some("your policies do not allow".to_owned())),
        (&denied, "poors", Some(by_policy)),
        (&allowed, "poors", Some(untrusted("poors"))),
        (&root, "poors", Some(untrusted("poors"))),
        (&allowed, "none", Some(format!("there is no role `{}` that trusts you", indicator(&account, "none")))),
    ] {
        let answer = assume(&control, who, &indicator(&account, name), json!({})).await;
        match expected {
            None => assert_eq!(answer.status, 200, "{name}: {}", answer.body),
            Some(part) => refused(&answer, &part),
        }
    }
}

#[tokio::test]
async fn a_trust_policy_denies_and_asks_for_conditions() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let account = root.account.clone();
    let statement = |effect: &str, condition: Json| json!({"Effect": effect, "Principal": {"scp": [everybody(&account)]}, "Action": ["sts:AssumeRole"], "Resource": ["*"], "Condition": condition});
    let address = |address: &str| json!({"IpAddress": {"scp:SourceIp": [address]}});
    for (name, statements, expected) in [
        ("here", json!([statement("Allow", address("203.0.113.0/24"))]), None),
        ("there", json!([statement("Allow", address("198.51.100.0/24"))]), Some("its trust policy does not let you")),
        (
            "denied",
            json!([statement("Allow", json!({})), statement("Deny", address("203.0.113.9"))]),
            Some("the trust policy of the role denies"),
        ),
        ("twice", json!([statement("Allow", json!({"Bool": {"scp:MultiFactorAuthPresent": ["true"]}}))]), Some("does not let you")),
        ("signed", json!([statement("Allow", json!({"StringEquals": {"scp:AuthenticationType": ["AuthenticationKey"]}}))]), None),
        ("tagged", json!([statement("Allow", json!({"StringEquals": {"scp:ResourceTag/team": ["ops"]}}))]), None),
        ("else", json!([statement("Allow", json!({"StringEquals": {"scp:ResourceTag/team": ["dev"]}}))]), Some("does not let you")),
        // What the request says beside that is not known here, and denies.
        (
            "body",
            json!([statement("Allow", json!({})), statement("Deny", json!({"StringEquals": {"scp:RequestAttribute/body['x']": ["y"]}}))]),
            Some("cannot be read, or depends on what is not known"),
        ),
    ] {
        let document = json!({"Version": "2024-07-01", "Statement": statements});
        let body = json!({"name": name, "assume_role_policy_document": document, "tags": [{"key": "team", "value": "ops"}]});
        assert_eq!(control.call(&root, "POST", "/v1/roles", Some(body)).await.status, 202, "{name}");
        let answer = assume(&control, &admin, &indicator(&account, name), json!({})).await;
        match expected {
            None => assert_eq!(answer.status, 200, "{name}: {}", answer.body),
            Some(part) => refused(&answer, part),
        }
    }
    let twice = control.send(asking(&admin, "TemporaryKey", &indicator(&account, "twice"), json!({}))).await;
    assert_eq!(twice.status, 200, "{}", twice.body);
}

#[tokio::test]
async fn strangers_do_not_learn_which_roles_there_are() {
    let control = Control::start().await;
    let (root, other) = (keyed(&control, &control.root(), control.root()).await, control.other_account().await);
    let (account, assuming) = (other.account.clone(), policy(&control, &root, "assuming", "Allow", &["sts:AssumeRole"]).await);
    let (poor, allowed) = (user(&control, &root, "poor", &[]).await, user(&control, &root, "allowed", &[&assuming]).await);
    let shared = create(&control, &other, "shared", &[&everybody(&root.account)], &[]).await;
    create(&control, &other, "private", &[&other.srn], &[]).await;
    create(&control, &other, "short", &[&other.srn], &[]).await;
    let head = *control.store.head().borrow();
    for (who, name, more) in [
        (&poor, "shared", json!({})),
        (&poor, "private", json!({})),
        (&poor, "none", json!({})),
        (&allowed, "private", json!({"duration_seconds": 43_200})),
        (&allowed, "none", json!({"duration_seconds": 43_200})),
        (&root, "private", json!({})),
        (&root, "none", json!({})),
    ] {
        let name = indicator(&account, name);
        let (code, detail) = assume(&control, who, &name, more).await.error(403);
        let expected = format!("there is no role `{name}` that trusts you, or your own policies do not allow `sts:AssumeRole` on it");
        assert_eq!((code, detail), ("Forbidden".to_owned(), json!(expected)));
    }
    assert_eq!(*control.store.head().borrow(), head);
    for who in [&allowed, &root] {
        assert_eq!(assume(&control, who, &indicator(&account, "shared"), json!({})).await.status, 200);
    }
    // Both accounts see it: whom they have let in, and which of their people went there.
    for (reader, whose) in [(&other, &other.account), (&root, &root.account)] {
        let log = control.call(reader, "GET", "/portcullis/v1/audit?action=sts:AssumeRole", None).await.json(200);
        let entries = log["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        for (entry, who) in entries.iter().zip([&root, &allowed]) {
            assert_eq!((&entry["account_id"], &entry["srn"], &entry["address"]), (&json!(whose), &json!(who.srn), &json!("203.0.113.9")));
            assert_eq!(entry["resource"], format!("srn:e::{account}:::scp-iam:role/{shared}"));
        }
    }
    let other_offering = format!("g:{account}:shared");
    refused(&assume(&control, &allowed, &other_offering, json!({})).await, "or your own policies do not allow");
    control.execute("UPDATE accounts SET active = 0 WHERE operator = 0").await;
    refused(&assume(&control, &allowed, &indicator(&account, "shared"), json!({})).await, "or your own policies do not allow");
}

#[tokio::test]
async fn a_session_lasts_as_long_as_the_role_says_and_an_hour_where_a_role_takes_a_role() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let account = root.account.clone();
    let assuming = policy(&control, &root, "assuming", "Allow", &["sts:AssumeRole"]).await;
    let first = create(&control, &root, "first", &[&everybody(&account)], &[&assuming]).await;
    let body = json!({"name": "second", "max_session_duration": 43_200, "assume_role_policy_document": trust(&[&format!("srn:e::{account}:::scp-iam:role/{first}")])});
    assert_eq!(control.call(&root, "POST", "/v1/roles", Some(body)).await.status, 202);
    for (seconds, expected) in [(3_600, 200), (3_601, 400), (3_599, 400), (43_201, 400)] {
        let answer = assume(&control, &admin, &indicator(&account, "first"), json!({"duration_seconds": seconds})).await;
        assert_eq!(answer.status, expected, "{}", answer.body);
    }
    let longer = Some(json!({"max_session_duration": 7_200}));
    assert_eq!(control.call(&root, "PUT", &format!("/v1/roles/{first}"), longer).await.status, 200);
    let answer = assume(&control, &admin, &indicator(&account, "first"), json!({"duration_seconds": 7_200})).await;
    let by = session(&account, &answer, &admin, false);

    let chained = control.send(asking(&by, "RoleSession", &indicator(&account, "second"), json!({}))).await;
    let said = claims(&control, &chained).await;
    assert_eq!((said.source, said.user, said.mfa), (admin.srn.clone(), control.first.administrator, false));
    let long = control.send(asking(&by, "RoleSession", &indicator(&account, "second"), json!({"duration_seconds": 3_601}))).await;
    let expected = "`duration_seconds`: a session of a role that is taken by another role's session lasts at most 3600; write less";
    assert_eq!(details(long.error(400)), [expected]);
    // A second factor is that of whoever took the role.
    let twice = control.send(asking(&admin, "TemporaryKey", &indicator(&account, "first"), json!({}))).await;
    assert!(claims(&control, &twice).await.mfa);
    // The user behind it is not who takes the second role.
    refused(&assume(&control, &admin, &indicator(&account, "second"), json!({})).await, "its trust policy does not let you");
}

#[tokio::test]
async fn a_token_takes_no_role() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    create(&control, &root, "deploy", &[&everybody(&root.account)], &[]).await;
    let head = *control.store.head().borrow();
    for kind in ["ApiToken", "ConsoleLogin"] {
        let answer = control.send(asking(&admin, kind, &indicator(&root.account, "deploy"), json!({}))).await;
        refused(&answer, "a token is not enough for this");
    }
    assert_eq!(*control.store.head().borrow(), head);
}

#[tokio::test]
async fn bodies_say_which_role_and_what_for() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    create(&control, &root, "deploy", &[&everybody(&root.account)], &[]).await;
    let role = indicator(&root.account, "deploy");
    let wide = json!({"Version": "2024-07-01", "Statement": [{"Effect": "Allow", "Action": vec!["iam:ListUsers"; 200], "Resource": "*"}]});
    let mut found = Vec::new();
    for body in [
        json!({}),
        json!({"role_indicator": "deploy", "role_session_name": "with space"}),
        json!({"role_indicator": "e:1:deploy", "role_session_name": "a".repeat(65), "duration_seconds": "3600"}),
        json!({"role_indicator": format!("e:{}:", root.account), "role_session_name": "a;b"}),
        json!({"role_indicator": role, "role_session_name": "x", "policy": {"Version": "2024-07-01"}}),
        json!({"role_indicator": role, "role_session_name": "x", "policy": "{"}),
        json!({"role_indicator": role, "role_session_name": "x", "policy": 5}),
        json!({"role_indicator": role, "role_session_name": "x", "policy": wide}),
        json!({"role_indicator": role, "role_session_name": "x", "external_id": "x"}),
    ] {
        found.push(details(control.call(&admin, "POST", TARGET, Some(body)).await.error(400)));
    }
    insta::assert_debug_snapshot!("session_bodies", found);
}

#[tokio::test]
async fn a_session_acts_here_as_its_role_and_has_nothing_of_a_user() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let account = root.account.clone();
    let iam = policy(&control, &root, "iam", "Allow", &["iam:*"]).await;
    let everything = policy(&control, &root, "everything", "Allow", &["*"]).await;
    let role = create(&control, &root, "keeper", &[&everybody(&account)], &[&iam]).await;
    let by = session(&account, &assume(&control, &admin, &indicator(&account, "keeper"), json!({})).await, &admin, false);
    let made = call(&control, &by, "POST", "/v1/groups", Some(json!({"name": "by-role"}))).await.json(201);
    assert_eq!((&made["group"]["created_by"], &made["group"]["creator_name"]), (&json!(role), &Json::Null));
    let log = control.call(&root, "GET", "/portcullis/v1/audit?size=1", None).await.json(200);
    let entry = &log["entries"][0];
    assert_eq!((&entry["user_id"], &entry["srn"]), (&json!(role), &json!(by.srn)));
    assert_eq!(entry["session"], json!({"name": "ci", "source": admin.srn}));

    // The role's rights are compared, not those of the administrator behind it.
    let group = made["group"]["id"].as_str().unwrap();
    let bindings = format!("/v1/groups/{group}/policy-bindings");
    refused(&call(&control, &by, "POST", &bindings, Some(json!({"policy_ids": [everything]}))).await, "gives more than you have");
    assert_eq!(call(&control, &by, "POST", &bindings, Some(json!({"policy_ids": [iam]}))).await.status, 200);
    let admins = format!("/portcullis/v1/users/{}/access-keys", control.first.administrator);
    refused(&call(&control, &by, "POST", &admins, Some(json!({"access_key_type": "PERMANENT"}))).await, "no key for the user behind it");
    let own = format!("/v1/accounts/{account}/users/{}/password", control.first.administrator);
    refused(&call(&control, &by, "PUT", &own, Some(json!({"password": "Fresh5&Secret"}))).await, "no password of the user behind it");
    let own = format!("/portcullis/v1/users/{}/key-security", control.first.administrator);
    let tight = json!({"authentication_method": "AuthenticationKey", "allowlist_enabled": true, "allowed_addresses": ["203.0.113.9"]});
    assert_eq!(control.call(&root, "PUT", &own, Some(tight)).await.status, 200);
    let loose = json!({"authentication_method": "Any", "allowlist_enabled": false, "allowed_addresses": []});
    refused(&call(&control, &by, "PUT", &own, Some(loose)).await, "loosens it");
    let password = format!("/v1/accounts/{account}/users/{}/password", control.first.root);
    refused(
        &call(&control, &by, "PUT", &password, Some(json!({"password": "Fresh5&Secret"}))).await,
        "only the root user acts for the root user",
    );

    for (method, target, body) in [
        ("GET", "/v1/access-keys", None),
        ("POST", "/v1/access-keys", Some(json!({"access_key_type": "PERMANENT"}))),
        ("DELETE", "/v1/access-keys/bulk", Some(json!({"ids": [admin.key]}))),
        ("GET", &format!("/v1/access-keys/{}", admin.key), None),
        ("PUT", &format!("/v1/access-keys/{}", admin.key), Some(json!({"is_enabled": false}))),
        ("DELETE", &format!("/v1/access-keys/{}", admin.key), None),
        ("POST", "/v1/access-keys/send-otp", Some(json!({"locale": "en_US", "method": "EMAIL"}))),
        ("POST", "/portcullis/v1/tokens", Some(json!({}))),
    ] {
        refused(&call(&control, &by, method, target, body).await, "a role has no keys, tokens and settings of its own");
    }
}

#[tokio::test]
async fn a_policy_that_narrows_a_session_narrows_what_it_gives_and_which_roles_it_takes() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let account = root.account.clone();
    let everything = policy(&control, &root, "everything", "Allow", &["*"]).await;
    let iam = policy(&control, &root, "iam", "Allow", &["iam:*"]).await;
    create(&control, &root, "mighty", &[&everybody(&account)], &[&everything]).await;
    create(&control, &root, "next", &[&everybody(&account)], &[&everything]).await;
    let open = create(&control, &root, "open", &[&root.srn], &[&everything]).await;
    let group = control.call(&root, "POST", "/v1/groups", Some(json!({"name": "some"}))).await.json(201);
    let bindings = format!("/v1/groups/{}/policy-bindings", group["group"]["id"].as_str().unwrap());
    let narrowing = |actions: &[&str]| json!({"policy": {"Version": "2024-07-01", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": ["*"]}]}});
    let whole = session(&account, &assume(&control, &admin, &indicator(&account, "mighty"), json!({})).await, &admin, false);
    let narrow = session(&account, &assume(&control, &admin, &indicator(&account, "mighty"), narrowing(&["iam:*"])).await, &admin, true);

    refused(&call(&control, &narrow, "POST", &bindings, Some(json!({"policy_ids": [everything]}))).await, "gives more than you have");
    assert_eq!(call(&control, &narrow, "POST", &bindings, Some(json!({"policy_ids": [iam]}))).await.status, 200);
    let wider = json!({"policy_version": {"policy_document": {"Version": "2024-07-01", "Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]}}});
    refused(&call(&control, &narrow, "PUT", &format!("/v1/policies/{iam}"), Some(wider)).await, "gives more than the old one and you have");
    let trusted = Some(json!({"assume_role_policy_document": trust(&[&narrow.srn])}));
    refused(&call(&control, &narrow, "PUT", &format!("/v1/roles/{open}/trust-policy"), trusted.clone()).await, "may do more than you");
    let chained = asking(&narrow, "RoleSession", &indicator(&account, "next"), json!({}));
    refused(&control.send(chained).await, "your policies do not allow");
    let new = json!({"name": "new", "assume_role_policy_document": trust(&[&root.srn]), "policy_ids": [iam]});
    let reader =
        session(&account, &assume(&control, &admin, &indicator(&account, "mighty"), narrowing(&["iam:CreateRole"])).await, &admin, true);
    refused(&call(&control, &reader, "POST", "/v1/roles", Some(new)).await, "this also needs `iam:SetRoleTrustPolicy`");

    assert_eq!(call(&control, &whole, "PUT", &format!("/v1/roles/{open}/trust-policy"), trusted).await.status, 200);
    assert_eq!(call(&control, &whole, "POST", &bindings, Some(json!({"policy_ids": [everything]}))).await.status, 200);
    assert_eq!(control.send(asking(&whole, "RoleSession", &indicator(&account, "next"), json!({}))).await.status, 200);
}

#[tokio::test]
async fn a_session_ends_with_its_role_its_user_and_when_it_is_ended() {
    let control = Control::start().await;
    let root = control.root();
    let account = root.account.clone();
    let everything = policy(&control, &root, "everything", "Allow", &["*"]).await;
    let helper = user(&control, &root, "helper", &[&everything]).await;
    let ended = create(&control, &root, "ended", &[&everybody(&account)], &[&everything]).await;
    let gone = create(&control, &root, "gone", &[&everybody(&account)], &[&everything]).await;
    create(&control, &root, "kept", &[&everybody(&account)], &[&everything]).await;
    let take =
        async |name: &str| session(&account, &assume(&control, &helper, &indicator(&account, name), json!({})).await, &helper, false);
    let works = async |who: &Who| call(&control, who, "GET", "/v1/groups", None).await.status;
    let (first, second, third) = (take("ended").await, take("gone").await, take("kept").await);
    for who in [&first, &second, &third] {
        assert_eq!(works(who).await, 200);
    }
    // For another role, as a user, by a key that is of no session, and without one: nobody.
    for (who, kind) in [
        (Who { key: second.key.clone(), ..first.clone() }, "RoleSession"),
        (Who { key: "0".repeat(32), ..first.clone() }, "RoleSession"),
        (Who { key: String::new(), ..first.clone() }, "RoleSession"),
        (Who { session: None, ..first.clone() }, "RoleSession"),
        (Who { session: Some(("other", helper.srn.clone(), false)), ..first.clone() }, "RoleSession"),
        (Who { session: Some(("ci", root.srn.clone(), false)), ..first.clone() }, "RoleSession"),
        (Who { session: Some(("ci", helper.srn.clone(), true)), ..first.clone() }, "RoleSession"),
        (first.clone(), "AuthenticationKey"),
        (Who { session: first.session.clone(), ..helper.clone() }, "AuthenticationKey"),
        (Who { key: first.key.clone(), session: first.session.clone(), ..helper.clone() }, "RoleSession"),
    ] {
        let answer = control.send(Request::signed(&who, kind, "GET", "/v1/groups", NOW_MS, IDENTITY_KEY)).await;
        assert_eq!(answer.error(401).0, "Unauthorized", "{kind} {}", who.srn);
    }

    let done = control.call(&root, "DELETE", &format!("/portcullis/v1/roles/{ended}/sessions"), None).await;
    assert_eq!(done.status, 204);
    let sequence = *control.store.head().borrow();
    let records = control.records().await;
    let record = records.iter().find(|(key, _)| key.starts_with("sessions_valid_from/")).unwrap();
    assert_eq!(record.1, json!({"kind": "sessions_valid_from", "role": ended, "sequence": sequence}).to_string());
    assert_eq!((works(&first).await, works(&second).await), (401, 200));
    let again = take("ended").await;
    assert_eq!(works(&again).await, 200, "the role can be taken again");

    assert_eq!(control.call(&root, "DELETE", &format!("/v1/roles/{gone}"), None).await.status, 204);
    assert_eq!((works(&second).await, works(&third).await), (401, 200));

    let users = format!("/v1/accounts/{account}/users/{}", helper.srn.rsplit_once('/').unwrap().1);
    let off = json!({"password_reuse_count": 1, "state": "INACTIVE"});
    assert_eq!(control.call(&root, "PUT", &users, Some(off)).await.status, 200);
    assert_eq!(works(&third).await, 401);
    let on = json!({"password_reuse_count": 1, "state": "ACTIVE"});
    assert_eq!(control.call(&root, "PUT", &users, Some(on)).await.status, 200);
    assert_eq!(control.call(&root, "DELETE", &users, None).await.status, 204);
    assert_eq!(works(&third).await, 401);
}

#[tokio::test]
async fn the_sessions_of_an_account_end_when_it_is_switched_off() {
    let control = Control::start().await;
    let (root, other) = (control.root(), control.other_account().await);
    let role = create(&control, &other, "shared", &[&everybody(&root.account)], &[]).await;
    let target = format!("/portcullis/v1/accounts/{}", other.account);
    let off = json!({"name": "other", "active": false});
    assert_eq!(control.call(&root, "PUT", &target, Some(off)).await.status, 200);
    assert_eq!(control.record_keys("sessions_valid_from/").await, [format!("sessions_valid_from/{role}")]);
}

#[tokio::test]
async fn what_has_ended_takes_no_role() {
    let control = Control::start().await;
    let root = control.root();
    let account = root.account.clone();
    let everything = policy(&control, &root, "everything", "Allow", &["*"]).await;
    let helper = user(&control, &root, "helper", &[&everything]).await;
    let first = create(&control, &root, "first", &[&everybody(&account)], &[&everything]).await;
    create(&control, &root, "second", &[&format!("srn:e::{account}:::scp-iam:role/{first}")], &[]).await;
    let take = async |name: &str| assume(&control, &helper, &indicator(&account, name), json!({})).await;
    let on = async |by: &Who| control.send(asking(by, "RoleSession", &indicator(&account, "second"), json!({}))).await;
    // A session that comes of another ends with that.
    let half_an_hour = session(&account, &take("first").await, &helper, false);
    let ended = control.execute("UPDATE role_sessions SET expires_at = 1795212000000 + 1800000").await;
    assert_eq!((ended, on(&half_an_hour).await.json(200)["credentials"]["expiration"].clone()), (1, json!("2026-11-20T22:30:00.000Z")));
    // A gateway without its feed would still speak for these.
    let by = session(&account, &take("first").await, &helper, false);
    assert_eq!(on(&by).await.status, 200);
    let id = helper.srn.rsplit_once('/').unwrap().1;
    assert_eq!(control.call(&root, "DELETE", &format!("/portcullis/v1/users/{id}/tokens"), None).await.status, 204);
    assert!((400..500).contains(&on(&by).await.status), "the tokens of the user behind it were ended");
    let by = session(&account, &take("first").await, &helper, false);
    for (state, by_key) in [("INACTIVE", 401), ("ACTIVE", 200)] {
        let state = json!({"state": state, "password_reuse_count": 1});
        assert_eq!(control.call(&root, "PUT", &format!("/v1/accounts/{account}/users/{id}"), Some(state)).await.status, 200);
        assert_eq!((take("first").await.status, on(&by).await.status), (by_key, 401), "sessions end when their user is switched off");
    }
    let keys = control.call(&root, "GET", &format!("/portcullis/v1/users/{id}/access-keys"), None).await.json(200);
    let key = keys["access_keys"][0]["id"].as_str().unwrap().to_owned();
    let target = format!("/portcullis/v1/users/{id}/access-keys/{key}");
    assert_eq!(control.call(&root, "PUT", &target, Some(json!({"is_enabled": false}))).await.status, 200);
    refused(&take("first").await, "not in use any more");
    let nobodys = Who { key: "0".repeat(32), ..helper.clone() };
    refused(&assume(&control, &nobodys, &indicator(&account, "first"), json!({})).await, "not in use any more");
}

#[tokio::test]
async fn a_user_is_behind_so_many_sessions_at_a_time() {
    let control = Control::start().await;
    let (root, admin) = (keyed(&control, &control.root(), control.root()).await, control.admin());
    create(&control, &root, "deploy", &[&everybody(&root.account)], &[]).await;
    let role = indicator(&root.account, "deploy");
    assert_eq!(assume(&control, &admin, &role, json!({})).await.status, 200);
    let filled = control
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4999)
             INSERT INTO role_sessions SELECT printf('%032x', i), role_id, name, source_id, source_srn, policy, expires_at
             FROM role_sessions, n",
        )
        .await;
    assert_eq!(filled, 4_999);
    let full = assume(&control, &admin, &role, json!({})).await.error(409);
    assert_eq!(full, ("LimitExceeded".to_owned(), json!("a user has at most 5000 sessions of roles at a time")));
    assert_eq!(assume(&control, &root, &role, json!({})).await.status, 200);
    // Those that have ended do not count, and are forgotten.
    let ended = control.execute("UPDATE role_sessions SET expires_at = 1795212000000").await;
    assert_eq!(ended, 5_001);
    assert_eq!(assume(&control, &admin, &role, json!({})).await.status, 200);
    assert_eq!(control.execute("DELETE FROM role_sessions").await, 1);
}
