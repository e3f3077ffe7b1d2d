//! What a host listens on, and how a stop wakes the thread that accepts there.

use std::fmt;
use std::io;
#[cfg(unix)]
use std::net::Shutdown;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::io::OwnedFd;
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(unix)]
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::sync::Arc;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::http::AnySocket;
use crate::locks::{lock, wait_while};
#[cfg(unix)]
use crate::threads;

/// A connection to ourselves either works at once or not at all.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a stop waits for the threads that accept, which it has woken, to close their listeners.
const CLOSING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    /// It blocks: a listener that does not would keep a processor busy.
    pub(super) fn block(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(false),
            #[cfg(unix)]
            Self::Unix(listener) => listener.set_nonblocking(false),
        }
    }

    pub(super) fn accept(&self) -> io::Result<AnySocket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // Events are small and are to leave at once (Nagle's algorithm would hold them back). A socket that was
                // reset meanwhile is refused the option on some systems; its thread finds out.
                let _ = stream.set_nodelay(true);
                Ok(AnySocket::Tcp(stream))
            }
            #[cfg(unix)]
            Self::Unix(listener) => Ok(AnySocket::Other(Box::new(listener.accept()?.0))),
        }
    }

    /// Its address, where it is one of TCP.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            #[cfg(unix)]
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }
}

/// The URL, or what else it is called.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_) => match self.address() {
                Some(address) => write!(f, "http://{address}"),
                None => f.write_str("a listener without an address"),
            },
            #[cfg(unix)]
            Self::Unix(listener) => match path(listener) {
                Some(path) => write!(f, "unix:{}", path.display()),
                None => f.write_str("a Unix socket without a path"),
            },
        }
    }
}

#[cfg(unix)]
fn path(listener: &UnixListener) -> Option<PathBuf> {
    listener.local_addr().ok()?.as_pathname().map(Path::to_owned)
}

/// The listeners of a host that are open: a stop wakes the threads that accept there, and waits until all are closed.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    open: Mutex<Open>,
    /// Told when one is closed.
    closed: Condvar,
}

#[derive(Debug, Default)]
struct Open {
    count: usize,
    /// A second descriptor of each. It is closed just before a stop connects: so a process without free descriptors has
    /// one to connect with. It also has the address to connect to.
    spares: Vec<Listener>,
}

impl Listeners {
    /// Notes that a listener is open. Without a second descriptor no stop could wake the thread that accepts there.
    pub(super) fn add(&self, listener: &Listener) -> io::Result<()> {
        let spare = listener.try_clone()?;
        let mut open = lock(&self.open);
        open.count += 1;
        open.spares.push(spare);
        Ok(())
    }

    /// Closes a listener.
    pub(super) fn close(&self, listener: Option<Listener>) {
        drop(listener);
        let mut open = lock(&self.open);
        open.count -= 1;
        if open.count == 0 {
            open.spares.clear(); // they are there where the stop came before the start
        }
        drop(open);
        self.closed.notify_all();
    }

    /// Wakes the threads that accept. What each of them finds is a connection, which it drops since the host stops.
    ///
    /// Where connecting fails, the thread is busy accepting or failing to, and looks at the stop after that.
    pub(super) fn wake(&self) {
        let spares = std::mem::take(&mut lock(&self.open).spares);
        for spare in spares {
            match spare {
                Listener::Tcp(listener) => wake_tcp(listener),
                #[cfg(unix)]
                Listener::Unix(listener) => wake_unix(listener),
            }
        }
    }

    /// Waits until all are closed, though not for ever: the caller may be a thread that would have to close one.
    pub(super) fn wait_until_closed(&self) {
        drop(wait_while(&self.closed, lock(&self.open), CLOSING, |open| open.count > 0));
    }
}

fn wake_tcp(listener: TcpListener) {
    let address = listener.local_addr();
    drop(listener);
    if let Ok(mut address) = address {
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let _ = TcpStream::connect_timeout(&address, CONNECT);
    }
}

/// Where the connection fails, because the path is gone say, the listener is shut down. That wakes the thread that
/// accepts as well, but it ends the listener in other processes, too.
///
/// Another thread connects, since std cannot bound that: it waits as long as the backlog is full, and it may stay full.
/// Shutting the listener down ends this wait as well.
#[cfg(unix)]
fn wake_unix(listener: UnixListener) {
    let answer = Arc::new((Mutex::new(None), Condvar::new()));
    let told = Arc::clone(&answer);
    let is_asked = path(&listener).map_or(false, |path| {
        let connect = move || {
            *lock(&told.0) = Some(UnixStream::connect(path).is_ok());
            told.1.notify_one();
        };
        threads::make_shared("brooklet-wake", Box::new(connect)).is_ok()
    });
    let is_connected =
        || *wait_while(&answer.1, lock(&answer.0), CONNECT, |answer| answer.is_none()) == Some(true);
    if !(is_asked && is_connected()) {
        let _ = UnixStream::from(OwnedFd::from(listener)).shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    const HANGS: Duration = Duration::from_secs(60);

    /// The thread that accepted there may have closed its descriptor before the stop connects. It may also be in another
    /// process.
    #[test]
    fn a_full_backlog_holds_up_no_stop() {
        let path = std::env::temp_dir().join(format!("brooklet-full-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = Listener::Unix(UnixListener::bind(&path).expect("it is free"));
        let listeners = Listeners::default();
        listeners.add(&listener).expect("there are descriptors");
        let (connected, connections) = mpsc::channel();
        let to = path.clone();
        let filling =
            thread::spawn(move || while UnixStream::connect(&to).is_ok() && connected.send(()).is_ok() {});
        while connections.recv_timeout(Duration::from_millis(500)).is_ok() {} // until one more has to wait
        let (sender, woken) = mpsc::channel();
        thread::spawn(move || {
            listeners.wake();
            sender.send(()).expect("it is awaited");
        });
        assert_eq!(woken.recv_timeout(HANGS), Ok(()));
        drop(listener);
        filling.join().expect("it only connects");
        std::fs::remove_file(&path).expect("it is there");
    }
}
