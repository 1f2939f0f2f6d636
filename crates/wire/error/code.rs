//! What is wrong, for programs.

use std::fmt;

/// The closed list of codes that an `error` notification may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The message is not JSON.
    BadJson,
    /// The command lacks a field, or has one that is wrong.
    BadCommand,
    /// There is no such command.
    UnknownCommand,
    /// The topic is not one.
    BadTopic,
    /// The position is not one, or cannot be used here.
    BadSince,
    /// The payload is not of the kind that it is published as.
    BadPayload,
    /// A binary message on a connection whose protocol has none.
    BinaryUnsupported,
    /// A text message on a connection whose protocol has none.
    TextUnsupported,
    /// The message is larger than this broker takes.
    MessageTooBig,
    /// The token does not prove who the client is.
    BadToken,
    /// The client may not do this.
    Forbidden,
    /// Another subscription of the connection matches the same messages in a way that the two cannot be told apart.
    Overlap,
    /// The connection has this subscription already.
    AlreadySubscribed,
    /// The connection has no such subscription.
    NotSubscribed,
    /// The connection has as many subscriptions as it may have.
    TooManySubscriptions,
    /// The broker has as many topics as it may have.
    TooManyTopics,
    /// The broker has as many patterns as it may have.
    TooManyPatterns,
    /// The operator does not allow this overflow policy for the topic.
    PolicyNotAllowed,
    /// The topic keeps no last value that a snapshot could be made of.
    NotKept,
    /// The topic's latest message is not the one that the publisher expects.
    MovedOn,
    /// The batch has more messages than one may have.
    BatchTooLarge,
    /// The topics of an atomic batch are not ones that the operator keeps together.
    NotTogether,
    /// Another message of the same atomic batch was refused.
    Aborted,
    /// A later command took the command's place before it was carried out.
    Superseded,
    /// The broker cannot do this now; try again later.
    Unavailable,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 25] = [
        Self::BadJson,
        Self::BadCommand,
        Self::UnknownCommand,
        Self::BadTopic,
        Self::BadSince,
        Self::BadPayload,
        Self::BinaryUnsupported,
        Self::TextUnsupported,
        Self::MessageTooBig,
        Self::BadToken,
        Self::Forbidden,
        Self::Overlap,
        Self::AlreadySubscribed,
        Self::NotSubscribed,
        Self::TooManySubscriptions,
        Self::TooManyTopics,
        Self::TooManyPatterns,
        Self::PolicyNotAllowed,
        Self::NotKept,
        Self::MovedOn,
        Self::BatchTooLarge,
        Self::NotTogether,
        Self::Aborted,
        Self::Superseded,
        Self::Unavailable,
    ];

    /// The code as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::BadCommand => "bad_command",
            Self::UnknownCommand => "unknown_command",
            Self::BadTopic => "bad_topic",
            Self::BadSince => "bad_since",
            Self::BadPayload => "bad_payload",
            Self::BinaryUnsupported => "binary_unsupported",
            Self::TextUnsupported => "text_unsupported",
            Self::MessageTooBig => "message_too_big",
            Self::BadToken => "bad_token",
            Self::Forbidden => "forbidden",
            Self::Overlap => "overlap",
            Self::AlreadySubscribed => "already_subscribed",
            Self::NotSubscribed => "not_subscribed",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::TooManyTopics => "too_many_topics",
            Self::TooManyPatterns => "too_many_patterns",
            Self::PolicyNotAllowed => "policy_not_allowed",
            Self::NotKept => "not_kept",
            Self::MovedOn => "moved_on",
            Self::BatchTooLarge => "batch_too_large",
            Self::NotTogether => "not_together",
            Self::Aborted => "aborted",
            Self::Superseded => "superseded",
            Self::Unavailable => "unavailable",
        }
    }

    /// What every interface says to people of a command that could be read and was not carried out: what was wrong, and
    /// what to do. None if the code alone does not say it.
    #[must_use]
    pub const fn explanation(self) -> Option<&'static str> {
        Some(match self {
            Self::BadSince => "this offset has not been published yet; use one that the broker gave you",
            Self::BinaryUnsupported => "commands are JSON in text messages; this message is binary",
            Self::TextUnsupported => "commands are octets in binary messages; this message is text",
            Self::Overlap => {
                "a pattern that you subscribe to matches this topic, so a position cannot be kept for it alone; \
                 unsubscribe from the pattern first"
            }
            Self::AlreadySubscribed => "you subscribe to this already; to go back, use recover",
            Self::NotSubscribed => "you do not subscribe to this",
            Self::TooManySubscriptions => {
                "this connection has as many subscriptions as it may have; unsubscribe from another first"
            }
            Self::TooManyTopics => {
                "the broker keeps as many topics as it may (max_topics); use one that exists"
            }
            Self::TooManyPatterns => {
                "the broker's clients subscribe to as many patterns as they may (max_patterns); subscribe to topics instead"
            }
            Self::PolicyNotAllowed => {
                "the operator does not allow this overflow policy for all that you subscribe to with it; \
                 leave it out to get the one that is set"
            }
            Self::NotKept => "no last values are kept that a snapshot could be made of; leave snapshot out",
            Self::MovedOn => {
                "the topic's latest message is not the one that you expect; look at it, then decide"
            }
            Self::NotTogether => {
                "the operator does not keep these topics together, as one rule with atomic = true would; \
                 publish the batch without atomic"
            }
            Self::Aborted => "another message of the batch was refused, so none of it was published",
            Self::Superseded => "a later command took this one's place before it was carried out",
            Self::Unavailable => {
                "the part of the broker that has this topic does not answer, or has no memory for a new topic; \
                 try again later"
            }
            Self::BadJson
            | Self::BadCommand
            | Self::UnknownCommand
            | Self::BadTopic
            | Self::BadPayload
            | Self::MessageTooBig
            | Self::BadToken
            | Self::Forbidden
            | Self::BatchTooLarge => return None,
        })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
