//! A firmware in C whose blocks say who asked for them: the host names the function and the line that the firmware noted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use highwater::image::{Image, layout};
use highwater::model::Model;
use highwater::model::growth;
use highwater::model::snapshot::Trust;
use highwater::region::Region;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::simulator::{Board, Clock, Image as Loaded, LinkModel, MemoryKind, Options as BoardOptions};
use highwater::source::emulated::{Emulation, open};
use highwater_agent::layout::owner;

use crate::compilers::Build;

const FILES: [&str; 3] =
    ["tests/fixtures/c_agent/owners.c", "tests/fixtures/c_agent/startup.c", "target-agent/c/highwater.c"];
const LIBRARY: &str = "target-agent/ports/baremetal/highwater_owners.c";
const FREERTOS: [&str; 2] = ["target-agent/ports/freertos/highwater_freertos.c", "tests/fixtures/c_agent/heap4.c"];
const NEWLIB: [&str; 2] = ["-DHIGHWATER_WRAP_NEWLIB", "@target-agent/ports/baremetal/newlib-owners.flags"];
const ANY_LIBRARY: [&str; 1] = ["@target-agent/ports/baremetal/malloc-owners.flags"];
const NANO: &str = "--specs=nano.specs";

const MBED: [&str; 2] = ["target-agent/ports/mbed/highwater_mbed.c", "tests/fixtures/c_agent/mbed/traced.c"];

/// Blocks that the firmware keeps account of, and words of each: `struct owned`.
const BLOCKS: u32 = 100;
const BLOCK_WORDS: u32 = 4;

/// One block as the firmware and the host tell of it: where the program's part begins, how many bytes were asked for,
/// and the function and line that asked.
type Told = (u32, u32, String, u32);

/// A firmware on the board, and the host that watches it.
struct Watched {
    image: Arc<Image>,
    board: Arc<Board>,
    sampler: Sampler,
    model: Model,
}

impl Watched {
    fn new(elf: Vec<u8>) -> Self {
        let image = Arc::new(Image::parse(Path::new("owners.elf"), &elf).expect("the ELF is read"));
        let memories = layout::memories(&image, &[]);
        let emulation = Emulation {
            elf,
            erased: false,
            memories: memories.clone(),
            pokes: Vec::new(),
            seed: 7,
            link: LinkModel::hs(),
            clock: Clock::Lockstep,
            paced_from: None,
            faults: Vec::new(),
            comparators: None,
            core: None,
            chip: None,
        };
        let (source, board) = open(&emulation).expect("the board opens");
        let model = Model::new(static_snapshot(&image, &memories));
        // Not in step with the firmware's tick.
        let options = Options { rate_hz: Some(9.7) };
        let sampler = Sampler::new(Box::new(source), Arc::clone(&image), memories, options).expect("it attaches");
        Self { image, board, sampler, model }
    }

    fn refresh(&mut self) {
        let before = self.sampler.now();
        self.model.ingest(self.sampler.refresh());
        self.sampler.wait(self.sampler.now() - before);
    }

    /// A word of the firmware's own, read past the probe.
    fn word(&self, symbol: &str, index: u32) -> u32 {
        let at = self.image.symbols.address(symbol).expect("it is there");
        self.board.peek_word(at + 4 * index).expect("it lies in RAM")
    }

    /// The live blocks by the firmware's account.
    fn truth(&self) -> Vec<Told> {
        let word = |block: u32, word: u32| self.word("OWNED", BLOCK_WORDS * block + word);
        let live = (0..BLOCKS).filter(|block| word(*block, 0) != 0);
        let mut live: Vec<Told> = live
            .map(|block| {
                let function = self.image.text(word(block, 3), 64).expect("it has a name");
                (word(block, 0), word(block, 1), function.to_owned(), word(block, 2))
            })
            .collect();
        live.sort();
        live
    }

    /// The same by the host, when it is worth that.
    fn told(&self, what: &str, trust: Trust) -> Option<Vec<Told>> {
        let [heap] = &self.model.snapshot.heaps[..] else {
            panic!("{what}: one heap: {:#?}", self.model.snapshot.heaps)
        };
        let owners = heap.owners.as_ref().filter(|_| heap.owners_trust == trust)?;
        let told = heap.live.as_ref()?.iter().map(|block| {
            let site = &owners[block.owner].site;
            assert!(site.file.as_deref().is_some_and(|file| file.ends_with("owners.c")), "{what}: {site:?}");
            (block.range.start() + block.front, block.asked, site.function.clone(), site.line.unwrap_or(0))
        });
        Some(told.collect())
    }

    /// Watches until the host is sure of a heap that rested meanwhile: then both tell the same blocks.
    fn check_blocks(&mut self, what: &str) {
        for _ in 0..100 {
            let before = self.sampler.now();
            let stamp = self.word("OWNED_STAMP", 0);
            self.model.ingest(self.sampler.refresh());
            let rested = stamp > 2 && stamp.is_multiple_of(2) && stamp == self.word("OWNED_STAMP", 0);
            if let Some(told) = self.told(what, Trust::Exact).filter(|_| rested) {
                assert_eq!(told, self.truth(), "{what}");
                assert!(told.len() > 3, "{what}: {told:?}");
                return;
            }
            self.sampler.wait(self.sampler.now() - before);
        }
        let heap = &self.model.snapshot.heaps[0];
        let told: Vec<_> = heap.live.iter().flatten().map(|block| (block.range, block.front, block.asked)).collect();
        let heap = highwater::model::snapshot::Heap { blocks: None, live: None, ..heap.clone() };
        panic!(
            "{what}: {heap:?} at {:?}: the host is never sure: {told:#x?}, but the truth is {:#x?}",
            self.board.now(),
            self.truth()
        );
    }

    fn check(&mut self, what: &str) {
        for second in [1, 2, 11] {
            while self.board.now() < Duration::from_secs(second) {
                self.refresh();
            }
            self.check_blocks(what);
        }
        assert_eq!(self.word("OWNED_WRONG", 0), 0, "{what}: the library works as before");
        let heap = &self.model.snapshot.heaps[0];
        assert_eq!(heap.failures, Some(2), "{what}: two blocks were too large");
        let rows = growth::by_growth(heap);
        let first = rows.first().unwrap_or_else(|| panic!("{what}: nobody holds anything"));
        assert_eq!(first.site.function, "leak_packet", "{what}: {rows:#?}");
        assert!(first.growth.is_some_and(|rate| rate > 0.0), "{what}: {rows:#?}");
        let counters = self.board.counters();
        assert_eq!((counters.halts, counters.memory_writes), (0, 0), "{what}");
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_owner_of_each_block_of_the_c_library_is_its_line_and_the_leak_is_the_first() {
    for core in ["cortex-m0plus", "cortex-m3", "cortex-m4"] {
        for (how, wrap, specs) in [
            ("newlib-nano", &NEWLIB[..], Some(NANO)),
            ("newlib", &NEWLIB[..], None),
            ("any library", &ANY_LIBRARY[..], Some(NANO)),
        ] {
            for depth in [1, 3] {
                let build = Build::board(core).flags(&["-std=gnu99", &format!("-DHIGHWATER_OWNERS={depth}")]).strict();
                let build = build.flags(wrap).flags(&specs.map_or(Vec::new(), |specs| vec![specs]));
                let build = build.files(&FILES).files(&[LIBRARY]);
                Watched::new(build.firmware()).check(&format!("{core}, {how}, {depth} callers"));
            }
        }
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_owner_of_each_block_of_freertos_s_heap_is_its_line() {
    let wrap = ["-DOWNERS_FREERTOS", "-Wl,--wrap=pvPortMalloc,--wrap=vPortFree,--wrap=pvPortCalloc"];
    for (core, depth) in [("cortex-m0plus", 1), ("cortex-m3", 1), ("cortex-m4", 2), ("cortex-m4", 3)] {
        let build = Build::board(core).flags(&["-std=gnu99", NANO, &format!("-DHIGHWATER_OWNERS={depth}")]).strict();
        let build = build.flags(&wrap).files(&FILES).files(&FREERTOS);
        Watched::new(build.firmware()).check(&format!("{core}, FreeRTOS, {depth} callers"));
    }
}

fn mbed(core: &str, rows: u32) -> Watched {
    let build = Build::board(core).flags(&["-std=gnu99", NANO, "-DOWNERS_MBED", "-Itests/fixtures/c_agent/mbed"]);
    let build = build.flags(&[format!("-DHIGHWATER_OWNER_ROWS={rows}")]).strict();
    Watched::new(build.files(&FILES).files(&MBED).firmware())
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn the_owner_of_each_block_that_mbed_s_tracer_tells_of_is_its_line() {
    for core in ["cortex-m0plus", "cortex-m4"] {
        mbed(core, 100).check(&format!("{core}, Mbed's tracer"));
    }
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn a_table_that_is_full_tells_at_least_what_is_in_it() {
    let mut watched = mbed("cortex-m4", 8);
    let mut seen = 0;
    while watched.board.now() < Duration::from_secs(4) {
        watched.refresh();
        let truth = watched.truth();
        let Some(told) = watched.told("a small table", Trust::AtLeast) else { continue };
        assert!(told.iter().filter(|block| block.2 != "use_packet").all(|block| truth.contains(block)), "{told:?}");
        let heap = &watched.model.snapshot.heaps[0];
        let requested = heap.requested.expect("it is counted");
        assert_eq!(requested.trust, Trust::AtLeast);
        assert_eq!(told.iter().map(|block| block.1).sum::<u32>(), requested.bytes);
        assert!(requested.bytes < truth.iter().map(|block| block.1).sum(), "not all have a row");
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

/// Who is noted in a block that is asked for three functions deep: in a firmware of clang's with frame pointers, or GCC's.
fn callers(clang: Option<&str>) -> Vec<Option<String>> {
    let sources = ["tests/fixtures/c_agent/chain.c", "target-agent/c/highwater.c"];
    let build = Build::board("cortex-m3").files(&["tests/fixtures/c_agent/startup.c"]).flags(&["-DHIGHWATER_OWNERS=3"]);
    let flags = ["--target=arm-none-eabi", "-mthumb", "-mcpu=cortex-m3", "-Os", "-std=c99", "-ffreestanding", "-c"];
    let (build, _places) = match clang {
        None => (build.files(&sources), Vec::new()),
        Some(frames) => {
            let object = |file: &str| {
                let clang = Build::with("clang").flags(&flags).flags(&[frames, "-DHIGHWATER_OWNERS=3"]);
                clang.strict().files(&[file]).build()
            };
            let (places, objects): (Vec<_>, Vec<_>) = sources.into_iter().map(object).unzip();
            (build.flags(&objects.iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>()), places)
        }
    };
    let firmware = build.firmware();
    let elf = Image::parse(Path::new("chain.elf"), &firmware).expect("it is an ELF");
    let at = |name: &str| elf.symbols.address(name).expect("the firmware has it");
    let mut options = BoardOptions::new(Loaded::from_elf(&firmware).expect("it is for a Cortex-M")).lockstep();
    options.memory =
        vec![(MemoryKind::Flash, Region::new(0, 128 * 1024)), (MemoryKind::Ram, Region::new(0x2000_0000, 32 * 1024))];
    let board = Board::create(options).expect("the board is made");
    assert!(board.run_until(Duration::from_millis(200), |board| board.peek_word(at("CHAIN_DONE")) == Some(1)));
    let word = |word: usize| board.peek_word(at("CHAIN_BLOCK") + 4 * word as u32).expect("RAM");
    assert_eq!(owner::unpack(word(owner::ASKED)), (41, 8));
    // GCC calls a function whose arguments it changed by another name: `inner.isra.0`.
    let plain = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let function = |address: u32| Some(plain(&elf.symbols.at((address & !1).checked_sub(1)?)?.name));
    (owner::CALLERS..owner::CALLERS + 3).map(|caller| function(word(caller))).collect()
}

#[test]
#[ignore = "needs clang and arm-none-eabi-gcc"]
fn three_callers_are_noted_where_frame_pointers_lead_there_and_none_is_made_up_elsewhere() {
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(callers(Some("-fno-omit-frame-pointer")), [name("inner"), name("outer"), name("main")]);
    assert_eq!(callers(Some("-fomit-frame-pointer")), [name("inner"), None, None]);
    assert_eq!(callers(None), [name("inner"), None, None]);
}
