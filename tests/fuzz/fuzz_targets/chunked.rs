//! Any bytes, as the chunked body of a request and what follows it: what is accepted is what a decoder of a few
//! lines makes of it, what follows is answered as if it came alone, and what is plainly a body is accepted.
//!
//! The last byte of the input says where the others are cut in two.

#![no_main]

use std::sync::LazyLock;

use brooklet::{Host, Limits, Request, Response};
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

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const MAX_BODY: usize = 300;

static HOST: LazyLock<Host> = LazyLock::new(|| {
    let echo = |request: Request| {
        Response::bytes("text/plain", request.body().to_vec()).header("X-Method", request.method().to_owned())
    };
    Host::new(echo).limits(Limits::default().max_body(MAX_BODY as u64))
});

fuzz_target!(|input: &[u8]| {
    let (&cut, bytes) = input.split_last().unwrap_or((&0, input));
    let sent = [HEAD, bytes].concat();
    let answers = answers::serve(&HOST, &[&sent]);
    let (start, end) = sent.split_at(HEAD.len() + usize::from(cut) % (bytes.len() + 1));
    assert_eq!(answers, answers::serve(&HOST, &[start, end]), "cut at {}", start.len());

    let ((status, _, body), after) = answers.split_first().expect("a whole head is answered");
    match decode(bytes) {
        Some(decoded) if *status == 200 => {
            assert_eq!(*body, decoded.body);
            assert_eq!(after, answers::serve(&HOST, &[decoded.rest]), "what follows is another request");
        }
        Some(decoded) => assert!(!decoded.is_plain || decoded.body.len() > MAX_BODY, "refused: {status}"),
        None => assert!(*status >= 400, "accepted: {body:?}"),
    }
});

struct Decoded<'b> {
    body: Vec<u8>,
    rest: &'b [u8],
    /// Without extensions and trailer fields, which have rules of their own.
    is_plain: bool,
}

/// `*( size [ ext ] CRLF data CRLF ) 0 [ ext ] CRLF *( field CRLF ) CRLF` (RFC 9112 §7.1)
fn decode(mut rest: &[u8]) -> Option<Decoded<'_>> {
    let mut decoded = Decoded { body: Vec::new(), rest, is_plain: true };
    loop {
        let line = line(&mut rest)?;
        let size = line.split(|byte| b"; \t".contains(byte)).next()?;
        decoded.is_plain &= size == line;
        // `from_str_radix` takes a sign, chunk-size has none; what is longer than 16 digits is refused.
        if size.len() > 16 || !size.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let data = rest.get(..usize::try_from(size).ok()?)?;
        decoded.body.extend(data);
        rest = rest[data.len()..].strip_prefix(b"\r\n")?;
    }
    while !line(&mut rest)?.is_empty() {
        decoded.is_plain = false;
    }
    Some(Decoded { rest, ..decoded })
}

fn line<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = answers::find(rest, b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    Some(line)
}
