//! Turns the bytes of one request head into a [`Head`] (RFC 9112 §2, §3, §5).
//!
//! With its helpers `target`, `field` and `framing` this file is the only place that judges what a client
//! sent. It reads no socket: a head is accepted whole or refused whole, and strictly. Two parsers that mend
//! the same malformed request differently are how requests are smuggled.
//!
//! Left out on purpose: obs-fold (§5.2 lets a server refuse it), lines that end in a bare LF (§2.2 lets a
//! recipient accept them, none has to), leniency of any kind.

use std::ops::Range;

use super::field;
use super::form::Form;
use super::framing::{Framing, FramingFields};
use super::target;
use super::Refusal;

/// The longest request target. RFC 9112 §3 recommends 8000 bytes at least; nginx and Apache take 8 KiB lines.
pub(super) const MAX_TARGET: usize = 8 * 1024;
/// The most field lines. Apache: 100; hyper: 100.
pub(super) const MAX_FIELDS: usize = 100;
/// The largest head, unless a host sets another limit; any one line may fill it, since cookies of all tools on
/// localhost meet in one field. nginx: four buffers of 8 KiB; Node: 16 KiB.
pub(crate) const MAX_HEAD: usize = 32 * 1024;
/// The longest method. The longest registered one, `UPDATEREDIRECTREF`, has 17 bytes.
const MAX_METHOD: usize = 32;
/// ` HTTP/1.1` behind the target.
const VERSION_LENGTH: usize = 9;

/// Looks for the end of a head in bytes that arrive bit by bit, and judges what no line may hold.
///
/// Each byte is looked at once, however small the pieces are.
pub(super) struct HeadScan {
    max_head: usize,
    /// How many bytes were looked at: the next call begins there.
    at: usize,
    line_start: usize,
    /// Lines that have ended, without an empty one before the request line.
    lines: usize,
    head_start: usize,
}

impl HeadScan {
    pub(super) fn new(max_head: usize) -> Self {
        Self { max_head, at: 0, line_start: 0, lines: 0, head_start: 0 }
    }

    /// Whether `bytes` hold more than a leftover.
    pub(super) fn has_begun(&self, bytes: &[u8]) -> bool {
        bytes.len() > self.head_start
    }

    /// Returns where the head is, once `bytes` hold all of it. `bytes` only grow from call to call.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<Option<Range<usize>>, Refusal> {
        while let Some(&byte) = bytes.get(self.at) {
            let after_cr = self.at > 0 && bytes[self.at - 1] == b'\r';
            if !after_cr && field::is_value_byte(byte) {
                // Most bytes: they are passed in one go.
                let text = &bytes[self.at..bytes.len().min(self.at + self.room())];
                let end = text.iter().position(|byte| !field::is_value_byte(*byte));
                self.at += end.unwrap_or(text.len());
                self.judge_length(bytes)?;
                continue;
            }
            match byte {
                b'\n' if !after_cr => return Err(Refusal::LineEnd),
                b'\n' => {
                    let is_empty = self.at - self.line_start == 1;
                    self.at += 1;
                    if is_empty && self.lines > 0 {
                        return Ok(Some(self.head_start..self.at));
                    }
                    self.end_line(is_empty)?;
                    continue;
                }
                _ if after_cr => return Err(Refusal::LineEnd),
                b'\r' => {}
                _ => return Err(Refusal::ControlByte),
            }
            self.at += 1;
            self.judge_length(bytes)?;
        }
        Ok(None)
    }

    fn end_line(&mut self, is_empty: bool) -> Result<(), Refusal> {
        self.line_start = self.at;
        if is_empty {
            // One empty line before the request line is a client's leftover (§2.2); more are not.
            let is_first = self.head_start == 0;
            self.head_start = self.at;
            return if is_first { Ok(()) } else { Err(Refusal::RequestLine) };
        }
        self.lines += 1;
        if self.lines > 1 + MAX_FIELDS {
            return Err(Refusal::TooManyFields);
        }
        Ok(())
    }

    /// Where the head may end, but for the LF at its very end: lengths are judged before the LF of a line.
    fn head_limit(&self) -> usize {
        self.head_start + self.max_head.saturating_sub(b"\n".len())
    }

    /// Where the line under way may end, with its CR. A field line may fill the head.
    fn line_limit(&self) -> usize {
        match self.lines {
            0 => self.line_start + MAX_METHOD + 1 + MAX_TARGET + VERSION_LENGTH + b"\r".len(),
            _ => self.head_limit(),
        }
    }

    /// How many bytes of the line are left to the limit that is met first. The result does not depend on the pieces in
    /// which the bytes arrive.
    fn room(&self) -> usize {
        self.line_limit().min(self.head_limit()) + 1 - self.at
    }

    /// Refuses a line that never ends as soon as it is too long.
    fn judge_length(&self, bytes: &[u8]) -> Result<(), Refusal> {
        if self.at > self.head_limit() {
            return Err(Refusal::HeadTooLarge);
        }
        if self.at > self.line_limit() {
            let mut method = bytes[self.line_start..].iter().take(MAX_METHOD + 1);
            return Err(match method.any(|byte| *byte == b' ') {
                true => Refusal::TargetTooLong,
                false => Refusal::MethodTooLong,
            });
        }
        Ok(())
    }
}

/// A part of a head. `Limits::max_head` is below 2^31 bytes, so 32 bits are enough for its ends.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where `part` is, which is a part of `bytes`.
    fn of(part: &[u8], bytes: &[u8]) -> Self {
        let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
        Self { start: start as u32, end: (start + part.len()) as u32 }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// What the client expects before it sends its body (RFC 9110 §10.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expectation {
    None,
    Continue,
    Unknown,
}

/// One request head, judged. Its text is borrowed from its bytes.
pub(crate) struct Head {
    bytes: Box<[u8]>,
    method: Span,
    target: Span,
    path: Span,
    decoded_path: Option<Box<str>>,
    pub(super) query: Form,
    fields: Vec<(Span, Span)>,
    authority: Option<Span>,
    pub(crate) minor_version: u8,
    pub(super) framing: Framing,
    expectation: Expectation,
    wants_close: bool,
    wants_keep_alive: bool,
}

impl Head {
    /// Judges the bytes that [`HeadScan`] found to be a head.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let lines = bytes.split(|byte| *byte == b'\n');
        let mut lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)); // each has one
        let (method, target, minor_version) = request_line(lines.next().unwrap_or_default())?;
        let parts = target::parse(method, target)?;
        let span = |part: &str| Span::of(part.as_bytes(), bytes);
        let mut head = Self {
            bytes: bytes.into(),
            method: span(method),
            target: span(target),
            path: span(parts.path),
            decoded_path: parts.decoded_path,
            query: parts.query.map_or_else(Form::default, |query| Form::decode(query.as_bytes())),
            fields: Vec::new(),
            authority: None,
            minor_version,
            framing: Framing::Length(0),
            expectation: Expectation::None,
            wants_close: false,
            wants_keep_alive: false,
        };
        let mut framing = FramingFields::default();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = field::parse(line)?;
            let value_span = Span::of(value, bytes);
            head.read_field(&mut framing, name, value, value_span)?;
            head.fields.push((Span::of(name, bytes), value_span));
        }
        if head.authority.is_none() && minor_version > 0 {
            return Err(Refusal::Host); // §3.2
        }
        head.framing = framing.judge(minor_version)?;
        // All of the head is known to be well formed from here on. What it asks for comes after that.
        // The Host field of an absolute target has to be there all the same, but says nothing (§3.2.2).
        head.authority = parts.authority.map(span).or(head.authority);
        match method {
            "TRACE" if head.framing != Framing::Length(0) => Err(Refusal::TraceBody), // RFC 9110 §9.3.8
            "CONNECT" => Err(Refusal::Connect),
            _ if head.expectation == Expectation::Unknown => Err(Refusal::Expectation),
            _ => Ok(head),
        }
    }

    /// Takes in the fields that steer the connection.
    fn read_field(
        &mut self,
        framing: &mut FramingFields,
        name: &[u8],
        value: &[u8],
        span: Span,
    ) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"host") {
            let is_valid = matches!(std::str::from_utf8(value), Ok(host) if target::is_authority(host));
            if self.authority.is_some() || !is_valid {
                return Err(Refusal::Host);
            }
            self.authority = Some(span);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            framing.content_length(value)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            framing.transfer_encoding(value);
        } else if name.eq_ignore_ascii_case(b"connection") {
            for option in field::list_elements(value) {
                self.wants_close |= option.eq_ignore_ascii_case(b"close");
                self.wants_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if name.eq_ignore_ascii_case(b"expect") && self.minor_version > 0 {
            // HTTP/1.0 knows no expectations; they are ignored there (RFC 9110 §10.1.1).
            self.expectation = match value.eq_ignore_ascii_case(b"100-continue") {
                true if self.expectation != Expectation::Unknown => Expectation::Continue,
                _ => Expectation::Unknown,
            };
        }
        Ok(())
    }

    pub(crate) fn method(&self) -> &str {
        match &self.bytes[self.method.range()] {
            b"GET" => "GET", // nearly always, and asked for often
            method => ascii(method),
        }
    }

    /// The target as it was sent, all of it printable ASCII.
    pub(crate) fn target(&self) -> &str {
        ascii(&self.bytes[self.target.range()])
    }

    /// The decoded path.
    pub(crate) fn path(&self) -> &str {
        match &self.decoded_path {
            Some(decoded) => decoded,
            None if self.path.start == self.path.end => "/", // `http://host` (RFC 9110 §4.2.3)
            None => ascii(&self.bytes[self.path.range()]),
        }
    }

    /// The field lines in the order in which they came.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines().map(|(name, value)| (ascii(name), value))
    }

    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        self.lines().find(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// All values of a field, in order.
    pub(crate) fn values(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.lines().filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The elements of a field that is a list, of all of its lines.
    pub(super) fn elements(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.values(name).flat_map(field::list_elements)
    }

    /// Whether the client names this media type among those that it takes (RFC 9110 §12.5.1), with whatever weight.
    pub(crate) fn accepts(&self, media_type: &str) -> bool {
        let is_it = |range| field::without_parameters(range).eq_ignore_ascii_case(media_type.as_bytes());
        self.elements("Accept").any(is_it)
    }

    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (&self.bytes[name.range()], &self.bytes[value.range()]))
    }

    /// `host[:port]` that the request is for: of an absolute target, else of the Host field.
    pub(crate) fn authority(&self) -> Option<&str> {
        self.authority.map(|authority| ascii(&self.bytes[authority.range()]))
    }

    pub(super) fn expects_continue(&self) -> bool {
        self.expectation == Expectation::Continue
    }

    /// Whether the client wants to go on after the answer (RFC 9112 §9.3).
    pub(crate) fn is_persistent(&self) -> bool {
        !self.wants_close && (self.minor_version > 0 || self.wants_keep_alive)
    }
}

/// Splits `method SP request-target SP HTTP-version` (RFC 9112 §3), and has the minor digit of the version.
///
/// §3 lets a recipient split on any white space. The grammar's single spaces are taken literally here.
fn request_line(line: &[u8]) -> Result<(&str, &str, u8), Refusal> {
    let first = line.iter().position(|byte| *byte == b' ').ok_or(Refusal::RequestLine)?;
    let last = line.iter().rposition(|byte| *byte == b' ').ok_or(Refusal::RequestLine)?;
    if first == last || !field::is_token(&line[..first]) {
        return Err(Refusal::RequestLine);
    }
    let (method, target) = (&line[..first], &line[first + 1..last]);
    let minor = http_version(&line[last + 1..])?;
    if method.len() > MAX_METHOD {
        return Err(Refusal::MethodTooLong);
    }
    if target.len() > MAX_TARGET {
        return Err(Refusal::TargetTooLong);
    }
    match target {
        text if text.is_empty() || text.contains(&b' ') => Err(Refusal::RequestLine),
        text if !text.iter().all(u8::is_ascii_graphic) => Err(Refusal::TargetByte),
        text => Ok((ascii(method), ascii(text), minor)), // a token and graphic bytes are ASCII
    }
}

/// `HTTP-version = "HTTP" "/" DIGIT "." DIGIT` (RFC 9112 §2.3), of which 1.0 and 1.1 are served.
fn http_version(version: &[u8]) -> Result<u8, Refusal> {
    match version {
        b"HTTP/1.1" => Ok(1),
        b"HTTP/1.0" => Ok(0),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Refusal::Version)
        }
        _ => Err(Refusal::RequestLine),
    }
}

/// Text that was judged to be ASCII before.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests;
