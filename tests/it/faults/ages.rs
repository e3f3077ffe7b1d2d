//! Streams that grow old: each ends between two events, says when to come back, and not all end at once.
//!
//! Those here have an age by the system's clock, since it is sockets and threads that they are about. Waits of every kind
//! that end by it are in `testing/virtual_time.rs`, and the chance in it beside the code: how far apart they end is up to
//! the machine, too.

use super::{bound, comeback, connect, here, say, sees, GET};
use crate::patience::{eventually, unhurried, DEADLINE, LONG};
use crate::wire::Wire;
use brooklet::{Channel, CloseReason, Event, EventConnection, EventSource, Layout, Notice, SendError};
use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const AGE: Duration = Duration::from_millis(400);
/// A fifth of an age is left to chance.
const YOUNGEST: Duration = Duration::from_millis(320);

/// A row: so many streams of a source end for their age, each in its time and with a time to come back.
#[track_caller]
fn check(streams: usize, source: EventSource) {
    let source = source.max_age(AGE).keep_alive(Duration::from_millis(20)); // a channel looks as often
    let (sender, ends) = mpsc::channel();
    let host = bound(Layout::new().index(source)).log(move |notice| {
        if let Notice::StreamEnded { reason, duration, .. } = notice {
            sender.send((*reason, *duration)).ok();
        }
    });
    let host = host.start().unwrap();
    let clients: Vec<_> = (0..streams)
        .map(|_| {
            let mut wire = Wire::connect(host.address()).unwrap();
            wire.send(GET.as_bytes());
            thread::spawn(move || {
                wire.head().unwrap();
                wire.rest().unwrap()
            })
        })
        .collect();
    for _ in 0..streams {
        let (reason, duration) = ends.recv_timeout(DEADLINE).unwrap();
        assert_eq!(reason, CloseReason::MaxAge);
        assert!(duration >= YOUNGEST, "after {duration:?}");
    }
    let mut delays = Vec::new();
    for client in clients {
        let body = client.join().unwrap();
        assert!(body.starts_with(b"data: here\n\n"), "it has begun");
        delays.push(comeback(&body));
    }
    assert!(delays.iter().all(|delay| (1500..=4500).contains(delay)), "{delays:?}");
    assert_eq!(host.stats().ended_by(CloseReason::MaxAge), streams as u64);
    if streams >= 12 {
        delays.sort_unstable();
        delays.dedup();
        assert!(delays.len() > streams / 2, "much alike: {delays:?}");
    }
}

/// Values that keep coming and are never sent.
fn swallowing(c: &mut EventConnection<'_>) -> Result<(), SendError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || while sender.send(()).is_ok() {});
    loop {
        c.receive(&receiver)?;
    }
}

#[test]
fn generators() {
    check(12, here(|c| c.wait(LONG)));
    check(
        2,
        here(|c| loop {
            c.wait(Duration::ZERO)?
        }),
    );
    check(1, here(swallowing));
    check(
        2,
        here(|c| loop {
            c.data("without waiting")?
        }),
    );
    check(
        2,
        here(|c| loop {
            c.send_all((0..10).map(Event::new))?
        }),
    );
    check(
        2,
        here(|c| loop {
            c.comment("no event")?
        }),
    );
}

#[test]
fn followers() {
    let channel = Channel::new();
    let followed = channel.clone();
    check(12, here(move |c| c.follow(&followed)));
    // While there is news all the time.
    let (news, followed) = (channel.clone(), channel.clone());
    let publishing = thread::spawn(move || {
        while news.publish(Event::new("news")).is_ok() {
            thread::sleep(Duration::from_millis(1)); // the pace of the news
        }
    });
    check(12, here(move |c| c.follow(&followed)));
    let forwarded = channel.clone();
    check(
        3,
        here(move |c| {
            let mut subscription = forwarded.subscribe(c)?;
            while subscription.forward(c, LONG)? {}
            Ok(())
        }),
    );
    channel.close();
    publishing.join().unwrap();
}

/// One that is always behind grows old like all the others, as soon as its socket has taken the event that it was at.
#[test]
fn a_follower_that_is_behind() {
    const EVENT: usize = 64 * 1024;
    const EVENTS: usize = 640; // 40 MiB, more than sockets hold
    let channel = Channel::setup().history_events(u64::MAX).history_bytes(u64::MAX).replay(u64::MAX).open();
    for _ in 0..EVENTS {
        channel.publish(Event::new("x".repeat(EVENT))).unwrap();
    }
    let source = EventSource::channel(&channel).max_age(AGE).keep_alive(Duration::from_millis(20));
    let host = bound(Layout::new().index(source)).limits(unhurried()).start().unwrap();
    let mut client = connect(host.address());
    say(&client, GET);
    sees(&client, "\r\n\r\n"); // so it has an age
    let begun = Instant::now();
    eventually("it is too old", || begun.elapsed() > 2 * AGE);
    let mut received = 0;
    let mut buffer = vec![0; EVENT];
    loop {
        match client.read(&mut buffer).unwrap() {
            0 => break,
            count => received += count,
        }
    }
    assert!(received < EVENTS * EVENT, "it was sent everything, however old it was");
    eventually("its age was the reason", || host.stats().ended_by(CloseReason::MaxAge) == 1);
}
