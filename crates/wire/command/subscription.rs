//! What a `subscribe` asks for.

use smallvec::{SmallVec, smallvec};

use super::Command;
use super::fields::{Field, Fields, elements};
use super::position::{Since, since_field};
use crate::error::CommandError;
use crate::limits::MAX_LIST_TOPICS;
use crate::topic::TopicOrPattern;

/// One topic or pattern that a `subscribe` is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What to deliver.
    pub target: TopicOrPattern,
    /// Where to begin; none is now. Never with a pattern.
    pub since: Option<Since>,
}

/// What a full write queue costs the subscription whose message found it full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OverflowPolicy {
    /// With history: the queue's messages of the topic are let go, and the subscription catches up from
    /// history. Without: the older half of them is let go, and told in one gap.
    #[default]
    Gap,
    /// While the connection is behind, the newest message of each topic and key takes the place of the one before it.
    /// Deliveries say how many they `skipped`.
    Conflate,
    /// The connection is closed (1013) with a reason.
    Disconnect,
}

/// What a `subscribe` is for: nearly always one.
pub type WantedList = SmallVec<[Wanted; 1]>;

impl Wanted {
    /// Checks that what begins with a `snapshot` does not begin elsewhere, and that a position is for one topic.
    pub(crate) fn new(
        target: TopicOrPattern,
        since: Option<Since>,
        snapshot: bool,
    ) -> Result<Self, CommandError> {
        match (&target, &since) {
            (_, Some(_)) if snapshot => Err(CommandError::SinceWithSnapshot),
            (TopicOrPattern::Pattern(_), Some(_)) => Err(CommandError::SinceWithPattern),
            _ => Ok(Self { target, since }),
        }
    }

    fn parse(fields: &Fields<'_>, snapshot: bool) -> Result<Self, CommandError> {
        let target = TopicOrPattern::parse(&fields.string(Field::Topic)?)?;
        Self::new(target, since_field(fields)?, snapshot)
    }
}

impl OverflowPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Gap, Self::Conflate, Self::Disconnect];

    /// The policy of this name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == name)
    }

    /// Its name, in commands and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Conflate => "conflate",
            Self::Disconnect => "disconnect",
        }
    }
}

impl Command<'_> {
    /// The `subscribe` to one topic or pattern that asks for nothing else.
    pub fn subscribe(target: TopicOrPattern, since: Option<Since>) -> Self {
        Self::Subscribe { wanted: smallvec![Wanted { target, since }], overflow: None, snapshot: false }
    }
}

/// What is wrong with an `overflow` that is none.
pub(crate) const BAD_OVERFLOW: CommandError = CommandError::BadField {
    field: Field::Overflow.name(),
    expected: "\"gap\", \"conflate\" or \"disconnect\"",
};

/// How what each topic of a list says for itself is to be beside the list, and the other way round.
const BESIDE_TOPICS: &str = "left out beside \"topics\", each of which has its own";
const WITHIN_TOPICS: &str = "left out here: it stands beside \"topics\", and holds for all of them";

/// What is wrong with a list of topics that is empty, too long or no list.
pub(crate) const BAD_LIST: CommandError =
    CommandError::BadList { field: Field::Topics.name(), limit: MAX_LIST_TOPICS };

pub(super) fn parse_subscribe<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let overflow = overflow_field(fields)?;
    let snapshot = fields.optional_boolean(Field::Snapshot)?.unwrap_or(false);
    let wanted = match fields.optional_json(Field::Topics) {
        None => smallvec![Wanted::parse(fields, snapshot)?],
        Some(list) => {
            fields.without(&[Field::Topic, Field::Since], BESIDE_TOPICS)?;
            parse_list(list, snapshot)?
        }
    };
    Ok(Command::Subscribe { wanted, overflow, snapshot })
}

fn overflow_field(fields: &Fields<'_>) -> Result<Option<OverflowPolicy>, CommandError> {
    let name = fields.optional_string(Field::Overflow)?;
    name.map(|name| OverflowPolicy::parse(&name).ok_or(BAD_OVERFLOW)).transpose()
}

fn parse_list(list: &str, snapshot: bool) -> Result<WantedList, CommandError> {
    let (texts, has_more) = elements(list, MAX_LIST_TOPICS).ok_or(BAD_LIST)?;
    if texts.is_empty() || has_more {
        return Err(BAD_LIST);
    }
    let parse = |(index, text)| {
        parse_element(text, snapshot).map_err(|error| error.within(Field::Topics.name(), index))
    };
    texts.into_iter().enumerate().map(parse).collect()
}

fn parse_element(text: &str, snapshot: bool) -> Result<Wanted, CommandError> {
    let fields = Fields::of_element(text)?;
    fields.without(&[Field::Overflow, Field::Snapshot], WITHIN_TOPICS)?;
    Wanted::parse(&fields, snapshot)
}
