//! Redis and proxies as a test has them: on free ports, in a folder of their own, gone when they are dropped.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::{fs, thread};

use crate::example::{free_address, spawn};
use crate::patience::Gate;
use crate::webdriver::{Process, TempFolder};

/// The page of the guide whose configurations are run here as they stand.
const GUIDE: &str = include_str!("../../src/guide/proxies.md");

/// The address of the guide's tool, and of its instances where they are several.
const TOOL: &str = "127.0.0.1:8080";
const INSTANCES: [&str; 3] = ["127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:8083"];

/// A Redis that forgets nothing: what was acknowledged is on the disk.
pub(crate) struct Redis {
    pub(crate) address: SocketAddr,
    folder: TempFolder,
    process: Option<Process>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let mut redis = Self { address: free_address(), folder: TempFolder::new(), process: None };
        redis.start_again();
        redis
    }

    /// Kills it, so that it can write nothing more.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn start_again(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string()]);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command.arg("--dir").arg(&self.folder.0).stdout(Stdio::null());
        self.process = Some(spawn(&mut command, self.address));
    }
}

/// Forwards between an instance and its Redis, and can hold back what Redis replies on the first connection.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// How many pieces of commands were forwarded.
    pub(crate) commands: Arc<AtomicUsize>,
    /// Opened when a reply is held back.
    pub(crate) held: Gate,
    is_holding: Arc<AtomicBool>,
    gate: Gate,
}

impl Relay {
    pub(crate) fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            commands: Arc::default(),
            held: Gate::default(),
            is_holding: Arc::default(),
            gate: Gate::default(),
        };
        let (said, is_holding) = (Arc::clone(&relay.commands), Arc::clone(&relay.is_holding));
        let gates = (relay.held.clone(), relay.gate.clone());
        thread::spawn(move || {
            for (at, client) in listener.incoming().enumerate() {
                let (client, server) = (client.unwrap(), TcpStream::connect(to).unwrap());
                let (commands, replies) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (said, is_holding, (held, gate)) =
                    (Arc::clone(&said), Arc::clone(&is_holding), gates.clone());
                thread::spawn(move || {
                    pass(&commands, &server, || {
                        said.fetch_add(1, Ordering::SeqCst);
                    });
                });
                thread::spawn(move || {
                    pass(&replies, &client, || {
                        if at == 0 && is_holding.load(Ordering::SeqCst) {
                            held.open();
                            gate.pass();
                        }
                    });
                });
            }
        });
        return relay;

        fn pass(mut from: &TcpStream, mut to: &TcpStream, before: impl Fn()) {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                before();
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            to.shutdown(Shutdown::Both).ok();
        }
    }

    pub(crate) fn hold(&self) {
        self.is_holding.store(true, Ordering::SeqCst);
    }

    pub(crate) fn let_go(&self) {
        self.gate.open();
    }
}

/// A program that can stand before a host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Nginx,
    HaProxy,
    Caddy,
    Apache,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    _process: Process,
    _folder: TempFolder,
}

impl Kind {
    /// Runs it with the guide's text under this heading, before these hosts, and with `changes` to the text.
    #[track_caller]
    pub(crate) fn start(self, heading: &str, hosts: &[SocketAddr], changes: &[(&str, &str)]) -> Proxy {
        let (address, folder) = (free_address(), TempFolder::new());
        let text = self.adapt(configuration(heading), address, hosts, changes);
        let file = folder.0.join("configuration");
        fs::write(&file, self.complete(&text, address, &folder.0.display().to_string())).unwrap();
        let mut command = self.command(&file, &folder.0);
        command.env("HOME", &folder.0).stdout(Stdio::null()).stderr(Stdio::null());
        Proxy { address, _process: spawn(&mut command, address), _folder: folder }
    }

    /// The guide's text with the addresses of this test.
    #[track_caller]
    fn adapt(
        self,
        text: &str,
        address: SocketAddr,
        hosts: &[SocketAddr],
        changes: &[(&str, &str)],
    ) -> String {
        let mut text = text.to_owned();
        let mut change = |old: &str, new: &str| {
            assert!(text.contains(old), "no {old:?} in {text}");
            text = text.replace(old, new);
        };
        // By way of names, since a free port could be one of the guide's.
        let names: &[&str] = if hosts.len() == 1 { &[TOOL] } else { &INSTANCES };
        names.iter().enumerate().for_each(|(at, name)| change(name, &format!("<host {at}>")));
        match self {
            Self::Nginx => change("listen 80;", &format!("listen {address};")),
            Self::HaProxy => change("bind :80", &format!("bind {address}")),
            Self::Caddy => change("tool.example {", &format!("http://tool.example:{} {{", address.port())),
            Self::Apache => change("*:80>", &format!("{address}>")),
        }
        changes.iter().for_each(|(old, new)| change(old, new));
        hosts.iter().enumerate().for_each(|(at, host)| change(&format!("<host {at}>"), &host.to_string()));
        text
    }

    /// What a distribution's own files say around it, as far as it matters.
    fn complete(self, text: &str, address: SocketAddr, folder: &str) -> String {
        match self {
            Self::Nginx => {
                let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
                let paths = paths.map(|name| format!("{name}_temp_path {folder}/{name};\n")).concat();
                format!(
                    "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/log;\n\
                    events {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
                )
            }
            Self::HaProxy => text.to_owned(),
            Self::Caddy => format!("{{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}}\n{text}"),
            Self::Apache => {
                let modules = ["mpm_event", "authz_core", "proxy", "proxy_http"];
                let module =
                    |name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
                let modules = modules.map(module).concat();
                format!(
                    "{modules}ServerName localhost\nListen {address}\nPidFile {folder}/pid\n\
                    DefaultRuntimeDir {folder}\nMutex posixsem\nErrorLog {folder}/log\n{text}"
                )
            }
        }
    }

    /// As one process: children of its own would outlive it when it is killed.
    fn command(self, file: &Path, folder: &Path) -> Command {
        let (program, arguments): (_, &[&str]) = match self {
            Self::Nginx => ("nginx", &["-e", "stderr", "-c"]),
            Self::HaProxy => ("haproxy", &["-db", "-f"]),
            Self::Caddy => ("caddy", &["run", "--adapter", "caddyfile", "--config"]),
            Self::Apache => ("apache2", &["-X", "-f"]),
        };
        let mut command = Command::new(program);
        command.current_dir(folder).args(arguments).arg(file);
        command
    }
}

/// The first block of text under a heading of the guide.
#[track_caller]
fn configuration(heading: &str) -> &'static str {
    let behind = GUIDE.split_once(&format!("# {heading}\n")).expect("the guide has that heading").1;
    let block = behind.split_once("\n```").and_then(|(_, block)| block.split_once('\n'));
    block.and_then(|(_, block)| block.split_once("```")).expect("there is a block").0
}
