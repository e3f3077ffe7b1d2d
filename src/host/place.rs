//! One connection's place, held as long as anybody holds the connection.
//!
//! A stream may outlive the thread that opened it. So what has to happen when a connection ends, its place given
//! back and its last line logged, happens when its place is dropped, wherever that is.

use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::log::{Log, Notice};
use super::places::{Places, Purpose};
use crate::http::{CloseReason, Phase, Record, Request, Seat};

/// One connection's place.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    purpose: Purpose,
    number: u64,
    record: Record,
    phase: AtomicU8,
    since: AtomicU64,
    log: Log,
    stream: Mutex<Stream>,
}

/// Whether a connection has become a stream.
#[derive(Debug, Default)]
enum Stream {
    #[default]
    None,
    /// Where nobody listens, thousands of idle streams need not keep their requests.
    Unlogged,
    Logged(Box<OpenStream>),
}

/// What the last line about a stream says of it.
#[derive(Debug)]
struct OpenStream {
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

    fn give_away(&self, from: Phase) -> bool {
        let is_served = matches!(self.purpose, Purpose::Serve);
        let gives_way = is_served && self.change(from, Phase::GivenAway);
        if gives_way && from == Phase::Head {
            self.places.counters.heads.subtract_one();
        }
        gives_way
    }
}

impl Place {
    pub(super) fn new(places: Arc<Places>, purpose: Purpose, number: u64, log: Log) -> Self {
        let since = places.now();
        Self {
            places,
            purpose,
            number,
            record: Record::default(),
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(since),
            log,
            stream: Mutex::default(),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// A request has begun to arrive. Where too many are at that, the oldest of them gives way: clients that send
    /// their heads byte by byte shall not take all places.
    pub(super) fn begin_head(&self, max_heads: usize) {
        if self.change(Phase::Idle, Phase::Head) {
            let heads = self.places.counters.heads.add(1);
            if heads >= max_heads as u64 {
                self.places.make_room(Phase::Head);
            }
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
    pub(super) fn open_stream(&self, request: &Request) {
        self.places.counters.streams.add(1);
        let (peer, method, target) = (request.peer(), request.method(), request.raw_target());
        self.log.write(&Notice::StreamOpened { peer, method, target });
        let stream = match self.log.is_silent() {
            true => Stream::Unlogged,
            false => {
                Stream::Logged(Box::new(OpenStream { request: request.clone(), started: Instant::now() }))
            }
        };
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = stream;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counters = &self.places.counters;
        counters.bytes.add(self.record.bytes());
        let reason = self.record.reason().unwrap_or(CloseReason::Returned);
        let stream = std::mem::take(self.stream.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !matches!(stream, Stream::None) {
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
        let (log, events) = (self.log.clone(), self.record.events());
        let stream = match stream {
            Stream::Logged(stream) => stream,
            Stream::None | Stream::Unlogged => return places.leave(purpose, number, was_given_away),
        };
        let duration = stream.started.elapsed();
        let last_line = move || {
            log.write(&Notice::StreamEnded {
                peer: stream.request.peer(),
                method: stream.request.method(),
                target: stream.request.raw_target(),
                reason,
                events,
                duration,
            });
            places.leave(purpose, number, was_given_away);
        };
        // Whoever listens may take their time. On this connection's own thread that is nobody else's loss; any other
        // thread has others to serve.
        match self.places.own_number() == Some(number) {
            true => last_line(),
            false => self.places.crew.follow_up(Box::new(last_line)),
        }
    }
}
