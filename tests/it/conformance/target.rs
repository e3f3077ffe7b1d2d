//! The request target: its four forms, and what a path may decode to (RFC 9112 §3.2, RFC 3986).

use super::check;
use super::row::{closes, refuses, says, serves};

/// A GET with this target.
fn get(target: impl AsRef<[u8]>) -> Vec<u8> {
    line("GET", target.as_ref())
}

fn line(method: &str, target: impl AsRef<[u8]>) -> Vec<u8> {
    let tail = b" HTTP/1.1\r\nHost: localhost\r\n\r\n";
    [method.as_bytes(), b" ", target.as_ref(), tail].concat()
}

/// RFC 9112 §3.2.1: an absolute path and perhaps a query.
#[test]
fn origin_form() {
    check([
        serves(200, get("/")).body("<h1>hello</h1>"),
        serves(200, get("/?")).body("<h1>hello</h1>"),
        serves(200, get("/?a=b")).body("<h1>hello</h1>"),
        serves(204, get("/none")),
        serves(204, get("/none/")),
        serves(204, get("/none/x/y")),
        serves(204, get("/none?")),
        serves(204, get("/none?x")),
        serves(204, get("/no%6ee")),
        serves(204, get("/%6E%6f%6E%65")),
        serves(404, get("/NONE")),
        serves(404, get("/nonesuch")),
        serves(404, get("/non")),
        serves(404, get("/none%20")),
        serves(404, get("/none;x")),
        serves(404, get("/...")),
        serves(404, get("/.none")),
        serves(404, get("/s%C3%B6me")),
        serves(404, get("/%252e%252e")), // decoded once, never twice
        serves(404, get("/a%0d%0aX-Injected:%20true")).lacks("X-Injected"),
        serves(404, get("/a:b@c!$&'()*+,;=-_~")),
        serves(204, get("/none/a:b@c!$&'()*+,;=-._~")),
        serves(204, get("/none/{a}|^[b]`")), // browsers send these as they are
        refuses(400, get("none")),
        refuses(400, get("none/")),
        refuses(400, get("?a=b")),
        refuses(400, get("../none")),
        refuses(400, get("!")),
        refuses(400, get("@")),
        refuses(400, get("localhost")),
        refuses(400, get("%2Fnone")),
        refuses(400, get("\\none")),
    ]);
}

/// RFC 9112 §3.2 leaves a fragment out, RFC 3986 §2 leaves out what must be encoded.
#[test]
fn forbidden_bytes() {
    check([
        refuses(400, get("/none#")),
        refuses(400, get("/none#x")),
        refuses(400, get("/#/none")),
        refuses(400, get("#")),
        refuses(400, get("/none?a#b")),
        refuses(400, get("/none\"x\"")),
        refuses(400, get("/none<x>")),
        refuses(400, get("/none?a=\"b\"")),
        refuses(400, get("/none?a=<b>")),
        refuses(400, get("/none/s\u{f6}me")),
        refuses(400, get(b"/none/\xe9")),
        refuses(400, get(b"/none/\x80")),
        refuses(400, get(b"/none/\xc0\xaf")),
        refuses(400, get(b"/none/\xff")),
        refuses(400, get("/none?a=\u{f6}")),
        refuses(400, get(b"/none?a=\xff")),
        refuses(400, get("/none\\x")),
        refuses(400, get("/none/..\\x")),
    ]);
}

/// What a segment may decode to: never a dot segment, a separator, NUL, or less than UTF-8.
/// Removing dot segments (RFC 3986 §6.2.2.3) is the client's work; here they are a trick.
#[test]
fn segments() {
    check([
        refuses(400, get("/.")),
        refuses(400, get("/..")),
        refuses(400, get("/./none")),
        refuses(400, get("/../none")),
        refuses(400, get("/none/.")),
        refuses(400, get("/none/..")),
        refuses(400, get("/none/../echo")),
        refuses(400, get("/none/./x")),
        refuses(400, get("/%2e")),
        refuses(400, get("/%2E%2E/none")),
        refuses(400, get("/.%2e/none")),
        refuses(400, get("/%2e./none")),
        refuses(400, get("/none/%2e%2e/%2e%2e/etc/passwd")),
        refuses(400, get("/none%2fx")),
        refuses(400, get("/none%2Fx")),
        refuses(400, get("/%2f")),
        refuses(400, get("/none/..%2fx")),
        refuses(400, get("/none%5cx")),
        refuses(400, get("/none/..%5Cx")),
        refuses(400, get("/none%00")),
        refuses(400, get("/none%00.html")),
        refuses(400, get("/none/%00")),
        refuses(400, get("/none/%ff")),
        refuses(400, get("/none/%c0%af")), // an overlong slash
        refuses(400, get("/none/%c0%ae%c0%ae")),
        refuses(400, get("/none/%e0%80%af")),
        refuses(400, get("/none/%c3")), // half a letter
        refuses(400, get("/none/%c3/%b6")),
        refuses(400, get("/none/%ed%a0%80")),    // a surrogate
        refuses(400, get("/none/%f4%90%80%80")), // beyond Unicode
        refuses(400, get("/none%")),
        refuses(400, get("/none%2")),
        refuses(400, get("/none%zz")),
        refuses(400, get("/none%2g")),
        refuses(400, get("/none%g2")),
        refuses(400, get("/none%%20")),
        refuses(400, get("/none%u0041")),
        refuses(400, get("/none%+1")),
        refuses(400, get("/none%2?x")),
    ]);
}

/// The query is the handler's: decoded where it can be, kept where it cannot.
#[test]
fn queries() {
    check([
        serves(200, get("/query?")).body(""),
        serves(200, get("/query?a=b")).body("a=b\n"),
        serves(200, get("/query?a=b&c=d")).body("a=b\nc=d\n"),
        serves(200, get("/query?a=b&a=c")).body("a=b\na=c\n"),
        serves(200, get("/query?query")).body("query=\n"),
        serves(200, get("/query?a=")).body("a=\n"),
        serves(200, get("/query?a=b=c")).body("a=b=c\n"),
        serves(200, get("/query?key=/one/two")).body("key=/one/two\n"),
        serves(200, get("/query?a=b?c")).body("a=b?c\n"),
        serves(200, get("/query?a=../x")).body("a=../x\n"),
        serves(200, get("/query?a=%2e%2e%2f")).body("a=../\n"),
        serves(200, get("/query?a=b+c%20d")).body("a=b c d\n"),
        serves(200, get("/query?a%2Bb=%26%3d")).body("a+b=&=\n"),
        serves(200, get("/query?s%C3%B6me%20key=%F0%9F%92%95")).body("s\u{f6}me key=\u{1f495}\n"),
        serves(200, get("/query?a=%")).body("a=%\n"),
        serves(200, get("/query?a=100%&b=%zz")).body("a=100%\nb=%zz\n"),
        serves(200, get("/query?a={b}|^[c]`")).body("a={b}|^[c]`\n"),
    ]);
}

/// RFC 9112 §3.2.2: a server must accept it, and its authority replaces the Host field.
#[test]
fn absolute_form() {
    let with = |target: &str, head: &str| format!("GET {target} HTTP/1.1\r\n{head}\r\n");
    check([
        serves(204, get("http://localhost/none")),
        serves(204, get("HTTP://localhost/none")),
        serves(204, get("hTtP://LOCALHOST/none")),
        serves(204, get("https://localhost/none")), // RFC 9110 §7.4: from a gateway, whose TLS it is
        serves(204, get("http://localhost:80/none")),
        serves(204, get("http://localhost:/none")),
        serves(204, get("http://127.0.0.1:8080/none")),
        serves(204, get("http://[::1]/none")),
        serves(204, get("http://[::1]:80/none")),
        serves(204, get("http://example.com/none")),
        serves(200, get("http://localhost/")).body("<h1>hello</h1>"),
        serves(200, get("http://localhost")).body("<h1>hello</h1>"),
        serves(200, get("http://localhost?a=b")).body("<h1>hello</h1>"),
        serves(200, get("http://localhost/query?a=b")).body("a=b\n"),
        serves(404, get("http://localhost/nowhere")),
        serves(204, line("POST", "http://localhost/none")),
        serves(204, with("http://localhost/none", "Host: example.org\r\n")),
        says(403, with("http://example.org/none", "Host: localhost\r\n")),
        closes(204, "GET http://localhost/none HTTP/1.0\r\n\r\n"),
        refuses(400, with("http://localhost/none", "")), // Host is required all the same
        refuses(400, with("http://localhost/none", "Host: localhost\r\nHost: localhost\r\n")),
        refuses(400, with("http://localhost/none", "Host: local host\r\n")),
        refuses(400, get("http:///none")),
        refuses(400, get("http://")),
        refuses(400, get("http:/none")),
        refuses(400, get("http:none")),
        refuses(400, get("http:localhost/none")),
        refuses(400, get("http//localhost/none")),
        refuses(400, get("://localhost/none")),
        refuses(400, get("http://:80/none")),
        refuses(400, get("http://user@localhost/none")),
        refuses(400, get("http://user:password@localhost/none")),
        refuses(400, get("http://localhost@example.org/none")),
        refuses(400, get("http://localhost:x/none")),
        refuses(400, get("http://localhost:-1/none")),
        refuses(400, get("http://localhost:65536/none")),
        refuses(400, get("http://localhost:80:80/none")),
        refuses(400, get("http://[::1/none")),
        refuses(400, get("http://local\"host/none")),
        refuses(400, get("http://localhost/none#x")),
        refuses(400, get("http://localhost#x")),
        refuses(400, get("http://localhost/../none")),
        refuses(400, get("http://localhost/none%00")),
        refuses(400, get("http://localhost\\none")),
        refuses(400, get("ftp://localhost/none")),
        refuses(400, get("file:///none")),
        refuses(400, get("ws://localhost/none")),
        refuses(400, get("javascript:alert(1)")),
    ]);
}

/// RFC 9112 §3.2.3, §3.2.4: `*` is for OPTIONS, an authority for CONNECT, and neither elsewhere.
/// RFC 9110 §9.3.6: a CONNECT without a valid port is refused.
#[test]
fn asterisk_and_authority_form() {
    check([
        serves(200, line("OPTIONS", "*")).body(""),
        closes(200, "OPTIONS * HTTP/1.0\r\n\r\n").body(""),
        refuses(400, "OPTIONS * HTTP/1.1\r\n\r\n"),
        refuses(400, line("OPTIONS", "*/")),
        refuses(400, line("OPTIONS", "/*?\"")),
        refuses(400, line("OPTIONS", "**")),
        refuses(400, line("OPTIONS", "*?a")),
        refuses(400, line("options", "*")),
        refuses(400, line("GET", "*")),
        refuses(400, line("PUT", "*")),
        refuses(400, line("POST", "*")),
        refuses(400, line("NOTIFY", "*")),
        refuses(400, line("M-SEARCH", "*")),
        refuses(501, line("CONNECT", "localhost:80")),
        refuses(501, line("CONNECT", "127.0.0.1:6060")),
        refuses(501, line("CONNECT", "[::1]:443")),
        refuses(400, "CONNECT localhost:80 HTTP/1.1\r\n\r\n"), // even here, Host is required
        refuses(400, line("CONNECT", "localhost")),
        refuses(400, line("CONNECT", "localhost:")),
        refuses(400, line("CONNECT", "localhost:x")),
        refuses(400, line("CONNECT", "localhost:65536")),
        refuses(400, line("CONNECT", ":80")),
        refuses(400, line("CONNECT", "user@localhost:80")),
        refuses(400, line("CONNECT", "localhost:80/")),
        refuses(400, line("CONNECT", "/none")),
        refuses(400, line("CONNECT", "/")),
        refuses(400, line("CONNECT", "*")),
        refuses(400, line("CONNECT", "http://localhost/none")),
        refuses(400, line("CONNECT", "[]%20%48%54%54%50%2f%31%2e%31%0a")),
        refuses(400, line("GET", "localhost:80")),
        refuses(400, line("OPTIONS", "localhost:80")),
        refuses(400, line("GET", "127.0.0.1")),
    ]);
}
