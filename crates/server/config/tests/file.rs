//! How a file is read, and what is said about one that cannot be.

use super::*;

#[test]
fn an_empty_file_changes_nothing() {
    assert_eq!(config(&[], "").unwrap().to_string(), Config::default().to_string());
}

#[test]
fn compression_is_off_or_on_or_on_from_a_size_of_payload_on() {
    let cases = [
        ("true", true, 64, "on"),
        ("\"on\"", true, 64, "on"),
        ("false", false, 64, "off"),
        ("\"off\"", false, 64, "off"),
        ("\"1KiB\"", true, 1024, "1KiB"),
    ];
    for (value, is_on, above, shown) in cases {
        let config = config(&[], &format!("compression = {value}")).unwrap();
        assert_eq!((config.compression, config.settings.deflate_above_bytes), (is_on, above), "{value}");
        assert!(config.to_string().contains(&format!("compression = \"{shown}\"")), "{value}");
    }
    assert_eq!(config(&["--compression=2KiB"], "").unwrap().settings.deflate_above_bytes, 2048);
    let expected = "test.toml:1: compression: 63B is not between 64B and 64MiB";
    assert_eq!(complaint("compression = \"63B\""), expected);
    assert!(
        complaint("compression = \"maybe\"").contains("\"maybe\" is not off, on, or the size of payload")
    );
}

#[test]
fn a_file_that_cannot_be_understood_is_told_line_excerpt_and_remedy() {
    let cases = [
        ("cores = 1\nlisten =", "test.toml:2: ", "listen ="),
        (
            "cores = 1\n\ncorse = 1",
            "test.toml:3: unknown field `corse`, expected one of `listen`, `cores`",
            "corse = 1",
        ),
        (
            "[timeouts]\npong = 1",
            "test.toml:2: unknown field `pong`, expected one of `handshake`",
            "pong = 1",
        ),
        ("cores = 1\ncores = 2", "test.toml:2: duplicate key", "cores = 2"),
        ("cores = -1", "test.toml:1: \"-1\" is not a whole number", "cores = -1"),
        (
            "cores = 1.5",
            "test.toml:1: invalid type: floating point `1.5`, expected a text in quotes",
            "cores = 1.5",
        ),
        ("\nmax_message = \"1MB\"", "test.toml:2: \"1MB\" is not a size such as", "max_message = \"1MB\""),
        ("drain = 10", "test.toml:1: \"10\" is not a length of time such as 500ms, 10s", "drain = 10"),
        ("pin = \"yes\"", "test.toml:1: \"yes\" is not true or false", "pin = \"yes\""),
        (
            "listen = \"localhost\"",
            "test.toml:1: \"localhost\" is not an address such as",
            "listen = \"localhost\"",
        ),
        ("listen = [\n\"127.0.0.1:1\",\n\"x\"]", "test.toml:3: \"x\" is not an address", "\"x\"]"),
        ("proxies.trust = \"10.0.0.1\"", "test.toml:1: invalid type: string", "proxies.trust = \"10.0.0.1\""),
        (
            "proxies.trust = [\"10.0.0.1/33\"]",
            "test.toml:1: \"10.0.0.1/33\" is not an address or a range such as",
            "proxies.trust = [\"10.0.0.1/33\"]",
        ),
        (
            "proxies.protocol = \"forwarded\"",
            "test.toml:1: \"forwarded\" is not how a proxy says who the client is: x-forwarded-for or proxy",
            "proxies.protocol = \"forwarded\"",
        ),
        ("listen = []", "test.toml:1: the list is empty; leave the key out", "listen = []"),
        ("[log]\nlevel = \"inof\"", "test.toml:2: \"inof\" is not a log level", "level = \"inof\""),
        (
            "[log]\nformat = \"xml\"",
            "test.toml:2: \"xml\" is not a log format: text or json",
            "format = \"xml\"",
        ),
        (
            "[topics]\nmatch = \"a\"",
            "test.toml:1: invalid type: map, expected a list of rules, each of which begins with [[topics]]",
            "[topics]",
        ),
        ("[[topics]]\noverflow = \"gap\"", "test.toml:1: missing field `match`", "[[topics]]"),
        (
            "[[topics]]\nmatch = \"a..b\"",
            "test.toml:2: \"a..b\" is not a topic or pattern: ",
            "match = \"a..b\"",
        ),
        (
            "[[topics]]\nmatch = \"a\"\noverflow = \"drop\"",
            "test.toml:3: \"drop\" is not an overflow policy: gap, conflate or disconnect",
            "overflow = \"drop\"",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nhistory = { message = 1 }",
            "test.toml:3: unknown field `message`, expected one of `messages`, `bytes`, `max_age`",
            "history = { message = 1 }",
        ),
    ];
    for (file, problem, excerpt) in cases {
        let complaint = complaint(file);
        assert!(complaint.starts_with(problem), "{file}\n→ {complaint}");
        assert!(complaint.ends_with(&format!("\n    {excerpt}")), "{file}\n→ {complaint}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::from_args(["fanwire", "--config", "/nonexistent/fanwire.toml"]).unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nonexistent/fanwire.toml: "), "{error}");
}
