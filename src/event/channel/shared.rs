//! What all handles of a channel share: its settings, its log, its followers, and the threads that wait for it.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::follower::{Ended, Follower, Visit};
use super::followers::{Followers, Position};
use super::log::Log;
use super::presence::Watchers;
use super::reader::{write_id, Gap, Reader};
use super::setup::Settings;
use super::topics::Interest;
use super::view::View;
use crate::event::wire::SendError;
use crate::http::CloseReason;
use crate::locks::{lock, wait, wait_while};

/// The thread that publishes an event for at most this many followers of a writer sends it to them itself.
const FEW: usize = 4;
/// A follower of topics that was sent nothing for this long is sent the current id, before its own leaves the history.
const QUIET: Duration = Duration::from_secs(2);

pub(super) struct Shared {
    pub(super) settings: Settings,
    state: Mutex<State>,
    /// Notified when there is an event for subscribers that read on threads of their own.
    pub(super) news: Condvar,
    /// Notified when a subscriber's cursor has moved or a subscriber has left, if a thread waits for that.
    progress: Condvar,
    pub(super) watchers: Watchers,
}

/// What the lock of a channel guards.
pub(super) struct State {
    pub(super) log: Log,
    pub(super) is_closed: bool,
    /// How many threads wait for `news`.
    sleeping: usize,
    /// How many threads wait for `progress`.
    waiting: usize,
    pub(super) subscribers: usize,
    /// The followers by writer, of each writer that has had some.
    shares: Vec<Share>,
    /// The cursors of the subscribers that no writer has, by the number that each reports by.
    cursors: BTreeMap<u64, u64>,
    /// The last of these numbers that was given.
    reporters: u64,
}

/// One writer's part of a channel.
#[derive(Default)]
struct Share {
    /// The writer's number.
    writer: usize,
    followers: Followers,
    /// Whether a thread visits the followers, and has taken them out of here.
    is_out: bool,
    /// Whether the channel is on the writer's agenda, or is put there when the followers are back.
    is_called: bool,
    /// Whether a host has stopped since the last visit.
    has_host_stopped: bool,
    /// The followers that no visit has taken yet.
    newcomers: Vec<Follower>,
    /// The first event that one of the followers lacks, or lacked when they were taken out; none without followers.
    slowest: Option<u64>,
}

/// What a visit of followers does, beside sending new events.
pub(super) enum Task<'t> {
    News,
    /// A host has stopped.
    HostStop,
    /// Looks after some of the followers. The first number is how many are left, the second how many it may look after.
    LookAfter(Option<usize>, &'t mut usize),
}

/// The result of a visit.
pub(super) struct Visited {
    /// Whether there are new events already.
    pub(super) is_called: bool,
    /// When a follower is to be visited again.
    pub(super) due: Option<Instant>,
    /// The shortest keep-alive of the newcomers.
    pub(super) keep_alive: Option<Duration>,
    pub(super) is_empty: bool,
    /// How many followers are still to be looked after.
    pub(super) left: usize,
    pub(super) ended: Vec<Ended>,
}

/// For whom an event is, and which threads send it.
pub(super) struct Audience {
    pub(super) id: String,
    pub(super) subscribers: usize,
    /// The writers that have to visit their followers: a bit for each.
    pub(super) called: u8,
    now: Instant,
    /// The followers to which the thread that publishes sends the event itself, each writer's with its number.
    direct: Vec<(usize, Followers)>,
    view: View,
}

impl Shared {
    pub(super) fn new(settings: Settings, log: Log) -> Self {
        Self {
            state: Mutex::new(State {
                log,
                is_closed: false,
                sleeping: 0,
                waiting: 0,
                subscribers: 0,
                shares: Vec::new(),
                cursors: BTreeMap::new(),
                reporters: 0,
            }),
            settings,
            news: Condvar::new(),
            progress: Condvar::new(),
            watchers: Watchers::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn wait_for_news<'s>(
        &self,
        mut state: MutexGuard<'s, State>,
        timeout: Duration,
    ) -> MutexGuard<'s, State> {
        state.sleeping += 1;
        let mut state = wait(&self.news, state, timeout);
        state.sleeping -= 1;
        state
    }

    /// Waits until `is_so`, which is asked again at each progress, or for `patience`; returns whether it is so.
    pub(super) fn wait_until(&self, patience: Duration, is_so: impl Fn(&State) -> bool) -> bool {
        let mut state = self.state();
        state.waiting += 1;
        let mut state = wait_while(&self.progress, state, patience, |state| !is_so(state));
        state.waiting -= 1;
        is_so(&state)
    }

    /// Wakes the threads that wait for progress.
    fn tell_progress(&self, state: &State) {
        if state.waiting > 0 {
            self.progress.notify_all();
        }
    }

    /// Makes a client a subscriber, with the position where it begins and what it is told there.
    pub(super) fn join(
        &self,
        topics: Option<&[String]>,
        begin: impl FnOnce(&Log, &Interest) -> Option<Gap>,
    ) -> Option<(Reader, Gap)> {
        let mut state = self.state();
        let interest = state.log.follow(topics);
        let gap = match begin(&state.log, &interest) {
            Some(gap) => gap,
            None => {
                state.log.unfollow(&interest);
                return None;
            }
        };
        state.reporters += 1;
        let reader = Reader { cursor: gap.next, interest, reporter: state.reporters };
        state.cursors.insert(reader.reporter, reader.cursor);
        state.subscribers += 1;
        Some((reader, gap))
    }

    /// A subscriber has left.
    pub(super) fn leave(&self, reader: &Reader) {
        let mut state = self.state();
        state.log.unfollow(&reader.interest);
        state.forget_cursor(reader);
        state.subscribers -= 1;
        self.tell_progress(&state);
    }

    /// Notes the cursor of a subscriber that no writer has.
    pub(super) fn report(&self, reader: &Reader) {
        let mut state = self.state();
        state.cursors.insert(reader.reporter, reader.cursor);
        self.tell_progress(&state);
    }

    /// Appends an event, and says which threads send it to its followers: their writers, or this thread where there are
    /// few followers.
    pub(super) fn append(
        &self,
        event: &str,
        topic: Option<&str>,
        own_id: Option<&str>,
    ) -> Result<Audience, SendError> {
        let now = Instant::now();
        let mut guard = self.state();
        let state = &mut *guard;
        if state.is_closed {
            return Err(SendError::Closed(CloseReason::Finished));
        }
        let sequence = state.log.next();
        let (shares, cursors) = (&state.shares, &state.cursors);
        let (id, topic) =
            state.log.append(event, topic, own_id, || slowest(shares, cursors).unwrap_or(sequence));
        let subscribers = match topic {
            0 => state.subscribers,
            topic => state.log.followers(0) + state.log.followers(topic),
        };
        let mut audience =
            Audience { id, subscribers, called: 0, now, direct: Vec::new(), view: View::default() };
        for share in &mut state.shares {
            if share.slowest().is_none() {
                continue;
            }
            if share.is_out || share.is_called || share.followers.next != sequence {
                audience.called |= share.call();
                continue;
            }
            match share.followers.audience(topic) {
                0 => {
                    share.followers.next += 1;
                    share.slowest = share.slowest.map(|slowest| slowest + u64::from(slowest == sequence));
                }
                count if count <= FEW && share.followers.is_rested(topic, self.settings.millis(now)) => {
                    audience.direct.push((share.writer, share.take()));
                }
                _ => audience.called |= share.call(),
            }
        }
        if !audience.direct.is_empty() {
            audience.view.fill(&state.log, sequence);
        }
        if state.sleeping > 0 {
            self.news.notify_all();
        }
        drop(guard);
        if let Some(snapshots) = &self.settings.snapshots {
            snapshots.outdate(sequence);
        }
        Ok(audience)
    }

    /// Sends the event to the followers that the publishing thread serves itself. `close` gets those whose stream is over.
    pub(super) fn serve_directly(&self, audience: &mut Audience, close: impl Fn(usize, Vec<Ended>)) {
        let look = |reader: &Reader, view: &mut View| reader.look(&self.state().log, &self.settings, view);
        for (writer, mut followers) in std::mem::take(&mut audience.direct) {
            let (settings, view) = (&self.settings, &mut audience.view);
            let mut visit = Visit { settings, view, now: audience.now, look: &look, ended: Vec::new() };
            followers.serve(&mut visit);
            let (due, ended) = (followers.due(), visit.ended);
            let is_called = self.put_back(writer, followers, |share| {
                share.is_called |= due.is_some();
                share.is_called
            });
            audience.called |= u8::from(is_called) << writer;
            close(writer, ended);
        }
    }

    /// Closes the channel; returns the writers that have to visit their followers, a bit for each.
    pub(super) fn close(&self) -> u8 {
        let mut state = self.state();
        state.is_closed = true;
        self.news.notify_all();
        let shares = state.shares.iter_mut().filter(|share| share.slowest().is_some());
        shares.fold(0, |called, share| called | share.call())
    }

    /// Gives a writer a new follower; returns whether the writer has to be told.
    pub(super) fn add_newcomer(&self, writer: usize, follower: Follower) -> bool {
        let mut state = self.state();
        state.forget_cursor(&follower.reader);
        if state.share(writer).is_none() {
            state.shares.reserve_exact(1); // most channels have few followers
            state.shares.push(Share { writer, ..Share::default() });
        }
        let share = state.share(writer).expect("it is there now");
        share.newcomers.push(follower);
        share.call() > 0
    }

    /// Visits the followers of a writer. `None` if another thread visits them now; that thread then tells the writer.
    pub(super) fn visit(
        &self,
        writer: usize,
        view: &mut View,
        task: Task<'_>,
        now: Instant,
    ) -> Option<Visited> {
        let mut state = self.state();
        let (next, is_closed) = (state.log.next(), state.is_closed);
        let share = state.share(writer)?;
        share.has_host_stopped |= matches!(task, Task::HostStop);
        share.is_called = share.is_out;
        if share.is_out {
            return None;
        }
        share.slowest = share.slowest();
        let has_host_stopped = std::mem::take(&mut share.has_host_stopped);
        let newcomers = std::mem::take(&mut share.newcomers);
        let mut followers = share.take();
        drop(state);
        if followers.is_empty() {
            followers.next = next;
        }
        let keep_alive = newcomers.iter().filter_map(Follower::keep_alive).min();
        newcomers.into_iter().for_each(|newcomer| followers.add(newcomer));
        let look = |reader: &Reader, view: &mut View| reader.look(&self.state().log, &self.settings, view);
        let mut visit = Visit { settings: &self.settings, view, now, look: &look, ended: Vec::new() };
        followers.catch_up(next, &mut visit);
        followers.serve_waiting(&mut visit);
        if is_closed {
            followers.finish(&mut visit);
        }
        let left = match task {
            _ if has_host_stopped => followers.look_after(None, &mut { usize::MAX }, &mut visit, None),
            Task::News | Task::HostStop => 0,
            Task::LookAfter(left, budget) => {
                let position = if followers.has_topics() { self.position(followers.next) } else { None };
                followers.look_after(left, budget, &mut visit, position.as_ref())
            }
        };
        visit.view.clear();
        followers.tidy();
        let (due, ended) = (followers.due(), visit.ended);
        let (is_called, is_empty) =
            self.put_back(writer, followers, |share| (share.is_called, share.slowest().is_none()));
        Some(Visited { is_called, due, keep_alive, is_empty, left, ended })
    }

    /// Puts followers back into their share, and returns what `ask` reads there.
    fn put_back<T>(&self, writer: usize, followers: Followers, ask: impl FnOnce(&mut Share) -> T) -> T {
        let slowest = followers.slowest();
        let mut state = self.state();
        let share = state.share(writer).expect("it is where they were taken out");
        (share.slowest, share.followers, share.is_out) = (slowest, followers, false);
        let answer = ask(share);
        self.tell_progress(&state);
        answer
    }

    /// The shortest keep-alive of a writer's followers.
    pub(super) fn keep_alive(&self, writer: usize) -> Option<Duration> {
        self.state().share(writer)?.followers.keep_alive()
    }

    /// The position of the followers that have everything before the event `next`, if it has an id.
    fn position(&self, next: u64) -> Option<Position> {
        let state = self.state();
        let id = state.log.id_of(next - 1)?;
        let middle = (state.log.history_start() + next) / 2;
        drop(state);
        let mut id_block = String::new();
        write_id(&mut id_block, &id);
        // An id of the publisher's is of no use any more when it has left the history.
        let quiet = if self.settings.has_own_ids { Duration::ZERO } else { QUIET };
        Some(Position { id_block: id_block.into(), middle, quiet })
    }
}

impl State {
    /// Whether every subscriber has all but the last `events`.
    pub(super) fn is_within(&self, events: u64) -> bool {
        let next = self.log.next();
        next - slowest(&self.shares, &self.cursors).unwrap_or(next) <= events
    }

    fn share(&mut self, writer: usize) -> Option<&mut Share> {
        self.shares.iter_mut().find(|share| share.writer == writer)
    }

    fn forget_cursor(&mut self, reader: &Reader) {
        self.cursors.remove(&reader.reporter);
        if self.cursors.is_empty() {
            self.cursors = BTreeMap::new(); // an empty one may keep memory
        }
    }
}

impl Share {
    /// Marks the share: its writer has to visit the followers. Returns the writer's bit if the caller has to tell it, 0 if
    /// the share was marked already, or the thread that has the followers will tell the writer.
    fn call(&mut self) -> u8 {
        let was_called = std::mem::replace(&mut self.is_called, true);
        u8::from(!was_called && !self.is_out) << self.writer
    }

    /// The first event that one of its followers lacks; none where there are no followers.
    fn slowest(&self) -> Option<u64> {
        let newcomers = self.newcomers.iter().map(|newcomer| newcomer.reader.cursor);
        self.slowest.into_iter().chain(newcomers).min()
    }

    fn take(&mut self) -> Followers {
        self.is_out = true;
        std::mem::take(&mut self.followers)
    }
}

/// The first event that a subscriber lacks; none where there are no subscribers.
fn slowest(shares: &[Share], cursors: &BTreeMap<u64, u64>) -> Option<u64> {
    shares.iter().filter_map(Share::slowest).chain(cursors.values().copied()).min()
}
