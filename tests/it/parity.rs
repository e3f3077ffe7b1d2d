//! The tests that GenHTTP has for its server-sent events, as rows in their order and by their names.
//!
//! brooklet took its concept from there. Where it answers otherwise, on purpose, the row says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use brooklet::{
    json_object, Admission, Event, EventConnection, EventSource, Formatting, Handler, Host, Request,
    Response, SendError, Status,
};

use crate::memory::Memory;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
/// A Gregorian day as std has it: there is no type for dates.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Sent = Result<(), SendError>;

struct Record {
    one: String,
    two: i32,
}
json_object!(Record { one, two });

#[test]
fn data() {
    // TestString, TestInt
    check(|c| c.data("my string"), "data: my string\n\n");
    check(|c| c.data(42), "data: 42\n\n");
    // TestDate: `0024-02-15` there. A moment is RFC 3339 here, and says that it is UTC.
    let long_ago = |c: &mut EventConnection<'_>| c.data(UNIX_EPOCH - DAY * (719_162 - 8445));
    check(long_ago, "data: 0024-02-15T00:00:00Z\n\n");
    // TestComplex
    check(|c| c.data(Record { one: "1".to_owned(), two: 2 }), "data: {\"one\":\"1\",\"two\":2}\n\n");
}

#[test]
fn integration() {
    // TestCustomFormatting: `Formatting.Empty()` there, after which all that is no text is JSON: `"9999-12-31"`.
    // Here a formatting has nothing to empty: it overrides types, and the others stay as they are.
    let last_day = UNIX_EPOCH + DAY * 2_932_896;
    let send = move |c: &mut EventConnection<'_>| Ok(c.data(last_day)?);
    let formatted = |formatting| body(EventSource::new(send).formatting(formatting));
    assert_eq!(formatted(Formatting::new()), "data: 9999-12-31T00:00:00Z\n\n");
    let quoted = |_: &SystemTime| "\"9999-12-31\"".to_owned();
    assert_eq!(formatted(Formatting::new().add(quoted)), "data: \"9999-12-31\"\n\n");

    // TestConcernChaining: the source builds what wraps it there. Here a wrapper is a closure around it.
    let source = EventSource::new(|c| Ok(c.data("inside")?));
    let wrapped = move |request: Request| match request.query("token") {
        Some("secret") => source.handle(request),
        _ => Response::error(Status::UNAUTHORIZED),
    };
    let host = Host::new(wrapped);
    assert!(answer(&host, GET).starts_with("HTTP/1.1 401 "));
    assert!(answer(&host, &GET.replace("/ ", "/?token=secret "))
        .ends_with("\r\n\r\nretry: 3000\ndata: inside\n\n"));
}

#[test]
fn protocol() {
    // TestComment
    check(|c| c.comment("invisible"), ": invisible\n");
    // TestRetry, TestRetryTwice: what comes after the first is not sent.
    check(|c| c.retry(Duration::from_secs(10)), "retry: 10000\n");
    let twice = |c: &mut EventConnection<'_>| {
        c.retry(Duration::from_millis(10_000))?;
        c.retry(Duration::from_millis(1))
    };
    check(twice, "retry: 10000\n");
    // TestType: two chunks on the wire there. Here a stream has no chunks, and an event is one write.
    check(|c| c.event("TYPE", "data"), "event: TYPE\ndata: data\n\n");
    // TestId
    check(|c| c.send(Event::new("data").id("4711")), "id: 4711\ndata: data\n\n");
    // TestNull
    check(|c| c.data(None::<i32>), "data: \n\n");
}

#[test]
fn test_resume() {
    let source = EventSource::new(|c| {
        assert_eq!(c.last_event_id(), Some("4711"));
        Ok(c.data("resumed")?)
    })
    .inspector(|_, last_event_id| match last_event_id {
        Some("4711") => Admission::Accept,
        _ => Admission::NoContent,
    });
    let request = GET.replace("\r\n\r\n", "\r\nLast-Event-ID: 4711\r\n\r\n");
    let answer = answer(&Host::new(source), &request);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("data: resumed\n\n"), "{answer}");
}

#[test]
fn test_no_content() {
    let has_run = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&has_run);
    let source = EventSource::new(move |_| {
        noted.store(true, Ordering::Relaxed);
        Ok(())
    })
    .inspector(|_, _| Admission::NoContent); // `false` there
    assert!(answer(&Host::new(source), GET).starts_with("HTTP/1.1 204 "));
    assert!(!has_run.load(Ordering::Relaxed), "the generator has run");
}

/// TestException: 30 seconds there, against its own documentation, which says 10. The client has 10 s here.
#[test]
fn test_exception() {
    assert_eq!(body(EventSource::new(|_| Err("Something went wrong".into()))), "retry: 10000\n");
    let source =
        EventSource::new(|_| Err("Something went wrong".into())).error_retry(Duration::from_secs(30));
    assert_eq!(body(source), "retry: 30000\n");
}

/// TestGetOnly: HEAD is 405 there. Here it is what RFC 9110 §9.3.2 says, a GET without its content; 405 is for
/// the others.
#[test]
fn test_get_only() {
    let host = Host::new(EventSource::new(|c| Ok(c.data("x")?)));
    let head = answer(&host, &GET.replace("GET", "HEAD"));
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    for method in ["PUT", "POST", "DELETE", "PATCH"] {
        let answer = answer(&host, &GET.replace("GET", method));
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"), "{answer}");
    }
}

/// TestRequestAccess
#[test]
fn test_request_access() {
    check(|c| c.data(c.request().path()), "data: /\n\n");
}

#[track_caller]
fn check(call: fn(&mut EventConnection<'_>) -> Sent, expected: &str) {
    assert_eq!(body(EventSource::new(move |connection| Ok(call(connection)?))), expected);
}

/// What follows the head and the line that each stream begins with here.
#[track_caller]
fn body(source: EventSource) -> String {
    let answer = answer(&Host::new(source), GET);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer.split_once("\r\n\r\nretry: 3000\n").unwrap().1.to_owned()
}

/// All that is answered to a client that asks once.
fn answer(host: &Host, request: &str) -> String {
    String::from_utf8(Memory::new([request]).ended().serve(host).written()).unwrap()
}
