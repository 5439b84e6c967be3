//! Parses the members of JSON bodies and the parameters of queries.

use std::borrow::Cow;

use percent_encoding::{percent_decode_str, percent_encode_byte};
use serde_json::{Map, Value};

use crate::domain::{GrantsAsk, InvalidField, Ttl};
use crate::json::{self, JsonError};

/// The members of a JSON object. An empty body counts as an empty object.
pub(super) fn members(body: &[u8]) -> Result<Map<String, Value>, JsonError> {
    if body.is_empty() { Ok(Map::new()) } else { json::object(body) }
}

/// A string member. Absent, null and empty count as `None`.
pub(super) fn text(field: &'static str, value: Option<Value>) -> Result<Option<String>, InvalidField> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(_) => Err(InvalidField::wrong_type(field, "a string")),
    }
}

/// The grants and the lifetime that a request asks for. No dialect of LiveKit has these members, so they mean the same in
/// each.
pub(super) fn choices(
    grants: Option<Value>,
    ttl: Option<&Value>,
) -> Result<(Option<GrantsAsk>, Option<Ttl>), InvalidField> {
    let is_set = |value: &&Value| !value.is_null() && **value != "";
    let grants = grants.filter(|value| is_set(&value)).map(GrantsAsk::parse).transpose()?.flatten();
    Ok((grants, ttl.filter(is_set).map(Ttl::parse).transpose()?))
}

/// The decoded parameter of a query string. `None` if it is absent; it may be empty.
pub(super) fn query_parameter(query: &str, field: &'static str) -> Result<Option<String>, InvalidField> {
    let mut found = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (form_decoded(name).as_deref() == Some(field)).then_some(value)
    });
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(InvalidField::new(field, "is sent more than once")),
        (None, None) => Ok(None),
        (Some(value), None) => match form_decoded(value) {
            Some(value) => Ok(Some(value)),
            None => Err(InvalidField::new(field, "must be percent-encoded UTF-8")),
        },
    }
}

/// Decodes `application/x-www-form-urlencoded` text, in which a plus sign is a space. `None` if it isn't UTF-8.
fn form_decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
}

/// Percent-encodes a value for a path or a query in single quotes. Placeholders such as `<room>` stay readable.
pub(super) fn in_a_url(value: &str) -> String {
    let mut url = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@!$(),<>|".contains(&byte) {
            url.push(byte.into());
        } else {
            url.push_str(percent_encode_byte(byte));
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_parameter_is_decoded_as_a_form_and_must_be_unique() {
        for (query, value) in [
            ("", None),
            ("a", Some("")),
            ("a=", Some("")),
            ("b=1&a=2&c", Some("2")),
            ("a=x+y%2B%20z%3D&", Some("x y+ z=")),
            ("%61=1", Some("1")),
            ("a=b=c", Some("b=c")),
            ("A=1&aa=1&a%00=1&%FF=1", None),
            ("a=%e4%bd%a0", Some("你")),
            ("a=%zz%", Some("%zz%")),
        ] {
            assert_eq!(query_parameter(query, "a"), Ok(value.map(str::to_owned)), "{query}");
        }
        for query in ["a=1&a=1", "a&a=1", "a=1&%61=2"] {
            let error = query_parameter(query, "a").unwrap_err();
            assert_eq!(error.to_string(), "a is sent more than once", "{query}");
        }
        for query in ["a=%FF", "a=%C3%28"] {
            let error = query_parameter(query, "a").unwrap_err();
            assert_eq!(error.to_string(), "a must be percent-encoded UTF-8", "{query}");
        }
    }

    #[test]
    fn a_value_in_a_url_is_decoded_to_itself() {
        let value = "a b&c=d+e#f?g/h%'\"é你<room>";
        assert_eq!(query_parameter(&format!("x=1&r={}", in_a_url(value)), "r").unwrap().unwrap(), value);
    }
}
