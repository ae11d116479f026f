//! What one refresh found: the only thing that passes from the sampler to the model.

use crate::fault::Faults;
use crate::model::snapshot::Snapshot;
use crate::source::CoreStatus;

/// One refresh.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What was measured.
    pub snapshot: Snapshot,
    /// What else was found: the model makes alerts of it.
    pub facts: Facts,
}

/// What a refresh found besides numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The target does not hold this ELF: what differs, in words.
    pub wrong_elf: Option<String>,
    /// The ELF has an agent, but the target's block is not there.
    pub agent_missing: bool,
    /// A number that grows while the firmware runs.
    pub heartbeat: Option<u32>,
    /// Registrations that found no slot.
    pub refused: u32,
    /// The core's fault registers, where it has them and they could be read.
    pub faults: Option<Faults>,
    /// What the core does, when it was asked in this refresh.
    pub core: Option<CoreStatus>,
    /// What became of the ELF's file since it was read.
    pub on_disk: OnDisk,
}

/// What became of the ELF's file since it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnDisk {
    /// It is what is shown.
    #[default]
    Same,
    /// It was written to and cannot be used (yet): why, in words.
    Unusable(String),
    /// It was built anew, and the target still runs what was built before.
    Newer,
}
