//! Clients that do not take what they are sent: a full socket at any byte, in memory.

use super::valve::Valve;
use super::{epoch, get_after, host, patient_for, FINISH, GET};
use crate::notes::noted;
use crate::patience::{eventually, in_time, DEADLINE, LONG};
use brooklet::{Channel, Event, EventSource, Host};
use std::thread;
use std::time::{Duration, Instant};

/// What is kept for everybody, however short the history.
const WINDOW: usize = 256 * 1024;
/// What one write takes.
const CHUNK: usize = 64 * 1024;

fn follow(channel: &Channel, request: &str) -> Valve {
    let source = EventSource::channel(channel).keep_alive(LONG);
    Valve::serve(&Host::new(source).limits(patient_for(LONG)), request)
}

/// Publishes `first` to a client that takes `room` bytes more, and then more than is kept: 400 events of 1 KiB.
#[track_caller]
pub(super) fn overtake(channel: &Channel, client: &Valve, room: usize) {
    stall(channel, client, room, "first");
    let text = "x".repeat(1024);
    for _ in 0..400 {
        channel.publish(Event::new(&text)).unwrap();
    }
}

/// The same, and waits until a writer has tried again, with nothing in view that is not kept any more.
#[track_caller]
pub(super) fn overtake_for_good(channel: &Channel, client: &Valve, room: usize) {
    overtake(channel, client, room);
    for _ in 0..2 {
        let refusals = client.state().refusals;
        client.until("another attempt", |state| state.refusals > refusals || state.is_closed);
    }
}

/// Lets a client take `room` bytes more, and publishes an event that is as large at least.
#[track_caller]
fn stall(channel: &Channel, client: &Valve, room: usize, text: &str) {
    let refusals = client.state().refusals;
    client.take(room);
    channel.publish(Event::new(text)).unwrap();
    client.until("its socket is full", |state| state.refusals > refusals || (room > 0 && state.room == 0));
}

/// Whatever a client has not seen goes out in one write, however many events that is.
#[test]
fn one_write() {
    let channel = Channel::setup().replay(u64::MAX).open();
    for number in 0..50 {
        channel.publish(Event::new(number)).unwrap();
    }
    let client = follow(&channel, GET);
    let last = |number: u32| format!("data: {number}\n\n");
    client.until("the replay", |state| state.ends_with(&last(49)));
    assert_eq!(client.state().writes.len(), 2, "the head, and all of the history");

    stall(&channel, &client, 0, "first");
    for number in 0..200 {
        channel.publish(Event::new(number)).unwrap();
    }
    // What is tried now may have been gathered before the last was published; what is tried next is not.
    let refusals = client.state().refusals;
    client.until("all are tried", |state| state.refusals >= refusals + 2);
    client.take(usize::MAX);
    client.until("all", |state| state.ends_with(&last(199)));
    assert_eq!(client.state().writes.len(), 3, "201 events at once");

    // As long as they are no more than 64 KiB, and what was sealed together stays together.
    stall(&channel, &client, 0, "first");
    let text = "x".repeat(4_000);
    for _ in 0..100 {
        channel.publish(Event::new(&text)).unwrap();
    }
    channel.publish(Event::new(1)).unwrap();
    client.take(usize::MAX);
    client.until("all", |state| state.ends_with(&last(1)));
    let writes = client.state().writes.split_off(3);
    assert!((6..=14).contains(&writes.len()), "393 KiB in {writes:?}");
}

/// An event for few has been sent when it is published: its publisher sends it, but for floods.
#[test]
fn sent_by_the_publisher() {
    let channel = Channel::new();
    let client = follow(&channel, GET);
    // Each, but for those that come while a writer looks after it.
    let (mut number, mut in_a_row) = (0, 0);
    eventually("20 in a row", || {
        client.wait_a_moment(); // longer than what counts as a flood
        number += 1;
        channel.publish(Event::new(number)).unwrap();
        let is_sent = client.state().ends_with(&format!("data: {number}\n\n"));
        in_a_row = if is_sent { in_a_row + 1 } else { 0 };
        in_a_row == 20
    });
}

/// A socket that is full after any byte: the event is finished later, and nothing is lost or doubled.
#[test]
fn full_at_any_byte() {
    let channel = Channel::new();
    let epoch = epoch(&channel);
    let event = |sequence: u64| format!("id: {epoch}{sequence}\ndata: text {sequence}\n\n");
    let length = event(1).len() + 10;
    let source = EventSource::channel(&channel).keep_alive(LONG);
    let (host, notes) = noted(Host::new(source).limits(patient_for(LONG)));
    let client = Valve::serve(&host, GET);
    let mut expected = format!("id: {epoch}0\n\n");
    let mut sequence = 0;
    for room in 0..3 * length {
        client.take(room);
        for _ in 0..3 {
            sequence += 1;
            channel.publish(Event::new(format!("text {sequence}"))).unwrap();
            expected += &event(sequence);
        }
        if room % 2 == 0 {
            // It trickles.
            for _ in 0..3 {
                let refusals = client.state().refusals;
                client.until("it is full", |state| {
                    state.refusals > refusals || state.ends_with(&event(sequence))
                });
                client.take(1);
            }
        }
        client.take(usize::MAX);
        client.until("all", |state| state.ends_with(&event(sequence)));
        assert_eq!(client.text(), expected);
    }
    channel.close();
    client.until("the end", |state| state.is_closed);
    assert_eq!(client.text(), expected + FINISH);
    // Each counts once, and so does the end.
    assert_eq!(notes.next("ended"), format!("ended GET / Finished, {} events", sequence + 1));
}

/// A pace is the time between two events, not between the parts of one.
#[test]
fn full_with_a_pace() {
    let channel = Channel::new();
    let source = EventSource::channel(&channel).pace(LONG).keep_alive(LONG);
    let client = Valve::serve(&Host::new(source).limits(patient_for(LONG)), GET);
    stall(&channel, &client, 5, "first");
    channel.publish(Event::new("second")).unwrap();
    client.take(usize::MAX);
    client.until("the rest", |state| String::from_utf8_lossy(&state.written).contains("data: first\n\n"));
}

/// A generator waits for a client, also where its stream has looked at the socket without waiting.
#[test]
fn full_for_a_generator() {
    let client = Valve::new(GET);
    let (end, full) = (client.host_end(), client.clone());
    let source = EventSource::new(move |connection| {
        full.take(0);
        connection.wait(Duration::ZERO)?;
        Ok(connection.data("x")?)
    });
    let serving = thread::spawn(move || Host::new(source).limits(patient_for(LONG)).serve(end));
    client.until("it is full", |state| state.refusals > 0);
    client.take(usize::MAX);
    client.until("the rest", |state| state.ends_with("data: x\n\n"));
    serving.join().unwrap();
}

/// Who falls behind what is kept gets the rest of what was begun, then a gap that can be seen, then the oldest
/// event that is there, and on.
#[test]
fn falling_behind() {
    for room in [0, 1, 2, 4, 15, 19, 30, 31, 40] {
        let channel = Channel::setup().history_events(10).history_bytes(1000).open();
        let epoch = epoch(&channel);
        let client = follow(&channel, GET);
        let first = format!("id: {epoch}1\ndata: first\n\n");
        overtake_for_good(&channel, &client, room.min(first.len()));
        client.take(usize::MAX);
        let event = |sequence: u64| format!("id: {epoch}{sequence}\ndata: {}\n\n", "x".repeat(1024));
        client.until("all", |state| state.ends_with(&event(401)));

        let text = client.text();
        let mut rest = text.strip_prefix(&format!("id: {epoch}0\n\n")).unwrap();
        let mut cursor = 1;
        if room > 0 {
            rest =
                rest.strip_prefix(&first).unwrap_or_else(|| panic!("torn after {room} bytes: {rest:.100?}"));
            cursor = 2;
        }
        // It may be told of a gap while that still grows; then it is told twice.
        while let Some((reset, others)) =
            rest.split_once("}\n\n").filter(|(reset, _)| reset.contains("reset"))
        {
            let id = reset.strip_prefix(&format!("id: {epoch}")).unwrap().split('\n').next().unwrap();
            let seen: u64 = id.parse().unwrap();
            let data = format!("{{\"reason\":\"lagged\",\"missed\":{}", seen + 1 - cursor);
            assert_eq!(reset, format!("id: {epoch}{seen}\nevent: reset\ndata: {data}"));
            (cursor, rest) = (seen + 1, others);
        }
        assert!(cursor > 2, "no word of what it has missed");
        let expected: String = (cursor..=401).map(event).collect();
        assert!(rest == expected, "{} bytes of {}", rest.len(), expected.len());
        assert!((WINDOW - 1100..=WINDOW + 2 * CHUNK).contains(&rest.len()), "{} bytes are kept", rest.len());
    }
}

/// What the history promises is there for the slowest.
#[test]
fn as_long_as_the_history() {
    let channel = Channel::setup().history_events(1000).history_bytes(1_000_000).open();
    let client = follow(&channel, GET);
    overtake(&channel, &client, 5);
    client.take(usize::MAX);
    let last = epoch(&channel) + "401\n";
    client.until("all", |state| {
        state.ends_with("x\n\n") && String::from_utf8_lossy(&state.written).contains(&last)
    });
    assert_eq!(client.text().matches("data: ").count(), 401);
    assert!(!client.text().contains("reset"));
}

/// With a snapshot there is no use in the oldest event that is there: closed between two events, a client comes
/// back, and is told how things stand.
#[test]
fn falling_behind_with_a_snapshot() {
    for room in [0, 1, 10, 20] {
        let channel = Channel::setup()
            .history_events(10)
            .history_bytes(1000)
            .snapshot(|| Event::new("state").event_type("s"))
            .open();
        let epoch = epoch(&channel);
        let client = follow(&channel, &get_after(&format!("{epoch}0")));
        overtake_for_good(&channel, &client, room);
        client.take(usize::MAX);
        client.until("it is closed", |state| state.is_closed);
        let (seen, missed, expected) = match room {
            0 => (0, 401, String::new()),
            _ => (1, 400, format!("id: {epoch}1\ndata: first\n\n")),
        };
        assert_eq!(client.text(), expected);
        let again = follow(&channel, &get_after(&format!("{epoch}{seen}")));
        let reset = format!("event: reset\ndata: {{\"reason\":\"expired\",\"missed\":{missed}}}\n\n");
        again.until("the state", |state| state.ends_with("data: state\n\n"));
        assert_eq!(again.text(), format!("{reset}id: {epoch}401\nevent: s\ndata: state\n\n"));
    }
}

/// Who takes nothing is closed at the write deadline, and so is who trickles; who takes 64 KiB each time is not,
/// however long it takes in all.
#[test]
fn deadlines() {
    const LIMIT: Duration = Duration::from_millis(1500);
    let limits = patient_for(LIMIT);
    let follow = |channel: &Channel| {
        let host = host(EventSource::channel(channel).keep_alive(Duration::from_millis(100)));
        Valve::serve(&host.limits(limits.clone()), GET)
    };
    let channel = Channel::setup().history_events(9).history_bytes(10_000_000).open();
    let clients = [(); 4].map(|()| follow(&channel));
    let [nothing, trickling, steady, idle] = &clients;
    let started = Instant::now();
    idle.take(0); // a keep-alive is more than it takes
    idle.until("it is closed", |state| state.is_closed);
    assert!(started.elapsed() > LIMIT, "too soon: {:?}", started.elapsed());

    nothing.take(0);
    trickling.take(10);
    steady.take(65_536);
    let started = Instant::now();
    channel.publish(Event::new("x".repeat(800_000))).unwrap();
    let longest = thread::scope(|scope| {
        scope.spawn(|| feed(trickling, 10, Duration::from_millis(10)));
        scope.spawn(|| feed(steady, 65_536, Duration::from_millis(160))).join().unwrap()
    });
    nothing.until("it is closed", |state| state.is_closed);
    assert!(nothing.state().is_closed && trickling.state().is_closed);
    assert!(started.elapsed() > LIMIT, "that was no test");
    // Unless the machine was so busy that it did not take anything for that long itself.
    if longest < LIMIT - LIMIT / 3 || !steady.is_closed() {
        assert!(steady.text().contains("x\n\n"), "closed in spite of {:?}", steady.state().summary());
        steady.take(usize::MAX);
        channel.close();
        steady.until("the end", |state| state.is_closed && state.ends_with(FINISH));
    }
    eventually("nobody is left", || channel.subscribers() == 0);

    /// Lets a client take so much at a time, until it is closed or has the event; returns its longest pause.
    fn feed(client: &Valve, bytes: usize, pause: Duration) -> Duration {
        let started = Instant::now();
        let (mut before, mut longest) = (started, Duration::ZERO);
        // Keep-alives may follow the event before anybody looks.
        while !client.is_closed() && !client.text().contains("x\n\n") {
            client.take(bytes);
            thread::sleep(pause); // its pace
            assert!(started.elapsed() < DEADLINE, "it is still there");
            let now = Instant::now();
            longest = longest.max(now - before);
            before = now;
        }
        longest
    }
}

/// Those who stall keep nobody waiting: neither the publisher nor those beside them.
#[test]
fn nobody_waits_for_the_slow() {
    let channel = Channel::setup().history_events(10_000).history_bytes(u64::MAX).open();
    let clients: Vec<_> = (0..20).map(|_| follow(&channel, GET)).collect();
    let (stalled, quick) = clients.split_at(10);
    stalled.iter().for_each(|client| client.take(3));
    for number in 0..2000 {
        channel.publish(Event::new(number)).unwrap();
    }
    for client in quick {
        client.until("all", |state| state.ends_with("data: 1999\n\n"));
    }
    stalled.iter().for_each(|client| client.until("its socket is full", |state| state.room == 0));
    for round in 0..20 {
        channel.publish(Event::new(round)).unwrap();
        let end = format!("data: {round}\n\n");
        quick.iter().for_each(|client| client.until("the next", |state| state.ends_with(&end)));
    }
    assert!(stalled.iter().all(|client| client.text().len() < 40), "they had not stalled");
    for client in stalled {
        client.take(usize::MAX);
        client.until("all", |state| state.ends_with("data: 19\n\n"));
    }
    let texts: Vec<_> = clients.iter().map(Valve::text).collect();
    assert!(texts.iter().all(|text| *text == texts[0]), "they were told different things");
}

#[test]
fn catching_up() {
    let channel = Channel::new();
    assert!(channel.catch_up(0, Duration::ZERO), "nobody is behind");
    let client = follow(&channel, GET);
    stall(&channel, &client, 0, "first");
    for _ in 0..9 {
        channel.publish(Event::new("0123456789")).unwrap(); // of 37 bytes, with the id
    }
    let short = Duration::from_millis(20);
    check(&channel, 10, Duration::ZERO, true);
    check(&channel, 9, short, false);
    check(&channel, 0, Duration::ZERO, false);

    // It waits for those who take it, and for those who leave.
    let waiting = channel.clone();
    client.take(usize::MAX);
    assert!(in_time(move || waiting.catch_up(0, LONG)));
    assert!(client.text().ends_with("data: 0123456789\n\n"));
    stall(&channel, &client, 5, "last");
    let waiting = channel.clone();
    let leaving = client.clone();
    assert!(in_time(move || {
        leaving.leave();
        waiting.catch_up(0, LONG)
    }));
    check(&channel, 0, Duration::MAX, true);

    #[track_caller]
    fn check(channel: &Channel, lag: u64, patience: Duration, expected: bool) {
        assert_eq!(channel.catch_up(lag, patience), expected, "{lag} {patience:?}");
    }
}

/// Who has just joined is a subscriber like others: what it has to catch up with is waited for.
#[test]
fn catching_up_with_newcomers() {
    let channel = Channel::new();
    let first = epoch(&channel) + "0";
    for number in 0..10 {
        channel.publish(Event::new(number)).unwrap();
    }
    let early = follow(&channel, &get_after(&first));
    early.until("all", |state| state.ends_with("data: 9\n\n"));
    let text = early.text();
    let head = early.state().written.len() - text.len();
    for round in 0..20 {
        assert!(in_time({
            let channel = channel.clone();
            move || channel.catch_up(0, LONG)
        }));
        let late = Valve::new(&get_after(&first));
        late.take(head + 3); // and not one event
        Host::new(EventSource::channel(&channel)).serve(late.host_end());
        assert!(!channel.catch_up(0, Duration::ZERO), "round {round}");
        late.take(usize::MAX);
    }
}

/// A publisher that waits for its subscribers loses none of them, however much it has to say.
#[test]
fn a_patient_publisher() {
    let channel = Channel::setup().history_events(10).history_bytes(1000).open();
    let client = follow(&channel, GET);
    client.take(5000);
    let reader = client.clone();
    let slow = thread::spawn(move || {
        while !reader.state().is_closed {
            reader.take(5000);
            thread::sleep(Duration::from_millis(1)); // its pace
        }
    });
    let text = "x".repeat(5000);
    for _ in 0..200 {
        channel.publish(Event::new(&text)).unwrap();
        assert!(channel.catch_up(20, LONG));
    }
    channel.close();
    client.until("the end", |state| state.is_closed);
    slow.join().unwrap();
    assert_eq!(client.text().matches("data: x").count(), 200);
    assert!(!client.text().contains("reset"));
}
