//! What the shard has for the server alone: answers to those who speak HTTP, and what it has neither keys nor sockets for.

use fanwire_wire::command::{CommandId, Token};

use crate::batches::{Outcome, Refused};
use crate::lanes::ConnectionId;
use crate::topic_table::{Latest, Placement, Polled};

/// Something that the server has to see to.
#[derive(Debug)]
pub enum Event {
    /// The subscription of a raw connection or event stream begins. With `recovered == Some(false)` a raw one has not
    /// begun: what was asked for is no longer held, and a raw subscriber cannot be told of a gap. An event stream is told
    /// by [`Shard::begin_stream`](super::Shard::begin_stream), behind its head.
    Subscribed {
        /// The connection.
        connection: ConnectionId,
        /// Where it begins.
        placement: Placement,
    },
    /// An HTTP publish has its offset.
    Published {
        /// The connection.
        connection: ConnectionId,
        /// The message's offset.
        offset: u64,
    },
    /// Each message of a batch that was published over HTTP has its outcome.
    PublishedBatch {
        /// The connection.
        connection: ConnectionId,
        /// What became of the messages, in their order.
        outcomes: Vec<Outcome>,
    },
    /// The latest message that was asked for.
    Latest {
        /// The connection.
        connection: ConnectionId,
        /// What is the latest.
        latest: Latest,
    },
    /// What a topic had for a poll.
    Polled {
        /// The connection.
        connection: ConnectionId,
        /// What it had.
        polled: Polled,
    },
    /// What a raw or HTTP connection asked for was not done.
    Refused {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        refused: Refused,
    },
    /// A client says who it is. To look at what it proves that with is the server's, and so is the answer: a
    /// notification, and [`Shard::permit`](super::Shard::permit) behind it.
    Authenticate {
        /// The connection.
        connection: ConnectionId,
        /// The `id` of the command.
        command_id: Option<CommandId>,
        /// What proves it.
        token: Token<'static>,
    },
    /// The connection does not read fast enough, and its topic's policy does not let it stay: close it with 1013.
    SlowConsumer {
        /// The connection.
        connection: ConnectionId,
        /// The reason for the close frame.
        reason: String,
    },
}
