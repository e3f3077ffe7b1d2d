//! Every bound that the host keeps, with its default and where that comes from.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::NEVER;
use crate::http::body::Bodies;
use crate::http::MAX_HEAD;

/// The bounds of a host. None of them can be switched off; a large value comes close. A deadline of zero is one of 1 ms.
///
/// These bounds can be set. Those that are fixed, and those of streams and channels, stand in
/// [the guide](crate::guide::limits).
///
/// | limit | default | when it is passed | precedent |
/// |---|---|---|---|
/// | [`max_connections`](Self::max_connections) | 512 | an idle connection is closed for the new one, or one in the midst of a head; where there is none, a client that asks for a stream is told to come back, others get `503` | half of the usual 1024 descriptors |
/// | [`max_heads`](Self::max_heads) | 128 | the connection that is longest at it is closed | a quarter of the connections |
/// | [`max_head`](Self::max_head) | 32 KiB | `431` | nginx |
/// | [`max_body`](Self::max_body) | 1 MiB | `413`, before the body is read | nginx |
/// | [`max_bodies`](Self::max_bodies) | 64 MiB | `503` | |
/// | [`head_deadline`](Self::head_deadline) | 10 s in all | `408` | GenHTTP |
/// | [`body_deadline`](Self::body_deadline) | 20 s, and 1 s more for each 500 bytes | `408` | Apache |
/// | [`idle_deadline`](Self::idle_deadline) | 75 s | the connection is closed | nginx |
/// | [`write_deadline`](Self::write_deadline) | 30 s for each 64 KiB | the connection is closed | |
///
/// ```
/// use brooklet::{testing::Client, Host, Limits, Request, Response, Status};
/// use std::time::Duration;
///
/// let limits = Limits::default().max_connections(4096).idle_deadline(Duration::from_secs(5)).max_body(8);
/// let host = Host::new(|_: Request| Response::text("hello")).limits(limits).bind("127.0.0.1:0").start()?;
/// let answer = Client::new("POST", "/").body("nine bytes").connect(host.address())?;
/// assert_eq!(answer.status(), Status::CONTENT_TOO_LARGE);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "limits hold when a Host is given them"]
pub struct Limits {
    pub(super) max_connections: usize,
    pub(super) max_heads: usize,
    pub(super) max_head: usize,
    pub(super) max_body: u64,
    pub(super) max_bodies: u64,
    pub(super) head_deadline: Duration,
    pub(super) body_deadline: Duration,
    pub(super) idle_deadline: Duration,
    pub(super) write_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            max_heads: 128,
            max_head: MAX_HEAD,
            max_body: 1024 * 1024,
            max_bodies: 64 * 1024 * 1024,
            head_deadline: Duration::from_secs(10),
            body_deadline: Duration::from_secs(20),
            idle_deadline: Duration::from_secs(75),
            write_deadline: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// How many connections are served at once, streams included: 512 unless set, and at least one.
    ///
    /// Each is a descriptor, and a thread unless it follows a channel: mind `ulimit -n` when you raise it.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// How many connections may be in the midst of a request's head: 128 unless set, and at least one.
    ///
    /// A head usually arrives in one piece. Where many do not, clients may be sending theirs byte by byte to take all
    /// connections: the one that is longest at it is closed.
    pub fn max_heads(mut self, connections: usize) -> Self {
        self.max_heads = connections.max(1);
        self
    }

    /// How many bytes the head of a request may have; 32 KiB unless set. One line may fill all of it.
    ///
    /// A browser sends the cookies of a host to all of its ports. So the cookies of all tools on localhost come in one
    /// field.
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes.min(i32::MAX as usize); // the ends of a head's parts have 32 bits
        self
    }

    /// How many bytes the body of a request may have; 1 MiB unless set.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// How many bytes the bodies of all requests may take together; 64 MiB unless set, and at least
    /// [`max_body`](Self::max_body). A body counts until the last clone of its request is dropped.
    ///
    /// A body that does not fit is answered `503` with `Retry-After`, and so is one for which the system has no memory.
    pub fn max_bodies(mut self, bytes: u64) -> Self {
        self.max_bodies = bytes;
        self
    }

    pub(super) fn bodies(&self) -> Arc<Bodies> {
        Bodies::new(self.max_bodies.max(self.max_body))
    }

    /// How long a request's head may take from its first byte to its last: 10 s unless set.
    pub fn head_deadline(mut self, deadline: Duration) -> Self {
        self.head_deadline = at_least_a_tick(deadline);
        self
    }

    /// How long a request's body may take: 20 s unless set, and each 500 bytes that arrive add a second.
    pub fn body_deadline(mut self, deadline: Duration) -> Self {
        self.body_deadline = at_least_a_tick(deadline);
        self
    }

    /// How long a connection may stay open without a request: 75 s unless set.
    ///
    /// Many proxies and load balancers close an idle connection after 60 s. This host waits longer, so that none of them
    /// sends a request on a connection that the host is closing.
    pub fn idle_deadline(mut self, deadline: Duration) -> Self {
        self.idle_deadline = at_least_a_tick(deadline);
        self
    }

    /// How long a client may take for 64 KiB of what is sent to it: 30 s unless set.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.write_deadline = at_least_a_tick(deadline);
        self
    }
}

/// Zero would mean "for ever" to a socket.
fn at_least_a_tick(deadline: Duration) -> Duration {
    deadline.clamp(Duration::from_millis(1), NEVER)
}
