//! A client that reads strictly: raw bytes out, answers in, nothing repaired on the way.
//!
//! Every read has a deadline. An answer that breaks a rule which holds for all answers
//! (framing, `Date`, one value per singleton field) is an error here, so no row repeats it.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use brooklet::RunningHost;

use crate::patience::{eventually, DEADLINE};

/// Fields that stand on one line: RFC 9110 §5.3 wants it of those that are no lists, and here the two lists keep to it.
const SINGLETONS: [&str; 6] = ["Allow", "Connection", "Content-Length", "Content-Type", "Date", "ETag"];

/// One answer, already known to be well formed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The line that an event stream begins with where it answers a GET.
    pub(crate) retry: Option<String>,
    fields: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let same = |(field, _): &&(String, String)| field.eq_ignore_ascii_case(name);
        self.fields.iter().find(same).map(|(_, value)| value.as_str())
    }

    /// The fields that describe the answer itself: all but `Date`, which the clock changes.
    pub(crate) fn lasting_fields(&self) -> Vec<&(String, String)> {
        self.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Date")).collect()
    }

    fn is_event_stream(&self) -> bool {
        let is_events = self.field("Content-Type") == Some("text/event-stream; charset=utf-8");
        is_events && self.field("Content-Length").is_none()
    }

    pub(crate) fn closes(&self) -> bool {
        let token = |token: &str| token.trim().eq_ignore_ascii_case("close");
        self.field("Connection").map_or(false, |value| value.split(',').any(token))
    }
}

pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Whether what was sent since the last answer begins with a GET: a stream that answers it begins with a line of its
    /// own.
    has_got: Cell<bool>,
}

/// Opens a connection to a host and sends a request.
#[track_caller]
pub(crate) fn ask(host: &RunningHost, request: &str) -> Wire {
    let wire = Wire::connect(host.address()).unwrap();
    wire.send(request.as_bytes());
    wire
}

/// Asks again until there is an answer, where the host gives a client less time to ask than a busy machine may need.
#[track_caller]
pub(crate) fn insist(host: &RunningHost, request: &str) -> (Wire, Answer) {
    let mut answered = None;
    eventually("an answer", || {
        let mut wire = ask(host, request);
        answered = wire.answer(request.starts_with("HEAD ")).ok().map(|answer| (wire, answer));
        answered.is_some()
    });
    answered.unwrap()
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(DEADLINE)).map_err(|error| error.to_string())?;
        stream.set_write_timeout(Some(DEADLINE)).map_err(|error| error.to_string())?;
        Ok(Self { stream, unread: Vec::new(), has_got: Cell::new(false) })
    }

    /// Writes as far as the peer lets us: a host may refuse before it has read everything,
    /// and what counts then is the answer, not the write.
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.has_got.set(self.has_got.get() || bytes.starts_with(b"GET "));
        let _ = (&self.stream).write_all(bytes);
    }

    /// Writes in pieces of `size` bytes, one segment each.
    pub(crate) fn send_in_pieces(&self, bytes: &[u8], size: usize) {
        self.has_got.set(self.has_got.get() || bytes.starts_with(b"GET "));
        for piece in bytes.chunks(size) {
            if (&self.stream).write_all(piece).is_err() {
                return;
            }
        }
    }

    /// Half-close: no more requests, answers still welcome (RFC 9112 §9.6).
    pub(crate) fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads exactly one answer; `head_only` is the answer to a HEAD request.
    pub(crate) fn answer(&mut self, head_only: bool) -> Result<Answer, String> {
        let mut answer = self.head()?;
        answer.body = self.body(&answer, head_only)?;
        if !answer.body.is_empty() && answer.field("Content-Type").is_none() {
            return Err(format!("{} has a body without Content-Type", answer.status));
        }
        Ok(answer)
    }

    /// Reads the head of an answer and nothing behind it but the line that a stream begins with: its body has no end that
    /// could be awaited.
    pub(crate) fn head(&mut self) -> Result<Answer, String> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            if self.fill()? == 0 {
                return Err(format!("end of connection, no answer: {}", show(&self.unread)));
            }
        };
        let head = String::from_utf8(self.unread.drain(..end + 4).collect())
            .map_err(|error| format!("an answer's head is not ASCII: {error}"))?;
        let mut answer = parse_head(head.trim_end_matches("\r\n"))?;
        if self.has_got.take() && answer.is_event_stream() {
            answer.retry = Some(self.line()?);
        }
        Ok(answer)
    }

    fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                return String::from_utf8(self.unread.drain(..=end).collect())
                    .map_err(|error| error.to_string());
            }
            if self.fill()? == 0 {
                return Err(format!("end of connection in the first line: {}", show(&self.unread)));
            }
        }
    }

    /// Reads as many bytes as are expected, which must be those.
    pub(crate) fn exactly(&mut self, expected: &[u8]) -> Result<(), String> {
        while self.unread.len() < expected.len() {
            if self.fill()? == 0 {
                return Err(format!("end of connection, so far {}", show(&self.unread)));
            }
        }
        let found: Vec<_> = self.unread.drain(..expected.len()).collect();
        match found == expected {
            true => Ok(()),
            false => Err(format!("expected {}, got {}", show(expected), show(&found))),
        }
    }

    /// The next bytes, as many as have arrived by now; none at the end.
    pub(crate) fn piece(&mut self) -> Result<Vec<u8>, String> {
        if self.unread.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.unread))
    }

    /// Reads to the end of the connection, which must be an orderly one.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>, String> {
        while self.fill()? != 0 {}
        Ok(std::mem::take(&mut self.unread))
    }

    /// RFC 9112 §6.3 as a client reads it. A stream ends with its connection, behind its last chunk where it has chunks;
    /// everything else has a length.
    fn body(&mut self, answer: &Answer, head_only: bool) -> Result<Vec<u8>, String> {
        if head_only || answer.status < 200 || matches!(answer.status, 204 | 304) {
            return Ok(Vec::new());
        }
        if let Some(length) = answer.field("Content-Length") {
            let length: usize = length.parse().map_err(|_| format!("Content-Length: {length}"))?;
            while self.unread.len() < length {
                if self.fill()? == 0 {
                    return Err("an answer's body is shorter than its Content-Length".to_owned());
                }
            }
            return Ok(self.unread.drain(..length).collect());
        }
        if !answer.closes() || !answer.is_event_stream() {
            return Err(format!("{} without Content-Length is no event stream", answer.status));
        }
        let rest = self.rest()?;
        match answer.field("Transfer-Encoding") {
            Some(_) => whole_chunks(&rest).ok_or_else(|| format!("no whole chunks: {}", show(&rest))),
            None => Ok(rest),
        }
    }

    /// Nothing may follow: an orderly end, not a reset, not another answer.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        while self.unread.is_empty() {
            if self.fill()? == 0 {
                return Ok(());
            }
        }
        Err(format!("unexpected bytes after the last answer: {}", show(&self.unread)))
    }

    fn fill(&mut self) -> Result<usize, String> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(count)
            }
            // A process that was stopped and goes on: a read with a deadline does not begin again by itself.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.fill(),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(format!("nothing within {DEADLINE:?}, so far {}", show(&self.unread)))
            }
            Err(error) => Err(format!("{error}, so far {}", show(&self.unread))),
        }
    }
}

/// `HTTP/1.1 SP 3DIGIT SP [ reason ]` and the field lines (RFC 9112 §4, §5).
pub(crate) fn parse_head(head: &str) -> Result<Answer, String> {
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .strip_prefix("HTTP/1.1 ") // our own version, whatever the request's (RFC 9110 §6.2)
        .filter(|rest| rest.len() >= 4 && rest.as_bytes()[3] == b' ')
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .filter(|status| (100..600).contains(status))
        .ok_or_else(|| format!("bad status line {status_line:?}"))?;
    let mut answer = Answer { status, body: Vec::new(), retry: None, fields: Vec::new() };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("no colon: {line:?}"))?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty()
            || !name.bytes().all(token)
            || value.bytes().any(|byte| !(b' '..=b'~').contains(&byte))
        {
            return Err(format!("bad field line {line:?}"));
        }
        if SINGLETONS.iter().any(|single| single.eq_ignore_ascii_case(name)) && answer.field(name).is_some() {
            return Err(format!("{name} twice"));
        }
        answer.fields.push((name.to_owned(), value.trim().to_owned()));
    }
    check_head(&answer)?;
    Ok(answer)
}

/// RFC 9112 §7.1: what chunks say, the last of them included, with neither extensions nor trailers.
fn whole_chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let digits = std::str::from_utf8(&bytes[..end]).ok().filter(|digits| !digits.contains('+'))?;
        let size = usize::from_str_radix(digits, 16).ok()?;
        let chunk = bytes.get(end + 2..end + 2 + size)?;
        bytes = bytes[end + 2 + size..].strip_prefix(b"\r\n")?;
        match size {
            0 => return bytes.is_empty().then_some(whole),
            _ => whole.extend_from_slice(chunk),
        }
    }
}

/// What holds for every answer.
fn check_head(answer: &Answer) -> Result<(), String> {
    let status = answer.status;
    if status == 101 {
        return Err("nobody asked to leave HTTP".to_owned());
    }
    let coding = answer.field("Transfer-Encoding");
    // RFC 9112 §6.1; streams alone have chunks.
    if coding.is_some() && (coding != Some("chunked") || !answer.closes() || status != 200) {
        return Err(format!("{status} with Transfer-Encoding"));
    }
    // RFC 9110 §8.6: none where there can be no content, and digits alone. A 304 may have one, and here has none (§15.4.5).
    let has_content = status >= 200 && !matches!(status, 204 | 304);
    let is_number = |length: &str| has_content && length.bytes().all(|byte| byte.is_ascii_digit());
    if !answer.field("Content-Length").map_or(true, is_number) {
        return Err(format!("{status} with Content-Length {:?}", answer.field("Content-Length")));
    }
    // RFC 9110 §15.5.6
    if status == 405 && answer.field("Allow").is_none() {
        return Err("405 without Allow".to_owned());
    }
    // RFC 9110 §6.6.1: an origin server with a clock dates its answers; it need not date errors of its own, and does here.
    match answer.field("Date") {
        Some(date) if is_fixdate(date) => Ok(()),
        None if status < 200 => Ok(()),
        date => Err(format!("{status} with Date {date:?}")),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7): `a` stands for a letter, `0` for a digit.
fn is_fixdate(date: &str) -> bool {
    let fits = |(byte, pattern): (u8, u8)| match pattern {
        b'a' => byte.is_ascii_alphabetic(),
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    let pattern = "aaa, 00 aaa 0000 00:00:00 GMT";
    date.len() == pattern.len() && date.bytes().zip(pattern.bytes()).all(fits)
}

/// Bytes for a message: escaped, and cut where they would flood it.
pub(crate) fn show(bytes: &[u8]) -> String {
    let shown = bytes[..bytes.len().min(400)].escape_ascii();
    let cut = if bytes.len() > 400 { format!("… ({} bytes)", bytes.len()) } else { String::new() };
    format!("\"{shown}\"{cut}")
}
