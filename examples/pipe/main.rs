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
//! how many it has missed. Lines arrive in pieces, twenty times a second: a browser has less to do with one event of a
//! thousand lines than with a thousand events. When lines come faster than can be shown, the page is spared some of
//! them, and says how many. No event is longer than 64 KiB, which is what Go's scanner reads as a line, for one.
//!
//! Whoever comes is sent what was published before by the generator, piece by piece as fast as it is taken, and then
//! follows the channel: however large the history is and however slow its readers are, each has a piece in memory.

#[path = "../cli/mod.rs"]
mod cli;
mod input;
mod log;
#[path = "../names/mod.rs"]
mod names;
#[path = "../say/mod.rs"]
mod say;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use brooklet::{
    Channel, Content, Event, EventConnection, EventSource, Host, Layout, Notice, Request, Response, Status,
};

use cli::{Cli, Declared};
use input::Lines;
use log::{Kind, Log};
use names::is_name;
use say::say;

/// How many lines are remembered at most.
const MAX_LINES: usize = 50_000;
/// How often events are published while lines come, and of how many lines. More than that nobody can read.
const BEAT: Duration = Duration::from_millis(50);
const BEAT_LINES: usize = 2000;

/// Whoever publishes may make up names, but not for ever.
const MAX_NAMES: usize = 64;
const MAX_NAME: usize = 40;
const NAMES: &str = "a name is one line of 1 to 40 characters that can be seen";
/// In one request: it is not to push out what is remembered of others.
const MAX_PUBLISHED: usize = 1000;

const ABOUT: &str = "\
Shows lines of standard input, and of files, live in a browser.

A FILE is followed through truncation and rotation, as by `tail -F`; one that is not there is waited for.
`-` is standard input, which is also read if there is no FILE.

Of a line longer than 8 KiB the rest is left out. What follows a carriage return replaces what is before it, as in
a terminal. Bytes that are not UTF-8 are shown as \u{fffd}.";

const OPTIONS: [Declared; 5] = [
    ("--name NAME", "what to call the input that comes next"),
    ("--history N", "how many lines a page begins with; 5000, at most 50000"),
    (
        "--token TOKEN",
        "lets those who know it POST lines to /publish; PIPE_TOKEN in the environment hides it from `ps`",
    ),
    ("--tee", "copies standard input to standard output"),
    ("--exit", "ends when standard input does; otherwise the page stays"),
];

fn main() -> ExitCode {
    let cli = Cli::read("pipe [OPTIONS] [[--name NAME] FILE]...", ABOUT, &OPTIONS);
    let options = Options::read(&cli).unwrap_or_else(|why| cli.refuse(why));
    cli.end(serve(&cli, options))
}

fn serve(cli: &Cli, options: Options) -> brooklet::Result {
    let names: Vec<_> = options.inputs.iter().map(|input| Arc::clone(&input.name)).collect();
    let log = Arc::new(Log::new(names.clone()));
    // Ids say the run, since line numbers begin anew with it, and the number of the line behind the event.
    let run = format!("{:012x}", RandomState::new().build_hasher().finish() >> 16);
    let channel = Channel::setup().own_ids().open();
    let app = Layout::new()
        .index(Content::html(include_str!("pipe.html")))
        .add("shared.js", Content::event_source_script())
        .add("events", {
            let (log, channel, history) = (Arc::clone(&log), channel.clone(), options.history);
            let run = run.clone();
            EventSource::new(move |connection| send(connection, &log, &channel, &run, history))
                .retry(Duration::from_secs(1))
        })
        .add("history", {
            let log = Arc::clone(&log);
            move |request: Request| {
                let (log, name) = (Arc::clone(&log), request.query("name").map(str::to_owned));
                Response::stream("text/plain; charset=utf-8", move |out| {
                    let (mut from, end) = (0, log.state().next());
                    while let Some(text) = log.text(name.as_deref(), &mut from, end) {
                        out.write_all(text.as_bytes())?;
                    }
                    Ok(())
                })
            }
        })
        .add("publish", {
            let (log, token, inputs) = (Arc::clone(&log), options.token, names.clone());
            move |request: Request| {
                publish(&log, &inputs, token.as_deref(), &request).unwrap_or_else(|refusal| refusal)
            }
        });
    let host = cli.apply(Host::new(app)).defaults().log(complain).start()?;
    say(format!("pipe: {} at http://{}/\n", names.join(", "), host.address()));

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
    let mut left = MAX_LINES; // what is there already need not wait
    while let Some(piece) = log.next_piece() {
        let id = format!("{run}-{}", piece.end());
        channel.publish(Event::new(&piece).event_type("lines").id(id))?;
        log.set_published(&piece);
        left = left.saturating_sub(piece.lines());
        // The first line after a silence has not waited; what comes with it does.
        if left == 0 || !piece.has_more() {
            thread::sleep(BEAT);
            left = BEAT_LINES;
        }
    }
    // The pages are told that this is the end, and stay as they are.
    channel.close_within(Duration::from_secs(5));
    host.stop();
    say::finish();
    Ok(())
}

/// Sends what was published and the client has not seen, and then lets it follow the channel.
fn send(
    connection: &mut EventConnection,
    log: &Log,
    channel: &Channel,
    run: &str,
    history: usize,
) -> brooklet::Result {
    let seen =
        connection.last_event_id().and_then(|id| id.strip_prefix(run)?.strip_prefix('-')?.parse().ok());
    let mut from = seen.ok_or(history);
    loop {
        let id = from.ok().filter(|from| *from > 0).map(|from| format!("{run}-{from}"));
        if from.is_ok() && connection.follow_after(channel, id.as_deref())? {
            return Ok(());
        }
        let piece = log.published(from);
        let id = format!("{run}-{}", piece.end());
        if from != Ok(piece.end()) {
            connection.send(Event::new(&piece).event_type("history").id(id))?;
            from = Ok(piece.end());
        } else {
            connection.wait(BEAT)?; // the channel has just gone on
        }
    }
}

/// What goes wrong on the way to a browser. What goes well would only be in the way of the lines.
fn complain(notice: &Notice) {
    if matches!(notice, Notice::Failed { .. } | Notice::CannotAccept { .. } | Notice::Full { .. }) {
        say(format!("pipe: {notice}\n"));
    }
}

fn publish(
    log: &Log,
    inputs: &[Arc<str>],
    token: Option<&str>,
    request: &Request,
) -> Result<Response, Response> {
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
    if !is_name(name, MAX_NAME) {
        return Err(bad(NAMES));
    }
    if inputs.iter().any(|input| **input == *name) {
        return Err(bad("that is the name of an input"));
    }
    let mut lines = Lines::default();
    let mut texts = lines.feed(request.body());
    texts.extend(lines.end());
    if texts.is_empty() {
        return Err(bad("there is no line in the body"));
    }
    if texts.len() > MAX_PUBLISHED {
        return Err(bad("a body has at most 1000 lines"));
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
    /// Or the sentence that says what is wrong.
    fn read(cli: &Cli) -> Result<Self, String> {
        let mut options = Self {
            history: cli.number("--history", 0..=MAX_LINES as u64).unwrap_or(5000) as usize,
            token: cli.text("--token").or_else(|| env::var("PIPE_TOKEN").ok()),
            tee: cli.is_set("--tee"),
            exit: cli.is_set("--exit"),
            inputs: Vec::new(),
        };
        // A name is about the input behind it.
        let mut name = None;
        for (option, value) in &cli.given {
            match *option {
                "--name" => name = Some(value.to_string_lossy().into_owned()),
                "" => options.add(name.take(), (value != "-").then(|| PathBuf::from(value)))?,
                _ => {}
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
        Ok(options)
    }

    fn add(&mut self, name: Option<String>, path: Option<PathBuf>) -> Result<(), String> {
        let named_after = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.or_else(|| path.as_deref().map_or(Some(String::from("stdin")), named_after));
        let name = match name.filter(|name| is_name(name, MAX_NAME)) {
            Some(name) => name,
            None => return Err(format!("--name: {NAMES}")),
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
