//! What all handles of a channel share: its settings, its log, and who waits for what.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::greeting::Replay;
use super::log::{History, Log, Numbering};
use super::presence::Watchers;
use super::subscriber::Subscriber;
use crate::atomic::AtomicU64;
use crate::data::Formatting;
use crate::event::wire::SendError;
use crate::locks::{lock, wait};

/// How far subscribers may be behind, for [`Channel::catch_up`](super::Channel::catch_up).
///
/// ```
/// use brooklet::{Channel, Lag};
/// use std::time::Duration;
///
/// let nobody_listens = Channel::new();
/// assert!(nobody_listens.catch_up(Lag::Events(0), Duration::ZERO));
/// assert!(nobody_listens.catch_up(Lag::Bytes(64 * 1024), Duration::ZERO));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// So many events.
    Events(u64),
    /// So many bytes of encoded events.
    Bytes(u64),
}

pub(super) type Snapshot =
    dyn Fn(&mut String, Option<&str>, &Formatting) -> Result<(), SendError> + Send + Sync;

pub(super) struct Settings {
    /// The times of subscribers count from here.
    pub(super) started: Instant,
    pub(super) history: History,
    pub(super) numbering: Numbering,
    pub(super) replay: Replay,
    pub(super) reset_type: String,
    pub(super) formatting: Formatting,
    pub(super) snapshot: Option<Box<Snapshot>>,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) state: Mutex<State>,
    /// Told when there is something for those who follow on threads of their own.
    pub(super) news: Condvar,
    /// Told when subscribers have got on, if somebody waits for them.
    pub(super) progress: Condvar,
    pub(super) subscribers: AtomicUsize,
    next_reporter: AtomicU64,
    pub(super) watchers: Watchers,
}

/// What the lock of a channel guards.
pub(super) struct State {
    pub(super) log: Log,
    pub(super) is_closed: bool,
    /// How many wait for news.
    pub(super) sleeping: usize,
    /// What each writer has of it; none as long as nobody follows.
    pub(super) shares: Vec<Share>,
    /// How far those with threads of their own are.
    pub(super) cursors: Vec<(u64, u64)>,
    /// How many publishers wait for their subscribers.
    pub(super) waiting: usize,
}

/// What one writer has of a channel.
#[derive(Default)]
pub(super) struct Share {
    /// Whether the channel is on the writer's agenda.
    is_called: bool,
    /// Those whom the writer has not taken yet.
    newcomers: Vec<Subscriber>,
    /// The first event that one of its followers has not got yet; none where there are none.
    pub(super) slowest: Option<u64>,
}

impl Settings {
    /// Milliseconds of the channel's life, modulo 49 days: half of an `Instant`.
    pub(super) fn millis(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.started).as_millis() as u32
    }
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            state: Mutex::new(State {
                log: Log::new(settings.numbering.clone(), settings.history),
                is_closed: false,
                sleeping: 0,
                shares: Vec::new(),
                cursors: Vec::new(),
                waiting: 0,
            }),
            settings,
            news: Condvar::new(),
            progress: Condvar::new(),
            subscribers: AtomicUsize::new(0),
            next_reporter: AtomicU64::new(0),
            watchers: Watchers::default(),
        }
    }

    /// Whether there is anything that a new start would lose.
    pub(super) fn is_in_use(&self) -> bool {
        let state = self.state();
        state.log.next() > 1 || state.is_closed || self.watchers.is_anybody_there()
    }

    /// A name to report under for somebody with a thread of its own.
    pub(super) fn new_reporter(&self) -> u64 {
        self.next_reporter.fetch_add(1, Ordering::Relaxed)
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
}

impl State {
    pub(super) fn is_within(&self, lag: Lag) -> bool {
        let next = self.log.next();
        let newcomers = |share: &Share| share.newcomers.iter().map(Subscriber::cursor).min();
        let shares =
            self.shares.iter().filter_map(|share| share.slowest.into_iter().chain(newcomers(share)).min());
        let slowest = self.cursors.iter().map(|(_, cursor)| *cursor).chain(shares).min().unwrap_or(next);
        match lag {
            Lag::Events(events) => next - slowest <= events,
            Lag::Bytes(bytes) => self.log.offset_of(next) - self.log.offset_of(slowest) <= bytes,
        }
    }

    /// Calls the writers that have followers: those that were not called yet, by a bit each.
    pub(super) fn call(&mut self) -> u8 {
        let mut called = 0;
        for (index, share) in self.shares.iter_mut().enumerate() {
            if share.slowest.is_some() && !std::mem::replace(&mut share.is_called, true) {
                called |= 1 << index;
            }
        }
        called
    }

    /// Notes a newcomer for a writer; whether that is to be called.
    pub(super) fn welcome(&mut self, index: usize, subscriber: Subscriber) -> bool {
        while self.shares.len() <= index {
            self.shares.push(Share::default());
        }
        let share = &mut self.shares[index];
        share.newcomers.push(subscriber);
        !std::mem::replace(&mut share.is_called, true)
    }

    /// A writer looks: what it is told from now on is another call.
    pub(super) fn answer(&mut self, index: usize) -> Vec<Subscriber> {
        let share = &mut self.shares[index];
        share.is_called = false;
        std::mem::take(&mut share.newcomers)
    }

    /// Notes how far a subscription is; `None` when it is over.
    pub(super) fn report(&mut self, reporter: u64, cursor: Option<u64>) {
        let known = self.cursors.iter().position(|(known, _)| *known == reporter);
        match (known, cursor) {
            (Some(at), Some(cursor)) => self.cursors[at].1 = cursor,
            (Some(at), None) => drop(self.cursors.swap_remove(at)),
            (None, Some(cursor)) => self.cursors.push((reporter, cursor)),
            (None, None) => {}
        }
    }
}
