//! How long the body of a request is (RFC 9112 §6).
//!
//! Where two parsers could disagree on the length, a request can be smuggled past one of them: everything
//! that is not plainly one length is refused, also what §6.3 would let a server mend.

use super::field::{is_token, list_elements, without_parameters};
use super::Refusal;

/// The framing of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes; 0 without `Content-Length`.
    Length(u64),
    Chunked,
}

/// Gathers the framing fields while the field lines of a head are read.
#[derive(Debug, Default)]
pub(super) struct FramingFields {
    length: Option<u64>,
    codings: Codings,
}

/// The transfer codings that the fields have named so far.
#[derive(Debug, Default, Clone, Copy)]
enum Codings {
    #[default]
    None,
    Chunked,
    /// Codings that are not known here.
    Unknown,
    /// Codings that are not known here, and `chunked` behind them.
    UnknownThenChunked,
    /// The field is malformed.
    Invalid,
}

impl FramingFields {
    /// A second `Content-Length`, even an equal one, is refused, and so is a list of equal ones.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::ContentLength);
        }
        let length = value
            .iter()
            .try_fold(0u64, |length, digit| length.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        self.length = Some(length.ok_or(Refusal::ContentLength)?);
        Ok(())
    }

    /// `chunked` has to be the only coding. Where it is not once and last, the length cannot be told (§6.3 rule 4: 400).
    /// Codings before it are unknown here (§6.1: 501).
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) {
        for coding in list_elements(value) {
            let name = without_parameters(coding);
            let is_chunked = name.eq_ignore_ascii_case(b"chunked");
            self.codings = match self.codings {
                _ if !is_token(name) || (is_chunked && name.len() < coding.len()) => Codings::Invalid, // §7: no parameters
                Codings::None if is_chunked => Codings::Chunked,
                Codings::Unknown if is_chunked => Codings::UnknownThenChunked,
                Codings::None | Codings::Unknown => Codings::Unknown,
                Codings::Chunked | Codings::UnknownThenChunked | Codings::Invalid => Codings::Invalid,
            };
        }
    }

    pub(super) fn judge(self, minor_version: u8) -> Result<Framing, Refusal> {
        match (self.codings, self.length) {
            (Codings::None, length) => Ok(Framing::Length(length.unwrap_or(0))),
            (_, Some(_)) | (Codings::Unknown | Codings::Invalid, _) => Err(Refusal::Framing),
            _ if minor_version == 0 => Err(Refusal::Framing), // §6.1
            (Codings::Chunked, None) => Ok(Framing::Chunked),
            (Codings::UnknownThenChunked, None) => Err(Refusal::Coding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framings() {
        check("", Ok(Framing::Length(0)));
        check("CL 0", Ok(Framing::Length(0)));
        check("CL 007", Ok(Framing::Length(7)));
        check("CL 18446744073709551615", Ok(Framing::Length(u64::MAX)));
        check("CL 18446744073709551616", Err(Refusal::ContentLength));
        check("CL ", Err(Refusal::ContentLength));
        check("CL -1", Err(Refusal::ContentLength));
        check("CL +5", Err(Refusal::ContentLength));
        check("CL 5,5", Err(Refusal::ContentLength));
        check("CL 0x5", Err(Refusal::ContentLength));
        check("CL 1 2", Err(Refusal::ContentLength));
        check("CL 5|CL 5", Err(Refusal::ContentLength));
        check("TE chunked", Ok(Framing::Chunked));
        check("TE Chunked", Ok(Framing::Chunked));
        check("TE chunked|CL 5", Err(Refusal::Framing));
        check("CL 5|TE chunked", Err(Refusal::Framing));
        check("TE chunked|TE chunked", Err(Refusal::Framing));
        check("TE chunked, chunked", Err(Refusal::Framing));
        check("TE chunked, gzip", Err(Refusal::Framing));
        check("TE chunked;q=1", Err(Refusal::Framing));
        check("TE chunked ;q=1", Err(Refusal::Framing));
        check("TE ", Err(Refusal::Framing));
        check("TE ,chunked", Err(Refusal::Framing));
        check("TE gzip, chunked", Err(Refusal::Coding));
        check("TE gzip", Err(Refusal::Framing));
        check("TE \"chunked\"", Err(Refusal::Framing)); // no token
        check("TE chunked chunked", Err(Refusal::Framing));
        check("TE identity", Err(Refusal::Framing));
        check("TE xchunked", Err(Refusal::Framing));
        check("TE gzip|TE chunked", Err(Refusal::Coding));
        check("TE gzip|TE chunked, gzip", Err(Refusal::Framing));
        check("TE gzip|TE chunked|TE gzip", Err(Refusal::Framing)); // as in one field
        check("TE chunked|TE gzip", Err(Refusal::Framing));
        check("TE gzip|CL 5", Err(Refusal::Framing)); // both are there, whatever the coding is

        #[track_caller]
        fn check(fields: &str, expected: Result<Framing, Refusal>) {
            let mut gathered = FramingFields::default();
            let read = fields.split('|').filter(|field| !field.is_empty()).try_for_each(|field| {
                let (name, value) = field.split_once(' ').expect("a row is CL or TE, a space, a value");
                if name == "CL" {
                    return gathered.content_length(value.as_bytes());
                }
                gathered.transfer_encoding(value.as_bytes());
                Ok(())
            });
            assert_eq!(read.and_then(|()| gathered.judge(1)), expected, "{fields:?}");
        }
    }

    #[test]
    fn chunked_in_http_1_0_is_refused() {
        assert_eq!(FramingFields { length: None, codings: Codings::Chunked }.judge(0), Err(Refusal::Framing));
    }
}
