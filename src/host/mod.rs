//! The server: the only folder that uses TCP and makes threads for connections.
//!
//! It serves every answer of a handler, streams included, and uses nothing of events or channels.

mod start;
mod listener;
mod limits;
mod accept;
mod workers;
mod overload;
mod serve;
mod guard;
mod slots;
mod phase;
mod deferred;
mod control;
mod stats;
mod log;
mod console;
mod tcp;

use std::fmt;
use std::net::{TcpListener, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use crate::clock::NEVER;
use crate::http::body::Bodies;
use crate::http::{AnySocket, Handler, Socket};
use crate::threads;
use accept::{Leader, Work};
use control::Service;
use guard::Guard;
use listener::Listener;
use overload::Throttle;
use phase::Phase;
use start::Bind;
use workers::Workers;

pub use control::{Control, RunningHost, StopReport};
pub use limits::Limits;
pub use log::Notice;
pub use start::StartError;
pub use stats::Stats;

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
/// Every setting:
///
/// ```
/// use brooklet::{testing::Client, Control, Cors, Host, Layout, Limits};
///
/// let control = Control::new();
/// let host = Host::new(Layout::new().add("metrics", control.clone()))
///     .bind("127.0.0.1:0")
///     .limits(Limits::default().max_connections(4096))
///     .stack_size(512 * 1024)
///     .defaults() // entity tags, no sniffing, a window of its own
///     .development() // errors and queries are shown
///     .console()
///     .log(|notice| drop(notice.to_string()))
///     .allow_host("tool.example") // the name that a proxy on this machine passes on
///     .behind_proxy() // which says who the client is
///     .guard() // on other interfaces as on loopback
///     .cors(Cors::origins(["https://dashboard.example"]))
///     .control(&control)
///     .start()?;
/// let answer = Client::get("/metrics").connect(host.address())?;
/// assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Each connection has a thread of its own, which reads its requests, runs the handler and writes the answers.
///
/// # Safe on localhost
///
/// On loopback, the default, a host answers requests for `localhost`, names below `.localhost`, addresses, and names
/// given to [`allow_host`](Self::allow_host). Requests for other names are answered `403`: otherwise any page on the web
/// could point its own name at 127.0.0.1, and read the answers. Behind a proxy on the same machine, allow the names that
/// the proxy passes on. Pages of other origins may link to a host, and show it in a frame. They can use none of its
/// scripts, pictures and other answers, unless their names are allowed, or their origins by [`cors`](Self::cors).
///
/// Bound to another interface a host answers to every name; [`guard`](Self::guard) keeps these rules there.
///
/// Methods that act are all but GET, HEAD and OPTIONS. On every interface they are answered to clients that are no
/// browsers, and of the pages only to those of the same origin, of allowed names and of [`cors`](Self::cors).
///
/// In the guide: [access](crate::guide::access), [limits](crate::guide::limits), [stopping](crate::guide::stopping).
#[must_use = "a host serves when it is run or started"]
pub struct Host {
    binds: Vec<Bind>,
    settings: Settings,
}

/// What the threads of connections have to know of their host.
struct Settings {
    handler: Box<dyn Handler>,
    limits: Limits,
    stack_size: Option<usize>,
    guard: Guard,
    is_behind_proxy: bool,
    has_defaults: bool,
    shows_errors: bool,
    log: log::Log,
    troubles: Throttle,
    service: Arc<Service>,
    bodies: Arc<Bodies>,
}

/// The last lines of connections that were served by hand.
impl Drop for Settings {
    fn drop(&mut self) {
        console::finish();
    }
}

impl Host {
    /// A host of `handler` on `localhost:8080`: on 127.0.0.1 and, where the system has it, on \[::1\].
    pub fn new(handler: impl Handler) -> Self {
        Self {
            binds: Vec::new(),
            settings: Settings {
                handler: Box::new(handler),
                limits: Limits::default(),
                stack_size: None,
                guard: Guard::default(),
                is_behind_proxy: false,
                has_defaults: false,
                shows_errors: false,
                log: log::Log::default(),
                troubles: Throttle::default(),
                service: Arc::default(),
                bodies: Limits::default().bodies(),
            },
        }
    }

    /// Listens at this address instead of `localhost:8080`: `"127.0.0.1:3000"`, `"[::]:80"`, `("localhost", 3000)`. Port 0
    /// is one that is free. Each call adds an address.
    ///
    /// A name may stand for several addresses, and a slice holds several: the host listens at all of them but those that
    /// this system does not have. With port 0 they all get the same port. An address that cannot be understood, or is in
    /// use, is reported when the host starts.
    ///
    /// ```
    /// # use brooklet::{Host, Layout};
    /// let host = Host::new(Layout::new()).bind("localhost:0").start()?;
    /// for address in host.addresses() {
    ///     assert_eq!((address.ip().is_loopback(), address.port()), (true, host.address().port()));
    /// }
    /// # Ok::<(), brooklet::StartError>(())
    /// ```
    pub fn bind(mut self, address: impl ToSocketAddrs + fmt::Debug) -> Self {
        self.binds.push(Bind::to(address));
        self
    }

    /// Serves the connections of a listener that was made elsewhere.
    ///
    /// The connections that it accepts inherit its socket options. So this is the way to options that std does not offer,
    /// and to a backlog of more than std's 128 connections. The host makes it block. Each call adds a listener.
    ///
    /// To stop, the host connects to it. Where another process listens at the same address, that process may get the
    /// connection. Then the stop waits a second for the thread that accepts, and leaves it behind.
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
        self.binds.push(Bind::Listener(Listener::Tcp(listener)));
        self
    }

    /// Serves the connections of a Unix socket's listener. Its path is not removed when the host stops.
    ///
    /// To stop, the host connects to its path. Where that takes longer than a second or fails, the host shuts the
    /// listener down, which ends it in other processes, too.
    ///
    /// ```
    /// # use brooklet::{Host, Layout};
    /// use std::os::unix::net::UnixListener;
    ///
    /// # let path = std::env::temp_dir().join(format!("brooklet-doc-{}.sock", std::process::id()));
    /// # let _ = std::fs::remove_file(&path);
    /// let host = Host::new(Layout::new()).unix_listener(UnixListener::bind(&path)?).start()?;
    /// assert_eq!(host.addresses(), []); // those of TCP
    /// # drop(host);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(unix)]
    pub fn unix_listener(mut self, listener: UnixListener) -> Self {
        self.binds.push(Bind::Listener(Listener::Unix(listener)));
        self
    }

    /// Sets the bounds; those of [`Limits::default`] hold otherwise.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.bodies = limits.bodies();
        self.settings.limits = limits;
        self
    }

    /// Sets the stack of every thread that this host makes, in bytes; std's own 2 MiB unless set. Some threads are shared
    /// by all hosts of the process: those that send what channels publish, write the console, call log listeners, or
    /// connect to a Unix socket to stop. Their stack is the one that was set by the host which started or served last.
    ///
    /// A stack is address space: an idle stream costs the pages of it that were touched. 64 KiB are enough for
    /// generators that keep nothing large on their stack. A number below the system's own minimum, some 28 KiB with
    /// glibc, counts as that.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Adds three fields to answers, unless the handler has set them: an `ETag`, so that a client that has the page
    /// already is answered `304 Not Modified`; `X-Content-Type-Options: nosniff`; and
    /// `Cross-Origin-Opener-Policy: same-origin`, so that a page of another origin that has opened this one in a window
    /// can neither read nor navigate it.
    pub fn defaults(mut self) -> Self {
        self.settings.has_defaults = true;
        self
    }

    /// Shows the errors of handlers on their `500` pages, and whole queries on the [`console`](Self::console). Otherwise
    /// such a page says `500 Internal Server Error` alone, and the console writes `?…` for a query. It is not meant for
    /// hosts that others can reach.
    pub fn development(mut self) -> Self {
        self.settings.shows_errors = true;
        self.settings.log.shows_queries = true;
        self
    }

    /// Writes a line to standard error for each answer, and for a stream one when it opens and one when it
    /// ends.
    ///
    /// One thread of the process writes all lines, so that no connection waits for a terminal or a pipe that takes
    /// nothing. 64 KiB of lines may wait. Further lines are dropped and counted, and a line says how many are missing. A
    /// stop waits for the last lines, for a second at most.
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

    /// Calls `listener` for each [`Notice`], on the thread on which it happens: a slow listener slows that connection.
    /// Two kinds are told on another thread, one after the other: the end of a stream that follows a channel, and what
    /// the thread that accepts reports.
    ///
    /// ```
    /// use brooklet::{Host, Notice, Request, Response};
    /// use std::sync::mpsc;
    ///
    /// let (sender, notices) = mpsc::sync_channel(100);
    /// let host = Host::new(|_: Request| Response::text("hello")).bind("127.0.0.1:0");
    /// let host = host.log(move |notice| if let Notice::Listening { .. } = notice {
    ///     let _ = sender.try_send(notice.to_string()); // never waits
    /// });
    /// let host = host.start()?;
    /// assert_eq!(notices.recv().unwrap(), format!("listening on http://{}", host.address()));
    /// # Ok::<(), brooklet::StartError>(())
    /// ```
    pub fn log(mut self, listener: impl Fn(&Notice<'_>) + Send + Sync + 'static) -> Self {
        self.settings.log.add(listener);
        self
    }

    /// Gives this host a control that was made before it, to stop it and to read its numbers.
    pub fn control(mut self, control: &Control) -> Self {
        self.settings.service = Arc::clone(&control.service);
        self
    }

    /// Serves until a [`control`](Self::control) stops it. It serves on threads of its own; the calling thread waits.
    ///
    /// # Errors
    ///
    /// If it cannot listen where it should, or no thread can be had.
    ///
    /// ```
    /// # use brooklet::{Control, Host, Layout};
    /// let control = Control::new();
    /// control.request_stop(); // from another thread, or from a handler
    /// Host::new(Layout::new()).bind("127.0.0.1:0").control(&control).run()?; // returns when it was stopped
    /// assert!(control.is_stopping());
    /// # Ok::<(), brooklet::StartError>(())
    /// ```
    pub fn run(self) -> Result<(), StartError> {
        let host = self.start()?;
        host.control.service.stop.sleep(NEVER);
        host.stop();
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
    /// assert_eq!(host.stop().forced, 0); // how many connections did not end by themselves
    /// # Ok::<(), brooklet::StartError>(())
    /// ```
    pub fn start(self) -> Result<RunningHost, StartError> {
        let listeners = start::listen_on(self.binds)?;
        let settings = Arc::new(self.settings);
        let service = Arc::clone(&settings.service);
        let urls: Vec<_> = listeners.iter().map(ToString::to_string).collect();
        let host = RunningHost {
            addresses: listeners.iter().filter_map(Listener::address).collect(),
            control: Control { service: Arc::clone(&service) },
        };
        let workers = Workers::new(&service.stop, settings.stack_size);
        let leaders = listeners.into_iter().zip(&urls).map(|(listener, url)| {
            Leader::new(listener, &settings, &workers)
                .map(Work::Lead)
                .map_err(|error| StartError::cannot_listen(url, error))
        });
        // All listeners have their descriptors and threads before one accepts: clients could take the last of them.
        let leaders = leaders.collect::<Result<Vec<_>, _>>()?;
        workers.begin(leaders).map_err(StartError::cannot_make_thread)?;
        threads::set_shared_stack_size(settings.stack_size); // such stacks are to be had: there is one
        for url in &urls {
            settings.log.write(&Notice::Listening { url });
        }
        Ok(host)
    }

    /// Serves one connection over any [`Socket`] on this thread. Returns when the connection has ended, or when its stream
    /// has been handed to a channel. [`Limits::max_connections`] does not refuse such a connection.
    ///
    /// For an example, over a Unix socket, see [`Socket`].
    pub fn serve(&self, socket: impl Socket + 'static) {
        threads::set_shared_stack_size(self.settings.stack_size);
        // Connections made by hand are not the host's to turn away.
        if let Some(slot) = self.settings.service.slots.take(Phase::Idle, usize::MAX) {
            serve::serve(&self.settings, slot, AnySocket::Other(Box::new(socket)));
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("binds", &self.binds)
            .field("limits", &self.settings.limits)
            .field("guard", &self.settings.guard)
            .finish_non_exhaustive()
    }
}
