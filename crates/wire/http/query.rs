//! Percent-encoding (RFC 3986 §2.1) and query parameters.

use std::borrow::Cow;

use crate::error::RequestError;

/// Decodes `%XX` in a path segment. The result must be UTF-8.
pub fn percent_decode(text: &str) -> Result<Cow<'_, str>, RequestError> {
    decode(text, |byte| byte)
}

/// The value of the first parameter `name` in a query like `since=earliest&echo=false`, decoded the way that forms
/// are encoded: a `+` is a space. A parameter without `=` has the empty value.
pub fn query_parameter<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, RequestError> {
    query_values(query, name).next().transpose()
}

/// The values of all parameters `name` in a query.
pub fn query_values<'a>(
    query: &'a str,
    name: &str,
) -> impl Iterator<Item = Result<Cow<'a, str>, RequestError>> {
    let parameters = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let values = parameters.filter(move |(this, _)| *this == name).map(|(_, value)| value);
    values.map(|value| decode(value, |byte| if byte == b'+' { b' ' } else { byte }))
}

/// Decodes `%XX`, and translates every octet that is not part of one.
fn decode(text: &str, translate: impl Fn(u8) -> u8) -> Result<Cow<'_, str>, RequestError> {
    if text.bytes().all(|byte| byte != b'%' && translate(byte) == byte) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            decoded.push(translate(*first));
            continue;
        }
        let (octet, tail) = hex_octet(rest).ok_or(RequestError::BadEscape)?;
        decoded.push(octet);
        rest = tail;
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| RequestError::BadEscape)
}

/// Two hexadecimal digits at the front, and what follows them.
fn hex_octet(text: &[u8]) -> Option<(u8, &[u8])> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    match text {
        [high, low, tail @ ..] => Some((digit(*high)? << 4 | digit(*low)?, tail)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_without_escapes_is_borrowed() {
        assert!(matches!(percent_decode("prices.EURUSD"), Ok(Cow::Borrowed("prices.EURUSD"))));
        assert!(matches!(
            query_parameter("a=b&since=earliest", "since"),
            Ok(Some(Cow::Borrowed("earliest")))
        ));
    }

    #[test]
    fn an_escape_that_is_none_is_refused() {
        for text in ["%", "a%4", "%zz", "%+1", "%4g", "%ff", "%c3%28", "%%41"] {
            assert_eq!(percent_decode(text), Err(RequestError::BadEscape), "{text}");
        }
    }

    #[test]
    fn a_query_parameter_is_found_by_its_whole_name() {
        let query = "sin=0&since=9f3c%3A41&since=later&echo&text=a+b%2B";
        let parameter = |name| query_parameter(query, name).unwrap();
        assert_eq!(parameter("since").as_deref(), Some("9f3c:41"));
        let all: Vec<_> = query_values(query, "since").map(Result::unwrap).collect();
        assert_eq!(all, ["9f3c:41", "later"]);
        assert_eq!(parameter("echo").as_deref(), Some(""));
        assert_eq!(parameter("text").as_deref(), Some("a b+"));
        assert_eq!((parameter("inc"), parameter("ince")), (None, None));
        assert_eq!(query_parameter("a=%", "a"), Err(RequestError::BadEscape));
    }

    #[test]
    fn a_plus_in_a_path_stays_one() {
        assert_eq!(percent_decode("a+b%20c").unwrap(), "a+b c");
    }

    proptest! {
        #[test]
        fn any_text_survives_its_escaping(text: String, escape_all: bool) {
            let escaped: String = text.bytes().map(|byte| match byte {
                b'a'..=b'z' if !escape_all => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            }).collect();
            prop_assert_eq!(percent_decode(&escaped).unwrap(), text.as_str());
            let query = format!("a=b&value={escaped}&c");
            prop_assert_eq!(query_parameter(&query, "value").unwrap().unwrap(), text);
        }
    }
}
