//! The subject of a certificate, as RFC 4514 writes it.

use std::borrow::Borrow;
use std::fmt::{self, Write};
use std::str::FromStr;

use super::units::BadValue;

/// The attribute types that have a name in RFC 4514 §3, by their number. All others are written as numbers.
pub(crate) const NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The subject of a certificate: `CN=feeder,O=Example`. What can be written in several ways is the same here: names in lower
/// case, spaces around separators, and other escapes than those that are needed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject(Box<str>);

impl Subject {
    /// The one way to write it that is taken here.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Subject {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Subject {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let names = split(text, ',').into_iter().map(|name| {
            let attributes = split(name, '+').into_iter().map(attribute).collect::<Option<Vec<_>>>();
            attributes.map(|attributes| attributes.join("+"))
        });
        let names: Option<Vec<_>> = names.collect();
        names.map(|names| Self(names.join(",").into())).ok_or_else(|| {
            BadValue::new(
                text,
                "the subject of a certificate as RFC 4514 writes it, such as CN=feeder,O=Example",
            )
        })
    }
}

/// A value with what has a meaning in RFC 4514 §2.4 escaped.
pub(crate) fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (place, character) in value.chars().enumerate() {
        match character {
            '\0' => escaped.push_str("\\00"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', character]),
            ' ' if place == 0 || place == last => escaped.push_str("\\ "),
            '#' if place == 0 => escaped.push_str("\\#"),
            // What would break a line of the log, or hide in one.
            _ if character.is_control() => {
                let mut octets = [0; 4];
                for octet in character.encode_utf8(&mut octets).bytes() {
                    write!(escaped, "\\{octet:02x}").expect("a string takes everything");
                }
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The pieces between the separators that are not escaped.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut is_escaped = false;
    let pieces = text.split(|character| {
        let separates = character == separator && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        separates
    });
    pieces.collect()
}

/// One attribute, in the one way to write it.
fn attribute(text: &str) -> Option<String> {
    let (kind, value) = text.split_once('=')?;
    let (kind, value) = (kind.trim_matches(' '), trimmed(value));
    let known = NAMES.iter().find(|(number, name)| *number == kind || name.eq_ignore_ascii_case(kind));
    match (known, value.strip_prefix('#')) {
        (Some((_, name)), None) => Some(format!("{name}={}", escaped(&unescaped(value)?))),
        (Some((_, kind)), Some(octets)) => in_hexadecimal(kind, octets),
        // What it means is not known, so that its value can only be compared.
        (None, Some(octets)) if is_number(kind) => in_hexadecimal(kind, octets),
        (None, _) => None,
    }
}

fn in_hexadecimal(kind: &str, octets: &str) -> Option<String> {
    let is_whole = !octets.is_empty() && octets.len().is_multiple_of(2);
    let is_hexadecimal = octets.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_whole && is_hexadecimal).then(|| format!("{kind}=#{}", octets.to_ascii_lowercase()))
}

/// Whether it is the number of an attribute type (RFC 4512 §1.4, `numericoid`).
fn is_number(kind: &str) -> bool {
    let is_arc = |arc: &str| !arc.is_empty() && arc.bytes().all(|digit| digit.is_ascii_digit());
    kind.contains('.') && kind.split('.').all(is_arc)
}

/// A value without the spaces around it, but for one at its end that is escaped.
fn trimmed(value: &str) -> &str {
    let value = value.trim_start_matches(' ');
    let bare = value.trim_end_matches(' ');
    let escapes = bare.len() - bare.trim_end_matches('\\').len();
    let length = if escapes.is_multiple_of(2) { bare.len() } else { value.len().min(bare.len() + 1) };
    &value[..length]
}

/// What a value stands for, unless something in it must be escaped and is not, or the other way around.
fn unescaped(value: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'\\' => match rest.next()? {
                special @ (b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' | b' ' | b'#' | b'=') => special,
                high => hexadecimal_digit(high)? << 4 | hexadecimal_digit(rest.next()?)?,
            },
            b'"' | b';' | b'<' | b'>' | b'\0' => return None,
            plain => plain,
        });
    }
    String::from_utf8(octets).ok()
}

fn hexadecimal_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<String> {
        text.parse().ok().map(|subject: Subject| subject.to_string())
    }

    #[test]
    fn a_subject_is_the_same_in_whichever_way_it_is_written() {
        for (text, expected) in [
            ("CN=feeder", "CN=feeder"),
            ("cn = feeder , o=Example", "CN=feeder,O=Example"),
            ("2.5.4.3=feeder", "CN=feeder"),
            (r"CN=a\2cb\ ,O=Example\, Inc.", r"CN=a\,b\ ,O=Example\, Inc."),
            (r"CN=a\\ ,O=\20x", r"CN=a\\,O=\ x"),
            (r"CN=\23x#y=z", r"CN=\#x#y=z"),
            (r"CN=Z\c3\BCrich", "CN=Zürich"),
            ("UID=7 + CN=x", "UID=7+CN=x"),
            ("1.2.3.4=#0C01AB,CN=#13", "1.2.3.4=#0c01ab,CN=#13"),
            (r"CN=two\0alines", r"CN=two\0alines"),
            ("CN=", "CN="),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for text in [
            "",
            "feeder",
            "CN",
            "CN=a,",
            ",CN=a",
            "CN=a+",
            "emailAddress=a@b",
            "1.2.3.4=a",
            "1..2=#00",
            "X=#00",
            "CN=#",
            "CN=#0",
            "CN=#0g",
            r"CN=a\",
            r"CN=\zz",
            r"CN=\ff",
            "CN=\"a\"",
            "CN=a;O=b",
            "CN=<a>",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_escaped_is_read_as_it_was(values in proptest::collection::vec(any::<String>(), 1..4)) {
            let names: Vec<_> = values.iter().map(|value| format!("CN={}", escaped(value))).collect();
            let text = names.join(",");
            prop_assert_eq!(parsed(&text), Some(text.clone()));
            for (name, value) in split(&text, ',').into_iter().zip(&values) {
                prop_assert_eq!(unescaped(&name["CN=".len()..]), Some(value.clone()));
            }
        }
    }
}
