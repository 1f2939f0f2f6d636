//! The connections of a core: who is there, and what each has to write.
//!
//! A connection that keeps up has a *span* of its encoding's log in the palette, and is written from there without
//! a copy. What does not follow on makes *pieces*, gathered when it is written. One whose socket did not take
//! everything, or that reads from history, is *behind*: it has a write queue. One that is compressed with a context of
//! its own shares no frames: when its turn comes, it falls behind with what it has, and is written from its queue.
//!
//! | what | module |
//! |---|---|
//! | spans and pieces: what those have that keep up | `spans` |
//! | write queues: what those have that are behind, and whose turn it is | `behind` |
//! | the octets of either, for one write | `output` |

mod behind;
mod output;
mod spans;

use std::sync::Arc;

use fanwire_wire::notification::Notification;
use smallvec::SmallVec;

pub(crate) use self::behind::Behind;
use self::behind::{Held, Turns};
pub use self::output::Flushed;
use self::output::Writer;
pub(crate) use self::spans::{Given, Piece, Spans};
use crate::encoder::{Encoder, Encoding, Interface};
use crate::lanes::ConnectionId;
use crate::palette::{EncodingId, Palette};
use crate::permissions::Permissions;
use crate::subscriptions::SubscriptionId;
use crate::write_queue::ReplyKind;

/// By slot, who is there.
#[derive(Debug)]
pub(crate) struct Connections {
    slots: Vec<Connection>,
    pub(crate) spans: Spans,
    turns: Turns,
    held: Held,
    pub(crate) palette: Palette,
    writer: Writer,
    /// How many of the connections are event streams.
    event_streams: usize,
}

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    generation: u32,
    state: State,
    encoding: Option<EncodingId>,
    /// The last run that was put into its write queue, so that one that reached it twice is not put there twice.
    pub(crate) last_run: u64,
    /// Who it is, and what it may do; nothing, until that is said.
    permissions: Option<Arc<Permissions>>,
    pub(crate) subscriptions: SmallVec<[SubscriptionId; 2]>,
    pub(crate) behind: Option<Box<Behind>>,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Vacant,
    Open,
    /// It does not read fast enough: it is given nothing more until it is closed.
    Doomed,
    /// Its close frame, or the end of its stream, is queued; nothing may follow it.
    Closing,
}

impl Connection {
    /// What its write queue holds, in bytes.
    fn held_bytes(&self) -> usize {
        self.behind.as_ref().map_or(0, |behind| behind.queue.bytes() + behind.queue.certain_bytes())
    }
}

impl Connections {
    /// Nobody, in a run of this epoch. Payloads from `deflate_above_bytes` on are compressed where that was negotiated.
    pub(crate) fn new(epoch: Arc<str>, deflate_above_bytes: usize) -> Self {
        Self {
            slots: Vec::new(),
            spans: Spans::new(),
            turns: Turns::default(),
            held: Held::default(),
            palette: Palette::new(Encoder::new(epoch, deflate_above_bytes)),
            writer: Writer::default(),
            event_streams: 0,
        }
    }

    pub(crate) fn connect(&mut self, id: ConnectionId) {
        let slot = id.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, Connection::default);
            self.spans.make_room(slot + 1);
        }
        debug_assert_eq!(self.slots[slot].state, State::Vacant, "a slot is freed before it is used again");
        self.slots[slot] =
            Connection { generation: id.generation, state: State::Open, ..Connection::default() };
    }

    /// Forgets the connection; its subscriptions must have ended.
    pub(crate) fn disconnect(&mut self, slot: u32) {
        self.spans.clear(slot);
        self.drop_behind(slot);
        self.writer.forget(slot);
        self.event_streams -= usize::from(self.interface(slot) == Some(Interface::EventStream));
        self.slots[slot as usize] = Connection::default();
    }

    pub(crate) fn upgrade(&mut self, slot: u32, encoding: Encoding) {
        self.slots[slot as usize].encoding = Some(self.palette.id_of(encoding));
        self.event_streams += usize::from(encoding.interface == Interface::EventStream);
    }

    /// Whether the connection is there and may be written to.
    pub(crate) fn is_open(&self, id: ConnectionId) -> bool {
        self.slot(id).is_some_and(|connection| connection.state == State::Open)
    }

    /// Whether the connection is there.
    pub(crate) fn is_connected(&self, id: ConnectionId) -> bool {
        self.slot(id).is_some()
    }

    fn slot(&self, id: ConnectionId) -> Option<&Connection> {
        let connection = self.slots.get(id.slot as usize)?;
        (connection.state != State::Vacant && connection.generation == id.generation).then_some(connection)
    }

    /// From here on these hold.
    pub(crate) fn permit(&mut self, slot: u32, permissions: Arc<Permissions>) {
        self.slots[slot as usize].permissions = Some(permissions);
    }

    /// Who the connection is, and what it may do, if that was said.
    pub(crate) fn permissions(&self, slot: u32) -> Option<&Permissions> {
        self.slots[slot as usize].permissions.as_deref()
    }

    pub(crate) fn at(&mut self, slot: u32) -> &mut Connection {
        &mut self.slots[slot as usize]
    }

    pub(crate) fn subscriptions(&self, slot: u32) -> &[SubscriptionId] {
        &self.slots[slot as usize].subscriptions
    }

    pub(crate) fn id(&self, slot: u32) -> ConnectionId {
        ConnectionId { slot, generation: self.slots[slot as usize].generation }
    }

    pub(crate) fn encoding_id(&self, slot: u32) -> Option<EncodingId> {
        self.slots[slot as usize].encoding
    }

    fn encoding(&self, slot: u32) -> Option<Encoding> {
        self.encoding_id(slot).map(|id| self.palette.encoding(id))
    }

    /// The interface that the connection speaks; none is HTTP.
    pub(crate) fn interface(&self, slot: u32) -> Option<Interface> {
        self.encoding(slot).map(|encoding| encoding.interface)
    }

    /// Whether the connection sends commands, and is answered by notifications.
    pub(crate) fn has_commands(&self, slot: u32) -> bool {
        self.interface(slot).is_some_and(Interface::has_commands)
    }

    /// What the write queues hold of the connections that are open, in bytes.
    pub(crate) fn backlogs(&self) -> impl Iterator<Item = (ConnectionId, usize)> {
        let open = self.slots.iter().zip(0..).filter(|(connection, _)| connection.state == State::Open);
        open.map(|(connection, slot)| {
            (ConnectionId { slot, generation: connection.generation }, connection.held_bytes())
        })
    }

    /// What the connection's write queue holds, in bytes.
    pub(crate) fn held_bytes(&self, id: ConnectionId) -> usize {
        self.slot(id).map_or(0, Connection::held_bytes)
    }

    /// How many of the connections are event streams.
    pub(crate) fn event_streams(&self) -> usize {
        self.event_streams
    }

    /// The replies that wait to be written to the connection, in bytes.
    pub(crate) fn reply_bytes(&self, id: ConnectionId) -> usize {
        let Some(connection) = self.slot(id) else { return 0 };
        let in_queue = connection.behind.as_ref().map_or(0, |behind| behind.queue.reply_bytes());
        self.spans.reply_bytes(id.slot) + in_queue
    }

    /// Gives the connection something of its own, behind everything that it has.
    pub(crate) fn reply(
        &mut self,
        slot: u32,
        kind: ReplyKind,
        write: impl FnOnce(&mut Encoder, &mut Vec<u8>),
    ) {
        let (start, end) = self.palette.reply(write);
        let Some(behind) = &mut self.slots[slot as usize].behind else {
            return self.spans.give_reply(slot, (start, end), kind);
        };
        let reply = self.palette.replies(start, end);
        self.held.work_on(&mut behind.queue, |queue| queue.push_reply(reply, kind));
        self.schedule(slot);
    }

    /// A notification for the connection alone. One that speaks HTTP or raw has none, nor has one that is to be closed.
    pub(crate) fn notify(&mut self, slot: u32, notification: &Notification<'_>) {
        if self.state(slot) != State::Open {
            return;
        }
        if let Some(encoding) = self.encoding(slot).filter(|encoding| encoding.interface != Interface::Raw) {
            let kind = match notification {
                Notification::Subscribed { .. } | Notification::Unsubscribed { .. } => ReplyKind::Boundary,
                _ => ReplyKind::Plain,
            };
            // One with a context of its own has it as it is: it is written here, in front of messages that are queued already
            // and not yet compressed, and goes out behind them.
            self.reply(slot, kind, |encoder, out| encoder.notification(encoding, notification, out));
        }
    }

    /// The connection is to be closed: what it has not been sent is let go, and nothing more is given to it but a close
    /// frame.
    pub(crate) fn doom(&mut self, slot: u32) {
        self.drop_backlog(slot);
        self.stop_reading(slot);
        self.slots[slot as usize].state = State::Doomed;
    }

    pub(crate) fn state(&self, slot: u32) -> State {
        self.slots[slot as usize].state
    }

    /// Whether a close frame may still be queued.
    pub(crate) fn may_close(&self, id: ConnectionId) -> bool {
        self.slot(id).is_some_and(|connection| connection.state != State::Closing)
    }

    /// Nothing may follow what the connection has.
    pub(crate) fn seal(&mut self, slot: u32) {
        self.slots[slot as usize].state = State::Closing;
    }
}
