//! Where a client is in a topic, as requests and responses over HTTP say it.

use fanwire_broker::lanes::Start;
use fanwire_wire::command::{Position, Since, parse_since};
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
pub(super) fn start_since(text: &str) -> Result<Start, Response> {
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

/// What a client says that it has: the entity tags of `If-None-Match` (RFC 9110 §13.1.2).
#[derive(Debug, Default)]
pub(crate) struct Known(Box<str>);

impl Known {
    pub(super) fn of(request: &Request<'_>) -> Self {
        let tags: Vec<_> = request.headers().elements("If-None-Match").collect();
        Self(tags.join(",").into())
    }

    /// Whether it has what `tag` names. Proxies make a tag weak when they compress what it names.
    pub(super) fn has(&self, tag: &str) -> bool {
        self.tags().any(|known| known == tag || known == "*")
    }

    /// The position that the client is at, if what it has is one.
    pub(super) fn position(&self) -> Option<Position> {
        let mut tags = self.tags();
        let (Some(tag), None) = (tags.next(), tags.next()) else { return None };
        match parse_since(tag.strip_prefix('"')?.strip_suffix('"')?) {
            Ok(Since::Position(position)) => Some(position),
            Ok(Since::Earliest) | Err(_) => None,
        }
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(header: &str) -> Known {
        Known(header.into())
    }

    #[test]
    fn a_tag_is_known_whether_it_is_weak_or_one_of_several() {
        for header in [r#""e:41""#, r#"W/"e:41""#, r#""x","e:41""#, "*"] {
            assert!(known(header).has(r#""e:41""#), "{header}");
        }
        for header in ["", "e:41", r#""e:4""#, r#""e:411""#, r#""E:41""#] {
            assert!(!known(header).has(r#""e:41""#), "{header}");
        }
    }

    #[test]
    fn a_client_is_at_a_position_if_that_is_all_it_has() {
        let position = |header: &str| known(header).position().map(|position| position.offset);
        assert_eq!(position(&entity_tag("e", 41)), Some(41));
        assert_eq!(position(r#"W/"e:41""#), Some(41));
        for header in ["", "*", r#""earliest""#, r#""e:41","e:42""#, "e:41", r#""e""#] {
            assert_eq!(position(header), None, "{header}");
        }
    }
}
