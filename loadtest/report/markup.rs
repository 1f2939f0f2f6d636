//! The pieces of a page.

use super::sheet::{Cell, Column, Group, NOTHING, Sheet, Tone};

/// Text that nothing in a page takes for markup.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// A table that can be scrolled sideways where it does not fit. `class_of` gives a row the class of its
/// colour.
pub(super) fn table(caption: &str, sheet: &Sheet, class_of: impl Fn(&str) -> Option<String>) -> String {
    let caption = escape(caption);
    let row = |(row, name): (usize, &String)| {
        let chip = class_of(name).map_or_else(String::new, |class| format!("<i class=\"chip {class}\"></i>"));
        let cells = sheet.groups.iter().flat_map(|group| {
            let cells =
                group.columns.iter().map(move |column| column.cells.get(row).and_then(Option::as_ref));
            cells.enumerate().map(|(index, figure)| cell(figure, index == 0))
        });
        format!("<tr><th scope=\"row\">{chip}{}</th>{}</tr>\n", escape(name), joined(cells))
    };
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\n<table>\n\
         <caption>{caption}</caption>\n<thead>\n{}</thead>\n<tbody>\n{}</tbody>\n</table>\n</div>\n",
        headers(sheet),
        joined(sheet.names.iter().enumerate().map(row)),
    )
}

/// Pieces one after the other.
pub(super) fn joined(pieces: impl Iterator<Item = String>) -> String {
    pieces.collect::<Vec<_>>().concat()
}

/// Texts, each in an element of its own, which has the class if one is given.
pub(super) fn elements<'a>(name: &str, class: &str, texts: impl Iterator<Item = &'a str>) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    joined(texts.map(|text| format!("<{name}{class}>{}</{name}>\n", escape(text))))
}

/// Names and their values.
pub(super) fn definitions(pairs: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| {
        format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value))
    };
    format!("<dl>\n{}</dl>\n", joined(pairs.iter().map(pair)))
}

/// The rows of the header: the titles of the groups, where there are any, above those of the columns.
fn headers(sheet: &Sheet) -> String {
    let corner = escape(&sheet.corner);
    let title = |group: &Group| {
        let (title, span) = (escape(&group.title), group.columns.len());
        format!("<th scope=\"colgroup\" colspan=\"{span}\" class=\"first\">{title}</th>")
    };
    let header = |(index, column): (usize, &Column)| {
        let class = if index == 0 { " class=\"first\"" } else { "" };
        format!("<th scope=\"col\"{class}>{}</th>", escape(&column.header))
    };
    let columns = joined(sheet.groups.iter().flat_map(|group| group.columns.iter().enumerate().map(header)));
    if sheet.groups.iter().all(|group| group.title.is_empty()) {
        return format!("<tr><th scope=\"col\">{corner}</th>{columns}</tr>\n");
    }
    let above = joined(sheet.groups.iter().map(title));
    format!(
        "<tr class=\"groups\"><th scope=\"col\" rowspan=\"2\">{corner}</th>{above}</tr>\n<tr>{columns}</tr>\n"
    )
}

/// A figure.
fn cell(figure: Option<&Cell>, is_first: bool) -> String {
    let tone = match figure.map(|figure| figure.tone) {
        Some(Tone::Bad) => "bad",
        None | Some(Tone::Faint) => "faint",
        Some(Tone::Plain) => "",
    };
    let class = format!("{tone}{}", if is_first { " first" } else { "" });
    let text = figure.map_or(NOTHING, |figure| &figure.text);
    match class.trim() {
        "" => format!("<td>{}</td>", escape(text)),
        class => format!("<td class=\"{class}\">{}</td>", escape(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_that_markup_is_made_of_is_escaped() {
        assert_eq!(escape("a<b & \"c\" > 'd'"), "a&lt;b &amp; &quot;c&quot; &gt; &#39;d&#39;");
    }

    #[test]
    fn a_table_says_what_its_headers_are_of() {
        let sheet = Sheet::new("series", ["<ws>".to_owned()])
            .with(Group::new("").with("p50", [Some(Cell::plain("1 ms"))]));
        let expected = "\
<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Figures\">
<table>
<caption>Figures</caption>
<thead>
<tr><th scope=\"col\">series</th><th scope=\"col\" class=\"first\">p50</th></tr>
</thead>
<tbody>
<tr><th scope=\"row\"><i class=\"chip c0\"></i>&lt;ws&gt;</th><td class=\"first\">1 ms</td></tr>
</tbody>
</table>
</div>
";
        assert_eq!(table("Figures", &sheet, |_| Some("c0".to_owned())), expected);
    }
}
