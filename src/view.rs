//! The formats a report is written in. Each takes a [`Report`] and only writes.

pub mod json;
pub mod svg;
pub mod text;

use std::io::{self, Write};

use crate::report::Report;

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

/// The regions that lie in `parent`, last address first.
pub(crate) fn children<'a>(
    report: &'a Report,
    parent: &'a str,
) -> impl DoubleEndedIterator<Item = &'a crate::report::Region> {
    report.regions.iter().rev().filter(move |region| region.parent.as_deref() == Some(parent))
}

/// The stack that a region is.
pub(crate) fn stack_of<'a>(
    report: &'a Report,
    region: &crate::report::Region,
) -> Option<&'a crate::report::StackReport> {
    (region.kind == "stack")
        .then(|| report.stacks.iter().find(|stack| stack.start == region.start && stack.size == region.size))?
}

/// The heap that a region is.
pub(crate) fn heap_of<'a>(report: &'a Report, region: &crate::report::Region) -> Option<&'a crate::report::HeapReport> {
    (region.kind == "heap")
        .then(|| report.heaps.iter().find(|heap| heap.start == region.start && heap.size == region.size))?
}
