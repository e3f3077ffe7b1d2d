//! The accept loop: a connection in, a thread for it, and on.

use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::log::Notice;
use super::place::Place;
use super::serve;
use super::Settings;
use crate::http::{AnySocket, Connection, Phase};

/// Connections above the limit that are told to come back; what is above these is closed at once.
const OVERFLOW: usize = 32;
/// How long to wait after an error that lasts, such as running out of descriptors: doubled each time, as in Go.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);
const LAST_BACKOFF: Duration = Duration::from_secs(1);
/// How long the search for room is not repeated after it has failed.
const SEARCH_INTERVAL: Duration = Duration::from_millis(50);
/// An error that comes again and again is logged this often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Accepts until the host stops. No error ends it.
pub(super) fn run(settings: &Arc<Settings>, listener: &TcpListener) {
    let mut backoff = FIRST_BACKOFF;
    let mut troubles = Throttle::default();
    let mut crowd = Crowd::default();
    while !settings.places.stop.is_requested() {
        let error = match listener.accept().and_then(|(stream, _)| admit(settings, stream, &mut crowd)) {
            Ok(()) => {
                backoff = FIRST_BACKOFF;
                continue;
            }
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => error,
        };
        if troubles.may_log() {
            settings.log.write(&Notice::CannotAccept { error: &error });
        }
        settings.places.stop.sleep_until(Instant::now() + backoff);
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}

/// Finds a place and a thread for a connection. An error is the host's trouble, not the client's.
fn admit(settings: &Arc<Settings>, stream: TcpStream, crowd: &mut Crowd) -> io::Result<()> {
    if settings.places.stop.is_requested() {
        return Ok(()); // the stop's own knock at the door
    }
    // Events are small and shall leave at once (Nagle's algorithm would hold them back).
    stream.set_nodelay(true)?;
    let limit = settings.limits.max_connections;
    settings.places.counters.accepted.add(1);
    let place = settings.places.take(limit);
    let place = place.or_else(|| crowd.make_room(settings).then(|| settings.places.take(limit)).flatten());
    if let Some(place) = place {
        return spawn(settings, place, stream, serve_on_this_thread);
    }
    settings.places.counters.turned_away.add(1);
    if crowd.notices.may_log() {
        settings.log.write(&Notice::Full { connections: limit });
    }
    match settings.places.take_to_turn_away(OVERFLOW) {
        Some(place) => spawn(settings, place, stream, turn_away_on_this_thread),
        None => Ok(()),
    }
}

type Serve = fn(&Settings, Arc<Place>, AnySocket);

fn spawn(settings: &Arc<Settings>, place: Arc<Place>, stream: TcpStream, serve: Serve) -> io::Result<()> {
    let (stack_size, crew) = (settings.stack_size, Arc::clone(&settings.places.crew));
    let settings = Arc::clone(settings);
    crew.assign(Box::new(move || serve(&settings, place, AnySocket::Tcp(stream))), stack_size)
}

pub(super) fn serve_on_this_thread(settings: &Settings, place: Arc<Place>, socket: AnySocket) {
    settings.places.on_own_thread(place, |place| {
        if let Some(connection) = connect(settings, place, socket) {
            serve::serve(settings, place, connection);
        }
    });
}

fn turn_away_on_this_thread(settings: &Settings, place: Arc<Place>, socket: AnySocket) {
    settings.places.on_own_thread(place, |place| {
        if let Some(connection) = connect(settings, place, socket) {
            serve::turn_away(settings, &connection);
        }
    });
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

impl Crowd {
    /// A connection that waits for nothing in particular, or has not said yet what it wants, gives way to one that
    /// may have something to say.
    fn make_room(&mut self, settings: &Settings) -> bool {
        let now = Instant::now();
        if matches!(self.next_search, Some(next) if now < next) {
            return false;
        }
        let has_room = settings.places.make_room(Phase::Idle) || settings.places.make_room(Phase::Head);
        self.next_search = (!has_room).then(|| now + SEARCH_INTERVAL);
        has_room
    }
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
