//! How short memory is, and what a shard does about it.

/// How short the broker's memory is. Each level does what the levels below it do, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// It is not.
    #[default]
    None,
    /// Histories let go of their older half, and again each second.
    Tight,
    /// No topic begins that is not there, and write queues hold half of what they may.
    Scarce,
    /// The connections with the largest write queues have to go.
    Exhausted,
}

impl Pressure {
    /// Every level, in the order of the variants.
    pub const ALL: [Self; 4] = [Self::None, Self::Tight, Self::Scarce, Self::Exhausted];
}

/// How short memory is for each of the two that a shard can give something up of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressures {
    /// For histories and last values.
    pub histories: Pressure,
    /// For write queues.
    pub backlogs: Pressure,
}

impl Pressures {
    /// The same for both.
    pub const fn of_all(pressure: Pressure) -> Self {
        Self { histories: pressure, backlogs: pressure }
    }
}
