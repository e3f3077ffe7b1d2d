//! Puts a response into bytes: status line, fields, and the body where there is one (RFC 9112 §4, RFC 9110 §8.6).

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use super::close_reason::CloseReason;
use super::connection::Connection;
use super::reader::FIRST_BUFFER;
use super::Response;
use crate::calendar::Utc;
use crate::digits::Digits;

/// A body up to this length leaves with its head in one write. A body that is read from a file is read in such pieces.
const ONE_WRITE: u64 = 64 * 1024;

/// What says that a body in chunks is whole (RFC 9112 §7.1).
pub(crate) const LAST_CHUNK: &str = "0\r\n\r\n";

/// Makes text, which must not be empty, a chunk.
pub(crate) fn make_chunk(text: &mut String) {
    text.insert_str(0, &format!("{:x}\r\n", text.len()));
    text.push_str("\r\n");
}

/// What the connection does after an answer, as the answer has to say it (RFC 9112 §9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    Close,
    /// It stays open, as HTTP/1.1 has it where nothing else is said.
    Stay,
    /// It stays open, for an HTTP/1.0 client that asked for that.
    StayByRequest,
}

/// Writes the answers of a connection, with what it can keep from one to the next.
pub(crate) struct AnswerWriter {
    buffer: Vec<u8>,
    date: DateLine,
}

impl AnswerWriter {
    pub(crate) fn new() -> Self {
        Self { buffer: Vec::new(), date: DateLine::default() } // many connections wait for a head at once
    }

    /// Writes the head of `response`, and its body unless `method` is HEAD; of a stream what it begins with, in the
    /// same write. Returns the length of the body as it was written. What reading it failed with stays in `response`.
    pub(crate) fn write(
        &mut self,
        connection: &Connection,
        method: &str,
        response: &mut Response,
        persistence: Persistence,
    ) -> Result<u64, CloseReason> {
        let date = self.date.at(SystemTime::now());
        self.buffer.clear();
        self.buffer.reserve(FIRST_BUFFER);
        write_head(&mut self.buffer, response, persistence, date);
        let has_body = response.has_body(method);
        if let (Some(start), true) = (response.stream_start(), has_body) {
            let mut first = start.first.clone();
            if start.is_chunked && !first.is_empty() {
                make_chunk(&mut first);
            }
            self.buffer.extend_from_slice(first.as_bytes());
        }
        let length = response.body_length().filter(|_| has_body).unwrap_or(0);
        if let (Some(body), true) = (response.body_bytes(), length > ONE_WRITE) {
            connection.write_all(&self.buffer)?;
            return connection.write_all(body).map(|()| length);
        }
        let mut left = length;
        // The rest goes through the buffer, the first piece with the head: a body in memory is one piece here, and what has
        // to be read may be many.
        loop {
            let piece = left.min(ONE_WRITE);
            response.read_body(&mut self.buffer, piece as usize)?;
            connection.write_all(&self.buffer)?;
            left -= piece;
            if left == 0 {
                return Ok(length);
            }
            self.buffer.clear();
        }
    }
}

fn write_head(buffer: &mut Vec<u8>, response: &Response, persistence: Persistence, date: &str) {
    let mut put = |parts: &[&str]| parts.iter().for_each(|part| buffer.extend_from_slice(part.as_bytes()));
    let status = response.status_code();
    // An HTTP/1.0 client is answered with the server's own version as well (RFC 9110 §6.2).
    put(&["HTTP/1.1 ", Digits::of(status.code().into()).as_str(), " ", status.reason(), "\r\n"]);
    if response.header_value("Date").is_none() {
        put(&[date]);
    }
    for (name, value) in &response.fields {
        put(&[name, ": ", value.as_str(), "\r\n"]);
    }
    let has_body = !status.is_bodiless();
    if let (Some(length), true) = (response.body_length(), has_body) {
        put(&["Content-Length: ", Digits::of(length).as_str(), "\r\n"]);
    }
    if has_body && matches!(response.stream_start(), Some(start) if start.is_chunked) {
        put(&["Transfer-Encoding: chunked\r\n"]);
    }
    put(match persistence {
        Persistence::Close => &["Connection: close\r\n", "\r\n"],
        Persistence::Stay => &["\r\n"],
        Persistence::StayByRequest => &["Connection: keep-alive\r\n", "\r\n"],
    });
}

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT` and the line's end.
const DATE_LENGTH: usize = 37;

/// The `Date` of a second, made once for all of this connection's answers in it.
#[derive(Default)]
struct DateLine {
    second: u64,
    line: String,
}

impl DateLine {
    fn at(&mut self, now: SystemTime) -> &str {
        let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.line.is_empty() || second != self.second {
            self.second = second;
            self.line.clear();
            // Allocated once: as it grew, the C library would keep each outgrown piece for this thread.
            self.line.reserve_exact(DATE_LENGTH);
            write_date(&mut self.line, Utc::from_system(now));
        }
        &self.line
    }
}

/// `Date` as an IMF-fixdate (RFC 9110 §5.6.7, §6.6.1).
fn write_date(line: &mut String, utc: Utc) {
    const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Utc { year, day, hour, minute, second, .. } = utc;
    let (weekday, month) = (WEEKDAYS[utc.weekday], MONTHS[utc.month - 1]);
    let _ =
        write!(line, "Date: {weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates() {
        let mut date = DateLine::default();
        let mut check = |seconds, expected: &str| {
            let line = date.at(UNIX_EPOCH + Duration::from_secs_f64(seconds));
            assert_eq!(line, format!("Date: {expected}\r\n"));
        };
        check(0.0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777.0, "Sun, 06 Nov 1994 08:49:37 GMT"); // RFC 9110 §5.6.7
        check(784_111_777.9, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(784_111_778.0, "Sun, 06 Nov 1994 08:49:38 GMT");
        check(784_111_777.0, "Sun, 06 Nov 1994 08:49:37 GMT"); // a clock that is set back
    }
}
