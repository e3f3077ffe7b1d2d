//! Twenty sensors, of which each page says which it wants, and how often: the latest of each at once, then what changes.
//!
//! Run `cargo run --example sensors` and open <http://127.0.0.1:8080>, or
//! `curl -N 'http://127.0.0.1:8080/live?of=1,5&pace=500'`; `--help` names the options.

mod cli;

use std::thread;
use std::time::Duration;

use brooklet::{json_object, Channel, Content, Event, EventConnection, EventSource, Host, Layout};

const ROOMS: [&str; 5] = ["Kitchen", "Hall", "Study", "Cellar", "Attic"];
/// What is measured in each room: a name, a unit, the usual value, and how far it goes from there.
const KINDS: [(&str, &str, f64, f64); 4] = [
    ("temperature", "°C", 20.5, 4.0),
    ("humidity", "%", 48.0, 12.0),
    ("carbon dioxide", "ppm", 700.0, 260.0),
    ("power", "W", 180.0, 140.0),
];

struct Reading {
    sensor: usize,
    name: String,
    unit: &'static str,
    value: f64,
}
json_object!(Reading { sensor, name, unit, value });

fn main() -> brooklet::Result {
    let cli = cli::Cli::read("sensors [OPTIONS] [PORT]", "Serves the latest of twenty sensors.", &[]);
    // Of each topic, which is a sensor, the newest event is kept, and nothing else.
    let readings = Channel::setup().latest().open();
    let measured = readings.clone();
    thread::Builder::new().spawn(move || measure(&measured))?;

    let live = EventSource::new(move |connection| live(connection, &readings));
    let app = Layout::new()
        .index(Content::html(include_str!("sensors.html")))
        .add("shared.js", Content::event_source_script())
        .add("live", live);
    Ok(cli.apply(Host::new(app)).defaults().console().run()?)
}

/// Follows the sensors that `of` names, or all, in the pace that `pace` says in milliseconds.
fn live(connection: &mut EventConnection, readings: &Channel) -> brooklet::Result {
    let request = connection.request();
    let pace = request.query("pace").and_then(|millis| millis.parse().ok()).unwrap_or(0);
    connection.pace(Duration::from_millis(pace));
    match request.query("of") {
        Some(of) => Ok(connection.follow_topics(readings, of.split(','))?),
        None => Ok(connection.follow(readings)?),
    }
}

/// Stands in for a bus that sensors report by: every tenth of a second some of them have something new.
fn measure(readings: &Channel) {
    for tick in 0_u32.. {
        for (sensor, (room, (kind, unit, usual, range))) in
            ROOMS.iter().flat_map(|room| KINDS.iter().map(move |kind| (room, *kind))).enumerate()
        {
            if tick > 0 && (tick as usize + 3 * sensor) % (2 + sensor % 5) != 0 {
                continue;
            }
            let time = f64::from(tick) / 40.0 + sensor as f64;
            let wave = time.sin() + (2.3 * time).sin() / 3.0 + (7.1 * time).cos() / 9.0;
            let value = ((usual + range * wave / 2.0) * 10.0).round() / 10.0;
            let reading = Reading { sensor: sensor + 1, name: format!("{room}, {kind}"), unit, value };
            let event = Event::new(reading).topic((sensor + 1).to_string());
            readings.publish(event).expect("it has no type, and nobody closes");
        }
        thread::sleep(Duration::from_millis(100));
    }
}
