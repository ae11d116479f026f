//! One function, followed from its first instruction through all of its branches: whom it calls, and how deep its own
//! stack is at each place.

use std::collections::HashMap;

use super::thumb::{Flow, Holds, Instruction, Sp, decode};
use crate::region::Region;

/// The most bytes of stack that one function is believed to use.
const MAX_DEPTH: u32 = 1 << 24;
/// How often an instruction is looked at again because the stack is deeper than before: a loop that pushes never ends.
const MAX_VISITS: u8 = 8;
/// The most entries of one switch that are followed.
const MAX_CASES: u32 = 4096;

/// What the instructions of a function say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The deepest that its own stack is, in bytes.
    pub(crate) depth: u32,
    /// Whom it calls.
    pub(crate) calls: Vec<u32>,
    /// Whom it ends with, and how deep its own stack still is then.
    pub(crate) tails: Vec<(u32, u32)>,
    /// It calls or jumps to where a register says.
    pub(crate) indirect: bool,
    /// It moves SP by what only the running program knows.
    pub(crate) dynamic: bool,
    /// It runs into bytes that are no instructions.
    pub(crate) astray: bool,
}

/// The linked code, as far as a scan needs it.
pub(crate) trait Code {
    /// The half-word at that address; `None` when there is none, or when it is data.
    fn half(&self, address: u32) -> Option<u16>;

    /// The word at that address.
    fn word(&self, address: u32) -> Option<u32>;

    /// The byte at that address.
    fn byte(&self, address: u32) -> Option<u8>;
}

/// Where to go on.
#[derive(Clone, Copy)]
struct Place {
    address: u32,
    depth: u32,
    conditional: u8,
    /// What a register holds, and how many instructions ago it was put there.
    holds: (Holds, u8),
    /// The instruction before is a call: it may never come back.
    after_call: bool,
}

/// Scans the function in `range`; `None` when not one of its instructions can be read.
pub(crate) fn scan(code: &impl Code, range: Region) -> Option<Scan> {
    let mut scanner =
        Scanner { code, range, seen: HashMap::new(), open: Vec::new(), scan: Scan::default(), cases: None };
    scanner.go(range.start(), 0);
    scanner.run();
    // What no branch leads to lies behind a switch whose places are not known.
    if let Some(depth) = scanner.cases {
        let mut address = range.start();
        while range.contains(address) {
            if !scanner.seen.contains_key(&address) && scanner.at(address).is_some() {
                scanner.go(address, depth);
                scanner.run();
            }
            let size = scanner.at(address).map_or(2, |instruction| instruction.size);
            address = match address.checked_add(size) {
                Some(next) => next,
                None => break,
            };
        }
    }
    let mut scan = scanner.scan;
    scan.calls.sort_unstable();
    scan.calls.dedup();
    scan.tails.sort_unstable();
    scan.tails.dedup();
    (!scanner.seen.is_empty()).then_some(scan)
}

struct Scanner<'code, C> {
    code: &'code C,
    range: Region,
    /// The depth at each instruction, and how often it was looked at.
    seen: HashMap<u32, (u32, u8)>,
    open: Vec<Place>,
    scan: Scan,
    /// The depth at a switch whose places are not known.
    cases: Option<u32>,
}

impl<C: Code> Scanner<'_, C> {
    fn at(&self, address: u32) -> Option<Instruction> {
        let second = address.checked_add(2).and_then(|next| self.code.half(next));
        decode(address, self.code.half(address)?, second)
    }

    fn go(&mut self, address: u32, depth: u32) {
        self.open.push(Place { address, depth, conditional: 0, holds: (Holds::Nothing, 0), after_call: false });
    }

    fn run(&mut self) {
        while let Some(place) = self.open.pop() {
            self.step(place);
        }
    }

    fn step(&mut self, place: Place) {
        if !self.range.contains(place.address) {
            // Code that runs on into the next function goes on as that one; a call at the very end never comes back.
            if !place.after_call && u64::from(place.address) == self.range.end() {
                self.scan.tails.push((place.address, place.depth));
            }
            return;
        }
        let Some(instruction) = self.at(place.address) else {
            // Behind a call that never comes back, constants may follow.
            self.scan.astray |= !place.after_call;
            return;
        };
        let visits = match self.seen.get(&place.address) {
            Some((depth, _)) if *depth >= place.depth => return,
            Some((_, visits)) => *visits,
            None => 0,
        };
        if visits >= MAX_VISITS {
            self.scan.dynamic = true;
            return;
        }
        self.seen.insert(place.address, (place.depth, visits + 1));

        let is_conditional = place.conditional > 0;
        let depth = self.depth_after(instruction, place, is_conditional);
        self.scan.depth = self.scan.depth.max(depth);
        let after = |depth: u32, after_call: bool| Place {
            address: place.address.wrapping_add(instruction.size),
            depth,
            conditional: if instruction.conditional > 0 {
                instruction.conditional
            } else {
                place.conditional.saturating_sub(1)
            },
            holds: held(place.holds, instruction.holds),
            after_call,
        };
        let goes_on = match instruction.flow {
            Flow::Next => true,
            Flow::Branch(target) => {
                self.leave(target, depth);
                true
            }
            Flow::Jump(target) => {
                self.leave(target, depth);
                is_conditional
            }
            Flow::JumpLiteral(address) => {
                match self.code.word(address) {
                    Some(target) if target & 1 == 1 => self.leave(target & !1, depth),
                    _ => self.scan.indirect = true,
                }
                is_conditional
            }
            Flow::Call(target) => {
                self.scan.calls.push(target);
                self.open.push(after(depth, true));
                false
            }
            Flow::CallRegister => {
                self.scan.indirect = true;
                self.open.push(after(depth, true));
                false
            }
            Flow::JumpRegister => {
                self.scan.indirect = true;
                is_conditional
            }
            Flow::Return | Flow::Stop => is_conditional,
            Flow::Table { wide } => {
                self.table(place.address.wrapping_add(4), wide, depth);
                is_conditional
            }
            Flow::Switch => {
                self.cases = self.cases.max(Some(depth));
                is_conditional
            }
        };
        if goes_on {
            self.open.push(after(depth, false));
        }
    }

    /// Follows a branch: to another place of the function, or out of it.
    fn leave(&mut self, target: u32, depth: u32) {
        if self.range.contains(target) {
            self.go(target, depth);
        } else {
            self.scan.tails.push((target, depth));
        }
    }

    /// Follows the entries of a switch. The table ends where the first of its places begins.
    fn table(&mut self, start: u32, wide: bool, depth: u32) {
        let mut first = u32::MAX;
        for index in 0..MAX_CASES {
            let at = start.wrapping_add(index << u32::from(wide));
            if at >= first || !self.range.contains(at) {
                break;
            }
            let entry = if wide {
                match (self.code.byte(at), self.code.byte(at.wrapping_add(1))) {
                    (Some(low), Some(high)) => u32::from(low) | u32::from(high) << 8,
                    _ => break,
                }
            } else {
                match self.code.byte(at) {
                    Some(entry) => u32::from(entry),
                    None => break,
                }
            };
            let target = start.wrapping_add(2 * entry);
            // A byte that only rounds the table up to a half-word leads back into it.
            if self.range.contains(target) && target > at {
                first = first.min(target);
                self.go(target, depth);
            }
        }
    }

    /// How deep the stack is behind an instruction.
    fn depth_after(&mut self, instruction: Instruction, place: Place, is_conditional: bool) -> u32 {
        let depth = place.depth;
        let down = |bytes: u32| depth.saturating_add(bytes).min(MAX_DEPTH);
        match instruction.sp {
            Sp::Keep => depth,
            Sp::Down(bytes) => down(bytes),
            // Whether a conditional one happens is not known: the deeper case counts.
            Sp::Up(_) if is_conditional => depth,
            Sp::Up(bytes) => depth.saturating_sub(bytes),
            // From the frame pointer, a function's end takes its stack back: it is not deeper than before.
            Sp::From(7 | 11) => depth,
            Sp::From(register) => match place.holds.0 {
                Holds::Frame(other) if other == register => depth,
                Holds::Aligned(other, bytes) if other == register => down(bytes.saturating_sub(4)),
                _ => self.lose(depth),
            },
            Sp::Plus(register) => match place.holds {
                (Holds::Word(other, address), 0) if other == register => match self.code.word(address) {
                    Some(word) if word as i32 <= 0 => down(word.wrapping_neg()),
                    Some(word) => depth.saturating_sub(word),
                    None => self.lose(depth),
                },
                _ => self.lose(depth),
            },
            Sp::Lost => self.lose(depth),
        }
    }

    fn lose(&mut self, depth: u32) -> u32 {
        self.scan.dynamic = true;
        depth
    }
}

/// What a register holds behind an instruction that leaves `new`. A way back to the frame pointer's place may take
/// several instructions (Thumb-1 subtracts in steps), and other work may lie between.
fn held((old, age): (Holds, u8), new: Holds) -> (Holds, u8) {
    const OLDEST: u8 = 4;
    match (old, new) {
        (Holds::Right(register, bits), Holds::Left(other, back)) if (register, bits) == (other, back) => {
            (Holds::Aligned(register, 1 << bits), 0)
        }
        (Holds::Frame(_), Holds::Nothing) if age < OLDEST => (old, age + 1),
        _ => (new, 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u32 = 0x1000;

    struct Halves(Vec<u16>);

    impl Code for Halves {
        fn half(&self, address: u32) -> Option<u16> {
            self.0.get(address.checked_sub(START)? as usize / 2).copied()
        }

        fn word(&self, address: u32) -> Option<u32> {
            Some(u32::from(self.half(address)?) | u32::from(self.half(address.checked_add(2)?)?) << 16)
        }

        fn byte(&self, address: u32) -> Option<u8> {
            self.half(address & !1).map(|half| half.to_le_bytes()[address as usize % 2])
        }
    }

    /// Scans a function that ends four bytes before the end of `code`.
    fn scanned(code: &[u16]) -> Scan {
        let range = Region::new(START, 2 * code.len() as u32 - 4);
        scan(&Halves(code.to_vec()), range).expect("it has instructions")
    }

    #[test]
    fn the_own_stack_is_followed_along_all_branches() {
        for (text, code, depth) in [
            ("push {r4, lr}; sub sp, #24; add sp, #24; pop {r4, pc}", &[0xb510, 0xb086, 0xb006, 0xbd10, 0, 0][..], 32),
            // Only one of two ways pushes.
            (
                "cbz r0, L; push {lr}; pop {pc}; L: sub sp, #24; add sp, #24; bx lr",
                &[0xb108, 0xb500, 0xbd00, 0xb086, 0xb006, 0x4770, 0, 0],
                24,
            ),
            // Two pushes after two returns do not add up.
            (
                "cbz r0, L; push {r4, lr}; pop {r4, pc}; L: push {r4, lr}; pop {r4, pc}",
                &[0xb108, 0xb510, 0xbd10, 0xb510, 0xbd10, 0, 0],
                8,
            ),
            ("it eq; bxeq lr; push {r4, lr}; pop {r4, pc}", &[0xbf08, 0x4770, 0xb510, 0xbd10, 0, 0], 8),
            (
                "ldr r4, [pc, #0]; add sp, r4; bx lr; nop; .word -64",
                &[0x4c01, 0x44a5, 0x4770, 0xbf00, 0xffc0, 0xffff, 0, 0],
                64,
            ),
            (
                "push {r6, r7, lr}; sub sp, #8; subs r6, r7, #7; subs r6, #5; mov sp, r6; pop {r6, r7, pc}",
                &[0xb5c0, 0xb082, 0x1ffe, 0x3e05, 0x46b5, 0xbdc0, 0, 0],
                20,
            ),
            (
                "mov r4, sp; lsrs r4, #6; lsls r4, #6; mov sp, r4; b .",
                &[0x466c, 0x09a4, 0x01a4, 0x46a5, 0xe7fe, 0, 0],
                60,
            ),
            ("mov r4, sp; bfc r4, #0, #5; mov sp, r4; b .", &[0x466c, 0xf36f, 0x0404, 0x46a5, 0xe7fe, 0, 0], 28),
            (
                "push {r7, lr}; mov r7, sp; sub sp, #8; mov sp, r7; pop {r7, pc}",
                &[0xb580, 0x466f, 0xb082, 0x46bd, 0xbd80, 0, 0],
                16,
            ),
        ] {
            let scan = scanned(code);
            assert_eq!((scan.depth, scan.dynamic, scan.indirect), (depth, false, false), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        assert!(scanned(&[0xebad, 0x0d03, 0x4770, 0, 0]).dynamic, "sub.w sp, sp, r3");
        assert!(scanned(&[0x46a5, 0x4770, 0, 0]).dynamic, "mov sp, r4, of which nothing is known");
        assert!(scanned(&[0xb500, 0xe7fd, 0, 0]).dynamic, "push {{lr}} in a loop");
        assert!(scanned(&[0x4798, 0x4770, 0, 0]).indirect, "blx r3");
        assert!(scanned(&[0x4718, 0, 0]).indirect, "bx r3");
        let cut = Halves(vec![0xb510, 0xf000]);
        assert!(scan(&cut, Region::new(START, 4)).is_some_and(|scan| scan.astray), "half of a bl");
    }

    #[test]
    fn calls_and_tail_calls_are_told_apart() {
        // push {r4, lr}; bl +0x1000; pop.w {r4, lr}; b.w +0x100
        let scan = scanned(&[0xb510, 0xf000, 0xfffe, 0xe8bd, 0x4010, 0xf000, 0xb87e, 0, 0]);
        assert_eq!((scan.calls, scan.tails), (vec![0x2002], vec![(0x110a, 0)]));
        // A conditional branch out of the function, with the stack still in use; then it runs on into the next one.
        let scan = scanned(&[0xb510, 0xd07e, 0, 0]);
        assert_eq!(scan.tails, [(0x1004, 8), (0x1102, 8)]);
        // A call at the very end never comes back.
        assert_eq!(scanned(&[0xf000, 0xfffe, 0, 0]).tails, []);
    }

    #[test]
    fn the_cases_of_a_switch_are_followed() {
        // push {lr}; tbb [pc, r0]; .byte 1, 3; push {r4-r7}; pop {r4-r7}; L: bl +0x100; pop {pc}
        let scan = scanned(&[0xb500, 0xe8df, 0xf000, 0x0301, 0xb4f0, 0xbcf0, 0xf000, 0xf87e, 0xbd00, 0, 0]);
        assert_eq!((scan.depth, scan.calls), (20, vec![0x110c]));
        // add pc, r1; then two cases that nothing else leads to
        let scan = scanned(&[0xb500, 0x448f, 0xf000, 0xf87e, 0xe7fe, 0xb082, 0xe7fe, 0, 0]);
        assert_eq!((scan.depth, scan.calls), (12, vec![0x1104]));
    }

    proptest! {
        /// Any bytes end in a scan, and it stays within its bounds.
        #[test]
        fn any_code_is_survived(code in prop::collection::vec(any::<u16>(), 1..400)) {
            let range = Region::new(START, 2 * code.len() as u32);
            let size = code.len();
            // A first instruction that is cut off is none.
            let Some(found) = scan(&Halves(code), range) else { return Ok(()) };
            prop_assert!(found.depth <= MAX_DEPTH);
            prop_assert!(found.calls.len() <= size && found.tails.len() <= size * usize::from(MAX_VISITS));
        }
    }
}
