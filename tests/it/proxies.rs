//! The configurations of the guide's page about proxies, each with the proxy that it is for.
//!
//! Run it with `cargo test -- --ignored`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use brooklet::{Content, Event, EventConnection, EventSource, Host, Layout, Request, Response, RunningHost};

use crate::example::free_address;
use crate::follower::Follower;
use crate::notes::{noted, Notes};
use crate::patience::{eventually, LONG};
use crate::servers::{Kind, Proxy};
use crate::wire::Wire;

const NAME: &str = "tool.example";
/// How many events are sent one by one, each after the last was confirmed.
const STEPS: u32 = 20;

// What is changed is how soon a proxy gives up a silent stream: here after two seconds. Caddy never does.

#[test]
#[ignore = "needs nginx"]
fn nginx() {
    let short = "proxy_http_version 1.1; proxy_read_timeout 2s;";
    check(Kind::Nginx, "nginx", &[("proxy_http_version 1.1;", short)]);
}

#[test]
#[ignore = "needs haproxy"]
fn haproxy() {
    check(Kind::HaProxy, "HAProxy", &[("client 50s", "client 2s"), ("server 50s", "server 2s")]);
}

#[test]
#[ignore = "needs caddy"]
fn caddy() {
    check(Kind::Caddy, "Caddy", &[]);
}

#[test]
#[ignore = "needs apache2"]
fn apache() {
    check(Kind::Apache, "Apache", &[("ProxyPreserveHost On", "ProxyPreserveHost On\nProxyTimeout 2")]);
}

#[track_caller]
fn check(kind: Kind, heading: &str, changes: &[(&str, &str)]) {
    let tool = Tool::start(free_address());
    let proxy = kind.start(heading, &[tool.host.address()], &[]);
    pages(kind, &proxy);
    one_by_one(kind, &proxy);
    departures(kind, &tool, &proxy);
    if !changes.is_empty() {
        silence(&kind.start(heading, &[tool.host.address()], changes));
    }
    comebacks(&proxy);
    match kind {
        Kind::Apache => restart_behind_apache(tool, &proxy),
        _ => restart(tool, &proxy),
    }
}

/// A tool with a page, a stream that goes on when it was confirmed, and one that says nothing.
struct Tool {
    host: RunningHost,
    notes: Notes,
}

impl Tool {
    fn start(address: SocketAddr) -> Self {
        let (confirm, confirmed) = mpsc::channel();
        let (confirm, confirmed) = (Mutex::new(confirm), Mutex::new(confirmed));
        let app = Layout::new()
            .index(Content::html("<h1>Hello</h1>"))
            .add("steps", EventSource::new(move |connection| steps(connection, &confirmed.lock().unwrap())))
            .add("confirm", move |request: Request| {
                confirm.lock().unwrap().send(request.query("n").unwrap_or_default().to_owned()).unwrap();
                Response::text("")
            })
            .add("peer", |request: Request| {
                Response::text(request.peer().map_or(String::new(), |peer| peer.to_string()))
            })
            .add("idle", idle(LONG))
            .add("alive", idle(Duration::from_millis(500)))
            .add("count", EventSource::new(count));
        let host = Host::new(app).bind(address).allow_host(NAME);
        let (host, notes) = noted(host);
        Self { host: host.start().unwrap(), notes }
    }
}

/// Each event only after the client, by another request, has said that it has the one before.
fn steps(connection: &mut EventConnection, confirmed: &Receiver<String>) -> brooklet::Result {
    for number in 0..STEPS {
        connection.data(number)?;
        assert_eq!(connection.receive(confirmed)?, Some(number.to_string()));
    }
    Ok(connection.wait(Duration::MAX)?)
}

fn idle(keep_alive: Duration) -> EventSource {
    EventSource::new(|connection| {
        connection.data("here")?;
        Ok(connection.wait(Duration::MAX)?)
    })
    .keep_alive(keep_alive)
}

/// Numbers from where the client is, three to a stream.
fn count(connection: &mut EventConnection) -> brooklet::Result {
    let seen: u64 = connection.last_event_id().and_then(|id| id.parse().ok()).unwrap_or(0);
    for number in seen + 1..=seen + 3 {
        connection.send(Event::new(number).id(number.to_string()))?;
    }
    connection.wait(Duration::from_millis(100))?;
    Ok(())
}

/// Pages are passed on, with the name that the browser asked for, on connections that last.
fn pages(kind: Kind, proxy: &Proxy) {
    let port = proxy.address.port();
    let ask = |method: &str, target: &str, fields: &str| {
        let mut wire = Wire::connect(proxy.address).unwrap();
        wire.send(format!("{method} {target} HTTP/1.1\r\n{fields}\r\n\r\n").as_bytes());
        wire.answer(false).unwrap()
    };
    let host = format!("Host: {NAME}:{port}");
    assert_eq!(ask("GET", "/", &host).body, b"<h1>Hello</h1>");
    let mut wire = Wire::connect(proxy.address).unwrap();
    let mut peer = || {
        wire.send(format!("GET /peer HTTP/1.1\r\n{host}\r\n\r\n").as_bytes());
        wire.answer(false).unwrap().body
    };
    let peers: BTreeSet<_> = (0..6).map(|_| peer()).collect();
    assert!(peers.len() <= 2, "{} connections for 6 pages", peers.len());

    let page = |origin: &str| {
        ask("POST", "/peer", &format!("{host}\r\nOrigin: {origin}\r\nContent-Length: 0")).status
    };
    assert_eq!(page(&format!("http://{NAME}:{port}")), 200);
    assert_eq!(page("http://evil.example"), 403);
    if kind != Kind::Caddy {
        assert_eq!(ask("GET", "/", "Host: evil.example").status, 403); // to Caddy it is another site
    }
}

/// An event arrives before the next is sent.
fn one_by_one(kind: Kind, proxy: &Proxy) {
    let follower = Follower::start(proxy.address, "/steps", NAME);
    let mut slowest = Duration::ZERO;
    for number in 0..STEPS {
        assert_eq!(follower.next().data, number.to_string());
        let confirmed = Instant::now();
        let mut wire = Wire::connect(proxy.address).unwrap();
        wire.send(format!("GET /confirm?n={number} HTTP/1.1\r\nHost: {NAME}\r\n\r\n").as_bytes());
        assert_eq!(wire.answer(false).unwrap().status, 200);
        slowest = slowest.max(confirmed.elapsed());
    }
    eprintln!("{kind:?}: the slowest of {STEPS} events took {slowest:?}");
}

/// The tool hears that a client has left, though it says nothing itself; behind Apache only when it does.
fn departures(kind: Kind, tool: &Tool, proxy: &Proxy) {
    let target = if kind == Kind::Apache { "/alive" } else { "/idle" };
    let follower = Follower::start(proxy.address, target, NAME);
    assert_eq!(follower.next().data, "here");
    drop(follower);
    tool.notes.next(&format!("ended GET {target}"));
}

/// A keep-alive keeps a silent stream for longer than the proxy would. On a busy machine it may come too late, though not each time.
fn silence(proxy: &Proxy) {
    let [idle, alive] = ["/idle", "/alive"].map(|target| Follower::start(proxy.address, target, NAME));
    assert_eq!(alive.next().data, "here");
    eventually("it outlives a stream that is cut off twice", || {
        let before = alive.connections();
        for _ in 0..3 {
            assert_eq!(idle.next().data, "here");
        }
        alive.connections() == before
    });
}

/// Clients go on where they were.
fn comebacks(proxy: &Proxy) {
    let follower = Follower::start(proxy.address, "/count", NAME);
    for number in 1..=10 {
        assert_eq!(follower.next().data, number.to_string());
    }
}

/// The end of the tool reaches its clients. Until it is back, the proxy tells them to come again.
fn restart(tool: Tool, proxy: &Proxy) {
    let clients = ["/count", "/alive"].map(|target| Follower::start(proxy.address, target, NAME));
    let [counting, waiting] = &clients;
    assert_eq!(waiting.next().data, "here");
    assert_eq!(counting.next().data, "1");
    let address = tool.host.address();
    drop(tool);
    for client in &clients {
        let before = client.connections();
        eventually("it has asked in vain", || client.connections() >= before + 2);
    }
    let _tool = Tool::start(address);
    for number in 2..=20 {
        assert_eq!(counting.next().data, number.to_string());
    }
    assert_eq!(waiting.next().data, "here");
}

/// Apache says 503, after which a browser does not ask again by itself. Who does is served as soon as the tool is back.
fn restart_behind_apache(tool: Tool, proxy: &Proxy) {
    let waiting = Follower::start(proxy.address, "/alive", NAME);
    assert_eq!(waiting.next().data, "here");
    drop(waiting);
    let get = || {
        let mut wire = Wire::connect(proxy.address).unwrap();
        wire.send(format!("GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n").as_bytes());
        wire.answer(false).unwrap().status
    };
    let address = tool.host.address();
    drop(tool);
    for _ in 0..3 {
        assert_eq!(get(), 503);
    }
    let _tool = Tool::start(address);
    assert_eq!(get(), 200);
}
