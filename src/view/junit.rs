//! What became of the budgets as JUnit XML, which CI systems show as tests. One suite, one case for each budget: a
//! failure when it is exceeded or required and not known, skipped when it is not known.
//!
//! The form is the common one of Ant's JUnit task, as Jenkins, GitLab and GitHub's actions read it.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::BytesText;

use super::check::subject;
use crate::check::{Check, Outcome, Verdict};
use crate::units;

/// Writes the outcome as XML, ended by a line break.
///
/// # Errors
///
/// The output could not be written.
pub fn write(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    let failures = outcome.checks.iter().filter(|check| check.is_failure()).count();
    let skipped = outcome.checks.iter().filter(|check| is_skipped(check)).count();
    let (tests, failures, skipped) = (outcome.checks.len().to_string(), failures.to_string(), skipped.to_string());
    let time = format!("{:.3}", outcome.watched_s);
    let name = plain(&format!("highwater {}", outcome.elf));
    let mut writer = Writer::new_with_indent(&mut *out, b' ', 2);
    let counts = [("tests", tests.as_str()), ("failures", &failures), ("errors", "0"), ("skipped", &skipped)];
    let suites = writer.create_element("testsuites").with_attributes(counts).with_attribute(("time", time.as_str()));
    suites.write_inner_content(|writer| {
        let suite = writer.create_element("testsuite").with_attribute(("name", name.as_str()));
        let suite = suite.with_attributes(counts).with_attribute(("time", time.as_str()));
        suite.write_inner_content(|writer| outcome.checks.iter().try_for_each(|check| case(writer, outcome, check)))?;
        Ok(())
    })?;
    writeln!(out)
}

fn is_skipped(check: &Check) -> bool {
    check.verdict == Verdict::Unknown && !check.required
}

fn case<W: Write>(writer: &mut Writer<W>, outcome: &Outcome, check: &Check) -> io::Result<()> {
    let class = plain(&subject(outcome, check));
    let name = format!("{} {}", check.rule, check.limit_words());
    let case = writer.create_element("testcase");
    let case = case.with_attribute(("classname", class.as_str())).with_attribute(("name", name.as_str()));
    let found = format!("{}: {} {}, {}", subject(outcome, check), check.rule, check.found_words(), check.limit_words());
    let words = [found, check.excess_words(), check.note.clone()];
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|words| !words.is_empty()).collect();
    let message = plain(&words.join("; "));
    if is_skipped(check) {
        case.write_inner_content(|writer| {
            writer.create_element("skipped").with_attribute(("message", message.as_str())).write_empty()?;
            Ok(())
        })?;
    } else if check.is_failure() {
        case.write_inner_content(|writer| {
            let failure = writer.create_element("failure").with_attribute(("type", check.rule));
            failure.with_attribute(("message", message.as_str())).write_text_content(BytesText::new(&message))?;
            Ok(())
        })?;
    } else {
        case.write_empty()?;
    }
    Ok(())
}

/// XML has no control characters, not even escaped, and neither U+FFFE nor U+FFFF.
fn plain(text: &str) -> String {
    units::printable(text, 400).replace(['\u{fffe}', '\u{ffff}'], "?")
}
