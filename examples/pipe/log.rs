//! What was read lately, and the batches in which it is sent.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use brooklet::json_object;

use crate::MAX_LINES;

/// What the lines that are remembered may take.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// What one event takes of them at most. More lines than that in a twentieth of a second nobody can read.
const BATCH_LINES: usize = 2000;
const BATCH_BYTES: usize = 512 * 1024;

/// The lines that are remembered, and those who wait for more.
pub struct Log {
    state: Mutex<State>,
    /// Told when there is more, or the end.
    news: Condvar,
}

pub struct State {
    pub names: Vec<Arc<str>>,
    lines: VecDeque<Line>,
    bytes: usize,
    /// The number of the next line; that of the very first is 0.
    next: u64,
    has_ended: bool,
}

struct Line {
    name: Arc<str>,
    /// When it was read; none, if it may have been there for long.
    time: Option<u64>,
    text: Arc<str>,
    is_note: bool,
}

/// What a line is.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// It was in a file already.
    Old,
    New,
    /// It was not read, but says what happened to the input.
    Note,
}

/// Lines as pages get them: those that follow one another in one part, so that they are parsed fast.
pub struct Batch {
    first: u64,
    now: u64,
    names: Vec<Arc<str>>,
    parts: Vec<Part>,
}
json_object!(Batch { first, now, names, parts });

struct Part {
    name: Arc<str>,
    time: Option<u64>,
    note: bool,
    lines: Vec<Arc<str>>,
}
json_object!(Part { name, time, note, lines });

impl Log {
    pub fn new(names: Vec<Arc<str>>) -> Self {
        let state = State { names, lines: VecDeque::new(), bytes: 0, next: 0, has_ended: false };
        Self { state: Mutex::new(state), news: Condvar::new() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics in here")
    }

    pub fn note(&self, name: &Arc<str>, sentence: &str) {
        self.add(name, Kind::Note, vec![sentence.into()]);
    }

    pub fn add(&self, name: &Arc<str>, kind: Kind, texts: Vec<Arc<str>>) {
        let mut state = self.state();
        let (time, is_note) = ((kind != Kind::Old).then(now), kind == Kind::Note);
        for text in texts {
            state.bytes += text.len();
            state.next += 1;
            state.lines.push_back(Line { name: Arc::clone(name), time, text, is_note });
            while state.lines.len() > MAX_LINES || state.bytes > MAX_BYTES {
                state.bytes -= state.lines.pop_front().map_or(0, |line| line.text.len());
            }
        }
        self.news.notify_all();
    }

    /// There will be nothing more.
    pub fn end(&self) {
        self.state().has_ended = true;
        self.news.notify_all();
    }

    /// Waits for lines that were not sent yet; `None` after the end.
    pub fn next_batch(&self, sent: &mut u64) -> Option<Batch> {
        let has_nothing = |state: &mut State| state.next == *sent && !state.has_ended;
        let state = self.news.wait_while(self.state(), has_nothing).expect("nobody panics in here");
        if state.next == *sent {
            return None;
        }
        // Who cannot keep up goes on with what is new: better one large gap than many small ones.
        if *sent < state.first() {
            *sent = state.next.saturating_sub(BATCH_LINES as u64).max(state.first());
        }
        let batch = state.batch(*sent, BATCH_LINES, BATCH_BYTES);
        *sent = batch.first + batch.parts.iter().map(|part| part.lines.len() as u64).sum::<u64>();
        Some(batch)
    }

    pub fn last(&self, lines: usize) -> Batch {
        let state = self.state();
        state.batch(state.next.saturating_sub(lines as u64).max(state.first()), lines, MAX_BYTES)
    }

    pub fn text(&self, name: Option<&str>) -> String {
        let state = self.state();
        let is_wanted = |line: &&Line| !line.is_note && name.map_or(true, |name| *name == *line.name);
        state.lines.iter().filter(is_wanted).flat_map(|line| [&*line.text, "\n"]).collect()
    }
}

impl State {
    /// The number of the first line that is remembered.
    fn first(&self) -> u64 {
        self.next - self.lines.len() as u64
    }

    fn batch(&self, first: u64, most_lines: usize, most_bytes: usize) -> Batch {
        let mut batch = Batch { first, now: now(), names: self.names.clone(), parts: Vec::new() };
        let mut bytes = 0;
        for line in self.lines.range((first - self.first()) as usize..).take(most_lines) {
            bytes += line.text.len();
            if bytes > most_bytes {
                break;
            }
            match batch.parts.last_mut() {
                Some(part)
                    if part.time == line.time && part.name == line.name && part.note == line.is_note =>
                {
                    part.lines.push(Arc::clone(&line.text));
                }
                _ => batch.parts.push(Part {
                    name: Arc::clone(&line.name),
                    time: line.time,
                    note: line.is_note,
                    lines: vec![Arc::clone(&line.text)],
                }),
            }
        }
        batch
    }
}

/// In milliseconds, as JavaScript counts them.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
