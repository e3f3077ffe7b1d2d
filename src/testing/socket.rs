//! The connection of a client in memory: it sends its request, and reads what it is sent at once.

use std::any::Any;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::timeline::Timeline;
use super::transcript::Received;
use crate::clock::VirtualTime;
use crate::http::Socket;
use crate::locks::lock;

/// The host's end. Clones are the same connection.
#[derive(Clone)]
pub(super) struct MemorySocket {
    pub(super) client: Arc<Mutex<MemoryClient>>,
    pub(super) time: Arc<Timeline>,
}

/// The client's end, and what it has got.
#[derive(Default)]
pub(super) struct MemoryClient {
    /// What it has yet to send.
    request: Vec<u8>,
    pub(super) received: Received,
    events: usize,
    /// It leaves with so many.
    pub(super) leave_after: Option<usize>,
    /// More than so many are an accident.
    pub(super) max_events: usize,
    pub(super) has_left: bool,
    /// It sends no more, as a host that stops has it.
    pub(super) is_shut: bool,
    is_nonblocking: bool,
    read_timeout: Option<Duration>,
    /// Why the test cannot go on.
    pub(super) fault: Option<String>,
    /// What a task of the test panicked with.
    pub(super) panic: Option<Box<dyn Any + Send>>,
}

impl MemorySocket {
    pub(super) fn client(&self) -> MutexGuard<'_, MemoryClient> {
        lock(&self.client)
    }
}

impl MemoryClient {
    pub(super) fn new(request: Vec<u8>, max_events: usize) -> Self {
        Self { request, max_events, ..Self::default() }
    }

    /// The head of a stream has come, and what came with it.
    pub(super) fn begin_stream(&mut self, first: &[u8]) {
        self.take(first, Duration::ZERO);
        self.has_left |= self.leave_after == Some(0);
    }

    /// Whether it has neither left nor been told that the host stops.
    pub(super) fn is_there(&self) -> bool {
        !self.has_left && !self.is_shut
    }

    /// Leaves, for a reason that the test has to be told.
    pub(super) fn give_up(&mut self, fault: String) {
        self.fault = Some(fault);
        self.has_left = true;
    }

    /// Reads up to the event that it leaves with.
    fn take(&mut self, bytes: &[u8], now: Duration) {
        for byte in bytes {
            if self.has_left {
                return;
            }
            self.received.bytes.push(*byte);
            if let Some(item) = self.received.parser.push(*byte) {
                self.events += usize::from(item.event().is_some());
                self.received.items.push((now, item));
            }
            if self.leave_after == Some(self.events) {
                self.has_left = true;
            } else if self.events > self.max_events {
                let most = self.max_events;
                self.give_up(format!(
                    "more than {most} events: does the generator ever wait? If so, have patience (max_events)"
                ));
            }
        }
    }
}

impl Socket for MemorySocket {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut client = self.client();
        if !client.request.is_empty() {
            let count = buffer.len().min(client.request.len());
            buffer[..count].copy_from_slice(&client.request[..count]);
            client.request.drain(..count);
            return Ok(count);
        }
        let timeout = client.read_timeout.filter(|_| !client.is_nonblocking);
        drop(client);
        let deadline = timeout.map(|timeout| self.time.now() + timeout);
        loop {
            if !self.client().is_there() {
                return Ok(0);
            }
            match deadline {
                // What happens meanwhile may be that the client leaves.
                Some(deadline) if !self.time.advance(deadline) => {}
                Some(_) => return Err(ErrorKind::WouldBlock.into()),
                None => {
                    self.time.note_idle_call();
                    return Err(ErrorKind::WouldBlock.into());
                }
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let now = self.time.elapsed();
        let mut client = self.client();
        if client.has_left {
            return Err(ErrorKind::BrokenPipe.into());
        }
        client.take(bytes, now);
        Ok(bytes.len())
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.client().read_timeout = timeout;
        Ok(())
    }

    fn set_write_timeout(&self, _timeout: Option<Duration>) -> io::Result<()> {
        Ok(()) // no thread waits for this client
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.client().is_nonblocking = nonblocking;
        Ok(())
    }

    fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        self.client().is_shut = true;
        Ok(())
    }
}
