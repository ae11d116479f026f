//! What tells of a reset besides the core's own flag, which the server in between may have read and cleared: a counter that
//! only grows while a firmware runs has fallen, or a stack that is used as long as the firmware runs is paint again.
//!
//! A thread's stack that is paint again is another thread's, and no reset.

use std::collections::BTreeMap;

use super::epochs::Witness;
use super::stacks::Stacks;
use crate::image::Image;
use crate::kernel::StackLook;
use crate::memory::Memory;
use crate::model::snapshot::StackKind;
use crate::region::Region;
use crate::stack::Paint;

/// Ticks that only their kernels count, in words of 32 bits: FreeRTOS's (tasks.c), Zephyr's (the lower half of timeout.c's),
/// and that of ST's HAL (`stm32*_hal.c`). ThreadX's is none of them: a program may set it back (`tx_time_set`).
const TICKS: [&str; 3] = ["xTickCount", "curr_tick", "uwTick"];
/// RTX5's, a field of the structure that it keeps everything in (rtx_os.h).
const RTX_TICK: (&str, &str, &str) = ("osRtxInfo", "osRtxInfo_t", "kernel.tick");
/// Ticks between two looks that need no other one.
const STRIDE: u32 = 1 << 16;

/// The witnesses of one target.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    ticks: Vec<Region>,
    /// The counters as they were last read, by address.
    counted: BTreeMap<u32, u32>,
}

impl Witnesses {
    /// Those of this firmware.
    pub(super) fn new(image: &Image) -> Self {
        let tick = |name: &&str| image.symbols.get(name).filter(|symbol| symbol.range.size() >= 4);
        let ticks = TICKS.iter().filter_map(tick).map(|symbol| symbol.range.bottom(4));
        Self { ticks: ticks.chain(rtx_tick(image)).collect(), ..Self::default() }
    }

    /// What the next [`Witnesses::hear`] will read.
    pub(super) fn wants(&self) -> Vec<Region> {
        self.ticks.clone()
    }

    /// Who speaks of a reset since the last look. `stacks` are those of `looks` as they were then.
    pub(super) fn hear(&mut self, memory: &mut Memory<'_>, looks: &[StackLook], stacks: &Stacks) -> Vec<Witness> {
        let mut heard = Vec::new();
        if self.has_fallen(memory) {
            heard.push(Witness::Count);
        }
        let lasts =
            |look: &&StackLook| matches!(look.kind, StackKind::Main | StackKind::Isr) && look.paint != Paint::None;
        if looks.iter().filter(lasts).any(|look| stacks.was_filled_anew(memory, look)) {
            heard.push(Witness::Paint);
        }
        heard
    }

    fn has_fallen(&mut self, memory: &mut Memory<'_>) -> bool {
        // One that wraps goes forward, by little.
        let fell = |before: u32, now: u32| before.wrapping_sub(now).cast_signed() > 0;
        let mut any = false;
        for tick in self.ticks.clone() {
            let Some(now) = memory.word(tick.start()) else { continue };
            let before = self.counted.get(&tick.start()).copied();
            let has_fallen = before.is_some_and(|before| fell(before, now));
            // An answer that is wrong and large would make the next right one a fall.
            let goes_on = before.is_some_and(|before| now.wrapping_sub(before) <= STRIDE);
            let is_so = |words: &[u32]| match before {
                Some(before) if has_fallen => fell(before, words[0]),
                _ => words[0].wrapping_sub(now) <= STRIDE,
            };
            if goes_on || memory.confirms(tick, is_so) {
                any |= has_fallen;
                self.counted.insert(tick.start(), now);
            }
        }
        any
    }
}

fn rtx_tick(image: &Image) -> Option<Region> {
    let (info, kind, tick) = RTX_TICK;
    let info = image.symbols.address(info)?;
    let tick = image.types().find(kind)?.field(tick)?;
    Some(Region::new(info.checked_add(tick.offset)?, 4))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::snapshot::{Measured, Trust};
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    const RAM: Region = Region::new(0x2000_0000, 0x400);
    const TICK: u32 = 0x2000_0000;
    const STACK: Region = Region::new(0x2000_0200, 0x200);
    const PAINT: u32 = 0xCCCC_CCCC;

    fn told_of(kind: StackKind) -> [StackLook; 1] {
        [StackLook { kind, paint: Paint::Word(PAINT), ..StackLook::unknown("a".into(), STACK) }]
    }

    /// Hears what is said of `stacks`, and takes it in as the sampler does.
    fn hear(witnesses: &mut Witnesses, stacks: &mut Stacks, bytes: &mut Bytes, kind: StackKind) -> Vec<Witness> {
        let mut memory = Memory::new(bytes, LinkCost::default(), 1 << 16);
        let heard = witnesses.hear(&mut memory, &told_of(kind), stacks);
        if !heard.is_empty() {
            stacks.clear();
        }
        stacks.finish(&mut memory, &told_of(kind), Duration::ZERO);
        heard
    }

    fn fill(bytes: &mut Bytes, used: u32) {
        for address in (STACK.start()..STACK.end_address()).step_by(4) {
            bytes.poke(address, if address < STACK.end_address() - used { PAINT } else { address });
        }
    }

    #[test]
    fn a_main_stack_that_is_paint_again_where_it_was_used_is_a_reset_and_a_threads_is_none() {
        for (kind, expected) in [(StackKind::Main, vec![Witness::Paint]), (StackKind::User, vec![])] {
            let (mut witnesses, mut stacks) = (Witnesses::default(), Stacks::default());
            let mut bytes = Bytes::new(RAM);
            let mut heard = |bytes: &mut Bytes| hear(&mut witnesses, &mut stacks, bytes, kind);
            fill(&mut bytes, 0x100);
            assert_eq!(heard(&mut bytes), []);
            assert_eq!(heard(&mut bytes), []);
            // A program that writes the fill over its mark itself is none.
            bytes.poke(STACK.end_address() - 0x100, PAINT);
            assert_eq!(heard(&mut bytes), []);
            fill(&mut bytes, 0x40);
            assert_eq!(heard(&mut bytes), expected, "{kind:?}");
            assert_eq!(heard(&mut bytes), [], "it is told once");
        }
    }

    #[test]
    fn a_peak_that_only_a_stack_pointer_proves_is_no_witness() {
        let (mut witnesses, mut stacks, mut bytes) = (Witnesses::default(), Stacks::default(), Bytes::new(RAM));
        fill(&mut bytes, 0x40);
        for used in [0x100, 0x20, 0x40] {
            let current = Some(Measured { bytes: used, trust: Trust::Exact });
            let [look] = told_of(StackKind::Main);
            let looks = [StackLook { current, ..look }];
            let mut memory = Memory::new(&mut bytes, LinkCost::default(), 1 << 16);
            assert_eq!(witnesses.hear(&mut memory, &looks, &stacks), []);
            assert_eq!(stacks.finish(&mut memory, &looks, Duration::ZERO)[0].peak.map(|peak| peak.bytes), Some(0x100));
        }
    }

    #[test]
    fn a_tick_that_fell_is_a_reset_and_one_that_wrapped_is_none() {
        let mut witnesses = Witnesses { ticks: vec![Region::new(TICK, 4)], ..Witnesses::default() };
        let (mut stacks, mut bytes) = (Stacks::default(), Bytes::new(RAM));
        for (tick, expected) in [
            (0xffff_fff0, vec![]),
            (0x10, vec![]),
            (0x5000, vec![]),
            (0x20, vec![Witness::Count]),
            (0x20, vec![]),
            (0x21, vec![]),
        ] {
            bytes.poke(TICK, tick);
            assert_eq!(hear(&mut witnesses, &mut stacks, &mut bytes, StackKind::User), expected, "{tick:x}");
        }
    }
}
