//! The Model Context Protocol over Streamable HTTP: JSON-RPC at one endpoint, in both eras and without sessions.
//!
//! **Legacy**, 2025-03-26 to 2025-11-25, begins with `initialize`; **modern**, 2026-07-28, has the version in each
//! request's `_meta` and repeats it in a field. [`Server::era`] tells which one a request is of. Nothing is
//! remembered of one request for the next, in either of them, so there is no session to lose.
//!
//! `tools/call`, `prompts/get` and `subscriptions/listen` are answered by a stream, everything else in one piece.
//! A stream is its request's thread: when the client leaves, whatever the tool does next through its [`Call`]
//! fails, and so it ends. Legacy clients cancel by a notification with the request's id instead. Ids are each
//! client's own: it counts if one call alone has that id at the moment.
//!
//! Left out: resuming a stream and server-sent messages by GET, which clients find out by `405`.

mod answers;
mod call;
mod headers;
mod streams;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, SyncSender};
use std::sync::{Arc, Mutex};

use brooklet::{to_json, EventSource, Handler, Request, Response, Status};

use crate::json::{Json, Object};
use answers::{cached, declares, is_id, join, lock, name_of};
pub use call::{Call, Outcome, Question, Stop};

const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
/// The one revision that has several messages in one body.
const BATCHES: &str = "2025-03-26";
/// More of them in one body are refused.
const MAX_BATCH: usize = 100;
/// As many changes may wait for somebody who listens; who is further behind has to look for himself.
const MAX_CHANGES: usize = 256;
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// Gives the contents of a URI, if there is such a resource.
pub type Read = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

type Run = Box<dyn Fn(&mut Call<'_, '_>) -> Outcome + Send + Sync>;

pub struct Tool {
    pub name: &'static str,
    pub description: &'static str,
    /// JSON Schema of its arguments, an object.
    pub schema: &'static str,
    /// A capability of the client without which it cannot work.
    pub needs: Option<&'static str>,
    pub run: Run,
}

pub struct Prompt {
    pub name: &'static str,
    pub description: &'static str,
    /// A list of `{"name", "description", "required"}`.
    pub arguments: &'static str,
    pub run: Run,
}

/// What a client can read by URI.
pub struct Resources {
    /// Objects with `uri` and `name`.
    pub list: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// A list of objects with `uriTemplate` and `name`.
    pub templates: &'static str,
    /// An object with `uri`, `mimeType`, and `text` or `blob`.
    pub read: Read,
}

/// A prompt or template, its argument and what is typed already: to what may be meant.
pub type Complete = Box<dyn Fn(&str, &str, &str) -> Vec<String> + Send + Sync>;

/// Something that a client may want to hear of.
#[derive(Clone)]
pub enum Change {
    Tools,
    Prompts,
    Resources,
    Resource(String),
}

pub struct Server {
    pub name: &'static str,
    pub instructions: &'static str,
    pub tools: Vec<Tool>,
    pub prompts: Vec<Prompt>,
    pub resources: Resources,
    pub complete: Complete,
    /// Legacy methods that would need a session: they are answered, and do nothing.
    pub accepted: &'static [&'static str],
    shared: Shared,
    secret: call::Secret,
}

/// What requests share while they run.
#[derive(Default)]
struct Shared {
    listeners: Mutex<Vec<SyncSender<Change>>>,
    /// By the ids of questions: what cancels the call that asked, and its queue.
    questions: Mutex<HashMap<String, (Cancel, Sender<Answer>)>>,
    /// The ids of legacy calls, and what cancels them.
    running: Mutex<Vec<(String, Cancel)>>,
}

type Answer = Result<String, String>;
/// Whether a call is cancelled.
type Cancel = Arc<AtomicBool>;

#[derive(Clone, Copy, PartialEq)]
enum Era {
    Legacy,
    Modern,
}

/// What a stream does, one after the other.
struct Job {
    era: Era,
    id: String,
    method: &'static str,
    /// Of a tool or a prompt; or an answer that is known already.
    name: String,
    params: String,
    cancelled: Cancel,
}

enum Reply {
    Accepted,
    Now(String),
    Stream(Job),
}

/// An error of JSON-RPC, and the status that the modern era gives it.
pub struct Refusal {
    status: Status,
    code: i32,
    message: String,
    data: Option<String>,
}

impl Refusal {
    const PARSE: i32 = -32700;
    const INVALID: i32 = -32600;
    const NO_METHOD: i32 = -32601;
    const PARAMS: i32 = -32602;
    const HEADER_MISMATCH: i32 = -32020;
    const MISSING_CAPABILITY: i32 = -32021;
    const VERSION: i32 = -32022;

    fn new(status: Status, code: i32, message: &str) -> Self {
        Self { status, code, message: message.to_owned(), data: None }
    }

    fn bad(code: i32, message: &str) -> Self {
        Self::new(Status::BAD_REQUEST, code, message)
    }

    /// A request that is well-formed and asks for something wrong.
    pub fn params(message: &str) -> Self {
        Self::new(Status::OK, Self::PARAMS, message)
    }

    fn missing_capability(capability: &str) -> Self {
        let data = Some(format!(r#"{{"requiredCapabilities":{{"{capability}":{{}}}}}}"#));
        Self { data, ..Self::bad(Self::MISSING_CAPABILITY, "the client has not declared what this needs") }
    }

    fn version(asked: &str) -> Self {
        let data = Some(format!(r#"{{"supported":["{MODERN}"],"requested":{}}}"#, to_json(asked)));
        Self { data, ..Self::bad(Self::VERSION, "this version of the protocol is not known here") }
    }

    /// Without an id, if none could be read.
    fn message(&self, id: Option<&str>) -> String {
        let id = id.map_or_else(String::new, |id| format!(r#""id":{id},"#));
        let data = self.data.as_ref().map_or_else(String::new, |data| format!(r#","data":{data}"#));
        let (code, message) = (self.code, to_json(&self.message));
        format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":{code},"message":{message}{data}}}}}"#)
    }
}

/// A refusal, and of what.
type Refused = (Option<String>, Refusal);

impl Server {
    pub fn new(name: &'static str, resources: Resources) -> Self {
        Self {
            name,
            instructions: "",
            tools: Vec::new(),
            prompts: Vec::new(),
            resources,
            complete: Box::new(|_, _, _| Vec::new()),
            accepted: &[],
            shared: Shared::default(),
            secret: call::Secret::new(),
        }
    }

    pub fn tool(
        &mut self,
        name: &'static str,
        description: &'static str,
        schema: &'static str,
        run: impl Fn(&mut Call<'_, '_>) -> Outcome + Send + Sync + 'static,
    ) -> &mut Tool {
        self.tools.push(Tool { name, description, schema, needs: None, run: Box::new(run) });
        self.tools.last_mut().expect("it was pushed a line ago")
    }

    pub fn prompt(
        &mut self,
        name: &'static str,
        description: &'static str,
        arguments: &'static str,
        run: impl Fn(&mut Call<'_, '_>) -> Outcome + Send + Sync + 'static,
    ) {
        self.prompts.push(Prompt { name, description, arguments, run: Box::new(run) });
    }

    /// Tells those who listen for it.
    pub fn changed(&self, change: &Change) {
        lock(&self.shared.listeners).retain(|listener| listener.try_send(change.clone()).is_ok());
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        !lock(&self.shared.listeners).is_empty()
    }

    /// Answers a request to the endpoint.
    pub fn answer(self: &Arc<Self>, request: Request) -> Response {
        if request.method() != "POST" {
            return Response::method_not_allowed(request.method(), "POST");
        }
        let replies = match self.read(&request) {
            Ok(replies) => replies,
            Err((id, refusal)) => {
                return Response::json(refusal.message(id.as_deref())).status(refusal.status)
            }
        };
        let mut jobs = Vec::new();
        let is_single = replies.len() == 1;
        for reply in replies {
            match reply {
                Reply::Accepted => {}
                Reply::Now(message) if is_single => return Response::json(message),
                Reply::Now(message) => jobs.push(Job::known(message)),
                Reply::Stream(job) => jobs.push(job),
            }
        }
        if jobs.is_empty() {
            return Response::new(Status::ACCEPTED);
        }
        let accept = request.header("Accept").unwrap_or("*/*");
        if !accept.contains("text/event-stream") && !accept.contains("*/*") {
            let refusal =
                Refusal::bad(Refusal::INVALID, "the answer is a text/event-stream: say so in `Accept`");
            return Response::json(refusal.message(None)).status(Status::NOT_ACCEPTABLE);
        }
        let server = Arc::clone(self);
        let source = EventSource::new(move |connection| {
            jobs.iter().try_for_each(|job| server.run(job, connection)).map_err(Into::into)
        });
        source.methods(["POST"]).handle(request)
    }

    /// What the messages in a body ask for.
    fn read(&self, request: &Request) -> Result<Vec<Reply>, Refused> {
        let text = std::str::from_utf8(request.body()).map_err(|_| "it is not UTF-8");
        let json = text
            .and_then(Json::read)
            .map_err(|why| (None, Refusal::bad(Refusal::PARSE, &format!("the body is no JSON: {why}"))))?;
        let batch = match json.list() {
            Some(batch) => batch,
            None => return Ok(vec![self.message(request, json)?]),
        };
        let invalid = |why| Err((None, Refusal::bad(Refusal::INVALID, why)));
        if !matches!(request.header("MCP-Protocol-Version"), None | Some(BATCHES)) {
            return invalid("this version of the protocol has one message in a body");
        }
        if batch.is_empty() || batch.len() > MAX_BATCH {
            return invalid("a batch has 1 to 100 messages");
        }
        let reply = |(id, refusal): Refused| Reply::Now(refusal.message(id.as_deref()));
        let mut replies: Vec<_> =
            batch.into_iter().map(|message| self.message(request, message).unwrap_or_else(reply)).collect();
        replies.push(Reply::Accepted); // so that a batch of one is answered as one of many
        Ok(replies)
    }

    fn message(&self, request: &Request, message: Json) -> Result<Reply, Refused> {
        let invalid = |why| (None, Refusal::bad(Refusal::INVALID, why));
        let message = message.object().ok_or_else(|| invalid("a message is an object"))?;
        let id = message.get("id").filter(|id| is_id(*id)).map(|id| id.as_str().to_owned());
        if message.get("jsonrpc").and_then(Json::string).as_deref() != Some("2.0") {
            return Err((id, Refusal::bad(Refusal::INVALID, "`jsonrpc` is \"2.0\"")));
        }
        if !message.has("method") && (message.has("result") || message.has("error")) {
            return self.take_answer(request, &message).map_err(|refusal| (id, refusal));
        }
        let method = message.get("method").and_then(Json::string);
        let method =
            method.ok_or_else(|| (id.clone(), Refusal::bad(Refusal::INVALID, "`method` is a text")))?;
        let params = message.get("params").map(|params| params.object().ok_or(())).transpose();
        let params =
            params.map_err(|()| (id.clone(), Refusal::bad(Refusal::INVALID, "`params` is an object")))?;
        if !message.has("id") {
            if method == "notifications/cancelled" {
                self.cancel(params.and_then(|params| params.get("requestId")));
            }
            return Ok(Reply::Accepted);
        }
        let id = id.ok_or_else(|| invalid("`id` is a text or a whole number"))?;
        let text = message.get("params").map_or("{}", Json::as_str);
        self.request(request, &id, &method, &params.unwrap_or_default(), text)
            .map_err(|refusal| (Some(id), refusal))
    }

    fn request(
        &self,
        request: &Request,
        id: &str,
        method: &str,
        params: &Object,
        text: &str,
    ) -> Result<Reply, Refusal> {
        let era = Self::era(request, method, params)?;
        let missing = |status| Refusal::new(status, Refusal::NO_METHOD, "there is no such method");
        let stream = |method, name: &str| {
            let (id, name, params) = (id.to_owned(), name.to_owned(), text.to_owned());
            Ok(Reply::Stream(Job { era, id, method, name, params, cancelled: Arc::default() }))
        };
        let members = match (method, era) {
            ("initialize", Era::Legacy) => self.initialize(params)?,
            ("ping", Era::Legacy) => String::new(),
            (known, Era::Legacy) if self.accepted.contains(&known) => String::new(),
            ("server/discover", Era::Modern) => {
                let instructions = to_json(self.instructions);
                let capabilities = self.capabilities(era);
                cached(&format!(
                    r#""supportedVersions":["{MODERN}"],"capabilities":{capabilities},"instructions":{instructions}"#
                ))
            }
            ("subscriptions/listen", Era::Modern) => return stream("subscriptions/listen", ""),
            ("tools/list", _) => {
                cached(&format!(r#""tools":[{}]"#, join(self.tools.iter().map(Tool::describe))))
            }
            ("prompts/list", _) => {
                cached(&format!(r#""prompts":[{}]"#, join(self.prompts.iter().map(Prompt::describe))))
            }
            ("resources/list", _) => cached(&format!(r#""resources":[{}]"#, join((self.resources.list)()))),
            ("resources/templates/list", _) => {
                cached(&format!(r#""resourceTemplates":{}"#, self.resources.templates))
            }
            ("resources/read", _) => self.read_resource(params)?,
            ("completion/complete", _) => self.complete(params)?,
            ("tools/call", _) => {
                let name = name_of(params)?;
                let tool = self.tools.iter().find(|tool| tool.name == name);
                let tool = tool.ok_or_else(|| Refusal::params("there is no such tool"))?;
                if era == Era::Modern {
                    let meta = params.get("_meta").and_then(Json::object);
                    match tool.needs {
                        Some(needs) if !declares(meta.as_ref(), needs) => {
                            return Err(Refusal::missing_capability(needs))
                        }
                        _ => headers::check_arguments(request, tool.schema, params.get("arguments"))?,
                    }
                }
                return stream("tools/call", &name);
            }
            ("prompts/get", _) => {
                let name = name_of(params)?;
                self.prompts
                    .iter()
                    .find(|prompt| prompt.name == name)
                    .ok_or_else(|| Refusal::params("there is no such prompt"))?;
                return stream("prompts/get", &name);
            }
            (_, Era::Legacy) => return Err(missing(Status::OK)),
            (_, Era::Modern) => return Err(missing(Status::NOT_FOUND)),
        };
        Ok(Reply::Now(self.result(era, id, "complete", &members)))
    }

    /// Which era a request is of, and whether it is a good one of it.
    fn era(request: &Request, method: &str, params: &Object) -> Result<Era, Refusal> {
        let field = request.header("MCP-Protocol-Version");
        let meta = params.get("_meta").and_then(Json::object);
        let version = match meta.as_ref().filter(|meta| meta.has(VERSION_KEY)) {
            Some(meta) => meta.get(VERSION_KEY).and_then(Json::string),
            None => match field {
                Some(MODERN) => None,
                Some(other) if !LEGACY.contains(&other) => return Err(Refusal::version(other)),
                _ => return Ok(Era::Legacy),
            },
        };
        let missing = |key| Refusal::bad(Refusal::PARAMS, &format!("`_meta` has no good `{key}`"));
        let version = version.ok_or_else(|| missing(VERSION_KEY))?;
        let capabilities = meta.and_then(|meta| meta.get(CAPABILITIES_KEY)?.object());
        capabilities.ok_or_else(|| missing(CAPABILITIES_KEY))?;
        if field != Some(&version) {
            let why = "the field MCP-Protocol-Version does not say what `_meta` says";
            return Err(Refusal::bad(Refusal::HEADER_MISMATCH, why));
        }
        if version != MODERN {
            return Err(Refusal::version(&version));
        }
        headers::check_standard(request, method, params)?;
        Ok(Era::Modern)
    }
}

/// A block of content that is a text.
pub fn text(text: &str) -> String {
    format!(r#"{{"type":"text","text":{}}}"#, to_json(text))
}

/// A message of a prompt.
pub fn from_user(content: &str) -> String {
    format!(r#"{{"role":"user","content":{content}}}"#)
}
