//! A recording that anyone may have made. Checksums are mended first, so that the fuzzer gets past them; the seeds are
//! stored without compression for the same reason. Nothing panics or hangs, and the sampler that plays it survives.
#![no_main]

use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use flate2::Crc;
use highwater::image::Image;
use highwater::image::layout;
use highwater::model::Model;
use highwater::recording::reader::{Medium, Recording};
use highwater::report::Report;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::source::replay::Replay;
use libfuzzer_sys::fuzz_target;

/// The demo without its debug information, which takes long to read.
static IMAGE: LazyLock<Arc<Image>> = LazyLock::new(|| {
    let mut elf = include_bytes!("../../assets/demo.elf").to_vec();
    for at in 0..elf.len() {
        if elf[at..].starts_with(b".debug_") {
            elf[at + 1] = b'_';
        }
    }
    Arc::new(Image::parse(Path::new("demo.elf"), &elf).expect("the demo's ELF is sound"))
});

/// Refreshes of one input at most.
const REFRESHES: u64 = 8;

/// The same with the right checksum for each chunk.
fn mended(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let mut at = 12;
    while at < bytes.len() {
        let (kind, mut size, mut shift) = (bytes[at], 0usize, 0);
        at += 1;
        while let Some(byte) = bytes.get(at).copied().filter(|_| shift <= 21) {
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            at += 1;
            if byte < 0x80 {
                break;
            }
        }
        let Some(payload) = bytes.get(at + 4..).and_then(|rest| rest.get(..size)) else { break };
        let mut crc = Crc::new();
        crc.update(&[kind]);
        crc.update(payload);
        let sum = crc.sum().to_le_bytes();
        bytes[at..at + 4].copy_from_slice(&sum);
        at += 4 + size;
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let bytes: Arc<[u8]> = mended(data).into();
    let open = Arc::new(move || Ok(Box::new(Cursor::new(Arc::clone(&bytes))) as Box<dyn Medium>));
    let Ok(recording) = Recording::open(open) else { return };
    let _ = (recording.opening(), recording.header().memories());
    // From the start as it was made, and from its last keyframe with whatever is known there.
    let last = recording.keyframe_before(u64::MAX);
    for source in [Replay::from_start(&recording), Replay::at(&recording, last)] {
        let Ok(source) = source else { continue };
        let chips = layout::memories(&IMAGE, &recording.header().memories());
        let mut model = Model::new(static_snapshot(&IMAGE, &chips));
        let options = Options { rate_hz: recording.header().rate_hz };
        let Ok(mut sampler) = Sampler::new(Box::new(source), Arc::clone(&IMAGE), chips, options) else { continue };
        for refresh in 0..recording.refreshes().min(REFRESHES) {
            model.ingest(if refresh % 2 == 0 { sampler.refresh() } else { sampler.refresh_thoroughly() });
            let _ = serde_json::to_string(&Report::new(&model)).expect("a report is JSON");
        }
    }
});
