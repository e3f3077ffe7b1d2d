//! Bytes made beforehand, written by one thread that waits for all sockets: the least that a server can do here.
//!
//! Events of a channel are written to one subscriber after the other, each by itself where they come at a rate, else 64
//! in one write. A burst is encoded once, and written as far as its socket takes it, again and again.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{event, number, target, Answers, STREAM};
use crate::poll::Poll;

const LISTENER: u64 = 0;
const BATCH: u64 = 64;

pub fn serve(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    rustix::net::listen(&listener, 4096)?;
    let mut poll = Poll::new()?;
    poll.add(&listener, LISTENER, false)?;
    let answers = Answers::new();
    let (mut streams, mut last) = (HashMap::new(), LISTENER);
    let mut under_way: HashMap<u64, (Arc<TcpStream>, Arc<String>, usize)> = HashMap::new();
    let mut subscribers: Vec<Arc<TcpStream>> = Vec::new();
    let mut bursts = HashMap::new();
    let mut buffer = [0; 4096];
    loop {
        for key in poll.wait(None)? {
            if key == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                last += 1;
                poll.add(&stream, last, false)?;
                streams.insert(last, Arc::new(stream));
                continue;
            }
            if let Some((stream, bytes, done)) = under_way.get_mut(&key) {
                match (&**stream).write(&bytes.as_bytes()[*done..]) {
                    Ok(count) if *done + count < bytes.len() => *done += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    _ => drop(under_way.remove(&key)), // it is whole, or its client has left
                }
                continue;
            }
            let Some(stream) = streams.get(&key) else { continue };
            let mut socket = &**stream;
            let count = socket.read(&mut buffer).unwrap_or(0);
            let target = target(&buffer[..count]);
            let path = target.split('?').next().unwrap_or_default();
            let size = number(target, "size", 64) as usize;
            // Sockets block as long as what they are sent is small, or their writer may wait.
            let written = match path {
                _ if count == 0 => {
                    streams.remove(&key);
                    continue;
                }
                "/idle" => socket.write_all(STREAM.as_bytes()),
                "/fan" => {
                    subscribers.push(Arc::clone(stream));
                    socket.write_all(STREAM.as_bytes())
                }
                "/publish" => {
                    let (count, rate) = (number(target, "n", 1), number(target, "rate", 0));
                    let subscribers = subscribers.clone();
                    thread::spawn(move || publish(&subscribers, count, rate, size));
                    socket.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                }
                "/burst" => {
                    let count = number(target, "n", 1);
                    let make = || {
                        let events: String = (0..count).map(|index| event(index, size)).collect();
                        Arc::new(STREAM.to_owned() + &events)
                    };
                    let bytes = Arc::clone(bursts.entry((count, size)).or_insert_with(make));
                    // What its socket takes at once goes now, without another look at all of them.
                    let stream = streams.remove(&key).expect("it was just there");
                    stream.set_nonblocking(true)?;
                    let done = (&*stream).write(bytes.as_bytes()).unwrap_or(0);
                    if done < bytes.len() {
                        poll.write(&stream, key)?;
                        under_way.insert(key, (stream, bytes, done));
                    }
                    continue;
                }
                target => socket.write_all(answers.of(target).as_bytes()),
            };
            if written.is_err() {
                streams.remove(&key);
            }
        }
    }
}

fn publish(subscribers: &[Arc<TcpStream>], count: u64, rate: u64, size: usize) {
    let started = Instant::now();
    let at_once = if rate == 0 { BATCH } else { 1 };
    let mut index = 0;
    while index < count {
        if let Some(interval) = Duration::from_secs(1).checked_div(rate as u32) {
            thread::sleep((started + interval * index as u32).saturating_duration_since(Instant::now()));
        }
        let end = count.min(index + at_once);
        let events: String = (index..end).map(|index| event(index, size)).collect();
        for subscriber in subscribers {
            let _ = (&**subscriber).write_all(events.as_bytes()); // one that has left
        }
        index = end;
    }
}
