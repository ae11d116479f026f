//! Zephyr without an agent.

use highwater::model::snapshot::{BlockState, StackKind, Trust};

use highwater::image::layout;
use highwater::region::Region;
use highwater::sampler::static_snapshot;

use crate::fixture::{Fixture, hints, names, peak, stack};

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_zephyr_thread_is_found_with_its_exact_bounds() {
    for flags in [&["-g"][..], &["-g", "-DUSAGE"], &["-g", "-DSENTINEL"], &["-gdwarf-3"]] {
        let mut fixture = Fixture::new("zephyr.c", flags);
        let snapshot = fixture.look();
        assert_eq!(snapshot.target.kernel.as_deref(), Some("Zephyr"), "{flags:?}");
        for (name, symbol, state, priority, kind, words, used) in [
            ("main", "z_main_stack", "running", 0, StackKind::Main, 128, 40),
            ("idle", "z_idle_stacks", "ready", 15, StackKind::Idle, 64, 16),
            ("worker", "worker_stack", "waits", -2, StackKind::User, 96, 50),
            ("sleepy", "sleepy_stack", "sleeping", 5, StackKind::User, 96, 60),
        ] {
            let what = format!("{flags:?}: {name}");
            let found = stack(&snapshot, name);
            assert_eq!(found.state.as_deref(), Some(state), "{what}");
            assert_eq!((found.priority, found.kind), (Some(priority), kind), "{what}");
            // The guard of 0x40 bytes before it is no part of the stack.
            assert_eq!(found.range.start(), fixture.address(symbol, "") + 0x40, "{what}");
            assert_eq!(found.range.size(), 4 * words, "{what}");
            assert_eq!(peak(&snapshot, name), Some(used), "{what}");
            assert_eq!(found.current.map(|current| current.bytes), Some(64), "{what}");
            assert!(!found.overflowed, "{what}");
        }
        assert_eq!(stack(&snapshot, "ISR").range.start(), fixture.address("z_interrupt_stacks", ""));
        assert_eq!(peak(&snapshot, "ISR"), Some(38), "{flags:?}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_sentinel_of_zephyr_is_no_use_and_its_loss_is_an_overflow() {
    let mut fixture = Fixture::new("zephyr.c", &["-g", "-DSENTINEL"]);
    assert_eq!(peak(&fixture.look(), "worker"), Some(50));
    let limit = fixture.address("worker_stack", "") + 0x40;
    fixture.poke(limit, 1);
    let snapshot = fixture.refresh();
    assert!(stack(&snapshot, "worker").overflowed && !stack(&snapshot, "main").overflowed);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn what_zephyr_was_built_without_is_hinted_at_by_its_option() {
    for (flags, option, shown) in [
        (&["-g", "-DNO_MONITOR"][..], "CONFIG_THREAD_MONITOR", &["ISR", "idle", "main", "sleepy", "worker"][..]),
        (&["-g", "-DNO_INFO"][..], "CONFIG_THREAD_STACK_INFO", &["ISR"]),
        (&["-g", "-DUNFILLED"][..], "CONFIG_INIT_STACKS", &["ISR", "idle", "main", "sleepy", "worker"]),
        (&["-g", "-DNO_NAME"][..], "CONFIG_THREAD_NAME", &["ISR", "idle", "main", "sleepy", "worker"]),
    ] {
        let snapshot = Fixture::new("zephyr.c", flags).look();
        assert!(hints(&snapshot, &[option]), "{flags:?}: {:?}", snapshot.hints);
        assert_eq!(names(&snapshot), shown, "{flags:?}");
    }
    let snapshot = Fixture::new("zephyr.c", &["-g"]).look();
    assert!(!hints(&snapshot, &["CONFIG_"]), "{:?}", snapshot.hints);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_damaged_zephyr_list_is_survived_and_said() {
    for (word, why) in [(0x10, "no thread is"), (0x2000_0002, "no thread is"), (0, "")] {
        let mut fixture = Fixture::new("zephyr.c", &["-g"]);
        let (next, itself) = (fixture.address("worker", "next_thread"), fixture.address("worker", ""));
        let (word, why) = if word == 0 { (itself, "circle") } else { (word, why) };
        fixture.poke(next, word);
        let snapshot = fixture.look();
        assert!(hints(&snapshot, &["cannot be followed", why]), "{word:#x}: {:?}", snapshot.hints);
        stack(&snapshot, "sleepy");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_zephyr_thread_is_gone_only_when_a_second_walk_agrees() {
    let mut fixture = Fixture::new("zephyr.c", &["-g"]);
    let all = fixture.look().stacks.len();
    let next = fixture.address("worker", "next_thread");
    // Two threads are behind it: once, it reads as the last one.
    fixture.tear(next, 0, 1);
    assert_eq!(fixture.refresh().stacks.len(), all);
    fixture.poke(next, 0);
    assert_eq!(fixture.refresh().stacks.len(), all - 2);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_heap_of_zephyr_is_called_by_the_object_that_holds_it() {
    let fixture = &mut Fixture::new("zephyr_heaps.c", &["-g"]);
    let snapshot = fixture.look();
    let mut told: Vec<_> = snapshot
        .heaps
        .iter()
        .map(|heap| (heap.name.as_str(), heap.id(), heap.allocator, heap.in_use, heap.damage.clone()))
        .collect();
    told.sort_by_key(|told| told.0);
    // Those of an array have one symbol: how far they are from its start tells them apart.
    let expected = [
        ("my_kernel_heap", "kernel_memory"),
        ("pools+0x0", "first_memory"),
        ("pools+0x18", "second_memory"),
        ("z_malloc_heap", "malloc_memory"),
    ]
    .map(|(name, memory)| (name, format!("{:08x}", fixture.address(memory, "")), Some("sys_heap"), Some(1), None));
    assert_eq!(told, expected);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn what_a_heap_of_zephyr_keeps_as_its_most_is_its_peak() {
    let peak = |fixture: &mut Fixture| {
        let snapshot = fixture.look();
        let heap = snapshot.heaps.iter().find(|heap| heap.name == "my_kernel_heap").expect("it is told");
        heap.peak.map(|peak| (peak.bytes, peak.trust))
    };
    let mut fixture = Fixture::new("zephyr_heaps.c", &["-g"]);
    let memory = fixture.address("kernel_memory", "");
    // 32 B and the last header are the heap's own. Payloads are counted: of the most, the headers are not known.
    fixture.poke(memory + 24, 140);
    assert_eq!(peak(&mut fixture), Some((36 + 140, Trust::AtLeast)));
    // Whole chunks are.
    for (offset, counted) in [(16, 160), (20, 80), (24, 144)] {
        fixture.poke(memory + offset, counted);
    }
    assert_eq!(peak(&mut fixture), Some((36 + 144, Trust::Exact)));
    // What cannot be: less than is in use, and more than there is.
    for most in [79, 0xffff_ffff] {
        fixture.poke(memory + 24, most);
        assert_eq!(peak(&mut fixture), None);
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_counters_of_zephyrs_heap_are_believed_in_each_version_and_with_canaries() {
    // What a program may use of the block of 40 B.
    for (flags, payload) in [
        (&["-g"][..], (4, 36)),
        (&["-g", "-DWHOLE"], (4, 36)),
        (&["-g", "-DCANARIES"], (4, 28)),
        (&["-g", "-DGUARDS"], (16, 24)),
    ] {
        let snapshot = Fixture::new("zephyr_heap.c", flags).look();
        let [heap] = snapshot.heaps.as_slice() else { panic!("{flags:?}: {:?}", snapshot.heaps) };
        assert_eq!((heap.allocator, heap.damage.as_ref()), (Some("sys_heap"), None), "{flags:?}");
        assert_eq!((heap.free(), heap.in_use), (Some(72), Some(1)), "{flags:?}");
        let used = heap.blocks.iter().flat_map(|blocks| blocks.iter()).find(|block| block.state == BlockState::Used);
        let used = used.expect("one block is in use");
        assert_eq!((used.payload.start() - used.range.start(), used.payload.size()), payload, "{flags:?}");
    }
    for flags in [&["-g", "-DLOST=8"][..], &["-g", "-DWHOLE", "-DLOST=4"], &["-g", "-DCANARIES", "-DLOST=12"]] {
        let snapshot = Fixture::new("zephyr_heap.c", flags).look();
        assert!(snapshot.heaps[0].damage.is_some(), "{flags:?}: no version counts so");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_stack_of_the_interrupts_has_one_name_and_one_size_whether_the_firmware_runs_or_not() {
    // The guard of an MPU lies below it in Zephyr's array.
    let guarded: &[&str] = &["-g", "-Wl,--defsym=CONFIG_ISR_STACK_SIZE=448"];
    for (source, flags, guard) in [
        ("freertos.c", &["-g"][..], None),
        ("rtx5.c", &["-g"], None),
        ("threadx.c", &["-g"], None),
        ("zephyr.c", &["-g"], Some(0)),
        ("zephyr.c", guarded, Some(64)),
    ] {
        let mut fixture = Fixture::new(source, flags);
        let live = fixture.look();
        let memories = layout::memories(&fixture.image, &[]);
        let linked = static_snapshot(&fixture.image, &memories);
        let what = format!("{source} {flags:?}");
        let told: Vec<_> = linked.stacks.iter().map(|stack| (stack.name.as_str(), stack.kind, stack.range)).collect();
        let isr = stack(&live, "ISR");
        assert_eq!(told, [("ISR", StackKind::Isr, isr.range)], "{what}");
        if let Some(guard) = guard {
            let array = fixture.address("z_interrupt_stacks", "");
            assert_eq!(isr.range, Region::between(array + guard, array + 512), "{what}");
        }
    }
}
