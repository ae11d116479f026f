//! The memory map: every byte of every memory belongs to exactly one part, and what nobody claims is a part too.

use super::snapshot::{MemoryKind, MemoryMap, Part, PartKind};
use crate::image::layout::{Memory, Placed};
use crate::region::Region;

/// Something that claims a range. Of two claims on a byte, the one listed first has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it is, and where.
    pub placed: Placed,
    /// Fixed at link time.
    pub is_static: bool,
    /// Room that the linker left, and no reservation.
    pub is_room: bool,
    /// Index of the stack or heap it stands for.
    pub index: Option<usize>,
}

/// Puts all claims in their places. `claims` are in order of precedence; heaps take in what lies within them, and
/// what is left of a heap goes to a part of the kind `rest_of_heap` tells for its index.
#[must_use]
pub fn draw(memories: &[Memory], claims: &[Claim], rest_of_heap: &dyn Fn(usize) -> PartKind) -> Vec<MemoryMap> {
    memories
        .iter()
        .map(|memory| {
            let name = match memory.kind {
                MemoryKind::Ram => "unclaimed",
                MemoryKind::Flash => "free",
            };
            let rest = Rest { name, kind: PartKind::Unclaimed, is_static: true };
            let mut parts = fill(&slug(&memory.name), memory.range, claims, &rest, rest_of_heap);
            make_unique(&mut parts);
            MemoryMap {
                name: memory.name.clone(),
                kind: memory.kind,
                range: memory.range,
                size_known: memory.size_known,
                parts,
            }
        })
        .collect()
}

/// What the bytes are that nothing claims.
struct Rest {
    name: &'static str,
    kind: PartKind,
    is_static: bool,
}

fn fill(
    parent: &str,
    whole: Region,
    claims: &[Claim],
    rest: &Rest,
    rest_of_heap: &dyn Fn(usize) -> PartKind,
) -> Vec<Part> {
    // A claim that lies within a heap is that heap's business, whatever its rank.
    let in_a_heap = |claim: &Claim| {
        claims.iter().any(|heap| {
            heap.placed.kind == PartKind::Heap
                && heap.index.is_some()
                && !std::ptr::eq(heap, claim)
                && heap.placed.range.covers(claim.placed.range)
                && heap.placed.range != whole
        })
    };
    let mut taken: Vec<Region> = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    for claim in claims.iter().filter(|claim| claim.placed.range != whole || claim.placed.kind != PartKind::Heap) {
        if in_a_heap(claim) {
            continue;
        }
        let Some(range) = whole.intersection(claim.placed.range) else { continue };
        for piece in range.minus(&taken) {
            let id = format!("{parent}/{}", slug(&claim.placed.name));
            let mut part = Part {
                name: claim.placed.name.clone(),
                kind: claim.placed.kind,
                range: piece,
                is_static: claim.is_static,
                is_room: claim.is_room,
                stack: None,
                heap: None,
                parts: Vec::new(),
                id,
            };
            match claim.placed.kind {
                PartKind::Stack => part.stack = claim.index,
                PartKind::Heap => {
                    part.heap = claim.index;
                    if let Some(index) = claim.index {
                        part.parts = inside_heap(&part, index, claims, rest_of_heap);
                    }
                }
                _ => {}
            }
            parts.push(part);
        }
        taken.push(range);
    }
    for piece in whole.minus(&taken) {
        parts.push(Part {
            id: format!("{parent}/{}", slug(rest.name)),
            name: rest.name.into(),
            kind: rest.kind,
            range: piece,
            is_static: rest.is_static,
            is_room: false,
            stack: None,
            heap: None,
            parts: Vec::new(),
        });
    }
    parts.sort_by_key(|part| part.range);
    parts
}

fn inside_heap(heap: &Part, index: usize, claims: &[Claim], rest_of_heap: &dyn Fn(usize) -> PartKind) -> Vec<Part> {
    let kind = rest_of_heap(index);
    let name = match kind {
        PartKind::Block => "blocks",
        PartKind::Free => "free",
        _ => "blocks or free",
    };
    let within: Vec<Claim> = claims
        .iter()
        .filter(|claim| heap.range.covers(claim.placed.range) && claim.placed.kind != PartKind::Heap)
        .filter(|claim| !claim.is_static)
        .cloned()
        .collect();
    fill(&heap.id, heap.range, &within, &Rest { name, kind, is_static: false }, rest_of_heap)
}

fn slug(name: &str) -> String {
    name.to_lowercase().split_whitespace().collect::<Vec<_>>().join("-")
}

/// Gives parts that share an id their address too.
fn make_unique(parts: &mut [Part]) {
    let shared: Vec<bool> =
        parts.iter().map(|part| parts.iter().filter(|other| other.id == part.id).count() > 1).collect();
    for (part, shared) in parts.iter_mut().zip(shared) {
        if shared {
            part.id = format!("{}@{:08x}", part.id, part.range.start());
        }
        make_unique(&mut part.parts);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(name: &str, kind: PartKind, start: u32, size: u32, is_static: bool, index: Option<usize>) -> Claim {
        Claim {
            placed: Placed { name: name.into(), kind, range: Region::new(start, size) },
            is_static,
            is_room: false,
            index,
        }
    }

    fn ram(size: u32) -> Memory {
        Memory { name: "RAM".into(), kind: MemoryKind::Ram, range: Region::new(0x1000, size), size_known: true }
    }

    fn adds_up(range: Region, parts: &[Part]) -> bool {
        let mut at = u64::from(range.start());
        parts.iter().all(|part| {
            let follows = u64::from(part.range.start()) == at && !part.range.is_empty();
            at = part.range.end();
            follows && (part.parts.is_empty() || adds_up(part.range, &part.parts))
        }) && at == range.end()
    }

    #[test]
    fn stacks_nest_in_the_heap_and_cut_the_globals() {
        let claims = [
            claim("growth", PartKind::Stack, 0x1400, 0x100, false, Some(0)),
            claim("main", PartKind::Stack, 0x1080, 0x80, true, Some(1)),
            claim("buffer", PartKind::Buffer, 0x1380, 0x80, false, None),
            claim("heap", PartKind::Heap, 0x1300, 0x800, true, Some(0)),
            claim(".bss", PartKind::Bss, 0x1000, 0x200, true, None),
            claim(".heap", PartKind::Heap, 0x1300, 0x800, true, None),
        ];
        let map = draw(&[ram(0x1000)], &claims, &|_| PartKind::Blocks);
        let ids: Vec<&str> = map[0].parts.iter().map(|part| part.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "ram/.bss@00001000",
                "ram/main",
                "ram/.bss@00001100",
                "ram/unclaimed@00001200",
                "ram/heap",
                "ram/unclaimed@00001b00"
            ]
        );
        let heap: Vec<&str> = map[0].parts[4].parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(heap, ["blocks or free", "buffer", "growth", "blocks or free"]);
        assert!(adds_up(map[0].range, &map[0].parts));
    }

    proptest! {
        #[test]
        fn whatever_is_claimed_the_parts_add_up(
            claims in prop::collection::vec((0u32..0x800, 0u32..0x400, 0usize..4, any::<bool>()), 0..12),
        ) {
            let kinds = [PartKind::Stack, PartKind::Heap, PartKind::Bss, PartKind::Buffer];
            let claims: Vec<Claim> = claims
                .into_iter()
                .enumerate()
                .map(|(index, (start, size, kind, is_static))| {
                    claim("x", kinds[kind], 0xe00 + start, size, is_static, Some(index))
                })
                .collect();
            let map = draw(&[ram(0x600)], &claims, &|_| PartKind::Blocks);
            prop_assert!(adds_up(map[0].range, &map[0].parts), "{:?}", map);
        }
    }
}
