//! Streams random stock prices to the browser until it leaves.
//!
//! Run `cargo run --example stock` and open <http://127.0.0.1:8080>. Another port is the first argument, or
//! `PORT` in the environment.
//!
//! See also what `curl -N http://127.0.0.1:8080/stock` shows, and what the console says when it is interrupted.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use brooklet::{Content, EventConnection, EventSource, Host, Layout, StartError};

const SYMBOLS: [&str; 3] = ["AAPL", "GOOGL", "MSFT"];

fn main() -> Result<(), StartError> {
    let app = Layout::new()
        .add("stock", EventSource::new(generate_stock))
        .index(Content::html(include_str!("client.html")));

    Host::new(app).bind(address()).defaults().development().console().run()
}

/// Sends a price each second.
fn generate_stock(connection: &mut EventConnection) -> brooklet::Result {
    connection.comment("Sending stock data")?;
    loop {
        let symbol = SYMBOLS[random(SYMBOLS.len() as u64) as usize];
        connection.event(symbol, 100 + random(900))?;
        connection.wait(Duration::from_secs(1))?;
    }
}

/// A number below `end`, good enough for prices: std's only randomness is in the keys of its hash maps.
fn random(end: u64) -> u64 {
    RandomState::new().build_hasher().finish() % end
}

fn address() -> String {
    let port = std::env::args().nth(1).or_else(|| std::env::var("PORT").ok());
    format!("127.0.0.1:{}", port.as_deref().unwrap_or("8080"))
}
