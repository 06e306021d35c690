//! The engines. Each is loaded once; what it makes of a request's texts counts as part of its decision.

mod casbin;
mod cedar;
mod iam_rs;
mod portcullis;
mod regorus;

use std::hint::black_box;

use crate::workload::{Asked, Statement};

/// An engine with its policies loaded.
pub(crate) trait Engine {
    /// Whether it allows this.
    fn allows(&mut self, asked: &Asked) -> bool;

    /// How many of these it allows; the loop stands here so that no engine pays for a call through a table.
    fn allowed_of(&mut self, batch: &[Asked]) -> usize {
        batch.iter().filter(|asked| self.allows(black_box(asked))).count()
    }
}

/// An engine by its name, and how to load it.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) load: fn(&[Statement]) -> Box<dyn Engine>,
}

/// Whom the others are compared with.
pub(crate) const PORTCULLIS: Entry = Entry { name: "portcullis", load: |statements| Box::new(portcullis::Portcullis::load(statements)) };

/// The name in the table whose ratio has a floor, and the floor at 1,000 statements.
pub(crate) const FLOORS: [(&str, f64); 2] = [("cedar-policy, whole set", 1_000.0), ("cedar-policy, hand-sliced by action", 10.0)];

/// Everyone else.
pub(crate) const PEERS: [Entry; 6] = [
    Entry { name: FLOORS[0].0, load: |statements| Box::new(cedar::Whole::load(statements)) },
    Entry { name: FLOORS[1].0, load: |statements| Box::new(cedar::Sliced::load(statements)) },
    Entry { name: "regorus, keyed by action, virtual machine", load: |statements| Box::new(regorus::Machine::load(statements)) },
    Entry { name: "regorus, keyed by action, interpreter", load: |statements| Box::new(regorus::Interpreter::load(statements)) },
    Entry { name: "casbin", load: |statements| Box::new(casbin::Casbin::load(statements)) },
    Entry { name: "iam-rs", load: |statements| Box::new(iam_rs::IamRs::load(statements)) },
];
