//! The formats a report is written in. Each takes a [`Report`] and only writes.

pub mod json;
pub mod svg;
pub mod text;

use std::io::{self, Write};

use crate::report::{Region, Report};

/// How to write a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text to read in a terminal.
    Human,
    /// One JSON document, schema highwater/report@1.
    Json,
    /// A picture of the memory map, to print or to put into a document.
    Svg,
}

/// Writes the report in that format, ended by a line break.
///
/// # Errors
///
/// The output could not be written.
pub fn write(report: &Report, format: Format, style: text::Style, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Human => out.write_all(text::text(report, style).as_bytes()),
        Format::Json => json::write(report, out),
        Format::Svg => out.write_all(svg::svg(report).as_bytes()),
    }
}

/// The memories, RAM first: that is where things happen.
pub(crate) fn memories(report: &Report) -> Vec<&Region> {
    let mut memories: Vec<_> = report.regions.iter().filter(|region| region.parent.is_none()).collect();
    memories.sort_by_key(|memory| (memory.memory != "ram", memory.start));
    memories
}

/// The regions that lie in `parent`, last address first. A run of small blocks and holes is one row: `5 used, 4 free`.
pub(crate) fn rows(report: &Report, parent: &str) -> Vec<Region> {
    /// Blocks below this many bytes are small.
    const SMALL: u64 = 1024;
    /// So many rows are not worth folding.
    const FEW: usize = 3;
    let small = |region: &Region| matches!(region.kind, "block" | "free" | "blocks") && region.size < SMALL;
    let children: Vec<&Region> =
        report.regions.iter().rev().filter(|region| region.parent.as_deref() == Some(parent)).collect();
    let mut rows = Vec::new();
    for run in children.chunk_by(|a, b| small(a) && small(b)) {
        let [first, .., last] = run else {
            rows.extend(run.iter().map(|region| (*region).clone()));
            continue;
        };
        if run.len() <= FEW {
            rows.extend(run.iter().map(|region| (*region).clone()));
            continue;
        }
        let free = run.iter().filter(|region| region.kind == "free").count();
        rows.push(Region {
            name: format!("{} used, {free} free", run.len() - free),
            kind: "block",
            start: last.start,
            size: first.start + first.size - last.start,
            ..(*last).clone()
        });
    }
    rows
}

/// The stack that a region is.
pub(crate) fn stack_of<'a>(report: &'a Report, region: &Region) -> Option<&'a crate::report::StackReport> {
    (region.kind == "stack")
        .then(|| report.stacks.iter().find(|stack| stack.start == region.start && stack.size == region.size))?
}

/// The heap that a region is.
pub(crate) fn heap_of<'a>(report: &'a Report, region: &Region) -> Option<&'a crate::report::HeapReport> {
    (region.kind == "heap")
        .then(|| report.heaps.iter().find(|heap| heap.start == region.start && heap.size == region.size))?
}
