//! The threads that serve connections, kept for a while for the next one.
//!
//! Making a thread costs as much as serving a small request. The one that was parked last is taken first, since its
//! stack is warm, and the others go when nobody needs them.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::stats::Counters;
use crate::locks::lock;

/// How many threads may wait for work: as many as a burst that overflows std's backlog leaves behind.
const MAX_PARKED: usize = 256;
/// And for how long: connections that come one after the other come sooner.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long whoever makes threads waits before it looks whether they are needed.
const PACE: Duration = Duration::from_millis(1);
/// And how many it makes at once: as long as nobody has been answered, which is enough for the few connections of one
/// browser, and at most.
const FEW_AT_ONCE: usize = 8;
const MOST_AT_ONCE: usize = 64;

/// What may wait to be done by a thread other than the one that accepts: listeners that block are told no more.
const MAX_FOLLOW_UPS: usize = 1024;

pub(super) type Job = Box<dyn FnOnce() + Send>;

pub(super) struct Crew {
    counters: Arc<Counters>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    parked: Vec<Arc<Berth>>,
    /// Connections that wait for a thread: as many at most as there are places.
    queue: VecDeque<Job>,
    /// How many of them were taken by threads that had served others.
    taken: usize,
    /// Whether somebody makes threads for them.
    is_growing: bool,
    /// Why there was no thread for those in the queue, until somebody can be told.
    trouble: Option<io::Error>,
    is_dismissed: bool,
    /// What has to be done after others, in its order, by one thread at a time.
    follow_ups: VecDeque<Job>,
    is_following_up: bool,
}

/// Where a parked thread finds its next job.
struct Berth {
    job: Mutex<Option<Job>>,
    thread: Thread,
}

impl Crew {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { counters, state: Mutex::default() }
    }

    /// Has a connection served, by a parked thread if there is one, else by a new one. An error may be that of earlier
    /// ones; this one is served then all the same.
    pub(super) fn assign(self: &Arc<Self>, job: Job, stack_size: Option<usize>) -> io::Result<()> {
        let job = match self.assign_to_parked(job) {
            Ok(()) => return Ok(()),
            Err(job) => job,
        };
        let mut state = self.state();
        let earlier = state.trouble.take().map_or(Ok(()), Err);
        state.queue.push_back(job);
        if std::mem::replace(&mut state.is_growing, true) {
            return earlier;
        }
        drop(state);
        let crew = Arc::clone(self);
        let work = move || {
            if let Some(job) = crew.grow(stack_size) {
                crew.work(job);
            }
        };
        make_thread("brooklet", Box::new(work), stack_size).map_err(|error| {
            self.give_up();
            error
        })?;
        earlier
    }

    /// Makes threads as long as more connections wait than this one can serve itself, which it takes in the end: one
    /// at a time while others take some as well; ever more where requests are answered and nobody comes back, as with
    /// streams; a few while no request has come yet, since more would wait for their clients as well.
    ///
    /// So in a burst whoever accepts does nothing but that.
    fn grow(self: &Arc<Self>, stack_size: Option<usize>) -> Option<Job> {
        let mut count = FEW_AT_ONCE;
        let mut answered = self.counters.answered.value();
        loop {
            let mut state = self.state();
            let taken = std::mem::take(&mut state.taken);
            let others = state.queue.len().saturating_sub(1);
            if others == 0 {
                state.is_growing = false;
                return state.queue.pop_front();
            }
            if taken > 0 {
                count = 1;
            }
            drop(state);
            for _ in 0..count {
                let job = match self.next_of_several() {
                    Some(job) => job,
                    None => break,
                };
                if let Err(error) = self.employ(job, stack_size) {
                    let own = self.state().queue.pop_front();
                    self.give_up();
                    self.state().trouble = Some(error);
                    return own;
                }
            }
            if count < others {
                thread::sleep(PACE);
                let before = std::mem::replace(&mut answered, self.counters.answered.value());
                count = match answered > before {
                    true => (2 * count).min(MOST_AT_ONCE),
                    false => FEW_AT_ONCE,
                };
            }
        }
    }

    /// The first of the queue, unless it is the only one.
    fn next_of_several(&self) -> Option<Job> {
        let mut state = self.state();
        match state.queue.len() {
            0 | 1 => None,
            _ => state.queue.pop_front(),
        }
    }

    /// There are no threads for those who wait for one.
    fn give_up(&self) {
        let mut state = self.state();
        state.is_growing = false;
        let stranded = std::mem::take(&mut state.queue);
        drop(state);
        drop(stranded); // without the lock: it closes connections
    }

    /// Whether somebody waits for a thread.
    pub(super) fn is_wanted(&self) -> bool {
        !self.state().queue.is_empty()
    }

    fn assign_to_parked(&self, job: Job) -> Result<(), Job> {
        let mut state = self.state();
        let berth = match state.parked.pop() {
            Some(berth) => berth,
            None => return Err(job),
        };
        // Under the lock: a thread that is not parked any more has its job, or there is none.
        *berth.job() = Some(job);
        drop(state);
        berth.thread.unpark();
        Ok(())
    }

    /// Has something done soon, after all that was to be done soon before, and not by the calling thread unless there
    /// is no other.
    pub(super) fn follow_up(self: &Arc<Self>, job: Job) {
        self.state().follow_ups.push_back(job);
        if !self.begin_to_follow_up() {
            self.follow_all_up();
        }
    }

    /// The same for a thread that must not do it: it is done when there is another, or not at all where too much has to
    /// be done already.
    pub(super) fn follow_up_elsewhere(self: &Arc<Self>, job: Job) {
        let mut state = self.state();
        if state.follow_ups.len() >= MAX_FOLLOW_UPS {
            return;
        }
        state.follow_ups.push_back(job);
        drop(state);
        if !self.begin_to_follow_up() {
            self.state().is_following_up = false;
        }
    }

    /// Whoever follows up now is about to wait for what follows, in a stop: somebody else does the rest.
    pub(super) fn let_others_follow_up(self: &Arc<Self>) {
        let mut state = self.state();
        state.is_following_up = false;
        let has_more = !state.follow_ups.is_empty();
        drop(state);
        if has_more && !self.begin_to_follow_up() {
            self.follow_all_up();
        }
    }

    /// Whether there is a thread for it.
    fn begin_to_follow_up(self: &Arc<Self>) -> bool {
        if std::mem::replace(&mut self.state().is_following_up, true) {
            return true;
        }
        let crew = Arc::clone(self);
        let job = match self.assign_to_parked(Box::new(move || crew.follow_all_up())) {
            Ok(()) => return true,
            Err(job) => job,
        };
        // A thread of its own, which serves nobody: its stack may not be what connections were promised.
        make_thread("brooklet", job, None).is_ok()
    }

    fn follow_all_up(&self) {
        loop {
            let mut state = self.state();
            let job = match state.follow_ups.pop_front() {
                Some(job) => job,
                None => {
                    state.is_following_up = false;
                    return;
                }
            };
            drop(state);
            job();
        }
    }

    /// Sends home whoever waits for work, and soon those who have some.
    pub(super) fn dismiss(&self) {
        let mut state = self.state();
        state.is_dismissed = true;
        for berth in std::mem::take(&mut state.parked) {
            berth.thread.unpark();
        }
    }

    /// A thread more, which begins with this job.
    fn employ(self: &Arc<Self>, job: Job, stack_size: Option<usize>) -> io::Result<()> {
        let crew = Arc::clone(self);
        make_thread("brooklet", Box::new(move || crew.work(job)), stack_size)
    }

    fn work(&self, mut job: Job) {
        let berth = Arc::new(Berth { job: Mutex::new(None), thread: thread::current() });
        loop {
            job();
            job = match self.park(&berth) {
                Some(next) => next,
                None => return,
            };
        }
    }

    /// Waits for the next job; `None` when it is time to go.
    fn park(&self, berth: &Arc<Berth>) -> Option<Job> {
        {
            let mut state = self.state();
            if let Some(job) = state.queue.pop_front() {
                state.taken += 1;
                return Some(job);
            }
            if state.is_dismissed || state.parked.len() >= MAX_PARKED {
                return None;
            }
            state.parked.push(Arc::clone(berth));
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let mut state = self.state();
            match state.parked.iter().position(|parked| Arc::ptr_eq(parked, berth)) {
                None => return berth.job().take(),
                Some(at) if remaining.is_zero() => {
                    state.parked.remove(at);
                    return None;
                }
                Some(_) => drop(state),
            }
            thread::park_timeout(remaining);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A box for each, or all that std does to make a thread would be there for each kind of work.
pub(super) fn make_thread(name: &str, work: Job, stack_size: Option<usize>) -> io::Result<()> {
    let mut builder = thread::Builder::new().name(String::from(name));
    if let Some(bytes) = stack_size {
        builder = builder.stack_size(bytes);
    }
    builder.spawn(work).map(drop)
}

impl Berth {
    fn job(&self) -> MutexGuard<'_, Option<Job>> {
        lock(&self.job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A stack that no system has room for. (Wine does not survive the largest number of 64 bits.)
    const TOO_LARGE: usize = usize::MAX / if usize::BITS == 64 { 16 } else { 1 } - 0xffff;

    #[test]
    fn every_job_is_done_and_threads_are_used_again() {
        let crew = Arc::new(Crew::new(Arc::default()));
        let (sender, receiver) = mpsc::channel();
        let mut threads = std::collections::HashSet::new();
        for _ in 0..200 {
            let sender = sender.clone();
            crew.assign(Box::new(move || sender.send(thread::current().id()).expect("it is awaited")), None)
                .expect("there are threads to be had");
            threads.insert(receiver.recv_timeout(Duration::from_secs(60)).expect("the job is done"));
        }
        assert!(threads.len() <= 10, "{} threads for one job at a time", threads.len());
        crew.dismiss();
        assert!(crew.state().parked.is_empty());
    }

    #[test]
    fn jobs_that_wait_for_each_other_all_begin() {
        let crew = Arc::new(Crew::new(Arc::default()));
        let everybody = Arc::new(std::sync::Barrier::new(100));
        let (sender, receiver) = mpsc::channel();
        for _ in 0..100 {
            let (everybody, sender) = (Arc::clone(&everybody), sender.clone());
            let job = move || {
                everybody.wait();
                sender.send(()).expect("it is awaited");
            };
            crew.assign(Box::new(job), None).expect("there are threads to be had");
        }
        for _ in 0..100 {
            receiver.recv_timeout(Duration::from_secs(60)).expect("the job is done");
        }
    }

    #[test]
    fn without_threads_there_is_an_error_until_there_are_some() {
        let crew = Arc::new(Crew::new(Arc::default()));
        for _ in 0..2 {
            assert!(crew.assign(Box::new(|| ()), Some(TOO_LARGE)).is_err());
        }
        let (sender, receiver) = mpsc::channel();
        crew.assign(Box::new(move || sender.send(()).expect("it is awaited")), None).expect("a small stack");
        receiver.recv_timeout(Duration::from_secs(60)).expect("the job is done");
    }

    #[test]
    fn whoever_can_make_no_threads_serves_one_itself() {
        let crew = Arc::new(Crew::new(Arc::default()));
        let dropped = Arc::new(());
        for _ in 0..3 {
            let held = Arc::clone(&dropped);
            crew.state().queue.push_back(Box::new(move || drop(held)));
        }
        crew.state().is_growing = true;
        let own = crew.grow(Some(TOO_LARGE));
        assert_eq!((own.is_some(), Arc::strong_count(&dropped)), (true, 2)); // the other two were let go
        assert!(crew.assign(Box::new(|| ()), None).is_err(), "somebody has to hear of it");
    }

    #[test]
    fn what_follows_is_done_in_its_order() {
        let crew = Arc::new(Crew::new(Arc::default()));
        let (sender, receiver) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            crew.follow_up(Box::new(move || sender.send(number).expect("it is awaited")));
        }
        for number in 0..100 {
            assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(number));
        }
        assert!(crew.state().parked.is_empty(), "that thread serves nobody");
    }
}
