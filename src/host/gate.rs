//! The gate: a connection in, a thread for it, and on.

use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::log::Notice;
use super::place::Place;
use super::serve;
use super::stop::OpenDoor;
use super::Settings;
use crate::http::{AnySocket, Connection, Phase};
use crate::locks::lock;

/// Connections above the limit that are told to come back; what is above these is closed at once.
const OVERFLOW: usize = 32;
/// Threads that may wait for connections at the same time.
const MAX_WAITING: usize = 8;
/// And how long.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the keeper waits before it helps out: those who have just left are mostly back sooner.
const MOMENT: Duration = Duration::from_millis(1);
/// How long to wait after an error that lasts, such as running out of descriptors: doubled each time, as in Go.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);
const LAST_BACKOFF: Duration = Duration::from_secs(1);
/// How long the search for room is not repeated after it has failed.
const SEARCH_INTERVAL: Duration = Duration::from_millis(50);
/// An error that comes again and again is logged this often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Where connections come in.
///
/// A thread that has served a connection accepts the next one itself, so that none has to be handed over. The
/// gate's keeper sleeps as long as others wait here.
pub(super) struct Gate {
    // These two first: nobody listens any more when what is the user's own is dropped, which may take its time.
    listener: TcpListener,
    _door: OpenDoor,
    settings: Arc<Settings>,
    keeper: Thread,
    /// How many threads wait for connections, and how many may.
    waiting: AtomicUsize,
    room: usize,
    crowd: Mutex<Crowd>,
}

impl Gate {
    /// A gate that the calling thread keeps.
    pub(super) fn new(settings: Arc<Settings>, listener: TcpListener, door: OpenDoor) -> Arc<Self> {
        // A listener that does not block would keep a processor busy.
        let is_bounded =
            listener.set_nonblocking(false).and_then(|()| bound_waits(&listener, PATIENCE)).is_ok();
        let room = if is_bounded { MAX_WAITING } else { 0 };
        let keeper = thread::current();
        Arc::new(Self {
            listener,
            _door: door,
            settings,
            keeper,
            waiting: AtomicUsize::new(0),
            room,
            crowd: Mutex::default(),
        })
    }

    /// Lets connections in until the host stops. No error ends it.
    pub(super) fn keep(self: Arc<Self>) {
        let mut backoff = FIRST_BACKOFF;
        let mut troubles = Throttle::default();
        loop {
            while self.waiting.load(Ordering::SeqCst) > 0 && !self.is_stopping() {
                thread::park();
                thread::sleep(MOMENT);
            }
            if self.is_stopping() {
                return;
            }
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let accepted = self.accept().transpose();
            let error = match accepted.map_or(Ok(()), |stream| self.hand_over(stream?)) {
                Ok(()) => {
                    backoff = FIRST_BACKOFF;
                    continue;
                }
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => error,
            };
            if troubles.may_log() {
                let Settings { places, log, .. } = &*self.settings;
                log.write_elsewhere(Notice::CannotAccept { error }, &places.crew);
            }
            self.settings.places.stop.sleep_until(Instant::now() + backoff);
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
    }

    /// Finds a thread for a connection. An error is the host's trouble, not the client's.
    fn hand_over(self: &Arc<Self>, stream: TcpStream) -> io::Result<()> {
        let admitted = match self.admit(stream)? {
            Some(admitted) => admitted,
            None => return Ok(()),
        };
        let (settings, gate) = (Arc::clone(&self.settings), Arc::downgrade(self));
        let job = move || {
            let mut next = Some(admitted);
            while let Some(Admitted { stream, place, serve }) = next {
                on_this_thread(serve, &settings, place, AnySocket::Tcp(stream));
                // Not held until now: a stream may last longer than anybody listens.
                next = gate.upgrade().and_then(|gate| gate.wait_for_another());
            }
        };
        self.settings.places.crew.assign(Box::new(job), self.settings.stack_size)
    }

    /// The next connection for a thread that has nothing else to do, if there is room for it to wait. Whatever goes
    /// wrong is the keeper's to deal with.
    fn wait_for_another(&self) -> Option<Admitted> {
        if self.settings.places.crew.is_wanted() {
            return None; // others wait already
        }
        let enter = |waiting| (waiting < self.room).then(|| waiting + 1);
        while self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, enter).is_ok() {
            match self.accept().transpose()?.and_then(|stream| self.admit(stream)) {
                Ok(Some(admitted)) => return Some(admitted),
                Ok(None) => {}
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Waits for a connection, as one of those that were counted in; none if none came in time.
    fn accept(&self) -> io::Result<Option<TcpStream>> {
        let accepted = match self.is_stopping() {
            true => Err(ErrorKind::WouldBlock.into()),
            false => self.listener.accept(),
        };
        let others = self.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
        if others == 0 {
            self.keeper.unpark();
        } else if self.is_stopping() {
            drop(accepted); // its descriptor may be the last there is
            self.settings.places.door.knock(); // each knock wakes one
            return Ok(None);
        }
        match accepted {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_stopping(&self) -> bool {
        self.settings.places.stop.is_requested()
    }

    /// Finds a place for a connection, and how it is to be served there; none for one that is to be dropped.
    fn admit(&self, stream: TcpStream) -> io::Result<Option<Admitted>> {
        if self.is_stopping() {
            return Ok(None); // the stop's own knock at the door
        }
        // Events are small and shall leave at once (Nagle's algorithm would hold them back).
        stream.set_nodelay(true)?;
        let Settings { places, limits, log, .. } = &*self.settings;
        places.counters.accepted.add(1);
        let place = places.take(limits.max_connections);
        let place = place.or_else(|| self.make_room().then(|| places.take(limits.max_connections)).flatten());
        if let Some(place) = place {
            return Ok(Some(Admitted { stream, place, serve: serve::serve }));
        }
        places.counters.turned_away.add(1);
        let may_log = self.crowd().notices.may_log();
        if may_log {
            log.write_elsewhere(Notice::Full { connections: limits.max_connections }, &places.crew);
        }
        let place = places.take_to_turn_away(OVERFLOW);
        let turn_away: Serve = |settings, _, connection| serve::turn_away(settings, &connection);
        Ok(place.map(|place| Admitted { stream, place, serve: turn_away }))
    }

    /// A connection that waits for nothing in particular, or has not said yet what it wants, gives way to one that
    /// may have something to say.
    fn make_room(&self) -> bool {
        let (now, places) = (Instant::now(), &self.settings.places);
        if matches!(self.crowd().next_search, Some(next) if now < next) || places.is_emptying() {
            return false;
        }
        let has_room = places.make_room(Phase::Idle) || places.make_room(Phase::Head);
        self.crowd().next_search = (!has_room).then(|| now + SEARCH_INTERVAL);
        has_room
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        lock(&self.crowd)
    }
}

/// A connection that has a place.
struct Admitted {
    stream: TcpStream,
    place: Arc<Place>,
    serve: Serve,
}

/// Lets nobody wait for a connection for longer, so that threads which nobody needs can go. On Linux a listener takes
/// the timeout of reads for that (socket(7), `SO_RCVTIMEO`); std knows no other.
#[cfg(target_os = "linux")]
fn bound_waits(listener: &TcpListener, patience: Duration) -> io::Result<()> {
    use std::os::unix::io::OwnedFd;

    let same_socket = TcpStream::from(OwnedFd::from(listener.try_clone()?));
    same_socket.set_read_timeout(Some(patience))
}

#[cfg(not(target_os = "linux"))]
fn bound_waits(_: &TcpListener, _: Duration) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// What is done with a connection.
pub(super) type Serve = fn(&Settings, &Place, Arc<Connection>);

pub(super) fn on_this_thread(serve: Serve, settings: &Settings, place: Arc<Place>, socket: AnySocket) {
    let _serving = settings.places.serving(place.number());
    let place = place; // dropped before that
    if let Some(connection) = connect(settings, &place, socket) {
        serve(settings, &place, connection);
    }
}

/// `None` for a socket that is dead already.
fn connect(settings: &Settings, place: &Arc<Place>, socket: AnySocket) -> Option<Arc<Connection>> {
    let connection = Connection::new(
        socket,
        settings.places.stop.clone(),
        settings.limits.write_deadline,
        Arc::clone(place) as _,
    );
    let connection = Arc::new(connection.ok()?);
    settings.places.enter(place, &connection);
    Some(connection)
}

/// What to do where all places are taken.
#[derive(Default)]
struct Crowd {
    notices: Throttle,
    /// Looking for room costs a look at each connection; where there was none, there is none for a moment.
    next_search: Option<Instant>,
}

/// Lets what happens again and again be logged once in a while.
#[derive(Default)]
struct Throttle {
    last: Option<Instant>,
}

impl Throttle {
    fn may_log(&mut self) -> bool {
        let is_due = self.last.map_or(true, |last| last.elapsed() >= LOG_INTERVAL);
        if is_due {
            self.last = Some(Instant::now());
        }
        is_due
    }
}

/// Errors of a connection that was gone before it was accepted: the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, InvalidInput, NotConnected};
    // The last two are what options of a socket that was reset meanwhile are refused with on some systems.
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | InvalidInput | NotConnected)
}
