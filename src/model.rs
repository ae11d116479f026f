//! What we know of the target over time: the last snapshot, bounded history, and alerts.
//!
//! `ingest` takes what one refresh found, cannot fail and does no I/O; views read, and change nothing.

pub mod alert;
pub mod history;
pub mod picture;
pub mod snapshot;

use std::collections::BTreeMap;

use alert::Alert;
use history::Series;
use snapshot::Snapshot;

use crate::sampler::observation::Observation;

/// The tool's whole knowledge of one target.
#[derive(Clone, Debug)]
pub struct Model {
    /// The newest snapshot.
    pub snapshot: Snapshot,
    /// Peak of each stack in bytes over time, by [`snapshot::Stack::id`].
    pub stack_peaks: BTreeMap<String, Series>,
    /// Current use of each stack in bytes over time, by [`snapshot::Stack::id`].
    pub stack_currents: BTreeMap<String, Series>,
    /// Bytes in use of each heap over time, by [`snapshot::Heap::name`].
    pub heap_used: BTreeMap<String, Series>,
    /// Alerts that hold, and those that are over, newest first within a severity; bounded.
    pub alerts: Vec<Alert>,
    /// Counts the changes: a view that has drawn this number has nothing to draw.
    pub revision: u64,
}

impl Model {
    /// A model that knows one snapshot and no history.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            stack_peaks: BTreeMap::new(),
            stack_currents: BTreeMap::new(),
            heap_used: BTreeMap::new(),
            alerts: Vec::new(),
            revision: 0,
        }
    }

    /// Takes what one refresh found.
    pub fn ingest(&mut self, observation: Observation) {
        self.snapshot = observation.snapshot;
        self.revision += 1;
    }
}
