//! What the wire costs: measured once at the start, then used to plan which reads to make together.
//!
//! On a USB probe a read is a number of commands, each with a round trip, and each word takes its time on the wire.
//! A block of `n` words within a 1 KiB page is one command to set the address and `ceil(n / packet)` to fetch; a
//! single word goes out with its address in one.

use super::{Reach, ReadError, Source};
use crate::region::Region;

/// The MEM-AP's address counter wraps at this many bytes (ADIv5.2, C2.2.2): a block is cut there.
pub const PAGE: u32 = 1024;

/// Words that fit into one packet of a full-speed CMSIS-DAP probe (64 bytes).
const SMALL_PACKET: u32 = 14;
/// Words that fit into one packet of a high-speed CMSIS-DAP probe (512 bytes).
const LARGE_PACKET: u32 = 126;

/// The cost of reads on one link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkCost {
    /// Seconds of one USB command, its latency included.
    pub command: f64,
    /// Seconds of one word on the wire.
    pub word: f64,
    /// Payload words of one packet.
    pub packet_words: u32,
    /// How memory is reached.
    pub reach: Reach,
}

impl Default for LinkCost {
    /// A full-speed CMSIS-DAP probe at 4 MHz: what is assumed until it is measured.
    fn default() -> Self {
        Self { command: 260e-6, word: 11.5e-6, packet_words: SMALL_PACKET, reach: Reach::Probe }
    }
}

impl LinkCost {
    /// Measures the link with eight single words and one block of a page, read from `range`.
    ///
    /// # Errors
    ///
    /// The reads failed, or the range is shorter than a page.
    pub fn measure(source: &mut dyn Source, range: Region) -> Result<Self, ReadError> {
        const WORDS: u32 = 8;
        let unreadable = || ReadError::Unreadable { range, why: "too short to measure the link with".into() };
        let first = range.start().checked_next_multiple_of(PAGE).ok_or_else(unreadable)?;
        let page = Region::new(first, PAGE);
        if !range.covers(page) {
            return Err(unreadable());
        }
        let mut buffer = [0; PAGE as usize];
        let start = source.now();
        for index in 0..WORDS {
            source.read(page.slice(index * 4, 4), &mut buffer[..4])?;
        }
        let middle = source.now();
        source.read(page, &mut buffer)?;
        let end = source.now();
        let single = (middle - start).as_secs_f64() / f64::from(WORDS);
        let block = (end - middle).as_secs_f64();
        let described = source.describe();
        let packet_words = described.packet_words.unwrap_or({
            // With large packets a page takes a handful of commands, with small ones twenty.
            if block > single * 12.0 { SMALL_PACKET } else { LARGE_PACKET }
        });
        Ok(Self::solve(single, block, packet_words, described.reach))
    }

    /// The cost per command and per word that explains a single word's and a page's time.
    fn solve(single: f64, block: f64, packet_words: u32, reach: Reach) -> Self {
        let words = f64::from(PAGE / 4);
        let shape = Self { command: 0.0, word: 0.0, packet_words, reach };
        let commands = f64::from(shape.commands(Region::new(0, PAGE)));
        let word = ((block - commands * single) / (words - commands)).max(1e-7);
        Self { command: (single - word).max(1e-7), word, ..shape }
    }

    /// USB commands, or questions to a server, that a read of `range` takes.
    #[must_use]
    pub fn commands(&self, range: Region) -> u32 {
        let words = range.words();
        match (words.size() / 4, self.reach) {
            (0, _) => 0,
            (1, _) => 1,
            (all, Reach::Server | Reach::Emulator) => all.div_ceil(self.packet_words),
            (_, Reach::Probe) => {
                words.pages(PAGE).map(|piece| 1 + (piece.size() / 4).div_ceil(self.packet_words)).sum()
            }
        }
    }

    /// Seconds that a read of `range` takes.
    #[must_use]
    pub fn seconds(&self, range: Region) -> f64 {
        let words = f64::from(range.words().size() / 4);
        f64::from(self.commands(range)) * self.command + words * self.word
    }

    /// Joins the ranges whose gaps cost less to read than to skip; in address order.
    #[must_use]
    pub fn plan(&self, ranges: &[Region]) -> Vec<Region> {
        let mut plan: Vec<Region> = Vec::new();
        for next in crate::region::merge(ranges, 0) {
            if let Some(last) = plan.last_mut() {
                let joined = last.hull(next);
                if self.seconds(joined) <= self.seconds(*last) + self.seconds(next) {
                    *last = joined;
                    continue;
                }
            }
            plan.push(next);
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL_SPEED: LinkCost = LinkCost { command: 260e-6, word: 11.5e-6, packet_words: 14, reach: Reach::Probe };
    const HIGH_SPEED: LinkCost = LinkCost { command: 70e-6, word: 4.6e-6, packet_words: 126, reach: Reach::Probe };

    #[test]
    fn commands_follow_the_measured_formula() {
        // One word is one command; 1 KiB is 20 commands with small packets and 4 with large ones.
        for (size, full, high) in [(4, 1, 1), (32, 2, 2), (56, 2, 2), (60, 3, 2), (1024, 20, 4), (65_536, 1280, 256)] {
            let range = Region::new(0x2000_0000, size);
            assert_eq!(FULL_SPEED.commands(range), full, "{size} bytes, full speed");
            assert_eq!(HIGH_SPEED.commands(range), high, "{size} bytes, high speed");
        }
        // A page boundary costs a command.
        assert_eq!(FULL_SPEED.commands(Region::new(0x2000_03f0, 32)), 4);
        // A server is asked once for what fits into an answer, wherever it lies.
        for (start, size, questions) in
            [(0x2000_0000, 4, 1), (0x2000_03f0, 32, 1), (0x2000_0000, 4096, 1), (0, 4100, 2)]
        {
            let server = LinkCost { packet_words: 1024, reach: Reach::Server, ..FULL_SPEED };
            assert_eq!(server.commands(Region::new(start, size)), questions, "{size} bytes at {start:x}");
        }
    }

    #[test]
    fn solving_gives_back_what_made_the_times() {
        let qemu = LinkCost { command: 900e-6, word: 0.4e-6, packet_words: 4096, reach: Reach::Emulator };
        for cost in [FULL_SPEED, HIGH_SPEED, qemu] {
            let single = cost.seconds(Region::new(0, 4));
            let block = cost.seconds(Region::new(0, PAGE));
            let solved = LinkCost::solve(single, block, cost.packet_words, cost.reach);
            assert!(
                (solved.command - cost.command).abs() < 1e-9 && (solved.word - cost.word).abs() < 1e-9,
                "{solved:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_plan_covers_what_was_asked_and_never_costs_more(
            ranges in prop::collection::vec((0u32..4096, 1u32..128), 1..12),
        ) {
            let ranges: Vec<Region> = ranges.into_iter().map(|(start, size)| Region::new(start * 4, size * 4)).collect();
            let plan = FULL_SPEED.plan(&ranges);
            for range in &ranges {
                prop_assert!(plan.iter().any(|read| read.covers(*range)));
            }
            let apart: f64 = crate::region::merge(&ranges, 0).iter().map(|range| FULL_SPEED.seconds(*range)).sum();
            let planned: f64 = plan.iter().map(|range| FULL_SPEED.seconds(*range)).sum();
            prop_assert!(planned <= apart + 1e-12);
        }
    }
}
