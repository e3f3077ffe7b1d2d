//! What [`Host::console`](crate::Host::console) says: a queue of lines, and one thread that writes them to standard error.
//!
//! Standard error may take nothing for as long as it likes: a terminal after Ctrl-S, a pager, a parent that does not read
//! its pipe. So the threads that serve put their lines into the queue and never wait; what does not fit is counted, and
//! the count is a line as well. The thread is made for the first line and writes for all hosts of the process. It ends
//! when one of them has ended and the queue is empty; the next line makes another. Where no thread can be had the lines
//! stay in the queue, and each further one tries again.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::clock::NEVER;
use crate::locks::{lock, wait_while, Parker};
use crate::threads;

/// Bytes of lines that may wait to be written.
const MAX_UNWRITTEN: usize = 64 * 1024;
/// How long the end of a host waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

static QUEUE: Mutex<Queue> =
    Mutex::new(Queue { lines: String::new(), left_out: 0, has_writer: false, is_ending: false });
static WRITER: Parker = Parker::new();
/// Told when the writer ends.
static ENDED: Condvar = Condvar::new();

struct Queue {
    /// Each ends with a line feed.
    lines: String,
    /// How many lines after these did not fit.
    left_out: u64,
    has_writer: bool,
    /// Whether the writer ends as soon as there is nothing to write.
    is_ending: bool,
}

/// Has a line written, which ends with a line feed.
pub(super) fn write(line: &str) {
    let mut queue = lock(&QUEUE);
    // Once one is left out, so are those that come after it, until the count was taken: it stands where they would.
    match queue.left_out == 0 && queue.lines.len() + line.len() <= MAX_UNWRITTEN {
        true => queue.lines.push_str(line),
        false => queue.left_out += 1,
    }
    wake_writer(queue);
}

/// Waits until all lines are written, though not for ever.
pub(super) fn finish() {
    let mut queue = lock(&QUEUE);
    if !queue.has_writer && queue.lines.is_empty() {
        return;
    }
    queue.is_ending = true;
    wake_writer(queue);
    drop(wait_while(&ENDED, lock(&QUEUE), LAST_LINES, |queue| queue.has_writer));
}

fn wake_writer(mut queue: MutexGuard<'_, Queue>) {
    let has_writer = std::mem::replace(&mut queue.has_writer, true);
    drop(queue);
    if has_writer {
        WRITER.wake();
    } else if threads::make_shared("brooklet-console", Box::new(write_all)).is_err() {
        lock(&QUEUE).has_writer = false;
    }
}

/// The writer's work.
fn write_all() {
    let mut missing = 0;
    loop {
        let mut queue = lock(&QUEUE);
        if queue.lines.is_empty() {
            if queue.is_ending {
                queue.has_writer = false;
                queue.is_ending = false;
                ENDED.notify_all();
                return;
            }
            drop(queue);
            WRITER.park(NEVER, || {
                let queue = lock(&QUEUE);
                queue.is_ending || !queue.lines.is_empty()
            });
            continue;
        }
        let lines = std::mem::take(&mut queue.lines);
        let left_out = std::mem::take(&mut queue.left_out);
        drop(queue);
        for line in lines.split_inclusive('\n') {
            count_missing(&mut missing);
            if missing > 0 || !has_written(line) {
                missing += 1;
            }
        }
        missing += left_out;
        count_missing(&mut missing);
    }
}

/// Says how many lines are missing here, if any are. Where that cannot be written, it is tried before the next line.
fn count_missing(missing: &mut u64) {
    if *missing > 0
        && has_written(&format!("{missing} lines are missing here: they could not be written in time\n"))
    {
        *missing = 0;
    }
}

/// In one piece, or the lines of two threads mix.
fn has_written(line: &str) -> bool {
    io::stderr().write_all(line.as_bytes()).is_ok()
}
