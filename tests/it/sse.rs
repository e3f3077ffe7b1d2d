//! An event stream as a browser reads it: the algorithm of HTML §9.2.6, step by step and nothing else.
//!
//! It takes the stream in pieces that may end anywhere, and shares no line with the library: not with its encoder, which
//! it judges, and not with `brooklet::testing`, which reads streams for whoever tests what is in them. Were there one
//! parser for both, a rule that was misread once would be misread on both sides, and no test would tell. Instead both
//! parsers are held against each other, in `testing/parsing.rs`.

/// What a listener gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) event_type: String,
    pub(crate) data: String,
    pub(crate) last_event_id: String,
}

/// One connection of an `EventSource`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parser {
    pub(crate) messages: Vec<Message>,
    /// What stands behind the colon of a comment, which browsers throw away.
    pub(crate) comments: Vec<String>,
    /// The reconnection time, if there was one.
    pub(crate) retry: Option<u128>,
    /// What a reconnect would send.
    pub(crate) last_event_id: String,

    line: Vec<u8>,
    is_past_bom: bool,
    follows_cr: bool,
    data: String,
    event_type: String,
    id: String,
}

impl Parser {
    /// Reads a whole stream.
    pub(crate) fn read(stream: impl AsRef<[u8]>) -> Self {
        Self::read_pieces([stream])
    }

    /// Reads a stream in pieces. An event without its blank line is none: "Once the end of the file is
    /// reached, any pending data must be discarded."
    pub(crate) fn read_pieces<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> Self {
        let mut parser = Self::default();
        for piece in pieces {
            parser.feed(piece.as_ref());
        }
        parser
    }

    pub(crate) fn feed(&mut self, piece: &[u8]) {
        for &byte in piece {
            let ends_crlf = std::mem::take(&mut self.follows_cr) && byte == b'\n';
            match byte {
                b'\n' if ends_crlf => {} // the line ended with the CR
                b'\r' | b'\n' => {
                    self.follows_cr = byte == b'\r';
                    self.end_line();
                }
                _ => self.line.push(byte),
            }
        }
    }

    /// "Streams must be decoded using the UTF-8 decode algorithm", which strips one BOM at the start. Line ends
    /// are ASCII, so each line can be decoded for itself.
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let is_first = !std::mem::replace(&mut self.is_past_bom, true);
        let line = if is_first { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
        let line = String::from_utf8_lossy(line);
        match line.split_once(':') {
            _ if line.is_empty() => self.dispatch(),
            Some(("", comment)) => self.comments.push(comment.to_owned()),
            Some((name, value)) => self.field(name, value.strip_prefix(' ').unwrap_or(value)),
            None => self.field(&line, ""),
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        match name {
            "event" => self.event_type = value.to_owned(),
            "data" => {
                self.data += value;
                self.data += "\n";
            }
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().or(self.retry); // no digits are no time
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.last_event_id = self.id.clone();
        let data = std::mem::take(&mut self.data);
        let event_type = std::mem::take(&mut self.event_type);
        // Without a single data line there is nothing to dispatch; one empty line is a `\n` here.
        if let Some(data) = data.strip_suffix('\n') {
            self.messages.push(Message {
                event_type: if event_type.is_empty() { "message".to_owned() } else { event_type },
                data: data.to_owned(),
                last_event_id: self.last_event_id.clone(),
            });
        }
    }
}

/// The examples of HTML §9.2.6, and each rule of it.
#[test]
fn the_standard() {
    check("data: YHOO\ndata: +2\ndata: 10\n\n", &["message|YHOO\n+2\n10|"]);
    let four = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n";
    check(four, &["message|first event|1", "message|second event|"]); // the last one has no end
    check(&format!("{four}\n"), &["message|first event|1", "message|second event|", "message| third event|"]);
    check("data\n\ndata\ndata\n\ndata:", &["message||", "message|\n|"]);
    check("data:test\n\ndata: test\n\n", &["message|test|", "message|test|"]);

    check("\u{feff}data: a\n\n", &["message|a|"]);
    check("\u{feff}\u{feff}data: a\n\n", &[]);
    check("data: a\n\n\u{feff}data: b\n\n", &["message|a|"]);
    check("data: a\rdata: b\r\ndata: c\n\r\n", &["message|a\nb\nc|"]);
    check("data: a\r\r\ndata: b\n\n", &["message|a|", "message|b|"]);
    check("event: x\ndata: a\n\ndata: b\n\n", &["x|a|", "message|b|"]);
    check("event: x\n\ndata: b\n\n", &["message|b|"]); // the type goes with its block
    check("event: x\nevent\ndata: a\n\n", &["message|a|"]);
    check("id: 1\n\ndata: a\n\nid: 2\0\ndata: b\n\n", &["message|a|1", "message|b|1"]);
    check("id: 1\ndata: a\n\nid\ndata: b\n\n", &["message|a|1", "message|b|"]);
    check(" data: a\nData: b\ndata : c\nunknown\n\n", &[]);
    check("data: a\u{2028}b\u{85}c\x0bd\0\n\n", &["message|a\u{2028}b\u{85}c\x0bd\0|"]);

    retry("retry: 100\n", Some(100));
    retry("retry: 1\nretry: 2s\nretry: -3\nretry:  4\nretry: 0x5\nretry: ٣\nretry\n", Some(1));

    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        let whole = Parser::read(stream);
        let messages: Vec<_> = whole.messages.iter().map(Message::to_string).collect();
        assert_eq!(messages, expected, "{stream:?}");
        assert_eq!(Parser::read_pieces(stream.as_bytes().chunks(1)), whole, "{stream:?} byte by byte");
    }

    #[track_caller]
    fn retry(stream: &str, expected: Option<u128>) {
        assert_eq!(Parser::read(stream).retry, expected, "{stream:?}");
    }
}

/// `type|data|last event id`, for tables.
impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}|{}|{}", self.event_type, self.data, self.last_event_id)
    }
}
