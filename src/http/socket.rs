//! The socket that a connection is made of, as small as the server needs it.
//!
//! Everything takes `&self`, so that one value behind an `Arc` serves the connection's thread, the host
//! that wants to stop it and the channel that it may be handed to; it is never cloned.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A byte stream between a client and the server: TCP, a Unix socket, TLS of your own, or bytes in memory.
///
/// [`Host::serve`](crate::Host::serve) serves one connection over any such stream.
///
/// The contract is that of `TcpStream`: a read that ends with `Ok(0)` is the end of what the client sends;
/// a read or write that passes its timeout, or would block where blocking is off, fails with
/// [`WouldBlock`](io::ErrorKind::WouldBlock) or [`TimedOut`](io::ErrorKind::TimedOut);
/// after [`shutdown`](Socket::shutdown) for reading, reads under way in other threads return `Ok(0)`.
///
/// ```
/// # #[cfg(unix)]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use brooklet::{Host, Request, Response, Socket};
/// use std::io::{Read, Result, Write};
/// use std::net::Shutdown;
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
///
/// /// What it takes. (A `UnixStream` is a `Socket` by itself.)
/// struct Unix(UnixStream);
///
/// impl Socket for Unix {
///     fn read(&self, buffer: &mut [u8]) -> Result<usize> {
///         (&self.0).read(buffer)
///     }
///     fn write(&self, bytes: &[u8]) -> Result<usize> {
///         (&self.0).write(bytes)
///     }
///     fn set_read_timeout(&self, timeout: Option<Duration>) -> Result<()> {
///         self.0.set_read_timeout(timeout)
///     }
///     fn set_write_timeout(&self, timeout: Option<Duration>) -> Result<()> {
///         self.0.set_write_timeout(timeout)
///     }
///     fn set_nonblocking(&self, nonblocking: bool) -> Result<()> {
///         self.0.set_nonblocking(nonblocking)
///     }
///     fn shutdown(&self, how: Shutdown) -> Result<()> {
///         self.0.shutdown(how)
///     }
/// }
///
/// let (mut client, server) = UnixStream::pair()?; // or UnixListener::accept, and a thread for each
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// Host::new(|_: Request| Response::text("hello")).serve(Unix(server));
///
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("\r\n\r\nhello"));
/// # Ok(())
/// # }
/// # #[cfg(not(unix))]
/// # fn main() {}
/// ```
pub trait Socket: Send + Sync {
    /// Reads what has arrived, waiting for at least one byte until the read timeout.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes some of `bytes` and says how many.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Bounds each read; `None` waits for ever.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Bounds each write; `None` waits for ever.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Whether reads and writes return at once instead of waiting.
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;

    /// Ends one or both directions.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// This end's address.
    fn local_address(&self) -> Option<SocketAddr> {
        None
    }

    /// Whether the [rules for loopback](crate::Host#safe-on-localhost) hold: by default if the local address is on
    /// loopback, or is not known. For a Unix socket they do not hold, since no browser connects to one.
    fn is_loopback(&self) -> bool {
        is_local(self.local_address())
    }

    /// The client's address.
    fn peer_address(&self) -> Option<SocketAddr> {
        None
    }
}

/// Whether an address is on loopback, or not known, so that it may be.
pub(crate) fn is_local(address: Option<SocketAddr>) -> bool {
    match address.map(|address| address.ip()) {
        Some(IpAddr::V6(address)) => {
            address.is_loopback() || matches!(address.to_ipv4_mapped(), Some(mapped) if mapped.is_loopback())
        }
        Some(IpAddr::V4(address)) => address.is_loopback(),
        None => true,
    }
}

/// Any socket. A TCP socket, which is the usual one, takes no allocation: thousands may be idle.
pub(crate) enum AnySocket {
    Tcp(TcpStream),
    Other(Box<dyn Socket>),
}

impl AnySocket {
    pub(super) fn as_socket(&self) -> &dyn Socket {
        match self {
            Self::Tcp(stream) => stream,
            Self::Other(socket) => &**socket,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses() {
        check("127.0.0.1:80", true);
        check("127.8.9.1:80", true);
        check("[::1]:80", true);
        check("[::ffff:127.0.0.1]:80", true); // a dual-stack listener sees IPv4 like this
        check("192.168.0.1:80", false);
        check("[::ffff:10.0.0.1]:80", false);
        check("[fe80::1]:80", false);
        check("", true); // a socket that does not tell

        #[track_caller]
        fn check(address: &str, expected: bool) {
            assert_eq!(is_local(address.parse().ok()), expected, "{address}");
        }
    }
}
