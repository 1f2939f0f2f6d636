//! `fanwire token`, and what the broker makes of what it prints.

use std::process::{Command, Output};

use super::keys::{EC_PRIVATE, EC_PUBLIC};
use super::{bearer, request};
use crate::support::{HttpClient, Process, TemporaryFile, handshake};

fn mint(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fanwire")).arg("token").args(arguments).output().unwrap()
}

fn token(arguments: &[&str]) -> String {
    let output = mint(arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn a_token_is_signed_with_the_secret_of_the_configuration_and_is_what_it_expects() {
    let config = TemporaryFile::new(
        "mint",
        "[auth]\nissuer = \"me\"\naudience = [\"feeds\"]\nkeys = [{ id = \"k\", algorithm = \"HS256\", \
         secret = \"thirty-two octets that are a secret\" }]\n",
    );
    let process = Process::start(&["--config", config.path()]);
    let status = |method: &str, path: &str, token: &str| {
        HttpClient::connect(process.address).request(request(method, path, &bearer(token), "")).status
    };
    let grants = ["--config", config.path(), "--subject", "alice", "--subscribe", "a.*", "--publish", "a.b"];
    let alice = token(&grants);
    assert_eq!((status("GET", "/topics/a.c", &alice), status("GET", "/topics/b", &alice)), (404, 403));
    assert_eq!((status("POST", "/topics/a.b", &alice), status("POST", "/topics/a.c", &alice)), (200, 403));
    assert_eq!(status("GET", "/metrics", &alice), 403);
    assert_eq!(status("GET", "/metrics", &token(&[&grants[..], &["--metrics"]].concat())), 200);
    let brief = token(&[&grants[..], &["--ttl", "0s"]].concat());
    assert!([404, 401].contains(&status("GET", "/topics/a.c", &brief)), "for as long as clocks may differ");
    assert_eq!(status("GET", "/topics/a.c", &token(&[&grants[..], &["--issuer", "you"]].concat())), 401);
}

#[test]
fn a_token_is_signed_with_a_private_key_in_a_file() {
    let (private, public) =
        (TemporaryFile::new("private", EC_PRIVATE), TemporaryFile::new("public", EC_PUBLIC));
    let keys = format!("[auth]\nkeys = [{{ algorithm = \"ES256\", public_key = {:?} }}]\n", public.path());
    let config = TemporaryFile::new("es256", &keys);
    let process = Process::start(&["--config", config.path()]);
    let key = ["--key-file", private.path(), "--algorithm", "ES256"];
    let token = token(&[&key[..], &["--subject", "alice", "--subscribe", ">"]].concat());
    let response =
        HttpClient::connect(process.address).request(request("GET", "/topics/a", &bearer(&token), ""));
    assert_eq!(response.status, 404);
    let output = mint(&["--config", config.path(), "--subject", "alice"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("it has no secret that a token could be signed with"), "{said}");
    let empty = mint(&[&key[..], &["--subject", "alice"]].concat());
    assert_eq!(empty.status.code(), Some(0));
    assert!(String::from_utf8(empty.stderr).unwrap().contains("this token allows nothing"));
    let wrong = mint(&["--key-file", public.path(), "--algorithm", "RS256", "--subject", "alice"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("is not a private key for RS256 in PEM"));
}

#[test]
fn a_token_is_not_signed_with_the_text_of_a_key_and_who_names_no_key_is_told_how() {
    let private = TemporaryFile::new("private-text", EC_PRIVATE);
    for (arguments, expected) in [
        (&["--key-file", private.path()][..], "--algorithm ES256"),
        (&[], "<--config <FILE>|--key-file <FILE>>"),
    ] {
        let output = mint(&[arguments, &["--subject", "alice"]].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn the_log_says_who_connects_and_never_by_which_token() {
    let config = TemporaryFile::new(
        "log",
        "[auth]\nkeys = [{ algorithm = \"HS256\", secret = \"thirty-two octets that are a secret\" }]\n",
    );
    let mut process = Process::start(&["--config", config.path(), "--log-level", "fanwire=trace"]);
    let alice = token(&["--config", config.path(), "--subject", "alice", "--subscribe", ">"]);
    let forged = format!("{alice}x");
    for (token, status) in [(&alice, 101), (&forged, 401)] {
        for (path, further) in
            [(format!("/topics/a?access_token={token}"), String::new()), ("/v1/ws".to_owned(), bearer(token))]
        {
            let response = HttpClient::connect(process.address).request(handshake(&path, &further));
            assert_eq!(response.status, status);
        }
    }
    let mut seen = process.next_line_with("connected");
    assert!(seen.contains("alice"), "{seen}");
    process.signal("-TERM");
    seen += &process.rest_of_log();
    assert!(seen.contains("refused: the token has a signature that its key did not make"), "{seen}");
    assert!(seen.contains("disconnected"), "{seen}");
    let signature = alice.rsplit_once('.').unwrap().1;
    assert!(!seen.contains(signature) && !seen.contains("thirty-two"), "{seen}");
}

#[test]
fn a_broker_that_others_may_reach_needs_keys_or_says_loudly_that_it_has_none() {
    let check = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_fanwire")).arg("check").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, refused) = check(&["--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(2));
    assert!(refused.contains("--insecure-open"), "{refused}");

    let arguments = ["--listen", "0.0.0.0:0", "--insecure-open"];
    let mut open = Process::spawn(&arguments);
    let (code, foreseen) = check(&arguments);
    assert_eq!(code, Some(0));
    for warning in [open.next_line_with("WARN"), foreseen] {
        assert!(warning.contains("may publish and subscribe to everything"), "{warning}");
    }
    open.signal("-TERM");
    assert_eq!(open.exit_code(), Some(0));

    let config = TemporaryFile::new(
        "keys",
        "listen = \"0.0.0.0:0\"\n[auth]\nkeys = [{ algorithm = \"HS256\", secret = \"thirty-two octets that are a secret\" }]\n",
    );
    let mut closed = Process::spawn(&["--config", config.path()]);
    closed.next_line_with("listening on 0.0.0.0");
    closed.signal("-TERM");
    assert_eq!(closed.exit_code(), Some(0));
    assert!(!closed.rest_of_log().contains("WARN"));

    let arguments = ["--config", config.path(), "--insecure-open"];
    let mut confused = Process::spawn(&arguments);
    for warning in [confused.next_line_with("WARN"), check(&arguments).1] {
        assert!(warning.contains("insecure_open does nothing"), "{warning}");
    }
}
