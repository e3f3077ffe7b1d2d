//! Holds the repository to what it says of itself: no dependencies, walls between the rooms, a word at each door.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What the files of a room must not name. A wall that nobody checks is a promise.
const WALLS: [(&str, &[&str]); 25] = [
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
    ("src/event/channel/follower.rs", &["std::thread", "Mutex"]),
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
    ("src/threads.rs", &["crate::"]),
];

/// The one file that knows the sockets of the operating system, beside those that listen.
const TCP: [&str; 4] = ["listener.rs", "mod.rs", "start.rs", "tcp.rs"];
/// Here it is the usual socket, and no more than that.
const USUAL_SOCKET: &str = "socket.rs";

#[test]
fn the_walls_hold() {
    for (room, forbidden) in WALLS {
        let files = rust_files(room);
        assert!(!files.is_empty(), "there is no {room}");
        for file in files {
            let (code, uses) = (code(&file), uses(&file));
            for name in forbidden {
                assert!(!code.contains(name), "{} names {name}", file.display());
                let is_used = uses.iter().any(|path| path.contains(name));
                assert!(!is_used, "{} uses {name}", file.display());
            }
        }
    }
}

/// In each folder there is an order in which its files can be read.
#[test]
fn no_circles() {
    let mut found = BTreeMap::new();
    for file in rust_files("src") {
        let own = module(&file);
        let folder = own.rsplit_once("::").map_or("", |(folder, _)| folder).to_owned();
        let files: &mut BTreeMap<String, BTreeSet<String>> = found.entry(folder.clone()).or_default();
        let siblings = uses(&file).into_iter().filter_map(|path| {
            let rest = path.strip_prefix(&format!("{folder}::"))?.to_owned();
            Some(rest.split(&[':', ' '][..]).next().unwrap_or_default().to_owned())
        });
        let siblings = siblings.filter(|name| *name != own[folder.len() + 2..]).collect();
        files.insert(own[folder.len() + 2..].to_owned(), siblings);
    }
    let mut circles = BTreeMap::new();
    for (folder, mut files) in found {
        // Whoever uses nobody that is left can be read first; those who are left go round.
        let mut left = usize::MAX;
        while files.len() < left {
            left = files.len();
            let names: Vec<_> = files.keys().cloned().collect();
            files.retain(|_, uses| uses.iter().any(|name| names.contains(name)));
            let names: Vec<_> = files.keys().cloned().collect();
            files.retain(|own, _| names.contains(own));
        }
        // Nor do those go round whom nobody uses that is left.
        let mut left = usize::MAX;
        while files.len() < left {
            left = files.len();
            let used: BTreeSet<_> = files.values().flatten().cloned().collect();
            files.retain(|own, _| used.contains(own));
        }
        if !files.is_empty() {
            circles.insert(folder, files.into_keys().collect::<Vec<_>>());
        }
    }
    assert!(circles.is_empty(), "files use each other in circles: {circles:?}");
}

/// Whatever way of writing a path: it is found.
#[test]
fn uses_are_read() {
    check("use crate::event::X;", &["crate::event::X"]);
    check(
        "use crate::{event::{X, wire::{self, Y}}, http};",
        &["crate::event::X", "crate::event::wire::self", "crate::event::wire::Y", "crate::http"],
    );
    check("pub(super) use super::super::event::*;", &["crate::event::*"]);
    check(
        "    use super::tcp as other;\n    pub use self::a::{\n        B,\n        C,\n    };",
        &["crate::host::tcp as other", "crate::host::mine::a::B", "crate::host::mine::a::C"],
    );
    check("let x = super::super::event::f();", &["crate::event::f"]);
    check("// use crate::event::X;", &[]);

    #[track_caller]
    fn check(code: &str, expected: &[&str]) {
        let code =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        assert_eq!(paths(&code, "crate::host::mine"), expected, "{code:?}");
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

/// The path of a file's module; what a `mod.rs` has belongs to its folder.
fn module(file: &Path) -> String {
    let path = file.strip_prefix(root().join("src")).expect("it is in src").with_extension("");
    let names = path.iter().map(|name| name.to_str().expect("names are ASCII"));
    let path = names.fold("crate".to_owned(), |path, name| format!("{path}::{name}"));
    path.trim_end_matches("::lib").to_owned()
}

/// Every path that a file uses, from the crate's root on.
fn uses(file: &Path) -> Vec<String> {
    let own = module(file);
    let code = code(file);
    // Unit tests stand at the end, in a module of their own; what they use is all of their file.
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    paths(code, own.strip_suffix("::mod").unwrap_or(&own))
}

/// The paths that begin with `crate`, `self` or `super` in code of the module `own`, each by itself, however they were
/// gathered in braces.
fn paths(code: &str, own: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = code;
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
    while let Some(at) = ["crate::", "self::", "super::"].iter().filter_map(|start| rest.find(start)).min() {
        let is_start = at == 0 || !is_inside(rest.as_bytes()[at - 1]);
        let path = &rest[at..];
        let is_use = rest[..at].trim_end().ends_with("use");
        let end = match is_use {
            true => path.find(';').unwrap_or(path.len()),
            false => path.bytes().position(|byte| !is_inside(byte)).unwrap_or(path.len()),
        };
        if is_start {
            let mut found = Vec::new();
            split(&path[..end].split_whitespace().collect::<Vec<_>>().join(" "), "", &mut found);
            paths.extend(found.iter().map(|path| absolute(path, own)));
        }
        rest = &rest[at + end.max(1)..];
    }
    return paths;

    /// Each path of `a::{b, c::{d, e}}` by itself.
    fn split(tree: &str, before: &str, paths: &mut Vec<String>) {
        let (path, branches) = match tree.split_once('{') {
            None if tree.is_empty() => return,
            None => return paths.push(format!("{before}{tree}")),
            Some((path, branches)) => (path, branches.trim_end().strip_suffix('}').unwrap_or(branches)),
        };
        let (mut depth, mut start) = (0, 0);
        for (at, byte) in branches.bytes().chain([b',']).enumerate() {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b',' if depth == 0 => {
                    split(branches[start..at].trim(), &format!("{before}{path}"), paths);
                    start = at + 1;
                }
                _ => {}
            }
        }
    }

    fn absolute(path: &str, own: &str) -> String {
        let (mut path, mut base) = (path, own);
        path = path.strip_prefix("self::").unwrap_or(path);
        while let Some(rest) = path.strip_prefix("super::") {
            (path, base) = (rest, base.rsplit_once("::").map_or("crate", |(parent, _)| parent));
        }
        if path.starts_with("crate::") {
            path.to_owned()
        } else {
            format!("{base}::{path}")
        }
    }
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
