//! What became of the budgets as a Markdown table: for the summary of a CI job, or a comment on a change.

use super::check::{in_order, subject, verdict};
use crate::check::Outcome;
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
    out += "\n| | whose | what | found | limit | by | |\n|---|---|---|---:|---|---:|---|\n";
    for check in in_order(outcome) {
        let verdict = verdict(check);
        let verdict = if check.is_failure() { format!("**{verdict}**") } else { verdict.to_owned() };
        let cells = [
            verdict,
            cell(&subject(check)),
            check.rule.into(),
            check.found_words(),
            check.limit_words(),
            check.excess_words(),
            cell(&check.note),
        ];
        out += &format!("| {} |\n", cells.join(" | "));
    }
    out
}

/// Text that stays in its cell and is no markup.
fn cell(text: &str) -> String {
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
