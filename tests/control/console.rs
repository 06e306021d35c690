//! Console logins: a name and a password for a token, delays for who is wrong, and from where the console may be used.

use portcullis::authn::token::{Claims, PublicKey, Token};
use serde_json::{Value as Json, json};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::harness::{Answer, Control, NOW, NOW_MS, Request, Who, members};

const LOGIN: &str = "/portcullis/v1/console-tokens";
const PASSWORD: &str = "Gu3st&nobody";

/// Somebody logs in, as a gateway forwards it on a public route.
async fn log_in(control: &Control, body: &Json) -> Answer {
    control.send(Request::anonymous("POST", LOGIN).body(Some(body.clone()))).await
}

fn who(control: &Control, name: &str, password: &str) -> Json {
    json!({"account_id": control.first.account.to_string(), "user_name": name, "password": password})
}

async fn claims(control: &Control, answer: &Answer) -> Claims {
    let token = answer.json(201)["token"].as_str().unwrap().to_owned();
    let records = control.records().await;
    let key: Json = serde_json::from_str(&records.iter().find(|(key, _)| key.starts_with("token_key/")).unwrap().1).unwrap();
    let public_key: PublicKey = key["public_key"].as_str().unwrap().parse().unwrap();
    Token::parse(token.as_bytes()).unwrap().verify(&public_key, control.store.epoch()).unwrap()
}

#[tokio::test]
async fn a_name_and_a_password_get_a_token_of_no_key() {
    let control = Control::start().await;
    let guest = control.guest().await;
    let answer = log_in(&control, &who(&control, "guest", PASSWORD)).await;
    assert_eq!(members(&answer.json(201)), ["expires_at", "jti", "token"]);
    assert_eq!(answer.json(201)["expires_at"], "2026-11-20T23:00:00.000Z");
    let said = claims(&control, &answer).await;
    assert_eq!((said.subject, said.access_key, said.sequence), (guest.srn.clone(), None, *control.store.head().borrow()));
    // As the vendor's clients send passwords.
    let mut body = who(&control, "guest", "R3Uzc3Qmbm9ib2R5");
    body["duration_seconds"] = json!(60);
    assert_eq!(log_in(&control, &body).await.json(201)["expires_at"], "2026-11-20T22:01:00.000Z");

    let user = guest.srn.rsplit('/').next().unwrap();
    let shown = control.call(&control.root(), "GET", &format!("/v1/accounts/{}/users/{user}", guest.account), None).await;
    assert_eq!(shown.json(200)["last_login_at"], json!(NOW));
    let audit = control.call(&control.root(), "GET", "/portcullis/v1/audit", None).await;
    let entry = audit.json(200)["entries"][0].clone();
    assert_eq!((&entry["action"], &entry["user_id"]), (&json!("iam:CreateConsoleToken"), &json!(user)));
    assert!(!audit.body.contains(PASSWORD) && !audit.body.contains(answer.json(201)["token"].as_str().unwrap()));
    // It is no signature: it begets nothing that outlives it.
    let key = Request::signed(&guest, "ConsoleLogin", "POST", "/v1/access-keys", NOW_MS, super::harness::IDENTITY_KEY);
    assert_eq!(control.send(key.body(Some(json!({"access_key_type": "PERMANENT"})))).await.error(403).0, "Forbidden");
}

#[tokio::test]
async fn whoever_is_wrong_learns_nothing() {
    let control = Control::start().await;
    let guest = control.guest().await;
    let user = format!("/v1/accounts/{}/users/{}", guest.account, guest.srn.rsplit('/').next().unwrap());
    let head = *control.store.head().borrow();
    let mut nowhere = who(&control, "guest", PASSWORD);
    nowhere["account_id"] = json!("5".repeat(32));
    let mut answers = Vec::new();
    for body in [
        who(&control, "guest", "Gu3st&nobodx"),
        who(&control, "nobody", PASSWORD),
        // Nobody has set a password for them.
        who(&control, "root", PASSWORD),
        who(&control, "guest", ""),
        who(&control, "guest", "x"),
        nowhere,
    ] {
        let answer = log_in(&control, &body).await;
        assert_eq!(answer.error(401), ("Unauthorized".to_owned(), json!("account, name and password do not belong together")));
        assert_eq!(answer.header("WWW-Authenticate"), Some("Portcullis-Login"));
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|body| *body == answers[0]));
    assert_eq!(*control.store.head().borrow(), head);
    for bad in [json!({}), who(&control, &"x".repeat(65), PASSWORD), who(&control, "guest", &"x".repeat(129))] {
        let answer = log_in(&control, &bad).await;
        assert_eq!(answer.error(400).0, "ValidationError");
        assert!(!answer.body.contains("xxxxx"), "{}", answer.body);
    }
    assert_eq!(
        control.call(&control.root(), "PUT", &user, Some(json!({"state": "INACTIVE", "password_reuse_count": 1}))).await.status,
        200
    );
    assert_eq!(log_in(&control, &who(&control, "guest", PASSWORD)).await.body, answers[0]);
}

#[tokio::test]
async fn who_is_wrong_too_often_waits_and_nobody_else() {
    let control = Control::start().await;
    control.guest().await;
    for _ in 0..5 {
        assert_eq!(log_in(&control, &who(&control, "guest", "Gu3st&nobodx")).await.status, 401);
    }
    // The clock of these tests stands still. Also with the right password, and for a name that nobody has.
    let waits = log_in(&control, &who(&control, "guest", PASSWORD)).await;
    assert_eq!((waits.error(429).0.as_str(), waits.header("Retry-After")), ("TooManyRequests", Some("1")));
    for _ in 0..5 {
        assert_eq!(log_in(&control, &who(&control, "nobody", PASSWORD)).await.status, 401);
    }
    assert_eq!(log_in(&control, &who(&control, "nobody", PASSWORD)).await.status, 429);
    assert_eq!(log_in(&control, &who(&control, "admin", PASSWORD)).await.status, 401);
    // Who is in is counted anew.
    let control = control.restarted().await;
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(log_in(&control, &who(&control, "guest", "Gu3st&nobodx")).await.status, 401);
        }
        assert_eq!(log_in(&control, &who(&control, "guest", PASSWORD)).await.status, 201);
    }
}

#[tokio::test]
async fn a_temporary_password_is_changed_at_the_first_login() {
    let control = Control::start().await;
    let (root, guest) = (control.root(), control.guest().await);
    let user = guest.srn.rsplit('/').next().unwrap().to_owned();
    let password = format!("/v1/accounts/{}/users/{user}/password", guest.account);
    let temporary = json!({"password": "Temp0rary&x", "temporary_password": true});
    assert_eq!(control.call(&root, "PUT", &password, Some(temporary)).await.status, 204);
    let mut body = who(&control, "guest", "Temp0rary&x");
    assert!(log_in(&control, &body).await.error(409).1.as_str().unwrap().contains("new_password"));
    for bad in ["guest", "Temp0rary&x"] {
        body["new_password"] = json!(bad);
        let answer = log_in(&control, &body).await;
        assert!(answer.error(400).0 == "ValidationError" && !answer.body.contains("Temp0rary"), "{}", answer.body);
    }
    body["new_password"] = json!("Fresh1&Secret");
    let issued = log_in(&control, &body).await;
    let valid_from = control.records().await.into_iter().find(|(key, _)| *key == format!("tokens_valid_from/{user}")).unwrap().1;
    let valid_from: Json = serde_json::from_str(&valid_from).unwrap();
    // The tokens of before are ended, this one is not.
    assert_eq!(valid_from["sequence"], json!(claims(&control, &issued).await.sequence));
    assert_eq!(log_in(&control, &who(&control, "guest", "Temp0rary&x")).await.status, 401);
    assert_eq!(log_in(&control, &who(&control, "guest", "Fresh1&Secret")).await.status, 201);
}

#[tokio::test]
async fn a_console_is_used_from_allowed_addresses_only() {
    let control = Control::start().await;
    let (root, guest) = (control.root(), control.guest().await);
    let user = guest.srn.rsplit('/').next().unwrap().to_owned();
    let of_user = format!("/portcullis/v1/users/{user}/console-access");
    let of_account = format!("/portcullis/v1/accounts/{}/console-access", guest.account);
    let list = |enabled: bool, addresses: Json| json!({"allowlist_enabled": enabled, "allowed_addresses": addresses, "lock_me_out": true});
    // The client of these tests is 203.0.113.9.
    for (target, body, expected) in [
        (&of_user, list(true, json!(["203.0.113.0/24"])), 201),
        (&of_user, list(true, json!(["10.0.0.0/8"])), 403),
        (&of_user, list(false, json!(["10.0.0.0/8"])), 201),
        (&of_account, list(true, json!(["203.0.113.8"])), 403),
        (&of_account, list(true, json!(["203.0.113.9"])), 201),
    ] {
        assert_eq!(control.call(&root, "PUT", target, Some(body.clone())).await.status, 200);
        let answer = log_in(&control, &who(&control, "guest", PASSWORD)).await;
        assert_eq!(answer.status, expected, "{target} {body}: {}", answer.body);
        // Only who knows the password is told.
        assert_eq!(log_in(&control, &who(&control, "guest", "Gu3st&nobodx")).await.status, 401);
    }
    // Of lists that were set before gateways were told, they hear at the next start.
    let key = format!("console_access/account/{}", guest.account);
    let before = control.record_keys("console_access/account/").await;
    assert_eq!(before, [key]);
    assert_eq!(control.execute("DELETE FROM records WHERE record_key LIKE 'console_access/account/%'").await, 1);
    let control = control.restarted().await;
    assert_eq!(control.record_keys("console_access/account/").await, before);
}

/// The sequence from which on a user's tokens count; 0 when none was ended.
async fn valid_from(control: &Control, user: &str) -> u64 {
    let key = format!("tokens_valid_from/{user}");
    let record = control.records().await.into_iter().find(|(known, _)| *known == key);
    record.map_or(0, |(_, body)| serde_json::from_str::<Json>(&body).unwrap()["sequence"].as_u64().unwrap())
}

/// Logs in while somebody else switches the user, or the whole account, off: wherever the two meet, no token is left that counts.
async fn switched_off_during_a_login(control: &Control, login: &Json, user: &str, (who, target): (&Who, &str), (off, on): (Json, Json)) {
    for calls_between in 0..6 {
        let switch = async {
            for _ in 0..calls_between {
                control.call(who, "GET", target, None).await;
            }
            assert_eq!(control.call(who, "PUT", target, Some(off.clone())).await.status, 200);
        };
        let (answer, ()) = tokio::join!(log_in(control, login), switch);
        if answer.status == 201 {
            let issued = claims(control, &answer).await.sequence;
            assert!(issued < valid_from(control, user).await, "a token of {issued} outlives {target} after {calls_between} calls");
        } else {
            // Or 403: consoles of an account that is off take nobody's address.
            assert!([401, 403].contains(&answer.status), "{}", answer.body);
        }
        assert_eq!(control.call(who, "PUT", target, Some(on.clone())).await.status, 200);
    }
}

#[tokio::test]
async fn a_login_on_its_way_does_not_survive_that_its_user_is_switched_off() {
    let control = Control::start().await;
    let guest = control.guest().await;
    let user = guest.srn.rsplit('/').next().unwrap();
    let target = format!("/v1/accounts/{}/users/{user}", guest.account);
    let state = |state: &str| json!({"state": state, "password_reuse_count": 1});
    let set = (state("INACTIVE"), state("ACTIVE"));
    switched_off_during_a_login(&control, &who(&control, "guest", PASSWORD), user, (&control.root(), &target), set).await;
}

#[tokio::test]
async fn a_login_on_its_way_does_not_survive_that_its_account_is_switched_off() {
    let control = Control::start().await;
    let other = control.other_account().await;
    let body = json!({"user_name": "kim", "password": PASSWORD});
    let made = control.call(&other, "POST", &format!("/v1/accounts/{}/users", other.account), Some(body)).await.json(201);
    let login = json!({"account_id": other.account, "user_name": "kim", "password": PASSWORD});
    let target = format!("/portcullis/v1/accounts/{}", other.account);
    let state = |active: bool| json!({"name": "other", "active": active});
    let (user, set) = (made["id"].as_str().unwrap(), (state(false), state(true)));
    switched_off_during_a_login(&control, &login, user, (&control.admin(), &target), set).await;
}

/// Begins a login whose body does not come: `100 Continue` says that it is waited for.
async fn begin(control: &Control) -> TcpStream {
    let request = Request::anonymous("POST", LOGIN).header("Expect", "100-continue").text();
    let mut stream = TcpStream::connect(control.address).await.unwrap();
    stream.write_all(request.replace("Content-Length: 0", "Content-Length: 2").as_bytes()).await.unwrap();
    let mut said = [0; 25];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn strangers_hold_the_public_route_with_few_and_small_bodies_only() {
    let control = Control::start().await;
    control.guest().await;
    let mut large = who(&control, "guest", PASSWORD);
    large["user_name"] = json!("x".repeat(4_096));
    let refused = log_in(&control, &large).await.error(413);
    assert_eq!(refused, ("PayloadTooLarge".to_owned(), json!("the body is too large; send at most 4096 bytes")));

    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(begin(&control).await);
    }
    let full = log_in(&control, &who(&control, "guest", PASSWORD)).await;
    assert_eq!((full.error(429).0.as_str(), full.header("Retry-After")), ("TooManyRequests", Some("1")));
    // Others are served meanwhile.
    assert_eq!(control.call(&control.root(), "GET", "/v1/groups", None).await.status, 200);
    let mut last = held.pop().unwrap();
    last.write_all(b"{}").await.unwrap();
    assert!(rest(last).await.starts_with("HTTP/1.1 400"));
    assert_eq!(log_in(&control, &who(&control, "guest", PASSWORD)).await.status, 201);
    // Whoever sends nothing is sent away in a few seconds.
    for stream in held {
        let answer = tokio::time::timeout(std::time::Duration::from_secs(10), rest(stream)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("the body did not arrive"), "{answer}");
    }
}
