//! Names and values: of a query, and of a form in a body.

use std::fmt;
use std::str;

use super::percent;

/// The names and values of a form or a query, decoded, in the order in which they came.
///
/// `+` is a space, as `%20` is. Names may be repeated. A malformed escape stays as it is. A form of more than 10,000
/// pairs is read as an empty one.
///
/// ```
/// use brooklet::{testing::Client, Request, Response};
///
/// // <form method="post"><input name="user"><input name="tag"><input name="tag"></form>
/// fn add(request: Request) -> Response {
///     let form = request.form();
///     let user = form.get("user").unwrap_or_default();
///     let tags: Vec<_> = form.all("tag").collect();
///     let fields = form.pairs().count();
///     Response::text(format!("{user} has {} tags in {fields} fields\n", tags.len()))
/// }
///
/// let page = Client::new("POST", "/").header("Content-Type", "application/x-www-form-urlencoded");
/// let answer = page.body("user=Ada&tag=a&tag=b").in_memory(&add).run();
/// assert_eq!(answer.text(), "Ada has 2 tags in 3 fields\n");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Everything decoded, in one piece: `END` behind each pair, `VALUE` before a value that is not empty. Names and
    /// values are UTF-8, which has neither byte.
    decoded: Box<[u8]>,
}

const VALUE: u8 = 0xFE;
const END: u8 = 0xFF;
/// The most pairs that a form is read with. Go: 10,000.
const MAX_PAIRS: usize = 10_000;

impl Form {
    /// Decodes `application/x-www-form-urlencoded` (URL standard §5.1).
    pub(super) fn decode(text: &[u8]) -> Self {
        let pairs = || text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        if pairs().nth(MAX_PAIRS).is_some() {
            return Self::default();
        }
        let mut decoded = Vec::with_capacity(text.len() + 1);
        for pair in pairs() {
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
            percent::decode_form(name, &mut decoded);
            if let [_equals, value @ ..] = &pair[name.len()..] {
                // No value and an empty one are the same.
                decoded.extend((!value.is_empty()).then_some(VALUE));
                percent::decode_form(value, &mut decoded);
            }
            decoded.push(END);
        }
        Self { decoded: decoded.into() }
    }

    /// The first value of a name; empty where the name has no value, `None` where the name is not there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// All values of a name.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.pairs().filter(move |(found, _)| *found == name).map(|(_, value)| value)
    }

    /// All names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.decoded.split_inclusive(|byte| *byte == END).map(|pair| {
            // The text was made UTF-8 when it was decoded.
            let mut parts =
                pair.split(|byte| *byte >= VALUE).map(|part| str::from_utf8(part).unwrap_or_default());
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        })
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs()).finish()
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
        check("=", &[("", "")]);
        check("a=&b", &[("a", ""), ("b", "")]);
        check("a=%FE&%FE%FF=b", &[("a", "\u{FFFD}"), ("\u{FFFD}\u{FFFD}", "b")]);

        #[track_caller]
        fn check(text: &str, expected: &[(&str, &str)]) {
            let form = Form::decode(text.as_bytes());
            assert_eq!(form.pairs().collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    /// What it holds is what was sent, or three times that where a byte becomes U+FFFD.
    #[test]
    fn sizes() {
        check(b"a&", 4096, 8192, 4096);
        check(b"a=&", 4096, 8192, 4096);
        check(b"a=b&", 2048, 8192, 2048);
        check(b"%41", 2000, 2001, 1);
        check(b"a", 8000, 8001, 1);
        check(b"\xff", 1000, 3001, 1);
        check(b"a&", MAX_PAIRS, 2 * MAX_PAIRS, MAX_PAIRS);
        check(b"a&", MAX_PAIRS + 1, 0, 0);

        #[track_caller]
        fn check(piece: &[u8], times: usize, size: usize, pairs: usize) {
            let form = Form::decode(&piece.repeat(times));
            assert_eq!((form.decoded.len(), form.pairs().count()), (size, pairs), "{piece:?}");
        }
    }

    #[test]
    fn first_and_all() {
        let form = Form::decode(b"a=1&b&a=2");
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("1"), Some(""), None));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2"]);
    }
}
