//! Values of which each is in its range, and that do not go together.

use super::*;

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
