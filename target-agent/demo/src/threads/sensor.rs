//! `sensor`: takes samples, and filters them by recursion, deeper the more they vary.

use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::{kernel, random};

/// The last samples, the newest at `NEXT - 1`.
static SAMPLES: [AtomicU32; 256] = [const { AtomicU32::new(0) }; 256];
static NEXT: AtomicU32 = AtomicU32::new(0);
static SMOOTHED: AtomicU32 = AtomicU32::new(0);

/// How each raw value is corrected: learnt at run time, so it has initial values and changes.
static CALIBRATION: [AtomicU32; 256] = {
    let mut table = [const { AtomicU32::new(0) }; 256];
    let mut index = 0;
    while index < table.len() {
        table[index] = AtomicU32::new(0x1000 + 7 * index as u32);
        index += 1;
    }
    table
};

/// The thread.
pub extern "C" fn run() -> ! {
    let mut rounds = 0;
    loop {
        rounds += 1;
        let raw = random::between(0, 4095);
        let entry = &CALIBRATION[(raw >> 4) as usize];
        entry.store((entry.load(Relaxed) * 15 + raw) / 16, Relaxed);
        let next = NEXT.load(Relaxed);
        SAMPLES[next as usize % SAMPLES.len()].store(raw + entry.load(Relaxed), Relaxed);
        NEXT.store(next.wrapping_add(1), Relaxed);
        // Deep rounds are rare, and the first ones are not among them: the peak grows for a while.
        let deepest = 1 + (rounds / 60).min(4);
        let depth = if random::between(0, 40) == 0 { deepest } else { random::between(0, 1) };
        black_box(smooth(depth, next));
        kernel::sleep(random::between(15, 25));
    }
}

/// The mean of means of samples: a frame of some 100 bytes at each level.
#[inline(never)]
fn smooth(depth: u32, from: u32) -> u32 {
    let mut window = [0u32; 16];
    for (index, sample) in window.iter_mut().enumerate() {
        *sample = SAMPLES[(from as usize + index) % SAMPLES.len()].load(Relaxed);
    }
    let window = black_box(&mut window);
    if depth > 0 {
        window[0] = smooth(depth - 1, from.wrapping_add(16));
    }
    window.iter().sum::<u32>() / 16
}

/// Called by the tick: the same filter on the interrupt stack.
pub fn smooth_in_interrupt() {
    let next = NEXT.load(Relaxed);
    SMOOTHED.store(smooth(u32::from(next.is_multiple_of(64)), next), Relaxed);
}

/// The newest four samples.
pub fn last_samples() -> [u32; 4] {
    let next = NEXT.load(Relaxed);
    [1, 2, 3, 4].map(|back| SAMPLES[next.wrapping_sub(back) as usize % SAMPLES.len()].load(Relaxed))
}
