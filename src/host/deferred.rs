//! Jobs for another thread than the one that has them: calls of log listeners. They are done in order, one at a time.
//! When a stop is called on the queue's own thread, by a listener say, a second thread goes on with the queue.

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
        let mut state = lock(&self.state);
        state.queue.push_back(job);
        self.begin_or_work(state);
    }

    /// Has a job done by another thread than the calling one: as soon as there is one, or not at all where too many
    /// jobs wait.
    pub(super) fn push_elsewhere(self: &Arc<Self>, job: Job) {
        let mut state = lock(&self.state);
        if state.queue.len() < MAX_DEFERRED {
            state.queue.push_back(job);
            self.begin(&mut state);
        }
    }

    pub(super) fn set_stack_size(&self, bytes: Option<usize>) {
        lock(&self.state).stack_size = bytes;
    }

    /// The calling thread may be that of the queue, and is about to wait for what is in it: another one goes on.
    pub(super) fn let_others_go_on(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.has_thread = false;
        if !state.queue.is_empty() {
            self.begin_or_work(state);
        }
    }

    fn begin_or_work(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        self.begin(&mut state);
        let is_by_caller = !std::mem::replace(&mut state.has_thread, true);
        drop(state);
        if is_by_caller {
            self.work();
        }
    }

    /// Makes the thread if there is none, under the lock: or a job might come meanwhile, and rely on a thread that cannot
    /// be had.
    fn begin(self: &Arc<Self>, state: &mut State) {
        if !state.has_thread {
            let deferred = Arc::clone(self);
            let made = threads::make("brooklet-log", Box::new(move || deferred.work()), state.stack_size);
            state.has_thread = made.is_ok();
        }
    }

    fn work(&self) {
        loop {
            let mut state = lock(&self.state);
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
