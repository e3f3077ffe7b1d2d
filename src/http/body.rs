//! The body of a request: so many bytes, or chunked (RFC 9112 §6, §7.1), read whole and bounded.
//!
//! Left out on purpose: chunk extensions and trailer fields are judged, bounded and then forgotten (§7.1.1,
//! §7.1.2 let a recipient do so); nothing is merged into the fields of the head.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::field::{self, is_white_space};
use super::framing::Framing;
use super::head::{Head, MAX_FIELDS};
use super::reader::{ReadError, Reader, BODY_READ};
use super::Refusal;

/// Digits of a chunk size: what fits into 64 bits.
const MAX_CHUNK_DIGITS: usize = 16;
/// All chunk extensions of a body together. Node: 16 KiB; Go: 16 bytes a chunk on average, in excess of 16 KiB.
const MAX_EXTENSIONS: usize = 4 * 1024;
/// All trailer fields of a body together. Go: 4 KiB of buffer.
const MAX_TRAILER: usize = 8 * 1024;
/// A large body leaves this much of the process's memory free: an allocation that fails elsewhere ends the process.
const SPARE: usize = 1024 * 1024;
/// A client that sends this much in a second never meets the body's deadline. Apache: `MinRate=500`.
const MIN_BYTES_PER_SECOND: u32 = 500;

/// The memory that the bodies of a host's requests take together.
pub(crate) struct Bodies {
    taken: AtomicUsize,
    max: usize,
}

impl Bodies {
    pub(crate) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), max: usize::try_from(max).unwrap_or(usize::MAX) })
    }
}

/// A body. Its memory counts against the host's limit until the last handle of its request is dropped.
pub(crate) struct Body {
    pub(super) bytes: Vec<u8>,
    all: Arc<Bodies>,
}

impl Body {
    /// Makes room for the next of `missing` bytes: for as many again as there are, so that a declared length alone takes
    /// little, and for no more than `limit` in all.
    fn make_room(&mut self, missing: u64, limit: u64) -> Result<(), Refusal> {
        let length = self.bytes.len();
        if length < self.bytes.capacity() {
            return Ok(());
        }
        let more = (length as u64).max(missing.min(BODY_READ)).min(limit - length as u64) as usize;
        let spare = if more as u64 >= BODY_READ { SPARE } else { 0 };
        self.bytes.try_reserve_exact(more + spare).map_err(|_| Refusal::BodyMemory)?;
        self.bytes.shrink_to(length + more);
        let more = self.bytes.capacity() - length; // it was full
        match self.all.taken.fetch_add(more, Ordering::Relaxed) + more <= self.all.max {
            true => Ok(()),
            false => Err(Refusal::BodyMemory),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.all.taken.fetch_sub(self.bytes.capacity(), Ordering::Relaxed);
    }
}

/// Reads the body that `head` announces.
///
/// The whole of it may take `patience`, and a second more for each 500 bytes that have come.
pub(crate) fn read(
    reader: &mut Reader,
    head: &Head,
    max: u64,
    patience: Duration,
    all: &Arc<Bodies>,
) -> Result<Option<Arc<Body>>, ReadError> {
    let length = match head.framing {
        Framing::Length(0) => return Ok(None),
        Framing::Length(length) if length > max => return Err(Refusal::BodyTooLarge.into()),
        Framing::Length(length) => Some(length),
        Framing::Chunked => None,
    };
    // Pointless once the body is on its way (RFC 9110 §10.1.1).
    if head.expects_continue() && !reader.has_unread() {
        reader.connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(ReadError::Closed)?;
    }
    let body = Body { bytes: Vec::new(), all: Arc::clone(all) };
    let limit = length.unwrap_or(max);
    let mut body = BodyReader { reader, limit, patience, started: Instant::now(), body };
    match length {
        Some(length) => body.read_exactly(length)?,
        None => body.read_chunks()?,
    }
    Ok(Some(Arc::new(body.body)))
}

struct BodyReader<'r> {
    reader: &'r mut Reader,
    /// How long the body is, if that is known, else how long it may be.
    limit: u64,
    patience: Duration,
    started: Instant,
    body: Body,
}

impl BodyReader<'_> {
    fn length(&self) -> u64 {
        self.body.bytes.len() as u64
    }

    fn deadline(&self) -> Instant {
        let millis = self.length() * 1000 / u64::from(MIN_BYTES_PER_SECOND);
        self.started + self.patience + Duration::from_millis(millis)
    }

    fn read_exactly(&mut self, length: u64) -> Result<(), ReadError> {
        let mut missing = length;
        while missing > 0 {
            let deadline = self.deadline();
            self.body.make_room(missing, self.limit)?;
            missing -= self.reader.read_some(missing, &mut self.body.bytes, deadline)?;
        }
        Ok(())
    }

    fn line(&mut self, limit: usize, too_long: Refusal) -> Result<&[u8], ReadError> {
        let deadline = self.deadline();
        self.reader.read_line(limit, too_long, deadline)
    }

    /// `chunked-body = *chunk last-chunk trailer-section CRLF`
    fn read_chunks(&mut self) -> Result<(), ReadError> {
        let mut extensions = 0;
        loop {
            let line = self.line(MAX_CHUNK_DIGITS + MAX_EXTENSIONS, Refusal::Chunk)?;
            let (size, extension) = chunk_line(line).ok_or(Refusal::Chunk)?;
            extensions += extension;
            if extensions > MAX_EXTENSIONS {
                return Err(Refusal::Chunk.into());
            }
            if size == 0 {
                return self.read_trailer();
            }
            if size > self.limit - self.length() {
                return Err(Refusal::BodyTooLarge.into());
            }
            self.read_exactly(size)?;
            if !self.line(0, Refusal::Chunk)?.is_empty() {
                return Err(Refusal::Chunk.into());
            }
        }
    }

    fn read_trailer(&mut self) -> Result<(), ReadError> {
        let mut length = 0;
        for _ in 0..=MAX_FIELDS {
            let line = self.line(MAX_TRAILER, Refusal::HeadTooLarge)?;
            if line.is_empty() {
                return Ok(());
            }
            length += line.len();
            field::parse(line)?;
            if length > MAX_TRAILER {
                return Err(Refusal::HeadTooLarge.into());
            }
        }
        Err(Refusal::TooManyFields.into())
    }
}

/// `chunk-size [ chunk-ext ]`: the size, and the length of the extensions.
fn chunk_line(line: &[u8]) -> Option<(u64, usize)> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    if digits == 0 || digits > MAX_CHUNK_DIGITS {
        return None;
    }
    let size = line[..digits]
        .iter()
        .fold(0, |size, digit| size << 4 | u64::from(char::from(*digit).to_digit(16).unwrap_or(0)));
    let extensions = &line[digits..];
    are_extensions(extensions).then_some((size, extensions.len()))
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )` (§7.1.1)
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        rest = match after(b';', rest).map(skip_white_space).and_then(skip_token) {
            Some(rest) => rest,
            None => return false,
        };
        if let Some(value) = after(b'=', rest).map(skip_white_space) {
            rest = match skip_token(value).or_else(|| skip_quoted_string(value)) {
                Some(rest) => rest,
                None => return false,
            };
        }
    }
    true
}

fn skip_white_space(text: &[u8]) -> &[u8] {
    let length = text.iter().position(|byte| !is_white_space(*byte)).unwrap_or(text.len());
    &text[length..]
}

/// What follows `byte`, which white space may precede.
fn after(byte: u8, text: &[u8]) -> Option<&[u8]> {
    match skip_white_space(text).split_first() {
        Some((first, rest)) if *first == byte => Some(rest),
        _ => None,
    }
}

fn skip_token(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().position(|byte| !field::is_token_byte(*byte)).unwrap_or(text.len());
    (length > 0).then_some(&text[length..])
}

/// `quoted-string` (RFC 9110 §5.6.4)
fn skip_quoted_string(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', quoted, rest @ ..] if field::is_value_byte(*quoted) => rest,
            [byte, rest @ ..] if *byte != b'\\' && field::is_value_byte(*byte) => rest,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_lines() {
        check("5", Some((5, 0)));
        check("00a", Some((10, 0)));
        check("FFFFFFFFFFFFFFFF", Some((u64::MAX, 0)));
        check("5;a", Some((5, 2)));
        check("5 ; a = b", Some((5, 8)));
        check("5;a=b;c=\"d;\\\"e\"", Some((5, 14)));
        check("0;last", Some((0, 5)));
        check("", None);
        check("00000000000000005", None); // 17 digits
        check("0x5", None);
        check("+5", None);
        check("-5", None);
        check("5_0", None);
        check("5 ", None); // white space stands before ";" alone
        check(" 5", None);
        check("g", None);
        check("5;", None);
        check("5;a;", None);
        check("5;=b", None);
        check("5;a=", None);
        check("5;a=\"b", None);
        check("5;a=\"b\\", None);
        check("5;a=b c", None);
        check("5;a\0", None);

        #[track_caller]
        fn check(line: &str, expected: Option<(u64, usize)>) {
            assert_eq!(chunk_line(line.as_bytes()), expected, "{line:?}");
        }
    }
}
