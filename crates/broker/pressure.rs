//! How short memory is, and what a shard does about it.

/// How short the broker's memory is. Each level does what the levels below it do, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// It is not.
    #[default]
    None,
    /// Histories let go of their older half, and again each second.
    Tight,
    /// Write queues hold half of what they may, and no topic begins that is not there.
    Scarce,
    /// The connections with the largest write queues have to go.
    Exhausted,
}

impl Pressure {
    /// Every level, in the order of the variants.
    pub const ALL: [Self; 4] = [Self::None, Self::Tight, Self::Scarce, Self::Exhausted];
}
