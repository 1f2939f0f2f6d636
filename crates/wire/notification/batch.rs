//! What a batch led to, message by message.

use std::fmt;

use super::json::{write_json_string, write_number};
use crate::binary::read_results;
use crate::error::ErrorCode;

/// What became of one message of a batch: the offset that it got, or why it got none.
pub type BatchResult<'a> = Result<u64, Refusal<'a>>;

/// Why a message of a batch was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// What is wrong, for programs.
    pub code: ErrorCode,
    /// What is wrong, for people.
    pub message: &'a str,
}

/// What became of the messages of a batch, in their order. Who tells has them in a list, who hears in the octets that
/// came: neither is copied.
#[derive(Clone, Copy)]
pub struct BatchResults<'a>(Form<'a>);

#[derive(Clone, Copy)]
enum Form<'a> {
    List(&'a [BatchResult<'a>]),
    /// Octets that were read once and are good.
    Octets(&'a [u8]),
}

impl<'a> BatchResults<'a> {
    /// Results that were read from these octets once.
    pub(crate) fn of_good_octets(octets: &'a [u8]) -> Self {
        Self(Form::Octets(octets))
    }

    /// Each result.
    pub fn iter(self) -> impl Iterator<Item = BatchResult<'a>> {
        let (list, octets) = match self.0 {
            Form::List(list) => (list, &[][..]),
            Form::Octets(octets) => (&[][..], octets),
        };
        list.iter().copied().chain(read_results(octets).map_while(Result::ok))
    }

    /// Appends them as a JSON array.
    pub fn write_json(self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, result) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_result(out, result);
        }
        out.push(b']');
    }
}

fn write_result(out: &mut Vec<u8>, result: BatchResult<'_>) {
    match result {
        Ok(offset) => {
            out.extend_from_slice(br#"{"offset":"#);
            write_number(out, offset);
        }
        Err(Refusal { code, message }) => {
            out.extend_from_slice(br#"{"code":"#);
            write_json_string(out, code.as_str().as_bytes());
            out.extend_from_slice(br#","message":"#);
            write_json_string(out, message.as_bytes());
        }
    }
    out.push(b'}');
}

impl<'a> From<&'a [BatchResult<'a>]> for BatchResults<'a> {
    fn from(results: &'a [BatchResult<'a>]) -> Self {
        Self(Form::List(results))
    }
}

impl fmt::Debug for BatchResults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for BatchResults<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for BatchResults<'_> {}
