//! Just enough of Redis' protocol: commands out, replies in, nothing that is not asked for kept.
//!
//! Every length is judged before it is believed, and what is longer than somebody wants to have is read past.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(2);
/// For a reply. A command that blocks has to be answered sooner.
const PATIENCE: Duration = Duration::from_secs(5);
/// Redis' own limit for a line.
const MAX_LINE: u64 = 64 * 1024;
/// And for a string (`proto-max-bulk-len`).
const MAX_BULK: u64 = 512 * 1024 * 1024;

/// Why there is no reply to go on with.
#[derive(Debug)]
pub enum Fault {
    /// Nobody was asked.
    Unreachable(io::Error),
    Broken(io::Error),
    /// What Redis says.
    Refused(String),
    Malformed(&'static str),
}

pub struct Redis {
    replies: Replies<BufReader<TcpStream>>,
}

impl Redis {
    pub fn connect(address: &str) -> Result<Self, Fault> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in address.to_socket_addrs().map_err(Fault::Unreachable)? {
            match TcpStream::connect_timeout(&address, CONNECT).and_then(prepare) {
                Ok(socket) => return Ok(Self { replies: Replies(BufReader::new(socket)) }),
                Err(error) => last = error,
            }
        }
        return Err(Fault::Unreachable(last));

        fn prepare(socket: TcpStream) -> io::Result<TcpStream> {
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        }
    }

    /// Sends a command. Its words are counted, so none of them can be taken for another.
    pub fn ask(&mut self, words: &[&str]) -> Result<&mut Replies<BufReader<TcpStream>>, Fault> {
        self.replies.0.get_mut().write_all(&command(words))?;
        Ok(&mut self.replies)
    }
}

pub fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes += &format!("${}\r\n{word}\r\n", word.len());
    }
    bytes.into_bytes()
}

/// What Redis sends, read piece by piece.
pub struct Replies<R>(pub R);

impl<R: BufRead> Replies<R> {
    /// The number of elements that follow, or `None` for a null.
    pub fn array(&mut self) -> Result<Option<u64>, Fault> {
        match self.line()? {
            (b'*', count) => length(&count),
            _ => Err(Fault::Malformed("there is no array")),
        }
    }

    /// A string; `None` for a null, and for one that is longer than `most`.
    pub fn bulk(&mut self, most: u64) -> Result<Option<Vec<u8>>, Fault> {
        let length = match self.line()? {
            (b'$', count) => length(&count)?,
            _ => return Err(Fault::Malformed("there is no string")),
        };
        let length = match length {
            None => return Ok(None),
            Some(length) if length <= most => length,
            Some(length) => return self.pass(length).map(|()| None),
        };
        let mut bytes = vec![0; length as usize];
        self.0.read_exact(&mut bytes)?;
        self.end()?;
        Ok(Some(bytes))
    }

    /// Reads past a reply, whatever it is.
    pub fn skip(&mut self) -> Result<(), Fault> {
        let mut left: u64 = 1;
        while left > 0 {
            left -= 1;
            match self.line()? {
                (b'*', count) => left = left.saturating_add(length(&count)?.unwrap_or(0)),
                (b'$', count) => length(&count)?.map_or(Ok(()), |length| self.pass(length))?,
                (b'+' | b':', _) => {}
                _ => return Err(Fault::Malformed("this is no kind of reply")),
            }
        }
        Ok(())
    }

    /// Reads past a string.
    fn pass(&mut self, length: u64) -> Result<(), Fault> {
        if length > MAX_BULK {
            return Err(Fault::Malformed("a string is longer than Redis allows"));
        }
        let count = io::copy(&mut (&mut self.0).take(length), &mut io::sink())?;
        if count < length {
            return Err(Fault::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        self.end()
    }

    fn end(&mut self) -> Result<(), Fault> {
        let mut end = [0; 2];
        self.0.read_exact(&mut end)?;
        match &end {
            b"\r\n" => Ok(()),
            _ => Err(Fault::Malformed("a string does not end where it should")),
        }
    }

    /// The kind of a reply, and what stands behind it in its first line.
    fn line(&mut self) -> Result<(u8, String), Fault> {
        let mut line = Vec::new();
        (&mut self.0).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Err(match (line.len() as u64) < MAX_LINE {
                true => Fault::Broken(io::ErrorKind::UnexpectedEof.into()),
                false => Fault::Malformed("a line does not end"),
            });
        }
        match line.strip_suffix(b"\r\n") {
            Some([b'-', text @ ..]) => Err(Fault::Refused(String::from_utf8_lossy(text).into_owned())),
            Some([kind, rest @ ..]) => Ok((*kind, String::from_utf8_lossy(rest).into_owned())),
            _ => Err(Fault::Malformed("a line is empty, or ends without CR")),
        }
    }
}

/// A length as Redis writes it; -1 is a null.
fn length(text: &str) -> Result<Option<u64>, Fault> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        _ if text == "-1" => Ok(None),
        Ok(length) if is_number => Ok(Some(length)),
        _ => Err(Fault::Malformed("a length is no number")),
    }
}

/// What goes wrong with a connection that there is.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "cannot be reached: {error}"),
            Self::Broken(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => write!(f, "does not answer"),
                io::ErrorKind::UnexpectedEof => write!(f, "has closed the connection"),
                _ => write!(f, "is lost: {error}"),
            },
            Self::Refused(text) => write!(f, "refuses: {text}"),
            Self::Malformed(what) => write!(f, "does not speak as Redis does: {what}"),
        }
    }
}
