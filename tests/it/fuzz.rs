//! Good connections, made bad at random, and always in the same way: the seeds are fixed.
//!
//! Whatever comes in, nobody panics, what comes out is a sequence of well-formed answers that ends where it
//! says so, and how the bytes were cut on their way makes no difference.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use brooklet::{EventSource, Host, Layout, Limits, Notice, Request, Response};

use crate::answers::{self, find, Answered};
use crate::random::Random;
use crate::wire::show;

/// What is mutated: each of these is answered as it stands. The first seven leave the connection open.
const SEEDS: [&str; 10] = [
    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /a/b%20c?d=e HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nX-A:  b\t\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n1\r\n!\r\n0\r\nT: x\r\n\r\n",
    "POST /e HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "GET http://localhost:8080/x?y HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\nPUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /events HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 7\r\n\r\n",
];

/// What parsers have read wrongly.
const FRAGMENTS: [&str; 22] = [
    "\r\n",
    "\r",
    "\n",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "%",
    "%00",
    "/../",
    "0\r\n\r\n",
    "fffffffff",
    "Content-Length: 5\r\n",
    "Content-Length: 70\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Host: b\r\n",
    "Expect: 100-continue\r\n",
    "Expect: x\r\n",
    "Connection: close\r\n",
];

/// How many of the seeds can stand before another one.
const OPEN: usize = 7;

const CASES: usize = 5_000;

#[test]
fn good_connections_are_good() {
    let target = Fuzzed::new();
    for seed in SEEDS {
        let answers = target.check(&[seed.as_bytes()]);
        assert!(answers.iter().all(|answer| matches!(answer.0, 200 | 204)), "{seed:?}: {answers:?}");
    }
}

#[test]
fn one_mutation() {
    run(0x9e37_79b9_7f4a_7c15, 1);
}

#[test]
fn some_mutations() {
    run(0xd1b5_4a32_d192_ed03, 4);
}

#[test]
fn many_mutations() {
    run(0x94d0_49bb_1331_11eb, 20);
}

/// Mutates, and checks what comes of it whole and in pieces.
fn run(first: u64, most_mutations: usize) {
    let mut random = Random::new(first);
    let target = Fuzzed::new();
    let mut statuses = BTreeSet::new();
    for case in 0..CASES {
        let mut input = seed(&mut random);
        for _ in 0..1 + random.below(most_mutations) {
            mutate(&mut input, &mut random);
        }
        let whole = target.check(&[&input]);
        // Often short ones, sometimes single bytes; large inputs are not worth so many.
        let longest = random.pick(&[1, 4, 40, 400]) + input.len() / 100;
        let pieces = target.check(&random.cut(&input, longest));
        let input = String::from_utf8_lossy(&input);
        assert_eq!(whole, pieces, "cut otherwise, answered otherwise: {first:#x}, case {case}: {input:?}");
        statuses.extend(whole.iter().map(|answer| answer.0));
    }
    // Mutations that are all refused at the first byte would prove nothing.
    for status in [200, 400, 413, 417, 501, 505] {
        assert!(statuses.contains(&status), "no case reached {status}: {statuses:?}");
    }
}

/// A host whose handler says what it was asked.
struct Fuzzed {
    host: Host,
    handled: Arc<AtomicUsize>,
    /// What panics in a handler or a generator is caught and logged; anywhere else it ends the test.
    has_failed: Arc<AtomicBool>,
}

impl Fuzzed {
    fn new() -> Self {
        let handled = Arc::new(AtomicUsize::new(0));
        let has_failed = Arc::new(AtomicBool::new(false));
        let (count, fail) = (Arc::clone(&handled), Arc::clone(&has_failed));
        let echo = move |request: Request| {
            count.fetch_add(1, Ordering::Relaxed);
            let body = [request.raw_target().as_bytes(), b"\n", request.body()].concat();
            // So that who reads the answer knows whether it has a body.
            Response::bytes("text/plain", body).header("X-Method", request.method().to_owned())
        };
        let events = EventSource::new(|connection| Ok(connection.data("x")?));
        let host = Host::new(Layout::new().add("events", events).fallback(echo))
            .limits(Limits::default().max_body(64))
            .log(move |notice| {
                if matches!(notice, Notice::Failed { .. }) {
                    fail.store(true, Ordering::Relaxed);
                }
            });
        Self { host, handled, has_failed }
    }

    /// Serves one connection and judges what was written.
    #[track_caller]
    fn check(&self, pieces: &[&[u8]]) -> Vec<Answered> {
        let before = self.handled.load(Ordering::Relaxed);
        let answers = answers::serve(&self.host, pieces);
        let handled = self.handled.load(Ordering::Relaxed) - before;
        let input = pieces.concat();
        let shown = || show(&input);
        assert!(!self.has_failed.load(Ordering::Relaxed), "a handler or generator failed: {}", shown());
        let mut echoes = 0;
        for (status, fields, body) in &answers {
            // The stream refuses methods, and goes on; whatever else is refused here is so by the host, and for good.
            let closes = fields.contains(&(String::from("Connection"), String::from("close")));
            assert!(
                matches!(status, 0..=399 | 405 | 501) || closes,
                "it goes on after {status}: {}",
                shown()
            );
            if fields.iter().any(|(name, _)| name == "X-Method") {
                echoes += 1;
                // What HEAD asks for is not shown.
                let target = body.split(|byte| *byte == b'\n').next().filter(|target| !target.is_empty());
                let was_sent = target.map_or(true, |target| find(&input, target).is_some());
                assert!(was_sent, "an answer to a request that nobody sent: {}", shown());
            }
        }
        assert_eq!(echoes, handled, "so many were answered, so many handled: {}", shown());
        let requests = input.windows(8).filter(|eight| *eight == b" HTTP/1.").count();
        let served = answers.iter().filter(|answer| answer.0 < 400).count();
        assert!(served <= requests, "{served} answers to {requests} requests at most: {}", shown());
        answers
    }
}

/// One change of a kind that goes wrong in networks, in clients and in the hands of attackers.
fn mutate(input: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(input.len() + 1);
    let to = (at + 1 + random.below(12)).min(input.len());
    match random.below(11) {
        0 if at < to => input[at] ^= 1 << random.below(8),
        1 if at < to => input[at] = random.bits() as u8,
        2 => insert(input, at, &[random.bits() as u8]),
        3 => insert(input, at, random.pick(&FRAGMENTS).as_bytes()),
        4 => {
            let start = input[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            insert(input, start, random.pick(&FRAGMENTS).as_bytes());
        }
        5 => drop(input.drain(at..to)),
        6 => input.truncate(at),
        7 => {
            // A line once more, or somewhere else.
            let lines: Vec<_> = input.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            if !lines.is_empty() {
                let before = random.below(lines.len());
                let at = lines[..before].iter().map(Vec::len).sum();
                insert(input, at, &lines[random.below(lines.len())]);
            }
        }
        8 => {
            let other = seed(random);
            let from = random.below(other.len());
            let part = &other[from..(from + 1 + random.below(60)).min(other.len())];
            insert(input, at, part);
        }
        9 => {
            // More requests, at times more than a read takes.
            let count = if random.once_in(20) { 80 } else { 2 };
            for _ in 0..1 + random.below(count) {
                insert(input, 0, random.pick(&SEEDS[..OPEN]).as_bytes());
            }
        }
        10 if random.once_in(20) => {
            let part = input[at..to].to_vec();
            insert(input, at, &part.repeat(random.below(5000)));
        }
        _ => {}
    }
}

fn insert(input: &mut Vec<u8>, at: usize, part: &[u8]) {
    drop(input.splice(at..at, part.iter().copied()));
}

fn seed(random: &mut Random) -> Vec<u8> {
    random.pick(&SEEDS).as_bytes().to_vec()
}
