//! The request target: its four forms (RFC 9112 §3.2), and the authority and path within.
//!
//! Refused beyond the grammar: paths in which a segment decodes to `.` or `..`, or holds `/`, `\` or NUL,
//! since a handler that maps such a path to a file could be led out of its folder.

use std::net::Ipv6Addr;

use super::byte_class::byte_class;
use super::percent;
use super::Refusal;

/// The parts of a target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TargetParts<'t> {
    /// That of `http://authority/path?query`. It replaces the Host field (§3.2.2).
    pub(super) authority: Option<&'t str>,
    pub(super) path: &'t str,
    /// The path decoded, where that makes a difference.
    pub(super) decoded_path: Option<Box<str>>,
    pub(super) query: Option<&'t str>,
}

/// Judges a target that holds no space and no control byte.
pub(super) fn parse<'t>(method: &str, target: &'t str) -> Result<TargetParts<'t>, Refusal> {
    if method == "CONNECT" || target == "*" {
        // The authority-form is CONNECT's alone, and CONNECT's only one (§3.2.3). `*` is for OPTIONS alone (§3.2.4).
        let is_right = match method {
            "CONNECT" => is_connect_authority(target),
            _ => method == "OPTIONS",
        };
        let parts = TargetParts { authority: None, path: &target[..0], decoded_path: None, query: None };
        return is_right.then_some(parts).ok_or(Refusal::Target);
    }
    if !target.bytes().all(is_target_byte) {
        return Err(Refusal::TargetByte);
    }
    let (authority, rest) = match target.starts_with('/') {
        true => (None, target),
        false => split_absolute(target).ok_or(Refusal::Target)?,
    };
    let mark = rest.find('?').unwrap_or(rest.len());
    let (path, query) = (&rest[..mark], rest.get(mark + 1..));
    Ok(TargetParts { authority, path, decoded_path: judge_path(path)?, query })
}

/// The authority of `http://authority…` and what follows it. It has a host and no user information (RFC 9110 §4.2.1,
/// §4.2.4).
fn split_absolute(target: &str) -> Option<(Option<&str>, &str)> {
    let (scheme, rest) = split_scheme(target)?;
    let is_known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    (is_known && is_authority(authority)).then_some((Some(authority), rest))
}

/// Returns the decoded path where it differs from the given one.
fn judge_path(path: &str) -> Result<Option<Box<str>>, Refusal> {
    let decoded = match path.contains('%') {
        false => None,
        true => Some(percent::decode_path(path).ok_or(Refusal::Target)?),
    };
    let text = decoded.as_deref().unwrap_or(path);
    // An encoded slash adds a segment; were it let through, `/a%2Fb` would be taken for `/a/b`.
    let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    let honest = (decoded.is_none() || slashes(text) == slashes(path))
        && text.as_bytes().split(|byte| *byte == b'/').all(|segment| segment != b"." && segment != b"..")
        && !text.bytes().any(|byte| byte == b'\\' || byte == 0);
    match honest {
        true => Ok(decoded.map(String::into_boxed_str)),
        false => Err(Refusal::Target),
    }
}

/// Whether `host [":" port]` names a host (RFC 3986 §3.2), as the Host field and absolute targets hold it.
pub(super) fn is_authority(authority: &str) -> bool {
    let (host, port) = split_port(authority);
    let port_is_valid = match port {
        None | Some("") => true,
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
    };
    port_is_valid && is_host(host)
}

/// `scheme://rest` apart.
pub(crate) fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    Some((scheme, rest.strip_prefix("//")?))
}

/// `host:port` apart, for a host that may be an address in brackets.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.bytes().rposition(|byte| byte == b':') {
        Some(colon) if !authority.ends_with(']') => (&authority[..colon], Some(&authority[colon + 1..])),
        _ => (authority, None),
    }
}

fn is_connect_authority(target: &str) -> bool {
    is_authority(target) && matches!(split_port(target), (_, Some(port)) if !port.is_empty())
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => matches!(rest.strip_suffix(']'), Some(address) if address.parse::<Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host.bytes().all(is_reg_name_byte)
                && (!host.contains('%') || percent::decode_path(host).is_some())
        }
    }
}

byte_class! {
    /// `reg-name = *( unreserved / pct-encoded / sub-delims )` (RFC 3986 §3.2.2)
    fn is_reg_name_byte =
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b'%'
        | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
}

byte_class! {
    /// What may stand in a path or query: the grammar of RFC 3986, and those bytes outside it that browsers
    /// send as they are (URL standard, query percent-encode set): `[ ] { } | \ ^` and the backquote.
    /// All graphic ones, that is, but `" # < >`.
    fn is_target_byte = b'!' | b'$'..=b';' | b'=' | b'?'..=b'~'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        check("GET /", "path /");
        check("GET /stock/x?a=b?c", "path /stock/x query a=b?c");
        check("GET /?", "path / query ");
        check("GET //one//two", "path //one//two");
        check("GET /s%C3%B6me", "path /söme");
        check("GET /%2541", "path /%41");
        check("GET /?q={a|b}^`[1]", "path / query q={a|b}^`[1]");
        check("GET /?%zz", "path / query %zz"); // only the path is held to RFC 3986
        check("GET http://example.com/x?y", "authority example.com path /x query y");
        check("GET HTTPS://EXAMPLE.com:8443", "authority EXAMPLE.com:8443 path ");
        check("GET http://[::1]:80?x", "authority [::1]:80 path  query x");
        check("OPTIONS *", "path ");
        check("CONNECT example.com:80", "path ");
        refused("GET *", Refusal::Target);
        refused("GET stock", Refusal::Target);
        refused("GET ftp://example.com/", Refusal::Target);
        refused("GET http:///x", Refusal::Target); // no host
        refused("GET http://user@example.com/", Refusal::Target);
        refused("GET http://example.com:x/", Refusal::Target);
        refused("GET example.com:80", Refusal::Target); // CONNECT's form
        refused("CONNECT example.com", Refusal::Target); // no port
        refused("CONNECT /", Refusal::Target);
        refused("GET /#fragment", Refusal::TargetByte);
        refused("GET /\"", Refusal::TargetByte);
        refused("GET /<x>", Refusal::TargetByte);
        refused("GET /ü", Refusal::TargetByte);
        refused("GET /%", Refusal::Target);
        refused("GET /%00", Refusal::Target);
        refused("GET /a%2Fb", Refusal::Target);
        refused("GET /a%5cb", Refusal::Target);
        refused("GET /a\\b", Refusal::Target);
        refused("GET /../x", Refusal::Target);
        refused("GET /x/.", Refusal::Target);
        refused("GET /%2e%2E/", Refusal::Target);
        refused("GET /%FF", Refusal::Target);

        #[track_caller]
        fn check(line: &str, expected: &str) {
            let (method, target) = line.split_once(' ').expect("a row is method SP target");
            let parts = parse(method, target).unwrap_or_else(|why| panic!("{line:?}: {why:?}"));
            let authority =
                parts.authority.map_or(String::new(), |authority| format!("authority {authority} "));
            let path = parts.decoded_path.as_deref().unwrap_or(parts.path);
            let query = parts.query.map_or(String::new(), |query| format!(" query {query}"));
            assert_eq!(format!("{authority}path {path}{query}"), expected, "{line:?}");
        }

        #[track_caller]
        fn refused(line: &str, why: Refusal) {
            let (method, target) = line.split_once(' ').expect("a row is method SP target");
            assert_eq!(parse(method, target), Err(why), "{line:?}");
        }
    }

    /// RFC 3986 §3.2.2 and appendix A, byte by byte.
    #[test]
    fn bytes() {
        let alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let reg_name = format!("{alphanumeric}-._~%!$&'()*+,;=");
        let target = format!("{reg_name}:@/?[]{{}}|\\^`");
        for byte in 0..=255_u8 {
            assert_eq!(is_reg_name_byte(byte), reg_name.bytes().any(|one| one == byte), "{byte:#04x}");
            assert_eq!(is_target_byte(byte), target.bytes().any(|one| one == byte), "{byte:#04x}");
        }
    }

    #[test]
    fn authorities() {
        for good in [
            "localhost",
            "localhost:8080",
            "a.b.",
            "127.0.0.1:",
            "[::1]",
            "[::ffff:1.2.3.4]:80",
            "a_b",
            "%41",
        ] {
            assert!(is_authority(good), "{good:?}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a/b",
            "u@h",
            "a:b",
            "a:1:2",
            "a:65536",
            "::1",
            "[::1",
            "[]",
            "[::1]x",
            "[v1.x]",
            "ü",
            "%zz",
            "a:+1",
            "[::1]x:80",
            "a]:80",
            "x:]",
            "[::1]:80]",
        ] {
            assert!(!is_authority(bad), "{bad:?}");
        }
    }
}
