//! How a connection gets its thread: leader and followers.
//!
//! One thread accepts on each listener, its leader. Where another thread is idle, a leader that has accepted hands the
//! listener to it and serves the connection itself. The other thread leads from then on: no connection changes threads,
//! and the new leader is in `accept` before the connection has been answered. Where none is idle, the connection waits for the next
//! thread that is free or made ([`Workers`]), and the leader goes on accepting: so a burst leaves the system's backlog as
//! fast as one thread can accept.
//!
//! ```text
//!             accepted, another is idle          served                 served, others wait
//!    LEADING ---------------------------> SERVING -----> idle      SERVING ------------> SERVING
//!     |   ^                                  ^            |
//!     +---+ accepted, none is idle: queue ---+            +--> LEADING, or ended: not needed, or stopped
//! ```
//!
//! - *Who may accept*: the thread that owns the [`Leader`]. There is one `Leader` for each listener, and it cannot be copied.
//!   Its first thread is made when the host starts; without that thread the start fails. None accepts before all listeners
//!   have their descriptors and threads. Dropping the `Leader` closes the listener.
//! - *A leader waits* in `accept` and after an error, and nowhere else: it takes a slot, or closes the connection. It calls
//!   no handler and no log listener, and reads and writes no socket.
//! - *Without descriptors*, `accept` fails: the leader keeps leading, and waits longer each time, a second at most.
//! - *Without threads*, the connections that wait for one are closed. The leader closes an idle one besides, whose thread
//!   is free then, and waits as above.
//! - *The stop* sets its signal and then connects to the listener. The signal is looked at before and after each call of
//!   `accept`, and a connection stays in the backlog until it is accepted: so the leader of that moment
//!   finds one or the other. It closes the listener and ends, and no thread leads any more.
//!
//! Two simpler ways were measured. Without the queue, where each connection makes a new leader if no thread is idle: of
//! 10,000 that connect at once to a backlog of 4,096, some waited 3.2 s, since a new leader has to be scheduled before it
//! accepts; with the queue 0.7 to 0.9 s. With the queue alone: 256 at once take twice the time that they take where idle
//! threads lead.
//!
//! 256 clients that connect again and again fill std's backlog of 128: in 3 s the system refused 380 of some 45,000
//! connections. With two leaders for each listener it was as many. With a leader that hands the listener on only after 1 ms
//! without a connection it was 280, at 1.4 times the processor time. With a backlog of 4,096 it was none.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use super::listener::Listener;
use super::overload::Overload;
use super::serve;
use super::slots::Slot;
use super::workers::{Task, Workers};
use super::Settings;
use crate::http::AnySocket;

/// How long to wait after an error that lasts, such as running out of descriptors: doubled each time, as in Go.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

/// What the threads of a host do.
pub(super) enum Work {
    Lead(Leader),
    /// For a connection that has a slot.
    Serve {
        settings: Arc<Settings>,
        slot: Arc<Slot>,
        socket: AnySocket,
    },
}

impl Task for Work {
    fn run(self) {
        match self {
            Self::Lead(leader) => leader.lead(),
            Self::Serve { settings, slot, socket } => serve::serve(&settings, slot, socket),
        }
    }

    fn give_up(self, error: &io::Error) {
        if let Self::Serve { settings, .. } = self {
            settings.report_trouble(error); // without a thread there is no leader
        }
    }
}

/// The right to accept on a listener.
pub(super) struct Leader {
    /// There until it is dropped.
    listener: Option<Listener>,
    settings: Arc<Settings>,
    workers: Arc<Workers<Work>>,
    overload: Overload,
}

impl Leader {
    pub(super) fn new(
        listener: Listener,
        settings: &Arc<Settings>,
        workers: &Arc<Workers<Work>>,
    ) -> io::Result<Self> {
        settings.service.listeners.add(&listener)?;
        Ok(Self {
            listener: Some(listener),
            settings: Arc::clone(settings),
            workers: Arc::clone(workers),
            overload: Overload::default(),
        })
    }

    /// Accepts until it can hand the listener on, and then serves what was accepted.
    #[inline(never)] // see `serve`
    fn lead(mut self) {
        let mut backoff = FIRST_BACKOFF;
        while !self.is_stopping() {
            let accepted = self.listener.as_ref().expect("it is there until the leader is dropped").accept();
            if self.is_stopping() {
                break; // it may be the stop's own connection
            }
            let socket = match accepted {
                Ok(socket) => socket,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    self.settings.report_trouble(&error);
                    self.back_off(&mut backoff);
                    continue;
                }
            };
            let slot = match self.overload.admit(&self.settings) {
                Some(slot) => slot,
                None => continue,
            };
            let (settings, workers) = (Arc::clone(&self.settings), Arc::clone(&self.workers));
            self = match workers.give(Work::Lead(self)) {
                Err(Work::Lead(leader)) => leader,
                _ => return serve::serve(&settings, slot, socket),
            };
            match workers.push(Work::Serve { settings, slot, socket }) {
                Ok(()) => backoff = FIRST_BACKOFF,
                Err(_) => {
                    self.overload.make_room(&self.settings.service.slots); // its thread is free soon
                    self.back_off(&mut backoff);
                }
            }
        }
    }

    /// Waits after an error of the system, and longer after each that follows.
    fn back_off(&self, backoff: &mut Duration) {
        self.settings.service.stop.sleep(*backoff);
        *backoff = (*backoff * 2).min(LAST_BACKOFF);
    }

    fn is_stopping(&self) -> bool {
        self.settings.service.stop.is_requested()
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.settings.service.listeners.close(self.listener.take());
    }
}

/// Errors of a connection that was gone before it was accepted: the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}
