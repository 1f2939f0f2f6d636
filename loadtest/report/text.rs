//! Tables and sentences in a terminal.

use std::iter;

use comfy_table::{Attribute, CellAlignment, Color, ContentArrangement, Table, TableComponent, presets};

use super::sheet::{Cell, Column, Group, NOTHING, Sheet, Tone};

/// Where text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Columns that it has; none: as many as are needed.
    pub width: Option<u16>,
    /// Whether it shows colours.
    pub colours: bool,
}

/// How a line of text is set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emphasis {
    /// All is well.
    Good,
    /// It is not.
    Bad,
    /// A heading.
    Heading,
}

/// Blank columns between two columns of a table.
const GUTTER: u16 = 2;

impl Terminal {
    /// Text that is set off, where colours are shown.
    pub(crate) fn paint(self, emphasis: Emphasis, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match emphasis {
            Emphasis::Good => "1;32",
            Emphasis::Bad => "1;31",
            Emphasis::Heading => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// A paragraph, broken between words; its lines after the first are indented. A word that is wider stays
    /// whole.
    pub(crate) fn wrap(self, text: &str, indent: usize) -> String {
        let width = self.width.map_or(usize::MAX, usize::from);
        let mut out = String::new();
        let mut column = 0;
        for word in text.split_whitespace() {
            let length = self::width(word);
            if column > indent && column + 1 + length > width {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
            } else if column > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
        out.push('\n');
        out
    }

    /// A table; one too wide is cut between its groups into several, each with the names in front.
    pub(crate) fn sheet(self, sheet: &Sheet) -> String {
        let tables: Vec<String> =
            self.share_out(sheet).into_iter().map(|groups| self.table(sheet, groups)).collect();
        tables.join("\n")
    }

    /// The groups that stand side by side.
    fn share_out(self, sheet: &Sheet) -> Vec<&[Group]> {
        let width = self.width.map_or(usize::MAX, usize::from);
        let mut tables = Vec::new();
        let (mut from, mut used) = (0, 0);
        let names = name_width(sheet);
        for (index, group) in sheet.groups.iter().enumerate() {
            let needed = group_width(group);
            if index > from && names + used + needed > width {
                tables.push(&sheet.groups[from..index]);
                (from, used) = (index, 0);
            }
            used += needed;
        }
        tables.push(&sheet.groups[from..]);
        tables
    }

    /// One table, with a line of titles above it.
    fn table(self, sheet: &Sheet, groups: &[Group]) -> String {
        let columns = || groups.iter().flat_map(|group| &group.columns);
        let widths = groups.iter().flat_map(widths);
        let headers = columns().zip(widths).map(|(column, width)| format!("{:>width$}", column.header));
        let mut table = self.empty_table();
        table.set_header([sheet.corner.clone()].into_iter().chain(headers).map(|text| self.header(text)));
        for (row, name) in sheet.names.iter().enumerate() {
            let figures = columns().map(|column| self.cell(column.cells.get(row).and_then(Option::as_ref)));
            table.add_row([comfy_table::Cell::new(name)].into_iter().chain(figures));
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((if index == 0 { 0 } else { GUTTER }, 0));
            column.set_cell_alignment(if index == 0 { CellAlignment::Left } else { CellAlignment::Right });
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        self.titles(name_width(sheet), groups) + &lines.concat()
    }

    /// A table with nothing but a line beneath the header.
    fn empty_table(self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_style(TableComponent::HeaderLines, '─');
        match self.width {
            Some(width) => table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if self.colours {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        table
    }

    /// What the groups have in common, each where it begins; nothing when the table is wider than the
    /// terminal, as its columns are then narrower than they should be.
    fn titles(self, names: usize, groups: &[Group]) -> String {
        let mut line = " ".repeat(names);
        for group in groups {
            let width = group_width(group);
            let title = if group.title.is_empty() { String::new() } else { format!("{} ", group.title) };
            let fill = if group.title.is_empty() { ' ' } else { '·' };
            let rest = (width - usize::from(GUTTER)).saturating_sub(title.chars().count());
            line.push_str(&" ".repeat(GUTTER.into()));
            line.push_str(&title);
            line.extend(iter::repeat_n(fill, rest));
        }
        let fits = self.width.is_none_or(|width| line.chars().count() <= usize::from(width));
        let line = line.trim_end();
        if line.is_empty() || !fits { String::new() } else { line.to_owned() + "\n" }
    }

    /// A cell of the header.
    fn header(self, text: String) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new(text);
        if self.colours { cell.add_attribute(Attribute::Bold) } else { cell }
    }

    /// Any other cell.
    fn cell(self, figure: Option<&Cell>) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new(figure.map_or(NOTHING, |figure| &figure.text));
        match figure.map(|figure| figure.tone).filter(|_| self.colours) {
            Some(Tone::Bad) => cell.fg(Color::Red),
            Some(Tone::Faint) => cell.fg(Color::DarkGrey),
            _ => cell,
        }
    }
}

/// The width of the names, and what stands above them.
fn name_width(sheet: &Sheet) -> usize {
    sheet.names.iter().chain([&sheet.corner]).map(|name| width(name)).max().unwrap_or(0)
}

/// The width of a group, with the gutters to the left of its columns.
fn group_width(group: &Group) -> usize {
    widths(group).iter().map(|column| column + usize::from(GUTTER)).sum()
}

/// The widths of a group's columns; the first has room for what is left of the title.
fn widths(group: &Group) -> Vec<usize> {
    let cells =
        |column: &Column| column.cells.iter().flatten().map(|cell| width(&cell.text)).max().unwrap_or(1);
    let mut widths: Vec<usize> =
        group.columns.iter().map(|column| cells(column).max(width(&column.header))).collect();
    let gutters = usize::from(GUTTER) * widths.len().saturating_sub(1);
    let missing = width(&group.title).saturating_sub(widths.iter().sum::<usize>() + gutters);
    if let Some(first) = widths.first_mut() {
        *first += missing;
    }
    widths
}

/// Columns that a text takes.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(width: u16) -> Terminal {
        Terminal { width: Some(width), colours: false }
    }

    #[test]
    fn paragraphs_break_between_words_and_are_indented() {
        assert_eq!(terminal(12).wrap("- one two three four", 2), "- one two\n  three four\n");
        assert_eq!(terminal(4).wrap("- unbreakable x", 2), "- unbreakable\n  x\n");
        assert_eq!(Terminal::default().wrap("a b  c", 2), "a b c\n");
    }

    fn sheet() -> Sheet {
        let column = |text: &str| [Some(Cell::plain(text)), None];
        Sheet::new("name", ["one".to_owned(), "another".to_owned()])
            .with(Group::new("pair").with("left", column("12.3")).with("right", column("4")))
            .with(Group::new("").with("empty", [None, None]))
            .with(Group::new("").with("last", column("7")))
    }

    #[test]
    fn a_wide_terminal_has_one_table_with_its_titles() {
        let expected = "
         pair ······
name     left  right  last
──────────────────────────
one      12.3      4     7
another     –      –     –
";
        assert_eq!(Terminal::default().sheet(&sheet()), expected[1..]);
    }

    #[test]
    fn a_narrow_terminal_has_a_table_for_each_group() {
        let expected = "
         pair ······
name     left  right
────────────────────
one      12.3      4
another     –      –

name     last
─────────────
one         7
another     –
";
        assert_eq!(terminal(24).sheet(&sheet()), expected[1..]);
    }
}
