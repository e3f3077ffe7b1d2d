//! The law of the wire: what a browser reads is what was sent, with its line ends as LF.
//!
//! Random events are encoded, read by the algorithm of the standard (see [`sse`](crate::sse)) in one piece and
//! in many, and compared. Nothing that is sent may become anything else, nor add an event.

use std::time::Duration;

use brooklet::{Event, EventConnection, EventSource, Formatting, Host, RawJson, SendError, Text};

use crate::memory::Memory;
use crate::random::Random;
use crate::sse::{Message, Parser};

/// Line ends, what some take for line ends, what fields are made of, and characters of every length.
pub(crate) const AWKWARD: [&str; 32] = [
    "\r",
    "\n",
    "\r\n",
    "\0",
    ":",
    " ",
    "  ",
    "\t",
    "\u{feff}",
    "\u{2028}",
    "\u{2029}",
    "\u{85}",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x7f",
    "a",
    "x: y",
    "ü",
    "漢",
    "🦀",
    "e\u{301}",
    "data",
    "data: ",
    "event: forged",
    "id: 9",
    "id",
    "retry: 1",
    ": no comment",
    "\n\n",
    "\r\r",
    "\u{fffd}",
];

/// One event, and what it says of itself.
#[derive(Default)]
struct Sample {
    comment: Option<String>,
    data: Option<String>,
    event_type: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
}

impl Sample {
    fn random(random: &mut Random) -> Self {
        Self {
            comment: random.once_in(6).then(|| random.text(&AWKWARD, 5)),
            data: (!random.once_in(10)).then(|| random.text(&AWKWARD, 10)),
            event_type: random.once_in(3).then(|| mostly_one_line(random)),
            id: random.once_in(2).then(|| mostly_one_line(random)),
            retry: random.once_in(8).then(|| random.bits() >> random.below(64)),
        }
    }

    fn event(&self) -> Event<'_, &str> {
        let mut event = match &self.data {
            Some(data) => Event::new(data.as_str()),
            None => Event::without_data(),
        };
        if let Some(comment) = &self.comment {
            event = event.comment(comment);
        }
        if let Some(event_type) = &self.event_type {
            event = event.event_type(event_type);
        }
        if let Some(id) = &self.id {
            event = event.id(id);
        }
        if let Some(retry) = self.retry {
            event = event.retry(Duration::from_millis(retry));
        }
        event
    }

    /// What cannot be sent: a field is a line, and clients ignore ids with NUL.
    fn flaw(&self) -> Option<SendError> {
        let holds =
            |text: &Option<String>, flaws: &[char]| matches!(text, Some(text) if text.contains(flaws));
        match () {
            () if holds(&self.event_type, &['\r', '\n']) => Some(SendError::InvalidEventType),
            () if holds(&self.id, &['\r', '\n', '\0']) => Some(SendError::InvalidId),
            () => None,
        }
    }
}

fn mostly_one_line(random: &mut Random) -> String {
    let text = random.text(&AWKWARD, 5);
    if random.once_in(10) {
        return text;
    }
    text.replace(['\r', '\n', '\0'], "")
}

/// The model: what a browser has after it was sent some samples.
#[derive(Default, Debug, PartialEq)]
struct Expected {
    messages: Vec<Message>,
    comments: Vec<String>,
    retry: Option<u128>,
    last_event_id: String,
}

impl Expected {
    fn event(&mut self, sample: &Sample) {
        if let Some(comment) = &sample.comment {
            self.comment(comment);
        }
        if let Some(id) = &sample.id {
            self.last_event_id.clone_from(id);
        }
        if let Some(retry) = sample.retry {
            self.retry = Some(u128::from(retry.min(1 << 53))); // as much as JavaScript's numbers hold
        }
        if let Some(data) = &sample.data {
            let event_type = sample.event_type.as_deref().filter(|event_type| !event_type.is_empty());
            self.messages.push(Message {
                event_type: event_type.unwrap_or("message").to_owned(),
                data: with_lf(data),
                last_event_id: self.last_event_id.clone(),
            });
        }
    }

    fn comment(&mut self, text: &str) {
        self.comments.extend(with_lf(text).split('\n').map(|line| format!(" {line}")));
    }

    #[track_caller]
    fn check(&self, parser: Parser, stream: &[u8]) {
        let Parser { messages, comments, retry, last_event_id, .. } = parser;
        assert_eq!(&Self { messages, comments, retry, last_event_id }, self, "{}", stream.escape_ascii());
    }
}

fn with_lf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

#[test]
fn what_is_encoded_is_what_is_read() {
    let mut random = Random::new(1);
    let (mut sent, mut refused) = (0, 0);
    for round in 0..5000 {
        let mut stream = String::new();
        let mut expected = Expected::default();
        for _ in 0..6 {
            let sample = Sample::random(&mut random);
            match (sample.event().encode(), sample.flaw()) {
                (Ok(block), None) => {
                    stream += &block;
                    expected.event(&sample);
                    sent += 1;
                }
                (Err(error), Some(flaw)) => {
                    assert_eq!(error, flaw);
                    refused += 1;
                }
                (encoded, flaw) => panic!("{encoded:?} where {flaw:?} was expected"),
            }
        }
        let stream = stream.as_bytes();
        expected.check(Parser::read(stream), stream);
        expected.check(Parser::read_pieces(stream.chunks(1)), stream);
        expected.check(Parser::read_pieces(random.cut(stream, 9)), stream);
        if round % 25 == 0 {
            for at in 0..=stream.len() {
                expected.check(Parser::read_pieces([&stream[..at], &stream[at..]]), stream);
            }
        }
    }
    assert!(sent >= 20_000 && refused >= 500, "{sent} sent, {refused} refused");
}

/// The same over a connection: whatever calls, in whatever order, comments among them.
#[test]
fn what_is_sent_is_what_is_read() {
    let mut random = Random::new(2);
    for seed in 1..=500 {
        let source = EventSource::new(move |connection| {
            let mut calls = Random::new(seed);
            for _ in 0..12 {
                call(connection, &mut calls)?;
            }
            Ok(())
        });
        let stream = stream(source);

        let mut expected = Expected::default();
        let mut calls = Random::new(seed);
        for _ in 0..12 {
            foresee(&mut expected, &mut calls);
        }
        expected.check(Parser::read(&stream), &stream);
        expected.check(Parser::read_pieces(random.cut(&stream, 9)), &stream);
    }

    fn call(connection: &mut EventConnection<'_>, calls: &mut Random) -> Result<(), SendError> {
        match calls.below(5) {
            0 => connection.comment(&calls.text(&AWKWARD, 8)),
            1 => connection.data(calls.text(&AWKWARD, 8)),
            2 => {
                let event_type = calls.text(&AWKWARD, 3).replace(['\r', '\n'], "");
                connection.event(&event_type, calls.text(&AWKWARD, 8))
            }
            3 => or_flawed(connection.send(Sample::random(calls).event())),
            _ => {
                let samples = [Sample::random(calls), Sample::random(calls), Sample::random(calls)];
                or_flawed(connection.send_all(samples.iter().map(Sample::event)))
            }
        }
    }

    fn foresee(expected: &mut Expected, calls: &mut Random) {
        let data = |data| Sample { data: Some(data), ..Sample::default() };
        match calls.below(5) {
            0 => expected.comment(&calls.text(&AWKWARD, 8)),
            1 => expected.event(&data(calls.text(&AWKWARD, 8))),
            2 => {
                let event_type = calls.text(&AWKWARD, 3).replace(['\r', '\n'], "");
                expected.event(&Sample { event_type: Some(event_type), ..data(calls.text(&AWKWARD, 8)) });
            }
            kind => {
                let samples: Vec<_> =
                    (0..if kind == 3 { 1 } else { 3 }).map(|_| Sample::random(calls)).collect();
                // Of many, those before a flawed one are sent.
                for sample in samples.iter().take_while(|sample| sample.flaw().is_none()) {
                    expected.event(sample);
                }
            }
        }
    }

    /// What cannot be sent leaves no trace, and the stream goes on.
    fn or_flawed(sent: Result<(), SendError>) -> Result<(), SendError> {
        match sent {
            Err(SendError::InvalidEventType | SendError::InvalidId) => Ok(()),
            other => other,
        }
    }
}

/// Inputs that other libraries of this kind, in whatever language, let through as events, types or ids of their
/// own, or lost. Each of them was reported or seen somewhere.
#[test]
fn hostile_inputs() {
    let no_messages: &[&str] = &[];
    // Text that ends its line.
    check(|c| c.data("a\r\nb"), &["message|a\nb|"]); // two line ends elsewhere
    check(|c| c.data("a\revent: INJ"), &["message|a\nevent: INJ|"]); // the type elsewhere
    check(|c| c.data("a\n\ndata: INJ\n\n"), &["message|a\n\ndata: INJ\n\n|"]);
    check(|c| c.data("a\r\rid: INJ"), &["message|a\n\nid: INJ|"]);
    check(|c| c.data("\nretry: 1\n"), &["message|\nretry: 1\n|"]);
    check(|c| c.data("a\n"), &["message|a\n|"]); // the last line end lost elsewhere
    check(|c| c.data("\n"), &["message|\n|"]);
    // Text that is no event elsewhere.
    check(|c| c.data(""), &["message||"]);
    check(|c| c.data(None::<u8>), &["message||"]);
    check(|c| c.event("t", ""), &["t||"]);
    // Text that loses something elsewhere.
    check(|c| c.data("  two spaces"), &["message|  two spaces|"]);
    check(|c| c.data(": x"), &["message|: x|"]);
    check(|c| c.data("\u{feff}x"), &["message|\u{feff}x|"]);
    check(|c| c.data("a\x0bb\x0cc\u{85}d\u{2028}e\x1cf"), &["message|a\x0bb\x0cc\u{85}d\u{2028}e\x1cf|"]);
    // NUL is no line end, and spoils nothing but ids.
    check(|c| c.event("t\0", "x"), &["t\0|x|"]);
    // Types and ids that end their line: nothing is sent, nothing panics, and the stream goes on.
    for end in ["\n", "\r", "\r\n", "\n\n", "\r\r"] {
        let hostile = format!("m{end}data: INJ{end}{end}");
        let (event_type, id) = (hostile.clone(), hostile.clone());
        let source = EventSource::new(move |c| {
            assert_eq!(c.event(&event_type, 1), Err(SendError::InvalidEventType));
            assert_eq!(c.send(Event::new(1).id(&*id)), Err(SendError::InvalidId));
            assert_eq!(c.send(Event::without_data().id(&*id)), Err(SendError::InvalidId));
            Ok(c.data("on")?)
        });
        check_source(source, &["message|on|"]);

        // A comment cannot be flawed: each of its lines is a comment.
        let source = EventSource::new(move |c| Ok(c.comment(&hostile)?));
        check_source(source, no_messages);
    }
    check(|c| c.comment("c\ndata: INJ\n\n"), no_messages);
    check(|c| c.comment("\rdata: INJ\r"), no_messages);
    // An id that clients would ignore, so that they resume from the one before.
    check(|c| c.send(Event::new(1).id("a\0b")).or_else(|_| c.data(2)), &["message|2|"]);
    // Text by other ways: Display, JSON of others, names of members, a formatting.
    check(|c| c.data(Text("a\rdata: INJ")), &["message|a\ndata: INJ|"]);
    check(|c| c.data(format_args!("a{}data: INJ", '\r')), &["message|a\ndata: INJ|"]);
    check(|c| c.data('\n'), &["message|\n|"]);
    check(|c| c.data(RawJson("{\n\"a\":\r1}")), &["message|{\n\"a\":\n1}|"]);
    check(|c| c.data([RawJson("1\n\ndata: INJ")]), &["message|[1\n\ndata: INJ]|"]);
    check(|c| c.data(vec!["\r\n"]), &[r#"message|["\r\n"]|"#]);
    let map = || std::collections::BTreeMap::from([("\ndata: INJ", 1)]);
    check_source(EventSource::new(move |c| Ok(c.data(map())?)), &[r#"message|{"\ndata: INJ":1}|"#]);
    let formatting = Formatting::new().add(|_: &i32| "a\n\nevent: INJ\rdata: INJ".to_owned());
    let source = EventSource::new(|c| Ok(c.data(1_i32)?)).formatting(formatting);
    check_source(source, &["message|a\n\nevent: INJ\ndata: INJ|"]);

    #[track_caller]
    fn check(call: fn(&mut EventConnection<'_>) -> Result<(), SendError>, expected: &[&str]) {
        check_source(EventSource::new(move |connection| Ok(call(connection)?)), expected);
    }

    #[track_caller]
    fn check_source(source: EventSource, expected: &[&str]) {
        let stream = stream(source);
        let parser = Parser::read(&stream);
        let messages: Vec<_> = parser.messages.iter().map(Message::to_string).collect();
        assert_eq!(messages, expected, "{}", stream.escape_ascii());
        // Neither what fails in a generator nor what is sent sets these.
        assert_eq!((parser.retry, parser.last_event_id), (None, String::new()), "{}", stream.escape_ascii());
    }
}

/// Everything that a source sends to a client that stays.
fn stream(source: EventSource) -> Vec<u8> {
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let writes = Memory::new([request]).serve(&Host::new(source)).writes();
    writes[1..].concat() // without the head
}
