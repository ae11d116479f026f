//! Any content of RAM behind a kernel's symbols: its lists of threads and objects, their names, their stacks. The first
//! byte of the input chooses one of the firmwares that `tests/kernels` looks at, the rest are changes to its RAM. Nothing
//! panics or hangs, little is read and only of the target's memory, and what is told stays within it and is printable.
//! It needs `arm-none-eabi-gcc`: what the compiler says of a structure is the way to it.
#![no_main]

#[path = "../../tests/kernels/compile.rs"]
mod compile;
mod hostile;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use highwater::image::Image;
use highwater::image::layout::{self, Memory as Chip};
use highwater::model::snapshot::{MemoryKind, Part, Snapshot};
use highwater::region::Region;
use highwater::sampler::{Options, Sampler};
use highwater::units::printable;
use hostile::{Ram, Target};
use libfuzzer_sys::fuzz_target;

/// The kernels in the builds that differ most.
const BUILDS: [(&str, &[&str]); 12] = [
    ("freertos.c", &["-g"]),
    ("rtx5.c", &["-g", "-DWATERMARK"]),
    ("zephyr.c", &["-g"]),
    ("threadx.c", &["-g"]),
    ("freertos.c", &["-g", "-DSMP", "-DHIGH"]),
    ("rtx5.c", &["-g", "-DMBED", "-DOBJECTS"]),
    ("zephyr.c", &["-g", "-DSENTINEL", "-DUSAGE", "-DTRACKING"]),
    ("threadx.c", &["-g", "-DCHECKING"]),
    ("freertos.c", &["-gdwarf-3", "-DV9", "-DCHECKS", "-DSTATS"]),
    ("rtx5.c", &["-gdwarf-3", "-DRTX59"]),
    ("zephyr.c", &["-g", "-DNO_MONITOR"]),
    ("threadx.c", &["-g", "-DCHECKING", "-DRANDOM"]),
];
/// More stacks than a kernel is followed for.
const STACKS: usize = 600;
/// Characters of the longest name: the target's own are cut, and a word may follow.
const NAME: usize = 64;

struct Firmware {
    image: Arc<Image>,
    chips: Vec<Chip>,
    ram: Ram,
}

impl Firmware {
    fn new((source, flags): (&str, &[&str])) -> Self {
        let image = Arc::new(compile::compile(&[source], flags));
        let chips = layout::memories(&image, &[]);
        let range = chips.iter().find(|chip| chip.kind == MemoryKind::Ram).expect("the linker names one").range;
        let linked = image.segments.iter().map(|segment| segment.run).filter(|run| range.covers(*run));
        let favoured = linked.reduce(Region::hull).expect("it has data");
        let ram = Ram { range, bytes: compile::loaded(&image, range), favoured };
        Self { image, chips, ram }
    }
}

static FIRMWARES: LazyLock<Vec<Firmware>> = LazyLock::new(|| BUILDS.map(Firmware::new).into_iter().collect());

fuzz_target!(|data: &[u8]| {
    let Some((build, changes)) = data.split_first() else { return };
    let Firmware { image, chips, ram } = &FIRMWARES[usize::from(*build) % FIRMWARES.len()];
    let mut target = Target::new(Arc::clone(image), chips, ram.clone(), changes);
    let refreshes = target.refreshes();
    target.advance();
    let options = Options { rate_hz: Some(30.0) };
    let Ok(mut sampler) = Sampler::new(Box::new(target), Arc::clone(image), chips.clone(), options) else { return };
    for refresh in 0..refreshes {
        let observation = if refresh % 2 == 0 { sampler.refresh() } else { sampler.refresh_thoroughly() };
        judge(&observation.snapshot, ram.range);
        sampler.wait(Duration::ZERO);
    }
});

/// Holds what is told against what can be true.
fn judge(told: &Snapshot, ram: Region) {
    assert!(told.stacks.len() <= STACKS, "{} stacks", told.stacks.len());
    for stack in &told.stacks {
        assert!(!stack.range.is_empty() && ram.covers(stack.range), "{stack:?}");
        let size = stack.range.size();
        for measured in [stack.current, stack.lowest_sp, stack.peak].into_iter().flatten() {
            assert!(measured.bytes <= size, "{stack:?}");
        }
    }
    for memory in &told.memories {
        let whole: u64 = memory.parts.iter().map(|part| u64::from(part.range.size())).sum();
        assert_eq!(whole, u64::from(memory.range.size()), "the parts of {} add up", memory.name);
    }
    let parts = told.memories.iter().flat_map(|memory| &memory.parts);
    let parts: Vec<&Part> = parts.flat_map(|part| std::iter::once(part).chain(&part.parts)).collect();
    let names = parts.iter().map(|part| &part.name).chain(told.stacks.iter().map(|stack| &stack.name));
    for name in names {
        assert!(!name.is_empty() && *name == printable(name, NAME), "{name:?}");
    }
    for hint in &told.hints {
        assert!(!hint.chars().any(char::is_control), "{hint:?}");
    }
}
