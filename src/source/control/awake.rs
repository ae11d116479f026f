//! Keeps a chip's debug port awake while the chip sleeps, when a flag asks for it: sets the bits of one register, and puts
//! back what was there.
//!
//! The register is one for debuggers (`DBGMCU_CR`); the firmware may write it too, so only the bits in question are put
//! back. A register that it needs a clock from belongs to the firmware, and a bit that is set in it while the core runs could
//! undo what the firmware writes at the same moment: so the clock is looked at, and never switched on.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Control;
use super::left::Keeper;
use crate::source::ReadError;
use crate::source::chip::sleep::SleepDebug;

/// What was found before anything was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    address: u32,
    /// The bits that were set of those in question.
    bits: u32,
}

/// Why the bits are not set.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The link failed.
    #[error(transparent)]
    Link(#[from] ReadError),
    /// It has no clock.
    #[error(
        "DBGMCU has no clock, and switching it on while the core runs could undo what the firmware writes to the same \
         register, {0:#010x}; let the firmware enable it (__HAL_RCC_DBGMCU_CLK_ENABLE)"
    )]
    NoClock(u32),
    /// What is written does not stay.
    #[error("DBGMCU_CR at {0:#010x} does not take the bits: it is protected, or the chip is another one")]
    Ignored(u32),
    /// What was found cannot be kept.
    #[error("what was found cannot be kept in {path}: {why}")]
    NotKept {
        /// The file.
        path: String,
        /// What the system says.
        why: std::io::Error,
    },
}

/// A debug port that is kept awake until this is dropped.
pub struct Awake {
    control: Box<dyn Control>,
    register: SleepDebug,
    found: u32,
    keeper: Option<Keeper>,
    note: Option<String>,
}

impl Awake {
    /// Keeps what is there and sets the bits. What an earlier run left behind counts as found the way that run found it.
    ///
    /// # Errors
    ///
    /// See [`Refusal`]. Everything is as it was then, unless the link is gone: then the file says what was.
    pub fn begin(mut control: Box<dyn Control>, register: SleepDebug, keeper: Option<Keeper>) -> Result<Self, Refusal> {
        let SleepDebug { address, bits, .. } = register;
        let there = control.read(address)? & bits;
        // Without its power since, it would not be set any more: then there is nothing to put right.
        let earlier =
            keeper.as_ref().and_then(Keeper::load::<Found>).filter(|it| it.address == address && there == bits);
        let note = earlier.map(|_| "An earlier run left it so: what that one had found is put back.".into());
        let found = earlier.map_or(there, |earlier| earlier.bits & bits);
        let mut awake = Self { control, register, found, keeper, note };
        awake.keep()?;
        Ok(awake)
    }

    /// The target was reset: a power cycle takes the bits, and a reset may take the clock.
    ///
    /// # Errors
    ///
    /// The link failed.
    pub fn after_reset(&mut self) -> Result<(), ReadError> {
        match self.keep() {
            Ok(()) => self.note = None,
            Err(Refusal::Link(error)) => return Err(error),
            Err(refused) => self.note = Some(format!("Since the last reset it does not: {refused}.")),
        }
        Ok(())
    }

    /// Sets the bits, unless they are.
    fn keep(&mut self) -> Result<(), Refusal> {
        let SleepDebug { address, bits, clock } = self.register;
        if let Some((clock, bit)) = clock
            && self.control.read(clock)? & bit == 0
        {
            return Err(Refusal::NoClock(clock));
        }
        let value = self.control.read(address)?;
        if self.found != bits
            && let Some(keeper) = &self.keeper
        {
            let found = Found { address, bits: self.found };
            let failed = |why| Refusal::NotKept { path: keeper.path().display().to_string(), why };
            keeper.store(&found).map_err(failed)?;
        }
        if value & bits == bits {
            return Ok(());
        }
        self.control.write(address, &[value | bits])?;
        if self.control.read(address)? & bits == bits { Ok(()) } else { Err(Refusal::Ignored(address)) }
    }

    /// What is done to the target, in whole sentences.
    #[must_use]
    pub fn tell(&self) -> String {
        let written = self.control.written();
        let count = written.registers + written.words;
        let times = if count == 1 { "write" } else { "writes" };
        let told = format!(
            "DBGMCU_CR at {:#010x} keeps the debug port awake ({count} {times} so far): in low-power modes the chip takes \
             more current than without. What it held is put back at the end.",
            self.register.address,
        );
        self.note.iter().fold(told, |told, note| format!("{told} {note}"))
    }

    fn restore(&mut self) -> Result<(), ReadError> {
        let SleepDebug { address, bits, .. } = self.register;
        let value = self.control.read(address)?;
        let before = value & !bits | self.found;
        if value != before {
            self.control.write(address, &[before])?;
        }
        if let Some(keeper) = &self.keeper {
            keeper.forget();
        }
        Ok(())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        match self.restore() {
            Ok(()) => tracing::info!("DBGMCU_CR was put back as it was found"),
            // The file says what was there, and the next run with the flag puts it back.
            Err(error) => tracing::warn!("DBGMCU_CR is not as it was found: {error}"),
        }
    }
}
