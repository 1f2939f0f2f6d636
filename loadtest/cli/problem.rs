//! What can be wrong with arguments that are well-formed, each by itself.

use std::fmt;

use crate::threshold::Threshold;
use crate::transport::{Protocol, Transport};

/// Why a request cannot hold. Whoever wrote it is to put it right.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// A value is too small or too large.
    OutOfRange {
        /// Its flag.
        flag: &'static str,
        /// The value.
        given: String,
        /// The smallest that is taken.
        least: String,
        /// The largest that is taken.
        most: String,
    },
    /// There are more of something than subscribers, of which each is to have one.
    MoreThanSubscribers {
        /// The flag that says how many.
        flag: &'static str,
        /// How many.
        given: usize,
        /// The subscribers.
        connections: usize,
    },
    /// Subscribers would need several topics each, where a connection can have but one.
    OneTopicEach {
        /// How many topics.
        topics: usize,
        /// How many subscribers.
        connections: usize,
        /// Over what.
        transport: Transport,
        /// What is spoken.
        protocol: Protocol,
    },
    /// The servers that speak the protocol have no such transport.
    WebSocketOnly {
        /// Over what.
        transport: Transport,
        /// What is spoken.
        protocol: Protocol,
    },
    /// Something is there twice, and would be one series.
    Twice {
        /// The flag.
        flag: &'static str,
        /// What is there twice.
        given: String,
    },
    /// A subscriber would not poll once while it is measured.
    NeverPolled {
        /// The transport.
        transport: Transport,
        /// How long it is measured.
        duration: String,
    },
    /// Slow subscribers read a little all the time, and one that polls asks at its times.
    SlowPolls {
        /// The transport.
        transport: Transport,
    },
    /// All subscribers are to read slowly.
    AllSlow {
        /// How many they are.
        connections: usize,
    },
    /// A part of the measured window has no message, so that it cannot be told from the others.
    NothingDue {
        /// Which third of the window.
        third: &'static str,
        /// How long it is measured.
        duration: String,
        /// The time from one message, or burst of messages, to the next.
        distance: String,
    },
    /// There are more streams (publisher and topic) than can be told apart.
    TooManyStreams {
        /// How many can be.
        most: usize,
    },
    /// A threshold is about a series that there will not be.
    UnknownSeries {
        /// The threshold.
        threshold: Threshold,
        /// Those that there will be.
        there: Vec<String>,
    },
    /// A stream has more messages than can be told apart.
    TooManyMessages {
        /// How many can be.
        most: u32,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { flag, given, least, most } => {
                write!(f, "{flag}: {given} is not between {least} and {most}")
            }
            Self::MoreThanSubscribers { flag, given, connections } => write!(
                f,
                "{flag}: {given} are more than the {connections} subscribers; lower it, or raise --connections"
            ),
            Self::OneTopicEach { topics, connections, transport, protocol } => write!(
                f,
                "--topics: {topics} are more than the {connections} subscribers, and a connection of {transport} in \
                 {protocol} has one topic; raise --connections, or take ws in fanwire-json, fanwire-binary, nats or mqtt"
            ),
            Self::WebSocketOnly { transport, protocol } => write!(
                f,
                "--transport: {transport} is not for {protocol}, whose servers have WebSockets only; take ws"
            ),
            Self::Twice { flag, given } => write!(f, "{flag}: {given} is there twice; leave one out"),
            Self::NeverPolled { transport, duration } => write!(
                f,
                "--transport: {transport} would not poll once in {duration}; raise --duration, or poll more often"
            ),
            Self::SlowPolls { transport } => write!(
                f,
                "--slow: a subscriber over {transport} asks at its times, and does not read slowly; take ws, sse or longpoll"
            ),
            Self::AllSlow { connections } => write!(
                f,
                "--slow: all {connections} subscribers would read slowly, and nothing would be measured; lower it, or raise \
                 --connections"
            ),
            Self::NothingDue { third, duration, distance } => write!(
                f,
                "--duration: messages are due every {distance}, and none in the {third} third of the {duration} that are \
                 measured; raise --duration or --rate, or lower --burst"
            ),
            Self::TooManyStreams { most } => write!(
                f,
                "--publishers: each publishes to every topic, and no more than {most} of these streams can be told \
                 apart; lower --publishers or --topics"
            ),
            Self::UnknownSeries { threshold, there } if there.is_empty() => {
                write!(f, "--threshold: {threshold} is about a series, and here there is none; leave it out")
            }
            Self::UnknownSeries { threshold, there } => write!(
                f,
                "--threshold: {threshold} is about {}, which will not be measured, but {}",
                threshold.series(),
                there.join(", ")
            ),
            Self::TooManyMessages { most } => write!(
                f,
                "--duration: no more than {most} messages of one publisher and topic can be told apart; lower --rate \
                 or --duration, or raise --publishers"
            ),
        }
    }
}
