//! What the system tells of a process and of the machine, and a histogram of times.

use std::fs;
use std::process;

use rustix::param::clock_ticks_per_second;

/// What a process has used, and has.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// Seconds of processor time, in steps of 10 ms.
    pub cpu: f64,
    pub resident_kib: f64,
    pub peak_kib: f64,
    pub threads: f64,
    /// How often its threads went to sleep.
    pub switches: f64,
}

impl Usage {
    pub fn of(process: u32) -> Self {
        let stat = read(&format!("/proc/{process}/stat"));
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number =
            |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        let status = read(&format!("/proc/{process}/status"));
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let switches = |status: String| field(&status, "voluntary_ctxt_switches:");
        Self {
            cpu: (number(11) + number(12)) / clock_ticks_per_second() as f64,
            resident_kib: field(&status, "VmRSS:"),
            peak_kib: field(&status, "VmHWM:"),
            threads: number(17),
            switches: threads
                .filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok())
                .map(switches)
                .sum(),
        }
    }

    pub fn own() -> Self {
        Self::of(process::id())
    }
}

/// Processor time of all processes, in seconds.
pub fn machine_cpu() -> f64 {
    let stat = read("/proc/stat");
    let numbers = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(3); // user, nice, system
    numbers.filter_map(|number| number.parse::<f64>().ok()).sum::<f64>() / clock_ticks_per_second() as f64
}

/// The kernel's stacks and page tables of all processes: only a server's threads move them much.
pub fn kernel_kib() -> f64 {
    let memory = read("/proc/meminfo");
    field(&memory, "KernelStack:") + field(&memory, "PageTables:")
}

/// Processors, memory and kernel, in one line.
pub fn machine() -> String {
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(", ");
    format!(
        "{} processors ({}), {:.0} GiB, Linux {}; load averages {load}",
        processors(),
        model.map_or("of a kind that is not told", |model| model.1),
        field(&read("/proc/meminfo"), "MemTotal:") / 1024.0 / 1024.0,
        kernel.trim(),
    )
}

pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

/// Counts nanoseconds in 64 steps for each power of two, so that each is told to 1.6 %.
pub struct Histogram {
    counts: Vec<u64>,
    pub count: u64,
    pub max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self { counts: vec![0; 64 * 64], count: 0, max: 0 }
    }

    pub fn add(&mut self, nanos: u64) {
        let power = (63 - (nanos | 1).leading_zeros() as usize).saturating_sub(5);
        // Steps below 64 ns are one nanosecond each.
        let step =
            if power == 0 { nanos as usize } else { power * 64 + ((nanos >> (power - 1)) & 63) as usize };
        self.counts[step] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// That part of all was not above this, in microseconds.
    pub fn micros(&self, part: f64) -> f64 {
        let wanted = (self.count as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        let step = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        let nanos = match step {
            None => 0,
            Some(step) if step < 64 => step as u64,
            Some(step) => (64 + step as u64 % 64) << (step / 64 - 1),
        };
        nanos as f64 / 1e3
    }
}
