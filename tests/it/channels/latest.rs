//! A plain model of a channel that keeps of each topic the newest event alone.
//!
//! Which of the superseded events somebody still gets is up to the writers. So it says of each that is not sent why
//! it need not be: it was superseded or forgotten, or was told as a gap since it did not fit any more.

use super::model::{is_cut_id, Client, Model, Seen, WINDOW};
use super::FINISH;
use std::collections::BTreeSet;

/// What is there, and why the rest is not.
#[derive(Default)]
pub(super) struct Latest {
    /// The history, in the order of the sequence numbers.
    pub(super) history: Vec<u64>,
    /// What is no history any more, but there for those who are about to be served.
    surplus: Vec<u64>,
    /// What was superseded, or forgotten, while it was there.
    pub(super) superseded: BTreeSet<u64>,
    /// What has left the history otherwise.
    expired: BTreeSet<u64>,
    /// What was not even kept for those who are about to be served.
    dropped: BTreeSet<u64>,
}

impl Model {
    /// What the last event that was published changes.
    pub(super) fn keep_latest(&mut self) {
        let sequence = self.published();
        self.forget(self.topics[sequence as usize - 1]);
        self.latest.history.push(sequence);
        let texts = &self.events;
        let bytes =
            |events: &[u64]| events.iter().map(|event| texts[*event as usize - 1].len()).sum::<usize>();
        let (max_events, max_bytes) = self.history;
        let Latest { history, surplus, expired, dropped, .. } = &mut self.latest;
        let mut count = 0;
        while (history.len() - count) as u64 > max_events || bytes(&history[count..]) as u64 > max_bytes {
            count += 1;
        }
        expired.extend(&history[..count]);
        surplus.extend(history.drain(..count));
        let mut count = 0;
        while count < surplus.len() && bytes(&surplus[count + 1..]) + bytes(history) >= WINDOW {
            count += 1;
        }
        dropped.extend(surplus.drain(..count));
    }

    pub(super) fn forget(&mut self, topic: u8) {
        let Latest { history, surplus, superseded, .. } = &mut self.latest;
        for events in [history, surplus] {
            let is_of_it = |event: &u64| self.topics[*event as usize - 1] == topic;
            superseded.extend(events.iter().copied().filter(is_of_it));
            events.retain(|event| !is_of_it(event));
        }
    }

    /// What a client may be told first, and the first event that follows.
    pub(super) fn latest_greetings(&self, seen: Option<&Seen>, topics: Option<&[u8]>) -> Vec<(String, u64)> {
        if let Some(Seen::Superseded(sequence)) = seen {
            let as_known = self.latest_greetings(Some(&Seen::Event(*sequence)), topics);
            let as_other = self.latest_greetings(Some(&Seen::Other(self.id(*sequence))), topics);
            return as_known.into_iter().chain(as_other).collect();
        }
        let last = self.published();
        // The position is somewhere between what is gone and what is there.
        let gone = self.latest.expired.iter().next_back().copied().unwrap_or(0);
        let states = || if self.has_snapshot { self.snapshots(last, last) } else { vec![String::new()] };
        let reason = match seen {
            None if self.has_snapshot => {
                return states().into_iter().map(|state| (state, last + 1)).collect()
            }
            None if self.latest.history.iter().any(|event| self.is_for(*event, topics)) => {
                return vec![(String::new(), gone + 1)];
            }
            None => {
                let positions = self.id_lines(last).into_iter().filter(|id| !id.is_empty());
                let mut positions: Vec<_> = positions.map(|id| (format!("{id}\n"), last + 1)).collect();
                if self.id_lines(last).contains(&String::new()) {
                    positions.push((String::new(), last + 1)); // the last, as it is the beginning of the other
                }
                return positions;
            }
            Some(Seen::Event(sequence))
                if !self.latest.expired.range(sequence + 1..).any(|event| self.is_for(*event, topics)) =>
            {
                return vec![(String::new(), sequence + 1)];
            }
            Some(Seen::Event(_)) => "expired",
            Some(_) => "unknown",
        };
        if self.has_snapshot {
            let reset = self.reset(last, reason, None);
            return states().into_iter().map(|state| (format!("{reset}{state}"), last + 1)).collect();
        }
        let after = self.latest.history.first().copied().unwrap_or(last + 1);
        let resets = |last| self.resets(last, reason).into_iter().map(move |reset| (reset, last + 1));
        (gone..after).flat_map(resets).collect()
    }

    /// An id of the publisher's is not known any more when its event was superseded, unless it had been let go of before.
    fn id_lines(&self, sequence: u64) -> Vec<String> {
        let mut lines = vec![self.id_line(sequence)];
        if self.own_ids && self.latest.superseded.contains(&sequence) {
            lines.push(String::new());
        }
        lines
    }

    fn snapshots(&self, sequence: u64, state: u64) -> Vec<String> {
        let snapshot = |id| format!("{id}event: state\ndata: {state}\n\n");
        self.id_lines(sequence).into_iter().map(snapshot).collect()
    }

    fn resets(&self, sequence: u64, reason: &str) -> Vec<String> {
        let reset = self.reset(sequence, reason, None);
        match self.has_snapshot {
            true => vec![reset],
            false => {
                let bare =
                    reset.strip_prefix(&*self.id_line(sequence)).expect("it begins with that").to_owned();
                self.id_lines(sequence).into_iter().map(|id| id + &bare).collect()
            }
        }
    }
}

impl Client {
    /// Compares what has arrived with what the model says; whether that is everything.
    pub(super) fn check_latest(&self, model: &Model) -> Result<bool, String> {
        let is_closed = self.valve.is_closed(); // first: then the text is all
        let text = self.valve.text();
        let told = self.greetings.iter().filter(|(greeting, _)| text.starts_with(greeting));
        let is_cut = || self.greetings.iter().any(|(greeting, _)| greeting.starts_with(&text));
        let (mut rest, mut cursor) = match told.max_by_key(|(greeting, _)| greeting.len()) {
            Some((greeting, first)) if !greeting.is_empty() || text.is_empty() || !is_cut() => {
                (&text[greeting.len()..], *first)
            }
            _ if is_cut() => return Ok(false),
            _ => return Err(format!("another greeting: {text:.300?}")),
        };
        let topics = self.topics.as_deref();
        let missing = |from: u64, to: u64| {
            let latest = &model.latest;
            let mine = (from..to).filter(|event| model.is_for(*event, topics));
            mine.filter(|event| !latest.superseded.contains(event)).collect::<Vec<_>>()
        };
        loop {
            if let Some(others) = topics.and_then(|_| model.behind_id_block(rest)) {
                rest = others;
                continue;
            }
            let is_begun = !rest.is_empty() && !FINISH.starts_with(rest);
            let mut to_come = (cursor..=model.published()).filter(|event| model.is_for(*event, topics));
            if let Some(event) = to_come.clone().find(|event| rest.starts_with(model.event(*event))) {
                match missing(cursor, event)[..] {
                    [] if self.old.contains(&event) => {
                        return Err(format!("{event} was superseded when it came"))
                    }
                    [] => (cursor, rest) = (event + 1, &rest[model.event(event).len()..]),
                    _ => return Err(format!("{:?} are missing before {event}", missing(cursor, event))),
                }
            } else if let Some((next, others)) = self.latest_skipped(model, cursor, rest) {
                (cursor, rest) = (next, others);
            } else if is_begun && to_come.any(|event| model.event(event).starts_with(rest)) {
                return Ok(false);
            } else if is_begun && topics.is_some() && is_cut_id(rest) {
                return Ok(false); // of a position
            } else if is_begun && model.is_within_latest_gap(rest) {
                return Ok(false);
            } else {
                break;
            }
        }
        let missing = missing(cursor, model.published() + 1);
        if is_closed && rest.is_empty() && model.has_snapshot && !self.is_forwarding {
            // It lagged, and is to come back for a snapshot.
            return match missing.iter().any(|event| model.latest.dropped.contains(event))
                && self.has_been_behind
            {
                true => Ok(true),
                false => Err(String::from("its end has no reason")),
            };
        }
        match rest {
            "" => Ok(missing.is_empty() && !model.is_closed),
            FINISH if model.is_closed && missing.is_empty() => Ok(true),
            _ if model.is_closed && FINISH.starts_with(rest) => Ok(false),
            _ => Err(format!("neither an event after {cursor} nor a gap, {missing:?} to come: {rest:.300?}")),
        }
    }

    /// Reads a gap, with the state of things where that belongs: the next event, and the text behind the gap.
    fn latest_skipped<'t>(&self, model: &Model, cursor: u64, text: &'t str) -> Option<(u64, &'t str)> {
        let published = model.published();
        let topics = self.topics.as_deref();
        (cursor..=published).find_map(|last| {
            let rest = model.resets(last, "lagged").iter().find_map(|reset| text.strip_prefix(&**reset))?;
            // Something of its topics is gone for good; without a snapshot, all that it did not get before is.
            let latest = &model.latest;
            let mine: Vec<_> = (cursor..=last).filter(|event| model.is_for(*event, topics)).collect();
            let is_gone = |event: &u64| latest.dropped.contains(event);
            let has_reason = self.has_been_behind && mine.iter().any(is_gone);
            let is_all = mine
                .iter()
                .all(|event| model.has_snapshot || is_gone(event) || latest.superseded.contains(event));
            if !has_reason || !is_all {
                return None;
            }
            if !model.has_snapshot {
                return Some((last + 1, rest));
            }
            (last..=published)
                .flat_map(|state| model.snapshots(last, state))
                .find_map(|snapshot| Some((last + 1, rest.strip_prefix(&*snapshot)?)))
        })
    }
}

impl Model {
    /// Whether that is the beginning of what tells of a gap.
    fn is_within_latest_gap(&self, text: &str) -> bool {
        let mut resets = (0..=self.published()).flat_map(|last| self.resets(last, "lagged"));
        resets.any(|reset| reset.starts_with(text) || (self.has_snapshot && text.starts_with(&reset)))
    }
}
