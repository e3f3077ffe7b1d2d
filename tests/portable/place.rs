//! Programs of another system or processor as `probe` has them, and how it speaks to them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use brooklet::testing::{Client, EventStream};

/// For whatever has to happen at all.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Where programs are, and what runs them.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) suffix: String,
    pub(crate) launcher: Vec<String>,
}

impl Place {
    pub(crate) fn command(&self, name: &str) -> Command {
        let program = self.folder.join(name.to_owned() + &self.suffix);
        match self.launcher.split_first() {
            None => Command::new(program),
            Some((launcher, options)) => {
                let mut command = Command::new(launcher);
                command.args(options).arg(program);
                command
            }
        }
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        let mut command = self.command("serve");
        command.args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it can be run");
        let input = child.stdin.take().expect("it is piped");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let address = line(&mut output).parse().expect("it prints its address first");
        Server { child, input, output, address }
    }

    /// An example that listens at `PORT`.
    pub(crate) fn example(&self, name: &str) -> Example {
        let address = free_address();
        let mut command = self.command(name);
        command.arg(address.port().to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        let example = Example(command.stderr(Stdio::null()).spawn().expect("it can be run"), address);
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < DEADLINE, "{name} does not serve {address}");
            thread::sleep(Duration::from_millis(20));
        }
        example
    }
}

pub(crate) struct Example(pub(crate) Child, pub(crate) SocketAddr);

impl Drop for Example {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

pub(crate) struct Server {
    pub(crate) child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    pub(crate) fn ask(&mut self, what: &str) -> Vec<u64> {
        writeln!(self.input, "{what}").expect("it reads");
        let line = line(&mut self.output);
        line.split(' ').map(|number| number.parse().expect("a number")).collect()
    }

    pub(crate) fn streams(&mut self) -> u64 {
        self.ask("stats")[1]
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    pub(crate) fn stream(&self, target: &str) -> EventStream {
        self.resume(target, "")
    }

    pub(crate) fn resume(&self, target: &str, last_event_id: &str) -> EventStream {
        let client = Client::get(target).deadline(DEADLINE).last_event_id(last_event_id);
        client.connect(self.address).expect("an answer")
    }

    pub(crate) fn publish(&self, count: u64) {
        let target = format!("/publish?n={count}");
        assert_eq!(exchange(&self.connect(), "POST", &target, b"").1, format!("{count}\n").as_bytes());
    }

    /// As the system counts them, the emulator's own included.
    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.child.id())).map_or(0, Iterator::count)
    }

    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

/// The answer to one request, to the end of its connection, without its date.
pub(crate) fn lasting(address: SocketAddr, method: &str, target: &str, body: &str) -> String {
    let mut connection = connect(address);
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let request = format!("{head}{form}Content-Length: {}\r\n\r\n{body}", body.len());
    connection.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("it ends");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let lines = text.split_inclusive('\n').filter(|line| !line.starts_with("Date: "));
    // How soon to come back is drawn.
    lines.filter(|line| !line.starts_with("retry: ")).collect()
}

/// One request on a connection that is kept, and its head and body.
pub(crate) fn exchange(
    mut connection: &TcpStream,
    method: &str,
    target: &str,
    body: &[u8],
) -> (String, Vec<u8>) {
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.write_all(&[head.as_bytes(), body].concat()).expect("it reads");
    answer(&mut BufReader::new(connection))
}

pub(crate) fn answer(reader: &mut impl BufRead) -> (String, Vec<u8>) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).expect("an answer"), 0, "{head}");
    }
    let length =
        head.split("Content-Length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).expect("all of it");
    (head, body)
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(address).expect("it listens");
    connection.set_read_timeout(Some(DEADLINE)).expect("it is open");
    connection.set_write_timeout(Some(DEADLINE)).expect("it is open");
    connection
}

pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it can be run");
    child.stdin.take().expect("it is piped").write_all(input).ok(); // it may have ended
    child.wait_with_output().expect("it ends")
}

pub(crate) fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("it writes text");
    line.trim_end().to_owned()
}

pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("it is bound")
}

pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
