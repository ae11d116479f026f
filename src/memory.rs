//! One refresh's view of target memory: reads are cached, bounded, and failures become gaps.
//!
//! Decoders see the target through this and nothing else, so they are pure: the same bytes give the same answer,
//! from a probe or from a recording.

use std::borrow::Cow;
use std::time::Duration;

use crate::region::Region;
use crate::source::link::LinkCost;
use crate::source::{ReadError, Source};

/// A range that could not be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What was asked for.
    pub range: Region,
    /// What the link said.
    pub why: String,
}

/// A word whose content is known: a target that answers something else does not answer at all.
///
/// Some chips return zeros while their core sleeps (probe-rs#350). Zeros are then no content, but nothing else in the
/// answer says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentinel {
    /// Where it lies: in flash, where the program does not change it.
    pub address: u32,
    /// What it holds: not zero.
    pub word: u32,
}

/// From here on there are registers of the core, which may well be zero (ARM DDI 0403E B3.1: the system region).
const PERIPHERALS: u32 = 0xE000_0000;

/// The System Control Block (ARM DDI 0403E B3.2.2): the vector table's place and the faults. Reading it changes nothing, as it
/// does in the debug registers behind it.
const SYSTEM_CONTROL: Region = Region::new(0xE000_ED00, 0x90);

/// How often a word is read that says what nobody expected, before it counts: a link that answers one read in twenty wrongly
/// does so six times in a row once in 64 million.
pub const LOOKS: usize = 6;

/// Reads outside of the bounds that are remembered.
const MAX_STRAYS: usize = 16;

/// Target memory during one refresh.
pub struct Memory<'a> {
    source: &'a mut dyn Source,
    cost: LinkCost,
    cache: Vec<(Region, Vec<u8>)>,
    gaps: Vec<Gap>,
    strays: Vec<Region>,
    bytes: u32,
    limit: u32,
    max_age: Duration,
    sentinel: Option<Sentinel>,
    bounds: Option<&'a [Region]>,
    failure: Option<ReadError>,
}

impl<'a> Memory<'a> {
    /// A refresh over `source` that reads at most `limit` bytes.
    pub fn new(source: &'a mut dyn Source, cost: LinkCost, limit: u32) -> Self {
        Self {
            source,
            cost,
            cache: Vec::new(),
            gaps: Vec::new(),
            strays: Vec::new(),
            bytes: 0,
            limit,
            max_age: Duration::ZERO,
            sentinel: None,
            bounds: None,
            failure: None,
        }
    }

    /// The same refresh, in which nothing is read outside of `bounds` but the System Control Block: a pointer of the target
    /// may lead anywhere, and reading a peripheral can disturb it.
    #[must_use]
    pub fn within(self, bounds: &'a [Region]) -> Self {
        Self { bounds: Some(bounds), ..self }
    }

    /// The same refresh, in which what is dear to read may be as old as that.
    #[must_use]
    pub fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// The same refresh, in which answers of zeros are believed only when the sentinel is right.
    #[must_use]
    pub fn with_sentinel(self, sentinel: Option<Sentinel>) -> Self {
        Self { sentinel, ..self }
    }

    /// How old an answer that is dear to read again may be.
    #[must_use]
    pub fn max_age(&self) -> Duration {
        self.max_age
    }

    /// Reads what will be asked for, joined where that is cheaper.
    pub fn prefetch(&mut self, ranges: &[Region]) {
        // What is joined lies in one memory: between two there may be anything.
        let bounds = self.bounds.unwrap_or_default();
        let memory = |range: &Region| bounds.iter().position(|bound| bound.covers(*range));
        let mut ranges = ranges.to_vec();
        ranges.sort_by_key(memory);
        for together in ranges.chunk_by(|one, next| memory(one) == memory(next)) {
            for range in self.cost.plan(together) {
                self.fetch(range);
            }
        }
    }

    fn may_read(&self, range: Region) -> bool {
        SYSTEM_CONTROL.covers(range) || self.bounds.is_none_or(|bounds| bounds.iter().any(|bound| bound.covers(range)))
    }

    /// The bytes of `range`, from the cache or the target; `None` when they cannot be had (see [`Memory::gaps`]).
    ///
    /// A range that was not prefetched whole is read again whole: its words come from one ascending pass.
    pub fn read(&mut self, range: Region) -> Option<Cow<'_, [u8]>> {
        if range.is_empty() {
            return Some(Cow::Borrowed(&[]));
        }
        if self.find(range).is_none() {
            self.fetch(range);
        }
        let (cached, bytes) = &self.cache[self.find(range)?];
        let offset = cached.offset_of(range.start())? as usize;
        Some(Cow::Borrowed(&bytes[offset..offset + range.size() as usize]))
    }

    /// The bytes of `range` as the target has them now, past the cache: a second look.
    pub fn read_again(&mut self, range: Region) -> Option<Cow<'_, [u8]>> {
        self.forget_within(range);
        self.read(range)
    }

    /// Whether `is_so` holds for the words of `range` in so many more looks that what the first one saw counts.
    pub fn confirms(&mut self, range: Region, is_so: impl Fn(&[u32]) -> bool) -> bool {
        let mut again = || {
            self.forget_within(range);
            self.words(range).is_some_and(|words| is_so(&words))
        };
        (1..LOOKS).all(|_| again())
    }

    /// Forgets what was read, so that all of it is read again: a second look at everything.
    pub fn forget(&mut self) {
        self.cache.clear();
    }

    /// Forgets what was read of `range`, so that it is read again.
    pub fn forget_within(&mut self, range: Region) {
        self.cache.retain(|(cached, _)| !cached.overlaps(range));
    }

    /// The little-endian words of a range whose size is a multiple of four.
    pub fn words(&mut self, range: Region) -> Option<Vec<u32>> {
        let bytes = self.read(range)?;
        Some(bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
    }

    /// One little-endian word.
    pub fn word(&mut self, address: u32) -> Option<u32> {
        self.words(Region::new(address, 4))?.first().copied()
    }

    /// Time since the source was opened, by the source's clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.source.now()
    }

    /// Whether it is memory that was saved: a second look would find the same.
    #[must_use]
    pub fn stands_still(&self) -> bool {
        self.source.describe().is_saved
    }

    /// What could not be read so far.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Remembers that something leads to `range`, if it lies outside of the bounds.
    pub fn remember_stray(&mut self, range: Region) {
        if !self.may_read(range) && self.strays.len() < MAX_STRAYS && !self.strays.contains(&range) {
            self.strays.push(range);
        }
    }

    /// What was asked for outside of the bounds, the first few of it.
    #[must_use]
    pub fn strays(&self) -> &[Region] {
        &self.strays
    }

    /// Bytes read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u32 {
        self.bytes
    }

    /// The first failure that concerns the link and not only a range.
    #[must_use]
    pub fn failure(&self) -> Option<&ReadError> {
        self.failure.as_ref()
    }

    fn find(&self, range: Region) -> Option<usize> {
        self.cache.iter().position(|(cached, _)| cached.covers(range))
    }

    fn fetch(&mut self, range: Region) {
        // A link that is gone answers nothing: asking for each range in turn would only take its time-out each time.
        if self.failure.is_some() {
            return;
        }
        if !self.may_read(range) {
            return self.remember_stray(range);
        }
        let over = u64::from(self.bytes) + u64::from(range.size()) > u64::from(self.limit);
        let outcome = if over {
            Err(ReadError::Unreadable { range, why: format!("over the {} bytes of one refresh", self.limit) })
        } else {
            self.believable(range)
        };
        match outcome {
            Ok(bytes) => {
                self.bytes += range.size();
                self.cache.push((range, bytes));
            }
            Err(ReadError::Unreadable { why, .. }) => self.gaps.push(Gap { range, why }),
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// The bytes of `range`; zeros only when the target is awake to mean them.
    fn believable(&mut self, range: Region) -> Result<Vec<u8>, ReadError> {
        let first = self.bytes_of(range)?;
        let Some(sentinel) = self.sentinel.filter(|_| range.start() < PERIPHERALS && looks_asleep(&first)) else {
            return Ok(first);
        };
        let asleep = || ReadError::Busy("it sleeps, and answers zeros".into());
        for _ in 0..2 {
            if self.bytes_of(Region::new(sentinel.address, 4))? != sentinel.word.to_le_bytes() {
                return Err(asleep());
            }
            // It may have woken in between: what counts is what it says now.
            let second = self.bytes_of(range)?;
            if !looks_asleep(&second) {
                return Ok(second);
            }
        }
        Ok(first)
    }

    fn bytes_of(&mut self, range: Region) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; range.size() as usize];
        self.source.read(range, &mut bytes).map(|()| bytes)
    }
}

/// Whether an answer may be that of a sleeping target: zeros, all through or from somewhere on to the end. A short
/// one that only ends in zero is taken as it is: a null pointer at the end of a list looks like that.
fn looks_asleep(bytes: &[u8]) -> bool {
    let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    zero(bytes) || bytes.len() > 8 && zero(&bytes[bytes.len() - 4..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Bytes;

    /// Content that is answered as zeros, from some offset on, in the first reads of what is no sentinel.
    struct Sleeper {
        bytes: Bytes,
        asleep: u32,
        zeros_from: usize,
        flash_too: bool,
    }

    const SENTINEL: Sentinel = Sentinel { address: 0x2000_0000, word: 0x1234_5678 };

    impl Source for Sleeper {
        fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
            self.bytes.read(range, into)?;
            let is_flash = range.start() == SENTINEL.address;
            if self.asleep > 0 && (self.flash_too || !is_flash) {
                self.asleep -= u32::from(!is_flash);
                into.iter_mut().skip(if is_flash { 0 } else { self.zeros_from }).for_each(|byte| *byte = 0);
            }
            Ok(())
        }

        fn status(&mut self) -> Result<crate::source::CoreStatus, ReadError> {
            self.bytes.status()
        }

        fn reopen(&mut self) -> Result<(), ReadError> {
            Ok(())
        }

        fn now(&self) -> Duration {
            Duration::ZERO
        }

        fn wait(&mut self, _time: Duration) {}

        fn describe(&self) -> crate::source::Description {
            self.bytes.describe()
        }

        fn counters(&self) -> crate::source::Counters {
            self.bytes.counters()
        }
    }

    /// What is read of words that hold 7, 7, 7 and so on, from a target that sleeps as told, and how the refresh fails.
    fn asleep(size: u32, asleep: u32, zeros_from: usize, flash_too: bool) -> (Option<Vec<u32>>, Option<ReadError>) {
        let mut bytes = Bytes::new(Region::new(SENTINEL.address, 0x100));
        bytes.poke(SENTINEL.address, SENTINEL.word);
        (0x40..0x100).step_by(4).for_each(|offset| bytes.poke(SENTINEL.address + offset, 7));
        let mut source = Sleeper { bytes, asleep, zeros_from, flash_too };
        let mut memory = Memory::new(&mut source, LinkCost::default(), 1 << 16).with_sentinel(Some(SENTINEL));
        let words = memory.words(Region::new(SENTINEL.address + 0x40, size));
        (words, memory.failure().cloned())
    }

    #[test]
    fn an_answer_that_ends_in_zeros_counts_when_the_target_is_awake_to_mean_it() {
        for (size, zeros_from) in [(32, 0), (32, 16), (32, 28), (4, 0)] {
            let whole = Some(vec![7; size as usize / 4]);
            let what = format!("{size} bytes, zeros from {zeros_from}");
            // It sleeps: its flash answers zeros as well. Nothing is told.
            let (words, failure) = asleep(size, 9, zeros_from, true);
            assert_eq!(words, None, "{what}");
            assert!(matches!(failure, Some(ReadError::Busy(_))), "{what}: {failure:?}");
            // It woke meanwhile, or a server could not read once or twice: what it says then counts.
            for times in 1..=2 {
                assert_eq!(asleep(size, times, zeros_from, false), (whole.clone(), None), "{what}, {times} times");
            }
            // It is awake, and says so each time: zeros are what is there.
            let (words, failure) = asleep(size, 9, zeros_from, false);
            assert!(words.is_some_and(|words| words.last() == Some(&0)) && failure.is_none(), "{what}");
        }
        // A null pointer at the end of a short answer is nothing to wonder about.
        assert_eq!(asleep(8, 1, 4, false), (Some(vec![7, 0]), None));
    }

    #[test]
    fn nothing_is_read_outside_of_the_memories_and_it_is_no_gap() {
        let mut bytes = Bytes::new(Region::new(0x2000_0000, 0x400));
        bytes.poke(0x2000_00fc, 7);
        bytes.poke(0x2000_0200, 8);
        let bounds = [Region::new(0x2000_0000, 0x100), Region::new(0x2000_0200, 0x100)];
        let mut memory = Memory::new(&mut bytes, LinkCost::default(), 1 << 16).within(&bounds);
        // The two would be cheaper as one read, over what lies between them.
        memory.prefetch(&[Region::new(0x2000_00fc, 4), Region::new(0x2000_0200, 4)]);
        assert_eq!(memory.bytes_read(), 8);
        assert_eq!((memory.word(0x2000_00fc), memory.word(0x2000_0200)), (Some(7), Some(8)));
        for (start, size) in [(0x2000_00fc, 8), (0x2000_0180, 4), (0x4000_0000, 4), (0xe000_edf0, 4), (0xffff_fe00, 8)]
        {
            assert_eq!(memory.read(Region::new(start, size)), None, "{start:08x}");
        }
        assert_eq!((memory.bytes_read(), memory.gaps()), (8, &[][..]));
        let strays: Vec<u32> = memory.strays().iter().map(|stray| stray.start()).collect();
        assert_eq!(strays, [0x2000_00fc, 0x2000_0180, 0x4000_0000, 0xe000_edf0, 0xffff_fe00]);
    }
}
