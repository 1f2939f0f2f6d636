//! What a fuzzer can make happen. Numbers that name something are taken modulo how much of it there is.

use arbitrary::Arbitrary;

/// The most messages of a batch.
pub const MAX_BATCH: usize = 4;

/// One run.
#[derive(Arbitrary, Debug)]
pub struct Scenario {
    pub cores: u8,
    /// Decides the homes of topics.
    pub hash_key: u8,
    /// What connections would say and hear in JSON is in octets.
    pub octets: bool,
    pub operations: Vec<Operation>,
}

/// One step of a run.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// A connection is accepted; its socket takes about `window` octets.
    Connect {
        core: u8,
        window: u8,
    },
    /// It becomes a JSON connection, or a binary one.
    UpgradeJson {
        peer: u8,
        deflate: bool,
    },
    /// It becomes a raw connection, which subscribes.
    UpgradeRaw {
        peer: u8,
        topic: u8,
        start: Start,
        deflate: bool,
    },
    /// It is gone.
    Disconnect {
        peer: u8,
    },
    /// The server closes it.
    Close {
        peer: u8,
        keep_backlog: bool,
    },
    /// To as many targets as are named, by one command.
    Subscribe {
        peer: u8,
        target: u8,
        count: u8,
        start: Start,
        overflow: u8,
        snapshot: bool,
    },
    Recover {
        peer: u8,
        topic: u8,
        start: Start,
    },
    Unsubscribe {
        peer: u8,
        target: u8,
    },
    Publish {
        peer: u8,
        said: Said,
        times: u8,
        echo: bool,
    },
    Ping {
        peer: u8,
    },
    /// An HTTP connection asks for the latest message.
    Latest {
        peer: u8,
        topic: u8,
    },
    /// The core's next turn begins.
    Turn {
        core: u8,
        pause_ms: u16,
        wall_ms: i16,
    },
    /// The core hands its outboxes over, but to those `full` names by their bits.
    HandOver {
        core: u8,
        full: u8,
    },
    TakeRequests {
        core: u8,
        from: u8,
        times: u8,
    },
    TakeDeliveries {
        core: u8,
        from: u8,
        times: u8,
    },
    /// So many sockets are written to, at most so many octets each.
    Flush {
        core: u8,
        times: u8,
        bytes: u8,
    },
    /// The peer reads so many octets.
    Read {
        peer: u8,
        bytes: u8,
    },
    Stop,
    /// It becomes an event stream, which subscribes.
    UpgradeStream {
        peer: u8,
        topic: u8,
        start: Start,
    },
    /// An HTTP connection polls.
    Poll {
        peer: u8,
        topic: u8,
        start: Start,
        waits: bool,
    },
    /// Its poll has waited long enough.
    EndPoll {
        peer: u8,
    },
    /// The first few of these are published by one command.
    PublishBatch {
        peer: u8,
        said: [Said; MAX_BATCH],
        count: u8,
        atomic: bool,
        echo: bool,
    },
}

/// One message as somebody publishes it.
#[derive(Arbitrary, Clone, Copy, Debug, Default)]
pub struct Said {
    pub topic: u8,
    pub size: u8,
    pub key: u8,
    /// Most have none.
    pub message_id: u8,
    /// Most expect nothing.
    pub expects: u8,
}

/// Where a subscription begins.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Start {
    Now,
    Earliest,
    /// The last so many, where that can be asked for.
    Last(u8),
    /// After an offset of this epoch.
    After(u8),
    /// After an offset of another epoch.
    Elsewhere(u8),
}
