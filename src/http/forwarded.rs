//! Whom a proxy speaks for: `X-Forwarded-For`, or `Forwarded` (RFC 7239).
//!
//! Each proxy adds an entry at the end. The last one is from the proxy in front of this host. The entries
//! before it may be a client's own words.

use std::net::{IpAddr, SocketAddr};

use super::field::trim;
use super::head::Head;

/// The client's address, with port 0 where the proxy does not tell its port.
pub(crate) fn client(head: &Head) -> Option<SocketAddr> {
    match head.elements("X-Forwarded-For").last() {
        Some(entry) => address(entry),
        None => head.elements("Forwarded").last().and_then(node),
    }
}

/// `for=` of `forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )` (RFC 7239 §4)
fn node(element: &[u8]) -> Option<SocketAddr> {
    element.split(|byte| *byte == b';').map(trim).find_map(|pair| match pair {
        [b'f' | b'F', b'o' | b'O', b'r' | b'R', b'=', node @ ..] => address(node),
        _ => None,
    })
}

/// An address with or without a port, brackets and quotes. What hides it, `unknown` say, is none.
fn address(node: &[u8]) -> Option<SocketAddr> {
    let node = std::str::from_utf8(node).ok()?.trim_matches('"');
    let ip = || node.trim_matches(|char| char == '[' || char == ']').parse::<IpAddr>();
    node.parse().or_else(|_| ip().map(|ip| (ip, 0).into())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients() {
        check("", None);
        check("X-Forwarded-For: 192.0.2.7", Some("192.0.2.7:0"));
        check("X-Forwarded-For: 6.6.6.6, 192.0.2.7", Some("192.0.2.7:0"));
        check("X-Forwarded-For: 6.6.6.6|X-Forwarded-For: 192.0.2.7", Some("192.0.2.7:0"));
        check("X-Forwarded-For: 192.0.2.7:4711", Some("192.0.2.7:4711"));
        check("X-Forwarded-For: 2001:db8::7", Some("[2001:db8::7]:0"));
        check("X-Forwarded-For: [2001:db8::7]", Some("[2001:db8::7]:0"));
        check("X-Forwarded-For: [2001:db8::7]:80", Some("[2001:db8::7]:80"));
        check("X-Forwarded-For: unknown", None);
        check("X-Forwarded-For: 192.0.2.7, unknown", None);
        check("X-Forwarded-For: 192.0.2.7,", None);
        check("X-Forwarded-For: ", None);
        check("X-Forwarded-For: \u{FF}", None);
        check("Forwarded: for=192.0.2.7", Some("192.0.2.7:0"));
        check("Forwarded: for=6.6.6.6, proto=http; FOR=192.0.2.7;by=127.0.0.1", Some("192.0.2.7:0"));
        check("Forwarded: for=\"[2001:db8::7]:4711\";proto=https", Some("[2001:db8::7]:4711"));
        check("Forwarded: for=_hidden", None);
        check("Forwarded: for=unknown", None);
        check("Forwarded: by=192.0.2.7", None);
        check("Forwarded: for=6.6.6.6|X-Forwarded-For: 192.0.2.7", Some("192.0.2.7:0"));

        #[track_caller]
        fn check(fields: &str, expected: Option<&str>) {
            let fields: String = fields.split('|').map(|line| format!("{line}\r\n")).collect();
            let fields = fields.trim_start();
            let text = format!("GET / HTTP/1.0\r\n{fields}\r\n");
            let head = Head::parse(text.as_bytes()).expect("the row is a head");
            let expected = expected.map(|address| address.parse().expect("the row has an address"));
            assert_eq!(client(&head), expected, "{text:?}");
        }
    }
}
