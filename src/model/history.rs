//! What was measured over time, in fixed memory: a bounded number of series, each of them bounded.

mod columns;
mod ladder;
mod quantity;

use std::collections::BTreeMap;
use std::time::Duration;

pub use columns::{Column, Envelope, Span};
pub use ladder::{SERIES_BYTES, SERIES_KEPT, Series};
pub use quantity::{Key, Quantity, Reading, readings};

use super::snapshot::Snapshot;

/// Series that are kept: three for each of 64 threads.
pub const MOST_SERIES: usize = 192;

/// What all samples and slices take at most, in bytes: 35 MB. Names come on top of it.
pub const MOST_BYTES: usize = MOST_SERIES * SERIES_BYTES;

/// A series and what it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// What a person calls its subject.
    pub name: String,
    /// All there is of it; `None` for what has no size of its own.
    pub whole: Option<u32>,
    /// Its values over time.
    pub series: Series,
}

impl Kept {
    /// A value in percent of the subject's own size, or of the largest value when it has none.
    #[must_use]
    pub fn percent(&self, value: f64) -> f64 {
        let whole = f64::from(self.whole.unwrap_or_else(|| self.series.most()));
        if whole > 0.0 { value / whole * 100.0 } else { 0.0 }
    }
}

/// All series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    kept: BTreeMap<Key, Kept>,
    refused: u32,
}

impl History {
    /// Takes a snapshot's values. What is not measured is a gap, a reset cuts every line, and a series whose subject is
    /// gone is over.
    pub fn observe(&mut self, snapshot: &Snapshot, was_reset: bool) {
        let at = snapshot.at;
        if was_reset {
            for kept in self.kept.values_mut().filter(|kept| kept.series.ended().is_none()) {
                kept.series.push(at, None);
            }
        }
        let readings = readings(snapshot);
        for (key, kept) in &mut self.kept {
            if kept.series.ended().is_none() && !readings.iter().any(|reading| reading.key == *key) {
                kept.series.end(at);
            }
        }
        self.refused = 0;
        for reading in readings {
            self.push(at, reading);
        }
    }

    /// Adds one value to its series. A new series takes the place of the one that was over first; when none is over,
    /// it is counted as refused.
    pub fn push(&mut self, at: Duration, reading: Reading) {
        let Reading { key, name, whole, value } = reading;
        if let Some(kept) = self.kept.get_mut(&key) {
            kept.whole = whole;
            kept.series.push(at, value);
            return;
        }
        // What nobody ever tells takes no place.
        if value.is_none() {
            return;
        }
        if self.kept.len() >= MOST_SERIES && !self.make_room() {
            self.refused += 1;
            return;
        }
        let mut series = Series::default();
        series.push(at, value);
        self.kept.insert(key, Kept { name, whole, series });
    }

    /// Drops the series that was over first, if one is over.
    fn make_room(&mut self) -> bool {
        let over = self.kept.iter().filter_map(|(key, kept)| Some((kept.series.ended()?, key)));
        let Some((_, oldest)) = over.min() else { return false };
        let oldest = oldest.clone();
        self.kept.remove(&oldest).is_some()
    }

    /// All series, those of one subject one after the other.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Kept)> {
        self.kept.iter()
    }

    /// A series with what it is of.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Kept> {
        self.kept.get(key)
    }

    /// The series of a quantity of a stack or a heap, by its id.
    #[must_use]
    pub fn series(&self, quantity: Quantity, subject: &str) -> Option<&Series> {
        self.kept.get(&Key { subject: subject.to_owned(), quantity }).map(|kept| &kept.series)
    }

    /// Series of the last snapshot for which there was no room.
    #[must_use]
    pub fn refused(&self) -> u32 {
        self.refused
    }

    /// When the oldest that is kept was measured, since the attach.
    #[must_use]
    pub fn first(&self) -> Option<Duration> {
        self.kept.values().filter_map(|kept| kept.series.first()).min()
    }

    /// Bytes that all samples and slices take now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.kept.values().map(|kept| kept.series.bytes()).sum()
    }

    /// Forgets a series.
    pub fn remove(&mut self, key: &Key) {
        self.kept.remove(key);
    }
}

#[cfg(test)]
mod tests;
