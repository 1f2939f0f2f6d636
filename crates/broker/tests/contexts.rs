//! Connections that are compressed with contexts of their own: what reaches them can be inflated, and is what the others get.

use std::sync::Arc;

use fanwire_broker::history::HistoryLimits;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_broker::shard::Now;
use fanwire_broker::{ConnectionId, Draft, Encoding, Identity, Interface, Permissions, Settings, Shard};
use fanwire_wire::command::{self, PayloadKind};
use fanwire_wire::deflate::Inflater;
use fanwire_wire::frame::Role;
use fanwire_wire::message::{Incoming, MessageReader};
use fanwire_wire::topic::{Topic, TopicOrPattern};
use proptest::prelude::*;

const PUBLISHER: ConnectionId = ConnectionId { slot: 0, generation: 0 };
const OWN: ConnectionId = ConnectionId { slot: 1, generation: 0 };
const SHARED: ConnectionId = ConnectionId { slot: 2, generation: 0 };

/// A subscriber's client, and what came to it.
struct Client {
    id: ConnectionId,
    reader: MessageReader,
    inflater: Inflater,
    octets: usize,
    heard: Vec<String>,
}

impl Client {
    /// On the JSON interface, with a subscription to `topic`.
    fn connect(shard: &mut Shard, id: ConnectionId, topic: &str) -> Self {
        let is_own = id.slot == OWN.slot;
        shard.connect(id);
        shard.permit(id, Permissions::everything());
        let deflate_window_bits = (!is_own).then_some(15);
        shard.upgrade(id, Encoding { interface: Interface::Json, deflate_window_bits });
        if is_own {
            shard.keep_context(id, 15);
        }
        let (reader, inflater) = (MessageReader::new(Role::Client, true), Inflater::new(is_own));
        let client = Self { id, reader, inflater, octets: 0, heard: Vec::new() };
        client.command(shard, &format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#));
        client
    }

    fn command(&self, shard: &mut Shard, text: &str) {
        shard.handle_command(self.id, command::parse(text).unwrap());
        assert!(shard.poll_event().is_none());
    }

    fn hear(&mut self, mut octets: Vec<u8>) {
        self.octets += octets.len();
        let mut input = octets.as_mut_slice();
        while !input.is_empty() {
            let (consumed, incoming) = self.reader.read(input, 1 << 20, &mut self.inflater).expect("frames");
            if let Some(Incoming::Message { payload, .. }) = incoming {
                self.heard.push(String::from_utf8(payload.into_owned()).expect("text"));
            }
            input = &mut std::mem::take(&mut input)[consumed..];
        }
    }

    /// The offsets of messages, and of those that gaps name, in the order in which they came.
    fn offsets(&self) -> Vec<u64> {
        let number = |text: &str, name: &str| -> Option<u64> {
            let rest = text.split_once(&format!("\"{name}\":"))?.1;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let offsets = |text: &String| match text {
            text if text.contains(r#""type":"message""#) => {
                let offset = number(text, "offset").expect("an offset");
                offset..=offset
            }
            text if text.contains(r#""type":"gap""#) => {
                number(text, "from").expect("a beginning")..=number(text, "to").expect("an end")
            }
            #[expect(clippy::reversed_empty_ranges, reason = "it names none")]
            _ => 1..=0,
        };
        self.heard.iter().flat_map(offsets).collect()
    }

    fn count(&self, kind: &str) -> usize {
        self.heard.iter().filter(|text| text.contains(&format!(r#""type":"{kind}""#))).count()
    }
}

/// The only core, with a publisher; `kept` has history.
fn shard(backlog_bytes: usize) -> Shard {
    let history = Some(HistoryLimits { messages: 20, bytes: usize::MAX, max_age_ms: None });
    let settings = TopicSettings { history, ..TopicSettings::default() };
    let topics = vec![TopicRule { matches: TopicOrPattern::parse("kept").unwrap(), settings }];
    let settings = Settings { topics, backlog_bytes, ..Settings::default() };
    let identity = Identity { epoch: "epoch".into(), hash_keys: [1, 2, 3, 4] };
    let mut shard = Shard::new(0, 1, &identity, Arc::new(settings));
    shard.begin_turn(Now { monotonic_ms: 0, wall_ms: 0 });
    shard.connect(PUBLISHER);
    shard.permit(PUBLISHER, Permissions::everything());
    shard
}

fn publish(shard: &mut Shard, topic: &str, number: usize, len: usize) {
    let payload = format!(r#"{{"number":{number},"text":"{}"}}"#, "tick tock ".repeat(len));
    publish_payload(shard, topic, PayloadKind::Json, payload);
}

fn publish_payload(shard: &mut Shard, topic: &str, kind: PayloadKind, payload: String) {
    let draft = Draft {
        topic: Topic::parse(topic).unwrap(),
        key: None,
        kind,
        content_type: None,
        payload: payload.into(),
        echo: true,
        conditions: None,
    };
    shard.publish(PUBLISHER, draft, false);
    assert!(shard.poll_event().is_none());
}

/// Writes as much as the sockets take: whole, or what `takes` says, which may be nothing.
fn flush(shard: &mut Shard, clients: &mut [Client], mut room: impl FnMut(usize) -> usize) {
    while let Some(id) = shard.poll_flush() {
        let output = shard.output(id);
        let taken = room(output.len()).min(output.len());
        let octets = output[..taken].to_vec();
        clients.iter_mut().find(|client| client.id == id).expect("a client").hear(octets);
        shard.wrote(id, taken);
    }
}

/// The sockets take more.
fn unblock(shard: &mut Shard, clients: &[Client]) {
    for client in clients {
        shard.handle_writable(client.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Sockets take anything; queues overflow, and read on from history or tell a gap; commands are answered in between.
    #[test]
    fn everything_that_is_sent_with_a_context_can_be_inflated_and_nothing_is_lost_untold(
        keeps in any::<bool>(), backlog in prop_oneof![Just(2_000usize), Just(1 << 20)],
        rounds in proptest::collection::vec((0usize..8, 0usize..40, any::<bool>(), proptest::collection::vec(0usize..900, 0..6)), 1..30),
    ) {
        let topic = if keeps { "kept" } else { "plain" };
        let mut shard = shard(backlog);
        let mut clients = [OWN, SHARED].map(|id| Client::connect(&mut shard, id, topic));
        let (mut published, mut pings) = (0, 0);
        for (count, len, is_pinged, mut takes) in rounds {
            for _ in 0..count {
                published += 1;
                publish(&mut shard, topic, published, len);
            }
            if is_pinged {
                pings += 1;
                clients[0].command(&mut shard, r#"{"type":"ping","id":1}"#);
            }
            flush(&mut shard, &mut clients, |_| takes.pop().unwrap_or(0));
            unblock(&mut shard, &clients);
        }
        flush(&mut shard, &mut clients, |len| len);
        for client in &clients {
            prop_assert_eq!(client.offsets(), (1..=published as u64).collect::<Vec<_>>(), "{:?}", client.heard);
        }
        prop_assert_eq!(clients[0].count("pong"), pings);
        if backlog > 1 << 19 {
            let [own, other] = clients.map(|client| {
                client.heard.into_iter().filter(|text| !text.contains("pong")).collect::<Vec<_>>()
            });
            prop_assert_eq!(own, other);
        }
    }
}

#[test]
fn messages_that_resemble_those_before_them_are_a_fraction_of_what_they_are_alone() {
    let mut shard = shard(1 << 20);
    let mut clients = [OWN, SHARED].map(|id| Client::connect(&mut shard, id, "plain"));
    for number in 0..100 {
        publish(&mut shard, "plain", number, 3);
        flush(&mut shard, &mut clients, |len| len);
    }
    let [with_context, alone] = clients.map(|client| client.octets);
    assert!(with_context * 2 < alone, "{with_context} of {alone} octets");
}

#[test]
fn a_burst_above_the_backlog_costs_who_keeps_up_nothing() {
    let mut shard = shard(4_096);
    let mut clients = [OWN, SHARED].map(|id| Client::connect(&mut shard, id, "plain"));
    (0..500).for_each(|number| publish(&mut shard, "plain", number, 10));
    flush(&mut shard, &mut clients, |len| len);
    for client in &clients {
        assert_eq!((client.count("message"), client.count("gap")), (500, 0));
    }
    assert_eq!((shard.counters().backlog_bytes, shard.counters().reply_bytes), (0, 0));
}

#[test]
fn what_is_left_of_more_than_one_write_reaches_the_client_whole() {
    let mut shard = shard(1 << 20);
    let mut clients = [OWN].map(|id| Client::connect(&mut shard, id, "plain"));
    flush(&mut shard, &mut clients, |len| len);
    // Hardly anything of it can be compressed.
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'0' + (state >> 24) as u8 % 64)
    });
    publish_payload(&mut shard, "plain", PayloadKind::Text, noise.take(200_000).collect());
    publish(&mut shard, "plain", 2, 10);
    loop {
        let mut room = [1_000].into_iter();
        flush(&mut shard, &mut clients, |_| room.next().unwrap_or(0));
        if shard.is_flushed(OWN) {
            break;
        }
        unblock(&mut shard, &clients);
    }
    assert_eq!(clients[0].count("message"), 2);
    assert!(clients[0].octets > 128 * 1024, "{} octets are two writes", clients[0].octets);
    assert_eq!(shard.counters().reply_bytes, 0);
}

#[test]
fn what_was_compressed_and_not_taken_counts_and_goes_with_the_connection() {
    let mut shard = shard(1 << 20);
    let mut clients = [OWN].map(|id| Client::connect(&mut shard, id, "plain"));
    flush(&mut shard, &mut clients, |len| len);
    (0..100).for_each(|number| publish(&mut shard, "plain", number, 10));
    flush(&mut shard, &mut clients, |_| 0);
    assert_eq!(shard.counters().backlog_bytes, 0, "all of it is compressed");
    assert!(shard.counters().reply_bytes > 1_000);
    assert_eq!(shard.largest_holders(1, |_| 0), [OWN]);
    shard.disconnect(OWN);
    assert_eq!(shard.counters().reply_bytes, 0);

    let next = ConnectionId { slot: OWN.slot, generation: 1 };
    shard.connect(next);
    shard.permit(next, Permissions::everything());
    shard.upgrade(next, Encoding { interface: Interface::Json, deflate_window_bits: Some(15) });
    let (reader, inflater) = (MessageReader::new(Role::Client, true), Inflater::new(false));
    let mut clients = [Client { id: next, reader, inflater, octets: 0, heard: Vec::new() }];
    clients[0].command(&mut shard, r#"{"type":"subscribe","topic":"plain"}"#);
    for number in 0..2 {
        publish(&mut shard, "plain", number, 10);
        flush(&mut shard, &mut clients, |len| len);
    }
    assert_eq!(clients[0].count("message"), 2, "the slot's next connection has no context");
}

#[test]
fn those_that_are_slightly_behind_one_another_share_what_is_compressed() {
    const READERS: u32 = 50;
    const MESSAGES: usize = 100;
    let mut shard = shard(1 << 20);
    let ids = (0..READERS).map(|reader| ConnectionId { slot: SHARED.slot + reader, generation: 0 });
    let mut clients: Vec<_> = ids.map(|id| Client::connect(&mut shard, id, "plain")).collect();
    flush(&mut shard, &mut clients, |len| len);
    let before = shard.counters().compressions;
    for number in 0..MESSAGES {
        publish(&mut shard, "plain", number, 10);
        // Each socket takes a few octets now and then, and each of them other ones.
        let mut turn = number;
        flush(&mut shard, &mut clients, |_| {
            turn += 1;
            if turn.is_multiple_of(3) { 10 + turn % 50 } else { 0 }
        });
        unblock(&mut shard, &clients);
    }
    flush(&mut shard, &mut clients, |len| len);
    for client in &clients {
        assert_eq!(client.count("message"), MESSAGES);
    }
    assert_eq!(shard.counters().compressions - before, MESSAGES as u64, "each message once");
}
