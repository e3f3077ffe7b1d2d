//! Who gets a slot where slots are short, and who has to give one.

use super::{app, ask, bound, comeback, connect, say, sees, sees_or_ends, take, GET, POST};
use crate::patience::{eventually, unhurried};
use crate::wire::insist;
use brooklet::{Channel, Event, Limits, RunningHost};
use std::io::Read;
use std::net::TcpStream;

const EVENTS: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

fn start(limits: Limits) -> (RunningHost, Channel) {
    let channel = Channel::new();
    (bound(app(&channel)).limits(limits).start().unwrap(), channel)
}

/// The host has closed it, without a word.
#[track_caller]
fn is_closed(mut client: &TcpStream, who: usize) {
    assert_eq!(client.read(&mut [0; 100]).unwrap(), 0, "number {who} is told something");
}

/// It is still there, and gets its answer.
#[track_caller]
fn is_open(client: &TcpStream, rest: &str) {
    say(client, rest);
    sees(client, "hello");
}

fn is_served(host: &RunningHost) -> bool {
    matches!(ask(host, GET).answer(false), Ok(answer) if answer.status == 200)
}

/// Many clients send one byte each. They never have more than `heads` slots, whoever was first goes first, and
/// somebody who means it is served all the time.
#[track_caller]
fn besiege(limits: Limits, bytes: &str, heads: usize) {
    let (host, _channel) = start(limits);
    let mut clients = Vec::new();
    while clients.len() < 64 {
        // One after the other, so that it is known who is the oldest.
        let due = (clients.len() + 1).saturating_sub(heads) as u64;
        let before = host.stats();
        let client = connect(host.address());
        say(&client, bytes);
        eventually("it is accepted", || host.stats().accepted > before.accepted);
        // As long as no other has got a thread it may be told to come back, and does.
        let is_turned_away = || host.stats().turned_away > before.turned_away;
        eventually("the oldest gives way", || host.stats().gave_way == due || is_turned_away());
        if !is_turned_away() {
            clients.push(client);
        }
    }
    // If there is no other slot, the one that is the oldest now gives way to us, as soon as its thread runs.
    eventually("we are served", || is_served(&host));
    let turned_away = host.stats().turned_away;
    for (number, client) in clients[..64 - heads].iter().enumerate() {
        is_closed(client, number);
    }
    let others = if bytes.is_empty() { heads - 1 } else { heads };
    for client in &clients[64 - heads + 1..] {
        eventually("we have left", || host.stats().connections == others as u64);
        assert_eq!(ask(&host, GET).answer(false).unwrap().status, 200);
        is_open(client, &GET[bytes.len()..]);
    }
    assert_eq!(host.stats().turned_away, turned_away);
}

#[test]
fn one_byte_each() {
    besiege(unhurried().max_heads(8), "G", 8);
    besiege(unhurried().max_connections(32).max_heads(8), "G", 8);
    besiege(unhurried().max_connections(200).max_heads(1), "G", 1);
}

#[test]
fn one_byte_each_and_few_slots() {
    let (host, _channel) = start(unhurried().max_connections(8));
    let clients: Vec<_> = (0..64).map(|_| connect(host.address())).collect();
    clients.iter().for_each(|client| say(client, "G"));
    // In a burst it may be told to come back in a moment, as long as nobody has a thread yet who could give way.
    eventually("somebody else is served", || is_served(&host));
    assert!(host.stats().gave_way > 0, "{:?}", host.stats());
    assert!(host.stats().connections <= 8 + 32, "{:?}", host.stats());
}

/// Idle connections give way, the oldest first, and whoever has said nothing is idle.
#[test]
fn idle_connections_give_way() {
    besiege(unhurried().max_connections(8), "", 8);

    let (host, _channel) = start(unhurried().max_connections(4));
    let kept: Vec<_> = (0..4).map(|_| connect(host.address())).collect();
    for client in &kept {
        say(client, GET);
        sees(client, "hello");
    }
    // That an answer has arrived does not say yet that its connection waits for the next request.
    let mut stream = None;
    eventually("somebody is idle again", || {
        let mut wire = ask(&host, &EVENTS.replace("/ ", "/wait "));
        let is_served = wire.head().is_ok() && wire.exactly(b"data: here\n\n").is_ok();
        stream = is_served.then_some(wire);
        is_served
    });
    assert_eq!(host.stats().gave_way, 1);
    let mut closed = 0;
    for client in &kept {
        take(client); // the answer, which nobody loses
        say(client, GET);
        match sees_or_ends(client, "hello") {
            true => {}
            false => closed += 1,
        }
    }
    assert_eq!(closed, 1, "one gave way for one");
}

/// A stream gives way to nobody, a body that is under way neither; who is too many is told, and counted.
#[test]
fn streams_and_bodies_do_not_give_way() {
    let (host, channel) = start(unhurried().max_connections(4));
    let streams = ["/wait", "/follow", "/receive"].map(|path| {
        let client = connect(host.address());
        say(&client, &GET.replace("/ ", &format!("{path} ")));
        sees(&client, "data: here\n\n");
        client
    });
    eventually("one follows", || channel.subscribers() == 1);
    let posting = connect(host.address());
    say(&posting, &POST.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"));
    sees(&posting, "100 Continue"); // so it is at its body
    for _ in 0..5 {
        let (_, answer) = insist(&host, EVENTS);
        assert_eq!((answer.status, answer.closes()), (200, true));
        comeback(&answer.body);
        assert_eq!(insist(&host, GET).1.status, 503);
        assert_eq!(insist(&host, POST).1.status, 503);
    }
    let stats = host.stats();
    assert_eq!((stats.answered, stats.gave_way, stats.streams), (3 + 15, 0, 3));
    assert!(stats.turned_away >= 15, "{stats}"); // those who came too late with their request as well
    assert!(stats.to_string().contains(&format!("{{cause=\"full\"}} {}\n", stats.turned_away)), "{stats}");
    is_open(&posting, &"a".repeat(100_000));
    channel.publish(Event::new("news")).unwrap();
    sees(&streams[1], "data: news\n\n");
    // That which has been answered meanwhile is idle, and the next one has its slot.
    let mut next = None;
    eventually("there is a slot", || {
        let mut wire = ask(&host, &EVENTS.replace("/ ", "/follow "));
        let is_served = wire.head().is_ok() && wire.exactly(b"data: here\n\n").is_ok();
        next = is_served.then_some(wire);
        is_served
    });
    assert_eq!((host.stats().gave_way, host.stats().streams), (1, 4));
}

/// Who is longest at its head gives way, which is not who came first: a connection that has been served for long
/// begins a head like everybody else.
#[test]
fn who_is_longest_at_its_head_gives_way() {
    let (host, _channel) = start(unhurried().max_heads(4));
    let old = connect(host.address());
    say(&old, GET);
    sees(&old, "hello");
    let slow: Vec<_> = (0..4).map(|_| connect(host.address())).collect();
    for client in &slow {
        say(client, "G");
    }
    // All four are at it when a fifth makes the first of them go.
    let fifth = connect(host.address());
    eventually("it is known that they are slow", || {
        say(&fifth, "G");
        host.stats().gave_way == 1
    });
    take(&old);
    say(&old, "GET / HT"); // in two pieces, as long heads come
    eventually("somebody gives way", || host.stats().gave_way == 2);
    is_open(&old, &GET["GET / HT".len()..]);
}
