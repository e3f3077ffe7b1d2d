//! The `ticker_redis` example without a Redis: what it makes of replies, of ids, and of its command line.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::example;
use crate::patience::{eventually, in_time};
use crate::wire::Wire;
use entries::{Entry, Id, Quote};
use resp::Replies;

#[allow(dead_code)] // the example uses the rest
#[path = "../../examples/ticker_redis/resp.rs"]
pub(crate) mod resp;

#[allow(dead_code)]
#[path = "../../examples/ticker_redis/entries.rs"]
pub(crate) mod entries;

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn commands() {
    check(&["PING"], "*1\r\n$4\r\nPING\r\n");
    check(&["XADD", "k", ""], "*3\r\n$4\r\nXADD\r\n$1\r\nk\r\n$0\r\n\r\n");
    check(&["é\r\nFLUSHALL"], "*1\r\n$12\r\né\r\nFLUSHALL\r\n"); // one word, whatever is in it

    #[track_caller]
    fn check(words: &[&str], expected: &str) {
        assert_eq!(String::from_utf8(resp::command(words)).unwrap(), expected, "{words:?}");
    }
}

#[test]
fn ids() {
    check("0-0", Some(Id::ZERO));
    check("1700000000000-3", Some(Id::ZERO));
    check("18446744073709551615-18446744073709551615", Some(Id::ZERO));
    for text in
        ["", "1", "1-", "-1", "-", "1-1-1", "01-1", "1-01", "+1-1", "1-+1", " 1-1", "1-1 ", "1-1\r\n", "-1-1"]
    {
        check(text, None);
    }
    for text in ["18446744073709551616-0", "0-18446744073709551616", "1.0-0", "0x1-0", "+", "$", "*", "١-١"]
    {
        check(text, None);
    }
    let id = |text| Id::parse(text).unwrap();
    assert_eq!(id("5-6").next(), id("5-7"));
    assert_eq!(id("5-18446744073709551615").next(), id("6-0"));
    assert_eq!(id("5-6").before(), id("5-5"));
    assert_eq!(id("5-0").before(), id("4-18446744073709551615"));
    assert!(id("9-0") < id("10-0") && id("10-0") < id("10-1") && id("10-9") < id("10-10"));

    #[track_caller]
    fn check(text: &str, expected: Option<Id>) {
        let id = Id::parse(text);
        assert_eq!(id.is_some(), expected.is_some(), "{text:?}");
        assert_eq!(id.map_or(text.to_owned(), |id| id.to_string()), text);
    }
}

#[test]
fn quotes() {
    for (symbol, price) in
        [("AAPL", "129.5"), ("A", "-1"), ("BRK.B", "1e3"), ("^GSPC", "0"), ("EURUSD=X", "1.08")]
    {
        assert!(Quote::new(symbol, price).is_some(), "{symbol} {price}");
    }
    let long = "A".repeat(17);
    for (symbol, price) in [
        ("", "1"),
        ("aapl", "1"),
        ("reset", "1"),
        ("A B", "1"),
        ("A\n", "1"),
        ("Ä", "1"),
        (&*long, "1"),
        ("A", ""),
        ("A", "one"),
        ("A", "NaN"),
        ("A", "inf"),
        ("A", "1\n"),
        ("A", " 1"),
        ("A", "1,5"),
        ("A", "0.000000000000000000000000000000001"),
    ] {
        assert!(Quote::new(symbol, price).is_none(), "{symbol:?} {price:?}");
    }
}

/// What XRANGE replies, with `|` for each end of a line.
#[test]
fn entries_of_a_reply() {
    check("*0|", "");
    check("*-1|", ""); // a null
    check("*1|*2|$3|1-2|*4|$6|symbol|$4|AAPL|$5|price|$3|129|", "1-2 AAPL 129");
    check("*1|*2|$3|1-2|*4|$5|price|$3|129|$6|symbol|$4|AAPL|", "1-2 AAPL 129");
    check("*2|*2|$3|1-2|*-1|*2|$3|1-3|*0|", "1-2 ?, 1-3 ?");
    check("*1|*2|$3|1-2|*2|$6|symbol|$4|AAPL|", "1-2 ?"); // no price
    check("*1|*2|$3|1-2|*4|$6|symbol|$4|aapl|$5|price|$3|129|", "1-2 ?"); // it could be `reset`
    check("*1|*2|$3|1-2|*4|$6|symbol|$-1|$5|price|$3|129|", "1-2 ?");
    check("*1|*2|$3|1-2|*6|$6|symbol|$4|AAPL|$1|x|$20|12345678901234567890|$5|price|$1|7|", "1-2 AAPL 7");
    check("*1|*2|$3|1-2|*6|$20|12345678901234567890|$1|x|$6|symbol|$4|AAPL|$5|price|$1|7|", "1-2 AAPL 7");
    check("*1|*2|$3|1-2|*4|$6|symbol|$17|AAAAAAAAAAAAAAAAA|$5|price|$1|7|", "1-2 ?"); // read past
    check("*1|*2|$3|1-2|*4|$6|symbol|$4|A|B|$5|price|$1|7|", "1-2 ?"); // a line end is data here
    check("*1|*2|$3|1-2|*4|$6|symbol|*2|:1|*1|$1|x|$5|price|$1|7|", "malformed: there is no string");
    check("*1|*2|$3|1-2|*2|$1|x|*2|:1|*1|$1|x|", "1-2 ?"); // whatever it is, it is read past

    check("-ERR no|", "refused: ERR no");
    check(
        "-LOADING Redis is loading the dataset in memory|",
        "refused: LOADING Redis is loading the dataset in memory",
    );
    check("*1|-ERR no|", "refused: ERR no");
    check("*4|", "malformed: there are more entries than were asked for");
    check("*99999999999999999999|", "malformed: a length is no number");
    check("*18446744073709551615|", "malformed: there are more entries than were asked for");
    for length in ["", "+1", "-2", " 1", "1 ", "0x1", "1.0", "one"] {
        check(&format!("*{length}|"), "malformed: a length is no number");
        check(&format!("*1|*2|${length}|"), "malformed: a length is no number");
    }
    check("$1|x|", "malformed: there is no array");
    check(":1|", "malformed: there is no array");
    check("HTTP/1.1 400 Bad Request|", "malformed: there is no array");
    check("|", "malformed: a line is empty, or ends without CR");
    check("*0\n", "malformed: a line is empty, or ends without CR");
    check("*1|*3|", "malformed: an entry is an id and its fields");
    check("*1|*2|$1|x|", "malformed: this is no id of an entry");
    check("*1|*2|$-1|", "malformed: this is no id of an entry");
    check(&format!("*1|*2|$50|{}|", "1".repeat(50)), "malformed: this is no id of an entry");
    check("*1|*2|$3|1-2|*3|", "malformed: a name has no value");
    check("*1|*2|$3|1-2xx", "malformed: a string does not end where it should");
    check("*1|*2|$3|1-2|*2|$1|x|$999999999999|", "malformed: a string is longer than Redis allows");
    check("*1|*2|$3|1-2|*2|$1|x|!1|", "malformed: this is no kind of reply");
    check(&"x".repeat(70_000), "malformed: a line does not end");

    // An end anywhere is the end of the connection, never a shorter reply.
    let whole = "*1|*2|$3|1-2|*4|$6|symbol|$4|AAPL|$1|x|$20|12345678901234567890|".replace('|', "\r\n");
    for end in 0..whole.len() {
        check(&whole[..end], "broken");
    }

    #[track_caller]
    fn check(reply: &str, expected: &str) {
        let bytes = reply.replace('|', "\r\n");
        for size in [1, 8192] {
            let mut replies = Replies(BufReader::with_capacity(size, bytes.as_bytes()));
            let found = match entries::entries(&mut replies, 3) {
                Ok(entries) => entries.iter().map(show).collect::<Vec<_>>().join(", "),
                Err(resp::Fault::Refused(text)) => format!("refused: {text}"),
                Err(resp::Fault::Malformed(what)) => format!("malformed: {what}"),
                Err(_) => String::from("broken"),
            };
            assert_eq!(found, expected, "{reply:?}");
        }
    }

    fn show(entry: &Entry) -> String {
        let quote = entry.quote.as_ref().map(|quote| format!("{} {}", quote.symbol, quote.price));
        format!("{} {}", entry.id, quote.as_deref().unwrap_or("?"))
    }
}

#[test]
fn the_highest_id_of_a_reply() {
    check("*4|$6|length|:3|$17|last-generated-id|$3|7-1|", "7-1");
    check("*4|$11|first-entry|*2|$3|1-1|*2|$1|a|$1|b|$17|last-generated-id|$3|7-1|", "7-1");
    check("*2|$6|length|:3|", "a stream has no last id");
    check("*2|$17|last-generated-id|:7|", "there is no string");

    #[track_caller]
    fn check(reply: &str, expected: &str) {
        let bytes = reply.replace('|', "\r\n");
        let found = match entries::highest(&mut Replies(bytes.as_bytes())) {
            Ok(id) => id.to_string(),
            Err(resp::Fault::Malformed(what)) => what.to_owned(),
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{reply:?}");
    }
}

#[test]
fn addresses_of_redis() {
    for redis in ["here", ":6379", "here:", "here:x", "here:70000"] {
        let mut command = Command::new(example::binary("ticker_redis"));
        command.env("REDIS_ADDR", redis).stdin(Stdio::null());
        let output = in_time(move || command.output().unwrap());
        let complaint =
            format!("ticker_redis: REDIS_ADDR is {redis:?}, and not HOST:PORT; see ticker_redis --help\n");
        assert_eq!(String::from_utf8_lossy(&output.stderr), complaint);
        assert_eq!(output.status.code(), Some(2), "{redis}");
    }
}

/// Clients are kept, who publishes is told, and the operator knows why, though each reason only once in a row.
#[test]
fn without_redis() {
    let (address, nobody) = (example::free_address(), example::free_address());
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without_redis.log");
    let mut command = Command::new(example::binary("ticker_redis"));
    command.args(["--port", &address.port().to_string()]).env("REDIS_ADDR", nobody.to_string());
    let _server = example::spawn(command.stderr(File::create(&log).unwrap()), address);
    let ask = |method: &str, target: &str, body: &str| {
        let wire = Wire::connect(address).unwrap();
        let length = body.len();
        let fields = format!("Host: localhost\r\nContent-Type: {FORM}\r\nContent-Length: {length}");
        wire.send(format!("{method} {target} HTTP/1.1\r\n{fields}\r\n\r\n{body}").as_bytes());
        wire
    };

    let mut stream = ask("GET", "/ticker", "");
    assert_eq!(stream.head().unwrap().status, 200);
    stream.exactly(format!("event: instance\ndata: {}\n\n", address.port()).as_bytes()).unwrap();
    let check = |method: &str, body: &str, status: u16, text: &str| {
        let answer = ask(method, "/ticker", body).answer(false).unwrap();
        assert_eq!(answer.status, status, "{body}");
        let page = String::from_utf8(answer.body).unwrap();
        assert!(page.contains(text), "{method} {body}: {page}");
    };
    check("POST", "symbol=AAPL&price=1", 503, "Redis cannot be reached: ");
    check("POST", "symbol=AAPL&price=1", 503, "; it was not published");
    check("POST", "symbol=AAPL", 400, "`price` a number");
    check("POST", "symbol=reset&price=1", 400, "`symbol` is 1 to 16 of A-Z");
    check("PUT", "", 405, "Method Not Allowed");
    let complaints = |fault: &str| {
        fs::read_to_string(&log).unwrap().matches(&format!("Redis at {nobody} {fault}")).count()
    };
    eventually("it says why", || complaints("cannot be reached: ") == 1);
    // Somebody else is there, who listens three times and leaves.
    let other = TcpListener::bind(nobody).unwrap();
    in_time(move || {
        for _ in 0..3 {
            assert_ne!(other.accept().unwrap().0.read(&mut [0; 1024]).unwrap(), 0);
        }
    });
    eventually("it says that it is as before", || complaints("cannot be reached: ") == 2);
    assert_eq!(complaints("has closed the connection"), 1);
}
