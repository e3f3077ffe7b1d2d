//! What revision 2026-07-28 repeats of a body in its fields, so that proxies need not read bodies.
//!
//! A field that says something else than the body would let a proxy and this server act on different things: it
//! is refused. Values that a field cannot hold come as `=?base64?…?=`, strictly encoded (RFC 4648 §4).

use brooklet::Request;

use super::Refusal;
use crate::json::{Json, Object};

/// The fields that every request has, and the one that calls by name have.
pub fn check_standard(request: &Request, method: &str, params: &Object) -> Result<(), Refusal> {
    check_field(request, "Mcp-Method", Some(method))?;
    let source = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(()),
    };
    check_field(request, "Mcp-Name", params.get(source).and_then(Json::string).as_deref())
}

/// The fields `Mcp-Param-…` that a tool's schema asks for by `x-mcp-header`, at any depth of `properties`.
pub fn check_arguments(request: &Request, schema: &str, arguments: Option<Json>) -> Result<(), Refusal> {
    match Json::read(schema) {
        Ok(schema) => check_properties(request, schema, arguments),
        Err(_) => Ok(()), // a schema of ours, which a test reads
    }
}

fn check_properties(request: &Request, schema: Json, value: Option<Json>) -> Result<(), Refusal> {
    let properties = schema.object().and_then(|schema| schema.get("properties")?.object());
    let values = value.and_then(Json::object);
    for (name, property) in properties.iter().flat_map(Object::members) {
        let value = values.as_ref().and_then(|values| values.get(name));
        let field = property.object().and_then(|property| property.get("x-mcp-header")?.string());
        match field {
            Some(field) => {
                let value = value.map(|value| value.string().unwrap_or_else(|| value.as_str().to_owned()));
                check_field(request, &format!("Mcp-Param-{field}"), value.as_deref())?;
            }
            None => check_properties(request, property, value)?,
        }
    }
    Ok(())
}

fn check_field(request: &Request, name: &str, expected: Option<&str>) -> Result<(), Refusal> {
    let says = match request.header(name) {
        Some(value) => Some(decode(value).ok_or_else(|| mismatch(name))?),
        None => None,
    };
    let is_same = match (says.as_deref(), expected) {
        (Some(says), Some(expected)) => says == expected || is_same_number(says, expected),
        (says, expected) => says == expected,
    };
    is_same.then_some(()).ok_or_else(|| mismatch(name))
}

fn mismatch(name: &str) -> Refusal {
    Refusal::bad(Refusal::HEADER_MISMATCH, &format!("the field {name} does not say what the body says"))
}

/// `1` and `1.0` are one value of JSON.
fn is_same_number(left: &str, right: &str) -> bool {
    let number = |text: &str| text.parse::<i64>().map(|whole| whole as f64).or_else(|_| text.parse());
    let is_number = |text: &str| Json::read(text).is_ok() && !text.starts_with('"');
    is_number(left) && is_number(right) && matches!((number(left), number(right)), (Ok(l), Ok(r)) if l == r)
}

/// What a field's value stands for.
fn decode(value: &str) -> Option<String> {
    let value = value.trim_matches(|c| matches!(c, ' ' | '\t'));
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(from_base64(encoded)?).ok(),
        None => Some(value.to_owned()),
    }
}

/// RFC 4648 §4, whole groups of four only, and no stray bits in the last.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    if text.len() % 4 != 0 {
        return None;
    }
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0 && padding * 2 == count).then_some(bytes)
}
