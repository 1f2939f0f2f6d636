//! A table before it is drawn: what the terminal and the page have in common.

/// A table: one row for each name, columns in groups that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    /// What the names are.
    pub(crate) corner: String,
    /// The first cell of each row.
    pub(crate) names: Vec<String>,
    /// The others.
    pub(crate) groups: Vec<Group>,
}

/// Columns that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// What they have in common; may be empty.
    pub(crate) title: String,
    /// None of them is empty.
    pub(crate) columns: Vec<Column>,
}

/// A column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// What it shows.
    pub(crate) header: String,
    /// As many as there are names.
    pub(crate) cells: Vec<Option<Cell>>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// As it is printed.
    pub(crate) text: String,
    /// How it is meant.
    pub(crate) tone: Tone,
}

/// How a figure is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it stands.
    #[default]
    Plain,
    /// Something went wrong.
    Bad,
    /// It says little.
    Faint,
}

/// What a cell without a figure shows.
pub(crate) const NOTHING: &str = "–";

impl Sheet {
    /// A table without columns yet.
    pub(crate) fn new(corner: &str, names: impl IntoIterator<Item = String>) -> Self {
        Self { corner: corner.to_owned(), names: names.into_iter().collect(), groups: Vec::new() }
    }

    /// With these columns too, if there are any.
    #[must_use]
    pub(crate) fn with(mut self, group: Group) -> Self {
        if !group.columns.is_empty() {
            self.groups.push(group);
        }
        self
    }

    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() || self.groups.is_empty()
    }
}

impl Group {
    /// One without columns yet.
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), columns: Vec::new() }
    }

    /// With this column too, if any of its cells has a figure.
    #[must_use]
    pub(crate) fn with(mut self, header: &str, cells: impl IntoIterator<Item = Option<Cell>>) -> Self {
        let cells: Vec<_> = cells.into_iter().collect();
        if cells.iter().any(Option::is_some) {
            self.columns.push(Column { header: header.to_owned(), cells });
        }
        self
    }
}

impl Cell {
    /// As it stands.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    /// With a tone, if it applies.
    #[must_use]
    pub(crate) fn toned(mut self, tone: Tone, applies: bool) -> Self {
        if applies {
            self.tone = tone;
        }
        self
    }
}
