//! Which pages a host answers to, on which interface, and whom it takes for the client.

use super::host;
use crate::memory::Memory;
use brooklet::{Cors, Host, Request, Response};
use std::net::SocketAddr;
use std::sync::mpsc;

const LOOPBACK: &str = "127.0.0.1:8080";
const NETWORK: &str = "192.0.2.1:8080";
const SCRIPT: &str = "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: no-cors";
const LINK: &str = "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: navigate";
const FORM: &str = "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: navigate|Origin: https://evil.example";
const FRIEND: &str = "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: cors|Origin: https://friend.example";

type SetUp = fn(Host) -> Host;

fn page() -> Host {
    host(|request: Request| Response::text(format!("{:?}", request.peer())))
}

/// The head and the body that a host answers with to a connection between these addresses.
fn ask(host: &Host, local: &str, peer: &str, method: &str, fields: &str) -> (String, String) {
    let fields = fields.split('|').filter(|line| !line.is_empty());
    let fields: String = fields.map(|line| format!("{line}\r\n")).collect();
    let memory = Memory::new([format!("{method} / HTTP/1.1\r\n{fields}\r\n")]).ended();
    let memory = memory.at(local.parse().ok()).from(peer.parse().ok()).serve(host);
    let answer = String::from_utf8(memory.written()).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (format!("{head}\r\n"), body.to_owned())
}

/// The rules for names and for reading hold on loopback, that for acting everywhere, unless the host says otherwise.
#[test]
fn rules() {
    let (usual, guarded, open): (SetUp, SetUp, SetUp) = (|host| host, Host::guard, Host::any_host);
    let own = "same-origin";
    for (set_up, local, name, method, fields, status, policy) in [
        (usual, LOOPBACK, "localhost", "GET", "", 200, own),
        (usual, LOOPBACK, "localhost", "GET", LINK, 200, own),
        (usual, LOOPBACK, "localhost", "GET", SCRIPT, 403, own),
        (usual, LOOPBACK, "localhost", "GET", FRIEND, 200, ""),
        (usual, LOOPBACK, "localhost", "POST", FORM, 403, own),
        (usual, LOOPBACK, "evil.example", "GET", "", 403, own),
        (usual, LOOPBACK, "a.tail.example", "GET", "", 200, own),
        (usual, LOOPBACK, "tail.example", "GET", "", 403, own),
        (usual, NETWORK, "evil.example", "GET", SCRIPT, 200, ""),
        (usual, NETWORK, "evil.example", "POST", "", 200, ""),
        (usual, NETWORK, "tool.lan", "POST", FORM, 403, ""),
        (usual, NETWORK, "tool.lan", "POST", "Origin: http://tool.lan", 200, ""),
        (usual, NETWORK, "tool.lan", "POST", FRIEND, 200, ""),
        (guarded, NETWORK, "192.0.2.1:8080", "GET", "", 200, own),
        (guarded, NETWORK, "192.0.2.1:8080", "GET", SCRIPT, 403, own),
        (guarded, NETWORK, "evil.example", "GET", "", 403, own),
        (guarded, NETWORK, "a.tail.example", "GET", LINK, 200, own),
        (open, LOOPBACK, "evil.example", "GET", SCRIPT, 200, ""),
        (open, LOOPBACK, "evil.example", "POST", FORM, 200, ""),
    ] {
        let host =
            set_up(page()).allow_host("*.tail.example").cors(Cors::origins(["https://friend.example"]));
        let fields = format!("Host: {name}|Content-Length: 0|{fields}");
        let (head, body) = ask(&host, local, "", method, &fields);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {fields} at {local}: {head}");
        let found = head.lines().find_map(|line| line.strip_prefix("Cross-Origin-Resource-Policy: "));
        assert_eq!(found.unwrap_or_default(), policy, "{method} {fields} at {local}");
        assert_eq!(body.contains("Host::allow_host"), status == 403, "{body}");
    }
}

/// What a handler says of itself is not changed.
#[test]
fn a_handler_may_say_otherwise() {
    let badge = |_: Request| {
        Response::text("badge")
            .header("Cross-Origin-Resource-Policy", "cross-origin")
            .header("Cross-Origin-Opener-Policy", "unsafe-none")
    };
    let (head, _) = ask(&host(badge).defaults(), LOOPBACK, "", "GET", "Host: localhost");
    assert!(head.contains("Cross-Origin-Resource-Policy: cross-origin\r\n"), "{head}");
    assert!(head.contains("Cross-Origin-Opener-Policy: unsafe-none\r\n"), "{head}");
    assert_eq!(head.matches("Cross-Origin-").count(), 2, "{head}");
}

/// A proxy on this machine says who the client is, nobody else; requests on one connection may be of several.
#[test]
fn behind_a_proxy() {
    let field = "X-Forwarded-For: 6.6.6.6, 203.0.113.9";
    check(Host::behind_proxy, LOOPBACK, field, "203.0.113.9:0");
    check(Host::behind_proxy, "", field, "203.0.113.9:0"); // a Unix socket
    check(Host::behind_proxy, LOOPBACK, "Forwarded: for=\"[2001:db8::7]:4711\"", "[2001:db8::7]:4711");
    check(Host::behind_proxy, LOOPBACK, "X-Forwarded-For: nobody", LOOPBACK);
    check(Host::behind_proxy, LOOPBACK, "", LOOPBACK);
    check(Host::behind_proxy, "198.51.100.1:9", field, "198.51.100.1:9");
    check(|host| host, LOOPBACK, field, LOOPBACK);

    #[track_caller]
    fn check(set_up: SetUp, peer: &str, fields: &str, expected: &str) {
        let (sender, lines) = mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let host = set_up(page()).log(move |notice| sender.lock().unwrap().send(notice.to_string()).unwrap());
        let (_, body) = ask(&host, LOOPBACK, peer, "GET", &format!("Host: localhost|{fields}"));
        let expected: SocketAddr = expected.parse().unwrap();
        assert_eq!(body, format!("{:?}", Some(expected)));
        ask(&host, LOOPBACK, peer, "GET", &format!("Host: evil.example|{fields}"));
        let shown = expected.to_string();
        for (line, what) in lines.try_iter().zip(["GET / 200", "refused 403"]) {
            assert!(line.starts_with(&format!("{} {what}", shown.trim_end_matches(":0"))), "{line}");
        }
    }
}
