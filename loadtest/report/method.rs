//! How it was measured, in short.

/// What the figures mean, and do not.
pub(super) const METHOD: [&str; 6] = [
    "Messages are due at times that are fixed before the run, and latency counts from then: a broker or a generator \
     that falls behind does not slow down the clock (open loop, intended time).",
    "What was not delivered counts as infinite in every percentile. Where a percentile falls into the losses it is ∞.",
    "Histograms hold 1 µs to 600 s with three digits; nothing is clamped or filled in.",
    "Octets are those of the subscribers' connections, both ways, as TCP_INFO counts them: payload, what the \
     application reads and writes, TCP with retransmissions, and IP with the headers of all segments and \
     acknowledgements.",
    "Repeats are run in random order. A ratio is the median of the pairs of one repeat, with the 95 % interval of a \
     bootstrap, from six repeats on; where the interval spans 1, or where there is none, it is inconclusive.",
    "Schedule lag is how late the generator itself was; receive lag is how long a message lay in the kernel before the \
     generator read it. Both are part of the end to end latency.",
];
