//! Server-Sent Events: what a browser's `EventSource` reads (HTML Living Standard, §9.2).
//!
//! ```text
//!   id: 177a0ec9cc5b2d4c:45      where the client is once it has the event, which it sends back when it reconnects
//!   data: {"type":"message",…}
//!                                an empty line ends the event
//!   retry: 10000                 how long the client waits before it reconnects
//!   :                            a comment, which nobody is told of
//! ```

use std::io::Write as _;

use memchr::memchr2;

/// The media type of an event stream. It is always UTF-8.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// A sign of life: a comment that says nothing.
pub const HEARTBEAT: &[u8] = b":\n\n";

/// Appends an event: `data`, which is UTF-8, and the position of the client once it has that, an epoch and an offset.
///
/// A line break within `data` (CR, LF or both) begins another `data` line, which the client joins by an LF: within JSON
/// these stand between tokens only, and mean the same.
pub fn write_event(out: &mut Vec<u8>, position: Option<(&str, u64)>, data: &[u8]) {
    if let Some((epoch, offset)) = position {
        writeln!(out, "id: {epoch}:{offset}").expect("writing to memory does not fail");
    }
    let mut rest = data;
    loop {
        let (line, behind) = rest.split_at(memchr2(b'\r', b'\n', rest).unwrap_or(rest.len()));
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = match behind {
            [] => break,
            [b'\r', b'\n', next @ ..] | [_, next @ ..] => next,
        };
    }
    out.push(b'\n');
}

/// Appends how long the client is to wait, in milliseconds, before it reconnects.
pub fn write_retry(out: &mut Vec<u8>, milliseconds: u64) {
    writeln!(out, "retry: {milliseconds}\n").expect("writing to memory does not fail");
}

/// Appends a comment of one line.
pub fn write_comment(out: &mut Vec<u8>, text: &str) {
    debug_assert!(!text.contains(['\r', '\n']), "a comment of several lines: {text:?}");
    out.extend_from_slice(b": ");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The events of a stream, each with the last id that the client has by then and its data: the standard's own steps
    /// (§9.2.6), a line at a time.
    fn interpret(stream: &str) -> Vec<(String, String)> {
        let lines = stream.replace("\r\n", "\n").replace('\r', "\n");
        let (mut events, mut id, mut data) = (Vec::new(), String::new(), String::new());
        for line in lines.split('\n') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => data = data + value + "\n",
                "id" => value.clone_into(&mut id),
                "" if line.is_empty() && !data.is_empty() => {
                    data.pop();
                    events.push((id.clone(), std::mem::take(&mut data)));
                }
                _ => assert!(line.is_empty() || line.starts_with(':'), "a field that nobody wrote: {line:?}"),
            }
        }
        assert!(data.is_empty(), "an event that does not end");
        events
    }

    proptest! {
        #[test]
        fn a_client_hears_what_was_written(
            events in prop::collection::vec((0u64..1 << 53, "(\r|\n|\r\n|[ a:]|id: x){0,12}"), 0..4),
        ) {
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            for (offset, data) in events {
                out.extend_from_slice(HEARTBEAT);
                write_event(&mut out, Some(("5eed", offset)), data.as_bytes());
                write_comment(&mut out, "id: none");
                expected.push((format!("5eed:{offset}"), data.replace("\r\n", "\n").replace('\r', "\n")));
            }
            prop_assert_eq!(interpret(str::from_utf8(&out).unwrap()), expected);
        }
    }

    #[test]
    fn an_event_without_a_position_leaves_the_client_where_it_is() {
        let mut out = Vec::new();
        write_event(&mut out, Some(("5eed", 7)), b"{}");
        write_event(&mut out, None, b"[]");
        let events = interpret(str::from_utf8(&out).unwrap());
        assert_eq!(events, [("5eed:7".into(), "{}".into()), ("5eed:7".into(), "[]".into())]);
    }
}
