//! Tests that measure their process run in one of their own, in which nobody else makes threads or takes memory.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};
use std::{env, fs};

/// Set in that process.
const VARIABLE: &str = "BROOKLET_ALONE";

/// Runs this program's test `name` again, alone and with enough descriptors, and with `test` as what it does.
#[track_caller]
pub(crate) fn alone(name: &str, test: fn()) {
    if env::var_os(VARIABLE).is_some() {
        return test();
    }
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n 8000 && exec "$0" --include-ignored --exact "$1" --nocapture"#]);
    command.arg(env::current_exe().unwrap()).arg(name);
    command.env(VARIABLE, "1").stdin(Stdio::null());
    let output = command.output().expect("there is a shell");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    eprintln!("{text}");
}

/// How many threads this process has.
pub(crate) fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// How many threads of this name there are; the system keeps its first 15 bytes.
pub(crate) fn threads_named(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|comm| comm.trim_end() == &name[..name.len().min(15)]).count()
}

/// Bytes of memory that this process has touched.
pub(crate) fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
