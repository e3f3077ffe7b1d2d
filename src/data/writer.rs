//! Where values write themselves: bare text for the data of an event, JSON for what is inside a list or object.

use std::any::Any;
use std::fmt::{self, Write};

use super::{Data, Formatting};
use crate::digits::Digits;

/// Takes the text of one value. See [`Data`].
///
/// ```
/// use brooklet::{Data, Event, Writer};
///
/// struct Matrix([[f32; 2]; 2]);
///
/// impl Data for Matrix {
///     fn write(&self, out: &mut Writer<'_>) {
///         out.list(|rows| {
///             for row in self.0 {
///                 rows.item(row);
///             }
///         });
///     }
/// }
///
/// let matrix = Matrix([[1.0, 0.0], [0.0, 1.5]]);
/// assert_eq!(Event::new(matrix).encode().unwrap(), "data: [[1,0],[0,1.5]]\n\n");
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut String,
    formatting: &'a Formatting,
    /// Inside a list or an object everything is JSON; what stands alone is bare where it can be.
    is_nested: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut String, formatting: &'a Formatting) -> Self {
        Self { out, formatting, is_nested: false }
    }

    /// Writes the text that the source's [`Formatting`] has for values of this type, if it has one.
    ///
    /// Inside JSON it becomes a string.
    ///
    /// ```
    /// use brooklet::{Data, Writer};
    ///
    /// struct Celsius(f64);
    ///
    /// impl Data for Celsius {
    ///     fn write(&self, out: &mut Writer<'_>) {
    ///         if !out.overridden(self) { // by `Formatting::new().add(|degrees: &Celsius| …)`
    ///             out.display(format_args!("{} °C", self.0));
    ///         }
    ///     }
    /// }
    /// # assert_eq!(brooklet::Event::new(Celsius(20.5)).encode().unwrap(), "data: 20.5 °C\n\n");
    /// ```
    pub fn overridden<T: Any>(&mut self, value: &T) -> bool {
        // This runs for each value, and few sources override anything.
        !self.is_plain() && self.write_override(value, |_| false)
    }

    /// Writes the text that the [`Formatting`] has for a number. Inside JSON it stays a number where it reads as one.
    pub(super) fn overridden_number<T: Any>(&mut self, value: &T) -> bool {
        !self.is_plain() && self.write_override(value, is_json_number)
    }

    /// `is_same_in_json` says which texts need no quotation marks there.
    fn write_override(&mut self, value: &dyn Any, is_same_in_json: fn(&str) -> bool) -> bool {
        match self.formatting.text(value) {
            Some(text) if is_same_in_json(&text) => self.out.push_str(&text),
            Some(text) => self.text(&text),
            None => return false,
        }
        true
    }

    /// Whether there are no overrides, so that none has to be looked for.
    pub(super) fn is_plain(&self) -> bool {
        self.formatting.is_empty()
    }

    /// Writes text: bare, or as a JSON string.
    ///
    /// ```
    /// # use brooklet::{Data, Event, Writer};
    /// struct On(bool);
    ///
    /// impl Data for On {
    ///     fn write(&self, out: &mut Writer<'_>) {
    ///         out.text(if self.0 { "on" } else { "off" });
    ///     }
    /// }
    ///
    /// assert_eq!(Event::new(On(true)).encode().unwrap(), "data: on\n\n");
    /// assert_eq!(Event::new([On(false)]).encode().unwrap(), "data: [\"off\"]\n\n");
    /// ```
    pub fn text(&mut self, text: &str) {
        match self.is_nested {
            true => write_json_string(self.out, text),
            false => self.out.push_str(text),
        }
    }

    /// Writes the `Display` of a value: bare, or as a JSON string.
    ///
    /// ```
    /// # use brooklet::{Data, Event, Writer};
    /// struct Version(u8, u8);
    ///
    /// impl Data for Version {
    ///     fn write(&self, out: &mut Writer<'_>) {
    ///         out.display(format_args!("v{}.{}", self.0, self.1));
    ///     }
    /// }
    ///
    /// assert_eq!(Event::new(Version(1, 2)).encode().unwrap(), "data: v1.2\n\n");
    /// assert_eq!(Event::new([Version(1, 2)]).encode().unwrap(), "data: [\"v1.2\"]\n\n");
    /// ```
    pub fn display(&mut self, value: impl fmt::Display) {
        self.text_of(format_args!("{value}"));
    }

    fn text_of(&mut self, value: fmt::Arguments<'_>) {
        // Writing to a String never fails. An error is the value's own, and what it wrote until then stays.
        let _ = match self.is_nested {
            false => self.out.write_fmt(value),
            true => {
                self.out.push('"');
                let written = JsonText(self.out).write_fmt(value);
                self.out.push('"');
                written
            }
        };
    }

    /// Writes what is the same bare and in JSON: numbers, `true` and `false`, JSON itself.
    pub(super) fn verbatim(&mut self, value: fmt::Arguments<'_>) {
        let _ = self.out.write_fmt(value);
    }

    /// Writes a number.
    pub(super) fn unsigned(&mut self, number: u64) {
        self.out.push_str(Digits::of(number).as_str());
    }

    /// Writes a number that may be negative.
    pub(super) fn signed(&mut self, number: i64) {
        if number < 0 {
            self.out.push('-');
        }
        self.unsigned(number.unsigned_abs());
    }

    /// Writes nothing, or `null` inside JSON.
    ///
    /// ```
    /// # use brooklet::{Data, Event, Writer};
    /// struct Reading(Option<f64>);
    ///
    /// impl Data for Reading {
    ///     fn write(&self, out: &mut Writer<'_>) {
    ///         match self.0 {
    ///             Some(value) => value.write(out),
    ///             None => out.none(),
    ///         }
    ///     }
    /// }
    ///
    /// assert_eq!(Event::new(Reading(None)).encode().unwrap(), "data: \n\n");
    /// let both = [Reading(Some(1.5)), Reading(None)];
    /// assert_eq!(Event::new(both).encode().unwrap(), "data: [1.5,null]\n\n");
    /// ```
    pub fn none(&mut self) {
        if self.is_nested {
            self.out.push_str("null");
        }
    }

    /// Writes a number that JSON has no word for: by name, or `null` inside JSON.
    pub(super) fn not_a_json_number(&mut self, name: &str) {
        match self.is_nested {
            true => self.none(),
            false => self.out.push_str(name),
        }
    }

    /// Writes a JSON array of what `fill` puts in.
    ///
    /// See [`List`].
    pub fn list(&mut self, fill: impl FnOnce(&mut List<'_>)) {
        self.out.push('[');
        fill(&mut List { writer: self.nested(), is_empty: true });
        self.out.push(']');
    }

    /// Writes a JSON object of what `fill` puts in.
    ///
    /// See [`Object`].
    pub fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        self.out.push('{');
        fill(&mut Object { writer: self.nested(), is_empty: true });
        self.out.push('}');
    }

    fn nested(&mut self) -> Writer<'_> {
        Writer { out: self.out, formatting: self.formatting, is_nested: true }
    }
}

/// The JSON text of a value, for answers that are no streams.
///
/// It is what the value is inside a list: text has its quotation marks, and `None` is `null`.
///
/// ```
/// use brooklet::{json_object, to_json, Response};
///
/// struct Quote { symbol: &'static str, price: f64 }
/// json_object!(Quote { symbol, price });
///
/// let json = to_json(Quote { symbol: "AAPL", price: 129.5 });
/// assert_eq!(json, r#"{"symbol":"AAPL","price":129.5}"#);
/// let answer = Response::json(json);
/// assert_eq!(answer.header_value("Content-Type"), Some("application/json"));
/// ```
pub fn to_json(value: impl Data) -> String {
    let mut json = String::new();
    write_nested(&mut Writer { out: &mut json, formatting: &Formatting::new(), is_nested: true }, value);
    json
}

/// A JSON array that is being written.
///
/// ```
/// use brooklet::{Data, Event, Writer};
///
/// struct Countdown(u8);
///
/// impl Data for Countdown {
///     fn write(&self, out: &mut Writer<'_>) {
///         out.list(|list| {
///             for number in (1..=self.0).rev() {
///                 list.item(number);
///             }
///             list.item("go");
///         });
///     }
/// }
///
/// assert_eq!(Event::new(Countdown(2)).encode().unwrap(), "data: [2,1,\"go\"]\n\n");
/// ```
#[derive(Debug)]
pub struct List<'a> {
    writer: Writer<'a>,
    is_empty: bool,
}

impl List<'_> {
    /// Adds a value.
    ///
    /// As in the example of [`List`].
    pub fn item(&mut self, value: impl Data) -> &mut Self {
        separate(&mut self.writer, &mut self.is_empty);
        write_nested(&mut self.writer, value);
        self
    }
}

/// A JSON object that is being written.
///
/// ```
/// use brooklet::{Data, Event, Writer};
///
/// struct User { name: String, email: Option<String> }
///
/// impl Data for User {
///     fn write(&self, out: &mut Writer<'_>) {
///         out.object(|object| {
///             object.field("name", &self.name);
///             if let Some(email) = &self.email {
///                 object.field("email", email); // left out where there is none
///             }
///         });
///     }
/// }
///
/// let ada = User { name: "Ada".into(), email: None };
/// assert_eq!(Event::new(ada).encode().unwrap(), "data: {\"name\":\"Ada\"}\n\n");
/// ```
#[derive(Debug)]
pub struct Object<'a> {
    writer: Writer<'a>,
    is_empty: bool,
}

impl Object<'_> {
    /// Adds a name and its value.
    ///
    /// As in the example of [`Object`]. A name that is used twice stands there twice.
    pub fn field(&mut self, name: impl fmt::Display, value: impl Data) -> &mut Self {
        separate(&mut self.writer, &mut self.is_empty);
        self.writer.display(name);
        self.writer.out.push(':');
        write_nested(&mut self.writer, value);
        self
    }
}

fn separate(writer: &mut Writer<'_>, is_empty: &mut bool) {
    if !std::mem::take(is_empty) {
        writer.out.push(',');
    }
}

/// A `Data` that writes nothing is `null` among others, so that what surrounds it stays JSON.
fn write_nested(writer: &mut Writer<'_>, value: impl Data) {
    let before = writer.out.len();
    value.write(writer);
    if writer.out.len() == before {
        writer.none();
    }
}

/// Escapes what is written through it (RFC 8259 §7).
struct JsonText<'a>(&'a mut String);

impl Write for JsonText<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0x08 => "\\b",
                0x0c => "\\f",
                0..=0x1f => "",
                _ => continue,
            };
            self.0.push_str(&text[plain..at]);
            match escape {
                "" => write!(self.0, "\\u{byte:04x}")?,
                _ => self.0.push_str(escape),
            }
            plain = at + 1;
        }
        self.0.push_str(&text[plain..]);
        Ok(())
    }
}

fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    let _ = JsonText(out).write_str(text); // a String takes everything
    out.push('"');
}

/// `number = [ minus ] int [ frac ] [ exp ]` (RFC 8259 §6)
fn is_json_number(text: &str) -> bool {
    behind_json_number(text.as_bytes()) == Some(b"")
}

fn behind_json_number(text: &[u8]) -> Option<&[u8]> {
    let mut rest = match text.strip_prefix(b"-").unwrap_or(text) {
        [b'0', rest @ ..] => rest,
        unsigned => behind_digits(unsigned)?,
    };
    if let [b'.', fraction @ ..] = rest {
        rest = behind_digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        rest = match exponent {
            [b'+' | b'-', digits @ ..] => behind_digits(digits)?,
            digits => behind_digits(digits)?,
        };
    }
    Some(rest)
}

/// What follows one digit or more.
fn behind_digits(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        check("plain ü 💕 \u{2028}", "\"plain ü 💕 \u{2028}\"");
        check("a\"b\\c", "\"a\\\"b\\\\c\"");
        check("\n\r\t\u{8}\u{c}", "\"\\n\\r\\t\\b\\f\"");
        check("\0\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\"");
        check("</script>", "\"</script>\"");

        #[track_caller]
        fn check(text: &str, expected: &str) {
            let mut out = String::new();
            write_json_string(&mut out, text);
            assert_eq!(out, expected, "{text:?}");
        }
    }

    #[test]
    fn numbers() {
        for number in ["0", "-0", "10", "1.50", "0.1", "1e5", "-1.2E-7", "1e+30"] {
            assert!(is_json_number(number), "{number}");
        }
        for other in
            ["", "-", "01", "1.", ".5", "+1", "1e", "1e+", "NaN", "1,5", "1 ", "--1", "0x1", "1.5 EUR"]
        {
            assert!(!is_json_number(other), "{other}");
        }
    }
}
