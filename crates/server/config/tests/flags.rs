//! What flags say, and that they win over the file.

use clap::CommandFactory;

use super::*;

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
fn a_check_takes_the_same_flags_as_a_run() {
    let run = Config::from_args(["fanwire", "--cores", "2", "--demo"]).unwrap();
    let check = Config::from_args(["fanwire", "check", "--cores", "2", "--demo"]).unwrap();
    let (Invocation::Run(run), Invocation::Check(check)) = (run, check) else { panic!("one of each") };
    assert_eq!(run.to_string(), check.to_string());
}

#[test]
fn the_help_states_the_defaults() {
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
