//! Taking a role: for a time its rights in the place of one's own, by a key pair and a token that goes with it.
//!
//! The key pair is nowhere but in the answer: its secret is derived (`authn::session`). The store keeps who is behind the session and what
//! narrows it, for as long as it lasts.

use serde_json::{Value as Json, json};

use super::documents::Reader;
use super::policies::nullable;
use super::roles::{SESSION_DEFAULT_S, SESSION_S, WHAT};
use super::trust::{Asked, Refused};
use super::{Accepted, Actor, Caller, ServiceError, accept, escalation, fields, tokens};
use crate::authn::session::{Claims, POLICY_BYTES_MAX, POLICY_ENTRIES_MAX, SessionKey};
use crate::control::random;
use crate::control::store::audit::Entry;
use crate::control::store::connection::Connection;
use crate::control::store::roles::{self, Role, Session};
use crate::control::store::tags::{self, Tagged};
use crate::control::store::{Store, StoreError, Write, accounts};
use crate::source::Cursor;
use crate::types::{AccessKeyId, AccountId, RoleId, Secret, Srn, Timestamp, TokenId, UserId};

/// How long the session of a role may be good for that was taken by another role's session.
const CHAINED_S_MAX: u64 = 3_600;
/// Most sessions that one user is behind at a time.
const SESSIONS_MAX: u64 = 5_000;

const ROLE_HINT: &str = "write `OFFERING:ACCOUNT_ID:ROLE_NAME`, such as `e:0123456789abcdef0123456789abcdef:deploy`";
const ENDED: &str = "what signed this request is not in use any more";
const BEHIND_NOBODY: &str = "nobody knows any more who is behind this session; take the role again";

/// Which role somebody wants to take, and how.
#[derive(Debug)]
pub(crate) struct Create {
    role: Indicator,
    name: String,
    duration_s: u64,
    policy: Option<String>,
}

/// A role by the name that people know.
#[derive(Debug)]
struct Indicator {
    text: String,
    offering: String,
    account: AccountId,
    name: String,
}

impl Create {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>, documents: &Reader<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let role = table.required("role_indicator", ROLE_HINT, |value| Indicator::decode(&value));
        let name = table.required("role_session_name", "write what the session is for", |value| fields::english_name(&value));
        let duration_s = table.or("duration_seconds", SESSION_DEFAULT_S, |value| value.integer(SESSION_S, "seconds"));
        let policy = table.or("policy", None, |value| nullable(&value, |value| policy(value, documents)));
        table.finish()?;
        Some(Self { role: role?, name: name?, duration_s: duration_s?, policy: policy? })
    }
}

impl Indicator {
    fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let text = fields::text(cursor, ROLE_HINT)?;
        let mut parts = text.splitn(3, ':');
        let (offering, account, name) = (parts.next(), parts.next(), parts.next());
        let good = |name: &&str| !name.is_empty() && name.len() <= 64;
        let (Some(offering), Some(Ok(account)), Some(name)) = (offering, account.map(str::parse), name.filter(good)) else {
            cursor.error_hint("this names no role", ROLE_HINT);
            return None;
        };
        let (offering, name) = (offering.to_owned(), name.to_owned());
        Some(Self { text, offering, account, name })
    }
}

/// The policy that narrows a session.
fn policy(cursor: &Cursor<'_>, documents: &Reader<'_>) -> Option<String> {
    let policy = documents.read_either(cursor)?;
    if policy.len() > POLICY_BYTES_MAX {
        let message = format!("the policy has {} bytes", policy.len());
        cursor.error_hint(message, format!("the policy of a session has at most {POLICY_BYTES_MAX} bytes"));
        return None;
    }
    Some(policy)
}

/// Refuses a policy that gateways would not keep beside the token.
fn may_be_kept(store: &Store, caller: &Caller, policy: Option<&str>) -> Result<(), ServiceError> {
    let Some(text) = policy else { return Ok(()) };
    let entries = escalation::read_session_policy(&store.snapshot(), caller, text).index_entries();
    if entries <= POLICY_ENTRIES_MAX {
        return Ok(());
    }
    let sentence = format!("`policy`: it has {entries} patterns and values; the policy of a session has at most {POLICY_ENTRIES_MAX}");
    Err(ServiceError::Invalid(vec![sentence]))
}

/// A session, for the eyes of whoever took the role.
#[derive(Debug)]
pub(crate) struct Issued {
    /// The role.
    pub(crate) role: RoleId,
    /// The role's SRN.
    pub(crate) srn: String,
    /// What the session is called.
    pub(crate) name: String,
    /// Its access key.
    pub(crate) access_key: AccessKeyId,
    /// The secret of that.
    pub(crate) secret: Secret,
    /// The token that goes with it.
    pub(crate) token: Secret,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
}

/// Takes a role.
pub(crate) async fn create(store: &Store, caller: &Caller, new: Create, now: Timestamp) -> Result<Accepted<Issued>, ServiceError> {
    // SECURITY: a session by a token would outlive it, and go on for ever from role to role. Test: `a_token_takes_no_role`.
    caller.has_signed()?;
    let behind = Behind::of(caller)?;
    may_be_kept(store, caller, new.policy.as_deref())?;
    // Twice: whom nobody trusts does not keep others from writing, and what the write finds is what counts.
    trusting(&mut *store.read().await?, store, caller, &new.role, now).await?;
    let mut write = store.write().await?;
    still_good(&mut write, caller, &behind, now).await?;
    let role = trusting(&mut write, store, caller, &new.role, now).await?;
    let most = if behind.chained { role.session_s_max.min(CHAINED_S_MAX) } else { role.session_s_max };
    if new.duration_s > most {
        let why = if behind.chained { "a role that is taken by another role's session" } else { "this role" };
        return Err(ServiceError::Invalid(vec![format!("`duration_seconds`: a session of {why} lasts at most {most}; write less")]));
    }
    if roles::count_sessions_of(&mut write, behind.user, now).await? >= SESSIONS_MAX {
        return Err(ServiceError::TooMany { of: "user", most: SESSIONS_MAX, what: "sessions of roles at a time" });
    }
    let srn = canonical_srn(store, role.account, role.id);
    let (issued_at, expires_at) = tokens::lifetime(now, new.duration_s, behind.ends_at);
    let claims = Claims {
        subject: srn.clone(),
        role: role.id,
        account: role.account,
        access_key: AccessKeyId::from_bytes(random::bytes()?),
        source: behind.srn.clone(),
        user: behind.user,
        name: new.name,
        mfa: caller.mfa,
        policy: new.policy,
        id: TokenId::from_bytes(random::bytes()?),
        issued_at,
        expires_at,
        epoch: store.epoch(),
        sequence: write.sequence(),
    };
    let token = claims.sign(&tokens::signer(&mut write).await?).map_err(StoreError::from)?;
    let secret = SessionKey::new(store.sealing_key()).secret(store.epoch(), claims.access_key);
    let Claims { access_key, name, policy, .. } = claims.clone();
    let session = Session { role: role.id, name: name.clone(), source: behind.user, source_srn: behind.srn, policy, expires_at };
    roles::add_session(&mut write, access_key, &session, now).await?;
    audit(&mut write, caller, &claims);
    accept(write, caller, Issued { role: role.id, srn, name, access_key, secret, token, expires_at }, now).await
}

/// Refuses by what signed the request, if that is not in use any more or who is behind it is switched off.
///
/// SECURITY: a gateway that has lost its feed still speaks for what has ended, and a body may arrive long after its head; a session that is issued now counts
/// from now on, whatever was ended before. Test: `what_has_ended_takes_no_role`.
async fn still_good(write: &mut Write, caller: &Caller, behind: &Behind, now: Timestamp) -> Result<(), ServiceError> {
    let snapshot = write.store().snapshot();
    let good = match (caller.actor, caller.access_key) {
        (_, None) => false,
        (Actor::User(user), Some(key)) => snapshot.in_use(key, now).is_some_and(|(key, _)| key.user == user),
        (Actor::Role(_), Some(key)) => {
            let active =
                snapshot.user(behind.user).is_some_and(|user| snapshot.is_active(user)) && snapshot.is_active_account(caller.account);
            active && roles::session(write, key, now).await?.is_some()
        }
    };
    if good { Ok(()) } else { Err(ServiceError::NoToken(ENDED)) }
}

/// The user who is behind whoever calls.
struct Behind {
    user: UserId,
    srn: String,
    /// Whether they call by a role's session.
    chained: bool,
    /// When that session ends, and with it what comes of it.
    ends_at: Option<Timestamp>,
}

impl Behind {
    fn of(caller: &Caller) -> Result<Self, ServiceError> {
        match (caller.actor, &caller.session) {
            (Actor::User(user), _) => Ok(Self { user, srn: caller.srn.clone(), chained: false, ends_at: None }),
            (Actor::Role(_), Some(session)) => {
                let (srn, ends_at) = (session.source_srn.clone(), Some(session.expires_at));
                Ok(Self { user: session.source, srn, chained: true, ends_at })
            }
            (Actor::Role(_), None) => Err(ServiceError::NoToken(BEHIND_NOBODY)),
        }
    }
}

/// The role, if the caller may take it.
///
/// SECURITY: to other accounts, a role that is not there is one that does not trust them: same sentence, same work. Test:
/// `strangers_do_not_learn_which_roles_there_are`.
async fn trusting(
    connection: &mut Connection,
    store: &Store,
    caller: &Caller,
    asked: &Indicator,
    now: Timestamp,
) -> Result<Role, ServiceError> {
    let account = accounts::find(connection, asked.account).await?.filter(|account| account.active);
    let named = roles::named(connection, asked.account, &asked.name).await?;
    let role = named.filter(|_| account.is_some() && asked.offering == store.offering().as_str());
    let id = role.as_ref().map_or(RoleId::from_bytes([0; 16]), |role| role.id);
    let tags = tags::of(connection, Tagged { kind: WHAT, id: &id.to_string() }).await?;
    let srn = canonical_srn(store, asked.account, id);
    let judged = Asked { role: role.as_ref(), tags: &tags, srn: &srn }.judge(&store.snapshot(), caller, now);
    match (judged, role) {
        (Ok(()), Some(role)) => Ok(role),
        (judged, role) => {
            Err(ServiceError::Untrusted(sentence(judged.err(), role.is_some() && asked.account == caller.account, asked, &srn)))
        }
    }
}

/// What is told of a refusal: the whole to people of the role's own account.
fn sentence(refused: Option<Refused>, whole: bool, Indicator { text, .. }: &Indicator, srn: &str) -> String {
    let on = format!("`sts:AssumeRole` on `{srn}`");
    match (refused, whole) {
        (Some(Refused::NotAllowed), true) => format!("your policies do not allow {on}"),
        (Some(Refused::Denied(by)), true) => format!("{by} denies {on}"),
        (Some(Refused::Unreadable), true) => {
            format!("a policy that says something of {on} cannot be read, or depends on what is not known here")
        }
        (Some(Refused::NotTrusted) | None, true) => {
            format!("there is no role `{text}` that trusts you: its trust policy does not let you take it")
        }
        (_, false) => format!("there is no role `{text}` that trusts you, or your own policies do not allow `sts:AssumeRole` on it"),
    }
}

/// The SRN of a role as policies and gateways write it.
fn canonical_srn(store: &Store, account: AccountId, role: RoleId) -> String {
    let (account, role) = (account.to_string(), role.to_string());
    let offering = store.offering().as_str();
    Srn { offering, account: &account, region: "", service_type: "scp-iam", resource_type: WHAT, resource_id: &role }.to_string()
}

/// In the log of the role's account, and in that of who took it.
fn audit(write: &mut Write, caller: &Caller, claims: &Claims) {
    let policy = claims.policy.as_deref().and_then(|text| serde_json::from_str::<Json>(text).ok());
    let after = json!({
        "access_key_id": claims.access_key.to_string(), "jti": claims.id.to_string(), "role_session_name": claims.name,
        "source": claims.source, "expires_at": claims.expires_at.to_string(), "policy": policy,
    });
    let entry = caller.entry(claims.subject.clone(), None, Some(after));
    if claims.account != caller.account {
        write.audit(Entry { account: claims.account.to_string(), ..entry.clone() });
    }
    write.audit(entry);
}
