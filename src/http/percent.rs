//! Percent-encoding: strict for paths (RFC 3986 §2.1), forgiving for queries and forms (URL standard §5.1).

/// Decodes a path. `None` where an escape is malformed or the result is not UTF-8.
pub(super) fn decode_path(path: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// Appends a name or a value of a query or a form, decoded.
///
/// A malformed escape stays as it is and bytes that are not UTF-8 become U+FFFD, so that nothing is refused:
/// people type queries by hand.
pub(super) fn decode_form(part: &[u8], decoded: &mut Vec<u8>) {
    let start = decoded.len();
    let mut rest = part;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match escape(after) {
                Some(value) => {
                    rest = &after[2..];
                    value
                }
                None => b'%',
            },
            other => other,
        });
    }
    if std::str::from_utf8(&decoded[start..]).is_err() {
        let raw = decoded.split_off(start);
        decoded.extend_from_slice(String::from_utf8_lossy(&raw).as_bytes());
    }
}

/// The value of the two hex digits that `after` begins with.
fn escape(after: &[u8]) -> Option<u8> {
    match after {
        [high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        check("/plain/path", Some("/plain/path"));
        check("/s%C3%B6me/with%20spaces", Some("/söme/with spaces"));
        check("/%41%5a%7e", Some("/AZ~"));
        check("/double%2541", Some("/double%41")); // decoded once
        check("/a+b", Some("/a+b")); // a plus is a plus in a path
        check("/%", None);
        check("/%4", None);
        check("/%zz", None);
        check("/%+1", None);
        check("/%FF", None); // not UTF-8
        check("/%C0%AF", None); // overlong

        #[track_caller]
        fn check(path: &str, expected: Option<&str>) {
            assert_eq!(decode_path(path).as_deref(), expected, "{path:?}");
        }
    }
}
