//! Input that arrives in pieces.

/// The sizes of the pieces in which octets arrive, in turn: from 1 to 256 octets each.
pub type Sizes = [u8; 4];

/// `octets` cut into pieces of `sizes`.
pub fn pieces(octets: &[u8], sizes: Sizes) -> impl Iterator<Item = &[u8]> {
    let mut rest = octets;
    let mut sizes = sizes.into_iter().cycle();
    std::iter::from_fn(move || {
        let size = usize::from(sizes.next()?) + 1;
        let (piece, tail) = rest.split_at(size.min(rest.len()));
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
}
