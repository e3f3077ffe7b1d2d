//! Pages, scripts and files that are the same for each client.
//!
//! Left out on purpose: templates, and compression, which is a proxy's.

mod files;
mod media_type;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};

use crate::http::conditional;
use crate::http::{FieldValue, Handler, Request, Response, Status};

/// Answers GET and HEAD with fixed bytes or with files, and with their entity tag, by which the host says `304` to a
/// client that has them already.
///
/// ```
/// use brooklet::{testing::Client, Content, Layout};
///
/// let app = Layout::new()
///     .index(Content::html("<!DOCTYPE html><title>Hello</title>"))
///     .add("notes.txt", Content::text("plain text"))
///     .add("logo.png", Content::bytes("image/png", &b"\x89PNG..."[..]))
///     .add("report", Content::file("Cargo.toml")?.media_type("text/plain; charset=utf-8"))
///     .add("pictures", Content::folder("src")?);
/// let logo = Client::get("/logo.png").in_memory(&app).run();
/// assert_eq!(logo.header("Content-Type"), Some("image/png"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Pages are compiled in by `Content::html(include_str!("page.html"))`, so that the program is one file.
/// Only a [`folder`](Self::folder) looks at what is left of the path.
#[derive(Debug, Clone)]
#[must_use = "content answers when it is part of a Layout or of a Host"]
pub struct Content {
    /// `None`: it is guessed from a file's name.
    media_type: Option<FieldValue>,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Bytes {
        bytes: Arc<[u8]>,
        entity_tag: FieldValue,
    },
    // A pointer to the function that answers: a program without files is then linked without that function.
    File {
        path: PathBuf,
        answer: fn(&Path, Option<&FieldValue>, &Request) -> io::Result<Response>,
    },
    Folder {
        path: PathBuf,
        fallback: Option<PathBuf>,
        answer: fn(&Path, Option<&Path>, Option<&FieldValue>, &Request) -> io::Result<Response>,
    },
}

// By hand: pointers to functions of several lifetimes have no `Debug` in Rust 1.63.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes { bytes, .. } => write!(f, "Bytes({})", bytes.len()),
            Self::File { path, .. } => write!(f, "File({path:?})"),
            Self::Folder { path, .. } => write!(f, "Folder({path:?})"),
        }
    }
}

impl Content {
    /// An HTML page in UTF-8.
    pub fn html(page: impl AsRef<str>) -> Self {
        Self::bytes("text/html; charset=utf-8", page.as_ref().as_bytes())
    }

    /// Plain text in UTF-8.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::bytes("text/plain; charset=utf-8", text.as_ref().as_bytes())
    }

    /// Bytes of a media type.
    pub fn bytes(media_type: impl Into<Cow<'static, str>>, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let entity_tag = conditional::entity_tag(bytes).into();
        Self {
            media_type: Some(media_type.into().into()),
            source: Source::Bytes { bytes: bytes.into(), entity_tag },
        }
    }

    /// The script of `SharedEventSource`: an `EventSource` of which all tabs of a browser have one connection together.
    ///
    /// A browser has six connections for a host, so the seventh tab with a stream of its own hangs. A
    /// `SharedEventSource` has the interface of `EventSource`, with two differences. It closes its stream when the user
    /// leaves the page, and goes on where it was when the user comes back. And only the answer `204` ends it for good.
    /// In the guide: [one stream for all tabs](crate::guide::clients#one-stream-for-all-tabs).
    ///
    /// ```
    /// use brooklet::{testing::Client, Content, EventSource, Layout};
    ///
    /// let page = "<!DOCTYPE html><title>Ticks</title>
    ///     <script src='shared.js'></script>
    ///     <script>
    ///         const source = new SharedEventSource('events');
    ///         source.onmessage = event => document.body.textContent = event.data;
    ///     </script>";
    /// let app = Layout::new()
    ///     .index(Content::html(page))
    ///     .add("shared.js", Content::event_source_script())
    ///     .add("events", EventSource::new(|connection| Ok(connection.data("tick")?)));
    /// let script = Client::get("/shared.js").in_memory(&app).run();
    /// assert!(script.text().contains("class SharedEventSource"));
    /// ```
    pub fn event_source_script() -> Self {
        Self::bytes("text/javascript; charset=utf-8", include_str!("shared_event_source.js"))
    }

    /// A file, which is read anew for each request, so that a change shows at the next one. Its media type is guessed
    /// from its name; where the name says nothing, it is `application/octet-stream`.
    ///
    /// It is read while it is sent, through a buffer of 64 KiB, however large it is. A client may ask for a part of it
    /// (`Range`), as players of videos do.
    ///
    /// # Errors
    ///
    /// If there is no such file now. A file that disappears later is answered `404`, one that cannot be read `500`.
    ///
    /// ```
    /// use brooklet::{testing::Client, Content};
    ///
    /// let manifest = Content::file("Cargo.toml")?; // relative to where the program was started
    /// let answer = Client::get("/").in_memory(&manifest).run();
    /// assert_eq!(answer.header("Content-Type"), Some("application/toml"));
    /// assert!(Content::file("no such file").is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        Ok(Self { media_type: None, source: Source::File { path, answer: files::answer } })
    }

    /// The files of a folder, and of the folders in it. What is left of the path names the file, and it is answered as
    /// one of [`file`](Self::file).
    ///
    /// For the folder `name`, `/name/` is answered with the `index.html` in it, and `/name` is sent to `/name/`. There is
    /// no list of what a folder holds.
    ///
    /// No file outside the folder is answered, whatever the path says and wherever links lead. A file is not answered
    /// either if a name on its path begins with a dot: `.git`, `.env`. To serve such a folder, add it by itself:
    /// `.add(".well-known", Content::folder("site/.well-known")?)`.
    ///
    /// # Errors
    ///
    /// If there is no such folder now. It may disappear and come back later, as the folder of a build does.
    ///
    /// ```
    /// use brooklet::{testing::Client, Content, Layout, Status};
    ///
    /// let app = Layout::new()
    ///     .add("assets", Content::folder("src")?)
    ///     .fallback(Content::folder("examples")?); // everything that has no handler of its own
    /// for path in ["/assets/lib.rs", "/stock.rs"] {
    ///     assert_eq!(Client::get(path).in_memory(&app).run().status(), Status::OK);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn folder(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        if !fs::metadata(&path)?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no folder"));
        }
        let source = Source::Folder { path, fallback: None, answer: files::answer_below };
        Ok(Self { media_type: None, source })
    }

    /// Sets the file that a browser gets where the folder has none of that name: the page of an application that reads
    /// the address itself. The path of that file is relative to the folder.
    ///
    /// A request whose `Accept` does not say `text/html`, for a script say, is still answered `404`: a page must not be
    /// read as the script that is missing.
    ///
    /// # Panics
    ///
    /// If this is no [`folder`](Self::folder): an error in the program.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Content};
    /// let app = Content::folder("src")?.fallback("lib.rs"); // in a page's place
    /// let page = Client::get("/settings/theme").header("Accept", "text/html").in_memory(&app).run();
    /// assert!(page.text().starts_with("//! Server-sent events"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn fallback(mut self, page: impl Into<PathBuf>) -> Self {
        match &mut self.source {
            Source::Folder { fallback, .. } => *fallback = Some(page.into()),
            _ => panic!("only a folder has a fallback"),
        }
        self
    }

    /// Sets the media type, in place of the guessed one.
    ///
    /// ```
    /// # use brooklet::{testing::Client, Content};
    /// let config = Content::file("Cargo.toml")?.media_type("text/plain; charset=utf-8");
    /// let answer = Client::get("/").in_memory(&config).run();
    /// assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn media_type(mut self, media_type: impl Into<Cow<'static, str>>) -> Self {
        self.media_type = Some(media_type.into().into());
        self
    }

    fn response(&self, request: &Request) -> io::Result<Response> {
        let media_type = self.media_type.as_ref();
        match &self.source {
            Source::File { path, answer } => answer(path, media_type, request),
            Source::Folder { path, fallback, answer } => {
                answer(path, fallback.as_deref(), media_type, request)
            }
            Source::Bytes { bytes, entity_tag } => {
                let media_type = media_type.cloned().unwrap_or_else(|| "application/octet-stream".into());
                Ok(Response::shared(media_type, entity_tag.clone(), Arc::clone(bytes)))
            }
        }
    }
}

impl Handler for Content {
    fn handle(&self, request: Request) -> Response {
        if !matches!(request.method(), "GET" | "HEAD") {
            return Response::method_not_allowed(request.method(), "GET, HEAD");
        }
        match self.response(&request) {
            Ok(response) => response,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Response::error(Status::NOT_FOUND),
            Err(error) => Response::error(Status::INTERNAL_SERVER_ERROR).caused_by(error.into()),
        }
    }
}
