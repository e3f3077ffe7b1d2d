//! Who joins a channel and who leaves it, for those who want to know.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Mutex;

use crate::http::{CloseReason, Request};
use crate::locks::lock;

/// A client has joined a channel, or left it.
///
/// ```
/// use brooklet::{Channel, Presence};
/// use std::thread;
///
/// let room = Channel::new();
/// let presence = room.presence();
/// thread::spawn(move || {
///     for change in presence {
///         match change {
///             Presence::Joined { request, .. } => println!("{:?} joined", request.peer()),
///             Presence::Left { request, reason, .. } => println!("{:?}: {reason}", request.peer()),
///             _ => {}
///         }
///     }
/// });
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
    /// A subscriber has left that had joined while presence was watched.
    #[non_exhaustive]
    Left {
        /// The request that it had joined by, without its body.
        request: Request,
        /// Why.
        reason: CloseReason,
    },
}

/// They are told through queues of their own: nothing of theirs runs on a writer.
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
        // Who has dropped the receiver has heard enough.
        senders.retain(|sender| sender.send(presence()).is_ok());
        !senders.is_empty()
    }
}
