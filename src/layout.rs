//! Finds the handler of a path, segment by segment.
//!
//! Left out on purpose: patterns, parameters and methods. A handler sees the rest of its path and the method itself.

use std::fmt;

use crate::http::{Handler, Request, Response, Status};

/// Passes requests on by the next segment of their path.
///
/// ```
/// use brooklet::{Content, Layout, Request, Response};
///
/// let app = Layout::new()
///     .index(Content::html("<h1>Home</h1>"))                      // /
///     .add("about", Content::text("A small brook"))               // /about, /about/, /about/any
///     .add("api/v1/time", |_: Request| Response::text("noon"))    // several segments at once
///     .add("files", Layout::new().fallback(|request: Request| {   // everything below /files/
///         Response::text(format!("{} is not here", request.target().as_str()))
///     }));
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
    children: Vec<(String, Child)>,
    index: Option<Box<dyn Handler>>,
    fallback: Option<Box<dyn Handler>>,
}

enum Child {
    Handler(Box<dyn Handler>),
    /// Made on the way to a handler that was added by several segments.
    Layout(Layout),
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
    /// use brooklet::{Layout, Request, Response};
    ///
    /// let app = Layout::new()
    ///     .add("time", |_: Request| Response::text("noon"))
    ///     .add("api/v1/users", |_: Request| Response::json("[]"))
    ///     .add("api/v1/groups", |_: Request| Response::json("[]"));
    /// # drop(app);
    /// ```
    #[track_caller]
    pub fn add(mut self, path: &str, handler: impl Handler) -> Self {
        self.insert(path, Box::new(handler));
        self
    }

    #[track_caller]
    fn insert(&mut self, path: &str, handler: Box<dyn Handler>) {
        let (mut layout, mut last) = (self, None);
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            if let Some(parent) = last.replace(segment) {
                layout = layout.below(parent, path);
            }
        }
        let last = match last {
            Some(last) => last,
            None => panic!("`{path}` names no segment; the handler of the layout's own path is its index"),
        };
        assert!(layout.child(last).is_none(), "there is a handler at `{path}` already");
        layout.children.push((last.to_owned(), Child::Handler(handler)));
    }

    /// Sets the handler of the layout's own path.
    ///
    /// # Panics
    ///
    /// If there is one already.
    ///
    /// ```
    /// use brooklet::{Content, Layout};
    ///
    /// let help = Layout::new().index(Content::html("<h1>Help</h1>")); // /help/, as it is added here:
    /// let app = Layout::new().index(Content::html("<h1>Home</h1>")).add("help", help);
    /// # drop(app);
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
    /// use brooklet::{Layout, Request, Response, Status};
    ///
    /// let app = Layout::new().fallback(|request: Request| {
    ///     println!("there is no handler for {}", request.path());
    ///     Response::explain(Status::NOT_FOUND, "this tool has no such page")
    /// });
    /// # drop(app);
    /// ```
    #[track_caller]
    pub fn fallback(mut self, handler: impl Handler) -> Self {
        assert!(self.fallback.is_none(), "this layout has a fallback already");
        self.fallback = Some(Box::new(handler));
        self
    }

    fn child(&self, segment: &str) -> Option<&Child> {
        self.children.iter().find(|(name, _)| name == segment).map(|(_, child)| child)
    }

    /// The layout of a segment on the way to a handler, made if there is none.
    #[track_caller]
    fn below(&mut self, segment: &str, path: &str) -> &mut Self {
        let at = match self.children.iter().position(|(name, _)| name == segment) {
            Some(at) => at,
            None => {
                self.children.push((segment.to_owned(), Child::Layout(Self::new())));
                self.children.len() - 1
            }
        };
        match &mut self.children[at].1 {
            Child::Layout(layout) => layout,
            Child::Handler(_) => panic!("`{segment}` on the way to `{path}` is a handler already"),
        }
    }
}

impl Handler for Layout {
    fn handle(&self, request: Request) -> Response {
        self.find(request).unwrap_or_else(|_| Response::error(Status::NOT_FOUND))
    }
}

impl Layout {
    /// Answers, or gives the request back where there is no handler for it: a layout above may have a fallback.
    fn find(&self, request: Request) -> Result<Response, Request> {
        let child = match request.target().current() {
            Some(segment) => self.child(segment),
            None => match &self.index {
                Some(_) if !request.path().ends_with('/') => return Ok(to_slash(&request)),
                Some(index) => return Ok(index.handle(request)),
                None => None,
            },
        };
        let found = match child {
            Some(Child::Handler(handler)) => return Ok(handler.handle(request.descend())),
            Some(Child::Layout(layout)) => layout.find(request.clone().descend()).ok(),
            None => None,
        };
        match (found, &self.fallback) {
            (Some(response), _) => Ok(response),
            (None, Some(fallback)) => Ok(fallback.handle(request)),
            (None, None) => Err(request),
        }
    }
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
