//! The README's first program, as somebody would paste it: a package of its own, built, run and asked.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use brooklet::testing::Client;

use crate::example::{ask, folder, free_address, spawn};
use crate::patience::DEADLINE;

const README: &str = include_str!("../../README.md");
/// Where the README's program listens.
const CONSOLE: &str = "Host::new(app).console()";

#[test]
fn the_first_program() {
    let package = folder("readme");
    let path = format!("{:?}", env!("CARGO_MANIFEST_DIR"));
    let dependency = block("toml");
    assert_eq!(dependency.lines().count(), 2, "there is one line to copy: {dependency}");
    let dependency = dependency.replace("\"../brooklet\"", &path);
    assert!(dependency.contains(&path), "it names no path: {dependency}");
    let head = "[package]\nname = \"pasted\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n";
    let program = block("rust");
    fs::create_dir(package.join("src")).unwrap();
    fs::write(package.join("Cargo.toml"), format!("{head}{dependency}")).unwrap();
    build(&package, program);

    // The same once more, where no other program may listen.
    let address = free_address();
    let bound = program.replace(CONSOLE, &format!("{CONSOLE}.bind(\"{address}\")"));
    assert_ne!(bound, program, "it does not say `{CONSOLE}`");
    let binary = build(&package, &bound);
    let _program = spawn(Command::new(binary).stderr(Stdio::null()), address);

    let page = ask(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let text = String::from_utf8(page.body).unwrap();
    assert!(text.contains("new EventSource('stock')") && text.contains("'AAPL'"), "{text}");
    let mut stream = Client::get("/stock").deadline(DEADLINE).connect(address).unwrap();
    let events = stream.next_events(2).unwrap();
    let events: Vec<_> = events.iter().map(|event| (&*event.event_type, &*event.data)).collect();
    assert_eq!(events, [("AAPL", "212"), ("AAPL", "212.25")]);
}

/// The first block of the README in a language.
fn block(language: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("```{language}\n")).expect("there is one");
    rest.split("```").next().unwrap()
}

/// Builds the package with this program, by nothing but what is here already, and says where it is.
#[track_caller]
fn build(package: &Path, program: &str) -> PathBuf {
    fs::write(package.join("src/main.rs"), program).unwrap();
    let target = package.join("target");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--offline"]).current_dir(package).env("CARGO_TARGET_DIR", &target);
    let output = cargo.stdin(Stdio::null()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("debug/pasted").with_extension(env::consts::EXE_EXTENSION)
}
