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

    /// Whether the list of this name has `token`, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.elements(name).any(|element| element.eq_ignore_ascii_case(token))
    }
}
