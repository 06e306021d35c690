//! A token's life: asked for with a signature, used instead of one, gone with its access key.

use serde_json::json;

use super::harness::{Answer, Folder};

#[test]
fn a_token_stands_for_a_signature_until_its_key_is_switched_off() {
    let folder = Folder::new();
    let demo = folder.demo();
    let (admin, reader) = (folder.key("ADMIN"), folder.key("READER"));
    let refused = folder.must(&reader, "POST", "/portcullis/v1/tokens", Some(&json!({})), 403);
    assert_eq!(refused.header("portcullis-reason"), Some("implicit_deny"));

    let issued = folder.must(&admin, "POST", "/portcullis/v1/tokens", Some(&json!({"duration_seconds": 600})), 201);
    let token = issued.text("/token");
    let with = |method: &str, path: &str, carrier: &str, more: &[String]| -> Answer {
        let mut lines = vec![format!("{carrier}{token}")];
        lines.extend_from_slice(more);
        let body = json!({});
        folder.call_with(None, method, path, Some(&body).filter(|_| method != "GET"), &lines)
    };
    let verdict = |answer: &Answer| (answer.status, answer.header("portcullis-reason").unwrap_or_default().to_owned());
    let allowed = (200, "allow".to_owned());
    for carrier in ["X-Auth-Token: ", "Authorization: Bearer "] {
        let answer = with("GET", "/v1/groups", carrier, &[]);
        assert_eq!(verdict(&answer), allowed, "{}", answer.body);
        assert_eq!(answer.json()["groups"], json!([]));
    }
    // Everything that its owner may do, but no further token.
    let made = with("POST", "/portcullis/v1/tokens", "X-Auth-Token: ", &[]);
    assert_eq!((made.status, made.json()["errors"][0]["code"].clone()), (403, json!("Forbidden")), "{}", made.body);
    let forged = folder.call_with(None, "GET", "/v1/groups", None, &[format!("X-Auth-Token: {}", token.replace("eyJ", "eyK"))]);
    assert_eq!(verdict(&forged), (401, "token_invalid".to_owned()));

    // Another one is ended by its id; the next request with it is refused, however it is written, and the first one goes on.
    let second = folder.must(&admin, "POST", "/portcullis/v1/tokens", Some(&json!({})), 201);
    let (second, id) = (second.text("/token"), second.text("/jti"));
    let by = |carrier: &str, text: &str, more: &[String]| {
        let lines = [&[format!("{carrier}{text}")], more].concat();
        let answer = folder.call_with(None, "GET", "/v1/groups", None, &lines);
        verdict(&answer)
    };
    assert_eq!(by("X-Auth-Token: ", &second, &[]), allowed);
    let user = folder.must(&admin, "GET", &format!("/v1/accounts/{}/users?user_name=admin", folder.account()), None, 200);
    let target = format!("/portcullis/v1/users/{}/tokens/{id}", user.text("/users/0/id"));
    let ended = folder.must(&admin, "DELETE", &target, None, 204);
    let min = [format!("Portcullis-Min-Revision: {}", ended.header("portcullis-committed-revision").unwrap())];
    assert_eq!(by("X-Auth-Token: ", &token, &min), allowed);
    let capital: String = second.chars().rev().map(|letter| letter.to_ascii_uppercase()).collect();
    let others = [second.clone(), format!("{second}="), format!("{second}A"), second.get(..second.len() - 1).unwrap().to_owned(), capital];
    for (carrier, text) in others.iter().flat_map(|text| ["X-Auth-Token: ", "Authorization: Bearer "].map(|carrier| (carrier, text))) {
        assert_eq!(by(carrier, text, &[]), (401, "token_invalid".to_owned()), "{carrier}{text}");
    }
    folder.must(&admin, "DELETE", &target, None, 404);

    // The administrator's key is switched off, with itself; the next request with the token is refused.
    let key = format!("/v1/access-keys/{}", admin.id);
    let off = folder.must(&admin, "PUT", &key, Some(&json!({"is_enabled": false})), 200);
    let revision = off.header("portcullis-committed-revision").unwrap().to_owned();
    let after = with("GET", "/v1/groups", "X-Auth-Token: ", &[format!("Portcullis-Min-Revision: {revision}")]);
    assert_eq!(verdict(&after), (401, "credential_disabled".to_owned()), "{}", after.body);

    let (_, log) = demo.end();
    assert!(!log.contains(&token) && !log.contains("ERROR"), "{log}");
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let signature = token.rsplit('.').next().unwrap().as_bytes();
        assert!(!bytes.windows(signature.len()).any(|window| window == signature), "{path:?}");
    }
}
