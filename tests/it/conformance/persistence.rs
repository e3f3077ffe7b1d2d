//! How long a connection lives, and in which order it is answered (RFC 9112 §9.3, §9.6).

use super::row::{closes, cut, refuses, says, serves};
use super::talk::{send, talk, Step::*};
use super::{check, check_talks};

const NONE: &str = "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n";
const INDEX: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const ECHO: &str = "POST /echo HTTP/1.1\r\nHost: localhost\r\n";
const NOWHERE: &str = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
const STOCK: &str = "GET /stock HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// RFC 9110 §7.6.1: a list of tokens without case; `close` anywhere in it closes.
#[test]
fn connection_options() {
    let get = |fields: &str| format!("GET /none HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n");
    check([
        serves(204, get("X-A: b")),
        serves(204, get("Connection: keep-alive")),
        serves(204, get("Connection: Keep-Alive")),
        serves(204, get("Connection: Keep-Alive\r\nKeep-Alive: timeout=5, max=1")),
        serves(204, get("Keep-Alive: 300")),
        serves(204, get("Connection:")),
        serves(204, get("Connection: ,")),
        serves(204, get("Connection: TE\r\nTE: trailers")),
        serves(204, get("Connection: X-A, X-B")),
        serves(204, get("Connection: closed")),
        serves(204, get("Connection: xclose")),
        serves(204, get("Connection: not-close")),
        serves(204, get("Connection: \"close\"")),
        serves(204, get("X-Connection: close")),
        serves(204, get("Proxy-Connection: close")),
        serves(204, get("Connection: Upgrade\r\nUpgrade: websocket")), // RFC 9110 §7.8: may be ignored
        serves(204, get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 99")),
        serves(204, get("Upgrade: websocket")),
        serves(204, get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk")),
        serves(204, get("Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/2.0")),
        closes(204, get("Connection: close")),
        closes(204, get("Connection: Close")),
        closes(204, get("Connection: CLOSE")),
        closes(204, get("connection:close")),
        closes(204, get("Connection: close ")),
        closes(204, get("Connection:\tclose\t")),
        closes(204, get("Connection: close, keep-alive")),
        closes(204, get("Connection: keep-alive, close")),
        closes(204, get("Connection: foo,close,bar")),
        closes(204, get("Connection: ,close")),
        closes(204, get("Connection: close,,")),
        closes(204, get("Connection: TE\t,\tclose")),
        closes(204, get("Connection: close, token, upgrade, token, keep-alive\r\nUpgrade: x")),
        closes(204, get("Connection: keep-alive\r\nConnection: close")),
        closes(204, get("Connection: close\r\nConnection: keep-alive")),
        closes(200, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").body("<h1>hello</h1>"),
        closes(200, "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        closes(404, "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        closes(405, "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        closes(200, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        closes(
            200,
            "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        ),
        refuses(400, get("Connection: keep\ralive")),
        refuses(400, get("Connection\r\u{1b}5eep-Alive")),
        refuses(400, get("Connection: keep-alive,\r\n close")),
        refuses(400, get("Connection : close")),
    ]);
}

/// RFC 9112 §9.3: 1.0 closes unless asked not to, and then has to be told (appendix C.2.2).
/// The answer's version is ours all the same (RFC 9110 §6.2).
#[test]
fn http_1_0() {
    let get = |fields: &str| format!("GET /none HTTP/1.0\r\n{fields}\r\n");
    check([
        closes(204, get("")),
        closes(204, get("Host: localhost\r\n")),
        closes(204, get("Keep-Alive: 300\r\n")),
        closes(204, get("Connection: close\r\n")),
        closes(204, get("Connection: TE\r\n")),
        closes(204, get("Connection: close, keep-alive\r\n")),
        closes(204, get("Connection: keep-alive, close\r\n")),
        closes(204, get("Connection: keep-alive\r\nConnection: close\r\n")),
        closes(204, get("Connection: keepalive\r\n")),
        closes(204, get("Connection: keep-alives\r\n")),
        closes(204, get("Connection: Upgrade\r\nUpgrade: websocket\r\n")),
        serves(204, get("Connection: keep-alive\r\n")).has("Connection", "keep-alive"),
        serves(204, get("Connection: Keep-Alive\r\n")).has("Connection", "keep-alive"),
        serves(204, get("Connection: KEEP-ALIVE\r\n")).has("Connection", "keep-alive"),
        serves(204, get("Connection: foo, keep-alive\r\n")).has("Connection", "keep-alive"),
        serves(204, get("Connection: foo\r\nConnection: keep-alive\r\n")).has("Connection", "keep-alive"),
        serves(204, get("Host: localhost\r\nConnection: keep-alive\r\n")).has("Connection", "keep-alive"),
        serves(200, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").body("<h1>hello</h1>"),
        serves(200, "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").has("Content-Length", "14"),
        serves(404, "GET /nowhere HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .has("Connection", "keep-alive"),
        serves(200, "POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello")
            .body("hello"),
        closes(200, "GET / HTTP/1.0\r\n\r\n").body("<h1>hello</h1>").has("Content-Length", "14"),
        closes(200, "HEAD / HTTP/1.0\r\n\r\n").has("Content-Length", "14"),
        closes(404, "GET /nowhere HTTP/1.0\r\n\r\n"),
        closes(405, "POST / HTTP/1.0\r\n\r\n"),
        closes(200, "GET /stock HTTP/1.0\r\n\r\n").lists("data: x"),
        closes(200, "GET /stock HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").has("Connection", "close"),
        closes(501, "BREW / HTTP/1.0\r\n\r\n"),
        says(500, "GET /fail HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        cut("POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n"),
    ]);
}

/// RFC 9112 §9.3.2: one answer for each request, in their order; a refusal or `close` ends
/// the row of them.
#[test]
fn pipelines() {
    check_talks([
        talk([
            send([NONE, INDEX]),
            send([NOWHERE, NONE]),
            Get(204),
            Body("<h1>hello</h1>"),
            Get(404),
            Get(204),
        ]),
        talk([
            send([
                ECHO,
                "Content-Length: 1\r\n\r\n1",
                ECHO,
                "Content-Length: 1\r\n\r\n2",
                ECHO,
                "Content-Length: 1\r\n\r\n3",
            ]),
            Body("1"),
            Body("2"),
            Body("3"),
        ]),
        talk([
            send([
                ECHO,
                "Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
                ECHO,
                "Content-Length: 1\r\n\r\n2",
                ECHO,
                "Transfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\nX-T: a\r\n\r\n",
            ]),
            Body("1"),
            Body("2"),
            Body("3"),
        ]),
        talk([
            send([
                "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                INDEX,
                "HEAD /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
                NONE,
            ]),
            Head(200),
            Body("<h1>hello</h1>"),
            Head(404),
            Get(204),
        ]),
        talk([
            send([
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
                "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
                NONE,
            ]),
            Get(405),
            Get(404),
            Get(204),
        ]),
        // An empty line between two requests is forgiven (RFC 9112 §2.2).
        talk([send([ECHO, "Content-Length: 4\r\n\r\nq=42\r\n", NONE]), Body("q=42"), Get(204)]),
        // The first answer does not wait for the rest of the second request.
        talk([
            send([NONE, "GET / HTTP/1.1\r\nHo"]),
            Get(204),
            send(["st: localhost\r\n\r\n"]),
            Body("<h1>hello</h1>"),
        ]),
        talk([send([NONE, ECHO, "Content-Length: 5\r\n\r\nhe"]), Get(204), send(["llo"]), Body("hello")]),
        talk([
            send([NONE, "GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", NONE]),
            Get(204),
            Get(204),
            Over,
        ]),
        talk([send([NONE, "GET /none HTTP/1.0\r\n\r\n", NONE]), Get(204), Get(204), Over]),
        talk([send([NONE, "GET /none HTTP/1.1\r\n\r\n", NONE]), Get(204), Get(400), Over]),
        talk([send([NONE, STOCK, NONE]), Get(204), Get(200), Over]),
        talk([send([ECHO, "Content-Length: 5\r\n\r\nhello, wait\r\n\r\n"]), Body("hello"), Get(400), Over]),
    ]);
}

/// RFC 9112 §9.6: a client may end its side once it has said all; the answers still go out.
/// A connection without a request is no error, only over.
#[test]
fn half_closed() {
    check_talks([
        talk([Finish, Over]),
        talk([send(["\r\n"]), Finish, Over]),
        talk([send([NONE]), Finish, Get(204), Over]),
        talk([send(["GET /none HTTP/1.0\r\n\r\n"]), Finish, Get(204), Over]),
        talk([send([NONE, INDEX]), Finish, Get(204), Body("<h1>hello</h1>"), Over]),
        talk([send([ECHO, "Content-Length: 5\r\n\r\nhello"]), Finish, Body("hello"), Over]),
        talk([send([NONE, "GET /no"]), Finish, Get(204), Get(400), Over]),
        talk([send([NONE]), Get(204), send(["\r\n"]), Finish, Over]),
    ]);
}
