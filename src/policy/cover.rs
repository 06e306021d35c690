//! Whether somebody who holds some policies may do all that another policy allows: surely, or the answer is no.
//!
//! What a policy gives is compared piece by piece, never by trying requests. A yes holds for every request and context that can be,
//! with the definitions there are, and with those of services that are still to be defined. A no may be wrong.

use std::fmt;

use crate::types::ActionName;

use super::action::Asked;
use super::catalogue::Catalogue;
use super::condition::{Entry, GlobalKey, Key};
use super::document::{Body, Effect, Policy, Statement};
use super::inclusion::Work;
use super::index_set::IndexSet;
use super::judge::Truth;
use super::reader::shown;
use super::request::{Context, Values};

/// A user or role that holds policies.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// Their account; those who are given something are of it too.
    pub account: &'a str,
    /// A user's id; the conditions of a role's policies see none (R54).
    pub user_id: Option<&'a str>,
    /// A user's name.
    pub user_name: Option<&'a str>,
}

/// A statement that allows more than was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncovered {
    /// Which statement of the policy, from 0.
    pub statement: usize,
    /// Its `Sid`.
    pub sid: Option<String>,
    /// What is more.
    pub why: Why,
}

/// What a statement allows beyond what the holder may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// An action that no Allow of the holder is about.
    Action(ActionName),
    /// An action on more resources.
    Resources(ActionName),
    /// An action without a condition that the holder is under.
    Conditions(ActionName),
    /// Actions that are still to be defined, by this expression.
    Future(String),
    /// Something that a Deny of the holder is about.
    Denied {
        /// An action that it denies; `None` when it denies actions that are still to be defined.
        action: Option<ActionName>,
        /// The holder's policy.
        policy: String,
        /// Which of its statements, from 0.
        statement: usize,
    },
    /// A policy of the holder, or the policy itself, cannot be read.
    Unreadable(String),
    /// It would take too long to find out.
    TooComplex,
}

/// Whether the holder of the policies `held` may do all that `gained` allows to anybody of the same account.
///
/// All policies must have been compiled for this catalogue.
///
/// # Errors
/// The first statement that allows more, or may allow more.
pub fn covers<P: AsRef<Policy>>(
    catalogue: &Catalogue,
    holder: &Holder<'_>,
    held: &[P],
    gained: &Policy,
    work: &Work,
) -> Result<(), Uncovered> {
    let cover = Cover { catalogue, holder: Some(holder), work };
    cover.check(&cover.readable(held)?, None, gained)
}

/// The same for a new version of a policy: what the old version allows is nothing new for those who have it.
///
/// # Errors
/// The first statement that allows more, or may allow more.
pub fn widens_within<P: AsRef<Policy>>(
    catalogue: &Catalogue,
    holder: &Holder<'_>,
    held: &[P],
    old: &Policy,
    new: &Policy,
    work: &Work,
) -> Result<(), Uncovered> {
    let cover = Cover { catalogue, holder: Some(holder), work };
    cover.check(&cover.readable(held)?, Some(old), new)
}

/// Whether something that the old version of a policy denies is not surely denied by the new one.
#[must_use]
pub fn loses_deny(catalogue: &Catalogue, old: &Policy, new: &Policy, work: &Work) -> bool {
    let cover = Cover { catalogue, holder: None, work };
    let (Some(old), Some(new)) = (cover.body(old), cover.body(new)) else { return true };
    denies(old).any(|lost| {
        let kept = |kept: &&Statement| cover.denies_as_well(kept, lost);
        cover.beyond(lost, lost.actions.clone(), lost.wording.future(Asked::Everything), denies(new).filter(kept)).is_some()
    })
}

impl Policy {
    /// Whether it denies anything, or may.
    #[must_use]
    pub fn may_deny(&self) -> bool {
        self.body().is_none_or(|body| denies(body).next().is_some())
    }

    /// Whether what it says depends on the principal's name, or may.
    #[must_use]
    pub fn may_depend_on_name(&self) -> bool {
        let about_name = |entry: &Entry| entry.key == Key::Global(GlobalKey::UserName);
        self.body().is_none_or(|body| body.statements.iter().any(|statement| statement.all_entries().any(about_name)))
    }
}

/// Policies with what they say.
type Held<'p> = Vec<(&'p Policy, &'p Body)>;

struct Cover<'c> {
    catalogue: &'c Catalogue,
    /// `None`: whoever it is, the same principal before and after.
    holder: Option<&'c Holder<'c>>,
    work: &'c Work,
}

/// What of a statement is not covered.
enum Beyond<'s> {
    Action(usize),
    Future(&'s str),
}

impl<'c> Cover<'c> {
    /// SECURITY: a policy of another catalogue numbers its actions otherwise.
    fn body<'p>(&self, policy: &'p Policy) -> Option<&'p Body> {
        policy.body().filter(|body| body.compiled.actions() == self.catalogue.action_count())
    }

    fn readable<'p, P: AsRef<Policy>>(&self, held: &'p [P]) -> Result<Held<'p>, Uncovered> {
        let one = |policy: &'p P| {
            let policy = policy.as_ref();
            self.body(policy).map(|body| (policy, body)).ok_or_else(|| unreadable(policy))
        };
        held.iter().map(one).collect()
    }

    fn check(&self, held: &Held<'_>, old: Option<&Policy>, gained: &Policy) -> Result<(), Uncovered> {
        let body = self.body(gained).ok_or_else(|| unreadable(gained))?;
        let before: Option<Held<'_>> = old.and_then(|old| Some(vec![(old, self.body(old)?)]));
        let same = Cover { catalogue: self.catalogue, holder: None, work: self.work };
        for (index, statement) in body.statements.iter().enumerate() {
            let is_old = || before.as_ref().is_some_and(|before| same.statement(before, body, statement).is_ok());
            if statement.effect == Effect::Deny || is_old() {
                continue;
            }
            self.statement(held, body, statement).map_err(|why| Uncovered {
                statement: index,
                sid: statement.sid.as_deref().map(str::to_owned),
                why: if self.work.is_spent() { Why::TooComplex } else { why },
            })?;
        }
        Ok(())
    }

    /// Whether an Allow statement of the policy `gained` is covered by what is held.
    fn statement(&self, held: &Held<'_>, gained: &Body, allowed: &Statement) -> Result<(), Why> {
        let allows = || held.iter().flat_map(|(_, body)| body.statements.iter()).filter(|statement| statement.effect == Effect::Allow);
        let fitting = allows().filter(|outer| self.allows_as_widely(outer, allowed));
        match self.beyond(allowed, allowed.actions.clone(), allowed.wording.future(Asked::NewServices), fitting) {
            None => {}
            Some(Beyond::Future(expression)) => return Err(Why::Future(shown(expression))),
            Some(Beyond::Action(index)) => return Err(self.why(index, allows(), allowed)),
        }
        for (policy, body) in held {
            for (index, denied) in body.statements.iter().enumerate().filter(|(_, statement)| statement.effect == Effect::Deny) {
                self.not_denied(denied, gained, allowed).map_err(|action| Why::Denied {
                    action,
                    policy: policy.id().to_owned(),
                    statement: index,
                })?;
            }
        }
        Ok(())
    }

    /// Whether the outer Allow statement applies wherever the inner one does, for the actions they share.
    fn allows_as_widely(&self, outer: &Statement, inner: &Statement) -> bool {
        let holds = |entry: &Entry| match self.holder {
            // SECURITY: who is given something is somebody else; what the holder may do depends on who the holder is.
            Some(holder) if entry.is_personal() => entry.judge(Effect::Allow, &holder.context(), holder.account, None) == Truth::Yes,
            // SECURITY: R43, it allows the holder nothing.
            Some(_) if entry.key.is_undefined() => false,
            Some(_) | None => inner.all_entries().any(|other| other.is_same(entry)),
        };
        self.shares_actions(outer, inner) && outer.all_entries().all(holds) && self.is_on_all_of(outer, inner)
    }

    /// Whether the outer Deny statement, of what is given, applies wherever the inner one, of the holder, does.
    fn denies_as_well(&self, outer: &Statement, inner: &Statement) -> bool {
        let holds =
            |entry: &Entry| (self.holder.is_none() || !entry.is_personal()) && inner.all_entries().any(|other| other.is_same(entry));
        self.shares_actions(outer, inner) && outer.all_entries().all(holds) && self.is_on_all_of(outer, inner)
    }

    /// Whether a Deny of the holder takes nothing from what is allowed that the policy given would not deny by itself.
    fn not_denied(&self, denied: &Statement, gained: &Body, allowed: &Statement) -> Result<(), Option<ActionName>> {
        let both = denied.actions.intersection(&allowed.actions);
        let waiting = !denied.wording.avoids(&allowed.wording, self.catalogue, self.work);
        self.work.spend(both.words());
        if both.is_empty() && !waiting || denied.resources.avoids(&allowed.resources, self.account(), self.work) {
            return Ok(());
        }
        let fitting = denies(gained).filter(|outer| self.denies_as_well(outer, denied));
        match self.beyond(denied, both, waiting.then_some(""), fitting) {
            None => Ok(()),
            Some(Beyond::Action(index)) => Err(self.name(index)),
            Some(Beyond::Future(_)) => Err(None),
        }
    }

    /// What is left of some actions of a statement, and of an expression for those that are still to be defined, when what others
    /// are about is taken away.
    fn beyond<'s>(
        &self,
        inner: &'s Statement,
        mut actions: IndexSet,
        mut future: Option<&'s str>,
        outers: impl Iterator<Item = &'s Statement>,
    ) -> Option<Beyond<'s>> {
        let asked = match inner.effect {
            Effect::Allow => Asked::NewServices,
            Effect::Deny => Asked::Everything,
        };
        let includes = |outer: &Statement| outer.wording.includes(&inner.wording, asked, self.catalogue, self.work);
        for outer in outers {
            if !self.work.spend(actions.words()) || (actions.is_empty() && future.is_none()) {
                break;
            }
            actions.remove_all(&outer.actions);
            if future.is_some() && (std::ptr::eq(outer, inner) || includes(outer)) {
                future = None;
            }
        }
        actions.first().map(Beyond::Action).or(future.map(Beyond::Future)).or_else(|| self.work.is_spent().then_some(Beyond::Future("")))
    }

    /// Only to save time: comparing the resources is what costs.
    fn shares_actions(&self, outer: &Statement, inner: &Statement) -> bool {
        let shares = || outer.actions.meets(&inner.actions) || inner.wording.future(Asked::NewServices).is_some();
        self.work.spend(inner.actions.words()) && shares()
    }

    fn is_on_all_of(&self, outer: &Statement, inner: &Statement) -> bool {
        std::ptr::eq(outer, inner) || outer.resources.includes(&inner.resources, self.account(), self.work)
    }

    fn account(&self) -> Option<&'c str> {
        self.holder.map(|holder| holder.account)
    }

    fn why<'s>(&self, action: usize, allows: impl Iterator<Item = &'s Statement>, allowed: &Statement) -> Why {
        let Some(name) = self.name(action) else { return Why::TooComplex };
        let mut known = false;
        for outer in allows.filter(|outer| outer.actions.contains(action)) {
            known = true;
            if self.is_on_all_of(outer, allowed) {
                return Why::Conditions(name);
            }
        }
        if known { Why::Resources(name) } else { Why::Action(name) }
    }

    fn name(&self, action: usize) -> Option<ActionName> {
        self.catalogue.actions().nth(action).map(|(_, action)| action.name.clone())
    }
}

impl Holder<'_> {
    /// What the conditions about the principal see.
    fn context(&self) -> Context<'_> {
        Context { user_id: Values::text(self.user_id), user_name: Values::text(self.user_name), ..Context::EMPTY }
    }
}

fn denies(body: &Body) -> impl Iterator<Item = &Statement> {
    body.statements.iter().filter(|statement| statement.effect == Effect::Deny)
}

fn unreadable(policy: &Policy) -> Uncovered {
    Uncovered { statement: 0, sid: None, why: Why::Unreadable(policy.id().to_owned()) }
}

impl fmt::Display for Uncovered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Why::Unreadable(policy) = &self.why {
            return write!(out, "the policy `{}` cannot be read, so nobody knows what it allows or denies", shown(policy));
        }
        write!(out, "statement {}", self.statement + 1)?;
        if let Some(sid) = &self.sid {
            write!(out, " (Sid `{}`)", shown(sid))?;
        }
        write!(out, " {}", self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action(action) => write!(out, "allows `{action}`, which your own policies do not allow"),
            Self::Resources(action) => write!(out, "allows `{action}` on resources on which your own policies do not allow it"),
            Self::Conditions(action) => write!(out, "allows `{action}` without the conditions under which your own policies allow it"),
            Self::Future(expression) => {
                write!(out, "allows by `{expression}` what no definition knows yet, which your own policies do not allow")
            }
            Self::Denied { action, policy, statement } => {
                let place = statement + 1;
                match action {
                    Some(action) => write!(out, "allows `{action}`, which statement {place} of your policy `{}` denies", shown(policy)),
                    None => write!(out, "allows what statement {place} of your policy `{}` denies as soon as it is defined", shown(policy)),
                }
            }
            Self::Unreadable(policy) => write!(out, "cannot be compared: the policy `{}` cannot be read", shown(policy)),
            Self::TooComplex => out.write_str("cannot be compared with your own policies: it has too many patterns"),
        }
    }
}

#[cfg(test)]
mod tests;
