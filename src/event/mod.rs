//! Server-sent events (HTML §9.2): the wire format, and the handler whose generators speak it.
//!
//! This room knows requests, responses and connections, but not the host that serves them.

mod wire;
mod stream;
mod connection;
mod source;
mod channel;

pub use channel::{Channel, ChannelSetup, Message, Presence, Published, Subscription};
pub use connection::EventConnection;
pub use source::{Admission, EventSource};
pub use wire::{Event, SendError};
