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
//! All that a page asks for is relative to it, so that a proxy may serve the site below a path of its own.

mod cli;
mod say;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{mem, thread};

use brooklet::{Channel, Content, Event, EventSource, Handler, Host, Layout, Request, Response, Status};
use say::say;

/// How often the files are looked at; more seldom, where that takes more than a twentieth of the time.
const POLL: Duration = Duration::from_millis(250);
const REST: u32 = 20;
/// An editor or a build writes several files: so long nothing may change before pages are told …
const CALM: Duration = Duration::from_millis(100);
/// … unless it never ends.
const MOST: Duration = Duration::from_secs(2);
/// Nobody needs to know more names than that.
const MAX_NAMES: usize = 100;

/// Longer pages are sent as they are, without the script.
const MAX_PAGE: u64 = 16 * 1024 * 1024;

/// Folders that are large, and whose contents no page shows.
const UNWATCHED: [&str; 2] = ["node_modules", "target"];

fn main() -> ExitCode {
    let about = "\
Serves the files of DIR, or of the current folder, and reloads pages in the browser when one of them changes.

Names that begin with a dot are left out, and links that lead out of DIR. Changes below `node_modules` and `target`
are not looked for.";
    let cli = cli::Cli::read("live_reload [OPTIONS] [DIR]", about, &[]);
    let folder = match &*cli.operands() {
        [] => PathBuf::from("."),
        [folder, ..] => folder.clone(),
    };
    let cannot = |why| cli.refuse(format_args!("{} cannot be served: {why}", folder.display()));
    let root = fs::canonicalize(&folder).unwrap_or_else(cannot);
    if !root.is_dir() {
        cli.refuse(format_args!("{} is no folder", folder.display()));
    }
    cli.end(serve(&cli, &root))
}

fn serve(cli: &cli::Cli, root: &Path) -> brooklet::Result {
    let channel = Channel::new();
    let site = Site { root: root.to_owned(), files: Content::folder(root)?, channel: channel.clone() };
    let app = Layout::new()
        .add(".live_reload/events", EventSource::channel(&channel).retry(Duration::from_millis(500)))
        .add(
            ".live_reload/script.js",
            Content::bytes("text/javascript; charset=utf-8", include_str!("live_reload.js")),
        )
        .fallback(site);
    let known = looks(root); // before anybody can read a page
    let _host = cli.apply(Host::new(app)).defaults().development().console().start()?;
    watch(root, known, &channel)
}

// Serving

/// The folder, as URLs.
struct Site {
    /// Canonical, so that whatever is in it begins with it.
    root: PathBuf,
    /// What of it is anybody's business.
    files: Content,
    channel: Channel,
}

impl Handler for Site {
    fn handle(&self, request: Request) -> Response {
        // Before anything is read: a change after that is one that the page has to hear of.
        let live = Live::of(&request, self.channel.last_id().unwrap_or_default());
        let answer = self.files.handle(request.clone());
        let path: PathBuf = request.target().segments().collect();
        let is_page = answer.header_value("Content-Type").map_or(false, |it| it.starts_with("text/html"));
        match answer.status_code() {
            Status::OK if is_page => {
                let mut file = self.root.join(path);
                if request.path().ends_with('/') {
                    file.push("index.html");
                }
                match read_page(&file) {
                    Some(page) => live.page(page),
                    None => answer,
                }
            }
            // With an ETag, by which the browser asks whether it has it already; and it has to ask.
            Status::OK => answer.header("Cache-Control", "no-cache"),
            Status::NOT_FOUND => self.list(&path, &request, &live).unwrap_or_else(|_| {
                let text = "<h1>Not found</h1><p>There is no such file. As soon as there is one, this page shows it.";
                live.own_page("Not found", text).status(Status::NOT_FOUND)
            }),
            Status::INTERNAL_SERVER_ERROR => {
                let text = "<h1>Not readable</h1><p>The file is there, but cannot be read.";
                live.own_page("Not readable", text).status(Status::INTERNAL_SERVER_ERROR)
            }
            _ => answer,
        }
    }
}

/// A page that was found to be one. What is too large to be one that somebody wrote is sent as it is.
fn read_page(path: &Path) -> Option<Vec<u8>> {
    let mut page = Vec::new();
    let length = fs::File::open(path).ok()?.take(MAX_PAGE + 1).read_to_end(&mut page).ok()?;
    (length as u64 <= MAX_PAGE).then_some(page)
}

/// The file itself, whatever links lead to it, if that is in the folder and nothing on the way is hidden.
fn within(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let path = fs::canonicalize(path)?;
    match path.strip_prefix(root) {
        Ok(below) if below.iter().all(|name| is_shown(&name.to_string_lossy())) => Ok(path),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

impl Site {
    /// What is in a folder that has no page of its own.
    fn list(&self, below: &Path, request: &Request, live: &Live) -> io::Result<Response> {
        if !request.path().ends_with('/') {
            return Err(io::ErrorKind::NotFound.into());
        }
        let folder = &within(&self.root, &self.root.join(below))?;
        let name = self.root.file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy());
        let title = Path::new(&*name).join(below).display().to_string();
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = within(&self.root, &entry.path()).and_then(fs::metadata);
            // What cannot be had is not offered.
            if let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), metadata) {
                if is_shown(&name) {
                    entries.push((!metadata.is_dir(), name, metadata));
                }
            }
        }
        entries.sort_by_key(|(is_file, name, _)| (*is_file, name.to_lowercase()));
        let mut rows = format!("<h1>{}</h1>\n<ul>\n", escape(&title));
        if *folder != self.root {
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
        Ok(live.own_page(&title, &rows))
    }
}

fn is_shown(name: &str) -> bool {
    // On Windows a colon leads to another stream of a file.
    let is_hidden = name.starts_with('.') || (cfg!(windows) && name.contains(':'));
    !is_hidden
}

/// What makes a page of this one that is told of changes.
struct Live {
    /// The way from the page to the root, which may be anywhere below a proxy's.
    up: String,
    /// The last change before it was read.
    since: String,
}

impl Live {
    fn of(request: &Request, since: String) -> Self {
        let depth = request.path().matches('/').count().saturating_sub(1);
        Self { up: if depth == 0 { String::from("./") } else { "../".repeat(depth) }, since }
    }

    /// A page with the script that is told. Bytes, since nobody knows what it is written in.
    fn page(&self, mut page: Vec<u8>) -> Response {
        let (up, since) = (&self.up, &self.since);
        let tag = format!(
            "<script src=\"{up}.live_reload/script.js\" data-up=\"{up}\" data-since=\"{since}\" async></script>\n"
        );
        let find = |text: &[u8]| page.windows(text.len()).position(|bytes| bytes.eq_ignore_ascii_case(text));
        let last = |text: &[u8]| page.windows(text.len()).rposition(|bytes| bytes.eq_ignore_ascii_case(text));
        // Behind `<base>`, all that is relative would be elsewhere.
        let base = find(b"<base").filter(|base| find(b"<script").map_or(true, |script| *base < script));
        let place = base.or_else(|| last(b"</body>")).unwrap_or(page.len());
        page.splice(place..place, tag.into_bytes());
        Response::bytes("text/html; charset=utf-8", page).header("Cache-Control", "no-store")
    }

    /// A page of our own.
    fn own_page(&self, title: &str, content: &str) -> Response {
        let (before, rest) = PAGE.split_once("{title}").expect("it is in there");
        let (between, after) = rest.split_once("{content}").expect("it is in there");
        self.page([before, &escape(title), between, content, after].concat().into_bytes())
    }
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
            say(format!("changed: {}\n", cli::printable(&changed.join(", "))));
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
    let mut folders = vec![(root.to_owned(), String::new(), false)];
    while let Some((folder, prefix, is_linked)) = folders.pop() {
        // What cannot be read, or is gone by now, is not there.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let (path, metadata) = (format!("{prefix}{name}"), fs::metadata(entry.path()));
            match metadata {
                _ if !is_shown(&name) => {}
                Ok(metadata) if metadata.is_dir() => {
                    // A link may lead round in a circle: behind one, no other is followed, and none leads upwards.
                    let is_link = entry.file_type().map_or(true, |kind| kind.is_symlink());
                    let real = within(root, &entry.path());
                    let is_followed =
                        !is_link || (!is_linked && real.map_or(false, |real| !folder.starts_with(real)));
                    if is_followed && !UNWATCHED.contains(&&*name) {
                        folders.push((entry.path(), format!("{path}/"), is_link || is_linked));
                    }
                    looks.insert(path + "/", None);
                }
                Ok(metadata) => drop(looks.insert(path, Some((metadata.modified().ok(), metadata.len())))),
                Err(_) => {}
            }
        }
    }
    looks
}
