//! The same for what principals hold: records before a change and after it.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::bail;

use super::{Arguments, describe, ended};
use crate::cli::policy::definitions::named;
use crate::cli::{Ended, counted};
use crate::config::Files;
use crate::policy::{self, Caller, Comparison, Kind, Policy, Principal, Relation};
use crate::snapshot::{Snapshot, User};
use crate::source::Report;
use crate::sync;
use crate::types::{PrincipalKind, UserId};

/// A user as both sides know them.
struct Holder<'s> {
    before: Option<&'s User>,
    after: Option<&'s User>,
}

/// Compares what principals hold; `None` after errors.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, report: &Report) -> anyhow::Result<Option<Ended>> {
    let Some((definitions, offering)) = arguments.definitions.paths(&arguments.offering, report)? else { return Ok(None) };
    let read = |records| {
        let own = Report::new();
        let found = sync::files::holdings(&definitions, &[named(records)], offering.clone(), &Files::default(), &own);
        report.take_errors(&own);
        found
    };
    let (Some(before), Some(after)) = (read(&arguments.before), read(&arguments.after)) else { return Ok(None) };
    // The policies of both sides must number actions and types of resources alike.
    let world = |snapshot: &Snapshot| {
        let catalogue = snapshot.catalogue();
        let actions: Vec<_> = catalogue.actions().map(|(_, action)| action.clone()).collect();
        let attributes: Vec<_> = catalogue.attributes().map(|(_, attribute)| attribute.clone()).collect();
        (actions, catalogue.resource_types().map(|(_, kind)| kind.clone()).collect::<Vec<_>>(), attributes)
    };
    if world(&before) != world(&after) {
        bail!("the definitions are not the same for both sides");
    }
    let mut holders: BTreeMap<UserId, Holder<'_>> = BTreeMap::new();
    for user in before.users() {
        holders.entry(user.principal.user).or_insert(Holder { before: None, after: None }).before = Some(user);
    }
    for user in after.users() {
        holders.entry(user.principal.user).or_insert(Holder { before: None, after: None }).after = Some(user);
    }
    chosen(&arguments.principal, &mut holders)?;
    let names = [&arguments.before, &arguments.after].map(|path| path.display().to_string());
    let mut counts: BTreeMap<Relation, usize> = BTreeMap::new();
    for holder in holders.values() {
        let Some(user) = holder.after.or(holder.before) else { continue };
        let (relation, comparison) = match holder.compare(&before, &after) {
            Ok(comparison) => (comparison.relation, Ok(comparison)),
            Err(why) => (Relation::Unknown, Err(why)),
        };
        *counts.entry(relation).or_default() += 1;
        if relation == Relation::Equivalent {
            continue;
        }
        writeln!(out, "{} ({}): {relation}", user.principal.name, user.principal.srn)?;
        match comparison {
            Ok(comparison) => describe(&comparison, names.clone(), "  ", out)?,
            Err(why) => writeln!(out, "\n  {why}")?,
        }
        writeln!(out)?;
    }
    let counted_each: Vec<String> = counts.iter().map(|(relation, count)| format!("{count} {relation}")).collect();
    writeln!(out, "{}: {}", counted(holders.len(), "principal"), counted_each.join(", "))?;
    Ok(Some(counts.keys().copied().map(ended).find(|ended| *ended == Ended::Badly).unwrap_or(Ended::Well)))
}

/// Keeps those who are meant; somebody must be meant by each word.
fn chosen(wanted: &[String], holders: &mut BTreeMap<UserId, Holder<'_>>) -> anyhow::Result<()> {
    let is =
        |user: &User, word: &str| word == "all" || word == user.id_text() || word == &*user.principal.name || word == &*user.principal.srn;
    let meant = |holder: &Holder<'_>, word: &str| [holder.before, holder.after].into_iter().flatten().any(|user| is(user, word));
    for word in wanted.iter().filter(|word| *word != "all") {
        if !holders.values().any(|holder| meant(holder, word)) {
            bail!("--principal: the records have no user `{word}`");
        }
    }
    holders.retain(|_, holder| wanted.iter().any(|word| meant(holder, word)));
    Ok(())
}

impl Holder<'_> {
    /// What a change means to this user. Who is not there, or not active, is allowed nothing.
    fn compare(&self, before: &Snapshot, after: &Snapshot) -> Result<Comparison, &'static str> {
        let before_active = self.before.filter(|user| before.is_active(user));
        let after_active = self.after.filter(|user| after.is_active(user));
        let is_root = |user: &&User| user.principal.kind == PrincipalKind::Root;
        if before_active.filter(is_root).is_some() != after_active.filter(is_root).is_some() {
            return Err("it is the root user of its account, whom nothing needs to allow anything, on one side only");
        }
        let held = |snapshot, user: Option<&User>| user.map(|user| policies(snapshot, user)).unwrap_or_default();
        let (first, second) = (held(before, before_active), held(after, after_active));
        let Some(user) = self.after.or(self.before) else { return Err("nobody knows this user") };
        let same = |one: &User, other: &User| one.account_text() == other.account_text() && one.principal.name == other.principal.name;
        if self.before.zip(self.after).is_some_and(|(one, other)| !same(one, other)) {
            return Err("it has another name, or another account, afterwards");
        }
        let kind = if user.principal.kind == PrincipalKind::Root && after_active.is_some() { Kind::Root } else { Kind::User };
        let principal = Principal { kind, account: user.account_text(), id: user.id_text() };
        Ok(policy::diff(after.catalogue(), &Caller::One { principal, name: Some(&user.principal.name) }, &first, &second))
    }
}

fn policies<'s>(snapshot: &'s Snapshot, user: &User) -> Vec<&'s Policy> {
    snapshot.policies_of(user).into_iter().map(|policy| &**policy).collect()
}
