//! The first part of a stop: connections are sent away one after the other, so that they do not all come back at once.
//!
//! ```text
//!   told      c0 · c1 · c2 · c3 · … │                             each with the time that is left for it to wait
//!             └────── the span ─────┘
//!   back                            │ c0 · c1 · c2 · c3 · …       in the same order, as far from each other
//! ```

use std::vec;

use fanwire_broker::lanes::ConnectionId;
use fanwire_broker::shard::Backlog;
use fanwire_wire::close::CloseCode;
use fanwire_wire::event_stream::write_retry;

use super::EventLoop;
use crate::connection::{Connection, Phase};
use crate::http_api::{self, Reply};
use crate::metrics::DisconnectReason;

/// A longer pause than this between two connections of a core serves nobody: a hundred clients in a second are no crowd.
const LONGEST_PAUSE_US: u64 = 10_000;

/// The connections of one core that are to be sent away.
pub(super) struct Drain {
    began_ms: u64,
    /// Between two of them, in microseconds.
    pause_us: u64,
    /// How many there were.
    count: u64,
    waiting: vec::IntoIter<ConnectionId>,
    /// How many did not close in time.
    pub(super) cut_off: usize,
}

impl Drain {
    /// Sends these away within `drain_ms`, from now on.
    pub(super) fn begin(connections: Vec<ConnectionId>, drain_ms: u64, now_ms: u64) -> Self {
        let count = connections.len() as u64;
        let pause_us = (drain_ms.saturating_mul(1_000) / count.max(1)).min(LONGEST_PAUSE_US);
        Self { began_ms: now_ms, pause_us, count, waiting: connections.into_iter(), cut_off: 0 }
    }

    /// The next one, if its time has come, and how long it is to stay away, in milliseconds.
    fn next(&mut self, now_ms: u64) -> Option<(ConnectionId, u64)> {
        if self.next_ms()? > now_ms {
            return None;
        }
        let back_at_ms = self.back_at_ms();
        Some((self.waiting.next()?, back_at_ms.saturating_sub(now_ms)))
    }

    /// When the next one's time comes.
    pub(super) fn next_ms(&self) -> Option<u64> {
        (self.waiting.len() > 0).then(|| self.began_ms + self.us_before_next() / 1_000)
    }

    /// When the next one is to be back: as long after the last was sent away as it was itself after the first.
    fn back_at_ms(&self) -> u64 {
        self.began_ms + (self.count * self.pause_us + self.us_before_next()) / 1_000
    }

    fn us_before_next(&self) -> u64 {
        (self.count - self.waiting.len() as u64) * self.pause_us
    }

    /// How long one that is sent away now, out of its turn, is to stay away.
    pub(super) fn retry_after_ms(&self, now_ms: u64) -> u64 {
        self.back_at_ms().saturating_sub(now_ms)
    }
}

impl EventLoop {
    /// Sends those away whose time has come. Returns whether nobody is left to be.
    pub(super) fn send_away_who_is_due(&mut self) -> bool {
        let now_ms = self.now.monotonic_ms;
        while let Some((id, retry_after_ms)) = self.drain.as_mut().and_then(|drain| drain.next(now_ms)) {
            if !self.awaits_receipt(id) {
                self.send_away(id, retry_after_ms);
                self.handle_shard_events();
            }
        }
        self.drain.as_ref().is_none_or(|drain| drain.next_ms().is_none())
    }

    /// Whether the connection's current request was carried out, and its answer is on the way: that one is sent away last.
    pub(super) fn awaits_receipt(&mut self, id: ConnectionId) -> bool {
        let conversation = self.connections.get_mut(id).and_then(Connection::conversation);
        conversation.is_some_and(|conversation| {
            conversation.is_awaiting() && conversation.poll_ends_at_ms().is_none()
        })
    }

    /// Tells a client that the broker stops, and when to come back.
    pub(super) fn send_away(&mut self, id: ConnectionId, retry_after_ms: u64) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match &connection.phase {
            Phase::Http(_) => return self.send_away_http(id, retry_after_ms),
            Phase::EventStream(_) => {
                let mut retry = Vec::new();
                write_retry(&mut retry, retry_after_ms);
                self.shard.reply(id, &retry);
            }
            Phase::WebSocket(_) => {}
            Phase::Proxied => return self.drop_connection(id, DisconnectReason::Shutdown),
            Phase::Closing(_) | Phase::Gone => return,
        }
        let reason = format!("retry_after_ms={retry_after_ms}");
        self.close(id, CloseCode::RESTART, &reason, Backlog::Keep, DisconnectReason::Shutdown);
    }

    /// Answers what the client has begun to ask, and closes.
    fn send_away_http(&mut self, id: ConnectionId, retry_after_ms: u64) {
        let conversation = self.connections.get_mut(id).and_then(Connection::conversation);
        if conversation.is_some_and(|conversation| conversation.has_begun()) {
            let reply = self.take_awaited(id).map_or(Reply::to_nonsense(), |(_, reply)| reply.last());
            self.shard.reply(id, &http_api::stopping(retry_after_ms).to_octets(&reply));
        }
        self.begin_closing(id, DisconnectReason::Shutdown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(count: u32, drain_ms: u64) -> Drain {
        let connections = (0..count).map(|slot| ConnectionId { slot, generation: 0 }).collect();
        Drain::begin(connections, drain_ms, 1_000)
    }

    /// When each is sent away, and when it is back, where the core looks once a millisecond.
    fn course(mut drain: Drain) -> Vec<(u64, u64)> {
        let mut course = Vec::new();
        for now_ms in 1_000.. {
            while let Some((_, retry_after_ms)) = drain.next(now_ms) {
                course.push((now_ms, now_ms + retry_after_ms));
            }
            if drain.next_ms().is_none() {
                break;
            }
        }
        course
    }

    #[test]
    fn a_crowd_leaves_evenly_within_the_time_and_is_back_evenly_within_as_long_again() {
        let course = course(drain(10_000, 10_000));
        for (index, (left, back)) in (0..).zip(course) {
            assert_eq!((left, back), (1_000 + index, 11_000 + index));
        }
    }

    #[test]
    fn a_few_do_not_wait_longer_than_they_must() {
        assert_eq!(course(drain(3, 10_000)), [(1_000, 1_030), (1_010, 1_040), (1_020, 1_050)]);
        assert_eq!(course(drain(0, 10_000)), []);
    }

    #[test]
    fn without_time_everybody_leaves_at_once() {
        assert_eq!(course(drain(3, 0)), [(1_000, 1_000); 3]);
    }

    #[test]
    fn who_is_told_late_is_back_on_time() {
        let mut drain = drain(2_000, 10_000);
        assert_eq!(drain.next(1_000).unwrap().1, 10_000);
        assert_eq!(drain.next(4_000).unwrap().1, 7_005);
        assert_eq!(drain.retry_after_ms(4_000), 7_010);
    }
}
