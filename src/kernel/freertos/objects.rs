//! What FreeRTOS keeps beside its tasks: queues, semaphores and mutexes by the names in the registry of queue.c
//! (`configQUEUE_REGISTRY_SIZE`), timers by those in the lists of timers.c, and what the application has a handle of by
//! the name of that.
//!
//! Handles are pointers to structures since V10; in V9 they point to anything, so that only the registry and the timers
//! tell names.

use std::collections::BTreeMap;

use super::super::rtos::MAX_OBJECTS;
use super::super::rtos::objects::{Kind, Named, Objects, Storage};
use super::super::rtos::target::{Field, Fields, Target};
use super::{Item, Lists};
use crate::image::Image;
use crate::image::layout::Placed;
use crate::region::Region;

const fn kind(block: &'static str, word: &'static str, storage: Option<Storage<&'static str>>) -> Kind {
    Kind { block, word, sign: None, name: None, list: None, storage }
}

/// Queues, and what is made of them: semaphores and mutexes.
const QUEUE: [Kind; 1] = [kind("QueueDefinition", "queue", Some(Storage::Items("pcHead", "uxLength", "uxItemSize")))];
const TIMER: [Kind; 1] = [Kind { name: Some("pcTimerName"), ..kind("tmrTimerControl", "timer", None) }];
const EVENTS: [Kind; 1] = [kind("EventGroupDef_t", "event group", None)];
const STREAM: [Kind; 1] = [kind("StreamBufferDef_t", "stream buffer", Some(Storage::Size("pucBuffer", "xLength")))];

/// The registry of names, a static of queue.c.
const REGISTRY: &str = "xQueueRegistry";

/// All of them, as this build lays them out.
pub(super) struct KernelObjects {
    queues: Option<Queues>,
    timers: Timers,
    others: Vec<Handles>,
}

impl KernelObjects {
    pub(super) fn find(image: &Image, lists: &Lists, item: &Item) -> Self {
        let others = [&EVENTS, &STREAM].map(|kind| Handles::find(image, kind));
        Self { queues: Queues::find(image), timers: Timers::find(image, lists, item), others: others.into() }
    }

    pub(super) fn read(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        let mut placed = self.queues.as_ref().map(|queues| queues.read(target)).unwrap_or_default();
        placed.extend(self.timers.read(target));
        for handles in &self.others {
            for (handle, name) in handles.read(target) {
                placed.extend(handles.objects.at(target, handle, Some(Named { name, word: handles.word })));
            }
        }
        placed
    }
}

/// The application's handles of one kind.
struct Handles {
    objects: Objects,
    word: &'static str,
    /// Where a handle is, and what it is called.
    pointers: Vec<(u32, String)>,
}

impl Handles {
    fn find(image: &Image, kinds: &'static [Kind; 1]) -> Self {
        let mut pointers = image.types().handles(kinds[0].block);
        // What the kernel keeps in its own register is not what the application calls it.
        pointers.retain(|(_, name)| !name.starts_with(REGISTRY));
        pointers.truncate(MAX_OBJECTS);
        Self { objects: Objects::find(image, kinds), word: kinds[0].word, pointers }
    }

    /// The handles as they are now, each once, with what it is called.
    fn read(&self, target: &mut Target<'_, '_>) -> BTreeMap<u32, String> {
        let places: Vec<Region> = self.pointers.iter().map(|(at, _)| Region::new(*at, 4)).collect();
        target.prefetch(&places);
        let mut found = BTreeMap::new();
        for (at, name) in &self.pointers {
            if let Some(handle) = target.word(*at).filter(|handle| *handle != 0) {
                found.entry(handle).or_insert_with(|| crate::units::printable(name, 32));
            }
        }
        found
    }
}

/// All queues that are known.
struct Queues {
    registry: Option<Registry>,
    handles: Handles,
    head: Field,
    item: Field,
    read: u32,
}

/// The registry of names.
struct Registry {
    range: Region,
    stride: u32,
    name: Field,
    handle: Field,
}

impl Registry {
    fn find(image: &Image) -> Option<Self> {
        let range = image.symbols.get(REGISTRY)?.range;
        let entry = image.variable(REGISTRY)?.kind.array()?;
        let mut fields = Fields::of(entry.element);
        let (name, handle) = (fields.find("pcQueueName")?, fields.find("xHandle")?);
        Some(Self { range, stride: entry.stride.max(8), name, handle })
    }

    fn read(&self, target: &mut Target<'_, '_>) -> BTreeMap<u32, String> {
        let mut found = BTreeMap::new();
        for index in 0..(self.range.size() / self.stride).min(MAX_OBJECTS as u32) {
            let entry = self.range.slice(index * self.stride, self.stride);
            let Some(entry) = target.record(entry.start(), entry.size()) else { continue };
            let Some(name) = target.text(entry.get(self.name)) else { continue };
            found.insert(entry.get(self.handle), name);
        }
        found
    }
}

impl Queues {
    fn find(image: &Image) -> Option<Self> {
        let mut queue = Fields::of(image.types().find(QUEUE[0].block)?);
        Some(Self {
            registry: Registry::find(image),
            handles: Handles::find(image, &QUEUE),
            head: queue.find("pcHead")?,
            item: queue.find("uxItemSize")?,
            read: queue.extent().read,
        })
    }

    fn read(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        let mut names = self.handles.read(target);
        names.extend(self.registry.as_ref().map(|registry| registry.read(target)).unwrap_or_default());
        let mut placed = Vec::new();
        for (handle, name) in names {
            let Some(queue) = target.record(handle, self.read) else { continue };
            // A mutex has no head (`queueQUEUE_IS_MUTEX`), the head of a semaphore is itself: neither has items.
            let word = match (queue.get(self.item), queue.get(self.head)) {
                (0, 0) => "mutex",
                (0, _) => "semaphore",
                _ => "queue",
            };
            placed.extend(self.handles.objects.at(target, handle, Some(Named { name, word })));
        }
        placed
    }
}

/// The timers: those that run are in two lists, and the application has handles of others.
struct Timers {
    /// `xActiveTimerList1` and `xActiveTimerList2` of timers.c.
    lists: Vec<u32>,
    end: u32,
    end_next: Field,
    span: u32,
    item_next: Field,
    item_owner: Field,
    item_offset: Option<u32>,
    item_read: u32,
    handles: Handles,
}

impl Timers {
    fn find(image: &Image, lists: &Lists, item: &Item) -> Self {
        let item_offset =
            image.types().find(TIMER[0].block).and_then(|timer| Some(timer.field("xTimerListItem")?.offset));
        let names = ["xActiveTimerList1", "xActiveTimerList2"];
        Self {
            lists: names.into_iter().filter_map(|name| image.symbols.address(name)).collect(),
            end: lists.end,
            end_next: lists.end_next,
            span: lists.span,
            item_next: item.next,
            item_owner: item.owner,
            item_offset,
            item_read: item.span,
            handles: Handles::find(image, &TIMER),
        }
    }

    /// The timers in one list: each item names its timer, in which it lies.
    fn listed(&self, target: &mut Target<'_, '_>, list: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let end = list.wrapping_add(self.end);
        let Some(head) = target.record(list, self.span) else { return found };
        let mut next = head.get(self.end_next);
        while next != end
            && found.len() < MAX_OBJECTS
            && target.visit(next)
            && let Some(item) = target.record(next, self.item_read)
        {
            let timer = item.get(self.item_owner);
            if self.item_offset.and_then(|offset| timer.checked_add(offset)) != Some(next) {
                break;
            }
            found.push(timer);
            next = item.get(self.item_next);
        }
        found
    }

    fn read(&self, target: &mut Target<'_, '_>) -> Vec<Placed> {
        let mut timers: Vec<u32> = self.lists.iter().flat_map(|list| self.listed(target, *list)).collect();
        timers.extend(self.handles.read(target).into_keys());
        timers.sort_unstable();
        timers.dedup();
        timers.into_iter().flat_map(|timer| self.handles.objects.at(target, timer, None)).collect()
    }
}
