//! One follower: a connection, a position in the channel, and the rest of a text of which the socket has taken a part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reader::{Reader, Step};
use super::setup::Settings;
use super::view::{Batch, Rest, View};
use crate::event::wire::{self, KEEP_ALIVE};
use crate::http::{CloseReason, Connection, Request, StopSignal, WRITE_PROGRESS};
use crate::panics;

/// A socket that was full is tried again after this, if it has taken something, …
const SOON: Duration = Duration::from_millis(2);
/// … or after this, if it has not.
const LATER: Duration = Duration::from_millis(20);

/// What happens to a follower when events that it needs are gone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Behind {
    /// It is sent a `reset`, and goes on with the oldest event that is kept.
    GoesOn,
    /// It is closed. The client comes back to the generator, which has the events that it lacks.
    Leaves,
}

/// What a visit of a channel's followers works with.
pub(super) struct Visit<'v> {
    pub(super) settings: &'v Settings,
    pub(super) view: &'v mut View,
    pub(super) now: Instant,
    /// Takes the channel's lock for a [`Reader::look`].
    pub(super) look: &'v dyn Fn(&Reader, &mut View) -> Step,
    /// The followers whose stream is over, until the caller takes them.
    pub(super) ended: Vec<Ended>,
}

/// Small, since there may be thousands that are idle.
pub(super) struct Follower {
    connection: Arc<Connection>,
    pub(super) reader: Reader,
    /// There while the follower lacks something.
    backlog: Option<Box<Backlog>>,
    extras: Option<Box<Extras>>,
    /// In milliseconds; 0 for none.
    keep_alive: u32,
    /// In milliseconds of the channel's life, modulo 49 days.
    last_write: u32,
    /// What it was sent and is not counted by the connection yet.
    events: u64,
    bytes: u64,
}

/// A follower whose stream is over, and why.
pub(super) type Ended = (Follower, CloseReason);

/// What few followers have.
pub(super) struct Extras {
    /// When the stream has to end.
    pub(super) expires: Option<Instant>,
    /// The event that keeps it alive; a comment, where there is none.
    pub(super) heartbeat: Option<Arc<str>>,
    /// The least time between two writes of events.
    pub(super) pace: Option<Duration>,
    /// When its pace allows the next.
    pub(super) paced_until: Option<Instant>,
    pub(super) behind: Behind,
    /// Kept where presence is watched.
    pub(super) request: Option<Request>,
}

/// The state of a follower that lacks something.
struct Backlog {
    /// The time of its next visit.
    due: Instant,
    /// A text that has to be sent first, or the rest of one.
    rest: Option<Rest>,
    /// Whether that text ends the stream.
    is_last: bool,
    /// If its socket is full: the deadline for it to take 64 KiB, and how many bytes it had taken when that was set.
    full: Option<(Instant, u64)>,
}

/// The result of an attempt to send.
#[derive(Clone, Copy)]
enum Sent {
    Everything,
    /// As much as the socket takes.
    Some,
    /// Nothing: its pace allows the next write only then.
    Early(Instant),
}

impl Follower {
    /// A follower before its first visit. `first` is the snapshot, if one comes before the events.
    pub(super) fn new(
        connection: Arc<Connection>,
        reader: Reader,
        first: Option<Arc<str>>,
        keep_alive: Option<Duration>,
        extras: Extras,
        settings: &Settings,
    ) -> Self {
        let Extras { expires, heartbeat, pace, behind, request, .. } = &extras;
        let has_extras = expires.is_some()
            || heartbeat.is_some()
            || pace.is_some()
            || *behind != Behind::GoesOn
            || request.is_some();
        let keep_alive =
            keep_alive.map_or(0, |interval| interval.as_millis().clamp(1, u32::MAX.into()) as u32);
        let (now, events) = (Instant::now(), first.is_some().into());
        let backlog = Backlog { due: now, rest: first.map(Rest::new), is_last: false, full: None };
        Self {
            connection,
            reader,
            backlog: Some(Box::new(backlog)),
            extras: has_extras.then(|| Box::new(extras)),
            keep_alive,
            last_write: settings.millis(now),
            events,
            bytes: 0,
        }
    }

    pub(super) fn stop_signal(&self) -> &StopSignal {
        &self.connection.stop
    }

    pub(super) fn keep_alive(&self) -> Option<Duration> {
        (self.keep_alive > 0).then(|| Duration::from_millis(self.keep_alive.into()))
    }

    /// The time of its next visit, if it waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.backlog.as_ref().map(|backlog| backlog.due)
    }

    /// Whether nothing was written to it in this millisecond of the channel's life.
    pub(super) fn is_rested(&self, millis: u32) -> bool {
        self.last_write != millis
    }

    /// Sends the events in view to a follower that has everything before them.
    pub(super) fn serve(&mut self, visit: &mut Visit<'_>) -> Result<(), CloseReason> {
        self.reader.cursor = visit.view.start;
        let until = visit.view.end;
        self.go_on(visit, until)
    }

    /// Sends the events that it lacks before the event `until`, as far as its socket and its pace allow.
    pub(super) fn go_on(&mut self, visit: &mut Visit<'_>, until: u64) -> Result<(), CloseReason> {
        let (told, events) = (self.reader.cursor, self.events);
        let sent = self.try_go_on(visit, until)?;
        if let (Sent::Everything, true) = (sent, self.events == events) {
            self.reader.cursor = told; // no event was for it: it has everything, but its client knows no newer id
        }
        self.settle(sent, visit.now)
    }

    fn try_go_on(&mut self, visit: &mut Visit<'_>, until: u64) -> Result<Sent, CloseReason> {
        match self.paced_until(visit.now) {
            Some(due) if !self.is_torn() && self.reader.cursor < until => return Ok(Sent::Early(due)),
            _ => {}
        }
        loop {
            self.may_go_on(visit.now)?;
            if let Sent::Some = self.send_rest(visit)? {
                return Ok(Sent::Some);
            }
            if self.reader.cursor >= until {
                return Ok(Sent::Everything);
            }
            let step = match visit.view.has(self.reader.cursor) {
                true => Step::Events,
                false => (visit.look)(&self.reader, visit.view),
            };
            match step {
                Step::Events => {
                    if let Sent::Some = self.send_events(visit, until)? {
                        return Ok(Sent::Some);
                    }
                }
                // A writer calls no snapshot, which is the user's code, and only the generator has what came before
                // `follow_after`. So the stream ends, and the client comes back for either.
                Step::Gap(gap) if gap.snapshot_id.is_some() || self.behind() == Behind::Leaves => {
                    return Err(CloseReason::Lagged);
                }
                Step::Gap(gap) => {
                    self.put_first(gap.text, visit.now);
                    self.events += gap.events;
                    self.reader.cursor = gap.next;
                }
                Step::Nothing => return Ok(Sent::Everything),
            }
        }
    }

    /// Makes a follower wait that has everything before the event `cursor`. Its own cursor may be later.
    pub(super) fn go_on_from(&mut self, cursor: u64, now: Instant) -> Result<(), CloseReason> {
        self.reader.cursor = self.reader.cursor.max(cursor);
        self.wait_until(now);
        Ok(())
    }

    /// Ends the stream of a follower that has everything.
    pub(super) fn finish(&mut self, visit: &mut Visit<'_>) -> Result<(), CloseReason> {
        let mut finish = String::new();
        wire::write_finish(&mut finish);
        self.put_first(finish, visit.now).is_last = true;
        self.events += 1;
        let sent = self.send_rest(visit)?;
        self.settle(sent, visit.now)
    }

    /// Notes whether the follower waits, and until when.
    fn settle(&mut self, sent: Sent, now: Instant) -> Result<(), CloseReason> {
        match sent {
            Sent::Everything => self.backlog = None,
            Sent::Early(due) => {
                self.wait_until(due);
            }
            Sent::Some => return self.block(now),
        }
        Ok(())
    }

    /// Whether a text is still to be sent, all of it or its rest.
    fn is_torn(&self) -> bool {
        matches!(&self.backlog, Some(backlog) if backlog.rest.is_some())
    }

    /// Fails if the host has stopped, or if the stream is too old and no text is partly sent. Tells the client when to come
    /// back, unless a text is partly sent.
    fn may_go_on(&mut self, now: Instant) -> Result<(), CloseReason> {
        let is_torn = self.is_torn();
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

    /// When its pace allows the next write of events, if that is later than now.
    fn paced_until(&self, now: Instant) -> Option<Instant> {
        self.extras.as_ref().and_then(|extras| extras.paced_until).filter(|due| now < *due)
    }

    fn send_rest(&mut self, visit: &Visit<'_>) -> Result<Sent, CloseReason> {
        let rest = match self.backlog.as_mut().and_then(|backlog| backlog.rest.as_mut()) {
            Some(rest) => rest,
            None => return Ok(Sent::Everything),
        };
        let count = self.connection.try_write(rest.bytes())?;
        rest.sent += count;
        let is_left = !rest.bytes().is_empty();
        self.count(count, visit);
        match &mut self.backlog {
            Some(backlog) if !is_left => {
                backlog.rest = None;
                if backlog.is_last {
                    return Err(CloseReason::Finished);
                }
                Ok(Sent::Everything)
            }
            _ => Ok(Sent::Some),
        }
    }

    fn send_events(&mut self, visit: &mut Visit<'_>, until: u64) -> Result<Sent, CloseReason> {
        let cursor = self.reader.cursor;
        let Batch { text, events, next } = visit.view.batch(cursor, until, &self.reader.interest);
        let count = match text {
            "" => 0,
            text => self.connection.try_write(text.as_bytes())?,
        };
        let is_whole = count == text.len();
        let (events, next, rest) = match is_whole {
            true => (events, next, None),
            false => visit.view.torn(cursor, count, &self.reader.interest),
        };
        self.reader.cursor = next;
        self.events += events;
        if let (Some(extras), true) = (&mut self.extras, count > 0) {
            extras.paced_until = extras.pace.map(|pace| visit.now + pace);
        }
        self.count(count, visit);
        if let Some(rest) = rest {
            self.wait_until(visit.now).rest = Some(rest);
        }
        Ok(if is_whole { Sent::Everything } else { Sent::Some })
    }

    fn wait_until(&mut self, due: Instant) -> &mut Backlog {
        let new = || Box::new(Backlog { due, rest: None, is_last: false, full: None });
        let backlog = self.backlog.get_or_insert_with(new);
        backlog.due = due;
        backlog
    }

    /// Notes a text that has to be sent before anything else.
    fn put_first(&mut self, text: impl Into<Arc<str>>, now: Instant) -> &mut Backlog {
        let backlog = self.wait_until(now);
        backlog.rest = Some(Rest::new(text));
        backlog
    }

    /// Its socket is full: sets when to try again, and fails if that has gone on for the write deadline.
    fn block(&mut self, now: Instant) -> Result<(), CloseReason> {
        let (bytes, deadline) = (self.bytes, now + self.connection.write_deadline());
        let backlog = self.wait_until(now + LATER);
        match &mut backlog.full {
            Some((until, before)) if bytes - *before < WRITE_PROGRESS as u64 => {
                if now >= *until {
                    return Err(CloseReason::WriteDeadline);
                }
            }
            full => {
                *full = Some((deadline, bytes));
                backlog.due = now + SOON;
            }
        }
        Ok(())
    }

    /// Looks whether the client is still there, and keeps the stream alive. `id` is a block with the current id, if that
    /// is to be sent.
    pub(super) fn look_after(&mut self, visit: &Visit<'_>, id: Option<&Arc<str>>) -> Result<(), CloseReason> {
        self.may_go_on(visit.now)?;
        match self.connection.look() {
            Err(CloseReason::Stopped) => return self.may_go_on(visit.now).and(Err(CloseReason::Stopped)),
            found => found?,
        }
        let due = match &self.backlog {
            Some(backlog) if backlog.rest.is_some() || backlog.full.is_some() => return Ok(()),
            backlog => backlog.as_ref().map(|backlog| backlog.due), // that is its pace
        };
        // Moves the counts to the connection. Only where `full` is not set, which is compared with `bytes`, and this sets that to
        // zero; and only if there are any, since an idle follower must not touch the connection's memory.
        if self.bytes > 0 {
            self.connection.count_bytes(std::mem::take(&mut self.bytes));
            self.connection.count_events(std::mem::take(&mut self.events));
        }
        let is_quiet = self.keep_alive().map_or(false, |interval| self.quiet(visit) >= interval);
        match (id, self.extras.as_ref().and_then(|extras| extras.heartbeat.clone())) {
            (Some(id), _) => self.put_first(Arc::clone(id), visit.now),
            (None, _) if !is_quiet => return Ok(()),
            (None, Some(heartbeat)) => self.put_first(heartbeat, visit.now),
            (None, None) => self.put_first(KEEP_ALIVE, visit.now),
        };
        let sent = match (self.send_rest(visit)?, due) {
            (Sent::Everything, Some(due)) => Sent::Early(due),
            (sent, _) => sent,
        };
        self.settle(sent, visit.now)
    }

    /// The time since the last write to it.
    pub(super) fn quiet(&self, visit: &Visit<'_>) -> Duration {
        let since = visit.settings.millis(visit.now).wrapping_sub(self.last_write);
        // A publisher may have written since the visit began.
        Duration::from_millis(if since > u32::MAX / 2 { 0 } else { since.into() })
    }

    fn count(&mut self, bytes: usize, visit: &Visit<'_>) {
        self.bytes += bytes as u64;
        if bytes > 0 {
            self.last_write = visit.settings.millis(visit.now);
        }
    }

    /// Ends the stream, and closes the connection if no other handle of it is left. Returns the reason that counts, and the
    /// request where presence is watched. A socket of the user's own may panic; the stream ends then, too.
    pub(super) fn leave(self, reason: CloseReason) -> (Reader, CloseReason, Option<Request>) {
        let Self { connection, reader, extras, bytes, events, .. } = self;
        connection.count_bytes(bytes);
        connection.count_events(events);
        let reason = connection.end(reason);
        let _ = panics::catch(move || {
            // Reads what the client has sent last: a close with unread bytes is a reset, which destroys what the client
            // has not read yet.
            let _ = connection.look();
        });
        (reader, reason, extras.and_then(|extras| extras.request))
    }
}
