//! What people see of a record, on paper, in files and in a browser. Everything here is made of a
//! [`Record`](crate::record::Record) alone.
//!
//! ```text
//!                  ┌─ quantities   percentiles with losses, octets for each delivery
//!   Record ─ summary ─ sheet ─┬─ text, table     in a terminal
//!                             └─ markup, html    one page, with the plots
//!            json · hgrm                         for other programs
//! ```

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures are shown with three digits, and none that is cast to an unsigned number is negative"
)]

mod colours;
mod comparison;
pub mod figures;
mod frame;
mod grid_plot;
pub mod hgrm;
mod html;
pub mod json;
pub mod kaazing;
mod knee_plot;
mod layers_plot;
mod markup;
mod method;
mod percentile_plot;
pub mod quantities;
mod ratio_plot;
mod scale;
mod sections;
mod settings;
mod sheet;
mod summary;
mod svg;
mod table;
mod text;
mod time_plot;

pub use comparison::{Comparison, Incomparable};
pub use html::html;
pub use table::{table, verdict};
pub use text::Terminal;
