//! What a client says to the broker, in octets.

use std::borrow::Cow;

use super::octets::{Octets, write_short, write_u64};
use super::types::{HELLO, PING, RECOVER, SUBSCRIBE, UNSUBSCRIBE};
use super::{Head, ID_FORM, What, id_flag, payload_head, payload_kind, read_id, write_id};
use crate::command::{
    Command, CommandId, Envelope, PayloadKind, Rejection, Since, check_length, check_payload, position,
};
use crate::error::{CommandError, LayoutError};
use crate::limits::{MAX_HELLO_NAME_BYTES, MAX_KEY_BYTES};
use crate::topic::{Topic, TopicOrPattern, TopicRef};

/// Of `subscribe` and `recover`.
const SINCE_EARLIEST: u8 = 0x04;
const SINCE_POSITION: u8 = 0x08;
const SINCE: u8 = SINCE_EARLIEST | SINCE_POSITION;

/// Of `publish`.
const HAS_KEY: u8 = 0x04;
const NO_ECHO: u8 = 0x08;

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
        let id = read_id(&mut octets, head).map(|id| self.id = id);
        let (name, flags) = known?;
        self.name = Some(name);
        id?;
        head.allow(flags)?;
        match head.what {
            What::Payload(kind) => self.publish(head, payload_kind(kind)?, octets),
            What::Type(SUBSCRIBE) => self.subscribe(head, octets),
            What::Type(RECOVER) => self.recover(head, octets),
            What::Type(UNSUBSCRIBE) => self.unsubscribe(octets),
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
        let target = TopicOrPattern::parse(self.topic(&mut octets)?)?;
        let since = read_since(head, octets)?;
        match (&target, &since) {
            (TopicOrPattern::Pattern(_), Some(_)) => Err(CommandError::SinceWithPattern),
            _ => Ok(Command::Subscribe { target, since }),
        }
    }

    fn recover(&mut self, head: Head, mut octets: Octets<'a>) -> Result<Command<'a>, CommandError> {
        let topic = Topic::parse(self.topic(&mut octets)?)?;
        let since = read_since(head, octets)?.ok_or(CommandError::MissingField("since"))?;
        Ok(Command::Recover { topic, since })
    }

    fn unsubscribe(&mut self, mut octets: Octets<'a>) -> Result<Command<'a>, CommandError> {
        let target = TopicOrPattern::parse(self.topic(&mut octets)?)?;
        octets.end()?;
        Ok(Command::Unsubscribe { target })
    }

    fn publish(
        &mut self,
        head: Head,
        kind: PayloadKind,
        mut octets: Octets<'a>,
    ) -> Result<Command<'a>, CommandError> {
        let topic = TopicRef::parse(self.topic(&mut octets)?)?;
        let key = if head.has(HAS_KEY) { Some(octets.short("key")?) } else { None };
        if let Some(key) = key {
            check_length("key", key, MAX_KEY_BYTES)?;
        }
        let payload = octets.payload();
        check_payload(kind, payload)?;
        let (key, payload) = (key.map(Cow::Borrowed), Cow::Borrowed(payload));
        Ok(Command::Publish { topic, key, kind, payload, echo: !head.has(NO_ECHO) })
    }
}

/// The name of a command and the flags that it can have.
fn known_command(what: What) -> Result<(&'static str, u8), LayoutError> {
    match what {
        What::Payload(_) => Ok(("publish", ID_FORM | HAS_KEY | NO_ECHO)),
        What::Type(SUBSCRIBE) => Ok(("subscribe", ID_FORM | SINCE)),
        What::Type(RECOVER) => Ok(("recover", ID_FORM | SINCE)),
        What::Type(UNSUBSCRIBE) => Ok(("unsubscribe", ID_FORM)),
        What::Type(PING) => Ok(("ping", ID_FORM)),
        What::Type(HELLO) => Ok(("hello", ID_FORM)),
        What::Type(unknown) => Err(LayoutError::UnknownType(unknown)),
    }
}

fn hello(octets: Octets<'_>) -> Result<Command<'_>, CommandError> {
    let name = octets.text("name")?;
    check_length("name", name, MAX_HELLO_NAME_BYTES)?;
    Ok(Command::Hello { name: name.into() })
}

/// Where to begin, which is the last that a command has.
fn read_since(head: Head, mut octets: Octets<'_>) -> Result<Option<Since>, CommandError> {
    let since = match head.flags & SINCE {
        0 => None,
        SINCE_EARLIEST => Some(Since::Earliest),
        SINCE_POSITION => {
            let offset = octets.u64("since")?;
            Some(Since::Position(position(octets.short("since")?, offset)?))
        }
        _ => return Err(CommandError::BadSince),
    };
    octets.end()?;
    Ok(since)
}

/// Appends the command, as a client sends it.
pub fn write_command(envelope: &Envelope<'_>, out: &mut Vec<u8>) {
    let id = envelope.id.as_ref();
    let mut begin = |what: u8, flags: u8| {
        out.extend_from_slice(&[what, id_flag(id) | flags]);
        write_id(out, id);
    };
    match &envelope.command {
        Command::Subscribe { target, since } => {
            begin(SUBSCRIBE, since.as_ref().map_or(0, since_flag));
            write_short(out, target.as_str());
            write_since(out, since.as_ref());
        }
        Command::Recover { topic, since } => {
            begin(RECOVER, since_flag(since));
            write_short(out, topic);
            write_since(out, Some(since));
        }
        Command::Unsubscribe { target } => {
            begin(UNSUBSCRIBE, 0);
            write_short(out, target.as_str());
        }
        Command::Publish { topic, key, kind, payload, echo } => {
            let key_flag = if key.is_some() { HAS_KEY } else { 0 };
            let echo_flag = if *echo { 0 } else { NO_ECHO };
            out.push(payload_head(*kind, id_flag(id) | key_flag | echo_flag));
            write_id(out, id);
            write_short(out, topic.as_str());
            key.as_deref().into_iter().for_each(|key| write_short(out, key));
            out.extend_from_slice(payload);
        }
        Command::Ping => begin(PING, 0),
        Command::Hello { name } => {
            begin(HELLO, 0);
            out.extend_from_slice(name.as_bytes());
        }
    }
}

const fn since_flag(since: &Since) -> u8 {
    match since {
        Since::Earliest => SINCE_EARLIEST,
        Since::Position(_) => SINCE_POSITION,
    }
}

fn write_since(out: &mut Vec<u8>, since: Option<&Since>) {
    if let Some(Since::Position(position)) = since {
        write_u64(out, position.offset);
        write_short(out, &position.epoch);
    }
}
