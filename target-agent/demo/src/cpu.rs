//! The few instructions and registers of the Cortex-M3 that the demo needs.

use core::arch::asm;

/// Runs `body` with interrupts masked.
pub fn masked<R>(body: impl FnOnce() -> R) -> R {
    critical_section::with(|_| body())
}

/// Sleeps until an interrupt is pending, masked or not.
pub fn wait_for_interrupt() {
    // SAFETY: the instruction changes no register and no memory; interrupt handlers may, so it counts as an access.
    unsafe { asm!("dsb", "wfi", options(nostack, preserves_flags)) }
}

/// The stack pointer in use.
#[inline(always)]
pub fn stack_pointer() -> u32 {
    let sp: u32;
    // SAFETY: reading SP has no effect.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) }
    sp
}

/// Asks for a context switch; it happens as soon as no other interrupt is active or masked.
pub fn pend_switch() {
    const ICSR: usize = 0xE000_ED04;
    const PENDSVSET: u32 = 1 << 28;
    write(ICSR, PENDSVSET);
    // SAFETY: barriers have no effect but order.
    unsafe { asm!("dsb", "isb", options(nostack, preserves_flags)) }
}

/// Starts the tick: 1 kHz from the 16 MHz core clock. The tick may interrupt a context switch, nothing else may.
pub fn start_tick() {
    const SHPR3: usize = 0xE000_ED20;
    const SYST_CSR: usize = 0xE000_E010;
    const SYST_RVR: usize = 0xE000_E014;
    const SYST_CVR: usize = 0xE000_E018;
    write(SHPR3, 0x40 << 24 | 0xff << 16);
    write(SYST_RVR, 16_000 - 1);
    write(SYST_CVR, 0);
    write(SYST_CSR, 0b111);
}

fn write(register: usize, value: u32) {
    // SAFETY: only the registers above come here; each is a word of the system control space.
    unsafe { (register as *mut u32).write_volatile(value) }
}

struct PrimaskSection;

critical_section::set_impl!(PrimaskSection);

// SAFETY: on the demo's single core, code that masks interrupts runs alone; the mask goes back to what it was.
unsafe impl critical_section::Impl for PrimaskSection {
    unsafe fn acquire() -> critical_section::RawRestoreState {
        let before: u32;
        // SAFETY: masking interrupts touches no memory; the instruction counts as an access so that none moves out.
        unsafe { asm!("mrs {}, PRIMASK", "cpsid i", out(reg) before, options(nostack, preserves_flags)) }
        before
    }

    unsafe fn release(before: critical_section::RawRestoreState) {
        // SAFETY: this puts back the mask that `acquire` found.
        unsafe { asm!("msr PRIMASK, {}", in(reg) before, options(nostack, preserves_flags)) }
    }
}
