//! Stacks: which word they were painted with, how deep they were used, what calls left in them, and what lies below.

pub mod traces;
pub mod tripwire;
pub mod victim;
pub mod watermark;

use std::time::Duration;

use crate::memory::Memory;
use crate::region::Region;

/// How a stack was prepared before its first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Filled with this word.
    Word(u32),
    /// Nobody filled it: what lies there tells nothing.
    None,
}

/// Fill words of the kernels and startup codes in use: Arm's RTX and cortex-m-rt (`0xCC`), FreeRTOS (`0xA5`), Zephyr
/// (`0xAA`), ThreadX (`0xEF`), Mbed's older fill and others (`0xCD`, `0xDEADBEEF`).
pub const KNOWN_PAINT: &[u32] = &[0xCCCC_CCCC, 0xA5A5_A5A5, 0xAAAA_AAAA, 0xEFEF_EFEF, 0xCDCD_CDCD, 0xDEAD_BEEF];

/// Bytes at the limit of a stack that must be paint before it is called painted. Zeros never count: RAM that nobody
/// touched since `.bss` was cleared looks just like that.
const PROOF: u32 = 32;

/// How long a paint must be there before it is believed: the startup code may still be at work on it.
const SETTLED: Duration = Duration::from_millis(100);

/// The paint of a stack that is believed once it was seen twice, with a while between; where time stands still, at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settling {
    seen: Option<(Paint, Duration)>,
    believed: Option<u32>,
}

impl Settling {
    /// Looks at the limit of `stack` until one of `words` is believed to be its paint.
    pub fn refresh(&mut self, memory: &mut Memory<'_>, stack: Region, words: &[u32]) -> Paint {
        let now = memory.now();
        let due = self.seen.is_none_or(|(_, at)| now.saturating_sub(at) >= SETTLED);
        if self.believed.is_none() && due {
            let found = detect(memory, stack, words).unwrap_or(Paint::None);
            let seen_before = self.seen.is_some_and(|(before, _)| before == found);
            if let Paint::Word(word) = found
                && (seen_before || memory.stands_still())
            {
                self.believed = Some(word);
            }
            self.seen = Some((found, now));
        }
        self.believed.map_or(Paint::None, Paint::Word)
    }
}

/// The paint of a stack, one of `words`, recognised by the bytes at its limit; `None` when they cannot be read.
#[must_use]
pub fn detect(memory: &mut Memory<'_>, stack: Region, words: &[u32]) -> Option<Paint> {
    let found = memory.words(stack.whole_words().bottom(PROOF))?;
    let word = *found.first()?;
    let painted = words.contains(&word) && found.iter().all(|other| *other == word);
    Some(if painted { Paint::Word(word) } else { Paint::None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    const STACK: Region = Region::new(0x2000_0000, 256);
    const FILLS: &[u32] = &[0xCCCC_CCCC, 0xA5A5_A5A5];

    /// What is believed after looks at those times, each in milliseconds and with the fill that is there then.
    fn believed(looks: &[(u64, u32)]) -> Vec<bool> {
        let mut bytes = Bytes::new(STACK);
        let mut settling = Settling::default();
        let mut look = |(at, fill): &(u64, u32)| {
            bytes.content.copy_from_slice(&fill.to_le_bytes().repeat(64));
            bytes.time = Duration::from_millis(*at);
            let paint = settling.refresh(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 16), STACK, FILLS);
            assert!(paint == Paint::None || paint == Paint::Word(*fill));
            paint != Paint::None
        };
        looks.iter().map(&mut look).collect()
    }

    #[test]
    fn a_paint_is_believed_when_it_was_there_twice_a_tenth_of_a_second_apart() {
        let [one, other] = [FILLS[0], FILLS[1]];
        assert_eq!(believed(&[(0, one), (100, one)]), [false, true]);
        // The startup code may be at work: looks in quick succession are one.
        assert_eq!(believed(&[(0, one), (50, one), (99, one), (100, one)]), [false, false, false, true]);
        assert_eq!(believed(&[(0, one), (100, other), (200, other)]), [false, false, true]);
        assert_eq!(believed(&[(0, 0), (100, one), (150, one), (200, one)]), [false, false, false, true]);
        assert_eq!(believed(&[(0, 0), (100, 0), (200, 0)]), [false, false, false], "zeros are no paint");
    }
}
