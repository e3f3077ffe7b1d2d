//! Field lines: names are tokens, values are trimmed and otherwise kept (RFC 9112 §5, RFC 9110 §5).

use super::row::{refuses, serves};
use super::{check, controls};

/// A request with one more field line, answered with the list of its fields.
fn field(line: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /headers HTTP/1.1\r\nHost: localhost\r\n", line.as_ref(), b"\r\n\r\n"].concat()
}

/// RFC 9110 §5.1, §5.6.2: at least one tchar, nothing else. RFC 9112 §5.1: no space before the colon.
#[test]
fn names() {
    check([
        serves(200, field("X-A: b")).lists("x-a: b"),
        serves(200, field("x-a: b")).lists("x-a: b"),
        serves(200, field("X-A: b\r\nX-A: c")).lists("x-a: b").lists("x-a: c"),
        serves(200, field("a: b")).lists("a: b"),
        serves(200, field("0: b")).lists("0: b"),
        serves(200, field("-: b")).lists("-: b"),
        serves(200, field("X_A: b")).lists("x_a: b"),
        serves(200, field("!#$%&'*+-.^_`|~09azAZ: b")).lists("!#$%&'*+-.^_`|~09azaz: b"),
        serves(200, field("aaaaaaaaaaaaa:++++++++++")).lists("aaaaaaaaaaaaa: ++++++++++"),
        refuses(400, field(": b")),
        refuses(400, field(":")),
        refuses(400, field("X-A")),
        refuses(400, field("X-A b")),
        refuses(400, field("X-A; b")),
        refuses(400, field("X-A : b")),
        refuses(400, field("X-A\t: b")),
        refuses(400, field("X-A  : b")),
        refuses(400, field("X-A \t: b")),
        refuses(400, field("X A: b")),
        refuses(400, field("X\tA: b")),
        refuses(400, field("X-A x: b")),
        refuses(400, field("X(A: b")),
        refuses(400, field("X)A: b")),
        refuses(400, field("X,A: b")),
        refuses(400, field("X/A: b")),
        refuses(400, field("X;A: b")),
        refuses(400, field("X<A: b")),
        refuses(400, field("X=A: b")),
        refuses(400, field("X>A: b")),
        refuses(400, field("X?A: b")),
        refuses(400, field("X@A: b")),
        refuses(400, field("X[A: b")),
        refuses(400, field("X\\A: b")),
        refuses(400, field("X]A: b")),
        refuses(400, field("X{A: b")),
        refuses(400, field("X}A: b")),
        refuses(400, field("X\"A: b")),
        refuses(400, field("\"X-A\": b")),
        refuses(400, field("X-\u{e9}: b")),
        refuses(400, field("X-T\u{eb}st: b")),
        refuses(400, field(b"\xefX-A: b")),
        refuses(400, field(b"X-A\x80: b")),
        refuses(400, field(b"X-A\x85: b")), // next line, in Latin-1
        refuses(400, field(b"X-A\xa0: b")), // no-break space
        refuses(400, field(b"X\xadA: b")),  // soft hyphen
        refuses(400, field(b"X-A\xff: b")),
        refuses(400, field("X-A\u{ff1a} b")), // a colon, but a wide one
        refuses(400, field("GET /none HTTP/1.1")),
    ]);
}

/// RFC 9110 §5.5: what stands around a value is not part of it, what stands in it is kept.
#[test]
fn values() {
    check([
        serves(200, field("X-A:b")).lists("x-a: b"),
        serves(200, field("X-A:  b  ")).lists("x-a: b"),
        serves(200, field("X-A:\tb\t")).lists("x-a: b"),
        serves(200, field("X-A: \t b \t ")).lists("x-a: b"),
        serves(200, field("X-A: b c")).lists("x-a: b c"),
        serves(200, field("X-A: b  c")).lists("x-a: b  c"),
        serves(200, field("X-A: b\tc")).lists("x-a: b\tc"),
        serves(200, field("X-A:")).lists("x-a: "),
        serves(200, field("X-A: ")).lists("x-a: "),
        serves(200, field("X-A: \t ")).lists("x-a: "),
        serves(200, field("X-A: b:c")).lists("x-a: b:c"),
        serves(200, field("X-A:: b")).lists("x-a: : b"),
        serves(200, field("X-A: b: c")).lists("x-a: b: c"),
        serves(200, field("X-A: b, c;d=\"e\\\"f\"")).lists("x-a: b, c;d=\"e\\\"f\""),
        serves(200, field("X-A: \"b")).lists("x-a: \"b"),
        serves(200, field("X-A: (b")).lists("x-a: (b"),
        serves(200, field("X-A: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")),
        serves(200, field("X-A: b%0d%0aX-B: c")).lists("x-a: b%0d%0aX-B: c").hides("x-b"),
        serves(200, field("X-A: b\\r\\nX-B: c")).lists("x-a: b\\r\\nX-B: c").hides("x-b"),
        serves(200, field("X-A: D\u{fc}sseldorf")).lists("x-a: D\u{fc}sseldorf"),
        serves(200, field(b"X-A: D\xfcsseldorf")), // obs-text is opaque, and allowed
        serves(200, field(b"X-A: \x80\xff")),
        serves(200, field("Cookie: a=1\r\nCookie: b=2")).lists("cookie: a=1").lists("cookie: b=2"),
        serves(200, field("Cookie: ===;;;")).lists("cookie: ===;;;"),
        serves(200, field("Cookie: ")).lists("cookie: "),
        serves(200, field("Accept: nonsense")),
        serves(200, field("Accept: ,,;q=x")),
        serves(200, field("Accept-Encoding: gzip")).lacks("Content-Encoding"),
        serves(200, field("Content-Type: a/b\r\nContent-Type: c/d")),
        serves(200, field("Date: yesterday")),
        serves(200, field("Max-Forwards: x")),
        serves(200, field("Trailer: X-T")),
        serves(200, field("Via: 1.1 a")),
        serves(200, field("TE: trailers")),
        serves(200, field("Proxy-Connection: close")),
    ]);
}

/// RFC 9112 §5.2, §2.2: no folding, and no whitespace before the first field either.
#[test]
fn folding() {
    let first = |line: &str| format!("GET /headers HTTP/1.1\r\n{line}\r\nHost: localhost\r\n\r\n");
    check([
        refuses(400, field("X-A: b\r\n c")),
        refuses(400, field("X-A: b\r\n\tc")),
        refuses(400, field("X-A: b\r\n  c\r\n  d")),
        refuses(400, field("X-A:\r\n b")),
        refuses(400, field("X-A: \r\n\tb")),
        refuses(400, field("X-A:\r\n b: c")),
        refuses(400, field("X-A: b\r\n ")),
        refuses(400, field("X-A: b\r\n\t")),
        refuses(400, field("X-A: b\r\n \r\nX-B: c")),
        refuses(400, field("X-A\r\n : b")),
        refuses(400, field("X-A: b\r\n X-B: c")),
        refuses(400, field(" X-A: b")),
        refuses(400, field("\tX-A: b")),
        refuses(400, field("X-A: b\n c")),
        refuses(400, field("X-A: b\n\tc")),
        refuses(400, field("X-A: b\r c")),
        refuses(400, first(" X-A: b")),
        refuses(400, first("\tX-A: b")),
        refuses(400, first(" ")),
        refuses(400, first("\t")),
        refuses(400, first(" \t ")),
        refuses(400, first(" Host: localhost")),
        refuses(400, "GET /headers HTTP/1.1\r\n Host: localhost\r\n\r\n"),
        refuses(400, "GET /headers HTTP/1.1\r\n\tHost: localhost\r\n\r\n"),
        refuses(400, "GET /headers HTTP/1.1\r\nHost:\r\n localhost\r\n\r\n"),
        refuses(400, "GET /headers HTTP/1.1\r\nHost: localhost\r\n X-A: b\r\n\r\n"),
    ]);
}

/// RFC 9110 §5.5: CR, LF and NUL are dangerous in a value, other controls are invalid.
#[test]
fn control_bytes() {
    let rows = |byte| {
        let at = |before: &str, after: &str| field([before.as_bytes(), &[byte], after.as_bytes()].concat());
        [
            refuses(400, at("X-A: b", "c")),
            refuses(400, at("X-A:", "b")),
            refuses(400, at("X-A: b", "")),
            refuses(400, at("X", "A: b")),
            refuses(400, at("X-A", ": b")),
            refuses(400, at("", "X-A: b")),
        ]
    };
    check(controls().flat_map(rows));
}
