//! A subscriber's position in a channel, and what comes next: events, a gap, the end. The one rule for all that read.
//!
//! A gap is told where it is found: the event that says so, and then what is there. Where the channel has a snapshot,
//! that follows instead, whose text only the thread of a client may make.

use super::log::{Log, Resume};
use super::setup::Settings;
use super::topics::Interest;
use super::view::View;
use crate::data::{Formatting, RawJson};
use crate::event::wire::{self, Event};

/// A position in a channel.
pub(super) struct Reader {
    /// The event that it needs next. If it has all events of its topics, the one after the last that it was sent.
    pub(super) cursor: u64,
    pub(super) interest: Interest,
    /// The number by which it reports its cursor, as long as no writer has it.
    pub(super) reporter: u64,
}

/// What comes next for a reader.
pub(super) enum Step {
    /// Events are in view. They may all be of other topics.
    Events,
    /// Events that it needs are gone: what it is told of that, and where it goes on.
    Gap(Gap),
    /// It has everything.
    Nothing,
}

/// What a reader is told before it goes on, because it is new or has missed events.
pub(super) struct Gap {
    /// The text before the events, or before the snapshot.
    pub(super) text: String,
    /// How many events that text has.
    pub(super) events: u64,
    /// The event that follows.
    pub(super) next: u64,
    /// If the snapshot comes before that event, the id that it gets.
    pub(super) snapshot_id: Option<Option<String>>,
}

impl Gap {
    /// No gap: it goes on with the event `next`.
    pub(super) fn none(next: u64) -> Self {
        Self { text: String::new(), events: 0, next, snapshot_id: None }
    }

    /// Where a newcomer begins, and what it is told. The channel's lock is held.
    pub(super) fn greeting(
        log: &Log,
        settings: &Settings,
        last_event_id: Option<&str>,
        interest: &Interest,
    ) -> Self {
        let mut gap = Self::none(log.next());
        match log.resume(last_event_id, interest) {
            Resume::After(sequence) => gap.next = sequence + 1,
            Resume::Lost(seen) => {
                let reason = if seen.is_some() { "expired" } else { "unknown" };
                let (cursor, start) = (seen.map(|seen| seen + 1), log.history_start());
                return Self::reset(log, settings, reason, cursor, start, interest);
            }
            Resume::Fresh if settings.snapshots.is_some() => {
                gap.snapshot_id = Some(log.id_of(log.next() - 1));
            }
            Resume::Fresh => {
                let start = log.start_of_last(settings.replay);
                if log.from(start).any(|event| interest.has(event.topic)) {
                    gap.next = start;
                } else if let Some(id) = log.id_of(log.next() - 1) {
                    // So that a client which is cut off before its first event comes back with an id.
                    write_id(&mut gap.text, &id);
                }
            }
        }
        gap
    }

    /// The event that says what was missed, and what follows it: the snapshot, or what there is from `start` on.
    fn reset(
        log: &Log,
        settings: &Settings,
        reason: &'static str,
        cursor: Option<u64>,
        start: u64,
        interest: &Interest,
    ) -> Self {
        let has_snapshot = settings.snapshots.is_some();
        let next = if has_snapshot { log.next() } else { start };
        let id = log.id_of(next - 1);
        let missed = cursor.and_then(|cursor| log.missed(cursor, next, interest));
        let missed = missed.map_or_else(|| String::from("null"), |missed| missed.to_string());
        let data = RawJson(format!("{{\"reason\":\"{reason}\",\"missed\":{missed}}}"));
        let event = Event::new(data).event_type(&*settings.reset_type);
        let mut text = String::new();
        // Where a snapshot follows, that has the id: a client that is cut off in between has to come back for it. The
        // type was judged when the channel was set up, so this cannot fail.
        let own_id = id.as_deref().filter(|_| !has_snapshot);
        let _ = event.write_with_id(&mut text, own_id, &Formatting::new());
        Self { text, events: 1, next, snapshot_id: has_snapshot.then_some(id) }
    }
}

impl Reader {
    /// What comes next, with some events in view if it is events. The channel's lock is held.
    pub(super) fn look(&self, log: &Log, settings: &Settings, view: &mut View) -> Step {
        if log.has_lost(self.cursor, &self.interest) {
            let (cursor, start) = (Some(self.cursor), log.first_kept());
            return Step::Gap(Gap::reset(log, settings, "lagged", cursor, start, &self.interest));
        }
        if self.cursor < log.next() {
            if !view.has(self.cursor) {
                view.fill(log, self.cursor);
            }
            return Step::Events;
        }
        Step::Nothing
    }
}

/// Appends a block with an id alone: the position of a client for which there is no event.
pub(super) fn write_id(out: &mut String, id: &str) {
    wire::field(out, "id: ", id);
    out.push('\n');
}
