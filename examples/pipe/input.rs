//! From bytes to lines: standard input, and files that are followed.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{mem, thread};

use crate::log::{Kind, Log};

/// In bytes; longer lines are seldom read to their end.
const MAX_LINE: usize = 8 * 1024;
/// So far before the end of a file its old lines begin.
const BACKLOG: u64 = 1024 * 1024;
/// How often a file is looked at: std knows no other way to learn that it has grown.
const POLL: Duration = Duration::from_millis(250);

/// Reads standard input to its end, and copies it if that is wanted.
pub fn read_stdin(log: &Log, name: &Arc<str>, mut tee: bool) {
    let (mut lines, mut piece) = (Lines::default(), vec![0; 64 * 1024]);
    let end = loop {
        match io::stdin().read(&mut piece) {
            Ok(0) => break String::from("the input has ended"),
            Ok(count) => {
                let bytes = &piece[..count];
                log.add(name, Kind::New, lines.feed(bytes));
                // Who reads the copy may leave, as `head` does. Until it has read this, no more is read here.
                tee = tee && io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()).is_ok();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break format!("the input cannot be read: {error}"),
        }
    };
    log.add(name, Kind::New, lines.end().into_iter().collect());
    log.note(name, &end);
}

/// Follows whatever file has the name, as long as the program runs. Of one that is there already, so many `old`
/// lines are read.
pub fn follow(log: &Log, name: &Arc<str>, path: &Path, old: usize) {
    let mut followed = Followed::open(path).and_then(|mut file| {
        file.read_old(log, name, old)?;
        Ok(file)
    });
    let mut trouble = String::new();
    loop {
        let sentence = match look(log, name, path, &mut followed) {
            Ok(()) => String::new(),
            Err(error) => format!("waiting for the file: {error}"),
        };
        if sentence != trouble && !sentence.is_empty() {
            log.note(name, &sentence);
        }
        trouble = sentence;
        thread::sleep(POLL);
    }
}

/// Reads on, also if another file has the name by now.
fn look(log: &Log, name: &Arc<str>, path: &Path, followed: &mut io::Result<Followed>) -> io::Result<()> {
    if let Ok(file) = followed {
        file.read_on(log, name)?;
        if identity(&fs::metadata(path)?) == file.identity {
            return Ok(());
        }
    }
    let mut next = Followed::open(path)?;
    if let Ok(file) = followed {
        file.read_on(log, name)?; // to its end, since the writer has left it
        log.add(name, Kind::New, file.lines.end().into_iter().collect());
        log.note(name, "the file was replaced");
    }
    let read = next.read_on(log, name);
    *followed = Ok(next);
    read
}

struct Followed {
    file: File,
    identity: Identity,
    position: u64,
    lines: Lines,
}

impl Followed {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let identity = identity(&file.metadata()?);
        Ok(Self { file, identity, position: 0, lines: Lines::default() })
    }

    fn read_old(&mut self, log: &Log, name: &Arc<str>, old: usize) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        if !metadata.is_file() {
            return Ok(()); // of a named pipe everything is new
        }
        let start = metadata.len().saturating_sub(BACKLOG);
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(start))?;
        self.position = start + (&self.file).take(BACKLOG).read_to_end(&mut bytes)? as u64;
        let mut texts = self.lines.feed(&bytes);
        let torn = usize::from(start > 0); // the first line, of which this may be the middle
        texts.drain(..texts.len().saturating_sub(old).max(torn.min(texts.len())));
        log.add(name, Kind::Old, texts);
        Ok(())
    }

    fn read_on(&mut self, log: &Log, name: &Arc<str>) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        if metadata.is_file() && metadata.len() < self.position {
            self.position = self.file.seek(SeekFrom::Start(0))?;
            self.lines = Lines::default();
            log.note(name, "the file was truncated");
        }
        let mut piece = vec![0; 64 * 1024];
        loop {
            let count = self.file.read(&mut piece)?;
            if count == 0 {
                return Ok(());
            }
            self.position += count as u64;
            log.add(name, Kind::New, self.lines.feed(&piece[..count]));
        }
    }
}

/// What tells a file from another that has its name later.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = Option<std::time::SystemTime>;

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}
#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> Identity {
    metadata.created().ok()
}

/// Cuts bytes into lines.
#[derive(Default)]
pub struct Lines {
    begun: Vec<u8>,
    left_out: usize,
}

impl Lines {
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Arc<str>> {
        let mut texts = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.split_last() {
                Some((b'\n', end)) => {
                    self.extend(end);
                    texts.push(self.take());
                }
                _ => self.extend(piece),
            }
        }
        texts
    }

    /// The last line, if it has no end.
    pub fn end(&mut self) -> Option<Arc<str>> {
        (!self.begun.is_empty()).then(|| self.take())
    }

    fn extend(&mut self, piece: &[u8]) {
        let is_end = |byte: &u8| *byte == b'\r';
        let trailing = piece.iter().rev().take_while(|byte| is_end(byte)).count();
        let body = &piece[..piece.len() - trailing];
        if !body.is_empty() && self.begun.last().map_or(false, is_end) || body.iter().any(is_end) {
            (self.begun, self.left_out) = (Vec::new(), 0);
        }
        let piece = &piece[body.iter().rposition(is_end).map_or(0, |at| at + 1)..];
        let fitting = piece.len().min(MAX_LINE - self.begun.len());
        self.begun.extend_from_slice(&piece[..fitting]);
        self.left_out += piece.len() - fitting;
    }

    fn take(&mut self) -> Arc<str> {
        let (line, left_out) = (mem::take(&mut self.begun), mem::take(&mut self.left_out));
        let text = String::from_utf8_lossy(&line);
        match left_out {
            0 => text.trim_end_matches('\r').into(),
            _ => format!("{} … {left_out} more bytes", text.trim_end_matches('\u{fffd}')).into(),
        }
    }
}
