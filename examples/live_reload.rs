//! Serves a folder to a browser, and reloads its pages when a file in it changes.
//!
//! ```text
//! cargo run --example live_reload -- site               open http://127.0.0.1:8080
//! cargo run --example live_reload -- --help             the options
//! cargo install --path . --example live_reload          to keep it
//!
//! curl -i localhost:8080/                               index.html, or a list of the files
//! curl -N localhost:8080/.live_reload/events            what pages are told: the files that have changed
//! curl    localhost:8080/.live_reload/script.js         what does it, which is put into every HTML page
//! curl -i --path-as-is localhost:8080/../secret         400, as all that would leave the folder is refused
//! ```
//!
//! A change of style sheets is swapped in, so that the page keeps its state. Each page knows the id of the last change
//! before it was read: whatever comes after reaches it, even if it comes before the stream is open. A server that
//! was restarted does not know that id, and says `reset`: that is a reason to reload, too.
//!
//! Files and folders whose names begin with a dot are neither shown nor served: `.git` and `.env` are nobody's business.
//! Files are sent whole, so large videos are better served by others.

mod say;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, mem, net::SocketAddr, thread};

use brooklet::{Channel, Content, Event, EventSource, Handler, Host, Layout, Request, Response, Status};

use say::say;

const HELP: &str = "\
Usage: live_reload [OPTIONS] [DIR]

Serves the files of DIR, or of the current folder, and reloads pages in the browser when one of them changes.

  --port N         the port; 8080, or PORT in the environment; 0 finds one that is free
  --bind ADDRESS   127.0.0.1: only this machine sees the files. With another address, such as 0.0.0.0, everybody
                   does who reaches it
  --help           this text

Names that begin with a dot are left out, and links that lead out of DIR. Changes below `node_modules` and `target`
are not looked for.";

/// How often the files are looked at; more seldom, where that takes more than a twentieth of the time.
const POLL: Duration = Duration::from_millis(250);
const REST: u32 = 20;
/// An editor or a build writes several files: so long nothing may change before pages are told …
const CALM: Duration = Duration::from_millis(100);
/// … unless it never ends.
const MOST: Duration = Duration::from_secs(2);
/// Nobody needs to know more names than that.
const MAX_NAMES: usize = 100;

/// Folders that are large, and whose contents no page shows.
const UNWATCHED: [&str; 2] = ["node_modules", "target"];

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
            eprintln!("live_reload: {sentence}; see live_reload --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("live_reload: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> brooklet::Result {
    let channel = Channel::new();
    let site = Site { root: options.root.clone(), channel: channel.clone() };
    let app = Layout::new()
        .add(".live_reload/events", EventSource::channel(&channel).retry(Duration::from_millis(500)))
        .add(
            ".live_reload/script.js",
            Content::bytes("text/javascript; charset=utf-8", include_str!("live_reload.js")),
        )
        .fallback(site);
    let known = looks(&options.root); // before anybody can read a page
    let host = Host::new(app).bind(options.address).defaults().development().console().start()?;
    if !host.address().ip().is_loopback() {
        say(format!("everybody who can reach that address can see {}\n", options.root.display()));
    }
    watch(&options.root, known, &channel)
}

struct Options {
    address: SocketAddr,
    root: PathBuf,
}

impl Options {
    /// `None` if help is wanted; or the sentence that says what is wrong.
    fn read(arguments: Vec<String>) -> Result<Option<Self>, String> {
        let mut port = env::var("PORT").ok();
        let mut address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let mut folder = None;
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match &*argument {
                "--port" => port = Some(value()?),
                "--bind" => match value()?.parse() {
                    Ok(ip) => address.set_ip(ip),
                    Err(_) => return Err(String::from("--bind is an IP address: 127.0.0.1, 0.0.0.0, ::1")),
                },
                "--help" | "-h" => return Ok(None),
                option if option.starts_with('-') => return Err(format!("there is no option {option}")),
                _ if folder.is_some() => return Err(String::from("one folder can be served")),
                _ => folder = Some(argument),
            }
        }
        if let Some(port) = port {
            address.set_port(port.parse().map_err(|_| "--port is a number from 0 to 65535")?);
        }
        let folder = folder.as_deref().unwrap_or(".");
        let root = fs::canonicalize(folder).map_err(|why| format!("{folder} cannot be served: {why}"))?;
        if !root.is_dir() {
            return Err(format!("{folder} is no folder"));
        }
        Ok(Some(Self { address, root }))
    }
}

// Serving

/// The folder, as URLs.
struct Site {
    /// Canonical, so that whatever is in it begins with it.
    root: PathBuf,
    channel: Channel,
}

impl Handler for Site {
    fn handle(&self, request: Request) -> Response {
        if !matches!(request.method(), "GET" | "HEAD") {
            return Response::method_not_allowed(request.method(), "GET, HEAD");
        }
        // Before anything is read: a change after that is one that the page has to hear of.
        let since = self.channel.last_id().unwrap_or_default();
        self.find(&request, &since).unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let text = "<h1>Not found</h1><p>There is no such file. As soon as there is one, this page shows it.";
                live(page("Not found", text).into_bytes(), &since).status(Status::NOT_FOUND)
            }
            _ => {
                let text = format!("<h1>Not readable</h1><p>{}", escape(&error.to_string()));
                live(page("Not readable", &text).into_bytes(), &since).status(Status::INTERNAL_SERVER_ERROR)
            }
        })
    }
}

impl Site {
    fn find(&self, request: &Request, since: &str) -> io::Result<Response> {
        let path = self.resolve(request)?;
        let metadata = fs::metadata(&path)?;
        if metadata.is_dir() {
            if !request.path().ends_with('/') {
                return Ok(to_slash(request));
            }
            return match self.within(&path.join("index.html")) {
                Ok(index) if index.is_file() => Ok(live(fs::read(index)?, since)),
                _ => self.list(&path, since),
            };
        }
        // What is neither file nor folder would be waited for.
        if !metadata.is_file() || request.path().ends_with('/') {
            return Err(io::ErrorKind::NotFound.into());
        }
        if is_of(&path, &["html", "htm"]) {
            return Ok(live(fs::read(path)?, since));
        }
        // With an ETag, by which the browser asks whether it has it already; and it has to ask.
        Ok(Content::file(path)?.handle(request.clone()).header("Cache-Control", "no-cache"))
    }

    /// The file that a path means, in the folder. The host has refused `..`, and slashes, backslashes and NUL within
    /// a segment, however they were encoded.
    fn resolve(&self, request: &Request) -> io::Result<PathBuf> {
        let mut path = self.root.clone();
        for segment in request.target().segments() {
            // One name, also to a system where `C:` would be a drive.
            let mut components = Path::new(segment).components();
            match (components.next(), components.next()) {
                (Some(Component::Normal(name)), None) if is_shown(segment) => path.push(name),
                _ => return Err(io::ErrorKind::NotFound.into()),
            }
        }
        self.within(&path)
    }

    /// The file itself, whatever links lead to it, if that is in the folder and nothing on the way is hidden.
    fn within(&self, path: &Path) -> io::Result<PathBuf> {
        let path = fs::canonicalize(path).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => error,
            _ => io::ErrorKind::NotFound.into(), // below a file, say, or by a link to itself
        })?;
        match path.strip_prefix(&self.root) {
            Ok(below) if below.iter().all(|name| is_shown(&name.to_string_lossy())) => Ok(path),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, folder: &Path, since: &str) -> io::Result<Response> {
        let below = folder.strip_prefix(&self.root).unwrap_or(folder);
        let name = self.root.file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy());
        let title = Path::new(&*name).join(below).display().to_string();
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = self.within(&entry.path()).and_then(fs::metadata);
            // What cannot be had is not offered.
            if let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), metadata) {
                if is_shown(&name) {
                    entries.push((!metadata.is_dir(), name, metadata));
                }
            }
        }
        entries.sort_by_key(|(is_file, name, _)| (*is_file, name.to_lowercase()));
        let mut rows = format!("<h1>{}</h1>\n<ul>\n", escape(&title));
        if folder != self.root {
            rows.push_str("<li><a href=\"../\">../</a></li>\n");
        }
        for (is_file, name, metadata) in &entries {
            let slash = if *is_file { "" } else { "/" };
            let size = if *is_file { size(metadata.len()) } else { String::new() };
            let (url, name, time) = (encode(name), escape(name), milliseconds(metadata));
            writeln!(
                rows,
                "<li><a href=\"./{url}{slash}\">{name}{slash}</a> <span>{size}</span> <time data-time=\"{time}\"></time></li>"
            )
            .expect("a String takes everything");
        }
        rows.push_str(if entries.is_empty() { "</ul>\n<p>This folder is empty." } else { "</ul>" });
        Ok(live(page(&title, &rows).into_bytes(), since))
    }
}

fn is_shown(name: &str) -> bool {
    // On Windows a colon leads to another stream of a file.
    let is_hidden = name.starts_with('.') || (cfg!(windows) && name.contains(':'));
    !is_hidden
}

/// Sends `/name?query` to `/name/?query`, so that relative links in there work.
fn to_slash(request: &Request) -> Response {
    let target = request.raw_target();
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let name = path.rsplit('/').next().unwrap_or_default();
    Response::new(Status::PERMANENT_REDIRECT).header("Location", format!("./{name}/{query}"))
}

/// An HTML page that knows since when it has to be told of changes.
fn live(mut page: Vec<u8>, since: &str) -> Response {
    let tag = format!("<script src=\"/.live_reload/script.js\" data-since=\"{since}\"></script>\n");
    // At its end, where it delays nothing. Bytes, since nobody knows what the page is written in.
    let end = page.windows(7).rposition(|bytes| bytes.eq_ignore_ascii_case(b"</body>")).unwrap_or(page.len());
    page.splice(end..end, tag.into_bytes());
    Response::bytes("text/html; charset=utf-8", page).header("Cache-Control", "no-store")
}

/// A page of our own.
fn page(title: &str, content: &str) -> String {
    let (before, rest) = PAGE.split_once("{title}").expect("it is in there");
    let (between, after) = rest.split_once("{content}").expect("it is in there");
    [before, &escape(title), between, content, after].concat()
}

const PAGE: &str = include_str!("live_reload.html");

fn escape(text: &str) -> String {
    let quote = |char| match char {
        '&' => String::from("&amp;"),
        '<' => String::from("&lt;"),
        '"' => String::from("&quot;"),
        other => String::from(other),
    };
    text.chars().map(quote).collect()
}

/// A name as a segment of a URL.
fn encode(name: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(encode).collect()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=9_999_999 => format!("{} KB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// When a file was changed, as JavaScript counts it.
fn milliseconds(metadata: &Metadata) -> u128 {
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    changed.unwrap_or_default().as_millis()
}

fn is_of(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    extensions.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

// Watching

/// What a file looks like from outside; nothing for a folder.
type Look = Option<(Option<SystemTime>, u64)>;

/// Publishes what is another than was known, as long as the program runs.
fn watch(root: &Path, mut known: BTreeMap<String, Look>, channel: &Channel) -> brooklet::Result {
    loop {
        let started = Instant::now();
        let mut seen = looks(root);
        let cost = started.elapsed();
        if seen == known {
            thread::sleep(POLL.max(cost * REST));
            continue;
        }
        loop {
            thread::sleep(CALM.max(cost));
            let before = mem::replace(&mut seen, looks(root));
            if seen == before || started.elapsed() > MOST {
                break;
            }
        }
        let changed = differences(&known, &seen);
        known = seen;
        if !changed.is_empty() {
            say(format!("changed: {}\n", changed.join(", ")));
            channel.publish(Event::new(changed).event_type("change"))?;
        }
    }
}

/// The names of what is there in one and not, or different, in the other.
fn differences(before: &BTreeMap<String, Look>, after: &BTreeMap<String, Look>) -> Vec<String> {
    let is_other = |name: &&String| before.get(*name) != after.get(*name);
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    after.keys().filter(is_other).chain(gone).take(MAX_NAMES).cloned().collect()
}

/// All files and folders that can be served, by their names below the root.
fn looks(root: &Path) -> BTreeMap<String, Look> {
    let mut looks = BTreeMap::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        // What cannot be read, or is gone by now, is not there.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !is_shown(&name) {
                continue;
            }
            let path = format!("{prefix}{name}");
            // A link to a folder is not followed: it may lead round in a circle.
            if entry.file_type().map_or(false, |kind| kind.is_dir()) {
                if !UNWATCHED.contains(&&*name) {
                    folders.push((entry.path(), format!("{path}/")));
                }
                looks.insert(path + "/", None);
            } else if let Ok(metadata) = fs::metadata(entry.path()) {
                looks.insert(path, Some((metadata.modified().ok(), metadata.len())));
            }
        }
    }
    looks
}
