//! Finds the handler of a path, segment by segment.
//!
//! Left out on purpose: patterns, parameters and methods. A handler sees the rest of its path and the method itself.

use std::fmt;

use crate::http::{segments, Handler, Request, Response, Status};

/// Passes requests on by the next segment of their path.
///
/// ```
/// use brooklet::{testing::Client, Content, Layout, Request, Response};
///
/// let app = Layout::new()
///     .index(Content::html("<h1>Home</h1>"))                      // /
///     .add("about", Content::text("A small brook"))               // /about, /about/, /about/any
///     .add("api/v1/time", |_: Request| Response::text("noon"))    // several segments at once
///     .add("files", Layout::new().fallback(|request: Request| {   // everything below /files/
///         Response::text(format!("{} is not here", request.target().as_str()))
///     }));
/// let get = |path: &str| Client::get(path).in_memory(&app).run().text().into_owned();
/// assert_eq!(get("/about/any"), "A small brook");
/// assert_eq!(get("/files/a/b"), "/a/b is not here");
/// ```
///
/// A handler added as `stock` answers `/stock`, `/stock/` and `/stock/x`, in which it finds `x` as its
/// target's current segment; it does not answer `/stocks`. Segments are compared decoded, letter by letter. A path
/// without a handler is `404`.
///
/// The index of a layout below another is found at `/name/`; without the slash at the end the browser is sent
/// there, so that relative links on that page work.
#[derive(Default)]
#[must_use = "a layout answers when it is part of a Host"]
pub struct Layout {
    /// By their paths, of which none begins with all the segments of another.
    children: Vec<(String, Box<dyn Handler>)>,
    index: Option<Box<dyn Handler>>,
    fallback: Option<Box<dyn Handler>>,
}

impl Layout {
    /// A layout that answers everything with `404`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler for a segment, or for several with slashes in between.
    ///
    /// # Panics
    ///
    /// If there is no segment in `path`, or if there is a handler there already: an error in the program,
    /// reported with the line that it is in.
    ///
    /// ```
    /// use brooklet::{testing::Client, Layout, Request, Response};
    ///
    /// let app = Layout::new()
    ///     .add("time", |_: Request| Response::text("noon"))
    ///     .add("api/v1/users", |_: Request| Response::json("[]"));
    /// assert_eq!(Client::get("/api/v1/users").in_memory(&app).run().text(), "[]");
    /// ```
    #[track_caller]
    pub fn add(mut self, path: &str, handler: impl Handler) -> Self {
        self.insert(path, Box::new(handler));
        self
    }

    /// The handler comes in a box: without it, the compiler would repeat this for each kind of handler.
    #[track_caller]
    fn insert(&mut self, path: &str, handler: Box<dyn Handler>) {
        assert!(
            segments(path).next().is_some(),
            "`{path}` names no segment; the handler of the layout's own path is its index"
        );
        for (other, _) in &self.children {
            assert!(!begins_with(other, path), "there is a handler at `{path}` already");
            assert!(!begins_with(path, other), "`{other}` on the way to `{path}` is a handler already");
        }
        self.children.push((path.to_owned(), handler));
    }

    /// Sets the handler of the layout's own path.
    ///
    /// # Panics
    ///
    /// If there is one already.
    ///
    /// ```
    /// use brooklet::{testing::Client, Content, Layout};
    ///
    /// let help = Layout::new().index(Content::text("Help"));
    /// let app = Layout::new().index(Content::text("Home")).add("help", help);
    /// assert_eq!(Client::get("/").in_memory(&app).run().text(), "Home");
    /// assert_eq!(Client::get("/help/").in_memory(&app).run().text(), "Help");
    /// ```
    #[track_caller]
    pub fn index(mut self, handler: impl Handler) -> Self {
        assert!(self.index.is_none(), "this layout has an index already");
        self.index = Some(Box::new(handler));
        self
    }

    /// Sets the handler of every path that has no other. It gets the whole path that is left.
    ///
    /// # Panics
    ///
    /// If there is one already.
    ///
    /// ```
    /// use brooklet::{testing::Client, Layout, Request, Response};
    ///
    /// let app = Layout::new().fallback(|request: Request| Response::text(format!("nothing at {}", request.path())));
    /// assert_eq!(Client::get("/a/b").in_memory(&app).run().text(), "nothing at /a/b");
    /// ```
    #[track_caller]
    pub fn fallback(mut self, handler: impl Handler) -> Self {
        assert!(self.fallback.is_none(), "this layout has a fallback already");
        self.fallback = Some(Box::new(handler));
        self
    }
}

impl Handler for Layout {
    fn handle(&self, request: Request) -> Response {
        let child = self.children.iter().find(|(path, _)| begins_with(request.target().as_str(), path));
        match (child, &self.index, &self.fallback) {
            (Some((path, child)), ..) => child.handle(segments(path).fold(request, |rest, _| rest.descend())),
            (None, Some(index), _) if request.target().current().is_none() => {
                match request.path().ends_with('/') {
                    true => index.handle(request),
                    false => to_slash(&request),
                }
            }
            (None, _, Some(fallback)) => fallback.handle(request),
            (None, _, None) => Response::error(Status::NOT_FOUND),
        }
    }
}

fn begins_with(path: &str, start: &str) -> bool {
    let mut rest = segments(path);
    segments(start).all(|segment| rest.next() == Some(segment))
}

/// Sends `/name?query` to `/name/?query`. The status keeps the method and the body (RFC 9110 §15.4.9).
pub(crate) fn to_slash(request: &Request) -> Response {
    let (path, query) = match request.raw_target().split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (request.raw_target(), String::new()),
    };
    // Relative to where it is, so that it is right behind a proxy that serves us under a prefix.
    let segment = path.rsplit_once('/').map_or(path, |(_, segment)| segment);
    Response::new(Status::PERMANENT_REDIRECT).header("Location", format!("./{segment}/{query}"))
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.children.iter().map(|(name, _)| name).collect();
        f.debug_struct("Layout")
            .field("children", &names)
            .field("has_index", &self.index.is_some())
            .field("has_fallback", &self.fallback.is_some())
            .finish()
    }
}
