//! The committed demo firmware belongs to the sources that lie beside it.

use std::path::Path;

#[path = "../target-agent/demo/sources.rs"]
#[allow(unreachable_pub)]
mod sources;

#[test]
fn the_demo_firmware_is_built_from_its_sources() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR"));
    let elf = std::fs::read(repo.join("assets/demo.elf")).expect("assets/demo.elf is committed");
    let marker = sources::MARKER.as_bytes();
    let mut marked = elf.windows(marker.len()).enumerate().filter(|(_, window)| *window == marker);
    let (at, _) = marked.next().expect("the firmware carries the hash of its sources");
    assert!(marked.next().is_none(), "the hash is there once");
    let hash = &elf[at + marker.len()..][..16];
    let expected = sources::hash(&repo.join("target-agent")).expect("the sources can be read");
    assert_eq!(
        String::from_utf8_lossy(hash),
        expected,
        "assets/demo.elf is not built from these sources: run target-agent/demo/build.sh and commit the result"
    );
}
