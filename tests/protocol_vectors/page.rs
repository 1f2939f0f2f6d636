//! The page, taken apart. A vector is a fenced block whose info string names what it holds; one that is misspelt is
//! an error, not a block that nobody checks.

const PROTOCOL: &str = include_str!("../../docs/PROTOCOL.md");

/// What the info strings of blocks that are vectors say.
const VECTORS: [&str; 12] = [
    "json command",
    "json notification",
    "json refused",
    "hex command",
    "hex notification",
    "hex refused",
    "http request",
    "http response",
    "text event",
    "text frame",
    "text accept",
    "text matches",
];

/// What the others say: transcripts and examples for people.
const TRANSCRIPTS: [&str; 2] = ["text", "js"];

/// Every block: its info string, and what it holds.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = PROTOCOL.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').expect("a block has lines")).collect()
}

/// The blocks of one kind. There are some.
pub(crate) fn vectors(info: &str) -> Vec<&'static str> {
    assert!(VECTORS.contains(&info));
    let found: Vec<_> =
        blocks().into_iter().filter(|(this, _)| *this == info).map(|(_, text)| text).collect();
    assert!(!found.is_empty(), "docs/PROTOCOL.md has no vector of {info}");
    found
}

pub(crate) fn lines(info: &str) -> Vec<&'static str> {
    vectors(info).into_iter().flat_map(str::lines).collect()
}

/// The cells of a table's rows, for the first table under `heading`.
pub(crate) fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) =
        PROTOCOL.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &'static str| row.trim_matches('|').split('|').map(str::trim).collect();
    rows.skip(2).map(cells).collect()
}

#[test]
fn every_block_is_a_vector_or_a_transcript() {
    for (info, text) in blocks() {
        assert!(VECTORS.contains(&info) || TRANSCRIPTS.contains(&info), "```{info}\n{text}");
    }
}
