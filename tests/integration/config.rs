//! The configuration as an operator meets it: the file that explains every key, and the check.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use fanwire::config::{Config, Invocation};

use crate::support::TemporaryFile;

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fanwire.example.toml");
    fs::read_to_string(path).unwrap()
}

/// The example with the keys set that it shows but does not set.
fn example_with_everything_set() -> String {
    let is_unset = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line != "#";
    let set = |line: &str| if is_unset(line) { line[1..].to_owned() } else { line.to_owned() };
    let text: String = example().lines().map(|line| set(line) + "\n").collect();
    // Nobody listens where TLS is spoken unless told to.
    text.replace("listen = [", "listen = [\"tls://127.0.0.1:8443\", ")
}

fn config_of(name: &str, text: &str) -> Result<Config, String> {
    let file = TemporaryFile::new(name, text);
    match Config::from_args(["fanwire", "--config", file.path()]) {
        Ok(Invocation::Run(config)) => Ok(*config),
        Ok(Invocation::Check(_) | Invocation::Token(_)) => unreachable!("nothing else was asked for"),
        Err(error) => Err(error.to_string()),
    }
}

/// The keys that a table takes, as it lists them, in backticks, when it meets another.
fn keys_of(table: &str, text: &str) -> Vec<String> {
    let complaint = config_of(table, text).unwrap_err();
    let (_, listed) = complaint.lines().next().unwrap().split_once("expected").expect(&complaint);
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_example_changes_nothing_as_it_is() {
    assert_eq!(config_of("as-is", &example()).unwrap().to_string(), Config::default().to_string());
}

#[test]
fn the_example_holds_with_everything_set_and_shows_the_defaults_of_rules() {
    let config = config_of("everything", &example_with_everything_set()).unwrap();
    let shown = &config.settings.topics[0].settings;
    let bounded_by_age =
        "topics = [{ match = \"a\", history.max_age = \"10m\", keys = {}, message_ids = {} }]";
    let default = &config_of("rule", bounded_by_age).unwrap().settings.topics[0].settings;
    assert_eq!(shown.history, default.history);
    assert_eq!(shown.last_value, default.last_value);
    assert_eq!(shown.keys, default.keys);
    assert_eq!(shown.message_ids, default.message_ids);
    assert_eq!(shown.overflow, default.overflow);
}

#[test]
fn the_example_names_every_key_and_no_other() {
    let tables = [
        ("top", "no_such_key = 1"),
        ("timeouts", "[timeouts]\nno_such_key = 1"),
        ("limits", "[limits]\nno_such_key = 1"),
        ("proxies", "[proxies]\nno_such_key = 1"),
        ("log", "[log]\nno_such_key = 1"),
        ("origins", "[origins]\nno_such_key = 1"),
        ("auth", "[auth]\nno_such_key = 1"),
        ("auth-keys", "[auth]\nkeys = [{ no_such_key = 1 }]"),
        ("clients", "[auth]\nclients = [{ no_such_key = 1 }]"),
        ("anonymous", "[auth]\nanonymous = { no_such_key = 1 }"),
        ("tls", "[tls]\nno_such_key = 1"),
        ("certificates", "[tls]\ncertificates = [{ no_such_key = 1 }]"),
        ("topics", "[[topics]]\nno_such_key = 1"),
        ("history", "[[topics]]\nmatch = \"a\"\nhistory = { no_such_key = 1 }"),
        ("keys", "[[topics]]\nmatch = \"a\"\nkeys = { no_such_key = 1 }"),
        ("ids", "[[topics]]\nmatch = \"a\"\nmessage_ids = { no_such_key = 1 }"),
    ];
    let exist: BTreeSet<_> = tables.into_iter().flat_map(|(table, text)| keys_of(table, text)).collect();
    let example = example_with_everything_set();
    let lines = example.lines().filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(|line| line.split(|c: char| !c.is_ascii_lowercase() && c != '_'));
    let named: BTreeSet<_> = words.map(str::to_owned).collect();
    let missing: Vec<_> = exist.difference(&named).collect();
    assert!(missing.is_empty(), "the example does not name {missing:?}");
    // That it names no other key is seen from its being accepted.
    config_of("no-other", &example).unwrap();
}

fn check(file: &TemporaryFile) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fanwire")).args(["check", "--config", file.path()]).output().unwrap()
}

#[test]
fn a_check_prints_what_holds_as_a_file() {
    let file = TemporaryFile::new(
        "good",
        "cores = 2\n[[topics]]\nmatch = \"prices.>\"\nhistory = { messages = 5 }\n",
    );
    let output = check(&file);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let holds = fs::read_to_string(file.path()).unwrap();
    assert_eq!(
        config_of("printed", &printed).unwrap().to_string(),
        config_of("asked", &holds).unwrap().to_string()
    );
}

#[test]
fn a_check_says_what_the_limits_come_out_as_that_are_left_to_the_machine() {
    let text = "limits = { connections = 5, memory = \"40MiB\", history_memory = \"10MiB\" }\n";
    let printed = String::from_utf8(check(&TemporaryFile::new("left-open", text)).stdout).unwrap();
    let comments: Vec<_> = printed.lines().filter(|line| line.starts_with('#')).collect();
    let expected =
        ["# What comes out on this machine:", "# backlog_memory = \"10MiB\"", "# context_memory = \"2MiB\""];
    assert_eq!(comments, expected);

    let printed = String::from_utf8(check(&TemporaryFile::new("open", "")).stdout).unwrap();
    for key in ["connections", "memory", "history_memory", "backlog_memory", "context_memory"] {
        assert!(printed.contains(&format!("\n# {key} = ")), "{key}: {printed}");
    }
    let said = printed.replace("\n# What", "\n#What").replace("\n# ", "\n");
    config_of("open-said", &said).expect("it can be said as it stands there");
    let all = text.replace(" }", ", backlog_memory = \"1MiB\", context_memory = \"1MiB\" }");
    let printed = String::from_utf8(check(&TemporaryFile::new("all-said", &all)).stdout).unwrap();
    assert!(!printed.contains('#'), "{printed}");
}

#[test]
fn a_check_of_a_bad_file_fails_with_the_place_and_the_remedy() {
    let file = TemporaryFile::new("bad", "cores = 2\nmax_message = \"1MB\"\n");
    let output = check(&file);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty(), "{output:?}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    let expected = format!("fanwire: {}:2: \"1MB\" is not a size such as", file.path());
    assert!(complaint.starts_with(&expected), "{complaint}");
}

#[test]
fn a_wrong_flag_fails_and_help_does_not() {
    let run = |flag| Command::new(env!("CARGO_BIN_EXE_fanwire")).arg(flag).output().unwrap();
    let wrong = run("--listen");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("--listen"), "it says what may be meant");
    let help = run("--help");
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8(help.stdout).unwrap().contains("fanwire check --config"), "it has examples");
}

#[test]
fn the_examples_of_the_help_fit_a_terminal_of_80_columns() {
    let examples = |columns| {
        let mut help = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        let output = help.arg("--help").env("COLUMNS", columns).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_once("Examples:").expect("it has examples").1.to_owned()
    };
    assert_eq!(examples("80"), examples("200"), "nothing is torn");
}

#[test]
fn where_nothing_can_be_written_the_exit_code_says_it() {
    let bad = TemporaryFile::new("unwritable", "max_message = \"1MB\"\n");
    let warned_of = TemporaryFile::new("warned-of", "limits.connections = 1000000\n");
    let (secret, config) = (TemporaryFile::new("secret", &"s".repeat(32)), ["--config", bad.path()]);
    let no_cert = ["--listen", "tls://127.0.0.1:0", "--tls-cert", "/nowhere", "--tls-key", "/nowhere"];
    let token = ["token", "--subject", "alice", "--key-file"];
    for (arguments, code) in [
        (&config[..], 2),
        (&[&["check"], &config[..]].concat(), 2),
        (&[&["check"], &no_cert[..]].concat(), 2),
        (&["check", "--config", "/nowhere"], 2),
        (&["check", "--config", warned_of.path()], 1),
        (&["--no-such-flag"], 2),
        (&["--help"], 0),
        (&[&token[..], &["/nowhere"]].concat(), 2),
        (&[&token[..], &[secret.path()]].concat(), 1),
    ] {
        let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        let ended = command.args(arguments).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{arguments:?}");
    }
}
