//! Where target memory comes from. One narrow, read-only trait; a probe, a recording and a file are sources.

pub mod chip;
pub mod control;
#[cfg(feature = "simulator")]
pub mod emulated;
pub mod ending;
pub mod endpoint;
pub mod file;
pub mod flash;
pub mod gdb;
pub mod link;
mod mem_ap;
pub mod probe;
pub mod qemu;
pub mod recorder;
pub mod replay;
pub mod rtt;
#[cfg(test)]
pub(crate) mod testing;

use std::time::Duration;

use thiserror::Error;

use crate::region::Region;

/// Answers "read this range" and "how are you". It has no write and no halt: what touches the target is not a source.
pub trait Source: Send {
    /// Fills `into` with the bytes of `range` (`into.len()` is the range's size), in one ascending pass, word by
    /// word where the range is word-aligned.
    ///
    /// # Errors
    ///
    /// Says whether it is only this range that cannot be read, or the whole link that is gone.
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError>;

    /// What the target is doing, as far as can be told without stopping it.
    ///
    /// # Errors
    ///
    /// The link is gone.
    fn status(&mut self) -> Result<CoreStatus, ReadError>;

    /// Tries to get a lost link back: one try, without waiting.
    ///
    /// # Errors
    ///
    /// It is still gone, and why.
    fn reopen(&mut self) -> Result<(), ReadError>;

    /// Time since the source was opened, by its own clock: a board's in lockstep is emulated, a recording's recorded.
    fn now(&self) -> Duration;

    /// Lets `time` pass, so that the next refresh is not too early. Returns at once in lockstep.
    fn wait(&mut self, time: Duration);

    /// A refresh begins: what is asked from here to [`Source::refreshed`] belongs together.
    fn refreshing(&mut self, _depth: Depth) {}

    /// The refresh that began is over.
    fn refreshed(&mut self) {}

    /// What this source knows of itself.
    fn describe(&self) -> Description;

    /// What it has done so far, where it can count.
    fn counters(&self) -> Counters;
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        (**self).read(range, into)
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        (**self).status()
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        (**self).reopen()
    }

    fn now(&self) -> Duration {
        (**self).now()
    }

    fn wait(&mut self, time: Duration) {
        (**self).wait(time);
    }

    fn refreshing(&mut self, depth: Depth) {
        (**self).refreshing(depth);
    }

    fn refreshed(&mut self) {
        (**self).refreshed();
    }

    fn describe(&self) -> Description {
        (**self).describe()
    }

    fn counters(&self) -> Counters {
        (**self).counters()
    }
}

/// How much one refresh reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What moves.
    Steady,
    /// Everything below the marks too.
    Thorough,
}

/// What a source knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// `sim`, or the probe's name.
    pub source: String,
    /// The chip as probe-rs names it, when it is known.
    pub chip: Option<String>,
    /// The core: `Cortex-M3`.
    pub core: Option<String>,
    /// Payload words of one USB packet or answer, when the source has such: reads are planned with it.
    pub packet_words: Option<u32>,
    /// How its memory is reached.
    pub reach: Reach,
    /// Whether it is memory that was saved: it does not change.
    pub is_saved: bool,
}

impl Description {
    /// Whether a core that sleeps may answer zeros for what it holds.
    #[must_use]
    pub fn may_sleep(&self) -> bool {
        !self.is_saved && self.reach != Reach::Emulator
    }
}

/// How memory is reached: what reads cost in commands, and whether zeros can be a sleeping core's, follow from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Through a MEM-AP. The address of a block takes a command of its own, and blocks are cut at pages of 1 KiB.
    #[default]
    Probe,
    /// Through a server that is asked for an address and a length in one, with a probe behind it perhaps.
    Server,
    /// The same, and the memory is that of a program on a computer, which never sleeps.
    Emulator,
}

/// What the target is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreStatus {
    /// It executes, or sleeps between interrupts.
    Running,
    /// It was reset since the last question.
    WasReset,
    /// It sits in lockup: two faults within each other.
    LockedUp,
    /// It is halted by somebody else's debugger.
    Halted,
}

/// What a source has done since it was opened. `None` where it cannot count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes read.
    pub bytes: u64,
    /// SWD transactions.
    pub transactions: Option<u64>,
    /// USB commands.
    pub usb_commands: Option<u64>,
    /// Times the core entered debug state.
    pub halts: Option<u64>,
    /// Writes to the target: words of memory and registers alike, whatever lies outside of the debug port and its access
    /// ports.
    pub writes: Option<u64>,
}

/// Why a read failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// This range cannot be read (no memory there, or protected); the link is fine.
    #[error("{range:?} cannot be read: {why}")]
    Unreadable {
        /// What was asked for.
        range: Region,
        /// What the link said.
        why: String,
    },
    /// The target does not answer for now; trying again may help.
    #[error("the target does not answer: {0}")]
    Busy(String),
    /// The link is gone.
    #[error("the link is gone: {0}")]
    Gone(String),
    /// The link is gone, and another try would touch the target as nobody allowed: there is none.
    #[error("{0}")]
    Refused(String),
}

impl ReadError {
    /// The reason alone, without what kind of failure it is.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Unreadable { why, .. } | Self::Busy(why) | Self::Gone(why) | Self::Refused(why) => why,
        }
    }
}
