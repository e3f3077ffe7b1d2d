//! The page of the `tokens` example in a real browser: words arrive one by one, and a button stops them.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use crate::example::Tool;
use crate::patience::eventually;
use crate::tokens::endless_text;
use crate::webdriver::Browser;

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn words_arrive_until_somebody_stops_them() {
    let text = endless_text("tokens-page");
    let tokens = Tool::start("tokens", &["--text", &text, "--speed", "2"]);
    let browser = Browser::open(&format!("http://{}/", tokens.address));
    ask(&browser, "What about the <b>snow</b>?");
    wait_for(&browser, "document.querySelectorAll('.asked').length", "1");
    browser.wait_until("return document.querySelectorAll('.said span').length >= 5");
    browser.wait_for_text("state", "writing");
    assert_eq!(
        browser.execute("return document.querySelector('.asked').textContent"),
        "What about the <b>snow</b>?"
    );

    browser.execute("document.querySelector('button').click()");
    browser.wait_for_text("state", "ready");
    wait_for(&browser, "document.querySelector('.said small').textContent.startsWith('stopped · ')", "true");
    let written = "document.querySelectorAll('.said span').length";
    let count = browser.execute(&format!("return {written}"));
    eventually("the server hears of it", || tokens.log().contains("cancelled after "));
    assert_eq!(browser.execute(&format!("return {written}")), count, "more came after the stop");

    // The next one is written to its end, and begins with the question's words.
    let address = tokens.address;
    drop(tokens);
    let _fast = Tool::start_at(address, "tokens", &["--speed", "1000"]);
    ask(&browser, "And the water?");
    wait_for(&browser, "document.querySelectorAll('.said').length", "2");
    wait_for(&browser, "document.querySelectorAll('.said')[1].className", "said");
    let note = "document.querySelectorAll('.said small')[1].textContent";
    let note = browser.execute(&format!("return {note}"));
    assert!(note.starts_with("done · ") || note.starts_with("as long as it may be · "), "{note}");
    let said = browser.execute("return document.querySelectorAll('.said p')[1].textContent");
    assert!(said.starts_with("Under a stone in the wood the water "), "{said}");
}

fn ask(browser: &Browser, question: &str) {
    browser.execute(&format!(
        "document.querySelector('textarea').value = '{question}';
        document.forms[0].requestSubmit()"
    ));
}

fn wait_for(browser: &Browser, expression: &str, value: &str) {
    browser.wait_until(&format!("return String({expression}) === '{value}'"));
}
