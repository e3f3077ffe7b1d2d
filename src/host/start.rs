//! From addresses to listeners, and what can go wrong on the way.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use super::listener::Listener;

/// How many ports are tried where one is to be free at several addresses.
const PORTS: usize = 16;

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
    what: String,
    cause: io::Error,
}

impl StartError {
    pub(super) fn cannot_listen(address: impl fmt::Display, cause: io::Error) -> Self {
        Self { what: format!("cannot listen on {address}"), cause }
    }

    pub(super) fn cannot_make_thread(cause: io::Error) -> Self {
        Self { what: String::from("cannot make a thread to accept connections"), cause }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
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

/// Where a host is to listen: looked up when it is said, reported when the host starts.
#[derive(Debug)]
pub(super) enum Bind {
    Addresses(Result<Vec<SocketAddr>, StartError>),
    Listener(Listener),
}

impl Bind {
    pub(super) fn to(address: impl ToSocketAddrs + fmt::Debug) -> Self {
        let found = match address.to_socket_addrs().map(Vec::from_iter) {
            Ok(found) if found.is_empty() => Err(ErrorKind::AddrNotAvailable.into()),
            found => found,
        };
        let error = |cause| StartError::cannot_listen(format!("{address:?}").trim_matches('"'), cause);
        Self::Addresses(found.map_err(error))
    }

    fn listen(self) -> Result<Vec<Listener>, StartError> {
        match self {
            Self::Addresses(found) => listen(&found?),
            Self::Listener(listener) => match listener.block() {
                Ok(()) => Ok(vec![listener]),
                Err(cause) => Err(StartError::cannot_listen("the given listener", cause)),
            },
        }
    }
}

/// Listens on all of them, or on both loopbacks where nothing was said.
pub(super) fn listen_on(mut binds: Vec<Bind>) -> Result<Vec<Listener>, StartError> {
    if binds.is_empty() {
        let loopbacks = vec![(Ipv4Addr::LOCALHOST, 8080).into(), (Ipv6Addr::LOCALHOST, 8080).into()];
        binds.push(Bind::Addresses(Ok(loopbacks)));
    }
    let mut listeners = Vec::new();
    for bind in binds {
        listeners.extend(bind.listen()?);
    }
    Ok(listeners)
}

/// Listens on all of the addresses, but for those that this system does not have. Port 0 is the same port for all.
fn listen(addresses: &[SocketAddr]) -> Result<Vec<Listener>, StartError> {
    let mut retries = 1..PORTS;
    loop {
        match listen_once(addresses) {
            // The port that was free at the first address was not so at another.
            Err((address, _)) if address.port() == 0 && retries.next().is_some() => {}
            listening => return listening.map_err(|(at, cause)| StartError::cannot_listen(at, cause)),
        }
    }
}

fn listen_once(addresses: &[SocketAddr]) -> Result<Vec<Listener>, (SocketAddr, io::Error)> {
    let mut listeners = Vec::new();
    let mut free_port = 0;
    let mut missing = None;
    for &asked in addresses {
        let mut address = asked;
        if asked.port() == 0 {
            address.set_port(free_port);
        }
        match TcpListener::bind(address) {
            Ok(listener) => {
                let bound = listener.local_addr().map_err(|cause| (asked, cause))?;
                if asked.port() == 0 {
                    free_port = bound.port();
                }
                listeners.push(Listener::Tcp(listener));
            }
            Err(cause) if is_missing(&cause) => missing = Some((asked, cause)),
            Err(cause) => return Err((asked, cause)),
        }
    }
    match missing {
        Some(missing) if listeners.is_empty() => Err(missing),
        _ => Ok(listeners),
    }
}

/// Whether the system has no such address: std has no kind for a family of addresses that it does not know.
fn is_missing(cause: &io::Error) -> bool {
    const UNSUPPORTED_FAMILY: i32 = if cfg!(windows) {
        10047
    } else if cfg!(any(target_os = "linux", target_os = "android")) {
        97
    } else {
        47 // the BSDs and macOS
    };
    cause.kind() == ErrorKind::AddrNotAvailable || cause.raw_os_error() == Some(UNSUPPORTED_FAMILY)
}
