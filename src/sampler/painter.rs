//! Fills the untouched part of stacks that nobody painted, when a flag asks for it.
//!
//! What lies below a stack pointer is free, but where the stack pointers are is not known while the core runs: a thread
//! that waits now may run in the middle of the write, and what it pushes would be painted over. So the core stands while
//! the stacks are looked at again and filled, some milliseconds. Then
//!
//! - the SPs in use are in the core's registers, and a thread that does not run has its SP where its kernel saved it;
//! - a stack is filled below the lowest of those that lie in it, and one without any is left alone;
//! - the core may stand in the middle of a context switch, which has pushed registers below an SP that nobody has saved
//!   yet: at most 26 words of an exception frame, 16 of floating point and 9 others. The margin keeps clear of them.
//!
//! ```text
//!   limit                                          SP - margin      SP            first use
//!     |▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒ painted ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒|   left alone  |█████ in use █████|
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_agent::layout::PAINT;

use super::stacks::measured_since;
use crate::kernel::StackLook;
use crate::model::snapshot::{Stack, Trust};
use crate::region::Region;
use crate::source::control::{Control, halt};
use crate::source::{ReadError, Source};
use crate::stack::Paint;
use crate::units;

/// Bytes below an SP that are left alone.
const MARGIN: u32 = 256;
/// Words that are written at once.
const AT_ONCE: u32 = 256;
/// How long a stack must be known before it is filled: its own startup code may still paint it.
const SETTLED: Duration = Duration::from_millis(300);

/// What this run has painted.
pub struct Painter {
    control: Box<dyn Control>,
    seen: BTreeMap<String, Duration>,
    filled: BTreeMap<String, Filled>,
    refused: BTreeMap<String, String>,
}

/// A stack that was filled.
#[derive(Clone, Copy, Debug)]
struct Filled {
    /// From the limit up to here.
    range: Region,
    /// Where its SP was.
    sp: u32,
}

impl Painter {
    /// A painter that has painted nothing yet.
    #[must_use]
    pub fn new(control: Box<dyn Control>) -> Self {
        Self { control, seen: BTreeMap::new(), filled: BTreeMap::new(), refused: BTreeMap::new() }
    }

    /// The target was reset: its startup code may paint, or clear what was painted.
    pub fn after_reset(&mut self) {
        self.seen.clear();
        self.filled.clear();
        self.refused.clear();
    }

    /// Whether a stack is there that could be filled now.
    pub fn is_due(&mut self, looks: &[StackLook], now: Duration) -> bool {
        let open: Vec<&StackLook> = looks.iter().filter(|look| self.is_open(look)).collect();
        let mut due = false;
        for look in open {
            let since = *self.seen.entry(look.id.clone()).or_insert(now);
            due |= now.saturating_sub(since) >= SETTLED;
        }
        due
    }

    /// Stops the core, fills what may be filled of what `look` finds then, and lets the core run on.
    ///
    /// # Errors
    ///
    /// The link failed. The core was told to run on, as far as the link goes.
    pub fn fill(
        &mut self,
        source: &mut dyn Source,
        look: impl FnOnce(&mut dyn Source) -> Vec<StackLook>,
    ) -> Result<(), ReadError> {
        let debugged = halt::is_debugged(self.control.as_mut())?;
        let outcome = match halt::stop(self.control.as_mut()) {
            Ok(pointers) => {
                let looks = look(source);
                looks.iter().try_for_each(|look| self.fill_one(source, look, &pointers))
            }
            Err(error) => Err(error),
        };
        halt::end(self.control.as_mut(), debugged)?;
        outcome
    }

    /// Makes the looks say what was painted.
    pub fn mark(&self, looks: &mut [StackLook]) {
        for look in looks.iter_mut().filter(|look| self.filled.contains_key(&look.id)) {
            look.paint = Paint::Word(PAINT);
        }
    }

    /// What a mark is worth that counts since the paint only.
    pub fn weigh(&self, stacks: &mut [Stack]) {
        for stack in stacks {
            let Some(filled) = self.filled.get(&stack.id) else { continue };
            let clear = stack.range.from(filled.range.end_address()).size();
            let known = [stack.current, stack.lowest_sp].into_iter().flatten().map(|known| known.bytes);
            let used = known.fold(stack.range.from(filled.sp).size(), u32::max);
            stack.peak = stack.peak.map(|peak| measured_since(peak, clear, used));
            // What lay at the limit before the paint is not known any more.
            stack.limit_whole = false;
        }
    }

    /// What was done and what was not, in whole sentences.
    pub fn tell(&self, stacks: &[Stack]) -> Vec<String> {
        let name = |id: &String| stacks.iter().find(|stack| stack.id == *id).map(|stack| stack.name.clone());
        let filled = self.filled.iter().filter_map(|(id, filled)| {
            Some(format!(
                "{}'s stack was painted by this run, {} from its limit up: its mark counts from then on.",
                name(id)?,
                units::bytes(filled.range.size().into())
            ))
        });
        let refused =
            self.refused.iter().filter_map(|(id, why)| Some(format!("{} was not painted: {why}.", name(id)?)));
        filled.chain(refused).collect()
    }

    fn is_open(&self, look: &StackLook) -> bool {
        look.paint == Paint::None && !self.filled.contains_key(&look.id) && !self.refused.contains_key(&look.id)
    }

    fn fill_one(&mut self, source: &mut dyn Source, look: &StackLook, pointers: &[u32]) -> Result<(), ReadError> {
        if !self.is_open(look) {
            return Ok(());
        }
        let range = match free_part(look, pointers) {
            Ok((range, sp)) => {
                self.write(range)?;
                if words_are_paint(source, range)? {
                    self.filled.insert(look.id.clone(), Filled { range, sp });
                    return Ok(());
                }
                "what was written does not read back"
            }
            Err(why) => why,
        };
        self.refused.insert(look.id.clone(), range.to_owned());
        Ok(())
    }

    fn write(&mut self, range: Region) -> Result<(), ReadError> {
        let mut left = range;
        while !left.is_empty() {
            let piece = left.bottom(4 * AT_ONCE);
            self.control.write(piece.start(), &vec![PAINT; piece.size() as usize / 4])?;
            left = left.from(piece.end_address());
        }
        Ok(())
    }
}

/// The part of a stack that nobody uses, and the SP above it; or why there is none.
fn free_part(look: &StackLook, pointers: &[u32]) -> Result<(Region, u32), &'static str> {
    let inside = |sp: &u32| look.range.contains(*sp);
    // A stale SP is that of a thread that runs: the true one is in the core, and must be in this stack.
    let saved =
        look.current.filter(|current| current.trust == Trust::Exact).map(|current| look.range.top(current.bytes));
    let lowest = pointers.iter().copied().filter(inside).chain(saved.map(Region::start)).min();
    let sp = lowest.ok_or("nothing tells where its stack pointer is")?;
    // The word that a kernel keeps and checks at the limit is not free.
    let kept = if look.canary.is_some() { 4 } else { 0 };
    let range = look.range.from(look.range.start().saturating_add(kept)).below(sp.saturating_sub(MARGIN)).whole_words();
    if range.is_empty() { Err("too little of it is free") } else { Ok((range, sp)) }
}

fn words_are_paint(source: &mut dyn Source, range: Region) -> Result<bool, ReadError> {
    let mut bytes = vec![0; range.size() as usize];
    source.read(range, &mut bytes)?;
    Ok(bytes.chunks_exact(4).all(|word| word == PAINT.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Measured, StackKind};
    use crate::source::control::Written;
    use crate::source::testing::Bytes;

    fn look(saved: Option<(u32, Trust)>) -> StackLook {
        StackLook {
            id: "1".into(),
            name: "one".into(),
            kind: StackKind::User,
            control_block: None,
            signs: Vec::new(),
            range: Region::new(0x1000, 0x1000),
            paint: Paint::None,
            guard: 32,
            entry: None,
            current: saved.map(|(sp, trust)| Measured { bytes: 0x2000 - sp, trust }),
            lowest_sp: None,
            priority: None,
            state: None,
            canary: None,
            cpu: None,
        }
    }

    /// What is filled of a stack from 0x1000 to 0x2000, for SPs in the core and one that its kernel saved.
    fn check(pointers: &[u32], saved: Option<(u32, Trust)>, expected: Option<u32>) {
        let look = look(saved);
        let end = free_part(&look, pointers).ok().map(|(range, _)| range.end_address());
        assert_eq!(end, expected, "{pointers:x?} {saved:x?}");
    }

    #[test]
    fn nothing_at_or_above_a_live_sp_is_ever_filled() {
        check(&[0x5000, 0x1f00], None, Some(0x1e00));
        check(&[0x1f00, 0x1c00], None, Some(0x1b00));
        check(&[0x5000], Some((0x1e80, Trust::Exact)), Some(0x1d80));
        check(&[0x1a00], Some((0x1e80, Trust::Exact)), Some(0x1900));
        // A running thread whose SP is not in this stack, and a thread of which nothing is known.
        check(&[0x5000], Some((0x1e80, Trust::Stale)), None);
        check(&[0x5000], None, None);
        // Too full to fill.
        check(&[0x10f0], None, None);
    }

    /// A control whose writes come to nothing: what is there afterwards is what the source says.
    struct Nowhere;

    impl Control for Nowhere {
        fn read(&mut self, _address: u32) -> Result<u32, ReadError> {
            Ok(0)
        }

        fn write(&mut self, _address: u32, _words: &[u32]) -> Result<(), ReadError> {
            Ok(())
        }

        fn read_range(&mut self, range: Region) -> Result<Vec<u8>, ReadError> {
            Ok(vec![0; range.size() as usize])
        }

        fn reset_and_hold(&mut self) -> Result<(), ReadError> {
            Ok(())
        }

        fn written(&self) -> Written {
            Written::default()
        }
    }

    #[test]
    fn a_stack_counts_as_painted_only_when_all_of_the_paint_reads_back() {
        let memory = Region::new(0x1000, 0x1000);
        // The last word that is filled, the first one, one above, and none.
        for (other, is_painted) in [(0x1dfc, false), (0x1000, false), (0x1e00, true), (0x1ffc, true)] {
            let mut source = Bytes::new(memory);
            source.content.copy_from_slice(&PAINT.to_le_bytes().repeat(0x400));
            source.poke(other, PAINT + 1);
            let mut painter = Painter::new(Box::new(Nowhere));
            let mut looks = [look(None)];
            painter.fill_one(&mut source, &looks[0], &[0x1f00]).expect("the link works");
            painter.mark(&mut looks);
            assert_eq!(looks[0].paint == Paint::Word(PAINT), is_painted, "{other:#x}");
            let refused = painter.refused.get("1").is_some_and(|why| why.contains("does not read back"));
            assert_eq!(refused, !is_painted, "{other:#x}");
        }
    }

    #[test]
    fn a_stack_is_filled_when_it_has_been_there_for_a_while_and_again_after_a_reset() {
        let mut source = Bytes::new(Region::new(0x1000, 0x1000));
        source.content.copy_from_slice(&PAINT.to_le_bytes().repeat(0x400));
        let mut painter = Painter::new(Box::new(Nowhere));
        let looks = [look(None)];
        let due = |painter: &mut Painter, at: u64| painter.is_due(&looks, Duration::from_millis(at));
        // Its own startup code may be about to paint it.
        assert_eq!([0, 299, 300].map(|at| due(&mut painter, at)), [false, false, true]);
        painter.fill_one(&mut source, &looks[0], &[0x1f00]).expect("the link works");
        assert!(!due(&mut painter, 1000), "it is filled");
        // What was painted may be cleared by now, and what was refused may be possible.
        painter.after_reset();
        let mut again = [look(None)];
        painter.mark(&mut again);
        assert_eq!(again[0].paint, Paint::None);
        assert_eq!([2000, 2299, 2300].map(|at| due(&mut painter, at)), [false, false, true]);
    }

    #[test]
    fn the_word_that_a_kernel_checks_is_left_alone() {
        let checked = StackLook { canary: Some(0xE25A_2EA5), ..look(None) };
        let filled = free_part(&checked, &[0x1f00]).map(|(range, _)| range);
        assert_eq!(filled, Ok(Region::between(0x1004, 0x1e00)));
    }
}
