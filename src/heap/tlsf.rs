//! The heap of the crate rlsf 0.2 (embedded-alloc 0.7's `TlsfHeap`): two-level segregated fit.
//!
//! ```text
//!   BlockHdr { size | 1 when it is in use | 2 for the last one, prev_phys_block }     src/tlsf.rs, version 0.2.3
//!   free: the header, then next_free and prev_free; in use: the header, then the payload
//! ```
//!
//! All of it is `repr(C)` and in units of four words. Blocks fill the pool that the allocator was given, rounded inward,
//! up to a last header that ends it; `embedded_alloc::tlsf::Inner` keeps what it was given.

use std::collections::BTreeMap;

use super::chain::{self, Step};
use super::{Place, Walk, Walker};
use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState};
use crate::region::Region;

/// The allocator's name.
pub const NAME: &str = "rlsf";

/// `GRANULARITY`: four words.
const UNIT: u32 = 16;
/// `size_of::<UsedBlockHdr>()`.
const HEADER: u32 = 8;
/// `SLI`: embedded-alloc has as many lists of each order of size as a word has bits, 32.
const SLI: u32 = 5;
/// `SIZE_USED`, and with it `SIZE_SENTINEL`.
const USED: u32 = 1;
const LAST_FLAGS: u32 = USED | 2;

/// Where one such heap keeps what it was given: a pointer and a length, 0 before it was given anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlsf {
    /// Address of the pointer.
    pub pointer: u32,
    /// Address of the length in bytes.
    pub length: u32,
}

/// The links of a free block.
#[derive(Clone, Copy)]
struct Links {
    next: u32,
    previous: u32,
}

impl Tlsf {
    /// All heaps of this kind in the firmware.
    #[must_use]
    pub fn find(image: &Image) -> Vec<Self> {
        // The debug information is read only when a symbol says that it is worth it.
        let signs = ["rlsf", "embedded_alloc..tlsf", "embedded_alloc4tlsf"];
        if !image.symbols.iter().any(|symbol| signs.iter().any(|sign| symbol.name.contains(sign))) {
            return Vec::new();
        }
        let types = image.types();
        let place = |(at, held)| {
            let word = |name: &str| types.offset(held, &[name]).and_then(|offset| u32::checked_add(at, offset));
            Some(Self { pointer: word("raw_block")?, length: word("raw_block_size")? })
        };
        types.holders("embedded_alloc::tlsf::Inner").into_iter().filter_map(place).collect()
    }
}

impl Walker for Tlsf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn object(&self) -> Option<u32> {
        Some(self.pointer)
    }

    fn place(&self) -> Place {
        Place::Any
    }

    fn wants(&self) -> Vec<Region> {
        vec![Region::new(self.pointer, 4), Region::new(self.length, 4)]
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let (start, length) = (memory.word(self.pointer)?, memory.word(self.length)?);
        let end = start.checked_add(length)?;
        let first = start.checked_next_multiple_of(UNIT)?;
        // Where the last header is. A pool of less than two units is not taken.
        let last = (end & !(UNIT - 1)).checked_sub(UNIT).filter(|last| start != 0 && *last > first)?;
        let range = Region::between(start, end);
        let (mut before, mut before_is_free) = (0, false);
        let mut free: BTreeMap<u32, Links> = BTreeMap::new();
        let mut walk = chain::follow(range, |at| {
            if at < first {
                let cut = range.below(first);
                return Some(Step::Block(Block::new(cut, cut.size(), BlockState::Own)));
            }
            let header = memory.words(Region::new(at, UNIT))?;
            let (size, flags) = (header[0] & !(UNIT - 1), header[0] & (UNIT - 1));
            if header[1] != before {
                return Some(Step::Wrong(at + 4, format!("a link back to {:08x}", header[1])));
            }
            if at == last {
                return Some(match (size, flags) {
                    (UNIT, LAST_FLAGS) => {
                        Step::Block(Block::new(range.from(at), range.from(at).size(), BlockState::Own))
                    }
                    _ => Step::Wrong(at, format!("a last block of {size} B with flags {flags}")),
                });
            }
            let state = match flags {
                0 => BlockState::Free,
                USED => BlockState::Used,
                _ => return Some(Step::Wrong(at, format!("a block with flags {flags}"))),
            };
            if size == 0 || size > last - at {
                return Some(Step::Wrong(at, format!("a block of {size} B in the last {} B", last - at)));
            }
            if state == BlockState::Free {
                // Two that touch would have been joined.
                if before_is_free {
                    return Some(Step::Wrong(at, "a free block behind another".into()));
                }
                free.insert(at, Links { next: header[2], previous: header[3] });
            }
            (before, before_is_free) = (at, state == BlockState::Free);
            Some(Step::Block(Block::new(Region::new(at, size), HEADER, state)))
        })?;
        if walk.damage.is_none()
            && walk.blocks.iter().all(|block| block.state != BlockState::Lost)
            && let Some((address, what)) = broken(&free)
        {
            walk.damage = Some(chain::damaged(&walk.blocks, address, what));
        }
        let free = walk.blocks.iter().filter(|block| block.state == BlockState::Free).map(|block| block.range.size());
        walk.largest_free = Some(granted(free.max().unwrap_or(0)));
        Some(walk)
    }
}

/// The largest request that a free block of that size is sure to be found for: it is in a list of blocks down to a size with
/// no more than `SLI` bits behind the first, and only lists are looked at all of whose blocks are large enough (`map_floor`,
/// `map_ceil`).
fn granted(size: u32) -> u32 {
    let shift = size.checked_ilog2().unwrap_or(0).saturating_sub(SLI);
    (size >> shift << shift).saturating_sub(HEADER)
}

/// The first link of a free block that leads to where no free block answers it. Which block is the first of its list is
/// not read: that would be one word for each of a thousand lists.
fn broken(free: &BTreeMap<u32, Links>) -> Option<(u32, String)> {
    free.iter().find_map(|(at, links)| {
        let answers =
            |to: u32, back: fn(&Links) -> u32| to == 0 || free.get(&to).is_some_and(|links| back(links) == *at);
        let what = |to: u32| format!("a link of a free block to {to:08x}");
        if !answers(links.next, |links| links.previous) {
            return Some((at + HEADER, what(links.next)));
        }
        (!answers(links.previous, |links| links.next)).then(|| (at + HEADER + 4, what(links.previous)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{damage_is_found, no_flip_goes_unseen, told, walk};
    use crate::source::testing::Bytes;

    const RAM: Region = Region::new(0x2000_0000, 0x400);
    const PLACE: Tlsf = Tlsf { pointer: 0x2000_0000, length: 0x2000_0004 };
    const SIZES: [(u32, bool); 6] =
        [(0x40, true), (0x60, false), (0x20, true), (0x30, true), (0x80, false), (0x40, true)];

    /// A heap of those blocks with one list of the free ones, and the addresses of all header words.
    fn heap() -> (Bytes, Vec<u32>) {
        let mut bytes = Bytes::new(RAM);
        let (mut at, mut before, mut free) = (0x2000_0110, 0, 0);
        let mut words = Vec::new();
        for (size, used) in SIZES {
            words.extend([at, at + 4]);
            bytes.poke(at, size | u32::from(used));
            bytes.poke(at + 4, before);
            if !used {
                words.extend([at + 8, at + 12]);
                bytes.poke(at + 12, free);
                if free != 0 {
                    bytes.poke(free + 8, at);
                }
                free = at;
            }
            before = at;
            at += size;
        }
        words.extend([at, at + 4]);
        bytes.poke(at, UNIT | LAST_FLAGS);
        bytes.poke(at + 4, before);
        bytes.poke(PLACE.pointer, 0x2000_0104);
        bytes.poke(PLACE.length, at + UNIT + 4 - 0x2000_0104);
        (bytes, words)
    }

    #[test]
    fn it_is_walked_block_by_block_and_damage_is_found_in_each_word() {
        let (mut bytes, words) = heap();
        let walk = walk(&PLACE, &mut bytes).expect("it is set up");
        assert_eq!(walk.damage, None);
        let expected = SIZES.map(|(size, used)| (if used { BlockState::Used } else { BlockState::Free }, size));
        assert_eq!(told(&walk), expected);
        damage_is_found(&PLACE, &mut bytes, &words);
        no_flip_goes_unseen(&PLACE, &mut bytes, &words);
    }

    #[test]
    fn a_heap_that_was_given_nothing_is_not_walked() {
        for (pointer, length) in [(0, 0), (0x2000_0100, 16), (0x2000_0108, 31), (u32::MAX, u32::MAX)] {
            let (mut bytes, _) = heap();
            bytes.poke(PLACE.pointer, pointer);
            bytes.poke(PLACE.length, length);
            assert_eq!(walk(&PLACE, &mut bytes), None, "{pointer:08x} {length}");
        }
    }
}
