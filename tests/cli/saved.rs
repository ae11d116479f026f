//! Memory that was saved to files, in place of a target.

use crate::Place;
use crate::common::DEMO;

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
    ] {
        let ran = place.run(&[&["snapshot", DEMO], args].concat());
        assert_eq!(ran.code, Some(code), "{args:?} says: {}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{args:?} does not say `{word}`: {}", ran.err);
        }
    }
}
