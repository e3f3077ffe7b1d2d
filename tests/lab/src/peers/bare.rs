//! A thread for each connection that reads, sleeps and writes, and judges nothing: the least that a stream with a clock
//! of its own can cost on threads.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{event, number, target, Answers, STREAM};

const STACK: usize = 64 * 1024;

pub fn serve(port: u16) -> std::io::Result<()> {
    let answers = Arc::new(Answers::new());
    for stream in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let (stream, answers) = (stream?, Arc::clone(&answers));
        stream.set_nodelay(true)?;
        // One that leaves is an error of its own thread.
        thread::Builder::new().stack_size(STACK).spawn(move || answer_all(stream, &answers))?;
    }
    Ok(())
}

fn answer_all(mut stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let target = target(&buffer[..count]);
        if target.starts_with("/ticks") {
            let pause = Duration::from_millis(number(target, "ms", 100));
            let size = number(target, "size", 64) as usize;
            stream.write_all(STREAM.as_bytes())?;
            for index in 0.. {
                thread::sleep(pause);
                stream.write_all(event(index, size).as_bytes())?;
            }
        } else if target.starts_with("/idle") {
            stream.write_all(STREAM.as_bytes())?; // and the next read waits until the client leaves
        } else {
            stream.write_all(answers.of(target).as_bytes())?;
        }
    }
}
