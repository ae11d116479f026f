//! What the agent in C asks of a compiler, and what it costs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use highwater::image::Image as Elf;
use highwater::region::Region;
use highwater::simulator::{Board, CoreKind, Image, MemoryKind, Options};
use object::{Object, ObjectSection, ObjectSymbol};

use crate::compilers::Build;

const AGENT: &str = "target-agent/c/highwater.c";
const MALLOC: &str = "target-agent/ports/baremetal/highwater_malloc.c";
const OWNERS: &str = "target-agent/ports/baremetal/highwater_owners.c";
const FREERTOS: &str = "target-agent/ports/freertos/highwater_freertos.c";
const MBED: &str = "target-agent/ports/mbed/highwater_mbed.c";
const SCRIPT: &str = "tests/fixtures/c_agent/script.c";
const DEMO: &str = "tests/fixtures/c_agent/demo.c";
/// Each file, with the callers that a header names and the rows of a table.
const BUILDS: [(&str, u32, u32); 10] = [
    (AGENT, 0, 0),
    (AGENT, 1, 0),
    (AGENT, 2, 0),
    (AGENT, 3, 0),
    (AGENT, 0, 16),
    (MALLOC, 0, 0),
    (OWNERS, 1, 0),
    (OWNERS, 3, 0),
    (FREERTOS, 1, 0),
    (MBED, 0, 16),
];
const CORES: [&str; 5] = ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"];

/// An object file.
fn object(build: Build) -> Vec<u8> {
    let (_place, path) = build.flags(&["-c"]).build();
    std::fs::read(path).expect("it was built")
}

/// Bytes of every function and constant, by name.
fn sizes(object: &[u8]) -> BTreeMap<String, u64> {
    let file = object::File::parse(object).expect("it is an object");
    let symbols = file.symbols().filter(|symbol| symbol.size() > 0);
    symbols.map(|symbol| (symbol.name().unwrap_or_default().to_owned(), symbol.size())).collect()
}

/// All that an object puts into a firmware.
fn loaded(object: &[u8]) -> u64 {
    let file = object::File::parse(object).expect("it is an object");
    let kept = |name: &str| [".text", ".data", ".rodata", ".bss"].iter().any(|start| name.starts_with(start));
    file.sections().filter(|section| section.name().is_ok_and(kept)).map(|section| section.size()).sum()
}

#[test]
#[ignore = "needs gcc, clang and arm-none-eabi-gcc"]
fn every_compiler_takes_it_without_a_warning() {
    for (file, owners, rows) in BUILDS {
        let owners = [
            format!("-DHIGHWATER_OWNERS={owners}"),
            format!("-DHIGHWATER_OWNER_ROWS={rows}"),
            "-Itests/fixtures/c_agent/mbed".to_owned(),
        ];
        for core in CORES {
            object(Build::board(core).strict().flags(&owners).files(&[file]));
        }
        let arm = ["-mthumb", "-mcpu=cortex-m4", "-Os", "-x", "c++", "-std=c++11"];
        object(Build::with("arm-none-eabi-g++").flags(&arm).flags(&owners).strict_cpp().files(&[file]));
        for target in [
            &["--target=arm-none-eabi", "-mthumb", "-mcpu=cortex-m0"][..],
            &["--target=arm-none-eabi", "-mthumb", "-mcpu=cortex-m33"],
            &["--target=riscv32-none-elf", "-march=rv32imac"],
        ] {
            let clang = || Build::with("clang").flags(target).flags(&owners).flags(&["-ffreestanding", "-Os"]);
            object(clang().flags(&["-std=c99"]).strict().files(&[file]));
            object(clang().flags(&["-x", "c++", "-std=c++17"]).strict_cpp().files(&[file]));
        }
        object(Build::host().strict().flags(&owners).files(&[file]));
        object(Build::board("cortex-m4").strict().flags(&owners).flags(&["-DHIGHWATER_WRAP_NEWLIB"]).files(&[file]));
    }
}

#[test]
#[ignore = "needs gcc, clang and arm-none-eabi-gcc"]
fn switched_off_it_is_nothing() {
    for file in [AGENT, MALLOC, OWNERS, FREERTOS, MBED, "target-agent/ports/rtx5/highwater_rtx5.c"] {
        let off = ["-DHIGHWATER_ENABLED=0", "-DHIGHWATER_OWNERS=1", "-DHIGHWATER_OWNER_ROWS=16"];
        let nothing = object(Build::board("cortex-m4").strict().flags(&off).files(&[file]));
        assert_eq!(loaded(&nothing), 0, "{file}");
    }
    // Of owners there is nothing unless they are asked for.
    let without = sizes(&object(Build::board("cortex-m4").strict().files(&[AGENT])));
    assert!(!without.keys().any(|name| name.contains("own") || name.contains("row")), "{without:?}");
    for file in [OWNERS, FREERTOS, MBED] {
        assert_eq!(loaded(&object(Build::board("cortex-m4").strict().files(&[file]))), 0, "{file}");
    }
    // What calls it compiles as before, and refers to nothing of it.
    for caller in [SCRIPT, DEMO] {
        let off = ["-std=gnu99", "-DHIGHWATER_ENABLED=0", "-DHIGHWATER_HEAPS=2"];
        let caller = object(Build::board("cortex-m4").strict().flags(&off).files(&[caller]));
        let file = object::File::parse(&caller[..]).expect("it is an object");
        let ours = |name: &str| name.to_lowercase().starts_with("highwater");
        assert!(!file.symbols().any(|symbol| symbol.name().is_ok_and(ours)), "the calls are gone");
    }
}

/// Zephyr is too large to bring here: headers of ours stand in for its own.
#[test]
#[ignore = "needs gcc, clang and arm-none-eabi-gcc"]
fn the_port_for_zephyr_compiles_against_stand_ins() {
    let flags = ["-Itests/fixtures/c_agent/zephyr", "-DHIGHWATER_PAINT_WORD=0xaaaaaaaau"];
    let all = ["-DCONFIG_HIGHWATER_SYSTEM_HEAP", "-DCONFIG_HIGHWATER_SWITCHES", "-DCONFIG_STACK_SENTINEL"];
    let port = "target-agent/ports/zephyr/highwater_zephyr.c";
    let build = || Build::board("cortex-m4").flags(&["-std=gnu11", "-Wall", "-Wextra", "-Werror"]).flags(&flags);
    let least = loaded(&object(build().files(&[port])));
    let most = loaded(&object(build().flags(&all).files(&[port])));
    println!("Zephyr's port: {least} to {most} bytes");
    assert!(least < most && most <= 320);
}

#[test]
#[ignore = "needs gcc, clang and arm-none-eabi-gcc"]
fn it_costs_no_more_than_its_ceiling() {
    println!("bytes of flash at -Os; the goal for threads and heap is 256");
    for core in CORES {
        let object = object(Build::board(core).flags(&["-ffunction-sections", "-fdata-sections"]).files(&[AGENT]));
        let sizes = sizes(&object);
        let sum = |names: &[&str]| names.iter().map(|name| sizes[*name]).sum::<u64>();
        let threads = sum(&["highwater_register_thread", "highwater_retire_thread", "change"]);
        let heap = sum(&["highwater_on_alloc", "highwater_on_free"]);
        let regions = sum(&["highwater_register_region"]);
        let init = sum(&["highwater_init", "HIGHWATER_BUILD_ID"]);
        let switch = sum(&["highwater_on_switch", "live"]);
        println!(
            "  {core:10} threads {threads}, alloc and free {heap}: {}; with init and regions {}; on_switch {switch}; \
             RAM of 8 threads, 1 heap, 4 regions {}",
            threads + heap,
            threads + heap + init + regions,
            sizes["HIGHWATER"]
        );
        assert!(threads + heap <= 304, "{core}");
        assert!(threads + heap + init + regions <= 456, "{core}");
        let malloc = Build::board(core).flags(&["-DHIGHWATER_WRAP_NEWLIB"]).files(&[MALLOC]);
        println!("             malloc, free, calloc and realloc of newlib {}", loaded(&self::object(malloc)));
        assert_eq!(sizes["HIGHWATER"], (80_u64 + 8 * 32 + 40 + 4 * 20).next_multiple_of(64), "{core}");
    }
}

/// Instructions of each call of the fixture, the call itself included, on a core of the board.
fn instructions(core: &str, kind: CoreKind, owners: u32) -> Vec<u64> {
    const TIMES: u32 = 1000;
    let files = [AGENT, "tests/fixtures/c_agent/cost.c", "tests/fixtures/c_agent/startup.c"];
    let firmware = Build::board(core).flags(&[format!("-DHIGHWATER_OWNERS={owners}")]).files(&files).firmware();
    let elf = Elf::parse(Path::new("cost.elf"), &firmware).expect("it is an ELF");
    let at = |name: &str| elf.symbols.address(name).expect("the firmware has it");
    let run = |call: u32| {
        let mut options = Options::new(Image::from_elf(&firmware).expect("it is for a Cortex-M")).lockstep();
        options.core = Some(kind);
        options.memory = vec![
            (MemoryKind::Flash, Region::new(0, 128 * 1024)),
            (MemoryKind::Ram, Region::new(0x2000_0000, 32 * 1024)),
        ];
        options.pokes.extend([(at("COST_CALL"), call), (at("COST_TIMES"), TIMES)]);
        let board = Board::create(options).expect("the board is made");
        let done = |board: &Board| board.peek_word(at("COST_DONE")) == Some(1);
        assert!(board.run_until(Duration::from_secs(1), done), "{core}: it does not end");
        // It sleeps from then on.
        board.counters().instructions
    };
    let nothing = run(0);
    // A call of nothing is a return, and its arguments are two registers.
    (1..=5).map(|call| (run(call).saturating_sub(nothing)).div_ceil(u64::from(TIMES)) + 1).collect()
}

#[test]
#[ignore = "needs gcc, clang and arm-none-eabi-gcc"]
fn a_block_with_an_owner_costs_no_more_than_its_ceiling() {
    println!("instructions at -Os; the goal for a malloc hook is 40 cycles. Bytes of flash in brackets");
    for (core, kind) in [("cortex-m0plus", CoreKind::M0Plus), ("cortex-m3", CoreKind::M3), ("cortex-m4", CoreKind::M4)]
    {
        for owners in [1, 3] {
            let flags = ["-ffunction-sections".to_owned(), format!("-DHIGHWATER_OWNERS={owners}")];
            let sizes = sizes(&object(Build::board(core).flags(&flags).files(&[AGENT])));
            let sum = |names: &[&str]| names.iter().map(|name| sizes.get(*name).unwrap_or(&0)).sum::<u64>();
            let plain = sum(&["highwater_on_alloc", "highwater_on_free"]);
            let alloc = sum(&["highwater_on_owned_alloc", "count_owned", "note_outer", "highwater_on_failure_of"]);
            let free = sum(&["highwater_on_owned_free", "highwater_owned_block", "highwater_on_free"]);
            let realloc = sum(&["highwater_on_owned_realloc", "highwater_owned_grown", "highwater_on_realloc"]);
            let [on_alloc, on_free, owned_alloc, owned_free, owned_realloc] = instructions(core, kind, owners)[..]
            else {
                panic!("five calls")
            };
            println!(
                "  {core:13} {owners} callers: alloc {owned_alloc} ({alloc}), free {owned_free} ({free}), realloc \
                 {owned_realloc} ({realloc}); without owners {on_alloc}, {on_free} ({plain})"
            );
            assert!(alloc + free + realloc <= 448, "{core}");
            assert!(owned_alloc <= 50 && owned_free <= 40 && owned_realloc <= 65, "{core}");
        }
        let newlib = ["-DHIGHWATER_WRAP_NEWLIB", "-DHIGHWATER_OWNERS=1"];
        let all = loaded(&object(Build::board(core).flags(&newlib).files(&[OWNERS])));
        println!(
            "  {core:13} every function of newlib's heap and C++'s, of which those that are called are linked ({all})"
        );
    }
}
