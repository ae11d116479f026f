//! The figures of a report as tables: stacks, heaps with who holds them, catches, events, regions.

mod heaps;

use std::collections::HashMap;

use super::shell::text;
use super::table::Side::{Number, Picture, Text};
use super::table::{measured, size, table, unknown, words};
use crate::report::{CatchReport, EventReport, Region, Report, StackReport};
use crate::units;
use crate::view::svg::{self, Canvas};
use crate::view::{is_nearly_full, memories};

/// Every table that has something in it.
pub(super) fn all(report: &Report) -> String {
    let parts = [
        section("stacks", "Stacks", &stacks(report)),
        section("heaps", "Heaps", &heaps::heaps(report)),
        section("catches", "Caught stores", &catches(report)),
        section("events", "Events", &events(report)),
        section("regions", "Regions", &regions(report)),
    ];
    parts.concat()
}

fn section(id: &str, title: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!("<section aria-labelledby=\"{id}-head\">\n<h2 id=\"{id}-head\">{title}</h2>\n{content}</section>\n")
}

fn stacks(report: &Report) -> String {
    let columns = [
        ("stack", Text),
        ("size", Number),
        ("first use → limit", Picture),
        ("now", Number),
        ("peak", Number),
        ("worst case", Number),
        ("never used", Number),
        ("suggested", Number),
        ("an overflow hits", Text),
    ];
    let rows: Vec<_> = report.stacks.iter().map(|one| stack(report, one)).collect();
    table("stacks", "Every stack, in bytes, with what each figure is worth", &columns, &rows)
}

fn stack(report: &Report, stack: &StackReport) -> Vec<String> {
    let danger = match stack {
        _ if stack.overflowed => " <strong class=\"bad\">OVERFLOW</strong>",
        _ if is_nearly_full(report, stack) => " <strong class=\"bad\">! nearly full</strong>",
        _ => "",
    };
    let mut about = vec![stack.kind.to_owned()];
    about.extend(stack.priority.map(|priority| format!("priority {priority}")));
    about.extend(stack.state.as_deref().map(text));
    about.extend(stack.cpu_percent.map(|share| format!("{share:.1} % of the time")));
    let because = text(&stack.suggested_because);
    let suggested = measured(stack.suggested, None, stack.suggested_trust);
    let note = stack.worst_case_note.as_deref().map(|note| format!(" title=\"{}\"", text(note))).unwrap_or_default();
    // What was never used is at most that, while the peak is at least what it is.
    let left = match (stack.margin, stack.trust) {
        (Some(margin), "at least") => format!("≤&nbsp;{} <small>at most</small>", size(margin.into())),
        (Some(margin), trust) => measured(Some(margin), None, Some(trust)),
        (None, _) => unknown(),
    };
    vec![
        format!("{}{danger} <small>{}</small>", text(&stack.name), about.join(", ")),
        size(stack.size),
        bar(report, stack),
        measured(stack.current, None, stack.current_trust),
        measured(stack.peak, Some(stack.size), Some(stack.trust)),
        format!("<span{note}>{}</span>", measured(stack.worst_case, None, stack.worst_case_trust)),
        left,
        format!("<span title=\"{because}\">{suggested}</span>"),
        match (&stack.victim, &stack.victim_is) {
            (Some(victim), Some(is)) => format!("{} <small>{}</small>", text(victim), text(is)),
            (victim, _) => words(victim.as_deref()),
        },
    ]
}

fn bar(report: &Report, stack: &StackReport) -> String {
    const WIDTH: f64 = 150.0;
    if stack.peak.is_none() {
        return "<small>not painted</small>".into();
    }
    let mut out = format!("<svg width=\"{WIDTH}\" height=\"14\" aria-hidden=\"true\">");
    out += &format!("<rect class=\"part\" x=\".5\" y=\".5\" width=\"{}\" height=\"13\"/>", WIDTH - 1.0);
    // Writing to a string cannot fail.
    let _ = svg::bar(&mut out, report, stack, Canvas { x: 1.0, y: 1.0, width: WIDTH - 2.0, height: 12.0 });
    // A row is a line.
    out.replace('\n', "") + "</svg>"
}

fn catches(report: &Report) -> String {
    let row = |catch: &CatchReport| {
        let chain: Vec<String> = catch.chain.iter().map(|call| text(&call.function)).collect();
        vec![
            format!("{:.3}&nbsp;s", catch.at_s),
            text(&catch.text),
            catch.pc.map_or_else(unknown, |pc| units::address(pc.into())),
            if chain.is_empty() { unknown() } else { chain.join(" ← ") },
        ]
    };
    let rows: Vec<_> = report.catches.iter().map(row).collect();
    table(
        "catches",
        "What the tripwire caught, the oldest first",
        &[("at", Number), ("what", Text), ("pc", Number), ("calls, the innermost first", Text)],
        &rows,
    )
}

fn events(report: &Report) -> String {
    let row = |event: &EventReport| {
        let calls = event.calls.as_deref().unwrap_or_default().iter().map(|call| text(call)).collect::<Vec<_>>();
        vec![
            format!("{:.1}&nbsp;s", event.at_s),
            event.kind.replace('_', " "),
            text(&event.subject),
            if calls.is_empty() {
                text(&event.text)
            } else {
                format!("{} <small>{}</small>", text(&event.text), calls.join(" ← "))
            },
        ]
    };
    let rows: Vec<_> = report.events.iter().rev().map(row).collect();
    let table = table(
        "events",
        "What happened, the newest first",
        &[("at", Number), ("kind", Text), ("whom", Text), ("what", Text)],
        &rows,
    );
    folded("events-list", &format!("{} events", rows.len()), &table)
}

/// What is long, and not what one looks for first.
fn folded(id: &str, title: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!("<details id=\"{id}\">\n<summary>{title}</summary>\n{content}</details>\n")
}

fn regions(report: &Report) -> String {
    // Without a target they are what there is to see.
    let is_static = report.state == "static";
    let mut inside: HashMap<&str, Vec<&Region>> = HashMap::new();
    for region in report.regions.iter().rev() {
        if let Some(parent) = &region.parent {
            inside.entry(parent).or_default().push(region);
        }
    }
    let mut rows = Vec::new();
    for memory in memories(report) {
        region(&mut rows, &inside, memory, 0);
    }
    let columns =
        [("region", Text), ("from", Number), ("to", Number), ("size", Number), ("kind", Text), ("placed", Text)];
    let table = table(
        "regions",
        "Every byte has one owner: the parts of a region add up to it; last address on top",
        &columns,
        &rows,
    );
    if is_static { table } else { folded("regions-list", &format!("{} regions", rows.len()), &table) }
}

fn region(rows: &mut Vec<Vec<String>>, inside: &HashMap<&str, Vec<&Region>>, one: &Region, depth: usize) {
    let known = if one.size_known { "" } else { " <small>at least: what the ELF puts there</small>" };
    rows.push(vec![
        format!("<span class=\"d{}\">{}</span>", depth.min(4), text(&one.name)),
        units::address(one.start),
        units::address(one.start.saturating_add(one.size)),
        format!("{}{known}", size(one.size)),
        one.kind.replace('_', " "),
        if one.is_static { "by the linker".into() } else { "at run time".into() },
    ]);
    // Regions lie four deep: memory, section or heap, block, what is in it.
    for part in inside.get(one.id.as_str()).into_iter().flatten().filter(|_| depth < 8) {
        region(rows, inside, part, depth + 1);
    }
}
