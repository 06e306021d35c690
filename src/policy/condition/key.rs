//! Condition keys: the global keys of the request (seed 003, L1865-1874; R42, R47), tags, and attributes of resources (R43).

use std::borrow::Cow;
use std::fmt;

use super::value::folded;
use crate::policy::accessor::Accessor;
use crate::policy::catalogue::{AttributeId, Catalogue, ResourceTypeId, ValueType};
use crate::policy::request::{Context, Known, Resource, Scalar, Tags, Values};

/// A key that is a slot of the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum GlobalKey {
    UserId,
    UserName,
    MultiFactorAuthPresent,
    RequestedRegion,
    SourceIp,
    CurrentTime,
    AuthenticationType,
    TagKeys,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum Key {
    Global(GlobalKey),
    RequestTag(TagName),
    /// Of every resource of the request (R46).
    ResourceTag(TagName),
    RequestAttribute(Accessor),
    /// Of the resources of its type (R46).
    Attribute(Attribute),
    /// An attribute that is not defined, or that conditions may not test (R43).
    Undefined(Undefined),
}

/// The name of a tag; letter case does not count (R41).
#[derive(Debug, Clone)]
pub(in crate::policy) struct TagName {
    written: Box<str>,
    folded: Box<str>,
}

/// An attribute of a resource type, and how its key is written.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Attribute {
    pub(in crate::policy) id: AttributeId,
    pub(in crate::policy) kind: ResourceTypeId,
    written: Box<str>,
    holds: ValueType,
}

/// A key of an attribute that cannot be tested.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Undefined {
    written: Box<str>,
    /// It is defined, but not `abac: true`.
    pub(in crate::policy) known: bool,
}

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum KeyError {
    /// `scp:ResourceTag/` without a name, or similar; how it is written.
    Incomplete(&'static str),
    /// An unknown name after `scp:`.
    Unknown,
    /// Nothing before a colon.
    NoService,
}

/// The keys that are one value of the request, in canonical spelling; letter case does not count (R41).
const GLOBAL: [(&str, GlobalKey, ValueType); 8] = [
    ("scp:UserId", GlobalKey::UserId, ValueType::Text),
    ("scp:UserName", GlobalKey::UserName, ValueType::Text),
    ("scp:MultiFactorAuthPresent", GlobalKey::MultiFactorAuthPresent, ValueType::Bool),
    ("scp:RequestedRegion", GlobalKey::RequestedRegion, ValueType::Text),
    ("scp:SourceIp", GlobalKey::SourceIp, ValueType::Address),
    ("scp:CurrentTime", GlobalKey::CurrentTime, ValueType::Date),
    ("scp:AuthenticationType", GlobalKey::AuthenticationType, ValueType::Text),
    ("scp:TagKeys", GlobalKey::TagKeys, ValueType::Text),
];

/// How all keys are written that start with `scp:`.
pub(in crate::policy) const KEYS: [&str; 11] = [
    "scp:UserId",
    "scp:UserName",
    "scp:MultiFactorAuthPresent",
    "scp:RequestedRegion",
    "scp:SourceIp",
    "scp:CurrentTime",
    "scp:AuthenticationType",
    "scp:TagKeys",
    "scp:RequestTag/tag-key",
    "scp:ResourceTag/tag-key",
    "scp:RequestAttribute/body['name']",
];

impl Key {
    /// Reads a key.
    pub(in crate::policy) fn parse(text: &str, catalogue: &Catalogue) -> Result<Self, KeyError> {
        if let Some((_, key, _)) = GLOBAL.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text)) {
            return Ok(Self::Global(*key));
        }
        let (service, rest) = text.split_once(':').filter(|(service, _)| !service.is_empty()).ok_or(KeyError::NoService)?;
        if !service.eq_ignore_ascii_case("scp") {
            return Ok(Self::of_attribute(text, service, rest, catalogue));
        }
        let (name, argument) = rest.split_once('/').unwrap_or((rest, ""));
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match argument {
            "" if is("ResourceTag") => Err(KeyError::Incomplete("scp:ResourceTag/tag-key")),
            "" if is("RequestTag") => Err(KeyError::Incomplete("scp:RequestTag/tag-key")),
            _ if is("ResourceTag") => Ok(Self::ResourceTag(TagName::new(argument))),
            _ if is("RequestTag") => Ok(Self::RequestTag(TagName::new(argument))),
            _ if is("RequestAttribute") => {
                let accessor = Accessor::parse(argument).ok_or(KeyError::Incomplete("scp:RequestAttribute/body['name']"))?;
                Ok(Self::RequestAttribute(accessor))
            }
            _ => Err(KeyError::Unknown),
        }
    }

    fn of_attribute(text: &str, service: &str, rest: &str, catalogue: &Catalogue) -> Self {
        let found = catalogue.find_attribute(service, rest).map(|id| (id, catalogue.attribute(id)));
        match found {
            Some((id, attribute)) if attribute.abac => {
                Self::Attribute(Attribute { id, kind: attribute.kind, written: text.into(), holds: attribute.holds })
            }
            Some(_) | None => Self::Undefined(Undefined { written: text.into(), known: found.is_some() }),
        }
    }

    /// What it holds; `None` when nobody knows.
    pub(in crate::policy) fn holds(&self) -> Option<ValueType> {
        match self {
            Self::Global(key) => GLOBAL.iter().find(|(_, known, _)| known == key).map(|(.., holds)| *holds),
            Self::RequestTag(_) | Self::ResourceTag(_) | Self::RequestAttribute(_) => Some(ValueType::Text),
            Self::Attribute(attribute) => Some(attribute.holds),
            Self::Undefined(_) => None,
        }
    }

    /// Who lacks it: an absent key makes negative operators true (R32, R54).
    pub(in crate::policy) const fn absent_for(&self) -> Option<&'static str> {
        match self {
            Self::Global(GlobalKey::UserId | GlobalKey::UserName) => Some("role sessions"),
            Self::Global(GlobalKey::RequestedRegion) => Some("actions without a region"),
            Self::Global(GlobalKey::MultiFactorAuthPresent) => Some("callers that are not users"),
            Self::Global(GlobalKey::TagKeys) => Some("requests that bring no tags"),
            Self::RequestTag(_) => Some("requests that do not bring this tag"),
            Self::ResourceTag(_) => Some("resources that do not have this tag"),
            Self::RequestAttribute(_) => Some("requests in which it does not stand"),
            Self::Attribute(_) => Some("resources for which it is not set, and requests about no such resource"),
            Self::Global(GlobalKey::AuthenticationType | GlobalKey::SourceIp | GlobalKey::CurrentTime) | Self::Undefined(_) => None,
        }
    }

    /// Whether no condition can test it (R43).
    pub(in crate::policy) const fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    /// Whether it is judged for each resource on its own (R46).
    pub(in crate::policy) const fn is_of_resource(&self) -> bool {
        match self {
            Self::ResourceTag(_) | Self::Attribute(_) => true,
            Self::Global(_) | Self::RequestTag(_) | Self::RequestAttribute(_) | Self::Undefined(_) => false,
        }
    }

    /// Hands over each value of the request, and says whether these were all. What is of a resource is read from `resource`; without
    /// one it is absent.
    pub(in crate::policy) fn read(
        &self,
        context: &Context<'_>,
        resource: Option<&Resource<'_>>,
        mut take: impl FnMut(Scalar<'_>),
    ) -> Known {
        match self {
            Self::Global(key) => key.values(context).each(take),
            Self::RequestTag(name) => name.read(&context.request_tags, take),
            Self::ResourceTag(name) => resource.map_or(Known::Known, |resource| name.read(&resource.tags, take)),
            Self::RequestAttribute(accessor) => context.request_attributes.read(accessor, &mut take),
            Self::Attribute(attribute) => {
                let Some(resource) = resource else { return Known::Known };
                let known = resource.attributes.known.iter().find(|(id, _)| *id == attribute.id);
                known.map_or(resource.attributes.others, |(_, values)| *values).each(take)
            }
            Self::Undefined(_) => Known::Known,
        }
    }
}

impl GlobalKey {
    const fn values<'a>(self, context: &Context<'a>) -> Values<'a> {
        match self {
            Self::UserId => context.user_id,
            Self::UserName => context.user_name,
            Self::MultiFactorAuthPresent => context.mfa,
            Self::RequestedRegion => context.requested_region,
            Self::SourceIp => context.source_ip,
            Self::CurrentTime => context.now,
            Self::AuthenticationType => context.authentication_type,
            Self::TagKeys => context.tag_keys,
        }
    }

    /// Puts values into the slot.
    pub(in crate::policy) const fn set<'a>(self, context: &mut Context<'a>, values: Values<'a>) {
        match self {
            Self::UserId => context.user_id = values,
            Self::UserName => context.user_name = values,
            Self::MultiFactorAuthPresent => context.mfa = values,
            Self::RequestedRegion => context.requested_region = values,
            Self::SourceIp => context.source_ip = values,
            Self::CurrentTime => context.now = values,
            Self::AuthenticationType => context.authentication_type = values,
            Self::TagKeys => context.tag_keys = values,
        }
    }

    fn name(self) -> &'static str {
        GLOBAL.iter().find(|(_, key, _)| *key == self).map_or("", |(name, ..)| name)
    }
}

impl TagName {
    fn new(written: &str) -> Self {
        Self { written: written.into(), folded: folded(written).collect() }
    }

    /// How it is written.
    pub(in crate::policy) fn written(&self) -> &str {
        &self.written
    }

    /// The same without letter case.
    pub(in crate::policy) fn folded(&self) -> &str {
        &self.folded
    }

    /// All values of all tags of this name: tags may differ in letter case only.
    fn read(&self, tags: &Tags<'_>, mut take: impl FnMut(Scalar<'_>)) -> Known {
        let tags = match tags {
            Tags::Known(tags) => tags,
            Tags::Unavailable => return Known::Unavailable,
            Tags::NotFetched => return Known::NotFetched,
        };
        let named = tags.iter().filter(|(name, _)| *name == &*self.written || folded(name).eq(self.folded.chars()));
        let read = named.map(|(_, values)| values.each(&mut take));
        read.fold(Known::Known, |all, one| if one == Known::Known { all } else { one })
    }
}

impl PartialEq for TagName {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for TagName {}

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Attribute {}

impl PartialEq for Undefined {
    fn eq(&self, other: &Self) -> bool {
        self.written.eq_ignore_ascii_case(&other.written)
    }
}

impl Eq for Undefined {}

/// The canonical spelling; that of an attribute is how it was written.
impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global(key) => out.write_str(key.name()),
            Self::RequestTag(name) => write!(out, "scp:RequestTag/{}", name.written),
            Self::ResourceTag(name) => write!(out, "scp:ResourceTag/{}", name.written),
            Self::RequestAttribute(accessor) => write!(out, "scp:RequestAttribute/{accessor}"),
            Self::Attribute(attribute) => out.write_str(&attribute.written),
            Self::Undefined(key) => out.write_str(&key.written),
        }
    }
}

/// One value, for people.
pub(in crate::policy) fn shown_scalar<'a>(value: Scalar<'a>) -> Cow<'a, str> {
    match value {
        Scalar::Text(text) => Cow::Borrowed(text),
        Scalar::Bool(value) => Cow::Owned(value.to_string()),
        Scalar::Address(address) => Cow::Owned(address.to_string()),
        Scalar::Time(time) => Cow::Owned(time.to_string()),
        Scalar::Other => Cow::Borrowed("(no text, number or boolean)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample::catalogue;

    #[test]
    fn keys_are_read_without_letter_case_and_what_is_none_says_so() {
        let catalogue = catalogue();
        for (text, expected) in [
            ("scp:UserName", Ok("scp:UserName")),
            ("SCP:sourceIP", Ok("scp:SourceIp")),
            ("scp:tagkeys", Ok("scp:TagKeys")),
            ("scp:resourceTag/a/b", Ok("scp:ResourceTag/a/b")),
            ("scp:REQUESTTAG/Team", Ok("scp:RequestTag/Team")),
            ("scp:ResourceTag/", Err(KeyError::Incomplete("scp:ResourceTag/tag-key"))),
            ("scp:RequestTag", Err(KeyError::Incomplete("scp:RequestTag/tag-key"))),
            ("scp:requestattribute/BODY['Foo']", Ok("scp:RequestAttribute/body['Foo']")),
            ("scp:RequestAttribute/foo", Err(KeyError::Incomplete("scp:RequestAttribute/body['name']"))),
            ("scp:UserName/x", Err(KeyError::Unknown)),
            ("scp:PrincipalTag/department", Err(KeyError::Unknown)),
            ("iam:userLASTNAME", Ok("iam:userLASTNAME")),
            ("IAM:userlastname", Ok("IAM:userlastname")),
            ("iam:userEmail", Ok("iam:userEmail")),
            ("none:x", Ok("none:x")),
            (":UserName", Err(KeyError::NoService)),
            ("UserName", Err(KeyError::NoService)),
        ] {
            assert_eq!(Key::parse(text, &catalogue).map(|key| key.to_string()), expected.map(str::to_owned), "{text}");
        }
        let undefined = |text: &str| match Key::parse(text, &catalogue) {
            Ok(Key::Undefined(key)) => Some(key.known),
            Ok(_) | Err(_) => None,
        };
        assert_eq!(
            ["iam:userEmail", "iam:userX", "none:x", "iam:userLastname"].map(undefined),
            [Some(true), Some(false), Some(false), None]
        );
    }

    #[test]
    fn keys_are_the_same_without_letter_case_but_names_inside_requests_are_not() {
        let catalogue = catalogue();
        for (one, two, same) in [
            ("scp:username", "SCP:UserName", true),
            ("scp:ResourceTag/Ärger", "scp:resourcetag/äRGER", true),
            ("scp:ResourceTag/a", "scp:RequestTag/a", false),
            ("scp:RequestAttribute/body['a']", "scp:requestattribute/BODY[\"a\"]", true),
            ("scp:RequestAttribute/body['a']", "scp:RequestAttribute/body['A']", false),
            ("scp:RequestAttribute/header['a']", "scp:RequestAttribute/header['A']", true),
            ("iam:userLastname", "IAM:USERLASTNAME", true),
            // R43: the prefix is the name of the service, or one that its definition says.
            ("iam:userLastname", "scp-iam:userLastname", false),
            ("none:x", "NONE:X", true),
            ("none:x", "none:y", false),
        ] {
            assert_eq!(Key::parse(one, &catalogue) == Key::parse(two, &catalogue), same, "{one} {two}");
        }
    }

    #[test]
    fn every_global_key_is_in_the_list_that_people_see() {
        assert!(GLOBAL.iter().all(|(name, key, _)| KEYS.contains(name) && key.name() == *name));
    }
}
