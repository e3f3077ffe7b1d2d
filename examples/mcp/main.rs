//! A server for the Model Context Protocol (MCP): an assistant searches and reads a folder of texts.
//!
//! Run `cargo run --example mcp -- --folder src`, and tell an assistant of <http://127.0.0.1:8080/mcp>. It finds
//! three tools (`search`, `read`, and `checksums`, which takes its time and tells how far it is), the files as
//! resources, and a prompt. Both eras of the protocol are spoken: 2026-07-28, and 2025-03-26 to 2025-11-25.
//!
//! ```text
//! curl -N localhost:8080/mcp -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
//! curl -N localhost:8080/mcp -d '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search","arguments":{"text":"retry"}}}'
//! curl -N localhost:8080/mcp -d '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"checksums","arguments":{"pause_ms":500},"_meta":{"progressToken":1}}}'
//! ```
//!
//! Leave the last one with Ctrl-C: the log says at once that it was cancelled, and no other file is read.
//!
//! To make a server of your own, copy `protocol`, `json`, `say` and `sha256`, and write a `main` like this one: a tool is a
//! closure with a schema. `--everything` serves instead what the official conformance suite asks for.

#[path = "../cli/mod.rs"]
mod cli;
#[path = "../json/mod.rs"]
mod json;
#[path = "../say/mod.rs"]
mod say;
#[path = "../sha256/mod.rs"]
mod sha256;

mod everything;
mod folder;
mod protocol;

use std::collections::BTreeMap;
use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use brooklet::{to_json, Content, Host, Layout, Request};
use folder::Folder;
use protocol::{from_user, text, Call, Change, Outcome, Resources, Server};
use say::say;
use sha256::Sha256;

/// Lines that a search gives, and lines that one reading gives, if nobody says how many.
const MAX_MATCHES: usize = 100;
const MAX_LINES: usize = 1000;

fn main() -> ExitCode {
    let cli = cli::Cli::read(
        "mcp [OPTIONS]",
        "Serves a folder of texts to assistants that speak the Model Context Protocol.",
        &[
            ("--folder PATH", "the texts that are served; ."),
            ("--everything", "serve what the conformance suite asks for, in place of a folder"),
        ],
    );
    let server = if cli.is_set("--everything") {
        Arc::new(everything::server())
    } else {
        let folder = cli.text("--folder").unwrap_or_else(|| String::from("."));
        let cannot = |why| cli.refuse(format_args!("cannot read {folder}: {why}"));
        serve_folder(&Folder::open(&folder).unwrap_or_else(cannot))
    };
    let app = Layout::new()
        .add("mcp", move |request: Request| server.answer(request))
        .index(Content::html(include_str!("page.html")));
    cli.end(cli.apply(Host::new(app)).defaults().development().console().run())
}

fn serve_folder(folder: &Folder) -> Arc<Server> {
    let [listed, read, searched, viewed, hashed, explained, completed, watched] =
        [(); 8].map(|()| folder.clone());
    let mut server = Server::new(
        "folder",
        Resources {
            list: Box::new(move || listed.files().keys().map(|name| resource(name)).collect()),
            templates: r#"[{"uriTemplate":"folder:///{name}","name":"file","description":"A file of the folder"}]"#,
            read: Box::new(move |uri| contents(&read, uri)),
        },
    );
    server.instructions = "Texts of a folder. Search them first, then read the lines around what was found.";
    server.tool(
        "search",
        "Finds a text in all files of the folder, in any case, and gives the lines that it stands in.",
        r#"{"type":"object","properties":{"text":{"type":"string","minLength":1},"limit":{"type":"integer","minimum":1,"description":"how many lines at most (100)"}},"required":["text"]}"#,
        move |call| search(&searched, call),
    );
    server.tool(
        "read",
        "Gives the lines of a file of the folder.",
        r#"{"type":"object","properties":{"file":{"type":"string"},"from":{"type":"integer","minimum":1,"description":"the first line (1)"},"lines":{"type":"integer","minimum":1,"description":"how many (1000)"}},"required":["file"]}"#,
        move |call| view(&viewed, call),
    );
    server.tool(
        "checksums",
        "Computes the SHA-256 of every file in the folder, and tells how far it is.",
        r#"{"type":"object","properties":{"pause_ms":{"type":"integer","minimum":0,"maximum":60000,"description":"how long to rest after each file (0)"}}}"#,
        move |call| checksums(&hashed, call),
    );
    server.prompt(
        "explain",
        "Explains a file of the folder.",
        r#"[{"name":"file","description":"which one","required":true}]"#,
        move |call| {
            let file = call.text("file")?;
            let contents = contents(&explained, &uri(&file)).ok_or("there is no such text")?;
            let embedded = format!(r#"{{"type":"resource","resource":{contents}}}"#);
            Ok(vec![from_user(&embedded), from_user(&text("Explain this file."))])
        },
    );
    server.complete = Box::new(move |_, _, value| {
        completed.files().into_keys().filter(|name| name.contains(value)).collect()
    });
    let server = Arc::new(server);
    let (known, watching) = (watched.files(), Arc::clone(&server)); // before anybody can listen
    let spawned =
        thread::Builder::new().name("watch".into()).spawn(move || watch(&watched, known, &watching));
    if let Err(error) = spawned {
        say(format!("mcp: nobody is told of changes: there is no thread: {error}\n"));
    }
    server
}

/// Tells what has changed, once a second, while somebody listens.
fn watch(folder: &Folder, mut known: BTreeMap<String, SystemTime>, server: &Server) {
    loop {
        thread::sleep(Duration::from_secs(1));
        if !server.is_heard() {
            continue;
        }
        let files = folder.files();
        if !files.keys().eq(known.keys()) {
            server.changed(&Change::Resources);
        }
        for (name, _) in files.iter().filter(|(name, time)| known.get(*name) != Some(time)) {
            server.changed(&Change::Resource(uri(name)));
        }
        known = files;
    }
}

fn search(folder: &Folder, call: &mut Call<'_, '_>) -> Outcome {
    let wanted = call.text("text")?.to_lowercase();
    let limit = call.whole("limit")?.unwrap_or(MAX_MATCHES);
    if wanted.is_empty() {
        return Err("the argument `text` is empty".into());
    }
    let mut matches = Vec::new();
    let files = folder.files();
    for (done, name) in (0..).zip(files.keys()) {
        call.progress(done, files.len() as u64, name)?;
        for (number, line) in (1..).zip(folder.listed_text(name).unwrap_or_default().lines()) {
            if line.to_lowercase().contains(&wanted) {
                if matches.len() == limit {
                    matches.push(format!("… and more: {limit} lines are shown"));
                    return Ok(vec![text(&matches.join("\n"))]);
                }
                matches.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    if matches.is_empty() {
        matches.push(String::from("nothing found"));
    }
    Ok(vec![text(&matches.join("\n"))])
}

fn view(folder: &Folder, call: &mut Call<'_, '_>) -> Outcome {
    let content =
        folder.text(&call.text("file")?).ok_or("there is no such text; `search` names those there are")?;
    let from = call.whole("from")?.unwrap_or(1).max(1);
    let lines = call.whole("lines")?.unwrap_or(MAX_LINES);
    let lines: Vec<_> = content.lines().skip(from - 1).take(lines).collect();
    Ok(vec![text(&lines.join("\n"))])
}

fn checksums(folder: &Folder, call: &mut Call<'_, '_>) -> Outcome {
    let pause = Duration::from_millis(call.whole("pause_ms")?.unwrap_or(0).min(60_000) as u64);
    let files = folder.files();
    let mut sums = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    for (done, name) in (0..).zip(files.keys()) {
        call.progress(done, files.len() as u64, name)?;
        let mut sha256 = Sha256::new();
        let mut file = folder.listed(name).ok_or("a file has gone meanwhile")?;
        loop {
            match file.read(&mut buffer).map_err(|why| format!("cannot read {name}: {why}"))? {
                0 => break,
                length => sha256.update(&buffer[..length]),
            }
            call.wait(Duration::ZERO)?; // a large file is left, too, when the client leaves
        }
        sums.push(format!("{}  {name}", sha256.finish()));
        call.wait(pause)?;
    }
    call.progress(files.len() as u64, files.len() as u64, "done")?;
    Ok(vec![text(&sums.join("\n"))])
}

fn uri(name: &str) -> String {
    format!("folder:///{name}")
}

fn resource(name: &str) -> String {
    format!(r#"{{"uri":{},"name":{}}}"#, to_json(uri(name)), to_json(name))
}

fn contents(folder: &Folder, uri: &str) -> Option<String> {
    let content = folder.text(uri.strip_prefix("folder:///")?)?;
    Some(format!(r#"{{"uri":{},"mimeType":"text/plain","text":{}}}"#, to_json(uri), to_json(content)))
}
