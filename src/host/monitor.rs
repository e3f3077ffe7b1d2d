//! A host's numbers for those who come before it: its own handlers.

use std::sync::{Arc, Mutex};

use super::places::Places;
use super::stats::Stats;
use crate::http::{Handler, Request, Response, Status};
use crate::locks::lock;

/// Shows the [`Stats`] of a host to its own handlers, and is one that tells them to Prometheus.
///
/// A host's handlers are made before the host is. So is a monitor, which the host is given afterwards:
///
/// ```
/// use brooklet::{Host, Layout, Monitor};
///
/// let monitor = Monitor::new();
/// let app = Layout::new().add("metrics", monitor.clone());
/// let host = Host::new(app).monitor(&monitor);
/// assert_eq!(monitor.stats().unwrap().connections, 0);
/// # drop(host);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Monitor {
    places: Arc<Mutex<Option<Arc<Places>>>>,
}

impl Monitor {
    /// A monitor that has nothing to show yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How the host is doing that was given this monitor last; `None` before.
    pub fn stats(&self) -> Option<Stats> {
        let places = lock(&self.places).clone();
        places.map(|places| places.stats())
    }

    pub(super) fn watch(&self, places: &Arc<Places>) {
        let before = lock(&self.places).replace(Arc::clone(places));
        drop(before); // without the lock
    }
}

/// The text format of Prometheus.
impl Handler for Monitor {
    fn handle(&self, request: Request) -> Response {
        match (request.method(), self.stats()) {
            ("GET" | "HEAD", Some(stats)) => Response::text(stats.to_string())
                .header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                .header("Cache-Control", "no-store"),
            ("GET" | "HEAD", None) => Response::error(Status::SERVICE_UNAVAILABLE),
            (other, _) => Response::method_not_allowed(other, "GET, HEAD"),
        }
    }
}
