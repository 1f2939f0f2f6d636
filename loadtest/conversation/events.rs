//! Server-sent events, parsed as the HTML standard says (§9.2.6, "Interpreting an event stream").

use std::mem;

use memchr::memchr2;

use super::MAX_MESSAGE_BYTES;
use super::error::BadResponse;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told<'a> {
    /// The data of an event, its lines joined by LF.
    Data(&'a [u8]),
    /// A comment that is not empty, as heartbeats are.
    Comment(&'a [u8]),
}

/// Reads one event after the other from a stream that is cut anywhere.
///
/// Lines end with LF, CR LF or CR. Types, ids and times to reconnect after are read over: the data says by itself what it
/// is, and this client does not reconnect.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    /// What came of a line that is not complete.
    line: Vec<u8>,
    /// The data lines of the event so far, each with a LF behind it.
    data: Vec<u8>,
    /// The octet before was a CR: a LF belongs to the same line end.
    after_cr: bool,
    /// A line has ended: a byte order mark would not be one any more.
    is_begun: bool,
    /// A line of an event or a comment has ended, and the empty line behind it has not come.
    is_within: bool,
}

impl EventReader {
    /// Whether all that was begun has ended.
    pub(super) fn is_idle(&self) -> bool {
        self.line.is_empty() && !self.is_within
    }

    /// Takes in what came, and tells what ends in it. Events without data are none.
    pub(super) fn read<E: From<BadResponse>>(
        &mut self,
        input: &[u8],
        mut tell: impl FnMut(Told<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = input;
        if self.after_cr && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.after_cr = false;
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let (line, line_end) = rest.split_at(end);
            self.end_line(line, &mut tell)?;
            rest = match line_end {
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => &[],
            };
            self.after_cr = line_end == b"\r";
        }
        self.check_room(rest)?;
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// A line has ended, of which `tail` is what has come last.
    fn end_line<E: From<BadResponse>>(
        &mut self,
        tail: &[u8],
        tell: &mut impl FnMut(Told<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check_room(tail)?;
        if self.line.is_empty() {
            return self.take_line(tail, tell);
        }
        let mut line = mem::take(&mut self.line);
        line.extend_from_slice(tail);
        self.take_line(&line, tell)
    }

    fn take_line<E: From<BadResponse>>(
        &mut self,
        line: &[u8],
        tell: &mut impl FnMut(Told<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_first = !mem::replace(&mut self.is_begun, true);
        let line = if is_first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        self.is_within = !line.is_empty();
        if line.is_empty() {
            return self.end_event(tell);
        }
        if let Some(comment) = line.strip_prefix(b":") {
            return if comment.is_empty() { Ok(()) } else { tell(Told::Comment(comment)) };
        }
        let Some(value) = line.strip_prefix(b"data") else { return Ok(()) };
        let value = match value {
            [] => value,
            [b':', b' ', value @ ..] | [b':', value @ ..] => value,
            // A field whose name only begins like that.
            _ => return Ok(()),
        };
        self.data.extend_from_slice(value);
        self.data.push(b'\n');
        Ok(())
    }

    fn end_event<E>(&mut self, tell: &mut impl FnMut(Told<'_>) -> Result<(), E>) -> Result<(), E> {
        if let Some(data) = self.data.strip_suffix(b"\n") {
            tell(Told::Data(data))?;
        }
        self.data.clear();
        Ok(())
    }

    /// Whether `more` may be kept.
    fn check_room(&self, more: &[u8]) -> Result<(), BadResponse> {
        let octets = self.line.len() + self.data.len() + more.len();
        if octets <= MAX_MESSAGE_BYTES { Ok(()) } else { Err(BadResponse::BodyTooLarge) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conversation::tests::cut;

    /// What is told, in order: data as it is, comments with a colon in front.
    fn read_pieces<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
        let mut reader = EventReader::default();
        let mut told = Vec::new();
        for piece in pieces {
            let outcome: Result<(), BadResponse> = reader.read(piece, |it| {
                told.push(match it {
                    Told::Data(data) => str::from_utf8(data).unwrap().to_owned(),
                    Told::Comment(comment) => format!(":{}", str::from_utf8(comment).unwrap()),
                });
                Ok(())
            });
            outcome.unwrap();
        }
        told
    }

    /// The standard's own steps, over the whole of a stream.
    fn naive_read(stream: &str) -> Vec<String> {
        let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
        let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
        let mut lines: Vec<_> = stream.split('\n').collect();
        // What has no end is no line.
        lines.pop();
        let (mut told, mut data) = (Vec::new(), String::new());
        for line in lines {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            match field {
                "" if line.is_empty() => {
                    let event = mem::take(&mut data);
                    told.extend(event.strip_suffix('\n').map(str::to_owned));
                }
                "" if value.is_empty() => {}
                "" => told.push(line.to_owned()),
                "data" => data = data + value.strip_prefix(' ').unwrap_or(value) + "\n",
                _ => {}
            }
        }
        told
    }

    #[test]
    fn the_examples_of_the_standard_are_read_as_it_says() {
        let stock = b"data: YHOO\ndata: +2\ndata: 10\n\n";
        assert_eq!(read_pieces([&stock[..]]), ["YHOO\n+2\n10"]);
        let four_blocks =
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n";
        assert_eq!(read_pieces([&four_blocks[..]]), [": test stream", "first event", "second event"]);
        assert_eq!(read_pieces([&four_blocks[..], b"\n"])[3], " third event");
        let empty_data = b"data\n\ndata\ndata\n\ndata:";
        assert_eq!(read_pieces([&empty_data[..]]), ["", "\n"]);
    }

    proptest! {
        #[test]
        fn events_in_pieces_are_what_the_standards_steps_make_of_the_whole(
            stream in "\u{feff}?(data|data|: ?|:|id|event|x|ü|\u{feff}|\r|\n|\r\n|\n\n){0,30}",
            cuts in proptest::collection::vec(1..12_usize, 1..5),
        ) {
            prop_assert_eq!(read_pieces(cut(stream.as_bytes(), &cuts)), naive_read(&stream));
        }
    }
}
