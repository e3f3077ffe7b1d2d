//! What happens while somebody visits the followers of a channel: a socket of the user's own shows it.

use super::valve::Valve;
use super::{patient_for, GET};
use crate::patience::{eventually, LONG};
use crate::sse::Parser;
use brooklet::{Channel, CloseReason, Control, Event, EventSource, Host, Socket};
use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A socket that does something else before each read or write.
struct Hooked<S, R, W>(S, R, W);

impl<S: Socket, R: Fn() + Send + Sync, W: Fn() + Send + Sync> Socket for Hooked<S, R, W> {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.1)();
        self.0.read(buffer)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (self.2)();
        self.0.write(bytes)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_write_timeout(timeout)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}

/// Has a request for a channel served on this thread, until its stream is handed over.
fn follow(
    channel: &Channel,
    control: &Control,
    on_read: impl Fn() + Send + Sync + 'static,
    on_write: impl Fn() + Send + Sync + 'static,
) -> Valve {
    let valve = Valve::new(GET);
    let source = EventSource::channel(channel).keep_alive(LONG);
    let host = Host::new(source).limits(patient_for(LONG)).control(control);
    host.serve(Hooked(valve.host_end(), on_read, on_write));
    valve
}

/// Of events that leave while a follower is being told of others that have left, it is told once.
#[test]
fn what_leaves_meanwhile() {
    let channel = Channel::setup().history_events(1).open();
    let publish = |channel: &Channel| {
        let text = "x".repeat(1024);
        (0..400).for_each(|_| drop(channel.publish(Event::new(&text)).unwrap()));
    };
    let is_armed = Arc::new(AtomicBool::new(false));
    let client = follow(&channel, &Control::new(), || {}, {
        let (channel, is_armed) = (channel.clone(), Arc::clone(&is_armed));
        move || {
            if is_armed.swap(false, Ordering::SeqCst) {
                publish(&channel);
                channel.publish(Event::new("last")).unwrap();
            }
        }
    });
    client.take(3);
    channel.publish(Event::new("first")).unwrap();
    client.until("it has a part of it", |state| state.room == 0);
    publish(&channel);
    for _ in 0..2 {
        let refusals = client.state().refusals;
        client.until("another attempt", |state| state.refusals > refusals);
    }
    client.state().room = usize::MAX;
    is_armed.store(true, Ordering::SeqCst);
    client.until("all", |state| state.ends_with("data: last\n\n"));
    let mut seen = 0;
    for message in Parser::read(client.text()).messages {
        let sequence: u64 = message.last_event_id.rsplit('-').next().unwrap().parse().unwrap();
        let missed = sequence - seen;
        match &*message.event_type {
            "reset" => assert_eq!(message.data, format!("{{\"reason\":\"lagged\",\"missed\":{missed}}}")),
            _ => assert_eq!(missed, 1, "{}", message.data.len()),
        }
        seen = sequence;
    }
    assert_eq!(seen, 802);
    client.leave();
}

/// A socket that panics is the end of its connection, and of nothing else: whether it is read or written to, and whether a
/// writer does that or a publisher.
#[test]
fn a_socket_that_panics() {
    let (channel, control) = (Channel::new(), Control::new());
    let [reading, writing] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let fuse = |is_lit: &Arc<AtomicBool>| {
        let is_lit = Arc::clone(is_lit);
        move || assert!(!is_lit.load(Ordering::SeqCst), "on purpose")
    };
    let read = follow(&channel, &control, fuse(&reading), || {});
    let others = [(); 2].map(|()| follow(&channel, &control, || {}, || {}));
    for count in 1..=20 {
        let written = follow(&channel, &control, || {}, fuse(&writing));
        written.until("the greeting", |state| state.ends_with("\n\n"));
        writing.store(true, Ordering::SeqCst);
        channel.publish(Event::new(count)).unwrap();
        written.until("its end", |state| state.is_closed);
        writing.store(false, Ordering::SeqCst);
    }
    reading.store(true, Ordering::SeqCst);
    read.until("its end", |state| state.is_closed);
    eventually("two are left", || channel.subscribers() == 2);
    eventually("the others are counted", || control.stats().ended_by(CloseReason::Panicked) == 21);
    channel.publish(Event::new("on")).unwrap();
    for client in &others {
        client.until("all", |state| state.ends_with("data: on\n\n"));
        assert_eq!(client.text().matches("data: ").count(), 21);
        client.leave();
    }
}

/// Followers that a publisher serves when their host stops are told when it is done, and nobody spins until then.
#[test]
fn a_stop_while_a_publisher_writes() {
    let (stopped, other) = (Channel::new(), Channel::new());
    let (control, others) = (Control::new(), Control::new());
    let reads = Arc::new(AtomicUsize::new(0));
    let clients = [(); 16].map(|()| {
        let reads = Arc::clone(&reads);
        follow(&other, &others, move || _ = reads.fetch_add(1, Ordering::SeqCst), || {})
    });
    let is_armed = Arc::new(AtomicBool::new(false));
    let (entered, is_entered) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let (entered, is_released) = (Mutex::new(entered), Mutex::new(is_released));
    let client = follow(&stopped, &control, || {}, {
        let is_armed = Arc::clone(&is_armed);
        move || {
            if is_armed.swap(false, Ordering::SeqCst) {
                entered.lock().unwrap().send(thread::current().id()).unwrap();
                let _ = is_released.lock().unwrap().recv();
            }
        }
    });
    client.until("the greeting", |state| state.ends_with("\n\n"));
    // Until it is a publisher that writes: it leaves to the writers who was written to just now.
    let (mut publisher, mut number) = (None, 0);
    while publisher.is_none() {
        number += 1;
        is_armed.store(true, Ordering::SeqCst);
        let published = stopped.clone();
        let thread = thread::spawn(move || drop(published.publish(Event::new(number)).unwrap()));
        match is_entered.recv_timeout(LONG).unwrap() == thread.thread().id() {
            true => publisher = Some(thread),
            false => {
                release.send(()).unwrap();
                thread.join().unwrap();
                client.until("the event", |state| state.ends_with(&format!("data: {number}\n\n")));
            }
        }
    }
    control.request_stop();
    let before = reads.load(Ordering::SeqCst);
    for number in 0..1000 {
        other.publish(Event::new(number)).unwrap();
        for client in &clients {
            client.until("the event", |state| state.ends_with(&format!("data: {number}\n\n")));
        }
    }
    let looks = (reads.load(Ordering::SeqCst) - before) / clients.len();
    drop(release);
    client.until("the end", |state| state.is_closed);
    publisher.unwrap().join().unwrap();
    assert!(looks < 100, "each was looked after {looks} times"); // which is once in a second
    clients.iter().for_each(Valve::leave);
}
