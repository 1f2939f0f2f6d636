//! Messages read from octets that are cut anywhere, damaged or cut off, against a reader of a few lines that has them all at once.

use std::borrow::Cow;

use fanwire_wire::close::{self, CloseCode, CloseReason};
use fanwire_wire::deflate::{Deflater, Inflater};
use fanwire_wire::error::ProtocolError;
use fanwire_wire::frame::{FrameHeader, OpCode, Role, write_frame, write_header};
use fanwire_wire::mask::unmask;
use fanwire_wire::message::{Incoming, MessageKind, MessageReader};
use proptest::prelude::*;
use proptest::sample::Index;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const MAX_MESSAGE: usize = 600;

/// Octets of which only the last shows that they are no text.
const BAD_ENDS: &[&[u8]] = &[b"\xff", b"\xc0", b"\xed\xa0", b"\xf4\x90", b"\xe2\x82\x28"];

/// What was read, and the error that ended it.
type Outcome = (Vec<Incoming<'static>>, Option<ProtocolError>);

fn owned(incoming: Incoming<'_>) -> Incoming<'static> {
    let own = |payload: Cow<'_, [u8]>| Cow::Owned(payload.into_owned());
    match incoming {
        Incoming::Message { kind, payload } => Incoming::Message { kind, payload: own(payload) },
        Incoming::Ping(payload) => Incoming::Ping(own(payload)),
        Incoming::Pong(payload) => Incoming::Pong(own(payload)),
        Incoming::Close(reason) => Incoming::Close(reason.map(CloseReason::into_owned)),
    }
}

/// Reads all of `piece`; an error is the last that is read.
fn read_piece(reader: &mut MessageReader, mut piece: Vec<u8>, outcome: &mut Outcome) {
    let mut inflater = Inflater::new(false);
    let mut start = 0;
    while start < piece.len() && outcome.1.is_none() {
        match reader.read(&mut piece[start..], MAX_MESSAGE, &mut inflater) {
            Ok((consumed, incoming)) => {
                assert!(consumed > 0, "a read makes progress");
                start += consumed;
                outcome.0.extend(incoming.map(owned));
            }
            Err(error) => outcome.1 = Some(error),
        }
    }
}

fn read_in_pieces(octets: &[u8], ends: &[usize]) -> (Outcome, MessageReader) {
    let mut reader = MessageReader::new(Role::Server, true);
    let mut outcome = Outcome::default();
    let mut start = 0;
    for &end in ends {
        read_piece(&mut reader, octets[start..end].to_vec(), &mut outcome);
        start = end;
    }
    (outcome, reader)
}

fn ends(cuts: &[Index], len: usize) -> Vec<usize> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
    ends.push(len);
    ends.sort_unstable();
    ends
}

/// The naive twin: has all octets at once, joins by copying, and looks at a whole text again for each frame.
fn naive_read(octets: &[u8]) -> Outcome {
    let mut events = Vec::new();
    let error = naive_frames(octets, &mut events).err();
    (events, error)
}

fn naive_frames(mut octets: &[u8], events: &mut Vec<Incoming<'static>>) -> Result<(), ProtocolError> {
    let mut message: Option<(FrameHeader, Vec<u8>)> = None;
    while let Some(header) = FrameHeader::parse(octets, Role::Server, true)? {
        if !header.opcode.is_control() {
            message = Some(naive_begin(message, header)?);
        }
        let available = octets.len() - header.header_len;
        let came = available.min(usize::try_from(header.payload_len).unwrap());
        let is_whole = came as u64 == header.payload_len;
        let (mut payload, rest) =
            (octets[header.header_len..][..came].to_vec(), &octets[header.header_len + came..]);
        unmask(header.mask.unwrap(), 0, &mut payload);
        octets = rest;

        if header.opcode.is_control() {
            if is_whole {
                events.push(naive_control(header.opcode, &payload)?);
            }
        } else if let Some((first, joined)) = &mut message {
            joined.extend_from_slice(&payload);
            let ends = is_whole && header.fin;
            naive_check_text(first, joined, ends)?;
            if ends {
                events.push(naive_message(first, joined)?);
                message = None;
            }
        }
        if !is_whole {
            break;
        }
    }
    Ok(())
}

fn naive_begin(
    message: Option<(FrameHeader, Vec<u8>)>,
    header: FrameHeader,
) -> Result<(FrameHeader, Vec<u8>), ProtocolError> {
    let message = match (header.opcode, message) {
        (OpCode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
        (OpCode::Continuation, Some(message)) => message,
        (_, Some(_)) => return Err(ProtocolError::ExpectedContinuation),
        (_, None) => (header, Vec::new()),
    };
    let slack = if message.0.compressed { MAX_MESSAGE / 8 + 1024 } else { 0 };
    if message.1.len() as u64 + header.payload_len > (MAX_MESSAGE + slack) as u64 {
        return Err(ProtocolError::MessageTooBig { limit: MAX_MESSAGE });
    }
    Ok(message)
}

fn naive_control(opcode: OpCode, payload: &[u8]) -> Result<Incoming<'static>, ProtocolError> {
    Ok(owned(match opcode {
        OpCode::Ping => Incoming::Ping(payload.into()),
        OpCode::Pong => Incoming::Pong(payload.into()),
        _ => Incoming::Close(close::parse(payload)?),
    }))
}

fn naive_check_text(first: &FrameHeader, joined: &[u8], is_whole: bool) -> Result<(), ProtocolError> {
    if first.opcode != OpCode::Text || first.compressed {
        return Ok(());
    }
    match std::str::from_utf8(joined) {
        Err(error) if is_whole || error.error_len().is_some() => Err(ProtocolError::BadUtf8),
        _ => Ok(()),
    }
}

fn naive_message(first: &FrameHeader, joined: &[u8]) -> Result<Incoming<'static>, ProtocolError> {
    let mut payload = joined.to_vec();
    if first.compressed {
        payload = Inflater::new(false).inflate(joined, MAX_MESSAGE)?.into_owned();
    }
    let kind = if first.opcode == OpCode::Text { MessageKind::Text } else { MessageKind::Binary };
    if kind == MessageKind::Text && std::str::from_utf8(&payload).is_err() {
        return Err(ProtocolError::BadUtf8);
    }
    Ok(Incoming::Message { kind, payload: payload.into() })
}

/// A frame as a client sends it, not necessarily in its place.
#[derive(Clone, Debug)]
struct Frame {
    fin: bool,
    compressed: bool,
    opcode: OpCode,
    payload: Vec<u8>,
}

impl Frame {
    fn control(opcode: OpCode, payload: Vec<u8>) -> Self {
        Self { fin: true, compressed: false, opcode, payload }
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_header(out, self.fin, self.compressed, self.opcode, Some(KEY), self.payload.len());
        let start = out.len();
        out.extend_from_slice(&self.payload);
        unmask(KEY, 0, &mut out[start..]);
    }
}

fn written(frames: &[Frame]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        frame.write(&mut out);
    }
    out
}

/// The octets of `frames`, and where in them the octet stands that is number `index` of all payloads.
fn written_and_place_of(index: usize, frames: &[Frame]) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut place = None;
    let mut before = 0;
    for frame in frames {
        frame.write(&mut out);
        let start = out.len() - frame.payload.len();
        if (before..before + frame.payload.len()).contains(&index) {
            place = Some(start + index - before);
        }
        before += frame.payload.len();
    }
    (out, place.expect("a frame carries it"))
}

/// A message: what is read of it, and the frames that carry it, with a ping before each continuation that `pings` names.
fn fragmented(
    opcode: OpCode,
    payload: &[u8],
    compressed: bool,
    cuts: &[Index],
    pings: &[bool],
) -> (Vec<Incoming<'static>>, Vec<Frame>) {
    let kind = if opcode == OpCode::Text { MessageKind::Text } else { MessageKind::Binary };
    let mut carried = payload.to_vec();
    if compressed {
        carried.clear();
        Deflater::new(15, false).deflate(payload, &mut carried);
    }
    let mut events = Vec::new();
    let mut frames = Vec::new();
    let mut start = 0;
    for (i, end) in ends(cuts, carried.len()).into_iter().enumerate() {
        if i > 0 && pings.get(i - 1) == Some(&true) {
            events.push(Incoming::Ping(b"between".into()));
            frames.push(Frame::control(OpCode::Ping, b"between".to_vec()));
        }
        let opcode = if i == 0 { opcode } else { OpCode::Continuation };
        let payload = carried[start..end].to_vec();
        frames.push(Frame { fin: i == cuts.len(), compressed: compressed && i == 0, opcode, payload });
        start = end;
    }
    events.push(Incoming::Message { kind, payload: payload.to_vec().into() });
    (events, frames)
}

fn messages() -> impl Strategy<Value = (Vec<Incoming<'static>>, Vec<Frame>)> {
    let text = "\\PC{0,80}".prop_map(|text| (OpCode::Text, text.into_bytes()));
    let binary = prop::collection::vec(any::<u8>(), 0..300).prop_map(|octets| (OpCode::Binary, octets));
    let cuts = prop::collection::vec(any::<Index>(), 0..4);
    let pings = prop::collection::vec(any::<bool>(), 4);
    (prop_oneof![text, binary], any::<bool>(), cuts, pings).prop_map(
        |((opcode, payload), compressed, cuts, pings)| {
            fragmented(opcode, &payload, compressed, &cuts, &pings)
        },
    )
}

fn controls() -> impl Strategy<Value = (Vec<Incoming<'static>>, Vec<Frame>)> {
    let payload = prop::collection::vec(any::<u8>(), 0..=125);
    let heartbeat = (any::<bool>(), payload).prop_map(|(is_ping, payload)| {
        let opcode = if is_ping { OpCode::Ping } else { OpCode::Pong };
        let wrap = if is_ping { Incoming::Ping } else { Incoming::Pong };
        (vec![wrap(payload.clone().into())], vec![Frame::control(opcode, payload)])
    });
    let close = "\\PC{0,30}".prop_map(|reason| {
        let mut payload = Vec::new();
        close::write_payload(&mut payload, CloseCode::NORMAL, &reason);
        let reason = CloseReason { code: CloseCode::NORMAL, reason: reason.into() };
        (vec![Incoming::Close(Some(reason))], vec![Frame::control(OpCode::Close, payload)])
    });
    prop_oneof![3 => heartbeat, 1 => close]
}

/// What a client says, and the frames in which it says it.
fn conversations() -> impl Strategy<Value = (Vec<Incoming<'static>>, Vec<Frame>)> {
    prop::collection::vec(prop_oneof![3 => messages(), 1 => controls()], 0..6).prop_map(|parts| {
        let (events, frames): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        (events.concat(), frames.concat())
    })
}

/// Damage: a frame left out or swapped, an octet that is flipped, an end that does not come.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let flips = prop::collection::vec((any::<Index>(), 1..=u8::MAX), 0..3);
    let moves = (any::<bool>(), any::<Index>(), any::<Index>());
    (conversations(), moves, flips, any::<Index>()).prop_map(
        |((_, mut frames), (moves, from, to), flips, end)| {
            if moves && !frames.is_empty() {
                let frame = frames.remove(from.index(frames.len()));
                frames.insert(to.index(frames.len() + 1), frame);
            }
            let mut octets = written(&frames);
            for (at, flip) in flips {
                if !octets.is_empty() {
                    let at = at.index(octets.len());
                    octets[at] ^= flip;
                }
            }
            octets.truncate(end.index(2 * octets.len() + 1));
            octets
        },
    )
}

proptest! {
    #[test]
    fn what_was_sent_is_read_wherever_the_octets_are_cut(
        (events, frames) in conversations(),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let octets = written(&frames);
        let (outcome, reader) = read_in_pieces(&octets, &ends(&cuts, octets.len()));
        prop_assert_eq!(outcome, (events, None));
        prop_assert!(reader.is_idle());
    }

    #[test]
    fn damaged_octets_are_read_as_the_naive_twin_reads_them_wherever_they_are_cut(
        octets in damaged(),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let expected = naive_read(&octets);
        prop_assert_eq!(&read_in_pieces(&octets, &[octets.len()]).0, &expected);
        prop_assert_eq!(&read_in_pieces(&octets, &ends(&cuts, octets.len())).0, &expected);
        let octet_by_octet: Vec<usize> = (1..=octets.len()).collect();
        prop_assert_eq!(&read_in_pieces(&octets, &octet_by_octet).0, &expected);
    }

    #[test]
    fn a_text_fails_at_its_first_bad_octet_however_it_is_carried(
        text in "\\PC{0,40}",
        bad in prop::sample::select(BAD_ENDS),
        cuts in prop::collection::vec(any::<Index>(), 0..3),
    ) {
        let bad_index = text.len() + bad.len() - 1;
        let payload = [text.as_bytes(), bad, b"never looked at"].concat();
        let (_, frames) = fragmented(OpCode::Text, &payload, false, &cuts, &[]);
        let (octets, bad_at) = written_and_place_of(bad_index, &frames);

        let (before, reader) = read_in_pieces(&octets[..bad_at], &[bad_at]);
        prop_assert_eq!(before, (vec![], None));
        prop_assert!(!reader.is_idle());
        let (at, _) = read_in_pieces(&octets[..=bad_at], &[bad_at, bad_at + 1]);
        prop_assert_eq!(at, (vec![], Some(ProtocolError::BadUtf8)));
    }
}

#[test]
fn a_text_that_ends_within_a_character_is_refused_at_its_end() {
    let text = "µ€𝄞".as_bytes();
    let text = &text[..text.len() - 1];
    let whole = Frame { fin: true, compressed: false, opcode: OpCode::Text, payload: text.to_vec() };
    let first = Frame { fin: false, ..whole.clone() };
    let empty = Frame { opcode: OpCode::Continuation, payload: vec![], ..whole.clone() };
    for frames in [vec![whole], vec![first, empty]] {
        let octets = written(&frames);
        let octet_by_octet: Vec<usize> = (1..=octets.len()).collect();
        for ends in [&octet_by_octet[octets.len() - 1..], &octet_by_octet] {
            let (outcome, _) = read_in_pieces(&octets, ends);
            assert_eq!(outcome, (vec![], Some(ProtocolError::BadUtf8)));
        }
    }
}

#[test]
fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
    let too_big = Some(ProtocolError::MessageTooBig { limit: MAX_MESSAGE });
    let whole = |len| Frame { fin: true, compressed: false, opcode: OpCode::Binary, payload: vec![7; len] };
    let first = |len| Frame { fin: false, ..whole(len) };
    let next = |len| Frame { opcode: OpCode::Continuation, ..whole(len) };
    let read = |frames: &[Frame]| {
        let octets = written(frames);
        read_in_pieces(&octets, &[octets.len()]).0
    };

    assert_eq!(read(&[whole(MAX_MESSAGE)]).1, None);
    assert_eq!(read(&[first(MAX_MESSAGE), next(0)]).1, None);
    assert_eq!(read(&[whole(MAX_MESSAGE + 1)]).1, too_big);
    assert_eq!(read(&[first(MAX_MESSAGE), next(1)]).1, too_big);

    let mut announced = Vec::new();
    write_header(&mut announced, true, false, OpCode::Binary, Some(KEY), 1 << 40);
    assert_eq!(read_in_pieces(&announced, &[announced.len()]).0.1, too_big, "the header alone is enough");
}

#[test]
fn a_message_that_inflates_past_the_limit_is_refused() {
    let (_, frames) = fragmented(OpCode::Binary, &[0; MAX_MESSAGE + 1], true, &[], &[]);
    let octets = written(&frames);
    let (outcome, _) = read_in_pieces(&octets, &[octets.len()]);
    assert_eq!(outcome, (vec![], Some(ProtocolError::MessageTooBig { limit: MAX_MESSAGE })));
}

#[test]
fn a_message_at_the_limit_that_does_not_shrink_is_taken_compressed() {
    let mut octet = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        octet = octet.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (octet >> 24) as u8
    })
    .take(MAX_MESSAGE)
    .collect();
    let (events, mut frames) = fragmented(OpCode::Binary, &noise, true, &[], &[]);
    assert!(frames[0].payload.len() > MAX_MESSAGE);
    let octets = written(&frames);
    assert_eq!(read_in_pieces(&octets, &[octets.len()]).0, (events.clone(), None));

    let payload = frames[0].payload.split_off(1);
    frames[0].fin = false;
    frames.push(Frame { fin: true, compressed: false, opcode: OpCode::Continuation, payload });
    let octets = written(&frames);
    assert_eq!(read_in_pieces(&octets, &[octets.len()]).0, (events, None));
}

#[test]
fn a_reader_that_failed_holds_nothing() {
    let mut octets = written(&[
        Frame { fin: false, compressed: false, opcode: OpCode::Binary, payload: vec![7; 500] },
        Frame { fin: true, compressed: false, opcode: OpCode::Binary, payload: vec![7; 500] },
    ]);
    let mut inflater = Inflater::new(false);
    let mut reader = MessageReader::new(Role::Server, false);
    let result = reader.read(&mut octets, MAX_MESSAGE, &mut inflater);
    assert_eq!(result, Err(ProtocolError::ExpectedContinuation));
    assert!(reader.is_idle());
}

#[test]
fn a_client_reads_unmasked_frames_and_refuses_masked_ones() {
    let mut inflater = Inflater::new(false);
    let mut octets = Vec::new();
    write_frame(&mut octets, OpCode::Text, false, b"hello");
    let mut reader = MessageReader::new(Role::Client, false);
    let hello = Incoming::Message { kind: MessageKind::Text, payload: b"hello".into() };
    assert_eq!(reader.read(&mut octets, MAX_MESSAGE, &mut inflater), Ok((7, Some(hello))));

    let mut masked = written(&[Frame::control(OpCode::Ping, vec![])]);
    assert_eq!(reader.read(&mut masked, MAX_MESSAGE, &mut inflater), Err(ProtocolError::MaskedFrame));
}
