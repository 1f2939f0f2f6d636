//! What peers publish, alone and in batches, and what they are answered.

use bytes::Bytes;
use fanwire_broker::Draft;
use fanwire_broker::message::Conditions;
use fanwire_wire::command::{PayloadKind, Position};

use crate::asking::parse;
use crate::broker::{Broker, of};
use crate::json::Command;
use crate::operation::Said;
use crate::peer::{Request, Speaks};
use crate::settings::{EPOCH, MESSAGE_IDS, TOGETHER, TOPICS, knows_ids};
use crate::truth::{Payload, Publish, Truth};

/// A batch that waits for its answer.
pub struct Batch {
    pub payloads: Vec<Payload>,
    pub atomic: bool,
}

impl Batch {
    /// Takes what became of its messages: an offset each, or the code of a refusal.
    pub fn learn(&self, outcomes: impl ExactSizeIterator<Item = Result<u64, String>>, truth: &mut Truth) {
        assert_eq!(outcomes.len(), self.payloads.len(), "a result for each");
        let mut published = 0;
        for (&payload, outcome) in self.payloads.iter().zip(outcomes) {
            match outcome {
                Ok(offset) => {
                    let topic = truth.asked(payload).topic.clone();
                    truth.learn_receipt(&topic, offset, payload);
                    published += 1;
                }
                Err(code) => assert_refusal(&code, truth.asked(payload), self.atomic),
            }
        }
        assert!(!self.atomic || published == 0 || published == self.payloads.len(), "half of a whole");
    }

    /// Whether all of it may be published together.
    pub fn is_together(&self, truth: &Truth) -> bool {
        self.payloads.iter().all(|payload| TOGETHER.contains(&&*truth.asked(*payload).topic))
    }
}

/// A message may be refused for this.
pub fn assert_refusal(code: &str, asked: &Publish, atomic: bool) {
    let may_be = match code {
        "unavailable" | "too_many_topics" => true,
        "moved_on" => asked.expects.is_some(),
        "aborted" => atomic,
        _ => false,
    };
    assert!(may_be, "{code} for a message of {}", asked.topic);
}

impl Broker {
    /// Whether the server reads what the peer says.
    pub fn may_say(&self, number: usize) -> bool {
        let peer = &self.peers[number];
        let shard = &self.cores[peer.core].shard;
        shard.may_read() && shard.may_read_from(peer.connection)
    }

    pub fn publish(&mut self, number: usize, said: Said, echo: bool) {
        if !self.may_say(number) {
            return;
        }
        let peer = &self.peers[number];
        let (core, connection, is_over) = (peer.core, peer.connection, peer.is_over);
        match &peer.speaks {
            Speaks::Json(_) => {
                let payload = self.begin(number, of(TOPICS, said.topic), said, echo);
                let Publish { echo, .. } = *self.truth.asked(payload);
                let fields = format!(r#""type":"publish","echo":{echo},{}"#, self.fields(payload, said.size));
                self.truth.publish_batch(&[payload], false);
                self.command(number, &fields, Command::Publish(payload));
            }
            Speaks::Raw { subscribed: true, topic, .. } if !is_over => {
                let topic = topic.clone();
                let plain = Said { key: 0, message_id: 0, expects: 0, ..said };
                let payload = self.begin(number, &topic, plain, true);
                let draft = self.draft(payload, said.size);
                self.call(core, |shard| shard.publish(connection, draft, false));
            }
            Speaks::Http(None) if !is_over => {
                let topic = of(TOPICS, said.topic);
                let payload = self.begin(number, topic, said, true);
                let draft = self.draft(payload, said.size);
                self.peers[number].speaks = Speaks::Http(Some(Request::Publish(topic.to_owned(), payload)));
                self.call(core, |shard| shard.publish(connection, draft, true));
            }
            Speaks::Raw { .. } | Speaks::Http(_) | Speaks::Stream { .. } => {}
        }
    }

    /// Publishes by one command. What is to be whole is of topics that share a home, as a rule.
    pub fn publish_batch(&mut self, number: usize, said: &[Said], atomic: bool, echo: bool) {
        const RARELY: u8 = 250;
        let peer = &self.peers[number];
        let may_speak = match &peer.speaks {
            Speaks::Json(_) => true,
            Speaks::Http(request) => request.is_none() && !peer.is_over,
            Speaks::Raw { .. } | Speaks::Stream { .. } => false,
        };
        if !may_speak || !self.may_say(number) {
            return;
        }
        let (core, connection) = (peer.core, peer.connection);
        let is_json = matches!(peer.speaks, Speaks::Json(_));
        // Without echo a publisher has to know which ones are its own: what it repeats may not be, and the receipt of
        // messages with many homes follows the first of them.
        let topic =
            |said: &Said| of(if atomic && said.topic < RARELY { TOGETHER } else { TOPICS }, said.topic);
        let has_ids = said.iter().any(|said| message_id(topic(said), *said).is_some());
        let echo = echo || has_ids || !atomic || !is_json;
        let payloads: Vec<Payload> =
            said.iter().map(|said| self.begin(number, topic(said), *said, echo)).collect();
        self.truth.publish_batch(&payloads, atomic);
        let batch = Batch { payloads, atomic };
        let messages = batch.payloads.iter().zip(said);
        if is_json {
            let messages: Vec<String> =
                messages.map(|(payload, said)| self.fields(*payload, said.size)).collect();
            let messages = messages.join("},{");
            let fields = format!(
                r#""type":"publish_batch","atomic":{atomic},"echo":{echo},"messages":[{{{messages}}}]"#
            );
            self.command(number, &fields, Command::PublishBatch(batch));
        } else {
            let drafts = messages.map(|(payload, said)| Ok(self.draft(*payload, said.size))).collect();
            self.peers[number].speaks = Speaks::Http(Some(Request::PublishBatch(batch)));
            self.call(core, |shard| shard.publish_batch(connection, drafts, atomic));
        }
    }

    /// A message that is published now.
    fn begin(&mut self, number: usize, topic: &str, said: Said, echo: bool) -> Payload {
        const MOST: u8 = 192;
        let message_id = message_id(topic, said);
        let last = self.truth.last_offset(topic);
        self.truth.publish(Publish {
            topic: topic.to_owned(),
            publisher: number,
            echo: echo || message_id.is_some(),
            key: (said.key % 4).checked_sub(1).map(|key| format!("k{key}")),
            message_id,
            expects: (said.expects >= MOST).then(|| (last + 1).saturating_sub(u64::from(said.expects) % 3)),
            must_not_be_heard: self.peers[number].is_over,
        })
    }

    /// The message as a command has it, without braces.
    fn fields(&self, payload: Payload, size: u8) -> String {
        let Publish { topic, key, message_id, expects, .. } = self.truth.asked(payload);
        let key = key.as_ref().map(|key| format!(r#","key":"{key}""#));
        let id = message_id.map(|id| format!(r#","message_id":"{id}""#));
        let expect = expects.map(|offset| format!(r#","expect":{{"epoch":"{EPOCH}","offset":{offset}}}"#));
        let terms: String = [key, id, expect].into_iter().flatten().collect();
        format!(r#""topic":"{topic}"{terms},"data":"{}""#, text(payload, size))
    }

    /// The same where no command is parsed.
    fn draft(&self, payload: Payload, size: u8) -> Draft {
        let Publish { topic, key, message_id, expects, echo, .. } = self.truth.asked(payload);
        Draft {
            topic: parse(topic),
            key: key.as_deref().map(Box::from),
            content_type: None,
            kind: PayloadKind::Text,
            payload: Bytes::from(text(payload, size)),
            echo: *echo,
            conditions: Conditions {
                message_id: message_id.map(|id| id.to_string().into()),
                expect: expects.map(|offset| Position { epoch: EPOCH.into(), offset }),
            }
            .boxed(),
        }
    }
}

/// A payload is its number and padding.
fn text(payload: Payload, size: u8) -> String {
    format!("{payload} {}", "pad ".repeat(size.into()))
}

fn message_id(topic: &str, said: Said) -> Option<u8> {
    const MOST: u8 = 128;
    (knows_ids(topic) && said.message_id >= MOST).then_some(said.message_id % MESSAGE_IDS)
}
