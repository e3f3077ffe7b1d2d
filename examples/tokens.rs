//! A toy language model behind OpenAI's interface: `POST /v1/chat/completions`, as a stream or in one piece.
//!
//! Run `cargo run --example tokens` and open <http://127.0.0.1:8080>; `--help` names the options. The model is a
//! Markov chain, which says after two words what followed them somewhere in a text: `--text FILE` is another text.
//!
//! ```text
//! curl -N localhost:8080/v1/chat/completions -d '{"model":"brook","stream":true,"messages":[{"role":"user","content":"water?"}]}'
//! curl    localhost:8080/v1/chat/completions -d '{"model":"brook","seed":1,"messages":[{"role":"user","content":"water?"}]}'
//! curl    localhost:8080/v1/models
//! curl -i localhost:8080/v1/chat/completions -d '{"model":"brook"}'      400, and what is missing
//! ```
//!
//! OpenAI's own clients take it for one of theirs, with any key: in Python
//! `OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="any")`. Of the parameters it knows `stream`,
//! `stream_options`, `max_completion_tokens`, `max_tokens`, `seed` and `stop`, and ignores what else there is.
//!
//! Stop a stream midway: the log says at once how many words nobody had to make.

mod cli;
mod json;
mod markov;
mod say;

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use brooklet::{
    json_object, to_json, Content, Data, EventConnection, EventSource, Handler, Host, Layout, Limits,
    Request, Response, SendError, Status, Writer,
};
use json::{Json, Object};
use markov::{ends_sentence, Model, Walk, PROMPT};
use say::say;

const MODEL: &str = "brook";
/// Without a limit of the request's own; and with one, however large.
const MAX_TOKENS: usize = 200;
/// A long conversation, which is held as long as its reply lasts.
const MAX_BODY: u64 = 128 * 1024;

fn main() -> ExitCode {
    let about = "A toy language model behind OpenAI's interface, and a page to talk to it.";
    let cli = cli::Cli::read(
        "tokens [OPTIONS]",
        about,
        &[
            ("--text FILE", "what the model has read, in place of a few lines about a brook"),
            ("--speed N", "words a second in streams, 1 to 1000; 20"),
        ],
    );
    let text = cli.text("--text").map_or_else(
        || String::from(markov::TEXT),
        |file| {
            let cannot = |why| cli.refuse(format_args!("cannot read {file}: {why}"));
            fs::read_to_string(&file).unwrap_or_else(cannot)
        },
    );
    let model = Model::read(&text).unwrap_or_else(|| cli.refuse("there is no word in that text"));
    let pause = Duration::from_secs(1) / cli.number("--speed", 1..=1000).unwrap_or(20) as u32;
    let api = Api { model: Arc::new(model), pause, started: now() };
    let app = Layout::new()
        .index(Content::html(include_str!("tokens.html")))
        .add("v1", move |request: Request| api.answer(request).unwrap_or_else(|refusal| refusal.response()));
    let limits = Limits::default().max_body(MAX_BODY);
    cli.end(cli.apply(Host::new(app)).limits(limits).defaults().development().console().run())
}

struct Api {
    model: Arc<Model>,
    pause: Duration,
    started: u64,
}

impl Api {
    fn answer(&self, request: Request) -> Result<Response, Refusal> {
        let is_get = matches!(request.method(), "GET" | "HEAD");
        let path: Vec<_> = request.target().segments().collect();
        match *path {
            ["models"] if is_get => {
                Ok(Response::json(format!(r#"{{"object":"list","data":[{}]}}"#, self.card())))
            }
            ["models", MODEL] if is_get => Ok(Response::json(self.card())),
            ["models", _] if is_get => Err(Refusal::no_such_model()),
            ["chat", "completions"] if request.method() == "POST" => self.complete(request),
            ["models"] | ["models", _] => Ok(Response::method_not_allowed(request.method(), "GET, HEAD")),
            ["chat", "completions"] => Ok(Response::method_not_allowed(request.method(), "POST")),
            _ => Err(Refusal::new(Status::NOT_FOUND, None, "there is nothing at this URL")),
        }
    }

    fn card(&self) -> String {
        let started = self.started;
        format!(r#"{{"id":"{MODEL}","object":"model","created":{started},"owned_by":"brooklet"}}"#)
    }

    fn complete(&self, request: Request) -> Result<Response, Refusal> {
        let ask = Ask::read(request.body())?;
        if ask.stream {
            let (model, pause) = (Arc::clone(&self.model), self.pause);
            let source = EventSource::new(move |connection| stream(connection, &model, &ask, pause));
            // In chunks: who asks by POST does not come back, and has to see whether the reply is whole.
            return Ok(source.methods(["POST"]).chunked().handle(request));
        }
        let mut reply = Reply::new(&self.model, &ask);
        let mut text = String::new();
        while reply.end.is_none() {
            text += &reply.next_piece();
        }
        let message = BTreeMap::from([("role", String::from("assistant")), ("content", text)]);
        let choice = Choice { kind: "message", content: message, finish_reason: reply.end };
        let usage = Some(Some(reply.usage()));
        let completion = Completion { ask: &ask, object: "chat.completion", choices: vec![choice], usage };
        Ok(Response::json(to_json(completion)))
    }
}

fn stream(connection: &mut EventConnection, model: &Model, ask: &Ask, pause: Duration) -> brooklet::Result {
    let mut reply = Reply::new(model, ask);
    let sent = send_reply(connection, &mut reply, ask, pause);
    if sent.is_err() {
        let (made, saved) = (reply.made, ask.max_tokens - reply.made);
        say(format!("cancelled after {made} tokens: up to {saved} more were never made\n"));
    }
    Ok(sent?)
}

fn send_reply(
    connection: &mut EventConnection,
    reply: &mut Reply,
    ask: &Ask,
    pause: Duration,
) -> Result<(), SendError> {
    let chunk = |choices, usage| Completion { ask, object: "chat.completion.chunk", choices, usage };
    let delta = |content, finish_reason| {
        let choice = Choice { kind: "delta", content: BTreeMap::from_iter(content), finish_reason };
        chunk(vec![choice], ask.include_usage.then_some(None))
    };
    connection.data(delta(vec![("role", String::from("assistant")), ("content", String::new())], None))?;
    while reply.end.is_none() {
        connection.wait(pause)?; // thinking; fails when the client has left
        let piece = reply.next_piece();
        if !piece.is_empty() {
            connection.data(delta(vec![("content", piece)], None))?;
        }
    }
    connection.data(delta(Vec::new(), reply.end))?;
    if ask.include_usage {
        connection.data(chunk(Vec::new(), Some(Some(reply.usage()))))?;
    }
    connection.data("[DONE]")
}

/// What a request asks for.
struct Ask {
    /// The id of what is answered.
    id: String,
    created: u64,
    /// The last words of the conversation, and how many there are in it.
    prompt: Vec<String>,
    asked: usize,
    stream: bool,
    include_usage: bool,
    max_tokens: usize,
    seed: u64,
    stop: Vec<String>,
}

impl Ask {
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        let json = std::str::from_utf8(body).map_err(|_| "it is not UTF-8").and_then(Json::read);
        let json = json.map_err(|why| Refusal::bad(None, &format!("the body is no JSON: {why}")))?;
        let object = json.object().ok_or_else(|| Refusal::bad(None, "the body is no JSON object"))?;
        let wrong = || Refusal::bad(Some("model"), "`model` is the name of a model");
        if object.get("model").and_then(Json::string).ok_or_else(wrong)? != MODEL {
            return Err(Refusal::no_such_model());
        }
        let stream = flag(&object, "stream")?;
        let include_usage = match object.get("stream_options").map(Json::object) {
            None => false,
            Some(Some(options)) if stream => flag(&options, "include_usage")?,
            Some(_) => return Err(Refusal::bad(Some("stream_options"), "this is an object beside `stream`")),
        };
        if whole(&object, "n")?.unwrap_or(1) != 1 {
            return Err(Refusal::bad(Some("n"), "there is one choice, no more"));
        }
        let limit = whole(&object, "max_completion_tokens")?.or(whole(&object, "max_tokens")?);
        let limit = limit.unwrap_or(MAX_TOKENS as i128);
        if limit < 1 {
            return Err(Refusal::bad(Some("max_completion_tokens"), "a reply has at least one token"));
        }
        let (prompt, asked) = read_messages(object.get("messages"))?;
        Ok(Self {
            id: format!("chatcmpl-{:016x}", markov::any()),
            created: now(),
            prompt,
            asked,
            stream,
            include_usage,
            max_tokens: limit.min(MAX_TOKENS as i128) as usize,
            seed: whole(&object, "seed")?.map_or_else(markov::any, |seed| seed as u64),
            stop: read_stop(object.get("stop"))?,
        })
    }
}

/// The last words of all of them, as many as the model looks at, and how many there are. What has no text, such as a
/// picture or a call of a tool, has no words.
fn read_messages(messages: Option<Json>) -> Result<(Vec<String>, usize), Refusal> {
    let wrong =
        || Refusal::bad(Some("messages"), "`messages` is a list of objects with `role` and `content`");
    let messages = messages.and_then(Json::list).filter(|list| !list.is_empty()).ok_or_else(wrong)?;
    let (mut words, mut count) = (Vec::new(), 0);
    for message in messages {
        let message = message.object().ok_or_else(wrong)?;
        message.get("role").and_then(Json::string).ok_or_else(wrong)?;
        let texts = match message.get("content").map(|content| (content.list(), content.string())) {
            None => Vec::new(),
            Some((Some(parts), _)) => {
                parts.into_iter().filter_map(|part| part.object()?.get("text")?.string()).collect()
            }
            Some((None, text)) => vec![text.ok_or_else(wrong)?],
        };
        for text in texts {
            count += text.split_whitespace().count();
            let last: Vec<_> = text.split_whitespace().rev().take(PROMPT).map(str::to_owned).collect();
            words.extend(last.into_iter().rev());
            words.drain(..words.len().saturating_sub(PROMPT));
        }
    }
    Ok((words, count))
}

fn read_stop(stop: Option<Json>) -> Result<Vec<String>, Refusal> {
    let stop = match stop {
        None => return Ok(Vec::new()),
        Some(stop) => stop.list().unwrap_or_else(|| vec![stop]),
    };
    let given = stop.into_iter().filter(|stop| !matches!(stop.as_str(), "null" | "\"\""));
    let texts: Option<Vec<_>> = given.map(Json::string).collect();
    let wrong = || Refusal::bad(Some("stop"), "`stop` is a text, or a list of up to four");
    texts.filter(|texts| texts.len() <= 4).ok_or_else(wrong)
}

fn flag(object: &Object, name: &'static str) -> Result<bool, Refusal> {
    match object.get(name).map(Json::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Refusal::bad(Some(name), "it is neither `true` nor `false`")),
    }
}

fn whole(object: &Object, name: &'static str) -> Result<Option<i128>, Refusal> {
    let number = object.get(name).map(|number| number.as_str().parse());
    number.transpose().map_err(|_| Refusal::bad(Some(name), "it is no whole number"))
}

/// A reply in the making.
struct Reply<'a> {
    ask: &'a Ask,
    words: Walk<'a>,
    /// What may be the beginning of a stop sequence, and must not be said before that is known.
    held: String,
    made: usize,
    end: Option<&'static str>,
}

impl<'a> Reply<'a> {
    fn new(model: &'a Model, ask: &'a Ask) -> Self {
        let words = model.walk(&ask.prompt, ask.seed);
        Self { ask, words, held: String::new(), made: 0, end: None }
    }

    /// One more token, as far as it can be said already.
    fn next_piece(&mut self) -> String {
        let word = self.words.next_word();
        if self.made > 0 {
            self.held.push(' ');
        }
        self.held.push_str(word);
        self.made += 1;
        let is_rounded = ends_sentence(word) && self.made >= 20 && self.words.random.below(3) > 0;
        self.end = match self.made == self.ask.max_tokens {
            _ if is_rounded => Some("stop"),
            is_full => is_full.then_some("length"),
        };
        if let Some(at) = self.ask.stop.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.held.truncate(at);
            self.end = Some("stop");
        }
        let kept = if self.end.is_some() { 0 } else { self.begun_stop() };
        let rest = self.held.split_off(self.held.len() - kept);
        std::mem::replace(&mut self.held, rest)
    }

    fn usage(&self) -> BTreeMap<&'static str, usize> {
        let (asked, made) = (self.ask.asked, self.made);
        BTreeMap::from([
            ("prompt_tokens", asked),
            ("completion_tokens", made),
            ("total_tokens", asked + made),
        ])
    }

    /// How much at the end may be the beginning of a stop sequence.
    fn begun_stop(&self) -> usize {
        let begun = |stop: &String| {
            let longest = self.held.len().min(stop.len() - 1);
            (1..=longest).rev().find(|&length| self.held.as_bytes().ends_with(&stop.as_bytes()[..length]))
        };
        self.ask.stop.iter().filter_map(begun).max().unwrap_or(0)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

// What is sent, in OpenAI's words.

struct Completion<'a> {
    ask: &'a Ask,
    object: &'a str,
    choices: Vec<Choice<'a>>,
    /// Not there, or there and `null`, or there.
    usage: Option<Option<BTreeMap<&'a str, usize>>>,
}

impl Data for Completion<'_> {
    fn write(&self, out: &mut Writer<'_>) {
        out.object(|object| {
            object.field("id", &self.ask.id).field("object", self.object).field("created", self.ask.created);
            object.field("model", MODEL).field("choices", &self.choices);
            if let Some(usage) = &self.usage {
                object.field("usage", usage);
            }
        });
    }
}

struct Choice<'a> {
    kind: &'a str,
    content: BTreeMap<&'a str, String>,
    finish_reason: Option<&'a str>,
}

impl Data for Choice<'_> {
    fn write(&self, out: &mut Writer<'_>) {
        out.object(|object| {
            object.field("index", 0).field(self.kind, &self.content).field("logprobs", None::<u8>);
            object.field("finish_reason", self.finish_reason);
        });
    }
}

/// An answer that is an error.
struct Refusal {
    status: Status,
    message: String,
    r#type: &'static str,
    param: Option<&'static str>,
    code: Option<&'static str>,
}
json_object!(Refusal { message, r#type, param, code });

impl Refusal {
    fn new(status: Status, param: Option<&'static str>, message: &str) -> Self {
        let message = message.to_owned();
        Self { status, message, r#type: "invalid_request_error", param, code: None }
    }

    fn bad(param: Option<&'static str>, message: &str) -> Self {
        Self::new(Status::BAD_REQUEST, param, message)
    }

    fn no_such_model() -> Self {
        let message = "there is no such model; GET /v1/models lists what there is";
        Self { code: Some("model_not_found"), ..Self::new(Status::NOT_FOUND, Some("model"), message) }
    }

    fn response(self) -> Response {
        Response::json(to_json(BTreeMap::from([("error", &self)]))).status(self.status)
    }
}
