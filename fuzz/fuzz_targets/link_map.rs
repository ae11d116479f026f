//! Any text in the place of a linker's map: what it says of an address covers that address.
#![no_main]

use highwater::image::link_map::LinkMap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let map = LinkMap::parse(&String::from_utf8_lossy(data));
    for address in [0, 0x8000, 0x0800_0000, 0x2000_0000, u32::MAX] {
        if let Some(input) = map.at(address) {
            assert!(input.range.contains(address));
        }
    }
});
