//! The report as text: what is wrong, the memories with the last address on top, the stacks, the heaps.
//!
//! ```text
//! demo.elf  Cortex-M3  agent 1.0  sim  at 5.0 s  live
//! ok  nothing is wrong
//!
//! RAM 64 KiB                                                 in use now / at peak
//!   2001_0000
//!   2000_fc00    1.0 K  ISR stack       ███▒▒▒▒▌···········   - / 38 %
//!   2000_3890   48.9 K  heap                                  28 % / 44 %
//!   2000_6f98     768 B   waiter         ██▒▌···············   12 % / 17 %
//! ```

use std::fmt::Write;

use super::{heap_of, rows, stack_of};
use crate::report::{Region, Report, StackReport};
use crate::units;

/// What the output can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Letters and signs of ASCII only.
    pub ascii: bool,
    /// Terminal colours.
    pub color: bool,
}

/// Cells of a bar.
const BAR: usize = 20;

/// The report as text, ended by a line break.
#[must_use]
pub fn text(report: &Report, style: Style) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, report, style);
    out
}

fn write_all(out: &mut String, report: &Report, style: Style) -> std::fmt::Result {
    header(out, report)?;
    verdict(out, report, style)?;
    for memory in super::memories(report) {
        let legend = if memory.memory == "ram" { "now / peak" } else { "" };
        let title = format!("{} {}", memory.name, units::memory(memory.size));
        writeln!(out)?;
        writeln!(out, "{}", format!("{title:<62}{legend}").trim_end())?;
        writeln!(out, "  {}", units::address(memory.start + memory.size))?;
        for region in rows(report, &memory.id) {
            line(out, report, &region, 0, style)?;
            for inner in rows(report, &region.id) {
                line(out, report, &inner, 1, style)?;
            }
        }
    }
    stacks(out, report)?;
    heaps(out, report)?;
    for hint in &report.hints {
        writeln!(out, "\nhint: {hint}")?;
    }
    link(out, report)
}

fn header(out: &mut String, report: &Report) -> std::fmt::Result {
    let target = &report.target;
    let mut words = vec![target.elf.as_str()];
    words.extend(target.chip.as_deref());
    words.extend(target.core.as_deref());
    words.extend(target.kernel.as_deref());
    if report.state != "static" {
        words.push(&target.source);
    }
    write!(out, "{}", words.join("  "))?;
    match report.state {
        "static" => writeln!(out, "  static picture, no target"),
        state => writeln!(out, "  at {:.1} s  {state}", report.at_s),
    }
}

fn verdict(out: &mut String, report: &Report, style: Style) -> std::fmt::Result {
    if report.alerts.is_empty() {
        return if report.state == "static" { Ok(()) } else { writeln!(out, "ok  nothing is wrong") };
    }
    for alert in &report.alerts {
        let word = alert.severity.to_uppercase();
        let chip = match (style.color, alert.severity) {
            (true, "danger") => format!("\x1b[31;7m ! {word} \x1b[0m"),
            (true, "warning") => format!("\x1b[7m ! {word} \x1b[0m"),
            _ => format!("! {word}"),
        };
        writeln!(out, "{chip}  {}", alert.text)?;
    }
    Ok(())
}

fn line(out: &mut String, report: &Report, region: &Region, depth: usize, style: Style) -> std::fmt::Result {
    let name = units::printable(&region.name, 22 - 2 * depth);
    let indent = "  ".repeat(depth);
    write!(out, "  {}  {:>8}  {indent}", units::address(region.start), units::short(region.size))?;
    if let Some(stack) = stack_of(report, region) {
        let bar = bar(stack, style);
        write!(
            out,
            "{name:<width$}  {bar}  {} / {}",
            share(stack.current, stack.size),
            share(stack.peak, stack.size),
            width = 22 - 2 * depth
        )?;
        if stack.overflowed {
            write!(out, "  OVERFLOW")?;
        }
    } else if let Some(heap) = heap_of(report, region) {
        write!(out, "{name:<22}  {:BAR$}  {} / {}", "", share(heap.used, heap.size), share(heap.peak, heap.size))?;
    } else {
        write!(out, "{name}")?;
    }
    writeln!(out)
}

/// The bar of a stack: in use, touched, the mark, never touched; first use on the left.
fn bar(stack: &StackReport, style: Style) -> String {
    let [now, touched, mark, never] = if style.ascii { ['#', '=', '|', '.'] } else { ['█', '▒', '▌', '·'] };
    let Some(peak) = stack.peak else { return format!("{:<BAR$}", "not painted") };
    let cells = |bytes: u32| {
        let cells = (f64::from(bytes) / stack.size.max(1) as f64 * BAR as f64).ceil() as usize;
        // Any use is at least one cell, and what is not full keeps a cell of its own.
        cells.min(if u64::from(bytes) < stack.size { BAR - 1 } else { BAR })
    };
    let (used, peak) = (stack.current.map_or(0, cells).min(cells(peak)), cells(peak));
    let bar: String = (0..BAR)
        .map(|cell| match cell {
            cell if cell < used => now,
            cell if cell < peak => touched,
            cell if cell == peak => mark,
            _ => never,
        })
        .collect();
    match (style.color, u64::from(stack.peak.unwrap_or(0)) * 100 >= stack.size * 80) {
        (false, _) => bar,
        (true, true) => format!("\x1b[31m{bar}\x1b[0m"),
        (true, false) => format!("\x1b[36m{bar}\x1b[0m"),
    }
}

fn share(bytes: Option<u32>, size: u64) -> String {
    match bytes.and_then(|bytes| units::percent(bytes.into(), size)) {
        Some(percent) => format!("{percent} %"),
        None => "-".into(),
    }
}

fn number(bytes: Option<u32>) -> String {
    bytes.map_or_else(|| "-".into(), |bytes| units::bytes(bytes.into()))
}

fn stacks(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.stacks.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    writeln!(out, "stack               size       now      peak    margin  trust       an overflow hits")?;
    for stack in &report.stacks {
        let name = units::printable(&stack.name, 14);
        writeln!(
            out,
            "{name:<14} {:>9} {:>9} {:>9} {:>9}  {:<10}  {}",
            units::bytes(stack.size),
            number(stack.current),
            number(stack.peak),
            number(stack.margin),
            stack.trust,
            stack.victim.as_deref().unwrap_or("-"),
        )?;
    }
    Ok(())
}

fn heaps(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.heaps.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    writeln!(out, "heap                size      used      peak      free    blocks  failures")?;
    for heap in &report.heaps {
        let count = |count: Option<u32>| count.map_or_else(|| "-".into(), |count| count.to_string());
        writeln!(
            out,
            "{:<14} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            units::printable(&heap.name, 14),
            units::bytes(heap.size),
            number(heap.used),
            number(heap.peak),
            number(heap.free),
            count(heap.blocks),
            count(heap.failures),
        )?;
    }
    Ok(())
}

fn link(out: &mut String, report: &Report) -> std::fmt::Result {
    let link = &report.link;
    if report.state == "static" {
        return Ok(());
    }
    write!(out, "\nlink: {} bytes in the last refresh", link.bytes_per_refresh)?;
    if let Some(commands) = link.usb_commands_per_refresh {
        write!(out, ", {commands} USB commands")?;
    }
    if let (Some(halts), Some(writes)) = (link.halts, link.writes) {
        write!(out, "; halts {halts}, writes {writes}")?;
    }
    if link.gaps > 0 {
        write!(out, "; {} ranges could not be read", link.gaps)?;
    }
    writeln!(out)
}
