//! A log viewer: lines of standard input, of files and of those who publish, live in a browser.
//!
//! ```text
//! tail -f app.log | cargo run --example pipe            open http://127.0.0.1:8080
//! cargo run --example pipe -- app.log nginx.log         two files, followed as by tail -F
//! make 2>&1 | cargo run --example pipe -- --name build --tee --exit
//! cargo run --example pipe -- --help                    the rest of the options
//! cargo install --path . --example pipe                 to keep it
//!
//! curl -N localhost:8080/events                         what the page gets: history, then lines, many in an event
//! curl    localhost:8080/history                        the lines that are remembered, as text, …
//! curl    'localhost:8080/history?name=app.log'         … those of one input
//! curl    'localhost:8080/publish?name=deploy' -H 'Authorization: Bearer SECRET' --data-binary 'v1.2 is out'
//! ```
//!
//! The last one needs `--token SECRET`. Every line has a number, so that the page knows what it has already and
//! how many it has missed. Lines arrive in batches, twenty a second: a browser has less to do with one event of a
//! thousand lines than with a thousand events. When lines come faster than can be shown, the page is spared some of
//! them, and says how many.

mod input;
mod log;
#[path = "../say/mod.rs"]
mod say;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, thread};

use brooklet::{Channel, Content, Event, EventSource, Host, Layout, Notice, Request, Response, Status};

use input::Lines;
use log::{Kind, Log};
use say::say;

const HELP: &str = "\
Usage: pipe [OPTIONS] [[--name NAME] FILE]...

Shows lines of standard input, and of files, live in a browser.

A FILE is followed through truncation and rotation, as by `tail -F`; one that is not there is waited for.
`-` is standard input, which is also read if there is no FILE.

  --name NAME      what to call the input that comes next
  --port N         the port; 8080, or PORT in the environment; 0 finds one that is free
  --bind ADDRESS   127.0.0.1: only this machine can read along. With another address, such as 0.0.0.0,
                   everybody can who reaches it: there is no password
  --history N      how many lines a page begins with; 5000, at most 50000
  --token TOKEN    lets those who know it POST lines to /publish; PIPE_TOKEN in the environment hides it from `ps`
  --tee            copies standard input to standard output
  --exit           ends when standard input does; otherwise the page stays
  --help           this text

Of a line longer than 8 KiB the rest is left out. What follows a carriage return replaces what is before it, as in
a terminal. Bytes that are not UTF-8 are shown as \u{fffd}.";

/// How many lines are remembered at most.
const MAX_LINES: usize = 50_000;
/// How often an event is published while lines come.
const BATCH_TIME: Duration = Duration::from_millis(50);

/// Whoever publishes may make up names, but not for ever.
const MAX_NAMES: usize = 64;
const MAX_NAME: usize = 40;

fn main() -> ExitCode {
    let arguments: Result<Vec<_>, _> =
        env::args_os().skip(1).map(|argument| argument.into_string()).collect();
    let options = arguments.map_err(|_| String::from("an argument is not UTF-8")).and_then(Options::read);
    let result = match options {
        Ok(Some(options)) => serve(options),
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(sentence) => {
            eprintln!("pipe: {sentence}; see pipe --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> brooklet::Result {
    let names: Vec<_> = options.inputs.iter().map(|input| Arc::clone(&input.name)).collect();
    let log = Arc::new(Log::new(names.clone()));
    // Who comes back is sent what it has missed; if that is too much, and at first, what is remembered.
    let channel = Channel::setup()
        .history_events(1024)
        .history_bytes(8 * 1024 * 1024)
        .snapshot({
            let (log, lines) = (Arc::clone(&log), options.history);
            move || Event::new(log.last(lines)).event_type("history")
        })
        .open();
    let app = Layout::new()
        .index(Content::html(include_str!("pipe.html")))
        .add("events", EventSource::channel(&channel).retry(Duration::from_secs(1)))
        .add("history", {
            let log = Arc::clone(&log);
            move |request: Request| Response::text(log.text(request.query("name")))
        })
        .add("publish", {
            let (log, token) = (Arc::clone(&log), options.token);
            move |request: Request| {
                publish(&log, token.as_deref(), &request).unwrap_or_else(|refusal| refusal)
            }
        });
    let host = Host::new(app).bind(options.address).defaults().log(complain).start()?;
    say(format!("pipe: {} at http://{}/\n", names.join(", "), host.address()));
    if !host.address().ip().is_loopback() {
        say("pipe: everybody who can reach that address can read along\n");
    }

    let old = options.history / options.inputs.len(); // so that one file leaves something to the others
    for Input { name, path } in options.inputs {
        let log = Arc::clone(&log);
        let (tee, exit) = (options.tee, options.exit);
        thread::Builder::new().spawn(move || match path {
            Some(path) => input::follow(&log, &name, &path, old),
            None => {
                input::read_stdin(&log, &name, tee);
                if exit {
                    log.end();
                }
            }
        })?;
    }
    let mut sent = 0;
    while let Some(batch) = log.next_batch(&mut sent) {
        channel.publish(Event::new(batch).event_type("lines"))?;
        thread::sleep(BATCH_TIME); // the first line after a silence has not waited; what comes with it does
    }
    // The pages are told that this is the end, and stay as they are.
    channel.catch_up(0, Duration::from_secs(5));
    channel.close();
    let deadline = Instant::now() + Duration::from_secs(5);
    while channel.subscribers() > 0 && Instant::now() < deadline {
        thread::sleep(BATCH_TIME);
    }
    host.stop();
    say::finish();
    Ok(())
}

/// What goes wrong on the way to a browser. What goes well would only be in the way of the lines.
fn complain(notice: &Notice) {
    if matches!(notice, Notice::Failed { .. } | Notice::CannotAccept { .. } | Notice::Full { .. }) {
        say(format!("pipe: {notice}\n"));
    }
}

fn publish(log: &Log, token: Option<&str>, request: &Request) -> Result<Response, Response> {
    if request.method() != "POST" {
        return Err(Response::method_not_allowed(request.method(), "POST"));
    }
    let token =
        token.ok_or_else(|| Response::explain(Status::FORBIDDEN, "only with --token is there publishing"))?;
    let given = request.header("Authorization").and_then(|value| value.split_once(' '));
    if !matches!(given, Some((scheme, given)) if scheme.eq_ignore_ascii_case("Bearer") && is_same(given, token))
    {
        let refusal =
            Response::explain(Status::UNAUTHORIZED, "Authorization: Bearer and the token are missing");
        return Err(refusal.header("WWW-Authenticate", "Bearer"));
    }
    let bad = |sentence: &str| Response::explain(Status::BAD_REQUEST, sentence);
    let name = request.query("name").unwrap_or("published");
    if !is_name(name) {
        return Err(bad("a name is one line of 1 to 40 characters"));
    }
    let mut lines = Lines::default();
    let mut texts = lines.feed(request.body());
    texts.extend(lines.end());
    if texts.is_empty() {
        return Err(bad("there is no line in the body"));
    }
    let name: Arc<str> = name.into();
    let mut state = log.state();
    if !state.names.contains(&name) {
        if state.names.len() == MAX_NAMES {
            return Err(bad("there are too many names already"));
        }
        state.names.push(Arc::clone(&name));
    }
    drop(state);
    log.add(&name, Kind::New, texts);
    Ok(Response::new(Status::NO_CONTENT))
}

/// Takes as long for a good guess as for a bad one.
fn is_same(given: &str, token: &str) -> bool {
    let differences = given.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == token.len() && differences == 0
}

struct Options {
    address: SocketAddr,
    history: usize,
    token: Option<String>,
    tee: bool,
    exit: bool,
    inputs: Vec<Input>,
}

struct Input {
    name: Arc<str>,
    /// Of a file; none is standard input's.
    path: Option<PathBuf>,
}

impl Options {
    /// `None` if help is wanted; or the sentence that says what is wrong.
    fn read(arguments: Vec<String>) -> Result<Option<Self>, String> {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let token = env::var("PIPE_TOKEN").ok();
        let mut options = Self { address, history: 5000, token, tee: false, exit: false, inputs: Vec::new() };
        if let Ok(port) = env::var("PORT") {
            options.address.set_port(number("PORT", &port, u16::MAX.into())? as u16);
        }
        let mut name = None;
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match &*argument {
                "--name" => name = Some(value()?),
                "--port" => options.address.set_port(number("--port", &value()?, u16::MAX.into())? as u16),
                "--bind" => match value()?.parse() {
                    Ok(address) => options.address.set_ip(address),
                    Err(_) => {
                        return Err(String::from("--bind takes an IP address: 127.0.0.1, 0.0.0.0, ::1"))
                    }
                },
                "--history" => options.history = number("--history", &value()?, MAX_LINES)?,
                "--token" => options.token = Some(value()?),
                "--tee" => options.tee = true,
                "--exit" => options.exit = true,
                "--help" | "-h" => return Ok(None),
                "-" => options.add(name.take(), None)?,
                option if option.starts_with('-') => return Err(format!("there is no option {option}")),
                file => options.add(name.take(), Some(PathBuf::from(file)))?,
            }
        }
        if options.inputs.is_empty() {
            options.add(name.take(), None)?;
        }
        if name.is_some() {
            return Err(String::from("--name is about the FILE behind it, and there is none"));
        }
        let is_token = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if matches!(&options.token, Some(token) if !is_token(token)) {
            return Err(String::from(
                "a token is made of letters, digits and signs of ASCII, without spaces",
            ));
        }
        if (options.tee || options.exit) && options.inputs.iter().all(|input| input.path.is_some()) {
            return Err(String::from(
                "--tee and --exit are about standard input; `-` adds that to the files",
            ));
        }
        Ok(Some(options))
    }

    fn add(&mut self, name: Option<String>, path: Option<PathBuf>) -> Result<(), String> {
        let named_after = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.or_else(|| path.as_deref().map_or(Some(String::from("stdin")), named_after));
        let name = match name.filter(|name| is_name(name)) {
            Some(name) => name,
            None => return Err(format!("a --name is one line of 1 to {MAX_NAME} characters")),
        };
        if matches!(&path, Some(path) if path.is_dir()) {
            return Err(format!("{name} is a folder"));
        }
        if self.inputs.iter().any(|input| *input.name == *name || (input.path.is_none() && path.is_none())) {
            return Err(format!("two inputs are called {name}, or the same; --name tells files apart"));
        }
        self.inputs.push(Input { name: name.into(), path });
        Ok(())
    }
}

fn number(what: &str, text: &str, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| format!("{what} is a number from 0 to {most}"))
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}
