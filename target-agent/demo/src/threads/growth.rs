//! `growth`: goes deep into its stack; in the scenario `overflow` deeper each time, through the end of it.

use core::hint::black_box;

use crate::scenario::{self, Scenario};
use crate::{cpu, kernel, random};

/// What a switch and the sleep in the deepest frame take from the stack below it.
const SWITCH: u32 = 112;

/// The thread.
pub extern "C" fn run() -> ! {
    let overflow = scenario::read().0 == Scenario::Overflow;
    let stack = kernel::own_stack();
    let size = stack.end - stack.start;
    let danger = size / 5 * 4;
    // Some way into the buffer below, and no further: the demo is to go on.
    let end = size + 280;
    let mut depth = 450;
    kernel::sleep(500);
    loop {
        descend(stack.end - depth + SWITCH);
        if overflow {
            let step = if depth < danger { random::between(170, 215) } else { random::between(48, 64) };
            depth = (depth + step).min(end);
            kernel::sleep(random::between(270, 300));
        } else {
            // The bound rises over the first seconds, and each dive goes somewhere below it.
            let bound = (900 + kernel::now() / 6).min(2700);
            depth = random::between(400, bound);
            kernel::sleep(random::between(150, 350));
        }
    }
}

/// Calls itself until the stack pointer is near `target`, and sleeps a little at the bottom.
#[inline(never)]
fn descend(target: u32) -> u32 {
    let mut frame = [target; 8];
    let frame = black_box(&mut frame);
    if cpu::stack_pointer() > target + 64 {
        frame[0] ^= descend(target);
    } else {
        kernel::sleep(random::between(4, 12));
    }
    frame.iter().fold(0, |sum, word| sum ^ word)
}
