//! What one refresh found: the only thing that passes from the sampler to the model.

use crate::model::snapshot::Snapshot;

/// One refresh.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What was measured. The model fills in what only time can tell.
    pub snapshot: Snapshot,
}
