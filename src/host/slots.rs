//! The slots of a host: one for each connection, held until the last handle of the connection is dropped.
//!
//! A stop waits until they are free, and overload looks among them for a connection to close. A stream may outlive the
//! thread that opened it. So three things happen when the last handle of a slot is dropped, on whatever thread: the slot is
//! given back, its numbers are added to the host's, and its last line is logged.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::{Duration, Instant};

use super::deferred::Deferred;
use super::log::{Log, Notice};
use super::phase::{Phase, PhaseWord};
use super::stats::{Counters, Stats};
use crate::http::{CloseReason, Connection, Record, Registration, Request};
use crate::locks::{lock, wait_while};

/// How many connections that were given away may still have a thread without counting towards the limit. On Windows such a
/// thread learns of it after a quarter of a second.
const MAX_LEAVING: usize = 32;

/// All slots of a host.
pub(super) struct Slots {
    started: Instant,
    pub(super) counters: Counters,
    table: Mutex<Table>,
    /// Told whenever a slot is given back.
    left: Condvar,
}

/// How many slots of each kind are taken, and by which connections.
#[derive(Default)]
pub(super) struct Table {
    served: usize,
    turned_away: usize,
    given_away: usize,
    cut_off: usize,
    /// By the number of the slot.
    open: Vec<(Weak<Connection>, Weak<Slot>)>,
    /// The numbers below that which are free.
    free: Vec<u32>,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            counters: Counters::default(),
            table: Mutex::default(),
            left: Condvar::new(),
        }
    }
}

impl Slots {
    /// Takes a slot for a connection in this phase, unless `limit` of its kind are taken.
    pub(super) fn take(self: &Arc<Self>, phase: Phase, limit: usize) -> Option<Arc<Slot>> {
        let mut table = lock(&self.table);
        let leaving = match phase {
            Phase::TurnedAway => 0,
            _ => table.given_away.saturating_sub(MAX_LEAVING),
        };
        let taken = table.count(phase);
        if *taken + leaving >= limit {
            return None;
        }
        *taken += 1;
        let number = table.free.pop().unwrap_or_else(|| {
            table.open.push((Weak::new(), Weak::new()));
            table.open.len() as u32 - 1
        });
        drop(table);
        Some(Arc::new(Slot {
            slots: Arc::clone(self),
            number,
            word: PhaseWord::new(phase, self.now()),
            is_stream: AtomicBool::new(false),
            record: Record::default(),
            last_line: Mutex::default(),
        }))
    }

    fn give_back(&self, number: u32, phase: Phase) {
        let mut table = lock(&self.table);
        table.open[number as usize] = (Weak::new(), Weak::new());
        table.free.push(number);
        *table.count(phase) -= 1;
        drop(table);
        self.left.notify_all();
    }

    /// Lets the stop and the search for connections that give way find a connection.
    pub(super) fn enter(&self, slot: &Arc<Slot>, connection: &Arc<Connection>) {
        lock(&self.table).open[slot.number as usize] = (Arc::downgrade(connection), Arc::downgrade(slot));
    }

    /// Every open connection with its slot: strong handles, which the caller has to drop without the lock, since dropping
    /// the last handle of a connection gives its slot back, which takes the lock.
    pub(super) fn open(&self) -> Vec<(Arc<Connection>, Arc<Slot>)> {
        let table = lock(&self.table);
        // The connection first: one that is there holds its slot. Otherwise this might get the last handle of the slot of
        // a connection that has just ended, and drop it here, under the lock.
        let both = |(connection, slot): &(Weak<_>, Weak<_>)| Some((connection.upgrade()?, slot.upgrade()?));
        table.open.iter().filter_map(both).collect()
    }

    /// Whether so many were given away just now that no others can be.
    pub(super) fn is_emptying(&self) -> bool {
        lock(&self.table).given_away >= MAX_LEAVING
    }

    /// Has the connection that has been longest in a phase closed, so that another can have its slot.
    pub(super) fn make_room(&self, phase: Phase) -> bool {
        let open = self.open();
        loop {
            let waiting = open.iter().filter_map(|both| Some((both.1.word.since(phase)?, both)));
            let (connection, slot) = match waiting.min_by_key(|(since, _)| *since) {
                Some((_, longest)) => longest,
                None => return false,
            };
            // It fails only if the connection has left the phase since it was found; then it is not found again.
            if self.give_away(slot, phase) {
                self.counters.gave_way.add(1);
                connection.shutdown();
                return true;
            }
        }
    }

    fn give_away(&self, slot: &Slot, from: Phase) -> bool {
        let mut table = lock(&self.table); // or a stop might count its next phase before this one
        let is_given_away = slot.word.change(from, Phase::GivenAway, 0);
        if is_given_away {
            self.recount(&mut table, from, Phase::GivenAway);
        }
        is_given_away
    }

    /// Ends every connection but the caller's own, and returns how many. Later stops do not wait for these.
    pub(super) fn cut_off_others(&self) -> usize {
        let own = self.own_number();
        let mut count = 0;
        for (connection, slot) in self.open() {
            if Some(slot.number) == own || slot.word.phase() == Phase::CutOff {
                continue;
            }
            let mut table = lock(&self.table);
            let before = slot.word.set(Phase::CutOff);
            self.recount(&mut table, before, Phase::CutOff);
            drop(table);
            connection.shutdown();
            count += 1;
        }
        count
    }

    fn recount(&self, table: &mut Table, from: Phase, to: Phase) {
        *table.count(from) -= 1;
        *table.count(to) += 1;
        if from == Phase::Head {
            self.counters.heads.subtract_one();
        }
    }

    /// How many slots are held, without the one that the calling thread may hold itself.
    pub(super) fn held_by_others(&self) -> usize {
        lock(&self.table).held().saturating_sub(self.held_by_caller())
    }

    /// Waits until `count` is zero, or one if the calling thread holds a slot itself. Returns whether that came within
    /// `patience`.
    pub(super) fn wait_until_empty(&self, count: fn(&Table) -> usize, patience: Duration) -> bool {
        let own = self.held_by_caller();
        let table = wait_while(&self.left, lock(&self.table), patience, |table| count(table) > own);
        count(&table) <= own
    }

    pub(super) fn stats(&self) -> Stats {
        let open = self.open();
        let events = open.iter().map(|(_, slot)| slot.record.events()).sum();
        let bytes = open.iter().map(|(_, slot)| slot.record.bytes()).sum();
        let connections = lock(&self.table).held_or_cut_off();
        self.counters.stats(connections, events, bytes)
    }

    /// Notes that the calling thread serves this slot, until the result is dropped: a stop that is called on this
    /// thread does not wait for it.
    pub(super) fn serving(&self, number: u32) -> Serving {
        Serving { outer: SERVED.with(|served| served.replace((self.identity(), number))) }
    }

    /// The number of the slot that the calling thread serves, if it serves one of these.
    fn own_number(&self) -> Option<u32> {
        let (identity, number) = SERVED.with(Cell::get);
        (identity == self.identity()).then_some(number)
    }

    fn held_by_caller(&self) -> usize {
        usize::from(self.own_number().is_some())
    }

    fn identity(&self) -> usize {
        self as *const Self as usize
    }

    /// Microseconds of the host's life.
    fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }
}

impl Table {
    fn count(&mut self, phase: Phase) -> &mut usize {
        match phase {
            Phase::Idle | Phase::Head | Phase::Busy => &mut self.served,
            Phase::TurnedAway => &mut self.turned_away,
            Phase::GivenAway => &mut self.given_away,
            Phase::CutOff => &mut self.cut_off,
        }
    }

    /// Those that a stop waits for.
    pub(super) fn held(&self) -> usize {
        self.served + self.turned_away
    }

    pub(super) fn held_or_cut_off(&self) -> usize {
        self.held() + self.cut_off
    }
}

/// The calling thread serves a slot's connection.
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
    /// Which slots this thread serves one of, by their address, and which; 0 for none.
    static SERVED: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
}

/// One connection's slot. Small, since there may be thousands.
pub(super) struct Slot {
    slots: Arc<Slots>,
    pub(super) number: u32,
    is_stream: AtomicBool,
    word: PhaseWord,
    record: Record,
    /// Without a log listener, idle streams need not keep their requests.
    last_line: Mutex<Option<Box<LastLine>>>,
}

/// What the last line about a stream says, and the log that gets it.
struct LastLine {
    log: Log,
    deferred: Arc<Deferred>,
    request: Request,
    started: Instant,
}

impl Registration for Slot {
    fn record(&self) -> &Record {
        &self.record
    }
}

impl Slot {
    pub(super) fn is_turned_away(&self) -> bool {
        self.word.phase() == Phase::TurnedAway
    }

    /// A request's head has begun to arrive. If more than `max_heads` connections are in the midst of one, the connection
    /// that is longest at it is closed: clients that send their heads byte by byte must not take all slots.
    pub(super) fn begin_head(&self, max_heads: usize) {
        // Counted first: as soon as it is in that phase, it may be given away.
        let others = self.slots.counters.heads.add(1);
        if !self.word.change(Phase::Idle, Phase::Head, self.slots.now()) {
            self.slots.counters.heads.subtract_one();
        } else if others >= max_heads as u64 {
            self.slots.make_room(Phase::Head);
        }
    }

    /// A request is there. `false` where the slot was given away meanwhile: the client was too late.
    pub(super) fn begin_service(&self) -> bool {
        if self.word.change(Phase::Head, Phase::Busy, 0) {
            self.slots.counters.heads.subtract_one();
            return true;
        }
        self.word.change(Phase::Idle, Phase::Busy, 0)
    }

    /// The request was answered.
    pub(super) fn end_service(&self) {
        self.word.change(Phase::Busy, Phase::Idle, self.slots.now());
    }

    /// Notes that the connection has become a stream, which is over when the slot is given back.
    pub(super) fn open_stream(&self, request: &Request, log: &Log, deferred: &Arc<Deferred>) {
        self.slots.counters.streams.add(1);
        self.is_stream.store(true, Ordering::Relaxed);
        log.write(&Notice::StreamOpened { request });
        if !log.is_silent() {
            let (log, deferred, request) = (log.clone(), Arc::clone(deferred), request.without_body());
            let line = LastLine { log, deferred, request, started: Instant::now() };
            *lock(&self.last_line) = Some(Box::new(line));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let counters = &self.slots.counters;
        counters.bytes.add(self.record.bytes());
        let reason = self.record.reason().unwrap_or(CloseReason::Returned);
        let last_line = lock(&self.last_line).take();
        if *self.is_stream.get_mut() {
            counters.streams.subtract_one();
            counters.events.add(self.record.events());
            counters.ended_by(reason).add(1);
        }
        let (slots, number, phase) = (Arc::clone(&self.slots), self.number, self.word.phase());
        if phase == Phase::Head {
            counters.heads.subtract_one();
        }
        let line = match last_line {
            Some(line) => line,
            None => return slots.give_back(number, phase),
        };
        let (events, duration) = (self.record.events(), line.started.elapsed());
        let is_own = slots.own_number() == Some(number);
        let deferred = Arc::clone(&line.deferred);
        let last_line = move || {
            let _serving = slots.serving(number); // it is held until this is done
            line.log.write(&Notice::StreamEnded { request: &line.request, reason, events, duration });
            slots.give_back(number, phase);
        };
        // A listener may take its time. On the connection's own thread that delays this connection alone; any other
        // thread has others to serve.
        match is_own {
            true => last_line(),
            false => deferred.push(Box::new(last_line)),
        }
    }
}
