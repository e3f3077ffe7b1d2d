//! What is published: its bytes, its ids, its order, and the user's code that makes it.

use super::{epoch, host, start, Client, FINISH, GET};
use crate::patience::in_time;
use brooklet::{Channel, Data, Event, EventSource, Formatting, SendError, Writer};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[test]
fn bytes() {
    let channel = Channel::setup()
        .replay(u64::MAX)
        .formatting(Formatting::new().add(|x: &f64| format!("{x:.2}")))
        .open();
    let epoch = epoch(&channel);
    let (mut expected, mut sequence) = (String::new(), 0);
    let mut publish = |published: Result<brooklet::Published, SendError>, bytes: &str| {
        sequence += 1;
        let id = format!("{epoch}{sequence}");
        assert_eq!(published.unwrap().id, id);
        expected += &format!("id: {id}\n{bytes}");
    };
    publish(channel.publish(Event::new("text")), "data: text\n\n");
    publish(channel.publish(Event::new(1.0).event_type("price")), "event: price\ndata: 1.00\n\n");
    publish(channel.publish(Event::new("a\nb\r\nc\r")), "data: a\ndata: b\ndata: c\ndata: \n\n");
    publish(channel.publish(Event::new("")), "data: \n\n");
    publish(
        channel.publish(Event::new("\n\nid: forged\n\n")),
        "data: \ndata: \ndata: id: forged\ndata: \ndata: \n\n",
    );
    publish(channel.publish(Event::new(vec![1.0, 2.5])), "data: [1.00,2.50]\n\n");
    publish(channel.publish(Event::new(7).retry(Duration::from_secs(1))), "retry: 1000\ndata: 7\n\n");
    publish(channel.publish(Event::new(8).comment("c")), ": c\ndata: 8\n\n");
    publish(channel.publish(Event::without_data().event_type("t")), "event: t\n\n");

    // Formatting is the channel's, also where the source has its own.
    let source =
        EventSource::channel(&channel).formatting(Formatting::new().add(|x: &f64| format!("{x:.9}")));
    let host = host(source).start().unwrap();
    let mut client = Client::join(&host, &channel, GET);
    channel.close();
    assert_eq!(client.rest(), expected + FINISH);
}

/// Nothing is published that cannot be, and the channel goes on.
#[test]
fn errors() {
    use SendError::{InvalidEventType, InvalidId};
    let numbered = Channel::new();
    check(&numbered, Event::new("x").id("1"), InvalidId);
    check(&numbered, Event::new("x").id(""), InvalidId);
    check(&numbered, Event::new("x").id("a\nb"), InvalidId);
    check(&numbered, Event::new("x").event_type("a\nb"), InvalidEventType);
    let own = Channel::setup().own_ids().open();
    check(&own, Event::new("x"), InvalidId);
    check(&own, Event::new("x").id(""), InvalidId);
    check(&own, Event::new("x").id("a\rb"), InvalidId);
    check(&own, Event::new("x").id("brooklet-finished"), InvalidId);
    check(&own, Event::new("x").id("a").event_type("\r"), InvalidEventType);
    assert_eq!(numbered.publish(Event::new("x")).unwrap().id, epoch(&numbered) + "1");
    assert_eq!(own.last_id(), None);
    assert_eq!(own.publish(Event::new("x").id("a")).unwrap().id, "a");
    assert_eq!(own.last_id().as_deref(), Some("a"));

    for channel in [numbered, own] {
        let last = channel.last_id();
        assert!(!channel.is_closed());
        channel.close();
        assert!(channel.is_closed());
        assert!(matches!(channel.publish(Event::new("x").id("")), Err(InvalidId)));
        assert_eq!(channel.last_id(), last);
    }
    let closed = Channel::new();
    closed.close();
    check(&closed, Event::new("x"), SendError::Closed(brooklet::CloseReason::Finished));

    #[track_caller]
    fn check(channel: &Channel, event: Event<'_, &str>, expected: SendError) {
        let last = channel.last_id();
        assert_eq!(channel.publish(event).unwrap_err(), expected);
        assert_eq!(channel.last_id(), last);
    }
}

/// Each channel has an epoch of its own.
#[test]
fn epochs_differ() {
    let mut epochs: Vec<_> = (0..100).map(|_| epoch(&Channel::new())).collect();
    epochs.sort();
    epochs.dedup();
    assert_eq!(epochs.len(), 100);
}

#[test]
fn how_many_it_was_for() {
    let channel = Channel::new();
    let host = start(&channel);
    for count in 0..5 {
        assert_eq!(channel.publish(Event::new(1)).unwrap().subscribers, count);
        std::mem::forget(Client::join(&host, &channel, GET));
    }
}

/// One order for everybody: that of the ids which the publishers got.
#[test]
fn total_order() {
    const THREADS: u64 = 4;
    const EACH: u64 = 2000;
    let channel = Channel::setup().history_events(u64::MAX).history_bytes(u64::MAX).open();
    let host = start(&channel);
    let epoch = epoch(&channel);
    let first = Client::join(&host, &channel, GET);
    let readers: Vec<_> = (0..4)
        .map(|_| Client::join(&host, &channel, super::get_after(&format!("{epoch}0"))))
        .chain([first])
        .map(|mut client| thread::spawn(move || (client.rest(), client.parser.messages)))
        .collect();
    let publishers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let channel = channel.clone();
            thread::spawn(move || {
                let publish = |n: u64| channel.publish(Event::new(thread * EACH + n)).unwrap().id;
                (0..EACH).map(|n| (publish(n), thread * EACH + n)).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut published: Vec<_> =
        publishers.into_iter().flat_map(|publisher| publisher.join().unwrap()).collect();
    published.sort_by_key(|(id, _)| id[epoch.len()..].parse::<u64>().unwrap());
    channel.close();
    for reader in readers {
        let (text, mut messages) = reader.join().unwrap();
        super::assert_whole(text.as_bytes());
        assert_eq!(messages.pop().map(|finish| finish.event_type).as_deref(), Some("finish"));
        let got: Vec<_> =
            messages.iter().map(|m| (m.last_event_id.clone(), m.data.parse::<u64>().unwrap())).collect();
        assert!(got == published, "{} of {}", got.len(), published.len());
    }
    // And each publisher's events are in the order in which it published them.
    for thread in 0..THREADS {
        let numbers = published.iter().map(|(_, number)| *number).filter(|number| number / EACH == thread);
        assert!(numbers.eq(thread * EACH..(thread + 1) * EACH));
    }
}

/// A value whose text is made with the channel that it is published in.
struct Nosy(Channel);

impl Data for Nosy {
    fn write(&self, out: &mut Writer<'_>) {
        self.0.publish(Event::new("from within")).unwrap();
        assert!(self.0.catch_up(9, Duration::ZERO));
        out.text(&format!(
            "{} {} {:?}",
            self.0.subscribers(),
            self.0.is_closed(),
            self.0.last_id().is_some()
        ));
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.publish(Event::new("from its end")).unwrap();
    }
}

/// The user's code never runs under the lock: it may do with the channel what it likes.
#[test]
fn user_code_may_use_the_channel() {
    let slot = Arc::new(Mutex::new(None::<Channel>));
    let within = Arc::clone(&slot);
    let formatting = Formatting::new().add(move |price: &f64| {
        let channel = within.lock().unwrap().clone().unwrap();
        channel.publish(Event::new("from formatting")).unwrap();
        format!("{price} for {}", channel.subscribers())
    });
    let channel = Channel::setup().formatting(formatting).replay(u64::MAX).open();
    *slot.lock().unwrap() = Some(channel.clone());
    let host = start(&channel);
    let mut client = Client::join(&host, &channel, GET);
    let publisher = channel.clone();
    in_time(move || {
        publisher.publish(Event::new(1.5)).unwrap();
        publisher.publish(Event::new(Nosy(publisher.clone()))).unwrap();
    });
    let got: Vec<_> = (0..5).map(|_| client.next().data).collect();
    let mut sorted = got.clone();
    sorted.sort(); // when its value is dropped is the channel's affair
    assert_eq!(got[..2], ["from formatting", "1.5 for 1"]);
    assert_eq!(sorted, ["1 false true", "1.5 for 1", "from formatting", "from its end", "from within"]);
}

/// A panic while text is made publishes nothing and poisons nothing.
#[test]
fn panics() {
    let formatting = Formatting::new().add(|_: &f64| -> String { panic!("no prices today") });
    let channel = Channel::setup()
        .formatting(formatting)
        .snapshot(|| -> Event<'static, f64> { Event::new(2.0) })
        .open();
    let id = epoch(&channel) + "0";
    let host = start(&channel);
    let mut client = Client::join(&host, &channel, super::get_after(&id));
    for round in 1..4 {
        assert!(catch_unwind(AssertUnwindSafe(|| channel.publish(Event::new(1.0)))).is_err());
        channel.publish(Event::new(round)).unwrap();
        assert_eq!(client.next().data, round.to_string());
        assert_eq!((channel.subscribers(), channel.is_closed()), (1, false));
    }
    // One whose snapshot panics is told to come back, and nobody else is disturbed.
    let mut fresh = Client::open(host.address(), GET);
    assert_eq!(fresh.rest(), "retry: 10000\n");
    channel.publish(Event::new("on")).unwrap();
    assert_eq!(client.next().data, "on");
    assert_eq!(channel.subscribers(), 1);
}

/// What cannot be is said where it is written.
#[test]
fn setting_up() {
    assert!(catch_unwind(|| Channel::setup().reset_type("a\nb")).is_err());
}
