//! Every engine answers every request, and the answers must be right.

use std::fmt;

use crate::engines::{Engine, Entry};
use crate::workload::{Answer, Workload};

/// What was compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    engines: usize,
    requests: usize,
    allowed: usize,
    denied: usize,
    overridden: usize,
    unmentioned: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { engines, requests, allowed, denied, overridden, unmentioned } = self;
        write!(
            formatter,
            "{} decisions compared ({engines} engines, {requests} requests: {allowed} allowed, {denied} denied, {overridden} denied over an \
             Allow, {unmentioned} that nothing speaks of), no mismatch",
            engines * requests
        )
    }
}

/// Or what was answered wrongly, a line each.
pub(crate) fn agree(workload: &Workload, engines: &mut [(&Entry, Box<dyn Engine>)]) -> Result<Tally, String> {
    let requests: Vec<_> = workload.requests.iter().map(|asked| (asked, workload.answer(asked))).collect();
    let mut mismatches = Vec::new();
    for (entry, engine) in &mut *engines {
        for (asked, answer) in &requests {
            if engine.allows(asked) != (*answer == Answer::Allowed) {
                mismatches.push(format!("{}: `{}` on `{}` should be {answer:?}", entry.name, asked.action, asked.srn));
            }
        }
        // What is timed is this, and it must not be another thing.
        let allowed = requests.iter().filter(|(_, answer)| *answer == Answer::Allowed).count();
        if engine.allowed_of(&workload.requests) != allowed {
            mismatches.push(format!("{}: asked for all at once it allows another number", entry.name));
        }
    }
    let count = |wanted| requests.iter().filter(|(_, answer)| *answer == wanted).count();
    let tally = Tally {
        engines: engines.len(),
        requests: requests.len(),
        allowed: count(Answer::Allowed),
        denied: count(Answer::Denied),
        overridden: count(Answer::Overridden),
        unmentioned: count(Answer::Unmentioned),
    };
    if mismatches.is_empty() { Ok(tally) } else { Err(mismatches.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::{PEERS, PORTCULLIS};

    fn loaded(workload: &Workload) -> Vec<(&'static Entry, Box<dyn Engine>)> {
        std::iter::once(&PORTCULLIS).chain(&PEERS).map(|entry| (entry, (entry.load)(&workload.statements))).collect()
    }

    #[test]
    fn all_engines_give_the_right_answers() {
        for count in [4, 100, 1_000, 2_400] {
            let workload = Workload::new(count);
            if let Err(mismatches) = agree(&workload, &mut loaded(&workload)) {
                panic!("{count} statements:\n{mismatches}");
            }
        }
    }

    #[test]
    fn a_statement_that_one_lacks_is_noticed() {
        let workload = Workload::new(100);
        for entry in std::iter::once(&PORTCULLIS).chain(&PEERS) {
            let fewer = (entry.load)(workload.statements.get(1..).unwrap());
            let mismatches = agree(&workload, &mut [(entry, fewer)]).unwrap_err();
            assert!(mismatches.contains("`service0:Act0On0` on"), "{}: {mismatches}", entry.name);
        }
    }
}
