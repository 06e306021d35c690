//! A yes is true for every request there can be; and the usual questions are answered with yes.

use std::sync::Arc;

use super::*;
use crate::policy::sample::{ACCOUNT, Numbers, OTHER, policy};
use crate::policy::{Kind, Owner, Policies, Principal, Request, Resource, Scalar, Verdict, evaluate};
use crate::types::AccessLevel;

fn covers<P: AsRef<Policy>>(catalogue: &Catalogue, holder: &Holder<'_>, held: &[P], gained: &Policy) -> Result<(), Uncovered> {
    super::covers(catalogue, holder, held, gained, &Work::new())
}

fn widens_within<P: AsRef<Policy>>(
    catalogue: &Catalogue,
    holder: &Holder<'_>,
    held: &[P],
    old: &Policy,
    new: &Policy,
) -> Result<(), Uncovered> {
    super::widens_within(catalogue, holder, held, old, new, &Work::new())
}

fn loses_deny(catalogue: &Catalogue, old: &Policy, new: &Policy) -> bool {
    super::loses_deny(catalogue, old, new, &Work::new())
}

const HOLDER: Holder<'static> = Holder { account: ACCOUNT, user_id: Some("u1"), user_name: Some("foo") };

/// Two services, and a third one that may still have to be defined.
fn catalogue(with_later: bool) -> Catalogue {
    let mut builder = Catalogue::builder("e".parse().unwrap());
    let services: &[_] = if with_later { &["iam", "vm", "later"] } else { &["iam", "vm"] };
    for service in services {
        builder.service(service, &format!("scp-{service}"), &[]).unwrap();
    }
    for (name, level, kinds) in [
        ("iam:ListUsers", AccessLevel::List, &[][..]),
        ("iam:ShowUser", AccessLevel::Read, &["iam:user"]),
        ("iam:DeleteUser", AccessLevel::Delete, &["iam:user"]),
        ("iam:AttachUserPolicy", AccessLevel::Permission, &["iam:user", "iam:policy"]),
        ("vm:ListServers", AccessLevel::List, &[]),
        ("vm:ShowServer", AccessLevel::Read, &["vm:server"]),
        ("vm:DeleteServer", AccessLevel::Delete, &["vm:server"]),
        ("later:ShowThing", AccessLevel::Read, &["later:thing"]),
        ("later:DeleteThing", AccessLevel::Delete, &["later:thing"]),
        ("later:ListThings", AccessLevel::List, &[]),
    ] {
        if with_later || !name.starts_with("later") {
            let kinds: Vec<_> = kinds.iter().map(|kind| builder.resource_type(kind).unwrap()).collect();
            builder.action(name.parse().unwrap(), level, &kinds).unwrap();
        }
    }
    builder.build()
}

fn statement(effect: &str, action: &str, resource: &str, condition: &str) -> String {
    let (member, action) = action.strip_prefix('!').map_or(("Action", action), |rest| ("NotAction", rest));
    let list = |text: &str| format!("[\"{}\"]", text.replace(' ', "\", \""));
    let condition = if condition.is_empty() { String::new() } else { format!(", \"Condition\": {{{condition}}}") };
    format!(r#"{{"Effect": "{effect}", "{member}": {}, "Resource": {}{condition}}}"#, list(action), list(resource))
}

/// `+action on resource if condition` allows, `-` denies; statements are cut at `;`.
fn read(text: &str, owner: Owner, catalogue: &Catalogue) -> Arc<Policy> {
    let one = |text: &str| {
        let text = text.trim();
        let (effect, text) = match text.strip_prefix('-') {
            Some(rest) => ("Deny", rest),
            None => ("Allow", text.trim_start_matches('+')),
        };
        let (text, condition) = text.split_once(" if ").unwrap_or((text, ""));
        let (action, resource) = text.split_once(" on ").unwrap_or((text, "*"));
        statement(effect, action, &resource.replace('~', "srn:e:::::"), condition)
    };
    let statements: Vec<String> = text.split(';').map(one).collect();
    policy(&statements.join(","), owner, catalogue)
}

const LOCAL: &str = r#""IpAddress": {"scp:SourceIp": ["10.0.0.0/8", "192.0.2.1"]}"#;
const LOCAL_AGAIN: &str = r#""IpAddress": {"scp:sourceip": ["192.0.2.1/32", "10.0.0.0/8"]}"#;
const KEY: &str = r#""StringEquals": {"scp:AuthenticationType": ["AuthenticationKey", "X"]}"#;
const KEY_AGAIN: &str = r#""StringEquals": {"scp:AuthenticationType": ["X", "AuthenticationKey", "X"]}"#;
const FOO: &str = r#""StringEquals": {"scp:UserName": "foo"}"#;
const UNDEFINED: &str = r#""StringEquals": {"iam:userNone": "x"}"#;
const NOT_FOO: &str = r#""StringNotEquals": {"scp:UserName": "foo"}"#;

fn check(held: &[&str], gained: &str, expected: Option<&str>) {
    let catalogue = catalogue(false);
    let own = Owner::account(ACCOUNT);
    let held_policies: Vec<_> = held.iter().map(|text| read(text, own.clone(), &catalogue)).collect();
    let found = covers(&catalogue, &HOLDER, &held_policies, &read(gained, own, &catalogue));
    assert_eq!(found.err().map(|found| found.to_string()).as_deref(), expected, "{held:?} gives {gained}");
}

#[test]
fn what_somebody_has_they_may_give() {
    let with = |text: &str, condition: &str| format!("{text} if {condition}");
    for (held, gained) in [
        (&["*"][..], "*"),
        (&["*"], "iam:* on ~iam:user/*;vm:Show*"),
        (&["*"], "!iam:*"),
        (&["!iam:*"], "vm:*;!iam:* vm:*"),
        (&["iam:*", "vm:*"], "iam:* vm:*"),
        (&["iam:*;vm:*"], "iam:ListUsers vm:ShowServer on ~iam:user/a ~vm:server/*"),
        (&["*[List,Read,Delete]"], "*[List,Read];iam:ShowUser;vm:*[Delete]"),
        (&["*[List,Read]"], "iam:List* later:ShowThing[Read]"),
        (&["later:*"], "later:Show*"),
        (&["!later:Delete*"], "later:Show*"),
        (&["iam:* on ~iam:user/* ~iam:policy/*"], "iam:* on ~iam:*/a*"),
        (&["iam:* on ~iam:user/team-*"], "iam:DeleteUser on ~iam:user/team-a ~iam:user/team-?x*"),
        (&["* on ~later:thing/a"], "* on ~later:thing/a"),
        (&["vm:* on srn:e:::kr-west*::vm:server/*"], "vm:* on srn:e:::kr-west1::vm:server/a"),
        (&[&with("*", LOCAL)], &with("iam:*", LOCAL_AGAIN)),
        (&[&with("*", KEY)], &with("iam:*", &format!("{LOCAL}, {KEY_AGAIN}"))),
        (&[&with("*", FOO)], "*"),
        // what the Deny is about is not what is given
        (&["*;-iam:Delete*"], "iam:Show* vm:*"),
        (&["*;-* on ~iam:user/root*"], "* on ~iam:user/a*"),
        (&["*;-* on ~iam:*/*"], "vm:* on ~vm:server/*"),
        (&["*;-* on srn:e:::kr-east1::vm:server/*"], "vm:* on srn:e:::kr-west1::vm:server/*"),
        (&[&format!("*;-* on srn:e::{OTHER}:::iam:user/*")], "* on ~iam:user/*"),
        (&["*", "-!vm:*"], "vm:*"),
        (&["*", "-later:*"], "vm:* later:ShowThing;-later:* iam:*"),
        // or is denied by it again
        (&["*;-iam:*"], "*;-iam:*"),
        (&["*;-* on ~iam:user/root*"], "vm:*;* on ~iam:*/*;-*"),
        (&[&with("*;-iam:*", LOCAL)], "*;-iam:*"),
        (&[&with("*;-iam:*", LOCAL)], &with("*;-iam:*", LOCAL_AGAIN)),
        (&["iam:ShowUser"], "-*"),
    ] {
        check(held, gained, None);
    }
}

#[test]
fn what_somebody_does_not_have_they_may_not_give_and_are_told_why() {
    let with = |text: &str, condition: &str| format!("{text} if {condition}");
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "*", "statement 1 allows `iam:ListUsers`, which your own policies do not allow"),
        (&["iam:*"], "iam:*;vm:Show*", "statement 2 allows `vm:ShowServer`, which your own policies do not allow"),
        (&["*[List,Read,Create,Update,Delete]"], "*", "statement 1 allows `iam:AttachUserPolicy`, which your own policies do not allow"),
        (
            &["iam:* on ~iam:user/*"],
            "iam:ShowUser",
            "statement 1 allows `iam:ShowUser` on resources on which your own policies do not allow it",
        ),
        (&["* on ~iam:user/a*"], "* on ~iam:user/a ~iam:user/*a", "statement 1 allows `iam:ListUsers` on resources"),
        (&["* on ~iam:user/*"], "* on ~iam:*/*", "statement 1 allows `iam:ListUsers` on resources"),
        (&["* on ~iam:user/*"], &format!("* on srn:e::{OTHER}:::iam:user/x"), "statement 1 allows `iam:ListUsers` on resources"),
        (&["iam:* on ~iam:user/*;iam:* on ~iam:policy/*"], "iam:* on ~iam:user/* ~iam:policy/*", "on resources on which"),
        (&["vm:* on srn:e:::kr-west1::vm:server/*"], "vm:* on ~vm:server/a", "on resources on which"),
        (&[&with("*", LOCAL)], "*", "statement 1 allows `iam:ListUsers` without the conditions under which your own policies allow it"),
        (&[&with("*", LOCAL)], &with("*", &LOCAL.replace("10.", "11.")), "without the conditions"),
        (&[&with("*", LOCAL)], &with("*", &LOCAL.replace("IpAddress", "ForAllValues:IpAddress")), "without the conditions"),
        // not the holder, but somebody who is given it
        (&[&with("*", NOT_FOO)], &with("*", NOT_FOO), "without the conditions"),
        // what allows nothing yet is nothing to give: the key may be defined one day
        (&[&with("*", UNDEFINED)], &with("*", UNDEFINED), "without the conditions"),
        // still to be defined
        (&["iam:*", "vm:*"], "*", "statement 1 allows by `*` what no definition knows yet, which your own policies do not allow"),
        (&["iam:* vm:*"], "!iam:*", "statement 1 allows by `NotAction` what no definition knows yet"),
        (&["iam:* vm:*"], "later:Show*", "statement 1 allows by `later:Show*` what no definition knows yet"),
        (&["iam:* vm:*"], "*[Read]", "allows by `*[Read]` what no definition"),
        (&["*[Read] vm:* iam:*"], "later:ShowThing", "allows by `later:ShowThing` what"),
        (&["!later:Show*"], "later:*", "allows by `later:*` what"),
        (&["!later:Show*"], "!iam:*", "allows by `NotAction` what"),
        (&["* on ~iam:*/*"], "* on ~later:thing/*", "statement 1 allows `iam:ListUsers` on resources"),
        // denied
        (&["*;-iam:Delete*"], "*", "statement 1 allows `iam:DeleteUser`, which statement 2 of your policy `p1` denies"),
        (&["*", "-iam:DeleteUser on ~iam:user/a"], "iam:* on ~iam:user/*", "statement 1 of your policy `p1` denies"),
        (&[&with("*;-iam:*", LOCAL)], "iam:*", "which statement 2 of your policy `p1` denies"),
        (&["*;-iam:*"], "*;-iam:* on ~iam:user/*", "statement 2 of your policy `p1` denies"),
        (&["*;-iam:*"], &with("*;-iam:*", LOCAL), "statement 2 of your policy `p1` denies"),
        (&["*", "-later:*"], "*", "statement 1 allows what statement 1 of your policy `p1` denies as soon as it is defined"),
        (&["*", "-later:*"], "later:Show*;-later:Delete*", "denies as soon as it is defined"),
        (&["*", "-vm:*"], "vm:Later;-vm:DeleteServer", "denies as soon as it is defined"),
        (&["*", "-* on ~later:thing/*"], "iam:* on ~iam:user/*", "statement 1 of your policy `p1` denies"),
    ];
    let catalogue = catalogue(false);
    let own = Owner::account(ACCOUNT);
    for (held, gained, part) in cases {
        let held_policies: Vec<_> = held.iter().map(|text| read(text, own.clone(), &catalogue)).collect();
        let found = covers(&catalogue, &HOLDER, &held_policies, &read(gained, own.clone(), &catalogue));
        let found = found.map_err(|found| found.to_string());
        assert!(found.as_ref().is_err_and(|found| found.contains(part)), "{held:?} gives {gained}: {found:?}");
    }
}

#[test]
fn what_cannot_be_read_is_not_covered_and_covers_nothing() {
    let catalogue = catalogue(false);
    let (all, broken) = (read("*", Owner::system(), &catalogue), Arc::new(Policy::invalid("broken")));
    let none = read("-*", Owner::system(), &catalogue);
    let say = |held: &[Arc<Policy>], gained: &Policy| covers(&catalogue, &HOLDER, held, gained).unwrap_err().to_string();
    let expected = "the policy `broken` cannot be read, so nobody knows what it allows or denies";
    assert_eq!(say(&[Arc::clone(&all), Arc::clone(&broken)], &none), expected);
    assert_eq!(say(std::slice::from_ref(&all), &broken), expected);
    let foreign = read("*", Owner::system(), &self::catalogue(true));
    assert!(covers(&catalogue, &HOLDER, &[foreign], &none).is_err());
    assert!(loses_deny(&catalogue, &broken, &none) && loses_deny(&catalogue, &none, &broken) && broken.may_deny());
}

#[test]
fn an_empty_account_is_the_holders_in_policies_of_nobody_too() {
    let catalogue = catalogue(false);
    let users = "iam:* on ~iam:user/*";
    for (held, gained, expected) in [
        (Owner::system(), Owner::account(ACCOUNT), true),
        (Owner::account(ACCOUNT), Owner::system(), true),
        (Owner::system(), Owner::system(), true),
        (Owner::account(OTHER), Owner::system(), false),
        (Owner::system(), Owner::account(OTHER), false),
    ] {
        let (held, gained) = (read(users, held, &catalogue), read(users, gained, &catalogue));
        assert_eq!(covers(&catalogue, &HOLDER, &[held], &gained).is_ok(), expected);
    }
}

#[test]
fn a_new_version_may_keep_what_the_old_one_allowed_and_loses_what_it_no_longer_denies() {
    let catalogue = catalogue(false);
    let own = Owner::account(ACCOUNT);
    let (not_foo, denied_foo) = (format!("* if {NOT_FOO}"), format!("-* if {FOO}"));
    for (held, old, new, within, loses) in [
        (&["iam:*"][..], "vm:*", "vm:*;iam:ShowUser", true, false),
        (&["iam:*"], "vm:Show*", "vm:*", false, false),
        (&["iam:*"], "vm:*", "iam:*", true, false),
        (&["iam:*"], "vm:* on ~later:thing/x", "vm:* on ~later:thing/x;iam:*", true, false),
        (&[], &not_foo, &not_foo, true, false),
        (&[], "*;-iam:*", "*;-iam:* vm:*", true, false),
        (&[], "*;-iam:*", "!iam:*", true, true),
        (&[], "*;-iam:*", "*;-iam:Show*", false, true),
        (&["*"], "*;-iam:*", "*;-iam:Show*", true, true),
        (&[], "*;-vm:*", "*;-vm:ListServers vm:ShowServer vm:DeleteServer", true, true),
        (&[], "-* on ~iam:user/a", "-* on ~iam:user/*", true, false),
        (&[], "-later:*", "-later:Show*", true, true),
        (&[], &denied_foo, &denied_foo, true, false),
    ] {
        let held: Vec<_> = held.iter().map(|text| read(text, own.clone(), &catalogue)).collect();
        let (before, after) = (read(old, own.clone(), &catalogue), read(new, own.clone(), &catalogue));
        assert_eq!(widens_within(&catalogue, &HOLDER, &held, &before, &after).is_ok(), within, "{old} becomes {new}");
        assert_eq!(loses_deny(&catalogue, &before, &after), loses, "{old} becomes {new}");
    }
}

#[test]
fn hostile_lists_end_in_a_no_in_time() {
    let catalogue = catalogue(false);
    let patterns = |last: char| (0..500).map(|n| format!("~iam:user/*{}{n}*{last}", "a".repeat(80))).collect::<Vec<_>>().join(" ");
    let (held, gained) = (patterns('x'), patterns('y'));
    let held = read(&format!("* on {held}"), Owner::system(), &catalogue);
    let gained = read(&format!("* on {gained}"), Owner::system(), &catalogue);
    let found = covers(&catalogue, &HOLDER, &vec![held; 50], &gained).unwrap_err();
    assert_eq!(found.to_string(), "statement 1 cannot be compared with your own policies: it has too many patterns");
}

#[test]
fn a_policy_says_whether_it_may_deny_and_whether_it_knows_names() {
    let catalogue = catalogue(false);
    let region = r#""StringEquals": {"scp:RequestedRegion": "kr-west1"}"#;
    for (text, denies, names) in [
        ("*".to_owned(), false, false),
        ("*;-iam:*".to_owned(), true, false),
        (format!("* if {region}"), false, false),
        (format!("* if {region};-* if {NOT_FOO}"), true, true),
        (format!("* if {FOO}"), false, true),
    ] {
        let policy = read(&text, Owner::system(), &catalogue);
        assert_eq!((policy.may_deny(), policy.may_depend_on_name()), (denies, names), "{text}");
    }
    let broken = Policy::invalid("broken");
    assert!(broken.may_deny() && broken.may_depend_on_name());
}

#[test]
fn what_the_holder_is_known_by_is_its_id_too() {
    for (id, why) in [("u1", None), ("u2", Some("without the conditions"))] {
        let held = format!(r#"* if "StringEquals": {{"scp:UserId": "{id}"}}"#);
        let catalogue = catalogue(false);
        let own = Owner::account(ACCOUNT);
        let found = covers(&catalogue, &HOLDER, &[read(&held, own.clone(), &catalogue)], &read("iam:*", own, &catalogue));
        let found = found.map_err(|found| found.to_string());
        assert!(found.as_ref().err().map(|found| found.contains(why.unwrap())) == why.map(|_| true), "{found:?}");
    }
}

#[test]
fn a_role_is_known_by_no_id_and_no_name() {
    let (catalogue, own) = (catalogue(false), Owner::account(ACCOUNT));
    let role = Holder { user_id: None, user_name: None, ..HOLDER };
    for (condition, expected) in [
        (r#""StringEquals": {"scp:UserId": "u1"}"#, false),
        (r#""StringLike": {"scp:UserName": "*"}"#, false),
        (r#""StringNotEquals": {"scp:UserName": "foo"}"#, true),
        (r#""Null": {"scp:UserId": "true"}"#, true),
    ] {
        let held = [read(&format!("* if {condition}"), own.clone(), &catalogue)];
        let found = covers(&catalogue, &role, &held, &read("iam:*", own.clone(), &catalogue));
        assert_eq!(found.is_ok(), expected, "{condition}: {found:?}");
    }
}

fn any_statement(numbers: &mut Numbers) -> String {
    const ACTIONS: [&str; 22] = [
        "*",
        "*",
        "iam:*",
        "iam:*",
        "vm:*",
        "*[Read,List]",
        "*[Read]",
        "iam:Show*",
        "iam:ShowUser",
        "iam:*User",
        "iam:DeleteUser",
        "iam:AttachUserPolicy",
        "iam:ListUsers",
        "vm:*Server*",
        "later:*",
        "later:Show*",
        "later:ShowThing",
        "*:Show*",
        "iam:* vm:*",
        "!iam:*",
        "!later:* iam:ShowUser",
        "!*[Delete]",
    ];
    const RESOURCES: [&str; 17] = [
        "*",
        "*",
        "*",
        "*",
        "~iam:user/*",
        "~iam:user/a*",
        "~iam:user/a",
        "~iam:user/?b",
        "~iam:user/*b",
        "~iam:policy/*",
        "~iam:*/*",
        "~vm:server/*",
        "srn:e:::kr-west1::vm:server/a*",
        "srn:e:::kr-*::vm:*/*",
        "~later:thing/*",
        "~later:*/a*",
        "srn:e::1f0c2d3e4b5a69788796a5b4c3d2e1f0:::iam:user/*",
    ];
    const CONDITIONS: [&str; 12] =
        ["", "", "", "", "", "", LOCAL, LOCAL_AGAIN, FOO, NOT_FOO, KEY, r#""Null": {"scp:RequestedRegion": "true"}"#];
    let effect = numbers.one(&["+", "+", "+", "-"]);
    let resource = if numbers.below(3) == 0 {
        format!("{} {}", numbers.one(&RESOURCES), numbers.one(&RESOURCES))
    } else {
        numbers.one(&RESOURCES).to_owned()
    };
    let condition = match numbers.one(&CONDITIONS) {
        "" => String::new(),
        condition => format!(" if {condition}"),
    };
    format!("{effect}{} on {resource}{condition}", numbers.one(&ACTIONS))
}

/// A policy for the definitions of today, and for those of later.
fn any_policy(numbers: &mut Numbers, today: &Catalogue, later: &Catalogue) -> (String, Arc<Policy>, Arc<Policy>) {
    let count = 1 + numbers.below(3);
    let text = (0..count).map(|_| any_statement(numbers)).collect::<Vec<_>>().join(";");
    let owner = if numbers.below(4) == 0 { Owner::system() } else { Owner::account(ACCOUNT) };
    let (now, then) = (read(&text, owner.clone(), today), read(&text, owner, later));
    (text, now, then)
}

/// Every request that the policies above tell apart, by somebody.
fn requests(catalogue: &Catalogue) -> Vec<Request<'static>> {
    let ids = ["a", "ab", "b", "x"];
    let mut all = Vec::new();
    for (action, known) in catalogue.actions() {
        let mut lists: Vec<Vec<Resource<'static>>> = vec![Vec::new()];
        for kind in &known.resource_types {
            let regions: &[&str] = if known.name.service() == "vm" { &["", "kr-west1", "kr-east1"] } else { &[""] };
            let places = ids.iter().flat_map(|id| regions.iter().map(move |region| (*id, *region)));
            let ones: Vec<_> = places.map(|(id, region)| Resource::new(*kind, ACCOUNT, region, id)).collect();
            lists = lists.iter().flat_map(|list| ones.iter().map(|one| [list.clone(), vec![*one]].concat())).collect();
        }
        for list in lists {
            let resources: &'static [Resource<'static>] = Vec::leak(list);
            for (user_name, address, kind) in
                [("foo", "10.1.2.3", "AuthenticationKey"), ("foo", "198.51.100.1", "X"), ("bar", "10.1.2.3", "Y"), ("bar", "10.9.9.9", "X")]
            {
                let context = Context {
                    source_ip: Values::One(Scalar::Address(address.parse().unwrap())),
                    user_name: Values::text(Some(user_name)),
                    authentication_type: Values::text(Some(kind)),
                    requested_region: Values::text(resources.first().map(|resource| resource.region).filter(|region| !region.is_empty())),
                    ..HOLDER.context()
                };
                let principal = Principal { kind: Kind::User, account: ACCOUNT, id: HOLDER.user_id.unwrap() };
                all.push(Request { action, resources, principal, context, needs_resource_policy: false });
            }
        }
    }
    all
}

/// How many questions are asked. A million were, once.
const CASES: usize = 25_000;

#[test]
fn a_yes_is_true_for_every_request_now_and_when_more_is_defined() {
    let (today, later) = (catalogue(false), catalogue(true));
    let requests = requests(&later);
    let mut numbers = Numbers(42);
    let pool: Vec<_> = (0..600).map(|_| any_policy(&mut numbers, &today, &later)).collect();
    let allowed_by =
        |policies: &[&Policy], request: &Request<'_>| matches!(evaluate(request, &Policies::identity(policies)), Verdict::Allow(_));
    let (mut yes, mut useful) = (0, 0);
    for _ in 0..CASES {
        let held: Vec<_> = (0..1 + numbers.below(3)).map(|_| &pool[numbers.below(pool.len())]).collect();
        let gained = &pool[numbers.below(pool.len())];
        let now: Vec<&Policy> = held.iter().map(|(_, now, _)| &**now).collect();
        if covers(&today, &HOLDER, &now, &gained.1).is_err() {
            continue;
        }
        yes += 1;
        let then: Vec<&Policy> = held.iter().map(|(_, _, then)| &**then).collect();
        let mut gives = false;
        for request in &requests {
            if allowed_by(&[&gained.2], request) {
                gives = true;
                let own = Request { context: Context { user_name: Values::text(HOLDER.user_name), ..request.context }, ..*request };
                let texts: Vec<_> = held.iter().map(|(text, ..)| text).collect();
                assert!(allowed_by(&then, &own), "{texts:?} gives {}: {}", gained.0, later.action(request.action).name);
            }
        }
        useful += usize::from(gives);
    }
    assert!(yes > CASES / 50 && useful > CASES / 100, "{yes} {useful}");
}
