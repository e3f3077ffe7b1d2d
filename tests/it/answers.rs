//! What a host has written, taken apart: a sequence of well-formed answers, and nothing after the last one.

use brooklet::Host;

use crate::memory::Memory;
use crate::wire::{parse_head, show, Answer};

/// Status, fields without `Date`, and body.
pub(crate) type Answered = (u16, Vec<(String, String)>, Vec<u8>);

/// Serves a client that sends these pieces and no more.
pub(crate) fn serve(host: &Host, pieces: &[&[u8]]) -> Vec<Answered> {
    let written = Memory::new(pieces).ended().serve(host).written();
    let asks_for_heads = find(&pieces.concat(), b"HEAD ").is_some();
    read(&written, asks_for_heads)
        .unwrap_or_else(|error| panic!("{error}\nin  {}\nout {}", show(&pieces.concat()), show(&written)))
}

/// Leaves out the interim answers: whether they are sent depends on when the body comes.
fn read(mut written: &[u8], asks_for_heads: bool) -> Result<Vec<Answered>, String> {
    let mut answers = Vec::new();
    let mut is_over = false;
    while !written.is_empty() {
        if is_over {
            return Err(format!("something follows the last answer: {}", show(written)));
        }
        let end = find(written, b"\r\n\r\n").ok_or("a head without an end")?;
        let head = std::str::from_utf8(&written[..end]).map_err(|error| error.to_string())?;
        let answer = parse_head(head)?;
        written = &written[end + 4..];
        if answer.status == 100 {
            continue;
        }
        let length = body_length(&answer, written, asks_for_heads)?;
        let (body, rest) = written.split_at(length);
        written = rest;
        is_over = answer.closes();
        answers.push((answer.status, answer.lasting_fields().into_iter().cloned().collect(), body.to_vec()));
    }
    Ok(answers)
}

/// RFC 9112 §6.3. A handler says by `X-Method` whether it was asked for a head alone; refusals cannot.
fn body_length(answer: &Answer, written: &[u8], asks_for_heads: bool) -> Result<usize, String> {
    let length = match answer.field("Content-Length") {
        _ if answer.field("X-Method") == Some("HEAD") => 0,
        _ if written.is_empty() && asks_for_heads => 0,
        Some(length) => length.parse().map_err(|_| format!("Content-Length: {length}"))?,
        None if answer.closes() => written.len(), // a stream
        None => 0,
    };
    match length <= written.len() {
        true => Ok(length),
        false => Err(format!("a body is shorter than its Content-Length: {}", show(written))),
    }
}

pub(crate) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
