//! Zephyr 3 and 4: a list of all threads in `_kernel`, where CONFIG_THREAD_MONITOR keeps one.
//!
//! ```text
//!   _kernel.threads -> k_thread { next_thread, base, callee_saved.psp, entry.pEntry, name[], stack_info } -> ... -> 0
//!          .cpus[n].current
//! ```
//!
//! Names are those of `kernel_structs.h` and `kernel/thread.h`. Without the list, threads are those that the linker
//! placed (`K_THREAD_DEFINE` and statics of type `struct k_thread`) and the current ones. Stacks are filled with 0xAA where
//! CONFIG_INIT_STACKS is set, and CONFIG_STACK_SENTINEL keeps a word at the limit.

use super::Sign;
use super::rtos::load::Counter;
use super::rtos::objects::{Kind, Objects, Storage};
use super::rtos::target::{Extent, Field, Fields, Record, Target};
use super::rtos::{Fill, Layout, MAX_THREADS, Thread, Walk, listed, untold};
use crate::heap::HeapLook;
use crate::image::Image;
use crate::image::layout::{self, Memory as Chip, Placed};
use crate::image::types::Type;
use crate::model::snapshot::StackKind;
use crate::region::Region;

/// The most bytes that a guard of the MPU takes, with what aligns it.
const MOST_GUARD: u32 = 512;
/// The fill byte of CONFIG_INIT_STACKS, four times.
const FILL: u32 = 0xAAAA_AAAA;
/// `STACK_SENTINEL` of `kernel.h`.
const SENTINEL: u32 = 0xF0F0_F0F0;
/// The most cores that are believed.
const MAX_CORES: u32 = 8;

/// The objects of Zephyr: those that the linker placed, and where CONFIG_TRACING_OBJECT_TRACKING keeps lists
/// (`tracing_tracking.h`), all of them. They have no names but their symbols'.
const OBJECTS: [Kind; 12] = [
    object("k_msgq", "queue", "_track_list_k_msgq", Some(Storage::Ends("buffer_start", "buffer_end"))),
    // Since 3.5 the numbers are in a structure of their own.
    object(
        "k_mem_slab",
        "slab",
        "_track_list_k_mem_slab",
        Some(Storage::Items("buffer", "info.num_blocks", "info.block_size")),
    ),
    object("k_mem_slab", "slab", "_track_list_k_mem_slab", Some(Storage::Items("buffer", "num_blocks", "block_size"))),
    object("k_stack", "stack object", "_track_list_k_stack", Some(Storage::Ends("base", "top"))),
    // Since 4.1 a pipe is a ring buffer.
    object("k_pipe", "pipe", "_track_list_k_pipe", Some(Storage::Size("buf.buffer", "buf.size"))),
    object("k_pipe", "pipe", "_track_list_k_pipe", Some(Storage::Size("buffer", "size"))),
    object("k_sem", "semaphore", "_track_list_k_sem", None),
    object("k_mutex", "mutex", "_track_list_k_mutex", None),
    object("k_timer", "timer", "_track_list_k_timer", None),
    object("k_mbox", "mailbox", "_track_list_k_mbox", None),
    object("k_queue", "fifo", "_track_list_k_queue", None),
    object("k_event", "event", "_track_list_k_event", None),
];

const fn object(
    block: &'static str,
    word: &'static str,
    list: &'static str,
    storage: Option<Storage<&'static str>>,
) -> Kind {
    Kind { block, word, sign: None, name: None, list: Some((list, "_obj_track_next")), storage }
}

/// The layout of one build.
pub(super) struct Zephyr {
    kernel: u32,
    cpus: Vec<Field>,
    threads: Option<Field>,
    kernel_span: u32,
    fields: Fieldset,
    /// Threads that the linker placed.
    placed: Vec<(u32, Option<String>)>,
    idle: Option<Region>,
    main: Option<u32>,
    interrupts: Option<Region>,
    has_sentinel: Option<bool>,
    objects: Objects,
}

/// The fields of `struct k_thread`.
struct Fieldset {
    next: Option<Field>,
    state: Field,
    priority: Field,
    timeout: Option<Field>,
    sp: Option<Field>,
    entry: Option<Field>,
    name: Option<(Field, bool)>,
    start: Option<Field>,
    size: Option<Field>,
    usage: Option<Field>,
    extent: Extent,
}

/// The stack of the interrupts: of several cores, those of all. An array of one stack has the guard of the MPU below what can
/// be used (`K_KERNEL_STACK_ARRAY_DEFINE` in Zephyr's include/zephyr/kernel/thread_stack.h); the size that was asked for is a
/// symbol of the configuration.
pub(super) fn interrupt_stack(image: &Image) -> Option<Region> {
    let symbol = |name: &str| image.symbols.get(name).map(|symbol| symbol.range);
    let whole = symbol("z_interrupt_stacks").or_else(|| symbol("_interrupt_stack"))?;
    let asked = image.symbols.address("CONFIG_ISR_STACK_SIZE").filter(|size| *size > 0 && *size <= whole.size());
    let guard = asked.map_or(0, |size| whole.size() - size);
    Some(if guard <= MOST_GUARD { whole.from(whole.start() + guard) } else { whole })
}

impl Zephyr {
    /// The structure that it keeps everything in, by its symbol; `None` when it is not linked.
    pub(super) fn kernel(image: &Image) -> Option<u32> {
        let signs = ["z_main_thread", "z_idle_threads", "z_interrupt_stacks", "z_cstart"];
        signs.iter().find(|sign| image.symbols.get(sign).is_some())?;
        image.symbols.address("_kernel")
    }

    /// The kernel in this image; `None` when it is another, and the reason when it cannot be followed.
    pub(super) fn find(image: &Image, memories: &[Chip]) -> Option<Result<Self, String>> {
        let kernel = Self::kernel(image)?;
        let way = "use build/zephyr/zephyr.elf, built with debug information (CONFIG_DEBUG_INFO=y, on by default)";
        let missing = |what: String| untold(image, "Zephyr", &what, way);
        Some(Self::read(image, memories, kernel).map_err(missing))
    }

    fn read(image: &Image, memories: &[Chip], kernel: u32) -> Result<Self, String> {
        let types = image.types();
        let named = |name: &str| types.find(name).ok_or_else(|| name.to_owned());
        let symbol = |name: &str| image.symbols.get(name).map(|symbol| symbol.range);
        let mut fields = Fields::of(named("z_kernel")?);
        let threads = fields.find("threads");
        let array = named("z_kernel")?.field("cpus").and_then(|cpus| cpus.kind.array()).ok_or("_kernel.cpus")?;
        let first = fields.must("cpus")?;
        let current = array.element.field("current").ok_or("_cpu.current")?;
        let cpus = (0..array.count.unwrap_or(1).min(MAX_CORES))
            .filter_map(|core| Field::word(first.offset.checked_add(core * array.stride)?.checked_add(current.offset)?))
            .collect();
        let kernel_span = fields.span;

        let thread = named("k_thread")?;
        let mut fields = Fields::of(thread);
        let is_pointer = thread.field("name").is_some_and(|name| name.kind.is_pointer());
        let fields = Fieldset {
            next: fields.find("next_thread"),
            state: fields.must("base.thread_state")?,
            priority: fields.must("base.prio")?,
            timeout: fields.find("base.timeout.node.next"),
            sp: fields.find("callee_saved.psp"),
            entry: fields.find("entry.pEntry"),
            name: fields.find("name").map(|name| (name, is_pointer)),
            start: fields.find("stack_info.start"),
            size: fields.find("stack_info.size"),
            usage: fields.find("base.usage.total"),
            extent: fields.extent(),
        };
        let ram = layout::ram(memories);
        let is_thread = |kind: Type<'_>| kind.structure().is_some_and(|held| held.name == "k_thread");
        let idle = symbol("z_idle_threads");
        let mut placed: Vec<(u32, Option<String>)> = types
            .variables()
            .filter(|held| is_thread(held.kind))
            .filter_map(|held| Some((held.address?, Some(held.name.trim_start_matches("_k_thread_obj_").to_owned()))))
            .filter(|(address, _)| ram.iter().any(|ram| ram.contains(*address)))
            .collect();
        if let (Some(idle), Some(size)) = (idle, thread.size()) {
            placed.extend(
                (0..(idle.size() / size.max(1)).min(MAX_CORES))
                    .map(|core| (idle.slice(core * size, size).start(), None)),
            );
        }
        placed.sort();
        placed.dedup_by_key(|(address, _)| *address);
        Ok(Self {
            kernel,
            cpus,
            threads,
            kernel_span,
            fields,
            placed,
            idle,
            main: symbol("z_main_thread").map(Region::start),
            interrupts: interrupt_stack(image),
            has_sentinel: image.symbols.address("CONFIG_STACK_SENTINEL").map(|set| set == 1),
            objects: Objects::find(image, &OBJECTS),
        })
    }

    fn name(&self, target: &mut Target<'_, '_>, tcb: u32, record: &Record, kind: StackKind) -> String {
        let told =
            self.fields.name.and_then(
                |(field, is_pointer)| {
                    if is_pointer { target.text(record.get(field)) } else { record.text(field) }
                },
            );
        let linked = || self.placed.iter().find(|(address, _)| *address == tcb)?.1.clone();
        told.unwrap_or_else(|| match kind {
            StackKind::Main => "main".into(),
            StackKind::Idle => "idle".into(),
            _ => linked().unwrap_or_else(|| format!("thread {tcb:08x}")),
        })
    }

    /// What the thread does. Bit 2 of the state is "prestart" before Zephyr 3.7 and "sleeping" from there on; only who
    /// sleeps has a timeout in a list.
    fn state(&self, record: &Record) -> &'static str {
        let state = record.get(self.fields.state);
        let has_timeout = self.fields.timeout.is_some_and(|next| record.get(next) != 0);
        let is = |bit: u32| state >> bit & 1 == 1;
        if is(3) {
            "ended"
        } else if is(5) {
            "ends"
        } else if is(1) {
            "waits"
        } else if is(2) || is(4) {
            match (has_timeout, is(4)) {
                (true, _) => "sleeping",
                (false, true) => "suspended",
                (false, false) => "not started",
            }
        } else {
            "ready"
        }
    }

    /// A thread that ends is dead, and one that begins in its place starts from there.
    fn signs(&self, tcb: u32, record: &Record) -> Vec<Sign> {
        /// `_THREAD_DEAD`.
        const DEAD: u32 = 1 << 3;
        let fields = &self.fields;
        let stays = |field: Field| field.stays(tcb, record, u32::MAX);
        let mut signs = vec![fields.state.stays(tcb, record, DEAD)];
        signs.extend([fields.start, fields.size, fields.entry].into_iter().flatten().map(stays));
        signs
    }

    fn thread(&self, target: &mut Target<'_, '_>, tcb: u32, record: &Record, current: &[u32], walk: &mut Walk) {
        /// `_THREAD_DUMMY`: what the processor runs on before the first thread.
        const DUMMY: u32 = 1;
        if record.get(self.fields.state) & DUMMY != 0 {
            return;
        }
        let kind = if self.idle.is_some_and(|idle| idle.contains(tcb)) {
            StackKind::Idle
        } else if self.main == Some(tcb) {
            StackKind::Main
        } else {
            StackKind::User
        };
        let name = self.name(target, tcb, record, kind);
        let bounds = self.fields.start.zip(self.fields.size);
        let stack = bounds.map(|(start, size)| Region::new(record.get(start), record.get(size)));
        let Some(stack) = stack.filter(|stack| target.holds(*stack)) else {
            walk.unsized_names.push(name);
            return;
        };
        let entry = self.fields.entry.map(|entry| record.get(entry)).filter(|entry| *entry != 0);
        let running = current.contains(&tcb);
        let canary = match self.has_sentinel {
            Some(has) => has.then_some(SENTINEL),
            None => target.word(stack.start()).filter(|word| *word == SENTINEL),
        };
        walk.threads.push(Thread {
            tcb,
            tag: entry.unwrap_or(0),
            name,
            kind,
            stack,
            sp: self.fields.sp.map(|sp| record.get(sp)),
            lowest_sp: None,
            running,
            priority: Some(record.signed(self.fields.priority)),
            state: if running { "running" } else { self.state(record) }.into(),
            entry,
            fill: Fill::AllOrNone(FILL),
            canary,
            guard: if canary.is_some() { 4 } else { 0 },
            signs: self.signs(tcb, record),
            ran: self.fields.usage.map(|usage| Counter { value: record.wide(usage), wraps_at_32: false }),
        });
    }
}

impl Layout for Zephyr {
    fn name(&self) -> &'static str {
        "Zephyr"
    }

    fn statics(&self) -> Vec<Region> {
        vec![Region::new(self.kernel, self.kernel_span)]
    }

    fn extent(&self) -> Extent {
        self.fields.extent
    }

    fn walk(&self, target: &mut Target<'_, '_>, _known: &[u32]) -> Option<Walk> {
        let kernel = target.record(self.kernel, self.kernel_span)?;
        let current: Vec<u32> = self.cpus.iter().map(|cpu| kernel.get(*cpu)).filter(|thread| *thread != 0).collect();
        if current.is_empty() {
            return None;
        }
        let mut walk = Walk::default();
        let mut met = Vec::new();
        match self.threads.zip(self.fields.next) {
            Some((first, link)) => {
                let mut next = kernel.get(first);
                while next != 0 {
                    let record = target.record(next, self.fields.extent.read);
                    let Some(record) = record.filter(|_| met.len() < MAX_THREADS) else {
                        walk.broken = Some(format!("the list leads to {next:#010x}, where no thread is"));
                        break;
                    };
                    if !target.visit(next) {
                        walk.broken = Some("the list goes in a circle".into());
                        break;
                    }
                    let following = record.get(link);
                    met.push((next, record));
                    next = following;
                }
            }
            None => {
                for thread in self.placed.iter().map(|(address, _)| *address).chain(current.iter().copied()) {
                    if target.visit(thread)
                        && let Some(record) = target.record(thread, self.fields.extent.read)
                        && (current.contains(&thread) || self.was_begun(&record))
                    {
                        met.push((thread, record));
                    }
                }
            }
        }
        for (tcb, record) in met {
            self.thread(target, tcb, &record, &current, &mut walk);
        }
        // One option puts the word into all stacks: where it is gone from one, that one overflowed.
        if walk.threads.iter().any(|thread| thread.canary.is_some()) {
            for thread in &mut walk.threads {
                (thread.canary, thread.guard) = (Some(SENTINEL), 4);
            }
        }
        Some(walk)
    }

    fn hints(&self, walk: &Walk, unpainted: &[&str]) -> Vec<String> {
        let mut hints = Vec::new();
        if self.threads.is_none() || self.fields.next.is_none() {
            hints.push(
                "Zephyr keeps no list of its threads: shown are those that the linker placed and the running one. Set \
                 CONFIG_THREAD_MONITOR=y for all of them."
                    .into(),
            );
        }
        if self.fields.start.is_none() || self.fields.size.is_none() {
            hints.push(
                "Zephyr does not keep where the stacks of its threads are, so none is shown: set CONFIG_THREAD_STACK_INFO=y."
                    .into(),
            );
        } else if !walk.unsized_names.is_empty() {
            let names: Vec<&str> = walk.unsized_names.iter().map(String::as_str).collect();
            hints.push(format!("The stacks of {} lie in no RAM that is known.", listed(&names)));
        }
        if self.fields.name.is_none() {
            hints.push("Zephyr keeps no names of threads: set CONFIG_THREAD_NAME=y.".into());
        }
        if !unpainted.is_empty() {
            hints.push(format!(
                "The stacks of {} are not filled, so they have no high-water mark: set CONFIG_INIT_STACKS=y.",
                listed(unpainted)
            ));
        }
        hints
    }

    fn interrupt_stack(&self) -> Option<(Region, &'static [u32])> {
        Some((self.interrupts?, &[FILL]))
    }

    fn heaps(&self) -> Vec<HeapLook> {
        Vec::new()
    }

    fn objects(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        self.objects.read(target)
    }
}

impl Zephyr {
    /// Whether a thread that the linker placed was set up: it has a stack, and has not ended.
    fn was_begun(&self, record: &Record) -> bool {
        let size = self.fields.size.map_or(0, |size| record.get(size));
        let ended = record.get(self.fields.state) >> 3 & 1 == 1;
        size != 0 && !ended
    }
}
