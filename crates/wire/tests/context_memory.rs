//! That contexts take what they are counted for, whatever the library behind them does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use fanwire_wire::deflate::{DeflateParams, Deflater, Inflater};

thread_local! {
    /// What this thread has put on the heap and not taken off, in bytes.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with a count.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on to `System` as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get().wrapping_add(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Messages of all sizes, each like the one before.
fn messages() -> impl Iterator<Item = Vec<u8>> {
    [1_usize, 100, 10_000, 100_000]
        .into_iter()
        .map(|length| (0..length).map(|at| (at * at / 7) as u8).collect())
}

/// The messages compressed, each with what the compressor knows of those before it.
fn compressed(deflater: &mut Deflater) -> Vec<Vec<u8>> {
    let compress = |message: Vec<u8>| {
        let mut out = Vec::new();
        deflater.deflate(&message, &mut out);
        out
    };
    messages().map(compress).collect()
}

#[track_caller]
fn assert_counted(held: usize, agreed: DeflateParams) {
    let counted = agreed.context_bytes();
    assert!(held <= counted && counted - held < 8 * 1024, "{held} bytes count as {counted}: {agreed:?}");
}

#[test]
fn a_compressor_takes_what_it_is_counted_for_and_not_much_less() {
    let no_inflater = DeflateParams { client_no_context_takeover: true, ..DeflateParams::default() };
    for bits in 9..=15 {
        let before = HELD.get();
        let mut deflater = Deflater::new(bits, true);
        drop(compressed(&mut deflater));
        assert_counted(
            HELD.get().wrapping_sub(before),
            DeflateParams { server_max_window_bits: Some(bits), ..no_inflater },
        );
    }
}

#[test]
fn an_inflater_takes_what_it_is_counted_for_and_not_much_less() {
    let no_compressor = DeflateParams { server_no_context_takeover: true, ..DeflateParams::default() };
    let compressed = compressed(&mut Deflater::new(15, true));
    let before = HELD.get();
    let mut inflater = Inflater::new(true);
    for (message, expected) in compressed.iter().zip(messages()) {
        assert_eq!(inflater.inflate(message, 1 << 20).unwrap(), expected);
    }
    assert_counted(HELD.get().wrapping_sub(before), no_compressor);
}
