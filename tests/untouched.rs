//! Attaching writes to the debug port and its access ports alone, whatever chip is named: for one chip of each vendor's
//! sequence that probe-rs has, the emulated board counts every write, every entry into debug state and every reset.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use common::{INSTANT, emulation, image};
use highwater::image::layout::Memory;
use highwater::model::snapshot::MemoryKind;
use highwater::region::Region;
use highwater::simulator::{Board, Counters, Fault};
use highwater::source::Source;
use highwater::source::chip::Chip;
use highwater::source::chip::sleep::SleepDebug;
use highwater::source::control::awake::{Awake, Refusal};
use highwater::source::control::left::Keeper;
use highwater::source::emulated::{Emulation, EmulationError, attach, attach_with, open, power_on};
use highwater::source::probe::{Approach, ProbeOptions, ProbeSource};
use probe_rs::architecture::arm::FullyQualifiedApAddress;
use probe_rs::config::{ChipFamily, DebugSequence, Registry};

/// One chip of each of probe-rs's sequences, and what attaching to it comes to on a board that is reached by SWD.
const CHIPS: &[(&str, &str, Outcome)] = &[
    ("DefaultArmSequence", "nRF51822_xxAA", Outcome::Reads),
    ("Stm32Armv6", "STM32F030C8", Outcome::Reads),
    ("Stm32Armv6", "STM32L073RZ", Outcome::Reads),
    ("Stm32Armv6", "STM32G071RB", Outcome::Reads),
    ("Stm32Armv7", "STM32F411RE", Outcome::Reads),
    ("Stm32Armv7", "STM32WBA52CG", Outcome::Reads),
    ("Stm32Armv7", "STM32WB09KE", Outcome::Reads),
    ("Stm32Armv8", "STM32U575ZI", Outcome::Reads),
    ("Stm32h7", "STM32H743ZI", Outcome::Reads),
    ("Stm32h7", "STM32H7S3L8", Outcome::Reads),
    ("Stm32n6", "STM32N657", Outcome::Reads),
    ("Nrf5340", "nRF5340_xxAA", Outcome::Reads),
    ("Nrf52", "nRF52840_xxAA", Outcome::Reads),
    ("Nrf9160", "nRF9160_xxAA", Outcome::Reads),
    ("Nrf9120", "nRF9161_xxAA", Outcome::Reads),
    ("Nrf54L", "nRF54L15", Outcome::Reads),
    ("AtSAM", "ATSAMD21G18A", Outcome::Reads),
    ("Mec172x", "MEC172", Outcome::Reads),
    ("CC23xxCC27xx", "CC2340R5", Outcome::Reads),
    ("InfineonTle", "TLE98", Outcome::Reads),
    ("PsocC3X7X8", "PSC3M7", Outcome::Reads),
    ("PsocC3", "PSC3P5", Outcome::Reads),
    ("PsocEdge", "PSE84", Outcome::Reads),
    ("XMC4000", "XMC4700", Outcome::Reads),
    ("MCX", "MCXN947", Outcome::Reads),
    ("MIMXRT5xxS", "MIMXRT685S", Outcome::Reads),
    ("MIMXRT10xx", "MIMXRT1060", Outcome::Reads),
    ("MIMXRT11xx", "MIMXRT1170", Outcome::Reads),
    ("MIMXRT118x", "MIMXRT118", Outcome::Reads),
    ("LPC55Sxx", "LPC55S69", Outcome::Reads),
    ("LPC80x", "LPC802", Outcome::Reads),
    ("OL23D0", "OL23D0", Outcome::Reads),
    ("S32K3xx", "S32K344", Outcome::Reads),
    ("Rp2040", "RP2040", Outcome::Reads),
    ("Rp235x", "RP235x", Outcome::Reads),
    ("Va416xx", "VA416xx", Outcome::Reads),
    ("Sf32lb52", "SF32LB52", Outcome::Reads),
    ("EFM32xG1", "EFR32MG14P", Outcome::Reads),
    ("EFM32xG2", "EFR32MG26", Outcome::Reads),
    ("X7Z", "X7Z", Outcome::Reads),
    ("CC13xxCC26xx", "CC1352P", Outcome::JtagOnly),
    ("TMS570", "TMS570", Outcome::JtagOnly),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Its memory is read.
    Reads,
    /// It is reached by JTAG alone, which this board does not speak: it is refused.
    JtagOnly,
}

/// The name of the sequence's type; `None` for a chip that is none of ARM's.
fn sequence(chip: &probe_rs::Target) -> Option<String> {
    let DebugSequence::Arm(sequence) = &chip.debug_sequence else { return None };
    let shown = format!("{sequence:?}");
    Some(shown.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned())
}

/// The first chip whose name begins so.
fn chip(registry: &Registry, name: &str) -> probe_rs::Target {
    let mut variants = registry.families().iter().flat_map(ChipFamily::variants);
    let variant = variants.find(|variant| variant.name.starts_with(name)).unwrap_or_else(|| panic!("no chip {name}"));
    registry.get_target_by_name(&variant.name).expect("it has a description")
}

/// The demo on a board with memory where chips have their peripherals, so that whatever is written there is counted.
fn with_peripherals(chip: Option<Chip>) -> Emulation {
    let plain = emulation(&image(), 0, 1, INSTANT);
    let mut memories = plain.memories.clone();
    for start in [0x4000_0000, 0x5000_0000] {
        memories.push(Memory {
            name: "peripherals".into(),
            kind: MemoryKind::Ram,
            range: Region::new(start, 0x3_0000),
            size_known: true,
        });
    }
    Emulation { memories, chip, ..plain }
}

/// Tries until it works: the probe's thread gives the probe back in its own time.
fn at_last<T, E: std::fmt::Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    for _ in 0..1_000_000 {
        if let Ok(done) = attempt() {
            return done;
        }
        std::thread::yield_now();
    }
    attempt().expect("it works in the end")
}

fn attached(board: &Arc<Board>, emulation: &Emulation) -> ProbeSource {
    at_last(|| attach(board, emulation))
}

/// What was done to the target: writes, entries into debug state, resets, power-ons.
fn done(counters: &Counters) -> (u64, u64, u64, u64) {
    (counters.writes(), counters.halts, counters.resets, counters.power_ons)
}

#[test]
fn attaching_touches_nothing_whatever_chip_is_named() {
    let registry = Registry::from_builtin_families();
    let code = image().symbols.iter().find(|symbol| symbol.is_code).expect("there is code").range;
    for (expected, name, outcome) in CHIPS {
        let target = chip(&registry, name);
        assert_eq!(sequence(&target).as_deref(), Some(*expected), "{name}");
        let emulation = with_peripherals(Some(Chip::from(target)));
        let board = power_on(&emulation).expect("a board");
        match (attach(&board, &emulation), outcome) {
            (Ok(mut source), Outcome::Reads) => {
                let mut bytes = vec![0; 4];
                let range = Region::new(code.start(), 4);
                source.read(range, &mut bytes).expect("its memory is read");
                assert_eq!(Some(&bytes), board.peek(range.start(), 4).as_ref(), "{name}");
                source.status().expect("its core is asked");
                at_last(|| source.reopen());
                source.read(range, &mut bytes).expect("its memory is read again");
                assert_eq!(source.counters().writes, Some(0), "{name}");
                drop(source);
                // Detached for certain, because the probe can be opened again.
                drop(attached(&board, &emulation));
            }
            (Err(EmulationError::Open(refused)), Outcome::JtagOnly) => {
                assert!(refused.to_string().contains("SWD"), "{name}: {refused}");
            }
            (opened, _) => panic!("{name}: {outcome:?}, and it was {:?}", opened.map(|_| "open")),
        }
        assert_eq!(done(&board.counters()), (0, 0, 0, 1), "{name}: writes, halts, resets, power-ons");
    }
}

#[test]
fn the_table_has_a_chip_of_each_sequence() {
    let registry = Registry::from_builtin_families();
    // A sequence is chosen by how the name begins: one chip of each beginning is enough.
    let mut beginnings = BTreeMap::new();
    for variant in registry.families().iter().flat_map(ChipFamily::variants) {
        let beginning: String = variant.name.chars().take(8).collect();
        beginnings.entry(beginning).or_insert(&variant.name);
    }
    for name in beginnings.values() {
        let target = registry.get_target_by_name(name).expect("it has a description");
        if let Some(sequence) = sequence(&target) {
            assert!(
                CHIPS.iter().any(|(known, ..)| *known == sequence),
                "{name} has {sequence}, which is not looked at"
            );
        }
    }
}

/// That the board counts what vendors' sequences do, else zeros would prove nothing.
#[test]
fn what_a_vendors_sequence_writes_is_counted() {
    let registry = Registry::from_builtin_families();
    for (name, writes) in [("STM32F030C8", 2), ("STM32F411RE", 1), ("STM32WBA52CG", 1), ("STM32U575ZI", 1)] {
        let target = chip(&registry, name);
        let DebugSequence::Arm(vendor) = target.debug_sequence.clone() else { panic!("{name} is an Arm") };
        let chip = Chip::from(target);
        let mut emulation = with_peripherals(Some(chip));
        // Without its clock, which the sequence then switches on.
        emulation.pokes.push((0x4002_1018, 0));
        let board = power_on(&emulation).expect("a board");
        let mut probe = board.open().expect("its probe opens");
        probe.attach_to_unspecified().expect("it attaches");
        let Ok(mut interface) = probe.try_into_arm_debug_interface(Arc::clone(&vendor)) else { panic!("{name}") };
        let port = FullyQualifiedApAddress::v1_with_default_dp(u8::from(name.contains("WBA")));
        interface.select_debug_port(port.dp()).expect("there is one");
        let permissions = probe_rs::Permissions::new();
        vendor.debug_device_unlock(&mut *interface, &port, &permissions).expect("nothing is locked");
        // What is still queued is written by the detach.
        drop(interface);
        assert_eq!(done(&board.counters()), (writes, 0, 0, 1), "{name}: writes, halts, resets, power-ons");
    }
}

/// A board with the register in its memory, holding `before` at power-on, and the bit of its clock.
fn with_register(name: &str, before: u32, is_clocked: bool) -> (Emulation, SleepDebug) {
    let chip = Chip::from(chip(&Registry::from_builtin_families(), name));
    let register = chip.sleep_debug().expect("it has one");
    let mut emulation = with_peripherals(Some(chip));
    if register.address > 0x5c00_0000 {
        let range = Region::new(0x5c00_1000, 0x400);
        let like = emulation.memories.last().expect("there are some").clone();
        emulation.memories.push(Memory { range, ..like });
    }
    emulation.pokes.push((register.address, before));
    if let Some((clock, bit)) = register.clock {
        emulation.pokes.push((clock, if is_clocked { bit } else { 0 }));
    }
    (emulation, register)
}

#[test]
fn a_debug_port_that_was_kept_awake_is_as_it_was_found() {
    // A bit that others set stays, and so does one of ours that was set before.
    for (name, before, during) in [
        ("STM32H743ZI", 0x8000_0001, 0x8060_003f),
        ("STM32F030C8", 0x8000_0000, 0x8000_0006),
        ("STM32L073RZ", 0x0000_0007, 0x0000_0007),
    ] {
        let (emulation, SleepDebug { address, .. }) = with_register(name, before, true);
        let folder = tempfile::tempdir().expect("a folder");
        let keeper = || Some(Keeper::new(folder.path().join("awake.json")));
        let (source, board) = open(&emulation).expect("the board opens");
        let register = emulation.chip.as_ref().and_then(Chip::sleep_debug).expect("it has one");
        let begin = |source: &ProbeSource| Awake::begin(Box::new(source.control()), register, keeper());

        let awake = begin(&source).expect("it is there");
        let writes = u64::from(before != during);
        assert_eq!((board.peek_word(address), board.counters().writes()), (Some(during), writes), "{name}");
        assert_eq!(awake.tell().contains("1 write so far"), writes == 1, "{}", awake.tell());
        drop(awake);
        assert_eq!((board.peek_word(address), board.counters().writes()), (Some(before), 2 * writes), "{name}");
        assert!(!folder.path().join("awake.json").exists(), "{name}");

        // A run that is killed puts nothing back; the next one does.
        std::mem::forget(begin(&source).expect("it is there"));
        assert_eq!(board.peek_word(address), Some(during), "{name}");
        let next = begin(&source).expect("it is there");
        assert_eq!(next.tell().contains("An earlier run"), before != during, "{}", next.tell());
        drop(next);
        assert_eq!(board.peek_word(address), Some(before), "{name}");

        // A power cycle takes it, and so it is set again.
        let mut awake = begin(&source).expect("it is there");
        board.inject(Fault::PowerCycle);
        let mut source = source;
        at_last(|| source.reopen());
        awake.after_reset().expect("the link works");
        assert_eq!(board.peek_word(address), Some(during), "{name}");
        drop(awake);
        assert_eq!(board.peek_word(address), Some(before), "{name}");
        assert_eq!((board.counters().halts, board.counters().resets), (0, 0), "{name}");
    }
}

#[test]
fn a_signal_that_ends_the_process_puts_the_register_back() {
    let folder = tempfile::tempdir().expect("a folder");
    for signal in ["INT", "TERM", "HUP"] {
        let log = folder.path().join(signal);
        let flags = ["--probe", "sim", "--chip", "STM32H743ZI", "--debug-in-sleep", "--format", "jsonl", "--log-file"];
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_highwater"))
            .args(["attach", common::DEMO])
            .args(flags)
            .arg(&log)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut reports = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let first = reports.next().expect("a report comes").expect("it is text");
        assert!(first.contains("DBGMCU_CR at 0x5c001004 keeps the debug port awake (1 write so far)"), "{first}");
        let pid = process.id().to_string();
        let sent = std::process::Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, signal, &pid]).status();
        assert!(sent.expect("a shell is there").success());
        reports.for_each(drop);
        process.wait().expect("it ends");
        let log = std::fs::read_to_string(&log).expect("there is a log");
        assert!(log.contains("DBGMCU_CR was put back as it was found"), "{signal}: {log}");
    }
}

#[test]
fn a_register_of_the_firmware_is_not_touched_to_keep_a_debug_port_awake() {
    let (emulation, SleepDebug { address, clock, .. }) = with_register("STM32G071RB", 0, false);
    let (source, board) = open(&emulation).expect("the board opens");
    let register = emulation.chip.as_ref().and_then(Chip::sleep_debug).expect("it has one");
    let refused = Awake::begin(Box::new(source.control()), register, None).map(|_| ()).expect_err("it has no clock");
    assert!(matches!(refused, Refusal::NoClock(at) if Some(at) == clock.map(|(at, _)| at)), "{refused}");
    assert_eq!((board.peek_word(address), done(&board.counters())), (Some(0), (0, 0, 0, 1)));
}

#[test]
fn what_nothing_is_known_to_keep_awake_is_refused_with_the_reason() {
    for (chip, words) in [
        (None, ["--chip", "differs from chip to chip"]),
        (Some("nRF52840_xxAA"), ["nRF52840_xxAA", "no register is known"]),
        (Some("STM32WB09KE"), ["STM32WB09KE", "no register is known"]),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_highwater"));
        command.args(["attach", common::DEMO, "--probe", "sim", "--debug-in-sleep", "--format", "json"]);
        let out = command.args(chip.iter().flat_map(|chip| ["--chip", chip])).output().expect("it runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && words.iter().all(|word| said.contains(word)), "{said}");
    }
}

/// What may keep a chip from answering is said when it does not, and never of one that it does not hold for.
#[test]
fn a_chip_that_does_not_answer_is_told_with_what_may_keep_it_from_that() {
    let flags = ["--debug-in-sleep", "--connect-under-reset"];
    let look = |name: &str, words: &str| {
        let emulation = with_peripherals(Some(Chip::from(chip(&Registry::from_builtin_families(), name))));
        let board = power_on(&emulation).expect("a board");
        board.inject(Fault::Silence(u32::MAX));
        let refused = attach(&board, &emulation).map(|_| ()).expect_err("nothing answers").to_string();
        assert!(refused.contains(words), "{name}: {refused}");
        assert_eq!(
            flags.map(|flag| refused.contains(flag)),
            flags.map(|flag| words.contains(flag)),
            "{name}: {refused}"
        );
        assert_eq!(done(&board.counters()), (0, 0, 0, 1), "{name}: writes, halts, resets, power-ons");
    };
    // probe-rs tries for seconds.
    std::thread::scope(|scope| {
        for (name, words) in [
            ("STM32F411RE", "with --debug-in-sleep, STM32F411RE stays reachable"),
            ("MCXN947", "--connect-under-reset lets the vendor's sequence do that"),
            ("nRF52840_xxAA", "check power, wiring, --speed, and whether the chip is locked"),
        ] {
            scope.spawn(move || look(name, words));
        }
    });
}

/// What resets is asked for by name: only then may a vendor's sequence pulse the reset line, and the core runs afterwards.
#[test]
fn a_reset_at_the_attach_is_asked_for_by_name_and_let_go() {
    let registry = Registry::from_builtin_families();
    for (name, approach, resets) in [
        ("TLE98", Approach::Quiet, 0),
        ("TLE98", Approach::Resetting, 1),
        ("nRF51822_xxAA", Approach::Resetting, 0),
        ("nRF51822_xxAA", Approach::UnderReset, 1),
    ] {
        let chip = Chip::from(chip(&registry, name));
        let emulation = with_peripherals(Some(chip.clone()));
        let board = power_on(&emulation).expect("a board");
        let selector = Some(board.selector().to_string());
        let options = ProbeOptions { selector, approach, chip: Some(chip), ..ProbeOptions::default() };
        let source = attach_with(&board, &emulation, options).expect("it attaches");
        assert_eq!(done(&board.counters()), (0, 0, resets, 1), "{name}, {approach:?}");
        let before = board.counters().instructions;
        board.advance(std::time::Duration::from_millis(1));
        assert!(board.counters().instructions > before, "{name}, {approach:?}: the core runs");
        drop(source);
    }
}
