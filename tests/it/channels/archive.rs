//! Generators that send what a channel has forgotten, and then hand their client over without a hole.

use super::slow::overtake_for_good;
use super::valve::Valve;
use super::{host, Client, GET};
use brooklet::{Channel, Event, EventSource, Host};
use std::thread;

/// A source that says `no` where the channel does not go on from there.
fn source(channel: &Channel, id: Option<&'static str>) -> EventSource {
    let channel = channel.clone();
    EventSource::new(move |connection| {
        connection.data("mine")?;
        if !connection.follow_after(&channel, id)? {
            connection.data("no")?;
        }
        Ok(())
    })
}

/// Of five events, `b` to `f`, the channel remembers three.
#[test]
fn where_it_goes_on() {
    check(&["b", "c", "d", "e", "f"], Some("f"), "next");
    check(&["b", "c", "d", "e", "f"], Some("e"), "f next");
    check(&["b", "c", "d", "e", "f"], Some("d"), "e f next");
    check(&["b", "c", "d", "e", "f"], Some("c"), "d e f next"); // known as the one before them
    check(&["b", "c", "d", "e", "f"], Some("b"), "no");
    check(&["b", "c", "d", "e", "f"], Some("a"), "no");
    check(&["b", "c", "d", "e", "f"], Some("g"), "no");
    check(&["b", "c", "d", "e", "f"], None, "no"); // the first one is forgotten
    check(&["b", "c", "d"], None, "b c d next");
    check(&["b"], Some("a"), "no");
    check(&[], None, "next");
    check(&[], Some("a"), "no");

    #[track_caller]
    fn check(published: &[&str], id: Option<&'static str>, expected: &str) {
        let channel = Channel::setup().own_ids().history_events(3).history_bytes(1000).open();
        let publish = |id: &str| channel.publish(Event::new(id).id(id)).unwrap();
        published.iter().copied().for_each(|id| drop(publish(id)));
        let server = host(source(&channel, id)).start().unwrap();
        let mut client = match expected {
            "no" => Client::open(server.address(), GET),
            _ => Client::join(&server, &channel, GET),
        };
        publish("next");
        channel.close();
        let text = client.rest();
        let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let end = if expected == "no" { "" } else { " " }; // the data of `finish` is empty
        assert_eq!(data.join(" "), format!("mine {expected}{end}"), "{published:?} after {id:?}");
    }
}

/// What the client said of itself counts for nothing: the generator knows what it has sent.
#[test]
fn the_clients_own_id_is_not_asked() {
    let channel = Channel::setup().own_ids().open();
    channel.publish(Event::new("b").id("b")).unwrap();
    let server = host(source(&channel, None)).start().unwrap();
    let mut client = Client::join(&server, &channel, super::get_after("b"));
    client.exactly("data: mine\n\nid: b\ndata: b\n\n");
}

/// Who falls behind is closed between two events, and hears nothing of a gap.
#[test]
fn falling_behind() {
    for room in [0, 1, 10, 20] {
        let channel = Channel::setup().history_events(10).history_bytes(1000).open();
        let client = Valve::serve(&Host::new(source(&channel, None)), GET);
        overtake_for_good(&channel, &client, room);
        client.take(usize::MAX);
        client.until("it is closed", |state| state.is_closed);
        let first = format!("id: {}1\ndata: first\n\n", super::epoch(&channel));
        let expected = if room == 0 { "" } else { &*first };
        assert_eq!(client.text(), format!("data: mine\n\n{expected}"), "{room}");
    }
}

/// A publisher that does not wait, a short history and a client that is always late: every number once, in order.
#[test]
fn no_hole_at_the_join() {
    const LAST: u64 = 20_000;
    let channel = Channel::setup().own_ids().history_events(50).history_bytes(10_000).open();
    let server = host(EventSource::new({
        let channel = channel.clone();
        move |connection| {
            let mut seen = 0;
            while !connection.follow_after(&channel, Some(&seen.to_string()))? {
                // The archive is as far as the channel is, or further.
                let archived = channel.last_id().map_or(0, |id| id.parse().expect("a number"));
                connection.send_all((seen + 1..=archived).map(|n| Event::new(n).id(n.to_string())))?;
                seen = archived;
            }
            Ok(())
        }
    }));
    let server = server.start().unwrap();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| numbers(&server))).collect();
        for number in 1..=LAST {
            channel.publish(Event::new(number).id(number.to_string())).unwrap();
            if number % 100 == 0 {
                channel.catch_up(40, crate::patience::DEADLINE);
            }
        }
        for client in clients {
            assert!(client.join().unwrap().into_iter().eq(1..=LAST));
        }
    });

    fn numbers(server: &brooklet::RunningHost) -> Vec<u64> {
        let mut client = Client::open(server.address(), GET);
        (0..LAST).map(|_| client.next().data.parse().unwrap()).collect()
    }
}
