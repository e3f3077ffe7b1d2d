//! Tables in Markdown: of each case with everything that was measured, and those of the README and of the guide.

use crate::cases::{columns, Case, Column, CASES, SUBJECTS};
use crate::load::Figures;

pub struct Run {
    pub round: usize,
    pub case: &'static str,
    pub subject: &'static str,
    pub figures: Result<Figures, String>,
}

/// What other processes took of all processors while it ran.
pub const OTHERS: &str = "others";
const OTHERS_COLUMN: Column = (OTHERS, "other programs, % of the machine", 0, false);

/// A row of a table for people: what it says, and the figures that stand in it, each of a case.
type Row = (&'static str, &'static [(&'static str, &'static str, Unit)]);

#[derive(Clone, Copy)]
enum Unit {
    Rate,
    Micros,
    /// Told in milliseconds, counted in microseconds.
    Millis,
    Kib,
}

use Unit::{Kib, Micros, Millis, Rate};

const SUMMARIES: &[(&str, &[Row])] = &[
    (
        "README: how fast",
        &[
            (
                "a channel to 1,000, to 10,000 subscribers: deliveries per second",
                &[("fan1000", "per_s", Rate), ("fan10000", "per_s", Rate)],
            ),
            (
                "processor time for each of these",
                &[("fan1000", "cpu_us", Micros), ("fan10000", "cpu_us", Micros)],
            ),
            ("an idle subscriber of 10,000, all included", &[("idle10000", "whole_kib", Kib)]),
            (
                "a thousand channels with one subscriber each, 10 events a second: processor time for each delivery",
                &[("rooms1000", "cpu_us", Micros)],
            ),
            ("one generator's stream: events per second", &[("burst1", "per_s", Rate)]),
            (
                "a generator's `wait` of a second ends late by: half, 99 of 100",
                &[("wait1000", "off_p50_us", Millis), ("wait1000", "off_p99_us", Millis)],
            ),
            ("from connecting to the first event", &[("ttfe", "p50_us", Millis)]),
            (
                "connect, ask, close: per second, processor time for each",
                &[("storm", "per_s", Rate), ("storm", "cpu_us", Micros)],
            ),
            ("pages on 32 connections that stay open: per second", &[("keep", "per_s", Rate)]),
            (
                "an idle stream of a generator, with its thread and a stack of 64 KiB",
                &[("idle1000t", "whole_kib", Kib)],
            ),
            (
                "a thousand generators that wait 100 ms: processor time for each event",
                &[("gen1000", "cpu_us", Micros)],
            ),
        ],
    ),
    (
        "guide::costs: a channel",
        &[
            ("1,000 subscribers, as fast as goes", &[("fan1000", "per_s", Rate)]),
            ("5,000", &[("fan5000", "per_s", Rate)]),
            ("10,000", &[("fan10000", "per_s", Rate)]),
            (
                "processor time for each delivery",
                &[
                    ("fan1000", "cpu_us", Micros),
                    ("fan5000", "cpu_us", Micros),
                    ("fan10000", "cpu_us", Micros),
                ],
            ),
            (
                "10 events a second to 1,000, to 10,000: the same",
                &[("paced1000", "cpu_us", Micros), ("paced10000", "cpu_us", Micros)],
            ),
            (
                "latency of these, 99 of 100",
                &[("paced1000", "p99_us", Millis), ("paced10000", "p99_us", Millis)],
            ),
            ("an idle subscriber of 10,000, all included", &[("idle10000", "whole_kib", Kib)]),
            (
                "1,000 channels with one follower each: processor time for each delivery, memory of each",
                &[("rooms1000", "cpu_us", Micros), ("rooms1000", "stream_kib", Kib)],
            ),
            (
                "1,000 topics of one channel with one follower each: the same",
                &[("topics1000", "cpu_us", Micros), ("topics1000", "stream_kib", Kib)],
            ),
            (
                "10,000 topics: the same",
                &[("topics10000", "cpu_us", Micros), ("topics10000", "stream_kib", Kib)],
            ),
            (
                "a page for newcomers while a channel floods 1,000: half, 99 of 100",
                &[("fair1000", "p50_us", Millis), ("fair1000", "p99_us", Millis)],
            ),
        ],
    ),
    (
        "guide::costs: streams, deliveries per second and processor time for each",
        &[
            ("1", &[("fan1", "per_s", Rate), ("fan1", "cpu_us", Micros)]),
            ("10", &[("fan10", "per_s", Rate), ("fan10", "cpu_us", Micros)]),
            ("100", &[("fan100", "per_s", Rate), ("fan100", "cpu_us", Micros)]),
            ("1,000", &[("fan1000", "per_s", Rate), ("fan1000", "cpu_us", Micros)]),
            ("10,000", &[("fan10000", "per_s", Rate), ("fan10000", "cpu_us", Micros)]),
        ],
    ),
    (
        "guide::costs: a generator's own stream",
        &[
            ("one stream of events that are made one by one", &[("burst1", "per_s", Rate)]),
            ("the same on 16 streams", &[("burst16", "per_s", Rate)]),
            ("processor time for each event", &[("burst1", "cpu_us", Micros), ("burst16", "cpu_us", Micros)]),
            (
                "from connecting to the first event: half, 99 of 100",
                &[("ttfe", "p50_us", Millis), ("ttfe", "p99_us", Millis)],
            ),
            (
                "an idle stream with a thread of its own, stack of 64 KiB: resident, with the kernel's part",
                &[("idle1000t", "stream_kib", Kib), ("idle1000t", "whole_kib", Kib)],
            ),
            (
                "1,000 generators that wait 100 ms: processor time for each event, memory of each",
                &[("gen1000", "cpu_us", Micros), ("gen1000", "stream_kib", Kib)],
            ),
            (
                "5,000 that wait a second: processor time for each event, memory of each",
                &[("gen5000s", "cpu_us", Micros), ("gen5000s", "stream_kib", Kib)],
            ),
            ("their latency, 99 of 100", &[("gen1000", "p99_us", Millis), ("gen5000s", "p99_us", Millis)]),
        ],
    ),
    (
        "guide::costs: how late a wait ends, half and 99 of 100",
        &[
            ("1 ms", &[("wait1", "off_p50_us", Millis), ("wait1", "off_p99_us", Millis)]),
            ("10 ms", &[("wait10", "off_p50_us", Millis), ("wait10", "off_p99_us", Millis)]),
            ("100 ms", &[("wait100", "off_p50_us", Millis), ("wait100", "off_p99_us", Millis)]),
            ("400 ms", &[("wait400", "off_p50_us", Millis), ("wait400", "off_p99_us", Millis)]),
            ("1 s", &[("wait1000", "off_p50_us", Millis), ("wait1000", "off_p99_us", Millis)]),
            ("5 s", &[("wait5000", "off_p50_us", Millis), ("wait5000", "off_p99_us", Millis)]),
        ],
    ),
    (
        "guide::costs: requests",
        &[
            ("connect, ask, close; 32 at a time", &[("storm", "per_s", Rate), ("storm", "cpu_us", Micros)]),
            ("the same: 99 of 100 within", &[("storm", "p99_us", Millis)]),
            (
                "a page of 1 KiB on 32 connections that stay open",
                &[("keep", "per_s", Rate), ("keep", "cpu_us", Micros)],
            ),
        ],
    ),
];

pub fn print(runs: &[Run]) {
    for case in CASES.iter().filter(|case| runs.iter().any(|run| run.case == case.name)) {
        print_case(case, runs);
    }
    for (heading, rows) in SUMMARIES {
        print_summary(heading, rows, runs);
    }
}

/// A row for each subject; medians, and in brackets the least and the most of all rounds.
fn print_case(case: &Case, runs: &[Run]) {
    let columns: Vec<_> = columns(&case.load).iter().chain([&OTHERS_COLUMN]).collect();
    println!("## {}: {}\n", case.name, case.about);
    let mut head = String::from("|");
    for (_, heading, _, is_compared) in &columns {
        head += &format!(" | {heading}{}", if *is_compared { " | of axum's" } else { "" });
    }
    println!("{head} |\n|{}", "---|".repeat(head.matches('|').count()));
    for subject in SUBJECTS {
        let own: Vec<_> =
            runs.iter().filter(|run| run.case == case.name && run.subject == subject.name).collect();
        let errors: Vec<_> = own.iter().filter_map(|run| run.figures.as_ref().err()).collect();
        if let (Some(error), true) = (errors.first(), errors.len() == own.len()) {
            println!("| {} | {error} |{}", subject.name, " |".repeat(head.matches('|').count() - 2));
        }
        if errors.len() == own.len() {
            continue;
        }
        let mut row = format!("| {}", subject.name);
        if let Some(error) = errors.first() {
            row += &format!(" ({} of {} failed: {error})", errors.len(), own.len());
        }
        for (figure, _, digits, is_compared) in &columns {
            row += &format!(" | {}", spread(&values(runs, case.name, subject.name, figure), *digits));
            if *is_compared {
                row += &format!(" | {}", ratio(runs, case.name, subject.name, figure));
            }
        }
        println!("{row} |");
    }
    println!();
}

/// Those rows of which something was measured.
fn print_summary(heading: &str, rows: &[Row], runs: &[Run]) {
    let [ours, theirs] = [SUBJECTS[0].name, SUBJECTS[1].name];
    let mut lines = String::new();
    for (label, figures) in rows {
        if !figures.iter().any(|(case, ..)| runs.iter().any(|run| run.case == *case)) {
            continue;
        }
        let told = |subject: &str| {
            let medians = figures.iter().map(|(case, figure, unit)| {
                median(values(runs, case, subject, figure)).map_or("-".to_owned(), |median| unit.tell(median))
            });
            medians.collect::<Vec<_>>().join(", ")
        };
        let ratios = figures.iter().map(|(case, figure, _)| ratio(runs, case, ours, figure) + " ×");
        let ratios = ratios.collect::<Vec<_>>().join(", ");
        lines += &format!("| {label} | {} | {} | {ratios} |\n", told(ours), told(theirs));
    }
    if !lines.is_empty() {
        println!("## {heading}\n\n| | {ours} | {theirs} | |\n|---|---|---|---|\n{lines}");
    }
}

impl Unit {
    fn tell(self, figure: f64) -> String {
        match self {
            Self::Rate if figure >= 1e6 => format!("{} M/s", short(figure / 1e6)),
            Self::Rate if figure >= 1e3 => format!("{} k/s", short(figure / 1e3)),
            Self::Rate => format!("{}/s", short(figure)),
            Self::Micros => format!("{} µs", short(figure)),
            Self::Millis => format!("{} ms", short(figure / 1e3)),
            Self::Kib => format!("{} KiB", short(figure)),
        }
    }
}

/// With three digits that mean something, but no more than three behind the point.
fn short(figure: f64) -> String {
    let digits = [(100.0, 0), (10.0, 1), (0.1, 2)].into_iter().find(|(least, _)| figure.abs() >= *least);
    grouped(figure, digits.map_or(3, |(_, digits)| digits))
}

/// A figure in each round where there is one.
fn values(runs: &[Run], case: &str, subject: &str, figure: &str) -> Vec<(usize, f64)> {
    let own = runs.iter().filter(|run| run.case == case && run.subject == subject);
    own.filter_map(|run| Some((run.round, *run.figures.as_ref().ok()?.get(figure)?))).collect()
}

/// The median of the ratios to axum in the same round.
fn ratio(runs: &[Run], case: &str, subject: &str, figure: &str) -> String {
    let base = values(runs, case, SUBJECTS[1].name, figure);
    let ratio = |(round, value): (usize, f64)| {
        let base = base.iter().find(|base| base.0 == round && base.1 > 0.0)?;
        Some((round, value / base.1))
    };
    median(values(runs, case, subject, figure).into_iter().filter_map(ratio).collect())
        .map_or("-".to_owned(), short)
}

fn median(values: Vec<(usize, f64)>) -> Option<f64> {
    let mut values: Vec<_> = values.into_iter().map(|(_, value)| value).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

fn spread(values: &[(usize, f64)], digits: usize) -> String {
    let least = values.iter().map(|value| value.1).fold(f64::INFINITY, f64::min);
    let most = values.iter().map(|value| value.1).fold(f64::NEG_INFINITY, f64::max);
    let [least, most] = [least, most].map(|value| grouped(value, digits));
    match median(values.to_vec()) {
        None => "-".to_owned(),
        Some(median) if least == most => grouped(median, digits),
        Some(median) => format!("{} ({least}-{most})", grouped(median, digits)),
    }
}

/// With commas between thousands.
fn grouped(figure: f64, digits: usize) -> String {
    let plain = format!("{figure:.digits$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let (sign, whole) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut text = sign.to_owned();
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}
