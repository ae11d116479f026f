//! The map of the memories, one picture each, with what the textures mean.

use std::fmt::Write;

use crate::report::Report;
use crate::view::{memories, svg};

/// The pictures and their legend as markup.
pub(super) fn map(report: &Report) -> String {
    let mut out =
        String::from("<section aria-labelledby=\"map-title\">\n<h2 id=\"map-title\">Map</h2>\n<div class=\"map\">\n");
    for memory in memories(report) {
        out += &svg::memory(report, memory);
    }
    out += "</div>\n<ul class=\"legend\" aria-label=\"What the textures mean\">\n";
    for (class, label) in
        [("now", "in use now"), ("touched", "touched before"), ("part", "never touched"), ("fixed", "fixed")]
    {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<li><svg width=\"24\" height=\"14\" aria-hidden=\"true\"><rect class=\"{class}\" x=\"1\" y=\"1\" \
             width=\"22\" height=\"12\"/></svg>{label}</li>"
        );
    }
    for (class, label) in
        [("mark", "high water".to_owned()), ("limit", format!("{} % limit", report.limits.stack_percent))]
    {
        let _ = writeln!(
            out,
            "<li><svg width=\"8\" height=\"14\" aria-hidden=\"true\"><line class=\"{class}\" x1=\"4\" y1=\"0\" x2=\"4\" \
             y2=\"14\"/></svg>{label}</li>"
        );
    }
    out + "</ul>\n</section>\n"
}
