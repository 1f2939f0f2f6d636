//! What publishes: every topic in turn, waiting for the receipts of each round.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::{Client, Frame};
use crate::wire::Door;

pub(crate) const TOPICS_OF_A_POLICY: usize = 4;

const POLICIES: [&str; 4] = ["history", "gap", "conflate", "strict"];

const PAYLOAD_BYTES: usize = 2_000;

/// The last offset of each topic.
pub(crate) type Published = BTreeMap<String, u64>;

pub(crate) struct Feed {
    client: Client,
    published: Published,
}

impl Feed {
    pub(crate) fn connect(door: &Door) -> Self {
        Self { client: Client::connect(door), published: Published::new() }
    }

    pub(crate) fn publish(mut self, rounds: u64) -> Published {
        let payload = "x".repeat(PAYLOAD_BYTES);
        let names =
            POLICIES.iter().flat_map(|policy| (0..TOPICS_OF_A_POLICY).map(move |n| format!("{policy}.{n}")));
        let names: Vec<String> = names.collect();
        for round in 0..rounds {
            for name in &names {
                self.client.send(&format!(
                    r#"{{"type":"publish","id":{round},"topic":"{name}","key":"k{}","data":"{payload}"}}"#,
                    round % 7
                ));
            }
            (0..names.len()).for_each(|_| self.hear_receipt());
        }
        self.published
    }

    fn hear_receipt(&mut self) {
        loop {
            match self.client.next_frame() {
                Some(Frame::Notification(said)) if said["type"] == "published" => {
                    let topic = said["topic"].as_str().expect("a topic").to_owned();
                    self.published.insert(topic, said["offset"].as_u64().expect("an offset"));
                    return;
                }
                Some(Frame::Notification(said)) => assert_eq!(said["type"], "welcome", "{said}"),
                Some(Frame::Close(code, reason)) => panic!("closed: {code} {reason}"),
                None if self.client.read(usize::MAX).expect("the broker stays") == 0 => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                None => {}
            }
        }
    }
}
