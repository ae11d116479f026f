//! The block itself: the one static that the host reads.

use core::ffi::CStr;
use core::hint::black_box;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::heap::HeapCounters;
use crate::layout::{self, ThreadState, header, mark, region, thread};
use crate::region::{Region, RegionId};
use crate::table::{Full, Handle, Table};
use crate::thread::{Thread, ThreadId};
use crate::{critical, layout::table};

/// Declares the block, under the symbols the host looks for: `HIGHWATER` and `HIGHWATER_BUILD_ID`.
///
/// The numbers say how many threads (stacks), heaps and named regions it has room for; each heap needs a region too.
/// Both statics stay in the firmware when nothing calls the agent, also through link-time optimisation.
///
/// With `section`, the block goes to a section of its own. In one that the startup code does not clear, such as
/// cortex-m-rt's `.uninit`, the block counts the starts of the firmware:
///
/// ```
/// highwater_agent::block!(threads: 4, heaps: 1, regions: 3, section: ".uninit.HIGHWATER");
/// ```
///
/// The build id comes from the environment variable `HIGHWATER_BUILD_ID` at build time (a build script sets it with
/// `cargo::rustc-env`), else from the crate's name and version.
///
/// # Cost
///
/// RAM, rounded up to 64 bytes: 80 + 32 for each thread + 40 for each heap + 20 for each region. 8 bytes of flash.
#[macro_export]
macro_rules! block {
    (threads: $threads:expr, heaps: $heaps:expr, regions: $regions:expr $(, section: $section:literal)? $(,)?) => {
        /// The block in RAM that highwater reads.
        #[unsafe(no_mangle)]
        $(#[unsafe(link_section = $section)])?
        #[used]
        pub static HIGHWATER: $crate::Block<{ $threads }, { $heaps }, { $regions }> = $crate::Block::new();

        /// Which build this is; the host compares it with the block's.
        #[unsafe(no_mangle)]
        #[used]
        pub static HIGHWATER_BUILD_ID: [u32; 2] = $crate::build_id(
            ::core::option_env!("HIGHWATER_BUILD_ID"),
            ::core::env!("CARGO_PKG_NAME"),
            ::core::env!("CARGO_PKG_VERSION"),
        );
    };
}

/// The block, with room for so many threads, heaps and regions, each at most 255. Declare it with
/// [`block!`](crate::block); its words are described in [`layout`].
///
/// All of its functions may be called from threads and from interrupts, except where one says otherwise.
#[repr(C, align(64))]
pub struct Block<const THREADS: usize, const HEAPS: usize, const REGIONS: usize> {
    header: [AtomicU32; header::WORDS],
    heaps: [HeapCounters; HEAPS],
    marks: [[AtomicU32; mark::WORDS]; THREADS],
    threads: Table<THREADS, { thread::WORDS }>,
    regions: Table<REGIONS, { region::WORDS }>,
}

impl<const THREADS: usize, const HEAPS: usize, const REGIONS: usize> Block<THREADS, HEAPS, REGIONS> {
    /// A block that [`init`](Self::init) has not seen yet: all zero, so that it costs no flash.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a block is a static, and only a constant can make one")]
    pub const fn new() -> Self {
        Self {
            header: [const { AtomicU32::new(0) }; header::WORDS],
            heaps: [const { HeapCounters::new() }; HEAPS],
            marks: [const { [const { AtomicU32::new(0) }; mark::WORDS] }; THREADS],
            threads: Table::new(),
            regions: Table::new(),
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "`table` keeps blocks below 64 KiB")]
    const SIZE: u32 = size_of::<Self>() as u32;

    /// Makes the block ready, and counts this start of the firmware. Gives the number of starts.
    ///
    /// Call it once, before the first allocation and before any other function of the block: what was registered or
    /// counted before is forgotten. The magic word is written last, so that the host sees a block that is whole or
    /// none. It is kept inverted in flash: a search of memory for it finds the block only.
    ///
    /// # Cost
    ///
    /// 192 bytes of flash, 52 of them a constant; 4 instructions for each word of the block and about 100 more.
    /// Interrupts stay as they are.
    #[allow(clippy::must_use_candidate, reason = "most firmwares do not care which start this is")]
    pub fn init(&'static self, build_id: [u32; 2]) -> u32 {
        let magic = black_box(!layout::MAGIC);
        let word = |index: usize| &self.header[index];
        let known = word(header::MAGIC).load(Relaxed) == !magic && word(header::SIZE).load(Relaxed) == Self::SIZE;
        let boots = if known { word(header::BOOTS).load(Relaxed).wrapping_add(1) } else { 1 };
        word(header::MAGIC).store(0, Relaxed);
        critical::publish();

        for cell in self.words() {
            cell.store(0, Relaxed);
        }
        for (cell, value) in self.header.iter().zip(&Self::HEADER) {
            cell.store(*value, Relaxed);
        }
        word(header::BUILD_ID_LOW).store(build_id[0], Relaxed);
        word(header::BUILD_ID_HIGH).store(build_id[1], Relaxed);
        word(header::BOOTS).store(boots, Relaxed);

        critical::publish();
        word(header::MAGIC).store(!magic, Relaxed);
        boots
    }

    /// The words that are the same at each start, without the magic word.
    const HEADER: [u32; header::REGIONS + 1] = {
        let mut words = [0; header::REGIONS + 1];
        words[header::ABI] = layout::ABI;
        words[header::SIZE] = Self::SIZE;
        words[header::PAINT] = layout::PAINT;
        words[header::HEAPS] = table(offset_of!(Self, heaps), size_of::<HeapCounters>(), HEAPS);
        words[header::MARKS] = table(offset_of!(Self, marks), 4 * mark::WORDS, THREADS);
        words[header::THREADS] = table(offset_of!(Self, threads), 4 * thread::WORDS, THREADS);
        words[header::REGIONS] = table(offset_of!(Self, regions), 4 * region::WORDS, REGIONS);
        words
    };

    /// Every word of the block but the padding at its end.
    #[inline(always)]
    fn words(&self) -> &[AtomicU32] {
        let bytes = offset_of!(Self, regions) + size_of_val(&self.regions);
        // SAFETY: the struct is `repr(C)` and up to the end of its last field it holds words only.
        unsafe { core::slice::from_raw_parts((&raw const *self).cast(), bytes / size_of::<AtomicU32>()) }
    }

    /// Shows the host that the firmware runs. Call it from one place that is reached now and then, such as the tick.
    ///
    /// # Cost
    ///
    /// 20 bytes of flash, 8 instructions with the call. Interrupts stay as they are.
    #[inline]
    pub fn heartbeat(&self) {
        let beats = &self.header[header::HEARTBEAT];
        beats.store(beats.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Registers a thread and its stack. Its marks start empty and its state unknown.
    ///
    /// # Errors
    ///
    /// [`Full`] when the block has room for no more; the refusal is counted in the block.
    ///
    /// # Cost
    ///
    /// 134 bytes of flash; 65 instructions and 8 for each slot in use before the free one, most of them with interrupts
    /// masked.
    pub fn register_thread(&self, thread: &Thread) -> Result<ThreadId, Full> {
        critical::with(|| self.counted(self.threads.claim(&thread.0)).map(ThreadId))
    }

    /// Takes a thread out of the block, when it has ended and its stack may go. Says whether `id` still named one.
    ///
    /// # Cost
    ///
    /// 122 bytes of flash, at most 42 instructions with interrupts masked.
    pub fn retire_thread(&self, id: ThreadId) -> bool {
        critical::with(|| {
            let Some(index) = self.threads.release(id.0) else { return false };
            // The marks are cleared here and not when the slot is used again: the host reads them before the table,
            // and must not take the old thread's for the new one's.
            if let Some([lowest, saved]) = self.marks.get(index) {
                lowest.store(0, Relaxed);
                saved.store(0, Relaxed);
            }
            true
        })
    }

    /// Says what a thread is doing. Ignored when `id` names no thread any more.
    ///
    /// # Cost
    ///
    /// 66 bytes of flash, 24 instructions, most of them with interrupts masked.
    #[inline]
    pub fn set_state(&self, id: ThreadId, state: ThreadState) {
        self.change_info(id, 0xff << 8, (state as u32) << 8);
    }

    /// Says which priority a thread has now. Ignored when `id` names no thread any more.
    ///
    /// # Cost
    ///
    /// As [`set_state`](Self::set_state).
    #[inline]
    pub fn set_priority(&self, id: ThreadId, priority: u8) {
        self.change_info(id, 0xff << 16, u32::from(priority) << 16);
    }

    fn change_info(&self, id: ThreadId, mask: u32, bits: u32) {
        critical::with(|| {
            if let Some(slot) = self.threads.live(id.0) {
                // One word changes, so the frame's counters need not.
                let info = &slot[thread::INFO];
                info.store(info.load(Relaxed) & !mask | bits, Relaxed);
            }
        });
    }

    /// Says which thread runs; `None` when none does. For the kernel's context switch.
    ///
    /// # Cost
    ///
    /// 20 bytes of flash, 8 instructions. Interrupts stay as they are.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "an index is at most 254")]
    pub fn set_running(&self, id: Option<ThreadId>) {
        self.header[header::RUNNING].store(id.map_or(0, |id| id.index() as u32 + 1), Relaxed);
    }

    /// Records the stack pointer of the thread that is switched out. Optional, for the kernel's context switch, after
    /// the thread's registers are saved; not to be called for one thread from two places at once.
    ///
    /// # Cost
    ///
    /// 68 bytes of flash, 25 instructions, in each context switch that calls it. Interrupts stay as they are.
    #[inline]
    pub fn on_switch(&self, out: ThreadId, sp: u32) {
        if self.threads.live(out.0).is_none() {
            return;
        }
        if let Some([lowest, saved]) = self.marks.get(out.index()) {
            // Zero stands for "never", and one less than zero is above every stack pointer.
            if sp <= lowest.load(Relaxed).wrapping_sub(1) {
                lowest.store(sp, Relaxed);
            }
            saved.store(sp, Relaxed);
        }
    }

    /// Registers a region of memory by name.
    ///
    /// # Errors
    ///
    /// [`Full`] when the block has room for no more; the refusal is counted in the block.
    ///
    /// # Cost
    ///
    /// As [`register_thread`](Self::register_thread).
    pub fn register_region(&self, region: &Region) -> Result<RegionId, Full> {
        critical::with(|| self.counted(self.regions.claim(&region.0)).map(RegionId))
    }

    /// Registers the memory of heap `N`, the one whose counters are [`heap::<N>`](Self::heap). A heap that consists of
    /// several pieces is registered piece by piece.
    ///
    /// # Errors
    ///
    /// [`Full`] when the block has room for no more regions; the refusal is counted in the block.
    ///
    /// # Cost
    ///
    /// As [`register_thread`](Self::register_thread).
    pub fn register_heap<const N: u8>(&self, name: &'static CStr, base: u32, size: u32) -> Result<RegionId, Full> {
        const { assert!((N as usize) < HEAPS, "the block has no such heap") };
        self.register_region(&Region::of_heap(name, N, base, size))
    }

    /// Takes a region out of the block, before its memory is given back. Says whether `id` still named one.
    ///
    /// # Cost
    ///
    /// As [`retire_thread`](Self::retire_thread).
    pub fn retire_region(&self, id: RegionId) -> bool {
        critical::with(|| self.regions.release(id.0).is_some())
    }

    /// The counters of heap `N`, for [`Tracked`](crate::Tracked) or for hooks in another allocator. That the block has
    /// such a heap is checked when the firmware is built.
    ///
    /// # Cost
    ///
    /// None: it is an address.
    #[must_use]
    pub const fn heap<const N: u8>(&'static self) -> &'static HeapCounters {
        const { assert!((N as usize) < HEAPS, "the block has no such heap") };
        &self.heaps[N as usize]
    }

    /// Counts a claim that found no slot.
    #[inline(always)]
    fn counted(&self, claimed: Option<Handle>) -> Result<Handle, Full> {
        claimed.ok_or_else(|| {
            let refused = &self.header[header::REFUSED];
            refused.store(refused.load(Relaxed).wrapping_add(1), Relaxed);
            Full
        })
    }
}
