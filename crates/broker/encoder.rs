//! A message as the octets of a frame or event, in each way that a subscriber can want it.

mod recent;

use std::sync::Arc;

use fanwire_wire::binary::write_notification;
use fanwire_wire::command::PayloadKind;
use fanwire_wire::deflate::Deflater;
use fanwire_wire::event_stream::write_event;
use fanwire_wire::frame::{OpCode, write_frame};
use fanwire_wire::notification::Notification;

use self::recent::{Key, Recent};
use crate::message::{DeliveredAs, Message};
use crate::tick::Tick;

/// How a subscriber's connection speaks with the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// One topic: each message is a frame.
    Raw,
    /// Commands and notifications in JSON.
    Json,
    /// The same in octets.
    Binary,
    /// An event stream of one topic: each notification is an event. Nothing comes from the client.
    EventStream,
}

impl Interface {
    /// Whether connections send commands, and are answered by notifications.
    pub(crate) const fn has_commands(self) -> bool {
        match self {
            Self::Json | Self::Binary => true,
            Self::Raw | Self::EventStream => false,
        }
    }
}

/// How a delivery on the binary interface says which topic it is of. The others have one way each, and do not heed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Naming {
    /// By the number that the receipt of the subscription to the topic told.
    ByNumber,
    /// By its name too, for who subscribes to a pattern.
    ByName,
}

/// What decides the octets of a message on a connection: connections with the same encoding get the same octets, but for
/// the name of the topic, which on the binary interface stands in some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// The interface.
    pub interface: Interface,
    /// The window of the compressor that the connection shares with others, as a power of two, where permessage-deflate was
    /// negotiated without context takeover. One that takes its context over has a compressor of its own.
    pub deflate_window_bits: Option<u8>,
}

/// Turns messages and notifications into frames and events. Holds what that needs between calls: a compressor for each
/// window in use, and scratch.
pub(crate) struct Encoder {
    /// The positions of events are in this epoch.
    epoch: Arc<str>,
    /// Payloads below this many bytes are not compressed.
    deflate_above_bytes: usize,
    /// Without context takeover: what one compresses, every connection with the window can read.
    deflaters: Vec<(u8, Deflater)>,
    /// The compressor of one connection, while what is written is for it alone: see [`Self::through`].
    own: Option<Deflater>,
    recent: Recent,
    /// The frames that were compressed so far.
    compressions: u64,
    octets: Vec<u8>,
    compressed: Vec<u8>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("windows", &self.deflaters.len()).finish_non_exhaustive()
    }
}

/// Scratch above this, in bytes, is given back: one large message is not to be paid for ever after.
const SCRATCH_KEPT_BYTES: usize = 256 * 1024;

impl Encoder {
    pub(crate) fn new(epoch: Arc<str>, deflate_above_bytes: usize) -> Self {
        Self {
            epoch,
            deflate_above_bytes,
            deflaters: Vec::new(),
            own: None,
            recent: Recent::default(),
            compressions: 0,
            octets: Vec::new(),
            compressed: Vec::new(),
        }
    }

    /// Lets `write` write the same frames through the compressor of one connection, if it has one: in the order in which they
    /// will reach it, and all of them.
    pub(crate) fn through(&mut self, own: &mut Option<Deflater>, write: impl FnOnce(&mut Self)) {
        self.own = own.take();
        write(self);
        *own = self.own.take();
    }

    /// The frames that were compressed so far.
    pub(crate) fn compressions(&self) -> u64 {
        self.compressions
    }

    /// Appends the message's frame or event to `out`. A raw subscriber gets news alone.
    pub(crate) fn message(
        &mut self,
        encoding: Encoding,
        message: &Arc<Message>,
        naming: Naming,
        delivered: DeliveredAs,
        out: &mut Vec<u8>,
    ) {
        if self.own.is_some() || encoding.deflate_window_bits.is_none() {
            return self.write_message(encoding, message, naming, delivered, out);
        }
        let key = Key { message: message.clone(), encoding, naming, delivered };
        if let Some(frame) = self.recent.find(&key) {
            return out.extend_from_slice(frame);
        }
        let (start, compressions) = (out.len(), self.compressions);
        self.write_message(encoding, message, naming, delivered, out);
        if self.compressions > compressions {
            self.recent.keep(key, &out[start..]);
        }
    }

    fn write_message(
        &mut self,
        encoding: Encoding,
        message: &Message,
        naming: Naming,
        delivered: DeliveredAs,
        out: &mut Vec<u8>,
    ) {
        match encoding.interface {
            Interface::Json | Interface::EventStream => {
                self.notification(encoding, &Notification::Message(message.fields(delivered)), out);
            }
            Interface::Raw => {
                let opcode = match message.kind {
                    PayloadKind::Text | PayloadKind::Json => OpCode::Text,
                    PayloadKind::Binary => OpCode::Binary,
                };
                self.frame(encoding, opcode, &message.payload, out);
            }
            Interface::Binary => {
                self.with_scratch(|encoder, octets| {
                    message.delivery(naming, delivered).write(octets);
                    encoder.frame(encoding, OpCode::Binary, octets, out);
                });
            }
        }
    }

    /// Appends the tick to `out`: its messages, and behind them that they are one. A raw subscriber has one topic, and is
    /// not told.
    pub(crate) fn tick(&mut self, encoding: Encoding, tick: &Tick, out: &mut Vec<u8>) {
        for (message, naming) in &tick.messages {
            self.message(encoding, message, *naming, DeliveredAs::NEXT, out);
        }
        if encoding.interface != Interface::Raw {
            self.notification(encoding, &Notification::Tick { count: tick.messages.len() as u32 }, out);
        }
    }

    /// Appends the notification's frame or event to `out`.
    pub(crate) fn notification(
        &mut self,
        encoding: Encoding,
        notification: &Notification<'_>,
        out: &mut Vec<u8>,
    ) {
        self.with_scratch(|encoder, octets| match encoding.interface {
            Interface::EventStream => {
                notification.write_json(octets);
                let position = notification.reaches().map(|offset| (&*encoder.epoch, offset));
                write_event(out, position, octets);
            }
            Interface::Json | Interface::Raw => {
                notification.write_json(octets);
                encoder.frame(encoding, OpCode::Text, octets, out);
            }
            Interface::Binary => {
                write_notification(notification, octets);
                encoder.frame(encoding, OpCode::Binary, octets, out);
            }
        });
    }

    /// Lets `write` use scratch, which is empty.
    fn with_scratch(&mut self, write: impl FnOnce(&mut Self, &mut Vec<u8>)) {
        let mut octets = std::mem::take(&mut self.octets);
        octets.clear();
        write(self, &mut octets);
        octets.shrink_to(SCRATCH_KEPT_BYTES);
        self.octets = octets;
    }

    fn frame(&mut self, encoding: Encoding, opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
        let shared = encoding.deflate_window_bits.map(|bits| (&mut self.deflaters, bits));
        let deflater =
            self.own.as_mut().or_else(|| shared.map(|(deflaters, bits)| deflater(deflaters, bits)));
        match deflater {
            Some(deflater) if payload.len() >= self.deflate_above_bytes => {
                self.compressions += 1;
                self.compressed.clear();
                deflater.deflate(payload, &mut self.compressed);
                write_frame(out, opcode, true, &self.compressed);
                self.compressed.shrink_to(SCRATCH_KEPT_BYTES);
            }
            _ => write_frame(out, opcode, false, payload),
        }
    }
}

fn deflater(deflaters: &mut Vec<(u8, Deflater)>, bits: u8) -> &mut Deflater {
    let index = deflaters.iter().position(|(window, _)| *window == bits).unwrap_or_else(|| {
        deflaters.push((bits, Deflater::new(bits, false)));
        deflaters.len() - 1
    });
    &mut deflaters[index].1
}
