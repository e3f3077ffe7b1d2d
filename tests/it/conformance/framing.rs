//! Where a body ends: Content-Length and Transfer-Encoding (RFC 9112 §6, RFC 9110 §8.6).

use super::check;
use super::row::{closes, cut, refuses, serves};

/// A POST with these framing fields and what follows the head; it is answered with its body.
fn post(fields: impl AsRef<[u8]>, body: &str) -> Vec<u8> {
    let head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n";
    [head, fields.as_ref(), b"\r\n\r\n", body.as_bytes()].concat()
}

/// `hello` in one chunk.
const CHUNKED: &str = "5\r\nhello\r\n0\r\n\r\n";

#[test]
fn lengths() {
    let with = |method: &str| {
        format!("{method} /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
    };
    check([
        serves(200, post("Content-Length: 5", "hello")).body("hello"),
        serves(200, post("content-length: 5", "hello")).body("hello"),
        serves(200, post("conTENT-Length:5", "hello")).body("hello"),
        serves(200, post("Content-Length:  5", "hello")).body("hello"),
        serves(200, post("Content-Length: 5 ", "hello")).body("hello"),
        serves(200, post("Content-Length:\t5", "hello")).body("hello"),
        serves(200, post("Content-Length: \t 5 \t ", "hello")).body("hello"),
        serves(200, post("Content-Length: 005", "hello")).body("hello"), // 1*DIGIT, and decimal
        serves(200, post("Content-Length: 010", "helloworld")).body("helloworld"),
        serves(200, post("Content-Length: 00000000000000000000005", "hello")).body("hello"),
        serves(200, post("Content-Length: 0", "")).body(""),
        serves(200, post("Content-Length: 00", "")).body(""),
        serves(200, post("Content-Length: 5\r\nOhai: world", "hello")).body("hello"),
        serves(200, post("Content-Length: 5", "\r\n\r\n\0")).body("\r\n\r\n\0"),
        serves(200, post("Content-Length: 5", "hello\r\n")).body("hello"), // an old client's extra line
        serves(200, post("X-A: b", "")).body(""), // RFC 9112 §6.3: without either, no body
        serves(200, with("GET")).body("hello"),
        serves(200, with("PUT")).body("hello"),
        serves(200, with("PATCH")).body("hello"),
        serves(200, with("DELETE")).body("hello"),
        serves(200, with("OPTIONS")).body("hello"),
        serves(200, with("BREW")).body("hello"),
        serves(200, with("HEAD")),
        closes(200, "POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello").body("hello"),
        closes(200, "POST /echo HTTP/1.0\r\n\r\n").body(""),
    ]);
}

/// RFC 9112 §6.3: an invalid length is an unrecoverable error. A repeated one may be an
/// invalid one, and for us is: whoever sends it agrees with nobody.
#[test]
fn invalid_lengths() {
    check([
        refuses(400, post("Content-Length:", "")),
        refuses(400, post("Content-Length: ", "")),
        refuses(400, post("Content-Length: +5", "hello")),
        refuses(400, post("Content-Length: +0", "")),
        refuses(400, post("Content-Length: -5", "hello")),
        refuses(400, post("Content-Length: -1", "")),
        refuses(400, post("Content-Length: -0", "")),
        refuses(400, post("Content-Length: -123456789123456789123456789", "")),
        refuses(400, post("Content-Length: - 5", "hello")),
        refuses(400, post("Content-Length: 0x5", "hello")),
        refuses(400, post("Content-Length: 0X5", "hello")),
        refuses(400, post("Content-Length: x5", "hello")),
        refuses(400, post("Content-Length: 0o5", "hello")),
        refuses(400, post("Content-Length: 0b1", "h")),
        refuses(400, post("Content-Length: 5h", "hello")),
        refuses(400, post("Content-Length: A", "helloworld")),
        refuses(400, post("Content-Length: 5.0", "hello")),
        refuses(400, post("Content-Length: 5.", "hello")),
        refuses(400, post("Content-Length: .5", "hello")),
        refuses(400, post("Content-Length: 5e0", "hello")),
        refuses(400, post("Content-Length: 0e5", "")),
        refuses(400, post("Content-Length: 1_0", "helloworld")),
        refuses(400, post("Content-Length: +1_0", "helloworld")),
        refuses(400, post("Content-Length: 1 0", "helloworld")),
        refuses(400, post("Content-Length: 1\t0", "helloworld")),
        refuses(400, post("Content-Length: 5 5", "hello")),
        refuses(400, post("Content-Length: 5;", "hello")),
        refuses(400, post("Content-Length: 5;a=b", "hello")),
        refuses(400, post("Content-Length: \"5\"", "hello")),
        refuses(400, post("Content-Length: '5'", "hello")),
        refuses(400, post("Content-Length: =5", "hello")),
        refuses(400, post("Content-Length: #5", "hello")),
        refuses(400, post("Content-Length: (5)", "hello")),
        refuses(400, post("Content-Length: 5%", "hello")),
        refuses(400, post("Content-Length: five", "hello")),
        refuses(400, post("Content-Length: abc", "")),
        refuses(400, post("Content-Length: NaN", "")),
        refuses(400, post("Content-Length: null", "")),
        refuses(400, post("Content-Length: \u{665}", "hello")), // an Arabic five
        refuses(400, post("Content-Length: \u{ff15}", "hello")), // a wide one
        refuses(400, post("Content-Length: 18446744073709551616", "")), // 2^64
        refuses(400, post("Content-Length: 18446744073709551621", "hello")), // 2^64 + 5
        refuses(400, post("Content-Length: 99999999999999999999", "")),
        refuses(400, post("Content-Length: 1000000000000000000000000000000", "")),
        refuses(400, post("Content-Length: 5, 5", "hello")),
        refuses(400, post("Content-Length: 5,5", "hello")),
        refuses(400, post("Content-Length: 5, 5, 5", "hello")),
        refuses(400, post("Content-Length: 5, 10", "helloworld")),
        refuses(400, post("Content-Length: 0, 5", "hello")),
        refuses(400, post("Content-Length: 5,", "hello")),
        refuses(400, post("Content-Length: ,5", "hello")),
        refuses(400, post("Content-Length: ,", "")),
        refuses(400, post("Content-Length: 5\r\nContent-Length: 5", "hello")),
        refuses(400, post("Content-Length: 5\r\ncontent-length: 5", "hello")),
        refuses(400, post("Content-Length: 5\r\nX-A: b\r\nContent-Length: 5", "hello")),
        refuses(400, post("Content-Length: 5\r\nContent-Length: 10", "helloworld")),
        refuses(400, post("Content-Length: 0\r\nContent-Length: 5", "hello")),
        refuses(400, post("Content-Length: 5\r\nContent-Length: 0", "hello")),
        refuses(400, post("Content-Length: 5\r\nContent-Length:", "hello")),
        refuses(400, post("Content-Length: x\r\nContent-Length: 5", "hello")),
        refuses(400, post("Content-Length: 5\r\nContent-Length : 6", "hello")),
        refuses(400, post("Content-Length : 5", "hello")),
        refuses(400, post("Content-Length\t: 5", "hello")),
        refuses(400, post(" Content-Length: 5", "hello")),
        refuses(400, post("Content-Length: 5\r\nContent\tLength: 9", "hello")),
        refuses(400, post("Content Length: 5", "hello")),
        refuses(400, post("Content\rLength: 5", "hello")),
        refuses(400, post("Content-Length:\r\n 5", "hello")),
        refuses(400, post("Content-Length: 5\r\n 0", "hello")),
        refuses(400, post("Content-Length: \u{b}5", "hello")),
        refuses(400, post("Content-Length: 5\u{c}", "hello")),
        refuses(400, post("Content-Length: 5\0", "hello")),
        refuses(400, post("Content-Length: \x005", "hello")),
        refuses(400, post(b"Content-Length: 5\xa0", "hello")),
        refuses(400, "GET /none HTTP/1.0\r\nContent-Length: x\r\n\r\n"),
        refuses(400, "DELETE /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
    ]);
}

/// RFC 9112 §6.1: names of codings have no case, and `chunked` alone is understood: 501 to others before it.
#[test]
fn codings() {
    check([
        serves(200, post("Transfer-Encoding: chunked", CHUNKED)).body("hello"),
        serves(200, post("transfer-encoding: chunked", CHUNKED)).body("hello"),
        serves(200, post("TRANSFER-ENCODING: CHUNKED", CHUNKED)).body("hello"),
        serves(200, post("tRANSFER-ENCODING: cHuNkEd", CHUNKED)).body("hello"),
        serves(200, post("Transfer-Encoding:chunked", CHUNKED)).body("hello"),
        serves(200, post("Transfer-Encoding:  chunked", CHUNKED)).body("hello"),
        serves(200, post("Transfer-Encoding:\tchunked", CHUNKED)).body("hello"),
        serves(200, post("Transfer-Encoding: chunked ", CHUNKED)).body("hello"),
        serves(200, post("Transfer-Encoding: chunked\t", CHUNKED)).body("hello"),
        serves(200, post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", CHUNKED))
            .body("hello"),
        refuses(501, post("Transfer-Encoding: gzip, chunked", CHUNKED)),
        refuses(501, post("Transfer-Encoding: identity, chunked", CHUNKED)),
        refuses(501, post("Transfer-Encoding: cow,chunked", CHUNKED)),
        refuses(501, post("Transfer-Encoding: gzip;q=1, chunked", CHUNKED)),
        refuses(501, post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", CHUNKED)),
        refuses(501, post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", CHUNKED)),
    ]);
}

/// RFC 9112 §6.1, §6.3, §7.1: `chunked` is last, once and without parameters.
#[test]
fn invalid_codings() {
    check([
        refuses(400, post("Transfer-Encoding: gzip", "")),
        refuses(400, post("Transfer-Encoding: identity", "")),
        refuses(400, post("Transfer-Encoding: deflate", "")),
        refuses(400, post("Transfer-Encoding: pigeons", "")),
        refuses(400, post("Transfer-Encoding: xchunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunkedx", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunkedchunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: x-chunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunk", CHUNKED)),
        refuses(400, post("Transfer-Encoding: 'chunked'", CHUNKED)),
        refuses(400, post("Transfer-Encoding: 5", "hello")),
        refuses(400, post("Transfer-Encoding:", CHUNKED)),
        refuses(400, post("Transfer-Encoding: ", CHUNKED)),
        refuses(400, post("Transfer-Encoding: ,", CHUNKED)),
        refuses(400, post("Transfer-Encoding: , chunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked,", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked, ", CHUNKED)),
        refuses(400, post("Transfer-Encoding: ,chunked,", CHUNKED)),
        refuses(400, post("Transfer-Encoding: gzip,, chunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked, chunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: Chunked,CHUNKED", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked, gzip", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked, identity", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked, cow", CHUNKED)),
        refuses(400, post("Transfer-Encoding: identity, chunked, identity", CHUNKED)),
        refuses(400, post("Transfer-Encoding: gzip, chunked, chunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked\r\ntransfer-encoding: chunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: deflate", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding:", CHUNKED)),
        refuses(400, post("Transfer-Encoding:\r\nTransfer-Encoding: chunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked;", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked;q=1", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked; a=b", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked;a=\",gzip\"", CHUNKED)),
        refuses(400, post("Transfer-Encoding: \"chunked\"", CHUNKED)), // a coding is a token
        refuses(400, post("Transfer-Encoding: chun ked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked chunked", CHUNKED)),
        refuses(400, post("Transfer-Encoding: chunked/1", CHUNKED)),
        refuses(400, post("Transfer-Encoding: {chunked}", CHUNKED)),
        refuses(400, post(b"Transfer-Encoding: \xffchunked", CHUNKED)),
        refuses(400, post(b"Transfer-Encoding: chunked\xa0", CHUNKED)),
        refuses(400, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        refuses(400, "POST /echo HTTP/1.0\r\nTransfer-Encoding: identity\r\n\r\n"),
        refuses(
            400,
            "GET /none HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ]);
}

/// A body that ends before its length: the handler never sees half a body.
#[test]
fn ends_inside_the_body() {
    check([
        cut(post("Content-Length: 5", "")),
        cut(post("Content-Length: 5", "h")),
        cut(post("Content-Length: 5", "hell")),
        cut(post("Content-Length: 10", "hello")),
        cut("GET /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx"),
        cut("POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhell"),
        cut(post("Transfer-Encoding: chunked", "")),
        cut(post("Transfer-Encoding: chunked", "5")),
        cut(post("Transfer-Encoding: chunked", "5;a")),
        cut(post("Transfer-Encoding: chunked", "5\r")),
        cut(post("Transfer-Encoding: chunked", "5\r\n")),
        cut(post("Transfer-Encoding: chunked", "5\r\nhel")),
        cut(post("Transfer-Encoding: chunked", "5\r\nhello")),
        cut(post("Transfer-Encoding: chunked", "5\r\nhello\r")),
        cut(post("Transfer-Encoding: chunked", "5\r\nhello\r\n")), // no last chunk
        cut(post("Transfer-Encoding: chunked", "5\r\nhello\r\n0")),
        cut(post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n")),
        cut(post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r")),
        cut(post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\nX-T: a\r\n")),
    ]);
}

/// What a request means is asked once all of its head is known to be well formed: 400 comes
/// before every other refusal, wherever in the head its cause stands.
#[test]
fn syntax_before_meaning() {
    let get = |fields: &str| format!("GET /none HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n");
    check([
        refuses(400, get("Expect: x\r\nX A: b")),
        refuses(400, get("Expect: x\r\n y")),
        refuses(400, get("Expect: x\r\nContent-Length: x")),
        refuses(400, "GET /none HTTP/1.1\r\nExpect: x\r\n\r\n"), // no Host
        refuses(400, get("Transfer-Encoding: gzip, chunked\r\nX A: b")),
        refuses(400, get("Transfer-Encoding: gzip, chunked\r\n x")),
        refuses(400, get("Transfer-Encoding: gzip, chunked\r\nHost: localhost")),
        refuses(400, get("Content-Length: 1048577\r\nX A: b")),
        refuses(400, get("Content-Length: 1048577\r\nContent-Length: 1048577")),
        refuses(400, get("Content-Length: 1048577\r\nTransfer-Encoding: chunked")),
        refuses(400, "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nX A: b\r\n\r\n"),
        refuses(400, "BREW / HTTP/1.1\r\nHost: localhost\r\nX A: b\r\n\r\n"),
        refuses(400, "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX A: b\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: example.org\r\nX A: b\r\n\r\n"), // not 403
        refuses(400, "POST /echo HTTP/1.1\r\nHost: example.org\r\nContent-Length: x\r\n\r\n"),
    ]);
}
