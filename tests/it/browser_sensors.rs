//! The page of the `sensors` example in a real browser: what is left out of it is left out of its stream.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use crate::example::{free_address, Tool};
use crate::webdriver::Browser;

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn a_page_says_what_it_wants() {
    let address = free_address();
    let tool = Tool::start_at(address, "sensors", &[]);
    let browser = Browser::open(&format!("http://{address}/"));
    let is_live = "return state.textContent === 'live'";
    let all_move = "return cards.size === 20 && [...cards.values()].every(card => card.values.length > 3)";
    browser.wait_until(is_live);
    browser.wait_until(all_move);
    let first = "document.querySelector('label[style*=\"order: 1;\"]')";
    let shown = browser.execute(&format!("return {first}.innerText.replace(/\\s+/g, ' ')"));
    assert!(shown.starts_with("Kitchen, temperature ") && shown.ends_with(" °C"), "{shown}");

    // All but two are left out: of those it hears no more.
    browser.execute("for (const [sensor, card] of cards) if (sensor > 2) card.box.checked = false");
    browser.execute("cards.get(3).box.onchange(); window.kept = cards.get(3).values.length");
    let moves = "cards.get(1).values.at(-1) !== window.seen && source.readyState === 1";
    for _ in 0..3 {
        browser.execute("window.seen = cards.get(1).values.at(-1)");
        browser.wait_until(&format!("return {moves}"));
    }
    let asked = "const { searchParams } = new URL(source.url);
        return [searchParams.get('pace'), ...searchParams.get('of').split(',').sort()]";
    assert_eq!(browser.execute(asked), "500,1,2");
    assert_eq!(browser.execute("return cards.get(3).values.length === window.kept"), "true");
    browser.execute("pace.value = 0; pace.onchange()");
    assert_eq!(browser.execute(asked), "0,1,2");

    // It outlives its server, and what it shows meanwhile says so.
    drop(tool);
    browser.wait_until("return state.textContent === 'reconnecting' && document.body.className === ''");
    let _tool = Tool::start_at(address, "sensors", &[]);
    browser.wait_until(is_live);
    browser.execute("for (const { box } of cards.values()) box.checked = true; pace.onchange()");
    browser.execute("window.lengths = [...cards.values()].map(card => card.values.length)");
    browser.wait_until(
        "return [...cards.values()].every((card, at) => card.values.length > Math.min(lengths[at], 59))",
    );
}
