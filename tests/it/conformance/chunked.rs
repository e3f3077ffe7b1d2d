//! The chunked coding: sizes, extensions, line ends (RFC 9112 §7.1).

use super::row::{refuses, serves};
use super::{check, controls};

/// A POST with this chunked body; it is answered with what the chunks hold.
fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    [head, body.as_ref()].concat()
}

/// A first chunk with this size line, then `hello` and a proper end.
fn size(line: impl AsRef<[u8]>) -> Vec<u8> {
    chunked([line.as_ref(), b"\r\nhello\r\n0\r\n\r\n"].concat())
}

#[test]
fn bodies() {
    let with = |method: &str, path: &str| {
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        head + "5\r\nhello\r\n0\r\n\r\n"
    };
    check([
        serves(200, chunked("0\r\n\r\n")).body(""),
        serves(200, chunked("5\r\nhello\r\n0\r\n\r\n")).body("hello"),
        serves(200, chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")).body("hello world"),
        serves(200, chunked("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n")).body("abc"),
        serves(200, chunked("2\r\n\r\n\r\n0\r\n\r\n")).body("\r\n"), // data, not a line end
        serves(200, chunked("5\r\n0\r\n\r\n\r\n0\r\n\r\n")).body("0\r\n\r\n"),
        serves(200, chunked("5\r\n\0\n\r\n\0\r\n0\r\n\r\n")).body("\0\n\r\n\0"),
        serves(200, chunked(b"2\r\n\xff\x80\r\n0\r\n\r\n")).body(b"\xff\x80"),
        serves(200, chunked("1e\r\nall your base are belong to us\r\n0\r\n\r\n")),
        serves(200, with("GET", "/echo")).body("hello"),
        serves(200, with("PUT", "/echo")).body("hello"),
        serves(200, with("DELETE", "/echo")).body("hello"),
        serves(200, with("OPTIONS", "/echo")).body("hello"),
        serves(200, with("HEAD", "/echo")),
        serves(204, with("POST", "/none")), // read even where nobody wants it
        serves(404, with("POST", "/nowhere")),
        serves(405, with("POST", "/")),
    ]);
}

/// 1 to 16 hex digits of either case. A signless, prefixless number, whatever a library's
/// own number parser would allow.
#[test]
fn sizes() {
    check([
        serves(200, chunked("a\r\nhelloworld\r\n0\r\n\r\n")).body("helloworld"),
        serves(200, chunked("A\r\nhelloworld\r\n0\r\n\r\n")).body("helloworld"),
        serves(200, chunked("0c\r\nhello, world\r\n0\r\n\r\n")).body("hello, world"),
        serves(200, size("05")).body("hello"),
        serves(200, size("005")).body("hello"),
        serves(200, size("0000000000000005")).body("hello"), // 16 digits
        serves(200, chunked("5\r\nhello\r\n00\r\n\r\n")).body("hello"),
        serves(200, chunked("5\r\nhello\r\n000\r\n\r\n")).body("hello"),
        serves(200, chunked("0000000000000000\r\n\r\n")).body(""),
        refuses(400, size("00000000000000005")), // 17 digits
        refuses(400, size("10000000000000000")), // 2^64
        refuses(400, size("10000000000000005")),
        refuses(400, size("FFFFFFFFFFFFFFFF0")),
        refuses(400, size("100000000000000000000000000000005")),
        refuses(400, chunked("00000000000000000\r\n\r\n")),
        refuses(400, size("")),
        refuses(400, size(" ")),
        refuses(400, size(" 5")),
        refuses(400, size("\t5")),
        refuses(400, size("5 ")),
        refuses(400, size("5\t")),
        refuses(400, size("5  ")),
        refuses(400, size("0 5")),
        refuses(400, size("5 5")),
        refuses(400, size("5 a=b")),
        refuses(400, size("5 hello")),
        refuses(400, size("+5")),
        refuses(400, size("-5")),
        refuses(400, size("-1")),
        refuses(400, size("-0")),
        refuses(400, size("0x5")),
        refuses(400, size("0X5")),
        refuses(400, size("x5")),
        refuses(400, size("0_5")),
        refuses(400, size("5_")),
        refuses(400, size("_5")),
        refuses(400, size("5h")),
        refuses(400, size("h5")),
        refuses(400, size("g")),
        refuses(400, size("Z")),
        refuses(400, size("5.0")),
        refuses(400, size("5,")),
        refuses(400, size("5,5")),
        refuses(400, size("5:")),
        refuses(400, size("5=")),
        refuses(400, size("$5")),
        refuses(400, size("#5")),
        refuses(400, size("%35")),
        refuses(400, size("\"5\"")),
        refuses(400, size("(5)")),
        refuses(400, size("\\x5")),
        refuses(400, size("\u{665}")),
        refuses(400, size("\u{ff15}")),
        refuses(400, size(b"5\xa0")),
        refuses(400, size(b"\xff")),
        refuses(400, size("hello")),
        refuses(400, chunked("+0\r\n\r\n")),
        refuses(400, chunked("-0\r\n\r\n")),
        refuses(400, chunked("0x0\r\n\r\n")),
        refuses(400, chunked("0 \r\n\r\n")),
        refuses(400, chunked("0 rrrr\r\n\r\n")),
        refuses(400, chunked("\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\r\n\r\n0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\r\n-1\r\n\r\n")),
    ]);
}

/// RFC 9112 §7.1.1: unknown extensions are ignored, but only if they are extensions.
#[test]
fn extensions() {
    check([
        serves(200, size("5;a")).body("hello"),
        serves(200, size("5;a=b")).body("hello"),
        serves(200, size("5;a;b=c;d")).body("hello"),
        serves(200, size("5;a=\"b\"")).body("hello"),
        serves(200, size("5;a=\"\"")).body("hello"),
        serves(200, size("5;a=\"b c\td\"")).body("hello"),
        serves(200, size("5;a=\"b;c,d=e\"")).body("hello"),
        serves(200, size(b"5;a=\"\x80\\\xff\"")).body("hello"), // obs-text, bare and escaped
        serves(200, size("5;a=\"b \\\"c\\\" \\\\\"")).body("hello"),
        serves(200, size("5;a=\"b\";c=d;e=\"f\"")).body("hello"),
        serves(200, size("5;0=1")).body("hello"),
        serves(200, size("5;!#$%&'*+-.^_`|~=a")).body("hello"),
        serves(200, size("5 ;a=b")).body("hello"), // bad whitespace, where the grammar has it
        serves(200, size("5\t;a=b")).body("hello"),
        serves(200, size("5; a=b")).body("hello"),
        serves(200, size("5;a =b")).body("hello"),
        serves(200, size("5;a= b")).body("hello"),
        serves(200, size("5 ; a = \"b\" ; c")).body("hello"),
        serves(200, chunked("5;a\r\nhello\r\n6;b=c\r\n world\r\n0;d\r\n\r\n")).body("hello world"),
        refuses(400, size("5;")),
        refuses(400, size("5; ")),
        refuses(400, size("5;;")),
        refuses(400, size("5;;a")),
        refuses(400, size("5;a;")),
        refuses(400, size("5;=")),
        refuses(400, size("5;=b")),
        refuses(400, size("5;a=")),
        refuses(400, size("5;a= ")),
        refuses(400, size("5;a=;b")),
        refuses(400, size("5;a==b")),
        refuses(400, size("5;a=b=c")),
        refuses(400, size("5;a b")),
        refuses(400, size("5;a=b c")),
        refuses(400, size("5;a,b")),
        refuses(400, size("5;bad[=x")),
        refuses(400, size("5;a=b/c")),
        refuses(400, size("5;a=\"b")),
        refuses(400, size("5;a=b\"")),
        refuses(400, size("5;a=\"b\"c")),
        refuses(400, size("5;a=\"b\\\"")), // the closing quote is escaped
        refuses(400, size("5;\"a\"=b")),
        refuses(400, size("5;a:b")),
        refuses(400, size(b"5;\xff")),
        refuses(400, size("5;\u{e9}=b")),
        refuses(400, size("5;a ")),
        refuses(400, size("5;a=b ")),
        refuses(400, chunked("0;\r\n\r\n")),
        refuses(400, chunked("0;a=\"\r\n\r\n\"\r\n\r\n")),
    ]);
}

/// RFC 9112 §2.2, §7.1: every line and every chunk ends with CRLF. Where two parsers see
/// different ends, the rest of a chunk is the next request of one of them.
#[test]
fn line_ends() {
    check([
        refuses(400, chunked("5\nhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\n0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\r\n0\n\r\n")),
        refuses(400, chunked("5\r\nhello\r\n0\r\n\n")),
        refuses(400, chunked("5\nhello\n0\n\n")),
        refuses(400, chunked("5\rhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5\r\rhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5\r\r\nhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n")),
        refuses(400, chunked("5\n\r\nhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5\n\rhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\r0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\r\r\n0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\r\r0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\n\r\n0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\n\n0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\r\n0\r\r\n\r\n")),
        refuses(400, chunked("5\r\nhello\r\n0\r\n\r\r\n")),
        refuses(400, chunked("5\r\nhello\r\n0\r\r\n\n")),
        refuses(400, chunked("5;\nhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5;a\nhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5;a\rhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5;a\rX\r\nhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5;a\nX\r\nhello\r\n0\r\n\r\n")),
        refuses(400, chunked("5;a=\"\r\nhello\"\r\n0\r\n\r\n")),
        refuses(400, chunked("5;a=\"\nb\"\r\nhello\r\n0\r\n\r\n")),
        refuses(400, chunked("3 \n  \r\nfoo\r\n0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello0\r\n\r\n")), // no line end behind the data
        refuses(400, chunked("5\r\nhello\0\r\n0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello  0\r\n\r\n")),
        refuses(400, chunked("5\r\nhello!!\r\n0\r\n\r\n")), // more data than announced
        refuses(400, chunked("5\r\nhelloXX0\r\n\r\n")),     // two bytes are skipped by some
        refuses(400, chunked("5\r\nhelloworld\r\n0\r\n\r\n")),
        refuses(400, chunked("6\r\nhello\r\n0\r\n\r\n")), // less
        refuses(400, chunked("5\r\nhel\r\n0\r\n\r\n")),
        refuses(400, chunked("1\r\nGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n0\r\n\r\n")),
    ]);
}

/// RFC 9110 §5.6.4: not even a quoted string holds a control byte.
#[test]
fn control_bytes() {
    let rows = |byte| {
        let at = |before: &str, after: &str| size([before.as_bytes(), &[byte], after.as_bytes()].concat());
        [
            refuses(400, at("", "5")),
            refuses(400, at("5", "")),
            refuses(400, at("5;a", "b")),
            refuses(400, at("5;a=\"b", "c\"")),
        ]
    };
    check(controls().flat_map(rows));
}
