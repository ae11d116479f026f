//! Keil RTX5, the kernel of Mbed OS 5, 6 and CE and of CMSIS-RTX: all lists begin in `osRtxInfo`.
//!
//! ```text
//!   osRtxInfo.thread.run.curr
//!                   .ready.thread_list -> thread_next -> ...
//!                   .delay_list, .wait_list -> delay_next -> ...      .terminate_list -> thread_next -> ...
//! ```
//!
//! Names and constants are those of `rtx_os.h` (RTX 5.5 to 5.9). The first word of each stack is a magic one, checked by
//! the kernel; the words above are filled only when the watermark is on. Mbed's `rtos::Thread` fills the stacks that it
//! allocates with the magic word itself.

use std::collections::BTreeMap;

use super::Sign;
use super::rtos::objects::{Kind, Objects, Storage};
use super::rtos::target::{Extent, Field, Fields, Record, Target};
use super::rtos::{Fill, Layout, MAX_OBJECTS, MAX_THREADS, Thread, Walk, listed, untold};
use crate::heap::HeapLook;
use crate::image::Image;
use crate::image::layout::{self, Memory as Chip, Placed};
use crate::model::snapshot::StackKind;
use crate::region::Region;

/// `osRtxStackMagicWord`.
const MAGIC: u32 = 0xE25A_2EA5;
/// `osRtxStackFillPattern`.
const FILL: u32 = 0xCCCC_CCCC;
/// `osRtxConfigStackWatermark` of `osRtxConfig.flags`.
const WATERMARK: u32 = 1 << 2;
/// `osRtxIdThread`.
const ID_THREAD: u32 = 0xF1;
/// `osRtxThreadStateMask`.
const STATE_MASK: u32 = 0x0F;
/// The most blocks of the kernel's memory that are looked at.
const MAX_BLOCKS: usize = 256;
/// `MB_INFO_TYPE_MASK` of rtx_memory.c, and the type of what the kernel keeps for itself.
const TYPE_MASK: u32 = 3;
const CONTROL_BLOCK: u32 = 1;

/// The objects of RTX5; the IDs are those of `rtx_os.h`. It keeps no lists of them, but each says what it is.
const OBJECTS: [Kind; 6] = [
    object("osRtxMessageQueue_t", "queue", 0xFA, POOL),
    object("osRtxMemoryPool_t", "pool", 0xF7, POOL),
    object("osRtxTimer_t", "timer", 0xF2, None),
    object("osRtxEventFlags_t", "event flags", 0xF3, None),
    object("osRtxMutex_t", "mutex", 0xF5, None),
    object("osRtxSemaphore_t", "semaphore", 0xF6, None),
];
const POOL: Option<Storage<&'static str>> = Some(Storage::Ends("mp_info.block_base", "mp_info.block_lim"));

const fn object(block: &'static str, word: &'static str, id: u32, storage: Option<Storage<&'static str>>) -> Kind {
    Kind { block, word, sign: Some(("id", id)), name: Some("name"), list: None, storage }
}

/// Where control blocks are that the kernel allocates.
struct Pools {
    objects: Objects,
    /// Pointers of `osRtxInfo.mem` to memory of blocks of any size.
    memories: Vec<u32>,
    /// Pointers of `osRtxInfo.mpi` to pools of blocks of one size.
    fixed: Vec<u32>,
    /// The fields of `osRtxMpInfo_t`.
    blocks: Option<[Field; 3]>,
    blocks_read: u32,
}

impl Pools {
    fn find(image: &Image, info: u32) -> Self {
        let kind = image.types().find("osRtxInfo_t");
        let pointer = |path: &str| info.checked_add(kind?.field(path)?.offset);
        let mut fields = image.types().find("osRtxMpInfo_t").map(Fields::of);
        let blocks = fields.as_mut().and_then(|fields| {
            Some([fields.find("block_base")?, fields.find("block_lim")?, fields.find("block_size")?])
        });
        Self {
            objects: Objects::find(image, &OBJECTS),
            memories: ["mem.common", "mem.mp_data", "mem.mq_data"].into_iter().filter_map(pointer).collect(),
            fixed: ["timer", "event_flags", "mutex", "semaphore", "memory_pool", "message_queue"]
                .into_iter()
                .filter_map(|kind| pointer(&format!("mpi.{kind}")))
                .collect(),
            blocks,
            blocks_read: fields.map_or(0, |fields| fields.span),
        }
    }

    /// Where control blocks are or may be.
    fn candidates(&self, target: &mut Target<'_, '_>) -> Vec<u32> {
        let mut found = Vec::new();
        // `mem_head_t` and `mem_block_t` of rtx_memory.c have two words each, and lead to the next block.
        for pointer in &self.memories {
            let pool = target.word(*pointer).unwrap_or(0);
            let mut block = pool.saturating_add(8);
            let mut met = 0;
            while pool != 0
                && met < MAX_BLOCKS
                && let (Some(next), Some(info)) = (target.word(block), target.word(block.saturating_add(4)))
                && next > block
            {
                if info & TYPE_MASK == CONTROL_BLOCK {
                    found.push(block.saturating_add(8));
                }
                met += 1;
                block = next;
            }
        }
        for pointer in &self.fixed {
            let pool = target.word(*pointer).filter(|pool| *pool != 0);
            let record = pool.and_then(|pool| target.record(pool, self.blocks_read));
            let Some((record, fields)) = record.zip(self.blocks) else { continue };
            let [base, limit, size] = fields.map(|field| record.get(field));
            let range = Region::between(base, limit);
            if size >= 4 && target.in_ram(range) {
                let count = (range.size() / size).min(MAX_OBJECTS as u32);
                found.extend((0..count).map(|index| range.slice(index * size, size).start()));
            }
        }
        found
    }

    fn read(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        let mut placed = self.objects.read(target);
        for address in self.candidates(target) {
            if target.visit(address) {
                placed.extend(self.objects.at(target, address, None));
            }
        }
        placed
    }
}

/// The layout of one build.
pub(super) struct Rtx5 {
    info: u32,
    roots: Roots,
    thread: Fieldset,
    fill: Fill,
    main_stack: Option<Region>,
    interrupts: Option<Region>,
    heap: Option<Region>,
    /// What the kernel itself allocates control blocks and stacks from (`OS_DYNAMIC_MEM_SIZE`).
    memory: Option<Region>,
    pools: Pools,
}

/// Where the lists begin, in `osRtxInfo_t`.
struct Roots {
    current: Field,
    ready: Field,
    delayed: Field,
    waiting: Field,
    terminated: Option<Field>,
    idle: Option<Field>,
    timer: Option<Field>,
    span: u32,
}

/// The fields of `osRtxThread_t`.
struct Fieldset {
    id: Field,
    state: Field,
    name: Field,
    next: Field,
    delay_next: Field,
    priority: Field,
    stack: Field,
    size: Field,
    sp: Field,
    entry: Field,
    extent: Extent,
}

impl Rtx5 {
    /// The structure that it keeps everything in, by its symbol; `None` when it is not linked.
    pub(super) fn info(image: &Image) -> Option<u32> {
        image.symbols.address("osRtxInfo")
    }

    /// The kernel in this image; `None` when it is another, and the reason when it cannot be followed.
    pub(super) fn find(image: &Image, memories: &[Chip]) -> Option<Result<Self, String>> {
        let info = Self::info(image)?;
        let way = "compile the kernel with -g, not -g1 (Mbed: a build profile with -g), and link without stripping";
        let missing = |what: String| untold(image, "RTX5", &what, way);
        Some(Self::read(image, memories, info).map_err(missing))
    }

    fn read(image: &Image, memories: &[Chip], info: u32) -> Result<Self, String> {
        let types = image.types();
        let named = |name: &str| types.find(name).ok_or_else(|| name.to_owned());
        let mut fields = Fields::of(named("osRtxInfo_t")?);
        let roots = Roots {
            current: fields.must("thread.run.curr")?,
            ready: fields.must("thread.ready.thread_list")?,
            delayed: fields.must("thread.delay_list")?,
            waiting: fields.must("thread.wait_list")?,
            terminated: fields.find("thread.terminate_list"),
            idle: fields.find("thread.idle"),
            timer: fields.find("timer.thread"),
            span: fields.span,
        };
        let mut fields = Fields::of(named("osRtxThread_t").or_else(|_| named("osRtxThread_s"))?);
        let thread = Fieldset {
            id: fields.must("id")?,
            state: fields.must("state")?,
            name: fields.must("name")?,
            next: fields.must("thread_next")?,
            delay_next: fields.must("delay_next")?,
            priority: fields.must("priority")?,
            stack: fields.must("stack_mem")?,
            size: fields.must("stack_size")?,
            sp: fields.must("sp")?,
            entry: fields.must("thread_addr")?,
            extent: fields.extent(),
        };
        Ok(Self {
            info,
            roots,
            thread,
            fill: match flags(image) {
                Some(flags) if flags & WATERMARK != 0 => Fill::Told(FILL),
                Some(_) => Fill::Own(MAGIC),
                // Link-time optimisation may leave nothing of the constants.
                None => Fill::AllOrNone(FILL),
            },
            main_stack: ["_main_stack", "mbed_stack_main"]
                .iter()
                .find_map(|name| image.symbols.get(name))
                .map(|symbol| symbol.range),
            interrupts: layout::main_stack(image, memories),
            heap: layout::heap(image),
            memory: image.symbols.get("os_mem").map(|symbol| symbol.range),
            pools: Pools::find(image, info),
        })
    }

    fn follow(
        &self,
        target: &mut Target<'_, '_>,
        first: u32,
        link: Option<Field>,
        found: &mut BTreeMap<u32, Record>,
    ) -> Result<(), String> {
        let mut next = first;
        // A thread may be met again at the head of a list while it changes hands: only within one list is it a circle.
        let mut here = std::collections::BTreeSet::new();
        while next != 0 {
            if !here.insert(next) {
                return Err("a list goes in a circle".into());
            }
            if found.len() >= MAX_THREADS {
                return Err(format!("there are more than {MAX_THREADS} threads"));
            }
            let outside = || format!("a list leads to {next:#010x}, where no thread is");
            let record = target.record(next, self.thread.extent.read).ok_or_else(outside)?;
            if record.get(self.thread.id) != ID_THREAD {
                return Err(outside());
            }
            let following = link.map_or(0, |link| record.get(link));
            found.insert(next, record);
            next = following;
        }
        Ok(())
    }

    fn thread(&self, target: &mut Target<'_, '_>, tcb: u32, record: &Record, place: &Place) -> Option<Thread> {
        let stack = Region::new(record.get(self.thread.stack), record.get(self.thread.size));
        if !stack.start().is_multiple_of(4) || !target.holds(stack) {
            return None;
        }
        let kind = if tcb == place.idle {
            StackKind::Idle
        } else if tcb == place.timer {
            StackKind::Timer
        } else if self.main_stack == Some(stack) {
            StackKind::Main
        } else {
            StackKind::User
        };
        let name = target.text(record.get(self.thread.name)).unwrap_or_else(|| match kind {
            StackKind::Idle => "idle".into(),
            StackKind::Timer => "timer".into(),
            StackKind::Main => "main".into(),
            _ => format!("thread {tcb:08x}"),
        });
        let entry = record.get(self.thread.entry);
        let running = tcb == place.current;
        Some(Thread {
            tcb,
            tag: entry,
            name,
            kind,
            stack,
            sp: Some(record.get(self.thread.sp)),
            lowest_sp: None,
            running,
            priority: Some(record.signed(self.thread.priority)),
            state: state(record.get(self.thread.state)).into(),
            entry: (entry != 0).then_some(entry),
            fill: self.fill,
            canary: Some(MAGIC),
            guard: 4,
            signs: self.signs(tcb, record),
            ran: None,
        })
    }
}

impl Rtx5 {
    /// A thread that ends loses its id and its state, and gets them back when its control block is another's.
    fn signs(&self, tcb: u32, record: &Record) -> Vec<Sign> {
        let thread = &self.thread;
        let stays = |field: Field| field.stays(tcb, record, u32::MAX);
        let mut signs = vec![thread.state.is_set(tcb, STATE_MASK)];
        signs.extend([thread.id, thread.stack, thread.size, thread.entry].map(stays));
        signs
    }
}

/// `osRtxConfig.flags`, as it was linked.
fn flags(image: &Image) -> Option<u32> {
    let flags = image.types().find("osRtxConfig_t")?.field("flags")?;
    image.word(image.symbols.get("osRtxConfig")?.range.slice(flags.offset, 4).start())
}

/// The threads that are something special.
struct Place {
    current: u32,
    idle: u32,
    timer: u32,
}

/// `osThreadState_t` in the low half, and in the high half what is waited for.
fn state(byte: u32) -> &'static str {
    match (byte & STATE_MASK, byte >> 4 & 0xF) {
        (1, _) => "ready",
        (2, _) => "running",
        (3, 1) => "delayed",
        (3, 2) => "joining",
        (3, 3) => "waits for thread flags",
        (3, 4) => "waits for event flags",
        (3, 5) => "waits for a mutex",
        (3, 6) => "waits for a semaphore",
        (3, 7) => "waits for a memory block",
        (3, 8) => "waits for a message",
        (3, 9) => "waits to send a message",
        (3, _) => "blocked",
        (4, _) => "terminated",
        _ => "inactive",
    }
}

impl Layout for Rtx5 {
    fn name(&self) -> &'static str {
        "RTX5"
    }

    fn statics(&self) -> Vec<Region> {
        vec![Region::new(self.info, self.roots.span)]
    }

    fn extent(&self) -> Extent {
        self.thread.extent
    }

    fn walk(&self, target: &mut Target<'_, '_>, known: &[u32]) -> Option<Walk> {
        let info = target.record(self.info, self.roots.span)?;
        let at = |field: Option<Field>| field.map_or(0, |field| info.get(field));
        let place =
            Place { current: info.get(self.roots.current), idle: at(self.roots.idle), timer: at(self.roots.timer) };
        if place.current == 0 && at(Some(self.roots.ready)) == 0 {
            return None;
        }
        let mut found = BTreeMap::new();
        let mut broken = None;
        for (first, link) in [
            (place.current, None),
            (info.get(self.roots.ready), Some(self.thread.next)),
            (info.get(self.roots.delayed), Some(self.thread.delay_next)),
            (info.get(self.roots.waiting), Some(self.thread.delay_next)),
            (at(self.roots.terminated), Some(self.thread.next)),
            (place.idle, None),
            (place.timer, None),
        ] {
            broken = self.follow(target, first, link, &mut found).err().or(broken);
        }
        // A thread that changed lists while they were read is still what it says it is: one that ends loses its id.
        for tcb in known {
            if !found.contains_key(tcb)
                && let Some(record) = target.record(*tcb, self.thread.extent.read)
                && record.get(self.thread.id) == ID_THREAD
                && record.get(self.thread.state) & STATE_MASK != 0
            {
                found.insert(*tcb, record);
            }
        }
        let threads = found.iter().filter_map(|(tcb, record)| self.thread(target, *tcb, record, &place)).collect();
        Some(Walk { threads, broken, ..Walk::default() })
    }

    fn hints(&self, _walk: &Walk, unpainted: &[&str]) -> Vec<String> {
        if unpainted.is_empty() {
            return Vec::new();
        }
        vec![format!(
            "The stacks of {} are not filled, so they have no high-water mark: turn the stack usage watermark on \
             (OS_STACK_WATERMARK 1 in RTX_Config.h; Mbed: \"platform.stack-stats-enabled\": true in mbed_app.json).",
            listed(unpainted)
        )]
    }

    fn interrupt_stack(&self) -> Option<(Region, &'static [u32])> {
        Some((self.interrupts?, crate::stack::KNOWN_PAINT))
    }

    fn heaps(&self) -> Vec<HeapLook> {
        let memory = self.memory.map(|range| HeapLook::unknown("RTX memory", range));
        self.heap.map(|range| HeapLook::unknown("heap", range)).into_iter().chain(memory).collect()
    }

    fn objects(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        self.pools.read(target)
    }
}
