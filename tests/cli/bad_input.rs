//! What the user got wrong is named, with the way out, before anything is printed or written.

use crate::common::DEMO;
use crate::{Place, demo_bytes, patched};

/// Runs what must fail with this exit code, and whose message must have all of these words.
fn refuse(place: &Place, args: &[&str], code: i32, words: &[&str]) {
    let before = place.names();
    let ran = place.run(args);
    assert_eq!(ran.code, Some(code), "{args:?} says: {}", ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{args:?} does not say `{word}`: {}", ran.err);
    }
    assert!(ran.err.starts_with("error: "), "{args:?} says: {}", ran.err);
    assert!(!ran.err.contains("panicked"), "{args:?} says: {}", ran.err);
    assert_eq!(ran.out, "", "{args:?} prints nothing");
    assert_eq!(place.names(), before, "{args:?} writes nothing");
}

/// The demo, as if it were built for another machine.
fn for_machine(machine: u16) -> Vec<u8> {
    let mut bytes = demo_bytes();
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes
}

#[test]
fn a_file_that_is_no_firmware_is_named() {
    let place = Place::new();
    let demo = demo_bytes();
    let tool = env!("CARGO_BIN_EXE_highwater");
    std::fs::create_dir(place.path("folder")).expect("a folder can be made");
    let uf2 = [b"UF2\n\x57\x51\x5d\x9e".as_slice(), &[0; 504]].concat();
    for (name, content) in [
        ("notes.txt", b"hello\n".as_slice()),
        ("app.hex", b":020000040000FA\n:00000001FF\n"),
        ("app.uf2", &uf2),
        ("app.bin", &demo[0x10000..0x11000]),
        ("empty.elf", b""),
        ("header.elf", &demo[..30]),
        ("short.elf", &demo[..3000]),
        ("half.elf", &demo[..demo.len() / 2]),
        ("x86.elf", &for_machine(3)),
        ("odd.elf", &for_machine(0x9999)),
    ] {
        place.file(name, content);
    }
    for (file, words) in [
        ("nowhere.elf", ["cannot read", "no such file"].as_slice()),
        ("folder", &["cannot read", "it is a folder"]),
        ("notes.txt", &["is not an ELF file", "text", "give the linker's output"]),
        ("app.hex", &["is not an ELF file", "Intel HEX", "give the linker's output"]),
        ("app.uf2", &["is not an ELF file", "UF2", "give the linker's output"]),
        ("app.bin", &["is not an ELF file", "give the linker's output"]),
        ("empty.elf", &["is not an ELF file", "it is empty"]),
        ("header.elf", &["is damaged", "still being written"]),
        ("short.elf", &["is damaged", "still being written"]),
        ("half.elf", &["is damaged", "still being written"]),
        ("x86.elf", &["x86", "Arm or RISC-V"]),
        ("odd.elf", &["39321", "Arm or RISC-V"]),
        (tool, &["a 64-bit machine", "host's program"]),
    ] {
        for args in [["layout", file].as_slice(), &["attach", file, "--probe", "sim"], &["snapshot", file]] {
            refuse(&place, args, 1, &[words, &[file]].concat());
        }
    }
}

#[test]
fn a_risc_v_firmware_has_a_layout_and_no_live_picture() {
    let place = Place::new();
    place.file("riscv.elf", for_machine(243));
    for args in [["attach", "riscv.elf"].as_slice(), &["attach", "riscv.elf", "--probe", "sim"]] {
        refuse(&place, args, 1, &["riscv.elf is a RISC-V firmware", "highwater layout"]);
    }
    assert!(place.output(&["layout", "riscv.elf"]).contains("static picture, no target"));
}

#[test]
fn a_probe_that_cannot_be_reached_ends_with_4_and_a_bad_name_of_one_with_1() {
    let place = Place::new();
    refuse(&place, &["attach", DEMO], 4, &["no debug probe", "highwater list", "--probe sim"]);
    refuse(&place, &["attach", DEMO, "--probe", "1234:5678"], 4, &["1234:5678", "not connected", "highwater list"]);
    for name in ["nonsense", "12345:1", ":", "sim:1"] {
        refuse(&place, &["attach", DEMO, "--probe", name], 1, &[name, "VID:PID", "highwater list"]);
    }
}

#[test]
fn a_chip_that_nobody_knows_is_named_with_who_said_it() {
    let place = Place::new();
    let attach = ["attach", DEMO, "--probe", "sim"];
    refuse(&place, &[&attach[..], &["--chip", "nRF52840_xxAB"]].concat(), 1, &["nRF52840_xxAB", "nRF52840_xxAA"]);
    refuse(&place, &["layout", DEMO, "--chip", "zzz"], 1, &["zzz", "--chip-description-path"]);
    let description = ["--chip", "mine", "--chip-description-path", "mine.yaml"];
    refuse(&place, &[&attach[..], &description[..]].concat(), 1, &["mine.yaml"]);
    place.file("mine.yaml", "name: [");
    refuse(&place, &[&attach[..], &description[..]].concat(), 1, &["mine.yaml"]);
    place.file("Embed.toml", "[default.general]\nchip = \"STM32F407VGTz9\"\n");
    refuse(&place, &attach, 1, &["STM32F407VGTz9", "STM32F407VG", "Embed.toml"]);
    refuse(&place, &["layout", DEMO], 1, &["STM32F407VGTz9", "Embed.toml"]);
}

#[test]
fn a_chip_named_by_the_environment_is_blamed_on_it() {
    let place = Place::new();
    let ran = crate::finish(place.command(&["layout", DEMO]).env("PROBE_RS_CHIP", "nRF52840_xxAB"));
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("PROBE_RS_CHIP"), "{}", ran.err);
}

#[test]
fn a_wrong_word_on_the_command_line_ends_with_2() {
    let place = Place::new();
    for (args, words) in [
        (["demo", "--scenario", "storm"].as_slice(), ["storm", "calm, overflow, leak, fragmentation"].as_slice()),
        (&["demo", "--sim-time", "5w"], &["5w", "250ms, 5s, 2m or 8h"]),
        (&["demo", "--sim-time=-1s"], &["-1s", "between 0 and a week"]),
        (&["demo", "--sim-mishap", "boom@1s"], &["boom", "reset, power-cycle, unplug"]),
        (&["demo", "--sim-mishap", "reset"], &["reset@3s"]),
        (&["demo", "--sim-link", "wifi"], &["wifi", "hid, fs, hs, ideal"]),
        (&["demo", "--seed", "many"], &["many"]),
        (&["demo", "--seed", "-1"], &["-1"]),
        (&["demo", "--format", "xml"], &["xml", "human, json, jsonl, csv, markdown, svg, html"]),
        (&["demo", "--theme", "pink"], &["pink", "okabe-ito"]),
        (&["demo", "--color", "some"], &["some", "auto, always, never"]),
        (&["attach", DEMO, "--rate", "-1"], &["-1", "a number from 0 to 10000"]),
        (&["attach", DEMO, "--rate", "NaN"], &["NaN", "a number from 0 to 10000"]),
        (&["attach", DEMO, "--protocol", "i2c"], &["i2c", "swd, jtag"]),
        (&["attach", DEMO, "--speed", "fast"], &["fast"]),
        (&["attach"], &["no ELF is named", "<ELF>", "highwater attach"]),
        (&["layout"], &["<ELF>"]),
        (&["attach", DEMO, "--sped", "1"], &["--sped", "--speed"]),
        (&["atach", DEMO], &["atach", "attach"]),
        (&["completions", "cmd"], &["cmd", "bash"]),
    ] {
        refuse(&place, args, 2, words);
    }
}

#[test]
fn only_the_demo_firmware_has_scenarios() {
    let place = Place::new();
    place.file("other.elf", patched(b"\0HIGHWATER_DEMO_SCENARIO\0", b"\0HIGHWATER_DEMO_SCENARIx\0"));
    let args = ["snapshot", "other.elf", "--probe", "sim", "--sim-scenario", "leak"];
    refuse(&place, &args, 1, &["other.elf has no scenarios", "demo firmware"]);
}

#[test]
fn a_message_cannot_paint_the_terminal() {
    let place = Place::new();
    let ran = place.run(&["layout", "no\x1b[31mwhere.elf"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("no?[31mwhere.elf"), "{:?}", ran.err);
}

#[test]
fn a_log_file_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    let args = ["layout", DEMO, "--log-file", "missing/log.txt"];
    refuse(&place, &args, 1, &["cannot write the log file missing/log.txt"]);
    let mut command = place.command(&["layout", DEMO, "--log-file", "log.txt"]);
    let ran = crate::finish(command.env("RUST_LOG", "highwater=loud"));
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("RUST_LOG=`highwater=loud` is not a log filter"), "{}", ran.err);
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn a_folder_without_frame_sizes_is_named() {
    let place = Place::new();
    refuse(&place, &["layout", DEMO, "--su", "no/such/folder"], 1, &["no/such/folder", "no such file"]);
    refuse(&place, &["layout", DEMO, "--su", "."], 1, &["no .su files", "-fstack-usage"]);
}
