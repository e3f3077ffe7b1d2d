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

mod json;

use std::env;
use std::io::{self, BufRead, ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use brooklet::{Event, SendError};
use json::Json;

fn main() -> ExitCode {
    match env::args_os().nth(1) {
        Some(help) if help == "--help" || help == "-h" => {
            let usage =
                "Usage: encode\n\nReads events as lines of JSON, and writes the bytes of an event stream.\n";
            let _ = io::stdout().write_all(usage.as_bytes());
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            let _ = io::stderr().write_all(b"encode: it takes no arguments; see encode --help\n");
            return ExitCode::from(2);
        }
        None => {}
    }
    match encode(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::FAILURE, // as `| head` does: no news
        Err(error) => {
            let _ = writeln!(io::stderr(), "encode: {error}");
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
                let _ = writeln!(io::stderr(), "encode: line {number} is no JSON object: {why}");
                all_read = false;
            }
        }
    }
    Ok(all_read)
}

/// What a line says.
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
        if line.trim_start_matches([' ', '\t', '\n', '\r']).is_empty() {
            return Ok(None);
        }
        let object = Json::read(line)?.object().ok_or("it is something else")?;
        let text = |name| object.get(name).map(text);
        Ok(Some(Self {
            data: text("data"),
            event_type: text("event"),
            id: text("id"),
            retry: object.get("retry").and_then(millis),
            comment: text("comment"),
        }))
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

/// What is no string is its JSON text.
fn text(value: Json) -> String {
    value.string().unwrap_or_else(|| value.as_str().to_owned())
}

/// JSON has one kind of number: `5e3` and `5000.0` are as whole as `5000`.
fn millis(value: Json) -> Option<Duration> {
    let number: Option<f64> = value.as_str().parse().ok();
    let whole = number.filter(|millis| *millis >= 0.0 && millis.fract() == 0.0);
    whole.map(|millis| Duration::from_millis(millis as u64)) // the largest one, if there is no room for it
}
