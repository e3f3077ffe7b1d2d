//! Nobody gets what is another's, under load: thousands of topics whose names begin alike and are as long as one
//! another, or are the beginning of one another.

use super::valve::Valve;
use super::{patient_for, FINISH, GET};
use crate::patience::LONG;
use crate::random::Random;
use crate::sse::Parser;
use brooklet::{Channel, Event, EventSource, Host};
use std::collections::BTreeMap;
use std::thread;

const TOPICS: usize = 3000;
const CLIENTS: usize = 300;
const PUBLISHERS: usize = 3;
const EACH: usize = 20_000;

fn name(topic: usize) -> String {
    match topic {
        0..=99 => "/".repeat(topic + 1),
        _ => format!("organisation/0001/person/{topic:08}/messages"),
    }
}

#[test]
fn foreign_events() {
    let channel = Channel::setup().history_events(u64::MAX).history_bytes(u64::MAX).open();
    let followed = channel.clone();
    let source = EventSource::new(move |connection| {
        let of = connection.request().query("of").expect("each says which");
        let names = of.split(',').map(|topic| name(topic.parse().expect("a number")));
        Ok(connection.follow_topics(&followed, names)?)
    });
    let host = Host::new(source.keep_alive(LONG)).limits(patient_for(LONG));
    let mut random = Random::new(7);
    let mut clients: Vec<(Valve, Vec<usize>)> = Vec::new();
    let mut join = |count: usize| {
        for _ in 0..count {
            let topics: Vec<_> = (0..1 + random.below(4)).map(|_| random.below(TOPICS)).collect();
            let of: Vec<_> = topics.iter().map(usize::to_string).collect();
            let client = Valve::serve(&host, &GET.replace("/ ", &format!("/?of={} ", of.join(","))));
            if random.once_in(5) {
                client.take(random.below(500)); // and no more for now
            }
            clients.push((client, topics));
        }
    };
    join(CLIENTS / 2);
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let channel = channel.clone();
            thread::spawn(move || {
                let mut random = Random::new(100 + publisher as u64);
                for number in 0..EACH {
                    let topic = random.below(TOPICS);
                    let event = Event::new(format!("{topic} {publisher} {number}")).topic(name(topic));
                    channel.publish(event).expect("it is open");
                }
            })
        })
        .collect();
    join(CLIENTS / 2); // meanwhile
    publishers.into_iter().for_each(|publisher| publisher.join().expect("it only publishes"));
    channel.close();
    let early = CLIENTS / 2;
    for (at, (client, topics)) in clients.iter().enumerate() {
        client.take(usize::MAX);
        client.until("the end", |state| state.is_closed && state.ends_with(FINISH));
        let mut parser = Parser::default();
        parser.feed(client.text().as_bytes());
        // Each publisher's events in its order, and of those who were there from the start, all.
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        let mut got = 0;
        for message in parser.messages.iter().filter(|message| message.event_type == "message") {
            let numbers: Vec<usize> = message.data.split(' ').map(|number| number.parse().unwrap()).collect();
            assert!(topics.contains(&numbers[0]), "{message:?} for {topics:?}");
            let before = last.insert(numbers[1], numbers[2]);
            assert!(before.map_or(true, |before| before < numbers[2]), "{message:?} after {before:?}");
            got += 1;
        }
        if at < early {
            assert_eq!(got, expected(topics), "{topics:?}");
        }
    }

    /// How many events of some topics there are.
    fn expected(topics: &[usize]) -> usize {
        (0..PUBLISHERS)
            .map(|publisher| {
                let mut random = Random::new(100 + publisher as u64);
                (0..EACH).filter(|_| topics.contains(&random.below(TOPICS))).count()
            })
            .sum()
    }
}
