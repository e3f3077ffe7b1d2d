//! `Expect: 100-continue` (RFC 9110 §10.1.1) and all other expectations.

use super::row::{closes, refuses, says, serves};
use super::talk::{send, talk, Step::*};
use super::{check, check_talks};

/// A POST that is answered with its body; more fields may follow.
const ECHO: &str = "POST /echo HTTP/1.1\r\nHost: localhost\r\n";
const NONE: &str = "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A client that waits is told to go on; one that did not wait needs no telling.
#[test]
fn continues() {
    check_talks([
        talk([
            send([ECHO, "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"]),
            Get(100),
            send(["hello"]),
            Body("hello"),
            send([NONE]),
            Get(204),
        ]),
        talk([
            send([ECHO, "Content-Length: 5\r\nExpect:100-Continue \r\n\r\n"]),
            Get(100),
            send(["hel"]),
            send(["lo"]),
            Body("hello"),
        ]),
        talk([
            send([ECHO, "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"]),
            Get(100),
            send(["5\r\nhello\r\n"]),
            send(["0\r\n\r\n"]),
            Body("hello"),
            send([NONE]),
            Get(204),
        ]),
        talk([
            send(["PUT /none HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"]),
            send(["Connection: close\r\n\r\n"]),
            Get(100),
            send(["hello"]),
            Get(204),
            Over,
        ]),
        // The body is there already.
        talk([
            send([ECHO, "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"]),
            Body("hello"),
            send([NONE]),
            Get(204),
        ]),
        // Behind another request.
        talk([
            send([NONE, ECHO, "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"]),
            Get(204),
            Get(100),
            send(["hello"]),
            Body("hello"),
        ]),
        // Told to go on, the client goes.
        talk([
            send([ECHO, "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"]),
            Get(100),
            send(["hell"]),
            Finish,
            Get(400),
            Over,
        ]),
        talk([
            send([ECHO, "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"]),
            Get(100),
            send(["x\r\n"]),
            Get(400),
            Over,
        ]),
        // A 1.0 client knows no interim answers (RFC 9110 §15.2).
        talk([
            send(["POST /echo HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"]),
            send(["hello"]),
            Body("hello"),
            Over,
        ]),
    ]);
}

/// No 100 where the answer is known already or no body follows; 417 to what we cannot meet.
#[test]
fn answers_at_once() {
    let get = |fields: &str| format!("GET /none HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n");
    let post = |fields: &str| format!("POST /echo HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n");
    check([
        serves(204, get("Expect: 100-continue")),
        serves(204, get("Expect: 100-continue\r\nContent-Length: 0")),
        serves(200, post("Expect: 100-continue")).body(""),
        closes(204, "GET /none HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"),
        closes(204, "GET /none HTTP/1.0\r\nExpect: x\r\n\r\n"), // 1.0 has no expectations
        closes(200, "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
            .body("hello"),
        says(417, get("Expect: x")),
        says(417, get("Expect: 200-ok")),
        says(417, get("Expect: 100")),
        says(417, get("Expect: continue")),
        says(417, get("Expect: 100-continues")),
        says(417, get("Expect: 100_continue")),
        says(417, get("Expect: 100-continue;a")),
        says(417, get("Expect: 100-continue, x")),
        says(417, get("Expect: x, 100-continue")),
        says(417, get("Expect: y 100-continue")), // as some front ends let it through
        says(417, get("Expect: \"100-continue\"")),
        says(417, get("Expect: 100-continue\r\nExpect: x")),
        says(417, post("Expect: x\r\nContent-Length: 5") + "hello"),
        says(417, post("Expect: x\r\nTransfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n"),
        refuses(400, get("Expect : 100-continue")),
        refuses(400, get("Expect:\n100-continue")),
        refuses(400, get("Expect:\r\n 100-continue")),
        refuses(400, get("Expect: 100-continue\0")),
        refuses(400, post("Expect: 100-continue\r\nContent-Length: x")),
        refuses(400, post("Expect: 100-continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked")),
        refuses(400, "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
        refuses(501, post("Expect: 100-continue\r\nTransfer-Encoding: gzip, chunked")),
        refuses(413, post("Expect: 100-continue\r\nContent-Length: 1048577")),
        refuses(413, post("Expect: 100-continue\r\nContent-Length: 999999999999")),
    ]);
}
