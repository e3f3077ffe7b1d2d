//! The page of the `chat` example in two real browsers: what one says the other sees, through a restart.
//!
//! Run it with `cargo test -- --ignored`; plain `cargo test` has built the example already.

use crate::example;
use crate::webdriver::Browser;

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn two_people_talk_through_a_restart() {
    let address = example::free_address();
    let server = example::serve("chat", address, &[]);
    let join = |name| join(&format!("http://{address}/#tea"), name);
    let (ada, bob) = (join("Ada"), join("Bob"));
    for browser in [&ada, &bob] {
        wait_for(browser, "who", "Ada|Bob");
    }

    // What is said arrives as text, and is marked where it comes from.
    say(&ada, "Is <b>anybody</b> there?");
    say(&bob, "two\\nlines");
    for (browser, mine) in [(&ada, "true|false"), (&bob, "false|true")] {
        wait_for(browser, "said", "Ada: Is <b>anybody</b> there?|Bob: two\nlines");
        let marks = "[...document.querySelectorAll('.message')].map(item => item.matches('.mine')).join('|')";
        assert_eq!(browser.execute(&format!("return {marks}")), mine);
    }

    // Who leaves is gone, who comes sees what was said.
    drop(bob);
    wait_for(&ada, "who", "Ada");
    let bob = join("Bob");
    wait_for(&bob, "said", "Ada: Is <b>anybody</b> there?|Bob: two\nlines");
    wait_for(&ada, "who", "Ada|Bob");

    // A restart forgets what was said, but pages do not, and say so; what cannot be sent stays to be sent.
    for browser in [&ada, &bob] {
        browser.execute("window.untouched = true");
    }
    drop(server);
    for browser in [&ada, &bob] {
        browser.wait_for_text("state", "reconnecting");
    }
    say(&ada, "lost?");
    ada.wait_until("return document.getElementById('trouble').textContent.startsWith('Not sent')");
    let _server = example::serve("chat", address, &[]);
    for browser in [&ada, &bob] {
        browser.wait_for_text("state", "live");
        wait_for(browser, "who", "Ada|Bob");
    }
    assert_eq!(ada.execute("return document.getElementById('text').value"), "lost?");
    say(&ada, "not lost");
    let gap = "The server was restarted. Some messages may be missing here.";
    let all = format!("Ada: Is <b>anybody</b> there?|Bob: two\nlines|{gap}|Ada: not lost");
    for browser in [&ada, &bob] {
        wait_for(browser, "said", &all);
        assert_eq!(browser.execute("return window.untouched"), "true", "the page was loaded again");
    }

    // Another room is another conversation, in the same stream: what is said in the first is heard of.
    bob.execute("location.hash = '#den'");
    wait_for(&bob, "who", "Bob");
    wait_for(&bob, "said", "");
    wait_for(&ada, "who", "Ada|Bob");
    say(&bob, "alone here");
    say(&ada, "still there?");
    bob.wait_until("return document.querySelector('.unread')?.href.endsWith('#tea') ?? false");
    wait_for(&bob, "said", "Bob: alone here");
    wait_for(&bob, "rooms", "den1|tea2");

    // Back again everything is there, and nothing twice; who leaves is gone.
    bob.execute("location.hash = '#tea'");
    let all = format!("{all}|Ada: still there?");
    wait_for(&bob, "said", &all);
    bob.wait_until("return !document.querySelector('.unread')");
    bob.execute("document.querySelector('#rooms button').click()");
    wait_for(&bob, "said", "Bob: alone here");
    wait_for(&ada, "who", "Ada");

    // A name that the server would refuse is not taken, since the page would be without a stream.
    set_name(&ada, "A\\u200dda");
    assert_eq!(ada.execute("return localStorage.getItem('name')"), "Ada");
    set_name(&ada, "Ad\u{e4}");
    wait_for(&ada, "who", "Ad\u{e4}");
}

fn join(url: &str, name: &str) -> Browser {
    let browser = Browser::open(url);
    set_name(&browser, name);
    browser.wait_for_text("state", "live");
    browser
}

fn set_name(browser: &Browser, name: &str) {
    browser.execute(&format!(
        "const field = document.getElementById('name');
        field.value = '{name}';
        field.dispatchEvent(new Event('change'));"
    ));
}

/// Types a message, and Enter.
fn say(browser: &Browser, text: &str) {
    browser.execute(&format!(
        "const field = document.getElementById('text');
        field.value = '{text}';
        field.dispatchEvent(new KeyboardEvent('keydown', {{ key: 'Enter', cancelable: true }}));"
    ));
}

/// Waits until a list has just these items; of a message, who said what.
fn wait_for(browser: &Browser, list: &str, items: &str) {
    browser.wait_until(&format!(
        "const text = item => item.matches('.message')
                ? `${{item.querySelector('b').textContent}}: ${{item.querySelector('p').textContent}}`
                : item.textContent;
            return [...document.getElementById('{list}').children].map(text).join('|') === `{items}`"
    ));
}
