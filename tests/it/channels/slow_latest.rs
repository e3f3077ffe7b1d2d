//! The latest of a thousand topics, ten times a second each, for a hundred clients that take one event a second.
//!
//! Nobody waits for seconds here: what would be published in one is published, and then each client takes some bytes.

#![cfg(target_os = "linux")]

use super::valve::Valve;
use super::{patient_for, GET};
use crate::alone::{alone, resident};
use crate::patience::LONG;
use brooklet::{Channel, Event, EventSource, Host};

const TOPICS: usize = 1000;
const CLIENTS: usize = 100;
const SECONDS: usize = 10;
const TIMES: usize = 10;
/// About one event.
const ROOM: usize = 50;

#[test]
fn slow_readers_of_the_latest() {
    alone("channels::slow_latest::slow_readers_of_the_latest", || {
        let channel = Channel::setup().latest().open();
        let host = Host::new(EventSource::channel(&channel).keep_alive(LONG)).limits(patient_for(LONG));
        let clients: Vec<_> = (0..CLIENTS).map(|_| Valve::serve(&host, GET)).collect();
        for client in &clients {
            client.until("its position", |state| state.ends_with("-0\n\n"));
            client.take(0);
        }
        let names: Vec<_> = (0..TOPICS).map(|topic| format!("sensor/{topic}")).collect();
        let mut taken: Vec<_> = clients.iter().map(|client| vec![client.text().len()]).collect();
        let mut memory = 0;
        for second in 0..SECONDS {
            // No client takes anything now, and the publisher waits for none.
            for time in 0..TIMES {
                for (topic, name) in names.iter().enumerate() {
                    let value = format!("{topic} {}", second * TIMES + time);
                    let published = channel.publish(Event::new(value).topic(&**name)).unwrap();
                    assert_eq!(published.subscribers, CLIENTS);
                }
            }
            for (client, taken) in clients.iter().zip(&mut taken) {
                client.take(ROOM);
                client.until("it is full", |state| state.room == 0);
                taken.push(client.text().len());
            }
            if second == 1 {
                memory = resident();
            }
        }
        let grown = resident().saturating_sub(memory);
        assert!(grown < 1024 * 1024, "{grown} bytes more, from {memory}");

        for (client, taken) in clients.iter().zip(&taken) {
            assert!(!client.is_closed());
            let text = client.text();
            let (mut start, mut last, mut count) = (taken[0], vec![None; TOPICS], 0);
            for block in text[start..].split_inclusive("\n\n").filter(|block| block.ends_with("\n\n")) {
                let data = block.split_once("\ndata: ").expect("an event, and no gap").1.trim_end();
                let (topic, number) = data.split_once(' ').expect("a topic and a number");
                let (topic, number): (usize, usize) = (topic.parse().unwrap(), number.parse().unwrap());
                assert!(last[topic] < Some(number), "{topic} {number} after {:?}", last[topic]);
                last[topic] = Some(number);
                // It was the newest when its first byte was taken.
                let second = taken.iter().filter(|end| **end <= start).count() - 1;
                assert_eq!(number, second * TIMES + TIMES - 1, "in second {second}: {block:?}");
                start += block.len();
                count += 1;
            }
            assert!(count >= SECONDS / 2, "{count}");
        }
    });
}
