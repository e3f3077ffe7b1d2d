//! Places that a program may find itself in: few resources, dead standard streams, another time.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use brooklet::testing::{Client, EventStream};
use brooklet::{Host, Layout};

use crate::example::{ask, binary, folder, free_address, servers, spawn};
use crate::patience::{eventually, in_time};
use crate::serving::GET;
use crate::webdriver::{Process, TempFolder};
use crate::wire::Wire;

/// Set where this program runs itself in another place.
const VARIABLE: &str = "BROOKLET_ENVIRONMENT";

/// What a shell does before it becomes the program. `$0` is a folder for it.
const PLAIN: &str = r#"exec "$@""#;
const CLOSED: &str = r#"exec "$@" <&- >&- 2>&-"#;
const FULL: &str = r#"exec "$@" >/dev/full 2>&1"#;
const DEAD_PIPE: &str = r#"exec "$@" > >(:) 2>&1"#;
const FULL_PIPE: &str = r#"head -c 1000000 /dev/zero >&2 & exec "$@" >&2"#;
const NO_PROC: &str =
    r#"exec unshare -m sh -c 'mount -t tmpfs none /proc && mount -t tmpfs none /sys && exec "$@"' - "$@""#;
/// Nothing but the program and the libraries that it is linked with, and a user who may write nowhere.
const EMPTY_ROOT: &str = r#"
    set -e
    mkdir "$0/root"
    cp --parents "$1" $(ldd "$1" | grep -o '/[^ ]*') "$0/root"
    exec unshare -m sh -ec '
        mount --bind "$0" "$0"
        mount -o remount,bind,ro "$0"
        ! touch "$0/file" 2>/dev/null
        exec chroot --userspec=65534:65534 "$0" "$@"' "$0/root" "$@""#;
const FEW_DESCRIPTORS: &str = r#"ulimit -n 64; exec "$@""#;
/// For a user that nobody else is: what others run would count.
const FEW_THREADS: &str =
    r#"ulimit -u 16; exec setpriv --reuid=$((100000 + $$)) --regid=65534 --clear-groups "$@""#;
const NO_IPV6: &str = r#"
    exec unshare -n sh -ec '
        ip link set lo up
        echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
        exec "$@"' - "$@""#;
/// A wall clock that is set to what a file says.
const FAKE_TIME: &str = r#"
    set -e
    library=$(ls /usr/lib/*/faketime/libfaketime.so.1)
    test -e "$0/step" || echo +0 >"$0/step"
    export LD_PRELOAD=$library FAKETIME_TIMESTAMP_FILE=$0/step FAKETIME_NO_CACHE=1
    export FAKETIME_DONT_FAKE_MONOTONIC=1
    exec "$@""#;

/// A machine without a clock of its own, half a minute after its start.
const NO_CLOCK: &str = r#"
    library=$(ls /usr/lib/*/faketime/libfaketime.so.1) || exit
    export LD_PRELOAD=$library FAKETIME='@1970-01-01 00:00:30' TZ=UTC FAKETIME_DONT_FAKE_MONOTONIC=1
    exec "$@""#;

/// A second passes in a thousandth of one, and standard output is full.
const FAST_TIME: &str = r#"
    library=$(ls /usr/lib/*/faketime/libfaketime.so.1) || exit
    exec env LD_PRELOAD=$library FAKETIME='+0 x1000' "$@" >/dev/full"#;

/// A row for each place: what it is, how a shell makes it, and what has to be so there.
#[test]
fn places() {
    check("as any user has it", PLAIN, serves);
    check("no standard streams", CLOSED, serves);
    check("no standard error", r#"exec "$@" 2>&-"#, serves);
    check("full standard streams", FULL, serves);
    check("standard streams whose reader is gone", DEAD_PIPE, serves);
    check("standard streams that nobody reads", FULL_PIPE, serves);
    check("no variables", r#"cd /; exec env -i "$@""#, serves);
    check("a time zone and a locale unheard of", r#"TZ=No/Where LC_ALL=xx_YY.none exec "$@""#, serves);
    check("64 descriptors", FEW_DESCRIPTORS, serves);
    check("fewer descriptors than streams", FEW_DESCRIPTORS, serves_one_after_another);
    check("64 MiB of memory", r#"ulimit -v 65536; exec "$@""#, serves);
    check("16 threads", FEW_THREADS, serves);
    check("fewer threads than streams", FEW_THREADS, serves_those_it_can);
    check("no /proc and no /sys", NO_PROC, serves);
    check("an empty root that is read-only", EMPTY_ROOT, serves);
    check("no IPv6", NO_IPV6, serves_without_ipv6);
    check("a wall clock that is stepped", FAKE_TIME, goes_by_another_clock);
    check("stopped and continued", PLAIN, answers_what_came_meanwhile);
}

/// What clients send is more than there is memory for: some are told so, and nothing ends.
#[test]
fn bodies_beyond_the_memory() {
    check("tour", &[], 20);
    check("load", &["64"], 60); // KiB of stack: there is memory for all the threads

    #[track_caller]
    fn check(name: &str, arguments: &[&str], clients: usize) {
        const LENGTH: usize = 1024 * 1024;
        let folder = TempFolder::new();
        let address = free_address();
        let port = address.port().to_string();
        let arguments = [&[&*port], arguments].concat();
        let mut process =
            spawn(&mut shell(r#"ulimit -v 65536; exec "$@""#, &folder.0, &binary(name), &arguments), address);
        let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LENGTH}\r\n\r\n");
        let mut clients: Vec<_> = (0..clients).map(|_| Wire::connect(address).unwrap()).collect();
        for client in &clients {
            client.send(&[head.as_bytes(), &[b'x'; LENGTH - 1]].concat()); // it may be told to leave
        }
        let answer = |client: &mut Wire| {
            client.finish();
            client.head().map(|answer| answer.status)
        };
        let answers: Vec<_> = clients.iter_mut().map(answer).collect();
        assert!(process.is_running(), "{name}: {answers:?}");
        assert!(answers.contains(&Ok(400)), "{name}: {answers:?}"); // its body ends too soon
        drop(clients);
        assert_eq!(ask(address, GET).status, 200);
    }
}

/// Makes a place; a row whose place cannot be made says so.
#[track_caller]
fn check(name: &str, shell: &'static str, holds: fn(&Place)) {
    let place = Place { shell, folder: TempFolder::new() };
    let made = run(&mut place.command(Path::new("/bin/true"), &[]));
    // Past what the test harness captures.
    if !made.status.success() {
        let reason = String::from_utf8_lossy(&made.stderr);
        let reason = reason.lines().next().unwrap_or("no reason given");
        let mut stderr = io::stderr();
        return writeln!(stderr, "skipped: a place with {name}: {reason}").unwrap();
    }
    eprintln!("{name}");
    holds(&Place { shell, folder: TempFolder::new() });
}

struct Place {
    shell: &'static str,
    folder: TempFolder,
}

impl Place {
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        shell(self.shell, &self.folder.0, program, arguments)
    }

    /// Runs `tour`.
    #[track_caller]
    fn tour(&self) -> (Process, SocketAddr) {
        let address = free_address();
        // Where anybody may read it. Not copied by this process, whose children might still have it open for writing.
        let program = self.folder.0.join("tour");
        assert!(Command::new("cp").arg(binary("tour")).arg(&program).status().unwrap().success());
        (spawn(&mut self.command(&program, &[&address.port().to_string()]), address), address)
    }
}

fn serves(place: &Place) {
    let (_tour, address) = place.tour();
    exercise(address);
}

/// Those for whom there is no thread are let go, the others go on, and when they have left there is room again.
fn serves_those_it_can(place: &Place) {
    const MANY: usize = 40;
    let (mut tour, address) = place.tour();
    let events = Client::get("/events?n=100000&ms=20");
    let mut streams: Vec<_> = (0..MANY).filter_map(|_| events.clone().connect(address).ok()).collect();
    assert!((1..=16).contains(&streams.len()), "{} streams", streams.len());
    streams.iter_mut().for_each(|stream| drop(stream.next_events(3).unwrap()));
    drop(streams);
    eventually("there is room again", || metrics_say(address, "connections 1"));
    exercise(address);
    assert!(tour.is_running());
}

/// Those for whom there is no descriptor wait, and are served when others have left.
fn serves_one_after_another(place: &Place) {
    const MANY: usize = 100;
    let (_tour, address) = place.tour();
    let mut clients: Vec<_> = (0..MANY).map(|_| Wire::connect(address).unwrap()).collect();
    for client in &mut clients {
        client.send(b"GET /events?n=100000&ms=20 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    while !clients.is_empty() {
        let served = clients.drain(..clients.len().min(MANY / 2));
        served.for_each(|mut client| assert_eq!(client.head().unwrap().status, 200));
    }
    exercise(address);
}

/// Whoever asks has to be in the same place.
fn serves_without_ipv6(place: &Place) {
    let itself = std::env::current_exe().unwrap();
    let test = ["--exact", "environments::where_this_runs", "--nocapture"];
    let output = run(place.command(&itself, &test).env(VARIABLE, "1"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn where_this_runs() {
    if std::env::var_os(VARIABLE).is_some() {
        serves(&Place { shell: PLAIN, folder: TempFolder::new() });
        let host = |address| Host::new(Layout::new()).bind(address).start();
        assert!(host("localhost:0").unwrap().address().is_ipv4());
        let error = host("[::1]:0").unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on [::1]:0: "), "{error}");
    }
}

/// Events and keep-alives go by a clock that nobody sets.
fn goes_by_another_clock(place: &Place) {
    let (_tour, address) = place.tour();
    let mut events = stream(address, "/events?n=100000&ms=20");
    let mut silence = stream(address, "/idle?hb=100");
    let mut years = Vec::new();
    for seconds in ["+0", "+315360000", "-315360000", "+2000000000"] {
        fs::write(place.folder.0.join("step"), seconds).unwrap();
        let answer = ask(address, GET);
        years.push(answer.field("Date").unwrap()[12..16].parse::<i32>().unwrap());
        events.next_events(10).unwrap();
        silence.next_item().unwrap().expect("it is kept alive");
    }
    let now = years[0];
    // Ten years of 365 days each.
    assert!((9..=10).contains(&(years[1] - now)) && (-10..=-9).contains(&(years[2] - now)), "{years:?}");
    assert!(years[3] - now >= 63, "{years:?}"); // beyond what 32 bits can count
}

/// A process that was stopped answers all that came meanwhile.
fn answers_what_came_meanwhile(place: &Place) {
    let (tour, address) = place.tour();
    let mut events = stream(address, "/events?n=100000&ms=20");
    events.next_events(3).unwrap();
    tour.signal("-STOP");
    let mut meanwhile = Wire::connect(address).unwrap();
    meanwhile.send(GET.as_bytes());
    thread::sleep(Duration::from_millis(300)); // for as long as it is stopped
    tour.signal("-CONT");
    assert_eq!(meanwhile.answer(false).unwrap().status, 200);
    events.next_events(50).unwrap();
    drop(events);
    exercise(address);
}

/// Nobody reads what it says: an example serves on all the same.
#[test]
fn examples_that_nobody_hears() {
    let files = folder("unheard");
    let file = files.join("index.html");
    fs::write(&file, "<p>one").unwrap();
    let (files, file) = (files.to_str().unwrap(), file.to_str().unwrap());
    for name in &servers() {
        let arguments: &[&str] = match &**name {
            "mcp" => &["--folder", files],
            "progress" => &["--rate", "1", files],
            "live_reload" => &[files],
            "pipe" => &[file],
            _ => &[],
        };
        for streams in [CLOSED, FULL, DEAD_PIPE, FULL_PIPE] {
            let (_process, address) = start(name, arguments, streams);
            for _ in 0..2 {
                assert!(ask(address, GET).status < 500, "{name} with {streams}");
            }
        }
    }
}

/// What it has to say is lost, but not what it is for.
#[test]
fn what_nobody_hears_ends_nothing() {
    for streams in [FULL, FULL_PIPE] {
        let root = folder("unheard-change");
        fs::write(root.join("index.html"), "<p>one").unwrap();
        let (_reload, address) = start("live_reload", &[root.to_str().unwrap()], streams);
        let mut changes = stream(address, "/.live_reload/events");
        fs::write(root.join("index.html"), "<p>one and two").unwrap();
        assert_eq!(changes.next_event().unwrap().event_type, "change");
    }

    let root = folder("unheard-sums");
    fs::write(root.join("file"), "x".repeat(10_000)).unwrap();
    let (_progress, address) = start("progress", &["--rate", "10", root.to_str().unwrap()], FULL_PIPE);
    assert_eq!(stream(address, "/events").events_to_end().unwrap().last().unwrap().event_type, "finish");

    let input = folder("unheard-lines").join("lines");
    fs::write(&input, "{\"data\":1}\nno JSON\n{\"data\":2}\n").unwrap();
    let lines = |place| {
        let output = run(&mut shell(place, &input, &binary("encode"), &[]));
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    for unheard in [r#"exec "$@" <"$0" 2>/dev/full"#, r#"exec "$@" <"$0" 2>&-"#, r#"exec "$@" <"$0" 2> >(:)"#]
    {
        assert_eq!(lines(unheard), ("data: 1\n\ndata: 2\n\n".to_owned(), Some(1)), "{unheard}");
    }
    assert_eq!(lines(r#"exec "$@" <"$0" >/dev/full 2>&1"#).1, Some(1)); // where its output goes, nothing can

    // It works for a minute, which passes in no time there.
    check("a clock that goes a thousand times as fast", FAST_TIME, |place| {
        let ended = run(&mut place.command(&binary("threads"), &["--port", "0"]));
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    });
}

/// The ids of its events are seconds since 1970, and it looks back two minutes.
#[test]
fn stock_soon_after_1970() {
    check("no clock of its own", NO_CLOCK, |place| {
        let (_stock, address) = start("stock", &[], place.shell);
        let events = stream(address, "/stock").next_events(2).unwrap();
        assert_eq!(events.iter().map(|event| &*event.last_event_id).collect::<Vec<_>>(), ["1", "2"]);
    });
}

/// Pages, bodies, ten streams at once, failures and a departure of each.
#[track_caller]
fn exercise(address: SocketAddr) {
    assert_eq!(ask(address, GET).status, 200);
    let body = "x".repeat(100_000);
    let head = format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    assert_eq!(ask(address, head + &body).body, body.as_bytes());
    for failure in ["/fail", "/panic"] {
        let mut stream = stream(address, failure);
        assert!(stream.read_to_end().unwrap().ends_with(b"retry: 10000\n"), "{failure}");
    }
    eventually("no stream has a thread any more", || metrics_say(address, "streams 0"));
    let mut streams: Vec<_> = (0..10).map(|_| stream(address, "/events?n=3&ms=20")).collect();
    for stream in &mut streams {
        assert_eq!(stream.events_to_end().unwrap().len(), 3);
    }
    drop(stream(address, "/idle"));
    eventually("nobody is left", || metrics_say(address, "streams 0"));
}

/// Where there are few threads, who asks may be sent away at first.
fn metrics_say(address: SocketAddr, what: &str) -> bool {
    let metrics = Client::get("/metrics").connect(address);
    let text = metrics.and_then(|mut text| text.read_to_end().map(<[u8]>::to_vec));
    text.map_or(false, |text| String::from_utf8(text).unwrap().contains(&format!("\nbrooklet_{what}\n")))
}

fn start(name: &str, arguments: &[&str], place: &str) -> (Process, SocketAddr) {
    let address = free_address();
    let mut command = shell(place, Path::new("-"), &binary(name), arguments);
    (spawn(command.env("PORT", address.port().to_string()), address), address)
}

fn shell(place: &str, folder: &Path, program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", place]).arg(folder).arg(program).args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped()); // which nobody reads
    command
}

fn run(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("it can be run");
    in_time(move || child.wait_with_output().expect("it ends"))
}

#[track_caller]
fn stream(address: SocketAddr, target: &str) -> EventStream {
    Client::get(target).connect(address).unwrap()
}
