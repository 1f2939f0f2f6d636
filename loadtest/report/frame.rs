//! The frame of a plot: how large it is, its axes, and the labels at the ends of its lines.

use super::scale::{Scale, latency_label, spread};
use super::svg::{Anchor, Drawing, room_for};

/// The sizes in which a plot is drawn: text must be read on any screen, and a drawing that shrinks shrinks
/// its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breadth {
    /// A page's.
    Wide,
    /// A phone's.
    Narrow,
}

/// A drawing's size and the margins around what is plotted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// The name of a line, at its end.
#[derive(Clone, Debug)]
pub(super) struct EndLabel {
    /// Where the line ends.
    pub(super) end: (f64, f64),
    /// Its name.
    pub(super) text: String,
    /// Its colour.
    pub(super) class: String,
}

/// Between the lines of two labels.
const LINE_HEIGHT: f64 = 17.0;

/// Between the middles of two labels side by side.
pub(super) const LABEL_WIDTH: f64 = 44.0;

impl Frame {
    /// A plot of its own, with room for the names of the lines to its right.
    pub(super) fn of<'a>(breadth: Breadth, names: impl Iterator<Item = &'a str>) -> Self {
        let empty = match breadth {
            Breadth::Wide => {
                Self { width: 960.0, height: 420.0, left: 64.0, right: 0.0, top: 26.0, bottom: 50.0 }
            }
            Breadth::Narrow => {
                Self { width: 400.0, height: 380.0, left: 54.0, right: 0.0, top: 26.0, bottom: 50.0 }
            }
        };
        Self { right: room_for(names, empty.width) + 8.0, ..empty }
    }

    /// One of many small plots side by side.
    pub(super) fn panel() -> Self {
        Self { width: 340.0, height: 190.0, left: 54.0, right: 10.0, top: 10.0, bottom: 24.0 }
    }

    /// An empty drawing.
    pub(super) fn drawing(&self, title: &str, description: &str) -> Drawing {
        Drawing::new((self.width, self.height), title, description)
    }

    /// The left and the right end of what is plotted.
    pub(super) fn across(&self) -> (f64, f64) {
        (self.left, self.width - self.right)
    }

    /// Its lower and its upper end.
    pub(super) fn upwards(&self) -> (f64, f64) {
        (self.height - self.bottom, self.top)
    }

    /// The axis of latencies, with a line across at each tick.
    pub(super) fn latency_axis(&self, drawing: &mut Drawing, scale: &Scale) {
        let (left, right) = self.across();
        for tick in scale.ticks(LINE_HEIGHT * 1.75) {
            let y = scale.place(tick);
            drawing.line((left, y), (right, y), "grid");
            drawing.text((left - 8.0, y + 4.0), Anchor::End, "tick", &latency_label(tick));
        }
    }

    /// A tick of the other axis, with a line upwards.
    pub(super) fn tick(&self, drawing: &mut Drawing, x: f64, text: &str) {
        let (bottom, top) = self.upwards();
        drawing.line((x, bottom), (x, top), "grid");
        drawing.text((x, bottom + 18.0), Anchor::Middle, "tick", text);
    }

    /// What that axis shows.
    pub(super) fn caption(&self, drawing: &mut Drawing, text: &str) {
        let (left, right) = self.across();
        drawing.text((f64::midpoint(left, right), self.height - 8.0), Anchor::Middle, "axis", text);
    }

    /// The names of the lines, none upon another.
    pub(super) fn end_labels(&self, drawing: &mut Drawing, labels: &[EndLabel]) {
        let (bottom, top) = self.upwards();
        let x = self.across().1 + 12.0;
        let wishes: Vec<f64> = labels.iter().map(|label| label.end.1).collect();
        for (label, y) in labels.iter().zip(spread(&wishes, LINE_HEIGHT, (top, bottom))) {
            let (end_x, end_y) = label.end;
            drawing.line((end_x + 3.0, end_y), (x - 3.0, y), "leader");
            drawing.text((x, y + 4.0), Anchor::Start, &format!("name {}", label.class), &label.text);
        }
    }
}
