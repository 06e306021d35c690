//! The control plane goes away and comes back: what is in force stays, also over a restart, and what was missed comes as changes.

use serde_json::json;

use super::harness::{Folder, Key, wait};

/// The value of a metric without labels.
fn sample(folder: &Folder, name: &str) -> u64 {
    let page = folder.metrics();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

/// What the gateway makes of a request, whatever the backend says.
fn verdict(folder: &Folder, key: &Key, method: &str, path: &str) -> (u16, String) {
    let answer = folder.call(Some(key), method, path, None);
    (answer.status, answer.header("portcullis-reason").unwrap_or_default().to_owned())
}

#[test]
fn the_gateway_needs_nothing_but_itself_to_decide() {
    let folder = Folder::new();
    drop(folder.demo().end());
    let (control, gateway) = (folder.control(), folder.gateway());
    let [admin, reader] = ["ADMIN", "READER"].map(|who| folder.key(who));
    wait("the feed", || (sample(&folder, "portcullis_feed_connected") == 1).then_some(()));
    let made = folder.must(&admin, "POST", "/v1/groups", Some(&json!({"name": "before", "description": null})), 201);
    let before: u64 = made.header("portcullis-committed-revision").unwrap().split_once('.').unwrap().1.parse().unwrap();
    let revision = || sample(&folder, "portcullis_revision_sequence");
    wait("the change", || (revision() == before).then_some(()));

    control.kill();
    // Allowed, but nobody is there; refused, as before.
    assert_eq!(verdict(&folder, &admin, "GET", "/v1/groups").1, "upstream_unavailable");
    assert_eq!(verdict(&folder, &reader, "DELETE", "/v1/groups/0123456789abcdef0123456789abcdef"), (403, "implicit_deny".to_owned()));
    assert_eq!(revision(), before);

    // A start without the control plane decides by the disk copy.
    gateway.kill();
    let gateway = folder.gateway();
    wait("the disk copy", || (revision() == before).then_some(()));
    assert_eq!(super::harness::exchange(folder.addresses.metrics, "GET", "/readyz", &[], None).status, 200);
    assert_eq!(verdict(&folder, &admin, "GET", "/v1/groups").1, "upstream_unavailable");
    assert_eq!(verdict(&folder, &reader, "DELETE", "/v1/groups/0123456789abcdef0123456789abcdef"), (403, "implicit_deny".to_owned()));

    // Back, with what was written meanwhile: it comes as changes.
    let control = folder.control();
    wait("the control plane", || (sample(&folder, "portcullis_feed_connected") == 1).then_some(()));
    folder.must(&admin, "POST", "/v1/groups", Some(&json!({"name": "after", "description": null})), 201);
    wait("the change", || (revision() > before).then_some(()));
    let ours = || super::harness::exchange(folder.addresses.metrics, "GET", "/revision", &[], None).json();
    let store = folder.must(&admin, "GET", "/portcullis/v1/revision", None, 200).json();
    wait("the digest of the store", || (ours() == store).then_some(()));
    assert_eq!(sample(&folder, "portcullis_feed_snapshots_total"), 0);
    assert!(sample(&folder, "portcullis_feed_commits_total") >= 1);
    drop((control, gateway));
}

#[test]
fn a_damaged_disk_copy_is_refused_and_the_gateway_waits_for_the_feed() {
    let folder = Folder::new();
    drop(folder.demo().end());
    let admin = folder.key("ADMIN");
    let image = folder.file("gateway-copy/image");
    let mut bytes = std::fs::read(&image).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&image, bytes).unwrap();

    let gateway = folder.gateway();
    wait("the complaint", || gateway.log().contains("gateway-copy/image`: frame").then_some(()));
    assert_eq!(verdict(&folder, &admin, "GET", "/v1/groups"), (503, "stale_snapshot".to_owned()));
    for path in ["/readyz", "/revision"] {
        assert_eq!(super::harness::exchange(folder.addresses.metrics, "GET", path, &[], None).status, 503, "{path}");
    }
    let _control = folder.control();
    wait("everything", || (folder.call(Some(&admin), "GET", "/v1/groups", None).status == 200).then_some(()));
    assert_eq!(sample(&folder, "portcullis_feed_snapshots_total"), 1);
}
