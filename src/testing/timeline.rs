//! The virtual time of a simulation: what is scheduled happens as soon as the stream waits for that long.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::clock::VirtualTime;
use crate::locks::lock;

/// So often a stream may be asked for something without any time passing. A generator that polls as often waits for
/// something that only another thread can do, or goes on after the end of its stream.
const MOST_IDLE_CALLS: u32 = 100_000;

/// A virtual time, and what happens when.
pub(super) struct Timeline {
    started: Instant,
    state: Mutex<State>,
}

pub(super) type Task = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    elapsed: Duration,
    /// What happens when, the next one last.
    schedule: Vec<(Duration, Task)>,
    idle_calls: u32,
}

impl Timeline {
    /// A time that begins now.
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), state: Mutex::default() }
    }

    /// Has something happen at a time, counted from the beginning, after all that is scheduled for it already.
    pub(super) fn schedule(&self, at: Duration, task: Task) {
        let mut state = lock(&self.state);
        let index = state.schedule.partition_point(|(time, _)| *time > at);
        state.schedule.insert(index, (at, task));
    }

    /// Forgets what has not happened yet.
    pub(super) fn clear_schedule(&self) {
        let schedule = std::mem::take(&mut lock(&self.state).schedule);
        drop(schedule); // without the lock: what it holds is the test's own
    }

    pub(super) fn elapsed(&self) -> Duration {
        lock(&self.state).elapsed
    }

    /// Does what is scheduled for now.
    pub(super) fn run_due_tasks(&self) {
        while !self.advance(self.now()) {}
    }

    /// Whether there were too many calls that let no time pass.
    pub(super) fn is_stuck(&self) -> bool {
        lock(&self.state).idle_calls >= MOST_IDLE_CALLS
    }
}

impl VirtualTime for Timeline {
    fn now(&self) -> Instant {
        self.started + self.elapsed()
    }

    fn advance(&self, until: Instant) -> bool {
        let mut state = lock(&self.state);
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

    fn note_idle_call(&self) {
        let mut state = lock(&self.state);
        state.idle_calls = state.idle_calls.saturating_add(1);
        let is_enough = state.idle_calls == MOST_IDLE_CALLS;
        drop(state);
        assert!(!is_enough, "{MOST_IDLE_CALLS} calls without any time passing");
    }
}
