//! permessage-deflate: arbitrary data inflated within a bound, everything deflated inflated again, arbitrary offers.
#![no_main]

mod heap;
mod pieces;

use std::borrow::Cow;

use arbitrary::Arbitrary;
use fanwire_wire::deflate::{DeflateParams, Deflater, Inflater, negotiate};
use fanwire_wire::error::ProtocolError;
use fanwire_wire::limits::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};
use flate2::{Decompress, FlushDecompress};
use libfuzzer_sys::fuzz_target;

use crate::pieces::{Sizes, pieces};

/// What an inflater holds in any case, in octets: zlib's window and tables, and a reused output buffer.
const FIXED_BYTES: usize = 256 * 1024;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    sizes: Sizes,
    limit: u16,
    /// The window of the compressor, and whether contexts are taken over.
    choices: u8,
    octets: &'a [u8],
}

impl Input<'_> {
    fn window_bits(&self) -> u8 {
        let windows = MAX_WINDOW_BITS - MIN_WINDOW_BITS + 1;
        MIN_WINDOW_BITS + self.choices % windows
    }

    fn context_takeover(&self) -> bool {
        self.choices & 0x80 != 0
    }
}

fuzz_target!(|input: Input<'_>| {
    inflate_within_the_limit(&input);
    round_trip(&input);
    if let Ok(text) = str::from_utf8(input.octets) {
        negotiation(text);
    }
});

fn inflate_within_the_limit(input: &Input<'_>) {
    let limit = usize::from(input.limit);
    let bound = 3 * limit + FIXED_BYTES;
    let mut inflater = Inflater::new(false);
    let first = heap::within(bound, || inflate(&mut inflater, input.octets, limit));
    let second = inflate(&mut inflater, input.octets, limit);
    assert_eq!(first, second, "one message leaves something behind for the next");
    match first {
        Ok(message) => {
            let length = message.len();
            assert!(length <= limit);
            assert_eq!(inflate(&mut inflater, input.octets, length).as_ref(), Ok(&message));
            if let Some(less) = length.checked_sub(1) {
                let error = Err(ProtocolError::MessageTooBig { limit: less });
                assert_eq!(inflate(&mut inflater, input.octets, less), error);
            }
        }
        Err(ProtocolError::BadDeflate) => {}
        Err(error) => assert_eq!(error, ProtocolError::MessageTooBig { limit }),
    }
    assert_eq!(inflate(&mut inflater, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], 5), Ok(b"Hello".to_vec()));
}

fn inflate(inflater: &mut Inflater, payload: &[u8], limit: usize) -> Result<Vec<u8>, ProtocolError> {
    inflater.inflate(payload, limit).map(Cow::into_owned)
}

/// Every message is inflated to what it was, by us and by a decompressor with no larger window than was agreed on.
fn round_trip(input: &Input<'_>) {
    let (bits, takeover) = (input.window_bits(), input.context_takeover());
    let (mut deflater, mut inflater) = (Deflater::new(bits, takeover), Inflater::new(takeover));
    let mut theirs = Decompress::new_with_window_bits(false, bits);
    let messages =
        [input.octets].into_iter().chain(pieces(input.octets, input.sizes).take(20)).chain([&[][..]]);
    for message in messages {
        let mut compressed = Vec::new();
        deflater.deflate(message, &mut compressed);
        assert_eq!(inflater.inflate(&compressed, message.len()).as_deref(), Ok(message));
        if !takeover {
            theirs.reset(false);
        }
        assert_eq!(inflate_by_window(&mut theirs, &compressed), message);
    }
}

/// Inflates in small steps, so that what lies further back than the window is gone.
fn inflate_by_window(stream: &mut Decompress, compressed: &[u8]) -> Vec<u8> {
    const STEP: usize = 64;
    let whole: Vec<u8> = compressed.iter().chain(&[0x00, 0x00, 0xff, 0xff]).copied().collect();
    let (mut rest, mut inflated) = (whole.as_slice(), Vec::new());
    loop {
        let (taken, given) = (stream.total_in(), stream.total_out());
        let mut step = [0; STEP];
        stream
            .decompress(rest, &mut step, FlushDecompress::None)
            .expect("what was deflated within the window");
        rest = &rest[(stream.total_in() - taken) as usize..];
        let given = (stream.total_out() - given) as usize;
        inflated.extend_from_slice(&step[..given]);
        if rest.is_empty() && given < STEP {
            return inflated;
        }
    }
}

/// What the broker agrees to, it can do, and its client understands.
fn negotiation(text: &str) {
    let agreed = negotiate([text].into_iter());
    assert_eq!(agreed, negotiate(text.split(',')), "one field or several make no difference");
    if let Some(params) = agreed {
        assert_eq!(params.client_max_window_bits, None);
        assert!((MIN_WINDOW_BITS..=MAX_WINDOW_BITS).contains(&params.server_window_bits()));
        let shared = params.without_contexts();
        assert!(shared.server_no_context_takeover && shared.client_no_context_takeover);
        assert_eq!((shared.context_bytes(), params.context_bytes() == 0), (0, params == shared));
        assert_eq!([params, shared].map(written_and_read), [Some(params), Some(shared)]);
    }
    if let Some(params) = DeflateParams::from_response(text) {
        assert!((MIN_WINDOW_BITS..=MAX_WINDOW_BITS).contains(&params.client_window_bits()));
        assert_eq!(written_and_read(params), Some(params));
    }
}

fn written_and_read(params: DeflateParams) -> Option<DeflateParams> {
    let mut value = Vec::new();
    params.write_response(&mut value);
    DeflateParams::from_response(str::from_utf8(&value).expect("text"))
}
