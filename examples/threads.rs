//! A tool with work of its own: its threads send through `std::sync::mpsc`, streams receive.
//!
//! Run `cargo run --example threads` and, within a minute, open <http://127.0.0.1:8080> once or several times, or run
//! `curl -N http://127.0.0.1:8080/progress`. The host is started beside the work and stopped by it.

mod cli;

use std::io::{self, Write};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use brooklet::{Content, EventSource, Host, Layout, StartError};

/// Whoever watches: one sender for each stream.
type Watchers = Arc<Mutex<Vec<Sender<u32>>>>;
/// How long the last word of a stream may take.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> Result<(), StartError> {
    let cli = cli::Cli::read("threads [OPTIONS]", "Works for a minute, and shows how far it is.", &[]);
    let watchers = Watchers::default();
    let app = Layout::new()
        .index(Content::html(include_str!("threads.html")))
        .add("progress", progress(Arc::clone(&watchers)));
    let host = cli.apply(Host::new(app)).console().start()?;

    let worker = thread::spawn(move || work(&watchers));
    worker.join().expect("the work does not panic");

    // Each stream says that this was all, and a stop would cut it short: then its page would come back for ever.
    let started = Instant::now();
    while host.stats().streams > 0 && started.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(10));
    }
    let report = host.stop();
    // Not by `println!`, which panics where standard output is closed.
    let _ = writeln!(io::stdout(), "done; {} connections ended, {} by force", report.ended, report.forced);
    Ok(())
}

/// The tool's own work. It never waits for those who watch.
fn work(watchers: &Watchers) {
    for percent in 0..=100 {
        thread::sleep(Duration::from_millis(600));
        // A stream that has ended has dropped its receiver.
        watchers.lock().expect("nobody panics in here").retain(|watcher| watcher.send(percent).is_ok());
    }
    watchers.lock().expect("nobody panics in here").clear(); // nothing more to come
}

fn progress(watchers: Watchers) -> EventSource {
    EventSource::new(move |connection| {
        let (sender, receiver) = mpsc::channel();
        watchers.lock().expect("nobody panics in here").push(sender);
        while let Some(percent) = connection.receive(&receiver)? {
            connection.event("progress", percent)?;
        }
        Ok(connection.finish()?)
    })
}
