//! One connection: its socket, the host's stop signal, and what became of it.
//!
//! This file is the only place that reads from and writes to a socket, so that the deadlines, the meaning of
//! an error and the counting stand once. Errors become a [`CloseReason`]; the first one is the one that counts.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::close_reason::CloseReason;
use super::record::{Record, Registration};
use super::socket::{AnySocket, Socket};
use super::stop_signal::StopSignal;
use crate::clock::{Clock, NEVER};
use crate::locks::Parker;

/// A client that takes this much has earned a new write deadline.
///
/// A write timeout alone never fires while a reader trickles: each byte taken starts it anew.
pub(crate) const WRITE_PROGRESS: usize = 64 * 1024;

/// What a client may send into its stream; one that sends more is cut off.
const MAX_STRAY_BYTES: u32 = 64 * 1024;
/// Such bytes are read and dropped in pieces of this size. A piece is on the stack of the stream's thread, which uses
/// two pages without it.
const STRAY_PIECE: usize = 64;
/// The time for one more write after the deadline has passed.
const LAST_ATTEMPT: Duration = Duration::from_millis(1);
/// The most bytes that closing gently reads and drops. Go drains 256 KiB.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// Apache lingers for 2 s at most.
const LINGER: Duration = Duration::from_secs(2);
/// On Windows `shutdown` does not end a read under way in another thread: there a read returns after this time, looks
/// whether the host stops, and reads on.
const LONGEST_READ: Duration = if cfg!(windows) { Duration::from_millis(250) } else { Duration::MAX };

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incoming {
    Bytes(usize),
    /// Nothing within the time given.
    Nothing,
    /// The client sends no more, or the host is stopping.
    Closed(CloseReason),
}

/// Kept small: a host may have thousands of idle ones.
pub(crate) struct Connection {
    socket: Option<AnySocket>,
    registration: Arc<dyn Registration>,
    pub(crate) stop: StopSignal,
    /// In milliseconds.
    write_deadline: u32,
    /// Where the thread of a stream waits.
    parker: Parker,
    /// The read timeout that the socket has, in milliseconds: setting the same again is left out.
    read_timeout: AtomicU32,
    /// Whether reads and writes return at once; kept for the same reason.
    is_nonblocking: AtomicBool,
    /// What the client has sent into its stream, up to the first that was too much.
    stray_bytes: AtomicU32,
}

impl Connection {
    pub(crate) fn new(
        socket: AnySocket,
        stop: StopSignal,
        write_deadline: Duration,
        registration: Arc<dyn Registration>,
    ) -> io::Result<Self> {
        let connection = Self {
            socket: Some(socket),
            registration,
            stop,
            write_deadline: timeout_millis(write_deadline),
            parker: Parker::default(),
            read_timeout: AtomicU32::new(0),
            is_nonblocking: AtomicBool::new(false),
            stray_bytes: AtomicU32::new(0),
        };
        connection.socket().set_write_timeout(Some(connection.write_deadline()))?;
        Ok(connection)
    }

    fn socket(&self) -> &dyn Socket {
        self.socket.as_ref().expect("it is there until the connection is dropped").as_socket()
    }

    pub(crate) fn peer_address(&self) -> Option<SocketAddr> {
        self.socket().peer_address()
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.socket().is_loopback()
    }

    pub(crate) fn record(&self) -> &Record {
        self.registration.record()
    }

    /// Why the connection ended, once it has.
    pub(crate) fn ended(&self) -> Option<CloseReason> {
        self.record().reason()
    }

    /// Notes why the connection ended, unless that is known already; returns the reason that counts.
    pub(crate) fn end(&self, reason: CloseReason) -> CloseReason {
        let word = &self.record().reason;
        let (Ok(before) | Err(before)) =
            word.compare_exchange(0, reason.number(), Ordering::AcqRel, Ordering::Acquire);
        CloseReason::from_number(before).unwrap_or(reason)
    }

    pub(crate) fn clock(&self) -> Clock {
        self.registration.clock()
    }

    pub(crate) fn write_deadline(&self) -> Duration {
        Duration::from_millis(self.write_deadline.into())
    }

    pub(crate) fn count_events(&self, events: u64) {
        self.record().events.fetch_add(events, Ordering::Relaxed);
    }

    /// Takes back what was counted and not sent after all.
    pub(crate) fn discount_events(&self, events: u64) {
        self.record().events.fetch_sub(events, Ordering::Relaxed);
    }

    pub(crate) fn count_bytes(&self, bytes: u64) {
        self.record().bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Reads what arrives within `timeout`: at once, what is there, if that is zero. The kernel's timers of sockets are
    /// late by up to an eighth.
    ///
    /// A signal that stops and continues the process interrupts a read. The read then goes on for the time that is
    /// left; where none is left, it still takes what has arrived.
    pub(crate) fn read(&self, buffer: &mut [u8], timeout: Duration) -> Incoming {
        self.read_in_slices(buffer, timeout, LONGEST_READ)
    }

    fn read_in_slices(&self, buffer: &mut [u8], timeout: Duration, longest: Duration) -> Incoming {
        let clock = self.clock();
        let started = clock.now();
        let mut remaining = timeout.min(NEVER);
        while !remaining.is_zero() {
            let slice = remaining.min(longest);
            if let Err(reason) = self.set_read_timeout(slice).and_then(|()| self.set_nonblocking(false)) {
                return Incoming::Closed(reason);
            }
            match self.read_once(buffer) {
                Some(found) if found != Incoming::Nothing || slice == remaining => return found,
                // Windows may take longer for a slice than it was told.
                _ => remaining = timeout.saturating_sub(clock.now() - started),
            }
        }
        self.try_read(buffer)
    }

    fn set_read_timeout(&self, timeout: Duration) -> Result<(), CloseReason> {
        let millis = timeout_millis(timeout);
        if self.read_timeout.swap(millis, Ordering::Relaxed) == millis {
            return Ok(());
        }
        let timeout = Some(Duration::from_millis(millis.into()));
        self.socket().set_read_timeout(timeout).map_err(|_| CloseReason::Reset)
    }

    /// Reads what has arrived, without waiting.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> Incoming {
        if let Err(reason) = self.set_nonblocking(true) {
            return Incoming::Closed(reason);
        }
        loop {
            if let Some(found) = self.read_once(buffer) {
                return found;
            }
        }
    }

    /// Whether it has ended or the host stops, as far as is known.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.is_requested() || self.ended().is_some()
    }

    /// Waits for so long, or until the host stops or the connection is shut down; as exactly as a sleep does.
    pub(crate) fn park(&self, patience: Duration) {
        self.parker.park(patience, || self.is_over());
    }

    /// Waits for `timeout`, or until the client of a stream leaves. The client has nothing more to send; what it sends
    /// all the same is dropped, up to [`MAX_STRAY_BYTES`].
    pub(crate) fn watch(&self, timeout: Duration) -> Result<(), CloseReason> {
        let found = self.read(&mut [0; STRAY_PIECE], timeout);
        self.judge_stray(found)
    }

    /// Looks whether the client of a stream has left, without waiting.
    pub(crate) fn look(&self) -> Result<(), CloseReason> {
        let mut scratch = [0; STRAY_PIECE];
        loop {
            match self.try_read(&mut scratch) {
                Incoming::Nothing => return Ok(()),
                found => self.judge_stray(found)?,
            }
        }
    }

    fn judge_stray(&self, found: Incoming) -> Result<(), CloseReason> {
        match found {
            Incoming::Nothing => Ok(()),
            Incoming::Closed(reason) => Err(reason),
            Incoming::Bytes(count) => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                let before = self.stray_bytes.fetch_add(count, Ordering::Relaxed);
                match before.saturating_add(count) > MAX_STRAY_BYTES {
                    true => Err(CloseReason::UnexpectedInput),
                    false => Ok(()),
                }
            }
        }
    }

    /// Whether the client of a stream has said anything.
    pub(crate) fn has_strayed(&self) -> bool {
        self.stray_bytes.load(Ordering::Relaxed) > 0
    }

    fn set_nonblocking(&self, nonblocking: bool) -> Result<(), CloseReason> {
        if self.is_nonblocking.load(Ordering::Relaxed) != nonblocking {
            self.socket().set_nonblocking(nonblocking).map_err(|_| CloseReason::Reset)?;
            self.is_nonblocking.store(nonblocking, Ordering::Relaxed); // not of a socket that cannot
        }
        Ok(())
    }

    /// `None` where a signal has interrupted it.
    fn read_once(&self, buffer: &mut [u8]) -> Option<Incoming> {
        Some(match self.socket().read(buffer) {
            Ok(count) if count > 0 => Incoming::Bytes(count),
            Err(error) if is_timeout(&error) => Incoming::Nothing,
            Err(error) if error.kind() == ErrorKind::Interrupted => return None,
            // Windows calls it an error to read what the stop has shut down.
            _ if self.stop.is_requested() => Incoming::Closed(CloseReason::Stopped),
            Ok(_) => Incoming::Closed(CloseReason::PeerClosed),
            Err(_) => Incoming::Closed(CloseReason::Reset),
        })
    }

    /// Writes everything, or ends the connection: what follows a partial write would be torn.
    ///
    /// Each [`WRITE_PROGRESS`] bytes taken renew the deadline.
    pub(crate) fn write_all(&self, bytes: &[u8]) -> Result<(), CloseReason> {
        if let Some(reason) = self.ended() {
            return Err(reason);
        }
        // Before they leave: a client that has them may look at the counter.
        self.count_bytes(bytes.len() as u64);
        let mut written = 0;
        self.write_until_done(bytes, &mut written).map_err(|error| {
            self.record().bytes.fetch_sub((bytes.len() - written) as u64, Ordering::Relaxed);
            let reason = self.end(self.reason_of(&error));
            self.shutdown();
            reason
        })
    }

    /// Writes what the socket takes now, without waiting. The caller counts, and sees that nothing is torn.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> Result<usize, CloseReason> {
        self.set_nonblocking(true)?;
        match self.write_once(bytes) {
            Err(error) if is_timeout(&error) => Ok(0),
            written => written.map_err(|error| self.reason_of(&error)),
        }
    }

    fn reason_of(&self, error: &io::Error) -> CloseReason {
        match error.kind() {
            _ if is_timeout(error) => CloseReason::WriteDeadline,
            _ if self.stop.is_requested() => CloseReason::Stopped,
            ErrorKind::BrokenPipe => CloseReason::PeerClosed,
            _ => CloseReason::Reset,
        }
    }

    /// Adds what was written to `written`, also where it fails.
    fn write_until_done(&self, bytes: &[u8], written: &mut usize) -> io::Result<()> {
        let mut deadline = Instant::now() + self.write_deadline();
        let mut renewed_at = 0;
        *written = match self.write_once(bytes) {
            Err(error) if is_timeout(&error) && self.is_nonblocking.load(Ordering::Relaxed) => 0,
            written => written?,
        };
        if *written == bytes.len() {
            return Ok(()); // all but slow clients
        }
        self.set_nonblocking(false).map_err(|_| ErrorKind::NotConnected)?;
        let mut is_last = false;
        while *written < bytes.len() {
            let now = Instant::now();
            // Before the deadline is judged: one write may take all of its time, and the client may have taken bytes
            // during all of it.
            if *written - renewed_at >= WRITE_PROGRESS {
                deadline = now + self.write_deadline();
                renewed_at = *written;
                is_last = false;
            }
            // A signal may have stopped the process while the time passed, and the client may have room now. One more
            // write shows it.
            let remaining = deadline.saturating_duration_since(now);
            if remaining.is_zero() && std::mem::replace(&mut is_last, true) {
                return Err(ErrorKind::TimedOut.into());
            }
            self.socket().set_write_timeout(Some(remaining.max(LAST_ATTEMPT)))?;
            *written += self.write_once(&bytes[*written..])?;
        }
        self.socket().set_write_timeout(Some(self.write_deadline()))
    }

    fn write_once(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.socket().write(bytes) {
                Ok(0) if !bytes.is_empty() => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Closes the connection so that what was written arrives, although the client may still be sending.
    ///
    /// Bytes that arrive at a closed socket are answered with a reset, and a reset destroys what the client has
    /// received but not read. So: say that nothing more comes, then read on for a moment.
    pub(crate) fn close_gently(&self) {
        // A client that is gone already has nothing left to be told.
        let _ = self.socket().shutdown(Shutdown::Write);
        let deadline = Instant::now() + LINGER;
        let mut scratch = [0; 4096];
        let mut drained = 0;
        while drained < LINGER_BYTES {
            let timeout = deadline.saturating_duration_since(Instant::now());
            match self.read(&mut scratch, timeout) {
                Incoming::Bytes(count) if !timeout.is_zero() => drained += count,
                _ => return,
            }
        }
    }

    /// Ends reads and waits under way, while what is written still arrives.
    pub(crate) fn finish_reading(&self) {
        let _ = self.socket().shutdown(Shutdown::Read);
        self.parker.wake();
    }

    /// Ends both directions at once.
    pub(crate) fn shutdown(&self) {
        let _ = self.socket().shutdown(Shutdown::Both);
        self.parker.wake();
    }
}

impl Drop for Connection {
    /// The socket is closed before the slot is given to another connection, which may need the descriptor.
    fn drop(&mut self) {
        self.socket = None;
    }
}

/// Rounded up, so that no deadline is judged early. A timeout of zero means "for ever" to a socket, which std refuses.
fn timeout_millis(timeout: Duration) -> u32 {
    let rounded = timeout.saturating_add(Duration::from_nanos(999_999));
    u32::try_from(rounded.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// Unix says `WouldBlock` where Windows says `TimedOut`.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        for (timeout, millis) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(1), 1),
            (Duration::from_nanos(1_000_001), 2),
            (Duration::from_micros(149_900), 150),
            (Duration::MAX, u32::MAX),
        ] {
            assert_eq!(timeout_millis(timeout), millis, "{timeout:?}");
        }
    }

    struct Unregistered(Record);

    impl Registration for Unregistered {
        fn record(&self) -> &Record {
            &self.0
        }
    }

    /// Takes twice as long as it is told, as old Windows does with a quarter of a second.
    struct Slow(Arc<(AtomicU32, AtomicU32)>);

    impl Socket for Slow {
        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            let (timeout, reads) = &*self.0;
            reads.fetch_add(1, Ordering::Relaxed);
            let until = Instant::now() + 2 * Duration::from_millis(timeout.load(Ordering::Relaxed).into());
            while Instant::now() < until {}
            Err(ErrorKind::TimedOut.into())
        }
        fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
            self.0 .0.store(timeout.map_or(0, timeout_millis), Ordering::Relaxed);
            Ok(())
        }
        fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }
        fn set_nonblocking(&self, _: bool) -> io::Result<()> {
            Ok(())
        }
        fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    /// Four slices of 10 ms would take twice the 40; the last look, without a wait, is the third.
    #[test]
    fn slices_are_counted_by_the_clock() {
        let (told, registration) = (Arc::default(), Arc::new(Unregistered(Record::default())));
        let socket = AnySocket::Other(Box::new(Slow(Arc::clone(&told))));
        let connection =
            Connection::new(socket, StopSignal::default(), NEVER, registration).expect("it is new");
        let slice = Duration::from_millis(10);
        let found = connection.read_in_slices(&mut [0; 8], 4 * slice, slice);
        assert!(found == Incoming::Nothing && told.1.load(Ordering::Relaxed) <= 3);
    }
}
