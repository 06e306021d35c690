//! The platform's own kind of client, unmodified but for its endpoint: scpv2-sdk, where it is installed.

use std::process::Command;

use super::harness::Folder;

/// Prints the version, what ten creates at once and a list came to, and how a wrong secret is refused.
const SDK: &str = r#"
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from scpv2.exceptions import ClientError
from scpv2.session import Session

url, key, secret = sys.argv[1:]
print("scpv2-sdk", version("scpv2-sdk"))

class Here(Session):
    def endpoint_for(self, api_name):
        return url

def client(secret):
    return Here(access_key=key, secret_key=secret, no_proxy=True).client("iam_group")

def create(number):
    return client(secret).create_a_group(name=f"group{number}", description=None)["group"]["name"]

with ThreadPoolExecutor(10) as pool:
    print(" ".join(sorted(pool.map(create, range(10)))))
found = client(secret).list_groups(size=20, page=0)
print(found["count"], len(found["groups"]))
try:
    client("wrong").list_groups()
except ClientError as error:
    print("refused", "signature_mismatch" in str(vars(error)))
"#;

#[test]
fn the_sdk_of_the_platform_creates_ten_groups_at_once_with_one_key() {
    if !Command::new("python3").args(["-c", "import scpv2"]).output().is_ok_and(|done| done.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "scpv2-sdk is needed");
        eprintln!("\n*** NOT RUN: scpv2-sdk against the demo; `python3` has no scpv2 ***\n");
        return;
    }
    let folder = Folder::new();
    let _demo = folder.demo();
    let admin = folder.key("ADMIN");
    let url = format!("http://{}", folder.addresses.gateway);
    let done = Command::new("python3").args(["-c", SDK, &url, &admin.id, &admin.secret]).output().unwrap();
    let printed = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    eprintln!("{printed}");
    let lines: Vec<&str> = printed.lines().collect();
    let names: Vec<String> = (0..10).map(|number| format!("group{number}")).collect();
    assert_eq!(lines.get(1..), Some(&[&*names.join(" "), "10 10", "refused True"][..]), "{printed}");
}
