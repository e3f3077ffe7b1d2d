//! Any bytes, as a message to the example `mcp`: nobody panics, and each message is answered by one of JSON-RPC, with
//! the id that was sent, or by none where none is due.
//!
//! The first byte of the input says which fields come with it.

#![no_main]

use std::str::from_utf8;
use std::sync::{Arc, LazyLock};

use brooklet::{Host, Notice, Request};
use libfuzzer_sys::fuzz_target;

#[path = "../../it/answers.rs"]
mod answers;
#[allow(dead_code)] // no target needs all of it
#[path = "../../../examples/json/mod.rs"]
mod json;
#[allow(dead_code)]
#[path = "../../it/memory.rs"]
mod memory;
#[allow(dead_code)]
#[path = "../../it/patience.rs"]
mod patience;
#[allow(dead_code, unused_imports)]
#[path = "../../../examples/mcp/protocol/mod.rs"]
mod protocol;
#[allow(dead_code)]
#[path = "../../../examples/say/mod.rs"]
mod say;
#[allow(dead_code)]
#[path = "../../../examples/sha256/mod.rs"]
mod sha256;
#[allow(dead_code)]
#[path = "../../it/wire.rs"]
mod wire;

use json::Json;
use protocol::{from_user, text, Resources, Server};

const FIELDS: [&str; 8] = [
    "",
    "MCP-Protocol-Version: 2025-03-26\r\n",
    "MCP-Protocol-Version: 2025-11-25\r\n",
    "MCP-Protocol-Version: 1999-01-01\r\n",
    "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n",
    "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: add\r\n",
    "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: =?base64?YWRk?=\r\nMcp-Param-N: 7\r\n",
    "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: prompts/get\r\nMcp-Name: say\r\n",
];

static HOST: LazyLock<Host> = LazyLock::new(|| {
    let mut server = Server::new(
        "fuzz",
        Resources {
            list: Box::new(|| vec![String::from(r#"{"uri":"a:b","name":"b"}"#)]),
            templates: "[]",
            read: Box::new(|uri| (uri == "a:b").then(|| String::from(r#"{"uri":"a:b","text":""}"#))),
        },
    );
    server.tool(
        "add",
        "Adds",
        r#"{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"},"t":{"type":"string"}}}"#,
        |call| {
            let (number, said) = (call.whole("n")?, call.text("t")?);
            if number.is_some() {
                call.progress(1, 2, &said)?; // ends the call, unless it is to be told: the client has sent all it sends
                call.log("info", &said)?;
            }
            Ok(vec![text(&said)])
        },
    );
    server.prompt("say", "Says", r#"[{"name":"t"}]"#, |call| Ok(vec![from_user(&text(&call.text("t")?))]));
    server.complete = Box::new(|name, argument, value| vec![[name, argument, value].concat()]);
    let server = Arc::new(server);
    // What panics in a handler or a generator ends the fuzzer as well: its hook comes before the host's catch.
    Host::new(move |request: Request| server.answer(request)).log(|notice| {
        assert!(!matches!(notice, Notice::Failed { .. }), "{notice}");
    })
});

fuzz_target!(|input: &[u8]| {
    let (fields, message) = match input {
        [first, message @ ..] => (FIELDS[usize::from(*first) % FIELDS.len()], message),
        [] => return,
    };
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {}\r\n\r\n", message.len());
    let answers = answers::serve(&HOST, &[head.as_bytes(), message]);
    assert_eq!(answers.len(), 1, "{}", wire::show(message));
    let (status, fields, body) = &answers[0];
    let body = from_utf8(body).expect("all that was read is UTF-8");
    let is_stream =
        fields.iter().any(|(name, value)| name == "Content-Type" && value.starts_with("text/event-stream"));
    assert!(matches!(status, 200 | 202 | 400 | 404), "{status}: {}", wire::show(message));
    match (status, is_stream) {
        (202, _) => assert_eq!(body, ""),
        // A client that sends no more has left, for those that look: so a stream may end without an answer.
        (200, true) => body.lines().filter_map(|line| line.strip_prefix("data: ")).for_each(judge),
        _ => judge(body),
    }
});

/// A message is one of JSON-RPC: of a result, an error and a method it has one.
fn judge(message: &str) {
    let object = Json::read(message).ok().and_then(Json::object).unwrap_or_else(|| panic!("{message}"));
    assert_eq!(object.get("jsonrpc").and_then(Json::string).as_deref(), Some("2.0"), "{message}");
    let kinds = ["result", "error", "method"].iter().filter(|kind| object.has(kind)).count();
    assert_eq!(kinds, 1, "{message}");
    if let Some(error) = object.get("error") {
        let error = error.object().unwrap_or_else(|| panic!("{message}"));
        let code: i32 = error.get("code").map_or("", Json::as_str).parse().unwrap_or(0);
        assert!((-32799..=-32000).contains(&code), "{message}");
    }
}
