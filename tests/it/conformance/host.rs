//! The Host field: exactly one, of valid grammar (RFC 9112 §3.2), and one that may speak to loopback.

use super::check;
use super::row::{closes, refuses, says, serves};

/// A request with this value as its Host.
fn host(value: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /none HTTP/1.1\r\nHost: ", value.as_ref(), b"\r\n\r\n"].concat()
}

/// A page of another name that resolves to us must not be served (DNS rebinding); an address
/// cannot be rebound.
#[test]
fn names() {
    check([
        serves(204, host("localhost")),
        serves(204, host("LOCALHOST")),
        serves(204, host("localhost.")),
        serves(204, host("localhost:80")),
        serves(204, host("localhost:0")),
        serves(204, host("localhost:65535")),
        serves(204, host("localhost:")), // RFC 3986 §3.2.3: a port may be empty
        serves(204, host("a.localhost")),
        serves(204, host("a.b.localhost:8080")),
        serves(204, host("127.0.0.1")),
        serves(204, host("127.0.0.1:8080")),
        serves(204, host("10.0.0.1")),
        serves(204, host("0.0.0.0:80")),
        serves(204, host("[::1]")),
        serves(204, host("[::1]:")),
        serves(204, host("[::1]:8080")),
        serves(204, host("[2001:DB8::1]")),
        serves(204, host("[::ffff:127.0.0.1]")),
        serves(204, host("example.com")),
        serves(204, host("Example.COM:443")),
        serves(204, host("example.com.")),
        says(403, host("example.org")),
        says(403, host("example.org:80")),
        says(403, host("sub.example.com")),
        says(403, host("localhost.example.org")),
        says(403, host("notlocalhost")),
        says(403, host("foo-bar_baz.com")),
        says(403, host("127.0.0.1.example.org")),
        says(403, host("127.1")),
        says(403, host("2130706433")),
        says(403, host("256.0.0.1")),
        says(403, host("localhost,localhost")), // a comma may be part of a name
        says(403, host("a%20b")),
        says(403, host("a!$&'()*+;=~b")), // RFC 3986 §3.2.2 allows a name to be this strange
    ]);
}

/// RFC 9112 §3.2: 400 to any other value.
#[test]
fn grammar() {
    check([
        refuses(400, host("")), // RFC 9110 §4.2.1: a host is not empty
        refuses(400, host("  ")),
        refuses(400, host(":80")),
        refuses(400, host(":")),
        refuses(400, host("localhost:x")),
        refuses(400, host("localhost:80x")),
        refuses(400, host("localhost:-80")),
        refuses(400, host("localhost:+80")),
        refuses(400, host("localhost:8 0")),
        refuses(400, host("localhost: 80")),
        refuses(400, host("localhost :80")),
        refuses(400, host("localhost:80:80")),
        refuses(400, host("localhost::80")),
        refuses(400, host("localhost:65536")),
        refuses(400, host("localhost:99999999999999999999")),
        refuses(400, host("localhost:80/")),
        refuses(400, host("localhost/")),
        refuses(400, host("localhost/path")),
        refuses(400, host("localhost?a=b")),
        refuses(400, host("localhost#a")),
        refuses(400, host("http://localhost")),
        refuses(400, host("http://localhost/")),
        refuses(400, host("//localhost")),
        refuses(400, host("@localhost")),
        refuses(400, host("user@localhost")),
        refuses(400, host("user:password@localhost")),
        refuses(400, host("localhost@example.org")),
        refuses(400, host("local host")),
        refuses(400, host("local\thost")),
        refuses(400, host("localhost example.org")),
        refuses(400, host("localhost, example.org")),
        refuses(400, host("bla%0D%0AInjected:Yes")),
        refuses(400, host("bla\\r\\nInjected:Yes")),
        refuses(400, host("localhost%")),
        refuses(400, host("localhost%2")),
        refuses(400, host("localhost%zz")),
        refuses(400, host("\"localhost\"")),
        refuses(400, host("<localhost>")),
        refuses(400, host("{localhost}")),
        refuses(400, host("local|host")),
        refuses(400, host("local^host")),
        refuses(400, host("local`host")),
        refuses(400, host("localhost\\")),
        refuses(400, host("::1")),
        refuses(400, host("[::1")),
        refuses(400, host("::1]")),
        refuses(400, host("[::1]x")),
        refuses(400, host("[::1]80")),
        refuses(400, host("x[::1]")),
        refuses(400, host("[[::1]]")),
        refuses(400, host("[::1]:x")),
        refuses(400, host("[::1]:65536")),
        refuses(400, host("[]")),
        refuses(400, host("[::g]")),
        refuses(400, host("[1:2:3]")),
        refuses(400, host("[1::2::3]")),
        refuses(400, host("[127.0.0.1]")),
        refuses(400, host("[v1.a]")), // RFC 3986 §3.2.2: a version of addresses that nobody has yet
        refuses(400, host("[fe80::1%25eth0]")), // and no zones
        refuses(400, host("[localhost]")),
        refuses(400, host("caf\u{e9}.localhost")),
        refuses(400, host(b"\xff")),
        refuses(400, host(b"localhost\x80")),
        refuses(400, host("localhost\0")),
        refuses(400, host("localhost\u{6}")),
        refuses(400, host("localhost\r")),
        refuses(400, host("localhost\n")),
    ]);
}

/// RFC 9112 §3.2: one on 1.1, at most one on 1.0, wherever it stands.
#[test]
fn count_and_place() {
    let head = |version: &str, fields: &str| format!("GET /none HTTP/{version}\r\n{fields}\r\n");
    check([
        serves(204, head("1.1", "Host:localhost\r\n")),
        serves(204, head("1.1", "Host:  localhost  \r\n")),
        serves(204, head("1.1", "Host:\tlocalhost\t\r\n")),
        serves(204, head("1.1", "hoSt: localhost\r\n")),
        serves(204, head("1.1", "X-A: b\r\nHOST: localhost\r\n")),
        closes(204, head("1.0", "")),
        closes(204, head("1.0", "Host: localhost\r\n")),
        closes(403, head("1.0", "Host: example.org\r\n")),
        refuses(400, head("1.1", "")),
        refuses(400, head("1.1", "X-A: b\r\n")),
        refuses(400, head("1.1", "Content-Length: 5\r\n")),
        refuses(400, head("1.1", "X-Host: localhost\r\n")),
        refuses(400, head("1.1", "Hosts: localhost\r\n")),
        refuses(400, head("1.1", "X-Forwarded-Host: localhost\r\n")),
        refuses(400, head("1.1", "Host : localhost\r\n")),
        refuses(400, head("1.1", "Host\t: localhost\r\n")),
        refuses(400, head("1.1", "Host localhost\r\n")),
        refuses(400, head("1.1", "Host: localhost\r\nHost: localhost\r\n")),
        refuses(400, head("1.1", "Host: localhost\r\nhost: localhost\r\n")),
        refuses(400, head("1.1", "Host: localhost\r\nHost: example.org\r\n")),
        refuses(400, head("1.1", "Host: example.org\r\nHost: localhost\r\n")),
        refuses(400, head("1.1", "Host: localhost\r\nX-A: b\r\nHOST: localhost\r\n")),
        refuses(400, head("1.1", "Host: localhost\r\nHost:\r\n")),
        refuses(400, head("1.1", "Host:\r\nHost: localhost\r\n")),
        refuses(400, head("1.1", "Host: localhost\r\n example.org\r\n")),
        refuses(400, head("1.1", "Host:\r\n localhost\r\n")),
        refuses(400, head("1.1", "Host: localhost\r\nHost : localhost\r\n")),
        refuses(400, head("1.0", "Host: localhost\r\nHost: localhost\r\n")),
        refuses(400, head("1.0", "Host: first\r\nHost: second\r\n")),
        refuses(400, head("1.0", "Host: \r\n")),
        refuses(400, head("1.0", "Host: local host\r\n")),
        refuses(400, head("1.0", "Host: localhost:x\r\n")),
    ]);
}
