//! Reading from sockets: the ready list, and one connection's share of a turn.

use fanwire_broker::lanes::ConnectionId;
use fanwire_wire::deflate::Inflater;

use super::effort::{self, BYTES_PER_TURN, Effort};
use super::{EventLoop, Stage};
use crate::connection::{Phase, Place};
use crate::guard::{Spent, Standing};
use crate::metrics::DisconnectReason;
use crate::transport::{Arrival, Received};

/// What one read takes from a socket at most, in bytes: large enough that a system call's cost is lost in it,
/// small enough to stay in the cache until it is handled.
pub(super) const SCRATCH_BYTES: usize = 64 * 1024;

/// What one read takes at most while the connection speaks HTTP, in bytes. Pipelined requests are kept while an
/// earlier one waits for its answer, so this bounds what a connection can make us keep.
const HTTP_READ_BYTES: usize = 16 * 1024;

/// Steps of TLS handshakes that one turn takes at most. A signature takes as long as hundreds of deliveries: a flood of
/// handshakes waits for one another, and not the subscribers for them.
const TLS_HANDSHAKE_STEPS_PER_TURN: usize = 16;

/// What a core reads into. It is handed down from the loop, so that what is borrowed from it can be given to
/// everything else that the core owns.
pub(crate) struct Intake {
    scratch: Box<[u8]>,
    /// What records hold that were in it.
    opened: Vec<u8>,
    /// One serves all connections whose clients take no context over.
    pub(super) inflater: Inflater,
}

impl Intake {
    pub(super) fn new(max_inflated_ratio: usize) -> Self {
        let inflater = Inflater::new(false).with_max_ratio(max_inflated_ratio);
        Self { scratch: vec![0; SCRATCH_BYTES].into(), opened: Vec::new(), inflater }
    }
}

impl EventLoop {
    /// Gives each connection on the ready list one read, as far as the turn's budget and the shard's room go.
    pub(super) fn read_ready(&mut self, intake: &mut Intake) {
        self.read_early_frames(intake);
        let mut budget = BYTES_PER_TURN;
        let mut handshakes = TLS_HANDSHAKE_STEPS_PER_TURN;
        for _ in 0..self.ready.len() {
            if budget == 0 || !self.may_read() {
                return;
            }
            let Some(id) = self.ready.pop_front() else { return };
            if self.is_tls_handshaking(id) {
                if handshakes == 0 {
                    self.ready.push_back(id);
                    continue;
                }
                handshakes -= 1;
            }
            budget = budget.saturating_sub(self.serve(id, intake));
        }
    }

    /// Goes on with frames that were read in an earlier turn. They have a budget of their own, so that who sends what takes long
    /// does not keep the others' sockets from being read.
    fn read_early_frames(&mut self, intake: &mut Intake) {
        let mut budget = BYTES_PER_TURN;
        for _ in 0..self.early_frames.len() {
            if budget == 0 || !self.may_read() {
                return;
            }
            let Some((id, mut frames)) = self.early_frames.pop() else { return };
            if let Some(connection) = self.connections.get_mut(id) {
                connection.place = Place::Resting;
            }
            let subscriptions = self.begin_share();
            self.read_messages(id, &mut frames, &mut intake.inflater);
            budget = budget.saturating_sub(self.cost(frames.len(), subscriptions));
            // Their bytes were counted when they came.
            self.settle(id, 0);
        }
    }

    /// Keeps frames for the next turn. They are older than what the socket still has, which waits behind them.
    pub(super) fn keep_early_frames(&mut self, id: ConnectionId, frames: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(id).filter(|_| !frames.is_empty()) else { return };
        connection.place = Place::Behind;
        self.early_frames.push(id, frames);
    }

    /// Whether [`Self::read_ready`] has something to go on with.
    pub(super) fn has_input(&self) -> bool {
        let waiting = !self.ready.is_empty() || !self.early_frames.is_empty();
        waiting && self.may_read()
    }

    /// Puts a connection on the ready list, unless we wait before reading on.
    pub(super) fn list_unless_paused(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.place == Place::Resting {
            connection.place = Place::Listed;
            self.ready.push_back(id);
        }
    }

    /// Reads on after a pause: what the connection waited for has happened.
    pub(super) fn resume(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.place == Place::Paused {
            connection.place = Place::Resting;
            connection.since_ms = self.now.monotonic_ms;
        }
        self.list_unless_paused(id);
    }

    /// Whether what sockets bring has somewhere to go. While cores stop one another nothing new may come in; after
    /// that everything is thrown away, and peers that close are heard.
    fn may_read(&self) -> bool {
        match self.stage {
            Stage::Running | Stage::Draining { .. } => self.shard.may_read(),
            Stage::Stopping { .. } | Stage::Stopped => false,
            Stage::Closing { .. } => true,
        }
    }

    /// Gives one connection its share of the turn. Returns what that counts for, in bytes.
    fn serve(&mut self, id: ConnectionId, intake: &mut Intake) -> usize {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.leave_ready_list();
        }
        let subscriptions = self.begin_share();
        self.answer_requests(id);
        // What came before is answered before anything more is read: what is read last may be the end.
        let waits = self.has_early_frames(id) || self.is_blocked(id) || self.effort.is_enough();
        let read = if waits { 0 } else { self.read_once(id, intake) };
        let cost = self.cost(read, subscriptions);
        self.settle(id, read);
        cost
    }

    /// Counts anew: what others were answered since the last share is none of this one's. Returns how many subscriptions there
    /// are, for [`Self::cost`].
    fn begin_share(&mut self) -> usize {
        self.effort = Effort::default();
        self.shard.subscriptions()
    }

    fn has_early_frames(&mut self, id: ConnectionId) -> bool {
        self.connections.get_mut(id).is_some_and(|connection| connection.place == Place::Behind)
    }

    /// Counts what a read of so many bytes brought, and puts the connection where it belongs after it.
    fn settle(&mut self, id: ConnectionId, bytes: usize) {
        self.charge(id, bytes);
        self.connections.count_kept(id);
        self.find_place(id);
        self.handle_shard_events();
    }

    /// What a read of so many bytes counts for, with what it asked for, and with those of so many subscriptions that are no
    /// longer there.
    fn cost(&self, bytes: usize, subscriptions: usize) -> usize {
        let ended = subscriptions.saturating_sub(self.shard.subscriptions());
        bytes + self.effort.bytes() + effort::of_ended(ended)
    }

    /// Counts what a read of so many bytes brought against the connection's rates.
    fn charge(&mut self, id: ConnectionId, bytes: usize) {
        let spent = Spent { commands: self.effort.commands, bytes: bytes as u64 };
        match self.rates.spend(id.slot, spent, self.now.monotonic_ms) {
            Standing::Within => {}
            Standing::Over { .. } => self.metrics.add_throttled_read(),
            Standing::Hopeless(kind) => self.end_for_rate(id, kind.key()),
        }
    }

    fn read_once(&mut self, id: ConnectionId, intake: &mut Intake) -> usize {
        if self.connections.get_mut(id).is_some_and(|connection| connection.is_ready_for_proxy_header()) {
            self.read_proxy_header(id, &mut intake.scratch);
            return 0;
        }
        let Some(connection) = self.connections.get_mut(id).filter(|connection| connection.readable) else {
            return 0;
        };
        let Intake { scratch, opened, inflater } = intake;
        let limit = if connection.conversation().is_some() { HTTP_READ_BYTES } else { scratch.len() };
        let was_handshaking = connection.transport.is_handshaking();
        let was_flushed = connection.transport.is_flushed();
        match connection.transport.read(scratch, opened, limit) {
            Arrival::Bytes(Received { taken, input, records, has_more, is_last }) => {
                self.effort.records += records;
                connection.ending |= is_last;
                // A short read has emptied the socket, unless the peer's end waits behind it.
                connection.readable = has_more || connection.ending;
                // What the session answers by itself. Behind what waits for an edge it waits too; and a socket that is
                // broken says so when it is read next.
                let answered = if was_flushed { connection.transport.flush().unwrap_or(0) } else { 0 };
                self.metrics.add_bytes_in(taken as u64);
                self.metrics.add_bytes_out(answered as u64);
                if was_handshaking {
                    self.note_tls_handshake(id);
                }
                // A record that says nothing is a sign of life, and no request begins with it.
                if !input.is_empty() || self.is_web_socket(id) {
                    self.handle_input(id, input, inflater);
                }
                return taken;
            }
            Arrival::Nothing => connection.readable = false,
            Arrival::End => self.handle_end(id),
            Arrival::Reset => self.drop_connection(id, DisconnectReason::Reset),
            Arrival::TlsFailed(failure) => self.fail_tls(id, &failure),
        }
        0
    }

    fn handle_input(&mut self, id: ConnectionId, input: &mut [u8], inflater: &mut Inflater) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.hear(self.now.monotonic_ms);
        match &mut connection.phase {
            Phase::Http(conversation) => {
                conversation.receive(input);
                self.arm_deadline(id);
                self.answer_requests(id);
            }
            Phase::WebSocket(_) => self.read_messages(id, input, inflater),
            Phase::Proxied | Phase::EventStream(_) | Phase::Closing(_) | Phase::Gone => {}
        }
    }

    /// Whether we do not read from a connection for now: a request waits for its answer, or answers wait for the client, or it
    /// sends too fast, or publishes while memory is short. The first two end with something being written to it, and that
    /// brings it back; the others with time.
    pub(super) fn is_blocked(&mut self, id: ConnectionId) -> bool {
        let is_scarce = self.is_scarce();
        let Some(connection) = self.connections.get_mut(id) else { return false };
        let is_over_rate = self.rates.standing(id.slot, self.now.monotonic_ms) != Standing::Within;
        match &connection.phase {
            Phase::Http(conversation) => {
                is_over_rate || conversation.is_awaiting() || !self.shard.may_read_from(id)
            }
            Phase::WebSocket(_) => {
                is_over_rate || (connection.publishes && is_scarce) || !self.shard.may_read_from(id)
            }
            Phase::EventStream(_) => is_over_rate,
            Phase::Proxied | Phase::Closing(_) | Phase::Gone => false,
        }
    }

    /// Puts a connection where it belongs after its share of the turn.
    fn find_place(&mut self, id: ConnectionId) {
        let is_blocked = self.is_blocked(id);
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.place != Place::Resting {
            return;
        }
        if is_blocked {
            connection.place = Place::Paused;
            self.arm_deadline(id);
        } else if connection.readable {
            self.list_unless_paused(id);
        }
    }
}
