//! The examples as programs: their command lines, prices by `stock`, and the wire format by `encode`.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use brooklet::testing::{Item, Message};

use crate::example::{self, ask, check_refusal};
use crate::patience::in_time;
use crate::wire::show;

/// All of them have the same options, and say the same of what is wrong.
#[test]
fn command_lines() {
    for name in &example::servers() {
        let output = example::run(name, &["--help"]);
        assert!(output.status.success() && output.stderr.is_empty(), "{name}");
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(help.starts_with(&format!("Usage: {name} ")) && help.contains("--port N"), "{help}");
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
    check_refusal("encode", &["events.json"], "it takes no arguments");
    assert!(example::run("encode", &["--help"]).stdout.starts_with(b"Usage: encode\n"));
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
    let back = stock.stream("/stock", &prices[100].last_event_id).next_events(3).unwrap();
    assert_eq!(back, prices[101..104]);
    for foreign in ["x", "99999999999999999999", "18446744073709551615"] {
        stock.stream("/stock", foreign).next_event().unwrap();
    }
    assert!(stock.log().lines().all(|line| !line.contains("panic")), "{}", stock.log());
}

/// Whatever a query asks for, `load` publishes, and an event has at most a MiB.
#[test]
fn loads_without_measure() {
    let load = example::Tool::start("load", &[]);
    for (stream, publish) in
        [("/fan", "/publish"), ("/rooms/1", "/publish-rooms"), ("/topics/1", "/publish-topics")]
    {
        // Load generators wait for a comment, and from then on there is one of that number.
        let first = load.stream(stream, "").next_item().unwrap();
        assert_eq!(first, Some(Item::Comment("joining".into())), "{stream}");
        for (sent, rate) in (1..).zip([1 << 32, u64::MAX]) {
            assert_eq!(load.post(&format!("{publish}?rate={rate}&size=1"), "").status, 202);
            let events = load.stream(stream, "unknown").next_events(1 + sent).unwrap();
            assert_eq!(events[sent].event_type, "tick", "{publish} {rate}"); // behind a `reset`
        }
    }
    let largest = load.stream(&format!("/burst?size={}", u64::MAX), "").next_event().unwrap();
    assert_eq!(largest.data.len(), 1024 * 1024);
    check_refusal("load", &["0", &usize::MAX.to_string()], "STACK is a number of KiB");
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
    check(format!("{{\"data\":{}1}}", "[".repeat(100_000)).as_bytes()); // each could take a part of the stack

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
    assert!(in_time(move || child.wait().unwrap()).success());
}

fn start_encode() -> std::process::Child {
    let mut command = Command::new(example::binary("encode"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn encode(lines: &[u8]) -> Output {
    let (mut child, lines) = (start_encode(), lines.to_owned());
    in_time(move || {
        child.stdin.take().unwrap().write_all(&lines).unwrap();
        child.wait_with_output().unwrap()
    })
}
