//! What a channel remembers: the bytes of its events, in the order of their sequence numbers.
//!
//! An event is encoded once and never copied again. Events are gathered into chunks, and a chunk that has been
//! sealed never changes: writers hold on to it without holding the log.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::digits::Digits;
use crate::random;

/// A chunk that has reached this length is sealed: what one write takes.
pub(super) const CHUNK: usize = 64 * 1024;
/// What is kept for those who are about to be served, even if the history is shorter.
const LIVE_WINDOW: u64 = 256 * 1024;

/// Some events that follow one another.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// The sequence number of its first event.
    first: u64,
    /// How many bytes the log held before it.
    offset: u64,
    bytes: Vec<u8>,
    /// Where in `bytes` each event ends.
    ends: Vec<u32>,
    /// The publisher's own ids; none where the channel numbers its events.
    ids: Vec<Box<str>>,
    /// The id of the event before the first.
    id_before: Option<Box<str>>,
}

impl Chunk {
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The sequence number after its last event.
    pub(super) fn next(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    fn start_of(&self, sequence: u64) -> usize {
        match sequence - self.first {
            0 => 0,
            index => self.ends[index as usize - 1] as usize,
        }
    }

    /// The bytes of an event and of all that follow it.
    pub(super) fn bytes_from(&self, sequence: u64) -> &[u8] {
        &self.bytes[self.start_of(sequence)..]
    }

    /// The bytes of one event.
    pub(super) fn event(&self, sequence: u64) -> &[u8] {
        &self.bytes[self.start_of(sequence)..self.start_of(sequence + 1)]
    }

    /// The id of the event before the first, if there ever was one.
    pub(super) fn id_before(&self, numbering: &Numbering) -> Option<String> {
        match numbering {
            Numbering::Epoch(epoch) => Some(id_in(epoch, self.first - 1)),
            Numbering::Publisher => self.id_before.as_ref().map(|id| id.to_string()),
        }
    }

    /// The events of two chunks in one.
    fn followed_by(&self, next: &Self) -> Self {
        let length = self.bytes.len() as u32;
        Self {
            first: self.first,
            offset: self.offset,
            bytes: [&*self.bytes, &next.bytes].concat(),
            ends: self.ends.iter().copied().chain(next.ends.iter().map(|end| end + length)).collect(),
            ids: self.ids.iter().chain(&next.ids).cloned().collect(),
            id_before: self.id_before.clone(),
        }
    }

    fn last_id(&self) -> Option<&str> {
        self.ids.last().or(self.id_before.as_ref()).map(|id| &**id)
    }
}

/// How many events, and how many bytes of them, can be resumed from.
#[derive(Debug, Clone, Copy)]
pub(super) struct History {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

/// Whose ids the events have.
#[derive(Debug, Clone)]
pub(super) enum Numbering {
    /// `<epoch>-<sequence>`: an id of another run of the program has another epoch.
    Epoch(String),
    Publisher,
}

impl Numbering {
    pub(super) fn fresh() -> Self {
        Self::Epoch(format!("{:012x}-", random::bits() >> 16))
    }
}

/// The id of an event, by its number in an epoch.
fn id_in(epoch: &str, sequence: u64) -> String {
    [epoch, Digits::of(sequence).as_str()].concat()
}

/// Where a client goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// It has seen nothing yet.
    Fresh,
    /// It has seen everything up to this sequence number.
    After(u64),
    /// What it has seen is not known here any more, or never was.
    Lost { reason: &'static str, missed: Option<u64> },
}

#[derive(Debug)]
pub(super) struct Log {
    numbering: Numbering,
    limits: History,
    chunks: VecDeque<Arc<Chunk>>,
    /// The chunk that is being filled.
    tail: Chunk,
    kept_bytes: u64,
    /// The first event of the history, which is bounded exactly; chunks before it may still be there.
    history_start: u64,
    history_bytes: u64,
}

impl Log {
    pub(super) fn new(numbering: Numbering, limits: History) -> Self {
        Self {
            numbering,
            limits,
            chunks: VecDeque::new(),
            tail: Chunk { first: 1, ..Chunk::default() },
            kept_bytes: 0,
            history_start: 1,
            history_bytes: 0,
        }
    }

    /// The sequence number that the next event will have.
    pub(super) fn next(&self) -> u64 {
        self.tail.next()
    }

    /// The first event that is still there.
    pub(super) fn first_kept(&self) -> u64 {
        self.chunks.front().map_or(self.tail.first, |chunk| chunk.first)
    }

    pub(super) fn history_start(&self) -> u64 {
        self.history_start
    }

    /// Appends an event whose bytes lack nothing but the id, and returns that.
    pub(super) fn append(&mut self, event: &str, own_id: Option<&str>) -> String {
        let id = match (&self.numbering, own_id) {
            (Numbering::Publisher, Some(id)) => {
                self.tail.ids.push(id.into());
                id.to_owned()
            }
            (Numbering::Publisher, None) => String::new(),
            (Numbering::Epoch(epoch), _) => id_in(epoch, self.next()),
        };
        let before = self.tail.bytes.len();
        self.tail.bytes.reserve(b"id: \n".len() + id.len() + event.len());
        self.tail.bytes.extend_from_slice(b"id: ");
        self.tail.bytes.extend_from_slice(id.as_bytes());
        self.tail.bytes.push(b'\n');
        self.tail.bytes.extend_from_slice(event.as_bytes());
        self.tail.ends.push(self.tail.bytes.len() as u32);
        let length = (self.tail.bytes.len() - before) as u64;
        self.kept_bytes += length;
        self.history_bytes += length;
        self.forget();
        if self.tail.bytes.len() >= CHUNK {
            self.seal();
        }
        id
    }

    /// Drops what is neither history nor about to be sent.
    fn forget(&mut self) {
        while self.next() - self.history_start > self.limits.events || self.history_bytes > self.limits.bytes
        {
            self.history_bytes -= self.chunk_of(self.history_start).event(self.history_start).len() as u64;
            self.history_start += 1;
        }
        while let Some(front) = self.chunks.front() {
            let length = front.bytes.len() as u64;
            if front.next() > self.history_start || self.kept_bytes - length < LIVE_WINDOW {
                return;
            }
            self.kept_bytes -= length;
            self.chunks.pop_front();
        }
    }

    /// Ends the chunk that is being filled, so that writers can have it.
    pub(super) fn seal(&mut self) {
        if self.tail.ends.is_empty() {
            return;
        }
        let next = Chunk {
            first: self.tail.next(),
            offset: self.tail.offset + self.tail.bytes.len() as u64,
            id_before: self.tail.last_id().map(Into::into),
            ..Chunk::default()
        };
        let mut sealed = std::mem::replace(&mut self.tail, next);
        // A chunk for each small event would cost more than the events. Those of a size are put together, so
        // that an event is copied a few times at most until its chunk is full.
        while let Some(last) = self.chunks.back() {
            let together = last.bytes.len() + sealed.bytes.len();
            if together > CHUNK || last.bytes.len() > 2 * sealed.bytes.len() {
                break;
            }
            sealed = last.followed_by(&sealed);
            self.chunks.pop_back();
        }
        sealed.bytes.shrink_to_fit();
        sealed.ends.shrink_to_fit();
        self.chunks.push_back(Arc::new(sealed));
    }

    /// The sealed chunks from the one with this event on.
    pub(super) fn sealed_from(&self, sequence: u64) -> impl Iterator<Item = &Arc<Chunk>> {
        let start = self.chunks.partition_point(|chunk| chunk.next() <= sequence);
        self.chunks.range(start..)
    }

    /// The chunk of an event that is still there.
    fn chunk_of(&self, sequence: u64) -> &Chunk {
        let at = self.chunks.partition_point(|chunk| chunk.next() <= sequence);
        self.chunks.get(at).map_or(&self.tail, |chunk| &**chunk)
    }

    /// How many bytes precede an event, of all that were ever published.
    pub(super) fn offset_of(&self, sequence: u64) -> u64 {
        let sequence = sequence.max(self.first_kept());
        let chunk = self.chunk_of(sequence);
        chunk.offset + chunk.start_of(sequence) as u64
    }

    /// The id of an event, or of the last one that was forgotten; none where there never was one.
    pub(super) fn id_of(&self, sequence: u64) -> Option<String> {
        match &self.numbering {
            Numbering::Epoch(epoch) => Some(id_in(epoch, sequence)),
            Numbering::Publisher if sequence < self.first_kept() => {
                self.chunk_of(self.first_kept()).id_before(&self.numbering)
            }
            Numbering::Publisher => {
                let chunk = self.chunk_of(sequence);
                chunk.ids.get((sequence - chunk.first) as usize).map(|id| id.to_string())
            }
        }
    }

    /// Finds out where a client goes on that has seen `last_event_id`.
    pub(super) fn resume(&self, last_event_id: Option<&str>) -> Resume {
        let id = match last_event_id {
            Some(id) => id,
            None => return Resume::Fresh,
        };
        let sequence = match &self.numbering {
            Numbering::Epoch(epoch) => match id.strip_prefix(epoch.as_str()).and_then(sequence_number) {
                Some(sequence) => sequence,
                None => return Resume::Lost { reason: "unknown", missed: None },
            },
            Numbering::Publisher => match self.find_id(id) {
                Some(sequence) => sequence,
                None => return Resume::Lost { reason: "unknown", missed: None },
            },
        };
        if sequence >= self.next() {
            Resume::Lost { reason: "unknown", missed: None }
        } else if sequence + 1 < self.history_start {
            Resume::Lost { reason: "expired", missed: Some(self.next() - 1 - sequence) }
        } else {
            Resume::After(sequence)
        }
    }

    /// The latest event with this id, or the one before the history.
    fn find_id(&self, id: &str) -> Option<u64> {
        let chunks = self.chunks.iter().map(|chunk| &**chunk).chain([&self.tail]);
        for chunk in chunks.rev() {
            if let Some(index) = chunk.ids.iter().rposition(|known| **known == *id) {
                return Some(chunk.first + index as u64);
            }
        }
        let before = self.first_kept() - 1;
        (self.id_of(before).as_deref() == Some(id)).then_some(before)
    }
}

/// A number as we write it: no sign, no zeros in front.
fn sequence_number(text: &str) -> Option<u64> {
    let number = text.parse().ok()?;
    (Digits::of(number).as_str() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = "data: x\n\n";

    fn log(events: u64, bytes: u64) -> Log {
        Log::new(Numbering::Epoch(String::from("e-")), History { events, bytes })
    }

    #[test]
    fn resuming() {
        let mut log = log(3, u64::MAX);
        let unknown = || Resume::Lost { reason: "unknown", missed: None };
        assert_eq!(log.resume(Some("e-0")), Resume::After(0));
        for _ in 0..10 {
            log.append(EVENT, None);
        }
        assert_eq!(log.resume(None), Resume::Fresh);
        assert_eq!(log.resume(Some("e-10")), Resume::After(10));
        assert_eq!(log.resume(Some("e-7")), Resume::After(7)); // 8, 9 and 10 are there
        assert_eq!(log.resume(Some("e-6")), Resume::Lost { reason: "expired", missed: Some(4) });
        assert_eq!(log.resume(Some("e-0")), Resume::Lost { reason: "expired", missed: Some(10) });
        for id in ["e-11", "e-", "e--1", "e-+1", "e-01", "e-1 ", "f-1", "e", "x", "e-18446744073709551616"] {
            assert_eq!(log.resume(Some(id)), unknown(), "{id}");
        }
    }

    #[test]
    fn resuming_by_the_publishers_ids() {
        let mut log = Log::new(Numbering::Publisher, History { events: 2, bytes: u64::MAX });
        assert_eq!(log.id_of(0), None);
        for id in ["a", "b", "c", "b"] {
            log.append(EVENT, Some(id));
            log.seal();
        }
        assert_eq!(log.resume(Some("b")), Resume::After(4)); // the latest of that id
        assert_eq!(log.resume(Some("c")), Resume::After(3));
        assert_eq!(log.resume(Some("a")), Resume::Lost { reason: "expired", missed: Some(3) });
        assert_eq!(log.resume(Some("z")), Resume::Lost { reason: "unknown", missed: None });
        assert_eq!(log.id_of(4).as_deref(), Some("b"));
    }

    #[test]
    fn history_is_bounded_by_bytes_as_well() {
        let mut log = log(u64::MAX, 100);
        for _ in 0..20 {
            log.append(EVENT, None); // "id: e-1\n" and 9 bytes
        }
        assert_eq!(log.next() - log.history_start(), 5); // of 18 bytes
    }

    /// Each is sealed as soon as it is there, as it is when somebody follows.
    #[test]
    fn small_events_share_chunks() {
        let mut log = Log::new(Numbering::Publisher, History { events: u64::MAX, bytes: u64::MAX });
        for number in 0..10_000 {
            log.append(EVENT, Some(&format!("{number:04}")));
            log.seal();
        }
        assert!(log.chunks.len() < 40, "{} chunks for 170 KB", log.chunks.len());
        let mut next = 1;
        for chunk in &log.chunks {
            assert_eq!((chunk.first(), chunk.offset), (next, (next - 1) * 18));
            for sequence in chunk.first()..chunk.next() {
                let event = format!("id: {:04}\n{EVENT}", sequence - 1);
                assert_eq!(chunk.event(sequence), event.as_bytes());
            }
            next = chunk.next();
        }
        assert_eq!(next, log.next());
        assert_eq!(log.resume(Some("5000")), Resume::After(5001));
    }

    #[test]
    fn what_is_kept_is_history_and_a_constant() {
        let mut log = log(10, 1000);
        let large = format!("data: {}\n\n", "x".repeat(1000));
        for _ in 0..10_000 {
            log.append(&large, None);
        }
        let kept: u64 = log.chunks.iter().map(|chunk| chunk.bytes.len() as u64).sum();
        assert!(kept <= LIVE_WINDOW + 2 * CHUNK as u64, "{kept}");
        assert_eq!(log.history_start(), log.next(), "one event is larger than the history");
        assert_eq!(log.offset_of(log.next()), log.offset_of(log.first_kept()) + log.kept_bytes);
    }
}
