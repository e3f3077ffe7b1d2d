//! Waiting for many sockets at once, each reported as long as there is something to do.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::Timespec;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

pub struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    pub fn new() -> std::io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(1024) })
    }

    /// Watches a socket for bytes to read, or for room to write.
    pub fn add(&self, socket: impl AsFd, key: u64, writes: bool) -> std::io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key), flags(writes))?)
    }

    /// From now on for bytes to read.
    pub fn read(&self, socket: impl AsFd, key: u64) -> std::io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(key), flags(false))?)
    }

    /// From now on for room to write.
    pub fn write(&self, socket: impl AsFd, key: u64) -> std::io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(key), flags(true))?)
    }

    pub fn remove(&self, socket: impl AsFd) -> std::io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// The keys of those that are ready, none of them if that takes too long.
    pub fn wait(&mut self, patience: Option<Duration>) -> std::io::Result<Vec<u64>> {
        let patience = patience.map(|patience| Timespec::try_from(patience).expect("some seconds fit"));
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), patience.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().map(|event| event.data.u64()).collect())
    }
}

fn flags(writes: bool) -> EventFlags {
    match writes {
        true => EventFlags::OUT,
        false => EventFlags::IN,
    }
}
