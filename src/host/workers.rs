//! The threads of a host: one for each connection, kept for a moment for the next one.
//!
//! A task goes to the thread that became idle last, whose stack is still in the processor's caches. Where no thread is idle
//! the task waits in a queue, for the first thread that has served its connection, or for a new thread.
//!
//! New threads are made one after the other: a thread that pushes a task makes at most one, and each new thread makes the
//! next before it takes a task itself. Whether it does depends on what happened since it was made or asked last:
//!
//! | more than one task waits, and … | the new thread |
//! |---|---|
//! | no thread that had served a connection took a task, as with streams, which last | makes the next one at once |
//! | such a thread took a task, as with short requests | asks again after 1 ms ([`PACE`]) |
//!
//! So a burst of tasks costs the thread that accepts one creation, and a few threads do many short tasks. The first thread
//! of each leader is made at once ([`Workers::begin`]).
//!
//! The invariants, under one lock: a thread in the list `idle` has no task. While a task waits in the queue, a thread is
//! being made, no thread is idle, and every thread looks into the queue before it becomes idle.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{StopSignal, Wake};
use crate::locks::{lock, Parker};
use crate::threads;

/// How many threads may be idle: as many as a burst that overflows std's backlog leaves behind.
const MAX_IDLE: usize = 256;
/// How long a thread stays idle before it ends. Of connections that come one after the other, the next comes sooner.
const IDLE_TIME: Duration = Duration::from_millis(500);

/// After this time a new thread asks again whether it has to make the next one, as long as other threads take tasks.
const PACE: Duration = Duration::from_millis(1);

/// Work for a thread.
pub(super) trait Task: Send + 'static {
    fn run(self);

    /// Ends the task without running it: there is no thread for it.
    fn give_up(self, error: &io::Error);
}

pub(super) struct Workers<T> {
    stop: StopSignal,
    stack_size: Option<usize>,
    state: Mutex<State<T>>,
}

struct State<T> {
    idle: Vec<Arc<Worker<T>>>,
    queue: VecDeque<T>,
    /// Whether there is a thread that makes others, or is being made.
    is_making: bool,
    /// Whether a thread that had served a connection has taken a task since it was last asked.
    has_taken: bool,
}

impl<T> State<T> {
    fn give_to_idle(&mut self, task: T) -> Result<(), T> {
        match self.idle.pop() {
            Some(worker) => {
                *lock(&worker.task) = Some(task);
                worker.parker.wake();
                Ok(())
            }
            None => Err(task),
        }
    }
}

/// What others need of an idle thread.
struct Worker<T> {
    task: Mutex<Option<T>>,
    parker: Parker,
}

impl<T: Task> Workers<T> {
    /// Threads that end when the stop is requested.
    pub(super) fn new(stop: &StopSignal, stack_size: Option<usize>) -> Arc<Self> {
        let state = State { idle: Vec::new(), queue: VecDeque::new(), is_making: false, has_taken: false };
        let workers = Arc::new(Self { stop: stop.clone(), stack_size, state: Mutex::new(state) });
        let weak: Weak<Self> = Arc::downgrade(&workers);
        stop.wake_on_request(&(weak as Weak<dyn Wake>));
        workers
    }

    /// Gives a task to an idle thread; it comes back where there is none.
    pub(super) fn give(&self, task: T) -> Result<(), T> {
        lock(&self.state).give_to_idle(task)
    }

    /// Has a task run by the next thread that is free, or new. After an error, all tasks of the queue were given up.
    pub(super) fn push(self: &Arc<Self>, task: T) -> io::Result<()> {
        let mut state = lock(&self.state);
        if let Err(task) = state.give_to_idle(task) {
            state.queue.push_back(task);
            if !std::mem::replace(&mut state.is_making, true) {
                drop(state);
                return self.make();
            }
        }
        Ok(())
    }

    /// Makes a thread for each task. The tasks begin when all threads are there; without one of them all are dropped.
    pub(super) fn begin(self: &Arc<Self>, tasks: Vec<T>) -> io::Result<()> {
        let shared = Arc::new(Mutex::new(tasks));
        let mut tasks = lock(&shared);
        for _ in 0..tasks.len() {
            let (workers, shared) = (Arc::clone(self), Arc::clone(&shared));
            let work = move || {
                let first = lock(&shared).pop();
                workers.work(first);
            };
            if let Err(error) = threads::make("brooklet", Box::new(work), self.stack_size) {
                tasks.clear();
                return Err(error);
            }
        }
        Ok(())
    }

    fn make(self: &Arc<Self>) -> io::Result<()> {
        let workers = Arc::clone(self);
        let work = move || {
            let first = workers.first();
            workers.work(first);
        };
        threads::make("brooklet", Box::new(work), self.stack_size).map(drop).map_err(|error| {
            let mut state = lock(&self.state);
            state.is_making = false;
            let stranded = std::mem::take(&mut state.queue);
            drop(state);
            stranded.into_iter().for_each(|task| task.give_up(&error));
            error
        })
    }

    fn work(&self, mut next: Option<T>) {
        let worker = Arc::new(Worker { task: Mutex::new(None), parker: Parker::default() });
        while let Some(task) = next.take().or_else(|| self.next(&worker)) {
            task.run();
        }
    }

    /// The first task for a new thread, which makes the next thread before, if that is needed.
    fn first(self: &Arc<Self>) -> Option<T> {
        loop {
            let mut state = lock(&self.state);
            let is_last = state.queue.len() <= 1;
            if is_last || !std::mem::take(&mut state.has_taken) {
                let task = state.queue.pop_front();
                state.is_making = !is_last;
                drop(state);
                if !is_last {
                    let _ = self.make(); // where it fails, it has given the tasks up
                }
                return task;
            }
            drop(state);
            thread::sleep(PACE);
        }
    }

    /// The next task for a thread; `None` when it is to end.
    #[inline(never)] // see `serve`
    fn next(&self, worker: &Arc<Worker<T>>) -> Option<T> {
        let mut state = lock(&self.state);
        let queued = state.queue.pop_front();
        state.has_taken |= queued.is_some();
        if queued.is_some() || state.idle.len() >= MAX_IDLE {
            return queued;
        }
        state.idle.push(Arc::clone(worker));
        drop(state);
        let deadline = Instant::now() + IDLE_TIME;
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let is_over = remaining.is_zero() || self.stop.is_requested();
            let mut state = lock(&self.state);
            match state.idle.iter().rposition(|other| Arc::ptr_eq(other, worker)) {
                None => return lock(&worker.task).take(),
                Some(at) if is_over => {
                    state.idle.remove(at);
                    return None;
                }
                Some(_) => drop(state),
            }
            worker.parker.park(remaining, || self.stop.is_requested() || lock(&worker.task).is_some());
        }
    }
}

impl<T: Task> Wake for Workers<T> {
    fn wake(&self) {
        for worker in &lock(&self.state).idle {
            worker.parker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::{mpsc, Barrier};

    const HANGS: Duration = Duration::from_secs(60);
    /// A stack that no system has room for. (Wine does not survive the largest number of 64 bits.)
    const TOO_LARGE: usize = usize::MAX / if usize::BITS == 64 { 16 } else { 1 } - 0xffff;

    struct Call(Box<dyn FnOnce() + Send>);

    impl Task for Call {
        fn run(self) {
            (self.0)();
        }

        fn give_up(self, error: &io::Error) {
            assert!(!error.to_string().is_empty());
        }
    }

    fn workers(stack_size: Option<usize>) -> Arc<Workers<Call>> {
        Workers::new(&StopSignal::default(), stack_size)
    }

    #[test]
    fn threads_are_used_again() {
        let workers = workers(None);
        let (sender, receiver) = mpsc::channel();
        let mut threads = HashSet::new();
        for _ in 0..1000 {
            let sender = sender.clone();
            let call = move || sender.send(thread::current().id()).expect("it is awaited");
            assert!(workers.push(Call(Box::new(call))).is_ok());
            threads.insert(receiver.recv_timeout(HANGS).expect("the task is run"));
        }
        assert!(threads.len() <= 20, "{} threads for one task at a time", threads.len());
    }

    #[test]
    fn tasks_that_wait_for_each_other_all_begin() {
        let workers = workers(None);
        let all = Arc::new(Barrier::new(100));
        let (sender, receiver) = mpsc::channel();
        for _ in 0..100 {
            let (all, sender) = (Arc::clone(&all), sender.clone());
            let call = move || {
                all.wait();
                sender.send(()).expect("it is awaited");
            };
            assert!(workers.push(Call(Box::new(call))).is_ok());
        }
        for _ in 0..100 {
            receiver.recv_timeout(HANGS).expect("the task is run");
        }
    }

    #[test]
    fn without_threads_tasks_are_given_up() {
        let held = Arc::new(());
        let workers = workers(Some(TOO_LARGE));
        for _ in 0..2 {
            let held = Arc::clone(&held);
            assert!(workers.push(Call(Box::new(move || drop(held)))).is_err());
        }
        let state = lock(&workers.state);
        assert!(state.queue.is_empty() && !state.is_making && Arc::strong_count(&held) == 1);
    }

    /// A leader gets its own thread, also while another thread is being made.
    #[test]
    fn a_task_that_needs_a_thread_at_once() {
        let workers = workers(Some(TOO_LARGE));
        lock(&workers.state).is_making = true;
        assert!(workers.begin(vec![Call(Box::new(|| {}))]).is_err());
    }

    #[test]
    fn an_idle_thread_is_given_a_task() {
        let workers = workers(None);
        let (sender, receiver) = mpsc::channel();
        let call = |number: i32| {
            let sender = sender.clone();
            Call(Box::new(move || sender.send(number).expect("it is awaited")))
        };
        let mut task = call(2);
        let started = Instant::now();
        while let Err(again) = workers.give(task) {
            task = again;
            assert!(started.elapsed() < HANGS, "no thread became idle");
            // It may have ended before it was given the task: there is another one then.
            workers.push(call(1)).expect("there are threads to be had");
            assert_eq!(receiver.recv_timeout(HANGS), Ok(1));
        }
        assert_eq!(receiver.recv_timeout(HANGS), Ok(2));
    }

    /// The threads hold the pool, so it is gone when they have ended.
    #[test]
    fn a_stop_ends_idle_threads() {
        let stop = StopSignal::default();
        let workers = Workers::new(&stop, None);
        let (sender, receiver) = mpsc::channel::<()>();
        assert!(workers.push(Call(Box::new(move || drop(sender)))).is_ok());
        assert!(receiver.recv_timeout(HANGS).is_err());
        stop.request();
        let (weak, started) = (Arc::downgrade(&workers), Instant::now());
        drop(workers);
        while weak.strong_count() > 0 {
            assert!(started.elapsed() < HANGS, "a thread did not end");
            thread::yield_now();
        }
    }
}
