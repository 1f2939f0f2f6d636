//! How the process ends, and what it leaves behind.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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

/// A server that says this to everybody, as an answer to anything.
fn server_that_says(said: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(said.as_bytes());
        }
    });
    format!("ws://{address}/topics/{{topic}}")
}

#[test]
fn a_wrong_server_is_an_error_for_every_command() {
    let url = server_that_says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    for command in ["conn", "pubsub", "sweep"] {
        let output = loadtest(&[command, "-c", "3", "--url", &url]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""), "{command}");
        assert!(stderr(&output).contains("refused with status 404"), "{}", stderr(&output));
    }
}

#[test]
fn who_is_stopped_says_so_and_leaves_no_empty_file() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stopped");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the directory can be written");
    let [new, old] = ["new.json", "old.html"].map(|name| folder.join(name));
    fs::write(&old, "of before").expect("it can be written");
    let child = Command::new(PROGRAM)
        .args(["pubsub", "-c", "2", "-d", "1m", "--json"])
        .arg(&new)
        .arg("--html")
        .arg(&old)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let begun = Instant::now();
    while !new.exists() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it does not begin");
        thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(stderr(&output).contains("stopped by SIGINT: nothing was written"), "{}", stderr(&output));
    assert!(!new.exists());
    assert_eq!(fs::read_to_string(&old).expect("it is there"), "of before");
}

#[test]
fn a_file_of_a_run_that_came_to_nothing_is_not_left_behind() {
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("of-nothing.json");
    let _ = fs::remove_file(&new);
    let path = new.to_str().expect("a path in UTF-8");
    let url = server_that_says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(loadtest(&["pubsub", "-c", "1", "--url", &url, "--json", path]).status.code(), Some(1));
    assert!(!new.exists());
}
