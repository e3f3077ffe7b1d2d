//! What was read lately, and the pieces in which it is sent.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use brooklet::json_object;

use crate::MAX_LINES;

/// What the lines that are remembered may take.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// What the lines of one event take of JSON at most: with the names, one event is less than 64 KiB, which clients that
/// read line by line have room for. A single line takes less.
const MAX_PIECE: usize = 50 * 1024;

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
    /// Of the first line that was not published yet.
    published: u64,
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
pub struct Piece {
    first: u64,
    now: u64,
    /// Whether the next piece is there already.
    more: bool,
    names: Vec<Arc<str>>,
    parts: Vec<Part>,
}
json_object!(Piece { first, now, more, names, parts });

struct Part {
    name: Arc<str>,
    time: Option<u64>,
    note: bool,
    lines: Vec<Arc<str>>,
}
json_object!(Part { name, time, note, lines });

impl Log {
    pub fn new(names: Vec<Arc<str>>) -> Self {
        let state =
            State { names, lines: VecDeque::new(), bytes: 0, next: 0, published: 0, has_ended: false };
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

    /// Waits for lines that were not published yet; `None` after the end.
    pub fn next_piece(&self) -> Option<Piece> {
        let has_nothing = |state: &mut State| state.next == state.published && !state.has_ended;
        let state = self.news.wait_while(self.state(), has_nothing).expect("nobody panics in here");
        // Who cannot keep up goes on with what is new: better one large gap than many small ones.
        let from = match state.published < state.first() {
            true => state.first().max(state.next.saturating_sub(MAX_LINES as u64 / 2)),
            false => state.published,
        };
        (state.next > state.published).then(|| state.piece(from, state.next))
    }

    /// Up to where lines are published now: to the end of that piece.
    pub fn set_published(&self, piece: &Piece) {
        self.state().published = piece.end();
    }

    /// What was published, from line `from` on, or from the first that is remembered, or the last so many.
    pub fn published(&self, from: Result<u64, usize>) -> Piece {
        let state = self.state();
        let from = from.unwrap_or_else(|lines| state.published.saturating_sub(lines as u64));
        let from = from.min(state.published).max(state.first());
        state.piece(from, state.published.max(from))
    }

    /// Lines of an input, or of all, as text: from line `from` on, which moves on, and before `end`. No more at once than is
    /// sent at once.
    pub fn text(&self, name: Option<&str>, from: &mut u64, end: u64) -> Option<String> {
        let state = self.state();
        *from = (*from).max(state.first());
        let lines = state.lines.range((*from - state.first()) as usize..);
        let mut text = String::new();
        for line in lines.take(end.checked_sub(*from).filter(|left| *left > 0)? as usize) {
            *from += 1;
            if !line.is_note && name.map_or(true, |name| *name == *line.name) {
                text.extend([&*line.text, "\n"]);
            }
            if text.len() >= 64 * 1024 {
                break;
            }
        }
        Some(text)
    }
}

impl State {
    /// The number of the line that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of the first line that is remembered.
    fn first(&self) -> u64 {
        self.next - self.lines.len() as u64
    }

    /// The lines from `first` on and before `end`, as many as fit.
    fn piece(&self, first: u64, end: u64) -> Piece {
        let mut piece =
            Piece { first, now: now(), more: false, names: self.names.clone(), parts: Vec::new() };
        let mut room = MAX_PIECE;
        let wanted = (first - self.first()) as usize..(end - self.first()) as usize;
        for line in self.lines.range(wanted) {
            let last = piece
                .parts
                .last_mut()
                .filter(|part| part.time == line.time && part.name == line.name && part.note == line.is_note);
            let cost =
                json_length(&line.text) + if last.is_some() { 0 } else { 64 + json_length(&line.name) };
            if cost > room {
                piece.more = true;
                break;
            }
            room -= cost;
            match last {
                Some(part) => part.lines.push(Arc::clone(&line.text)),
                None => piece.parts.push(Part {
                    name: Arc::clone(&line.name),
                    time: line.time,
                    note: line.is_note,
                    lines: vec![Arc::clone(&line.text)],
                }),
            }
        }
        piece
    }
}

impl Piece {
    pub fn lines(&self) -> usize {
        self.parts.iter().map(|part| part.lines.len()).sum()
    }

    /// The number of the line behind it.
    pub fn end(&self) -> u64 {
        self.first + self.lines() as u64
    }

    pub fn has_more(&self) -> bool {
        self.more
    }
}

/// What a text takes as a string of JSON in a list, at most.
fn json_length(text: &str) -> usize {
    let length = |byte: u8| match byte {
        0..=0x1f | 0x7f => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    text.bytes().map(length).sum::<usize>() + 3
}

/// In milliseconds, as JavaScript counts them.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
