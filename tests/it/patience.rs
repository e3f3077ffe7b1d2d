//! Waiting in tests: for a signal, for a condition, for work that might hang. Always with a deadline.

use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use brooklet::Limits;

/// For whatever has to happen at all: it only ends what hangs. A busy machine is no defect, so nothing is
/// judged by how soon it happens; what has to be fast is counted.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// For what must not happen by itself in a test: much longer than [`DEADLINE`].
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// Limits whose deadlines do not pass, for tests to shorten the one that they are about.
pub(crate) fn unhurried() -> Limits {
    Limits::default().head_deadline(LONG).body_deadline(LONG).idle_deadline(LONG).write_deadline(LONG)
}

/// A gate that is opened once; whoever comes later finds it open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0 .0.lock().unwrap() = true;
        self.0 .1.notify_all();
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.0 .0.lock().unwrap()
    }

    /// Waits until somebody has opened it.
    #[track_caller]
    pub(crate) fn pass(&self) {
        let guard = self.0 .0.lock().unwrap();
        let closed = |open: &mut bool| !*open;
        let (_guard, result) = self.0 .1.wait_timeout_while(guard, DEADLINE, closed).unwrap();
        assert!(!result.timed_out(), "nobody opened the gate within {DEADLINE:?}");
    }
}

/// Waits until `condition` holds, where nobody tells us that it does.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Does `work` on a thread of its own, so that work that hangs fails a test instead of stopping it.
#[track_caller]
pub(crate) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()).ok());
    match receiver.recv_timeout(DEADLINE) {
        Ok(done) => done,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("it panicked"),
    }
}
