//! The HTTP side of a connection: its requests, one after the other, as their octets arrive.
//!
//! ```text
//!   Head ── no body ──────────────────────► Ready ──► answered at once, or Awaiting the shard ──► Head
//!     └─── Body (100 Continue, decode) ───────┘
//! ```
//!
//! No I/O here: octets in by [`Conversation::receive`], requests out by [`Conversation::next_step`].

use std::mem;

use fanwire_wire::error::RequestError;
use fanwire_wire::http::{BodyDecoder, BodyLength, Request, parse_request_within};
use fanwire_wire::topic::Topic;

use crate::auth::Client;
use crate::http_api::{Asked, Call, Known, PendingStream, PendingUpgrade, Reply};

/// The requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// What has come and belongs to no request yet. It is as long as one read and an incomplete head at most.
    input: Vec<u8>,
    progress: Progress,
    /// Octets of the current request have come.
    begun: bool,
    /// A request was answered: what comes next may take its time to begin.
    answered: bool,
}

/// How far the current request has come.
#[derive(Debug, Default)]
enum Progress {
    /// Its head is not complete.
    #[default]
    Head,
    /// Its head is, and its body is not.
    Body(Box<Incomplete>),
    /// It waits for the shard's answer.
    Awaiting(Awaited, Reply),
}

/// A request whose body is still to come.
#[derive(Debug)]
struct Incomplete {
    asked: Asked,
    decoder: BodyDecoder,
    body: Vec<u8>,
    /// The client sends the body when it is told to.
    expects_continue: bool,
}

/// What the shard was asked, and answers with an event.
#[derive(Debug)]
pub(crate) enum Awaited {
    /// The offset of a message that was published.
    Published,
    /// The offsets of a batch's messages, or why they have none.
    PublishedBatch,
    /// The latest message of a topic.
    Latest(Known),
    /// What a topic has since a position.
    Polled {
        /// The topic.
        topic: Topic,
        /// What the client has already.
        known: Known,
        /// When it has waited long enough, on the monotonic clock, if it waits.
        ends_at_ms: Option<u64>,
    },
    /// The subscription that a raw connection begins with.
    Subscribed(Box<PendingUpgrade>),
    /// The subscription that an event stream begins with.
    Streamed(Box<PendingStream>),
}

/// A whole request.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// What it asks for.
    pub(crate) call: Call,
    /// Who asks.
    pub(crate) client: Client,
    /// Its body.
    pub(crate) body: Vec<u8>,
    /// How it is to be answered.
    pub(crate) reply: Reply,
}

impl Exchange {
    fn new(Asked { call, client, reply }: Asked, body: Vec<u8>) -> Self {
        Self { call, client, body, reply }
    }
}

/// The most octets of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) head: usize,
    pub(crate) body: usize,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Wait for more octets.
    Wait,
    /// Tell the client to send the body (RFC 9110 §10.1.1), and ask again.
    Continue,
    /// Answer the request.
    Answer(Exchange),
}

impl Conversation {
    /// Takes in what came.
    pub(crate) fn receive(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
    }

    /// Notes that octets come. `true` if they begin a request that nobody waited for.
    pub(crate) fn begin_request(&mut self) -> bool {
        let was_idle = !self.is_in_request();
        self.begun = true;
        was_idle
    }

    /// Whether the client owes us octets: the rest of a request, or the first of all.
    pub(crate) fn is_in_request(&self) -> bool {
        self.begun || !self.answered
    }

    /// What is kept of requests that are not whole, in bytes.
    pub(crate) fn kept_bytes(&self) -> usize {
        let body =
            if let Progress::Body(incomplete) = &self.progress { incomplete.body.capacity() } else { 0 };
        self.input.capacity() + body
    }

    /// Whether any octet of the current request has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the current request waits for the shard's answer.
    pub(crate) fn is_awaiting(&self) -> bool {
        matches!(self.progress, Progress::Awaiting(..))
    }

    /// When the current request, a poll that waits, has waited long enough.
    pub(crate) fn poll_ends_at_ms(&self) -> Option<u64> {
        match &self.progress {
            Progress::Awaiting(Awaited::Polled { ends_at_ms, .. }, _) => *ends_at_ms,
            _ => None,
        }
    }

    /// The current request waits for nothing but its answer from here on. `true` if it was a poll that waited.
    pub(crate) fn end_poll(&mut self) -> bool {
        match &mut self.progress {
            Progress::Awaiting(Awaited::Polled { ends_at_ms, .. }, _) => ends_at_ms.take().is_some(),
            _ => false,
        }
    }

    /// Goes on with the current request, or the next. `asked` says what a head asks for. After an error nothing that
    /// follows has a meaning.
    pub(crate) fn next_step(
        &mut self,
        asked: impl FnOnce(&Request<'_>) -> Asked,
        bounds: Bounds,
    ) -> Result<Step, RequestError> {
        if matches!(self.progress, Progress::Head)
            && let Some(step) = self.read_head(asked, bounds)?
        {
            return Ok(step);
        }
        self.read_body()
    }

    /// Waits for the shard's answer. That may take a minute, for which no buffer is kept.
    pub(crate) fn await_answer(&mut self, awaited: Awaited, reply: Reply) {
        self.progress = Progress::Awaiting(awaited, reply);
        self.free_input();
    }

    /// What the shard's answer is for, if it is awaited.
    pub(crate) fn take_awaited(&mut self) -> Option<(Awaited, Reply)> {
        match mem::take(&mut self.progress) {
            Progress::Awaiting(awaited, reply) => Some((awaited, reply)),
            other => {
                self.progress = other;
                None
            }
        }
    }

    /// The current request was answered. Between requests nothing is kept.
    pub(crate) fn finish(&mut self) {
        self.progress = Progress::Head;
        self.begun = !self.input.is_empty();
        self.answered = true;
        self.free_input();
    }

    fn free_input(&mut self) {
        if self.input.is_empty() {
            self.input = Vec::new();
        }
    }

    /// What came behind the last request, which was an upgrade.
    pub(crate) fn take_input(&mut self) -> Vec<u8> {
        mem::take(&mut self.input)
    }

    /// Reads a head; a step, unless a body is to be read.
    fn read_head(
        &mut self,
        asked: impl FnOnce(&Request<'_>) -> Asked,
        bounds: Bounds,
    ) -> Result<Option<Step>, RequestError> {
        let Some((request, head_len)) = parse_request_within(&self.input, bounds.head)? else {
            return Ok(Some(Step::Wait));
        };
        let mut asked = asked(&request);
        let length = request.body();
        let expects_continue = request.expects_continue();
        self.input.drain(..head_len);
        if length == BodyLength::None {
            return Ok(Some(Step::Answer(Exchange::new(asked, Vec::new()))));
        }
        if !asked.call.takes_body() {
            // The answer does not wait for a body that it does not need, so what follows cannot be told apart.
            asked.reply = asked.reply.last();
            return Ok(Some(Step::Answer(Exchange::new(asked, Vec::new()))));
        }
        let decoder = BodyDecoder::new(length, bounds.body)?;
        self.progress =
            Progress::Body(Box::new(Incomplete { asked, decoder, body: Vec::new(), expects_continue }));
        Ok(None)
    }

    fn read_body(&mut self) -> Result<Step, RequestError> {
        let Progress::Body(incomplete) = &mut self.progress else { return Ok(Step::Wait) };
        let taken = incomplete.decoder.decode(&self.input, &mut incomplete.body)?;
        self.input.drain(..taken);
        if !incomplete.decoder.is_done() {
            let is_awaited = mem::take(&mut incomplete.expects_continue) && incomplete.body.is_empty();
            return Ok(if is_awaited { Step::Continue } else { Step::Wait });
        }
        let Progress::Body(incomplete) = mem::take(&mut self.progress) else { return Ok(Step::Wait) };
        let Incomplete { asked, body, .. } = *incomplete;
        Ok(Step::Answer(Exchange::new(asked, body)))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use fanwire_broker::message::Draft;
    use fanwire_wire::command::{PayloadKind, Publication};
    use fanwire_wire::http::Status;
    use fanwire_wire::topic::TopicRef;

    use super::*;
    use crate::http_api::{Response, Sharing};

    const MAX_BODY: usize = 10;
    const BOUNDS: Bounds = Bounds { head: 200, body: MAX_BODY };

    /// GET is answered at once, POST takes its body.
    fn asked(request: &Request<'_>) -> Asked {
        let call = match request.path().strip_prefix("/topics/") {
            Some(topic) => {
                let topic = TopicRef::parse(Cow::Borrowed(topic)).expect("the tests name topics");
                let message = Publication::new(topic, PayloadKind::Text, &b""[..]);
                Call::Post(Ok(Box::new(Draft::of(message, true))))
            }
            None => Call::Answer(Response::new(Status::Ok, "text/plain", "")),
        };
        Asked { call, client: Client::nobody(), reply: Reply::to(request, Sharing::default()) }
    }

    /// What each request of `octets` was and had for a body, when they come in pieces of `size`.
    fn requests_in(octets: &[u8], size: usize) -> Result<Vec<(bool, Vec<u8>)>, RequestError> {
        let mut conversation = Conversation::default();
        let mut requests = Vec::new();
        for piece in octets.chunks(size) {
            conversation.receive(piece);
            loop {
                match conversation.next_step(asked, BOUNDS)? {
                    Step::Wait => break,
                    Step::Continue => {}
                    Step::Answer(exchange) => {
                        requests.push((exchange.call.takes_body(), exchange.body));
                        conversation.finish();
                    }
                }
            }
        }
        assert!(!conversation.has_begun(), "the last request is whole");
        assert_eq!(conversation.input.capacity(), 0, "between requests nothing is kept");
        Ok(requests)
    }

    const REQUESTS: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\
        POST /topics/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody\
        POST /topics/b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n\
        POST /topics/c HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn requests_are_the_same_wherever_they_are_cut() {
        let expected = [(false, vec![]), (true, b"body".to_vec()), (true, b"body".to_vec()), (true, vec![])];
        for size in 1..=REQUESTS.len() {
            assert_eq!(requests_in(REQUESTS, size).unwrap(), expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_body_over_the_bound_is_an_error_wherever_it_is_cut() {
        let octets =
            b"POST /topics/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfanwir\r\n5\r\n";
        for size in 1..=octets.len() {
            assert_eq!(requests_in(octets, size), Err(RequestError::BodyTooLarge { limit: MAX_BODY }));
        }
    }

    #[test]
    fn a_head_over_the_bound_is_an_error_wherever_it_is_cut() {
        let head =
            |length: usize| format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(length - 32));
        let (fits, larger) = (head(BOUNDS.head), head(BOUNDS.head + 1));
        assert_eq!(fits.len(), BOUNDS.head);
        for size in 1..=larger.len() {
            assert_eq!(requests_in(fits.as_bytes(), size).unwrap().len(), 1);
            let error = RequestError::HeadTooLarge { limit: BOUNDS.head };
            assert_eq!(requests_in(larger.as_bytes(), size), Err(error));
        }
    }

    #[test]
    fn a_body_that_nobody_needs_ends_the_connection_with_the_answer() {
        let mut conversation = Conversation::default();
        conversation.receive(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET ");
        let step = conversation.next_step(asked, BOUNDS).unwrap();
        assert!(matches!(step, Step::Answer(Exchange { ref reply, .. }) if !reply.keeps_alive()), "{step:?}");
    }

    #[test]
    fn no_buffer_is_kept_while_a_request_waits_for_the_shard() {
        let mut conversation = Conversation::default();
        conversation.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let Step::Answer(exchange) = conversation.next_step(asked, BOUNDS).unwrap() else {
            panic!("the request is whole")
        };
        conversation.await_answer(Awaited::Published, exchange.reply);
        assert_eq!(conversation.input.capacity(), 0);
    }

    #[test]
    fn nothing_is_read_past_a_request_that_waits_for_the_shard() {
        let mut conversation = Conversation::default();
        conversation.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let Step::Answer(exchange) = conversation.next_step(asked, BOUNDS).unwrap() else {
            panic!("the request is whole")
        };
        conversation.await_answer(Awaited::Published, exchange.reply);
        assert!(matches!(conversation.next_step(asked, BOUNDS), Ok(Step::Wait)));
        assert!(conversation.take_awaited().is_some());
        conversation.finish();
        assert!(conversation.has_begun(), "the next has come already");
        assert!(matches!(conversation.next_step(asked, BOUNDS), Ok(Step::Answer(_))));
    }
}
