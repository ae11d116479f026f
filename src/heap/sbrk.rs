//! The break, by which the C library's mallocs grow: where a program keeps it, and whether somebody else moves it.
//!
//! ```text
//!   blocks | somebody else's, from a call of sbrk between two of malloc | blocks | top | break .... room
//! ```

use super::MAX_BLOCKS;
use crate::image::callgraph::thumb::{self, Flow};
use crate::image::{Image, Machine};
use crate::memory::Memory;
use crate::model::snapshot::Block;
use crate::region::Region;

/// The names of the pointer to the break that `_sbrk` keeps, without the number that gcc adds: libnosys, what vendors'
/// templates write, and Mbed OS.
const BREAKS: &[&str] = &["heap_end", "__sbrk_heap_end", "_ZZ5_sbrkE4heap", "current_heap_end", "heap_ptr"];
/// What other templates call it, when the number says that it is a static of a function: alone, the word says too little.
const LOCAL_BREAKS: &[&str] = &["heap", "brk", "current_break", "curbrk", "heap_top", "program_break"];
/// The functions that move it.
const MOVERS: &[&str] = &["sbrk", "_sbrk", "_sbrk_r"];
/// What the names of the functions begin with that may call those: the C library's.
const OWN: &[&str] = &["sbrk", "_sbrk", "malloc", "_malloc", "__malloc", "nano_malloc", "_mallinfo", "_free_r"];
/// How far from such a constant a static may lie, in bytes: what an offset of Thumb-2 has bits for.
const REACH: u32 = 4096;
/// What the walk over a gap reads at once, in bytes.
const LINE: u32 = 64;

/// The word in which `_sbrk` keeps the break; `None` when no symbol is known to be it, or several may.
pub(super) fn kept_at(image: &Image) -> Option<u32> {
    let plain = |name: &str| name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.').to_owned();
    let is_break = |name: &str| {
        let plain = plain(name);
        // picolibc's own sbrk has a static of its file.
        let is_picolibc = name == "brk" && image.symbols.get("__malloc_sbrk_top").is_some();
        let is_local = name.contains('.') && LOCAL_BREAKS.contains(&plain.as_str());
        is_local || is_picolibc || BREAKS.contains(&plain.as_str())
    };
    let words = image.symbols.iter().filter(|symbol| !symbol.is_code && symbol.range.size() == 4);
    let mut named: Vec<u32> =
        words.filter(|symbol| is_break(&symbol.name)).map(|symbol| symbol.range.start()).collect();
    named.sort_unstable();
    named.dedup();
    let constants = constants(image);
    let is_used = |word: &&u32| constants.contains(word);
    match (named.as_slice(), named.iter().filter(is_used).collect::<Vec<_>>().as_slice()) {
        (_, [used]) => Some(**used),
        // Compilers address neighbours by one constant.
        ([only], []) if constants.is_empty() || constants.iter().any(|near| near.abs_diff(*only) < REACH) => {
            Some(*only)
        }
        _ => None,
    }
}

/// The addresses of objects among the constants of `_sbrk`.
fn constants(image: &Image) -> Vec<u32> {
    let movers = ["_sbrk", "sbrk"].into_iter().filter_map(|name| image.symbols.get(name));
    let code = movers.filter(|_| image.machine == Machine::Arm).filter_map(|symbol| {
        let start = symbol.range.start() & !1;
        Some((start, image.bytes(Region::new(start, symbol.range.size()))?))
    });
    let words = code.flat_map(|(start, code)| {
        let aligned = (start.next_multiple_of(4) - start) as usize;
        let words = code.get(aligned..).unwrap_or_default().chunks_exact(4);
        words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect::<Vec<_>>()
    });
    let is_object = |word: &u32| image.symbols.at(*word).is_some_and(|symbol| !symbol.is_code);
    words.filter(is_object).collect()
}

/// Whether something besides the C library may move the break: what lies between two blocks may be somebody else's then.
pub(super) fn has_others(image: &Image) -> bool {
    if image.machine != Machine::Arm {
        return true;
    }
    let movers: Vec<u32> = MOVERS.iter().filter_map(|name| Some(image.symbols.get(name)?.range.start() & !1)).collect();
    let kept = kept_at(image);
    let others =
        image.symbols.iter().filter(|symbol| symbol.is_code && !OWN.iter().any(|own| symbol.name.starts_with(own)));
    others.map(|symbol| symbol.range).any(|function| {
        let Some(code) = image.bytes(function) else { return false };
        let half = |at: usize| Some(u16::from_le_bytes(code.get(at..at + 2)?.try_into().ok()?));
        let word = |at: usize| Some(u32::from_le_bytes(code.get(at..at + 4)?.try_into().ok()?));
        // A constant that looks like a call only makes the answer a careful one.
        (0..code.len()).step_by(2).any(|at| {
            let from = function.start().wrapping_add(u32::try_from(at).unwrap_or(u32::MAX));
            let calls = half(at).filter(|first| first >> 11 == 0b11110).and_then(|first| {
                let instruction = thumb::decode(from, first, half(at + 2))?;
                match instruction.flow {
                    Flow::Call(to) | Flow::Jump(to) => Some(movers.contains(&(to & !1))),
                    _ => None,
                }
            });
            // A copy of it within another function has its address among its constants.
            let has_break = kept.is_some() && from % 4 == 0 && word(at) == kept;
            calls == Some(true) || has_break
        })
    })
}

/// Whether blocks begin at `from` and go on up to `to` exactly. `block` tells of the one at an address, or that it is none.
pub(super) fn leads<E>(from: u32, to: u32, mut block: impl FnMut(u32) -> Option<Result<Block, E>>) -> Option<bool> {
    let mut at = from;
    for _ in 0..MAX_BLOCKS {
        if at >= to {
            return Some(at == to);
        }
        match block(at)? {
            Ok(block) => at = block.range.end_address(),
            Err(_) => return Some(false),
        }
    }
    Some(false)
}

/// Where blocks go on behind somebody else's memory that begins at `from`: the first of the addresses `step` apart from
/// which `leads` finds blocks up to `to`, which is where they go on at the latest. `None` when it could not be read.
pub(super) fn resume(
    memory: &mut Memory<'_>,
    (from, to): (u32, u32),
    step: usize,
    mut leads: impl FnMut(&mut Memory<'_>, u32) -> Option<bool>,
) -> Option<u32> {
    let mut left = MAX_BLOCKS;
    for at in (from..to).step_by(step) {
        if left == 0 {
            break;
        }
        left -= 1;
        if (at - from).is_multiple_of(LINE) {
            memory.read(Region::between(at, to).bottom(LINE))?;
        }
        if leads(memory, at)? {
            return Some(at);
        }
    }
    Some(to)
}
