//! Black-box conformance: raw bytes into a running host, and what RFC 9110 and 9112 make of them.
//!
//! A row is one request and the decision about it. It is fed whole, byte by byte and with a
//! request behind it, and must come out the same: answered once, then in step or closed.
//! Where the RFCs leave a choice, a row says which one was made; lenience is never it.

mod answers;
mod chunked;
mod expect;
mod fields;
mod framing;
mod host;
mod limits;
mod lines;
mod persistence;
mod row;
mod smuggling;
mod talk;
mod target;
mod trailers;

use brooklet::{Content, EventConnection, EventSource, Host, Layout, Request, Response, RunningHost, Status};
use row::Row;
use std::io::ErrorKind;
use talk::Talk;

/// The host that all rows speak to.
fn start() -> RunningHost {
    let app = Layout::new()
        .add("echo", |request: Request| Response::bytes("application/octet-stream", request.body().to_vec()))
        .add("headers", |request: Request| {
            let line = |(name, value): (&str, &[u8])| {
                [name.to_ascii_lowercase().as_bytes(), b": ", value, b"\n"].concat()
            };
            Response::bytes("text/plain", request.headers().flat_map(line).collect::<Vec<u8>>())
        })
        .add("query", |request: Request| {
            let line = |(key, value): (&str, &str)| format!("{key}={value}\n").into_bytes();
            Response::bytes("text/plain", request.query_pairs().flat_map(line).collect::<Vec<u8>>())
        })
        .add("none", |_: Request| Response::new(Status::NO_CONTENT))
        .add("fail", |_: Request| -> Result<Response, std::io::Error> { Err(ErrorKind::NotFound.into()) })
        .add(
            "stock",
            EventSource::new(|connection: &mut EventConnection| {
                connection.data("x")?;
                Ok(())
            }),
        )
        .index(Content::html("<h1>hello</h1>"));
    Host::new(app)
        .limits(crate::patience::unhurried())
        .defaults()
        .allow_host("example.com")
        .bind("127.0.0.1:0")
        .start()
        .unwrap()
}

/// Runs rows against one host and names all that fail, not only the first.
fn check(rows: impl IntoIterator<Item = Row>) {
    let host = start();
    let failures = rows.into_iter().filter_map(|row| row.run(host.address()).err());
    report(&failures.collect::<Vec<_>>());
}

/// As [`check`], for conversations.
fn check_talks(talks: impl IntoIterator<Item = Talk>) {
    let host = start();
    let failures = talks.into_iter().filter_map(|talk| talk.run(host.address()).err());
    report(&failures.collect::<Vec<_>>());
}

fn report(failures: &[String]) {
    assert!(failures.is_empty(), "{} rows failed\n{}", failures.len(), failures.join("\n"));
}

/// Every control byte but HTAB: none may stand in a field line (RFC 9110 §5.5).
fn controls() -> impl Iterator<Item = u8> {
    (0..=0x1f).chain([0x7f]).filter(|byte| *byte != b'\t')
}
