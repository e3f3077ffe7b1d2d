//! The request line and the line endings of a head (RFC 9112 §2.2, §2.3, §3).

use super::row::{cut, refuses, says, serves};
use super::{check, controls};

/// A request line with the fields that make it a request.
fn line(line: impl AsRef<[u8]>) -> Vec<u8> {
    [line.as_ref(), b"\r\nHost: localhost\r\n\r\n"].concat()
}

/// RFC 9110 §9.1: a method is a token, case-sensitive, and no list of them is complete.
#[test]
fn methods() {
    check([
        serves(204, line("GET /none HTTP/1.1")),
        serves(204, line("HEAD /none HTTP/1.1")),
        serves(204, line("POST /none HTTP/1.1")),
        serves(204, line("PUT /none HTTP/1.1")),
        serves(204, line("PATCH /none HTTP/1.1")),
        serves(204, line("DELETE /none HTTP/1.1")),
        serves(204, line("OPTIONS /none HTTP/1.1")),
        serves(204, line("TRACE /none HTTP/1.1")),
        serves(204, line("BREW /none HTTP/1.1")), // whom the handler wants to serve is its own affair
        serves(204, line("get /none HTTP/1.1")),
        serves(204, line("G /none HTTP/1.1")),
        serves(204, line("0 /none HTTP/1.1")),
        serves(204, line("M-SEARCH /none HTTP/1.1")),
        serves(204, line("!#$%&'*+-.^_`|~09azAZ /none HTTP/1.1")), // every kind of tchar
        says(501, line("get / HTTP/1.1")),
        says(501, line("Get / HTTP/1.1")),
        says(501, line("GETT / HTTP/1.1")),
        says(501, line("GE / HTTP/1.1")),
        says(501, line("XGET / HTTP/1.1")),
        says(501, line("GET. / HTTP/1.1")),
        says(501, line("BREW / HTTP/1.1")),
        says(501, line("FOOBAR / HTTP/1.1")),
        says(501, line("PURGE / HTTP/1.1")),
        says(501, line("BREW /stock HTTP/1.1")),
        serves(404, line("BREW /nowhere HTTP/1.1")),
        refuses(400, line("G:ET / HTTP/1.1")),
        refuses(400, line("GET: / HTTP/1.1")),
        refuses(400, line("G/ET / HTTP/1.1")),
        refuses(400, line("GET( / HTTP/1.1")),
        refuses(400, line("GET, / HTTP/1.1")),
        refuses(400, line("GET; / HTTP/1.1")),
        refuses(400, line("GET= / HTTP/1.1")),
        refuses(400, line("\"GET\" / HTTP/1.1")),
        refuses(400, line("[GET] / HTTP/1.1")),
        refuses(400, line("{GET} / HTTP/1.1")),
        refuses(400, line("<GET> / HTTP/1.1")),
        refuses(400, line("GET? / HTTP/1.1")),
        refuses(400, line("GET@ / HTTP/1.1")),
        refuses(400, line("GET\\ / HTTP/1.1")),
        refuses(400, line("G=\":<>(e),[T];?\" / HTTP/1.1")),
        refuses(400, line("G\u{c9}T / HTTP/1.1")),
        refuses(400, line(b"GET\x80 / HTTP/1.1")),
        refuses(400, line(b"\xa0GET / HTTP/1.1")),
        refuses(400, line("\u{feff}GET / HTTP/1.1")), // a byte order mark
    ]);
}

/// RFC 9112 §3: `method SP request-target SP HTTP-version`, and single spaces are meant.
/// The lenient reading of §3, any whitespace, is where two parsers disagree.
#[test]
fn spaces() {
    check([
        refuses(400, line("GET  /none HTTP/1.1")),
        refuses(400, line("GET /none  HTTP/1.1")),
        refuses(400, line("GET   /none   HTTP/1.1")),
        refuses(400, line("GET /none HTTP/1.1 ")),
        refuses(400, line("GET /none HTTP/1.1  ")),
        refuses(400, line("GET /none HTTP/1.1\t")),
        refuses(400, line(" GET /none HTTP/1.1")),
        refuses(400, line("\tGET /none HTTP/1.1")),
        refuses(400, line("GET\t/none HTTP/1.1")),
        refuses(400, line("GET /none\tHTTP/1.1")),
        refuses(400, line("GET\t/none\tHTTP/1.1")),
        refuses(400, line("GET \t/none HTTP/1.1")),
        refuses(400, line("GET /none \tHTTP/1.1")),
        refuses(400, line("GET\u{b}/none HTTP/1.1")),
        refuses(400, line("GET /none\u{c}HTTP/1.1")),
        refuses(400, line(b"GET\xa0/none HTTP/1.1")),
        refuses(400, line("GET /no ne HTTP/1.1")),
        refuses(400, line("GET /none HTTP/1.1 HTTP/1.1")),
        refuses(400, line("GET /none HTTP/1.1 x")),
        refuses(400, line("GET /none /none HTTP/1.1")),
        refuses(400, line("GET/none HTTP/1.1")),
        refuses(400, line("GET /noneHTTP/1.1")),
        refuses(400, line("GET /none")), // HTTP/0.9
        refuses(400, line("GET /none ")),
        refuses(400, line("GET  HTTP/1.1")), // no target between two spaces
        refuses(400, line("GET HTTP/1.1")),
        refuses(400, line("GET")),
        refuses(400, line("GET ")),
        refuses(400, line(" /none HTTP/1.1")),
        refuses(400, line("/none HTTP/1.1")),
        refuses(400, line("HTTP/1.1")),
        refuses(400, line("   ")),
        refuses(400, line("\t")),
        refuses(400, line("HTTP/1.1 200 OK")), // an answer is no request
        refuses(400, line("This is no HTTP request but text")),
        refuses(400, line("{abc}")),
        refuses(400, line("Host: localhost")),
    ]);
}

/// RFC 9112 §2.3: the name is case-sensitive, both numbers are one digit. RFC 9110 §15.6.6:
/// 505 is for a well-formed version that is not ours.
#[test]
fn versions() {
    check([
        serves(204, line("GET /none HTTP/1.1")),
        refuses(505, line("GET /none HTTP/1.2")),
        refuses(505, line("GET /none HTTP/1.9")),
        refuses(505, line("GET /none HTTP/2.0")),
        refuses(505, line("GET /none HTTP/2.1")),
        refuses(505, line("GET /none HTTP/3.0")),
        refuses(505, line("GET /none HTTP/5.6")),
        refuses(505, line("GET /none HTTP/9.9")),
        refuses(505, line("GET /none HTTP/0.9")),
        refuses(505, line("GET /none HTTP/0.0")),
        refuses(505, "GET /none HTTP/2.0\r\n\r\n"), // judged before the missing Host
        refuses(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), // RFC 9113 §3.4, an HTTP/2 client
        refuses(400, line("GET /none HTTP/1")),
        refuses(400, line("GET /none HTTP/2")),
        refuses(400, line("GET /none HTTP/1.")),
        refuses(400, line("GET /none HTTP/.1")),
        refuses(400, line("GET /none HTTP/")),
        refuses(400, line("GET /none HTTP")),
        refuses(400, line("GET /none HTTP1.1")),
        refuses(400, line("GET /none HTTP/11")),
        refuses(400, line("GET /none HTTP/1.10")),
        refuses(400, line("GET /none HTTP/1.01")),
        refuses(400, line("GET /none HTTP/01.1")),
        refuses(400, line("GET /none HTTP/01.01")),
        refuses(400, line("GET /none HTTP/10.1")),
        refuses(400, line("GET /none HTTP/1.1.1")),
        refuses(400, line("GET /none HTTP/1.1x")),
        refuses(400, line("GET /none HTTP/1.1,")),
        refuses(400, line("GET /none HTTP/1,1")),
        refuses(400, line("GET /none HTTP/1:1")),
        refuses(400, line("GET /none HTTP/1.x")),
        refuses(400, line("GET /none HTTP/x.1")),
        refuses(400, line("GET /none HTTP/-1.1")),
        refuses(400, line("GET /none HTTP/+1.1")),
        refuses(400, line("GET /none HTTP/1.-1")),
        refuses(400, line("GET /none HTTP/ 1.1")),
        refuses(400, line("GET /none HTTP /1.1")),
        refuses(400, line("GET /none HTTP/1 .1")),
        refuses(400, line("GET /none HTTP//1.1")),
        refuses(400, line("GET /none /1.1")),
        refuses(400, line("GET /none 1.1")),
        refuses(400, line("GET /none http/1.1")),
        refuses(400, line("GET /none Http/1.1")),
        refuses(400, line("GET /none HTTp/1.1")),
        refuses(400, line("GET /none XHTTP/1.1")),
        refuses(400, line("GET /none HTTPS/1.1")),
        refuses(400, line("GET /none IHTTP/1.0")),
        refuses(400, line("GET /none ICE/1.0")),
        refuses(400, line("GET /none RTSP/1.0")),
        refuses(400, line("GET /none SIP/2.0")),
        refuses(400, line("GET /none HTTP/\u{661}.\u{661}")), // digits, but not of ASCII
        refuses(400, line("get /none http/1.1")),
    ]);
}

/// RFC 9112 §2.2: CRLF ends a line, a bare CR is an error, and so is a bare LF here, which a
/// recipient may take for a line end. One empty line before a request is forgiven, since old
/// clients sent one behind a body.
#[test]
fn line_endings() {
    check([
        serves(204, "\r\nGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "\r\n\r\nGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "\nGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "\rGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "\r\r\nGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "\n\r\nGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "\r\n GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, " \r\nGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "\0GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\nHost: localhost\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: localhost\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: localhost\r\n\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: localhost\n\n"),
        refuses(400, "GET /none HTTP/1.1\nHost: localhost\n\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: localhost\r\nX-A: b\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\nX-A: b\nHost: localhost\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\rHost: localhost\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: localhost\r\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: localhost\rX-A: b\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\r\nHost: localhost\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: localhost\r\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\r\n"),
        refuses(400, "GET /none HTTP/1.1\r\nHost: localhost\r\n\rX-A: b\r\n\r\n"),
        refuses(
            400,
            "GET /none HTTP/1.1\r\nHost: localhost\r\n\rZGET /none HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        refuses(400, "GET /none HTTP/1.1\n\rHost: localhost\n\r\n\r"),
        refuses(400, "GET /none\nHTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "GET\n/none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "GET\r/none HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\u{85}Host: localhost\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\u{2028}Host: localhost\r\n\r\n"),
        refuses(400, "GET /none HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n\r\n\r\n"), // typed, not meant
    ]);
}

/// A request that ends before it is whole is not silence: the client hears that it was cut.
#[test]
fn ends_inside_the_head() {
    check([
        cut("G"),
        cut("GET"),
        cut("GET "),
        cut("GET /none"),
        cut("GET /none "),
        cut("GET /none HTTP"),
        cut("GET /none HTTP/1.1"),
        cut("GET /none HTTP/1.1\r"),
        cut("GET /none HTTP/1.1\r\n"),
        cut("GET /none HTTP/1.1\r\nHos"),
        cut("GET /none HTTP/1.1\r\nHost:"),
        cut("GET /none HTTP/1.1\r\nHost: "),
        cut("GET /none HTTP/1.1\r\nHost: localhost"),
        cut("GET /none HTTP/1.1\r\nHost: localhost\r"),
        cut("GET /none HTTP/1.1\r\nHost: localhost\r\n"),
        cut("GET /none HTTP/1.1\r\nHost: localhost\r\n\r"),
        cut("GET /none HTTP/1.1\r\nHost: localhost\r\r"),
        cut("GET /none HTTP/1.0\r\n"),
        cut("\r\nGET /none"),
        cut("GET /none\r\n"),
        cut("{abc}"),
        cut("This is no HTTP request but text"),
        cut(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x5e\x31\x8c\x42"), // TLS, to the wrong port
        cut(b"\x05\x01\x00"),                                                 // SOCKS
        cut(b"\x80\x9e\x01\x03\x01\x00\x75\x00\x00\x00\x20"),
        cut(b"\xff\xff\xff\xff"),
        cut(b"\0\0\0\0"),
    ]);
}

/// RFC 9112 §3, RFC 9110 §5.5: no control byte anywhere in a request line.
#[test]
fn control_bytes() {
    let rows = |byte| {
        let at = |before: &str, after: &str| line([before.as_bytes(), &[byte], after.as_bytes()].concat());
        [
            refuses(400, at("G", "ET /none HTTP/1.1")),
            refuses(400, at("GET /no", "ne HTTP/1.1")),
            refuses(400, at("GET /query?a", "b HTTP/1.1")),
            refuses(400, at("GET /none HTTP/1.1", "")),
        ]
    };
    check(controls().flat_map(rows));
}
