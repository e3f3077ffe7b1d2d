//! Who is measured, at what, and which figures of it are shown.

use crate::load::Load;

pub struct Case {
    pub name: &'static str,
    pub about: &'static str,
    pub load: Load,
}

pub const CASES: &[Case] = &[
    case("burst1", "one stream, as fast as goes", Load::Burst { streams: 1, events: 300_000 }),
    case("burst16", "16 streams, as fast as goes", Load::Burst { streams: 16, events: 30_000 }),
    case("ttfe", "from connecting to the first event", Load::First { count: 500 }),
    case(
        "storm",
        "connect, ask, close; 32 at a time",
        Load::Storm { connections: 32, seconds: 2, stays_open: false },
    ),
    case(
        "storm256",
        "the same, 256 at a time",
        Load::Storm { connections: 256, seconds: 3, stays_open: false },
    ),
    case(
        "keep",
        "a page on 32 connections that stay open",
        Load::Storm { connections: 32, seconds: 2, stays_open: true },
    ),
    case("fan1", "a channel to one, as fast as goes", fan(1, 300_000)),
    case("fan10", "a channel to 10, as fast as goes", fan(10, 100_000)),
    case("fan100", "a channel to 100, as fast as goes", fan(100, 10_000)),
    case("fan1000", "a channel to 1,000, as fast as goes", fan(1_000, 1_000)),
    case("fan5000", "a channel to 5,000, as fast as goes", fan(5_000, 200)),
    case("fan10000", "a channel to 10,000, as fast as goes", fan(10_000, 100)),
    case("paced1000", "a channel to 1,000, 10 events/s", at_rate(1_000, 30, 10, "fan")),
    case("paced10000", "a channel to 10,000, 10 events/s", at_rate(10_000, 30, 10, "fan")),
    case(
        "rooms1000",
        "1,000 channels with one follower each, 10 events/s in each",
        at_rate(1_000, 30, 10, "rooms"),
    ),
    case(
        "topics1000",
        "one channel, 1,000 followers of a topic each, 10 events/s in each",
        at_rate(1_000, 30, 10, "topics"),
    ),
    case(
        "topics10000",
        "one channel, 10,000 followers of a topic each, 1 event/s in each",
        at_rate(10_000, 5, 1, "topics"),
    ),
    case("fair1000", "a page for newcomers while a channel floods 1,000", Load::Fair { streams: 1_000 }),
    case(
        "gen1000",
        "1,000 generators that send and wait 100 ms",
        Load::Ticks { streams: 1_000, millis: 100, seconds: 4 },
    ),
    case(
        "gen5000s",
        "5,000 generators that send and wait 1 s",
        Load::Ticks { streams: 5_000, millis: 1_000, seconds: 4 },
    ),
    case("wait1", "8 generators that wait 1 ms", Load::Ticks { streams: 8, millis: 1, seconds: 2 }),
    case("wait10", "8 generators that wait 10 ms", Load::Ticks { streams: 8, millis: 10, seconds: 2 }),
    case("wait100", "8 generators that wait 100 ms", Load::Ticks { streams: 8, millis: 100, seconds: 4 }),
    case("wait400", "8 generators that wait 400 ms", Load::Ticks { streams: 8, millis: 400, seconds: 8 }),
    case("wait1000", "8 generators that wait 1 s", Load::Ticks { streams: 8, millis: 1_000, seconds: 12 }),
    case("wait5000", "8 generators that wait 5 s", Load::Ticks { streams: 8, millis: 5_000, seconds: 26 }),
    case(
        "idle10000",
        "10,000 followers of a silent channel",
        Load::Idle { streams: 10_000, target: "/idle" },
    ),
    case(
        "idle1000t",
        "1,000 silent streams with a thread each",
        Load::Idle { streams: 1_000, target: "/idle?thread=1" },
    ),
];

const fn case(name: &'static str, about: &'static str, load: Load) -> Case {
    Case { name, about, load }
}

const fn fan(streams: usize, events: u64) -> Load {
    Load::Fan { streams, events, rate: 0, route: "fan" }
}

const fn at_rate(streams: usize, events: u64, rate: u64, route: &'static str) -> Load {
    Load::Fan { streams, events, rate, route }
}

pub struct Subject {
    pub name: &'static str,
    /// Whether it sends several times as fast as the others: the same load would be over too soon.
    pub is_fast: bool,
    serves: fn(&Load) -> bool,
}

/// The first is what is measured, the second what it is held against.
pub const SUBJECTS: &[Subject] = &[
    Subject { name: "brooklet", is_fast: true, serves: |_| true },
    Subject { name: "axum", is_fast: false, serves: |_| true },
    Subject {
        name: "khttp",
        is_fast: false,
        serves: |load| matches!(load, Load::Burst { .. } | Load::First { .. } | Load::Storm { .. }),
    },
    Subject {
        name: "bare",
        is_fast: false,
        serves: |load| load.keeps_threads() || matches!(load, Load::Storm { .. }),
    },
    Subject {
        name: "floor",
        is_fast: true,
        serves: |load| match load {
            Load::Fan { route, .. } => *route == "fan",
            Load::Fair { .. } => false,
            load => !load.keeps_threads(),
        },
    },
];

impl Subject {
    pub fn serves(&self, load: &Load) -> bool {
        (self.serves)(load)
    }
}

/// A figure that is shown: its name, its heading, digits behind the point, and whether it is set against axum's.
pub type Column = (&'static str, &'static str, usize, bool);

pub fn columns(load: &Load) -> &'static [Column] {
    match load {
        Load::Fan { .. } => &[
            ("per_s", "deliveries/s", 0, true),
            ("cpu_us", "CPU µs each", 3, true),
            ("client_cpu_us", "client's CPU µs", 3, false),
            ("p50_us", "p50 µs", 0, false),
            ("p99_us", "p99 µs", 0, true),
            ("lost", "lost", 0, false),
            ("again", "again or late", 0, false),
            ("resets", "resets", 0, false),
            ("closed", "closed", 0, false),
            ("peak_kib", "peak KiB", 0, false),
            ("stream_kib", "KiB per stream", 2, true),
            ("threads", "threads", 0, false),
            ("switches", "switches each", 3, false),
        ],
        Load::Ticks { .. } => &[
            ("per_s", "events/s", 0, true),
            ("wanted_per_s", "wanted", 0, false),
            ("cpu_us", "CPU µs each", 1, true),
            ("p50_us", "p50 µs", 0, false),
            ("p99_us", "p99 µs", 0, true),
            ("off_p50_us", "off its rhythm, p50 µs", 0, false),
            ("off_p99_us", "p99 µs", 0, false),
            ("off_max_us", "max µs", 0, false),
            ("early", "early", 0, false),
            ("closed", "closed", 0, false),
            ("stream_kib", "KiB per stream", 2, true),
            ("threads", "threads", 0, false),
            ("switches", "switches each", 2, false),
        ],
        Load::Fair { .. } => &[
            ("p50_us", "p50 µs", 0, true),
            ("p90_us", "p90 µs", 0, true),
            ("p99_us", "p99 µs", 0, true),
            ("max_us", "max µs", 0, false),
            ("asked", "asked", 0, false),
            ("failed", "failed", 0, false),
            ("megabytes", "MB sent meanwhile", 0, true),
        ],
        Load::Burst { .. } => &[
            ("per_s", "events/s", 0, true),
            ("cpu_us", "CPU µs each", 3, true),
            ("client_cpu_us", "client's CPU µs", 3, false),
            ("event_bytes", "bytes each", 0, false),
            ("incomplete", "incomplete", 0, false),
        ],
        Load::Idle { .. } => &[
            ("stream_kib", "KiB per stream", 2, true),
            ("kernel_kib", "kernel's KiB", 2, false),
            ("whole_kib", "both", 2, true),
            ("open_s", "all open after s", 2, true),
            ("cpu_us", "CPU µs each", 0, false),
            ("threads", "threads", 0, false),
        ],
        Load::Storm { .. } => &[
            ("per_s", "per s", 0, true),
            ("cpu_us", "CPU µs each", 1, true),
            ("client_cpu_us", "client's CPU µs", 1, false),
            ("p50_us", "p50 µs", 0, false),
            ("p99_us", "p99 µs", 0, true),
            ("slow", "over 0.9 s", 0, false),
            ("failed", "failed", 0, false),
        ],
        Load::First { .. } => &[
            ("p50_us", "p50 µs", 0, true),
            ("p99_us", "p99 µs", 0, true),
            ("max_us", "max µs", 0, false),
            ("failed", "failed", 0, false),
        ],
    }
}
