//! The threads that send to the followers of channels: a few in the process, shared by all channels.
//!
//! Theory of operation. There are as many writer slots as processors, [`MAX_WRITERS`] at most. A follower belongs
//! to one slot from the hand-over to its end. A slot has a thread, its writer, as long as it has followers. The followers
//! of one channel at one slot are a [`Followers`](super::followers::Followers).
//!
//! - A channel has a share for each slot, under the channel's lock: the followers, the newcomers that are not among them yet,
//!   the first event that a follower lacks, and whether the channel is on the writer's agenda.
//! - A thread that visits the followers of a share takes them out of it, and puts them back afterwards. In between no other
//!   thread has them, so no lock is needed. A visit first sends all new events to the followers that have everything before
//!   them. Then it visits the followers that wait: for room in their sockets, for their pace, or for events that they missed.
//! - A thread that publishes, joins or closes marks the shares that need a visit, under the channel's lock. Afterwards it puts
//!   the channel on the agendas of those writers whose share was not marked yet. So a channel is on an agenda once, until its
//!   writer visits it, and a flood of events costs one entry. If the followers are taken out, the thread that has them finds
//!   the mark when it puts them back, and then puts the channel on the agenda.
//! - If an event is for few followers, and none of them was sent anything in this millisecond, the thread that publishes it
//!   visits them itself. A follower that it cannot serve without waiting it leaves to the writer. That saves the switch to
//!   another thread, which costs as much as the write. A flood goes to the writers, which send many events in one write.
//! - A writer sleeps on the slot's own lock until the agenda has an entry, a host stops, a follower is due, or it is time to
//!   look after some followers. In each sixteenth of a second it looks after a sixteenth of all.
//! - A writer ends when it has no follower and the agenda is empty, and notes that under the slot's lock. A thread that puts a
//!   channel on the agenda afterwards makes the next writer.
//!
//! The locks are taken one at a time, never one under the other.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::follower::{Ended, Follower};
use super::shared::{Audience, Shared, Task, Visited};
use super::view::View;
use crate::http::{StopSignal, Wake};
use crate::locks::{lock, wait};
use crate::threads;

/// More would not help: the work is system calls.
const MAX_WRITERS: usize = 4;
/// The time in which a writer looks after each follower once; shorter where a keep-alive is shorter.
const SWEEP: Duration = Duration::from_secs(1);
/// The parts of a sweep: one of thousands of followers at once would delay what is published meanwhile.
const PARTS: u32 = 16;

static WRITER_SLOTS: [WriterSlot; MAX_WRITERS] =
    [WriterSlot::new(), WriterSlot::new(), WriterSlot::new(), WriterSlot::new()];

/// One writer's slot in the process.
struct WriterSlot {
    inbox: Mutex<Inbox>,
    news: Condvar,
    followers: AtomicUsize,
}

struct Inbox {
    is_running: bool,
    /// The channels that have something for this writer, each once.
    agenda: Vec<Arc<Shared>>,
    /// Whether a host has stopped: then each follower is asked whether it is its host.
    has_host_stopped: bool,
}

impl WriterSlot {
    const fn new() -> Self {
        let inbox = Inbox { is_running: false, agenda: Vec::new(), has_host_stopped: false };
        Self { inbox: Mutex::new(inbox), news: Condvar::new(), followers: AtomicUsize::new(0) }
    }
}

/// How many writer slots are used. The system is asked once, since it reads files to answer.
fn writer_slots() -> usize {
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
struct AllWriters;

impl Wake for AllWriters {
    fn wake(&self) {
        for slot in &WRITER_SLOTS {
            lock(&slot.inbox).has_host_stopped = true;
            slot.news.notify_one();
        }
    }
}

/// Has the writers woken when this host stops.
fn wake_on(stop: &StopSignal) {
    static ALL_WRITERS: Mutex<Option<Arc<AllWriters>>> = Mutex::new(None);
    let writers = Arc::clone(lock(&ALL_WRITERS).get_or_insert_with(|| Arc::new(AllWriters)));
    let writers: Arc<dyn Wake> = writers;
    stop.wake_on_request(&Arc::downgrade(&writers));
}

/// Hands a follower to the writer that has the fewest.
pub(super) fn hand_over(shared: &Arc<Shared>, follower: Follower) {
    wake_on(follower.stop_signal());
    let load = |index: &usize| WRITER_SLOTS[*index].followers.load(Ordering::Relaxed);
    let index = (0..writer_slots()).min_by_key(load).unwrap_or(0);
    WRITER_SLOTS[index].followers.fetch_add(1, Ordering::Relaxed);
    if shared.add_newcomer(index, follower) {
        put_on_agenda(shared, index);
    }
}

/// Sends an event to the followers that the publishing thread serves itself, and has the writers visit the others.
pub(super) fn deliver(shared: &Arc<Shared>, audience: &mut Audience) {
    shared.serve_directly(audience, |index, ended| close_ended(shared, index, ended));
    tell(shared, audience.called);
}

/// Closes the streams that are over. Nothing is locked, since closing may take time. They count as subscribers until they
/// are closed.
fn close_ended(shared: &Shared, index: usize, ended: Vec<Ended>) {
    for (follower, reason) in ended {
        let (reader, reason, request) = follower.leave(reason);
        shared.leave(&reader);
        WRITER_SLOTS[index].followers.fetch_sub(1, Ordering::Relaxed);
        if let Some(request) = request {
            shared.watchers.tell_left(&request, reason);
        }
    }
}

/// Puts a channel on the agendas of the writers in `called`, which has a bit for each.
pub(super) fn tell(shared: &Arc<Shared>, called: u8) {
    for index in (0..MAX_WRITERS).filter(|index| called & (1 << index) != 0) {
        put_on_agenda(shared, index);
    }
}

fn put_on_agenda(shared: &Arc<Shared>, index: usize) {
    let slot = &WRITER_SLOTS[index];
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
        // There is no thread to be had, so this thread becomes the writer, until there are no followers. If it is the
        // thread of the connection that is handed over, it has nothing else to do.
        Writer::new(index).run();
    }
}

struct Writer {
    index: usize,
    /// The channels that have followers here, by the address of their `Shared`. If a follower waits, with the time of the
    /// next visit.
    channels: HashMap<usize, (Arc<Shared>, Option<Instant>)>,
    /// These times, each with the channel's address.
    due: BTreeSet<(Instant, usize)>,
    view: View,
    sweep: Sweep,
}

/// Looking after all followers, part by part.
struct Sweep {
    every: Duration,
    next_at: Instant,
    /// The channels whose followers are still to be looked after.
    channels: Vec<usize>,
    /// How many followers of the last of these channels are left; all, if none.
    left: Option<usize>,
    /// How many followers are looked after in one part.
    per_part: usize,
}

fn address(shared: &Arc<Shared>) -> usize {
    Arc::as_ptr(shared) as usize
}

impl Writer {
    fn new(index: usize) -> Self {
        let next_at = Instant::now() + SWEEP / PARTS;
        let sweep = Sweep { every: SWEEP, next_at, channels: Vec::new(), left: None, per_part: 0 };
        Self { index, channels: HashMap::new(), due: BTreeSet::new(), view: View::default(), sweep }
    }

    fn run(mut self) {
        let mut agenda = Vec::new();
        while let Some(has_host_stopped) = self.next_agenda(&mut agenda) {
            let now = Instant::now();
            for shared in agenda.drain(..) {
                self.visit(&shared, Task::News, now);
            }
            for entry in self.due.range(..=(now, usize::MAX)).copied().collect::<Vec<_>>() {
                self.due.remove(&entry);
                self.visit_by_key(entry.1, Task::News, now);
            }
            if has_host_stopped {
                for key in self.channels.keys().copied().collect::<Vec<_>>() {
                    self.visit_by_key(key, Task::HostStop, now);
                }
            }
            if self.sweep.next_at <= now {
                self.sweep(now);
            }
        }
    }

    /// Waits until there is work, and returns whether a host has stopped; `None` when no follower is left.
    fn next_agenda(&mut self, agenda: &mut Vec<Arc<Shared>>) -> Option<bool> {
        let slot = &WRITER_SLOTS[self.index];
        let wake_at = self.due.iter().take(1).map(|(due, _)| *due).fold(self.sweep.next_at, Instant::min);
        let mut inbox = lock(&slot.inbox);
        while inbox.agenda.is_empty() && !inbox.has_host_stopped {
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
        Some(std::mem::take(&mut inbox.has_host_stopped))
    }

    fn visit_by_key(&mut self, key: usize, task: Task<'_>, now: Instant) -> Option<usize> {
        let shared = Arc::clone(&self.channels.get(&key)?.0);
        self.visit(&shared, task, now)
    }

    /// Visits the followers of a channel; returns how many are still to be looked after.
    fn visit(&mut self, shared: &Arc<Shared>, task: Task<'_>, now: Instant) -> Option<usize> {
        let key = address(shared);
        // `None` where a publishing thread has them. It puts the channel on the agenda when they are back.
        let Visited { is_called, due, keep_alive, is_empty, left, ended } =
            shared.visit(self.index, &mut self.view, task, now)?;
        close_ended(shared, self.index, ended);
        let before = match is_empty {
            true => self.channels.remove(&key),
            false => self.channels.insert(key, (Arc::clone(shared), due)),
        };
        if let Some((_, Some(before))) = before {
            self.due.remove(&(before, key));
        }
        self.due.extend(due.map(|due| (due, key)));
        if let Some(interval) = keep_alive.filter(|interval| *interval < self.sweep.every) {
            self.sweep.every = interval;
            self.sweep.next_at = self.sweep.next_at.min(now + interval / PARTS);
        }
        if is_called {
            put_on_agenda(shared, self.index);
        }
        Some(left)
    }

    /// Looks after some followers: closes those that have left, and keeps the others alive.
    fn sweep(&mut self, now: Instant) {
        if self.sweep.channels.is_empty() {
            let intervals = self.channels.values().filter_map(|(shared, _)| shared.keep_alive(self.index));
            self.sweep.every = intervals.fold(SWEEP, Duration::min);
            let followers = WRITER_SLOTS[self.index].followers.load(Ordering::Relaxed);
            self.sweep.per_part = followers / PARTS as usize + 1;
            self.sweep.channels = self.channels.keys().copied().collect();
        }
        self.sweep.next_at = now + self.sweep.every / PARTS;
        let mut budget = self.sweep.per_part;
        while let (true, Some(key)) = (budget > 0, self.sweep.channels.last().copied()) {
            let task = Task::LookAfter(self.sweep.left, &mut budget);
            self.sweep.left = self.visit_by_key(key, task, now).filter(|left| *left > 0);
            if self.sweep.left.is_none() {
                self.sweep.channels.pop();
            }
        }
    }
}
