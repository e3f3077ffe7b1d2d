//! Folders: what of them is answered, what never is, parts of files, and files that are too large to hold.

use super::{Folder, Site, NOT_FOUND};
use brooklet::{Content, Layout};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use crate::example::ask;
use crate::notes::noted;
use crate::patience::{eventually, DEADLINE};
use crate::serving::host;

fn site(folder: &Path) -> Site {
    Site::new(Layout::new().fallback(Content::folder(folder).unwrap()))
}

/// A site with a secret beside it, and links in it.
fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    for (file, text) in [
        ("secret.txt", "secret"),
        ("site/index.html", "home"),
        ("site/a.txt", "a"),
        ("site/with space/ü&.txt", "odd"),
        ("site/docs/index.html", "docs"),
        ("site/docs/deep/er/b.txt", "b"),
        ("site/empty/.keep", "secret"),
        ("site/.env", "secret"),
        ("site/.git/config", "secret"),
        ("site/docs/.hidden/a.txt", "secret"),
        ("site-2/a.txt", "secret"),
    ] {
        folder.file(file, text);
    }
    #[cfg(unix)]
    for (link, to) in [
        ("inside.txt", "a.txt"),
        ("manual", "docs"),
        ("outside.txt", "../secret.txt"),
        ("outside", ".."),
        ("neighbour", "../site-2"),
        ("hidden.txt", ".env"),
        ("loop", "loop"),
        ("null", "/dev/null"),
    ] {
        std::os::unix::fs::symlink(to, folder.0.join("site").join(link)).unwrap();
    }
    folder
}

#[test]
fn what_is_in_it() {
    let folder = folder("within");
    let site = site(&folder.0.join("site"));
    site.check("/", 200, "home");
    site.check("/index.html", 200, "home");
    site.check("/a.txt", 200, "a");
    site.check("/a.txt?x", 200, "a");
    site.check("//a.txt", 200, "a");
    site.check("/with%20space/%C3%BC&.txt", 200, "odd");
    site.check("/docs/", 200, "docs");
    site.check("/docs/deep/er/b.txt", 200, "b");
    for (target, location) in
        [("/docs", "./docs/"), ("/docs?a=b", "./docs/?a=b"), ("//docs", "./docs/"), ("/docs/deep", "./deep/")]
    {
        let page = site.get(target);
        assert_eq!((page.status, page.field("Location")), (308, Some(location)), "{target}");
    }
    #[cfg(unix)]
    {
        site.check("/inside.txt", 200, "a");
        site.check("/manual/", 200, "docs");
    }
    assert_eq!(site.ask("POST", "/a.txt", &[]).status, 405);
    assert_eq!(site.ask("HEAD", "/a.txt", &[]).field("Content-Length"), Some("1"));
}

#[test]
fn what_is_not() {
    let folder = folder("without");
    let site = site(&folder.0.join("site"));
    #[cfg(unix)]
    let _socket = std::os::unix::net::UnixListener::bind(folder.0.join("site/socket")).unwrap();
    for target in [
        "/nowhere",
        "/a.txt/",
        "/a.txt/x",
        "/empty/", // no list
        "/docs/deep/",
        "/A.TXT/..a",
        "/.env",
        "/.git/config",
        "/docs/.hidden/a.txt",
        "/outside.txt",        // a link that leaves the folder
        "/outside/secret.txt", // below such a link
        "/neighbour/a.txt",    // to a name that begins as that of the folder does
        "/hidden.txt",         // a link to what is hidden
        "/loop",
        "/null",
        "/socket", // no file
        "/C:",
        "/C:/Windows/win.ini",
        "/~root/x",
        "/etc/passwd",
        "//etc/passwd",
        &format!("/{}", "x".repeat(300)),       // longer than a name can be
        &format!("/{}a.txt", "x/".repeat(900)), // longer than a path can be
    ] {
        site.check(target, 404, NOT_FOUND);
    }
    for target in [
        "/../secret.txt",
        "/docs/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/.%2E/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/%2fetc%2fpasswd",
        "/a.txt%00.html",
        "/a.txt%00",
        "/C:%5CWindows",
        "/%c0%ae%c0%ae/secret.txt",
        "/./a.txt",
    ] {
        let answer = ask(site.host.address(), format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(answer.status, 400, "{target}");
    }
}

/// A build deletes its folder and makes it anew, and a release is a link that is set to the next one.
#[test]
#[cfg(unix)]
fn a_folder_that_is_another_later() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("releases");
    folder.file("1/a.txt", "one");
    folder.file("2/a.txt", "two");
    symlink("1", folder.0.join("current")).unwrap();
    let site = site(&folder.0.join("current"));
    site.check("/a.txt", 200, "one");
    fs::remove_file(folder.0.join("current")).unwrap();
    site.check("/a.txt", 404, NOT_FOUND);
    symlink("2", folder.0.join("current")).unwrap();
    site.check("/a.txt", 200, "two");
}

#[test]
fn folders_that_are_none() {
    let folder = Folder::new("no-folder");
    assert!(Content::folder(folder.0.join("missing")).is_err());
    assert!(Content::folder(folder.file("a.txt", "a")).is_err());
}

#[test]
fn below_other_handlers() {
    let folder = folder("below");
    let content = Content::folder(folder.0.join("site")).unwrap();
    let typed = content.clone().media_type("text/x-log");
    let hidden = Content::folder(folder.0.join("site/.git")).unwrap(); // by itself it is no secret
    let site = Site::new(Layout::new().add("files", content).add("typed", typed).add("git", hidden));
    site.check("/files/a.txt", 200, "a");
    site.check("/files/", 200, "home");
    assert_eq!(site.get("/files").field("Location"), Some("./files/"));
    assert_eq!(site.get("/typed/a.txt").field("Content-Type"), Some("text/x-log"));
    site.check("/git/config", 200, "secret");
}

#[test]
fn the_page_of_an_application() {
    let folder = folder("application");
    let content = Content::folder(folder.0.join("site")).unwrap().fallback("index.html");
    let site = Site::new(content);
    const PAGE: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let check = |target: &str, field: (&str, &str), expected: (u16, &str)| {
        let page = site.ask("GET", target, &[field]);
        assert_eq!((page.status, page.body.as_str()), expected, "{target} {field:?}");
        page
    };
    let route = check("/settings/theme", PAGE, (200, "home"));
    assert_eq!(route.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(route.field("Vary"), Some("Accept"));
    check("/users/john.doe/", PAGE, (200, "home"));
    check("/.env", PAGE, (200, "home"));
    check("/empty/", PAGE, (200, "home"));
    check("/a.txt", PAGE, (200, "a"));
    check("/docs/", PAGE, (200, "docs"));
    check("/app-old.js", ("Accept", "*/*"), (404, NOT_FOUND)); // as a script is asked for
    fs::remove_file(folder.0.join("site/index.html")).unwrap();
    check("/settings/theme", PAGE, (404, NOT_FOUND));
}

#[test]
#[should_panic(expected = "only a folder has a fallback")]
fn only_a_folder_has_a_fallback() {
    let _ = Content::text("").fallback("index.html");
}

/// RFC 9110 §14, for a file that is read at once and for one that is not.
#[test]
fn parts() {
    let folder = Folder::new("parts");
    let digits: Vec<u8> = (0..200_000_u32).map(|at| b'0' + (at % 10) as u8).collect();
    folder.file("small", "0123456789");
    folder.file("large", &digits);
    folder.file("empty", "");
    let site = site(&folder.0);
    let get = |target: &str, range: &str| site.ask("GET", target, &[("Range", range)]);
    let check = |target: &str, range: &str, body: &str, content_range: &str| {
        let page = get(target, range);
        assert_eq!((page.status, page.body.as_str()), (206, body), "{target} {range}");
        assert_eq!(page.field("Content-Range"), Some(content_range), "{target} {range}");
        assert_eq!(page.field("Content-Length"), Some(&*body.len().to_string()), "{target} {range}");
    };
    check("/small", "bytes=0-1", "01", "bytes 0-1/10"); // what Safari asks first
    check("/small", "bytes=7-", "789", "bytes 7-9/10");
    check("/small", "bytes=-2", "89", "bytes 8-9/10");
    check("/small", "bytes=8-100", "89", "bytes 8-9/10");
    check("/large", "bytes=0-1", "01", "bytes 0-1/200000");
    check("/large", "bytes=199998-", "89", "bytes 199998-199999/200000");
    check("/large", "bytes=-3", "789", "bytes 199997-199999/200000");
    let most = get("/large", "bytes=1-");
    assert_eq!((most.status, most.body.as_bytes()), (206, &digits[1..]));

    for target in ["/small", "/large"] {
        let page = get(target, "bytes=200000-");
        let length = site.get(target).body.len();
        assert_eq!((page.status, page.body.as_str()), (416, "416 Range Not Satisfiable\n"), "{target}");
        assert_eq!(page.field("Content-Range"), Some(&*format!("bytes */{length}")), "{target}");
        for range in ["bytes=0-1,4-5", "bytes=5-2", "lines=1-2", "nonsense"] {
            let page = get(target, range);
            assert_eq!((page.status, page.body.len()), (200, length), "{target} {range}");
            assert_eq!(page.field("Accept-Ranges"), Some("bytes"));
        }
        let head = site.ask("HEAD", target, &[("Range", "bytes=0-1")]);
        assert_eq!(
            (head.status, head.field("Content-Length")),
            (200, Some(&*length.to_string())),
            "{target}"
        );
    }
    assert_eq!(get("/empty", "bytes=0-").status, 200);
}

#[test]
fn parts_of_what_the_client_has() {
    let folder = Folder::new("same");
    folder.file("small", "0123456789");
    folder.file("large", vec![b'x'; 100_000]);
    let site = site(&folder.0);
    for target in ["/small", "/large"] {
        let tag = settled_tag(&site, target);
        let ask = |fields: &[(&str, &str)]| {
            let page = site.ask("GET", target, fields);
            (page.status, page.body.len())
        };
        let whole = site.get(target).body.len();
        assert_eq!(ask(&[("Range", "bytes=0-1"), ("If-Range", &tag)]), (206, 2), "{target}");
        assert_eq!(ask(&[("Range", "bytes=0-1"), ("If-Range", "\"other\"")]), (200, whole), "{target}");
        let weak = format!("W/{tag}"); // RFC 9110 §13.1.5: compared strongly
        assert_eq!(ask(&[("Range", "bytes=0-1"), ("If-Range", &weak)]), (200, whole), "{target}");
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(ask(&[("Range", "bytes=0-1"), ("If-Range", date)]), (200, whole), "{target}");
        assert_eq!(ask(&[("If-None-Match", &tag)]), (304, 0), "{target}");
        assert_eq!(ask(&[("If-None-Match", &tag), ("Range", "bytes=0-1")]), (304, 0), "{target}");
        assert_eq!(ask(&[("If-None-Match", "\"other\""), ("Range", "bytes=0-1")]), (206, 2), "{target}");
    }
    // Of the same length, a moment later.
    let tag = settled_tag(&site, "/large");
    folder.file("large", vec![b'y'; 100_000]);
    assert_eq!(site.ask("GET", "/large", &[("If-None-Match", &tag)]).status, 200);
    assert_ne!(settled_tag(&site, "/large"), tag);
}

/// Up to 64 KiB it is of what they hold, and there at once; it tells nothing of when they were written.
#[test]
fn the_tag_of_a_small_file() {
    let folder = Folder::new("small");
    let site = site(&folder.0);
    for length in [0, 1, 64 * 1024] {
        folder.file("a", vec![b'x'; length]);
        let tag = site.get("/a").field("ETag").expect("it needs no time to settle").to_owned();
        folder.file("a", vec![b'x'; length]);
        assert_eq!(site.get("/a").field("ETag"), Some(&*tag), "{length}");
        folder.file("a", vec![b'y'; length]);
        assert_eq!(site.get("/a").field("ETag") == Some(&*tag), length == 0, "{length}");
    }
}

/// A large file that has just changed has no tag yet.
fn settled_tag(site: &Site, target: &str) -> String {
    let mut tag = None;
    eventually("a tag", || {
        tag = site.ask("HEAD", target, &[]).field("ETag").map(str::to_owned);
        tag.is_some()
    });
    tag.unwrap()
}

/// Longer than a number of 32 bits, and than the memory of many a machine.
#[test]
fn a_file_of_six_gibibytes() {
    const LENGTH: u64 = 6 << 30;
    let folder = Folder::new("six");
    let mut file = File::create(folder.0.join("film.mp4")).unwrap();
    if file.set_len(LENGTH).is_err() {
        return; // a system whose files are not that large
    }
    file.seek(SeekFrom::Start(LENGTH - 3)).unwrap();
    file.write_all(b"end").unwrap();
    let site = site(&folder.0);
    let head = site.ask("HEAD", "/film.mp4", &[]);
    assert_eq!(head.field("Content-Length"), Some(&*LENGTH.to_string()));
    assert_eq!(head.field("Content-Type"), Some("video/mp4"));
    let end = site.ask("GET", "/film.mp4", &[("Range", "bytes=-3")]);
    assert_eq!((end.status, end.body.as_str()), (206, "end"));
    assert_eq!(end.field("Content-Range"), Some(&*format!("bytes {}-{}/{LENGTH}", LENGTH - 3, LENGTH - 1)));
}

/// The connection is used again after a file, and ends where a file does not keep what it promised.
#[test]
fn a_file_that_becomes_shorter() {
    const LENGTH: usize = 32 << 20; // more than sockets hold
    let folder = Folder::new("shorter");
    folder.file("a.txt", "a");
    let path = folder.file("large", vec![b'x'; LENGTH]);
    let (host, notes) = noted(host(Content::folder(&folder.0).unwrap()));
    let host = host.start().unwrap();
    let mut socket = TcpStream::connect(host.address()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    socket.write_all(request("/a.txt").as_bytes()).unwrap();
    socket.write_all(request("/large").as_bytes()).unwrap();
    let mut begun = [0; 1024];
    socket.read_exact(&mut begun).unwrap(); // it has been opened
    assert!(begun.starts_with(b"HTTP/1.1 200 OK\r\n"));
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < LENGTH, "{}", rest.len());
    let _ = host.stop();
    let failures: Vec<_> = notes.so_far().into_iter().filter(|line| line.starts_with("failed ")).collect();
    assert!(matches!(&failures[..], [line] if line.starts_with("failed GET /large: ")), "{failures:?}");
}

/// Those say that they are empty.
#[test]
#[cfg(target_os = "linux")]
fn files_without_a_length() {
    let site = Site::new(Content::file("/proc/self/status").unwrap());
    assert!(site.get("/").body.starts_with("Name:"));
}
