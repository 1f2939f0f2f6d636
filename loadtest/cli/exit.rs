//! How the process ends.

use std::process::ExitCode;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: it was done, it can be trusted, and every threshold holds.
    Success,
    /// 1: it could not be done.
    Error,
    /// 2: the arguments cannot be understood, or cannot hold.
    Usage,
    /// 3: it was done, and cannot be trusted.
    Invalid,
    /// 99: it can be trusted, and a threshold does not hold.
    ThresholdFailed,
}

impl Exit {
    /// What the process that has started this one sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::ThresholdFailed => 99,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
