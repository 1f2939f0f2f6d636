//! permessage-deflate: what is agreed on, and what comes back out of it.

use std::borrow::Cow;

use fanwire_wire::deflate::{DeflateParams, Deflater, Inflater, OFFER, negotiate};
use fanwire_wire::error::ProtocolError;
use fanwire_wire::limits::MAX_KEPT_INFLATED_BYTES;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

/// The answer to the offers of a broker that takes over contexts, or none.
fn response_with(contexts: bool, offers: &[&str]) -> Option<String> {
    let params = negotiate(offers.iter().copied())?;
    let params = if contexts { params } else { params.without_contexts() };
    let mut out = Vec::new();
    params.write_response(&mut out);
    Some(String::from_utf8(out).unwrap())
}

fn response(offers: &[&str]) -> Option<String> {
    response_with(false, offers)
}

fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Deflater::new(15, false).deflate(payload, &mut out);
    out
}

fn inflated(payload: &[u8], limit: usize) -> Result<Vec<u8>, ProtocolError> {
    Inflater::new(false).inflate(payload, limit).map(Cow::into_owned)
}

#[test]
fn contexts_are_taken_over_unless_the_offer_says_otherwise_and_cost_what_they_take() {
    let cases = [
        ("permessage-deflate", "", (true, true)),
        ("permessage-deflate; client_max_window_bits", "", (true, true)),
        ("permessage-deflate; server_no_context_takeover", "; server_no_context_takeover", (false, true)),
        ("permessage-deflate; client_no_context_takeover", "; client_no_context_takeover", (true, false)),
        (
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "; server_no_context_takeover; client_no_context_takeover",
            (false, false),
        ),
        ("permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9", (true, true)),
    ];
    for (offer, parameters, (deflates, inflates)) in cases {
        let answer = format!("permessage-deflate{parameters}");
        assert_eq!(response_with(true, &[offer]).as_ref(), Some(&answer), "{offer}");
        let params = negotiate([offer].into_iter()).unwrap();
        assert_eq!(DeflateParams::from_response(&answer), Some(params), "{offer}");
        let kib = params.context_bytes() / 1024;
        let window = if params.server_max_window_bits.is_some() { 2 } else { 128 };
        assert_eq!(kib, if deflates { 244 + window } else { 0 } + if inflates { 48 } else { 0 }, "{offer}");
        assert_eq!(params.without_contexts().context_bytes(), 0);
    }
}

#[test]
fn the_broker_takes_no_context_over_where_it_shares_them_and_honours_a_server_window() {
    const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let bits = |bits: &str| Some(format!("{ANSWER}; server_max_window_bits={bits}"));
    let cases = [
        ("permessage-deflate", Some(ANSWER.to_owned())),
        ("permessage-deflate; client_max_window_bits", Some(ANSWER.to_owned())),
        ("permessage-deflate;client_max_window_bits=8", Some(ANSWER.to_owned())),
        ("permessage-deflate; server_no_context_takeover", Some(ANSWER.to_owned())),
        ("permessage-deflate; server_max_window_bits=9", bits("9")),
        ("permessage-deflate; server_max_window_bits = \"10\"", bits("10")),
        ("permessage-deflate; server_max_window_bits=15 ; client_max_window_bits=15", bits("15")),
        ("x-webkit-deflate-frame, permessage-deflate", Some(ANSWER.to_owned())),
    ];
    for (offer, expected) in cases {
        assert_eq!(response(&[offer]), expected, "{offer}");
    }
}

#[test]
fn an_offer_that_is_not_understood_is_declined() {
    let declined = [
        "",
        "permessage-bzip2",
        "permessage-deflate;",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
    ];
    for offer in declined {
        assert_eq!(response(&[offer]), None, "{offer}");
    }
}

#[test]
fn the_first_offer_that_can_be_honoured_wins() {
    let offers = "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=11, permessage-deflate";
    let params = negotiate([offers].into_iter()).unwrap();
    assert_eq!(params.server_window_bits(), 11);

    let fields = ["permessage-bzip2", "permessage-deflate; server_max_window_bits=12", "permessage-deflate"];
    let params = negotiate(fields.into_iter()).unwrap();
    assert_eq!(params.server_window_bits(), 12);
}

#[test]
fn a_client_understands_what_the_broker_answers_to_its_offer() {
    let params = negotiate([OFFER].into_iter()).unwrap();
    assert_eq!(DeflateParams::from_response(&response_with(true, &[OFFER]).unwrap()), Some(params));
    let params = params.without_contexts();
    assert_eq!(DeflateParams::from_response(&response(&[OFFER]).unwrap()), Some(params));
}

#[test]
fn a_client_takes_every_answer_that_it_can_keep_to_and_no_other() {
    let agreed = DeflateParams::default();
    let bits = |bits| DeflateParams { client_max_window_bits: Some(bits), ..agreed };
    let cases = [
        ("permessage-deflate", Some(agreed)),
        (
            "permessage-deflate; client_no_context_takeover",
            Some(DeflateParams { client_no_context_takeover: true, ..agreed }),
        ),
        (
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=8",
            Some(DeflateParams {
                server_no_context_takeover: true,
                server_max_window_bits: Some(8),
                ..agreed
            }),
        ),
        ("permessage-deflate; client_max_window_bits=9", Some(bits(9))),
        ("permessage-deflate; client_max_window_bits=15", Some(bits(15))),
        ("permessage-deflate; client_max_window_bits=8", None),
        ("permessage-deflate; client_max_window_bits", None),
        ("permessage-deflate, permessage-deflate", None),
        ("permessage-bzip2", None),
    ];
    for (answer, expected) in cases {
        assert_eq!(DeflateParams::from_response(answer), expected, "{answer}");
    }
}

#[test]
fn the_examples_of_the_rfc_are_inflated() {
    // RFC 7692 §7.2.3.1, and §7.2.3.3 to §7.2.3.6.
    let cases: [(&[u8], &[u8]); 6] = [
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
        (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00], b"Hello"),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], b"Hello"),
        (&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
        (&[0x00], b""),
        (&[0x02, 0x00], b""),
    ];
    for (payload, expected) in cases {
        for context_takeover in [false, true] {
            let mut inflater = Inflater::new(context_takeover);
            assert_eq!(inflater.inflate(payload, LIMIT).unwrap(), expected, "{payload:02x?}");
            assert_eq!(inflater.inflate(payload, LIMIT).unwrap(), expected, "{payload:02x?} again");
        }
    }
}

#[test]
fn a_message_may_refer_to_the_last_one_only_if_the_context_is_taken_over() {
    // RFC 7692 §7.2.3.2. Without this, a message could read what another connection sent.
    let (hello, again) = ([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], [0xf2, 0x00, 0x11, 0x00, 0x00]);
    let mut own = Inflater::new(true);
    assert_eq!(own.inflate(&hello, LIMIT).unwrap(), &b"Hello"[..]);
    assert_eq!(own.inflate(&again, LIMIT).unwrap(), &b"Hello"[..]);

    let mut shared = Inflater::new(false);
    assert_eq!(shared.inflate(&hello, LIMIT).unwrap(), &b"Hello"[..]);
    assert_eq!(shared.inflate(&again, LIMIT), Err(ProtocolError::BadDeflate));
}

#[test]
fn an_empty_payload_is_an_empty_message() {
    for context_takeover in [false, true] {
        let mut inflater = Inflater::new(context_takeover);
        assert_eq!(inflater.inflate(b"", LIMIT).unwrap(), &b""[..]);
        assert_eq!(inflater.inflate(&deflated(b"Hello"), LIMIT).unwrap(), &b"Hello"[..]);
    }
}

#[test]
fn an_empty_message_is_one_octet_and_takes_nothing_from_the_context() {
    let mut deflater = Deflater::new(15, true);
    let mut inflater = Inflater::new(true);
    for payload in [&b"Hello"[..], b"", b"", b"Hello"] {
        let mut out = Vec::new();
        deflater.deflate(payload, &mut out);
        assert_eq!(payload.is_empty(), out == [0x00]);
        assert_eq!(inflater.inflate(&out, LIMIT).unwrap(), payload);
    }
}

#[test]
fn several_streams_in_one_message_are_joined() {
    let last_block = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let twice = [&last_block[..], &last_block, &[0x00]].concat();
    assert_eq!(inflated(&twice, LIMIT).unwrap(), b"HelloHello");
    assert_eq!(inflated(&[last_block, last_block].concat(), LIMIT).unwrap(), b"HelloHello");
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let bomb = deflated(&vec![0; 16 << 20]);
    assert!(bomb.len() < 20_000);
    for limit in [0, 1, 1_000, LIMIT, (16 << 20) - 1] {
        assert_eq!(inflated(&bomb, limit), Err(ProtocolError::MessageTooBig { limit }));
    }
    assert_eq!(inflated(&bomb, 16 << 20).unwrap().len(), 16 << 20);
}

#[test]
fn an_inflater_serves_the_next_connection_after_an_error() {
    let mut inflater = Inflater::new(false);
    let hello = deflated(b"Hello");
    assert_eq!(inflater.inflate(&[0xff; 20], LIMIT), Err(ProtocolError::BadDeflate));
    assert_eq!(inflater.inflate(&hello, LIMIT).unwrap(), &b"Hello"[..]);
    assert_eq!(inflater.inflate(&hello, 4), Err(ProtocolError::MessageTooBig { limit: 4 }));
    assert_eq!(inflater.inflate(&hello, 5).unwrap(), &b"Hello"[..]);
}

#[test]
fn a_message_that_ends_within_a_block_is_refused() {
    let payload =
        deflated(br#"{"type":"publish","topic":"prices.EURUSD","data":{"bid":1.0831,"ask":1.0833}}"#);
    for cut in 1..payload.len() {
        assert_eq!(inflated(&payload[..cut], LIMIT), Err(ProtocolError::BadDeflate), "{cut}");
    }
    let stored_block_of_100 = [0x00, 100, 0x00, 0x9b, 0xff, b'H', b'e', b'l', b'l', b'o'];
    assert_eq!(inflated(&stored_block_of_100, LIMIT), Err(ProtocolError::BadDeflate));
}

#[test]
fn a_large_message_gets_a_buffer_of_its_own() {
    let large = vec![7; MAX_KEPT_INFLATED_BYTES + 1];
    let mut inflater = Inflater::new(false);
    let payload = deflated(&large);
    assert!(matches!(inflater.inflate(&payload, LIMIT).unwrap(), Cow::Owned(out) if out == large));
    let payload = deflated(b"small");
    assert!(matches!(inflater.inflate(&payload, LIMIT).unwrap(), Cow::Borrowed(b"small")));
}

/// Octets in which DEFLATE finds nothing to shorten.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let octets = std::iter::repeat_with(|| {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (state >> 24) as u8
    });
    octets.take(len).collect()
}

#[test]
fn a_compressor_looks_back_no_further_than_its_window() {
    for window_bits in 9..=15 {
        let part = noise(1 << window_bits);
        let mut out = Vec::new();
        Deflater::new(window_bits, false).deflate(&part.repeat(2), &mut out);
        assert!(out.len() > 2 * part.len(), "{window_bits} bits");

        let part = noise((1 << window_bits) / 4);
        out.clear();
        Deflater::new(window_bits, false).deflate(&part.repeat(2), &mut out);
        assert!(out.len() < 3 * part.len() / 2, "{window_bits} bits");
    }
}

/// Text-like octets with repetitions near and far, so that there is something to find in any window.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let repeated =
        (prop::collection::vec(any::<u8>(), 1..300), 1_usize..60).prop_map(|(part, n)| part.repeat(n));
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        repeated,
        prop::collection::vec(b'a'..b'e', 0..9_000),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_message_of_a_connection_comes_back_as_it_was(
        window_bits in 9_u8..=15,
        context_takeover: bool,
        messages in prop::collection::vec(payloads(), 1..5),
    ) {
        let mut deflater = Deflater::new(window_bits, context_takeover);
        let mut inflater = Inflater::new(context_takeover);
        for message in messages {
            let mut out = b"what stood before".to_vec();
            deflater.deflate(&message, &mut out);
            let (before, payload) = out.split_at(17);
            prop_assert_eq!(before, b"what stood before");
            prop_assert_eq!(inflater.inflate(payload, message.len()).unwrap(), message);
        }
    }

    #[test]
    fn damaged_data_never_gives_more_than_the_limit(octets in prop::collection::vec(any::<u8>(), 0..600), limit in 0_usize..2_000) {
        if let Ok(out) = inflated(&octets, limit) {
            prop_assert!(out.len() <= limit);
        }
    }
}

#[test]
fn a_message_inflates_to_so_many_times_what_came_and_no_further_unless_it_is_small() {
    let compressed = |size: usize| {
        let mut out = Vec::new();
        Deflater::new(15, false).deflate(&vec![7; size], &mut out);
        out
    };
    let mut inflater = Inflater::new(false).with_max_ratio(200);
    let is_taken = |inflater: &mut Inflater, size| match inflater.inflate(&compressed(size), 1 << 20) {
        Ok(octets) => octets.len() == size,
        Err(error) => {
            assert_eq!(error, ProtocolError::InflatesTooMuch { max_ratio: 200 });
            false
        }
    };
    assert!(is_taken(&mut inflater, 65_536), "small messages may shrink as they like");
    assert!(!is_taken(&mut inflater, 65_537) && !is_taken(&mut inflater, 1 << 20));
    assert!(is_taken(&mut inflater, 65_536), "what comes after a refusal is not disturbed");
    let mixed: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut out = Vec::new();
    Deflater::new(15, false).deflate(&mixed, &mut out);
    assert_eq!(inflater.inflate(&out, 1 << 20).unwrap().len(), mixed.len(), "that is no bomb");
    let too_big = inflater.inflate(&out, 100_000).unwrap_err();
    assert_eq!(too_big, ProtocolError::MessageTooBig { limit: 100_000 }, "the other limit holds too");
}
