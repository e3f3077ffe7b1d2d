//! The `live_reload` example as a program: what of a folder is served, what is not, and what pages are told.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use brooklet::testing::Message;

use crate::example::{ask, check_refusal, folder, Tool};
use crate::patience::{eventually, DEADLINE};
use crate::wire::show;

#[test]
fn arguments() {
    let folder = folder("live_reload-arguments");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    let check = |arguments: &[&str], sentence: &str| check_refusal("live_reload", arguments, sentence);
    check(&["a", "b"], "there is no place for b");
    check(&[&path(&file)], &format!("{} is no folder", path(&file)));
    let nowhere = path(&folder.join("nowhere"));
    let why = fs::read(&nowhere).unwrap_err();
    check(&[&nowhere], &format!("{nowhere} cannot be served: {why}"));
}

#[test]
fn files() {
    let (_outside, root) = site("live_reload-files");
    let server = Tool::start("live_reload", &[root.to_str().unwrap()]);
    let check = |target: &str, status: u16, media_type: &str, body: &str| {
        let answer = server.get(target);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let text = without_since(&text);
        assert_eq!(
            (answer.status, answer.field("Content-Type").unwrap_or("")),
            (status, media_type),
            "{target}"
        );
        assert!(body.is_empty() || text == body, "{target}: {text:?}");
    };
    const HTML: &str = "text/html; charset=utf-8";
    let script =
        |up: &str| format!("<script src=\"{up}.live_reload/script.js\" data-up=\"{up}\" … async></script>\n");
    let at_root = script("./");
    check("/page.html", 200, HTML, &format!("<p>Page{at_root}</Body>\n<!-- end -->"));
    check("/page.html?query", 200, HTML, "");
    check("/PART.HTM", 200, HTML, &format!("part{at_root}"));
    // Before what says that all is elsewhere, unless a script says so.
    check(
        "/base.html",
        200,
        HTML,
        &format!("<head>{at_root}<BASE href=\"https://a.example/\"></head></body>"),
    );
    check("/quoted.html", 200, HTML, &format!("<script>'<base href=x>'</script><p>{at_root}</body>"));
    check("/with%20space.txt", 200, "text/plain; charset=utf-8", "with space");
    check("/%C3%BC%3C%26%3E.txt", 200, "text/plain; charset=utf-8", "odd");
    check("/style.css", 200, "text/css; charset=utf-8", "a {}");
    check("/code.mjs", 200, "text/javascript; charset=utf-8", "1");
    check("/data.json", 200, "application/json", "{}");
    check("/picture.svg", 200, "image/svg+xml", "<svg/>");
    check("/font.woff2", 200, "font/woff2", "f");
    check("/unknown.xyz", 200, "application/octet-stream", "x");
    check("/inside.txt", 200, "text/plain; charset=utf-8", "with space"); // a link that stays within
    check("/index/", 200, HTML, &format!("<h1>Index{}", script("../")));
    check("/list/sub/page.html", 200, HTML, &format!("deep{}", script("../../")));
    check("/linked/page.html", 200, HTML, &format!("deep{}", script("../"))); // a link to a folder within
    check("/index", 308, "", "");
    check("/.live_reload/script.js", 200, "text/javascript; charset=utf-8", "");
    assert_eq!(server.get("/index?a=b").field("Location"), Some("./index/?a=b"));
    assert_eq!(server.get("//index").field("Location"), Some("./index/")); // not to a host of that name

    // Not there, or nobody's business: a page that waits for it.
    for target in [
        "/nowhere",
        "/page.html/",
        "/page.html/x",
        "/.env",
        "/.git/config",
        "/list/.hidden",
        "/outside.txt",        // a link that leaves the folder
        "/outside/secret.txt", // below such a link
        "/hidden.txt",         // a link to what is hidden
        "/loop",
        "/C:",
        "/C:/Windows/win.ini",
        "/secret.txt",
        "/~root/x",
        "/etc/passwd",
        "//etc/passwd",
        "/index.html",
    ] {
        check(target, 404, HTML, "");
        let page = String::from_utf8(server.get(target).body).unwrap();
        let up = match target.matches('/').count() {
            1 => String::from("./"),
            depth => "../".repeat(depth - 1),
        };
        assert!(without_since(&page).contains(&script(&up)) && !page.contains("root:"), "{target}: {page}");
    }
    // What was never meant well.
    for target in [
        "/../secret.txt",
        "/list/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/.%2E/secret.txt",
        "/..%2fsecret.txt",
        "/list%2f..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/%2fetc%2fpasswd",
        "/page.html%00.txt",
        "/C:%5CWindows",
        "/%c0%ae%c0%ae/secret.txt",
        "/./page.html",
        "/%",
    ] {
        check(target, 400, "text/plain; charset=utf-8", "");
    }
    assert_eq!(server.post("/page.html", "x").status, 405);
    assert_eq!(server.get("/page.html").field("Cache-Control"), Some("no-store"));
    assert_eq!(server.get("/style.css").field("Cache-Control"), Some("no-cache"));

    // Of a large file a part can be had, and all of it costs no memory.
    let film = fs::File::create(root.join("film.mp4")).unwrap();
    film.set_len(6 << 30).unwrap();
    let part = "GET /film.mp4 HTTP/1.1\r\nHost: localhost\r\nRange: bytes=5000000000-5000000002\r\n\r\n";
    let answer = ask(server.address, part);
    assert_eq!((answer.status, &*answer.body), (206, &[0; 3][..]));
    let wait_for_it = || {
        let mut client = TcpStream::connect(server.address).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(b"GET /film.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        client.read_exact(&mut vec![0; 4 << 20]).unwrap(); // and no more of it
        client
    };
    let _waiting = [(); 4].map(|()| wait_for_it());
    #[cfg(target_os = "linux")]
    assert!(server.process.peak_memory() < 32 << 20, "{}", server.process.peak_memory());
}

/// The one thing in a page that is another in each run.
fn without_since(page: &str) -> String {
    match page.split_once(r#"data-since=""#) {
        Some((before, rest)) => format!("{before}…{}", rest.split_once('"').unwrap().1),
        None => page.to_owned(),
    }
}

#[test]
fn lists() {
    let (_outside, root) = site("live_reload-lists");
    let server = Tool::start("live_reload", &[root.to_str().unwrap()]);
    let links = |target: &str| {
        let page = String::from_utf8(server.get(target).body).unwrap();
        let link = |rest: &str| rest.split_once("</a>").unwrap().0.replacen("\">", " ", 1);
        page.split("<a href=\"").skip(1).map(link).collect::<Vec<_>>().join("|")
    };
    assert_eq!(links("/list/"), "../ ../|./sub/ sub/|./a.txt a.txt|./B.txt B.txt");
    let all = links("/");
    assert!(
        all.starts_with("./index/ index/|./linked/ linked/|./list/ list/|./base.html base.html|"),
        "{all}"
    );
    assert!(
        all.contains("|./with%20space.txt with space.txt|./%C3%BC%3C%26%3E.txt ü&lt;&amp;>.txt"),
        "{all}"
    );
    for hidden in [".env", ".git", "outside", "hidden", "loop", "pipe"] {
        assert!(!all.contains(hidden), "{all}");
    }
    fs::write(root.join("index.html"), "<h1>Home").unwrap();
    assert!(show(&server.get("/").body).contains("<h1>Home"));
}

#[test]
fn changes() {
    let (_outside, root) = site("live_reload-changes");
    let server = Tool::start("live_reload", &[root.to_str().unwrap()]);
    let page = String::from_utf8(server.get("/page.html").body).unwrap();
    let since = page.split_once(r#"data-since=""#).unwrap().1.split_once('"').unwrap().0.to_owned();
    let mut stream = server.stream(&format!("/.live_reload/events?lastEventId={since}"), "");
    // Stopped meanwhile, the server sees all of a change at once.
    let mut check = |change: &dyn Fn(), paths: &str| {
        server.process.signal("-STOP");
        change();
        server.process.signal("-CONT");
        let Message { event_type, data, .. } = stream.next_event().unwrap();
        assert_eq!((event_type.as_str(), data.as_str()), ("change", paths));
    };

    let write = |name: &str, text: &str| fs::write(root.join(name), text).unwrap();
    check(&|| write("style.css", "b {} "), r#"["style.css"]"#);
    check(&|| write("list/new \"1\".txt", ""), r#"["list/new \"1\".txt"]"#);
    check(&|| fs::remove_file(root.join("list/a.txt")).unwrap(), r#"["list/a.txt"]"#);
    check(&|| fs::create_dir(root.join("folder")).unwrap(), r#"["folder/"]"#);
    check(
        &|| ["1.txt", "2.txt", "3.txt"].iter().for_each(|name| write(name, "")),
        r#"["1.txt","2.txt","3.txt"]"#,
    );
    // As an editor does it: another file takes the name.
    let replace = || {
        write(".page.html.swp", "");
        write("page.tmp", "<p>Another page");
        fs::rename(root.join("page.tmp"), root.join("page.html")).unwrap();
    };
    check(&replace, r#"["page.html"]"#);
    // What a link leads to has two names; a circle of links is not followed.
    check(&|| write("list/sub/page.html", "deeper"), r#"["linked/page.html","list/sub/page.html"]"#);
    // Of what is not served nobody is told.
    let hide = || {
        write(".git/config", "x");
        fs::create_dir(root.join("node_modules")).unwrap();
        write("node_modules/x.js", "");
    };
    check(&hide, r#"["node_modules/"]"#);
    let write_both = || {
        write("node_modules/x.js", "x");
        write("style.css", "");
    };
    check(&write_both, r#"["style.css"]"#);
    eventually("the operator reads it, too", || server.log().contains("\nchanged: 1.txt, 2.txt, 3.txt\n"));

    // A page that was read before the changes is told of all of them; one of another run, to read anew.
    let mut late = server.stream(&format!("/.live_reload/events?lastEventId={since}"), "");
    assert_eq!(late.next_event().unwrap().data, r#"["style.css"]"#);
    assert_eq!(late.next_event().unwrap().data, r#"["list/new \"1\".txt"]"#);
    let mut lost = server.stream("/.live_reload/events?lastEventId=0123456789ab-0", "");
    assert_eq!(lost.next_event().unwrap().event_type, "reset");
}

/// A folder to serve, with a secret beside it and links in it.
fn site(name: &str) -> (std::path::PathBuf, std::path::PathBuf) {
    let outside = folder(name);
    let root = outside.join("site");
    for folder in ["index", "list/sub", ".git"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for (file, text) in [
        ("../secret.txt", "secret"),
        ("page.html", "<p>Page</Body>\n<!-- end -->"),
        ("PART.HTM", "part"),
        ("with space.txt", "with space"),
        ("ü<&>.txt", "odd"),
        ("style.css", "a {}"),
        ("code.mjs", "1"),
        ("data.json", "{}"),
        ("picture.svg", "<svg/>"),
        ("font.woff2", "f"),
        ("unknown.xyz", "x"),
        ("index/index.html", "<h1>Index"),
        ("list/sub/page.html", "deep"),
        ("base.html", "<head><BASE href=\"https://a.example/\"></head></body>"),
        ("quoted.html", "<script>'<base href=x>'</script><p></body>"),
        ("list/B.txt", "b"),
        ("list/a.txt", "a"),
        ("list/.hidden", "secret"),
        (".env", "secret"),
        (".git/config", "secret"),
    ] {
        fs::write(root.join(file), text).unwrap();
    }
    #[cfg(unix)]
    for (link, to) in [
        ("inside.txt", "with space.txt"),
        ("outside.txt", "../secret.txt"),
        ("outside", ".."),
        ("hidden.txt", ".env"),
        ("loop", "loop"),
        ("linked", "list/sub"),
        ("list/sub/circle", "../.."),
    ] {
        std::os::unix::fs::symlink(to, root.join(link)).unwrap();
    }
    (outside, root)
}
