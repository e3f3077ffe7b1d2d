//! Runs the examples, which `cargo test` has built, as programs of their own.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::Mutex;

use brooklet::testing::{Client, EventStream};

use crate::patience::{eventually, in_time};
use crate::webdriver::Process;
use crate::wire::{Answer, Wire};

/// Ports for examples: below what Linux gives to whoever connects.
const FIRST_PORT: u16 = 10_000;
const PORTS: u16 = 22_000;

/// Finds the binary of an example: this test is `target/debug/deps/it-…`, and that is
/// `target/debug/examples/<name>`.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the system knows what it runs");
    let target = test.ancestors().nth(2).expect("cargo puts tests into `deps`");
    let binary = target.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    assert!(binary.exists(), "`cargo build --example {name}` makes {}", binary.display());
    binary
}

/// The names of all examples that serve; `encode` alone is a filter.
pub(crate) fn servers() -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).expect("it is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let programs =
        paths.filter(|path| path.extension() == Some("rs".as_ref()) || path.join("main.rs").exists());
    let names = programs.map(|path| path.file_stem().expect("it has a name").to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name != "encode").collect();
    names.sort_unstable();
    names
}

/// Runs an example that serves, until the returned value is dropped. It listens when this returns.
pub(crate) fn serve(name: &str, address: SocketAddr, variables: &[(&str, &str)]) -> Process {
    let mut command = Command::new(binary(name));
    command.env("PORT", address.port().to_string()).envs(variables.iter().copied());
    spawn(command.stdout(Stdio::null()).stderr(Stdio::null()), address)
}

/// Runs a program, until the returned value is dropped. It listens when this returns.
pub(crate) fn spawn(command: &mut Command, address: SocketAddr) -> Process {
    listening(Process::spawn(command), address)
}

fn listening(mut server: Process, address: SocketAddr) -> Process {
    eventually(&format!("it serves {address}"), || {
        assert!(server.is_running(), "it ended before it served {address}");
        TcpStream::connect(address).is_ok()
    });
    server
}

/// An example that serves, and all that it writes meanwhile.
pub(crate) struct Tool {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    folder: PathBuf,
}

impl Tool {
    /// Runs an example with arguments. It listens when this returns.
    #[track_caller]
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_at(free_address(), name, arguments)
    }

    /// The same, where it was before.
    #[track_caller]
    pub(crate) fn start_at(address: SocketAddr, name: &str, arguments: &[&str]) -> Self {
        let (mut command, folder) = prepare(address, name, arguments);
        Self { process: listening(Process::spawn(&mut command), address), address, folder }
    }

    /// The same as [`start`](Self::start), for an example that reads what is written to it.
    #[track_caller]
    pub(crate) fn start_fed(name: &str, arguments: &[&str]) -> (Self, ChildStdin) {
        let address = free_address();
        let (mut command, folder) = prepare(address, name, arguments);
        let (process, input) = Process::spawn_fed(&mut command);
        (Self { process: listening(process, address), address, folder }, input)
    }

    /// What it has written to standard error so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).expect("examples write UTF-8")
    }

    /// What it has written to standard output so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.folder.join("output")).expect("examples write UTF-8")
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Answer {
        ask(self.address, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// Opens a stream, as one that comes back if there is something that it saw last.
    #[track_caller]
    pub(crate) fn stream(&self, target: &str, last_event_id: &str) -> EventStream {
        Client::get(target).last_event_id(last_event_id).connect(self.address).unwrap()
    }

    #[track_caller]
    pub(crate) fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        ask(self.address, [head.as_bytes(), body].concat())
    }
}

fn prepare(address: SocketAddr, name: &str, arguments: &[&str]) -> (Command, PathBuf) {
    let folder = folder(&format!("{name}-{}", address.port()));
    let file = |name| File::create(folder.join(name)).expect("the folder was made for it");
    let mut command = Command::new(binary(name));
    command.args(arguments).env("PORT", address.port().to_string());
    command.stdout(file("output")).stderr(file("log"));
    (command, folder)
}

/// Runs an example to its end.
#[track_caller]
pub(crate) fn run(name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary(name));
    command.args(arguments).stdin(Stdio::null());
    in_time(move || command.output().expect("the example was built"))
}

/// Holds an example to what it says of wrong arguments: a sentence, where to look, and exit code 2.
#[track_caller]
pub(crate) fn check_refusal(name: &str, arguments: &[&str], sentence: &str) {
    let output = run(name, arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaint, format!("{name}: {sentence}; see {name} --help\n"), "{arguments:?}");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

/// A new, empty folder for a test, under the one that cargo gives us.
#[track_caller]
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&folder).ok(); // of an earlier run
    fs::create_dir_all(&folder).expect("cargo made its parent");
    folder
}

/// The one answer to one request; the connection stays open meanwhile.
#[track_caller]
pub(crate) fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut wire = Wire::connect(address).unwrap();
    wire.send(request.as_ref());
    wire.answer(false).unwrap()
}

/// A free address for an example, which has to be told its port, and needs the same one when it is started again.
///
/// The port is none of those that systems give to whoever connects, who could have it meanwhile. A UDP socket of the same
/// number keeps it from other tests that run at the same time, as long as this process lasts.
pub(crate) fn free_address() -> SocketAddr {
    static RESERVED: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = process::id() as u16;
    let ports =
        (0..PORTS).map(|_| first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS + FIRST_PORT);
    let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let free = addresses.filter_map(|address| Some((address, UdpSocket::bind(address).ok()?)));
    // Asked, not bound: what listens for a moment is a child's, too, until that has become its program.
    let is_free = |(address, _): &(SocketAddr, _)| {
        let both = [*address, (Ipv6Addr::LOCALHOST, address.port()).into()];
        both.iter().all(|address| TcpStream::connect(address).is_err())
    };
    let (address, reservation) = { free }.find(is_free).expect("a port of so many is free");
    RESERVED.lock().expect("nobody panics with it").push(reservation);
    address
}

/// Listens where a listener of this process was. As with [`nobody_listens`], that may take a moment.
#[track_caller]
pub(crate) fn listen_again(address: SocketAddr) -> TcpListener {
    let mut listener = None;
    eventually("the port is free again", || {
        listener = TcpListener::bind(address).ok();
        listener.is_some()
    });
    listener.expect("it is there now")
}

/// Holds that this process has closed its listener. A child that another test starts has it, too, until it has become its
/// program, and is waited for.
#[track_caller]
pub(crate) fn nobody_listens(address: SocketAddr) {
    #[cfg(target_os = "linux")]
    {
        let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
            .map(|path| fs::read_to_string(path).unwrap_or_default());
        let port = format!(":{:04X}", address.port());
        // Of each socket, its address and port, state (0A listens) and the number by which descriptors name it.
        let listens = |row: &&[&str]| row.len() > 9 && row[1].ends_with(&port) && row[3] == "0A";
        let rows: Vec<Vec<_>> = tables
            .iter()
            .flat_map(|text| text.lines())
            .map(|line| line.split_whitespace().collect())
            .collect();
        for row in rows.iter().map(Vec::as_slice).filter(listens) {
            assert!(!has_socket(row[9]), "this process still listens at {address}");
        }
    }
    eventually("nobody listens", || TcpStream::connect(address).is_err());
}

/// Whether this process has a descriptor of the socket with this number.
#[cfg(target_os = "linux")]
fn has_socket(number: &str) -> bool {
    let name = PathBuf::from(format!("socket:[{number}]"));
    let descriptors = fs::read_dir("/proc/self/fd").expect("it is there");
    descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|target| target == name)
}
