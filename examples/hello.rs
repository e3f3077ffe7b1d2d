//! The smallest server with a stream: a page for everybody, and a clock that ticks.
//!
//! Run `cargo run --example hello`, open <http://127.0.0.1:8080> and try `curl -N http://127.0.0.1:8080/clock`.

use std::time::{Duration, SystemTime};

use brooklet::{EventSource, Host, Layout, Request, Response, StartError};

fn main() -> Result<(), StartError> {
    let clock = EventSource::new(|connection| loop {
        connection.data(SystemTime::now())?;
        connection.wait(Duration::from_secs(1))?;
    });
    let greet = |request: Request| {
        let name = request.query("name").unwrap_or("world");
        Response::text(format!("Hello, {name}!\n"))
    };
    Host::new(Layout::new().index(greet).add("clock", clock)).run()
}
