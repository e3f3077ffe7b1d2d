//! Topics: who gets what, resuming in some of them, the latest of each, and the pace of a client.

use super::valve::Valve;
use super::{epoch, forwarding, get_after, host, patient_for, start, start_forwarding, Client, FINISH, GET};
use crate::patience::{eventually, in_time, LONG};
use brooklet::{Channel, Event, EventSource, Host, RunningHost};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

/// Serves a channel to `/?of=a,b`, on a writer or with `&own=1` on a thread of its own; to `/` all of it.
fn serve(channel: &Channel) -> RunningHost {
    let channel = channel.clone();
    let source = EventSource::new(move |connection| {
        let of = connection.request().query("of");
        let topics = of.map(|of| of.split(',').filter(|topic| !topic.is_empty()));
        match (topics, connection.request().query("own")) {
            (Some(topics), None) => Ok(connection.follow_topics(&channel, topics)?),
            (None, None) => Ok(connection.follow(&channel)?),
            (topics, Some(_)) => {
                let mut subscription = match topics {
                    Some(topics) => channel.subscribe_topics(connection, topics)?,
                    None => channel.subscribe(connection)?,
                };
                while subscription.forward(connection, LONG)? {}
                Ok(())
            }
        }
    });
    host(source.keep_alive(LONG)).start().unwrap()
}

fn of(topics: &str, request: &str) -> String {
    request.replace("/ ", &format!("/?of={topics} "))
}

/// Publishes `topic:data topic:data …`, where `-` is no topic.
fn publish(channel: &Channel, events: &str) {
    for event in events.split_whitespace() {
        let (topic, data) = event.split_once(':').unwrap();
        let event = Event::new(data);
        channel.publish(if topic == "-" { event } else { event.topic(topic) }).unwrap();
    }
}

/// `E-n:data` of each event, and `id:E-n` of blocks with nothing else.
fn summary(text: &str, epoch: &str) -> String {
    let blocks = text.replace(epoch, "E-");
    let blocks = blocks.strip_suffix(FINISH).unwrap_or(&blocks).split_terminator("\n\n").map(|block| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        match block.contains("data: ") {
            true => format!("{}:{}", field("id: "), field("data: ")),
            false => format!("id:{}", field("id: ")),
        }
    });
    blocks.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(channel: Channel, before: &str, request: &str, after: &str, expected: &str) {
    publish(&channel, before);
    let host = serve(&channel);
    let epoch = epoch(&channel);
    let request = request.replace("E-", &epoch);
    let own = if request.contains("/?") { "&own=1 HTTP" } else { "?own=1 HTTP" };
    let requests = [request.clone(), request.replace(" HTTP", own)];
    let mut clients = requests.map(|request| Client::join(&host, &channel, request));
    publish(&channel, after);
    channel.close();
    for client in &mut clients {
        assert_eq!(summary(&client.rest(), &epoch), expected, "{before} {request:?} {after}");
    }
}

#[test]
fn who_gets_what() {
    let channel = Channel::new;
    check(channel(), "", GET, "a:1 b:2 -:3", "id:E-0 E-1:1 E-2:2 E-3:3");
    check(channel(), "", &of("a", GET), "a:1 b:2 -:3 a:4", "id:E-0 E-1:1 E-3:3 E-4:4");
    check(channel(), "", &of("a,c", GET), "a:1 b:2 c:3", "id:E-0 E-1:1 E-3:3");
    check(channel(), "", &of("a,a", GET), "a:1 b:2", "id:E-0 E-1:1"); // once
    check(channel(), "", &of("", GET), "a:1 -:2", "id:E-0 E-2:2"); // what has no topic
    check(channel(), "", &of("a", GET), "A:1 aa:2 a%20:3", "id:E-0");
    // What is replayed is not its, and it could be cut off before anything is.
    let replay = || Channel::setup().replay(2).open();
    check(replay(), "a:1 b:2 b:3", &of("a", GET), "b:4 a:5", "id:E-3 E-5:5");
    check(replay(), "a:1 b:2 a:3", &of("a", GET), "b:4 a:5", "E-3:3 E-5:5");
}

#[test]
fn resuming() {
    let channel = Channel::new;
    check(channel(), "a:1 b:2 a:3 -:4", &of("a", &get_after("E-1")), "b:5 a:6", "E-3:3 E-4:4 E-6:6");
    check(channel(), "a:1 b:2", &of("b", &get_after("E-0")), "", "E-2:2");
    // Nothing of its topics is gone, however much else is.
    let short = || Channel::setup().history_events(2).open();
    check(short(), "a:1 b:2 b:3 b:4 b:5", &of("a", &get_after("E-1")), "a:6", "E-6:6");
    check(short(), "a:1 b:2 b:3 b:4 b:5", &of("c", &get_after("E-0")), "c:6", "E-6:6");
    let reset = r#"{"reason":"expired","missed":null}"#;
    check(short(), "a:1 b:2 b:3 b:4", &of("a", &get_after("E-0")), "a:5", &format!("E-2:{reset} E-5:5"));
    check(short(), "-:1 b:2 b:3 b:4", &of("a", &get_after("E-0")), "a:5", &format!("E-2:{reset} E-5:5"));
    check(short(), "a:1 a:2 b:3 a:4", &of("a", &get_after("E-0")), "", &format!("E-2:{reset} E-4:4"));
    // Who follows all knows how many.
    let reset = r#"{"reason":"expired","missed":2}"#;
    check(short(), "a:1 b:2 b:3 b:4", &get_after("E-0"), "", &format!("E-2:{reset} E-3:3 E-4:4"));
}

#[test]
fn the_latest_of_each() {
    let latest = || Channel::setup().latest().open();
    // Nothing that follows may replace what was there: the client may have got that, or not yet.
    check(latest(), "a:1 b:2 a:3", GET, "c:4", "E-2:2 E-3:3 E-4:4");
    check(latest(), "a:1 b:2 a:3 -:4 -:5", &of("a,c", GET), "b:6 c:7", "E-3:3 E-5:5 E-7:7");
    check(latest(), "", GET, "a:1 b:2", "id:E-0 E-1:1 E-2:2");
    check(latest(), "a:1 b:2 a:3 b:4 c:5", &get_after("E-3"), "", "E-4:4 E-5:5");
    check(latest(), "a:1 b:2 a:3 b:4 c:5", &get_after("E-1"), "", "E-3:3 E-4:4 E-5:5");
    check(latest(), "a:1 b:2 a:3 b:4", &of("a", &get_after("E-3")), "", "");
    // What the history does not hold is told as any gap, and nothing else is.
    let small = || Channel::setup().latest().history_events(2).open();
    check(small(), "a:1 b:2 a:3 b:4 a:5 b:6", &get_after("E-1"), "", "E-5:5 E-6:6");
    let reset = r#"{"reason":"expired","missed":null}"#;
    check(small(), "a:1 b:2 c:3", &get_after("E-0"), "", &format!("E-1:{reset} E-2:2 E-3:3"));
    check(small(), "a:1 b:2 c:3", &of("b", &get_after("E-0")), "", "E-2:2");
    let channel = latest();
    publish(&channel, "a:1 b:2");
    channel.forget("a");
    channel.forget("nothing of it");
    check(channel, "", GET, "", "E-2:2");
    let channel = latest();
    publish(&channel, "a:1");
    channel.forget("a");
    check(channel, "", GET, "", "id:E-1");
    // Thousands of old ones take no room, and those that are there stay in order.
    let channel = latest();
    for number in 0..5000 {
        publish(&channel, &format!("{}:{number}", number % 7));
    }
    let expected = (4993..5000).map(|number| format!("E-{}:{number}", number + 1)).collect::<Vec<_>>();
    check(channel, "", GET, "", &expected.join(" "));
}

/// One for whom nothing came for long is told where it stands, before its id leaves the history.
#[test]
fn quiet_is_no_loss() {
    let channel = Channel::setup().history_events(10).open();
    let host = serve(&channel);
    let epoch = epoch(&channel);
    let mut client = Client::join(&host, &channel, of("a", GET));
    for number in 0..30 {
        publish(&channel, &format!("b:{number}"));
    }
    client.exactly(&format!("id: {epoch}0\n\nid: {epoch}30\n\n"));
    let own = Channel::setup().own_ids().history_events(10).open();
    let host = serve(&own);
    let mut client = Client::join(&host, &own, of("a", GET));
    for number in 0..9 {
        own.publish(Event::new(number).topic("b").id(format!("n{number}"))).unwrap();
    }
    client.exactly("id: n8\n\n");
}

/// How many an event is for.
#[test]
fn counting() {
    let channel = Channel::new();
    let host = serve(&channel);
    let _clients = ["/ ", "/?of=a ", "/?of=a,b ", "/?of=b&own=1 "]
        .map(|target| Client::join(&host, &channel, GET.replace("/ ", target)));
    let count = |topic: Option<&'static str>| {
        let event = Event::new(1);
        let event = match topic {
            Some(topic) => event.topic(topic),
            None => event,
        };
        channel.publish(event).unwrap().subscribers
    };
    assert_eq!((count(None), count(Some("a")), count(Some("b")), count(Some("c"))), (4, 3, 3, 1));
}

/// Topics are forgotten that nobody follows, and others are not: neither as long as there are others, nor before a
/// subscriber has named all that it follows.
#[test]
fn thousands_of_topics() {
    const MANY: usize = 3000;
    let channel = Channel::setup().history_events(1).open();
    let followed = channel.clone();
    let names = |prefix: char| (0..MANY).map(move |number| format!("{prefix}{number}"));
    let source = EventSource::new(move |connection| Ok(connection.follow_topics(&followed, names('a'))?));
    let host = host(source.keep_alive(LONG)).start().unwrap();
    let client = Client::join(&host, &channel, GET);
    let count = |topic| channel.publish(Event::new(1).topic(topic)).unwrap().subscribers;
    for prefix in ['b', 'a', 'c', 'a'] {
        let expected = usize::from(prefix == 'a');
        names(prefix).for_each(|topic| assert_eq!(count(topic.clone()), expected, "{topic}"));
    }
    drop(client);
    eventually("it has left", || channel.subscribers() == 0);
    names('a').for_each(|topic| assert_eq!(count(topic), 0));
}

/// What is for others keeps no publisher waiting.
#[test]
fn catching_up() {
    let channel = Channel::new();
    let host = serve(&channel);
    let mut client = Client::join(&host, &channel, of("a", GET));
    client.exactly(&format!("id: {}0\n\n", epoch(&channel)));
    // Each, but for those that come while a writer looks after it.
    let mut in_a_row = 0;
    eventually("20 in a row", || {
        publish(&channel, "b:1");
        in_a_row = if channel.catch_up(0, Duration::ZERO) { in_a_row + 1 } else { 0 };
        in_a_row == 20
    });
}

/// At most one write in that time, with all that has happened meanwhile; of the latest, the newest alone.
#[test]
fn pace() {
    const PACE: Duration = Duration::from_secs(2); // longer than a busy machine takes for the three
    let of_the_source = |channel: &Channel| EventSource::channel(channel).pace(PACE);
    let of_the_connection = |channel: &Channel| {
        let channel = channel.clone();
        EventSource::new(move |connection| {
            connection.pace(PACE);
            Ok(connection.follow(&channel)?)
        })
    };
    let latest = Channel::setup().latest().open();
    for (channel, source, expected) in [
        (Channel::new(), of_the_source as fn(&_) -> _, "id:E-0 E-1:1 E-2:2 E-3:3 E-4:4"),
        (latest, of_the_connection, "id:E-0 E-1:1 E-4:4"),
    ] {
        let epoch = epoch(&channel);
        let source = source(&channel).keep_alive(LONG);
        let client = Valve::serve(&Host::new(source).limits(patient_for(LONG)), GET);
        publish(&channel, "a:1");
        client.until("the first", |state| state.ends_with("data: 1\n\n"));
        let before = client.state().writes.len();
        for event in ["a:2", "a:3", "a:4"] {
            publish(&channel, event);
            (0..5).for_each(|_| client.wait_a_moment()); // enough for what is sent at once
        }
        client.until("the last", |state| state.ends_with("data: 4\n\n"));
        assert_eq!(client.state().writes.len(), before + 1);
        channel.close();
        client.until("the end", |state| state.is_closed);
        assert_eq!(summary(&client.text(), &epoch), expected);
    }
}

/// What keeps a stream alive is no event: the first event does not wait for it, and it does not wait for the second. Clients
/// may name the pace, so any will do.
#[test]
fn a_long_pace() {
    for source in [EventSource::channel, forwarding] {
        let channel = Channel::new();
        let source = source(&channel).pace(Duration::MAX).keep_alive(Duration::from_millis(50));
        let host = host(source).start().unwrap();
        let mut client = Client::join(&host, &channel, GET);
        client.signs_of_life(1);
        publish(&channel, "-:1");
        assert_eq!(client.next().data, "1");
        publish(&channel, "-:2");
        client.signs_of_life(client.parser.comments.len() + 3);
        assert_eq!(client.parser.messages.len(), 1);
    }
}

/// Those who come at once are one call of the snapshot, and so are those who come later, until something is published.
#[test]
fn one_snapshot_for_a_position() {
    const CLIENTS: usize = 100;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let slot = Arc::new(Mutex::new(None::<Channel>));
    let within = Arc::clone(&slot);
    let snapshot = move || {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let channel = within.lock().unwrap().clone().unwrap();
        eventually("all others wait for it", || number > 0 || channel.subscribers() == CLIENTS);
        Event::new(number)
    };
    let channel = Channel::setup().snapshot(snapshot).open();
    *slot.lock().unwrap() = Some(channel.clone());
    let hosts = [start(&channel), start_forwarding(&channel)];
    let at_once = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for at in 0..CLIENTS {
            let (hosts, at_once) = (&hosts, &at_once);
            scope.spawn(move || {
                at_once.wait();
                let request = if at % 3 == 0 { get_after("x") } else { GET.to_owned() };
                let mut client = Client::open(hosts[at % 2].address(), request);
                while client.next().event_type == "reset" {}
                assert_eq!(client.parser.messages[client.taken - 1].data, "0");
            });
        }
    });
    channel.publish(Event::new("news")).unwrap();
    // Not by the number of subscribers: those who have left leave that meanwhile.
    assert_eq!(Client::open(hosts[0].address(), GET).next().data, "1");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn closing_within() {
    let channel = Channel::new();
    let host = start(&channel);
    let mut clients = [(); 3].map(|()| Client::join(&host, &channel, GET));
    publish(&channel, "-:1");
    let closed = channel.clone();
    assert!(in_time(move || closed.close_within(LONG)));
    assert_eq!(channel.subscribers(), 0);
    for client in &mut clients {
        assert_eq!(summary(&client.rest(), &epoch(&channel)), "id:E-0 E-1:1");
    }
    // Who does not take it is waited for, and no longer than that.
    let channel = Channel::new();
    let _reader = channel.messages();
    assert!(!channel.close_within(Duration::ZERO));
}

/// A reader without a connection gets what a client gets, a gap as well.
#[test]
fn messages() {
    let channel = Channel::setup().history_events(2).history_bytes(1000).replay(u64::MAX).open();
    publish(&channel, "-:0 -:1 -:2");
    let mut messages = channel.messages();
    assert_eq!(channel.subscribers(), 1);
    assert!(!channel.catch_up(0, Duration::ZERO));
    assert_eq!([messages.next().unwrap().data, messages.next().unwrap().data], ["1", "2"]);
    assert!(channel.catch_up(0, Duration::ZERO));
    let published = channel.clone();
    let later = thread::spawn(move || published.publish(Event::new("a\nb").event_type("t")).unwrap().id);
    let message = messages.next().unwrap(); // as soon as it is there
    assert_eq!((&*message.event_type, &*message.data, message.id), ("t", "a\nb", later.join().unwrap()));
    let large = "x".repeat(1000);
    for _ in 0..1000 {
        channel.publish(Event::new(&large)).unwrap();
    }
    assert_eq!(messages.next().unwrap().event_type, "reset");
    channel.close();
    assert!(messages.all(|message| message.data == large));
    drop(messages);
    eventually("it counts no more", || channel.subscribers() == 0);
}
