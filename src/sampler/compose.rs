//! From what the decoders tell to what a snapshot says: every byte gets its owner.

use std::time::Duration;

use super::identity;
use super::stacks::Stacks;
use super::worst_case::WorstCases;
use crate::heap::HeapLook;
use crate::image::Image;
use crate::image::callgraph::CallGraph;
use crate::image::layout::{self, Memory as Chip, Placed};
use crate::kernel::{Look, StackLook};
use crate::model::picture::{self, Claim};
use crate::model::snapshot::{Health, Heap, Link, Measured, MemoryMap, PartKind, Snapshot, StackKind, Target, Trust};
use crate::region::Region;
use crate::stack::victim;

/// The picture without a target.
#[must_use]
pub fn static_snapshot(image: &Image, chips: &[Chip]) -> Snapshot {
    let placed = layout::placed(image);
    let mut look = Look::default();
    if let Some(range) = layout::heap(image) {
        look.heaps.push(HeapLook::unknown("heap", range));
    }
    if let Some(range) = layout::main_stack(image, chips) {
        look.stacks.push(StackLook {
            name: "main".into(),
            kind: StackKind::Main,
            entry: layout::reset_handler(image),
            ..StackLook::unknown(format!("{:08x}", range.start()), range)
        });
    }
    let memories = draw(chips, &look, &placed);
    let mut stacks = Stacks::default().refresh_none(&look.stacks);
    for stack in &mut stacks {
        stack.victim = victim::below(stack.range, &memories, image);
    }
    let hints = WorstCases::default().tell(image, &look.stacks, &mut stacks);
    Snapshot {
        at: Duration::ZERO,
        epoch: 0,
        target: Target {
            elf: image.name(),
            build_id: identity::build_id(image),
            source: "file".into(),
            has_float: image.call_graph().is_some_and(CallGraph::has_float),
            ..Target::default()
        },
        health: Health::Static,
        memories,
        stacks,
        heaps: look.heaps.iter().map(heap).collect(),
        link: Link::default(),
        hints: hints.into_iter().chain(layout::conflicts(image)).collect(),
        detail: None,
    }
}

/// The memory map of one look.
pub(super) fn draw(chips: &[Chip], look: &Look, placed: &[Placed]) -> Vec<MemoryMap> {
    // What is left of a heap is in use when its holes are known, and anything when they are not.
    let rest = |index: usize| match look.heaps.get(index).and_then(|heap| heap.free.as_ref()) {
        Some(_) => PartKind::Block,
        None => PartKind::Blocks,
    };
    picture::draw(chips, &claims(look, placed), &rest)
}

/// Everything that claims memory, the most precise first.
fn claims(look: &Look, placed: &[Placed]) -> Vec<Claim> {
    let in_heap = |range: Region| look.heaps.iter().any(|heap| heap.range.covers(range));
    let mut claims = Vec::new();
    for (index, stack) in look.stacks.iter().enumerate() {
        let name = match stack.kind {
            StackKind::User => stack.name.clone(),
            _ => format!("{} stack", stack.name),
        };
        let placed = Placed { name, kind: PartKind::Stack, range: stack.range };
        claims.push(Claim { placed, is_static: !in_heap(stack.range), index: Some(index) });
    }
    // A region that the linker has a wider section of the same kind for is told by that.
    let told = |named: &Placed| {
        placed.iter().any(|section| {
            section.kind == named.kind && section.range.covers(named.range) && section.range != named.range
        })
    };
    for named in look.named.iter().filter(|named| !told(named)) {
        claims.push(Claim { placed: named.clone(), is_static: !in_heap(named.range), index: None });
    }
    for hole in look.heaps.iter().filter_map(|heap| heap.free.as_ref()).flatten() {
        let placed = Placed { name: "free".into(), kind: PartKind::Free, range: *hole };
        claims.push(Claim { placed, is_static: false, index: None });
    }
    for (index, heap) in look.heaps.iter().enumerate() {
        let placed = Placed { name: heap.name.clone(), kind: PartKind::Heap, range: heap.range };
        claims.push(Claim { placed, is_static: true, index: Some(index) });
    }
    claims.extend(placed.iter().map(|placed| Claim { placed: placed.clone(), is_static: true, index: None }));
    claims
}

/// What a snapshot says of a heap.
pub(super) fn heap(look: &HeapLook) -> Heap {
    Heap {
        name: look.name.clone(),
        range: look.range,
        used: look.used,
        peak: look.peak,
        largest_free: look
            .free
            .as_ref()
            .map(|free| free.iter().map(|hole| hole.size()).max().unwrap_or(0))
            .map(|bytes| Measured { bytes, trust: Trust::Exact }),
        requested: look.requested,
        requested_peak: look.requested_peak,
        blocks: look.blocks,
        overhead: None,
        failures: look.failures,
        allocations: look.allocations,
        high_water: look.top,
    }
}
