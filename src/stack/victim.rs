//! What an overflow of a stack hits next: whatever ends where the stack begins.

use crate::image::Image;
use crate::image::symbols::demangle;
use crate::model::heap::LiveBlock;
use crate::model::snapshot::{Heap, MemoryMap, Part, PartKind, Stack, Suspect, Victim};
use crate::region::Region;
use crate::units::{printable, without_paths};

/// The longest type that is shown, in characters: a Rust type can take a page.
const MAX_TYPE: usize = 60;

/// The most bytes that a linker leaves free below a stack only to align it. More may be there for something.
const MOST_PADDING: u32 = 64;

/// What lies below `stack`, past what only aligns it, named as closely as the picture, the heaps and the symbols allow; `None` when no memory
/// holds the stack. What a static's type is takes debug information: see [`describe`].
#[must_use]
pub fn below(stack: Region, memories: &[MemoryMap], heaps: &[Heap], image: &Image) -> Option<Victim> {
    let memory = memories.iter().find(|memory| memory.range.covers(stack))?;
    let Some(last) = stack.start().checked_sub(1).filter(|last| memory.range.contains(*last)) else {
        let name = format!("the end of {}", memory.name);
        return Some(Victim { name, is: None, range: Region::new(stack.start(), 0) });
    };
    let is_global =
        |part: &Part| matches!(part.kind, PartKind::Data | PartKind::Bss | PartKind::Uninit | PartKind::Other);
    let padding = 1 << stack.start().trailing_zeros().min(MOST_PADDING.trailing_zeros());
    let in_reach = (0..padding).filter_map(|back| last.checked_sub(back)).filter(|at| memory.range.contains(*at));
    let is_object = |at: &u32| match innermost(&memory.parts, *at) {
        Some(part) if is_global(part) => image.symbols.at(*at).is_some_and(|symbol| symbol.is_data),
        part => part.is_some_and(|part| part.kind != PartKind::Unclaimed),
    };
    let last = in_reach.into_iter().find(is_object).unwrap_or(last);
    let part = innermost(&memory.parts, last)?;
    // Within the globals, the object that is hit says more than the section it is in.
    let globals = is_global(part);
    if let Some(symbol) = image.symbols.at(last).filter(|symbol| globals && symbol.is_data) {
        return Some(Victim { name: demangle(&symbol.name), is: None, range: symbol.range });
    }
    let block = heaps.iter().find_map(|heap| Some((heap, heap.block_at(last)?)));
    let is = block.and_then(|(heap, block)| asker(heap, block));
    let (name, range) = match (part.kind, block) {
        (PartKind::Block | PartKind::Blocks | PartKind::Heap, Some((_, block))) => {
            (block.holds.clone().unwrap_or_else(|| "a heap block".into()), block.range)
        }
        (PartKind::Unclaimed, _) => ("unclaimed memory".into(), part.range),
        (PartKind::Free, _) => ("free heap".into(), part.range),
        (PartKind::Block | PartKind::Blocks, _) => ("heap blocks".into(), part.range),
        _ => (part.name.clone(), part.range),
    };
    Some(Victim { name, is, range })
}

/// Finds the damage that an overflow explains: where a stack begins above it that overflowed, that stack is the suspect, and not
/// who owns the block below.
pub fn accuse(stacks: &[Stack], heaps: &mut [Heap]) {
    for damage in heaps.iter_mut().filter_map(|heap| heap.damage.as_mut()) {
        let above = stacks.iter().filter(|stack| stack.range.start() > damage.address);
        let Some(next) = above.min_by_key(|stack| stack.range.start()) else { continue };
        // One that went farther than it is long would have left little in between to be told of.
        if next.overflowed && next.range.start() - damage.address <= next.range.size() {
            damage.suspect = Some(Suspect::Stack { name: next.name.clone(), limit: next.range.start() });
        }
    }
}

/// Who asked for a block, and for how much: `24 B asked for by demo::leak::hold, leak.rs:31`.
fn asker(heap: &Heap, block: &LiveBlock) -> Option<String> {
    let site = &heap.owner_of(block)?.site;
    let place = site.place().map_or_else(String::new, |place| format!(", {place}"));
    Some(printable(&format!("{} B asked for by {}{place}", block.asked, site.short()), MAX_TYPE * 2))
}

/// Says what a victim among the globals is, by the type that the debug information gives it.
pub fn describe(victim: &mut Victim, image: &Image) {
    if victim.is.is_none()
        && let Some(variable) = image.types().variable_at(victim.range.start())
        && !victim.range.is_empty()
    {
        victim.is = Some(printable(&without_paths(&variable.kind.name()), MAX_TYPE));
    }
}

fn innermost(parts: &[Part], address: u32) -> Option<&Part> {
    let part = parts.iter().find(|part| part.range.contains(address))?;
    innermost(&part.parts, address).or(Some(part))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::heap::{Block, BlockState, CallSite, Owner};
    use crate::model::snapshot::{Damage, MemoryKind};
    use crate::model::testing;

    fn demo() -> Image {
        let elf = include_bytes!("../../assets/demo.elf");
        Image::parse(Path::new("demo.elf"), elf).expect("the demo's ELF is read")
    }

    fn memory(parts: Vec<Part>) -> Vec<MemoryMap> {
        let range = Region::new(0x2000_0000, 0x1_0000);
        vec![MemoryMap { name: "RAM".into(), kind: MemoryKind::Ram, range, size_known: true, parts }]
    }

    fn part(name: &str, kind: PartKind, range: Region) -> Part {
        let (id, name) = (name.to_owned(), name.to_owned());
        Part { id, name, kind, range, is_static: true, is_room: false, stack: None, heap: None, parts: Vec::new() }
    }

    #[test]
    fn a_static_below_a_stack_is_named_with_its_type() {
        let image = demo();
        let known = |name: &str| image.symbols.iter().find(|symbol| symbol.name.contains(name)).cloned();
        let truth = known("DEMO_TRUTH").expect("the demo keeps accounts");
        let stack = Region::new(truth.range.end_address(), 512);
        let globals = part(".bss", PartKind::Bss, Region::new(truth.range.start(), truth.range.size()));
        let mut victim = below(stack, &memory(vec![globals]), &[], &image).expect("memory holds it");
        assert_eq!((victim.name.as_str(), victim.range, &victim.is), ("DEMO_TRUTH", truth.range, &None));
        describe(&mut victim, &image);
        assert_eq!(victim.words(), format!("DEMO_TRUTH ([AtomicU32; {}])", truth.range.size() / 4));
    }

    #[test]
    fn what_only_aligns_a_stack_is_no_victim_and_what_is_left_free_is() {
        let image = demo();
        let truth = image.symbols.iter().find(|symbol| symbol.name.contains("DEMO_TRUTH")).expect("it is there").range;
        let globals = part(".bss", PartKind::Bss, truth);
        let aligned = truth.end_address().next_multiple_of(64);
        assert_ne!(aligned, truth.end_address(), "there is something to pad");
        for (start, name) in [(aligned, "DEMO_TRUTH"), (aligned + 64, "unclaimed memory")] {
            let padding = part("unclaimed", PartKind::Unclaimed, Region::between(truth.end_address(), start));
            let stack = Region::new(start, 512);
            let victim = below(stack, &memory(vec![globals.clone(), padding]), &[], &image).expect("memory holds it");
            assert_eq!(victim.name, name, "{start:x}");
        }
        // The same where both lie in one section.
        let stack = Region::new(aligned, 512);
        let whole = part(".bss", PartKind::Bss, Region::between(truth.start(), stack.start()));
        let hit = image.symbols.at(stack.start() - 1).map_or(truth, |symbol| symbol.range);
        assert_eq!(below(stack, &memory(vec![whole]), &[], &image).map(|victim| victim.range), Some(hit));
    }

    #[test]
    fn a_block_below_a_stack_is_told_with_whoever_asked_for_it() {
        let range = Region::new(0x2000_8000, 0x1000);
        let block = Region::new(0x2000_8000, 64);
        let stack = Region::new(0x2000_8040, 512);
        let site = CallSite { function: "app::leak::hold".into(), file: Some("src/leak.rs".into()), line: Some(31) };
        let live = LiveBlock { range: block, asked: 48, front: 8, owner: 0, holds: None, seen: Duration::ZERO };
        let heap = Heap {
            blocks: Some(Arc::from([Block::new(block, 8, BlockState::Used)])),
            live: Some(vec![live.clone()]),
            owners: Some(vec![Owner { site, blocks: 1, bytes: 64, growth: None, leaks: false }]),
            ..Heap::unknown("heap", range)
        };
        let check = |heap: &Heap, kind, name: &str, words: &str, hit: Region| {
            let blocks = part(name, kind, Region::new(range.start(), 64));
            let whole = Part { parts: vec![blocks], ..part("heap", PartKind::Heap, range) };
            let victim = below(stack, &memory(vec![whole]), std::slice::from_ref(heap), &demo()).expect("it is held");
            assert_eq!((victim.words().as_str(), victim.range), (words, hit));
        };
        let words = "a heap block (48 B asked for by hold, leak.rs:31)";
        check(&heap, PartKind::Block, "blocks", words, block);
        let named = Heap { live: Some(vec![LiveBlock { holds: Some("rx".into()), ..live }]), ..heap.clone() };
        check(&named, PartKind::Block, "blocks", "rx (48 B asked for by hold, leak.rs:31)", block);
        check(&heap, PartKind::Other, "rx", "rx (48 B asked for by hold, leak.rs:31)", block);
        let unknown = Heap { live: None, owners: None, ..heap };
        check(&unknown, PartKind::Block, "blocks", "heap blocks", Region::new(range.start(), 64));
    }

    #[test]
    fn an_overflow_is_the_suspect_of_the_damage_right_below_it() {
        let block = Some(Suspect::Block(Region::new(0x2000_3fc0, 0x40)));
        let damage = |address| Damage { address, what: "a block of 3 B".into(), suspect: block.clone() };
        let at = |name: &str, start: u32, overflowed| Stack {
            range: Region::new(start, 0x200),
            overflowed,
            ..testing::stack(name, 0)
        };
        let accused = Some(Suspect::Stack { name: "b".into(), limit: 0x2000_4008 });
        let low = at("a", 0x2000_3000, true);
        let cases: [(&[Stack], u32, _); 5] = [
            (&[low.clone(), at("b", 0x2000_4008, true), at("c", 0x2000_5000, true)], 0x2000_4000, &accused),
            (&[low.clone(), at("b", 0x2000_4008, false), at("c", 0x2000_4200, true)], 0x2000_4000, &block),
            (std::slice::from_ref(&low), 0x2000_4000, &block),
            (&[at("b", 0x2000_4008, true)], 0x2000_3e08, &accused),
            (&[at("b", 0x2000_4008, true)], 0x2000_3e04, &block),
        ];
        for (stacks, address, expected) in cases {
            let heap = Heap::unknown("heap", Region::new(0x2000_0000, 0x1_0000));
            let mut heaps = [Heap { damage: Some(damage(address)), ..heap }];
            accuse(stacks, &mut heaps);
            let found = heaps[0].damage.as_ref().and_then(|damage| damage.suspect.clone());
            assert_eq!(found, *expected, "{stacks:?} above {address:x}");
        }
    }

    #[test]
    fn a_stack_at_the_bottom_of_its_memory_has_nothing_below() {
        let victim = below(Region::new(0x2000_0000, 512), &memory(Vec::new()), &[], &demo()).expect("it is held");
        assert_eq!((victim.words().as_str(), victim.range.is_empty()), ("the end of RAM", true));
        assert_eq!(below(Region::new(0x3000_0000, 512), &memory(Vec::new()), &[], &demo()), None);
    }
}
