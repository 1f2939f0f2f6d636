//! Where a client is in a topic, as requests and responses over HTTP say it.

use fanwire_broker::lanes::Start;
use fanwire_wire::command::{Position, Since, parse_position, parse_since};
use fanwire_wire::error::{CommandError, ErrorCode};
use fanwire_wire::http::{Request, query_parameter};

use super::{Response, bad_input, bad_query, bad_request};

/// Where the query says to start, with `since` or `last`, if it says so.
pub(super) fn start_in_query(query: &str) -> Result<Option<Start>, Response> {
    let parameter = |name| query_parameter(query, name).map_err(|error| bad_request(&error));
    match (parameter("since")?, parameter("last")?) {
        (None, None) => Ok(None),
        (Some(since), None) => start_since(&since).map(Some),
        (None, Some(last)) => {
            let count = last.parse().map_err(|_| bad_query("last must be a number of messages"))?;
            Ok(Some(Start::Last(count)))
        }
        (Some(_), Some(_)) => Err(bad_query("since and last both say where to start; use one")),
    }
}

/// The start that `earliest` or `EPOCH:OFFSET` stands for.
fn start_since(text: &str) -> Result<Start, Response> {
    match parse_since(text).map_err(|error| bad_since(&error))? {
        Since::Earliest => Ok(Start::Earliest),
        Since::Position(position) => Ok(Start::After(position)),
    }
}

fn bad_since(error: &CommandError) -> Response {
    bad_input(ErrorCode::BadSince, &error.to_string())
}

/// A position as a strong entity tag (RFC 9110 §8.8.3).
pub(super) fn entity_tag(epoch: &str, offset: u64) -> String {
    format!("\"{epoch}:{offset}\"")
}

/// What a client says that it has: the entity tags of `If-None-Match` (RFC 9110 §13.1.2) that may name something here.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// It has something, whatever that is.
    anything: bool,
    /// The offsets of this run that its tags name.
    offsets: Box<[u64]>,
}

impl Known {
    /// What a client has of a run of the broker. Only numbers are kept of what may be thousands of tags.
    pub(super) fn of(request: &Request<'_>, epoch: &str) -> Self {
        Self::in_tags(request.headers().elements("If-None-Match"), epoch)
    }

    fn in_tags<'a>(tags: impl Iterator<Item = &'a str>, epoch: &str) -> Self {
        let (mut anything, mut offsets) = (false, Vec::new());
        for tag in tags {
            anything |= tag == "*";
            offsets.extend(position_in_tag(tag).filter(|it| *it.epoch == *epoch).map(|it| it.offset));
        }
        Self { anything, offsets: offsets.into() }
    }

    /// Whether it has what this offset stands for.
    pub(super) fn has(&self, offset: u64) -> bool {
        self.anything || self.offsets.contains(&offset)
    }
}

/// The position that a client is at, if what it has is that alone.
pub(super) fn known_position(request: &Request<'_>) -> Option<Position> {
    sole_position(request.headers().elements("If-None-Match"))
}

fn sole_position<'a>(mut tags: impl Iterator<Item = &'a str>) -> Option<Position> {
    let (Some(tag), None) = (tags.next(), tags.next()) else { return None };
    position_in_tag(tag)
}

/// The position that an entity tag stands for. Proxies make a tag weak when they compress what it names.
fn position_in_tag(tag: &str) -> Option<Position> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    parse_position(tag.strip_prefix('"')?.strip_suffix('"')?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_whether_it_is_weak_or_one_of_several() {
        let has = |header: &str| Known::in_tags(header.split(','), "e").has(41);
        for header in [r#""e:41""#, r#"W/"e:41""#, r#""x","e:41""#, "*"] {
            assert!(has(header), "{header}");
        }
        for header in ["", "e:41", r#""e:4""#, r#""e:411""#, r#""E:41""#, r#""earliest""#] {
            assert!(!has(header), "{header}");
        }
    }

    #[test]
    fn a_client_is_at_a_position_if_that_is_all_it_has() {
        let position = |header: &str| sole_position(header.split(',')).map(|position| position.offset);
        assert_eq!(position(&entity_tag("e", 41)), Some(41));
        assert_eq!(position(r#"W/"e:41""#), Some(41));
        for header in ["", "*", r#""earliest""#, r#""e:41","e:42""#, "e:41", r#""e""#] {
            assert_eq!(position(header), None, "{header}");
        }
    }
}
