//! What the tests of several modules make.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_wire::command::PayloadKind;
use fanwire_wire::topic::{Topic, TopicNumber};

use crate::message::Message;

/// A message of `size` bytes of payload.
pub(crate) fn message(topic: &str, offset: u64, size: usize) -> Arc<Message> {
    Arc::new(plain(topic, offset, size))
}

/// The same of one topic, about the entity that `key` names.
pub(crate) fn keyed_message(key: Option<&str>, offset: u64, size: usize) -> Arc<Message> {
    Arc::new(Message { key: key.map(Box::from), ..plain("t", offset, size) })
}

fn plain(topic: &str, offset: u64, size: usize) -> Message {
    Message {
        topic: Topic::parse(topic).expect("tests use good topics"),
        number: TopicNumber::MIN,
        offset,
        time_ms: 0,
        key: None,
        kind: PayloadKind::Binary,
        content_type: None,
        payload: Bytes::from(vec![0; size]),
        except: None,
    }
}
