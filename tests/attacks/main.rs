//! The broker under attack. Each attack is bounded in count and in time, and comes over loopback; and while it lasts, a
//! handful of subscribers that behave well get everything that is published for them, in order.
//!
//! What each attack meets is an answer or an end, and what it can make the broker hold is bounded.

#[path = "../certificate/mod.rs"]
mod certificate;
mod clock;
mod faults;
mod floods;
mod memory;
mod process;
mod resets;
mod slow;
mod support;
