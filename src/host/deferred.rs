//! Jobs for another thread than the one that has them: calls of log listeners. They are done in order, one at a time.
//! When a stop is called by a job, a log listener say, another thread goes on with the queue, and the job's own thread ends
//! after that job.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use crate::locks::lock;
use crate::threads::{self, Work};

/// How many jobs of the thread that accepts may wait. While a listener blocks and as many wait, further ones are dropped.
const MAX_DEFERRED: usize = 1024;

/// A queue with a thread of its own as long as there is something in it.
#[derive(Default)]
pub(super) struct Deferred {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    /// The thread that does them, if there is one.
    worker: Option<ThreadId>,
}

impl Deferred {
    /// Has a job done soon, after all that were given before. Where no thread can be had, the caller does it.
    pub(super) fn push(self: &Arc<Self>, job: Work) {
        let mut state = lock(&self.state);
        state.queue.push_back(job);
        self.begin_or_work(state);
    }

    /// Has a job done by another thread than the calling one: as soon as there is one, or not at all where too many
    /// jobs wait.
    pub(super) fn push_elsewhere(self: &Arc<Self>, job: Work) {
        let mut state = lock(&self.state);
        if state.queue.len() < MAX_DEFERRED {
            state.queue.push_back(job);
            self.begin(&mut state);
        }
    }

    /// The calling thread is about to wait for what is in the queue. Where it is the queue's own, another one goes on.
    pub(super) fn let_others_go_on(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        if state.worker != Some(thread::current().id()) {
            return;
        }
        state.worker = None;
        if !state.queue.is_empty() {
            self.begin_or_work(state);
        }
    }

    fn begin_or_work(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        self.begin(&mut state);
        let is_by_caller = state.worker.is_none();
        state.worker.get_or_insert_with(|| thread::current().id());
        drop(state);
        if is_by_caller {
            self.work();
        }
    }

    /// Makes the thread if there is none, under the lock: or a job might come meanwhile, and rely on a thread that cannot
    /// be had.
    fn begin(self: &Arc<Self>, state: &mut State) {
        if state.worker.is_none() {
            let deferred = Arc::clone(self);
            state.worker = threads::make_shared("brooklet-log", Box::new(move || deferred.work())).ok();
        }
    }

    fn work(&self) {
        let own = Some(thread::current().id());
        let mut state = lock(&self.state);
        while state.worker == own {
            match state.queue.pop_front() {
                Some(job) => {
                    drop(state);
                    job();
                    state = lock(&self.state);
                }
                None => state.worker = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    const HANGS: Duration = Duration::from_secs(60);

    #[test]
    fn jobs_are_done_in_their_order() {
        let deferred = Arc::new(Deferred::default());
        let (sender, receiver) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            deferred.push(Box::new(move || sender.send(number).expect("it is awaited")));
        }
        for number in 0..100 {
            assert_eq!(receiver.recv_timeout(HANGS), Ok(number));
        }
    }

    /// One at a time, also where a stop is called by a thread that has nothing to do with the queue.
    #[test]
    fn a_stop_elsewhere_makes_no_second_thread() {
        let deferred = Arc::new(Deferred::default());
        let (begun, beginning) = mpsc::channel();
        let (go_on, going_on) = mpsc::channel::<()>();
        let (sender, receiver) = mpsc::channel();
        deferred.push(Box::new(move || {
            begun.send(thread::current().id()).expect("it is awaited");
            let _ = going_on.recv();
        }));
        let worker = beginning.recv_timeout(HANGS).expect("there is a thread");
        deferred.push(Box::new(move || sender.send(thread::current().id()).expect("it is awaited")));
        deferred.let_others_go_on();
        assert_eq!(lock(&deferred.state).worker, Some(worker));
        drop(go_on);
        assert_eq!(receiver.recv_timeout(HANGS), Ok(worker));
    }
}
