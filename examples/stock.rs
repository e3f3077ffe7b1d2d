//! Streams stock prices to the browser until it leaves.
//!
//! Run `cargo run --example stock` and open <http://127.0.0.1:8080>; `--help` names the options.
//!
//! ```text
//! curl -N localhost:8080/stock                              the last two minutes at once, then a price each second
//! curl -N localhost:8080/stock -H 'Last-Event-ID: 1700000000'     of these what came after that id, which is a second
//! ```
//!
//! Interrupt one of them, and see what the console says of it.

mod cli;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use brooklet::{Content, Event, EventConnection, EventSource, Host, Layout, StartError};

/// Whose price comes in turn, and about what it is.
const STOCKS: [(&str, f64); 3] = [("AAPL", 212.0), ("GOOGL", 168.0), ("MSFT", 415.0)];
/// So many seconds are sent at once, so that a page has something to draw.
const REMEMBERED: u64 = 120;

fn main() -> Result<(), StartError> {
    let cli = cli::Cli::read("stock [OPTIONS] [PORT]", "Streams stock prices to a page.", &[]);
    let app = Layout::new()
        .add("stock", EventSource::new(generate_stock))
        .add("shared.js", Content::event_source_script())
        .index(Content::html(include_str!("client.html")));

    cli.apply(Host::new(app)).defaults().development().console().run()
}

/// Sends a price each second. A browser that comes back says which it has seen, and gets the others.
fn generate_stock(connection: &mut EventConnection) -> brooklet::Result {
    connection.comment("Sending stock data")?;
    let seen = connection.last_event_id().and_then(|id| id.parse().ok()).unwrap_or(0_u64);
    let mut due = seen.clamp(now() - REMEMBERED, now());
    loop {
        let news = (due + 1)..=now();
        due = due.max(*news.end());
        connection.send_all(news.map(quote))?;
        connection.wait(Duration::from_secs(1))?; // fails when the browser has left
    }
}

/// The price of a second, the same for everybody who asks.
fn quote(second: u64) -> Event<'static, String> {
    let (symbol, usual) = STOCKS[second as usize % STOCKS.len()];
    let price = usual * (1.0 + drift(symbol, second));
    Event::new(format!("{price:.2}")).event_type(symbol).id(second.to_string())
}

/// Made up, and moves as prices do: a little from second to second, more from hour to hour.
fn drift(symbol: &str, second: u64) -> f64 {
    let chance = |octave: u32, step: u64| {
        let mut hasher = DefaultHasher::new();
        (symbol, octave, step).hash(&mut hasher);
        hasher.finish() as f64 / u64::MAX as f64 - 0.5
    };
    let wave = |octave: u32| {
        let length = 1 << octave;
        let (step, part) = (second / length, (second % length) as f64 / length as f64);
        let between = chance(octave, step) * (1.0 - part) + chance(octave, step + 1) * part;
        between * (length as f64).sqrt()
    };
    (0..12).map(wave).sum::<f64>() / 1000.0
}

/// A machine without a clock of its own begins in 1970, where there is nothing to remember yet.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()).max(REMEMBERED)
}
