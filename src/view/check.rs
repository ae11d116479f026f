//! What became of the budgets, as a table to read: failures first.
//!
//! ```text
//! FAILED  1 of 30 budgets is exceeded
//! demo.elf on highwater simulated probe, watched for 30.0 s; budgets: the usual ones
//!
//!          what                   found  limit                by
//! FAILED   stack growth  overflow     1  at most 0            1 over  uart_rx_buf below may be overwritten
//! passed   stack main  margin    3240 B  at least 10 % (410 B)
//! ```

use std::fmt::Write;

use super::text::Style;
use crate::check::{Check, Outcome, Verdict};
use crate::units;

/// The outcome as text, ended by a line break.
#[must_use]
pub fn text(outcome: &Outcome, style: Style) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, outcome, style);
    out
}

/// The checks with what a reader looks for first: failures, then what is not known.
pub(super) fn in_order(outcome: &Outcome) -> Vec<&Check> {
    let mut checks: Vec<&Check> = outcome.checks.iter().collect();
    checks.sort_by_key(|check| (!check.is_failure(), check.verdict == Verdict::Passed));
    checks
}

/// One word for what became of a check.
pub(super) fn verdict(check: &Check) -> &'static str {
    match check.verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "FAILED",
        Verdict::Unknown if check.required => "MISSING",
        Verdict::Unknown => "unknown",
    }
}

/// Whose budget it is; with its address where another one has the same name.
pub(super) fn subject(outcome: &Outcome, check: &Check) -> String {
    let named = format!("{} {}", check.kind, units::printable(&check.name, 40));
    let is_shared = |other: &Check| {
        other.kind == check.kind && other.name == check.name && other.start.is_some() && other.start != check.start
    };
    match check.start.filter(|_| outcome.checks.iter().any(is_shared)) {
        Some(start) => format!("{named} at {}", units::address(start.into())),
        None => named,
    }
}

fn write_all(out: &mut String, outcome: &Outcome, style: Style) -> std::fmt::Result {
    let word = if outcome.passed { "passed" } else { "FAILED" };
    writeln!(out, "{}  {}", colored(word, !outcome.passed, style), outcome.sentence())?;
    writeln!(out, "{}", outcome.circumstances())?;
    if outcome.checks.is_empty() {
        return Ok(());
    }
    let rows: Vec<(&Check, [String; 4])> = in_order(outcome)
        .into_iter()
        .map(|check| (check, [subject(outcome, check), check.rule.into(), check.found_words(), check.limit_words()]))
        .collect();
    let widest = |column: usize| rows.iter().map(|(_, row)| row[column].chars().count()).max().unwrap_or(0);
    let [who, what, found, limit] = [widest(0), widest(1), widest(2).max(5), widest(3)];
    writeln!(out, "\n{:<9}{:<who$}  {:<what$}  {:>found$}  {:<limit$}  by", "", "whose", "what", "found", "limit")?;
    for (check, row) in &rows {
        let word = format!("{:<9}", verdict(check));
        let rest = [check.excess_words(), units::printable(&check.note, 400)];
        let rest: Vec<String> = rest.into_iter().filter(|words| !words.is_empty()).collect();
        let line =
            format!("{:<who$}  {:<what$}  {:>found$}  {:<limit$}  {}", row[0], row[1], row[2], row[3], rest.join("; "));
        writeln!(out, "{}{}", colored(&word, check.is_failure(), style), line.trim_end())?;
    }
    Ok(())
}

fn colored(word: &str, bad: bool, style: Style) -> String {
    if style.color && bad { format!("\x1b[31m{word}\x1b[0m") } else { word.to_owned() }
}
