//! The same calls give the same block, to the byte: in Rust, in C on this machine, and in C on the emulated board.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::CStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use highwater::image::Image as Elf;
use highwater::region::Region as Range;
use highwater::simulator::{Board, CoreKind, Image, MemoryKind, Options};
use highwater_agent::{
    Block, Owned, Region, RegionId, RegionKind, Thread, ThreadId, ThreadKind, ThreadState, layout, stack,
};
use proptest::prelude::*;

use crate::compilers::Build;

const THREADS: usize = 3;
const HEAPS: usize = 2;
const REGIONS: usize = 4;
/// What the block is built with in C.
const CONFIG: [&str; 5] = [
    "-DHIGHWATER_THREADS=3",
    "-DHIGHWATER_HEAPS=2",
    "-DHIGHWATER_REGIONS=4",
    "-DHIGHWATER_BUILD_ID_LOW=0x12345678",
    "-DHIGHWATER_BUILD_ID_HIGH=0x9abcdef0",
];
const BUILD_ID: [u32; 2] = [0x1234_5678, 0x9abc_def0];
/// Calls that fit in the board's RAM.
const CALLS: usize = 64;
/// Words of one call.
const CALL_WORDS: usize = 8;

/// Places for blocks with owners, and words of each.
const SLOTS: usize = 4;
const SLOT_WORDS: usize = 256;

const AGENT: &str = "target-agent/c/highwater.c";
const SCRIPT: &str = "tests/fixtures/c_agent/script.c";

const NAMES: [&CStr; 3] = [c"main", c"sensor", c"rx"];
const THREAD_KINDS: [ThreadKind; 5] =
    [ThreadKind::Main, ThreadKind::Isr, ThreadKind::Idle, ThreadKind::Timer, ThreadKind::User];
const STATES: [ThreadState; 6] = [
    ThreadState::Unknown,
    ThreadState::Ready,
    ThreadState::Running,
    ThreadState::Blocked,
    ThreadState::Delayed,
    ThreadState::Ended,
];
const REGION_KINDS: [RegionKind; 6] = [
    RegionKind::Vectors,
    RegionKind::Data,
    RegionKind::Buffer,
    RegionKind::Bootloader,
    RegionKind::Code,
    RegionKind::Other,
];

/// One call of the agent. What was registered is named by its number, in the order of registering.
#[derive(Clone, Debug)]
enum Call {
    Init,
    Heartbeat,
    RegisterThread { name: usize, kind: usize, base: u32, size: u32, priority: u8, painted: bool, entry: u32 },
    RetireThread(usize),
    SetState(usize, usize),
    SetPriority(usize, u8),
    SetRunning(usize),
    OnSwitch(usize, u32),
    RegisterRegion { name: usize, kind: usize, base: u32, size: u32 },
    RegisterHeap { name: usize, index: usize, base: u32, size: u32 },
    RetireRegion(usize),
    OnAlloc(usize, u32),
    OnFree(usize, u32),
    OnRealloc(usize, u32, u32),
    OnFailure(usize, u32),
    Paint(u32),
    Guard { word: usize, value: u32 },
    OwnedAlloc { heap: usize, slot: usize, bytes: u32, align: u32 },
    OwnedRealloc { slot: usize, bytes: u32 },
    OwnedFree(usize),
}

/// A name's address as both agents cut it to a word.
#[allow(clippy::cast_possible_truncation, reason = "the block holds 32 bits of it")]
fn address(name: usize) -> u32 {
    NAMES[name].as_ptr().addr() as u32
}

impl Call {
    /// The call as C takes it.
    #[allow(clippy::cast_possible_truncation, reason = "numbers of a script are small")]
    fn words(&self) -> [u32; CALL_WORDS] {
        let mut words = [0; CALL_WORDS];
        let values: &[u32] = match *self {
            Self::Init => &[0],
            Self::Heartbeat => &[1],
            Self::RegisterThread { name, kind, base, size, priority, painted, entry } => {
                let kind = THREAD_KINDS[kind] as u32;
                &[2, address(name), kind, base, size, priority.into(), painted.into(), entry]
            }
            Self::RetireThread(id) => &[3, id as u32],
            Self::SetState(id, state) => &[4, id as u32, STATES[state] as u32],
            Self::SetPriority(id, priority) => &[5, id as u32, priority.into()],
            Self::SetRunning(id) => &[6, id as u32],
            Self::OnSwitch(id, sp) => &[7, id as u32, sp],
            Self::RegisterRegion { name, kind, base, size } => {
                &[8, address(name), REGION_KINDS[kind] as u32, base, size]
            }
            Self::RegisterHeap { name, index, base, size } => &[9, address(name), index as u32, base, size],
            Self::RetireRegion(id) => &[10, id as u32],
            Self::OnAlloc(heap, bytes) => &[11, heap as u32, bytes],
            Self::OnFree(heap, bytes) => &[12, heap as u32, bytes],
            Self::OnRealloc(heap, old, new) => &[13, heap as u32, old, new],
            Self::OnFailure(heap, bytes) => &[14, heap as u32, bytes],
            Self::Paint(bytes) => &[15, bytes],
            Self::Guard { word, value } => &[16, word as u32, value],
            Self::OwnedAlloc { heap, slot, bytes, align } => &[17, heap as u32, slot as u32, bytes, align],
            Self::OwnedRealloc { slot, bytes } => &[18, slot as u32, bytes],
            Self::OwnedFree(slot) => &[19, slot as u32],
        };
        words[..values.len()].copy_from_slice(values);
        words
    }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let size = || prop_oneof![0u32..2000, any::<u32>()];
    let id = || 0usize..6;
    let heap = || 0..HEAPS;
    // Some do not fit into a slot, and some not into a header.
    let owned = || prop_oneof![8 => 1u32..1200, 1 => 1u32..];
    let call = prop_oneof![
        1 => Just(Call::Init),
        1 => Just(Call::Heartbeat),
        6 => (0..3usize, 0..5usize, any::<u32>(), any::<u32>(), any::<u8>(), any::<bool>(), any::<u32>()).prop_map(
            |(name, kind, base, size, priority, painted, entry)| {
                Call::RegisterThread { name, kind, base, size, priority, painted, entry }
            }
        ),
        4 => id().prop_map(Call::RetireThread),
        2 => (id(), 0..6usize).prop_map(|(id, state)| Call::SetState(id, state)),
        2 => (id(), any::<u8>()).prop_map(|(id, priority)| Call::SetPriority(id, priority)),
        2 => id().prop_map(Call::SetRunning),
        4 => (id(), any::<u32>()).prop_map(|(id, sp)| Call::OnSwitch(id, sp)),
        4 => (0..3usize, 0..6usize, any::<u32>(), any::<u32>())
            .prop_map(|(name, kind, base, size)| Call::RegisterRegion { name, kind, base, size }),
        2 => (0..3usize, heap(), any::<u32>(), any::<u32>())
            .prop_map(|(name, index, base, size)| Call::RegisterHeap { name, index, base, size }),
        3 => id().prop_map(Call::RetireRegion),
        4 => (heap(), size()).prop_map(|(heap, bytes)| Call::OnAlloc(heap, bytes)),
        3 => (heap(), size()).prop_map(|(heap, bytes)| Call::OnFree(heap, bytes)),
        2 => (heap(), size(), size()).prop_map(|(heap, old, new)| Call::OnRealloc(heap, old, new)),
        1 => (heap(), size()).prop_map(|(heap, bytes)| Call::OnFailure(heap, bytes)),
        1 => (1u32..=64).prop_map(|words| Call::Paint(4 * words)),
        1 => (0usize..10, prop_oneof![Just(layout::PAINT), any::<u32>()])
            .prop_map(|(word, value)| Call::Guard { word, value }),
        6 => (heap(), 0..SLOTS, owned(), 3u32..8)
            .prop_map(|(heap, slot, bytes, log)| Call::OwnedAlloc { heap, slot, bytes, align: 1 << log }),
        4 => (0..SLOTS, owned()).prop_map(|(slot, bytes)| Call::OwnedRealloc { slot, bytes }),
        4 => (0..SLOTS).prop_map(Call::OwnedFree),
    ];
    prop::collection::vec(call, 0..CALLS - 1).prop_map(|mut calls| {
        calls.insert(0, Call::Init);
        calls
    })
}

/// An allocator that has one block in a slot, or none when it does not fit.
#[repr(align(1024))]
struct Slot([AtomicU32; SLOT_WORDS]);

impl Slot {
    fn fitting(&self, size: usize) -> *mut u8 {
        if size <= 4 * SLOT_WORDS { self.0.as_ptr().cast_mut().cast() } else { std::ptr::null_mut() }
    }
}

// SAFETY: a slot is large enough and aligned to its size; the test asks for one block at a time.
unsafe impl GlobalAlloc for &'static Slot {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.fitting(layout.size())
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}

    unsafe fn realloc(&self, _block: *mut u8, _layout: Layout, new_size: usize) -> *mut u8 {
        self.fitting(new_size)
    }
}

/// A block with an owner: its heap, where the program's part is, and what was asked for.
type Held = (usize, *mut u8, Layout);

/// The agent in Rust, with what was registered.
struct Rust<const DEPTH: usize> {
    slots: &'static [Slot; SLOTS],
    held: [Option<Held>; SLOTS],
    block: &'static Block<THREADS, HEAPS, REGIONS>,
    threads: Vec<Option<ThreadId>>,
    regions: Vec<Option<RegionId>>,
    stack: [u32; 64],
}

impl<const DEPTH: usize> Rust<DEPTH> {
    fn new() -> Self {
        Self {
            slots: Box::leak(Box::new([const { Slot([const { AtomicU32::new(0) }; SLOT_WORDS]) }; SLOTS])),
            held: [None; SLOTS],
            block: Box::leak(Box::new(Block::new())),
            threads: Vec::new(),
            regions: Vec::new(),
            stack: [0; 64],
        }
    }

    /// The allocator whose blocks in this slot have headers.
    fn owned(&self, heap: usize, slot: usize) -> Owned<&'static Slot, DEPTH> {
        Owned::new(&self.slots[slot], self.heap(heap))
    }

    /// Holds a part that was handed out, and tells where it begins in the slot.
    #[allow(clippy::cast_possible_truncation, reason = "slots are small")]
    fn handed_out(&mut self, slot: usize, held: Held) -> u32 {
        if held.1.is_null() {
            return u32::MAX;
        }
        self.held[slot] = Some(held);
        (held.1.addr() - self.slots[slot].0.as_ptr().addr()) as u32
    }

    fn thread(&self, id: usize) -> Option<ThreadId> {
        self.threads.get(id).copied().flatten()
    }

    fn heap(&self, index: usize) -> &'static highwater_agent::HeapCounters {
        if index == 0 { self.block.heap::<0>() } else { self.block.heap::<1>() }
    }

    fn registered(&mut self, id: Option<RegionId>) -> u32 {
        self.regions.push(id);
        id.is_some().into()
    }

    /// Makes one call and gives what the fixture in C returns for it.
    fn call(&mut self, call: &Call) -> u32 {
        match *call {
            Call::Init => return self.block.init(BUILD_ID),
            Call::Heartbeat => self.block.heartbeat(),
            Call::RegisterThread { name, kind, base, size, priority, painted, entry } => {
                let thread = Thread::new(NAMES[name], THREAD_KINDS[kind], base, size);
                let thread = thread.priority(priority).entry(entry as usize);
                let thread = if painted { thread.painted() } else { thread };
                let id = self.block.register_thread(&thread).ok();
                self.threads.push(id);
                return id.is_some().into();
            }
            Call::RetireThread(id) => return self.thread(id).is_some_and(|id| self.block.retire_thread(id)).into(),
            Call::SetState(id, state) => {
                self.thread(id).into_iter().for_each(|id| self.block.set_state(id, STATES[state]));
            }
            Call::SetPriority(id, priority) => {
                self.thread(id).into_iter().for_each(|id| self.block.set_priority(id, priority));
            }
            Call::SetRunning(id) => self.block.set_running(self.thread(id)),
            Call::OnSwitch(id, sp) => self.thread(id).into_iter().for_each(|id| self.block.on_switch(id, sp)),
            Call::RegisterRegion { name, kind, base, size } => {
                let id = self.block.register_region(&Region::new(NAMES[name], REGION_KINDS[kind], base, size)).ok();
                return self.registered(id);
            }
            Call::RegisterHeap { name, index, base, size } => {
                let block = self.block;
                let id = match index {
                    0 => block.register_heap::<0>(NAMES[name], base, size),
                    _ => block.register_heap::<1>(NAMES[name], base, size),
                };
                return self.registered(id.ok());
            }
            Call::RetireRegion(id) => {
                let id = self.regions.get(id).copied().flatten();
                return id.is_some_and(|id| self.block.retire_region(id)).into();
            }
            Call::OnAlloc(heap, bytes) => self.heap(heap).on_alloc(bytes),
            Call::OnFree(heap, bytes) => self.heap(heap).on_free(bytes),
            Call::OnRealloc(heap, old, new) => self.heap(heap).on_realloc(old, new),
            Call::OnFailure(heap, 0) => self.heap(heap).on_failure(),
            Call::OnFailure(heap, bytes) => self.heap(heap).on_failure_of(bytes),
            Call::Paint(bytes) => {
                // SAFETY: the stack has 256 bytes, and nobody runs on it.
                unsafe { stack::paint(self.stack.as_mut_ptr(), bytes as usize) };
                return self.stack[bytes as usize / 4 - 1];
            }
            Call::Guard { word, value } => {
                self.stack[word] = value;
                // SAFETY: the stack is longer than its guard.
                return unsafe { stack::guard_is_whole(self.stack.as_ptr()) }.into();
            }
            Call::OwnedAlloc { heap, slot, bytes, align } => {
                if self.held[slot].is_some() {
                    return 0;
                }
                let layout = Layout::from_size_align(bytes as usize, align as usize).expect("it is a layout");
                // SAFETY: the layout has a size.
                let part = unsafe { self.owned(heap, slot).alloc(layout) };
                return self.handed_out(slot, (heap, part, layout));
            }
            Call::OwnedRealloc { slot, bytes } => {
                let Some((heap, part, layout)) = self.held[slot] else { return 0 };
                // SAFETY: the part was handed out with this layout, and the new size is one.
                let moved = unsafe { self.owned(heap, slot).realloc(part, layout, bytes as usize) };
                let layout = Layout::from_size_align(bytes as usize, layout.align()).expect("it is a layout");
                return self.handed_out(slot, (heap, moved, layout));
            }
            Call::OwnedFree(slot) => {
                let Some((heap, part, layout)) = self.held[slot].take() else { return 0 };
                // SAFETY: the part was handed out with this layout.
                unsafe { self.owned(heap, slot).dealloc(part, layout) };
                return u32::try_from(layout.size()).expect("it was 32 bits");
            }
        }
        0
    }

    /// The words of the headers in the slots and of the block, without the padding at its end, which is nothing that could
    /// be read.
    fn words(&self) -> Vec<u32> {
        let headers = self.slots.iter().flat_map(|slot| &slot.0[..layout::owner::CALLERS + DEPTH]);
        headers.map(|word| word.load(Relaxed)).chain(self.block_words()).collect()
    }

    fn block_words(&self) -> Vec<u32> {
        let tables = THREADS * (layout::mark::WORDS + layout::thread::WORDS) + REGIONS * layout::region::WORDS;
        let words = layout::header::WORDS + HEAPS * layout::heap::WORDS + tables + 4;
        let first = (&raw const *self.block).cast::<AtomicU32>();
        // SAFETY: the block is a static of that many words, and all are written as atomics.
        (0..words).map(|index| unsafe { &*first.add(index) }.load(Relaxed)).collect()
    }
}

/// What each call returned, and the block after it.
fn in_rust<const DEPTH: usize>(calls: &[Call]) -> Vec<(u32, Vec<u32>)> {
    let mut rust = Rust::<DEPTH>::new();
    calls.iter().map(|call| (rust.call(call), rust.words())).collect()
}

fn in_c(program: &Path, calls: &[Call]) -> Vec<(u32, Vec<u32>)> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let script: Vec<u8> = calls.iter().flat_map(Call::words).flat_map(u32::to_ne_bytes).collect();
    // The script fits in a pipe, and the program reads all of it.
    child.stdin.take().expect("it is piped").write_all(&script).expect("it reads");
    let output = child.wait_with_output().expect("it ends").stdout;
    let words: Vec<u32> = output.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap())).collect();
    let step = words.len() / calls.len();
    words.chunks_exact(step).map(|step| (step[0], step[1..].to_vec())).collect()
}

fn runner(cases: u32) -> proptest::test_runner::TestRunner {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest::test_runner::TestRunner::new(config)
}

/// Calls whose blocks keep their alignment when they are made larger: `realloc` of C has none to keep.
fn calls_with_plain_realloc() -> impl Strategy<Value = Vec<Call>> {
    calls().prop_map(|mut calls| {
        let mut aligned = [false; SLOTS];
        calls.retain(|call| match *call {
            Call::OwnedAlloc { slot, align, .. } => {
                aligned[slot] |= align > 8;
                true
            }
            Call::OwnedRealloc { slot, .. } => !aligned[slot],
            _ => true,
        });
        calls
    })
}

/// What the C sources are built with so that each block has a header of that depth.
fn owners(depth: usize) -> String {
    format!("-DHIGHWATER_OWNERS={depth}")
}

fn check_on_host<const DEPTH: usize>() {
    let files = [AGENT, SCRIPT, "tests/fixtures/c_agent/script_host.c"];
    let (_place, program) = Build::host().flags(&CONFIG).flags(&[owners(DEPTH)]).files(&files).build();
    let outcome = runner(256).run(&calls_with_plain_realloc(), |calls| {
        for (index, ((returned, mut block), rust)) in
            in_c(&program, &calls).into_iter().zip(in_rust::<DEPTH>(&calls)).enumerate()
        {
            let padding = block.split_off(rust.1.len());
            prop_assert!(padding.len() < 16 && padding.iter().all(|word| *word == 0));
            prop_assert_eq!((returned, block), rust, "{} callers, after {:?}", DEPTH, &calls[index]);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
#[ignore = "needs gcc and arm-none-eabi-gcc"]
fn c_and_rust_write_the_same_bytes() {
    check_on_host::<1>();
    check_on_host::<2>();
    check_on_host::<3>();
}

fn check_on_board<const DEPTH: usize>(core: &str, kind: CoreKind) {
    let files = [AGENT, SCRIPT, "tests/fixtures/c_agent/script_board.c", "tests/fixtures/c_agent/startup.c"];
    let firmware = Build::board(core).flags(&CONFIG).flags(&[owners(DEPTH)]).files(&files).firmware();
    let elf = Elf::parse(Path::new("script.elf"), &firmware).expect("it is an ELF");
    let at = |name: &str| elf.symbols.address(name).expect("the firmware has it");
    let outcome = runner(12).run(&calls_with_plain_realloc(), |calls| {
        let mut options = Options::new(Image::from_elf(&firmware).expect("it is for a Cortex-M")).lockstep();
        options.core = Some(kind);
        options.memory =
            vec![(MemoryKind::Flash, Range::new(0, 128 * 1024)), (MemoryKind::Ram, Range::new(0x2000_0000, 32 * 1024))];
        options.pokes.push((at("SCRIPT_CALLS"), u32::try_from(calls.len()).unwrap()));
        let script = calls.iter().flat_map(Call::words);
        options.pokes.extend(script.zip(0u32..).map(|(word, index)| (at("SCRIPT") + 4 * index, word)));
        let board = Board::create(options).expect("the board is made");
        let done = |board: &Board| board.peek_word(at("DONE")) == Some(1);
        prop_assert!(board.run_until(Duration::from_millis(200), done), "{core}: it does not end");
        let words = |address: u32, count: usize| -> Vec<u32> {
            (0..count).map(|index| board.peek_word(address + 4 * index as u32).expect("RAM")).collect()
        };
        let expected = in_rust::<DEPTH>(&calls);
        let returned: Vec<u32> = expected.iter().map(|(returned, _)| *returned).collect();
        prop_assert_eq!(words(at("RETURNED"), calls.len()), returned, "{}", core);
        let (headers, block) = expected.last().expect("there is a call").1.split_at(SLOTS * (1 + DEPTH));
        prop_assert_eq!(&words(at("HIGHWATER"), block.len()), block, "{}", core);
        for (header, slot) in headers.chunks_exact(1 + DEPTH).zip(0u32..) {
            let slot = at("SCRIPT_SLOTS") + 4 * SLOT_WORDS as u32 * slot;
            prop_assert_eq!(&words(slot, header.len()), header, "{}", core);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
#[ignore = "needs gcc and arm-none-eabi-gcc"]
fn c_on_every_core_of_the_board_writes_the_bytes_of_rust() {
    for (core, kind) in [
        ("cortex-m0plus", CoreKind::M0Plus),
        ("cortex-m3", CoreKind::M3),
        ("cortex-m4", CoreKind::M4),
        ("cortex-m7", CoreKind::M7),
        ("cortex-m33", CoreKind::M33),
    ] {
        check_on_board::<1>(core, kind);
        check_on_board::<3>(core, kind);
    }
}
