//! Runs the examples, which `cargo test` has built, as programs of their own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use crate::webdriver::Process;

/// For a program to start on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Finds the binary of an example: this test is `target/debug/deps/it-…`, and that is
/// `target/debug/examples/<name>`.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the system knows what it runs");
    let target = test.ancestors().nth(2).expect("cargo puts tests into `deps`");
    let binary = target.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    assert!(binary.exists(), "`cargo build --example {name}` makes {}", binary.display());
    binary
}

/// Runs an example that serves, until the returned value is dropped. It listens when this returns.
pub(crate) fn serve(name: &str, address: SocketAddr, variables: &[(&str, &str)]) -> Process {
    let mut command = Command::new(binary(name));
    command.env("PORT", address.port().to_string()).envs(variables.iter().copied());
    let mut server = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));

    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(server.is_running(), "the example ended before it served {address}");
        assert!(started.elapsed() < DEADLINE, "the example does not serve {address}");
        thread::sleep(Duration::from_millis(20));
    }
    server
}

/// An address that was free a moment ago: examples are told theirs, and one has to come back to it.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address")
}
