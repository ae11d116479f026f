//! A reader that goes through the block as a debug port does, word by word upwards, while a writer changes it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::thread;

use highwater_agent::{Block, Thread, ThreadKind, layout};

static BLOCK: Block<2, 1, 1> = Block::new();

/// Reads `words` words of the block from `offset` bytes on, in ascending order and each one whole.
fn burst<const WORDS: usize>(offset: u32) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    for (index, word) in words.iter_mut().enumerate() {
        // SAFETY: the block is a static that holds atomic words only, and the tables lie within it.
        let cell = unsafe { &*(&raw const BLOCK).cast::<AtomicU32>().add(offset as usize / 4 + index) };
        *word = cell.load(Ordering::Relaxed);
        // A debug port completes one read before it starts the next.
        fence(Ordering::Acquire);
    }
    words
}

fn table(word: usize) -> u32 {
    let header: [u32; layout::header::WORDS] = burst(0);
    layout::table_offset(header[word])
}

#[test]
fn no_torn_frame_is_accepted_and_plain_reads_are_torn() {
    const STEP: u32 = 24;
    let wanted = if cfg!(miri) { 20 } else { 20_000 };
    BLOCK.init([1, 2]);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let heap = BLOCK.heap::<0>();
            let mut size = 4;
            while !stop.load(Ordering::Relaxed) {
                heap.on_alloc(STEP);
                heap.on_free(STEP);
                // A thread whose words all follow from one number.
                size += 4;
                let thread = Thread::new(c"hammer", ThreadKind::User, size * 2, size);
                let id = BLOCK.register_thread(&thread).expect("a slot is free");
                assert!(BLOCK.retire_thread(id));
            }
        });

        let heaps = table(layout::header::HEAPS);
        let threads = table(layout::header::THREADS);
        let (mut accepted, mut torn, mut tries) = (0u32, 0u32, 0u64);
        // Both are wanted: frames that hold together, and proof that a reader without the counters would be fooled.
        while (accepted < wanted || torn == 0) && tries < 50_000_000 {
            tries += 1;
            let frame: [u32; layout::heap::WORDS] = burst(heaps);
            let whole = frame[layout::heap::ALLOCATED] == frame[layout::heap::ALLOCS].wrapping_mul(STEP)
                && frame[layout::heap::FREED] == frame[layout::heap::FREES].wrapping_mul(STEP)
                && frame[layout::heap::ALLOCS].wrapping_sub(frame[layout::heap::FREES]) <= 1;
            let guarded = frame[layout::heap::FIRST] == frame[layout::heap::LAST];
            assert!(whole || !guarded, "a torn heap frame was accepted: {frame:?}");
            accepted += u32::from(guarded);
            torn += u32::from(!whole);

            let frame: [u32; 2 + 2 * layout::thread::WORDS] = burst(threads);
            let slot = &frame[1..=layout::thread::WORDS];
            let whole = slot[layout::thread::BASE] == slot[layout::thread::SIZE].wrapping_mul(2);
            let guarded = frame[0] == frame[frame.len() - 1];
            assert!(whole || !guarded, "a torn thread table was accepted: {frame:?}");
            if cfg!(miri) {
                thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(accepted >= wanted, "only {accepted} frames held together");
        assert!(torn > 0, "no read was torn, so this test shows nothing");
    });
}
