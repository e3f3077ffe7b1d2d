//! What a page of another origin can do with a tool on this machine, in a real browser.
//!
//! Run it with `cargo test -- --ignored`.

use brooklet::{Content, Cors, Host, Layout, Request, Response, RunningHost};

use crate::webdriver::Browser;

/// `attempt` asks for everything of a tool that a page can, and gathers what it learns.
const PAGE: &str = "<!DOCTYPE html><meta charset=utf-8><title>Foreign</title><link rel=icon href=data:,><body><script>
    function attempt(base, crossOrigin) {
        window.found = {};
        const element = (tag, fields, value) => {
            const made = document.createElement(tag);
            made.onload = () => found[tag] = value(made);
            made.onerror = () => found[tag] = 'refused';
            if (crossOrigin) made.crossOrigin = 'anonymous';
            document.body.append(Object.assign(made, fields));
        };
        const style = getComputedStyle(document.documentElement);
        element('script', { src: base + 'config.js' }, () => window.SECRET);
        element('img', { src: base + 'logo' }, image => image.naturalWidth);
        element('link', { rel: 'stylesheet', href: base + 'style' }, () => style.getPropertyValue('--secret'));
        fetch(base + 'acts', { mode: 'no-cors' }).then(() => found.fetch = 'sent', () => found.fetch = 'refused');
        window.onmessage = message => found.iframe = message.data;
        const frame = document.createElement('iframe');
        document.body.append(Object.assign(frame, { src: base }));
    }
</script>";

const TOOL: &str = "<!DOCTYPE html><meta charset=utf-8><title>Tool</title><link rel=icon href=data:,>
    <script src=config.js></script><script>parent.postMessage('framed with ' + SECRET, '*')</script>";

#[test]
#[ignore = "drives Chromium through chromedriver (Debian: chromium, chromium-driver)"]
fn pages_elsewhere_may_link_and_frame_and_no_more() {
    const ALL: &str = "fetch sent,iframe framed with 7,img 7,link 7,script 7";
    const NONE: &str = "fetch refused,iframe framed with 7,img refused,link refused,script refused";
    const ASKED: &str = "fetch refused,iframe framed with 7,img 7,link 7,script 7";
    // Another origin of the same site, which is the address without the port, and one of another site.
    for address in ["127.0.0.1:0", "127.0.0.2:0"] {
        let page = Host::new(Content::html(PAGE)).bind(address).start().expect("loopback has free ports");
        let origin = format!("http://{}", page.address());
        let usual = tool(|host| host.defaults());
        let cors = tool(|host| host.defaults().cors(Cors::origins([origin.as_str()])));
        let any = tool(|host| host.any_host());
        let browser = Browser::open(&format!("{origin}/"));
        for (tool, says_origin, expected) in [
            (&usual, false, NONE),
            (&usual, true, NONE),
            (&cors, false, NONE),
            (&cors, true, ASKED),
            (&any, false, ALL),
        ] {
            browser.execute(&format!(
                "delete window.SECRET; attempt('http://{}/', {says_origin})",
                tool.address()
            ));
            browser.wait_until("return Object.keys(found).length === 5");
            let found =
                browser.execute("return Object.entries(found).map(pair => pair.join(' ')).sort().join()");
            assert_eq!(found, expected, "from {address}, with crossorigin: {says_origin}");
        }

        browser.execute(&format!("location = 'http://{}/'", usual.address()));
        browser.wait_until("return document.title === 'Tool' && window.SECRET === 7");
    }
}

fn tool(set_up: impl FnOnce(Host) -> Host) -> RunningHost {
    let logo = "<svg xmlns='http://www.w3.org/2000/svg' width='7' height='7'/>";
    let bytes = |media_type: &'static str, text: &'static str| {
        move |_: Request| Response::bytes(media_type, text.as_bytes())
    };
    let app = Layout::new()
        .index(Content::html(TOOL))
        .add("config.js", bytes("text/javascript", "var SECRET = 7"))
        .add("style", bytes("text/css", ":root { --secret: 7 }"))
        .add("logo", bytes("image/svg+xml", logo))
        .add("acts", |_: Request| Response::text("done"));
    set_up(Host::new(app).bind("127.0.0.1:0")).start().expect("loopback has free ports")
}
