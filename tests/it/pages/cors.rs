//! What answers say of the pages that may read them, as bytes; the browsers' tests show that browsers understand it.

use super::{Page, Site};
use brooklet::{Cors, Host, Layout, Request, Response};

const FRIEND: (&str, &str) = ("Origin", "https://friend.example");
const STRANGER: (&str, &str) = ("Origin", "https://stranger.example");
const ASKS: (&str, &str) = ("Access-Control-Request-Method", "PUT");

fn site(cors: Cors) -> Site {
    let app = Layout::new().add("a", |_: Request| Response::text("a"));
    Site::of(Host::new(app).cors(cors))
}

/// The status, who may read, whether with credentials, and whether it differs by origin.
fn told(page: &Page) -> (u16, Option<&str>, Option<&str>, Option<&str>) {
    let field = |name| page.field(name);
    (
        page.status,
        field("Access-Control-Allow-Origin"),
        field("Access-Control-Allow-Credentials"),
        field("Vary"),
    )
}

#[test]
fn who_may_read() {
    let friend = Some(FRIEND.1);
    let listed = || Cors::origins(["https://other.example", FRIEND.1]);
    for (cors, fields, expected) in [
        (listed(), &[FRIEND][..], (200, friend, None, Some("Origin"))),
        (listed(), &[STRANGER], (200, None, None, Some("Origin"))),
        (listed(), &[("Origin", "https://friend.example:8443")], (200, None, None, Some("Origin"))),
        (listed(), &[("Origin", "null")], (200, None, None, Some("Origin"))),
        (listed(), &[], (200, None, None, Some("Origin"))),
        (listed().credentials(), &[FRIEND], (200, friend, Some("true"), Some("Origin"))),
        (listed().credentials(), &[STRANGER], (200, None, None, Some("Origin"))),
        (Cors::any_origin(), &[STRANGER], (200, Some("*"), None, None)),
        (Cors::any_origin(), &[], (200, Some("*"), None, None)),
    ] {
        let what = format!("{cors:?}, {fields:?}");
        let site = site(cors);
        assert_eq!(told(&site.ask("GET", "/a", fields)), expected, "{what}");
        // Errors say the same.
        let page = site.ask("GET", "/missing", fields);
        assert_eq!(told(&page), (404, expected.1, expected.2, expected.3), "{what}");
    }
}

#[test]
fn what_browsers_ask_before() {
    const METHODS: Option<&str> = Some("GET, HEAD, POST, PUT, PATCH, DELETE");
    const NAMES: &str = "Authorization, Cache-Control, Content-Type, Last-Event-ID";
    let listed = || Cors::origins([FRIEND.1]);
    let more = format!("{NAMES}, X-Request-Id");
    // The handler has no say where the host answers, and the only one where it does not.
    for (cors, method, fields, status, names) in [
        (listed(), "OPTIONS", &[FRIEND, ASKS][..], 204, Some(NAMES)),
        (listed(), "OPTIONS", &[STRANGER, ASKS], 200, None),
        (listed(), "OPTIONS", &[ASKS], 200, None),
        (listed(), "OPTIONS", &[FRIEND], 200, None),
        (listed(), "GET", &[FRIEND, ASKS], 200, None),
        (listed().header("X-Request-Id"), "OPTIONS", &[FRIEND, ASKS], 204, Some(&*more)),
        (Cors::any_origin(), "OPTIONS", &[STRANGER, ASKS], 204, Some(NAMES)),
    ] {
        let what = format!("{cors:?}, {method}, {fields:?}");
        let page = site(cors).ask(method, "/a", fields);
        assert_eq!(page.status, status, "{what}");
        assert_eq!(page.field("Access-Control-Allow-Headers"), names, "{what}");
        assert_eq!(page.field("Access-Control-Allow-Methods"), names.and(METHODS), "{what}");
        assert_eq!(page.field("Access-Control-Max-Age"), names.and(Some("7200")), "{what}");
    }
}

/// Pages that may read may act, and no others.
#[test]
fn who_may_act() {
    let site = site(Cors::origins([FRIEND.1]));
    assert_eq!(site.ask("POST", "/a", &[FRIEND]).status, 200);
    assert_eq!(site.ask("POST", "/a", &[STRANGER]).status, 403);
    assert_eq!(site.ask("POST", "/a", &[]).status, 200);
}
