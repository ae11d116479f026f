//! The bootloader: looks whether there is an application that can be started, and starts it.
//!
//! It lies in flash of its own and shares nothing with the application but the header, so it uses no static and calls
//! nothing that could be placed outside of its section.

use core::arch::{asm, global_asm};

use crate::startup::Header;

/// First word of an application: the bytes `APP1`.
pub const APPLICATION: u32 = u32::from_le_bytes(*b"APP1");

const HEADER: *const Header = 0x1000 as *const Header;
const FLASH_END: u32 = 0x0004_0000;
const RAM: core::ops::RangeInclusive<u32> = 0x2000_0000..=0x2001_0000;

/// The sum of the application's words, for whoever wants to compare images. The bootloader leaves it in RAM that is
/// not cleared.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".uninit.BOOTLOADER_IMAGE_SUM")]
static mut BOOTLOADER_IMAGE_SUM: u32 = 0;

// The reset handler. A debugger may have reset the core alone: then the tick still runs and would interrupt a firmware
// that is not there yet, so it is stopped before anything else.
global_asm!(
    ".section .bootloader.start, \"ax\"",
    ".global bootloader_start",
    ".type bootloader_start, %function",
    ".thumb_func",
    "bootloader_start:",
    "cpsid i",
    "movw r0, #0xE010", // SYST_CSR
    "movt r0, #0xE000",
    "movs r1, #0",
    "str r1, [r0]",
    "movw r0, #0xED04", // ICSR: PENDSVCLR and PENDSTCLR
    "movt r0, #0xE000",
    "mov r1, #0x0A000000",
    "str r1, [r0]",
    "b.w bootloader_main",
    ".size bootloader_start, . - bootloader_start",
);

unsafe extern "C" {
    /// The reset handler.
    pub fn bootloader_start() -> !;
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".bootloader.main")]
unsafe extern "C" fn bootloader_main() -> ! {
    // SAFETY: the header's place is fixed by the linker script. Reads are volatile, since an update may have changed
    // what was linked there.
    let header = unsafe { HEADER.read_volatile() };
    let stack = header.stack as u32;
    let entry = header.entry as usize as u32;
    let end = header.end as u32;
    let startable = header.magic == APPLICATION
        && RAM.contains(&stack)
        && stack.is_multiple_of(8)
        && entry % 2 == 1
        && (HEADER as u32..end).contains(&entry)
        && end <= FLASH_END;
    if !startable {
        // Nothing can be started: wait for a debugger to bring an application.
        loop {
            // SAFETY: the instruction only waits.
            unsafe { asm!("wfi", options(nomem, nostack)) }
        }
    }
    bootloader_sum(HEADER as u32, end);
    // SAFETY: the header is plausible, and what it names is the application's to answer for.
    unsafe { asm!("msr MSP, {stack}", "bx {entry}", stack = in(reg) stack, entry = in(reg) entry, options(noreturn)) }
}

#[inline(never)]
#[unsafe(link_section = ".bootloader.sum")]
fn bootloader_sum(start: u32, end: u32) {
    let mut sum = 0u32;
    let mut at = start;
    while at < end {
        // SAFETY: the caller made sure that the range lies in flash.
        sum = sum.rotate_left(1) ^ unsafe { (at as *const u32).read_volatile() };
        at += 4;
    }
    // SAFETY: nothing else runs yet.
    unsafe { (&raw mut BOOTLOADER_IMAGE_SUM).write_volatile(sum) }
}
