//! The debug registers of the core: halting debug, breakpoints, and the window to the rest of the private peripherals.
//!
//! rsemu has none of these, so they are laid over its register map for whoever comes through the debug port. The
//! firmware itself sees rsemu's: no debugger attached, no comparators. Not modelled: the debug monitor, vector catches
//! other than reset and `HardFault`, ITM, ETM and TPIU.
//!
//! Sources: ARM DDI 0403 C1.6 (DHCSR, DCRSR, DCRDR, DEMCR, DFSR), C1.8 (DWT), C1.11 (FPB); ARM DDI 0553 for FPB
//! version 2; ARM IHI 0031 and IHI 0029 for the ROM table.

use super::DEMCR;
use super::core::{Core, PC, Register};
use super::image::CoreKind;
use super::memory::Memory;

/// Debug halting control and status (C1.6.2).
const DHCSR: u32 = 0xe000_edf0;
const DCRSR: u32 = 0xe000_edf4;
const DCRDR: u32 = 0xe000_edf8;
const DFSR: u32 = 0xe000_ed30;
const AIRCR: u32 = 0xe000_ed0c;
const DWT_CTRL: u32 = 0xe000_1000;
const DWT_PCSR: u32 = 0xe000_101c;
const DWT_COMP0: u32 = 0xe000_1020;
const DWT_END: u32 = DWT_COMP0 + 16 * 4;
const FP_CTRL: u32 = 0xe000_2000;
const FP_COMP0: u32 = 0xe000_2008;
const FP_END: u32 = FP_COMP0 + 4 * 8;
/// The core's ROM table, where the access port's BASE points.
const ROM_TABLE: u32 = 0xe00f_f000;

const C_DEBUGEN: u32 = 1;
const C_HALT: u32 = 1 << 1;
const C_STEP: u32 = 1 << 2;
const C_MASKINTS: u32 = 1 << 3;
const S_REGRDY: u32 = 1 << 16;
const S_HALT: u32 = 1 << 17;
const S_SLEEP: u32 = 1 << 18;
const S_LOCKUP: u32 = 1 << 19;
const S_RETIRE_ST: u32 = 1 << 24;
const S_RESET_ST: u32 = 1 << 25;

const VC_CORERESET: u32 = 1;
const VC_HARDERR: u32 = 1 << 10;
const TRCENA: u32 = 1 << 24;

/// Why the core entered debug state: the bits of DFSR (C1.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Halted = 1,
    Breakpoint = 1 << 1,
    Watchpoint = 1 << 2,
    VectorCatch = 1 << 3,
}

/// What a write to a debug register asks the machine to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Nothing,
    Halt,
    Step,
    Resume,
    Reset,
}

/// The state of halting debug. A reset of the core keeps most of it; a power-on loses it.
#[derive(Debug)]
pub(crate) struct Debug {
    kind: CoreKind,
    /// Data comparators, as `DWT_CTRL.NUMCOMP` counts them.
    watchpoints: u32,
    /// The `C_` bits of DHCSR.
    control: u32,
    halted: bool,
    retired: bool,
    was_reset: bool,
    register_ready: bool,
    demcr: u32,
    dcrdr: u32,
    dfsr: u32,
    patching: bool,
    comparators: [u32; 8],
    breakpoints: Vec<u32>,
}

impl Debug {
    pub(crate) fn new(kind: CoreKind, watchpoints: u32) -> Self {
        Self {
            kind,
            watchpoints,
            control: 0,
            halted: false,
            retired: false,
            was_reset: true,
            register_ready: true,
            demcr: 0,
            dcrdr: 0,
            dfsr: 0,
            patching: false,
            comparators: [0; 8],
            breakpoints: Vec::new(),
        }
    }

    /// Halting debug is switched on.
    pub(crate) fn enabled(&self) -> bool {
        self.control & C_DEBUGEN != 0
    }

    pub(crate) fn halted(&self) -> bool {
        self.halted
    }

    pub(crate) fn masks_interrupts(&self) -> bool {
        self.control & C_MASKINTS != 0
    }

    pub(crate) fn retire(&mut self) {
        self.retired = true;
    }

    /// Whether the instruction at `pc` must not run: a breakpoint comparator, or a BKPT while debugging.
    pub(crate) fn breaks_at(&self, pc: u32, memory: &Memory) -> bool {
        let bkpt = || memory.word(pc).is_some_and(|word| word >> (pc % 4 * 8) & 0xff00 == 0xbe00);
        self.breakpoints.contains(&pc) || bkpt()
    }

    pub(crate) fn catches_hard_faults(&self) -> bool {
        self.demcr & VC_HARDERR != 0
    }

    /// Enters debug state.
    pub(crate) fn enter(&mut self, cause: Cause) {
        self.halted = true;
        self.control |= C_HALT;
        self.dfsr |= cause as u32;
    }

    pub(crate) fn leave(&mut self) {
        self.halted = false;
    }

    /// The core is in reset: the sticky flag is up.
    pub(crate) fn note_reset(&mut self) {
        self.was_reset = true;
    }

    /// What a reset of the core does to debug; says whether the core is to be halted before its first instruction.
    pub(crate) fn reset(&mut self) -> bool {
        self.control &= C_DEBUGEN;
        self.halted = false;
        self.was_reset = true;
        self.enabled() && self.demcr & VC_CORERESET != 0
    }

    /// A word of the private peripherals, as the debug port reads it.
    pub(crate) fn read(&mut self, address: u32, core: &mut dyn Core, memory: &Memory) -> u32 {
        match address {
            DHCSR => self.dhcsr(core),
            DCRSR => 0,
            DCRDR => self.dcrdr,
            DEMCR => self.demcr & !TRCENA | core.private(DEMCR) & TRCENA,
            DFSR => self.dfsr,
            DWT_CTRL => core.private(DWT_CTRL) & 0x0fff_ffff | self.watchpoints << 28,
            // The sampled PC; all ones in debug state (C1.8.5).
            DWT_PCSR if self.halted => u32::MAX,
            DWT_PCSR => core.register(PC),
            DWT_COMP0..DWT_END if !self.has_comparator(address) => 0,
            DWT_COMP0..DWT_END => memory.watch.register(address - DWT_COMP0),
            FP_CTRL => self.fp_ctrl(),
            FP_COMP0..FP_END => self.comparators[((address - FP_COMP0) / 4) as usize],
            ROM_TABLE.. => rom_table(self.kind, address - ROM_TABLE),
            _ => component(address).unwrap_or_else(|| core.private(address)),
        }
    }

    /// A write of the debug port; what it asks of the machine.
    pub(crate) fn write(&mut self, address: u32, value: u32, core: &mut dyn Core, memory: &Memory) -> Order {
        match address {
            DHCSR => return self.set_dhcsr(value),
            DCRSR => self.transfer(value, core),
            DCRDR => self.dcrdr = value,
            DEMCR => {
                self.demcr = value & 0x010f_07f1;
                core.set_private(DEMCR, value);
                memory.watch.set_enabled(value & TRCENA != 0);
            }
            DFSR => self.dfsr &= !value,
            DWT_COMP0..DWT_END if !self.has_comparator(address) => {}
            DWT_COMP0..DWT_END => {
                // The firmware may have set TRCENA itself, for its cycle counter.
                memory.watch.set_enabled(core.private(DEMCR) & TRCENA != 0);
                memory.watch.set_register(address - DWT_COMP0, value);
            }
            FP_CTRL if value & 2 != 0 => self.patching = value & 1 != 0,
            FP_CTRL => {}
            FP_COMP0..FP_END => self.comparators[((address - FP_COMP0) / 4) as usize] = value,
            // SYSRESETREQ, or the debugger's VECTRESET (B3.2.6).
            AIRCR if value >> 16 == 0x05fa && value & 0b101 != 0 => return Order::Reset,
            _ => core.set_private(address, value),
        }
        if (FP_CTRL..FP_END).contains(&address) {
            self.breakpoints = self.resolve();
        }
        Order::Nothing
    }

    fn dhcsr(&mut self, core: &mut dyn Core) -> u32 {
        let flag = |on: bool, bit: u32| if on { bit } else { 0 };
        self.control
            | flag(self.register_ready, S_REGRDY)
            | flag(self.halted, S_HALT)
            // A halted core is not asleep, even if the halt interrupted a WFI.
            | flag(!self.halted && core.asleep(), S_SLEEP)
            // Debug state ends a lockup (ARM DDI 0403 C1.6.2): the core faults again when it goes on.
            | flag(!self.halted && core.locked_up(), S_LOCKUP)
            | flag(std::mem::take(&mut self.retired), S_RETIRE_ST)
            | flag(std::mem::take(&mut self.was_reset), S_RESET_ST)
    }

    fn set_dhcsr(&mut self, value: u32) -> Order {
        if value >> 16 != 0xa05f {
            return Order::Nothing;
        }
        if value & C_DEBUGEN == 0 {
            self.control = 0;
            return if self.halted { Order::Resume } else { Order::Nothing };
        }
        self.control = value & (C_DEBUGEN | C_HALT | C_STEP | C_MASKINTS);
        match (self.halted, value & C_HALT != 0, value & C_STEP != 0) {
            (false, true, _) => Order::Halt,
            (true, false, true) => Order::Step,
            (true, false, false) => Order::Resume,
            _ => Order::Nothing,
        }
    }

    /// DCRSR: moves a core register to or from DCRDR, in debug state only.
    fn transfer(&mut self, selector: u32, core: &mut dyn Core) {
        self.register_ready = self.halted;
        let Some(register) = Register::from_selector(selector & 0x7f).filter(|_| self.halted) else {
            return;
        };
        if selector & 1 << 16 != 0 {
            core.set_register(register, self.dcrdr);
        } else {
            self.dcrdr = core.register(register);
        }
    }

    fn has_comparator(&self, address: u32) -> bool {
        (address - DWT_COMP0) / 16 < self.watchpoints
    }

    fn second_version(&self) -> bool {
        matches!(self.kind, CoreKind::M7 | CoreKind::M7F | CoreKind::M33 | CoreKind::M33F)
    }

    /// Code comparators in bits 7:4, literal comparators in 11:8, the version in 31:28 (C1.11.3).
    fn fp_ctrl(&self) -> u32 {
        let fixed = match self.kind {
            CoreKind::M0Plus => 0x40,
            CoreKind::M3 | CoreKind::M4 | CoreKind::M4F => 0x260,
            _ => 0x1000_0080,
        };
        fixed | u32::from(self.patching)
    }

    fn resolve(&self) -> Vec<u32> {
        if !self.patching {
            return Vec::new();
        }
        let enabled = self.comparators.iter().filter(|comparator| **comparator & 1 != 0);
        if self.second_version() {
            return enabled.map(|comparator| comparator & !1).collect();
        }
        let halfwords = |comparator: &u32| {
            let word = comparator & 0x1fff_fffc;
            let [lower, upper] = [comparator >> 30 & 1 != 0, comparator >> 31 != 0];
            [lower.then_some(word), upper.then_some(word + 2)].into_iter().flatten()
        };
        enabled.flat_map(halfwords).collect()
    }
}

/// The ROM table: system control space, DWT and FPB at their places, and the table's own identification.
fn rom_table(kind: CoreKind, offset: u32) -> u32 {
    // The part number of the core's ROM table: 0x4c0 and the core's own digit, from ARM's reference manuals.
    let part = match kind {
        CoreKind::M0Plus => 0xc0,
        CoreKind::M3 => 0xc3,
        CoreKind::M4 | CoreKind::M4F => 0xc4,
        CoreKind::M7 | CoreKind::M7F => 0xc7,
        CoreKind::M33 | CoreKind::M33F => 0xc9,
    };
    match offset {
        0 => 0xfff0_f003,
        4 => 0xfff0_2003,
        8 => 0xfff0_3003,
        0xfcc => 1,
        _ => identification(offset, 0x10, part, 0xb4),
    }
}

/// The identification words of the three components in the ROM table.
fn component(address: u32) -> Option<u32> {
    let part = match address & !0xfff {
        0xe000_e000 => 0x00,
        0xe000_1000 => 0x02,
        0xe000_2000 => 0x03,
        _ => return None,
    };
    ((address & 0xfff) >= 0xfd0).then(|| identification(address & 0xfff, 0xe0, part, 0xb0))
}

/// CIDR and PIDR words of a component by ARM (designer `0x43b`; ARM IHI 0029, B2.2).
fn identification(offset: u32, class: u32, part: u32, designer_and_part: u32) -> u32 {
    match offset {
        0xfd0 => 0x04,
        0xfe0 => part,
        0xfe4 => designer_and_part,
        0xfe8 => 0x0b,
        0xff0 => 0x0d,
        0xff4 => class,
        0xff8 => 0x05,
        0xffc => 0xb1,
        _ => 0,
    }
}
