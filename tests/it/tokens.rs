//! The `tokens` example as a program: what OpenAI's clients send and expect, and what they never send.

use std::fs;

use brooklet::testing::Client;

use crate::example::{check_refusal, folder, Tool};
use crate::patience::eventually;
use crate::sse::Parser;
use crate::wire::show;

const COMPLETIONS: &str = "/v1/chat/completions";

/// What every request needs.
const ASK: &str = r#""model":"brook","messages":[{"role":"user","content":"What about the snow?"}]"#;

#[test]
fn refusals() {
    let tokens = Tool::start("tokens", &[]);
    let check = |body: &[u8], param: &str, message: &str| {
        let answer = tokens.post(COMPLETIONS, body);
        let param = if param.is_empty() { String::from("null") } else { format!("\"{param}\"") };
        let expected = format!(
            r#"{{"error":{{"message":"{message}","type":"invalid_request_error","param":{param},"code":null}}}}"#
        );
        assert_eq!(
            (answer.status, String::from_utf8_lossy(&answer.body)),
            (400, expected.into()),
            "{}",
            show(body)
        );
        assert_eq!(answer.field("Content-Type"), Some("application/json"));
    };

    for (body, why) in [
        ("", "a value is missing"),
        ("model=brook", "a value is neither a number nor a word of JSON"),
        ("{", "a string is missing"),
        ("{}{", "something follows it"),
        ("\u{feff}{}", "a value is missing"),
        (r#"{"model" "brook"}"#, "a `:` is missing"),
        (r#"{"model":}"#, "a value is missing"),
        (r#"{"model":"brook",}"#, "a string is missing"),
        (r#"{"model":"brook" "n":1}"#, "a `,` or the end of a list or object is missing"),
        (r#"{"model":"brook"#, "a string does not end"),
        (r#"{"model":"\x"}"#, "a string has an unknown escape in it"),
        (r#"{"model":"\u12"}"#, "a string has a `\\\\u` without four hexadecimal digits in it"),
        ("{\"model\":\"\n\"}", "a string has a control character in it"),
        (r#"{"n":01}"#, "a value is neither a number nor a word of JSON"),
        (r#"{"n":NaN}"#, "a value is neither a number nor a word of JSON"),
    ] {
        check(body.as_bytes(), "", &format!("the body is no JSON: {why}"));
    }
    check(b"{\"model\":\"\xff\"}", "", "the body is no JSON: it is not UTF-8");
    check("[".repeat(20_000).as_bytes(), "", "the body is no JSON: it is nested too deeply");
    check("{\"a\":".repeat(20_000).as_bytes(), "", "the body is no JSON: it is nested too deeply");

    for body in ["[]", "null", "5", "\"brook\""] {
        check(body.as_bytes(), "", "the body is no JSON object");
    }
    for body in ["{}", r#"{"model":null}"#, r#"{"model":["brook"]}"#, r#"{"model":5}"#] {
        check(body.as_bytes(), "model", "`model` is the name of a model");
    }
    for messages in [
        "",
        r#","messages":null"#,
        r#","messages":"hello""#,
        r#","messages":[]"#,
        r#","messages":{}"#,
        r#","messages":["hello"]"#,
        r#","messages":[{"role":null,"content":"hello"}]"#,
        r#","messages":[{"content":"hello"}]"#,
        r#","messages":[{"role":"user","content":5}]"#,
        r#","messages":[{"role":"user","content":{}}]"#,
    ] {
        let body = format!(r#"{{"model":"brook"{messages}}}"#);
        check(body.as_bytes(), "messages", "`messages` is a list of objects with `role` and `content`");
    }
    for (more, param, why) in [
        (r#""stream":"yes""#, "stream", "it is neither `true` nor `false`"),
        (r#""stream":1"#, "stream", "it is neither `true` nor `false`"),
        (r#""stream_options":{}"#, "stream_options", "this is an object beside `stream`"),
        (r#""stream":true,"stream_options":true"#, "stream_options", "this is an object beside `stream`"),
        (
            r#""stream":true,"stream_options":{"include_usage":1}"#,
            "include_usage",
            "it is neither `true` nor `false`",
        ),
        (r#""n":2"#, "n", "there is one choice, no more"),
        (r#""n":"1""#, "n", "it is no whole number"),
        (r#""max_tokens":0"#, "max_completion_tokens", "a reply has at least one token"),
        (r#""max_completion_tokens":-5"#, "max_completion_tokens", "a reply has at least one token"),
        (r#""max_tokens":1.5"#, "max_tokens", "it is no whole number"),
        (r#""seed":1e400"#, "seed", "it is no whole number"),
        (r#""stop":5"#, "stop", "`stop` is a text, or a list of up to four"),
        (r#""stop":["a","b","c","d","e"]"#, "stop", "`stop` is a text, or a list of up to four"),
    ] {
        check(format!("{{{ASK},{more}}}").as_bytes(), param, why);
    }
}

#[test]
fn routes() {
    let tokens = Tool::start("tokens", &[]);
    let no_model = r#"{"error":{"message":"there is no such model; GET /v1/models lists what there is","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#;
    let nothing = r#"{"error":{"message":"there is nothing at this URL","type":"invalid_request_error","param":null,"code":null}}"#;
    let get = |target: &str, status: u16, body: &str| {
        let answer = tokens.get(target);
        assert_eq!((answer.status, show(&answer.body)), (status, show(body.as_bytes())), "{target}");
    };

    get("/v1/models/gpt", 404, no_model);
    get("/v1", 404, nothing);
    get("/v1/completions", 404, nothing);
    get("/v1/chat", 404, nothing);
    get("/v1/models/brook/more", 404, nothing);
    get(COMPLETIONS, 405, "405 Method Not Allowed\n");
    assert_eq!(tokens.post("/v1/models", "").status, 405);
    let gpt = tokens.post(COMPLETIONS, r#"{"model":"gpt","messages":[]}"#);
    assert_eq!((gpt.status, show(&gpt.body)), (404, show(no_model.as_bytes())));
    let card = String::from_utf8(tokens.get("/v1/models/brook").body).unwrap();
    assert!(card.starts_with(r#"{"id":"brook","object":"model","created":1"#), "{card}");
    let list = format!(r#"{{"object":"list","data":[{card}]}}"#);
    assert_eq!(String::from_utf8(tokens.get("/v1/models").body).unwrap(), list);
    assert!(String::from_utf8(tokens.get("/").body).unwrap().contains("<title>Tokens</title>"));
}

/// What is said, whole and as a stream: the same.
#[test]
fn replies() {
    let tokens = Tool::start("tokens", &["--text", &endless_text("tokens-text"), "--speed", "1000"]);
    let check = |more: &str, said: &str, end: &str, made: usize| {
        let ask = |more: &str| {
            let ask = r#""model":"brook","messages":[{"role":"user","content":"start with three"}]"#;
            String::from_utf8(tokens.post(COMPLETIONS, format!("{{{ask},{more}}}")).body).unwrap()
        };
        let usage = format!(
            r#""usage":{{"completion_tokens":{made},"prompt_tokens":3,"total_tokens":{}}}"#,
            made + 3
        );

        let whole = ask(more);
        let choice = format!(
            r#""choices":[{{"index":0,"message":{{"content":"{said}","role":"assistant"}},"logprobs":null,"finish_reason":"{end}"}}],"#
        );
        assert!(whole.ends_with(&format!(r#""model":"brook",{choice}{usage}}}"#)), "{more}: {whole}");
        assert!(
            whole.starts_with(r#"{"id":"chatcmpl-"#) && whole.contains(r#","object":"chat.completion","#)
        );

        let stream = ask(&format!(r#"{more},"stream":true,"stream_options":{{"include_usage":true}}"#));
        let mut data: Vec<_> =
            Parser::read(stream).messages.into_iter().map(|message| message.data).collect();
        assert_eq!(data.pop().as_deref(), Some("[DONE]"), "{more}");
        let last = data.pop().unwrap();
        assert!(last.ends_with(&format!(r#""choices":[],{usage}}}"#)), "{more}: {last}");
        let ended = data.pop().unwrap();
        assert!(
            ended.contains(&format!(r#""delta":{{}},"logprobs":null,"finish_reason":"{end}""#)),
            "{more}: {ended}"
        );
        assert!(data[0].contains(r#""delta":{"content":"","role":"assistant"}"#), "{more}: {}", data[0]);
        assert!(
            data.iter().all(|chunk| chunk.ends_with(r#""finish_reason":null}],"usage":null}"#)),
            "{more}"
        );
        let pieces =
            data.iter().map(|chunk| chunk.split(r#""content":""#).nth(1).unwrap().split('"').next().unwrap());
        assert_eq!(pieces.collect::<String>(), said, "{more}");
    };

    check(r#""max_tokens":4"#, "one two three four", "length", 4);
    check(r#""max_completion_tokens":1,"max_tokens":9"#, "one", "length", 1);
    check(r#""max_tokens":12"#, "one two three four five six seven eight nine ten one two", "length", 12);
    check(
        r#""max_tokens":4,"temperature":2,"tools":[{"a":[1e5,null,true]}],"seed":-1"#,
        "one two three four",
        "length",
        4,
    );
    check(r#""stop":"four""#, "one two three ", "stop", 4);
    check(r#""stop":["zero","ee f","even"]"#, "one two thr", "stop", 4); // over two tokens
    check(r#""stop":["two zero","two four"],"max_tokens":3"#, "one two three", "length", 3); // begun, and not meant
    check(r#""stop":["three zero"],"max_tokens":3"#, "one two three", "length", 3); // begun at the end
    for nothing in [r#""""#, "null", "[]", r#"["",null]"#] {
        check(&format!(r#""stop":{nothing},"max_tokens":3"#), "one two three", "length", 3);
    }
    check(r#""seed":18446744073709551615,"n":null,"stream_options":null,"max_tokens":1"#, "one", "length", 1);
    check(r#""max_tokens":99999999999999999999,"stop":"four""#, "one two three ", "stop", 4);
    check(r#""stop":"one""#, "", "stop", 1);
    check(r#""stop":"\u0066our","max_tokens":9"#, "one two three ", "stop", 4);

    // Parts, and no `usage` where nobody asked for it.
    let parts = r#"[{"type":"text","text":"three"},{"type":"image_url","image_url":{"url":"x"}}]"#;
    let ask = format!(
        r#"{{"model":"brook","messages":[{{"role":"user","content":{parts}}}],"max_tokens":2,"stream":true}}"#
    );
    let answer = tokens.post(COMPLETIONS, ask);
    assert_eq!(answer.field("Content-Type"), Some("text/event-stream; charset=utf-8"));
    let stream = String::from_utf8(answer.body).unwrap();
    assert!(stream.contains(r#"{"content":" two"}"#) && !stream.contains("usage"), "{stream}");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
}

#[test]
fn a_seed_is_a_reply() {
    let tokens = Tool::start("tokens", &[]);
    let reply = |seed: u32| {
        let answer = tokens.post(COMPLETIONS, format!(r#"{{{ASK},"seed":{seed}}}"#));
        let reply = String::from_utf8(answer.body).unwrap();
        reply.split(r#""content":""#).nth(1).unwrap().to_owned()
    };
    assert_eq!(reply(1), reply(1));
    assert!((2..20).any(|seed| reply(seed) != reply(1)));
    assert!(reply(1).starts_with("The snow "), "{}", reply(1)); // it says something to the question
}

/// What official clients send when a conversation is long: calls of tools, their results, pictures, nothing at all.
#[test]
fn long_conversations() {
    let tokens = Tool::start("tokens", &[]);
    let turn = r#"{"role":"user","content":"","name":null},{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"1","content":[]},{"role":"assistant"},{"role":"developer","content":[{"type":"image_url","image_url":{}},{"type":"text","text":"two words"},null,7]},"#;
    let body = format!(
        r#"{{"model":"brook","seed":1,"messages":[{}{{"role":"user","content":"What about the snow?"}}]}}"#,
        turn.repeat(200)
    );
    assert!(body.len() > 70_000);
    let answer = String::from_utf8(tokens.post(COMPLETIONS, body).body).unwrap();
    assert!(answer.contains(r#""prompt_tokens":404,"#), "{answer}");
    assert!(answer.contains(r#""content":"The snow "#), "{answer}");
    assert_eq!(tokens.post(COMPLETIONS, vec![b' '; 128 * 1024 + 1]).status, 413);
}

#[test]
fn a_reply_ends_when_its_client_leaves() {
    let tokens = Tool::start("tokens", &["--text", &endless_text("tokens-left"), "--speed", "2"]);
    let body = format!(r#"{{{ASK},"stream":true,"max_tokens":150}}"#);
    let mut stream = Client::new("POST", COMPLETIONS).body(body).connect(tokens.address).unwrap();
    assert_eq!(stream.header("Transfer-Encoding"), Some("chunked")); // whoever is cut off has to see it
    stream.next_events(2).unwrap();
    drop(stream);
    eventually("it hears of it", || tokens.log().contains(" more were never made"));
    let log = tokens.log();
    let line = log.lines().find(|line| line.starts_with("cancelled")).unwrap();
    let numbers: Vec<usize> =
        line.split(|char: char| !char.is_ascii_digit()).filter_map(|it| it.parse().ok()).collect();
    assert_eq!(numbers[0] + numbers[1], 150, "{line}");
}

/// The file of a text in which no sentence ends: each reply to it has as many tokens as it may.
pub(crate) fn endless_text(name: &str) -> String {
    let file = folder(name).join("count.txt");
    fs::write(&file, "one two three four five six seven eight nine ten").unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn arguments() {
    check_refusal("tokens", &["8080"], "there is no place for 8080");
    check_refusal("tokens", &["--speed", "0"], "--speed is a number from 1 to 1000");
    check_refusal("tokens", &["--speed", "fast"], "--speed is a number from 1 to 1000");
    let missing = "cannot read /nowhere: No such file or directory (os error 2)";
    check_refusal("tokens", &["--text", "/nowhere"], missing);
    check_refusal("tokens", &["--text", "/dev/null"], "there is no word in that text");
}
