//! Conditions.

use super::dice::Dice;
use super::statement::Writer;
use super::vocabulary::{ACCESSORS, Kind, TAGS, UNDEFINED};
use super::{Attribute, Attributes, Given};

/// The global keys without a name of their own in them.
pub(super) const GLOBAL_KEYS: &[(&str, Kind)] = &[
    ("UserId", Kind::String),
    ("UserName", Kind::String),
    ("MultiFactorAuthPresent", Kind::Bool),
    ("RequestedRegion", Kind::String),
    ("TagKeys", Kind::String),
    ("SourceIp", Kind::Address),
    ("CurrentTime", Kind::Date),
    ("AuthenticationType", Kind::String),
];

/// A condition key.
struct Key {
    text: String,
    /// The same for all spellings of the key: one operator names a key once.
    identity: String,
    kind: Kind,
    /// Values of the request under it.
    echo: Vec<String>,
}

impl Writer<'_> {
    pub(super) fn condition(&mut self) -> String {
        let mut operators: Vec<(String, Vec<(Key, String)>)> = Vec::new();
        for _ in 0..self.dice.between(1, 3) {
            let key = self.key();
            let operator = if self.dice.percent(12) { "Null" } else { self.dice.pick(key.kind.operators()) };
            let values: Vec<String> = (0..self.dice.between(1, 3)).map(|_| key.kind.want(self.dice, operator, &key.echo)).collect();
            let qualifier = if operator == "Null" { "" } else { self.dice.pick(&["", "", "ForAnyValue:", "ForAllValues:"]) };
            let operator = format!("{qualifier}{operator}");
            let values = self.dice.list_or_scalar(&values);
            match operators.iter_mut().find(|(known, _)| *known == operator) {
                None => operators.push((operator, vec![(key, values)])),
                Some((_, keys)) if keys.iter().all(|(other, _)| other.identity != key.identity) => keys.push((key, values)),
                Some(_) => {}
            }
        }
        let mut members = Vec::new();
        for (operator, keys) in operators {
            let keys = keys.into_iter().map(|(key, values)| (key.text, values)).collect();
            members.push((operator, self.dice.object(keys)));
        }
        self.dice.object(members)
    }

    fn key(&mut self) -> Key {
        match self.dice.below(100) {
            0..28 => self.global_key(),
            28..36 => self.request_attribute_key(),
            36..43 => self.tag_key("RequestTag"),
            43..58 => self.tag_key("ResourceTag"),
            58..95 => self.attribute_key(true),
            95..98 => self.attribute_key(false),
            _ => self.undefined_key(),
        }
    }

    fn global_key(&mut self) -> Key {
        let (name, kind) = *self.dice.one_of(GLOBAL_KEYS);
        let identity = format!("scp:{name}");
        let echo = echo(&self.plan.context, |key| key == identity);
        Key { text: self.dice.odd_case(&identity), identity, kind, echo }
    }

    fn request_attribute_key(&mut self) -> Key {
        let (word, spellings) = *self.dice.one_of(ACCESSORS);
        let before = self.dice.odd_case(&format!("scp:RequestAttribute/{word}"));
        let text = format!("{before}['{}']", self.dice.pick(spellings));
        let echo = echo(&self.plan.context, |key| spellings.iter().any(|name| key == format!("scp:RequestAttribute/{word}['{name}']")));
        Key { text, identity: format!("{word}['{}']", spellings[0]), kind: Kind::String, echo }
    }

    fn tag_key(&mut self, word: &str) -> Key {
        let spellings = *self.dice.one_of(TAGS);
        let before = self.dice.odd_case(&format!("scp:{word}"));
        let name = self.dice.pick(spellings);
        let name = self.dice.odd_case(name);
        let echo = if word == "RequestTag" {
            echo(&self.plan.context, |key| spellings.iter().any(|name| key == format!("scp:RequestTag/{name}")))
        } else {
            let resources = self.plan.resources.iter();
            resources.flat_map(|resource| echo(&resource.tags, |key| spellings.contains(&key))).collect()
        };
        Key { text: format!("{before}/{name}"), identity: format!("{word}/{}", spellings[0]), kind: Kind::String, echo }
    }

    /// A key of an attribute that conditions may use, or of one that they may not. Most are of types that the request asks for.
    fn attribute_key(&mut self, is_open: bool) -> Key {
        let is_asked = |attribute: &Attribute| self.plan.resources.iter().any(|resource| resource.of == attribute.of);
        let open = || self.catalog.attributes.iter().filter(|attribute| attribute.is_open == is_open);
        let mut choice: Vec<&Attribute> = open().filter(|attribute| is_asked(attribute)).collect();
        if choice.is_empty() || self.dice.percent(15) {
            choice = open().collect();
        }
        let attribute = *self.dice.one_of(&choice);
        let prefixes = &self.catalog.services[attribute.of.service].prefixes;
        let identity = format!("{}:{}{}", prefixes[0], attribute.of.name, attribute.name);
        let text = format!("{}:{}{}", self.dice.one_of(prefixes), attribute.of.name, attribute.name);
        let same_type = self.plan.resources.iter().filter(|resource| resource.of == attribute.of);
        let echo = same_type.flat_map(|resource| match &resource.attributes {
            Attributes::Known(known) => echo(known, |key| key == attribute.name),
            Attributes::Absent | Attributes::Unavailable => Vec::new(),
        });
        Key { echo: echo.collect(), text: with_capital(self.dice, &text, attribute.of.name.len()), identity, kind: attribute.kind }
    }

    fn undefined_key(&mut self) -> Key {
        let text = self.dice.pick(UNDEFINED).to_owned();
        let kind = *self.dice.one_of(Kind::ALL);
        Key { identity: text.clone(), text, kind, echo: Vec::new() }
    }
}

/// The usual spelling has a capital where the name of the attribute starts.
fn with_capital(dice: &mut Dice, key: &str, type_length: usize) -> String {
    let start = key.find(':').unwrap() + 1 + type_length;
    let (before, name) = key.split_at(start);
    let mut letters = name.chars();
    let usual = letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()));
    dice.odd_case(&format!("{before}{usual}"))
}

fn echo(given: &[Given], is_it: impl Fn(&str) -> bool) -> Vec<String> {
    given.iter().filter(|given| is_it(&given.key)).flat_map(|given| given.echo.iter().cloned()).collect()
}
