//! A configuration is displayed as a file that says the same.

use super::*;

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
