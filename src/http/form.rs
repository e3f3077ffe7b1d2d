//! Names and values: of a query, and of a form in a body.

use super::percent;

/// What a form or a query says: names and values, decoded, in the order in which they came.
///
/// `+` is a space, as is `%20`; names may be repeated; an escape that is malformed stays as it is.
///
/// ```
/// use brooklet::{Request, Response};
///
/// // <form method="post"><input name="user"><input name="tag"><input name="tag"></form>
/// fn add(request: Request) -> Response {
///     let form = request.form();
///     let user = form.get("user").unwrap_or_default();
///     let tags: Vec<_> = form.all("tag").collect();
///     let fields = form.pairs().count();
///     Response::text(format!("{user} has {} tags in {fields} fields\n", tags.len()))
/// }
/// # brooklet::Layout::new().add("add", add);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// Decodes `application/x-www-form-urlencoded` (URL standard §5.1).
    pub(super) fn decode(text: &[u8]) -> Self {
        let mut pairs = Vec::new();
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut parts = pair.splitn(2, |byte| *byte == b'=').map(percent::decode_form);
            pairs.push((parts.next().unwrap_or_default(), parts.next().unwrap_or_default()));
        }
        Self { pairs }
    }

    /// The first value of a name; empty where the name stands alone.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// All values of a name.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.pairs().filter(move |(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Everything.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        check("", &[]);
        check("&&", &[]);
        check("user=123", &[("user", "123")]);
        check("a=1&b=2&a=3", &[("a", "1"), ("b", "2"), ("a", "3")]);
        check("flag", &[("flag", "")]);
        check("=value", &[("", "value")]);
        check("k=a=b", &[("k", "a=b")]);
        check("path=/Some+Folder/With%20More/", &[("path", "/Some Folder/With More/")]);
        check("s%C3%B6me%20key=%F0%9F%92%95", &[("söme key", "💕")]);
        check("p=100%&q=%zz%4", &[("p", "100%"), ("q", "%zz%4")]);
        check("bad=%FF", &[("bad", "\u{FFFD}")]);

        #[track_caller]
        fn check(text: &str, expected: &[(&str, &str)]) {
            let form = Form::decode(text.as_bytes());
            assert_eq!(form.pairs().collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn first_and_all() {
        let form = Form::decode(b"a=1&b&a=2");
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("1"), Some(""), None));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2"]);
    }
}
