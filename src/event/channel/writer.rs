//! The threads that send to subscribers: each serves a share of them, and none waits for any.
//!
//! A writer sleeps until there is something new, a subscriber to look after or a full socket to try again. It ends
//! when it has nobody left to serve.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::shared::{Shared, State};
use super::subscriber::{Outcome, Subscriber, View};
use crate::locks::lock;

/// More would not help: the work is system calls.
const MAX_SHARDS: usize = 4;
/// How often subscribers are looked after.
const TEND: Duration = Duration::from_secs(1);

/// One writer's share of the subscribers.
#[derive(Default)]
pub(super) struct Shard {
    inbox: Mutex<Inbox>,
    subscribers: AtomicUsize,
}

/// A subscriber that no writer has served yet. Until one has, it says itself how far it is.
struct Newcomer {
    reporter: u64,
    subscriber: Subscriber,
}

#[derive(Default)]
struct Inbox {
    newcomers: Vec<Newcomer>,
    is_running: bool,
}

/// As many as there are processors, within reason.
pub(super) fn shards() -> Vec<Shard> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    (0..processors.min(MAX_SHARDS)).map(|_| Shard::default()).collect()
}

impl Shard {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.inbox)
    }
}

impl Shared {
    /// Hands a subscriber to the writer that has the fewest.
    pub(super) fn hand_over(self: &Arc<Self>, subscriber: Subscriber) {
        let load = |shard: &Shard| shard.subscribers.load(Ordering::Relaxed);
        let index = (0..self.shards.len()).min_by_key(|index| load(&self.shards[*index])).unwrap_or(0);
        let shard = &self.shards[index];
        shard.subscribers.fetch_add(1, Ordering::Relaxed);
        let reporter = self.new_reporter();
        self.state().report(reporter, Some(subscriber.cursor()));
        let mut inbox = shard.inbox();
        inbox.newcomers.push(Newcomer { reporter, subscriber });
        if std::mem::replace(&mut inbox.is_running, true) {
            drop(inbox);
            self.state().calls += 1;
            return self.news.notify_all();
        }
        drop(inbox);
        let shared = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name(String::from("brooklet-channel"))
            .spawn(move || Writer::new(shared, index).run());
        if spawned.is_err() {
            // No thread to be had: this one has nothing else to do, it was a connection's. That one stays open until
            // nobody follows any more.
            Writer::new(Arc::clone(self), index).run();
        }
    }
}

/// The two lists of a writer.
#[derive(Debug, Clone, Copy)]
enum List {
    Served,
    Blocked,
}

struct Writer {
    shared: Arc<Shared>,
    index: usize,
    /// They have everything that is in view.
    served: Vec<Subscriber>,
    /// Their sockets are full.
    blocked: Vec<Subscriber>,
    /// Newcomers that have been served, and need not report themselves any more.
    arrived: Vec<u64>,
    view: View,
    calls: u64,
    alarms: u64,
    tend_every: Duration,
    tend_at: Instant,
}

impl Writer {
    fn new(shared: Arc<Shared>, index: usize) -> Self {
        Self {
            shared,
            index,
            served: Vec::new(),
            blocked: Vec::new(),
            arrived: Vec::new(),
            view: View::default(),
            calls: 0,
            alarms: 0,
            tend_every: TEND,
            tend_at: Instant::now() + TEND,
        }
    }

    fn run(mut self) {
        while let Some(newcomers) = self.take_newcomers() {
            let has_news = self.look_up(&newcomers);
            let now = Instant::now();
            self.serve_newcomers(newcomers, now);
            if has_news {
                self.serve_all(now);
            }
            self.try_blocked(now);
            if now >= self.tend_at {
                self.tend_at = now + self.tend_every;
                self.tend(now);
            }
        }
    }

    /// `None` when this writer has nobody left, and has said so.
    fn take_newcomers(&mut self) -> Option<Vec<Newcomer>> {
        let shared = Arc::clone(&self.shared);
        let mut inbox = shared.shards[self.index].inbox();
        let newcomers = std::mem::take(&mut inbox.newcomers);
        if newcomers.is_empty() && self.served.is_empty() && self.blocked.is_empty() {
            inbox.is_running = false;
            self.report(&mut shared.state(), None);
            return None;
        }
        Some(newcomers)
    }

    /// Says how far everybody is, waits until there is something to do, and returns whether that is news to all.
    fn look_up(&mut self, newcomers: &[Newcomer]) -> bool {
        let shared = Arc::clone(&self.shared);
        let wake_at = self.blocked.iter().filter_map(Subscriber::retry_at).fold(self.tend_at, Instant::min);
        let slowest = self.blocked.iter().map(Subscriber::cursor).fold(self.view.next, u64::min);
        let has_anybody = !self.served.is_empty() || !self.blocked.is_empty();

        let mut state = shared.state();
        self.report(&mut state, has_anybody.then_some(slowest));
        while newcomers.is_empty()
            && state.log.next() == self.view.next
            && (state.calls, state.alarms) == (self.calls, self.alarms)
        {
            let remaining = wake_at.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                break;
            }
            state = shared.wait_for_news(state, remaining);
        }
        let has_news = state.log.next() != self.view.next || state.alarms != self.alarms;
        (self.calls, self.alarms) = (state.calls, state.alarms);
        state.log.seal();
        let newcomers = newcomers.iter().map(|newcomer| newcomer.subscriber.cursor());
        let slowest = if has_anybody { slowest } else { state.log.next() };
        self.view.update(&state, newcomers.fold(slowest, u64::min));
        has_news
    }

    fn report(&mut self, state: &mut State, slowest: Option<u64>) {
        state.report(self.index as u64, slowest);
        for reporter in self.arrived.drain(..) {
            state.report(reporter, None);
        }
        if state.waiting > 0 {
            self.shared.progress.notify_all();
        }
    }

    fn serve_newcomers(&mut self, newcomers: Vec<Newcomer>, now: Instant) {
        for Newcomer { reporter, mut subscriber } in newcomers {
            self.arrived.push(reporter);
            if let Some(interval) = subscriber.keep_alive() {
                self.tend_every = self.tend_every.min(interval);
                self.tend_at = self.tend_at.min(now + self.tend_every);
            }
            let outcome = subscriber.serve(&mut self.view, &self.shared.settings, now);
            self.sort(subscriber, outcome);
        }
    }

    fn serve_all(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        self.visit(List::Served, |subscriber, view| subscriber.serve(view, &shared.settings, now));
    }

    fn try_blocked(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        self.visit(List::Blocked, |subscriber, view| match subscriber.retry_at() {
            Some(retry_at) if retry_at > now => Outcome::Blocked,
            _ => subscriber.serve(view, &shared.settings, now),
        });
    }

    /// Looks after everybody: who has left, and whom to keep alive.
    fn tend(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        // The blocked first: a look unblocks nobody, but a keep-alive may find a socket full.
        for list in [List::Blocked, List::Served] {
            self.visit(list, |subscriber, _| subscriber.tend(&shared.settings, now));
        }
        for list in [&mut self.served, &mut self.blocked] {
            if list.capacity() > list.len() + list.len() / 4 {
                list.shrink_to_fit(); // the memory of those who came and went is given back
            }
        }
    }

    /// Does something with each on a list, and sorts anew whoever no longer belongs there.
    fn visit(&mut self, list: List, mut visit: impl FnMut(&mut Subscriber, &mut View) -> Outcome) {
        let mut at = 0;
        loop {
            let subscribers = match list {
                List::Served => &mut self.served,
                List::Blocked => &mut self.blocked,
            };
            let subscriber = match subscribers.get_mut(at) {
                Some(subscriber) => subscriber,
                None => return,
            };
            match (list, visit(subscriber, &mut self.view)) {
                (List::Served, Outcome::Served) | (List::Blocked, Outcome::Blocked) => at += 1,
                (_, outcome) => {
                    let subscriber = subscribers.swap_remove(at);
                    self.sort(subscriber, outcome);
                }
            }
        }
    }

    fn sort(&mut self, subscriber: Subscriber, outcome: Outcome) {
        let reason = match outcome {
            Outcome::Served => return self.served.push(subscriber),
            Outcome::Blocked => return self.blocked.push(subscriber),
            Outcome::Over(reason) => reason,
        };
        let (reason, request) = subscriber.leave(reason);
        self.shared.shards[self.index].subscribers.fetch_sub(1, Ordering::Relaxed);
        self.shared.subscribers.fetch_sub(1, Ordering::Relaxed);
        if let Some(request) = request {
            self.shared.watchers.tell_left(&request, reason);
        }
    }
}
