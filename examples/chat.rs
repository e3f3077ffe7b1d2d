//! Rooms to talk in. Each is a channel, and stays if somebody has written there.
//!
//! Run `cargo run --example chat` and open <http://127.0.0.1:8080> in two windows, or on one of them
//! <http://127.0.0.1:8080/#tea>, which is another room; `--help` names the options. Nobody is asked who they are: it is
//! a chat among friends.
//!
//! ```text
//! curl -N 'localhost:8080/rooms/tea?name=Ada'                   what is said, and who is there: Ada, too
//! curl    localhost:8080/rooms/tea -d name=Bob -d text=hello    say something, as a form, …
//! curl    localhost:8080/rooms/tea -H 'Content-Type: application/json' -d '{"name":"Bob","text":"hello"}'
//! curl    localhost:8080/rooms                                  the rooms, and how many are in them
//! curl -i localhost:8080/rooms/tea -d text=hello                400, and what is missing
//! ```
//!
//! A stream begins with an event `room`, the room's snapshot: who is there, and what was said last. After it come
//! messages, and `who` whenever somebody has joined or left. With an id that was sent, as in
//! `-H 'Last-Event-ID: …'`, it begins after that event instead; with one of before a restart by a `reset`, and then
//! the snapshot.
//!
//! A browser has six connections for each server: one that shows more rooms at once than five has none left to
//! send with.

mod cli;
mod json;
mod names;

use std::collections::{BTreeMap, VecDeque};
use std::convert::identity;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};
use std::{iter, thread};

use brooklet::{
    json_object, Channel, Content, Event, EventSource, Handler, Host, Layout, Limits, Presence, Request,
    Response, StartError, Status,
};
use json::Json;
use names::is_name;

const MAX_ROOMS: usize = 100;
/// A room that nobody has used for so long makes place for another, where there is none left.
const IDLE: Duration = Duration::from_secs(10 * 60);
/// How much was said before you came.
const REMEMBERED: usize = 100;

/// In characters, of rooms and of people.
const MAX_NAME: usize = 40;
const MAX_TEXT: usize = 2000;
/// A character may take twelve bytes of JSON or of a form.
const MAX_BODY: u64 = 32 * 1024;

fn main() -> Result<(), StartError> {
    let cli = cli::Cli::read("chat [OPTIONS] [PORT]", "Rooms to talk in, for friends.", &[]);
    let house = House::default();
    let app = Layout::new()
        .index(Content::html(include_str!("chat.html")))
        .add("rooms", move |request: Request| house.answer(request).unwrap_or_else(identity));
    cli.apply(Host::new(app))
        .limits(Limits::default().max_body(MAX_BODY))
        .defaults()
        .development()
        .console()
        .run()
}

#[derive(Default)]
struct House {
    rooms: Mutex<BTreeMap<String, Arc<Room>>>,
}

impl House {
    /// The answer, or the refusal.
    fn answer(&self, request: Request) -> Result<Response, Response> {
        let segments: Vec<_> = request.target().segments().collect();
        let name = match *segments {
            [] => return self.list(&request),
            [name] => name,
            _ => return Err(Response::error(Status::NOT_FOUND)),
        };
        if !is_room_name(name) {
            return Err(bad("a room's name is 1 to 40 letters, digits, - and _"));
        }
        match request.method() {
            "GET" | "HEAD" => {
                if matches!(request.query("name"), Some(name) if !is_name(name, MAX_NAME)) {
                    return Err(bad(NAMES));
                }
                Ok(follow(self.room(name, Purpose::Listen)?).handle(request))
            }
            "POST" => {
                let message = Message::read(&request)?;
                self.room(name, Purpose::Write)?.say(message);
                Ok(Response::new(Status::NO_CONTENT))
            }
            other => Err(Response::method_not_allowed(other, "GET, HEAD, POST")),
        }
    }

    /// A line for each room: its name, and how many are there.
    fn list(&self, request: &Request) -> Result<Response, Response> {
        match request.method() {
            "GET" | "HEAD" => {}
            other => return Err(Response::method_not_allowed(other, "GET, HEAD")),
        }
        let line = |(name, room): (&String, &Arc<Room>)| {
            let talk = room.talk();
            talk.is_kept.then(|| format!("{name} {}\n", talk.who.len()))
        };
        Ok(Response::text(self.rooms().iter().filter_map(line).collect::<String>()))
    }

    /// Who listens in a room that nobody has written in has it as long as they are there, and nobody else sees it: to
    /// ask for something is not to make it.
    fn room(&self, name: &str, purpose: Purpose) -> Result<Arc<Room>, Response> {
        let mut rooms = self.rooms();
        let known = rooms.get(name).map(Arc::clone);
        if let Some(room) = &known {
            if purpose == Purpose::Listen || room.talk().is_kept {
                return Ok(Arc::clone(room));
            }
        }
        rooms.retain(|_, room| !room.is_deserted() || room.talk().is_kept);
        let full = || Response::explain(Status::SERVICE_UNAVAILABLE, "all rooms are taken; join one of them");
        let kept = rooms.values().filter(|room| room.talk().is_kept).count();
        match purpose {
            Purpose::Write if kept >= MAX_ROOMS => {
                let idle = rooms.iter().find(|(_, room)| room.is_idle()).map(|(name, _)| name.clone());
                rooms.remove(&idle.ok_or_else(full)?);
            }
            Purpose::Listen if rooms.len() - kept >= MAX_ROOMS => return Err(full()),
            _ => {}
        }
        let room = match known {
            Some(room) => room,
            None => Room::open().map_err(|_| full())?, // without a thread there is no room, either
        };
        room.talk().is_kept = purpose == Purpose::Write;
        rooms.insert(name.to_owned(), Arc::clone(&room));
        Ok(room)
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Room>>> {
        self.rooms.lock().expect("nobody panics in here")
    }
}

/// What somebody wants in a room.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    Listen,
    Write,
}

/// Made for one request. It holds the room until the client is counted among its subscribers, so that the room
/// cannot be given away in between.
fn follow(room: Arc<Room>) -> EventSource {
    EventSource::new(move |connection| Ok(connection.follow(&room.channel)?))
}

struct Room {
    channel: Channel,
    talk: Arc<Mutex<Talk>>,
}

/// What a newcomer has to know.
struct Talk {
    /// How many streams each of them has open.
    who: BTreeMap<String, i32>,
    /// What was said last, with the ids of its events: by them a page sees what it has already.
    said: VecDeque<(String, Message)>,
    last_used: Instant,
    /// Whether somebody has written here.
    is_kept: bool,
}

struct Snapshot {
    who: Vec<String>,
    said: VecDeque<(String, Message)>,
}
json_object!(Snapshot { who, said });

impl Room {
    fn open() -> std::io::Result<Arc<Self>> {
        let talk = Arc::new(Mutex::new(Talk {
            who: BTreeMap::new(),
            said: VecDeque::new(),
            last_used: Instant::now(),
            is_kept: false,
        }));
        let channel = Channel::setup()
            .history_events(500)
            .history_bytes(256 * 1024)
            .snapshot({
                let talk = Arc::clone(&talk);
                move || {
                    let talk = talk.lock().expect("nobody panics in here");
                    let snapshot =
                        Snapshot { who: talk.who.keys().cloned().collect(), said: talk.said.clone() };
                    Event::new(snapshot).event_type("room")
                }
            })
            .open();
        let changes = channel.presence();
        let room = Arc::new(Self { channel, talk });
        let porter = Arc::downgrade(&room);
        // Its end comes with the end of the channel, which this thread must not hold therefore.
        thread::Builder::new().name(String::from("porter")).spawn(move || {
            while let Ok(change) = changes.recv() {
                // After a restart all come back at once: that is one piece of news.
                if let Some(room) = porter.upgrade() {
                    room.note(iter::once(change).chain(changes.try_iter()));
                }
            }
        })?;
        Ok(room)
    }

    fn say(&self, message: Message) {
        // Locked until it is remembered, so that what is remembered has the channel's order.
        let mut talk = self.talk();
        let published =
            self.channel.publish(Event::new(&message)).expect("it has no type, and nobody closes");
        talk.said.push_back((published.id, message));
        if talk.said.len() > REMEMBERED {
            talk.said.pop_front();
        }
        talk.last_used = Instant::now();
    }

    /// Keeps the list of who is there, and tells everybody when it is another.
    fn note(&self, changes: impl Iterator<Item = Presence>) {
        let mut talk = self.talk();
        talk.last_used = Instant::now();
        let before: Vec<_> = talk.who.keys().cloned().collect();
        for change in changes {
            let (request, step) = match &change {
                Presence::Joined { request, .. } => (request, 1),
                Presence::Left { request, .. } => (request, -1),
                _ => continue,
            };
            // Without a name you may listen, but are not there.
            if let Some(name) = request.query("name") {
                *talk.who.entry(name.to_owned()).or_default() += step;
            }
        }
        talk.who.retain(|_, streams| *streams > 0);
        if !talk.who.keys().eq(&before) {
            let who: Vec<_> = talk.who.keys().collect();
            let event = Event::new(who).event_type("who");
            self.channel.publish(event).expect("the type is one line, and nobody closes");
        }
    }

    /// Whether nobody is here, or on the way here.
    fn is_deserted(self: &Arc<Self>) -> bool {
        // One is the house's. More are only made by asking the house, which is locked now.
        Arc::strong_count(self) == 1 && self.channel.subscribers() == 0
    }

    /// Whether nobody has been here for long.
    fn is_idle(self: &Arc<Self>) -> bool {
        self.is_deserted() && self.talk().last_used.elapsed() > IDLE
    }

    fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().expect("nobody panics in here")
    }
}

#[derive(Clone)]
struct Message {
    name: String,
    text: String,
    time: SystemTime,
}
json_object!(Message { name, text, time });

impl Message {
    /// From a form, or from JSON.
    fn read(request: &Request) -> Result<Self, Response> {
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
        Ok(Self { name: name.to_owned(), text: text.to_owned(), time: SystemTime::now() })
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
