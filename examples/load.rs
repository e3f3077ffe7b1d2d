//! A server to be measured: every kind of answer and stream, under as much load as you like.
//!
//! Run `cargo run --release --example load -- 8080`, then for example
//! `curl -N http://127.0.0.1:8080/fan` and, beside it,
//! `curl -X POST 'http://127.0.0.1:8080/publish?n=10&rate=2&size=64'`.
//!
//! | route | answer |
//! |---|---|
//! | `/` | a page of 1 KiB |
//! | `/none` | `204` |
//! | `/burst?n=N&size=S` | a stream of N events with S bytes of data, as fast as goes |
//! | `/burst?n=N&size=S&each=1` | the same, with a write for each |
//! | `/fan` | a stream that follows the channel |
//! | `POST /publish?n=N&rate=R&size=S` | `202` at once; then N events to the channel, R per second, or as fast as the subscribers can take them if R is 0 |
//! | `/rooms/I` | a stream that follows room I's own channel, made when somebody comes |
//! | `POST /publish-rooms?n=N&rate=R&size=S` | `202` at once; then N events to each room, R per second, the rooms one after the other, evenly |
//! | `/topics/I` | a stream that follows topic I of one channel |
//! | `POST /publish-topics?n=N&rate=R&size=S` | the same for the topics that somebody has asked for |
//! | `/ticks?ms=M&size=S` | a stream with a generator of its own: M ms, then an event, and so on for ever |
//! | `/idle` | a stream that follows a silent channel |
//! | `/idle?thread=1` | a silent stream that keeps its own thread |
//!
//! A second argument is the stack of each thread in KiB, for many streams with threads of their own.
//!
//! Data begins with the nanoseconds of the monotonic clock and a sequence number.

mod cli;

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use brooklet::{
    Channel, Content, Data, Event, EventConnection, EventSource, Host, Layout, Limits, Request, Response,
    StartError, Status, Writer,
};

/// How many bytes publishing as fast as goes may be ahead of the slowest subscriber, about.
const LEAD: u64 = 128 * 1024;
/// What an event of the channel has beside its data.
const FRAME: u64 = 50;
/// What a follower is sent first, for clients that wait for a comment. When it has joined, an id follows.
const JOINING: &str = "joining";
/// What an event holds at most, whatever is asked for.
const MAX_SIZE: usize = 1024 * 1024;

/// A channel for each number that somebody has asked for.
type Rooms = Arc<Mutex<BTreeMap<u64, Channel>>>;
/// The topics that somebody has asked for.
type Topics = Arc<Mutex<BTreeSet<u64>>>;

/// What data is filled up with, piece by piece.
const PADDING: &str = "................................................................";

fn main() -> Result<(), StartError> {
    let cli = cli::Cli::read("load [OPTIONS] [PORT] [STACK]", "A server to be measured.", &[]);
    let stack = cli.operands().first().map(|stack| {
        let bytes = stack.to_str().and_then(|kib| kib.parse::<usize>().ok()?.checked_mul(1024));
        bytes.unwrap_or_else(|| cli.refuse("STACK is a number of KiB"))
    });
    let clock = Clock::start();
    let (news, silence) = (Channel::new(), Channel::new());
    let (rooms, topics, news_of_topics) = (Rooms::default(), Topics::default(), Channel::new());
    let app = Layout::new()
        .index(Content::html(format!("<!doctype html><title>load</title><p>{}", "x".repeat(986))))
        .add("none", |_: Request| Response::new(Status::NO_CONTENT))
        .add("burst", EventSource::new(move |connection| burst(connection, clock)))
        .add("fan", followers(&news))
        .add("publish", move |request: Request| start_publishing(&request, &news, clock))
        .add("rooms", room_followers(&rooms))
        .add("publish-rooms", move |request: Request| {
            let rooms: Vec<_> = rooms.lock().expect("nothing panics with it").values().cloned().collect();
            let to_each = rooms.into_iter().map(|room| (room, None)).collect();
            start_publishing_evenly(&request, to_each, clock)
        })
        .add("topics", topic_followers(&topics, &news_of_topics))
        .add("publish-topics", move |request: Request| {
            let topics = topics.lock().expect("nothing panics with it");
            let to_each = topics.iter().map(|topic| (news_of_topics.clone(), Some(*topic))).collect();
            start_publishing_evenly(&request, to_each, clock)
        })
        .add("ticks", EventSource::new(move |connection| ticks(connection, clock)))
        .add("idle", idle(silence));
    let host = cli.apply(Host::new(app)).limits(Limits::default().max_connections(20_000));
    match stack {
        Some(bytes) => host.stack_size(bytes).run(),
        None => host.run(),
    }
}

/// Makes each event by itself, and sends them in as few writes as there can be, or each by itself.
fn burst(connection: &mut EventConnection, clock: Clock) -> brooklet::Result {
    let (count, size) = (number(connection.request(), "n", 1), number(connection.request(), "size", 64));
    let is_sent_each = connection.request().query("each").is_some();
    let mut events = (0..count).map(|index| {
        Event::new(clock.reading(index, size as usize)).event_type("tick").id(index.to_string())
    });
    match is_sent_each {
        true => Ok(events.try_for_each(|event| connection.send(event))?),
        false => Ok(connection.send_all(events)?),
    }
}

fn ticks(connection: &mut EventConnection, clock: Clock) -> brooklet::Result {
    let (pause, size) = (number(connection.request(), "ms", 100), number(connection.request(), "size", 64));
    connection.comment("hi")?;
    for index in 0.. {
        connection.wait(Duration::from_millis(pause))?;
        let data = clock.reading(index, size as usize);
        connection.send(Event::new(data).event_type("tick").id(index.to_string()))?;
    }
    Ok(())
}

fn followers(channel: &Channel) -> EventSource {
    let channel = channel.clone();
    EventSource::new(move |connection| {
        connection.comment(JOINING)?;
        Ok(connection.follow(&channel)?)
    })
}

fn start_publishing(request: &Request, channel: &Channel, clock: Clock) -> std::io::Result<Response> {
    let (count, rate) = (number(request, "n", 1), number(request, "rate", 0));
    let size = number(request, "size", 64) as usize;
    let channel = channel.clone();
    thread::Builder::new().spawn(move || publish(&channel, clock, count, rate, size))?;
    Ok(Response::new(Status::ACCEPTED))
}

fn publish(channel: &Channel, clock: Clock, count: u64, rate: u64, size: usize) {
    let started = Instant::now();
    let interval = 1_000_000_000_u64.checked_div(rate).map(Duration::from_nanos); // none for a rate of 0
    for index in 0..count {
        if let Some(interval) = interval {
            let due = started + interval * index as u32;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        } else if index % 16 == 0 {
            // Nobody is to lose anything; one who takes nothing at all is given up.
            channel.catch_up(LEAD / (size.min(MAX_SIZE) as u64 + FRAME), Duration::from_secs(30));
        }
        let published = channel.publish(Event::new(clock.reading(index, size)).event_type("tick"));
        published.expect("the type is one line, and the channel is open");
    }
}

fn room_followers(rooms: &Rooms) -> EventSource {
    let rooms = Arc::clone(rooms);
    EventSource::new(move |connection| {
        let number = last_segment(connection.request());
        // No more than somebody lacks who comes back at once: there may be thousands of rooms.
        let open = || Channel::setup().history_events(4).history_bytes(4 * 1024).open();
        let room = rooms.lock().expect("nothing panics with it").entry(number).or_insert_with(open).clone();
        connection.comment(JOINING)?;
        Ok(connection.follow(&room)?)
    })
}

fn topic_followers(topics: &Topics, channel: &Channel) -> EventSource {
    let (topics, channel) = (Arc::clone(topics), channel.clone());
    EventSource::new(move |connection| {
        let topic = last_segment(connection.request());
        topics.lock().expect("nothing panics with it").insert(topic);
        connection.comment(JOINING)?;
        Ok(connection.follow_topics(&channel, [topic.to_string()])?)
    })
}

/// Publishes to each in turn, which are channels, or topics of channels.
fn start_publishing_evenly(
    request: &Request,
    to_each: Vec<(Channel, Option<u64>)>,
    clock: Clock,
) -> std::io::Result<Response> {
    let (count, rate) = (number(request, "n", 1), number(request, "rate", 1).max(1));
    let size = number(request, "size", 64) as usize;
    let publish = move || {
        let interval = Duration::from_nanos(1_000_000_000 / rate.saturating_mul(to_each.len().max(1) as u64));
        let mut due = Instant::now();
        for index in 0..count {
            for (channel, topic) in &to_each {
                // As exactly as timers usually are: a thread that sleeps for each event would cost as much as it.
                let early = due.saturating_duration_since(Instant::now());
                if early >= Duration::from_millis(1) {
                    thread::sleep(early);
                }
                let mut event = Event::new(clock.reading(index, size)).event_type("tick");
                if let Some(topic) = topic {
                    event = event.topic(topic.to_string());
                }
                channel.publish(event).expect("the type is one line, and the channel is open");
                due += interval;
            }
        }
    };
    thread::Builder::new().spawn(publish)?;
    Ok(Response::new(Status::ACCEPTED))
}

/// The number that the path ends with.
fn last_segment(request: &Request) -> u64 {
    request.path().rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn idle(silence: Channel) -> EventSource {
    EventSource::new(move |connection| {
        connection.comment("hi")?;
        match connection.request().query("thread") {
            Some(_) => Ok(connection.wait(Duration::MAX)?),
            None => Ok(connection.follow(&silence)?),
        }
    })
}

fn number(request: &Request, name: &str, default: u64) -> u64 {
    request.query(name).and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The monotonic clock of the system, in nanoseconds.
///
/// std does not tell what an `Instant` counts from, but on Linux its `Debug` shows it: read once, at the start.
#[derive(Clone, Copy)]
struct Clock {
    started: Instant,
    nanos: u64,
}

impl Clock {
    fn start() -> Self {
        let started = Instant::now();
        let shown = format!("{started:?}");
        let part = |name: &str| -> u64 {
            let digits = shown.split(name).nth(1).unwrap_or("").trim_start_matches(": ");
            let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse().unwrap_or(0)
        };
        Self { started, nanos: part("tv_sec") * 1_000_000_000 + part("tv_nsec") }
    }

    fn reading(self, index: u64, size: usize) -> Reading {
        Reading { nanos: self.nanos + self.started.elapsed().as_nanos() as u64, index, size }
    }
}

/// `<nanoseconds> <index> ` and padding, so many bytes: data that becomes text where it is sent, without a `String`.
struct Reading {
    nanos: u64,
    index: u64,
    size: usize,
}

impl Data for Reading {
    fn write(&self, out: &mut Writer<'_>) {
        self.nanos.write(out);
        out.text(" ");
        self.index.write(out);
        out.text(" ");
        let mut missing = self.size.min(MAX_SIZE).saturating_sub(digits(self.nanos) + digits(self.index) + 2);
        while missing > 0 {
            let count = missing.min(PADDING.len());
            out.text(&PADDING[..count]);
            missing -= count;
        }
    }
}

fn digits(number: u64) -> usize {
    let powers = iter::successors(Some(10_u64), |power| power.checked_mul(10));
    1 + powers.take_while(|power| *power <= number).count()
}
