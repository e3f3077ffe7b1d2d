//! axum on tokio's threads: its own event streams, tokio's `broadcast`, all defaults.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::axum::extract::{Path, Query, State};
use ::axum::http::StatusCode;
use ::axum::response::sse::{Event, KeepAlive, Sse};
use ::axum::response::Html;
use ::axum::routing::{get, post};
use ::axum::Router;
use futures_util::{stream, Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::{sleep, sleep_until, Instant};
use tokio_stream::wrappers::BroadcastStream;

use super::{data, page};

const CAPACITY: usize = 1024;
const ROOM_CAPACITY: usize = 64;

type Numbers = Query<HashMap<String, u64>>;
type Streamed = Result<Event, Infallible>;

#[derive(Clone)]
struct Message {
    index: u64,
    data: Arc<str>,
}

#[derive(Clone)]
struct App {
    page: Arc<str>,
    news: Sender<Message>,
    rooms: Arc<Mutex<BTreeMap<u64, Sender<Message>>>>,
}

pub fn serve(port: u16) -> std::io::Result<()> {
    let app = App { page: page().into(), news: broadcast::channel(CAPACITY).0, rooms: Arc::default() };
    let routes = Router::new()
        .route("/", get(|State(app): State<App>| async move { Html(app.page.to_string()) }))
        .route("/none", get(|| async { StatusCode::NO_CONTENT }))
        .route("/burst", get(burst))
        .route("/ticks", get(ticks))
        .route("/idle", get(|| async { stream(stream::pending()) }))
        .route("/fan", get(|State(app): State<App>| async move { follow(app.news.subscribe()) }))
        .route("/publish", post(publish))
        .route("/rooms/{number}", get(room))
        .route("/publish-rooms", post(publish_to_rooms))
        .route("/topics/{number}", get(room))
        .route("/publish-topics", post(publish_to_rooms))
        .with_state(app);
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        ::axum::serve(listener, routes).await
    })
}

fn number(query: &Numbers, name: &str, default: u64) -> u64 {
    query.get(name).copied().unwrap_or(default)
}

fn tick(index: u64, data: impl AsRef<str>) -> Streamed {
    Ok(Event::default().id(index.to_string()).event("tick").data(data))
}

/// A comment at once, which says: you are subscribed; then these events.
fn stream(events: impl Stream<Item = Streamed> + Send + 'static) -> Sse<impl Stream<Item = Streamed>> {
    let hi = stream::once(async { Ok(Event::default().comment("hi")) });
    Sse::new(hi.chain(events)).keep_alive(KeepAlive::default())
}

fn follow(receiver: Receiver<Message>) -> Sse<impl Stream<Item = Streamed>> {
    // Whoever is too slow for the broadcast has lost what an error stands for.
    let messages = BroadcastStream::new(receiver).filter_map(|message| async { message.ok() });
    stream(messages.map(|message| tick(message.index, &*message.data)))
}

async fn burst(query: Numbers) -> Sse<impl Stream<Item = Streamed>> {
    let (count, size) = (number(&query, "n", 1), number(&query, "size", 64) as usize);
    Sse::new(stream::iter((0..count).map(move |index| tick(index, data(index, size)))))
}

async fn ticks(query: Numbers) -> Sse<impl Stream<Item = Streamed>> {
    let (pause, size) = (number(&query, "ms", 100), number(&query, "size", 64) as usize);
    stream(stream::unfold(0, move |index| async move {
        sleep(Duration::from_millis(pause)).await;
        Some((tick(index, data(index, size)), index + 1))
    }))
}

/// A broadcast for each room, made when somebody comes.
async fn room(State(app): State<App>, Path(number): Path<u64>) -> Sse<impl Stream<Item = Streamed>> {
    let open = || broadcast::channel(ROOM_CAPACITY).0;
    follow(app.rooms.lock().expect("nothing panics with it").entry(number).or_insert_with(open).subscribe())
}

async fn publish(State(app): State<App>, query: Numbers) -> StatusCode {
    let (count, rate, size) = (number(&query, "n", 1), number(&query, "rate", 0), number(&query, "size", 64));
    accepted(async move {
        let started = Instant::now();
        for index in 0..count {
            if let Some(interval) = Duration::from_secs(1).checked_div(rate as u32) {
                sleep_until(started + interval * index as u32).await;
            } else if app.news.len() > CAPACITY - 128 {
                // A broadcast holds nobody back: its length is watched, so that nobody loses anything.
                while app.news.len() > CAPACITY / 2 {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            let _ = app.news.send(Message { index, data: data(index, size as usize).into() });
            // nobody may be there
        }
    })
}

async fn publish_to_rooms(State(app): State<App>, query: Numbers) -> StatusCode {
    let (count, rate, size) = (number(&query, "n", 1), number(&query, "rate", 1), number(&query, "size", 64));
    let rooms: Vec<_> = app.rooms.lock().expect("nothing panics with it").values().cloned().collect();
    accepted(async move {
        let interval = Duration::from_secs(1) / (rate.max(1) * rooms.len().max(1) as u64) as u32;
        let mut due = Instant::now();
        for index in 0..count {
            for room in &rooms {
                // A timer of tokio's is up to a millisecond late: those that are due go without one.
                if due > Instant::now() {
                    sleep_until(due).await;
                }
                let _ = room.send(Message { index, data: data(index, size as usize).into() });
                due += interval;
            }
        }
    })
}

fn accepted(publishing: impl Future<Output = ()> + Send + 'static) -> StatusCode {
    tokio::spawn(publishing);
    StatusCode::ACCEPTED
}
