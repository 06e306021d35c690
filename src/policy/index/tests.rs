//! What the index finds, and what it leaves out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::filing::*;
use super::*;
use crate::policy::glob::Glob;
use crate::policy::judge::{Truth, judge, judge_covering};
use crate::policy::sample::{ACCOUNT, Numbers, OTHER, catalogue, policy, request, resource};
use crate::policy::{
    Attribute, Catalogue, Deciding, Owner, Place, Policies, Policy, PolicySet, Scalar, Tags, ValueType, Values, Verdict, evaluate,
    evaluate_literally,
};
use crate::types::AccessLevel;

#[test]
fn a_pattern_is_filed_under_what_all_its_ids_have() {
    let of = |pattern: &str| features(&Glob::new(pattern, crate::policy::glob::Wildcards::StarAndQuestionMark).unwrap());
    let text = |text: &str| hash(text.as_bytes());
    assert_eq!(of("abc"), [(Feature::Whole, text("abc"))]);
    assert_eq!(of("abcde*"), [(Feature::Start(4), text("abcd")), (Feature::Within(4), text("abcd")), (Feature::Within(4), text("bcde"))]);
    assert_eq!(of("*xyz"), [(Feature::End(3), text("xyz"))]);
    assert_eq!(of("a?*z"), [(Feature::Start(1), text("a")), (Feature::End(1), text("z"))]);
    assert_eq!(of("*infix*"), [(Feature::Within(4), text("infi")), (Feature::Within(4), text("nfix"))]);
    assert_eq!(of("*ab*c*"), [(Feature::Within(2), text("ab"))]);
    assert_eq!(of("*é*"), [(Feature::Within(2), text("é"))]);
    for open in ["*", "?", "**", "?*"] {
        assert_eq!(of(open), [(Feature::Any, 0)], "{open}");
    }
}

/// Actions, and the types of the resources that they act on.
const ACTIONS: [(&str, &[&str]); 4] = [
    ("iam:ListUsers", &[]),
    ("iam:ShowUser", &["iam:user"]),
    ("iam:AttachUserPolicy", &["iam:user", "iam:policy"]),
    ("object-store:GetObject", &["object-store:bucket"]),
];

/// The sample's world with so many more actions that a statement on all of them is filed once for all.
fn wide() -> Catalogue {
    let mut builder = Catalogue::builder("e".parse().unwrap());
    builder.service("iam", "scp-iam", &[]).unwrap();
    builder.service("object-store", "scp-object-store", &[]).unwrap();
    let kinds = ["iam:user", "iam:policy", "object-store:bucket"].map(|kind| builder.resource_type(kind).unwrap());
    let [user, policy, bucket] = kinds;
    let mut declare = |name: &str, kinds: &[_]| builder.action(name.parse().unwrap(), AccessLevel::Read, kinds).map(drop).unwrap();
    declare("iam:ListUsers", &[]);
    declare("iam:ShowUser", &[user]);
    declare("iam:AttachUserPolicy", &[user, policy]);
    declare("object-store:GetObject", &[bucket]);
    (0..2 * ACTIONS_FILED).for_each(|number| declare(&format!("iam:Extra{number}"), &[user]));
    builder.attribute(Attribute { kind: user, name: "lastname".into(), holds: ValueType::Text, abac: true }).unwrap();
    builder.build()
}

impl Numbers {
    /// A short text of few characters, so that much is shared.
    fn word(&mut self, most: usize) -> String {
        let length = 1 + self.below(most);
        (0..length).map(|_| self.one(&["a", "b", "ab", "-", "é"])).collect()
    }

    fn pattern(&mut self) -> String {
        let (one, two) = (self.word(8), self.word(5));
        match self.below(12) {
            0 => "*".to_owned(),
            1 | 2 => one,
            3 | 4 => format!("{one}*"),
            5 | 6 => format!("*{one}"),
            7 => format!("{one}*{two}"),
            8 => format!("{one}?{two}"),
            9 => format!("{one}?*"),
            _ => format!("*{one}*{two}*"),
        }
    }

    fn statement(&mut self) -> String {
        let resources: Vec<String> = (0..1 + self.below(4))
            .map(|_| match self.below(16) {
                0 => "\"*\"".to_owned(),
                _ => {
                    let account = self.one(&["", "", "", ACCOUNT, OTHER]);
                    let region = self.one(&["", "", "", "kr-west1", "kr-*"]);
                    let kind = self.one(&["iam:user", "iam:user", "iam:policy", "iam:*", "object-store:bucket"]);
                    format!("\"srn:e::{account}:{region}::{kind}/{}\"", self.pattern())
                }
            })
            .collect();
        let action =
            self.one(&["*", "iam:*", "iam:ShowUser", "iam:*User", "iam:AttachUserPolicy", "iam:ListUsers", "iam:Extra*", "object-store:*"]);
        let mut conditions = String::new();
        for _ in 0..self.below(3) {
            let one = self.one(&[
                r#""StringEquals": {"scp:UserName": ["foo", "bar"]}"#,
                r#""StringNotEquals": {"scp:UserName": "bar"}"#,
                r#""IpAddress": {"scp:SourceIp": "10.0.0.0/8"}"#,
                r#""NotIpAddress": {"scp:SourceIp": "10.1.0.0/16"}"#,
                r#""StringLike": {"iam:userLastname": "K*"}"#,
                r#""Bool": {"scp:MultiFactorAuthPresent": "true"}"#,
                r#""StringEqualsIsIgnoreCase": {"iam:userEmail": "x"}"#,
                r#""Null": {"scp:ResourceTag/team": "false"}"#,
                r#""ForAllValues:StringLike": {"scp:TagKeys": "a*"}"#,
            ]);
            let operator = one.split(':').next().unwrap();
            if !conditions.contains(operator) {
                let _ = write!(conditions, "{}{one}", if conditions.is_empty() { "" } else { ", " });
            }
        }
        let member = if self.below(8) == 0 { "NotAction" } else { "Action" };
        format!(
            r#"{{"Effect": "{}", "{member}": "{action}", "Resource": [{}], "Condition": {{{conditions}}}}}"#,
            self.one(&["Allow", "Deny"]),
            resources.join(", ")
        )
    }

    fn srn(&mut self, kind: &str) -> String {
        let (account, region) = (self.one(&[ACCOUNT, ACCOUNT, OTHER]), self.one(&["", "kr-west1"]));
        format!("srn:e::{account}:{region}::{kind}/{}", self.word(10))
    }
}

fn check(numbers: &mut Numbers, catalogue: &Catalogue, statements: &[Statement], index: &Index) {
    let (action, kinds) = ACTIONS[numbers.below(4)];
    let srns: Vec<String> = kinds.iter().map(|kind| numbers.srn(kind)).collect();
    let mut resources: Vec<_> = srns.iter().map(|srn| resource(srn, catalogue)).collect();
    for resource in &mut resources {
        if numbers.below(2) == 0 {
            resource.tags = Tags::Known(&[]);
            resource.attributes.others = [Values::Absent, Values::Unavailable, Values::One(Scalar::Text("Kim"))][numbers.below(3)];
        }
    }
    let mut asked = request(action, &resources, catalogue);
    if numbers.below(3) == 0 {
        asked.context.source_ip = Values::Unavailable;
    }
    for effect in [Effect::Allow, Effect::Deny] {
        let mut found = BTreeSet::new();
        index.each(statements, effect, &asked, |number, statement, covered| {
            assert_eq!(judge_covering(statement, &asked, covered).truth, judge(statement, &asked).truth, "{statement:?}\n{asked:?}");
            found.insert(number);
            false
        });
        for (number, statement) in (0..).zip(statements).filter(|(_, statement)| statement.effect == effect) {
            let applies = judge(statement, &asked).truth != Truth::No;
            assert!(!applies || found.contains(&number), "left out: {number} {statement:?}\n{asked:?}");
        }
    }
}

#[test]
fn what_the_index_leaves_out_does_not_apply() {
    let mut numbers = Numbers(20_261_121);
    for round in 0..60 {
        let catalogue = if round % 2 == 0 { catalogue() } else { wide() };
        let count = 1 + numbers.below(120);
        let text = (0..count).map(|_| numbers.statement()).collect::<Vec<_>>().join(",");
        let policy = policy(&text, Owner::account(ACCOUNT), &catalogue);
        let body = policy.body().unwrap();
        (0..200).for_each(|_| check(&mut numbers, &catalogue, &body.statements, body.compiled.index()));
    }
}

/// A request whose values differ from time to time.
fn asked<'a>(numbers: &mut Numbers, resources: &'a [Resource<'a>], action: &str, catalogue: &Catalogue) -> Request<'a> {
    let mut asked = request(action, resources, catalogue);
    asked.context.user_name = [Values::One(Scalar::Text("bar")), Values::Absent, asked.context.user_name][numbers.below(3)];
    asked.context.mfa = [Values::One(Scalar::Bool(true)), Values::One(Scalar::Text("no")), Values::Absent][numbers.below(3)];
    asked.context.source_ip = [Values::One(Scalar::Text("10.1.2.3")), asked.context.source_ip, Values::Unavailable][numbers.below(3)];
    asked
}

/// What a verdict says about access, after a look at whether the statement that it names does what it says.
fn settled(verdict: Verdict, policies: &[Arc<Policy>], request: &Request<'_>) -> &'static str {
    let decides = |deciding: Deciding, effect: Effect| {
        let Place::Identity(policy) = deciding.policy else { panic!("{deciding:?}") };
        let statement = &policies[policy].body().unwrap().statements[deciding.statement];
        assert!(statement.effect == effect && judge(statement, request).truth != Truth::No, "{deciding:?}");
    };
    match verdict {
        Verdict::Allow(deciding) => decides(deciding.unwrap(), Effect::Allow),
        Verdict::ExplicitDeny(deciding) => decides(deciding, Effect::Deny),
        Verdict::Unavailable(deciding) => deciding.into_iter().for_each(|deciding| decides(deciding, Effect::Deny)),
        Verdict::ImplicitDeny | Verdict::InvalidPolicy(_) | Verdict::Undecided => {}
    }
    match verdict {
        Verdict::Allow(_) => "allow",
        Verdict::ExplicitDeny(_) => "deny",
        Verdict::ImplicitDeny => "nothing",
        Verdict::Unavailable(_) => "unavailable",
        Verdict::InvalidPolicy(_) => "invalid",
        Verdict::Undecided => "undecided",
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the product")]
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[test]
fn a_set_of_policies_decides_as_they_do_one_by_one_and_as_every_statement_looked_at() {
    let (decisions, seed) = (number("PORTCULLIS_AGREEMENT_CASES", 12_000), number("PORTCULLIS_AGREEMENT_SEED", 7_001));
    let mut numbers = Numbers(seed);
    let mut seen = BTreeSet::new();
    for round in 0..decisions / 200 {
        let catalogue = if round % 2 == 0 { catalogue() } else { wide() };
        let policies: Vec<Arc<Policy>> = (0..1 + numbers.below(6))
            .map(|_| {
                let text = (0..1 + numbers.below(30)).map(|_| numbers.statement()).collect::<Vec<_>>().join(",");
                policy(&text, Owner::account(ACCOUNT), &catalogue)
            })
            .collect();
        let set = PolicySet::of(&policies).unwrap();
        assert_eq!((set.statements(), set.policies().len()), (policies.iter().map(|policy| policy.statements()).sum(), policies.len()));
        let plain = Policies::identity(&policies);
        let found = Policies::identity(&policies).found_by(Some(&set));
        for _ in 0..200 {
            let (action, kinds) = ACTIONS[numbers.below(4)];
            let srns: Vec<String> = kinds.iter().map(|kind| numbers.srn(kind)).collect();
            let resources: Vec<_> = srns.iter().map(|srn| resource(srn, &catalogue)).collect();
            let asked = asked(&mut numbers, &resources, action, &catalogue);
            let settled = |verdict: Verdict| settled(verdict, &policies, &asked);
            let literal = settled(evaluate_literally(&asked, &plain));
            assert_eq!((settled(evaluate(&asked, &found)), settled(evaluate(&asked, &plain))), (literal, literal), "{asked:?}");
            seen.insert(literal);
        }
    }
    assert!(seen.is_superset(&BTreeSet::from(["allow", "deny", "nothing", "undecided", "unavailable"])), "{seen:?}");
}

#[test]
fn a_set_is_of_its_policies_alone() {
    let catalogue = catalogue();
    let text = r#"{"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}"#;
    let load = || policy(text, Owner::account(ACCOUNT), &catalogue);
    let (one, two, twin) = (load(), load(), load());
    let both = [Arc::clone(&one), Arc::clone(&two)];
    let set = PolicySet::of(&both).unwrap();
    assert!(set.is_of(&both) && set.is_of(&[&*one, &*two]));
    for others in [vec![&one], vec![&two, &one], vec![&one, &twin], vec![&one, &two, &twin], vec![]] {
        assert!(!set.is_of(&others));
    }
    assert!(PolicySet::of(&[one, Arc::new(Policy::invalid("broken"))]).is_none());
    let nothing = PolicySet::of(&[]).unwrap();
    assert_eq!(
        evaluate(&request("iam:ListUsers", &[], &catalogue), &Policies::<Arc<Policy>>::identity(&[]).found_by(Some(&nothing))),
        Verdict::ImplicitDeny
    );
    // Compiled for a catalogue that lacks the action: as without the set.
    let small = Catalogue::builder("e".parse().unwrap()).build();
    let old = [policy(text, Owner::account(ACCOUNT), &small)];
    let set = PolicySet::of(&old).unwrap();
    let verdict = evaluate(&request("iam:ListUsers", &[], &catalogue), &Policies::identity(&old).found_by(Some(&set)));
    assert_eq!(verdict, Verdict::InvalidPolicy(Place::Identity(0)));
}

#[test]
fn conditions_of_one_key_are_judged_as_each_alone() {
    let catalogue = catalogue();
    let of_the_name = [
        ("StringEquals", r#"["foo", "Foo"]"#),
        ("StringEquals", r#""bar""#),
        ("StringNotEquals", r#""foo""#),
        ("StringNotEquals", r#"["foo", "bar"]"#),
        ("StringEqualsIsIgnoreCase", r#""FOO""#),
        ("StringNotEqualsIsIgnoreCase", r#"["Foo", "K"]"#),
        ("StringEqualsIsIgnoreCase", r#""k""#),
        ("StringLike", r#"["f*", "b*"]"#),
        ("StringNotLike", r#""*o""#),
        ("ForAllValues:StringEquals", r#""foo""#),
        ("ForAllValues:StringNotLike", r#""f*""#),
        ("Null", r#""true""#),
    ];
    let of_the_name = of_the_name.map(|(operator, values)| format!(r#""{operator}": {{"scp:UserName": {values}}}"#));
    let networks = (0..4).map(|number| format!(r#""IpAddress": {{"scp:SourceIp": "10.{number}.0.0/16"}}"#));
    let outside = [r#""NotIpAddress": {"scp:SourceIp": ["10.1.0.0/16", "10.2.0.0/16"]}"#.to_owned()];
    let statement =
        |condition: String| format!(r#"{{"Effect": "Allow", "Action": "iam:ShowUser", "Resource": "*", "Condition": {{{condition}}}}}"#);
    let text = of_the_name.into_iter().chain(networks).chain(outside).map(statement).collect::<Vec<_>>().join(",");
    let policy = policy(&text, Owner::account(ACCOUNT), &catalogue);
    let body = policy.body().unwrap();
    let srn = format!("srn:e::{ACCOUNT}:::iam:user/x");
    let resources = [resource(&srn, &catalogue)];
    let long = "f".repeat(300);
    let one = |text| Values::One(Scalar::Text(text));
    let two = [Scalar::Text("foo"), Scalar::Text("bar")];
    let lacking = [Values::Absent, Values::Unavailable, Values::NotFetched];
    let odd = [Values::Many(&two), Values::One(Scalar::Bool(true)), Values::One(Scalar::Other)];
    let names = ["foo", "FOO", "bar", "k", "K", "\u{212a}", "", "zoo", "föö", &long].map(one);
    let addresses =
        ["10.1.2.3", "10.9.9.9", "::ffff:10.2.0.1", "2001:db8::1"].map(|text| Values::One(Scalar::Address(text.parse().unwrap())));
    let texts = ["10.3.0.1", "x"].map(one);
    for name in names.into_iter().chain(lacking).chain(odd) {
        for address in addresses.into_iter().chain(texts).chain(lacking) {
            let mut asked = request("iam:ShowUser", &resources, &catalogue);
            (asked.context.user_name, asked.context.source_ip) = (name, address);
            let mut looked = BTreeSet::new();
            body.compiled.index().each(&*body.statements, Effect::Allow, &asked, |number, _, _| !looked.insert(number));
            let wanted = |(number, statement): (u32, &Statement)| (judge(statement, &asked).truth != Truth::No).then_some(number);
            let left: BTreeSet<u32> = (0..).zip(&body.statements).filter_map(wanted).collect();
            assert_eq!(looked, left, "{name:?} {address:?}");
        }
    }
}

/// The statements that are looked at for an action on a user.
fn looked_at(statements: &str, effect: Effect, action: &str, id: &str, catalogue: &Catalogue) -> Vec<u32> {
    let policy = policy(statements, Owner::account(ACCOUNT), catalogue);
    let srn = format!("srn:e::{ACCOUNT}:::iam:user/{id}");
    let resources = [resource(&srn, catalogue)];
    let (mut looked, body) = (Vec::new(), policy.body().unwrap());
    body.compiled.index().each(&*body.statements, effect, &request(action, &resources, catalogue), |number, _, _| {
        looked.push(number);
        false
    });
    looked
}

#[test]
fn of_many_statements_few_are_looked_at() {
    let catalogue = catalogue();
    let statement = |number: usize, pattern: &str, more: &str| {
        format!(
            r#"{{"Effect": "Allow", "Action": "iam:ShowUser", "Resource": "srn:e:::::iam:user/{}"{more}}}"#,
            pattern.replace('#', &format!("{number:04}"))
        )
    };
    let looked = |pattern: &str, more: &dyn Fn(usize) -> String, id: &str| {
        let text = (0..300).map(|number| statement(number, pattern, &more(number))).collect::<Vec<_>>().join(",");
        looked_at(&text, Effect::Allow, "iam:ShowUser", id, &catalogue).len()
    };
    let plain: &dyn Fn(usize) -> String = &|_| String::new();
    for (pattern, id) in [
        ("user-#", "user-0123"),
        ("team-#-*", "team-0123-x"),
        ("*-team-#", "x-team-0123"),
        ("*-#-*", "x-0123-y"),
        ("a*b#c*d", "axb0123cxd"),
    ] {
        assert_eq!(looked(pattern, plain, id), 1, "{pattern}");
        assert_eq!(looked(pattern, plain, "nobody"), 0, "{pattern}");
    }
    // What stands in an id several times is looked up once, and each of many things in an id is.
    assert_eq!(looked("*-#-*", plain, "x-0123-y-0123-z-0123-w"), 1);
    let many: String = (0..80).map(|number| format!("-{:04}-", number * 3)).collect();
    assert_eq!(looked("*-#-*", plain, &many), 80);
    // Where all stand in one place, their conditions are judged once.
    let named: &dyn Fn(usize) -> String = &|number| {
        format!(
            r#", "Condition": {{"StringEquals": {{"scp:UserName": "{}"}}}}"#,
            ["bar", "baz", "foo"][if number == 77 { 2 } else { number % 2 }]
        )
    };
    assert_eq!(looked("*", named, "x"), 1);
}

#[test]
fn statements_on_many_actions_are_left_out_by_their_actions() {
    let catalogue = wide();
    let extra = r#"{"Effect": "Allow", "Action": "iam:Extra*", "Resource": "srn:e:::::iam:user/*"}"#;
    let all = r#"{"Effect": "Allow", "Action": "iam:*", "Resource": "srn:e:::::iam:user/*"}"#;
    let text = [vec![extra; 20], vec![all], vec![extra; 20]].concat().join(",");
    assert_eq!(looked_at(&text, Effect::Allow, "iam:ShowUser", "x", &catalogue), [20]);
}

#[test]
fn one_id_under_many_actions_is_looked_up_by_the_action() {
    let catalogue = wide();
    let statement = |number: usize| {
        format!(r#"{{"Effect": "Deny", "Action": "iam:Extra{number}", "Resource": ["srn:e:::::iam:user/one", "srn:e:::::iam:user/on*"]}}"#)
    };
    let text = (0..2 * ACTIONS_FILED).map(statement).collect::<Vec<_>>().join(",");
    assert_eq!(looked_at(&text, Effect::Deny, "iam:Extra7", "one", &catalogue), [7, 7]);
}

#[test]
fn keys_differ_and_spread() {
    let features = [Feature::Any, Feature::Whole, Feature::Start(4), Feature::End(4), Feature::Within(4), Feature::Start(6)];
    let numbers = || [None].into_iter().chain((0..40).map(Some));
    let mut bases = BTreeSet::new();
    for feature in features {
        numbers().for_each(|action| numbers().for_each(|kind| assert!(bases.insert(feature.base(action, kind)), "{feature:?}")));
    }
    let words = ["", "a", "ab", "ba", "abcdefg", "abcdefgh", "abcdefgha", "habcdefg"];
    let texts: BTreeSet<String> =
        (0..2_048).flat_map(|number| words.map(|word| format!("{word}{number:03}"))).chain(words.map(str::to_owned)).collect();
    let hashes: BTreeSet<u64> = texts.iter().map(|text| hash(text.as_bytes())).collect();
    assert_eq!(hashes.len(), texts.len());
    for shift in [0, 8, 40] {
        // Of 16,384 balls in as many boxes, boxes of 10,356 have one.
        let boxes: BTreeSet<u64> = hashes.iter().map(|hash| mixed(7, *hash) >> shift & 0x3fff).collect();
        assert!((9_800..10_900).contains(&boxes.len()), "{} at {shift}", boxes.len());
    }
    let (known, others): (Vec<u64>, Vec<u64>) = hashes.iter().partition(|hash| **hash >> 50 & 1 == 0);
    let files = Files {
        shapes: SmallVec::new(),
        sparse: false,
        slots: Box::default(),
        candidates: Box::default(),
        masks: Box::default(),
        screens: Box::default(),
        within: filter(&known),
    };
    assert!(known.iter().all(|text| files.may_have(*text)));
    let taken = others.iter().filter(|text| files.may_have(**text)).count();
    assert!(taken < others.len() / 4, "{taken} of {}", others.len());
}

#[test]
fn no_feature_stands_where_an_action_has_its_own_place() {
    // SECURITY: whoever finds an id whose feature has the key of an action's own place must not hide what is about that action.
    let owns: BTreeSet<u64> = (0..100_000).map(of_action).collect();
    assert!(owns.len() == 100_000 && owns.iter().all(|own| own & OWN != 0 && of_feature(*own) != *own));
    // Four patterns are about the first action, the others about the second.
    let catalogue = wide();
    let statement = |number: usize| {
        let action = if number < 4 { "iam:Extra1" } else { "iam:Extra2" };
        format!(r#"{{"Effect": "Deny", "Action": "{action}", "Resource": "srn:e:::::iam:user/one-{number}"}}"#)
    };
    let text = (0..20).map(statement).collect::<Vec<_>>().join(",");
    let held = policy(&text, Owner::account(ACCOUNT), &catalogue);
    let Side::Filed(files) = &held.body().unwrap().compiled.index().deny else { panic!("many patterns") };
    let own = |slot: &&Slot| slot.len != 0 && slot.key & OWN != 0;
    assert_eq!(files.slots.iter().filter(own).map(|slot| slot.len).collect::<Vec<_>>(), [4]);
    assert_eq!(files.slots.iter().filter(|slot| slot.len != 0 && slot.key & OWN == 0).count(), 16);
}

#[test]
fn what_an_index_has_room_for_is_told_by_each_policy() {
    let catalogue = wide();
    let entries = |statement: &str| policy(statement, Owner::account(ACCOUNT), &catalogue).index_entries();
    let of = |action: &str, resource: &str, condition: &str| {
        entries(&format!(r#"{{"Effect": "Allow", "Action": {action}, "Resource": {resource}, "Condition": {{{condition}}}}}"#))
    };
    assert_eq!(of(r#""iam:ShowUser""#, r#""*""#, ""), 1);
    assert_eq!(of(r#"["iam:ShowUser", "iam:Extra1"]"#, r#"["srn:e:::::iam:user/a", "srn:e:::::iam:*/b"]"#, ""), 2 * (1 + 2));
    assert_eq!(
        of(
            r#""iam:ShowUser""#,
            r#""*""#,
            r#""StringEquals": {"scp:UserName": ["a", "b"]}, "Bool": {"scp:MultiFactorAuthPresent": "true"}"#
        ),
        1 + 3 + 1
    );
    assert_eq!(Policy::invalid("p").index_entries(), 0);
}

#[test]
fn many_patterns_for_many_actions_are_filed_once_each() {
    let catalogue = wide();
    let actions: Vec<String> = (0..ACTIONS_FILED).map(|number| format!("\"iam:Extra{number}\"")).collect();
    let patterns: Vec<String> = (0..1_000).map(|number| format!("\"srn:e:::::iam:*/one-{number}\"")).collect();
    let text = format!(r#"{{"Effect": "Allow", "Action": [{}], "Resource": [{}]}}"#, actions.join(","), patterns.join(","));
    assert_eq!(looked_at(&text, Effect::Allow, "iam:Extra7", "one-7", &catalogue), [0]);
    let policy = policy(&text, Owner::account(ACCOUNT), &catalogue);
    let Side::Filed(files) = &policy.body().unwrap().compiled.index().allow else { panic!("many patterns") };
    let filed: u32 = files.slots.iter().map(|slot| slot.len).sum();
    assert_eq!((filed, files.slots.len()), (1_000, 2_048));
}
