//! What a change of the catalogue takes from a policy: actions that a Deny, or a `NotAction` of an Allow, no longer covers (contracts C6).

use std::fmt;

use super::catalogue::Catalogue;
use super::document::{Effect, Policy, Statement};
use crate::types::ActionName;

/// What was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It was denied.
    Denied,
    /// It was excepted from what is allowed.
    Excepted,
}

/// The verb of the statement.
impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Denied => "deny",
            Self::Excepted => "except",
        })
    }
}

/// An action that a statement no longer covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The statement, from 0.
    pub statement: usize,
    /// What was lost.
    pub loss: Loss,
    /// The action.
    pub action: ActionName,
}

/// What one document, compiled for two catalogues, loses from the first to the second. Nothing when either could not be read.
#[must_use]
pub fn lost(before: (&Policy, &Catalogue), after: (&Policy, &Catalogue)) -> Vec<Lost> {
    let ((before, old), (after, new)) = (before, after);
    let (Some(before), Some(after)) = (before.body(), after.body()) else { return Vec::new() };
    let mut all = Vec::new();
    for (statement, (before, after)) in before.statements.iter().zip(&after.statements).enumerate() {
        let Some(loss) = before.restricts() else { continue };
        for (_, action) in old.actions().filter(|(id, _)| before.names(loss, id.index())) {
            if !new.action_id(action.name.as_str()).is_some_and(|now| after.names(loss, now.index())) {
                all.push(Lost { statement, loss, action: action.name.clone() });
            }
        }
    }
    all
}

impl Statement {
    /// How it restricts: by what it denies, or by what it leaves out of what it allows.
    fn restricts(&self) -> Option<Loss> {
        match (self.effect, self.wording.is_complement()) {
            (Effect::Deny, _) => Some(Loss::Denied),
            (Effect::Allow, true) => Some(Loss::Excepted),
            (Effect::Allow, false) => None,
        }
    }

    /// Whether it restricts an action. A Deny names what it denies, however it is written.
    fn names(&self, loss: Loss, action: usize) -> bool {
        match loss {
            Loss::Denied => self.actions.contains(action),
            Loss::Excepted => !self.actions.contains(action),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Owner;
    use crate::source::{Report, Source};
    use crate::types::AccessLevel;

    fn catalogue(actions: &[(&str, AccessLevel)]) -> Catalogue {
        let mut builder = Catalogue::builder("e".parse().unwrap());
        builder.service("iam", "scp-iam", &[]).unwrap();
        for (name, level) in actions {
            builder.action(name.parse().unwrap(), *level, &[]).unwrap();
        }
        builder.build()
    }

    #[test]
    fn a_deny_and_a_not_action_lose_what_they_no_longer_cover() {
        let old = catalogue(&[("iam:List", AccessLevel::List), ("iam:Show", AccessLevel::Read), ("iam:Drop", AccessLevel::Delete)]);
        // `Drop` is no longer a Delete, `Show` is called `Get`.
        let new = catalogue(&[("iam:Drop", AccessLevel::Update), ("iam:Get", AccessLevel::Read), ("iam:List", AccessLevel::List)]);
        for (statement, expected) in [
            (r#""Effect": "Deny", "Action": ["iam:*[Delete]"]"#, "deny iam:Drop"),
            (r#""Effect": "Deny", "Action": ["iam:Drop", "iam:List", "iam:Get"]"#, ""),
            (r#""Effect": "Deny", "Action": ["*"]"#, "deny iam:Show"),
            (r#""Effect": "Deny", "NotAction": ["iam:Get"]"#, "deny iam:Show"),
            (r#""Effect": "Deny", "NotAction": ["iam:Show", "iam:*[Delete]"]"#, ""),
            (r#""Effect": "Allow", "NotAction": ["iam:Show", "iam:List"]"#, "except iam:Show"),
            (r#""Effect": "Allow", "NotAction": ["iam:*[Delete]"]"#, "except iam:Drop"),
            (r#""Effect": "Allow", "NotAction": ["iam:*[List]"]"#, ""),
            (r#""Effect": "Allow", "Action": ["*"]"#, ""),
        ] {
            let text = format!(r#"{{"Version": "2024-07-01", "Statement": [{{{statement}, "Resource": ["*"]}}]}}"#);
            let load = |catalogue| {
                let report = Report::new();
                Policy::load(&Source::new("p", text.as_str()), "p", Owner::system(), catalogue, &report)
                    .unwrap_or_else(|| panic!("{report}"))
            };
            let found: Vec<String> =
                lost((&load(&old), &old), (&load(&new), &new)).into_iter().map(|lost| format!("{} {}", lost.loss, lost.action)).collect();
            assert_eq!(found.join(", "), expected, "{statement}");
            assert_eq!(lost((&load(&old), &old), (&Policy::invalid("p"), &new)), []);
        }
    }
}
