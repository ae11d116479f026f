//! How far RAM goes when nobody says how large it is: a heap or a thread's stack can lie where the linker put nothing.

use super::{FAR, Memory};
use crate::model::snapshot::MemoryKind;
use crate::region::{Region, merge};

/// Where RAM may be: as far as it is known, and where nobody told its end as far as it can go.
#[must_use]
pub fn ram(memories: &[Memory]) -> Vec<Region> {
    let ram = memories.iter().filter(|memory| memory.kind == MemoryKind::Ram);
    merge(&ram.map(|memory| reach(memory, memories)).collect::<Vec<_>>(), 0)
}

/// The same memories, of which those that nobody told the end of hold what the running program has `taken` there.
#[must_use]
pub fn grown(memories: &[Memory], taken: &[Region]) -> Vec<Memory> {
    let grow = |memory: &Memory| {
        let reach = reach(memory, memories);
        let there = taken.iter().filter(|range| reach.covers(**range));
        Memory { range: there.fold(memory.range, |whole, range| whole.hull(*range)), ..memory.clone() }
    };
    memories.iter().map(grow).collect()
}

/// A RAM of unknown size goes on to the next memory, or as far as that of any microcontroller.
fn reach(memory: &Memory, memories: &[Memory]) -> Region {
    if memory.size_known || memory.kind != MemoryKind::Ram {
        return memory.range;
    }
    let start = memory.range.start();
    let next = memories.iter().map(|other| other.range.start()).filter(|other| *other > start).min();
    memory.range.hull(Region::new(start, FAR).below(next.unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAM: u32 = 0x2000_0000;

    fn memory(kind: MemoryKind, start: u32, size: u32, size_known: bool) -> Memory {
        Memory { name: "one".into(), kind, range: Region::new(start, size), size_known }
    }

    #[test]
    fn ram_of_unknown_size_goes_on_to_the_next_memory_and_no_further_than_any() {
        use MemoryKind::{Flash, Ram};
        let flash = memory(Flash, 0x0800_0000, 0x1000, false);
        let check = |memories: &[Memory], expected: &[Region]| assert_eq!(ram(memories), expected, "{memories:?}");
        check(&[], &[]);
        check(&[flash.clone(), memory(Ram, RAM, 0x1000, true)], &[Region::new(RAM, 0x1000)]);
        check(&[flash, memory(Ram, RAM, 0x1000, false)], &[Region::new(RAM, FAR)]);
        let known = memory(Ram, RAM + 0x8000, 0x1000, true);
        check(&[memory(Ram, RAM, 0x1000, false), known.clone()], &[Region::new(RAM, 0x9000)]);
        check(&[known, memory(Ram, RAM, 0x1000, true)], &[Region::new(RAM, 0x1000), Region::new(RAM + 0x8000, 0x1000)]);
        // One that is larger than any, as the linker says.
        check(&[memory(Ram, RAM, 2 * FAR, false)], &[Region::new(RAM, 2 * FAR)]);
        check(&[memory(Ram, 0xffff_0000, 0x1000, false)], &[Region::between(0xffff_0000, u32::MAX)]);
    }

    #[test]
    fn a_memory_grows_by_what_lies_in_its_reach_when_nobody_told_its_end() {
        use MemoryKind::Ram;
        let next = memory(Ram, RAM + 0x8000, 0x1000, true);
        for (size_known, taken, end) in [
            (false, Region::new(RAM + 0x2000, 0x400), RAM + 0x2400),
            (false, Region::new(RAM + 0x100, 0x400), RAM + 0x1000),
            // Beyond the next memory's beginning, and in another one.
            (false, Region::new(RAM + 0x7f00, 0x400), RAM + 0x1000),
            (false, Region::new(RAM + 0x9000, 0x400), RAM + 0x1000),
            (true, Region::new(RAM + 0x2000, 0x400), RAM + 0x1000),
        ] {
            let memories = [memory(Ram, RAM, 0x1000, size_known), next.clone()];
            let ranges: Vec<Region> = grown(&memories, &[taken]).iter().map(|memory| memory.range).collect();
            assert_eq!(ranges, [Region::between(RAM, end), next.range], "{taken:?} {size_known}");
        }
    }
}
