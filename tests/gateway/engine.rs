//! The index over the policies of who holds many, and the check of the engine beside the traffic.

use super::backend::Backend;
use super::client::{Ask, Who};
use super::harness::{ACCOUNT, Setup, wait};

const KEEPER: Who = Who { key: "4ee9e400000000000000000000000001", secret: "keeper-secret-000001" };
const KEEPER_ID: &str = "4ee90000000000000000000000000001";

const ALLOWED: (u16, &str) = (200, "allow");
const NOT_ALLOWED: (u16, &str) = (403, "implicit_deny");
const DENIED: (u16, &str) = (403, "explicit_deny");

fn setup() -> Setup {
    let statement = |number: u32| {
        format!(
            r#"{{"Effect": "Allow", "Action": "iam:ShowGroup", "Resource": ["srn:e:::::scp-iam:group/g{number}", "srn:e:::::scp-iam:group/*-{number}"]}},
            {{"Effect": "Deny", "Action": "iam:*", "Resource": "srn:e:::::scp-iam:group/g{number}-locked*"}}"#
        )
    };
    let keeper = Setup::new().set("workers", "2").user("keeper", &KEEPER, KEEPER_ID, ACCOUNT);
    (0..12).fold(keeper, |setup, number| setup.policy(ACCOUNT, KEEPER_ID, &statement(number)))
}

fn show(group: &str) -> Vec<u8> {
    Ask::get(&format!("/v1/groups/{group}")).by(&KEEPER)
}

#[test]
fn who_holds_many_policies_and_asks_often_is_decided_alike_before_and_after_they_are_indexed() {
    let backend = Backend::start();
    let world = setup().set("policy", "{cross_check: 1/1}").start(&backend);
    let ask_all = || {
        for number in 0..12 {
            for (group, expected) in [
                (format!("g{number}"), ALLOWED),
                (format!("g{number}x"), NOT_ALLOWED),
                (format!("any-{number}"), ALLOWED),
                (format!("g{number}-locked-{number}"), DENIED),
            ] {
                assert_eq!(world.ask(show(&group)).verdict(), expected, "{group}");
            }
        }
    };
    assert_eq!(world.metric("portcullis_policy_sets_indexed_total"), 0);
    ask_all();
    wait("the policies to be indexed", || {
        assert_eq!(world.ask(show("g1")).verdict(), ALLOWED);
        (world.metric("portcullis_policy_sets_indexed_total") == 1).then_some(())
    });
    ask_all();
    // The very next request after a change is decided by it, with whatever index.
    world.publish(world.changed(|setup| {
        setup.edit_records(|text| {
            text.replacen(r#""Resource": ["srn:e:::::scp-iam:group/g7""#, r#""Resource": ["srn:e:::::scp-iam:group/h7""#, 1)
        })
    }));
    assert_eq!((world.ask(show("g7")).verdict(), world.ask(show("h7")).verdict()), (NOT_ALLOWED, ALLOWED));
    assert!(world.metric("portcullis_policy_cross_checks_total") >= 96);
    assert_eq!(world.metric("portcullis_policy_cross_check_mismatches_total"), 0);
}

#[test]
fn one_in_so_many_decisions_is_checked_and_none_unless_asked_for() {
    let backend = Backend::start();
    for (policy, checked) in [("{cross_check: 1/10}", 10), ("{}", 0)] {
        let world = setup().set("workers", "1").set("policy", policy).start(&backend);
        let mut client = world.connect();
        (0..100).for_each(|_| assert_eq!(client.ask(show("g3")).verdict(), ALLOWED));
        assert_eq!(world.metric("portcullis_policy_cross_checks_total"), checked, "{policy}");
    }
}
