//! The header fields of a request or response.

use httparse::Header;

/// Header fields, in the order in which they came. Names are compared without regard to case.
#[derive(Clone, Debug)]
pub struct Headers<'a>(Vec<Header<'a>>);

impl<'a> Headers<'a> {
    pub(crate) fn new(fields: &[Header<'a>]) -> Self {
        Self(fields.to_vec())
    }

    /// The value of the first field of this name, if it is UTF-8.
    pub fn first(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The values of all fields of this name that are UTF-8.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.octets(name).filter_map(|value| str::from_utf8(value).ok())
    }

    /// The values of all fields of this name, whatever octets they hold.
    pub fn octets(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The elements of all fields of this name, which is one list in one or several fields (RFC 9110 §5.6.1).
    pub fn elements(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .flat_map(|value| value.split(','))
            .map(str::trim_ascii)
            .filter(|element| !element.is_empty())
    }

    /// Whether `Accept` names this media type, and ranks no other above it (RFC 9110 §12.5.1).
    pub fn prefers(&self, media_type: &str) -> bool {
        let (mut its, mut best) = (0, 0);
        for range in self.elements("Accept") {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let quality = quality(parameters);
            best = best.max(quality);
            if name.trim_ascii().eq_ignore_ascii_case(media_type) {
                its = its.max(quality);
            }
        }
        its > 0 && its == best
    }

    /// Whether the list of this name has `token`, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.elements(name).any(|element| element.eq_ignore_ascii_case(token))
    }
}

/// The weight among the parameters of a media range, in thousandths: of `q=0.5`, 500 (RFC 9110 §12.4.2). One that cannot
/// be read counts as none, which is 1.
fn quality(parameters: &str) -> u16 {
    const WHOLE: u16 = 1000;
    let mut pairs = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let weight = pairs.find(|(name, _)| name.trim_ascii().eq_ignore_ascii_case("q"));
    weight.and_then(|(_, value)| thousandths(value.trim_ascii())).unwrap_or(WHOLE)
}

/// A number from 0 to 1 with up to three decimals.
fn thousandths(number: &str) -> Option<u16> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = decimals.bytes().chain(std::iter::repeat(b'0')).take(3);
    let part = padded.fold(0, |part, digit| 10 * part + u16::from(digit - b'0'));
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers(accept: &[&'static str]) -> bool {
        let field = |value: &&'static str| Header { name: "accept", value: value.as_bytes() };
        let fields: Vec<_> = accept.iter().map(field).collect();
        Headers::new(&fields).prefers("text/event-stream")
    }

    #[test]
    fn a_media_type_is_preferred_where_it_is_named_and_nothing_ranks_higher() {
        for accept in [
            &["text/event-stream"][..],
            &["Text/Event-Stream; charset=utf-8"],
            &["text/event-stream, */*;q=0.1"],
            &["application/json;q=0.9", "text/event-stream; q=0.9"],
            &["text/event-stream;q=much", "*/*;q=0.999"],
            &["text/event-stream;q=, */*;q=0.999"],
            &["text/event-stream;q=0.0001, */*;q=0.999"],
            &["text/event-stream;q=-0, */*;q=0.999"],
            &["text/event-stream;q=1.001, */*"],
            &["text/event-stream;Q=1.000, */*;q=1."],
            &["text/event-stream;q=0.25, */*;q=0.2"],
        ] {
            assert!(prefers(accept), "{accept:?}");
        }
        for accept in [
            &[][..],
            &["*/*"],
            &["text/*"],
            &["text/event-stream;q=0"],
            &["text/event-stream;q=0."],
            &["text/event-stream;q=0.000"],
            &["text/event-stream;q=0.05, */*;q=0.5"],
            &["text/event-stream;q=0.5, application/json"],
            &["text/event-stream-of-another-kind"],
        ] {
            assert!(!prefers(accept), "{accept:?}");
        }
    }
}
