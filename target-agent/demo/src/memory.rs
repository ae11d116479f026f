//! Where things lie, as the linker script says.

use core::ops::Range;

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident: $start:ident .. $end:ident;)*) => {
        unsafe extern "C" {
            $(static $start: u32; static $end: u32;)*
        }
        $(
            $(#[$doc])*
            pub fn $name() -> Range<u32> {
                address(&raw const $start)..address(&raw const $end)
            }
        )*
    };
}

parts! {
    /// The vectors in flash.
    vector_table: __vector_table_start .. __vector_table_end;
    /// The vectors in RAM.
    ram_vectors: __ram_vectors_start .. __ram_vectors_end;
    /// The bootloader in flash.
    bootloader: __bootloader_start .. __bootloader_end;
    /// The stack of the thread `main`.
    main_stack: __main_stack_start .. __main_stack_end;
    /// The stack of the thread `timer`.
    timer_stack: __timer_stack_start .. __timer_stack_end;
    /// The stack of the thread `idle`.
    idle_stack: __idle_stack_start .. __idle_stack_end;
    /// The stack of interrupts and of the scheduler.
    isr_stack: __isr_stack_start .. __isr_stack_end;
    /// The heap.
    heap: __heap_start .. __heap_end;
}

fn address(symbol: *const u32) -> u32 {
    symbol as u32
}
