//! What a client says to the broker, in octets.

use super::batch::{read_messages, write_messages};
use super::octets::{Octets, write_short};
use super::publication::{HAS_KEY, HAS_MORE_FLAGS, MoreFlags, NO_ECHO, read_publication, write_publication};
use super::subscription::{
    HAS_OVERFLOW, IS_LIST, SINCE, SNAPSHOT, read_list, read_overflow, read_since, read_wanted, since_flag,
    since_form, write_since, write_subscribe,
};
use super::types::{AUTH, HELLO, PING, PUBLISH_BATCH, RECOVER, SUBSCRIBE, UNSUBSCRIBE};
use super::{Head, ID_FORM, What, id_flag, payload_kind, read_id, write_id};
use crate::command::{Command, CommandId, Envelope, Rejection, Token, check_length};
use crate::error::{CommandError, LayoutError};
use crate::limits::{MAX_HELLO_NAME_BYTES, MAX_TOKEN_BYTES};
use crate::topic::{Topic, TopicOrPattern};

/// Of `publish_batch`, beside [`NO_ECHO`].
const ATOMIC: u8 = 0x04;

/// Reads one command. It borrows its payload, its key and its topic from `message`.
pub fn parse_command(message: &[u8]) -> Result<Envelope<'_>, Box<Rejection>> {
    let mut partial = Partial::default();
    match partial.read(Octets::new(message)) {
        Ok(command) => Ok(Envelope { id: partial.id, command }),
        Err(error) => Err(Box::new(Rejection {
            id: partial.id,
            command: partial.name,
            topic: partial.topic.and_then(|topic| TopicOrPattern::parse(topic).ok()),
            error,
        })),
    }
}

/// What could be read of a command, should the rest be wrong.
#[derive(Default)]
struct Partial<'a> {
    id: Option<CommandId>,
    name: Option<&'static str>,
    topic: Option<&'a str>,
}

impl<'a> Partial<'a> {
    fn read(&mut self, mut octets: Octets<'a>) -> Result<Command<'a>, CommandError> {
        let head = Head::read(&mut octets)?;
        let known = known_command(head.what);
        let more = match head.what {
            What::Payload(_) => MoreFlags::read(head, &mut octets)?,
            What::Type(_) => MoreFlags::NONE,
        };
        let id = read_id(&mut octets, head).map(|id| self.id = id);
        let (name, flags) = known?;
        self.name = Some(name);
        id?;
        head.allow(flags)?;
        match head.what {
            What::Payload(kind) => self.publish(head, more, kind, octets),
            What::Type(PUBLISH_BATCH) => publish_batch(head, octets),
            What::Type(SUBSCRIBE) => self.subscribe(head, octets),
            What::Type(RECOVER) => self.recover(head, octets),
            What::Type(UNSUBSCRIBE) => self.unsubscribe(octets),
            What::Type(AUTH) => auth(octets),
            What::Type(HELLO) => hello(octets),
            What::Type(_) => octets.end().map(|()| Command::Ping).map_err(CommandError::from),
        }
    }

    fn topic(&mut self, octets: &mut Octets<'a>) -> Result<&'a str, LayoutError> {
        let topic = octets.short("topic")?;
        self.topic = Some(topic);
        Ok(topic)
    }

    fn subscribe(&mut self, head: Head, mut octets: Octets<'a>) -> Result<Command<'a>, CommandError> {
        let overflow = read_overflow(head, &mut octets)?;
        let wanted = if head.has(IS_LIST) {
            read_list(head, octets)?
        } else {
            let target = self.topic(&mut octets)?;
            read_wanted(head, target, octets)?
        };
        Ok(Command::Subscribe { wanted, overflow, snapshot: head.has(SNAPSHOT) })
    }

    fn recover(&mut self, head: Head, mut octets: Octets<'a>) -> Result<Command<'a>, CommandError> {
        let topic = Topic::parse(self.topic(&mut octets)?)?;
        let since = read_since(since_form(head), &mut octets)?;
        octets.end()?;
        Ok(Command::Recover { topic, since: since.ok_or(CommandError::MissingField("since"))? })
    }

    fn unsubscribe(&mut self, mut octets: Octets<'a>) -> Result<Command<'a>, CommandError> {
        let target = TopicOrPattern::parse(self.topic(&mut octets)?)?;
        octets.end()?;
        Ok(Command::Unsubscribe { target })
    }

    fn publish(
        &mut self,
        head: Head,
        more: MoreFlags,
        kind: u8,
        mut octets: Octets<'a>,
    ) -> Result<Command<'a>, CommandError> {
        more.check()?;
        let kind = payload_kind(kind)?;
        let topic = self.topic(&mut octets)?;
        let publication = read_publication((head, more, kind), topic, octets)?;
        Ok(Command::Publish { publication, echo: !head.has(NO_ECHO) })
    }
}

fn publish_batch(head: Head, octets: Octets<'_>) -> Result<Command<'_>, CommandError> {
    let messages = read_messages(octets)?;
    Ok(Command::PublishBatch { messages, atomic: head.has(ATOMIC), echo: !head.has(NO_ECHO) })
}

/// The name of a command and the flags that it can have.
fn known_command(what: What) -> Result<(&'static str, u8), LayoutError> {
    match what {
        What::Payload(_) => Ok(("publish", ID_FORM | HAS_KEY | NO_ECHO | HAS_MORE_FLAGS)),
        What::Type(PUBLISH_BATCH) => Ok(("publish_batch", ID_FORM | ATOMIC | NO_ECHO)),
        What::Type(SUBSCRIBE) => Ok(("subscribe", ID_FORM | SINCE | HAS_OVERFLOW | SNAPSHOT | IS_LIST)),
        What::Type(RECOVER) => Ok(("recover", ID_FORM | SINCE)),
        What::Type(UNSUBSCRIBE) => Ok(("unsubscribe", ID_FORM)),
        What::Type(AUTH) => Ok(("auth", ID_FORM)),
        What::Type(PING) => Ok(("ping", ID_FORM)),
        What::Type(HELLO) => Ok(("hello", ID_FORM)),
        What::Type(unknown) => Err(LayoutError::UnknownType(unknown)),
    }
}

fn auth(octets: Octets<'_>) -> Result<Command<'_>, CommandError> {
    let token = octets.text("token")?;
    check_length("token", token, MAX_TOKEN_BYTES)?;
    Ok(Command::Auth { token: Token(token.into()) })
}

fn hello(octets: Octets<'_>) -> Result<Command<'_>, CommandError> {
    let name = octets.text("name")?;
    check_length("name", name, MAX_HELLO_NAME_BYTES)?;
    Ok(Command::Hello { name: name.into() })
}

/// Appends the command, as a client sends it.
pub fn write_command(envelope: &Envelope<'_>, out: &mut Vec<u8>) {
    let id = envelope.id.as_ref();
    let mut begin = |what: u8, flags: u8| {
        out.extend_from_slice(&[what, id_flag(id) | flags]);
        write_id(out, id);
    };
    match &envelope.command {
        Command::Subscribe { wanted, overflow, snapshot } => {
            write_subscribe(wanted, *overflow, *snapshot, id, out);
        }
        Command::Recover { topic, since } => {
            begin(RECOVER, since_flag(Some(since)));
            write_short(out, topic);
            write_since(out, Some(since));
        }
        Command::Unsubscribe { target } => {
            begin(UNSUBSCRIBE, 0);
            write_short(out, target.as_str());
        }
        Command::Publish { publication, echo } => {
            write_publication(publication, id, if *echo { 0 } else { NO_ECHO }, out);
        }
        Command::PublishBatch { messages, atomic, echo } => {
            let atomic_flag = if *atomic { ATOMIC } else { 0 };
            begin(PUBLISH_BATCH, atomic_flag | if *echo { 0 } else { NO_ECHO });
            write_messages(messages, out);
        }
        Command::Auth { token } => {
            begin(AUTH, 0);
            out.extend_from_slice(token.0.as_bytes());
        }
        Command::Ping => begin(PING, 0),
        Command::Hello { name } => {
            begin(HELLO, 0);
            out.extend_from_slice(name.as_bytes());
        }
    }
}
