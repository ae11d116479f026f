//! A moment that a person marked, to see what changed since.

use std::time::Duration;

use super::history::{Key, readings};
use super::snapshot::Snapshot;

/// The marked moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// What was known then. The words of a stack and the bytes of a block are left out: they are read only while
    /// somebody looks.
    pub snapshot: Snapshot,
}

impl Baseline {
    /// Marks the moment of a snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        Self { snapshot: Snapshot { detail: None, excerpt: None, ..snapshot.clone() } }
    }

    /// When it was, since the attach.
    #[must_use]
    pub fn at(&self) -> Duration {
        self.snapshot.at
    }

    /// The value of a series at that moment; `None` when it was not measured then.
    #[must_use]
    pub fn value(&self, key: &Key) -> Option<u32> {
        readings(&self.snapshot).into_iter().find(|reading| reading.key == *key)?.value
    }

    /// How far a value is above it, below it when negative.
    #[must_use]
    pub fn difference(&self, key: &Key, value: u32) -> Option<i64> {
        Some(i64::from(value) - i64::from(self.value(key)?))
    }
}
