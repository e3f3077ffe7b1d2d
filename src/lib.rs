//! Server-sent events with std alone: synchronous, one thread per connection, no dependencies.
//!
//! ```no_run
//! use brooklet::{Content, EventConnection, EventSource, Host, Layout, StartError};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), StartError> {
//!     let app = Layout::new()
//!         .add("stock", EventSource::new(generate_stock))
//!         .index(Content::html("<script>new EventSource('stock/').onmessage = console.log</script>"));
//!     Host::new(app).defaults().development().console().run() // http://127.0.0.1:8080
//! }
//!
//! fn generate_stock(connection: &mut EventConnection) -> brooklet::Result {
//!     connection.comment("Sending stock data")?;
//!     loop {
//!         connection.event("AAPL", 129.5)?;
//!         connection.wait(Duration::from_secs(1))?; // ends at once when the browser leaves or the host stops
//!     }
//! }
//! ```
//!
//! A [`Host`] accepts connections and gives each a thread. The thread reads a [`Request`] and lets a [`Handler`]
//! answer it: a closure, a [`Layout`] of handlers, a [`Content`], or an [`EventSource`], whose generator runs
//! on that thread for as long as its stream lasts.
//!
//! # Sending data
//!
//! A generator sends through its [`EventConnection`]. Whatever is [`Data`] can be sent:
//!
//! ```
//! # use brooklet::{Event, EventSource};
//! EventSource::new(|connection| {
//!     connection.comment("this is a comment")?;
//!     connection.data("string message")?;
//!     connection.data(42.1)?;                                    // data: 42.1
//!     connection.data(vec!["4711"])?;                            // data: ["4711"]
//!     connection.event("UserLogin", "user xyz logged in")?;      // of a type
//!     connection.send(Event::new("some event").id("4711"))?;     // with an id
//!     Ok(())
//! });
//! ```
//!
//! Structs become JSON by [`json_object!`]; a [`Formatting`] changes the text of any type for one source, and
//! [`to_json`] makes the same JSON for [`Response::json`].
//!
//! The request tells what the client wants, and what it has seen already:
//!
//! ```
//! # use brooklet::EventSource;
//! // http://localhost:8080/events/type?user=123, added as "events"
//! EventSource::new(|connection| {
//!     let user = connection.request().query("user");                 // Some("123")
//!     let event_type = connection.request().target().current();      // Some("type")
//!     let seen = connection.last_event_id();                         // None, or where to go on
//!     # let _ = (user, event_type, seen);
//!     Ok(())
//! });
//! ```
//!
//! # Lifecycle
//!
//! A stream begins with its head, which leaves before the generator runs. It ends when the generator returns, when
//! the client leaves, when the host stops: then whatever the generator calls returns a [`SendError`], and `?`
//! takes it out of its loop.
//!
//! [`wait`](EventConnection::wait) and [`receive`](EventConnection::receive) notice a departure without sending
//! anything, and keep an idle stream alive. A generator that sleeps by other means learns of it only when it
//! sends.
//!
//! A browser comes back when a stream ends, after three seconds or what
//! [`retry`](EventConnection::retry) says. After [`finish`](EventConnection::finish) it stays away, and so it does after
//! any answer but `200`: an inspector that returns [`Admission::NoContent`] says that there is nothing to come.
//!
//! # One source, many clients
//!
//! A [`Channel`] is published to once and reaches everyone: [`EventSource::channel`] serves it, or a generator ends with
//! [`follow`](EventConnection::follow). Its clients cost no threads, continue where they left off, and are told when
//! they have missed something.
//!
//! # Errors
//!
//! A generator that fails or panics is logged, and its client told to come back in ten seconds. The head has been
//! sent by then, so there is no status to say it with; an event of a type of your own can:
//!
//! ```
//! # use brooklet::EventSource;
//! # use std::time::Duration;
//! # fn quotes() -> Result<Vec<f64>, std::io::Error> { Ok(vec![]) }
//! EventSource::new(|connection| match quotes() {
//!     Ok(quotes) => Ok(connection.data(quotes)?),
//!     Err(error) => {
//!         connection.event("OnError", error.to_string())?;
//!         Ok(connection.retry(Duration::from_secs(10))?)
//!     }
//! });
//! ```
//!
//! A handler that fails is answered `500`. What a client does wrong never gets as far as a handler: it is
//! refused with a status and a sentence, within the bounds of [`Limits`].
//!
//! # Stopping
//!
//! [`Host::start`] serves beside the tool's own work; [`RunningHost::stop`], or dropping it, ends everything in bounded
//! time. [`Host::run`] serves until a [`Stopper`] says otherwise. std knows no signals: Ctrl-C ends the process
//! as it does by default, which clients take for a broken connection and come back. To stop cleanly on a signal,
//! call [`Stopper::request_stop`] from the handler that any signal crate offers; std's own way is to stop when
//! standard input ends:
//!
//! ```no_run
//! # use brooklet::{Host, Layout};
//! let host = Host::new(Layout::new()).start()?;
//! std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok(); // until Ctrl-D
//! host.stop();
//! # Ok::<(), brooklet::StartError>(())
//! ```
//!
//! # Testing
//!
//! [`testing`] runs a source in memory and by a virtual clock: a generator that waits for an hour is tested in no time,
//! and its keep-alives come when they come.
//!
//! ```
//! # use brooklet::{testing::Client, EventSource};
//! # use std::time::Duration;
//! let source = EventSource::new(|connection| {
//!     connection.event("AAPL", 129.5)?;
//!     connection.wait(Duration::from_secs(20))?;
//!     Ok(connection.event("AAPL", 130)?)
//! });
//! let stream = Client::get("/stock").in_memory(&source).run();
//! assert_eq!(stream.timeline(), ["0s AAPL: 129.5", "15s :", "20s AAPL: 130"]);
//! ```
//!
//! # What is left out
//!
//! TLS, HTTP/2 and 3, compression: put a reverse proxy in front. Async, WebSockets, cookies, templates, multipart,
//! a client for more than tests: other crates do that. An idle stream of a generator costs a thread.

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

mod host;
mod layout;
mod content;
mod cors;
mod event;
mod data;
mod http;
pub mod testing;
mod clock;
mod calendar;
mod random;
mod panics;

pub use content::Content;
pub use cors::{Cors, InvalidOrigin};
pub use data::{to_json, Data, Formatting, List, Object, RawJson, Text, Writer};
pub use event::{Admission, Event, EventConnection, EventSource, SendError};
pub use event::{Channel, Lag, Presence, Published, Replay, Subscription};
pub use host::{Host, Limits, Monitor, Notice, RunningHost, StartError, Stats, StopReport, Stopper};
pub use http::{
    CloseReason, FieldValue, Form, Handler, IntoResponse, Request, Response, Socket, Status, Target,
};
pub use layout::Layout;

/// What a generator returns: any error takes `?`.
pub type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
