//! The calls on one stack as the core makes them: what a backtrace is held against.
//!
//! Nothing is unwound here. Each instruction is looked at once it is done: a branch with link that was taken opens a
//! call, and a call is over when its return address is reached with the SP as it was, or the SP is above it.

use super::core::{Core, PC, Register, SP};
use super::memory::Memory;
use crate::region::Region;

/// The open calls on one stack.
#[derive(Debug)]
pub(crate) struct Calls {
    stack: Region,
    /// Return address and SP of each call, the outermost first.
    open: Vec<(u32, u32)>,
}

impl Calls {
    /// Follows the calls that are made while the SP lies in `stack`.
    pub(crate) fn on(stack: Region) -> Self {
        Self { stack, open: Vec::new() }
    }

    /// The return addresses, the innermost first.
    pub(crate) fn open(&self) -> Vec<u32> {
        self.open.iter().rev().map(|(back, _)| *back).collect()
    }

    /// The instruction at `pc` has just run.
    pub(crate) fn note(&mut self, pc: u32, core: &dyn Core, memory: &Memory) {
        let (sp, now) = (core.register(SP), core.register(PC));
        if !self.stack.contains(sp) {
            return;
        }
        while self.open.last().is_some_and(|(back, at)| *at < sp || (*at == sp && *back == now)) {
            self.open.pop();
        }
        let half = |address: u32| memory.word(address).map(|word| word >> (address % 4 * 8) & 0xffff);
        let (Some(first), Some(second)) = (half(pc), half(pc + 2)) else { return };
        // BL is 11110 ... 11.1, BLX of a register 010001111 (ARM DDI 0403E A7.7.18, A7.7.19).
        let length = if first & 0xf800 == 0xf000 && second & 0xd000 == 0xd000 {
            4
        } else if first & 0xff87 == 0x4780 {
            2
        } else {
            return;
        };
        let back = pc.wrapping_add(length);
        if core.register(Register::General(14)) & !1 == back && now != back {
            self.open.push((back, sp));
        }
    }
}
