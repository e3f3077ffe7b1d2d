//! The smallest server with a stream: a clock that ticks, and a page that shows it.
//!
//! Run `cargo run --example hello`, open <http://127.0.0.1:8080> and try `curl -N http://127.0.0.1:8080/clock`.

mod cli;

use std::time::{Duration, SystemTime};

use brooklet::{Content, EventSource, Host, Layout, StartError};

fn main() -> Result<(), StartError> {
    let cli = cli::Cli::read("hello [OPTIONS]", "Serves a clock.", &[]);
    let clock = EventSource::new(|connection| loop {
        connection.data(SystemTime::now())?;
        connection.wait(Duration::from_secs(1))?;
    });
    let page = Content::html(include_str!("hello.html"));
    cli.apply(Host::new(Layout::new().index(page).add("clock", clock))).console().run()
}
