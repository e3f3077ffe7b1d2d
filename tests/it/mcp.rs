//! The `mcp` example as a program: what clients of both eras send, and what none should.

use std::fs;
use std::path::Path;

use brooklet::testing::{Client, EventStream};

use crate::example::{ask, check_refusal, folder, Tool};
use crate::patience::eventually;
use crate::random::Random;
use crate::wire::Answer;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A server of a folder of two texts and what must not be read.
fn start(name: &str) -> Tool {
    let texts = folder(name);
    write(&texts.join("brook.txt"), "The brook\nruns to the SEA.\n");
    write(&texts.join("deep/sea.txt"), "the sea\n");
    write(&texts.join(".secret"), "the sea of secrets\n");
    fs::write(texts.join("noise"), b"\xff\xfe sea").unwrap();
    Tool::start("mcp", &["--folder", texts.to_str().unwrap()])
}

fn write(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// Posts a message with more fields, each with its line end.
#[track_caller]
fn post(tool: &Tool, fields: &str, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n");
    ask(tool.address, [head.as_bytes(), body].concat())
}

fn modern(method: &str) -> String {
    format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n")
}

/// The text that a tool gives, or the message of the error.
#[track_caller]
fn call(tool: &Tool, name: &str, arguments: &str) -> String {
    let params = format!(r#"{{"name":"{name}","arguments":{arguments}}}"#);
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    let events = stream(tool, &body).events_to_end().unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    events[0].data.clone()
}

/// Cancels a call as clients of the older era do.
#[track_caller]
fn cancel(tool: &Tool, id: &str) {
    let body =
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#);
    assert_eq!(post(tool, "", body).status, 202);
}

fn stream(tool: &Tool, body: &str) -> EventStream {
    Client::new("POST", "/mcp").body(body).connect(tool.address).unwrap()
}

#[test]
fn tools() {
    let tool = start("mcp-tools");
    let check = |name: &str, arguments: &str, expected: &str| {
        let answer = call(&tool, name, arguments);
        assert!(answer.contains(expected), "{name} {arguments}: {answer}");
    };
    check(
        "search",
        r#"{"text":"Sea"}"#,
        r#""text":"brook.txt:2: runs to the SEA.\ndeep/sea.txt:1: the sea""#,
    );
    check("search", r#"{"text":"sea","limit":1}"#, "SEA.\\n… and more: 1 lines are shown");
    check("search", r#"{"text":"mountain"}"#, "nothing found");
    check("search", r#"{"text":""}"#, r#""isError":true"#);
    check("search", "{}", "the argument `text` has to be a text");
    check("search", "[]", "the argument `text` has to be a text");
    check("search", r#"{"text":"sea","limit":-1}"#, "the argument `limit` has to be a whole number");
    check("read", r#"{"file":"brook.txt"}"#, r#""text":"The brook\nruns to the SEA.""#);
    check("read", r#"{"file":"brook.txt","from":2,"lines":1}"#, r#""text":"runs to the SEA.""#);
    check("read", r#"{"file":"brook.txt","from":18446744073709551615}"#, r#""text":"""#);
    for outside in
        [".secret", "../mcp-tools/brook.txt", "/etc/passwd", "deep", "", "noise", "deep\\\\sea.txt"]
    {
        check("read", &format!(r#"{{"file":"{outside}"}}"#), "there is no such text");
    }
    check(
        "checksums",
        "{}",
        "16745964f5e06e0dbc326324155eaad47c74b99326448fe8bb31bc03362f3c2c  deep/sea.txt", // as sha256sum says
    );
}

#[test]
fn a_slow_tool_tells_how_far_it_is_and_ends_when_nobody_listens() {
    let tool = start("mcp-slow");
    let slow = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"checksums","arguments":{"pause_ms":60000},"_meta":{"progressToken":"t"}}}"#;
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":0,"total":3,"message":"brook.txt"}}"#;

    let mut left = stream(&tool, slow);
    assert_eq!(left.next_event().unwrap().data, progress);
    drop(left);
    eventually("the tool ends", || tool.log().contains("cancelled: tools/call checksums"));

    // Clients of the older era stay, and say so: of the call that they mean.
    for (pause, ids, rest) in [("500", &["\"b\"", "null", "{}"][..], 4), ("60000", &["\"a\""][..], 0)] {
        let mut call = stream(&tool, &slow.replace("60000", pause));
        assert_eq!(call.next_event().unwrap().data, progress);
        ids.iter().for_each(|id| cancel(&tool, id));
        assert_eq!(call.events_to_end().unwrap().len(), rest, "{ids:?}");
    }
}

/// Also while it waits for an answer of the client.
#[test]
fn a_call_that_has_asked_is_cancelled() {
    let tool = Tool::start("mcp", &["--everything"]);
    let call = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"test_elicitation","arguments":{"message":"Well?"}}}"#;
    let mut asked = stream(&tool, call);
    assert!(asked.next_event().unwrap().data.contains(r#""method":"elicitation/create""#));
    cancel(&tool, "\"a\"");
    assert!(asked.events_to_end().unwrap().is_empty());
}

#[test]
fn changes_are_told() {
    let tool = start("mcp-changes");
    let listen = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{{{META},"notifications":{{"resourcesListChanged":true,"toolsListChanged":false,"resourceSubscriptions":["folder:///brook.txt"]}}}}}}"#
    );
    let client = Client::new("POST", "/mcp").header("MCP-Protocol-Version", "2026-07-28");
    let client = client.header("Mcp-Method", "subscriptions/listen").body(listen);
    let mut events = client.connect(tool.address).unwrap();
    let tag = r#""_meta":{"io.modelcontextprotocol/subscriptionId":7}"#;
    let mut expect = |what: &str, more: &str| {
        let message =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/{what}","params":{{{tag}{more}}}}}"#);
        assert_eq!(events.next_event().unwrap().data, message);
    };
    expect(
        "subscriptions/acknowledged",
        r#","notifications":{"resourcesListChanged":true,"resourceSubscriptions":["folder:///brook.txt"]}"#,
    );
    let texts = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mcp-changes");
    write(&texts.join("new.txt"), "new");
    expect("resources/list_changed", "");
    write(&texts.join("deep/sea.txt"), "nobody asked for it");
    write(&texts.join("brook.txt"), "changed");
    expect("resources/updated", r#","uri":"folder:///brook.txt""#);
}

#[test]
fn refusals() {
    let tool = start("mcp-refusals");
    let check = |fields: &str, body: &str, status: u16, code: i32| {
        let answer = post(&tool, fields, body);
        let text = String::from_utf8_lossy(&answer.body);
        let shown: String = body.chars().take(200).collect();
        assert_eq!(answer.status, status, "{fields}{shown}\n{text}");
        assert!(text.contains(&format!(r#""error":{{"code":{code},"#)), "{fields}{shown}\n{text}");
    };
    // No JSON, and none of JSON-RPC.
    for body in ["", "{", "{}{", "nonsense", "[1,]", "\u{feff}{}"] {
        check("", body, 400, -32700);
    }
    check("", &"[".repeat(100_000), 400, -32700);
    for body in [
        "{}",
        "1",
        "null",
        "\"tools/list\"",
        "[]",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":5}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#,
    ] {
        check("", body, 400, -32600);
    }
    check("", &format!("[{}]", vec![LIST; 101].join(",")), 400, -32600);
    check("MCP-Protocol-Version: 2025-06-18\r\n", &format!("[{LIST}]"), 400, -32600);
    assert_eq!(post(&tool, "", "x".repeat(1024 * 1024 + 1)).status, 413);

    // The older era has errors in good answers.
    let legacy = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
    };
    check("", &legacy("no/such", "{}"), 200, -32601);
    check("", &legacy("server/discover", "{}"), 200, -32601);
    check("", &legacy("resources/subscribe", "{}"), 200, -32601);
    check("", &legacy("tools/call", "{}"), 200, -32602);
    check("", &legacy("tools/call", r#"{"name":"no"}"#), 200, -32602);
    check("", &legacy("prompts/get", r#"{"name":"no"}"#), 200, -32602);
    check("", &legacy("resources/read", r#"{"uri":"folder:///../x"}"#), 200, -32602);
    check("", &legacy("completion/complete", "{}"), 200, -32602);
    check("", &legacy("initialize", "{}"), 200, -32602);
    check("MCP-Protocol-Version: 1999-01-01\r\n", LIST, 400, -32022);
    check("Accept: application/json\r\n", &legacy("tools/call", r#"{"name":"search"}"#), 406, -32600);

    // The newer one has statuses.
    let with = |method: &str, more: &str| legacy(method, &format!("{{{META}{more}}}"));
    check(&modern("no/such"), &with("no/such", ""), 404, -32601);
    check(&modern("initialize"), &with("initialize", ""), 404, -32601);
    check(&modern("tools/list"), LIST, 400, -32602);
    check(&modern("tools/list"), &legacy("tools/list", r#"{"_meta":5}"#), 400, -32602);
    check(&modern("ping"), &with("tools/list", ""), 400, -32020);
    check("MCP-Protocol-Version: 2026-07-28\r\n", &with("tools/list", ""), 400, -32020);
    check("", &with("tools/list", ""), 400, -32020);
    check("MCP-Protocol-Version: 2025-11-25\r\n", &with("tools/list", ""), 400, -32020);
    let named = |name: &str| modern("tools/call") + &format!("Mcp-Name: {name}\r\n");
    let search = with("tools/call", r#","name":"search","arguments":{"text":"x"}"#);
    check(&modern("tools/call"), &search, 400, -32020);
    check(&named("read"), &search, 400, -32020);
    check(&named("=?base64?c2VhcmNo==?="), &search, 400, -32020);
    check(&named("=?base64?/w==?="), &search, 400, -32020);
    check(&modern("tools/list"), &format!("[{}]", with("tools/list", "")), 400, -32600);
    check(&modern("x"), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 400, -32600);
    let forged = search.replace("\"name\"", "\"requestState\":\"00.99999999999.{}\",\"name\"");
    let answer = post(&tool, &named("=?base64?c2VhcmNo?="), forged);
    assert!(String::from_utf8_lossy(&answer.body).contains("-32602"));
}

/// What some clients send where others leave it out, and what later revisions will add.
#[test]
fn what_is_null_empty_or_unknown() {
    let tool = start("mcp-null");
    let check = |fields: &str, members: &str, expected: &str| {
        let answer = post(&tool, fields, format!(r#"{{"jsonrpc":"2.0",{members}}}"#));
        let text = String::from_utf8_lossy(&answer.body);
        assert!(answer.status == 200 && text.contains(expected), "{fields}{members}\n{text}");
    };
    let found = r#""text":"brook.txt:2: runs to the SEA.\ndeep/sea.txt:1: the sea""#;
    check("", r#""id":1,"method":"tools/list","params":null"#, r#""name":"checksums""#);
    check(
        "",
        r#""id":1,"method":"tools/list","params":{"_meta":null,"cursor":null}"#,
        r#""name":"checksums""#,
    );
    check("", r#""id":1,"method":"resources/list","params":{"cursor":""}"#, "folder:///brook.txt");
    check("", r#""id":"","method":"ping","result":null,"error":null,"later":[{}]"#, r#""id":"","result":{}"#);
    check(
        "",
        r#""id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":null,"clientInfo":null,"later":1}"#,
        r#""protocolVersion":"2025-11-25""#,
    );
    check(
        "",
        r#""id":1,"method":"tools/call","params":{"name":"search","arguments":{"text":"sea","limit":null,"later":{"a":[]}},"task":null,"_meta":{"progressToken":null,"a/b":[null]}}"#,
        found,
    );
    for arguments in ["", r#","arguments":null"#, r#","arguments":{}"#] {
        let call = format!(r#""id":1,"method":"tools/call","params":{{"name":"checksums"{arguments}}}"#);
        check("", &call, "deep/sea.txt");
    }
    check(
        "",
        r#""id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"explain"},"argument":{"name":"file","value":""},"context":null}"#,
        r#""values":["brook.txt","deep/sea.txt""#,
    );

    // A session and a last event are of revisions before.
    let old = "Mcp-Session-Id: x\r\nLast-Event-ID: 7\r\n";
    let list = format!(r#""id":1,"method":"tools/list","params":{{{META},"cursor":null,"later":1}}"#);
    check(&(modern("tools/list") + old), &list, r#""resultType":"complete""#);
    for more in [
        r#","inputResponses":null,"requestState":null"#,
        r#","inputResponses":{},"requestState":"""#,
        r#","later":[]"#,
    ] {
        let params = format!(r#"{META},"name":"search","arguments":{{"text":"sea"}}{more}"#);
        let call = format!(r#""id":1,"method":"tools/call","params":{{{params}}}"#);
        check(&(modern("tools/call") + "Mcp-Name: search\r\n"), &call, found);
    }
}

#[test]
fn methods_and_notifications() {
    let tool = start("mcp-methods");
    for method in ["GET", "DELETE", "PUT"] {
        let answer = ask(tool.address, format!("{method} /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!((answer.status, answer.field("Allow")), (405, Some("POST, OPTIONS")));
    }
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"no/such","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":"nobody asked","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"nobody asked","error":{}}"#,
        r#"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#,
    ] {
        let answer = post(&tool, "", body);
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{body}");
    }
    assert_eq!(post(&tool, "Origin: http://evil.example\r\n", LIST).status, 403);

    let batch = format!(r#"[{LIST},{{"jsonrpc":"2.0","id":2,"method":"ping"}},5]"#);
    let events = stream(&tool, &batch).events_to_end().unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(events[1].data, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    assert!(events[2].data.contains("-32600"));
}

#[test]
fn versions() {
    let tool = start("mcp-versions");
    for (asked, given) in [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1.0", "2025-11-25"),
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{asked}"}}}}"#
        );
        let answer = post(&tool, "", body);
        let text = String::from_utf8_lossy(&answer.body);
        assert!(text.contains(&format!(r#""protocolVersion":"{given}""#)), "{asked}: {text}");
    }
    let discover = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{{{META}}}}}"#);
    let answer = post(&tool, &modern("server/discover"), discover);
    assert!(String::from_utf8_lossy(&answer.body).contains(r#""supportedVersions":["2026-07-28"]"#));
}

/// Good messages, made bad at random: each gets an answer of the protocol's, and nothing panics.
#[test]
fn mutations() {
    let tool = start("mcp-mutations");
    let seeds = [
        LIST.to_owned(),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{{{META}}}}}"#),
        format!(
            r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{{{META},"name":"search","arguments":{{"text":"sea","limit":3}},"inputResponses":{{}},"requestState":"a.1.{{}}"}}}}"#
        ),
        String::from(
            r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"explain"},"argument":{"name":"file","value":"b"}}}"#,
        ),
        format!(
            r#"[{LIST},{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":1}}}}]"#
        ),
    ];
    const PIECES: [&str; 20] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "null",
        "true",
        "1e999",
        "-0",
        "18446744073709551616",
        "\\u0000",
        "\\ud800",
        "\\",
        "\u{0}",
        "ü",
        "\"id\":",
        "\"method\":",
        "{\"a\":[",
    ];
    let mut random = Random::new(0x5eed);
    for case in 0..1500 {
        let mut body = seeds[case % seeds.len()].clone().into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(body.len() + 1);
            let end = (at + random.below(12)).min(body.len());
            let piece = random.pick(&PIECES);
            match random.below(4) {
                0 => drop(body.splice(at..end, piece.bytes())),
                1 => drop(body.drain(at..end)),
                2 => drop(body.splice(at..at, piece.bytes())),
                _ if at < body.len() => body[at] = random.bits() as u8,
                _ => {}
            }
        }
        let fields = random.pick(&[
            "",
            "MCP-Protocol-Version: 2025-11-25\r\n",
            "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: search\r\n",
            "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: server/discover\r\n",
        ]);
        let answer = post(&tool, fields, &body);
        let text = String::from_utf8_lossy(&answer.body);
        let body = String::from_utf8_lossy(&body);
        assert!(matches!(answer.status, 200 | 202 | 400 | 404), "{fields}{body}\n{text}");
        let is_answer = text.starts_with(r#"{"jsonrpc":"2.0","#) || text.starts_with("data: {");
        assert!(answer.status == 202 || is_answer, "{fields}{body}\n{text}");
    }
    assert!(!tool.log().contains("panicked"), "{}", tool.log());
}

#[test]
fn arguments() {
    check_refusal("mcp", &["--folder"], "--folder needs a value");
    let missing = "cannot read /no/such: No such file or directory (os error 2)";
    check_refusal("mcp", &["--folder", "/no/such"], missing);
}
