//! Ending a host: everything that waits is woken, everybody is told, and it is over in bounded time.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::places::Places;
use crate::clock::NEVER;
use crate::locks::lock;

/// A connection to ourselves either works at once or not at all.
const KNOCK: Duration = Duration::from_secs(1);
/// How long a stop waits for the gate, which has been woken, to close its listener.
const CLOSING: Duration = Duration::from_secs(1);
/// After their sockets were shut down, threads that wait for them have this long to notice.
const LAST_MOMENT: Duration = Duration::from_millis(250);

/// Ends a host from anywhere: handlers, generators, other threads, beside [`run`](crate::Host::run).
///
/// ```
/// use brooklet::{Host, Layout, Request, Response};
///
/// let host = Host::new(Layout::new()).bind("127.0.0.1:0");
/// let stopper = host.stopper();
/// std::thread::spawn(move || stopper.request_stop());
/// host.run()?; // returns when everything has ended
/// # Ok::<(), brooklet::StartError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stopper {
    pub(super) places: Arc<Places>,
}

/// Where a gate listens, and how to wake those who wait there.
#[derive(Default)]
pub(super) struct Door {
    address: Mutex<Option<SocketAddr>>,
    /// A descriptor to give back, so that there is one to knock with when there are no others.
    spare: Mutex<Option<TcpListener>>,
    is_closed: Mutex<bool>,
    /// Told when it is.
    closed: Condvar,
}

/// Held as long as somebody listens behind a door, which is closed when it is dropped.
pub(super) struct OpenDoor(Arc<Places>);

impl Door {
    /// Wakes one of those who wait for connections.
    pub(super) fn knock(&self) {
        self.give_spare_back();
        let mut address = match *lock(&self.address) {
            Some(address) => address,
            None => return,
        };
        if address.ip().is_unspecified() {
            match address {
                SocketAddr::V4(_) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
                SocketAddr::V6(_) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            }
        }
        // If it fails, the gate is busy accepting, or failing to; it looks up after that.
        let _ = TcpStream::connect_timeout(&address, KNOCK);
    }

    fn give_spare_back(&self) {
        let spare = lock(&self.spare).take();
        drop(spare); // without the lock
    }

    /// Waits until nobody listens any more, though not for ever.
    pub(super) fn wait_until_closed(&self) {
        let is_closed = lock(&self.is_closed);
        drop(self.closed.wait_timeout_while(is_closed, CLOSING, |is_closed| !*is_closed));
    }
}

impl OpenDoor {
    pub(super) fn new(places: &Arc<Places>, listener: &TcpListener, address: SocketAddr) -> Self {
        *lock(&places.door.spare) = listener.try_clone().ok();
        *lock(&places.door.address) = Some(address);
        Self(Arc::clone(places))
    }
}

impl Drop for OpenDoor {
    fn drop(&mut self) {
        let door = &self.0.door;
        door.give_spare_back(); // the system listens as long as there is a descriptor
        *lock(&door.is_closed) = true;
        door.closed.notify_all();
    }
}

/// How a stop went.
///
/// ```
/// # use brooklet::{Host, Layout};
/// let host = Host::new(Layout::new()).bind("127.0.0.1:0").start()?;
/// let report = host.stop();
/// if report.forced > 0 {
///     eprintln!("{} did not end by themselves", report.forced);
/// }
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

impl Stopper {
    /// Asks the host to stop, and returns at once.
    ///
    /// Nothing new is accepted, idle connections are closed, answers under way are finished. Streams are told to
    /// come back in some seconds, each at a time of its own, and everything that their generators call from now
    /// on fails. To wait until all that is done is for [`RunningHost::stop`](crate::RunningHost::stop) or
    /// [`Host::run`](crate::Host::run).
    ///
    /// ```
    /// use brooklet::{Host, Layout, Request, Response};
    /// use std::sync::{Arc, Mutex};
    ///
    /// let stopper = Arc::new(Mutex::new(None));
    /// let app = Layout::new().add("quit", {
    ///     let stopper = Arc::clone(&stopper);
    ///     move |_: Request| {
    ///         let known: Option<brooklet::Stopper> = stopper.lock().unwrap().clone();
    ///         if let Some(stopper) = known {
    ///             stopper.request_stop(); // this answer still goes out
    ///         }
    ///         Response::text("bye\n")
    ///     }
    /// });
    /// let host = Host::new(app);
    /// *stopper.lock().unwrap() = Some(host.stopper());
    /// # drop(host);
    /// ```
    pub fn request_stop(&self) {
        let is_first = self.places.stop.request();
        for connection in self.places.open_connections() {
            connection.finish_reading();
        }
        if is_first {
            self.places.crew.dismiss();
            self.places.door.knock();
        }
    }

    /// Whether somebody has asked the host to stop.
    ///
    /// ```
    /// # use brooklet::{Host, Layout};
    /// let host = Host::new(Layout::new());
    /// let stopper = host.stopper();
    /// stopper.request_stop();
    /// assert!(stopper.is_stopping());
    /// ```
    pub fn is_stopping(&self) -> bool {
        self.places.stop.is_requested()
    }

    /// Stops, waits, and at the deadline cuts off whoever is left.
    pub(super) fn stop_within(&self, grace: Duration) -> StopReport {
        let open = self.places.held_by_others();
        self.request_stop();
        self.places.crew.let_others_follow_up();
        if self.places.wait_until_empty(Instant::now() + grace.min(NEVER)) {
            return StopReport { ended: open, forced: 0 };
        }
        let left = self.places.connections_of_others();
        let forced = left.len();
        for connection in left {
            connection.shutdown();
        }
        self.places.wait_until_empty(Instant::now() + LAST_MOMENT);
        StopReport { ended: open.saturating_sub(forced), forced }
    }
}
