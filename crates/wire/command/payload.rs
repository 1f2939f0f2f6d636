//! The three kinds of payload, and the check that makes one what it says it is.

use serde::de::IgnoredAny;

use crate::error::PayloadError;

/// What a payload is. The kind is decided at publish and kept through every interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayloadKind {
    /// UTF-8 text.
    Text,
    /// A JSON text (RFC 8259), spliced as it is into the JSON of a notification.
    Json,
    /// Any octets.
    Binary,
}

impl PayloadKind {
    /// The content type under which HTTP serves such a payload.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Binary => "application/octet-stream",
        }
    }
}

/// The kind that a `Content-Type` announces (RFC 9110 §8.3): `application/json` and `+json` are JSON, `text/*` is
/// text, and so is the type of a form, which `curl -d` says of whatever it sends; anything else and nothing are binary.
pub fn kind_of_content_type(content_type: Option<&str>) -> PayloadKind {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    if media_type == "application/json" || media_type.ends_with("+json") {
        PayloadKind::Json
    } else if media_type.starts_with("text/") || media_type == "application/x-www-form-urlencoded" {
        PayloadKind::Text
    } else {
        PayloadKind::Binary
    }
}

/// Checks that `payload` is of `kind`. What passes can be written into any notification.
pub fn check_payload(kind: PayloadKind, payload: &[u8]) -> Result<(), PayloadError> {
    if kind == PayloadKind::Binary {
        return Ok(());
    }
    let text = simdutf8::compat::from_utf8(payload)
        .map_err(|error| PayloadError::NotUtf8 { at: error.valid_up_to() })?;
    if kind == PayloadKind::Text {
        return Ok(());
    }
    // Nothing is built and nothing recurses: serde_json skips ignored values in a loop, however deep they nest.
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(PayloadError::NotJson { reason: error.to_string().into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_decides_the_kind() {
        let cases = [
            (Some("application/json"), PayloadKind::Json),
            (Some("Application/JSON; charset=utf-8"), PayloadKind::Json),
            (Some("application/cloudevents+json"), PayloadKind::Json),
            (Some("text/plain;charset=utf-8"), PayloadKind::Text),
            (Some("TEXT/csv"), PayloadKind::Text),
            (Some("application/x-www-form-urlencoded"), PayloadKind::Text),
            (Some("application/octet-stream"), PayloadKind::Binary),
            (Some("application/jsonp"), PayloadKind::Binary),
            (Some(""), PayloadKind::Binary),
            (None, PayloadKind::Binary),
        ];
        for (content_type, kind) in cases {
            assert_eq!(kind_of_content_type(content_type), kind, "{content_type:?}");
        }
    }

    #[test]
    fn a_kind_survives_its_own_content_type() {
        for kind in [PayloadKind::Text, PayloadKind::Json, PayloadKind::Binary] {
            assert_eq!(kind_of_content_type(Some(kind.content_type())), kind);
        }
    }

    #[test]
    fn a_payload_must_be_what_it_says() {
        assert_eq!(check_payload(PayloadKind::Binary, b"\xff"), Ok(()));
        assert_eq!(check_payload(PayloadKind::Text, "é".as_bytes()), Ok(()));
        assert_eq!(check_payload(PayloadKind::Text, b"ab\xff"), Err(PayloadError::NotUtf8 { at: 2 }));
        for json in ["1", " {\"a\":[null,true,1e9]}\n", "\"\\u00e9\""] {
            assert_eq!(check_payload(PayloadKind::Json, json.as_bytes()), Ok(()), "{json}");
        }
        for json in ["", "{", "[1,]", "nul", "1 2", "\"\n\"", "01", "NaN", "\u{feff}1", "{\"a\":1,}", "'a'"] {
            let checked = check_payload(PayloadKind::Json, json.as_bytes());
            assert!(matches!(checked, Err(PayloadError::NotJson { .. })), "{json}");
        }
    }

    #[test]
    fn json_that_hides_bad_utf8_in_a_string_is_refused() {
        assert_eq!(check_payload(PayloadKind::Json, b"\"a\xff\""), Err(PayloadError::NotUtf8 { at: 2 }));
    }

    #[test]
    fn nesting_of_any_depth_is_checked_without_a_stack() {
        let depth = 1_000_000;
        let closed = "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(check_payload(PayloadKind::Json, closed.as_bytes()), Ok(()));
        assert!(check_payload(PayloadKind::Json, &closed.as_bytes()[1..]).is_err());
    }
}
