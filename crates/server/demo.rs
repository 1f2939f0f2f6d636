//! What `--demo` adds: an index, a chat page, and two endpoints that answer by themselves.

use fanwire_wire::deflate::Deflater;
use fanwire_wire::frame::{OpCode, write_frame};
use fanwire_wire::limits::{
    MAX_HELLO_NAME_BYTES, MAX_WINDOW_BITS, MIN_DEFLATE_PAYLOAD_BYTES, MIN_WINDOW_BITS,
};
use fanwire_wire::message::MessageKind;

/// What stands at `/`.
pub(crate) const INDEX_PAGE: &str = include_str!("demo/index.html");

/// What stands at `/demo/chat`.
pub(crate) const CHAT_PAGE: &str = include_str!("demo/chat.html");

/// How long `/demo/hello` keeps a connection after the first greeting, in milliseconds.
pub(crate) const HELLO_STAYS_MS: u64 = 5_000;

/// The reason that `/demo/hello` closes with.
pub(crate) const FAREWELL: &str = "it was nice to meet you";

/// What `/demo/hello` answers to a name, or to a sentence that ends with one.
pub(crate) fn greeting(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    format!("Hello from server, {}!", name_in(text.trim()))
}

/// The name in `My name is NAME`, or in `NAME`; at most as long as a `hello` allows.
fn name_in(text: &str) -> &str {
    const INTRODUCTION: &str = "my name is ";
    let introduced = text
        .split_at_checked(INTRODUCTION.len())
        .filter(|(introduction, _)| introduction.eq_ignore_ascii_case(INTRODUCTION))
        .map_or(text, |(_, name)| name);
    let name = introduced.trim().trim_end_matches(['.', '!']);
    if name.is_empty() { "stranger" } else { &name[..name.floor_char_boundary(MAX_HELLO_NAME_BYTES)] }
}

/// Makes the frames that `/demo/echo` sends back: compressed where the client negotiated that, with one compressor
/// per size of window and core.
#[derive(Default)]
pub(crate) struct EchoCompressor {
    deflaters: [Option<Deflater>; WINDOW_SIZES],
    compressed: Vec<u8>,
    frame: Vec<u8>,
}

const WINDOW_SIZES: usize = (MAX_WINDOW_BITS - MIN_WINDOW_BITS) as usize + 1;

/// What the buffers keep between two messages, in bytes.
const KEPT_BYTES: usize = 64 * 1024;

impl EchoCompressor {
    /// A whole message with `payload`, compressed if a window was negotiated and it is worth it.
    pub(crate) fn echo(&mut self, kind: MessageKind, payload: &[u8], window_bits: Option<u8>) -> &[u8] {
        let Self { deflaters, compressed, frame } = self;
        empty(compressed);
        empty(frame);
        let opcode = match kind {
            MessageKind::Text => OpCode::Text,
            MessageKind::Binary => OpCode::Binary,
        };
        match window_bits.filter(|_| payload.len() >= MIN_DEFLATE_PAYLOAD_BYTES) {
            Some(bits) => {
                deflater(deflaters, bits).deflate(payload, compressed);
                write_frame(frame, opcode, true, compressed);
            }
            None => write_frame(frame, opcode, false, payload),
        }
        frame
    }
}

/// The compressor for a window, made when it is first needed.
fn deflater(deflaters: &mut [Option<Deflater>; WINDOW_SIZES], window_bits: u8) -> &mut Deflater {
    let bits = window_bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
    deflaters[usize::from(bits - MIN_WINDOW_BITS)].get_or_insert_with(|| Deflater::new(bits, false))
}

/// Empties a buffer, and lets go of what a large message made it grow to.
fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(KEPT_BYTES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_greeted_with_or_without_its_sentence() {
        for text in ["My name is John", "John", "  my NAME is John.  ", "John!"] {
            assert_eq!(greeting(text.as_bytes()), "Hello from server, John!", "{text}");
        }
        assert_eq!(greeting(b""), "Hello from server, stranger!");
        assert_eq!(greeting(b"My name is "), "Hello from server, My name is!");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let greeting = greeting("\u{e9}".repeat(1000).as_bytes());
        assert_eq!(greeting, format!("Hello from server, {}!", "\u{e9}".repeat(MAX_HELLO_NAME_BYTES / 2)));
    }
}
