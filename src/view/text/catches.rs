//! What the tripwire watched and caught, as text.

use std::fmt::Write;

use crate::report::{CallReport, CatchReport, Report};
use crate::units;

/// Catches that are written; of more, the newest.
const SHOWN: usize = 8;

pub(super) fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let Some(tripwire) = &report.tripwire else { return Ok(()) };
    write!(out, "\ntripwire: {}", tripwire.mode)?;
    for (index, aim) in tripwire.aims.iter().enumerate() {
        let sign = if index == 0 { " on" } else { "," };
        write!(out, "{sign} {} ({} of {} B)", aim.stack, aim.watched, aim.wanted)?;
    }
    writeln!(out, "; {} writes to debug registers", tripwire.register_writes)?;
    if let Some(note) = &tripwire.note {
        writeln!(out, "  {note}")?;
    }
    if report.catches.is_empty() {
        return writeln!(out, "  nothing was caught");
    }
    let left_out = report.catches.len().saturating_sub(SHOWN);
    if left_out > 0 {
        writeln!(out, "  {left_out} earlier ones are left out")?;
    }
    report.catches.iter().skip(left_out).try_for_each(|catch| one(out, catch))
}

fn one(out: &mut String, catch: &CatchReport) -> std::fmt::Result {
    writeln!(out, "  at {:.3} s  {}", catch.at_s, catch.text)?;
    if let Some(pc) = catch.pc {
        writeln!(out, "    pc {}", units::address(pc.into()))?;
    }
    let mut calls: Vec<(&CallReport, usize)> = Vec::new();
    for call in &catch.chain {
        match calls.last_mut() {
            Some((last, times)) if last.function == call.function && last.line == call.line => *times += 1,
            _ => calls.push((call, 1)),
        }
    }
    for (call, times) in calls {
        let mut words = vec![call.function.clone()];
        words.extend(call.file.as_ref().map(|file| match call.line {
            Some(line) => format!("{file}:{line}"),
            None => file.clone(),
        }));
        if call.inlined {
            words.push("inlined".into());
        }
        if call.interrupted && !call.inlined {
            words.push("interrupted".into());
        }
        if times > 1 {
            words.push(format!("{times} times"));
        }
        writeln!(out, "    {}", words.join("  "))?;
    }
    if let Some(victim) = &catch.victim {
        let is = catch.victim_is.as_ref().map_or_else(String::new, |is| format!(" ({is})"));
        writeln!(out, "    next below is {victim}{is}")?;
    }
    if !catch.complete && !catch.chain.is_empty() {
        writeln!(out, "    further out the calls cannot be followed")?;
    }
    Ok(())
}
