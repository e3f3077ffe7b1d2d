//! A handle to a host that is made before it, for the host's own handlers among others.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::service::Service;
use super::stats::Stats;
use super::stop::StopReport;
use crate::http::{Handler, Request, Response};

/// How long a stop waits for what is under way, unless told otherwise.
const GRACE: Duration = Duration::from_secs(5);

/// Stops a host and tells how it is doing, from anywhere: handlers, generators, other threads, before the host starts
/// and after it has ended.
///
/// It is made before the host, which is given it by [`Host::control`](crate::Host::control). All clones are the same.
/// It is a [`Handler`] as well, which answers with the [`Stats`] in the text format of Prometheus.
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
/// A control that was asked to stop remains so: a host that is given it afterwards ends as soon as it starts. Several
/// hosts with one control are stopped together and counted together, their limits on connections included.
#[derive(Clone, Default)]
pub struct Control {
    pub(super) service: Arc<Service>,
}

impl Control {
    /// A control that no host has yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How the host is doing.
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
    /// Nothing new is accepted, idle connections are closed, answers under way are finished. Streams are told to
    /// come back in some seconds, each at a time of its own, and everything that their generators call from now
    /// on fails. [`stop`](Self::stop) and [`Host::run`](crate::Host::run) wait until all that is done.
    ///
    /// ```
    /// let control = brooklet::Control::new();
    /// control.request_stop();
    /// assert!(control.is_stopping());
    /// ```
    pub fn request_stop(&self) {
        self.service.request_stop();
    }

    /// Whether the host has been asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.service.stop.is_requested()
    }

    /// Stops, and gives what is under way five seconds to end.
    pub fn stop(&self) -> StopReport {
        self.stop_within(GRACE)
    }

    /// Stops: nothing new is accepted, idle connections are closed, answers under way are finished, streams are
    /// told when to come back, and every call of a generator that waits returns.
    ///
    /// It returns when everything has ended, or after `grace`, when what is left is cut off. A handler or
    /// generator that calls nothing of ours cannot be ended from outside: it is left behind, and a later stop does not
    /// wait for it again. Called from a handler or a generator of the host itself, it does not wait for that one.
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
        self.service.stop_within(grace)
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
