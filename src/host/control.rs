//! The handles to a host: one that is made before it, for its own handlers among others, and one that is had by starting it.
//!
//! A stop ends a host: everything that waits is woken, every client is told, and it is over in bounded time.
//!
//! A stop sets the signal that all connections have, and then wakes every thread that waits: those that read (their
//! sockets are shut down for reading), generators, followers and idle threads that sleep (by the signal), and those
//! that accept (by a connection). Each of them looks at the signal before it waits again, so none is missed. Then it
//! waits until the slots are free. What is left at the deadline is cut off, and not waited for by any later stop.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::console;
use super::deferred::Deferred;
use super::listener::Listeners;
use super::slots::{Slots, Table};
use super::stats::Stats;
use crate::clock::NEVER;
use crate::http::{Handler, Request, Response, StopSignal};

/// How long a stop waits for what is under way, unless told otherwise.
const GRACE: Duration = Duration::from_secs(5);

/// How long threads that wait for a socket have to end after a stop has shut it down.
const LAST_MOMENT: Duration = Duration::from_millis(250);

/// What the threads of a host and its [`Control`] share: made before the host, and there after it has ended.
#[derive(Default)]
pub(super) struct Service {
    pub(super) stop: StopSignal,
    pub(super) listeners: Listeners,
    pub(super) slots: Arc<Slots>,
    pub(super) deferred: Arc<Deferred>,
}

/// Stops a host and reads its [`Stats`], from anywhere: handlers, generators, other threads, before the host starts and
/// after it has ended.
///
/// It is made before the host, and given to it by [`Host::control`](crate::Host::control). All clones control the same
/// host. It is a [`Handler`] as well, which answers with the [`Stats`] in the text format of Prometheus.
///
/// ```
/// use brooklet::{Control, Host, Layout, Request, Response};
///
/// let control = Control::new();
/// let app = Layout::new().add("metrics", control.clone()).add("quit", {
///     let control = control.clone();
///     move |_: Request| {
///         control.request_stop(); // this answer still goes out
///         Response::text("bye\n")
///     }
/// });
/// let host = Host::new(app).bind("127.0.0.1:0").control(&control);
/// std::thread::spawn({
///     let control = control.clone();
///     move || control.request_stop()
/// });
/// host.run()?; // returns when everything has ended
/// assert!(control.is_stopping());
/// assert_eq!(control.stats().connections, 0);
/// # Ok::<(), brooklet::StartError>(())
/// ```
///
/// A control that was asked to stop stays so: a host that gets it afterwards ends as soon as it starts. Several hosts
/// with one control are stopped together, and their connections are counted together, for their limits as well.
#[derive(Clone, Default)]
pub struct Control {
    pub(super) service: Arc<Service>,
}

impl Control {
    /// A control that no host has yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The numbers of the host now.
    ///
    /// ```
    /// assert_eq!(brooklet::Control::new().stats().answered, 0);
    /// ```
    pub fn stats(&self) -> Stats {
        self.service.slots.stats()
    }

    /// Asks the host to stop, and does not wait for that. It returns at once, or a second later for each listener whose
    /// backlog is full.
    ///
    /// Nothing new is accepted, idle connections are closed, answers under way are finished. The clients of streams are
    /// told to come back in 1.5 to 4.5 seconds, each at a random time, and every later call of their generators fails.
    /// [`stop`](Self::stop) and [`Host::run`](crate::Host::run) wait until that is done.
    ///
    /// ```
    /// let control = brooklet::Control::new();
    /// control.request_stop();
    /// assert!(control.is_stopping());
    /// ```
    pub fn request_stop(&self) {
        let is_first = self.service.stop.request();
        for (connection, _) in self.service.slots.open() {
            connection.finish_reading();
        }
        if is_first {
            self.service.listeners.wake();
        }
    }

    /// Whether the host has been asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.service.stop.is_requested()
    }

    /// Stops, and gives what is under way five seconds to end.
    pub fn stop(&self) -> StopReport {
        self.stop_within(GRACE)
    }

    /// Stops as [`request_stop`](Self::request_stop) does, and returns when all connections have ended. Those that have
    /// not ended after `grace` are cut off.
    ///
    /// A handler or generator that calls nothing of this crate cannot be ended from outside: its thread goes on, and a
    /// later stop does not wait for it again. Called from a handler or a generator of the host itself, this does not wait
    /// for the caller's own connection.
    ///
    /// ```
    /// # use brooklet::{Control, Host, Layout};
    /// # use std::time::Duration;
    /// let control = Control::new();
    /// let host = Host::new(Layout::new()).bind("127.0.0.1:0").control(&control).start()?;
    /// let report = control.stop_within(Duration::from_millis(500));
    /// assert_eq!((report.ended, report.forced), (0, 0)); // there was no connection
    /// # Ok::<(), brooklet::StartError>(())
    /// ```
    pub fn stop_within(&self, grace: Duration) -> StopReport {
        let Service { slots, listeners, deferred, .. } = &*self.service;
        let open = slots.held_by_others();
        self.request_stop();
        deferred.let_others_go_on();
        let mut forced = 0;
        if !slots.wait_until_empty(Table::held, grace.min(NEVER)) {
            forced = slots.cut_off_others();
            slots.wait_until_empty(Table::held_or_cut_off, LAST_MOMENT);
        }
        listeners.wait_until_closed();
        console::finish();
        StopReport { ended: open.saturating_sub(forced), forced }
    }
}

/// The text format of Prometheus.
impl Handler for Control {
    fn handle(&self, request: Request) -> Response {
        match request.method() {
            "GET" | "HEAD" => Response::text(self.stats().to_string())
                .header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                .header("Cache-Control", "no-store"),
            other => Response::method_not_allowed(other, "GET, HEAD"),
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

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

/// A host that serves. Dropping it stops it.
///
/// ```
/// use brooklet::{Host, Request, Response};
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// let host = Host::new(|_: Request| Response::text("hello")).bind("127.0.0.1:0").start()?;
///
/// let mut client = TcpStream::connect(host.address())?;
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
///
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"));
/// assert_eq!(host.stats().answered, 1);
/// assert_eq!(host.stop().forced, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a running host stops when it is dropped"]
pub struct RunningHost {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) control: Control,
}

impl RunningHost {
    /// The first address where it listens, with the port that it got if it was bound to port 0.
    ///
    /// # Panics
    ///
    /// If it listens on Unix sockets alone.
    pub fn address(&self) -> SocketAddr {
        *self.addresses.first().expect("this host listens on Unix sockets alone")
    }

    /// All TCP addresses where it listens, in the order of the calls of [`Host::bind`](crate::Host::bind) and
    /// [`Host::listener`](crate::Host::listener).
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The numbers of the host now.
    pub fn stats(&self) -> Stats {
        self.control.stats()
    }

    /// A handle for other threads, to stop the host or to read its numbers.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Stops, and gives what is under way five seconds to end; see [`Control::stop`].
    pub fn stop(&self) -> StopReport {
        self.control.stop()
    }

    /// Stops within this time; see [`Control::stop_within`].
    pub fn stop_within(&self, grace: Duration) -> StopReport {
        self.control.stop_within(grace)
    }
}

impl Drop for RunningHost {
    fn drop(&mut self) {
        self.stop();
    }
}
