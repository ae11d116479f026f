//! Any file in the place of a bootloader's image: it is refused with a reason, or its ranges lie in order.
#![no_main]

use highwater::image::other::{Given, Other};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for name in ["fuzzed", "fuzzed@0xfffffff0"] {
        let given: Given = name.parse().expect("it is a file's name");
        if let Ok(other) = Other::parse(&given, data) {
            assert!(!other.ranges.is_empty());
            for pair in other.ranges.windows(2) {
                assert!(!pair[0].overlaps(pair[1]) && pair[0] < pair[1], "{pair:?}");
            }
        }
    }
});
