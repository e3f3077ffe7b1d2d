//! Who joins a channel and who leaves it, for those who want to know.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Mutex;

use crate::http::{CloseReason, Request};
use crate::locks::lock;

/// A client has joined a channel, or left it.
///
/// ```
/// use brooklet::{testing::Client, Channel, EventSource, Presence};
/// use std::time::Duration;
///
/// let room = Channel::new();
/// let presence = room.presence();
/// Client::get("/?name=Ada").in_memory(&EventSource::channel(&room)).leave_at(Duration::from_secs(9)).run();
///
/// let mut lines = Vec::new();
/// for change in presence.try_iter() { // `in presence`, on a thread of its own, waits for what comes
///     match change {
///         Presence::Joined { request, .. } => lines.push(format!("{:?} joined", request.query("name"))),
///         Presence::Left { request, reason, .. } => lines.push(format!("{:?}: {reason}", request.query("name"))),
///         _ => {}
///     }
/// }
/// assert_eq!(lines, ["Some(\"Ada\") joined", "Some(\"Ada\"): peer closed"]);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Presence {
    /// A subscriber has joined.
    #[non_exhaustive]
    Joined {
        /// The request that it joined by, without its body.
        request: Request,
    },
    /// A subscriber has left, of which a `Joined` was sent before.
    #[non_exhaustive]
    Left {
        /// The request that it had joined by, without its body.
        request: Request,
        /// Why.
        reason: CloseReason,
    },
}

/// Those who called [`Channel::presence`](super::Channel::presence), each with a queue: a writer puts a change into the
/// queues, and runs no code of the user.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    senders: Mutex<Vec<Sender<Presence>>>,
}

impl Watchers {
    pub(super) fn add(&self) -> Receiver<Presence> {
        let (sender, receiver) = mpsc::channel();
        lock(&self.senders).push(sender);
        receiver
    }

    /// Returns the request if a watcher was told, which then wants to hear of the departure as well.
    pub(super) fn tell_joined(&self, request: &Request) -> Option<Request> {
        let request = request.without_body();
        let is_heard = self.tell(&|| Presence::Joined { request: request.clone() });
        is_heard.then_some(request)
    }

    pub(super) fn tell_left(&self, request: &Request, reason: CloseReason) {
        self.tell(&|| Presence::Left { request: request.clone(), reason });
    }

    fn tell(&self, presence: &dyn Fn() -> Presence) -> bool {
        let mut senders = lock(&self.senders);
        // A send fails where the receiver was dropped.
        senders.retain(|sender| sender.send(presence()).is_ok());
        !senders.is_empty()
    }
}
