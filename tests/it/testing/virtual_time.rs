//! What passes as time: waits of every kind, what is scheduled meanwhile, and channels.

use super::{as_it_is, check, secs};
use brooklet::testing::Client;
use brooklet::{Channel, CloseReason, Content, Event, EventConnection, EventSource, Presence, Status};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A page that the client has already is not sent again, as on a host.
#[test]
fn a_page_that_the_client_has() {
    let page = Content::text("hello");
    let first = Client::get("/").in_memory(&page).run();
    let tag = first.header("ETag").expect("content is tagged").to_owned();
    let again = Client::get("/").header("If-None-Match", &tag).in_memory(&page).run();
    assert_eq!((first.status(), again.status()), (Status::OK, Status::NOT_MODIFIED));
    assert_eq!((&*first.text(), &*again.text()), ("hello", ""));
}

/// Each wait takes as long as it says, to the nanosecond, and no time at all.
#[test]
fn waits() {
    let started = Instant::now();
    for duration in
        [secs(0), Duration::from_nanos(1), Duration::from_micros(1500), millis(10), millis(11), secs(3000)]
    {
        let source = EventSource::new(move |c| {
            let before = c.now();
            c.wait(duration)?;
            assert_eq!(c.now() - before, duration);
            Ok(c.data("x")?)
        });
        let stream = Client::get("/").in_memory(&source.keep_alive(secs(0))).run();
        assert_eq!((stream.duration(), stream.items()[0].0), (duration, duration));
    }
    assert!(started.elapsed() < secs(3000) / 10, "it took {:?}", started.elapsed());

    check(
        |c| {
            let mut due = c.now();
            for number in 1..=3 {
                c.wait_until(due)?;
                c.wait(millis(300 * number))?; // whatever that takes
                c.data(number)?;
                due += secs(1);
            }
            Ok(())
        },
        as_it_is,
        &["300ms message: 1", "1.6s message: 2", "2.9s message: 3"],
        CloseReason::Returned,
    );
}

/// What is scheduled happens in the order of its times, and for one time in the order in which it was said.
#[test]
fn tasks() {
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let [at_0, at_2, at_2_again, at_20, last] = [0; 5].map(|_| sender.clone());
    drop(sender);
    check(
        move |c| {
            let receiver = receiver.lock().unwrap();
            while let Some(value) = c.receive(&receiver)? {
                c.data(value)?;
            }
            Ok(c.data("all")?)
        },
        |r| {
            r.at(secs(20), move || at_20.send("d").unwrap())
                .at(secs(2), move || at_2.send("b").unwrap())
                .at(secs(2), move || at_2_again.send("c").unwrap())
                .at(secs(0), move || at_0.send("a").unwrap())
                .at(millis(20_100), move || drop(last))
        },
        &["0s message: a", "2s message: b", "2s message: c", "17s :", "20s message: d", "20.1s message: all"],
        CloseReason::Returned,
    );
}

/// They happen within waits of every kind, at their own time.
#[test]
fn tasks_within_waits() {
    let waits: [fn(&mut EventConnection<'_>) -> brooklet::Result; 3] = [
        |c| Ok(c.wait(secs(10))?),
        |c| Ok(c.wait_until(c.now() + secs(10))?),
        |c| {
            let channel = Channel::new();
            channel.subscribe(c)?.forward(c, secs(10))?;
            Ok(())
        },
    ];
    for wait in waits {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let see = |what| {
            let seen = Arc::clone(&seen);
            move || seen.lock().unwrap().push(what)
        };
        let (after, source) = (see("after"), EventSource::new(wait));
        let before = see("before the end");
        let stream = Client::get("/")
            .in_memory(&source)
            .at(millis(9_995), before)
            .at(secs(10), see("at the end"))
            .at(millis(10_001), after)
            .run();
        assert_eq!(stream.duration(), secs(10));
        assert_eq!(*seen.lock().unwrap(), ["before the end", "at the end"]);
    }
}

/// A departure in the midst of a wait ends it then; a receiver looks around each second.
#[test]
fn departures() {
    let at = |generate: fn(&mut EventConnection<'_>) -> brooklet::Result| {
        let source = EventSource::new(generate);
        let stream = Client::get("/").in_memory(&source).leave_at(millis(5_100)).run();
        assert_eq!(stream.reason(), Some(CloseReason::PeerClosed));
        stream.duration()
    };
    assert_eq!(at(|c| Ok(c.wait(secs(10))?)), millis(5_100));
    assert_eq!(at(|c| Ok(c.wait(Duration::MAX)?)), millis(5_100));
    let receive = |c: &mut EventConnection<'_>| {
        let (_sender, receiver) = mpsc::channel::<()>();
        c.receive(&receiver)?;
        Ok(())
    };
    assert_eq!(at(receive), secs(6));
    assert_eq!(at(|c| Ok(c.follow(&Channel::new())?)), secs(6));
}

/// However a generator waits, its stream ends at its age, and between two events.
#[test]
fn max_age() {
    check_age(EventSource::new(|c| Ok(c.wait(secs(100))?)));
    check_age(EventSource::new(|c| Ok(c.wait_until(c.now() + secs(100))?)));
    check_age(EventSource::new(|c| loop {
        c.wait(millis(3))?;
    }));
    check_age(EventSource::new(|c| {
        let (_sender, receiver) = mpsc::channel::<()>();
        c.receive(&receiver)?;
        Ok(())
    }));
    check_age(EventSource::channel(&Channel::new()));
    let source = EventSource::new(|c| loop {
        c.wait(millis(1)).and_then(|()| c.send_all([1, 2].map(Event::new)))?;
    });
    let age = Duration::from_micros(3_000_500);
    let stream = Client::get("/").in_memory(&source.max_age(age)).run();
    assert_eq!((stream.duration(), stream.events().len()), (age, 2 * 3_000));

    #[track_caller]
    fn check_age(source: EventSource) {
        let stream = Client::get("/").in_memory(&source.max_age(secs(40))).run();
        assert_eq!((stream.reason(), stream.duration()), (Some(CloseReason::MaxAge), secs(40)));
        let lines: Vec<_> =
            stream.timeline().into_iter().filter(|line| !line.starts_with("0s id ")).collect();
        assert_eq!(lines[..2], ["15s :", "30s :"]);
        assert_eq!(lines.len(), 3, "it says when to come back, and nothing else");
        let comeback = stream.retry().unwrap();
        assert!((millis(1500)..=millis(4500)).contains(&comeback), "{comeback:?}");
    }
}

/// A subscription and a follower get the same of a channel; a page that follows it is finished by its end.
#[test]
fn channels() {
    let follow = |channel: &Channel| EventSource::channel(channel);
    let subscribe = |channel: &Channel| {
        let channel = channel.clone();
        EventSource::new(move |c| {
            let mut subscription = channel.subscribe(c)?;
            while subscription.forward(c, secs(1000))? {}
            Ok(())
        })
    };
    for serve in [&follow as &dyn Fn(&Channel) -> EventSource, &subscribe] {
        let channel = Channel::setup().replay(1).open();
        let id = channel.last_id().unwrap();
        let epoch = id.trim_end_matches('0');
        for number in 1..=2 {
            channel.publish(Event::new(number)).unwrap();
        }
        let presence = channel.presence();
        let (publisher, closer, counter) = (channel.clone(), channel.clone(), channel.clone());
        let stream = Client::get("/")
            .in_memory(&serve(&channel))
            .at(secs(3), move || assert_eq!(publisher.publish(Event::new(3)).unwrap().subscribers, 1))
            .at(secs(20), move || closer.close())
            .run();
        let expected = [
            format!("0s message #{epoch}2: 2"),
            format!("3s message #{epoch}3: 3"),
            "18s :".to_owned(),
            "20s finish #brooklet-finished: ".to_owned(),
        ];
        assert_eq!(stream.timeline(), expected);
        assert_eq!((stream.reason(), counter.subscribers()), (Some(CloseReason::Finished), 0));
        assert_eq!(presence.try_iter().count(), 2, "it has joined and left");

        // What it has seen last is where it goes on, and here there is nothing to come.
        let back = Client::get("/").last_event_id(stream.last_event_id()).in_memory(&serve(&channel)).run();
        assert_eq!(back.status().code(), 204);
    }
}

#[test]
fn resuming() {
    let channel = Channel::new();
    let id = channel.publish(Event::new(1)).unwrap().id;
    channel.publish(Event::new(2)).unwrap();
    let source = EventSource::channel(&channel);
    let data_after = |id: &str| {
        let stream = Client::get("/").last_event_id(id).in_memory(&source).leave_at(secs(1)).run();
        stream
            .events()
            .iter()
            .map(|event| format!("{}: {}", event.event_type, event.data))
            .collect::<Vec<_>>()
    };
    assert_eq!(data_after(&id), ["message: 2"]);
    let reset = r#"reset: {"reason":"unknown","missed":null}"#;
    assert_eq!(data_after("nobody's"), [reset, "message: 1", "message: 2"]);
    assert_eq!(data_after(""), [""; 0]);
}

/// The last thing that a generator does, here as there: what comes after it is not sent.
#[test]
fn following_is_the_last_thing() {
    let channel = Channel::new();
    let (followed, closer) = (channel.clone(), channel.clone());
    let source = EventSource::new(move |c| {
        c.comment("before")?;
        c.follow(&followed)?;
        assert_eq!(c.data("after"), Err(brooklet::SendError::Closed(CloseReason::HandedOver)));
        Ok(())
    });
    let stream = Client::get("/").in_memory(&source).at(secs(1), move || closer.close()).run();
    assert_eq!(stream.reason(), Some(CloseReason::Finished));
    assert_eq!(stream.events().len(), 1);
    assert!(stream.error().is_none(), "{:?}", stream.error());
}

/// Two clients of one channel: the second one comes and goes while the first is there.
#[test]
fn a_client_meets_another() {
    let channel = Channel::new();
    let presence = Mutex::new(channel.presence());
    let watched = channel.clone();
    let source = EventSource::new(move |c| {
        let presence = presence.lock().unwrap();
        let mut subscription = watched.subscribe(c)?;
        while subscription.forward(c, secs(1))? {
            for presence in presence.try_iter() {
                match presence {
                    Presence::Joined { request, .. } => c.event("joined", request.raw_target())?,
                    Presence::Left { request, .. } => c.event("left", request.raw_target())?,
                    _ => {}
                }
            }
        }
        Ok(())
    });
    let other = channel.clone();
    let stream = Client::get("/ada")
        .in_memory(&source)
        .at(millis(1500), move || {
            Client::get("/bob").in_memory(&EventSource::channel(&other)).leave_at(secs(300)).run();
        })
        .leave_at(secs(3))
        .run();
    let lines: Vec<_> = stream.timeline().into_iter().filter(|line| !line.contains(" id ")).collect();
    let expected = ["1s joined: /ada", "2s joined: /bob", "2s left: /bob"];
    let lines: Vec<_> = lines.iter().map(|line| remove_id(line)).collect();
    assert_eq!(lines, expected);

    /// `1s joined #0123-0: /ada` without what differs from run to run.
    fn remove_id(line: &str) -> String {
        match line.split_once(" #") {
            Some((start, rest)) => format!("{start}{}", &rest[rest.find(':').unwrap()..]),
            None => line.to_owned(),
        }
    }
}

/// What other threads have sent before is there, and then they are done or the time goes on.
#[test]
fn other_threads() {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || (1..=3).for_each(|number| sender.send(number).unwrap())).join().unwrap();
    let receiver = Mutex::new(receiver);
    check(
        move |c| {
            let receiver = receiver.lock().unwrap();
            while let Some(value) = c.receive(&receiver)? {
                c.data(value)?;
            }
            Ok(())
        },
        as_it_is,
        &["0s message: 1", "0s message: 2", "0s message: 3"],
        CloseReason::Returned,
    );
}
