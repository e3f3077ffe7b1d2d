//! A small WebDriver client: a page in headless Chromium, scripts in it, and its picture.
//!
//! It speaks W3C WebDriver to chromedriver over plain HTTP. Whatever fails panics with what
//! the driver said, since its only callers are tests. No call waits without a deadline, and nothing
//! that was started outlives its [`Browser`], also when a test panics.
//!
//! Left out on purpose: clicks, frames, windows. A script in the page can do the same.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fmt::Write, fs, thread};

/// For one answer of the driver. Starting Chromium on a busy machine is the slowest of them.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// `no-sandbox` lets it run as root. With the pipe, it ends with its driver even if that is killed;
/// with the usual debugging port, it would live on. The rest keeps it from calling home.
const CHROMIUM_FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// One page in a Chromium of its own, with an empty profile.
pub(crate) struct Browser {
    agent: ureq::Agent,
    session: String,
    // Fields are dropped in this order: the folder when nobody writes to it any more.
    _driver: Process,
    folder: TempFolder,
}

impl Browser {
    /// Starts a browser and returns when it has loaded `url`.
    #[track_caller]
    pub(crate) fn open(url: &str) -> Self {
        let folder = TempFolder::new();
        let (driver, port) = start_driver(&folder.0);
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_DEADLINE))
            .http_status_as_error(false) // the reason is in the body
            .proxy(None)
            .build()
            .new_agent();
        let mut browser =
            Self { agent, session: format!("http://127.0.0.1:{port}/session"), _driver: driver, folder };

        let answer = browser.post("", &browser.capabilities());
        browser.session += "/";
        browser.session += &string_member(&answer, "sessionId");
        browser.post("/url", &format!(r#"{{"url":{}}}"#, json_string(url)));
        browser
    }

    /// What a new session asks for.
    fn capabilities(&self) -> String {
        let profile = format!("--user-data-dir={}", self.folder.0.join("profile").display());
        let mut flags = json_string(&profile);
        for flag in CHROMIUM_FLAGS {
            flags += ",";
            flags += &json_string(flag);
        }
        format!(r#"{{"capabilities":{{"alwaysMatch":{{"goog:chromeOptions":{{"args":[{flags}]}}}}}}}}"#)
    }

    /// Runs `script` in the page as the body of a function, and gives what it returns, as text.
    #[track_caller]
    pub(crate) fn execute(&self, script: &str) -> String {
        // JavaScript makes the text, so that every answer has the same form.
        let script = format!("return String((() => {{\n{script}\n}})())");
        let request = format!(r#"{{"script":{},"args":[]}}"#, json_string(&script));
        string_member(&self.post("/execute/sync", &request), "value")
    }

    /// Returns as soon as `condition`, a script for [`execute`](Self::execute), returns `true`.
    #[track_caller]
    pub(crate) fn wait_until(&self, deadline: Duration, condition: &str) {
        let started = Instant::now();
        while self.execute(condition) != "true" {
            if started.elapsed() > deadline {
                let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser.png");
                fs::write(&picture, self.screenshot()).expect("cargo made this folder for tests");
                let text = self.execute("return document.body.innerText");
                panic!("not within {deadline:?}: {condition}\nsee {}\n{text}", picture.display());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The visible part of the page, as a PNG.
    #[track_caller]
    pub(crate) fn screenshot(&self) -> Vec<u8> {
        let response = self.agent.get(format!("{}/screenshot", self.session)).call();
        base64(&string_member(&body_of(response), "value"))
    }

    #[track_caller]
    fn post(&self, path: &str, json: &str) -> String {
        body_of(self.agent.post(format!("{}{path}", self.session)).send(json))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Killing the driver would do. Asked first, it returns when Chromium has left its folder.
        self.agent.delete(&self.session).call().ok();
    }
}

#[track_caller]
fn body_of(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> String {
    let mut response = response.expect("chromedriver answers");
    let body = response.body_mut().read_to_string().expect("chromedriver sends JSON");
    assert!(response.status().is_success(), "chromedriver refused: {}", string_member(&body, "message"));
    body
}

/// Starts chromedriver on a port that it finds itself.
#[track_caller]
fn start_driver(folder: &Path) -> (Process, u16) {
    let mut driver = Process::spawn(
        Command::new("chromedriver")
            .arg("--port=0")
            // Caches, crash reports and sockets go where the profile goes.
            .envs([("HOME", folder), ("TMPDIR", folder)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
    );
    let output = driver.0.stdout.take().expect("stdout is piped");

    // A read of a pipe has no deadline, so a thread reads, and the wait for it has one.
    // It reads to the end: a full pipe would stop the driver.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(port) = line.strip_prefix("ChromeDriver was started successfully on port ") {
                sender.send(port.trim_end_matches('.').parse().expect("a port is a number")).ok();
            }
        }
    });
    let port = receiver.recv_timeout(ANSWER_DEADLINE).expect("chromedriver names its port");
    (driver, port)
}

/// A child process that ends with its owner.
pub(crate) struct Process(Child);

impl Process {
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        match command.stdin(Stdio::null()).spawn() {
            Ok(child) => Self(child),
            Err(error) => panic!("cannot start {command:?}: {error}"),
        }
    }

    /// The same, for a program that reads what is written to it.
    #[track_caller]
    pub(crate) fn spawn_fed(command: &mut Command) -> (Self, ChildStdin) {
        let mut child = command.stdin(Stdio::piped()).spawn().expect("it is there, and can be run");
        let input = child.stdin.take().expect("stdin is piped");
        (Self(child), input)
    }

    /// Stops it, or has it go on, as a shell does with a job.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(status.expect("there is a kill").success(), "kill {signal}");
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A new, empty folder that is removed with all it holds.
pub(crate) struct TempFolder(pub(crate) PathBuf);

impl TempFolder {
    #[track_caller]
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("brooklet-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).expect("process and count make the name unique");
        Self(path)
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // The last of Chromium's helpers may still add a file.
        let started = Instant::now();
        while fs::remove_dir_all(&self.0).is_err() && started.elapsed() < Duration::from_secs(5) {
            thread::sleep(POLL_INTERVAL);
        }
    }
}

/// Writes `text` as a JSON string (RFC 8259 §7).
fn json_string(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\0'..='\x1f' => write!(json, "\\u{:04x}", u32::from(c)).expect("a String takes all text"),
            _ => json.push(c),
        }
    }
    json + "\""
}

/// Reads the first member called `name` that is a string.
///
/// A search finds it: inside a JSON string every quote is escaped, so that `"name":"` is a member
/// wherever it stands. It relies on chromedriver's JSON having no spaces.
#[track_caller]
fn string_member(json: &str, name: &str) -> String {
    let start = format!("\"{name}\":\"");
    let value = json.split_once(&start).and_then(|(_, rest)| unescape(rest));
    value.unwrap_or_else(|| panic!("no string {name:?} in {json}"))
}

/// Decodes a JSON string up to its closing quote. `\u` escapes are UTF-16, so the text is first, too.
fn unescape(json: &str) -> Option<String> {
    let mut chars = json.chars();
    let mut text = Vec::new();
    loop {
        let c = match chars.next()? {
            '"' => return String::from_utf16(&text).ok(),
            '\\' => match chars.next()? {
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    text.push(u16::from_str_radix(&digits, 16).ok()?);
                    continue;
                }
                'b' => '\x08',
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                itself => itself,
            },
            c => c,
        };
        text.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
}

/// Decodes base64 (RFC 4648 §4) up to its padding.
fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8); // the older bits are out already
        }
    }
    bytes
}

#[test]
fn json_strings() {
    assert_eq!(json_string("a\"b\\c\nd\u{1f}ü"), r#""a\"b\\c\u000ad\u001fü""#);

    check(r#"{"value":"x"}"#, "x");
    check(r#"{"value":null,"more":{"value":""}}"#, "");
    check(r#"{"text":"\"value\":\"no\"","value":"yes"}"#, "yes");
    check(r#"{"value":"\" \\ \/ \b\f\n\r\t \u00fc \ud83e\udd80 ü"}"#, "\" \\ / \x08\x0c\n\r\t ü 🦀 ü");

    #[track_caller]
    fn check(json: &str, value: &str) {
        assert_eq!(string_member(json, "value"), value, "{json}");
    }
}

#[test]
fn base64_of_every_length() {
    // RFC 4648 §10
    for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob")] {
        assert_eq!(base64(text), bytes.as_bytes(), "{text}");
    }
    assert_eq!(base64("+/+/"), [0xfb, 0xff, 0xbf]);
}
