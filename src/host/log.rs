//! The notices of a host, the lines they are printed as, and the listeners that get them.

use std::error::Error;
use std::fmt::{self, Write};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::console;
use super::deferred::Deferred;
use crate::http::{CloseReason, Request, Status};
use crate::panics;

/// Something that happened. Its `Display` is the line that [`console`](crate::Host::console) writes.
///
/// Targets are printed as they were sent. Line ends, control characters and those that change the direction of text are
/// printed escaped, wherever they come from, so that nothing in a line can pass for another line or steer a terminal.
/// For a query `?…` is printed, since queries may hold tokens; `{:#}` prints the query.
///
/// ```
/// use brooklet::{testing::Client, CloseReason, Host, Layout, Notice};
/// use std::sync::mpsc;
///
/// let (sender, lines) = mpsc::sync_channel(100);
/// let host = Host::new(Layout::new()).bind("127.0.0.1:0").log(move |notice| match notice {
///     Notice::StreamEnded { reason: CloseReason::PeerClosed, .. } => {} // the usual end
///     Notice::Failed { request, error, .. } => eprintln!("{} failed: {error}", request.path()),
///     other => drop(sender.try_send(other.to_string())),
/// });
/// let host = host.start()?;
/// assert_eq!(lines.recv()?, format!("listening on http://{}", host.address()));
/// Client::get("/none?token=s3cret").connect(host.address())?;
/// assert!(lines.recv()?.contains(" GET /none?… 404, "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// The host accepts connections.
    #[non_exhaustive]
    Listening {
        /// Where: `http://127.0.0.1:8080`, or the path of a Unix socket.
        url: &'a str,
    },
    /// A request was answered.
    #[non_exhaustive]
    Answered {
        /// What was asked for, and by whom.
        request: &'a Request,
        /// The status.
        status: Status,
        /// The length of the body.
        bytes: u64,
        /// From the request's head to the end of the answer.
        duration: Duration,
    },
    /// A request was refused before a handler saw it.
    #[non_exhaustive]
    Refused {
        /// The client.
        peer: Option<SocketAddr>,
        /// The status.
        status: Status,
        /// Why, in words that hold nothing of what the client sent.
        why: &'a str,
    },
    /// A stream's head was sent; its generator begins.
    #[non_exhaustive]
    StreamOpened {
        /// What was asked for, and by whom.
        request: &'a Request,
    },
    /// A stream has ended.
    #[non_exhaustive]
    StreamEnded {
        /// What was asked for, and by whom; its body is not kept.
        request: &'a Request,
        /// Why.
        reason: CloseReason,
        /// How many events were sent.
        events: u64,
        /// How long it was open.
        duration: Duration,
    },
    /// A handler or a generator failed or panicked. With `panic = "abort"` a panic ends the program without this notice.
    #[non_exhaustive]
    Failed {
        /// What was asked for, and by whom; a generator's has no body.
        request: &'a Request,
        /// How.
        error: &'a (dyn Error + Send + Sync + 'static),
    },
    /// A connection could not be accepted, or there was no thread for it. The host waits a second at most and goes on.
    /// This notice comes once in 10 s at most.
    #[non_exhaustive]
    CannotAccept {
        /// Why.
        error: io::Error,
    },
    /// The limit of connections is reached: clients are told to come back. This notice comes once in 10 s at most.
    #[non_exhaustive]
    Full {
        /// How many connections there are.
        connections: usize,
    },
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Escaped(f);
        match self {
            Self::Listening { url } => write!(f, "listening on {url}"),
            Self::Answered { request, status, bytes, duration } => {
                write_request(f, request)?;
                write!(f, " {}, {bytes} bytes in {}", status.code(), Short(*duration))
            }
            Self::Refused { peer, status, why } => {
                write_peer(f, *peer)?;
                write!(f, " refused {}: {why}", status.code())
            }
            Self::StreamOpened { request } => {
                write_request(f, request)?;
                f.write_str(" stream opened")
            }
            Self::StreamEnded { request, reason, events, duration } => {
                write_request(f, request)?;
                write!(f, " stream ended after {}, {events} events: {reason}", Short(*duration))
            }
            Self::Failed { request, error } => {
                write_request(f, request)?;
                write!(f, " failed: {error}")
            }
            Self::CannotAccept { error } => write!(f, "cannot accept connections for a moment: {error}"),
            Self::Full { connections } => write!(f, "full: {connections} connections"),
        }
    }
}

/// Text in which the characters are escaped that would end a line or do something to a terminal: an error may hold what a
/// client has sent, or the name of a file.
struct Escaped<'f, 'a>(&'f mut fmt::Formatter<'a>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, found) in text.match_indices(is_steering) {
            write!(self.0, "{}{}", &text[plain..at], found.escape_debug())?;
            plain = at + found.len();
        }
        self.0.write_str(&text[plain..])
    }
}

/// Control characters, line ends of Unicode, and marks, embeddings and isolates of the bidirectional algorithm.
fn is_steering(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The client, the method and the target, with the query only where the format asks for it.
fn write_request(f: &mut Escaped<'_, '_>, request: &Request) -> fmt::Result {
    write_peer(f, request.peer())?;
    write!(f, " {} ", request.method())?;
    match request.raw_target().split_once('?') {
        Some((path, _)) if !f.0.alternate() => write!(f, "{path}?…"),
        _ => f.write_str(request.raw_target()),
    }
}

fn write_peer(f: &mut Escaped<'_, '_>, peer: Option<SocketAddr>) -> fmt::Result {
    match peer {
        Some(address) if address.port() == 0 => write!(f, "{}", address.ip()), // a proxy did not tell it
        Some(address) => write!(f, "{address}"),
        None => f.write_str("-"),
    }
}

/// A duration in the unit that people would use, rounded down.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.as_secs(), self.0.subsec_micros());
        match seconds {
            0 => write!(f, "{}.{}ms", micros / 1000, micros / 100 % 10),
            1..=59 => write!(f, "{seconds}.{}s", micros / 100_000),
            _ => write!(f, "{}m{:02}s", seconds / 60, seconds % 60),
        }
    }
}

type Listener = dyn Fn(&Notice<'_>) + Send + Sync;

/// The log listeners of a host. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Log {
    listeners: Arc<Vec<Arc<Listener>>>,
    pub(super) has_console: bool,
    /// Whether the console's lines show queries.
    pub(super) shows_queries: bool,
}

impl Log {
    pub(super) fn add(&mut self, listener: impl Fn(&Notice<'_>) + Send + Sync + 'static) {
        Arc::make_mut(&mut self.listeners).push(Arc::new(listener));
    }

    pub(super) fn is_silent(&self) -> bool {
        self.listeners.is_empty() && !self.has_console
    }

    pub(super) fn write(&self, notice: &Notice<'_>) {
        self.write_line(notice);
        self.tell(notice);
    }

    /// For the thread that accepts, which must not wait for listeners: another thread calls them.
    pub(super) fn write_elsewhere(&self, notice: Notice<'static>, deferred: &Arc<Deferred>) {
        self.write_line(&notice);
        if !self.listeners.is_empty() {
            let log = self.clone();
            deferred.push_elsewhere(Box::new(move || log.tell(&notice)));
        }
    }

    // A panic of a listener itself, or of the `Display` of an error, is dropped: a notice of it would end the same way.

    fn tell(&self, notice: &Notice<'_>) {
        for listener in &*self.listeners {
            let _ = panics::catch(|| listener(notice));
        }
    }

    fn write_line(&self, notice: &Notice<'_>) {
        if self.has_console {
            let line = panics::catch(|| match self.shows_queries {
                true => format!("{notice:#}\n"),
                false => format!("{notice}\n"),
            });
            let _ = line.map(|line| console::write(&line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Head;
    use crate::locks::lock;
    use std::sync::Mutex;

    /// In the order in which they were added, whatever one of them does.
    #[test]
    fn all_listeners_hear() {
        let (sender, heard) = std::sync::mpsc::channel();
        let mut log = Log::default();
        assert!(log.is_silent());
        for number in 1..=3 {
            let sender = Mutex::new(sender.clone()); // to be shared before Rust 1.72
            log.add(move |_| {
                lock(&sender).send(number).expect("it is awaited");
                assert_ne!(number, 2, "the second one panics");
            });
        }
        log.clone().write(&Notice::Full { connections: 1 });
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn lines() {
        let peer = Some(SocketAddr::from(([127, 0, 0, 1], 5000)));
        let request = |line: &str, peer| {
            let head = Head::parse(format!("{line} HTTP/1.0\r\n\r\n").as_bytes()).expect(line);
            Request::new(head, None, peer)
        };
        let (stock, unknown) = (request("GET /stock", peer), request("GET /stock", None));
        let answered = |micros| Notice::Answered {
            request: &stock,
            status: Status::OK,
            bytes: 5,
            duration: Duration::from_micros(micros),
        };
        check(&answered(1250), "127.0.0.1:5000 GET /stock 200, 5 bytes in 1.2ms");
        check(&answered(1_250_000), "127.0.0.1:5000 GET /stock 200, 5 bytes in 1.2s");
        check(&answered(999_999), "127.0.0.1:5000 GET /stock 200, 5 bytes in 999.9ms");
        check(&answered(59_999_999), "127.0.0.1:5000 GET /stock 200, 5 bytes in 59.9s");
        check(&answered(61_000_000), "127.0.0.1:5000 GET /stock 200, 5 bytes in 1m01s");
        check(&Notice::StreamOpened { request: &unknown }, "- GET /stock stream opened");
        let ended = Notice::StreamEnded {
            request: &stock,
            reason: CloseReason::PeerClosed,
            events: 3,
            duration: Duration::from_secs(2),
        };
        check(&ended, "127.0.0.1:5000 GET /stock stream ended after 2.0s, 3 events: peer closed");

        let secret = request("GET /a?token=1?2", None);
        let opened = Notice::StreamOpened { request: &secret };
        check(&opened, "- GET /a?… stream opened");
        assert_eq!(format!("{opened:#}"), "- GET /a?token=1?2 stream opened");

        #[track_caller]
        fn check(notice: &Notice<'_>, expected: &str) {
            assert_eq!(notice.to_string(), expected);
        }
    }

    /// Whatever an error says, its line is one, and moves no cursor.
    #[test]
    fn lines_that_cannot_be_forged() {
        check("no user x\n127.0.0.1:1 GET / 200", "no user x\\n127.0.0.1:1 GET / 200");
        check("a\r\nb\tc\0", "a\\r\\nb\\tc\\0");
        check("\x1b]0;title\x07\x1b[2J", "\\u{1b}]0;title\\u{7}\\u{1b}[2J");
        check("\x7f\u{85}\u{9b}2J", "\\u{7f}\\u{85}\\u{9b}2J");
        check("\u{200e}\u{200f}", "\\u{200e}\\u{200f}");
        check("\u{2027}\u{2028}\u{202e}\u{202f}", "\u{2027}\\u{2028}\\u{202e}\u{202f}");
        check("\u{2065}\u{2066}\u{2069}\u{206a}", "\u{2065}\\u{2066}\\u{2069}\u{206a}");
        check("ünï 漢字 🦀 'a' \"b\" \\n", "ünï 漢字 🦀 'a' \"b\" \\n"); // nothing else

        #[track_caller]
        fn check(text: &str, expected: &str) {
            let head = Head::parse(b"GET / HTTP/1.0\r\n\r\n").expect("it is a head");
            let (request, error) = (Request::new(head, None, None), text.into());
            let error: Box<dyn Error + Send + Sync> = error;
            let failed = Notice::Failed { request: &request, error: &*error };
            assert_eq!(failed.to_string(), format!("- GET / failed: {expected}"));
            let accept = Notice::CannotAccept { error: io::Error::new(io::ErrorKind::Other, text) };
            assert_eq!(accept.to_string(), format!("cannot accept connections for a moment: {expected}"));
        }
    }
}
