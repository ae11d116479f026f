//! A target in the fuzzer's hands: a RAM that holds something sound, and a list of changes to it, some of which happen
//! between two refreshes. Reads may fail, and what is no memory of the target must not be read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use highwater::image::Image;
use highwater::image::layout::Memory as Chip;
use highwater::region::Region;
use highwater::source::{CoreStatus, Counters, Description, ReadError, Source};

/// The registers of the core itself: the fault registers are read there.
const CORE_REGISTERS: Region = Region::new(0xe000_0000, 0x10_0000);
/// Refreshes of one input at the most.
const REFRESHES: usize = 6;
/// Bytes that one refresh may read: the sampler's own limit, and some for the second look at what may be asleep.
const BYTES: u64 = 3 << 20;
/// Reads that one refresh may make.
const READS: u32 = 200_000;
/// Bytes of input for one change: a place and a word.
const CHANGE: usize = 6;

/// The RAM before any change.
#[derive(Clone)]
pub struct Ram {
    pub range: Region,
    pub bytes: Vec<u8>,
    /// Where decoding happens, and most changes therefore.
    pub favoured: Region,
}

#[derive(Clone, Copy)]
enum Change {
    /// A word of RAM.
    Word(u32, u32),
    /// The next refresh begins; the core is in that state then.
    Refresh(CoreStatus),
    /// The n-th read from here fails in one of three ways.
    Fail(u32),
}

fn change(bytes: &[u8], favoured: Region, ram: Region) -> Change {
    let place = u16::from_le_bytes([bytes[0], bytes[1]]);
    let word = u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
    let within = |place: u16| favoured.start() + 4 * (u32::from(place) % (favoured.size() / 4));
    match place {
        0xffff | 0x7fff => Change::Refresh(match word % 8 {
            0 => CoreStatus::WasReset,
            1 => CoreStatus::LockedUp,
            2 => CoreStatus::Halted,
            _ => CoreStatus::Running,
        }),
        0xfffe => Change::Fail(word),
        // The upper half of all places is what is decoded, word by word.
        0x8000.. => Change::Word(within(place & 0x7fff), word),
        // Words that lead from there to there: no noise makes a list that ends in another one.
        0x4000.. => Change::Word(within(place & 0x3fff), favoured.start() + word % favoured.size()),
        _ => Change::Word(ram.start() + 4 * u32::from(place), word),
    }
}

/// The target as a source.
#[derive(Clone)]
pub struct Target {
    chips: Vec<Chip>,
    image: Arc<Image>,
    ram: Ram,
    changes: VecDeque<Change>,
    status: CoreStatus,
    fail: Option<(u32, u32)>,
    now: Duration,
    bytes: u64,
    reads: u32,
}

impl Target {
    /// Of those memories, with the changes that the fuzzer's input tells.
    pub fn new(image: Arc<Image>, chips: &[Chip], ram: Ram, input: &[u8]) -> Self {
        Self {
            chips: chips.to_vec(),
            changes: input.chunks_exact(CHANGE).map(|bytes| change(bytes, ram.favoured, ram.range)).collect(),
            image,
            ram,
            status: CoreStatus::Running,
            fail: None,
            now: Duration::ZERO,
            bytes: 0,
            reads: 0,
        }
    }

    /// How many refreshes the input asks for, and no more than a few.
    pub fn refreshes(&self) -> usize {
        let asked = self.changes.iter().filter(|change| matches!(change, Change::Refresh(_))).count();
        (asked + 1).min(REFRESHES)
    }

    /// Makes the changes up to the next refresh.
    pub fn advance(&mut self) {
        self.bytes = 0;
        self.reads = 0;
        while let Some(change) = self.changes.pop_front() {
            match change {
                Change::Word(address, word) => poke(&mut self.ram.bytes, self.ram.range, address, word),
                Change::Fail(how) => self.fail = Some((how >> 2 & 0x3f, how & 3)),
                Change::Refresh(status) => {
                    self.status = status;
                    break;
                }
            }
        }
    }
}

/// Puts a word into the content of `range`, where it lies in it.
pub fn poke(content: &mut [u8], range: Region, address: u32, word: u32) {
    if let Some(offset) = range.offset_of(address)
        && let Some(place) = content.get_mut(offset as usize..offset as usize + 4)
    {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

impl Source for Target {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        assert_eq!(range.size() as usize, into.len());
        assert!(
            CORE_REGISTERS.covers(range) || self.chips.iter().any(|chip| chip.range.covers(range)),
            "{range:?} is no memory of the target: a read there may disturb it"
        );
        self.bytes += u64::from(range.size());
        self.reads += 1;
        assert!(
            self.bytes <= BYTES && self.reads <= READS,
            "{} bytes in {} reads of one refresh",
            self.bytes,
            self.reads
        );
        // Time passes with each read, as on a wire.
        self.now += Duration::from_micros(100);
        if let Some((left, how)) = self.fail.take() {
            match (left, how) {
                (0, 0) => return Err(ReadError::Unreadable { range, why: "protected".into() }),
                (0, 1) => return Err(ReadError::Busy("asleep".into())),
                (0, _) => return Err(ReadError::Gone("unplugged".into())),
                _ => self.fail = Some((left - 1, how)),
            }
        }
        match self.ram.range.offset_of(range.start()) {
            Some(offset) if self.ram.range.covers(range) => {
                into.copy_from_slice(&self.ram.bytes[offset as usize..][..into.len()]);
            }
            _ => match self.image.bytes(range) {
                Some(bytes) => into.copy_from_slice(bytes),
                None => into.fill(0),
            },
        }
        Ok(())
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        Ok(self.status)
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        Ok(())
    }

    fn now(&self) -> Duration {
        self.now
    }

    /// The sampler waits between two refreshes: that is when the target's memory changes.
    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.advance();
    }

    fn describe(&self) -> Description {
        Description { source: "fuzzer".into(), packet_words: Some(14), ..Description::default() }
    }

    fn counters(&self) -> Counters {
        Counters { bytes: self.bytes, ..Counters::default() }
    }
}
