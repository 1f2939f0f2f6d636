//! Runs whose outcome is known before: what the generator says of them shows whether it can be believed.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Broker, Expected, Generator};
use loadtest::record::{Layers, Series};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const MS_NS: f64 = 1e6;

/// A message that is published at any time waits for the next poll of its subscriber: from nothing to the whole period,
/// every wait as likely as any other.
#[test]
fn short_polling_is_late_by_half_its_period_in_the_mean_and_by_nearly_all_of_it_at_the_p99() {
    // 97 messages a second, so that they fall on ever other moments of a period.
    let arguments = ["pubsub", "--transport", "poll:200ms", "-c", "200", "-r", "97", "-d", "4s"];
    Generator::assert_tail(&arguments, |record| {
        let measured = &record.series[0].merged;
        assert_eq!(measured.counts.lost, 0);
        let latencies = &measured.latencies.end_to_end;
        let at = |quantile| latencies.value_at_quantile(quantile) as f64 / MS_NS;
        // The answer itself takes a part of a millisecond, or a few on a busy machine.
        let mean_ms = latencies.mean() / MS_NS;
        assert!((98.0..106.0).contains(&mean_ms), "a mean of {mean_ms} ms");
        for (quantile, expected_ms) in [(0.25, 50.0), (0.5, 100.0), (0.75, 150.0)] {
            let ms = at(quantile);
            assert!((expected_ms - 4.0..expected_ms + 8.0).contains(&ms), "{ms} ms at {quantile}");
        }
        Expected("the p99", at(0.99), 196.0..212.0)
    });
}

/// More comes in a period than one answer holds: who asked for the rest in the next period would fall behind for ever.
#[test]
fn short_polling_keeps_up_with_more_than_an_answer_holds() {
    let arguments = ["pubsub", "--transport", "poll:1s", "-c", "5", "-r", "400", "-s", "1KiB", "-d", "3s"];
    Generator::assert_tail(&arguments, |record| {
        let measured = &record.series[0].merged;
        assert_eq!((measured.counts.lost, measured.counts.told), (0, 0));
        let max_ms = measured.latencies.end_to_end.max() as f64 / MS_NS;
        Expected("the highest", max_ms, 900.0..1_200.0)
    });
}

/// Answers of 50 KiB, which come in several pieces: while they come, TCP has more than was read, and what was read is of no
/// message yet.
#[test]
fn each_layer_has_the_octets_of_the_one_within_it_also_where_answers_come_in_pieces() {
    let arguments = "compare --transport ws,sse,longpoll,poll:200ms,poll:1s -c 50 -r 50 -s 1KiB -d 1500ms --html /dev/null";
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    let record = Generator::new(&arguments).record();
    for series in &record.series {
        let Layers { deliveries, payload, application, tcp, ip, segments } = series.merged.bytes;
        let name = &series.name;
        assert!(deliveries > 50, "{name}: {deliveries} deliveries");
        assert_eq!(payload, deliveries * 1_024, "{name}");
        assert!(payload < application && application <= tcp, "{name}: {payload}, {application}, {tcp}");
        assert_eq!(ip, tcp + segments * 52, "{name}");
    }
}

/// Messages that were due while the server stood still are late by what was left of the stop. A generator that waits for
/// the server before it goes on would see one late message, and call the p99 good.
#[test]
fn a_server_that_stands_still_shows_in_every_message_that_was_due_meanwhile() {
    const RATE: f64 = 200.0;
    const SUBSCRIBERS: f64 = 10.0;
    let broker = Broker::start();
    let arguments = ["pubsub", "--transport", "ws", "-c", "10", "-r", "200", "-d", "4s", "--warmup", "1s"];
    let generator = Generator::new(&arguments).against(&broker).start();
    broker.wait_for_connections(11);
    thread::sleep(Duration::from_millis(2_500));
    let stopped_ms = stop_for(Duration::from_millis(500), broker.pid());

    let record = generator.record();
    let series = &record.series[0];
    assert_eq!(series.merged.counts.lost, 0);
    assert_eq!(series.merged.counts.delivered, (4.0 * RATE * SUBSCRIBERS) as u64);
    for later_than_ms in [100.0, 200.0, 300.0, 400.0] {
        let expected = (stopped_ms - later_than_ms) / 1e3 * RATE * SUBSCRIBERS;
        let seen = later_than(series, later_than_ms);
        // Two messages more or fewer: the stop begins and ends between two of them.
        assert!(
            (seen - expected).abs() <= 2.0 * SUBSCRIBERS + 0.05 * expected,
            "{seen} later than {later_than_ms} ms, {expected} expected"
        );
    }
    let max_ms = series.merged.latencies.end_to_end.max() as f64 / MS_NS;
    assert!((stopped_ms - 20.0..stopped_ms + 50.0).contains(&max_ms), "{max_ms} ms at most of {stopped_ms}");
}

/// Deliveries that were later than that.
fn later_than(series: &Series, ms: f64) -> f64 {
    let latencies = &series.merged.latencies.end_to_end;
    latencies.count_between((ms * MS_NS) as u64, latencies.high()) as f64
}

/// Stops a process and lets it go on. How long it stood still, in milliseconds.
fn stop_for(time: Duration, pid: u32) -> f64 {
    let pid = Pid::from_raw(pid.cast_signed());
    kill(pid, Signal::SIGSTOP).expect("it is ours");
    let begun = Instant::now();
    thread::sleep(time);
    kill(pid, Signal::SIGCONT).expect("it is ours");
    begun.elapsed().as_secs_f64() * 1e3
}
