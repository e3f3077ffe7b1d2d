//! The `pipe` example as a program: what becomes of lines from standard input, from files and from those who publish.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use brooklet::testing::{Client, EventStream, Message};
use brooklet::to_json;

use crate::example::{self, ask, check_refusal, folder, Tool};
use crate::patience::{eventually, in_time};
use crate::wire::{show, Answer, Wire};

#[test]
fn arguments() {
    let folder = folder("pipe-arguments");
    let long = "n".repeat(41);
    let check = |arguments: &[&str], sentence: &str| check_refusal("pipe", arguments, sentence);
    check(&["--history", "many"], "--history is a number from 0 to 50000");
    check(&["--history", "50001"], "--history is a number from 0 to 50000");
    for name in ["", " a", "a\nb", "a\u{200b}", "\u{202e}a", "\u{2066}a", &long] {
        check(&["--name", name, "-"], "--name: a name is one line of 1 to 40 characters that can be seen");
    }
    check(&["a.log", "--name", "b"], "--name is about the FILE behind it, and there is none");
    check(&["a.log", "b/a.log"], "two inputs are called a.log, or the same; --name tells files apart");
    check(&["-", "--name", "b", "-"], "two inputs are called b, or the same; --name tells files apart");
    check(&["--name", "it", folder.to_str().unwrap()], "it is a folder");
    check(&["--tee", "a.log"], "--tee and --exit are about standard input; `-` adds that to the files");
    check(&["a.log", "--exit"], "--tee and --exit are about standard input; `-` adds that to the files");
    let token = "a token is made of letters, digits and signs of ASCII, without spaces";
    check(&["--token", ""], token);
    check(&["--token", "two words"], token);
    check(&["--token", "\u{e9}"], token);
}

/// A port that is taken is no wrong argument, but has a clear end as well.
#[test]
fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = example::run("pipe", &["--port", &port]);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.starts_with(&format!("pipe: cannot listen on 127.0.0.1:{port}: ")), "{complaint}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn lines() {
    check(b"", "");
    check(b"a\nb\n", "a\nb\n");
    check(b"a\nb", "a\nb\n"); // the end of the input ends a line
    check(b"\n\n", "\n\n");
    check(b"a\r\nb\r\n", "a\nb\n");
    check(b"a\r\r\nb", "a\nb\n");
    check(b"10 %\r50 %\r100 %\ndone\n", "100 %\ndone\n"); // as a terminal leaves it
    check(b"10 %\r100 %\r", "100 %\n");
    check(b"\ra\n\r\n\r", "a\n\n\n");
    check(b"\xff\xc3\x28 caf\xc3\xa9\n", "\u{fffd}\u{fffd}( caf\u{e9}\n");
    check(b"\0 \x1b[31mred\x1b[0m \x07\t\x7f\n", "\0 \x1b[31mred\x1b[0m \x07\t\x7f\n");
    check("\u{2028} \u{85} \u{b} \u{feff}\n".as_bytes(), "\u{2028} \u{85} \u{b} \u{feff}\n");
    check(b"data: x\n\nevent: forged\n", "data: x\n\nevent: forged\n");
    let long = "x".repeat(8192);
    check(format!("{long}\nb\n").as_bytes(), &format!("{long}\nb\n"));
    check(format!("{long}yyy\nb\n").as_bytes(), &format!("{long} … 3 more bytes\nb\n"));
    check(format!("{}\u{e9}\nb", &long[1..]).as_bytes(), &format!("{} … 1 more bytes\nb\n", &long[1..]));
    check(format!("{long}yyy\rb\n").as_bytes(), "b\n");
    check(&[b'x'; 1_000_000], &format!("{long} … 991808 more bytes\n"));

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        let (pipe, mut input) = Tool::start_fed("pipe", &[]);
        input.write_all(bytes).unwrap();
        drop(input);
        let mut stream = pipe.stream("/events", "");
        wait_for(&mut stream, r#""note":true,"lines":["the input has ended"]"#);
        assert_eq!(String::from_utf8(text_of(&pipe, "/history")).unwrap(), expected, "{}", show(bytes));
    }
}

/// What a page gets: at first, later, when it comes back, and when it comes back to another run.
#[test]
fn events() {
    let (pipe, mut input) = Tool::start_fed("pipe", &["--name", "app", "--history", "3"]);
    let log = format!("pipe: app at http://{}/\n", pipe.address);
    eventually("it says where it is", || pipe.log() == log);
    let mut first = pipe.stream("/events", "");
    assert_eq!(parts(&first.next_event().unwrap()), r#"history 0 false ["app"] []"#);
    write!(input, "one\n\"two\"\n").unwrap();
    let lines = first.next_event().unwrap();
    assert_eq!(
        parts(&lines),
        r#"lines 0 false ["app"] [{"name":"app","note":false,"lines":["one","\"two\""]}]"#
    );
    writeln!(input, "three").unwrap();
    assert!(parts(&first.next_event().unwrap()).starts_with("lines 2 "));
    writeln!(input, "four").unwrap();
    assert!(parts(&first.next_event().unwrap()).starts_with("lines 3 "));

    // What was just published is there as soon as the program has noted that.
    let now = || parts(&pipe.stream("/events", "").next_event().unwrap());
    eventually("it is noted", || now().contains("four"));
    let history = now();
    // Parts are as long as the clock stands still.
    let in_one_part = history.replace(r#""]},{"name":"app","note":false,"lines":[""#, r#"",""#);
    let expected =
        r#"history 1 false ["app"] [{"name":"app","note":false,"lines":["\"two\"","three","four"]}]"#;
    assert_eq!(in_one_part, expected);
    let mut back = pipe.stream("/events", &lines.last_event_id);
    assert!(parts(&back.next_event().unwrap()).starts_with("lines 2 "));
    assert!(parts(&back.next_event().unwrap()).starts_with("lines 3 "));
    // Of another run, or made up: it begins anew. What the channel does not have any more is in the log.
    for foreign in ["0123456789ab-1", "-1", "x", "\u{e9}"] {
        assert_eq!(parts(&pipe.stream("/events", foreign).next_event().unwrap()), history, "{foreign}");
    }
    let run = lines.last_event_id.split('-').next().unwrap();
    let since =
        |number: &str| parts(&pipe.stream("/events", &format!("{run}-{number}")).next_event().unwrap());
    assert!(
        since("1").starts_with(r#"history 1 false ["app"] [{"name":"app","note":false,"lines":["\"two\"""#)
    );
    assert_eq!(since("18446744073709551615"), r#"history 4 false ["app"] []"#);

    assert_eq!(show(&text_of(&pipe, "/history?name=app")), show(b"one\n\"two\"\nthree\nfour\n"));
    assert_eq!(text_of(&pipe, "/history?name=other"), b"");
    assert_eq!(pipe.get("/nowhere").status, 404);
    let page = String::from_utf8(pipe.get("/").body).unwrap();
    assert!(page.contains("new SharedEventSource('events')"));
}

/// Of two million lines a page is told of the last ones.
#[test]
fn a_flood() {
    let (pipe, mut input) = Tool::start_fed("pipe", &[]);
    let mut stream = pipe.stream("/events", "");
    stream.next_event().unwrap();
    in_time(move || {
        let flood = "x\n".repeat(500_000);
        for _ in 0..4 {
            input.write_all(flood.as_bytes()).unwrap();
        }
        input.write_all(b"the last one\n").unwrap();
    });
    wait_for(&mut stream, r#""the last one""#);
    let text = String::from_utf8(text_of(&pipe, "/history")).unwrap();
    assert!(text.lines().count() <= 50_000 && text.ends_with("x\nthe last one\n"));
}

#[test]
fn files_are_followed() {
    let folder = folder("pipe-files");
    let (app, db, late) = (folder.join("app.log"), folder.join("db.log"), folder.join("late.log"));
    fs::write(&app, "before\nbeg").unwrap();
    let row = |number| format!("row {number}\n");
    fs::write(&db, (0..200_000).map(row).collect::<String>()).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let pipe = Tool::start("pipe", &[&path(&app), "--name", "base", &path(&db), &path(&late)]);
    let check = |name: &str, expected: &str| {
        eventually(&format!("{name} has {expected:?}"), || {
            let text = text_of(&pipe, &format!("/history?name={name}"));
            String::from_utf8(text).unwrap() == expected
        });
    };

    check("app.log", "before\n");
    // A third of the 5000 that a page begins with, since there are three of them.
    check("base", &(198_334..200_000).map(row).collect::<String>());
    append(&app, "un\nnext\n");
    check("app.log", "before\nbegun\nnext\n");

    // It appears.
    fs::write(&late, "at last\n").unwrap();
    check("late.log", "at last\n");
    append(&late, "more\n");
    check("late.log", "at last\nmore\n");

    // It is emptied, as by `copytruncate`.
    fs::write(&app, "short\n").unwrap();
    check("app.log", "before\nbegun\nnext\nshort\n");

    // It is moved away, and written to even then, before there is another one: stopped, `pipe` cannot miss the file.
    let old = folder.join("app.log.1");
    pipe.process.signal("-STOP");
    fs::rename(&app, &old).unwrap();
    append(&old, "the last of the old\nwithout end");
    fs::write(&app, "new\n").unwrap();
    pipe.process.signal("-CONT");
    check("app.log", "before\nbegun\nnext\nshort\nthe last of the old\nwithout end\nnew\n");
    append(&old, "unread\n");
    append(&app, "newer\n");
    check("app.log", "before\nbegun\nnext\nshort\nthe last of the old\nwithout end\nnew\nnewer\n");

    // It is removed, and comes back.
    fs::remove_file(&app).unwrap();
    let mut stream = pipe.stream("/events", "");
    wait_for(&mut stream, r#"{"name":"app.log","time":null,"note":false,"lines":["before"]}"#);
    wait_for_note(&pipe, "waiting for the file: ", 2); // the other is `late.log`'s
    fs::write(&app, "again\n").unwrap();
    eventually("again", || text_of(&pipe, "/history?name=app.log").ends_with(b"newer\nagain\n"));
    wait_for_note(&pipe, "the file was replaced", 2);
    wait_for_note(&pipe, "the file was truncated", 1);

    fn append(path: &Path, text: &str) {
        OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn wait_for_note(pipe: &Tool, note: &str, times: usize) {
        eventually(note, || {
            let history = pipe.stream("/events", "").next_event().unwrap().data;
            history.matches(&format!(r#""note":true,"lines":["{note}"#)).count() == times
        });
    }
}

/// However long lines are and whatever is in them, no event is longer than 64 KiB: clients that read line by line have
/// room for no more. Nothing is lost on the way, and who has left off in the middle goes on there: as clients do whose
/// stream ends, since they were behind what the channel keeps of the lines that it was given meanwhile.
#[test]
fn pieces() {
    let file = folder("pipe-pieces").join("a.log");
    let line = |number: usize| format!("{number} {}\n", "\x01\u{e9}\"".repeat(number * 37 % 2040));
    fs::write(&file, (0..200).map(line).collect::<String>()).unwrap();
    let name = "\u{1f980}".repeat(40);
    let pipe = Tool::start("pipe", &["--name", &name, file.to_str().unwrap()]);
    eventually("it is read", || text_of(&pipe, "/history").ends_with(line(199).as_bytes()));
    let (mut pieces, mut next, mut id, mut ends) = (0, 0, String::new(), 0);
    while next < 200 {
        let mut stream = pipe.stream("/events", &id);
        for _ in 0..10 {
            let event = match stream.next_event() {
                Ok(event) => event,
                Err(error) if error.kind() == ErrorKind::UnexpectedEof && ends < 200 => {
                    ends += 1;
                    break;
                }
                Err(error) => panic!("{error}"),
            };
            assert!(event.data.len() + "data: ".len() < 64 * 1024, "{} bytes", event.data.len());
            let first: usize = parts(&event).split(' ').nth(1).unwrap().parse().unwrap();
            assert_eq!(first, next, "{}", event.event_type);
            let has = |number: &usize| event.data.contains(&to_json(line(*number).trim_end_matches('\n')));
            next = first + (first..200).take_while(has).count();
            (pieces, id) = (pieces + 1, event.last_event_id);
            if next == 200 {
                break;
            }
        }
    }
    assert!(pieces > 20, "{pieces}");
}

/// Of a file that is too large nobody reads half a line.
#[test]
fn a_large_file() {
    let file = folder("pipe-large").join("large.log");
    let row = |number| format!("{number:05} {}\n", "x".repeat(57));
    fs::write(&file, (0..40_000).map(row).collect::<String>()).unwrap();
    let pipe = Tool::start("pipe", &["--history", "50000", file.to_str().unwrap()]);
    // A MiB holds 16384 rows of 64 bytes, of which the first may be a half.
    let expected: String = (40_000 - 16_383..40_000).map(row).collect();
    eventually("the end of it", || text_of(&pipe, "/history") == expected.as_bytes());
}

#[test]
fn publishing() {
    let pipe = Tool::start("pipe", &["--token", "S3cret/+=", "a.log"]);
    let missing = "401 Unauthorized: Authorization: Bearer and the token are missing\n";
    let name = "400 Bad Request: a name is one line of 1 to 40 characters that can be seen\n";
    let check = |target: &str, authorization: &str, body: &str, status: u16, page: &str| {
        let answer = publish(&pipe, target, authorization, body);
        assert_eq!(
            (answer.status, show(&answer.body)),
            (status, show(page.as_bytes())),
            "{authorization}{target}"
        );
        assert_eq!(answer.field("WWW-Authenticate"), (status == 401).then_some("Bearer"));
    };
    let bearer = "Authorization: Bearer S3cret/+=\r\n";
    check("/publish", "", "x", 401, missing);
    check("/publish", "Authorization: Bearer\r\n", "x", 401, missing);
    check("/publish", "Authorization: Bearer \r\n", "x", 401, missing);
    check("/publish", "Authorization: Bearer S3cret/+\r\n", "x", 401, missing);
    check("/publish", "Authorization: Bearer S3cret/+=x\r\n", "x", 401, missing);
    check("/publish", "Authorization: Bearer s3cret/+=\r\n", "x", 401, missing);
    check("/publish", "Authorization: Basic S3cret/+=\r\n", "x", 401, missing);
    check("/publish", "Authorization: S3cret/+=\r\n", "x", 401, missing);
    check("/publish?token=S3cret/%2B=", "", "x", 401, missing);
    check("/publish?name=", bearer, "x", 400, name);
    check("/publish?name=a%0Ab", bearer, "x", 400, name);
    check("/publish?name=a%E2%80%8B", bearer, "x", 400, name);
    // Nobody speaks for a file.
    check("/publish?name=a.log", bearer, "x", 400, "400 Bad Request: that is the name of an input\n");
    let many = "400 Bad Request: a body has at most 1000 lines\n";
    check("/publish", bearer, &"\n".repeat(1001), 400, many);
    check(&format!("/publish?name={}", "n".repeat(41)), bearer, "x", 400, name);
    check("/publish", bearer, "", 400, "400 Bad Request: there is no line in the body\n");
    check("/publish", bearer, "one", 204, "");
    check("/publish", "Authorization: bearer S3cret/+=\r\n", "two\r\nthree\n", 204, "");
    check("/publish?name=deploy+1", bearer, "out", 204, "");
    assert_eq!(pipe.get("/publish").status, 405);
    assert_eq!(show(&text_of(&pipe, "/history")), show(b"one\ntwo\nthree\nout\n"));
    assert_eq!(show(&text_of(&pipe, "/history?name=published")), show(b"one\ntwo\nthree\n"));

    // Three there are already.
    for number in 3..64 {
        check(&format!("/publish?name={number}"), bearer, "x", 204, "");
    }
    check("/publish?name=64", bearer, "x", 400, "400 Bad Request: there are too many names already\n");
    check("/publish?name=63", bearer, "x", 204, "");

    let closed = Tool::start("pipe", &[]);
    let answer = publish(&closed, "/publish", bearer, "x");
    assert_eq!(answer.status, 403);
    assert_eq!(show(&answer.body), show(b"403 Forbidden: only with --token is there publishing\n"));
}

/// The copy is the input, byte for byte; the end is the end, and pages are told.
#[test]
fn tee_and_exit() {
    let address = example::free_address();
    let mut command = Command::new(example::binary("pipe"));
    command.args(["--tee", "--exit"]).env("PORT", address.port().to_string());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"a\r\n\xff\0\x1b[0m").unwrap();
    eventually("it listens", || std::net::TcpStream::connect(address).is_ok());
    let mut stream = Client::get("/events").connect(address).unwrap();
    assert!(stream.next_event().unwrap().event_type == "history");
    input.write_all(b"\nlast").unwrap();
    drop(input);
    while stream.next_event().unwrap().event_type != "finish" {}
    let output = in_time(move || child.wait_with_output().unwrap());
    assert_eq!(show(&output.stdout), show(b"a\r\n\xff\0\x1b[0m\nlast"));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("pipe: stdin at http://{address}/\n"));
    assert!(output.status.success());
}

/// An event as one line: type, number of the first line, names, and parts without their times.
fn parts(message: &Message) -> String {
    let (_, rest) = message.data.split_once(r#"{"first":"#).expect("all begin like that");
    let (first, rest) = rest.split_once(r#","now":"#).unwrap();
    let (_, rest) = rest.split_once(r#","more":"#).unwrap();
    let (more, rest) = rest.split_once(r#","names":"#).unwrap();
    let (names, parts) = rest.split_once(r#","parts":"#).unwrap();
    let mut pieces = parts.strip_suffix('}').unwrap().split(r#""time":"#);
    let mut text = pieces.next().unwrap().to_owned();
    for piece in pieces {
        text += piece.split_once(',').unwrap().1;
    }
    format!("{} {first} {more} {names} {text}", message.event_type)
}

/// The lines that are remembered, which are sent without a length.
#[track_caller]
fn text_of(pipe: &Tool, target: &str) -> Vec<u8> {
    let mut wire = Wire::connect(pipe.address).unwrap();
    wire.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    let head = wire.head().unwrap();
    assert_eq!((head.status, head.field("Content-Type")), (200, Some("text/plain; charset=utf-8")));
    wire.rest().unwrap()
}

#[track_caller]
fn wait_for(stream: &mut EventStream, text: &str) {
    while !stream.next_event().unwrap().data.contains(text) {}
}

fn publish(pipe: &Tool, target: &str, fields: &str, body: &str) -> Answer {
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n");
    ask(pipe.address, head + body)
}
