//! What became of the budgets as a Markdown table: for the summary of a CI job, or a comment on a change.

use super::check::{in_order, subject, verdict};
use crate::check::{Check, Outcome};
use crate::units;

/// The outcome as GitHub-flavoured Markdown, ended by a line break.
#[must_use]
pub fn markdown(outcome: &Outcome) -> String {
    let word = if outcome.passed { "passed" } else { "failed" };
    let mut out =
        format!("### Memory budgets: {word}\n\n{}. {}.\n", outcome.sentence(), cell(&outcome.circumstances()));
    if outcome.checks.is_empty() {
        return out;
    }
    let row = |check: &Check| {
        let verdict = verdict(check);
        let verdict = if check.is_failure() { format!("**{verdict}**") } else { verdict.to_owned() };
        vec![
            verdict,
            cell(&subject(outcome, check)),
            check.rule.into(),
            check.found_words(),
            check.limit_words(),
            check.excess_words(),
            cell(&check.note),
        ]
    };
    let rows: Vec<_> = in_order(outcome).into_iter().map(row).collect();
    out += &table(&["", "whose", "what", "found", "limit", "by", ""], "lllrlrl", &rows);
    out
}

/// A table with a blank line before it; nothing when it has no rows. Each letter of `sides` is a column's: `l` or `r`.
pub(super) fn table(head: &[&str], sides: &str, rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let side = |side: char| if side == 'r' { "---:" } else { "---" };
    let rule: Vec<&str> = sides.chars().map(side).collect();
    let mut out = format!("\n| {} |\n|{}|\n", head.join(" | "), rule.join("|"));
    for row in rows {
        out += &format!("| {} |\n", row.join(" | "));
    }
    out
}

/// Text that stays in its cell and is no markup.
pub(super) fn cell(text: &str) -> String {
    let mut safe = String::new();
    for c in units::printable(text, 400).chars() {
        if "\\`*_[]<>|&#".contains(c) {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_cell() {
        assert_eq!(cell("a|b\n<i>*x*"), "a\\|b?\\<i\\>\\*x\\*");
    }
}
