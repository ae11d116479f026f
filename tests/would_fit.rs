//! "Would it fit?" is what the allocator itself says, for every size.

mod common;

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Duration;

use common::{Demo, INSTANT};
use highwater::heap::fit::{Fit, Rule};
use highwater::model::question::Demand;
use highwater::region::Region;
use linked_list_allocator::Heap;
use proptest::prelude::*;

/// The allocator on this machine: its words have eight bytes, and the rule is the same but for that.
const HERE: Rule = Rule::LinkedList { word: size_of::<usize>() as u32 };
const BYTES: usize = 2048;
/// Where the heap is said to be, aligned as its memory is.
const START: u32 = 0x2000_0000;

#[repr(align(4096))]
struct Memory([MaybeUninit<u8>; BYTES]);

struct Real {
    heap: Heap,
    bottom: *mut u8,
    blocks: Vec<(NonNull<u8>, Layout)>,
}

impl Real {
    fn new() -> Self {
        let memory = Box::leak(Box::new(Memory([MaybeUninit::uninit(); BYTES])));
        let mut heap = Heap::empty();
        heap.init_from_slice(&mut memory.0);
        let bottom = heap.bottom();
        Self { heap, bottom, blocks: Vec::new() }
    }

    fn address(&self, block: NonNull<u8>) -> u32 {
        START + u32::try_from(block.as_ptr().addr() - self.bottom.addr()).expect("it lies in the heap")
    }

    fn range(&self, (block, layout): (NonNull<u8>, Layout)) -> Region {
        let size = HERE.rounded(u32::try_from(layout.size()).unwrap()).unwrap();
        Region::new(self.address(block), size)
    }

    /// What is free: all that is no block.
    fn holes(&self) -> Vec<Region> {
        let blocks: Vec<Region> = self.blocks.iter().map(|block| self.range(*block)).collect();
        Region::new(START, u32::try_from(self.heap.size()).unwrap()).minus(&blocks)
    }

    fn free(&mut self, (block, layout): (NonNull<u8>, Layout)) {
        // SAFETY: the block came from this heap with this layout, and is given back once.
        unsafe { self.heap.deallocate(block, layout) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_answer_is_the_allocators_for_every_size(
        steps in proptest::collection::vec((1usize..200, 0u32..6, any::<prop::sample::Index>(), any::<bool>()), 1..60),
        pairs in proptest::collection::vec((1..BYTES, 1usize..200), 20),
    ) {
        let mut real = Real::new();
        for (size, align, which, give_back) in steps {
            if give_back && !real.blocks.is_empty() {
                let at = which.index(real.blocks.len());
                let block = real.blocks.swap_remove(at);
                real.free(block);
            } else {
                let layout = Layout::from_size_align(size, 1 << align).unwrap();
                if let Ok(block) = real.heap.allocate_first_fit(layout) {
                    real.blocks.push((block, layout));
                }
            }
        }
        let holes = real.holes();
        let blocks: Vec<Region> = real.blocks.iter().map(|block| real.range(*block)).collect();
        for align in [1, 8, 64] {
            for size in 1..=BYTES + 16 {
                let layout = Layout::from_size_align(size, align).unwrap();
                let told = HERE.fit(&holes, &blocks, size as u32, align as u32);
                let really = real.heap.allocate_first_fit(layout).ok();
                let at = really.map(|block| real.address(block));
                if let Some(block) = really {
                    real.free((block, layout));
                }
                let expected = match told {
                    Fit::Yes { at, .. } => Some(at.start()),
                    _ => None,
                };
                prop_assert_eq!(at, expected, "{} aligned to {} in {:?}: {:?}", size, align, &holes, told);
                if let Fit::No { in_the_way: Some(block), .. } = told {
                    let index = real.blocks.iter().position(|known| real.range(*known) == block).expect("it is a block");
                    let gone = real.blocks.swap_remove(index);
                    let fits = matches!(HERE.fit(&real.holes(), &[], size as u32, align as u32), Fit::Yes { .. });
                    real.blocks.push(gone);
                    prop_assert!(fits, "without it there is room");
                }
            }
        }
        // A thread needs two: its stack, and then its control block.
        for (first, second) in pairs {
            let layout = |size| Layout::from_size_align(size, 8).unwrap();
            let told = HERE.fit_all(holes.clone(), &blocks, &[first as u32, second as u32], 8);
            let really: Vec<_> = [first, second]
                .into_iter()
                .map_while(|size| Some((real.heap.allocate_first_fit(layout(size)).ok()?, layout(size))))
                .collect();
            let both = really.len() == 2;
            for block in really {
                real.free(block);
            }
            prop_assert_eq!(both, matches!(told, Fit::Yes { .. }), "{} and {} in {:?}: {:?}", first, second, &holes, told);
        }
        for block in std::mem::take(&mut real.blocks) {
            real.free(block);
        }
    }
}

#[test]
fn in_the_fragmented_heap_of_the_demo_much_is_free_and_little_fits() {
    let mut demo = Demo::new(3, 1, INSTANT, Some(30.0));
    demo.watch_until(Duration::from_secs(12));
    let heap = &demo.model.snapshot.heaps[0];
    let (free, largest) = (heap.free().expect("holes are known"), heap.largest_free.expect("holes are known").bytes);
    assert!(free > 4 * largest, "{free} B free, {largest} B in one piece");
    assert!(matches!(heap.fit(Demand::of(largest + 4), 4), Fit::No { .. }));
    assert!(matches!(heap.fit(Demand::of(free + 1), 4), Fit::TooLarge { .. }));
    let Fit::No { in_the_way: Some(block), .. } = heap.fit(Demand::of(largest + 8), 4) else {
        panic!("two holes and a block would do")
    };
    let live = heap.block_at(block.start()).expect("it is a block");
    assert_eq!(heap.owners.as_ref().expect("they have owners")[live.owner].site.short(), "fragment");
}
