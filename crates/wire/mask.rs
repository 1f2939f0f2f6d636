//! Masking of payloads (RFC 6455 §5.3).

/// Removes the mask from `data` in place, or puts it on: the operation is its own inverse.
///
/// `offset` is the position of `data[0]` in the payload of its frame, in octets, so that a payload can be
/// unmasked piece by piece as it arrives.
pub fn unmask(key: [u8; 4], offset: usize, data: &mut [u8]) {
    let mut key = key;
    key.rotate_left(offset % 4);
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);

    let (chunks, tail) = data.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (octet, key_octet) in tail.iter_mut().zip([a, b, c, d, a, b, c]) {
        *octet ^= key_octet;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6455 §5.3, word for word: octet i is combined with octet i modulo 4 of the key by exclusive or.
    fn naive_unmask(key: [u8; 4], offset: usize, data: &mut [u8]) {
        for (i, octet) in data.iter_mut().enumerate() {
            *octet ^= key[(offset + i) % 4];
        }
    }

    #[test]
    fn the_masked_hello_of_the_rfc_is_unmasked() {
        let mut data = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        unmask([0x37, 0xfa, 0x21, 0x3d], 0, &mut data);
        assert_eq!(&data, b"Hello");
    }

    proptest! {
        #[test]
        fn every_piece_is_unmasked_as_the_naive_twin_does(
            key: [u8; 4],
            offset in 0_usize..1_000,
            data in prop::collection::vec(any::<u8>(), 0..200),
            start in 0_usize..16,
        ) {
            let mut fast = data.clone();
            let mut naive = data;
            let start = start.min(fast.len());
            unmask(key, offset, &mut fast[start..]);
            naive_unmask(key, offset, &mut naive[start..]);
            prop_assert_eq!(fast, naive);
        }

        #[test]
        fn a_payload_in_pieces_is_the_payload_in_one(
            key: [u8; 4],
            data in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0_usize..200,
        ) {
            let mut whole = data.clone();
            let mut pieces = data;
            let cut = cut.min(pieces.len());
            unmask(key, 0, &mut whole);
            unmask(key, 0, &mut pieces[..cut]);
            unmask(key, cut, &mut pieces[cut..]);
            prop_assert_eq!(whole, pieces);
        }
    }
}
