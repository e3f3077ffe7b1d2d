//! What happens to a connection that comes when all slots are taken: another connection is closed for it, or it is told to
//! come back.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::log::Notice;
use super::phase::Phase;
use super::slots::{Slot, Slots};
use super::Settings;
use crate::locks::lock;

/// Connections above the limit that are told to come back. Further ones are closed at once.
const MAX_TURNED_AWAY: usize = 32;
/// After a search has found no connection that can give way, the next search is this much later.
const SEARCH_INTERVAL: Duration = Duration::from_millis(50);
/// A condition that lasts is logged once in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What the thread that accepts remembers of an overload.
#[derive(Default)]
pub(super) struct Overload {
    notices: Throttle,
    /// A search looks at each connection, so it is not made for each that comes.
    next_search: Option<Instant>,
}

impl Overload {
    /// Finds a slot for a connection that has come; `None` where it has to be closed.
    pub(super) fn admit(&mut self, settings: &Arc<Settings>) -> Option<Arc<Slot>> {
        let slots = &settings.service.slots;
        slots.counters.accepted.add(1);
        let limit = settings.limits.max_connections;
        let slot = slots.take(Phase::Idle, limit);
        let slot = slot.or_else(|| self.make_room(slots).then(|| slots.take(Phase::Idle, limit)).flatten());
        if slot.is_some() {
            return slot;
        }
        slots.counters.turned_away.add(1);
        if self.notices.is_due() {
            settings.log.write_elsewhere(Notice::Full { connections: limit }, &settings.service.deferred);
        }
        slots.take(Phase::TurnedAway, MAX_TURNED_AWAY)
    }

    /// Closes the connection that has waited longest for a request, or else the one that is longest in the midst of a
    /// head, so that a new connection can have its slot. Returns whether there was one.
    pub(super) fn make_room(&mut self, slots: &Slots) -> bool {
        let now = Instant::now();
        if matches!(self.next_search, Some(next) if now < next) || slots.is_emptying() {
            return false;
        }
        let has_room = slots.make_room(Phase::Idle) || slots.make_room(Phase::Head);
        self.next_search = (!has_room).then(|| now + SEARCH_INTERVAL);
        has_room
    }
}

/// Lets what happens again and again be logged once in a while.
#[derive(Default)]
pub(super) struct Throttle {
    last: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(super) fn is_due(&self) -> bool {
        let mut last = lock(&self.last);
        let is_due = last.map_or(true, |last| last.elapsed() >= LOG_INTERVAL);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::clock::NEVER;
    use crate::http::{AnySocket, Connection, StopSignal};
    use std::os::unix::net::UnixStream;

    /// As many as may be ended at once and still have threads that do not know of it.
    #[test]
    fn not_all_give_way_at_once() {
        let slots = Arc::new(Slots::default());
        let connect = |_| {
            let slot = slots.take(Phase::Idle, usize::MAX).expect("there is no limit");
            let (socket, _) = UnixStream::pair().expect("there are descriptors");
            let socket = AnySocket::Other(Box::new(socket));
            let registration = Arc::clone(&slot) as _;
            let connection = Connection::new(socket, StopSignal::default(), NEVER, registration);
            let connection = Arc::new(connection.expect("it is new"));
            slots.enter(&slot, &connection);
            connection // which holds the slot
        };
        let _open: Vec<_> = (0..40).map(connect).collect();
        let mut overload = Overload::default();
        assert_eq!((0..40).filter(|_| overload.make_room(&slots)).count(), 32);
    }
}
