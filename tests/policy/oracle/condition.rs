//! Conditions: what an entry speaks about, what the request says there, and whether the entry holds.

use portcullis::source::{Node, Value};

use super::{entries as members, listed, one_or_more, pattern, text, text_of, value};

/// One key of one operator of a condition.
pub(super) struct Entry<'a> {
    for_all_values: bool,
    operator: &'a str,
    pub(super) key: &'a str,
    wanted: Vec<&'a Node>,
}

/// What a key speaks about.
pub(super) enum Subject<'a> {
    /// The request as a whole.
    Request,
    /// The tag of that name of each resource.
    ResourceTag(&'a str),
    /// An attribute of each resource of one type.
    Attribute(Attribute<'a>),
    /// R43: nothing that is defined.
    Undefined,
}

/// A defined attribute that conditions may use.
pub(super) struct Attribute<'a> {
    pub(super) service_type: &'a str,
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
}

/// What stands under a key.
pub(super) enum Found<'a> {
    /// R44: its source has failed.
    Unavailable,
    /// R33: its values; none when it is absent.
    Values(Vec<&'a Node>),
}

impl<'a> Found<'a> {
    pub(super) fn absent() -> Self {
        Self::Values(Vec::new())
    }

    /// R33: `null` is no value, neither alone nor in a list.
    fn of(nodes: impl Iterator<Item = &'a Node>) -> Self {
        Self::Values(nodes.flat_map(one_or_more).filter(|node| node.value != Value::Null).collect())
    }
}

/// R30, R45: all entries of a statement's condition. All of them have to hold.
pub(super) fn entries(statement: &Node) -> Vec<Entry<'_>> {
    let operators = statement.get("Condition").into_iter().flat_map(members);
    let entries = operators.flat_map(|(operator, keys)| {
        let (for_all_values, operator) = qualified(operator);
        members(keys).map(move |(key, wanted)| Entry { for_all_values, operator, key, wanted: one_or_more(wanted).collect() })
    });
    entries.collect()
}

/// R31: without a qualifier it is `ForAnyValue`.
fn qualified(operator: &str) -> (bool, &str) {
    match operator.split_once(':') {
        None => (false, operator),
        Some(("ForAnyValue", operator)) => (false, operator),
        Some(("ForAllValues", operator)) => (true, operator),
        Some((other, _)) => panic!("no qualifier is called {other}"),
    }
}

impl<'a> Entry<'a> {
    /// R41, R42, R43: what the key speaks about.
    pub(super) fn subject(&self, catalog: &'a Node) -> Subject<'a> {
        match global(self.key) {
            Some(name) => match name.split_once('/') {
                Some((word, tag)) if word.eq_ignore_ascii_case("ResourceTag") => Subject::ResourceTag(tag),
                _ => Subject::Request,
            },
            None => attribute_key(catalog, self.key).map_or(Subject::Undefined, Subject::Attribute),
        }
    }

    /// R30 to R34, R44: whether the entry holds over what was found. `None` when that is indeterminate.
    pub(super) fn holds(&self, catalog: &Node, owner: &str, found: Found<'_>) -> Option<bool> {
        let Found::Values(values) = found else { return None };
        if self.operator == "Null" {
            return Some(self.wanted.iter().any(|wanted| value::boolean(wanted) == Some(values.is_empty())));
        }
        let negative = self.operator.contains("Not");
        let mut verdicts = Vec::new();
        for given in values {
            let hit = self.hits(catalog, owner, given)?;
            verdicts.push(if negative { !hit } else { hit });
        }
        Some(match self.for_all_values {
            true => verdicts.into_iter().all(|verdict| verdict),
            false if verdicts.is_empty() => negative,
            false => verdicts.into_iter().any(|verdict| verdict),
        })
    }

    /// R30: whether one of the policy's values meets the given one under the operator without its `Not`.
    fn hits(&self, catalog: &Node, owner: &str, given: &Node) -> Option<bool> {
        let operator = self.operator.replace("Not", "");
        let mut wanted = self.wanted.iter();
        Some(match operator.as_str() {
            "StringEquals" => {
                let given = value::string(given)?;
                wanted.any(|wanted| value::string(wanted).unwrap() == given)
            }
            "StringEqualsIsIgnoreCase" => {
                let given = value::fold_case(value::string(given)?);
                wanted.any(|wanted| value::fold_case(value::string(wanted).unwrap()) == given)
            }
            "StringLike" => {
                let given = value::string(given)?;
                wanted.any(|wanted| pattern::matches_stars(value::string(wanted).unwrap(), given))
            }
            "Bool" => {
                let given = value::boolean(given)?;
                wanted.any(|wanted| value::boolean(wanted).unwrap() == given)
            }
            "IpAddress" => {
                let given = value::request_address(given)?;
                wanted.any(|wanted| value::network(wanted).unwrap().contains(given))
            }
            "SrnEquals" | "SrnLike" => {
                let given = value::text(given).and_then(pattern::read)?;
                wanted.any(|wanted| pattern::matches(catalog, owner, text(wanted), &given))
            }
            numeric if numeric.starts_with("Numeric") => {
                let given = value::decimal(given)?;
                wanted.any(|wanted| value::relation(numeric, "Numeric", given.cmp(&value::decimal(wanted).unwrap())))
            }
            date => {
                let given = value::instant(given)?;
                wanted.any(|wanted| value::relation(date, "Date", given.cmp(&value::instant(wanted).unwrap())))
            }
        })
    }
}

/// R41: what follows `scp:` in any letter case.
fn global(key: &str) -> Option<&str> {
    let (service, name) = key.split_once(':')?;
    service.eq_ignore_ascii_case("scp").then_some(name)
}

/// The values of the request's context under a key. Names that differ only where the key's case does not count are one key.
pub(super) fn in_request<'a>(context: &'a Node, key: &str) -> Found<'a> {
    let wanted = global(key).unwrap();
    Found::of(members(context).filter(|(name, _)| is_same_global(wanted, global(name).unwrap())).map(|(_, node)| node))
}

/// R41: whether two names behind `scp:` are the same key.
fn is_same_global(one: &str, other: &str) -> bool {
    let (Some((word, one_rest)), Some((other_word, other_rest))) = (one.split_once('/'), other.split_once('/')) else {
        return one.eq_ignore_ascii_case(other);
    };
    word.eq_ignore_ascii_case(other_word)
        && if word.eq_ignore_ascii_case("RequestAttribute") {
            is_same_accessor(one_rest, other_rest)
        } else {
            value::fold_case(one_rest) == value::fold_case(other_rest)
        }
}

/// R41: `path['Name']`: the case of the word does not count, that of the quoted name does, but for names of headers.
fn is_same_accessor(one: &str, other: &str) -> bool {
    let (word, name) = one.split_once('[').unwrap();
    let (other_word, other_name) = other.split_once('[').unwrap();
    word.eq_ignore_ascii_case(other_word)
        && (name == other_name || (word.eq_ignore_ascii_case("header") && name.eq_ignore_ascii_case(other_name)))
}

/// The values of all tags of that name, whatever their letter case.
pub(super) fn tags<'a>(resource: &'a Node, name: &str) -> Found<'a> {
    let tags = resource.get("tags").into_iter().flat_map(members);
    Found::of(tags.filter(|(tag, _)| value::fold_case(tag) == value::fold_case(name)).map(|(_, node)| node))
}

/// R43: `{service}:{type}{attribute}` in any letter case, for an attribute that says `abac: true`.
fn attribute_key<'a>(catalog: &'a Node, key: &str) -> Option<Attribute<'a>> {
    let (prefix, wanted) = key.split_once(':')?;
    for service in listed(catalog, "services") {
        let mut prefixes = listed(service, "condition_prefixes").iter().map(text).chain([text_of(service, "service")]);
        if !prefixes.any(|known| known.eq_ignore_ascii_case(prefix)) {
            continue;
        }
        let own = pattern::fold_service_type(catalog, text_of(service, "service_type"));
        for definition in listed(catalog, "resource_definitions") {
            let (service_type, kind) = (text_of(definition, "service_type"), text_of(definition, "resource_type"));
            if pattern::fold_service_type(catalog, service_type) != own {
                continue;
            }
            for (name, attribute) in definition.get("attributes").into_iter().flat_map(members) {
                let is_open = attribute.get("abac").is_some_and(|abac| abac.value == Value::Bool(true));
                if is_open && format!("{kind}{name}").eq_ignore_ascii_case(wanted) {
                    return Some(Attribute { service_type, kind, name });
                }
            }
        }
    }
    None
}

/// The values of an attribute of a resource; `UNAVAILABLE` in place of all attributes when their source has failed.
pub(super) fn attribute<'a>(resource: &'a Node, name: &str) -> Found<'a> {
    match resource.get("attributes") {
        Some(Node { value: Value::String(word), .. }) if &**word == "UNAVAILABLE" => Found::Unavailable,
        attributes => Found::of(attributes.and_then(|attributes| attributes.get(name)).into_iter()),
    }
}
