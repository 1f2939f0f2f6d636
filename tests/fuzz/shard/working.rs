//! What cores do, and that it ends.

use std::collections::VecDeque;

use fanwire_broker::Message;

use crate::broker::{Broker, Core};
use crate::operation::{MAX_BATCH, Operation, Said};
use crate::settings::{BACKLOG_BYTES, GAPS_BYTES, HISTORY_MESSAGES, MAX_PAYLOAD_BYTES, TOPICS};

impl Broker {
    pub fn turn(&mut self, core: usize) {
        let now = self.now;
        self.cores[core].slots.next_turn();
        self.call(core, |shard| shard.begin_turn(now));
    }

    /// Returns whether anything was handed over.
    pub fn hand_over(&mut self, from: usize, full: u8) -> bool {
        let mut handed_over = false;
        for to in 0..self.cores.len() {
            let is_full = full >> to & 1 != 0;
            if let Some(batch) = self.call(from, |shard| shard.poll_requests(to)) {
                if is_full {
                    self.call(from, |shard| shard.restore_requests(to, batch));
                } else {
                    self.cores[to].requests[from].extend(batch);
                    handed_over = true;
                }
            }
            if let Some(batch) = self.call(from, |shard| shard.poll_deliveries(to)) {
                if is_full {
                    self.call(from, |shard| shard.restore_deliveries(to, batch));
                } else {
                    self.cores[to].deliveries[from].extend(batch);
                    handed_over = true;
                }
            }
        }
        handed_over
    }

    /// Returns whether any was taken.
    pub fn take_requests(&mut self, core: usize, from: usize, at_most: usize) -> bool {
        for taken in 0..=at_most {
            let Core { shard, requests, .. } = &mut self.cores[core];
            if !shard.may_take_requests() {
                return taken > 0;
            }
            let Some(request) = requests[from].pop_front() else { return taken > 0 };
            self.call(core, |shard| shard.handle_request(from, request));
        }
        true
    }

    /// Returns whether any was taken.
    pub fn take_deliveries(&mut self, core: usize, from: usize, at_most: usize) -> bool {
        for taken in 0..=at_most {
            let Core { shard, deliveries, .. } = &mut self.cores[core];
            if !shard.may_take_deliveries() {
                return taken > 0;
            }
            let Some(delivery) = deliveries[from].pop_front() else { return taken > 0 };
            self.call(core, |shard| shard.handle_delivery(from, delivery));
        }
        true
    }

    /// Returns whether there was anything to write.
    pub fn flush(&mut self, core: usize, at_most: usize, bytes: usize) -> bool {
        while let Some(answer) = self.cores[core].shard.poll_answer() {
            self.event(core, answer);
        }
        for flushed in 0..=at_most {
            let Some(id) = self.cores[core].shard.poll_flush() else {
                self.call(core, |_| ());
                return flushed > 0;
            };
            let owner = self.owner(core, id).expect("output for a stranger");
            let output = self.cores[core].shard.output(id);
            assert!(!output.is_empty(), "{id:?} was named and has nothing to write");
            let taken = self.peers[owner].socket.write(output, bytes);
            self.call(core, |shard| shard.wrote(id, taken));
        }
        true
    }

    /// However slow its reader is, a write queue holds its backlog, a piece of history and a tick, and gaps.
    pub fn assert_bounded(&self) {
        let message = Message::OVERHEAD_BYTES + MAX_PAYLOAD_BYTES + 1;
        let each = BACKLOG_BYTES + (HISTORY_MESSAGES + MAX_BATCH) * message + GAPS_BYTES;
        for (number, core) in self.cores.iter().enumerate() {
            let peers = self.peers.iter().filter(|peer| peer.core == number && !peer.is_gone).count();
            let held = core.shard.counters().backlog_bytes as usize;
            assert!(held <= peers * each, "{held} bytes of backlog for {peers} connections");
        }
    }

    /// Everybody reads and every core works until nothing is left to do; then everything must have been heard.
    pub fn end(mut self) {
        self.settle();
        if !self.stopped {
            let publisher = self.connect(0, usize::MAX);
            self.upgrade_json(publisher, false);
            for topic in 0..TOPICS.len() as u8 {
                if !self.may_say(publisher) {
                    self.settle();
                }
                self.publish(publisher, Said { topic, ..Said::default() }, true);
            }
            self.settle();
            let Self { peers, truth, .. } = &mut self;
            for peer in peers {
                peer.assert_complete(truth);
            }
        }
        self.operate(Operation::Stop);
        self.settle();
        assert!(self.cores.iter().all(|core| core.shard.is_stopped()), "the shutdown never ends");
    }

    fn settle(&mut self) {
        const MOST_ROUNDS: usize = 100_000;
        for _ in 0..MOST_ROUNDS {
            let mut moved = false;
            for core in 0..self.cores.len() {
                self.turn(core);
                moved |= self.flush(core, usize::MAX, usize::MAX);
                // Of snapshots that bring nothing, a turn asks for a few parts, and the next one for others.
                moved |= self.cores[core].shard.has_output();
                for from in 0..self.cores.len() {
                    moved |= self.take_deliveries(core, from, usize::MAX - 1);
                    moved |= self.take_requests(core, from, usize::MAX - 1);
                }
                moved |= self.hand_over(core, 0);
            }
            for peer in 0..self.peers.len() {
                moved |= self.read(peer, usize::MAX);
            }
            if !moved {
                return self.assert_at_rest();
            }
        }
        panic!("it never comes to rest");
    }

    fn assert_at_rest(&self) {
        for Core { shard, requests, deliveries, .. } in &self.cores {
            assert!(requests.iter().all(VecDeque::is_empty), "requests that nobody takes");
            assert!(deliveries.iter().all(VecDeque::is_empty), "deliveries that nobody takes");
            assert!(!shard.has_answers(), "polls that nobody answers");
            assert_eq!(shard.counters().backlog_bytes, 0, "a backlog that nobody has");
        }
    }
}
