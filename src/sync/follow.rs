//! A gateway's copy of the store: what the steps of a stream do to it, in memory and on disk.
//!
//! What is in force changes only here, and only forwards: by one commit whose digest fits, or by a whole state that was
//! built beside it and whose digest fits. What is put in force is in the disk copy's journal first, and noted as the
//! highest; so a copy that ends before what was in force is always known to.

use std::sync::Arc;

use super::copy::{Copy, CopyError, Image};
use super::feed::session::Step;
use crate::snapshot::wire::Digest;
use crate::snapshot::wire::channel::{Point, Resume};
use crate::snapshot::wire::frame::{Change, Commit};
use crate::snapshot::{Roster, Snapshot, Unreadable};
use crate::telemetry::FeedStatus;
use crate::types::{Offering, Revision, SealingKey, Timestamp};

/// Records handed to the follower at once while a whole state comes in.
const RECORDS_PER_BATCH: usize = 1_024;

/// What records become: the writer's side of a snapshot.
pub trait Follower: Send + 'static {
    /// An empty one, for a whole state that is built beside this one.
    #[must_use]
    fn fresh(&self) -> Self;

    /// Takes changes in order. A record that cannot be read fails closed for what it concerns and stops nothing.
    fn apply(&mut self, changes: &[Change]);

    /// The digest of all records, read or not.
    fn digest(&self) -> Digest;

    /// Puts the present state in force as `revision`. Tells what could not be read of it, if that is new: a line each,
    /// without secrets.
    fn publish(&mut self, revision: Revision) -> Vec<String>;
}

/// The follower of a gateway: hands over a snapshot for every state.
pub struct Publishing {
    roster: Roster,
    offering: Offering,
    sealing_key: Arc<SealingKey>,
    hand_over: Arc<dyn Fn(Snapshot) + Send + Sync>,
}

impl Publishing {
    /// Nothing is handed over before a whole state is there.
    #[must_use]
    pub fn new(offering: Offering, sealing_key: Arc<SealingKey>, hand_over: Arc<dyn Fn(Snapshot) + Send + Sync>) -> Self {
        Self { roster: Roster::new(offering.clone(), Arc::clone(&sealing_key)), offering, sealing_key, hand_over }
    }
}

impl Follower for Publishing {
    fn fresh(&self) -> Self {
        Self::new(self.offering.clone(), Arc::clone(&self.sealing_key), Arc::clone(&self.hand_over))
    }

    fn apply(&mut self, changes: &[Change]) {
        self.roster.apply(changes);
    }

    fn digest(&self) -> Digest {
        self.roster.digest()
    }

    fn publish(&mut self, revision: Revision) -> Vec<String> {
        (self.hand_over)(self.roster.snapshot(revision));
        let unreadable = self.roster.take_unreadable();
        unreadable.into_iter().map(|Unreadable { key, why }| format!("`{key}`: {why}")).collect()
    }
}

/// Why a step could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// The state is not what the store says it is.
    #[error("the state at `{point}` has the digest {found}, and {told} was told")]
    Digest {
        /// Where.
        point: Point,
        /// As the store says.
        told: Digest,
        /// As it came out.
        found: Digest,
    },
    /// A session gave steps in an order it never does.
    #[error("a step came that no state was there for")]
    Order,
}

/// A state while it is being made.
pub(super) struct Building<F> {
    follower: F,
    batch: Vec<Change>,
}

impl<F: Follower> Building<F> {
    pub(super) fn new(follower: F) -> Self {
        Self { follower, batch: Vec::new() }
    }

    /// One more record of a whole state.
    pub(super) fn record(&mut self, record: Change) {
        self.batch.push(record);
        if self.batch.len() >= RECORDS_PER_BATCH {
            self.apply();
        }
    }

    /// All records are there.
    pub(super) fn complete(&mut self, whole: Resume) -> Result<(), FollowError> {
        self.apply();
        self.check(whole)
    }

    /// One more commit.
    pub(super) fn commit(&mut self, point: Point, commit: Commit) -> Result<(), FollowError> {
        self.batch = commit.changes;
        self.complete(Resume { point, digest: commit.digest })
    }

    /// Puts a complete state in force, for a reader that goes no further.
    pub(super) fn publish(mut self, revision: Revision) {
        self.follower.publish(revision);
    }

    fn apply(&mut self) {
        self.follower.apply(&std::mem::take(&mut self.batch));
    }

    fn check(&self, Resume { point, digest: told }: Resume) -> Result<(), FollowError> {
        let found = self.follower.digest();
        if found == told { Ok(()) } else { Err(FollowError::Digest { point, told, found }) }
    }
}

/// A whole state on its way in.
struct Incoming<F> {
    building: Building<F>,
    image: Option<Image>,
}

/// The copy in force, and the one that may replace it.
pub(super) struct Follow<F> {
    force: Building<F>,
    incoming: Option<Incoming<F>>,
    /// What is in force, if its writer's side fits it.
    resume: Option<Resume>,
    highest: Option<Point>,
    copy: Option<Copy>,
    status: Arc<FeedStatus>,
}

impl<F: Follower> Follow<F> {
    pub(super) fn new(follower: F, copy: Option<Copy>, status: Arc<FeedStatus>) -> Self {
        let highest = copy.as_ref().and_then(Copy::highest);
        Self { force: Building::new(follower), incoming: None, resume: None, highest, copy, status }
    }

    /// Puts the disk copy in force when it is whole. Otherwise says what is wrong with it; the feed then starts anew.
    pub(super) fn load(&mut self) -> Result<Option<Point>, CopyError> {
        let Some(copy) = &mut self.copy else { return Ok(None) };
        let mut building = Building::new(self.force.follower.fresh());
        match copy.load(&mut building) {
            Ok(None) => Ok(None),
            Ok(Some(resume)) => {
                self.force = building;
                self.put_in_force(resume);
                Ok(Some(resume.point))
            }
            Err(error) => {
                self.status.disk_copy_failures.add(1);
                Err(error)
            }
        }
    }

    /// What to ask the feed for: only what comes after this.
    pub(super) fn resume(&self) -> Option<Resume> {
        // Without a disk copy that fits, everything comes again, so that there is one.
        self.resume.filter(|_| self.copy.as_ref().is_none_or(Copy::is_whole))
    }

    /// Nothing before it is taken any more.
    pub(super) fn highest(&self) -> Option<Point> {
        self.highest
    }

    /// Takes the next step; `line` is what it was read from.
    pub(super) fn take(&mut self, step: Step, line: &str, now: Timestamp) -> Result<(), FollowError> {
        match step {
            Step::Begin(hello) => {
                self.status.announced(hello.head);
                let image = self.disk(|copy| copy.begin(hello.epoch));
                self.incoming = Some(Incoming { building: Building::new(self.force.follower.fresh()), image });
                Ok(())
            }
            Step::Resume(hello) => {
                self.status.announced(hello.head);
                Ok(())
            }
            Step::Head(head) => {
                self.status.announced(head);
                self.disk(Copy::tend);
                Ok(())
            }
            Step::Record(record) => {
                let incoming = self.incoming.as_mut().ok_or(FollowError::Order)?;
                incoming.building.record(record);
                if let Some(mut image) = incoming.image.take() {
                    let kept = self.disk(|_| image.line(line).map(|()| image));
                    self.incoming.as_mut().ok_or(FollowError::Order)?.image = kept;
                }
                Ok(())
            }
            Step::Complete(whole) => self.complete(whole, line),
            Step::Commit(point, commit) => self.commit(point, commit, line, now),
        }
    }

    /// Forgets a whole state that did not come to its end.
    pub(super) fn abandon(&mut self) {
        self.incoming = None;
    }

    fn complete(&mut self, whole: Resume, line: &str) -> Result<(), FollowError> {
        let mut incoming = self.incoming.take().ok_or(FollowError::Order)?;
        self.judge(incoming.building.complete(whole))?;
        if let Some(image) = incoming.image {
            self.disk(|copy| copy.install(image, line, whole.point));
        }
        self.force = incoming.building;
        self.put_in_force(whole);
        self.status.snapshots.add(1);
        Ok(())
    }

    fn commit(&mut self, point: Point, commit: Commit, line: &str, now: Timestamp) -> Result<(), FollowError> {
        let (committed, digest) = (Timestamp::from_milliseconds(commit.time), commit.digest);
        // Until the digest has fit, the writer's side is of no known state.
        self.resume = None;
        let applied = self.force.commit(point, commit);
        self.judge(applied)?;
        self.disk(|copy| copy.append(line));
        self.put_in_force(Resume { point, digest });
        self.status.commits.add(1);
        let late_ms = now.milliseconds().saturating_sub(committed.milliseconds());
        self.status.latency.observe(std::time::Duration::from_millis(u64::try_from(late_ms).unwrap_or(0)));
        self.disk(Copy::tend);
        Ok(())
    }

    fn judge(&self, outcome: Result<(), FollowError>) -> Result<(), FollowError> {
        if outcome.is_err() {
            self.status.digest_mismatches.add(1);
        }
        outcome
    }

    fn put_in_force(&mut self, whole: Resume) {
        self.disk(|copy| copy.note(whole.point));
        for unreadable in self.force.follower.publish(whole.point.revision()) {
            self.status.unreadable.add(1);
            tracing::error!(revision = %whole.point, "a record cannot be read and counts as refusing: {unreadable}");
        }
        self.resume = Some(whole);
        self.highest = self.highest.max(Some(whole.point));
        self.status.in_force(whole.point.epoch, whole.point.sequence, whole.digest.to_string());
    }

    /// Does something to the disk copy. A copy that cannot be written is given up: deciding goes on without it.
    fn disk<T>(&mut self, act: impl FnOnce(&mut Copy) -> Result<T, CopyError>) -> Option<T> {
        let copy = self.copy.as_mut()?;
        match act(copy) {
            Ok(done) => Some(done),
            Err(error) => {
                self.status.disk_copy_failures.add(1);
                tracing::error!(%error, "the disk copy is given up until everything comes again");
                copy.give_up();
                None
            }
        }
    }
}
