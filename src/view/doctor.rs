//! What `highwater doctor` found, as text and as JSON.
//!
//! ```text
//! ok    probe         0483:374b ST-Link V2-1
//! less  chip          nobody names it: memories end where the linker's end
//!                     --chip NAME, or `chip` in highwater.toml, draws all of its flash and RAM.
//! ```

use std::fmt::Write;

use serde_json::{Value, json};

use crate::doctor::{Examination, Finding};

/// What can be told, as text below the steps; empty when one did not get there.
#[must_use]
pub fn figures(examination: &Examination) -> String {
    if examination.figures.is_empty() {
        return String::new();
    }
    let lines: String = examination.figures.iter().map(line).collect();
    format!("\nwhat can be told\n{lines}")
}

/// One finding as text, ended by a line break.
#[must_use]
pub fn line(finding: &Finding) -> String {
    let mut out = format!("{:<5} {:<13} {}\n", finding.verdict.word(), finding.what, finding.found);
    if let Some(way) = &finding.way {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{:<19} {way}", "");
    }
    out
}

/// One JSON document, schema highwater/doctor@1, ended by a line break.
#[must_use]
pub fn json(examination: &Examination) -> String {
    let list = |findings: &[Finding]| -> Vec<Value> {
        let one = |finding: &Finding| {
            json!({
                "what": finding.what,
                "verdict": finding.verdict.word().to_lowercase(),
                "found": finding.found,
                "way": finding.way,
            })
        };
        findings.iter().map(one).collect()
    };
    let document = json!({
        "schema": "highwater/doctor@1",
        "failed": examination.has_failed(),
        "steps": list(&examination.steps),
        "figures": list(&examination.figures),
    });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_and_its_way_out_another() {
        let examination = Examination {
            steps: vec![Finding::good("probe", "0483:374b"), Finding::bad("target", "no answer")],
            figures: vec![Finding::less("CPU share", "nobody counts it", "Count it.")],
        };
        let steps: String = examination.steps.iter().map(line).collect();
        assert_eq!(
            steps + &figures(&examination),
            "ok    probe         0483:374b\nBAD   target        no answer\n\nwhat can be told\nless  CPU share     nobody \
             counts it\n                    Count it.\n"
        );
        let json: Value = serde_json::from_str(&json(&examination)).expect("it is JSON");
        assert_eq!((&json["failed"], &json["steps"][1]["verdict"]), (&Value::Bool(true), &Value::from("bad")));
    }
}
