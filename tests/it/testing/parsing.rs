//! Two parsers that share no line, the library's for tests and the one that judges its encoder: of every stream they
//! make the same.

use crate::random::Random;
use crate::sse;
use brooklet::testing::{Item, Parser};
use std::time::Duration;

/// Both read the examples of the standard, whose rows stand in `sse.rs`; here it is what those rows do not have.
#[test]
fn items_in_their_order() {
    check(": a\n:b\n:\n", &[": a", ": b", ":"]);
    check(":\nretry: 5\ndata: a\n: c\nid: 7\n\n", &[":", "retry 5ms", ": c", "message #7: a"]);
    check("retry: 5\nretry: 6\ndata: a\n\n", &["retry 6ms", "message: a"]); // each stream begins with one
    check("id: 7\n\n\nid: 7\n\nid\n\n", &["id 7", "id "]);
    check("event: a\n\ndata: b\n\n", &["message: b"]);
    check("data: a\ndata: b\n\n", &["message: a\\nb"]);
    check("retry: 99999999999999999999999\n", &[]);

    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        let items: Vec<_> = Parser::new().feed(stream.as_bytes()).iter().map(Item::to_string).collect();
        assert_eq!(items, expected, "{stream:?}");
    }
}

#[test]
fn both_agree() {
    const PIECES: [&str; 24] = [
        "data",
        "data:",
        "data: a",
        "data:  b",
        "event: x",
        "event",
        "id: 1",
        "id",
        "id: 2\0",
        "retry: 100",
        "retry: 1s",
        "retry",
        ": c",
        ":",
        "unknown: d",
        "\u{feff}",
        "\u{e4}",
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\r\n\r\n",
        "\n\r",
        " ",
    ];
    let mut random = Random::new(4711);
    for _ in 0..20_000 {
        let mut stream = Vec::new();
        for _ in 0..random.below(24) {
            stream.extend_from_slice(PIECES[random.below(PIECES.len())].as_bytes());
            if random.below(16) == 0 {
                stream.push(0xff); // no UTF-8
            }
            if random.below(2) == 0 {
                stream.push(b'\n');
            }
        }
        agree(&stream);
    }
}

/// What one parser says is what the other says, however the stream is cut.
#[track_caller]
fn agree(stream: &[u8]) {
    let expected = sse::Parser::read(stream);
    let mut parser = Parser::new();
    let mut items = Vec::new();
    for piece in stream.chunks(3) {
        items.extend(parser.feed(piece));
    }
    assert_eq!(items, Parser::new().feed(stream), "{:?}", stream.escape_ascii().to_string());
    let messages = items.iter().filter_map(Item::event).map(|message| sse::Message {
        event_type: message.event_type.clone(),
        data: message.data.clone(),
        last_event_id: message.last_event_id.clone(),
    });
    let messages: Vec<_> = messages.collect();
    let in_words = stream.escape_ascii().to_string();
    assert_eq!(messages, expected.messages, "{in_words:?}");
    assert_eq!(parser.last_event_id(), expected.last_event_id, "{in_words:?}");
    let retry = expected.retry.and_then(|millis| millis.try_into().ok()).map(Duration::from_millis);
    assert_eq!(parser.retry(), retry, "{in_words:?}");
    let comments =
        items.iter().filter_map(|item| if let Item::Comment(text) = item { Some(&**text) } else { None });
    let expected = expected.comments.iter().map(|text| text.strip_prefix(' ').unwrap_or(text));
    assert!(comments.eq(expected), "{in_words:?}");
}
