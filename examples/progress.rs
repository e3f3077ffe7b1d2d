//! A long job, and everybody who watches it: SHA-256 of all files in a folder, with a bar here and in each browser.
//!
//! Run `cargo run --release --example progress -- FOLDER` and open <http://127.0.0.1:8080> in several windows,
//! one of them late; `--help` names the options. With `--rate 500` there is more time to look.
//!
//! ```text
//! curl -N  localhost:8080/events        how it stands, then each step, and at the end `finish`, …
//! curl -i  localhost:8080/events        … after which it is 204: nothing to come
//! curl     localhost:8080/result        what came of it, as JSON; 404 before the end
//! curl     localhost:8080/SHA256SUMS    the same as `sha256sum` writes it, for `sha256sum --check`
//! ```
//!
//! The bar in the terminal and those in the browsers are drawn from the same steps. Of these the channel keeps the latest,
//! and of what could not be read each: so a browser that comes late, or is slow, has the state as it is. After the end
//! none comes back, and a page that is loaded then shows the result.

mod cli;
mod say;
mod sha256;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use brooklet::{
    json_object, to_json, Channel, Content, Event, EventSource, Host, Layout, Request, Response, Status,
};
use say::say;
use sha256::Sha256;

/// Between two steps; a bar that moves more often is no smoother.
const PAUSE: Duration = Duration::from_millis(100);
/// The rate is that of so many of the last steps.
const REMEMBERED: usize = 30;
/// Of what could not be read; more of it are counted.
const MAX_TROUBLES: usize = 100;

fn main() -> ExitCode {
    let about = "\
Computes the SHA-256 of all files in FOLDER, and shows how far it is, here and in a browser.

It writes the sums to standard output when it is done. What is neither a file nor a folder is left out, and links
to folders are not followed. With --exit, the exit code is 1 if something could not be read.";
    let cli = cli::Cli::read(
        "progress [OPTIONS] FOLDER",
        about,
        &[
            ("--rate N", "read at most N KiB a second"),
            ("--quiet", "no bar in the terminal"),
            ("--exit", "end with the job, in place of showing its result until Ctrl-C"),
        ],
    );
    let folder = match &*cli.operands() {
        [] => cli.refuse("a FOLDER is missing"),
        [folder, ..] => folder.clone(),
    };
    if let Err(why) = fs::metadata(&folder) {
        cli.refuse(format_args!("cannot read {}: {why}", folder.display()));
    }
    let rate = cli.number("--rate", 1..=u32::MAX.into()).map(|kibibytes| kibibytes * 1024);
    let board = Board::new(cli.is_set("--quiet"));
    let host = match cli.apply(Host::new(board.layout())).defaults().start() {
        Ok(host) => host,
        Err(error) => return cli.end(Err(error)),
    };
    say(format!("watch it at http://{}\n", host.address()));

    let mut job = Job::new(&board, rate);
    job.run(&folder);
    let troubles = job.step.troubles;
    board.finish(job);
    if !cli.is_set("--exit") {
        say(format!("the result is at http://{} until Ctrl-C\n", host.address()));
        loop {
            thread::park(); // pages are served by other threads
        }
    }
    board.channel.close_within(Duration::from_secs(2)); // the last word shall arrive
    host.stop();
    say::finish();
    ExitCode::from(u8::from(troubles > 0))
}

/// How it stands. Each event is one of these, and so is each bar.
#[derive(Clone)]
struct Step {
    phase: &'static str,
    files: u64,
    of_files: u64,
    bytes: u64,
    of_bytes: u64,
    /// In bytes a second.
    rate: Option<f64>,
    elapsed: Duration,
    remaining: Option<Duration>,
    current: String,
    troubles: usize,
}
json_object!(Step { phase, files, of_files, bytes, of_bytes, rate, elapsed, remaining, current, troubles });

struct Trouble {
    path: String,
    why: String,
}
json_object!(Trouble { path, why });

struct Sum {
    path: String,
    bytes: u64,
    sha256: String,
}
json_object!(Sum { path, bytes, sha256 });

struct State {
    step: Step,
    troubles: Vec<Trouble>,
}
json_object!(State { step, troubles });

/// Where the job writes, and everybody reads.
struct Board {
    channel: Channel,
    result: Arc<Mutex<Option<Arc<Outcome>>>>,
    is_quiet: bool,
}

/// The end of a job, ready to be sent.
struct Outcome {
    json: String,
    sums: String,
}

impl Board {
    fn new(is_quiet: bool) -> Self {
        Self { channel: Channel::setup().latest().open(), result: Arc::default(), is_quiet }
    }

    fn layout(&self) -> Layout {
        let result = |answer: fn(&Outcome) -> Response| {
            let result = Arc::clone(&self.result);
            move |_: Request| match lock(&result).clone() {
                Some(outcome) => answer(&outcome),
                None => Response::explain(Status::NOT_FOUND, "the job is not done yet"),
            }
        };
        Layout::new()
            .index(Content::html(include_str!("progress.html")))
            .add("shared.js", Content::event_source_script())
            .add("events", EventSource::channel(&self.channel))
            .add("result", result(|outcome| Response::json(outcome.json.clone())))
            .add("SHA256SUMS", result(|outcome| Response::text(outcome.sums.clone())))
    }

    fn tell(&self, step: &Step) {
        self.channel.publish(Event::new(step).event_type("step")).expect("it is open, and one line");
        self.draw(&format!("\r{}\x1b[K", step.bar()));
    }

    fn complain(&self, Trouble { path, why }: &Trouble) {
        self.draw("\r\x1b[K");
        say(format!("progress: {}: {why}\n", cli::printable(path)));
    }

    fn tell_trouble(&self, trouble: &Trouble) {
        let event = Event::new(trouble).event_type("trouble").topic(&*trouble.path);
        self.channel.publish(event).expect("it is open, and one line");
    }

    /// The result first: whoever hears of the end asks for it.
    fn finish(&self, job: Job) {
        let Job { mut step, troubles, sums, .. } = job;
        step.phase = "done";
        let lines: String = sums.iter().map(Sum::line).collect();
        let json = to_json((State { step: step.clone(), troubles }, sums));
        *lock(&self.result) = Some(Arc::new(Outcome { json, sums: lines.clone() }));
        self.tell(&step);
        self.draw("\n");
        self.channel.close();
        // A reader that has gone, such as `head`, has what it wants.
        let _ = io::stdout().write_all(lines.as_bytes());
    }

    fn draw(&self, text: &str) {
        if !self.is_quiet {
            say(text);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics in here")
}

/// The work itself, which knows nothing of browsers.
struct Job<'a> {
    board: &'a Board,
    rate: Option<u64>,
    step: Step,
    troubles: Vec<Trouble>,
    sums: Vec<Sum>,
    started: Instant,
    /// When how many bytes were done.
    marks: VecDeque<(Instant, u64)>,
}

impl<'a> Job<'a> {
    fn new(board: &'a Board, rate: Option<u64>) -> Self {
        let started = Instant::now();
        let (step, marks) = (Step::first(), VecDeque::new());
        Self { board, rate, step, troubles: Vec::new(), sums: Vec::new(), started, marks }
    }

    fn run(&mut self, folder: &Path) {
        let mut files = self.count(folder);
        files.sort();
        self.started = Instant::now();
        self.step.phase = "hashing";
        for (path, expected) in files {
            self.step.current = path.display().to_string();
            let before = self.step.bytes;
            match self.hash(&path) {
                Ok(sha256) => {
                    let bytes = self.step.bytes - before;
                    self.sums.push(Sum { path: self.step.current.clone(), bytes, sha256 });
                }
                Err(why) => self.fail(&path, &why),
            }
            // What was not read, or has grown meanwhile: the end is still at 100 %.
            self.step.of_bytes = self.step.of_bytes + self.step.bytes - before - expected;
            self.step.files += 1;
        }
        self.step.current.clear();
        self.measure();
    }

    /// All files and their sizes.
    fn count(&mut self, folder: &Path) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        let mut paths = vec![folder.to_owned()];
        while let Some(path) = paths.pop() {
            let is_link = path != folder && path.is_symlink();
            match fs::metadata(&path) {
                Ok(found) if found.is_file() => {
                    self.step.of_files += 1;
                    self.step.of_bytes += found.len();
                    files.push((path, found.len()));
                }
                Ok(found) if found.is_dir() && !is_link => {
                    self.step.current = path.display().to_string();
                    self.tick();
                    match fs::read_dir(&path) {
                        Ok(entries) => paths.extend(entries.flatten().map(|entry| entry.path())),
                        Err(why) => self.fail(&path, &why),
                    }
                }
                Ok(_) => {}
                Err(why) => self.fail(&path, &why),
            }
        }
        files
    }

    fn hash(&mut self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut piece = vec![0; if self.rate.is_some() { 4 * 1024 } else { 64 * 1024 }];
        let mut hash = Sha256::new();
        loop {
            self.tick();
            match file.read(&mut piece) {
                Ok(0) => return Ok(hash.finish()),
                Ok(count) => {
                    hash.update(&piece[..count]);
                    self.step.bytes += count as u64;
                    if let Some(rate) = self.rate {
                        let due = Duration::from_secs_f64(self.step.bytes as f64 / rate as f64);
                        thread::sleep(due.saturating_sub(self.started.elapsed()));
                    }
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
    }

    fn fail(&mut self, path: &Path, why: &io::Error) {
        let trouble = Trouble { path: path.display().to_string(), why: why.to_string() };
        self.step.troubles += 1;
        self.board.complain(&trouble);
        if self.troubles.len() < MAX_TROUBLES {
            self.board.tell_trouble(&trouble);
            self.troubles.push(trouble);
        }
    }

    /// Tells how it stands, if it is time.
    fn tick(&mut self) {
        if self.marks.back().map_or(true, |(last, _)| last.elapsed() >= PAUSE) {
            self.measure();
            self.board.tell(&self.step);
        }
    }

    fn measure(&mut self) {
        let (now, step) = (Instant::now(), &mut self.step);
        step.elapsed = Duration::from_millis(self.started.elapsed().as_millis() as u64);
        if step.phase == "counting" {
            self.marks.clear();
        }
        self.marks.push_back((now, step.bytes));
        if self.marks.len() > REMEMBERED {
            self.marks.pop_front();
        }
        let (since, before) = self.marks[0];
        let seconds = now.duration_since(since).as_secs_f64();
        step.rate = (seconds > 0.0).then(|| ((step.bytes - before) as f64 / seconds).round());
        let missing = step.of_bytes.saturating_sub(step.bytes) as f64;
        let remaining = step.rate.filter(|rate| *rate > 0.0).map(|rate| missing / rate);
        step.remaining = remaining.map(|seconds| Duration::from_secs(seconds.ceil().min(1e9) as u64));
    }
}

impl Step {
    fn first() -> Self {
        Self {
            phase: "counting",
            files: 0,
            of_files: 0,
            bytes: 0,
            of_bytes: 0,
            rate: None,
            elapsed: Duration::ZERO,
            remaining: None,
            current: String::new(),
            troubles: 0,
        }
    }

    /// For the terminal, in less than 80 columns.
    fn bar(&self) -> String {
        let (bytes, of_bytes) = (size(self.bytes as f64), size(self.of_bytes as f64));
        let files = format!("{} file{}", self.of_files, if self.of_files == 1 { "" } else { "s" });
        match self.phase {
            "counting" => return format!("counting: {files}, {of_bytes}"),
            "done" => {
                let (seconds, troubles) = (self.elapsed.as_secs_f64(), self.troubles);
                return format!("done: {files}, {bytes} in {seconds:.1} s, {troubles} unreadable");
            }
            _ => {}
        }
        let part = if self.of_bytes == 0 { 1.0 } else { (self.bytes as f64 / self.of_bytes as f64).min(1.0) };
        let full = (part * 20.0) as usize;
        let bar = "█".repeat(full) + &"░".repeat(20 - full);
        let rate = self.rate.map_or_else(String::new, |rate| format!(", {}/s", size(rate)));
        let left = self.remaining.map_or(0, |remaining| remaining.as_secs());
        let (minutes, seconds) = (left / 60, left % 60);
        format!("{bar} {:3.0} %  {bytes} of {of_bytes}{rate}, {minutes}:{seconds:02} left", part * 100.0)
    }
}

fn size(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..4).find(|&unit| bytes < 1024_f64.powi(unit + 1)).unwrap_or(4);
    let digits = usize::from(unit > 0);
    format!("{:.digits$} {}", bytes / 1024_f64.powi(unit), units[unit as usize])
}

impl Sum {
    /// As `sha256sum` writes it: a name that would break its line is escaped, and the line marked.
    fn line(&self) -> String {
        let escaped = self.path.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        let mark = if escaped == self.path { "" } else { "\\" };
        format!("{mark}{}  {escaped}\n", self.sha256)
    }
}
