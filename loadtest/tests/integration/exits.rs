//! How the process ends, and what it leaves behind.

use std::path::PathBuf;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_loadtest");

fn loadtest(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("it starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A record of those that are kept.
fn kept(name: &str) -> String {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "record", "2026-11-22-epyc-2-cores"].iter().collect();
    folder.join(name).to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn a_comparison_with_a_record_that_cannot_be_trusted_cannot_be_trusted() {
    let (valid, invalid) = (kept("raw.json"), kept("conn-19k.json"));
    for (arguments, code) in [
        (vec!["report", &valid, &valid], 0),
        (vec!["report", &invalid], 3),
        (vec!["report", &invalid, &invalid], 3),
    ] {
        assert_eq!(loadtest(&arguments).status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_compared_is_an_error_that_says_so() {
    let output = loadtest(&["report", &kept("raw.json"), &kept("conn-19k.json")]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    assert!(
        stderr(&output).contains("the first record has ws, the second connecting"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_famous_table_of_the_record_is_shown_again() {
    let output = loadtest(&["report", &kept("kaazing.json")]);
    let said = stdout(&output);
    assert!(
        said.contains("1,000          6.6      0.015     7.29     0.0153      8.63      0.961"),
        "{said}"
    );
}
