//! The debug port and its memory access port, transfer by transfer.
//!
//! An SW-DP with one AHB-AP: at 0 as on a Cortex-M3 or M4, or wherever else a chip has it. Sources: ARM IHI 0031
//! (ADIv5.2): B2.2 for the debug port's registers, C2.2 and C2.6 for the access port's, C2.2.2 for the address increment
//! that wraps at 1 KiB; ARM IHI 0074 (ADIv6): B2.2.11 for SELECT, C2.4 for the access port's registers from `0xD00` on.

use std::sync::atomic::Ordering;

use super::faults::Spoiled;
use super::target::Target;

/// ARM's SW-DP of version 1, as in the Cortex-M3 and M4.
const DPIDR: u32 = 0x2ba0_1477;
/// One of version 3 (ADIv6), as in front of a Cortex-M33: the same but for the version in bits 15:12.
const DPIDR_V3: u32 = 0x2ba0_3477;
/// The protocol that has TARGETSEL: version 2 of SWD.
const DLP_VERSION: u32 = 1;
/// ARM's AHB-AP, revision 2.
const AP_IDR: u32 = 0x2477_0011;
/// The ROM table at `0xE00F_F000`, present, `ADIv5` format.
const AP_BASE: u32 = 0xe00f_f003;

/// Power-up requests; each is acknowledged in the bit above it.
const POWER_REQUESTS: u32 = 1 << 28 | 1 << 30;
/// The debug domain's part of them.
const DEBUG_POWER: u32 = 1 << 28;
const STICKYERR: u32 = 1 << 5;

/// The private peripheral bus (ARM DDI 0403 B3.1): registers of the core, not memory.
const PRIVATE: std::ops::Range<u32> = 0xe000_0000..0xe010_0000;

/// Where the memory's access port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Its number, behind a debug port of version 1 or 2 (`ADIv5`).
    Number(u8),
    /// Its address, behind one of version 3 (`ADIv6`).
    Address(u32),
}

impl Default for Port {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Port {
    /// The identity of the debug port that it is behind.
    const fn dpidr(self) -> u32 {
        match self {
            Self::Number(_) => DPIDR,
            Self::Address(_) => DPIDR_V3,
        }
    }

    /// The bank of registers that SELECT chooses of it: bits 7:4 of their addresses. `None` when another port is chosen.
    fn bank(self, select: u32) -> Option<u32> {
        let is_chosen = match self {
            Self::Number(number) => select >> 24 == u32::from(number),
            Self::Address(base) => select & !0xff == base | 0xd00,
        };
        is_chosen.then_some(select & 0xf0)
    }
}

/// One SWD transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// Through the access port, not to the debug port itself.
    pub(crate) access: bool,
    /// Bits 3:2 of the register's address.
    pub(crate) register: u8,
    /// What to write; `None` to read.
    pub(crate) write: Option<u32>,
}

/// The target's acknowledge, with the data of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok(u32),
    Wait,
    Fault,
    Silence,
}

/// The registers of debug port and access port.
#[derive(Debug)]
pub(crate) struct Dap {
    /// Where the memory's access port is.
    place: Port,
    /// What selects this debug port among several.
    targetsel: u32,
    /// The line is in step: a line reset and a read of DPIDR have been seen since power-on.
    connected: bool,
    line_reset: bool,
    select: u32,
    control: u32,
    sticky: bool,
    csw: u32,
    tar: u32,
}

impl Dap {
    /// As after power-on, with the memory's access port at `place`, and a debug port that `targetsel` selects.
    pub(crate) fn new(place: Port, targetsel: u32) -> Self {
        Self {
            place,
            targetsel,
            connected: false,
            line_reset: false,
            select: 0,
            control: 0,
            sticky: false,
            csw: 0x0300_0002,
            tar: 0,
        }
    }

    /// Power was lost: everything is as after power-on.
    pub(crate) fn power_cycle(&mut self) {
        *self = Self::new(self.place, self.targetsel);
    }

    /// A sequence of bits on SWDIO. Fifty ones reset the line (B4.3.3).
    pub(crate) fn sequence(&mut self, length: u8, bits: u64) {
        if length >= 50 && bits.trailing_ones() >= 50 {
            self.line_reset = true;
            self.connected = false;
            self.select = 0;
        }
    }

    /// One transfer. WAIT is decided by the caller, who knows how often it may be repeated.
    pub(crate) fn transfer(&mut self, transfer: Transfer, spoiled: Spoiled, target: &Target) -> Answer {
        if spoiled == Spoiled::Silence {
            // A transfer that is not acknowledged leaves the line out of step.
            self.connected = false;
            return Answer::Silence;
        }
        let reads_dpidr = !transfer.access && transfer.register == 0 && transfer.write.is_none();
        if !self.connected {
            if !(self.line_reset && reads_dpidr) {
                return Answer::Silence;
            }
            self.connected = true;
            self.line_reset = false;
        }
        if !transfer.access {
            return Answer::Ok(self.port(transfer));
        }
        match spoiled {
            Spoiled::Wait(_) => return Answer::Wait,
            Spoiled::Fault => self.sticky = true,
            _ => {}
        }
        if self.sticky || self.control & DEBUG_POWER == 0 {
            return Answer::Fault;
        }
        let value = match self.place.bank(self.select) {
            Some(bank) => self.access(bank, transfer, target),
            None => Some(0),
        };
        match value {
            Some(value) => Answer::Ok(value),
            None => {
                self.sticky = true;
                Answer::Fault
            }
        }
    }

    /// The debug port's own registers.
    fn port(&mut self, transfer: Transfer) -> u32 {
        let bank = self.select & 0xf;
        match (transfer.register & 0xc, transfer.write) {
            (0x0, None) => self.place.dpidr(),
            (0x0, Some(abort)) => {
                if abort & 1 << 2 != 0 {
                    self.sticky = false;
                }
                0
            }
            (0x4, None) if bank == 0 => {
                let acknowledged = (self.control & POWER_REQUESTS) << 1;
                self.control | acknowledged | if self.sticky { STICKYERR } else { 0 }
            }
            (0x4, Some(value)) if bank == 0 => {
                self.control = value & (POWER_REQUESTS | 0x00ff_ff0d);
                0
            }
            // TARGETID and DLPIDR (B2.2.10, B2.2.4): the two halves of what selects it.
            (0x4, None) if bank == 2 => self.targetsel & 0x0fff_ffff,
            (0x4, None) if bank == 3 => self.targetsel & 0xf000_0000 | DLP_VERSION,
            (0x8, Some(value)) => {
                self.select = value;
                0
            }
            _ => 0,
        }
    }

    /// The access port's registers; `None` for an access that memory refuses.
    fn access(&mut self, bank: u32, transfer: Transfer, target: &Target) -> Option<u32> {
        let register = bank | u32::from(transfer.register & 0xc);
        Some(match (register, transfer.write) {
            // DeviceEn reads as one, TrInProg as zero.
            (0x00, None) => self.csw | 1 << 6,
            (0x00, Some(value)) => {
                self.csw = value & 0xff00_0037;
                0
            }
            (0x04, None) => self.tar,
            (0x04, Some(value)) => {
                self.tar = value;
                0
            }
            (0x0c, write) => {
                let size = 1 << (self.csw & 7).min(2);
                let value = memory(target, self.tar & !(size - 1), size, write)?;
                if self.csw >> 4 & 3 == 1 {
                    self.tar = self.tar & !0x3ff | self.tar.wrapping_add(size) & 0x3ff;
                }
                value
            }
            (0x10..=0x1c, write) => memory(target, self.tar & !0xf | register & 0xc, 4, write)?,
            (0xf8, None) => AP_BASE,
            (0xfc, None) => AP_IDR,
            _ => 0,
        })
    }
}

/// One access to memory or to a private peripheral, bytes in their lanes (C2.2.6).
fn memory(target: &Target, address: u32, size: u32, write: Option<u32>) -> Option<u32> {
    let lanes = match size {
        1 => 0xff << (address % 4 * 8),
        2 => 0xffff << (address % 4 * 8),
        _ => u32::MAX,
    };
    let private = PRIVATE.contains(&address);
    let zeros = target.faults.zeros_asleep() && target.shown.asleep.load(Ordering::Acquire);
    let Some(value) = write else {
        target.tally.bytes_read.add(u64::from(size));
        if zeros {
            return Some(0);
        }
        let word = if private {
            target.with_machine(|machine| machine.read_private(address & !3))
        } else {
            target.memory.word(address)?
        };
        return Some(word & lanes);
    };
    if private {
        target.tally.debug_writes.add(1);
        target.with_machine(|machine| {
            let word = if lanes == u32::MAX { 0 } else { machine.read_private(address & !3) & !lanes };
            machine.write_private(address & !3, word | value & lanes);
        });
        return Some(0);
    }
    target.tally.memory_writes.add(1);
    target.memory.set_word(address, lanes, value).then_some(0)
}
