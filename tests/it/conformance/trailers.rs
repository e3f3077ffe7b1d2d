//! The trailer section: parsed as strictly as any fields, and never merged into them
//! (RFC 9112 §7.1.2, RFC 9110 §6.5).

use super::check;
use super::row::{refuses, serves};

/// A chunked `hello` with these bytes behind its last chunk, answered with the request's fields.
fn trailer(section: impl AsRef<[u8]>) -> Vec<u8> {
    let head = b"POST /headers HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    [head, b"5\r\nhello\r\n0\r\n".as_slice(), section.as_ref()].concat()
}

#[test]
fn ignored() {
    check([
        serves(200, trailer("\r\n")),
        serves(200, trailer("X-T: a\r\n\r\n")).hides("x-t"),
        serves(200, trailer("X-T:\r\n\r\n")).hides("x-t"),
        serves(200, trailer("X-T: a\r\nX-U: b\r\n\r\n")).hides("x-t").hides("x-u"),
        serves(200, trailer("Vary: *\r\nContent-Type: text/plain\r\n\r\n"))
            .hides("vary")
            .hides("content-type"),
        serves(200, trailer("Content-Length: 50\r\n\r\n")).hides("content-length"),
        serves(200, trailer("Content-Length: x\r\n\r\n")).hides("content-length"),
        serves(200, trailer("Transfer-Encoding: gzip\r\n\r\n")).hides("transfer-encoding: gzip"),
        serves(200, trailer("Host: example.org\r\n\r\n")).lists("host: localhost").hides("host: example"),
        serves(200, trailer("Authorization: Bearer x\r\n\r\n")).hides("authorization"),
        serves(200, trailer("Cookie: a=b\r\n\r\n")).hides("cookie"),
        serves(200, trailer("Connection: close\r\n\r\n")).hides("connection"),
        serves(200, trailer("Expect: x\r\n\r\n")).hides("expect"),
        serves(200, trailer("Origin: http://example.org\r\n\r\n")).hides("origin"),
        serves(200, trailer("Last-Event-ID: 1\r\n\r\n")).hides("last-event-id"),
    ]);
}

/// The same grammar as in a head: a smuggler finds no second parser here.
#[test]
fn malformed() {
    check([
        refuses(400, trailer("X-T\r\n\r\n")),
        refuses(400, trailer(": a\r\n\r\n")),
        refuses(400, trailer("X-T : a\r\n\r\n")),
        refuses(400, trailer("X-T\t: a\r\n\r\n")),
        refuses(400, trailer("X T: a\r\n\r\n")),
        refuses(400, trailer(" X-T: a\r\n\r\n")),
        refuses(400, trailer("\tX-T: a\r\n\r\n")),
        refuses(400, trailer("X-T: a\r\n b\r\n\r\n")),
        refuses(400, trailer(" \r\n\r\n")),
        refuses(400, trailer("X[T: a\r\n\r\n")),
        refuses(400, trailer("X-\u{e9}: a\r\n\r\n")),
        refuses(400, trailer("X-T: a\0b\r\n\r\n")),
        refuses(400, trailer("X-T: a\u{7}b\r\n\r\n")),
        refuses(400, trailer("X-T: a\rb\r\n\r\n")),
        refuses(400, trailer("X-T: a\r\r\n\r\n")),
        refuses(400, trailer("X-T: a\n\r\n")),
        refuses(400, trailer("X-T: a\nX-U: b\r\n\r\n")),
        refuses(400, trailer("X-T: a\r\n\n")),
        refuses(400, trailer("X-T: a\n\n")),
        refuses(400, trailer("\nX-T: a\r\n\r\n")),
        refuses(400, trailer("\rX-T: a\r\n\r\n")),
        refuses(400, trailer("GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        refuses(400, trailer("0\r\n\r\n")),
        refuses(400, trailer("5\r\nhello\r\n0\r\n\r\n")), // nothing follows the last chunk
    ]);
}

/// 8 KiB for the whole section: the head's limit would let a client send a second head.
#[test]
fn bounded() {
    let lines = |count: usize| "X-T: 0123456789012345678901234567890123456789\r\n".repeat(count) + "\r\n";
    let value = |size: usize| format!("X-T: {}\r\n\r\n", "a".repeat(size));
    check([
        serves(200, trailer(lines(50))).hides("x-t"),
        serves(200, trailer(value(4000))).hides("x-t"),
        refuses(431, trailer(lines(200))),
        refuses(431, trailer(value(9000))),
        refuses(431, trailer(value(100_000))),
    ]);
}
