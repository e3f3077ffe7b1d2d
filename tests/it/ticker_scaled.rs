//! The `ticker_redis` example in several instances behind a balancer, while one thing after the other is killed: every
//! client gets every entry once, and in order.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::example::{free_address, serve};
use crate::follower::Follower;
use crate::patience::eventually;
use crate::servers::{Kind, Redis, Relay};
use crate::ticker::resp::{self, Fault};
use crate::webdriver::Process;

const CLIENTS: usize = 8;

#[test]
#[ignore = "needs redis-server and nginx"]
fn everything_is_killed_behind_nginx() {
    everything_is_killed(Kind::Nginx, "Several behind nginx");
}

#[test]
#[ignore = "needs redis-server and haproxy"]
fn everything_is_killed_behind_haproxy() {
    everything_is_killed(Kind::HaProxy, "Several behind HAProxy");
}

fn everything_is_killed(proxy: Kind, heading: &str) {
    const LAST: u64 = 5000;
    let mut redis = Redis::start();
    let addresses = [(); 3].map(|()| free_address());
    let mut instances = addresses.map(|address| Some(start(address, &redis)));
    let proxy = proxy.start(heading, &addresses, &[]);
    let (redis_address, published) = (redis.address, AtomicU64::new(0));

    thread::scope(|scope| {
        let followers = [(); CLIENTS].map(|()| Follower::start(proxy.address, "/ticker", "localhost"));
        scope.spawn(|| publish(redis_address, &published, LAST));
        let reached =
            |number| eventually("so many are published", || published.load(Ordering::Relaxed) >= number);

        // One instance, in the middle of everything. It comes back, and another goes.
        reached(500);
        instances[0] = None;
        reached(1000);
        instances[0] = Some(start(addresses[0], &redis));
        reached(1500);
        instances[1] = None;
        // Redis itself, with two instances that have to wait, and one that starts meanwhile.
        reached(2000);
        redis.kill();
        instances[1] = Some(start(addresses[1], &redis));
        redis.start_again();
        // All at once: who asks then is told to come back.
        reached(3000);
        instances.fill_with(|| None);
        let before: Vec<_> = followers.iter().map(Follower::connections).collect();
        assert!(before.iter().sum::<usize>() > CLIENTS, "nobody has lost an instance");
        eventually("everybody has asked in vain", || {
            followers.iter().zip(&before).all(|(follower, before)| follower.connections() >= before + 3)
        });
        instances = addresses.map(|address| Some(start(address, &redis)));

        for follower in &followers {
            let prices = prices(follower, 1, LAST);
            assert!(prices.iter().copied().eq(1..=LAST), "{}", faults(&prices));
        }
    });
    drop(instances);
}

/// Who is further behind than an instance remembers gets the rest from Redis, while it goes on.
#[test]
#[ignore = "needs redis-server"]
fn older_than_the_instance() {
    const LAST: u64 = 12_000;
    let redis = Redis::start();
    let published = AtomicU64::new(0);
    let instance = free_address();
    thread::scope(|scope| {
        scope.spawn(|| publish(redis.address, &published, LAST));
        eventually("there are some entries", || published.load(Ordering::Relaxed) > 2000);
        let _instance = start(instance, &redis);
        let rows = [("", 1), ("1-0", 1), ("500-1", 501), ("1999-1", 2000), ("1999-7", 2000)];
        let followers =
            rows.map(|(seen, first)| (first, Follower::resume(instance, "/ticker", "localhost", seen)));
        for (first, follower) in &followers {
            let prices = prices(follower, *first, LAST);
            assert!(prices.iter().copied().eq(*first..=LAST), "from {first}: {}", faults(&prices));
        }
    });
}

/// Who has seen more elsewhere than this instance has read waits for it, and then goes on with the next.
#[test]
#[ignore = "needs redis-server"]
fn ahead_of_the_instance() {
    let redis = Redis::start();
    let relay = Relay::start(redis.address);
    let published = AtomicU64::new(0);
    publish(redis.address, &published, 5);
    let address = free_address();
    let _instance = serve("ticker_redis", address, &[("REDIS_ADDR", &relay.address.to_string())]);
    let early = Follower::resume(address, "/ticker", "localhost", "4-1");
    assert_eq!(next(&early).to_string(), "AAPL|5|5-1"); // so it reads

    relay.hold();
    publish(redis.address, &published, 8);
    relay.held.pass();
    let said = relay.commands.load(Ordering::SeqCst); // the reader waits, so only the next client asks
    let late = Follower::resume(address, "/ticker", "localhost", "8-1");
    eventually("it has asked for that entry", || relay.commands.load(Ordering::SeqCst) > said);
    publish(redis.address, &published, 9);
    relay.let_go();
    assert_eq!(next(&late).to_string(), "AAPL|9|9-1");
    for price in 6..=9 {
        assert_eq!(next(&early).to_string(), format!("AAPL|{price}|{price}-1"));
    }
}

/// What was trimmed is missed visibly, by those who come and by those who are there; and so is what never was.
#[test]
#[ignore = "needs redis-server"]
fn trimmed() {
    let redis = Redis::start();
    let published = AtomicU64::new(0);
    publish(redis.address, &published, 10);
    ask(redis.address, &[&["XTRIM", "ticker", "MAXLEN", "4"]]).unwrap(); // that leaves 7 to 10
    let address = free_address();
    let _instance = start(address, &redis);

    let expired = r#"reset|{"reason":"expired","missed":null}|7-0"#;
    let unknown = r#"reset|{"reason":"unknown","missed":null}|10-1"#;
    let rows: [(&str, &[&str]); 13] = [
        ("", &["7", "8", "9", "10"]),
        ("9-1", &["10"]),
        ("7-1", &["8", "9", "10"]),
        ("7-0", &["7", "8", "9", "10"]),          // nothing fits in between
        ("6-1", &[expired, "7", "8", "9", "10"]), // that no other was trimmed after it is not known
        ("3-1", &[expired, "7", "8", "9", "10"]),
        ("10-1", &[]),
        ("11-0", &[unknown]), // nobody ever gave it
        ("x", &[unknown]),
        ("10-01", &[unknown]),
        ("10", &[unknown]),
        ("10-1 COUNT 1", &[unknown]),
        ("\u{2b}", &[unknown]),
    ];
    let followers = rows.map(|(seen, expected)| {
        let follower = Follower::resume(address, "/ticker", "localhost", seen);
        for expected in expected {
            check(&follower, seen, expected);
        }
        follower
    });

    // As if an instance had slept: it never saw 11 to 16, which are gone when it looks.
    let numbers: Vec<_> = (11..=20).map(|number| (format!("{number}-1"), number.to_string())).collect();
    let add = |(id, price)| ["XADD", "ticker", id, "symbol", "AAPL", "price", price];
    let adds: Vec<_> = numbers.iter().map(|(id, price)| add((&**id, &**price))).collect();
    let mut words: Vec<&[&str]> = vec![&["MULTI"]];
    words.extend(adds.iter().map(|words| &words[..]));
    words.extend([&["XTRIM", "ticker", "MAXLEN", "4"][..], &["EXEC"]]);
    ask(redis.address, &words).unwrap();
    for (follower, (seen, _)) in followers.iter().zip(rows) {
        for expected in [r#"reset|{"reason":"expired","missed":null}|17-0"#, "17", "18", "19", "20"] {
            check(follower, seen, expected);
        }
        assert_eq!(follower.connections(), 1, "after {seen:?}");
    }

    #[track_caller]
    fn check(follower: &Follower, seen: &str, expected: &str) {
        let message = next(follower).to_string();
        match expected.parse::<u64>() {
            Ok(number) => assert_eq!(message, format!("AAPL|{number}|{number}-1"), "after {seen:?}"),
            Err(_) => assert_eq!(message, expected, "after {seen:?}"),
        }
    }
}

fn start(address: SocketAddr, redis: &Redis) -> Process {
    serve("ticker_redis", address, &[("REDIS_ADDR", &redis.address.to_string())])
}

/// Adds entries up to this one, each once, whatever becomes of Redis meanwhile.
fn publish(redis: SocketAddr, published: &AtomicU64, last: u64) {
    for number in published.load(Ordering::Relaxed) + 1..=last {
        let (id, price) = (format!("{number}-1"), number.to_string());
        let words = ["XADD", "ticker", &id, "symbol", "AAPL", "price", &price];
        eventually("it is published", || match ask(redis, &[&words]) {
            Ok(()) => true,
            // It was, and only the reply was lost.
            Err(Fault::Refused(text)) if text.contains("equal or smaller") => true,
            Err(_) => false,
        });
        published.store(number, Ordering::Relaxed);
    }
}

/// Gives commands one after the other.
fn ask(redis: SocketAddr, commands: &[&[&str]]) -> Result<(), Fault> {
    let mut redis = resp::Redis::connect(&redis.to_string())?;
    commands.iter().try_for_each(|words| redis.ask(words)?.skip())
}

/// The prices up to the last; also what comes twice and out of order.
fn prices(follower: &Follower, first: u64, last: u64) -> Vec<u64> {
    let mut prices = Vec::new();
    while prices.last() != Some(&last) && prices.len() as u64 <= last - first {
        let message = next(follower);
        assert_eq!(message.event_type, "AAPL", "{message}");
        assert_eq!(message.last_event_id, format!("{}-1", message.data));
        prices.push(message.data.parse().unwrap());
    }
    prices
}

/// The next message of a stream, beside which instance it comes from.
fn next(follower: &Follower) -> crate::sse::Message {
    let is_other = |message: &crate::sse::Message| message.event_type != "instance";
    (0..1000).map(|_| follower.next()).find(is_other).expect("it does not only come back")
}

/// Where a sequence is none.
fn faults(prices: &[u64]) -> String {
    let steps = prices.windows(2).filter(|pair| pair[0] + 1 != pair[1]);
    format!("{} prices, {:?}", prices.len(), steps.take(10).collect::<Vec<_>>())
}
