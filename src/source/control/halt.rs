//! Stopping the core, looking into its registers, and letting it run on.
//!
//! Sources: ARM DDI 0403E C1.6 (`DHCSR`, `DCRSR`, `DCRDR`, `DFSR`); v6-M and v8-M have the same registers.

use super::Control;
use crate::image::unwind::Registers;
use crate::source::ReadError;

const DHCSR: u32 = 0xe000_edf0;
const DCRSR: u32 = 0xe000_edf4;
const DCRDR: u32 = 0xe000_edf8;
const DFSR: u32 = 0xe000_ed30;
/// A write to `DHCSR` without it is ignored.
const KEY: u32 = 0xa05f << 16;
const C_DEBUGEN: u32 = 1;
const S_REGRDY: u32 = 1 << 16;
const S_HALT: u32 = 1 << 17;
/// `DFSR.DWTTRAP`: a watchpoint stopped the core.
const DWTTRAP: u32 = 1 << 2;
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

/// Whether a watchpoint has stopped the core. `DFSR` is asked and not `DHCSR`, whose read would take the sticky flag of
/// a reset away.
///
/// # Errors
///
/// The link failed.
pub fn is_stopped(control: &mut dyn Control) -> Result<bool, ReadError> {
    Ok(control.read(DFSR)? & DWTTRAP != 0 && control.read(DHCSR)? & S_HALT != 0)
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
    control.write(DFSR, &[DWTTRAP])?;
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

fn register(control: &mut dyn Control, number: u32) -> Result<u32, ReadError> {
    control.write(DCRSR, &[number])?;
    for _ in 0..TRIES {
        if control.read(DHCSR)? & S_REGRDY != 0 {
            return control.read(DCRDR);
        }
    }
    Err(ReadError::Busy(format!("the core does not hand out register {number}")))
}
