//! From a message to the connections that it is for.
//!
//! Messages of one topic that come one after the other are a *run*: they are encoded as they come, and fanned out
//! as one range when the run ends. So the work per subscriber is per run, not per message.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::Shard;
use super::snapshots::is_live_for;
use crate::connections::Given;
use crate::encoder::{Interface, Naming};
use crate::message::{Message, Origin};
use crate::palette::{Content, EncodingId};
use crate::settings::TopicSettings;
use crate::subscriptions::{Audience, AudienceId, Seat};

/// Messages of one topic, in the palette and not yet fanned out.
#[derive(Debug)]
pub(super) struct Run {
    first: Arc<Message>,
    home: usize,
    messages: u64,
    audiences: SmallVec<[AudienceId; 2]>,
    /// For each encoding that one of its subscribers has: appended to as messages come.
    parts: SmallVec<[Part; 4]>,
    /// For encodings that have a part already, and subscribers who know the topic in the other way: appended when the run
    /// ends, because a part is one range.
    others: SmallVec<[Part; 1]>,
}

/// The run in the log of one encoding, with one naming.
#[derive(Clone, Copy, Debug)]
struct Part {
    encoding: EncodingId,
    naming: Naming,
    start: u32,
    /// Known when the run has ended.
    end: u32,
}

impl Run {
    /// Whether the message is for exactly those whom the run is for.
    fn takes(&self, message: &Message) -> bool {
        self.first.topic == message.topic && self.first.except == message.except
    }

    fn part(&self, encoding: EncodingId, naming: Naming) -> Option<Part> {
        let parts = self.parts.iter().chain(&self.others);
        parts.copied().find(|part| part.encoding == encoding && part.naming == naming)
    }
}

/// Seats that were given a part and are behind. The first of a connection is the one whose policy holds.
type Laggards = Vec<(Seat, Part)>;

impl Shard {
    /// A message came from `home` for this core's subscribers.
    pub(super) fn deliver(&mut self, home: usize, message: &Arc<Message>) {
        if !self.run.as_ref().is_some_and(|run| run.takes(message)) {
            self.fan_out();
            self.run = self.begin_run(home, message);
        }
        let Some(run) = &mut self.run else { return };
        run.messages += 1;
        for part in &run.parts {
            self.connections.palette.append(part.encoding, message, part.naming);
        }
    }

    /// A run for those who listen to the message's topic, if there is anybody.
    fn begin_run(&mut self, home: usize, message: &Arc<Message>) -> Option<Run> {
        let mut run = Run {
            first: message.clone(),
            home,
            messages: 0,
            audiences: SmallVec::new(),
            parts: SmallVec::new(),
            others: SmallVec::new(),
        };
        self.subscriptions.audiences_for(&message.topic, |audience| run.audiences.push(audience));
        for &audience in &run.audiences {
            let audience = self.subscriptions.audience(audience);
            for encoding in audience.groups().map(|group| group.encoding) {
                let naming = self.naming_in(audience, encoding);
                let start = self.connections.palette.end(encoding);
                let part = Part { encoding, naming, start, end: start };
                if run.part(encoding, naming).is_some() {
                    continue;
                }
                if run.parts.iter().any(|part| part.encoding == encoding) {
                    run.others.push(part);
                } else {
                    run.parts.push(part);
                }
            }
        }
        (!run.parts.is_empty()).then_some(run)
    }

    /// How an audience's seats with this encoding know the topic.
    pub(super) fn naming_in(&self, audience: &Audience, encoding: EncodingId) -> Naming {
        let is_binary = self.connections.palette.encoding(encoding).interface == Interface::Binary;
        if is_binary && audience.pattern().is_some() { Naming::ByName } else { Naming::ByNumber }
    }

    /// Ends the run: gives its range to everybody whom it is for. Must come before anything that changes who that is.
    pub(super) fn fan_out(&mut self) {
        let Some(mut run) = self.run.take() else { return };
        self.runs += 1;
        self.end_run(&mut run);
        let except = self.excepted_slot(run.first.except);
        let mut laggards = Laggards::new();
        for &audience in &run.audiences {
            self.fan_out_to(&run, audience, except, &mut laggards);
        }
        if laggards.is_empty() {
            return;
        }
        let settings = self.settings.clone();
        let settings = settings.of_topic(&run.first.topic);
        for (seat, part) in laggards {
            self.queue_run(&run, seat, part, settings);
        }
    }

    /// Notes where the run's parts end. The second part of an encoding is as long as the first, and may go over the
    /// palette's cap by that.
    fn end_run(&mut self, run: &mut Run) {
        let palette = &mut self.connections.palette;
        for part in &mut run.parts {
            part.end = palette.end(part.encoding);
        }
        for other in &mut run.others {
            let Some(part) = run.parts.iter().find(|part| part.encoding == other.encoding) else { continue };
            other.start = part.end;
            palette.append_again(part.encoding, part.start..part.end, other.naming);
            other.end = palette.end(other.encoding);
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
        let (settings, cores) = (&*self.settings, self.requests.len());
        let live = |seat: &Seat| {
            let subscription = self.subscriptions.subscription(seat.subscription);
            is_live_for(subscription, run.home, (&run.first.topic, run.first.number), settings, cores)
        };
        for (group, seats) in audience.seats_from(self.runs) {
            let naming = self.naming_in(audience, group.encoding);
            let Some(part) = run.part(group.encoding, naming) else { continue };
            let by_number = match naming {
                Naming::ByNumber => None,
                Naming::ByName => run.part(group.encoding, Naming::ByNumber),
            };
            for seat in seats {
                if Some(seat.slot) == except || !(everybody_is_live || live(seat)) {
                    continue;
                }
                // The topic's own audience comes first: who is in both knows it by number.
                if by_number.is_some_and(|part| self.connections.spans.was_given(seat.slot, part.end)) {
                    continue;
                }
                match self.connections.spans.give(seat.slot, part.start, part.end) {
                    Given::Taken => self.deliveries_made += run.messages,
                    Given::Twice => {}
                    Given::Behind => laggards.push((*seat, part)),
                }
            }
        }
    }

    /// The slot of a connection of this core that is not to get a message, if it still has it.
    pub(super) fn excepted_slot(&self, except: Option<Origin>) -> Option<u32> {
        let origin = except.filter(|origin| origin.core == self.core)?;
        self.connections.is_connected(origin.connection).then_some(origin.connection.slot)
    }

    /// Puts the run into the write queue of a connection that is behind.
    fn queue_run(&mut self, run: &Run, seat: Seat, part: Part, settings: &TopicSettings) {
        let Seat { slot, subscription } = seat;
        let connection = self.connections.at(slot);
        if std::mem::replace(&mut connection.last_run, self.runs) == self.runs {
            return;
        }
        self.deliveries_made += run.messages;
        let Some(interface) = self.connections.interface(slot) else { return };
        let asked = self.subscriptions.subscription(subscription).overflow;
        let (terms, bound) = (settings.terms(interface, asked, true), self.backlog_bound());
        for content in self.contents_of(part.encoding, part.start..part.end) {
            if let Content::Message(message, naming) = content
                && self.queue(slot, (message, naming), terms, bound).is_break()
            {
                return;
            }
        }
    }

    /// What is in a range of the palette.
    pub(super) fn contents_of(&self, encoding: EncodingId, range: Range<u32>) -> SmallVec<[Content; 8]> {
        let frames = self.connections.palette.frames(encoding, range.start, range.end);
        frames.iter().map(|frame| frame.content.clone()).collect()
    }
}
