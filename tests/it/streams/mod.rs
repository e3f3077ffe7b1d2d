//! Event streams from outside: their heads, their bytes, their waits and their ends.
//!
//! What is about bytes runs in memory, write by write; what is about time and departure runs over TCP.

mod admission;
mod chunked;
mod departures;
mod endings;
mod handles;
mod heads;
mod heartbeats;
mod sending;
mod slow_clients;
mod waiting;
mod writing;

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::Mutex;

use brooklet::{EventConnection, EventSource, RunningHost, SendError};

use crate::memory::Memory;
use crate::notes::{noted, Notes};
use crate::patience::DEADLINE;
use crate::serving::{host, start, GET};
use crate::wire::{ask, Wire};

fn start_noted(source: EventSource) -> (RunningHost, Notes) {
    let (host, notes) = noted(host(source));
    (host.start().unwrap(), notes)
}

/// Opens a stream and reads its head.
#[track_caller]
fn open(host: &RunningHost) -> Wire {
    let mut wire = ask(host, GET);
    assert_eq!(wire.head().unwrap().status, 200);
    wire
}

/// The writes that a source makes of one request, without the one with the head and the first line. The client stays.
fn writes(source: EventSource) -> Vec<String> {
    let memory = Memory::new([GET]).serve(&host(source));
    let texts = memory.writes().into_iter().map(|write| String::from_utf8(write).unwrap());
    let mut texts: Vec<_> = texts.collect();
    let first = texts.remove(0);
    let (_, first_line) = first.split_once("\r\n\r\n").expect("the head is the first write");
    assert!(first_line.starts_with("retry: ") && first_line.lines().count() == 1, "{first_line:?}");
    texts
}

/// A source whose generator says what it has found, for the test to judge on its own thread.
fn telling<T: Send + 'static>(
    generate: impl Fn(&mut EventConnection<'_>) -> T + Send + Sync + 'static,
) -> (EventSource, Told<T>) {
    let (sender, receiver) = mpsc::sync_channel(100);
    let source = EventSource::new(move |connection| {
        let found = generate(connection);
        tell(&sender, found);
        Ok(())
    });
    (source, Told(Mutex::new(receiver)))
}

fn tell<T>(sender: &SyncSender<T>, found: T) {
    sender.try_send(found).map_err(|_| "nobody listens").unwrap();
}

struct Told<T>(Mutex<Receiver<T>>);

impl<T> Told<T> {
    #[track_caller]
    fn next(&self) -> T {
        self.0.lock().unwrap().recv_timeout(DEADLINE).expect("the generator tells what it found")
    }
}

/// A receiver whose sender lives on, and never sends.
fn endless() -> Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    std::mem::forget(sender);
    receiver
}

/// Why the stream was over for a generator.
#[track_caller]
fn reason<T: std::fmt::Debug>(result: Result<T, SendError>) -> brooklet::CloseReason {
    match result {
        Err(SendError::Closed(reason)) => reason,
        other => panic!("the stream is not over: {other:?}"),
    }
}
