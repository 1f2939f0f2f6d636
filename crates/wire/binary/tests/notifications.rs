use proptest::option;
use proptest::prelude::*;

use super::notified;
use super::samples::{id, payload, topic};
use crate::binary::{DELIVERY_HEADER_BYTES, Delivery, Received, parse_notification};
use crate::command::PayloadKind;
use crate::error::{ErrorCode, LayoutError};
use crate::limits::MAX_OFFSET;
use crate::notification::{BatchResult, MessageFields, Notification, Refusal};
use crate::topic::TopicNumber;

fn results() -> impl Strategy<Value = Vec<Result<u64, (ErrorCode, String)>>> {
    let refusal =
        (0..ErrorCode::ALL.len(), "\\PC{0,60}").prop_map(|(code, text)| Err((ErrorCode::ALL[code], text)));
    proptest::collection::vec(prop_oneof![(0..MAX_OFFSET).prop_map(Ok), refusal], 0..5)
}

fn borrowed(result: &Result<u64, (ErrorCode, String)>) -> BatchResult<'_> {
    match result {
        Ok(offset) => Ok(*offset),
        Err((code, message)) => Err(Refusal { code: *code, message }),
    }
}

fn json(notification: &Notification<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    notification.write_json(&mut out);
    out
}

proptest! {
    #[test]
    fn every_delivery_is_read_as_it_was_written(
        number in any::<u32>(), name in option::of(topic()), offset in 0..MAX_OFFSET,
        key in option::of("\\PC{1,30}"), (kind, payload) in payload(),
        skipped in prop_oneof![Just(0), any::<u64>()], is_snapshot in any::<bool>(),
    ) {
        let number = TopicNumber::new(if name.is_some() { number } else { number.max(1) });
        let (name, key) = (name.as_deref(), key.as_deref());
        let delivery = Delivery { number, name, offset, skipped, is_snapshot, key, kind, payload: &payload };
        let mut out = Vec::new();
        delivery.write(&mut out);
        prop_assert_eq!(parse_notification(&out), Ok(Received::Delivery(delivery)));
        if name.is_none() && key.is_none() && skipped == 0 {
            prop_assert_eq!(out.len(), DELIVERY_HEADER_BYTES + payload.len());
        }
        for end in 0..out.len() - payload.len() {
            prop_assert!(parse_notification(&out[..end]).is_err());
        }
    }

    #[test]
    fn every_notification_is_read_as_it_was_written(
        id in option::of(id()), topic in topic(), epoch in "[0-9a-f]{16}", offset in option::of(0..MAX_OFFSET),
        number in any::<u32>(), recovered in option::of(any::<bool>()), text in "\\PC{0,60}",
        command in option::of(Just("publish")), named in any::<bool>(), code in 0..ErrorCode::ALL.len(),
        sizes in any::<(usize, usize)>(), count in any::<u64>(), results in results(),
    ) {
        let results: Vec<BatchResult<'_>> = results.iter().map(borrowed).collect();
        let (topic, epoch, id) = (&*topic, &*epoch, id.as_ref());
        let number = offset.and_then(|_| TopicNumber::new(number));
        let (from, code) = (offset.unwrap_or(7), ErrorCode::ALL[code]);
        for notification in [
            Notification::Welcome { epoch, max_message: sizes.0, max_subscriptions: sizes.1 },
            Notification::Subscribed { id, topic, epoch, offset, number, recovered },
            Notification::Unsubscribed { id, topic },
            Notification::Published { id, topic, epoch, offset: from },
            Notification::Gap { topic, from, to: MAX_OFFSET - 1, count: MAX_OFFSET - from },
            Notification::Skipped { topic, offset: from, count },
            Notification::Tick { count: count as u32 },
            Notification::SnapshotEnd { id, topic, count },
            Notification::Authenticated { id, identity: &text, expires: count },
            Notification::Expired { grace_ms: count },
            Notification::Pong { id },
            Notification::Hello { id, message: &text },
            Notification::Error { id, command, topic: named.then_some(topic), code, message: &text },
        ] {
            let octets = notified(&notification);
            let Ok(Received::Notification(read_id, read)) = parse_notification(&octets) else {
                panic!("{notification:?}: {:?}", parse_notification(&octets))
            };
            prop_assert_eq!(read.with_id(read_id.as_ref()), notification);
            let ends_with_text = matches!(
                notification,
                Notification::Authenticated { .. } | Notification::Hello { .. } | Notification::Error { .. }
            );
            for end in (0..octets.len()).filter(|_| !ends_with_text) {
                prop_assert!(parse_notification(&octets[..end]).is_err(), "{} of {:?}", end, notification);
            }
            prop_assert!(ends_with_text || parse_notification(&[&octets[..], b"x"].concat()).is_err());
        }
        let receipt = Notification::PublishedBatch { id, epoch, results: results[..].into() };
        let octets = notified(&receipt);
        let Ok(Received::Notification(read_id, read)) = parse_notification(&octets) else { panic!("{receipt:?}") };
        prop_assert_eq!(read.with_id(read_id.as_ref()), receipt);
        prop_assert_eq!(json(&read.with_id(read_id.as_ref())), json(&receipt));
        for end in 0..octets.len() {
            if let Ok(Received::Notification(_, Notification::PublishedBatch { results: shorter, .. })) =
                parse_notification(&octets[..end])
            {
                let shorter: Vec<_> = shorter.iter().collect();
                prop_assert!(shorter.len() < results.len() && results.starts_with(&shorter));
            }
        }
    }

    #[test]
    fn whatever_comes_is_a_notification_or_is_refused(
        octets in proptest::collection::vec(any::<u8>(), 0..60), first in 0_u8..16, flags in any::<u8>(),
    ) {
        for message in [&octets[..], &[&[first, flags], &octets[..]].concat()] {
            if let Err(error) = parse_notification(message) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn a_delivery_without_name_and_key_has_twelve_octets_of_header() {
    let number = TopicNumber::new(0x0102_0304);
    let delivery = Delivery {
        number,
        name: None,
        offset: 0x11_2233_4455_6677,
        skipped: 0,
        is_snapshot: false,
        key: None,
        kind: PayloadKind::Json,
        payload: b"[]",
    };
    let mut out = Vec::new();
    delivery.write(&mut out);
    assert_eq!(out, b"\xa0\x11\x22\x33\x44\x55\x66\x77\x01\x02\x03\x04[]");
}

#[test]
fn a_message_is_written_with_its_name() {
    let fields = MessageFields {
        topic: "a.b",
        offset: 7,
        skipped: 0,
        is_snapshot: false,
        time_ms: 9,
        key: Some("k"),
        kind: PayloadKind::Text,
        payload: b"hi",
    };
    let octets = notified(&Notification::Message(fields));
    assert_eq!(octets, b"\x83\0\0\0\0\0\0\x07\0\0\0\0\x03a.b\x01khi");
}

#[test]
fn what_is_no_notification_is_refused() {
    for notification in [&b"\x40\x00"[..], b"\x04\x04", b"\xe0", b"\x90", b"\x09\x00\x04oops"] {
        assert!(parse_notification(notification).is_err(), "{notification:02x?}");
    }
    for result in
        [&b"\x0a\0\x01e\x02"[..], b"\x0a\0\x01e\x01\x04oops\0\0", b"\x0a\0\x01e\x01\x09forbidden\0\x01"]
    {
        assert!(parse_notification(result).is_err(), "{result:02x?}");
    }
    let without_skipped = b"\x84\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0";
    assert_eq!(parse_notification(without_skipped), Err(LayoutError::BadField { field: "skipped" }));
    assert_eq!(parse_notification(b"\x90\0\0\0\0\0\0\x01\0\0\0\x01"), Err(LayoutError::UnknownFlags(0x10)));
}

#[test]
fn a_delivery_says_in_its_flags_what_is_not_usual() {
    let (number, kind) = (TopicNumber::new(1), PayloadKind::Text);
    let delivery = Delivery {
        number,
        name: None,
        offset: 7,
        skipped: 3,
        is_snapshot: true,
        key: Some("k"),
        kind,
        payload: b"hi",
    };
    let mut out = Vec::new();
    delivery.write(&mut out);
    assert_eq!(out, b"\x8e\0\0\0\0\0\0\x07\0\0\0\x01\0\0\0\0\0\0\0\x03\x01khi");
}

#[test]
fn a_refusal_that_is_too_long_for_a_receipt_is_cut_between_characters() {
    let message = "é".repeat(40_000);
    let results = [Err(Refusal { code: ErrorCode::Forbidden, message: &message }), Ok(7)];
    let octets =
        notified(&Notification::PublishedBatch { id: None, epoch: "e", results: results[..].into() });
    let Ok(Received::Notification(_, Notification::PublishedBatch { results: read, .. })) =
        parse_notification(&octets)
    else {
        panic!("{octets:02x?}")
    };
    let cut = &message[..usize::from(u16::MAX) - 1];
    assert!(read.iter().eq([Err(Refusal { code: ErrorCode::Forbidden, message: cut }), Ok(7)]));
}
