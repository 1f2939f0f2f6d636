//! A drawing: the few shapes that the plots are made of.

use std::fmt::{self, Write as _};

use super::markup::escape;

/// A drawing that grows. Colours and strokes are the classes' in the style sheet, so that it follows the
/// page.
pub(super) struct Drawing {
    width: f64,
    height: f64,
    title: String,
    description: String,
    shapes: String,
}

/// Where a text is in relation to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// It begins there.
    Start,
    /// It has its middle there.
    Middle,
    /// It ends there.
    End,
}

impl Drawing {
    /// An empty one. Those who do not see it are read the title and the description.
    pub(super) fn new((width, height): (f64, f64), title: &str, description: &str) -> Self {
        let (title, description) = (escape(title), escape(description));
        Self { width, height, title, description, shapes: String::new() }
    }

    /// A straight line.
    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>\n"
        ));
    }

    /// Straight lines from point to point; nothing of a single point.
    pub(super) fn polyline(&mut self, points: &[(f64, f64)], class: &str) {
        if points.len() > 1 {
            self.add(format_args!("<polyline points=\"{}\" class=\"{class}\"/>\n", joined(points)));
        }
    }

    /// An area within straight lines.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], class: &str) {
        self.add(format_args!("<polygon points=\"{}\" class=\"{class}\"/>\n", joined(points)));
    }

    /// A bar, with what is read when the pointer rests on it.
    pub(super) fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str, hint: &str) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\">\
             <title>{}</title></rect>\n",
            escape(hint)
        ));
    }

    /// A dot, with what is read when the pointer rests on it.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64, class: &str, hint: &str) {
        self.add(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" class=\"{class}\"><title>{}</title></circle>\n",
            escape(hint)
        ));
    }

    /// A text.
    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>\n",
            escape(text)
        ));
    }

    /// What is drawn by `draw` belongs together: pointing at one of its shapes sets all of them off.
    pub(super) fn group(&mut self, class: &str, draw: impl FnOnce(&mut Self)) {
        self.add(format_args!("<g class=\"{class}\">\n"));
        draw(self);
        self.shapes.push_str("</g>\n");
    }

    /// One more shape.
    fn add(&mut self, shape: fmt::Arguments<'_>) {
        self.shapes.write_fmt(shape).expect("a text takes all that is written");
    }

    /// As part of a page.
    pub(super) fn finish(self) -> String {
        let Self { width, height, title, description, shapes } = self;
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">\n\
             <desc>{description}</desc>\n{shapes}</svg>\n"
        )
    }
}

/// The room to the left of a plot that names of its rows need, at most a third of `width`.
pub(super) fn room_for<'a>(names: impl Iterator<Item = &'a str>, width: f64) -> f64 {
    let longest = names.map(|name| name.chars().count()).max().unwrap_or(0);
    (longest as f64 * 7.6 + 16.0).min(width / 3.0)
}

/// Points as an attribute has them.
fn joined(points: &[(f64, f64)]) -> String {
    let point = |(x, y): &(f64, f64)| format!("{x:.1},{y:.1}");
    points.iter().map(point).collect::<Vec<_>>().join(" ")
}
