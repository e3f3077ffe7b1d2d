//! The examples as programs: the wire format by `encode`, and every route of `tour`.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use brooklet::testing::{Client, Message};

use crate::example::{self, ask, check_help, check_refusal};
use crate::patience::{eventually, in_time, DEADLINE};
use crate::wire::{show, Wire};

/// All of them have the same options, and say the same of what is wrong.
#[test]
fn command_lines() {
    for name in [
        "chat",
        "dashboard",
        "formats",
        "hello",
        "live_reload",
        "load",
        "mcp",
        "pipe",
        "progress",
        "sensors",
        "stock",
        "threads",
        "ticker_redis",
        "tokens",
        "tour",
    ] {
        check_help(name);
        check_refusal(name, &["--prot", "80"], "there is no option --prot");
        check_refusal(name, &["--host"], "--host needs a value");
    }
    let check = |arguments: &[&str], sentence: &str| check_refusal("stock", arguments, sentence);
    check(&["-p"], "there is no option -p");
    check(&["--port"], "--port needs a value");
    for port in ["65536", "-1", "http", "", " 80"] {
        check(&["--port", port], "--port is a number from 0 to 65535");
        check(&[&format!("--port={port}")], "--port is a number from 0 to 65535");
    }
    check(&["http"], "--port is a number from 0 to 65535");
    check(&["8080", "8081"], "there is no place for 8081");
    check(&["--help=me"], "--help has no value");
    for ip in ["localhost", "127.0.0.1:80", ""] {
        check(&["--bind", ip], "--bind takes an IP address: 127.0.0.1, 0.0.0.0, ::1");
    }
    for name in ["", "a b", "http://a", "a@b"] {
        check(&["--host", name], &format!("--host takes a name, such as box.example, and not {name:?}"));
    }
    check_refusal("hello", &["8080"], "there is no place for 8080");
}

/// The names of `--host` are answered, and no others.
#[test]
fn names_and_ports() {
    let address = example::free_address();
    let port = address.port().to_string();
    let mut command = Command::new(example::binary("hello"));
    command.args(["--port", &port, "--host", "a.example", "--host=b.example"]).stderr(Stdio::null());
    let _hello = example::spawn(command.env("PORT", "1"), address);
    let ask = |host: &str| ask(address, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).status;
    assert_eq!(["a.example", "b.example", "localhost", "c.example"].map(ask), [200, 200, 200, 403]);
    // Both loopbacks, where the system has both: `localhost` is either.
    if TcpListener::bind("[::1]:0").is_ok() {
        TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).unwrap();
    }
}

/// The last two minutes at once, then each second, and after a departure where it left off.
#[test]
fn stock_prices() {
    let stock = example::Tool::start("stock", &[]);
    let mut stream = stock.stream("/stock", "");
    let prices = stream.next_events(121).unwrap();
    for (before, after) in prices.iter().zip(&prices[1..]) {
        let id = |event: &Message| event.last_event_id.parse::<u64>().unwrap();
        assert_eq!(id(before) + 1, id(after));
        assert_ne!(before.event_type, after.event_type);
        assert!(after.data.parse::<f64>().unwrap() > 100.0, "{after}");
    }
    let back = stock.stream("/stock", &prices[7].last_event_id).next_events(3).unwrap();
    assert_eq!(back, prices[8..11]);
    for foreign in ["x", "99999999999999999999", "18446744073709551615"] {
        stock.stream("/stock", foreign).next_event().unwrap();
    }
    assert!(stock.log().lines().all(|line| !line.contains("panic")), "{}", stock.log());
}

#[test]
fn encode_writes_blocks() {
    check(r#"{"data":"a"}"#, "data: a\n\n");
    check(r#"{"data":""}"#, "data: \n\n");
    check(r#"{"data":null}"#, "\n");
    check("{}", "\n");
    check(
        r#"{"data":"a\nb","event":"t","id":"7","retry":5000,"comment":"c"}"#,
        ": c\nevent: t\nid: 7\nretry: 5000\ndata: a\ndata: b\n\n",
    );
    check(r#"{"comment":"c"}"#, ": c\n\n");
    check(r#"{"comment":""}"#, ": \n\n");
    check(r#"{"id":""}"#, "id: \n\n");
    check(r#"{"event":"","data":"a"}"#, "event: \ndata: a\n\n");
    check(r#"{"retry":0}"#, "retry: 0\n\n");
    check(" {\t\"data\" : \"a\" , \"more\" : [ ] } \r", "data: a\n\n");
    check(r#"{"data":"a","data":"b"}"#, "data: b\n\n");
    check(r#"{"unknown":{"data":"a"}}"#, "\n");

    // Several lines in, several blocks out; the last line needs no end.
    check("{\"data\":1}\n{\"data\":2}", "data: 1\n\ndata: 2\n\n");
    check("\n  \n{\"data\":1}\r\n\r\n", "data: 1\n\n");
    check("", "");

    // What is no text is its JSON text.
    check(r#"{"data":42.50}"#, "data: 42.50\n\n");
    check(r#"{"data":[1, {"a":"\n"}]}"#, "data: [1, {\"a\":\"\\n\"}]\n\n");
    check(r#"{"data":{"a": true}}"#, "data: {\"a\": true}\n\n");
    check(r#"{"data":false,"id":7}"#, "id: 7\ndata: false\n\n");

    // Escapes; half a pair is no character.
    check(r#"{"data":"\"\\\/\b\f\t\u00fc\ud83e\udd80ü"}"#, "data: \"\\/\x08\x0c\tü🦀ü\n\n");
    check(r#"{"data":"\ud83e"}"#, "data: \u{fffd}\n\n");
    check(r#"{"data":"\udd80\ud83e \ud83e\ud83e\udd80"}"#, "data: \u{fffd}\u{fffd} \u{fffd}🦀\n\n");
    check(r#"{"d\u0061ta":"\u0000"}"#, "data: \0\n\n");

    // Nothing breaks out of its field.
    check(r#"{"data":"a\r\nb\rc\n"}"#, "data: a\ndata: b\ndata: c\ndata: \n\n");
    check(r#"{"data":"a\n\nevent: b"}"#, "data: a\ndata: \ndata: event: b\n\n");
    check(r#"{"comment":"a\ndata: b\r\rc"}"#, ": a\n: data: b\n: \n: c\n\n");
    check("{\"data\":[1,\r2]}", "data: [1,\ndata: 2]\n\n");

    // What a stream cannot carry is left out, and nothing else.
    check(r#"{"id":"1\ndata: b","event":"t","data":"a"}"#, "event: t\ndata: a\n\n");
    check(r#"{"id":"1\u0000","data":"a"}"#, "data: a\n\n");
    check(r#"{"id":"1","event":"t\r","data":"a"}"#, "id: 1\ndata: a\n\n");
    check(r#"{"id":"\r","event":"\n","retry":-1,"comment":"c"}"#, ": c\n\n");
    for retry in ["-1", "1.5", "\"5\"", "true", "[5]", "1e400", "-0.5"] {
        check(&format!("{{\"retry\":{retry},\"data\":1}}"), "data: 1\n\n");
    }
    check(r#"{"retry":5.0e3}"#, "retry: 5000\n\n"); // as whole as 5000

    #[track_caller]
    fn check(lines: &str, expected: &str) {
        let output = encode(lines.as_bytes());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{lines}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{lines}");
        assert!(output.status.success(), "{lines}");
    }
}

#[test]
fn encode_reports_what_is_no_object() {
    for line in [
        "[1]",
        "1",
        "\"a\"",
        "null",
        "nonsense",
        "{",
        "{}}",
        "{} {}",
        "{\"data\":1,}",
        "{data:1}",
        "{'data':1}",
        "{\"data\":01}",
        "{\"data\":1.}",
        "{\"data\":+1}",
        "{\"data\":NaN}",
        "{\"data\":}",
        "{\"data\" 1}",
        "{\"data\":\"a}",
        "{\"data\":\"\t\"}",
        r#"{"data":"\x"}"#,
        r#"{"data":"\u12"}"#,
        r#"{"data":"\ud83e\u"}"#,
        "{\"data\":[1 2]}",
        "{\"data\":[1,]}",
        "{\"data\":tru}",
        "\u{feff}{}",
        "/* */ {}",
        "{\"data\":1}\0",
    ] {
        check(line.as_bytes());
    }
    check(b"{\"data\":\"\xff\"}");
    check(format!("{{\"data\":{}1}}", "[".repeat(100_000)).as_bytes()); // a stack is no place for that

    #[track_caller]
    fn check(line: &[u8]) {
        let output = encode(&[b"{\"data\":1}\n", line, b"\n\n{\"data\":2}\n"].concat());
        let line = show(line);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "data: 1\n\ndata: 2\n\n", "{line}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.starts_with("encode: line 2 is no JSON object: "), "{line}: {complaint}");
        assert_eq!(complaint.matches('\n').count(), 1, "{line}: {complaint}");
        assert_eq!(output.status.code(), Some(1), "{line}");
    }
}

/// A block is out before the next line is in.
#[test]
fn encode_does_not_wait() {
    let mut child = start_encode();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    in_time(move || {
        let mut output = BufReader::new(output).lines();
        for number in 0..3 {
            writeln!(input, "{{\"data\":{number}}}").unwrap();
            assert_eq!(output.next().unwrap().unwrap(), format!("data: {number}"));
            assert_eq!(output.next().unwrap().unwrap(), "");
        }
    });
    assert!(child.wait().unwrap().success());
}

fn start_encode() -> std::process::Child {
    let mut command = Command::new(example::binary("encode"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn encode(lines: &[u8]) -> Output {
    let mut child = start_encode();
    child.stdin.take().unwrap().write_all(lines).unwrap();
    in_time(move || child.wait_with_output().unwrap())
}

#[test]
fn tour_streams() {
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
    assert!(started.elapsed() >= Duration::from_millis(100), "no steady rhythm");

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
fn tour_ends_what_it_holds() {
    let address = example::free_address();
    let _tour = example::serve("tour", address, &[]);
    let end = |name: &str| {
        ask(address, format!("DELETE /held?name={name} HTTP/1.1\r\nHost: localhost\r\n\r\n")).status
    };
    for target in ["/held?name=x", "/held?name=x&follow=1"] {
        assert_eq!(end("x"), 404, "{target}");
        let mut held = Client::get(target).deadline(DEADLINE).connect(address).unwrap();
        eventually("the stream is known", || end("x") == 204);
        assert_eq!(held.events_to_end().unwrap(), [], "{target}");
        assert_eq!(end("x"), 404, "{target}");
    }
}

#[test]
fn tour_quits_if_it_may() {
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
fn a_stopped_process_loses_no_time() {
    let address = example::free_address();
    let tour = example::serve("tour", address, &[]);
    let mut stream = Client::get("/events?n=2&ms=3000").deadline(DEADLINE).connect(address).unwrap();
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
fn tour_answers() {
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
fn tour_settings() {
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
