//! JSON, written straight into a buffer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::command::CommandId;

/// Writes an object field by field: its `type`, then the others in the order of the calls.
pub(super) struct ObjectWriter<'o> {
    pub(super) out: &'o mut Vec<u8>,
}

impl<'o> ObjectWriter<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>, kind: &str) -> Self {
        out.extend_from_slice(br#"{"type":""#);
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        Self { out }
    }

    pub(super) fn name(&mut self, name: &str) {
        self.out.extend_from_slice(br#",""#);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(br#"":"#);
    }

    pub(super) fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        write_json_string(self.out, value.as_bytes());
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        write_number(self.out, value);
    }

    pub(super) fn optional_string(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(name, value);
        }
    }

    pub(super) fn optional_number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(name, value);
        }
    }

    pub(super) fn optional_boolean(&mut self, name: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.name(name);
            self.out.extend_from_slice(if value { b"true" } else { b"false" });
        }
    }

    pub(super) fn id(&mut self, id: Option<&CommandId>) {
        if let Some(id) = id {
            self.name("id");
            self.out.extend_from_slice(id.as_json().as_bytes());
        }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// Appends `text`, which is UTF-8, as a JSON string with its quotes (RFC 8259 §7): only what must be escaped is.
pub fn write_json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    loop {
        let (plain, tail) = rest.split_at(plain_prefix_len(rest));
        out.extend_from_slice(plain);
        let Some((&byte, tail)) = tail.split_first() else { break };
        write_escape(out, byte);
        rest = tail;
    }
    out.push(b'"');
}

/// How many octets at the front need no escape, eight at a time.
fn plain_prefix_len(text: &[u8]) -> usize {
    let (words, tail) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_octets(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let special = tail.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    words.len() * 8 + special.unwrap_or(tail.len())
}

/// Marks octets below 0x20, quotes and backslashes by their highest bit. A borrow may mark an octet above a true
/// mark too, so only the lowest mark counts.
const fn special_octets(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = ONES * 0x80;
    let quotes = word ^ (ONES * b'"' as u64);
    let backslashes = word ^ (ONES * b'\\' as u64);
    let below_0x20 = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quotes.wrapping_sub(ONES) & !quotes;
    let backslash = backslashes.wrapping_sub(ONES) & !backslashes;
    (below_0x20 | quote | backslash) & HIGHS
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            out.extend_from_slice(br"\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 0x0f)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends `payload` in base64, with its quotes.
pub(super) fn write_base64_string(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + payload.len().div_ceil(3) * 4, 0);
    STANDARD
        .encode_slice(payload, &mut out[start..])
        .expect("four characters were made room for per three octets");
    out.push(b'"');
}

/// Appends `number` in decimal digits.
pub(super) fn write_number(out: &mut Vec<u8>, number: u64) {
    const MAX_DIGITS: usize = u64::MAX.ilog10() as usize + 1;
    let mut digits = [0; MAX_DIGITS];
    let mut start = MAX_DIGITS;
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_escaped_as_serde_json_escapes_them(
            text in "([\\x00-\\x7f]|[é€😀\\u{2028}]|\"|\\\\|[a-z]{5,9}){0,40}",
        ) {
            let mut out = Vec::new();
            write_json_string(&mut out, text.as_bytes());
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn every_octet_is_found_special_exactly_when_it_must_be_escaped(
            text in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let naive = text.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')).unwrap_or(text.len());
            prop_assert_eq!(plain_prefix_len(&text), naive);
        }

        #[test]
        fn numbers_are_written_as_the_standard_library_writes_them(number in any::<u64>(), shift in 0_u32..64) {
            let mut out = Vec::new();
            let number = number >> shift;
            write_number(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
