use clap::CommandFactory;
use proptest::prelude::*;

use super::*;
use crate::workload::{Arrival, Shape, Slow};

fn request(arguments: &str) -> Result<Request, UsageError> {
    Request::from_args(["loadtest"].into_iter().chain(arguments.split_whitespace()))
}

fn compare(arguments: &str) -> Compare {
    match request(arguments) {
        Ok(Request::Compare(compare)) => compare,
        other => panic!("{arguments}: {other:?}"),
    }
}

fn pubsub(arguments: &str) -> Pubsub {
    match request(&format!("pubsub {arguments}")) {
        Ok(Request::Pubsub(pubsub)) => pubsub,
        other => panic!("{arguments}: {other:?}"),
    }
}

fn names(transports: &[Transport]) -> String {
    transports.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[test]
fn nothing_said_is_a_comparison_of_six_transports_with_an_own_broker() {
    let Compare { workload, transports, preset, server, measuring, output } = compare("");
    assert_eq!(names(&transports), "ws,ws-deflate,sse,longpoll,poll:100ms,poll:1s");
    assert_eq!((workload.subscribers, workload.size, workload.burst), (500, 128, 1));
    assert_eq!((workload.duration_ns, workload.warmup_ns), (2_000_000_000, 500_000_000));
    assert_eq!(workload.shape, Shape::Feeds { topics: 1, publishers: 1 });
    assert_eq!((server.url, server.protocol, server.headers), (None, Protocol::Raw, HeaderProfile::Minimal));
    assert_eq!((preset, measuring.repeats, output), (None, 6, Output::default()));
}

#[test]
fn flags_are_as_people_know_them() {
    let Compare { workload, transports, server, measuring, output, .. } = compare(
        "-c 1k -r 2.5k -d 1.5m --warmup 0s -s 1KiB --topics 10 --publishers 3 --arrival poisson --burst 16 \
         --transport ws,sse --transport poll:250ms --headers browser --mss 1460 --source-ip 127.0.0.1-127.0.0.9 \
         --url ws://localhost:8080/x/{topic} --protocol fanwire-json --target-pid 77 --repeat 5 --seed 42 \
         --threshold ws.p99<5ms --threshold ws.lost<1 --json a.json --hgrm b --html c.html --quiet",
    );
    assert_eq!(
        workload,
        Workload {
            subscribers: 1_000,
            shape: Shape::Feeds { topics: 10, publishers: 3 },
            rate: 2_500.0,
            duration_ns: 90_000_000_000,
            warmup_ns: 0,
            size: 1_024,
            arrival: Arrival::Poisson,
            burst: 16,
            slow: None,
        }
    );
    assert_eq!(names(&transports), "ws,sse,poll:250ms");
    assert_eq!((server.headers, server.protocol), (HeaderProfile::Browser, Protocol::FanwireJson));
    assert_eq!((server.mss.map(Mss::octets), server.pid), (Some(1460), Some(77)));
    assert_eq!(server.url.unwrap().to_string(), "ws://localhost:8080/x/{topic}");
    assert_eq!(server.sources.unwrap().count(), 9);
    assert_eq!(measuring, Measuring { repeats: 5, seed: 42 });
    assert_eq!(
        output.thresholds.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["ws.p99<5ms", "ws.lost<1"]
    );
    assert_eq!((output.json, output.hgrm), (Some("a.json".into()), Some("b".into())));
    assert_eq!((output.html, output.quiet), (Some("c.html".into()), true));
}

#[test]
fn the_subcommands_have_flags_of_their_own() {
    let chat = pubsub("--rooms 20 -c 1k --slow 5 --slow-rate 2KiB --transport sse");
    assert_eq!(chat.workload.shape, Shape::Rooms(20));
    assert_eq!(chat.workload.slow, Some(Slow { subscribers: 5, octets_per_second: 2_048 }));
    assert_eq!(names(&[chat.transport]), "sse");
    let Ok(Request::Conn(conn)) = request("conn -c 10k -r 1k -d 5s --storm") else { panic!("it is one") };
    assert_eq!((conn.connections, conn.rate.to_string().as_str(), conn.storm), (10_000, "1k", true));
    assert_eq!(conn.idle, Period::from_secs(5));
    let Ok(Request::Sweep(sweep)) = request("sweep --rates 5k,1k,2k --intervals 100ms,1s") else {
        panic!("it is one")
    };
    assert_eq!(sweep.rates.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1k", "2k", "5k"]);
    assert_eq!(names(&sweep.transports), "poll:100ms,poll:1s");
    assert!((sweep.workload.rate - 1_000.0).abs() < 1e-9);
    let Ok(Request::Report(report)) = request("report a.json b.json --html c.html") else {
        panic!("it is one")
    };
    assert_eq!((report.record, report.other), ("a.json".into(), Some("b.json".into())));
    let Ok(Request::Doctor(doctor)) = request("doctor -c 50k --source-ip 127.0.0.0/24") else {
        panic!("it is one")
    };
    assert_eq!((doctor.connections, doctor.sources.unwrap().count()), (50_000, 254));
    let broker = request("broker --parent 7 --on-cores 0-1 -- --listen 127.0.0.1:1").unwrap();
    let arguments = vec!["--listen".into(), "127.0.0.1:1".into()];
    let on_cores = "0,1".parse().unwrap();
    assert_eq!(broker, Request::Broker(BrokerCommand { parent: 7, on_cores, arguments }));
}

#[test]
fn a_server_that_may_not_be_fanwire_is_not_polled_unless_it_is_asked_for() {
    for (arguments, expected) in [
        ("--url ws://a/", "ws"),
        ("--url ws://a/ --transport poll:1s", "poll:1s"),
        ("--url ws://a/ --protocol nats", "ws"),
        ("--url ws://a/ --protocol fanwire-json", "ws,ws-deflate,sse,longpoll,poll:100ms,poll:1s"),
    ] {
        assert_eq!(names(&compare(arguments).transports), expected, "{arguments}");
    }
}

#[test]
fn a_threshold_may_be_about_any_series_that_will_be_measured() {
    let rules = |arguments: &[&str]| match Request::from_args(["loadtest"].iter().chain(arguments)) {
        Ok(Request::Compare(Compare { output, .. }) | Request::Sweep(Sweep { output, .. })) => {
            output.thresholds.len()
        }
        other => panic!("{arguments:?}: {other:?}"),
    };
    assert_eq!(rules(&["--threshold", "poll:100ms.p99<2m", "--threshold", "ws-deflate.bytes<1kB"]), 2);
    assert_eq!(
        rules(&["sweep", "--intervals", "1s", "--rates", "5,2k", "--threshold", "poll:1s at 2k/s.lost<1"]),
        1
    );
    // What a record has is known when it is read.
    assert!(request("report a.json --threshold any.p99<5ms --hgrm b").is_ok());
}

#[test]
fn the_preset_is_the_famous_comparison() {
    let Compare { workload, transports, server, preset, .. } = compare("--preset kaazing");
    assert_eq!(preset, Some(Preset::Kaazing));
    assert_eq!((workload.subscribers, workload.size), (1_000, 20));
    assert!((workload.rate - 1.0).abs() < 1e-9);
    assert_eq!((names(&transports).as_str(), server.headers), ("ws,poll:1s", HeaderProfile::Kaazing));
}

#[test]
fn what_cannot_hold_is_told_why_and_what_to_do() {
    for (arguments, expected) in [
        ("-c 0", "--connections: 0 is not between 1 and 10M"),
        ("-r 0", "--rate: 0 is not between 0.001 and 100M"),
        ("-d 0s", "--duration: 0s is not between 100ms and 12h"),
        ("-s 19", "--size: 19 is not between 20 and 16MiB"),
        ("--burst 0", "--burst: 0 is not between 1 and 1M"),
        ("--topics 0", "--topics: 0 is not between 1 and 1M"),
        ("--publishers 0", "--publishers: 0 is not between 1 and 1M"),
        ("--repeat 0", "--repeat: 0 is not between 1 and 1k"),
        ("--url ws://a --target-pid 0", "--target-pid: 0 is not between 1 and 2147483647"),
        (
            "--topics 501",
            "--topics: 501 are more than the 500 subscribers, and a connection of ws in raw has one topic",
        ),
        ("--topics 501 --protocol fanwire-json", "a connection of sse in fanwire-json has one topic"),
        ("--transport ws,sse,ws", "--transport: ws is there twice"),
        ("--transport poll:5s", "--transport: poll:5s would not poll once in 2s"),
        ("--protocol nats --transport sse", "--transport: sse is not for nats"),
        ("pubsub --rooms 501", "--rooms: 501 are more than the 500 subscribers"),
        ("pubsub --slow 501", "--slow: 501 are more than the 500 subscribers"),
        ("pubsub --slow 1 --transport poll:1s", "--slow: a subscriber over poll:1s asks at its times"),
        ("pubsub --slow 500", "--slow: all 500 subscribers would read slowly"),
        (
            "--preset kaazing -d 1s",
            "--duration: messages are due every 1 s, and none in the first third of the 1s",
        ),
        (
            "pubsub -d 500ms --burst 1000 -r 10",
            "messages are due every 100 s, and none in the first third of the 500ms",
        ),
        (
            "--transport ws --warmup 0s -r 2 -d 490ms",
            "messages are due every 500 ms, and none in the last third of the 490ms",
        ),
        ("--arrival poisson -r 1", "messages are due every 1 s, and none in the first third of the 2s"),
        ("sweep --rates 0.5,1k", "messages are due every 2 s, and none in the first third of the 2s"),
        ("pubsub --slow 0", "--slow: 0 is not between 1 and 10M"),
        ("pubsub --slow 1 --slow-rate 0", "--slow-rate: 0 is not between 1 and 1GiB"),
        ("-c 2M --topics 2k --publishers 2k", "--publishers: each publishes to every topic"),
        ("-r 1M -d 1m", "--duration: no more than 67108863 messages"),
        ("sweep --rates 1k,1M -d 1m", "--duration: no more than 67108863 messages"),
        ("sweep --rates 1k,1000", "--rates: 1k is there twice"),
        ("sweep --rates 0,1k", "--rates: 0 is not between"),
        ("sweep --intervals 1s,1000ms", "--intervals: poll:1s is there twice"),
        ("sweep --intervals 1us", "--intervals: 1us is not between 1ms and 1h"),
        ("--transport poll:1us", "a period that is not between 1ms and 1h"),
        ("conn --transport poll:2h", "a period that is not between 1ms and 1h"),
        ("conn --protocol mqtt --transport longpoll", "--transport: longpoll is not for mqtt"),
        ("doctor -c 0", "--connections: 0 is not between"),
        (
            "--transport ws,sse --threshold wss.p99<5ms",
            "--threshold: wss.p99<5ms is about wss, which will not be measured, but ws, sse",
        ),
        ("pubsub --transport sse --threshold ws.p99<5ms", "which will not be measured, but sse"),
        ("sweep --rates 1k --threshold ws.p99<5ms", "which will not be measured, but ws at 1k/s"),
        ("conn --threshold ws.p99<5ms", "is about a series, and here there is none"),
    ] {
        let error = request(arguments).unwrap_err();
        assert!(error.to_string().contains(expected), "{arguments}\n→ {error}");
        assert!(error.0.use_stderr());
    }
}

#[test]
fn what_cannot_be_understood_is_a_usage_error_too() {
    for (arguments, expected) in [
        ("-d 10", "\"10\" is not a length of time with its unit"),
        ("-c 1.5", "\"1.5\" is not a whole number"),
        ("-r fast", "\"fast\" is not a rate"),
        ("-s 1k", "\"1k\" is not a size"),
        ("--arrival never", "\"never\" is not an arrival of messages, which is constant or poisson"),
        ("--transport carrier-pigeon", "carrier-pigeon"),
        ("--url localhost", "\"localhost\" is not a URL"),
        ("--target-pid 5", "--url <URL>"),
        ("--url ws://a/ --target-pid x", "\"x\" is not the number of a process"),
        ("--seed x", "\"x\" is not a seed"),
        ("--preset kaazing --transport ws", "cannot be used with"),
        ("--preset kaazing -r 5", "cannot be used with"),
        ("pubsub --rooms 5 --topics 5", "cannot be used with"),
        ("pubsub --slow-rate 5", "--slow <N>"),
        ("sweep -r 5 --rates 5", "cannot be used with"),
        ("sweep --transport ws --intervals 1s", "cannot be used with"),
        ("report", "<A.json>"),
        ("report a.json b.json --hgrm c", "cannot be used with"),
        ("report a.json b.json --threshold ws.p99<5ms", "cannot be used with"),
        ("--threshold ws.p99<5", "\"5\" is not a length of time with its unit"),
        ("-c 5 pubsub", "cannot be used with"),
    ] {
        let error = request(arguments).unwrap_err();
        assert!(error.to_string().contains(expected), "{arguments}\n→ {error}");
        assert!(error.0.use_stderr());
    }
}

/// What is left when it is not asked for the same files again.
fn again(request: &Request) -> Request {
    let arguments = match request {
        Request::Compare(compare) => compare.arguments(),
        Request::Pubsub(pubsub) => pubsub.arguments(),
        Request::Conn(conn) => conn.arguments(),
        Request::Sweep(sweep) => sweep.arguments(),
        other => panic!("{other:?} is no run"),
    };
    let program = ["loadtest".to_owned()];
    Request::from_args(program.iter().chain(&arguments))
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

#[test]
fn the_canonical_command_line_gives_the_same_run() {
    for arguments in [
        "",
        "-c 1k -r 0.25 -d 5m --warmup 0s -s 1000 --topics 7 --publishers 3 --arrival poisson --burst 16",
        "--transport poll:1s,ws --headers browser --mss 1460 --source-ip 127.0.0.0/24",
        "--url ws://localhost:8080/x?y={topic} --protocol nats --target-pid 77 --repeat 5 --seed 42",
        "--preset kaazing -c 500 -s 128 --mss 1460 --source-ip 127.0.0.7",
        "pubsub --rooms 20 -c 1k --slow 5 --slow-rate 2KiB --transport sse",
        "conn -c 10k -r 1k -d 5s --storm --transport longpoll",
        "conn",
        "sweep --rates 1k,2500 --intervals 100ms,1s -c 50 --topics 2",
        "sweep --transport ws-deflate",
        "sweep --intervals 1500us",
        "sweep --intervals 1.0000005s,2m -d 5m",
        "pubsub --transport poll:1.5s",
        "sweep -r 5k",
    ] {
        let request = request(arguments).unwrap();
        assert_eq!(again(&request), request, "{arguments}");
    }
}

proptest! {
    #[test]
    fn the_canonical_command_line_has_the_exact_rate(thousandths in 1..1_000_000_000_u64) {
        let rate = Rate::from_thousandths(thousandths);
        // Long enough for several messages.
        let seconds = 1 + 4_000 / thousandths;
        let request = request(&format!("-r {rate} -d {seconds}s --transport ws")).unwrap();
        prop_assert_eq!(again(&request), request);
    }
}

#[test]
fn a_seed_that_is_drawn_is_in_the_canonical_command_line() {
    let runs = [compare(""), compare("")];
    assert_ne!(runs[0].measuring.seed, runs[1].measuring.seed);
    assert!(runs[0].arguments().contains(&runs[0].measuring.seed.to_string()));
}

#[test]
fn the_help_states_the_defaults() {
    let mut command = CommandLine::command();
    command.clone().debug_assert();
    let mut help = |subcommand: &str| {
        let command = command.find_subcommand_mut(subcommand).expect("there is one");
        command.render_long_help().to_string().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let compare_help = help("compare");
    let Compare { workload, transports, server, measuring, .. } = compare("");
    for default in [
        workload.subscribers.to_string(),
        workload.rate.to_string(),
        Period::from_ns(workload.duration_ns).to_string(),
        Period::from_ns(workload.warmup_ns).to_string(),
        workload.size.to_string(),
        format!("{};", names(&transports)),
        server.protocol.to_string(),
        server.headers.to_string(),
        measuring.repeats.to_string(),
    ] {
        let stated = format!("[default: {default}");
        assert!(compare_help.contains(&stated), "{stated} in\n{compare_help}");
    }
    let Ok(Request::Conn(conn)) = request("conn") else { panic!("it is one") };
    let conn_help = help("conn");
    for default in ["1k".to_owned(), conn.rate.to_string(), conn.idle.to_string()] {
        assert!(conn_help.contains(&format!("[default: {default}]")), "{default} in\n{conn_help}");
    }
    let Ok(Request::Sweep(sweep)) = request("sweep") else { panic!("it is one") };
    let rates = sweep.rates.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    assert!(help("sweep").contains(&format!("[default: {rates}]")));
}

#[test]
fn the_help_lists_all_metrics_of_thresholds() {
    let help = request("--help").unwrap_err().to_string();
    let (_, metrics) = help.split_once("The metrics are").expect("there are some");
    let words: Vec<_> = metrics.split(|letter: char| !(letter.is_alphanumeric() || letter == '.')).collect();
    let missing: Vec<_> = crate::threshold::metrics().filter(|metric| !words.contains(metric)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_is_wrong_with_a_subcommand_is_told_with_its_own_usage() {
    for (arguments, usage) in [
        ("pubsub --rooms 0", "Usage: loadtest pubsub [OPTIONS]"),
        ("conn -c 0", "Usage: loadtest conn [OPTIONS]"),
        ("-c 0", "Usage: loadtest [OPTIONS]"),
    ] {
        let error = request(arguments).unwrap_err().to_string();
        assert!(error.contains(usage), "{error}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for arguments in ["--help", "--version", "pubsub --help", "doctor -h"] {
        assert!(!request(arguments).unwrap_err().0.use_stderr(), "{arguments}");
    }
    assert!(!request("--help").unwrap_err().to_string().contains("on-cores"));
}

#[test]
fn exit_codes_are_those_that_are_promised() {
    let all = [Exit::Success, Exit::Error, Exit::Usage, Exit::Invalid, Exit::ThresholdFailed];
    assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 99]);
}
