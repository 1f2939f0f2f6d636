//! What was compressed last, for those that are slightly behind one another.
//!
//! Who keeps up is written from the palette, where each message is compressed once. Who does not has a queue of
//! references, and each queue reaches a message at another time.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::ptr;
use std::sync::Arc;

use ahash::HashMap;

use super::{Encoding, Naming};
use crate::message::{DeliveredAs, Message};

/// What is kept for a core, in bytes: twice what one queue holds by default, so that those who are behind on a busy topic
/// find all of their queues here.
const KEPT_BYTES: usize = 512 * 1024;

/// Larger frames are not kept, in bytes: one would let go of most that is.
const MAX_FRAME_BYTES: usize = KEPT_BYTES / 8;

/// Frames of messages, the oldest let go first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    frames: HashMap<Key, Box<[u8]>>,
    order: VecDeque<Key>,
    bytes: usize,
}

/// What decides the octets of a frame.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) message: Arc<Message>,
    pub(super) encoding: Encoding,
    pub(super) naming: Naming,
    pub(super) delivered: DeliveredAs,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.message, &other.message)
            && (self.encoding, self.naming, self.delivered) == (other.encoding, other.naming, other.delivered)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ptr::hash(Arc::as_ptr(&self.message), state);
        (self.encoding, self.naming, self.delivered).hash(state);
    }
}

impl Recent {
    /// The frame, if it is among them.
    pub(super) fn find(&self, key: &Key) -> Option<&[u8]> {
        self.frames.get(key).map(AsRef::as_ref)
    }

    /// Keeps a frame that is not among them, and lets older ones go for it.
    pub(super) fn keep(&mut self, key: Key, frame: &[u8]) {
        if frame.len() > MAX_FRAME_BYTES {
            return;
        }
        self.bytes += cost(&key, frame);
        self.frames.insert(key.clone(), frame.into());
        self.order.push_back(key);
        while self.bytes > KEPT_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(frame) = self.frames.remove(&oldest) {
                self.bytes -= cost(&oldest, &frame);
            }
        }
    }
}

/// What a frame counts for: it keeps its message, too.
fn cost(key: &Key, frame: &[u8]) -> usize {
    key.message.bytes() + frame.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Interface;
    use crate::test_support::message;

    fn key(offset: u64, payload: usize) -> Key {
        Key {
            message: message("t", offset, payload),
            encoding: Encoding { interface: Interface::Json, deflate_window_bits: Some(15) },
            naming: Naming::ByNumber,
            delivered: DeliveredAs::NEXT,
        }
    }

    #[test]
    fn a_frame_is_found_for_the_same_message_in_the_same_encoding_alone() {
        let mut recent = Recent::default();
        let (one, other) = (key(1, 10), key(1, 10));
        recent.keep(one.clone(), b"frame");
        assert_eq!(recent.find(&one), Some(&b"frame"[..]));
        let encoding = Encoding { interface: Interface::Raw, ..one.encoding };
        for different in [
            other,
            Key { encoding, ..one.clone() },
            Key { naming: Naming::ByName, ..one.clone() },
            Key { delivered: DeliveredAs::LastValue, ..one.clone() },
            Key { delivered: DeliveredAs::News { skipped: 1 }, ..one },
        ] {
            assert_eq!(recent.find(&different), None);
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_is_the_newest() {
        let mut recent = Recent::default();
        let keys: Vec<Key> = (0..1_000).map(|offset| key(offset, 1_000)).collect();
        for key in &keys {
            recent.keep(key.clone(), &[7; 100]);
            assert!(recent.bytes <= KEPT_BYTES);
        }
        assert_eq!(recent.frames.len(), recent.order.len());
        let held: usize = recent.frames.iter().map(|(key, frame)| cost(key, frame)).sum();
        assert_eq!(held, recent.bytes);
        let found: Vec<bool> = keys.iter().map(|key| recent.find(key).is_some()).collect();
        assert!(found.is_sorted() && found[600] && !found[0], "the newest are kept");

        let large = key(1_000, 1_000);
        recent.keep(large.clone(), &vec![7; MAX_FRAME_BYTES + 1]);
        assert!(recent.find(&large).is_none() && recent.find(&keys[999]).is_some());
    }
}
