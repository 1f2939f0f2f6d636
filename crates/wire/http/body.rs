//! The body of a request: how long it is, and its decoding piece by piece.

use crate::error::RequestError;
use crate::limits::{MAX_BODY_FRAMING_BYTES, MAX_CHUNK_LINE_BYTES};

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    None,
    /// As many octets as `Content-Length` says.
    Length(u64),
    /// Chunks, until an empty one (RFC 9112 §7.1).
    Chunked,
}

/// Decodes one body as it arrives.
///
/// ```text
///   Size -- digits --> SizeLineEnd      Data -- CR --> DataEnd -- LF --> Size
///     |                  ^    |           ^
///     +--> Extension ----+    +-- LF -----+  (a size above 0)
///                             +-- LF --> Trailer -- CR --> TrailerLineEnd -- LF --> Trailer, or Done after an empty line
/// ```
///
/// Chunk extensions and trailer fields are read over; both count against
/// [`MAX_BODY_FRAMING_BYTES`]. After an error the connection is of no more use.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    /// How many more octets of body may come.
    body_left: u64,
    /// The same before anything came.
    limit: usize,
    /// How many more octets of chunk extensions and trailers may come.
    framing_left: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The body, of which this many octets are left.
    Fixed(u64),
    /// The digits of a chunk's size.
    Size {
        size: u64,
        digits: usize,
    },
    /// What follows the digits on their line, of which this many octets came, digits included.
    Extension {
        size: u64,
        length: usize,
    },
    /// After the CR of a chunk's size line.
    SizeLineEnd {
        size: u64,
    },
    /// The data of a chunk, of which this many octets are left.
    Data(u64),
    /// After the CR that follows a chunk's data.
    DataEnd,
    /// A line of the trailer section.
    Trailer {
        empty: bool,
    },
    /// After the CR of a line of the trailer section.
    TrailerLineEnd {
        empty: bool,
    },
    Done,
}

impl BodyDecoder {
    /// A decoder for a body of at most `limit` octets; fails at once if more are announced.
    pub fn new(length: BodyLength, limit: usize) -> Result<Self, RequestError> {
        let state = match length {
            BodyLength::None | BodyLength::Length(0) => State::Done,
            BodyLength::Length(length) if length > limit as u64 => {
                return Err(RequestError::BodyTooLarge { limit });
            }
            BodyLength::Length(length) => State::Fixed(length),
            BodyLength::Chunked => State::Size { size: 0, digits: 0 },
        };
        Ok(Self { state, body_left: limit as u64, limit, framing_left: MAX_BODY_FRAMING_BYTES })
    }

    /// Decodes from the front of `input`, appends the body's octets to `out` and returns how many octets of `input` it
    /// took: all of them, unless the body ended before.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, RequestError> {
        let mut rest = input;
        while let [first, tail @ ..] = rest
            && !self.is_done()
        {
            rest = match &mut self.state {
                State::Fixed(left) | State::Data(left) if *left > 0 => take(left, rest, out),
                _ => {
                    self.state = self.next_state(*first)?;
                    tail
                }
            };
            if matches!(self.state, State::Fixed(0)) {
                self.state = State::Done;
            }
        }
        Ok(input.len() - rest.len())
    }

    /// Whether the whole body has come.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Where an octet of framing leads.
    fn next_state(&mut self, byte: u8) -> Result<State, RequestError> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits: 1.. } | State::Extension { size, .. }, b'\r') => {
                State::SizeLineEnd { size }
            }
            (State::Size { size, digits: digits @ 1.. }, b';' | b' ' | b'\t') => {
                self.count_framing()?;
                State::Extension { size, length: digits + 1 }
            }
            (State::Size { size, digits }, _) => {
                State::Size { size: self.size_with_digit(size, digits, byte)?, digits: digits + 1 }
            }
            (State::Extension { size, length }, 0x20.. | b'\t') if length < MAX_CHUNK_LINE_BYTES => {
                self.count_framing()?;
                State::Extension { size, length: length + 1 }
            }
            (State::SizeLineEnd { size: 0 } | State::TrailerLineEnd { empty: false }, b'\n') => {
                State::Trailer { empty: true }
            }
            (State::SizeLineEnd { size }, b'\n') => {
                self.body_left -= size;
                State::Data(size)
            }
            (State::Data(_), b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => State::Size { size: 0, digits: 0 },
            (State::Trailer { empty }, b'\r') => State::TrailerLineEnd { empty },
            (State::Trailer { .. }, 0x20.. | b'\t') => {
                self.count_framing()?;
                State::Trailer { empty: false }
            }
            (State::TrailerLineEnd { empty: true }, b'\n') => State::Done,
            _ => return Err(RequestError::BadChunk),
        })
    }

    /// The size after one more hexadecimal digit. Sixteen digits make 64 bits.
    fn size_with_digit(&self, size: u64, digits: usize, byte: u8) -> Result<u64, RequestError> {
        const MOST_DIGITS: usize = 2 * size_of::<u64>();
        let digit = char::from(byte).to_digit(16).filter(|_| digits < MOST_DIGITS);
        let size = size << 4 | u64::from(digit.ok_or(RequestError::BadChunk)?);
        if size > self.body_left {
            return Err(RequestError::BodyTooLarge { limit: self.limit });
        }
        Ok(size)
    }

    fn count_framing(&mut self) -> Result<(), RequestError> {
        self.framing_left = self.framing_left.checked_sub(1).ok_or(RequestError::ChunkFramingTooLarge)?;
        Ok(())
    }
}

/// Moves up to `left` octets from the front of `input` to `out`, and returns the others.
fn take<'i>(left: &mut u64, input: &'i [u8], out: &mut Vec<u8>) -> &'i [u8] {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    let (data, rest) = input.split_at(length);
    out.extend_from_slice(data);
    *left -= length as u64;
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1000;

    /// The decoded body and what follows it, when `input` comes in pieces of `step` octets.
    fn decode_in_steps(
        length: BodyLength,
        input: &[u8],
        step: usize,
    ) -> Result<(Vec<u8>, Vec<u8>), RequestError> {
        let mut decoder = BodyDecoder::new(length, LIMIT)?;
        let mut out = Vec::new();
        let mut rest = input.to_vec();
        for piece in input.chunks(step) {
            let taken = decoder.decode(piece, &mut out)?;
            assert!(taken == piece.len() || decoder.is_done());
            rest.drain(..taken);
        }
        assert!(decoder.is_done(), "the body did not end");
        Ok((out, rest))
    }

    fn chunked_error(input: &str) -> RequestError {
        let mut decoder = BodyDecoder::new(BodyLength::Chunked, LIMIT).unwrap();
        decoder.decode(input.as_bytes(), &mut Vec::new()).expect_err(input)
    }

    #[test]
    fn a_body_ends_where_its_length_says() {
        assert_eq!(
            decode_in_steps(BodyLength::Length(5), b"helloGET", 3).unwrap(),
            (b"hello".into(), b"GET".into())
        );
        for length in [BodyLength::None, BodyLength::Length(0)] {
            assert!(BodyDecoder::new(length, LIMIT).unwrap().is_done());
        }
    }

    #[test]
    fn chunks_are_joined_and_their_extensions_and_trailers_read_over() {
        let body =
            b"5\r\nhello\r\n1;name=\"v;\"\r\n \r\n005 ;x\r\nworld\r\n0\r\nExpires: 0\r\nX: y\r\n\r\nGET /";
        for step in 1..body.len() {
            let decoded = decode_in_steps(BodyLength::Chunked, body, step).unwrap();
            assert_eq!(decoded, (b"hello world".into(), b"GET /".into()), "{step}");
        }
    }

    #[test]
    fn chunked_framing_that_could_be_read_in_two_ways_is_refused() {
        let cases = [
            "\r\n",
            ";x\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            "1\n",
            "1\ra",
            "1;a\nb",
            "1;a\rb",
            "1;\0\r\n",
            "1\r\nab",
            "1\r\na\n",
            "1\r\na\rx",
            "0\r\nX: y\n\r\n",
            "0\r\nX: \ry",
            "0\r\n\rx",
            "00000000000000001\r\n",
        ];
        for input in cases {
            assert_eq!(chunked_error(input), RequestError::BadChunk, "{input:?}");
        }
    }

    #[test]
    fn a_body_over_the_limit_fails_as_soon_as_it_is_announced() {
        let error = RequestError::BodyTooLarge { limit: LIMIT };
        assert!(BodyDecoder::new(BodyLength::Length(LIMIT as u64), LIMIT).is_ok());
        assert_eq!(BodyDecoder::new(BodyLength::Length(LIMIT as u64 + 1), LIMIT).err(), Some(error));
        assert_eq!(chunked_error("3e9"), error);
        assert_eq!(chunked_error("ffffffffffffffff"), error);
        let first = format!("3e8\r\n{}\r\n1", "x".repeat(LIMIT));
        assert_eq!(chunked_error(&first), error);
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let line = format!("1;{}", "x".repeat(MAX_CHUNK_LINE_BYTES));
        assert_eq!(chunked_error(&line), RequestError::BadChunk);
        let chunk = format!("1;{}\r\nx\r\n", "x".repeat(MAX_CHUNK_LINE_BYTES - 2));
        let many = chunk.repeat(MAX_BODY_FRAMING_BYTES / MAX_CHUNK_LINE_BYTES + 1);
        assert_eq!(chunked_error(&many), RequestError::ChunkFramingTooLarge);
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(MAX_BODY_FRAMING_BYTES / 4 + 1));
        assert_eq!(chunked_error(&trailers), RequestError::ChunkFramingTooLarge);
    }

    proptest! {
        #[test]
        fn a_body_is_what_its_chunks_were_made_of(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..60), 0..8),
            extension in "(;[a-z\" ]{0,5})?",
            trailer in "([A-Z]: [a-z]{0,3}\r\n){0,2}",
            step in 1_usize..80,
        ) {
            let mut encoded = Vec::new();
            for chunk in &chunks {
                encoded.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                encoded.extend_from_slice(chunk);
                encoded.extend_from_slice(b"\r\n");
            }
            encoded.extend_from_slice(format!("0{extension}\r\n{trailer}\r\nnext").as_bytes());
            let (body, rest) = decode_in_steps(BodyLength::Chunked, &encoded, step).unwrap();
            prop_assert_eq!(body, chunks.concat());
            prop_assert_eq!(rest, b"next");
        }

        #[test]
        fn no_octets_make_more_body_than_the_limit(input in "([0-9a-f]{1,3}|;|\r\n|\r|\n|x){0,30}") {
            let mut decoder = BodyDecoder::new(BodyLength::Chunked, 10).unwrap();
            let mut out = Vec::new();
            let _ = decoder.decode(input.as_bytes(), &mut out);
            prop_assert!(out.len() <= 10);
        }
    }
}
