//! The `chat` example as a program: every route, every refusal, and what a stream of a room says.

use std::net::SocketAddr;

use brooklet::testing::{Client, EventStream};

use crate::example::{self, ask};
use crate::wire::{show, Answer};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const BAD_NAME: &str =
    "your name, the member or field `name`, is one line of 1 to 40 characters that can be seen";
const BAD_TEXT: &str = "a text, the member or field `text`, has 1 to 2000 characters";
const BAD_JSON: &str = "this is no JSON object of strings";

#[test]
fn what_is_said() {
    let address = example::free_address();
    let _chat = example::serve("chat", address, &[]);
    let longest = format!("name={}&text={}", "%C3%BC".repeat(40), "%F0%9F%A6%80".repeat(2000));

    // The sentence of the refusal, if it is one.
    let check = |media_type: &str, body: &str, refusal: Option<&str>| {
        let answer = say(address, "tea", media_type, body);
        let status = if refusal.is_some() { 400 } else { 204 };
        let page = refusal.map(|sentence| format!("400 Bad Request: {sentence}\n")).unwrap_or_default();
        assert_eq!((answer.status, show(&answer.body)), (status, show(page.as_bytes())), "{body}");
    };

    check(FORM, "name=Bob&text=hello+there", None);
    check("Application/X-WWW-Form-Urlencoded; charset=utf-8", "text=a%26b&name=+Bob+&more=1", None);
    check(FORM, &longest, None);
    check(FORM, "text=hello", Some(BAD_NAME));
    check(FORM, "name=&text=hello", Some(BAD_NAME));
    check(FORM, "name=a%0Ab&text=hello", Some(BAD_NAME));
    check(FORM, &format!("name={}&text=hello", "a".repeat(41)), Some(BAD_NAME));
    // Names that look like others, or turn round what stands beside them.
    for char in [
        "%E2%80%8B",
        "%E2%80%8F",
        "%E2%80%AE",
        "%E2%81%A6",
        "%EF%BB%BF",
        "%C2%AD",
        "%E3%85%A4",
        "%F3%A0%81%81",
    ] {
        check(FORM, &format!("name=A{char}da&text=hello"), Some(BAD_NAME));
    }
    check(FORM, "name=Bob", Some(BAD_TEXT));
    check(FORM, "name=Bob&text=+%0A", Some(BAD_TEXT));
    check(FORM, &format!("name=Bob&text={}", "a".repeat(2001)), Some(BAD_TEXT));
    check("text/plain", "name=Bob&text=hello", Some(BAD_NAME)); // which is no form

    check(JSON, r#"{"name":"Bob","text":"hello"}"#, None);
    check(
        "Application/JSON ; charset=utf-8",
        " {\t\"text\" :\r\n\"x\" , \"name\":\"Bob\",\"more\":\"\"} ",
        None,
    );
    check(JSON, r#"{"n\u0061me":"Bob","text":"\"\\\/\b\f\n\r\t\u00fc\ud83e\udd80"}"#, None);
    check(JSON, r#"{"text":"hello"}"#, Some(BAD_NAME));
    check(JSON, r#"{"name":"Bob","text":""}"#, Some(BAD_TEXT));
    check(JSON, "{}", Some(BAD_NAME));
    check(JSON, r#"{"name":"Bob","text":null}"#, Some(BAD_TEXT)); // as if it were not there
    check(JSON, r#"{"name":"Bob","more":[{}],"text":"half: \ud83e"}"#, None);
    check(JSON, r#"{"name":5,"name":"Bob","text":"","text":"the last one counts"}"#, None);
    for json in [
        "",
        "[]",
        "null",
        r#"{"name":"Bob","text":5}"#,
        r#"{"name":"Bob","text":["hello"]}"#,
        r#"{"name":"Bob","text":"hello",}"#,
        r#"{"name":"Bob" "text":"hello"}"#,
        r#"{"name":"Bob","text":"hello"}{"#,
        r#"{"name":"Bob","text":"hello""#,
        r#"{"name":"Bob","text":"hello}"#,
        r#"{"name":"Bob","text":"hello\"#,
        r#"{"name":"Bob","text":"\x"}"#,
        r#"{"name":"Bob","text":"\u+123"}"#,
        r#"{"name":"Bob","text":"\u12"}"#,
        r#"{"name":"Bob","text":"\u12é"}"#,
        "{\"name\":\"Bob\",\"text\":\"a\nb\"}",
        "\u{feff}{\"name\":\"Bob\",\"text\":\"hello\"}",
        r#"{'name':'Bob','text':'hello'}"#,
    ] {
        check(JSON, json, Some(BAD_JSON));
    }

    // A new client is sent what was said there before.
    let mut stream = open(address, "/rooms/tea", "");
    assert_eq!(next_of(&mut stream, "who"), r#"{"room":"tea","who":[]}"#);
    let crabs = "🦀".repeat(2000);
    let all = [
        "hello there",
        "a&b",
        &crabs,
        "hello",
        "x",
        r#"\"\\/\b\f\n\r\tü🦀"#,
        "half: \u{fffd}",
        "the last one counts",
    ];
    for text in all {
        assert_eq!(text_of(&next_of(&mut stream, "message")), text);
    }
}

#[test]
fn routes() {
    let address = example::free_address();
    let _chat = example::serve("chat", address, &[]);
    assert_eq!(say(address, "tea", FORM, "name=Bob&text=hello").status, 204);
    let bad_room = "400 Bad Request: a room's name is 1 to 40 letters, digits, - and _\n";
    let bad_name = format!("400 Bad Request: {BAD_NAME}\n");
    let longest = "aZ0-_".repeat(8);

    let check = |method: &str, target: &str, status: u16, body: &str| {
        let answer = ask(address, format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!((answer.status, show(&answer.body)), (status, show(body.as_bytes())), "{method} {target}");
    };

    check("GET", "/rooms", 200, "tea 0\n");
    check("GET", "/rooms/", 200, "tea 0\n");
    check("POST", "/rooms", 405, "405 Method Not Allowed\n");
    check("PUT", "/rooms/tea", 405, "405 Method Not Allowed\n");
    check("GET", "/rooms/tea/cups", 404, "404 Not Found\n");
    check("GET", "/tea", 404, "404 Not Found\n");
    check("GET", "/rooms/te%20a", 400, bad_room);
    check("GET", "/rooms/tea,", 400, bad_room);
    check(
        "GET",
        &format!("/rooms/tea{}", ",a".repeat(50)),
        400,
        "400 Bad Request: a stream follows 50 rooms at most\n",
    );
    check("POST", "/rooms/tea,den", 400, "400 Bad Request: to write is to write in one room\n");
    check("GET", "/rooms/t%C3%AB", 400, bad_room);
    check("POST", "/rooms/te.a", 400, bad_room);
    check("GET", &format!("/rooms/{longest}a"), 400, bad_room);
    check("GET", "/rooms/tea?name=", 400, &bad_name);
    check("GET", "/rooms/tea?name=+Ada", 400, &bad_name);
    check("GET", "/rooms/tea?name=A%0Aa", 400, &bad_name);
    check("GET", &format!("/rooms/tea?name={}", "a".repeat(41)), 400, &bad_name);
    assert_eq!(say(address, &longest, FORM, "name=Bob&text=hello").status, 204);

    let body = "x".repeat(32 * 1024 + 1);
    assert_eq!(say(address, "tea", FORM, &body).status, 413);
    let page = ask(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(String::from_utf8(page.body).unwrap().contains("new SharedEventSource(`rooms/"));

    // A page from elsewhere may not speak in somebody's name.
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 15\r\n\r\nname=Eve&text=x";
    let request =
        format!("POST /rooms/tea HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n{form}");
    assert_eq!(ask(address, &request).status, 403);
    let mut stream = open(address, "/rooms/tea", "");
    next_of(&mut stream, "who");
    assert_eq!(text_of(&next_of(&mut stream, "message")), "hello");
    assert_eq!(say(address, "tea", FORM, "name=Bob&text=behind").status, 204);
    assert_eq!(text_of(&next_of(&mut stream, "message")), "behind");
}

#[test]
fn a_room() {
    let address = example::free_address();
    let _chat = example::serve("chat", address, &[]);
    let who = |names: &str| format!(r#"{{"room":"tea","who":[{names}]}}"#);
    let mut ada = open(address, "/rooms/tea?name=Ada", "");
    assert_eq!(next_of(&mut ada, "who"), who(""));
    assert_eq!(next_of(&mut ada, "who"), who(r#""Ada""#));

    say(address, "tea", FORM, "name=Bob&text=one");
    say(address, "cellar", FORM, "name=Bob&text=elsewhere");
    say(address, "tea", JSON, r#"{"name":"Bob","text":"t\"wo"}"#);
    let one = ada.next_event().unwrap();
    assert!(one.data.starts_with(r#"{"room":"tea","name":"Bob","text":"one","time":"20"#), "{one}");
    assert_eq!(text_of(&next_of(&mut ada, "message")), r#"t\"wo"#);

    // A newcomer gets what was said, and is made known to all; twice there is still once.
    let mut eve = open(address, "/rooms/tea?name=Eve+%3C3", "");
    assert_eq!(next_of(&mut eve, "who"), who(r#""Ada""#));
    assert_eq!(next_of(&mut eve, "who"), who(r#""Ada""#)); // what was told when she came
    assert_eq!(next_of(&mut eve, "message"), one.data);
    assert_eq!(text_of(&next_of(&mut eve, "message")), r#"t\"wo"#);
    assert_eq!(next_of(&mut eve, "who"), who(r#""Ada","Eve <3""#));
    assert_eq!(next_of(&mut ada, "who"), who(r#""Ada","Eve <3""#));
    let mut again = open(address, "/rooms/tea?name=Ada", "");
    next_of(&mut again, "who");
    let mut listener = open(address, "/rooms/tea", "");
    next_of(&mut listener, "who");
    assert_eq!(rooms(address), "cellar 0\ntea 2\n");
    drop((again, listener));
    drop(eve);
    assert_eq!(next_of(&mut ada, "who"), who(r#""Ada""#));

    // Who comes back gets what it has missed, and beside that only who is there.
    let mut back = open(address, "/rooms/tea", &one.last_event_id);
    assert_eq!(next_of(&mut back, "who"), who(r#""Ada""#));
    assert_eq!(text_of(&next_of(&mut back, "message")), r#"t\"wo"#);
    assert_eq!(next_of(&mut back, "who"), who(r#""Ada","Eve <3""#));
    assert_eq!(next_of(&mut back, "who"), who(r#""Ada""#));

    // With an id of another run, it hears that something is missing, and what there is.
    let mut lost = open(address, "/rooms/tea?lastEventId=0123456789ab-7", "");
    assert_eq!(next_of(&mut lost, "who"), who(r#""Ada""#));
    assert_eq!(next_of(&mut lost, "reset"), r#"{"reason":"unknown","missed":null}"#);
    assert_eq!(next_of(&mut lost, "who"), who(r#""Ada""#));
    assert_eq!(next_of(&mut lost, "message"), one.data);
}

/// A person is in all rooms of one stream, hears of those alone, and goes on in all of them by one id.
#[test]
fn many_rooms_in_one_stream() {
    let address = example::free_address();
    let _chat = example::serve("chat", address, &[]);
    let mut ada = open(address, "/rooms/tea,den?name=Ada", "");
    for names in ["", r#""Ada""#] {
        // A room's list is told when it changes; those of one person in the order of the names.
        let (one, other) = if names.is_empty() { ("tea", "den") } else { ("den", "tea") };
        for room in [one, other] {
            assert_eq!(next_of(&mut ada, "who"), format!(r#"{{"room":"{room}","who":[{names}]}}"#));
        }
    }
    for (room, text) in [("tea", "1"), ("cellar", "2"), ("den", "3"), ("tea", "4")] {
        assert_eq!(say(address, room, FORM, &format!("name=Bob&text={text}")).status, 204);
    }
    let first = ada.next_event().unwrap();
    for (data, start) in [
        (first.data, r#"{"room":"tea","name":"Bob","text":"1""#),
        (next_of(&mut ada, "message"), r#"{"room":"den","name":"Bob","text":"3""#),
        (next_of(&mut ada, "message"), r#"{"room":"tea","name":"Bob","text":"4""#),
    ] {
        assert!(data.starts_with(start), "{data}");
    }
    let mut back = open(address, "/rooms/den,tea", &first.last_event_id);
    next_of(&mut back, "who");
    next_of(&mut back, "who");
    assert_eq!(text_of(&next_of(&mut back, "message")), "3");
    assert_eq!(text_of(&next_of(&mut back, "message")), "4");
}

/// There is a list of those that were written in last. What was said in others is remembered as long as anything.
#[test]
fn rooms_are_bounded() {
    let address = example::free_address();
    let _chat = example::serve("chat", address, &[]);
    for number in 0..101 {
        assert_eq!(say(address, &number.to_string(), FORM, "name=Bob&text=hello").status, 204, "{number}");
    }
    assert_eq!(say(address, "1", FORM, "name=Bob&text=again").status, 204);
    assert_eq!(say(address, "another", FORM, "name=Bob&text=hello").status, 204);
    let rooms = rooms(address);
    assert_eq!(rooms.lines().count(), 100);
    assert!(rooms.starts_with("1 0\n10 0\n100 0\n11 0\n") && rooms.ends_with("\nanother 0\n"), "{rooms}");
    assert!(!rooms.contains("\n2 0\n"), "{rooms}");
    let mut stream = open(address, "/rooms/2", "");
    next_of(&mut stream, "who");
    assert_eq!(text_of(&next_of(&mut stream, "message")), "hello");
}

/// What is said in one room pushes out what was said before in any: the memory has a limit, whatever the rooms.
#[test]
fn what_is_remembered_is_bounded() {
    let address = example::free_address();
    let _chat = example::serve("chat", address, &[]);
    let text = "%F0%9F%A6%80".repeat(2000); // 8 KiB: some five hundred of them are 4 MiB
    for number in 0..600 {
        let room = if number == 0 { "old".to_owned() } else { format!("{}", number % 7) };
        assert_eq!(say(address, &room, FORM, &format!("name={number}&text={text}")).status, 204, "{number}");
    }
    assert_eq!(say(address, "old", FORM, "name=Bob&text=new").status, 204);
    let mut stream = open(address, "/rooms/old", "");
    next_of(&mut stream, "who");
    assert_eq!(text_of(&next_of(&mut stream, "message")), "new");
}

/// Who listens makes no room: nobody sees it, and however many have come, there is place for those who write.
#[test]
fn listening_makes_no_room() {
    let address = example::free_address();
    let _chat = example::serve("chat", address, &[]);
    let mut streams = Vec::new();
    for number in 0..110 {
        let mut stream = open(address, &format!("/rooms/{number}?name=Eve"), "");
        assert_eq!(next_of(&mut stream, "who"), format!(r#"{{"room":"{number}","who":[]}}"#));
        streams.push(stream);
    }
    // Once it is told that the last one has joined, all are known.
    assert_eq!(next_of(&mut streams[109], "who"), r#"{"room":"109","who":["Eve"]}"#);
    assert_eq!(rooms(address), "");
    for number in 100..200 {
        assert_eq!(say(address, &number.to_string(), FORM, "name=Bob&text=hello").status, 204, "{number}");
    }
    // Who was there before hears it, and so does who comes now.
    assert_eq!(text_of(&next_of(&mut streams[109], "message")), "hello");
    let mut late = open(address, "/rooms/199", "");
    next_of(&mut late, "who");
    assert_eq!(text_of(&next_of(&mut late, "message")), "hello");
    assert_eq!(rooms(address).lines().count(), 100);
    assert!(rooms(address).starts_with("100 1\n101 1\n"));
}

/// The rooms, and how many are there.
fn rooms(address: SocketAddr) -> String {
    let answer = ask(address, "GET /rooms HTTP/1.1\r\nHost: localhost\r\n\r\n");
    String::from_utf8(answer.body).unwrap()
}

/// What a message says, as JSON writes it.
fn text_of(data: &str) -> &str {
    data.split_once(r#""text":""#).and_then(|(_, rest)| rest.split_once(r#"","time"#)).expect(data).0
}

#[track_caller]
fn say(address: SocketAddr, room: &str, media_type: &str, body: &str) -> Answer {
    let length = body.len();
    let fields = format!("Host: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {length}");
    ask(address, format!("POST /rooms/{room} HTTP/1.1\r\n{fields}\r\n\r\n{body}"))
}

/// Opens a stream of a room, after what was seen last.
#[track_caller]
fn open(address: SocketAddr, target: &str, last_event_id: &str) -> EventStream {
    Client::get(target).last_event_id(last_event_id).connect(address).unwrap()
}

/// The data of the next event, which is of this type.
#[track_caller]
fn next_of(stream: &mut EventStream, event_type: &str) -> String {
    let message = stream.next_event().unwrap();
    assert_eq!(message.event_type, event_type, "{message}");
    message.data
}
