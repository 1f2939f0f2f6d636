//! Subscribers that ask: long polls and short polls.
//!
//! ```text
//!   GET …?last=0                  →
//!                                 ←  204, the position of the latest message          ready
//!   GET …?since=POSITION          →                                                   at each time, or (with
//!                                 ←  200, what follows it, and the next position;     &wait=30s) at once;
//!                                    or 204                                           behind a large answer too
//! ```
//!
//! `last=0` asks for none of what is held, and is answered with a position whether the topic ever had a message or not.
//! Everything that is published after that answer follows that position.

use std::mem;

use super::error::BadResponse;
use super::notification::Notification;
use super::request::{Purpose, Request, USUAL_RESPONSE_HEAD_OCTETS};
use super::response::{Part, ResponseHead, ResponseReader};
use super::{ConversationError, Heard, MAX_MESSAGE_BYTES, Peer};

/// Octets of an answer behind which there may be more: it is to be asked again at once. Answers hold about 64 KiB of messages
/// and do not say whether there is more, and their JSON may be shorter than what the broker counts. Who always asked again
/// would send two requests for each that has something.
const LARGE_ANSWER_BYTES: usize = 16 * 1024;

/// When a poller asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// At once; the answer waits for a message.
    Always,
    /// When it is told to, and at once behind an answer that may not be all.
    OnDemand,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Poller {
    request: Request,
    asks: Asks,
    reader: ResponseReader,
    exchange: Exchange,
    /// What the next poll asks from, as `EPOCH:OFFSET`; none before the first answer.
    position: Option<String>,
    /// The head of the latest answer, in octets.
    response_head_octets: usize,
}

/// Where the connection is between a request and its answer.
#[derive(Debug)]
enum Exchange {
    /// Every request was answered.
    Idle,
    /// A request was sent.
    Asked,
    /// The head of the answer has come, and this much of its body.
    Answered { head: ResponseHead, body: Vec<u8> },
}

impl Poller {
    pub(super) fn new(peer: &Peer, topic: &str, asks: Asks) -> Self {
        Self {
            request: Request::new(peer, topic, Purpose::Poll),
            asks,
            reader: ResponseReader::default(),
            exchange: Exchange::Idle,
            position: None,
            response_head_octets: USUAL_RESPONSE_HEAD_OCTETS,
        }
    }

    /// Asks for the position to begin at.
    pub(super) fn begin(&mut self, out: &mut Vec<u8>) {
        self.send("last=0", out);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.position.is_some()
    }

    /// Whether nothing of an answer has come that is not whole, and what is to follow the last one was asked for.
    pub(super) fn is_idle(&self) -> bool {
        match self.asks {
            Asks::Always => matches!(self.exchange, Exchange::Asked) && !self.reader.is_within_head(),
            Asks::OnDemand => matches!(self.exchange, Exchange::Idle),
        }
    }

    /// Asks for what is new, unless a request has no answer yet. A long poller always has such a one.
    pub(super) fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(position) = &self.position else { return false };
        if !matches!(self.exchange, Exchange::Idle) {
            return false;
        }
        self.send(&format!("since={position}"), out);
        true
    }

    fn send(&mut self, query: &str, out: &mut Vec<u8>) {
        self.request.write(query, self.response_head_octets, out);
        self.exchange = Exchange::Asked;
    }

    pub(super) fn read(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), ConversationError> {
        let mut rest = input;
        while let Some(part) = self.reader.read(&mut rest)? {
            match (part, mem::replace(&mut self.exchange, Exchange::Idle)) {
                (Part::Head(head), Exchange::Asked) => {
                    self.exchange = Exchange::Answered { head, body: Vec::new() };
                }
                (Part::Body(piece), Exchange::Answered { head, mut body }) => {
                    if body.len() + piece.len() > MAX_MESSAGE_BYTES {
                        return Err(BadResponse::BodyTooLarge.into());
                    }
                    body.extend_from_slice(piece);
                    self.exchange = Exchange::Answered { head, body };
                }
                (Part::End, Exchange::Answered { head, body }) => {
                    self.answered(head, &body, out, on_heard)?;
                }
                _ => return Err(BadResponse::Unasked.into()),
            }
        }
        Ok(())
    }

    /// The answer to the last request is whole.
    fn answered(
        &mut self,
        head: ResponseHead,
        body: &[u8],
        out: &mut Vec<u8>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), ConversationError> {
        if !matches!(head.status, 200 | 204) {
            return Err(ConversationError::refused(head.status, body));
        }
        let is_first = self.position.is_none();
        let position = head.position.ok_or(ConversationError::NoPosition)?;
        // What the first answer holds, if it does, was published before.
        if head.status == 200 && !is_first {
            for notification in Notification::parse_array(body)? {
                notification.hear(on_heard)?;
            }
        }
        if head.is_last {
            return Err(ConversationError::NotKeptAlive);
        }
        self.response_head_octets = head.octets;
        match self.asks {
            Asks::Always => self.send(&format!("since={position}&wait=30s"), out),
            Asks::OnDemand if body.len() >= LARGE_ANSWER_BYTES => {
                self.send(&format!("since={position}"), out);
            }
            Asks::OnDemand => {}
        }
        self.position = Some(position);
        Ok(())
    }

    pub(super) fn end(&self) -> ConversationError {
        match &self.exchange {
            Exchange::Answered { head, body } if !matches!(head.status, 200 | 204) => {
                ConversationError::refused(head.status, body)
            }
            Exchange::Answered { head, .. } if head.is_last => ConversationError::NotKeptAlive,
            _ => ConversationError::Ended { ready: self.is_ready() },
        }
    }
}
