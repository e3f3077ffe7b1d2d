//! Any text, as the parts of an event: it is refused for a type or an id that its documentation excludes, and
//! otherwise what a browser makes of it is exactly that one event, with line ends normalised.
//!
//! The input is type, id, comment, retry and data, with U+001F between them; a part that is `~` is not there.

#![no_main]

use std::time::Duration;

use brooklet::{Event, SendError};
use libfuzzer_sys::fuzz_target;
use sse::{Message, Parser};

#[allow(dead_code)] // its test is not ours
#[path = "../../it/sse.rs"]
mod sse;

/// More milliseconds than a JavaScript number counts are not sent.
const FOREVER: u64 = 1 << 53;

fuzz_target!(|input: &[u8]| {
    let input = String::from_utf8_lossy(input);
    let mut parts = input.splitn(5, '\u{1f}').map(|part| Some(part).filter(|part| *part != "~"));
    let mut part = || parts.next().flatten();
    let (event_type, id, comment, retry, data) = (part(), part(), part(), part(), part());
    let retry = retry.and_then(|retry| retry.parse::<u64>().ok());

    let mut event = match data {
        Some(data) => Event::new(data),
        None => Event::without_data(),
    };
    if let Some(event_type) = event_type {
        event = event.event_type(event_type);
    }
    if let Some(id) = id {
        event = event.id(id);
    }
    if let Some(comment) = comment {
        event = event.comment(comment);
    }
    if let Some(retry) = retry {
        event = event.retry(Duration::from_millis(retry));
    }

    let is_one_line = |text: &str| !text.contains(['\r', '\n']);
    let type_is_valid = event_type.is_none_or(is_one_line);
    let id_is_valid = id.is_none_or(|id| is_one_line(id) && !id.contains('\0') && id != "brooklet-finished");
    let encoded = match event.encode() {
        Ok(encoded) => encoded,
        Err(SendError::InvalidEventType) => return assert!(!type_is_valid, "{event_type:?}"),
        Err(SendError::InvalidId) => return assert!(!id_is_valid, "{id:?}"),
        Err(other) => panic!("{other}"),
    };
    assert!(type_is_valid && id_is_valid, "{event_type:?} {id:?}");

    let id = id.unwrap_or_default().to_owned();
    let message = data.map(|data| Message {
        event_type: event_type.filter(|event_type| !event_type.is_empty()).unwrap_or("message").to_owned(),
        data: with_line_feeds(data),
        last_event_id: id.clone(),
    });
    let once = Parser::read(&encoded);
    assert_eq!(once.messages, Vec::from_iter(message.clone()), "{encoded:?}");
    assert_eq!(once.last_event_id, id, "{encoded:?}");
    assert_eq!(once.retry, retry.map(|retry| u128::from(retry.min(FOREVER))), "{encoded:?}");
    let comments =
        comment.map(|comment| with_line_feeds(comment).split('\n').map(|line| format!(" {line}")).collect());
    assert_eq!(once.comments, comments.unwrap_or(Vec::new()), "{encoded:?}");

    // It leaves nothing open for the one that follows it, and may come in any pieces.
    let twice = Parser::read_pieces(encoded.repeat(2).as_bytes().chunks(1));
    assert_eq!(twice.messages, Vec::from_iter(message.iter().chain(&message).cloned()), "{encoded:?}");
});

fn with_line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
