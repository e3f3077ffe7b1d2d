//! In memory and over TCP the same comes of the same: what is simulated is the client and its clock, not the stream.

use crate::serving::start;
use brooklet::testing::Client;
use brooklet::{Channel, Event, EventConnection, EventSource, Formatting};
use std::time::Duration;

type Generator = Box<dyn Fn(&mut EventConnection<'_>) -> brooklet::Result + Send + Sync>;

/// A row: what a client asks a generator, and both ways to do that.
#[track_caller]
fn check(
    client: &Client,
    generate: impl Fn(&mut EventConnection<'_>) -> brooklet::Result + Send + Sync + 'static,
) {
    let source = |generate: Generator| {
        EventSource::new(generate)
            .formatting(Formatting::new().add(|price: &f64| format!("{price:.2}")))
            .retry(Duration::from_secs(2))
            .methods(["GET", "POST"])
    };
    let generate = std::sync::Arc::new(generate);
    let again = std::sync::Arc::clone(&generate);

    let simulated = client.clone().in_memory(&source(Box::new(move |c| generate(c)))).run();
    let host = start(source(Box::new(move |c| again(c))));
    let mut stream = client.clone().connect(host.address()).unwrap();
    let body = String::from_utf8(stream.read_to_end().unwrap().to_vec()).unwrap();
    assert_eq!(simulated.text(), body);
    assert_eq!((simulated.last_event_id(), simulated.retry()), (stream.last_event_id(), stream.retry()));
    assert_eq!(simulated.status(), stream.status());
    for name in ["Content-Type", "Cache-Control", "X-Accel-Buffering"] {
        assert_eq!(simulated.header(name), stream.header(name), "{name}");
    }
    assert!(!body.is_empty());
}

#[test]
fn generators() {
    let get = &Client::get("/a/b").query("user", "ada");
    check(get, |c| {
        c.comment("two\nlines")?;
        c.event(c.request().target().as_str(), c.request().query("user"))?;
        c.wait(Duration::from_millis(12))?;
        c.data(vec![1.0, 2.125])?;
        c.send_all((0..3).map(|number| Event::new(number).id(number.to_string())))?;
        Ok(c.data("")?)
    });
    check(get, |c| Ok(c.finish()?));
    check(get, |c| Ok(c.retry(Duration::from_secs(77))?));
    check(get, |_| Err("boom".into()));
    check(get, |_| panic!("boom"));
    check(get, |c| Ok(c.event("\n", "forged")?));
    check(&Client::new("POST", "/").body("a\r\nb"), |c| {
        let body = String::from_utf8(c.request().body().to_vec())?;
        Ok(c.data(body)?)
    });
}

/// Where a writer sends over TCP, it is the generator's thread in memory: each greeting, and what follows.
#[test]
fn followers() {
    let plain = Channel::new();
    let first = plain.publish(Event::new(1)).unwrap().id;
    let channels = [
        plain,
        Channel::setup().replay(u64::MAX).open(),
        Channel::setup().snapshot(|| Event::new("state").event_type("s")).open(),
        Channel::setup().history_events(2).history_bytes(1000).reset_type("gap").open(),
    ];
    for channel in channels {
        for number in 2..=5 {
            channel.publish(Event::new(number).event_type("number")).unwrap();
        }
        channel.close();
        let last = channel.last_id().unwrap();
        for id in ["", "unknown", &first, &last, &last.replace("-4", "-1")] {
            let channel = channel.clone();
            check(&Client::get("/").last_event_id(id), move |c| {
                c.comment("before")?;
                Ok(c.follow(&channel)?)
            });
        }
    }
}

#[test]
fn followers_from_a_place_of_their_own() {
    let channel = Channel::setup().own_ids().history_events(2).history_bytes(1000).open();
    for id in ["a", "b", "c", "d"] {
        channel.publish(Event::new(id).id(id)).unwrap();
    }
    channel.close();
    for id in [None, Some("a"), Some("b"), Some("d"), Some("e")] {
        let channel = channel.clone();
        check(&Client::get("/"), move |c| {
            c.comment("before")?;
            if !c.follow_after(&channel, id)? {
                c.data("no")?;
            }
            Ok(())
        });
    }
}
