//! One connection for all tabs: `SharedEventSource` in Chromium and in Firefox.
//!
//! Run it with `cargo test -- --ignored`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::time::Duration;

use brooklet::{
    Channel, Content, Event, EventSource, Handler, Host, Layout, Request, Response, RunningHost, Status,
};

use crate::example::{free_address, listen_again};
use crate::patience::eventually;
use crate::webdriver::{in_each_browser, Browser, Kind};

/// It listens to what its fragment names, and gathers each message as `type|data`.
const PAGE: &str = "<!DOCTYPE html><meta charset=utf-8><title>Shared</title><link rel=icon href=data:,>
<script>if (location.search === '?alone') delete window.SharedWorker</script>
<script src=shared.js></script>
<script src=page.js></script>";

const SCRIPT: &str = "
    window.got = [];
    window.opened = 0;
    window.errors = [];
    window.source = new SharedEventSource(location.hash.slice(1));
    source.onopen = () => opened++;
    source.onerror = () => errors.push(source.readyState);
    for (const type of ['message', 'reset', 'finish', 'now']) {
        source.addEventListener(type, event => got.push(`${event.type}|${event.data}`));
    }
";

in_each_browser!(each);

fn each(kind: Kind) {
    ten_tabs_have_one_connection(kind);
    a_page_that_is_left_leaves_and_comes_back(kind);
    streams_without_ids_are_joined_where_they_are(kind);
    only_204_ends_it(kind);
    pages_that_cannot_share_have_a_stream_each(kind);
    it_connects_anew_where_the_connection_may_be_dead(kind);
}

/// What happens to a channel, in ten tabs at once.
fn ten_tabs_have_one_connection(kind: Kind) {
    let channel = Channel::setup().replay(u64::MAX).open();
    let layout = |channel: &Channel| Layout::new().add("events", EventSource::channel(channel));
    let address = free_address();
    let host = serve(layout(&channel), address);
    let url = format!("http://{address}/#events");
    channel.publish(Event::new("before")).unwrap();

    // Each tab has what a connection of its own would give it.
    let browser = Browser::start(kind, &url);
    let mut tabs = vec![browser.tab()];
    wait_for(&browser, "message|before");
    for number in 1..10 {
        tabs.push(browser.open_tab(&url));
        let all = (1..number).map(|number| format!(",message|{number}")).collect::<String>();
        wait_for(&browser, &format!("message|before{all}"));
        channel.publish(Event::new(number)).unwrap();
    }
    let mut all = (1..10).map(|number| format!(",message|{number}")).collect::<String>();
    let each_has = |tabs: &[String], all: &str, opened: &str| {
        for tab in tabs {
            browser.switch_to(tab);
            wait_for(&browser, &format!("message|before{all}"));
            assert_eq!(browser.execute("return opened"), opened);
            assert_eq!(browser.execute("return source.readyState"), "1");
        }
    };
    each_has(&tabs, &all, "1");
    eventually("all have one stream", || host.stats().streams == 1);
    assert_eq!(channel.subscribers(), 1);

    // They go on when the host does, with what happened meanwhile.
    host.stop();
    channel.publish(Event::new("meanwhile")).unwrap();
    let host = serve(layout(&channel), address);
    all += ",message|meanwhile";
    each_has(&tabs, &all, "2");
    assert_eq!(host.stats().streams, 1);

    // Whoever closes a tab takes nothing from the others. With the last one the connection ends.
    let rest = tabs.split_off(3);
    for tab in rest {
        browser.switch_to(&tab);
        browser.close_tab();
    }
    channel.publish(Event::new("fewer")).unwrap();
    all += ",message|fewer";
    each_has(&tabs, &all, "2");
    assert_eq!(host.stats().streams, 1);
    browser.switch_to(&tabs[0]);
    let blank = browser.open_tab("about:blank");
    for tab in tabs {
        browser.switch_to(&tab);
        browser.close_tab();
    }
    browser.switch_to(&blank);
    eventually("the last one has left", || host.stats().streams == 0);
}

/// Back to a page that the browser has kept: it goes on where it was, although others went on meanwhile.
fn a_page_that_is_left_leaves_and_comes_back(kind: Kind) {
    let channel = Channel::new();
    let host = start(Layout::new().add("events", EventSource::channel(&channel)));
    let url = format!("http://{}/#events", host.address());
    let browser = Browser::start(kind, &url);
    let first = browser.tab();
    eventually("it follows", || channel.subscribers() == 1);
    channel.publish(Event::new("one")).unwrap();
    wait_for(&browser, "message|one");
    browser.execute("window.untouched = true");

    // Nobody else is there: the connection ends.
    browser.navigate(&format!("http://{}/shared.js", host.address()));
    eventually("it has left", || channel.subscribers() == 0);
    channel.publish(Event::new("two")).unwrap();
    browser.back();
    assert_eq!(browser.execute("return window.untouched"), "true", "it was not kept, but loaded anew");
    wait_for(&browser, "message|one,message|two");
    eventually("it is back", || channel.subscribers() == 1);

    // Somebody else is there.
    let second = browser.open_tab(&url);
    browser.wait_until("return source.readyState === 1");
    browser.switch_to(&first);
    browser.navigate(&format!("http://{}/shared.js", host.address()));
    browser.switch_to(&second);
    for data in ["three", "four"] {
        channel.publish(Event::new(data)).unwrap();
    }
    wait_for(&browser, "message|three,message|four");
    browser.switch_to(&first);
    browser.back();
    assert_eq!(browser.execute("return window.untouched"), "true", "it was not kept, but loaded anew");
    wait_for(&browser, "message|one,message|two,message|three,message|four");
    eventually("they are together", || channel.subscribers() == 1);
    channel.publish(Event::new("five")).unwrap();
    wait_for(&browser, "message|one,message|two,message|three,message|four,message|five");
    browser.switch_to(&second);
    wait_for(&browser, "message|three,message|four,message|five");
}

/// Each generator begins with what a late tab does not get; types and origins as they are.
fn streams_without_ids_are_joined_where_they_are(kind: Kind) {
    let watchers = Arc::new(Mutex::new(Vec::<mpsc::Sender<&str>>::new()));
    let watching = Arc::clone(&watchers);
    let source = EventSource::new(move |connection| {
        let (sender, receiver) = mpsc::channel();
        let number = {
            let mut watchers = watching.lock().expect("nobody panics in here");
            watchers.push(sender);
            watchers.len()
        };
        connection.event("now", number)?;
        while let Some(data) = connection.receive(&receiver)? {
            connection.data(data)?;
        }
        Ok(())
    });
    let host = start(Layout::new().add("events", source));
    let url = format!("http://{}/#events", host.address());
    let browser = Browser::start(kind, &url);
    let first = browser.tab();
    wait_for(&browser, "now|1");
    browser.execute("source.addEventListener('message', ({ origin }) => window.origins = origin)");
    browser.open_tab(&url);
    browser.wait_until("return opened === 1");
    let send = |data| watchers.lock().unwrap().retain(|watcher| watcher.send(data).is_ok());
    send("both");
    wait_for(&browser, "message|both");
    browser.switch_to(&first);
    wait_for(&browser, "now|1,message|both");
    assert_eq!(browser.execute("return window.origins === location.origin"), "true");
    assert_eq!(watchers.lock().unwrap().len(), 1);

    // Another address is another connection, and one that is closed is none.
    browser.execute("window.other = new SharedEventSource('events?other')");
    eventually("there are two", || host.stats().streams == 2);
    browser.execute("other.close()");
    eventually("one is closed", || host.stats().streams == 1);
    assert_eq!(
        browser.execute("return [other.readyState, source.readyState, SharedEventSource.CLOSED]"),
        "2,1,2"
    );
}

/// What is in front of a tool says all kinds of things while that is away.
fn only_204_ends_it(kind: Kind) {
    let asked = Arc::new(AtomicUsize::new(0));
    let requests = Arc::clone(&asked);
    let source = EventSource::new(|connection| {
        connection.data(connection.last_event_id().unwrap_or("none").to_owned())?;
        Ok(connection.finish()?)
    })
    .retry(Duration::from_millis(20));
    let flaky = move |request: Request| match requests.fetch_add(1, Ordering::Relaxed) {
        0 => Response::error(Status::BAD_GATEWAY),
        1 => Response::html("<h1>It will be back soon</h1>"),
        _ => source.handle(request),
    };
    let host = start(Layout::new().add("flaky", flaky));
    let browser = Browser::start(kind, &format!("http://{}/#flaky", host.address()));
    browser.wait_until("return source.readyState === SharedEventSource.CLOSED");
    assert_eq!(browser.execute("return got"), "message|none,finish|");
    assert_eq!(browser.execute("return errors"), "0,0,0,2");
    assert_eq!(browser.execute("return opened"), "1");
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

/// No SharedWorker in this browser, or none by the page's policy.
fn pages_that_cannot_share_have_a_stream_each(kind: Kind) {
    let channel = Channel::setup().replay(u64::MAX).open();
    let strict = |_: Request| {
        let policy = "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; worker-src 'none'; img-src data:";
        Response::html(PAGE).header("Content-Security-Policy", policy)
    };
    let host = start(Layout::new().add("events", EventSource::channel(&channel)).add("strict", strict));
    channel.publish(Event::new("before")).unwrap();
    for path in ["?alone", "strict"] {
        let url = format!("http://{}/{path}#/events", host.address());
        let browser = Browser::start(kind, &url);
        wait_for(&browser, "message|before");
        browser.open_tab(&url);
        wait_for(&browser, "message|before");
        assert_eq!(host.stats().streams, 2);
        assert_eq!(
            browser.execute("window.other = new SharedEventSource('/events'); return got"),
            "message|before"
        );
        browser.wait_until("return other.readyState === 1");
        eventually("a page shares with itself", || host.stats().streams == 2);
        drop(browser);
        eventually("nobody is left", || host.stats().streams == 0);
    }
}

/// After the computer was offline, and where nothing has come for long. In a page that is alone the clock is set.
fn it_connects_anew_where_the_connection_may_be_dead(kind: Kind) {
    const ONLINE: &str = "dispatchEvent(new Event('online'))";
    for (path, happens) in [
        ("", ONLINE),
        ("?alone", ONLINE),
        ("?alone", "const { now } = Date; Date.now = () => now() + 100_000"),
    ] {
        let channel = Channel::setup().replay(u64::MAX).open();
        let source = EventSource::channel(&channel).retry(Duration::from_secs(3600));
        let host = start(Layout::new().add("events", source));
        let browser = Browser::start(kind, &format!("http://{}/{path}#events", host.address()));
        channel.publish(Event::new("before")).unwrap();
        wait_for(&browser, "message|before");
        browser.execute(happens);
        browser.wait_until("return opened === 2");
        channel.publish(Event::new("after")).unwrap();
        wait_for(&browser, "message|before,message|after");
        eventually("the connection before is closed", || host.stats().streams == 1);
        // What another tab says late, of a time before: the connection has shown since that it is not dead.
        browser.execute(
            "const { now } = Date; Date.now = () => 0; dispatchEvent(new Event('online')); Date.now = now",
        );
        channel.publish(Event::new("later")).unwrap();
        wait_for(&browser, "message|before,message|after,message|later");
        assert_eq!(browser.execute("return opened"), "2");
    }
}

fn start(layout: Layout) -> RunningHost {
    serve(layout, "127.0.0.1:0".parse().unwrap())
}

fn serve(layout: Layout, address: SocketAddr) -> RunningHost {
    let layout = layout
        .index(Content::html(PAGE))
        .add("page.js", Content::bytes("text/javascript", SCRIPT))
        .add("shared.js", Content::event_source_script());
    Host::new(layout).listener(listen_again(address)).start().unwrap()
}

#[track_caller]
fn wait_for(browser: &Browser, got: &str) {
    browser.wait_until(&format!("return got.join() === {got:?}"));
}
