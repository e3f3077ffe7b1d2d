//! Request smuggling: what two parsers read differently must be no request at all
//! (RFC 9112 §6.1, §6.3, §11.2). Each row hides a second request that must never be answered.

use super::row::{refuses, serves};
use super::talk::{send, talk, Step::*};
use super::{check, check_talks, controls};

/// A chunked body that ends at once, with a request behind it.
const EARLY_END: &str = "0\r\n\r\nGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A POST with these fields, in which `#` stands for the length of what follows the head.
fn post(fields: impl AsRef<[u8]>, body: &str) -> Vec<u8> {
    let length = body.len().to_string();
    let byte = |byte: &u8| if *byte == b'#' { length.clone().into_bytes() } else { vec![*byte] };
    let fields: Vec<u8> = fields.as_ref().iter().flat_map(byte).collect();
    [b"POST /echo HTTP/1.1\r\nHost: localhost\r\n", &fields[..], b"\r\n\r\n", body.as_bytes()].concat()
}

/// RFC 9112 §6.1 lets us obey the coding and close instead; refusing says it aloud.
#[test]
fn length_and_coding() {
    check([
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Transfer-Encoding: chunked\r\nContent-Length: #", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")),
        refuses(400, post("Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
        refuses(400, post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
        refuses(400, post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nX")),
        refuses(400, post("Content-Length: 0\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
        refuses(400, post("Transfer-Encoding: chunked\r\nContent-Length: 30", "0\r\n\r\n")),
        refuses(400, post("Transfer-Encoding: chunked\r\nContent-Length: 30", "0\r\n\r\nX")),
        refuses(400, post("Transfer-Encoding: chunked\r\nContent-Length: 4", "2b\r\nGET /none HTTP/1.1\r\n")),
        refuses(400, post("Transfer-Encoding: chunked\r\nX-A: b\r\nContent-Length: 3", EARLY_END)),
        refuses(400, post("content-LengtH: 5\r\nTransFer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: Chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTRANSFER-ENCODING: CHUNKED", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: chunked ", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding:\tchunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: , chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: chunked,", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: chunked, chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: chunked, cow", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: cow, chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: cow chunked bar", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: chunked;a=b", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding:", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: identity", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: gzip", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: xchunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: chunk", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: \"chunked\"", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: 'chunked'", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: =?UTF-8?B?Y2h1bmtlZA==?=", EARLY_END)),
        refuses(400, post(b"Content-Length: #\r\nTransfer-Encoding: ch\x96nked", EARLY_END)),
        refuses(400, post(b"Content-Length: #\r\nTransfer-Encoding:\xffchunked", EARLY_END)),
        refuses(
            400,
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\nContent-Length: #", EARLY_END),
        ),
        refuses(
            400,
            post("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\nContent-Length: #", EARLY_END),
        ),
        refuses(400, post("Content-Length: +#\r\nTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #x\r\nTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length:\r\nTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: 4\r\nContent-Length: #", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nContent-Length: 4", EARLY_END)),
        refuses(400, post("Content-Length: 4\r\nContent-Length: #\r\nTransfer-Encoding: chunked", EARLY_END)),
        refuses(
            400,
            "GET /none HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ]);
}

/// A field that one parser takes for a framing field and another does not.
#[test]
fn disguises() {
    check([
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding : chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding\t: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\n Transfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer\\Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding x: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer\r-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding\r\n : chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding\n : chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding:\r\n chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding:\r\n\tchunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding:\n chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding: \n\u{b}chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nTransfer-Encoding:\r\n \r\n chunked", EARLY_END)),
        refuses(400, post("Transfer-Encoding:\r\n chunked\r\nContent-Length: #", EARLY_END)),
        refuses(400, post("Transfer-Encoding: chunked\r\n  abc\r\nContent-Length: #", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nX-A: b\rTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nX-A: b\nTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nX-A:\rTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nX-A:\nTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nX-A: b\r\n\rTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nX-A: b\r\n Transfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nX-A: b\r\n\tTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("Content-Length: #\r\nX-A: b\n\nTransfer-Encoding: chunked", EARLY_END)),
        refuses(400, post("X-A: b\nContent-Length: #", EARLY_END)),
        refuses(400, post("X-A: b\rContent-Length: #", EARLY_END)),
        refuses(400, post("X-A: b\r\n Content-Length: #", EARLY_END)),
        refuses(400, post("Content-Length : #", EARLY_END)),
        refuses(400, post("Content-Length: #\r\n\rabc", EARLY_END)),
        serves(200, post("Content-Length: #\r\nTransfer_Encoding: chunked", EARLY_END)).body(EARLY_END),
        serves(200, post("Content-Length: #\r\nTransferEncoding: chunked", EARLY_END)).body(EARLY_END),
        serves(200, post("Content-Length: #\r\nTransfer-Encodings: chunked", EARLY_END)).body(EARLY_END),
        serves(200, post("Content-Length: #\r\nX-Transfer-Encoding: chunked", EARLY_END)).body(EARLY_END),
        serves(200, post("Content-Length: #\r\nTransfer-%45ncoding: chunked", EARLY_END)).body(EARLY_END),
        serves(200, post("Content-Length: #\r\nContent-Encoding: chunked", EARLY_END)).body(EARLY_END),
        serves(200, post("Content-Length: #\r\nTE: chunked", EARLY_END)).body(EARLY_END),
        serves(200, post("Content-Length: #\r\nX-A: Transfer-Encoding: chunked", EARLY_END)).body(EARLY_END),
        serves(200, post("Content-Length: #\r\nContent_Length: 99", EARLY_END)).body(EARLY_END),
        serves(200, post("Content-Length: #\r\nX-Content-Length: 4", EARLY_END)).body(EARLY_END),
        // RFC 9110 §7.6.1: hop-by-hop or not, we are the last hop.
        serves(200, post("Connection: Content-Length\r\nContent-Length: #", EARLY_END)).body(EARLY_END),
    ]);
}

/// A body is a body, even where the method has no use for it (RFC 9110 §9.3.1): it is read
/// and never taken for the next request.
#[test]
fn bodies_that_look_like_requests() {
    let prefix = "GET /none HTTP/1.1\r\nHost: localhost\r\n";
    let with = |method: &str, path: &str, body: &str| {
        let length = body.len();
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    check([
        serves(204, with("GET", "/none", prefix)),
        serves(204, with("HEAD", "/none", prefix)),
        serves(204, with("POST", "/none", prefix)),
        serves(204, with("OPTIONS", "/none", prefix)),
        serves(204, with("DELETE", "/none", EARLY_END)),
        serves(200, with("GET", "/", EARLY_END)),
        serves(404, with("GET", "/nowhere", prefix)),
        serves(405, with("POST", "/", prefix)),
        serves(405, with("DELETE", "/", EARLY_END)),
        serves(405, with("POST", "/stock", prefix)),
    ]);
    check_talks([
        // What follows an empty body is the start of the next request, and only that.
        talk([
            send(["POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\nX"]),
            Body(""),
            send(["GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"]),
            Get(501),
            Over,
        ]),
        talk([
            send(["GET /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 37\r\n\r\n"]),
            send(["GET /echo HTTP/1.1\r\nHost: localhost\r\n"]),
            Get(204),
            send(["\r\nGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"]),
            Get(204),
        ]),
        talk([
            send(["POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n+0\r\n\r\nX"]),
            Get(400),
            Over,
        ]),
    ]);
}

/// Every control byte at each edge of the field, and the bytes that Latin-1 calls a space.
#[test]
fn edges() {
    let rows = |byte| {
        let at = |before: &str, after: &str| {
            let line = [b"Content-Length: #\r\n", before.as_bytes(), &[byte], after.as_bytes()].concat();
            refuses(400, post(line, EARLY_END))
        };
        [
            at("", "Transfer-Encoding: chunked"),
            at("Transfer-Encoding", ": chunked"),
            at("Transfer-Encoding:", "chunked"),
            at("Transfer-Encoding: chunked", ""),
            at("Content-Length", ": 4"),
            at("Content-Length: 4", ""),
        ]
    };
    check(controls().chain([0x80, 0x85, 0xa0, 0xad, 0xc3, 0xff]).flat_map(rows));
}
