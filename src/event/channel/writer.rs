//! The threads that send to those who follow channels: a few in the process, shared by all channels.
//!
//! Theory of operation. There are as many slots for writers as processors, [`MAX_WRITERS`] at most. A follower belongs
//! to one slot from the hand-over to its end; a slot has a thread as long as it has followers. The followers of one
//! channel at one slot are a [`Followers`](super::followers::Followers).
//!
//! - A channel has a share for each slot, under the channel's lock: the followers, the newcomers that are not among them yet,
//!   how far its slowest follower is, and whether the channel is on the writer's agenda.
//! - A thread that visits the followers of a share takes them out of it, so that no other thread has them and no lock is
//!   needed, and puts them back. A visit brings all that is new to those who have everything before it, then looks after
//!   those who wait: for room in their sockets, for their pace, or for what they have missed.
//! - A thread that publishes, joins or closes marks under the channel's lock the shares that have to look, and afterwards puts
//!   the channel on the agendas of those that were not marked yet. So a channel is on an agenda once, until its writer
//!   visits it, and a flood costs one entry. Where the followers are out, the thread that has them finds the mark when it
//!   puts them back.
//! - An event for few, who were not sent anything in this millisecond, its publisher brings them itself: it visits the
//!   followers as a writer does, and whom it cannot serve without waiting it leaves to the writer. That saves the switch to
//!   another thread, which costs as much as the write. A flood goes to the writers, who send many events in one write.
//! - A writer sleeps on the slot's own lock until the agenda has an entry, a host stops, a follower is due, or some are
//!   to be looked after. All are looked after once in a second, some in each sixteenth of it.
//! - It ends when it has no follower and the agenda is empty, which it says under the slot's lock: a thread that puts a
//!   channel on the agenda afterwards makes the next thread.
//!
//! The locks are taken one at a time, never one under the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::follower::Follower;
use super::followers::Parting;
use super::shared::{Audience, Shared, Task, Visited};
use super::view::View;
use crate::http::{StopSignal, Wake};
use crate::locks::{lock, wait};
use crate::threads;

/// More would not help: the work is system calls.
const MAX_WRITERS: usize = 4;
/// How often each follower is looked after, unless it is to be kept alive more often.
const SWEEP: Duration = Duration::from_secs(1);
/// In so many parts: a sweep of thousands at once would delay what is published meanwhile.
const PARTS: u32 = 16;

static SLOTS: [Slot; MAX_WRITERS] = [Slot::new(), Slot::new(), Slot::new(), Slot::new()];

/// One writer's slot in the process.
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
pub(super) fn hand_over(shared: &Arc<Shared>, follower: Follower) {
    wake_on(follower.stop_signal());
    let load = |index: &usize| SLOTS[*index].followers.load(Ordering::Relaxed);
    let index = (0..slots()).min_by_key(load).unwrap_or(0);
    SLOTS[index].followers.fetch_add(1, Ordering::Relaxed);
    if shared.welcome(index, follower) {
        put_on_agenda(shared, index);
    }
}

/// Brings an event to those whom its publisher serves itself, and has the others look.
pub(super) fn deliver(shared: &Arc<Shared>, audience: &mut Audience) {
    shared.serve_directly(audience, |index, gone| part(shared, index, gone));
    tell(shared, audience.called);
}

/// The end of those who are over. Nothing is locked: closing may take its time. They count as subscribers until they are
/// closed.
fn part(shared: &Shared, index: usize, gone: Vec<Parting>) {
    for (follower, reason) in gone {
        let (reader, reason, request) = follower.leave(reason);
        shared.leave(&reader);
        SLOTS[index].followers.fetch_sub(1, Ordering::Relaxed);
        if let Some(request) = request {
            shared.watchers.tell_left(&request, reason);
        }
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
    if threads::make_shared("brooklet-channel", Box::new(run)).is_err() {
        // No thread to be had: this one has nothing else to do, it was a connection's. That one stays open until
        // there are no followers any more.
        Writer::new(index).run();
    }
}

struct Writer {
    index: usize,
    /// The channels that have followers here, by the address of what their handles share.
    channels: HashMap<usize, Arc<Shared>>,
    /// When the channels are to be visited again of which a follower waits.
    due: HashMap<usize, Instant>,
    view: View,
    sweep: Sweep,
}

/// Looking after everybody, part by part.
struct Sweep {
    every: Duration,
    next_at: Instant,
    /// The channels whose followers are still to be looked after, and how many of the last of them are left.
    channels: Vec<usize>,
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
        let sweep = Sweep { every: SWEEP, next_at, channels: Vec::new(), left: None, share: 0 };
        Self { index, channels: HashMap::new(), due: HashMap::new(), view: View::default(), sweep }
    }

    fn run(mut self) {
        let mut agenda = Vec::new();
        while let Some(is_alarmed) = self.next_agenda(&mut agenda) {
            let now = Instant::now();
            for shared in agenda.drain(..) {
                self.visit(&shared, Task::News, now);
            }
            let is_due = |(key, due): (&usize, &Instant)| (*due <= now).then_some(*key);
            for key in self.due.iter().filter_map(is_due).collect::<Vec<_>>() {
                self.due.remove(&key);
                self.visit_by_key(key, Task::News, now);
            }
            if is_alarmed {
                for key in self.channels.keys().copied().collect::<Vec<_>>() {
                    self.visit_by_key(key, Task::Alarm, now);
                }
            }
            if self.sweep.next_at <= now {
                self.sweep(now);
            }
        }
    }

    /// Waits until there is something to do, and returns whether a host has stopped; `None` when no follower is left.
    fn next_agenda(&mut self, agenda: &mut Vec<Arc<Shared>>) -> Option<bool> {
        let slot = &SLOTS[self.index];
        let wake_at = self.due.values().copied().fold(self.sweep.next_at, Instant::min);
        let mut inbox = lock(&slot.inbox);
        while inbox.agenda.is_empty() && !inbox.is_alarmed {
            if self.channels.is_empty() {
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

    fn visit_by_key(&mut self, key: usize, task: Task<'_>, now: Instant) -> Option<usize> {
        let shared = Arc::clone(self.channels.get(&key)?);
        self.visit(&shared, task, now)
    }

    /// Looks after the followers of a channel; returns how many are left to be tended.
    fn visit(&mut self, shared: &Arc<Shared>, task: Task<'_>, now: Instant) -> Option<usize> {
        let key = address(shared);
        // Where a publisher has them, for no longer than some writes take, it calls when they are back.
        let Visited { is_called, due, keep_alive, is_empty, left, gone } =
            shared.visit(self.index, &mut self.view, task, now)?;
        part(shared, self.index, gone);
        match due {
            Some(due) => drop(self.due.insert(key, due)),
            None => drop(self.due.remove(&key)),
        }
        if is_empty {
            self.channels.remove(&key);
        } else {
            self.channels.entry(key).or_insert_with(|| Arc::clone(shared));
        }
        if let Some(interval) = keep_alive.filter(|interval| *interval < self.sweep.every) {
            self.sweep.every = interval;
            self.sweep.next_at = self.sweep.next_at.min(now + interval / PARTS);
        }
        if is_called {
            put_on_agenda(shared, self.index);
        }
        Some(left)
    }

    /// Looks after some: who has left, and whom to keep alive.
    fn sweep(&mut self, now: Instant) {
        if self.sweep.channels.is_empty() {
            let intervals = self.channels.values().filter_map(|shared| shared.keep_alive(self.index));
            self.sweep.every = intervals.fold(SWEEP, Duration::min);
            let followers = SLOTS[self.index].followers.load(Ordering::Relaxed);
            self.sweep.share = followers / PARTS as usize + 1;
            self.sweep.channels = self.channels.keys().copied().collect();
            self.sweep.left = None;
        }
        self.sweep.next_at = now + self.sweep.every / PARTS;
        let mut budget = self.sweep.share;
        while let (true, Some(key)) = (budget > 0, self.sweep.channels.last().copied()) {
            let left = self.visit_by_key(key, Task::Tend(self.sweep.left, &mut budget), now).unwrap_or(0);
            self.sweep.left = Some(left);
            if left == 0 {
                self.sweep.channels.pop();
                self.sweep.left = None;
            }
        }
    }
}
