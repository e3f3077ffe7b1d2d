//! Thousands of interleavings of everything that can happen to a channel, judged by a plain model.
//!
//! Clients are in memory, and joining runs on the test's own thread, so that the position of each is known. Writers
//! run beside it as they like: what a client gets must not depend on that.

use super::latest::Latest;
use super::model::{Client, Model, Seen};
use super::valve::Valve;
use super::{epoch, get_after, GET};
use crate::patience::{Gate, DEADLINE, LONG};
use crate::random::Random;
use brooklet::{Channel, Event, EventConnection, EventSource, Host};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// One run: a channel that is set up by chance, and some dozens of things that happen to it.
struct Run {
    random: Random,
    model: Model,
    channel: Channel,
    /// On the writers, and on a thread of its own.
    hosts: [Arc<Host>; 2],
    gates: Arc<Mutex<Vec<Gate>>>,
    /// The state of things, which is told by snapshots.
    state: Arc<AtomicU64>,
    clients: Vec<Client>,
    /// How many bytes were published since everybody who does not stall had everything.
    unsettled: usize,
    done: Vec<String>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let state = Arc::new(AtomicU64::new(0));
        let history = (random.pick(&[0, 1, 5, 50, u64::MAX]), random.pick(&[0, 200, 5000, u64::MAX]));
        let replay = random.pick(&[0, u64::MAX, 3]);
        let (own_ids, has_snapshot, is_latest) = (random.once_in(3), random.once_in(3), random.once_in(3));
        let mut setup = Channel::setup().history_events(history.0).history_bytes(history.1).replay(replay);
        if own_ids {
            setup = setup.own_ids();
        }
        if is_latest {
            setup = setup.latest();
        }
        if has_snapshot {
            let state = Arc::clone(&state);
            setup = setup.snapshot(move || Event::new(state.load(Ordering::SeqCst)).event_type("state"));
        }
        let channel = setup.open();
        let epoch = if own_ids { String::new() } else { epoch(&channel) };
        let gates = Arc::<Mutex<Vec<Gate>>>::default();
        let (followed, joined) = (channel.clone(), Arc::clone(&gates));
        let following = EventSource::new({
            let channel = channel.clone();
            move |connection| {
                set_pace(connection);
                match connection.request().query("of") {
                    Some(of) => Ok(connection.follow_topics(&channel, of.split(','))?),
                    None => Ok(connection.follow(&channel)?),
                }
            }
        });
        let forwarding = EventSource::new(move |connection| {
            set_pace(connection);
            let mut subscription = match connection.request().query("of") {
                Some(of) => followed.subscribe_topics(connection, of.split(','))?,
                None => followed.subscribe(connection)?,
            };
            joined.lock().unwrap().pop().unwrap().open();
            while subscription.forward(connection, crate::patience::DEADLINE)? {}
            Ok(())
        });
        Self {
            random,
            model: Model {
                epoch,
                own_ids,
                has_snapshot,
                replay,
                history,
                events: Vec::new(),
                topics: Vec::new(),
                is_latest,
                latest: Latest::default(),
                is_closed: false,
            },
            // Where the machine is slow, what keeps streams alive shall not come between.
            hosts: [following, forwarding].map(|source| Arc::new(Host::new(source.keep_alive(LONG)))),
            channel,
            gates,
            state,
            clients: Vec::new(),
            unsettled: 0,
            done: Vec::new(),
        }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..=7 => self.publish(),
            8 if self.random.once_in(2) => self.flood(),
            8 | 9 => self.publish_from_two_threads(),
            10 | 11 => self.join(None),
            12..=14 => self.rejoin(),
            15 | 16 => self.stall(),
            17 => self.unstall(),
            18 => self.leave(),
            19 if self.model.is_latest => self.forget(),
            _ => self.settle(),
        }
    }

    fn text(&mut self) -> String {
        let length = self.random.pick(&[0, 1, 5, 30, 30, 30, 3000, 17_000]);
        let number = self.model.published() + 1;
        format!("{number} {}", self.random.pick(&["x", "é", "\n", ":"]).repeat(length))
    }

    fn publish(&mut self) {
        for _ in 0..=self.random.below(4) {
            let text = self.text();
            self.publish_text(&text);
        }
        self.done.push(format!("publish, {}", self.model.published()));
    }

    fn publish_text(&mut self, text: &str) {
        let sequence = self.model.published() + 1;
        self.state.store(sequence, Ordering::SeqCst); // first how things stand, then the news of it
        let id = self.model.id(sequence);
        let mut event = if self.model.own_ids { Event::new(text).id(&*id) } else { Event::new(text) };
        let topic = self.random.pick(&[0, 0, 1, 1, 2, 3]);
        if topic > 0 {
            event = event.topic(topic.to_string());
        }
        self.model.topics.push(topic);
        assert_eq!(self.channel.publish(event).unwrap().id, id);
        self.model.events.push(format!("id: {id}\n{}", Event::new(text).encode().unwrap()));
        if self.model.is_latest {
            self.model.keep_latest();
        }
        self.unsettled += self.model.events.last().map_or(0, String::len);
        if self.unsettled > 100_000 {
            self.settle(); // or those who do not stall could fall behind as well
        }
    }

    /// More than is kept for those who stall.
    fn flood(&mut self) {
        let text = "flood ".repeat(2000);
        for _ in 0..30 {
            self.publish_text(&text);
        }
        self.done.push(format!("flood, {}", self.model.published()));
    }

    /// Their order is the channel's to make.
    fn publish_from_two_threads(&mut self) {
        if self.model.own_ids || self.model.has_snapshot || self.model.is_latest {
            return; // whose order is the publisher's
        }
        let publishers = [0, 1].map(|publisher| {
            let channel = self.channel.clone();
            thread::spawn(move || {
                let publish = |number: u32| {
                    let event = Event::new(number).event_type(format!("{publisher}"));
                    let id = channel.publish(event.clone()).unwrap().id;
                    format!("id: {id}\n{}", event.encode().unwrap())
                };
                (0..5).map(publish).collect::<Vec<_>>()
            })
        });
        let mut events: Vec<_> =
            publishers.into_iter().flat_map(|publisher| publisher.join().unwrap()).collect();
        let start = "id: ".len() + self.model.epoch.len();
        events.sort_by_key(|event| event[start..].split('\n').next().unwrap().parse::<u64>().unwrap());
        self.model.topics.extend(events.iter().map(|_| 0));
        self.model.events.append(&mut events);
        self.state.store(self.model.published(), Ordering::SeqCst);
        self.done.push(format!("publish from two threads, {}", self.model.published()));
    }

    fn forget(&mut self) {
        let topic = self.random.pick(&[1, 2, 3, 9]);
        self.channel.forget(&topic.to_string());
        self.model.forget(topic);
        self.done.push(format!("forget {topic}"));
    }

    /// Comes back with something that was seen before, or never.
    fn rejoin(&mut self) {
        let published = self.model.published();
        let expired = match self.model.is_latest {
            // Of those that are not there any more, no id of the publisher's is known.
            true if self.model.own_ids => return self.rejoin_among_own(),
            true => 0,
            false => self.model.history_start() - 1,
        };
        let seen = match self.random.below(8) {
            0 => Seen::Other("x".to_owned()),
            1 => Seen::Other(self.model.id(published + 1)),
            2 => Seen::Event(published),
            3 => Seen::Event(expired),
            // With ids of its own, what is not kept any more may be known still, or not.
            4 if !self.model.own_ids => Seen::Event(self.random.below(expired as usize + 1) as u64),
            _ => Seen::Event(expired + self.random.below((published - expired) as usize + 1) as u64),
        };
        match seen {
            Seen::Event(0) if self.model.own_ids => {} // there is no such id
            seen => self.join(Some(seen)),
        }
    }

    /// The same for the latest of each, with ids that are known, or are not any more.
    fn rejoin_among_own(&mut self) {
        let Latest { history, superseded, .. } = &self.model.latest;
        let seen = match self.random.below(4) {
            0 => Seen::Other("x".to_owned()),
            1 if !superseded.is_empty() => {
                let at = self.random.below(superseded.len());
                Seen::Superseded(*superseded.iter().nth(at).expect("there is one"))
            }
            _ if !history.is_empty() => Seen::Event(history[self.random.below(history.len())]),
            _ => return,
        };
        self.join(Some(seen));
    }

    fn join(&mut self, seen: Option<Seen>) {
        let id = match &seen {
            Some(Seen::Event(sequence) | Seen::Superseded(sequence)) => Some(self.model.id(*sequence)),
            Some(Seen::Other(id)) => Some(id.clone()),
            None => None,
        };
        let mut request = id.as_deref().map_or_else(|| GET.to_owned(), get_after);
        let topics =
            self.random.pick(&[None, None, Some(&[1][..]), Some(&[1, 3]), Some(&[9])]).map(<[u8]>::to_vec);
        let pace = self.random.pick(&[0, 0, 0, 0, 2, 10]);
        let mut query = format!("pace={pace}");
        if let Some(topics) = &topics {
            let names: Vec<_> = topics.iter().map(u8::to_string).collect();
            query += &format!("&of={}", names.join(","));
        }
        request = request.replace("/ ", &format!("/?{query} "));
        let joined = Instant::now();
        let greetings = self.model.greetings(seen.as_ref(), topics.as_deref());
        let is_forwarding = self.random.once_in(6);
        let valve = Valve::new(&request);
        let (host, end) = (Arc::clone(&self.hosts[usize::from(is_forwarding)]), valve.host_end());
        if is_forwarding {
            let gate = Gate::default();
            self.gates.lock().unwrap().push(gate.clone());
            thread::spawn(move || host.serve(end));
            gate.pass();
        } else {
            host.serve(end);
        }
        self.done.push(format!(
            "{} joins after {id:?}, {topics:?}, forwarding: {is_forwarding}, a write each {pace} ms",
            self.clients.len()
        ));
        self.clients.push(Client {
            valve,
            has_been_behind: greetings.iter().any(|(_, first)| *first <= self.model.published()),
            greetings,
            old: self.model.latest.superseded.clone(),
            is_forwarding,
            topics,
            joined,
            pace: Duration::from_millis(pace),
            is_stalled: false,
        });
    }

    fn pick(&mut self) -> Option<usize> {
        (!self.clients.is_empty()).then(|| self.random.below(self.clients.len()))
    }

    fn stall(&mut self) {
        if let Some(at) = self.pick() {
            let room = self.random.pick(&[0, 0, 1, 10, 50, 1000, 20_000]);
            self.clients[at].valve.take(room);
            (self.clients[at].has_been_behind, self.clients[at].is_stalled) = (true, true);
            self.done.push(format!("{at} takes {room}"));
        }
    }

    fn unstall(&mut self) {
        if let Some(at) = self.pick() {
            self.clients[at].valve.take(usize::MAX);
            self.clients[at].is_stalled = false;
            self.done.push(format!("{at} takes all"));
        }
    }

    /// Whatever it has by then is the beginning of what it would have got.
    fn leave(&mut self) {
        if let Some(at) = self.pick() {
            let client = self.clients.swap_remove(at);
            client.valve.leave();
            self.done.push(format!("{at} leaves; the last is now {at}"));
            self.check(&client);
        }
    }

    fn check(&self, client: &Client) -> bool {
        let checked = client.check_pace().and_then(|()| client.check(&self.model));
        checked.unwrap_or_else(|error| panic!("{error}\n{}", self.context()))
    }

    /// Waits until all who do not stall have everything, which must be what the model says.
    fn settle(&mut self) {
        self.unsettled = 0;
        for client in &self.clients {
            let started = Instant::now();
            while !self.check(client) && !client.is_stalled {
                assert!(
                    started.elapsed() < DEADLINE,
                    "{}\n{}",
                    client.valve.state().summary(),
                    self.context()
                );
                client.valve.wait_a_moment();
            }
        }
        // Those who lagged where there is a snapshot are gone.
        self.clients.retain(|client| !client.valve.state().is_closed);
    }

    fn context(&self) -> String {
        let Model { history, replay, own_ids, has_snapshot, is_latest, .. } = &self.model;
        let done = self.done.join("\n");
        format!(
            "history {history:?}, {replay:?}, own ids {own_ids}, snapshot {has_snapshot}, latest {is_latest}\n{done}"
        )
    }

    /// In the end all take everything, and the channel is closed.
    fn end(&mut self) {
        for client in &mut self.clients {
            client.valve.take(usize::MAX);
            client.is_stalled = false;
        }
        if self.random.once_in(2) {
            self.settle();
        }
        self.channel.close();
        self.model.is_closed = true;
        let clients: Vec<_> = self.clients.iter().map(|client| client.valve.clone()).collect();
        self.settle();
        for client in clients {
            client.until("its connection is closed", |state| state.is_closed);
        }
    }
}

/// The pace is what the client says.
fn set_pace(connection: &mut EventConnection) {
    let pace = connection.request().query("pace").and_then(|millis| millis.parse().ok());
    connection.pace(Duration::from_millis(pace.expect("each says one")));
}

#[test]
fn whatever_happens() {
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                for seed in (part..40).step_by(4) {
                    run(seed + 1);
                }
            });
        }
    });
}

#[test]
#[ignore = "takes minutes: many more of the same"]
fn whatever_happens_for_long() {
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || (part..1600).step_by(4).for_each(|seed| run(seed + 1000)));
        }
    });
}

/// Several channels at once, which share the writers.
fn run(seed: u64) {
    let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut runs: Vec<_> = (0..3).map(|_| Run::new(random.bits())).collect();
    for run in &mut runs {
        run.done.push(format!("seed {seed}"));
    }
    for _ in 0..150 {
        let at = random.below(runs.len());
        runs[at].step();
    }
    // The others go on, and are not touched by the end of one.
    while let Some(mut run) = runs.pop() {
        run.end();
        runs.iter_mut().for_each(|other| (0..10).for_each(|_| other.step()));
    }
}
