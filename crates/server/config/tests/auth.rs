//! Who clients are: keys, certificates, and what nobody may reach without them.

use super::*;

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
fn an_address_where_a_certificate_is_required_is_not_open_whatever_the_others_are() {
    let open = |client_certificates: &str| {
        let listen = r#"listen = ["192.0.2.1:1", "127.0.0.1:2", "tls://192.0.2.1:3"]"#;
        let tls = "tls = { self_signed = true, client_ca = \"ca\", client_certificates";
        let config = config(&["--insecure-open"], &format!("{listen}\n{tls} = \"{client_certificates}\" }}"));
        config.unwrap().exposed_addresses().map(|address| address.port()).collect::<Vec<_>>()
    };
    assert_eq!(open("required"), [1]);
    assert_eq!(open("optional"), [1, 3]);
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
    for url in ["https://id.example.com/jwks.json", "HTTP://id.example.com/jwks.json"] {
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
