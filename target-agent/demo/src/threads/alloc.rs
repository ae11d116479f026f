//! `alloc`: allocates and frees small blocks, as a device does that handles packets; and what goes wrong with that.

use alloc::vec::Vec;
use core::hint::black_box;

use crate::scenario::{self, Scenario};
use crate::{kernel, random};

/// The thread.
pub extern "C" fn run() -> ! {
    let scenario = scenario::read().0;
    match scenario {
        Scenario::Fragmentation => fragment(),
        _ => handle_packets(scenario == Scenario::Leak),
    }
}

/// Holds a few packets at any time. A leaking one forgets some, a healthy one builds a large report now and then.
fn handle_packets(leaking: bool) -> ! {
    let mut packets: [Vec<u8>; 12] = [const { Vec::new() }; 12];
    let mut rounds = 0;
    loop {
        rounds += 1;
        let slot = random::between(0, 11) as usize;
        packets[slot] = if random::between(0, 2) == 0 { Vec::new() } else { receive_packet() };
        if leaking {
            if rounds % 10 == 0 {
                remember_packet(random::between(160, 320));
            }
        } else if rounds % 140 == 100 {
            build_report(random::between(4000, 7400));
        }
        checksum(random::between(0, 2), &packets[slot]);
        kernel::sleep(random::between(15, 25));
    }
}

/// A packet of some size; empty when the heap is full.
#[inline(never)]
fn receive_packet() -> Vec<u8> {
    let mut packet = Vec::new();
    let size = random::between(24, 120) as usize;
    // A packet that finds no memory is dropped.
    if packet.try_reserve_exact(size).is_ok() {
        packet.resize(size, 0xa5);
    }
    packet
}

/// The leak: a list of packets seen, of which somebody forgot the reading end.
#[inline(never)]
fn remember_packet(size: u32) {
    let mut copy: Vec<u8> = Vec::new();
    // What finds no memory is not remembered.
    if copy.try_reserve_exact(size as usize).is_ok() {
        copy.resize(size as usize, 0x1e);
        black_box(copy.leak());
    }
}

/// A large block for a short time.
#[inline(never)]
fn build_report(size: u32) {
    let mut report: Vec<u8> = Vec::new();
    // A report that finds no memory waits for the next time.
    if report.try_reserve_exact(size as usize).is_ok() {
        report.resize(size as usize, b' ');
        black_box(&mut report);
        kernel::sleep(random::between(200, 600));
    }
}

/// Uses some stack.
#[inline(never)]
fn checksum(depth: u32, packet: &[u8]) -> u32 {
    let mut lanes = [0u32; 12];
    for (index, byte) in packet.iter().enumerate() {
        lanes[index % 12] = lanes[index % 12].rotate_left(3) ^ u32::from(*byte);
    }
    let lanes = black_box(&mut lanes);
    if depth > 0 {
        lanes[0] ^= checksum(depth - 1, packet);
    }
    lanes.iter().fold(0, |sum, lane| sum ^ lane)
}

/// Fills the heap with pairs of a large and a small block, frees the large ones, and then wants one larger still:
/// much is free, and nothing fits.
fn fragment() -> ! {
    const PAIRS: usize = 80;
    let mut large: Vec<Vec<u8>> = Vec::with_capacity(PAIRS);
    let mut small: Vec<Vec<u8>> = Vec::with_capacity(PAIRS);
    while large.len() < PAIRS {
        let mut pair = (Vec::new(), Vec::new());
        let first = pair.0.try_reserve_exact(random::between(400, 460) as usize).is_ok();
        let second = pair.1.try_reserve_exact(random::between(24, 64) as usize).is_ok();
        if !first || !second {
            break;
        }
        large.push(pair.0);
        small.push(pair.1);
        kernel::sleep(random::between(60, 90));
    }
    for block in &mut large {
        *block = Vec::new();
        kernel::sleep(random::between(30, 50));
    }
    loop {
        build_report(random::between(1000, 1400));
        let one = random::between(0, 11) as usize;
        if let Some(block) = small.get_mut(one) {
            black_box(block);
        }
        kernel::sleep(random::between(800, 1200));
    }
}
