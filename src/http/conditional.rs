//! `ETag` and `If-None-Match`: an answer that the client has already is not sent again (RFC 9110 §8.8.3, §13.1.2).

use super::field::list_elements;
use super::{Request, Response, Status};

/// Turns `response` into `304 Not Modified` where its `ETag` is one that the client names.
///
/// Only what a GET or HEAD found counts; another method acts, whatever the client has (§13.1.2 is 412 there,
/// which is for handlers to say).
pub(crate) fn apply(request: &Request, response: Response) -> Response {
    // No client has a stream already.
    let is_lookup = matches!(request.method(), "GET" | "HEAD")
        && response.status_code() == Status::OK
        && response.body_length().is_some();
    match response.header_value("ETag") {
        Some(tag) if is_lookup && names(request, tag) => {
            // What would have been said of the page is said again, but not its type (§15.4.5).
            response.status(Status::NOT_MODIFIED).without_content()
        }
        _ => response,
    }
}

/// Adds an `ETag` made of the bytes to a page that has none.
pub(crate) fn tag(request: &Request, response: Response) -> Response {
    let is_page = matches!(request.method(), "GET" | "HEAD")
        && response.status_code() == Status::OK
        && response.header_value("ETag").is_none();
    let tag = match response.body_bytes() {
        Some(bytes) if is_page => entity_tag(bytes),
        _ => return response,
    };
    response.header("ETag", tag)
}

/// A strong entity tag: length and FNV-1a hash, the same in every run of the program.
pub(crate) fn entity_tag(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("\"{:x}-{hash:016x}\"", bytes.len())
}

/// Whether one of the `If-None-Match` lines holds the tag, by weak comparison, or is `*`.
fn names(request: &Request, tag: &str) -> bool {
    let tag = opaque(tag.as_bytes());
    // A list is cut at each comma. So a tag that holds one is never found, and its answer always sent.
    let is_in = |list| list == b"*" || list_elements(list).any(|candidate| opaque(candidate) == tag);
    request.head().values("If-None-Match").any(is_in)
}

/// A tag without what says that it is weak.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}
