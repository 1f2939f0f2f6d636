//! The parts of the generator against what they are for: real sockets, the kernel's own counters, and people's eyes.

mod conversation;
mod exits;
mod probes;
mod report;
mod servers;
