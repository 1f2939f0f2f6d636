//! One subscriber: its socket, what it says and hears there, and the account of it.

use super::account::{Account, ReadAt};
use super::ticks::Allowance;
use crate::bytes::TcpCounters;
use crate::clock::{now_ns, realtime_ns};
use crate::conversation::{Heard, Subscriber};
use crate::link::{Broken, Link};
use crate::opening::Settled;
use crate::plan::Plan;
use crate::record::Layers;
use crate::socket::StampedReader;
use crate::tally::Tally;

/// A subscriber.
pub(super) struct Connection {
    pub(super) link: Link,
    conversation: Subscriber,
    pub(super) account: Account,
    wire: Wire,
    /// Whether it has ended before its time.
    pub(super) is_broken: bool,
    /// What it may read, if it is to read slowly.
    pub(super) allowance: Option<Allowance>,
}

/// What its octets are counted from, and what came of that.
enum Wire {
    /// The window has not begun.
    Before,
    /// What had been counted when it began.
    Within(Reading),
    /// What it took.
    Counted(Layers),
}

/// Everything that counts octets, at one moment at which nothing is half read.
struct Reading {
    tcp: TcpCounters,
    application: u64,
    deliveries: u64,
    payload: u64,
}

/// What is needed to serve a connection, and is the same for all.
pub(super) struct Service<'a> {
    pub(super) plan: &'a Plan,
    pub(super) reader: &'a mut StampedReader,
    pub(super) scratch: &'a mut [u8],
    pub(super) tally: &'a mut Tally,
    pub(super) origin_ns: u64,
}

impl Connection {
    /// Begins to connect, over a link that has.
    pub(super) fn new(mut link: Link, plan: &Plan, subscriber: usize) -> Self {
        let topics = plan.topic_names_of(subscriber);
        let mut conversation = Subscriber::new(&plan.server.peer, &topics, plan.seed ^ subscriber as u64);
        conversation.begin(link.out());
        Self {
            link,
            conversation,
            account: Account::new(plan, subscriber),
            wire: Wire::Before,
            is_broken: false,
            allowance: plan.workload.slow_rate(subscriber).map(Allowance::new),
        }
    }

    /// Whether nothing that is published from now on may be missed.
    pub(super) fn is_ready(&self) -> bool {
        self.conversation.is_ready()
    }

    /// What became of it, if it is not on its way any more.
    pub(super) fn settled(&self) -> Option<Settled> {
        if self.is_broken {
            return Some(Settled::Failed);
        }
        self.is_ready().then_some(Settled::Ready)
    }

    /// Asks for what is new; false if it cannot, because it was not answered the last time.
    pub(super) fn ask(&mut self) -> Result<bool, Broken> {
        let asks = self.conversation.ask(self.link.out());
        self.link.flush()?;
        Ok(asks)
    }

    /// Writes what waits, and reads what there is, at most `limit` octets of it. Returns how many awaited messages came.
    pub(super) fn serve(&mut self, service: &mut Service<'_>, limit: usize) -> Result<u64, Broken> {
        self.link.flush()?;
        let (mut came, mut left) = (0, limit);
        while left > 0 {
            let len = service.scratch.len().min(left);
            let Some(piece) = self.link.read(service.reader, &mut service.scratch[..len])? else { break };
            if piece.len == 0 {
                return Err(self.conversation.end().into());
            }
            let read_ns = now_ns();
            // The kernel stamps with the time of day, which is no further from the other clock than at this moment.
            let arrived_ns = piece.arrived_realtime_ns.map(|at| (at + read_ns).saturating_sub(realtime_ns()));
            let at = ReadAt { origin_ns: service.origin_ns, arrived_ns, read_ns };
            let (plan, tally, account) = (service.plan, &mut *service.tally, &mut self.account);
            let mut hear = |heard: Heard<'_>| came += account.hear(heard, at, plan, tally);
            self.conversation.read(&mut service.scratch[..piece.len], self.link.out(), &mut hear)?;
            left -= piece.len;
            if piece.is_last {
                break;
            }
        }
        self.link.flush()?;
        Ok(came)
    }

    /// Counts octets from here on, if it does not yet and all layers have the same ones.
    pub(super) fn begin_counting(&mut self) -> Result<(), Broken> {
        if matches!(self.wire, Wire::Before)
            && let Some(reading) = self.reading()?
        {
            self.wire = Wire::Within(reading);
        }
        Ok(())
    }

    /// Counts octets up to here, if it has not and all layers have the same ones.
    pub(super) fn end_counting(&mut self) -> Result<(), Broken> {
        if let Wire::Within(begun) = &self.wire
            && let Some(reading) = self.reading()?
        {
            self.wire = Wire::Counted(reading.since(begun));
        }
        Ok(())
    }

    /// What all layers have counted, at a moment at which they have counted the same octets; none at any other. While a large
    /// message comes, TCP has octets that were not read, and those that were read are of no delivery yet.
    fn reading(&self) -> Result<Option<Reading>, Broken> {
        if !self.conversation.is_idle() {
            return Ok(None);
        }
        let tcp = self.link.tcp()?;
        let reading = Reading {
            tcp,
            application: self.link.octets(),
            deliveries: self.account.deliveries,
            payload: self.account.payload_octets,
        };
        Ok(self.link.is_even_with(&tcp).then_some(reading))
    }

    /// Puts what it has got, and what that took, to the tally.
    pub(super) fn settle(&self, plan: &Plan, tally: &mut Tally) {
        self.account.settle(self.is_broken, plan, tally);
        if let Wire::Counted(layers) = &self.wire
            && !self.account.is_slow
        {
            tally.bytes.add(layers);
        }
    }
}

impl Reading {
    fn since(&self, begun: &Self) -> Layers {
        let traffic = self.tcp.since(&begun.tcp);
        let deliveries = self.deliveries - begun.deliveries;
        traffic.layers(deliveries, self.payload - begun.payload, self.application - begun.application)
    }
}
