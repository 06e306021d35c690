//! `Principal`: whom the policy of a resource or role is for (R21-R24, R29, R52).

use super::catalogue::Catalogue;
use super::reader::{Member, Reader, quoted, shown, text};
use super::request::{Kind, Principal};
use crate::source::{Cursor, Value, nearest};
use crate::types::{Srn, SrnError};

const HINT: &str = "write \"Principal\": {\"scp\": [\"srn:e::account:::scp-iam:user/id\"]} or {\"Service\": [\"name.domain\"]}";
const TRUST_HINT: &str = "write \"Principal\": {\"scp\": [...]}, {\"Account\": [...]}, {\"Federated\": [...]} or {\"Service\": [...]}";
const SRN_HINT: &str =
    "write `srn:e::account:::scp-iam:user/id`, with `role` or `service-account` for those, and `user/ROOT` for the root user";

/// The most principals that one statement names; the policy of a role has at most twenty (seed 003, L875).
pub const TRUSTED_MAX: usize = 20;
/// The members of `Principal` in the order in which they are written; the last two stand in the policies of roles only.
pub(super) const MEMBERS: [&str; 4] = ["scp", "Service", "Account", "Federated"];
/// How the root user of an account is written.
const ROOT: &str = "ROOT";
/// The types of credential providers in SRNs.
const PROVIDERS: [&str; 3] = ["credential-provider", "saml-provider", "oidc-provider"];
/// The service type of users, roles and accounts in SRNs.
const IAM: &str = "scp-iam";

/// Whom a statement is for.
#[derive(Debug, Clone)]
pub(super) struct Principals(Box<[Named]>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    who: Who,
    account: Box<str>,
    id: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The root user, whatever its id (R23).
    Root,
    User,
    Role,
    ServiceAccount,
    Service,
    /// Everybody of an account (R52).
    Account,
    Provider,
}

impl Principals {
    /// Whether the principal is one of them.
    pub(super) fn name(&self, principal: &Principal<'_>) -> bool {
        self.0.iter().any(|named| named.is(principal))
    }

    /// Whether everybody whom another list names is surely named by this.
    pub(super) fn include(&self, inner: &Self) -> bool {
        inner.0.iter().all(|wanted| self.0.iter().any(|named| named == wanted || named.includes(wanted)))
    }
}

impl Named {
    /// Whether it is the whole account that another one is of.
    fn includes(&self, inner: &Self) -> bool {
        let of_account = matches!(inner.who, Who::Root | Who::User | Who::Role | Who::ServiceAccount | Who::Account);
        self.who == Who::Account && of_account && self.account == inner.account
    }

    fn is(&self, principal: &Principal<'_>) -> bool {
        let same_account = *self.account == *principal.account;
        let same = same_account && *self.id == *principal.id;
        match (self.who, principal.kind) {
            (Who::Root, Kind::Root) => same_account,
            (Who::User, Kind::User | Kind::Root)
            | (Who::Role, Kind::Role)
            | (Who::ServiceAccount, Kind::ServiceAccount)
            | (Who::Service, Kind::Service)
            | (Who::Provider, Kind::Provider) => same,
            (Who::Account, Kind::Root | Kind::User | Kind::Role | Kind::ServiceAccount) => same_account,
            (
                Who::Root | Who::User | Who::Role | Who::ServiceAccount | Who::Service | Who::Account | Who::Provider,
                Kind::Root | Kind::User | Kind::Role | Kind::ServiceAccount | Kind::Service | Kind::Provider,
            ) => false,
        }
    }
}

/// Reads `Principal`; `trust` for the policy of a role.
pub(super) fn read<'a>(reader: &Reader<'a>, at: &Cursor<'a>, trust: bool) -> Option<Principals> {
    let hint = if trust { TRUST_HINT } else { HINT };
    let members = members(reader, at, hint)?;
    let mut named = Vec::new();
    let mut complete = Some(());
    for member in &members {
        match group(reader, at, member, trust) {
            Some(group) => named.extend(group),
            None => complete = None,
        }
    }
    complete?;
    if trust && named.len() > TRUSTED_MAX {
        at.error_hint(format!("{} principals are named; the limit of a role is {TRUSTED_MAX}", named.len()), "name fewer");
        return None;
    }
    Some(Principals(named.into()))
}

/// Whether this is a `Principal` of any kind of policy; who is named is not looked at. Errors are reported.
pub(super) fn shape<'a>(reader: &Reader<'a>, at: &Cursor<'a>) -> Option<()> {
    let members = members(reader, at, TRUST_HINT)?;
    let named = |member: &Member<'a>| {
        if !MEMBERS.contains(&member.name) {
            return unknown(reader, at, member, &MEMBERS);
        }
        let read: Vec<_> = reader.items(&member.value, TRUST_HINT)?.iter().map(|item| without_wildcard(item, TRUST_HINT)).collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(drop)
    };
    let read: Vec<Option<()>> = members.iter().map(named).collect();
    read.into_iter().collect()
}

/// The kinds of principals that are named, with the names.
fn members<'a>(reader: &Reader<'a>, at: &Cursor<'a>, hint: &str) -> Option<Vec<Member<'a>>> {
    if let Value::String(text) = &at.node().value {
        bare(at, text, hint);
        return None;
    }
    let members = reader.members(at, hint)?;
    if members.is_empty() {
        at.error_hint("nobody is named", hint);
        return None;
    }
    Some(members)
}

/// A text where an object should stand that says what kind of principal it is: everybody, in other languages.
fn bare(at: &Cursor<'_>, text: &str, hint: &str) {
    if text.contains('*') {
        at.error_hint(format!("`{}` would be everybody, and a policy names each principal", shown(text)), hint);
    } else if text.starts_with("srn:") {
        let hint = format!("write \"Principal\": {{\"scp\": [\"{}\"]}}", shown(text));
        at.error_hint("it is not said what kind of principal this is", hint);
    } else {
        at.error_hint(format!("`{}` does not say what kind of principal it is", shown(text)), hint);
    }
}

/// The principals under one member.
fn group<'a>(reader: &Reader<'a>, inside: &Cursor<'a>, member: &Member<'a>, trust: bool) -> Option<Vec<Named>> {
    let one: fn(&Reader<'a>, &Cursor<'a>, bool) -> Option<Named> = match member.name {
        "scp" => by_srn,
        "Service" => |_, at, _| service(at),
        "Account" if trust => |_, at, _| account(at),
        "Federated" if trust => |reader, at, _| provider(reader, at),
        _ => return unknown(reader, inside, member, if trust { &MEMBERS } else { &["scp", "Service"] }),
    };
    let read: Vec<Option<Named>> =
        reader.items(&member.value, if trust { TRUST_HINT } else { HINT })?.iter().map(|item| one(reader, item, trust)).collect();
    read.into_iter().collect()
}

fn unknown<'a, T>(reader: &Reader<'a>, inside: &Cursor<'a>, member: &Member<'a>, known: &[&str]) -> Option<T> {
    let hint = nearest(member.name, known.iter().copied())
        .map_or_else(|| format!("members are {}", quoted(known.iter().copied())), |near| format!("did you mean `{near}`?"));
    reader.name_error(member, inside, format!("`{}` is no kind of principal here", shown(member.name)), hint);
    None
}

fn without_wildcard<'a>(at: &Cursor<'a>, hint: &str) -> Option<&'a str> {
    let text = text(at, hint)?;
    if text.contains(['*', '?']) {
        at.error_hint(format!("`{}` has a wildcard, and a principal takes none", shown(text)), "name each principal");
        return None;
    }
    Some(text)
}

/// A user, role or service account; in the policy of a role also a whole account, or a credential provider.
fn by_srn<'a>(reader: &Reader<'a>, at: &Cursor<'a>, trust: bool) -> Option<Named> {
    let text = without_wildcard(at, SRN_HINT)?;
    if trust && let Some(account) = whole_account(text, reader.catalogue) {
        return Some(Named { who: Who::Account, account: account.into(), id: "".into() });
    }
    let srn = match Srn::parse(text) {
        Ok(srn) => srn,
        Err(SrnError::Resource(_)) if !trust && whole_account(text, reader.catalogue).is_some() => {
            at.error_hint(
                format!("`{}` is a whole account, which only the policy of a role can name", shown(text)),
                "name its users and roles; `user/ROOT` is the root user alone",
            );
            return None;
        }
        Err(error) => {
            at.error_hint(error, SRN_HINT);
            return None;
        }
    };
    let iam = is_iam(srn.service_type, reader.catalogue);
    let who = match srn.resource_type {
        "user" if iam && srn.resource_id == ROOT => Who::Root,
        "user" if iam => Who::User,
        "role" if iam => Who::Role,
        "service-account" if iam => Who::ServiceAccount,
        kind if iam && trust && PROVIDERS.contains(&kind) => Who::Provider,
        _ => {
            at.error_hint(format!("`{}` is no user, role or service account", shown(text)), SRN_HINT);
            return None;
        }
    };
    if srn.offering != reader.catalogue.offering().as_str() {
        let message = format!("the offering is `{}`, so it names nobody here", shown(srn.offering));
        at.error_hint(message, format!("SRNs here start with `srn:{}:`", reader.catalogue.offering().as_str()));
        return None;
    }
    if srn.account.is_empty() {
        at.error_hint(format!("`{}` names no account", shown(text)), "write the account's id: in `Principal` an empty account is nobody's");
        return None;
    }
    if !srn.region.is_empty() {
        at.error_hint(format!("`{}` names a region, and principals have none", shown(text)), SRN_HINT);
        return None;
    }
    Some(Named { who, account: srn.account.into(), id: srn.resource_id.into() })
}

/// `srn:e::account:::scp-iam:root`: everybody of an account, in the policy of a role (R52).
fn whole_account<'a>(text: &'a str, catalogue: &Catalogue) -> Option<&'a str> {
    let fields: Vec<&str> = text.splitn(8, ':').collect();
    let [scheme, offering, "", account, "", "", service, "root"] = fields.as_slice() else { return None };
    let good = *scheme == "srn" && *offering == catalogue.offering().as_str() && !account.is_empty() && is_iam(service, catalogue);
    good.then_some(*account)
}

/// Whether a service type is that of users, roles and accounts.
pub(super) fn is_iam(spelling: &str, catalogue: &Catalogue) -> bool {
    matches!(spelling, "iam" | IAM) || catalogue.canonical_service_type(spelling).is_some_and(|canonical| **canonical == *IAM)
}

/// A service by its domain, in lower case (R29).
fn service(at: &Cursor<'_>) -> Option<Named> {
    const HINT: &str = "write the service's domain in lower case, such as `apigateway.samsungsdscloud.com`";
    let text = without_wildcard(at, HINT)?;
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !text.split('.').all(label) || !text.contains('.') {
        at.error_hint(format!("`{}` is no domain of a service", shown(text)), HINT);
        return None;
    }
    Some(Named { who: Who::Service, account: "".into(), id: text.into() })
}

/// A whole account by its id (R52).
fn account(at: &Cursor<'_>) -> Option<Named> {
    let text = without_wildcard(at, "write the account's id")?;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        at.error_hint(format!("`{}` is no account's id", shown(text)), "write the id alone, without `srn:`");
        return None;
    }
    Some(Named { who: Who::Account, account: text.into(), id: "".into() })
}

/// A credential provider by its SRN (R52).
fn provider<'a>(reader: &Reader<'a>, at: &Cursor<'a>) -> Option<Named> {
    let named = by_srn(reader, at, true)?;
    if named.who != Who::Provider {
        at.error_hint("this is no credential provider", "write `srn:e::account:::scp-iam:saml-provider/id`; others stand under `scp`");
        return None;
    }
    Some(named)
}
