//! What a connection of Fanwire's own interfaces waits for: the welcome, and a receipt for each subscription.

use std::mem;

/// What is still to come before a connection is ready.
#[derive(Debug)]
pub(super) struct Receipts(Phase);

#[derive(Debug)]
enum Phase {
    /// The broker has yet to say who it is; then these topics are subscribed to.
    Greeting(Vec<String>),
    /// So many of what was subscribed to have no receipt yet.
    Subscribing { open: usize },
}

impl Receipts {
    /// Before anything has come.
    pub(super) fn new(topics: &[String]) -> Self {
        Self(Phase::Greeting(topics.to_vec()))
    }

    /// Whether all have come.
    pub(super) fn are_complete(&self) -> bool {
        matches!(self.0, Phase::Subscribing { open: 0 })
    }

    /// The broker has said who it is. What is to be subscribed to now, each with the id of the command; nothing if it had said
    /// so before.
    pub(super) fn welcomed(&mut self) -> impl Iterator<Item = (u64, String)> {
        let topics = match &mut self.0 {
            Phase::Greeting(topics) => mem::take(topics),
            Phase::Subscribing { .. } => return (1..).zip(Vec::new()),
        };
        self.0 = Phase::Subscribing { open: topics.len() };
        (1..).zip(topics)
    }

    /// A receipt of a subscription has come.
    pub(super) fn received(&mut self) {
        if let Phase::Subscribing { open } = &mut self.0 {
            *open = open.saturating_sub(1);
        }
    }
}
