//! Tokens: their shape, for how long, who gets one, and where they must not stand.

use std::time::Duration;

use portcullis::authn::token::{Claims, PublicKey, Token};
use portcullis::types::Timestamp;
use serde_json::{Value as Json, json};

use super::harness::{Answer, Control, NOW_MS, Request, Who, members};

const UNSIGNED: &str = "a token is not enough for this; sign the request with an access key";
const TOKENS: &str = "/portcullis/v1/tokens";

async fn ask(control: &Control, who: &Who, body: Json) -> Answer {
    control.call(who, "POST", TOKENS, Some(body)).await
}

fn token(answer: &Answer) -> String {
    answer.json(201)["token"].as_str().unwrap().to_owned()
}

/// The record of the one key that signs tokens.
async fn token_key(control: &Control) -> Json {
    let records = control.records().await;
    let keys: Vec<&String> = records.iter().filter(|(key, _)| key.starts_with("token_key/")).map(|(_, body)| body).collect();
    let [key] = keys[..] else { panic!("{keys:?}") };
    serde_json::from_str(key).unwrap()
}

/// What a token says to a gateway that follows the store.
async fn claims(control: &Control, token: &str) -> Claims {
    let key = token_key(control).await;
    let token = Token::parse(token.as_bytes()).unwrap();
    assert_eq!(json!(token.key.to_string()), key["id"]);
    let public_key: PublicKey = key["public_key"].as_str().unwrap().parse().unwrap();
    token.verify(&public_key, control.store.epoch()).unwrap()
}

#[tokio::test]
async fn a_token_says_whose_it_is_and_until_when() {
    let control = Control::start().await;
    let admin = control.admin();
    let answer = ask(&control, &admin, json!({})).await;
    assert_eq!(members(&answer.json(201)), ["expires_at", "jti", "token"]);
    assert_eq!(answer.json(201)["expires_at"], "2026-11-20T23:00:00.000Z");
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    let said = claims(&control, &token(&answer)).await;
    let expected = Claims {
        subject: admin.srn.clone(),
        user: control.first.administrator,
        account: control.first.account,
        access_key: Some(control.first.access_key),
        id: said.id,
        issued_at: Timestamp::from_milliseconds(NOW_MS),
        expires_at: Timestamp::from_milliseconds(NOW_MS + 3_600_000),
        epoch: control.store.epoch(),
        sequence: *control.store.head().borrow(),
    };
    assert_eq!(said, expected);
    assert_eq!(answer.json(201)["jti"], said.id.to_string());
    assert_eq!(answer.header("Portcullis-Committed-Revision"), Some(&*format!("{}.{}", said.epoch, said.sequence)));
    let other = claims(&control, &token(&ask(&control, &admin, json!({})).await)).await;
    assert_ne!(other.id, said.id);
    assert_eq!(other.sequence, said.sequence + 1);

    for seconds in [60, 43_200] {
        let answer = ask(&control, &admin, json!({ "duration_seconds": seconds })).await;
        let said = claims(&control, &token(&answer)).await;
        assert_eq!(said.expires_at.milliseconds() - NOW_MS, Duration::from_secs(seconds).as_millis() as i64);
        assert_eq!(answer.json(201)["expires_at"], said.expires_at.to_string());
    }
}

#[tokio::test]
async fn a_duration_is_whole_seconds_within_limits() {
    let control = Control::start().await;
    let (admin, head) = (control.admin(), *control.store.head().borrow());
    for (body, complaint) in [
        (json!({"duration_seconds": 59}), "too small"),
        (json!({"duration_seconds": 0}), "too small"),
        (json!({"duration_seconds": -60}), "too small"),
        (json!({"duration_seconds": 43_201}), "too large"),
        (json!({"duration_seconds": u64::MAX}), "too large"),
        (json!({"duration_seconds": 60.5}), "not a whole number"),
        (json!({"duration_seconds": "60"}), "a number"),
        (json!({"duration_seconds": null}), "a number"),
        (json!({"duration": 60}), "duration_seconds"),
        (json!([]), "object"),
    ] {
        let (code, detail) = ask(&control, &admin, body.clone()).await.error(400);
        assert_eq!(code, "ValidationError");
        assert!(detail[0].as_str().unwrap().contains(complaint), "{body}: {detail}");
    }
    assert_eq!(*control.store.head().borrow(), head);
}

#[tokio::test]
async fn a_token_begets_no_token() {
    let control = Control::start().await;
    let admin = control.admin();
    let refused = |answer: Answer| {
        let (code, detail) = answer.error(403);
        assert_eq!(code, "Forbidden");
        detail
    };
    for kind in ["ApiToken", "ConsoleLogin", "apitoken", "authenticationkey", ""] {
        let request = Request::signed(&admin, kind, "POST", TOKENS, NOW_MS, "identity key of the only gateway").body(Some(json!({})));
        assert_eq!(refused(control.send(request).await), UNSIGNED, "{kind}");
    }
    // A gateway that names no key, or one that is not the caller's.
    let stranger = control.other_account().await;
    for key in ["", "0", &"0".repeat(32), &admin.key.to_uppercase()] {
        refused(ask(&control, &Who { key: key.to_owned(), ..admin.clone() }, json!({})).await);
    }
    for who in [control.root(), stranger] {
        let with_key = Who { key: admin.key.clone(), ..who };
        assert_eq!(refused(ask(&control, &with_key, json!({})).await), "the access key that signed the request is not in use any more");
    }
    // A gateway that does not know yet that the key is switched off.
    let target = format!("/v1/access-keys/{}", admin.key);
    assert_eq!(control.call(&admin, "PUT", &target, Some(json!({"is_enabled": false}))).await.status, 200);
    refused(ask(&control, &admin, json!({})).await);
    assert_eq!(control.call(&admin, "PUT", &target, Some(json!({"is_enabled": true}))).await.status, 200);
    assert_eq!(ask(&control, &admin, json!({})).await.status, 201);
}

#[tokio::test]
async fn a_token_begets_neither_keys_nor_passwords() {
    let control = Control::start().await;
    let (root, admin, guest) = (control.root(), control.admin(), control.guest().await);
    let user = guest.srn.rsplit('/').next().unwrap().to_owned();
    let head = *control.store.head().borrow();
    let (key, password) = (json!({"access_key_type": "PERMANENT"}), json!({"password": "Fresh1&Secret"}));
    let person = json!({"user_name": "eve", "password": "Fresh1&Secret"});
    let tenant = json!({"name": "eve", "administrator": {"user_name": "eve"}});
    for (method, target, body) in [
        ("POST", "/v1/access-keys".to_owned(), &key),
        ("POST", format!("/portcullis/v1/users/{user}/access-keys"), &key),
        ("PUT", format!("/v1/accounts/{}/users/{user}/password", admin.account), &password),
        ("POST", format!("/v1/accounts/{}/users", admin.account), &person),
        ("POST", "/portcullis/v1/accounts".to_owned(), &tenant),
    ] {
        for who in [&admin, &root] {
            let request = Request::signed(who, "ApiToken", method, &target, NOW_MS, "identity key of the only gateway");
            let (code, detail) = control.send(request.body(Some(body.clone()))).await.error(403);
            assert_eq!((code.as_str(), &detail), ("Forbidden", &json!(UNSIGNED)), "{method} {target}");
        }
        assert!(control.call(&root, method, &target, Some(body.clone())).await.status < 300, "{method} {target}");
    }
    assert_eq!(*control.store.head().borrow(), head + 5);
}

#[tokio::test]
async fn a_token_stands_in_its_answer_and_nowhere_else() {
    let control = Control::start().await;
    let admin = control.admin();
    let token = token(&ask(&control, &admin, json!({"duration_seconds": 600})).await);
    let said = claims(&control, &token).await;
    let audit = control.call(&control.root(), "GET", "/portcullis/v1/audit", None).await;
    let entry = &audit.json(200)["entries"][0];
    assert_eq!((&entry["action"], &entry["before"]), (&json!("iam:CreateToken"), &Json::Null));
    let after = json!({"jti": said.id.to_string(), "access_key": admin.key, "expires_at": "2026-11-20T22:10:00.000Z"});
    assert_eq!(entry["after"], after);
    assert_eq!(entry["resource"], format!("srn:e::{}:::iam:user/{}", admin.account, control.first.administrator));
    for entry in std::fs::read_dir(control.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for part in token.split('.') {
            assert!(!bytes.windows(part.len()).any(|window| window == part.as_bytes()), "{path:?}");
        }
    }
}

#[tokio::test]
async fn the_key_that_signs_is_made_once_and_only_its_public_half_is_told() {
    let control = Control::start().await;
    let key = token_key(&control).await;
    assert_eq!(members(&key), ["id", "kind", "public_key"]);
    let token = token(&ask(&control, &control.admin(), json!({})).await);
    let control = control.restarted().await;
    assert_eq!(token_key(&control).await, key);
    claims(&control, &token).await;
}

/// From which sequence on a user's tokens count, as gateways are told.
async fn valid_from(control: &Control, user: &str) -> Option<u64> {
    let key = format!("tokens_valid_from/{user}");
    let record = control.records().await.into_iter().find(|(known, _)| *known == key)?.1;
    serde_json::from_str::<Json>(&record).unwrap()["sequence"].as_u64()
}

#[tokio::test]
async fn tokens_end_with_a_group_a_password_an_absence_or_on_demand() {
    let control = Control::start().await;
    let (root, guest) = (control.root(), control.guest().await);
    let user = guest.srn.rsplit('/').next().unwrap().to_owned();
    let one = format!("/v1/accounts/{}/users/{user}", root.account);
    let group = json!({"name": "operators", "description": null, "user_ids": [user]});
    let first = control.call(&root, "POST", "/v1/groups", Some(group.clone())).await.json(201)["group"]["id"].clone();
    let second = json!({"name": "others", "description": null, "user_ids": [user]});
    let second = control.call(&root, "POST", "/v1/groups", Some(second)).await.json(201)["group"]["id"].clone();
    assert_eq!(valid_from(&control, &user).await, None);
    let state = |state: &str| json!({"state": state, "password_reuse_count": 1});
    for (method, target, body, ends) in [
        ("DELETE", format!("/v1/groups/{}/members/{user}", first.as_str().unwrap()), None, true),
        ("DELETE", format!("/v1/groups/{}", second.as_str().unwrap()), None, true),
        ("PUT", format!("{one}/password"), Some(json!({"password": "Fresh1&Secret"})), true),
        ("PUT", one.clone(), Some(state("INACTIVE")), true),
        ("PUT", one.clone(), Some(state("ACTIVE")), false),
        ("POST", format!("/v1/groups/{}/members", first.as_str().unwrap()), Some(json!({"user_id": user})), false),
        ("DELETE", format!("/portcullis/v1/users/{user}/tokens"), None, true),
    ] {
        let before = valid_from(&control, &user).await;
        let answer = control.call(&root, method, &target, body).await;
        assert!(answer.status < 300, "{method} {target}: {}", answer.body);
        let head = *control.store.head().borrow();
        assert_eq!(valid_from(&control, &user).await, if ends { Some(head) } else { before }, "{method} {target}");
    }
    let audit = control.call(&root, "GET", "/portcullis/v1/audit", None).await.json(200);
    let entry = &audit["entries"][0];
    let head = control.store.revision(*control.store.head().borrow()).to_string();
    assert_eq!((&entry["action"], &entry["after"]), (&json!("iam:DeleteUserTokens"), &json!({ "tokens_valid_from": head })));
    // Nobody ends root's but root, and nobody those of another account.
    let roots = format!("/portcullis/v1/users/{}/tokens", control.first.root);
    assert_eq!(control.call(&control.admin(), "DELETE", &roots, None).await.error(403).0, "Forbidden");
    assert_eq!(control.call(&control.other_account().await, "DELETE", &roots, None).await.error(404).0, "NotFound");
    assert_eq!(control.call(&root, "DELETE", &roots, None).await.status, 204);
    // Who is gone leaves nothing behind.
    assert_eq!(control.call(&root, "DELETE", &one, None).await.status, 204);
    assert_eq!(valid_from(&control, &user).await, None);
    // A token that is issued afterwards is good.
    let said = claims(&control, &token(&ask(&control, &control.admin(), json!({})).await)).await;
    assert!(said.sequence >= valid_from(&control, control.first.root.to_string().as_str()).await.unwrap());
}

/// The tokens of a user that were ended one by one, as gateways are told: their ids and ends.
async fn revoked(control: &Control, user: &str) -> Vec<(String, String)> {
    let prefix = format!("revoked_token/{user}/");
    let found = control.records().await.into_iter().filter_map(|(key, record)| {
        let id = key.strip_prefix(&prefix)?.to_owned();
        let record: Json = serde_json::from_str(&record).unwrap();
        Some((id, record["expires_at"].as_str().unwrap().to_owned()))
    });
    found.collect()
}

#[tokio::test]
async fn one_token_is_ended_by_its_id() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let user = control.first.administrator.to_string();
    let one = |user: &str, id: &str| format!("/portcullis/v1/users/{user}/tokens/{id}");
    let issued = async |seconds: u64| {
        let answer = ask(&control, &admin, json!({ "duration_seconds": seconds })).await;
        answer.json(201)["jti"].as_str().unwrap().to_owned()
    };
    let (first, second) = (issued(600).await, issued(3_600).await);
    // Nobody ends root's but root; a token is its owner's, and that of an account.
    let roots = control.first.root.to_string();
    assert_eq!(control.call(&admin, "DELETE", &one(&roots, &first), None).await.error(403).0, "Forbidden");
    assert_eq!(control.call(&control.other_account().await, "DELETE", &one(&user, &first), None).await.error(404).0, "NotFound");
    for (user, id) in [(&roots, &*first), (&user, &"0".repeat(32)), (&user, "x"), (&user, &first.to_uppercase())] {
        assert_eq!(control.call(&root, "DELETE", &one(user, id), None).await.error(404).0, "NotFound", "{user} {id}");
    }
    assert_eq!(revoked(&control, &user).await, []);
    assert_eq!(control.call(&root, "DELETE", &one(&user, &first), None).await.status, 204);
    let ended = vec![(first.clone(), "2026-11-20T22:10:00.000Z".to_owned())];
    assert_eq!(revoked(&control, &user).await, ended);
    let entry = control.call(&root, "GET", "/portcullis/v1/audit", None).await.json(200)["entries"][0].clone();
    assert_eq!((&entry["action"], &entry["after"]), (&json!("iam:DeleteUserToken"), &Json::Null));
    assert_eq!(entry["before"], json!({"user_id": user, "expires_at": "2026-11-20T22:10:00.000Z"}));
    assert_eq!(entry["resource"], format!("srn:e::{}:::iam:token/{first}", admin.account));
    // Once is enough, and it is gone after that.
    assert_eq!(control.call(&root, "DELETE", &one(&user, &first), None).await.error(404).0, "NotFound");
    assert_eq!(revoked(&control, &user).await, ended);

    // When all are ended, nothing has to be said of single ones; they are known no more.
    assert_eq!(control.call(&root, "DELETE", &format!("/portcullis/v1/users/{user}/tokens"), None).await.status, 204);
    assert_eq!(revoked(&control, &user).await, []);
    assert_eq!(control.call(&root, "DELETE", &one(&user, &second), None).await.error(404).0, "NotFound");
}

#[tokio::test]
async fn what_is_kept_of_ended_tokens_goes_a_day_after_their_end() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let user = control.first.administrator.to_string();
    let issue = async || ask(&control, &admin, json!({})).await.json(201)["jti"].as_str().unwrap().to_owned();
    let (first, second) = (issue().await, issue().await);
    assert_eq!(control.call(&root, "DELETE", &format!("/portcullis/v1/users/{user}/tokens/{first}"), None).await.status, 204);
    let count = async || revoked(&control, &user).await.len();
    // It ended at 23:00; a day later whoever writes next forgets it, whoever that is.
    assert_eq!(control.execute("UPDATE tokens SET expires_at = 1795212000000 - 86400000 + 1").await, 2);
    issue().await;
    assert_eq!(count().await, 1);
    let late = control.call(&root, "DELETE", &format!("/portcullis/v1/users/{user}/tokens/{second}"), None).await;
    assert_eq!(late.error(404).0, "NotFound", "it has ended by itself");
    assert_eq!(control.execute("UPDATE tokens SET expires_at = 1795212000000 - 86400000").await, 2);
    issue().await;
    assert_eq!((count().await, control.execute("UPDATE tokens SET revoked = revoked").await), (0, 1));
}

#[tokio::test]
async fn who_may_do_nothing_forgets_what_others_ended_and_brings_nothing_back() {
    let control = Control::start().await;
    let (root, admin, guest) = (control.root(), control.admin(), control.guest().await);
    let user = |who: &Who| who.srn.rsplit('/').next().unwrap().to_owned();
    let keys = format!("/portcullis/v1/users/{}/access-keys", user(&guest));
    let made = control.call(&root, "POST", &keys, Some(json!({"access_key_type": "PERMANENT"}))).await.json(201);
    let guest = Who { key: made["access_key"]["id"].as_str().unwrap().to_owned(), ..guest };
    let id = ask(&control, &admin, json!({})).await.json(201)["jti"].as_str().unwrap().to_owned();
    let one = format!("/portcullis/v1/users/{}/tokens/{id}", user(&admin));
    // It takes, and gives nothing: whoever is let here by the gateway may.
    assert_eq!(control.call(&guest, "DELETE", &one, None).await.status, 204);
    assert_eq!(control.execute("UPDATE tokens SET expires_at = 1795212000000 - 86400000").await, 1);
    // The gateways were told of a later end, so it is not over.
    assert_eq!(ask(&control, &guest, json!({})).await.error(403).0, "Forbidden");
    let sql = "UPDATE records SET body = replace(body, '2026-11-20T23', '2026-11-19T22') WHERE record_key LIKE 'revoked_token/%'";
    assert_eq!(control.execute(sql).await, 1);
    let control = control.restarted().await;
    assert_eq!(ask(&control, &guest, json!({})).await.status, 201);
    assert_eq!(revoked(&control, &user(&admin)).await, []);
}

#[tokio::test]
async fn so_many_tokens_are_ended_one_by_one_and_then_all_at_once() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let user = control.first.administrator.to_string();
    let last = ask(&control, &admin, json!({})).await.json(201)["jti"].as_str().unwrap().to_owned();
    let many = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                INSERT INTO tokens SELECT printf('%032x', i), user_id, expires_at, 1 FROM n, (SELECT user_id, expires_at FROM tokens)";
    assert_eq!(control.execute(many).await, 1_000);
    let one = format!("/portcullis/v1/users/{user}/tokens/{last}");
    let (code, detail) = control.call(&root, "DELETE", &one, None).await.error(409);
    assert_eq!(code, "LimitExceeded");
    assert!(detail.as_str().unwrap().contains("at most 1000 tokens that were ended one by one; end all of them (DELETE"), "{detail}");
    assert_eq!(control.call(&root, "DELETE", &format!("/portcullis/v1/users/{user}/tokens"), None).await.status, 204);
    let fresh = ask(&control, &admin, json!({})).await.json(201)["jti"].as_str().unwrap().to_owned();
    assert_eq!(control.call(&root, "DELETE", &format!("/portcullis/v1/users/{user}/tokens/{fresh}"), None).await.status, 204);
}
