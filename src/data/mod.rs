//! Values to text: what an event says of a number, a list, a struct. Nothing here uses another folder.

mod writer;

mod formatting;

mod values;

pub use formatting::Formatting;
pub use values::{RawJson, Text};
pub use writer::{to_json, List, Object, Writer};

/// A value that an event can carry. A struct of your own becomes one by [`json_object!`](crate::json_object).
///
/// | value | as an event's data | inside JSON |
/// |---|---|---|
/// | integers | decimal | the same |
/// | floats | the shortest decimal that reads back the same; from 1e21 on and below 1e-6 with an exponent | the same |
/// | `NaN`, infinities | `NaN`, `Infinity`, `-Infinity` | `null` |
/// | `bool` | `true`, `false` | the same |
/// | `char`, `str`, `String`, `format_args!(…)` | the text itself | a string |
/// | `SystemTime` | RFC 3339 in UTC: `2024-01-15T10:30:00Z`, a fraction of 3, 6 or 9 digits where there is one | a string |
/// | `Duration` | seconds: `1.5` | the same |
/// | IP and socket addresses | the usual text | a string |
/// | `None` | empty | `null` |
/// | slices, arrays, lists, sets, tuples | a JSON array | an array |
/// | maps | a JSON object, in the map's order | an object |
/// | references, `Box`, `Rc`, `Arc`, `Cow` | as what they hold | |
/// | [`Text`] | the `Display` of any type | a string |
/// | [`RawJson`] | JSON from elsewhere, as it is | as it is |
///
/// A type of your own can write itself in any form:
///
/// ```
/// use brooklet::{Data, Writer};
///
/// struct Point { x: i32, y: i32 }
///
/// impl Data for Point {
///     fn write(&self, out: &mut Writer<'_>) {
///         if out.overridden(self) {
///             return; // a source's Formatting has a text for points
///         }
///         out.object(|object| {
///             object.field("x", self.x).field("y", self.y);
///         });
///     }
/// }
/// # assert_eq!(brooklet::Event::new(Point { x: 1, y: -2 }).encode().unwrap(), "data: {\"x\":1,\"y\":-2}\n\n");
/// ```
///
/// JSON escapes what RFC 8259 §7 demands and nothing else: quotation mark, backslash and the control characters
/// below U+0020. So JSON never contains a line end.
///
/// In the guide: [formats](crate::guide::formats).
pub trait Data {
    /// Writes the value.
    fn write(&self, out: &mut Writer<'_>);
}

/// Makes structs [`Data`]: JSON objects of the fields that are named.
///
/// ```
/// use brooklet::json_object;
///
/// struct Quote<'a> { symbol: &'a str, unit_price: f64, r#type: u8, secret: u8 }
/// json_object!(Quote<'_> { symbol, unit_price as "unitPrice", r#type });
///
/// let quote = Quote { symbol: "AAPL", unit_price: 12.5, r#type: 3, secret: 9 };
/// assert_eq!(quote.secret, 9); // not sent
/// let bytes = brooklet::Event::new(&quote).encode().unwrap();
/// assert_eq!(bytes, "data: {\"symbol\":\"AAPL\",\"unitPrice\":12.5,\"type\":3}\n\n");
/// ```
///
/// A struct whose name stands alone, without lifetimes or parameters, can be overridden by a
/// [`Formatting`]; one that borrows cannot, since Rust tells apart only types that own what they hold.
#[macro_export]
macro_rules! json_object {
    (@object $self:ident $out:ident $($field:ident $(as $name:literal)?),* $(,)?) => {
        $out.object(|object| {
            $($crate::json_object!(@field object $self $field $($name)?);)*
            let _ = object; // a struct without fields
        })
    };
    (@field $object:ident $self:ident $field:ident) => {
        $object.field(stringify!($field).trim_start_matches("r#"), &$self.$field)
    };
    (@field $object:ident $self:ident $field:ident $name:literal) => {
        $object.field($name, &$self.$field)
    };
    ($name:ident { $($fields:tt)* }) => {
        impl $crate::Data for $name {
            fn write(&self, out: &mut $crate::Writer<'_>) {
                if !out.overridden(self) {
                    $crate::json_object!(@object self out $($fields)*);
                }
            }
        }
    };
    ($type:ty { $($fields:tt)* }) => {
        impl $crate::Data for $type {
            fn write(&self, out: &mut $crate::Writer<'_>) {
                $crate::json_object!(@object self out $($fields)*);
            }
        }
    };
}

#[cfg(test)]
mod tests;
