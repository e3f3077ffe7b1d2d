//! Closures: what they may return, and what a request tells them.

use super::{Site, NOT_FOUND};
use brooklet::{testing::Client, Content, Layout, Request, Response, Status};

#[test]
fn closures() {
    let sum = |request: Request| -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
        let numbers = request.query_all("n").map(str::parse::<i32>).collect::<Result<Vec<_>, _>>()?;
        Ok(Response::json(format!("{{\"sum\":{}}}", numbers.iter().sum::<i32>())))
    };
    let query = |request: Request| {
        let pairs: Vec<_> = request.query_pairs().map(|(key, value)| format!("{key}={value}")).collect();
        Response::text(format!("{:?} {}", request.query("a"), pairs.join("|")))
    };
    let fields = |request: Request| {
        Response::new(Status::CREATED)
            .header("Location", "/elsewhere")
            .header("X-Replaced", "1")
            .header("x-replaced", "2")
            .add_header("Set-Cookie", "a=1")
            .add_header("Set-Cookie", "b=2")
            .header("X-Echo", format!("{:?}", request.header("x-question")))
            .header("X-Clean", String::from("a\r\nX-Forged: b"))
    };
    let site = Site::new(Layout::new().add("sum", sum).add("query", query).add("fields", fields));
    site.check("/sum?n=1&n=2&m=9&n=3", 200, "{\"sum\":6}");
    assert_eq!(site.get("/sum").field("Content-Type"), Some("application/json"));
    site.check("/sum?n=x", 500, "500 Internal Server Error\n");
    site.check("/query?a=1&b=2&a=3", 200, "Some(\"1\") a=1|b=2|a=3");
    site.check("/query?a=x+y%20z%2Bw&%C3%BC=%26", 200, "Some(\"x y z+w\") a=x y z+w|ü=&");
    site.check("/query?a&=b&&c==", 200, "Some(\"\") a=|=b|c==");
    site.check("/query", 200, "None ");

    let page = site.ask("PUT", "/fields", &[("X-Question", "why")]);
    assert_eq!((page.status, page.body.as_str()), (201, ""));
    assert_eq!(page.field("Location"), Some("/elsewhere"));
    assert_eq!(page.field("X-Echo"), Some("Some(\"why\")"));
    assert_eq!(page.field("X-Clean"), Some("a  X-Forged: b"));
    let all = |name: &str| page.fields.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("X-Replaced"), ["2"]);
    assert_eq!(all("Set-Cookie"), ["a=1", "b=2"]);
    assert_eq!(all("X-Forged"), [] as [&str; 0]);
}

/// A client of ordinary manners keeps its connection.
#[test]
fn one_connection_for_many_pages() {
    let site = Site::new(
        Layout::new().index(Content::text("x")).add("none", |_: Request| Response::new(Status::NO_CONTENT)),
    );
    for _ in 0..20 {
        site.check("/", 200, "x");
        site.check("/missing", 404, NOT_FOUND);
        site.check("/none", 204, "");
    }
    assert_eq!(site.host.stats().accepted, 1);
}

/// A body is a form by its type alone.
#[test]
fn forms() {
    check("application/x-www-form-urlencoded", "Some(\"green tea\")");
    check("Application/X-WWW-Form-Urlencoded; charset=utf-8", "Some(\"green tea\")");
    check("text/plain", "None");
    check("", "None");

    #[track_caller]
    fn check(media_type: &str, expected: &str) {
        let text = |request: Request| Response::text(format!("{:?}", request.form().get("text")));
        let client = Client::new("POST", "/").header("Content-Type", media_type).body("text=green+tea");
        assert_eq!(client.in_memory(&text).run().text(), expected, "{media_type:?}");
    }
}
