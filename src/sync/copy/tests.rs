//! A disk copy after every accident: it is refused, or it is exactly what was in force.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::snapshot::wire::Digest;
use crate::snapshot::wire::frame::{Change, Commit, End};
use crate::sync::feed::session::Session;
use crate::sync::follow::Follow;
use crate::telemetry::FeedStatus;
use crate::types::{Revision, Timestamp};

const FILES: [&str; 3] = [IMAGE, JOURNAL, HIGHEST];
const NEVER: u64 = u64::MAX / 2;

type Records = BTreeMap<String, String>;
type Files = BTreeMap<&'static str, Vec<u8>>;
type Harm<'a> = &'a dyn Fn(&mut Files);

fn digest(records: &Records) -> Digest {
    let mut digest = Digest::default();
    records.iter().for_each(|(key, record)| digest.add(Digest::of(key, record)));
    digest
}

/// Keeps records as they are.
#[derive(Default, Clone)]
struct Plain {
    records: Records,
    published: Arc<Mutex<Vec<(Revision, Digest)>>>,
}

impl Follower for Plain {
    fn fresh(&self) -> Self {
        Self { published: Arc::clone(&self.published), ..Self::default() }
    }

    fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change.clone() {
                Change::Put { key, record } => drop(self.records.insert(key, record)),
                Change::Delete { key } => drop(self.records.remove(&key)),
            }
        }
    }

    fn digest(&self) -> Digest {
        digest(&self.records)
    }

    fn publish(&mut self, revision: Revision) -> Vec<String> {
        self.published.lock().unwrap().push((revision, self.digest()));
        Vec::new()
    }
}

/// A store: what it has, and what it had at every point.
struct Store {
    at: Point,
    records: Records,
    history: BTreeMap<Point, Digest>,
}

impl Store {
    fn new(epoch: u64) -> Self {
        let mut store = Self { at: Point { epoch, sequence: 3 }, records: Records::new(), history: BTreeMap::new() };
        store.records.insert("user/1".to_owned(), r#"{"name":"eins"}"#.to_owned());
        store.records.insert("user/2".to_owned(), r#"{"name":"zwei"}"#.to_owned());
        store.history.insert(store.at, digest(&store.records));
        store
    }

    fn put(&mut self, number: usize) -> String {
        let (key, record) = (format!("user/{}", number % 7), format!(r#"{{"name":"{number}"}}"#));
        let mut changes = vec![Change::Put { key: key.clone(), record: record.clone() }];
        self.records.insert(key, record);
        if number.is_multiple_of(3) {
            let key = format!("user/{}", (number + 2) % 7);
            self.records.remove(&key);
            changes.push(Change::Delete { key });
        }
        self.at.sequence += 1;
        let digest = digest(&self.records);
        self.history.insert(self.at, digest);
        Frame::Commit(Commit { sequence: self.at.sequence, time: 1, digest, changes }).to_json()
    }

    fn hello(&self, mode: Mode) -> String {
        Frame::Hello(Hello { format: FORMAT, epoch: self.at.epoch, head: self.at.sequence, mode }).to_json()
    }

    fn whole(&self) -> Vec<String> {
        let mut lines = vec![self.hello(Mode::Snapshot)];
        lines.extend(self.records.iter().map(|(key, record)| Frame::Put { key: key.clone(), record: record.clone() }.to_json()));
        let (sequence, records) = (self.at.sequence, self.records.len() as u64);
        lines.push(Frame::End(End { sequence, records, digest: digest(&self.records) }).to_json());
        lines
    }
}

fn key(digits: &str) -> SealingKey {
    SealingKey::from_text(&digits.repeat(32)).unwrap()
}

fn open(folder: &Path, journal_bytes_min: u64) -> Follow<Plain> {
    let copy = Copy::open(folder, &key("0a"), journal_bytes_min).unwrap();
    Follow::new(Plain::default(), Some(copy), Arc::new(FeedStatus::default()))
}

/// A stream of its own.
fn stream(follow: &mut Follow<Plain>, lines: &[String]) {
    let mut session = Session::new(follow.highest(), follow.resume().map(|resume| resume.point));
    for line in lines {
        let step = session.line(line).unwrap();
        follow.take(step, line, Timestamp::from_milliseconds(2)).unwrap();
    }
}

/// What a folder loads as.
fn load(folder: &Path) -> Result<Option<Resume>, CopyError> {
    let mut follow = open(folder, NEVER);
    follow.load().map(|_| follow.resume())
}

fn files(folder: &Path) -> Files {
    FILES.iter().filter_map(|name| Some((*name, std::fs::read(folder.join(name)).ok()?))).collect()
}

fn folder_of(files: &Files) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).unwrap());
    folder
}

/// A store, and the files of a gateway that has followed it for some commits.
fn followed(commits: usize) -> (Store, Files) {
    let (folder, mut store) = (tempfile::tempdir().unwrap(), Store::new(5));
    let mut follow = open(folder.path(), NEVER);
    assert_eq!(follow.load().unwrap(), None);
    let mut lines = store.whole();
    lines.extend((0..commits).map(|number| store.put(number)));
    stream(&mut follow, &lines);
    drop(follow);
    (store, files(folder.path()))
}

#[test]
fn what_was_in_force_is_in_force_again() {
    let (store, files) = followed(3);
    let folder = folder_of(&files);
    for name in FILES {
        let text = String::from_utf8_lossy(&files[name]).into_owned();
        assert!(!text.contains("name") && !text.contains("user"), "{name}");
    }
    let loaded = load(folder.path()).unwrap().unwrap();
    assert_eq!((loaded.point, loaded.digest), (store.at, digest(&store.records)));
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(load(empty.path()).unwrap(), None);
}

#[test]
fn a_copy_cut_or_changed_at_any_byte_is_refused_or_whole() {
    let (store, whole) = followed(3);
    let folder = folder_of(&whole);
    let mut refusals = 0;
    // A file that is cut and written again is forced to the disk by some file systems; a new one is not.
    let replace = |name: &str, bytes: &[u8]| {
        std::fs::remove_file(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
    };
    let mut check = |name: &'static str, bytes: &[u8], what: String| {
        replace(name, bytes);
        match load(folder.path()) {
            Ok(Some(loaded)) => assert_eq!((loaded.point, loaded.digest), (store.at, digest(&store.records)), "{name} {what}"),
            Ok(None) => panic!("{name} {what}: taken for none"),
            Err(CopyError::Refused { path, .. }) => {
                assert_eq!(path.file_name().unwrap(), name, "{what}");
                refusals += 1;
            }
            Err(other) => panic!("{name} {what}: {other}"),
        }
        replace(name, &whole[name]);
    };
    let mut tried = 0;
    for name in FILES {
        let bytes = &whole[name];
        for size in 0..bytes.len() {
            check(name, &bytes[..size], format!("cut at {size}"));
            for mask in [0x01, 0x80] {
                let mut changed = bytes.clone();
                changed[size] ^= mask;
                check(name, &changed, format!("changed at {size}"));
                tried += 1;
            }
            tried += 1;
        }
        check(name, &[bytes, &b"x"[..]].concat(), "longer".to_owned());
    }
    // All but bytes after the journal's last commit, which nobody needs.
    assert_eq!(refusals, tried + 2);
}

#[test]
fn a_refusal_names_the_file_and_what_is_wrong() {
    let (_, whole) = followed(2);
    let message = |change: Harm<'_>| {
        let mut files = whole.clone();
        change(&mut files);
        let folder = folder_of(&files);
        let error = load(folder.path()).unwrap_err().to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    };
    let (_, older) = followed(1);
    let rows: [(Harm<'_>, &str); 7] = [
        (&|files| drop(files.remove(IMAGE)), "`image`: it is missing"),
        (&|files| drop(files.remove(HIGHEST)), "`highest`: it is missing"),
        (&|files| drop(files.remove(JOURNAL)), "`image`: it ends at `5.3`, and `5.5` was in force already"),
        (&|files| files.extend([(IMAGE, older[IMAGE].clone()), (JOURNAL, older[JOURNAL].clone())]), "`journal`: it ends at `5.4`"),
        (&|files| files.get_mut(IMAGE).unwrap().truncate(300), "`image`: it is cut off in frame 2"),
        (&|files| files.get_mut(IMAGE).unwrap()[60] ^= 1, "`image`: frame 1 does not open: changed, moved, or written under another"),
        (&|files| files.get_mut(HIGHEST).unwrap()[3] ^= 1, "`highest`: it does not verify: changed, cut, or written under another"),
    ];
    for (change, expected) in rows {
        let found = message(change);
        assert!(found.starts_with(&format!("the disk copy is refused: {expected}")), "{found}");
    }
    let folder = folder_of(&whole);
    let other = Copy::open(folder.path(), &key("0b"), NEVER).unwrap();
    assert_eq!(other.highest(), None);
    let mut follow = Follow::new(Plain::default(), Some(other), Arc::new(FeedStatus::default()));
    assert!(follow.load().unwrap_err().to_string().contains("written under another sealing key"));
    assert_eq!(follow.resume(), None);
}

/// What a killed process may leave: the files are written in this order.
fn between<'a>(before: &'a Files, after: &'a Files) -> impl Iterator<Item = Files> + 'a {
    (0..=FILES.len()).map(move |done| {
        let pick = |(index, name): (usize, &&'static str)| {
            let from = if index < done { after } else { before };
            Some((*name, from.get(name)?.clone()))
        };
        FILES.iter().enumerate().filter_map(pick).collect()
    })
}

#[test]
fn a_process_killed_between_any_two_writes_loses_nothing_that_was_in_force() {
    let (folder, mut store) = (tempfile::tempdir().unwrap(), Store::new(5));
    let mut follow = open(folder.path(), 400);
    stream(&mut follow, &store.whole());
    let (mut before, mut at_before, mut epochs) = (files(folder.path()), store.at, 0);
    for number in 0..60 {
        if number % 20 == 19 {
            // Everything comes again, the second time of a new epoch.
            let mut other = Store::new(store.at.epoch + u64::from(epochs > 0));
            (other.at.sequence, other.records) = (store.at.sequence + 1, store.records.clone());
            other.records.insert("group/1".to_owned(), "{}".to_owned());
            other.history.append(&mut store.history);
            other.history.insert(other.at, digest(&other.records));
            (store, epochs) = (other, epochs + 1);
            stream(&mut follow, &store.whole());
        } else {
            let line = store.put(number);
            stream(&mut follow, &[store.hello(Mode::Changes), line]);
        }
        let after = files(folder.path());
        for state in between(&before, &after) {
            let left = folder_of(&state);
            let loaded = load(left.path()).unwrap().unwrap();
            assert!((at_before..=store.at).contains(&loaded.point), "{}", loaded.point);
            assert_eq!(store.history.get(&loaded.point), Some(&loaded.digest), "{}", loaded.point);
            assert_eq!(load(left.path()).unwrap(), Some(loaded), "loading changes nothing");
        }
        (before, at_before) = (after, store.at);
    }
}

#[test]
fn the_torn_end_of_a_journal_is_cut_off_when_it_was_never_in_force() {
    let (_, two) = followed(2);
    let folder = folder_of(&two);
    let mut follow = open(folder.path(), NEVER);
    follow.load().unwrap();
    let mut store = Store::new(5);
    (0..2).for_each(|number| drop(store.put(number)));
    let (at_two, line) = (store.at, store.put(2));
    stream(&mut follow, &[store.hello(Mode::Changes), line.clone()]);
    drop(follow);
    let three = files(folder.path());
    for size in two[JOURNAL].len()..three[JOURNAL].len() {
        let mut state = two.clone();
        state.insert(JOURNAL, three[JOURNAL][..size].to_vec());
        let left = folder_of(&state);
        let mut follow = open(left.path(), NEVER);
        assert_eq!(follow.load().unwrap(), Some(at_two), "{size}");
        stream(&mut follow, &[store.hello(Mode::Changes), line.clone()]);
        drop(follow);
        assert_eq!(load(left.path()).unwrap().unwrap().point, store.at, "{size}");
    }
}

#[test]
fn a_large_journal_becomes_part_of_the_image_while_commits_go_on() {
    let (folder, mut store) = (tempfile::tempdir().unwrap(), Store::new(5));
    let mut follow = open(folder.path(), 2_000);
    stream(&mut follow, &store.whole());
    let image = files(folder.path())[IMAGE].clone();
    let mut number = 0;
    // The journal is cut down again and again; in between, commits come while it is being folded.
    for _ in 0..3 {
        let (mut grown, mut shrunk) = (0, false);
        while !shrunk {
            number += 1;
            assert!(number < 20_000, "the journal is never folded");
            let line = store.put(number);
            stream(&mut follow, &[store.hello(Mode::Changes), line]);
            let size = std::fs::metadata(folder.path().join(JOURNAL)).unwrap().len();
            shrunk = size < grown;
            grown = size;
        }
        let left = folder_of(&files(folder.path()));
        let loaded = load(left.path()).unwrap().unwrap();
        assert_eq!((loaded.point, loaded.digest), (store.at, digest(&store.records)));
    }
    assert_ne!(files(folder.path())[IMAGE], image);
}

#[test]
fn a_copy_that_cannot_be_written_is_given_up_and_deciding_goes_on() {
    let (folder, mut store) = (tempfile::tempdir().unwrap(), Store::new(5));
    let place = folder.path().join("copy");
    let status = Arc::new(FeedStatus::default());
    let plain = Plain::default();
    let copy = Copy::open(&place, &key("0a"), NEVER).unwrap();
    let mut follow = Follow::new(plain.clone(), Some(copy), Arc::clone(&status));
    stream(&mut follow, &store.whole());
    std::fs::remove_dir_all(&place).unwrap();
    let line = store.put(1);
    stream(&mut follow, &[store.hello(Mode::Changes), line]);
    stream(&mut follow, &store.whole());
    assert_eq!(status.disk_copy_failures.get(), 1);
    assert_eq!(plain.published.lock().unwrap().last(), Some(&(store.at.revision(), digest(&store.records))));
    assert_eq!(follow.resume(), None, "everything is asked for again, so that there is a copy");
    std::fs::create_dir(&place).unwrap();
    stream(&mut follow, &store.whole());
    assert!(follow.resume().is_some());
    drop(follow);
    assert_eq!(load(&place).unwrap().unwrap().point, store.at);
}

#[test]
fn a_copy_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let first = Copy::open(folder.path(), &key("0a"), NEVER).unwrap();
    assert!(matches!(Copy::open(folder.path(), &key("0a"), NEVER), Err(CopyError::InUse(_))));
    drop(first);
    assert!(Copy::open(folder.path(), &key("0a"), NEVER).is_ok());
}
