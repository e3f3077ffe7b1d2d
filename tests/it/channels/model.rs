//! A plain model of a channel, which knows for each client every byte that it must have received.
//!
//! But for one thing: when a client that stalls falls behind what is kept is up to the writers. Of that the model
//! knows when it must not happen, and that what is said of it adds up.

use super::latest::Latest;
use super::valve::Valve;
use super::FINISH;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What is kept for everybody, however short the history.
pub(super) const WINDOW: usize = 256 * 1024;

/// What has been published, and what the channel promises of it.
pub(super) struct Model {
    pub(super) epoch: String,
    pub(super) own_ids: bool,
    pub(super) has_snapshot: bool,
    pub(super) replay: u64,
    pub(super) history: (u64, u64),
    /// Encoded; the first has the sequence number 1.
    pub(super) events: Vec<String>,
    /// What each is about; 0 is nothing.
    pub(super) topics: Vec<u8>,
    /// Whether of each topic the newest event alone is kept.
    pub(super) is_latest: bool,
    pub(super) latest: Latest,
    pub(super) is_closed: bool,
}

impl Model {
    pub(super) fn published(&self) -> u64 {
        self.events.len() as u64
    }

    pub(super) fn id(&self, sequence: u64) -> String {
        if self.own_ids {
            format!("own {sequence}")
        } else {
            format!("{}{sequence}", self.epoch)
        }
    }

    pub(super) fn event(&self, sequence: u64) -> &str {
        &self.events[sequence as usize - 1]
    }

    /// Whether an event is for somebody who follows these topics, or all.
    pub(super) fn is_for(&self, sequence: u64, topics: Option<&[u8]>) -> bool {
        let topic = self.topics[sequence as usize - 1];
        topics.map_or(true, |topics| topic == 0 || topics.contains(&topic))
    }

    fn bytes_from(&self, sequence: u64) -> usize {
        self.events[sequence as usize - 1..].iter().map(String::len).sum()
    }

    /// The first event that is promised to be there.
    pub(super) fn history_start(&self) -> u64 {
        let (events, bytes) = self.history;
        let mut start = self.published() + 1;
        let mut left = bytes;
        while start > 1 && self.published() + 1 - start < events && self.event(start - 1).len() as u64 <= left
        {
            start -= 1;
            left -= self.event(start).len() as u64;
        }
        start
    }

    pub(super) fn reset(&self, sequence: u64, reason: &str, missed: Option<u64>) -> String {
        let missed = missed.map_or_else(|| "null".to_owned(), |missed| missed.to_string());
        // Where a snapshot follows, the position is the snapshot's to tell: who has not got that comes back for it.
        let id = if self.has_snapshot { String::new() } else { self.id_line(sequence) };
        format!("{id}event: reset\ndata: {{\"reason\":\"{reason}\",\"missed\":{missed}}}\n\n")
    }

    /// A publisher that has published nothing has given no id.
    pub(super) fn id_line(&self, sequence: u64) -> String {
        match self.own_ids && sequence == 0 {
            true => String::new(),
            false => format!("id: {}\n", self.id(sequence)),
        }
    }

    fn snapshot(&self, sequence: u64, state: u64) -> String {
        format!("{}event: state\ndata: {state}\n\n", self.id_line(sequence))
    }

    /// Reads a block that tells somebody of some topics where it stands.
    pub(super) fn behind_id_block<'t>(&self, text: &'t str) -> Option<&'t str> {
        let (id, rest) = text.strip_prefix("id: ")?.split_once("\n\n")?;
        (0..=self.published()).any(|sequence| self.id(sequence) == id).then_some(rest)
    }

    /// Whether that is the beginning of what tells of a gap.
    fn is_within_gap(&self, cursor: u64, text: &str, is_counted: bool) -> bool {
        (cursor..=self.published()).any(|last| {
            let reset = self.reset(last, "lagged", is_counted.then_some(last + 1 - cursor));
            reset.starts_with(text) || (self.has_snapshot && text.starts_with(&reset))
        })
    }

    /// What a client may be told first, and the first event that follows.
    pub(super) fn greetings(&self, seen: Option<&Seen>, topics: Option<&[u8]>) -> Vec<(String, u64)> {
        match self.is_latest {
            true => self.latest_greetings(seen, topics),
            false => vec![self.greeting(seen, topics)],
        }
    }

    /// What a client is told first, and the first event that follows.
    fn greeting(&self, seen: Option<&Seen>, topics: Option<&[u8]>) -> (String, u64) {
        let last = self.published();
        let state = || if self.has_snapshot { self.snapshot(last, last) } else { String::new() };
        match seen {
            Some(Seen::Event(sequence))
                if !(sequence + 1..self.history_start()).any(|gone| self.is_for(gone, topics)) =>
            {
                (String::new(), sequence + 1)
            }
            Some(seen) => {
                // What is there follows: the state of things, or the history.
                let before = if self.has_snapshot { last } else { self.history_start() - 1 };
                let reset = match seen {
                    Seen::Event(sequence) => {
                        self.reset(before, "expired", topics.is_none().then_some(before - sequence))
                    }
                    _ => self.reset(before, "unknown", None),
                };
                (reset + &state(), before + 1)
            }
            None if self.has_snapshot => (state(), last + 1),
            None => {
                let available = last + 1 - self.history_start();
                let replayed = self.replay.min(available);
                let first = if self.own_ids && last == 0 {
                    String::new()
                } else {
                    format!("id: {}\n\n", self.id(last))
                };
                let is_told = (last + 1 - replayed..=last).any(|event| self.is_for(event, topics));
                let from = if is_told { last + 1 - replayed } else { last + 1 };
                (if is_told { String::new() } else { first }, from)
            }
        }
    }
}

/// Whether that is the beginning of an event's id, or of a block that has an id alone.
pub(super) fn is_cut_id(text: &str) -> bool {
    let is_begun = text.starts_with("id: ") || !text.is_empty() && "id: ".starts_with(text);
    is_begun && !text.trim_end().contains('\n')
}

/// What a client says that it has seen last.
pub(super) enum Seen {
    Event(u64),
    /// One with an id of the publisher's, of whose topic a newer one came. The id is known if the event had been let go of
    /// before, and nothing was since: by when they are let go of is up to the writers.
    Superseded(u64),
    Other(String),
}

pub(super) struct Client {
    pub(super) valve: Valve,
    /// What it may be told first, and the first event that follows.
    pub(super) greetings: Vec<(String, u64)>,
    pub(super) is_forwarding: bool,
    /// What it follows, if that is not all.
    pub(super) topics: Option<Vec<u8>>,
    pub(super) joined: Instant,
    /// At least so long is between two writes of events. That changes when they come, and never which do.
    pub(super) pace: Duration,
    /// What was superseded, or forgotten, before it came: it gets none of that.
    pub(super) old: BTreeSet<u64>,
    /// Whether it has stalled, or begun with something to catch up with.
    pub(super) has_been_behind: bool,
    pub(super) is_stalled: bool,
}

impl Client {
    /// Compares what has arrived with what the model says; whether that is everything.
    pub(super) fn check(&self, model: &Model) -> Result<bool, String> {
        if model.is_latest {
            return self.check_latest(model);
        }
        let is_closed = self.valve.is_closed(); // first: then the text is all
        let text = self.valve.text();
        let (greeting, mut cursor) = &self.greetings[0];
        if greeting.len() > text.len() && greeting.starts_with(&text) {
            return Ok(false); // a snapshot is on its way
        }
        let mut rest =
            text.strip_prefix(&**greeting).ok_or_else(|| format!("another greeting: {text:.300?}"))?;
        let topics = self.topics.as_deref();
        loop {
            if let Some(others) = topics.and_then(|_| model.behind_id_block(rest)) {
                rest = others;
                continue;
            }
            if topics.is_some() && is_cut_id(rest) {
                return Ok(false); // of an event, or of a position
            }
            if cursor > model.published() {
                break;
            }
            if !model.is_for(cursor, topics) {
                cursor += 1;
                continue;
            }
            if let Some(others) = rest.strip_prefix(model.event(cursor)) {
                (cursor, rest) = (cursor + 1, others);
            } else if rest.is_empty() && is_closed && model.has_snapshot && !self.is_forwarding {
                // It lagged, and is to come back for a snapshot.
                return self.may_lag(model, cursor).map(|()| true);
            } else if model.event(cursor).starts_with(rest) {
                return Ok(false);
            } else if let Some((next, others)) = self.skipped(model, cursor, rest) {
                self.may_lag(model, cursor)?;
                (cursor, rest) = (next, others);
            } else if model.is_within_gap(cursor, rest, topics.is_none()) {
                return self.may_lag(model, cursor).map(|()| false);
            } else {
                return Err(format!("neither event {cursor} nor a gap: {rest:.300?}"));
            }
        }
        match model.is_closed {
            true if rest == FINISH => Ok(true),
            true if FINISH.starts_with(rest) => Ok(false),
            false if rest.is_empty() => Ok(true),
            _ => Err(format!("more than was published: {rest:.300?}")),
        }
    }

    /// Whether there have been no more writes than its pace allows in the time since it joined: however slow the machine
    /// is, that is a bound. A write may be the rest of another where it stalls, or a position where it follows topics.
    pub(super) fn check_pace(&self) -> Result<(), String> {
        /// The head, what it is told when it joins, a snapshot, the first events, the end.
        const BESIDES: usize = 5;
        /// What is more than one write takes goes in several, each at least so large: they hold whole events.
        const LARGE: usize = 30_000;
        let pace = self.pace.saturating_sub(Duration::from_millis(1)); // it is kept by whole milliseconds
        if pace.is_zero() || self.has_been_behind || self.topics.is_some() {
            return Ok(());
        }
        let (writes, bytes) = {
            let state = self.valve.state();
            (state.writes.len(), state.written.len())
        };
        let in_time = self.joined.elapsed().as_nanos() / pace.as_nanos();
        let most = BESIDES + bytes / LARGE + in_time as usize;
        match writes <= most {
            true => Ok(()),
            false => Err(format!("{writes} writes where {most} are allowed, with a pace of {:?}", self.pace)),
        }
    }

    /// Only who is behind falls further, and only what is promised to nobody is kept from it.
    fn may_lag(&self, model: &Model, cursor: u64) -> Result<(), String> {
        match self.has_been_behind && cursor < model.history_start() && model.bytes_from(cursor) >= WINDOW {
            true => Ok(()),
            false => Err(format!("a gap before event {cursor} of {} without a reason", model.published())),
        }
    }

    /// Reads a gap, with the state of things where that belongs: the next event, and the text behind the gap.
    fn skipped<'t>(&self, model: &Model, cursor: u64, text: &'t str) -> Option<(u64, &'t str)> {
        let published = model.published();
        (cursor..=published).find_map(|last| {
            let gap = model.reset(last, "lagged", self.topics.is_none().then_some(last + 1 - cursor));
            let rest = text.strip_prefix(&*gap)?;
            if !model.has_snapshot {
                return Some((last + 1, rest));
            }
            // Its position is that of the gap's end, and it is never older than its position.
            (last..=published)
                .find_map(|state| Some((last + 1, rest.strip_prefix(&*model.snapshot(last, state))?)))
        })
    }
}
