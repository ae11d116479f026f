//! FreeRTOS V9 to V11, single-core and SMP: `tasks.c` keeps each task in exactly one state list.
//!
//! ```text
//!   pxReadyTasksLists[n]  List_t { xListEnd { pxNext } } -> ListItem_t { pxNext, pvOwner, pxContainer } -> ... -> xListEnd
//!                                                            inside the task's TCB_t, as xStateListItem
//! ```
//!
//! Names are those of `tasks.c`, `list.h` and `heap_4.c`. A TCB has no field for the size of its stack: it follows from
//! what the stack lies in (a block of heap_2, heap_4 or heap_5, or a static array), or nearly from `pxEndOfStack`.

use std::collections::BTreeMap;

use super::rtos::load::Counter;
use super::rtos::objects::{Kind, Named, Objects, Storage};
use super::rtos::target::{Extent, Field, Fields, Record, Target};
use super::rtos::{Fill, Layout, MAX_OBJECTS, MAX_THREADS, Thread, Walk, listed};
use crate::heap::HeapLook;
use crate::image::Image;
use crate::image::layout::{self, Memory as Chip, Placed};
use crate::model::snapshot::StackKind;
use crate::region::Region;

/// `tskSTACK_FILL_BYTE` of tasks.c, four times.
const FILL: u32 = 0xA5A5_A5A5;
/// What the kernel's own check looks at (`taskCHECK_FOR_STACK_OVERFLOW` in stack_macros.h): the last 16 bytes.
const GUARD: u32 = 16;
/// `taskWAITING_NOTIFICATION` of tasks.c.
const WAITING_NOTIFICATION: u8 = 1;
/// `heapBLOCK_ALLOCATED_BITMASK` of heap_4.c.
const ALLOCATED: u32 = 1 << 31;
/// `portBYTE_ALIGNMENT` of the Cortex-M ports.
const ALIGNMENT: u32 = 8;
/// The most priorities that are believed.
const MAX_PRIORITIES: u32 = 256;
/// The most cores that are believed.
const MAX_CORES: u32 = 8;

/// The layout of one build.
pub(super) struct FreeRtos {
    lists: Lists,
    item: Item,
    task: Task,
    current: Region,
    count: Option<u32>,
    idle: Option<Region>,
    timer: Option<u32>,
    heap: Option<Region>,
    block: Option<Block>,
    interrupts: Option<Region>,
    queues: Option<Queues>,
}

/// The lists that tasks are in, and what being there means.
struct Lists {
    all: Vec<(u32, State)>,
    pending: Option<u32>,
    ranges: Vec<Region>,
    end: u32,
    end_next: Field,
    span: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Delayed,
    Suspended,
    Deleted,
}

struct Item {
    next: Field,
    owner: Field,
    container: Option<Field>,
}

struct Task {
    top: Field,
    state_item: u32,
    event_item: Option<u32>,
    priority: Field,
    stack: Field,
    name: Field,
    end_of_stack: Option<Field>,
    number: Option<Field>,
    notify: Option<Field>,
    run_time: Option<(Field, bool)>,
    extent: Extent,
}

/// The header in front of each block of heap_2, heap_4 and heap_5.
struct Block {
    header: u32,
    size: Field,
}

/// The queues with names: the registry of queue.c (`configQUEUE_REGISTRY_SIZE`).
struct Queues {
    registry: Region,
    stride: u32,
    name: Field,
    handle: Field,
    head: Field,
    item: Field,
    read: u32,
    objects: Objects,
}

/// What is behind each handle: semaphores and mutexes are queues too.
const QUEUE: [Kind; 1] = [Kind {
    block: "QueueDefinition",
    word: "queue",
    sign: None,
    name: None,
    list: None,
    storage: Some(Storage::Items("pcHead", "uxLength", "uxItemSize")),
}];

impl Queues {
    fn find(image: &Image) -> Option<Self> {
        let registry = image.symbols.get("xQueueRegistry")?.range;
        let entry = image.variable("xQueueRegistry")?.kind.array()?;
        let mut entries = Fields::of(entry.element);
        let mut queue = Fields::of(image.types().find("QueueDefinition")?);
        Some(Self {
            registry,
            stride: entry.stride.max(8),
            name: entries.find("pcQueueName")?,
            handle: entries.find("xHandle")?,
            head: queue.find("pcHead")?,
            item: queue.find("uxItemSize")?,
            read: queue.extent().read,
            objects: Objects::find(image, &QUEUE),
        })
    }

    fn read(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        let mut placed = Vec::new();
        for index in 0..(self.registry.size() / self.stride).min(MAX_OBJECTS as u32) {
            let entry = self.registry.slice(index * self.stride, self.stride);
            let Some(entry) = target.record(entry.start(), entry.size()) else { continue };
            let Some(name) = target.text(entry.get(self.name)) else { continue };
            let handle = entry.get(self.handle);
            let Some(queue) = target.record(handle, self.read) else { continue };
            // A mutex has no head (`queueQUEUE_IS_MUTEX`), the head of a semaphore is itself: neither has items.
            let word = match (queue.get(self.item), queue.get(self.head)) {
                (0, 0) => "mutex",
                (0, _) => "semaphore",
                _ => "queue",
            };
            placed.extend(self.objects.at(target, handle, Some(Named { name, word })));
        }
        placed
    }
}

impl FreeRtos {
    /// The kernel in this image; `None` when it is another, and the reason when it cannot be followed.
    pub(super) fn find(image: &Image, memories: &[Chip]) -> Option<Result<Self, String>> {
        let symbol = |name: &str| image.symbols.get(name);
        symbol("pxReadyTasksLists")?;
        symbol("pxCurrentTCB").or_else(|| symbol("pxCurrentTCBs"))?;
        let missing = |what: String| {
            format!(
                "FreeRTOS is in this ELF, but its debug information does not tell `{what}`: compile tasks.c and list.c \
                 with -g, and link without stripping. Only the main stack is shown."
            )
        };
        Some(Self::read(image, memories).map_err(missing))
    }

    fn read(image: &Image, memories: &[Chip]) -> Result<Self, String> {
        let types = image.types();
        let named = |name: &str| types.find(name).ok_or_else(|| name.to_owned());
        let symbol = |name: &str| image.symbols.get(name).map(|symbol| symbol.range);
        let address = |name: &str| symbol(name).map(Region::start);

        let mut fields = Fields::of(named("xLIST").or_else(|_| named("List_t"))?);
        let end = fields.must("xListEnd")?.offset;
        let end_next = fields.must("xListEnd.pxNext")?;
        let stride = named("xLIST").or_else(|_| named("List_t"))?.size().ok_or("List_t")?;
        let span = fields.span;

        let mut fields = Fields::of(named("xLIST_ITEM").or_else(|_| named("ListItem_t"))?);
        let item = Item {
            next: fields.must("pxNext")?,
            owner: fields.must("pvOwner")?,
            container: fields.find("pxContainer").or_else(|| fields.find("pvContainer")),
        };

        let tcb = named("tskTaskControlBlock").or_else(|_| named("TCB_t"))?;
        let mut fields = Fields::of(tcb);
        let state_item = fields.must("xStateListItem").or_else(|_| fields.must("xGenericListItem"))?.offset;
        let wide = |field: &str| tcb.field(field).and_then(|field| field.kind.size()).is_some_and(|size| size > 4);
        let task = Task {
            top: fields.must("pxTopOfStack")?,
            state_item,
            event_item: fields.find("xEventListItem").map(|field| field.offset),
            priority: fields.must("uxPriority")?,
            stack: fields.must("pxStack")?,
            name: fields.must("pcTaskName")?,
            end_of_stack: fields.find("pxEndOfStack"),
            number: fields.find("uxTCBNumber"),
            notify: fields.find("ucNotifyState"),
            run_time: fields.find("ulRunTimeCounter").map(|field| (field, wide("ulRunTimeCounter"))),
            extent: fields.extent(),
        };

        let ready = symbol("pxReadyTasksLists").ok_or("pxReadyTasksLists")?;
        let priorities = (ready.size() / stride.max(1)).min(MAX_PRIORITIES);
        let mut all: Vec<(u32, State)> =
            (0..priorities).map(|priority| (ready.slice(priority * stride, stride).start(), State::Ready)).collect();
        let mut ranges = vec![ready];
        for (name, state) in [
            ("xDelayedTaskList1", State::Delayed),
            ("xDelayedTaskList2", State::Delayed),
            ("xSuspendedTaskList", State::Suspended),
            ("xTasksWaitingTermination", State::Deleted),
        ] {
            if let Some(list) = address(name) {
                all.push((list, state));
                ranges.push(Region::new(list, span));
            }
        }
        let pending = address("xPendingReadyList");
        ranges.extend(pending.map(|list| Region::new(list, span)));

        let current = symbol("pxCurrentTCB").or_else(|| symbol("pxCurrentTCBs")).ok_or("pxCurrentTCB")?;
        let current = current.bottom(4 * MAX_CORES);
        let current = if current.size() < 4 { Region::new(current.start(), 4) } else { current };
        let mut header = types.find("A_BLOCK_LINK").map(Fields::of);
        let block = header.as_mut().and_then(|fields| {
            let header = types.find("A_BLOCK_LINK")?.size()?.next_multiple_of(ALIGNMENT);
            Some(Block { header, size: fields.find("xBlockSize")? })
        });
        Ok(Self {
            lists: Lists { all, pending, ranges, end, end_next, span },
            item,
            task,
            current,
            count: address("uxCurrentNumberOfTasks"),
            idle: symbol("xIdleTaskHandles").or_else(|| symbol("xIdleTaskHandle")),
            timer: address("xTimerTaskHandle"),
            heap: symbol("ucHeap"),
            block,
            interrupts: layout::main_stack(image, memories),
            queues: Queues::find(image),
        })
    }

    /// Follows one list; `event` says that its items are the tasks' event items. Gives the reason when it is broken.
    fn follow(
        &self,
        target: &mut Target<'_, '_>,
        list: u32,
        item: u32,
        found: &mut dyn FnMut(u32, Record),
    ) -> Result<(), String> {
        let head = target.record(list, self.lists.span).ok_or("a list cannot be read")?;
        let end = list.wrapping_add(self.lists.end);
        let mut next = head.get(self.lists.end_next);
        for _ in 0..MAX_THREADS {
            if next == end {
                return Ok(());
            }
            if !target.visit(next) {
                return Err("a list goes in a circle".into());
            }
            let outside = || format!("a list leads to {next:#010x}, where no task is");
            let tcb = next.checked_sub(item).ok_or_else(outside)?;
            let record = target.record(tcb, self.task.extent.read).ok_or_else(outside)?;
            let field = |field: Field| record.get(field.within(item));
            let contained = self.item.container.map_or(list, field);
            if field(self.item.owner) != tcb {
                return Err(outside());
            }
            next = field(self.item.next);
            found(tcb, record);
            if contained != list {
                // It was moved while the lists were read, and its way leads through another list now.
                return Ok(());
            }
        }
        Err(format!("a list has more than {MAX_THREADS} tasks"))
    }

    /// The list that a task itself says it is in.
    fn listed(&self, record: &Record) -> Option<State> {
        let container = record.get(self.item.container?.within(self.task.state_item));
        self.lists.all.iter().find(|(list, _)| *list == container).map(|(_, state)| *state)
    }

    fn state(&self, state: State, record: &Record) -> &'static str {
        let waits = || {
            let event = self.task.event_item.zip(self.item.container);
            let on_object = event.is_some_and(|(item, container)| record.get(container.within(item)) != 0);
            let notified = self.task.notify.is_some_and(|field| record.bytes(field).contains(&WAITING_NOTIFICATION));
            on_object || notified
        };
        match state {
            State::Ready => "ready",
            State::Delayed => "delayed",
            // Whoever waits for ever is in the list of the suspended.
            State::Suspended if waits() => "blocked",
            State::Suspended => "suspended",
            State::Deleted => "deleted",
        }
    }

    /// Where a task's stack is; `None` when nothing tells its size.
    fn stack(&self, target: &mut Target<'_, '_>, record: &Record) -> Option<Region> {
        let start = record.get(self.task.stack);
        let top = record.get(self.task.top);
        let holds = |stack: &Region| {
            u64::from(top) <= stack.end() && top >= stack.start() && target_size(stack) && start.is_multiple_of(4)
        };
        let stack =
            self.block_at(target, start).or_else(|| static_at(target.image, start, self.heap)).filter(holds).or_else(
                || {
                    // Rounded down to eight bytes from the last word: the word itself is in it, the next one perhaps.
                    let last = record.get(self.task.end_of_stack?);
                    Some(Region::between(start, Region::new(last, 4).end_address())).filter(holds)
                },
            )?;
        target.in_ram(stack).then_some(stack)
    }

    /// The block of the heap that begins at `start`, without its header.
    fn block_at(&self, target: &mut Target<'_, '_>, start: u32) -> Option<Region> {
        let block = self.block.as_ref()?;
        if self.heap.is_some_and(|heap| !heap.contains(start)) {
            return None;
        }
        // With heap_5 the regions are the application's: a static stack has a symbol of its own.
        if self.heap.is_none() && target.image.symbols.at(start).is_some_and(|symbol| symbol.range.start() == start) {
            return None;
        }
        let header = target.record(start.checked_sub(block.header)?, block.header)?;
        let size = (header.get(block.size) & !ALLOCATED).checked_sub(block.header)?;
        let within = Region::new(start, size);
        (size.is_multiple_of(4) && self.heap.is_none_or(|heap| heap.covers(within))).then_some(within)
    }

    fn kind(&self, tcb: u32, idle: &[u32], timer: Option<u32>) -> StackKind {
        if idle.contains(&tcb) {
            StackKind::Idle
        } else if timer == Some(tcb) {
            StackKind::Timer
        } else {
            StackKind::User
        }
    }

    fn words(target: &mut Target<'_, '_>, range: Region) -> Vec<u32> {
        let range = range.bottom(4 * MAX_CORES);
        range.pages(4).filter_map(|word| target.word(word.start())).collect()
    }
}

/// More than any stack has is taken for damage.
fn target_size(stack: &Region) -> bool {
    (16..=1 << 24).contains(&stack.size())
}

/// The static array, or its row, that begins at `start`.
fn static_at(image: &Image, start: u32, heap: Option<Region>) -> Option<Region> {
    let symbol = image.symbols.at(start).filter(|symbol| symbol.is_data)?.range;
    if heap == Some(symbol) {
        return None;
    }
    let row = image.types().variable_at(symbol.start()).and_then(|held| held.kind.array()?.row);
    let rows = row.filter(|row| *row > 0 && *row < symbol.size());
    match rows {
        Some(row) => (symbol.offset_of(start)? % row == 0).then(|| symbol.from(start).bottom(row)),
        None => (symbol.start() == start).then_some(symbol),
    }
}

impl Layout for FreeRtos {
    fn name(&self) -> &'static str {
        "FreeRTOS"
    }

    fn statics(&self) -> Vec<Region> {
        let words = self.count.into_iter().chain(self.timer).map(|address| Region::new(address, 4));
        self.lists.ranges.iter().copied().chain(words).chain([self.current]).chain(self.idle).collect()
    }

    fn extent(&self) -> Extent {
        self.task.extent
    }

    fn walk(&self, target: &mut Target<'_, '_>, known: &[u32]) -> Option<Walk> {
        let current: Vec<u32> = Self::words(target, self.current).into_iter().filter(|tcb| *tcb != 0).collect();
        let count = match self.count {
            Some(count) => Some(target.word(count)?),
            None => None,
        };
        if current.is_empty() || count == Some(0) {
            return None;
        }
        let idle = self.idle.map(|idle| Self::words(target, idle)).unwrap_or_default();
        let timer = self.timer.and_then(|timer| target.word(timer)).filter(|timer| *timer != 0);
        let mut tasks: BTreeMap<u32, (Record, State)> = BTreeMap::new();
        let mut broken = None;
        for (list, state) in &self.lists.all {
            let mut take = |tcb: u32, record: Record| {
                let state = self.listed(&record).unwrap_or(*state);
                tasks.entry(tcb).or_insert((record, state));
            };
            broken = self.follow(target, *list, self.task.state_item, &mut take).err().or(broken);
        }
        // Readied while the scheduler was suspended: still in the list it waited in, and ready all the same.
        if let Some((list, item)) = self.lists.pending.zip(self.task.event_item) {
            let mut take = |tcb: u32, record: Record| {
                tasks.insert(tcb, (record, State::Ready));
            };
            broken = self.follow(target, list, item, &mut take).err().or(broken);
        }
        for tcb in known {
            if !tasks.contains_key(tcb)
                && let Some(record) = target.record(*tcb, self.task.extent.read)
                && record.get(self.item.owner.within(self.task.state_item)) == *tcb
                && let Some(state) = self.listed(&record)
            {
                tasks.insert(*tcb, (record, state));
            }
        }
        if broken.is_none() && count.is_some_and(|count| count as usize != tasks.len()) {
            broken = Some(format!("{} tasks are found, and it counts {}", tasks.len(), count.unwrap_or(0)));
        }
        let mut walk = Walk { broken, ..Walk::default() };
        for (tcb, (record, state)) in tasks.into_iter().take(MAX_THREADS) {
            let name = record.text(self.task.name).unwrap_or_else(|| format!("task {tcb:08x}"));
            let Some(stack) = self.stack(target, &record) else {
                walk.unsized_names.push(name);
                continue;
            };
            let running = current.contains(&tcb);
            walk.threads.push(Thread {
                tcb,
                tag: self.task.number.map_or(0, |number| record.get(number)),
                name,
                kind: self.kind(tcb, &idle, timer),
                stack,
                sp: Some(record.get(self.task.top)),
                lowest_sp: None,
                running,
                priority: Some(record.get(self.task.priority).cast_signed()),
                state: if running { "running" } else { self.state(state, &record) }.into(),
                entry: None,
                fill: Fill::AllOrNone(FILL),
                canary: None,
                guard: GUARD,
                ran: self
                    .task
                    .run_time
                    .map(|(field, is_wide)| Counter { value: record.wide(field), wraps_at_32: !is_wide }),
            });
        }
        Some(walk)
    }

    fn hints(&self, walk: &Walk, unpainted: &[&str]) -> Vec<String> {
        let mut hints = Vec::new();
        if !walk.unsized_names.is_empty() {
            let names: Vec<&str> = walk.unsized_names.iter().map(String::as_str).collect();
            hints.push(format!(
                "The stacks of {} are not shown: FreeRTOS keeps no stack sizes, and these lie neither in a block of heap_2, \
                 heap_4 or heap_5 nor in a static array of their own. Set configRECORD_STACK_HIGH_ADDRESS to 1.",
                listed(&names)
            ));
        }
        if !unpainted.is_empty() {
            hints.push(format!(
                "The stacks of {} are not filled, so they have no high-water mark: set configCHECK_FOR_STACK_OVERFLOW to 2, \
                 or INCLUDE_uxTaskGetStackHighWaterMark or configUSE_TRACE_FACILITY to 1.",
                listed(unpainted)
            ));
        }
        hints
    }

    fn interrupt_stack(&self) -> Option<(Region, &'static [u32])> {
        Some((self.interrupts?, crate::stack::KNOWN_PAINT))
    }

    fn heaps(&self) -> Vec<HeapLook> {
        self.heap.map(|range| HeapLook::unknown("FreeRTOS heap", range)).into_iter().collect()
    }

    fn objects(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        self.queues.as_ref().map(|queues| queues.read(target)).unwrap_or_default()
    }
}
