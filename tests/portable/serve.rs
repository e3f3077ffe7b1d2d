//! The server that is run on each system and architecture: one of every kind of stream.
//!
//! `serve [LIMIT [STACK]]` prints its address. It answers each line of its input by one of its output: `stats`, and
//! `stop`, which ends it.

mod numbers;

use std::io::{self, BufRead, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use brooklet::{
    Channel, Content, Event, EventConnection, EventSource, Host, Layout, Limits, Request, Response,
};

const MIB: usize = 1024 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let limit = arguments.next().unwrap_or(512);
    let news = Channel::new();
    let app = Layout::new()
        .index(Content::html("<h1>hello</h1>"))
        .add("echo", |request: Request| Response::bytes("application/octet-stream", request.body().to_vec()))
        .add("slow", |_: Request| {
            thread::sleep(Duration::from_millis(200));
            Response::text("done")
        })
        .add("rhythm", EventSource::new(rhythm))
        .add("zeros", |_: Request| Response::bytes("application/octet-stream", vec![0; 32 * MIB]))
        .add("numbers", EventSource::new(numbers::numbers))
        .add("wait", EventSource::new(wait).keep_alive(Duration::from_millis(500)))
        .add("receive", EventSource::new(receive))
        .add("follow", EventSource::channel(&news))
        .add(
            "subscribe",
            EventSource::new({
                let news = news.clone();
                move |connection: &mut EventConnection| {
                    let mut subscription = news.subscribe(connection)?;
                    connection.comment("here")?;
                    while subscription.forward(connection, Duration::from_secs(60))? {}
                    Ok(())
                }
            }),
        )
        .add("publish", move |request: Request| {
            let count = number(&request, "n");
            let published = (0..count).try_for_each(|number| news.publish(Event::new(number)).map(drop));
            published.map(|()| Response::text(format!("{count}\n")))
        });
    let limits = Limits::default().max_connections(limit).max_body(16 * MIB as u64);
    let host = Host::new(app).bind("127.0.0.1:0").limits(limits);
    let host = match arguments.next() {
        Some(bytes) => host.stack_size(bytes),
        None => host,
    };
    let host = host.start()?;
    let mut output = io::stdout();
    writeln!(output, "{}", host.address())?;
    for line in io::stdin().lock().lines() {
        match &*line? {
            "stats" => {
                let stats = host.stats();
                writeln!(output, "{} {} {}", stats.connections, stats.streams, stats.bytes)?;
            }
            _ => {
                let started = Instant::now();
                let report = host.stop();
                let millis = started.elapsed().as_millis();
                writeln!(output, "{} {} {millis}", report.ended, report.forced)?;
                return Ok(());
            }
        }
    }
    Ok(())
}

fn rhythm(connection: &mut EventConnection) -> brooklet::Result {
    let pause = Duration::from_millis(number(connection.request(), "ms"));
    for event in 0..number(connection.request(), "n") {
        connection.data(event)?;
        connection.wait(pause)?;
    }
    Ok(connection.finish()?)
}

fn wait(connection: &mut EventConnection) -> brooklet::Result {
    connection.data("here")?;
    Ok(connection.wait(Duration::MAX)?)
}

fn receive(connection: &mut EventConnection) -> brooklet::Result {
    let (_sender, receiver) = mpsc::channel::<u64>();
    connection.data("here")?;
    while connection.receive(&receiver)?.is_some() {}
    Ok(())
}

fn number(request: &Request, key: &str) -> u64 {
    request.query(key).and_then(|value| value.parse().ok()).unwrap_or_default()
}
