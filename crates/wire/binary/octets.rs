//! Fields, one after the other.

use crate::error::LayoutError;

/// What of a message was not read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    pub(super) fn octet(&mut self, field: &'static str) -> Result<u8, LayoutError> {
        self.array(field).map(|[octet]| octet)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, LayoutError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, LayoutError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Seven octets, which is what an offset of less than 2^53 takes.
    pub(super) fn u56(&mut self, field: &'static str) -> Result<u64, LayoutError> {
        let octets: [u8; 7] = self.array(field)?;
        Ok(octets.into_iter().fold(0, |number, octet| number << 8 | u64::from(octet)))
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, LayoutError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// An octet of length, and so many of text.
    pub(super) fn short(&mut self, field: &'static str) -> Result<&'a str, LayoutError> {
        let length = self.octet(field)?.into();
        utf8(self.take(length, field)?, field)
    }

    /// Two octets of length, and so many of text.
    pub(super) fn long(&mut self, field: &'static str) -> Result<&'a str, LayoutError> {
        let length = self.u16(field)?.into();
        utf8(self.take(length, field)?, field)
    }

    /// The next `length` octets.
    pub(super) fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], LayoutError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(LayoutError::Truncated { field })?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Text to the end.
    pub(super) fn text(self, field: &'static str) -> Result<&'a str, LayoutError> {
        utf8(self.0, field)
    }

    /// Everything to the end.
    pub(super) fn payload(self) -> &'a [u8] {
        self.0
    }

    /// Nothing may follow.
    pub(super) fn end(self) -> Result<(), LayoutError> {
        match self.0.len() {
            0 => Ok(()),
            octets => Err(LayoutError::Trailing { octets }),
        }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], LayoutError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(LayoutError::Truncated { field })?;
        self.0 = rest;
        Ok(*array)
    }
}

fn utf8<'a>(octets: &'a [u8], field: &'static str) -> Result<&'a str, LayoutError> {
    simdutf8::basic::from_utf8(octets).map_err(|_| LayoutError::NotUtf8 { field })
}

/// Appends a number.
pub(super) fn write_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Appends a text with its length in front, in one octet: a name, whose limit is below that.
pub(super) fn write_short(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).expect("names have at most 255 octets");
    out.push(length);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a text with its length in front, in two octets: one for people, of which what is longer is cut off.
pub(super) fn write_long(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(u16::MAX.into())];
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}
