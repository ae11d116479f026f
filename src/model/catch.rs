//! What a tripwire watches and what it has caught: plain data.

use std::time::Duration;

use super::snapshot::Victim;
use crate::region::Region;

/// The tripwire of this run.
#[derive(Clone, Debug, PartialEq)]
pub struct Tripwire {
    /// What it may do to the core.
    pub mode: Mode,
    /// What is watched now, the stack with the least headroom first.
    pub aims: Vec<Aimed>,
    /// What was caught since the attach, the oldest first; bounded.
    pub catches: Vec<Catch>,
    /// The core stands at the last catch, until it is told to go on.
    pub held: bool,
    /// Why nothing is watched, or what was found armed: in one sentence.
    pub note: Option<String>,
    /// Writes to debug registers so far.
    pub register_writes: u32,
    /// Words of memory written so far.
    pub word_writes: u32,
}

/// What a tripwire may do to the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A store into a guard is noted; the core runs on.
    Watch,
    /// The core stops behind a store into a guard.
    Halt,
    /// The core stops for a moment at each new high-water mark of the stack of this name.
    Culprit(String),
}

/// What is watched of one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aimed {
    /// The thread's name.
    pub stack: String,
    /// The pieces that are watched, from the highest address down.
    pub pieces: Vec<Region>,
    /// Bytes that should be watched: the guard, or what lies below the mark.
    pub wanted: u32,
}

impl Aimed {
    /// Bytes that are watched.
    #[must_use]
    pub fn watched(&self) -> u32 {
        self.pieces.iter().map(|piece| piece.size()).sum()
    }
}

/// One store that was caught.
#[derive(Clone, Debug, PartialEq)]
pub struct Catch {
    /// When it was seen, since the attach.
    pub at: Duration,
    /// In which run of the target: see [`super::snapshot::Snapshot::epoch`].
    pub epoch: u32,
    /// How it was seen.
    pub kind: CatchKind,
    /// Whose guard or stack was written: the stack's id.
    pub stack: String,
    /// The name of that stack's thread.
    pub owner: String,
    /// The thread on whose stack the code that wrote it runs; `None` when that is not known.
    pub thread: Option<String>,
    /// The lowest address that changed; `None` when what was written equals what was there.
    pub address: Option<u32>,
    /// The word there now.
    pub value: Option<u32>,
    /// Bytes in use down to there, or to the deepest word that was seen changed.
    pub depth: Option<u32>,
    /// The instruction that stored.
    pub pc: Option<u32>,
    /// It was the core that stored: an exception came, and its frame went onto this stack.
    pub by_exception: bool,
    /// The calls, the innermost first, with what was inlined.
    pub chain: Vec<Call>,
    /// The chain goes to the thread's first function.
    pub complete: bool,
    /// What lies below the stack.
    pub victim: Option<Victim>,
}

/// How a store was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CatchKind {
    /// A comparator noted a store into a guard; the core ran on, so nobody knows who it was.
    Noted,
    /// The core stopped behind a store into a guard.
    Stopped,
    /// The core stopped for a moment behind a store below the high-water mark.
    Mark,
    /// The mark moved and no comparator saw it: a frame was larger than what could be watched.
    Missed,
}

/// One function of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where it is: the instruction of the innermost one, for others the address that the call returns to.
    pub pc: u32,
    /// Its name.
    pub function: String,
    /// Its source file.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
    /// It was inlined into the function behind it.
    pub inlined: bool,
    /// An exception interrupted it; it did not call the one before it.
    pub interrupted: bool,
}

impl Call {
    /// `src/main.rs:12`, as far as it is known.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(match self.line {
            Some(line) => format!("{file}:{line}"),
            None => file.clone(),
        })
    }
}

impl Catch {
    /// The function that stored, innermost and inlined ones included.
    #[must_use]
    pub fn culprit(&self) -> Option<&Call> {
        self.chain.iter().find(|call| !self.by_exception || call.interrupted)
    }

    /// The chain with runs of the same call as one, and how often it is there.
    #[must_use]
    pub fn folded(&self) -> Vec<(&Call, usize)> {
        let mut rows: Vec<(&Call, usize)> = Vec::new();
        for call in &self.chain {
            match rows.last_mut() {
                Some((last, times)) if last.function == call.function && last.line == call.line => *times += 1,
                _ => rows.push((call, 1)),
            }
        }
        rows
    }

    /// What was caught, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let owner = &self.owner;
        let place = self.address.map_or_else(String::new, |at| format!(" at {}", crate::units::address(at.into())));
        let value = self.value.map_or_else(String::new, |value| format!(" 0x{value:08x}"));
        let depth = self.depth.map_or_else(|| "?".into(), |depth| crate::units::bytes(depth.into()));
        let by = self.culprit().map_or_else(String::new, |call| {
            let how = if self.by_exception { "an exception in " } else { "" };
            let line = call.place().map_or_else(String::new, |place| format!(" ({place})"));
            // A handler that saves a thread's registers is not to blame for how deep the thread is.
            let handled = self.chain.iter().find(|call| call.interrupted).filter(|_| !self.by_exception);
            let interrupted = handled.map_or_else(String::new, |call| {
                let line = call.place().map_or_else(String::new, |place| format!(" ({place})"));
                format!(", which interrupted {}{line}", call.function)
            });
            format!(", by {how}{}{line}{interrupted}", call.function)
        });
        let who = match &self.thread {
            Some(thread) if thread != owner => format!(", in thread {thread}"),
            _ => String::new(),
        };
        match self.kind {
            CatchKind::Noted => format!("A store{value} into {owner}'s guard{place} was noted; the core ran on."),
            CatchKind::Stopped => format!("A store{value} into {owner}'s guard{place}{by}{who}."),
            CatchKind::Mark => format!("{owner} reached a new high-water mark, {depth}{by}{who}."),
            CatchKind::Missed => {
                format!("{owner}'s mark moved to at least {depth} unseen: a frame left what is watched untouched.")
            }
        }
    }
}

impl Tripwire {
    /// Whether a guard was written, or the culprit was seen.
    #[must_use]
    pub fn has_caught(&self) -> bool {
        match self.mode {
            // Marks come all the time while a stack is new; one says little.
            Mode::Culprit(_) => false,
            Mode::Watch | Mode::Halt => !self.catches.is_empty(),
        }
    }

    /// What this run may do to the target, for a status line.
    #[must_use]
    pub fn access(&self) -> String {
        let names = self.aims.iter().map(|aim| aim.stack.as_str()).collect::<Vec<_>>().join(", ");
        let on = if names.is_empty() { String::new() } else { format!(" on {names}") };
        match &self.mode {
            Mode::Watch => format!("tripwire{on}, never stops"),
            Mode::Halt if self.held => "tripwire: STOPPED".into(),
            Mode::Halt => format!("tripwire{on}, stops the core"),
            Mode::Culprit(name) => format!("culprit {name}: stops briefly"),
        }
    }
}
