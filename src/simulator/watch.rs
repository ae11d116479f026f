//! What happens when the core touches certain addresses: the DWT's data comparators, and the board's own store watch.
//!
//! Both are checked in the memory's access path behind one flag each, so that they cost nothing while unarmed. The
//! debug port's own accesses are not checked, as on silicon.
//!
//! Sources: ARM DDI 0403 C1.8 (v7-M: `DWT_COMPn`, `DWT_MASKn`, `DWT_FUNCTIONn`), ARM DDI 0553 D1.2.56 and following
//! (v8-M: the function register's other layout, and ranges from linked pairs).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::locked;
use crate::region::Region;

/// How many comparators the emulated DWT has.
pub(crate) const COMPARATORS: usize = 4;

/// `DWT_FUNCTIONn.ID` of each comparator on v8-M.
const IDS: [u32; COMPARATORS] = [0b01011, 0b11110, 0b01010, 0b11110];

/// `DWT_FUNCTIONn.MATCHED`: set by a match, cleared by a read of the register (ARM DDI 0403 C1.8.17).
const MATCHED: u32 = 1 << 24;

/// A store into a watched range, seen at the instruction that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreHit {
    /// Address of the instruction; for the stacking of an exception, of the instruction that was interrupted.
    pub pc: u32,
    /// The stack pointer in use once the instruction was done.
    pub sp: u32,
    /// The first byte that was written.
    pub address: u32,
    /// What was written, in its low bytes.
    pub value: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Comparator {
    comp: u32,
    mask: u32,
    function: u32,
    matched: bool,
}

/// The addresses a comparator answers to, as last programmed.
#[derive(Clone, Copy, Debug)]
struct Armed {
    index: usize,
    /// First and last address.
    span: (u32, u32),
    reads: bool,
    writes: bool,
    halts: bool,
}

#[derive(Debug, Default)]
struct State {
    comparators: [Comparator; COMPARATORS],
    /// `DEMCR.TRCENA`: without it no comparator matches (ARM DDI 0403 C1.6.5).
    enabled: bool,
    armed: Vec<Armed>,
    watched: Vec<Region>,
    /// Of the instruction that runs right now, the first store into each watched range (its number, address, value).
    fresh: Vec<(usize, u32, u32)>,
    /// The last store into each watched range.
    hits: Vec<Option<StoreHit>>,
}

/// Comparators and store watches of one board.
#[derive(Debug)]
pub(crate) struct Watch {
    reads: AtomicBool,
    writes: AtomicBool,
    /// Somebody watches stores and wants to know the instruction.
    stores: AtomicBool,
    /// A comparator that asks for a halt has matched.
    trap: AtomicBool,
    /// The v8-M register layout, not the v7-M one.
    v8m: bool,
    state: Mutex<State>,
}

impl Watch {
    pub(crate) fn new(v8m: bool) -> Self {
        Self {
            reads: AtomicBool::new(false),
            writes: AtomicBool::new(false),
            stores: AtomicBool::new(false),
            trap: AtomicBool::new(false),
            v8m,
            state: Mutex::default(),
        }
    }

    pub(crate) fn reads_armed(&self) -> bool {
        self.reads.load(Ordering::Relaxed)
    }

    pub(crate) fn writes_armed(&self) -> bool {
        self.writes.load(Ordering::Relaxed)
    }

    /// Whether the core has to be stepped so that the instruction behind a store is known.
    pub(crate) fn wants_instructions(&self) -> bool {
        self.stores.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self, address: u32, size: usize) {
        self.compare(&mut locked(&self.state), address, size, false);
    }

    pub(crate) fn write(&self, address: u32, from: &[u8]) {
        let mut state = locked(&self.state);
        self.compare(&mut state, address, from.len(), true);
        let bytes = Region::new(address, u32::try_from(from.len()).unwrap_or(4));
        let value = from.iter().take(4).rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        for number in 0..state.watched.len() {
            let known = state.fresh.iter().any(|(other, _, _)| *other == number);
            if !known && state.watched[number].overlaps(bytes) {
                state.fresh.push((number, address, value));
            }
        }
    }

    fn compare(&self, state: &mut State, address: u32, size: usize, is_write: bool) {
        let last = address.saturating_add(u32::try_from(size).unwrap_or(4) - 1);
        for at in 0..state.armed.len() {
            let armed = state.armed[at];
            let direction = if is_write { armed.writes } else { armed.reads };
            if direction && address <= armed.span.1 && last >= armed.span.0 {
                state.comparators[armed.index].matched = true;
                if armed.halts {
                    self.trap.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Whether the instruction that has just run made a comparator ask for a halt.
    pub(crate) fn take_trap(&self) -> bool {
        self.trap.load(Ordering::Relaxed) && self.trap.swap(false, Ordering::Relaxed)
    }

    /// Ends an instruction: if it stored into a watched range, remembers where it was and how the stack stood.
    pub(crate) fn note_instruction(&self, pc: u32, sp: impl FnOnce() -> u32) {
        let mut state = locked(&self.state);
        if state.fresh.is_empty() {
            return;
        }
        let sp = sp();
        for (number, address, value) in std::mem::take(&mut state.fresh) {
            state.hits[number] = Some(StoreHit { pc, sp, address, value });
        }
    }

    /// Starts to watch stores into `range`; gives the number under which hits are kept.
    pub(crate) fn watch_store(&self, range: Region) -> usize {
        let mut state = locked(&self.state);
        state.watched.push(range);
        state.hits.push(None);
        self.arm(&mut state);
        state.watched.len() - 1
    }

    pub(crate) fn hit(&self, number: usize) -> Option<StoreHit> {
        locked(&self.state).hits.get(number).copied().flatten()
    }

    /// Ends the watch with this number; its last hit stays readable.
    pub(crate) fn unwatch(&self, number: usize) {
        let mut state = locked(&self.state);
        if let Some(range) = state.watched.get_mut(number) {
            *range = Region::default();
        }
        self.arm(&mut state);
    }

    pub(crate) fn set_enabled(&self, enabled: bool) {
        let mut state = locked(&self.state);
        state.enabled = enabled;
        self.arm(&mut state);
    }

    /// What a power-on does to the comparators.
    pub(crate) fn power_on(&self) {
        let mut state = locked(&self.state);
        state.comparators = Default::default();
        state.enabled = false;
        self.trap.store(false, Ordering::Relaxed);
        self.arm(&mut state);
    }

    /// A read of the register at `offset` bytes from `DWT_COMP0` (`0xE000_1020`).
    pub(crate) fn register(&self, offset: u32) -> u32 {
        let mut state = locked(&self.state);
        let Some(comparator) = state.comparators.get_mut((offset / 16) as usize) else {
            return 0;
        };
        match offset % 16 {
            0 => comparator.comp,
            4 => comparator.mask,
            8 => {
                let matched = std::mem::take(&mut comparator.matched);
                // v8-M: what a comparator can do; every second one can be the limit of the one before it, as on a
                // Cortex-M33 with four (ARM 100230, DWT register summary).
                let id = if self.v8m { IDS[(offset / 16) as usize] << 27 } else { 0 };
                comparator.function | if matched { MATCHED } else { 0 } | id
            }
            _ => 0,
        }
    }

    /// A write of that register.
    pub(crate) fn set_register(&self, offset: u32, value: u32) {
        let mut state = locked(&self.state);
        let Some(comparator) = state.comparators.get_mut((offset / 16) as usize) else {
            return;
        };
        match offset % 16 {
            0 => comparator.comp = value,
            4 if !self.v8m => comparator.mask = value & 0x1f,
            8 => {
                comparator.function = value & if self.v8m { 0xc3f } else { 0xffdaf };
                comparator.matched = false;
            }
            _ => {}
        }
        self.arm(&mut state);
    }

    fn arm(&self, state: &mut State) {
        state.armed.clear();
        if state.enabled {
            for index in 0..COMPARATORS {
                let armed = if self.v8m { v8m(&state.comparators, index) } else { v7m(&state.comparators, index) };
                state.armed.extend(armed);
            }
        }
        let stores = state.watched.iter().any(|range| !range.is_empty());
        self.stores.store(stores, Ordering::Relaxed);
        self.reads.store(state.armed.iter().any(|armed| armed.reads), Ordering::Relaxed);
        self.writes.store(stores || state.armed.iter().any(|armed| armed.writes), Ordering::Relaxed);
    }
}

/// v7-M: an aligned power of two, `MASK` being its number of address bits (ARM DDI 0403 table C1-14). Functions 1 to 3
/// emit trace packets here, which nobody receives; they match all the same.
fn v7m(comparators: &[Comparator; COMPARATORS], index: usize) -> Option<Armed> {
    let Comparator { comp, mask, function, .. } = comparators[index];
    let function = function & 0xf;
    let reads = matches!(function, 1 | 2 | 3 | 5 | 7 | 9 | 11 | 12 | 14);
    let writes = matches!(function, 1 | 2 | 3 | 6 | 7 | 10 | 11 | 13 | 15);
    let low = (1u32 << mask) - 1;
    let span = (comp & !low, comp | low);
    (reads || writes).then_some(Armed { index, span, reads, writes, halts: matches!(function, 5..=7) })
}

/// v8-M: `DATAVSIZE` bytes, or up to the limit in the next comparator when that one says so (ARM DDI 0553, `MATCH`).
fn v8m(comparators: &[Comparator; COMPARATORS], index: usize) -> Option<Armed> {
    let Comparator { comp, function, .. } = comparators[index];
    let (reads, writes) = match function & 0xf {
        0b0100 => (true, true),
        0b0101 => (false, true),
        0b0110 => (true, false),
        _ => return None,
    };
    let limit = comparators.get(index + 1).filter(|next| next.function & 0xf == 0b0111).map(|next| next.comp);
    let last = limit.unwrap_or_else(|| comp | ((1 << (function >> 10 & 3)) - 1));
    let halts = function >> 4 & 3 == 1;
    Some(Armed { index, span: (comp, last), reads, writes, halts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v7m_comparator_covers_its_power_of_two_and_only_its_direction() {
        let watch = Watch::new(false);
        watch.set_enabled(true);
        watch.set_register(0, 0x2000_0100);
        watch.set_register(4, 5);
        watch.set_register(8, 0b1010);
        assert!(watch.writes_armed() && !watch.reads_armed());
        watch.write(0x2000_0120, &[1]);
        assert_eq!(watch.register(8), 0b1010);
        watch.write(0x2000_011c, &[0; 4]);
        assert_eq!(watch.register(8), 0b1010 | MATCHED);
        assert_eq!(watch.register(8), 0b1010, "reading clears it");
        assert!(!watch.take_trap());
        watch.set_register(8, 0b0110);
        watch.write(0x2000_0100, &[0; 4]);
        assert!(watch.take_trap());
        assert!(!watch.take_trap());
    }

    #[test]
    fn a_v8m_pair_is_a_range() {
        let watch = Watch::new(true);
        watch.set_enabled(true);
        watch.set_register(0, 0x2000_0100);
        watch.set_register(16, 0x2000_0137);
        watch.set_register(24, 0b0111);
        watch.set_register(8, 0b01_0101);
        watch.write(0x2000_0138, &[0; 4]);
        assert!(!watch.take_trap());
        watch.write(0x2000_0134, &[0; 4]);
        assert!(watch.take_trap());
    }

    #[test]
    fn the_first_store_of_an_instruction_is_kept_with_its_pc() {
        let watch = Watch::new(false);
        let number = watch.watch_store(Region::new(0x2000_0000, 32));
        watch.write(0x2000_0100, &[9]);
        watch.note_instruction(0x100, || 0);
        assert_eq!(watch.hit(number), None);
        watch.write(0x2000_0004, &[0x34, 0x12]);
        watch.write(0x2000_0008, &[1]);
        watch.note_instruction(0x102, || 0x2000_0400);
        assert_eq!(
            watch.hit(number),
            Some(StoreHit { pc: 0x102, sp: 0x2000_0400, address: 0x2000_0004, value: 0x1234 })
        );
        let below = watch.watch_store(Region::new(0x2000_0042, 2));
        watch.write(0x2000_0040, &[1, 2, 3, 4]);
        watch.note_instruction(0x104, || 0);
        assert_eq!(watch.hit(below).map(|hit| hit.address), Some(0x2000_0040), "a word reaches into the range");
        watch.unwatch(number);
        watch.unwatch(below);
        assert!(!watch.writes_armed());
    }
}
