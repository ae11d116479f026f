//! Everything that is known at one moment: the head, the verdict, the map and the tables.

use std::fmt::Write;
use std::time::Duration;

use super::shell::text;
use super::{map, tables};
use crate::report::Report;
use crate::units;

/// What the page is called, as plain text.
pub(super) fn title(report: &Report) -> String {
    format!("{}: memory", report.target.elf)
}

/// The moment as markup, each thing on a line of its own.
pub(super) fn moment(report: &Report) -> String {
    let mut out = head(report);
    out += "<main>\n";
    out += &content(report);
    out + "</main>\n"
}

/// What was looked at: the same at every moment.
pub(super) fn head(report: &Report) -> String {
    let target = &report.target;
    let mut out = format!("<header>\n<h1>{}</h1>\n<p class=\"about\">", text(&target.elf));
    let known = [&target.chip, &target.core, &target.kernel];
    let mut words: Vec<String> = known.into_iter().flatten().map(|word| text(word)).collect();
    if report.state != "static" {
        words.push(text(&target.source));
    }
    if let Some(build) = &target.build_id {
        words.push(format!("build <code>{}</code>", text(build)));
    }
    out += &words.join("<span class=\"dot\"> · </span>");
    out + "</p>\n</header>\n"
}

/// What changes from moment to moment.
pub(super) fn content(report: &Report) -> String {
    let mut out = when(report);
    out += &verdict(report);
    out += &map::map(report);
    out += &tables::all(report);
    if !report.hints.is_empty() {
        out += "<section aria-labelledby=\"hints-title\">\n<h2 id=\"hints-title\">What is not known</h2>\n<ul>\n";
        for hint in &report.hints {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "<li>{}</li>", text(hint));
        }
        out += "</ul>\n</section>\n";
    }
    out + &link(report)
}

fn when(report: &Report) -> String {
    let words = match report.state {
        "static" => "the static picture, without a target".to_owned(),
        "saved" => "saved memory".to_owned(),
        state => format!("{state}, {:.1} s after the attach", report.at_s),
    };
    let resets = match report.epoch {
        0 => String::new(),
        1 => ", 1 reset since".into(),
        resets => format!(", {resets} resets since"),
    };
    format!("<p class=\"when\">{words}{resets}</p>\n")
}

fn verdict(report: &Report) -> String {
    if report.alerts.is_empty() {
        return match report.state {
            "static" => String::new(),
            _ => "<p class=\"alert ok\"><strong>ok</strong> nothing is wrong</p>\n".into(),
        };
    }
    let mut out = String::from("<ul class=\"alerts\" aria-label=\"What is wrong now\">\n");
    for alert in &report.alerts {
        let since = units::duration(Duration::from_secs_f64(alert.since_s.clamp(0.0, 1e9)));
        let _ = writeln!(
            out,
            "<li class=\"alert {severity}\"><strong>! {word}</strong> {what} <small>began at {since}</small></li>",
            severity = alert.severity,
            word = alert.severity.to_uppercase(),
            what = text(&alert.text),
        );
    }
    out + "</ul>\n"
}

/// What the link did, and to the target.
fn link(report: &Report) -> String {
    if report.state == "static" {
        return String::new();
    }
    let link = &report.link;
    let mut words = vec![
        format!("{} refreshes a second", link.refresh_hz),
        format!("{} in the last one", units::bytes(link.bytes_per_refresh.into())),
    ];
    words.extend(link.usb_commands_per_refresh.map(|commands| format!("{commands} USB commands")));
    words.extend(link.halts.map(|halts| format!("halts {halts}")));
    words.extend(link.writes.map(|writes| format!("writes {writes}")));
    if link.gaps > 0 {
        words.push(format!("{} ranges could not be read", link.gaps));
    }
    format!("<p class=\"link\">Link: {}</p>\n", words.join(", "))
}
