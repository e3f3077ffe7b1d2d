//! The numbers of a host: each thing that happens is counted, once, and told in a format that Prometheus reads.

use super::{app, ask, bound, connect, here, open, say, sees, GET, POST, SHORT};
use crate::patience::{eventually, in_time, unhurried, DEADLINE, LONG};
use brooklet::{Channel, CloseReason, Control, Event, EventSource, Layout, Request, Response, RunningHost};
use std::collections::HashMap;
use std::io::Read;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Every sample by its name and labels. Whatever the format does not allow is an error here.
#[track_caller]
fn parse(text: &str) -> HashMap<String, f64> {
    let is_name = |name: &str| {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        name.starts_with("brooklet_") && name.bytes().all(is_fit)
    };
    let (mut samples, mut kinds, mut helped) = (HashMap::new(), HashMap::new(), Vec::new());
    let mut current = String::new();
    assert!(text.ends_with('\n'), "the last line has no end");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect(line);
            assert!(is_name(name) && !words.is_empty() && !words.contains('\\'), "{line}");
            assert!(!helped.contains(&name), "twice: {line}");
            helped.push(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect(line);
            assert_eq!(helped.last(), Some(&name), "{line}");
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            kinds.insert(name, kind);
            current = name.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').expect(line);
            let name = series.split('{').next().unwrap();
            assert!(name == current && kinds.contains_key(name), "not below its TYPE: {line}");
            if let Some(labels) = series[name.len()..].strip_prefix('{') {
                let labels = labels.strip_suffix("\"}").expect(line);
                let (label, value) = labels.split_once("=\"").expect(line);
                let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
                assert!(label.bytes().chain(value.bytes()).all(is_fit), "{line}");
            }
            let value: u64 = value.parse().expect(line);
            assert!(samples.insert(series.to_owned(), value as f64).is_none(), "twice: {line}");
        }
    }
    assert!(helped.iter().all(|name| samples.keys().any(|series| series.starts_with(name))), "{text}");
    samples
}

#[test]
fn the_text_of_prometheus() {
    let control = Control::new();
    let get = GET.replace("/ ", "/metrics ");
    let host = bound(app(&Channel::new()).add("metrics", control.clone())).control(&control).start().unwrap();
    let _stream = open(&host, "/wait");
    let answer = ask(&host, &get).answer(false).unwrap();
    assert_eq!(answer.field("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let samples = parse(std::str::from_utf8(&answer.body).unwrap());
    assert_eq!(samples["brooklet_streams"], 1.0);
    assert_eq!(samples["brooklet_connections"], 2.0);
    assert_eq!(samples["brooklet_events_sent_total"], 1.0);
    let labels = samples.keys().filter(|series| series.starts_with("brooklet_streams_ended_total{"));
    assert_eq!(labels.count(), 13, "one for each reason but the one that is no end");
    let head = ask(&host, &get.replace("GET", "HEAD")).answer(true).unwrap();
    assert_eq!((head.status, head.field("Cache-Control")), (200, Some("no-store")));
    assert_eq!(ask(&host, &get.replace("GET", "DELETE")).answer(false).unwrap().status, 405);
}

/// A row: what a client of this source does ends its stream for that reason, counted once and under its label.
#[track_caller]
fn ends(reason: CloseReason, source: EventSource, act: impl FnOnce(&RunningHost)) {
    let deadline = if reason == CloseReason::WriteDeadline { SHORT } else { LONG };
    let host =
        bound(Layout::new().index(source)).limits(unhurried().write_deadline(deadline)).start().unwrap();
    let client = connect(host.address());
    say(&client, GET);
    sees(&client, "data: here\n\n");
    act(&host);
    match reason {
        CloseReason::PeerClosed => client.shutdown(std::net::Shutdown::Write).unwrap(),
        CloseReason::UnexpectedInput => say(&client, &"x".repeat(65 * 1024)),
        // It reads again when it is too late, since nobody is cut off in the middle of an event.
        CloseReason::Lagged => drop((&client).read_to_end(&mut Vec::new())),
        _ => {}
    }
    let _kept = (reason != CloseReason::Reset).then_some(client);
    eventually(&format!("{reason:?}"), || host.stats().streams == 0);
    let stats = host.stats();
    assert_eq!(stats.ended_by(reason), 1, "{reason:?}: {stats}");
    let samples = parse(&stats.to_string());
    let ended = |series: &&String| series.starts_with("brooklet_streams_ended_total");
    assert_eq!(samples.keys().filter(ended).map(|series| samples[series]).sum::<f64>(), 1.0, "{stats}");
    let label = reason.to_string().replace(' ', "_");
    assert_eq!(samples[&format!("brooklet_streams_ended_total{{reason=\"{label}\"}}")], 1.0);
    assert_eq!(stats.panics, u64::from(reason == CloseReason::Panicked));
    assert_eq!(stats.failures, u64::from(reason == CloseReason::Failed));
}

#[test]
fn streams_by_reason() {
    let wait = || here(|c| c.wait(LONG));
    let nothing = |_: &RunningHost| {};
    ends(CloseReason::PeerClosed, wait(), nothing);
    ends(CloseReason::Reset, wait(), nothing);
    ends(
        CloseReason::WriteDeadline,
        here(|c| loop {
            c.data("x".repeat(9999))?
        }),
        nothing,
    );
    ends(CloseReason::UnexpectedInput, wait(), nothing);
    ends(CloseReason::Stopped, wait(), |host| host.control().request_stop());
    ends(CloseReason::Retry, here(|c| c.retry(Duration::ZERO)), nothing);
    ends(CloseReason::Finished, here(|c| c.finish()), nothing);
    ends(CloseReason::Returned, here(|_| Ok(())), nothing);
    ends(CloseReason::Failed, here(|c| c.event("\n", "no type")), nothing);
    ends(CloseReason::Panicked, here(|_| panic!("on purpose")), nothing);
    ends(CloseReason::MaxAge, wait().max_age(Duration::from_millis(50)), nothing);
    let (sender, handles) = mpsc::sync_channel(1);
    let held = here(move |c| {
        sender.try_send(c.handle()).expect("there is one stream");
        c.wait(LONG)
    });
    ends(CloseReason::Ended, held, move |_| handles.recv_timeout(DEADLINE).unwrap().end());

    let channel =
        Channel::setup().history_events(1).history_bytes(1).snapshot(|| Event::new("x".repeat(1024))).open();
    let news = channel.clone();
    ends(CloseReason::Lagged, here(move |c| c.follow(&channel)), move |_| {
        eventually("it follows", || news.subscribers() == 1);
        let text = "x".repeat(1 << 20);
        (0..40).for_each(|_| drop(news.publish(Event::new(&text)).unwrap())); // more than sockets hold
    });
    let closed = Channel::new();
    let news = closed.clone();
    ends(CloseReason::Finished, here(move |c| c.follow(&closed)), move |_| {
        eventually("it follows", || news.subscribers() == 1);
        news.close();
    });
}

/// What is refused is told apart by its cause, and errors from panics, in handlers as in generators.
#[test]
fn causes() {
    let app = Layout::new()
        .add("fails", |_: Request| -> Result<Response, std::fmt::Error> { Err(std::fmt::Error) })
        .add("panics", |_: Request| -> Response { panic!("on purpose") })
        .add("failing", EventSource::new(|_| Err("on purpose".into())))
        .add("panicking", EventSource::new(|_| panic!("on purpose")));
    let host = bound(app).limits(unhurried().body_deadline(SHORT).max_body(200_000)).start().unwrap();
    let count = |request: &str, expected: [u64; 4]| {
        let _answer = ask(&host, request).answer(false).unwrap();
        eventually(request, || host.stats().connections == 0);
        let stats = host.stats();
        assert_eq!([stats.refused, stats.forbidden, stats.failures, stats.panics], expected, "{request}");
    };
    count("nonsense\r\n\r\n", [1, 0, 0, 0]);
    count(POST, [2, 0, 0, 0]);
    count(&POST.replace("100000", "200001"), [3, 0, 0, 0]);
    count(&GET.replace("localhost", "evil.example"), [3, 1, 0, 0]);
    count(&POST.replace("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n"), [3, 2, 0, 0]);
    count(&GET.replace("/ ", "/fails "), [3, 2, 1, 0]);
    count(&GET.replace("/ ", "/panics "), [3, 2, 1, 1]);
    count(&GET.replace("/ ", "/failing "), [3, 2, 2, 1]);
    count(&GET.replace("/ ", "/panicking "), [3, 2, 2, 2]);
    assert_eq!((host.stats().answered, host.stats().accepted), (9, 9));
}

/// What an open stream has sent is counted while it is open, and once.
#[test]
fn events_of_open_streams() {
    let channel = Channel::new();
    let host = bound(app(&channel)).start().unwrap();
    let mut streams = Vec::new();
    for path in ["/wait", "/follow", "/receive"] {
        streams.push(open(&host, path));
        assert_eq!(host.stats().events, streams.len() as u64, "what has arrived is counted");
    }
    eventually("one follows", || channel.subscribers() == 1);
    let before = host.stats().bytes;
    for number in 0..1000 {
        channel.publish(Event::new(number)).unwrap();
    }
    eventually("all are counted", || host.stats().events == 1003);
    let open = host.stats();
    assert!(open.bytes >= before + 1000 * "data: 1\n\n".len() as u64);
    drop(streams);
    eventually("all have left", || host.stats().connections == 0);
    assert_eq!(host.stats().events, 1003);
    assert!(host.stats().bytes >= open.bytes);
}

/// A counter that falls is a restart to whoever reads it: also while a stream goes from the open ones to the ended.
#[test]
fn counters_never_fall() {
    let (control, seen) = (Control::new(), Arc::new(Mutex::new(Vec::new())));
    let (looks, log) = (control.clone(), Arc::clone(&seen));
    let source = EventSource::new(|c| {
        c.send_all((0..5).map(Event::new))?;
        Err("on purpose".into())
    });
    let host = bound(Layout::new().index(source)).control(&control).log(move |notice| {
        let stats = looks.stats();
        log.lock().unwrap().push((notice.to_string(), stats.events, stats.bytes));
    });
    let host = host.start().unwrap();
    ask(&host, GET).answer(false).unwrap();
    eventually("it has left", || host.stats().connections == 0);
    let seen = seen.lock().unwrap();
    for pair in seen.windows(2) {
        assert!(pair[0].1 <= pair[1].1 && pair[0].2 <= pair[1].2, "{seen:#?}");
    }
}

/// While streams come and go, nobody who looks is held up, and in the end the numbers agree.
#[test]
fn looking_while_it_changes() {
    let control = Control::new();
    let source = EventSource::new(|c| Ok(c.send_all((0..10).map(Event::new))?));
    let host = bound(Layout::new().index(source)).control(&control).start().unwrap();
    let looking = thread::spawn(move || {
        while control.stats().ended_by(CloseReason::Returned) < 200 {
            parse(&control.stats().to_string());
        }
    });
    for _ in 0..200 {
        ask(&host, GET).answer(false).unwrap();
    }
    in_time(move || looking.join().unwrap());
    assert_eq!((host.stats().events, host.stats().answered, host.stats().accepted), (2000, 200, 200));
}
