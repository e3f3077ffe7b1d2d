//! What a newcomer is told before everything that follows.

use super::log::{Log, Resume};
use super::shared::Settings;
use crate::data::RawJson;
use crate::event::wire::{self, Event, SendError};

/// How much of what happened before a fresh client is sent.
///
/// ```
/// use brooklet::{Channel, Replay};
///
/// let everything = Channel::new().replay(Replay::All);
/// let the_end_of_it = Channel::new().replay(Replay::Last(100));
/// # drop((everything, the_end_of_it));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Nothing: it begins with what is published from now on.
    None,
    /// All of the history.
    All,
    /// So many events at most.
    Last(u64),
}

/// Where a newcomer begins, and what it has to know.
#[derive(Debug)]
pub(in crate::event) struct Greeting {
    /// The first event that follows.
    cursor: u64,
    /// The id of the event before it, which the client is to come back with.
    id: Option<String>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// It continues, or is replayed to: the events speak for themselves.
    Silent,
    Fresh,
    Reset {
        reason: &'static str,
        missed: Option<u64>,
    },
}

impl Greeting {
    /// Fixes the position: under the lock, before anything is said.
    pub(super) fn new(log: &Log, settings: &Settings, last_event_id: Option<&str>) -> Self {
        let next = log.next();
        let (cursor, kind) = match log.resume(last_event_id) {
            Resume::After(sequence) => (sequence + 1, Kind::Silent),
            Resume::Lost { reason, missed } => (next, Kind::Reset { reason, missed }),
            Resume::Fresh => match next - settings.replayed(next - log.history_start()) {
                cursor if cursor < next => (cursor, Kind::Silent),
                cursor => (cursor, Kind::Fresh),
            },
        };
        Self { cursor, id: log.id_of(cursor - 1), kind }
    }

    /// The first event that follows.
    pub(in crate::event) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Writes what comes before the events, and returns how many events of its own that is.
    ///
    /// It calls the user's snapshot, so nothing may be locked.
    pub(super) fn write(&self, out: &mut String, settings: &Settings) -> Result<u64, SendError> {
        let id = self.id.as_deref();
        let resets = match self.kind {
            Kind::Silent => return Ok(0),
            Kind::Fresh => 0,
            Kind::Reset { reason, missed } => {
                // Where a snapshot follows, that has the id: a client that is cut off in between has to come back
                // for it.
                let id = id.filter(|_| settings.snapshot.is_none());
                write_reset(out, settings, id, reason, missed)?;
                1
            }
        };
        match (&settings.snapshot, id) {
            (Some(snapshot), _) => {
                snapshot(out, id, &settings.formatting)?;
                Ok(resets + 1)
            }
            (None, Some(id)) if resets == 0 => {
                // So that a client which is cut off before its first event comes back with something.
                wire::field(out, "id: ", id);
                out.push('\n');
                Ok(0)
            }
            (None, _) => Ok(resets),
        }
    }
}

/// Writes the event that says what was missed. Its id, if any, is where the client stands now.
pub(super) fn write_reset(
    out: &mut String,
    settings: &Settings,
    id: Option<&str>,
    reason: &'static str,
    missed: Option<u64>,
) -> Result<(), SendError> {
    let missed = missed.map_or_else(|| String::from("null"), |missed| missed.to_string());
    let data = format!("{{\"reason\":\"{reason}\",\"missed\":{missed}}}");
    let event = Event::new(RawJson(data)).event_type(settings.reset_type.as_str());
    event.write_with_id(out, id, &settings.formatting)
}

impl Settings {
    /// How many of the events that are there a fresh client gets. A snapshot says it all by itself.
    fn replayed(&self, available: u64) -> u64 {
        match self.replay {
            _ if self.snapshot.is_some() => 0,
            Replay::None => 0,
            Replay::All => available,
            Replay::Last(events) => available.min(events),
        }
    }
}
