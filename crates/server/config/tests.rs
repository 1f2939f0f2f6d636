use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::MaxAge;

use super::*;

/// What holds with these flags and a file of this text.
fn config(flags: &[&str], file: &str) -> Result<Config, ConfigError> {
    let line = CommandLine::try_parse_from([&["fanwire"], flags].concat()).map_err(ConfigError::Usage)?;
    let source = Source::new("test.toml".into(), file.to_owned());
    resolve::resolve(line.flags, source.parse()?, &source)
}

/// What is said about a file that does not hold.
fn complaint(file: &str) -> String {
    config(&[], file).expect_err(file).to_string()
}

#[test]
fn an_empty_file_changes_nothing() {
    assert_eq!(config(&[], "").unwrap().to_string(), Config::default().to_string());
}

#[test]
fn what_holds_is_displayed_as_a_file_that_says_the_same() {
    let file = r#"
        listen = ["127.0.0.1:1", "tls://[::1]:2"]
        cores = 3
        max_message = 2000
        backlog = "1MiB"
        max_topics = 5
        max_patterns = 4
        max_subscriptions = 6
        compression = "1KiB"
        contexts = "own"
        drain = "0ms"
        demo = true
        limits = { connections = 7, connections_per_address = 8, handshakes_per_second_per_address = 9, commands_per_second = 10, bytes_per_second = "11KiB", memory = "23MiB", history_memory = "17MiB", backlog_memory = "18MiB", context_memory = "19MiB", header_bytes = "15KiB", batch = 16, inflated_ratio = 14, patience = "12s" }
        proxies = { trust = ["10.0.0.0/8", "::1"], protocol = "proxy" }
        timeouts = { handshake = "1s", ping = "2s", unanswered_pings = 3, close = "1500ms", idle_http = "2h" }
        log = { format = "json", level = "warn,fanwire=debug" }
        tls = { certificates = [{ cert = "a \"b\".pem", key = "k" }], client_ca = "ca", client_certificates = "optional" }
        [[topics]]
        match = "prices.*.bid"
        history = { messages = 7, max_age = "8d" }
        last_value = false
        overflow = "disconnect"
        [[topics]]
        match = "prices.*.ask"
        keys = { max = 9, bytes = "2MiB" }
        message_ids = { max = 8, max_age = "3m" }
        atomic = true
        [[topics]]
        match = "prices.>"
    "#;
    let displayed = config(&[], file).unwrap().to_string();
    assert_ne!(displayed, Config::default().to_string());
    assert_eq!(config(&[], &displayed).unwrap().to_string(), displayed);
    for said in [
        "listen = [\"127.0.0.1:1\", \"tls://[::1]:2\"]",
        "[tls]\ncertificates = [{ cert = 'a \"b\".pem', key = \"k\" }]\nclient_ca = \"ca\"\nclient_certificates = \"optional\"",
        "cores = 3",
        "max_message = \"2000B\"",
        "backlog = \"1MiB\"",
        "max_topics = 5",
        "max_patterns = 4",
        "max_subscriptions = 6",
        "compression = \"1KiB\"",
        "contexts = \"own\"",
        "drain = \"0ms\"",
        "demo = true",
        "handshake = \"1s\"\nping = \"2s\"\nunanswered_pings = 3\nclose = \"1500ms\"\nidle_http = \"2h\"",
        "[limits]\nconnections = 7\nconnections_per_address = 8\nhandshakes_per_second_per_address = 9\n\
         commands_per_second = 10\nbytes_per_second = \"11KiB\"\nmemory = \"23MiB\"\nhistory_memory = \"17MiB\"\n\
         backlog_memory = \"18MiB\"\ncontext_memory = \"19MiB\"\nheader_bytes = \"15KiB\"\nbatch = 16\n\
         inflated_ratio = 14\npatience = \"12s\"",
        "[proxies]\ntrust = [\"10.0.0.0/8\", \"::1/128\"]\nprotocol = \"proxy\"",
        "format = \"json\"",
        "fanwire=debug",
        "keys = { max = 9, bytes = \"2MiB\" }\nmessage_ids = { max = 8, max_age = \"3m\" }\natomic = true\n",
        "match = \"prices.*.bid\"\nhistory = { messages = 7, bytes = \"8MiB\", max_age = \"8d\" }\nlast_value = false",
        "overflow = \"disconnect\"\n\n[[topics]]\nmatch = \"prices.*.ask\"\nlast_value = true\n",
        "overflow = \"gap\"\n\n[[topics]]\nmatch = \"prices.>\"\nlast_value = true\noverflow = \"gap\"",
    ] {
        assert!(displayed.contains(said), "{said} in\n{displayed}");
    }
}

#[test]
fn flags_win_over_the_file() {
    let file = r#"
        listen = "127.0.0.1:1"
        cores = 3
        pin = true
        max_message = "2KiB"
        backlog = "8KiB"
        max_topics = 5
        max_subscriptions = 6
        compression = true
        contexts = "own"
        drain = "1s"
        demo = true
        log = { format = "json", level = "warn" }
    "#;
    let flags = "--listen 127.0.0.1:8 --listen 127.0.0.1:9 --cores 1 --pin=false --max-message 4KiB --backlog 16KiB \
        --max-topics 50 --max-subscriptions 60 --compression=false --contexts shared --drain 2s --demo=false --log-format text \
        --log-level error";
    let with_flags = config(&flags.split_whitespace().collect::<Vec<_>>(), file).unwrap();
    let same_in_file = r#"
        listen = ["127.0.0.1:8", "127.0.0.1:9"]
        cores = 1
        max_message = "4KiB"
        backlog = "16KiB"
        max_topics = 50
        max_subscriptions = 60
        compression = false
        drain = "2s"
        log.level = "error"
    "#;
    assert_eq!(with_flags.to_string(), config(&[], same_in_file).unwrap().to_string());
}

#[test]
fn a_switch_without_a_value_is_on() {
    let config =
        config(&["--demo", "--pin", "--compression", "--cores", "1"], "compression = false").unwrap();
    assert!(config.demo && config.pin && config.compression);
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
fn a_history_has_a_documented_bound_in_every_direction() {
    let limits = |history: &str, max_message: &str| {
        let file =
            format!("max_message = \"{max_message}\"\ntopics = [{{ match = \"a\", history = {history} }}]");
        config(&[], &file).unwrap().settings.topics[0].settings.history.unwrap()
    };
    let of = |messages, bytes, max_age_ms| HistoryLimits { messages, bytes, max_age_ms };
    assert_eq!(limits("{ messages = 5 }", "1MiB"), of(5, 8 << 20, None));
    assert_eq!(limits("{ bytes = \"2MiB\" }", "1MiB"), of(1000, 2 << 20, None));
    assert_eq!(limits("{ max_age = \"1m\" }", "1MiB"), of(1000, 8 << 20, Some(60_000)));
    assert_eq!(limits("{ messages = 5 }", "16MiB"), of(5, 16 << 20, None));
}

#[test]
fn a_rule_says_only_what_differs() {
    let config = config(&[], "topics = [{ match = \"a\" }]").unwrap();
    let settings = &config.settings.topics[0].settings;
    assert_eq!((settings.history, settings.last_value, settings.overflow), (None, true, OverflowPolicy::Gap));
}

#[test]
fn a_rule_says_what_slow_subscribers_get_and_may_ask_for() {
    use OverflowPolicy::{Conflate, Disconnect, Gap};
    let config = config(
        &[],
        r#"topics = [
            { match = "a", overflow = "conflate", allow = ["gap", "disconnect"], max_age = "2s" },
            { match = "b", allow = "conflate", max_age = "250ms", max_age_newest = true },
        ]"#,
    )
    .unwrap();
    let [a, b] = config.settings.topics.as_slice() else { panic!("two rules") };
    assert_eq!((a.settings.overflow, &*a.settings.allow), (Conflate, &[Gap, Disconnect][..]));
    assert_eq!(a.settings.max_age, Some(MaxAge { ms: 2_000, newest: false }));
    assert_eq!((b.settings.overflow, &*b.settings.allow), (Gap, &[Conflate][..]));
    assert_eq!(b.settings.max_age, Some(MaxAge { ms: 250, newest: true }));
    let shown = config.to_string();
    assert!(shown.contains("overflow = \"conflate\"\nallow = [\"gap\", \"disconnect\"]\n"), "{shown}");
    assert!(shown.contains("max_age = \"250ms\"\nmax_age_newest = true\n"), "{shown}");
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
fn a_value_out_of_range_is_told_the_range() {
    let cases = [
        ("cores = 0", "test.toml:1: cores: 0 is not between 1 and 64"),
        ("cores = 65", "test.toml:1: cores: 65 is not between 1 and 64"),
        ("max_message = 1000", "test.toml:1: max_message: 1000B is not between 1KiB and 64MiB"),
        ("max_message = \"65MiB\"", "test.toml:1: max_message: 65MiB is not between 1KiB and 64MiB"),
        ("backlog = \"3KiB\"", "test.toml:1: backlog: 3KiB is not between 4KiB and 1GiB"),
        ("max_topics = 0", "test.toml:1: max_topics: 0 is not between 1 and 4294967295"),
        ("max_subscriptions = 0", "test.toml:1: max_subscriptions: 0 is not between 1 and 4294967295"),
        ("drain = \"2h\"", "test.toml:1: drain: 2h is not between 0ms and 1h"),
        ("[timeouts]\nping = \"50ms\"", "test.toml:2: timeouts.ping: 50ms is not between 100ms and 1d"),
        ("[timeouts]\nclose = \"2d\"", "test.toml:2: timeouts.close: 2d is not between 100ms and 1d"),
        (
            "[timeouts]\nhandshake = \"0s\"",
            "test.toml:2: timeouts.handshake: 0ms is not between 100ms and 1d",
        ),
        (
            "[timeouts]\nidle_http = \"0s\"",
            "test.toml:2: timeouts.idle_http: 0ms is not between 100ms and 1d",
        ),
        (
            "[timeouts]\nunanswered_pings = 0",
            "test.toml:2: timeouts.unanswered_pings: 0 is not between 1 and 20",
        ),
        ("limits.connections = 0", "test.toml:1: limits.connections: 0 is not between 1 and 4294967295"),
        (
            "limits.connections_per_address = 0",
            "test.toml:1: limits.connections_per_address: 0 is not between 1 and 4294967295",
        ),
        (
            "limits.handshakes_per_second_per_address = 0",
            "test.toml:1: limits.handshakes_per_second_per_address: 0 is not between 1 and 4294967295",
        ),
        (
            "limits.commands_per_second = 0",
            "test.toml:1: limits.commands_per_second: 0 is not between 1 and 4294967295",
        ),
        (
            "limits.bytes_per_second = 1023",
            "test.toml:1: limits.bytes_per_second: 1023B is not between 1KiB and 1024GiB",
        ),
        ("limits.memory = 1", "test.toml:1: limits.memory: 1B is not between 1MiB and 1024GiB"),
        (
            "limits.history_memory = 1",
            "test.toml:1: limits.history_memory: 1B is not between 1MiB and 1024GiB",
        ),
        (
            "limits.context_memory = 1",
            "test.toml:1: limits.context_memory: 1B is not between 1MiB and 1024GiB",
        ),
        (
            "limits.backlog_memory = 1",
            "test.toml:1: limits.backlog_memory: 1B is not between 1MiB and 1024GiB",
        ),
        ("limits.header_bytes = 1", "test.toml:1: limits.header_bytes: 1B is not between 1KiB and 16KiB"),
        ("limits.batch = 1001", "test.toml:1: limits.batch: 1001 is not between 1 and 1000"),
        ("limits.inflated_ratio = 9", "test.toml:1: limits.inflated_ratio: 9 is not between 10 and 1100"),
        ("limits.patience = \"0s\"", "test.toml:1: limits.patience: 0ms is not between 100ms and 1d"),
        (
            "[[topics]]\nmatch = \"a\"\nhistory.messages = 0",
            "test.toml:3: history.messages: 0 is not between 1 and 1000000000",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nhistory.max_age = \"0s\"",
            "test.toml:3: history.max_age: 0ms is not between 100ms and 365d",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nkeys.max = 0",
            "test.toml:3: keys.max: 0 is not between 1 and 4294967295",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nkeys = { bytes = 1 }",
            "test.toml:3: keys.bytes: 1B is not between 1KiB and 1024GiB",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nmessage_ids = { max = 0 }",
            "test.toml:3: message_ids.max: 0 is not between 1 and 4294967295",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nmessage_ids = { max_age = \"1ms\" }",
            "test.toml:3: message_ids.max_age: 1ms is not between 100ms and 365d",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(complaint(file), expected, "{file}");
    }
    let error = config(&["--cores", "65"], "cores = 1").unwrap_err();
    assert_eq!(error.to_string(), "--cores: 65 is not between 1 and 64");
}

#[test]
fn values_that_contradict_each_other_are_told_which_and_what_to_do() {
    let cases = [
        (
            "listen = [\"127.0.0.1:1\", \"127.0.0.1:1\"]",
            "test.toml:1: listen: 127.0.0.1:1 is there twice; leave one out",
        ),
        (
            "listen = [\"127.0.0.1:1\", \"0.0.0.0:1\"]",
            "test.toml:1: listen: 127.0.0.1:1 is part of 0.0.0.0:1, which is there too; leave one out",
        ),
        (
            "listen = [\"tls://127.0.0.1:1\", \"127.0.0.1:1\"]",
            "test.toml:1: listen: 127.0.0.1:1 is there twice; leave one out",
        ),
        (
            "listen = \"tls://127.0.0.1:1\"",
            "test.toml:1: listen: tls://127.0.0.1:1 has no certificate to show; give --tls-cert and --tls-key, or \
             certificates in [tls], or --tls-self-signed to try it out",
        ),
        (
            "listen = \"tls://127.0.0.1:1\"\n[tls]\nclient_ca = \"ca.pem\"",
            "test.toml:1: listen: tls://127.0.0.1:1 has no certificate to show; give --tls-cert and --tls-key, or \
             certificates in [tls], or --tls-self-signed to try it out",
        ),
        (
            "[tls]\nself_signed = true",
            "test.toml:2: tls.self_signed: no address speaks TLS; listen on one such as tls://127.0.0.1:8443, or leave \
             this out",
        ),
        (
            "[tls]\n\nclient_ca = \"ca.pem\"",
            "test.toml:3: tls.client_ca: no address speaks TLS; listen on one such as tls://127.0.0.1:8443, or leave \
             this out",
        ),
        (
            "listen = \"tls://127.0.0.1:1\"\n[tls]\nself_signed = true\nclient_certificates = \"optional\"",
            "test.toml:4: tls.client_certificates: it is not said who vouches for clients; give client_ca, or leave \
             this out",
        ),
        (
            "listen = \"tls://127.0.0.1:1\"\ntls.certificates = [{ cert = \"c\", key = \"k\" }]\ntls.self_signed = true",
            "test.toml:3: tls.self_signed: there are certificates already, and one that nobody trusts is for trying \
             out; leave one out",
        ),
        (
            "listen = \"tls://127.0.0.1:1\"\ntls.certificates = []",
            "test.toml:2: tls.certificates: the list is empty; name a certificate, or leave it out",
        ),
        (
            "[[topics]]\nmatch = \"a\"\n\nhistory = {}",
            "test.toml:4: history: a history needs a bound: messages, bytes or max_age; leave history out to keep no \
             messages",
        ),
        (
            "max_message = \"4MiB\"\n[[topics]]\nmatch = \"a\"\nhistory = { bytes = \"2MiB\" }",
            "test.toml:4: history.bytes: 2MiB cannot hold one message of max_message (4MiB); raise one or lower the \
             other",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nmax_age_newest = true",
            "test.toml:3: max_age_newest: there is no max_age that it could be said of; give one, or leave it out",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nmax_age = \"0ms\"",
            "test.toml:3: max_age: 0ms is not between 1ms and 365d",
        ),
        (
            "[[topics]]\nmatch = \"a\"\natomic = true\noverflow = \"conflate\"",
            "test.toml:4: overflow: conflation would take messages apart that atomic keeps together; choose gap or \
             disconnect, or leave atomic out",
        ),
        (
            "[[topics]]\nmatch = \"a\"\natomic = true\nallow = [\"conflate\"]",
            "test.toml:4: allow: conflation would take messages apart that atomic keeps together; choose gap or \
             disconnect, or leave atomic out",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nkeys = {}\nlast_value = false",
            "test.toml:4: last_value: keys keep the latest message among the last values, and last_value = false keeps \
             it not; leave one out",
        ),
        (
            "[[topics]]\nmatch = \"a.>\"\n[[topics]]\nmatch = \"b\"\n[[topics]]\nmatch = \"a.*\"",
            "test.toml:6: match: \"a.*\" has no effect, because \"a.>\" stands before it and matches the same topics; \
             move it up, or leave it out",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(complaint(file), expected, "{file}");
    }
    let error = config(&["--pin", "--cores", "64"], "").map(drop);
    if present_cores() < 64 {
        assert!(error.unwrap_err().to_string().starts_with("--pin: 64 event loops cannot be pinned to "));
    }
}

#[test]
fn a_value_that_means_nothing_beside_another_is_told_which_and_what_to_do() {
    let cases = [
        (
            "[auth]\nkeys = [\n{ jwks = \"a\" }, { jwks = \"b\" },\n\
             { id = \"k\", algorithm = \"ES256\", public_key = \"c\" },\n\
             { id = \"k\", algorithm = \"RS256\", public_key = \"d\" }]",
            "test.toml:5: auth.keys.id: there is a key with the id \"k\" already; give each a name of its own",
        ),
        (
            "[auth]\nmetrics = \"open\"\ncookie = \"session\"",
            "test.toml:3: auth.cookie: without keys there are no tokens, which a cookie could be; add keys to [auth], or \
             leave this out",
        ),
        (
            "[auth]\nanonymous = { subscribe = [\"a.>\"] }",
            "test.toml:2: auth.anonymous: it says what clients may do that are not known, and without keys and clients \
             nobody is; add keys or clients to [auth], or leave this out",
        ),
        (
            "limits.memory = \"16MiB\"\nlimits.history_memory = \"17MiB\"",
            "test.toml:2: limits.history_memory: 17MiB is a part of limits.memory (16MiB) and more than that; raise one or \
             lower the other",
        ),
        (
            "limits.memory = \"16MiB\"\nlimits.backlog_memory = \"1GiB\"",
            "test.toml:2: limits.backlog_memory: 1GiB is a part of limits.memory (16MiB) and more than that; raise one or \
             lower the other",
        ),
        (
            "limits.memory = \"16MiB\"\nlimits.context_memory = \"17MiB\"",
            "test.toml:2: limits.context_memory: 17MiB is a part of limits.memory (16MiB) and more than that; raise one or \
             lower the other",
        ),
        (
            "compression = \"off\"\ncontexts = \"own\"",
            "test.toml:2: contexts: connections need no contexts of their own where compression is off; turn it on, or \
             leave this out",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(complaint(file), expected, "{file}");
    }
    let memory = "limits.memory = \"16MiB\"\nlimits.history_memory = \"16MiB\"";
    assert!(config(&[], memory).is_ok(), "all of it is not more than it");
}

#[test]
fn a_certificate_and_its_key_go_together_on_the_command_line_and_win_over_the_file() {
    let file = "listen = \"tls://127.0.0.1:1\"\ntls.certificates = [{ cert = \"a\", key = \"b\" }]";
    let tls = |flags| config(flags, file).map(|config| config.tls.unwrap().to_string());
    assert!(tls(&[]).unwrap().contains("cert = \"a\", key = \"b\""));
    assert!(tls(&["--tls-cert", "c", "--tls-key", "d"]).unwrap().contains("[{ cert = \"c\", key = \"d\" }]"));
    let error = tls(&["--tls-cert", "c"]).unwrap_err().to_string();
    assert_eq!(error, "--tls-cert: a certificate and its key go together; give --tls-key too");
    let error = tls(&["--tls-key", "d"]).unwrap_err().to_string();
    assert_eq!(error, "--tls-key: a certificate and its key go together; give --tls-cert too");
}

#[test]
fn clients_have_to_show_a_certificate_where_somebody_vouches_for_them_unless_told_otherwise() {
    let required = |further| {
        let file = format!(
            "listen = \"tls://127.0.0.1:1\"\ntls.self_signed = true\ntls.client_ca = \"ca\"\n{further}"
        );
        config(&[], &file).unwrap().tls.unwrap().clients.unwrap().required
    };
    assert!(required(""));
    assert!(required("tls.client_certificates = \"required\""));
    assert!(!required("tls.client_certificates = \"optional\""));
}

#[test]
fn addresses_side_by_side_are_no_contradiction() {
    for file in [
        "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]",
        "listen = [\"127.0.0.1:1\", \"127.0.0.1:2\"]",
        "listen = [\"0.0.0.0:1\", \"[::]:1\"]",
        "listen = [\"127.0.0.1:1\", \"127.0.0.2:1\"]",
    ] {
        assert!(config(&["--insecure-open"], file).is_ok(), "{file}");
    }
}

/// An address where clients may show certificates.
const TLS_WITH_CLIENTS: &str = "listen = \"tls://127.0.0.1:1\"\ntls = { self_signed = true, client_ca = \"ca.pem\", client_certificates = \"optional\" }";

const KEYS: &str =
    "\n[auth]\nkeys = [{ algorithm = \"HS256\", secret = \"thirty-two octets that are a secret\" }]";

#[test]
fn what_others_may_reach_needs_keys_or_to_be_meant() {
    for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1"] {
        let file = format!("listen = [\"127.0.0.1:2\", \"{address}\"]");
        let expected =
            format!("test.toml:1: listen: others than this machine may reach {address}, and without keys");
        assert!(complaint(&file).starts_with(&expected), "{}", complaint(&file));
        for remedy in ["[auth]", "[[auth.clients]]", "client_certificates = \"required\"", "--insecure-open"]
        {
            assert!(complaint(&file).contains(remedy), "{remedy}");
        }
        assert!(config(&["--listen", address], "").is_err());
        assert!(config(&["--listen", address, "--insecure-open"], "").is_ok());
        assert!(config(&["--listen", address], "insecure_open = true").is_ok());
        assert!(config(&[], &(file + KEYS)).is_ok());
    }
    for address in ["127.0.0.1:1", "127.8.9.10:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(config(&["--listen", address], "").is_ok(), "{address}");
    }
}

#[test]
fn a_key_says_in_one_way_what_it_is() {
    let parse = |key: &str| config(&[], &format!("[auth]\nkeys = [{key}]"));
    for key in [
        r#"{ algorithm = "HS256", secret = "thirty-two octets that are a secret" }"#,
        r#"{ algorithm = "HS256", secret_file = "a", id = "x" }"#,
        r#"{ algorithm = "EdDSA", public_key = "a" }"#,
        r#"{ jwks = "a" }"#,
    ] {
        assert!(parse(key).is_ok(), "{key}");
    }
    for key in [
        "{}",
        r#"{ algorithm = "HS256" }"#,
        r#"{ secret_file = "a" }"#,
        r#"{ algorithm = "HS256", public_key = "a" }"#,
        r#"{ algorithm = "RS256", secret_file = "a" }"#,
        r#"{ algorithm = "RS256", public_key = "a", jwks = "b" }"#,
        r#"{ algorithm = "HS256", secret = "thirty-two octets that are a secret", secret_file = "a" }"#,
        r#"{ jwks = "a", id = "x" }"#,
        r#"{ jwks = "a", algorithm = "RS256" }"#,
    ] {
        let complaint = parse(key).unwrap_err().to_string();
        assert!(complaint.starts_with("test.toml:2: auth.keys: a key is {"), "{key}: {complaint}");
    }
}

#[test]
fn a_set_of_keys_is_a_file_and_nothing_is_fetched() {
    for url in ["https://id.example.com/jwks.json", "http://id.example.com/jwks.json"] {
        let complaint = complaint(&format!("[auth]\n\nkeys = [{{ jwks = \"{url}\" }}]"));
        let expected =
            "test.toml:3: auth.keys.jwks: a file is wanted, and nothing is fetched; have a timer fetch ";
        assert!(complaint.starts_with(expected) && complaint.contains(url), "{complaint}");
    }
}

#[test]
fn a_client_is_known_by_one_subject_and_where_somebody_vouches_for_it() {
    let parse = |clients: &str| config(&[], &format!("{TLS_WITH_CLIENTS}\nauth.clients = [{clients}]"));
    let auth = parse(r#"{ subject = "CN=a" }, { subject = "CN=b", subscribe = [">"] }"#).unwrap().auth;
    let grants = auth.clients.iter().map(|client| (client.subscribe.is_empty(), client.metrics));
    assert_eq!(grants.collect::<Vec<_>>(), [(true, false), (false, false)]);
    let complain = |clients: &str| parse(clients).unwrap_err().to_string();
    assert_eq!(
        complain(r#"{ subject = "CN=a,O=b" }, { subject = "cn=a, o=b" }"#),
        "test.toml:3: auth.clients.subject: CN=a,O=b is there already; say in one place what it may"
    );
    assert_eq!(
        complaint("\n[[auth.clients]]\nsubject = \"CN=a\""),
        "test.toml:2: auth.clients: nobody vouches for the certificates of clients; give client_ca in [tls], or leave \
         this out"
    );
    assert_eq!(
        complaint("[[auth.clients]]\nsubject = \"feeder\""),
        "test.toml:2: \"feeder\" is not the subject of a certificate as RFC 4514 writes it, such as \
         CN=feeder,O=Example\n    subject = \"feeder\""
    );
    for (client, expected) in [
        ("{}", "missing field `subject`"),
        ("7", "a table such as { subject = \"CN=feeder\", publish = [\"prices.>\"] }"),
        (r#"{ subject = "CN=a", publish = ["a..b"] }"#, "\"a..b\" is not a topic or pattern"),
        (r#"{ subject = "CN=a", name = "b" }"#, "unknown field `name`"),
    ] {
        assert!(complain(client).contains(expected), "{}", complain(client));
    }
}

#[test]
fn who_is_known_by_its_certificate_may_be_reached_by_others() {
    let clients = "\n[[auth.clients]]\nsubject = \"CN=a\"";
    let listening = TLS_WITH_CLIENTS.replace("tls://127.0.0.1:1\"", "tls://0.0.0.0:1\"");
    assert!(config(&[], &listening).unwrap_err().to_string().contains("others than this machine"));
    assert!(config(&[], &(listening + clients)).is_ok());
}

#[test]
fn a_secret_is_long_enough_and_shows_nowhere() {
    let short =
        complaint("[auth]\nkeys = [{ algorithm = \"HS256\", secret = \"thirty-one octets, one too few.\" }]");
    assert_eq!(short, "test.toml:2: auth.keys.secret: the secret has less than 32 octets; use random ones");
    let config = config(&[], KEYS).unwrap();
    for shown in [config.to_string(), format!("{config:?}")] {
        assert!(!shown.contains("thirty-two"), "{shown}");
    }
    let pem = complaint(
        "[auth]\nkeys = [{ algorithm = \"HS256\", secret = \"-----BEGIN PUBLIC KEY-----MCowBQYDK2VwAyEAB65au/\" }]",
    );
    assert!(pem.starts_with("test.toml:2: auth.keys.secret: that is a key in PEM and no secret"), "{pem}");
    // What is displayed in its place is no secret either.
    assert!(complaint(&config.to_string()).contains("the secret has less than 32 octets"));
    let misspelt = complaint("[auth]\nkeys = [{ algorithm = \"HS25\", secret = \"do not show me\" }]");
    assert!(!misspelt.contains("do not show me") && misspelt.contains("HS256, RS256"), "{misspelt}");
}

#[test]
fn who_clients_are_is_displayed_as_a_file_that_says_the_same() {
    let file = r#"
        [origins]
        allow = ["https://*.example.com", "http://localhost:3000"]
        [auth]
        keys = [
            { algorithm = "HS256", secret_file = "s" }, { algorithm = "ES256", public_key = "p", id = "k" },
            { jwks = "j" },
        ]
        issuer = "a"
        audience = ["b", "c"]
        leeway = "0s"
        grace = "1m"
        cookie = "session"
        metrics = "open"
        anonymous = { subscribe = ["a.>", "b"], publish = [] }
        clients = [
            { subject = "cn = feeder, O=Example\\, Inc.", publish = ["a.*"] }, { subject = "CN=p", metrics = true },
        ]
    "#;
    let file = &(TLS_WITH_CLIENTS.to_owned() + file);
    let displayed = config(&[], file).unwrap().to_string();
    assert_eq!(config(&[], &displayed).unwrap().to_string(), displayed);
    for said in ["http://localhost:3000", "\"k\"", "[\"a\"]", "\"1m\"", "session", "open", "[\"a.>\", \"b\"]"]
    {
        assert!(displayed.contains(said), "{said} in {displayed}");
    }
}

#[test]
fn what_a_file_says_may_hold_any_character() {
    let file = "[auth]\nissuer = [\"a \\\"b\\\" \\u0007 'c' é\"]\n[[auth.keys]]\njwks = \"d\\\\e\\nf\"\n";
    let displayed = config(&[], file).unwrap().to_string();
    let again = config(&[], &displayed).unwrap();
    assert_eq!(again.auth.issuers, ["a \"b\" \u{7} 'c' é"]);
    assert!(
        matches!(&again.auth.keys[0].source, KeySource::Jwks(path) if *path == *"d\\e\nf"),
        "{displayed}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::from_args(["fanwire", "--config", "/nonexistent/fanwire.toml"]).unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nonexistent/fanwire.toml: "), "{error}");
}

#[test]
fn a_check_takes_the_same_flags_as_a_run() {
    let run = Config::from_args(["fanwire", "--cores", "2", "--demo"]).unwrap();
    let check = Config::from_args(["fanwire", "check", "--cores", "2", "--demo"]).unwrap();
    let (Invocation::Run(run), Invocation::Check(check)) = (run, check) else { panic!("one of each") };
    assert_eq!(run.to_string(), check.to_string());
}

#[test]
fn the_help_states_the_defaults() {
    use clap::CommandFactory;
    let help = CommandLine::command().render_long_help().to_string();
    let config = Config::default();
    for default in [
        format!("[default: {}]", config.listen[0]),
        format!("[default: {}]", Size(config.settings.max_message_bytes)),
        format!("[default: {}]", Size(config.settings.backlog_bytes)),
        format!("[default: {}]", config.settings.max_topics),
        format!("[default: {}]", config.settings.max_patterns),
        format!("[default: {}]", config.settings.max_subscriptions),
        format!("[default: {}]", config.compression()),
        format!("[default: {}]", Period(config.timeouts.drain_ms)),
        format!("[default: {}]", config.log.format),
        format!("[default: {}]", config.log.level),
    ] {
        assert!(help.contains(&default), "{default} in\n{help}");
    }
}

#[test]
fn the_kernels_patience_lasts_longer_than_the_pings_that_may_stay_unanswered() {
    assert_eq!(Timeouts::default().patience(), Duration::from_secs(78));
}
