//! More than one machine: prices in a Redis stream, and any number of instances that serve it.
//!
//! With a Redis on this machine run `cargo run --example ticker_redis`, in another window the same with
//! ` -- --port 8081`, and open <http://127.0.0.1:8080> and <http://127.0.0.1:8081>. What is published at one
//! appears at both.
//!
//! ```text
//! curl -N localhost:8080/ticker                                  all that is in the stream, and what comes
//! curl -N localhost:8080/ticker -H 'Last-Event-ID: 1700000000000-0'    what follows that entry, from any instance
//! curl    localhost:8080/ticker -d symbol=AAPL -d price=129.5    add an entry, as `redis-cli XADD ticker '*' …` does
//! ```
//!
//! Events have the ids of their entries. So a client may lose its instance, come back to any other through a
//! balancer, and get every entry once and in order: see the `proxies` page of the guide for nginx and HAProxy.
//!
//! Each instance has one connection that reads new entries into a channel, and one by which clients get what is
//! older than the channel remembers. While Redis is away, clients stay. Who comes back for entries that were trimmed
//! meanwhile is sent a `reset`.

#[path = "../cli/mod.rs"]
mod cli;
mod entries;
mod resp;
#[path = "../say/mod.rs"]
mod say;
mod ticker;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use brooklet::{Content, EventSource, Handler, Host, Layout, Request, Response, Status};
use entries::Quote;
use ticker::Ticker;

fn main() -> ExitCode {
    let about = "\
Serves the prices of the Redis stream `ticker`.

REDIS_ADDR in the environment is the Redis to read from, as HOST:PORT; otherwise 127.0.0.1:6379.";
    let cli = cli::Cli::read("ticker_redis [OPTIONS]", about, &[]);
    let redis = env::var("REDIS_ADDR").unwrap_or_else(|_| String::from("127.0.0.1:6379"));
    let is_address = matches!(redis.rsplit_once(':'), Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok());
    if !is_address {
        cli.refuse(format_args!("REDIS_ADDR is {redis:?}, and not HOST:PORT"));
    }
    let ticker = Arc::new(Ticker::new(&redis, cli.port()));
    if let Err(error) = Ticker::start_reading(&ticker) {
        return cli.end(Err(format!("no thread to read with: {error}")));
    }

    let source = EventSource::new({
        let ticker = Arc::clone(&ticker);
        move |connection| ticker.serve(connection)
    })
    .retry(Duration::from_secs(1))
    // An instance that was away has no clients when it is back. In the course of an hour it gets its share.
    .max_age(Duration::from_secs(3600));

    let app = Layout::new()
        .index(Content::html(include_str!("page.html")))
        .add("shared.js", Content::event_source_script())
        .add("ticker", move |request: Request| match request.method() {
            "GET" | "HEAD" => source.handle(request),
            "POST" => publish(&ticker, &request),
            other => Response::method_not_allowed(other, "GET, HEAD, POST"),
        });
    cli.end(cli.apply(Host::new(app)).defaults().console().run())
}

fn publish(ticker: &Ticker, request: &Request) -> Response {
    let form = request.form();
    let field = |name| form.get(name).unwrap_or_default();
    let quote = match Quote::new(field("symbol"), field("price")) {
        Some(quote) => quote,
        None => {
            let rule = "`symbol` is 1 to 16 of A-Z, 0-9, . - = and ^, `price` a number";
            return Response::explain(Status::BAD_REQUEST, rule);
        }
    };
    match ticker.publish(&quote) {
        Ok(id) => Response::text(format!("{id}\n")),
        Err(complaint) => Response::explain(Status::SERVICE_UNAVAILABLE, &complaint),
    }
}
