//! The page of the `dashboard` example in a real browser: a history after loading, and a gap that can be
//! seen after a restart.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use crate::example::{self, Tool};
use crate::patience::eventually;
use crate::webdriver::Browser;

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn a_page_has_a_history() {
    let tool = Tool::start("dashboard", &["--interval", "50"]);
    eventually("there is a sample", || tool.get("/metrics.json").status == 200);
    let early = sample_time(&tool);
    eventually("there are some more", || sample_time(&tool) > early + 2000);
    let browser = Browser::open(&format!("http://{}/", tool.address));
    browser.wait_for_text("state", "live");
    browser.wait_until(&format!("return samples.length >= 20 && samples[0].time <= {early}"));

    // Each is drawn: a point of the line for each sample that has a value, and what the last one says.
    browser.wait_until("return document.querySelectorAll('#cores li').length === about.cores");
    let points =
        "document.querySelector('#memory .line:last-of-type').getAttribute('d').split(/[ML]/).length - 1";
    browser.wait_until(&format!("return {points} >= 20"));
    for (card, unit) in [("cpu", " %"), ("memory", "iB")] {
        let value =
            browser.execute(&format!("return document.querySelector('#{card} .values b').textContent"));
        assert!(value.ends_with(unit), "{card}: {value}");
    }
    browser.execute("window.before = samples.length");
    browser.wait_until("return samples.length > window.before + 5");
}

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn a_page_shows_what_it_has_missed() {
    let address = example::free_address();
    let start = || Tool::start_at(address, "dashboard", &["--interval", "200"]);
    let tool = start();
    let browser = Browser::open(&format!("http://{address}/"));
    browser.wait_until("return samples.length >= 5");
    browser.execute("window.last = samples.at(-1).time");

    // While nobody answers, time goes on; what was there stays.
    drop(tool);
    browser.wait_for_text("state", "reconnecting");
    browser.wait_until("return document.querySelectorAll('#memory .gap').length >= 1");

    // Another server knows nothing of before.
    let _tool = start();
    browser.wait_for_text("state", "live");
    browser.wait_until("return samples.at(-1).time > window.last + 2000");
    browser.wait_until("return document.querySelectorAll('#memory .gap').length >= 1");
    let runs = "document.querySelector('#memory .line:last-of-type').getAttribute('d').split('M').length - 1";
    browser.wait_until(&format!("return {runs} >= 2"));
}

fn sample_time(tool: &Tool) -> u64 {
    let sample = String::from_utf8(tool.get("/metrics.json").body).unwrap();
    sample.split([':', ',']).nth(1).unwrap().parse().unwrap()
}
