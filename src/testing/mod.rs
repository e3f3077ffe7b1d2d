//! For the tests of your own program: a generator in memory by a virtual clock, and a client over TCP.
//!
//! Over TCP, the test of a generator that waits takes as long as the waits, and the test of a keep-alive 15 seconds. In
//! memory it does not: the clock is virtual, a wait is over at once, and each run has the same events at the same times.
//!
//! ```
//! use brooklet::testing::Client;
//! use brooklet::{CloseReason, EventConnection, EventSource};
//! use std::time::Duration;
//!
//! fn countdown(connection: &mut EventConnection) -> brooklet::Result {
//!     let start = connection.request().query("from").unwrap_or("3").parse::<u32>()?;
//!     for number in (1..=start).rev() {
//!         connection.event("number", number)?;
//!         connection.wait(Duration::from_secs(20))?;
//!     }
//!     Ok(connection.finish()?)
//! }
//!
//! # /*
//! #[test]
//! # */
//! fn it_counts_down() {
//!     let source = EventSource::new(countdown);
//!     let stream = Client::get("/?from=2").in_memory(&source).run();
//!     assert_eq!(
//!         stream.timeline(),
//!         [
//!             "0s number: 2",
//!             "15s :", // a keep-alive
//!             "20s number: 1",
//!             "35s :",
//!             "40s finish #brooklet-finished: ",
//!         ]
//!     );
//!     assert_eq!(stream.reason(), Some(CloseReason::Finished));
//! }
//!
//! # /*
//! #[test]
//! # */
//! fn it_fails_for_what_is_no_number() {
//!     let stream = Client::get("/?from=x").in_memory(&EventSource::new(countdown)).run();
//!     assert_eq!(stream.reason(), Some(CloseReason::Failed));
//!     assert_eq!(stream.timeline(), ["0s retry 10s"]);
//! }
//! # it_counts_down();
//! # it_fails_for_what_is_no_number();
//! ```
//!
//! # What runs
//!
//! The handler itself, be it an [`EventSource`](crate::EventSource) or a [`Layout`](crate::Layout) with everything in it,
//! and all that belongs to a stream: inspector, formatting, keep-alives, `max_age`, `finish`, the panics that are caught.
//! The request is parsed as any other. There is no [`Host`](crate::Host), so not its limits, its rules for localhost and
//! the fields that it adds; and no client is slow. For those there is [`Client::connect`], which reads a stream over TCP
//! as a browser would.
//!
//! # What time it is
//!
//! The virtual clock stands still while the generator works, and goes on where it waits: in
//! [`wait`](crate::EventConnection::wait), [`wait_until`](crate::EventConnection::wait_until),
//! [`receive`](crate::EventConnection::receive) and [`forward`](crate::Subscription::forward). It follows that:
//!
//! - `wait_until` takes a time of that clock: [`EventConnection::now`](crate::EventConnection::now) plus a duration.
//!   `Instant::now()` is the system's time, and `thread::sleep` really sleeps.
//! - What another thread sends or publishes mostly comes too late: by the system's time, a wait that finds nothing is
//!   over at once. Let the test send or publish at a time of the virtual clock: [`Simulation::at`].
//! - [`max_age`](crate::EventSource::max_age) ends a stream at exactly that age. The time after which its client is to
//!   come back is drawn at random, as on a host.
//! - [`follow`](crate::EventConnection::follow) keeps the stream on its thread, as if the generator had
//!   [subscribed](crate::Channel::subscribe), and returns when the stream is over. The first block, events, `reset` and
//!   `finish` are those that a follower gets. The channel's own threads, and what they do with slow clients, are tested
//!   over TCP.
//!
//! The ids that a channel gives begin with its epoch, which is drawn at random when the channel is made. Channels that are
//! made in [`fixed_epochs`] have the same epochs each time, so that a test can compare all of what it sees.
//!
//! # What never ends
//!
//! A test does not hang because its generator waits for ever and its client never leaves. After an hour of virtual time,
//! or 100,000 events, [`Simulation::run`] panics and says so. It also panics after 100,000 calls between which no virtual
//! time has passed. A generator that blocks by other means, on a lock say, does block the test.

mod chunks;
mod client;
mod parser;
mod simulation;
mod socket;
mod stream;
mod timeline;
mod transcript;

use crate::random;

/// Calls `make`. The channels that it makes have the epochs 1, 2 and so on, in their order.
///
/// ```
/// use brooklet::testing::{fixed_epochs, Client};
/// use brooklet::{Channel, Event, EventSource};
///
/// let news = fixed_epochs(|| Channel::setup().replay(u64::MAX).open());
/// news.publish(Event::new("rain"))?;
/// let stream = Client::get("/").in_memory(&EventSource::channel(&news)).leave_after(1).run();
/// assert_eq!(stream.timeline(), ["0s message #000000000001-1: rain"]);
/// # Ok::<(), brooklet::SendError>(())
/// ```
pub fn fixed_epochs<T>(make: impl FnOnce() -> T) -> T {
    random::with_fixed_epochs(make)
}

pub use client::Client;
pub use parser::{Item, Message, Parser};
pub use simulation::Simulation;
pub use stream::EventStream;
pub use transcript::Transcript;
