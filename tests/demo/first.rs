//! What a newcomer does: start it, paste what it prints, start it again.

use std::collections::HashMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use super::harness::{Folder, wait};

/// Runs printed commands as they stand, in a shell.
fn paste(commands: &str) -> String {
    let done = Command::new("bash").arg("-c").arg(commands).env_remove("SCP_ACCESS_KEY").env_remove("SCP_SECRET_KEY").output().unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

#[test]
fn the_printed_commands_work_when_pasted() {
    let folder = Folder::new();
    let demo = folder.demo();
    let commands: Vec<&str> = demo.greeting.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let (listing, making): (Vec<&str>, Vec<&str>) = {
        let at = commands.iter().position(|line| line.starts_with("SCP_ACCESS_KEY")).unwrap();
        (commands[..at].to_vec(), commands[at..].to_vec())
    };
    let seen = paste(&listing.join("\n"));
    assert!(seen.contains("HTTP/1.1 200 OK") && seen.contains(r#""groups":[]"#), "{seen}");
    let seen = paste(&format!("{}\n{}", listing[0], making.join("\n")));
    let (refused, made) = seen.split_once(r#""group":"#).unwrap_or_else(|| panic!("{seen}"));
    assert!(refused.contains("implicit_deny") && made.contains(r#""name":"operators""#), "{seen}");
}

/// A script of openssl and curl that signs as SCP Classic does, with the keys of demo.env.
const CLASSIC: &str = r#"
signed() { # signed WHO METHOD PATH PROJECT [CURL OPTIONS]
  key="$1_ACCESS_KEY" secret="$1_SECRET_KEY" method=$2 url=$PORTCULLIS_URL$3 project=$4; shift 4
  time=$(date +%s%3N)
  signature=$(printf '%s' "$method$url$time${!key}${project}OpenApi" | openssl dgst -sha256 -hmac "${!secret}" -binary | base64)
  curl -sS -o /dev/null -w '%{http_code} %header{portcullis-reason}\n' -X "$method" "$url" -H "X-Cmp-AccessKey: ${!key}" \
    -H "X-Cmp-Timestamp: $time" -H 'X-Cmp-ClientType: OpenApi' -H "X-Cmp-ProjectId: $project" -H 'X-Cmp-Language: en-US' \
    -H "X-Cmp-Signature: $signature" "$@"
}
json='Content-Type: application/json'
signed READER GET '/v1/groups?size=20&sort=created_at%3Adesc' PROJECT-sVnjB8Jar0qPYSoODCWmjj
signed READER POST /v1/groups '' -H "$json" -d '{"name": "classics", "description": null}'
signed ADMIN POST /v1/groups PROJECT-sVnjB8Jar0qPYSoODCWmjj -H "$json" -d '{"name": "classics", "description": null}'
OTHER_SECRET_KEY=$ADMIN_SECRET_KEY signed OTHER GET /v1/groups ''
signed ADMIN GET /v1/groups '' -H 'Scp-Signature: x'
"#;

#[test]
fn the_iam_api_takes_signatures_of_scp_classic_for_the_key_pairs() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let told = paste(&format!(". '{}'\n{CLASSIC}", folder.file("demo.env").display()));
    let expected = ["200 allow", "403 implicit_deny", "201 allow", "401 signature_mismatch", "400 several_credentials"];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected, "{told}");
    let groups = folder.must(&folder.key("READER"), "GET", "/v1/groups", None, 200);
    assert_eq!(groups.json()["groups"][0]["name"], "classics");
}

#[test]
fn the_three_people_may_do_what_the_contract_says() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let [admin, reader, other] = ["ADMIN", "READER", "OTHER"].map(|who| folder.key(who));
    let group = json!({"name": "operators", "description": null});
    folder.must(&reader, "GET", "/v1/groups", None, 200);
    let refused = folder.must(&reader, "POST", "/v1/groups", Some(&group), 403);
    assert_eq!(refused.header("portcullis-reason"), Some("implicit_deny"));
    // Why, from the log and the copy of the gateway that runs.
    let id = refused.header("portcullis-request-id").unwrap();
    let told = wait("the record", || {
        let mut explain = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let done = explain.args(["explain", "--config", folder.file("gateway.yaml").to_str().unwrap(), id]).output().unwrap();
        done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
    });
    assert!(told.contains("reader holds 1 policy:") && told.contains("`Look`"), "{told}");
    let made = folder.must(&admin, "POST", "/v1/groups", Some(&group), 201);
    let id = made.text("/group/id");
    assert_eq!(folder.must(&reader, "GET", "/v1/groups", None, 200).json()["count"], 1);

    // What was changed decides the very next request of who asks for that.
    let revision = made.header("portcullis-committed-revision").unwrap();
    let wanted = [format!("Portcullis-Min-Revision: {revision}")];
    let path = format!("/v1/groups/{id}");
    let shown =
        wait("the revision", || Some(folder.call_with(Some(&reader), "GET", &path, None, &wanted)).filter(|shown| shown.status != 503));
    assert_eq!((shown.status, shown.text("/group/name")), (200, "operators".to_owned()));

    // The other account sees nothing of it.
    assert_eq!(folder.must(&other, "GET", "/v1/groups", None, 200).json()["count"], 0);
    folder.must(&other, "GET", &format!("/v1/groups/{id}"), None, 404);
    folder.must(&other, "POST", "/v1/groups", Some(&group), 201);
}

/// What demo.env says, less the tokens, which each start issues anew.
fn lasting(folder: &Folder) -> HashMap<String, String> {
    folder.environment().into_iter().filter(|(name, _)| !name.ends_with("_TOKEN")).collect()
}

#[test]
fn the_demo_issues_tokens_for_the_administrator_and_the_reader_at_every_start() {
    let folder = Folder::new();
    let demo = folder.demo();
    let group = json!({"name": "operators", "description": null});
    let call = |who: &str, method: &str, body: Option<&serde_json::Value>| {
        let token = folder.environment()[&format!("{who}_TOKEN")].clone();
        let answer = folder.call_with(None, method, "/v1/groups", body, &[format!("X-Auth-Token: {token}")]);
        (answer.status, answer.header("portcullis-reason").unwrap_or_default().to_owned())
    };
    assert_eq!(call("READER", "GET", None), (200, "allow".to_owned()));
    assert_eq!(call("READER", "POST", Some(&group)), (403, "implicit_deny".to_owned()));
    assert_eq!(call("ADMIN", "POST", Some(&group)), (201, "allow".to_owned()));
    assert!(folder.environment().keys().all(|name| name != "OTHER_TOKEN"));
    let pasted = paste(&format!(
        ". '{}'; curl -sS -H \"X-Auth-Token: $READER_TOKEN\" \"$PORTCULLIS_URL/v1/groups\"",
        folder.file("demo.env").display()
    ));
    assert!(pasted.contains(r#""count":1"#), "{pasted}");

    // A key that is gone has no token any more.
    let (admin, before) = (folder.key("ADMIN"), folder.environment());
    let users = folder.must(&admin, "GET", &format!("/v1/accounts/{}/users?user_name=reader", folder.account()), None, 200);
    let key = format!("/portcullis/v1/users/{}/access-keys/{}", users.text("/users/0/id"), before["READER_ACCESS_KEY"]);
    folder.must(&admin, "PUT", &key, Some(&json!({"is_enabled": false})), 200);
    drop(demo.end());
    let _again = folder.demo();
    let after = folder.environment();
    assert!(!after.contains_key("READER_TOKEN") && after["ADMIN_TOKEN"] != before["ADMIN_TOKEN"]);
}

#[test]
fn data_stay_between_starts_and_the_end_is_clean() {
    let folder = Folder::new();
    let demo = folder.demo();
    let admin = folder.key("ADMIN");
    let made = folder.must(&admin, "POST", "/v1/groups", Some(&json!({"name": "operators", "description": null})), 201);
    for name in ["demo.env", "sealing.key", "portcullis.db"] {
        let mode = std::fs::metadata(folder.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let environment = lasting(&folder);
    let (code, log) = demo.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");

    let _again = folder.demo();
    assert_eq!(lasting(&folder), environment);
    let shown = folder.must(&admin, "GET", &format!("/v1/groups/{}", made.text("/group/id")), None, 200);
    assert_eq!(shown.text("/group/name"), "operators");
    let decisions = std::fs::read_to_string(folder.file("decisions.jsonl")).unwrap();
    assert!(decisions.lines().count() >= 2);
}

#[test]
fn a_taken_address_is_named_before_anything_is_made() {
    let folder = Folder::new();
    let addresses = folder.addresses;
    for address in [addresses.gateway, addresses.control, addresses.feed, addresses.metrics] {
        let taken = TcpListener::bind(address).unwrap();
        let said = folder.refused_demo();
        assert!(said.contains(&format!("cannot listen on `{address}`")), "{said}");
        assert_eq!(folder.files().into_keys().collect::<Vec<_>>(), [""; 0].map(std::path::PathBuf::from));
        drop(taken);
    }
    let _demo = folder.demo();
    folder.must(&folder.key("READER"), "GET", "/v1/groups", None, 200);
}

#[test]
fn a_second_demo_in_the_same_folder_changes_nothing() {
    let folder = Folder::new();
    let demo = folder.demo();
    let (first, before) = (folder.addresses, folder.files());
    let mut folder = folder.moved();
    let said = folder.refused_demo();
    assert!(said.contains("another demo runs in `"), "{said}");
    assert_eq!(folder.files(), before);
    folder.addresses = first;
    folder.must(&folder.key("READER"), "GET", "/v1/groups", None, 200);
    drop(demo);
}

#[test]
fn new_addresses_stand_in_the_environment_and_the_keys_stay() {
    let folder = Folder::new();
    drop(folder.demo().end());
    let before = lasting(&folder);
    let folder = folder.moved();
    let _demo = folder.demo();
    let mut expected = before;
    for (name, url) in [
        ("PORTCULLIS_URL", format!("http://{}", folder.addresses.gateway)),
        ("PORTCULLIS_CONTROL_URL", format!("http://{}", folder.addresses.control)),
        ("PORTCULLIS_METRICS_URL", format!("http://{}", folder.addresses.metrics)),
    ] {
        assert!(expected.insert(name.to_owned(), url).is_some());
    }
    assert_eq!(lasting(&folder), expected);
    folder.must(&folder.key("ADMIN"), "GET", "/v1/groups", None, 200);
}

#[test]
fn a_folder_with_parts_missing_is_explained_or_begun_anew() {
    let folder = Folder::new();
    drop(folder.demo().end());
    let old = folder.key("ADMIN");
    let key = std::fs::read(folder.file("sealing.key")).unwrap();
    std::fs::remove_file(folder.file("sealing.key")).unwrap();
    let before = folder.files();
    let said = folder.refused_demo();
    assert!(said.contains("sealing.key` is missing"), "{said}");
    assert_eq!(folder.files(), before);
    std::fs::write(folder.file("sealing.key"), key).unwrap();

    let environment = std::fs::read(folder.file("demo.env")).unwrap();
    std::fs::remove_file(folder.file("demo.env")).unwrap();
    let said = folder.refused_demo();
    assert!(said.contains("demo.env` is missing: it was removed, or the first start did not get so far."), "{said}");
    std::fs::write(folder.file("demo.env"), environment).unwrap();

    // Without the store, nobody of it is known any more, in the gateway's copy neither.
    std::fs::remove_file(folder.file("portcullis.db")).unwrap();
    let demo = folder.demo();
    assert_ne!(folder.key("ADMIN"), old);
    folder.must(&old, "GET", "/v1/groups", None, 401);
    folder.must(&folder.key("ADMIN"), "GET", "/v1/groups", None, 200);
    assert!(!demo.log().contains("ERROR"), "{}", demo.log());
}
