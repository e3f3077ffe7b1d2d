//! What is answered in one piece: who the server is, what it has, and what is in a resource.

use std::sync::{Mutex, MutexGuard, PoisonError};

use brooklet::to_json;

use super::{Era, Prompt, Refusal, Server, Tool, CAPABILITIES_KEY, LEGACY};
use crate::json::{Json, Object};

/// As many completions as the protocol allows in one answer.
const MAX_COMPLETIONS: usize = 100;

impl Server {
    /// The older revision that the client wants, or the newest of them.
    pub(super) fn initialize(&self, params: &Object) -> Result<String, Refusal> {
        let asked = params.get("protocolVersion").and_then(Json::string);
        let asked = asked.ok_or_else(|| Refusal::params("`protocolVersion` is a text"))?;
        let version = LEGACY.into_iter().find(|known| *known == asked).unwrap_or(LEGACY[0]);
        let (capabilities, info) = (self.capabilities(Era::Legacy), self.info());
        let instructions = to_json(self.instructions);
        Ok(format!(
            r#""protocolVersion":"{version}","capabilities":{capabilities},"serverInfo":{info},"instructions":{instructions}"#
        ))
    }

    /// Changes are told to those who listen, and only the modern era can. A server that has nothing else does not
    /// promise it.
    pub(super) fn capabilities(&self, era: Era) -> String {
        let logging = if self.accepted.contains(&"logging/setLevel") { r#","logging":{}"# } else { "" };
        let subscribes = self.accepted.contains(&"resources/subscribe");
        match era {
            Era::Modern => format!(
                r#"{{"tools":{{"listChanged":true}},"prompts":{{"listChanged":true}},"resources":{{"listChanged":true,"subscribe":true}},"completions":{{}}{logging}}}"#
            ),
            Era::Legacy => format!(
                r#"{{"tools":{{}},"prompts":{{}},"resources":{{"subscribe":{subscribes}}},"completions":{{}}{logging}}}"#
            ),
        }
    }

    fn info(&self) -> String {
        format!(
            r#"{{"name":{},"version":"{}"}}"#,
            to_json(self.name),
            option_env!("CARGO_PKG_VERSION").unwrap_or("0")
        )
    }

    pub(super) fn read_resource(&self, params: &Object) -> Result<String, Refusal> {
        let uri = params.get("uri").and_then(Json::string);
        let uri = uri.ok_or_else(|| Refusal::params("`uri` is a text"))?;
        match (self.resources.read)(&uri) {
            Some(contents) => Ok(cached(&format!(r#""contents":[{contents}]"#))),
            None => {
                let data = Some(format!(r#"{{"uri":{}}}"#, to_json(&uri)));
                Err(Refusal { data, ..Refusal::params("there is no such resource") })
            }
        }
    }

    pub(super) fn complete(&self, params: &Object) -> Result<String, Refusal> {
        let text = |object: &str, name: &str| params.get(object)?.object()?.get(name)?.string();
        let of = text("ref", "name").or_else(|| text("ref", "uri"));
        let asked = (of, text("argument", "name"), text("argument", "value"));
        match asked {
            (Some(of), Some(argument), Some(value)) => {
                let mut values = (self.complete)(&of, &argument, &value);
                let total = values.len();
                values.truncate(MAX_COMPLETIONS);
                let (has_more, values) = (values.len() < total, to_json(values));
                Ok(format!(r#""completion":{{"values":{values},"total":{total},"hasMore":{has_more}}}"#))
            }
            _ => Err(Refusal::params("`ref` has a `name` or `uri`, and `argument` a `name` and a `value`")),
        }
    }

    /// The message that answers a request.
    pub(super) fn result(&self, era: Era, id: &str, result_type: &str, members: &str) -> String {
        let mut all = Vec::new();
        let info = self.info();
        let modern = format!(
            r#""resultType":"{result_type}","_meta":{{"io.modelcontextprotocol/serverInfo":{info}}}"#
        );
        if era == Era::Modern {
            all.push(modern.as_str());
        }
        if !members.is_empty() {
            all.push(members);
        }
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{}}}}}"#, all.join(","))
    }
}

impl Tool {
    pub(super) fn describe(&self) -> String {
        let (description, schema) = (to_json(self.description), self.schema);
        format!(r#"{{"name":"{}","description":{description},"inputSchema":{schema}}}"#, self.name)
    }
}

impl Prompt {
    pub(super) fn describe(&self) -> String {
        let (description, arguments) = (to_json(self.description), self.arguments);
        format!(r#"{{"name":"{}","description":{description},"arguments":{arguments}}}"#, self.name)
    }
}

/// The members of a result that may be kept: not at all, since files change.
pub(super) fn cached(members: &str) -> String {
    format!(r#""ttlMs":0,"cacheScope":"private",{members}"#)
}

pub(super) fn join(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join(",")
}

pub(super) fn name_of(params: &Object) -> Result<String, Refusal> {
    params.get("name").and_then(Json::string).ok_or_else(|| Refusal::params("`name` is a text"))
}

/// Whether a request's `_meta` declares a capability of the client.
pub(super) fn declares(meta: Option<&Object>, capability: &str) -> bool {
    let declared = meta.and_then(|meta| meta.get(CAPABILITIES_KEY)?.object());
    declared.map_or(false, |declared| declared.get(capability).is_some())
}

/// A text or a whole number.
pub(super) fn is_id(id: Json) -> bool {
    let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    id.as_str().starts_with('"') || is_whole(id.as_str().strip_prefix('-').unwrap_or_else(|| id.as_str()))
}

/// What is in it stays right whoever panics.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
