//! Any bytes, as a query and as a form in a body: both are the pairs that a decoder of a few lines makes of them.
//! A query is refused for bytes that no target may hold, or for its length, and for nothing else.

#![no_main]

use std::sync::{LazyLock, Mutex};

use brooklet::{Host, Request, Response};
use libfuzzer_sys::fuzz_target;

#[path = "../../it/answers.rs"]
mod answers;
#[allow(dead_code)] // no target needs all of it
#[path = "../../it/memory.rs"]
mod memory;
#[allow(dead_code)]
#[path = "../../it/patience.rs"]
mod patience;
#[allow(dead_code)]
#[path = "../../it/wire.rs"]
mod wire;

type Pairs = Vec<(String, String)>;

/// What the handler has seen: of the query, and of the body.
static SEEN: Mutex<Option<(Pairs, Pairs)>> = Mutex::new(None);

static HOST: LazyLock<Host> = LazyLock::new(|| {
    Host::new(|request: Request| {
        let query = owned(request.query_pairs());
        for (key, _) in &query {
            let all: Vec<_> =
                query.iter().filter(|(other, _)| other == key).map(|(_, value)| value).collect();
            assert_eq!(request.query(key), Some(all[0].as_str()));
            assert!(request.query_all(key).eq(all));
        }
        *SEEN.lock().unwrap() = Some((query, owned(request.form().pairs())));
        Response::text("")
    })
});

fuzz_target!(|input: &[u8]| {
    let length = format!(" HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n", input.len());
    let form =
        [b"POST /", length.as_bytes(), b"Content-Type: application/x-www-form-urlencoded\r\n\r\n", input];
    assert_eq!(serve(&form.concat()), (200, Some((Vec::new(), decode(input)))));

    if input.iter().any(|byte| b" \r\n".contains(byte)) {
        return; // the query ends there, and what it makes of the rest of the head is not our matter
    }
    let request = [b"GET /?", input, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let is_query = input.iter().all(|byte| byte.is_ascii_graphic() && !b"\"#<>".contains(byte));
    match serve(&request) {
        (414, None) => assert!(input.len() + 2 > 8 * 1024),
        (400, None) => assert!(!is_query, "refused: {}", wire::show(input)),
        answer => {
            assert!(is_query, "accepted: {}", wire::show(input));
            assert_eq!(answer, (200, Some((decode(input), Vec::new()))));
        }
    }
});

/// The status, and what the handler saw of the request, if it did.
fn serve(request: &[u8]) -> (u16, Option<(Pairs, Pairs)>) {
    let answers = answers::serve(&HOST, &[request]);
    assert_eq!(answers.len(), 1, "{}", wire::show(request));
    (answers[0].0, SEEN.lock().unwrap().take())
}

/// `application/x-www-form-urlencoded` (URL standard §5.1), step by step.
fn decode(input: &[u8]) -> Pairs {
    let sequences = input.split(|byte| *byte == b'&').filter(|sequence| !sequence.is_empty());
    let halves = sequences.map(|sequence| {
        let mut halves = sequence.splitn(2, |byte| *byte == b'=');
        (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
    });
    halves.map(|(name, value)| (percent_decode(name), percent_decode(value))).collect()
}

fn percent_decode(half: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < half.len() {
        let digits = half.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match (half[at], digits) {
            (b'%', Some(digits)) => {
                let digits = std::str::from_utf8(digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                at += 2;
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn owned<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Pairs {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
