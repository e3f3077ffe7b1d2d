//! The page of the `progress` example in a real browser: it sees the job to its end, and does not come back then.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use std::fs;

use crate::example::{folder, Tool};
use crate::progress::last_file;
use crate::webdriver::Browser;

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn a_page_sees_the_job_to_its_end() {
    let root = folder("progress-page");
    for name in ["one", "<b>two", "three"] {
        fs::write(root.join(name), [b'x'; 200 * 1024]).unwrap();
    }
    std::os::unix::fs::symlink("/nowhere", root.join("gone")).unwrap();
    let last = last_file(&root);
    let tool = Tool::start("progress", &["--rate", "250", root.to_str().unwrap()]);
    let url = format!("http://{}/", tool.address);
    let browser = Browser::open(&url);
    browser.wait_for_text("state", "live");
    let percent = "parseInt(document.getElementById('percent').textContent)";
    browser.wait_until(&format!("return {percent} > 0"));
    let early: u32 = browser.execute(&format!("return {percent}")).parse().unwrap();
    assert!(early < 100);
    browser.wait_until(&format!("return {percent} > {early}"));
    assert_eq!(browser.execute("return document.querySelector('#troubles li span').textContent"), GONE);

    last.set_len(0).unwrap();
    let listed =
        "return [...document.querySelectorAll('#sums b')].map(item => item.textContent.split('/').pop())";
    browser.wait_for_text("state", "done");
    browser.wait_for_text("percent", "100 %");
    browser.wait_until("return !document.getElementById('result').hidden");
    let first = "return document.querySelector('#sums b').textContent";
    assert!(browser.execute(first).ends_with("/<b>two"), "{}", browser.execute(first));
    assert_eq!(browser.execute(&format!("{listed}.length")), "4");

    let is_closed = "return source.readyState === EventSource.CLOSED"; // such a one never comes back
    browser.wait_until(is_closed);

    // A page that is loaded now shows the result.
    drop(browser);
    let later = Browser::open(&url);
    later.wait_for_text("state", "done");
    later.wait_for_text("percent", "100 %");
    assert_eq!(later.execute(is_closed), "true"); // by 204
    assert_eq!(later.execute(&format!("{listed}.length")), "4");
    assert_eq!(later.execute("return document.querySelector('#troubles li span').textContent"), GONE);
}

const GONE: &str = "No such file or directory (os error 2)";
