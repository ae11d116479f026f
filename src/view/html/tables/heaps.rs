//! Heaps: their figures, who holds them, and their blocks.

use super::folded;
use crate::report::{BlockReport, HeapReport, OwnerReport, Report, SizeReport};
use crate::units;
use crate::view::html::shell::text;
use crate::view::html::table::Side::{Number, Text};
use crate::view::html::table::{count, measured, size, table, unknown, words};
use crate::view::text::fit_sentence;

/// All heaps, then each with what is in it.
pub(super) fn heaps(report: &Report) -> String {
    let columns = [
        ("heap", Text),
        ("size", Number),
        ("now", Number),
        ("peak", Number),
        ("free", Number),
        ("largest free", Number),
        ("fragmentation", Number),
        ("blocks", Number),
        ("failures", Number),
    ];
    let rows: Vec<_> = report.heaps.iter().map(heap).collect();
    let mut out = table("heaps", "Every heap, in bytes, with what each figure is worth", &columns, &rows);
    for (index, heap) in report.heaps.iter().enumerate() {
        out += &inside(index, heap);
    }
    out
}

fn heap(heap: &HeapReport) -> Vec<String> {
    let age = heap.age_s.filter(|age| *age > 0.5).map(|age| format!(", {age:.1} s old")).unwrap_or_default();
    let walked = heap.allocator.or(heap.not_walked.as_deref()).unwrap_or("no allocator was walked");
    vec![
        format!("{} <small>{}{age}</small>", text(&heap.name), text(walked)),
        size(heap.size),
        measured(heap.used, Some(heap.size), Some(heap.trust)),
        measured(heap.peak, Some(heap.size), heap.peak_trust),
        measured(heap.free, None, heap.free.map(|_| heap.trust)),
        measured(heap.largest_free, None, heap.largest_free_trust),
        heap.fragmentation.map_or_else(unknown, |share| format!("{share:.2} <small>{}</small>", heap.trust)),
        count(heap.blocks),
        count(heap.failures),
    ]
}

fn inside(index: usize, heap: &HeapReport) -> String {
    let name = text(&heap.name);
    let mut out = String::new();
    if let Some(damage) = &heap.damage {
        out += &format!(
            "<p class=\"alert danger\"><strong>! DAMAGED</strong> {name}: {} at {}</p>\n",
            text(&damage.what),
            units::address(damage.address)
        );
    }
    if let Some(fit) = &heap.would_fit {
        out += &format!("<p>{}</p>\n", text(&fit_sentence(&heap.name, fit)));
    }
    if let Some(owners) = &heap.owners {
        let rows: Vec<_> = owners.iter().map(|one| owner(heap, one)).collect();
        let columns =
            [("call site", Text), ("place", Text), ("blocks", Number), ("bytes", Number), ("each minute", Number)];
        out += &table(
            &format!("owners-{index}"),
            &format!("Who holds {name}: {}", heap.owners_trust.unwrap_or("not known")),
            &columns,
            &rows,
        );
    }
    if let Some(sizes) = heap.sizes.as_ref().filter(|sizes| !sizes.is_empty()) {
        let row = |one: &SizeReport| {
            vec![
                format!("up to {}", size(one.up_to.into())),
                one.used.map_or_else(|| "-".into(), |used| used.to_string()),
                one.free.to_string(),
            ]
        };
        let rows: Vec<_> = sizes.iter().map(row).collect();
        let table = table(
            &format!("sizes-{index}"),
            &format!("Blocks of {name} by size: {}", heap.trust),
            &[("payload", Number), ("in use", Number), ("free", Number)],
            &rows,
        );
        out += &folded(&format!("sizes-list-{index}"), &format!("{name}: blocks by size"), &table);
    }
    if let Some(blocks) = heap.block_list.as_ref().filter(|blocks| !blocks.is_empty()) {
        let rows: Vec<_> = blocks.iter().map(block).collect();
        let columns = [("from", Number), ("size", Number), ("payload from", Number), ("state", Text)];
        let table = table(
            &format!("blocks-{index}"),
            &format!("Blocks of {name} in address order: {}", heap.trust),
            &columns,
            &rows,
        );
        out += &folded(&format!("blocks-list-{index}"), &format!("{name}: {} blocks and holes", blocks.len()), &table);
    }
    out
}

fn owner(heap: &HeapReport, owner: &OwnerReport) -> Vec<String> {
    let place = owner.file.as_ref().map(|file| match owner.line {
        Some(line) => format!("{file}:{line}"),
        None => file.clone(),
    });
    vec![
        text(&owner.function),
        words(place.as_deref()),
        owner.blocks.to_string(),
        measured(Some(owner.bytes), Some(heap.size), None),
        owner.bytes_per_minute.map_or_else(unknown, |rate| format!("{rate:+.0}&nbsp;B")),
    ]
}

fn block(block: &BlockReport) -> Vec<String> {
    vec![units::address(block.start), size(block.size), units::address(block.payload), block.state.to_owned()]
}
