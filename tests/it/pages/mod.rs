//! Pages, layouts and closures, through an HTTP client that others wrote.

mod closures;
mod contents;
mod cors;
mod folders;
mod layouts;

use crate::patience::{unhurried, DEADLINE};
use brooklet::{Handler, Host, RunningHost};
use std::path::PathBuf;
use std::{env, fs, process};

struct Site {
    host: RunningHost,
    agent: ureq::Agent,
}

/// What the client made of an answer: redirects are not followed, and no status is an error.
struct Page {
    status: u16,
    fields: ureq::http::HeaderMap,
    body: String,
}

impl Page {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Site {
    fn new(app: impl Handler) -> Self {
        Self::of(Host::new(app))
    }

    fn of(host: Host) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(DEADLINE))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build()
            .new_agent();
        Self { host: host.bind("127.0.0.1:0").limits(unhurried()).start().unwrap(), agent }
    }

    #[track_caller]
    fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Page {
        let url = format!("http://{}{target}", self.host.address());
        let request = fields
            .iter()
            .fold(ureq::http::Request::builder().method(method).uri(url), |request, (name, value)| {
                request.header(*name, *value)
            });
        let mut response = self.agent.run(request.body(()).unwrap()).unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        Page { status: response.status().as_u16(), fields: response.headers().clone(), body }
    }

    #[track_caller]
    fn get(&self, target: &str) -> Page {
        self.ask("GET", target, &[])
    }

    /// A row: a target, the status and the body.
    #[track_caller]
    fn check(&self, target: &str, status: u16, body: &str) {
        let page = self.get(target);
        assert_eq!((page.status, page.body.as_str()), (status, body), "{target}");
    }
}

/// A folder of one test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("brooklet-{name}-{}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Writes a file, and makes the folders that it is in.
    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

const NOT_FOUND: &str = "404 Not Found\n";
