//! From an address to a listener, and what can go wrong on the way.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

/// Why a host did not start.
///
/// Its `Debug` is its sentence as well, so that a `main` which returns it ends with one clear line.
///
/// ```
/// use brooklet::{Host, Layout};
/// use std::net::TcpListener;
///
/// let taken = TcpListener::bind("127.0.0.1:0")?;
/// let error = Host::new(Layout::new()).bind(taken.local_addr()?).start().unwrap_err();
/// assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"), "{error}");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct StartError {
    address: String,
    cause: io::Error,
}

impl StartError {
    pub(super) fn new(address: impl Into<String>, cause: io::Error) -> Self {
        Self { address: address.into(), cause }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.cause)
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// Where a host shall listen: looked up when it is said, reported when the host starts.
#[derive(Debug)]
pub(super) enum Bind {
    Addresses(String, io::Result<Vec<SocketAddr>>),
    Listener(TcpListener),
}

impl Default for Bind {
    fn default() -> Self {
        let usual = SocketAddr::from(([127, 0, 0, 1], 8080));
        Self::Addresses(usual.to_string(), Ok(vec![usual]))
    }
}

impl Bind {
    pub(super) fn to(address: impl ToSocketAddrs + fmt::Display) -> Self {
        let found = address.to_socket_addrs().map(Iterator::collect);
        Self::Addresses(address.to_string(), found)
    }

    /// The listener, and the address that it got.
    pub(super) fn listen(self) -> Result<(TcpListener, SocketAddr), StartError> {
        let (name, listener) = match self {
            Self::Addresses(name, found) => {
                let listener = found.and_then(|addresses| TcpListener::bind(&*addresses));
                (name, listener)
            }
            Self::Listener(listener) => (String::from("the given listener"), Ok(listener)),
        };
        match listener.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((address, listener)) => Ok((listener, address)),
            Err(cause) => Err(StartError::new(name, cause)),
        }
    }
}
