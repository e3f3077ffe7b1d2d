//! Ending a host: everything that waits is woken, every client is told, and it is over in bounded time.
//!
//! A stop sets the signal that all connections have, and then wakes every thread that waits: those that read (their
//! sockets are shut down for reading), generators, followers and idle threads that sleep (by the signal), and those
//! that accept (by a connection). Each of them looks at the signal before it waits again, so none is missed. Then it
//! waits until the slots are free. What is left at the deadline is cut off, and not waited for by any later stop.

use std::time::Duration;

use super::console;
use super::service::Service;
use super::slots::Table;
use crate::clock::NEVER;

/// How long threads that wait for a socket have to end after a stop has shut it down.
const LAST_MOMENT: Duration = Duration::from_millis(250);

/// How a stop went.
///
/// ```
/// # use brooklet::{Host, Layout};
/// let host = Host::new(Layout::new()).bind("127.0.0.1:0").start()?;
/// let report = host.stop();
/// assert_eq!((report.ended, report.forced), (0, 0)); // there was no connection
/// # Ok::<(), brooklet::StartError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Connections that ended by themselves when they were told to.
    pub ended: usize,
    /// Connections that had to be cut off when the time was up.
    pub forced: usize,
}

impl Service {
    pub(super) fn request_stop(&self) {
        let is_first = self.stop.request();
        for (connection, _) in self.slots.open() {
            connection.finish_reading();
        }
        if is_first {
            self.listeners.wake();
        }
    }

    /// Stops, waits, and at the deadline cuts off what is left. What the calling thread serves itself is not waited for.
    pub(super) fn stop_within(&self, grace: Duration) -> StopReport {
        let open = self.slots.held_by_others();
        self.request_stop();
        self.deferred.let_others_go_on();
        let mut forced = 0;
        if !self.slots.wait_until_empty(Table::held, grace.min(NEVER)) {
            forced = self.slots.cut_off_others();
            self.slots.wait_until_empty(Table::held_or_cut_off, LAST_MOMENT);
        }
        self.listeners.wait_until_closed();
        console::finish();
        StopReport { ended: open.saturating_sub(forced), forced }
    }
}
