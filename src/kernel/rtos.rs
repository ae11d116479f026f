//! What all kernels have in common: threads that are found by walking lists of a kernel that runs meanwhile.
//!
//! ```text
//!   walk ── whole, and nobody is missing ──────────────> threads -> stacks with paint, load, hints
//!     |  broken, or one is missing
//!     '──> walk again, with fresh bytes: gone is only who is missing in both
//! ```
//!
//! About one walk in a few thousand meets a list with a thread taken out of it for a moment. A list that stays broken is
//! said to be: the threads that can be reached are shown, with those that were known before.

pub(super) mod load;
pub(super) mod objects;
pub(super) mod target;

use std::collections::BTreeMap;

use super::{Kernel, Look, Sign, StackLook};
use crate::heap::HeapLook;
use crate::image::Image;
use crate::image::layout::{self, Memory as Chip, Placed};
use crate::memory::Memory;
use crate::model::snapshot::{Measured, MemoryKind, PartKind, StackKind, Trust};
use crate::region::Region;
use crate::stack::{Paint, Settling};
use load::{Counter, Load};
use target::{Extent, Target};

/// The most threads that are followed: an RTOS with more than this would have no memory left for them.
pub(super) const MAX_THREADS: usize = 512;
/// Looks from one at the objects to the next: they come and go seldom.
const SLOW: u32 = 32;
/// The most objects of one kind that are told.
pub(super) const MAX_OBJECTS: usize = 64;
/// The vector table offset register (Arm DDI 0403E, B3.2.5), and the bits of it that are an address.
const VTOR: u32 = 0xE000_ED08;
const VTOR_ADDRESS: u32 = 0xFFFF_FF80;

/// Why no thread of a kernel is shown that is in the ELF: what its debug information does not tell, and the way out.
pub(super) fn untold(image: &Image, kernel: &str, what: &str, way: &str) -> String {
    let way = image.missing_debug_information().unwrap_or_else(|| way.to_owned());
    format!(
        "{kernel} is in this ELF, but its debug information does not tell `{what}`: {way}. Only the main stack is shown."
    )
}

/// How one kernel lays its threads out.
pub(super) trait Layout: Send {
    /// The kernel's name as people write it.
    fn name(&self) -> &'static str;

    /// The kernel's own statics that each walk reads.
    fn statics(&self) -> Vec<Region>;

    /// How long a thread's control block is.
    fn extent(&self) -> Extent;

    /// All threads in every state; `None` when the kernel has not set its lists up yet. Threads move from list to list
    /// while they are read: `known` are the control blocks found before, which may say of themselves that they are
    /// still in use.
    fn walk(&self, target: &mut Target<'_, '_>, known: &[u32]) -> Option<Walk>;

    /// What is not known of these threads, and the options that would tell. `unpainted` are the names of those whose
    /// stacks nobody filled.
    fn hints(&self, walk: &Walk, unpainted: &[&str]) -> Vec<String>;

    /// The stack that interrupts use, and the words it may have been filled with.
    fn interrupt_stack(&self) -> Option<(Region, &'static [u32])>;

    /// Heaps whose place the kernel fixes.
    fn heaps(&self) -> Vec<HeapLook>;

    /// What the kernel itself keeps beside its threads: queues, pools, mutexes and their like, each by its name.
    fn objects(&self, target: &mut Target<'_, '_>) -> Vec<Placed>;
}

/// What one walk found.
#[derive(Clone, Debug, Default)]
pub(super) struct Walk {
    /// The threads whose stacks are known.
    pub(super) threads: Vec<Thread>,
    /// Names of threads whose stack has no known size.
    pub(super) unsized_names: Vec<String>,
    /// Why the lists could not be followed to their ends, in words; `None` when they could.
    pub(super) broken: Option<String>,
}

/// One thread as its control block tells it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Thread {
    /// The address of its control block.
    pub(super) tcb: u32,
    /// A number that tells it from another thread in the same place: one the kernel counts, or its entry.
    pub(super) tag: u32,
    /// Printable.
    pub(super) name: String,
    pub(super) kind: StackKind,
    pub(super) stack: Region,
    /// Where its SP was at its last switch out.
    pub(super) sp: Option<u32>,
    pub(super) lowest_sp: Option<u32>,
    pub(super) running: bool,
    pub(super) priority: Option<i32>,
    pub(super) state: String,
    pub(super) entry: Option<u32>,
    pub(super) fill: Fill,
    /// The word that the kernel keeps at the stack's limit.
    pub(super) canary: Option<u32>,
    /// Bytes at the limit that must stay as the kernel left them.
    pub(super) guard: u32,
    /// What its control block says as long as the stack is its own.
    pub(super) signs: Vec<Sign>,
    pub(super) ran: Option<Counter>,
}

/// How a thread's stack was filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// The kernel says that it fills its stacks with this word.
    Told(u32),
    /// With this word if the kernel was built to: all stacks or none, so that one proves it for all.
    AllOrNone(u32),
    /// Perhaps with this word, each by itself.
    Own(u32),
}

impl Thread {
    fn id(&self) -> String {
        format!("{:08x}.{:08x}.{:x}", self.stack.start(), self.tcb, self.tag)
    }

    /// The stack without the kernel's word at its limit.
    fn paintable(&self) -> Region {
        let skipped = if self.canary.is_some() { 4 } else { 0 };
        self.stack.top(self.stack.size().saturating_sub(skipped))
    }
}

/// A kernel whose threads are walked.
pub(super) struct Rtos<L> {
    layout: L,
    ram: Vec<Region>,
    known: Vec<Thread>,
    paints: BTreeMap<String, Settling>,
    interrupt_paint: Settling,
    /// Fill words that one stack proved for all.
    proven: Vec<u32>,
    load: Load,
    flash: Vec<Chip>,
    vectors: Option<Option<Region>>,
    objects: Vec<Placed>,
    strays: Vec<Region>,
    looks: u32,
}

impl<L: Layout + 'static> Rtos<L> {
    pub(super) fn boxed(layout: L, memories: &[Chip]) -> Box<dyn Kernel> {
        Box::new(Self {
            layout,
            ram: layout::ram(memories),
            known: Vec::new(),
            paints: BTreeMap::new(),
            interrupt_paint: Settling::default(),
            proven: Vec::new(),
            load: Load::default(),
            flash: memories.iter().filter(|memory| memory.kind == MemoryKind::Flash).cloned().collect(),
            vectors: None,
            objects: Vec::new(),
            strays: Vec::new(),
            looks: 0,
        })
    }

    fn walk(&self, memory: &mut Memory<'_>, image: &Image) -> Option<Walk> {
        let known: Vec<u32> = self.known.iter().map(|thread| thread.tcb).collect();
        self.layout.walk(&mut Target::new(memory, image, &self.ram), &known)
    }

    /// The threads that are there now.
    fn threads(&mut self, memory: &mut Memory<'_>, image: &Image) -> Option<Walk> {
        let mut walk = self.walk(memory, image)?;
        let missing = |walk: &Walk, thread: &Thread| !walk.threads.iter().any(|found| found.id() == thread.id());
        if walk.broken.is_some() || self.known.iter().any(|known| missing(&walk, known)) {
            memory.forget();
            memory.prefetch(&self.wants());
            let first = std::mem::replace(&mut walk, self.walk(memory, image)?);
            let mut kept: Vec<Thread> = first.threads;
            if walk.broken.is_some() {
                kept.extend(self.known.iter().cloned());
            }
            for thread in kept {
                if missing(&walk, &thread) && walk.threads.len() < MAX_THREADS {
                    walk.threads.push(thread);
                }
            }
        }
        walk.threads.sort_by_key(|thread| (thread.stack, thread.tcb));
        self.known.clone_from(&walk.threads);
        Some(walk)
    }

    fn paint_of(&mut self, memory: &mut Memory<'_>, thread: &Thread) -> Paint {
        let word = match thread.fill {
            Fill::Told(word) => return Paint::Word(word),
            Fill::AllOrNone(word) if self.proven.contains(&word) => return Paint::Word(word),
            Fill::AllOrNone(word) | Fill::Own(word) => word,
        };
        let paint = self.paints.entry(thread.id()).or_default().refresh(memory, thread.paintable(), &[word]);
        if paint != Paint::None && matches!(thread.fill, Fill::AllOrNone(_)) {
            self.proven.push(word);
        }
        paint
    }

    fn stack_of(&mut self, memory: &mut Memory<'_>, thread: &Thread) -> StackLook {
        let inside =
            |sp: &u32| thread.stack.contains(*sp) || u64::from(*sp) == thread.stack.end() && !thread.stack.is_empty();
        // The running thread's SP is in the core, where it cannot be read without a halt.
        let trust = if thread.running { Trust::Stale } else { Trust::Exact };
        let id = thread.id();
        StackLook {
            name: thread.name.clone(),
            kind: thread.kind,
            range: thread.stack,
            control_block: Some(self.control_block(thread)),
            signs: thread.signs.clone(),
            paint: self.paint_of(memory, thread),
            guard: thread.guard,
            canary: thread.canary,
            entry: thread.entry,
            current: thread.sp.filter(inside).map(|sp| Measured { bytes: thread.stack.from(sp).size(), trust }),
            lowest_sp: thread.lowest_sp.filter(inside),
            priority: thread.priority,
            state: Some(thread.state.clone()),
            cpu: self.load.share(&id),
            id,
        }
    }

    fn interrupt_stack(&mut self, memory: &mut Memory<'_>) -> Option<StackLook> {
        let (range, words) = self.layout.interrupt_stack()?;
        if self.known.iter().any(|thread| thread.stack.overlaps(range)) {
            return None;
        }
        Some(StackLook {
            name: "ISR".into(),
            kind: StackKind::Isr,
            paint: self.interrupt_paint.refresh(memory, range, words),
            ..StackLook::unknown(format!("{:08x}", range.start()), range)
        })
    }

    /// The vector table in RAM and the bootloader: what the linker does not place.
    fn named(&mut self, memory: &mut Memory<'_>, image: &Image) -> Vec<Placed> {
        let linked = layout::vectors(image);
        let vectors = *self.vectors.get_or_insert_with(|| {
            let table = memory.word(VTOR)? & VTOR_ADDRESS;
            let range = Region::new(table, linked?.size());
            self.ram.iter().any(|ram| ram.covers(range)).then_some(range)
        });
        let mut named = Vec::new();
        named.extend(vectors.map(|range| Placed { name: "vector table (RW)".into(), kind: PartKind::Vectors, range }));
        // The core starts at the first vector table of flash: what lies before the application's starts it.
        let below = linked.and_then(|linked| {
            let flash = self.flash.iter().find(|flash| flash.size_known && flash.range.covers(linked))?;
            Some(flash.range.below(linked.start())).filter(|below| !below.is_empty())
        });
        let empty = |below: &Region| !image.sections.iter().any(|section| section.run.overlaps(*below));
        named.extend(below.filter(empty).map(|range| Placed {
            name: "bootloader".into(),
            kind: PartKind::Bootloader,
            range,
        }));
        named
    }

    /// Control blocks that lie in a heap. Those that the linker placed have symbols.
    fn control_blocks(&self, heaps: &[HeapLook]) -> Vec<Placed> {
        self.known
            .iter()
            .map(|thread| (thread, self.control_block(thread)))
            .filter(|(_, block)| heaps.iter().any(|heap| heap.heap.range.covers(*block)))
            .filter(|(_, block)| !self.known.iter().any(|other| other.stack.overlaps(*block)))
            .map(|(thread, range)| Placed { name: format!("{} TCB", thread.name), kind: PartKind::Other, range })
            .collect()
    }

    fn control_block(&self, thread: &Thread) -> Region {
        Region::new(thread.tcb, self.layout.extent().whole)
    }
}

impl<L: Layout + 'static> Kernel for Rtos<L> {
    fn name(&self) -> String {
        self.layout.name().into()
    }

    fn wants(&self) -> Vec<Region> {
        let mut wants = self.layout.statics();
        wants.extend(self.known.iter().map(|thread| Region::new(thread.tcb, self.layout.extent().read)));
        wants
    }

    fn look(&mut self, memory: &mut Memory<'_>, image: &Image) -> Option<Look> {
        let walk = self.threads(memory, image)?;
        let known: Vec<String> = walk.threads.iter().map(Thread::id).collect();
        self.paints.retain(|id, _| known.contains(id));
        self.load.update(memory.now(), walk.threads.iter().filter_map(|thread| Some((thread.id(), thread.ran?))));
        let mut stacks: Vec<StackLook> = walk.threads.iter().map(|thread| self.stack_of(memory, thread)).collect();
        let unpainted: Vec<&str> =
            stacks.iter().filter(|stack| stack.paint == Paint::None).map(|stack| stack.name.as_str()).collect();
        let mut hints = self.layout.hints(&walk, &unpainted);
        if let Some(why) = &walk.broken {
            hints.push(format!(
                "The thread lists of {} cannot be followed to their ends ({why}): they are damaged, or change faster than \
                 they can be read. Shown are the threads that can be reached and those known before.",
                self.layout.name()
            ));
        }
        stacks.extend(self.interrupt_stack(memory));
        let heaps = self.layout.heaps();
        let mut named = self.named(memory, image);
        named.extend(self.control_blocks(&heaps));
        if self.looks.is_multiple_of(SLOW) {
            let before = memory.strays().len();
            self.objects = self.layout.objects(&mut Target::new(memory, image, &self.ram));
            self.strays = memory.strays()[before..].to_vec();
        }
        // Where the objects led outside is as true until they are looked at again.
        self.strays.iter().for_each(|stray| memory.remember_stray(*stray));
        self.looks = self.looks.wrapping_add(1);
        named.extend(self.objects.iter().cloned());
        Some(Look { stacks, heaps, named, hints, ..Look::default() })
    }
}

/// Names as one list: `a, b and 3 more`.
pub(super) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 6;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
