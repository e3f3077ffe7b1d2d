//! The law of JSON: data that is a list, a map or a struct is one line of valid JSON, whatever is in it, and says
//! what the value says.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, UNIX_EPOCH};

use brooklet::{json_object, Data, Event, EventSource, Formatting, Host, Writer};

use crate::memory::Memory;
use crate::random::Random;
use crate::sse::Parser;
use crate::wire_law::AWKWARD;

/// A value of every kind that the library writes.
#[derive(Debug, Clone)]
enum Value {
    Nothing,
    /// Writes nothing at all, as a `Data` by hand may.
    Silence,
    Truth(bool),
    Integer(i64),
    Large(u128),
    Float(f64),
    Single(f32),
    Text(String),
    Char(char),
    Millis(u64),
    Moment(u64),
    List(Vec<Value>),
    Pair(Box<(Value, Value)>),
    Map(BTreeMap<String, Value>),
    Hash(HashMap<u8, Value>),
    Struct(Box<Struct>),
}

#[derive(Debug, Clone)]
struct Struct {
    first: Value,
    r#type: Option<Value>,
    renamed: Value,
}
json_object!(Struct { first, r#type, renamed as "a \"name\"\n" });

impl Data for Value {
    fn write(&self, out: &mut Writer<'_>) {
        match self {
            Self::Nothing => None::<u8>.write(out),
            Self::Silence => {}
            Self::Truth(truth) => truth.write(out),
            Self::Integer(number) => number.write(out),
            Self::Large(number) => number.write(out),
            Self::Float(number) => number.write(out),
            Self::Single(number) => number.write(out),
            Self::Text(text) if text.len() % 3 == 0 => text.write(out),
            Self::Text(text) if text.len() % 3 == 1 => format_args!("{text}").write(out),
            Self::Text(text) => Cow::Borrowed(text.as_str()).write(out),
            Self::Char(char) => char.write(out),
            Self::Millis(millis) => Duration::from_millis(*millis).write(out),
            Self::Moment(millis) => (UNIX_EPOCH + Duration::from_millis(*millis)).write(out),
            Self::List(items) => items.write(out),
            Self::Pair(pair) => pair.write(out),
            Self::Map(map) => map.write(out),
            Self::Hash(map) => map.write(out),
            Self::Struct(fields) => fields.write(out),
        }
    }
}

impl Value {
    fn random(random: &mut Random, depth: usize) -> Self {
        // Deep down only what holds nothing.
        match random.below(if depth == 0 { 10 } else { 15 }) {
            0 if random.once_in(2) => Self::Silence,
            0 => Self::Nothing,
            1 => Self::Truth(random.once_in(2)),
            2 => Self::Integer(random.bits() as i64 >> random.below(64)),
            3 => Self::Large(u128::from(random.bits()) << random.below(64)),
            4 => Self::Float(f64::from_bits(random.bits())), // NaN and infinities among them
            5 => Self::Single(f32::from_bits(random.bits() as u32)),
            6 => Self::Text(random.text(&AWKWARD, 6)),
            7 => Self::Char(char::from_u32(random.below(0x300) as u32).unwrap_or('\u{2028}')),
            8 => Self::Millis(random.bits() >> random.below(64)),
            9 => Self::Moment(random.bits() >> 22), // to the year 2109
            10 | 11 => Self::List((0..random.below(4)).map(|_| Self::random(random, depth - 1)).collect()),
            12 => Self::Pair(Box::new((Self::random(random, depth - 1), Self::random(random, depth - 1)))),
            13 if random.once_in(2) => {
                let keys = 0..random.below(4) as u8;
                Self::Hash(keys.map(|key| (key, Self::random(random, depth - 1))).collect())
            }
            13 => {
                let entry = |random: &mut Random| (random.text(&AWKWARD, 3), Self::random(random, depth - 1));
                Self::Map((0..random.below(4)).map(|_| entry(random)).collect())
            }
            _ => Self::Struct(Box::new(Struct {
                first: Self::random(random, depth - 1),
                r#type: random.once_in(2).then(|| Self::random(random, depth - 1)),
                renamed: Self::random(random, depth - 1),
            })),
        }
    }

    /// One that is JSON by itself.
    fn random_container(random: &mut Random) -> Self {
        loop {
            let value = Self::random(random, 4);
            if matches!(value, Self::List(_) | Self::Pair(_) | Self::Map(_) | Self::Hash(_) | Self::Struct(_))
            {
                return value;
            }
        }
    }

    fn is_said_by(&self, json: &Json) -> bool {
        match (self, json) {
            (Self::Nothing | Self::Silence, Json::Null) => true,
            (Self::Truth(truth), Json::Truth(said)) => truth == said,
            (Self::Integer(number), Json::Number(said)) => said.parse() == Ok(*number),
            (Self::Large(number), Json::Number(said)) => said.parse() == Ok(*number),
            (Self::Float(number), Json::Number(said)) => said.parse() == Ok(*number),
            (Self::Float(number), Json::Null) => !number.is_finite(),
            (Self::Single(number), Json::Number(said)) => said.parse() == Ok(*number),
            (Self::Single(number), Json::Null) => !number.is_finite(),
            (Self::Text(text), Json::Text(said)) => text == said,
            (Self::Char(char), Json::Text(said)) => said.chars().eq([*char]),
            (Self::Millis(millis), Json::Number(said)) => {
                let (seconds, fraction) = said.split_once('.').unwrap_or((said, ""));
                format!("{seconds}{fraction:0<3}").parse() == Ok(*millis)
            }
            (Self::Moment(_), Json::Text(said)) => said.len() >= 20 && said.ends_with('Z'),
            (Self::List(items), Json::List(said)) => {
                items.len() == said.len() && items.iter().zip(said).all(|(item, said)| item.is_said_by(said))
            }
            (Self::Pair(pair), Json::List(said)) => {
                matches!(&said[..], [first, second] if pair.0.is_said_by(first) && pair.1.is_said_by(second))
            }
            (Self::Map(map), Json::Object(said)) => {
                let names = said.iter().map(|(name, _)| name);
                map.keys().eq(names)
                    && map.values().zip(said).all(|(value, (_, said))| value.is_said_by(said))
            }
            (Self::Hash(map), Json::Object(said)) => {
                let is_in_map = |(name, said): &(String, Json)| {
                    name.parse()
                        .ok()
                        .and_then(|key: u8| map.get(&key))
                        .map_or(false, |value| value.is_said_by(said))
                };
                map.len() == said.len() && said.iter().all(is_in_map)
            }
            (Self::Struct(fields), Json::Object(said)) => match &said[..] {
                [(first, a), (second, b), (third, c)] => {
                    (first.as_str(), second.as_str(), third.as_str()) == ("first", "type", "a \"name\"\n")
                        && fields.first.is_said_by(a)
                        && fields.r#type.as_ref().unwrap_or(&Self::Nothing).is_said_by(b)
                        && fields.renamed.is_said_by(c)
                }
                _ => false,
            },
            _ => false,
        }
    }
}

#[test]
fn containers_are_json() {
    let mut random = Random::new(3);
    for _ in 0..5000 {
        let value = Value::random_container(&mut random);
        let data = received(&Event::new(&value).encode().unwrap());
        assert!(!data.contains(['\r', '\n']), "{data:?} is several lines");
        match Json::read(&data) {
            Ok(json) => assert!(value.is_said_by(&json), "{data} is not {value:?}"),
            Err(why) => panic!("{data} is no JSON: {why}"),
        }
    }
}

/// A formatting says what it likes; inside JSON it is a string or a number.
#[test]
fn formatted_containers_are_json() {
    let text =
        |seed: u64| Random::new(seed | 1).text(&["1", "0", ".", "-", "e5", "\"", "\\", "\n", "NaN", "ü"], 4);
    let formatting = Formatting::new()
        .add(move |number: &f64| text(number.to_bits()))
        .add(move |number: &i64| text(*number as u64))
        .add(move |millis: &Duration| text(millis.as_millis() as u64))
        .add(move |truth: &bool| text(u64::from(*truth)))
        .add(move |string: &String| text(string.len() as u64))
        .add(move |char: &char| text(u64::from(u32::from(*char))))
        .add(move |fields: &Struct| format!("{fields:?}"));
    let source = EventSource::new(|connection| {
        let mut random = Random::new(4);
        Ok(connection.send_all((0..2000).map(|_| Event::new(Value::random_container(&mut random))))?)
    });
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let host = Host::new(source.formatting(formatting));
    let stream = Memory::new([request]).serve(&host).writes()[1..].concat();

    let messages = Parser::read(stream).messages;
    assert_eq!(messages.len(), 2000);
    // A struct that has a formatting of its own is what that says, where it stands alone.
    let containers: Vec<_> = messages.iter().filter(|message| message.data.starts_with(['[', '{'])).collect();
    assert!(containers.len() > 1000, "{} are lists or maps", containers.len());
    for message in containers {
        if let Err(why) = Json::read(&message.data) {
            panic!("{} is no JSON: {why}", message.data);
        }
    }
}

/// Alone, text is what it is.
#[test]
fn bare_text_is_kept() {
    let mut random = Random::new(5);
    for _ in 0..2000 {
        let text = random.text(&AWKWARD, 8);
        let expected = text.replace("\r\n", "\n").replace('\r', "\n");
        assert_eq!(received(&Event::new(Value::Text(text)).encode().unwrap()), expected);
    }
}

fn received(stream: &str) -> String {
    let mut messages = Parser::read(stream).messages;
    assert_eq!(messages.len(), 1, "{stream:?}");
    messages.remove(0).data
}

/// JSON as RFC 8259 has it, but without white space and escapes of surrogates, and nothing that is like it.
#[derive(Debug, PartialEq)]
enum Json {
    Null,
    Truth(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn read(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let json = Self::value(&mut rest)?;
        if rest.is_empty() {
            Ok(json)
        } else {
            Err(format!("{rest:?} follows"))
        }
    }

    fn value(rest: &mut &str) -> Result<Self, String> {
        let first = rest.chars().next().ok_or("a value is missing")?;
        for (word, json) in [("null", Self::Null), ("true", Self::Truth(true)), ("false", Self::Truth(false))]
        {
            if take(rest, word) {
                return Ok(json);
            }
        }
        match first {
            '"' => Self::string(rest).map(Self::Text),
            '[' => Self::items(rest, '[', ']', Self::value).map(Self::List),
            '{' => Self::items(rest, '{', '}', |rest| {
                let name = Self::string(rest)?;
                if !take(rest, ":") {
                    return Err(format!("`:` is missing at {rest:?}"));
                }
                Ok((name, Self::value(rest)?))
            })
            .map(Self::Object),
            _ => Self::number(rest),
        }
    }

    fn items<T>(
        rest: &mut &str,
        open: char,
        close: char,
        read: impl Fn(&mut &str) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        take(rest, &open.to_string());
        if take(rest, &close.to_string()) {
            return Ok(items);
        }
        loop {
            items.push(read(rest)?);
            match rest.chars().next() {
                Some(end) if end == close => *rest = &rest[1..],
                Some(',') => {
                    *rest = &rest[1..];
                    continue;
                }
                _ => return Err(format!("neither `,` nor `{close}` at {rest:?}")),
            }
            return Ok(items);
        }
    }

    fn string(rest: &mut &str) -> Result<String, String> {
        let mut text = String::new();
        if !take(rest, "\"") {
            return Err(format!("a string is missing at {rest:?}"));
        }
        let mut chars = rest.chars();
        loop {
            match chars.next().ok_or("a string does not end")? {
                '"' => break,
                '\0'..='\x1f' => return Err("a control character in a string".to_owned()),
                '\\' => text.push(match chars.next().ok_or("a string does not end")? {
                    itself @ ('"' | '\\' | '/') => itself,
                    'b' => '\x08',
                    'f' => '\x0c',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let digits: String = chars.by_ref().take(4).filter(char::is_ascii_hexdigit).collect();
                        let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                        code.and_then(char::from_u32).ok_or("no four digits of a character")?
                    }
                    other => return Err(format!("unknown escape {other:?}")),
                }),
                other => text.push(other),
            }
        }
        *rest = chars.as_str();
        Ok(text)
    }

    /// `[ minus ] int [ frac ] [ exp ]`
    fn number(rest: &mut &str) -> Result<Self, String> {
        let start = *rest;
        let digits = |rest: &mut &str| {
            let before = rest.len();
            *rest = rest.trim_start_matches(|char: char| char.is_ascii_digit());
            before - rest.len()
        };
        take(rest, "-");
        let is_whole = take(rest, "0") || digits(rest) > 0;
        let has_fraction = !take(rest, ".") || digits(rest) > 0;
        let has_exponent = !(take(rest, "e") || take(rest, "E")) || {
            let _sign = take(rest, "+") || take(rest, "-");
            digits(rest) > 0
        };
        match is_whole && has_fraction && has_exponent {
            true => Ok(Self::Number(start[..start.len() - rest.len()].to_owned())),
            false => Err(format!("no value at {start:?}")),
        }
    }
}

fn take(rest: &mut &str, word: &str) -> bool {
    rest.strip_prefix(word).map(|after| *rest = after).is_some()
}

#[test]
fn the_reader_is_strict() {
    for good in ["[]", "{}", "[0,-0,1.5e+7]", r#"{"a":{"b":[null,true]},"":""}"#, r#"["\u00fc\"\\\/"]"#] {
        assert!(Json::read(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "[",
        "[1,]",
        "[,]",
        "[1 ]",
        "{\"a\"}",
        "{\"a\":1,}",
        "[1e+]",
        "{a:1}",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[1e]",
        "[NaN]",
        "[\"\n\"]",
        r#"["\x"]"#,
        r#"["\ud83e"]"#,
        r#"["\u+0fc"]"#,
        r#"["\u00f"]"#,
        "[1]]",
        "['a']",
        "[-]",
        "[nul]",
        "[Infinity]",
    ] {
        assert!(Json::read(bad).is_err(), "{bad}");
    }
}
