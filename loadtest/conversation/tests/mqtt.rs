//! By MQTT 3.1.1, <https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html>.

use super::*;

const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
const SUBACK: [u8; 6] = [0x90, 4, 0, 1, 0, 0];

fn mqtt() -> Subscriber {
    subscriber("ws", Protocol::Mqtt, &["a", "b/c"])
}

/// What a server says in one frame.
fn server(packets: &[&[u8]]) -> Vec<u8> {
    let mut server = accepted("ws", Protocol::Mqtt, "Sec-WebSocket-Protocol: mqtt\r\n");
    frame(&mut server, OpCode::Binary, packets.concat());
    server
}

#[test]
fn a_client_connects_with_a_clean_session_and_an_id_of_its_own() {
    let opened = accepted("ws", Protocol::Mqtt, "Sec-WebSocket-Protocol: mqtt\r\n");
    let packet = said_in_binary(&talk_in_pieces(mqtt, &opened).out);
    // §3.1: the fixed header, "MQTT", level 4, clean session, no keep-alive, the length of the id.
    assert_eq!(packet[..14], [0x10, 33, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 21]);
    assert!(packet[14..].starts_with(b"ltsub") && packet.len() == 35);

    let another = Subscriber::new(&peer("ws", Protocol::Mqtt), &topics(&["a", "b/c"]), 2);
    let mut request = Subscriber::new(&peer("ws", Protocol::Mqtt), &topics(&["a", "b/c"]), 2);
    let opened = accept(&first_words(&mut request), "Sec-WebSocket-Protocol: mqtt\r\n");
    assert_ne!(said_in_binary(&talk(another, [&opened[..]]).out)[14..], packet[14..]);
}

#[test]
fn a_subscriber_is_ready_when_every_topic_is_granted() {
    let connected = talk_in_pieces(mqtt, &server(&[&CONNACK]));
    // §3.8: the packet id, then each topic with its length and QoS 0.
    let subscribe = [0x82, 12, 0, 1, 0, 1, b'a', 0, 0, 3, b'b', b'/', b'c', 0];
    assert!(said_in_binary(&connected.out).ends_with(&subscribe));
    assert!(!connected.is_ready);
    assert!(talk_in_pieces(mqtt, &server(&[&CONNACK, &SUBACK])).is_ready);
}

#[test]
fn messages_are_heard_however_the_stream_is_cut_over_frames() {
    let long = "x".repeat(300);
    // §3.3: the topic with its length, then the payload. 303 is 0xaf 0x02.
    let long_packet = [&[0x30, 0xaf, 0x02, 0, 1, b'a'], long.as_bytes()].concat();
    let packets: [&[u8]; 8] = [
        &CONNACK,
        // A message may overtake the answer to its subscription (§3.8.4).
        &[0x30, 6, 0, 1, b'a', b'o', b'n', b'e'],
        &SUBACK,
        &long_packet,
        &[0xd0, 0],
        // Retained, and empty.
        &[0x31, 3, 0, 1, b'a'],
        &[0x30, 7, 0, 3, b'b', b'/', b'c', b'o', b'k'],
        &[0x30],
    ];
    let expected = [payload("one"), payload(&long), payload(""), payload("ok")];
    assert_eq!(talk_in_pieces(mqtt, &server(&packets)).heard, expected);
    for step in [1, 2, 3, 7, 50] {
        let mut server = accepted("ws", Protocol::Mqtt, "Sec-WebSocket-Protocol: mqtt\r\n");
        for piece in packets.concat().chunks(step) {
            frame(&mut server, OpCode::Binary, piece);
        }
        let outcome = talk(mqtt(), [&server[..]]);
        assert_eq!((&outcome.heard[..], outcome.error), (&expected[..], None), "frames of {step}");
    }
}

#[test]
fn a_refusal_is_told_with_its_return_code() {
    let outcome = talk_in_pieces(mqtt, &server(&[&[0x20, 2, 0, 5]]));
    assert_eq!(outcome.error.unwrap().to_string(), "the server refused: not authorised (return code 5)");
    let outcome = talk_in_pieces(mqtt, &server(&[&CONNACK, &[0x90, 4, 0, 1, 0, 0x80]]));
    assert_eq!(outcome.error.unwrap().to_string(), "the server refused: no subscription to b/c");
}

#[test]
fn what_is_no_packet_that_may_come_is_told_as_nonsense() {
    let streams: [&[&[u8]]; 11] = [
        &[&SUBACK],
        &[&[0x30, 3, 0, 1, b'a']],
        &[&[0x20, 1, 0]],
        &[&[0x10, 0]],
        &[&CONNACK, &CONNACK],
        &[&CONNACK, &[0x90, 3, 0, 1, 0]],
        &[&CONNACK, &[0x90, 4, 0, 2, 0, 0]],
        &[&CONNACK, &[0x32, 5, 0, 1, b'a', 0, 1]],
        &[&CONNACK, &[0x30, 2, 0, 1]],
        &[&[0x30, 0x80, 0x80, 0x80, 0x80]],
        &[&[0x30, 0xff, 0xff, 0xff, 0x7f]],
    ];
    for packets in streams {
        let outcome = talk(mqtt(), [&server(packets)[..]]);
        assert!(
            matches!(outcome.error, Some(ConversationError::Nonsense { .. })),
            "{packets:?}: {outcome:?}"
        );
    }
}

#[test]
fn a_publisher_subscribes_to_nothing_and_publishes_at_qos_0() {
    let connected = |request: &str| {
        let mut server = accept(request, "Sec-WebSocket-Protocol: mqtt\r\n");
        frame(&mut server, OpCode::Binary, CONNACK);
        server
    };
    let (mut publisher, request, out) = ready_publisher(&peer("ws", Protocol::Mqtt), &["a", "b"], connected);
    assert!(request.starts_with("GET /mqtt HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"), "{request}");
    assert!(said_in_binary(&out)[14..].starts_with(b"ltpub"));
    let packet = [0x30, 8, 0, 1, b'b', b'h', b'e', b'l', b'l', b'o'];
    assert_eq!(published(&mut publisher, 1, "hello"), [Said::Binary(packet.to_vec())]);

    let long = "x".repeat(16_381);
    let [Said::Binary(packet)] = &published(&mut publisher, 0, &long)[..] else { panic!("one packet") };
    // §2.2.3, table 2.4: 16,384 takes three octets.
    assert_eq!(packet[..7], [0x30, 0x80, 0x80, 0x01, 0, 1, b'a']);
}

#[test]
fn a_subscriber_is_idle_between_packets_however_they_are_cut_over_frames() {
    let mut message = Vec::new();
    frame(&mut message, OpCode::Binary, [0x30, 6, 0]);
    frame(&mut message, OpCode::Binary, [1, b'a', b'o', b'n', b'e']);
    let opened = accepted("ws", Protocol::Mqtt, "Sec-WebSocket-Protocol: mqtt\r\n");
    let mut granted = Vec::new();
    frame(&mut granted, OpCode::Binary, [CONNACK.as_slice(), &SUBACK].concat());
    assert_idle_between(mqtt(), &[opened, granted, message.clone(), message]);
}
