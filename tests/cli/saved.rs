//! Memory that was saved to files, in place of a target.

use crate::common::DEMO;
use crate::{Place, finish};

#[test]
fn a_raw_image_is_a_snapshot_without_a_probe() {
    let place = Place::new();
    place.file("ram.bin", vec![0; 0x1_0000]);
    for args in [
        ["snapshot", DEMO, "--ram", "0x20000000:ram.bin", "--format", "json"],
        ["attach", DEMO, "--ram", "0x20000000:ram.bin", "--format", "json"],
    ] {
        let report: serde_json::Value = serde_json::from_str(&place.output(&args)).expect("it is JSON");
        assert_eq!(report["target"]["source"], "ram.bin", "{report}");
    }
}

#[test]
fn what_cannot_be_looked_at_is_named_with_the_way_out() {
    let place = Place::new();
    place.file("ram.bin", vec![0; 64]);
    place.file("empty.bin", "");
    for (args, code, words) in [
        (["--core", "nowhere.core"].as_slice(), 1, ["cannot read nowhere.core"].as_slice()),
        (&["--core", "ram.bin"], 1, &["ram.bin is not an ELF file", "--ram ADDRESS:FILE"]),
        (&["--ram", "0x20000000:empty.bin"], 1, &["empty.bin is empty"]),
        (&["--ram", "ram.bin"], 2, &["--ram", "0x20000000:ram.bin"]),
        (&["--ram", "0:ram.bin", "--probe", "sim"], 2, &["--ram", "--probe"]),
        (&["--core", "ram.bin", "--paint"], 2, &["--core", "--paint"]),
        (&["--core", "ram.bin", "--gdb", ":3333"], 2, &["--core", "--gdb"]),
        (&["--gdb", ":3333", "--qemu", "qmp.sock"], 2, &["--gdb", "--qemu"]),
        (&["--gdb", ":3333", "--tripwire"], 2, &["--gdb", "--tripwire"]),
        (&["--qemu", "qmp.sock", "--sim-scenario", "leak"], 2, &["--qemu", "--sim-scenario"]),
        (&["--qemu", "qmp.sock", "--allow-halt"], 2, &["--allow-halt", "--gdb"]),
        (&["--gdb", "nowhere"], 2, &["--gdb", "localhost:3333"]),
        (&["--qemu", "tcp:nowhere"], 2, &["--qemu", "localhost:3333"]),
    ] {
        let ran = place.run(&[&["snapshot", DEMO], args].concat());
        assert_eq!(ran.code, Some(code), "{args:?} says: {}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{args:?} does not say `{word}`: {}", ran.err);
        }
    }
}

#[test]
fn a_probe_that_the_environment_or_the_settings_name_is_not_in_the_way() {
    let place = Place::new();
    place.file("ram.bin", vec![0; 0x1_0000]);
    place.file("highwater.toml", "probe = \"0d28:0204\"\n");
    let args = ["snapshot", DEMO, "--ram", "0x20000000:ram.bin", "--format", "json"];
    for variables in [vec![], vec![("PROBE_RS_PROBE", "sim"), ("PROBE_RS_CONNECT_UNDER_RESET", "true")]] {
        let ran = finish(place.command(&args).envs(variables));
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
}

#[test]
fn budgets_are_held_and_sizes_suggested_from_what_was_saved() {
    let place = Place::new();
    place.file("ram.bin", vec![0; 0x1_0000]);
    let ran = place.run(&["check", DEMO, "--ram", "0x20000000:ram.bin", "--for", "60m"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{}", ran.err);
    assert!(ran.out.contains("faults"), "{}", ran.out);
    let ran = place.run(&["sizes", DEMO, "--ram", "0x20000000:ram.bin", "--for", "60m"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = place.run(&["check", "--demo", "calm", "--ram", "0x20000000:ram.bin"]);
    assert!(ran.code == Some(2) && ran.err.contains("--demo"), "{}", ran.err);
}
