//! The page of the `ticker_redis` example in a real browser, which loses one instance after the other.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use crate::example::{free_address, serve};
use crate::servers::{Kind, Redis};
use crate::webdriver::Browser;

#[test]
#[ignore = "needs redis-server, nginx, and drives Chromium (Debian: chromium, chromium-driver)"]
fn the_ticker_page_moves_to_another_instance() {
    let redis = Redis::start();
    let addresses = [(); 3].map(|()| free_address());
    let redis_address = redis.address.to_string();
    let start = |address| serve("ticker_redis", address, &[("REDIS_ADDR", &*redis_address)]);
    let mut instances = addresses.map(|address| Some(start(address)));
    let proxy = Kind::Nginx.start("Several behind nginx", &addresses, &[]);
    let url = format!("http://{}/", proxy.address);
    let browser = Browser::open(&url);
    wait_for_account(&browser, "no entries yet");
    // A tab that joins the stream of another knows that it is live, although nothing comes.
    let first = browser.tab();
    browser.open_tab(&url);
    browser.wait_until("return document.body.className === 'live'");
    browser.close_tab();
    browser.switch_to(&first);

    for round in 1..=3 {
        browser.wait_until("return state.textContent.startsWith('live, from ')");
        publish(&browser, "129.5");
        let entries = if round == 1 { String::from("1 entry") } else { format!("{round} entries") };
        wait_for_account(&browser, &format!("{entries}, each once and in order"));
        // The one that serves this page is killed.
        let port = browser.execute("return instance");
        let at =
            addresses.iter().position(|address| address.port().to_string() == port).expect("one of them");
        instances[at] = None;
        browser.wait_until(&format!("return instance !== '{port}' && document.body.className === 'live'"));
        instances[at] = Some(start(addresses[at]));
    }
    assert_eq!(browser.execute("return rows.rows.length"), "3");

    publish(&browser, "");
    browser.wait_until("return trouble.textContent.includes('`price` a number')");
    drop(redis);
    publish(&browser, "1");
    browser.wait_until("return trouble.textContent.includes('Redis cannot be reached')");
}

/// As the form does, which would not let everything through.
fn publish(browser: &Browser, price: &str) {
    browser.execute(&format!("publish(new URLSearchParams({{ symbol: 'AAPL', price: '{price}' }}))"));
}

fn wait_for_account(browser: &Browser, text: &str) {
    browser.wait_until(&format!("return account.textContent === '{text}'"));
}
