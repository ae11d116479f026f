//! Tables with named columns, in a form that all of them share.

use super::shell::text;
use crate::sizing::Basis;
use crate::units;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Words.
    Text,
    /// Numbers, which line up on the right.
    Number,
    /// A picture of the row.
    Picture,
}

/// A column: its head and what it holds.
pub(super) type Column = (&'static str, Side);

/// The table as markup, its rows one a line; nothing when it has no rows. The first cell of a row names it. Cells are
/// markup: see [`words`] and its neighbours.
pub(super) fn table(id: &str, caption: &str, columns: &[Column], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "<div class=\"wide\" role=\"region\" aria-labelledby=\"{id}-title\" tabindex=\"0\">\n<table id=\"{id}\">\n\
         <caption id=\"{id}-title\">{caption}</caption>\n<thead>\n<tr>"
    );
    for (head, side) in columns {
        out += &format!("<th scope=\"col\"{}>{head}</th>", class(*side));
    }
    out += "</tr>\n</thead>\n<tbody>\n";
    for row in rows {
        out += "<tr>";
        for (index, (cell, (_, side))) in row.iter().zip(columns).enumerate() {
            let class = class(*side);
            match index {
                0 => out += &format!("<th scope=\"row\"{class}>{cell}</th>"),
                _ => out += &format!("<td{class}>{cell}</td>"),
            }
        }
        out += "</tr>\n";
    }
    out + "</tbody>\n</table>\n</div>\n"
}

fn class(side: Side) -> &'static str {
    match side {
        Side::Text => "",
        Side::Number => " class=\"n\"",
        Side::Picture => " class=\"p\"",
    }
}

/// What is not known.
pub(super) fn unknown() -> String {
    "<span class=\"none\" title=\"not known\">–</span>".into()
}

/// Words from outside.
pub(super) fn words(words: Option<&str>) -> String {
    words.map_or_else(unknown, text)
}

/// A number that is counted.
pub(super) fn count(count: Option<impl ToString>) -> String {
    count.map_or_else(unknown, |count| count.to_string())
}

/// A number of bytes, exact by its nature.
pub(super) fn size(size: u64) -> String {
    format!("{size}&nbsp;B")
}

/// A number of bytes with its share of a whole, and what it is worth.
pub(super) fn measured(bytes: Option<u32>, whole: Option<u64>, trust: Option<&str>) -> String {
    let Some(bytes) = bytes else {
        return match trust {
            Some(trust) => format!("{} <small>{}</small>", unknown(), text(trust)),
            None => unknown(),
        };
    };
    let is_floor = trust.and_then(Basis::named).is_some_and(Basis::is_floor);
    let sign = if is_floor { "≥&nbsp;" } else { "" };
    let share = whole.and_then(|whole| units::percent(bytes.into(), whole));
    let share = share.map_or_else(String::new, |share| format!(" <b>{share}&nbsp;%</b>"));
    let trust = trust.map_or_else(String::new, |trust| format!(" <small>{}</small>", text(trust)));
    format!("{sign}{}{share}{trust}", size(bytes.into()))
}
