//! The threads that send to those who follow channels: a few in the process, shared by all channels.
//!
//! Theory of operation. There are as many slots for writers as processors, [`MAX_WRITERS`] at most. A follower belongs
//! to one slot from the hand-over to its end; a slot has a thread as long as it has followers. What a writer knows of
//! one channel is a [`Crowd`]: its own followers there, and what they see of the log.
//!
//! - A channel has a [`Share`](super::shared::Share) for each slot, under the channel's lock: the newcomers that the
//!   writer has not taken yet, how far its slowest follower is, and whether the channel is on the writer's agenda.
//! - Whoever publishes, joins or closes marks under the channel's lock the shares that have to look (`State::call`),
//!   and afterwards puts the channel on the agendas of those that were not marked yet ([`tell`]). So a channel is on an
//!   agenda once, until its writer has looked, and a flood costs one entry.
//! - The writer takes its agenda. For each channel it clears the mark under the channel's lock, takes the newcomers and
//!   what is new; then it writes without any lock; then it says how far its followers are. What is published meanwhile
//!   marks the share again.
//! - It sleeps on the slot's own lock until the agenda has an entry, a host stops, a full socket is to be tried again,
//!   or some followers are to be looked after. All are looked after once in a second, some in each sixteenth of it.
//! - It ends when it has no follower and the agenda is empty, which it says under the slot's lock: whoever puts a
//!   channel on the agenda afterwards makes the next thread.
//!
//! The locks are taken one at a time, never one under the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::shared::Shared;
use super::subscriber::{Outcome, Subscriber, View};
use crate::http::{CloseReason, StopSignal, Wake};
use crate::locks::{lock, wait};
use crate::panics;

/// More would not help: the work is system calls.
const MAX_WRITERS: usize = 4;
/// How often each follower is looked after, unless it is to be kept alive more often.
const SWEEP: Duration = Duration::from_secs(1);
/// In so many parts: a sweep of thousands at once would delay what is published meanwhile.
const PARTS: u32 = 16;

static SLOTS: [Slot; MAX_WRITERS] = [Slot::new(), Slot::new(), Slot::new(), Slot::new()];

/// One writer's place in the process.
struct Slot {
    inbox: Mutex<Inbox>,
    news: Condvar,
    followers: AtomicUsize,
}

struct Inbox {
    is_running: bool,
    /// The channels that have something for this writer, each once.
    agenda: Vec<Arc<Shared>>,
    /// Whether a host has stopped: all look whether it is theirs.
    is_alarmed: bool,
}

impl Slot {
    const fn new() -> Self {
        let inbox = Inbox { is_running: false, agenda: Vec::new(), is_alarmed: false };
        Self { inbox: Mutex::new(inbox), news: Condvar::new(), followers: AtomicUsize::new(0) }
    }
}

/// How many slots there are. Asking the system takes it a look into files.
fn slots() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    match COUNT.load(Ordering::Relaxed) {
        0 => {
            let count = thread::available_parallelism().map_or(1, usize::from).min(MAX_WRITERS);
            COUNT.store(count, Ordering::Relaxed);
            count
        }
        count => count,
    }
}

/// Wakes all writers when a host stops.
struct Alarm;

impl Wake for Alarm {
    fn wake(&self) {
        for slot in &SLOTS {
            lock(&slot.inbox).is_alarmed = true;
            slot.news.notify_one();
        }
    }
}

/// Has the writers look up when this host stops.
fn wake_on(stop: &StopSignal) {
    static ALARM: Mutex<Option<Arc<Alarm>>> = Mutex::new(None);
    let alarm = Arc::clone(lock(&ALARM).get_or_insert_with(|| Arc::new(Alarm)));
    let alarm: Arc<dyn Wake> = alarm;
    stop.wake_on_request(&Arc::downgrade(&alarm));
}

/// Hands a follower to the writer that has the fewest.
pub(super) fn hand_over(shared: &Arc<Shared>, subscriber: Subscriber) {
    wake_on(subscriber.stop_signal());
    let load = |index: &usize| SLOTS[*index].followers.load(Ordering::Relaxed);
    let index = (0..slots()).min_by_key(load).unwrap_or(0);
    SLOTS[index].followers.fetch_add(1, Ordering::Relaxed);
    let is_called = shared.state().welcome(index, subscriber);
    if is_called {
        put_on_agenda(shared, index);
    }
}

/// Puts a channel on the agendas of the writers that were called, by a bit each.
pub(super) fn tell(shared: &Arc<Shared>, called: u8) {
    for index in (0..MAX_WRITERS).filter(|index| called & (1 << index) != 0) {
        put_on_agenda(shared, index);
    }
}

fn put_on_agenda(shared: &Arc<Shared>, index: usize) {
    let slot = &SLOTS[index];
    let mut inbox = lock(&slot.inbox);
    inbox.agenda.push(Arc::clone(shared));
    if std::mem::replace(&mut inbox.is_running, true) {
        let is_first = inbox.agenda.len() == 1;
        drop(inbox);
        if is_first {
            slot.news.notify_one();
        }
        return;
    }
    drop(inbox);
    let run = move || Writer::new(index).run();
    if thread::Builder::new().name(String::from("brooklet-channel")).spawn(run).is_err() {
        // No thread to be had: this one has nothing else to do, it was a connection's. That one stays open until
        // nobody follows any more.
        Writer::new(index).run();
    }
}

/// A writer's followers of one channel.
struct Crowd {
    shared: Arc<Shared>,
    /// The slot of its writer.
    index: usize,
    /// They have everything that is in view.
    served: Vec<Subscriber>,
    /// Their sockets are full.
    blocked: Vec<Subscriber>,
    view: View,
    is_closed: bool,
}

/// The two lists of a crowd.
#[derive(Debug, Clone, Copy)]
enum List {
    Served,
    Blocked,
}

struct Writer {
    index: usize,
    /// By the address of what the channel's handles share, which the crowd keeps alive.
    crowds: HashMap<usize, Crowd>,
    /// When the first of those with full sockets is to be tried again.
    retry_at: Option<Instant>,
    sweep: Sweep,
}

/// Looking after everybody, part by part.
struct Sweep {
    every: Duration,
    next_at: Instant,
    /// The crowds whose followers are still to be looked after, and how many of the first of them are left.
    crowds: Vec<usize>,
    left: Option<usize>,
    /// How many are looked after in one part.
    share: usize,
}

fn address(shared: &Arc<Shared>) -> usize {
    Arc::as_ptr(shared) as usize
}

impl Writer {
    fn new(index: usize) -> Self {
        let next_at = Instant::now() + SWEEP / PARTS;
        let sweep = Sweep { every: SWEEP, next_at, crowds: Vec::new(), left: None, share: 0 };
        Self { index, crowds: HashMap::new(), retry_at: None, sweep }
    }

    fn run(mut self) {
        let mut agenda = Vec::new();
        while let Some(is_alarmed) = self.next_agenda(&mut agenda) {
            let now = Instant::now();
            for shared in agenda.drain(..) {
                self.visit(&shared, now);
            }
            if is_alarmed {
                self.visit_all(|crowd| crowd.serve_all(now));
            }
            if matches!(self.retry_at, Some(retry_at) if retry_at <= now) {
                self.retry_at = None;
                self.visit_all(|crowd| crowd.try_blocked(now));
            }
            if self.sweep.next_at <= now {
                self.sweep(now);
            }
        }
    }

    /// Waits until there is something to do, and returns whether a host has stopped; `None` when nobody is left.
    fn next_agenda(&mut self, agenda: &mut Vec<Arc<Shared>>) -> Option<bool> {
        let slot = &SLOTS[self.index];
        let wake_at = self.retry_at.map_or(self.sweep.next_at, |retry_at| retry_at.min(self.sweep.next_at));
        let mut inbox = lock(&slot.inbox);
        while inbox.agenda.is_empty() && !inbox.is_alarmed {
            if self.crowds.is_empty() {
                inbox.is_running = false;
                inbox.agenda = Vec::new();
                return None;
            }
            let remaining = wake_at.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                break;
            }
            inbox = wait(&slot.news, inbox, remaining);
        }
        std::mem::swap(&mut inbox.agenda, agenda);
        Some(std::mem::take(&mut inbox.is_alarmed))
    }

    /// Looks at a channel that has something.
    fn visit(&mut self, shared: &Arc<Shared>, now: Instant) {
        let key = address(shared);
        let crowd = self.crowds.entry(key).or_insert_with(|| Crowd::new(shared, self.index));
        let (newcomers, has_news) = crowd.look();
        for mut subscriber in newcomers {
            let keep_alive = subscriber.keep_alive().unwrap_or(SWEEP);
            if keep_alive < self.sweep.every {
                self.sweep.every = keep_alive;
                self.sweep.next_at = self.sweep.next_at.min(now + keep_alive / PARTS);
            }
            let outcome = guarded(|| subscriber.serve(&mut crowd.view, &shared.settings, now));
            crowd.sort(subscriber, outcome);
        }
        if has_news {
            crowd.serve_all(now);
        }
        self.settle(key);
    }

    /// Does something with each crowd.
    fn visit_all(&mut self, visit: impl Fn(&mut Crowd)) {
        let keys: Vec<_> = self.crowds.keys().copied().collect();
        for key in keys {
            if let Some(crowd) = self.crowds.get_mut(&key) {
                visit(crowd);
            }
            self.settle(key);
        }
    }

    /// Says how far a crowd is, notes when to come back to it, and forgets it when nobody is left.
    fn settle(&mut self, key: usize) {
        let crowd = match self.crowds.get(&key) {
            Some(crowd) => crowd,
            None => return,
        };
        let first_retry = crowd.blocked.iter().filter_map(Subscriber::retry_at).min();
        self.retry_at = self.retry_at.into_iter().chain(first_retry).min();
        crowd.report();
        if crowd.served.is_empty() && crowd.blocked.is_empty() {
            self.crowds.remove(&key);
        }
    }

    /// Looks after some: who has left, and whom to keep alive.
    fn sweep(&mut self, now: Instant) {
        if self.sweep.crowds.is_empty() {
            let everybody = self.crowds.values().flat_map(|crowd| crowd.served.iter().chain(&crowd.blocked));
            let intervals = everybody.clone().filter_map(Subscriber::keep_alive);
            self.sweep.every = intervals.fold(SWEEP, Duration::min);
            self.sweep.share = everybody.count() / PARTS as usize + 1;
            self.sweep.crowds = self.crowds.keys().copied().collect();
            self.sweep.left = None;
        }
        self.sweep.next_at = now + self.sweep.every / PARTS;
        let mut budget = self.sweep.share;
        while let (true, Some(key)) = (budget > 0, self.sweep.crowds.last().copied()) {
            let left = match self.crowds.get_mut(&key) {
                Some(crowd) => crowd.tend(self.sweep.left, &mut budget, now),
                None => 0,
            };
            self.sweep.left = Some(left);
            if left == 0 {
                self.sweep.crowds.pop();
                self.sweep.left = None;
            }
            self.settle(key);
        }
    }
}

impl Crowd {
    fn new(shared: &Arc<Shared>, index: usize) -> Self {
        Self {
            shared: Arc::clone(shared),
            index,
            served: Vec::new(),
            blocked: Vec::new(),
            view: View::default(),
            is_closed: false,
        }
    }

    /// Takes what is new into view: the newcomers, and whether there is something for everybody.
    fn look(&mut self) -> (Vec<Subscriber>, bool) {
        let slowest = self.slowest();
        let mut state = self.shared.state();
        let newcomers = state.answer(self.index);
        let next = state.log.next();
        let has_news = next != self.view.next || state.is_closed != self.is_closed;
        self.is_closed = state.is_closed;
        state.log.seal();
        let needed = newcomers.iter().map(Subscriber::cursor).fold(slowest.unwrap_or(next), u64::min);
        self.view.update(&state, needed);
        // Until they are served, those who have just come count as well.
        state.shares[self.index].slowest = Some(needed);
        (newcomers, has_news)
    }

    /// The first event that somebody here has not got yet; none where nobody is.
    fn slowest(&self) -> Option<u64> {
        let served = (!self.served.is_empty()).then_some(self.view.next);
        self.blocked.iter().map(Subscriber::cursor).chain(served).min()
    }

    fn report(&self) {
        let mut state = self.shared.state();
        state.shares[self.index].slowest = self.slowest();
        if state.waiting > 0 {
            self.shared.progress.notify_all();
        }
    }

    fn serve_all(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        self.each(List::Served, |subscriber, view| subscriber.serve(view, &shared.settings, now));
    }

    fn try_blocked(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        self.each(List::Blocked, |subscriber, view| match subscriber.retry_at() {
            Some(retry_at) if retry_at > now => Outcome::Blocked,
            _ => subscriber.serve(view, &shared.settings, now),
        });
    }

    /// Looks after some of those who are here, from the back, and returns how many are left.
    fn tend(&mut self, left: Option<usize>, budget: &mut usize, now: Instant) -> usize {
        let all = self.served.len() + self.blocked.len();
        let mut left = left.map_or(all, |left| left.min(all));
        let shared = Arc::clone(&self.shared);
        while left > 0 && *budget > 0 {
            left -= 1;
            *budget -= 1;
            // From the back of each list: who takes the place of one that leaves has been looked after.
            let (list, at) = match left.checked_sub(self.served.len()) {
                Some(at) => (List::Blocked, at),
                None => (List::Served, left),
            };
            self.look_at(list, at, &mut |subscriber, _| subscriber.tend(&shared.settings, now));
        }
        left
    }

    /// Does something with each on a list.
    fn each(&mut self, list: List, mut visit: impl FnMut(&mut Subscriber, &mut View) -> Outcome) {
        let mut at = 0;
        while at < self.list(list).len() {
            if self.look_at(list, at, &mut visit) {
                at += 1;
            }
        }
    }

    fn list(&mut self, list: List) -> &mut Vec<Subscriber> {
        match list {
            List::Served => &mut self.served,
            List::Blocked => &mut self.blocked,
        }
    }

    /// Does something with one, and sorts it anew if it no longer belongs there; returns whether it does.
    fn look_at(
        &mut self,
        list: List,
        at: usize,
        visit: &mut impl FnMut(&mut Subscriber, &mut View) -> Outcome,
    ) -> bool {
        let subscriber = match list {
            List::Served => &mut self.served[at],
            List::Blocked => &mut self.blocked[at],
        };
        let view = &mut self.view;
        match (list, guarded(|| visit(subscriber, view))) {
            (List::Served, Outcome::Served) | (List::Blocked, Outcome::Blocked) => true,
            (_, outcome) => {
                let subscribers = self.list(list);
                let subscriber = subscribers.swap_remove(at);
                if subscribers.capacity() > 16 + 2 * subscribers.len() {
                    subscribers.shrink_to_fit(); // the memory of those who came and went is given back
                }
                self.sort(subscriber, outcome);
                false
            }
        }
    }

    fn sort(&mut self, subscriber: Subscriber, outcome: Outcome) {
        let reason = match outcome {
            Outcome::Served => return self.served.push(subscriber),
            Outcome::Blocked => return self.blocked.push(subscriber),
            Outcome::Over(reason) => reason,
        };
        let left = panics::catch(|| subscriber.leave(reason));
        SLOTS[self.index].followers.fetch_sub(1, Ordering::Relaxed);
        self.shared.subscribers.fetch_sub(1, Ordering::Relaxed);
        if let Ok((reason, Some(request))) = left {
            self.shared.watchers.tell_left(&request, reason);
        }
    }
}

/// A socket may be the user's own. One that panics is the end of its connection, not of everybody's writer.
fn guarded(visit: impl FnOnce() -> Outcome) -> Outcome {
    panics::catch(visit).unwrap_or(Outcome::Over(CloseReason::Panicked))
}
