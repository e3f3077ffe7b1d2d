//! The topics of a channel: their numbers, who follows them, and how far their events are gone.

use std::collections::HashMap;
use std::sync::Arc;

/// As many topics without followers and without kept events are remembered before the unused ones are forgotten.
const UNUSED_TOPICS: usize = 1024;

/// What a subscriber follows of a channel.
pub(super) enum Interest {
    All,
    /// The events of this topic and those without one. It takes no allocation, since there may be thousands.
    Topic(u32),
    /// The events of these topics, in the order of their numbers, and those without one.
    Topics(Box<[u32]>),
}

impl Interest {
    /// The topics under which a subscriber is listed: those that it named, or 0 for all.
    pub(super) fn lists(&self) -> &[u32] {
        match self {
            Self::All => &[0],
            Self::Topic(topic) => std::slice::from_ref(topic),
            Self::Topics(topics) => topics,
        }
    }

    pub(super) fn has(&self, topic: u32) -> bool {
        match self {
            Self::All => true,
            _ => topic == 0 || self.lists().binary_search(&topic).is_ok(),
        }
    }
}

/// The newest events that are gone, by their sequence numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gone {
    /// Gone from the history.
    pub(super) expired: u64,
    /// Gone from the log, which may keep more than the history for subscribers that are about to be served.
    pub(super) dropped: u64,
}

/// What the log knows of a topic.
#[derive(Debug, Default)]
pub(super) struct Topic {
    /// How many subscribers follow it; for the number 0, how many follow all.
    pub(super) followers: u32,
    /// How many of its events the log has.
    pub(super) kept: u32,
    /// The sequence number of its newest event.
    pub(super) newest: u64,
    pub(super) gone: Gone,
}

/// Topics by number; 0 is that of the events without one.
#[derive(Default)]
pub(super) struct Topics {
    none: Topic,
    /// In a box, since most channels have none, and there may be thousands of those.
    named: Option<Box<Named>>,
}

/// Those that have a name.
#[derive(Default)]
struct Named {
    numbers: HashMap<Arc<str>, u32>,
    known: Vec<Topic>,
    free: Vec<u32>,
    /// How many topics have neither a follower nor an event.
    unused: usize,
    /// The newest events that are gone, of all topics that were forgotten.
    forgotten: Gone,
}

impl Topics {
    fn named(&mut self) -> &mut Named {
        self.named.get_or_insert_with(Box::default)
    }

    pub(super) fn get(&mut self, number: u32) -> &mut Topic {
        match number {
            0 => &mut self.none,
            _ => &mut self.named().known[number as usize - 1],
        }
    }

    pub(super) fn gone(&self, number: u32) -> Gone {
        match &self.named {
            Some(named) if number > 0 => named.known[number as usize - 1].gone,
            _ => self.none.gone,
        }
    }

    /// The number of a topic that is known.
    pub(super) fn known(&self, name: &str) -> Option<u32> {
        self.named.as_ref()?.numbers.get(name).copied()
    }

    pub(super) fn number(&mut self, name: &str) -> u32 {
        self.named().number(name)
    }

    /// Counts followers and events of a topic.
    pub(super) fn change(&mut self, number: u32, change: impl FnOnce(&mut Topic)) {
        let topic = self.get(number);
        let is_unused = |topic: &Topic| topic.followers == 0 && topic.kept == 0;
        let before = is_unused(topic);
        change(topic);
        let after = is_unused(topic);
        if number > 0 {
            let unused = &mut self.named().unused;
            *unused = *unused + usize::from(after) - usize::from(before);
        }
    }
}

impl Named {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.forget_unused();
        let number = self.free.pop().unwrap_or_else(|| {
            self.known.push(Topic::default());
            self.known.len() as u32
        });
        self.known[number as usize - 1] = Topic { gone: self.forgotten, ..Topic::default() };
        self.unused += 1;
        self.numbers.insert(name.into(), number);
        number
    }

    /// Names may come from clients. When more than half of the names, and more than `UNUSED_TOPICS`, are unused, all unused
    /// ones are forgotten.
    fn forget_unused(&mut self) {
        if self.unused <= UNUSED_TOPICS.max(self.numbers.len() / 2) {
            return;
        }
        let (known, free, forgotten) = (&mut self.known, &mut self.free, &mut self.forgotten);
        self.numbers.retain(|_, number| {
            let topic = &mut known[*number as usize - 1];
            let is_used = topic.followers > 0 || topic.kept > 0;
            if !is_used {
                forgotten.expired = forgotten.expired.max(topic.gone.expired);
                forgotten.dropped = forgotten.dropped.max(topic.gone.dropped);
                free.push(*number);
            }
            is_used
        });
        self.unused = 0;
    }
}
