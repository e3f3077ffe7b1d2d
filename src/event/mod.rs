//! Server-sent events (HTML §9.2): the wire format, and the handler whose generators speak it.
//!
//! This folder uses requests, responses and connections, and nothing of the host that serves them.

mod wire;
mod stream;
mod connection;
mod handle;
mod source;
mod stream_writer;
mod channel;

pub use channel::{Channel, ChannelSetup, Message, Presence, Published, Subscription};
pub use connection::EventConnection;
pub use handle::StreamHandle;
pub use source::{Admission, EventSource};
pub use stream_writer::StreamWriter;
pub use wire::{Event, SendError};
