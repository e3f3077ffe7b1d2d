//! The places of a host: one for each connection, held as long as anybody holds the connection.
//!
//! They are what a stop looks for, and what gives way where room is short.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Instant;

use super::crew::Crew;
use super::place::Place;
use super::stats::{Counters, Stats};
use super::stop::Door;
use crate::http::{Connection, Phase, StopSignal};
use crate::locks::{lock, wait};

/// How many threads may serve connections that have given way, and that do not know it yet: on Windows for a quarter of
/// a second. Others above these still take places.
const MAX_LEAVING: usize = 32;

/// All connections of a host, with what they share: the door that they come in by, the threads that serve them, what is
/// counted, and the signal that ends them.
pub(super) struct Places {
    started: Instant,
    pub(super) stop: StopSignal,
    pub(super) door: Door,
    pub(super) counters: Arc<Counters>,
    pub(super) crew: Arc<Crew>,
    state: Mutex<State>,
    /// Told whenever a place is given back.
    left: Condvar,
}

#[derive(Debug, Default)]
struct State {
    served: usize,
    turned_away: usize,
    /// Those that have given way.
    leaving: usize,
    /// By the number of the place.
    open: Vec<Weak<Connection>>,
    /// The numbers below that which are nobody's.
    free: Vec<u32>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("stop", &self.stop)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Default for Places {
    fn default() -> Self {
        let counters = Arc::new(Counters::default());
        Self {
            started: Instant::now(),
            stop: StopSignal::default(),
            door: Door::default(),
            counters: Arc::clone(&counters),
            crew: Arc::new(Crew::new(counters)),
            state: Mutex::default(),
            left: Condvar::new(),
        }
    }
}

impl Places {
    /// Microseconds of the host's life.
    pub(super) fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Takes a place for a connection that is to be served, unless `limit` of those are taken.
    pub(super) fn take(self: &Arc<Self>, limit: usize) -> Option<Arc<Place>> {
        self.take_for(Purpose::Serve, limit)
    }

    /// Takes a place for a connection that is told to come back. These are counted by themselves: clients that
    /// linger shall not keep others out.
    pub(super) fn take_to_turn_away(self: &Arc<Self>, limit: usize) -> Option<Arc<Place>> {
        self.take_for(Purpose::TurnAway, limit)
    }

    fn take_for(self: &Arc<Self>, purpose: Purpose, limit: usize) -> Option<Arc<Place>> {
        let mut state = self.state();
        let leaving = match purpose {
            Purpose::Serve => state.leaving.saturating_sub(MAX_LEAVING),
            Purpose::TurnAway => 0,
        };
        let taken = state.count(purpose);
        if *taken + leaving >= limit {
            return None;
        }
        *taken += 1;
        let number = state.free.pop().unwrap_or_else(|| {
            state.open.push(Weak::new());
            state.open.len() as u32 - 1
        });
        drop(state);
        Some(Arc::new(Place::new(Arc::clone(self), purpose, number)))
    }

    /// Gives a place back.
    pub(super) fn leave(&self, purpose: Purpose, number: u32, was_given_away: bool) {
        let mut state = self.state();
        state.open[number as usize] = Weak::new();
        state.free.push(number);
        match was_given_away {
            true => state.leaving -= 1,
            false => *state.count(purpose) -= 1,
        }
        drop(state);
        self.left.notify_all();
    }

    /// Whether so many have given way just now that no others can.
    pub(super) fn is_emptying(&self) -> bool {
        self.state().leaving >= MAX_LEAVING
    }

    /// Has the connection that has been longest in a phase give its place to another.
    pub(super) fn make_room(&self, phase: Phase) -> bool {
        let connections = self.open_connections();
        let candidates = || connections.iter().filter(|connection| connection.may_give_way(phase));
        while let Some(oldest) = candidates().min_by_key(|connection| connection.since()) {
            self.state().leaving += 1; // first: its thread may be gone at once
            if oldest.give_way(phase) {
                self.counters.gave_way.add(1);
                self.state().served -= 1;
                return true;
            }
            // What it refuses for is that its phase has just ended, and then it is no candidate any more.
            self.state().leaving -= 1;
        }
        false
    }

    /// How many places are held, but for the one that the calling thread may hold itself.
    pub(super) fn held_by_others(&self) -> usize {
        self.state().held() - self.held_by_caller()
    }

    fn held_by_caller(&self) -> usize {
        usize::from(self.own_number().is_some())
    }

    /// Lets the connection be found by a stop.
    pub(super) fn enter(&self, place: &Place, connection: &Arc<Connection>) {
        self.state().open[place.number() as usize] = Arc::downgrade(connection);
        if self.stop.is_requested() {
            // The stop may have looked before.
            connection.finish_reading();
        }
    }

    /// Every open connection. They are handed out, since dropping the last handle of one takes the lock.
    pub(super) fn open_connections(&self) -> Vec<Arc<Connection>> {
        self.connections_except(None)
    }

    /// The same without that of the calling thread.
    pub(super) fn connections_of_others(&self) -> Vec<Arc<Connection>> {
        self.connections_except(self.own_number())
    }

    fn connections_except(&self, left_out: Option<u32>) -> Vec<Arc<Connection>> {
        let state = self.state();
        let mut connections = Vec::new();
        for (connection, _) in state.open.iter().zip(0..).filter(|(_, number)| Some(*number) != left_out) {
            if let Some(connection) = connection.upgrade() {
                connections.push(connection);
            }
        }
        connections
    }

    pub(super) fn stats(&self) -> Stats {
        let open = self.open_connections();
        let events = open.iter().map(|connection| connection.record().events()).sum();
        let bytes = open.iter().map(|connection| connection.record().bytes()).sum();
        let held = self.state().held();
        self.counters.stats(held, events, bytes)
    }

    /// Waits until all places are given back, but for the one that the calling thread may hold itself.
    pub(super) fn wait_until_empty(&self, deadline: Instant) -> bool {
        let own = self.held_by_caller();
        let mut state = self.state();
        while state.held() > own {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return false;
            }
            state = wait(&self.left, state, remaining);
        }
        true
    }

    /// Lets a stop that the calling thread calls know that it must not wait for this place, until that is dropped.
    pub(super) fn serving(&self, number: u32) -> Serving {
        Serving { outer: SERVED.with(|served| served.replace((self.identity(), number))) }
    }

    /// The number of the place that the calling thread serves, if it serves one of these.
    pub(super) fn own_number(&self) -> Option<u32> {
        let (identity, number) = SERVED.with(Cell::get);
        (identity == self.identity()).then_some(number)
    }

    fn identity(&self) -> usize {
        self as *const Self as usize
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The calling thread serves a place.
pub(super) struct Serving {
    /// What it served before.
    outer: (usize, u32),
}

impl Drop for Serving {
    fn drop(&mut self) {
        SERVED.with(|served| served.set(self.outer));
    }
}

thread_local! {
    /// Whose connection this thread serves, and in which place; 0 for nobody's.
    static SERVED: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
}

impl State {
    fn count(&mut self, purpose: Purpose) -> &mut usize {
        match purpose {
            Purpose::Serve => &mut self.served,
            Purpose::TurnAway => &mut self.turned_away,
        }
    }

    fn held(&self) -> usize {
        self.served + self.turned_away
    }
}

/// What a place was taken for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Serve,
    TurnAway,
}
