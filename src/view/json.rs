//! The report as one JSON document, or as one line of several.

use std::io::{self, Write};

use crate::report::Report;

/// Writes the report, indented, with a line break at the end.
///
/// # Errors
///
/// The output could not be written.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}

/// Writes the report as one line.
///
/// # Errors
///
/// The output could not be written.
pub fn line(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, report)?;
    writeln!(out)
}
