//! What is answered by a stream: calls, and listening for changes; and what reaches them from other requests.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{channel, sync_channel, Receiver};
use std::sync::Arc;

use brooklet::{EventConnection, Request, SendError};

use super::answers::{is_id, join, lock};
use super::call::any;
use super::{Answer, Call, Cancel, Change, Era, Job, Outcome, Refusal, Reply, Server, Stop};
use super::{MAX_CHANGES, MODERN, SUBSCRIPTION_KEY};
use crate::json::{Json, Object};
use crate::say::say;

impl Job {
    /// One whose answer is known already.
    pub(super) fn known(message: String) -> Self {
        let (id, params) = (String::new(), String::new());
        Self { era: Era::Legacy, id, method: "", name: message, params, cancelled: Arc::default() }
    }
}

/// A question that waits for its answer. Without it, it is forgotten.
pub(super) struct Question<'s> {
    server: &'s Server,
    pub(super) id: String,
    pub(super) answer: Receiver<Answer>,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        lock(&self.server.shared.questions).remove(&self.id);
    }
}

impl Server {
    pub(super) fn run(&self, job: &Job, connection: &mut EventConnection<'_>) -> Result<(), SendError> {
        let params = Json::read(&job.params).ok().and_then(Json::object).unwrap_or_default();
        match job.method {
            "" => connection.data(job.name.as_str()),
            "subscriptions/listen" => self.listen(job, &params, connection),
            _ => self.call(job, &params, connection),
        }
    }

    fn call(
        &self,
        job: &Job,
        params: &Object<'_>,
        connection: &mut EventConnection<'_>,
    ) -> Result<(), SendError> {
        let _running = (job.era == Era::Legacy).then(|| Running::new(self, job));
        let outcome = match Call::new(self, job, params, connection) {
            Ok(mut call) => self.outcome(job, &mut call),
            Err(refusal) => Err(Stop::Refused(refusal)),
        };
        let members = match job.method {
            "tools/call" => "content",
            _ => "messages",
        };
        let message = match outcome {
            Ok(items) => {
                self.result(job.era, &job.id, "complete", &format!(r#""{members}":[{}]"#, join(items)))
            }
            Err(Stop::Failed(why)) if members == "content" => {
                let members = format!(r#""content":[{}],"isError":true"#, super::text(&why));
                self.result(job.era, &job.id, "complete", &members)
            }
            Err(Stop::Failed(why)) => Refusal::params(&why).message(Some(&job.id)),
            Err(Stop::Refused(refusal)) => refusal.message(Some(&job.id)),
            Err(Stop::Asks(members)) => self.result(job.era, &job.id, "input_required", &members),
            Err(Stop::Gone) => {
                say(format!("cancelled: {} {}\n", job.method, job.name));
                return Ok(());
            }
        };
        connection.data(message)
    }

    fn outcome(&self, job: &Job, call: &mut Call<'_, '_>) -> Outcome {
        let run = match job.method {
            "tools/call" => self.tools.iter().find(|tool| tool.name == job.name).map(|tool| &tool.run),
            _ => self.prompts.iter().find(|prompt| prompt.name == job.name).map(|prompt| &prompt.run),
        };
        run.ok_or("it is gone").map_err(Stop::from)?(call)
    }

    /// Sends the changes that were asked for, each with the id of the request that asked.
    fn listen(
        &self,
        job: &Job,
        params: &Object<'_>,
        connection: &mut EventConnection<'_>,
    ) -> Result<(), SendError> {
        let filter = params.get("notifications").and_then(Json::object).unwrap_or_default();
        let wants = |name: &str| filter.get(name).map_or(false, |wanted| wanted.as_str() == "true");
        let uris = filter.get("resourceSubscriptions").and_then(Json::list).unwrap_or_default();
        let uris: Vec<_> = uris.into_iter().filter_map(Json::string).collect();
        let mut honoured = Vec::new();
        for name in ["toolsListChanged", "promptsListChanged", "resourcesListChanged"] {
            if wants(name) {
                honoured.push(format!(r#""{name}":true"#));
            }
        }
        if !uris.is_empty() {
            honoured.push(format!(r#""resourceSubscriptions":{}"#, brooklet::to_json(&uris)));
        }
        let tag = format!(r#""_meta":{{"{SUBSCRIPTION_KEY}":{}}}"#, job.id);
        let notice = |what: &str, more: &str| {
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/{what}","params":{{{tag}{more}}}}}"#)
        };

        let (sender, changes) = sync_channel(MAX_CHANGES);
        lock(&self.shared.listeners).push(sender);
        let honoured = format!(r#","notifications":{{{}}}"#, honoured.join(","));
        connection.data(notice("subscriptions/acknowledged", &honoured))?;
        while let Some(change) = connection.receive(&changes)? {
            let message = match change {
                Change::Tools if wants("toolsListChanged") => notice("tools/list_changed", ""),
                Change::Prompts if wants("promptsListChanged") => notice("prompts/list_changed", ""),
                Change::Resources if wants("resourcesListChanged") => notice("resources/list_changed", ""),
                Change::Resource(uri) if uris.contains(&uri) => {
                    notice("resources/updated", &format!(r#","uri":{}"#, brooklet::to_json(&uri)))
                }
                _ => continue,
            };
            connection.data(message)?;
        }
        // It was too slow for what there was to tell.
        let tagged = format!(r#"{{"resultType":"complete",{tag}}}"#);
        connection.data(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{tagged}}}"#, job.id))
    }

    /// Makes an id that nobody can guess, and waits for an answer to it.
    pub(super) fn expect_answer(&self, cancelled: &Cancel) -> Question<'_> {
        let id = format!("{:016x}{:016x}", any(), any());
        let (sender, answer) = channel();
        lock(&self.shared.questions).insert(id.clone(), (Arc::clone(cancelled), sender));
        Question { server: self, id, answer }
    }

    /// Takes a client's answer to a question of a call, which is another request.
    pub(super) fn take_answer(&self, request: &Request, message: &Object) -> Result<Reply, Refusal> {
        if request.header("MCP-Protocol-Version") == Some(MODERN) {
            return Err(Refusal::bad(Refusal::INVALID, "nobody was asked: answers come with the next call"));
        }
        let id = message.get("id").and_then(Json::string).unwrap_or_default();
        let question = lock(&self.shared.questions).remove(&id);
        let answer = match message.get("result") {
            Some(result) => Ok(result.as_str().to_owned()),
            None => Err(message.get("error").map_or_else(String::new, |error| error.as_str().to_owned())),
        };
        if let Some((_, question)) = question {
            question.send(answer).ok(); // the call may have ended meanwhile
        }
        Ok(Reply::Accepted)
    }

    /// Cancels the call of that id, if there is one alone: it waits for no answer any more.
    pub(super) fn cancel(&self, id: Option<Json>) {
        let running = lock(&self.shared.running);
        let id = id.filter(|id| is_id(*id)).map_or("", Json::as_str);
        let mut calls = running.iter().filter(|(known, _)| known == id);
        if let (Some((_, cancelled)), None) = (calls.next(), calls.next()) {
            cancelled.store(true, Ordering::Relaxed);
            lock(&self.shared.questions).retain(|_, (call, _)| !Arc::ptr_eq(call, cancelled));
        }
    }
}

/// A legacy call, for as long as it runs.
struct Running<'s> {
    server: &'s Server,
    job: &'s Job,
}

impl<'s> Running<'s> {
    fn new(server: &'s Server, job: &'s Job) -> Self {
        lock(&server.shared.running).push((job.id.clone(), Arc::clone(&job.cancelled)));
        Self { server, job }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.server.shared.running).retain(|(_, flag)| !Arc::ptr_eq(flag, &self.job.cancelled));
    }
}
