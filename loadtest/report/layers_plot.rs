//! Octets for each delivered message, layer upon layer.
//!
//! The bars are on a linear scale from zero: only there is a bar twice as long twice as much, and only there
//! do the parts of a bar have lengths that can be added. What is too small to be seen next to a poll shows in
//! the second plot, where each bar is as long as the others.

use crate::record::Record;

use super::figures;
use super::quantities::PerDelivery;
use super::svg::{Anchor, Drawing, room_for};

/// What each part is, from the inside out.
pub(super) const PARTS: [&str; 4] =
    ["payload", "framing and headers", "retransmissions and TLS", "IP and TCP headers, ACKs"];

const WIDTH: f64 = 480.0;
const ROW: f64 = 34.0;
const BAR: f64 = 20.0;

/// Room for the total behind the longest bar.
const TOTAL: f64 = 84.0;

/// Below this width a part has no room for its value.
const LABELLED: f64 = 44.0;

/// The bars of a plot.
struct Bars<'a> {
    rows: Vec<(&'a str, PerDelivery)>,
    left: f64,
    drawing: Drawing,
}

/// The series that have delivered something, and what it took.
fn measured(record: &Record) -> Vec<(&str, PerDelivery)> {
    let each = record.series.iter().filter_map(|series| {
        let each = PerDelivery::of(&series.merged.bytes).filter(|each| total(each) > 0.0)?;
        Some((series.name.as_str(), each))
    });
    each.collect()
}

/// How much it is; none when nothing was measured.
pub(super) fn amounts(record: &Record) -> Option<String> {
    let rows = measured(record);
    let most = rows.iter().map(|(_, each)| total(each)).reduce(f64::max)?;
    let mut bars = Bars::new(rows, "Bytes for each delivered message");
    let scale = (WIDTH - bars.left - TOTAL) / most;
    for (row, (_, each)) in bars.rows.clone().iter().enumerate() {
        bars.draw(row, scale);
        let note = if each.is_compressed() { " *" } else { "" };
        let end = (bars.left + total(each) * scale + 8.0, middle(row));
        bars.drawing.text(end, Anchor::Start, "value", &(figures::octets(total(each)) + note));
    }
    Some(bars.drawing.finish())
}

/// What it is made of; none when nothing was measured.
pub(super) fn shares(record: &Record) -> Option<String> {
    let rows = measured(record);
    rows.first()?;
    let mut bars = Bars::new(rows, "Share of each layer");
    for (row, (_, each)) in bars.rows.clone().iter().enumerate() {
        let scale = (WIDTH - bars.left - 8.0) / total(each);
        bars.draw(row, scale);
        bars.label(row, scale);
    }
    Some(bars.drawing.finish())
}

/// Whether a note on compression belongs to the plots.
pub(super) fn has_compressed(record: &Record) -> bool {
    measured(record).iter().any(|(_, each)| each.is_compressed())
}

impl<'a> Bars<'a> {
    /// A drawing with room for the rows.
    fn new(rows: Vec<(&'a str, PerDelivery)>, title: &str) -> Self {
        let describe = |(name, each): &(&str, PerDelivery)| {
            let parts = PARTS.iter().zip(each.parts());
            let parts = parts.map(|(part, size)| format!("{part} {}", figures::octets(size)));
            format!("{name}: {}", parts.collect::<Vec<_>>().join(", "))
        };
        let description = rows.iter().map(describe).collect::<Vec<_>>().join("; ");
        let left = room_for(rows.iter().map(|(name, _)| *name), WIDTH);
        let drawing = Drawing::new((WIDTH, ROW * rows.len() as f64), title, &description);
        Self { rows, left, drawing }
    }

    /// One bar, with its name.
    fn draw(&mut self, row: usize, scale: f64) {
        let (name, _) = self.rows[row];
        self.drawing.text((self.left - 10.0, middle(row)), Anchor::End, "row", name);
        let y = ROW * row as f64 + (ROW - BAR) / 2.0;
        for (layer, size, x) in self.places(row, scale) {
            let hint = format!("{name}, {}: {}", PARTS[layer], figures::octets(size));
            self.drawing.bar((x, y), (size * scale, BAR), &format!("layer l{layer}"), &hint);
        }
    }

    /// The value of each part that has room for it.
    fn label(&mut self, row: usize, scale: f64) {
        for (layer, size, x) in self.places(row, scale) {
            if size * scale >= LABELLED {
                let (place, class) = ((x + size * scale / 2.0, middle(row)), format!("on l{layer}"));
                self.drawing.text(place, Anchor::Middle, &class, &figures::octets(size));
            }
        }
    }

    /// The parts of a bar that are not empty: which layer, how many octets, and where it begins.
    fn places(&self, row: usize, scale: f64) -> Vec<(usize, f64, f64)> {
        let mut x = self.left;
        let places = self.rows[row].1.parts().into_iter().enumerate().map(|(layer, size)| {
            let begin = x;
            x += size * scale;
            (layer, size, begin)
        });
        places.filter(|&(_, size, _)| size > 0.0).collect()
    }
}

/// All layers together.
fn total(each: &PerDelivery) -> f64 {
    each.parts().iter().sum()
}

/// The base line of a row's text.
fn middle(row: usize) -> f64 {
    ROW * (row as f64 + 0.5) + 4.5
}
