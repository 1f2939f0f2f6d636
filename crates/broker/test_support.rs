//! What the tests of several modules make.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_wire::command::PayloadKind;
use fanwire_wire::topic::{Topic, TopicNumber};

use crate::message::Message;

/// A message of `size` bytes of payload.
pub(crate) fn message(topic: &str, offset: u64, size: usize) -> Arc<Message> {
    keyed(&Topic::parse(topic).expect("tests use good topics"), None, offset, size)
}

/// A message of `size` bytes of payload about an entity. It was taken at the time of its offset.
pub(crate) fn keyed(topic: &Topic, key: Option<&str>, offset: u64, size: usize) -> Arc<Message> {
    Arc::new(Message {
        topic: topic.clone(),
        number: TopicNumber::MIN,
        offset,
        time_ms: 0,
        taken_ms: offset,
        key: key.map(Into::into),
        kind: PayloadKind::Binary,
        content_type: None,
        payload: Bytes::from(vec![0; size]),
        except: None,
    })
}
