//! Holds the repository to what it says of itself: no dependencies, walls between the rooms, a word at each door.

use std::fs;
use std::path::{Path, PathBuf};

/// What the files of a room must not name. A wall that nobody checks is a promise.
const WALLS: [(&str, &[&str]); 24] = [
    ("src/data", &["crate::http", "crate::event", "crate::host", "std::io", "TcpStream"]),
    ("src/http", &["crate::event", "crate::host", "crate::data", "crate::layout", "crate::content"]),
    ("src/http", &["std::thread", "TcpListener"]),
    ("src/event", &["crate::host", "crate::layout", "crate::content", "TcpStream", "TcpListener"]),
    ("src/event/connection.rs", &["std::thread"]),
    ("src/event/stream.rs", &["std::thread", "Request"]),
    ("src/event/source.rs", &["std::thread"]),
    ("src/event/wire.rs", &["std::thread", "std::io", "Connection"]),
    ("src/event/channel/mod.rs", &["std::thread"]),
    ("src/event/channel/log.rs", &["std::thread", "http", "Mutex"]),
    ("src/event/channel/subscriber.rs", &["std::thread", "Mutex"]),
    ("src/host", &["crate::event", "crate::data", "crate::layout", "crate::content"]),
    ("src/layout.rs", &["crate::event", "crate::host", "crate::data", "std::thread"]),
    ("src/content", &["crate::event", "crate::host", "crate::data", "std::thread"]),
    ("src/cors.rs", &["crate::event", "crate::host", "crate::data", "std::thread"]),
    ("src/testing", &["crate::host", "crate::layout", "crate::content", "std::thread", "TcpListener"]),
    ("src/testing/simulation.rs", &["Tcp", "crate::event", "crate::data"]),
    ("src/testing/parser.rs", &["crate::"]),
    ("src/clock.rs", &["crate::"]),
    ("src/calendar.rs", &["crate::"]),
    ("src/random.rs", &["crate::"]),
    ("src/digits.rs", &["crate::"]),
    ("src/locks.rs", &["crate::"]),
    ("src/panics.rs", &["crate::"]),
];

/// The one file that knows the sockets of the operating system, beside those that listen and knock.
const TCP: [&str; 5] = ["gate.rs", "mod.rs", "start.rs", "stop.rs", "tcp.rs"];
/// Here it is the usual socket, and no more than that.
const USUAL_SOCKET: &str = "socket.rs";

#[test]
fn the_walls_hold() {
    for (room, forbidden) in WALLS {
        let files = rust_files(room);
        assert!(!files.is_empty(), "there is no {room}");
        for file in files {
            let code = code(&file);
            for name in forbidden {
                assert!(!code.contains(name), "{} names {name}", file.display());
            }
        }
    }
}

/// It is for tests alone: what runs on a host must not lean on it.
#[test]
fn nothing_uses_testing() {
    for file in rust_files("src") {
        let mut rooms = ["src/testing", "src/guide", "src/lib.rs"].iter();
        let may = rooms.any(|room| file.starts_with(root().join(room)));
        assert!(may || !code(&file).contains("testing"), "{} names testing", file.display());
    }
}

#[test]
fn tcp_stays_at_the_edge() {
    let http = rust_files("src/http").into_iter().filter(|file| !file.ends_with(USUAL_SOCKET));
    for file in rust_files("src/host").into_iter().chain(http) {
        let is_at_the_edge = TCP.iter().any(|name| *file == root().join("src/host").join(name));
        assert!(is_at_the_edge || !code(&file).contains("Tcp"), "{} names TCP", file.display());
    }
}

#[test]
fn nothing_is_depended_on() {
    let manifest = read(&root().join("Cargo.toml"));
    let (_, rest) = manifest.split_once("\n[dependencies]\n").expect("the section is there to stay empty");
    let section = rest.split("\n[").next().unwrap_or_default();
    assert_eq!(section.trim(), "", "[dependencies] is not empty");
    for other in ["build-dependencies", "[target.", "[features]", "build ="] {
        assert!(!manifest.contains(other), "Cargo.toml has {other}");
    }
}

#[test]
fn every_file_says_what_it_is() {
    for file in ["src", "tests", "examples"].into_iter().flat_map(rust_files) {
        assert!(read(&file).starts_with("//! "), "{} does not open with `//! `", file.display());
    }
}

#[test]
fn no_file_is_a_drawer() {
    for file in ["src", "tests", "examples"].into_iter().flat_map(rust_files) {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        assert!(!["util", "utils", "helpers", "common", "misc"].contains(&name), "{}", file.display());
        let lines = read(&file).lines().count();
        assert!(lines <= 450, "{} has {lines} lines: is it still one room?", file.display());
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    assert!(read(&root().join("src/lib.rs")).contains("#![forbid(unsafe_code)]"));
}

/// The lines that are code. A comment may name what it is not allowed to use.
fn code(file: &Path) -> String {
    let text = read(file);
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The Rust files of a folder of the repository and of those in it, or the one file.
fn rust_files(path: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut paths = vec![root().join(path)];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("the folder can be listed");
            paths.extend(entries.map(|entry| entry.expect("the folder can be listed").path()));
        } else if path.extension().map_or(false, |extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
