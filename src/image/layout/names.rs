//! The names that linkers, their scripts and startup files give to what they place.

use crate::model::snapshot::{MemoryKind, PartKind};
use crate::region::Region;

/// Names that linker scripts give the two ends of a memory, with what they belong to.
pub(super) const MEMORY_SYMBOLS: &[(MemoryKind, &str, &str, &str)] = &[
    // Our demo, and many hand-written scripts.
    (MemoryKind::Ram, "RAM", "__ram_start", "__ram_end"),
    (MemoryKind::Flash, "Flash", "__flash_start", "__flash_end"),
    // cortex-m-rt since 0.7.4, and riscv-rt.
    (MemoryKind::Ram, "RAM", "_ram_start", "_ram_end"),
    (MemoryKind::Flash, "Flash", "_flash_start", "_flash_end"),
    // NXP's MCUXpresso.
    (MemoryKind::Ram, "RAM", "__base_RAM", "__top_RAM"),
    (MemoryKind::Flash, "Flash", "__base_PROGRAM_FLASH", "__top_PROGRAM_FLASH"),
    // TI's SimpleLink.
    (MemoryKind::Ram, "RAM", "_sram_start", "_sram_end"),
    // Zephyr: all of the RAM that its linker script was given, from the first section on.
    (MemoryKind::Ram, "RAM", "_image_ram_start", "__kernel_ram_end"),
    // ChibiOS.
    (MemoryKind::Ram, "RAM", "__ram0_start__", "__ram0_end__"),
    // RIOT, on Cortex-M.
    (MemoryKind::Ram, "RAM", "_sram", "_eram"),
];

/// Names under which a configuration is kept in the ELF that says where a memory begins and how many KiB it has.
pub(super) const MEMORY_SETTINGS: &[(MemoryKind, &str, &str, &str)] =
    // Zephyr keeps each number of its Kconfig as an absolute symbol (kernel's configs.c).
    &[(MemoryKind::Ram, "RAM", "CONFIG_SRAM_BASE_ADDRESS", "CONFIG_SRAM_SIZE")];

/// Names that linker scripts give the two ends of a heap.
pub(super) const HEAP_SYMBOLS: &[(&str, &str)] = &[
    ("__heap_start", "__heap_end"),
    ("__HeapBase", "__HeapLimit"),
    ("__end__", "__HeapLimit"),
    ("_heap_start", "_heap_end"),
    ("_sheap", "_eheap"),
    ("__heap_start__", "__heap_end__"),
    // ChibiOS.
    ("__heap_base__", "__heap_end__"),
    // Arm's startup files with microlib.
    ("__heap_base", "__heap_limit"),
    // armlink, of the region ARM_LIB_HEAP; and IAR's ilink, of the block HEAP.
    ("Image$$ARM_LIB_HEAP$$ZI$$Base", "Image$$ARM_LIB_HEAP$$ZI$$Limit"),
    ("HEAP$$Base", "HEAP$$Limit"),
];

/// Names that linker scripts give the two ends of the main (MSP) stack: low end, high end.
pub(super) const STACK_SYMBOLS: &[(&str, &str)] = &[
    ("__isr_stack_start", "__isr_stack_end"),
    ("_stack_end", "_stack_start"),
    ("__StackLimit", "__StackTop"),
    ("_sstack", "_estack"),
    ("__stack_limit", "__stack"),
    ("__stack_end__", "__stack_start__"),
    // ChibiOS, of the exceptions' stack; and pico-sdk, of core 0's.
    ("__main_stack_base__", "__main_stack_end__"),
    ("__StackBottom", "__StackTop"),
    // armlink, of the region ARM_LIB_STACK; and IAR's ilink, of the block CSTACK.
    ("Image$$ARM_LIB_STACK$$ZI$$Base", "Image$$ARM_LIB_STACK$$ZI$$Limit"),
    ("CSTACK$$Base", "CSTACK$$Limit"),
];

/// Names that linker scripts give the two ends of the stack that `main` runs on, where it is not the exceptions'.
pub(super) const PROCESS_STACK_SYMBOLS: &[(&str, &str)] = &[
    // ChibiOS (os/common/startup/ARMCMx/compilers/GCC/ld/rules_stacks.ld).
    ("__process_stack_base__", "__process_stack_end__"),
];

/// Names that linker scripts give only the high end of the main stack.
pub(super) const STACK_TOP_SYMBOLS: &[&str] =
    &["_stack_start", "__StackTop", "_estack", "__stack", "__INITIAL_SP", "_vStackTop", "__initial_sp"];

/// Names that linker scripts give the size of a main stack that they reserve.
pub(super) const STACK_SIZE_SYMBOLS: &[&str] = &[
    // CMSIS (Device/ARM/ARMCM3/Source/GCC/gcc_arm.ld); picolibc (picolibc.ld) and SiFive's scripts; ChibiOS (rules_stacks.ld).
    "__STACK_SIZE",
    "__stack_size",
    "__main_stack_size__",
    "STACK_SIZE",
    "_stack_size",
    // armlink and IAR, of the pieces that STACK_SYMBOLS names.
    "Image$$ARM_LIB_STACK$$ZI$$Length",
    "CSTACK$$Length",
];

/// What the startup files for armlink call their pieces of memory, which it keeps as symbols of sections.
pub(in crate::image) const STACK_PIECE: &str = "STACK";
/// The same for the heap.
pub(in crate::image) const HEAP_PIECE: &str = "HEAP";

/// Names of a vector table, and of its end where it has a name.
pub(super) const VECTOR_SYMBOLS: &[(&str, &str)] = &[
    // Arm's startup files for armlink, and IAR's.
    ("__Vectors", "__Vectors_End"),
    ("__vector_table", "__Vectors_End"),
    // Zephyr.
    ("_vector_table", ""),
    // STM32Cube, CMSIS of GCC, cortex-m-rt, pico-sdk.
    ("g_pfnVectors", ""),
    ("__isr_vector", ""),
    ("__VECTOR_TABLE", ""),
    ("vector_table", ""),
    ("__vectors", ""),
    ("__VECTORS", ""),
];

/// What linker scripts call sections that lie in a memory of their own, and what that memory is.
pub(super) const SECTION_MEMORIES: &[(&str, &str)] = &[
    ("itcm", "ITCM"),
    ("dtcm", "DTCM"),
    ("ccm", "CCM"),
    ("sdram", "external RAM"),
    ("psram", "external RAM"),
    ("backup", "backup RAM"),
    ("bkp", "backup RAM"),
    ("retain", "retained RAM"),
];

/// Whether a section only keeps room in an address space, by its name: the bytes are another section's, at its own addresses.
/// ESP-IDF and esp-hal call them so (`.flash_rodata_dummy`, `.dram0.dummy`, `.rwdata_dummy`). In pico-sdk, a stack lies there.
pub(in crate::image) fn is_dummy(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("dummy") && !["stack", "heap"].iter().any(|part| name.contains(part))
}

/// Whether a section says by its name that it lies in flash: ESP-IDF's, which are not copied from elsewhere.
pub(in crate::image) fn is_named_flash(name: &str) -> bool {
    name.starts_with(".flash.")
}

/// Whether a section is for whoever programs the chip, at addresses where the chip has nothing: those of Infineon's PSoC
/// (PSoC Creator's and ModusToolbox's scripts: `.cyflashprotect` at 0x9040_0000, `.cymeta` at 0x9050_0000, and so on).
pub(in crate::image) fn is_for_programmer(name: &str, run: Region) -> bool {
    const METADATA: Region = Region::new(0x9000_0000, 0x0100_0000);
    name.starts_with(".cy") && METADATA.covers(run)
}

/// What IAR's linker says of a section in its name, which is that of the directive and a word: `P2 rw`, `P3 zi`. What it
/// fills from a table of its own it marks as without content (`rw`, and `s0` and so on where there are several).
pub(super) fn by_ilink(name: &str) -> Option<PartKind> {
    let (directive, what) = name.split_once(' ')?;
    match what {
        _ if !(is_numbered(directive, 'A') || is_numbered(directive, 'P')) => None,
        "rw" => Some(PartKind::Data),
        "zi" => Some(PartKind::Bss),
        "ui" => Some(PartKind::Uninit),
        batch => is_numbered(batch, 's').then_some(PartKind::Data),
    }
}

/// Whether IAR's linker was told the address of a section (`place at address`): it holds one thing.
pub(super) fn is_at_address(name: &str) -> bool {
    is_numbered(name.split(' ').next().unwrap_or_default(), 'A')
}

fn is_numbered(text: &str, letter: char) -> bool {
    let number = text.strip_prefix(letter);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}
