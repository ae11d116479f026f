//! The memory map as a picture: for a lesson, a data sheet, a report. Light, and readable without colour.
//!
//! One column a memory, the last address on top. A band's height grows with the logarithm of its size, so that small
//! regions stay readable; the sizes are written. Textures are those of the screen: solid for use now, shade for
//! touched, blank for never touched, hatch for what is fixed.

use std::fmt::Write;

use super::{heap_of, rows, stack_of};
use crate::report::{Region, Report};
use crate::units;

const COLUMN: f64 = 440.0;
const LEFT: f64 = 96.0;
const GAP: f64 = 40.0;
const TOP: f64 = 88.0;
const ROW: f64 = 22.0;
const INSET: f64 = 10.0;

/// The picture, ended by a line break.
#[must_use]
pub fn svg(report: &Report) -> String {
    let memories = super::memories(report);
    let heights: Vec<f64> = memories.iter().map(|memory| height_of(report, memory)).collect();
    let height = TOP + heights.iter().copied().fold(0.0, f64::max) + 70.0;
    let width = LEFT + memories.len() as f64 * (COLUMN + GAP + LEFT);
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = draw(&mut out, report, &memories, width, height);
    out
}

fn draw(out: &mut String, report: &Report, memories: &[&Region], width: f64, height: f64) -> std::fmt::Result {
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"ui-monospace, DejaVu Sans Mono, monospace\" \
         font-size=\"12\">"
    )?;
    writeln!(out, "<title>{}: memory map</title>", escape(&report.target.elf))?;
    out.push_str(STYLE);
    writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>")?;
    writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"28\" font-size=\"16\" font-weight=\"bold\">{}</text>",
        escape(&title(report))
    )?;
    let verdict = report.alerts.first().map_or("nothing is wrong", |alert| alert.text.as_str());
    if report.state != "static" {
        let class = if report.alerts.is_empty() { "quiet" } else { "bad" };
        writeln!(out, "<text x=\"{LEFT}\" y=\"48\" class=\"{class}\">{}</text>", escape(verdict))?;
    }
    for (index, memory) in memories.iter().enumerate() {
        let x = LEFT + index as f64 * (COLUMN + GAP + LEFT);
        column(out, report, memory, x)?;
    }
    legend(out, height - 24.0)?;
    writeln!(out, "</svg>")
}

const STYLE: &str = "<defs><pattern id=\"fixed\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
patternTransform=\"rotate(45)\"><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" stroke=\"#9aa0a6\" stroke-width=\"1\"/></pattern>\
<pattern id=\"touched\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\"><rect width=\"4\" height=\"4\" fill=\"#9fd0d4\"/>\
<rect width=\"2\" height=\"2\" fill=\"#5fafaf\"/><rect x=\"2\" y=\"2\" width=\"2\" height=\"2\" fill=\"#5fafaf\"/></pattern></defs>\n\
<style>text{fill:#202124}.quiet{fill:#5f6368}.bad{fill:#b3261e;font-weight:bold}.frame{fill:none;stroke:#202124}\
.part{fill:none;stroke:#9aa0a6}.fixed{fill:url(#fixed);stroke:#9aa0a6}.now{fill:#2f7f86}.touched{fill:url(#touched)}\
.mark{stroke:#202124;stroke-width:2.5}.limit{stroke:#5f6368;stroke-dasharray:2 2}</style>\n";

fn title(report: &Report) -> String {
    let mut words = vec![report.target.elf.clone()];
    words.extend(report.target.chip.clone());
    words.extend(report.target.core.clone());
    words.join("  ")
}

/// The height of a region with all that lies in it.
fn height_of(report: &Report, region: &Region) -> f64 {
    let inner = rows(report, &region.id);
    if !inner.is_empty() {
        let frame = if region.parent.is_some() { ROW + INSET } else { 0.0 };
        return inner.iter().map(|child| height_of(report, child)).sum::<f64>() + frame;
    }
    let growth = (region.size.max(256) as f64 / 256.0).log2();
    ROW + 3.0 * growth
}

fn column(out: &mut String, report: &Report, memory: &Region, x: f64) -> std::fmt::Result {
    let label = format!("{} {}", memory.name, units::memory(memory.size));
    writeln!(out, "<text x=\"{x}\" y=\"{}\" font-weight=\"bold\">{}</text>", TOP - 12.0, escape(&label))?;
    address(out, x, TOP + 4.0, memory.start + memory.size)?;
    let mut y = TOP;
    for region in rows(report, &memory.id) {
        y += band(out, report, &region, x, y, COLUMN)?;
    }
    writeln!(
        out,
        "<rect class=\"frame\" x=\"{x}\" y=\"{TOP}\" width=\"{COLUMN}\" height=\"{:.1}\" stroke-width=\"1.5\"/>",
        y - TOP
    )
}

/// Draws a region and says how high it is.
fn band(
    out: &mut String,
    report: &Report,
    region: &Region,
    x: f64,
    y: f64,
    width: f64,
) -> Result<f64, std::fmt::Error> {
    let height = height_of(report, region);
    let foot = y + height;
    let bar_x = x + width * 0.52;
    let bar_width = width * 0.34;
    let middle = y + height / 2.0 + 4.0;
    let class = match region.kind {
        "unclaimed" | "free" | "stack" | "heap" => "part",
        _ => "fixed",
    };
    writeln!(out, "<rect class=\"part\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>")?;
    let text_y = if heap_of(report, region).is_some() { y + 16.0 } else { middle };
    writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{text_y:.1}\">{}</text>",
        x + INSET,
        escape(&units::printable(&region.name, 18))
    )?;
    writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{text_y:.1}\" text-anchor=\"end\" class=\"quiet\">{}</text>",
        bar_x - 8.0,
        units::short(region.size)
    )?;
    if let Some(stack) = stack_of(report, region) {
        let share = |bytes: u32| (f64::from(bytes) / stack.size.max(1) as f64).min(1.0) * bar_width;
        let (top, tall) = (y + 4.0, height - 8.0);
        let now = stack.current.map_or(0.0, share);
        if let Some(peak) = stack.peak.map(share) {
            writeln!(
                out,
                "<rect class=\"touched\" x=\"{bar_x:.1}\" y=\"{top:.1}\" width=\"{peak:.1}\" height=\"{tall:.1}\"/>"
            )?;
            writeln!(
                out,
                "<rect class=\"now\" x=\"{bar_x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
                now.min(peak)
            )?;
            let line = bar_x + peak;
            writeln!(
                out,
                "<line class=\"mark\" x1=\"{line:.1}\" y1=\"{top:.1}\" x2=\"{line:.1}\" y2=\"{:.1}\"/>",
                top + tall
            )?;
            let limit = bar_x + 0.8 * bar_width;
            writeln!(
                out,
                "<line class=\"limit\" x1=\"{limit:.1}\" y1=\"{top:.1}\" x2=\"{limit:.1}\" y2=\"{:.1}\"/>",
                top + tall
            )?;
        }
        let percent = stack.peak.and_then(|peak| units::percent(peak.into(), stack.size));
        let past = stack.overflowed || percent.is_some_and(|percent| percent >= 80);
        let text = match percent {
            _ if stack.overflowed => "OVERFLOW".into(),
            Some(percent) if past => format!("{percent} % !"),
            Some(percent) => format!("{percent} %"),
            None => "not painted".into(),
        };
        let class = if past { "bad" } else { "quiet" };
        writeln!(out, "<text x=\"{:.1}\" y=\"{middle:.1}\" class=\"{class}\">{text}</text>", bar_x + bar_width + 8.0)?;
    } else if let Some(heap) = heap_of(report, region) {
        let share = |bytes: Option<u32>| bytes.and_then(|bytes| units::percent(bytes.into(), heap.size));
        let text = match (share(heap.used), share(heap.peak)) {
            (Some(used), Some(peak)) => format!("now {used} %  peak {peak} %"),
            _ => "not counted".into(),
        };
        writeln!(out, "<text x=\"{bar_x:.1}\" y=\"{:.1}\" class=\"quiet\">{text}</text>", y + 16.0)?;
        let mut at = y + ROW;
        for child in rows(report, &region.id) {
            at += band(out, report, &child, x + INSET, at, width - 2.0 * INSET)?;
        }
    } else if class == "fixed" {
        writeln!(
            out,
            "<rect class=\"fixed\" x=\"{bar_x:.1}\" y=\"{:.1}\" width=\"{bar_width:.1}\" height=\"{:.1}\"/>",
            y + 4.0,
            height - 8.0
        )?;
    }
    // The lowest part of a heap says the heap's address.
    if heap_of(report, region).is_none() || rows(report, &region.id).is_empty() {
        let nested = region.parent.as_deref().is_some_and(|parent| parent.contains('/'));
        address(out, if nested { x - INSET } else { x }, foot, region.start)?;
    }
    Ok(height)
}

fn address(out: &mut String, x: f64, y: f64, address: u64) -> std::fmt::Result {
    writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\" class=\"quiet\" font-size=\"11\">{}</text>",
        x - 8.0,
        units::address(address)
    )
}

fn legend(out: &mut String, y: f64) -> std::fmt::Result {
    let mut x = LEFT;
    for (class, label) in
        [("now", "in use now"), ("touched", "touched before"), ("part", "never touched"), ("fixed", "fixed")]
    {
        writeln!(out, "<rect class=\"{class}\" x=\"{x}\" y=\"{:.1}\" width=\"22\" height=\"12\"/>", y - 10.0)?;
        writeln!(out, "<text x=\"{:.1}\" y=\"{y:.1}\" class=\"quiet\">{label}</text>", x + 28.0)?;
        x += 150.0;
    }
    writeln!(out, "<line class=\"mark\" x1=\"{x}\" y1=\"{:.1}\" x2=\"{x}\" y2=\"{:.1}\"/>", y - 11.0, y + 3.0)?;
    writeln!(out, "<text x=\"{:.1}\" y=\"{y:.1}\" class=\"quiet\">high water</text>", x + 8.0)
}

/// Text as XML takes it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
