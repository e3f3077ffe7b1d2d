//! Looks at a server of another system or processor from outside, over loopback, with an emulator around it.
//!
//! `probe NATIVE FOLDER SUFFIX [LAUNCHER…]`: the programs of `FOLDER`, whose names end in `SUFFIX`, are run by the
//! launcher; what they answer has to be what those of the folder `NATIVE` do. `PANIC=abort` says what a panic does there.
//! It ends at the first difference. What depends on how busy the machine is, it prints; a limit is held to by the best
//! of some tries.

mod numbers;
mod place;

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use std::{env, thread};

use brooklet::testing::{Client, EventStream, Item};
use brooklet::EventSource;

use place::{answer, connect, eventually, exchange, lasting, run, Example, Place, DEADLINE};

/// In which a stop has ended every kind of connection.
const STOP: Duration = Duration::from_millis(600);
const TRIES: usize = 5;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let native = Place { folder: arguments[0].clone().into(), suffix: String::new(), launcher: Vec::new() };
    let there = Place {
        folder: arguments[1].clone().into(),
        suffix: arguments[2].clone(),
        launcher: arguments[3..].to_vec(),
    };
    let checks: [(&str, &dyn Fn() -> String); 14] = [
        ("kept connections", &|| kept_connections(&there)),
        ("8 MiB, by length and in chunks", &|| echo(&there)),
        ("numbers and ids", &|| same_numbers(&there)),
        ("rhythm of 200 ms", &|| rhythm(&there)),
        ("keep-alive", &|| keep_alive(&there)),
        ("departures in silence", &|| departures(&there)),
        ("channel", &|| channel(&there)),
        ("more than 2^32 bytes", &|| large_counts(&there)),
        ("stop", &|| stop(&there)),
        ("threads above a limit of 8", &|| threads(&there)),
        ("stacks of 16 KiB", &|| small_stacks(&there)),
        ("port in use", &|| port_in_use(&there)),
        ("tour, stock, load and chat", &|| examples(&there, &native)),
        ("encode", &|| encode(&there, &native)),
    ];
    for (name, check) in checks {
        print!("  {name}: ");
        let started = Instant::now();
        let result = check();
        println!("{result} ({:.1} s)", started.elapsed().as_secs_f64());
    }
}

fn kept_connections(place: &Place) -> String {
    let server = place.serve(&[]);
    let connection = server.connect();
    for pause in [0, 0, 0, 1500] {
        thread::sleep(Duration::from_millis(pause));
        for _ in 0..5 {
            let (head, body) = exchange(&connection, "GET", "/", b"");
            assert!(head.starts_with("HTTP/1.1 200 ") && body == b"<h1>hello</h1>", "{head}");
        }
    }
    let requests = "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
    (&connection).write_all(requests.as_bytes()).expect("it is kept");
    let mut reader = BufReader::new(&connection);
    (0..50).for_each(|_| assert!(answer(&mut reader).0.starts_with("HTTP/1.1 404 ")));
    String::from("20 requests one by one, 50 at once")
}

fn echo(place: &Place) -> String {
    let server = place.serve(&[]);
    let body: Vec<u8> = (0..8 << 20).map(|at: u32| (at % 251) as u8).collect();
    assert!(exchange(&server.connect(), "POST", "/echo", &body).1 == body, "by length");
    let connection = server.connect();
    let head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    (&connection).write_all(head.as_bytes()).expect("it reads");
    for piece in body.chunks(100_000) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        (&connection).write_all(&chunk).expect("it reads");
    }
    (&connection).write_all(b"0\r\n\r\n").expect("it reads");
    assert!(answer(&mut BufReader::new(&connection)).1 == body, "in chunks");
    String::from("came back")
}

fn same_numbers(place: &Place) -> String {
    let expected = Client::get("/").in_memory(&EventSource::new(numbers::numbers)).run();
    let server = place.serve(&[]);
    let mut stream = server.stream("/numbers");
    let found = stream.read_to_end().expect("it ends");
    assert_eq!(String::from_utf8_lossy(found), expected.text());
    format!("{} bytes, as here", found.len())
}

fn rhythm(place: &Place) -> String {
    let server = place.serve(&[]);
    let asked = Instant::now();
    server.stream("/rhythm?n=11&ms=200").next_events(11).expect("events");
    let late = asked.elapsed().as_secs_f64() * 1e3 - 2000.0;
    assert!(late > -20.0, "{late} ms"); // the clock may be a coarse one
    format!("ten waits took {late:.1} ms more")
}

fn keep_alive(place: &Place) -> String {
    let server = place.serve(&[]);
    let mut stream = server.stream("/wait");
    let mut comments = 0;
    let started = Instant::now();
    while comments < 4 {
        let item = stream.next_item().expect("it is kept alive").expect("it goes on");
        comments += usize::from(matches!(item, Item::Comment(_)));
    }
    format!("4 comments, 500 ms apart, in {:.2} s", started.elapsed().as_secs_f64())
}

fn departures(place: &Place) -> String {
    let mut server = place.serve(&[]);
    let kinds = ["/wait", "/receive", "/follow", "/subscribe"].map(|target| {
        let stream = server.stream(target);
        eventually("a stream", || server.streams() == 1);
        drop(stream);
        let left = Instant::now();
        eventually("no stream", || server.streams() == 0);
        format!("{target} {} ms", left.elapsed().as_millis())
    });
    kinds.join(", ")
}

fn channel(place: &Place) -> String {
    let server = place.serve(&[]);
    let mut followers: Vec<_> = (0..20).map(|_| server.stream("/follow")).collect();
    followers.push(server.stream("/subscribe"));
    for follower in &mut followers {
        let first = begun(follower);
        assert!(matches!(first, Item::Id(_)), "where it stands comes first: {first:?}");
    }
    server.publish(500);
    let mut ids = Vec::new();
    for follower in &mut followers {
        let events = follower.next_events(500).expect("all events");
        let expected = (0..500).map(|number: u32| number.to_string());
        assert!(events.iter().map(|event| event.data.clone()).eq(expected), "in their order");
        ids = events.into_iter().map(|event| event.last_event_id).collect();
    }
    let missed = server.resume("/follow", &ids[399]).next_events(100).expect("what it missed");
    assert!(missed.iter().map(|event| &event.last_event_id).eq(&ids[400..]));
    let first = server.resume("/follow", "1234-5").next_event().expect("an event");
    assert_eq!(first.event_type, "reset");
    String::from("500 events to 21, 100 after an id, a reset after a foreign one")
}

/// What a stream begins with, comments aside: its generator runs, or it has joined its channel. Only then is what is
/// published for it; the host counts it before.
fn begun(stream: &mut EventStream) -> Item {
    loop {
        match stream.next_item().expect("it goes on").expect("it does not end") {
            Item::Comment(_) => {}
            item => return item,
        }
    }
}

/// More than a counter of 32 bits could tell.
fn large_counts(place: &Place) -> String {
    let mut server = place.serve(&[]);
    let connection = server.connect();
    let request = "GET /zeros HTTP/1.1\r\nHost: localhost\r\n";
    let requests = format!("{}{request}Connection: close\r\n\r\n", format!("{request}\r\n").repeat(128));
    (&connection).write_all(requests.as_bytes()).expect("it reads");
    let mut buffer = vec![0; 1 << 20];
    let mut received = 0;
    while let count @ 1.. = (&connection).read(&mut buffer).expect("it goes on") {
        received += count as u64;
    }
    let mut counted = 0;
    eventually("all bytes are counted", || {
        counted = server.ask("stats")[2];
        counted == received
    });
    assert!(counted > 129 * (32 << 20));
    format!("{counted} sent, received and counted")
}

fn stop(place: &Place) -> String {
    let streams = ["/wait", "/follow"];
    let mut tries = (0..TRIES).map(|_| stop_with(place, &streams));
    let stopped = tries.find(|stopped| *stopped < STOP).expect("it is soon over");
    let all = stop_with(place, &["/wait", "/follow", "/receive", "/subscribe", "/slow"]);
    format!(
        "{} ms, nobody forced; with a queue and a slow handler {} ms",
        stopped.as_millis(),
        all.as_millis()
    )
}

/// How long a stop takes with all kinds of connections without an answer, and with these.
fn stop_with(place: &Place, targets: &[&str]) -> Duration {
    let mut server = place.serve(&[]);
    let idle = server.connect();
    exchange(&idle, "GET", "/", b"");
    let send = |bytes: &str| {
        let connection = server.connect();
        (&connection).write_all(bytes.as_bytes()).expect("it reads");
        connection
    };
    let mut connections = vec![
        idle,
        send(""),
        send("GET / HTTP/1.1\r\nHost: loc"),
        send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc"),
    ];
    connections.extend(
        targets.iter().map(|target| send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))),
    );
    let streams = targets.iter().filter(|target| **target != "/slow").count();
    eventually("all are there", || server.ask("stats")[..2] == [connections.len() as u64, streams as u64]);
    let started = Instant::now();
    let report = server.ask("stop");
    let stopped = started.elapsed();
    assert_eq!(report[1], 0, "of {} some were forced", connections.len());
    server.child.wait().expect("it ends");
    stopped
}

fn threads(place: &Place) -> String {
    let server = place.serve(&["8"]);
    exchange(&server.connect(), "GET", "/", b"");
    let before = server.threads();
    let mut connections = Vec::new();
    let mut most = 0;
    for _ in 0..200 {
        // An answer, or the end: whoever comes before another has given way is sent away.
        let mut connection = server.connect();
        connection.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").ok();
        connection.read(&mut [0; 1024]).ok();
        connections.push(connection);
        most = most.max(server.threads());
    }
    // Beside those of the limit: those who do not know yet that they gave way, those who tell others that the limit is
    // reached, and some that are spare.
    assert!(most <= before + 8 + 32 + 32 + 8, "{most} threads, {before} at first");
    format!("{most} with 200 connections that stay, {before} with one")
}

/// Where memory is short. What a stream costs is told for each kind.
fn small_stacks(place: &Place) -> String {
    let mut server = place.serve(&["512", "16384"]);
    exchange(&server.connect(), "POST", "/echo", &[b'x'; 100_000]);
    assert!(server.stream("/numbers").events_to_end().is_ok());
    let at_first = (server.memory(), server.threads());
    let [generators, mut followers] = ["/wait", "/follow"].map(|target| {
        let (memory, threads) = (server.memory(), server.threads());
        let mut streams: Vec<_> = (0..100).map(|_| server.stream(target)).collect();
        streams.iter_mut().map(begun).for_each(drop);
        let more = server.memory().saturating_sub(memory);
        let threads = server.threads().saturating_sub(threads);
        (streams, format!("{more} KiB and {threads} threads for 100 of {target}"))
    });
    server.publish(100);
    for follower in &mut followers.0 {
        follower.next_events(100).expect("all events");
    }
    drop(generators.0);
    assert_eq!(server.ask("stop")[1], 0);
    let (memory, threads) = at_first;
    format!("{memory} KiB and {threads} threads, then {}, {}", generators.1, followers.1)
}

fn port_in_use(place: &Place) -> String {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let mut command = place.command("stock");
    let output = run(command.arg(&port).env("PORT", &port), b"");
    let error = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let start = format!("Error: cannot listen on 127.0.0.1:{port}: ");
    assert!(error.starts_with(&start) && error.lines().count() == 1, "{error}");
    error[start.len()..].to_owned()
}

/// What tour answers must not depend on where it runs.
fn examples(there: &Place, native: &Place) -> String {
    let targets = [
        "/",
        "/lines",
        "/none",
        "/retry",
        "/fail",
        "/finish",
        "/json",
        "/error",
        "/headers",
        "/nothing",
        "/resume?n=8",
        "/lastid?id=%C3%A9",
        "/events?n=3&ms=20",
        "/query?a=b+c&d=%C3%A9&e=%ff",
    ];
    let (mut tour, expected) = (there.example("tour"), native.example("tour"));
    for target in targets {
        assert_eq!(lasting(tour.1, "GET", target, ""), lasting(expected.1, "GET", target, ""), "{target}");
    }
    assert_eq!(lasting(tour.1, "POST", "/tokens", "{}"), lasting(expected.1, "POST", "/tokens", "{}"));
    match env::var("PANIC").as_deref() {
        Ok("abort") => {
            connect(tour.1).write_all(b"GET /panic HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
            assert!(!tour.0.wait().expect("it ends").success(), "a panic ends the program");
        }
        _ => assert_eq!(lasting(tour.1, "GET", "/panic", ""), lasting(expected.1, "GET", "/panic", "")),
    }
    let stream = |example: &Example, target: &str| {
        Client::get(target).deadline(DEADLINE).connect(example.1).expect("an answer")
    };
    let stock = there.example("stock");
    stream(&stock, "/stock/").next_events(2).expect("events");
    let load = there.example("load");
    let events = stream(&load, "/burst?n=10000&size=64").events_to_end().expect("an end");
    assert_eq!(events.len(), 10_000);
    let mut fan = stream(&load, "/fan");
    begun(&mut fan);
    exchange(&connect(load.1), "POST", "/publish?n=100&rate=0&size=10", b"");
    fan.next_events(1).expect("events");
    let chat = there.example("chat");
    let mut room = stream(&chat, "/rooms/tea?name=Ada");
    room.next_event().expect("the room");
    let said = lasting(chat.1, "POST", "/rooms/tea", "name=Bob&text=hello");
    assert!(said.starts_with("HTTP/1.1 2"), "{said}");
    while !room.next_event().expect("what was said").data.contains("hello") {}
    format!("{} answers of tour as here", targets.len() + 2)
}

fn encode(there: &Place, native: &Place) -> String {
    let input =
        b"{\"data\":\"up\\nand down\",\"id\":\"7\"}\r\n\r\n{\"data\":1e3,\"event\":\"\xc3\xa9\"}\r\n[]\r\n\
        {\"retry\":5000,\"comment\":\"a\\r\\nb\"}\n{\"data\":\"a\\rdata: b\"}\r\n\xff\r\n{\"data\":\"last\"}";
    let (found, expected) =
        (run(&mut there.command("encode"), input), run(&mut native.command("encode"), input));
    assert_eq!(String::from_utf8_lossy(&found.stdout), String::from_utf8_lossy(&expected.stdout));
    assert_eq!((found.status.code(), expected.status.code()), (Some(1), Some(1)));
    format!("{} bytes, as here", found.stdout.len())
}
