//! Clients and callers that behave badly: whatever they do, the host does something definite, soon, and for
//! everybody else nothing changes.

mod ages;
mod callers;
mod capacity;
mod numbers;
mod requests;
mod soak;
mod stops;
mod streams;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use brooklet::{Channel, CloseReason, Event, Layout, Request, Response, RunningHost};

use crate::notes::{noted, Notes};
use crate::patience::{eventually, unhurried, DEADLINE, LONG};
use crate::serving::{here, host as bound, open, GET};
use crate::wire::{ask, insist, show};

/// A head whose body does not come.
const POST: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";

/// The one deadline of a host that can pass.
const SHORT: Duration = Duration::from_millis(150);

/// Far more than is taken of a head or in a stream, and less than what is read before a close: what is told is not lost.
const FLOOD: usize = 256 * 1024;

/// What the connection is doing when the fault happens. What the client was sent is there, and not read yet.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Fresh,
    /// Answered once.
    Kept,
    /// In a stream whose generator waits.
    Waiting,
    /// In one that waits for a queue.
    Receiving,
    /// In one that sends all the time.
    Sending,
    /// In one that was handed to a channel.
    Following,
}

/// What the client does.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Says this and stays, without reading anything.
    Says(&'static str),
    /// Says this and then one byte after the other, for ever.
    Trickles(&'static str),
    /// Says this and then far too much.
    Floods(&'static str),
    /// Says this, and reads one byte after the other.
    Sips(&'static str),
    /// Says this, and that it will say nothing more.
    HalfCloses(&'static str),
    /// Says this and breaks the connection: closing a socket with something unread in it sends a reset.
    Resets(&'static str),
    /// Reads everything and closes.
    Leaves,
}

/// What the host does.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// It answers with this status and closes.
    Told(u16),
    /// It closes without a word, in order.
    Silent,
    /// It lets go of the connection; what the client sees of it does not matter.
    Gone,
    /// The stream ends for this reason.
    Ends(CloseReason),
}

/// When: at once, or when the one short deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Soon,
    Head,
    Body,
    Idle,
    Write,
}

/// A row: in this state, this fault has that outcome, then, and others are served meanwhile.
#[track_caller]
fn check(state: State, fault: Fault, outcome: Outcome, when: When) {
    let row = format!("{state:?}, {fault:?}, {outcome:?}, {when:?}");
    let scene = Scene::new(when);
    let started = Instant::now();
    let client = scene.reach(state);
    let client = scene.commit(state, fault, client);
    // From now on, since an answer that is not read while its client goes on sending may be lost.
    let reading = matches!(outcome, Outcome::Told(_) | Outcome::Silent).then(|| {
        let (client, row) = (client.as_ref().expect("the client is there").try_clone().unwrap(), row.clone());
        thread::spawn(move || answers(&client, &row))
    });
    scene.serves_others(&row);
    let answers = reading.map(|reading| reading.join().expect(&row)).unwrap_or_default();
    match outcome {
        Outcome::Told(status) => {
            assert_eq!(answers.last(), Some(&status), "{row}");
            assert_eq!(answers.len(), 1 + usize::from(state == State::Kept), "{row}");
        }
        Outcome::Silent => {
            assert_eq!(answers.len(), usize::from(state == State::Kept), "{row}");
        }
        Outcome::Gone => eventually(&row, || scene.host.stats().connections == 0),
        Outcome::Ends(reason) => {
            let start = format!("ended GET {}", path(state));
            let line = scene.notes.next(&start);
            assert!(line.starts_with(&format!("{start} {reason:?}, ")), "{row}: {line}");
        }
    }
    let (took, least) = (started.elapsed(), if when == When::Soon { Duration::ZERO } else { SHORT });
    // The other deadlines are much longer than anything is waited for here.
    assert!(took >= least, "{row}: after {took:?}");
    eventually(&row, || scene.host.stats().connections == 0);
    scene.serves_others(&row);
}

fn path(state: State) -> &'static str {
    match state {
        State::Fresh | State::Kept => "/",
        State::Waiting => "/wait",
        State::Receiving => "/receive",
        State::Sending => "/send",
        State::Following => "/follow",
    }
}

/// A host for one row.
struct Scene {
    host: RunningHost,
    notes: Notes,
    channel: Channel,
}

impl Scene {
    fn new(when: When) -> Self {
        let of = |deadline: When| if deadline == when { SHORT } else { LONG };
        let limits = unhurried()
            .head_deadline(of(When::Head))
            .body_deadline(of(When::Body))
            .idle_deadline(of(When::Idle))
            .write_deadline(of(When::Write));
        let channel = Channel::new();
        let (host, notes) = noted(bound(app(&channel)).limits(limits));
        Self { host: host.start().unwrap(), notes, channel }
    }

    #[track_caller]
    fn reach(&self, state: State) -> TcpStream {
        let stream = connect(self.host.address());
        match state {
            State::Fresh => {}
            State::Kept => {
                say(&stream, GET);
                if !sees_or_ends(&stream, "hello") {
                    return self.reach(state); // it was idle for too long before it could ask
                }
            }
            State::Waiting | State::Receiving | State::Sending | State::Following => {
                say(&stream, &GET.replace("/ ", &format!("{} ", path(state))));
                sees(&stream, "data: here\n\n");
            }
        }
        if state == State::Following {
            eventually("it follows", || self.channel.subscribers() == 1);
        }
        stream
    }

    /// The client's part; returns it if it is still there.
    fn commit(&self, state: State, fault: Fault, client: TcpStream) -> Option<TcpStream> {
        let own = client.try_clone().unwrap();
        match fault {
            Fault::Says(text) => say(&client, text),
            Fault::Trickles(text) => {
                say(&client, text);
                // The pace of the client, who goes on until it is cut off: slower than bodies may be.
                drop(thread::spawn(move || {
                    while (&own).write_all(b"a").is_ok() {
                        (0..10).for_each(|_| pause())
                    }
                }));
            }
            Fault::Floods(text) => {
                say(&client, text);
                drop(thread::spawn(move || (&own).write_all(&[b'a'; FLOOD]).ok()));
            }
            Fault::Sips(text) => {
                say(&client, text);
                drop(thread::spawn(move || {
                    while matches!((&own).read(&mut [0]), Ok(1)) {
                        pause()
                    }
                }));
            }
            Fault::HalfCloses(text) => {
                say(&client, text);
                client.shutdown(Shutdown::Write).unwrap();
            }
            Fault::Resets(text) => {
                say(&client, text);
                return None;
            }
            Fault::Leaves => {
                take(&client);
                return None;
            }
        }
        if state == State::Following && !matches!(fault, Fault::HalfCloses(_)) {
            // Until the one who follows is gone: far more than sockets hold.
            let channel = self.channel.clone();
            thread::spawn(move || {
                while channel.publish(Event::new("x".repeat(16 * 1024))).unwrap().subscribers > 0 {
                    pause();
                }
            });
        }
        Some(client)
    }

    #[track_caller]
    fn serves_others(&self, row: &str) {
        assert_eq!(insist(&self.host, GET).1.status, 200, "{row}");
        eventually(row, || {
            let mut wire = ask(&self.host, &GET.replace("/ ", "/others "));
            // Who is idle for too long before it can ask is let go without a word, and asks again.
            wire.head().map_or(false, |head| {
                assert_eq!(head.status, 200, "{row}");
                wire.exactly(b"data: here\n\n").expect(row);
                true
            })
        });
    }
}

fn pause() {
    thread::sleep(Duration::from_millis(1));
}

fn app(channel: &Channel) -> Layout {
    let channel = channel.clone();
    let follow = here(move |c| c.follow(&channel)).keep_alive(Duration::from_millis(20)); // looks as often
    Layout::new()
        .index(|_: Request| Response::text("hello"))
        .add("large", |_: Request| Response::text("x".repeat(16 << 20)))
        .add("wait", here(|c| c.wait(LONG)))
        .add("others", here(|c| c.wait(LONG)))
        .add(
            "receive",
            here(|c| {
                let (_sender, receiver) = mpsc::channel::<()>();
                c.receive(&receiver).map(drop)
            }),
        )
        .add(
            "send",
            here(|c| loop {
                c.data("x".repeat(16 * 1024))?
            }),
        )
        .add("follow", follow)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// As far as it is taken: a host may have closed already.
fn say(mut stream: &TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes());
}

/// Reads what is there.
#[track_caller]
fn take(mut stream: &TcpStream) {
    assert_ne!(stream.read(&mut vec![0; 64 * 1024]).unwrap(), 0, "it is over");
}

/// Waits until that has arrived, and leaves it where it is.
#[track_caller]
fn sees(stream: &TcpStream, text: &str) {
    assert!(sees_or_ends(stream, text), "it is over, without {text:?}");
}

/// The same; `false` where the connection ends before.
#[track_caller]
fn sees_or_ends(stream: &TcpStream, text: &str) -> bool {
    let (mut waiting, mut found) = (vec![0; 4096], false);
    eventually(text, || {
        let count = stream.peek(&mut waiting).unwrap_or(0);
        found = waiting[..count].windows(text.len()).any(|window| window == text.as_bytes());
        found || count == 0
    });
    found
}

/// The statuses of all answers up to the end, which must come. After an answer a reset is an end as well, for a
/// client that goes on sending whatever it is told. It goes when it has them.
#[track_caller]
fn answers(mut stream: &TcpStream, row: &str) -> Vec<u16> {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    let is_reset = matches!(&end, Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset);
    assert!(end.is_ok() || (is_reset && !bytes.is_empty()), "{row}: {end:?} after {}", show(&bytes));
    stream.shutdown(Shutdown::Both).ok();
    let text = String::from_utf8_lossy(&bytes);
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

/// The milliseconds of a body that ends with `retry:` behind whole events.
#[track_caller]
fn comeback(body: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(body);
    let last = text.strip_suffix('\n').and_then(|text| text.rsplit("\n\n").next()).unwrap_or_default();
    // Behind keep-alives and other comments.
    let last = last.lines().filter(|line| !line.starts_with(':')).collect::<Vec<_>>().join("\n");
    let digits = last.strip_prefix("retry: ").unwrap_or_else(|| panic!("no retry at the end: {last:?}"));
    digits.parse().unwrap()
}
