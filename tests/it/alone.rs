//! Tests that measure their process run in one of their own, in which nobody else makes threads or takes memory.
#![cfg(target_os = "linux")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// Bytes that this program has allocated and not freed.
pub(crate) fn allocated() -> usize {
    ALLOCATED.load(Ordering::Relaxed)
}

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts. The memory that a process has touched cannot tell a leak from what the C library
/// keeps of what was freed.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: each call is passed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        System.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        System.alloc_zeroed(layout)
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size.wrapping_sub(layout.size()), Ordering::Relaxed);
        System.realloc(piece, layout, size)
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        System.dealloc(piece, layout)
    }
}
