//! Stacks: which word they were painted with, how deep they were used, what calls left in them, and what lies below.

pub mod traces;
pub mod tripwire;
pub mod victim;
pub mod watermark;

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
const KNOWN_PAINT: &[u32] = &[0xCCCC_CCCC, 0xA5A5_A5A5, 0xAAAA_AAAA, 0xEFEF_EFEF, 0xCDCD_CDCD, 0xDEAD_BEEF];

/// Bytes at the limit of a stack that must be paint before it is called painted. Zeros never count: RAM that nobody
/// touched since `.bss` was cleared looks just like that.
const PROOF: u32 = 32;

/// The paint of a stack, recognised by the bytes at its limit; `None` when they cannot be read.
#[must_use]
pub fn detect(memory: &mut Memory<'_>, stack: Region) -> Option<Paint> {
    let words = memory.words(stack.whole_words().bottom(PROOF))?;
    let word = *words.first()?;
    let painted = KNOWN_PAINT.contains(&word) && words.iter().all(|other| *other == word);
    Some(if painted { Paint::Word(word) } else { Paint::None })
}
