//! From a message to the connections that it is for.
//!
//! Messages of one topic that come one after the other are a *run*: they are encoded as they come, and fanned out
//! as one range when the run ends. So the work per subscriber is per run, not per message.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use smallvec::SmallVec;

use super::Shard;
use crate::connections::Given;
use crate::message::{Message, Origin};
use crate::palette::EncodingId;
use crate::subscriptions::{Audience, AudienceId, Seat};

/// Messages of one topic, in the palette and not yet fanned out.
#[derive(Debug)]
pub(super) struct Run {
    first: Arc<Message>,
    home: usize,
    messages: u64,
    audiences: SmallVec<[AudienceId; 2]>,
    /// Where the run begins in the log of each encoding that one of its subscribers has.
    starts: SmallVec<[(EncodingId, u32); 4]>,
}

impl Run {
    /// Whether the message is for exactly those whom the run is for.
    fn takes(&self, message: &Message) -> bool {
        self.first.topic == message.topic && self.first.except == message.except
    }
}

/// Seats that were given a range and are behind.
type Laggards = Vec<(u32, EncodingId)>;

impl Shard {
    /// A message came from `home` for this core's subscribers.
    pub(super) fn deliver(&mut self, home: usize, message: &Arc<Message>) {
        if !self.run.as_ref().is_some_and(|run| run.takes(message)) {
            self.fan_out();
            self.run = self.begin_run(home, message);
        }
        let Some(run) = &mut self.run else { return };
        run.messages += 1;
        for (encoding, _) in &run.starts {
            self.connections.palette.append(*encoding, message);
        }
    }

    /// A run for those who listen to the message's topic, if there is anybody.
    fn begin_run(&mut self, home: usize, message: &Arc<Message>) -> Option<Run> {
        let mut run = Run {
            first: message.clone(),
            home,
            messages: 0,
            audiences: SmallVec::new(),
            starts: SmallVec::new(),
        };
        self.subscriptions.audiences_for(&message.topic, |audience| run.audiences.push(audience));
        for &audience in &run.audiences {
            for group in self.subscriptions.audience(audience).groups() {
                if !run.starts.iter().any(|(encoding, _)| *encoding == group.encoding) {
                    run.starts.push((group.encoding, self.connections.palette.end(group.encoding)));
                }
            }
        }
        (!run.starts.is_empty()).then_some(run)
    }

    /// Ends the run: gives its range to everybody whom it is for. Must come before anything that changes who that is.
    pub(super) fn fan_out(&mut self) {
        let Some(run) = self.run.take() else { return };
        self.runs += 1;
        let except = self.excepted_slot(run.first.except);
        let mut laggards = Laggards::new();
        for &audience in &run.audiences {
            self.fan_out_to(&run, audience, except, &mut laggards);
        }
        for (slot, encoding) in laggards {
            self.queue_run(&run, slot, encoding);
        }
    }

    /// Fans out what was given before, where the connection may be among those who get it.
    pub(super) fn fan_out_before(&mut self, slot: u32) {
        if self.run.is_some() && !self.connections.at(slot).subscriptions.is_empty() {
            self.fan_out();
        }
    }

    fn fan_out_to(&mut self, run: &Run, audience: AudienceId, except: Option<u32>, laggards: &mut Laggards) {
        let audience: &Audience = self.subscriptions.audience(audience);
        let everybody_is_live = audience.pattern().is_none();
        let live =
            |seat: &Seat| self.subscriptions.subscription(seat.subscription).live & (1 << run.home) != 0;
        for group in audience.groups() {
            let Some(&(_, start)) = run.starts.iter().find(|(encoding, _)| *encoding == group.encoding)
            else {
                continue;
            };
            let end = self.connections.palette.end(group.encoding);
            for seat in &group.seats {
                if Some(seat.slot) == except || !(everybody_is_live || live(seat)) {
                    continue;
                }
                match self.connections.give(seat.slot, start, end) {
                    Given::Taken => self.deliveries_made += run.messages,
                    Given::Twice => {}
                    Given::Behind => laggards.push((seat.slot, group.encoding)),
                }
            }
        }
    }

    /// The slot of a connection of this core that is not to get a message, if it still has it.
    fn excepted_slot(&self, except: Option<Origin>) -> Option<u32> {
        let origin = except.filter(|origin| origin.core == self.core)?;
        self.connections.is_connected(origin.connection).then_some(origin.connection.slot)
    }

    /// Puts the run into the write queue of a connection that is behind.
    fn queue_run(&mut self, run: &Run, slot: u32, encoding: EncodingId) {
        let connection = self.connections.at(slot);
        if std::mem::replace(&mut connection.last_run, self.runs) == self.runs {
            return;
        }
        let Some(&(_, start)) = run.starts.iter().find(|(of, _)| *of == encoding) else { return };
        let end = self.connections.palette.end(encoding);
        self.deliveries_made += run.messages;
        let _more = self.queue_range(slot, encoding, start..end, true);
    }

    /// Puts the messages of a range of the palette into the write queue of a connection that is behind. Breaks where the
    /// connection is given nothing more.
    pub(super) fn queue_range(
        &mut self,
        slot: u32,
        encoding: EncodingId,
        range: Range<u32>,
        is_current: bool,
    ) -> ControlFlow<()> {
        let frames = self.connections.palette.frames(encoding, range.start, range.end);
        let messages: SmallVec<[Arc<Message>; 8]> =
            frames.iter().map(|frame| frame.message.clone()).collect();
        messages.into_iter().try_for_each(|message| self.queue(slot, message, is_current))
    }
}
