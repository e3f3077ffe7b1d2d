//! Every route of the example `tour`.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use brooklet::testing::{Client, EventStream, Message};

use crate::example::{self, ask};
use crate::patience::{eventually, DEADLINE};
use crate::wire::{show, Wire};

#[test]
fn streams() {
    let address = example::free_address();
    let _tour = example::serve("tour", address, &[]);
    let stream = |target: &str, fields: &str| {
        let answer = ask(address, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
        assert_eq!(answer.field("Content-Type"), Some("text/event-stream; charset=utf-8"), "{target}");
        String::from_utf8(answer.body).unwrap()
    };

    let mut stock = Wire::connect(address).unwrap();
    stock.send(b"GET /stock/?ms=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(stock.head().unwrap().status, 200);
    stock.exactly(b": Sending stock data\nevent: ").unwrap();
    drop(stock);

    let events = |client: Client| client.connect(address).unwrap().events_to_end().unwrap();
    let data = |events: &[Message]| events.iter().map(|event| event.data.clone()).collect::<Vec<_>>();

    let text = " leading space\nCR LF above\nCR above\n\ndata: no field\n: no comment\n\
        NUL \0, VT \x0b, FF \x0c, NEL \u{85}, LS \u{2028}, BOM \u{feff}\nünï 漢字 🦀\n";
    assert_eq!(data(&events(Client::get("/lines"))), [text]);

    let ids = |client: Client| {
        let events = events(client);
        assert!(events.iter().all(|event| event.data.ends_with(&event.last_event_id)), "{events:?}");
        events.into_iter().map(|event| event.last_event_id).collect::<Vec<_>>().join(" ")
    };
    let resume = Client::get("/resume?n=8");
    assert_eq!(ids(resume.clone()), "1 2 3 4 5");
    assert_eq!(ids(resume.clone().last_event_id("5")), "6 7 8");
    assert_eq!(ids(resume.last_event_id("foreign")), "1 2 3 4 5");

    assert_eq!(stream("/retry", ""), "retry: 300\n");
    assert_eq!(stream("/fail", ""), "retry: 10000\n");
    assert_eq!(stream("/panic", ""), "retry: 10000\n");
    assert_eq!(stream("/lastid?id=x", ""), "id: x\nretry: 100\ndata: nothing seen yet\n\n");
    assert_eq!(stream("/lastid", "Last-Event-ID: é\r\n"), "id: …é漢\nretry: 100\ndata: é\n\n");
    assert_eq!(
        stream("/finish", ""),
        "data: one\n\ndata: two\n\nevent: finish\nid: brooklet-finished\ndata: \n\n"
    );
    let json = r#"{"symbol":"AAPL","unitPrice":129.5,"history":[128,131.25]} ["a\nb","\"quoted\"","漢"] {"none":null,"one":1}"#;
    assert_eq!(data(&events(Client::get("/json"))).join(" "), json);

    let started = Instant::now();
    assert_eq!(stream("/events?n=3&ms=50", ""), "id: 0\ndata: 0\n\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\n");
    assert!(started.elapsed() >= Duration::from_millis(100), "no pauses");

    let mut idle = Wire::connect(address).unwrap();
    idle.send(b"GET /idle?hb=10 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(idle.head().unwrap().status, 200);
    idle.exactly(b":\n:\n:\n").unwrap();

    let mut beats = Client::get("/beat?ms=10").connect(address).unwrap();
    assert_eq!(
        beats.next_events(2).unwrap().iter().map(|event| &*event.event_type).collect::<Vec<_>>(),
        ["beat"; 2]
    );
    assert_eq!(data(&events(Client::get("/chunked"))), ["one", "two"]);
    let mut cut = Client::get("/chunked?fail=1").connect(address).unwrap();
    assert_eq!(cut.next_event().unwrap().data, "one");
    assert_eq!(cut.next_item().unwrap().unwrap().to_string(), "retry 10s");
    assert_eq!(cut.next_item().unwrap_err().kind(), ErrorKind::UnexpectedEof);

    let tokens = data(&events(Client::new("POST", "/tokens").body("{}")));
    assert_eq!(tokens, ["A ", "brook ", "runs ", "through ", "it.", "[DONE]"]);
}

/// Streams that are ended by somebody else: whoever holds one gets its end.
#[test]
fn ends_what_it_holds() {
    let address = example::free_address();
    let _tour = example::serve("tour", address, &[]);
    let end = |name: &str| {
        ask(address, format!("DELETE /held?name={name} HTTP/1.1\r\nHost: localhost\r\n\r\n")).status
    };
    for target in ["/held?name=x", "/held?name=x&follow=1"] {
        assert_eq!(end("x"), 404, "{target}");
        let mut held = Client::get(target).connect(address).unwrap();
        eventually("the stream is known", || end("x") == 204);
        assert_eq!(held.events_to_end().unwrap(), [], "{target}");
        assert_eq!(end("x"), 404, "{target}");
    }
}

/// What is published comes to those who follow its topic; of the newest of each, those who come later have it at once.
#[test]
fn topics() {
    let address = example::free_address();
    let _tour = example::serve("tour", address, &[]);
    let say = |method: &str, target: &str, body: &str| {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = ask(address, head + body);
        (answer.status, String::from_utf8(answer.body).unwrap())
    };
    let open = |target: &str| {
        let mut stream = Client::get(target).connect(address).unwrap();
        while stream.last_event_id().is_empty() {
            stream.next_item().unwrap().expect("it goes on"); // it has joined when it is told where
        }
        stream
    };
    let check = |stream: &mut EventStream, expected: &[&str]| {
        let events = stream.next_events(expected.len()).unwrap();
        assert_eq!(events.iter().map(|event| &*event.data).collect::<Vec<_>>(), expected);
        events[0].last_event_id.clone()
    };
    let (mut some, mut all) = (open("/topics?of=a,b"), open("/topics"));
    let publish = |target: &str, body: &str| {
        let (status, id) = say("POST", target, body);
        assert_eq!(status, 202);
        id
    };
    let targets = [("/topics?topic=a", "1"), ("/topics?topic=c", "2"), ("/topics", "3")];
    let ids = targets.map(|(target, body)| publish(target, body));
    assert_eq!(check(&mut some, &["1", "3"]), ids[0]);
    assert_eq!(check(&mut all, &["1", "2", "3"]), ids[0]);
    assert_eq!(say("DELETE", "/topics?topic=a", "").0, 405);
    // A hundred are remembered.
    (4..=101).for_each(|number: u32| drop(publish("/topics", &number.to_string())));
    let resume =
        |id: &str| Client::get("/topics").last_event_id(id).connect(address).unwrap().next_event().unwrap();
    assert_eq!(resume(&ids[0]).data, "2");
    assert_eq!(resume(&ids[0].replace("-1", "-0")).data, r#"{"reason":"expired","missed":1}"#);

    for (topic, body) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")] {
        publish(&format!("/latest?topic={topic}"), body);
    }
    let latest = |target: &str| Client::get(target).connect(address).unwrap();
    check(&mut latest("/latest"), &["2", "3", "4"]);
    check(&mut latest("/latest?of=a,b&pace=1"), &["2", "3"]);
    assert_eq!(say("DELETE", "/latest?topic=b", "").0, 204);
    check(&mut latest("/latest"), &["3", "4"]);
    assert_eq!(say("DELETE", "/latest", "").0, 405);
}

#[test]
fn quits_if_it_may() {
    let quit =
        |address| ask(address, "POST /quit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").status;
    let address = example::free_address();
    let _tour = example::serve("tour", address, &[]);
    assert_eq!(quit(address), 404);
    let address = example::free_address();
    let mut tour = example::serve("tour", address, &[("QUIT", "1")]);
    let mut stock = Client::get("/stock").connect(address).unwrap();
    assert_eq!(ask(address, "GET /quit HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 404);
    assert_eq!(quit(address), 204);
    stock.read_to_end().unwrap();
    eventually("it has ended", || !tour.is_running());
}

/// A wait goes on where it was when the process is stopped and continued, however often.
#[test]
#[cfg(unix)]
fn a_stopped_process_goes_on_with_its_wait() {
    let address = example::free_address();
    let tour = example::serve("tour", address, &[]);
    let mut stream = Client::get("/events?n=2&ms=3000").connect(address).unwrap();
    assert_eq!(stream.next_event().unwrap().data, "0");
    let (sender, next) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(stream.next_event().unwrap().data));
    let started = Instant::now();
    let next = loop {
        tour.signal("-STOP");
        tour.signal("-CONT");
        match next.recv_timeout(Duration::from_millis(300)) {
            Ok(data) => break data,
            Err(_) => assert!(started.elapsed() < DEADLINE, "each stop begins the wait anew"),
        }
    };
    assert_eq!(next, "1");
}

#[test]
fn answers() {
    let address = example::free_address();
    let _tour = example::serve("tour", address, &[]);
    check(address, "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n", 204, b"");
    check(address, "GET /resume?n=8 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 8\r\n\r\n", 204, b"");
    check(
        address,
        "GET /finish HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: brooklet-finished\r\n\r\n",
        204,
        b"",
    );
    check(address, "GET /tokens HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, b"405 Method Not Allowed\n");
    check(address, "PUT /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na\0b", 200, b"a\0b");
    let too_large = b"413 Content Too Large: the body is larger than Limits::max_body\n";
    let request = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388609\r\n\r\n";
    check(address, request, 413, too_large); // without a byte of it
    let failed = b"500 Internal Server Error: it was asked to fail\n";
    check(address, "GET /error HTTP/1.1\r\nHost: localhost\r\n\r\n", 500, failed);
    let request = b"GET /headers HTTP/1.1\r\nHost: localhost\r\nX-Raw:  caf\xe9 \r\nx-raw: b\r\n\r\n";
    check(address, request, 200, b"Host: localhost\nX-Raw: caf\xe9\nx-raw: b\n");
    let request = "GET /query?a=b+c&d=%C3%A9&e&a=2 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    check(address, request, 200, "a=b c\nd=é\ne=\na=2\n".as_bytes());
    check(address, "GET /stocks HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, b"404 Not Found\n");
    let lines = "GET /ndjson?n=3&ms=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut ndjson = Wire::connect(address).unwrap();
    ndjson.send(lines.as_bytes());
    assert_eq!(ndjson.head().unwrap().field("Content-Type"), Some("application/x-ndjson"));
    ndjson.exactly(b"{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n").unwrap();
    ndjson.end().unwrap();
    let page = ask(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(String::from_utf8(page.body).unwrap().contains("new SharedEventSource('/stock/')"));
    let script = ask(address, "GET /shared.js HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(script.field("Content-Type"), Some("text/javascript; charset=utf-8"));
    assert!(String::from_utf8(script.body).unwrap().contains("class SharedEventSource extends EventTarget"));

    let body = vec![b'x'; 8 * 1024 * 1024];
    let head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388608\r\n\r\n";
    assert!(ask(address, [head.as_bytes(), &body].concat()).body == body, "another body");

    #[track_caller]
    fn check(address: SocketAddr, request: impl AsRef<[u8]>, status: u16, body: &[u8]) {
        let answer = ask(address, request.as_ref());
        assert_eq!(answer.status, status, "{}", show(request.as_ref()));
        assert_eq!(show(&answer.body), show(body), "{}", show(request.as_ref()));
    }
}

/// What the environment says.
#[test]
fn settings() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lines.txt");
    let text = "\u{feff}from a file\r\n\rend";
    fs::write(&file, text).unwrap();
    let variables =
        [("LINES_FILE", file.to_str().unwrap()), ("CORS_ORIGIN", "http://a.example"), ("ANY_HOST", "1")];
    let address = example::free_address();
    let _tour = example::serve("tour", address, &variables);

    let mut lines = Client::get("/lines").header("Host", "any.example").connect(address).unwrap();
    assert_eq!(lines.next_event().unwrap().data, "\u{feff}from a file\n\nend");
    for target in ["/lines", "/none", "/error", "/nowhere", "/fail"] {
        let origin = |origin: &str| {
            let request = format!("GET {target} HTTP/1.1\r\nHost: any.example\r\nOrigin: {origin}\r\n\r\n");
            ask(address, request).field("Access-Control-Allow-Origin").map(str::to_owned)
        };
        assert_eq!(origin("http://a.example").as_deref(), Some("http://a.example"), "{target}");
        assert_eq!(origin("http://b.example"), None, "{target}");
    }
}
