//! What the core's fault registers say, in words. They are memory-mapped, so they are read without stopping the core.
//!
//! Arm v7-M and v8-M Mainline: CFSR, HFSR, DFSR, MMFAR, BFAR at 0xE000ED28 (ARM DDI 0403E B3.2.15 to B3.2.18; ARM DDI
//! 0553 D1.2 for STKOF). The bits stay until the firmware clears them or the core is reset: they tell that it happened,
//! not when. Armv6-M and Armv8-M Baseline have none of them (ARM DDI 0419E B3.2; ARM DDI 0553 D1.2), and CPUID says which
//! architecture it is.

use crate::memory::Memory;
use crate::model::snapshot::Stack;
use crate::region::Region;
use crate::units;

/// The five words.
pub const REGISTERS: Region = Region::new(0xE000_ED28, 20);

/// CPUID (ARM DDI 0403E B3.2.3).
const CPUID: Region = Region::new(0xE000_ED00, 4);
/// Bits that CFSR and HFSR do not have: they read as zero.
const CFSR_RESERVED: u32 = 0xFCE0_4044;
const HFSR_RESERVED: u32 = 0x3FFF_FFFD;

/// Reads the fault registers of cores that have them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader {
    /// Whether this core has them, once it said so.
    has_them: Option<bool>,
    /// What they said last.
    last: Option<Faults>,
}

impl Reader {
    /// What is recorded now; `None` for a core without these registers, and when they cannot be read.
    pub fn read(&mut self, memory: &mut Memory<'_>) -> Option<Faults> {
        // Where CPUID cannot be read at all (an old recording, a dump), the registers answer for themselves.
        if self.has_them.is_none()
            && let Some(cpuid) = memory.word(CPUID.start())
        {
            memory.forget_within(CPUID);
            self.has_them = has_fault_registers(cpuid).filter(|_| memory.word(CPUID.start()) == Some(cpuid));
            self.has_them?;
        }
        if self.has_them == Some(false) {
            return None;
        }
        // They hold what they say until the firmware clears them or the core is reset, so what was told still holds when an
        // answer is missing or is not given a second time.
        let words = memory.words(REGISTERS);
        let Some(faults) = words.and_then(|words| Faults::from_words(&words)) else { return self.last };
        let as_before = self.last.unwrap_or_default() == faults;
        if as_before || memory.confirms(REGISTERS, |words| Faults::from_words(words) == Some(faults)) {
            self.last = Some(faults);
        }
        self.last
    }
}

/// Whether a core with this CPUID has fault registers, by its field "Architecture": 0xF is Armv7-M and Armv8-M Mainline, 0xC
/// Armv6-M (ARM DDI 0419E B3.2.3) and Armv8-M Baseline. `None` for what is no CPUID.
fn has_fault_registers(cpuid: u32) -> Option<bool> {
    match cpuid >> 16 & 0xf {
        _ if cpuid == 0 || cpuid == u32::MAX => None,
        0xf => Some(true),
        0xc => Some(false),
        _ => None,
    }
}

/// The fault registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Configurable fault status: MemManage, BusFault and UsageFault in one word.
    pub cfsr: u32,
    /// HardFault status.
    pub hfsr: u32,
    /// The address of the last MemManage fault, when CFSR says that it is valid.
    pub mmfar: u32,
    /// The address of the last precise BusFault, when CFSR says that it is valid.
    pub bfar: u32,
}

/// Bits of CFSR, the fault they belong to, and what they mean.
const CFSR: &[(u32, &str, &str)] = &[
    (0, "MemManage", "an instruction was fetched where none may be (IACCVIOL)"),
    (1, "MemManage", "a protected address was accessed (DACCVIOL)"),
    (3, "MemManage", "leaving an exception hit protected stack memory (MUNSTKERR)"),
    (4, "MemManage", "entering an exception hit protected stack memory (MSTKERR)"),
    (5, "MemManage", "saving floating-point registers hit protected memory (MLSPERR)"),
    (8, "BusFault", "an instruction could not be fetched (IBUSERR)"),
    (9, "BusFault", "an address does not answer (PRECISERR)"),
    (10, "BusFault", "an address did not answer, some instructions ago (IMPRECISERR)"),
    (11, "BusFault", "leaving an exception hit bad stack memory (UNSTKERR)"),
    (12, "BusFault", "entering an exception hit bad stack memory (STKERR)"),
    (13, "BusFault", "saving floating-point registers hit bad memory (LSPERR)"),
    (16, "UsageFault", "an undefined instruction (UNDEFINSTR)"),
    (17, "UsageFault", "a jump to Arm state (INVSTATE)"),
    (18, "UsageFault", "a broken exception return (INVPC)"),
    (19, "UsageFault", "a coprocessor that is off or missing (NOCP)"),
    (20, "UsageFault", "a stack went below its limit register (STKOF)"),
    (24, "UsageFault", "an unaligned access (UNALIGNED)"),
    (25, "UsageFault", "a division by zero (DIVBYZERO)"),
];

/// CFSR.MMARVALID: MMFAR holds the address.
const MMARVALID: u32 = 1 << 7;
/// CFSR.BFARVALID: BFAR holds the address.
const BFARVALID: u32 = 1 << 15;
/// CFSR.STKOF: a stack pointer went below its limit register (Armv8-M).
pub const STKOF: u32 = 1 << 20;
/// HFSR.VECTTBL: the vector table could not be read.
const VECTTBL: u32 = 1 << 1;
/// HFSR.FORCED: a fault that could not be handled became a HardFault.
const FORCED: u32 = 1 << 30;
/// HFSR.DEBUGEVT: a breakpoint instruction without a debugger.
const DEBUGEVT: u32 = 1 << 31;

impl Faults {
    /// The registers from the words of [`REGISTERS`]; DFSR, the third, is the debugger's own. `None` when the words have bits
    /// that no such register has: they come from somewhere else.
    #[must_use]
    pub fn from_words(words: &[u32]) -> Option<Self> {
        let [cfsr, hfsr, _dfsr, mmfar, bfar] = words else { return None };
        let sound = cfsr & CFSR_RESERVED == 0 && hfsr & HFSR_RESERVED == 0;
        sound.then_some(Self { cfsr: *cfsr, hfsr: *hfsr, mmfar: *mmfar, bfar: *bfar })
    }

    /// Whether any fault is recorded.
    #[must_use]
    pub fn any(&self) -> bool {
        CFSR.iter().any(|(bit, ..)| self.cfsr >> bit & 1 != 0) || self.hfsr & (VECTTBL | FORCED | DEBUGEVT) != 0
    }

    /// What is recorded, one clause for each bit, in the order of the registers.
    #[must_use]
    pub fn clauses(&self) -> Vec<String> {
        let mut clauses = Vec::new();
        for (bit, fault, meaning) in CFSR.iter().filter(|(bit, ..)| self.cfsr >> bit & 1 != 0) {
            let address = match *fault {
                "MemManage" if self.cfsr & MMARVALID != 0 => Some(self.mmfar),
                "BusFault" if self.cfsr & BFARVALID != 0 && *bit == 9 => Some(self.bfar),
                _ => None,
            };
            let at = address.map_or_else(String::new, |address| format!(" at {}", units::address(address.into())));
            clauses.push(format!("{fault}: {meaning}{at}"));
        }
        let hard = [
            (VECTTBL, "HardFault: the vector table could not be read (VECTTBL)"),
            (FORCED, "it became a HardFault (FORCED)"),
            (DEBUGEVT, "HardFault: a breakpoint without a debugger (DEBUGEVT)"),
        ];
        clauses.extend(hard.iter().filter(|(bit, _)| self.hfsr & bit != 0).map(|(_, text)| (*text).into()));
        clauses
    }

    /// The faulting address, where one is valid.
    #[must_use]
    pub fn address(&self) -> Option<u32> {
        match self.cfsr {
            cfsr if cfsr & MMARVALID != 0 => Some(self.mmfar),
            cfsr if cfsr & BFARVALID != 0 => Some(self.bfar),
            _ => None,
        }
    }

    /// The stack whose end the faulting address lies at: an access to its guard, or just below it.
    #[must_use]
    pub fn culprit<'a>(&self, stacks: &'a [Stack]) -> Option<&'a Stack> {
        /// Bytes around a stack's limit in which a fault is taken for that stack's overflow.
        const NEAR: u32 = 256;
        let address = self.address()?;
        stacks.iter().find(|stack| {
            let limit = stack.range.start();
            Region::between(limit.saturating_sub(NEAR), limit.saturating_add(NEAR)).contains(address)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: [u32; 5], expected: &[&str]) {
        let faults = Faults::from_words(&words).expect("five words");
        assert_eq!(faults.clauses(), expected);
        assert_eq!(faults.any(), !expected.is_empty());
    }

    #[test]
    fn faults_are_told_in_words() {
        check([0, 0, 0, 0, 0], &[]);
        check([0, 0, 0xf, 0x2000_0000, 0x2000_0000], &[]);
        check(
            [1 << 1 | MMARVALID, FORCED, 0, 0x2000_4cc0, 0],
            &["MemManage: a protected address was accessed (DACCVIOL) at 2000_4cc0", "it became a HardFault (FORCED)"],
        );
        check(
            [1 << 9 | BFARVALID, 0, 0, 0, 0xdead_0000],
            &["BusFault: an address does not answer (PRECISERR) at dead_0000"],
        );
        check([1 << 10, 0, 0, 0, 0], &["BusFault: an address did not answer, some instructions ago (IMPRECISERR)"]);
        check([STKOF, 0, 0, 0, 0], &["UsageFault: a stack went below its limit register (STKOF)"]);
        check(
            [1 << 25, FORCED, 0, 0, 0],
            &["UsageFault: a division by zero (DIVBYZERO)", "it became a HardFault (FORCED)"],
        );
    }

    #[test]
    fn cpuid_decides_whether_there_are_fault_registers() {
        use crate::source::link::LinkCost;
        use crate::source::testing::Bytes;
        const M0PLUS: u32 = 0x410c_c601;
        const M23: u32 = 0x411c_d200;
        const M4: u32 = 0x410f_c241;
        const M33: u32 = 0x410f_d213;
        let read = |cpuid, word| {
            let mut bytes = Bytes::new(Region::new(0xe000_ed00, 0x90));
            bytes.poke(0xe000_ed00, cpuid);
            for register in REGISTERS.start()..REGISTERS.end_address() {
                if register % 4 == 0 {
                    bytes.poke(register, word);
                }
            }
            Reader::default().read(&mut Memory::new(&mut bytes, LinkCost::default(), 1 << 16))
        };
        // Where these registers are not, anything may be answered; all ones are no answer anywhere.
        for cpuid in [M0PLUS, M23, 0, u32::MAX] {
            assert_eq!([0, 2, u32::MAX].map(|word| read(cpuid, word)), [None; 3], "{cpuid:08x}");
        }
        for cpuid in [M4, M33] {
            assert_eq!(read(cpuid, 0), Some(Faults::default()));
            assert_eq!(read(cpuid, 2).map(|faults| faults.clauses().len()), Some(2), "{cpuid:08x}");
            assert_eq!(read(cpuid, u32::MAX), None);
        }
    }

    #[test]
    fn five_words_or_none() {
        assert_eq!(Faults::from_words(&[0; 4]), None);
    }
}
