//! Forces what was written to the disk, at most once a second, on a thread of its own.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two times.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Marked {
    /// The journal and the note of the highest revision, when they have changed.
    files: [Option<Arc<File>>; 2],
    stop: bool,
}

#[derive(Default)]
struct Shared {
    marked: Mutex<Marked>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Marked> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread and what it is to do.
pub(super) struct Flusher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("copy-flush".to_owned()).spawn(move || run(&theirs))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A file has changed: the one of this number.
    pub(super) fn mark(&self, number: usize, file: &Arc<File>) {
        let mut marked = self.shared.lock();
        if let Some(slot) = marked.files.get_mut(number)
            && slot.replace(Arc::clone(file)).is_none()
        {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared) {
    loop {
        let nothing = |marked: &mut Marked| !marked.stop && marked.files.iter().all(Option::is_none);
        let waited = shared.changed.wait_while(shared.lock(), nothing);
        let mut marked = waited.unwrap_or_else(PoisonError::into_inner);
        let (files, stop) = (std::mem::take(&mut marked.files), marked.stop);
        drop(marked);
        for file in files.iter().flatten() {
            if let Err(error) = file.sync_data() {
                tracing::error!(%error, "the disk copy cannot be forced to the disk");
            }
        }
        if stop {
            return;
        }
        drop(shared.changed.wait_timeout_while(shared.lock(), EVERY, |marked| !marked.stop));
    }
}
