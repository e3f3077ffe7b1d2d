//! The page of the `pipe` example in a real browser: history, colours, filter, a flood, and a restart.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::example::{self, Tool};
use crate::webdriver::Browser;

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn the_pipe_page_shows_what_matters() {
    let file = example::folder("pipe-browser").join("app.log");
    fs::write(&file, "history <b>1</b>\n\x1b[1;31mred\x1b[0m and plain \x1b]0;title\x07\x02\n").unwrap();
    let address = example::free_address();
    let start = || Tool::start_at(address, "pipe", &[file.to_str().unwrap()]);
    let server = start();
    let browser = Browser::open(&format!("http://{address}/"));
    browser.wait_for_text("state", "live");

    // History, as text; ANSI colours and styles, and nothing else of ANSI.
    wait_for_rows(&browser, "history <b>1</b>|red and plain \u{2402}");
    let style = "const span = document.querySelector('.rows span');
        return `${span.textContent} ${span.className} ${getComputedStyle(span).color !== getComputedStyle(document.body).color}`";
    assert_eq!(browser.execute(style), "red bold true");

    // Lines appear while they come.
    append(&file, "request 1 took 12 ms\nERROR request 2 failed\n");
    wait_for_last(&browser, "ERROR request 2 failed");
    assert_eq!(
        browser.execute("return document.querySelector('.trouble').textContent"),
        "ERROR request 2 failed"
    );

    // The filter: text in any case, a pattern, and all but.
    filter(&browser, "error");
    wait_for_rows(&browser, "ERROR request 2 failed");
    assert_eq!(browser.execute("return document.querySelector('mark').textContent"), "ERROR");
    filter(&browser, "Request"); // a capital stands for itself
    wait_for_rows(&browser, "");
    filter(&browser, "/\\\\d+ ms$/");
    wait_for_rows(&browser, "request 1 took 12 ms");
    filter(&browser, "!request");
    wait_for_rows(&browser, "history <b>1</b>|red and plain \u{2402}");
    filter(&browser, "/(/"); // no pattern: the last one stays
    assert_eq!(browser.execute("return filter.ariaInvalid"), "true");
    wait_for_rows(&browser, "history <b>1</b>|red and plain \u{2402}");
    filter(&browser, "");

    // A flood: the newest line is there, the page has few rows, goes on to draw frames, and has lost no line.
    let flood: String =
        (0..20_000).map(|number| format!("line {number} of a flood that has some length\n")).collect();
    append(&file, &flood);
    wait_for_last(&browser, "line 19999 of a flood that has some length");
    let rows: u32 = browser.execute("return document.querySelectorAll('.rows > *').length").parse().unwrap();
    assert!((100..=600).contains(&rows), "{rows} rows");
    browser.execute("window.frames = 0; (function count() { frames++; requestAnimationFrame(count); })()");
    browser.wait_until("return window.frames > 3");
    assert_eq!(browser.execute("return lines.length"), "20004", "a line was lost");

    // Paused, nothing moves; resumed, nothing is missing.
    browser.execute("document.getElementById('pause').click()");
    append(&file, "while it was paused\n");
    browser.wait_until("return document.getElementById('more').textContent === '↓ 1 new line'");
    assert!(last(&browser).starts_with("line 19999 "));
    // Who scrolls up finds more rows than are shown while it follows.
    browser.execute("document.getElementById('log').scrollTop = 0");
    browser.wait_until(&format!("return document.querySelectorAll('.rows > *').length >= {}", rows + 100));
    browser.execute("document.getElementById('more').click()");
    wait_for_last(&browser, "while it was paused");

    // A restart: visible, and nothing twice.
    drop(server);
    browser.wait_for_text("state", "reconnecting");
    append(&file, "while it was away\n");
    let _server = start();
    browser.wait_for_text("state", "live");
    wait_for_last(&browser, "while it was away");
    let gap = browser.execute("return document.querySelector('.gap').textContent");
    assert!(gap.starts_with("The server was restarted at "), "{gap}");
    assert!(gap.ends_with(". 4,999 lines it sent again are above."), "{gap}");
    let texts = "lines.filter(line => line.level !== 'gap').map(line => line.text)";
    assert_eq!(browser.execute(&format!("return {texts}.length")), "20006");
    assert_eq!(
        browser.execute(&format!("return new Set({texts}).size")),
        "20006",
        "something is there twice"
    );
    append(&file, "and on\n");
    wait_for_last(&browser, "and on");

    // A tab that is hidden has no frames, and keeps no more lines than others.
    browser.execute("requestAnimationFrame = () => 0");
    for round in 1..=3 {
        append(&file, &flood.replace("line ", &format!("{round}. line ")));
        browser.wait_until(&format!("return lines.at(-1).text.startsWith('{round}. line 19999 ')"));
    }
    let kept: u32 = browser.execute("return lines.length").parse().unwrap();
    assert!((50_000..=62_000).contains(&kept), "{kept} lines");
}

/// A pattern that would take for ever is given up, and one from the address is not even tried: whoever made that address
/// could learn what is in the log by whether the page hangs.
#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn patterns_are_given_up() {
    let file = example::folder("pipe-patterns").join("app.log");
    let secret = format!("password=hunter2{}", "a".repeat(60));
    fs::write(&file, format!("{secret}\n\x1b[31mred\x1b[0m and plain\n")).unwrap();
    let server = Tool::start("pipe", &[file.to_str().unwrap()]);
    let pattern = r"/^password=h(\w|\w)+!$/";
    let browser = Browser::open(&format!("http://{}/#{pattern}", server.address));
    browser.wait_for_text("state", "live");
    let all = format!("{secret}|red and plain");
    wait_for_rows(&browser, &all);
    assert_eq!(browser.execute("return filter.value"), pattern);
    let found = "return document.getElementById('found').textContent";
    assert_eq!(browser.execute(found), "Enter applies this pattern.");

    browser.execute("filter.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }))");
    browser.wait_until(&format!("{found} === 'This pattern takes too long.'"));
    wait_for_rows(&browser, &all);
    filter(&browser, "/D A/i");
    wait_for_rows(&browser, "red and plain");
    // What is found is marked, whatever its colours.
    let marks = "return [...document.querySelectorAll('mark')].map(mark => mark.textContent).join('+')";
    assert_eq!(browser.execute(marks), "d+ a");
    // Text from the address is applied at once.
    browser.execute("location.hash = '#plain'");
    wait_for_rows(&browser, "red and plain");
    assert_eq!(browser.execute(found), "1 of 2");
}

fn append(file: &Path, text: &str) {
    OpenOptions::new().append(true).open(file).unwrap().write_all(text.as_bytes()).unwrap();
}

fn filter(browser: &Browser, text: &str) {
    browser.execute(&format!(
        "const field = document.getElementById('filter');
        field.value = '{text}';
        field.dispatchEvent(new Event('input'));"
    ));
}

fn last(browser: &Browser) -> String {
    browser.execute("return document.getElementById('log').lastElementChild?.lastElementChild?.textContent")
}

fn wait_for_last(browser: &Browser, text: &str) {
    let last = "document.getElementById('log').lastElementChild?.lastElementChild?.textContent";
    browser.wait_until(&format!("return {last} === `{text}`"));
}

fn wait_for_rows(browser: &Browser, texts: &str) {
    let rows = "[...document.querySelectorAll('.rows > *')].map(row => row.textContent).join('|')";
    browser.wait_until(&format!("return {rows} === `{texts}`"));
}
