//! The words of the generated cases. They are few, so that requests and policies meet often.

use super::dice::{Dice, list};

pub(super) const ACCOUNTS: &[&str] = &["9b7653f6f47a42e38055934a0575a813", "1f0c2d3e4b5a69788796a5b4c3d2e1f0", "1234"];
pub(super) const REGIONS: &[&str] = &["kr-west1", "kr-west1", "kr-west10", "kr-east1", ""];
pub(super) const REGION_PATTERNS: &[&str] = &["", "", "*", "kr-*", "kr-west?", "kr-west1*", "*-west*1", "??-east1", "?*", "kr-west1"];
pub(super) const KIND_PATTERNS: &[&str] = &["*", "*e*", "??*", "*y", "ins*", "user*", "?olume", "ke?", "*r", "zo*e"];
pub(super) const IDS: &[&str] = &[
    "foo",
    "foo",
    "foo/a.txt",
    "foo/b/c",
    "foo/a:b:c",
    "foobar",
    "FOO",
    "bar",
    "보고서/2026년",
    "보고서/2026년/é",
    "a:b",
    "x-1",
    "x-12",
    "😀/1",
];
pub(super) const ID_PATTERNS: &[&str] =
    &["*", "*", "foo*", "foo/*", "*oo*", "x-?", "x-*", "????", "*/*", "?*?", "*:*", "보고서/*", "?/1", "*a*b*"];
pub(super) const USERS: &[&str] = &["efda56a9", "94c2ae8e", "alice", "alice"];
pub(super) const ROLES: &[&str] = &["operator", "alice", "alice"];
pub(super) const SERVICE_ACCOUNTS: &[&str] = &["robot", "alice", "alice"];
pub(super) const DOMAINS: &[&str] = &["apigateway.samsungsdscloud.com", "configinspection.samsungsdscloud.com"];
pub(super) const LEVELS: &[&str] = &["List", "Read", "Create", "Update", "Delete", "Permission", "MonitorView", "MonitorSet", "Bypass"];
pub(super) const UNKNOWN_ACTIONS: &[&str] =
    &["iam:ShowUser", "iam:showuser", "iam:show", "server:explodeInstance", "nosuch:showUser", "object-store:uploadObject"];

/// Spellings of one tag name per line.
pub(super) const TAGS: &[&[&str]] = &[
    &["env", "Env", "ENV"],
    &["team", "Team"],
    &["straße", "STRASSE", "Strasse", "STRAẞE"],
    &["k", "K", "\u{212A}"],
    &["cost/center", "Cost/Center"],
    &["부서"],
    &["ı"],
    &["i", "I"],
];

/// Accessors of request attributes: the word, and spellings of one name.
pub(super) const ACCESSORS: &[(&str, &[&str])] = &[
    ("path", &["user_id"]),
    ("path", &["User_Id"]),
    ("query", &["limit"]),
    ("header", &["X-Team", "x-team", "X-TEAM"]),
    ("body", &["role"]),
    ("body", &["Role"]),
    ("body", &["이름"]),
];

/// Attribute keys that nothing defines. Keys of attributes that are defined and closed come from the catalogue.
pub(super) const UNDEFINED: &[&str] = &[
    "iam:userLast_name",
    "iam:name",
    "iam:usersName",
    "nosuch:userName",
    "virtual-server:instanceFlavor",
    "server:instanceFlavors",
    "dns:recordName",
    "kms:instanceFlavor",
];

/// The type of a key's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Bool,
    Date,
    Address,
    Srn,
}

/// What a key may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// As a rule one value of its type.
    Single,
    /// One or more values of its type.
    Several,
    /// What a document holds: any scalar, one or more.
    Any,
}

impl Kind {
    pub(super) const ALL: &[Self] = &[Self::String, Self::Number, Self::Bool, Self::Date, Self::Address, Self::Srn];

    /// A type by its name in a resource definition.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "string" => Self::String,
            "number" => Self::Number,
            "bool" => Self::Bool,
            "datetime" => Self::Date,
            "ip_address" => Self::Address,
            "srn" => Self::Srn,
            other => panic!("no type is called {other}"),
        }
    }

    pub(super) fn operators(self) -> &'static [&'static str] {
        match self {
            Self::String => &[
                "StringEquals",
                "StringNotEquals",
                "StringEqualsIsIgnoreCase",
                "StringNotEqualsIsIgnoreCase",
                "StringLike",
                "StringNotLike",
            ],
            Self::Number => &[
                "NumericEquals",
                "NumericNotEquals",
                "NumericLessThan",
                "NumericLessThanEquals",
                "NumericGreaterThan",
                "NumericGreaterThanEquals",
            ],
            Self::Bool => &["Bool"],
            Self::Date => {
                &["DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"]
            }
            Self::Address => &["IpAddress", "NotIpAddress"],
            Self::Srn => &["SrnEquals", "SrnNotEquals", "SrnLike", "SrnNotLike"],
        }
    }

    fn families(self) -> &'static [Family] {
        match self {
            Self::String => STRINGS,
            Self::Number => NUMBERS,
            Self::Bool => &[(BOOLS, BOOLS)],
            Self::Date => DATES,
            Self::Address => ADDRESSES,
            Self::Srn => SRNS,
        }
    }

    /// Values that a request may have and the operators of the type cannot read.
    fn unreadable(self) -> &'static [&'static str] {
        match self {
            // every scalar is a string
            Self::String => SCALARS,
            Self::Number => {
                &[r#""lots""#, r#""""#, r#""1e3""#, "1e3", "4E0", r#"".5""#, r#""5.""#, r#"" 4""#, r#""４""#, r#""--4""#, "true"]
            }
            Self::Bool => &[r#""yes""#, r#""""#, "1", r#""true ""#, r#""0""#],
            Self::Date => &[
                r#""2025-11-06T16:10:38""#,
                r#""2025-02-29""#,
                r#""2025-13-01T00:00:00Z""#,
                r#""2025-11-06T24:00:00Z""#,
                r#""2025-11-6""#,
                r#""1762445438""#,
                "1762445438",
                r#""yesterday""#,
                r#""""#,
            ],
            Self::Address => &[
                r#""unknown""#,
                r#""""#,
                r#""010.0.0.1""#,
                r#""10.0.0""#,
                r#""fe80::1%eth0""#,
                r#""10.0.0.256""#,
                r#""10.0.3.4/32""#,
                "10",
            ],
            Self::Srn => &[
                r#""srn:e::1234:kr-west1::scp-compute:image""#,
                r#""srn:e::1234:kr-west1:scp-compute:image/x""#,
                r#""srn:e:x:1234:kr-west1::scp-compute:image/x""#,
                r#""srn:e::1234:kr-west1:::image/x""#,
                r#""srn:e::1234:kr-west1::scp-compute:image/""#,
                r#""ubuntu""#,
                r#""""#,
                r#""*""#,
                "7",
            ],
        }
    }

    /// A value of a policy. `echo` are values of the request under the same key.
    pub(super) fn want(self, dice: &mut Dice, operator: &str, echo: &[String]) -> String {
        if operator == "Null" {
            return dice.pick(BOOLS).to_owned();
        }
        let (family, near) = if !echo.is_empty() && dice.percent(70) {
            let near = dice.one_of(echo).as_str();
            (self.families().iter().find(|(given, _)| given.contains(&near)), Some(near))
        } else {
            (None, None)
        };
        let (given, wanted) = family.unwrap_or_else(|| dice.one_of(self.families()));
        let value = near.filter(|_| given == wanted && dice.percent(45)).unwrap_or_else(|| dice.pick(wanted));
        match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(text) if self == Self::String && operator.ends_with("Like") && dice.percent(65) => {
                let with_question = dice.percent(25);
                format!("\"{}\"", dice.blur(text, with_question))
            }
            _ => value.to_owned(),
        }
    }

    /// What a request has under a key: the JSON, and those of its values that can be read.
    pub(super) fn hold(self, dice: &mut Dice, shape: Shape) -> (String, Vec<String>) {
        match dice.below(100) {
            0..4 => ("null".to_owned(), Vec::new()),
            4..7 => ("[]".to_owned(), Vec::new()),
            7..12 => (self.unreadable_value(dice, shape), Vec::new()),
            chance if chance < if shape == Shape::Single { 15 } else { 45 } => {
                let mut values: Vec<String> = (0..dice.between(1, 3)).map(|_| self.given(dice, shape)).collect();
                let echo = values.clone();
                match dice.below(10) {
                    0 => values.push("null".to_owned()),
                    1 => values.push(self.unreadable_value(dice, shape)),
                    _ => {}
                }
                dice.shuffle(&mut values);
                (list(&values), echo)
            }
            _ => {
                let value = self.given(dice, shape);
                (value.clone(), vec![value])
            }
        }
    }

    fn unreadable_value(self, dice: &mut Dice, shape: Shape) -> String {
        if self == Self::String && shape != Shape::Any {
            return "\"\"".to_owned();
        }
        dice.pick(self.unreadable()).to_owned()
    }

    /// A value of a request; strings are written as strings where the key has nothing else.
    fn given(self, dice: &mut Dice, shape: Shape) -> String {
        loop {
            let (given, _) = dice.one_of(self.families());
            let value = dice.pick(given);
            if self != Self::String || shape == Shape::Any || value.starts_with('"') {
                return value.to_owned();
            }
        }
    }
}

/// Values, as JSON, that are equal or nearly so: what requests have, and what policies name.
type Family = (&'static [&'static str], &'static [&'static str]);

const fn same(values: &'static [&'static str]) -> Family {
    (values, values)
}

const SCALARS: &[&str] = &["true", "false", "4", "4.0", "-0", "1e3"];

const STRINGS: &[Family] = &[
    same(&[r#""dev""#, r#""dev""#, r#""Dev""#, r#""DEV""#, r#""develop""#, r#""d*v""#, r#""d?v""#]),
    same(&[r#""dev""#, r#""prod""#, r#""""#]),
    same(&[r#""straße""#, r#""STRASSE""#, r#""Straẞe""#]),
    same(&[r#""K""#, r#""k""#, "\"\u{212A}\""]),
    same(&[r#""ſ""#, r#""S""#, r#""s""#]),
    same(&[r#""ı""#, r#""i""#, r#""I""#, r#""İ""#, "\"i\u{307}\""]),
    same(&[r#""Σας""#, r#""σασ""#, r#""ΣΑΣ""#]),
    same(&[r#""홍길동""#, r#""홍길순""#]),
    same(&[r#""${scp:UserName}""#, r#""alice""#, r#""Alice""#]),
    same(&[r#""true""#, r#""True""#, "true", r#""false""#, "false"]),
    same(&[r#""4.0""#, r#""4""#, "4.0", "4"]),
    same(&["-0", "0", r#""0""#, r#""-0""#]),
];

const NUMBERS: &[Family] = &[
    same(&["4", "4.0", r#""4""#, r#""+4""#, r#""-4""#, r#""004.00""#, "4.000000000000000000001"]),
    same(&["0", "-0", r#""-0.0""#, r#""+0""#, r#""0.00000000000000000001""#, r#""-0.00000000000000000001""#]),
    same(&["0.3", r#""0.30""#, "0.30", r#""0.1""#, r#""00.3""#, "0.03"]),
    same(&["10", "9", r#""9.5""#, r#""010""#, "10.0", "100"]),
    same(&["9007199254740993", "9007199254740992", r#""9007199254740992.5""#, r#""9007199254740993.0""#]),
    same(&["-3", "-3.5", r#""-10""#, r#""-03""#, "3"]),
    same(&[
        r#""340282366920938463463374607431768211457""#,
        "340282366920938463463374607431768211456",
        "-340282366920938463463374607431768211457",
    ]),
];

const BOOLS: &[&str] = &["true", "false", r#""true""#, r#""True""#, r#""FALSE""#, r#""false""#];

const DATES: &[Family] = &[
    same(&[
        r#""2025-11-06T16:10:38Z""#,
        r#""2025-11-07T01:10:38+09:00""#,
        r#""2025-11-06t16:10:38.000z""#,
        r#""2025-11-06T16:10:38.001Z""#,
        r#""2025-11-06T16:10:38.0010000Z""#,
        r#""2025-11-06T16:10:38.0001Z""#,
        r#""2025-11-06T16:10:38.123456789Z""#,
        r#""2025-11-06T16:10:38.123456788Z""#,
        r#""2025-11-06T16:10:39Z""#,
    ]),
    same(&[
        r#""2025-11-06""#,
        r#""2025-11-06T00:00:00Z""#,
        r#""2025-11-05T19:00:00-05:00""#,
        r#""2025-11-06T00:00:00-00:00""#,
        r#""2025-11-06T05:45:00+05:45""#,
        r#""2025-11-05""#,
        r#""2025-11-05T23:59:59.999999999Z""#,
    ]),
    same(&[r#""2024-02-29""#, r#""2024-03-01""#, r#""2024-02-29T12:00:00Z""#, r#""2024-02-28T23:30:00-00:30""#]),
    same(&[r#""1969-12-31T23:59:59.5Z""#, r#""1970-01-01""#, r#""1969-12-31T23:59:59Z""#, r#""1970-01-01T00:00:00.5Z""#]),
    same(&[r#""0001-01-01T00:00:00Z""#, r#""9999-12-30""#, r#""9999-12-31T23:59:59Z""#, r#""2100-02-28""#]),
];

const ADDRESSES: &[Family] = &[
    (
        &[r#""10.0.3.4""#, r#""10.0.3.4""#, r#""::ffff:10.0.3.4""#, r#""::ffff:a00:304""#, r#""10.0.3.5""#, r#""10.1.0.1""#],
        &[
            r#""10.0.0.0/16""#,
            r#""10.0.9.9/16""#,
            r#""10.0.3.5/31""#,
            r#""10.0.3.4/32""#,
            r#""10.0.3.4""#,
            r#""10.255.255.255/8""#,
            r#""0.0.0.0/0""#,
            r#""203.0.113.7/0""#,
            r#""::/0""#,
        ],
    ),
    (&[r#""203.0.113.7""#, r#""203.0.113.8""#], &[r#""203.0.113.0/24""#, r#""203.0.113.7/29""#, r#""203.0.113.7""#, r#""0.0.0.0/0""#]),
    (&[r#""0.0.0.0""#, r#""255.255.255.255""#], &[r#""255.255.255.255/1""#, r#""0.0.0.0""#, r#""128.0.0.0/1""#, r#""1.2.3.4/0""#]),
    (
        &[r#""2001:db8::1""#, r#""2001:0DB8:0:0:0:0:0:1""#, r#""2001:db8:1::5""#, r#""2001:db8::2""#],
        &[
            r#""::/0""#,
            r#""2001:db8::/32""#,
            r#""2001:DB8:0:FF::1/47""#,
            r#""2001:db8::1/128""#,
            r#""2001:db8::1""#,
            r#""2001:db8::3/126""#,
        ],
    ),
    (&[r#""::1""#, r#""::""#, r#""::10.0.3.4""#], &[r#""::1/127""#, r#""::1""#, r#""10.0.3.4""#, r#""::/64""#, r#""fe80::1/0""#]),
];

const SRNS: &[Family] = &[
    (
        &[
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:kr-west1::scp-compute:image/ubuntu""#,
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:kr-west1::compute:image/ubuntu""#,
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:kr-west10::vm:image/ubuntu/24""#,
            r#""srn:e::1f0c2d3e4b5a69788796a5b4c3d2e1f0:kr-west1::scp-compute:image/ubuntu""#,
            r#""srn:e::1f0c2d3e4b5a69788796a5b4c3d2e1f0:::scp-compute:image/ubuntu""#,
            r#""srn:g::9b7653f6f47a42e38055934a0575a813:kr-west1::scp-compute:image/ubuntu""#,
            r#""srn:e:::kr-west1::scp-compute:image/ubuntu""#,
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:kr-west1::scp-compute:image/*""#,
            r#""srn:e::*:kr-west1::scp-compute:image/ubuntu""#,
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:kr-west1::scp-*:image/ubuntu""#,
        ],
        &[
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:kr-west1::scp-compute:image/ubuntu""#,
            r#""srn:e:::kr-west1::compute:image/ubuntu""#,
            r#""srn:e:::::vm:image/*""#,
            r#""srn:e:::::scp-compute:im?ge/ubuntu*""#,
            r#""srn:e:::kr-*::scp-compute:*/*""#,
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:*::scp-compute:image/?buntu""#,
            r#""srn:e::1f0c2d3e4b5a69788796a5b4c3d2e1f0:kr-west?::scp-compute:image/*""#,
            r#""srn:g:::::scp-compute:image/*""#,
        ],
    ),
    (
        &[
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:::nosuch:thing/a:b""#,
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:::scp-nosuch:thing/a:b""#,
        ],
        &[r#""srn:e:::::nosuch:*/*""#, r#""srn:e:::::scp-nosuch:thing/a:?""#, r#""srn:e:::::nosuch:thing/a""#],
    ),
    (
        &[r#""srn:e::1234:kr-west1::object-store:bucket/foo""#, r#""srn:e::1234:::scp-object-store:bucket/foo""#],
        &[
            r#""srn:e::1234:::scp-object-store:bucket/foo""#,
            r#""srn:e:::kr-west1::object-store:bucket/foo""#,
            r#""srn:e:::::scp-iam:user/*""#,
        ],
    ),
];
