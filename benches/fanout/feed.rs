//! A feed of prices as exchanges publish them, and the subscribers that have it compressed.
//!
//! What compresses is what decides here, so it must be neither noise nor one letter: each message has the 17 fields of
//! a ticker (the names of a large exchange's, the product, prices with their decimals, volumes, identifiers, a time),
//! and every value moves as such values do. Prices walk at random from a start of their own, sizes are of any magnitude,
//! counters and times go on. Eight products take turns at random, with a fixed seed: every run has the same messages.

use std::fmt::Write;
use std::sync::LazyLock;

use fanwire_wire::deflate::{DeflateParams, Inflater};
use fanwire_wire::frame::{FrameHeader, Role};
use fanwire_wire::message::{Incoming, MessageReader};

/// Messages until the feed repeats itself: three times what the largest window of DEFLATE holds of them.
const MESSAGES: usize = 256;

const PRODUCTS: [(&str, f64); 8] = [
    ("BTC-USD", 97_412.06),
    ("ETH-USD", 3_318.41),
    ("SOL-USD", 254.17),
    ("XRP-USD", 1.4637),
    ("ADA-USD", 1.0832),
    ("LINK-USD", 15.218),
    ("AVAX-USD", 42.96),
    ("DOT-USD", 9.127),
];

/// The messages, in their order.
static FEED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut random = fastrand::Rng::with_seed(7_692);
    let mut prices = PRODUCTS.map(|(_, price)| price);
    let (mut sequence, mut trade, mut micros) = (95_862_311_204_u64, 731_904_226_u64, 0_u64);
    let message = |_| {
        let product = random.usize(..PRODUCTS.len());
        let (name, start) = PRODUCTS[product];
        let price = prices[product] * (1.0 + (random.f64() - 0.5) / 1_000.0);
        prices[product] = price;
        sequence += random.u64(1..400);
        trade += random.u64(1..9);
        micros += random.u64(50..40_000);
        let spread = price * random.f64() / 20_000.0;
        let (size, bid_size, ask_size) = (random.f64() * 0.4, random.f64() * 3.0, random.f64() * 3.0);
        let mut text = format!(r#"{{"type":"ticker","sequence":{sequence},"product_id":"{name}","#);
        let _ = write!(
            text,
            r#""price":"{price:.2}","open_24h":"{:.2}","volume_24h":"{:.8}","#,
            start * 0.98,
            21_400.0 + size
        );
        let _ = write!(
            text,
            r#""low_24h":"{:.2}","high_24h":"{:.2}","volume_30d":"{:.8}","#,
            start * 0.96,
            start * 1.03,
            712_630.2 + size
        );
        let _ = write!(text, r#""best_bid":"{:.2}","best_bid_size":"{bid_size:.8}","#, price - spread);
        let _ = write!(text, r#""best_ask":"{:.2}","best_ask_size":"{ask_size:.8}","#, price + spread);
        let side = if random.bool() { "buy" } else { "sell" };
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        let _ = write!(
            text,
            r#""side":"{side}","time":"2026-11-22T14:03:{seconds:02}.{rest:06}Z","trade_id":{trade},"last_size":"{size:.8}"}}"#
        );
        text
    };
    (0..MESSAGES).map(message).collect()
});

/// Message number `number` of the feed, which begins again when it has ended.
pub(crate) fn message(number: usize) -> &'static str {
    &FEED[number % MESSAGES]
}

/// How many bursts of so many messages it is.
pub(crate) fn bursts(in_flight: usize) -> usize {
    MESSAGES / in_flight
}

/// One in so many subscribers is inflated for as long as it is connected.
const ONE_IN: usize = 100;

/// What a subscriber of the feed is sent: deliveries are counted by frames, since nothing marks the end of a payload that is
/// compressed.
pub(crate) struct Subscriber {
    is_compressed: bool,
    /// The first octets of a header that is not complete.
    head: Vec<u8>,
    /// Octets of the frame in progress that have not come.
    missing: u64,
    /// Kept by those whose messages are looked at.
    content: Option<Box<Content>>,
}

/// The messages themselves.
struct Content {
    reader: MessageReader,
    inflater: Inflater,
    /// The number of the next.
    next: usize,
}

impl Subscriber {
    /// One that was answered this to its offer, or to none.
    pub(crate) fn new(answer: &[u8], offered: bool) -> Self {
        let head = String::from_utf8_lossy(answer).to_ascii_lowercase();
        let extensions = head.lines().find_map(|line| line.strip_prefix("sec-websocket-extensions:"));
        assert_eq!(extensions.is_some(), offered, "{head}");
        let agreed = extensions
            .map(|value| DeflateParams::from_response(value.trim()).expect("an answer to the offer"));
        let takes_over = agreed.is_some_and(|agreed| !agreed.server_no_context_takeover);
        let content = Content {
            reader: MessageReader::new(Role::Client, offered),
            inflater: Inflater::new(takes_over),
            next: 0,
        };
        Self { is_compressed: offered, head: Vec::new(), missing: 0, content: Some(Box::new(content)) }
    }

    /// The deliveries that end in these octets. Those of one whose content is looked at are the feed's, one after the
    /// other.
    pub(crate) fn count(&mut self, octets: &[u8]) -> usize {
        if let Some(content) = &mut self.content {
            content.check(octets.to_vec());
        }
        let (mut rest, mut ended) = (octets, 0);
        while !rest.is_empty() {
            if self.missing == 0 {
                rest = self.begin_frame(rest);
            }
            let here = rest.len().min(usize::try_from(self.missing).unwrap_or(usize::MAX));
            self.missing -= here as u64;
            rest = &rest[here..];
            ended += usize::from(here > 0 && self.missing == 0);
        }
        ended
    }

    /// Takes a header, or as much as there is of it. Returns what follows.
    fn begin_frame<'a>(&mut self, octets: &'a [u8]) -> &'a [u8] {
        let before = self.head.len();
        let more = octets.len().min(fanwire_wire::limits::MAX_FRAME_HEADER_BYTES - before);
        self.head.extend_from_slice(&octets[..more]);
        let header = FrameHeader::parse(&self.head, Role::Client, self.is_compressed).expect("a frame");
        let Some(header) = header else { return &[] };
        assert_eq!(header.compressed, self.is_compressed, "each message is compressed, or none");
        self.head.clear();
        self.missing = header.payload_len;
        &octets[header.header_len - before..]
    }

    /// All answers are checked; from here on those of some.
    pub(crate) fn look_less(&mut self, number: usize) {
        if !number.is_multiple_of(ONE_IN) {
            self.content = None;
        }
    }

    /// What is published next is the first message of the feed.
    pub(crate) fn rewind(&mut self) {
        if let Some(content) = &mut self.content {
            content.next = 0;
        }
    }
}

impl Content {
    fn check(&mut self, mut octets: Vec<u8>) {
        let mut input = octets.as_mut_slice();
        while !input.is_empty() {
            let (consumed, incoming) =
                self.reader.read(input, 1 << 20, &mut self.inflater).expect("what was compressed for it");
            if let Some(Incoming::Message { payload, .. }) = incoming {
                assert_eq!(str::from_utf8(&payload), Ok(message(self.next)), "message {}", self.next);
                self.next += 1;
            }
            input = &mut std::mem::take(&mut input)[consumed..];
        }
    }
}
