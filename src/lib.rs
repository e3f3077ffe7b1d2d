//! Server-sent events with std alone: synchronous, one thread per connection, no dependencies.
//!
//! ```no_run
//! use brooklet::{Content, EventConnection, EventSource, Host, Layout, StartError};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), StartError> {
//!     let page = "<script>new EventSource('stock').addEventListener('AAPL', console.log)</script>";
//!     let app = Layout::new()
//!         .add("stock", EventSource::new(generate_stock))
//!         .index(Content::html(page));
//!     Host::new(app).console().run() // http://localhost:8080, and a line for each request
//! }
//!
//! fn generate_stock(connection: &mut EventConnection) -> brooklet::Result {
//!     connection.comment("Sending stock data")?;
//!     loop {
//!         connection.event("AAPL", 129.5)?;
//!         connection.wait(Duration::from_secs(1))?; // fails when the browser has left
//!     }
//! }
//! ```
//!
//! A [`Host`] accepts connections and gives each a thread. The thread reads a [`Request`] and lets a [`Handler`]
//! answer it: a closure, a [`Layout`] of handlers, a [`Content`], or an [`EventSource`], whose generator runs
//! on that thread for as long as its stream lasts. A generator sends through its [`EventConnection`] whatever is
//! [`Data`]; each call of it fails when the client has left or the host stops, so that `?` ends the loop. What a
//! program publishes once to a [`Channel`] reaches each client that follows it, and such a client takes no thread.
//!
//! # The guide
//!
//! | you want to | read |
//! |---|---|
//! | begin, and show something in a page | [`guide::first_stream`] |
//! | send data, types and ids; many events at once; from other threads | [`guide::sending`] |
//! | send structs, JSON, texts of your own | [`guide::formats`] |
//! | go on where a client left off | [`guide::resuming`] |
//! | publish once and reach everyone | [`guide::channels`] |
//! | know how a stream begins and ends, and when a browser comes back | [`guide::lifecycle`] |
//! | know what fails where, and who is told | [`guide::errors`] |
//! | know every limit and its default | [`guide::limits`] |
//! | know what it costs | [`guide::costs`] |
//! | let other pages, other names, or only some people in | [`guide::access`] |
//! | read a stream in a page, in Node, Python, Go, Rust | [`guide::clients`] |
//! | give an assistant tools, by the Model Context Protocol | [`guide::mcp`] |
//! | stop, also on Ctrl-C | [`guide::stopping`] |
//! | put a proxy in front, or run several instances | [`guide::proxies`] |
//! | know where it runs, and build it without cargo or for a small device | [`guide::where_it_runs`] |
//! | test what you build with it | [`guide::testing`] |
//! | know what is left out, and when to take something else | [`guide::left_out`] |
//! | **find out why it does not work** | [`guide::symptoms`] |
//!
//! TLS, HTTP/2, HTTP/3 and compression are left to a reverse proxy. The examples of the repository are programs to start:
//! `cargo run --example tour` has every feature at a URL of its own.

#![forbid(unsafe_code)]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![warn(
    clippy::dbg_macro,
    clippy::needless_pass_by_value,
    clippy::return_self_not_must_use,
    clippy::str_to_string,
    clippy::todo,
    clippy::unused_self,
    clippy::unwrap_used,
    clippy::use_self
)]

// The words of the code, each for one thing:
//
// - listener: a socket that accepts. Leader: the thread that accepts there. Worker: any thread of a host.
// - slot: what a connection takes of its host, until its last handle is dropped. Phase: what the connection is about.
// - overload: no slot is free. A connection gives way to another, or is turned away: told to come back.
// - service: what the threads of a host and its control share. Deferred: what another thread is to do.
// - stream: an answer that lasts as long as a generator or a channel has something to send.
// - follower: a stream that a channel has. Writer: a thread that sends to followers. Writer slot: what stays of a writer in
//   the process when its thread has ended. Feed: a stream or a thread that reads a channel itself. Reader: the position of
//   a follower or a feed.
// - log: the events of a channel. View: some of them, to be written without the lock. Gap: events that are gone, which
//   a reader is told of. Snapshot: the state of things, in place of events.

mod host;
mod layout;
mod content;
mod cors;
mod event;
mod data;
mod http;
pub mod testing;
mod locks;
mod threads;
mod atomic;
mod clock;
mod calendar;
mod digits;
mod random;
mod panics;
#[cfg(any(doc, doctest))]
pub mod guide;

pub use content::Content;
pub use cors::Cors;
pub use data::{to_json, Data, Formatting, List, Object, RawJson, Text, Writer};
pub use event::{Admission, Event, EventConnection, EventSource, SendError, StreamHandle, StreamWriter};
pub use event::{Channel, ChannelSetup, Message, Presence, Published, Subscription};
pub use host::{Control, Host, Limits, Notice, RunningHost, StartError, Stats, StopReport};
pub use http::{
    CloseReason, FieldValue, Form, Handler, IntoResponse, Request, Response, Socket, Status, Target,
};
pub use layout::Layout;

/// What a generator returns: any error takes `?`.
///
/// ```
/// use brooklet::{testing::Client, EventConnection, EventSource};
///
/// fn double(connection: &mut EventConnection) -> brooklet::Result {
///     let text = connection.request().query("price").ok_or("the query has no price")?; // a text
///     let price: f64 = text.parse()?; // a ParseFloatError
///     Ok(connection.data(2.0 * price)?) // a SendError
/// }
///
/// let source = EventSource::new(double);
/// assert_eq!(Client::get("/?price=1.5").in_memory(&source).run().events()[0].data, "3");
/// let failed = Client::get("/").in_memory(&source).run();
/// assert_eq!(failed.error().unwrap().to_string(), "the query has no price"); // the host logs it
/// ```
pub type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
