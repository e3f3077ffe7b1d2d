//! The `live_reload` example in a real browser: reload, style sheets that are swapped, and a restart.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use brooklet::{Host, Request, Status};

use crate::example::{self, nobody_listens, Tool};
use crate::patience::eventually;
use crate::webdriver::Browser;

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn a_page_follows_its_files() {
    let root = example::folder("live_reload-browser");
    let write = |name: &str, text: &str| fs::write(root.join(name), text).unwrap();
    let page = |heading: &str| {
        format!("<!DOCTYPE html><link rel=icon href=data:,><link rel=stylesheet href=style.css><body><h1>{heading}</h1>")
    };
    write("index.html", &page("one"));
    write("style.css", "h1 { color: rgb(1, 0, 0) }");
    let address = example::free_address();
    let serve = || Tool::start_at(address, "live_reload", &[root.to_str().unwrap()]);
    let server = serve();
    let browser = Browser::open(&format!("http://{address}/"));
    let style = "return getComputedStyle(document.querySelector('h1')).color";
    assert_eq!(browser.execute(style), "rgb(1, 0, 0)");

    // A style sheet is swapped: the page is the same, and there is one sheet of that name.
    browser.execute("window.untouched = true");
    for red in 2..4 {
        write("style.css", &format!("h1 {{ color: rgb({red}, 0, 0) }}"));
        browser.wait_until(&format!("{style} === 'rgb({red}, 0, 0)'"));
    }
    browser.wait_until("return document.querySelectorAll('link[rel=stylesheet]').length === 1");
    assert_eq!(browser.execute("return window.untouched"), "true", "the page was loaded again");

    // Anything else reloads it.
    write("index.html", &page("two"));
    wait_for_heading(&browser, "two");
    assert_eq!(browser.execute("return window.untouched"), "undefined");
    browser.execute("window.untouched = true");
    write("data.json", "{}");
    browser.wait_until("return window.untouched === undefined");

    // A restart does, too, also where a proxy answers meanwhile; what was changed is there.
    drop(server);
    let asked = Arc::new(AtomicUsize::new(0));
    let asks = Arc::clone(&asked);
    let proxy = Host::new(move |_: Request| {
        asks.fetch_add(1, Ordering::Relaxed);
        Status::BAD_GATEWAY
    });
    let proxy = proxy.bind(address).start().unwrap();
    eventually("it asks again", || asked.load(Ordering::Relaxed) > 1);
    drop(proxy);
    nobody_listens(address);
    write("index.html", &page("three"));
    let _server = serve();
    wait_for_heading(&browser, "three");

    // A page that is gone comes back when its file does; without it there is a list.
    fs::remove_file(root.join("index.html")).unwrap();
    browser.wait_until(
        "return [...document.querySelectorAll('a')].map(a => a.textContent).join() === 'data.json,style.css'",
    );
    browser.wait_for_text("state", "live");
    browser.execute("location = 'later.html'");
    wait_for_heading(&browser, "Not found");
    write("later.html", &page("later"));
    wait_for_heading(&browser, "later");
}

fn wait_for_heading(browser: &Browser, text: &str) {
    browser.wait_until(&format!("return document.querySelector('h1')?.textContent === '{text}'"));
}
