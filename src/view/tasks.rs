//! Async tasks as text, table rows and JSON.
//!
//! ```text
//!                                                      bytes
//! app.elf, tasks and resources                          2704
//!   app::worker                                         2256   embassy, 3 of 752 B each; src/main.rs:17
//!     await 1                                            732   src/main.rs:21
//!       frame                                            512   [u8; 512]
//! ```

use std::fmt::Write as _;
use std::io::{self, Write};

use super::csv::quoted;
use super::symbols::elided;
use crate::inventory::owner::short;
use crate::inventory::tasks::Tasks;
use crate::units::{self, printable};

/// Columns of a name, its indent included.
const NAME: usize = 48;
/// Columns of what stands behind the bytes.
const NOTE: usize = 72;

/// How to write tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A tree to read in a terminal.
    Human,
    /// All of it, schema highwater/tasks@1.
    Json,
    /// A row for each task, await, local and resource, with a head line.
    Csv,
}

/// The tasks as text, at most `top` of each group.
#[must_use]
pub fn text(tasks: &Tasks, top: usize) -> String {
    let mut out = format!("{:<NAME$} {:>10}\n", "", "size");
    row(&mut out, 0, &format!("{}, tasks and resources", tasks.elf), tasks.bytes, "");
    for task in tasks.tasks.iter().take(top) {
        for told in task.rows(top) {
            // What is waited for is known by its path, a local's type by its last part.
            let kind = if told.what == "local" { short(&told.kind) } else { told.kind };
            let note: Vec<&str> = [kind.as_str(), &told.source].into_iter().filter(|text| !text.is_empty()).collect();
            row(&mut out, told.depth + 1, &told.name, told.size.into(), &note.join("; "));
        }
    }
    rest(&mut out, tasks.tasks.iter().skip(top).map(|task| task.size), "tasks");
    for resource in tasks.resources.iter().take(top) {
        let note = format!("RTIC, {}; {}", resource.role.title(), short(&resource.kind));
        row(&mut out, 1, &resource.name, resource.size.into(), &note);
    }
    rest(&mut out, tasks.resources.iter().skip(top).map(|resource| resource.size), "resources");
    out
}

fn rest(out: &mut String, sizes: impl ExactSizeIterator<Item = u32>, what: &str) {
    if sizes.len() > 0 {
        let name = format!("… and {} more {what}", sizes.len());
        row(out, 1, &name, sizes.map(u64::from).sum(), "");
    }
}

fn row(out: &mut String, depth: usize, name: &str, size: u64, note: &str) {
    let indent = 2 * depth;
    let width = NAME.saturating_sub(indent).max(8);
    let name = elided(&printable(name, usize::MAX), width);
    let note = elided(&printable(note, usize::MAX), NOTE);
    let line = format!("{:indent$}{name:<width$} {:>10}   {note}", "", units::bytes(size));
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}", line.trim_end());
}

/// All of it as JSON.
///
/// # Errors
///
/// The output could not be written.
pub fn json(tasks: &Tasks, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, tasks)?;
    writeln!(out)
}

/// Everything that the text tells without a limit, as comma-separated values (RFC 4180) with a head line.
///
/// # Errors
///
/// The output could not be written.
pub fn csv(tasks: &Tasks, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "owner,depth,what,name,type,source,size\r")?;
    for task in &tasks.tasks {
        for row in task.rows(usize::MAX) {
            let (kind, source) = (quoted(&row.kind), quoted(&row.source));
            let (owner, name) = (quoted(&task.name), quoted(&row.name));
            writeln!(out, "{owner},{},{},{name},{kind},{source},{}\r", row.depth, row.what, row.size)?;
        }
    }
    for resource in &tasks.resources {
        let (name, kind) = (quoted(&resource.name), quoted(&resource.kind));
        writeln!(out, "{name},0,{},{name},{kind},,{}\r", resource.role.title(), resource.size)?;
    }
    Ok(())
}
