//! One page to open in any browser: for a colleague, a review, an archive.
//!
//! All of it is in the one file. It loads nothing, and its Content-Security-Policy forbids that it ever does: only the
//! style and the script whose hashes it names count, so a name with markup in it stays text twice over.
//!
//! ```text
//! +-----------------------------+
//! | demo.elf  Cortex-M3 ...     |  what was looked at, when, how
//! | ! DANGER  growth has 440 B  |  the verdict: every alert
//! | [map of RAM] [map of flash] |
//! | stacks, heaps, regions ...  |  tables: each number with its trust
//! +-----------------------------+
//! ```

pub mod film;
mod map;
mod moment;
mod shell;
pub mod symbols;
mod table;
mod tables;

use crate::report::Report;

/// What makes a page answer.
const SCRIPT: &str = include_str!("html/page.js");

/// The page of one report, ended by a line break. It has no script.
#[must_use]
pub fn page(report: &Report) -> String {
    shell::Page { title: &moment::title(report), body: &moment::moment(report), code: None }.text()
}

#[cfg(test)]
mod tests;
