//! The `dashboard` example as a program: what it makes of /proc, and what a page is sent of it.

use std::fs;
use std::path::PathBuf;

use brooklet::testing::{EventStream, Message};

use crate::example::{check_refusal, folder, Tool};
use crate::patience::eventually;
use crate::wire::show;

const STAT: &str =
    "cpu  200 0 200 1600 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0\ncpu1 100 0 100 800 0 0 0 0 0 0\n\
    intr 12345 0 9\nctxt 99\nbtime 1700000000\n";

/// Each file by itself, one row after another: what is in it now, and what samples say of it from then on.
#[test]
fn values() {
    let proc = Proc::new("dashboard-values");
    let tool = proc.start(&["--interval", "50"]);
    let mut stream = tool.stream("/events", "");
    let about = stream.next_event().unwrap();
    assert_eq!(about.event_type, "about");
    assert_eq!(about.data, r#"{"host":"tin","kernel":"6.1.0","cores":2,"interval":0.05,"history":300}"#);
    wait_for(&mut stream, r#""memory":null,"load":null,"network":[],"disk":null}"#);

    let mut check = |file: &str, text: &str, expected: &str| {
        proc.write(file, text);
        wait_for(&mut stream, expected);
    };
    check("uptime", "13257.07 14627.74\n", r#""uptime":13257.07,"#);
    check("uptime", "nonsense", r#""uptime":null,"#);

    check("loadavg", "0.52 1.00 12.34 1/467 12345\n", r#""load":[0.52,1,12.34],"#);
    check("loadavg", "0.52 x 12.34", r#""load":null,"#);
    check("loadavg", "1 2 3", r#""load":[1,2,3],"#);
    check("loadavg", "1 2", r#""load":null,"#);

    let memory = |total: u64, used: u64, swap_total: u64, swap_used: u64| {
        let (total, used, swap_total, swap_used) =
            (total << 10, used << 10, swap_total << 10, swap_used << 10);
        format!(
            r#""memory":{{"total":{total},"used":{used},"swap_total":{swap_total},"swap_used":{swap_used}}},"#
        )
    };
    let base = "MemTotal:        1000 kB\nMemFree:  100 kB\n";
    check("meminfo", &format!("{base}MemAvailable:  600 kB\n"), &memory(1000, 400, 0, 0));
    check(
        "meminfo",
        &format!("{base}Buffers: 20 kB\nCached: 30 kB\nSwapCached: 7 kB\n"),
        &memory(1000, 850, 0, 0),
    );
    check("meminfo", base, &memory(1000, 900, 0, 0));
    check("meminfo", &format!("{base}SwapTotal: 50 kB\nSwapFree: 20 kB\n"), &memory(1000, 900, 50, 30));
    check("meminfo", &format!("{base}SwapTotal: 60 kB\n"), &memory(1000, 900, 60, 0));
    check("meminfo", "MemTotal: 1000 kB\nMemAvailable: 2000 kB\n", &memory(1000, 0, 0, 0));
    check("meminfo", "MemTotal: 1000 kB\n", r#""memory":null,"#);
    check("meminfo", "MemTotal: 9 kB\nMemFree: 9 kB", &memory(9, 0, 0, 0));
    check("meminfo", "MemTotal: 99999999999999999999 kB\nMemFree: 1 kB\n", r#""memory":null,"#);
    check("meminfo", "MemTotal: 8 kB\nMemFree: 8 kB", &memory(8, 0, 0, 0));
    check("meminfo", "MemTotal 8 kB\nMemFree: 8\n", r#""memory":null,"#);

    // Of what there was for a whole interval; those through which nothing ever went are not there.
    let head = "Inter-|   Receive                |  Transmit\n face |bytes    packets errs |bytes\n";
    let eth = "  eth0: 522 21 0 0 0 0 0 0 146 16 0 0 0 0 0 0\n";
    let idle = "  ifb0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n";
    let at_rest = r#"{"name":"eth0","in":0,"out":0}"#;
    check("net/dev", &format!("{head}{eth}{idle}"), &format!(r#""network":[{at_rest}],"#));
    check(
        "net/dev",
        &format!(
            "{head}    lo:7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n{eth}a:1:9 0 0 0 0 0 0 0 8 0\nx: 1 2\ny: a\n"
        ),
        &format!(r#""network":[{{"name":"lo","in":0,"out":0}},{at_rest},{{"name":"a:1","in":0,"out":0}}],"#),
    );
    check("net/dev", "no\n: such\nfile", r#""network":[],"#);

    check(
        "diskstats",
        "   8       0 sda 1 2 3 4 5 6 7 8 0 9 9\n",
        r#""disk":{"name":"disk","in":0,"out":0}}"#,
    );
    check(
        "diskstats",
        "   7       0 loop0 1 2 3 4 5 6 7 8 0 9 9\n 1 1 ram0 1 2 3 4 5 6 7\n8 0 sdb 1\n",
        r#""disk":null}"#,
    );
}

#[test]
fn processors() {
    let proc = Proc::new("dashboard-processors");
    let tool = proc.start(&["--interval", "50"]);
    let mut stream = tool.stream("/events", "");
    wait_for(&mut stream, r#""cpu":null,"cores":[null,null],"#); // no tick between two samples

    // Each row goes on from the one before.
    let mut check = |stat: &str, expected: &str| {
        proc.write("stat", stat);
        wait_for(&mut stream, &format!("{expected},\"memory\""));
        wait_for(&mut stream, r#""cpu":null,"cores":["#);
    };
    check("cpu  250 0 200 1750\ncpu0 150 0 100 850\ncpu1 100 0 100 900\n", r#""cpu":25,"cores":[50,0]"#);
    // The columns: user nice system idle iowait irq softirq steal, and guests, who are users.
    check(
        "cpu  251 1 201 1751 1 1 1 1 90 90\ncpu0 150 0 100 850 3\ncpu1 103 0 100 900\n",
        r#""cpu":75,"cores":[0,100]"#,
    );
    check(
        "cpu  252 1 201 1753 1 1 1 1\ncpu0 151 0 100 850 0\ncpu1 104 0 100 907\n",
        r#""cpu":33.3,"cores":[100,12.5]"#,
    );
    check("cpu  262 1 201 1753 1 1 1 1\ncpu1 104 0 100 908\n", r#""cpu":100,"cores":[0]"#); // one is switched off
    check("cpu  262 1 201 1763 1 1 1 1\ncpu1 105 0 100 908\ncpu0 1 1 1 1\n", r#""cpu":0,"cores":[100,null]"#);

    // Whatever stands there, it goes on.
    let max = u64::MAX;
    for nonsense in [
        String::new(),
        "cpu\ncpu0\n\0\u{ff}".to_owned(),
        "cpu  1 2 3\ncpu0 a b c d\n".to_owned(),
        format!("cpu  {max} {max} {max} {max} {max}\ncpu0 {max}0 1 1 1\n"),
        "cpu  -1 -1 -1 -1".to_owned(),
    ] {
        proc.write("stat", &nonsense);
        wait_for(&mut stream, r#""cpu":null,"cores":[],"#);
        proc.write("stat", STAT);
        wait_for(&mut stream, r#""cpu":null,"cores":[null,null],"#);
    }
}

/// What moved between two samples is in them by the second.
#[test]
fn rates() {
    let proc = Proc::new("dashboard-rates");
    proc.write("net/dev", "eth0: 1000 0 0 0 0 0 0 0 5000 0 0 0 0 0 0 0\n");
    let disks = |sda: [u64; 2], others: [u64; 2]| {
        let line = |name: &str, [read, written]: [u64; 2]| {
            format!("8 0 {name} 1 1 {read} 1 1 1 {written} 1 0 1 1\n")
        };
        let others: String = ["sda1", "sda12", "dm-0", "md127", "loop3", "zram0", "nvme0n1p2"]
            .iter()
            .map(|name| line(name, others))
            .collect();
        proc.write("diskstats", &(line("sda", sda) + &line("nvme0n1", [0, sda[1]]) + &others));
    };
    disks([100, 100], [100, 100]);
    let tool = proc.start(&["--interval", "50"]);
    let mut stream = tool.stream("/events", "");
    let before = wait_for(
        &mut stream,
        r#""network":[{"name":"eth0","in":0,"out":0}],"disk":{"name":"disk","in":0,"out":0}}"#,
    );

    proc.write("net/dev", "eth0: 201000 0 0 0 0 0 0 0 105000 0 0 0 0 0 0 0\n");
    moved(&mut stream, &before, r#"{"name":"eth0","#, [200_000.0, 100_000.0]);
    wait_for(&mut stream, r#"{"name":"eth0","in":0,"out":0}"#);
    proc.write("net/dev", "eth0: 5 0 0 0 0 0 0 0 5 0 0 0 0 0 0 0\n"); // a counter that begins again
    let before = wait_for(&mut stream, r#"{"name":"eth0","in":0,"out":0}"#);

    // Two disks write as much as one of them reads; what is on them, or made of them, is not counted again.
    disks([100_100, 100_100], [900_100, 100]);
    moved(&mut stream, &before, r#"{"name":"disk","#, [51_200_000.0, 102_400_000.0]);
    // sectors have 512 bytes
}

/// A history at once, what was missed after a break, and a word where it is gone.
#[test]
fn history() {
    let proc = Proc::new("dashboard-history");
    let tool = proc.start(&["--interval", "50", "--history", "3"]);
    let mut first = tool.stream("/events", "");
    assert_eq!(first.next_event().unwrap().event_type, "about");
    let sequence =
        |message: &Message| message.last_event_id.rsplit('-').next().unwrap().parse::<u32>().unwrap();
    let early = first.next_event().unwrap();
    while sequence(&first.next_event().unwrap()) < 80 {}

    // Sixty of them are remembered, and one. They are there before the next one is taken.
    let mut fresh = tool.stream("/events", "");
    assert_eq!(fresh.next_event().unwrap().event_type, "about");
    let oldest = sequence(&fresh.next_event().unwrap());
    assert!(oldest >= 80 - 61 && oldest > sequence(&early), "{oldest}");
    let mut last = oldest;
    while last < oldest + 70 {
        let message = fresh.next_event().unwrap();
        assert_eq!(sequence(&message), last + 1);
        last += 1;
    }
    eventually("it comes back before three seconds have passed", || {
        let message = fresh.next_event().unwrap();
        let mut back = tool.stream("/events", &message.last_event_id);
        assert_eq!(back.next_event().unwrap().event_type, "about");
        let next = back.next_event().unwrap();
        assert!(next.event_type == "reset" || sequence(&next) == sequence(&message) + 1, "{next}");
        next.event_type != "reset"
    });

    let mut lost = tool.stream("/events", &early.last_event_id);
    assert_eq!(lost.next_event().unwrap().event_type, "about");
    let reset = lost.next_event().unwrap();
    assert_eq!(reset.event_type, "reset");
    assert!(reset.data.starts_with(r#"{"reason":"expired","missed":"#), "{reset}");
}

#[test]
fn this_machine() {
    let tool = Tool::start("dashboard", &["--interval", "60000"]);
    let answer = tool.get("/metrics.json");
    let page = b"503 Service Unavailable: the first sample is on its way\n";
    assert_eq!((answer.status, show(&answer.body)), (503, show(page)));
    assert_eq!(answer.field("Retry-After"), Some("1"));
    assert!(String::from_utf8(tool.get("/").body).unwrap().contains("<title>Dashboard</title>"));

    let tool = Tool::start("dashboard", &["--interval", "50"]);
    eventually("there is a sample", || tool.get("/metrics.json").status == 200);
    let answer = tool.get("/metrics.json");
    let sample = String::from_utf8(answer.body.clone()).unwrap();
    assert!(sample.starts_with(r#"{"time":1"#) && sample.contains(r#""memory":{"total":"#), "{sample}");
    assert_eq!(
        (answer.field("Content-Type"), answer.field("Cache-Control")),
        (Some("application/json"), Some("no-store"))
    );
}

#[test]
fn arguments() {
    check_refusal("dashboard", &["--interval", "49"], "--interval is a number from 50 to 60000");
    check_refusal("dashboard", &["--interval", "60001"], "--interval is a number from 50 to 60000");
    check_refusal("dashboard", &["--history", "0"], "--history is a number from 1 to 86400");
    let missing = "cannot read /nowhere/stat: No such file or directory (os error 2); it is there on Linux";
    check_refusal("dashboard", &["--proc", "/nowhere"], missing);
}

/// A folder that looks like /proc.
struct Proc(PathBuf);

impl Proc {
    fn new(name: &str) -> Self {
        let proc = Self(folder(name));
        fs::create_dir_all(proc.0.join("sys/kernel")).unwrap();
        fs::create_dir_all(proc.0.join("net")).unwrap();
        proc.write("stat", STAT);
        proc.write("sys/kernel/hostname", "tin\n");
        proc.write("sys/kernel/osrelease", "6.1.0\n");
        proc
    }

    /// In one step, as the kernel does it.
    fn write(&self, file: &str, text: &str) {
        let new = self.0.join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.0.join(file)).unwrap();
    }

    fn start(&self, arguments: &[&str]) -> Tool {
        Tool::start("dashboard", &[&["--proc", self.0.to_str().unwrap()], arguments].concat())
    }
}

/// The samples of a minute: on a busy machine, those that were taken before a file was written may still have to be read.
const MANY: usize = 1200;

/// The next sample that says so.
#[track_caller]
fn wait_for(stream: &mut EventStream, expected: &str) -> String {
    let mut data = String::new();
    for _ in 0..MANY {
        data = stream.next_event().unwrap().data;
        if data.contains(expected) {
            return data;
        }
    }
    panic!("no sample has {expected}; the last one was {data}");
}

/// Holds the next sample in which something has come in or gone out to how many bytes that were. How long it took is
/// known from its time and that of the sample before.
#[track_caller]
fn moved(stream: &mut EventStream, before: &str, name: &str, expected: [f64; 2]) {
    let number = |text: &str, name: &str| -> f64 {
        let rest = text.split(&format!("\"{name}\":")).nth(1).unwrap();
        rest.split([',', '}']).next().unwrap().parse().unwrap()
    };
    let mut time = number(before, "time");
    for _ in 0..MANY {
        let data = stream.next_event().unwrap().data;
        let seconds = (number(&data, "time") - time) / 1000.0;
        let traffic = data.split(name).nth(1).unwrap();
        let bytes = ["in", "out"].map(|way| number(traffic, way) * seconds);
        if bytes != [0.0, 0.0] {
            // Both clocks are read one after the other, and one of them counts milliseconds.
            let is_near = |(bytes, expected): (f64, f64)| (0.5..2.0).contains(&(bytes / expected));
            return assert!(bytes.into_iter().zip(expected).all(is_near), "{bytes:?}, not {expected:?}");
        }
        time = number(&data, "time");
    }
    panic!("nothing moves");
}
