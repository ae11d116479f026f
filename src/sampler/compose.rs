//! From what the decoders tell to what a snapshot says: every byte gets its owner.

use std::collections::HashMap;
use std::time::Duration;

use super::identity;
use super::stacks::Stacks;
use super::worst_case::WorstCases;
use crate::heap::sites::Sites;
use crate::heap::{HeapLook, linked};
use crate::image::Image;
use crate::image::callgraph::CallGraph;
use crate::image::layout::{self, Memory as Chip, Placed};
use crate::kernel::{Look, baremetal};
use crate::model::picture::{self, Claim};
use crate::model::snapshot::{
    BlockState, CallSite, Health, Heap, Link, LiveBlock, MemoryMap, Owner, PartKind, Snapshot, StackKind, Target, Trust,
};
use crate::region::Region;
use crate::stack::victim;

/// The picture without a target.
#[must_use]
pub fn static_snapshot(image: &Image, chips: &[Chip]) -> Snapshot {
    let mut look = static_look(image, chips);
    linked::tell_statically(image, &mut look.heaps);
    let mut snapshot = snapshot_of(image, chips, &look);
    let looks = look.stacks;
    snapshot.target.has_float = image.call_graph().is_some_and(CallGraph::has_float);
    let hint = WorstCases::default().tell(image, &looks, &mut snapshot.stacks);
    snapshot.hints.splice(0..0, hint);
    snapshot
}

/// What the ELF says of heaps and stacks.
fn static_look(image: &Image, chips: &[Chip]) -> Look {
    let mut look = Look::default();
    if let Some(range) = layout::heap_within(image, chips) {
        look.heaps.push(HeapLook::unknown("heap", range));
    }
    look.stacks = baremetal::stacks(image, chips);
    look
}

/// The same without worst cases, which take a look at every instruction: the first picture of a large file.
#[must_use]
pub fn first_snapshot(image: &Image, chips: &[Chip]) -> Snapshot {
    let mut look = static_look(image, chips);
    for heap in &mut look.heaps {
        heap.heap.unwalked = None;
    }
    snapshot_of(image, chips, &look)
}

fn snapshot_of(image: &Image, chips: &[Chip], look: &Look) -> Snapshot {
    let memories = draw(chips, look, &Linked::new(image, chips));
    let mut stacks = Stacks::default().refresh_none(&look.stacks);
    for stack in &mut stacks {
        stack.victim = victim::below(stack.range, &memories, &[], image);
    }
    Snapshot {
        at: Duration::ZERO,
        epoch: 0,
        target: Target {
            elf: image.name(),
            build_id: identity::build_id(image),
            source: "file".into(),
            ..Target::default()
        },
        health: Health::Static,
        memories,
        stacks,
        heaps: look.heaps.iter().map(|told| heap(told, image, &mut Sites::default(), &[])).collect(),
        link: Link::default(),
        hints: layout::remarks(image, chips),
        detail: None,
        excerpt: None,
        values: None,
        tripwire: None,
    }
}

/// What the linker laid down, as memory maps show it.
pub(super) struct Linked {
    placed: Vec<Placed>,
    /// What it left for the main stack.
    room: Option<Region>,
}

impl Linked {
    pub(super) fn new(image: &Image, chips: &[Chip]) -> Self {
        Self { placed: layout::placed(image), room: layout::stack_room(image, chips) }
    }
}

/// The memory map of one look.
pub(super) fn draw(chips: &[Chip], look: &Look, linked: &Linked) -> Vec<MemoryMap> {
    // What is left of a heap is in use when its free blocks are known, and anything when they are not.
    let rest = |index: usize| match look.heaps.get(index).and_then(|look| look.heap.blocks.as_ref()) {
        Some(_) => PartKind::Block,
        None => PartKind::Blocks,
    };
    let heaps = look.heaps.iter().map(|look| look.heap.range);
    let taken: Vec<Region> = look.stacks.iter().map(|stack| stack.range).chain(heaps).collect();
    picture::draw(&layout::grown(chips, &taken), &claims(look, linked), &rest)
}

/// Everything that claims memory, the most precise first.
fn claims(look: &Look, linked: &Linked) -> Vec<Claim> {
    let in_heap = |range: Region| look.heaps.iter().any(|look| look.heap.range.covers(range));
    let claim = |placed, is_static, index| Claim { placed, is_static, is_room: false, index };
    let mut claims = Vec::new();
    for (index, stack) in look.stacks.iter().enumerate() {
        let name = match stack.kind {
            StackKind::User => stack.name.clone(),
            _ => format!("{} stack", stack.name),
        };
        let placed = Placed { name, kind: PartKind::Stack, range: stack.range };
        let is_room = linked.room.is_some_and(|room| room.covers(stack.range));
        claims.push(Claim { placed, is_static: !in_heap(stack.range), is_room, index: Some(index) });
    }
    // A region that the linker has a wider section of the same kind for is told by that.
    let told = |named: &Placed| {
        linked.placed.iter().any(|section| {
            section.kind == named.kind && section.range.covers(named.range) && section.range != named.range
        })
    };
    for named in look.named.iter().filter(|named| !told(named)) {
        claims.push(claim(named.clone(), !in_heap(named.range), None));
    }
    for heap in look.heaps.iter().map(|look| &look.heap) {
        let lost = heap.blocks.iter().flat_map(|blocks| blocks.iter()).filter(|block| block.state == BlockState::Lost);
        let free = heap.free_runs().map(|range| ("free", PartKind::Free, range));
        for (name, kind, range) in free.chain(lost.map(|block| ("blocks or free", PartKind::Blocks, block.range))) {
            claims.push(claim(Placed { name: name.into(), kind, range }, false, None));
        }
    }
    for (index, heap) in look.heaps.iter().map(|look| &look.heap).enumerate() {
        let placed = Placed { name: heap.name.clone(), kind: PartKind::Heap, range: heap.range };
        claims.push(claim(placed, true, Some(index)));
    }
    claims.extend(linked.placed.iter().map(|placed| claim(placed.clone(), true, None)));
    claims
}

/// What a snapshot says of a heap.
pub(super) fn heap(look: &HeapLook, image: &Image, sites: &mut Sites, named: &[(Region, String)]) -> Heap {
    let mut owners: Vec<Owner> = Vec::new();
    let mut index: HashMap<CallSite, usize> = HashMap::new();
    let mut live: Option<Vec<LiveBlock>> = look.noted.as_ref().map(|noted| {
        let live = noted.blocks.iter().map(|block| {
            let site = sites.of(image, &block.callers);
            let owner = *index.entry(site.clone()).or_insert_with(|| {
                owners.push(Owner { site, blocks: 0, bytes: 0, growth: None, leaks: false });
                owners.len() - 1
            });
            owners[owner].blocks += 1;
            owners[owner].bytes = owners[owner].bytes.saturating_add(block.range.size());
            let holds = named.iter().find(|(range, _)| block.range.covers(*range)).map(|(_, name)| name.clone());
            LiveBlock { range: block.range, asked: block.asked, front: block.front, owner, holds, seen: block.seen }
        });
        live.collect()
    });
    // The largest first; places are told apart by name where they hold as much.
    let mut order: Vec<usize> = (0..owners.len()).collect();
    order.sort_by(|a, b| owners[*b].bytes.cmp(&owners[*a].bytes).then_with(|| owners[*a].site.cmp(&owners[*b].site)));
    for block in live.iter_mut().flatten() {
        block.owner = order.iter().position(|owner| *owner == block.owner).unwrap_or(0);
    }
    let owners = order.into_iter().map(|index| owners[index].clone()).collect();
    Heap {
        owners: live.is_some().then_some(owners),
        owners_trust: look.noted.as_ref().map_or(Trust::Gap, |noted| noted.trust),
        owners_confirmed: look.noted.as_ref().and_then(|noted| noted.confirmed),
        live,
        ..look.heap.clone()
    }
}

/// What has a name of its own in a heap: stacks and registered ranges.
pub(super) fn named(look: &Look) -> Vec<(Region, String)> {
    let stacks = look.stacks.iter().map(|stack| (stack.range, format!("{} stack", stack.name)));
    stacks.chain(look.named.iter().map(|named| (named.range, named.name.clone()))).collect()
}
