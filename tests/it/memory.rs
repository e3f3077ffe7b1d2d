//! A connection in memory: what the client sends is a script, what the host writes is kept write by write.
//!
//! With it a whole conversation runs on the test's own thread and always in the same way, and a write can
//! fail at any byte.

use brooklet::{Host, Socket};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The host's end. Clones are the same connection, so that a test keeps one.
#[derive(Clone)]
pub(crate) struct Memory {
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
}

#[derive(Default)]
struct State {
    /// What the client sends; a read returns bytes of one piece.
    incoming: VecDeque<Vec<u8>>,
    /// The client sends no more. Without it, reads wait as those of a socket do.
    client_is_done: bool,
    reading_is_shut: bool,
    writing_is_shut: bool,
    is_half_closed: bool,
    nonblocking: bool,
    read_timeout: Option<Duration>,
    writes: Vec<Vec<u8>>,
    taking: Taking,
    writes_after_failure: usize,
    has_failed: bool,
}

/// How the client takes what is written.
#[derive(Default, Clone, Copy)]
pub(crate) enum Taking {
    #[default]
    All,
    /// So many bytes in all; the next one breaks the connection.
    Until(usize),
    /// No byte: each write returns 0, which is no error.
    Nothing,
    /// The first write at once, and then so many bytes at a time, each after a while.
    Slowly(usize, Duration),
}

impl Memory {
    /// A client that sends these pieces and then waits.
    pub(crate) fn new<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> Self {
        let incoming = pieces.into_iter().map(|piece| piece.as_ref().to_vec());
        let incoming = incoming.filter(|piece| !piece.is_empty()).collect(); // an empty read is the end
        let state = State { incoming, ..State::default() };
        let local = Some(SocketAddr::from(([192, 0, 2, 1], 80)));
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::default(), local, peer: None }
    }

    /// The client ends its side behind the last piece.
    pub(crate) fn ended(self) -> Self {
        self.leave();
        self
    }

    pub(crate) fn taking(self, taking: Taking) -> Self {
        self.state().taking = taking;
        self
    }

    /// Gives this end another address, or none: on loopback, and where it may be that, the host is more careful.
    pub(crate) fn at(mut self, local: Option<SocketAddr>) -> Self {
        self.local = local;
        self
    }

    /// Gives the client an address.
    pub(crate) fn from(mut self, peer: Option<SocketAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// The client ends its side.
    pub(crate) fn leave(&self) {
        self.state().client_is_done = true;
        self.changed.notify_all();
    }

    /// Serves this connection to its end, on this thread.
    pub(crate) fn serve(self, host: &Host) -> Self {
        host.serve(self.clone());
        self
    }

    /// Everything that was written, each write for itself.
    pub(crate) fn writes(&self) -> Vec<Vec<u8>> {
        self.state().writes.clone()
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        self.state().writes.concat()
    }

    /// How often the host wrote to a connection that it knew to be broken.
    pub(crate) fn writes_after_failure(&self) -> usize {
        self.state().writes_after_failure
    }

    /// Whether the host ended its own side alone, to read what the client still sends.
    pub(crate) fn is_half_closed(&self) -> bool {
        self.state().is_half_closed
    }

    /// Whether the host has not read everything.
    pub(crate) fn has_unread(&self) -> bool {
        !self.state().incoming.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Socket for Memory {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        let deadline = state.read_timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if let Some(mut piece) = state.incoming.pop_front() {
                let count = piece.len().min(buffer.len());
                buffer[..count].copy_from_slice(&piece[..count]);
                if count < piece.len() {
                    state.incoming.push_front(piece.split_off(count));
                }
                return Ok(count);
            }
            if state.client_is_done || state.reading_is_shut {
                return Ok(0);
            }
            if state.nonblocking {
                return Err(ErrorKind::WouldBlock.into());
            }
            let deadline = deadline.expect("the host never reads without a deadline");
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err(ErrorKind::WouldBlock.into());
            }
            state = self.changed.wait_timeout(state, remaining).unwrap().0;
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.has_failed {
            state.writes_after_failure += 1;
        }
        let count = match state.taking {
            Taking::All => bytes.len(),
            Taking::Nothing => return Ok(0),
            Taking::Until(left) => {
                let count = bytes.len().min(left);
                state.taking = Taking::Until(left - count);
                count
            }
            Taking::Slowly(..) if state.writes.is_empty() => bytes.len(),
            Taking::Slowly(most, pause) => {
                // The client's own time: nobody ever tells of this condition, so it is only the timeout.
                let never = Condvar::new();
                state = never.wait_timeout_while(state, pause, |_| true).unwrap().0;
                bytes.len().min(most)
            }
        };
        if state.writing_is_shut || (count == 0 && !bytes.is_empty()) {
            state.has_failed = true;
            return Err(ErrorKind::BrokenPipe.into());
        }
        state.writes.push(bytes[..count].to_vec());
        Ok(count)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.state().read_timeout = timeout;
        Ok(())
    }

    fn set_write_timeout(&self, _timeout: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.state().nonblocking = nonblocking;
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut state = self.state();
        state.reading_is_shut |= how != Shutdown::Write;
        state.is_half_closed |= how == Shutdown::Write;
        if how != Shutdown::Read {
            state.writing_is_shut = true;
            state.client_is_done = true; // a client that sees the end leaves
        }
        self.changed.notify_all();
        Ok(())
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }
}
