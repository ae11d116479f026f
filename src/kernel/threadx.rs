//! ThreadX (Azure RTOS, Eclipse ThreadX) 5 and 6: one circular list of all threads.
//!
//! ```text
//!   _tx_thread_created_ptr -> TX_THREAD { tx_thread_created_next } -> ... back to the first, _tx_thread_created_count of them
//! ```
//!
//! Names and constants are those of `tx_api.h` and `tx_thread.h`. Stacks are filled with 0xEF unless
//! TX_DISABLE_STACK_FILLING is set, or with a random byte for each thread. `tx_thread_stack_highest_ptr` comes from a
//! search by halves, which holes mislead: it is only taken for a depth that was reached at least.

use super::rtos::load::Counter;
use super::rtos::objects::{Kind, Objects, Storage};
use super::rtos::target::{Extent, Field, Fields, Record, Target};
use super::rtos::{Fill, Layout, MAX_THREADS, Thread, Walk, listed, untold};
use crate::heap::HeapLook;
use crate::image::Image;
use crate::image::layout::{self, Memory as Chip, Placed};
use crate::model::snapshot::StackKind;
use crate::region::Region;

/// `TX_STACK_FILL`.
const FILL: u32 = 0xEFEF_EFEF;
/// `TX_THREAD_ID`: "THRD".
const ID: u32 = 0x5448_5244;

/// The layout of one build.
pub(super) struct ThreadX {
    created: u32,
    count: u32,
    current: Option<u32>,
    timer: Option<u32>,
    fields: Fieldset,
    interrupts: Option<Region>,
    heap: Option<Region>,
    objects: Objects,
}

/// The objects of ThreadX, each kind in a circular list; the IDs are those of `tx_queue.h` and its neighbours.
const OBJECTS: [Kind; 7] = [
    Kind {
        block: "TX_QUEUE_STRUCT",
        word: "queue",
        sign: Some(("tx_queue_id", 0x5155_4555)),
        name: Some("tx_queue_name"),
        list: Some(("_tx_queue_created_ptr", "tx_queue_created_next")),
        storage: Some(Storage::Ends("tx_queue_start", "tx_queue_end")),
    },
    Kind {
        block: "TX_BLOCK_POOL_STRUCT",
        word: "blocks",
        sign: Some(("tx_block_pool_id", 0x424C_4F43)),
        name: Some("tx_block_pool_name"),
        list: Some(("_tx_block_pool_created_ptr", "tx_block_pool_created_next")),
        storage: Some(Storage::Size("tx_block_pool_start", "tx_block_pool_size")),
    },
    Kind {
        block: "TX_SEMAPHORE_STRUCT",
        word: "semaphore",
        sign: Some(("tx_semaphore_id", 0x5345_4D41)),
        name: Some("tx_semaphore_name"),
        list: Some(("_tx_semaphore_created_ptr", "tx_semaphore_created_next")),
        storage: None,
    },
    Kind {
        block: "TX_MUTEX_STRUCT",
        word: "mutex",
        sign: Some(("tx_mutex_id", 0x4D55_5445)),
        name: Some("tx_mutex_name"),
        list: Some(("_tx_mutex_created_ptr", "tx_mutex_created_next")),
        storage: None,
    },
    Kind {
        block: "TX_EVENT_FLAGS_GROUP_STRUCT",
        word: "event flags",
        sign: Some(("tx_event_flags_group_id", 0x4456_444E)),
        name: Some("tx_event_flags_group_name"),
        list: Some(("_tx_event_flags_created_ptr", "tx_event_flags_group_created_next")),
        storage: None,
    },
    Kind {
        block: "TX_TIMER_STRUCT",
        word: "timer",
        sign: Some(("tx_timer_id", 0x4154_494D)),
        name: Some("tx_timer_name"),
        list: Some(("_tx_timer_created_ptr", "tx_timer_created_next")),
        storage: None,
    },
    // Its storage is a heap.
    Kind {
        block: "TX_BYTE_POOL_STRUCT",
        word: "byte pool",
        sign: Some(("tx_byte_pool_id", 0x4259_5445)),
        name: Some("tx_byte_pool_name"),
        list: Some(("_tx_byte_pool_created_ptr", "tx_byte_pool_created_next")),
        storage: None,
    },
];

/// The fields of `TX_THREAD`.
struct Fieldset {
    id: Field,
    next: Field,
    sp: Field,
    start: Field,
    size: Field,
    name: Field,
    priority: Field,
    state: Field,
    entry: Option<Field>,
    highest: Option<Field>,
    fill: Option<Field>,
    run_time: Option<(Field, bool)>,
    extent: Extent,
}

impl ThreadX {
    /// The pointer to its list of threads, by its symbol; `None` when it is not linked.
    pub(super) fn created(image: &Image) -> Option<u32> {
        image.symbols.address("_tx_thread_created_ptr")
    }

    /// The kernel in this image; `None` when it is another, and the reason when it cannot be followed.
    pub(super) fn find(image: &Image, memories: &[Chip]) -> Option<Result<Self, String>> {
        let created = Self::created(image)?;
        let count = image.symbols.address("_tx_thread_created_count")?;
        let way = "compile the kernel with -g, and link without stripping";
        let missing = |what: String| untold(image, "ThreadX", &what, way);
        Some(Self::read(image, memories, created, count).map_err(missing))
    }

    fn read(image: &Image, memories: &[Chip], created: u32, count: u32) -> Result<Self, String> {
        let types = image.types();
        let tcb = types.find("TX_THREAD_STRUCT").or_else(|| types.find("TX_THREAD")).ok_or("TX_THREAD")?;
        let mut fields = Fields::of(tcb);
        let run_time = "tx_thread_execution_time_total";
        let is_wide = tcb.field(run_time).and_then(|field| field.kind.size()).is_some_and(|size| size > 4);
        let fields = Fieldset {
            id: fields.must("tx_thread_id")?,
            next: fields.must("tx_thread_created_next")?,
            sp: fields.must("tx_thread_stack_ptr")?,
            start: fields.must("tx_thread_stack_start")?,
            size: fields.must("tx_thread_stack_size")?,
            name: fields.must("tx_thread_name")?,
            priority: fields.must("tx_thread_priority")?,
            state: fields.must("tx_thread_state")?,
            entry: fields.find("tx_thread_entry"),
            highest: fields.find("tx_thread_stack_highest_ptr"),
            fill: fields.find("tx_thread_stack_fill_value"),
            run_time: fields.find(run_time).map(|field| (field, is_wide)),
            extent: fields.extent(),
        };
        Ok(Self {
            created,
            count,
            current: image.symbols.address("_tx_thread_current_ptr"),
            timer: image.symbols.address("_tx_timer_thread"),
            fields,
            interrupts: layout::main_stack(image, memories),
            heap: layout::heap(image),
            objects: Objects::find(image, &OBJECTS),
        })
    }

    fn thread(&self, target: &mut Target<'_, '_>, tcb: u32, record: &Record, current: u32) -> Option<Thread> {
        let fields = &self.fields;
        let stack = Region::new(record.get(fields.start), record.get(fields.size));
        if !target.holds(stack) {
            return None;
        }
        let entry = fields.entry.map(|entry| record.get(entry)).filter(|entry| *entry != 0);
        let running = tcb == current;
        let fill = match fields.fill.map(|fill| record.get(fill)) {
            // Random for each thread: what the kernel keeps of it is certain, unless it cleared the control block behind
            // it, as tx_thread_create.c of 6.4 does. Then the lowest byte tells.
            Some(0) => Fill::Own(target.word(stack.start()).map_or(FILL, |word| (word & 0xFF) * 0x0101_0101)),
            Some(word) => Fill::Told(word),
            None => Fill::AllOrNone(FILL),
        };
        Some(Thread {
            tcb,
            tag: entry.unwrap_or(0),
            name: target.text(record.get(fields.name)).unwrap_or_else(|| format!("thread {tcb:08x}")),
            kind: if self.timer == Some(tcb) { StackKind::Timer } else { StackKind::User },
            stack,
            sp: Some(record.get(fields.sp)),
            // Its own search looks for the byte that it forgot.
            lowest_sp: fields.highest.filter(|_| !matches!(fill, Fill::Own(_))).map(|highest| record.get(highest)),
            running,
            priority: Some(record.get(fields.priority).cast_signed()),
            state: if running { "running" } else { state(record.get(fields.state)) }.into(),
            entry,
            fill,
            canary: None,
            // The kernel's own check looks at the lowest word.
            guard: 4,
            signs: [Some(fields.id), Some(fields.start), Some(fields.size), fields.entry]
                .into_iter()
                .flatten()
                .map(|field| field.stays(tcb, record, u32::MAX))
                .collect(),
            ran: fields.run_time.map(|(field, is_wide)| Counter { value: record.wide(field), wraps_at_32: !is_wide }),
        })
    }
}

/// The thread states of `tx_api.h`.
fn state(state: u32) -> &'static str {
    match state {
        0 => "ready",
        1 => "completed",
        2 => "terminated",
        3 => "suspended",
        4 => "sleeping",
        5 => "waits for a queue",
        6 => "waits for a semaphore",
        7 => "waits for event flags",
        8 => "waits for a memory block",
        9 => "waits for memory",
        10 => "waits for a driver",
        11 => "waits for a file",
        12 => "waits for the network",
        13 => "waits for a mutex",
        14 => "changes its priority",
        _ => "unknown",
    }
}

impl Layout for ThreadX {
    fn name(&self) -> &'static str {
        "ThreadX"
    }

    fn statics(&self) -> Vec<Region> {
        [Some(self.created), Some(self.count), self.current]
            .into_iter()
            .flatten()
            .map(|address| Region::new(address, 4))
            .collect()
    }

    fn extent(&self) -> Extent {
        self.fields.extent
    }

    fn walk(&self, target: &mut Target<'_, '_>, _known: &[u32]) -> Option<Walk> {
        let first = target.word(self.created)?;
        let count = target.word(self.count)?;
        if first == 0 || count == 0 {
            return None;
        }
        let current = self.current.and_then(|current| target.word(current)).unwrap_or(0);
        let mut walk = Walk::default();
        let mut next = first;
        let mut met = 0;
        loop {
            let outside = || Some(format!("the list leads to {next:#010x}, where no thread is"));
            let Some(record) = target.record(next, self.fields.extent.read) else {
                walk.broken = outside();
                break;
            };
            if record.get(self.fields.id) != ID {
                walk.broken = outside();
                break;
            }
            if !target.visit(next) {
                walk.broken = Some("the list goes in a circle that leaves its first thread out".into());
                break;
            }
            met += 1;
            walk.threads.extend(self.thread(target, next, &record, current));
            next = record.get(self.fields.next);
            if next == first {
                break;
            }
            if met as usize >= MAX_THREADS {
                walk.broken = Some(format!("there are more than {MAX_THREADS} threads"));
                break;
            }
        }
        if walk.broken.is_none() && met != count {
            walk.broken = Some(format!("{met} threads are found, and it counts {count}"));
        }
        Some(walk)
    }

    fn hints(&self, walk: &Walk, unpainted: &[&str]) -> Vec<String> {
        let mut hints = Vec::new();
        if walk.threads.iter().any(|thread| matches!(thread.fill, Fill::Own(_))) {
            hints.push(
                "This ThreadX clears the random bytes that it filled the stacks with \
                 (TX_ENABLE_RANDOM_NUMBER_STACK_FILLING): they are told by the stacks themselves, and the kernel's own \
                 stack checking looks for zeros. Build it without that option."
                    .into(),
            );
        }
        if !unpainted.is_empty() {
            hints.push(format!(
                "The stacks of {} are not filled, so they have no high-water mark: build ThreadX without \
                 TX_DISABLE_STACK_FILLING.",
                listed(unpainted)
            ));
        }
        hints
    }

    fn interrupt_stack(&self) -> Option<(Region, &'static [u32])> {
        Some((self.interrupts?, crate::stack::KNOWN_PAINT))
    }

    fn heaps(&self) -> Vec<HeapLook> {
        self.heap.map(|range| HeapLook::unknown("heap", range)).into_iter().collect()
    }

    fn objects(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        self.objects.read(target)
    }
}
