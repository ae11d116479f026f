//! Paces the reads of a source and makes an observation of each refresh.
//!
//! ```text
//!   refresh:  link ready?  ->  read what is wanted, joined  ->  kernel looks  ->  stacks refresh  ->  picture
//!                 |  no                                            | absent: bare metal
//!                 '-> the last snapshot again, with the reason
//! ```

pub mod budget;
mod compose;
mod confirm;
pub mod detail;
pub mod epochs;
mod identity;
pub mod interest;
pub mod ladder;
pub mod observation;
pub mod painter;
pub mod rebuilt;
pub mod stacks;
pub mod tripwire;
pub mod values;
mod witnesses;
pub mod worst_case;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::fault;
use crate::heap::blocks::Notes;
use crate::heap::sites::Sites;
use crate::heap::watch::Heaps;
use crate::image::Image;
use crate::image::layout::Memory as Chip;
use crate::kernel::{self, Kernel, Look};
use crate::memory::{Gap, Memory, Sentinel};
use crate::model::snapshot::{Excerpt, Health, Heap, Link, MemoryKind, Snapshot, Target};
use crate::region::{Region, merge};
use crate::source::control::awake::Awake;
use crate::source::gdb::NO_CONTENT;
use crate::source::link::LinkCost;
use crate::source::{CoreStatus, Counters, Depth, ReadError, Source};
use crate::stack::{Paint, victim};
use crate::units;
use budget::Plan;
use compose::Linked;
pub use compose::{first_snapshot, static_snapshot};
use detail::Detail;
use epochs::{Epochs, News, Witness};
use interest::{Interest, Wish};
use ladder::Ladder;
use observation::{Facts, Observation, OnDisk};
use painter::Painter;
use rebuilt::{FileNews, Newer};
use stacks::Stacks;
use tripwire::Tripwire;
use values::Values;
use witnesses::Witnesses;
use worst_case::WorstCases;

/// Bytes that one refresh may read, whatever the target's tables say.
const REFRESH_LIMIT: u32 = 1 << 20;
/// How often the core is asked what it does: its reset flag is sticky, so nothing is missed in between.
const STATUS_PERIOD: Duration = Duration::from_millis(100);
/// Between two walks over a heap, from beginning to beginning: at 30 Hz and below, each refresh walks.
const SLOW_PERIOD: Duration = Duration::from_millis(30);
/// The same when refreshes come as fast as the link lets them: then the stacks are what somebody wants to see often.
const FREE_PERIOD: Duration = Duration::from_millis(45);
/// Between two refreshes at least, when they come as fast as the link lets them: a refresh that needs next to nothing of an
/// emulated link would let no time pass.
const LEAST_PERIOD: Duration = Duration::from_millis(1);

/// Bytes that are read of the block that somebody looks at.
const EXCERPT: u32 = 64;

/// How to sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Refreshes per second; `None` for as many as the link gives.
    pub rate_hz: Option<f64>,
}

/// Samples one target.
pub struct Sampler {
    // Fields go in this order: what a tripwire changed is put back while the source still holds the target.
    tripwire: Option<Tripwire>,
    painter: Option<Painter>,
    awake: Option<Awake>,
    /// What helps against a target that does not answer because it sleeps.
    help_in_sleep: Option<&'static str>,
    source: Box<dyn Source>,
    image: Arc<Image>,
    chips: Vec<Chip>,
    /// Where memory may lie: nothing else is read but the core's registers.
    bounds: Vec<Region>,
    linked: Linked,
    options: Options,
    cost: LinkCost,
    kernel: Option<Box<dyn Kernel>>,
    fallback: Box<dyn Kernel>,
    heaps: Heaps,
    notes: Notes,
    stacks: Stacks,
    worst_cases: WorstCases,
    sites: Sites,
    interest: Interest,
    detail: Detail,
    values: Values,
    ladder: Ladder,
    faults: fault::Reader,
    last: Snapshot,
    facts: Facts,
    epochs: Epochs,
    witnesses: Witnesses,
    sentinel: Option<Sentinel>,
    verified: bool,
    differing: Option<String>,
    last_status: Option<Duration>,
    last_faults: Option<Duration>,
    refreshes: VecDeque<Duration>,
    paint_due: bool,
    newer: Option<Newer>,
    rebuilds: u32,
}

/// Where memory may lie on any Cortex-M: code, SRAM, and external RAM. What is between them are peripherals (ARM DDI 0403E
/// B3.1, ARM DDI 0553B B8.1).
const MEMORY_AREAS: [Region; 3] =
    [Region::new(0, 0x2000_0000), Region::new(0x2000_0000, 0x2000_0000), Region::new(0x6000_0000, 0x4000_0000)];

/// Where something may be read: the memories, joined where they touch. When nobody said how large one of them is, whatever
/// may be memory is open as well: a heap can lie where the ELF puts nothing.
fn bounds(chips: &[Chip]) -> Vec<Region> {
    let known: Vec<Region> = chips.iter().map(|chip| chip.range).collect();
    let mut bounds = merge(&known, 0);
    if chips.iter().any(|chip| !chip.size_known) {
        bounds.extend(MEMORY_AREAS);
    }
    bounds
}

/// What is said of a pointer into what may be memory and is not known to be.
fn astray(strays: &[Region], chip: Option<&str>) -> Option<String> {
    /// What is read through a null pointer lies below that.
    const NULL_END: u32 = 0x400;
    let may_be = |stray: &&Region| stray.start() >= NULL_END && MEMORY_AREAS.iter().any(|area| area.covers(**stray));
    let stray = strays.iter().find(may_be)?;
    let address = units::address(stray.start().into());
    let way = chip.map_or_else(
        || "--chip NAME tells of all that the chip has".to_owned(),
        |chip| format!("the description of {chip} has none there"),
    );
    Some(format!("something is kept at {address}, where no memory is known: {way}"))
}

/// What is said of a server that answers zeros for what it cannot read.
fn no_content(gaps: &[Gap]) -> Option<String> {
    let gap = gaps.iter().find(|gap| gap.why == NO_CONTENT)?;
    Some(format!("something is not known at {}: {NO_CONTENT}.", units::address(gap.range.start().into())))
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
        let heaps = Heaps::new(&image, &chips);
        // A reset that lies before the attach is not news.
        source.status()?;
        let cost = match chips.iter().find(|memory| memory.kind == MemoryKind::Ram) {
            Some(ram) => LinkCost::measure(source.as_mut(), ram.range).unwrap_or_default(),
            None => LinkCost::default(),
        };
        let now = source.now();
        let witnesses = Witnesses::new(&image);
        let mut last = static_snapshot(&image, &chips);
        last.target = identity::describe(&image, source.as_ref());
        Ok(Self {
            linked: Linked::new(&image, &chips),
            bounds: bounds(&chips),
            last,
            sentinel: identity::sentinel(&image).filter(|_| source.describe().may_sleep()),
            image,
            chips,
            options,
            cost,
            kernel,
            fallback,
            heaps,
            notes: Notes::default(),
            stacks: Stacks::default(),
            worst_cases: WorstCases::default(),
            sites: Sites::default(),
            interest: Interest::default(),
            detail: Detail::default(),
            values: Values::default(),
            ladder: Ladder::new(now),
            faults: fault::Reader::default(),
            facts: Facts::default(),
            epochs: Epochs::default(),
            witnesses,
            verified: false,
            differing: None,
            last_status: None,
            last_faults: None,
            refreshes: VecDeque::new(),
            tripwire: None,
            painter: None,
            awake: None,
            help_in_sleep: None,
            paint_due: false,
            newer: None,
            rebuilds: 0,
            source,
        })
    }

    /// The same with a tripwire. It is armed in the first refresh that knows the stacks, and what it changed in the
    /// target is put back when the sampler is dropped.
    #[must_use]
    pub fn with_tripwire(self, tripwire: Tripwire) -> Self {
        Self { tripwire: Some(tripwire), ..self }
    }

    /// The same with a painter, which fills stacks that nobody painted.
    #[must_use]
    pub fn with_painter(self, painter: Painter) -> Self {
        Self { painter: Some(painter), ..self }
    }

    /// The same with a debug port that is kept awake; it is put back when the sampler is dropped.
    #[must_use]
    pub fn with_awake(self, awake: Awake) -> Self {
        Self { awake: Some(awake), ..self }
    }

    /// The same, which tells what would help while the target does not answer because it sleeps, perhaps.
    #[must_use]
    pub fn with_help_in_sleep(self, help: &'static str) -> Self {
        Self { help_in_sleep: Some(help), ..self }
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
            // It does not change: a look now and then is enough for what somebody selects.
            Health::Saved => Some(Duration::from_millis(200)),
            _ => self.options.rate_hz.map(|hz| Duration::from_secs_f64(1.0 / hz.max(0.01))),
        };
        let Some(rest) = period.unwrap_or(LEAST_PERIOD).checked_sub(spent) else { return };
        let mut rest = rest.min(limit);
        // A core that stands at a new mark is not to stand there until the next refresh.
        while let Some(tripwire) = self.tripwire.as_mut().filter(|tripwire| tripwire.is_urgent()) {
            let pause = rest.min(tripwire::POLL);
            if pause.is_zero() || self.last.health != Health::Live {
                break;
            }
            self.source.wait(pause);
            rest = rest.saturating_sub(pause);
            // A link that fails here fails in the next refresh too, which says so.
            let _ = tripwire.poll(self.source.as_mut(), &self.image, &self.last);
        }
        self.source.wait(rest);
    }

    /// Time since the source was opened.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.source.now()
    }

    /// The same, which looks at what this says.
    #[must_use]
    pub fn with_interest(self, interest: Interest) -> Self {
        Self { interest, ..self }
    }

    /// Where a screen says what it wants read because somebody looks at it.
    #[must_use]
    pub fn interest(&self) -> Interest {
        self.interest.clone()
    }

    /// The firmware.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.image)
    }

    /// The memories it is sampled in.
    #[must_use]
    pub fn memories(&self) -> &[Chip] {
        &self.chips
    }

    /// What the link was measured to cost.
    #[must_use]
    pub fn cost(&self) -> LinkCost {
        self.cost
    }

    /// Takes what became of the ELF's file. A new build is held back until the target runs it.
    pub fn hear(&mut self, news: FileNews) {
        match news {
            FileNews::Unusable(why) => {
                self.facts.on_disk = OnDisk::Unusable(why);
                self.newer = None;
            }
            FileNews::Built(image, chips) => {
                self.facts.on_disk = OnDisk::Newer;
                self.newer = Some(Newer::new(image, chips, &self.image));
            }
        }
    }

    /// What differs between the ELF and the target, when it was compared and something does.
    ///
    /// # Errors
    ///
    /// The link went away.
    pub fn verify(&mut self) -> Result<Option<String>, ReadError> {
        self.differing = identity::differing(&self.image, self.source.as_mut())?;
        self.verified = true;
        Ok(self.differing.clone())
    }

    /// Why the target is not looked at any more: a link that is lost, and that would touch the target to be opened again.
    #[must_use]
    pub fn refused(&self) -> Option<&str> {
        self.ladder.refused()
    }

    fn observe(&mut self, depth: Depth) -> Observation {
        self.source.refreshing(depth);
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
                self.last.health = if self.source.describe().is_saved { Health::Saved } else { Health::Live };
            }
            Err(error) => {
                if !matches!(&error, ReadError::Gone(why) if why.is_empty()) {
                    self.ladder.fail(&error, now);
                }
                self.last.health = self.ladder.health(error.reason());
                let help = self.help_in_sleep.filter(|_| matches!(error, ReadError::Busy(_)));
                if let Some(help) = help.filter(|help| !self.last.hints.iter().any(|hint| hint == help)) {
                    self.last.hints.push(help.to_owned());
                }
            }
        }
        self.last.tripwire = self.tripwire.as_ref().map(|tripwire| tripwire.tell(&self.last.stacks));
        self.last.at = now;
        self.last.epoch = self.epochs.count();
        self.last.target = Target {
            kernel: self.last.target.kernel.take(),
            rebuilds: self.rebuilds,
            ..identity::describe(&self.image, self.source.as_ref())
        };
        self.last.link = Link { refresh_hz: hz, gaps: self.last.link.gaps, ..link(&before, &self.source.counters()) };
        self.source.refreshed();
        Observation { snapshot: self.last.clone(), facts: self.facts.clone() }
    }

    /// One refresh over a link that is believed to work.
    fn try_refresh(&mut self, depth: Depth) -> Result<Snapshot, ReadError> {
        self.ask_core()?;
        self.look_for_newer()?;
        self.look_at_tripwire()?;
        if !self.verified {
            self.verify()?;
        }
        self.paint()?;
        let plan = self.plan();
        let max_age = match (depth, self.options.rate_hz) {
            (Depth::Steady, Some(_)) => SLOW_PERIOD,
            (Depth::Steady, None) => FREE_PERIOD,
            (Depth::Thorough, _) => Duration::ZERO,
        };
        let saved = self.source.describe().is_saved;
        let mut memory = Memory::new(self.source.as_mut(), self.cost, REFRESH_LIMIT)
            .with_max_age(max_age)
            .with_sentinel(self.sentinel)
            .within(&self.bounds);
        let mut wants = self.kernel.as_ref().map(|kernel| kernel.wants()).unwrap_or_default();
        wants.extend(self.heaps.wants());
        wants.extend(self.stacks.wants(&plan));
        wants.extend(self.witnesses.wants());
        memory.prefetch(&wants);
        let (kernel_name, mut look) = look(self.kernel.as_mut(), self.fallback.as_mut(), &mut memory, &self.image);
        if let Some(failure) = memory.failure() {
            return Err(failure.clone());
        }
        let nothing = memory.bytes_read() == 0 && !memory.gaps().is_empty();
        if nothing && !saved && memory.word(identity::CPUID.start()).is_none() {
            self.verified = false;
            return Err(identity::silence());
        }
        let has_agent = self.image.symbols.get(kernel::agent::SYMBOL).is_some();
        self.facts.agent_missing = has_agent && look.heartbeat.is_none();
        // What this tool painted says nothing of the firmware's start.
        let filled = look.stacks.clone();
        if let Some(painter) = &mut self.painter {
            self.paint_due = !self.facts.agent_missing && painter.is_due(&look.stacks, memory.now());
            painter.mark(&mut look.stacks);
        }
        if let Some(failure) = memory.failure() {
            return Err(failure.clone());
        }
        if self.last_faults.is_none_or(|last| memory.now().saturating_sub(last) >= max_age) {
            self.last_faults = Some(memory.now());
            self.facts.faults = self.faults.read(&mut memory);
        }
        let now = memory.now();
        let mut news = vec![look.boots.map_or(News::None, |boots| self.epochs.boots(boots, now))];
        // An agent counts its starts: then no stack is read for that.
        let lasting: &[_] = if look.boots.is_some() { &[] } else { &filled };
        let heard = self.witnesses.hear(&mut memory, lasting, &self.stacks);
        news.extend(heard.into_iter().map(|witness| self.epochs.hear(witness, now)));
        let was_reset = news.iter().any(|news| *news != News::None);
        if was_reset {
            // What was read of the stacks until now may be the old run's, before the new one painted them.
            memory.forget();
            self.stacks.clear();
            self.heaps.clear();
            self.notes.clear();
            self.detail = Detail::default();
            self.verified = false;
        }
        self.heaps.refresh(&mut memory, &mut look.heaps);
        look.hints.extend(self.heaps.hints());
        self.notes.refresh(&mut memory, &mut look.heaps);
        self.facts.wrong_elf = self.differing.clone().or_else(|| identity::other_build(&self.image, look.build_id));
        let now = memory.now();
        let mut stacks = self.stacks.refresh(&mut memory, &look.stacks, &plan, now);
        if depth == Depth::Thorough {
            stacks = self.stacks.finish(&mut memory, &look.stacks, now);
        }
        let budget = budget::detail(&self.cost, self.options.rate_hz.map(|hz| 1.0 / hz.max(0.01)));
        let wish = self.interest.get();
        let looked_at = match &wish {
            Some(Wish::Stack(id)) => stacks
                .iter()
                .find(|stack| stack.id == *id)
                .zip(look.stacks.iter().find(|look| look.id == *id).map(|look| look.paint)),
            Some(Wish::Static(_) | Wish::Block(_)) | None => None,
        };
        let detail = match looked_at {
            Some((stack, paint)) => self.detail.refresh(&mut memory, &self.image, stack, paint, budget, now),
            // Nobody looks: what was read before is old when somebody looks again.
            None => {
                self.detail = Detail::default();
                None
            }
        };
        let excerpt = match wish {
            Some(Wish::Block(block)) => excerpt(&mut memory, block, &look),
            _ => None,
        };
        let values = match wish {
            Some(Wish::Static(range)) => self.values.refresh(&mut memory, &self.image, range),
            Some(Wish::Stack(_) | Wish::Block(_)) | None => {
                self.values = Values::default();
                None
            }
        };
        if let Some(failure) = memory.failure() {
            return Err(failure.clone());
        }
        if let Some(painter) = &mut self.painter {
            if was_reset {
                painter.after_reset();
            }
            painter.weigh(&mut stacks);
            look.hints.extend(painter.tell(&stacks));
        }
        let gaps = u32::try_from(memory.gaps().len()).unwrap_or(u32::MAX);
        look.hints.extend(astray(memory.strays(), self.last.target.chip.as_deref()));
        look.hints.extend(no_content(memory.gaps()));
        look.hints.extend(self.awake.as_ref().map(Awake::tell));
        let held = self.tripwire.as_ref().is_some_and(Tripwire::holds);
        self.facts.heartbeat = look.heartbeat.filter(|_| !held);
        self.facts.refused = look.refused;
        let memories = compose::draw(&self.chips, &look, &self.linked);
        let named = compose::named(&look);
        let mut heaps: Vec<Heap> =
            look.heaps.iter().map(|heap| compose::heap(heap, &self.image, &mut self.sites, &named)).collect();
        for stack in &mut stacks {
            // What the agent notes in front of a block belongs to the stack in it: the victim is what lies below that.
            let whole = heaps.iter().find_map(|heap| heap.block_around(stack.range)).unwrap_or(stack.range);
            stack.victim = victim::below(whole, &memories, &heaps, &self.image);
            if let Some(victim) = &mut stack.victim {
                victim::describe(victim, &self.image);
                // An overflow destroys what tells whose block it hit.
                let before = self.last.stacks.iter().find(|earlier| earlier.id == stack.id && !was_reset);
                let known = before.and_then(|earlier| earlier.victim.as_ref());
                if let (None, Some(known)) = (&victim.is, known.filter(|known| known.range == victim.range)) {
                    victim.is.clone_from(&known.is);
                }
            }
        }
        victim::accuse(&stacks, &mut heaps);
        let mut hints = look.hints;
        hints.extend(self.worst_cases.tell(&self.image, &look.stacks, &mut stacks));
        if let Some(tripwire) = &mut self.tripwire {
            if was_reset {
                tripwire.after_reset()?;
            }
            // A core that stopped while its stacks were read has not moved a mark unseen.
            tripwire.poll(self.source.as_mut(), &self.image, &self.last)?;
            // Without its agent a firmware is not told apart from one that has not come as far as to paint its stacks.
            let stacks: &[_] = if self.facts.agent_missing { &[] } else { &stacks };
            tripwire.aim(self.source.as_mut(), stacks, &look.stacks, self.epochs.count())?;
        }
        let mut target = self.last.target.clone();
        target.kernel = Some(kernel_name);
        Ok(Snapshot {
            memories,
            stacks,
            heaps,
            hints,
            detail,
            excerpt,
            values,
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
        let mut status = self.source.status()?;
        if self.tripwire.as_mut().is_some_and(Tripwire::take_reset) {
            status = CoreStatus::WasReset;
        }
        self.last_status = Some(now);
        self.facts.core = Some(status);
        if status == CoreStatus::WasReset {
            self.epochs.hear(Witness::Flag, now);
            if let Some(awake) = &mut self.awake {
                awake.after_reset()?;
            }
            if let Some(painter) = &mut self.painter {
                painter.after_reset();
            }
            self.last_faults = None;
            self.stacks.clear();
            self.heaps.clear();
            self.notes.clear();
            self.detail = Detail::default();
            self.verified = false;
            let (kernel, fallback) = kernel::detect(&self.image, &self.chips);
            self.kernel = kernel;
            self.fallback = fallback;
        }
        Ok(())
    }

    /// Takes the new build over as soon as the target runs it.
    fn look_for_newer(&mut self) -> Result<(), ReadError> {
        let was_reset = self.facts.core == Some(CoreStatus::WasReset);
        let Some(newer) = &mut self.newer else { return Ok(()) };
        if !newer.runs(self.source.as_mut(), was_reset)? {
            return Ok(());
        }
        let Some(Newer { image, chips, .. }) = self.newer.take() else { return Ok(()) };
        tracing::info!("taking over the new build of {}", image.name());
        (self.kernel, self.fallback) = kernel::detect(&image, &chips);
        self.heaps = Heaps::new(&image, &chips);
        self.linked = Linked::new(&image, &chips);
        self.sentinel = identity::sentinel(&image).filter(|_| self.source.describe().may_sleep());
        self.image = image;
        self.bounds = bounds(&chips);
        self.chips = chips;
        self.notes = Notes::default();
        self.stacks.clear();
        self.witnesses = Witnesses::new(&self.image);
        self.worst_cases = WorstCases::default();
        self.sites = Sites::default();
        self.detail = Detail::default();
        self.values = Values::default();
        self.verified = false;
        self.facts.on_disk = OnDisk::Same;
        self.rebuilds += 1;
        if let Some(painter) = &mut self.painter {
            painter.after_reset();
        }
        // Its comparators are aimed at the addresses of the build before.
        self.tripwire.as_mut().map_or(Ok(()), Tripwire::after_reset)
    }

    /// Fills stacks when the last refresh found some to fill. What their kernel says is asked again while the core stands.
    fn paint(&mut self) -> Result<(), ReadError> {
        let held = self.tripwire.as_ref().is_some_and(Tripwire::holds);
        let Some(painter) = self.painter.as_mut().filter(|_| std::mem::take(&mut self.paint_due) && !held) else {
            return Ok(());
        };
        let (kernel, fallback) = (self.kernel.as_mut(), self.fallback.as_mut());
        let (cost, image, bounds) = (self.cost, &self.image, &self.bounds);
        painter.fill(self.source.as_mut(), |source| {
            let mut memory = Memory::new(source, cost, REFRESH_LIMIT).within(bounds);
            look(kernel, fallback, &mut memory, image).1.stacks
        })
    }

    /// Looks what the tripwire caught. A core that it holds is not halted by somebody else, and its heartbeat stands.
    fn look_at_tripwire(&mut self) -> Result<(), ReadError> {
        let Some(tripwire) = &mut self.tripwire else { return Ok(()) };
        if self.facts.core == Some(CoreStatus::WasReset) {
            tripwire.after_reset()?;
        }
        tripwire.poll(self.source.as_mut(), &self.image, &self.last)?;
        if self.facts.core == Some(CoreStatus::Halted) && tripwire.may_stop() {
            self.facts.core = None;
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

/// The first bytes of a block, when it lies in a heap: what a screen asks for may be from another run.
fn excerpt(memory: &mut Memory<'_>, block: Region, look: &Look) -> Option<Excerpt> {
    let block = block.bottom(EXCERPT);
    let known = look.heaps.iter().any(|told| told.heap.range.covers(block)) && !block.is_empty();
    let bytes = memory.read(block).filter(|_| known)?.into_owned();
    Some(Excerpt { start: block.start(), bytes })
}

/// What the kernel tells, or else the bare-metal picture.
fn look(
    preferred: Option<&mut Box<dyn Kernel>>,
    fallback: &mut dyn Kernel,
    memory: &mut Memory<'_>,
    image: &Image,
) -> (String, Look) {
    let Some(of) = preferred else {
        return (fallback.name(), fallback.look(memory, image).unwrap_or_default());
    };
    if let Some(look) = of.look(memory, image) {
        return (of.name(), look);
    }
    // The firmware has not come as far as to set its block up, so it may not have painted its stacks either.
    let mut look = fallback.look(memory, image).unwrap_or_default();
    for stack in &mut look.stacks {
        stack.paint = Paint::None;
    }
    let what = match image.symbols.get(kernel::agent::SYMBOL) {
        Some(_) => "The agent's block is not there (yet)".into(),
        None => format!("{} has no thread (yet)", of.name()),
    };
    look.hints = vec![format!("{what}: only what the ELF says of the memory is shown.")];
    (fallback.name(), look)
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
