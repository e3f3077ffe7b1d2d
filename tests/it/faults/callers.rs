//! Generators, handlers and listeners that behave badly: each has its outcome, and the others go on.

use super::{ask, bound, connect, here, open, say, GET, SHORT};
use crate::notes::noted;
use crate::patience::{eventually, in_time, unhurried, Gate, LONG};
use brooklet::{
    Channel, CloseReason, Event, EventSource, Host, Layout, Limits, Notice, Request, Response, SendError,
};
use std::io::Read;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

fn hello() -> Layout {
    Layout::new().index(|_: Request| Response::text("hello")).add("wait", here(|c| c.wait(LONG)))
}

/// The host still does what it is for.
#[track_caller]
fn is_well(host: &brooklet::RunningHost) {
    assert_eq!(ask(host, GET).answer(false).unwrap().body, b"hello");
    open(host, "/wait");
}

#[test]
fn sending_after_the_last_word() {
    let app = hello().add(
        "retry",
        EventSource::new(|c| {
            c.data(1)?;
            c.retry(Duration::from_secs(7))?;
            for sent in [c.data(2), c.comment("x"), c.finish(), c.wait(LONG), c.retry(Duration::ZERO)] {
                assert_eq!(sent, Err(SendError::Closed(CloseReason::Retry)));
            }
            assert!(!c.connected());
            Ok(())
        }),
    );
    let (host, notes) = noted(bound(app));
    let host = host.start().unwrap();
    let body = ask(&host, &GET.replace("/ ", "/retry ")).answer(false).unwrap().body;
    assert_eq!(String::from_utf8(body).unwrap(), "data: 1\n\nretry: 7000\n");
    assert_eq!(notes.next("ended"), "ended GET /retry Retry, 1 events");
    is_well(&host);
}

/// A lock of its own that a generator poisons is its own to deal with: each that trips over it is a panic of its own.
#[test]
fn a_panic_with_a_lock_held() {
    let shared = Arc::new(Mutex::new(0));
    let careless = Arc::clone(&shared);
    let app = hello()
        .add(
            "panic",
            EventSource::new(move |c| {
                let mut count = careless.lock().unwrap();
                *count += 1;
                c.data(*count)?;
                panic!("with the lock held");
            }),
        )
        .add(
            "careful",
            EventSource::new(move |c| {
                let count = *shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                Ok(c.data(count)?)
            }),
        );
    let (host, notes) = noted(bound(app));
    let host = host.start().unwrap();
    let mut bystander = open(&host, "/wait");
    let panic = GET.replace("/ ", "/panic ");
    assert_eq!(ask(&host, &panic).answer(false).unwrap().body, b"data: 1\n\nretry: 10000\n");
    assert_eq!(notes.next("failed"), "failed GET /panic: panicked: with the lock held");
    assert_eq!(ask(&host, &panic).answer(false).unwrap().body, b"retry: 10000\n");
    assert!(notes.next("failed").contains("Poison"));
    assert_eq!(ask(&host, &GET.replace("/ ", "/careful ")).answer(false).unwrap().body, b"data: 1\n\n");
    is_well(&host);
    eventually("both are counted", || host.stats().ended_by(CloseReason::Panicked) == 2);
    host.stop();
    super::comeback(&bystander.rest().unwrap());
}

#[test]
fn ten_megabytes_in_one_event() {
    let text = "0123456789abcdef".repeat(640 * 1024);
    let expected = format!("data: {text}\n\ndata: next\n\n");
    let start = |limits: Limits| {
        let text = text.clone();
        let large = EventSource::new(move |c| {
            c.data(&text)?;
            Ok(c.data("next")?)
        });
        let (host, notes) = noted(bound(hello().add("large", large)).limits(limits));
        (host.start().unwrap(), notes)
    };
    let (host, notes) = start(unhurried());
    let body = ask(&host, &GET.replace("/ ", "/large ")).answer(false).unwrap().body;
    assert!(body == expected.as_bytes(), "{} bytes of {}", body.len(), expected.len());
    assert_eq!(notes.next("ended"), "ended GET /large Returned, 2 events");
    let (host, notes) = start(unhurried().write_deadline(SHORT));
    let _stalled = ask(&host, &GET.replace("/ ", "/large "));
    assert_eq!(notes.next("ended"), "ended GET /large WriteDeadline, 0 events");
    assert!(host.stats().bytes < text.len() as u64, "what was not sent is counted");
    is_well(&host);
}

/// A million events without a pause: who reads has them all, who does not is cut off, and nothing is kept for anybody.
#[test]
fn a_million_events() {
    const EVENTS: u64 = 1_000_000;
    let start = |limits: Limits| {
        let app = hello()
            .add("all", EventSource::new(|c| Ok(c.send_all((0..EVENTS).map(|_| Event::new("x")))?)))
            .add("each", EventSource::new(|c| Ok((0..EVENTS / 10).try_for_each(|_| c.data("x"))?)));
        let (host, notes) = noted(bound(app).limits(limits));
        (host.start().unwrap(), notes)
    };
    let (host, notes) = start(unhurried());
    for (path, events) in [("/all", EVENTS), ("/each", EVENTS / 10)] {
        let mut client = connect(host.address());
        say(&client, &GET.replace("/ ", &format!("{path} ")));
        let (mut length, mut buffer) = (0, vec![0; 256 * 1024]);
        let end = loop {
            match client.read(&mut buffer).unwrap() {
                0 => break length,
                count => length += count as u64,
            }
        };
        let body = events * "data: x\n\n".len() as u64;
        assert!((body + 100..body + 400).contains(&end), "{path}: {end} bytes, with the head");
        assert_eq!(notes.next("ended"), format!("ended GET {path} Returned, {events} events"));
    }
    let (host, notes) = start(unhurried().write_deadline(4 * SHORT));
    let started = Instant::now();
    let _stalled = ask(&host, &GET.replace("/ ", "/all "));
    let line = notes.next("ended");
    assert!(line.starts_with("ended GET /all WriteDeadline, "), "{line}");
    assert!(started.elapsed() >= 4 * SHORT, "{:?}", started.elapsed());
    is_well(&host);
}

/// A connection may be lent to another thread, which sends, waits and ends as its own would.
#[test]
fn sending_from_a_scoped_thread() {
    let app = hello()
        .add(
            "lent",
            EventSource::new(|c| {
                c.data("here")?;
                thread::scope(|scope| scope.spawn(|| c.data("there")).join().unwrap())?;
                c.data("here again")?;
                Ok(thread::scope(|scope| scope.spawn(|| c.wait(LONG)).join().unwrap())?)
            }),
        )
        .add(
            "panic",
            EventSource::new(|c| {
                thread::scope(|scope| {
                    scope.spawn(|| c.data("x").map(|()| panic!("there"))).join().unwrap_or(Ok(()))
                })?;
                Ok(c.finish()?)
            }),
        );
    let (host, notes) = noted(bound(app));
    let host = host.start().unwrap();
    let mut lent = open(&host, "/lent");
    lent.exactly(b"data: there\n\ndata: here again\n\n").unwrap();
    drop(lent);
    assert_eq!(notes.next("ended"), "ended GET /lent PeerClosed, 3 events");
    let body = ask(&host, &GET.replace("/ ", "/panic ")).answer(false).unwrap().body;
    assert!(body.starts_with(b"data: x\n\nevent: finish\n"), "{}", crate::wire::show(&body));
    let mut stopped = open(&host, "/lent");
    host.control().request_stop();
    let rest = stopped.rest().unwrap();
    super::comeback(&rest);
    assert_eq!(host.stop().forced, 0);
}

/// A request is a value like others. Whoever keeps it keeps no connection, no slot and no thread.
#[test]
fn keeping_the_request() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (keeps, streams) = (Arc::clone(&kept), Arc::clone(&kept));
    let app = hello()
        .add("keep", move |request: Request| {
            keeps.lock().unwrap().push(request);
            Response::text("kept")
        })
        .add(
            "stream",
            EventSource::new(move |c| {
                streams.lock().unwrap().push(c.request().clone());
                Ok(c.data("kept")?)
            }),
        );
    let host = bound(app).start().unwrap();
    for number in 0..20 {
        for path in ["keep", "stream"] {
            let answer = ask(&host, &GET.replace("/ ", &format!("/{path}?{number} "))).answer(false).unwrap();
            assert_eq!(answer.status, 200);
        }
    }
    eventually("all slots are free", || host.stats().connections == 0);
    assert_eq!(host.stop().forced, 0);
    drop(host);
    let kept = kept.lock().unwrap();
    assert_eq!((kept.len(), kept[39].raw_target()), (40, "/stream?19"));
}

/// A host whose listener blocks at the end of each stream of `/blocks`, until what is returned last is dropped.
fn blocking(app: Layout) -> (Host, Gate, Sender<()>) {
    let (reached, (holds, held)) = (Gate::default(), mpsc::channel());
    let (reaches, held) = (reached.clone(), Mutex::new(held));
    let host = bound(app).log(move |notice| {
        if matches!(notice, Notice::StreamEnded { request, .. } if request.path() == "/blocks") {
            reaches.open();
            held.lock().unwrap().recv().ok();
        }
    });
    (host, reached, holds)
}

/// A listener that blocks holds up what it is told of: a stop waits for that no longer than for a deaf generator.
#[test]
fn a_listener_that_blocks() {
    let (host, reached, holds) = blocking(hello().add("blocks", EventSource::new(|_| Ok(()))));
    let host = host.start().unwrap();
    assert_eq!(ask(&host, &GET.replace("/ ", "/blocks ")).answer(false).unwrap().status, 200);
    reached.pass();
    is_well(&host);
    let _second = ask(&host, &GET.replace("/ ", "/blocks "));
    is_well(&host);
    let (report, host) = in_time(move || (host.stop_within(SHORT), host));
    assert!(report.forced <= 2, "{report:?}");
    drop(holds);
    eventually("it goes on", || host.stats().connections == 0);
}

/// A listener that panics at everything is a listener less, and nothing else.
#[test]
fn a_listener_that_panics() {
    let channel = Channel::new();
    let followed = channel.clone();
    let app = hello().add("follow", here(move |c| c.follow(&followed)));
    let host = bound(app).log(|_| std::panic::panic_any("in the log")).start().unwrap();
    is_well(&host);
    drop(open(&host, "/follow"));
    // Who leaves with something unread resets the connection.
    let left = || host.stats().ended_by(CloseReason::PeerClosed) + host.stats().ended_by(CloseReason::Reset);
    eventually("it came and left", || left() >= 2);
    let mut follower = open(&host, "/follow");
    eventually("it follows", || channel.subscribers() == 1);
    channel.close();
    assert!(follower.rest().unwrap().ends_with(b"event: finish\nid: brooklet-finished\ndata: \n\n"));
    assert_eq!(host.stats().panics, 0, "a listener's panics are no handler's");
}

/// The writers of a channel serve many; no code of the user's runs on them, so a listener cannot hold them up.
#[test]
fn a_listener_that_blocks_holds_up_no_follower() {
    let channel = Channel::new();
    let (blocks, follows) = (channel.clone(), channel.clone());
    let app = hello()
        .add("blocks", here(move |c| c.follow(&blocks)).keep_alive(Duration::from_millis(20)))
        .add("follow", here(move |c| c.follow(&follows)));
    let (host, reached, holds) = blocking(app);
    let host = host.start().unwrap();
    let leaving = open(&host, "/blocks");
    eventually("it follows", || channel.subscribers() == 1);
    // Enough that each writer has some.
    let followers: Vec<_> = (0..16)
        .map(|_| {
            let client = connect(host.address());
            say(&client, &GET.replace("/ ", "/follow "));
            super::sees(&client, "data: here\n\n");
            client
        })
        .collect();
    eventually("they follow", || channel.subscribers() == 17);
    drop(leaving);
    reached.pass();
    channel.publish(Event::new("news")).unwrap();
    // All that while, the listener does not return.
    for client in &followers {
        super::sees(client, "data: news\n\n");
    }
    drop(holds);
}
