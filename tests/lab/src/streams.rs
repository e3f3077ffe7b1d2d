//! Many streams of one server, opened and read by one thread.

use std::time::Duration;

use crate::connection::{Connection, State};
use crate::peers::now;
use crate::poll::Poll;

/// Why a load cannot be done that the server knows nothing of.
pub const NO_ROUTE: &str = "has no such route";
pub const SECOND: u64 = 1_000_000_000;
/// Whatever happens, a load ends after this.
pub const LIMIT: u64 = 60 * SECOND;

/// Streams that are open or become it, all of them read by this thread.
pub struct Streams<'a> {
    pub connections: Vec<Connection>,
    pub poll: Poll,
    port: u16,
    request: &'a dyn Fn(usize) -> Vec<u8>,
    pub buffer: Vec<u8>,
    /// Those that have said that somebody is subscribed.
    ready: usize,
    pub closed: usize,
}

impl<'a> Streams<'a> {
    pub fn connect(port: u16, count: usize, request: &'a dyn Fn(usize) -> Vec<u8>) -> Result<Self, String> {
        let poll = Poll::new().map_err(told)?;
        let mut streams = Self {
            connections: Vec::new(),
            poll,
            port,
            request,
            buffer: vec![0; 64 * 1024],
            ready: 0,
            closed: 0,
        };
        (0..count).try_for_each(|_| streams.connect_one())?;
        Ok(streams)
    }

    fn connect_one(&mut self) -> Result<(), String> {
        let connection = Connection::open(self.port).map_err(told)?;
        self.poll.add(&connection.socket, self.connections.len() as u64, true).map_err(told)?;
        self.connections.push(connection);
        Ok(())
    }

    /// Opens so many, with no more than some in the making, and waits until each is subscribed.
    pub fn open(
        port: u16,
        count: usize,
        at_once: usize,
        request: &'a dyn Fn(usize) -> Vec<u8>,
    ) -> Result<Self, String> {
        let started = now();
        let mut streams = Self::connect(port, count.min(at_once), request)?;
        while streams.ready < count {
            streams.read(Duration::from_millis(100), |_, _, _, _| ())?;
            if streams.closed > 0 {
                let ended =
                    |connection: &&Connection| matches!(connection.state, State::Failed | State::Done);
                let status = streams.connections.iter().find(ended).map_or(0, |connection| connection.status);
                return Err(match status {
                    404 => NO_ROUTE.to_owned(),
                    status => {
                        format!("{} of {count} streams open, then one ended, status {status}", streams.ready)
                    }
                });
            }
            while streams.connections.len() < count.min(streams.ready + at_once) {
                streams.connect_one()?;
            }
            give_up_after(started)?;
        }
        Ok(streams)
    }

    /// Waits for some of them, asks where one has become connected, else reads once: gives the stream's number, an
    /// event's own time and number, and the time.
    pub fn read(
        &mut self,
        patience: Duration,
        mut on_data: impl FnMut(usize, u64, u64, u64),
    ) -> Result<(), String> {
        for key in self.poll.wait(Some(patience)).map_err(told)? {
            let stream = key as usize;
            let connection = &mut self.connections[stream];
            let is_open = if connection.state == State::Connecting {
                self.poll.read(&connection.socket, key).map_err(told)?;
                connection.ask(&(self.request)(stream))
            } else {
                let was_ready = connection.is_subscribed;
                let is_open =
                    connection.read(&mut self.buffer, |time, index, now| on_data(stream, time, index, now));
                self.ready += usize::from(connection.is_subscribed && !was_ready);
                is_open
            };
            if !is_open || connection.state == State::Done {
                self.poll.remove(&connection.socket).map_err(told)?;
                self.closed += 1;
            }
        }
        Ok(())
    }

    pub fn sum(&self, figure: impl Fn(&Connection) -> u64) -> f64 {
        self.connections.iter().map(figure).sum::<u64>() as f64
    }
}

pub fn give_up_after(started: u64) -> Result<(), String> {
    if now() - started > LIMIT {
        return Err("not done in time".to_owned());
    }
    Ok(())
}

pub fn told(error: std::io::Error) -> String {
    error.to_string()
}
