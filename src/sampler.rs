//! Paces the reads of a source and makes an observation of each refresh.
//!
//! ```text
//!   refresh:  link ready?  ->  read what is wanted, joined  ->  kernel looks  ->  stacks refresh  ->  picture
//!                 |  no                                            | absent: bare metal
//!                 '-> the last snapshot again, with the reason
//! ```

pub mod budget;
pub mod detail;
pub mod epochs;
pub mod interest;
pub mod ladder;
pub mod observation;
pub mod stacks;
pub mod worst_case;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::{self, Faults};
use crate::image::Image;
use crate::image::layout::{self, Memory as Chip, Placed};
use crate::kernel::{self, Kernel, Look};
use crate::memory::{Memory, Sentinel};
use crate::model::picture::{self, Claim};
use crate::model::snapshot::{
    Health, Heap, Link, Measured, MemoryKind, MemoryMap, PartKind, Snapshot, StackKind, Target, Trust,
};
use crate::region::Region;
use crate::source::link::LinkCost;
use crate::source::{CoreStatus, Counters, ReadError, Source};
use crate::stack::{Paint, victim};
use budget::Plan;
use detail::Detail;
use epochs::{Epochs, News};
use interest::Interest;
use ladder::Ladder;
use observation::{Facts, Observation};
use stacks::Stacks;
use worst_case::WorstCases;

/// Bytes that one refresh may read, whatever the target's tables say.
const REFRESH_LIMIT: u32 = 1 << 20;
/// How often the core is asked what it does: its reset flag is sticky, so nothing is missed in between.
const STATUS_PERIOD: Duration = Duration::from_millis(100);
/// How old a walk over a heap may be in a steady refresh: at 30 Hz and below, each refresh walks.
const SLOW_PERIOD: Duration = Duration::from_millis(30);
/// Samples of 16 bytes that are compared with the ELF after an attach and each reset.
const SAMPLES: usize = 8;

/// How to sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Refreshes per second; `None` for as many as the link gives.
    pub rate_hz: Option<f64>,
}

/// Samples one target.
pub struct Sampler {
    source: Box<dyn Source>,
    image: Arc<Image>,
    chips: Vec<Chip>,
    placed: Vec<Placed>,
    options: Options,
    cost: LinkCost,
    kernel: Option<Box<dyn Kernel>>,
    fallback: Box<dyn Kernel>,
    stacks: Stacks,
    worst_cases: WorstCases,
    interest: Interest,
    detail: Detail,
    ladder: Ladder,
    last: Snapshot,
    facts: Facts,
    epochs: Epochs,
    sentinel: Option<Sentinel>,
    verified: bool,
    differing: Option<String>,
    last_status: Option<Duration>,
    last_faults: Option<Duration>,
    refreshes: VecDeque<Duration>,
}

impl Sampler {
    /// A sampler of the firmware `image` on `source`, in the given memories. Measures the link first.
    ///
    /// # Errors
    ///
    /// The link went away meanwhile.
    pub fn new(
        mut source: Box<dyn Source>,
        image: Arc<Image>,
        chips: Vec<Chip>,
        options: Options,
    ) -> Result<Self, ReadError> {
        let (kernel, fallback) = kernel::detect(&image, &chips);
        // A reset that lies before the attach is not news.
        source.status()?;
        let cost = match chips.iter().find(|memory| memory.kind == MemoryKind::Ram) {
            Some(ram) => LinkCost::measure(source.as_mut(), ram.range).unwrap_or_default(),
            None => LinkCost::default(),
        };
        let now = source.now();
        let mut last = static_snapshot(&image, &chips);
        last.target = describe(&image, source.as_ref());
        Ok(Self {
            placed: layout::placed(&image),
            last,
            sentinel: sentinel(&image),
            image,
            chips,
            options,
            cost,
            kernel,
            fallback,
            stacks: Stacks::default(),
            worst_cases: WorstCases::default(),
            interest: Interest::default(),
            detail: Detail::default(),
            ladder: Ladder::new(now),
            facts: Facts::default(),
            epochs: Epochs::default(),
            verified: false,
            differing: None,
            last_status: None,
            last_faults: None,
            refreshes: VecDeque::new(),
            source,
        })
    }

    /// Reads the target once.
    pub fn refresh(&mut self) -> Observation {
        self.observe(Depth::Steady)
    }

    /// Reads the target once, and every untouched byte of every stack, so that each mark is exact.
    pub fn refresh_thoroughly(&mut self) -> Observation {
        self.observe(Depth::Thorough)
    }

    /// Lets the time to the next refresh pass, `spent` of which is gone already.
    pub fn wait(&mut self, spent: Duration) {
        self.wait_at_most(spent, Duration::MAX);
    }

    /// Lets the time to the next refresh pass, but not more than `limit`.
    pub fn wait_at_most(&mut self, spent: Duration, limit: Duration) {
        let period = match self.last.health {
            Health::Reconnecting { .. } => Some(Duration::from_millis(50)),
            _ => self.options.rate_hz.map(|hz| Duration::from_secs_f64(1.0 / hz.max(0.01))),
        };
        if let Some(rest) = period.and_then(|period| period.checked_sub(spent)) {
            self.source.wait(rest.min(limit));
        }
    }

    /// Time since the source was opened.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.source.now()
    }

    /// Where a screen says which stack it wants word by word.
    #[must_use]
    pub fn interest(&self) -> Interest {
        self.interest.clone()
    }

    /// What the link was measured to cost.
    #[must_use]
    pub fn cost(&self) -> LinkCost {
        self.cost
    }

    /// What differs between the ELF and the target, when it was compared and something does.
    ///
    /// # Errors
    ///
    /// The link went away.
    pub fn verify(&mut self) -> Result<Option<String>, ReadError> {
        let mut differing = Vec::new();
        let samples = self.image.samples(SAMPLES);
        for (range, expected) in &samples {
            let mut found = vec![0; expected.len()];
            match self.source.read(*range, &mut found) {
                Ok(()) if found != *expected => differing.push(*range),
                Ok(()) | Err(ReadError::Unreadable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.verified = true;
        self.differing = differing.first().map(|first| {
            format!(
                "{} of {} samples of its flash differ from {}, the first at {}",
                differing.len(),
                samples.len(),
                self.image.name(),
                crate::units::address(first.start().into())
            )
        });
        Ok(self.differing.clone())
    }

    fn observe(&mut self, depth: Depth) -> Observation {
        let before = self.source.counters();
        let outcome = if self.ladder.ready(self.source.as_mut()) {
            self.try_refresh(depth)
        } else {
            Err(ReadError::Gone(String::new()))
        };
        let now = self.source.now();
        let hz = self.achieved(now, outcome.is_ok());
        match outcome {
            Ok(refreshed) => {
                self.ladder.succeed(now);
                self.last = refreshed;
                self.last.health = Health::Live;
            }
            Err(error) => {
                if !matches!(&error, ReadError::Gone(why) if why.is_empty()) {
                    self.ladder.fail(&error, now);
                }
                self.last.health = self.ladder.health(&error.to_string());
            }
        }
        self.last.at = now;
        self.last.epoch = self.epochs.count();
        self.last.target =
            Target { kernel: self.last.target.kernel.take(), ..describe(&self.image, self.source.as_ref()) };
        self.last.link = Link { refresh_hz: hz, gaps: self.last.link.gaps, ..link(&before, &self.source.counters()) };
        Observation { snapshot: self.last.clone(), facts: self.facts.clone() }
    }

    /// One refresh over a link that is believed to work.
    fn try_refresh(&mut self, depth: Depth) -> Result<Snapshot, ReadError> {
        self.ask_core()?;
        if !self.verified {
            self.verify()?;
        }
        let plan = self.plan();
        let max_age = match depth {
            Depth::Steady => SLOW_PERIOD,
            Depth::Thorough => Duration::ZERO,
        };
        let mut memory = Memory::new(self.source.as_mut(), self.cost, REFRESH_LIMIT)
            .with_max_age(max_age)
            .with_sentinel(self.sentinel);
        let mut wants = self.kernel.as_ref().map(|kernel| kernel.wants()).unwrap_or_default();
        wants.extend(self.stacks.wants(&plan));
        memory.prefetch(&wants);
        let (kernel_name, look) = look(self.kernel.as_mut(), self.fallback.as_mut(), &mut memory, &self.image);
        self.facts.agent_missing = self.kernel.is_some() && look.heartbeat.is_none();
        if let Some(failure) = memory.failure() {
            return Err(failure.clone());
        }
        if self.last_faults.is_none_or(|last| memory.now().saturating_sub(last) >= max_age) {
            self.last_faults = Some(memory.now());
            self.facts.faults = memory.words(fault::REGISTERS).as_deref().and_then(Faults::from_words);
        }
        let news = look.boots.map_or(News::None, |boots| self.epochs.boots(boots, memory.now()));
        if news != News::None {
            // What was read of the stacks until now may be the old run's, before the new one painted them.
            self.stacks.clear();
            self.detail = Detail::default();
            self.verified = false;
        }
        self.facts.wrong_elf = self.differing.clone().or_else(|| other_build(&self.image, look.build_id));
        let now = memory.now();
        let mut stacks = self.stacks.refresh(&mut memory, &look.stacks, &plan, now);
        if depth == Depth::Thorough {
            stacks = self.stacks.finish(&mut memory, &look.stacks, now);
        }
        let looked_at = self.interest.get().and_then(|id| {
            let stack = stacks.iter().find(|stack| stack.id == id)?;
            Some((stack, look.stacks.iter().find(|look| look.id == id)?.paint))
        });
        let detail = match looked_at {
            Some((stack, paint)) => {
                let budget = budget::detail(&self.cost, self.options.rate_hz.map(|hz| 1.0 / hz.max(0.01)));
                self.detail.refresh(&mut memory, &self.image, stack, paint, budget, now)
            }
            // Nobody looks: what was read before is old when somebody looks again.
            None => {
                self.detail = Detail::default();
                None
            }
        };
        if let Some(failure) = memory.failure() {
            return Err(failure.clone());
        }
        let gaps = u32::try_from(memory.gaps().len()).unwrap_or(u32::MAX);
        self.facts.heartbeat = look.heartbeat;
        self.facts.refused = look.refused;
        let memories = draw(&self.chips, &look, &self.placed);
        for stack in &mut stacks {
            stack.victim = victim::below(stack.range, &memories, &self.image);
        }
        let mut hints = look.hints;
        hints.extend(self.worst_cases.tell(&self.image, &look.stacks, &mut stacks));
        let mut target = self.last.target.clone();
        target.kernel = Some(kernel_name);
        Ok(Snapshot {
            memories,
            stacks,
            heaps: look.heaps.iter().map(heap).collect(),
            hints,
            detail,
            target,
            link: Link { gaps, ..Link::default() },
            ..self.last.clone()
        })
    }

    /// Asks the core what it does, now and then, and begins a new epoch when it was reset.
    fn ask_core(&mut self) -> Result<(), ReadError> {
        let now = self.source.now();
        let due = self.last_status.is_none_or(|last| now.saturating_sub(last) >= STATUS_PERIOD);
        self.facts.core = None;
        if !due {
            return Ok(());
        }
        let status = self.source.status()?;
        self.last_status = Some(now);
        self.facts.core = Some(status);
        if status == CoreStatus::WasReset {
            self.epochs.flag(now);
            self.last_faults = None;
            self.stacks.clear();
            self.detail = Detail::default();
            self.verified = false;
            let (kernel, fallback) = kernel::detect(&self.image, &self.chips);
            self.kernel = kernel;
            self.fallback = fallback;
        }
        Ok(())
    }

    fn plan(&self) -> Plan {
        let fixed = self.kernel.as_ref().map(|kernel| kernel.wants()).unwrap_or_default();
        let period = self.options.rate_hz.map(|hz| 1.0 / hz.max(0.01));
        budget::plan(&self.cost, period, self.stacks.len(), &fixed, self.image.largest_hole())
    }

    /// Refreshes per second over the last second.
    fn achieved(&mut self, now: Duration, came_through: bool) -> f64 {
        if came_through {
            self.refreshes.push_back(now);
        }
        while self.refreshes.front().is_some_and(|first| now.saturating_sub(*first) > Duration::from_secs(1)) {
            self.refreshes.pop_front();
        }
        match (self.refreshes.front(), self.refreshes.back()) {
            (Some(first), Some(last)) if last > first => {
                (self.refreshes.len() - 1) as f64 / (*last - *first).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

/// How much one refresh reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// What moves.
    Steady,
    /// Everything below the marks too.
    Thorough,
}

/// A word of the firmware's flash that tells a sleeping target from zeros.
fn sentinel(image: &Image) -> Option<Sentinel> {
    image.samples(SAMPLES).into_iter().find_map(|(range, bytes)| {
        let word = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
        (word != 0).then(|| Sentinel { address: range.start(), word })
    })
}

/// What the kernel tells, or else the bare-metal picture.
fn look(
    kernel: Option<&mut Box<dyn Kernel>>,
    fallback: &mut dyn Kernel,
    memory: &mut Memory<'_>,
    image: &Image,
) -> (String, Look) {
    let Some(kernel) = kernel else {
        return (fallback.name(), fallback.look(memory, image).unwrap_or_default());
    };
    if let Some(look) = kernel.look(memory, image) {
        return (kernel.name(), look);
    }
    // The firmware has not come as far as to set its block up, so it may not have painted its stacks either.
    let mut look = fallback.look(memory, image).unwrap_or_default();
    for stack in &mut look.stacks {
        stack.paint = Paint::None;
    }
    look.hints = vec!["The agent's block is not there (yet): only what the ELF says of the memory is shown.".into()];
    (fallback.name(), look)
}

/// The memory map of one look.
fn draw(chips: &[Chip], look: &Look, placed: &[Placed]) -> Vec<MemoryMap> {
    // What is left of a heap is in use when its holes are known, and anything when they are not.
    let rest = |index: usize| match look.heaps.get(index).and_then(|heap| heap.free.as_ref()) {
        Some(_) => PartKind::Block,
        None => PartKind::Blocks,
    };
    picture::draw(chips, &claims(look, placed), &rest)
}

/// Everything that claims memory, the most precise first.
fn claims(look: &Look, placed: &[Placed]) -> Vec<Claim> {
    let in_heap = |range: Region| look.heaps.iter().any(|heap| heap.range.covers(range));
    let mut claims = Vec::new();
    for (index, stack) in look.stacks.iter().enumerate() {
        let name = match stack.kind {
            StackKind::User => stack.name.clone(),
            _ => format!("{} stack", stack.name),
        };
        let placed = Placed { name, kind: PartKind::Stack, range: stack.range };
        claims.push(Claim { placed, is_static: !in_heap(stack.range), index: Some(index) });
    }
    // A region that the linker has a wider section of the same kind for is told by that.
    let told = |named: &Placed| {
        placed.iter().any(|section| {
            section.kind == named.kind && section.range.covers(named.range) && section.range != named.range
        })
    };
    for named in look.named.iter().filter(|named| !told(named)) {
        claims.push(Claim { placed: named.clone(), is_static: !in_heap(named.range), index: None });
    }
    for hole in look.heaps.iter().filter_map(|heap| heap.free.as_ref()).flatten() {
        let placed = Placed { name: "free".into(), kind: PartKind::Free, range: *hole };
        claims.push(Claim { placed, is_static: false, index: None });
    }
    for (index, heap) in look.heaps.iter().enumerate() {
        let placed = Placed { name: heap.name.clone(), kind: PartKind::Heap, range: heap.range };
        claims.push(Claim { placed, is_static: true, index: Some(index) });
    }
    claims.extend(placed.iter().map(|placed| Claim { placed: placed.clone(), is_static: true, index: None }));
    claims
}

fn heap(look: &crate::heap::HeapLook) -> Heap {
    Heap {
        name: look.name.clone(),
        range: look.range,
        used: look.used,
        peak: look.peak,
        largest_free: look
            .free
            .as_ref()
            .map(|free| free.iter().map(|hole| hole.size()).max().unwrap_or(0))
            .map(|bytes| Measured { bytes, trust: Trust::Exact }),
        requested: look.requested,
        requested_peak: look.requested_peak,
        blocks: look.blocks,
        overhead: None,
        failures: look.failures,
        allocations: look.allocations,
        high_water: look.top,
    }
}

fn describe(image: &Image, source: &dyn Source) -> Target {
    let description = source.describe();
    Target {
        elf: image.name(),
        build_id: build_id(image),
        chip: description.chip,
        core: description.core,
        kernel: None,
        source: description.source,
    }
}

/// What differs when the running firmware tells another build id than the ELF has.
fn other_build(image: &Image, running: Option<u64>) -> Option<String> {
    let symbol = image.symbols.get(kernel::agent::BUILD_ID_SYMBOL)?;
    let linked = u64::from_le_bytes(image.bytes(symbol.range.bottom(8))?.try_into().ok()?);
    let running = running.filter(|running| *running != linked)?;
    Some(format!("its build id is {running:016x}, and {} has {linked:016x}", image.name()))
}

/// The build id: the agent's when the ELF has one, else the linker's.
fn build_id(image: &Image) -> Option<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let agent =
        image.symbols.get(kernel::agent::BUILD_ID_SYMBOL).and_then(|symbol| image.bytes(symbol.range.bottom(8)));
    match agent {
        Some(bytes) => Some(hex(&bytes.iter().rev().copied().collect::<Vec<u8>>())),
        None => image.gnu_build_id.as_deref().map(hex),
    }
}

fn link(before: &Counters, after: &Counters) -> Link {
    let delta = |before: Option<u64>, after: Option<u64>| {
        Some(u32::try_from(after?.saturating_sub(before?)).unwrap_or(u32::MAX))
    };
    let total = |count: Option<u64>| count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Link {
        refresh_hz: 0.0,
        transactions_per_refresh: delta(before.transactions, after.transactions),
        usb_commands_per_refresh: delta(before.usb_commands, after.usb_commands),
        bytes_per_refresh: u32::try_from(after.bytes.saturating_sub(before.bytes)).unwrap_or(u32::MAX),
        halts: total(after.halts),
        writes: total(after.writes),
        gaps: 0,
        drops: 0,
    }
}

/// The picture without a target.
#[must_use]
pub fn static_snapshot(image: &Image, chips: &[Chip]) -> Snapshot {
    let placed = layout::placed(image);
    let mut look = Look::default();
    if let Some(range) = layout::heap(image) {
        look.heaps.push(crate::heap::HeapLook::unknown("heap", range));
    }
    if let Some(range) = layout::main_stack(image, chips) {
        look.stacks.push(kernel::StackLook {
            id: format!("{:08x}", range.start()),
            name: "main".into(),
            kind: StackKind::Main,
            range,
            paint: Paint::None,
            guard: 0,
            entry: layout::reset_handler(image),
            current: None,
            lowest_sp: None,
            priority: None,
            state: None,
        });
    }
    let memories = draw(chips, &look, &placed);
    let mut stacks = Stacks::default().refresh_none(&look.stacks);
    for stack in &mut stacks {
        stack.victim = victim::below(stack.range, &memories, image);
    }
    let hints = WorstCases::default().tell(image, &look.stacks, &mut stacks);
    Snapshot {
        at: Duration::ZERO,
        epoch: 0,
        target: Target { elf: image.name(), build_id: build_id(image), source: "file".into(), ..Target::default() },
        health: Health::Static,
        memories,
        stacks,
        heaps: look.heaps.iter().map(heap).collect(),
        link: Link::default(),
        hints: hints.into_iter().collect(),
        detail: None,
    }
}
