//! Who owns the memory, as text, table rows and JSON.
//!
//! ```text
//!                                             flash         RAM   symbols
//! demo.elf                                   21504 B     8432 B       312
//!   Flash                                    21504 B          -       310
//!     .text                                  14388 B          -       198
//!       core                                  5120 B          -        61
//! ```

use std::fmt::Write as _;
use std::io::{self, Write};

use super::csv::quoted;
use crate::inventory::listing::Listing;
use crate::inventory::tree::{Level, Node};
use crate::units;

/// Columns of a name, its indent included.
const NAME: usize = 56;

/// How to write an inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A tree to read in a terminal.
    Human,
    /// Every row, schema highwater/symbols@1: what `diff` reads again.
    Json,
    /// Every row, with a head line.
    Csv,
    /// A treemap, to print or to put into a document.
    Svg,
    /// One page to open in a browser: the treemap, and a table to search.
    Html,
}

/// The tree as text, at most `top` of each group.
#[must_use]
pub fn text(root: &Node, top: usize) -> String {
    let mut out = format!("{:<NAME$} {:>10}  {:>10}  {:>8}\n", "", "flash", "RAM", "symbols");
    node(&mut out, root, 0, top);
    out
}

fn node(out: &mut String, node: &Node, depth: usize, top: usize) {
    row(
        out,
        &node.name,
        depth,
        (node.flash, node.ram, Some(node.things).filter(|things| *things > 0 && !is_single(node))),
    );
    for child in node.children.iter().take(top) {
        self::node(out, child, depth + 1, top);
    }
    let rest = node.children.get(top..).unwrap_or_default();
    if !rest.is_empty() {
        let sum = |of: fn(&Node) -> u64| rest.iter().map(of).sum();
        let numbers = (
            sum(|node| node.flash),
            sum(|node| node.ram),
            Some(rest.iter().map(|node| node.things).sum()).filter(|things| *things > 0),
        );
        row(out, &format!("… and {} more", rest.len()), depth + 1, numbers);
    }
}

/// Whether it is one function or static, so that its number of symbols says nothing.
fn is_single(node: &Node) -> bool {
    node.things <= 1 && matches!(node.level, Some(Level::Name | Level::Instance))
}

fn row(out: &mut String, name: &str, depth: usize, (flash, ram, things): (u64, u64, Option<usize>)) {
    let indent = 2 * depth;
    let name = elided(&units::printable(name, usize::MAX), NAME.saturating_sub(indent).max(8));
    let bytes = |bytes: u64| if bytes == 0 { "-".into() } else { units::bytes(bytes) };
    let things = things.map(|things| things.to_string()).unwrap_or_default();
    let line = format!(
        "{:indent$}{name:<width$} {:>10}  {:>10}  {things:>8}",
        "",
        bytes(flash),
        bytes(ram),
        width = NAME.saturating_sub(indent)
    );
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}", line.trim_end());
}

/// A name cut in its middle: the end of a path says more than what is before it.
pub(super) fn elided(name: &str, limit: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= limit {
        return name.to_owned();
    }
    let head = limit / 3;
    let tail = limit.saturating_sub(head + 1);
    letters[..head].iter().chain(&['…']).chain(&letters[letters.len() - tail..]).collect()
}

/// The rows as JSON.
///
/// # Errors
///
/// The output could not be written.
pub fn json(listing: &Listing, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, listing)?;
    writeln!(out)
}

/// The rows as comma-separated values (RFC 4180), with a head line.
///
/// # Errors
///
/// The output could not be written.
pub fn csv(listing: &Listing, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "memory,section,kind,module,name,start,size,stored_copy\r")?;
    for row in &listing.rows {
        let text = |text: Option<&str>| quoted(text.unwrap_or(""));
        writeln!(
            out,
            "{},{},{},{},{},{},{},{}\r",
            quoted(&row.memory),
            text(row.section.as_deref()),
            row.kind,
            text(row.module.as_deref()),
            quoted(&row.name),
            row.start,
            row.size,
            row.stored_copy
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_both_its_ends() {
        assert_eq!(elided("core::fmt::write", 16), "core::fmt::write");
        assert_eq!(elided("core::fmt::builders::PadAdapter::write", 16), "core:…ter::write");
    }
}
