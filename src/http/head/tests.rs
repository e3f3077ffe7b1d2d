//! Heads by the table, and heads by the thousand: mutated, and cut wherever they can be cut.

use super::*;

/// What a whole head comes to: what it asks for, or why it is refused.
fn judge(bytes: &[u8]) -> Result<String, Refusal> {
    let mut scan = HeadScan::new(MAX_HEAD);
    match scan.advance(bytes)? {
        Some(head) => Head::parse(&bytes[head]).map(|head| describe(&head)),
        None => Ok(String::from("incomplete")),
    }
}

fn describe(head: &Head) -> String {
    let authority = head.authority().unwrap_or("-");
    let persistent = if head.is_persistent() { "stays" } else { "closes" };
    format!("{} {authority} {} {persistent}", head.method(), head.path())
}

#[test]
fn heads() {
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok("GET a / stays"));
    check("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok("GET a / stays")); // a leftover
    check("GET / HTTP/1.0\r\n\r\n", Ok("GET - / closes"));
    check("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n", Ok("GET - / stays"));
    check("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE,close\r\n\r\n", Ok("GET a / closes"));
    check("GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", Ok("GET b /x stays"));
    check("get /%41 HTTP/1.1\r\nHost: a\r\n\r\n", Ok("get a /A stays"));
    check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Ok("OPTIONS a / stays"));
    check("GET / HTTP/1.1\r\nHost: a\r\n", Ok("incomplete"));
    check("", Ok("incomplete"));
    check("\r\n", Ok("incomplete"));
    check("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Err(Refusal::RequestLine));
    check("GET / HTTP/1.1\r\n\r\n", Err(Refusal::Host));
    check("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Err(Refusal::Host));
    check("GET / HTTP/1.1\r\nHost:\r\n\r\n", Err(Refusal::Host));
    check("GET / HTTP/1.1\nHost: a\r\n\r\n", Err(Refusal::LineEnd));
    check("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", Err(Refusal::LineEnd));
    check("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", Err(Refusal::ControlByte));
    check("\x16\x03\x01", Err(Refusal::ControlByte)); // TLS, at its first byte
    check("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", Err(Refusal::FieldLine));
    check("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", Err(Refusal::Expectation));
    check("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nA B: c\r\n\r\n", Err(Refusal::FieldLine)); // syntax first
    check("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", Err(Refusal::TraceBody));
    check("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::Connect));

    #[track_caller]
    fn check(text: &str, expected: Result<&str, Refusal>) {
        assert_eq!(judge(text.as_bytes()).as_deref(), expected.as_ref().map(|text| *text), "{text:?}");
    }
}

#[test]
fn request_lines() {
    check("GET / HTTP/1.1", Ok(1));
    check("GET / HTTP/1.0", Ok(0));
    check("GET  / HTTP/1.1", Err(Refusal::RequestLine)); // two spaces
    check("GET /\tHTTP/1.1", Err(Refusal::RequestLine));
    check("GET / HTTP/1.1 ", Err(Refusal::RequestLine));
    check(" GET / HTTP/1.1", Err(Refusal::RequestLine));
    check("GET /", Err(Refusal::RequestLine)); // HTTP/0.9
    check("G@T / HTTP/1.1", Err(Refusal::RequestLine));
    check("GET / http/1.1", Err(Refusal::RequestLine));
    check("GET / HTTP/1", Err(Refusal::RequestLine));
    check("GET / HTTP/11.1", Err(Refusal::RequestLine));
    check("GET / HTTP/1.2", Err(Refusal::Version));
    check("PRI * HTTP/2.0", Err(Refusal::Version));

    #[track_caller]
    fn check(line: &str, expected: Result<u8, Refusal>) {
        assert_eq!(request_line(line.as_bytes()).map(|(_, _, minor)| minor), expected, "{line:?}");
    }
}

/// Exactly the bound is served, one more is refused, whether the line ends or not.
#[test]
fn bounds() {
    let head = |target: usize, field: usize, fields: usize| {
        let field = format!("A: {}\r\n", "x".repeat(field - 3)).repeat(fields);
        format!("GET /{} HTTP/1.0\r\n{field}\r\n", "x".repeat(target - 1))
    };
    check(&head(MAX_TARGET, 4, 1), None);
    check(&head(MAX_TARGET + 1, 4, 1), Some(Refusal::TargetTooLong));
    let line = MAX_HEAD - head(1, 4, 1).len() + 4; // one field line that fills the head
    check(&head(1, line, 1), None);
    check(&head(1, line + 1, 1), Some(Refusal::HeadTooLarge));
    check(&head(1, 4, MAX_FIELDS), None);
    check(&head(1, 4, MAX_FIELDS + 1), Some(Refusal::TooManyFields));
    let rest = MAX_HEAD - head(1, 8000, 4).len(); // of the target
    check(&head(1 + rest, 8000, 4), None);
    check(&head(2 + rest, 8000, 4), Some(Refusal::HeadTooLarge));
    check(&head(1, 8000, 5), Some(Refusal::HeadTooLarge));
    let begun = head(1, 8000, 4);
    let lines = begun.strip_suffix("\r\n").expect("an empty line");
    let full = format!("{lines}A: {}\r\n", "x".repeat(MAX_HEAD - lines.len() - "A: \r\n".len()));
    check(&format!("{full}A: b\r\n\r\n"), Some(Refusal::HeadTooLarge)); // a line has taken the last byte
    let both = format!("{}A: {}", begun.trim_end_matches("\r\n"), "x".repeat(9000));
    check(&both.replace("xA:", "x\r\nA:"), Some(Refusal::HeadTooLarge)); // met before the line's
    check(&"x".repeat(MAX_HEAD), Some(Refusal::MethodTooLong));
    check(&format!("GET /{}", "x".repeat(MAX_HEAD)), Some(Refusal::TargetTooLong));
    check(&format!("GET / HTTP/1.1\r\n{}", "x".repeat(MAX_HEAD)), Some(Refusal::HeadTooLarge));
    check(&format!("{} / HTTP/1.1\r\n\r\n", "x".repeat(MAX_METHOD + 1)), Some(Refusal::MethodTooLong));

    #[track_caller]
    fn check(text: &str, expected: Option<Refusal>) {
        assert_eq!(judge(text.as_bytes()).err(), expected, "{} bytes", text.len());
        let mut random = Xorshift(text.len() as u64);
        for piece in [1, 1021] {
            let pieces = in_pieces(text.as_bytes(), || 1 + random.below(piece));
            assert_eq!(pieces.err(), expected, "{} bytes in pieces", text.len());
        }
    }
}

/// Whatever arrives, in whatever pieces: a head or a refusal, the same one, and nothing that was promised not to be.
#[test]
fn mutations() {
    const SEEDS: [&str; 5] = [
        "GET /stock/x?a=b+c&d=%C3%A9 HTTP/1.1\r\nHost: localhost:8080\r\nAccept: text/event-stream\r\n\r\n",
        "POST /s%C3%B6me HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        "\r\nPUT http://a.example:80/x HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\nConnection: close, TE\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\nLast-Event-ID: \u{2026}\r\n\r\n",
    ];
    const AWKWARD: &[u8] = b"\0\t\r\n :;,%/\\.#?*[]@\x7f\x80\xff019AZaz";
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    let (mut heads, mut refusals) = (0, 0);
    for round in 0..40_000 {
        let mut bytes = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..random.below(4) {
            let (at, byte) = (random.below(bytes.len()), AWKWARD[random.below(AWKWARD.len())]);
            match random.below(4) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.extend_from_within(at..),
            }
        }
        let whole = judge(&bytes);
        assert_eq!(in_pieces(&bytes, || 1 + random.below(30)), whole, "{}", bytes.escape_ascii());
        match &whole {
            Ok(_) => heads += 1,
            Err(_) => refusals += 1,
        }
        keeps_its_word(&bytes);
    }
    assert!(heads > 1000 && refusals > 1000, "{heads} heads and {refusals} refusals are no test");

    fn keeps_its_word(bytes: &[u8]) {
        let range = match HeadScan::new(MAX_HEAD).advance(bytes) {
            Ok(Some(range)) => range,
            _ => return,
        };
        if let Ok(head) = Head::parse(&bytes[range]) {
            let path = head.path();
            assert!(path.starts_with('/') && !path.contains(['\\', '\0']), "{path:?}");
            assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{path:?}");
            assert!(head.target().bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(head.fields().all(|(name, value)| {
                field::is_token(name.as_bytes()) && value.iter().all(|byte| field::is_value_byte(*byte))
            }));
        }
    }
}

/// The scan sees the bytes grow; what it says at the end must not depend on how they grew.
fn in_pieces(bytes: &[u8], mut piece: impl FnMut() -> usize) -> Result<String, Refusal> {
    let mut scan = HeadScan::new(MAX_HEAD);
    let mut length = 0;
    loop {
        if let Some(head) = scan.advance(&bytes[..length])? {
            return Head::parse(&bytes[head]).map(|head| describe(&head));
        }
        if length == bytes.len() {
            return Ok(String::from("incomplete"));
        }
        length = bytes.len().min(length + piece());
    }
}

struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}
