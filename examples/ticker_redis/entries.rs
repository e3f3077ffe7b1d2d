//! The stream in Redis: its entries, their ids, and how to know that none are missing.

use std::fmt;
use std::io::BufRead;

use super::resp::{Fault, Redis, Replies};

const KEY: &str = "ticker";
/// As many entries as are asked for at once.
pub const MOST: usize = 500;
/// How long Redis waits for news: less than a reply may take.
const BLOCK_MS: &str = "2000";
/// About as many are kept when one is added.
const KEPT: &str = "10000";

const MAX_ID: u64 = 41; // two numbers and a dash
const MAX_SYMBOL: u64 = 16;
const MAX_PRICE: u64 = 32;

/// The id of an entry: milliseconds, and a number within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    ms: u64,
    number: u64,
}

impl Id {
    /// No entry has it: it is before all of them.
    pub const ZERO: Self = Self { ms: 0, number: 0 };
    /// No entry has it: it would be the last that a stream can have.
    pub const MAX: Self = Self { ms: u64::MAX, number: u64::MAX };

    /// Takes an id as Redis writes it, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let (ms, number) = text.split_once('-')?;
        let id = Self { ms: ms.parse().ok()?, number: number.parse().ok()? };
        (id.to_string() == text).then_some(id) // no signs, no zeros in front
    }

    pub fn next(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self { number, ..self },
            None => Self { ms: self.ms.saturating_add(1), number: 0 },
        }
    }

    pub fn before(self) -> Self {
        match self.number.checked_sub(1) {
            Some(number) => Self { number, ..self },
            None => Self { ms: self.ms.saturating_sub(1), number: u64::MAX },
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub id: Id,
    /// None where something else is in the stream.
    pub quote: Option<Quote>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    pub symbol: String,
    pub price: String,
}

impl Quote {
    /// Symbols are types of events: in capitals none of them can be taken for `reset`, say.
    pub fn new(symbol: &str, price: &str) -> Option<Self> {
        let is_allowed = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'=' | b'^');
        let is_symbol = (1..=MAX_SYMBOL).contains(&(symbol.len() as u64)) && symbol.bytes().all(is_allowed);
        let is_price = price.len() as u64 <= MAX_PRICE && price.parse().map_or(false, f64::is_finite);
        (is_symbol && is_price).then(|| Self { symbol: symbol.to_owned(), price: price.to_owned() })
    }
}

/// Some of the entries after another.
pub struct Found {
    pub entries: Vec<Entry>,
    /// There may be more.
    pub is_cut: bool,
    /// What came right after the other may be gone: it is itself, and so are all before it.
    pub has_gap: bool,
}

pub struct Stream(Redis);

impl Stream {
    pub fn connect(address: &str) -> Result<Self, Fault> {
        Redis::connect(address).map(Self)
    }

    /// The entries after this one, up to and with another, or all.
    pub fn after(&mut self, seen: Id, until: Option<Id>) -> Result<Found, Fault> {
        // The one that was seen is asked for, too: entries are trimmed from the oldest on, so as long as it is
        // there, all that follow it are.
        let until = until.map_or_else(|| String::from("+"), |id| id.to_string());
        let mut entries = self.range(&seen.to_string(), &until, MOST)?;
        let is_cut = entries.len() == MOST;
        let is_there = matches!(entries.first(), Some(first) if first.id == seen);
        if is_there {
            entries.remove(0);
        }
        let has_gap = seen != Id::ZERO && !is_there && {
            let oldest = self.range("-", "+", 1)?;
            oldest.first().map_or(true, |oldest| oldest.id > seen.next())
        };
        Ok(Found { entries, is_cut, has_gap })
    }

    fn range(&mut self, from: &str, until: &str, most: usize) -> Result<Vec<Entry>, Fault> {
        let replies = self.0.ask(&["XRANGE", KEY, from, until, "COUNT", &most.to_string()])?;
        entries(replies, most)
    }

    /// The last entry there is.
    pub fn last(&mut self) -> Result<Option<Id>, Fault> {
        let replies = self.0.ask(&["XREVRANGE", KEY, "+", "-", "COUNT", "1"])?;
        Ok(entries(replies, 1)?.first().map(|entry| entry.id))
    }

    /// The highest id that was ever given, also if its entry is gone.
    pub fn highest(&mut self) -> Result<Id, Fault> {
        match self.0.ask(&["XINFO", "STREAM", KEY]).and_then(highest) {
            Err(Fault::Refused(text)) if text == "ERR no such key" => Ok(Id::ZERO),
            highest => highest,
        }
    }

    /// Returns when there is an entry after this one, or in two seconds.
    pub fn wait(&mut self, seen: Id) -> Result<(), Fault> {
        let seen = seen.to_string();
        self.0.ask(&["XREAD", "COUNT", "1", "BLOCK", BLOCK_MS, "STREAMS", KEY, &seen])?.skip()
    }

    /// Adds an entry, and returns its id.
    pub fn add(&mut self, quote: &Quote) -> Result<Id, Fault> {
        let (symbol, price) = (&*quote.symbol, &*quote.price);
        let words = ["XADD", KEY, "MAXLEN", "~", KEPT, "*", "symbol", symbol, "price", price];
        id(self.0.ask(&words)?)
    }
}

/// Reads what XRANGE replies. Of each entry only two fields are kept, and those are short.
pub fn entries<R: BufRead>(replies: &mut Replies<R>, most: usize) -> Result<Vec<Entry>, Fault> {
    let count = replies.array()?.unwrap_or(0);
    if count > most as u64 {
        return Err(Fault::Malformed("there are more entries than were asked for"));
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        if replies.array()? != Some(2) {
            return Err(Fault::Malformed("an entry is an id and its fields"));
        }
        let id = id(replies)?;
        let (mut symbol, mut price) = (None, None);
        for _ in 0..pairs(replies)? {
            match replies.bulk(MAX_SYMBOL)?.as_deref() {
                Some(b"symbol") => symbol = replies.bulk(MAX_SYMBOL)?,
                Some(b"price") => price = replies.bulk(MAX_PRICE)?,
                _ => replies.skip()?,
            }
        }
        let quote = match (text(symbol), text(price)) {
            (Some(symbol), Some(price)) => Quote::new(&symbol, &price),
            _ => None,
        };
        entries.push(Entry { id, quote });
    }
    Ok(entries)
}

/// Reads what XINFO STREAM replies.
pub fn highest<R: BufRead>(replies: &mut Replies<R>) -> Result<Id, Fault> {
    let mut highest = None;
    for _ in 0..pairs(replies)? {
        match replies.bulk(64)?.as_deref() {
            Some(b"last-generated-id") => highest = Some(id(replies)?),
            _ => replies.skip()?,
        }
    }
    highest.ok_or(Fault::Malformed("a stream has no last id"))
}

fn pairs<R: BufRead>(replies: &mut Replies<R>) -> Result<u64, Fault> {
    match replies.array()?.unwrap_or(0) {
        count if count % 2 == 0 => Ok(count / 2),
        _ => Err(Fault::Malformed("a name has no value")),
    }
}

fn id<R: BufRead>(replies: &mut Replies<R>) -> Result<Id, Fault> {
    let id = text(replies.bulk(MAX_ID)?).and_then(|id| Id::parse(&id));
    id.ok_or(Fault::Malformed("this is no id of an entry"))
}

fn text(bytes: Option<Vec<u8>>) -> Option<String> {
    String::from_utf8(bytes?).ok()
}
