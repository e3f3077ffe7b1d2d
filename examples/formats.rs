//! Data of every kind: what is sent in Rust, and what a page receives.
//!
//! Run `cargo run --example formats` and open <http://127.0.0.1:8080>. The page puts each expression beside the data that
//! came of it; the last group went through a `Formatting` of its own. `curl -N http://127.0.0.1:8080/formatted` shows that
//! group as bytes, `/plain` the others.

mod cli;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::num::Wrapping;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use brooklet::{
    json_object, Content, EventConnection, EventSource, Formatting, Host, Layout, RawJson, StartError, Text,
};

struct Order<'a> {
    number: u32,
    customer: Customer,
    unit_price: f64,
    r#type: &'a str,
    #[allow(dead_code)] // what is not named below is not sent
    secret: u8,
}
json_object!(Order<'_> { number, customer, unit_price as "unitPrice", r#type });

struct Customer {
    name: String,
    city: Option<String>,
}
json_object!(Customer { name, city });

fn main() -> Result<(), StartError> {
    let cli = cli::Cli::read("formats [OPTIONS] [PORT]", "Shows what becomes of values of every kind.", &[]);
    let formatting = Formatting::new()
        .add(|price: &f64| format!("{price:.2}"))
        .add(|answer: &bool| String::from(if *answer { "yes" } else { "no" }))
        .add(|time: &Duration| format!("{} ms", time.as_millis()))
        .add(|customer: &Customer| {
            format!("{} of {}", customer.name, customer.city.as_deref().unwrap_or("nowhere"))
        });

    let app = Layout::new()
        .index(Content::html(include_str!("formats.html")))
        .add("plain", EventSource::new(send_plain))
        .add("formatted", EventSource::new(send_formatted).formatting(formatting));
    cli.apply(Host::new(app)).defaults().console().run()
}

/// Sends each expression twice: its source, for the first column of the page, and its value.
macro_rules! send {
    ($connection:ident, $group:literal: $($value:expr),+ $(,)?) => {
        $connection.event("group", $group)?;
        $(
            $connection.event("source", stringify!($value))?;
            $connection.event("value", $value)?;
        )+
    };
}

fn send_plain(connection: &mut EventConnection) -> brooklet::Result {
    send!(connection, "Text":
        "plain text",
        "two\nlines",
        "CR LF\r\nand CR\rarrive as LF",
        " spaces and colons: kept",
        "",
        'é',
        format_args!("{:>6.1}%", 99.5),
        String::from("<b>not bold</b>"),
    );
    send!(connection, "Numbers and truth":
        42,
        -7_i8,
        u64::MAX, // more than JavaScript's numbers can hold
        0.1 + 0.2,
        1e300,
        2.5_f32,
        f64::NAN,
        -f64::INFINITY,
        true,
    );
    send!(connection, "Something or nothing":
        Some(5),
        None::<i32>,
    );
    send!(connection, "Time and addresses":
        UNIX_EPOCH + Duration::from_millis(1_705_314_600_250),
        SystemTime::now(),
        Duration::from_millis(1500),
        Ipv6Addr::LOCALHOST,
    );
    send!(connection, "Lists, maps and structs":
        [1, 2, 3],
        vec!["a\nb", "\"quoted\""],
        (1, "two", Some(3.5), None::<u8>),
        [f64::NAN],
        BTreeMap::from([("high", 512), ("low", 498)]),
        Order {
            number: 4711,
            customer: Customer { name: "Ada".into(), city: None },
            unit_price: 12.5,
            r#type: "express",
            secret: 9,
        },
    );
    send!(connection, "Types of others":
        Text(Wrapping(300_u16)),
        RawJson(r#"{"made": ["elsewhere"]}"#),
    );
    Ok(connection.finish()?) // a browser would ask for all of it again
}

fn send_formatted(connection: &mut EventConnection) -> brooklet::Result {
    let customer = || Customer { name: "Ada".into(), city: Some("London".into()) };
    send!(connection, "With a formatting of its own":
        12.5,
        vec![1.0, 2.0 / 3.0],
        Some(true),
        Duration::from_millis(1500),
        customer(),
        BTreeMap::from([("open", true), ("paid", false)]),
        Order { number: 4712, customer: customer(), unit_price: 12.5, r#type: "express", secret: 9 },
    );
    Ok(connection.finish()?)
}
