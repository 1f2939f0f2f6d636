//! Clients that follow one topic over HTTP, by an event stream or by polls. They publish nothing, so that every offset
//! is theirs: each comes once and in order, or is told.

use fanwire_broker::Start;
use fanwire_broker::message::DeliveredAs;
use fanwire_broker::topic_table::Polled;
use fanwire_wire::command::Position;
use fanwire_wire::notification::Notification;
use serde_json::Value;

use crate::truth::Truth;
use crate::world::EPOCH;

/// What a follower has of its topic.
#[derive(Clone)]
pub(crate) struct Followed {
    pub(crate) topic: String,
    /// The offset that has to come next, once it is known.
    pub(crate) next: Option<u64>,
    /// Where it begins, as long as it is not.
    pub(crate) start: Start,
}

impl Followed {
    /// What follows what it has, and the first time where it was told to begin.
    fn start(&self) -> Start {
        match self.next {
            Some(next) => Start::After(Position { epoch: EPOCH.into(), offset: next - 1 }),
            None => self.start.clone(),
        }
    }

    fn hear(&mut self, said: &Value, truth: &mut Truth) {
        assert_eq!(said["topic"], *self.topic, "of another topic: {said}");
        let number = |name: &str| said[name].as_u64().unwrap_or_else(|| panic!("no {name} in {said}"));
        let (from, to) = match said["type"].as_str() {
            Some("message") => {
                let payload = said["data"].as_u64().or_else(|| said["data"].as_str()?.parse().ok());
                truth.learn(&self.topic, number("offset"), payload.expect("a payload"));
                (number("offset") - said["skipped"].as_u64().unwrap_or(0), number("offset"))
            }
            Some("skipped") => (number("offset") + 1 - number("count"), number("offset")),
            Some("gap") => {
                assert_eq!(number("count"), number("to") + 1 - number("from"), "{said}");
                (number("from"), number("to"))
            }
            _ => panic!("{said} to somebody who did not ask"),
        };
        assert!(from <= to && self.next.is_none_or(|next| next == from), "{:?} is next: {said}", self.next);
        self.next = Some(to + 1);
    }

    fn assert_complete(&self, truth: &Truth) {
        let end = truth.last_offset(&self.topic) + 1;
        let next = self.next.expect("it was told where it is");
        assert!(next >= end, "{} stops at {next}, but {end} is next", self.topic);
    }
}

/// A client of an event stream.
pub(crate) struct Stream {
    pub(crate) followed: Followed,
    has_begun: bool,
}

impl Stream {
    pub(crate) fn new(followed: Followed) -> Self {
        Self { followed, has_begun: false }
    }

    pub(crate) fn start(&self) -> Start {
        self.followed.start()
    }

    /// Takes an event, without the empty line at its end. Returns whether the stream goes on.
    pub(crate) fn hear(&mut self, event: &str, truth: &mut Truth) -> bool {
        if event.starts_with(':') {
            return false;
        }
        let (id, data) = event.split_once('\n').expect("an id and data");
        let said: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
        if std::mem::replace(&mut self.has_begun, true) {
            self.followed.hear(&said, truth);
        } else {
            self.begin(&said);
        }
        let next = self.followed.next.expect("it was told where it is");
        assert_eq!(id, format!("id: {EPOCH}:{}", next - 1), "{event}");
        true
    }

    fn begin(&mut self, said: &Value) {
        assert_eq!((&said["type"], &said["id"]), (&"subscribed".into(), &Value::Null));
        let next = said["offset"].as_u64().expect("an offset") + 1;
        assert!(self.followed.next.is_none_or(|asked| asked == next), "it begins elsewhere: {said}");
        self.followed.next = Some(next);
    }

    pub(crate) fn assert_complete(&self, truth: &Truth) {
        assert!(self.has_begun, "an event stream that never began");
        self.followed.assert_complete(truth);
    }
}

/// A client that polls.
pub(crate) struct Poller {
    pub(crate) followed: Followed,
    /// It waits for an answer.
    pub(crate) has_asked: bool,
    /// There may be more where its last answer came from.
    pub(crate) is_restless: bool,
}

/// How a poll is asked for and answered on the wire of the simulation.
impl Poller {
    pub(crate) const WAITS: &str = "wait";
    pub(crate) const ONCE: &str = "once";
    pub(crate) const REFUSED: &str = "refused";
    pub(crate) const STOPPING: &str = "stopping";

    pub(crate) fn new(followed: Followed) -> Self {
        Self { followed, has_asked: false, is_restless: true }
    }

    pub(crate) fn start(&self) -> Start {
        self.followed.start()
    }

    /// The line that answers a poll.
    pub(crate) fn answer(&self, polled: &Polled) -> Vec<u8> {
        let Polled { recovered, gap, messages, offset } = polled;
        let topic = &self.followed.topic;
        let gap = gap.map(|(from, to)| Notification::Gap { topic, from, to, count: to - from + 1 });
        let messages =
            messages.iter().map(|message| Notification::Message(message.fields(DeliveredAs::NEXT)));
        let mut line = b"[".to_vec();
        for notification in gap.into_iter().chain(messages) {
            notification.write_json(&mut line);
            line.push(b',');
        }
        let recovered = recovered.map_or("null".to_owned(), |recovered| recovered.to_string());
        line.extend_from_slice(format!("{recovered},{offset}]\n").as_bytes());
        line
    }

    /// Takes the answer to its poll. Returns whether the connection goes on.
    pub(crate) fn hear(&mut self, line: &str, truth: &mut Truth) -> bool {
        let line = line.trim_end();
        if line == Self::STOPPING {
            return false;
        }
        assert!(std::mem::take(&mut self.has_asked), "an answer to what was not asked: {line}");
        if line == Self::REFUSED {
            self.is_restless = true;
        } else {
            self.hear_answer(&serde_json::from_str(line).expect("JSON"), truth);
        }
        true
    }

    fn hear_answer(&mut self, answer: &Value, truth: &mut Truth) {
        let [told @ .., recovered, offset] = answer.as_array().expect("an array").as_slice() else {
            panic!("no position in {answer}");
        };
        let was_anywhere = self.followed.next.is_some();
        for said in told {
            self.followed.hear(said, truth);
        }
        if was_anywhere {
            let has_gap = told.first().is_some_and(|said| said["type"] == "gap");
            assert_eq!(recovered.as_bool(), Some(!has_gap), "{answer}");
        }
        let next = offset.as_u64().expect("an offset") + 1;
        assert_eq!(*self.followed.next.get_or_insert(next), next, "it is elsewhere: {answer}");
        self.is_restless = !told.is_empty();
    }

    pub(crate) fn assert_complete(&self, truth: &Truth) {
        self.followed.assert_complete(truth);
    }
}
