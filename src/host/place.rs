//! One connection's place, held as long as anybody holds the connection.
//!
//! A stream may outlive the thread that opened it. So what has to happen when a connection ends, its place given
//! back and its last line logged, happens when its place is dropped, wherever that is.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::crew::Job;
use super::log::{Log, Notice};
use super::places::{Places, Purpose};
use crate::atomic::AtomicU64;
use crate::http::{CloseReason, Phase, Record, Request, Seat};
use crate::locks::lock;

/// One connection's place. Small, since there may be thousands.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u32,
    purpose: Purpose,
    phase: AtomicU8,
    is_stream: AtomicBool,
    since: AtomicU64,
    record: Record,
    /// Where nobody listens, idle streams need not keep their requests.
    last_line: Mutex<Option<Box<LastLine>>>,
}

/// What the last line about a stream says of it, and to whom.
#[derive(Debug)]
struct LastLine {
    log: Log,
    request: Request,
    started: Instant,
}

impl Seat for Place {
    fn record(&self) -> &Record {
        &self.record
    }

    fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    fn may_give_away(&self, from: Phase) -> bool {
        matches!(self.purpose, Purpose::Serve) && self.phase.load(Ordering::Relaxed) == from as u8
    }

    fn give_away(&self, from: Phase) -> bool {
        let gives_way = self.may_give_away(from) && self.change(from, Phase::GivenAway);
        if gives_way && from == Phase::Head {
            self.places.counters.heads.subtract_one();
        }
        gives_way
    }
}

impl Place {
    pub(super) fn new(places: Arc<Places>, purpose: Purpose, number: u32) -> Self {
        let since = places.now();
        Self {
            places,
            number,
            purpose,
            phase: AtomicU8::new(Phase::Idle as u8),
            is_stream: AtomicBool::new(false),
            since: AtomicU64::new(since),
            record: Record::default(),
            last_line: Mutex::default(),
        }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// A request has begun to arrive. Where too many are at that, the oldest of them gives way: clients that send
    /// their heads byte by byte shall not take all places.
    pub(super) fn begin_head(&self, max_heads: usize) {
        // Counted first: as soon as it is in that phase, somebody may take it back.
        let others = self.places.counters.heads.add(1);
        if !self.change(Phase::Idle, Phase::Head) {
            self.places.counters.heads.subtract_one();
        } else if others >= max_heads as u64 {
            self.places.make_room(Phase::Head);
        }
    }

    /// A request is there. `false` where the place was given away meanwhile: the client was too late.
    pub(super) fn begin_service(&self) -> bool {
        if self.change(Phase::Head, Phase::Busy) {
            self.places.counters.heads.subtract_one();
            return true;
        }
        self.change(Phase::Idle, Phase::Busy)
    }

    /// The request was answered.
    pub(super) fn end_service(&self) {
        self.change(Phase::Busy, Phase::Idle);
    }

    fn change(&self, from: Phase, to: Phase) -> bool {
        if to != Phase::Busy {
            self.since.store(self.places.now(), Ordering::Relaxed);
        }
        self.phase.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Notes that the connection has become a stream, which is over when the place is given back.
    pub(super) fn open_stream(&self, request: &Request, log: &Log) {
        self.places.counters.streams.add(1);
        self.is_stream.store(true, Ordering::Relaxed);
        log.write(&Notice::StreamOpened { request });
        if !log.is_silent() {
            let request = request.without_body();
            let line = LastLine { log: log.clone(), request, started: Instant::now() };
            *lock(&self.last_line) = Some(Box::new(line));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counters = &self.places.counters;
        counters.bytes.add(self.record.bytes());
        let reason = self.record.reason().unwrap_or(CloseReason::Returned);
        let last_line = lock(&self.last_line).take();
        if *self.is_stream.get_mut() {
            counters.streams.subtract_one();
            counters.events.add(self.record.events());
            counters.ended_by(reason).add(1);
        }
        let phase = *self.phase.get_mut();
        if phase == Phase::Head as u8 {
            counters.heads.subtract_one();
        }
        let was_given_away = phase == Phase::GivenAway as u8;
        let (places, purpose, number) = (Arc::clone(&self.places), self.purpose, self.number);
        let line = match last_line {
            Some(line) => line,
            None => return places.leave(purpose, number, was_given_away),
        };
        let (events, duration) = (self.record.events(), line.started.elapsed());
        let last_line: Job = Box::new(move || {
            let _serving = places.serving(number); // it is held until this is done
            line.log.write(&Notice::StreamEnded { request: &line.request, reason, events, duration });
            places.leave(purpose, number, was_given_away);
        });
        // Whoever listens may take their time. On this connection's own thread that is nobody else's loss; any other
        // thread has others to serve.
        match self.places.own_number() == Some(number) {
            true => last_line(),
            false => self.places.crew.follow_up(last_line),
        }
    }
}
