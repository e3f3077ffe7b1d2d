//! The loads: each asks one server for something, as much and as often as its case says, and tells what came of it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::connection::{Connection, State};
use crate::figures::{kernel_kib, Histogram, Usage};
use crate::peers::now;
use crate::streams::{give_up_after, told, Streams, LIMIT, NO_ROUTE, SECOND};

/// A channel that is silent for so long has said everything.
const SILENCE: u64 = 10 * SECOND;
/// What is slower than this was mostly dropped by a full backlog, and tried again.
const RETRIED: u64 = 900 * SECOND / 1000;

#[derive(Clone, Copy)]
pub enum Load {
    /// Followers of `/fan`, or of a room or topic each, and so many events at a rate; none: as fast as goes.
    Fan { streams: usize, events: u64, rate: u64, route: &'static str },
    /// Streams with a generator of their own that waits between two events.
    Ticks { streams: usize, millis: u64, seconds: u64 },
    /// A page for newcomers while followers are sent as much as goes.
    Fair { streams: usize },
    /// Streams of so many events as fast as goes.
    Burst { streams: usize, events: u64 },
    /// Streams on which nothing happens.
    Idle { streams: usize, target: &'static str },
    /// Requests, one after the other on so many connections that stay open, or on a new connection each.
    Storm { connections: usize, seconds: u64, stays_open: bool },
    /// From connecting to the first event.
    First { count: usize },
}

pub type Figures = BTreeMap<&'static str, f64>;

impl Load {
    pub fn run(self, port: u16, process: u32) -> Result<Figures, String> {
        match self {
            Self::Fan { streams, events, rate, route } => fan(port, process, streams, events, rate, route),
            Self::Ticks { streams, millis, seconds } => ticks(port, process, streams, millis, seconds),
            Self::Fair { streams } => fair(port, streams),
            Self::Burst { streams, events } => burst(port, process, streams, events),
            Self::Idle { streams, target } => idle(port, process, streams, target),
            Self::Storm { connections, seconds, stays_open } => {
                storm(port, process, connections, seconds, stays_open)
            }
            Self::First { count } => first(port, count),
        }
    }

    /// Whether each stream keeps a thread of a server that has a thread for each connection.
    pub fn keeps_threads(&self) -> bool {
        match self {
            Self::Ticks { .. } => true,
            Self::Idle { target, .. } => target.contains("thread"),
            _ => false,
        }
    }

    /// The same with so many times the events, where they go as fast as they can.
    pub fn times(self, factor: u64) -> Self {
        match self {
            Self::Fan { streams, events, rate: 0, route } => {
                Self::Fan { streams, events: events * factor, rate: 0, route }
            }
            Self::Burst { streams, events } => Self::Burst { streams, events: events * factor },
            other => other,
        }
    }
}

fn fan(
    port: u16,
    process: u32,
    count: usize,
    events: u64,
    rate: u64,
    route: &str,
) -> Result<Figures, String> {
    let before = Usage::of(process);
    let (target, publish) = match route {
        "fan" => (None, "/publish".to_owned()),
        route => (Some(route), format!("/publish-{route}")),
    };
    let request = |index| match target {
        Some(route) => request("GET", &format!("/{route}/{index}"), ""),
        None => request("GET", "/fan", ""),
    };
    let mut streams = Streams::open(port, count, 64, &request)?;
    streams.connections.iter_mut().for_each(|connection| connection.reads_data = true);
    thread::sleep(Duration::from_millis(200));
    let (server, own) = (Usage::of(process), Usage::own());
    let status = ask(port, "POST", &format!("{publish}?n={events}&rate={rate}&size=64"));
    match status {
        202 => {}
        404 => return Err(NO_ROUTE.to_owned()),
        status => return Err(format!("answers {publish} {status}")),
    }
    let (started, mut latency) = (now(), Histogram::new());
    let (mut first, mut last) = (u64::MAX, started);
    while latency.count < count as u64 * events && streams.closed < count {
        streams.read(Duration::from_millis(50), |_, time, _, now| {
            latency.add(now.saturating_sub(time));
            (first, last) = (first.min(time), now);
        })?;
        if now() - last > SILENCE || now() - started > LIMIT {
            break;
        }
    }
    let (server_then, own_then) = (Usage::of(process), Usage::own());
    let delivered = latency.count.max(1) as f64;
    let lost = streams.sum(|connection| connection.lost + events.saturating_sub(connection.next));
    Ok(with(
        Figures::from([
            ("per_s", delivered / (last.saturating_sub(first).max(1) as f64 / SECOND as f64)),
            ("cpu_us", (server_then.cpu - server.cpu) * 1e6 / delivered),
            ("client_cpu_us", (own_then.cpu - own.cpu) * 1e6 / delivered),
            ("lost", lost),
            ("again", streams.sum(|connection| connection.again)),
            ("resets", streams.sum(|connection| connection.resets)),
            ("closed", streams.closed as f64),
            ("peak_kib", server_then.peak_kib),
            ("stream_kib", (server_then.resident_kib - before.resident_kib) / count as f64),
            ("threads", server_then.threads),
            ("switches", (server_then.switches - server.switches).max(0.0) / delivered),
        ]),
        &latency,
    ))
}

fn ticks(port: u16, process: u32, count: usize, millis: u64, seconds: u64) -> Result<Figures, String> {
    let before = Usage::of(process);
    let request = |_| request("GET", &format!("/ticks?ms={millis}&size=64"), "");
    let mut streams = Streams::open(port, count, 64, &request)?;
    streams.connections.iter_mut().for_each(|connection| connection.reads_data = true);
    let (mut latency, mut off, mut early) = (Histogram::new(), Histogram::new(), 0);
    let mut latest = vec![0; count];
    // What the opening has stirred up goes by first.
    let warm = now() + SECOND;
    while now() < warm {
        streams.read(Duration::from_millis(10), |stream, time, _, _| latest[stream] = time)?;
    }
    let (server, own, started) = (Usage::of(process), Usage::own(), now());
    while now() < started + seconds * SECOND {
        streams.read(Duration::from_millis(10), |stream, time, _, now| {
            latency.add(now.saturating_sub(time));
            let previous = std::mem::replace(&mut latest[stream], time);
            if previous > 0 {
                off.add((time - previous).abs_diff(millis * SECOND / 1000));
                early += u64::from(time - previous < millis * SECOND / 1000);
            }
        })?;
    }
    let (server_then, own_then) = (Usage::of(process), Usage::own());
    let events = latency.count.max(1) as f64;
    Ok(with(
        Figures::from([
            ("per_s", latency.count as f64 / seconds_since(started)),
            ("wanted_per_s", count as f64 * 1e3 / millis as f64),
            ("cpu_us", (server_then.cpu - server.cpu) * 1e6 / events),
            ("client_cpu_us", (own_then.cpu - own.cpu) * 1e6 / events),
            ("off_p50_us", off.micros(0.5)),
            ("off_p99_us", off.micros(0.99)),
            ("off_max_us", off.max as f64 / 1e3),
            ("early", early as f64),
            ("closed", streams.closed as f64),
            ("stream_kib", (server_then.resident_kib - before.resident_kib) / count as f64),
            ("threads", server_then.threads),
            ("switches", (server_then.switches - server.switches).max(0.0) / events),
        ]),
        &latency,
    ))
}

fn fair(port: u16, count: usize) -> Result<Figures, String> {
    let is_over = AtomicBool::new(false);
    let (mut asked, mut failed) = (Histogram::new(), 0);
    let flood = || -> Result<f64, String> {
        let mut streams = Streams::open(port, count, 64, &|_| request("GET", "/fan", ""))?;
        ask(port, "POST", "/publish?n=1000000&rate=0&size=64");
        while !is_over.load(Ordering::Relaxed) {
            streams.read(Duration::from_millis(20), |_, _, _, _| ())?;
        }
        Ok(streams.sum(|connection| connection.bytes))
    };
    let bytes = thread::scope(|scope| {
        let flood = scope.spawn(flood);
        thread::sleep(Duration::from_millis(1500));
        let started = now();
        while now() - started < 4 * SECOND {
            let since = now();
            failed += u64::from(ask(port, "GET", "/") != 200);
            asked.add(now() - since);
            thread::sleep(Duration::from_millis(20));
        }
        is_over.store(true, Ordering::Relaxed);
        flood.join().expect("a flood does not panic")
    })?;
    let figures = [("asked", asked.count as f64), ("failed", failed as f64), ("megabytes", bytes / 1e6)];
    Ok(with(Figures::from(figures), &asked))
}

fn burst(port: u16, process: u32, count: usize, events: u64) -> Result<Figures, String> {
    let request = |_| request("GET", &format!("/burst?n={events}&size=64"), "");
    let (server, own, started) = (Usage::of(process), Usage::own(), now());
    let mut streams = Streams::connect(port, count, &request)?;
    while streams.closed < count {
        streams.read(Duration::from_millis(100), |_, _, _, _| ())?;
        give_up_after(started)?;
    }
    let seconds = seconds_since(started);
    let (server_then, own_then) = (Usage::of(process), Usage::own());
    let got = streams.sum(|connection| connection.events);
    if got == 0.0 {
        return Err("no event came".to_owned());
    }
    let is_whole = |connection: &&Connection| connection.events == events && connection.state == State::Done;
    Ok(Figures::from([
        ("per_s", got / seconds),
        ("cpu_us", (server_then.cpu - server.cpu) * 1e6 / got.max(1.0)),
        ("client_cpu_us", (own_then.cpu - own.cpu) * 1e6 / got.max(1.0)),
        ("event_bytes", streams.sum(|connection| connection.bytes) / got.max(1.0)),
        ("incomplete", (count - streams.connections.iter().filter(is_whole).count()) as f64),
    ]))
}

fn idle(port: u16, process: u32, count: usize, target: &str) -> Result<Figures, String> {
    let (before, kernel) = (Usage::of(process), kernel_kib());
    let (request, started) = (|_| request("GET", target, ""), now());
    let _streams = Streams::open(port, count, 512, &request)?;
    let open_s = seconds_since(started);
    thread::sleep(Duration::from_secs(1));
    let after = Usage::of(process);
    let resident = (after.resident_kib - before.resident_kib) / count as f64;
    let kernel = (kernel_kib() - kernel) / count as f64;
    Ok(Figures::from([
        ("stream_kib", resident),
        ("kernel_kib", kernel),
        ("whole_kib", resident + kernel),
        ("open_s", open_s),
        ("cpu_us", (after.cpu - before.cpu) * 1e6 / count as f64),
        ("threads", after.threads),
    ]))
}

fn storm(port: u16, process: u32, count: usize, seconds: u64, stays_open: bool) -> Result<Figures, String> {
    let request = match stays_open {
        true => request("GET", "/", ""),
        false => request("GET", "/none", "Connection: close\r\n"),
    };
    let (server, own, started) = (Usage::of(process), Usage::own(), now());
    let ask = |_| request.clone();
    let mut streams = Streams::connect(port, count, &ask)?;
    let (mut times, mut slow, mut failed) = (Histogram::new(), 0, 0);
    while now() < started + seconds * SECOND {
        for key in streams.poll.wait(Some(Duration::from_millis(50))).map_err(told)? {
            let connection = &mut streams.connections[key as usize];
            if connection.state == State::Connecting {
                if connection.ask(&request) {
                    streams.poll.read(&connection.socket, key).map_err(told)?;
                    continue;
                }
            } else {
                let is_open = connection.read(&mut streams.buffer, |_, _, _| ());
                if connection.state == State::Done {
                    let now = now();
                    times.add(now - connection.since);
                    slow += u64::from(now - connection.since > RETRIED);
                    if stays_open && is_open {
                        connection.since = now;
                        connection.ask(&request);
                        continue;
                    }
                } else if is_open && connection.state != State::Failed {
                    continue;
                }
            }
            failed += u64::from(connection.state != State::Done);
            *connection = reopen(port)?;
            streams.poll.add(&connection.socket, key, true).map_err(told)?;
        }
    }
    let (seconds, done) = (seconds_since(started), times.count.max(1) as f64);
    let (server_then, own_then) = (Usage::of(process), Usage::own());
    Ok(with(
        Figures::from([
            ("per_s", times.count as f64 / seconds),
            ("cpu_us", (server_then.cpu - server.cpu) * 1e6 / done),
            ("client_cpu_us", (own_then.cpu - own.cpu) * 1e6 / done),
            ("slow", slow as f64),
            ("failed", failed as f64),
        ]),
        &times,
    ))
}

/// For a moment there may be no port left.
fn reopen(port: u16) -> Result<Connection, String> {
    Connection::open(port).or_else(|_| {
        thread::sleep(Duration::from_millis(5));
        Connection::open(port).map_err(told)
    })
}

fn first(port: u16, count: usize) -> Result<Figures, String> {
    let request = request("GET", "/burst?n=1&size=64", "");
    let (mut times, mut failed, mut buffer) = (Histogram::new(), 0, [0; 4096]);
    for _ in 0..count {
        let since = now();
        let mut read_first = || -> std::io::Result<()> {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(3)))?;
            stream.write_all(&request)?;
            let mut have = Vec::new();
            while memchr::memmem::find(&have, b"\ndata:").is_none() {
                match stream.read(&mut buffer)? {
                    0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                    count => have.extend_from_slice(&buffer[..count]),
                }
            }
            times.add(now() - since);
            Ok(())
        };
        failed += u64::from(read_first().is_err());
    }
    if times.count == 0 {
        return Err("no event came".to_owned());
    }
    Ok(with(Figures::from([("failed", failed as f64)]), &times))
}

fn request(method: &str, target: &str, fields: &str) -> Vec<u8> {
    let accept = "Accept: text/event-stream\r\n";
    format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{accept}{fields}\r\n").into_bytes()
}

/// A request on a connection of its own: the status that comes, or 0.
fn ask(port: u16, method: &str, target: &str) -> u16 {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(&request(method, target, "Content-Length: 0\r\nConnection: close\r\n"))?;
        let mut answer = vec![0; 4096];
        let count = stream.read(&mut answer)?;
        answer.truncate(count);
        Ok(answer)
    };
    let answer = ask().unwrap_or_default();
    answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok()).unwrap_or(0)
}

fn seconds_since(started: u64) -> f64 {
    (now() - started) as f64 / SECOND as f64
}

/// These figures, and how long it took: half of all, nine of ten, 99 of 100, the longest.
fn with(mut figures: Figures, times: &Histogram) -> Figures {
    let parts = [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99)];
    figures.extend(parts.map(|(name, part)| (name, times.micros(part))));
    figures.insert("max_us", times.max as f64 / 1e3);
    figures
}
