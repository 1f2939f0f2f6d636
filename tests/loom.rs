//! The mailboxes' wake-up and backpressure protocol, in every reordering that the memory model allows. Without
//! loom this file is empty; with it:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --release --test loom
//! ```
//!
//! The smallest model runs in every interleaving; the larger ones in those with at most three preemptions, which
//! is seconds of work (`LOOM_MAX_PREEMPTIONS=5`: minutes).
//!
//! A lost wake shows as loom's "deadlock", because nothing here ever looks twice without being woken.
#![cfg(loom)]

use std::sync::atomic::AtomicUsize as Count;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use fanwire::mailbox::Doorbell;
use loom::sync::atomic::AtomicUsize;
use loom::sync::{Arc, Notify};
use loom::thread;

/// A thread that sleeps, as a core does. The wake sticks, and a sleep may end for no reason.
#[derive(Default)]
struct Sleeper {
    poll: Notify,
    sleeps: Count,
    wakes: Count,
}

impl Sleeper {
    /// Waits at `bell` until `look` sees the change. Only a wake, or a spurious one, has it look again.
    fn wait_for(&self, bell: &Doorbell, waiter: usize, look: impl Fn() -> bool) {
        self.sleeps.fetch_add(1, Relaxed);
        while bell.wait(waiter, &look) {
            self.poll.wait();
            bell.leave(waiter);
            self.sleeps.fetch_add(1, Relaxed);
        }
    }

    fn wake(&self) {
        self.wakes.fetch_add(1, Relaxed);
        self.poll.notify();
    }

    fn was_woken_at_most_once_per_sleep(&self) -> bool {
        self.wakes.load(Relaxed) <= self.sleeps.load(Relaxed)
    }
}

/// A lane between one sender and one receiver, reduced to how many batches went in and came out: plain
/// loads and stores, so that it adds no ordering of its own between the doorbells' two sides.
#[derive(Default)]
struct Lane {
    sent: AtomicUsize,
    received: AtomicUsize,
}

fn with_few_preemptions(model: impl Fn() + Sync + Send + 'static) {
    let mut explorer = loom::model::Builder::new();
    explorer.preemption_bound.get_or_insert(3);
    explorer.check(model);
}

#[test]
fn no_wake_is_lost_between_a_sender_and_a_sleeping_core() {
    loom::model(|| {
        let asleep = Arc::new(Doorbell::new());
        let receiver = Arc::new(Sleeper::default());
        let lane = Arc::new(Lane::default());
        let sender = thread::spawn({
            let (asleep, receiver, lane) = (Arc::clone(&asleep), Arc::clone(&receiver), Arc::clone(&lane));
            move || {
                lane.sent.store(1, Release);
                asleep.ring().for_each(|_| receiver.wake());
            }
        });

        receiver.wait_for(&asleep, 0, || lane.sent.load(Acquire) == 1);
        sender.join().unwrap();
        assert!(receiver.was_woken_at_most_once_per_sleep());
    });
}

#[test]
fn no_wake_is_lost_between_two_senders_and_a_sleeping_core() {
    with_few_preemptions(|| {
        let asleep = Arc::new(Doorbell::new());
        let receiver = Arc::new(Sleeper::default());
        let lanes = Arc::new([Lane::default(), Lane::default()]);
        let senders = [0, 1].map(|sender| {
            let (asleep, receiver, lanes) = (Arc::clone(&asleep), Arc::clone(&receiver), Arc::clone(&lanes));
            thread::spawn(move || {
                lanes[sender].sent.store(1, Release);
                asleep.ring().for_each(|_| receiver.wake());
            })
        });

        receiver.wait_for(&asleep, 0, || lanes.iter().all(|lane| lane.sent.load(Acquire) == 1));
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert!(receiver.was_woken_at_most_once_per_sleep());
    });
}

#[test]
fn no_wake_is_lost_over_several_sleeps() {
    with_few_preemptions(|| {
        let asleep = Arc::new(Doorbell::new());
        let receiver = Arc::new(Sleeper::default());
        let lane = Arc::new(Lane::default());
        let sender = thread::spawn({
            let (asleep, receiver, lane) = (Arc::clone(&asleep), Arc::clone(&receiver), Arc::clone(&lane));
            move || {
                for batch in 1..=3 {
                    lane.sent.store(batch, Release);
                    asleep.ring().for_each(|_| receiver.wake());
                }
            }
        });

        for batch in 1..=3 {
            receiver.wait_for(&asleep, 0, || lane.sent.load(Acquire) >= batch);
        }
        sender.join().unwrap();
        assert!(receiver.was_woken_at_most_once_per_sleep());
    });
}

#[test]
fn neither_a_batch_nor_room_for_one_is_slept_through() {
    with_few_preemptions(|| {
        let (asleep, room) = (Arc::new(Doorbell::new()), Arc::new(Doorbell::new()));
        let (receiver, sender) = (Arc::new(Sleeper::default()), Arc::new(Sleeper::default()));
        let lane = Arc::new(Lane::default());
        let sending = thread::spawn({
            let (asleep, room) = (Arc::clone(&asleep), Arc::clone(&room));
            let (receiver, sender, lane) = (Arc::clone(&receiver), Arc::clone(&sender), Arc::clone(&lane));
            move || {
                // The lane holds one batch.
                for batch in 1..=2 {
                    sender.wait_for(&room, 1, || lane.received.load(Acquire) + 1 == batch);
                    lane.sent.store(batch, Release);
                    asleep.ring().for_each(|_| receiver.wake());
                }
            }
        });

        for batch in 1..=2 {
            receiver.wait_for(&asleep, 0, || lane.sent.load(Acquire) == batch);
            lane.received.store(batch, Release);
            room.ring().for_each(|_| sender.wake());
        }
        sending.join().unwrap();
        assert!(receiver.was_woken_at_most_once_per_sleep());
        assert!(sender.was_woken_at_most_once_per_sleep());
    });
}

#[test]
fn each_of_two_senders_is_told_of_room() {
    with_few_preemptions(|| {
        let room = Arc::new(Doorbell::new());
        let senders = Arc::new([Sleeper::default(), Sleeper::default()]);
        let has_room = Arc::new(AtomicUsize::new(0));
        let sending = [0, 1].map(|sender| {
            let (room, senders, has_room) = (Arc::clone(&room), Arc::clone(&senders), Arc::clone(&has_room));
            thread::spawn(move || {
                senders[sender].wait_for(&room, sender, || has_room.load(Acquire) == 1);
            })
        });

        has_room.store(1, Release);
        room.ring().for_each(|sender| senders[sender].wake());
        sending.into_iter().for_each(|sender| sender.join().unwrap());
        assert!(senders.iter().all(Sleeper::was_woken_at_most_once_per_sleep));
    });
}
