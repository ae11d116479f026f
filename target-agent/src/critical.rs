//! Short sections that no interrupt divides, and the order in which stores reach memory.

use core::sync::atomic::Ordering;

/// Runs `body` with interrupts masked, and puts the mask back as it was: sections nest, and work in interrupts.
///
/// On Cortex-M the mask is PRIMASK, on riscv32 `mstatus.MIE`. Elsewhere, which is only where tests run, a spin lock
/// stands in for it.
#[inline(always)]
pub(crate) fn with<R>(body: impl FnOnce() -> R) -> R {
    let before = enter();
    let result = body();
    leave(before);
    result
}

/// Keeps the stores before it ahead of those after it, as seen by whoever reads memory: the heart of a frame.
#[inline(always)]
pub(crate) fn publish() {
    // A core that stores in program order only needs the compiler to do the same.
    #[cfg(highwater_in_order)]
    core::sync::atomic::compiler_fence(Ordering::Release);
    #[cfg(not(highwater_in_order))]
    core::sync::atomic::fence(Ordering::Release);
}

#[cfg(highwater_cortex_m)]
#[inline(always)]
fn enter() -> u32 {
    let before: u32;
    // SAFETY: reading PRIMASK and masking interrupts touches no memory and no flag that the compiler relies on. The
    // instructions count as memory accesses here, so that none of the section's own moves out of it.
    unsafe {
        core::arch::asm!("mrs {}, PRIMASK", "cpsid i", out(reg) before, options(nostack, preserves_flags));
    }
    before
}

#[cfg(highwater_cortex_m)]
#[inline(always)]
fn leave(before: u32) {
    // SAFETY: this writes back the mask that `enter` found.
    unsafe { core::arch::asm!("msr PRIMASK, {}", in(reg) before, options(nostack, preserves_flags)) }
}

#[cfg(target_arch = "riscv32")]
#[inline(always)]
fn enter() -> u32 {
    let before: u32;
    // SAFETY: clearing mstatus.MIE masks interrupts and touches nothing else. The instruction counts as a memory
    // access here, so that none of the section's own moves out of it.
    unsafe { core::arch::asm!("csrrci {}, mstatus, 8", out(reg) before, options(nostack)) }
    before
}

#[cfg(target_arch = "riscv32")]
#[inline(always)]
fn leave(before: u32) {
    // SAFETY: this sets the one bit that `enter` cleared, if it was set then.
    unsafe { core::arch::asm!("csrs mstatus, {}", in(reg) before & 8, options(nostack)) }
}

#[cfg(all(target_arch = "arm", not(highwater_cortex_m)))]
compile_error!("highwater-agent knows Cortex-M and riscv32: other Arm profiles have no PRIMASK");

#[cfg(not(any(target_arch = "arm", target_arch = "riscv32")))]
static LOCKED: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

#[cfg(not(any(target_arch = "arm", target_arch = "riscv32")))]
fn enter() -> u32 {
    while LOCKED.swap(true, Ordering::Acquire) {
        core::hint::spin_loop();
    }
    0
}

#[cfg(not(any(target_arch = "arm", target_arch = "riscv32")))]
fn leave(_before: u32) {
    LOCKED.store(false, Ordering::Release);
}
