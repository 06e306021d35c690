//! What the lines of one stream mean, one after another: no socket, no clock, no records.
//!
//! The same reading serves the feed and the files of the disk copy.

use crate::snapshot::wire::Frame;
use crate::snapshot::wire::channel::{Point, Resume};
use crate::snapshot::wire::frame::{Change, Commit, End, FORMAT, FrameError, Hello, Mode};

/// Oldest format that is read: the present one and the one before.
const FORMAT_MIN: u32 = if FORMAT > 1 { FORMAT - 1 } else { 1 };

/// What to do with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A whole state of this epoch follows, record by record.
    Begin(Hello),
    /// Changes to the present state follow.
    Resume(Hello),
    /// A record of the whole state.
    Record(Change),
    /// The whole state is there.
    Complete(Resume),
    /// The next commit.
    Commit(Point, Commit),
    /// How far the store is.
    Head(u64),
}

/// A line that cannot follow on what is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It goes back.
    #[error("it would go back: it is at `{offered}`, and `{highest}` was in force already")]
    StepBack {
        /// What is offered.
        offered: Point,
        /// The highest there was.
        highest: Point,
    },
    /// Another format.
    #[error("its format is {0}; this version reads {FORMAT_MIN} to {FORMAT}")]
    Format(u32),
    /// No frame at all.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame where it may not stand.
    #[error("a line stands where it may not: {0}")]
    Order(&'static str),
    /// A commit is missing or comes again.
    #[error("the change after {last} was expected, and {found} came")]
    Gap {
        /// The last one.
        last: u64,
        /// The one that came.
        found: u64,
    },
    /// A snapshot of another size.
    #[error("a whole state of {told} records came with {found}")]
    Records {
        /// As its end says.
        told: u64,
        /// As they came.
        found: u64,
    },
}

/// Reads the lines of one stream.
#[derive(Debug)]
pub struct Session {
    /// Nothing before it is taken any more.
    highest: Option<Point>,
    /// Where changes would go on.
    resume: Option<Point>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Start,
    Records { hello: Hello, found: u64 },
    Commits(Point),
}

impl Session {
    /// For a stream that was asked for with `resume`, by a gateway that had `highest` in force.
    #[must_use]
    pub fn new(highest: Option<Point>, resume: Option<Point>) -> Self {
        Self { highest, resume, place: Place::Start }
    }

    /// What the next line means.
    ///
    /// # Errors
    /// When it cannot follow: then the stream is of no more use.
    pub fn line(&mut self, json: &str) -> Result<Step, Refusal> {
        match (Frame::parse(json)?, &mut self.place) {
            (Frame::Hello(hello), Place::Start) => self.hello(hello),
            (Frame::Hello(_), Place::Records { .. } | Place::Commits(_)) => Err(Refusal::Order("a second `hello`")),
            (_, Place::Start) => Err(Refusal::Order("something before `hello`")),
            (Frame::Put { key, record }, Place::Records { found, .. }) => {
                *found += 1;
                Ok(Step::Record(Change::Put { key, record }))
            }
            (Frame::Put { .. }, Place::Commits(_)) => Err(Refusal::Order("a record outside a whole state")),
            (Frame::End(end), Place::Records { hello, found }) => {
                let (epoch, found) = (hello.epoch, *found);
                self.end(epoch, found, end)
            }
            (Frame::End(_), Place::Commits(_)) => Err(Refusal::Order("the end of a whole state that did not begin")),
            (Frame::Commit(_), Place::Records { .. }) => Err(Refusal::Order("a change inside a whole state")),
            (Frame::Commit(commit), Place::Commits(at)) => {
                if at.sequence.checked_add(1) != Some(commit.sequence) {
                    return Err(Refusal::Gap { last: at.sequence, found: commit.sequence });
                }
                at.sequence = commit.sequence;
                Ok(Step::Commit(*at, commit))
            }
            (Frame::Head(head), Place::Records { .. }) => Ok(Step::Head(head)),
            (Frame::Head(head), Place::Commits(at)) => {
                let (offered, highest) = (Point { epoch: at.epoch, sequence: head }, *at);
                if offered < highest { Err(Refusal::StepBack { offered, highest }) } else { Ok(Step::Head(head)) }
            }
        }
    }

    fn hello(&mut self, hello: Hello) -> Result<Step, Refusal> {
        if !(FORMAT_MIN..=FORMAT).contains(&hello.format) {
            return Err(Refusal::Format(hello.format));
        }
        self.forward(Point { epoch: hello.epoch, sequence: hello.head })?;
        match (hello.mode, self.resume) {
            (Mode::Snapshot, _) => {
                self.place = Place::Records { hello, found: 0 };
                Ok(Step::Begin(hello))
            }
            (Mode::Changes, Some(at)) if at.epoch == hello.epoch && at.sequence <= hello.head => {
                self.place = Place::Commits(at);
                Ok(Step::Resume(hello))
            }
            (Mode::Changes, _) => Err(Refusal::Order("changes to a state that is not here")),
        }
    }

    fn end(&mut self, epoch: u64, found: u64, end: End) -> Result<Step, Refusal> {
        let End { sequence, records, digest } = end;
        let point = Point { epoch, sequence };
        self.forward(point)?;
        if records != found {
            return Err(Refusal::Records { told: records, found });
        }
        self.place = Place::Commits(point);
        Ok(Step::Complete(Resume { point, digest }))
    }

    fn forward(&self, offered: Point) -> Result<(), Refusal> {
        match self.highest {
            Some(highest) if offered < highest => Err(Refusal::StepBack { offered, highest }),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::wire::Digest;

    fn point(epoch: u64, sequence: u64) -> Point {
        Point { epoch, sequence }
    }

    fn hello(epoch: u64, head: u64, mode: Mode) -> String {
        Frame::Hello(Hello { format: FORMAT, epoch, head, mode }).to_json()
    }

    fn commit(sequence: u64) -> String {
        Frame::Commit(Commit { sequence, time: 1, digest: Digest::default(), changes: Vec::new() }).to_json()
    }

    fn end(sequence: u64, records: u64) -> String {
        Frame::End(End { sequence, records, digest: Digest::default() }).to_json()
    }

    const PUT: &str = r#"{"put":"user/1","record":{}}"#;
    const HEAD: &str = r#"{"head":9}"#;

    /// How the last of the lines is taken; those before must be.
    fn last(highest: Option<Point>, resume: Option<Point>, lines: &[&str]) -> Result<Step, Refusal> {
        let mut session = Session::new(highest, resume);
        let (last, before) = lines.split_last().unwrap();
        before.iter().for_each(|line| drop(session.line(line).unwrap()));
        session.line(last)
    }

    #[test]
    fn a_whole_state_and_changes_are_read_in_order() {
        let lines = [&hello(1, 9, Mode::Snapshot), PUT, HEAD, PUT, &end(7, 2), &commit(8), HEAD];
        assert!(matches!(last(None, None, &lines[..1]), Ok(Step::Begin(_))));
        assert!(matches!(last(None, None, &lines[..2]), Ok(Step::Record(_))));
        assert!(matches!(last(None, None, &lines[..5]), Ok(Step::Complete(Resume { point: Point { epoch: 1, sequence: 7 }, .. }))));
        assert!(matches!(last(None, None, &lines[..6]), Ok(Step::Commit(Point { sequence: 8, .. }, _))));
        assert_eq!(last(None, None, &lines), Ok(Step::Head(9)));
        let resumed = [&*hello(1, 9, Mode::Changes), &commit(5)];
        assert!(matches!(last(Some(point(1, 4)), Some(point(1, 4)), &resumed), Ok(Step::Commit(..))));
    }

    #[test]
    fn nothing_goes_back() {
        let at = Some(point(3, 7));
        for (epoch, head, mode) in
            [(3, 6, Mode::Snapshot), (3, 6, Mode::Changes), (2, 99, Mode::Snapshot), (2, 99, Mode::Changes), (0, 7, Mode::Snapshot)]
        {
            let refused = last(at, at, &[&hello(epoch, head, mode)]);
            assert!(matches!(refused, Err(Refusal::StepBack { .. })), "{epoch}.{head}: {refused:?}");
        }
        // The head is high enough, the state that comes is not.
        let refused = last(at, None, &[&hello(3, 9, Mode::Snapshot), &end(6, 0)]);
        assert!(matches!(refused, Err(Refusal::StepBack { .. })), "{refused:?}");
        let refused = last(at, at, &[&hello(3, 7, Mode::Changes), r#"{"head":6}"#]);
        assert!(matches!(refused, Err(Refusal::StepBack { .. })), "{refused:?}");
        assert!(last(at, at, &[&hello(3, 7, Mode::Changes)]).is_ok());
        assert!(last(at, at, &[&hello(4, 1, Mode::Snapshot)]).is_ok(), "a later epoch, by a whole state");
        assert!(matches!(last(at, at, &[&hello(4, 9, Mode::Changes)]), Err(Refusal::Order(_))), "never by changes");
    }

    #[test]
    fn what_cannot_follow_is_refused() {
        let (whole, changes) = (hello(1, 9, Mode::Snapshot), hello(1, 9, Mode::Changes));
        let at = Some(point(1, 4));
        for lines in [
            &[HEAD][..],
            &[PUT],
            &[&commit(5)],
            &[&end(1, 0)],
            &[&whole, &whole],
            &[&changes, &changes],
            &[&whole, &commit(5)],
            &[&whole, &end(1, 0), &end(1, 0)],
            &[&whole, &end(1, 0), PUT],
            &[&changes, PUT],
            &[&changes, &end(1, 0)],
            &[&whole, PUT, &end(7, 2)],
            &[&whole, PUT, PUT, PUT, &end(7, 2)],
            &[&changes, &commit(4)],
            &[&changes, &commit(6)],
            &[&changes, &commit(5), &commit(5)],
            &[&whole.replace(r#""format":1"#, r#""format":2"#)],
            &[&whole.replace(r#""format":1"#, r#""format":0"#)],
            &["{}"],
        ] {
            assert!(last(None, at, lines).is_err(), "{lines:?}");
        }
        assert!(last(None, None, &[&changes]).is_err());
    }
}
