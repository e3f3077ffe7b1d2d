//! The page of the `stock` example in a real browser, through a restart of its server.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use crate::webdriver::{Browser, Process};

/// The server picks one of three symbols each second: in a minute it misses one of them in 1 of 10^10 runs.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn the_stock_page_outlives_its_server() {
    let address = free_address();
    let server = start_stock(address);
    let browser = Browser::open(&format!("http://{address}/"));
    wait_for_state(&browser, "live");
    wait_for_new_prices(&browser); // the first ones
    wait_for_new_prices(&browser);

    browser.execute("window.untouched = true");
    drop(server);
    wait_for_state(&browser, "reconnecting");

    let _server = start_stock(address);
    wait_for_state(&browser, "live");
    wait_for_new_prices(&browser);
    assert_eq!(browser.execute("return window.untouched"), "true", "the page was loaded again");
}

fn wait_for_state(browser: &Browser, state: &str) {
    let condition = format!("return document.getElementById('state').textContent === '{state}'");
    browser.wait_until(DEADLINE, &condition);
}

/// Waits until every symbol shows another price than it does now.
fn wait_for_new_prices(browser: &Browser) {
    let prices = "['AAPL', 'GOOGL', 'MSFT'].map(id => document.querySelector(`#${id} .price`).textContent)";
    browser.execute(&format!("window.before = {prices}"));
    let condition = format!("return {prices}.every((price, i) => price > 0 && price !== window.before[i])");
    browser.wait_until(DEADLINE, &condition);
}

/// Runs the `stock` example until the returned value is dropped.
fn start_stock(address: SocketAddr) -> Process {
    let mut command = Command::new(example("stock"));
    let mut server = Process::spawn(command.env("PORT", address.port().to_string()).stdout(Stdio::null()));

    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(server.is_running(), "the example ended before it served {address}");
        assert!(started.elapsed() < DEADLINE, "the example does not serve {address}");
        thread::sleep(Duration::from_millis(20));
    }
    server
}

/// Finds the binary of an example: this test is `target/debug/deps/it-…`, and that is
/// `target/debug/examples/<name>`.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the system knows what it runs");
    let target = test.ancestors().nth(2).expect("cargo puts tests into `deps`");
    let binary = target.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    assert!(binary.exists(), "`cargo build --example {name}` makes {}", binary.display());
    binary
}

/// An address that was free a moment ago. The server cannot choose its own: it has to come back to it.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address")
}
