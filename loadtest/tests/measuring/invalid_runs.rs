//! Every way in which a run can come to be worth nothing, provoked: it ends with exit code 3, and says why.

use std::process::Output;
use std::thread;
use std::time::Duration;

use crate::support::{Broker, Generator, Running};
use loadtest::record::{Reason, ReasonKind, Record};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The exit code of a run that cannot be trusted.
const INVALID: i32 = 3;

/// The reasons of a run that is invalid, and what it has told people.
fn reasons(running: Running) -> (Vec<Reason>, String) {
    let (output, json) = running.end();
    let Output { status, stdout, stderr } = output;
    let [stdout, stderr] = [stdout, stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned());
    assert_eq!(status.code(), Some(INVALID), "{stdout}{stderr}");
    let record: Record = serde_json::from_slice(&std::fs::read(&json).expect("a record")).expect("a record");
    let _ = std::fs::remove_file(json);
    (record.verdict.reasons, stdout)
}

/// That the run is invalid for this reason, that the table says so in its first line, and why further down.
fn assert_invalid(running: Running, kind: ReasonKind) {
    let (reasons, said) = reasons(running);
    let reason = reasons.iter().find(|reason| reason.kind == kind);
    let reason = reason.unwrap_or_else(|| panic!("{kind:?} is not among {reasons:?}"));
    assert!(said.lines().next().is_some_and(|line| line.contains("INVALID")), "{said}");
    let first_words: Vec<_> = reason.explanation.split_whitespace().take(4).collect();
    let words: Vec<_> = said.split_whitespace().collect();
    assert!(words.windows(4).any(|window| window == first_words), "{first_words:?} is not in {said}");
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).expect("it is ours");
}

/// Stops a process from some time after the first connections until some time later.
fn stop_between(broker: &Broker, pid: u32, from: Duration, time: Duration) {
    broker.wait_for_connections(2);
    thread::sleep(from);
    signal(pid, Signal::SIGSTOP);
    thread::sleep(time);
    signal(pid, Signal::SIGCONT);
}

#[test]
fn a_generator_that_is_busy_all_the_time_may_have_measured_itself() {
    let generator =
        Generator::new(&["pubsub", "-c", "1", "-r", "5M", "-s", "20", "-d", "1s", "--warmup", "200ms"]);
    assert_invalid(generator.start(), ReasonKind::GeneratorBusy);
}

#[test]
fn messages_that_were_due_and_not_sent_are_another_load() {
    let broker = Broker::start();
    let arguments = ["pubsub", "-c", "1", "-r", "1k", "-s", "64KiB", "-d", "2s", "--warmup", "100ms"];
    let running = Generator::new(&arguments).against(&broker).start();
    stop_between(&broker, broker.pid(), Duration::from_millis(300), Duration::from_secs(4));
    assert_invalid(running, ReasonKind::RateMissed);
}

#[test]
fn a_generator_that_is_late_shows_its_own_lateness() {
    let broker = Broker::start();
    let running = Generator::new(&["pubsub", "-c", "10", "-r", "500", "-d", "3s"]).against(&broker).start();
    stop_between(&broker, running.pid(), Duration::from_secs(2), Duration::from_millis(400));
    assert_invalid(running, ReasonKind::ScheduleLag);
}

#[test]
fn a_window_that_ends_otherwise_than_it_began_is_not_steady() {
    let broker = Broker::start();
    let running = Generator::new(&["pubsub", "-c", "10", "-r", "500", "-d", "3s"]).against(&broker).start();
    stop_between(&broker, broker.pid(), Duration::from_millis(2_400), Duration::from_secs(1));
    assert_invalid(running, ReasonKind::Unsteady);
}

#[test]
fn connections_that_break_leave_something_else_than_was_to_be_measured() {
    let broker = Broker::start();
    let running =
        Generator::new(&["pubsub", "-c", "10", "-r", "500", "-d", "3s"]).against_stranger(&broker).start();
    broker.wait_for_connections(11);
    thread::sleep(Duration::from_millis(1_500));
    drop(broker);
    assert_invalid(running, ReasonKind::ConnectionsLost);
}

#[test]
fn a_machine_without_files_is_named_as_the_reason() {
    // A broker with as few files would refuse connections before the generator runs out.
    let broker = Broker::start();
    // More connections than files, and as many, where a few files are other things.
    for connections in ["200", "64"] {
        let generator = Generator::new(&["pubsub", "-c", connections, "-r", "100", "-d", "1s"]);
        let running = generator.against(&broker).under("ulimit -n 64").start();
        assert_invalid(running, ReasonKind::FilesExhausted);
    }
}

/// In a network of its own, with a hundred ports.
#[test]
fn a_machine_without_ports_is_named_as_the_reason() {
    let generator = Generator::new(&["pubsub", "-c", "200", "-r", "100", "-d", "1s"]);
    let prepare = "ip link set lo up; echo 50000 50099 > /proc/sys/net/ipv4/ip_local_port_range";
    assert_invalid(generator.under(prepare).in_own_network().start(), ReasonKind::PortsExhausted);
}
