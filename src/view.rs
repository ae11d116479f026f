//! The formats a report is written in. Each takes a [`Report`] and only writes.

pub mod check;
pub mod csv;
pub mod diff;
pub mod digest;
pub mod doctor;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod prometheus;
pub mod sizes;
pub mod svg;
pub mod symbols;
pub mod tasks;
pub mod text;
pub mod treemap;

use std::io::{self, Write};

use crate::report::{HeapReport, Region, Report, StackReport};
use crate::sizing::Basis;
use crate::units;

/// How to write a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text to read in a terminal.
    Human,
    /// One JSON document, schema highwater/report@1.
    Json,
    /// One line of JSON for each report, of the same schema; with attach, demo and replay one for each refresh.
    Jsonl,
    /// A row for each region, stack and heap, figures in bytes; with attach, demo and replay for each refresh.
    Csv,
    /// Tables for an issue or a pull request.
    Markdown,
    /// A picture of the memory map, to print or to put into a document.
    Svg,
    /// One page to open in a browser: the map and every table; of a recording with its whole time to scrub through.
    Html,
}

impl Format {
    /// Whether reports of this format can follow each other.
    #[must_use]
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Jsonl | Self::Csv)
    }
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
        Format::Jsonl => json::line(report, out),
        Format::Csv => {
            csv::head(out)?;
            csv::all(report, out)
        }
        Format::Markdown => out.write_all(digest::digest(report).as_bytes()),
        Format::Svg => out.write_all(svg::svg(report).as_bytes()),
        Format::Html => out.write_all(html::page(report).as_bytes()),
    }
}

/// Writes one more report of a stream, after `before` others. What never changes is in the first one only.
///
/// # Errors
///
/// The output could not be written.
pub fn write_next(
    report: &Report,
    format: Format,
    before: u64,
    style: text::Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Csv if before > 0 => csv::moving(report, out),
        _ => write(report, format, style, out),
    }
}

/// The regions that lie in `parent`, last address first.
fn children<'a>(report: &'a Report, parent: &'a str) -> impl DoubleEndedIterator<Item = &'a Region> {
    report.regions.iter().rev().filter(move |region| region.parent.as_deref() == Some(parent))
}

/// The memories in the order of interest: RAM, where things move, then flash.
pub(crate) fn memories(report: &Report) -> Vec<&Region> {
    let mut memories: Vec<&Region> = report.regions.iter().filter(|region| region.parent.is_none()).collect();
    memories.sort_by_key(|memory| memory.memory != "ram");
    memories
}

/// One row of a picture.
pub(crate) enum Row<'a> {
    /// A region.
    One(&'a Region),
    /// Small parts of a heap that lie next to each other, last address first: they would hide what matters.
    Run(Vec<&'a Region>),
}

impl Row<'_> {
    /// The first address.
    pub(crate) fn start(&self) -> u64 {
        match self {
            Self::One(region) => region.start,
            Self::Run(parts) => parts.last().map_or(0, |part| part.start),
        }
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::One(region) => region.size,
            Self::Run(parts) => parts.iter().map(|part| part.size).sum(),
        }
    }

    /// The address after the last one.
    pub(crate) fn end(&self) -> u64 {
        self.start() + self.size()
    }

    /// What a person calls it: `heap`, `5 blocks, 4 free`.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::One(region) => region.name.clone(),
            Self::Run(parts) => {
                let free = parts.iter().filter(|part| part.kind == "free").count();
                format!("{} blocks, {free} free", parts.len() - free)
            }
        }
    }
}

/// What lies in `parent`, last address first. More than three small blocks and holes in a row become one.
pub(crate) fn rows<'a>(report: &'a Report, parent: &'a Region) -> Vec<Row<'a>> {
    const MOST: usize = 3;
    const SMALL: u64 = 32;
    let children: Vec<&Region> = children(report, &parent.id).collect();
    let folds = |region: &Region| ["block", "free"].contains(&region.kind) && region.size * SMALL <= parent.size;
    let mut rows = Vec::new();
    for run in children.chunk_by(|one, next| folds(one) && folds(next)) {
        if run.len() > MOST {
            rows.push(Row::Run(run.to_vec()));
        } else {
            rows.extend(run.iter().map(|region| Row::One(region)));
        }
    }
    rows
}

/// The stack that a region is.
pub(crate) fn stack_of<'a>(report: &'a Report, region: &Region) -> Option<&'a StackReport> {
    (region.kind == "stack")
        .then(|| report.stacks.iter().find(|stack| stack.start == region.start && stack.size == region.size))?
}

/// The heap that a region is.
pub(crate) fn heap_of<'a>(report: &'a Report, region: &Region) -> Option<&'a HeapReport> {
    (region.kind == "heap")
        .then(|| report.heaps.iter().find(|heap| heap.start == region.start && heap.size == region.size))?
}

/// Whether a stack's peak is past the limit that alerts begin at.
pub(crate) fn is_nearly_full(report: &Report, stack: &StackReport) -> bool {
    let limit = u64::from(report.limits.stack_percent);
    stack.peak.is_some_and(|peak| u64::from(peak) * 100 >= stack.size * limit)
}
/// The size to choose for a stack; one that may not be enough says so.
fn suggested(stack: &StackReport) -> String {
    let sign = if stack.suggested_trust.and_then(Basis::named).is_some_and(Basis::is_floor) { "≥ " } else { "" };
    stack.suggested.map_or_else(|| "-".into(), |bytes| format!("{sign}{}", units::bytes(bytes.into())))
}
