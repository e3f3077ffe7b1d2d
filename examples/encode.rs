//! The wire format as a filter: events as lines of JSON go in, the bytes of an event stream come out.
//!
//! Run `cargo run --example encode` and type, or pipe:
//!
//! ```text
//! $ echo '{"comment":"prices","event":"AAPL","id":"7","retry":5000,"data":"up\nand down"}' | encode
//! : prices
//! event: AAPL
//! id: 7
//! retry: 5000
//! data: up
//! data: and down
//!
//! ```
//!
//! Each line is an object of `data`, `event`, `id`, `retry` and `comment`; what is absent or `null` is not sent.
//! Without `data` clients dispatch no event, with `""` an empty one; an `id` of `""` makes them forget the last.
//! What is no text, such as a number or a list, is sent as its JSON text. What a stream cannot carry is left
//! out: an id or type with a line end in it, an id with NUL, a `retry` that is no whole number from 0 on.
//!
//! A line that is no JSON object is reported and skipped; the exit code is 1 then. Look at what becomes of text
//! that wants to break out of its line: `{"data":"a\rdata: b"}`, `{"comment":"a\ndata: b"}`, `{"id":"1\ndata: b"}`.

use std::io::{self, BufRead, ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use brooklet::{Event, SendError};

fn main() -> ExitCode {
    match encode(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::FAILURE, // as `| head` does: no news
        Err(error) => {
            eprintln!("encode: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Encodes line by line, each at once, and says whether all of them were objects.
fn encode(input: &mut impl BufRead, output: &mut impl Write) -> io::Result<bool> {
    let mut all_read = true;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        match std::str::from_utf8(&line).map_err(|_| "it is not UTF-8").and_then(Record::read) {
            Ok(Some(record)) => {
                output.write_all(record.block().as_bytes())?;
                output.flush()?; // whoever reads the pipe has it now
            }
            Ok(None) => {}
            Err(why) => {
                eprintln!("encode: line {number} is no JSON object: {why}");
                all_read = false;
            }
        }
    }
    Ok(all_read)
}

/// What a line says.
#[derive(Default)]
struct Record {
    data: Option<String>,
    event_type: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
    comment: Option<String>,
}

impl Record {
    /// `None` for a line with nothing on it.
    fn read(line: &str) -> Result<Option<Self>, &'static str> {
        let mut json = Json { rest: line };
        json.skip_white_space();
        if json.rest.is_empty() {
            return Ok(None);
        }
        let mut record = Self::default();
        json.object(|name, json| {
            let value = json.value(1)?;
            match name.as_str() {
                "data" => record.data = value.into_text(),
                "event" => record.event_type = value.into_text(),
                "id" => record.id = value.into_text(),
                "retry" => record.retry = value.into_millis(),
                "comment" => record.comment = value.into_text(),
                _ => {}
            }
            Ok(())
        })?;
        json.skip_white_space();
        match json.rest {
            "" => Ok(Some(record)),
            _ => Err("something follows it"),
        }
    }

    /// The comment, the fields and the blank line that ends them.
    fn block(mut self) -> String {
        loop {
            match self.event().encode() {
                Ok(block) => return block,
                Err(SendError::InvalidId) => self.id = None,
                Err(_) => self.event_type = None, // all else that can be wrong here
            }
        }
    }

    fn event(&self) -> Event<'_, &str> {
        let mut event = self.data.as_deref().map_or_else(Event::without_data, Event::new);
        if let Some(comment) = &self.comment {
            event = event.comment(comment);
        }
        if let Some(event_type) = &self.event_type {
            event = event.event_type(event_type);
        }
        if let Some(id) = &self.id {
            event = event.id(id);
        }
        match self.retry {
            Some(retry) => event.retry(retry),
            None => event,
        }
    }
}

/// A value, as far as an event cares.
enum Value<'a> {
    Null,
    Text(String),
    /// A number, a list, …: its JSON text.
    Other(&'a str),
}

impl Value<'_> {
    fn into_text(self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text),
            Self::Other(json) => Some(json.to_owned()),
        }
    }

    /// JSON has one kind of number: `5e3` and `5000.0` are as whole as `5000`.
    fn into_millis(self) -> Option<Duration> {
        match self {
            Self::Other(json) => {
                json.parse().ok().filter(|millis: &f64| *millis >= 0.0 && millis.fract() == 0.0)
            }
            Self::Null | Self::Text(_) => None,
        }
        .map(|millis| Duration::from_millis(millis as u64)) // the largest one, if there is no room for it
    }
}

/// A strict reader of JSON (RFC 8259), from left to right.
struct Json<'a> {
    rest: &'a str,
}

/// Where lists are in lists: a reader that calls itself has to stop somewhere.
const MAX_DEPTH: usize = 128;

impl<'a> Json<'a> {
    fn value(&mut self, depth: usize) -> Result<Value<'a>, &'static str> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply");
        }
        self.skip_white_space();
        let start = self.rest;
        match start.bytes().next() {
            Some(b'"') => return self.string().map(Value::Text),
            Some(b'{') => self.object(|_, json| json.value(depth + 1).map(drop))?,
            Some(b'[') => self.list(depth)?,
            _ => self.word()?,
        }
        match &start[..start.len() - self.rest.len()] {
            "null" => Ok(Value::Null),
            json => Ok(Value::Other(json)),
        }
    }

    /// `member` gets each name, and reads the value.
    fn object(
        &mut self,
        mut member: impl FnMut(String, &mut Self) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        self.expect('{', "a `{` is missing")?;
        if self.take('}') {
            return Ok(());
        }
        loop {
            self.skip_white_space();
            let name = self.string()?;
            self.expect(':', "a `:` is missing")?;
            member(name, self)?;
            if self.take('}') {
                return Ok(());
            }
            self.expect(',', "a `,` or `}` is missing")?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), &'static str> {
        self.expect('[', "a `[` is missing")?;
        if self.take(']') {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            if self.take(']') {
                return Ok(());
            }
            self.expect(',', "a `,` or `]` is missing")?;
        }
    }

    /// `true`, `false`, `null` or a number.
    fn word(&mut self) -> Result<(), &'static str> {
        let is_over = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        let (word, rest) = self.rest.split_at(self.rest.find(is_over).unwrap_or(self.rest.len()));
        self.rest = rest;
        match word {
            "" => Err("a value is missing"),
            "true" | "false" | "null" => Ok(()),
            number if is_number(number) => Ok(()),
            _ => Err("a value is neither a number nor a word of JSON"),
        }
    }

    /// Gathered in UTF-16, in which escapes are: so pairs of them find each other, and what is left alone
    /// becomes U+FFFD.
    fn string(&mut self) -> Result<String, &'static str> {
        let mut units = Vec::new();
        self.rest = self.rest.strip_prefix('"').ok_or("a string is missing")?;
        loop {
            let char = self.char()?;
            match char {
                '"' => return Ok(String::from_utf16_lossy(&units)),
                '\\' => units.push(self.escape()?),
                '\0'..='\x1f' => return Err("a string has a control character in it"),
                _ => units.extend_from_slice(char.encode_utf16(&mut [0; 2])),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<u16, &'static str> {
        Ok(match self.char()? {
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'u' => return self.four_digits(),
            itself @ ('"' | '\\' | '/') => itself as u16,
            _ => return Err("a string has an unknown escape in it"),
        })
    }

    fn four_digits(&mut self) -> Result<u16, &'static str> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or("a string has a `\\u` without four hexadecimal digits in it")?;
        self.rest = &self.rest[4..];
        Ok(unit)
    }

    fn char(&mut self) -> Result<char, &'static str> {
        let mut chars = self.rest.chars();
        let char = chars.next().ok_or("a string does not end")?;
        self.rest = chars.as_str();
        Ok(char)
    }

    fn skip_white_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, token: char) -> bool {
        self.skip_white_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => self.rest = rest,
            None => return false,
        }
        true
    }

    fn expect(&mut self, token: char, otherwise: &'static str) -> Result<(), &'static str> {
        self.take(token).then_some(()).ok_or(otherwise)
    }
}

/// `number = [ minus ] int [ frac ] [ exp ]` (RFC 8259 §6)
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    digits(integer)
        && (integer == "0" || !integer.starts_with('0'))
        && digits(fraction)
        && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
}
