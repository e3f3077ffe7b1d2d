//! Who joins and who leaves, exactly once each, and why.

use super::valve::Valve;
use super::{get_after, host, patient_for, start, Client, GET};
use crate::patience::{eventually, in_time, DEADLINE};
use brooklet::{Channel, Event, EventSource, Host, Presence, RunningHost};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

/// `+` and the target of who joined, `-`, target and reason of who left.
fn line(presence: Presence) -> String {
    match presence {
        Presence::Joined { request, .. } => format!("+{}", request.raw_target()),
        Presence::Left { request, reason, .. } => format!("-{} {reason:?}", request.raw_target()),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn next(presences: &Receiver<Presence>) -> String {
    line(presences.recv_timeout(DEADLINE).expect("somebody joins or leaves"))
}

/// What it takes to make a client leave.
type Leaving = fn(&Channel, RunningHost, Client);

/// Each reason, on a writer and on a thread of one's own.
#[test]
fn reasons() {
    const LEAVING: [(&str, Leaving); 4] = [
        ("PeerClosed", |_, host, client| {
            drop(client);
            host_outlives(host);
        }),
        ("Finished", |channel, host, _client| {
            channel.close();
            host_outlives(host);
        }),
        ("Stopped", |_, host, _client| assert_eq!(in_time(move || host.stop()).forced, 0)),
        ("UnexpectedInput", |_, host, client| {
            client.wire.send(&[b'x'; 80 * 1024]);
            host_outlives(host);
            std::mem::forget(client);
        }),
    ];
    for (reason, leave) in LEAVING {
        for start in [start, super::start_forwarding] {
            let channel = Channel::new();
            let presences = channel.presence();
            let host = start(&channel);
            let mut client = Client::join(&host, &channel, GET);
            client.exactly(&format!("id: {}0\n\n", super::epoch(&channel))); // or its leaving would be a reset
            assert_eq!(next(&presences), "+/");
            leave(&channel, host, client);
            assert_eq!(next(&presences), format!("-/ {reason}"));
            eventually("nobody is left", || channel.subscribers() == 0);
            assert!(presences.try_recv().is_err(), "once");
        }
    }

    fn host_outlives(host: RunningHost) {
        std::mem::forget(host);
    }
}

/// Those of clients that do not take what they are sent.
#[test]
fn reasons_of_the_slow() {
    let channel = Channel::new();
    let presences = channel.presence();
    let host = host(EventSource::channel(&channel)).limits(patient_for(Duration::from_millis(100)));
    let stalled = Valve::serve(&host, GET);
    assert_eq!(next(&presences), "+/");
    stalled.take(3);
    channel.publish(Event::new("never read")).unwrap();
    assert_eq!(next(&presences), "-/ WriteDeadline");

    let channel =
        Channel::setup().history_events(1).history_bytes(1000).snapshot(|| Event::new("state")).open();
    let presences = channel.presence();
    let lagging = Valve::serve(&Host::new(EventSource::channel(&channel)), GET);
    assert_eq!(next(&presences), "+/");
    super::slow::overtake_for_good(&channel, &lagging, 0);
    lagging.take(usize::MAX);
    assert_eq!(next(&presences), "-/ Lagged");
    assert!(presences.try_recv().is_err(), "once");
}

/// On a thread of one's own the generator may be the first to notice, by sending something itself.
#[test]
fn reasons_that_the_generator_sees_first() {
    let channel = Channel::new();
    let followed = channel.clone();
    let source = EventSource::new(move |connection| {
        let mut subscription = followed.subscribe(connection)?;
        match connection.request().query("end") {
            Some("return") => return Ok(()),
            Some("finish") => return Ok(connection.finish()?),
            Some("retry") => return Ok(connection.retry(Duration::from_secs(1))?),
            _ => {}
        }
        while subscription.forward(connection, Duration::ZERO)? {
            connection.wait(Duration::from_millis(1))?;
            connection.comment("own")?;
        }
        Ok(())
    });
    let host = host(source).start().unwrap();
    for (query, reason) in [
        ("end=return", "Returned"),
        ("end=finish", "Finished"),
        ("end=retry", "Retry"),
        ("leave", "PeerClosed"),
    ] {
        let leaves = reason == "PeerClosed";
        let presences = channel.presence();
        let mut client = Client::open(host.address(), GET.replace("/ ", &format!("/?{query} ")));
        assert_eq!(next(&presences), format!("+/?{query}"));
        if !leaves {
            client.rest(); // else it might leave before it is sent away
        }
        drop(client);
        // Who leaves with something unread resets the connection.
        let left = next(&presences);
        let is_reset = leaves && left == format!("-/?{query} Reset");
        assert!(is_reset || left == format!("-/?{query} {reason}"), "{left} instead of {reason}");
    }
}

#[test]
fn everybody_once() {
    const CLIENTS: usize = 100;
    let channel = Channel::new();
    let early = channel.presence();
    drop(channel.presence()); // nobody needs to listen
    let late = channel.presence();
    let hosts = [start(&channel), super::start_forwarding(&channel)];
    thread::scope(|scope| {
        for part in 0..4 {
            let (hosts, channel) = (&hosts, &channel);
            scope.spawn(move || {
                for number in (part..CLIENTS).step_by(4) {
                    let at = usize::from(number % 5 == 0);
                    let request = get_after("x").replace("/ ", &format!("/{number} "));
                    let mut client = Client::open(hosts[at].address(), request);
                    client.next(); // the reset; it has joined, or is about to
                    channel.publish(Event::new(number)).unwrap();
                }
            });
        }
    });
    for presences in [early, late] {
        let mut lines: Vec<_> = (0..2 * CLIENTS).map(|_| next(&presences)).collect();
        for number in 0..CLIENTS {
            let joined = lines.iter().position(|line| *line == format!("+/{number}")).expect("it has joined");
            let left =
                lines.iter().position(|line| line.starts_with(&format!("-/{number} "))).expect("it has left");
            assert!(joined < left);
        }
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 2 * CLIENTS);
        assert!(presences.try_recv().is_err(), "once");
    }
}

/// Nobody hears of what was before, nor of the departure of those whom nobody heard coming.
#[test]
fn from_now_on() {
    let channel = Channel::new();
    let host = start(&channel);
    let before = Client::join(&host, &channel, GET);
    let presences = channel.presence();
    drop(before);
    eventually("it has left", || channel.subscribers() == 0);
    let _after = Client::join(&host, &channel, GET.replace("/ ", "/after "));
    assert_eq!(next(&presences), "+/after");
}
