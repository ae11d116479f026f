//! A whole firmware in C, seen by the host: what it says is what the firmware counted itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use highwater::image::{Image, layout};
use highwater::model::Model;
use highwater::model::snapshot::{PartKind, Snapshot, StackKind, Trust};
use highwater::region::Region;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::simulator::{Board, Clock, LinkModel};
use highwater::source::emulated::{Emulation, open};

use highwater_agent::layout::ABI;

use crate::compilers::Build;

const DEMO: [&str; 4] = [
    "tests/fixtures/c_agent/demo.c",
    "tests/fixtures/c_agent/startup.c",
    "target-agent/c/highwater.c",
    "target-agent/ports/baremetal/highwater_malloc.c",
];
const NEWLIB: [&str; 2] =
    ["-DHIGHWATER_WRAP_NEWLIB", "-Wl,--wrap=_malloc_r,--wrap=_free_r,--wrap=_calloc_r,--wrap=_realloc_r"];
const ANY_LIBRARY: [&str; 1] = ["-Wl,--wrap=malloc,--wrap=free,--wrap=calloc,--wrap=realloc"];

/// Word indices in the firmware's accounts, `struct truth`; the first word counts its rounds.
mod truth {
    pub(super) const ALLOCATED: u32 = 1;
    pub(super) const FREED: u32 = 2;
    pub(super) const ALLOCS: u32 = 3;
    pub(super) const FREES: u32 = 4;
    pub(super) const FAILURES: u32 = 5;
    pub(super) const PEAK: u32 = 6;
    pub(super) const STACKS: u32 = 7;
    pub(super) const STACK_WORDS: u32 = 3;
}

/// A firmware that ran for a while, and what the host says of it.
pub(crate) struct Seen {
    image: Arc<Image>,
    pub(crate) board: Arc<Board>,
    pub(crate) snapshot: Snapshot,
}

impl Seen {
    /// Runs it until the word at `rounds`, which its loop counts, says that it got going; then watches it for a while.
    pub(crate) fn new(elf: Vec<u8>, rounds: &str) -> Self {
        let image = Arc::new(Image::parse(Path::new("demo.elf"), &elf).expect("the ELF is read"));
        let memories = layout::memories(&image, &[]);
        let emulation = Emulation {
            elf,
            memories: memories.clone(),
            pokes: Vec::new(),
            seed: 7,
            link: LinkModel::ideal(),
            clock: Clock::Lockstep,
            paced_from: None,
            faults: Vec::new(),
            comparators: None,
            erased: false,
            core: None,
            chip: None,
        };
        let (source, board) = open(&emulation).expect("the board opens");
        let mut model = Model::new(static_snapshot(&image, &memories));
        let options = Options { rate_hz: Some(30.0) };
        let mut sampler = Sampler::new(Box::new(source), Arc::clone(&image), memories, options).expect("it attaches");
        let rounds = image.symbols.address(rounds).expect("the firmware counts its rounds");
        let ready = |board: &Board| board.peek_word(rounds).is_some_and(|rounds| rounds > 20 && rounds < 1 << 16);
        assert!(board.run_until(Duration::from_secs(2), ready), "the firmware gets to its loop");
        // A paint is believed when it was there twice, a tenth of a second apart.
        for _ in 0..20 {
            let before = sampler.now();
            model.ingest(sampler.refresh());
            sampler.wait(sampler.now() - before);
        }
        model.ingest(sampler.refresh_thoroughly());
        Self { image, board, snapshot: model.snapshot }
    }

    /// A word of one of the firmware's own accounts, read past the probe.
    pub(crate) fn word(&self, symbol: &str, index: u32) -> u32 {
        let at = self.image.symbols.address(symbol).expect("it is there");
        self.board.peek_word(at + 4 * index).expect("it lies in RAM")
    }

    fn truth(&self, word: u32) -> u32 {
        self.word("TRUTH", word)
    }

    fn check(&self, what: &str) {
        let snapshot = &self.snapshot;
        let agent = format!("agent {}.{}", ABI >> 16, ABI & 0xffff);
        assert_eq!(snapshot.target.kernel, Some(agent), "{what}");
        let names = [("main", StackKind::Main), ("reader", StackKind::User), ("writer", StackKind::User)];
        assert_eq!(snapshot.stacks.len(), names.len(), "{what}: {:?}", snapshot.stacks);
        for ((name, kind), index) in names.into_iter().zip(0u32..) {
            let entry = |word: u32| self.truth(truth::STACKS + index * truth::STACK_WORDS + word);
            let stack = snapshot.stacks.iter().find(|stack| stack.name == name).expect("it is seen");
            assert_eq!(stack.kind, kind, "{what}: {name}");
            assert_eq!(stack.range, Region::new(entry(0), entry(1)), "{what}: {name}");
            let peak = stack.peak.expect("it is painted");
            assert_eq!((peak.bytes, peak.trust), (entry(2), Trust::Exact), "{what}: {name}");
            assert!(entry(2) > 60, "{what}: {name} was used");
        }
        let [heap] = &snapshot.heaps[..] else { panic!("{what}: one heap") };
        let requested = heap.requested.expect("it is counted").bytes;
        assert_eq!(requested, self.truth(truth::ALLOCATED) - self.truth(truth::FREED), "{what}");
        assert_eq!(heap.requested_peak.expect("it is counted").bytes, self.truth(truth::PEAK), "{what}");
        assert_eq!(heap.allocations, Some(self.truth(truth::ALLOCS)), "{what}");
        assert_eq!(heap.in_use, Some(self.truth(truth::ALLOCS) - self.truth(truth::FREES)), "{what}");
        assert_eq!(heap.failures, Some(self.truth(truth::FAILURES)), "{what}");
        assert_eq!(self.truth(truth::FAILURES), 2, "{what}: one block was too large, and one could not grow");
        let parts = snapshot.memories.iter().flat_map(|memory| &memory.parts);
        let buffer = parts.filter(|part| part.kind == PartKind::Buffer && part.name == "receive buffer").count();
        assert_eq!(buffer, 1, "{what}: the buffer is on the map");
        let counters = self.board.counters();
        assert_eq!((counters.halts, counters.memory_writes), (0, 0), "{what}");
    }
}

#[test]
#[ignore = "needs gcc and arm-none-eabi-gcc"]
fn a_firmware_in_c_is_seen_as_it_counted_itself() {
    for core in ["cortex-m0plus", "cortex-m3", "cortex-m4"] {
        for (how, wrap) in [("newlib", &NEWLIB[..]), ("any library", &ANY_LIBRARY[..])] {
            let build = Build::board(core).flags(&["--specs=nano.specs", "-std=gnu99"]).flags(wrap).strict();
            Seen::new(build.files(&DEMO).firmware(), "TRUTH").check(&format!("{core}, {how}"));
        }
    }
}
