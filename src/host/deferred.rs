//! What has to be told later, by another thread than the one that noticed: in its order, one thing at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::locks::lock;
use crate::threads;

/// What may wait for a thread other than the one that accepts: listeners that block are told no more.
const MAX_DEFERRED: usize = 1024;

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// A queue with a thread of its own as long as there is something in it.
#[derive(Default)]
pub(super) struct Deferred {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// That of its thread; std's own where it is not set.
    stack_size: Option<usize>,
    queue: VecDeque<Job>,
    has_thread: bool,
}

impl Deferred {
    /// Has a job done soon, after all that were given before. Where no thread can be had, the caller does it.
    pub(super) fn push(self: &Arc<Self>, job: Job) {
        self.state().queue.push_back(job);
        if !self.begin() {
            self.work();
        }
    }

    /// The same for a thread that must not do it: it is done when there is another, or not at all where too much waits.
    pub(super) fn push_elsewhere(self: &Arc<Self>, job: Job) {
        let mut state = self.state();
        if state.queue.len() < MAX_DEFERRED {
            state.queue.push_back(job);
            drop(state);
            if !self.begin() {
                self.state().has_thread = false;
            }
        }
    }

    pub(super) fn set_stack_size(&self, bytes: Option<usize>) {
        self.state().stack_size = bytes;
    }

    /// The calling thread may be that of the queue, and is about to wait for what is in it: another one goes on.
    pub(super) fn let_others_go_on(self: &Arc<Self>) {
        let mut state = self.state();
        state.has_thread = false;
        let has_more = !state.queue.is_empty();
        drop(state);
        if has_more && !self.begin() {
            self.work();
        }
    }

    /// Whether there is a thread for it.
    fn begin(self: &Arc<Self>) -> bool {
        let mut state = self.state();
        if std::mem::replace(&mut state.has_thread, true) {
            return true;
        }
        let stack_size = state.stack_size;
        drop(state);
        let deferred = Arc::clone(self);
        threads::make("brooklet-log", Box::new(move || deferred.work()), stack_size).is_ok()
    }

    fn work(&self) {
        loop {
            let mut state = self.state();
            let job = match state.queue.pop_front() {
                Some(job) => job,
                None => {
                    state.has_thread = false;
                    return;
                }
            };
            drop(state);
            job();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn jobs_are_done_in_their_order() {
        let deferred = Arc::new(Deferred::default());
        let (sender, receiver) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            deferred.push(Box::new(move || sender.send(number).expect("it is awaited")));
        }
        for number in 0..100 {
            assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(number));
        }
    }
}
