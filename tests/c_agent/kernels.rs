//! The ports, built into real kernels that run on the emulated board. The kernels' sources lie outside of the repository:
//! `target-agent/ports/fetch.sh` gets them.

use highwater::model::snapshot::{StackKind, Trust};

use crate::compilers::Build;
use crate::firmware::Seen;

const OURS: [&str; 2] = ["tests/fixtures/c_agent/startup.c", "target-agent/c/highwater.c"];

/// A firmware whose threads `stays` and `deep` keep accounts of their stacks.
fn build(port: &str, paint: &str) -> Build {
    let folders = [format!("-Itarget-agent/ports/{port}"), format!("-Itests/fixtures/c_agent/{port}")];
    let main = format!("tests/fixtures/c_agent/{port}/main.c");
    let build = Build::board("cortex-m3").flags(&["--specs=nano.specs", "-std=gnu99", "-Wall", "-Wextra", "-Werror"]);
    build.flags(&folders).flags(&[format!("-DHIGHWATER_PAINT_WORD={paint}")]).files(&OURS).files(&[&main])
}

/// The threads are these, and what is said of the two that keep accounts is what they counted.
fn check(seen: &Seen, expected: &[(&str, StackKind)]) {
    let snapshot = &seen.snapshot;
    let mut found: Vec<(&str, StackKind)> =
        snapshot.stacks.iter().map(|stack| (stack.name.as_str(), stack.kind)).collect();
    found.sort_by_key(|(name, _)| *name);
    assert_eq!(found, expected, "a thread that ended is gone, and all others are there");
    for (name, unused) in [("stays", "STAYS_UNUSED"), ("deep", "DEEP_UNUSED")] {
        let stack = snapshot.stacks.iter().find(|stack| stack.name == name).expect("it is seen");
        let peak = stack.peak.expect("it is painted");
        let counted = stack.range.size() - seen.word(unused, 0);
        assert_eq!((peak.bytes, peak.trust), (counted, Trust::Exact), "{name}");
        assert!(peak.bytes < stack.range.size(), "{name} has room left");
    }
    let counters = seen.board.counters();
    assert_eq!((counters.halts, counters.memory_writes), (0, 0));
}

#[test]
#[ignore = "needs arm-none-eabi-gcc, and kernels in HIGHWATER_KERNELS"]
fn tasks_and_heap_of_freertos_are_seen() {
    let theirs = [
        "-IFreeRTOS-Kernel/include",
        "-IFreeRTOS-Kernel/portable/GCC/ARM_CM3",
        "FreeRTOS-Kernel/tasks.c",
        "FreeRTOS-Kernel/list.c",
        "FreeRTOS-Kernel/queue.c",
        "FreeRTOS-Kernel/timers.c",
        "FreeRTOS-Kernel/portable/GCC/ARM_CM3/port.c",
        "FreeRTOS-Kernel/portable/MemMang/heap_4.c",
    ];
    let seen = Seen::new(build("freertos", "0xa5a5a5a5u").theirs(&theirs).firmware(), "ROUNDS");
    let expected = [
        ("IDLE", StackKind::Idle),
        ("Tmr Svc", StackKind::Timer),
        ("deep", StackKind::User),
        ("interrupts", StackKind::Isr),
        ("stays", StackKind::User),
    ];
    check(&seen, &expected);
    let stays = seen.snapshot.stacks.iter().find(|stack| stack.name == "stays").expect("it is seen");
    assert_eq!(stays.priority, Some(2), "it was changed");
    assert!(stays.lowest_sp.is_some() && stays.current.is_some(), "the switches are seen");
    let [heap] = &seen.snapshot.heaps[..] else { panic!("one heap") };
    let used = heap.requested.expect("it is counted").bytes;
    // FreeRTOS keeps 8 bytes at the end of its heap, which it counts neither as free nor as used.
    assert_eq!(heap.range.size() - 8 - used, seen.word("HEAP_FREE", 0));
    let peak = heap.requested_peak.expect("it is counted").bytes;
    assert_eq!(heap.range.size() - 8 - peak, seen.word("HEAP_FEWEST", 0));
    assert_eq!(heap.failures, Some(1));
}

#[test]
#[ignore = "needs arm-none-eabi-gcc, and kernels in HIGHWATER_KERNELS"]
fn threads_of_threadx_are_seen() {
    let theirs = [
        "-Ithreadx/common/inc",
        "-Ithreadx/ports/cortex_m3/gnu/inc",
        "threadx/common/src/tx_initialize*.c",
        "threadx/common/src/tx_thread*.c",
        "threadx/common/src/tx_timer*.c",
        "threadx/common/src/txe_thread_create.c",
        "threadx/common/src/txe_thread_delete.c",
        "threadx/ports/cortex_m3/gnu/src/*.S",
    ];
    let build = build("threadx", "0xefefefefu").flags(&["-DTX_INCLUDE_USER_DEFINE_FILE"]);
    let seen = Seen::new(build.theirs(&theirs).firmware(), "ROUNDS");
    let expected = [
        ("System Timer Thread", StackKind::User),
        ("deep", StackKind::User),
        ("interrupts", StackKind::Isr),
        ("stays", StackKind::User),
    ];
    check(&seen, &expected);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc, and kernels in HIGHWATER_KERNELS"]
fn threads_of_rtx5_are_seen() {
    let theirs = [
        "-ICMSIS-RTX/Include",
        "-ICMSIS-RTX/Config",
        "-ICMSIS-RTX/Source",
        "-ICMSIS_6/CMSIS/Core/Include",
        "-ICMSIS_6/CMSIS/RTOS2/Include",
        "CMSIS-RTX/Source/rtx_*.c",
        "CMSIS-RTX/Config/RTX_Config.c",
        "CMSIS-RTX/Source/GCC/irq_armv7m.S",
        "CMSIS_6/CMSIS/RTOS2/Source/os_systick.c",
    ];
    let flags = ["-DOS_DYNAMIC_MEM_SIZE=4096", "-D_RTE_", "-include", "tests/fixtures/c_agent/rtx5/RTE_Components.h"];
    let build = build("rtx5", "0xccccccccu").flags(&flags).files(&["target-agent/ports/rtx5/highwater_rtx5.c"]);
    let seen = Seen::new(build.theirs(&theirs).firmware(), "ROUNDS");
    let expected = [
        ("deep", StackKind::User),
        ("interrupts", StackKind::Isr),
        ("osRtxIdle", StackKind::Idle),
        ("osRtxTimer", StackKind::User),
        ("stays", StackKind::User),
    ];
    check(&seen, &expected);
}
