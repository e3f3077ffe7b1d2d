//! What a channel remembers: its events in the order of their sequence numbers, and which events are gone.
//!
//! An event is encoded once. Readers take handles of some events under the channel's lock ([`View::fill`]), and put
//! together what they write without it. For each topic the log knows the newest event that is gone. So a subscriber of some
//! topics is told of a gap in those, and of no other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::topics::{Gone, Interest, Topics};
use crate::digits::Digits;
use crate::event::wire;
use crate::random;

/// The bytes that are kept for subscribers that are about to be served, even if the history is shorter.
const LIVE_WINDOW: u64 = 256 * 1024;

/// Where fewer events are remembered there is room for exactly those, at once: there may be thousands of such channels.
const FEW: u64 = 8;

/// An event as it is sent. One that a newer event of its topic has superseded has no text any more.
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) topic: u32,
    pub(super) text: Arc<str>,
}

/// How much can be resumed from.
#[derive(Debug, Clone, Copy)]
pub(super) struct History {
    pub(super) events: u64,
    pub(super) bytes: u64,
    /// Whether of each topic the newest event alone is kept.
    pub(super) is_latest: bool,
}

/// Whose ids the events have.
pub(super) enum Numbering {
    /// `<epoch>-<sequence>`: an id of another run of the program has another epoch.
    Epoch(Box<str>),
    /// The publisher's. Each that is kept has its sequence number here, so that it is found however many there are.
    Publisher(BTreeMap<Box<str>, u64>),
}

impl Numbering {
    pub(super) fn fresh() -> Self {
        Self::Epoch(format!("{:012x}-", random::epoch()).into())
    }

    /// An event is not kept any more: forgets its id, if that is the publisher's, and returns it.
    fn forget(&mut self, event: &Stored) -> Option<Box<str>> {
        let sequences = match self {
            Self::Publisher(sequences) => sequences,
            Self::Epoch(_) => return None,
        };
        let id = wire::values(&event.text, "id: ").next()?;
        if sequences.get(id) == Some(&event.sequence) {
            sequences.remove(id);
        }
        Some(id.into())
    }
}

/// Where a client goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// It has seen nothing yet.
    Fresh,
    /// It has seen everything up to this sequence number.
    After(u64),
    /// Something that it has not seen is not there any more; `None` where it is not known what it has seen.
    Lost(Option<u64>),
}

pub(super) struct Log {
    numbering: Numbering,
    limits: History,
    events: VecDeque<Stored>,
    /// The sequence number that the next event will have.
    next: u64,
    /// How many of the first events do not belong to the history any more.
    surplus: usize,
    history_events: u64,
    history_bytes: u64,
    kept_bytes: u64,
    /// How many events have lost their text since those without one were taken out.
    superseded: usize,
    topics: Topics,
    /// The newest events that are gone, of all topics.
    gone: Gone,
    /// The publisher's id of the last event that was dropped.
    id_before: Option<Box<str>>,
}

impl Log {
    pub(super) fn new(numbering: Numbering, limits: History) -> Self {
        Self {
            numbering,
            limits,
            events: VecDeque::new(),
            next: 1,
            surplus: 0,
            history_events: 0,
            history_bytes: 0,
            kept_bytes: 0,
            superseded: 0,
            topics: Topics::default(),
            gone: Gone::default(),
            id_before: None,
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The first event that is still there.
    pub(super) fn first_kept(&self) -> u64 {
        self.events.front().map_or(self.next, |event| event.sequence)
    }

    pub(super) fn history_start(&self) -> u64 {
        self.events.get(self.surplus).map_or(self.next, |event| event.sequence)
    }

    /// The first of the last so many events of the history.
    pub(super) fn start_of_last(&self, events: u64) -> u64 {
        let left = (self.events.len() - self.surplus) as u64;
        let index = self.events.len() - left.min(events) as usize;
        self.events.get(index).map_or(self.next, |event| event.sequence)
    }

    /// The events from this one on.
    pub(super) fn from(&self, sequence: u64) -> impl Iterator<Item = &Stored> {
        // Most want the last one or two.
        let behind = self.next.saturating_sub(sequence) as usize;
        let mut start = self.events.len().saturating_sub(behind);
        if self.events.get(start).map_or(false, |event| event.sequence != sequence) {
            start = self.events.partition_point(|event| event.sequence < sequence);
        }
        self.events.range(start..).filter(|event| !event.text.is_empty())
    }

    /// Counts a follower of these topics, or of all if none are named.
    pub(super) fn follow(&mut self, topics: Option<&[String]>) -> Interest {
        let mut names: Vec<_> = match topics {
            Some(names) => names.iter().collect(),
            None => {
                self.topics.change(0, |topic| topic.followers += 1);
                return Interest::All;
            }
        };
        names.sort_unstable();
        names.dedup();
        // Each is counted before the next one gets a number: unused topics may be forgotten then.
        let numbers = names.into_iter().map(|name| {
            let number = self.topics.number(name);
            self.topics.change(number, |topic| topic.followers += 1);
            number
        });
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable();
        match numbers[..] {
            [number] => Interest::Topic(number),
            _ => Interest::Topics(numbers.into()),
        }
    }

    pub(super) fn unfollow(&mut self, interest: &Interest) {
        interest.lists().iter().for_each(|topic| self.topics.change(*topic, |topic| topic.followers -= 1));
    }

    /// How many subscribers follow a topic by its name; for 0, how many follow all.
    pub(super) fn followers(&mut self, topic: u32) -> usize {
        self.topics.get(topic).followers as usize
    }

    /// Appends an event, whose text has no id yet, and returns the id and the number of the topic. Events beyond the
    /// history are dropped that no subscriber needs: `slowest` is the first one that a subscriber needs.
    pub(super) fn append(
        &mut self,
        event: &str,
        topic: Option<&str>,
        own_id: Option<&str>,
        slowest: impl FnOnce() -> u64,
    ) -> (String, u32) {
        let sequence = self.next;
        let id = match (&self.numbering, own_id) {
            (Numbering::Epoch(epoch), _) => id_in(epoch, sequence),
            (Numbering::Publisher(_), id) => id.unwrap_or_default().to_owned(),
        };
        if let Numbering::Publisher(sequences) = &mut self.numbering {
            sequences.insert((&*id).into(), sequence);
        }
        let topic = topic.map_or(0, |name| self.topics.number(name));
        if self.limits.is_latest {
            self.supersede(topic);
        }
        let mut text = String::with_capacity(event.len() + id.len() + 8); // with the id's line
        wire::field(&mut text, "id: ", &id);
        text.push_str(event);
        self.next += 1;
        self.history_events += 1;
        self.history_bytes += text.len() as u64;
        self.kept_bytes += text.len() as u64;
        self.topics.change(topic, |topic| {
            topic.kept += 1;
            topic.newest = sequence;
        });
        if self.events.capacity() == 0 && self.limits.events < FEW {
            self.events.reserve_exact(self.limits.events as usize + 1);
        }
        self.events.push_back(Stored { sequence, topic, text: text.into() });
        self.expire();
        if self.surplus > 0 {
            self.drop_surplus(slowest());
        }
        (id, topic)
    }

    /// Takes the newest event of a topic out. No subscriber is told.
    pub(super) fn forget(&mut self, topic: &str) {
        if let Some(number) = self.topics.known(topic) {
            self.supersede(number);
        }
    }

    fn supersede(&mut self, topic: u32) {
        let newest = self.topics.get(topic).newest;
        let index = self.events.partition_point(|event| event.sequence < newest);
        let event = match self.events.get_mut(index) {
            Some(event) if event.sequence == newest && !event.text.is_empty() => event,
            _ => return,
        };
        self.numbering.forget(event);
        let length = std::mem::replace(&mut event.text, Arc::from("")).len() as u64;
        self.kept_bytes -= length;
        if index >= self.surplus {
            self.history_bytes -= length;
            self.history_events -= 1;
        }
        self.topics.change(topic, |topic| topic.kept -= 1);
        self.superseded += 1;
        if self.superseded > 16 && self.superseded > self.events.len() / 2 {
            self.surplus = self.events.range(..self.surplus).filter(|event| !event.text.is_empty()).count();
            self.events.retain(|event| !event.text.is_empty());
            self.superseded = 0;
        }
    }

    /// Takes the oldest events out of the history, until it keeps its limits.
    fn expire(&mut self) {
        while self.history_events > self.limits.events || self.history_bytes > self.limits.bytes {
            let Stored { sequence, topic, ref text } = self.events[self.surplus];
            self.surplus += 1;
            if !text.is_empty() {
                self.history_events -= 1;
                self.history_bytes -= text.len() as u64;
                self.topics.get(topic).gone.expired = sequence;
                self.gone.expired = sequence;
            }
        }
    }

    /// Drops events that are neither in the history nor about to be sent.
    fn drop_surplus(&mut self, slowest: u64) {
        while self.surplus > 0 {
            let front = &self.events[0];
            let length = front.text.len() as u64;
            if front.sequence >= slowest && self.kept_bytes - length < LIVE_WINDOW {
                return;
            }
            self.surplus -= 1;
            self.kept_bytes -= length;
            let front = match self.events.pop_front() {
                Some(front) if front.text.is_empty() => continue,
                Some(front) => front,
                None => return,
            };
            self.id_before = self.numbering.forget(&front);
            self.gone.dropped = front.sequence;
            self.topics.change(front.topic, |topic| {
                topic.kept -= 1;
                topic.gone.dropped = front.sequence;
            });
        }
        if self.events.capacity() > 64 + 4 * self.events.len() {
            self.events.shrink_to(2 * self.events.len());
        }
    }

    /// The id of an event, or of the last one that was dropped; none where it is not known.
    pub(super) fn id_of(&self, sequence: u64) -> Option<String> {
        match &self.numbering {
            Numbering::Epoch(epoch) => Some(id_in(epoch, sequence)),
            Numbering::Publisher(_) if sequence <= self.gone.dropped => {
                self.id_before.as_deref().map(str::to_owned)
            }
            Numbering::Publisher(_) => {
                let event = self.from(sequence).next().filter(|event| event.sequence == sequence)?;
                wire::values(&event.text, "id: ").next().map(str::to_owned)
            }
        }
    }

    /// Where a client goes on that has seen `last_event_id`.
    pub(super) fn resume(&self, last_event_id: Option<&str>, interest: &Interest) -> Resume {
        let id = match last_event_id {
            Some(id) => id,
            None => return Resume::Fresh,
        };
        let seen = match &self.numbering {
            Numbering::Epoch(epoch) => id.strip_prefix(&**epoch).and_then(sequence_number),
            Numbering::Publisher(sequences) => {
                let is_before = self.id_before.as_deref() == Some(id);
                sequences.get(id).copied().or_else(|| is_before.then_some(self.gone.dropped))
            }
        };
        match seen.filter(|seen| *seen < self.next) {
            Some(seen) if self.newest_gone(interest, |gone| gone.expired) <= seen => Resume::After(seen),
            seen => Resume::Lost(seen),
        }
    }

    /// Whether an event is gone that a reader needs, which has everything before `cursor`.
    pub(super) fn has_lost(&self, cursor: u64, interest: &Interest) -> bool {
        self.gone.dropped >= cursor && self.newest_gone(interest, |gone| gone.dropped) >= cursor
    }

    fn newest_gone(&self, interest: &Interest, which: fn(Gone) -> u64) -> u64 {
        match interest {
            Interest::All => which(self.gone),
            _ => {
                let own = interest.lists().iter().map(|topic| which(self.topics.gone(*topic)));
                own.fold(which(self.topics.gone(0)), u64::max)
            }
        }
    }

    /// How many events a reader has missed from `cursor` to before `next`, if that is known.
    pub(super) fn missed(&self, cursor: u64, next: u64, interest: &Interest) -> Option<u64> {
        let is_counted = matches!(interest, Interest::All) && !self.limits.is_latest;
        is_counted.then(|| next.saturating_sub(cursor))
    }
}

/// The id of an event, by its number in an epoch.
fn id_in(epoch: &str, sequence: u64) -> String {
    [epoch, Digits::of(sequence).as_str()].concat()
}

/// A number as we write it: no sign, no zeros in front.
fn sequence_number(text: &str) -> Option<u64> {
    let number = text.parse().ok()?;
    (Digits::of(number).as_str() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nor do topics, and ids of the publisher's, whether their events were superseded, have left the history, or both.
    #[test]
    fn what_is_gone_takes_no_room() {
        for numbering in [Numbering::fresh, || Numbering::Publisher(BTreeMap::new())] {
            check(numbering(), false, 100, |number| number);
            check(numbering(), true, 100, |number| number / 2);
            check(numbering(), true, 200, |number| number % 100);
            check(numbering(), true, 2, |number| number % 5);
        }

        #[track_caller]
        fn check(numbering: Numbering, is_latest: bool, events: u64, topic: fn(u64) -> u64) {
            let mut log = Log::new(numbering, History { events, bytes: u64::MAX, is_latest });
            for number in 0..10_000 {
                // One is slow, and has everything now and then.
                let slowest = if number % 1000 < 999 { 0 } else { u64::MAX };
                // Of two events with one id the second has it.
                let (own_id, name) = ((number / 2).to_string(), topic(number).to_string());
                let (id, topic) = log.append("", Some(&name), Some(&own_id), || slowest);
                assert_eq!(log.resume(Some(&id), &Interest::All), Resume::After(number + 1));
                assert!(topic < 3000, "{topic} topics");
                let (length, capacity) = (log.events.len() as u64, log.events.capacity());
                assert!(
                    slowest == 0 || length <= 2 * events + 17 && capacity <= 1024,
                    "{length}, {capacity}"
                );
                if let Numbering::Publisher(sequences) = &log.numbering {
                    assert!(sequences.len() <= log.events.len(), "{} ids", sequences.len());
                }
            }
        }
    }
}
