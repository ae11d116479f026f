//! What of its vendor's sequence is run to reach a chip.
//!
//! Of probe-rs's sequences, attaching would run five hooks: `debug_port_setup`, `debug_port_connect`, `debug_port_start`,
//! `debug_port_stop` at the end, and `debug_device_unlock`. Many do more than open a port: they set bits of DBGMCU (STM32),
//! start a core (nRF5340, PSE84), pulse the reset line (TLE98xx, PSOC C3 x7/x8), send a mailbox or boot loader commands
//! that restart the chip (MCX, i.MX RT500 and RT600, CC23xx). So ARM's own sequence connects, which is the same for all
//! chips, touches the debug port alone, and wakes a port that is dormant or behind a multidrop address; what differs
//! stands in the two tables below. Read in probe-rs 0.32.0, `src/vendor/`.

use std::sync::Arc;

use probe_rs::architecture::arm::sequences::{ArmDebugSequence, DefaultArmSequence};
use probe_rs::config::DebugSequence;

use super::Chip;
use crate::source::probe::Approach;

/// Chips whose port is reached by their vendor's set-up only: it tells the probe of the scan chain, and a router on it to
/// switch the core's TAP in. Neither is the target's memory or its registers.
const ROUTED: &[&str] = &["CC13", "CC26", "TMS570"];

/// Chips whose `debug_device_unlock` writes registers of access ports and nothing else: the debug enable of the SDA-AP
/// (S32K3), `HNONSEC` in the AHB-AP's own CSW (PSOC C3).
const PORTS_ONLY: &[&str] = &["S32K3", "PSC3M3", "PSC3M5", "PSC3P2", "PSC3P5"];

/// Chips whose port may be closed until something is done that resets them or touches their memory, and why.
const CLOSED: &[(&[&str], &str)] = &[
    (&["TLE98", "TLE99"], "its boot ROM opens the debug port only after a reset with SWDIO and SWDCLK high"),
    (&["MCX", "MIMXRT5", "MIMXRT6"], "its debug port is closed until a mailbox command restarts it"),
    (&["PSC3M7", "PSC3M8", "PSC3P7", "PSC3P8"], "its boot ROM opens the debug port only for a while after a reset"),
    (&["CC23", "CC27"], "it waits in its boot ROM's command interface"),
];

/// How a chip is reached.
pub(in crate::source) struct WayIn {
    /// Its vendor's sequence: how it is reset, when a run is asked to.
    pub(in crate::source) vendor: Arc<dyn ArmDebugSequence>,
    /// The sequence that connects, and disconnects at the end.
    pub(in crate::source) connects: Arc<dyn ArmDebugSequence>,
    /// Whether its vendor's `debug_device_unlock` has to open an access port, and does nothing else.
    pub(in crate::source) opens_ports: bool,
}

impl Default for WayIn {
    /// For whatever chip there is.
    fn default() -> Self {
        let standard: Arc<dyn ArmDebugSequence> = DefaultArmSequence::create();
        Self { vendor: Arc::clone(&standard), connects: standard, opens_ports: false }
    }
}

impl Chip {
    /// How it is reached; `None` when its core is none of ARM's.
    pub(in crate::source) fn way_in(&self, approach: Approach) -> Option<WayIn> {
        let DebugSequence::Arm(vendor) = &self.target.debug_sequence else { return None };
        let connects = match approach {
            Approach::Quiet if !self.is_one_of(ROUTED) => DefaultArmSequence::create(),
            _ => Arc::clone(vendor),
        };
        Some(WayIn { vendor: Arc::clone(vendor), connects, opens_ports: self.is_one_of(PORTS_ONLY) })
    }

    /// What may keep its debug port closed, for a run that resets nothing.
    pub(in crate::source) fn may_be_closed(&self) -> Option<&'static str> {
        CLOSED.iter().find(|(names, _)| self.is_one_of(names)).map(|(_, why)| *why)
    }

    /// Whether its name begins with one of these.
    pub(super) fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.target.name.starts_with(name))
    }
}
