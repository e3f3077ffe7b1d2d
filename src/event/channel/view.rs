//! Some events of a log, taken so that they can be written without its lock: as much as one write takes. Each reader is sent
//! those of its topics.

use std::sync::Arc;

use super::log::Log;
use super::topics::Interest;

/// What one write takes.
const BATCH: usize = 64 * 1024;

/// The events of a log from `start` to before `end`, without what was superseded when they were taken.
#[derive(Default)]
pub(super) struct View {
    pub(super) start: u64,
    pub(super) end: u64,
    events: Vec<Placed>,
    /// The text of all events, put together for the first reader that gets more than one.
    together: String,
    /// The text of the events for one reader, if it does not get all.
    chosen: String,
}

struct Placed {
    sequence: u64,
    topic: u32,
    text: Arc<str>,
    /// Where its text ends in that of all.
    end: usize,
}

/// What a reader is to be sent.
pub(super) struct Batch<'v> {
    pub(super) text: &'v str,
    pub(super) events: u64,
    /// The event that it needs next when it has got that.
    pub(super) next: u64,
}

impl View {
    /// Takes the log's events from `start` on, as much as one write takes. The caller holds the channel's lock.
    pub(super) fn fill(&mut self, log: &Log, start: u64) {
        self.clear();
        (self.start, self.end) = (start, log.next());
        let mut end = 0;
        for event in log.from(start) {
            if end + event.text.len() > BATCH && end > 0 {
                self.end = event.sequence;
                break;
            }
            end += event.text.len();
            let text = Arc::clone(&event.text);
            self.events.push(Placed { sequence: event.sequence, topic: event.topic, text, end });
        }
    }

    /// Drops the events.
    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.together.clear();
        (self.start, self.end) = (0, 0);
    }

    pub(super) fn has(&self, cursor: u64) -> bool {
        (self.start..self.end).contains(&cursor)
    }

    /// The topics of its events, each once.
    pub(super) fn topics(&self) -> Vec<u32> {
        let mut topics: Vec<_> = self.events.iter().map(|event| event.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// The events from `cursor` on that are for a subscriber.
    fn wanted<'v>(&'v self, cursor: u64, interest: &'v Interest) -> impl Iterator<Item = &'v Placed> {
        self.events.iter().filter(move |event| event.sequence >= cursor && interest.has(event.topic))
    }

    /// What a subscriber is to be sent of the events from `cursor` to before `until`, in one write.
    pub(super) fn batch(&mut self, cursor: u64, until: u64, interest: &Interest) -> Batch<'_> {
        let next = until.min(self.end);
        let at = self.events.partition_point(|event| event.sequence < cursor);
        let to = self.events.partition_point(|event| event.sequence < until);
        let range = &self.events[at..to];
        let is_all = matches!(interest, Interest::All) || range.iter().all(|event| interest.has(event.topic));
        if is_all {
            let text = match range {
                [] => "",
                [event] => &event.text, // the only one that may be more than one write takes
                [.., last] => {
                    if self.together.is_empty() {
                        self.together.extend(self.events.iter().map(|event| &*event.text));
                    }
                    let start = at.checked_sub(1).map_or(0, |before| self.events[before].end);
                    &self.together[start..last.end]
                }
            };
            return Batch { text, events: range.len() as u64, next };
        }
        self.chosen.clear();
        let mut events = 0;
        for event in range.iter().filter(|event| interest.has(event.topic)) {
            self.chosen.push_str(&event.text);
            events += 1;
        }
        Batch { text: &self.chosen, events, next }
    }

    /// The first event from `cursor` on that is for a subscriber: its text, and its sequence number.
    pub(super) fn first(&self, cursor: u64, interest: &Interest) -> Option<(Arc<str>, u64)> {
        let event = self.wanted(cursor, interest).next()?;
        Some((Arc::clone(&event.text), event.sequence))
    }

    /// For a write that took less than a batch: how many events it has begun, the number of the event after these, and the
    /// rest of the last of these.
    pub(super) fn torn(
        &self,
        cursor: u64,
        mut written: usize,
        interest: &Interest,
    ) -> (u64, u64, Option<Rest>) {
        let (mut events, mut next) = (0, cursor);
        for event in self.wanted(cursor, interest) {
            if written == 0 {
                break;
            }
            (events, next) = (events + 1, event.sequence + 1);
            if written < event.text.len() {
                return (events, next, Some(Rest { text: Arc::clone(&event.text), sent: written }));
            }
            written -= event.text.len();
        }
        (events, next, None)
    }
}

/// A text, and how much of it was sent. Many followers may share the text.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    pub(super) text: Arc<str>,
    pub(super) sent: usize,
}

impl Rest {
    pub(super) fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), sent: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.text.as_bytes()[self.sent..]
    }
}
