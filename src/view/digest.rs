//! The report as Markdown tables: for an issue, a pull request or a lesson's notes.

use super::markdown::{cell, table};
use crate::report::{HeapReport, Report, StackReport};
use crate::units;

/// The report as GitHub-flavoured Markdown, ended by a line break.
#[must_use]
pub fn digest(report: &Report) -> String {
    let target = &report.target;
    let mut about: Vec<String> =
        [&target.core, &target.chip, &target.kernel].into_iter().flatten().map(|it| cell(it)).collect();
    about.push(match report.state {
        "static" => "the static picture".into(),
        "saved" => format!("saved memory, {}", cell(&target.source)),
        state => format!("{state} on {}, {:.1} s after the attach", cell(&target.source), report.at_s),
    });
    let mut out = format!("### Memory of {}\n\n{}.\n", cell(&target.elf), about.join(", "));
    if let Some(build) = &target.build_id {
        out += &format!("Build `{}`.\n", cell(build));
    }
    if !report.alerts.is_empty() {
        out += "\n";
        for alert in &report.alerts {
            out += &format!("- **{}**: {}\n", alert.severity, cell(&alert.text));
        }
    }
    let stacks: Vec<_> = report.stacks.iter().map(stack).collect();
    out += &table(
        &["stack", "size", "now", "peak", "worst case", "never used", "suggested", "the peak is"],
        "lrrrrrrl",
        &stacks,
    );
    let heaps: Vec<_> = report.heaps.iter().map(heap).collect();
    out += &table(
        &["heap", "size", "now", "peak", "largest free", "fragmentation", "blocks", "failures", "trust"],
        "lrrrrrrrl",
        &heaps,
    );
    let regions: Vec<_> = super::memories(report)
        .into_iter()
        .flat_map(|memory| {
            std::iter::once((memory, "**")).chain(super::children(report, &memory.id).map(|part| (part, "")))
        })
        .map(|(region, strong)| {
            let name = format!("{strong}{}{strong}", cell(&region.name));
            vec![name, units::address(region.start), units::bytes(region.size), region.kind.to_owned()]
        })
        .collect();
    out += &table(&["memory", "from", "size", "kind"], "lrrl", &regions);
    if !report.hints.is_empty() {
        out += "\n";
        for hint in &report.hints {
            out += &format!("- {}\n", cell(hint));
        }
    }
    out
}

fn stack(stack: &StackReport) -> Vec<String> {
    let at_least = if stack.worst_case_trust == Some("at least") { "≥ " } else { "" };
    vec![
        cell(&stack.name),
        units::bytes(stack.size),
        bytes(stack.current),
        share(stack.peak, stack.size),
        stack.worst_case.map_or_else(|| "-".into(), |worst| format!("{at_least}{}", units::bytes(worst.into()))),
        bytes(stack.margin),
        super::suggested(stack),
        if stack.overflowed { format!("{}, **overflowed**", stack.trust) } else { stack.trust.to_owned() },
    ]
}

fn heap(heap: &HeapReport) -> Vec<String> {
    vec![
        cell(&heap.name),
        units::bytes(heap.size),
        share(heap.used, heap.size),
        share(heap.peak, heap.size),
        bytes(heap.largest_free),
        heap.fragmentation.map_or_else(|| "-".into(), |share| format!("{share:.2}")),
        heap.blocks.map_or_else(|| "-".into(), |blocks| blocks.to_string()),
        heap.failures.map_or_else(|| "-".into(), |failures| failures.to_string()),
        heap.trust.to_owned(),
    ]
}

fn bytes(bytes: Option<u32>) -> String {
    bytes.map_or_else(|| "-".into(), |bytes| units::bytes(bytes.into()))
}

fn share(part: Option<u32>, whole: u64) -> String {
    let Some(part) = part else { return "-".into() };
    match units::percent(part.into(), whole) {
        Some(percent) => format!("{} ({percent} %)", units::bytes(part.into())),
        None => units::bytes(part.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::model::snapshot::{Measured, Snapshot, Stack, Trust};
    use crate::model::testing;

    #[test]
    fn a_size_that_is_only_a_floor_says_so() {
        let text = |stack| digest(&Report::new(&Model::new(Snapshot { stacks: vec![stack], ..testing::live(1) })));
        let exact = text(testing::stack("a", 400));
        assert!(!exact.contains("≥"), "{exact}");
        let peak = Some(Measured { bytes: 400, trust: Trust::AtLeast });
        let floor = text(Stack { peak, ..testing::stack("a", 400) });
        assert!(floor.contains("| ≥ 528 B | at least |"), "{floor}");
    }

    #[test]
    fn names_stay_in_their_cells_and_what_is_unknown_is_a_dash() {
        let mut odd = testing::stack("a|b\n# c", 400);
        odd.worst_case = None;
        let text = digest(&Report::new(&Model::new(Snapshot { stacks: vec![odd], ..testing::live(1) })));
        let row = text.lines().find(|line| line.contains("a\\|b")).expect("the stack has a row");
        assert!(row.starts_with("| a\\|b?\\# c | 1000 B |") && row.contains("| - |"), "{text}");
        assert!(!text.contains("| heap |"), "a table without rows is left out: {text}");
    }
}
