//! Streams that are ended from elsewhere, or at a time of their own.

use super::{endless, open, reason, start, telling};
use crate::patience::{eventually, Gate, DEADLINE, LONG};
use brooklet::testing::Client;
use brooklet::{Channel, CloseReason, Event, EventConnection, EventSource, SendError};
use std::sync::mpsc;
use std::time::Duration;

/// Hands out the stream's handle, goes on, and is ended: the client sees the end, and the generator why.
#[test]
fn a_handle_ends_a_stream() {
    check(|c| c.wait(LONG));
    check(|c| loop {
        c.wait(Duration::from_millis(500))?;
    });
    check(|c| c.receive(&endless()).map(drop));
    check(|c| loop {
        c.data("more")?;
    });
    check(|c| Channel::new().subscribe(c)?.forward(c, LONG).map(drop));

    #[track_caller]
    fn check(generate: fn(&mut EventConnection<'_>) -> Result<(), SendError>) {
        let (sender, handles) = mpsc::sync_channel(1);
        let (source, told) = telling(move |c| {
            sender.send(c.handle()).unwrap();
            reason(generate(c))
        });
        let host = start(source);
        let mut client = open(&host);
        let handle = handles.recv_timeout(DEADLINE).unwrap();
        assert!(handle.is_open());
        handle.clone().end();
        assert_eq!(told.next(), CloseReason::Ended);
        let rest = client.rest().unwrap();
        assert!(!String::from_utf8(rest).unwrap().contains("retry"), "nothing is said of it");
        assert!(!handle.is_open());
        handle.end(); // although it is over

        // The handle is there, and holds nothing open.
        eventually("its slot is free", || {
            host.stats().connections == 0 && host.stats().ended_by(CloseReason::Ended) == 1
        });
    }
}

#[test]
fn a_handle_ends_a_follower() {
    let (sender, handles) = mpsc::sync_channel(1);
    let news = Channel::new();
    let followed = news.clone();
    let host = start(EventSource::new(move |c| {
        sender.send(c.handle())?;
        Ok(c.follow(&followed)?)
    }));
    let open = || Client::get("/").connect(host.address()).unwrap();
    let (mut ended, first) = (open(), handles.recv_timeout(DEADLINE).unwrap());
    let (mut goes_on, second) = (open(), handles.recv_timeout(DEADLINE).unwrap());
    eventually("both follow", || news.subscribers() == 2);
    first.end();
    assert_eq!(ended.events_to_end().unwrap(), []);
    assert_eq!((first.is_open(), second.is_open()), (false, true));
    news.publish(Event::new("rain")).unwrap();
    assert_eq!(goes_on.next_event().unwrap().data, "rain");
    eventually("it is gone", || news.subscribers() == 1 && host.stats().ended_by(CloseReason::Ended) == 1);
}

/// Nobody is cut off who was ended otherwise before.
#[test]
fn the_first_end_counts() {
    let (sender, handles) = mpsc::sync_channel(1);
    let gate = Gate::default();
    let passes = gate.clone();
    let host = start(EventSource::new(move |c| {
        sender.send(c.handle())?;
        c.finish()?;
        passes.pass();
        Ok(())
    }));
    let mut client = open(&host);
    let handle = handles.recv_timeout(DEADLINE).unwrap();
    client.exactly(b"event: finish\nid: brooklet-finished\ndata: \n\n").unwrap();
    eventually("it is over", || !handle.is_open());
    handle.end();
    gate.open();
    client.end().unwrap();
    eventually("it has finished", || host.stats().ended_by(CloseReason::Finished) == 1);
}

#[test]
fn a_stream_has_an_age_of_its_own() {
    check(None, &[90], Some(90));
    check(None, &[90, 60], Some(60)); // what comes first
    check(None, &[60, 90], Some(60));
    check(Some(30), &[90], Some(30));
    check(Some(90), &[30], Some(30));
    check(None, &[0], Some(0));
    check(None, &[u64::MAX], None);
    check(None, &[], None);

    #[track_caller]
    fn check(of_source: Option<u64>, of_stream: &'static [u64], expected: Option<u64>) {
        let source = EventSource::new(move |c| {
            of_stream.iter().for_each(|age| c.max_age(Duration::from_secs(*age)));
            Ok(c.wait(Duration::MAX)?)
        });
        let source = match of_source {
            Some(age) => source.max_age(Duration::from_secs(age)),
            None => source,
        };
        let stream = Client::get("/").in_memory(&source).leave_at(Duration::from_secs(100)).run();
        let reason = if expected.is_some() { CloseReason::MaxAge } else { CloseReason::PeerClosed };
        assert_eq!((stream.reason(), stream.duration().as_secs()), (Some(reason), expected.unwrap_or(100)));
    }
}

/// In a test as well: by the virtual clock.
#[test]
fn a_handle_in_memory() {
    let (sender, handles) = mpsc::sync_channel(1);
    let source = EventSource::new(move |c| {
        sender.send(c.handle())?;
        Ok(c.wait(Duration::MAX)?)
    });
    let end = move || handles.recv_timeout(DEADLINE).unwrap().end();
    let stream = Client::get("/").in_memory(&source).at(Duration::from_secs(7), end).run();
    assert_eq!((stream.reason(), stream.duration()), (Some(CloseReason::Ended), Duration::from_secs(7)));
}
