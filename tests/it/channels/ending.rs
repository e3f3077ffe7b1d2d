//! How streams of a channel end: the channel's own end, the host's, the client's; and what keeps them alive.

use super::{assert_whole, epoch, get_after, host, start, start_forwarding, Client, FINISH, GET};
use crate::patience::{eventually, in_time, LONG};
use crate::serving::comeback;
use brooklet::{Channel, Event, EventSource};
use std::thread;
use std::time::{Duration, Instant};

/// All that was published is delivered, then the end, for good.
#[test]
fn closing() {
    let channel = Channel::new();
    let hosts = [start(&channel), start_forwarding(&channel)];
    let mut clients: Vec<_> = (0..6).map(|at| Client::join(&hosts[at % 2], &channel, GET)).collect();
    let text = "x".repeat(100);
    for _ in 0..1000 {
        channel.publish(Event::new(&text)).unwrap();
    }
    channel.close();
    for client in &mut clients {
        let rest = client.rest();
        assert!(rest.ends_with(FINISH));
        assert_eq!(client.parser.messages.len(), 1001);
        assert!(client.parser.messages[..1000].iter().all(|message| message.data == text));
    }
    eventually("nobody is left", || channel.subscribers() == 0);

    // Nothing is to come, unless something was missed.
    let id = |sequence: u32| get_after(&format!("{}{sequence}", epoch(&channel)));
    for request in [GET, &id(1000), &get_after("brooklet-finished")] {
        assert_eq!(Client::open(hosts[0].address(), request).head.status, 204, "{request:?}");
    }
    for host in &hosts {
        let mut resuming = Client::open(host.address(), id(998));
        assert!(resuming.rest().ends_with(FINISH));
        let data: Vec<_> = resuming.parser.messages.iter().map(|message| &message.data).collect();
        assert_eq!(data, [&text, &text, ""]);
        let mut lost = Client::open(host.address(), get_after("x"));
        assert!(lost.rest().ends_with(FINISH));
        assert_eq!(lost.parser.messages[0].event_type, "reset");
    }
    // Where a generator follows, the head has left before; so it is told as those who were there.
    assert!(Client::open(hosts[1].address(), GET).rest().ends_with(FINISH));
    channel.close(); // twice is once
    assert_eq!(hosts.iter().map(|host| host.stats().failures).sum::<u64>(), 0);
}

/// The last event and the end belong together, however close they are.
#[test]
fn closing_at_once() {
    for round in 0..50 {
        let channel = Channel::new();
        let hosts = [start(&channel), start_forwarding(&channel)];
        let mut clients: Vec<_> = hosts.iter().map(|host| Client::join(host, &channel, GET)).collect();
        channel.publish(Event::new(round)).unwrap();
        channel.close();
        for client in &mut clients {
            let expected = format!("id: E-0\n\nid: E-1\ndata: {round}\n\n{FINISH}");
            assert_eq!(client.rest().replace(&epoch(&channel), "E-"), expected);
        }
    }
}

/// Everybody is told when to come back, each at a time of its own, and the host is gone in no time.
#[test]
fn the_hosts_stop() {
    let channel = Channel::new();
    let staying = start(&channel);
    let mut stays = Client::join(&staying, &channel, GET);
    let stopping = start(&channel);
    let forwarding = start_forwarding(&channel);
    let first = format!("id: {}0\n\n", epoch(&channel));
    let mut clients: Vec<_> = (0..200).map(|_| Client::join(&stopping, &channel, GET)).collect();
    clients.extend((0..5).map(|_| Client::join(&forwarding, &channel, GET)));
    for host in [stopping, forwarding] {
        let report = in_time(move || host.stop_within(LONG));
        assert_eq!(report.forced, 0, "cut off");
    }
    let mut delays: Vec<_> =
        clients.iter_mut().map(|client| comeback(client.rest().as_bytes(), &first)).collect();
    assert!(delays.iter().all(|delay| (1500..=4500).contains(delay)), "{delays:?}");
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() >= 100, "too much alike: {delays:?}");

    // The channel belongs to nobody, and another host of it goes on.
    eventually("one is left", || channel.subscribers() == 1);
    channel.publish(Event::new("on")).unwrap();
    assert_eq!(stays.next().data, "on");
}

/// The writers are woken by it; else they would look up within a second.
#[test]
fn stops_wake_the_writers() {
    // A busy machine may delay most of them; what is not woken is late each time.
    eventually("a stop that waits for no look", || {
        let channel = Channel::new();
        let host = start(&channel);
        let mut client = Client::join(&host, &channel, GET);
        let started = Instant::now();
        in_time(move || host.stop_within(LONG));
        assert!(client.rest().contains("retry: "));
        started.elapsed() < Duration::from_millis(500)
    });
}

/// A stop ends a flood, and cuts no event in two for those who read.
#[test]
fn a_stop_in_a_flood() {
    let channel = Channel::new();
    let host = start(&channel);
    let readers: Vec<_> = (0..10)
        .map(|_| Client::join(&host, &channel, GET))
        .map(|mut client| thread::spawn(move || client.rest()))
        .collect();
    let publisher = channel.clone();
    let flood = thread::spawn(move || while publisher.publish(Event::new("drop")).is_ok() {});
    eventually("a flood", || channel.last_id().map_or(false, |id| id.len() > epoch(&channel).len() + 3));
    in_time(move || host.stop_within(LONG));
    for reader in readers {
        let text = reader.join().unwrap();
        assert_whole(text.as_bytes());
        assert!(text.lines().last().map_or(false, |line| line.starts_with("retry: ")), "no word at the end");
    }
    channel.close();
    flood.join().unwrap();
}

/// Without a write: nothing is published, and nobody is kept alive.
#[test]
fn departures() {
    let channel = Channel::new();
    let source = EventSource::channel(&channel).keep_alive(Duration::ZERO);
    let host = host(source).start().unwrap();
    let mut clients: Vec<_> = (0..100).map(|_| Client::join(&host, &channel, GET)).collect();
    clients.truncate(50);
    for client in &clients[..20] {
        client.wire.finish(); // for a stream that is a departure, too
    }
    eventually("those who left are not counted", || channel.subscribers() == 30);
    assert_eq!(host.stats().streams, 30);
    for client in &mut clients[..20] {
        assert_eq!(client.rest(), format!("id: {}0\n\n", epoch(&channel)));
    }
    channel.publish(Event::new("on")).unwrap();
    for client in &mut clients[20..] {
        assert_eq!(client.next().data, "on");
    }
}

/// A client has nothing to say: a little is thrown away, a flood ends the stream.
#[test]
fn clients_that_talk() {
    let channel = Channel::new();
    let host = start(&channel);
    let mut little = Client::join(&host, &channel, GET);
    little.wire.send(&[b'x'; 1000]);
    let much = Client::join(&host, &channel, GET);
    much.wire.send(&[b'x'; 70 * 1024]);
    eventually("one is cut off", || channel.subscribers() == 1);
    channel.publish(Event::new("on")).unwrap();
    assert_eq!(little.next().data, "on");
    channel.close();
    assert!(little.rest().ends_with(FINISH), "what it said took the end from it");
}

/// An idle stream says something each interval, and nothing more often.
#[test]
fn keep_alives() {
    let channel = Channel::new();
    let start = |interval: Duration| {
        let host = host(EventSource::channel(&channel).keep_alive(interval));
        host.start().unwrap()
    };
    let hosts = [start(Duration::from_millis(200)), start(LONG), start(Duration::ZERO)];
    let started = Instant::now();
    let mut often = Client::join(&hosts[0], &channel, GET);
    let mut others = [1, 2].map(|at| Client::join(&hosts[at], &channel, GET));
    let first = format!("id: {}0\n\n", epoch(&channel));
    often.signs_of_life(6);
    // The first may come up to an interval late: everybody is looked after in one go.
    assert!(started.elapsed() > Duration::from_millis(1000), "{:?}", started.elapsed());
    channel.publish(Event::new(1)).unwrap();
    assert_eq!(often.next().data, "1");
    let before = often.parser.comments.len();
    often.signs_of_life(before + 1);
    assert_eq!(often.text_but_comments(), format!("{first}id: {}1\ndata: 1\n\n", epoch(&channel)));
    channel.close();
    for client in &mut others {
        assert_eq!(client.rest(), format!("{first}id: {}1\ndata: 1\n\n{FINISH}", epoch(&channel)));
    }
    assert_whole(often.rest().as_bytes());
}

/// A stream that is never idle needs no help. How long it can have been idle is known from both sides of each event.
#[test]
fn busy_streams_are_not_kept_alive() {
    const INTERVAL: Duration = Duration::from_millis(500);
    let channel = Channel::new();
    let host = host(EventSource::channel(&channel).keep_alive(INTERVAL)).start().unwrap();
    let mut client = Client::join(&host, &channel, GET);
    let started = Instant::now();
    let (mut before, mut due) = (started, 0);
    while started.elapsed() < 3 * INTERVAL {
        let published = Instant::now();
        channel.publish(Event::new(1)).unwrap();
        client.next();
        due += before.elapsed().as_millis() / INTERVAL.as_millis(); // where the machine was that busy
        before = published;
        thread::sleep(INTERVAL / 100); // the pace of the publisher
    }
    assert!(client.parser.comments.len() as u128 <= due, "{:?}", client.parser.comments);
}
