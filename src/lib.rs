//! Server-sent events with std alone: synchronous, one thread per connection, no dependencies.

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
mod calendar;
mod random;
mod panics;

pub use content::Content;
pub use cors::Cors;
pub use data::{Data, Formatting, List, Object, RawJson, Text, Writer};
pub use event::{Admission, Event, EventConnection, EventSource, SendError};
pub use host::{Host, Limits, Notice, RunningHost, StartError, Stats, StopReport, Stopper};
pub use http::{
    CloseReason, FieldValue, Form, Handler, IntoResponse, Request, Response, Socket, Status, Target,
};
pub use layout::Layout;

/// What a generator returns: any error takes `?`.
pub type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
