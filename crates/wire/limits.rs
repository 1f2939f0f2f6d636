//! Every bound of the wire in one place, each with its reason.
//!
//! Bounds that an operator sets (the size of a message, timeouts) are in the configuration;
//! what is here holds for every broker.

/// Octets of a request head (request line and header fields). RFC 9112 §3 recommends at least 8,000;
/// browsers with large cookies stay below 16 KiB.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Header fields of a request: browsers send about 20, proxies add a few.
pub const MAX_HEADERS: usize = 100;

/// The longest header of a frame: 2 octets, 8 of extended length, 4 of masking key (RFC 6455 §5.2).
pub const MAX_FRAME_HEADER_BYTES: usize = 14;

/// A PROXY header of version 1, its line end included (proxy-protocol.txt §2.1).
pub const MAX_PROXY_LINE_BYTES: usize = 107;

/// A PROXY header of version 2: the addresses take 52 octets at most, and what proxies add (a TLS name, identifiers of
/// networks) a few hundred.
pub const MAX_PROXY_HEADER_BYTES: usize = 4096;

/// The payload of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD_BYTES: usize = 125;

/// A close reason: a control payload less the two octets of the code (RFC 6455 §5.5.1).
pub const MAX_CLOSE_REASON_BYTES: usize = MAX_CONTROL_PAYLOAD_BYTES - 2;

/// A topic or pattern: short enough to go into every notification, and to fit one octet of length.
pub const MAX_TOPIC_BYTES: usize = 255;

/// The tokens of a pattern: each is a node where patterns are looked up, on every core.
pub const MAX_PATTERN_TOKENS: usize = 32;

/// The `Content-Type` of a publish over HTTP, which is kept with the message: a media type with a parameter or two. A
/// longer one is not kept.
pub const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// The `id` of a command, as JSON text: a UUID in quotes with room to spare. It is kept until the
/// receipt, so it must be small.
pub const MAX_COMMAND_ID_BYTES: usize = 128;

/// The `key` of a message: identifies an entity within a topic.
pub const MAX_KEY_BYTES: usize = 128;

/// The `message_id` of a publish: a UUID or a digest with room to spare. A topic keeps many of them.
pub const MAX_MESSAGE_ID_BYTES: usize = 128;

/// The topics and patterns of one `subscribe`: what a connection may subscribe to by default.
pub const MAX_LIST_TOPICS: usize = 10_000;

/// The messages of one `publish_batch`: each may go to another core, and the receipt waits for all.
pub const MAX_BATCH_MESSAGES: usize = 1_000;

/// The name in a `hello`.
pub const MAX_HELLO_NAME_BYTES: usize = 128;

/// A token: an `Authorization` header field that browsers and proxies let through. It is verified before anything is
/// known of its sender, so it must be small.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Who a client is: an account number, a UUID, an address. It stands in log lines and in what others see of the client.
pub const MAX_IDENTITY_BYTES: usize = 255;

/// Offsets stay below this, so that they are exact in a JavaScript number (2^53).
pub const MAX_OFFSET: u64 = 1 << 53;

/// An epoch, in characters: 64 random bits as hexadecimal digits are 16; a client may send back anything.
pub const MAX_EPOCH_BYTES: usize = 64;

/// How long a poll may wait for a message, in milliseconds. Proxies give up on an answer after this long, or later.
pub const MAX_POLL_WAIT_MS: u64 = 60_000;

/// The default bound on one message, in octets.
pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// The most that an operator may allow for one message, in octets: palette offsets are 32 bits, JSON may take six
/// octets for one, and an event stream seven, for a line break.
pub const MAX_MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// A chunk-size line of a chunked body, extensions included (RFC 9112 §7.1).
pub const MAX_CHUNK_LINE_BYTES: usize = 256;

/// All chunk extensions and trailer fields of one body, in octets: they are read over, so that they must not cost more
/// than a request head does.
pub const MAX_BODY_FRAMING_BYTES: usize = MAX_HEAD_BYTES;

/// The smallest and largest DEFLATE window, as powers of two. RFC 7692 §7.1.2 allows 8, which no zlib can produce for raw
/// DEFLATE; an offer that insists on it is declined.
pub const MIN_WINDOW_BITS: u8 = 9;
/// See [`MIN_WINDOW_BITS`].
pub const MAX_WINDOW_BITS: u8 = 15;

/// Payloads below this, in octets, are sent as they are: DEFLATE without a shared context makes them larger or saves nothing.
pub const MIN_DEFLATE_PAYLOAD_BYTES: usize = 64;

/// What inflated messages are written to, shared by a core's connections, keeps at most this many octets between messages.
/// A larger message gets a buffer of its own, which is freed with it.
pub const MAX_KEPT_INFLATED_BYTES: usize = 64 * 1024;

/// The most octets that a message of `max_message` octets may take compressed: stored blocks and flushes add to
/// data that does not shrink, and an eighth is more than any compressor of the field adds.
#[must_use]
pub const fn max_compressed_bytes(max_message: usize) -> usize {
    max_message.saturating_add(max_message / 8).saturating_add(1024)
}

const _: () = assert!(MAX_CLOSE_REASON_BYTES == 123);
const _: () = assert!(MAX_TOPIC_BYTES <= u8::MAX as usize);
const _: () = assert!(MAX_KEY_BYTES <= u8::MAX as usize && MAX_MESSAGE_ID_BYTES <= u8::MAX as usize);
const _: () = assert!(MAX_TOKEN_BYTES < MAX_HEAD_BYTES);
const _: () = assert!(DEFAULT_MAX_MESSAGE_BYTES <= MAX_MAX_MESSAGE_BYTES);
const _: () = assert!(MAX_MAX_MESSAGE_BYTES * 7 + MAX_HEAD_BYTES < u32::MAX as usize);
const _: () = assert!(MAX_CHUNK_LINE_BYTES < MAX_BODY_FRAMING_BYTES);
const _: () = assert!(MIN_WINDOW_BITS < MAX_WINDOW_BITS);
