//! Clients that come and go while several threads publish as fast as they can: nothing lost, nothing twice.

use super::{epoch, get_after, start, start_forwarding, Client, GET};
use crate::example::listen_again;
use crate::patience::in_time;
use crate::random::Random;
use crate::sse::Message;
use brooklet::{Channel, Event, EventSource, Host, RunningHost};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

const PUBLISHERS: u64 = 4;
const EACH: u64 = 5000;

/// Publishes from several threads until everybody has seen enough; returns how many events there were.
fn publish_until(channel: &Channel, is_enough: &Arc<AtomicBool>, most: u64) -> Vec<thread::JoinHandle<u64>> {
    (0..PUBLISHERS)
        .map(|publisher| {
            let (channel, is_enough) = (channel.clone(), Arc::clone(is_enough));
            thread::spawn(move || {
                let mut number = 0;
                while number < most && !is_enough.load(Ordering::Relaxed) {
                    channel.publish(Event::new(format!("{publisher}:{number}"))).unwrap();
                    number += 1;
                    if number % 64 == 0 {
                        thread::yield_now();
                    }
                }
                number
            })
        })
        .collect()
}

/// A client that is cut off again and again, at any byte, and comes back with what it has seen last.
struct Nomad {
    id: String,
    messages: Vec<Message>,
    connections: usize,
}

impl Nomad {
    /// Reads until it has seen the event with the id `last`.
    fn wander(address: SocketAddr, id: String, last: &str, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut nomad = Self { id, messages: Vec::new(), connections: 0 };
        loop {
            nomad.connections += 1;
            let mut client = Client::open(address, get_after(&nomad.id));
            let enough = 1 + random.below(60_000);
            while client.bytes.len() < enough && client.parser.last_event_id != last {
                assert_ne!(client.fill().unwrap(), 0, "the stream is over");
            }
            if !client.parser.last_event_id.is_empty() {
                nomad.id = client.parser.last_event_id.clone();
            }
            nomad.messages.append(&mut client.parser.messages);
            if nomad.id == last {
                return nomad;
            }
        }
    }
}

/// Six of them, from before the first event to the last that will be.
fn set_out(channel: &Channel, hosts: &[RunningHost; 2], seed: u64) -> Vec<JoinHandle<Nomad>> {
    let id = |sequence: u64| format!("{}{sequence}", epoch(channel));
    let (first, last) = (id(0), id(PUBLISHERS * EACH));
    (0..6)
        .map(|at| {
            let (first, last) = (first.clone(), last.clone());
            let address = hosts[usize::from(at % 3 == 2)].address();
            thread::spawn(move || Nomad::wander(address, first, &last, seed + at))
        })
        .collect()
}

/// With a history that holds everything, each client gets every event once, in the one order.
#[test]
fn nothing_lost_nothing_twice() {
    let channel = Channel::setup().history_events(u64::MAX).history_bytes(u64::MAX).open();
    let hosts = [start(&channel), start_forwarding(&channel)];
    let wandering = set_out(&channel, &hosts, 1);
    for publisher in publish_until(&channel, &Arc::default(), EACH) {
        assert_eq!(publisher.join().unwrap(), EACH);
    }
    let nomads: Vec<_> = wandering.into_iter().map(|nomad| nomad.join().unwrap()).collect();
    for nomad in &nomads {
        let messages = &nomad.messages;
        assert!(nomad.connections > 3, "it was hardly ever cut off");
        for (at, message) in messages.iter().enumerate() {
            assert_eq!(message.last_event_id, format!("{}{}", epoch(&channel), at + 1));
        }
        assert_eq!(messages.len() as u64, PUBLISHERS * EACH);
        assert!(messages == &nomads[0].messages[..messages.len()], "another order");
        // Each publisher's events in its own order.
        for publisher in 0..PUBLISHERS {
            let start = format!("{publisher}:");
            let numbers = messages.iter().filter_map(|message| message.data.strip_prefix(&start));
            assert!(numbers.map(|number| number.parse::<u64>().unwrap()).eq(0..EACH));
        }
    }
}

/// With a short one there are gaps, and what is said of them adds up.
#[test]
fn gaps_add_up() {
    let channel = Channel::setup().history_events(50).history_bytes(100_000).open();
    let hosts = [start(&channel), start_forwarding(&channel)];
    let before_sequence = epoch(&channel).len();
    let wandering = set_out(&channel, &hosts, 11);
    for publisher in publish_until(&channel, &Arc::default(), EACH) {
        publisher.join().unwrap();
    }
    let mut resets = 0;
    for nomad in wandering {
        let nomad = nomad.join().unwrap();
        let mut seen = 0;
        let sequence = |message: &Message| message.last_event_id[before_sequence..].parse::<u64>();
        for message in &nomad.messages {
            let sequence = sequence(message).unwrap();
            if message.event_type == "reset" {
                resets += 1;
                let missed = sequence - seen;
                let [lagged, expired] = ["lagged", "expired"]
                    .map(|reason| format!("{{\"reason\":\"{reason}\",\"missed\":{missed}}}"));
                assert!(message.data == lagged || message.data == expired, "{message:?} after {seen}");
            } else {
                assert_eq!(sequence, seen + 1, "{message:?}");
            }
            seen = sequence;
        }
        assert_eq!(seen, PUBLISHERS * EACH);
    }
    assert!(resets > 0, "nobody has missed anything");
}

/// Joining fresh while it storms: what comes after the first block comes all.
#[test]
fn fresh_clients_in_a_storm() {
    let channel = Channel::setup().history_events(u64::MAX).history_bytes(u64::MAX).open();
    let hosts = [start(&channel), start_forwarding(&channel)];
    let is_enough = Arc::default();
    let publishers = publish_until(&channel, &is_enough, u64::MAX);
    let epoch = epoch(&channel);
    for round in 0..60 {
        let mut client = Client::open(hosts[round % 2].address(), GET);
        let first = client.next();
        let text = String::from_utf8(client.bytes.clone()).unwrap();
        let placed = text.strip_prefix(&format!("id: {epoch}")).unwrap().split('\n').next().unwrap();
        let mut seen: u64 = placed.parse().unwrap();
        for message in std::iter::once(first).chain((0..100).map(|_| client.next())) {
            seen += 1;
            assert_eq!(message.last_event_id, format!("{epoch}{seen}"));
        }
    }
    is_enough.store(true, Ordering::Relaxed);
    for publisher in publishers {
        publisher.join().unwrap();
    }
}

/// A server that starts anew has another epoch: who comes back is told that something was missed.
#[test]
fn a_restart() {
    let old = Channel::new();
    let host = start(&old);
    let address = host.address();
    let mut client = Client::join(&host, &old, GET);
    let id = old.publish(Event::new("old")).unwrap().id;
    assert_eq!(client.next().last_event_id, id);
    in_time(move || host.stop());
    assert!(client.rest().contains("retry: "));

    let new = Channel::new();
    for _ in 0..3 {
        new.publish(Event::new("before")).unwrap(); // so that the number alone would be known
    }
    let host = Host::new(EventSource::channel(&new)).listener(listen_again(address)).start().unwrap();
    let mut client = Client::join(&host, &new, get_after(&client.parser.last_event_id));
    new.publish(Event::new("new")).unwrap();
    let epoch = epoch(&new);
    let reset = format!("id: {epoch}0\nevent: reset\ndata: {{\"reason\":\"unknown\",\"missed\":null}}\n\n");
    let before = (1..=3).map(|number| format!("id: {epoch}{number}\ndata: before\n\n")).collect::<String>();
    client.exactly(&format!("{reset}{before}id: {epoch}4\ndata: new\n\n"));
}
