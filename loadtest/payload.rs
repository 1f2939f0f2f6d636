//! What is in a message: who sent it, which it is, when it was due and when it was sent.
//!
//! ```text
//!   120 bits, written as 20 characters of the URL alphabet of base64 (RFC 4648 §5), so that it is text everywhere
//!   ┌─────┬────────────────┬──────────────────────┬────────────────────────────┬────────────────────────┐
//!   │ run │     stream     │       sequence       │            due             │          lag           │
//!   │  8  │       20       │          26          │             40             │           26           │
//!   └─────┴────────────────┴──────────────────────┴────────────────────────────┴────────────────────────┘
//!                                                   since the start, in 64 ns    sent − due, in 1,024 ns
//! ```
//! Text that looks like prices fills the message up to its size.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastrand::Rng;

/// Octets of a stamp, and of the smallest message.
pub const STAMP_LEN: usize = 20;

/// Streams that can be told apart.
pub const MAX_STREAMS: usize = 1 << STREAM_BITS;

/// Messages of one stream that can be told apart.
pub const MAX_SEQUENCE: u32 = (1 << SEQUENCE_BITS) - 1;

const STREAM_BITS: u32 = 20;
const SEQUENCE_BITS: u32 = 26;
/// Enough for 19 hours.
const DUE_BITS: u32 = 40;
const LAG_BITS: u32 = 26;
/// Units of 64 ns: below what the histograms tell apart, and enough of them for 19 hours.
const DUE_SHIFT: u32 = 6;
/// Units of 1,024 ns, so that 68 s fit. Who is later than that is not measuring.
const LAG_SHIFT: u32 = 10;

const _: () = assert!(8 + STREAM_BITS + SEQUENCE_BITS + DUE_BITS + LAG_BITS == 120);
const _: () = assert!(STAMP_LEN * 6 == 120);

/// What a message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The run that it belongs to: what is left of another is none of ours.
    pub run: u8,
    /// The publisher and the topic, as one number.
    pub stream: u32,
    /// Which message of its stream, from 0.
    pub sequence: u32,
    /// When it should have been sent, in nanoseconds from the start; to 64.
    pub due_ns: u64,
    /// How long after that it was sent, in nanoseconds; to 1,024.
    pub lag_ns: u64,
}

/// When a message was due, as its stamp has it: in nanoseconds, to 64.
pub fn as_stamped(due_ns: u64) -> u64 {
    due_ns >> DUE_SHIFT << DUE_SHIFT
}

impl Stamp {
    /// Writes it in front of `out`'s further octets.
    fn write(&self, out: &mut Vec<u8>) {
        let fields = [
            (u64::from(self.stream), STREAM_BITS),
            (u64::from(self.sequence), SEQUENCE_BITS),
            (self.due_ns >> DUE_SHIFT, DUE_BITS),
            ((self.lag_ns >> LAG_SHIFT).min((1 << LAG_BITS) - 1), LAG_BITS),
        ];
        let join = |bits: u128, (value, width): (u64, u32)| bits << width | u128::from(value);
        let bits = fields.into_iter().fold(u128::from(self.run), join);
        let mut characters = [0; STAMP_LEN];
        URL_SAFE_NO_PAD
            .encode_slice(&bits.to_be_bytes()[1..], &mut characters)
            .expect("15 octets are 20 characters");
        out.extend_from_slice(&characters);
    }

    /// The stamp at the front of a payload; none if it is none of ours.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let mut octets = [0; 16];
        let characters = payload.get(..STAMP_LEN)?;
        let read = URL_SAFE_NO_PAD.decode_slice_unchecked(characters, &mut octets[1..]).ok()?;
        (read == 15).then(|| Self::from_bits(u128::from_be_bytes(octets)))
    }

    fn from_bits(mut bits: u128) -> Self {
        let mut take = |width: u32| {
            let value = bits & ((1 << width) - 1);
            bits >>= width;
            value as u64
        };
        let lag_ns = take(LAG_BITS) << LAG_SHIFT;
        let due_ns = take(DUE_BITS) << DUE_SHIFT;
        let sequence = take(SEQUENCE_BITS) as u32;
        let stream = take(STREAM_BITS) as u32;
        Self { run: take(8) as u8, stream, sequence, due_ns, lag_ns }
    }
}

/// Payloads of one size.
#[derive(Clone, Debug)]
pub struct Payloads {
    /// What follows the stamp; each message has the next one.
    fillers: Vec<String>,
}

/// Enough that a compressor does not see the same message again and again.
const FILLERS: usize = 64;

impl Payloads {
    /// Payloads of `size` octets, at least [`STAMP_LEN`]. The same seed gives the same texts.
    pub fn new(size: usize, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let len = size.saturating_sub(STAMP_LEN);
        Self { fillers: (0..FILLERS).map(|_| filler(len, &mut rng)).collect() }
    }

    /// Writes the payload of a message: printable ASCII without quotes and backslashes, so that it is the same in every
    /// protocol.
    pub fn write(&self, stamp: &Stamp, out: &mut Vec<u8>) {
        stamp.write(out);
        out.extend_from_slice(self.fillers[stamp.sequence as usize % FILLERS].as_bytes());
    }
}

/// Text that looks like prices. It compresses as such texts do: to about a half.
fn filler(len: usize, rng: &mut Rng) -> String {
    const SYMBOLS: [&str; 8] =
        ["EURUSD", "GBPUSD", "USDJPY", "AUDUSD", "USDCHF", "USDCAD", "NZDUSD", "EURGBP"];
    let mut text = String::new();
    while text.len() < len {
        let symbol = SYMBOLS[rng.usize(..SYMBOLS.len())];
        let (bid, spread, volume) = (rng.u32(50_000..200_000), rng.u32(1..40), rng.u32(1..5_000));
        let price = |points: u32| format!("{}.{:05}", points / 100_000, points % 100_000);
        let (bid, ask) = (price(bid), price(bid + spread));
        write!(text, " {symbol} bid={bid} ask={ask} volume={volume}000").expect("a string takes it");
    }
    text.truncate(len);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stamp_is_read_as_it_was_written(
            run: u8, stream in 0..1_u32 << 20, sequence in 0..=MAX_SEQUENCE, due in 0..1_u64 << 40, lag in 0..1_u64 << 26,
        ) {
            let stamp = Stamp { run, stream, sequence, due_ns: due << 6, lag_ns: lag << 10 };
            let mut payload = Vec::new();
            stamp.write(&mut payload);
            prop_assert_eq!(payload.len(), STAMP_LEN);
            prop_assert_eq!(Stamp::read(&payload), Some(stamp));
        }

        #[test]
        fn no_payload_of_others_panics(payload: Vec<u8>) {
            let _ = Stamp::read(&payload);
        }
    }

    #[test]
    fn a_lag_of_more_than_a_minute_is_the_longest_that_can_be_said() {
        let mut payload = Vec::new();
        Stamp { run: 1, stream: 2, sequence: 3, due_ns: 64, lag_ns: u64::MAX }.write(&mut payload);
        let stamp = Stamp::read(&payload).unwrap();
        assert_eq!((stamp.run, stamp.stream, stamp.sequence, stamp.due_ns), (1, 2, 3, 64));
        assert!(stamp.lag_ns > 68_000_000_000);
    }

    #[test]
    fn payloads_have_their_size_and_are_the_same_in_every_protocol() {
        for size in [20, 21, 128, 1024] {
            let payloads = Payloads::new(size, 7);
            for sequence in 0..100 {
                let mut payload = Vec::new();
                payloads.write(&Stamp { run: 1, stream: 2, sequence, due_ns: 0, lag_ns: 0 }, &mut payload);
                assert_eq!(payload.len(), size);
                assert!(
                    payload
                        .iter()
                        .all(|octet| matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\'))
                );
            }
        }
    }
}
