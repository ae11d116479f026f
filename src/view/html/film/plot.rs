//! The time of a recording: a picture of all refreshes, the slider below it, and what happened, to jump to.

use std::fmt::Write;

use super::MOST_MOMENTS;
use super::survey::{COLUMNS, Choice, Kind, Series, Span, Survey};
use crate::view::html::shell::text;

/// Lines in one picture: more cannot be told apart.
const MOST_LINES: usize = 6;
/// Its height, in the same measure as its columns.
const HEIGHT: f64 = 200.0;
/// Alerts that are listed.
const LISTED: usize = 20;

/// All of it as markup.
pub(super) fn timeline(survey: &Survey, choice: &Choice, at_s: &[f64]) -> String {
    let (first, last) = (at_s.first().copied().unwrap_or(0.0), at_s.last().copied().unwrap_or(0.0));
    let drawn = survey.drawn(MOST_LINES);
    let mut out = String::from("<section aria-labelledby=\"time-title\">\n<h2 id=\"time-title\">Time</h2>\n");
    out += &picture(survey, &drawn);
    // The slider is as long as the picture, so that its handle is where the picture's line is.
    let _ = writeln!(
        out,
        "<div class=\"scrub\">\n<input type=\"range\" id=\"scrub\" min=\"0\" max=\"{end}\" step=\"any\" value=\"{last}\" \
         aria-label=\"Time since the attach\" disabled>\n<p class=\"controls\">\
         <button type=\"button\" id=\"back\" aria-label=\"One moment back\" disabled>◀</button>\
         <button type=\"button\" id=\"play\" aria-pressed=\"false\" disabled>play</button>\
         <button type=\"button\" id=\"on\" aria-label=\"One moment on\" disabled>▶</button> \
         <output id=\"clock\" class=\"clock\" for=\"scrub\">{last:.3} s</output> <span id=\"worst\"></span></p>\n</div>",
        end = survey.end_s.max(last),
    );
    out += "<noscript><p>Scripts are off in this browser: what is shown below is the last moment.</p></noscript>\n";
    out += &legend(survey, &drawn);
    out += &happened(&survey.alerts, &survey.counts());
    let _ = writeln!(out, "<p class=\"quiet\">{}</p>", kept(choice, first, last));
    out + "<p class=\"quiet keys\">Keys: <kbd>←</kbd> <kbd>→</kbd> one moment, <kbd>PgUp</kbd> <kbd>PgDn</kbd> a twentieth, \
           <kbd>Home</kbd> <kbd>End</kbd>, <kbd>space</kbd> plays. An address that ends in <code>#t=12</code> shows 12 s.</p>\n\
           </section>\n"
}

/// Which moments are there.
fn kept(choice: &Choice, first: f64, last: f64) -> String {
    let (count, of) = (choice.refreshes.len(), choice.of);
    if count == of {
        return format!("All {of} refreshes of the recording are on this page, from {first:.1} s to {last:.1} s.");
    }
    let out = match choice.notable_left_out {
        0 => {
            "every one in which an alert began or ended, something happened, or a figure was at its least or its most, \
              and others evenly in between"
                .to_owned()
        }
        left => format!("but {left} in which something happened or a figure was at its least or its most are not"),
    };
    format!(
        "{count} of the {of} refreshes of the recording are on this page (at most {MOST_MOMENTS} are): {out}. \
         The picture of the time is of all of them."
    )
}

fn picture(survey: &Survey, drawn: &[&Series]) -> String {
    let x = |at_s: f64| (at_s / survey.end_s).clamp(0.0, 1.0) * COLUMNS as f64;
    let y = |percent: f64| HEIGHT - percent.clamp(0.0, 100.0) / 100.0 * HEIGHT;
    let mut out = format!(
        "<div class=\"plot\">\n<svg viewBox=\"0 0 {COLUMNS} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"Heaps in use and high-water marks of stacks over {:.1} s, in percent\">\n",
        survey.end_s
    );
    // Writing to a string cannot fail.
    for severity in ["info", "warning", "danger"] {
        for (from, to) in together(survey.alerts.iter().filter(|span| span.severity == severity)) {
            let (from, to) = (x(from), x(to));
            let _ = writeln!(
                out,
                "<rect class=\"span {severity}\" x=\"{from:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\">\
                 <title>{severity}</title></rect>",
                (to - from).max(2.0),
            );
        }
    }
    for percent in [0.0, 50.0, 100.0] {
        let _ = writeln!(out, "<line class=\"grid\" x2=\"{COLUMNS}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>", y(percent));
    }
    let _ = writeln!(
        out,
        "<line class=\"limit\" x2=\"{COLUMNS}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>",
        y(survey.limit_percent.into())
    );
    for at in survey.resets_s.iter().map(|at| x(*at)) {
        let _ = writeln!(
            out,
            "<line class=\"reset\" x1=\"{at:.1}\" x2=\"{at:.1}\" y2=\"{HEIGHT}\"><title>reset</title></line>"
        );
    }
    for (index, series) in drawn.iter().enumerate() {
        let _ = writeln!(out, "<path class=\"line s{index}\" d=\"{}\"/>", path(series, y));
    }
    out +=
        &format!("<line id=\"cursor\" class=\"cursor\" x1=\"{COLUMNS}\" x2=\"{COLUMNS}\" y2=\"{HEIGHT}\"/>\n</svg>\n");
    out += "<p class=\"scale\" aria-hidden=\"true\"><span>100 %</span><span>50 %</span><span>0 %</span></p>\n</div>\n";
    out
}

/// When any of these alerts held, in seconds.
fn together<'a>(spans: impl Iterator<Item = &'a Span>) -> Vec<(f64, f64)> {
    let mut times: Vec<(f64, f64)> = spans.map(|span| (span.from_s, span.to_s)).collect();
    times.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut joined: Vec<(f64, f64)> = Vec::new();
    for (from, to) in times {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// A line through the least and the most of each column. Columns without a refresh are passed over while they are few:
/// a recording may have fewer refreshes than the picture has columns; longer ones are a gap.
fn path(series: &Series, y: impl Fn(f64) -> f64) -> String {
    let known: Vec<(usize, (f64, f64))> =
        series.columns.iter().enumerate().filter_map(|(at, column)| Some((at, (*column)?))).collect();
    let usual = COLUMNS / known.len().max(1) + 1;
    let mut out = String::new();
    let mut before: Option<(usize, f64)> = None;
    for (at, (least, most)) in known {
        let sign = if before.is_some_and(|(last, _)| at - last <= 8 * usual) { 'L' } else { 'M' };
        // From the side that is nearer to where the line was.
        let was = before.map_or(least, |(_, was)| was);
        let (first, second) = if (was - least).abs() <= (was - most).abs() { (least, most) } else { (most, least) };
        let _ = write!(out, "{sign}{at} {:.1}", y(first));
        if least != most {
            let _ = write!(out, "L{at} {:.1}", y(second));
        }
        before = Some((at, second));
    }
    out
}

fn legend(survey: &Survey, drawn: &[&Series]) -> String {
    let mut out = String::from("<ul class=\"legend\" aria-label=\"What the lines are\">\n");
    for (index, series) in drawn.iter().enumerate() {
        let what = match series.kind {
            Kind::Heap => "in use",
            Kind::Stack => "high water",
        };
        let _ = writeln!(
            out,
            "<li><svg width=\"36\" height=\"12\" aria-hidden=\"true\"><line class=\"line s{index}\" y1=\"6\" x2=\"36\" \
             y2=\"6\"/></svg>{} {what}: {:.0} % at the end, {:.0} % at most</li>",
            text(&series.name),
            series.last,
            series.most()
        );
    }
    let others = survey.series.len() - drawn.len();
    if others > 0 {
        let _ = writeln!(out, "<li>{others} others moved less, and are in the tables</li>");
    }
    out + "</ul>\n"
}

/// The alerts with where to see them.
fn happened(alerts: &[Span], counts: &std::collections::BTreeMap<&'static str, usize>) -> String {
    if alerts.is_empty() {
        return "<p>No alert in all this time.</p>\n".into();
    }
    let counts: Vec<String> = counts.iter().map(|(severity, count)| format!("{count} {severity}")).collect();
    let mut out = format!("<details id=\"happened\" open>\n<summary>Alerts: {}</summary>\n<ol>\n", counts.join(", "));
    for span in alerts.iter().take(LISTED) {
        let _ = writeln!(
            out,
            "<li><a href=\"#t={at:.3}\">{at:.1} s</a> <strong class=\"{severity}\">{word}</strong> {what}</li>",
            at = span.from_s,
            severity = span.severity,
            word = span.severity.to_uppercase(),
            what = text(&span.text)
        );
    }
    if alerts.len() > LISTED {
        let _ = writeln!(out, "<li>and {} more</li>", alerts.len() - LISTED);
    }
    out + "</ol>\n</details>\n"
}
