//! What the host finds in a block, word by word.

use highwater_agent::{Block, Full, Region, RegionKind, Thread, ThreadKind, ThreadState, layout};
use layout::{header, heap, mark, region, thread};

/// Every word of a block, read as the host reads it.
fn words<const T: usize, const H: usize, const R: usize>(block: &'static Block<T, H, R>) -> Vec<u32> {
    let end = 16 + heap::WORDS * H + 2 * T + 2 + 6 * T + 2 + 5 * R;
    // SAFETY: the block is a static that holds that many words, all of them atomic.
    (0..end)
        .map(|index| unsafe { &*(&raw const *block).cast::<std::sync::atomic::AtomicU32>().add(index) })
        .map(|word| word.load(std::sync::atomic::Ordering::Relaxed))
        .collect()
}

fn at(words: &[u32], table: usize) -> usize {
    layout::table_offset(words[table]) as usize / 4
}

#[test]
fn the_header_says_where_everything_is() {
    static BLOCK: Block<3, 2, 4> = Block::new();
    assert!(words(&BLOCK).iter().all(|word| *word == 0), "no flash is spent on it");
    assert_eq!(BLOCK.init([7, 8]), 1);
    let found = words(&BLOCK);
    assert_eq!(found[header::MAGIC], layout::MAGIC);
    assert_eq!(found[header::ABI], layout::ABI);
    assert_eq!(found[header::SIZE] as usize, size_of_val(&BLOCK));
    assert_eq!(&found[header::BUILD_ID_LOW..=header::BUILD_ID_HIGH], &[7, 8]);
    assert_eq!(found[header::PAINT], layout::PAINT);
    assert_eq!(at(&found, header::HEAPS), header::WORDS);
    assert_eq!(layout::table_offset(found[header::HEAPS]) % 32, 0);
    assert_eq!(at(&found, header::MARKS), 16 + 2 * heap::WORDS);
    assert_eq!(at(&found, header::THREADS), 16 + 2 * heap::WORDS + 3 * mark::WORDS);
    assert_eq!(layout::table_count(found[header::REGIONS]), 4);
    assert_eq!(layout::table_stride(found[header::REGIONS]) as usize, 4 * region::WORDS);
    assert_eq!((&raw const BLOCK).addr() % 64, 0);
}

#[test]
fn starts_are_counted_and_what_was_before_is_forgotten() {
    static BLOCK: Block<1, 1, 1> = Block::new();
    assert_eq!(BLOCK.init([0; 2]), 1);
    BLOCK.heap::<0>().on_alloc(10);
    BLOCK.register_thread(&Thread::new(c"a", ThreadKind::Main, 64, 64)).unwrap();
    assert_eq!(BLOCK.init([0; 2]), 2);
    let found = words(&BLOCK);
    assert_eq!(found[header::BOOTS], 2);
    assert!(found[header::WORDS..].iter().all(|word| *word == 0));
}

#[test]
fn a_thread_comes_and_goes() {
    static BLOCK: Block<2, 0, 0> = Block::new();
    BLOCK.init([0; 2]);
    let first = BLOCK.register_thread(&Thread::new(c"a", ThreadKind::Main, 0x100, 64).painted()).unwrap();
    let id = BLOCK.register_thread(&Thread::new(c"b", ThreadKind::User, 0x200, 128).priority(9).entry(0x2643)).unwrap();
    let refused = BLOCK.register_thread(&Thread::new(c"c", ThreadKind::User, 0x300, 64));
    assert_eq!(refused, Err(Full));
    BLOCK.set_state(id, ThreadState::Delayed);
    BLOCK.set_running(Some(first));
    for sp in [0x260, 0x220, 0x240] {
        BLOCK.on_switch(id, sp);
    }

    let found = words(&BLOCK);
    let slot = &found[at(&found, header::THREADS) + 1 + thread::WORDS..][..thread::WORDS];
    assert_eq!(slot[thread::TAG], layout::LIVE);
    assert_eq!((slot[thread::BASE], slot[thread::SIZE], slot[thread::ENTRY]), (0x200, 128, 0x2643));
    let info = ThreadKind::User as u32 | (ThreadState::Delayed as u32) << 8 | 9 << 16;
    assert_eq!(slot[thread::INFO], info);
    assert_eq!(found[at(&found, header::THREADS) + 1 + thread::INFO], ThreadKind::Main as u32 | layout::PAINTED);
    assert_eq!(found[at(&found, header::THREADS) + 1 + thread::ENTRY], 0, "unknown");
    let marks = at(&found, header::MARKS) + mark::WORDS;
    assert_eq!((found[marks + mark::LOWEST], found[marks + mark::SAVED]), (0x220, 0x240));
    assert_eq!((found[header::RUNNING], found[header::REFUSED]), (1, 1));

    assert!(BLOCK.retire_thread(id));
    assert!(!BLOCK.retire_thread(id), "it is gone");
    let newer = BLOCK.register_thread(&Thread::new(c"d", ThreadKind::User, 0x400, 64)).unwrap();
    assert_eq!(newer.index(), id.index());
    assert!(!BLOCK.retire_thread(id), "the slot is another thread's");
    BLOCK.on_switch(id, 0x210);
    BLOCK.set_priority(id, 1);
    BLOCK.set_priority(first, 255);
    let found = words(&BLOCK);
    let slot = &found[at(&found, header::THREADS) + 1 + thread::WORDS..][..thread::WORDS];
    assert_eq!((slot[thread::TAG], slot[thread::INFO]), (layout::LIVE | 1, ThreadKind::User as u32));
    assert_eq!(&found[marks..marks + 2], &[0, 0]);
    let table = at(&found, header::THREADS);
    let painted = ThreadKind::Main as u32 | 255 << 16 | layout::PAINTED;
    assert_eq!(found[table + 1 + thread::INFO], painted, "a priority leaves the flag alone");
    assert_eq!(found[table], 4, "two registrations, one retirement, one registration");
    assert_eq!(found[table + 1 + 2 * thread::WORDS], 4);
}

#[test]
fn regions_and_heaps_share_a_table() {
    static BLOCK: Block<0, 2, 2> = Block::new();
    BLOCK.init([0; 2]);
    let buffer = BLOCK.register_region(&Region::new(c"rx", RegionKind::Buffer, 0x10, 520)).unwrap();
    BLOCK.register_heap::<1>(c"heap", 0x1000, 4096).unwrap();
    assert!(BLOCK.register_heap::<0>(c"more", 0, 0).is_err());
    let found = words(&BLOCK);
    let slot = &found[at(&found, header::REGIONS) + 1 + region::WORDS..][..region::WORDS];
    assert_eq!(slot[region::INFO], RegionKind::Heap as u32 | 1 << 8);
    assert_eq!((slot[region::BASE], slot[region::SIZE]), (0x1000, 4096));
    assert!(BLOCK.retire_region(buffer));
    assert!(!BLOCK.retire_region(buffer));
}
