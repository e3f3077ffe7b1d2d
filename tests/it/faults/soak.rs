//! Everything at once, for a minute or as long as you like, and afterwards nothing is left of it.

use super::{app, bound, connect, say, GET, POST};
use crate::alone::{allocated, resident, threads};
use crate::patience::eventually;
use crate::random::Random;
use brooklet::{Channel, Event, EventSource, Limits};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How many seconds it takes, unless `SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 60;
/// Threads that come and go.
const CLIENTS: usize = 24;
/// The events of a stream that counts.
const COUNTED: u64 = 200;

/// What the process holds now: threads, descriptors, bytes that it has allocated.
fn held() -> (usize, usize, usize) {
    (threads(), std::fs::read_dir("/proc/self/fd").unwrap().count(), allocated())
}

type Tally = Arc<Mutex<BTreeMap<&'static str, u64>>>;

/// One visit of one client, of a kind by chance.
fn visit(address: SocketAddr, random: &mut Random) -> &'static str {
    let get = |path: &str| GET.replace("/ ", &format!("/{path} "));
    let mut client = connect(address);
    let kind =
        random.pick(&["counts", "request", "stall", "reset", "leave", "half", "half head", "follow", "mute"]);
    match kind {
        "counts" => {
            say(&client, &get("count"));
            let mut text = String::new();
            let read = client.read_to_string(&mut text);
            // All and in order, or nothing: it may be told that there is no room, by an answer that has a length, or be
            // too late with its request.
            let (head, body) = text.split_once("\r\n\r\n").unwrap_or(("", ""));
            if head.starts_with("HTTP/1.1 200") && !head.contains("\r\nContent-Length: ") {
                read.unwrap();
                let events: String = (0..COUNTED).map(|number| format!("data: {number}\n\n")).collect();
                let events = format!("retry: 3000\n{events}");
                assert!(body == events, "an event is missing");
                return "counted";
            }
        }
        "request" => {
            for _ in 0..1 + random.below(5) {
                say(&client, GET);
                let mut answer = [0; 1024];
                if matches!(client.read(&mut answer), Ok(0) | Err(_)) {
                    return "told to go";
                }
            }
        }
        "stall" => {
            say(&client, &get("send"));
            linger(random);
        }
        "reset" => {
            say(&client, &get(random.pick(&["wait", "receive", "send", "follow"])));
            client.peek(&mut [0]).ok(); // it is there, and stays unread
            say(&client, "more");
        }
        "leave" => {
            say(&client, &get(random.pick(&["wait", "receive", "follow"])));
            let _ = client.read(&mut [0; 4096]);
        }
        "half" => {
            say(&client, &get(random.pick(&["wait", "receive", "send", "follow"])));
            client.shutdown(Shutdown::Write).ok();
            let _ = client.read(&mut [0; 4096]);
        }
        "half head" => {
            say(&client, random.pick(&["G", "GET / HT", POST]));
            linger(random);
        }
        "follow" => {
            say(&client, &get("follow"));
            for _ in 0..random.below(20) {
                if matches!(client.read(&mut [0; 4096]), Ok(0) | Err(_)) {
                    break;
                }
            }
        }
        _ => linger(random),
    }
    kind
}

/// How long a client does nothing: its own pace.
fn linger(random: &mut Random) {
    thread::sleep(Duration::from_millis(random.below(600) as u64));
}

/// One that reads all that is published, to the end.
fn follow_to_the_end(address: SocketAddr) -> String {
    let mut client: TcpStream = connect(address);
    say(&client, &GET.replace("/ ", "/all "));
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

/// Clients come, leave, stall and reset for so long; returns how many of each kind there were.
fn round(length: Duration) -> (Tally, u64) {
    let (noise, news) = (
        Channel::new(),
        Channel::setup().history_events(u64::MAX).history_bytes(u64::MAX).replay(u64::MAX).open(),
    );
    let limits = Limits::default()
        .max_connections(20) // fewer than come
        .max_heads(8)
        .head_deadline(Duration::from_millis(200))
        .body_deadline(Duration::from_millis(200))
        .idle_deadline(Duration::from_millis(200))
        .write_deadline(Duration::from_millis(300));
    let app = app(&noise)
        .add("all", EventSource::channel(&news))
        .add("count", EventSource::new(|c| Ok((0..COUNTED).try_for_each(|number| c.data(number))?)));
    let host = bound(app).limits(limits).start().unwrap();
    let address = host.address();
    let faithful: Vec<_> = (0..4).map(|_| thread::spawn(move || follow_to_the_end(address))).collect();
    eventually("they follow", || news.subscribers() == 4);

    let is_over = Arc::new(AtomicBool::new(false));
    let tally = Tally::default();
    let clients: Vec<_> = (1..=CLIENTS as u64)
        .map(|seed| {
            let (is_over, tally) = (Arc::clone(&is_over), Arc::clone(&tally));
            thread::spawn(move || {
                let mut random = Random::new(seed);
                while !is_over.load(Ordering::Relaxed) {
                    let kind = visit(address, &mut random);
                    *tally.lock().unwrap().entry(kind).or_default() += 1;
                }
            })
        })
        .collect();
    let started = Instant::now();
    let mut published = 0_u64;
    while started.elapsed() < length {
        news.publish(Event::new(published)).unwrap();
        noise.publish(Event::new("x".repeat(2000))).unwrap();
        published += 1;
        thread::sleep(Duration::from_millis(2)); // the pace of the news
    }
    is_over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    news.close();
    for text in faithful {
        let text = text.join().unwrap();
        let numbers =
            text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| !data.is_empty());
        assert!(numbers.map(|number| number.parse::<u64>().unwrap()).eq(0..published), "an event is missing");
    }
    eventually("all have left", || host.stats().connections == 0);
    let stats = host.stats();
    assert_eq!((stats.streams, stats.panics, stats.failures), (0, 0, 0), "{stats}");
    eprintln!("{published} events to each faithful follower; {:?}\n{stats}", tally.lock().unwrap());
    assert_eq!(host.stop().forced, 0);
    (tally, published)
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "takes a minute"]
fn nothing_is_left() {
    crate::alone::alone("faults::soak::nothing_is_left", come_and_go);
}

#[cfg(target_os = "linux")]
fn come_and_go() {
    round(Duration::from_secs(3)); // what is made once is made
    let settle = |threads| eventually("threads that are kept for a while go home", || held().0 <= threads);
    settle(2 + usize::from(held().0 > 100)); // the test's own, and the harness's
    let before = held();
    let seconds =
        std::env::var("SOAK_SECONDS").map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    let (tally, _) = round(Duration::from_secs(seconds));
    {
        let tally = tally.lock().unwrap();
        assert!(tally.values().sum::<u64>() > 2000 && tally["counted"] > 100, "{tally:?}");
    }
    drop(tally);
    settle(before.0);
    let after = held();
    eprintln!("threads, descriptors, bytes allocated: {before:?} before, {after:?} after");
    eprintln!("bytes in memory: {} after", resident());
    assert_eq!(after, before);
}
