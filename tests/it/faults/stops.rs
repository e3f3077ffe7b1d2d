//! Stops with many streams: idle ones, and ones whose clients have stopped reading.

use super::{app, bound, comeback, connect, open, say, sees, GET};
use crate::patience::{eventually, in_time, unhurried, LONG};
use brooklet::{Channel, CloseReason};
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_millis(500);

/// Each stream is two descriptors here, since the clients are ours as well; half of what there is is left to the others.
#[cfg(target_os = "linux")]
fn affordable(streams: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft = line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX);
    if soft / 4 < streams {
        eprintln!("only {} streams instead of {streams}: there are {soft} descriptors", soft / 4);
    }
    streams.min(soft / 4)
}

#[cfg(not(target_os = "linux"))]
fn affordable(streams: usize) -> usize {
    streams.min(60)
}

#[test]
fn a_thousand_idle_streams() {
    let streams = affordable(1000);
    let channel = Channel::new();
    let limits = unhurried().max_connections(streams + 10);
    let host = bound(app(&channel)).limits(limits).stack_size(64 * 1024).start().unwrap();
    let mut clients: Vec<_> =
        (0..streams).map(|number| open(&host, ["/wait", "/follow"][number % 2])).collect();
    eventually("half of them follow", || channel.subscribers() == streams / 2);
    assert_eq!(host.stats().streams, streams as u64);
    let (report, host) = in_time(move || (host.stop_within(LONG), host));
    assert_eq!((report.ended, report.forced), (streams, 0));
    eventually("all have left", || host.stats().connections == 0);
    assert_eq!(host.stats().ended_by(CloseReason::Stopped), streams as u64);
    for client in &mut clients {
        assert!((1500..=4500).contains(&comeback(&client.rest().unwrap())));
    }
}

/// Their threads are in the middle of a write, which nothing but the end of the socket ends.
#[test]
fn a_hundred_stalled_streams() {
    let streams = affordable(100);
    let channel = Channel::new();
    let host = bound(app(&channel)).stack_size(256 * 1024).start().unwrap();
    let clients: Vec<_> = (0..streams)
        .map(|_| {
            let client = connect(host.address());
            say(&client, &GET.replace("/ ", "/send "));
            client
        })
        .collect();
    clients.iter().for_each(|client| sees(client, "data: here\n\n"));
    let mut sent = 0;
    let mut still = 0;
    eventually("nobody takes anything any more", || {
        let now = host.stats().bytes;
        still = if now == sent { still + 1 } else { 0 };
        sent = now;
        still > 100
    });
    let started = Instant::now();
    let (report, host) = in_time(move || (host.stop_within(GRACE), host));
    let took = started.elapsed();
    assert!(took >= GRACE, "{took:?}");
    // One whose kernel found some room in the last moment has told its client, and ended by itself.
    assert_eq!(report.ended + report.forced, streams, "{report:?}");
    assert!(report.forced > 0, "{report:?}");
    eventually("all have left", || host.stats().connections == 0);
    assert_eq!(host.stats().ended_by(CloseReason::Stopped), streams as u64);
    drop(clients);
}
