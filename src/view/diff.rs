//! What changed between two builds, as text and as Markdown for a pull request.

use std::fmt::Write;

use crate::inventory::diff::{Change, Diff};
use crate::units;

/// How to write a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text to read in a terminal.
    Human,
    /// Tables for a pull request.
    Markdown,
    /// One JSON document, schema highwater/diff@1.
    Json,
}

/// The comparison as text, at most `top` rows of each kind.
#[must_use]
pub fn text(diff: &Diff, top: usize) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut out, diff, top);
    out
}

fn write_text(out: &mut String, diff: &Diff, top: usize) -> std::fmt::Result {
    writeln!(out, "{} -> {}", diff.old, diff.new)?;
    writeln!(out, "{}", verdict(diff))?;
    for (title, changes) in groups(diff) {
        if changes.is_empty() {
            continue;
        }
        writeln!(out, "\n{title:<48} {:>10}  {:>10}  {:>10}", "old", "new", "growth")?;
        for change in changes.iter().take(top) {
            let name = units::printable(&named(change), 47);
            let (old, new) = (bytes(change.old), bytes(change.new));
            let word = if ["added", "removed", "renamed"].contains(&change.word()) { change.word() } else { "" };
            let line = format!("{name:<48} {old:>10}  {new:>10}  {:>10}  {word}", signed(change.growth()));
            writeln!(out, "{}", line.trim_end())?;
        }
        if changes.len() > top {
            writeln!(out, "… and {} more; --top 0 shows all", changes.len() - top)?;
        }
    }
    if diff.moved > 0 {
        writeln!(out, "\n{} others only moved", diff.moved)?;
    }
    Ok(())
}

/// The comparison as Markdown, at most `top` rows of each kind.
#[must_use]
pub fn markdown(diff: &Diff, top: usize) -> String {
    let mut out = String::new();
    let _ = write_markdown(&mut out, diff, top);
    out
}

fn write_markdown(out: &mut String, diff: &Diff, top: usize) -> std::fmt::Result {
    writeln!(out, "### Memory: {}\n", verdict(diff))?;
    let [(_, memories), rest @ ..] = groups(diff);
    table(out, "memory", memories, usize::MAX)?;
    for (title, changes) in rest {
        if !changes.is_empty() {
            writeln!(out, "\n<details><summary>by {title}: {} changed</summary>\n", changes.len())?;
            table(out, title, changes, top)?;
            writeln!(out, "\n</details>")?;
        }
    }
    Ok(())
}

fn table(out: &mut String, title: &str, changes: &[Change], top: usize) -> std::fmt::Result {
    writeln!(out, "| {title} | old | new | growth |")?;
    writeln!(out, "|---|--:|--:|--:|")?;
    for change in changes.iter().take(top) {
        // A name may have what Markdown takes for its own.
        let name = named(change).replace('|', "\\|").replace('`', "'");
        writeln!(out, "| `{name}` | {} | {} | {} |", bytes(change.old), bytes(change.new), signed(change.growth()))?;
    }
    if changes.len() > top {
        writeln!(out, "| and {} more | | | |", changes.len() - top)?;
    }
    Ok(())
}

fn groups(diff: &Diff) -> [(&'static str, &[Change]); 4] {
    [("memory", &diff.memories), ("section", &diff.sections), ("module", &diff.modules), ("name", &diff.names)]
}

/// The first sentence: what each memory does.
fn verdict(diff: &Diff) -> String {
    let grown: Vec<String> = diff
        .memories
        .iter()
        .filter(|change| change.growth() != 0)
        .map(|change| format!("{} {}", change.name, signed(change.growth())))
        .collect();
    if grown.is_empty() { "no memory grew or shrank".into() } else { grown.join(", ") }
}

fn named(change: &Change) -> String {
    match &change.was {
        Some(was) => format!("{} (was {was})", change.name),
        None => change.name.clone(),
    }
}

fn bytes(size: Option<u64>) -> String {
    size.map_or_else(|| "-".into(), units::bytes)
}

/// Bytes with their sign: `+24 B`.
fn signed(bytes: i64) -> String {
    match bytes {
        0 => "0 B".into(),
        grown if grown > 0 => format!("+{}", units::bytes(grown.unsigned_abs())),
        shrunk => format!("-{}", units::bytes(shrunk.unsigned_abs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, old: Option<u64>, new: Option<u64>) -> Change {
        Change { name: name.into(), was: None, place: None, old, new }
    }

    #[test]
    fn growth_is_said_with_its_sign_and_names_cannot_break_a_table() {
        let diff = Diff {
            schema: crate::inventory::diff::SCHEMA,
            old: "a.elf".into(),
            new: "b.elf".into(),
            memories: vec![change("Flash", Some(100), Some(124)), change("RAM", Some(8), Some(8))],
            sections: Vec::new(),
            modules: Vec::new(),
            names: vec![change("a|`b`", None, Some(24)), change("c", Some(4), None)],
            moved: 3,
        };
        let text = text(&diff, 1);
        for expected in ["Flash +24 B", "added", "… and 1 more", "3 others only moved"] {
            assert!(text.contains(expected), "{expected}:\n{text}");
        }
        let markdown = markdown(&diff, 10);
        for expected in ["### Memory: Flash +24 B", "| `a\\|'b'` | - | 24 B | +24 B |", "| `c` | 4 B | - | -4 B |"] {
            assert!(markdown.contains(expected), "{expected}:\n{markdown}");
        }
    }
}
