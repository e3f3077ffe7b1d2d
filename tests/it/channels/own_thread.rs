//! A channel on the generator's own thread: its events between others, by the same rules.

use super::{assert_whole, epoch, host, start, start_forwarding, valve::Valve, Client, FINISH, GET};
use crate::patience::{eventually, in_time, DEADLINE};
use brooklet::{testing, Channel, CloseReason, Event, EventSource, Host, SendError};
use std::thread;
use std::time::Duration;

/// Between its own events come all of the channel's, in their order.
#[test]
fn mixing() {
    const EVENTS: u64 = 500;
    let channel = Channel::new();
    let followed = channel.clone();
    let source = EventSource::new(move |connection| {
        let mut subscription = followed.subscribe(connection)?;
        let mut own = 0;
        while subscription.forward(connection, Duration::from_millis(1))? {
            own += 1;
            connection.event("own", own)?;
        }
        Ok(())
    });
    let host = host(source).start().unwrap();
    let mut client = Client::join(&host, &channel, GET);
    let publisher = channel.clone();
    let publishing = thread::spawn(move || {
        for number in 1..=EVENTS {
            publisher.publish(Event::new(number).event_type("shared")).unwrap();
            thread::yield_now();
        }
        publisher.close();
    });
    let text = client.rest();
    publishing.join().unwrap();
    assert_whole(text.as_bytes());
    let of = |event_type: &str| {
        let messages = client.parser.messages.iter().filter(|message| message.event_type == event_type);
        messages.map(|message| message.data.parse().unwrap()).collect::<Vec<u64>>()
    };
    assert_eq!(of("shared"), (1..=EVENTS).collect::<Vec<_>>());
    let own = of("own");
    assert_eq!(own, (1..=own.len() as u64).collect::<Vec<_>>());
    assert!(text.ends_with(FINISH));
    // An event of its own hides no id: who comes back goes on in the channel.
    let ids: Vec<_> = client.parser.messages.iter().map(|message| message.last_event_id.as_str()).collect();
    assert_eq!(ids[ids.len() - 2], format!("{}{EVENTS}", epoch(&channel)));
}

/// What `forward` returns, and when.
#[test]
fn forwarding() {
    let channel = Channel::new();
    let epoch = epoch(&channel);
    let followed = channel.clone();
    let source = EventSource::new(move |connection| {
        let mut subscription = followed.subscribe(connection)?;
        let started = connection.now();
        let mut check = |patience, expected, seconds| {
            assert_eq!(subscription.forward(connection, patience), expected);
            assert_eq!(connection.now() - started, Duration::from_secs(seconds));
        };
        check(Duration::ZERO, Ok(true), 0);
        check(Duration::from_secs(2), Ok(true), 2);
        followed.publish(Event::new(1))?;
        followed.publish(Event::new(2))?;
        check(Duration::from_secs(1000), Ok(true), 2); // both, and does not wait
        check(Duration::from_secs(1000), Ok(true), 4); // as soon as it is there
        followed.close();
        check(Duration::MAX, Ok(false), 4);
        check(Duration::MAX, Err(SendError::Closed(CloseReason::Finished)), 4);
        Ok(())
    });
    let publish = move || drop(channel.publish(Event::new(3)).unwrap());
    let stream = testing::Client::get("/").in_memory(&source).at(Duration::from_secs(4), publish).run();
    assert!(stream.error().is_none(), "{:?}", stream.error());
    let event = |number: u64| format!("id: {epoch}{number}\ndata: {number}\n\n");
    let expected = format!("id: {epoch}0\n\n{}{}{}{FINISH}", event(1), event(2), event(3));
    assert_eq!(stream.text(), format!("retry: 3000\n{expected}"));
}

/// What `next` returns, and when: what is for its topics, a gap and the snapshot as well. Of that nothing is sent.
#[test]
fn taking() {
    let state = || Event::new("how things are").event_type("state");
    let channel = Channel::setup().history_events(1).history_bytes(1000).snapshot(state).open();
    let epoch = epoch(&channel);
    let followed = channel.clone();
    let source = EventSource::new(move |connection| {
        let mut subscription = followed.subscribe_topics(connection, ["a"])?;
        let started = connection.now();
        let mut check = |patience, expected: Result<Option<&str>, SendError>, seconds| {
            let taken = subscription.next(connection, Duration::from_secs(patience));
            let taken = taken.map(|event| event.map(|event| format!("{}: {}", event.event_type, event.data)));
            assert_eq!(taken, expected.map(|event| event.map(str::to_owned)));
            assert_eq!(connection.now() - started, Duration::from_secs(seconds));
        };
        check(0, Ok(None), 0);
        check(2, Ok(None), 2);
        followed.publish(Event::new("one\ntwo").event_type("t").topic("a"))?;
        followed.publish(Event::new("for others").topic("b"))?;
        followed.publish(Event::new("for all"))?;
        check(1000, Ok(Some("t: one\ntwo")), 2);
        check(1000, Ok(Some("message: for all")), 2);
        check(1000, Ok(Some("message: later")), 4); // as soon as it is there
        let text = "x".repeat(1024);
        (0..400).for_each(|_| drop(followed.publish(Event::new(&text)).unwrap()));
        check(1000, Ok(Some("reset: {\"reason\":\"lagged\",\"missed\":null}")), 4);
        check(1000, Ok(Some("state: how things are")), 4);
        check(1, Ok(None), 5);
        followed.close();
        check(1000, Err(SendError::Closed(CloseReason::Finished)), 5);
        Ok(())
    });
    let publish = move || drop(channel.publish(Event::new("later").topic("a")).unwrap());
    let stream = testing::Client::get("/").in_memory(&source).at(Duration::from_secs(4), publish).run();
    assert!(stream.error().is_none(), "{:?}", stream.error());
    let joined = format!("retry: 3000\nid: {epoch}0\nevent: state\ndata: how things are\n\n");
    assert_eq!(stream.text(), joined + FINISH);
}

/// A slow one delays nobody; what it has missed it is told, after the event that it was in.
#[test]
fn falling_behind() {
    for room in [0, 1, 20, 31] {
        let channel = Channel::setup().history_events(10).history_bytes(1000).open();
        let epoch = epoch(&channel);
        let client = serve_aside(&channel, GET);
        let first = format!("id: {epoch}1\ndata: first\n\n");
        super::slow::overtake(&channel, &client, room);
        client.take(usize::MAX);
        let last = format!("id: {epoch}401\n");
        client.until("all", |state| String::from_utf8_lossy(&state.written).contains(&last));
        channel.close();
        client.until("the end", |state| state.is_closed);
        // It was writing the first one, whatever of that was taken.
        let text = client.text();
        let rest = text.strip_prefix(&format!("id: {epoch}0\n\n{first}")).unwrap();
        let seen: u64 =
            rest.strip_prefix(&format!("id: {epoch}")).unwrap().split('\n').next().unwrap().parse().unwrap();
        let data = format!("{{\"reason\":\"lagged\",\"missed\":{}}}", seen - 1);
        let event = |sequence: u64| format!("id: {epoch}{sequence}\ndata: {}\n\n", "x".repeat(1024));
        let expected: String = (seen + 1..=401).map(event).collect();
        let expected = format!("id: {epoch}{seen}\nevent: reset\ndata: {data}\n\n{expected}{FINISH}");
        assert!(rest == expected, "after {room} bytes: {rest:.300}");
    }
}

/// With a snapshot it is told how things stand, in place, and how much it has not seen.
#[test]
fn falling_behind_with_a_snapshot() {
    let channel = Channel::setup()
        .history_events(10)
        .history_bytes(1000)
        .snapshot(|| Event::new("state").event_type("s"))
        .open();
    let epoch = epoch(&channel);
    let client = serve_aside(&channel, &super::get_after(&format!("{epoch}0")));
    super::slow::overtake(&channel, &client, 0);
    client.take(usize::MAX);
    client.until("the state of things", |state| state.ends_with("data: state\n\n"));
    channel.publish(Event::new("on")).unwrap();
    client.until("it goes on", |state| state.ends_with("data: on\n\n"));
    let text = client.text();
    let rest = text.strip_prefix(&format!("id: {epoch}1\ndata: first\n\n")).unwrap();
    let (reset, rest) = rest.split_at(rest.find("\n\n").unwrap() + 2);
    assert_eq!(rest, format!("id: {epoch}401\nevent: s\ndata: state\n\nid: {epoch}402\ndata: on\n\n"));
    // 2 to 401 are in the snapshot, and none of them was sent.
    assert!(reset.ends_with("event: reset\ndata: {\"reason\":\"lagged\",\"missed\":400}\n\n"), "{reset:?}");
    client.leave();
}

/// Served on a thread of its own, which ends with the client.
#[track_caller]
fn serve_aside(channel: &Channel, request: &str) -> Valve {
    let before = channel.subscribers();
    let host = Host::new(super::forwarding(channel));
    let client = Valve::new(request);
    let end = client.host_end();
    thread::spawn(move || host.serve(end));
    eventually("it has joined", || channel.subscribers() > before);
    client
}

/// They are subscribers like others, and kept alive like others.
#[test]
fn counting_and_keeping_alive() {
    let channel = Channel::new();
    let followed = channel.clone();
    let source = EventSource::new(move |connection| {
        let mut subscription = followed.subscribe(connection)?;
        while subscription.forward(connection, DEADLINE)? {}
        Ok(())
    });
    let host = host(source.keep_alive(Duration::from_millis(100))).start().unwrap();
    let clients: Vec<_> = (0..5).map(|_| Client::join(&host, &channel, GET)).collect();
    assert_eq!(channel.publish(Event::new(1)).unwrap().subscribers, 5);
    let epoch = epoch(&channel);
    for mut client in clients {
        client.next();
        let before = client.parser.comments.len();
        client.signs_of_life(before + 3);
        assert_eq!(client.text_but_comments(), format!("id: {epoch}0\n\nid: {epoch}1\ndata: 1\n\n"));
    }
    eventually("they have left", || channel.subscribers() == 0);
    in_time(move || host.stop());
}

/// Whether it panics or fails, it counts no more.
#[test]
fn failing() {
    let channel = Channel::new();
    let followed = channel.clone();
    let source = EventSource::new(move |connection| {
        let mut subscription = followed.subscribe(connection)?;
        subscription.forward(connection, DEADLINE)?;
        match connection.request().query("panic") {
            Some(_) => panic!("it was asked to"),
            None => Err("it was asked to fail".into()),
        }
    });
    let host = host(source).start().unwrap();
    for target in ["/?panic ", "/ "] {
        let mut client = Client::join(&host, &channel, GET.replace("/ ", target));
        let id = channel.publish(Event::new(1)).unwrap().id;
        assert!(client.rest().ends_with(&format!("id: {id}\ndata: 1\n\nretry: 10000\n")));
        eventually("it has left", || channel.subscribers() == 0);
        assert!(channel.catch_up(0, Duration::ZERO));
    }
    let mut after = Client::join(&start_forwarding(&channel), &channel, GET);
    assert!(after.rest().contains("retry: "), "the host is stopped at once");
}

/// What is sent to them is counted alike, whoever sends it: the snapshot, an event, the end.
#[test]
fn counted_as_sent() {
    for start in [start, start_forwarding] {
        let channel = Channel::setup().snapshot(|| Event::new("state")).open();
        let host = start(&channel);
        let mut client = Client::join(&host, &channel, GET);
        channel.publish(Event::new("news")).unwrap();
        channel.close();
        assert_eq!(client.rest().matches("data: ").count(), 3);
        eventually("all are counted", || host.stats().connections == 0);
        assert_eq!(host.stats().events, 3);
    }
}

/// A snapshot that cannot be sent is left out for a reader without a connection; it is told of the gap once.
#[test]
fn a_snapshot_that_cannot_be_sent() {
    let channel = Channel::setup().history_events(1).snapshot(|| Event::new("x").event_type("a\nb")).open();
    let messages = channel.messages();
    let text = "x".repeat(1024);
    (0..400).for_each(|_| drop(channel.publish(Event::new(&text)).unwrap()));
    channel.close();
    assert_eq!(messages.take(5).map(|message| message.event_type).collect::<Vec<_>>(), ["reset"]);
}
