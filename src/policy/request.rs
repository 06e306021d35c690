//! What is to be decided: who asks for which action on which resources, and the values that conditions can test.

use std::fmt;
use std::net::IpAddr;

use super::accessor::Accessor;
use super::catalogue::{ActionId, AttributeId, ResourceTypeId};
use crate::source::{Node, Value};
use crate::types::Timestamp;

/// What is to be decided.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The action; one the catalogue knows, because unknown actions are refused before (R10).
    pub action: ActionId,
    /// Exactly the resources of the action's definition.
    pub resources: &'a [Resource<'a>],
    /// Who asks.
    pub principal: Principal<'a>,
    /// What conditions can test.
    pub context: Context<'a>,
    /// Whether the policies of the resources themselves must allow it, also in the principal's own account: taking a role (R52).
    pub needs_resource_policy: bool,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its account; empty for a service, which has none.
    pub account: &'a str,
    /// Its id in the account; the domain of a service; the whole SRN of a credential provider.
    pub id: &'a str,
}

/// What kind of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The root user of the account: allowed everything in it (R27).
    Root,
    /// An IAM user.
    User,
    /// A session of a role: it acts as the role (R24).
    Role,
    /// A service account.
    ServiceAccount,
    /// A service of the cloud itself: it holds no policies (R29).
    Service,
    /// Somebody whom a credential provider vouches for: they only ever take roles (R52).
    Provider,
}

/// A resource of a request. Its offering is the catalogue's.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    /// Its service and type.
    pub kind: ResourceTypeId,
    /// The account it belongs to; never empty (R14: the gateway fills it).
    pub account: &'a str,
    /// Its region; empty for global services.
    pub region: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its tags.
    pub tags: Tags<'a>,
    /// Its attributes.
    pub attributes: Attributes<'a>,
}

impl<'a> Resource<'a> {
    /// A resource of which nothing but its name is known yet.
    #[must_use]
    pub const fn new(kind: ResourceTypeId, account: &'a str, region: &'a str, id: &'a str) -> Self {
        let (tags, attributes) = (Tags::NotFetched, Attributes { known: &[], others: Values::NotFetched });
        Self { kind, account, region, id, tags, attributes }
    }
}

/// The tags of a resource or request.
#[derive(Debug, Clone, Copy)]
pub enum Tags<'a> {
    /// All of them: key and value.
    Known(&'a [(&'a str, Values<'a>)]),
    /// They could not be obtained (R44).
    Unavailable,
    /// Nobody has asked for them.
    NotFetched,
}

/// The attributes of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// Those that were asked for.
    pub known: &'a [(AttributeId, Values<'a>)],
    /// What all others have.
    pub others: Values<'a>,
}

/// What a request has under a condition key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values<'a> {
    /// Nothing: absent, null or an empty list (R33).
    Absent,
    /// One value.
    One(Scalar<'a>),
    /// Several.
    Many(&'a [Scalar<'a>]),
    /// They could not be obtained (R44).
    Unavailable,
    /// Nobody has asked for them.
    NotFetched,
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// A text; a number or boolean as it was written.
    Text(&'a str),
    /// A boolean.
    Bool(bool),
    /// An address.
    Address(IpAddr),
    /// A time.
    Time(Timestamp),
    /// Something that no condition can test, such as an object in a body.
    Other,
}

impl<'a> Values<'a> {
    /// A text, if there is one.
    #[must_use]
    pub fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Absent, |text| Self::One(Scalar::Text(text)))
    }

    /// None, one or many.
    #[must_use]
    pub const fn of(values: &'a [Scalar<'a>]) -> Self {
        match values {
            [] => Self::Absent,
            [one] => Self::One(*one),
            many => Self::Many(many),
        }
    }

    /// Hands over each value, and says whether these were all.
    pub(super) fn each(self, mut take: impl FnMut(Scalar<'_>)) -> Known {
        match self {
            Self::Absent => {}
            Self::One(value) => take(value),
            Self::Many(values) => values.iter().for_each(|value| take(*value)),
            Self::Unavailable => return Known::Unavailable,
            Self::NotFetched => return Known::NotFetched,
        }
        Known::Known
    }
}

/// Values that somebody keeps to lend them to requests: texts, numbers and booleans as they were written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored(Box<[Option<Box<str>>]>);

impl Stored {
    /// The values of JSON: a scalar, or the items of a list; `null` is none.
    #[must_use]
    pub fn of<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> Self {
        let scalar = |value: &Value| match value {
            Value::String(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(Box::from(if *value { "true" } else { "false" })),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        let mut all = Vec::new();
        for node in nodes {
            match &node.value {
                Value::Null => {}
                Value::List(items) => all.extend(items.iter().filter(|item| item.value != Value::Null).map(|item| scalar(&item.value))),
                value @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_)) => all.push(scalar(value)),
            }
        }
        Self(all.into())
    }

    /// The values in the form in which requests lend them.
    #[must_use]
    pub fn scalars(&self) -> Vec<Scalar<'_>> {
        self.0.iter().map(|value| value.as_deref().map_or(Scalar::Other, Scalar::Text)).collect()
    }
}

/// Whether what a request has is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// All that was handed over is all there is.
    Known,
    /// It could not be obtained.
    Unavailable,
    /// It must be fetched first.
    NotFetched,
}

/// What conditions can test beside the resources (R54 says when each is there).
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// `scp:SourceIp`.
    pub source_ip: Values<'a>,
    /// `scp:CurrentTime`.
    pub now: Values<'a>,
    /// `scp:UserId`.
    pub user_id: Values<'a>,
    /// `scp:UserName`.
    pub user_name: Values<'a>,
    /// `scp:AuthenticationType` (R47).
    pub authentication_type: Values<'a>,
    /// `scp:MultiFactorAuthPresent`.
    pub mfa: Values<'a>,
    /// `scp:RequestedRegion`.
    pub requested_region: Values<'a>,
    /// `scp:TagKeys`.
    pub tag_keys: Values<'a>,
    /// `scp:RequestTag/...`.
    pub request_tags: Tags<'a>,
    /// `scp:RequestAttribute/...`.
    pub request_attributes: &'a dyn RequestAttributes,
}

impl Context<'_> {
    /// Nothing at all.
    pub const EMPTY: Context<'static> = Context {
        source_ip: Values::Absent,
        now: Values::Absent,
        user_id: Values::Absent,
        user_name: Values::Absent,
        authentication_type: Values::Absent,
        mfa: Values::Absent,
        requested_region: Values::Absent,
        tag_keys: Values::Absent,
        request_tags: Tags::Known(&[]),
        request_attributes: &NoAttributes,
    };
}

/// Where the values of `scp:RequestAttribute/...` come from: path, query, headers and body of the request.
pub trait RequestAttributes: fmt::Debug {
    /// Hands over each value that stands there.
    fn read(&self, accessor: &Accessor, take: &mut dyn FnMut(Scalar<'_>)) -> Known;
}

/// A request without any.
#[derive(Debug, Clone, Copy)]
pub struct NoAttributes;

impl RequestAttributes for NoAttributes {
    fn read(&self, _accessor: &Accessor, _take: &mut dyn FnMut(Scalar<'_>)) -> Known {
        Known::Known
    }
}
