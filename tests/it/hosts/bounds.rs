//! What a host takes from its clients, where its bounds were set.

use super::{ask, host};
use crate::patience::unhurried;
use brooklet::{Request, Response};

/// Exactly the bound is served, in one line or in many; one byte more is refused. Cookies know no ports, and
/// single sign-on puts 12 KB there: the default takes them.
#[test]
fn heads() {
    let hello = |_: Request| Response::text("hello");
    let head = |length: usize| {
        let begin = "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: ";
        format!("{begin}{}\r\n\r\n", "c".repeat(length - begin.len() - 4))
    };
    for (max, lengths) in [
        (None, [(12_000, 200), (32 * 1024, 200), (32 * 1024 + 1, 431), (64 * 1024, 431)]),
        (Some(100_000), [(12_000, 200), (64 * 1024, 200), (100_000, 200), (100_001, 431)]),
        (Some(100), [(60, 200), (100, 200), (101, 431), (12_000, 431)]),
    ] {
        let limits = max.map_or_else(unhurried, |max| unhurried().max_head(max));
        let host = host(hello).limits(limits).start().unwrap();
        for (length, status) in lengths {
            assert_eq!(
                ask(&host, &head(length)).answer(false).unwrap().status,
                status,
                "{length} of {max:?}"
            );
        }
    }
}
