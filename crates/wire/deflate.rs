//! Compression of messages: permessage-deflate (RFC 7692).
//!
//! With both `no_context_takeover` a message is compressed once for all subscribers of a core, and one [`Inflater`] per core
//! serves all its connections. A context that is taken over makes repetitive feeds smaller, and belongs to one connection: see
//! [`DeflateParams::context_bytes`] for what it takes. The client role takes what a server answers.

use std::borrow::Cow;
use std::mem;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::error::ProtocolError;
use crate::limits::{MAX_KEPT_INFLATED_BYTES, MAX_WINDOW_BITS, MIN_WINDOW_BITS};

const EXTENSION: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// What a client offers, as the value of `Sec-WebSocket-Extensions`: compression with any parameters, including a
/// window that the server limits (RFC 7692 §7.1.2.2).
pub const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// How a flush ends; taken off a compressed message and put back before inflating (RFC 7692 §7.2.1 and §7.2.2).
const FLUSH_TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// [`FLUSH_TAIL`] and an empty block with BFINAL: after whole blocks, it is what ends the stream.
const LAST_TAIL: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

/// An empty message compressed (RFC 7692 §7.2.3.6).
const EMPTY_MESSAGE: u8 = 0x00;

/// The least room that the compressors are given for their output, in octets: above the six that zlib asks for, so that it
/// does not flush twice.
const MIN_OUTPUT_BYTES: usize = 256;

/// What a [`Deflater`] takes apart from its window, in bytes: its hash table, and what it has not put out.
const DEFLATER_BYTES: usize = 244 * 1024;

/// What an [`Inflater`] takes, in bytes, whatever the window: the largest, and its tables.
const INFLATER_BYTES: usize = 48 * 1024;

/// What both sides agreed on (RFC 7692 §7.1). A window that nobody limited is `None`, which means 15 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateParams {
    /// The server compresses each message on its own.
    pub server_no_context_takeover: bool,
    /// The client compresses each message on its own.
    pub client_no_context_takeover: bool,
    /// The window of the server's compressor, as a power of two of octets.
    pub server_max_window_bits: Option<u8>,
    /// The window of the client's compressor, as a power of two of octets.
    pub client_max_window_bits: Option<u8>,
}

impl DeflateParams {
    /// What a server's answer to our [`OFFER`] agrees on, given the value of its `Sec-WebSocket-Extensions`.
    /// `None` if the answer holds anything that was not offered, or that this client cannot do: the connection must
    /// then be failed (RFC 7692 §7.1).
    ///
    /// A client window of 8 bits is such a thing: no zlib compresses with it.
    #[must_use]
    pub fn from_response(value: &str) -> Option<Self> {
        let answer = Parameters::parse(value)?;
        let client_max_window_bits = match answer.client_max_window_bits {
            None => None,
            Some(WindowBits::Any | WindowBits::AtMost(..MIN_WINDOW_BITS)) => return None,
            Some(WindowBits::AtMost(bits)) => Some(bits),
        };
        Some(Self {
            server_no_context_takeover: answer.server_no_context_takeover,
            client_no_context_takeover: answer.client_no_context_takeover,
            server_max_window_bits: answer.server_max_window_bits,
            client_max_window_bits,
        })
    }

    /// Appends the broker's answer to an offer: the value of `Sec-WebSocket-Extensions`.
    pub fn write_response(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(EXTENSION.as_bytes());
        for (name, agreed) in [
            (SERVER_NO_CONTEXT_TAKEOVER, self.server_no_context_takeover),
            (CLIENT_NO_CONTEXT_TAKEOVER, self.client_no_context_takeover),
        ] {
            if agreed {
                out.extend_from_slice(format!("; {name}").as_bytes());
            }
        }
        for (name, bits) in [
            (SERVER_MAX_WINDOW_BITS, self.server_max_window_bits),
            (CLIENT_MAX_WINDOW_BITS, self.client_max_window_bits),
        ] {
            if let Some(bits) = bits {
                out.extend_from_slice(format!("; {name}={bits}").as_bytes());
            }
        }
    }

    /// The same, with each message compressed on its own in both directions: what a server may ask for whatever the offer
    /// says (RFC 7692 §7.1.1).
    #[must_use]
    pub const fn without_contexts(self) -> Self {
        Self { server_no_context_takeover: true, client_no_context_takeover: true, ..self }
    }

    /// What the contexts take at most that the server keeps for the connection, in bytes: of its compressor the window twice and
    /// a chain for each octet of it, and its tables.
    #[must_use]
    pub fn context_bytes(&self) -> usize {
        let deflater = DEFLATER_BYTES + (4 << self.server_window_bits());
        let deflater = if self.server_no_context_takeover { 0 } else { deflater };
        let inflater = if self.client_no_context_takeover { 0 } else { INFLATER_BYTES };
        deflater + inflater
    }

    /// The window that the server compresses with: 9 to 15 bits if it is ours.
    #[must_use]
    pub fn server_window_bits(&self) -> u8 {
        self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    /// The window that the client compresses with: 9 to 15 bits if it is ours.
    #[must_use]
    pub fn client_window_bits(&self) -> u8 {
        self.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }
}

/// What the broker can agree to, given the values of a request's `Sec-WebSocket-Extensions` fields: the first offer that it
/// can honour, or `None` for no compression (RFC 7692 §5.1). Contexts are taken over where the offer does not say otherwise;
/// [`DeflateParams::without_contexts`] may be answered to it, too.
///
/// A client that promises `client_no_context_takeover` is held to it (RFC 7692 §7.1.1.2).
///
/// An offer is passed over if it is malformed, names a parameter twice or one that RFC 7692 does not know, or insists
/// on a server window of 8 bits.
pub fn negotiate<'a>(header_values: impl Iterator<Item = &'a str>) -> Option<DeflateParams> {
    header_values.flat_map(|value| value.split(',')).filter_map(Parameters::parse).find_map(|offer| {
        if offer.server_max_window_bits.is_some_and(|bits| bits < MIN_WINDOW_BITS) {
            return None;
        }
        Some(DeflateParams {
            server_no_context_takeover: offer.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover,
            server_max_window_bits: offer.server_max_window_bits,
            client_max_window_bits: None,
        })
    })
}

/// The value of `client_max_window_bits`, which an offer may leave out (RFC 7692 §7.1.2.2).
#[derive(Clone, Copy)]
enum WindowBits {
    Any,
    AtMost(u8),
}

/// The parameters of one offer, or of an answer, each well-formed and at most once.
#[derive(Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<WindowBits>,
}

impl Parameters {
    /// Reads `permessage-deflate; name; name=value`; `None` if it is anything else.
    fn parse(extension: &str) -> Option<Self> {
        let mut parts = extension.split(';').map(str::trim);
        if parts.next() != Some(EXTENSION) {
            return None;
        }
        let mut parameters = Self::default();
        for part in parts {
            parameters.add(part)?;
        }
        Some(parameters)
    }

    fn add(&mut self, part: &str) -> Option<()> {
        let (name, value) = match part.split_once('=') {
            None => (part, None),
            Some((name, value)) => (name.trim_end(), Some(parse_window_bits(value.trim_start())?)),
        };
        let is_first = match (name, value) {
            (SERVER_NO_CONTEXT_TAKEOVER, None) => !mem::replace(&mut self.server_no_context_takeover, true),
            (CLIENT_NO_CONTEXT_TAKEOVER, None) => !mem::replace(&mut self.client_no_context_takeover, true),
            (SERVER_MAX_WINDOW_BITS, Some(bits)) => self.server_max_window_bits.replace(bits).is_none(),
            (CLIENT_MAX_WINDOW_BITS, bits) => {
                let bits = bits.map_or(WindowBits::Any, WindowBits::AtMost);
                self.client_max_window_bits.replace(bits).is_none()
            }
            _ => false,
        };
        is_first.then_some(())
    }
}

/// A window of 8 to 15 bits, in decimal without leading zeros, which may be quoted (RFC 7692 §7.1.2).
fn parse_window_bits(value: &str) -> Option<u8> {
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    match unquoted.unwrap_or(value) {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

/// Compresses messages (RFC 7692 §7.2.1).
#[derive(Debug)]
pub struct Deflater {
    stream: Compress,
    context_takeover: bool,
}

impl Deflater {
    /// A compressor with a window of `window_bits`, 9 to 15. With `context_takeover`, messages must reach their one peer
    /// in the order in which they were compressed.
    ///
    /// Panics if the window is not in that range; [`DeflateParams`] never holds another.
    #[must_use]
    pub fn new(window_bits: u8, context_takeover: bool) -> Self {
        // A message is compressed once per core for all subscribers, or is to be as small as can be: octets on the wire weigh
        // more than the broker's CPU.
        let level = Compression::default();
        Self { stream: Compress::new_with_window_bits(level, false, window_bits), context_takeover }
    }

    /// Appends the payload of a frame that has RSV1 set: `payload` compressed.
    pub fn deflate(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if payload.is_empty() {
            out.push(EMPTY_MESSAGE);
            return;
        }
        if !self.context_takeover {
            self.stream.reset();
        }
        let mut rest = payload;
        loop {
            out.reserve(rest.len() / 2 + MIN_OUTPUT_BYTES);
            let taken_before = self.stream.total_in();
            self.stream.compress_vec(rest, out, FlushCompress::Sync).expect("the stream is never finished");
            rest = &rest[(self.stream.total_in() - taken_before) as usize..];
            if rest.is_empty() && out.len() < out.capacity() {
                break;
            }
        }
        debug_assert!(out.ends_with(&FLUSH_TAIL));
        out.truncate(out.len() - FLUSH_TAIL.len());
    }
}

/// Inflates messages (RFC 7692 §7.2.2). Without context takeover one serves any number of connections.
#[derive(Debug)]
pub struct Inflater {
    stream: Decompress,
    context_takeover: bool,
    max_ratio: Option<usize>,
    output: Vec<u8>,
}

impl Inflater {
    /// An inflater for any window. With `context_takeover` it belongs to one connection, and is given each compressed
    /// message of it in order.
    #[must_use]
    pub fn new(context_takeover: bool) -> Self {
        Self { stream: Decompress::new(false), context_takeover, max_ratio: None, output: Vec::new() }
    }

    /// The same, which refuses messages that inflate to more than `max_ratio` times what they took compressed, and to more
    /// than [`MAX_KEPT_INFLATED_BYTES`]: a short message costs a short time, whatever it inflates to.
    #[must_use]
    pub fn with_max_ratio(self, max_ratio: usize) -> Self {
        Self { max_ratio: Some(max_ratio), ..self }
    }

    /// Inflates the joined payloads of a compressed message.
    ///
    /// [`ProtocolError::MessageTooBig`] as soon as there are more than `limit` octets, so that a small message cannot cost
    /// much more than a large one; [`ProtocolError::InflatesTooMuch`] likewise; [`ProtocolError::BadDeflate`] if the data is
    /// not DEFLATE, or (without context takeover) ends within a block.
    ///
    /// Without context takeover, a message of up to [`MAX_KEPT_INFLATED_BYTES`] is borrowed from a buffer that is used again.
    /// An inflater that belongs to one connection keeps none.
    pub fn inflate(&mut self, payload: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, ProtocolError> {
        self.output.clear();
        if let Err(error) = self.inflate_within_ratio(payload, limit) {
            self.stream.reset(false);
            self.output = Vec::new();
            return Err(error);
        }
        if self.context_takeover || self.output.capacity() > MAX_KEPT_INFLATED_BYTES {
            return Ok(Cow::Owned(mem::take(&mut self.output)));
        }
        Ok(Cow::Borrowed(&self.output))
    }

    fn inflate_within_ratio(&mut self, payload: &[u8], limit: usize) -> Result<(), ProtocolError> {
        let Some(max_ratio) = self.max_ratio else { return self.inflate_message(payload, limit) };
        let within_ratio = payload.len().saturating_mul(max_ratio).max(MAX_KEPT_INFLATED_BYTES);
        self.inflate_message(payload, limit.min(within_ratio)).map_err(|error| match error {
            ProtocolError::MessageTooBig { .. } if within_ratio < limit => {
                ProtocolError::InflatesTooMuch { max_ratio }
            }
            error => error,
        })
    }

    fn inflate_message(&mut self, payload: &[u8], limit: usize) -> Result<(), ProtocolError> {
        // An empty payload has no block that a tail could end, but all that it can mean is an empty message.
        if payload.is_empty() || self.inflate_octets(payload, limit)? == Ended::Yes {
            return Ok(());
        }
        if self.context_takeover {
            return self.inflate_octets(&FLUSH_TAIL, limit).map(drop);
        }
        match self.inflate_octets(&LAST_TAIL, limit)? {
            Ended::Yes => Ok(()),
            Ended::No => Err(ProtocolError::BadDeflate),
        }
    }

    /// Inflates `octets` to the end of the output. When they end a stream, the next message begins a new one.
    ///
    /// A block with BFINAL ends a DEFLATE stream (RFC 1951 §3.2.3), and a message may have several (RFC 7692 §7.2.3.4):
    /// what follows is a new one.
    fn inflate_octets(&mut self, octets: &[u8], limit: usize) -> Result<Ended, ProtocolError> {
        let mut rest = octets;
        loop {
            self.reserve_output(rest.len(), limit);
            let taken_before = self.stream.total_in();
            let status = self
                .stream
                .decompress_vec(rest, &mut self.output, FlushDecompress::None)
                .map_err(|_| ProtocolError::BadDeflate)?;
            rest = &rest[(self.stream.total_in() - taken_before) as usize..];

            if self.output.len() > limit {
                return Err(ProtocolError::MessageTooBig { limit });
            }
            let output_is_full = self.output.len() == self.output.capacity();
            match status {
                Status::StreamEnd => {
                    self.stream.reset(false);
                    if rest.is_empty() {
                        return Ok(Ended::Yes);
                    }
                }
                Status::Ok | Status::BufError if output_is_full => {}
                Status::Ok | Status::BufError => return Ok(Ended::No),
            }
        }
    }

    /// Makes room for more output: for what `remaining` octets usually inflate to, growing with what has been inflated,
    /// and never for much more than the octet that is one too many.
    fn reserve_output(&mut self, remaining: usize, limit: usize) {
        let len = self.output.len();
        let expected = (remaining * 3).max(len).max(MIN_OUTPUT_BYTES);
        let allowed = limit.saturating_sub(len).saturating_add(1);
        self.output.reserve_exact(expected.min(allowed));
    }
}

/// Whether the octets ended with a block that has BFINAL set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Yes,
    No,
}
