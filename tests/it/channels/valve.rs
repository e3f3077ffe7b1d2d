//! A client in memory that takes as many bytes as it is told to, and then none: a socket that is full.

use brooklet::{Host, Socket};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::patience::DEADLINE;

/// The client's end. Clones are the same client.
#[derive(Clone)]
pub(super) struct Valve(Arc<(Mutex<State>, Condvar)>);

/// What the host has; when it is dropped, the connection is closed.
struct HostEnd(Valve);

pub(super) struct State {
    request: Vec<u8>,
    has_left: bool,
    reading_is_shut: bool,
    nonblocking: bool,
    write_timeout: Option<Duration>,
    /// How much it takes before it is full.
    pub(super) room: usize,
    /// How often the host was told that it is full.
    pub(super) refusals: usize,
    /// Everything behind the head.
    pub(super) written: Vec<u8>,
    /// The lengths of the writes.
    pub(super) writes: Vec<usize>,
    pub(super) is_closed: bool,
}

impl Valve {
    /// Has a request served on this thread, until the connection is over or handed on.
    pub(super) fn serve(host: &Host, request: &str) -> Self {
        let valve = Self::new(request);
        host.serve(valve.host_end());
        valve
    }

    pub(super) fn new(request: &str) -> Self {
        let state = State {
            request: request.into(),
            has_left: false,
            reading_is_shut: false,
            nonblocking: false,
            write_timeout: None,
            room: usize::MAX,
            refusals: 0,
            written: Vec::new(),
            writes: Vec::new(),
            is_closed: false,
        };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    pub(super) fn host_end(&self) -> impl Socket {
        HostEnd(self.clone())
    }

    /// From now on it takes so many bytes more.
    pub(super) fn take(&self, bytes: usize) {
        self.state().room = bytes;
        self.0 .1.notify_all();
    }

    pub(super) fn leave(&self) {
        self.state().has_left = true;
        self.0 .1.notify_all();
    }

    /// Everything that has arrived behind the head and the first line, up to the last whole character.
    pub(super) fn text(&self) -> String {
        let bytes = self.state().written.clone();
        let whole = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap()
            }
            Err(error) => panic!("{error}"),
        };
        let (_, body) = whole.split_once("\r\n\r\n").expect("a head");
        body.strip_prefix("retry: 3000\n").expect("the line that a stream begins with").to_owned()
    }

    /// Whether the host has ended it.
    pub(super) fn is_closed(&self) -> bool {
        let state = self.state();
        state.is_closed && !state.has_left
    }

    /// Waits until what has arrived, or been tried, is as it should be.
    #[track_caller]
    pub(super) fn until(&self, what: &str, mut condition: impl FnMut(&State) -> bool) {
        let state = self.state();
        let (state, result) =
            self.0 .1.wait_timeout_while(state, DEADLINE, |state| !condition(state)).unwrap();
        assert!(!result.timed_out(), "not within {DEADLINE:?}: {what}; there is {}", state.summary());
    }

    /// Waits until something happens to it, or for a moment.
    pub(super) fn wait_a_moment(&self) {
        drop(self.0 .1.wait_timeout(self.state(), Duration::from_millis(2)).unwrap());
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A test that fails while it looks shall not take the host along.
        self.0 .0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn summary(&self) -> String {
        let end = &self.written[self.written.len().saturating_sub(300)..];
        format!("{} bytes, the last {}", self.written.len(), crate::wire::show(end))
    }

    pub(super) fn ends_with(&self, end: &str) -> bool {
        self.written.ends_with(end.as_bytes())
    }
}

impl Drop for HostEnd {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0 .0 .1.notify_all();
    }
}

impl Socket for HostEnd {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        if !state.request.is_empty() {
            let count = state.request.len().min(buffer.len());
            buffer[..count].copy_from_slice(&state.request[..count]);
            state.request.drain(..count);
            return Ok(count);
        }
        // Nobody in these tests waits for another request.
        match state.has_left || state.reading_is_shut {
            true => Ok(0),
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        let deadline = state.write_timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if state.has_left {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let count = bytes.len().min(state.room);
            if count > 0 {
                state.room = if state.room == usize::MAX { usize::MAX } else { state.room - count };
                state.written.extend_from_slice(&bytes[..count]);
                state.writes.push(count);
                self.0 .0 .1.notify_all();
                return Ok(count);
            }
            state.refusals += 1;
            self.0 .0 .1.notify_all();
            let remaining = deadline.expect("the host never writes without a deadline") - Instant::now();
            if state.nonblocking || remaining.is_zero() {
                return Err(ErrorKind::WouldBlock.into());
            }
            state = self.0 .0 .1.wait_timeout(state, remaining).unwrap().0;
        }
    }

    fn set_read_timeout(&self, _timeout: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.state().write_timeout = timeout;
        Ok(())
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.state().nonblocking = nonblocking;
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut state = self.0.state();
        state.reading_is_shut |= how != Shutdown::Write;
        state.has_left |= how == Shutdown::Both;
        self.0 .0 .1.notify_all();
        Ok(())
    }
}
