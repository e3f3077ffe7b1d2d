//! Where a client begins: fresh, resuming, or with a gap that it is told of. Whole streams, byte by byte.

use super::{epoch, get_after, host, start, start_forwarding, Client, FINISH, GET};
use brooklet::{Channel, Event, EventSource};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Publishes 1 to `events`, lets clients join, one on a writer and one on a thread of its own, publishes one more, closes; compares all that each got
/// with `expected`, where `E-` stands for the channel's epoch and `NEXT` for the last event and the end.
#[track_caller]
fn check(channel: Channel, events: u64, request: &str, expected: &str) {
    let epoch = epoch(&channel);
    for number in 1..=events {
        channel.publish(Event::new(number)).unwrap();
    }
    let hosts = [start(&channel), start_forwarding(&channel)];
    let request = request.replace("E-", &epoch).replace("E%2D", &epoch.replace('-', "%2D"));
    let mut clients = [0, 1].map(|at| Client::join(&hosts[at], &channel, &request));
    channel.publish(Event::new("next").event_type("t")).unwrap();
    channel.close();
    let next = format!("id: E-{}\nevent: t\ndata: next\n\n{FINISH}", events + 1);
    let expected = expected.replace("NEXT", &next);
    for client in &mut clients {
        assert_eq!(client.rest().replace(&epoch, "E-"), expected, "{request:?}");
    }
}

#[track_caller]
fn after(channel: Channel, events: u64, id: &str, expected: &str) {
    check(channel, events, &get_after(id), expected);
}

#[test]
fn fresh_clients() {
    check(Channel::new(), 0, GET, "id: E-0\n\nNEXT");
    check(Channel::new(), 3, GET, "id: E-3\n\nNEXT");
    check(Channel::setup().replay(0).open(), 3, GET, "id: E-3\n\nNEXT");
    check(Channel::setup().replay(u64::MAX).open(), 2, GET, "id: E-1\ndata: 1\n\nid: E-2\ndata: 2\n\nNEXT");
    check(Channel::setup().replay(u64::MAX).open(), 0, GET, "id: E-0\n\nNEXT");
    check(
        Channel::setup().replay(u64::MAX).history_events(1).history_bytes(1000).open(),
        2,
        GET,
        "id: E-2\ndata: 2\n\nNEXT",
    );
    check(
        Channel::setup().replay(u64::MAX).history_events(0).history_bytes(1000).open(),
        2,
        GET,
        "id: E-2\n\nNEXT",
    );
    check(
        Channel::setup().replay(u64::MAX).history_events(9).history_bytes(1).open(),
        2,
        GET,
        "id: E-2\n\nNEXT",
    );
    check(Channel::setup().replay(1).open(), 2, GET, "id: E-2\ndata: 2\n\nNEXT");
    check(Channel::setup().replay(9).open(), 1, GET, "id: E-1\ndata: 1\n\nNEXT");
    // Empty is as good as none.
    after(Channel::new(), 3, "", "id: E-3\n\nNEXT");
    after(Channel::new(), 3, " ", "id: E-3\n\nNEXT");
    check(Channel::new(), 3, &GET.replace("/ ", "/?lastEventId= "), "id: E-3\n\nNEXT");
}

#[test]
fn resuming() {
    after(Channel::new(), 2, "E-2", "NEXT");
    after(Channel::new(), 2, "E-1", "id: E-2\ndata: 2\n\nNEXT");
    after(Channel::new(), 2, "E-0", "id: E-1\ndata: 1\n\nid: E-2\ndata: 2\n\nNEXT");
    after(Channel::new(), 0, "E-0", "NEXT");
    // What a fresh client would get is nothing to one that resumes.
    after(Channel::setup().replay(u64::MAX).open(), 2, "E-2", "NEXT");
    after(Channel::setup().replay(1).open(), 3, "E-1", "id: E-2\ndata: 2\n\nid: E-3\ndata: 3\n\nNEXT");
    after(Channel::setup().snapshot(|| Event::new("state")).open(), 2, "E-1", "id: E-2\ndata: 2\n\nNEXT");
    // At the edge of the history, by events and by bytes: 22 of them or so each.
    after(
        Channel::setup().history_events(2).history_bytes(1000).open(),
        5,
        "E-3",
        "id: E-4\ndata: 4\n\nid: E-5\ndata: 5\n\nNEXT",
    );
    after(Channel::setup().history_events(0).history_bytes(1000).open(), 5, "E-5", "NEXT");
    after(Channel::setup().history_events(9).history_bytes(30).open(), 5, "E-4", "id: E-5\ndata: 5\n\nNEXT");
}

#[test]
fn resuming_by_the_query() {
    let query = |query: &str| GET.replace("/ ", &format!("/?{query} "));
    check(Channel::new(), 2, &query("lastEventId=E-1"), "id: E-2\ndata: 2\n\nNEXT");
    check(Channel::new(), 2, &query("last_event_id=E-1"), "id: E-2\ndata: 2\n\nNEXT");
    check(Channel::new(), 2, &query("x=1&lastEventId=E%2D1"), "id: E-2\ndata: 2\n\nNEXT");
    let both = query("lastEventId=E-0").replace("\r\n\r\n", "\r\nLast-Event-ID: E-2\r\n\r\n");
    check(Channel::new(), 2, &both, "NEXT"); // the field is of this reconnect
    check(Channel::new(), 2, &query("lastEventId=x"), RESET_UNKNOWN);
}

/// What is there follows: here it is all there was.
const RESET_UNKNOWN: &str = "id: E-0\nevent: reset\ndata: {\"reason\":\"unknown\",\"missed\":null}\n\n\
    id: E-1\ndata: 1\n\nid: E-2\ndata: 2\n\nNEXT";

/// Whatever a client says, it is an answer of status 200, and a gap that can be seen.
#[test]
fn unknown_ids() {
    let long = "9".repeat(5000);
    let awkward = [
        "E-3",
        "E-4",
        "E-",
        "E--1",
        "E-+1",
        "E-01",
        "E- 1",
        "E-1x",
        "E-0x1",
        "E-1.0",
        "E-18446744073709551616",
        "0",
        "1",
        "-",
        "-1",
        "000000000000-1",
        "x",
        "null",
        "NaN",
        "e\u{301}",
        "\u{2028}",
        "%",
        "E-1\\r",
        "brooklet-finishe",
        &long,
    ];
    for id in awkward {
        after(Channel::new(), 2, id, RESET_UNKNOWN);
    }
    after(Channel::setup().replay(u64::MAX).open(), 2, "x", RESET_UNKNOWN);
    // Not even UTF-8: an id all the same.
    let channel = Channel::new();
    let host = start(&channel);
    let request = [GET.trim_end().as_bytes(), b"\r\nLast-Event-ID: \xff\xfe\r\n\r\n"].concat();
    let mut client = Client::join(&host, &channel, request);
    assert_eq!(client.next().event_type, "reset");
}

#[test]
fn expired_ids() {
    /// Of five events the last are there; the count says how many are gone.
    fn expired(missed: u64, first: u64) -> String {
        let there =
            (first..=5).map(|number| format!("id: E-{number}\ndata: {number}\n\n")).collect::<String>();
        let reset = format!("event: reset\ndata: {{\"reason\":\"expired\",\"missed\":{missed}}}");
        format!("id: E-{}\n{reset}\n\n{there}NEXT", first - 1)
    }
    let short = || Channel::setup().history_events(2).history_bytes(1000);
    after(short().open(), 5, "E-2", &expired(1, 4));
    after(short().open(), 5, "E-0", &expired(3, 4));
    after(Channel::setup().history_events(0).open(), 5, "E-4", &expired(1, 6));
    after(Channel::setup().history_events(9).history_bytes(30).open(), 5, "E-3", &expired(1, 5));
    after(short().replay(u64::MAX).open(), 5, "E-1", &expired(2, 4));
    let typed = expired(2, 4).replace("event: reset", "event: gap");
    after(short().reset_type("gap").open(), 5, "E-1", &typed);
}

/// The position first, then the state of things, then what follows the place.
#[test]
fn snapshots() {
    let setup = || {
        Channel::setup()
            .history_events(2)
            .history_bytes(1000)
            .snapshot(|| Event::new("state").event_type("s").id("own"))
    };
    let channel = || setup().open();
    let snapshot = |sequence: u64| format!("id: E-{sequence}\nevent: s\ndata: state\n\nNEXT");
    check(channel(), 0, GET, &snapshot(0));
    check(channel(), 3, GET, &snapshot(3));
    check(setup().replay(u64::MAX).open(), 3, GET, &snapshot(3));
    after(channel(), 3, "E-2", "id: E-3\ndata: 3\n\nNEXT");
    // The position is the snapshot's to tell: who has not got that comes back for it.
    let reset = |gap: &str| format!("event: reset\ndata: {{\"reason\":{gap}}}\n\n{}", snapshot(3));
    after(channel(), 3, "E-0", &reset("\"expired\",\"missed\":3"));
    after(channel(), 3, "x", &reset("\"unknown\",\"missed\":null"));
}

/// What is published while a snapshot is made comes after it.
#[test]
fn snapshots_are_made_without_the_lock() {
    let slot = Arc::new(Mutex::new(None::<Channel>));
    let within = Arc::clone(&slot);
    let channel = Channel::setup()
        .snapshot(move || {
            let channel = within.lock().unwrap().clone().unwrap();
            channel.publish(Event::new("meanwhile")).unwrap();
            Event::new(format!("{} here", channel.subscribers()))
        })
        .open();
    *slot.lock().unwrap() = Some(channel.clone());
    let epoch = epoch(&channel);
    for (host, sequence) in [(start(&channel), 0), (start_forwarding(&channel), 1)] {
        let mut client = Client::open(host.address(), GET);
        let next = sequence + 1;
        client.exactly(&format!(
            "id: {epoch}{sequence}\ndata: {next} here\n\nid: {epoch}{next}\ndata: meanwhile\n\n"
        ));
        std::mem::forget((client, host));
    }
}

/// The publisher's own ids: the same rules, without a number that could be counted with.
#[test]
fn own_ids() {
    check(&[], GET, "");
    check(&["a"], GET, "id: a\n\n");
    check(&["a", "b"], &get_after("b"), "");
    check(&["a", "b", "a"], &get_after("a"), ""); // which it should not be
    check(&["a", "b", "c"], &get_after("a"), "id: b\ndata: b\n\nid: c\ndata: c\n\n");
    check(&["é: 1", "b"], &get_after("é: 1"), "id: b\ndata: b\n\n");
    let there = "data: {\"reason\":\"unknown\",\"missed\":null}\n\nid: a\ndata: a\n\nid: b\ndata: b\n\n";
    let reset = format!("event: reset\n{there}"); // before the first there is no id
    check(&["a", "b"], &get_after("A"), &reset);
    check(&["a", "b"], &get_after("c"), &reset);
    check(&[], &get_after("a"), "event: reset\ndata: {\"reason\":\"unknown\",\"missed\":null}\n\n");
    let cde = "id: c\ndata: c\n\nid: d\ndata: d\n\nid: e\ndata: e\n\n";
    // An id that nothing is known of is no number.
    let unknown = "id: b\nevent: reset\ndata: {\"reason\":\"unknown\",\"missed\":null}\n\n";
    check(&["a", "b", "c", "d", "e"], &get_after("a"), &format!("{unknown}{cde}"));
    check(
        &["a", "b", "c", "d", "e"],
        &get_after("b"),
        "id: c\ndata: c\n\nid: d\ndata: d\n\nid: e\ndata: e\n\n",
    );

    #[track_caller]
    fn check(ids: &[&str], request: &str, expected: &str) {
        let channel = Channel::setup().own_ids().history_events(3).history_bytes(1000).open();
        for id in ids {
            assert_eq!(channel.publish(Event::new(*id).id(*id)).unwrap().id, *id);
        }
        let hosts = [start(&channel), start_forwarding(&channel)];
        let mut clients = [0, 1].map(|at| Client::join(&hosts[at], &channel, request));
        channel.publish(Event::new("next").id("next")).unwrap();
        channel.close();
        let expected = format!("{expected}id: next\ndata: next\n\n{FINISH}");
        for client in &mut clients {
            assert_eq!(client.rest(), expected, "{ids:?} {request:?}");
        }
    }
}

/// What a generator says before it follows comes first, and `retry` goes with the first block of all.
#[test]
fn greetings() {
    let channel = Channel::new();
    let followed = channel.clone();
    let source = EventSource::new(move |connection| {
        connection.comment("welcome")?;
        connection.event("user", connection.request().query("user"))?;
        Ok(connection.follow(&followed)?)
    });
    let host = host(source.retry(Duration::from_secs(7))).start().unwrap();
    let epoch = epoch(&channel);
    let mut client = Client::join(&host, &channel, GET.replace("/ ", "/?user=me "));
    client.exactly(&format!(": welcome\nevent: user\ndata: me\n\nid: {epoch}0\n\n"));

    let host = super::host(EventSource::channel(&channel).retry(Duration::from_secs(7))).start().unwrap();
    let mut fresh = Client::join(&host, &channel, GET);
    assert_eq!(fresh.head.retry.as_deref(), Some("retry: 7000\n"));
    fresh.exactly(&format!("id: {epoch}0\n\n"));
    let mut resuming = Client::join(&host, &channel, get_after(&format!("{epoch}0")));
    let mut lost = Client::join(&host, &channel, get_after("x"));
    assert_eq!(
        (lost.next().event_type.as_str(), lost.head.retry.as_deref()),
        ("reset", Some("retry: 7000\n"))
    );
    channel.publish(Event::new(1)).unwrap();
    resuming.exactly(&format!("id: {epoch}1\ndata: 1\n\n"));
}

/// A drop before the first event leaves no hole: the first block is something to come back with.
#[test]
fn the_first_block_is_a_position() {
    let channel = Channel::new();
    let host = start(&channel);
    channel.publish(Event::new("before")).unwrap();
    let mut client = Client::join(&host, &channel, GET);
    while client.parser.last_event_id.is_empty() {
        assert_ne!(client.fill().unwrap(), 0);
    }
    let id = client.parser.last_event_id.clone();
    drop(client);
    channel.publish(Event::new("missed")).unwrap();
    let mut again = Client::open(host.address(), get_after(&id));
    assert_eq!(again.next().data, "missed");
}
