//! One call of a tool or a prompt: its arguments, what it may tell and ask meanwhile, and how it ends.
//!
//! A tool is straight code on the thread of its connection. [`Call::ask`] asks whoever sits in front of the
//! client, and reads the same in both eras, which do it in opposite ways:
//!
//! - Up to 2025-11-25 the question is an event of the call's stream, and the thread waits until the answer comes
//!   by another POST.
//! - Since 2026-07-28 the call ends with the question, and the client repeats it with the answer. So the tool runs
//!   anew from its beginning. What was answered before comes with the repetition as `requestState`, signed, and
//!   bound to the call and to ten minutes: nothing has to be remembered here, and nobody can write one.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use brooklet::{to_json, EventConnection, SendError};

use super::{Era, Job, Refusal, Server};
use crate::json::{Json, Object};
use crate::sha256::Sha256;

/// Of a call that waits: so it notices soon that it was cancelled by name.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How long a question may be thought about.
const STATE_LIFETIME: u64 = 600;
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// What a tool or a prompt gives: content blocks or messages, each an object of JSON.
pub type Outcome = Result<Vec<String>, Stop>;

/// Why a call ends without one.
pub enum Stop {
    /// The client has left or cancelled, or the host stops: nobody is told.
    Gone,
    /// The tool could not do it; the model reads why, and may try otherwise.
    Failed(String),
    /// An error of the protocol.
    Refused(Refusal),
    /// Somebody has to answer first: the members of an `InputRequiredResult`.
    Asks(String),
}

impl From<SendError> for Stop {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl From<&str> for Stop {
    fn from(why: &str) -> Self {
        Self::Failed(why.to_owned())
    }
}

/// A question to the client: a key to find its answer by, a method and params.
pub struct Question<'a> {
    pub key: &'a str,
    pub method: &'a str,
    pub params: &'a str,
}

pub struct Call<'c, 'r> {
    pub server: &'c Server,
    job: &'c Job,
    connection: &'c mut EventConnection<'r>,
    arguments: Option<Object<'c>>,
    meta: Option<Object<'c>>,
    /// What the client was asked in this call, and answered.
    answers: Vec<(String, String)>,
    /// What it answers now.
    responses: Option<Object<'c>>,
    /// Whether it brought back what it was given when it was asked.
    pub is_repeated: bool,
}

impl<'c, 'r> Call<'c, 'r> {
    pub(super) fn new(
        server: &'c Server,
        job: &'c Job,
        params: &Object<'c>,
        connection: &'c mut EventConnection<'r>,
    ) -> Result<Self, Refusal> {
        let get = |name| params.get(name).and_then(Json::object);
        let mut call = Self {
            server,
            job,
            connection,
            arguments: get("arguments"),
            meta: get("_meta"),
            answers: Vec::new(),
            responses: get("inputResponses"),
            is_repeated: false,
        };
        let is_empty = |state: &Json<'_>| state.string().as_deref() == Some("");
        if let Some(state) = params.get("requestState").filter(|state| !is_empty(state)) {
            let state = state.string().and_then(|state| call.open_state(&state));
            call.answers =
                state.ok_or_else(|| Refusal::params("`requestState` is not one of ours, or too old"))?;
            call.is_repeated = true;
        }
        Ok(call)
    }

    /// An argument that is a text.
    pub fn text(&self, name: &str) -> Result<String, Stop> {
        let value = self.arguments.as_ref().and_then(|arguments| arguments.get(name)?.string());
        value.ok_or_else(|| Stop::Failed(format!("the argument `{name}` has to be a text")))
    }

    /// An argument that is a whole number, if it is given.
    pub fn whole(&self, name: &str) -> Result<Option<usize>, Stop> {
        let value = self.arguments.as_ref().and_then(|arguments| arguments.get(name));
        let value = value.map(|value| value.as_str().parse());
        value.transpose().map_err(|_| Stop::Failed(format!("the argument `{name}` has to be a whole number")))
    }

    /// Tells how far it is, if the client wants to know; ends a call whose client has left.
    pub fn progress(&mut self, done: u64, total: u64, message: &str) -> Result<(), Stop> {
        let token = self.meta.as_ref().and_then(|meta| meta.get("progressToken"));
        match token.filter(|token| super::answers::is_id(*token)) {
            None => self.wait(Duration::ZERO),
            Some(token) => self.notify(
                "progress",
                &format!(
                    r#""progressToken":{},"progress":{done},"total":{total},"message":{}"#,
                    token.as_str(),
                    to_json(message)
                ),
            ),
        }
    }

    /// Tells what it does; since 2026-07-28 only those who asked for it.
    pub fn log(&mut self, level: &str, text: &str) -> Result<(), Stop> {
        let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
        if let Era::Modern = self.job.era {
            let wanted =
                self.meta.as_ref().and_then(|meta| meta.get("io.modelcontextprotocol/logLevel")?.string());
            match wanted.and_then(|wanted| rank(&wanted)) {
                Some(wanted) if rank(level) >= Some(wanted) => {}
                _ => return self.wait(Duration::ZERO),
            }
        }
        self.notify("message", &format!(r#""level":{},"data":{}"#, to_json(level), to_json(text)))
    }

    fn notify(&mut self, what: &str, params: &str) -> Result<(), Stop> {
        self.look()?;
        let message = format!(r#"{{"jsonrpc":"2.0","method":"notifications/{what}","params":{{{params}}}}}"#);
        Ok(self.connection.data(message)?)
    }

    /// Sleeps, and ends a call whose client leaves or cancels meanwhile.
    pub fn wait(&mut self, duration: Duration) -> Result<(), Stop> {
        let end = self.connection.now() + duration;
        loop {
            self.look()?;
            let left = end.saturating_duration_since(self.connection.now());
            self.connection.wait(left.min(LOOK_AGAIN))?;
            if left <= LOOK_AGAIN {
                return Ok(());
            }
        }
    }

    fn look(&self) -> Result<(), Stop> {
        match self.job.cancelled.load(Ordering::Relaxed) {
            true => Err(Stop::Gone),
            false => Ok(()),
        }
    }

    /// Whether the client has declared a capability. Up to 2025-11-25 it said so in another request: it is tried.
    pub fn can(&self, capability: &str) -> bool {
        match self.job.era {
            Era::Legacy => true,
            Era::Modern => super::answers::declares(self.meta.as_ref(), capability),
        }
    }

    /// Asks the client, and gives its answer, an object of JSON.
    pub fn ask(&mut self, key: &str, method: &str, params: &str) -> Result<String, Stop> {
        let mut answers = self.ask_all(&[Question { key, method, params }])?;
        answers.pop().ok_or(Stop::Gone)
    }

    /// Asks several things at once.
    pub fn ask_all(&mut self, questions: &[Question]) -> Result<Vec<String>, Stop> {
        if let Era::Legacy = self.job.era {
            return questions.iter().map(|question| self.ask_on_stream(question)).collect();
        }
        let mut missing = Vec::new();
        let mut answers = Vec::new();
        for question in questions {
            let capability = question.method.split('/').next().unwrap_or_default();
            if !self.can(capability) {
                return Err(Stop::Refused(Refusal::missing_capability(capability)));
            }
            match self.answer_to(question.key) {
                Some(answer) => answers.push(answer),
                None => missing.push(question),
            }
        }
        if missing.is_empty() {
            return Ok(answers);
        }
        let requests = missing.iter().map(|question| {
            format!(
                r#"{}:{{"method":"{}","params":{}}}"#,
                to_json(question.key),
                question.method,
                question.params
            )
        });
        let requests = requests.collect::<Vec<_>>().join(",");
        let state = to_json(self.seal_state());
        Err(Stop::Asks(format!(r#""inputRequests":{{{requests}}},"requestState":{state}"#)))
    }

    fn answer_to(&mut self, key: &str) -> Option<String> {
        if let Some((_, answer)) = self.answers.iter().find(|(known, _)| known == key) {
            return Some(answer.clone());
        }
        let answer = self.responses.as_ref()?.get(key)?;
        answer.object()?;
        self.answers.push((key.to_owned(), answer.as_str().to_owned()));
        Some(answer.as_str().to_owned())
    }

    fn ask_on_stream(&mut self, question: &Question) -> Result<String, Stop> {
        let asked = self.server.expect_answer(&self.job.cancelled);
        self.look()?; // a cancel from now on takes the question away
        let (id, method, params) = (&asked.id, question.method, question.params);
        let request = format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{params}}}"#);
        self.connection.data(request)?;
        let answer = self.connection.receive(&asked.answer)?.ok_or(Stop::Gone)?;
        answer.map_err(|error| Stop::Failed(format!("the client does not answer {method}: {error}")))
    }

    /// What was answered, until when it counts, and a signature over both and over what was called.
    fn seal_state(&self) -> String {
        let answers = self.answers.iter().map(|(key, answer)| format!("{}:{answer}", to_json(key)));
        let answers = format!("{{{}}}", answers.collect::<Vec<_>>().join(","));
        let expiry = now() + STATE_LIFETIME;
        format!("{}.{expiry}.{answers}", self.sign(expiry, &answers))
    }

    fn open_state(&self, state: &str) -> Option<Vec<(String, String)>> {
        let mut parts = state.splitn(3, '.');
        let (signature, expiry, answers) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let expected = self.sign(expiry, answers);
        // As long for a wrong first character as for a wrong last one.
        let differs = expected.bytes().zip(signature.bytes()).fold(0, |differs, (l, r)| differs | (l ^ r));
        if signature.len() != expected.len() || differs != 0 || expiry < now() {
            return None;
        }
        let answers = Json::read(answers).ok()?.object()?;
        Some(answers.members().map(|(key, answer)| (key.to_owned(), answer.as_str().to_owned())).collect())
    }

    fn sign(&self, expiry: u64, answers: &str) -> String {
        let arguments =
            Json::read(&self.job.params).ok().and_then(|params| params.object()?.get("arguments"));
        let arguments = arguments.map_or("", Json::as_str);
        let (method, name, expiry) = (self.job.method, self.job.name.as_str(), expiry.to_string());
        self.server.secret.sign(&to_json(vec![method, name, arguments, &expiry, answers]))
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// A key for signatures, new with each start.
pub(super) struct Secret([u8; 64]);

impl Secret {
    pub(super) fn new() -> Self {
        let mut key = [0; 64];
        for bytes in key.chunks_mut(8) {
            bytes.copy_from_slice(&any().to_be_bytes());
        }
        Self(key)
    }

    /// HMAC-SHA256 (RFC 2104).
    fn sign(&self, text: &str) -> String {
        let padded = |pad: u8| {
            let mut sha256 = Sha256::new();
            sha256.update(&self.0.map(|byte| byte ^ pad));
            sha256
        };
        let mut inner = padded(0x36);
        inner.update(text.as_bytes());
        let mut outer = padded(0x5c);
        outer.update(&inner.finish_bytes());
        outer.finish()
    }
}

/// std's maps are seeded from the system's randomness: that is all of it that std gives.
pub(super) fn any() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    SystemTime::now().hash(&mut hasher);
    hasher.finish()
}
