//! The canonical text of a policy document: members in one order, two spaces for each level, one way to write a text. What it
//! says stays as it is: values and their order, and whether one stands alone or in a list.

use std::cmp::Ordering;
use std::iter::repeat_n;

use super::document::{DOCUMENT_MEMBERS, STATEMENT_MEMBERS};
use super::principal;
use crate::source::{Node, Value, json};

/// The columns of the longest line on which a whole list stands.
const COLUMNS_MAX: usize = 100;
/// The columns of a level.
const INDENT: usize = 2;

/// The canonical text of a document, with a line feed at its end. It is meant for sound documents ([`parse`](super::parse)); of
/// any other tree nothing is lost either.
#[must_use]
pub fn print(root: &Node) -> String {
    laid_out(&document(root))
}

/// The text of a tree whose members are in order already.
pub(super) fn laid_out(root: &Node) -> String {
    let mut out = String::new();
    write(root, Place { level: 0, before: 0, behind: 0 }, &mut out);
    out.push('\n');
    out
}

fn document(root: &Node) -> Node {
    members(root, listed_in(&DOCUMENT_MEMBERS), |name, value| match (name, &value.value) {
        ("Statement", Value::List(items)) => Node { span: value.span, value: Value::List(items.iter().map(statement).collect()) },
        ("Statement", _) => statement(value),
        (_, _) => value.clone(),
    })
}

fn statement(node: &Node) -> Node {
    members(node, listed_in(&STATEMENT_MEMBERS), |name, value| match name {
        "Principal" => members(value, listed_in(&principal::MEMBERS), |_, who| who.clone()),
        "Condition" => members(value, str::cmp, |_, keys| members(keys, str::cmp, |_, values| values.clone())),
        _ => value.clone(),
    })
}

/// The same object with its members in order; what is no object stays as it is.
fn members(node: &Node, order: impl Fn(&str, &str) -> Ordering, inner: impl Fn(&str, &Node) -> Node) -> Node {
    let Value::Map(entries) = &node.value else { return node.clone() };
    let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key.clone(), inner(&key.text, value))).collect();
    entries.sort_by(|(one, _), (other, _)| order(&one.text, &other.text));
    Node { span: node.span, value: Value::Map(entries) }
}

/// The order of a list; what it does not have comes last.
fn listed_in(names: &[&str]) -> impl Fn(&str, &str) -> Ordering {
    let place = |name: &str| names.iter().position(|known| *known == name).unwrap_or(names.len());
    move |one, other| place(one).cmp(&place(other))
}

/// Where a value is written.
#[derive(Clone, Copy)]
struct Place {
    /// Of the line on which it starts.
    level: usize,
    /// Columns before it on that line.
    before: usize,
    /// Columns behind it: a comma, or none.
    behind: usize,
}

fn write(node: &Node, at: Place, out: &mut String) {
    match &node.value {
        Value::List(items) => {
            let fits = |line: &String| items.is_empty() || at.before + line.chars().count() + at.behind <= COLUMNS_MAX;
            match line(items).filter(fits) {
                Some(line) => out.push_str(&line),
                None => block(['[', ']'], items.iter().map(|item| (String::new(), item)), at.level, out),
            }
        }
        Value::Map(entries) if entries.is_empty() => out.push_str("{}"),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (format!("{}: ", quoted(&key.text)), value));
            block(['{', '}'], entries, at.level, out);
        }
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&json::print(node)),
    }
}

/// A list of plain values on one line.
fn line(items: &[Node]) -> Option<String> {
    let plain = |item: &Node| match &item.value {
        Value::List(_) | Value::Map(_) => None,
        Value::String(text) => Some(quoted(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(json::print(item)),
    };
    let items: Option<Vec<String>> = items.iter().map(plain).collect();
    Some(format!("[{}]", items?.join(", ")))
}

/// Items between brackets, each on a line of its own.
fn block<'n>([open, close]: [char; 2], items: impl ExactSizeIterator<Item = (String, &'n Node)>, level: usize, out: &mut String) {
    let (inside, mut left) = ((level + 1) * INDENT, items.len());
    out.push(open);
    for (name, item) in items {
        left = left.saturating_sub(1);
        let behind = usize::from(left > 0);
        out.push('\n');
        out.extend(repeat_n(' ', inside));
        out.push_str(&name);
        write(item, Place { level: level + 1, before: inside + name.chars().count(), behind }, out);
        out.extend(repeat_n(',', behind));
    }
    out.push('\n');
    out.extend(repeat_n(' ', level * INDENT));
    out.push(close);
}

/// A text in quotes, escaped where JSON asks for it or nobody would see the character.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for character in json::quoted(text).chars() {
        if is_unseen(character) {
            // SECURITY: a policy must not read otherwise than it looks: `what_cannot_be_seen_is_escaped`.
            character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(character);
        }
    }
    out
}

/// Characters that are not drawn, or that turn the direction of others.
const fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{7F}'..='\u{9F}'
            | '\u{AD}'
            | '\u{61C}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::document::{Owner, Policy, Statement, parse};
    use crate::policy::sample::{ACCOUNT, catalogue};
    use crate::source::json::Limits;
    use crate::source::{Key, Report, Source, Span};

    fn read(text: &str) -> Node {
        json::parse(text.as_bytes(), Limits { bytes_max: 1 << 20, depth_max: 64 }).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(print(&read(text)), expected);
        assert_eq!(print(&read(expected)), expected);
    }

    /// What a tree says, whatever the order of its members.
    fn said(node: &Node) -> String {
        fn sorted(node: &Node) -> Node {
            match &node.value {
                Value::List(items) => Node { span: node.span, value: Value::List(items.iter().map(sorted).collect()) },
                Value::Map(_) => members(node, str::cmp, |_, value| sorted(value)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => node.clone(),
            }
        }
        json::print(&sorted(node))
    }

    #[test]
    fn members_stand_in_one_order_and_values_stay_as_they_are() {
        check(
            r#"{"Statement":{"Condition":{"StringEquals":{"scp:UserName":["b","a"],"SCP:UserId":4},"ForAllValues:Bool":{"x:y":true}},
            "Resource":"*","NotAction":["iam:b","iam:a","iam:a"],"Principal":{"Service":"a.b","scp":["x"]},"Effect":"Deny","Sid":"s"},
            "Version":"2024-07-01"}"#,
            r#"{
  "Version": "2024-07-01",
  "Statement": {
    "Sid": "s",
    "Effect": "Deny",
    "Principal": {
      "scp": ["x"],
      "Service": "a.b"
    },
    "NotAction": ["iam:b", "iam:a", "iam:a"],
    "Resource": "*",
    "Condition": {
      "ForAllValues:Bool": {
        "x:y": true
      },
      "StringEquals": {
        "SCP:UserId": 4,
        "scp:UserName": ["b", "a"]
      }
    }
  }
}
"#,
        );
    }

    #[test]
    fn a_list_stands_on_one_line_of_a_hundred_columns_with_its_comma() {
        // `      "Action": ["..."]` and a comma have 21 columns and the text.
        for (length, fits) in [(79, true), (80, false)] {
            let action = "é".repeat(length);
            let list = if fits { format!("[\"{action}\"]") } else { format!("[\n        \"{action}\"\n      ]") };
            check(
                &format!(r#"{{"Statement":[{{"Resource":[],"Condition":{{}},"Action":["{action}"]}}]}}"#),
                &format!(
                    "{{\n  \"Statement\": [\n    {{\n      \"Action\": {list},\n      \"Resource\": [],\n      \"Condition\": {{}}\n\
                     \u{20}   }}\n  ]\n}}\n"
                ),
            );
        }
    }

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        check("[\"\\u0041\\/\\u00e9\\ud83d\\ude00\\u0022\\\\\\u0001\\n\"]", "[\"A/\u{e9}\u{1F600}\\\"\\\\\\u0001\\n\"]\n");
        check(
            "[\"a\u{202e}b\u{200b}\", \"\u{feff}\u{7f}\u{85}\u{e0041}\"]",
            "[\"a\\u202eb\\u200b\", \"\\ufeff\\u007f\\u0085\\udb40\\udc41\"]\n",
        );
    }

    fn tree() -> impl Strategy<Value = Node> {
        let name = prop_oneof![
            prop::sample::select(
                &["Version", "Statement", "Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "Condition", "scp"][..]
            )
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        let node = |value| Node { span: Span::default(), value };
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?".prop_map(|text| Value::Number(text.into())),
            any::<String>().prop_map(|text| Value::String(text.into())),
            "[a-z:]{0,60}".prop_map(|text| Value::String(text.into())),
        ]
        .prop_map(node);
        leaf.prop_recursive(6, 60, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
                prop::collection::hash_map(name.clone(), inner, 0..6).prop_map(|entries| {
                    let key = |text: String| Key { text: text.into(), span: Span::default() };
                    Value::Map(entries.into_iter().map(|(name, value)| (key(name), value)).collect())
                }),
            ]
            .prop_map(node)
        })
    }

    fn scalar_or_list(pool: &'static [&'static str]) -> impl Strategy<Value = String> {
        let one = prop::sample::select(pool).prop_map(json::quoted);
        let list = prop::collection::vec(one.clone(), 1..9).prop_map(|items| format!("[{}]", items.join(",")));
        prop_oneof![one, list]
    }

    fn statement_text() -> impl Strategy<Value = String> {
        let effect = prop::sample::select(&["\"Allow\"", "\"Deny\""][..]).prop_map(str::to_owned);
        let sid = any::<u64>().prop_map(|number| json::quoted(&format!("s{number} \" \\ \u{e9}\u{202e}\n")));
        let action = scalar_or_list(&["*", "iam:*", "iam:ShowUser", "iam:*[List,Read]", "iam:Nothing", "object-store:Get*"]);
        let action = (action, any::<bool>()).prop_map(|(list, not)| if not { ("NotAction", list) } else { ("Action", list) });
        let resource = scalar_or_list(&[
            "*",
            "srn:e:::::scp-iam:user/*",
            "srn:e::9b7653f6f47a42e38055934a0575a813:kr-west1::iam:policy/a?b",
            "srn:e:::*::object-store:bucket/\u{d55c}/x*",
            "srn:s:::::none:x/y",
        ]);
        let blocks = vec![
            (
                "StringEquals",
                scalar_or_list(&["a", "B\u{200b}", "${x}", "*"]).boxed(),
                vec!["scp:UserName", "iam:userLastname", "SCP:userid"],
            ),
            ("ForAllValues:StringLike", scalar_or_list(&["a*", "?"]).boxed(), vec!["scp:TagKeys", "scp:ResourceTag/\u{e9}", "none:x"]),
            ("NotIpAddress", scalar_or_list(&["10.0.0.1/8", "2001:db8::/32"]).boxed(), vec!["scp:SourceIp"]),
            ("Bool", "true|false|\"True\"|\\[true,false\\]".boxed(), vec!["scp:MultiFactorAuthPresent"]),
            ("NumericEquals", "[1-9][0-9]{0,20}|\\[4, \"4\\.0\"\\]".boxed(), vec!["none:a", "none:b"]),
            ("Null", "true|\"false\"".boxed(), vec!["scp:UserName", "scp:RequestAttribute/body['\u{e9}']"]),
        ];
        let block = |(operator, values, keys): (&'static str, BoxedStrategy<String>, Vec<&'static str>)| {
            let count = keys.len();
            let keys = prop::sample::subsequence(keys, 1..=count).prop_shuffle();
            let keys = keys.prop_flat_map(move |keys| {
                keys.into_iter().map(|key| values.clone().prop_map(move |list| (key, list))).collect::<Vec<_>>()
            });
            keys.prop_map(move |keys| {
                let keys: Vec<String> = keys.into_iter().map(|(key, list)| format!("{}:{list}", json::quoted(key))).collect();
                format!("{}:{{{}}}", json::quoted(operator), keys.join(","))
            })
        };
        let blocks: Vec<_> = blocks.into_iter().map(|one| prop::option::of(block(one))).collect();
        let condition =
            blocks.prop_shuffle().prop_map(|blocks| format!("{{{}}}", blocks.into_iter().flatten().collect::<Vec<_>>().join(",")));
        (prop::option::of(sid), effect, action, resource, prop::option::of(condition)).prop_flat_map(
            |(sid, effect, (verb, action), resource, condition)| {
                let mut members = vec![("Effect", effect), (verb, action), ("Resource", resource)];
                members.extend(sid.map(|sid| ("Sid", sid)));
                members.extend(condition.map(|condition| ("Condition", condition)));
                let members: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                Just(members).prop_shuffle().prop_map(|members| format!("{{{}}}", members.join(", ")))
            },
        )
    }

    /// Everything that statements mean, whatever the order of their conditions.
    fn meaning(text: &str) -> Vec<String> {
        let report = Report::new();
        let policy = Policy::load(&Source::new("p", text), "p", Owner::account(ACCOUNT), &catalogue(), &report);
        let policy = policy.unwrap_or_else(|| panic!("{text}\n{report}"));
        let one = |statement: &Statement| {
            let mut entries: Vec<String> = statement.all_entries().map(|entry| format!("{entry:?}")).collect();
            entries.sort();
            let Statement { sid, effect, actions, wording, principals, resources, .. } = statement;
            format!("{sid:?} {effect:?} {actions:?} {wording:?} {principals:?} {resources:?} {entries:?}")
        };
        policy.body().unwrap().statements.iter().map(one).collect()
    }

    proptest! {
        #[test]
        fn any_tree_keeps_its_members_and_values_and_is_printed_once(tree in tree()) {
            let printed = print(&tree);
            let again = read(&printed);
            prop_assert_eq!(said(&again), said(&tree));
            prop_assert_eq!(print(&again), printed);
        }

        #[test]
        fn a_policy_means_the_same_after_printing(statements in prop::collection::vec(statement_text(), 1..4), swapped in any::<bool>()) {
            let (version, statements) = ("\"Version\":\"2024-07-01\"".to_owned(), format!("\"Statement\":[{}]", statements.join(",")));
            let [first, second] = if swapped { [statements, version] } else { [version, statements] };
            let text = format!("{{{first},{second}}}");
            let report = Report::new();
            let root = parse(&Source::new("p", &*text), &report).unwrap_or_else(|| panic!("{text}\n{report}"));
            let printed = print(&root);
            prop_assert_eq!(meaning(&printed), meaning(&text));
            prop_assert_eq!(said(&read(&printed)), said(&root));
            prop_assert_eq!(print(&read(&printed)), printed);
        }
    }
}
