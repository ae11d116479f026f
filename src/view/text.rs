//! The report as text: what is wrong, the memories with the last address on top, the stacks, the heaps.
//!
//! ```text
//! demo.elf  Cortex-M3  agent 1.0  sim  at 5.0 s  live
//! ok  nothing is wrong
//!
//! RAM 64 KiB                                                             now /  peak
//!   2001_0000
//!   2000_fc00     1.0 K  ISR stack               ▒▒▒▒▒▌··············      - /  24 %
//!   2000_3890    48.9 K  heap                                           28 % /  44 %
//!   2000_6f98     768 B    waiter                ███▌················   11 % /  11 %
//!   2000_5cc8     1.0 K    4 blocks, 5 free
//! ```

mod catches;

use std::fmt::Write;

use super::{Row, heap_of, is_nearly_full, memories, rows, stack_of};
use crate::report::{FitReport, Report, StackReport};
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
    if style.ascii { out.chars().map(ascii).collect() } else { out }
}

/// Names come from the firmware, in any script. One character stays one, so that columns stay columns.
fn ascii(c: char) -> char {
    match c {
        c if c.is_ascii() => c,
        '…' => '~',
        '≥' => '>',
        _ => '?',
    }
}

fn write_all(out: &mut String, report: &Report, style: Style) -> std::fmt::Result {
    header(out, report)?;
    verdict(out, report, style)?;
    for memory in memories(report) {
        writeln!(out)?;
        let more = if memory.size_known { "" } else { " or more" };
        let title = format!("{} {}{more}", memory.name, units::memory(memory.size));
        if memory.memory == "ram" {
            writeln!(out, "{title:<69}  now /  peak")?;
        } else {
            writeln!(out, "{title}")?;
        }
        writeln!(out, "  {}", units::address(memory.start + memory.size))?;
        for row in rows(report, memory) {
            line(out, report, &row, 0, style)?;
            if let Row::One(region) = row {
                for inner in rows(report, region) {
                    line(out, report, &inner, 1, style)?;
                }
            }
        }
    }
    stacks(out, report)?;
    heaps(out, report)?;
    catches::write(out, report)?;
    owners(out, report)?;
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

fn line(out: &mut String, report: &Report, row: &Row<'_>, depth: usize, style: Style) -> std::fmt::Result {
    let width = 22 - 2 * depth;
    let name = units::printable(&row.name(), width);
    write!(out, "  {}  {:>8}  {}", units::address(row.start()), units::short(row.size()), "  ".repeat(depth))?;
    let Row::One(region) = row else { return writeln!(out, "{name}") };
    if let Some(stack) = stack_of(report, region) {
        let shares = shares(stack.current, stack.peak, stack.size);
        write!(out, "{name:<width$}  {}  {shares}", bar(report, stack, style))?;
        if stack.overflowed {
            write!(out, "  OVERFLOW")?;
        } else if is_nearly_full(report, stack) {
            write!(out, "  !")?;
        }
    } else if let Some(heap) = heap_of(report, region) {
        write!(out, "{name:<width$}  {:BAR$}  {}", "", shares(heap.used, heap.peak, heap.size))?;
    } else if let Some(stack) = report.stacks.iter().find(|stack| stack.overflowed && stack.start == row.end()) {
        let by = units::printable(&stack.name, 22);
        write!(out, "{name:<width$}  below {by}: may be overwritten")?;
    } else {
        write!(out, "{name}")?;
    }
    writeln!(out)
}

/// The bar of a stack: in use, touched, the mark, never touched; first use on the left.
fn bar(report: &Report, stack: &StackReport, style: Style) -> String {
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
    match (style.color, stack.overflowed || is_nearly_full(report, stack)) {
        (false, _) => bar,
        (true, true) => format!("\x1b[31m{bar}\x1b[0m"),
        (true, false) => format!("\x1b[36m{bar}\x1b[0m"),
    }
}

/// In use now and at the peak, under the head of their column.
fn shares(now: Option<u32>, peak: Option<u32>, size: u64) -> String {
    let share = |bytes: Option<u32>| match bytes.and_then(|bytes| units::percent(bytes.into(), size)) {
        Some(percent) => format!("{percent} %"),
        None => "-".into(),
    };
    format!("{:>5} / {:>5}", share(now), share(peak))
}

fn number(bytes: Option<u32>) -> String {
    bytes.map_or_else(|| "-".into(), |bytes| units::bytes(bytes.into()))
}

fn stacks(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.stacks.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    writeln!(out, "stack               size       now      peak    margin  trust        suggest  an overflow hits")?;
    for stack in &report.stacks {
        let name = units::printable(&stack.name, 14);
        writeln!(
            out,
            "{name:<14} {:>9} {:>9} {:>9} {:>9}  {:<10} {:>9}  {}",
            units::bytes(stack.size),
            number(stack.current),
            number(stack.peak),
            number(stack.margin),
            stack.trust,
            super::suggested(stack),
            victim(stack),
        )?;
    }
    Ok(())
}

/// What lies below a stack, and what that is.
fn victim(stack: &StackReport) -> String {
    match (&stack.victim, &stack.victim_is) {
        (Some(name), Some(is)) => format!("{name} ({is})"),
        (name, _) => name.clone().unwrap_or_else(|| "-".into()),
    }
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
    for heap in &report.heaps {
        if let Some(why) = &heap.not_walked {
            writeln!(out, "{}", unwalked_sentence(&units::printable(&heap.name, 40), heap.used.is_some(), why))?;
        }
    }
    Ok(())
}

/// Why of a heap nothing is known but its place, or its totals, in a sentence.
#[must_use]
pub fn unwalked_sentence(heap: &str, is_counted: bool, why: &str) -> String {
    if is_counted {
        format!("Of {heap} only totals are known, as they were counted: {why}.")
    } else {
        format!("How much of {heap} is in use is not known: {why}.")
    }
}

/// Who holds each heap, and whether what was asked about would fit.
fn owners(out: &mut String, report: &Report) -> std::fmt::Result {
    const MOST: usize = 8;
    for heap in &report.heaps {
        if let Some(owners) = heap.owners.as_ref().filter(|owners| !owners.is_empty()) {
            writeln!(out)?;
            let title = format!("who holds {}", units::printable(&heap.name, 14));
            writeln!(out, "{title:<26}{:<22}{:>8}{:>11}{:>14}", "at", "blocks", "bytes", "each minute")?;
            for owner in owners.iter().take(MOST) {
                let place = match (&owner.file, owner.line) {
                    (Some(file), Some(line)) => format!("{}:{line}", file.rsplit('/').next().unwrap_or(file)),
                    _ => "-".into(),
                };
                let rate = owner.bytes_per_minute.map_or_else(|| "-".into(), growth);
                writeln!(
                    out,
                    "{:<26}{:<22}{:>8}{:>11}{rate:>14}",
                    units::printable(&owner.function, 25),
                    units::printable(&place, 21),
                    owner.blocks,
                    units::bytes(owner.bytes.into()),
                )?;
            }
            if owners.len() > MOST {
                writeln!(out, "and {} others", owners.len() - MOST)?;
            }
        }
    }
    for heap in &report.heaps {
        if let Some(fit) = &heap.would_fit {
            writeln!(out, "\n{}", fit_sentence(&heap.name, fit))?;
        }
    }
    Ok(())
}

/// Bytes per minute with their sign, when there is one.
fn growth(rate: f64) -> String {
    if rate.abs() < 0.5 { "0 B".into() } else { format!("{rate:+.0} B") }
}

/// The answer to "would it fit?" in a sentence.
#[must_use]
pub fn fit_sentence(heap: &str, fit: &FitReport) -> String {
    let size = units::bytes(fit.size.into());
    let size = match (&fit.stack, fit.control_block) {
        (Some(name), None) => format!("A stack as large as that of {}, {size},", units::printable(name, 40)),
        (Some(name), Some(block)) => format!(
            "A thread like {}, {size} of stack and {} of control block,",
            units::printable(name, 40),
            units::bytes(block.into())
        ),
        (None, _) => size,
    };
    let left = fit
        .largest_left
        .map_or_else(String::new, |left| format!(" Then left in one piece: {}.", units::bytes(left.into())));
    match (fit.fits, fit.at, &fit.in_the_way, fit.needs) {
        (Some(true), Some(at), ..) => {
            format!("{size} would fit into {heap} now, at {}.{left}", units::address(at.into()))
        }
        (Some(true), None, ..) => format!("{size} would fit into {heap} now, by its allocator's rule."),
        (Some(_), _, Some(block), _) => format!(
            "{size} would not fit into {heap} now: {} at {}, {}, is in the way.",
            units::printable(&block.name, 40),
            units::address(block.start.into()),
            units::bytes(block.size.into())
        ),
        (Some(_), _, None, Some(needs)) => format!(
            "{size} would not fit into {heap} now: it needs {} in one piece, and no single block is in the way.",
            units::bytes(needs.into())
        ),
        _ => {
            let why = fit.not_known.as_deref().map_or_else(String::new, |why| format!(": {why}"));
            let size = size.strip_prefix("A ").map_or_else(|| size.clone(), |rest| format!("a {rest}"));
            format!("It is not known whether {size} would fit into {heap} now{why}.")
        }
    }
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
