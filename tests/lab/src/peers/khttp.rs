//! khttp: synchronous, a thread for each connection. It has no streams that wait, so it is asked for bursts and pages.

use std::io::Read;

use khttp::{ConnectionSetupAction, Headers, Method, Server, Status};

use super::{event, number, page};

/// Events one by one, as far as the reader's buffer goes.
struct Events {
    index: u64,
    count: u64,
    size: usize,
    event: Vec<u8>,
    sent: usize,
}

impl Read for Events {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut filled = 0;
        loop {
            let part = (buffer.len() - filled).min(self.event.len() - self.sent);
            buffer[filled..filled + part].copy_from_slice(&self.event[self.sent..self.sent + part]);
            self.sent += part;
            filled += part;
            if self.sent < self.event.len() || self.index == self.count {
                return Ok(filled);
            }
            self.event = event(self.index, self.size).into_bytes();
            self.sent = 0;
            self.index += 1;
        }
    }
}

pub fn serve(port: u16) -> std::io::Result<()> {
    let mut app = Server::builder(format!("127.0.0.1:{port}"))?;
    let page = page();
    app.route(Method::Get, "/", move |_, answer| answer.ok(&typed(b"text/html"), &page));
    app.route(Method::Get, "/none", |_, answer| answer.send0(&Status::of(204), Headers::empty()));
    app.route(Method::Get, "/burst", |request, answer| {
        let target = request.uri.as_str();
        let (count, size) = (number(target, "n", 1), number(target, "size", 64) as usize);
        answer.okr(&typed(b"text/event-stream"), Events { index: 0, count, size, event: Vec::new(), sent: 0 })
    });
    app.connection_setup_hook(|connection| match connection {
        Ok((stream, _)) => {
            let _ = stream.set_nodelay(true);
            ConnectionSetupAction::Proceed(stream)
        }
        Err(_) => ConnectionSetupAction::Drop,
    });
    app.thread_count(64);
    app.build().serve_threaded()
}

fn typed(media_type: &'static [u8]) -> Headers<'static> {
    let mut headers = Headers::new();
    headers.add("content-type", media_type);
    headers
}
