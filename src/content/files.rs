//! Files as content: one, or all below a folder.
//!
//! What is in a folder is found by going down its path name by name, and then by asking the system where that really
//! is: only what lies below the folder, with no hidden name on the way, is opened. So neither `..` nor a link leads out.
//! Who can write to the folder can still put a link in place between that question and the opening; the files that a
//! tool serves are those of people whom it trusts.
//!
//! A file of up to 64 KiB is read at once and tagged by what is in it. That is right also where the system knows neither
//! length nor time, as below `/proc`, or where a file changes twice within a tick of its clock. A larger one is read
//! while it is written, through a buffer of 64 KiB, and tagged by its length and the time of its last change.
//!
//! Left out: lists of what is in a folder, several ranges in one answer, compressed neighbours (`app.js.gz`).

use std::fs::{self, File, Metadata};
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::media_type;
use crate::http::conditional;
use crate::http::{FieldValue, Request, Response, Status};
use crate::layout::to_slash;

/// Longer files are not kept in memory.
const SMALL: u64 = 64 * 1024;
/// No more is read of a small file, even if it grows meanwhile. Files below `/proc` give a length of 0 and have bytes.
const MOST_GROWTH: u64 = 1024 * 1024;
/// A large file that changed within this time may change again and keep the same time: FAT counts in steps of 2 s.
const SETTLED: Duration = Duration::from_secs(2);

/// Answers with the file that the path of the request leads to, below `root`.
pub(super) fn answer_below(
    root: &Path,
    fallback: Option<&Path>,
    media_type: Option<&FieldValue>,
    request: &Request,
) -> io::Result<Response> {
    let root = fs::canonicalize(root)?;
    match find(&root, request) {
        Ok(Some(path)) => answer(&path, media_type, request),
        Ok(None) => Ok(to_slash(request)),
        Err(error) if error.kind() == ErrorKind::NotFound && wants_page(request) => match fallback {
            Some(page) => {
                Ok(answer(&within(&root, page)?, media_type, request)?.add_header("Vary", "Accept"))
            }
            None => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// A browser that goes to an address says so, and gets the page that knows what to do with it. A script or a picture
/// that is missing is `404`: a page in its place would be read as a script.
fn wants_page(request: &Request) -> bool {
    request.header("Accept").map_or(false, |accept| accept.contains("text/html"))
}

/// The file that is meant; `None` for a folder whose path lacks its slash.
fn find(root: &Path, request: &Request) -> io::Result<Option<PathBuf>> {
    let mut path = PathBuf::new();
    for segment in request.target().segments() {
        // One name, also to a system where `C:` would be a drive. The host has refused the rest already.
        let mut components = Path::new(segment).components();
        match (components.next(), components.next()) {
            (Some(Component::Normal(name)), None) if is_shown(segment) => path.push(name),
            _ => return Err(ErrorKind::NotFound.into()),
        }
    }
    let path = within(root, &path)?;
    let is_folder = fs::metadata(&path)?.is_dir();
    match (is_folder, request.path().ends_with('/')) {
        (true, false) => Ok(None),
        (true, true) => within(root, &path.join("index.html")).map(Some),
        (false, false) => Ok(Some(path)),
        (false, true) => Err(ErrorKind::NotFound.into()),
    }
}

/// Where it really is, if that is below `root` and nothing on the way is hidden.
fn within(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let real = fs::canonicalize(root.join(path)).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => error,
        _ => ErrorKind::NotFound.into(), // below a file, say, or by a link to itself
    })?;
    match real.strip_prefix(root) {
        Ok(below) if below.iter().all(|name| is_shown(&name.to_string_lossy())) => Ok(real),
        _ => Err(ErrorKind::NotFound.into()),
    }
}

/// Whether a name is one that may be served: not hidden, and no device.
fn is_shown(name: &str) -> bool {
    // On Windows a colon leads to another stream of a file, and some names to devices, whatever the folder.
    !name.starts_with('.') && !(cfg!(windows) && (name.contains(':') || is_device(name)))
}

/// `NUL`, `com1.txt` and the like, as Windows compares them.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let is_number = |rest: &str| {
        let mut chars = rest.chars();
        matches!((chars.next(), chars.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    };
    matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered.map_or(false, is_number)
}

/// Answers with a file, or with the part of it that is wanted.
pub(super) fn answer(
    path: &Path,
    media_type: Option<&FieldValue>,
    request: &Request,
) -> io::Result<Response> {
    // Looked at before it is opened: a named pipe would be waited for.
    if !fs::metadata(path)?.is_file() {
        return Err(ErrorKind::NotFound.into());
    }
    let media_type = media_type.cloned().unwrap_or_else(|| media_type::of(path).into());
    let (mut file, length, tag) = open(path)?;
    let range = match (request.method(), request.header("Range")) {
        ("GET", Some(range)) if length > 0 && is_same(request, tag.as_deref()) => wanted(range, length),
        _ => None,
    };
    let part = range.clone().unwrap_or(0..length);
    if part.is_empty() && range.is_some() {
        let answer = Response::error(Status::RANGE_NOT_SATISFIABLE);
        return Ok(answer.header("Content-Range", format!("bytes */{length}")));
    }
    file.seek(SeekFrom::Start(part.start))?;
    let mut answer = Response::reader(media_type, part.end - part.start, Box::new(file));
    if let Some(tag) = tag {
        answer = conditional::apply(request, answer.header("ETag", tag));
    }
    Ok(match range {
        // A client that has the file already is not sent a part of it (RFC 9110 §13.2.2).
        Some(part) if answer.status_code() == Status::OK => answer
            .status(Status::PARTIAL_CONTENT)
            .header("Content-Range", format!("bytes {}-{}/{length}", part.start, part.end - 1)),
        _ => answer.header("Accept-Ranges", "bytes"),
    })
}

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// Opens a file, with its length and entity tag.
fn open(path: &Path) -> io::Result<(Box<dyn ReadSeek>, u64, Option<String>)> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.len() > SMALL {
        return Ok((Box::new(file), metadata.len(), time_tag(&metadata)));
    }
    let mut bytes = Vec::new();
    if (&mut file).take(MOST_GROWTH).read_to_end(&mut bytes)? as u64 == MOST_GROWTH {
        return Err(io::Error::new(ErrorKind::Other, "the file is longer than the system says"));
    }
    let (length, tag) = (bytes.len() as u64, conditional::entity_tag(&bytes));
    Ok((Box::new(Cursor::new(bytes)), length, Some(tag)))
}

/// A tag of length and time, once the time can be relied on.
fn time_tag(metadata: &Metadata) -> Option<String> {
    let changed = changed(metadata)?;
    let age = SystemTime::now().duration_since(changed).ok()?;
    let time = changed.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    (age >= SETTLED).then(|| format!("\"{:x}-{time:x}\"", metadata.len()))
}

/// When the file, or what its name means, has changed last. On Unix that is `ctime`: archives, packages and copies set
/// `mtime` to any time they like.
#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let seconds = Duration::from_secs(metadata.ctime().try_into().ok()?);
    Some(UNIX_EPOCH + seconds + Duration::from_nanos(metadata.ctime_nsec().try_into().ok()?))
}
#[cfg(not(unix))]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok()
}

/// Whether the part that a client has is of the file as it is now (RFC 9110 §13.1.5). We send no `Last-Modified`, so no
/// date can be right.
fn is_same(request: &Request, tag: Option<&str>) -> bool {
    request.header("If-Range").map_or(true, |known| Some(known) == tag)
}

/// The bytes that `Range` asks for of so many, none where it asks beyond them (RFC 9110 §14.1.2).
///
/// `None` stands for all of them, where several ranges or other units are asked for, or where the field cannot be understood.
fn wanted(range: &str, length: u64) -> Option<Range<u64>> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    match (first, last) {
        ("", suffix) => Some(length.saturating_sub(number(suffix)?)..length),
        (first, "") => Some(number(first)?..length),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first..last.saturating_add(1).min(length))
        }
    }
}

/// Digits alone; what is too large for anything is as large as can be.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        check("bytes=0-0", "0..1");
        check("bytes=2-5", "2..6");
        check("BYTES= 2-5 ", "2..6");
        check("bytes=2-", "2..10");
        check("bytes=2-99", "2..10");
        check("bytes=2-99999999999999999999", "2..10");
        check("bytes=-3", "7..10");
        check("bytes=-99", "0..10");
        check("bytes=10-", "10..10"); // nothing: 416
        check("bytes=10-12", "10..10");
        check("bytes=99999999999999999999-", "18446744073709551615..10");
        check("bytes=-0", "10..10");
        check("bytes=5-2", "all");
        check("bytes=0-1,3-4", "all");
        check("bytes=+1-2", "all");
        check("bytes=a-", "all");
        check("bytes=-", "all");
        check("bytes=", "all");
        check("bytes 0-1", "all");
        check("lines=0-1", "all");
        check("", "all");

        #[track_caller]
        fn check(range: &str, expected: &str) {
            let actual = wanted(range, 10).map_or(String::from("all"), |wanted| format!("{wanted:?}"));
            assert_eq!(actual, expected, "{range:?}");
        }
    }

    #[test]
    fn devices_of_windows() {
        for name in ["nul", "CON", "aux.txt", "com1", "Com1.tar.gz", "LPT9 .x", "prn ", "COM²", "conin$"] {
            assert!(is_device(name), "{name:?}");
        }
        for name in ["null", "con-1", "comma", "com", "com10", "a.con", "lpt", "x.nul", "", ".con"] {
            assert!(!is_device(name), "{name:?}");
        }
    }
}
