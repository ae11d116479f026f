//! The memory map as a picture: for a lesson, a data sheet, a report. Light, and readable without colour.
//!
//! One column a memory, the last address on top. A band's height grows with the logarithm of its size, so that small
//! regions stay readable; the sizes are written. Textures are those of the screen: solid for use now, shade for
//! touched, blank for never touched, hatch for what is fixed. All bars start and end in the same columns, also those
//! within the heap: so they compare.

use std::fmt::Write;

use super::{Row, heap_of, is_nearly_full, memories, rows, stack_of};
use crate::report::{HeapReport, Region, Report, StackReport};
use crate::units;

const COLUMN: f64 = 440.0;
const LEFT: f64 = 96.0;
const GAP: f64 = 40.0;
const TOP: f64 = 88.0;
/// The room for the name above a memory that is a picture of its own.
const TITLE: f64 = 26.0;
const ROW: f64 = 22.0;
const INSET: f64 = 10.0;
/// Where the bars start in a column, and how long they are.
const BAR: (f64, f64) = (236.0, 116.0);
/// What stands between a size and the bar, and between the bar and its share.
const AIR: f64 = 8.0;
/// One entry of the legend.
const ENTRY: f64 = 150.0;
/// The width of a letter at the usual size, with some to spare.
const LETTER: f64 = 7.5;

/// The picture, ended by a line break.
#[must_use]
pub fn svg(report: &Report) -> String {
    let memories = memories(report);
    let heights: Vec<f64> = memories.iter().map(|memory| height_of(report, memory)).collect();
    let height = TOP + heights.iter().copied().fold(0.0, f64::max) + 70.0;
    let columns = LEFT + memories.len() as f64 * (COLUMN + GAP + LEFT) - LEFT;
    let words = LEFT + verdict(report).chars().count() as f64 * LETTER + GAP;
    let width = columns.max(words).max(LEFT + 5.0 * ENTRY);
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = draw(&mut out, report, &memories, width, height);
    out
}

fn verdict(report: &Report) -> String {
    match report.alerts.as_slice() {
        _ if report.state == "static" => String::new(),
        [] => "nothing is wrong".into(),
        [alert] => alert.text.clone(),
        [alert, others @ ..] => format!("{} And {} more.", alert.text, others.len()),
    }
}

fn draw(out: &mut String, report: &Report, memories: &[&Region], width: f64, height: f64) -> std::fmt::Result {
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"ui-monospace, DejaVu Sans Mono, monospace\" \
         font-size=\"12\">"
    )?;
    writeln!(out, "<title>{}: memory map</title>", escape(&report.target.elf))?;
    writeln!(out, "{PATTERNS}")?;
    out.push_str(STYLE);
    writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>")?;
    writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"28\" font-size=\"16\" font-weight=\"bold\">{}</text>",
        escape(&title(report))
    )?;
    let verdict = verdict(report);
    if !verdict.is_empty() {
        let class = if report.alerts.is_empty() { "quiet" } else { "bad" };
        writeln!(out, "<text x=\"{LEFT}\" y=\"48\" class=\"{class}\">{}</text>", escape(&verdict))?;
    }
    for (index, memory) in memories.iter().enumerate() {
        let x = LEFT + index as f64 * (COLUMN + GAP + LEFT);
        column(out, report, memory, x, TOP)?;
    }
    legend(out, height - 24.0)?;
    writeln!(out, "</svg>")
}

/// The textures, for whoever draws with [`memory`] or [`bar`]: once in a document.
pub(super) const PATTERNS: &str = "<defs><pattern id=\"fixed\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
patternTransform=\"rotate(45)\"><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" stroke=\"#9aa0a6\" stroke-width=\"1\"/></pattern>\
<pattern id=\"touched\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\"><rect width=\"4\" height=\"4\" fill=\"#9fd0d4\"/>\
<rect class=\"dot\" width=\"2\" height=\"2\" fill=\"#5fafaf\"/>\
<rect class=\"dot\" x=\"2\" y=\"2\" width=\"2\" height=\"2\" fill=\"#5fafaf\"/></pattern>\
<pattern id=\"danger\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\"><rect width=\"4\" height=\"4\" fill=\"#f0c1bc\"/>\
<rect class=\"dot\" width=\"2\" height=\"2\" fill=\"#d9837b\"/>\
<rect class=\"dot\" x=\"2\" y=\"2\" width=\"2\" height=\"2\" fill=\"#d9837b\"/></pattern></defs>";

const STYLE: &str = "<style>text{fill:#202124}.quiet{fill:#5f6368}.bad{fill:#b3261e;font-weight:bold}\
.frame{fill:none;stroke:#202124}.part{fill:none;stroke:#9aa0a6}.fixed{fill:url(#fixed);stroke:#9aa0a6}.now{fill:#2f7f86}\
.touched{fill:url(#touched)}.mark{stroke:#202124;stroke-width:2.5}.limit{stroke:#5f6368;stroke-dasharray:2 2}.danger .now{fill:#b3261e}.danger .touched{fill:url(#danger)}</style>\n";

fn title(report: &Report) -> String {
    let mut words = vec![report.target.elf.clone()];
    words.extend(report.target.chip.clone());
    words.extend(report.target.core.clone());
    words.join("  ")
}

/// The height of a region with all that lies in it.
fn height_of(report: &Report, region: &Region) -> f64 {
    let inner = rows(report, region);
    if inner.is_empty() {
        return height_by_size(region.size);
    }
    let frame = if region.parent.is_some() { ROW + INSET } else { 0.0 };
    inner.iter().map(|row| row_height(report, row)).sum::<f64>() + frame
}

fn row_height(report: &Report, row: &Row<'_>) -> f64 {
    match row {
        Row::One(region) => height_of(report, region),
        Row::Run(_) => height_by_size(row.size()),
    }
}

fn height_by_size(size: u64) -> f64 {
    ROW + 3.0 * (size.max(256) as f64 / 256.0).log2()
}

/// One memory with its name above it, as a picture of its own without a style: the page around it has one.
pub(super) fn memory(report: &Report, memory: &Region) -> String {
    let width = LEFT + COLUMN + 1.0;
    let height = TITLE + height_of(report, memory) + 8.0;
    let label = format!("{}: its regions in address order, the last address on top", memory.name);
    let mut out = format!(
        "<svg viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" font-size=\"12\" \
         role=\"img\" aria-label=\"{}\">\n",
        escape(&units::printable(&label, 200))
    );
    // Writing to a string cannot fail.
    let _ = column(&mut out, report, memory, LEFT, TITLE);
    out.push_str("</svg>\n");
    out
}

/// Draws a memory whose column begins at `x` and whose first row begins at `top`.
fn column(out: &mut String, report: &Report, memory: &Region, x: f64, top: f64) -> std::fmt::Result {
    writeln!(out, "<g transform=\"translate({x:.1},{top:.1})\">")?;
    let label = format!("{} {}", memory.name, units::memory(memory.size));
    writeln!(out, "<text y=\"-12\" font-weight=\"bold\">{}</text>", escape(&label))?;
    address(out, 4.0, memory.start + memory.size)?;
    let mut y = 0.0;
    for row in rows(report, memory) {
        y += band(out, report, &row, y, 0.0)?;
    }
    writeln!(out, "<rect class=\"frame\" width=\"{COLUMN}\" height=\"{y:.1}\" stroke-width=\"1.5\"/></g>")
}

/// Draws a row at `y`, set in by `inset`, with its first address at its foot, and says how high it is. Only the first
/// line depends on where it is drawn.
fn band(out: &mut String, report: &Report, row: &Row<'_>, y: f64, inset: f64) -> Result<f64, std::fmt::Error> {
    let height = row_height(report, row);
    let (heap, stack) = match row {
        Row::One(region) => (heap_of(report, region), stack_of(report, region)),
        Row::Run(_) => (None, None),
    };
    writeln!(out, "<g transform=\"translate(0,{y:.1})\">")?;
    writeln!(
        out,
        "<rect class=\"part\" x=\"{inset:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
        COLUMN - 2.0 * inset
    )?;
    let base = 4.0 + if heap.is_some() { 12.0 } else { height / 2.0 };
    let name = escape(&units::printable(&row.name(), 20));
    writeln!(out, "<text x=\"{:.1}\" y=\"{base:.1}\">{name}</text>", inset + INSET)?;
    let size = units::short(row.size());
    writeln!(out, "<text x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"end\" class=\"quiet\">{size}</text>", BAR.0 - AIR)?;
    if let Some(stack) = stack {
        stack_bar(out, report, stack, height)?;
    } else if let Some(heap) = heap {
        share(out, &heap_share(heap), base, "quiet")?;
    } else {
        let share = fixed(row) as f64 / row.size().max(1) as f64;
        if share > 0.0 {
            block(out, "part", height, BAR.1)?;
            block(out, "fixed", height, share * BAR.1)?;
        }
        if report.stacks.iter().any(|stack| stack.overflowed && stack.start == row.end()) {
            self::share(out, "was hit?", base, "bad")?;
        }
    }
    if let Row::One(region) = row {
        let mut at = ROW;
        for inner in rows(report, region) {
            at += band(out, report, &inner, at, inset + INSET)?;
        }
    }
    // The lowest part starts where the region does, which says so itself.
    if !starts_with_its_parent(report, row) {
        address(out, height, row.start())?;
    }
    writeln!(out, "</g>")?;
    Ok(height)
}

/// Whether a row is the lowest part of a region that is no memory itself.
fn starts_with_its_parent(report: &Report, row: &Row<'_>) -> bool {
    let parent = match row {
        Row::One(region) => region.parent.as_deref(),
        Row::Run(parts) => parts.first().and_then(|part| part.parent.as_deref()),
    };
    let parent = report.regions.iter().find(|region| Some(region.id.as_str()) == parent);
    parent.is_some_and(|parent| parent.parent.is_some() && parent.start == row.start())
}

/// The bytes of a row that are taken and have no level: all or nothing of a region, some of a run.
fn fixed(row: &Row<'_>) -> u64 {
    let of = |region: &Region| match region.kind {
        "unclaimed" | "free" | "stack" | "heap" | "blocks" => 0,
        _ => region.size,
    };
    match row {
        Row::One(region) => of(region),
        Row::Run(parts) => parts.iter().map(|part| of(part)).sum(),
    }
}

fn block(out: &mut String, class: &str, height: f64, long: f64) -> std::fmt::Result {
    let (x, tall) = (BAR.0, height - 8.0);
    writeln!(out, "<rect class=\"{class}\" x=\"{x:.1}\" y=\"4\" width=\"{long:.1}\" height=\"{tall:.1}\"/>")
}

/// What stands at the right edge of a column.
fn share(out: &mut String, text: &str, base: f64, class: &str) -> std::fmt::Result {
    let x = COLUMN - 2.0 * INSET;
    writeln!(out, "<text x=\"{x:.1}\" y=\"{base:.1}\" text-anchor=\"end\" class=\"{class}\">{text}</text>")
}

fn stack_bar(out: &mut String, report: &Report, stack: &StackReport, height: f64) -> std::fmt::Result {
    bar(out, report, stack, Canvas { x: BAR.0, y: 4.0, width: BAR.1, height: height - 8.0 })?;
    let past = stack.overflowed || is_nearly_full(report, stack);
    let text = match stack.peak.and_then(|peak| units::percent(peak.into(), stack.size)) {
        _ if stack.overflowed => "OVERFLOW".into(),
        Some(percent) if past => format!("{percent} % !"),
        Some(percent) => format!("{percent} %"),
        None => "not painted".into(),
    };
    share(out, &text, height / 2.0 + 4.0, if past { "bad" } else { "quiet" })
}

/// Where something is drawn.
#[derive(Clone, Copy)]
pub(super) struct Canvas {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A stack as a bar: in use, touched, the mark, never touched, the limit; first use on the left. Nothing when its peak is
/// not known.
pub(super) fn bar(out: &mut String, report: &Report, stack: &StackReport, canvas: Canvas) -> std::fmt::Result {
    let Canvas { x, y, width, height } = canvas;
    let long = |bytes: u32| (f64::from(bytes) / stack.size.max(1) as f64).min(1.0) * width;
    let Some(peak) = stack.peak.map(long) else { return Ok(()) };
    let mark = |out: &mut String, class: &str, at: f64| {
        let (x, foot) = (x + at, y + height);
        writeln!(out, "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{x:.1}\" y2=\"{foot:.1}\"/>")
    };
    let block = |out: &mut String, class: &str, long: f64| {
        writeln!(out, "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{long:.1}\" height=\"{height:.1}\"/>")
    };
    // Full or nearly so is told by words beside it; the colour only agrees.
    let danger = stack.overflowed || is_nearly_full(report, stack);
    writeln!(out, "<g class=\"{}\">", if danger { "bar danger" } else { "bar" })?;
    mark(out, "limit", f64::from(report.limits.stack_percent.min(100)) / 100.0 * width)?;
    block(out, "touched", peak)?;
    block(out, "now", stack.current.map_or(0.0, long).min(peak))?;
    mark(out, "mark", peak)?;
    writeln!(out, "</g>")
}

fn heap_share(heap: &HeapReport) -> String {
    let share = |bytes: Option<u32>| bytes.and_then(|bytes| units::percent(bytes.into(), heap.size));
    match (share(heap.used), share(heap.peak)) {
        (Some(used), Some(peak)) => format!("now {used} %, peak {peak} %"),
        (Some(used), None) => format!("now {used} %"),
        _ => "not counted".into(),
    }
}

fn address(out: &mut String, y: f64, address: u64) -> std::fmt::Result {
    let address = units::address(address);
    writeln!(out, "<text x=\"-8\" y=\"{y:.1}\" text-anchor=\"end\" class=\"quiet\" font-size=\"11\">{address}</text>")
}

fn legend(out: &mut String, y: f64) -> std::fmt::Result {
    let mut x = LEFT;
    for (class, label) in
        [("now", "in use now"), ("touched", "touched before"), ("part", "never touched"), ("fixed", "fixed")]
    {
        writeln!(out, "<rect class=\"{class}\" x=\"{x}\" y=\"{:.1}\" width=\"22\" height=\"12\"/>", y - 10.0)?;
        writeln!(out, "<text x=\"{:.1}\" y=\"{y:.1}\" class=\"quiet\">{label}</text>", x + 28.0)?;
        x += ENTRY;
    }
    writeln!(out, "<line class=\"mark\" x1=\"{x}\" y1=\"{:.1}\" x2=\"{x}\" y2=\"{:.1}\"/>", y - 11.0, y + 3.0)?;
    writeln!(out, "<text x=\"{:.1}\" y=\"{y:.1}\" class=\"quiet\">high water</text>", x + 8.0)
}

/// Text as XML takes it, which has no control characters, and none that turns what follows around.
pub(super) fn escape(text: &str) -> String {
    let text = units::printable(text, usize::MAX);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
