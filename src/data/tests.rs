//! What values are as text, and what inside JSON.
#![allow(clippy::needless_borrows_for_generic_args)] // that references are values, too, is what is tested

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn text(value: impl Data, formatting: &Formatting) -> String {
    let mut out = String::new();
    value.write(&mut Writer::new(&mut out, formatting));
    out
}

#[test]
fn scalars() {
    check(0, "0", "0");
    check(u64::MAX, "18446744073709551615", "18446744073709551615");
    check(i128::MIN, "-170141183460469231731687303715884105728", "-170141183460469231731687303715884105728");
    check(42.1, "42.1", "42.1");
    check(42.0, "42", "42");
    check(-0.0, "-0", "-0");
    check(0.1_f32, "0.1", "0.1");
    check(1e20, "100000000000000000000", "100000000000000000000");
    check(1e21, "1e21", "1e21");
    check(0.000_001, "0.000001", "0.000001");
    check(0.000_000_1, "1e-7", "1e-7");
    check(f64::MAX, "1.7976931348623157e308", "1.7976931348623157e308");
    check(f64::NAN, "NaN", "null");
    check(f64::INFINITY, "Infinity", "null");
    check(f32::NEG_INFINITY, "-Infinity", "null");
    check(true, "true", "true");
    check('"', "\"", "\"\\\"\"");
    check("a\nb", "a\nb", "\"a\\nb\"");
    check(String::from("x"), "x", "\"x\"");
    check(format_args!("{}-{}", 1, 2), "1-2", "\"1-2\"");
    check(Some(1), "1", "1");
    check(None::<i32>, "", "null");
    check(Some(None::<i32>), "", "null");
    check(UNIX_EPOCH, "1970-01-01T00:00:00Z", "\"1970-01-01T00:00:00Z\"");
    check(UNIX_EPOCH + Duration::from_millis(1), "1970-01-01T00:00:00.001Z", "\"1970-01-01T00:00:00.001Z\"");
    check(
        UNIX_EPOCH + Duration::from_nanos(100), // which is how finely Windows counts
        "1970-01-01T00:00:00.000000100Z",
        "\"1970-01-01T00:00:00.000000100Z\"",
    );
    check(UNIX_EPOCH - Duration::from_secs(1), "1969-12-31T23:59:59Z", "\"1969-12-31T23:59:59Z\"");
    check(Duration::from_millis(1500), "1.5", "1.5");
    check(Duration::new(1, 1), "1.000000001", "1.000000001");
    check(Duration::from_secs(60), "60", "60");
    check(Ipv4Addr::LOCALHOST, "127.0.0.1", "\"127.0.0.1\"");
    check(IpAddr::V6(Ipv6Addr::LOCALHOST), "::1", "\"::1\"");
    check(SocketAddr::from(([127, 0, 0, 1], 80)), "127.0.0.1:80", "\"127.0.0.1:80\"");
    check(Text(1.50), "1.5", "\"1.5\"");
    check(RawJson("{\"a\": [1]}"), "{\"a\": [1]}", "{\"a\": [1]}");

    #[track_caller]
    fn check(value: impl Data, bare: &str, json: &str) {
        let plain = Formatting::new();
        assert_eq!(text(&value, &plain), bare);
        assert_eq!(text([&value], &plain), format!("[{json}]"));
        assert_eq!(to_json(&value), json);
    }
}

#[test]
fn collections() {
    check([1, 2], "[1,2]");
    check(&[1, 2][..], "[1,2]");
    check(Vec::<i32>::new(), "[]");
    check(vec![Some("a"), None], "[\"a\",null]");
    check(VecDeque::from([1]), "[1]");
    check(BTreeSet::from(["b", "a"]), "[\"a\",\"b\"]");
    check((1, "a", 2.5, [true]), "[1,\"a\",2.5,[true]]");
    check((1,), "[1]");
    check(BTreeMap::from([("a", 1), ("b\"", 2)]), "{\"a\":1,\"b\\\"\":2}");
    check(BTreeMap::from([(1, vec![(2, 3)])]), "{\"1\":[[2,3]]}");
    check(vec![BTreeMap::from([("a", None::<u8>)])], "[{\"a\":null}]");

    #[track_caller]
    fn check(value: impl Data, expected: &str) {
        assert_eq!(text(value, &Formatting::new()), expected);
    }
}

/// By value, by reference, behind every pointer and as a trait object: a value is a value.
#[test]
fn pointers() {
    let number = 5;
    let object: &dyn Data = &number;
    let objects: Vec<Box<dyn Data>> = vec![Box::new(1), Box::new("a"), Box::new([2.5])];
    check(number, "5");
    check(&&&number, "5");
    check(object, "5");
    check(&mut { number }, "5");
    check(Box::new(number), "5");
    check(Rc::new(number), "5");
    check(Arc::<str>::from("a"), "a");
    check(Cow::Borrowed("a"), "a");
    check(Cow::<str>::Owned(String::from("a")), "a");
    check(&objects, "[1,\"a\",[2.5]]");

    #[track_caller]
    fn check(value: impl Data, expected: &str) {
        assert_eq!(text(value, &Formatting::new()), expected);
    }
}

struct Quote<'a> {
    symbol: &'a str,
    r#type: u8,
    unit_price: f64,
    more: Option<Box<Self>>,
}

json_object!(Quote<'_> { symbol, r#type, unit_price as "unitPrice", more });

struct Point {
    x: f64,
}

json_object!(Point { x });

struct Empty;

json_object!(Empty {});

#[test]
fn structs() {
    let inner = Quote { symbol: "B", r#type: 2, unit_price: 2.0, more: None };
    let quote = Quote { symbol: "A", r#type: 1, unit_price: 1.5, more: Some(Box::new(inner)) };
    let expected =
        r#"{"symbol":"A","type":1,"unitPrice":1.5,"more":{"symbol":"B","type":2,"unitPrice":2,"more":null}}"#;
    assert_eq!(text(&quote, &Formatting::new()), expected);
    assert_eq!(text(Empty, &Formatting::new()), "{}");
}

#[test]
fn overrides() {
    check(1.5, "1.50", "1.50"); // still a number inside JSON
    check(&1.5, "1.50", "1.50");
    check(f64::NAN, "NaN", "\"NaN\""); // no number any more
    check(1.5_f32, "1.5", "1.5"); // another type
    check(7_u8, "#7", "\"#7\"");
    check("text", "TEXT", "\"TEXT\"");
    check(String::from("a\n"), "A\n", "\"A\\n\"");
    check(true, "1", "\"1\""); // its type is no number
    check(Point { x: 1.0 }, "(1)", "\"(1)\"");
    check(Some(vec![1.5]), "[1.50]", "[1.50]");
    check(
        Quote { symbol: "a", r#type: 7, unit_price: 2.0, more: None },
        "{\"symbol\":\"A\",\"type\":\"#7\",\"unitPrice\":2.00,\"more\":null}",
        "{\"symbol\":\"A\",\"type\":\"#7\",\"unitPrice\":2.00,\"more\":null}",
    );

    #[track_caller]
    fn check(value: impl Data, bare: &str, json: &str) {
        let formatting = Formatting::new()
            .add(|_: &u8| String::from("the last one counts"))
            .add(|price: &f64| format!("{price:.2}"))
            .add(|number: &u8| format!("#{number}"))
            .add(|text: &String| text.to_uppercase())
            .add(|yes: &bool| String::from(if *yes { "1" } else { "0" }))
            .add(|point: &Point| format!("({})", point.x));
        assert_eq!(text(&value, &formatting), bare);
        assert_eq!(text([&value], &formatting), format!("[{json}]"));
    }
}

/// A `Data` that writes nothing does not break the JSON around it.
#[test]
fn silence_is_null() {
    struct Silent;
    impl Data for Silent {
        fn write(&self, _: &mut Writer<'_>) {}
    }
    let plain = Formatting::new();
    assert_eq!(text(Silent, &plain), "");
    assert_eq!(text((Silent, 1, BTreeMap::from([("a", Silent)])), &plain), "[null,1,{\"a\":null}]");
}
