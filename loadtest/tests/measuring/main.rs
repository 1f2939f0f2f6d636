//! The generator as people run it. These tests measure, so that they are apart from all others, and run one after the other.
#![allow(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "counts and times become figures")]

mod invalid_runs;
mod known_answers;
mod support;
