//! Content: fixed bytes and files, and clients that have them already.

use super::{Folder, Site, NOT_FOUND};
use brooklet::{Content, EventSource, Handler, Layout, Request, Response, Status};
use std::{fs, io};

const SCRIPT: &str = include_str!("../../../src/content/shared_event_source.js");

#[test]
fn content() {
    let site = Site::new(
        Layout::new()
            .index(Content::html("<h1>ü</h1>"))
            .add("text", Content::text(String::from("plain")))
            .add("bytes", Content::bytes("image/png", [0, b'P']))
            .add("typed", Content::text("a,b").media_type("text/csv"))
            .add("nothing", Content::text(""))
            .add("shared.js", Content::event_source_script()),
    );
    for (target, body, media_type) in [
        ("/", "<h1>ü</h1>", "text/html; charset=utf-8"),
        ("/text", "plain", "text/plain; charset=utf-8"),
        ("/text/whatever?x", "plain", "text/plain; charset=utf-8"),
        ("/typed", "a,b", "text/csv"),
        ("/nothing", "", "text/plain; charset=utf-8"),
        ("/shared.js", SCRIPT, "text/javascript; charset=utf-8"),
    ] {
        let page = site.get(target);
        assert_eq!((page.status, page.body.as_str()), (200, body), "{target}");
        assert_eq!(page.field("Content-Type"), Some(media_type), "{target}");
        assert_eq!(page.field("Content-Length"), Some(body.len().to_string().as_str()), "{target}");

        let head = site.ask("HEAD", target, &[]);
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{target}");
        assert_eq!(head.field("Content-Length"), page.field("Content-Length"), "{target}");
        assert_eq!(head.field("ETag"), page.field("ETag"), "{target}");
    }
    assert_eq!(site.get("/bytes").field("Content-Type"), Some("image/png"));
    assert_eq!(site.get("/bytes").field("Content-Length"), Some("2"));
    assert_eq!(site.ask("DELETE", "/", &[]).status, 405);
    assert_eq!(site.ask("DELETE", "/", &[]).field("Allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(site.ask("OPTIONS", "/", &[]).status, 204);
}

#[test]
fn content_that_the_client_has() {
    let site = Site::new(Layout::new().index(Content::html("one")).add("two", Content::html("two")));
    let tag = site.get("/").field("ETag").expect("content is tagged").to_owned();
    assert_eq!(site.get("/").field("ETag"), Some(tag.as_str()), "the same content, another tag");
    assert_ne!(site.get("/two").field("ETag"), Some(tag.as_str()), "other content, the same tag");
    for method in ["GET", "HEAD"] {
        let page = site.ask(method, "/", &[("If-None-Match", &tag)]);
        assert_eq!((page.status, page.body.as_str()), (304, ""), "{method}");
        assert_eq!(page.field("ETag"), Some(tag.as_str()), "{method}");
        assert_eq!(site.ask(method, "/two", &[("If-None-Match", &tag)]).status, 200, "{method}");
    }
    assert_eq!(site.ask("POST", "/", &[("If-None-Match", &tag)]).status, 405);
}

/// RFC 9110 §15.4.5: what describes the content itself is not repeated where there is none.
#[test]
fn not_modified_has_no_media_type() {
    let site = Site::new(Layout::new().index(Content::html("one")));
    let tag = site.get("/").field("ETag").unwrap().to_owned();
    let page = site.ask("GET", "/", &[("If-None-Match", &tag)]);
    assert_eq!((page.status, page.field("Content-Type")), (304, None));
}

/// What a handler of one's own tags is compared as well.
#[test]
fn a_tag_of_ones_own() {
    let site = Site::new(|request: Request| match request.path() {
        "/gone" => Response::error(Status::GONE).header("ETag", "\"v1\""),
        "/stream" => EventSource::new(|_| Ok(())).handle(request).header("ETag", "\"v1\""),
        _ => Response::text("first").header("ETag", "\"v1\""),
    });
    for (method, target, tag, status) in [
        ("GET", "/stream", "\"v1\"", 200), // nobody has a stream already
        ("GET", "/", "\"v1\"", 304),
        ("HEAD", "/", "\"v0\", W/\"v1\"", 304),
        ("GET", "/", "\"v2\"", 200),
        ("POST", "/", "\"v1\"", 200),
        ("GET", "/gone", "\"v1\"", 410),
    ] {
        let page = site.ask(method, target, &[("If-None-Match", tag)]);
        assert_eq!((page.status, page.field("ETag")), (status, Some("\"v1\"")), "{method} {target} {tag}");
    }
}

/// A file is read for each request: a change shows, and so does its absence.
#[test]
fn files() {
    let folder = Folder::new("files");
    let path = folder.file("page.html", "one");
    let site = Site::new(Layout::new().index(Content::file(&path).unwrap()));
    site.check("/", 200, "one");
    let tag = site.get("/").field("ETag").unwrap().to_owned();
    assert_eq!(site.ask("GET", "/", &[("If-None-Match", &tag)]).status, 304);

    folder.file("page.html", "two");
    let page = site.ask("GET", "/", &[("If-None-Match", &tag)]);
    assert_eq!((page.status, page.body.as_str()), (200, "two"));
    assert_eq!(page.field("Content-Type"), Some("text/html; charset=utf-8"));

    fs::remove_file(&path).unwrap();
    site.check("/", 404, NOT_FOUND);
    folder.file("page.html", "back");
    site.check("/", 200, "back");
}

#[test]
fn files_that_are_none() {
    let folder = Folder::new("none");
    let missing = Content::file(folder.0.join("missing.html")).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert!(Content::file(&folder.0).is_err(), "a folder is no file");
}

#[test]
fn media_types() {
    let folder = Folder::new("types");
    for (name, media_type) in [
        ("a.html", "text/html; charset=utf-8"),
        ("a.HTM", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.min.js", "text/javascript; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.jpeg", "image/jpeg"),
        ("a.ico", "image/x-icon"),
        ("a.wasm", "application/wasm"),
        ("a.woff2", "font/woff2"),
        ("a.ttf", "font/ttf"),
        ("site.webmanifest", "application/manifest+json"),
        ("a.xhtml", "application/xhtml+xml"),
        ("a.yaml", "application/yaml"),
        ("a.toml", "application/toml"),
        ("a.js.gz", "application/gzip"),
        ("a.avif", "image/avif"),
        ("a.webm", "video/webm"),
        ("a.unknown", "application/octet-stream"),
        ("html", "application/octet-stream"), // a name without an extension
        (".html", "application/octet-stream"),
    ] {
        let site = Site::new(Layout::new().index(Content::file(folder.file(name, "x")).unwrap()));
        assert_eq!(site.get("/").field("Content-Type"), Some(media_type), "{name}");
    }
}

/// What people's tools have in their folders is known at all, and as what it is.
#[test]
fn known_media_types() {
    let folder = Folder::new("known");
    let site = Site::new(Layout::new().fallback(Content::folder(&folder.0).unwrap()));
    for (kind, extensions) in [
        ("text", "html htm css js mjs cjs txt log md csv ics vtt"),
        (
            "application",
            "xhtml xht toml yaml yml json map jsonl ndjson geojson webmanifest xml rss atom wasm",
        ),
        ("application", "pdf epub zip gz tgz zst 7z tar m3u8"),
        ("image", "svg png apng jpg jpeg gif webp avif bmp ico"),
        ("font", "woff woff2 ttf otf"),
        ("audio", "mp3 m4a aac flac oga ogg opus wav weba"),
        ("video", "mp4 m4v mov ogv webm"),
        ("model", "glb gltf"),
    ] {
        for extension in extensions.split(' ') {
            folder.file(&format!("a.{extension}"), "x");
            let page = site.get(&format!("/a.{extension}"));
            let media_type = page.field("Content-Type").unwrap();
            assert!(media_type.starts_with(kind), "{extension}: {media_type}");
            assert_ne!(media_type, "application/octet-stream", "{extension}");
        }
    }
}
