//! Clients that stop reading for seconds, over sockets of the operating system.

use super::{assert_whole, epoch, host, patient_for, start, Client, GET};
use crate::patience::{eventually, DEADLINE, LONG};
use brooklet::{Channel, Event, EventSource};
use std::thread;
use std::time::{Duration, Instant};

/// A text that says which event it belongs to, from its first byte to its last.
fn text(number: u64) -> String {
    format!("{number:08} ").repeat(4000)
}

/// Some that do not read, beside one that gets each event before there is another. Afterwards they have whole events,
/// and gaps that can be seen.
#[test]
fn a_long_stall() {
    let channel = Channel::new();
    let host = start(&channel);
    // As many as there are writers at most, so that whoever serves the quick one has a stalled one as well.
    let mut stalled = [(); 4].map(|()| Client::join(&host, &channel, GET));
    let mut quick = Client::join(&host, &channel, GET);
    // 36 KB each, and far more than any socket holds.
    const EVENTS: u64 = 600;
    for number in 1..=EVENTS {
        channel.publish(Event::new(text(number))).unwrap();
        let message = quick.next();
        assert!(message.event_type == "message" && message.data == text(number), "event {number}");
        quick.parser.messages.clear();
        quick.taken = 0;
        quick.bytes.clear();
    }
    channel.close();
    stalled.iter_mut().for_each(|stalled| judge(stalled, &epoch(&channel), EVENTS));
}

/// Whole events in their order, and a reset where some are missing.
#[track_caller]
fn judge(stalled: &mut Client, epoch: &str, events: u64) {
    let rest = stalled.rest();
    assert_whole(rest.as_bytes());
    let mut seen = 0;
    let mut resets = 0;
    let (finish, messages) = stalled.parser.messages.split_last().unwrap();
    for message in messages {
        let sequence: u64 = message.last_event_id[epoch.len()..].parse().unwrap();
        match &*message.event_type {
            "reset" => {
                let missed = sequence - seen;
                assert_eq!(message.data, format!("{{\"reason\":\"lagged\",\"missed\":{missed}}}"));
                resets += 1;
            }
            _ => {
                assert_eq!(sequence, seen + 1);
                assert!(message.data == text(sequence), "torn: event {sequence}");
            }
        }
        seen = sequence;
    }
    assert_eq!((seen, finish.event_type.as_str()), (events, "finish"));
    assert!(resets > 0, "{events} events were no more than a socket holds");
}

/// One that never reads again is closed at the deadline, while others go on.
#[test]
fn a_stall_without_end() {
    let channel = Channel::new();
    let source = EventSource::channel(&channel);
    let host = host(source).limits(patient_for(Duration::from_millis(500))).start().unwrap();
    let _stalled = Client::join(&host, &channel, GET);
    let mut quick = Client::join(&host, &channel, GET);
    let started = Instant::now();
    for number in 0.. {
        if channel.publish(Event::new(text(number))).unwrap().subscribers == 1 {
            break;
        }
        assert_eq!(quick.next().data, text(number));
        quick.bytes.clear();
        assert!(started.elapsed() < DEADLINE, "it is still there");
    }
}

/// Two of two hundred stall: the others have everything, while those are still at their first bytes.
#[test]
#[cfg(unix)]
fn one_in_a_hundred() {
    use brooklet::Host;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    const CLIENTS: usize = 200;
    const EVENTS: u64 = 40;
    let channel = Channel::setup().history_events(u64::MAX).history_bytes(u64::MAX).open();
    let host = Host::new(EventSource::channel(&channel).keep_alive(LONG)).limits(patient_for(LONG));
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut client, end) = UnixStream::pair().unwrap();
            client.set_read_timeout(Some(DEADLINE)).unwrap();
            client.write_all(GET.as_bytes()).unwrap();
            host.serve(end);
            client
        })
        .collect();
    assert_eq!(channel.subscribers(), CLIENTS);
    let stalled = clients.split_off(CLIENTS - 2);
    let epoch = epoch(&channel);
    let mut expected = format!("id: {epoch}0\n\n");
    for number in 1..=EVENTS {
        expected += &format!("id: {epoch}{number}\ndata: {}\n\n", text(number));
    }
    let publishing = {
        let channel = channel.clone();
        thread::spawn(move || {
            (1..=EVENTS).for_each(|number| drop(channel.publish(Event::new(text(number))).unwrap()))
        })
    };
    thread::scope(|scope| {
        for part in clients.chunks_mut(50) {
            let expected = &expected;
            scope.spawn(move || part.iter_mut().for_each(|client| read_all(client, expected)));
        }
    });
    publishing.join().unwrap();
    // Only then they go on, and nothing is lost: it is all in the history.
    for mut client in stalled {
        read_all(&mut client, &expected);
    }
    drop(clients);
    eventually("all have left", || channel.subscribers() == 0);

    #[track_caller]
    fn read_all(client: &mut UnixStream, expected: &str) {
        let mut found = Vec::new();
        let mut buffer = [0; 64 * 1024];
        const HEAD_END: &[u8] = b"\r\n\r\nretry: 3000\n";
        let is_end = |bytes: &[u8]| bytes == HEAD_END;
        let body =
            |found: &[u8]| found.windows(HEAD_END.len()).position(is_end).map(|at| at + HEAD_END.len());
        let mut start = None;
        while start.map_or(true, |start: usize| found.len() < start + expected.len()) {
            let count = client.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "the stream is over after {} bytes", found.len());
            found.extend_from_slice(&buffer[..count]);
            start = start.or_else(|| body(&found));
        }
        assert!(&found[start.unwrap()..] == expected.as_bytes(), "another order, or torn");
    }
}
