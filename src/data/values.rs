//! How std's types write themselves. The table is in [`Data`]'s documentation.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Data, Writer};
use crate::calendar::Utc;

/// Implements `Data` for each of some types by the same expression.
macro_rules! data {
    (|$value:ident, $out:ident| $write:expr; $([$($parameters:tt)*] $type:ty),+) => {
        $(impl<$($parameters)*> Data for $type {
            fn write(&self, $out: &mut Writer<'_>) {
                let $value = self;
                $write
            }
        })+
    };
}

/// Implements `Data` for types that a [`Formatting`](super::Formatting) may have another text for. With
/// `overridden_number`, that text stays a number inside JSON.
macro_rules! data_unless {
    ($overridden:ident, |$value:ident, $out:ident| $write:expr; $($type:ty),+) => {
        data! { |$value, $out| if !$out.$overridden($value) { $write }; $([] $type),+ }
    };
}

data_unless! { overridden_number, |number, out| out.unsigned(*number as _); u8, u16, u32, u64, usize }
data_unless! { overridden_number, |number, out| out.signed(*number as _); i8, i16, i32, i64, isize }
data_unless! { overridden_number, |number, out| out.verbatim(format_args!("{number}")); i128, u128 }
data_unless! { overridden_number, |number, out| {
    // As JavaScript writes them: never hundreds of digits.
    let magnitude = number.abs();
    if number.is_nan() {
        out.not_a_json_number("NaN");
    } else if number.is_infinite() {
        out.not_a_json_number(if *number > 0.0 { "Infinity" } else { "-Infinity" });
    } else if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        out.verbatim(format_args!("{number}"));
    } else {
        out.verbatim(format_args!("{number:e}"));
    }
}; f32, f64 }

data_unless! { overridden, |truth, out| out.verbatim(format_args!("{truth}")); bool }
data_unless! { overridden, |text, out| out.text(text); String }
data_unless! { overridden, |time, out| out.display(Rfc3339(Utc::from_system(*time))); SystemTime }
data_unless! { overridden, |value, out| out.display(value);
    char, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6
}

impl Data for str {
    fn write(&self, out: &mut Writer<'_>) {
        // An override is registered for String. A borrowed text is copied into one only where there are overrides.
        if out.is_plain() || !out.overridden(&self.to_owned()) {
            out.text(self);
        }
    }
}

/// `format_args!(…)`: text without a `String` in between.
impl Data for fmt::Arguments<'_> {
    fn write(&self, out: &mut Writer<'_>) {
        out.display(self);
    }
}

struct Rfc3339(Utc);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Utc { year, month, day, hour, minute, second, nanosecond, .. } = self.0;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match nanosecond {
            0 => {}
            nanos if nanos % 1_000_000 == 0 => write!(f, ".{:03}", nanos / 1_000_000)?,
            nanos if nanos % 1_000 == 0 => write!(f, ".{:06}", nanos / 1_000)?,
            nanos => write!(f, ".{nanos:09}")?,
        }
        f.write_str("Z")
    }
}

/// In seconds, exactly.
impl Data for Duration {
    fn write(&self, out: &mut Writer<'_>) {
        if out.overridden_number(self) {
            return;
        }
        let (seconds, nanos) = (self.as_secs(), self.subsec_nanos());
        match nanos {
            0 => out.verbatim(format_args!("{seconds}")),
            _ => {
                let fraction = format!("{nanos:09}");
                out.verbatim(format_args!("{seconds}.{}", fraction.trim_end_matches('0')));
            }
        }
    }
}

impl<T: Data> Data for Option<T> {
    fn write(&self, out: &mut Writer<'_>) {
        match self {
            Some(value) => value.write(out),
            None => out.none(),
        }
    }
}

data! { |value, out| (**value).write(out);
    [T: Data + ?Sized] &T, [T: Data + ?Sized] &mut T, [T: Data + ?Sized] Box<T>, [T: Data + ?Sized] Rc<T>,
    [T: Data + ?Sized] Arc<T>, [T: Data + ToOwned + ?Sized] Cow<'_, T>
}

fn write_list<T: Data>(out: &mut Writer<'_>, items: impl IntoIterator<Item = T>) {
    out.list(|list| {
        for item in items {
            list.item(item);
        }
    });
}

data! { |items, out| write_list(out, items);
    [T: Data] [T], [T: Data, const N: usize] [T; N], [T: Data] Vec<T>, [T: Data] VecDeque<T>, [T: Data] LinkedList<T>,
    [T: Data] BTreeSet<T>, [T: Data, S] HashSet<T, S>
}

fn write_map<K: fmt::Display, V: Data>(out: &mut Writer<'_>, entries: impl IntoIterator<Item = (K, V)>) {
    out.object(|object| {
        for (name, value) in entries {
            object.field(name, value);
        }
    });
}

data! { |entries, out| write_map(out, entries);
    [K: fmt::Display, V: Data] BTreeMap<K, V>, [K: fmt::Display, V: Data, S] HashMap<K, V, S>
}

macro_rules! tuples {
    ($(($($name:ident)+))*) => {
        $(impl<$($name: Data),+> Data for ($($name,)+) {
            #[allow(non_snake_case)] // the type's parameters name its values
            fn write(&self, out: &mut Writer<'_>) {
                let ($($name,)+) = self;
                out.list(|list| {
                    $(list.item($name);)+
                });
            }
        })*
    };
}

tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) }

/// The `Display` of a value: data of any foreign type.
///
/// ```
/// # use brooklet::{Event, Text};
/// let version = std::net::Ipv4Addr::LOCALHOST; // say
/// assert_eq!(Event::new(Text(version)).encode().unwrap(), "data: 127.0.0.1\n\n");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

impl<T: fmt::Display> Data for Text<T> {
    fn write(&self, out: &mut Writer<'_>) {
        out.display(&self.0);
    }
}

/// JSON that another library made: written as it is, also inside lists and objects.
///
/// Alone it needs no wrapper: `connection.data(serde_json::to_string(&value)?)` is enough. It is not checked whether the
/// text is JSON. Whatever it is, it cannot break out of the event's data.
///
/// ```
/// # use brooklet::{Event, RawJson};
/// let made_elsewhere = String::from("{\"a\":1}");
/// assert_eq!(Event::new([RawJson(&made_elsewhere)]).encode().unwrap(), "data: [{\"a\":1}]\n\n");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawJson<T>(pub T);

impl<T: fmt::Display> Data for RawJson<T> {
    fn write(&self, out: &mut Writer<'_>) {
        out.verbatim(format_args!("{}", self.0));
    }
}
