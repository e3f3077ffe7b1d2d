//! Servers to stand beside: each answers the routes of the library's example `load`, as far as it can.

pub mod axum;
pub mod bare;
pub mod floor;
pub mod khttp;

use rustix::time::{clock_gettime, ClockId};

/// Nanoseconds of the system's monotonic clock, which is the same in all processes.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// `<nanoseconds> <index> ` and padding: what the load generator reads latency and losses from.
fn data(index: u64, size: usize) -> String {
    let mut data = format!("{} {index} ", now());
    while data.len() < size {
        data.push('x');
    }
    data
}

/// An event as it stands in a stream.
fn event(index: u64, size: usize) -> String {
    format!("id: {index}\nevent: tick\ndata: {}\n\n", data(index, size))
}

/// A number in the query of a request target.
fn number(target: &str, name: &str, default: u64) -> u64 {
    let mut pairs = target.split(['?', '&']).skip(1).filter_map(|pair| pair.split_once('='));
    pairs.find(|pair| pair.0 == name).and_then(|pair| pair.1.parse().ok()).unwrap_or(default)
}

/// A page of 1 KiB.
fn page() -> String {
    format!("<!doctype html><title>load</title><p>{}", "x".repeat(986))
}

/// The head of a stream, and the comment that says: you are subscribed.
const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: hi\n\n";

/// The whole answers of those servers that write bytes which they have made beforehand.
struct Answers {
    page: String,
}

impl Answers {
    fn new() -> Self {
        let page = page();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", page.len());
        Self { page: head + &page }
    }

    /// The answer of `/` and of `/none`.
    fn of(&self, target: &str) -> &str {
        match target {
            "/" => &self.page,
            "/none" => "HTTP/1.1 204 No Content\r\n\r\n",
            _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        }
    }
}

/// The target of a request that has come whole, as those of the load generator do.
fn target(request: &[u8]) -> &str {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    std::str::from_utf8(line).ok().and_then(|line| line.split(' ').nth(1)).unwrap_or_default()
}
