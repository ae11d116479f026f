//! The tripwire's part of the report.

use serde::Serialize;

use super::seconds;
use crate::model::catch::{Catch, CatchKind, Mode, Tripwire};

/// The tripwire of the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TripwireReport {
    /// `watch`, `halt` or `culprit`.
    pub mode: &'static str,
    /// What is watched now.
    pub aims: Vec<AimReport>,
    /// The core stands at the last catch.
    pub held: bool,
    /// Why nothing is watched, or what was found armed.
    pub note: Option<String>,
    /// Writes to debug registers.
    pub register_writes: u32,
    /// Words of memory written.
    pub word_writes: u32,
}

/// What is watched of one stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AimReport {
    /// The thread's name.
    pub stack: String,
    /// Bytes that are watched.
    pub watched: u32,
    /// Bytes that should be: the guard, or what lies below the mark.
    pub wanted: u32,
    /// The pieces that are.
    pub pieces: Vec<PieceReport>,
}

/// A range that one comparator watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PieceReport {
    /// First address.
    pub start: u32,
    /// Bytes.
    pub size: u32,
}

/// A store that was caught.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CatchReport {
    /// `noted`: seen without stopping. `stopped`: the core stopped behind it. `mark`: a new high-water mark. `missed`: the
    /// mark moved unseen.
    pub kind: &'static str,
    /// When, in seconds since the attach.
    pub at_s: f64,
    /// In which run of the target.
    pub epoch: u32,
    /// Whose guard or stack was written: the thread's name.
    pub owner: String,
    /// That stack's id.
    pub stack: String,
    /// The thread that wrote.
    pub thread: Option<String>,
    /// The instruction that stored.
    pub pc: Option<u32>,
    /// Its function.
    pub function: Option<String>,
    /// Its source file.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
    /// The core stored it, for an exception.
    pub by_exception: bool,
    /// The lowest address that changed.
    pub address: Option<u32>,
    /// The word there.
    pub value: Option<u32>,
    /// Bytes in use down to there.
    pub depth: Option<u32>,
    /// What lies below the stack.
    pub victim: Option<String>,
    /// What that is: a static's type, or who asked for a heap block.
    pub victim_is: Option<String>,
    /// The calls, the innermost first, with what was inlined.
    pub chain: Vec<CallReport>,
    /// The chain goes to the thread's first function.
    pub complete: bool,
    /// The whole sentence.
    pub text: String,
}

/// One function of a chain.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CallReport {
    /// The instruction, or where the call returns to.
    pub pc: u32,
    /// The function.
    pub function: String,
    /// Its source file.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
    /// It was inlined into the next one.
    pub inlined: bool,
    /// An exception interrupted it.
    pub interrupted: bool,
}

pub(super) fn tripwire(tripwire: &Tripwire) -> TripwireReport {
    TripwireReport {
        mode: match tripwire.mode {
            Mode::Watch => "watch",
            Mode::Halt => "halt",
            Mode::Culprit(_) => "culprit",
        },
        aims: tripwire
            .aims
            .iter()
            .map(|aim| AimReport {
                stack: aim.stack.clone(),
                watched: aim.watched(),
                wanted: aim.wanted,
                pieces: aim
                    .pieces
                    .iter()
                    .map(|piece| PieceReport { start: piece.start(), size: piece.size() })
                    .collect(),
            })
            .collect(),
        held: tripwire.held,
        note: tripwire.note.clone(),
        register_writes: tripwire.register_writes,
        word_writes: tripwire.word_writes,
    }
}

pub(super) fn catch(catch: &Catch) -> CatchReport {
    let culprit = catch.culprit();
    CatchReport {
        kind: match catch.kind {
            CatchKind::Noted => "noted",
            CatchKind::Stopped => "stopped",
            CatchKind::Mark => "mark",
            CatchKind::Missed => "missed",
        },
        at_s: seconds(catch.at),
        epoch: catch.epoch,
        owner: catch.owner.clone(),
        stack: catch.stack.clone(),
        thread: catch.thread.clone(),
        pc: catch.pc,
        function: culprit.map(|call| call.function.clone()),
        file: culprit.and_then(|call| call.file.clone()),
        line: culprit.and_then(|call| call.line),
        by_exception: catch.by_exception,
        address: catch.address,
        value: catch.value,
        depth: catch.depth,
        victim: catch.victim.as_ref().map(|victim| victim.name.clone()),
        victim_is: catch.victim.as_ref().and_then(|victim| victim.is.clone()),
        chain: catch
            .chain
            .iter()
            .map(|call| CallReport {
                pc: call.pc,
                function: call.function.clone(),
                file: call.file.clone(),
                line: call.line,
                inlined: call.inlined,
                interrupted: call.interrupted,
            })
            .collect(),
        complete: catch.complete,
        text: catch.sentence(),
    }
}
