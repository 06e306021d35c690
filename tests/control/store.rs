//! The store from outside: what is in its file, what it tells the feed, and that it opens again.

use std::os::unix::fs::PermissionsExt as _;

use portcullis::control::{Names, Store, StoreError, bootstrap};
use portcullis::snapshot::wire::{Change, Digest, Frame};
use portcullis::types::SealingKey;
use serde_json::json;
use sqlx::{Connection as _, Row as _};

use super::harness::{Control, now, open, sealing_key};

#[tokio::test]
async fn the_file_is_private_and_holds_no_secret() {
    let control = Control::start().await;
    let secret = String::from_utf8(control.first.secret.expose().to_vec()).unwrap();
    assert_eq!(secret.len(), 36);
    let folder = control.folder.path().to_owned();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{path:?}");
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{path:?}");
    }
    let records = control.records().await;
    assert!(records.iter().any(|(key, body)| key.starts_with("access_key/") && body.contains(r#""secret":{"sealed":"v1."#)));
}

#[tokio::test]
async fn changes_and_records_tell_the_same() {
    let control = Control::start().await;
    let admin = control.first.administrator.to_string();
    let made = control.call(&control.root(), "POST", "/v1/groups", Some(json!({"name": "ops", "user_ids": [admin]}))).await;
    let id = made.json(201)["group"]["id"].as_str().unwrap().to_owned();
    assert_eq!(control.call(&control.root(), "DELETE", &format!("/v1/groups/{id}"), None).await.status, 204);
    let head = *control.store.head().borrow();
    let lines = control.store.changes_after(0, 1_000).await.unwrap().unwrap();
    assert_eq!(lines.len() as u64, head);
    let mut replayed = std::collections::BTreeMap::new();
    for (line, sequence) in lines.iter().zip(1..) {
        let Frame::Commit(commit) = Frame::parse(line).unwrap() else { panic!("{line}") };
        assert_eq!(commit.sequence, sequence);
        for change in commit.changes {
            match change {
                Change::Put { key, record } => drop(replayed.insert(key, record)),
                Change::Delete { key } => drop(replayed.remove(&key).unwrap()),
            }
        }
        let mut digest = Digest::default();
        replayed.iter().for_each(|(key, record)| digest.add(Digest::of(key, record)));
        assert_eq!(digest, commit.digest);
        assert_eq!(control.store.change_digest(sequence).await.unwrap(), Some(digest));
    }
    assert_eq!(replayed.into_iter().collect::<Vec<_>>(), control.records().await);
    let mut state = control.store.state().await.unwrap();
    let position = state.position().await.unwrap();
    assert_eq!((position.head, position.records), (head, control.records().await.len() as u64));
    assert_eq!(Some(position.digest), control.store.change_digest(head).await.unwrap());
    assert_eq!(control.store.change_digest(0).await.unwrap(), Some(Digest::default()));
    assert_eq!(control.store.change_digest(head + 1).await.unwrap(), None);
    assert_eq!(control.store.changes_after(head, 10).await.unwrap(), Some(Vec::new()));
    assert_eq!(control.store.changes_after(head - 2, 1).await.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn every_write_is_in_the_audit_log_of_its_revision() {
    let control = Control::start().await;
    let before = *control.store.head().borrow();
    let refused = control.call(&control.root(), "POST", "/v1/groups", Some(json!({"name": "o"}))).await;
    assert_eq!(refused.status, 400);
    assert_eq!(*control.store.head().borrow(), before);
    let made = control.call(&control.root(), "POST", "/v1/groups", Some(json!({"name": "ops"}))).await;
    assert_eq!(made.status, 201);
    assert_eq!(*control.store.head().borrow(), before + 1);
    assert_eq!(control.store.snapshot().revision(), control.store.revision(before + 1));

    let root = control.root();
    let path = control.database();
    let mut reader = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let sql = "SELECT account_id, srn, address, request_id, action, resource, body_before, body_after FROM audit WHERE revision = $1";
    let row = sqlx::query(sql).bind(i64::try_from(before + 1).unwrap()).fetch_one(&mut reader).await.unwrap();
    let group = &made.json(201)["group"];
    let found: Vec<Option<String>> = (0..8).map(|column| row.get(column)).collect();
    let after = r#"{"description":null,"name":"ops","policy_ids":[],"tags":[],"user_ids":[]}"#;
    let srn = group["srn"].as_str().unwrap();
    let expected = [&root.account, &root.srn, "203.0.113.9", "req-1", "iam:CreateGroup", srn, "", after];
    assert_eq!(found.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_store_opens_again_with_its_own_key_and_only_once() {
    let control = Control::start().await;
    let (path, epoch) = (control.database(), control.store.epoch());
    let records = control.records().await;
    let again = Store::open(&path, sealing_key(), "e".parse().unwrap(), now()).await;
    assert!(matches!(again, Err(StoreError::InUse(_))));
    let folder = control.stop().await;
    let other_key = SealingKey::from_text(&"0b".repeat(32)).unwrap();
    let other = Store::open(&path, other_key, "e".parse().unwrap(), now()).await;
    assert!(matches!(other, Err(StoreError::SealingKey)));
    let other = Store::open(&path, sealing_key(), "g".parse().unwrap(), now()).await;
    assert!(matches!(other, Err(StoreError::Offering(_))));
    let store = open(&path).await;
    assert_eq!(store.epoch(), epoch);
    let names = Names { account: "operator", administrator: "admin" };
    assert!(bootstrap(&store, names, now()).await.unwrap().is_none());
    let mut state = store.state().await.unwrap();
    assert_eq!(state.snapshot_page("", 1_000).await.unwrap().len(), records.len());
    drop(folder);
}
