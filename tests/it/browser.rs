//! The pages of the examples `stock` and `tour` in a real browser: through a restart, and with answers of all kinds.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use crate::example;
use crate::webdriver::Browser;

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn the_stock_page_outlives_its_server() {
    let address = example::free_address();
    let server = example::serve("stock", address, &[]);
    let browser = Browser::open(&format!("http://{address}/"));
    browser.wait_for_text("state", "live");
    wait_for_new_prices(&browser); // the first ones
    wait_for_new_prices(&browser);

    browser.execute("window.untouched = true");
    drop(server);
    browser.wait_for_text("state", "reconnecting");

    let _server = example::serve("stock", address, &[]);
    browser.wait_for_text("state", "live");
    wait_for_new_prices(&browser);
    assert_eq!(browser.execute("return window.untouched"), "true", "the page was loaded again");
}

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn the_tour_page_shows_answers() {
    let address = example::free_address();
    let _server = example::serve("tour", address, &[]);
    let browser = Browser::open(&format!("http://{address}/"));
    browser.wait_for_text("state", "live");
    browser.wait_until("return document.querySelectorAll('li').length > 20");
    let answer = |path: &str, expected: &str| {
        let item = format!(
            "[...document.querySelectorAll('li')].find(item => item.textContent.startsWith('{path}'))"
        );
        browser.execute(&format!("{item}.querySelector('button').click()"));
        browser.wait_until(&format!("return {item}.querySelector('pre').textContent.includes(`{expected}`)"));
        browser.execute(&format!("{item}.querySelector('button').click()")); // closes it
    };
    answer("/stock?ms=200", "event: ");
    answer("/resume?n=8… the rest", "id: 8");
    answer("/resume?n=8… and 204", "204 No Content");
    answer("/tokens", "data: [DONE]");
    answer("/lastid… then", "data: x");
    answer("/idle", ":");
    answer("/echo", "200 OK application/octet-stream\n\nhello");
    answer("/error", "500 Internal Server Error");
    answer("/query", "a=b c\nd=é");
    answer("/metrics", "200 OK");
    answer("/anything", "404 Not Found");
}

/// Waits until every symbol shows another price than it does now.
fn wait_for_new_prices(browser: &Browser) {
    let prices = "['AAPL', 'GOOGL', 'MSFT'].map(id => document.querySelector(`#${id} .price`).textContent)";
    browser.execute(&format!("window.before = {prices}"));
    let condition = format!("return {prices}.every((price, i) => price > 0 && price !== window.before[i])");
    browser.wait_until(&condition);
}
