//! A host that serves, for the program that has started it.

use std::net::SocketAddr;
use std::time::Duration;

use super::control::Control;
use super::stats::Stats;
use super::stop::StopReport;

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
    /// Where it listens first: with the port that it got, if it was bound to port 0.
    ///
    /// # Panics
    ///
    /// If it listens on Unix sockets alone.
    pub fn address(&self) -> SocketAddr {
        *self.addresses.first().expect("this host listens on Unix sockets alone")
    }

    /// Everywhere where it listens by TCP, in the order in which that was said.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How it is doing.
    pub fn stats(&self) -> Stats {
        self.control.stats()
    }

    /// A handle for other threads, to stop it or to look how it is doing.
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
