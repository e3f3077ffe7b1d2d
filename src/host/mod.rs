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
/// use brooklet::{Control, Cors, Host, Layout, Limits};
///
/// let control = Control::new();
/// let host = Host::new(Layout::new().add("metrics", control.clone()))
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
///     .control(&control);
/// # drop(host);
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
    binds: Vec<Bind>,
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
    /// A host of `handler` on `localhost:8080`, which is 127.0.0.1 and, where the system has it, \[::1\]; without anything
    /// extra.
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

    /// Listens elsewhere than on `localhost:8080`: `"127.0.0.1:3000"`, `"[::]:80"`, `("localhost", 3000)`, or port 0 for
    /// one that is free. Each call adds to those before.
    ///
    /// A name may stand for several addresses, and a slice for several of its own: it listens on all of them, at the same
    /// port where that is 0, but for those that this system does not have. An address that cannot be understood, or is
    /// in use, is reported when the host starts.
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
    /// What it accepts inherits its socket options, so this is the way to those that std does not offer, and to
    /// a backlog of more than std's 128 connections. It is made to block. Each call adds to those before.
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
        self.binds.push(Bind::Listener(Listener::Tcp(listener)));
        self
    }

    /// Serves the connections of a Unix socket's listener. Its path is not removed when the host stops.
    ///
    /// To stop, the host connects to its path. Where that takes longer than a second or fails, it shuts the listener
    /// down, which ends it in other processes, too.
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

    /// Sets the stack of every thread that this host makes, in bytes; std's own 2 MiB unless set. The threads that all
    /// hosts of the process share, which send what channels publish, write the console, call log listeners, and have a
    /// stop reach a Unix socket, have what that host asked for which started or served last.
    ///
    /// It is reserved, not used: what idle streams cost is the pages that were touched. 64 KiB are enough for
    /// generators that keep nothing large on their stack. A system's own least, some 28 KiB with glibc, is what smaller
    /// numbers come to.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Adds what most pages want: an `ETag` where the handler has set none, so that clients that have the page already
    /// are answered `304 Not Modified`, `X-Content-Type-Options: nosniff`, and `Cross-Origin-Opener-Policy: same-origin`,
    /// so that a page elsewhere which has opened this one in a window can neither look at it nor steer it. A handler
    /// that sets one of these fields itself keeps its own.
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
    /// One thread of the process writes them all, so that no connection waits for a terminal or a pipe that takes
    /// nothing. 64 KiB of lines may wait; further ones are dropped and counted, and a line says how many are missing. A
    /// stop waits for the last lines for a second.
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

    /// Serves until it is stopped by a [`control`](Self::control), on threads of its own while the calling one waits.
    ///
    /// # Errors
    ///
    /// If it cannot listen where it should, or no thread can be had.
    ///
    /// ```
    /// # use brooklet::{Control, Host, Layout};
    /// let control = Control::new();
    /// # control.request_stop();
    /// Host::new(Layout::new()).bind("127.0.0.1:0").control(&control).run()?; // returns when it was stopped
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
        for (listener, url) in listeners.into_iter().zip(&urls) {
            // Without it the host is dropped, which stops those that have begun.
            let leader = Leader::new(listener, &settings, &workers)
                .map_err(|error| StartError::cannot_listen(url, error))?;
            workers.begin(Work::Lead(leader)).map_err(StartError::cannot_make_thread)?;
        }
        threads::set_shared_stack_size(settings.stack_size); // such stacks are to be had: there is one
        for url in &urls {
            settings.log.write(&Notice::Listening { url });
        }
        Ok(host)
    }

    /// Serves one connection over any [`Socket`] on this thread. Returns when the connection has ended, or when a
    /// channel has taken its stream over.
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
