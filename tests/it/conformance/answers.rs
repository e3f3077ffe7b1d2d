//! What is answered: methods, statuses and the fields that come with them (RFC 9110 §9, §15).

use super::row::{closes, refuses, says, serves};
use super::{check, start};
use crate::wire::Wire;

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// RFC 9110 §15.5.6, §15.6.2: a method that is known but not allowed here is 405, one that
/// nobody knows is 501, and a resource that is not there is 404 to all of them.
#[test]
fn methods() {
    check([
        serves(200, request("GET", "/")).body("<h1>hello</h1>").has("Content-Length", "14"),
        serves(200, request("HEAD", "/")).has("Content-Length", "14"),
        serves(405, request("POST", "/")).has("Allow", "GET, HEAD, OPTIONS"),
        serves(405, request("PUT", "/")).has("Allow", "GET, HEAD, OPTIONS"),
        serves(405, request("DELETE", "/")).has("Allow", "GET, HEAD, OPTIONS"),
        serves(405, request("PATCH", "/")).has("Allow", "GET, HEAD, OPTIONS"),
        serves(405, request("TRACE", "/")).has("Allow", "GET, HEAD, OPTIONS"),
        serves(204, request("OPTIONS", "/")).has("Allow", "GET, HEAD, OPTIONS"),
        serves(405, request("POST", "/stock")).has("Allow", "GET, HEAD, OPTIONS"),
        serves(405, request("PUT", "/stock")).has("Allow", "GET, HEAD, OPTIONS"),
        serves(405, request("DELETE", "/stock")).has("Allow", "GET, HEAD, OPTIONS"),
        says(501, request("BREW", "/")).lacks("Allow"),
        says(501, request("BREW", "/stock")).lacks("Allow"),
        serves(404, request("GET", "/nowhere")),
        serves(404, request("HEAD", "/nowhere")),
        serves(404, request("DELETE", "/nowhere")),
        serves(404, request("OPTIONS", "/nowhere")),
        serves(404, request("BREW", "/nowhere")),
        serves(404, request("GET", "/favicon.ico")),
        serves(204, request("GET", "/none")).lacks("Content-Type"),
        says(500, request("GET", "/fail")),
        says(500, request("POST", "/fail")),
    ]);
}

/// RFC 9110 §9.3.8: a TRACE has no content, and what it would echo stays where it is.
#[test]
fn trace() {
    let trace =
        |path: &str, fields: &str| format!("TRACE {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    check([
        serves(405, trace("/", "Authorization: Bearer x\r\n")).hides("Authorization"),
        serves(404, trace("/nowhere", "")),
        serves(204, trace("/none", "Content-Length: 0\r\n")),
        refuses(400, trace("/", "Content-Length: 5\r\n") + "hello"),
        refuses(400, trace("/none", "Content-Length: 5\r\n") + "hello"),
        refuses(400, trace("/none", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n"),
    ]);
}

/// Nothing of this is supported, and all of it may be ignored (RFC 9110 §7.8, §12.5, §14.2).
#[test]
fn ignored_fields() {
    let get = |field: &str| format!("GET / HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
    let post = |field: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n{field}\r\n\r\nhello")
    };
    check([
        serves(200, get("Range: bytes=0-1")).body("<h1>hello</h1>").lacks("Content-Range"),
        serves(200, get("Range: bytes=9-1")).body("<h1>hello</h1>"),
        serves(200, get("Range: pages=x")).body("<h1>hello</h1>"),
        serves(200, post("Range: bytes=0-1")).body("hello"),
        serves(200, post("Content-Type: application/x-unknown")).body("hello"),
        serves(200, post("Content-Type: ;;;")).body("hello"),
        serves(200, post("Content-Encoding: gzip")).body("hello"), // the handler's to judge
        serves(200, get("Accept: application/x-unknown")).body("<h1>hello</h1>"),
        serves(200, get("Accept-Encoding: gzip, br")).body("<h1>hello</h1>").lacks("Content-Encoding"),
        serves(200, get("Accept-Language: tlh")).body("<h1>hello</h1>"),
        serves(200, get("Accept-Charset: utf-7")).body("<h1>hello</h1>"),
        serves(200, get("Upgrade: websocket\r\nConnection: Upgrade")).body("<h1>hello</h1>"),
        serves(200, get("X-HTTP-Method-Override: DELETE")).body("<h1>hello</h1>"),
        serves(200, get("X-Original-URL: /none")).body("<h1>hello</h1>"),
        serves(200, get("Max-Forwards: 0")).body("<h1>hello</h1>"),
        serves(200, get("Last-Event-ID: 1")).body("<h1>hello</h1>"),
    ]);
}

/// An event stream has no length: it ends with its connection (RFC 9112 §6.3).
#[test]
fn event_streams() {
    check([
        closes(200, request("GET", "/stock"))
            .lists("data: x")
            .has("Content-Type", "text/event-stream; charset=utf-8"),
        closes(200, request("GET", "/stock")).lacks("Content-Length").has("X-Accel-Buffering", "no"),
        closes(200, request("GET", "/stock/")).has("Cache-Control", "no-cache, no-transform"),
        closes(200, request("GET", "/stock?a=b")).has("Connection", "close"),
        closes(200, request("HEAD", "/stock")).lacks("Content-Length"),
        closes(200, "GET /stock HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
            .lists("data: x"),
        closes(200, "GET /stock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
            .lists("data: x"),
        closes(200, "GET /stock HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n").lists("data: x"),
        serves(404, request("GET", "/stocks")),
    ]);
}

/// RFC 9110 §9.3.2: HEAD is GET without the content, field for field.
#[test]
fn head_is_get_without_body() {
    let host = start();
    let ask = |method: &str, path: &str| {
        let mut wire = Wire::connect(host.address()).unwrap();
        wire.send(
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        let answer = wire.answer(method == "HEAD").unwrap();
        wire.end().unwrap();
        answer
    };
    for path in ["/", "/echo", "/headers", "/query?a=b", "/none", "/nowhere", "/fail", "/stock"] {
        let (get, head) = (ask("GET", path), ask("HEAD", path));
        assert_eq!(get.status, head.status, "{path}");
        assert_eq!(get.lasting_fields(), head.lasting_fields(), "{path}");
    }
}

/// RFC 9110 §13.1.2: If-None-Match compares weakly, in a list, and before anything else is
/// looked at; what is no entity tag matches nothing.
#[test]
fn conditions() {
    let host = start();
    let mut wire = Wire::connect(host.address()).unwrap();
    let mut ask = |method: &str, fields: &str| {
        wire.send(format!("{method} / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").as_bytes());
        let answer = wire.answer(method == "HEAD").unwrap();
        (answer.status, answer.field("ETag").map(str::to_owned))
    };
    let (status, tag) = ask("GET", "");
    assert_eq!(status, 200);
    let tag = tag.expect("fixed content has an entity tag");
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
    for (fields, expected) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: W/{tag}\r\n"), 304),
        (format!("If-None-Match: \"x\", {tag}\r\n"), 304),
        (format!("If-None-Match: \"x,y\",{tag},\"z\"\r\n"), 304),
        (format!("If-None-Match: \"x\"\r\nIf-None-Match: {tag}\r\n"), 304),
        ("If-None-Match: *\r\n".to_owned(), 304),
        (format!("If-None-Match: {tag}\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n"), 304),
        ("If-None-Match: \"x,*,y\"\r\n".to_owned(), 200), // one tag, and no asterisk
        (format!("If-None-Match: {}\r\n", tag.trim_matches('"')), 200),
        (format!("If-None-Match: {}\r\n", tag.to_uppercase().replace('"', "\"x")), 200),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200),
        ("If-None-Match:\r\n".to_owned(), 200),
        ("If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n".to_owned(), 200), // no date of our own
        ("If-Modified-Since: yesterday\r\n".to_owned(), 200),
        ("If-Match: \"x\"\r\n".to_owned(), 200), // §13.1.1 has 412: of use where something changes, and a handler's there
        ("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n".to_owned(), 200), // no date here either
    ] {
        for method in ["GET", "HEAD"] {
            let (status, found) = ask(method, &fields);
            assert_eq!(status, expected, "{method} {fields}");
            assert_eq!(found.as_ref(), Some(&tag), "{method} {fields}"); // RFC 9110 §15.4.5
        }
    }
}
