//! Laws of the evaluator, on generated policies: a Deny never adds access, order never matters, the compiled evaluator and its
//! explanation agree with a naive one that reads the rules word for word.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use portcullis::policy::{Catalogue, Context, Outcome, Policy, Request, Resource, Verdict, evaluate, explain};
use portcullis::types::Network;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::world::{self, ACCOUNT};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| world::catalogue(&world::cases()));

const FOREIGN: &str = "1f0c2d3e4b5a69788796a5b4c3d2e1f0";
const ACTIONS: &[&str] = &[
    "*",
    "*:*",
    "*:show*",
    "*:*User*",
    "iam:*",
    "iam:show*",
    "iam:*User",
    "iam:*User*",
    "iam:showUser",
    "iam:ShowUser",
    "iam:listUsers",
    "server:*",
    "server:*Volume",
    "server:showInstance",
    "kms:decrypt",
    "*:showUser",
    "none:*",
    "*[List]",
    "iam:*[Read,List]",
    "*[Delete]",
];
const PATTERNS: &[&str] = &[
    "*",
    "srn:e:::::iam:user/*",
    "srn:e:::::scp-iam:user/u1",
    "srn:e:::::iam:policy/p?",
    "srn:e:::::iam:*/*",
    "srn:e:::::iam:?ser/*1",
    "srn:e::9b7653f6f47a42e38055934a0575a813:kr-*::scp-compute:instance/i*",
    "srn:e:::kr-west?::compute:*/*",
    "srn:g:::::iam:user/*",
    "srn:e::1f0c2d3e4b5a69788796a5b4c3d2e1f0:::iam:user/*",
    "srn:e:::::iam:group/*",
    "srn:e:::*::scp-compute:volume/**1",
    "srn:e:::::none:x/*",
];
const CONDITIONS: &[&str] = &[
    r#"{"StringEquals": {"scp:UserName": ["foo", "bar"]}}"#,
    r#"{"StringNotEquals": {"scp:username": "foo"}}"#,
    r#"{"ForAllValues:StringEquals": {"scp:UserName": "foo"}}"#,
    r#"{"ForAnyValue:StringNotLike": {"scp:UserName": ["f*", "*z"]}}"#,
    r#"{"StringEqualsIsIgnoreCase": {"scp:UserName": "FOO"}}"#,
    r#"{"IpAddress": {"scp:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}, "NotIpAddress": {"scp:SourceIP": "10.9.0.0/16"}}"#,
    r#"{"NotIpAddress": {"scp:SourceIp": "10.0.0.0/8"}}"#,
    r#"{"Bool": {"scp:MultiFactorAuthPresent": "true"}}"#,
    r#"{"Null": {"scp:UserName": "false", "scp:MultiFactorAuthPresent": "true"}}"#,
    r#"{"ForAllValues:Bool": {"scp:MultiFactorAuthPresent": ["False"]}}"#,
];
const REQUESTS: &[(&str, &[&str])] = &[
    ("iam:showUser", &["srn:e::9b7653f6f47a42e38055934a0575a813:::scp-iam:user/u1"]),
    ("iam:deleteUser", &["srn:e::9b7653f6f47a42e38055934a0575a813:::scp-iam:user/u2"]),
    ("iam:showUser", &["srn:e::1f0c2d3e4b5a69788796a5b4c3d2e1f0:::scp-iam:user/u1"]),
    ("iam:listUsers", &[]),
    (
        "iam:ShowUserPolicy",
        &["srn:e::9b7653f6f47a42e38055934a0575a813:::scp-iam:user/u1", "srn:e::9b7653f6f47a42e38055934a0575a813:::scp-iam:policy/p1"],
    ),
    (
        "server:attachVolume",
        &[
            "srn:e::9b7653f6f47a42e38055934a0575a813:kr-west1::scp-compute:instance/i1",
            "srn:e::9b7653f6f47a42e38055934a0575a813:kr-west1::scp-compute:volume/v1",
        ],
    ),
    ("server:createInstance", &[]),
];

/// A statement before it is JSON.
#[derive(Debug, Clone)]
struct Written {
    deny: bool,
    not: bool,
    actions: Vec<&'static str>,
    resources: Vec<&'static str>,
    condition: Option<usize>,
}

impl Written {
    fn json(&self) -> String {
        let condition = self.condition.map_or_else(String::new, |index| format!(r#", "Condition": {}"#, CONDITIONS[index]));
        let (effect, element) = (if self.deny { "Deny" } else { "Allow" }, if self.not { "NotAction" } else { "Action" });
        format!(r#"{{"Effect": "{effect}", "{element}": {:?}, "Resource": {:?}{condition}}}"#, self.actions, self.resources)
    }
}

fn written() -> impl Strategy<Value = Written> {
    (
        any::<bool>(),
        prop::bool::weighted(0.2),
        subsequence(ACTIONS, 1..4),
        subsequence(PATTERNS, 1..4),
        prop::option::weighted(0.5, 0..CONDITIONS.len()),
    )
        .prop_map(|(deny, not, actions, resources, condition)| Written { deny, not, actions, resources, condition })
}

fn context() -> impl Strategy<Value = Context<'static>> {
    let address = select(vec![None, Some("10.1.2.3"), Some("10.9.1.1"), Some("::ffff:10.1.2.3"), Some("2001:db8::1"), Some("192.0.2.1")]);
    (address, select(vec![None, Some("foo"), Some("Foo"), Some("baz")]), any::<Option<bool>>()).prop_map(|(address, user_name, mfa)| {
        Context { source_ip: address.map(|text| text.parse().unwrap()), user_name, mfa, ..world::no_context() }
    })
}

/// A policy of each group of statements.
fn compile(policies: &[Vec<Written>]) -> Vec<Arc<Policy>> {
    let json = |policy: &Vec<Written>| world::document(&policy.iter().map(Written::json).collect::<Vec<_>>());
    policies.iter().map(|policy| world::policy(&json(policy), &CATALOGUE)).collect()
}

fn with_request<T>(index: usize, root: bool, context: Context<'static>, use_it: impl FnOnce(&Request<'_>) -> T) -> T {
    let (action, srns) = REQUESTS[index];
    let resources: Vec<Resource<'_>> = srns.iter().map(|srn| world::resource(srn, &CATALOGUE)).collect();
    use_it(&Request { root_of_account: root, context, ..world::request(action, &resources, &CATALOGUE) })
}

/// What is left of a verdict when it does not matter which statement decided.
fn kind(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow(_) => "allow",
        Verdict::ExplicitDeny(_) => "explicit deny",
        Verdict::ImplicitDeny => "implicit deny",
        Verdict::InvalidPolicy { .. } => "invalid",
    }
}

mod naive {
    //! The rules word for word, on the texts themselves; slow and simple.

    use super::*;

    pub(super) fn decide(index: usize, root: bool, context: &Context<'_>, policies: &[Vec<Written>]) -> &'static str {
        let (action, srns) = REQUESTS[index];
        let all: Vec<&Written> = policies.iter().flatten().collect();
        let applies = |statement: &&&Written| {
            let named = statement.actions.iter().any(|pattern| action_matches(pattern, action));
            named != statement.not
                && covers(statement, srns)
                && statement.condition.is_none_or(|condition| condition_holds(condition, context))
        };
        if all.iter().filter(|statement| statement.deny).any(|statement| applies(&statement)) {
            return "explicit deny";
        }
        let foreign = srns.iter().any(|srn| srn.split(':').nth(3) != Some(ACCOUNT));
        let allowed = root || all.iter().filter(|statement| !statement.deny).any(|statement| applies(&statement));
        if allowed && !foreign { "allow" } else { "implicit deny" }
    }

    fn action_matches(pattern: &str, action: &str) -> bool {
        let (pattern, levels) =
            pattern.split_once('[').map_or((pattern, None), |(pattern, levels)| (pattern, Some(levels.trim_end_matches(']'))));
        let (_, known) = CATALOGUE.actions().find(|(_, known)| known.name.as_str() == action).unwrap();
        let level = levels.is_none_or(|levels| levels.split(',').any(|level| level == known.level.as_str()));
        level && (pattern == "*" || glob(pattern, action, false) && pattern.contains(':'))
    }

    fn covers(statement: &Written, srns: &[&str]) -> bool {
        let matched = |srn: &str| statement.resources.iter().any(|pattern| *pattern == "*" || srn_matches(pattern, srn));
        match (srns.is_empty(), statement.deny) {
            (true, _) => statement.resources.contains(&"*"),
            (false, true) => srns.iter().any(|srn| matched(srn)),
            (false, false) => srns.iter().all(|srn| matched(srn)),
        }
    }

    fn srn_matches(pattern: &str, srn: &str) -> bool {
        let (pattern, srn): (Vec<&str>, Vec<&str>) = (pattern.splitn(8, ':').collect(), srn.splitn(8, ':').collect());
        let service = |name: &str| name.strip_prefix("scp-").unwrap_or(name).to_owned();
        let (kind, id) = pattern[7].split_once('/').unwrap();
        let (found_kind, found_id) = srn[7].split_once('/').unwrap();
        pattern[1] == srn[1]
            && (if pattern[3].is_empty() { ACCOUNT } else { pattern[3] }) == srn[3]
            && (pattern[4].is_empty() || glob(pattern[4], srn[4], true))
            && service(pattern[6]) == service(srn[6])
            && glob(kind, found_kind, true)
            && glob(id, found_id, true)
    }

    fn glob(pattern: &str, text: &str, question: bool) -> bool {
        let mut rest = pattern.chars();
        match rest.next() {
            None => text.is_empty(),
            Some('*') => {
                text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| glob(rest.as_str(), text.split_at(at).1, question))
            }
            Some(wanted) => {
                let mut found = text.chars();
                let fits = found.next().is_some_and(|found| found == wanted || question && wanted == '?');
                fits && glob(rest.as_str(), found.as_str(), question)
            }
        }
    }

    fn condition_holds(index: usize, context: &Context<'_>) -> bool {
        let (name, mfa) = (context.user_name, context.mfa);
        let inside = |network: &str| {
            let network: Network = network.parse().unwrap();
            context.source_ip.is_some_and(|address: IpAddr| network.contains(address.to_canonical()))
        };
        match index {
            0 => matches!(name, Some("foo" | "bar")),
            1 => name != Some("foo"),
            2 => name.is_none() || name == Some("foo"),
            3 => !name.is_some_and(|name| name.starts_with('f') || name.ends_with('z')),
            4 => matches!(name, Some("foo" | "Foo")),
            5 => (inside("10.0.0.0/8") || inside("2001:db8::/32")) && !inside("10.9.0.0/16"),
            6 => !inside("10.0.0.0/8"),
            7 => mfa == Some(true),
            8 => name.is_some() && mfa.is_none(),
            9 => mfa != Some(true),
            other => panic!("no condition {other}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_compiled_evaluator_and_its_explanation_equal_the_naive_one(
        policies in prop::collection::vec(prop::collection::vec(written(), 1..5), 0..4),
        index in 0..REQUESTS.len(), root in prop::bool::weighted(0.1), context in context(),
    ) {
        let expected = naive::decide(index, root, &context, &policies);
        let held = compile(&policies);
        with_request(index, root, context, |request| {
            let verdict = evaluate(request, &held);
            prop_assert_eq!(kind(verdict), expected);
            let findings = explain(request, &held, &CATALOGUE);
            let applied: Vec<_> = findings.iter().filter(|found| found.outcome == Outcome::Applied).collect();
            let denies = applied.iter().any(|found| found.effect.as_str() == "Deny");
            prop_assert_eq!(denies, expected == "explicit deny");
            prop_assert!(denies || root || applied.is_empty() == (expected == "implicit deny"));
            if let Verdict::Allow(Some(deciding)) | Verdict::ExplicitDeny(deciding) = verdict {
                prop_assert!(applied.iter().any(|found| (found.policy, found.statement) == (deciding.policy, deciding.statement)));
            }
            Ok(())
        })?;
    }

    #[test]
    fn adding_a_deny_never_allows_more(
        mut policies in prop::collection::vec(prop::collection::vec(written(), 1..5), 1..4), deny in written(), at in any::<prop::sample::Index>(),
        index in 0..REQUESTS.len(), root in prop::bool::weighted(0.1), context in context(),
    ) {
        let before = with_request(index, root, context, |request| evaluate(request, &compile(&policies)));
        let policy = at.index(policies.len());
        policies[policy].push(Written { deny: true, ..deny });
        let after = with_request(index, root, context, |request| evaluate(request, &compile(&policies)));
        let allows = |verdict| matches!(verdict, Verdict::Allow(_));
        prop_assert!(!allows(after) || allows(before), "{before:?} became {after:?}");
    }

    #[test]
    fn the_order_of_statements_and_policies_and_their_grouping_never_matter(
        policies in prop::collection::vec(prop::collection::vec(written(), 1..5), 1..4),
        index in 0..REQUESTS.len(), root in prop::bool::weighted(0.1), context in context(),
    ) {
        let mut backwards = policies.clone();
        backwards.reverse();
        backwards.iter_mut().for_each(|policy| policy.reverse());
        let merged = vec![policies.iter().flatten().cloned().collect::<Vec<_>>()];
        let verdicts = [&policies, &backwards, &merged]
            .map(|policies| with_request(index, root, context, |request| kind(evaluate(request, &compile(policies)))));
        prop_assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{verdicts:?}");
    }

    #[test]
    fn adding_an_allow_never_denies_more(
        mut policies in prop::collection::vec(prop::collection::vec(written(), 1..5), 1..4), allow in written(),
        index in 0..REQUESTS.len(), context in context(),
    ) {
        let before = with_request(index, false, context, |request| evaluate(request, &compile(&policies)));
        policies[0].push(Written { deny: false, ..allow });
        let after = with_request(index, false, context, |request| evaluate(request, &compile(&policies)));
        prop_assert!(!matches!(before, Verdict::Allow(_)) || matches!(after, Verdict::Allow(_)), "{before:?} became {after:?}");
    }

    #[test]
    fn no_text_makes_the_reader_panic_or_accept_what_it_reported(text in prop_oneof![
        ".{0,200}",
        r#"[{}\[\]",:#'/ \n\ta-z“”\\*0-9]{0,120}"#,
    ]) {
        // `load` asserts that a policy comes out if and only if no error was reported.
        let _ = world::load(&text, ACCOUNT, &CATALOGUE);
    }

    #[test]
    fn no_damage_to_a_good_policy_makes_the_reader_panic(
        policy in prop::collection::vec(written(), 1..4), cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<Option<char>>()), 1..4),
    ) {
        let mut text: Vec<char> = world::document(&policy.iter().map(Written::json).collect::<Vec<_>>()).chars().collect();
        for (at, replacement) in cuts {
            let at = at.index(text.len());
            match replacement {
                Some(character) => text[at] = character,
                None => { text.remove(at); }
            }
        }
        let _ = world::load(&text.into_iter().collect::<String>(), ACCOUNT, &CATALOGUE);
    }
}

#[test]
fn the_generated_world_reaches_every_verdict() {
    assert_ne!(FOREIGN, ACCOUNT);
    assert!(REQUESTS.iter().any(|(_, srns)| srns.iter().any(|srn| srn.contains(FOREIGN))));
    let allow = vec![vec![Written { deny: false, not: false, actions: vec!["*"], resources: vec!["*"], condition: None }]];
    let found: Vec<&str> = (0..4).map(|index| naive::decide(index, false, &world::no_context(), &allow)).collect();
    assert_eq!(found, ["allow", "allow", "implicit deny", "allow"]);
}
