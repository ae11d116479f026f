//! The two mallocs of newlib: dlmalloc in libc.a (`mallocr.c`), and the small one in libc_nano.a (`nano-mallocr.c`).
//!
//! ```text
//!   dlmalloc   chunk { prev_size, size | 1 when the chunk before it is in use }, up to the top chunk
//!   nano       chunk { size }, free when it is on __malloc_free_list; a negative size is padding before the payload
//! ```
//!
//! In dlmalloc the last word of a block in use lies where the next chunk keeps `prev_size`, so a block here begins with
//! the chunk's `size` and ends before the next one's: that is what `malloc_usable_size` counts, and one word.

use std::collections::{BTreeMap, HashMap};

use super::chain::{self, Step};
use super::{MAX_BLOCKS, Walk, Walker};
use crate::image::Image;
use crate::image::layout;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState};
use crate::region::Region;

/// `PREV_INUSE` and the bits of a size that are none.
const PREVIOUS_IN_USE: u32 = 1;
const FLAGS: u32 = 7;
/// The names of the pointer to the break that `_sbrk` keeps, without the number that gcc adds: libnosys, what vendors'
/// templates write, and Mbed OS.
const BREAKS: &[&str] = &["heap_end", "__sbrk_heap_end", "_ZZ5_sbrkE4heap", "current_heap_end", "heap_ptr"];
/// What other templates call it, when the number says that it is a static of a function: alone, the word says too little.
const LOCAL_BREAKS: &[&str] = &["heap", "brk", "current_break", "curbrk", "heap_top", "program_break"];

/// newlib's dlmalloc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DlMalloc {
    base: u32,
    bins: Region,
    room: Option<Region>,
}

/// newlib-nano's malloc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nano {
    start: u32,
    list: u32,
    end: u32,
    room: Option<Region>,
}

impl DlMalloc {
    /// The malloc of this firmware, when it is that one.
    #[must_use]
    pub fn find(image: &Image) -> Option<Self> {
        let base = image.symbols.get("__malloc_sbrk_base")?.range.start();
        let bins = image.symbols.get("__malloc_av_")?.range;
        (bins.size() >= 16).then_some(Self { base, bins, room: layout::heap(image) })
    }
}

/// The links of a free chunk.
#[derive(Clone, Copy)]
struct Links {
    next: u32,
    previous: u32,
}

impl DlMalloc {
    /// The first link of a free chunk that leads neither to a bin nor to a free chunk that answers it. What a bin says of
    /// its chunks is not read.
    fn broken(&self, free: &BTreeMap<u32, Links>) -> Option<(u32, String)> {
        let bin = |to: u32| self.bins.offset_of(to).is_some_and(|offset| offset.is_multiple_of(8));
        free.iter().find_map(|(at, links)| {
            let answers = |to: u32, back: fn(&Links) -> u32| bin(to) || free.get(&to).is_some_and(|to| back(to) == *at);
            let what = |to: u32| format!("a link of a free block to {to:08x}");
            if !answers(links.next, |links| links.previous) {
                return Some((at + 8, what(links.next)));
            }
            (!answers(links.previous, |links| links.next)).then(|| (at + 12, what(links.previous)))
        })
    }
}

impl Walker for DlMalloc {
    fn name(&self) -> &'static str {
        "newlib malloc"
    }

    fn wants(&self) -> Vec<Region> {
        vec![Region::new(self.base, 4), self.bins.slice(8, 4)]
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        // It is -1 until the first call.
        let base = memory.word(self.base).filter(|base| *base != 0 && *base < u32::MAX - FLAGS)?;
        let first = base.next_multiple_of(8);
        let top = memory.word(self.bins.slice(8, 4).start())?;
        if top % 8 != 0 || top < first {
            return None;
        }
        let (top_size, top_flags) = memory.word(top.checked_add(4)?).map(|size| (size & !FLAGS, size & FLAGS))?;
        let range = widened(Region::between(base, top.checked_add(top_size)?), self.room);
        let tail = range.from(top).top(range.from(top).size().checked_sub(4)?);
        let cut = range.below(first.checked_add(4)?);
        let mut free: BTreeMap<u32, Links> = BTreeMap::new();
        let mut walk = chain::follow(range, |at| {
            if at < first + 4 {
                return Some(Step::Block(Block::new(cut, cut.size(), BlockState::Own)));
            }
            if at == tail.start() && top_flags & !PREVIOUS_IN_USE != 0 {
                return Some(Step::Wrong(at, format!("a last block with flags {top_flags}")));
            }
            if at == tail.start() {
                return Some(Step::Block(Block::new(tail, 4, BlockState::Free)));
            }
            let size = memory.word(at)?;
            let block = Region::new(at, size & !FLAGS);
            if block.size() < 16 || size & FLAGS & !PREVIOUS_IN_USE != 0 || block.end() > u64::from(tail.start()) {
                return Some(Step::Wrong(at, format!("a block of {} B with flags {}", size & !FLAGS, size & FLAGS)));
            }
            if at == first + 4 && size & PREVIOUS_IN_USE == 0 {
                return Some(Step::Wrong(at, "a first block behind a free one".into()));
            }
            // The next chunk's size says whether this one is in use; its prev_size, how large it is when it is free.
            let next = memory.words(block.top(4).hull(Region::new(block.end_address(), 4)))?;
            let state = if next[1] & PREVIOUS_IN_USE == 0 { BlockState::Free } else { BlockState::Used };
            if state == BlockState::Free {
                if next[0] != block.size() {
                    let what = format!("{} B, where the free block before it has {} B", next[0], block.size());
                    return Some(Step::Wrong(block.top(4).start(), what));
                }
                let links = memory.words(Region::new(at, 12))?;
                free.insert(at - 4, Links { next: links[1], previous: links[2] });
            }
            Some(Step::Block(Block::new(block, 4, state)))
        })?;
        if walk.damage.is_none()
            && walk.blocks.iter().all(|block| block.state != BlockState::Lost)
            && let Some((address, what)) = self.broken(&free)
        {
            walk.damage = Some(chain::damaged(&walk.blocks, address, what));
        }
        Some(walk)
    }
}

impl Nano {
    /// The malloc of this firmware, when it is that one, and its `_sbrk` keeps the break where it can be found.
    #[must_use]
    pub fn find(image: &Image) -> Option<Self> {
        let address = |name: &str| image.symbols.get(name).map(|symbol| symbol.range.start());
        let (start, list) = (address("__malloc_sbrk_start")?, address("__malloc_free_list")?);
        let plain =
            |name: &str| name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.').to_owned();
        let end = image
            .symbols
            .iter()
            .find(|symbol| {
                let (name, is_data) = (plain(&symbol.name), !symbol.is_code && symbol.range.size() == 4);
                let is_local = symbol.name.contains('.') && LOCAL_BREAKS.contains(&name.as_str());
                is_data && (is_local || BREAKS.contains(&name.as_str()))
            })?
            .range
            .start();
        Some(Self { start, list, end, room: layout::heap(image) })
    }

    /// The free chunks by address, with the word that leads to each; or the word that leads nowhere.
    fn free(&self, memory: &mut Memory<'_>, range: Region) -> Option<Result<HashMap<u32, u32>, u32>> {
        let mut free = HashMap::new();
        let mut link = self.list;
        let mut rest = range;
        for _ in 0..MAX_BLOCKS {
            let next = memory.word(link)?;
            if next == 0 {
                break;
            }
            // The list is in address order.
            if next % 4 != 0 || !rest.covers(Region::new(next, 8)) || Region::new(next, 8).size() < 8 {
                return Some(Err(link));
            }
            free.insert(next, link);
            rest = rest.from(next).top(rest.from(next).size() - 4);
            link = next + 4;
        }
        Some(Ok(free))
    }
}

impl Walker for Nano {
    fn name(&self) -> &'static str {
        "newlib-nano malloc"
    }

    fn wants(&self) -> Vec<Region> {
        vec![Region::new(self.start, 4), Region::new(self.list, 4), Region::new(self.end, 4)]
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let start = memory.word(self.start).filter(|start| *start != 0)?;
        let end = memory.word(self.end).filter(|end| *end > start)?;
        // The first chunk begins at the next word.
        let first = start.checked_next_multiple_of(4)?;
        let taken = Region::between(start, end);
        let range = widened(taken, self.room);
        let (mut free, broken) = match self.free(memory, taken)? {
            Ok(free) => (free, None),
            Err(link) => (HashMap::new(), Some(link)),
        };
        let mut walk = chain::follow(range, |at| {
            if at < first {
                let cut = range.below(first);
                return Some(Step::Block(Block::new(cut, cut.size(), BlockState::Own)));
            }
            if at >= end {
                return Some(Step::Block(Block::new(range.from(at), 4.min(range.from(at).size()), BlockState::Free)));
            }
            if let Some(link) = broken.filter(|link| at == first || *link < at) {
                return Some(Step::Wrong(link, "a link to where no free block can be".into()));
            }
            let size = memory.word(at)?;
            let block = Region::new(at, size);
            if size % 4 != 0 || size < 12 || block.end() > taken.end() {
                return Some(Step::Wrong(at, format!("a block of {} B", size.cast_signed())));
            }
            // A payload is a multiple of 8: the word before it is padding when the chunk is not.
            let header = (at + 4).next_multiple_of(8) - at;
            let state = if free.remove(&at).is_some() { BlockState::Free } else { BlockState::Used };
            if let Some(link) =
                free.iter().find(|(chunk, _)| **chunk > at && block.contains(**chunk)).map(|(_, link)| *link)
            {
                return Some(Step::Wrong(link, "a link into the middle of a block".into()));
            }
            if state == BlockState::Used && header == 8 && memory.word(at + 4)? != 4u32.wrapping_neg() {
                return Some(Step::Wrong(at + 4, "padding that was written over".into()));
            }
            Some(Step::Block(Block::new(block, header, state)))
        })?;
        if walk.damage.is_none()
            && walk.blocks.iter().all(|block| block.state != BlockState::Lost)
            && let Some(link) = free.values().min()
        {
            walk.damage = Some(chain::damaged(&walk.blocks, *link, "a link to where no block begins".into()));
        }
        Some(walk)
    }
}

/// The heap up to where it may grow, when the linker script says that.
fn widened(range: Region, room: Option<Region>) -> Region {
    room.filter(|room| room.covers(range)).map_or(range, |room| range.hull(room))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{damage_is_found, no_flip_goes_unseen, told, walk};
    use crate::source::testing::Bytes;

    const RAM: Region = Region::new(0x2000_0000, 0x800);
    const START: u32 = 0x2000_0100;
    const SIZES: [(u32, bool); 6] =
        [(0x40, true), (0x60, false), (0x28, true), (0x30, true), (0x80, false), (0x48, true)];

    fn state(used: bool) -> BlockState {
        if used { BlockState::Used } else { BlockState::Free }
    }

    #[test]
    fn dlmalloc_is_walked_and_damage_is_found_in_each_word() {
        let malloc = DlMalloc { base: RAM.start(), bins: Region::new(0x2000_0010, 0x20), room: None };
        let mut bytes = Bytes::new(RAM);
        let (mut at, mut flag, mut words) = (START, 1, Vec::new());
        // One bin has both free chunks: bin, first, second, and back.
        let (mut free, bin) = (malloc.bins.start(), malloc.bins.start());
        for (size, used) in SIZES {
            words.push(at + 4);
            bytes.poke(at + 4, size | flag);
            flag = u32::from(used);
            if !used {
                words.push(at + size);
                bytes.poke(at + size, size);
                bytes.poke(at + 12, free);
                if free != bin {
                    bytes.poke(free + 8, at);
                    words.extend([free + 8, at + 12]);
                }
                bytes.poke(at + 8, bin);
                free = at;
            }
            at += size;
        }
        let top = at + 4;
        bytes.poke(top, 0x50 | flag);
        bytes.poke(malloc.base, START);
        bytes.poke(malloc.bins.start() + 8, at);
        let found = walk(&malloc, &mut bytes).expect("it is set up");
        assert_eq!(found.damage, None);
        let mut expected = SIZES.map(|(size, used)| (state(used), size)).to_vec();
        expected.push((BlockState::Free, 0x50 - 4));
        assert_eq!(told(&found), expected);
        damage_is_found(&malloc, &mut bytes, &words);
        // What the break is stands once: another one is another heap.
        words.push(top);
        no_flip_goes_unseen(&malloc, &mut bytes, &words);
    }

    #[test]
    fn nano_is_walked_and_no_flip_in_any_word_goes_unseen() {
        let malloc = Nano { start: RAM.start(), list: RAM.start() + 4, end: RAM.start() + 8, room: None };
        let mut bytes = Bytes::new(RAM);
        let (mut at, mut link) = (START + 4, malloc.list);
        let mut words = vec![link];
        for (size, used) in SIZES {
            words.push(at);
            bytes.poke(at, size);
            if !used {
                bytes.poke(link, at);
                link = at + 4;
                words.push(link);
            }
            at += size;
        }
        bytes.poke(malloc.start, START + 4);
        bytes.poke(malloc.end, at);
        let found = walk(&malloc, &mut bytes).expect("it is set up");
        assert_eq!(found.damage, None);
        assert_eq!(told(&found), SIZES.map(|(size, used)| (state(used), size)));
        no_flip_goes_unseen(&malloc, &mut bytes, &words);
        // A list that leads to another block, or ends too soon, only makes another heap.
        let sizes: Vec<u32> = words.iter().copied().filter(|word| *word > START && word % 8 == 4).collect();
        damage_is_found(&malloc, &mut bytes, &sizes);
    }
}
