//! From the bootloader's jump to the first Rust code of the application, and the vectors.
//!
//! Rust code is not defined before static data is, so this is assembly: it paints the interrupt stack while nothing
//! is on it, copies the vectors and `.data` to RAM, and clears `.bss`.

use core::arch::global_asm;

use crate::bootloader;
use crate::kernel;
use crate::ledger;

global_asm!(
    ".section .text.application_start, \"ax\"",
    ".global application_start",
    ".type application_start, %function",
    ".thumb_func",
    "application_start:",
    "cpsid i",
    "ldr r0, =__isr_stack_end",
    "mov sp, r0",
    "ldr r1, =__isr_stack_start",
    "ldr r2, =0xCCCCCCCC",
    "1: cmp r1, r0",
    "it lo",
    "strlo r2, [r1], #4",
    "blo 1b",
    "ldr r0, =__vector_table_start",
    "ldr r1, =__ram_vectors_start",
    "ldr r2, =__ram_vectors_end",
    "bl 3f",
    "ldr r0, =0xE000ED08", // VTOR
    "ldr r1, =__ram_vectors_start",
    "str r1, [r0]",
    "dsb",
    "ldr r0, =__data_load",
    "ldr r1, =__data_start",
    "ldr r2, =__data_end",
    "bl 3f",
    "ldr r1, =__bss_start",
    "ldr r2, =__bss_end",
    "movs r3, #0",
    "2: cmp r1, r2",
    "it lo",
    "strlo r3, [r1], #4",
    "blo 2b",
    "bl application_main",
    "udf #0",
    // Copies words from r0 to r1 until r1 reaches r2.
    "3: cmp r1, r2",
    "it hs",
    "bxhs lr",
    "ldr r3, [r0], #4",
    "str r3, [r1], #4",
    "b 3b",
    ".size application_start, . - application_start",
    ".ltorg",
);

unsafe extern "C" {
    fn application_start() -> !;
    static __isr_stack_end: u32;
    static __data_load_end: u32;
}

/// What the bootloader needs to know of the application; it lies at the application's first address.
#[repr(C)]
pub struct Header {
    pub magic: u32,
    pub stack: *const u32,
    pub entry: unsafe extern "C" fn() -> !,
    pub end: *const u32,
}

// SAFETY: the pointers are addresses of fixed places and are never written through.
unsafe impl Sync for Header {}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".application_header")]
#[used]
static APPLICATION_HEADER: Header = Header {
    magic: bootloader::APPLICATION,
    stack: &raw const __isr_stack_end,
    entry: application_start,
    end: &raw const __data_load_end,
};

/// One entry of the vector table.
#[repr(C)]
union Vector {
    stack: *const u32,
    reset: unsafe extern "C" fn() -> !,
    handler: unsafe extern "C" fn(),
}

// SAFETY: the table is constant.
unsafe impl Sync for Vector {}

const UNUSED: Vector = Vector { handler: fault };

/// The initial stack pointer, 15 exceptions and 32 interrupts.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vector_table")]
#[used]
static VECTOR_TABLE: [Vector; 48] = {
    let mut table = [const { UNUSED }; 48];
    table[0] = Vector { stack: &raw const __isr_stack_end };
    table[1] = Vector { reset: bootloader::bootloader_start };
    table[14] = Vector { handler: kernel::PendSV };
    table[15] = Vector { handler: kernel::SysTick };
    table
};

/// Any exception that should not be: recorded, and the end.
#[unsafe(export_name = "HardFault")]
unsafe extern "C" fn fault() {
    ledger::fault();
    loop {
        crate::cpu::wait_for_interrupt();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    ledger::fault();
    loop {
        crate::cpu::wait_for_interrupt();
    }
}
