//! Signs of life that a page can see.

use super::{host, start, writes, GET};
use crate::memory::Memory;
use crate::sse;
use brooklet::testing::{fixed_epochs, Client};
use brooklet::{Channel, Event, EventSource};
use std::time::Duration;

const BEAT: &str = "event: beat\ndata: \n\n";

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn an_event_instead_of_a_comment() {
    let source = EventSource::new(|c| {
        c.wait(secs(20))?;
        c.data("x")?;
        Ok(c.wait(secs(40))?)
    });
    let stream = Client::get("/").in_memory(&source.heartbeat("beat")).run();
    assert_eq!(stream.timeline(), ["15s beat: ", "20s message: x", "35s beat: ", "50s beat: "]);
    assert_eq!(
        writes(EventSource::new(|c| Ok(c.wait(Duration::from_millis(1))?)).heartbeat("beat")),
        [""; 0]
    );
    let silent = EventSource::new(|c| Ok(c.wait(secs(20))?)).heartbeat("beat").keep_alive(Duration::ZERO);
    assert_eq!(Client::get("/").in_memory(&silent).run().timeline(), [""; 0]);
}

#[test]
#[should_panic(expected = "an event type is one line")]
fn of_a_type_that_is_one_line() {
    let _ = EventSource::new(|_| Ok(())).heartbeat("a\nb");
}

/// By the letter of HTML §9.2.6 an event without an id makes a client forget the one that it resumed from. So it is
/// told that one again, in the block of whatever comes first.
#[test]
fn what_was_seen_is_not_forgotten() {
    check("7", "retry: 3000\nid: 7\n", "7");
    check("", "retry: 3000\n", "");
    check("a b", "retry: 3000\nid: a b\n", "a b");

    #[track_caller]
    fn check(seen: &str, first_lines: &str, expected: &str) {
        let source = EventSource::new(|c| Ok(c.wait(secs(20))?)).heartbeat("beat");
        let written = Client::get("/").header("Last-Event-ID", seen).in_memory(&source).run();
        let stream = written.text();
        assert!(stream.starts_with(&format!("{first_lines}{BEAT}")), "{stream}");
        let mut parser = sse::Parser::default();
        parser.last_event_id = seen.to_owned();
        parser.feed(stream.as_bytes());
        assert_eq!((parser.messages[0].event_type.as_str(), &*parser.last_event_id), ("beat", expected));
    }
    // What nobody gave, and no line can hold, is not said again.
    let forged = GET.replace("/ ", "/?lastEventId=a%0Adata:b ");
    let source = EventSource::new(|_| Ok(())).heartbeat("beat");
    let written = Memory::new([forged]).serve(&host(source)).written();
    assert!(written.ends_with(b"\r\n\r\nretry: 3000\n"), "{}", crate::wire::show(&written));
}

/// Of a channel it is no event: it has no number, and whoever comes later does not get it.
#[test]
fn followers_are_kept_alive_by_it() {
    let news = fixed_epochs(|| Channel::setup().replay(u64::MAX).open());
    let source = EventSource::channel(&news).heartbeat("beat").keep_alive(Duration::from_millis(1));
    let host = start(source);
    let open = || Client::get("/").connect(host.address()).unwrap();
    let mut first = open();
    let beat = "beat #000000000001-0: "; // the id that the client stands at
    assert_eq!(first.next_event().unwrap().to_string(), beat);
    news.publish(Event::new("rain")).unwrap();
    let mut events = std::iter::repeat_with(|| first.next_event().unwrap().to_string());
    assert_eq!(events.find(|event| event != beat).unwrap(), "message #000000000001-1: rain");
    assert_eq!(open().next_event().unwrap().to_string(), "message #000000000001-1: rain");
}
