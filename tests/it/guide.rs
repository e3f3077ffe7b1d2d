//! Holds the guide to what it says: all of its pages are there, and its limits are those of the code.

use std::fs;
use std::path::{Path, PathBuf};

/// What the code says, and the row of the guide's page on limits that says the same.
const LIMITS: [(&str, &str); 45] = [
    ("head_deadline: Duration::from_secs(10)", "Limits::head_deadline) | 10 s |"),
    ("MAX_TARGET = 8 * 1024;", "| request target | 8 KiB |"),
    ("MAX_FIELDS = 100;", "| field lines | 100 |"),
    ("MAX_HEAD = 32 * 1024;", "Limits::max_head) | 32 KiB |"),
    ("MAX_METHOD = 32;", "| method | 32 bytes |"),
    ("max_body: 1024 * 1024,", "Limits::max_body) | 1 MiB |"),
    ("max_bodies: 64 * 1024 * 1024,", "Limits::max_bodies) | 64 MiB |"),
    ("MAX_PAIRS = 10_000;", "| pairs of a form | 10,000 |"),
    ("body_deadline: Duration::from_secs(20)", "Limits::body_deadline) | 20 s,"),
    ("MIN_BYTES_PER_SECOND = 500;", "1 s more for each 500 bytes |"),
    ("MAX_CHUNK_DIGITS = 16;", "| digits of a chunk's size | 16 |"),
    ("MAX_EXTENSIONS = 4 * 1024;", "| chunk extensions of a body | 4 KiB |"),
    ("MAX_TRAILER = 8 * 1024;", "| trailer fields of a body | 8 KiB |"),
    ("max_connections: 512,", "Limits::max_connections) | 512 |"),
    ("MAX_TURNED_AWAY = 32;", "| connections above that, being told so | 32,"),
    ("MAX_LEAVING = 32;", "| connections that were closed for others and still have a thread | 32 |"),
    ("OVERFLOW_HEAD = Duration::from_secs(1);", "being told so | 32, each with 1 s for its head |"),
    ("max_heads: 128,", "Limits::max_heads) | 128 |"),
    ("idle_deadline: Duration::from_secs(75)", "Limits::idle_deadline) | 75 s |"),
    ("write_deadline: Duration::from_secs(30)", "Limits::write_deadline) | 30 s |"),
    ("WRITE_PROGRESS = 64 * 1024;", "[64 KiB of an answer or a stream]"),
    ("MAX_STRAY_BYTES = 64 * 1024;", "| what a client sends into its stream | 64 KiB |"),
    ("LINGER = Duration::from_secs(2);", "before a close | 2 s, 4 MiB |"),
    ("LINGER_BYTES = 4 * 1024 * 1024;", "before a close | 2 s, 4 MiB |"),
    ("MAX_IDLE = 256;", "| threads without a connection | 256, each for 0.5 s |"),
    ("IDLE_TIME = Duration::from_millis(500);", "| threads without a connection | 256, each for 0.5 s |"),
    ("PACE = Duration::from_millis(1);", "one after the other; each ms one at most"),
    ("CONNECT = Duration::from_secs(1);", "wakes the thread that accepts there | 1 s |"),
    ("CLOSING = Duration::from_secs(1);", "until the listeners are closed | 1 s |"),
    ("MAX_UNWRITTEN = 64 * 1024;", "(Host::console) | 64 KiB |"),
    ("LAST_LINES = Duration::from_secs(1);", "(Host::console) are written | 1 s |"),
    ("MAX_DEFERRED = 1024;", "that blocks | 1024 times"),
    ("KEEP_ALIVE = Duration::from_secs(15);", "EventSource::keep_alive) | 15 s |"),
    ("ERROR_RETRY = Duration::from_secs(10);", "EventSource::error_retry) | 10 s |"),
    ("from_millis(1500), Duration::from_millis(4500)", "| 1.5 to 4.5 s, at random |"),
    ("from_secs(2), Duration::from_secs(6)", "| after an overload | 2 to 6 s, at random |"),
    ("GATHER = 128 * 1024;", "EventConnection::send_all) | 128 KiB |"),
    ("events: 1024, bytes: 1024 * 1024", "ChannelSetup::history_events) | 1024 events, 1 MiB |"),
    ("LIVE_WINDOW = 256 * 1024;", "| the history, or 256 KiB if that is more |"),
    ("BATCH = 64 * 1024;", "| one write to a subscriber | 64 KiB |"),
    ("MAX_WRITERS = 4;", "| as many as processors, 4 at most |"),
    ("SWEEP = Duration::from_secs(1);", "| within about 1 s |"),
    ("UNUSED_TOPICS = 1024;", "neither a follower nor an event | 1024,"),
    ("GRACE = Duration::from_secs(5);", "RunningHost::stop_within) | 5 s |"),
    ("LAST_MOMENT = Duration::from_millis(250);", "for threads to notice | 250 ms |"),
];

#[test]
fn the_limits_are_those_that_hold() {
    let page = read("guide/limits.md");
    let all = all_code();
    for (code, row) in LIMITS {
        assert!(all.contains(code), "the code does not say `{code}`: change the guide, too");
        assert!(page.contains(row), "the page on limits does not say `{row}`");
    }
}

#[test]
fn all_of_its_pages_are_there() {
    let (guide, overview) = (read("guide/mod.rs"), read("lib.rs"));
    let mut pages = 0;
    for entry in fs::read_dir(source("guide")).expect("the folder can be listed") {
        let file =
            entry.expect("the folder can be listed").file_name().into_string().expect("names are ASCII");
        let page = match file.strip_suffix(".md") {
            Some(page) => page,
            None => continue,
        };
        pages += 1;
        assert!(
            guide.contains(&format!("include_str!(\"{file}\")]\npub mod {page} {{}}")),
            "{page} is no module"
        );
        let rows = overview.lines().filter(|line| line.contains(&format!("[`guide::{page}`]")));
        assert_eq!(rows.count(), 1, "{page} is not in the crate's table, or twice");
    }
    assert!(pages > 10, "there are {pages} pages");
}

/// All of src, without the types of constants, which are no business of the guide.
fn all_code() -> String {
    let without_type = |line: &str| match line.split_once(" = ") {
        Some((name, value)) if name.contains("const ") => {
            format!("{} = {value}\n", name.split(": ").next().unwrap_or(name))
        }
        _ => format!("{line}\n"),
    };
    let mut code = String::new();
    let mut folders = vec![source("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder can be listed") {
            let path = entry.expect("the folder can be listed").path();
            match fs::read_to_string(&path) {
                Ok(text) => code.extend(text.lines().map(without_type)),
                Err(_) => folders.push(path),
            }
        }
    }
    code
}

fn read(file: &str) -> String {
    fs::read_to_string(source(file)).unwrap_or_else(|error| panic!("src/{file}: {error}"))
}

fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)
}
