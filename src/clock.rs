//! What time it is for a stream: the system's time, or that of a test, which passes only where a stream waits.
//!
//! A stream asks its clock instead of the system whenever it waits, or notes when something happened. What a peer is
//! given to read or write keeps to the system's time: a socket in memory never makes anybody wait.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So often a stream may be asked for something without any time passing. A generator that polls as often waits for
/// something that only another thread can do, or goes on after the end of its stream.
const MOST_IDLE_CALLS: u32 = 100_000;

/// The clock of a stream.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    System,
    Virtual(Arc<VirtualTime>),
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            Self::Virtual(time) => time.now(),
        }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }

    /// Tells a test of a call that has let no time pass; see [`VirtualTime::note_idle_call`].
    pub(crate) fn note_idle_call(&self) {
        if let Self::Virtual(time) = self {
            time.note_idle_call();
        }
    }

    /// Waits for a value until then. In a test the time may be up earlier: whoever waits looks around and goes on.
    pub(crate) fn receive<T>(&self, receiver: &Receiver<T>, until: Instant) -> Result<T, RecvTimeoutError> {
        match self {
            Self::System => receiver.recv_timeout(until.saturating_duration_since(Instant::now())),
            Self::Virtual(time) => receiver.try_recv().map_err(|error| match error {
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                TryRecvError::Empty => {
                    time.advance(until);
                    RecvTimeoutError::Timeout
                }
            }),
        }
    }
}

/// A time that stands still until somebody waits, and then has passed.
pub(crate) struct VirtualTime {
    started: Instant,
    state: Mutex<State>,
}

pub(crate) type Task = Box<dyn FnOnce() + Send>;

struct State {
    elapsed: Duration,
    /// What happens when, the next one last.
    schedule: Vec<(Duration, Task)>,
    idle_calls: u32,
}

impl VirtualTime {
    /// A time that begins now.
    pub(crate) fn new() -> Self {
        let state = State { elapsed: Duration::ZERO, schedule: Vec::new(), idle_calls: 0 };
        Self { started: Instant::now(), state: Mutex::new(state) }
    }

    /// Has something happen at a time, counted from the beginning, after all that is scheduled for it already.
    pub(crate) fn schedule(&self, at: Duration, task: Task) {
        let mut state = self.state();
        let place = state.schedule.partition_point(|(time, _)| *time > at);
        state.schedule.insert(place, (at, task));
    }

    /// Forgets what has not happened yet.
    pub(crate) fn clear_schedule(&self) {
        let schedule = std::mem::take(&mut self.state().schedule);
        drop(schedule); // without the lock: what it holds is the test's own
    }

    pub(crate) fn now(&self) -> Instant {
        self.started + self.elapsed()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    /// Lets time pass until then, or until the next scheduled task is done: that may be what somebody waits for.
    /// Returns whether it is then.
    pub(crate) fn advance(&self, until: Instant) -> bool {
        let mut state = self.state();
        let until = until.saturating_duration_since(self.started).max(state.elapsed);
        if until > state.elapsed && state.idle_calls < MOST_IDLE_CALLS {
            state.idle_calls = 0;
        }
        match state.schedule.last() {
            Some((at, _)) if *at <= until => {
                state.elapsed = state.elapsed.max(*at);
                let (_, task) = state.schedule.pop().expect("there is a last one");
                // It is the test's own, and may do anything.
                drop(state);
                task();
                false
            }
            _ => {
                state.elapsed = until;
                true
            }
        }
    }

    /// Does what is scheduled for now.
    pub(crate) fn run_due_tasks(&self) {
        while !self.advance(self.now()) {}
    }

    /// Counts calls that let no time pass.
    ///
    /// # Panics
    ///
    /// When there are too many, once: the caller would go on for ever.
    pub(crate) fn note_idle_call(&self) {
        let mut state = self.state();
        state.idle_calls = state.idle_calls.saturating_add(1);
        let is_enough = state.idle_calls == MOST_IDLE_CALLS;
        drop(state);
        assert!(!is_enough, "{MOST_IDLE_CALLS} calls without any time passing");
    }

    /// Whether there were too many of those calls.
    pub(crate) fn is_stuck(&self) -> bool {
        self.state().idle_calls >= MOST_IDLE_CALLS
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for VirtualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualTime").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}
