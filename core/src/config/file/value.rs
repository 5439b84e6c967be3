//! Deserializes the values of the file. Each error has a place and uses TOML's names for types.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::ops::Range;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeString, DeValue};

use crate::policy::RULE_KEYS;
use crate::suggestion::{did_you_mean, suggestion};

/// Deserializes a value of the file.
pub(super) fn from_toml<'de, T: Deserialize<'de>>(value: Spanned<DeValue<'de>>) -> Result<T, InvalidValue> {
    deserialize(PhantomData::<T>, value)
}

/// A value of the file, with its place.
struct TomlValue<'a>(Spanned<DeValue<'a>>);

/// Why a value can't be used.
#[derive(Debug)]
pub(super) struct InvalidValue {
    pub(super) message: String,
    /// The innermost place that is known.
    pub(super) place: Option<Range<usize>>,
    /// Whether the place is a key whose value may be a secret.
    pub(super) hides_value: bool,
    /// Whether the place is a value that may be a secret.
    pub(super) is_hidden: bool,
    /// The key that the table lacks, if that is the mistake.
    pub(super) missing: Option<&'static str>,
}

impl InvalidValue {
    /// A key whose value is not shown.
    pub(super) fn key(message: String, place: Range<usize>) -> Self {
        Self { place: Some(place), hides_value: true, ..Self::custom(message) }
    }

    fn at(self, place: Range<usize>) -> Self {
        Self { place: self.place.or(Some(place)), ..self }
    }
}

impl Display for InvalidValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for InvalidValue {}

impl Error for InvalidValue {
    fn custom<T: Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            place: None,
            hides_value: false,
            is_hidden: false,
            missing: None,
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Seq => Unexpected::Other("list"),
            Unexpected::Map => Unexpected::Other("table"),
            other => other,
        };
        Self::custom(format_args!("invalid type: {found}, expected {expected}"))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let suggestion = did_you_mean(suggestion(variant, known.iter().copied()));
        Self::custom(format_args!("unknown variant `{variant}`, expected {}{suggestion}", one_of(known)))
    }

    fn missing_field(key: &'static str) -> Self {
        Self { missing: Some(key), ..Self::custom(format_args!("missing field `{key}`")) }
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self { hides_value: true, ..Self::custom(unknown_key(key, known)) }
    }
}

/// The message for a key that its table doesn't have.
pub(super) fn unknown_key(key: &str, known: &[&str]) -> String {
    let is_nested = !known.contains(&"callers") && known.iter().any(|key| NESTED_IN_RULES.contains(key));
    let suggestion = match key {
        _ if is_nested && RULE_KEYS.contains(&key) => {
            format!("; `{key}` is a key of [[rule]]: move it above this table")
        }
        "room_join" | "roomJoin" | "room" if known.contains(&"can_publish") => {
            format!("; every token has `{key}`: remove it")
        }
        _ => did_you_mean(suggestion(key, known.iter().copied())),
    };
    format!("unknown field `{key}`, expected {}{suggestion}", one_of(known))
}

/// A key of each table of a rule: `grants` and `room_config`.
const NESTED_IN_RULES: [&str; 2] = ["can_publish", "max_participants"];

fn one_of(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.len() == 1 { quoted.concat() } else { format!("one of {}", quoted.join(", ")) }
}

impl TomlValue<'_> {
    fn wrong_type(&self, expected: &str) -> InvalidValue {
        let number;
        let found = match self.0.get_ref() {
            DeValue::String(_) if expected == TABLE => Unexpected::Other("string"),
            DeValue::String(text) => Unexpected::Str(text),
            DeValue::Boolean(value) => Unexpected::Bool(*value),
            DeValue::Integer(integer) => {
                number = format!("integer `{integer}`");
                Unexpected::Other(&number)
            }
            DeValue::Float(float) => {
                number = format!("floating point `{float}`");
                Unexpected::Other(&number)
            }
            DeValue::Datetime(_) => Unexpected::Other("date or time"),
            DeValue::Array(_) => Unexpected::Seq,
            DeValue::Table(_) => Unexpected::Map,
        };
        // A value in place of a table may be a secret in the wrong place.
        let is_hidden = expected == TABLE || matches!(self.0.get_ref(), DeValue::Table(_));
        InvalidValue { is_hidden, ..InvalidValue::invalid_type(found, &expected) }
    }
}

const TABLE: &str = "a table";

/// Methods for the types that have no `expecting` text of their own.
macro_rules! of_one_type {
    ($($method:ident($($argument:ident: $type:ty),*): $variant:ident, $expected:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, InvalidValue> {
            match self.0.get_ref() {
                DeValue::$variant(_) => self.deserialize_any(visitor),
                _ => Err(self.wrong_type($expected)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for TomlValue<'de> {
    type Error = InvalidValue;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        match self.0.into_inner() {
            DeValue::String(text) => visitor.visit_str(&text),
            DeValue::Boolean(value) => visitor.visit_bool(value),
            DeValue::Integer(integer) => {
                let (digits, radix) = (integer.as_str(), integer.radix());
                match (i64::from_str_radix(digits, radix), u64::from_str_radix(digits, radix)) {
                    (Ok(number), _) => visitor.visit_i64(number),
                    (_, Ok(number)) => visitor.visit_u64(number),
                    _ => Err(InvalidValue::custom("must be a number of 64 bits")),
                }
            }
            DeValue::Float(float) => match float.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => visitor.visit_f64(number),
                _ => Err(InvalidValue::custom("must be a finite number")),
            },
            DeValue::Datetime(_) => {
                Err(InvalidValue::invalid_type(Unexpected::Other("date or time"), &visitor))
            }
            DeValue::Array(values) => visitor.visit_seq(Elements(values.into_iter())),
            DeValue::Table(table) => visitor.visit_map(Entries { left: table.into_iter(), value: None }),
        }
    }

    of_one_type! {
        deserialize_bool(): Boolean, "true or false";
        deserialize_string(): String, "a string, such as \"…\"";
        deserialize_seq(): Array, "a list, such as [\"…\"]";
        deserialize_map(): Table, TABLE;
        deserialize_struct(_name: &'static str, _fields: &'static [&'static str]): Table, TABLE;
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        match self.0.get_ref() {
            DeValue::Integer(integer) if !integer.as_str().starts_with('-') => self.deserialize_any(visitor),
            _ => Err(self.wrong_type("a whole number, 0 or more")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        match self.0.get_ref().as_str() {
            Some(text) => {
                let variant: StrDeserializer<'_, InvalidValue> = text.into_deserializer();
                visitor.visit_enum(variant)
            }
            None => Err(self.wrong_type(&one_of(variants))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InvalidValue> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, InvalidValue> {
        visitor.visit_newtype_struct(self)
    }

    // The visitors that use `str` are this crate's own, with an `expecting` text for each.
    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char str bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The entries of a table that are left to deserialize, and the value of the last key.
struct Entries<'a, I> {
    left: I,
    value: Option<Spanned<DeValue<'a>>>,
}

impl<'de, I: Iterator<Item = (Spanned<DeString<'de>>, Spanned<DeValue<'de>>)>> MapAccess<'de>
    for Entries<'de, I>
{
    type Error = InvalidValue;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, InvalidValue> {
        let Some((key, value)) = self.left.next() else { return Ok(None) };
        self.value = Some(value);
        let text: StrDeserializer<'_, InvalidValue> = key.get_ref().as_ref().into_deserializer();
        seed.deserialize(text).map(Some).map_err(|error| error.at(key.span()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, InvalidValue> {
        let value = self.value.take().expect("a key is read before its value");
        deserialize(seed, value)
    }
}

/// The values of a list that are left to deserialize.
struct Elements<I>(I);

impl<'de, I: Iterator<Item = Spanned<DeValue<'de>>>> SeqAccess<'de> for Elements<I> {
    type Error = InvalidValue;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, InvalidValue> {
        self.0.next().map(|value| deserialize(seed, value)).transpose()
    }
}

/// Deserializes a value. An error without a place gets the place of the value.
fn deserialize<'de, S: DeserializeSeed<'de>>(
    seed: S,
    value: Spanned<DeValue<'de>>,
) -> Result<S::Value, InvalidValue> {
    let place = value.span();
    seed.deserialize(TomlValue(value)).map_err(|error| error.at(place))
}
