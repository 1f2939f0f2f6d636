//! How long deliveries take.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::Client;
use crate::plan::Step;
use crate::workload::Rate;

/// Messages before the first that counts: the target may have slept while others were measured.
const WARM_UP: usize = 5;

/// Latencies in nanoseconds, up to a minute.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("good bounds")
}

fn interval(rate: Rate) -> Duration {
    Duration::from_secs(1) / rate.messages_per_second
}

/// Publishes at fixed times, whether or not what was published before has come: what is late counts from when it should
/// have been published.
pub(crate) fn at_rate(client: &mut Client, rate: Rate, time: Duration) -> Histogram<u64> {
    let subscribers = client.shape.subscribers;
    let publication = client.publications(Step::PublishAtRate(rate).burst()).swap_remove(0);
    (0..WARM_UP).for_each(|_| client.publish(&publication));
    let (mut latencies, mut received) = (histogram(), vec![0u32; subscribers]);
    let (begun, interval) = (Instant::now(), interval(rate));
    let messages = (time.as_secs_f64() * f64::from(rate.messages_per_second)) as u32;
    let (mut sent, mut outstanding) = (0, 0);
    while sent < messages || outstanding > 0 {
        let due = interval * sent;
        if sent < messages && begun.elapsed() >= due {
            client.send(&publication);
            (sent, outstanding) = (sent + 1, outstanding + subscribers);
        }
        // The kernel sleeps whole milliseconds; the rest of the time is looked at again and again.
        let until_due = (interval * sent).saturating_sub(begun.elapsed());
        let sleep = if sent < messages { until_due } else { Duration::from_secs(10) };
        let woken =
            client.receive(Duration::from_millis(sleep.as_millis() as u64), |subscriber, deliveries| {
                let now = begun.elapsed();
                for _ in 0..deliveries {
                    latencies.saturating_record(
                        now.saturating_sub(interval * received[subscriber]).as_nanos() as u64,
                    );
                    received[subscriber] += 1;
                }
                outstanding = outstanding.checked_sub(deliveries).expect("no more than was published");
            });
        assert!(woken || sent < messages, "{outstanding} deliveries never came");
    }
    latencies
}

/// Publishes one message after the other, each at its time or, where that is past, when the one before has come. A latency
/// counts from when its message was published. The client waits asleep, so that the target is never kept from a core that
/// it may use.
pub(crate) fn one_by_one(client: &mut Client, rate: Rate, time: Duration) -> Histogram<u64> {
    let publication = client.publications(Step::Hop(rate).burst()).swap_remove(0);
    let (mut latencies, interval) = (histogram(), interval(rate));
    let begun = Instant::now();
    let mut due = interval;
    while begun.elapsed() < time {
        while begun.elapsed() < due {
            std::hint::spin_loop();
        }
        let sent = Instant::now();
        client.publish(&publication);
        latencies.saturating_record(sent.elapsed().as_nanos() as u64);
        due += interval;
    }
    latencies
}
