//! `comms`: receives messages into `uart_rx_buf` and answers from `uart_tx_buf`. There is no UART: it plays both ends.

use core::fmt::Write;
use core::hint::black_box;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::report::Line;
use crate::{kernel, ledger, random, truth};

static RX: AtomicU32 = AtomicU32::new(0);
static TX: AtomicU32 = AtomicU32::new(0);

const RX_SIZE: usize = 520;
const TX_SIZE: usize = 528;
/// Messages are short. The rest of the receive buffer keeps its pattern, unless somebody else writes there.
const MESSAGE: usize = 160;
const PATTERN: u8 = 0x5a;

/// Gives the thread its buffers, before it starts.
pub fn use_buffers(rx: Range<u32>, tx: Range<u32>) {
    RX.store(rx.start, Relaxed);
    TX.store(tx.start, Relaxed);
    // SAFETY: the buffer has this size and nothing uses it yet.
    unsafe { (rx.start as *mut u8).write_bytes(PATTERN, RX_SIZE) }
}

/// The thread.
pub extern "C" fn run() -> ! {
    let mut number = 0;
    loop {
        number += 1;
        let values = random::between(1, (1 + number / 12).min(6));
        receive(number, values);
        answer(values);
        kernel::sleep(random::between(60, 120));
    }
}

/// A message arrives: text in the low part of the receive buffer.
#[inline(never)]
fn receive(number: u32, values: u32) {
    // SAFETY: the low part of the receive buffer is used here only.
    let message = unsafe { core::slice::from_raw_parts_mut(RX.load(Relaxed) as *mut u8, MESSAGE) };
    let mut line = Line::new(message);
    // What does not fit is cut off, as on a wire.
    let _ = write!(line, "set {number}");
    for value in 0..values {
        let _ = write!(line, " {value}={}", random::between(0, 9999));
    }
    let _ = line.write_str("\n");

    let mut overwritten = 0;
    for at in (MESSAGE..RX_SIZE).step_by(4) {
        // SAFETY: the address lies in the receive buffer; the read is volatile since an overflow may write there.
        let word = unsafe { ((RX.load(Relaxed) as usize + at) as *const u32).read_volatile() };
        overwritten += u32::from(word != u32::from_le_bytes([PATTERN; 4]));
    }
    ledger::set(truth::VICTIM_WORDS, overwritten);
}

/// Reads the message by recursive descent, and writes the answer.
#[inline(never)]
fn answer(values: u32) {
    // SAFETY: the transmit buffer is used here only.
    let buffer = unsafe { core::slice::from_raw_parts_mut(TX.load(Relaxed) as *mut u8, TX_SIZE) };
    let sum = parse(values, RX.load(Relaxed));
    let mut line = Line::new(buffer);
    // What does not fit is cut off, as on a wire.
    let _ = writeln!(line, "ok {sum:#010x} at {}", kernel::now());
}

/// Reads one value after the other: a frame of some 100 bytes for each.
#[inline(never)]
fn parse(values: u32, at: u32) -> u32 {
    let mut token = [0u8; 56];
    for (index, byte) in token.iter_mut().enumerate() {
        // SAFETY: a message has 160 bytes, and six values of 16 with a token each stay within it.
        *byte = unsafe { ((at as usize + index) as *const u8).read_volatile() };
    }
    let token = black_box(&token);
    let own = token.iter().fold(0u32, |hash, byte| hash.rotate_left(5) ^ u32::from(*byte));
    if values == 0 { own } else { own ^ parse(values - 1, at + 16).rotate_left(7) }
}
