//! One writer's followers of one channel: which have everything, which wait, and which follow a topic.
//!
//! The thread that visits the followers has taken them out of the channel: a writer's thread, or a thread that publishes an
//! event for few. Most followers have everything. One number says which event they all need next, [`Followers::next`]. So
//! an event costs a look at the followers that it is for, and at no other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::follower::{Ended, Follower, Visit};
use super::reader::{Reader, Step};
use super::topics::Interest;
use crate::http::CloseReason;
use crate::panics;

#[derive(Default)]
pub(super) struct Followers {
    /// The followers. The lists below have their indices; some places are free.
    members: Vec<Option<Follower>>,
    free: Vec<u32>,
    /// The followers of all topics.
    of_all: Vec<u32>,
    /// The followers of a topic, by the topic's number less one.
    of_topics: Vec<Vec<u32>>,
    /// The followers that lack an event before `next`, each with the time of its next visit.
    waiting: BTreeSet<(Instant, u32)>,
    /// The event that all other followers need next.
    pub(super) next: u64,
}

impl Followers {
    pub(super) fn len(&self) -> usize {
        self.members.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a follower follows some topics only.
    pub(super) fn has_topics(&self) -> bool {
        self.of_all.len() < self.len()
    }

    /// The first event that a follower lacks; none where there are no followers.
    pub(super) fn slowest(&self) -> Option<u64> {
        let waiting = self.waiting.iter().filter_map(|(_, at)| self.members[*at as usize].as_ref());
        let served = (self.len() > self.waiting.len()).then_some(self.next);
        waiting.map(|follower| follower.reader.cursor).chain(served).min()
    }

    /// The shortest keep-alive of the followers.
    pub(super) fn keep_alive(&self) -> Option<Duration> {
        self.members.iter().flatten().filter_map(Follower::keep_alive).min()
    }

    /// The time of the next visit of a follower that waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.iter().next().map(|(due, _)| *due)
    }

    /// The followers of a topic by its name, without those of all topics.
    fn of_topic(&self, topic: u32) -> &[u32] {
        let index = (topic as usize).wrapping_sub(1);
        self.of_topics.get(index).map_or(&[], Vec::as_slice)
    }

    /// How many get an event of this topic.
    pub(super) fn audience(&self, topic: u32) -> usize {
        match topic {
            0 => self.len(),
            _ => self.of_all.len() + self.of_topic(topic).len(),
        }
    }

    /// Whether none of the followers that get an event of this topic was sent anything in this millisecond.
    pub(super) fn is_rested(&self, topic: u32, millis: u32) -> bool {
        let is_rested = |follower: &Follower| follower.is_rested(millis);
        match topic {
            0 => self.members.iter().flatten().all(is_rested),
            _ => {
                let chosen = self.of_all.iter().chain(self.of_topic(topic));
                chosen.filter_map(|at| self.members[*at as usize].as_ref()).all(is_rested)
            }
        }
    }

    /// The followers that get events of these topics.
    fn chosen(&self, topics: &[u32]) -> Vec<u32> {
        if topics.contains(&0) {
            return (0..self.members.len() as u32).collect();
        }
        let mut chosen = self.of_all.clone();
        topics.iter().for_each(|topic| chosen.extend(self.of_topic(*topic)));
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    /// Adds a follower.
    pub(super) fn add(&mut self, follower: Follower) {
        let at = self.free.pop().unwrap_or_else(|| {
            if self.members.len() < 4 {
                self.members.reserve_exact(1); // most channels have few followers
            }
            self.members.push(None);
            self.members.len() as u32 - 1
        });
        self.change_lists(&follower.reader.interest, |list| list.push(at));
        self.waiting.extend(follower.due().map(|due| (due, at)));
        self.members[at as usize] = Some(follower);
    }

    /// Changes the lists that a follower is on.
    fn change_lists(&mut self, interest: &Interest, change: impl Fn(&mut Vec<u32>)) {
        for topic in interest.lists() {
            match topic.checked_sub(1) {
                None => change(&mut self.of_all),
                Some(index) => {
                    let index = index as usize;
                    if self.of_topics.len() <= index {
                        self.of_topics.resize_with(index + 1, Vec::new);
                    }
                    change(&mut self.of_topics[index]);
                }
            }
        }
    }

    fn remove(&mut self, at: u32, reason: CloseReason, ended: &mut Vec<Ended>) {
        if let Some(follower) = self.members[at as usize].take() {
            self.change_lists(&follower.reader.interest, |list| {
                if let Some(index) = list.iter().position(|listed| *listed == at) {
                    list.swap_remove(index);
                }
            });
            ended.push((follower, reason));
            self.free.push(at);
        }
    }

    /// Sends the events before `until` to the followers that have everything before them: to each follower as much as one
    /// write takes, and then on.
    pub(super) fn catch_up(&mut self, until: u64, visit: &mut Visit<'_>) {
        while self.next < until {
            let reader = Reader { cursor: self.next, interest: Interest::All, reporter: 0 };
            match (visit.look)(&reader, visit.view) {
                Step::Events => self.serve(visit),
                // Events are gone that some followers may need: each goes on by its own cursor.
                _ => {
                    let start = std::mem::replace(&mut self.next, until);
                    for at in 0..self.members.len() as u32 {
                        self.look_at_served(at, visit, |follower, visit| {
                            follower.go_on_from(start, visit.now)
                        });
                    }
                }
            }
        }
    }

    /// Sends the events in view to the followers that have everything before them.
    pub(super) fn serve(&mut self, visit: &mut Visit<'_>) {
        for at in self.chosen(&visit.view.topics()) {
            self.look_at_served(at, visit, Follower::serve);
        }
        self.next = visit.view.end;
    }

    /// Visits the followers that wait and whose time has come.
    pub(super) fn serve_waiting(&mut self, visit: &mut Visit<'_>) {
        let next = self.next;
        let due = self.waiting.range(..=(visit.now, u32::MAX)).map(|(_, at)| *at).collect::<Vec<_>>();
        due.into_iter().for_each(|at| self.look_at(at, visit, |follower, visit| follower.go_on(visit, next)));
    }

    /// Ends the streams of the followers that have everything: the channel is closed.
    pub(super) fn finish(&mut self, visit: &mut Visit<'_>) {
        for at in 0..self.members.len() as u32 {
            self.look_at_served(at, visit, Follower::finish);
        }
    }

    /// Looks after as many followers as `budget` allows, from the last place to the first, and returns how many are left.
    pub(super) fn look_after(
        &mut self,
        left: Option<usize>,
        budget: &mut usize,
        visit: &mut Visit<'_>,
        position: Option<&Position>,
    ) -> usize {
        let next = self.next;
        let mut left = left.map_or(self.members.len(), |left| left.min(self.members.len()));
        while left > 0 && *budget > 0 {
            left -= 1;
            *budget -= 1;
            self.look_at(left as u32, visit, |follower, visit| {
                let position = position.filter(|position| {
                    let is_quiet = follower.due().is_none() && follower.quiet(visit) >= position.quiet;
                    let has_topics = !matches!(follower.reader.interest, Interest::All);
                    is_quiet && has_topics && follower.reader.cursor < position.middle
                });
                if position.is_some() {
                    follower.reader.cursor = next;
                }
                follower.look_after(visit, position.map(|position| &position.id_block))
            });
        }
        left
    }

    /// Does something with the follower in a place, if there is one.
    fn look_at<'v>(
        &mut self,
        at: u32,
        visit: &mut Visit<'v>,
        act: impl FnOnce(&mut Follower, &mut Visit<'v>) -> Result<(), CloseReason>,
    ) {
        let follower = match &mut self.members[at as usize] {
            Some(follower) => follower,
            None => return,
        };
        if let Some(due) = follower.due() {
            self.waiting.remove(&(due, at));
        }
        // A socket may be the user's own. If it panics, its connection ends, and the writer goes on with the others.
        match panics::catch(|| act(follower, visit)).unwrap_or(Err(CloseReason::Panicked)) {
            Ok(()) => self.waiting.extend(follower.due().map(|due| (due, at))),
            Err(reason) => self.remove(at, reason, &mut visit.ended),
        }
    }

    /// [`look_at`](Self::look_at), if the follower has everything.
    fn look_at_served<'v>(
        &mut self,
        at: u32,
        visit: &mut Visit<'v>,
        act: impl FnOnce(&mut Follower, &mut Visit<'v>) -> Result<(), CloseReason>,
    ) {
        if matches!(&self.members[at as usize], Some(follower) if follower.due().is_none()) {
            self.look_at(at, visit, act);
        }
    }

    /// Gives back the memory of followers that have left.
    pub(super) fn tidy(&mut self) {
        if self.waiting.is_empty() {
            self.waiting = BTreeSet::new(); // an empty one may keep memory
        }
        if self.is_empty() || self.free.len() > 64 + 2 * self.len() {
            let Self { members, next, .. } = std::mem::take(self);
            self.next = next;
            members.into_iter().flatten().for_each(|follower| self.add(follower));
        }
    }
}

/// The position of the followers that have everything, and when a follower of topics is told it.
pub(super) struct Position {
    /// The block that tells it.
    pub(super) id_block: Arc<str>,
    /// It is told to followers whose cursor is before this event, …
    pub(super) middle: u64,
    /// … and that were sent nothing for this long.
    pub(super) quiet: Duration,
}
