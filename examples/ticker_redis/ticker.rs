//! One instance: a thread that reads the stream into a channel, and how clients get into that.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use brooklet::{Channel, Event, EventConnection, RawJson, SendError};

use super::entries::{Entry, Found, Id, Quote, Stream};
use super::resp::Fault;
use crate::say::say;

/// How soon to try again, at first and at last.
const SOON: Duration = Duration::from_millis(2);
const LATE: Duration = Duration::from_millis(250);
/// The same for the reader, which nobody waits for that closely.
const READER_SOON: Duration = Duration::from_millis(100);
const READER_LATE: Duration = Duration::from_secs(5);
/// While Redis is away, one client in so long finds that out, and the others believe it.
const AWAY: Duration = Duration::from_secs(1);

pub struct Ticker {
    redis: String,
    port: u16,
    /// What has been read since the start.
    channel: Channel,
    /// The entry before the first of those; none until Redis was reached.
    start: Mutex<Option<Id>>,
    archive: Mutex<Archive>,
}

/// The connection that clients share.
#[derive(Default)]
struct Archive {
    stream: Option<Stream>,
    away_until: Option<Instant>,
}

/// What a client needs that the channel does not have.
enum Need {
    /// These entries, up to this one.
    Entries(Found, Id),
    /// Some patience: for Redis, or for our own reader, which is not as far as another instance was.
    Time,
    /// Word that its id is from elsewhere, and that it goes on after this one.
    Reset(Id),
}

impl Ticker {
    pub fn new(redis: &str, port: u16) -> Self {
        Self {
            redis: redis.to_owned(),
            port,
            channel: Channel::setup().own_ids().history_events(4096).history_bytes(1024 * 1024).open(),
            start: Mutex::default(),
            archive: Mutex::default(),
        }
    }

    /// Sends a client all that it lacks, and lets it follow the channel.
    ///
    /// Entries come from Redis only as far as the channel is, never further: so both know the last of them, and
    /// the channel goes on with the next.
    pub fn serve(&self, connection: &mut EventConnection) -> brooklet::Result {
        let brought = connection.last_event_id().map(Id::parse);
        let mut instance = Event::new(self.port).event_type("instance");
        if let Some(Some(id)) = brought {
            instance = instance.id(id.to_string()); // without one, some clients would forget theirs
        }
        connection.send(instance)?;
        let mut seen = match brought {
            None => Id::ZERO,
            Some(Some(id)) => id,
            Some(None) => Id::MAX, // what is no id nobody ever gave
        };
        let mut pause = SOON;
        while !self.hand_over(connection, seen)? {
            match self.need(seen) {
                Need::Entries(found, until) => {
                    seen = send(connection, found, until)?;
                    pause = SOON;
                }
                Need::Time => {
                    connection.wait(pause)?;
                    pause = LATE.min(2 * pause);
                }
                Need::Reset(last) => {
                    connection.send(reset("unknown", last))?;
                    seen = last;
                }
            }
        }
        Ok(())
    }

    /// To the channel, if that knows what comes after this entry.
    fn hand_over(&self, connection: &mut EventConnection, seen: Id) -> Result<bool, SendError> {
        let is_at_start = *self.start() == Some(seen);
        let id = seen.to_string();
        connection.follow_after(&self.channel, if is_at_start { None } else { Some(&id) })
    }

    fn need(&self, seen: Id) -> Need {
        let start = match *self.start() {
            Some(start) => start,
            None => return Need::Time, // Redis was not reached yet
        };
        let until = self.channel.last_id().and_then(|id| Id::parse(&id)).unwrap_or(start);
        let asked = match seen > until {
            true => self.ask(|stream| stream.highest()).map(|highest| match seen > highest {
                true => Need::Reset(until),
                false => Need::Time,
            }),
            false => {
                self.ask(|stream| stream.after(seen, Some(until))).map(|found| Need::Entries(found, until))
            }
        };
        asked.unwrap_or(Need::Time)
    }

    /// Asks Redis on the connection that clients share; `None` if it is away.
    fn ask<T>(&self, question: impl FnOnce(&mut Stream) -> Result<T, Fault>) -> Option<T> {
        let mut archive = self.archive.lock().expect("nobody panics in here");
        if matches!(archive.away_until, Some(until) if until > Instant::now()) {
            return None;
        }
        let stream = match archive.stream.take() {
            Some(stream) => Ok(stream),
            None => Stream::connect(&self.redis),
        };
        match stream.and_then(|mut stream| Ok((question(&mut stream)?, stream))) {
            Ok((answer, stream)) => {
                *archive = Archive { stream: Some(stream), away_until: None };
                Some(answer)
            }
            Err(_) => {
                // Why, the reader says, who has the same trouble.
                archive.away_until = Some(Instant::now() + AWAY);
                None
            }
        }
    }

    /// Adds an entry, which comes back by way of the reader.
    ///
    /// A connection of its own has not been closed meanwhile, and what fails is not tried again: it could be there
    /// twice then.
    pub fn publish(&self, quote: &Quote) -> Result<Id, String> {
        Stream::connect(&self.redis).and_then(|mut stream| stream.add(quote)).map_err(|fault| {
            let fate = match fault {
                Fault::Unreachable(_) | Fault::Refused(_) => "it was not published",
                Fault::Broken(_) | Fault::Malformed(_) => "whether it was published is not known",
            };
            format!("Redis {fault}; {fate}")
        })
    }

    pub fn start_reading(ticker: &Arc<Self>) -> io::Result<()> {
        let ticker = Arc::clone(ticker);
        thread::Builder::new().name(String::from("reader")).spawn(move || ticker.keep_reading())?;
        Ok(())
    }

    /// For as long as the program runs, whatever Redis does.
    fn keep_reading(&self) {
        let mut read = None;
        let mut pause = READER_SOON;
        let mut complaint = String::new();
        loop {
            let fault = match self.read(&mut read, &mut complaint) {
                Ok(never) => match never {},
                Err(fault) => fault.to_string(),
            };
            pause = if complaint.is_empty() { READER_SOON } else { READER_LATE.min(2 * pause) };
            if fault != complaint {
                say(format!("Redis at {} {fault}; clients wait until it is back\n", self.redis));
                complaint = fault;
            }
            thread::sleep(pause);
        }
    }

    /// Reads on after the last entry that was read, until something goes wrong. The last complaint is forgotten when
    /// Redis answers.
    fn read(&self, read: &mut Option<Id>, complaint: &mut String) -> Result<Never, Fault> {
        let mut stream = Stream::connect(&self.redis)?;
        let mut seen = match *read {
            Some(seen) => seen,
            None => stream.last()?.unwrap_or(Id::ZERO),
        };
        let mut found = stream.after(seen, None)?;
        say(format!("reading from Redis at {} after {seen}\n", self.redis));
        complaint.clear();
        self.start().get_or_insert(seen);
        loop {
            for entry in &found.entries {
                if std::mem::take(&mut found.has_gap) {
                    let first = entry.id;
                    say(format!(
                        "entries between {seen} and {first} were trimmed before they could be read\n"
                    ));
                    self.tell(reset("expired", entry.id.before()));
                }
                seen = entry.id;
                match event(entry) {
                    Some(event) => self.tell(event),
                    None => say(format!("entry {seen} is no quote, and left out\n")),
                }
            }
            *read = Some(seen);
            if found.entries.is_empty() {
                stream.wait(seen)?;
            }
            found = stream.after(seen, None)?;
        }
    }

    fn tell<T: brooklet::Data>(&self, event: Event<'_, T>) {
        self.channel.publish(event).expect("it has an id and a type of one line, and nobody closes");
    }

    fn start(&self) -> MutexGuard<'_, Option<Id>> {
        self.start.lock().expect("nobody panics in here")
    }
}

enum Never {}

/// Sends entries that are older than the channel, and returns how far the client is then.
fn send(connection: &mut EventConnection, found: Found, until: Id) -> Result<Id, SendError> {
    if found.has_gap {
        // What is there goes on with the first entry, or where all are gone with what the channel has.
        let end = found.entries.first().map_or(until, |first| first.id.before());
        connection.send(reset("expired", end))?;
    }
    connection.send_all(found.entries.iter().filter_map(event))?;
    match found.entries.last() {
        Some(last) if found.is_cut => Ok(last.id),
        _ => Ok(until),
    }
}

fn event(entry: &Entry) -> Option<Event<'_, &str>> {
    let quote = entry.quote.as_ref()?;
    Some(Event::new(&*quote.price).event_type(&*quote.symbol).id(entry.id.to_string()))
}

/// Tells of a gap, of which only the end is known: in the words of a channel.
fn reset(reason: &str, id: Id) -> Event<'static, RawJson<String>> {
    Event::new(RawJson(format!(r#"{{"reason":"{reason}","missed":null}}"#)))
        .event_type("reset")
        .id(id.to_string())
}
