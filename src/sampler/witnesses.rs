//! What tells of a reset besides the core's own flag, which the server in between may have read and cleared: a counter that
//! only grows while a firmware runs has fallen, or a stack that is used as long as the firmware runs is paint again.
//!
//! A thread's stack that is paint again is another thread's, and no reset.

use std::collections::BTreeMap;

use super::epochs::Witness;
use crate::image::Image;
use crate::kernel::StackLook;
use crate::memory::Memory;
use crate::model::snapshot::{Stack, StackKind};
use crate::region::Region;
use crate::stack::Paint;

/// Ticks that only their kernels count, in words of 32 bits: FreeRTOS's (tasks.c), Zephyr's (the lower half of timeout.c's),
/// and that of ST's HAL (`stm32*_hal.c`). ThreadX's is none of them: a program may set it back (`tx_time_set`).
const TICKS: [&str; 3] = ["xTickCount", "curr_tick", "uwTick"];
/// Bytes above a mark that must be paint again: a program that writes the fill itself writes less of it.
const REPAINTED: u32 = 32;

/// The witnesses of one target.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    ticks: Vec<Region>,
    /// The counters as they were last read, by address.
    counted: BTreeMap<u32, u32>,
    /// The lowest bytes in use of stacks that last as long as the firmware runs, as long as they were seen in use.
    used: BTreeMap<String, Region>,
}

impl Witnesses {
    /// Those of this firmware.
    pub(super) fn new(image: &Image) -> Self {
        let tick = |name: &&str| image.symbols.get(name).filter(|symbol| symbol.range.size() >= 4);
        let ticks = TICKS.iter().filter_map(tick).map(|symbol| symbol.range.bottom(4)).collect();
        Self { ticks, ..Self::default() }
    }

    /// What the next [`Witnesses::hear`] will read.
    pub(super) fn wants(&self) -> Vec<Region> {
        self.ticks.iter().chain(self.used.values()).copied().collect()
    }

    /// Who speaks of a reset since the last look. `before` are the stacks as they were then.
    pub(super) fn hear(&mut self, memory: &mut Memory<'_>, looks: &[StackLook], before: &[Stack]) -> Vec<Witness> {
        let mut heard = Vec::new();
        if self.has_fallen(memory) {
            heard.push(Witness::Count);
        }
        if self.is_repainted(memory, looks, before) {
            heard.push(Witness::Paint);
        }
        heard
    }

    fn has_fallen(&mut self, memory: &mut Memory<'_>) -> bool {
        // One that wraps goes forward, by little.
        let fell = |before: u32, now: u32| before.wrapping_sub(now).cast_signed() > 0;
        let mut any = false;
        for tick in self.ticks.clone() {
            let Some(mut now) = memory.word(tick.start()) else { continue };
            let before = self.counted.get(&tick.start()).copied();
            if before.is_some_and(|before| fell(before, now)) {
                // A second look decides.
                memory.forget_within(tick);
                let Some(again) = memory.word(tick.start()) else { continue };
                now = again;
            }
            any |= before.is_some_and(|before| fell(before, now));
            self.counted.insert(tick.start(), now);
        }
        any
    }

    fn is_repainted(&mut self, memory: &mut Memory<'_>, looks: &[StackLook], before: &[Stack]) -> bool {
        let lasts = |look: &&StackLook| matches!(look.kind, StackKind::Main | StackKind::Isr);
        self.used.retain(|id, _| looks.iter().any(|look| look.id == *id));
        let mut any = false;
        for look in looks.iter().filter(lasts) {
            let Paint::Word(paint) = look.paint else { continue };
            if let Some(used) = self.used.get(&look.id).copied()
                && is_paint(memory, used, paint)
            {
                memory.forget_within(used);
                if is_paint(memory, used, paint) {
                    self.used.remove(&look.id);
                    any = true;
                    continue;
                }
            }
            let peak = before.iter().find(|stack| stack.id == look.id).and_then(|stack| stack.peak);
            let Some(lowest) = peak.map(|peak| look.range.top(peak.bytes).whole_words().bottom(REPAINTED)) else {
                continue;
            };
            // A peak may rest on a stack pointer, and the bytes there be paint still: only what was seen in use counts.
            if lowest.size() == REPAINTED
                && self.used.get(&look.id) != Some(&lowest)
                && memory.words(lowest).is_some_and(|words| words.iter().any(|word| *word != paint))
            {
                self.used.insert(look.id.clone(), lowest);
            }
        }
        any
    }
}

fn is_paint(memory: &mut Memory<'_>, range: Region, paint: u32) -> bool {
    memory.words(range).is_some_and(|words| words.iter().all(|word| *word == paint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Measured, Trust};
    use crate::model::testing;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    const RAM: Region = Region::new(0x2000_0000, 0x400);
    const TICK: u32 = 0x2000_0000;
    const STACK: Region = Region::new(0x2000_0200, 0x200);
    const PAINT: u32 = 0xCCCC_CCCC;

    fn hear(witnesses: &mut Witnesses, bytes: &mut Bytes, kind: StackKind, peak: u32) -> Vec<Witness> {
        let paint = Paint::Word(PAINT);
        let look = StackLook { kind, paint, ..StackLook::unknown("a".into(), STACK) };
        let peak = Some(Measured { bytes: peak, trust: Trust::Exact });
        let before = Stack { id: "a".into(), range: STACK, peak, ..testing::stack("a", 0) };
        witnesses.hear(&mut Memory::new(bytes, LinkCost::default(), 1 << 16), &[look], &[before])
    }

    fn fill(bytes: &mut Bytes, used: u32) {
        for address in (STACK.start()..STACK.end_address()).step_by(4) {
            bytes.poke(address, if address < STACK.end_address() - used { PAINT } else { address });
        }
    }

    #[test]
    fn a_main_stack_that_is_paint_again_where_it_was_used_is_a_reset_and_a_threads_is_none() {
        for (kind, expected) in [(StackKind::Main, vec![Witness::Paint]), (StackKind::User, vec![])] {
            let (mut witnesses, mut bytes) = (Witnesses::default(), Bytes::new(RAM));
            fill(&mut bytes, 0x100);
            assert_eq!(hear(&mut witnesses, &mut bytes, kind, 0x100), []);
            assert_eq!(hear(&mut witnesses, &mut bytes, kind, 0x100), []);
            // A program that writes the fill over its mark itself is none.
            bytes.poke(STACK.end_address() - 0x100, PAINT);
            assert_eq!(hear(&mut witnesses, &mut bytes, kind, 0x100), []);
            fill(&mut bytes, 0x40);
            assert_eq!(hear(&mut witnesses, &mut bytes, kind, 0x100), expected, "{kind:?}");
            assert_eq!(hear(&mut witnesses, &mut bytes, kind, 0x40), [], "it is told once");
        }
    }

    #[test]
    fn a_mark_that_was_never_seen_in_use_is_no_witness() {
        let (mut witnesses, mut bytes) = (Witnesses::default(), Bytes::new(RAM));
        fill(&mut bytes, 0x40);
        for _ in 0..3 {
            assert_eq!(hear(&mut witnesses, &mut bytes, StackKind::Main, 0x100), []);
        }
    }

    #[test]
    fn a_tick_that_fell_is_a_reset_and_one_that_wrapped_is_none() {
        let mut witnesses = Witnesses { ticks: vec![Region::new(TICK, 4)], ..Witnesses::default() };
        let mut bytes = Bytes::new(RAM);
        for (tick, expected) in [
            (0xffff_fff0, vec![]),
            (0x10, vec![]),
            (0x5000, vec![]),
            (0x20, vec![Witness::Count]),
            (0x20, vec![]),
            (0x21, vec![]),
        ] {
            bytes.poke(TICK, tick);
            assert_eq!(hear(&mut witnesses, &mut bytes, StackKind::User, 0x40), expected, "{tick:x}");
        }
    }
}
