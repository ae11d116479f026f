//! The report as comma-separated values (RFC 4180): a row for each region, stack and heap, figures in bytes.
//!
//! ```text
//! at_s,kind,name,id,parent,memory,start,size,used,peak,lowest_sp_used,worst_case,margin,suggested,...
//! 12.0,stack,growth,20004d58.1,20002000,ram,536890712,4096,1424,1768,1768,,2328,2304,...
//! ```
//!
//! An address is a whole number, and what is not known is empty. In a stream, regions that do not move are in the first
//! report only.

use std::io::{self, Write};

use crate::report::{HeapReport, Region, Report, StackReport};

/// The columns of each row.
const COLUMNS: [&str; 20] = [
    "at_s",
    "kind",
    "name",
    "id",
    "parent",
    "memory",
    "start",
    "size",
    "used",
    "peak",
    "lowest_sp_used",
    "worst_case",
    "margin",
    "suggested",
    "largest_free",
    "fragmentation",
    "failures",
    "cpu_percent",
    "trust",
    "suggested_trust",
];

/// Text as one value, quoted where that is needed.
#[must_use]
pub fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Writes the line with the names of the columns.
///
/// # Errors
///
/// The output could not be written.
pub fn head(out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{}\r\n", COLUMNS.join(","))
}

/// Writes every region, then every stack and heap.
///
/// # Errors
///
/// The output could not be written.
pub fn all(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for region in report.regions.iter().filter(|region| !["stack", "heap"].contains(&region.kind)) {
        row(
            report,
            out,
            &[
                ("kind", region.kind.into()),
                ("name", quoted(&region.name)),
                ("id", quoted(&region.id)),
                ("parent", quoted(parent(report, region))),
                ("memory", region.memory.into()),
                ("start", region.start.to_string()),
                ("size", region.size.to_string()),
            ],
        )?;
    }
    moving(report, out)
}

/// Writes every stack and heap: what changes from refresh to refresh.
///
/// # Errors
///
/// The output could not be written.
pub fn moving(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for stack in &report.stacks {
        row(report, out, &stack_cells(report, stack))?;
    }
    for heap in &report.heaps {
        row(report, out, &heap_cells(report, heap))?;
    }
    Ok(())
}

fn stack_cells<'a>(report: &'a Report, stack: &StackReport) -> Vec<(&'static str, String)> {
    let place: Option<&'a Region> = place(report, "stack", stack.start);
    vec![
        ("kind", "stack".into()),
        ("name", quoted(&stack.name)),
        ("id", quoted(&stack.id)),
        ("parent", quoted(place.map_or("", |place| parent(report, place)))),
        ("memory", place.map_or("", |place| place.memory).into()),
        ("start", stack.start.to_string()),
        ("size", stack.size.to_string()),
        ("used", number(stack.current)),
        ("peak", number(stack.peak)),
        ("lowest_sp_used", number(stack.lowest_sp_used)),
        ("worst_case", number(stack.worst_case)),
        ("margin", number(stack.margin)),
        ("suggested", number(stack.suggested)),
        ("cpu_percent", number(stack.cpu_percent)),
        ("trust", stack.trust.into()),
        ("suggested_trust", stack.suggested_trust.unwrap_or_default().into()),
    ]
}

fn heap_cells(report: &Report, heap: &HeapReport) -> Vec<(&'static str, String)> {
    let place = place(report, "heap", heap.start);
    vec![
        ("kind", "heap".into()),
        ("name", quoted(&heap.name)),
        ("id", quoted(&heap.id)),
        ("parent", quoted(place.map_or("", |place| parent(report, place)))),
        ("memory", place.map_or("", |place| place.memory).into()),
        ("start", heap.start.to_string()),
        ("size", heap.size.to_string()),
        ("used", number(heap.used)),
        ("peak", number(heap.peak)),
        ("margin", number(heap.peak.map(|peak| heap.size.saturating_sub(peak.into())))),
        ("largest_free", number(heap.largest_free)),
        ("fragmentation", number(heap.fragmentation.map(|share| (share * 1e4).round() / 1e4))),
        ("failures", number(heap.failures)),
        ("trust", heap.trust.into()),
    ]
}

fn place<'a>(report: &'a Report, kind: &str, start: u64) -> Option<&'a Region> {
    report.regions.iter().find(|region| region.kind == kind && region.start == start)
}

/// The row that a region lies in, by its id: a heap's row has the heap's.
fn parent<'a>(report: &'a Report, region: &'a Region) -> &'a str {
    let Some(parent) = &region.parent else { return "" };
    let around = report.regions.iter().find(|around| around.id == *parent && around.kind == "heap");
    let heap = around.and_then(|around| report.heaps.iter().find(|heap| heap.start == around.start));
    heap.map_or(parent, |heap| &heap.id)
}

fn number(number: Option<impl ToString>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// One row, with its cells in their columns.
fn row(report: &Report, out: &mut dyn Write, cells: &[(&'static str, String)]) -> io::Result<()> {
    let at = ("at_s", report.at_s.to_string());
    let cell = |column: &&str| {
        let found = std::iter::once(&at).chain(cells).find(|(name, _)| name == column);
        found.map_or("", |(_, text)| text.as_str())
    };
    write!(out, "{}\r\n", COLUMNS.iter().map(cell).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::model::snapshot::Snapshot;
    use crate::model::testing;

    #[test]
    fn values_with_commas_and_quotes_are_quoted() {
        for (text, expected) in [("a", "a"), ("a,b", "\"a,b\""), ("\"a\"", "\"\"\"a\"\"\"")] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn every_row_has_every_column() {
        let snapshot = Snapshot { stacks: vec![testing::stack("a,b", 400)], ..testing::live(1) };
        let mut out = Vec::new();
        head(&mut out).expect("memory takes all");
        all(&Report::new(&Model::new(snapshot)), &mut out).expect("memory takes all");
        let text = String::from_utf8(out).expect("it is text");
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert!(lines.len() >= 2, "{text}");
        for line in &lines {
            // The one comma that is no separator is the name's.
            let commas = line.replace("\"a,b\"", "").matches(',').count();
            assert_eq!(commas, COLUMNS.len() - 1, "{line}");
        }
        assert!(text.contains(",stack,\"a,b\","), "{text}");
        assert!(lines[1..].iter().any(|line| line.ends_with(",exact,measured")), "{text}");
    }
}
