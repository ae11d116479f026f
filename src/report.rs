//! The output contract that scripts rely on: `highwater/report@1`.
//!
//! Addresses and sizes are integers, in bytes. The parts of one region add up to it, and so do those of one memory.
//! What is not known is `null`. The schema grows; nothing in it changes its meaning without a new number.

mod catches;
pub mod schema;

pub use catches::{AimReport, CallReport, CatchReport, PieceReport, TripwireReport};

use std::time::Duration;

use serde::Serialize;

use crate::heap::fit::Fit;
use crate::model::Model;
use crate::model::event::{Event, EventKind};
use crate::model::question::{Demand, Question};
use crate::model::snapshot::{
    Block, BlockState, Health, Heap, MemoryKind, MemoryMap, Owner, Part, PartKind, SizeClass, Stack, StackKind,
    Suspect, Trust, Unwalked, Victim,
};
use crate::sizing::Suggestion;

/// The schema's name and version.
pub const SCHEMA: &str = "highwater/report@1";
/// The most blocks of one heap that are listed.
const LISTED_BLOCKS: usize = 1000;

/// Events in a report.
const MOST_EVENTS: usize = 200;

/// One report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// Seconds since the attach.
    pub at_s: f64,
    /// Resets seen since the attach.
    pub epoch: u32,
    /// `static`, `saved`, `live`, `stale` or `reconnecting`.
    pub state: &'static str,
    /// What was looked at.
    pub target: Target,
    /// Every memory and what lies in it. A memory itself has the kind `memory` and no parent.
    pub regions: Vec<Region>,
    /// From which share on stacks and heaps are called nearly full.
    pub limits: LimitsReport,
    /// Every stack.
    pub stacks: Vec<StackReport>,
    /// Every heap.
    pub heaps: Vec<HeapReport>,
    /// What is wrong now, worst first.
    pub alerts: Vec<AlertReport>,
    /// What happened lately, oldest first: the newest 200 at most.
    pub events: Vec<EventReport>,
    /// What the link did.
    pub link: LinkReport,
    /// What is not known and how to know it, in whole sentences.
    pub hints: Vec<String>,
    /// The tripwire; `null` when this run has none.
    pub tripwire: Option<TripwireReport>,
    /// The stores that it caught, the oldest first.
    pub catches: Vec<CatchReport>,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Target {
    /// File name of the ELF.
    pub elf: String,
    /// Build id in hexadecimal.
    pub build_id: Option<String>,
    /// The chip.
    pub chip: Option<String>,
    /// The core.
    pub core: Option<String>,
    /// Who told of the threads.
    pub kernel: Option<String>,
    /// Where the bytes came from.
    pub source: String,
}

/// A range of memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Region {
    /// Unique in the report, stable across reports.
    pub id: String,
    /// The region it lies in; `null` for a memory.
    pub parent: Option<String>,
    /// `ram` or `flash`.
    pub memory: &'static str,
    /// What it is: `memory`, `stack`, `heap`, `bss`, `unclaimed`, and so on.
    pub kind: &'static str,
    /// What a person calls it.
    pub name: String,
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Fixed at link time.
    #[serde(rename = "static")]
    pub is_static: bool,
    /// Room that the linker left for a stack, and no reservation: it does not count as used.
    #[serde(rename = "room")]
    pub is_room: bool,
    /// The size is known; false for a memory that only spans what the ELF puts there.
    pub size_known: bool,
}

/// Limits, in percent of the size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LimitsReport {
    /// Of a stack, by its deepest use.
    pub stack_percent: u8,
    /// Of a heap, by its peak.
    pub heap_percent: u8,
    /// Of what is free in a heap, by how much of it is outside of the largest piece.
    pub fragmentation_percent: u8,
}

/// A stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StackReport {
    /// Address and generation: tells two threads of one name apart.
    pub id: String,
    /// The thread's name.
    pub name: String,
    /// `main`, `isr`, `idle`, `timer` or `user`.
    pub kind: &'static str,
    /// First address: the limit, as the stack grows down.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes in use now, or at the last switch out.
    pub current: Option<u32>,
    /// What that is worth; `null` when it is not known.
    pub current_trust: Option<&'static str>,
    /// Bytes in use at the lowest SP seen.
    pub lowest_sp_used: Option<u32>,
    /// Bytes down to the deepest word ever written.
    pub peak: Option<u32>,
    /// Static worst case in bytes.
    pub worst_case: Option<u32>,
    /// What the static worst case is worth: `estimated` when it is a bound, `at least` when something in it could not be
    /// followed.
    pub worst_case_trust: Option<&'static str>,
    /// Why the static worst case is no bound, in one sentence.
    pub worst_case_note: Option<String>,
    /// The size to choose, in bytes.
    pub suggested: Option<u32>,
    /// What that rests on: `bound`, `measured` (this run, to the byte) or `at least`.
    pub suggested_trust: Option<&'static str>,
    /// How it came to that, or why there is none, in one sentence.
    pub suggested_because: String,
    /// Bytes never used.
    pub margin: Option<u32>,
    /// What the peak is worth: `exact`, `at least`, `unpainted`, and so on.
    pub trust: &'static str,
    /// What an overflow hits next.
    pub victim: Option<String>,
    /// What that is: a static's type, or who asked for a heap block.
    pub victim_is: Option<String>,
    /// The guard is broken.
    pub overflowed: bool,
    /// The word at the limit was read, and is as its kernel or the paint left it: where it is not, that nothing overflowed is not
    /// known.
    pub limit_whole: bool,
    /// The thread's priority as its kernel counts it.
    pub priority: Option<i32>,
    /// What the thread does, in a word.
    pub state: Option<String>,
    /// The share of the time in which the thread ran lately, in percent, where its kernel counts that.
    pub cpu_percent: Option<f32>,
}

/// A heap.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HeapReport {
    /// Its address: tells two heaps of one name apart.
    pub id: String,
    /// Its name: the object that holds it, where one does.
    pub name: String,
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes in use.
    pub used: Option<u32>,
    /// The most bytes ever in use.
    pub peak: Option<u32>,
    /// What that is worth; `null` when it is not known.
    pub peak_trust: Option<&'static str>,
    /// Bytes not in use: with `used` they make the size.
    pub free: Option<u32>,
    /// The largest free block.
    pub largest_free: Option<u32>,
    /// What that is worth; `null` when it is not known.
    pub largest_free_trust: Option<&'static str>,
    /// Blocks in use.
    pub blocks: Option<u32>,
    /// The allocator's own bytes within `used`.
    pub overhead: Option<u32>,
    /// Allocations that failed.
    pub failures: Option<u32>,
    /// Allocations since the start, modulo 2^32; `null` when nobody counts them.
    pub allocations: Option<u32>,
    /// Allocations in a second, over the last two.
    pub allocations_per_second: Option<f64>,
    /// `1 - largest_free / free`.
    pub fragmentation: Option<f64>,
    /// What the numbers are worth.
    pub trust: &'static str,
    /// The allocator whose structures were walked; `null` when none was.
    pub allocator: Option<&'static str>,
    /// The allocators that may hand it out by the symbols of the ELF; empty where its structures were walked.
    pub linked_allocators: Vec<&'static str>,
    /// Why no structures were walked, as part of a sentence; `null` where they were, and without a target.
    pub not_walked: Option<String>,
    /// The allocator's own bytes as a share of `used`, from 0 to 1.
    pub overhead_share: Option<f64>,
    /// How many blocks there are of each size, by powers of two; `null` when blocks are not known.
    pub sizes: Option<Vec<SizeReport>>,
    /// The blocks in address order, at most the first 1000; `null` when they are not known.
    pub block_list: Option<Vec<BlockReport>>,
    /// Where its structures make no sense.
    pub damage: Option<DamageReport>,
    /// Who holds the memory; `null` when nobody keeps account of it.
    pub owners: Option<Vec<OwnerReport>>,
    /// What the owners are worth; `null` when there are none.
    pub owners_trust: Option<&'static str>,
    /// How long ago the blocks were last known to be as they are told here, in seconds: 0 or a few milliseconds unless
    /// they are stale; `null` when nobody walked them.
    pub age_s: Option<f64>,
    /// Bytes that the last failed allocation asked for.
    pub failed_size: Option<u32>,
    /// Whether a block of the size that was asked about would fit now; `null` when nobody asked.
    pub would_fit: Option<FitReport>,
}

/// Whether a block would fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FitReport {
    /// Bytes that were asked about.
    pub size: u32,
    /// Whose stack has so many; `null` when a number of bytes was asked about.
    pub stack: Option<String>,
    /// Bytes of its thread's control block, which is counted too; `null` when it does not come from the same heap.
    pub control_block: Option<u32>,
    /// Their alignment in bytes.
    pub align: u32,
    /// Yes or no; `null` when that is not known.
    pub fits: Option<bool>,
    /// Why it is not known, as part of a sentence; `null` when it is.
    pub not_known: Option<String>,
    /// Address of the block that it would be, header included; `null` also where the allocator's rule tells only that it fits.
    pub at: Option<u32>,
    /// Bytes of the largest free block that would be left.
    pub largest_left: Option<u32>,
    /// Bytes that it needs in one piece, header and rounding included, when it does not fit.
    pub needs: Option<u32>,
    /// The smallest block that would have to go for it to fit.
    pub in_the_way: Option<InTheWay>,
}

/// A block that is in the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InTheWay {
    /// First address.
    pub start: u32,
    /// Bytes, header and rounding included.
    pub size: u32,
    /// What it holds, or the function that asked for it.
    pub name: String,
}

/// Blocks of about one size.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SizeReport {
    /// The largest payload that counts here, in bytes.
    pub up_to: u32,
    /// Blocks in use; `null` when what is in use cannot be told apart into blocks.
    pub used: Option<u32>,
    /// Free blocks.
    pub free: u32,
}

/// A block of a heap.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlockReport {
    /// First address, that of its header.
    pub start: u64,
    /// Bytes, with its header.
    pub size: u64,
    /// First address that its owner may use.
    pub payload: u64,
    /// `used`, `free`, `own` (the allocator's), `stretch` (in use, one block or several) or `lost` (behind damage).
    pub state: &'static str,
}

/// Where a heap's structures make no sense.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DamageReport {
    /// The address of the word that cannot be right.
    pub address: u64,
    /// What is wrong with it.
    pub what: String,
    /// First address of what may have written there: of the block before it, past its end, or of a stack above that overflowed.
    pub suspect: Option<u64>,
    /// That stack's name; `null` when it is a block.
    pub suspect_stack: Option<String>,
}

/// A call site that holds memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnerReport {
    /// The function.
    pub function: String,
    /// Its source file.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
    /// Blocks it holds.
    pub blocks: u32,
    /// Bytes it holds.
    pub bytes: u32,
    /// How fast that grows.
    pub bytes_per_minute: Option<f64>,
}

/// An alert that holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AlertReport {
    /// `overflow`, `stack_limit`, `heap_failure`, and so on.
    pub kind: &'static str,
    /// `danger`, `warning` or `info`.
    pub severity: &'static str,
    /// Whom it concerns.
    pub subject: String,
    /// The id of the stack or heap that it concerns; `null` when it concerns neither.
    pub id: Option<String>,
    /// The whole sentence.
    pub text: String,
    /// When it began, in seconds since the attach.
    pub since_s: f64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventReport {
    /// When it was seen, in seconds since the attach.
    pub at_s: f64,
    /// In which run of the target.
    pub epoch: u32,
    /// `started`, `gone`, `new_mark`, `reset`, `alert`, `alert_over`, `link_lost` or `link_back`.
    pub kind: &'static str,
    /// Whom it concerns.
    pub subject: String,
    /// What happened, in a few words.
    pub text: String,
    /// The calls that set a mark, the innermost first; `null` where nobody caught them.
    pub calls: Option<Vec<String>>,
}

/// What the link did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LinkReport {
    /// Refreshes per second, over the last second.
    pub refresh_hz: f64,
    /// SWD transactions of the last refresh.
    pub transactions_per_refresh: Option<u32>,
    /// USB commands of the last refresh.
    pub usb_commands_per_refresh: Option<u32>,
    /// Bytes of the last refresh.
    pub bytes_per_refresh: u32,
    /// Times the core was stopped since the attach; `null` where the probe cannot count it.
    pub halts: Option<u32>,
    /// Writes to the target since the attach, words of memory and registers alike; `null` where the probe cannot count
    /// it.
    pub writes: Option<u32>,
    /// Ranges that could not be read in the last refresh.
    pub gaps: u32,
}

impl Report {
    /// What the model knows.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let snapshot = &model.snapshot;
        let target = &snapshot.target;
        let link = &snapshot.link;
        Self {
            schema: SCHEMA,
            at_s: seconds(snapshot.at),
            epoch: snapshot.epoch,
            state: match snapshot.health {
                Health::Static => "static",
                Health::Saved => "saved",
                Health::Live => "live",
                Health::Stale { .. } => "stale",
                Health::Reconnecting { .. } => "reconnecting",
            },
            target: Target {
                elf: target.elf.clone(),
                build_id: target.build_id.clone(),
                chip: target.chip.clone(),
                core: target.core.clone(),
                kernel: target.kernel.clone(),
                source: target.source.clone(),
            },
            regions: snapshot.memories.iter().flat_map(memory).collect(),
            limits: LimitsReport {
                stack_percent: model.limits().stack_percent,
                heap_percent: model.limits().heap_percent,
                fragmentation_percent: model.limits().fragmentation_percent,
            },
            stacks: snapshot.stacks.iter().map(|one| stack(one, model.suggestion(one))).collect(),
            heaps: snapshot.heaps.iter().map(|told| heap(told, snapshot.at)).collect(),
            alerts: model.active_alerts().map(alert).collect(),
            events: model
                .events
                .iter()
                .skip(model.events.iter().len().saturating_sub(MOST_EVENTS))
                .map(event)
                .collect(),
            link: LinkReport {
                refresh_hz: (link.refresh_hz * 10.0).round() / 10.0,
                transactions_per_refresh: link.transactions_per_refresh,
                usb_commands_per_refresh: link.usb_commands_per_refresh,
                bytes_per_refresh: link.bytes_per_refresh,
                halts: link.halts,
                writes: link.writes,
                gaps: link.gaps,
            },
            hints: snapshot.hints.clone(),
            tripwire: snapshot.tripwire.as_ref().map(catches::tripwire),
            catches: snapshot.tripwire.iter().flat_map(|tripwire| &tripwire.catches).map(catches::catch).collect(),
        }
    }
}

impl Report {
    /// The same with the answer for each heap: whether it would fit now.
    ///
    /// # Errors
    ///
    /// There is no stack of the name that was asked about.
    pub fn with_fit(mut self, model: &Model, question: &Question, align: u32) -> Result<Self, String> {
        for (report, heap) in self.heaps.iter_mut().zip(&model.snapshot.heaps) {
            let demand = question.demand(&model.snapshot, heap)?;
            let stack = question.stack().map(str::to_owned);
            report.would_fit = Some(FitReport { stack, ..fit(heap, demand, align) });
        }
        Ok(self)
    }
}

/// Whether all that is asked for, aligned to `align`, would fit into a heap now.
#[must_use]
pub fn fit(heap: &Heap, demand: Demand, align: u32) -> FitReport {
    let none = FitReport {
        size: demand.bytes,
        stack: None,
        control_block: demand.control_block,
        align,
        fits: None,
        not_known: None,
        at: None,
        largest_left: None,
        needs: None,
        in_the_way: None,
    };
    match heap.fit(demand, align) {
        Fit::Yes { at, left, .. } => {
            FitReport { fits: Some(true), at: Some(at.start()), largest_left: Some(left), ..none }
        }
        Fit::No { needs, in_the_way } => FitReport {
            fits: Some(false),
            needs: Some(needs),
            in_the_way: in_the_way.map(|block| InTheWay {
                start: block.start(),
                size: block.size(),
                name: heap.block_name(block.start()),
            }),
            ..none
        },
        Fit::TooLarge { needs } => FitReport { fits: Some(false), needs: Some(needs), ..none },
        Fit::Granted => FitReport { fits: Some(true), ..none },
        Fit::Unknown(unsure) => FitReport { not_known: Some(heap.why(unsure)), ..none },
    }
}

fn owner(owner: &Owner) -> OwnerReport {
    OwnerReport {
        function: owner.site.short().to_owned(),
        file: owner.site.file.clone(),
        line: owner.site.line,
        blocks: owner.blocks,
        bytes: owner.bytes,
        bytes_per_minute: owner.growth.map(f64::round),
    }
}

/// Seconds to the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn memory(map: &MemoryMap) -> Vec<Region> {
    let memory = match map.kind {
        MemoryKind::Ram => "ram",
        MemoryKind::Flash => "flash",
    };
    let id = map.name.to_lowercase().replace(' ', "-");
    let mut regions = vec![Region {
        id: id.clone(),
        parent: None,
        memory,
        kind: "memory",
        name: map.name.clone(),
        start: map.range.start().into(),
        size: map.range.size().into(),
        is_static: true,
        is_room: false,
        size_known: map.size_known,
    }];
    add_parts(&mut regions, &id, memory, &map.parts);
    regions
}

fn add_parts(regions: &mut Vec<Region>, parent: &str, memory: &'static str, parts: &[Part]) {
    for part in parts {
        regions.push(Region {
            id: part.id.clone(),
            parent: Some(parent.into()),
            memory,
            kind: part_kind(part.kind),
            name: part.name.clone(),
            start: part.range.start().into(),
            size: part.range.size().into(),
            is_static: part.is_static,
            is_room: part.is_room,
            size_known: true,
        });
        add_parts(regions, &part.id, memory, &part.parts);
    }
}

/// The contract's word for a kind of part.
#[must_use]
pub fn part_kind(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Vectors => "vectors",
        PartKind::Bootloader => "bootloader",
        PartKind::Code => "code",
        PartKind::Constants => "constants",
        PartKind::DataImage => "data_image",
        PartKind::Data => "data",
        PartKind::Bss => "bss",
        PartKind::Uninit => "uninit",
        PartKind::Stack => "stack",
        PartKind::Heap => "heap",
        PartKind::Block => "block",
        PartKind::Free => "free",
        PartKind::Blocks => "blocks",
        PartKind::Buffer => "buffer",
        PartKind::Other => "other",
        PartKind::Unclaimed => "unclaimed",
    }
}

/// The contract's word for what a number is worth.
#[must_use]
pub fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Exact => "exact",
        Trust::AtLeast => "at least",
        Trust::Estimated => "estimated",
        Trust::Torn => "torn",
        Trust::Stale => "stale",
        Trust::Unpainted => "unpainted",
        Trust::Gap => "gap",
    }
}

fn stack(stack: &Stack, suggestion: Suggestion) -> StackReport {
    StackReport {
        id: stack.id.clone(),
        name: stack.name.clone(),
        kind: match stack.kind {
            StackKind::Main => "main",
            StackKind::Isr => "isr",
            StackKind::Idle => "idle",
            StackKind::Timer => "timer",
            StackKind::User => "user",
        },
        start: stack.range.start().into(),
        size: stack.range.size().into(),
        current: stack.current.map(|current| current.bytes),
        current_trust: stack.current.map(|current| trust(current.trust)),
        lowest_sp_used: stack.lowest_sp.map(|lowest| lowest.bytes),
        peak: stack.peak.map(|peak| peak.bytes),
        worst_case: stack.worst_case.map(|worst| worst.bytes),
        worst_case_trust: stack.worst_case.map(|worst| trust(worst.trust)),
        worst_case_note: stack.worst_case_note.clone(),
        suggested: suggestion.size.map(|size| size.bytes),
        suggested_trust: suggestion.size.map(|size| size.basis.word()),
        suggested_because: suggestion.because,
        margin: stack.margin(),
        trust: trust(stack.peak.map_or(Trust::Unpainted, |peak| peak.trust)),
        victim: stack.victim.as_ref().map(|victim: &Victim| victim.name.clone()),
        victim_is: stack.victim.as_ref().and_then(|victim| victim.is.clone()),
        overflowed: stack.overflowed,
        limit_whole: stack.limit_whole,
        priority: stack.priority,
        state: stack.state.clone(),
        cpu_percent: stack.cpu.map(|share| share * 100.0),
    }
}

fn heap(heap: &Heap, now: Duration) -> HeapReport {
    HeapReport {
        id: heap.id(),
        name: heap.name.clone(),
        start: heap.range.start().into(),
        size: heap.range.size().into(),
        used: heap.used.map(|used| used.bytes),
        peak: heap.peak.map(|peak| peak.bytes),
        peak_trust: heap.peak.map(|peak| trust(peak.trust)),
        free: heap.free(),
        largest_free: heap.largest_free.map(|largest| largest.bytes),
        largest_free_trust: heap.largest_free.map(|largest| trust(largest.trust)),
        blocks: heap.in_use,
        overhead: heap.overhead,
        failures: heap.failures,
        allocations: heap.allocations,
        allocations_per_second: heap.alloc_rate,
        fragmentation: heap.fragmentation(),
        trust: trust(heap.used.map_or(Trust::Gap, |used| used.trust)),
        allocator: heap.allocator,
        linked_allocators: heap.unwalked.as_ref().map(Unwalked::allocators).unwrap_or_default(),
        not_walked: heap.unwalked.as_ref().map(Unwalked::to_string),
        overhead_share: heap.overhead_share(),
        sizes: heap.blocks.as_ref().map(|_| heap.sizes().into_iter().map(size).collect()),
        block_list: heap.blocks.as_ref().map(|blocks| blocks.iter().take(LISTED_BLOCKS).map(block).collect()),
        damage: heap.damage.as_ref().map(|damage| DamageReport {
            address: damage.address.into(),
            what: damage.what.clone(),
            suspect: damage.suspect.as_ref().map(|suspect| suspect.start().into()),
            suspect_stack: damage.suspect.as_ref().and_then(|suspect| match suspect {
                Suspect::Stack { name, .. } => Some(name.clone()),
                Suspect::Block(_) => None,
            }),
        }),
        owners: heap.owners.as_ref().map(|owners| owners.iter().map(owner).collect()),
        owners_trust: heap.owners.as_ref().map(|_| trust(heap.owners_trust)),
        age_s: heap.walked.map(|walked| seconds(now.saturating_sub(walked))),
        failed_size: heap.failed_size,
        would_fit: None,
    }
}

fn size(class: SizeClass) -> SizeReport {
    SizeReport { up_to: class.up_to, used: class.used, free: class.free }
}

fn block(block: &Block) -> BlockReport {
    BlockReport {
        start: block.range.start().into(),
        size: block.range.size().into(),
        payload: block.payload.start().into(),
        state: match block.state {
            BlockState::Used => "used",
            BlockState::Free => "free",
            BlockState::Own => "own",
            BlockState::Stretch => "stretch",
            BlockState::Lost => "lost",
        },
    }
}

fn event(event: &Event) -> EventReport {
    EventReport {
        at_s: seconds(event.at),
        epoch: event.epoch,
        kind: match event.kind {
            EventKind::Started => "started",
            EventKind::Gone => "gone",
            EventKind::Mark { .. } => "new_mark",
            EventKind::Reset => "reset",
            EventKind::AlertBegan(_) => "alert",
            EventKind::AlertEnded => "alert_over",
            EventKind::LinkLost => "link_lost",
            EventKind::LinkBack => "link_back",
            EventKind::Rebuilt => "rebuilt",
        },
        subject: event.subject.clone(),
        text: event.text.clone(),
        calls: event.calls.clone(),
    }
}

fn alert(alert: &crate::model::alert::Alert) -> AlertReport {
    use crate::model::alert::{AlertKind, Severity};
    AlertReport {
        kind: match alert.kind {
            AlertKind::Overflow => "overflow",
            AlertKind::Tripwire => "tripwire",
            AlertKind::Fault => "fault",
            AlertKind::HeapCorrupt => "heap_corrupt",
            AlertKind::HeapFailure => "heap_failure",
            AlertKind::StackLimit => "stack_limit",
            AlertKind::BlockOverStack => "block_over_stack",
            AlertKind::Leak => "leak",
            AlertKind::HeapLimit => "heap_limit",
            AlertKind::Fragmentation => "fragmentation",
            AlertKind::WrongElf => "wrong_elf",
            AlertKind::AgentMissing => "agent_missing",
            AlertKind::Stalled => "stalled",
            AlertKind::Reset => "reset",
            AlertKind::LinkLost => "link_lost",
            AlertKind::UnwrittenFrame => "unwritten_frame",
            AlertKind::Refused => "refused",
            AlertKind::Rebuilt => "rebuilt",
        },
        severity: match alert.severity {
            Severity::Danger => "danger",
            Severity::Warning => "warning",
            Severity::Info => "info",
        },
        subject: alert.subject.clone(),
        id: alert.stack.clone().or_else(|| alert.heap.clone()),
        text: alert.text.clone(),
        since_s: seconds(alert.since),
    }
}
