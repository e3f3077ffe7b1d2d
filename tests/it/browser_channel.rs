//! A channel in Chromium and in Firefox, whose page outlives the host and then the channel.
//!
//! Run it with `cargo test -- --ignored`.

use std::net::SocketAddr;

use brooklet::{Channel, Content, Event, EventSource, Host, Layout, RunningHost};

use crate::example::{free_address, listen_again};
use crate::patience::eventually;
use crate::webdriver::{in_each_browser, Browser, Kind};

const PAGE: &str =
    "<!DOCTYPE html><meta charset=utf-8><title>Channel</title><link rel=icon href=data:,><script>
    window.got = [];
    window.opened = 0;
    window.source = new EventSource('events');
    source.onopen = () => opened++;
    for (const type of ['message', 'reset', 'finish']) {
        source.addEventListener(type, event => got.push(`${event.type}|${event.data}`));
    }
</script>";

in_each_browser!(a_page_outlives_its_channel);

fn a_page_outlives_its_channel(kind: Kind) {
    let channel = Channel::new();
    let address = free_address();
    let host = serve(&channel, address);
    let browser = Browser::start(kind, &format!("http://{address}/"));
    eventually("the page follows", || channel.subscribers() == 1);
    channel.publish(Event::new("one")).unwrap();
    wait_for(&browser, "message|one");

    // The same channel on another host: what was published meanwhile is not lost, and there is no gap.
    host.stop();
    channel.publish(Event::new("two")).unwrap();
    let host = serve(&channel, address);
    wait_for(&browser, "message|one,message|two");
    channel.publish(Event::new("three")).unwrap();
    wait_for(&browser, "message|one,message|two,message|three");

    // Another channel, as after a restart of the program: a gap that can be seen, what is there, then it goes on.
    host.stop();
    let restarted = Channel::new();
    for _ in 0..9 {
        restarted.publish(Event::new("unseen")).unwrap(); // so that the number alone would be known
    }
    browser.execute("got.length = 0");
    let _host = serve(&restarted, address);
    let reset = format!(r#"reset|{{"reason":"unknown","missed":null}}{}"#, ",message|unseen".repeat(9));
    wait_for(&browser, &reset);
    restarted.publish(Event::new("four")).unwrap();
    wait_for(&browser, &format!("{reset},message|four"));
    assert_eq!(browser.execute("return opened"), "3");

    // The end: it asks once more, is answered 204, and stays away.
    restarted.close();
    browser.wait_until("return source.readyState === EventSource.CLOSED");
    assert_eq!(browser.execute("return got.join()"), format!("{reset},message|four,finish|"));
    assert_eq!(restarted.subscribers(), 0);
}

fn serve(channel: &Channel, address: SocketAddr) -> RunningHost {
    let layout = Layout::new().add("events", EventSource::channel(channel)).index(Content::html(PAGE));
    Host::new(layout).listener(listen_again(address)).start().unwrap()
}

#[track_caller]
fn wait_for(browser: &Browser, got: &str) {
    browser.wait_until(&format!("return got.join() === {got:?}"));
}
