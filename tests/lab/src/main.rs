//! Measures the library's example `load` beside other servers, and prints the tables of the README and of the guide.
//!
//! Each run has a fresh server process on loopback; the load generator is this process, one thread that waits for all
//! sockets. Rounds go through all cases, and subjects in alternating order. `README.md` has the command lines.

#![forbid(unsafe_code)]

mod cases;
mod connection;
mod figures;
mod load;
mod peers;
mod poll;
mod report;
mod streams;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use cases::{Case, Subject, CASES, SUBJECTS};
use figures::{machine, machine_cpu, processors, Usage};
use load::{Figures, Load};
use report::{Run, OTHERS};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

const USAGE: &str = "lab [--cases NAME,NAME] [--subjects NAME,NAME] [--rounds N] [--load PATH] [--list]";

/// How much more fast subjects are given to send.
const FASTER: u64 = 5;
/// The stack of a thread, in KiB, where each stream has one.
const SMALL_STACK: &str = "64";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let done = match &arguments[..] {
        [serve, name, port] if serve == "serve" => self::serve(name, port),
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// This program is the peers, too: each is a process of its own.
fn serve(name: &str, port: &str) -> Result<(), String> {
    let port = port.parse().map_err(|_| format!("{port} is no port"))?;
    let served = match name {
        "axum" => peers::axum::serve(port),
        "khttp" => peers::khttp::serve(port),
        "bare" => peers::bare::serve(port),
        "floor" => peers::floor::serve(port),
        _ => return Err(format!("there is no server {name}")),
    };
    served.map_err(|error| format!("{name}: {error}"))
}

fn measure(arguments: &[String]) -> Result<(), String> {
    let (mut rounds, mut cases, mut subjects, mut load) =
        (5, Vec::from_iter(CASES), Vec::from_iter(SUBJECTS), None);
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        if option == "--list" {
            CASES.iter().for_each(|case| println!("{:12} {}", case.name, case.about));
            return Ok(());
        }
        let value = arguments.next().ok_or(USAGE)?;
        match option.as_str() {
            "--rounds" => rounds = value.parse().map_err(|_| USAGE)?,
            "--cases" => cases = chosen(CASES, value, |case| case.name)?,
            "--subjects" => subjects = chosen(SUBJECTS, value, |subject| subject.name)?,
            "--load" => load = Some(PathBuf::from(value)),
            _ => return Err(USAGE.to_owned()),
        }
    }
    if cfg!(debug_assertions) {
        return Err("what is not optimised is not worth measuring: run it with --release".to_owned());
    }
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let load = load.map_or_else(|| build_load(&own), Ok)?;
    let limit = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit })
        .map_err(|error| error.to_string())?;

    println!("{}; rounds: {rounds}. Medians, and in brackets the least and the most.\n", machine());
    let mut runs = Vec::new();
    for round in 0..rounds {
        for case in &cases {
            let mut subjects: Vec<_> = subjects.iter().filter(|subject| subject.serves(&case.load)).collect();
            if round % 2 == 1 {
                subjects.reverse();
            }
            for subject in subjects {
                let figures = run(&own, &load, subject, case);
                let told = figures.as_ref().map(|figures| format!("{figures:.1?}"));
                eprintln!(
                    "[{round}] {} {}: {}",
                    case.name,
                    subject.name,
                    told.unwrap_or_else(|error| error.clone())
                );
                runs.push(Run { round, case: case.name, subject: subject.name, figures });
            }
        }
    }
    report::print(&runs);
    let failed = |run: &&Run| matches!(&run.figures, Err(error) if error != streams::NO_ROUTE);
    match runs.iter().filter(failed).count() {
        0 => Ok(()),
        count => Err(format!("{count} of {} runs failed", runs.len())),
    }
}

fn chosen<T>(
    all: &'static [T],
    names: &str,
    name: fn(&T) -> &'static str,
) -> Result<Vec<&'static T>, String> {
    let find = |wanted| all.iter().find(|one| name(one) == wanted).ok_or(format!("there is no {wanted}"));
    names.split(',').map(find).collect()
}

/// Builds the library's example beside this program.
fn build_load(own: &Path) -> Result<PathBuf, String> {
    let target = own.ancestors().nth(2).ok_or("this program is not where cargo puts it")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--bin",
        "load",
        "--manifest-path",
        manifest,
        "--target-dir",
    ]);
    match build.arg(target).status() {
        Ok(status) if status.success() => Ok(own.with_file_name("load")),
        other => Err(format!("the example `load` was not built: {other:?}")),
    }
}

/// One load on a fresh server.
fn run(own: &Path, load: &Path, subject: &Subject, case: &Case) -> Result<Figures, String> {
    let port = free_port()?;
    let mut server = match subject.name {
        "brooklet" => Command::new(load),
        name => {
            let mut server = Command::new(own);
            server.args(["serve", name]);
            server
        }
    };
    server.arg(port.to_string());
    if subject.name == "brooklet" && case.load.keeps_threads() {
        server.arg(SMALL_STACK);
    }
    let server = Server::start(server, port)?;
    let load = case.load.times(if subject.is_fast { FASTER } else { 1 });
    if let Load::Burst { streams: _, events } = load {
        Load::Burst { streams: 1, events }.run(port, server.0.id())?; // what comes first is not measured
    }
    let used = |server: &Server| machine_cpu() - Usage::of(server.0.id()).cpu - Usage::own().cpu;
    let (started, before) = (Instant::now(), used(&server));
    let mut figures = load.run(port, server.0.id())?;
    let others = (used(&server) - before) / started.elapsed().as_secs_f64() / processors() as f64;
    figures.insert(OTHERS, others.max(0.0) * 100.0);
    Ok(figures)
}

/// Below those that the system gives to clients, so that none of them sits on it.
fn free_port() -> Result<u16, String> {
    let first = 20_000 + (std::process::id() % 5_000) as u16;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..32_000).find(is_free).ok_or_else(|| "no port is free".to_owned())
}

/// A process that ends with this value.
struct Server(Child);

impl Server {
    /// Starts it, and waits until it listens.
    fn start(mut command: Command, port: u16) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Self(command.spawn().map_err(|error| error.to_string())?);
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Ok(Some(status)) = server.0.try_wait() {
                return Err(format!("the server ended at once: {status}"));
            }
            if Instant::now() > deadline {
                return Err("the server does not listen".to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_millis(150)); // until it is quiet again
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
