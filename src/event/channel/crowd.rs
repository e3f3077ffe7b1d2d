//! One writer's followers of one channel: who has everything, who waits, and who follows which topic.
//!
//! Whoever visits the crowd has it for itself: a writer, or a publisher with an event for few. Those who have everything
//! need no place of their own: what they have is what the crowd has. So an event is brought to those whom it is for, and
//! nobody else is looked at.

use std::time::{Duration, Instant};

use super::follower::{Follower, Outcome, Visit};
use super::setup::Settings;
use super::topics::Interest;
use crate::http::CloseReason;
use crate::panics;

/// One for whom nothing came for so long is told where it stands, before its id leaves the history.
const QUIET: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Crowd {
    /// By the number that the lists have; some are free.
    followers: Vec<Option<Follower>>,
    free: Vec<u32>,
    /// Those who follow everything.
    of_all: Vec<u32>,
    /// Those who follow a topic, by its number less one.
    of_topics: Vec<Vec<u32>>,
    /// Those who have not got everything before `next`.
    waiting: Vec<u32>,
    /// When the first of them is to be looked after.
    pub(super) due: Option<Instant>,
    /// The event that all others need next.
    pub(super) next: u64,
    /// Those who are over, until they are told.
    pub(super) gone: Vec<Parting>,
}

impl Crowd {
    pub(super) fn len(&self) -> usize {
        self.followers.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first event that somebody here has not got yet; none where nobody is.
    pub(super) fn slowest(&self) -> Option<u64> {
        let waiting = self.waiting.iter().filter_map(|at| self.followers[*at as usize].as_ref());
        let served = (self.len() > self.waiting.len()).then_some(self.next);
        waiting.map(|follower| follower.reader.cursor).chain(served).min()
    }

    /// How often those here are to be kept alive at least.
    pub(super) fn keep_alive(&self) -> Option<Duration> {
        self.followers.iter().flatten().filter_map(Follower::keep_alive).min()
    }

    /// How many get an event of this topic.
    pub(super) fn audience(&self, topic: u32) -> usize {
        match topic.checked_sub(1) {
            None => self.len(),
            Some(index) => self.of_all.len() + self.of_topics.get(index as usize).map_or(0, Vec::len),
        }
    }

    /// Whether none of those who get an event of this topic was sent anything in this millisecond.
    pub(super) fn is_rested(&self, topic: u32, settings: &Settings, now: Instant) -> bool {
        let chosen = self.chosen(std::iter::once(topic)).into_iter();
        let mut followers = chosen.filter_map(|at| self.followers[at as usize].as_ref());
        followers.all(|follower| follower.is_rested(settings, now))
    }

    /// Those who get events of these topics.
    fn chosen(&self, topics: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut chosen = self.of_all.clone();
        for topic in topics {
            match topic.checked_sub(1) {
                Some(index) => chosen.extend(self.of_topics.get(index as usize).into_iter().flatten()),
                None => return (0..self.followers.len() as u32).collect(),
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    /// Takes somebody in, who waits.
    pub(super) fn add(&mut self, follower: Follower) {
        let at = self.free.pop().unwrap_or_else(|| {
            if self.followers.len() < 4 {
                self.followers.reserve_exact(1); // most channels have few followers
            }
            self.followers.push(None);
            self.followers.len() as u32 - 1
        });
        self.change_lists(&follower.reader.interest, |list| list.push(at));
        self.wait(at, follower.due());
        self.followers[at as usize] = Some(follower);
    }

    /// Changes the lists that somebody is on.
    fn change_lists(&mut self, interest: &Interest, change: impl Fn(&mut Vec<u32>)) {
        if let Interest::All = interest {
            return change(&mut self.of_all);
        }
        let topics = interest.topics();
        let last = topics.last().map_or(0, |topic| *topic as usize);
        if self.of_topics.len() < last {
            self.of_topics.resize_with(last, Vec::new);
        }
        topics.iter().for_each(|topic| change(&mut self.of_topics[*topic as usize - 1]));
    }

    fn wait(&mut self, at: u32, due: Option<Instant>) {
        self.waiting.push(at);
        self.due = self.due.into_iter().chain(due).min();
    }

    fn remove(&mut self, at: u32, reason: CloseReason) {
        if let Some(follower) = self.followers[at as usize].take() {
            self.change_lists(&follower.reader.interest, |list| {
                if let Some(index) = list.iter().position(|listed| *listed == at) {
                    list.swap_remove(index);
                }
            });
            self.gone.push((follower, reason));
            self.free.push(at);
        }
    }

    /// Brings what is in view to those who have everything before it.
    pub(super) fn serve(&mut self, visit: &mut Visit<'_>) {
        let chosen = self.chosen(visit.view.topics());
        for at in chosen {
            self.look_at(at, |follower| match follower.due() {
                None => follower.serve(visit),
                Some(_) => Outcome::Waits,
            });
        }
        self.next = visit.view.end;
    }

    /// Has all who had everything go on by themselves: events are gone that some of them may need.
    pub(super) fn scatter(&mut self, next: u64, now: Instant) {
        let start = std::mem::replace(&mut self.next, next);
        for at in 0..self.followers.len() as u32 {
            self.look_at(at, |follower| {
                if follower.due().is_none() {
                    follower.go_on_from(start, now);
                }
                Outcome::Waits
            });
        }
    }

    /// Looks after those who wait and whose time has come.
    pub(super) fn serve_waiting(&mut self, visit: &mut Visit<'_>) {
        if !matches!(self.due, Some(due) if due <= visit.now) {
            return;
        }
        self.due = None;
        let (next, now) = (self.next, visit.now);
        for at in std::mem::take(&mut self.waiting) {
            let due = self.followers[at as usize].as_ref().and_then(Follower::due);
            match due {
                Some(due) if due > now => self.wait(at, Some(due)),
                Some(_) => self.look_at_waiting(at, |follower| follower.go_on(visit, next)),
                None => {}
            }
        }
    }

    /// Ends the streams of those who have everything: nothing is to come.
    pub(super) fn finish(&mut self, visit: &mut Visit<'_>) {
        for at in 0..self.followers.len() as u32 {
            self.look_at(at, |follower| match follower.due() {
                None => follower.finish(visit),
                Some(_) => Outcome::Waits,
            });
        }
    }

    /// Looks after some of those who are here, from the back, and returns how many are left.
    pub(super) fn tend(
        &mut self,
        left: Option<usize>,
        budget: &mut usize,
        visit: &mut Visit<'_>,
        place: Option<&Place>,
    ) -> usize {
        let mut left = left.map_or(self.followers.len(), |left| left.min(self.followers.len()));
        while left > 0 && *budget > 0 {
            left -= 1;
            *budget -= 1;
            self.look_at(left as u32, |follower| {
                let is_told = |place: &&Place| {
                    let has_topics = !matches!(follower.reader.interest, Interest::All);
                    has_topics
                        && follower.reader.cursor < place.middle
                        && (place.is_urgent || follower.quiet(visit) >= QUIET)
                };
                let place = place.filter(is_told).filter(|_| follower.due().is_none());
                if let Some(place) = place {
                    follower.reader.cursor = place.cursor;
                }
                follower.tend(visit, place.map(|place| &*place.id_block))
            });
        }
        left
    }

    /// Does something with one, if it is there.
    fn look_at(&mut self, at: u32, act: impl FnOnce(&mut Follower) -> Outcome) {
        let follower = match &mut self.followers[at as usize] {
            Some(follower) => follower,
            None => return,
        };
        let has_waited = follower.due().is_some();
        let outcome = guarded(|| act(follower));
        let due = follower.due();
        match outcome {
            Outcome::Waits if !has_waited => self.wait(at, due),
            Outcome::Waits | Outcome::Served => {}
            Outcome::Over(reason) => {
                self.waiting.retain(|waiting| *waiting != at);
                self.remove(at, reason);
            }
        }
    }

    /// The same for one that is on no list of those who wait at the moment.
    fn look_at_waiting(&mut self, at: u32, act: impl FnOnce(&mut Follower) -> Outcome) {
        let follower = match &mut self.followers[at as usize] {
            Some(follower) => follower,
            None => return,
        };
        let outcome = guarded(|| act(follower));
        let due = follower.due();
        match outcome {
            Outcome::Waits => self.wait(at, due),
            Outcome::Served => {}
            Outcome::Over(reason) => self.remove(at, reason),
        }
    }

    /// Gives back the memory of those who came and went.
    pub(super) fn tidy(&mut self) {
        if self.is_empty() {
            *self = Self { next: self.next, gone: std::mem::take(&mut self.gone), ..Self::default() };
        } else if self.free.len() > 64 + 2 * self.len() {
            let followers = std::mem::take(&mut self.followers);
            *self = Self { next: self.next, gone: std::mem::take(&mut self.gone), ..Self::default() };
            for follower in followers.into_iter().flatten() {
                let due = follower.due();
                self.add(follower);
                if due.is_none() {
                    self.waiting.pop();
                }
            }
        }
    }
}

/// A follower that is over, and why.
pub(super) type Parting = (Follower, CloseReason);

/// Where those stand who have everything, for those who have to be told.
pub(super) struct Place {
    pub(super) id_block: String,
    pub(super) cursor: u64,
    /// Whose place is before that is told soon.
    pub(super) middle: u64,
    /// Whether an id is of no use any more that has left the history.
    pub(super) is_urgent: bool,
}

/// A socket may be the user's own. One that panics is the end of its connection, not of everybody's writer.
fn guarded(act: impl FnOnce() -> Outcome) -> Outcome {
    panics::catch(act).unwrap_or(Outcome::Over(CloseReason::Panicked))
}
