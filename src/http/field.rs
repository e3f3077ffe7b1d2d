//! Field lines (RFC 9110 §5, RFC 9112 §5), of a head and of a chunked body's trailer section alike.

use super::byte_class::byte_class;
use super::Refusal;

/// Judges `field-name ":" OWS field-value OWS` into name and value.
///
/// No white space may stand before the colon (RFC 9112 §5.1), and a line that begins with white space, be
/// it obs-fold (§5.2) or the first of its section, has no name. Control bytes are none of a value's
/// (RFC 9110 §5.5).
pub(super) fn parse(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Refusal::FieldLine)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(Refusal::FieldLine);
    }
    match line.iter().all(|byte| is_value_byte(*byte)) {
        true => Ok((name, trim(value))),
        false => Err(Refusal::ControlByte),
    }
}

/// `token = 1*tchar` (RFC 9110 §5.6.2)
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

byte_class! {
    /// `tchar`
    pub(super) fn is_token_byte =
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
        | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
}

pub(super) fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

byte_class! {
    /// `VCHAR / obs-text / SP / HTAB`
    pub(super) fn is_value_byte = b'\t' | b' '..=b'~' | 0x80..=0xff
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), trimmed.
pub(super) fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim)
}

/// An element without its parameters: `;` and what follows.
pub(super) fn without_parameters(element: &[u8]) -> &[u8] {
    trim(element.split(|byte| *byte == b';').next().unwrap_or(element))
}

/// The text without the white space around it.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_white_space(*byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_white_space(*byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_lines() {
        check("Host: localhost", Ok(("Host", "localhost")));
        check("Host:localhost", Ok(("Host", "localhost")));
        check("A: \t b c\t ", Ok(("A", "b c")));
        check("A:", Ok(("A", "")));
        check("A: b:c", Ok(("A", "b:c")));
        check("A: ü", Ok(("A", "ü")));
        check("!#$%&'*+-.^_`|~09az: x", Ok(("!#$%&'*+-.^_`|~09az", "x")));
        check("A : b", Err(Refusal::FieldLine));
        check("A\t: b", Err(Refusal::FieldLine));
        check(" A: b", Err(Refusal::FieldLine));
        check("\tfolded", Err(Refusal::FieldLine));
        check(": b", Err(Refusal::FieldLine));
        check("no colon", Err(Refusal::FieldLine));
        check("A(b): c", Err(Refusal::FieldLine));
        check("ü: c", Err(Refusal::FieldLine));
        check("A: b\0c", Err(Refusal::ControlByte));
        check("A: b\x0bc", Err(Refusal::ControlByte));
        check("A: \x7f", Err(Refusal::ControlByte));
        check("A: b\rc", Err(Refusal::ControlByte));

        #[track_caller]
        fn check(line: &str, expected: Result<(&str, &str), Refusal>) {
            let expected = expected.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            assert_eq!(parse(line.as_bytes()), expected, "{line:?}");
        }
    }

    /// RFC 9110 §5.6.2 and §5.5, byte by byte.
    #[test]
    fn bytes() {
        let tokens = "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~";
        for byte in 0..=255 {
            assert_eq!(is_token_byte(byte), tokens.bytes().any(|one| one == byte), "{byte:#04x}");
            let is_control = (byte < 0x20 && byte != b'\t') || byte == 0x7f;
            assert_eq!(is_value_byte(byte), !is_control, "{byte:#04x}");
        }
    }

    #[test]
    fn lists() {
        let elements: Vec<_> = list_elements(b" close,\tTE ,, x").collect();
        assert_eq!(elements, [b"close".as_slice(), b"TE", b"", b"x"]);
    }
}
