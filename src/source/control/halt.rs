//! Stopping the core, looking into its registers, and letting it run on.
//!
//! Sources: ARM DDI 0403E C1.6 (`DHCSR`, `DCRSR`, `DCRDR`, `DFSR`); v6-M and v8-M have the same registers.

use super::Control;
use crate::image::unwind::Registers;
use crate::source::ReadError;

pub(in crate::source) const DHCSR: u32 = 0xe000_edf0;
const DCRSR: u32 = 0xe000_edf4;
const DCRDR: u32 = 0xe000_edf8;
pub(in crate::source) const DFSR: u32 = 0xe000_ed30;
/// A write to `DHCSR` without it is ignored.
pub(in crate::source) const KEY: u32 = 0xa05f << 16;
pub(in crate::source) const C_DEBUGEN: u32 = 1;
const C_HALT: u32 = 1 << 1;
const S_REGRDY: u32 = 1 << 16;
pub(in crate::source) const S_HALT: u32 = 1 << 17;
const S_RESET_ST: u32 = 1 << 25;
/// `DCRSR.REGWnR`: to the register, not from it.
const REGWNR: u32 = 1 << 16;
/// `DFSR.DWTTRAP`: a watchpoint stopped the core.
const DWTTRAP: u32 = 1 << 2;
/// `DFSR.HALTED`: a debugger did.
const HALTED: u32 = 1;
/// How often a register that is moved is asked for before it is given up.
const TRIES: usize = 100;

/// Whether halting debug is switched on.
///
/// # Errors
///
/// The link failed.
pub fn is_debugged(control: &mut dyn Control) -> Result<bool, ReadError> {
    Ok(control.read(DHCSR)? & C_DEBUGEN != 0)
}

/// What a core does that comparators may stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It runs.
    Running,
    /// A watchpoint has stopped it.
    Stopped,
    /// A watchpoint has stopped it, and it was reset since the last question: what stopped it is the startup code.
    StoppedAfterReset,
}

/// Whether a watchpoint has stopped the core. `DFSR` is asked first and not `DHCSR`, whose read takes the sticky flag of
/// a reset away.
///
/// # Errors
///
/// The link failed.
pub fn look(control: &mut dyn Control) -> Result<Seen, ReadError> {
    if control.read(DFSR)? & DWTTRAP == 0 {
        return Ok(Seen::Running);
    }
    let status = control.read(DHCSR)?;
    Ok(match (status & S_HALT != 0, status & S_RESET_ST != 0) {
        (false, _) => Seen::Running,
        (true, false) => Seen::Stopped,
        (true, true) => Seen::StoppedAfterReset,
    })
}

/// Whether the core was reset since the last question; this takes the flag away.
///
/// # Errors
///
/// The link failed.
pub fn was_reset(control: &mut dyn Control) -> Result<bool, ReadError> {
    Ok(control.read(DHCSR)? & S_RESET_ST != 0)
}

/// Lets the core run, and comparators stop it.
///
/// # Errors
///
/// The link failed.
pub fn run(control: &mut dyn Control) -> Result<(), ReadError> {
    control.write(DFSR, &[DWTTRAP])?;
    control.write(DHCSR, &[KEY | C_DEBUGEN])
}

/// Lets a core run on that stands, with halting debug on.
///
/// # Errors
///
/// The link failed.
pub fn go_on(control: &mut dyn Control) -> Result<(), ReadError> {
    control.write(DHCSR, &[KEY | C_DEBUGEN])
}

/// Switches halting debug off; a core that stands runs on.
///
/// # Errors
///
/// The link failed.
pub fn let_go(control: &mut dyn Control) -> Result<(), ReadError> {
    control.write(DHCSR, &[KEY])
}

/// Stops the core; gives its stack pointers, the main and the process one.
///
/// # Errors
///
/// The link failed, or the core does not stop. It may stop later: [`end`] lets it run.
pub fn stop(control: &mut dyn Control) -> Result<[u32; 2], ReadError> {
    control.write(DHCSR, &[KEY | C_DEBUGEN | C_HALT])?;
    for _ in 0..TRIES {
        if control.read(DHCSR)? & S_HALT != 0 {
            return Ok([register(control, 17)?, register(control, 18)?]);
        }
    }
    Err(ReadError::Busy("the core does not stop".into()))
}

/// Lets the core run, with halting debug as it was found.
///
/// # Errors
///
/// The link failed.
pub fn end(control: &mut dyn Control, debug_enabled: bool) -> Result<(), ReadError> {
    let now = control.read(DHCSR)?;
    if now & C_DEBUGEN == 0 && !debug_enabled {
        return Ok(());
    }
    control.write(DFSR, &[DWTTRAP | HALTED])?;
    control.write(DHCSR, &[KEY | u32::from(debug_enabled)])
}

/// The registers of a stopped core.
///
/// # Errors
///
/// The link failed, or the core does not hand them out.
pub fn registers(control: &mut dyn Control) -> Result<Registers, ReadError> {
    let mut general = [0; 16];
    for (number, value) in (0u32..).zip(&mut general) {
        *value = register(control, number)?;
    }
    Ok(Registers { general, xpsr: register(control, 16)?, msp: register(control, 17)?, psp: register(control, 18)? })
}

/// Sets the register of a stopped core that `DCRSR.REGSEL` calls `number`.
///
/// # Errors
///
/// The link failed, or the core does not take it.
pub fn set_register(control: &mut dyn Control, number: u32, value: u32) -> Result<(), ReadError> {
    control.write(DCRDR, &[value])?;
    control.write(DCRSR, &[number | REGWNR])?;
    for _ in 0..TRIES {
        if control.read(DHCSR)? & S_REGRDY != 0 {
            return Ok(());
        }
    }
    Err(ReadError::Busy(format!("the core does not take register {number}")))
}

/// The register of a stopped core that `DCRSR.REGSEL` calls `number`.
///
/// # Errors
///
/// The link failed, or the core does not hand it out.
pub fn register(control: &mut dyn Control, number: u32) -> Result<u32, ReadError> {
    control.write(DCRSR, &[number])?;
    for _ in 0..TRIES {
        if control.read(DHCSR)? & S_REGRDY != 0 {
            return control.read(DCRDR);
        }
    }
    Err(ReadError::Busy(format!("the core does not hand out register {number}")))
}
