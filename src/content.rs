//! Pages and files that are the same for everybody.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::http::conditional;
use crate::http::{FieldValue, Handler, Request, Response, Status};

/// Answers GET and HEAD with fixed bytes, and with their entity tag, by which the host says `304` to a client that has
/// them already.
///
/// ```
/// use brooklet::{Content, Layout};
///
/// let app = Layout::new()
///     .index(Content::html("<!DOCTYPE html><title>Hello</title>"))
///     .add("notes.txt", Content::text("plain text"))
///     .add("logo.png", Content::bytes("image/png", &b"\x89PNG..."[..]))
///     .add("report", Content::file("Cargo.toml")?.media_type("text/plain; charset=utf-8"));
/// # drop(app);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Pages are compiled in by `Content::html(include_str!("page.html"))`, so that the program is one file.
/// What of the path is left does not matter: it is the same content.
#[derive(Debug, Clone)]
#[must_use = "content answers when it is part of a Layout or of a Host"]
pub struct Content {
    media_type: FieldValue,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Bytes {
        bytes: Arc<[u8]>,
        entity_tag: FieldValue,
    },
    /// Read by what is named here, so that programs without files do without the code for it.
    File {
        path: PathBuf,
        read: fn(PathBuf) -> io::Result<Vec<u8>>,
    },
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
            media_type: media_type.into().into(),
            source: Source::Bytes { bytes: bytes.into(), entity_tag },
        }
    }

    /// A file, read anew for each request, so that a change shows at the next one. Its media type is
    /// guessed from the name, or `application/octet-stream`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read now. One that disappears later is answered `404`.
    ///
    /// ```
    /// use brooklet::Content;
    ///
    /// let manifest = Content::file("Cargo.toml")?; // relative to where the program was started
    /// assert!(Content::file("no such file").is_err());
    /// # let _ = manifest;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        if fs::File::open(path)?.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a folder"));
        }
        let source = Source::File { path: path.to_owned(), read: fs::read };
        Ok(Self { media_type: media_type(path).into(), source })
    }

    /// Sets the media type, in place of the one that was guessed.
    ///
    /// ```
    /// # use brooklet::Content;
    /// let config = Content::file("Cargo.toml")?.media_type("text/plain; charset=utf-8");
    /// # let _ = config;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn media_type(mut self, media_type: impl Into<Cow<'static, str>>) -> Self {
        self.media_type = media_type.into().into();
        self
    }

    fn response(&self) -> io::Result<Response> {
        let (bytes, entity_tag) = match &self.source {
            Source::Bytes { bytes, entity_tag } => (Arc::clone(bytes), entity_tag.clone()),
            Source::File { path, read } => {
                let bytes = read(path.clone())?;
                let entity_tag = conditional::entity_tag(&bytes).into();
                (bytes.into(), entity_tag)
            }
        };
        Ok(Response::shared(self.media_type.clone(), entity_tag, bytes))
    }
}

impl Handler for Content {
    fn handle(&self, request: Request) -> Response {
        if !matches!(request.method(), "GET" | "HEAD") {
            return Response::method_not_allowed(request.method(), "GET, HEAD");
        }
        match self.response() {
            Ok(response) => response,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Response::error(Status::NOT_FOUND),
            Err(error) => Response::error(Status::INTERNAL_SERVER_ERROR).caused_by(error.into()),
        }
    }
}

/// What a file most likely is, by the end of its name.
fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "log" | "md" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" | "map" => "application/json",
        "xml" => "application/xml",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        _ => "application/octet-stream",
    }
}
