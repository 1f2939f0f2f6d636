//! What goes from one core to another.
//!
//! Every core has one mailbox with two lanes, so that no two cores can wait for each other:
//!
//! ```text
//!                 requests: core → home        publishes, subscriptions, history reads
//!   core 0 ──┬──────────────────────────────►
//!   core 1 ──┤                                  core n
//!   core … ──┴──────────────────────────────►
//!                 deliveries: home → core      messages, answers, receipts
//! ```
//!
//! A lane carries batches, one per turn and sender, first in, first out, and is bounded: a full lane gives
//! the batch back, and wakes its sender when there is room again. Nothing here blocks. What a sender keeps
//! in the meantime, and when it stops reading because of it, is the sender's outbox and decision.
//!
//! Who must be woken, and when, is the [`Doorbell`]'s work: a core's `asleep` is one, each lane's `room`
//! is another. `tests/loom.rs` runs it through every interleaving.

mod doorbell;

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError};

pub use doorbell::Doorbell;

/// The most cores that mailboxes connect: a set of them is one `u64`.
pub const MAX_CORES: usize = 64;

/// The batches that a lane holds for each core that may send to it. A sender hands over one per turn, so this
/// is how many turns a core may be late before the others notice.
const BATCHES_PER_SENDER: usize = 4;

/// The batches that a lane holds at least, so that few cores do not mean a hair trigger.
const MIN_BATCHES: usize = 16;

/// Ends a core's sleep.
///
/// A wake must stick: one that comes while the core is awake ends its next sleep at once. (An eventfd does.)
pub trait Wake: Send + Sync {
    /// Ends the sleep of the core that this belongs to, or its next one.
    fn wake(&self);
}

impl Wake for mio::Waker {
    fn wake(&self) {
        // An eventfd cannot refuse: mio empties a full one and writes again. Losing a wake would hang a
        // core, so a failure must not pass silently.
        mio::Waker::wake(self).expect("an eventfd takes a wake");
    }
}

/// One end of every lane: what a core receives, and the way to the others.
///
/// It belongs to one thread. The cycle that its owner keeps to:
///
/// 1. receive until both lanes give `None`, or a budget is used up;
/// 2. send; what a full lane gives back is kept, in order, and sent again in a later turn;
/// 3. with nothing left to do, ask [`may_sleep`](Self::may_sleep), and sleep only if it says so;
/// 4. after the sleep, whatever ended it, say [`awake`](Self::awake).
#[derive(Debug)]
pub struct Mailbox<R, D, W> {
    core: usize,
    addresses: Arc<[Address<R, D, W>]>,
    requests: Receiver<Batch<R>>,
    deliveries: Receiver<Batch<D>>,
}

/// The core that sent it, and what it sent.
type Batch<T> = (usize, Vec<T>);

/// What others know of a core.
#[derive(Debug)]
struct Address<R, D, W> {
    requests: Lane<R>,
    deliveries: Lane<D>,
    /// Only the core itself waits on it, for a batch in either lane.
    asleep: Doorbell,
    waker: Arc<W>,
}

/// The sending end of one lane, shared by all cores.
#[derive(Debug)]
struct Lane<T> {
    batches: Sender<Batch<T>>,
    /// The cores that wait for room.
    room: Doorbell,
}

/// Connects as many cores as there are wakers; the mailbox at index `n` belongs to core `n`, which `wakers[n]`
/// wakes.
///
/// Panics if there are more than [`MAX_CORES`].
pub fn mailboxes<R, D, W: Wake>(wakers: Vec<Arc<W>>) -> Vec<Mailbox<R, D, W>> {
    assert!(wakers.len() <= MAX_CORES, "at most {MAX_CORES} cores");
    let capacity = (wakers.len() * BATCHES_PER_SENDER).max(MIN_BATCHES);
    let mut addresses = Vec::with_capacity(wakers.len());
    let mut receivers = Vec::with_capacity(wakers.len());
    for waker in wakers {
        let (requests, requests_in) = Lane::with_capacity(capacity);
        let (deliveries, deliveries_in) = Lane::with_capacity(capacity);
        addresses.push(Address { requests, deliveries, asleep: Doorbell::new(), waker });
        receivers.push((requests_in, deliveries_in));
    }
    let addresses: Arc<[_]> = addresses.into();
    let mailbox = |(core, (requests, deliveries))| Mailbox {
        core,
        addresses: Arc::clone(&addresses),
        requests,
        deliveries,
    };
    receivers.into_iter().enumerate().map(mailbox).collect()
}

impl<R, D, W: Wake> Mailbox<R, D, W> {
    /// Sends a batch to the home `to`, which may be this core.
    ///
    /// A full lane gives the batch back; this core is then woken when there is room. A core that has gone
    /// receives nothing: what is sent to it is dropped, as if it had gone a moment later.
    pub fn send_requests(&self, to: usize, batch: Vec<R>) -> Result<(), Vec<R>> {
        let address = &self.addresses[to];
        address.requests.send((self.core, batch))?;
        address.ring();
        Ok(())
    }

    /// Sends a batch to the core `to`, as [`send_requests`](Self::send_requests) does.
    pub fn send_deliveries(&self, to: usize, batch: Vec<D>) -> Result<(), Vec<D>> {
        let address = &self.addresses[to];
        address.deliveries.send((self.core, batch))?;
        address.ring();
        Ok(())
    }

    /// The next batch of requests, and the core that sent it.
    pub fn receive_requests(&self) -> Option<(usize, Vec<R>)> {
        let batch = self.requests.try_recv().ok()?;
        self.wake_senders(&self.address().requests.room);
        Some(batch)
    }

    /// The next batch of deliveries, and the home that sent it.
    pub fn receive_deliveries(&self) -> Option<(usize, Vec<D>)> {
        let batch = self.deliveries.try_recv().ok()?;
        self.wake_senders(&self.address().deliveries.room);
        Some(batch)
    }

    /// Whether this core may sleep. After `true`, a batch for this core wakes it; after `false`, there is one
    /// to be received. A core that has no room for what requests bring does not `take_requests`: those that
    /// wait already are then no reason to stay up, since what makes room wakes it.
    #[must_use = "a core that sleeps although it may not is never woken"]
    pub fn may_sleep(&self, take_requests: bool) -> bool {
        let has_requests = || take_requests && !self.requests.is_empty();
        self.address().asleep.wait(SLEEPER, || has_requests() || !self.deliveries.is_empty())
    }

    /// Says that this core is up, so that nobody pays for waking it.
    pub fn awake(&self) {
        self.address().asleep.leave(SLEEPER);
    }

    /// The batches that wait here to be received: requests, deliveries.
    pub fn depth(&self) -> (usize, usize) {
        (self.requests.len(), self.deliveries.len())
    }

    fn address(&self) -> &Address<R, D, W> {
        &self.addresses[self.core]
    }

    fn wake_senders(&self, room: &Doorbell) {
        for core in room.ring() {
            self.addresses[core].waker.wake();
        }
    }
}

/// The waiter at a core's `asleep`: there is one, the core itself.
const SLEEPER: usize = 0;

impl<R, D, W: Wake> Address<R, D, W> {
    /// Wakes this core if it is asleep.
    fn ring(&self) {
        if self.asleep.ring().next().is_some() {
            self.waker.wake();
        }
    }
}

impl<T> Lane<T> {
    fn with_capacity(batches: usize) -> (Self, Receiver<Batch<T>>) {
        let (sender, receiver) = crossbeam_channel::bounded(batches);
        (Self { batches: sender, room: Doorbell::new() }, receiver)
    }

    /// Sends, or gives the batch back and leaves its sender waiting for room.
    fn send(&self, batch: Batch<T>) -> Result<(), Vec<T>> {
        let Err(batch) = self.try_send(batch) else { return Ok(()) };
        let sender = batch.0;
        let mut unsent = Some(batch);
        self.room.wait(sender, || {
            unsent = unsent.take().and_then(|batch| self.try_send(batch).err());
            unsent.is_none()
        });
        unsent.map_or(Ok(()), |(_, batch)| Err(batch))
    }

    /// Sends, or gives back what does not fit.
    fn try_send(&self, batch: Batch<T>) -> Result<(), Batch<T>> {
        match self.batches.try_send(batch) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(batch)) => Err(batch),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    /// Counts wakes, and parks no one.
    #[derive(Debug, Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Wakes {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    type Cores = (Vec<Arc<Wakes>>, Vec<Mailbox<u32, u32, Wakes>>);

    fn cores(count: usize) -> Cores {
        let wakers: Vec<_> = (0..count).map(|_| Arc::new(Wakes::default())).collect();
        (wakers.clone(), mailboxes(wakers))
    }

    #[test]
    fn batches_of_a_sender_arrive_in_order_and_name_it() {
        let (_, mailboxes) = cores(2);
        mailboxes[0].send_requests(1, vec![1, 2]).unwrap();
        mailboxes[1].send_requests(1, vec![3]).unwrap();
        mailboxes[0].send_requests(1, vec![4]).unwrap();
        mailboxes[0].send_deliveries(1, vec![5]).unwrap();
        assert_eq!(mailboxes[1].depth(), (3, 1));
        assert_eq!(mailboxes[1].receive_requests(), Some((0, vec![1, 2])));
        assert_eq!(mailboxes[1].receive_requests(), Some((1, vec![3])));
        assert_eq!(mailboxes[1].receive_requests(), Some((0, vec![4])));
        assert_eq!(mailboxes[1].receive_requests(), None);
        assert_eq!(mailboxes[1].receive_deliveries(), Some((0, vec![5])));
        assert_eq!(mailboxes[1].receive_deliveries(), None);
    }

    #[test]
    fn only_a_sleeping_core_is_woken_and_only_once() {
        let (wakers, mailboxes) = cores(2);
        mailboxes[0].send_requests(1, vec![1]).unwrap();
        assert_eq!(wakers[1].count(), 0, "it is awake");
        assert!(!mailboxes[1].may_sleep(true), "a request is there");
        assert!(mailboxes[1].may_sleep(false), "it has no room for it");
        mailboxes[1].awake();
        mailboxes[1].receive_requests().unwrap();

        assert!(mailboxes[1].may_sleep(true));
        mailboxes[0].send_deliveries(1, vec![2]).unwrap();
        mailboxes[0].send_requests(1, vec![3]).unwrap();
        assert_eq!(wakers[1].count(), 1);
        mailboxes[1].awake();
        mailboxes[0].send_requests(1, vec![4]).unwrap();
        assert_eq!(wakers[1].count(), 1);
        assert_eq!(wakers[0].count(), 0);
    }

    #[test]
    fn a_core_that_something_else_woke_is_not_woken_again() {
        let (wakers, mailboxes) = cores(2);
        assert!(mailboxes[1].may_sleep(true));
        mailboxes[1].awake();
        mailboxes[0].send_requests(1, vec![1]).unwrap();
        assert_eq!(wakers[1].count(), 0);
    }

    #[test]
    fn a_full_lane_gives_the_batch_back_and_wakes_its_sender_when_there_is_room() {
        let (wakers, mailboxes) = cores(2);
        for n in 0..MIN_BATCHES {
            mailboxes[0].send_deliveries(1, vec![n as u32]).unwrap();
        }
        assert_eq!(mailboxes[0].send_deliveries(1, vec![99]), Err(vec![99]));
        assert!(mailboxes[0].send_requests(1, vec![1]).is_ok(), "the lanes are apart");
        mailboxes[1].receive_requests().unwrap();
        assert_eq!(wakers[0].count(), 0, "there is room in the other lane only");

        mailboxes[1].receive_deliveries().unwrap();
        assert_eq!(wakers[0].count(), 1);
        mailboxes[1].receive_deliveries().unwrap();
        assert_eq!(wakers[0].count(), 1, "it waits no more");
        assert!(mailboxes[0].send_deliveries(1, vec![99]).is_ok());
    }

    #[test]
    fn every_sender_has_its_share_of_a_lane() {
        let (_, mailboxes) = cores(8);
        for sender in &mailboxes {
            for turn in 0..BATCHES_PER_SENDER {
                sender.send_requests(3, vec![turn as u32]).unwrap();
            }
        }
        assert_eq!(mailboxes[3].depth(), (8 * BATCHES_PER_SENDER, 0));
        assert!(mailboxes[5].send_requests(3, vec![0]).is_err());
    }

    #[test]
    fn what_is_sent_to_a_core_that_has_gone_is_dropped() {
        let (_, mut mailboxes) = cores(2);
        drop(mailboxes.pop());
        for _ in 0..2 * MIN_BATCHES {
            assert!(mailboxes[0].send_requests(1, vec![1]).is_ok());
        }
    }

    /// Sleeps by parking its thread, as a poll does: a wake that comes first ends the park at once.
    #[derive(Debug)]
    struct Parked(std::sync::Mutex<Option<thread::Thread>>);

    impl Wake for Parked {
        fn wake(&self) {
            if let Some(thread) = self.0.lock().unwrap().as_ref() {
                thread.unpark();
            }
        }
    }

    impl Mailbox<u32, u32, Parked> {
        fn sleep(&self) {
            if self.may_sleep(true) {
                thread::park();
            }
            self.awake();
        }
    }

    #[test]
    fn two_threads_lose_nothing_and_never_sleep_for_ever() {
        const COUNT: u32 = 50_000;
        let wakers: Vec<_> = (0..2).map(|_| Arc::new(Parked(None.into()))).collect();
        let mut mailboxes = mailboxes::<u32, u32, _>(wakers.clone()).into_iter();
        let (near, far) = (mailboxes.next().unwrap(), mailboxes.next().unwrap());
        *wakers[0].0.lock().unwrap() = Some(thread::current());
        // The far core answers each request with a delivery; both lanes fill up on the way.
        let far_waker = Arc::clone(&wakers[1]);
        let answering = thread::spawn(move || {
            *far_waker.0.lock().unwrap() = Some(thread::current());
            let (mut answered, mut unsent) = (0, None);
            while answered < COUNT {
                let next = unsent.take().or_else(|| far.receive_requests().map(|(_, batch)| batch));
                let Some(batch) = next else {
                    far.sleep();
                    continue;
                };
                unsent = far.send_deliveries(0, batch).err();
                match unsent {
                    None => answered += 1,
                    Some(_) => far.sleep(),
                }
            }
        });
        let (mut sent, mut received) = (0, Vec::new());
        while received.len() < COUNT as usize {
            while sent < COUNT && near.send_requests(1, vec![sent]).is_ok() {
                sent += 1;
            }
            match near.receive_deliveries() {
                Some((_, batch)) => received.extend(batch),
                None => near.sleep(),
            }
        }
        answering.join().unwrap();
        assert!(received.into_iter().eq(0..COUNT));
    }
}
