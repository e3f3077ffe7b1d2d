//! The server: the only room that knows about TCP and threads.
//!
//! It serves whatever a handler answers, streams included, and knows neither events nor channels.

mod start;
mod limits;
mod gate;
mod crew;
mod serve;
mod guard;
mod places;
mod place;
mod stop;
mod stats;
mod monitor;
mod log;
mod console;
mod tcp;

use std::fmt;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crate::http::body::Bodies;
use crate::http::{AnySocket, Handler, Socket};
use gate::Gate;
use guard::Guard;
use places::Places;
use start::Bind;
use stop::OpenDoor;

pub use limits::Limits;
pub use log::Notice;
pub use monitor::Monitor;
pub use start::StartError;
pub use stats::Stats;
pub use stop::{StopReport, Stopper};

/// How long a stop waits for what is under way, unless told otherwise.
const GRACE: Duration = Duration::from_secs(5);

/// A server: a handler, and where and how it is served.
///
/// ```no_run
/// use brooklet::{Content, Host, Layout};
///
/// fn main() -> Result<(), brooklet::StartError> {
///     let app = Layout::new().index(Content::html("<h1>Hello</h1>"));
///     Host::new(app).defaults().console().run() // http://127.0.0.1:8080
/// }
/// ```
///
/// All that can be said of one:
///
/// ```
/// use brooklet::{Cors, Host, Layout, Limits, Monitor};
///
/// let monitor = Monitor::new();
/// let host = Host::new(Layout::new().add("metrics", monitor.clone()))
///     .bind("127.0.0.1:3000")
///     .limits(Limits::default().max_connections(4096))
///     .stack_size(64 * 1024)
///     .defaults() // entity tags, no sniffing, a window of its own
///     .development() // errors and queries are shown
///     .console()
///     .log(|notice| drop(notice.to_string()))
///     .allow_host("tool.example") // the name that a proxy on this machine passes on
///     .behind_proxy() // which says who the client is
///     .guard() // on other interfaces as on loopback
///     .cors(Cors::origins(["https://dashboard.example"]))
///     .monitor(&monitor);
/// let stopper = host.stopper();
/// # drop((host, stopper));
/// ```
///
/// Each connection has a thread of its own, which reads its requests, runs the handler and writes the answers.
///
/// # Safe on localhost
///
/// Where it listens on loopback, the default, only requests for `localhost`, names below `.localhost`, addresses
/// and names given to [`allow_host`](Self::allow_host) are answered, others with `403`: otherwise any page on the web
/// could read the answers by pointing its own name at 127.0.0.1. Behind a proxy on the same machine, allow
/// the names that it passes on. And pages elsewhere may link to it and show it in a frame, but use none of its scripts,
/// pictures and other answers, unless their names are allowed, or their origins by [`cors`](Self::cors).
///
/// Bound to another interface a host answers to every name, and [`guard`](Self::guard) keeps these rules there.
///
/// Methods that act, which are all but GET, HEAD and OPTIONS, are on every interface answered to pages of
/// the same origin, of allowed names and of [`cors`](Self::cors) alone, and to clients that are no browsers.
///
/// In the guide: [access](crate::guide::access), [limits](crate::guide::limits), [stopping](crate::guide::stopping).
#[must_use = "a host serves when it is run or started"]
pub struct Host {
    bind: Bind,
    settings: Settings,
}

/// What connections have to know of their host.
struct Settings {
    handler: Box<dyn Handler>,
    limits: Limits,
    stack_size: Option<usize>,
    guard: Guard,
    is_behind_proxy: bool,
    has_defaults: bool,
    shows_errors: bool,
    log: log::Log,
    bodies: Arc<Bodies>,
    places: Arc<Places>,
}

/// The last lines of connections that were served by hand.
impl Drop for Settings {
    fn drop(&mut self) {
        console::finish();
    }
}

impl Host {
    /// A host of `handler` on `127.0.0.1:8080`, without anything extra.
    pub fn new(handler: impl Handler) -> Self {
        Self::of(Box::new(handler))
    }

    fn of(handler: Box<dyn Handler>) -> Self {
        Self {
            bind: Bind::default(),
            settings: Settings {
                handler,
                limits: Limits::default(),
                stack_size: None,
                guard: Guard::default(),
                is_behind_proxy: false,
                has_defaults: false,
                shows_errors: false,
                log: log::Log::default(),
                bodies: Limits::default().bodies(),
                places: Arc::default(),
            },
        }
    }

    /// Listens elsewhere than at `127.0.0.1:8080`: `"127.0.0.1:3000"`, `"[::]:80"`, or port 0 for one that is free.
    ///
    /// An address that cannot be understood is reported when the host starts.
    pub fn bind(mut self, address: impl ToSocketAddrs + fmt::Display) -> Self {
        self.bind = Bind::to(address);
        self
    }

    /// Serves the connections of a listener that was made elsewhere.
    ///
    /// What it accepts inherits its socket options, so this is the way to those that std does not offer, and to
    /// a backlog of more than std's 128 connections. It is made to block.
    ///
    /// To stop, the host connects to it. Where another process listens at the same address, that may be the one that
    /// is woken; a stop can take some seconds longer then.
    ///
    /// ```
    /// # use brooklet::{Host, Layout};
    /// use std::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?; // or one with options, made by another crate
    /// let address = listener.local_addr()?;
    /// let host = Host::new(Layout::new()).listener(listener).start()?;
    /// assert_eq!(host.address(), address);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.bind = Bind::Listener(listener);
        self
    }

    /// Sets the bounds; those of [`Limits::default`] hold otherwise.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.bodies = limits.bodies();
        self.settings.limits = limits;
        self
    }

    /// Sets the stack of each connection's thread, in bytes; std's own 2 MiB unless set.
    ///
    /// It is reserved, not used: what idle streams cost is the pages that were touched. 64 KiB are enough for
    /// generators that keep nothing large on their stack.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self.settings.log.stack_size = Some(bytes);
        self
    }

    /// Adds what most pages want: an `ETag` where the handler has set none, so that clients that have the page already
    /// are answered `304 Not Modified`, `X-Content-Type-Options: nosniff`, and `Cross-Origin-Opener-Policy: same-origin`,
    /// so that a page elsewhere which has opened this one in a window can neither look at it nor steer it. The last two
    /// where the handler has not said otherwise.
    pub fn defaults(mut self) -> Self {
        self.settings.has_defaults = true;
        self
    }

    /// Shows the errors of handlers on their `500` pages, which otherwise say no more than that, and whole queries on
    /// the [`console`](Self::console), where otherwise `?…` stands for them. Not for the open network.
    pub fn development(mut self) -> Self {
        self.settings.shows_errors = true;
        self.settings.log.shows_queries = true;
        self
    }

    /// Writes a line to standard error for each answer, and for a stream one when it opens and one when it
    /// ends.
    ///
    /// One thread of the process writes them all, so that nobody waits for a terminal or a pipe that takes none: 64 KiB
    /// of lines may wait, further ones are counted, and a line says how many are missing. A stop gives the last ones a
    /// second.
    ///
    /// ```text
    /// listening on http://127.0.0.1:8080
    /// 127.0.0.1:45736 GET /stock?… stream opened
    /// 127.0.0.1:45736 GET /stock?… stream ended after 1.0s, 6 events: peer closed
    /// 127.0.0.1:45774 GET /none 204, 0 bytes in 1.8ms
    /// ```
    pub fn console(mut self) -> Self {
        self.settings.log.has_console = true;
        self
    }

    /// Calls `listener` for everything that happens, on the thread on which it happens: a slow listener slows that
    /// connection. The end of a stream that a channel took over, and what the thread that accepts has to say, are told
    /// on another thread, one after the other.
    ///
    /// ```
    /// use brooklet::{Host, Notice, Request, Response};
    ///
    /// Host::new(|_: Request| Response::text("hello")).log(|notice| match notice {
    ///     Notice::Failed { error, .. } => eprintln!("something failed: {error}"),
    ///     _ => {}
    /// });
    /// ```
    pub fn log(mut self, listener: impl Fn(&Notice<'_>) + Send + Sync + 'static) -> Self {
        self.settings.log.add(listener);
        self
    }

    /// Shows this host's numbers to a monitor that was made before it.
    ///
    /// For an example see [`Monitor`].
    pub fn monitor(self, monitor: &Monitor) -> Self {
        monitor.watch(&self.settings.places);
        self
    }

    /// A handle that ends this host from anywhere; for an example see [`Stopper`].
    pub fn stopper(&self) -> Stopper {
        Stopper { places: Arc::clone(&self.settings.places) }
    }

    /// Serves on this thread until somebody stops it; see [`stopper`](Self::stopper).
    ///
    /// # Errors
    ///
    /// If it cannot listen where it should.
    ///
    /// ```
    /// # use brooklet::{Host, Layout};
    /// let host = Host::new(Layout::new()).bind("127.0.0.1:0");
    /// # host.stopper().request_stop();
    /// host.run()?; // returns when it was stopped
    /// # Ok::<(), brooklet::StartError>(())
    /// ```
    pub fn run(self) -> Result<(), StartError> {
        let stopper = self.stopper();
        let Listening { listener, door, settings, .. } = self.listen()?;
        Gate::new(settings, listener, door).keep();
        stopper.places.door.wait_until_closed(); // nobody shall wait in its backlog meanwhile
        stopper.stop_within(GRACE);
        console::finish();
        Ok(())
    }

    /// Serves on threads of its own, beside whatever the program does.
    ///
    /// # Errors
    ///
    /// If it cannot listen where it should, or no thread can be had.
    ///
    /// ```
    /// use brooklet::{Host, Request, Response};
    ///
    /// let host = Host::new(|_: Request| Response::text("hello")).bind("127.0.0.1:0").start()?;
    /// println!("see http://{}", host.address());
    /// // … the program's work …
    /// host.stop();
    /// # Ok::<(), brooklet::StartError>(())
    /// ```
    pub fn start(self) -> Result<RunningHost, StartError> {
        let stopper = self.stopper();
        let Listening { listener, door, settings, address } = self.listen()?;
        let keep = move || Gate::new(settings, listener, door).keep();
        crew::make_thread("brooklet-accept", Box::new(keep), None)
            .map_err(|error| StartError::new(address.to_string(), error))?;
        Ok(RunningHost { address, stopper })
    }

    /// Serves one connection on this thread, whatever it is made of, and returns when it is over, or handed on.
    ///
    /// For an example, over a Unix socket, see [`Socket`].
    pub fn serve(&self, socket: impl Socket + 'static) {
        // Connections made by hand are nobody's to turn away.
        if let Some(place) = self.settings.places.take(usize::MAX) {
            gate::on_this_thread(serve::serve, &self.settings, place, AnySocket::Other(Box::new(socket)));
        }
    }

    fn listen(self) -> Result<Listening, StartError> {
        let (listener, address) = self.bind.listen()?;
        let door = OpenDoor::new(&self.settings.places, &listener, address);
        self.settings.log.write(&Notice::Listening { address });
        Ok(Listening { listener, door, settings: Arc::new(self.settings), address })
    }
}

struct Listening {
    listener: TcpListener,
    door: OpenDoor,
    settings: Arc<Settings>,
    address: SocketAddr,
}

/// A host that serves. Dropping it stops it.
///
/// ```
/// use brooklet::{Host, Request, Response};
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// let host = Host::new(|_: Request| Response::text("hello")).bind("127.0.0.1:0").start()?;
///
/// let mut client = TcpStream::connect(host.address())?;
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
///
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"));
/// assert_eq!(host.stats().answered, 1);
/// assert_eq!(host.stop().forced, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a running host stops when it is dropped"]
pub struct RunningHost {
    address: SocketAddr,
    stopper: Stopper,
}

impl RunningHost {
    /// Where it listens: with the port that it got, if it was bound to port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is doing.
    pub fn stats(&self) -> Stats {
        self.stopper.places.stats()
    }

    /// A handle that ends this host from anywhere; for an example see [`Stopper`].
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops, and gives what is under way five seconds to end.
    pub fn stop(&self) -> StopReport {
        self.stop_within(GRACE)
    }

    /// Stops: nothing new is accepted, idle connections are closed, answers under way are finished, streams are
    /// told when to come back, and every call of a generator that waits returns.
    ///
    /// It returns when everything has ended, or after `grace`, when what is left is cut off. A handler or
    /// generator that calls nothing of ours cannot be ended by anybody: it is left behind. Called from a
    /// handler or a generator of the host itself, it does not wait for that one.
    ///
    /// ```
    /// # use brooklet::{Host, Layout};
    /// # use std::time::Duration;
    /// let host = Host::new(Layout::new()).bind("127.0.0.1:0").start()?;
    /// let report = host.stop_within(Duration::from_millis(500));
    /// assert_eq!((report.ended, report.forced), (0, 0)); // nobody was there
    /// # Ok::<(), brooklet::StartError>(())
    /// ```
    pub fn stop_within(&self, grace: Duration) -> StopReport {
        let report = self.stopper.stop_within(grace);
        // It may be the gate's keeper itself that is here, in somebody's log: so it does not wait for ever.
        self.stopper.places.door.wait_until_closed();
        console::finish();
        report
    }
}

impl Drop for RunningHost {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("bind", &self.bind)
            .field("limits", &self.settings.limits)
            .field("guard", &self.settings.guard)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RunningHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningHost")
            .field("address", &self.address)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
