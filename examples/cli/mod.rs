//! The arguments of an example. Each option is declared once: for who reads it, and for `--help`.
//!
//! `--port`, `--bind`, `--host` and `--help` are everywhere. What is wrong is said in one line on standard error, and the
//! exit code is 2 then.
#![allow(dead_code)] // no example asks for everything

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{exit, ExitCode};

use brooklet::Host;

/// An option and what it does: `--exit`, or `--rate N` if it has a value.
pub type Declared = (&'static str, &'static str);

const EVERYWHERE: [Declared; 4] = [
    ("--port N", "the port; 8080, or PORT in the environment; 0 finds one that is free"),
    (
        "--bind ADDRESS",
        "127.0.0.1 and ::1: only this machine. With another IP address, such as 0.0.0.0,\n\
         everybody who reaches it: there is no password",
    ),
    ("--host NAME", "answer to this name, too: that of a proxy or a tunnel; as often as there are names"),
    ("--help", "this text"),
];

/// A text of somebody else's as a line for a terminal, which control characters would tell what to do.
pub fn printable(text: &str) -> String {
    let escape = |char: char| match char.is_control() {
        true => char.escape_default().to_string(),
        false => String::from(char),
    };
    text.chars().map(escape).collect()
}

/// What the command line says.
pub struct Cli {
    /// Of the program.
    pub name: &'static str,
    /// In the order in which they came: options with their values, and operands, which have no name.
    pub given: Vec<(&'static str, OsString)>,
}

impl Cli {
    /// Reads the command line of a program, of which `usage` shows one. An operand `[PORT]` in there is a port, too.
    pub fn read(usage: &'static str, about: &str, options: &[Declared]) -> Self {
        let name = usage.split(' ').next().unwrap_or_default();
        let mut cli = Self { name, given: Vec::new() };
        let declared: Vec<_> = options.iter().chain(&EVERYWHERE).copied().collect();
        let mut places = usage.split(' ').skip(2); // behind the name and [OPTIONS]
        let mut arguments = env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy();
            if !text.starts_with('-') || text == "-" {
                match places.next().unwrap_or(if usage.ends_with("...") { "..." } else { "" }) {
                    "" => cli.refuse(format_args!("there is no place for {text}")),
                    "[PORT]" => cli.given.push(("--port", argument)),
                    _ => cli.given.push(("", argument)),
                }
                continue;
            }
            let (wanted, joined) = match text.split_once('=') {
                Some((wanted, value)) => (wanted, Some(OsString::from(value))),
                None => (&*text, None),
            };
            let wanted = if wanted == "-h" { "--help" } else { wanted };
            let form = declared.iter().map(|(form, _)| form.split_once(' ').unwrap_or((form, "")));
            let (option, value) = match form.clone().find(|(option, _)| *option == wanted) {
                Some((_, "")) if joined.is_some() => cli.refuse(format_args!("{wanted} has no value")),
                Some((option, "")) => (option, OsString::new()),
                Some((option, _)) => {
                    let value = joined.or_else(|| arguments.next());
                    (option, value.unwrap_or_else(|| cli.refuse(format_args!("{option} needs a value"))))
                }
                None => cli.refuse(format_args!("there is no option {wanted}")),
            };
            cli.given.push((option, value));
        }
        if cli.is_set("--help") {
            let lines = declared.iter().map(|(form, does)| {
                format!("  {form:<16} {}\n", does.replace('\n', &format!("\n{:19}", "")))
            });
            let help = format!("Usage: {usage}\n\n{}\n\n{}", about.trim_end(), lines.collect::<String>());
            let _ = io::stdout().write_all(help.as_bytes());
            exit(0);
        }
        cli
    }

    /// Says what is wrong with the command line, and ends the program.
    pub fn refuse(&self, why: impl Display) -> ! {
        let _ = writeln!(io::stderr(), "{0}: {why}; see {0} --help", self.name);
        exit(2)
    }

    /// How the program ends, which says so if something went wrong.
    pub fn end(&self, result: Result<(), impl Display>) -> ExitCode {
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                let _ = writeln!(io::stderr(), "{}: {why}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    pub fn is_set(&self, option: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == option)
    }

    /// The value of an option: the last, if there are several.
    pub fn text(&self, option: &'static str) -> Option<String> {
        self.all(option).pop()
    }

    /// All values of an option.
    pub fn all(&self, option: &'static str) -> Vec<String> {
        let values = self.given.iter().filter(|(given, _)| *given == option);
        let text = |value: &OsString| value.to_str().map(str::to_owned);
        let not_utf8 = || self.refuse(format_args!("the value of {option} is not UTF-8"));
        values.map(|(_, value)| text(value).unwrap_or_else(not_utf8)).collect()
    }

    pub fn number(&self, option: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.text(option).map(|text| self.number_in(option, &text, range))
    }

    fn number_in(&self, what: &str, text: &str, range: RangeInclusive<u64>) -> u64 {
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => self.refuse(format_args!("{what} is a number from {} to {}", range.start(), range.end())),
        }
    }

    /// What is no option.
    pub fn operands(&self) -> Vec<PathBuf> {
        self.given.iter().filter(|(option, _)| option.is_empty()).map(|(_, value)| value.into()).collect()
    }

    pub fn port(&self) -> u16 {
        let variable = || {
            let port = env::var("PORT").ok().filter(|port| !port.is_empty())?;
            Some(self.number_in("PORT", &port, 0..=65_535))
        };
        self.number("--port", 0..=65_535).or_else(variable).unwrap_or(8080) as u16
    }

    /// Where to listen: on both loopbacks, where nothing is said.
    fn addresses(&self) -> Vec<SocketAddr> {
        let ip = self.text("--bind").map(|ip| {
            let ip = ip.trim_start_matches('[').trim_end_matches(']').parse();
            ip.unwrap_or_else(|_| self.refuse("--bind takes an IP address: 127.0.0.1, 0.0.0.0, ::1"))
        });
        let loopbacks = || vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let ips = ip.map_or_else(loopbacks, |ip: IpAddr| vec![ip]);
        ips.into_iter().map(|ip| SocketAddr::new(ip, self.port())).collect()
    }

    /// Gives a host the addresses and the names that the command line says.
    pub fn apply(&self, host: Host) -> Host {
        let addresses = self.addresses();
        let is_name = |name: &str| !name.is_empty() && !name.contains(['/', ' ', '@']);
        let names = self.all("--host");
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            self.refuse(format_args!("--host takes a name, such as box.example, and not {name:?}"));
        }
        if let Some(address) = addresses.iter().find(|address| !address.ip().is_loopback()) {
            let _ = writeln!(io::stderr(), "{}: everybody who can reach {address} can use this", self.name);
        }
        names.iter().fold(host.bind(&*addresses), |host, name| host.allow_host(name))
    }
}
