//! picolibc's malloc, 1.4.7 to 1.8 (`nano-mallocr.c`), which is newlib-nano's with other chunks.
//!
//! ```text
//!   chunk { size, payload ... }, free when it is on __malloc_free_list: { size, next }     up to __malloc_sbrk_top
//! ```
//!
//! A chunk begins a word before a multiple of 8, and its size is a multiple of 8. A request takes it rounded up to 8 and 8
//! bytes more; the last chunk grows when it is free. Later versions have links at the payload (`struct malloc_head`) and are not
//! walked.

use super::chain::{self, Step};
use super::{MAX_BLOCKS, Place, Walk, Walker, newlib, sbrk};
use crate::image::Image;
use crate::image::layout;
use crate::memory::Memory;
use crate::model::snapshot::{Block, BlockState};
use crate::region::Region;

/// The allocator's name.
pub const NAME: &str = "picolibc malloc";

/// What a request takes more than itself, rounded up to as much.
const ALIGN: u32 = 8;

/// picolibc's malloc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picolibc {
    start: u32,
    top: u32,
    list: u32,
    /// The word that holds the break.
    end: Option<u32>,
    /// Somebody else may call sbrk too.
    is_shared: bool,
    room: Option<Region>,
}

impl Picolibc {
    /// The malloc of this firmware, when it is that one.
    #[must_use]
    pub fn find(image: &Image) -> Option<Self> {
        let address = |name: &str| image.symbols.address(name);
        let (start, top) = (address("__malloc_sbrk_start")?, address("__malloc_sbrk_top")?);
        let list = address("__malloc_free_list")?;
        if address("__malloc_bucket_list").is_some() || image.types().find("malloc_head").is_some() {
            return None;
        }
        let (end, is_shared) = (sbrk::kept_at(image), sbrk::has_others(image));
        Some(Self { start, top, list, end, is_shared, room: layout::heap(image) })
    }

    /// The free chunks in address order, each with the word that leads to it; or the word that leads nowhere.
    fn free(&self, memory: &mut Memory<'_>, taken: Region) -> Option<Result<Vec<(u32, u32)>, u32>> {
        let mut free = Vec::new();
        let (mut link, mut rest) = (self.list, taken);
        for _ in 0..MAX_BLOCKS {
            let next = memory.word(link)?;
            if next == 0 {
                break;
            }
            if next % ALIGN != 4 || !rest.contains(next) || rest.from(next).size() < ALIGN {
                return Some(Err(link));
            }
            free.push((next, link));
            rest = rest.from(next + 4);
            link = next + 4;
        }
        Some(Ok(free))
    }
}

/// The chunk at `at`, or what is wrong with it.
fn chunk(memory: &mut Memory<'_>, at: u32, end: u32, free: &[(u32, u32)]) -> Option<Result<Block, Step>> {
    let size = memory.word(at)?;
    let block = Region::new(at, size);
    if at % ALIGN != 4 || size % ALIGN != 0 || size < ALIGN || block.end() > end.into() {
        return Some(Err(Step::Wrong(at, format!("a block of {} B", size.cast_signed()))));
    }
    if let Some((_, link)) = free.iter().find(|(chunk, _)| *chunk > at && block.contains(*chunk)) {
        return Some(Err(Step::Wrong(*link, "a link into the middle of a block".into())));
    }
    let is_free = free.iter().any(|(chunk, _)| *chunk == at);
    Some(Ok(Block::new(block, 4, if is_free { BlockState::Free } else { BlockState::Used })))
}

impl Walker for Picolibc {
    fn name(&self) -> &'static str {
        NAME
    }

    fn place(&self) -> Place {
        Place::Any
    }

    fn wants(&self) -> Vec<Region> {
        let words = [Some(self.start), Some(self.top), Some(self.list), self.end];
        words.into_iter().flatten().map(|word| Region::new(word, 4)).collect()
    }

    fn walk(&self, memory: &mut Memory<'_>) -> Option<Walk> {
        let start = memory.word(self.start).filter(|start| start % ALIGN == 4)?;
        let top = memory.word(self.top).filter(|top| *top > start)?;
        let end = match self.end {
            Some(end) => memory.word(end)?.max(top),
            None => top,
        };
        let taken = Region::between(start, top);
        let may_grow = newlib::is_open(Region::between(start, end), self.room);
        let range = newlib::widened(Region::between(start, end), self.room);
        let (free, broken) = match self.free(memory, taken)? {
            Ok(free) => (free, None),
            Err(link) => (Vec::new(), Some(link)),
        };
        let mut met = 0;
        let mut walk = chain::follow(range, |at| {
            if at < start {
                let cut = range.below(start);
                return Some(Step::Block(Block::new(cut, cut.size(), BlockState::Own)));
            }
            if at >= end {
                return Some(Step::Block(Block::new(range.from(at), 4.min(range.from(at).size()), BlockState::Free)));
            }
            if at >= top {
                // malloc did not ask for it.
                return Some(Step::Block(Block::new(Region::between(at, end), 0, BlockState::Stretch)));
            }
            if let Some(link) = broken.filter(|link| at == start || *link < at) {
                return Some(Step::Wrong(link, "a link to where no free block can be".into()));
            }
            match chunk(memory, at, top, &free)? {
                Ok(block) => {
                    met += usize::from(block.state == BlockState::Free);
                    Some(Step::Block(block))
                }
                Err(wrong) => {
                    let next = free.iter().map(|(chunk, _)| *chunk).find(|chunk| *chunk >= at);
                    // A free chunk is one of malloc's whatever lies around it.
                    if !self.is_shared || next == Some(at) {
                        return Some(wrong);
                    }
                    let to = next.unwrap_or(top);
                    let from = at.checked_add(4)?.checked_next_multiple_of(ALIGN)?.checked_add(4)?.min(to);
                    let on = sbrk::resume(memory, (from, to), ALIGN as usize, |memory, from| {
                        sbrk::leads(from, to, |at| chunk(memory, at, top, &free))
                    })?;
                    Some(Step::Block(Block::new(Region::between(at, on), 0, BlockState::Stretch)))
                }
            }
        })?;
        let is_whole = walk.damage.is_none() && walk.blocks.iter().all(|block| block.state != BlockState::Lost);
        if is_whole && let Some((_, link)) = free.get(met) {
            walk.damage = Some(chain::damaged(&walk.blocks, *link, "a link to where no block begins".into()));
        }
        if is_whole {
            let mut chunks =
                walk.blocks.iter().filter(|block| block.state == BlockState::Free && block.range.start() < top);
            let largest = chunks.clone().map(|block| block.range.size()).max().unwrap_or(0);
            let room = range.from(end).size();
            // The last chunk grows when it is free and nothing lies between it and the break.
            let last =
                chunks.next_back().filter(|last| last.range.end() == u64::from(end)).map(|last| last.range.size());
            let cut = (end.checked_add(4)?.checked_next_multiple_of(ALIGN)? - 4) - end;
            let grown = last.map_or(room.saturating_sub(cut), |last| last + room);
            walk.largest_free = Some((largest.max(grown) & !(ALIGN - 1)).saturating_sub(ALIGN));
        }
        walk.may_grow = may_grow;
        Some(walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{damage_is_found, no_flip_goes_unseen, told, walk};
    use crate::source::testing::Bytes;

    const RAM: Region = Region::new(0x2000_0000, 0x800);
    const START: u32 = 0x2000_0104;
    const SIZES: [(u32, bool); 7] =
        [(112, true), (64, false), (24, true), (8, true), (112, true), (32, false), (48, true)];

    fn malloc(is_shared: bool) -> Picolibc {
        let [start, top, list, end] = [0, 4, 8, 12].map(|offset| RAM.start() + offset);
        Picolibc { start, top, list, end: Some(end), is_shared, room: None }
    }

    /// That heap, and the words of sizes and of links.
    fn lay() -> (Bytes, Vec<u32>, Vec<u32>, u32) {
        let mut bytes = Bytes::new(RAM);
        let (mut at, mut link) = (START, RAM.start() + 8);
        let (mut sizes, mut links) = (Vec::new(), vec![link]);
        for (size, used) in SIZES {
            sizes.push(at);
            bytes.poke(at, size);
            if !used {
                bytes.poke(link, at);
                link = at + 4;
                links.push(link);
            }
            at += size;
        }
        for (offset, word) in [(0, START), (4, at), (12, at)] {
            bytes.poke(RAM.start() + offset, word);
        }
        (bytes, sizes, links, at)
    }

    #[test]
    fn picolibc_is_walked_and_no_flip_in_any_word_goes_unseen() {
        let (mut bytes, sizes, links, _) = lay();
        let found = walk(&malloc(false), &mut bytes).expect("it is set up");
        assert_eq!((found.damage.as_ref(), found.largest_free), (None, Some(56)));
        let bounded = Picolibc { room: Some(RAM), ..malloc(false) };
        assert_eq!((found.may_grow, walk(&bounded, &mut bytes).map(|walk| walk.may_grow)), (true, Some(false)));
        assert_eq!(
            told(&found),
            SIZES.map(|(size, used)| (if used { BlockState::Used } else { BlockState::Free }, size))
        );
        let all: Vec<u32> = sizes.iter().chain(&links).copied().collect();
        no_flip_goes_unseen(&malloc(false), &mut bytes, &all);
        damage_is_found(&malloc(false), &mut bytes, &sizes);
    }

    #[test]
    fn what_somebody_else_took_from_sbrk_is_no_damage() {
        let (mut bytes, sizes, _, end) = lay();
        // Behind all blocks, and in place of one.
        bytes.poke(RAM.start() + 12, end + 40);
        bytes.poke(sizes[2], 0xdead_beef);
        let found = walk(&malloc(true), &mut bytes).expect("it is set up");
        use BlockState::{Free, Stretch, Used};
        let expected =
            [(Used, 112), (Free, 64), (Stretch, 24), (Used, 8), (Used, 112), (Free, 32), (Used, 48), (Stretch, 40)];
        assert_eq!((told(&found), found.damage), (expected.to_vec(), None));
        bytes.poke(RAM.start() + 12, end);
        assert!(walk(&malloc(false), &mut bytes).is_some_and(|walk| walk.damage.is_some()), "nobody else calls it");
    }
}
