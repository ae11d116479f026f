//! A source over bytes in this process, for tests.

use std::time::Duration;

use super::{CoreStatus, Counters, Description, ReadError, Source};
use crate::region::Region;

/// Memory that answers at once and remembers what was asked.
pub(crate) struct Bytes {
    /// Where the content lies.
    pub(crate) range: Region,
    /// The content.
    pub(crate) content: Vec<u8>,
    /// What was read, in order.
    pub(crate) reads: Vec<Region>,
    /// The time that its clock shows.
    pub(crate) time: Duration,
    /// A word that becomes another one right after something of that range was read, in order.
    pub(crate) after: Vec<(Region, u32, u32)>,
}

impl Bytes {
    /// Zeros at `range`.
    pub(crate) fn new(range: Region) -> Self {
        Self {
            range,
            content: vec![0; range.size() as usize],
            reads: Vec::new(),
            time: Duration::ZERO,
            after: Vec::new(),
        }
    }

    /// Writes a word.
    pub(crate) fn poke(&mut self, address: u32, word: u32) {
        let offset = self.range.offset_of(address).expect("inside the memory") as usize;
        self.content[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    }
}

impl Source for Bytes {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        self.reads.push(range);
        if !self.range.covers(range) {
            return Err(ReadError::Unreadable { range, why: "nothing there".into() });
        }
        let offset = self.range.offset_of(range.start()).unwrap_or(0) as usize;
        into.copy_from_slice(&self.content[offset..offset + into.len()]);
        while let Some((_, at, word)) = self.after.first().copied().filter(|(due, ..)| due.overlaps(range)) {
            self.poke(at, word);
            self.after.remove(0);
        }
        Ok(())
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        Ok(CoreStatus::Running)
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        Ok(())
    }

    fn now(&self) -> Duration {
        self.time
    }

    fn wait(&mut self, _time: Duration) {}

    fn describe(&self) -> Description {
        Description { source: "bytes".into(), ..Description::default() }
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}
