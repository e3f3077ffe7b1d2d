//! A small WebDriver client: pages in headless Chromium or Firefox, scripts in them, and their pictures.
//!
//! It speaks W3C WebDriver to chromedriver over plain HTTP, and to Firefox by what geckodriver would make of that, see
//! [`marionette`](crate::marionette). Whatever fails panics with what the driver said, since its only callers are
//! tests. No call waits without a deadline, and nothing that was started outlives its [`Browser`], also when a test
//! panics.
//!
//! Left out on purpose: clicks, frames. A script in the page can do the same.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use brooklet::to_json;

use crate::marionette::Marionette;
use crate::patience::DEADLINE;

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

/// Makes a test of a function for each browser.
macro_rules! in_each_browser {
    ($test:path) => {
        #[test]
        #[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
        fn chromium() {
            $test(crate::webdriver::Kind::Chromium);
        }

        #[test]
        #[ignore = "drives Firefox (Debian: firefox-esr)"]
        fn firefox() {
            $test(crate::webdriver::Kind::Firefox);
        }
    };
}
pub(crate) use in_each_browser;

/// Which browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chromium,
    Firefox,
}

/// A browser of its own with an empty profile, and the page in it that is looked at.
pub(crate) struct Browser {
    // Fields are dropped in this order: the folder when nobody writes to it any more.
    driver: Driver,
    _folder: TempFolder,
}

enum Driver {
    Chromium(Chromedriver),
    Firefox(Marionette),
}

/// What a driver can be asked: the method and path of W3C WebDriver, and Firefox's name for the same.
type Call = (&'static str, &'static str, &'static str);

const NAVIGATE: Call = ("POST", "url", "WebDriver:Navigate");
const BACK: Call = ("POST", "back", "WebDriver:Back");
const EXECUTE: Call = ("POST", "execute/sync", "WebDriver:ExecuteScript");
const SCREENSHOT: Call = ("GET", "screenshot", "WebDriver:TakeScreenshot");
const TAB: Call = ("GET", "window", "WebDriver:GetWindowHandle");
const OPEN_TAB: Call = ("POST", "window/new", "WebDriver:NewWindow");
const SWITCH_TAB: Call = ("POST", "window", "WebDriver:SwitchToWindow");
const CLOSE_TAB: Call = ("DELETE", "window", "WebDriver:CloseWindow");

impl Browser {
    /// Starts Chromium and returns when it has loaded `url`.
    #[track_caller]
    pub(crate) fn open(url: &str) -> Self {
        Self::start(Kind::Chromium, url)
    }

    /// Starts a browser and returns when it has loaded `url`.
    #[track_caller]
    pub(crate) fn start(kind: Kind, url: &str) -> Self {
        let folder = TempFolder::new();
        let driver = match kind {
            Kind::Chromium => Driver::Chromium(Chromedriver::start(&folder.0)),
            Kind::Firefox => Driver::Firefox(Marionette::start(&folder.0)),
        };
        let browser = Self { driver, _folder: folder };
        browser.navigate(url);
        browser
    }

    /// Returns when the page has loaded `url`.
    #[track_caller]
    pub(crate) fn navigate(&self, url: &str) {
        self.ask(NAVIGATE, &format!(r#"{{"url":{}}}"#, to_json(url)));
    }

    /// As the button does. Returns when the page before this one is there.
    #[track_caller]
    pub(crate) fn back(&self) {
        self.ask(BACK, "{}");
    }

    /// Opens `url` in another tab, which is the one that is looked at from then on, and gives its handle.
    #[track_caller]
    pub(crate) fn open_tab(&self, url: &str) -> String {
        let handle = string_member(&self.ask(OPEN_TAB, r#"{"type":"tab"}"#), "handle");
        self.switch_to(&handle);
        self.navigate(url);
        handle
    }

    /// The handle of the tab that is looked at.
    #[track_caller]
    pub(crate) fn tab(&self) -> String {
        string_member(&self.ask(TAB, "{}"), "value")
    }

    #[track_caller]
    pub(crate) fn switch_to(&self, tab: &str) {
        self.ask(SWITCH_TAB, &format!(r#"{{"handle":{}}}"#, to_json(tab)));
    }

    /// Closes the tab that is looked at. Another one has to be [chosen](Self::switch_to) then.
    #[track_caller]
    pub(crate) fn close_tab(&self) {
        self.ask(CLOSE_TAB, "{}");
    }

    /// Runs `script` in the page as the body of a function, and gives what it returns, as text.
    #[track_caller]
    pub(crate) fn execute(&self, script: &str) -> String {
        // JavaScript makes the text, so that every answer has the same form.
        let mut script = format!("return String((() => {{\n{script}\n}})())");
        if let Driver::Firefox(_) = self.driver {
            // It runs scripts in a sandbox that does not know what the page has declared by `let`.
            script = format!("return window.eval({})", to_json(script.trim_start_matches("return ")));
        }
        let request = format!(r#"{{"script":{},"args":[]}}"#, to_json(&script));
        string_member(&self.ask(EXECUTE, &request), "value")
    }

    /// Returns as soon as `condition`, a script for [`execute`](Self::execute), returns `true`.
    #[track_caller]
    pub(crate) fn wait_until(&self, condition: &str) {
        let started = Instant::now();
        while self.execute(condition) != "true" {
            if started.elapsed() > DEADLINE {
                let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser.png");
                fs::write(&picture, self.screenshot()).expect("cargo made this folder for tests");
                let text = self.execute("return document.body.innerText");
                panic!("not within {DEADLINE:?}: {condition}\nsee {}\n{text}", picture.display());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Returns as soon as the element of this id has this text.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, id: &str, text: &str) {
        self.wait_until(&format!("return document.getElementById('{id}')?.textContent === `{text}`"));
    }

    /// The visible part of the page, as a PNG.
    #[track_caller]
    pub(crate) fn screenshot(&self) -> Vec<u8> {
        base64(&string_member(&self.ask(SCREENSHOT, "{}"), "value"))
    }

    #[track_caller]
    fn ask(&self, (method, path, name): Call, json: &str) -> String {
        match &self.driver {
            Driver::Chromium(driver) => driver.ask(method, path, json),
            Driver::Firefox(driver) => {
                driver.ask(name, json).unwrap_or_else(|error| panic!("{name}: {error}"))
            }
        }
    }
}

/// Chromium, by chromedriver.
struct Chromedriver {
    agent: ureq::Agent,
    session: String,
    _process: Process,
}

impl Chromedriver {
    #[track_caller]
    fn start(folder: &Path) -> Self {
        let (process, port) = start_driver(folder);
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(DEADLINE))
            .http_status_as_error(false) // the reason is in the body
            .proxy(None)
            .build()
            .new_agent();
        let mut driver = Self { agent, session: format!("http://127.0.0.1:{port}/"), _process: process };
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let flags = to_json(CHROMIUM_FLAGS.into_iter().chain([&*profile]).collect::<Vec<_>>());
        let options = format!(r#"{{"alwaysMatch":{{"goog:chromeOptions":{{"args":{flags}}}}}}}"#);
        let answer = driver.ask("POST", "session", &format!(r#"{{"capabilities":{options}}}"#));
        driver.session += &format!("session/{}/", string_member(&answer, "sessionId"));
        driver
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, json: &str) -> String {
        let url = format!("{}{path}", self.session);
        let response = match method {
            "GET" => self.agent.get(url).call(),
            "DELETE" => self.agent.delete(url).call(),
            _ => self.agent.post(url).send(json),
        };
        let mut response = response.expect("chromedriver answers");
        let body = response.body_mut().read_to_string().expect("chromedriver sends JSON");
        assert!(response.status().is_success(), "chromedriver refused: {}", string_member(&body, "message"));
        body
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        // Killing the driver would do. Asked first, it returns when Chromium has left its folder.
        self.agent.delete(self.session.trim_end_matches('/')).call().ok();
    }
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
    let port = receiver.recv_timeout(DEADLINE).expect("chromedriver names its port");
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

    /// The most memory that it has had so far, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it is running");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix(" kB"));
        peak.and_then(|kibibytes| kibibytes.trim().parse::<u64>().ok()).expect("Linux says so") * 1024
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

/// Reads the first member called `name` that is a string.
///
/// A search finds it: inside a JSON string every quote is escaped, so that `"name":"` is a member
/// wherever it stands. It relies on the JSON of drivers having no spaces.
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
fn members_that_are_strings() {
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
