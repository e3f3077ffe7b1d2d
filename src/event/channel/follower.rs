//! One follower: a socket, a place in the channel, and the rest of what its socket took half of.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reader::{Reader, Step};
use super::setup::Settings;
use super::view::{Rest, View};
use crate::event::wire::{self, KEEP_ALIVE};
use crate::http::{CloseReason, Connection, Request, StopSignal, WRITE_PROGRESS};
use crate::panics;

/// A socket that was full is tried again after this, if it has taken something, …
const SOON: Duration = Duration::from_millis(2);
/// … or after this, if it has not.
const LATER: Duration = Duration::from_millis(20);

/// What became of a follower that somebody looked after.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    /// It has everything.
    Served,
    /// It is to be looked after again at [`Follower::due`].
    Waits,
    Over(CloseReason),
}

/// What a source says of its streams, and a generator of its stream.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) keep_alive: Option<Duration>,
    /// The event that keeps it alive; a comment, where there is none.
    pub(super) heartbeat: Option<Arc<str>>,
    /// When the stream has to end.
    pub(super) expires: Option<Instant>,
    /// The least time between two writes.
    pub(super) pace: Option<Duration>,
    pub(super) behind: Behind,
}

/// What a follower does when events are gone that it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Behind {
    /// It goes on with the oldest event that is there, and is told so.
    GoesOn,
    /// Somebody has what it lacks, and it comes back for that.
    Leaves,
}

/// What every visit of a channel's followers knows.
pub(super) struct Visit<'v> {
    pub(super) settings: &'v Settings,
    pub(super) view: &'v mut View,
    pub(super) now: Instant,
    /// Takes the channel's lock for a [`Reader::look`].
    pub(super) look: &'v dyn Fn(&Reader, &mut View) -> Step,
}

impl Visit<'_> {
    /// Milliseconds of the channel's life, modulo 49 days: half of an `Instant`.
    fn millis(&self) -> u32 {
        millis(self.settings, self.now)
    }
}

fn millis(settings: &Settings, now: Instant) -> u32 {
    now.saturating_duration_since(settings.started).as_millis() as u32
}

/// Small, since there may be thousands that do nothing but be there.
pub(super) struct Follower {
    connection: Arc<Connection>,
    pub(super) reader: Reader,
    /// Of one that is not served.
    backlog: Option<Box<Backlog>>,
    extras: Option<Box<Extras>>,
    /// In milliseconds; 0 for none.
    keep_alive: u32,
    /// In milliseconds of the channel's life, modulo 49 days.
    last_write: u32,
    /// What it was sent, until the connection is told.
    events: u64,
    bytes: u64,
}

/// What few followers have.
struct Extras {
    expires: Option<Instant>,
    heartbeat: Option<Arc<str>>,
    pace: Option<Duration>,
    behind: Behind,
    /// Kept where somebody wants to know who leaves.
    request: Option<Request>,
}

/// What a follower waits with.
struct Backlog {
    due: Instant,
    /// The rest of what was begun, which comes before everything else.
    rest: Option<Rest>,
    /// Whether that ends the stream.
    is_last: bool,
    /// Where its socket is full: until when it may be, and how many bytes it had taken when that was set.
    full: Option<(Instant, u64)>,
}

/// How far an attempt to send has got.
#[derive(Clone, Copy)]
enum Sent {
    Everything,
    /// The socket is full.
    Some,
}

impl Follower {
    /// One that waits to be served for the first time, with a text that comes before the events.
    pub(super) fn new(
        connection: Arc<Connection>,
        reader: Reader,
        first: Option<Rest>,
        terms: Terms,
        request: Option<Request>,
        settings: &Settings,
    ) -> Self {
        let Terms { expires, heartbeat, pace, behind, .. } = terms;
        let has_extras = expires.is_some()
            || heartbeat.is_some()
            || pace.is_some()
            || behind != Behind::GoesOn
            || request.is_some();
        let keep_alive =
            terms.keep_alive.map_or(0, |interval| interval.as_millis().clamp(1, u32::MAX.into()) as u32);
        let now = Instant::now();
        // What comes first comes at once.
        let rested = pace.map_or(0, |pace| pace.as_millis() as u32);
        Self {
            connection,
            reader,
            backlog: Some(Box::new(Backlog { due: now, rest: first, is_last: false, full: None })),
            extras: has_extras.then(|| Box::new(Extras { expires, heartbeat, pace, behind, request })),
            keep_alive,
            last_write: millis(settings, now).wrapping_sub(rested),
            events: 0,
            bytes: 0,
        }
    }

    pub(super) fn stop_signal(&self) -> &StopSignal {
        self.connection.stop_signal()
    }

    pub(super) fn keep_alive(&self) -> Option<Duration> {
        (self.keep_alive > 0).then(|| Duration::from_millis(self.keep_alive.into()))
    }

    /// When one that waits is to be looked after again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.backlog.as_ref().map(|backlog| backlog.due)
    }

    /// Whether nothing was written to it in this millisecond.
    pub(super) fn is_rested(&self, settings: &Settings, now: Instant) -> bool {
        self.last_write != millis(settings, now)
    }

    /// Sends what is in view to one that has everything before that.
    pub(super) fn serve(&mut self, visit: &mut Visit<'_>) -> Outcome {
        self.reader.cursor = visit.view.start;
        if let Some(due) = self.paced_until(visit) {
            self.wait_until(due);
            return Outcome::Waits;
        }
        let end = visit.view.end;
        let sent = self.may_go_on(visit.now).and_then(|()| self.send_events(visit, end));
        self.outcome(sent, visit.now)
    }

    /// Sends what one lacks that waits, until it has everything before the event `until`.
    pub(super) fn go_on(&mut self, visit: &mut Visit<'_>, until: u64) -> Outcome {
        let (told, events) = (self.reader.cursor, self.events);
        let sent = self.try_go_on(visit, until);
        if let (Ok(Sent::Everything), true) = (&sent, self.reader.cursor < until) {
            return Outcome::Waits; // for its pace
        }
        if let (Ok(Sent::Everything), true) = (&sent, self.events == events) {
            self.reader.cursor = told; // it has everything, since nothing was for it, and was told nothing
        }
        self.outcome(sent, visit.now)
    }

    fn try_go_on(&mut self, visit: &mut Visit<'_>, until: u64) -> Result<Sent, CloseReason> {
        self.may_go_on(visit.now)?;
        let has_rest = matches!(&self.backlog, Some(backlog) if backlog.rest.is_some());
        match self.paced_until(visit) {
            Some(due) if !has_rest && self.reader.cursor < until => {
                self.wait_until(due);
                return Ok(Sent::Everything);
            }
            _ => {}
        }
        loop {
            if let Sent::Some = self.send_rest(visit)? {
                return Ok(Sent::Some);
            }
            if self.reader.cursor >= until {
                return Ok(Sent::Everything);
            }
            self.may_go_on(visit.now)?;
            match (visit.look)(&self.reader, visit.view) {
                Step::Events => {
                    if let Sent::Some = self.send_events(visit, until)? {
                        return Ok(Sent::Some);
                    }
                }
                // No thread of the crate makes a snapshot. It has to come back for that, or for what somebody else has.
                Step::Gap(gap) if gap.snapshot_id.is_some() || self.behind() == Behind::Leaves => {
                    return Err(CloseReason::Lagged);
                }
                Step::Gap(gap) => {
                    self.owe(Rest::new(gap.text), visit.now);
                    self.events += gap.events;
                    self.reader.cursor = gap.next;
                }
                Step::Closed | Step::Nothing => return Ok(Sent::Everything),
            }
        }
    }

    /// Has one wait that has everything before the event `cursor`.
    pub(super) fn go_on_from(&mut self, cursor: u64, now: Instant) {
        self.reader.cursor = cursor;
        self.wait_until(now);
    }

    /// Ends the stream of one that has everything.
    pub(super) fn finish(&mut self, visit: &mut Visit<'_>) -> Outcome {
        let mut finish = String::new();
        wire::write_finish(&mut finish);
        self.owe(Rest::new(finish), visit.now).is_last = true;
        let sent = self.send_rest(visit);
        self.outcome(sent, visit.now)
    }

    fn outcome(&mut self, sent: Result<Sent, CloseReason>, now: Instant) -> Outcome {
        match sent {
            Ok(Sent::Everything) => {
                self.backlog = None;
                Outcome::Served
            }
            Ok(Sent::Some) => self.block(now),
            Err(reason) => Outcome::Over(reason),
        }
    }

    /// Says goodbye to one whose host has stopped, or whose time is over.
    fn may_go_on(&mut self, now: Instant) -> Result<(), CloseReason> {
        let is_torn = matches!(&self.backlog, Some(backlog) if backlog.rest.is_some());
        let expires = self.extras.as_ref().and_then(|extras| extras.expires);
        let reason = match expires {
            _ if self.stop_signal().is_requested() => CloseReason::Stopped,
            Some(expires) if now >= expires && !is_torn => CloseReason::MaxAge,
            _ => return Ok(()),
        };
        if !is_torn {
            let mut retry = String::new();
            wire::write_comeback(&mut retry);
            // What does not fit now is not worth waiting for.
            self.bytes += self.connection.try_write(retry.as_bytes()).unwrap_or(0) as u64;
        }
        Err(reason)
    }

    fn behind(&self) -> Behind {
        self.extras.as_ref().map_or(Behind::GoesOn, |extras| extras.behind)
    }

    /// When it may be written to again, if that is later.
    fn paced_until(&self, visit: &Visit<'_>) -> Option<Instant> {
        let pace = self.extras.as_ref().and_then(|extras| extras.pace)?;
        let since = self.quiet(visit);
        (since < pace).then(|| visit.now + (pace - since))
    }

    fn send_rest(&mut self, visit: &Visit<'_>) -> Result<Sent, CloseReason> {
        let backlog = match &mut self.backlog {
            Some(backlog) => backlog,
            None => return Ok(Sent::Everything),
        };
        let rest = match &mut backlog.rest {
            Some(rest) => rest,
            None => return Ok(Sent::Everything),
        };
        let count = self.connection.try_write(rest.bytes())?;
        rest.sent += count;
        let is_gone = rest.bytes().is_empty();
        let was_last = is_gone && backlog.is_last;
        if is_gone {
            backlog.rest = None;
        }
        self.count(count, visit);
        match is_gone {
            _ if was_last => Err(CloseReason::Finished),
            true => Ok(Sent::Everything),
            false => Ok(Sent::Some),
        }
    }

    fn send_events(&mut self, visit: &mut Visit<'_>, until: u64) -> Result<Sent, CloseReason> {
        let cursor = self.reader.cursor;
        let batch = visit.view.batch(cursor, until, &self.reader.interest);
        let count = match batch.text {
            "" => 0,
            text => self.connection.try_write(text.as_bytes())?,
        };
        if count == batch.text.len() {
            self.reader.cursor = batch.next;
            self.events += batch.events;
            self.count(count, visit);
            return Ok(Sent::Everything);
        }
        let (events, next, rest) = visit.view.torn(cursor, count, &self.reader.interest);
        self.reader.cursor = next;
        self.events += events;
        self.count(count, visit);
        if let Some(rest) = rest {
            self.owe(rest, visit.now);
        }
        Ok(Sent::Some)
    }

    fn wait_until(&mut self, due: Instant) -> &mut Backlog {
        let new = || Box::new(Backlog { due, rest: None, is_last: false, full: None });
        let backlog = self.backlog.get_or_insert_with(new);
        backlog.due = due;
        backlog
    }

    /// Notes what has to be sent before anything else.
    fn owe(&mut self, rest: Rest, now: Instant) -> &mut Backlog {
        let backlog = self.wait_until(now);
        backlog.rest = Some(rest);
        backlog
    }

    /// Its socket is full: when to try again, and how long that may go on.
    fn block(&mut self, now: Instant) -> Outcome {
        let (bytes, deadline) = (self.bytes, now + self.connection.write_deadline());
        let backlog = self.wait_until(now + LATER);
        match &mut backlog.full {
            Some((until, before)) if bytes - *before < WRITE_PROGRESS as u64 => {
                if now >= *until {
                    return Outcome::Over(CloseReason::WriteDeadline);
                }
            }
            full => {
                *full = Some((deadline, bytes));
                backlog.due = now + SOON;
            }
        }
        Outcome::Waits
    }

    /// Looks whether it is still there, and keeps it alive; `id` is where one stands that has everything, if it is
    /// to be told.
    pub(super) fn tend(&mut self, visit: &Visit<'_>, id: Option<&str>) -> Outcome {
        if let Err(reason) = self.may_go_on(visit.now) {
            return Outcome::Over(reason);
        }
        match self.connection.look() {
            Ok(()) => {}
            Err(CloseReason::Stopped) => {
                return Outcome::Over(self.may_go_on(visit.now).err().unwrap_or(CloseReason::Stopped))
            }
            Err(reason) => return Outcome::Over(reason),
        }
        if self.backlog.is_some() {
            return Outcome::Waits;
        }
        // Where nothing is owed, nobody compares the numbers.
        self.connection.count_bytes(std::mem::take(&mut self.bytes));
        self.connection.count_events(std::mem::take(&mut self.events));
        let is_quiet = self.keep_alive().map_or(false, |interval| self.quiet(visit) >= interval);
        let heartbeat = self.extras.as_ref().and_then(|extras| extras.heartbeat.clone());
        let text = match id {
            Some(id) => id,
            None if !is_quiet => return Outcome::Served,
            None => heartbeat.as_deref().unwrap_or(KEEP_ALIVE),
        };
        let sent = self.connection.try_write(text.as_bytes()).map(|sent| {
            self.count(sent, visit);
            if sent == text.len() {
                return Sent::Everything;
            }
            self.owe(Rest { text: text.into(), sent }, visit.now);
            Sent::Some
        });
        self.outcome(sent, visit.now)
    }

    /// How long nothing was written to it.
    pub(super) fn quiet(&self, visit: &Visit<'_>) -> Duration {
        let since = visit.millis().wrapping_sub(self.last_write);
        // A publisher may have written since the visit began.
        Duration::from_millis(if since > u32::MAX / 2 { 0 } else { since.into() })
    }

    fn count(&mut self, bytes: usize, visit: &Visit<'_>) {
        self.bytes += bytes as u64;
        if bytes > 0 {
            self.last_write = visit.millis();
        }
    }

    /// Leaves for good, and closes the connection; returns the reason that counts, and the request if somebody wants to
    /// know. A socket of the user's own that panics ends no less.
    pub(super) fn leave(self, reason: CloseReason) -> (Reader, CloseReason, Option<Request>) {
        let Self { connection, reader, extras, bytes, events, .. } = self;
        let counting = panics::catch(move || {
            // What it said last is read, or closing would take from it what it has not read yet.
            let _ = connection.look();
            connection.count_bytes(bytes);
            connection.count_events(events);
            connection.end(reason)
        });
        (reader, counting.unwrap_or(CloseReason::Panicked), extras.and_then(|extras| extras.request))
    }
}
