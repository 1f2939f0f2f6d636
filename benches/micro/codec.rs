//! Octets: the mask, frames, UTF-8, and compression.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use fanwire_wire::deflate::{Deflater, Inflater};
use fanwire_wire::frame::{FrameHeader, OpCode, Role, write_frame, write_masked_frame};
use fanwire_wire::limits::DEFAULT_MAX_MESSAGE_BYTES;
use fanwire_wire::mask::unmask;
use fanwire_wire::message::{Incoming, MessageReader};
use fanwire_wire::utf8::Utf8Validator;

use crate::fixture::{FRAME_BYTES, PAYLOAD, bench_on};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// The frames that one read of a busy socket brings.
const FRAMES: usize = 64;
/// No multiple of what is repeated in a text, so that cuts go through characters.
const PIECE_BYTES: usize = 1_001;

pub(crate) fn bench(criterion: &mut Criterion) {
    bench_unmask(criterion);
    bench_frames(criterion);
    bench_utf8(criterion);
    bench_deflate(criterion);
}

fn bench_unmask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unmask");
    for bytes in [16, 128, 4 * 1024, 64 * 1024] {
        let make = || {
            let mut data: Vec<u8> = (0..bytes).map(|at| KEY[at % 4]).collect();
            unmask(KEY, 0, &mut data);
            assert!(data.iter().all(|octet| *octet == 0), "the key without the key is nothing");
            data
        };
        group.throughput(Throughput::Bytes(bytes as u64));
        bench_on(&mut group, bytes, make, |data| {
            unmask(black_box(KEY), 0, black_box(data));
        });
    }
}

fn bench_frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(FRAMES as u64));
    // With a key of zeros the octets are the same however often they were unmasked, and the work is too.
    let received = || {
        let mut octets = Vec::new();
        (0..FRAMES).for_each(|_| write_masked_frame(&mut octets, [0; 4], OpCode::Text, false, &PAYLOAD));
        octets
    };
    bench_on(&mut group, "parse_headers", received, |octets| {
        assert_eq!(parse_headers(octets), FRAMES);
    });

    let make = || (received(), Inflater::new(false));
    bench_on(&mut group, "read_messages", make, |(octets, inflater)| {
        assert_eq!(read_messages(octets, inflater), FRAMES * PAYLOAD.len());
    });

    bench_on(&mut group, "write", Vec::new, |out| {
        out.clear();
        (0..FRAMES).for_each(|_| write_frame(out, OpCode::Text, false, black_box(&PAYLOAD)));
        assert!(out.len() == FRAMES * FRAME_BYTES && out.ends_with(&PAYLOAD));
    });
}

/// The number of frames in `octets`.
fn parse_headers(octets: &[u8]) -> usize {
    let mut rest = octets;
    let mut frames = 0;
    while let Some(header) = FrameHeader::parse(rest, Role::Server, false).expect("good frames") {
        rest = &rest[header.header_len + header.payload_len as usize..];
        frames += 1;
    }
    frames
}

/// The octets of all messages in `octets`: their frames are parsed, unmasked, and checked to be UTF-8.
fn read_messages(octets: &mut [u8], inflater: &mut Inflater) -> usize {
    let mut reader = MessageReader::new(Role::Server, false);
    let mut rest = octets;
    let mut payload_bytes = 0;
    while !rest.is_empty() {
        let (consumed, incoming) =
            reader.read(rest, DEFAULT_MAX_MESSAGE_BYTES, inflater).expect("good frames");
        let Some(Incoming::Message { payload, .. }) = incoming else { panic!("not a message: {incoming:?}") };
        payload_bytes += payload.len();
        rest = &mut rest[consumed..];
    }
    payload_bytes
}

fn bench_utf8(criterion: &mut Criterion) {
    const BYTES: usize = 4 * 1024;
    let mut group = criterion.benchmark_group("utf8_in_pieces");
    group.throughput(Throughput::Bytes(BYTES as u64));
    for (name, text) in [("ascii", "plain text. "), ("multi_byte", "é€漢字😀 ")] {
        let make = || {
            let mut text = text.repeat(BYTES);
            text.truncate(text.floor_char_boundary(BYTES));
            text += &" ".repeat(BYTES - text.len());
            assert!(!is_utf8(&[text.as_bytes(), b"\xc3"].concat()), "it ends within a character");
            text.into_bytes()
        };
        bench_on(&mut group, name, make, |text| {
            assert!(is_utf8(black_box(text)));
        });
    }
}

fn is_utf8(text: &[u8]) -> bool {
    let mut validator = Utf8Validator::default();
    text.chunks(PIECE_BYTES).all(|piece| validator.push(piece).is_ok()) && validator.finish().is_ok()
}

fn bench_deflate(criterion: &mut Criterion) {
    let message = json_message();
    let mut compressed = Vec::new();
    Deflater::new(15, false).deflate(&message, &mut compressed);

    let mut group = criterion.benchmark_group("permessage_deflate");
    group.throughput(Throughput::Bytes(message.len() as u64));
    let make = || {
        let mut deflater = Deflater::new(15, false);
        deflater.deflate(&message, &mut Vec::new());
        // A message is compressed alike, whatever was before it.
        (deflater, Vec::new())
    };
    bench_on(&mut group, "deflate", make, |(deflater, out)| {
        out.clear();
        deflater.deflate(black_box(&message), out);
        assert_eq!(*out, compressed);
    });

    let make = || Inflater::new(false);
    bench_on(&mut group, "inflate", make, |inflater| {
        let payload = inflater.inflate(black_box(&compressed), DEFAULT_MAX_MESSAGE_BYTES);
        assert_eq!(payload.as_deref(), Ok(&*message));
    });
}

/// An order book of 1 KiB, in JSON.
fn json_message() -> Vec<u8> {
    let level = |n| format!(r#"{{"bid":1.{:04},"size":{}}}"#, 831 + n * 7, 100_000 + n * 137_000 % 899_000);
    let levels: Vec<String> = (0..34).map(level).collect();
    format!(r#"{{"topic":"prices.EURUSD","levels":[{}]}}"#, levels.join(",")).into_bytes()
}
