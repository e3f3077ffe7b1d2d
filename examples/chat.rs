//! Rooms to talk in: topics of one channel, so that one stream follows as many of them as somebody likes.
//!
//! Run `cargo run --example chat` and open <http://127.0.0.1:8080> in two windows, or on one of them
//! <http://127.0.0.1:8080/#tea>, which is another room; `--help` names the options. Nobody is asked who they are: it is
//! a chat among friends.
//!
//! ```text
//! curl -N 'localhost:8080/rooms/tea?name=Ada'                   what is said, and who is there: Ada, too
//! curl -N 'localhost:8080/rooms/tea,den?name=Ada'               the same of two rooms
//! curl    localhost:8080/rooms/tea -d name=Bob -d text=hello    say something, as a form, …
//! curl    localhost:8080/rooms/tea -H 'Content-Type: application/json' -d '{"name":"Bob","text":"hello"}'
//! curl    localhost:8080/rooms                                  the rooms, and how many are in them
//! curl -i localhost:8080/rooms/tea -d text=hello                400, and what is missing
//! ```
//!
//! A stream begins with an event `who` for each of its rooms: who is there. Then comes what was said there before, as far
//! as it is remembered, and what is said from now on, and `who` whenever somebody has joined or left. With an id that was
//! sent, as in `-H 'Last-Event-ID: …'`, it goes on after that event instead; with one of before a restart there is a
//! `reset`, and then what is remembered.
//!
//! What is remembered is the channel's history, of all rooms together; the events `who` count in it too, so where many
//! come and go less is remembered of what was said. A room is nothing but a name that somebody has written to.

mod cli;
mod json;
mod names;

use std::collections::{BTreeMap, VecDeque};
use std::convert::identity;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;
use std::{iter, thread};

use brooklet::{
    json_object, Channel, Content, Event, EventConnection, EventSource, Handler, Host, Layout, Limits,
    Presence, Request, Response, Status,
};
use json::Json;
use names::is_name;

/// How many rooms the list has: those that were written in last.
const MAX_ROOMS: usize = 100;
/// How many rooms one stream may follow.
const MAX_FOLLOWED: usize = 50;
/// How much of all rooms is remembered, …
const HISTORY: u64 = 4096;
/// … and how much memory that may take.
const HISTORY_BYTES: u64 = 4 * 1024 * 1024;

/// In characters, of rooms and of people.
const MAX_NAME: usize = 40;
const MAX_TEXT: usize = 2000;
/// A character may take twelve bytes of JSON or of a form.
const MAX_BODY: u64 = 32 * 1024;

fn main() -> brooklet::Result {
    let cli = cli::Cli::read("chat [OPTIONS] [PORT]", "Rooms to talk in, for friends.", &[]);
    let house = House::open()?;
    let stream = EventSource::new({
        let house = Arc::clone(&house);
        move |connection| house.follow(connection)
    });
    let app = Layout::new()
        .index(Content::html(include_str!("chat.html")))
        .add("shared.js", Content::event_source_script())
        .add("rooms", move |request: Request| house.answer(request, &stream).unwrap_or_else(identity));
    let limits = Limits::default().max_body(MAX_BODY);
    Ok(cli.apply(Host::new(app)).limits(limits).defaults().development().console().run()?)
}

struct House {
    /// What is said, and who is there: the topic is the room.
    channel: Channel,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many streams each has open, by room and name.
    here: BTreeMap<(String, String), i32>,
    /// The rooms that were written in, the last one first.
    written: VecDeque<String>,
}

struct Who<'a> {
    room: &'a str,
    who: Vec<String>,
}
json_object!(Who<'_> { room, who });

impl House {
    fn open() -> std::io::Result<Arc<Self>> {
        let channel = Channel::setup()
            .history_events(HISTORY)
            .history_bytes(HISTORY_BYTES)
            .replay(u64::MAX) // to those who are fresh, of their rooms
            .open();
        let changes = channel.presence();
        let house = Arc::new(Self { channel, state: Mutex::default() });
        let noted = Arc::clone(&house);
        thread::Builder::new().name(String::from("porter")).spawn(move || {
            while let Ok(change) = changes.recv() {
                // After a restart all come back at once: that is one piece of news.
                noted.note(iter::once(change).chain(changes.try_iter()));
            }
        })?;
        Ok(house)
    }

    /// The answer, or the refusal.
    fn answer(&self, request: Request, stream: &EventSource) -> Result<Response, Response> {
        let segments: Vec<_> = request.target().segments().collect();
        let rooms = match *segments {
            [] => return self.list(&request),
            [rooms] => rooms,
            _ => return Err(Response::error(Status::NOT_FOUND)),
        };
        if !rooms.split(',').all(is_room_name) {
            return Err(bad("a room's name is 1 to 40 letters, digits, - and _"));
        }
        match request.method() {
            "GET" | "HEAD" => {
                if matches!(request.query("name"), Some(name) if !is_name(name, MAX_NAME)) {
                    return Err(bad(NAMES));
                }
                if rooms.split(',').count() > MAX_FOLLOWED {
                    return Err(bad("a stream follows 50 rooms at most"));
                }
                Ok(stream.handle(request))
            }
            "POST" if rooms.contains(',') => Err(bad("to write is to write in one room")),
            "POST" => {
                self.say(Message::read(rooms, &request)?);
                Ok(Response::new(Status::NO_CONTENT))
            }
            other => Err(Response::method_not_allowed(other, "GET, HEAD, POST")),
        }
    }

    /// A line for each room that was written in: its name, and how many are there.
    fn list(&self, request: &Request) -> Result<Response, Response> {
        match request.method() {
            "GET" | "HEAD" => {}
            other => return Err(Response::method_not_allowed(other, "GET, HEAD")),
        }
        let state = self.state();
        let mut rooms: Vec<_> = state.written.iter().collect();
        rooms.sort_unstable();
        let line = |room: &String| format!("{room} {}\n", state.who(room).who.len());
        Ok(Response::text(rooms.into_iter().map(line).collect::<String>()))
    }

    /// Who is there is told before the stream follows: what changes meanwhile is among what is remembered.
    fn follow(&self, connection: &mut EventConnection) -> brooklet::Result {
        let rooms: Vec<_> = rooms(connection.request()).map(str::to_owned).collect();
        for room in &rooms {
            let who = self.state().who(room);
            connection.event("who", who)?;
        }
        Ok(connection.follow_topics(&self.channel, rooms)?)
    }

    fn say(&self, message: Message) {
        let event = Event::new(&message).topic(&*message.room);
        self.channel.publish(event).expect("it has no type, and nobody closes");
        let written = &mut self.state().written;
        written.retain(|room| *room != message.room);
        written.push_front(message.room);
        written.truncate(MAX_ROOMS);
    }

    /// Keeps the list of who is there, and tells everybody in a room when it is another.
    fn note(&self, changes: impl Iterator<Item = Presence>) {
        let mut state = self.state();
        let mut before = BTreeMap::new();
        for change in changes {
            let (request, step) = match &change {
                Presence::Joined { request, .. } => (request, 1),
                Presence::Left { request, .. } => (request, -1),
                _ => continue,
            };
            // Without a name you may listen, but are not there.
            if let Some(name) = request.query("name") {
                for room in rooms(request) {
                    before.entry(room.to_owned()).or_insert_with(|| state.who(room).who);
                    *state.here.entry((room.to_owned(), name.to_owned())).or_default() += step;
                }
            }
        }
        state.here.retain(|_, streams| *streams > 0);
        for (room, before) in before {
            let who = state.who(&room);
            if who.who != before {
                let event = Event::new(who).event_type("who").topic(&*room);
                self.channel.publish(event).expect("the type is one line, and nobody closes");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics in here")
    }
}

impl State {
    fn who<'a>(&self, room: &'a str) -> Who<'a> {
        let from = (room.to_owned(), String::new());
        let here = self.here.range(from..).take_while(|((at, _), _)| at == room);
        Who { room, who: here.map(|((_, name), _)| name.clone()).collect() }
    }
}

/// The rooms that a stream is to follow.
fn rooms(request: &Request) -> impl Iterator<Item = &str> {
    request.target().segments().flat_map(|rooms| rooms.split(','))
}

struct Message {
    room: String,
    name: String,
    text: String,
    time: SystemTime,
}
json_object!(Message { room, name, text, time });

impl Message {
    /// From a form, or from JSON.
    fn read(room: &str, request: &Request) -> Result<Self, Response> {
        let media_type = request.header("Content-Type").and_then(|value| value.split(';').next());
        let (name, text) = match media_type {
            Some(json) if json.trim().eq_ignore_ascii_case("application/json") => {
                let wrong = || bad("this is no JSON object of strings");
                let json = std::str::from_utf8(request.body()).ok().and_then(|text| Json::read(text).ok());
                let object = json.and_then(Json::object).ok_or_else(wrong)?;
                let member = |name| match object.get(name) {
                    Some(value) => value.string().ok_or_else(wrong),
                    None => Ok(String::new()),
                };
                (member("name")?, member("text")?)
            }
            _ => {
                let form = request.form();
                let field = |name| String::from(form.get(name).unwrap_or_default());
                (field("name"), field("text"))
            }
        };
        let (name, text) = (name.trim(), text.trim());
        if !is_name(name, MAX_NAME) {
            return Err(bad(NAMES));
        }
        if !(1..=MAX_TEXT).contains(&text.chars().count()) {
            return Err(bad("a text, the member or field `text`, has 1 to 2000 characters"));
        }
        let [room, name, text] = [room, name, text].map(str::to_owned);
        Ok(Self { room, name, text, time: SystemTime::now() })
    }
}

const NAMES: &str =
    "your name, the member or field `name`, is one line of 1 to 40 characters that can be seen";

fn is_room_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed)
}

fn bad(sentence: &str) -> Response {
    Response::explain(Status::BAD_REQUEST, sentence)
}
