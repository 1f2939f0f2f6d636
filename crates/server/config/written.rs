//! Values as a configuration file has them.

use std::fmt::Display;

use toml::Value;

/// A text in quotes, with escapes where it needs them.
pub(super) fn text(value: impl Display) -> Value {
    Value::String(value.to_string())
}

/// A list of texts in brackets.
pub(super) fn texts<T: Display>(values: impl IntoIterator<Item = T>) -> Value {
    values.into_iter().map(text).collect::<Vec<_>>().into()
}
