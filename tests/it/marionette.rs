//! Firefox by its own remote protocol, Marionette: what geckodriver makes of WebDriver, without geckodriver.
//!
//! Each message is its length in bytes, a colon, and JSON: `[0,id,name,parameters]` there, `[1,id,error,result]` back.
//! The parameters are those of WebDriver.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::patience::DEADLINE;
use crate::webdriver::Process;

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A port that it finds itself, and which it writes to the profile. Whatever else keeps it from calling home, it sets
/// itself when it is driven.
const PREFERENCES: &str = r#"user_pref("marionette.port", 0);"#;

pub(crate) struct Marionette {
    stream: TcpStream,
    process: Process,
}

impl Marionette {
    /// Starts Firefox with a profile in `folder`.
    #[track_caller]
    pub(crate) fn start(folder: &Path) -> Self {
        let profile = folder.join("profile");
        fs::create_dir(&profile).expect("the folder is new");
        fs::write(profile.join("user.js"), PREFERENCES).expect("the profile was made for it");
        let mut process = Process::spawn(
            Command::new("firefox-esr")
                .args(["--headless", "--marionette", "--no-remote", "--profile"])
                .arg(&profile)
                .envs([("HOME", folder), ("TMPDIR", folder)])
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let started = Instant::now();
        let stream = loop {
            let port = fs::read_to_string(profile.join("MarionetteActivePort")).unwrap_or_default();
            if let Some(stream) =
                port.parse().ok().and_then(|port| TcpStream::connect(("127.0.0.1", port)).ok())
            {
                break stream;
            }
            assert!(process.is_running(), "Firefox ended before it could be driven");
            assert!(started.elapsed() < DEADLINE, "Firefox cannot be driven");
            thread::sleep(POLL_INTERVAL);
        };
        stream.set_read_timeout(Some(DEADLINE)).expect("it is no zero");
        let driver = Self { stream, process };
        driver.read().expect("it says which protocol it speaks");
        driver.ask("WebDriver:NewSession", "{}").expect("it has no other session");
        driver
    }

    pub(crate) fn ask(&self, name: &str, json: &str) -> io::Result<String> {
        let message = format!(r#"[0,0,"{name}",{json}]"#);
        (&self.stream).write_all(format!("{}:{message}", message.len()).as_bytes())?;
        let answer = self.read()?;
        match answer.strip_prefix("[1,0,null,") {
            Some(result) => Ok(result.to_owned()),
            None => Err(io::Error::new(ErrorKind::Other, answer)),
        }
    }

    fn read(&self) -> io::Result<String> {
        let mut length = 0;
        loop {
            let mut byte = [0];
            (&self.stream).read_exact(&mut byte)?;
            match byte[0] {
                b':' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut message = vec![0; length];
        (&self.stream).read_exact(&mut message)?;
        String::from_utf8(message).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }
}

impl Drop for Marionette {
    fn drop(&mut self) {
        // Killed, it would leave its helpers to write to its folder for a while.
        let asked = Instant::now();
        if self.ask("Marionette:Quit", r#"{"flags":["eForceQuit"]}"#).is_ok() {
            while self.process.is_running() && asked.elapsed() < DEADLINE {
                thread::sleep(POLL_INTERVAL);
            }
        }
    }
}
