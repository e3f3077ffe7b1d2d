//! Standard error for programs that serve: nobody waits for a terminal or a pipe that takes nothing.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Texts that may wait to be written; what comes then is left out.
const MAX_WAITING: usize = 256;
/// How long the end of a program waits for its last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

static WRITER: Mutex<Option<(SyncSender<String>, Receiver<()>)>> = Mutex::new(None);

/// Has a text written by a thread of its own, which is made for the first.
pub fn say(text: impl Into<String>) {
    let mut writer = writer();
    let (texts, _) = writer.get_or_insert_with(|| {
        let (texts, waiting) = mpsc::sync_channel::<String>(MAX_WAITING);
        let (ends, ended) = mpsc::sync_channel(0);
        let write = move || {
            let _dropped_at_the_end: SyncSender<()> = ends;
            for text in waiting {
                // In one piece. Where nobody hears it, it is lost.
                let _ = io::stderr().write_all(text.as_bytes());
            }
        };
        let _ = thread::Builder::new().name(String::from("say")).spawn(write);
        (texts, ended)
    });
    let _ = texts.try_send(text.into());
}

/// Waits until all is said, though not for ever.
#[allow(dead_code)] // in programs that never end
pub fn finish() {
    if let Some((texts, ended)) = writer().take() {
        drop(texts);
        let _ = ended.recv_timeout(LAST_WORDS);
    }
}

fn writer() -> MutexGuard<'static, Option<(SyncSender<String>, Receiver<()>)>> {
    WRITER.lock().expect("nobody panics in here")
}
