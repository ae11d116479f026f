//! Any bytes in a firmware's defmt channel, in pieces: nothing panics or takes more than its share of memory, no line is
//! longer than is said, and the next whole frame is understood whatever came before.
#![no_main]

use std::sync::LazyLock;

use highwater::console::MAX_LINE;
use highwater::console::defmt::{Formats, Frames};
use libfuzzer_sys::fuzz_target;

static FORMATS: LazyLock<Formats> = LazyLock::new(|| {
    let elf = include_bytes!("../../tests/fixtures/run/run.elf");
    Formats::of(elf).expect("they are read").expect("it has some")
});

/// What the firmware of the fixture says first, from its buffer: `0 INFO  sensors are up`.
const WHOLE: &[u8] = include_bytes!("../seeds/defmt_frames/first");

fuzz_target!(|data: &[u8]| {
    let mut frames = Frames::new(&FORMATS);
    let (size, data) = data.split_first().map_or((1, data), |(size, data)| (usize::from(*size) + 1, data));
    for piece in data.chunks(size) {
        for line in frames.take(piece) {
            assert!(line.text.chars().count() <= MAX_LINE);
        }
    }
    frames.take(&[0]);
    let last = frames.take(WHOLE);
    assert_eq!(last.last().map(|line| line.text.as_str()), Some("sensors are up"));
});
