//! How this machine is doing: processors, memory, load, network and disks, drawn live on a page.
//!
//! Run `cargo run --example dashboard` and open <http://127.0.0.1:8080>; `--help` names the options. With
//! `--bind 0.0.0.0` a phone in the same network sees it, too, and so does everybody else there. It needs Linux.
//!
//! ```text
//! curl -N  localhost:8080/events            what this machine is, the last five minutes at once, then a sample a second
//! curl -N  localhost:8080/events -H 'Last-Event-ID: …'      only what came after that event
//! curl     localhost:8080/metrics.json      the last sample
//! ```
//!
//! One thread reads /proc and publishes to one channel, whoever and however many look. The channel remembers: a page
//! that is loaded has a history at once, and one that lost its connection misses nothing, unless that took longer than
//! the channel remembers. Then it shows a gap.

mod cli;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use brooklet::{
    json_object, to_json, Channel, Content, Event, EventSource, Host, Layout, Request, Response, Status,
};
use cli::Cli;

/// What a sample takes, with some hundred processors and interfaces.
const MAX_SAMPLE: u64 = 16 * 1024;

fn main() -> ExitCode {
    let cli = cli::Cli::read(
        "dashboard [OPTIONS]",
        "Shows how this machine is doing. It needs Linux.",
        &[
            ("--interval N", "milliseconds between two samples, 50 to 60000; 1000"),
            ("--history N", "for how many seconds samples are remembered, up to 86400; 300"),
            (
                "--proc FOLDER",
                "where to read, in place of /proc: that of the host, seen from a container, say",
            ),
        ],
    );
    let options = Options {
        interval: Duration::from_millis(cli.number("--interval", 50..=60_000).unwrap_or(1000)),
        history: Duration::from_secs(cli.number("--history", 1..=86_400).unwrap_or(300)),
        proc: PathBuf::from(cli.text("--proc").unwrap_or_else(|| String::from("/proc"))),
    };
    let stat = options.proc.join("stat");
    if let Err(why) = fs::read(&stat) {
        cli.refuse(format_args!("cannot read {}: {why}; it is there on Linux", stat.display()));
    }
    cli.end(serve(&cli, options))
}

fn serve(cli: &Cli, options: Options) -> brooklet::Result {
    let remembered = (options.history.as_millis() / options.interval.as_millis()) as u64 + 1;
    let samples = Channel::setup()
        .history_events(remembered)
        .history_bytes(remembered * MAX_SAMPLE)
        .replay(u64::MAX)
        .open();
    let last = Arc::new(Mutex::new(None::<String>));
    let about = About::read(&options);
    let app = Layout::new()
        .index(Content::html(include_str!("dashboard.html")))
        .add("shared.js", Content::event_source_script())
        .add("events", {
            let samples = samples.clone();
            EventSource::new(move |connection| {
                connection.event("about", &about)?;
                Ok(connection.follow(&samples)?)
            })
        })
        .add("metrics.json", {
            let last = Arc::clone(&last);
            move |_: Request| match last.lock().expect("nobody panics in here").clone() {
                Some(sample) => Response::json(sample).header("Cache-Control", "no-store"),
                None => Response::explain(Status::SERVICE_UNAVAILABLE, "the first sample is on its way")
                    .header("Retry-After", "1"),
            }
        });
    let host = cli.apply(Host::new(app)).defaults().console().start()?;
    let sampler = thread::Builder::new().name(String::from("sampler")).spawn(move || {
        sample(&options, |sample| {
            *last.lock().expect("nobody panics in here") = Some(to_json(&sample));
            samples.publish(Event::new(sample)).expect("it has no type, and nobody closes");
        });
    })?;
    sampler.join().ok(); // it has no end
    host.stop();
    Ok(())
}

struct Options {
    interval: Duration,
    history: Duration,
    proc: PathBuf,
}

/// What does not change.
struct About {
    host: String,
    kernel: String,
    cores: usize,
    interval: Duration,
    history: Duration,
}
json_object!(About { host, kernel, cores, interval, history });

impl About {
    fn read(options: &Options) -> Self {
        let line = |name| text(&options.proc, name).trim().to_owned();
        Self {
            host: line("sys/kernel/hostname"),
            kernel: line("sys/kernel/osrelease"),
            cores: read_processors(&text(&options.proc, "stat")).len().saturating_sub(1),
            interval: options.interval,
            history: options.history,
        }
    }
}

/// Takes samples for ever, in a steady rhythm. What is shown as a rate is what happened between two of them.
fn sample(options: &Options, mut publish: impl FnMut(Sample)) {
    let mut before = Reading::take(&options.proc);
    let mut due = Instant::now();
    loop {
        // Behind a late one, or a sleep of the machine, none follows too soon: its rates would be guesses.
        due += options.interval;
        if due < before.taken + options.interval / 2 {
            due = before.taken + options.interval;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = Reading::take(&options.proc);
        publish(Sample::between(&before, &now));
        before = now;
    }
}

struct Sample {
    /// In milliseconds since 1970, as JavaScript counts.
    time: u64,
    uptime: Option<f64>,
    /// In percent: of all processors, and of each.
    cpu: Option<f64>,
    cores: Vec<Option<f64>>,
    memory: Option<Memory>,
    load: Option<[f64; 3]>,
    network: Vec<Traffic>,
    disk: Option<Traffic>,
}
json_object!(Sample { time, uptime, cpu, cores, memory, load, network, disk });

/// In bytes a second.
struct Traffic {
    name: String,
    r#in: f64,
    out: f64,
}
json_object!(Traffic { name, r#in, out });

impl Sample {
    fn between(before: &Reading, now: &Reading) -> Self {
        let mut percents = now.processors.iter().map(|(name, time)| {
            let (_, earlier) = before.processors.iter().find(|(known, _)| known == name)?;
            time.percent_since(earlier)
        });
        let seconds = now.taken.duration_since(before.taken).as_secs_f64();
        let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds).round();
        let traffic = |now: &Counter, before: &[Counter]| {
            let earlier = before.iter().find(|counter| counter.name == now.name)?;
            let (r#in, out) = (rate(now.r#in, earlier.r#in), rate(now.out, earlier.out));
            Some(Traffic { name: now.name.clone(), r#in, out })
        };
        let disks: Vec<_> = now.disks.iter().filter_map(|disk| traffic(disk, &before.disks)).collect();
        let disk = (!disks.is_empty()).then(|| Traffic {
            name: String::from("disk"),
            r#in: disks.iter().map(|disk| disk.r#in).sum(),
            out: disks.iter().map(|disk| disk.out).sum(),
        });
        Self {
            time: now.time,
            uptime: now.uptime,
            cpu: percents.next().flatten(),
            cores: percents.collect(),
            memory: now.memory,
            load: now.load,
            network: now.network.iter().filter_map(|counter| traffic(counter, &before.network)).collect(),
            disk,
        }
    }
}

/// All that is read, at one time. What cannot be read is missing, and all else is there.
struct Reading {
    taken: Instant,
    time: u64,
    uptime: Option<f64>,
    processors: Vec<(String, Time)>,
    memory: Option<Memory>,
    load: Option<[f64; 3]>,
    network: Vec<Counter>,
    disks: Vec<Counter>,
}

impl Reading {
    fn take(proc: &Path) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        Self {
            taken: Instant::now(),
            time: time as u64,
            uptime: text(proc, "uptime").split_whitespace().next().and_then(|number| number.parse().ok()),
            processors: read_processors(&text(proc, "stat")),
            memory: read_memory(&text(proc, "meminfo")),
            load: read_load(&text(proc, "loadavg")),
            network: read_network(&text(proc, "net/dev")),
            disks: read_disks(&text(proc, "diskstats")),
        }
    }
}

fn text(proc: &Path, name: &str) -> String {
    fs::read(proc.join(name))
        .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

// The formats are those of proc(5).

/// How long a processor was at it, in ticks since the start.
struct Time {
    busy: u64,
    idle: u64,
}

impl Time {
    fn percent_since(&self, earlier: &Self) -> Option<f64> {
        // Waiting for a disk is counted as time, and that clock may go backwards.
        let (busy, idle) = (self.busy.saturating_sub(earlier.busy), self.idle.saturating_sub(earlier.idle));
        let all = busy.checked_add(idle).filter(|all| *all > 0)?;
        Some((busy as f64 / all as f64 * 1000.0).round() / 10.0)
    }
}

/// `cpu0 user nice system idle iowait irq softirq steal guest …`; first comes `cpu`, all of them together.
fn read_processors(stat: &str) -> Vec<(String, Time)> {
    let read = |line: &str| {
        let (name, numbers) = line.split_once(' ')?;
        // What is a guest's is the user's as well.
        let ticks: Option<Vec<u64>> =
            numbers.split_whitespace().take(8).map(|tick| tick.parse().ok()).collect();
        let ticks = ticks.filter(|ticks| ticks.len() >= 4)?;
        let idle = ticks.iter().skip(3).take(2).fold(0_u64, |sum, tick| sum.saturating_add(*tick));
        let all = ticks.iter().fold(0_u64, |sum, tick| sum.saturating_add(*tick));
        Some((name.to_owned(), Time { busy: all - idle, idle }))
    };
    stat.lines().filter(|line| line.starts_with("cpu")).filter_map(read).collect()
}

/// In bytes.
#[derive(Clone, Copy)]
struct Memory {
    total: u64,
    used: u64,
    swap_total: u64,
    swap_used: u64,
}
json_object!(Memory { total, used, swap_total, swap_used });

/// `MemTotal:  8059128 kB`
fn read_memory(meminfo: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    let total = bytes("MemTotal")?;
    // Kernels before 3.14 do not say what is available.
    let available = bytes("MemAvailable").or_else(|| {
        let spare = bytes("Buffers").unwrap_or(0).saturating_add(bytes("Cached").unwrap_or(0));
        Some(bytes("MemFree")?.saturating_add(spare))
    })?;
    let swap_total = bytes("SwapTotal").unwrap_or(0);
    let swap_used = swap_total.saturating_sub(bytes("SwapFree").unwrap_or(swap_total));
    Some(Memory { total, used: total.saturating_sub(available), swap_total, swap_used })
}

/// `0.52 0.58 0.59 1/467 12345`: how many wanted to run, over one, five and fifteen minutes.
fn read_load(loadavg: &str) -> Option<[f64; 3]> {
    let mut numbers = loadavg.split_whitespace().map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// Bytes since the start.
struct Counter {
    name: String,
    r#in: u64,
    out: u64,
}

/// `  eth0: bytes packets errs drop fifo frame compressed multicast bytes …`: eight columns for what came in, then
/// eight for what went out. Those through which nothing ever went are left out.
fn read_network(dev: &str) -> Vec<Counter> {
    let read = |line: &str| {
        let (name, numbers) = line.rsplit_once(':')?;
        let bytes = |column| numbers.split_whitespace().nth(column)?.parse().ok();
        Some(Counter { name: name.trim().to_owned(), r#in: bytes(0)?, out: bytes(8)? })
    };
    dev.lines().filter_map(read).filter(|counter| counter.r#in > 0 || counter.out > 0).collect()
}

/// `8 0 sda reads merged sectors ms writes merged sectors …`, with sectors of 512 bytes whatever the disk's own are.
///
/// Partitions are on disks, and what is `dm-` or `md` as well: only disks are counted, or all would be twice.
fn read_disks(diskstats: &str) -> Vec<Counter> {
    let read = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let bytes = |column: usize| columns.get(column)?.parse::<u64>().ok()?.checked_mul(512);
        Some(Counter { name: (*columns.get(2)?).to_owned(), r#in: bytes(5)?, out: bytes(9)? })
    };
    let found: Vec<_> = diskstats.lines().filter_map(read).collect();
    let is_disk = |counter: &Counter| {
        let not_disks = ["loop", "ram", "zram", "dm-", "md", "sr", "fd"];
        let is_part = |other: &Counter| match counter.name.strip_prefix(&*other.name) {
            Some(rest) => {
                !rest.is_empty() && rest.trim_start_matches('p').bytes().all(|byte| byte.is_ascii_digit())
            }
            None => false,
        };
        !not_disks.iter().any(|start| counter.name.starts_with(start)) && !found.iter().any(is_part)
    };
    let disks: Vec<_> = found.iter().map(is_disk).collect();
    found.into_iter().zip(disks).filter_map(|(counter, is_disk)| is_disk.then_some(counter)).collect()
}
