//! Layouts: which handler a path leads to, and what of it is left there.

use super::{Site, NOT_FOUND};
use brooklet::{Layout, Request, Response};

/// Says which handler it is, and what of the path is left to it.
fn says(name: &'static str) -> impl Fn(Request) -> Response + Send + Sync + 'static {
    move |request: Request| Response::text(format!("{name} {}", request.target().as_str()))
}

#[test]
fn a_name_is_a_whole_segment() {
    let site = Site::new(Layout::new().add("stock", says("stock")).add("über uns", says("about")));
    site.check("/stock", 200, "stock ");
    site.check("/stock/", 200, "stock /");
    site.check("/stock/x", 200, "stock /x");
    site.check("/stock/x/y/?z", 200, "stock /x/y/");
    site.check("//stock//x", 200, "stock //x");
    site.check("/st%6Fck", 200, "stock "); // compared decoded
    site.check("/%C3%BCber%20uns/x%20y", 200, "about /x y");
    site.check("/", 404, NOT_FOUND);
    site.check("/stocks", 404, NOT_FOUND);
    site.check("/stoc", 404, NOT_FOUND);
    site.check("/Stock", 404, NOT_FOUND);
    site.check("/x/stock", 404, NOT_FOUND);
    site.check("/stock?/../x", 200, "stock "); // that is a query
}

#[test]
fn layouts_in_layouts() {
    let users = Layout::new().index(says("users")).add("new", says("new")).fallback(says("user"));
    let site = Site::new(
        Layout::new()
            .index(says("home"))
            .add("users", users)
            .add("api/v1/time", says("time"))
            .add("api/v1/date", says("date"))
            .add("api/v2", says("v2"))
            .add("empty", Layout::new()),
    );
    site.check("/", 200, "home /");
    site.check("/users/", 200, "users /");
    site.check("/users/new", 200, "new ");
    site.check("/users/new/x", 200, "new /x");
    site.check("/users/ada/x", 200, "user /ada/x"); // a fallback gets all that is left
    site.check("/users/newer", 200, "user /newer");
    site.check("/api/v1/time", 200, "time ");
    site.check("/api/v1/date/x", 200, "date /x");
    site.check("/api/v2/x", 200, "v2 /x");
    site.check("/api", 404, NOT_FOUND);
    site.check("/api/", 404, NOT_FOUND);
    site.check("/api/v1", 404, NOT_FOUND);
    site.check("/api/v3", 404, NOT_FOUND);
    site.check("/empty", 404, NOT_FOUND);
    site.check("/empty/", 404, NOT_FOUND);
    site.check("/other", 404, NOT_FOUND);
}

#[test]
fn a_fallback_gets_what_nobody_answers() {
    let site = Site::new(
        Layout::new()
            .fallback(says("rest"))
            .add("a", says("a"))
            .add("own", Layout::new().add("x", says("x"))),
    );
    site.check("/", 200, "rest /");
    site.check("/b", 200, "rest /b");
    site.check("/b/c/", 200, "rest /b/c/");
    site.check("/a", 200, "a ");
    site.check("/own/x", 200, "x ");
    site.check("/own/y", 404, NOT_FOUND); // a layout of one's own answers for itself
}

/// Several segments at once are a way, not a layout that somebody wrote: what is beside it is nobody's.
#[test]
fn a_fallback_gets_what_is_beside_several_segments() {
    let site = Site::new(Layout::new().add("api/v1/time", says("time")).fallback(says("rest")));
    site.check("/api/v1/time", 200, "time ");
    site.check("/other", 200, "rest /other");
    site.check("/api/v2", 200, "rest /api/v2");
    site.check("/api/v1", 200, "rest /api/v1");
}

/// Relative links on the index of a layout work only below `/name/`. The redirect is relative, so that it
/// is right behind a proxy that serves us under a prefix, and keeps method, body and query.
#[test]
fn the_index_is_at_the_slash() {
    let nested = Layout::new().index(says("index"));
    let deep = Layout::new().add("inner", Layout::new().index(says("inner")));
    let site = Site::new(
        Layout::new().add("app", nested).add("deep", deep).add("a b", Layout::new().index(says("s"))),
    );
    check(&site, "/app", "./app/");
    check(&site, "/app?", "./app/?");
    check(&site, "/app?a=b&c=%2F?d", "./app/?a=b&c=%2F?d");
    check(&site, "/deep/inner?x", "./inner/?x");
    check(&site, "/a%20b", "./a%20b/");
    site.check("/app/", 200, "index /");
    site.check("/app/?a=b", 200, "index /");
    site.check("/app/x", 404, NOT_FOUND);
    site.check("/deep", 404, NOT_FOUND);

    #[track_caller]
    fn check(site: &Site, target: &str, location: &str) {
        for method in ["GET", "HEAD", "POST"] {
            let page = site.ask(method, target, &[]);
            assert_eq!((page.status, page.field("Location")), (308, Some(location)), "{method} {target}");
        }
    }
}

#[test]
#[should_panic(expected = "there is a handler at `stock` already")]
fn the_same_name_twice() {
    let _ = Layout::new().add("stock", says("a")).add("stock", says("b"));
}

#[test]
#[should_panic(expected = "there is a handler at `/a/b/` already")]
fn the_same_way_twice() {
    let _ = Layout::new().add("a/b", says("a")).add("/a/b/", says("b"));
}

#[test]
#[should_panic(expected = "there is a handler at `a` already")]
fn a_handler_on_the_way() {
    let _ = Layout::new().add("a/b", says("a")).add("a", says("b"));
}

#[test]
#[should_panic(expected = "`a` on the way to `a/b` is a handler already")]
fn a_way_through_a_handler() {
    let _ = Layout::new().add("a", says("a")).add("a/b", says("b"));
}

#[test]
#[should_panic(expected = "`/` names no segment")]
fn a_name_without_a_segment() {
    let _ = Layout::new().add("/", says("a"));
}

#[test]
#[should_panic(expected = "has an index already")]
fn two_indexes() {
    let _ = Layout::new().index(says("a")).index(says("b"));
}

#[test]
#[should_panic(expected = "has a fallback already")]
fn two_fallbacks() {
    let _ = Layout::new().fallback(says("a")).fallback(says("b"));
}

/// An error of the programmer is reported at the programmer's line.
#[test]
fn panics_name_the_callers_file() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let before = std::panic::take_hook();
    let test = std::thread::current().id();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == test {
            sender.send(panic.location().map(|location| location.file().to_owned())).ok();
        } else {
            before(panic); // another test's
        }
    }));
    let result = std::panic::catch_unwind(|| Layout::new().add("a", says("a")).add("a", says("b")));
    drop(std::panic::take_hook());
    assert!(result.is_err());
    assert_eq!(receiver.recv().unwrap().as_deref(), Some(file!()));
}
