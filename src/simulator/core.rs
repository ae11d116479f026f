//! The emulated core behind a small trait, so that another emulator can take rsemu's place.

use std::sync::Arc;

use rsemu::core::space::{AddressSpace, Region as Mapped, RomStore, RomWrite};
use rsemu::core::{Device as _, ResetKind};
use rsemu::cpu::arm::v7m::sys::Exception;
use rsemu::cpu::arm::v7m::{ArmV7m, Config, Regs};

use super::flash::{self, Controller};
use super::image::CoreKind;
use super::memory::{Memory, MemoryKind};

/// A core register, numbered as `DCRSR.REGSEL` numbers it (ARM DDI 0403 C1.6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// R0 to R12, 13 the stack pointer in use, 14 LR, 15 the next instruction.
    General(u8),
    Xpsr,
    Msp,
    Psp,
    /// CONTROL, FAULTMASK, BASEPRI and PRIMASK, from the highest byte down.
    Special,
    MspLimit,
    PspLimit,
    Fpscr,
    Float(u8),
}

/// The program counter.
pub(crate) const PC: Register = Register::General(15);
/// The stack pointer in use.
pub(crate) const SP: Register = Register::General(13);

impl Register {
    pub(crate) fn from_selector(selector: u32) -> Option<Self> {
        Some(match selector {
            number @ 0..=15 => Register::General(u8::try_from(number).ok()?),
            16 => Register::Xpsr,
            17 | 0x18 => Register::Msp,
            18 | 0x19 => Register::Psp,
            20 => Register::Special,
            0x1c => Register::MspLimit,
            0x1d => Register::PspLimit,
            0x21 => Register::Fpscr,
            number @ 0x40..=0x5f => Register::Float(u8::try_from(number - 0x40).ok()?),
            _ => return None,
        })
    }
}

/// How to step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Interrupts are held back until the instruction is done (`DHCSR.C_MASKINTS`).
    pub(crate) masked: bool,
    /// A sleep ends first: a debugger that halts a core ends its WFI (ARM DDI 0403 B1.5.18).
    pub(crate) wake: bool,
}

/// What the rest of the board asks of an emulated core. Calls come between two instructions.
pub(crate) trait Core: Send {
    /// Runs about `cycles` cycles without a look at the debug registers; gives cycles and instructions done.
    fn run(&mut self, cycles: u64) -> (u64, u64);
    /// Runs one instruction or one exception entry; gives its cycles.
    fn step(&mut self, how: Step) -> u64;
    /// Asleep in WFI or WFE.
    fn asleep(&self) -> bool;
    /// In lockup (ARM DDI 0403 B1.5.15): only a reset helps.
    fn locked_up(&self) -> bool;
    /// The number of the exception that is being handled, 0 in thread mode.
    fn exception(&self) -> u32;
    /// Cycles until the next thing a sleeping core can notice; `None` when nothing is due.
    fn cycles_to_event(&self) -> Option<u64>;
    /// Lets `cycles` pass for a sleeping core.
    fn skip(&mut self, cycles: u64);
    fn register(&self, register: Register) -> u32;
    fn set_register(&mut self, register: Register, value: u32);
    /// A word of the private peripherals, without the side effects of a read by the core.
    fn private(&mut self, address: u32) -> u32;
    fn set_private(&mut self, address: u32, value: u32);
    /// Whether the firmware has written `AIRCR.SYSRESETREQ`; asks once.
    fn take_reset_request(&mut self) -> bool;
    /// Everything in the core as after power-on, vectors fetched, before the first instruction.
    fn reset(&mut self);
}

/// The cores of rsemu.
pub(crate) struct Emulated {
    cpu: ArmV7m,
    memory: Arc<Memory>,
}

impl Emulated {
    pub(crate) fn new(kind: CoreKind, vectors: u32, memory: &Arc<Memory>) -> Result<Self, String> {
        let cpu = ArmV7m::new(config(kind).with_reset_vtor(vectors));
        cpu.attach_space(Arc::new(bus(memory)?));
        Ok(Self { cpu, memory: Arc::clone(memory) })
    }
}

/// What the core sees of the board, with flash as it is now.
fn bus(memory: &Arc<Memory>) -> Result<AddressSpace, String> {
    let space = AddressSpace::new("bus", 32);
    {
        let mut topology = space.topology();
        // The part's own corner of the private peripherals (DBGMCU on an STM32) is like any peripheral to the core.
        for bank in memory.banks.iter().chain([&memory.vendor]) {
            let name = format!("{bank:?}");
            // Instructions come from flash: the emulator's own store is the fast path.
            let region = match bank.kind {
                MemoryKind::Flash => Mapped::rom(name, Arc::new(RomStore::new(bank.bytes())), RomWrite::Fault),
                _ => Mapped::io(name, u64::from(bank.range.size()), Arc::clone(bank) as _),
            };
            topology.map(region, u64::from(bank.range.start())).map_err(|error| error.to_string())?;
        }
        let controller = Arc::new(Controller::new(Arc::clone(memory)));
        let region = Mapped::io("flash controller", u64::from(flash::REGISTERS.size()), controller as _);
        topology.map(region, u64::from(flash::REGISTERS.start())).map_err(|error| error.to_string())?;
    }
    Ok(space)
}

/// rsemu has no v6-M core: a Cortex-M0+ is its Cortex-M3, of which v6-M code uses a part, under its own CPUID.
fn config(kind: CoreKind) -> Config {
    let mut config = match kind {
        CoreKind::M0Plus => Config::CORTEX_M3.with_bit_band(false).with_priority_bits(2),
        CoreKind::M3 => Config::CORTEX_M3.with_priority_bits(4),
        CoreKind::M4 => Config::CORTEX_M4.with_priority_bits(4),
        CoreKind::M4F => Config::CORTEX_M4F.with_priority_bits(4),
        CoreKind::M7 => Config::CORTEX_M7,
        CoreKind::M7F => Config::CORTEX_M7F,
        CoreKind::M33 => Config::CORTEX_M33.with_priority_bits(4),
        CoreKind::M33F => Config::CORTEX_M33F.with_priority_bits(4),
    };
    if kind == CoreKind::M0Plus {
        // CPUID of a Cortex-M0+ r0p1 (ARM DDI 0484, 4.3).
        config.cpuid = 0x410c_c601;
    }
    config
}

/// Instructions between two looks at whether the core has fallen asleep: a look costs about a fifth of one.
const SLEEP_CHECK: u64 = 8;

const SYST_ENABLE: u32 = 1;
const SYST_TICKINT: u32 = 1 << 1;

impl Core for Emulated {
    fn run(&mut self, cycles: u64) -> (u64, u64) {
        let (mut used, mut instructions) = (0, 0);
        while used < cycles {
            used += self.cpu.step();
            instructions += 1;
            // rsemu goes on to step a core that has fallen asleep, a cycle at a time.
            if instructions % SLEEP_CHECK == 0 && self.cpu.is_asleep() {
                break;
            }
        }
        (used, instructions)
    }

    fn step(&mut self, Step { masked, wake }: Step) -> u64 {
        let woken = wake && self.cpu.is_asleep();
        if !masked && !woken {
            return self.cpu.step();
        }
        // Whatever is pending waits until the instruction is done. rsemu ends a sleep only for a pending exception, so
        // a woken core gets one that PRIMASK keeps from being taken.
        let held = self.cpu.with_sys(|sys| {
            let held = sys.pending;
            sys.pending = [0; Exception::COUNT / 32];
            if woken {
                sys.set_pending(Exception::PEND_SV, true);
            }
            held
        });
        let primask = self.cpu.regs().primask;
        if woken {
            self.cpu.set_regs(Regs { primask: true, ..self.cpu.regs() });
        }
        let used = self.cpu.step();
        if woken {
            self.cpu.set_regs(Regs { primask, ..self.cpu.regs() });
        }
        self.cpu.with_sys(|sys| {
            if woken {
                sys.set_pending(Exception::PEND_SV, false);
            }
            for (now, before) in sys.pending.iter_mut().zip(held) {
                *now |= before;
            }
        });
        used
    }

    fn asleep(&self) -> bool {
        self.cpu.is_asleep()
    }

    fn locked_up(&self) -> bool {
        self.cpu.is_locked_up()
    }

    fn exception(&self) -> u32 {
        u32::from(self.cpu.current_exception().0)
    }

    fn cycles_to_event(&self) -> Option<u64> {
        self.cpu.with_sys(|sys| {
            if sys.highest_pending().is_some() {
                return Some(0);
            }
            let wanted = SYST_ENABLE | SYST_TICKINT;
            if sys.syst_csr & wanted != wanted || sys.syst_rvr == 0 {
                return None;
            }
            // A counter at zero takes one more clock to reload (ARM DDI 0403 B3.3.1).
            Some(match sys.syst_cvr & 0x00ff_ffff {
                0 => u64::from(sys.syst_rvr) + 1,
                left => u64::from(left),
            })
        })
    }

    fn skip(&mut self, cycles: u64) {
        self.cpu.with_sys(|sys| {
            sys.tick_cyccnt(cycles);
            if sys.tick_systick(cycles) && sys.syst_csr & SYST_TICKINT != 0 {
                sys.set_pending(Exception::SYSTICK, true);
            }
        });
    }

    fn register(&self, register: Register) -> u32 {
        match register {
            Register::General(number) => self.cpu.reg(number),
            Register::Xpsr => self.cpu.xpsr(),
            Register::Msp => self.cpu.msp(),
            Register::Psp => self.cpu.psp(),
            Register::Special => {
                let regs = self.cpu.regs();
                u32::from_be_bytes([
                    regs.control.to_le_bytes()[0],
                    u8::from(regs.faultmask),
                    regs.basepri,
                    u8::from(regs.primask),
                ])
            }
            Register::MspLimit => self.cpu.stack_limits().0,
            Register::PspLimit => self.cpu.stack_limits().1,
            Register::Fpscr => self.cpu.fpscr(),
            Register::Float(number) => self.cpu.s(number),
        }
    }

    fn set_register(&mut self, register: Register, value: u32) {
        let regs = self.cpu.regs();
        match register {
            Register::General(15) => self.cpu.set_pc(value & !1),
            Register::General(13) => self.cpu.set_reg(13, value & !3),
            Register::General(number) => self.cpu.set_reg(number, value),
            Register::Xpsr => self.cpu.set_xpsr(value),
            Register::Msp => self.cpu.set_regs(Regs { msp: value & !3, ..regs }),
            Register::Psp => self.cpu.set_regs(Regs { psp: value & !3, ..regs }),
            Register::Special => {
                let [control, faultmask, basepri, primask] = value.to_be_bytes();
                let (primask, faultmask) = (primask & 1 != 0, faultmask & 1 != 0);
                self.cpu.set_regs(Regs { control: u32::from(control & 7), faultmask, basepri, primask, ..regs });
            }
            Register::MspLimit => self.cpu.set_stack_limits(value, self.cpu.stack_limits().1),
            Register::PspLimit => self.cpu.set_stack_limits(self.cpu.stack_limits().0, value),
            Register::Fpscr => self.cpu.set_fpscr(value),
            Register::Float(number) => self.cpu.set_s(number, value),
        }
    }

    fn private(&mut self, address: u32) -> u32 {
        self.cpu.with_sys(|sys| sys.read_word(address, true)).unwrap_or(0)
    }

    fn set_private(&mut self, address: u32, value: u32) {
        self.cpu.with_sys(|sys| sys.write_word(address, value));
    }

    fn take_reset_request(&mut self) -> bool {
        let requested = self.cpu.reset_requested();
        if requested {
            self.cpu.clear_reset_request();
        }
        requested
    }

    fn reset(&mut self) {
        // rsemu's warm reset leaves SysTick, the NVIC's enables and the MPU as they were; on silicon a system reset
        // clears them (ARM DDI 0403 B1.5.5, B3.2). Memory is not in the core, so nothing else is lost.
        if self.memory.take_flash_change()
            && let Ok(bus) = bus(&self.memory)
        {
            // The emulator's own copy of the flash is the old one. The map worked before, so it does again.
            self.cpu.attach_space(Arc::new(bus));
        }
        self.cpu.reset(ResetKind::Cold);
        self.cpu.step();
    }
}
