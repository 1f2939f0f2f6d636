//! UTF-8 as it arrives (RFC 6455 §8.1, RFC 3629).

use crate::error::ProtocolError;

/// Octets of the longest character.
const MAX_CHARACTER_BYTES: usize = 4;

/// Checks a text that arrives in pieces, cut anywhere, and fails at the first octet that no valid text could have there.
///
/// All that it keeps between pieces is the beginning of a character that a cut went through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Validator {
    /// The first octets of a character; those from `len` on mean nothing.
    begun: [u8; MAX_CHARACTER_BYTES - 1],
    len: u8,
}

impl Utf8Validator {
    /// Checks the next piece of the text. [`ProtocolError::BadUtf8`] if the text cannot be valid, whatever follows.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        let rest = self.finish_character(piece)?;
        let Err(error) = simdutf8::compat::from_utf8(rest) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(ProtocolError::BadUtf8);
        }
        self.begin_character(&rest[error.valid_up_to()..]);
        Ok(())
    }

    /// Checks that the text does not end within a character; [`ProtocolError::BadUtf8`] if it does.
    pub fn finish(self) -> Result<(), ProtocolError> {
        if self.len == 0 { Ok(()) } else { Err(ProtocolError::BadUtf8) }
    }

    /// Completes the character that an earlier piece began, octet by octet; returns what follows it.
    fn finish_character<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], ProtocolError> {
        let mut rest = piece;
        while self.len > 0 {
            let Some((&octet, after)) = rest.split_first() else { break };
            rest = after;
            self.extend_character(octet)?;
        }
        Ok(rest)
    }

    fn extend_character(&mut self, octet: u8) -> Result<(), ProtocolError> {
        let len = usize::from(self.len);
        let mut character = [0; MAX_CHARACTER_BYTES];
        character[..len].copy_from_slice(&self.begun[..len]);
        character[len] = octet;
        let character = &character[..=len];

        match std::str::from_utf8(character) {
            Ok(_) => self.len = 0,
            Err(error) if error.error_len().is_some() => return Err(ProtocolError::BadUtf8),
            Err(_) => self.begin_character(character),
        }
        Ok(())
    }

    /// Keeps `octets`, which are one to three and the beginning of a character.
    fn begin_character(&mut self, octets: &[u8]) {
        self.begun[..octets.len()].copy_from_slice(octets);
        self.len = octets.len() as u8;
    }
}

/// The whole of `bytes` as text; [`ProtocolError::BadUtf8`] if it is not UTF-8.
pub fn check(bytes: &[u8]) -> Result<&str, ProtocolError> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| ProtocolError::BadUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The table of RFC 3629 §4, one octet at a time: the index of the first bad octet, or the number of octets
    /// that the last character still lacks.
    fn naive_check(bytes: &[u8]) -> Result<u8, usize> {
        let mut missing = 0;
        let mut next = 0x80..=0xbf;
        for (i, &octet) in bytes.iter().enumerate() {
            if missing > 0 {
                if !next.contains(&octet) {
                    return Err(i);
                }
                missing -= 1;
                next = 0x80..=0xbf;
                continue;
            }
            (missing, next) = match octet {
                0x00..=0x7f => (0, 0x80..=0xbf),
                0xc2..=0xdf => (1, 0x80..=0xbf),
                0xe0 => (2, 0xa0..=0xbf),
                0xe1..=0xec | 0xee..=0xef => (2, 0x80..=0xbf),
                0xed => (2, 0x80..=0x9f),
                0xf0 => (3, 0x90..=0xbf),
                0xf1..=0xf3 => (3, 0x80..=0xbf),
                0xf4 => (3, 0x80..=0x8f),
                _ => return Err(i),
            };
        }
        Ok(missing)
    }

    /// Pushes `bytes` cut at `cuts`: the end of the piece that was refused, or whether the whole is a text.
    fn push_in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<bool, usize> {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut validator = Utf8Validator::default();
        let mut start = 0;
        for end in ends {
            validator.push(&bytes[start..end]).map_err(|_| end)?;
            start = end;
        }
        Ok(validator.finish().is_ok())
    }

    fn agrees_with_the_twin(bytes: &[u8], cuts: &[usize]) {
        let pieces = push_in_pieces(bytes, cuts);
        match naive_check(bytes) {
            Ok(missing) => assert_eq!(pieces, Ok(missing == 0)),
            Err(bad) => {
                let refused = pieces.expect_err("the twin refuses this text");
                assert!(refused > bad, "refused before the bad octet {bad}");
                let good = push_in_pieces(&bytes[..bad], &[]);
                assert!(good.is_ok(), "what stands before the first bad octet may become valid");
            }
        }
    }

    fn nearly_utf8() -> impl Strategy<Value = Vec<u8>> {
        let text = any::<String>().prop_map(String::into_bytes);
        let damaged =
            (text.clone(), any::<u8>(), any::<prop::sample::Index>()).prop_map(|(mut text, octet, at)| {
                let at = at.index(text.len() + 1);
                text.insert(at, octet);
                text
            });
        let leading = prop::collection::vec(
            prop_oneof![Just(0xe0_u8), Just(0xed), Just(0xf0), Just(0xf4), 0x80_u8..0xc3],
            0..8,
        );
        prop_oneof![text, damaged, leading]
    }

    #[test]
    fn each_octet_alone_is_refused_exactly_when_it_is_the_first_bad_one() {
        // Every character of one to four octets that is not quite right, one octet at a time.
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                agrees_with_the_twin(&[first, second, 0x80, 0x80], &[1, 2, 3]);
            }
        }
    }

    #[test]
    fn the_state_is_four_octets() {
        assert_eq!(size_of::<Utf8Validator>(), 4);
    }

    proptest! {
        #[test]
        fn a_text_in_pieces_is_judged_as_the_naive_twin_judges_it(
            bytes in nearly_utf8(),
            cuts in prop::collection::vec(any::<usize>(), 0..6),
        ) {
            agrees_with_the_twin(&bytes, &cuts);
            let octet_by_octet: Vec<usize> = (1..=bytes.len()).collect();
            agrees_with_the_twin(&bytes, &octet_by_octet);
            if let Err(bad) = naive_check(&bytes) {
                prop_assert_eq!(push_in_pieces(&bytes, &octet_by_octet), Err(bad + 1));
            }
        }

        #[test]
        fn a_whole_text_is_judged_as_the_naive_twin_judges_it(bytes in nearly_utf8()) {
            prop_assert_eq!(check(&bytes).is_ok(), naive_check(&bytes) == Ok(0));
        }
    }
}
