//! The target's memory as far as it was ever read: what is read again without a change is not stored again.

use std::collections::BTreeMap;

use super::RecordingError;
use super::bytes::{Taken, put};
use crate::region::Region;

/// Bytes of a page.
const PAGE: u32 = 256;
/// Pages that are kept at most: 64 MiB, more than any microcontroller has. What lies in further ones is stored each time.
const MOST_PAGES: usize = 1 << 18;

/// What one page holds, and which of its bytes were ever read.
#[derive(Clone)]
struct Page {
    bytes: [u8; PAGE as usize],
    known: [bool; PAGE as usize],
}

/// All memory that was read. What was not reads as zeros.
#[derive(Clone, Default)]
pub struct Shadow(BTreeMap<u32, Page>);

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shadow({} pages)", self.0.len())
    }
}

/// The pieces of a range that lie in one page each: the page's number, the first byte in it, and how many.
fn pieces(range: Region) -> impl Iterator<Item = (u32, usize, usize)> {
    range.pages(PAGE).map(|piece| {
        let start = piece.start();
        (start / PAGE, (start % PAGE) as usize, piece.size() as usize)
    })
}

impl Shadow {
    /// The bytes of a range, zeros where nothing was read.
    #[must_use]
    pub fn bytes(&self, range: Region) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(range.size() as usize);
        for (number, first, count) in pieces(range) {
            match self.0.get(&number) {
                Some(page) => bytes.extend(&page.bytes[first..first + count]),
                None => bytes.extend(std::iter::repeat_n(0, count)),
            }
        }
        bytes
    }

    /// The bytes of a range, when all of them were read at some time.
    #[must_use]
    pub fn known(&self, range: Region) -> Option<Vec<u8>> {
        let known = pieces(range).all(|(number, first, count)| {
            self.0.get(&number).is_some_and(|page| page.known[first..first + count].iter().all(|known| *known))
        });
        known.then(|| self.bytes(range))
    }

    /// Notes what was read; `bytes` are as many as the range has.
    pub fn note(&mut self, range: Region, bytes: &[u8]) {
        let mut rest = bytes;
        for (number, first, count) in pieces(range) {
            let Some((piece, next)) = rest.split_at_checked(count) else { return };
            rest = next;
            if self.0.len() >= MOST_PAGES && !self.0.contains_key(&number) {
                continue;
            }
            let empty = || Page { bytes: [0; PAGE as usize], known: [false; PAGE as usize] };
            let page = self.0.entry(number).or_insert_with(empty);
            page.bytes[first..first + count].copy_from_slice(piece);
            page.known[first..first + count].fill(true);
        }
    }

    /// Appends all that is known: how many ranges, then each with its start, size and bytes.
    pub(super) fn put(&self, into: &mut Vec<u8>) {
        let mut runs: Vec<Region> = Vec::new();
        for (number, page) in &self.0 {
            let mut at = 0;
            for run in page.known.chunk_by(|one, next| one == next) {
                if run[0] {
                    runs.push(Region::new(number * PAGE + at, run.len() as u32));
                }
                at += run.len() as u32;
            }
        }
        let runs = crate::region::merge(&runs, 0);
        put(into, runs.len() as u64);
        for run in runs {
            put(into, run.start().into());
            put(into, run.size().into());
            into.extend(self.bytes(run));
        }
    }

    /// What [`Shadow::put`] appended.
    pub(super) fn take(from: &mut Taken<'_>) -> Result<Self, RecordingError> {
        let mut shadow = Self::default();
        for _ in 0..from.count()? {
            let range = range(from)?;
            shadow.note(range, from.bytes(range.size() as usize)?);
        }
        Ok(shadow)
    }
}

/// A range that does not run past the address space.
pub(super) fn range(from: &mut Taken<'_>) -> Result<Region, RecordingError> {
    region(from.number()?, from.word()?)
}

/// The same, of a start and a size.
pub(super) fn region(start: u64, size: u32) -> Result<Region, RecordingError> {
    match u32::try_from(start) {
        Ok(first) if start + u64::from(size) <= 1 << 32 => Ok(Region::new(first, size)),
        _ => Err(RecordingError::Damaged("a range runs past the address space")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_read_last_is_known_and_nothing_else(
            reads in prop::collection::vec((0u32..2000, prop::collection::vec(1u8.., 1..400)), 0..8),
        ) {
            let mut shadow = Shadow::default();
            let mut expected = vec![0u8; 2400];
            for (start, bytes) in &reads {
                shadow.note(Region::new(*start, bytes.len() as u32), bytes);
                expected[*start as usize..*start as usize + bytes.len()].copy_from_slice(bytes);
            }
            prop_assert_eq!(shadow.bytes(Region::new(0, 2400)), expected.clone());
            for address in 0..2400 {
                prop_assert_eq!(shadow.known(Region::new(address, 1)).is_some(), expected[address as usize] != 0);
            }
            let mut stored = Vec::new();
            shadow.put(&mut stored);
            let mut taken = Taken(&stored);
            let again = Shadow::take(&mut taken).unwrap();
            prop_assert!(taken.0.is_empty());
            prop_assert_eq!(again.bytes(Region::new(0, 2400)), expected);
        }
    }
}
