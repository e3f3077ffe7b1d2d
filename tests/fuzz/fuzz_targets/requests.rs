//! Any bytes, as what a client sends: nobody panics, what comes out is a sequence of well-formed answers with
//! nothing behind the one that says `Connection: close`, each request that a handler saw is answered once and in
//! order, and how the bytes are cut on their way makes no difference.
//!
//! The last two bytes of the input say where the others are cut; where they say 0, each byte comes by itself.

#![no_main]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::LazyLock;

use brooklet::{EventSource, Host, Layout, Limits, Notice, Request, Response};
use libfuzzer_sys::fuzz_target;

#[path = "../../it/answers.rs"]
mod answers;
#[allow(dead_code)] // no target needs all of it
#[path = "../../it/memory.rs"]
mod memory;
#[allow(dead_code)]
#[path = "../../it/patience.rs"]
mod patience;
#[allow(dead_code)]
#[path = "../../it/wire.rs"]
mod wire;

static HANDLED: AtomicUsize = AtomicUsize::new(0);

static HOST: LazyLock<Host> = LazyLock::new(|| {
    let events = EventSource::new(|connection| Ok(connection.data("x")?));
    let layout = Layout::new().add("events", events).fallback(echo);
    // What panics in a handler or a generator ends the fuzzer as well: its hook comes before the host's catch.
    Host::new(layout).limits(Limits::default().max_body(64)).log(|notice| {
        assert!(!matches!(notice, Notice::Failed { .. }), "{notice}");
    })
});

fn echo(request: Request) -> Response {
    let number = HANDLED.fetch_add(1, Ordering::Relaxed);
    let body = [request.raw_target().as_bytes(), b"\n", request.body()].concat();
    // What the other accessors find goes through the same judgement as all answers.
    let pairs = request.query_pairs().count() + request.form().pairs().count();
    Response::bytes("text/plain", body)
        .header("X-Method", request.method().to_owned())
        .header("X-Number", number.to_string())
        .header(
            "X-Counts",
            format!("{} {pairs} {}", request.headers().count(), request.target().segments().count()),
        )
}

fuzz_target!(|input: &[u8]| {
    let (bytes, cut) = match input {
        [bytes @ .., low, high] => (bytes, usize::from(*low) | usize::from(*high) << 8),
        _ => (input, 0),
    };
    let whole = judge(bytes, &[bytes]);
    let cut = cut % (bytes.len() + 1);
    let pieces = match cut {
        0 => judge(bytes, &bytes.chunks(1).collect::<Vec<_>>()),
        _ => judge(bytes, &[&bytes[..cut], &bytes[cut..]]),
    };
    assert_eq!(whole, pieces, "cut at {cut}, answered otherwise: {}", wire::show(bytes));
});

fn judge(bytes: &[u8], pieces: &[&[u8]]) -> Vec<answers::Answered> {
    HANDLED.store(0, Ordering::Relaxed);
    let answers = answers::serve(&HOST, pieces);
    let numbers = answers.iter().flat_map(|(_, fields, _)| fields).filter(|(name, _)| name == "X-Number");
    let numbers: Vec<_> = numbers.map(|(_, number)| number.parse::<usize>().unwrap()).collect();
    let handled = HANDLED.load(Ordering::Relaxed);
    assert_eq!(numbers, (0..handled).collect::<Vec<_>>(), "{}", wire::show(bytes));
    let requests = bytes.windows(8).filter(|eight| eight == b" HTTP/1.").count();
    assert!(handled <= requests, "more than the {requests} requests at most: {}", wire::show(bytes));
    for (status, fields, _) in &answers {
        // The stream refuses methods, and goes on; whatever else is refused here is so by the host, and for good.
        let closes = fields.contains(&(String::from("Connection"), String::from("close")));
        assert!(matches!(status, 0..=399 | 405 | 501) || closes, "{status}: {}", wire::show(bytes));
    }
    answers
}
