//! FreeRTOS V9 to V11, single-core and SMP: `tasks.c` keeps each task in exactly one state list.
//!
//! ```text
//!   pxReadyTasksLists[n]  List_t { xListEnd { pxNext } } -> ListItem_t { pxNext, pvOwner, pxContainer } -> ... -> xListEnd
//!                                                            inside the task's TCB_t, as xStateListItem
//! ```
//!
//! Names are those of `tasks.c` and `list.h`. A TCB has no field for the size of its stack: `bounds` finds it.

mod bounds;
mod objects;

use std::collections::BTreeMap;

use super::Sign;
use super::rtos::load::Counter;
use super::rtos::target::{Extent, Field, Fields, Record, Target};
use super::rtos::{Fill, Layout, MAX_THREADS, Thread, Walk, listed, untold};
use crate::heap::HeapLook;
use crate::heap::heap4::Heap4;
use crate::image::Image;
use crate::image::layout::{self, Memory as Chip, Placed};
use crate::model::snapshot::StackKind;
use crate::region::Region;
use bounds::{Bounds, Told};
use objects::KernelObjects;

/// `tskSTACK_FILL_BYTE` of tasks.c, four times.
const FILL: u32 = 0xA5A5_A5A5;
/// What the kernel's own check looks at (`taskCHECK_FOR_STACK_OVERFLOW` in stack_macros.h): the last 16 bytes.
const GUARD: u32 = 16;
/// `taskWAITING_NOTIFICATION` of tasks.c.
const WAITING_NOTIFICATION: u8 = 1;
/// `portBYTE_ALIGNMENT` of the Cortex-M ports.
const ALIGNMENT: u32 = 8;
/// What the kernel calls its own tasks (`configIDLE_TASK_NAME`, `configTIMER_SERVICE_TASK_NAME`), cut to
/// `configMAX_TASK_NAME_LEN`.
const IDLE: &str = "IDLE";
const TIMER: &str = "Tmr Svc";
/// The fewest letters of them that are believed.
const SHORTEST_NAME: usize = 3;
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
    /// The heap that the linker script makes room for.
    linked: Option<Region>,
    /// heap_5 is there, and nothing says where its regions are.
    hides_regions: bool,
    bounds: Bounds,
    interrupts: Option<Region>,
    objects: KernelObjects,
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
    /// Bytes up to the end of the first two.
    span: u32,
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

impl FreeRtos {
    /// Whether its symbols are there.
    pub(super) fn is_linked(image: &Image) -> bool {
        let has = |name: &str| image.symbols.get(name).is_some();
        has("pxReadyTasksLists") && (has("pxCurrentTCB") || has("pxCurrentTCBs"))
    }

    /// The kernel in this image; `None` when it is another, and the reason when it cannot be followed.
    pub(super) fn find(image: &Image, memories: &[Chip]) -> Option<Result<Self, String>> {
        if !Self::is_linked(image) {
            return None;
        }
        let way = "compile tasks.c and list.c with -g (-g1 leaves types out), and link without stripping";
        let missing = |what: String| untold(image, "FreeRTOS", &what, way);
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
        let (next, owner) = (fields.must("pxNext")?, fields.must("pvOwner")?);
        let item_span = fields.span;
        let container = fields.find("pxContainer").or_else(|| fields.find("pvContainer"));
        let item = Item { next, owner, container, span: item_span };

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
        let (heap, linked) = (symbol("ucHeap"), layout::heap(image));
        let lists = Lists { all, pending, ranges, end, end_next, span };
        Ok(Self {
            objects: KernelObjects::find(image, &lists, &item),
            lists,
            item,
            task,
            current,
            count: address("uxCurrentNumberOfTasks"),
            idle: symbol("xIdleTaskHandles").or_else(|| symbol("xIdleTaskHandle")),
            timer: address("xTimerTaskHandle"),
            linked,
            hides_regions: symbol("vPortDefineHeapRegions").is_some() && Heap4::find(image).is_none(),
            bounds: Bounds::find(image, heap, linked),
            heap,
            interrupts: layout::main_stack(image, memories),
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

    fn number(&self, record: &Record) -> u32 {
        self.task.number.map_or(0, |number| record.get(number))
    }

    /// What a TCB says of its stack.
    fn told(&self, tcb: u32, record: &Record) -> Told {
        Told {
            tcb,
            number: self.number(record),
            start: record.get(self.task.stack),
            top: record.get(self.task.top),
            last: self.task.end_of_stack.map(|last| record.get(last)),
        }
    }

    /// A task that is deleted is in no list; the number, where it is kept, counts the tasks that were ever created.
    fn signs(&self, tcb: u32, record: &Record) -> Vec<Sign> {
        let item = |field: Field| field.within(self.task.state_item);
        let stays = |field: Field| field.stays(tcb, record, u32::MAX);
        let mut signs = vec![stays(self.task.stack), stays(item(self.item.owner))];
        signs.extend(self.task.number.map(stays));
        signs.extend(self.item.container.map(|container| item(container).is_set(tcb, u32::MAX)));
        signs
    }

    fn kind(&self, tcb: u32, record: &Record, idle: &[u32], timer: Option<u32>) -> StackKind {
        // Nobody reads the handles unless INCLUDE_xTaskGetIdleTaskHandle is set, so that compilers leave them out. Then the
        // names tell that the kernel itself gives.
        let is_called = |whole: &str| {
            let bytes = record.bytes(self.task.name);
            let cut = bytes.len().saturating_sub(1).min(whole.len());
            cut >= SHORTEST_NAME && bytes.starts_with(&whole.as_bytes()[..cut])
        };
        let is_lowest = record.get(self.task.priority) == 0;
        if idle.contains(&tcb) || self.idle.is_none() && is_lowest && is_called(IDLE) {
            StackKind::Idle
        } else if timer == Some(tcb) || self.timer.is_none() && is_called(TIMER) {
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
        let tasks: Vec<(u32, (Record, State))> = tasks.into_iter().take(MAX_THREADS).collect();
        let told: Vec<Told> = tasks.iter().map(|(tcb, (record, _))| self.told(*tcb, record)).collect();
        let stacks = self.bounds.stacks(target, &told);
        for ((tcb, (record, state)), stack) in tasks.into_iter().zip(stacks) {
            let name = record.text(self.task.name).unwrap_or_else(|| format!("task {tcb:08x}"));
            let Some(stack) = stack else {
                walk.unsized_names.push(name);
                continue;
            };
            let running = current.contains(&tcb);
            walk.threads.push(Thread {
                tcb,
                tag: self.number(&record),
                name,
                kind: self.kind(tcb, &record, &idle, timer),
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
                signs: self.signs(tcb, &record),
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
                "The stacks of {} are not shown: FreeRTOS keeps no stack sizes, and these lie neither in a block of a heap \
                 that is known (heap_1 to heap_5) nor in a static array of their own. Set \
                 configRECORD_STACK_HIGH_ADDRESS to 1.",
                listed(&names)
            ));
        }
        if self.hides_regions {
            hints.push(
                "Where the regions of heap_5 are is not known: keep the array of HeapRegion_t that vPortDefineHeapRegions \
                 takes in a static, not on the stack."
                    .into(),
            );
        }
        if !unpainted.is_empty() {
            hints.push(format!(
                "The stacks of {} are not filled, so they have no high-water mark, and end where the blocks or arrays do \
                 that they lie in: set configCHECK_FOR_STACK_OVERFLOW to 2, or INCLUDE_uxTaskGetStackHighWaterMark or \
                 configUSE_TRACE_FACILITY to 1.",
                listed(unpainted)
            ));
        }
        hints
    }

    fn interrupt_stack(&self) -> Option<(Region, &'static [u32])> {
        Some((self.interrupts?, crate::stack::KNOWN_PAINT))
    }

    fn heaps(&self) -> Vec<HeapLook> {
        let own = self.heap.map(|range| HeapLook::unknown("FreeRTOS heap", range));
        // heap_3 is the C library's, which other code asks too.
        let linked = self.linked.filter(|linked| self.heap.is_none_or(|heap| !heap.overlaps(*linked)));
        own.into_iter().chain(linked.map(|range| HeapLook::unknown("heap", range))).collect()
    }

    fn objects(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        self.objects.read(target)
    }
}
