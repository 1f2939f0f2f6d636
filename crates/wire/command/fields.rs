//! The fields of a command, split but not yet understood.
//!
//! Every value stays the JSON text it came as, so one wrong field does not hide the others: the `id` is known even
//! when the rest is nonsense, and `data` is never built as a tree. Values are skipped in a loop, not by recursion:
//! nesting of any depth costs no stack.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::error::CommandError;

/// The name of a field that some command has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum Field {
    Type,
    Id,
    Topic,
    Topics,
    Since,
    Overflow,
    Snapshot,
    Key,
    MessageId,
    Expect,
    Data,
    Encoding,
    Echo,
    Messages,
    Atomic,
    Name,
    Token,
    #[serde(other)]
    Unknown,
}

impl Field {
    const COUNT: usize = Self::Unknown as usize;

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Id => "id",
            Self::Topic => "topic",
            Self::Topics => "topics",
            Self::Since => "since",
            Self::Overflow => "overflow",
            Self::Snapshot => "snapshot",
            Self::Key => "key",
            Self::MessageId => "message_id",
            Self::Expect => "expect",
            Self::Data => "data",
            Self::Encoding => "encoding",
            Self::Echo => "echo",
            Self::Messages => "messages",
            Self::Atomic => "atomic",
            Self::Name => "name",
            Self::Token => "token",
            Self::Unknown => "unknown",
        }
    }
}

/// The JSON texts of a command's fields. Fields that no command has are skipped.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    texts: [Option<&'a str>; Field::COUNT],
    duplicate: Option<&'static str>,
}

impl<'a> Fields<'a> {
    /// Reads `text` into `self`. After an error, `self` has the fields that came before it.
    pub(super) fn read(&mut self, text: &'a str) -> Result<(), CommandError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = json.deserialize_map(FieldsVisitor(self)).and_then(|()| json.end());
        read.map_err(|error| match error.classify() {
            Category::Data => CommandError::NotObject,
            Category::Syntax | Category::Eof | Category::Io => {
                CommandError::NotJson { reason: error.to_string().into() }
            }
        })?;
        self.duplicate.map_or(Ok(()), |name| Err(CommandError::DuplicateField(name)))
    }

    /// The fields of an element of a list, whose elements are to be objects.
    pub(super) fn of_element(text: &'a str) -> Result<Self, CommandError> {
        let mut fields = Self::default();
        fields.read(text).map_err(|error| match error {
            CommandError::NotObject => CommandError::BadElement,
            other => other,
        })?;
        Ok(fields)
    }

    /// Refuses fields that are known and have no meaning where these stand: what they say would be overlooked.
    pub(super) fn without(&self, misplaced: &[Field], expected: &'static str) -> Result<(), CommandError> {
        match misplaced.iter().find(|&&field| self.optional_json(field).is_some()) {
            None => Ok(()),
            Some(field) => Err(CommandError::BadField { field: field.name(), expected }),
        }
    }

    /// The JSON text of a field, `null` included.
    pub(super) fn json(&self, field: Field) -> Option<&'a str> {
        self.texts.get(field as usize).copied().flatten()
    }

    /// The JSON text of a field that may be left out; clients that write `null` leave it out.
    pub(super) fn optional_json(&self, field: Field) -> Option<&'a str> {
        self.json(field).filter(|json| *json != "null")
    }

    /// The characters of a string that may be left out.
    pub(super) fn optional_string(&self, field: Field) -> Result<Option<Cow<'a, str>>, CommandError> {
        let Some(json) = self.optional_json(field) else { return Ok(None) };
        match decode_string(json) {
            Some(text) => Ok(Some(text)),
            None => Err(CommandError::BadField { field: field.name(), expected: "a string" }),
        }
    }

    /// The characters of a string that must be there.
    pub(super) fn string(&self, field: Field) -> Result<Cow<'a, str>, CommandError> {
        self.optional_string(field)?.ok_or(CommandError::MissingField(field.name()))
    }

    /// A `true` or `false` that may be left out.
    pub(super) fn optional_boolean(&self, field: Field) -> Result<Option<bool>, CommandError> {
        match self.optional_json(field) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(CommandError::BadField { field: field.name(), expected: "true or false" }),
        }
    }
}

/// The characters of a JSON string, borrowed when nothing is escaped. None if `json`, a valid JSON text, is not a
/// string, or escapes half a surrogate pair, which is no Unicode text.
pub(super) fn decode_string(json: &str) -> Option<Cow<'_, str>> {
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inside))
    }
}

/// The JSON texts of the first elements of `list`, a JSON text: `most` at the most, and whether there are more. None if
/// it is no list.
pub(super) fn elements(list: &str, most: usize) -> Option<(Vec<&str>, bool)> {
    let mut texts = Vec::new();
    let visitor = ElementsVisitor { texts: &mut texts, most };
    let has_more = serde_json::Deserializer::from_str(list).deserialize_seq(visitor).ok()?;
    Some((texts, has_more))
}

struct ElementsVisitor<'e, 'a> {
    texts: &'e mut Vec<&'a str>,
    most: usize,
}

impl<'a> Visitor<'a> for ElementsVisitor<'_, 'a> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<bool, A::Error> {
        while self.texts.len() < self.most {
            let Some(element) = list.next_element::<&'a RawValue>()? else { return Ok(false) };
            self.texts.push(element.get());
        }
        let mut has_more = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            has_more = true;
        }
        Ok(has_more)
    }
}

struct FieldsVisitor<'f, 'a>(&'f mut Fields<'a>);

impl<'a> Visitor<'a> for FieldsVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a command")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key::<Field>()? {
            let Some(text) = self.0.texts.get_mut(field as usize) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&'a RawValue>()?.get();
            if text.replace(value).is_some() {
                self.0.duplicate = Some(field.name());
            }
        }
        Ok(())
    }
}
