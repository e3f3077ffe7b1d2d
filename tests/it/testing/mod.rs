//! `brooklet::testing` from outside: what a simulation shows, when, and how it ends.

mod both_ways;
mod bounds;
mod parsing;
mod over_tcp;
mod virtual_time;

use brooklet::testing::{Client, Simulation, Transcript};
use brooklet::{
    Admission, CloseReason, Content, Event, EventConnection, EventSource, Formatting, Layout, Request,
    Response, Status,
};
use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A row: a generator, how the simulation is set up, what comes of it and how it ends.
#[track_caller]
fn check(
    generate: impl Fn(&mut EventConnection<'_>) -> brooklet::Result + Send + Sync + 'static,
    set_up: impl FnOnce(Simulation<'_>) -> Simulation<'_>,
    timeline: &[&str],
    reason: CloseReason,
) -> Transcript {
    let stream = set_up(Client::get("/").in_memory(&EventSource::new(generate))).run();
    assert_eq!(stream.timeline(), timeline);
    assert_eq!(stream.reason(), Some(reason));
    stream
}

fn as_it_is(simulation: Simulation<'_>) -> Simulation<'_> {
    simulation
}

#[test]
fn endings() {
    check(|c| Ok(c.data(1)?), as_it_is, &["0s message: 1"], CloseReason::Returned);
    check(|c| Ok(c.finish()?), as_it_is, &["0s finish #brooklet-finished: "], CloseReason::Finished);
    check(|c| Ok(c.retry(secs(90))?), as_it_is, &["0s retry 90s"], CloseReason::Retry);
    let failed = check(|_| Err("boom".into()), as_it_is, &["0s retry 10s"], CloseReason::Failed);
    assert_eq!(failed.error().unwrap().to_string(), "boom");
    let panicked = check(|_| panic!("boom"), as_it_is, &["0s retry 10s"], CloseReason::Panicked);
    assert_eq!(panicked.error().unwrap().to_string(), "panicked: boom");

    // A client that has left is told nothing more, and that is no failure.
    let ticking = |c: &mut EventConnection<'_>| loop {
        c.data("tick")?;
        c.wait(secs(1))?;
    };
    let ticks = ["0s message: tick", "1s message: tick", "2s message: tick"];
    let left = check(ticking, |r| r.leave_after(3), &ticks, CloseReason::PeerClosed);
    assert_eq!((left.error().is_none(), left.duration(), left.retry()), (true, secs(2), Some(secs(3))));
    check(ticking, |r| r.leave_after(0), &[], CloseReason::PeerClosed);
    check(|c| Ok(c.wait(secs(60))?), |r| r.leave_after(0), &[], CloseReason::PeerClosed);
    check(ticking, |r| r.leave_at(secs(3)), &ticks, CloseReason::PeerClosed); // before what is sent then
    check(ticking, |r| r.leave_at(secs(0)), &[], CloseReason::PeerClosed);
    check(ticking, |r| r.leave_after(5).leave_at(secs(1)), &ticks[..1], CloseReason::PeerClosed);
}

/// Of many events in one write a client may want the first ones only.
#[test]
fn leaving_in_the_midst_of_a_write() {
    let stream = check(
        |c| Ok(c.send_all((1..=9).map(Event::new))?),
        |r| r.leave_after(2),
        &["0s message: 1", "0s message: 2"],
        CloseReason::Returned, // before it could notice
    );
    assert_eq!(stream.text(), "retry: 3000\ndata: 1\n\ndata: 2\n\n");
}

/// It ends a wait at once, also close to the end of that.
#[test]
fn a_host_that_stops() {
    for (time, signs_of_life) in [(secs(20), 1), (Duration::from_millis(59_995), 3)] {
        let source = EventSource::new(|c| Ok(c.wait(secs(60))?));
        let stream = Client::get("/").in_memory(&source).stop_at(time).run();
        assert_eq!((stream.reason(), stream.duration()), (Some(CloseReason::Stopped), time));
        assert!(stream.retry().is_some(), "it says when to come back");
        assert_eq!(stream.items().len(), signs_of_life + 1, "{:?}", stream.timeline());
    }
}

/// What the request says is what the generator sees.
#[test]
fn requests() {
    let source = EventSource::new(|c| {
        let request = c.request();
        let query: Vec<_> = request.query_pairs().map(|(key, value)| format!("{key}={value}")).collect();
        c.event("line", format_args!("{} {} {query:?}", request.method(), request.target().as_str()))?;
        c.event("field", request.header("X-Token").unwrap_or("none"))?;
        c.event("seen", c.last_event_id().unwrap_or("none"))?;
        Ok(c.event("body", String::from_utf8(request.body().to_vec())?)?)
    });
    let app = Layout::new().add("events", source.methods(["GET", "POST"]));
    check(&app, Client::get("/events/type?user=123"), ["GET /type [\"user=123\"]", "none", "none", ""]);
    check(
        &app,
        Client::get("/events").query("a b", "ü&=").query("c", ""),
        ["GET  [\"a b=ü&=\", \"c=\"]", "none", "none", ""],
    );
    let post = Client::new("POST", "/events").body("why?").header("x-token", "7").header("X-Token", "8");
    check(&app, post.last_event_id("ü 1"), ["POST  []", "8", "ü 1", "why?"]);
    check(&app, Client::get("/events").last_event_id(""), ["GET  []", "none", "none", ""]);

    #[track_caller]
    fn check(app: &Layout, client: Client, expected: [&str; 4]) {
        let stream = client.in_memory(app).run();
        let data: Vec<_> = stream.events().iter().map(|event| event.data.as_str()).collect();
        assert_eq!(data, expected);
    }
}

/// Whatever is no stream is an answer, and has no end to speak of.
#[test]
fn other_answers() {
    let source =
        EventSource::new(|_| panic!("nobody is let in")).inspector(|request, _| match request.query("who") {
            None => Admission::NoContent,
            Some(_) => {
                let page = Response::explain(Status::UNAUTHORIZED, "who?");
                Admission::Reject(page.header("WWW-Authenticate", "Bearer"))
            }
        });
    let app = Layout::new()
        .add("events", source)
        .add("fails", |_: Request| Err::<Response, _>("boom"))
        .add("head", EventSource::new(|_| panic!("nobody runs for HEAD")))
        .index(Content::html("<h1>Hello</h1>"));
    check(&app, Client::get("/events"), 204, "");
    let refused = check(&app, Client::get("/events?who=eve"), 401, "401 Unauthorized: who?\n");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    check(&app, Client::get("/"), 200, "<h1>Hello</h1>");
    check(&app, Client::new("HEAD", "/"), 200, "");
    check(&app, Client::get("/nowhere"), 404, "404 Not Found\n");
    let failed = check(&app, Client::get("/fails"), 500, "500 Internal Server Error\n");
    assert_eq!(failed.error().unwrap().to_string(), "boom");
    let head = check(&app, Client::new("HEAD", "/head"), 200, "");
    assert_eq!(head.header("Content-Type"), Some("text/event-stream; charset=utf-8"));

    #[track_caller]
    fn check(app: &Layout, client: Client, status: u16, body: &str) -> Transcript {
        let answer = client.in_memory(app).run();
        assert_eq!((answer.status().code(), &*answer.text()), (status, body));
        assert_eq!((answer.reason(), answer.timeline().len(), answer.duration()), (None, 0, secs(0)));
        answer
    }
}

/// All that a source is set to holds.
#[test]
fn settings() {
    let source = EventSource::new(|c| {
        c.comment("two\nlines")?;
        c.send(Event::new(129.456).event_type("price").id("7"))?;
        c.send(Event::<&str>::without_data().id("8"))?;
        c.wait(secs(5))?;
        Err("boom".into())
    });
    let source = source
        .formatting(Formatting::new().add(|price: &f64| format!("{price:.2}")))
        .retry(secs(4))
        .error_retry(secs(60))
        .keep_alive(secs(2));
    let stream = Client::get("/").in_memory(&source).run();
    let expected =
        ["0s : two", "0s : lines", "0s price #7: 129.46", "0s id 8", "2s :", "4s :", "5s retry 60s"];
    assert_eq!(stream.timeline(), expected);
    assert_eq!(
        stream.text(),
        "retry: 4000\n: two\n: lines\nevent: price\nid: 7\ndata: 129.46\n\nid: 8\n\n:\n:\nretry: 60000\n"
    );
    assert_eq!((stream.last_event_id(), stream.retry()), ("8", Some(secs(60))));
}
