//! The bits that keep a chip's debug port clocked while it sleeps.
//!
//! A table of our own, because the sequences of probe-rs 0.32.0 have some chips at the address of another family (STM32WBA,
//! STM32WB0), know nothing of others (STM32C0, U0), and write to registers that the firmware writes too. Sources: the
//! target scripts of OpenOCD 0.12.0 (`examine-end`), and the registers of ST's SVD files as stm32-data has them. Families
//! that neither has (STM32WB0), or that nobody is known to have tried (STM32N6), are left out.

use super::Chip;

/// The register that keeps a debug port awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepDebug {
    /// `DBGMCU_CR`.
    pub address: u32,
    /// Debug in sleep, stop and standby, as many of them as there are, with the clocks that they need.
    pub bits: u32,
    /// The firmware's own register, and the bit in it without which this one has no clock and cannot be written.
    pub clock: Option<(u32, u32)>,
}

/// `DBG_STOP` and `DBG_STANDBY`.
const STOP: u32 = 6;
/// The same with `DBG_SLEEP`.
const SLEEP: u32 = 7;

const fn always(address: u32, bits: u32) -> SleepDebug {
    SleepDebug { address, bits, clock: None }
}

const fn clocked(bits: u32, register: u32, bit: u32) -> SleepDebug {
    SleepDebug { address: 0x4001_5804, bits, clock: Some((register, 1 << bit)) }
}

/// By how the names of chips begin.
const KNOWN: &[(&[&str], SleepDebug)] = &[
    (&["STM32F1", "STM32F2", "STM32F3", "STM32F4", "STM32F7", "STM32G4"], always(0xe004_2004, SLEEP)),
    (&["STM32L1", "STM32L4", "STM32WB1", "STM32WB3", "STM32WB5"], always(0xe004_2004, SLEEP)),
    (&["STM32WL5", "STM32WLE"], always(0xe004_2004, SLEEP)),
    (&["STM32H5", "STM32L5", "STM32U3", "STM32U5", "STM32WBA"], always(0xe004_4004, STOP)),
    // Debug clocks of the domains 1 and 3 (bits 21 and 22), and the low-power modes of domain 1; of 2 where there is one.
    (&["STM32H7R", "STM32H7S"], always(0x5c00_1004, 0x0060_0007)),
    (&["STM32H7"], always(0x5c00_1004, 0x0060_003f)),
    // RCC_APB2ENR.DBGMCUEN, or RCC_APBENR1.DBGEN.
    (&["STM32F0"], clocked(STOP, 0x4002_1018, 22)),
    (&["STM32L0"], clocked(SLEEP, 0x4002_1034, 22)),
    (&["STM32G0", "STM32C0"], clocked(STOP, 0x4002_103c, 27)),
];

impl Chip {
    /// What keeps its debug port awake while it sleeps; `None` when no such bit is known.
    #[must_use]
    pub fn sleep_debug(&self) -> Option<SleepDebug> {
        KNOWN.iter().find(|(names, _)| self.is_one_of(names)).map(|(_, known)| *known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_never_taken_for_another_that_begins_the_same() {
        let of =
            |name: &str| Chip::find(name, None).expect("probe-rs knows it").sleep_debug().map(|known| known.address);
        for (name, address) in [
            ("STM32WB55RG", Some(0xe004_2004)),
            ("STM32WBA52CG", Some(0xe004_4004)),
            ("STM32WB09KE", None),
            ("STM32WLE5CC", Some(0xe004_2004)),
            ("STM32H743ZI", Some(0x5c00_1004)),
            ("STM32H7S3L8", Some(0x5c00_1004)),
            ("STM32G071RB", Some(0x4001_5804)),
            ("STM32G431RB", Some(0xe004_2004)),
            ("nRF52840_xxAA", None),
        ] {
            assert_eq!(of(name), address, "{name}");
        }
    }
}
