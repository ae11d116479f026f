//! The board's memories: words that the core writes and the debug port reads at the same time, without a lock.
//!
//! Every word is one atomic, so a word is never seen half-written, as on the bus of a real part. A store releases and
//! a load acquires, so that whoever sees the second of two stores also sees the first.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rsemu::core::error::BusError;
use rsemu::core::space::{MemAttrs, MemOps, MemResult};

use super::image::Image;
use super::watch::Watch;
use crate::region::Region;

/// What kind of memory lies in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryKind {
    /// Read-only for the core and for the debug port; a store is a bus fault. Only the flash controller changes it.
    /// Erased bytes are 0xff.
    Flash,
    /// Readable and writable; its content is random at power-on, and kept by a reset.
    Ram,
    /// Reads as zero, ignores writes: peripherals that are not modelled.
    Peripheral,
}

/// The vendor's window in the private peripheral bus (ARM DDI 0403 B3.1, table B3-1), up to the flash controller.
const VENDOR: Region = Region::new(0xe004_2000, 0x000b_c000);

/// One memory.
pub(crate) struct Bank {
    pub(crate) kind: MemoryKind,
    pub(crate) range: Region,
    words: Box<[AtomicU32]>,
    watch: Arc<Watch>,
}

impl Bank {
    fn new(kind: MemoryKind, range: Region, watch: Arc<Watch>) -> Self {
        let range = range.words();
        let (fill, count) = match kind {
            MemoryKind::Flash => (u32::MAX, range.size() / 4),
            MemoryKind::Ram => (0, range.size() / 4),
            MemoryKind::Peripheral => (0, 0),
        };
        Self { kind, range, words: (0..count).map(|_| AtomicU32::new(fill)).collect(), watch }
    }

    /// The word that holds the byte `offset` bytes into the bank.
    fn load(&self, offset: u32) -> u32 {
        match self.words.get((offset / 4) as usize) {
            Some(word) => word.load(Ordering::Acquire),
            None => 0,
        }
    }

    /// Replaces the bits of `mask` in the word at `offset` by those of `value`.
    fn store(&self, offset: u32, mask: u32, value: u32) {
        let Some(word) = self.words.get((offset / 4) as usize) else {
            return;
        };
        if mask == u32::MAX {
            word.store(value, Ordering::Release);
            return;
        }
        // Core and debug port may write bytes of one word at the same time; neither may lose the other's.
        let mut old = word.load(Ordering::Acquire);
        while let Err(now) =
            word.compare_exchange_weak(old, (old & !mask) | (value & mask), Ordering::AcqRel, Ordering::Acquire)
        {
            old = now;
        }
    }

    /// The bytes, for the emulator's own read-only copy of a flash.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.load(Ordering::Acquire).to_le_bytes()).collect()
    }
}

impl fmt::Debug for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.kind, self.range)
    }
}

/// The core's side. Accesses arrive aligned and 1, 2, 4 or 8 bytes wide.
impl MemOps for Bank {
    fn read(&self, offset: u64, into: &mut [u8], attrs: MemAttrs) -> MemResult {
        let offset = low(offset);
        if self.watch.reads_armed() && !attrs.is_fetch() {
            self.watch.read(self.range.start().wrapping_add(offset), into.len());
        }
        if let Ok(into) = <&mut [u8; 4]>::try_from(&mut *into) {
            *into = self.load(offset).to_le_bytes();
            return Ok(());
        }
        for (byte, at) in into.iter_mut().zip(offset..) {
            *byte = self.load(at).to_le_bytes()[(at % 4) as usize];
        }
        Ok(())
    }

    fn write(&self, offset: u64, from: &[u8], _: MemAttrs) -> MemResult {
        let offset = low(offset);
        if self.kind == MemoryKind::Flash {
            return Err(BusError::Protected);
        }
        if let Ok(bytes) = <[u8; 4]>::try_from(from) {
            self.store(offset, u32::MAX, u32::from_le_bytes(bytes));
        } else if let Ok([low, high]) = <[u8; 2]>::try_from(from) {
            let lane = offset % 4 * 8;
            self.store(offset, 0xffff << lane, u32::from(u16::from_le_bytes([low, high])) << lane);
        } else {
            for (byte, at) in from.iter().zip(offset..) {
                let lane = at % 4 * 8;
                self.store(at, 0xff << lane, u32::from(*byte) << lane);
            }
        }
        if self.watch.writes_armed() {
            self.watch.write(self.range.start().wrapping_add(offset), from);
        }
        Ok(())
    }
}

/// Offsets inside a bank fit in 32 bits, because the address space does.
#[expect(clippy::cast_possible_truncation, reason = "a bank lies in the 32-bit address space")]
fn low(offset: u64) -> u32 {
    offset as u32
}

/// All memories of a board. Private peripherals (`0xE000_0000` on) are not memory.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) banks: Vec<Arc<Bank>>,
    /// What the part's vendor has between the core's private peripherals; the debug port does not reach it here.
    pub(crate) vendor: Arc<Bank>,
    pub(crate) watch: Arc<Watch>,
    /// Flash was erased or programmed since the core last took its content over.
    flash_changed: AtomicBool,
}

impl Memory {
    pub(crate) fn new(map: &[(MemoryKind, Region)], image: &Image, watch: Watch) -> Self {
        let watch = Arc::new(watch);
        let bank = |(kind, range): &(MemoryKind, Region)| Arc::new(Bank::new(*kind, *range, Arc::clone(&watch)));
        let vendor = bank(&(MemoryKind::Peripheral, VENDOR));
        let memory = Self {
            banks: map.iter().map(bank).collect(),
            vendor,
            watch: Arc::clone(&watch),
            flash_changed: AtomicBool::new(false),
        };
        memory.load(image, MemoryKind::Flash);
        memory
    }

    fn bank(&self, address: u32) -> Option<(&Bank, u32)> {
        self.banks.iter().find_map(|bank| Some((&**bank, bank.range.offset_of(address)?)))
    }

    /// The aligned word that holds `address`, as the debug port reads it: no lock, no side effect.
    pub(crate) fn word(&self, address: u32) -> Option<u32> {
        self.bank(address).map(|(bank, offset)| bank.load(offset))
    }

    /// The debug port's write: the bits of `mask` in the word that holds `address`. Flash refuses.
    pub(crate) fn set_word(&self, address: u32, mask: u32, value: u32) -> bool {
        match self.bank(address) {
            Some((bank, offset)) if bank.kind != MemoryKind::Flash => {
                bank.store(offset, mask, value);
                true
            }
            _ => false,
        }
    }

    /// Programs the flash word at `address`: bits can be cleared, and only an erase sets them. `false` where there is no
    /// flash, or where a bit would have to be set.
    pub(crate) fn program(&self, address: u32, value: u32) -> bool {
        let Some((bank, offset)) = self.flash(address) else { return false };
        let old = bank.load(offset);
        bank.store(offset, u32::MAX, old & value);
        self.flash_changed.store(true, Ordering::Release);
        old & value == value
    }

    /// Erases the sector of `size` bytes that holds `address`, counted from the bank's start. `false` where there is no
    /// flash.
    pub(crate) fn erase(&self, address: u32, size: u32) -> bool {
        let Some((bank, offset)) = self.flash(address) else { return false };
        let first = offset - offset % size;
        for offset in (first..bank.range.size().min(first.saturating_add(size))).step_by(4) {
            bank.store(offset, u32::MAX, u32::MAX);
        }
        self.flash_changed.store(true, Ordering::Release);
        true
    }

    /// Whether flash has changed; asks once.
    pub(crate) fn take_flash_change(&self) -> bool {
        self.flash_changed.swap(false, Ordering::AcqRel)
    }

    fn flash(&self, address: u32) -> Option<(&Bank, u32)> {
        self.bank(address).filter(|(bank, _)| bank.kind == MemoryKind::Flash)
    }

    /// What the RAM holds after power-on: a pattern that is random but the same for the same seed, then what the
    /// image loads into RAM, then the poked words.
    pub(crate) fn power_on(&self, seed: u64, image: &Image, pokes: &[(u32, u32)]) {
        let mut random = SplitMix(seed);
        for bank in self.banks.iter().filter(|bank| bank.kind == MemoryKind::Ram) {
            for word in &bank.words {
                word.store(random.next(), Ordering::Release);
            }
        }
        self.load(image, MemoryKind::Ram);
        for (address, value) in pokes {
            self.set_word(*address, u32::MAX, *value);
        }
    }

    fn load(&self, image: &Image, kind: MemoryKind) {
        for bank in self.banks.iter().filter(|bank| bank.kind == kind) {
            for segment in &image.segments {
                let shared = segment.range().intersection(bank.range);
                let at = |region: Region| Some((region, segment.range().offset_of(region.start())? as usize));
                let Some((shared, skipped)) = shared.and_then(at) else {
                    continue;
                };
                let first = bank.range.offset_of(shared.start()).unwrap_or(0);
                let bytes = &segment.bytes[skipped..skipped + shared.size() as usize];
                for (byte, offset) in bytes.iter().zip(first..) {
                    let lane = offset % 4 * 8;
                    bank.store(offset, 0xff << lane, u32::from(*byte) << lane);
                }
            }
        }
    }
}

/// The splitmix64 generator (Steele, Lea and Flood, OOPSLA 2014): short, seedable, and good enough for noise.
struct SplitMix(u64);

impl SplitMix {
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is dropped on purpose")]
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as u32
    }
}
