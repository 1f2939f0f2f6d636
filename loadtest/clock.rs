//! Time: one clock for everything on this machine, and sleeps that end when they should.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::thread;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

const SECOND_NS: u64 = 1_000_000_000;

/// `CLOCK_MONOTONIC` in nanoseconds. All processes of a machine share it.
pub fn now_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// `CLOCK_REALTIME` in nanoseconds: what the kernel stamps packets with.
pub fn realtime_ns() -> u64 {
    read(ClockId::CLOCK_REALTIME)
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("the kernel has this clock");
    time.tv_sec().cast_unsigned() * SECOND_NS + time.tv_nsec().cast_unsigned()
}

fn time_spec(ns: u64) -> TimeSpec {
    TimeSpec::new((ns / SECOND_NS).cast_signed(), (ns % SECOND_NS).cast_signed())
}

/// How long before its time a punctual sleep ends, at most: longer than a thread of the kernel was seen to keep the core.
const MAX_AHEAD_NS: u64 = 4_000_000;

/// The part of the time between two of its ends that a thread is awake at most to be punctual.
const AWAKE_SHARE: u64 = 6;

/// Sleeps of one thread.
///
/// The kernel may end a sleep later than asked by the thread's timer slack, 50 µs unless told otherwise, to save wakes.
pub struct Sleeper {
    /// How long before its time a sleep ends; the rest is waited for awake.
    ahead_ns: u64,
}

impl Sleeper {
    /// Asks the kernel to end the sleeps of this thread as near to their time as it can: within 1 ns of slack.
    pub fn exact() -> io::Result<Self> {
        prctl::set_timerslack(1)?;
        Ok(Self { ahead_ns: 0 })
    }

    /// For sleeps whose ends are that far apart: it wakes early and gives way to other threads until the time has come. A
    /// thread that is woken exactly at its time is late by the waking, and by what the kernel does first on its core.
    pub fn punctual(distance_ns: u64) -> io::Result<Self> {
        let mut sleeper = Self::exact()?;
        sleeper.ahead_ns = MAX_AHEAD_NS.min(distance_ns / AWAKE_SHARE);
        Ok(sleeper)
    }

    /// Sleeps until the clock shows `due_ns`; returns at once if it does already.
    pub fn sleep_until(&self, due_ns: u64) {
        let wake = time_spec(due_ns.saturating_sub(self.ahead_ns));
        // A signal ends a sleep early.
        while clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &wake)
            == Err(Errno::EINTR)
        {}
        while now_ns() < due_ns {
            thread::yield_now();
        }
    }
}

/// An alarm that an event loop can wait for beside its sockets: readable when its time has come. `epoll_wait` itself
/// counts in milliseconds, and is of no use to be punctual.
pub struct Alarm {
    timer: TimerFd,
    set_for_ns: Option<u64>,
}

impl Alarm {
    /// One that is not set.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(timerfd::ClockId::CLOCK_MONOTONIC, flags)?;
        Ok(Self { timer, set_for_ns: None })
    }

    /// Goes off at `due_ns`, and not when it was set for before.
    pub fn set(&mut self, due_ns: u64) -> io::Result<()> {
        if self.set_for_ns != Some(due_ns) {
            // A time of 0 would unset it.
            let due = Expiration::OneShot(time_spec(due_ns.max(1)));
            self.timer.set(due, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            self.set_for_ns = Some(due_ns);
        }
        Ok(())
    }

    /// Has been heard: it is not readable until it goes off again.
    pub fn clear(&mut self) {
        // Nothing to read: it was set anew in the meantime.
        let _ = nix::unistd::read(&self.timer, &mut [0; 8]);
        self.set_for_ns = None;
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.timer.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_does_not_end_early() {
        for sleeper in [Sleeper::exact().unwrap(), Sleeper::punctual(1_000_000_000).unwrap()] {
            for ahead_ns in [0, 1_000, 200_000, 2_000_000] {
                let due_ns = now_ns() + ahead_ns;
                sleeper.sleep_until(due_ns);
                assert!(now_ns() >= due_ns);
            }
        }
    }

    #[test]
    fn an_alarm_goes_off_at_its_time_and_once() {
        let mut alarm = Alarm::new().unwrap();
        let due_ns = now_ns() + 2_000_000;
        alarm.set(due_ns + SECOND_NS).unwrap();
        alarm.set(due_ns).unwrap();
        let mut octets = [0; 8];
        while nix::unistd::read(&alarm, &mut octets) == Err(Errno::EAGAIN) {}
        assert!(now_ns() >= due_ns);
        assert_eq!(nix::unistd::read(&alarm, &mut octets), Err(Errno::EAGAIN));
    }
}
