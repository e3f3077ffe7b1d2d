//! What a client may send at most, and the status that says which limit it met
//! (RFC 9110 §15.5.14, §15.5.15; RFC 6585 §5). Rows keep a few bytes away from a limit
//! wherever it is a matter of taste what counts towards it.

use super::check;
use super::row::{refuses, serves};

const MEBIBYTE: usize = 1024 * 1024;

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn fields(lines: &str) -> String {
    format!("GET /none HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

/// RFC 9112 §3 recommends 8000 bytes at least.
#[test]
fn request_lines() {
    let many = |count: usize| "a".repeat(count);
    check([
        serves(404, get(&format!("/{}", many(8191)))),
        serves(204, get(&format!("/none/{}", many(8192 - 6)))),
        serves(204, get(&format!("/none?{}", many(8192 - 6)))),
        serves(204, get(&format!("/none{}", "/a".repeat(4000)))),
        refuses(414, get(&format!("/{}", many(8192)))),
        refuses(414, get(&format!("/none?{}", many(8192 - 5)))),
        refuses(414, get(&format!("/{}", many(100_000)))),
        refuses(414, get(&format!("/?{}", many(100_000)))),
        refuses(414, get(&format!("http://localhost/{}", many(9000)))),
        refuses(414, format!("GET /{}", many(100_000))), // no need to wait for its end
        serves(204, get("/none").replace("GET", &many(32))),
        refuses(501, get("/none").replace("GET", &many(33))),
        refuses(501, get("/").replace("GET", &many(100_000))), // a method, so far
        refuses(501, many(100_000)),
        refuses(400, format!("GET / HTTP/1.{}\r\nHost: localhost\r\n\r\n", "1".repeat(100))),
    ]);
}

#[test]
fn field_lines() {
    let value = |size: usize| format!("X-A: {}\r\n", "b".repeat(size - "X-A: ".len()));
    let name = |size: usize| format!("{}: b\r\n", "a".repeat(size - ": b".len()));
    let short = |count: usize| "X-A: b\r\n".repeat(count);
    check([
        serves(204, fields(&value(32_000))),
        serves(204, fields(&name(32_000))),
        serves(204, fields(&format!("Cookie: {}\r\n", "a=b; ".repeat(2400)))), // 12 KB, as single sign-on has it
        serves(204, fields(&value(1000).repeat(20))),
        serves(204, fields(&value(8000).repeat(4))), // just below 32 KiB in all
        serves(204, fields(&short(99))),             // and the Host is the hundredth
        serves(204, fields(&format!("X-A: {}\r\n", "b\t".repeat(2000)))),
        serves(204, fields(&format!("X-A:{}b\r\n", " ".repeat(4000)))),
        serves(204, fields(&format!("Cookie: {}\r\n", "a=b; ".repeat(1000)))),
        serves(
            200,
            get("/").replace("\r\n\r\n", &format!("\r\nRange: bytes={}0-\r\n\r\n", "0-,".repeat(1000))),
        ),
        refuses(431, fields(&value(32_768))),
        refuses(431, fields(&name(32_768))),
        refuses(431, fields(&value(65_536))),
        refuses(431, fields(&value(100_000))),
        refuses(431, fields(&name(100_000))),
        refuses(431, fields(&value(8000).repeat(5))),
        refuses(431, fields(&value(1000).repeat(40))),
        refuses(431, fields(&short(100))),
        refuses(431, fields(&short(101))),
        refuses(431, fields(&short(1000))),
        refuses(431, fields(&short(10_000))),
        refuses(431, fields(&format!("X-A:{}b\r\n", " ".repeat(40_000)))),
        refuses(431, format!("GET /none HTTP/1.1\r\nHost: localhost\r\nX-A: {}", "b".repeat(100_000))),
        refuses(431, format!("GET /none HTTP/1.1\r\nHost: localhost\r\n{}", "a".repeat(100_000))),
        refuses(431, format!("GET /none HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(40_000))),
        refuses(431, format!("GET /none HTTP/1.0\r\nX-A: {}\r\n\r\n", "b".repeat(40_000))),
    ]);
}

/// 413 comes before the body is read, and survives the bytes that are on their way.
#[test]
fn bodies() {
    let length = |length: &str, body: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let body = "a".repeat(MEBIBYTE);
    check([
        serves(200, length("1048576", &body)).body(&body),
        serves(200, length("65536", &body[..65_536])).body(&body[..65_536]),
        refuses(413, length("1048577", "")),
        refuses(413, length("1048577", "hello")),
        refuses(413, length("1048577", &body[..65_536])),
        refuses(413, length("0001048577", "")),
        refuses(413, length("999999999", "")),
        refuses(413, length("4294967296", "")), // 2^32, nothing for a smaller number
        refuses(413, length("4294967301", "hello")),
        refuses(413, length("9223372036854775807", "")),
        refuses(413, length("9223372036854775808", "")),
        refuses(413, length("18446744073709551615", "")),
        refuses(413, "GET /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n"),
        refuses(413, "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n"),
        refuses(413, "POST /echo HTTP/1.0\r\nContent-Length: 1048577\r\n\r\n"),
    ]);
}

#[test]
fn chunked_bodies() {
    let chunked = |body: &str| {
        format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    };
    let chunks = format!("10000\r\n{}\r\n", "a".repeat(65_536)).repeat(16);
    let extended = |extension: usize, chunks: usize| {
        chunked(&(format!("1;a={}\r\na\r\n", "b".repeat(extension)).repeat(chunks) + "0\r\n\r\n"))
    };
    check([
        serves(200, chunked(&format!("{chunks}0\r\n\r\n"))).body("a".repeat(MEBIBYTE)),
        serves(200, chunked(&("1\r\na\r\n".repeat(5000) + "0\r\n\r\n"))).body("a".repeat(5000)),
        refuses(413, chunked(&format!("{chunks}1\r\na\r\n0\r\n\r\n"))),
        refuses(413, chunked(&format!("{chunks}10000\r\n"))),
        refuses(413, chunked("100001\r\n")),
        refuses(413, chunked("100001\r\nhello")),
        refuses(413, chunked("5\r\nhello\r\nffffc\r\n")), // one too many, together
        refuses(413, chunked("80000000\r\n")),
        refuses(413, chunked("100000000\r\n")),
        refuses(413, chunked("100000005\r\nhello\r\n0\r\n\r\n")),
        refuses(413, chunked("7fffffffffffffff\r\n")),
        refuses(413, chunked("ffffffffffffffff\r\n")),
        refuses(413, chunked("5\r\nhello\r\nfffffffffffffffb\r\n")), // a sum that wraps to nothing
        refuses(413, chunked("5\r\nhello\r\nffffffffffffffff\r\n")),
        serves(200, extended(1000, 1)).body("a"),
        serves(200, extended(4000, 1)).body("a"),
        serves(200, extended(100, 30)).body("a".repeat(30)),
        refuses(400, extended(5000, 1)),
        refuses(400, extended(65_536, 1)),
        refuses(400, extended(1000, 5)), // a short one each, too many in all
        refuses(400, extended(1, 5000)),
    ]);
}
