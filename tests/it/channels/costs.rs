//! What a channel costs: threads, descriptors, time and memory. Each in a process of its own, which is the only
//! one that is counted.
#![cfg(target_os = "linux")]

use super::valve::Valve;
use super::{assert_whole, epoch, get_after, host, patient_for, start, Client, FINISH, GET};
use crate::alone::{resident, threads, threads_named};
use crate::patience::{eventually, DEADLINE, LONG};
use crate::random::Random;
use brooklet::{Channel, Event, EventSource, Host};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

/// Accepting, and as many writers as the process may have at most, with one to spare.
const FEW: usize = 6;

#[track_caller]
fn alone(name: &str, test: fn()) {
    crate::alone::alone(&format!("channels::costs::{name}"), test);
}

/// A thousand that only listen: a few threads, hardly any time, and nothing when they have gone.
#[test]
fn a_thousand_idle_subscribers() {
    alone("a_thousand_idle_subscribers", || {
        let (threads_before, descriptors_before) = (threads(), descriptors());
        let channel = Channel::new();
        let host = start(&channel);
        let mut clients: Vec<_> = (0..1000).map(|_| Client::join(&host, &channel, GET)).collect();
        assert!(descriptors() <= descriptors_before + 2 * 1000 + FEW);
        eventually("a few threads", || threads() <= threads_before + FEW);

        let before = ticks();
        thread::sleep(Duration::from_secs(2)); // what is measured is this time
        let burned = ticks() - before;
        assert!(burned <= 20, "{burned} ticks of 10 ms burned in 2 s");

        channel.publish(Event::new("all")).unwrap();
        let first = format!("id: {}0\n\n", epoch(&channel));
        for client in &mut clients {
            client.exactly(&format!("{first}id: {}1\ndata: all\n\n", epoch(&channel)));
        }
        channel.close();
        for client in &mut clients {
            assert!(client.rest().ends_with(FINISH));
        }
        drop((clients, host));
        eventually("all threads have ended", || threads() == threads_before);
        assert_eq!(descriptors(), descriptors_before);
    });
}

/// A thousand channels with one follower each take as few threads, and nobody gets what another channel has.
#[test]
fn a_thousand_channels() {
    alone("a_thousand_channels", || {
        let (threads_before, descriptors_before) = (threads(), descriptors());
        let rooms: Arc<Vec<_>> = Arc::new((0..1000).map(|_| Channel::new()).collect());
        let source = EventSource::new({
            let rooms = Arc::clone(&rooms);
            move |connection| {
                let number = connection.request().query("room").and_then(|room| room.parse().ok());
                let room: usize = number.expect("each says which");
                Ok(connection.follow(&rooms[room])?)
            }
        });
        let host = host(source).start().unwrap();
        let mut clients: Vec<_> = (0..rooms.len())
            .map(|room| Client::open(host.address(), GET.replace("/ ", &format!("/?room={room} "))))
            .collect();
        eventually("all have joined", || rooms.iter().all(|room| room.subscribers() == 1));
        eventually("a few threads", || threads() <= threads_before + FEW);
        for round in 0..5 {
            for (number, room) in rooms.iter().enumerate() {
                room.publish(Event::new(format!("{round} of {number}"))).unwrap();
            }
        }
        for (number, client) in clients.iter_mut().enumerate() {
            for round in 0..5 {
                assert_eq!(client.next().data, format!("{round} of {number}"));
            }
            rooms[number].close();
            assert!(client.rest().ends_with(FINISH));
        }
        drop((clients, host));
        eventually("all threads have ended", || threads() == threads_before);
        assert_eq!(descriptors(), descriptors_before);
    });
}

/// Channels that are made for those who come, and let go of when they have gone: nothing of them stays.
#[test]
fn rooms_come_and_go() {
    alone("rooms_come_and_go", || rooms(10));
}

#[test]
#[ignore = "takes a while: the same with 10,000 rooms"]
fn ten_thousand_rooms_come_and_go() {
    alone("ten_thousand_rooms_come_and_go", || rooms(100));
}

fn rooms(waves: usize) {
    const AT_ONCE: usize = 100;
    const EVENT: usize = 4 * 1024;
    let threads_before = threads();
    let rooms = Arc::<Mutex<HashMap<String, Channel>>>::default();
    let source = EventSource::new({
        let rooms = Arc::clone(&rooms);
        move |connection| {
            let name = connection.request().query("room").expect("each says which").to_owned();
            let room = rooms.lock().unwrap().entry(name).or_default().clone();
            Ok(connection.follow(&room)?)
        }
    });
    let host = host(source).start().unwrap();
    let text = "x".repeat(EVENT);
    let mut after_the_first = 0;
    for wave in 0..waves {
        let mut clients: Vec<_> = (0..AT_ONCE)
            .map(|at| Client::open(host.address(), GET.replace("/ ", &format!("/?room={wave}-{at} "))))
            .collect();
        let there = || rooms.lock().unwrap().values().map(Channel::subscribers).sum::<usize>();
        eventually("all have joined", || there() == AT_ONCE);
        rooms.lock().unwrap().values().for_each(|room| drop(room.publish(Event::new(&text)).unwrap()));
        clients.iter_mut().for_each(|client| assert_eq!(client.next().data, text));
        drop(clients);
        eventually("all have left", || there() == 0 && host.stats().connections == 0);
        rooms.lock().unwrap().clear();
        if wave == 0 {
            after_the_first = resident(); // with what a process needs once
        }
    }
    let grown = resident().saturating_sub(after_the_first);
    eprintln!("{grown} bytes more");
    assert!(grown < (waves - 1) * AT_ONCE * EVENT / 2, "{grown} bytes more");
    eventually("a few threads", || threads() <= threads_before + FEW);
    drop(host);
    eventually("all threads have ended", || threads() == threads_before);
}

/// Five hundred who come back at once are one call of the snapshot, and share its one text, though none of them takes it.
#[test]
fn a_snapshot_is_one_text() {
    alone("a_snapshot_is_one_text", || {
        const CLIENTS: usize = 500;
        const TEXT: usize = 256 * 1024;
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let snapshot =
            move || Event::new(format!("{} {}", counted.fetch_add(1, Ordering::SeqCst), "x".repeat(TEXT)));
        let channel = Channel::setup().snapshot(snapshot).open();
        let host = Host::new(EventSource::channel(&channel).keep_alive(LONG)).limits(patient_for(LONG));
        let before = resident();
        let come = |_| {
            let client = Valve::new(&get_after("of another run"));
            client.take(2000); // the head, the reset, and the beginning
            host.serve(client.host_end());
            client
        };
        let clients: Vec<_> = (0..CLIENTS).map(come).collect();
        for client in &clients {
            client.until("it is full", |state| state.room == 0);
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 32 * TEXT, "{grown} bytes for {CLIENTS} clients");
        for client in &clients[..3] {
            client.take(usize::MAX);
            client.until("the rest", |state| state.ends_with("x\n\n"));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
}

/// What a query costs is its bytes, whatever it looks like, also where its request is kept for the last line of the log
/// and for those who want to know who leaves.
#[test]
fn queries_of_followers() {
    alone("queries_of_followers", || {
        let channel = Channel::new();
        let presence = channel.presence();
        let host = host(EventSource::channel(&channel)).log(|_| {}).start().unwrap();
        let mut clients = Vec::new();
        let plain = "x=".to_owned() + &"a".repeat(8000);
        // The first ones pay for what a process needs once.
        let costs = [plain.clone(), plain, "a&".repeat(4000), "%41=&".repeat(1600)].map(|query| {
            let before = resident();
            for _ in 0..200 {
                clients.push(Client::open(host.address(), GET.replace("/ ", &format!("/?{query} "))));
                drop(presence.recv_timeout(DEADLINE).unwrap());
            }
            (resident() - before) / 200
        });
        eprintln!("{costs:?} bytes a stream");
        assert!(costs[1..].iter().all(|cost| *cost < 24 * 1024), "{costs:?} bytes a stream");
    });
}

#[test]
fn a_thousand_come_and_go() {
    alone("a_thousand_come_and_go", || come_and_go(1000));
}

#[test]
#[ignore = "takes a while: the same with 10,000 clients"]
fn ten_thousand_come_and_go() {
    alone("ten_thousand_come_and_go", || come_and_go(10_000));
}

/// Clients join and leave in all ways while events are published; in the end all is as it was.
fn come_and_go(clients: usize) {
    let (threads_before, descriptors_before) = (threads(), descriptors());
    {
        let channel = Channel::new();
        let host = start(&channel);
        let mut random = Random::new(5);
        let mut here: Vec<Client> = Vec::new();
        let mut memory = 0;
        for number in 0..clients {
            let request = if random.once_in(2) { GET.to_owned() } else { get_after("x") };
            here.push(Client::open(host.address(), &request));
            if random.once_in(3) {
                channel.publish(Event::new(number)).unwrap();
            }
            while here.len() > 50 || (!here.is_empty() && random.once_in(3)) {
                let mut leaving = here.swap_remove(random.below(here.len()));
                if random.once_in(2) {
                    assert_ne!(leaving.fill().unwrap(), 0); // else it leaves with unread bytes: a reset
                }
            }
            if number == clients / 2 {
                memory = resident();
            }
        }
        assert!(resident() < memory + 8 * 1024 * 1024, "memory grows");
        channel.publish(Event::new("last")).unwrap();
        channel.close();
        for client in &mut here {
            assert_whole(client.rest().as_bytes());
        }
        eventually("nobody is left", || channel.subscribers() == 0);
        eventually("no writer is left", || threads_named("brooklet-channel") == 0);
        drop(here);
    }
    eventually("all threads have ended", || threads() == threads_before);
    assert_eq!(descriptors(), descriptors_before);
}

/// Memory is the history and a constant, however much is published and whoever stalls.
#[test]
fn memory() {
    alone("memory", || {
        const MIB: usize = 1024 * 1024;
        let channel = Channel::setup().history_events(u64::MAX).history_bytes(4 * MIB as u64).open();
        let host = start(&channel);
        let _stalled = Client::join(&host, &channel, GET);
        let before = resident();
        let text = "x".repeat(10_000);
        for _ in 0..5000 {
            channel.publish(Event::new(&text)).unwrap();
        }
        let grown = resident().saturating_sub(before) / MIB;
        assert!(grown <= 10, "{grown} MiB for a history of 4 MiB and 48 MiB that were published");
    });
}

/// Also if events are small, and each is sent as soon as it is published.
#[test]
fn memory_of_small_events() {
    alone("memory_of_small_events", || {
        const MIB: usize = 1024 * 1024;
        let channel = Channel::setup().history_events(u64::MAX).history_bytes(2 * MIB as u64).open();
        let host = start(&channel);
        let mut client = Client::join(&host, &channel, GET);
        let reading = thread::spawn(move || {
            while !matches!(client.fill(), Ok(0)) {
                client.bytes.clear();
                client.parser.messages.clear();
            }
        });
        let before = resident();
        for number in 0..75_000 {
            channel.publish(Event::new(number)).unwrap(); // of about 32 bytes, with the id
            channel.catch_up(0, DEADLINE);
        }
        let grown = (resident().saturating_sub(before)) / MIB;
        channel.close();
        reading.join().unwrap();
        assert!(grown <= 2 * 2 + 4, "{grown} MiB for a history of 2 MiB");
    });
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// User and system time of this process.
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields.iter().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
