//! A second look at what is new on a stack, before it counts.
//!
//! Threads come and go while they are looked at: between the look at a control block and the one at its stack, the thread
//! may have ended, somebody else may use the memory, and the next thread's stack may be half filled. All of it looks like
//! use, or like a broken guard. So what is new is looked at again, between two looks at whose stack it is:
//!
//! ```text
//!   control block ─ stack: word changed ─┬─ signs hold? ─ still changed? ─ signs hold? ─> it counts
//!                                        '─ any is no: not now, and asked again in the next refresh
//! ```
//!
//! The signs before the second look tell that no thread was being made then, so that the first look and the second one are
//! not of the same filling. The word itself is looked at several times more: links and servers answer wrongly now and then.
//! Only what is new costs these reads: a steady stack has nothing to confirm.

use crate::kernel::{Sign, StackLook};
use crate::memory::{LOOKS, Memory};
use crate::region::Region;

/// A word of a stack that was changed, and was not before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finding<'a> {
    /// Whose stack.
    pub(super) look: &'a StackLook,
    /// Where the word lies.
    pub(super) at: u32,
    /// What it holds while nobody changes it.
    pub(super) untouched: u32,
}

/// For each finding, whether it is so after all that was read.
pub(super) fn confirm(memory: &mut Memory<'_>, findings: &[Finding<'_>]) -> Vec<bool> {
    if findings.is_empty() {
        return Vec::new();
    }
    let before = hold(memory, findings);
    let mut changed = vec![true; findings.len()];
    for _ in 1..LOOKS {
        let still = findings.iter().zip(&changed).filter(|(_, changed)| **changed);
        let words: Vec<Region> = still.map(|(finding, _)| Region::new(finding.at, 4)).collect();
        read_anew(memory, &words);
        for (finding, changed) in findings.iter().zip(&mut changed) {
            *changed &= memory.word(finding.at).is_some_and(|word| word != finding.untouched);
        }
    }
    let after = hold(memory, findings);
    let each = before.into_iter().zip(changed).zip(after);
    each.map(|((before, changed), after)| before && changed && after).collect()
}

/// For each finding, whether its stack is still whose it was.
fn hold(memory: &mut Memory<'_>, findings: &[Finding<'_>]) -> Vec<bool> {
    let signs = findings.iter().flat_map(|finding| &finding.look.signs);
    read_anew(memory, &signs.map(Sign::place).collect::<Vec<_>>());
    findings.iter().map(|finding| finding.look.signs.iter().all(|sign| sign.holds(memory))).collect()
}

fn read_anew(memory: &mut Memory<'_>, ranges: &[Region]) {
    ranges.iter().for_each(|range| memory.forget_within(*range));
    memory.prefetch(ranges);
}
