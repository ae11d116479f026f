//! Allocators as their own crates run them, on this machine: the walk of their memory is held against their own account
//! after each step.
//!
//! Their structures are made of words, and have twice the bytes here that they have on a target of 32 bits. So the image
//! that is walked has each word of the arena as one of four bytes: addresses are moved there, sizes are halved.

use std::alloc::Layout;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Duration;

use highwater::heap::linked_list::LinkedList;
use highwater::heap::tlsf::Tlsf as TlsfWalker;
use highwater::heap::{Walk, Walker};
use highwater::memory::Memory;
use highwater::model::snapshot::BlockState;
use highwater::region::Region;
use highwater::source::link::LinkCost;
use highwater::source::{CoreStatus, Counters, Description, ReadError, Source};
use linked_list_allocator::Heap;
use proptest::prelude::*;
use rlsf::Tlsf;

const BYTES: usize = 8192;
/// Where the arena is said to be.
const ARENA: Region = Region::new(0x2000_1000, BYTES as u32 / 2);
/// Where the allocator's statics are said to be.
const STATICS: u32 = 0x2000_0000;
/// Sizes have flags in the lowest bits of their word: these stay.
const FLAGS: u64 = 3;

#[repr(align(64))]
struct Arena([MaybeUninit<u64>; BYTES / 8]);

impl Arena {
    fn new() -> &'static mut Self {
        Box::leak(Box::new(Self([const { MaybeUninit::new(0) }; BYTES / 8])))
    }
}

/// What a target would have in its memory.
struct Image {
    base: usize,
    words: BTreeMap<u32, u32>,
}

impl Image {
    fn new(base: usize) -> Self {
        Self { base, words: BTreeMap::new() }
    }

    /// Where an address of the arena is on the target.
    fn address(&self, address: usize) -> u32 {
        ARENA.start() + u32::try_from((address - self.base) / 2).expect("it lies in the arena")
    }

    /// The word of the target for one of this machine.
    fn word(&self, word: u64) -> u32 {
        let inside = self.base as u64..=(self.base + BYTES) as u64;
        if inside.contains(&word) {
            return self.address(usize::try_from(word).expect("it is an address"));
        }
        u32::try_from(((word & !FLAGS) / 2) | (word & FLAGS)).unwrap_or(0)
    }

    fn copy(&mut self, to: u32, words: impl Iterator<Item = u64>) {
        for (word, index) in words.zip(0..) {
            let word = self.word(word);
            self.words.insert(to + 4 * index, word);
        }
    }

    fn copy_arena(&mut self) {
        let base = self.base as *const u64;
        // SAFETY: the arena is leaked, all of it was written, and nobody changes it meanwhile.
        self.copy(ARENA.start(), (0..BYTES / 8).map(|index| unsafe { base.add(index).read_volatile() }));
    }

    fn walk(&mut self, walker: &dyn Walker) -> Option<Walk> {
        walker.walk(&mut Memory::new(self, LinkCost::default(), 1 << 20))
    }
}

impl Source for Image {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        for (address, byte) in (range.start()..).zip(into) {
            let word = self
                .words
                .get(&(address & !3))
                .ok_or_else(|| ReadError::Unreadable { range, why: "nothing there".into() })?;
            *byte = word.to_le_bytes()[address as usize % 4];
        }
        Ok(())
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        Ok(CoreStatus::Running)
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        Ok(())
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn wait(&mut self, _time: Duration) {}

    fn describe(&self) -> Description {
        Description::default()
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}

/// One step of a random sequence: a size, a power of two to align to, which block to give back, whether to.
type Step = (usize, u32, prop::sample::Index, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((1usize..400, 0u32..7, any::<prop::sample::Index>(), any::<bool>()), 1..60)
}

/// Takes or gives back one block.
fn step(
    (size, align, which, give_back): Step,
    live: &mut Vec<(NonNull<u8>, Layout)>,
    take: impl FnOnce(Layout) -> Option<NonNull<u8>>,
    give: impl FnOnce((NonNull<u8>, Layout)),
) {
    if give_back && !live.is_empty() {
        give(live.swap_remove(which.index(live.len())));
    } else {
        let layout = Layout::from_size_align(size, 1 << align).expect("it is a layout");
        live.extend(take(layout).map(|block| (block, layout)));
    }
}

/// The blocks fill the arena without gap or overlap.
fn assert_tiles(walk: &Walk) {
    let mut at = u64::from(walk.ranges[0].start());
    for block in walk.blocks.iter() {
        assert_eq!(u64::from(block.range.start()), at);
        assert!(!block.range.is_empty() && block.range.covers(block.payload));
        at = block.range.end();
    }
    assert_eq!(at, walk.ranges[0].end());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn tlsf_is_walked_as_it_counts_itself(steps in steps()) {
        let arena = Arena::new();
        let base = arena.0.as_ptr().addr();
        // Neither end is where the allocator wants it.
        let given = NonNull::from(&mut arena.0[1..BYTES / 8 - 1]);
        let given = NonNull::slice_from_raw_parts(given.cast::<u8>(), BYTES - 16);
        // As many lists of each order as on a target, where a word has 32 bits.
        let mut heap: Tlsf<'static, usize, usize, 64, 32> = Tlsf::new();
        // SAFETY: the arena is leaked and nobody else's.
        let taken = unsafe { heap.insert_free_block_ptr(given) }.expect("it is large enough");
        let pool = NonNull::slice_from_raw_parts(given.cast::<u8>(), taken.get());
        let heap = RefCell::new(heap);
        let mut live = Vec::new();
        for one in steps {
            let take = |layout| heap.borrow_mut().allocate(layout);
            step(one, &mut live, take, |(block, layout)| {
                // SAFETY: each block came from this heap with this alignment, and is given back once.
                unsafe { heap.borrow_mut().deallocate(block, layout.align()) }
            });
            let mut image = Image::new(base);
            image.copy(STATICS, [given.as_ptr().addr() as u64, given.len() as u64].into_iter());
            image.copy_arena();
            let walk = image.walk(&TlsfWalker { pointer: STATICS, length: STATICS + 4 }).expect("it is set up");
            prop_assert_eq!(&walk.damage, &None);
            assert_tiles(&walk);
            let largest = 2 * walk.largest_free.expect("its rule is known") as usize;
            for (size, is_granted) in [(largest, true), (largest + 1, false)] {
                let layout = Layout::from_size_align(size, 8).expect("it is a layout");
                let got = if size == 0 { None } else { heap.borrow_mut().allocate(layout) };
                prop_assert_eq!(got.is_some(), is_granted && size > 0, "{} B of {:?}", size, walk.blocks);
                if let Some(block) = got {
                    // SAFETY: it came from this heap with this alignment, and is given back once.
                    unsafe { heap.borrow_mut().deallocate(block, layout.align()) }
                }
            }
            let heap = heap.borrow();
            // SAFETY: this is the pool that it was given, without what it could not use.
            let truth: Vec<(Region, bool)> = unsafe { heap.iter_blocks(pool) }
                .map(|block| {
                    let range = Region::new(image.address(block.as_ptr().addr().get()), block.size() as u32 / 2);
                    (range, block.is_occupied())
                })
                .collect();
            let told: Vec<(Region, bool)> = walk
                .blocks
                .iter()
                .filter(|block| block.state != BlockState::Own)
                .map(|block| (block.range, block.state == BlockState::Used))
                .collect();
            prop_assert_eq!(told, truth);
            for (block, layout) in &live {
                let wanted = Region::new(image.address(block.addr().get()), layout.size() as u32 / 2);
                let mut used = walk.blocks.iter().filter(|block| block.state == BlockState::Used);
                prop_assert!(used.any(|block| block.payload.covers(wanted)), "{:?}", wanted);
            }
        }
    }

    #[test]
    fn linked_list_is_walked_as_its_blocks_lie(steps in steps()) {
        let arena = Arena::new();
        let base = arena.0.as_ptr().addr();
        let mut heap = Heap::empty();
        // SAFETY: the arena is leaked and nobody else's.
        unsafe { heap.init(arena.0.as_mut_ptr().cast(), BYTES) };
        let words = |heap: &Heap| -> Vec<u64> {
            let words = std::ptr::from_ref(heap).cast::<u64>();
            // SAFETY: it lies there; padding is read as whatever it is.
            (0..size_of::<Heap>() / 8).map(|index| unsafe { words.add(index).read_volatile() }).collect()
        };
        // Rust orders the fields as it likes: a fresh heap has its bottom in two words, and the first call moves one.
        let place = |word: usize, words: &[u64]| words.iter().position(|held| *held == word as u64).expect("a field");
        let first = heap.allocate_first_fit(Layout::new::<[u64; 2]>()).expect("it is empty");
        let (bottom, next) = (place(base, &words(&heap)), place(base + 16, &words(&heap)));
        let top = place(base + BYTES, &words(&heap));
        // SAFETY: it came from this heap.
        unsafe { heap.deallocate(first, Layout::new::<[u64; 2]>()) };
        let offset = |word: usize| u32::try_from(4 * word).expect("a small offset");
        let walker = LinkedList {
            list: STATICS,
            first_next: offset(next),
            bottom: offset(bottom),
            top: offset(top),
            hole_size: 0,
            hole_next: 4,
        };
        let mut live = Vec::new();
        for one in steps {
            let cell = RefCell::new(&mut heap);
            step(one, &mut live, |layout| cell.borrow_mut().allocate_first_fit(layout).ok(), |(block, layout)| {
                // SAFETY: each block came from this heap with this layout, and is given back once.
                unsafe { cell.borrow_mut().deallocate(block, layout) }
            });
            let mut image = Image::new(base);
            image.copy(STATICS, words(&heap).into_iter());
            image.copy_arena();
            let walk = image.walk(&walker).expect("it is set up");
            prop_assert_eq!(&walk.damage, &None);
            assert_tiles(&walk);
            // What was asked for is rounded to words, and to the smallest hole.
            let used = live.iter().map(|(block, layout)| {
                let size = layout.size().max(16).next_multiple_of(8);
                Region::new(image.address(block.addr().get()), size as u32 / 2)
            });
            let used: Vec<Region> = used.collect();
            let free: Vec<Region> =
                walk.blocks.iter().filter(|block| block.state == BlockState::Free).map(|block| block.range).collect();
            prop_assert_eq!(free, ARENA.minus(&used));
            let told: u32 =
                walk.blocks.iter().filter(|block| block.state == BlockState::Stretch).map(|block| block.range.size()).sum();
            prop_assert_eq!(told as usize, heap.used() / 2);
        }
    }
}
