//! The two mallocs of newlib: dlmalloc in libc.a (`mallocr.c`), and the small one in libc_nano.a (`nano-mallocr.c`).
//!
//! ```text
//!   dlmalloc   chunk { prev_size, size | 1 when the chunk before it is in use }, up to the top chunk
//!   nano       chunk { size }, free when it is on __malloc_free_list; a negative size is padding before the payload
//! ```
//!
//! In dlmalloc the last word of a block in use lies where the next chunk keeps `prev_size`, so a block here begins with
//! the chunk's `size` and ends before the next one's: that is what `malloc_usable_size` counts, and one word.
//!
//! Both allow that somebody else calls `sbrk` between two calls of theirs. dlmalloc then leaves two words that end its old
//! top chunk for good (`malloc_extend_top`), nano leaves nothing.
//!
//! What malloc would grant is not the sum of what is free: nano looks at each free chunk by itself, and then asks for a whole
//! chunk behind the break. dlmalloc asks for the request and 16 bytes more there, rounded up to pages, whatever of it the top
//! chunk has already (newlib 3.3).

use std::collections::{BTreeMap, HashMap};

use super::chain::{self, Step};
use super::{MAX_BLOCKS, Place, Walk, Walker, sbrk};
use crate::image::Image;
use crate::image::layout;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState};
use crate::region::Region;

/// The name of the malloc in libc.a.
pub const LARGE: &str = "newlib malloc";
/// The name of the malloc in libc_nano.a.
pub const NANO: &str = "newlib-nano malloc";

/// `PREV_INUSE` and the bits of a size that are none.
const PREVIOUS_IN_USE: u32 = 1;
const FLAGS: u32 = 7;
/// What dlmalloc writes into two words where it leaves the break that it had: a size of one word, in use or not.
const FENCES: [u32; 2] = [4, 5];
/// `__malloc_av_`: a pair of links for each of 128 bins, and two words more.
const BINS: u32 = (2 * 128 + 2) * 4;
/// `MINSIZE`: what dlmalloc keeps of the top chunk.
const LEAST: u32 = 16;
/// `malloc_getpagesize`: dlmalloc takes whole pages, but for the first time.
const PAGE: u32 = 4096;

/// newlib's dlmalloc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DlMalloc {
    base: u32,
    bins: Region,
    /// The word that holds the break.
    end: Option<u32>,
    room: Option<Region>,
}

/// newlib-nano's malloc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nano {
    start: u32,
    list: u32,
    end: u32,
    /// Somebody else may call sbrk too.
    is_shared: bool,
    room: Option<Region>,
}

impl DlMalloc {
    /// The malloc of this firmware, when it is that one.
    #[must_use]
    pub fn find(image: &Image) -> Option<Self> {
        let base = image.symbols.get("__malloc_sbrk_base")?.range.start();
        let bins = image.symbols.get("__malloc_av_")?.range;
        (bins.size() == BINS).then_some(Self { base, bins, end: sbrk::kept_at(image), room: layout::heap(image) })
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
        LARGE
    }

    fn place(&self) -> Place {
        Place::Any
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
        let (top_size, top_flags) = memory.word(top.checked_add(4)?).map(|size| (size & !3, size & 2))?;
        let top_end = top.checked_add(top_size)?;
        let kept = match self.end {
            Some(end) => Some(memory.word(end)?),
            None => None,
        };
        // Where no page could be filled up, the last block ends at any byte, and its size runs into its flags.
        let is_odd = kept.and_then(|kept| kept.checked_sub(top_end)).is_some_and(|cut| cut < 4);
        let top_end = kept.filter(|_| is_odd).unwrap_or(top_end);
        let end = kept.map_or(top_end, |kept| kept.max(top_end));
        let may_grow = is_open(Region::between(base, end), self.room);
        let range = widened(Region::between(base, end), self.room);
        let tail = Region::between(top.checked_add(4)?, top_end);
        let cut = range.below(first.checked_add(4)?);
        let mut free: BTreeMap<u32, Links> = BTreeMap::new();
        let mut walk = chain::follow(range, |at| {
            if at < first + 4 {
                return Some(Step::Block(Block::new(cut, cut.size(), BlockState::Own)));
            }
            if at == tail.start() && top_flags != 0 && !is_odd {
                return Some(Step::Wrong(at, format!("a last block with flags {top_flags}")));
            }
            if at == tail.start() {
                return Some(Step::Block(Block::new(tail, 4, BlockState::Free)));
            }
            if at >= top_end && at < end {
                // The library did not ask for it.
                return Some(Step::Block(Block::new(Region::between(at, end), 0, BlockState::Stretch)));
            }
            if at >= end {
                return Some(Step::Block(Block::new(range.from(at), 4.min(range.from(at).size()), BlockState::Free)));
            }
            let size = memory.word(at)?;
            if FENCES.contains(&size) && memory.word(at.checked_add(4)?)? == FENCES[1] {
                // The old break lies 8 to 15 bytes behind the first of the two words, and chunks begin at eight.
                let from = at.checked_add(16)?;
                if from > tail.start() {
                    return Some(Step::Wrong(at, "an end of blocks in front of the last one".into()));
                }
                let on =
                    sbrk::resume(memory, (from, tail.start()), 8, |memory, at| self.leads(memory, at, tail.start()))?;
                return Some(Step::Block(Block::new(Region::between(at, on), 8, BlockState::Stretch)));
            }
            let block = Region::new(at, size & !FLAGS);
            if block.size() < LEAST || size & FLAGS & !PREVIOUS_IN_USE != 0 || block.end() > u64::from(tail.start()) {
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
        let is_whole = walk.damage.is_none() && walk.blocks.iter().all(|block| block.state != BlockState::Lost);
        if is_whole && let Some((address, what)) = self.broken(&free) {
            walk.damage = Some(chain::damaged(&walk.blocks, address, what));
        }
        if is_whole {
            let chunks = walk
                .blocks
                .iter()
                .filter(|block| block.state == BlockState::Free && block.range.start() < tail.start());
            let chunk = chunks.map(|block| block.range.size()).max().unwrap_or(0);
            let grown = granted_behind(end, end == top_end, range.from(end).size());
            let whole = chunk.max(top_size.max(grown).saturating_sub(LEAST) & !FLAGS);
            walk.largest_free = Some(whole.saturating_sub(4));
        }
        walk.may_grow = may_grow;
        Some(walk)
    }
}

/// The bytes of the last block that dlmalloc could make behind the break at `end` with `room` bytes behind that, for one
/// request (`malloc_extend_top`). `is_own`: the last block ends at the break.
fn granted_behind(end: u32, is_own: bool, room: u32) -> u32 {
    let pages = room / PAGE * PAGE;
    if is_own && end.is_multiple_of(PAGE) {
        return pages;
    }
    // It begins anew there, and takes what is left of the page too, when there is room for that.
    let cut = end.wrapping_neg() % 8;
    let rest = cut + PAGE - end.wrapping_add(cut) % PAGE;
    if rest <= room - pages { pages } else { pages.saturating_sub(cut) }
}

impl DlMalloc {
    /// Whether blocks begin at `from` and go on up to the last one at `last`, or to where the break was left once more.
    fn leads(&self, memory: &mut Memory<'_>, from: u32, last: u32) -> Option<bool> {
        let mut at = from;
        for _ in 0..MAX_BLOCKS {
            if at == last {
                return Some(true);
            }
            let size = memory.word(at)?;
            if at > from && FENCES.contains(&size) && memory.word(at.checked_add(4)?)? == FENCES[1] {
                return Some(true);
            }
            let is_first_free = at == from && size & PREVIOUS_IN_USE == 0;
            let block = Region::new(at, size & !FLAGS);
            if is_first_free
                || size & FLAGS & !PREVIOUS_IN_USE != 0
                || block.size() < LEAST
                || block.end() > last.into()
            {
                return Some(false);
            }
            at = block.end_address();
        }
        Some(false)
    }
}

impl Nano {
    /// The malloc of this firmware, when it is that one, and its `_sbrk` keeps the break where it can be found.
    #[must_use]
    pub fn find(image: &Image) -> Option<Self> {
        let address = |name: &str| image.symbols.get(name).map(|symbol| symbol.range.start());
        let (start, list) = (address("__malloc_sbrk_start")?, address("__malloc_free_list")?);
        // picolibc's has other chunks.
        if address("__malloc_sbrk_top").is_some() {
            return None;
        }
        let (end, is_shared) = (sbrk::kept_at(image)?, sbrk::has_others(image));
        Some(Self { start, list, end, is_shared, room: layout::heap(image) })
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
        NANO
    }

    fn place(&self) -> Place {
        Place::Any
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
        let may_grow = is_open(taken, self.room);
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
            match chunk(memory, at, end, &free)? {
                Ok(block) => {
                    free.remove(&at);
                    Some(Step::Block(block))
                }
                Err(wrong) => {
                    let next = free.keys().copied().filter(|chunk| *chunk >= at).min();
                    // A free chunk is one of malloc's whatever lies around it.
                    if !self.is_shared || next == Some(at) {
                        return Some(wrong);
                    }
                    let to = next.unwrap_or(end);
                    let leads =
                        |memory: &mut Memory<'_>, from| sbrk::leads(from, to, |at| chunk(memory, at, end, &free));
                    let on = sbrk::resume(memory, (at.checked_add(4)?, to), 4, leads)?;
                    Some(Step::Block(Block::new(Region::between(at, on), 0, BlockState::Stretch)))
                }
            }
        })?;
        let is_whole = walk.damage.is_none() && walk.blocks.iter().all(|block| block.state != BlockState::Lost);
        if is_whole && let Some(link) = free.values().min() {
            walk.damage = Some(chain::damaged(&walk.blocks, *link, "a link to where no block begins".into()));
        }
        if is_whole {
            let free = walk.blocks.iter().filter(|block| block.state == BlockState::Free && block.range.start() < end);
            let chunk = free.map(|block| block.range.size()).max().unwrap_or(0);
            let grown = range.from(end).size().saturating_sub(end.next_multiple_of(4) - end);
            walk.largest_free = Some((chunk.max(grown) & !3).saturating_sub(MOST_OVERHEAD));
        }
        walk.may_grow = may_grow;
        Some(walk)
    }
}

/// What nano adds to a request: the size, and a word to align by.
const MOST_OVERHEAD: u32 = 8;

/// nano's chunk at `at`, or what is wrong with it.
fn chunk(memory: &mut Memory<'_>, at: u32, end: u32, free: &HashMap<u32, u32>) -> Option<Result<Block, Step>> {
    let size = memory.word(at)?;
    let block = Region::new(at, size);
    if size % 4 != 0 || size < 12 || block.end() > end.into() {
        return Some(Err(Step::Wrong(at, format!("a block of {} B", size.cast_signed()))));
    }
    // A payload is a multiple of 8: the word before it is padding when the chunk is not.
    let header = (at + 4).next_multiple_of(8) - at;
    let state = if free.contains_key(&at) { BlockState::Free } else { BlockState::Used };
    if let Some(link) = free.iter().find(|(chunk, _)| **chunk > at && block.contains(**chunk)).map(|(_, link)| *link) {
        return Some(Err(Step::Wrong(link, "a link into the middle of a block".into())));
    }
    if state == BlockState::Used && header == 8 && memory.word(at + 4)? != 4u32.wrapping_neg() {
        return Some(Err(Step::Wrong(at + 4, "padding that was written over".into())));
    }
    Some(Ok(Block::new(block, header, state)))
}

/// The heap up to where it may grow, when the linker script says that.
pub(super) fn widened(range: Region, room: Option<Region>) -> Region {
    if is_open(range, room) { range } else { room.map_or(range, |room| range.hull(room)) }
}

/// Whether nothing tells how far the heap may grow.
pub(super) fn is_open(range: Region, room: Option<Region>) -> bool {
    !room.is_some_and(|room| room.covers(range))
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
        let malloc = DlMalloc { base: RAM.start(), bins: Region::new(0x2000_0010, 0x20), end: None, room: None };
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
        // Nothing tells how far sbrk goes, or the linker does.
        let within = |room| DlMalloc { room: Some(room), ..malloc };
        let may_grow = |malloc: &DlMalloc, bytes: &mut Bytes| walk(malloc, bytes).map(|walk| walk.may_grow);
        let told_so = [malloc, within(RAM), within(RAM.bottom(0x140))].map(|malloc| may_grow(&malloc, &mut bytes));
        assert_eq!(told_so, [Some(true), Some(false), Some(true)]);
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
        let malloc =
            Nano { start: RAM.start(), list: RAM.start() + 4, end: RAM.start() + 8, is_shared: false, room: None };
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
        let bounded = Nano { room: Some(RAM), ..malloc };
        assert_eq!((found.may_grow, walk(&bounded, &mut bytes).map(|walk| walk.may_grow)), (true, Some(false)));
        no_flip_goes_unseen(&malloc, &mut bytes, &words);
        // A list that leads to another block, or ends too soon, only makes another heap.
        let sizes: Vec<u32> = words.iter().copied().filter(|word| *word > START && word % 8 == 4).collect();
        damage_is_found(&malloc, &mut bytes, &sizes);
    }
}
