//! What is wrong, as small values: one function finds them all in a snapshot, and each says itself in one sentence.

use std::time::Duration;

use super::catch::{Catch, CatchKind};
use super::growth;
use super::snapshot::{BlockState, Health, Heap, Owner, Snapshot, Stack, Suspect, Trust};
use crate::fault::Faults;
use crate::region::Region;
use crate::sampler::observation::{Facts, OnDisk};
use crate::source::CoreStatus;
use crate::units;

/// Something a person should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What kind of trouble.
    pub kind: AlertKind,
    /// How bad.
    pub severity: Severity,
    /// Whom it concerns: a stack's, a heap's or the target's name.
    pub subject: String,
    /// The whole sentence, with numbers and units.
    pub text: String,
    /// When it began, since the attach.
    pub since: Duration,
    /// When it was over, since the attach; `None` while it holds.
    pub until: Option<Duration>,
    /// The stack it concerns, by its id: two stacks may have one name.
    pub stack: Option<String>,
    /// The heap it concerns, by its id: two heaps may have one name.
    pub heap: Option<String>,
    /// When a person said that they know of it, since the attach.
    pub acknowledged: Option<Duration>,
    /// How often it happened, where that is counted: one more is worse.
    pub count: u32,
}

impl Alert {
    /// Whether both tell of the same trouble with the same thing.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let same_thing = self.subject == other.subject && self.stack == other.stack && self.heap == other.heap;
        self.kind == other.kind && same_thing
    }

    /// Whether it holds and nobody said that they know of it.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.until.is_none() && self.acknowledged.is_none()
    }

    /// Whether it is more severe, or happened more often.
    pub(super) fn is_worse_than(&self, before: &Self) -> bool {
        self.severity < before.severity || self.count > before.count
    }

    /// Goes on from how it was before: it keeps its beginning, and stays acknowledged unless it got worse.
    pub(super) fn go_on_from(&mut self, before: &Self) {
        self.since = before.since;
        let worse = self.is_worse_than(before);
        self.acknowledged = before.acknowledged.filter(|_| !worse);
    }
}

/// The kinds of trouble, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertKind {
    /// A stack's guard is broken: it overflowed.
    Overflow,
    /// A tripwire caught a store into a guard.
    Tripwire,
    /// The core recorded a fault.
    Fault,
    /// A heap's structures make no sense.
    HeapCorrupt,
    /// An allocation failed.
    HeapFailure,
    /// A stack's peak is past its limit (80 % unless configured).
    StackLimit,
    /// A block of a heap lies across the end of a stack.
    BlockOverStack,
    /// A place in the program takes memory and never gives any back.
    Leak,
    /// A heap's peak is past its limit.
    HeapLimit,
    /// What is free in a heap lies in pieces, past its limit.
    Fragmentation,
    /// The firmware on the target is not this ELF.
    WrongElf,
    /// The ELF has an agent but the target has no block (not started yet, or another firmware).
    AgentMissing,
    /// The heartbeat stands still while the link is up.
    Stalled,
    /// The target was reset.
    Reset,
    /// The link was lost.
    LinkLost,
    /// A stack pointer went deeper than anything that was written: paint alone would understate the use.
    UnwrittenFrame,
    /// The agent had no slot left for a registration: the picture is not whole.
    Refused,
    /// The ELF's file is no longer the one that is shown.
    Rebuilt,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Memory is being or has been destroyed.
    Danger,
    /// It will go wrong if it goes on.
    Warning,
    /// Good to know.
    Info,
}

/// From which share of a stack or heap on a person is warned, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a stack's size, by its deepest use.
    pub stack_percent: u8,
    /// Of a heap's size, by its peak.
    pub heap_percent: u8,
    /// Of what is free in a heap, by how much of it is outside of the largest piece.
    pub fragmentation_percent: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stack_percent: 80, heap_percent: 90, fragmentation_percent: 75 }
    }
}

/// Who takes and never gives back, how fast, and how long that can go on.
fn leak(heap: &Heap, owner: &Owner) -> Option<String> {
    let rate = owner.growth.filter(|rate| *rate >= 1.0)?;
    let site = &owner.site;
    let place = site.place().map_or_else(String::new, |place| format!(" ({place})"));
    let full = growth::until_full(heap, rate)
        .map_or_else(String::new, |time| format!(": {} is full in about {}", heap.name, units::duration(time)));
    // As the table of the owners has it.
    let (blocks, rate) = (owner.blocks, units::bytes(rate.round() as u64));
    Some(format!("{}{place} keeps {blocks} blocks and adds {rate} each minute{full}.", site.short()))
}

/// Blocks in use that reach across an end of a stack.
fn across<'a>(snapshot: &'a Snapshot, heap: &'a Heap) -> impl Iterator<Item = (&'a Stack, Region)> {
    // What lies between two holes is one block or several, and its ends are nobody's.
    let walked = heap.blocks.iter().flat_map(|blocks| blocks.iter());
    let walked = walked
        .filter(|block| block.state == BlockState::Used && heap.used.is_some_and(|used| used.trust == Trust::Exact))
        .map(|block| block.range);
    let live = heap.live.iter().flatten().filter(|_| heap.owners_trust == Trust::Exact).map(|block| block.range);
    let told = heap.live.is_some();
    live.chain(walked.filter(move |_| !told)).flat_map(|block| {
        let hit = move |stack: &&Stack| block.overlaps(stack.range) && !block.covers(stack.range);
        snapshot.stacks.iter().filter(hit).map(move |stack| (stack, block))
    })
}

/// Everything that is wrong in `snapshot`, worst first; all begin now.
#[must_use]
pub fn find(snapshot: &Snapshot, facts: &Facts, limits: Limits) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    let alert = |kind, severity, subject: &str, text| Alert {
        kind,
        severity,
        subject: subject.into(),
        text,
        since: snapshot.at,
        until: None,
        stack: None,
        heap: None,
        acknowledged: None,
        count: 0,
    };
    for stack in &snapshot.stacks {
        let mut add = |kind, severity, text| {
            alerts.push(Alert { stack: Some(stack.id.clone()), ..alert(kind, severity, &stack.name, text) });
        };
        if let Some(text) = overflow(stack) {
            add(AlertKind::Overflow, Severity::Danger, text);
        } else if let Some(text) = nearly_full(stack, limits) {
            add(AlertKind::StackLimit, Severity::Danger, text);
        }
        if let Some(text) = unwritten_frame(stack) {
            add(AlertKind::UnwrittenFrame, Severity::Info, text);
        }
    }
    for heap in &snapshot.heaps {
        of_heap(snapshot, heap, limits, &mut |kind, severity, subject, text, count| {
            alerts.push(Alert { heap: Some(heap.id()), count, ..alert(kind, severity, subject, text) });
        });
    }
    let mut add = |kind, severity, subject: &str, text| alerts.push(alert(kind, severity, subject, text));
    let target = &snapshot.target.elf;
    for catch in snapshot.tripwire.iter().flat_map(|tripwire| last_of_each(&tripwire.catches, snapshot.epoch)) {
        let held = snapshot.tripwire.as_ref().is_some_and(|tripwire| tripwire.held);
        let held = if held { " The core is stopped." } else { "" };
        add(AlertKind::Tripwire, Severity::Danger, &catch.owner, format!("{}{held}", catch.sentence()));
    }
    let idle = snapshot.tripwire.as_ref().filter(|tripwire| tripwire.aims.is_empty() && tripwire.catches.is_empty());
    if let Some(note) = idle.and_then(|tripwire| tripwire.note.as_ref()) {
        add(AlertKind::Tripwire, Severity::Warning, target, format!("The tripwire watches nothing. {note}"));
    }
    if let Some(faults) = facts.faults.filter(Faults::any) {
        let of = faults
            .culprit(&snapshot.stacks)
            .map_or_else(String::new, |stack| format!(" That is at the end of {}'s stack.", stack.name));
        let text = format!("The core recorded a fault. {}.{of}", faults.clauses().join("; "));
        add(AlertKind::Fault, Severity::Danger, target, text);
    }
    if let Some(difference) = &facts.wrong_elf {
        let text = format!("The target does not run this ELF: {difference}. Names and addresses may be wrong.");
        add(AlertKind::WrongElf, Severity::Danger, target, text);
    }
    if facts.agent_missing {
        let text = "The ELF has an agent, but the target has no block: the firmware did not call its init (yet), or \
                    it is another firmware. The bare-metal picture is shown.";
        add(AlertKind::AgentMissing, Severity::Warning, target, text.into());
    }
    if facts.refused > 0 {
        let text = format!("The agent refused {} registrations: its tables are full.", facts.refused);
        add(AlertKind::Refused, Severity::Warning, target, text);
    }
    let rebuilt = match &facts.on_disk {
        OnDisk::Same => None,
        OnDisk::Newer => Some(
            "The ELF on disk is newer than what runs. Flash it, and the picture follows: names and addresses are still \
             those of the build before."
                .to_owned(),
        ),
        OnDisk::Unusable(why) => {
            Some(format!("The ELF on disk cannot be used (yet), and the build before is shown: {why}"))
        }
    };
    if let Some(text) = rebuilt {
        add(AlertKind::Rebuilt, Severity::Info, target, text);
    }
    match &snapshot.health {
        Health::Reconnecting { why, .. } => add(
            AlertKind::LinkLost,
            Severity::Warning,
            &snapshot.target.source,
            format!("The link is lost: {why}. Trying again."),
        ),
        Health::Stale { why, .. } => add(
            AlertKind::LinkLost,
            Severity::Warning,
            &snapshot.target.source,
            format!("The target does not answer: {why}."),
        ),
        Health::Live | Health::Static | Health::Saved => {}
    }
    if facts.core == Some(CoreStatus::LockedUp) {
        add(
            AlertKind::Stalled,
            Severity::Danger,
            target,
            "The core is in lockup: a fault within a fault handler.".into(),
        );
    } else if facts.core == Some(CoreStatus::Halted) {
        add(
            AlertKind::Stalled,
            Severity::Warning,
            target,
            "The core is halted, by another debugger or a breakpoint instruction.".into(),
        );
    }
    alerts.sort_by_key(|alert| (alert.severity, alert.kind));
    alerts
}

/// Everything that is wrong with one heap: kind, how bad, whom it concerns, the sentence, how often.
fn of_heap(
    snapshot: &Snapshot,
    heap: &Heap,
    limits: Limits,
    add: &mut dyn FnMut(AlertKind, Severity, &str, String, u32),
) {
    if let Some((count, text)) = failed(heap) {
        add(AlertKind::HeapFailure, Severity::Danger, &heap.name, text, count);
    }
    if let Some(text) = corrupt(heap) {
        add(AlertKind::HeapCorrupt, Severity::Danger, &heap.name, text, 0);
    }
    for owner in heap.owners.iter().flatten().filter(|owner| owner.leaks) {
        if let Some(text) = leak(heap, owner) {
            add(AlertKind::Leak, Severity::Warning, owner.site.short(), text, 0);
        }
    }
    if let Some(percent) = heap.fragmentation_percent().filter(|percent| *percent >= limits.fragmentation_percent) {
        let largest = heap.largest_free.map_or(0, |largest| largest.bytes);
        let text = format!(
            "{} has {} free, but in pieces of at most {}: fragmentation {percent} %, {}.",
            heap.name,
            units::bytes(heap.free().unwrap_or(0).into()),
            units::bytes(largest.into()),
            against(percent, limits.fragmentation_percent)
        );
        add(AlertKind::Fragmentation, Severity::Warning, &heap.name, text, 0);
    }
    for (stack, block) in across(snapshot, heap) {
        let text = format!(
            "{} shares memory with a block at {} that reaches across the end of its stack.",
            stack.name,
            units::address(block.start().into())
        );
        add(AlertKind::BlockOverStack, Severity::Danger, &stack.name, text, 0);
    }
    let peak = heap.peak.and_then(|peak| units::percent(peak.bytes.into(), heap.range.size().into()));
    if let Some(percent) = peak.filter(|percent| *percent >= limits.heap_percent) {
        let text = format!("{} was {percent} % full, {}.", heap.name, against(percent, limits.heap_percent));
        add(AlertKind::HeapLimit, Severity::Warning, &heap.name, text, 0);
    }
}

/// Where a share stands that is not below its limit.
fn against(percent: u8, limit: u8) -> String {
    let place = if percent > limit { "past" } else { "at" };
    format!("{place} its limit of {limit} %")
}

/// The last store into the guard of each stack, in this run of the target. Marks of a culprit are no alerts.
fn last_of_each(catches: &[Catch], epoch: u32) -> Vec<&Catch> {
    let guards = || {
        let broken = |catch: &&Catch| matches!(catch.kind, CatchKind::Noted | CatchKind::Stopped);
        catches.iter().filter(broken).filter(move |catch| catch.epoch == epoch)
    };
    guards()
        .enumerate()
        .filter(|(at, catch)| !guards().skip(at + 1).any(|later| later.stack == catch.stack))
        .map(|(_, catch)| catch)
        .collect()
}

fn overflow(stack: &Stack) -> Option<String> {
    if !stack.overflowed {
        return None;
    }
    let limit = units::address(stack.range.start().into());
    let hit = match &stack.victim {
        Some(victim) if !victim.range.is_empty() => format!(", {} below may be overwritten", victim.words()),
        Some(victim) => format!(", below it is {}", victim.name),
        None => String::new(),
    };
    Some(format!("{} overflowed: its guard at {limit} is broken{hit}.", stack.name))
}

/// How many allocations failed, if any, and what is told of them.
fn failed(heap: &Heap) -> Option<(u32, String)> {
    let failures = heap.failures.filter(|failures| *failures > 0)?;
    let free = heap.free().map_or_else(String::new, |free| format!(" {} are free now.", units::bytes(free.into())));
    let times = if failures == 1 { "1 allocation failed".into() } else { format!("{failures} allocations failed") };
    let asked =
        heap.failed_size.map_or_else(String::new, |size| format!(", the last for {}", units::bytes(size.into())));
    Some((failures, format!("{times} in {}{asked}.{free}", heap.name)))
}

/// Where the structures of a heap make no sense, in one sentence.
#[must_use]
pub fn corrupt(heap: &Heap) -> Option<String> {
    let damage = heap.damage.as_ref()?;
    let suspect = match &damage.suspect {
        None => String::new(),
        Some(Suspect::Block(block)) => format!(
            " Suspect is whoever writes to the block before it, at {} with {}.",
            units::address(block.start().into()),
            units::bytes(block.size().into())
        ),
        Some(Suspect::Stack { name, limit }) => format!(
            " Suspect is {name}: its stack ends {} above, and overflowed.",
            units::bytes(limit.saturating_sub(damage.address).into())
        ),
    };
    let address = units::address(damage.address.into());
    Some(format!("{} is corrupt at {address}: {}.{suspect}", heap.name, damage.what))
}

/// A frame that was reserved and never written leaves no mark (hubris#1872): only the stack pointer tells of it.
fn unwritten_frame(stack: &Stack) -> Option<String> {
    let gap = stack.unwritten?;
    Some(format!(
        "{}'s stack pointer went {} deeper than anything it wrote: a frame that was reserved and not used. The deeper \
         number counts.",
        stack.name,
        units::bytes(gap.into())
    ))
}

fn nearly_full(stack: &Stack, limits: Limits) -> Option<String> {
    let deepest = stack.deepest()?;
    let percent = units::percent(deepest.bytes.into(), stack.range.size().into())?;
    if percent < limits.stack_percent {
        return None;
    }
    let left = units::bytes(stack.margin()?.into());
    let next = stack.victim.as_ref().map_or_else(String::new, |victim| match victim.range.is_empty() {
        true => format!(" Next is {}.", victim.name),
        false => format!(" Next it overwrites {}.", victim.words()),
    });
    Some(format!("{} has {left} of stack left.{next}", stack.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Block, CallSite, Damage, LiveBlock, Measured, StackKind, Victim};
    use crate::model::testing;

    fn stack(peak: u32, overflowed: bool) -> Stack {
        Stack {
            id: "1".into(),
            name: "growth".into(),
            kind: StackKind::User,
            control_block: None,
            range: Region::new(0x2000_4cc8, 4096),
            current: None,
            lowest_sp: None,
            peak: Some(Measured { bytes: peak, trust: Trust::AtLeast }),
            worst_case: None,
            worst_case_note: None,
            recursion: None,
            rescanned: None,
            victim: Some(Victim {
                name: "uart_rx_buf".into(),
                is: Some("[u8; 520]".into()),
                range: Region::new(0x2000_4ac0, 520),
            }),
            overflowed,
            limit_whole: !overflowed,
            unwritten: None,
            priority: None,
            state: None,
            cpu: None,
        }
    }

    const HEAP: Region = Region::new(0x2000_4000, 0x2000);

    /// A heap of those blocks, one behind the other.
    fn heap(parts: &[(u32, BlockState)]) -> Heap {
        let mut at = HEAP.start();
        let blocks: Vec<Block> = parts
            .iter()
            .map(|(size, state)| {
                let block = Block::new(Region::new(at, *size), 8, *state);
                at += size;
                block
            })
            .collect();
        Heap::unknown("heap", HEAP).with_blocks(blocks.into(), None, Trust::Exact)
    }

    /// What is told of a heap beside one stack of 4 KiB at 2000_4cc8: kinds and sentences.
    fn told(heap: Heap, limits: Limits) -> Vec<(AlertKind, String)> {
        let snapshot = Snapshot { heaps: vec![heap], stacks: vec![stack(0, false)], ..testing::live(1) };
        find(&snapshot, &Facts::default(), limits).into_iter().map(|alert| (alert.kind, alert.text)).collect()
    }

    fn check(heap: Heap, kind: AlertKind, text: &str) {
        assert_eq!(told(heap, Limits::default()), [(kind, text.to_owned())]);
    }

    #[test]
    fn all_that_can_go_wrong_with_a_heap_is_told() {
        use BlockState::{Free, Used};
        let calm = || heap(&[(0xcc0, Used), (0x1010, Used), (0x330, Free)]);
        assert_eq!(told(calm(), Limits::default()), []);
        check(
            Heap { failures: Some(2), failed_size: Some(9000), ..calm() },
            AlertKind::HeapFailure,
            "2 allocations failed in heap, the last for 9000 B. 816 B are free now.",
        );
        check(
            Heap {
                damage: Some(Damage { address: HEAP.start(), what: "a block of 3 B".into(), suspect: None }),
                ..calm()
            },
            AlertKind::HeapCorrupt,
            "heap is corrupt at 2000_4000: a block of 3 B.",
        );
        let site = CallSite { function: "app::remember".into(), file: Some("src/app.rs".into()), line: Some(7) };
        let owner = Owner { site, blocks: 31, bytes: 3968, growth: Some(408.0), leaks: true };
        check(
            Heap { owners: Some(vec![owner]), ..calm() },
            AlertKind::Leak,
            "remember (app.rs:7) keeps 31 blocks and adds 408 B each minute: heap is full in about 2 min.",
        );
        // The stack's own block covers it; any other that touches it shares memory with it.
        let over = "growth shares memory with a block at 2000_4000 that reaches across the end of its stack.";
        check(heap(&[(0xcd0, Used), (0x1330, Free)]), AlertKind::BlockOverStack, over);
        let live = LiveBlock {
            range: Region::new(HEAP.start(), 0xcd0),
            asked: 1,
            front: 8,
            owner: 0,
            holds: None,
            seen: Duration::ZERO,
        };
        let noted = |trust| Heap { live: Some(vec![live.clone()]), owners_trust: trust, ..calm() };
        check(noted(Trust::Exact), AlertKind::BlockOverStack, over);
        assert_eq!(told(noted(Trust::Stale), Limits::default()), [], "an old block proves nothing");
    }

    #[test]
    fn fragmentation_is_told_from_its_limit_on() {
        use BlockState::{Free, Used};
        let heap = || heap(&[(0x100, Free), (0xbc0, Used), (0x1010, Used), (0x100, Free), (16, Used), (0x230, Free)]);
        assert_eq!(heap().fragmentation_percent(), Some(48));
        for (limit, expected) in [(47, true), (48, true), (49, false)] {
            let limits = Limits { fragmentation_percent: limit, ..Limits::default() };
            let found = told(heap(), limits);
            assert_eq!(found.iter().any(|(kind, _)| *kind == AlertKind::Fragmentation), expected, "{limit} %");
            if let Some((_, text)) = found.first() {
                let place = if limit == 48 { "at" } else { "past" };
                let limit = format!("fragmentation 48 %, {place} its limit of {limit} %.");
                assert!(
                    text.ends_with(&limit) && text.contains("1072 B free, but in pieces of at most 560 B"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_heap_at_its_limit_is_not_told_to_be_past_it() {
        for (peak, expected) in [
            (890, None),
            (900, Some("90 % full, at its limit of 90 %.")),
            (950, Some("95 % full, past its limit of 90 %.")),
        ] {
            let peak = Some(Measured { bytes: peak, trust: Trust::Exact });
            let heaps = vec![Heap { peak, ..Heap::unknown("heap", Region::new(0x2000_0000, 1000)) }];
            let alerts = find(&Snapshot { heaps, ..testing::live(1) }, &Facts::default(), Limits::default());
            let told = alerts.iter().find(|alert| alert.kind == AlertKind::HeapLimit);
            assert_eq!(
                told.map(|alert| alert.text.as_str()),
                expected.map(|text| format!("heap was {text}")).as_deref()
            );
        }
    }

    #[test]
    fn a_corrupt_heap_is_told_with_the_place_and_the_block_before_it() {
        let block = Suspect::Block(Region::new(0x2000_4180, 0x40));
        let stack = Suspect::Stack { name: "growth".into(), limit: 0x2000_41cc };
        for (suspect, words) in [
            (None, ""),
            (Some(block), " Suspect is whoever writes to the block before it, at 2000_4180 with 64 B."),
            (Some(stack), " Suspect is growth: its stack ends 8 B above, and overflowed."),
        ] {
            let damage = Damage { address: 0x2000_41c4, what: "a block of 3 B".into(), suspect };
            let heap = Heap { damage: Some(damage), ..Heap::unknown("heap", Region::new(0x2000_4000, 0x1000)) };
            let expected = format!("heap is corrupt at 2000_41c4: a block of 3 B.{words}");
            assert_eq!(corrupt(&heap), Some(expected));
        }
    }

    #[test]
    fn a_stack_is_warned_of_at_its_limit_and_told_of_once_broken() {
        let limits = Limits::default();
        assert_eq!(
            nearly_full(&stack(3276, false), limits),
            Some("growth has 820 B of stack left. Next it overwrites uart_rx_buf ([u8; 520]).".into())
        );
        assert_eq!(nearly_full(&stack(3000, false), limits), None);
        let frame = Stack { unwritten: Some(64), ..stack(3064, false) };
        assert!(unwritten_frame(&frame).is_some_and(|text| text.contains("growth") && text.contains("64 B deeper")));
        assert_eq!(unwritten_frame(&Stack { unwritten: None, ..frame }), None);
        let told = overflow(&stack(4096, true)).unwrap();
        assert!(told.contains("growth") && told.contains("2000_4cc8") && told.contains("uart_rx_buf"), "{told}");
    }
}
