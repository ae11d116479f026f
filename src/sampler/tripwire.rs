//! The tripwire of a run: aims the comparators at what the stacks say, and looks at each refresh what they caught.
//!
//! ```text
//!   watch:    comparators note ── asked each refresh ──> a catch without a culprit; the core never stops
//!   halt:     the core stops ──> registers, chain of calls ──> held until somebody says go on
//!   culprit:  the core stops below the mark ──> the same ──> aimed below the new mark ──> runs on at once
//! ```
//!
//! Everything is put back when it is dropped, which a panic does too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::image::symbols::demangle;
use crate::image::unwind::{self, Registers};
use crate::image::{Image, unwind::Chain};
use crate::kernel::StackLook;
use crate::model::catch::{self, Aimed, Call, Catch, CatchKind, Mode};
use crate::model::snapshot::{Snapshot, Stack};
use crate::region::Region;
use crate::source::control::comparators::{Action, Comparators, Refusal};
use crate::source::control::halt::Seen;
use crate::source::control::left::Keeper;
use crate::source::control::{Control, halt};
use crate::source::{ReadError, Source};
use crate::stack::tripwire::{self, Aim};

/// Catches that are kept: the newest.
const KEPT: usize = 256;
/// Marks that one look may take: a dive of many frames would else keep the screen waiting.
const MARKS_AT_ONCE: usize = 32;
/// The most of a stack that is read for a chain in one piece; words beyond are read one by one.
const STACK_AT_ONCE: u32 = 16 << 10;
/// Bytes below a stack's limit in which an SP still counts as that thread's: it has run out of its stack.
const BEYOND: u32 = 4096;
/// How long a stack that is not painted must be known before its guard is watched.
const SETTLED: Duration = Duration::from_millis(100);
/// How often a core that may stop is looked at between two refreshes.
pub const POLL: Duration = Duration::from_millis(2);

/// Tells a held core to go on; shared between a screen and the sampler.
#[derive(Clone, Debug, Default)]
pub struct GoOn(Arc<AtomicBool>);

impl GoOn {
    /// The core is to go on.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Who lets a stopped core go on.
#[derive(Clone, Debug)]
pub enum Release {
    /// Nobody needs to: it goes on once everything is read.
    AtOnce,
    /// Somebody who looks at it.
    When(GoOn),
}

/// The tripwire of a run.
pub struct Tripwire {
    control: Box<dyn Control>,
    mode: Mode,
    release: Release,
    keeper: Option<Keeper>,
    state: State,
    aims: Vec<Aim>,
    /// What the pieces held when they were aimed at.
    before: Vec<(Region, Vec<u32>)>,
    /// Stacks that need no more watching: their guard is broken.
    caught: BTreeSet<String>,
    /// The deepest mark of the culprit that is accounted for: its address.
    mark: Option<u32>,
    catches: Vec<Catch>,
    note: Option<String>,
    held: bool,
    /// It saw a reset that the sampler has not been told of.
    saw_reset: bool,
    /// When each unpainted stack was first seen.
    seen: BTreeMap<String, Duration>,
}

/// How far it has come.
enum State {
    /// Nothing was touched yet: the stacks are not known.
    New,
    /// Comparators are ours.
    Armed(Comparators),
    /// There are none for us; the note says why.
    Refused,
}

impl Tripwire {
    /// A tripwire that has touched nothing yet.
    #[must_use]
    pub fn new(control: Box<dyn Control>, mode: Mode, release: Release, keeper: Option<Keeper>) -> Self {
        Self {
            control,
            mode,
            release,
            keeper,
            state: State::New,
            aims: Vec::new(),
            before: Vec::new(),
            caught: BTreeSet::new(),
            mark: None,
            catches: Vec::new(),
            note: None,
            held: false,
            saw_reset: false,
            seen: BTreeMap::new(),
        }
    }

    /// Whether comparators may stop the core.
    #[must_use]
    pub fn may_stop(&self) -> bool {
        matches!(self.state, State::Armed(_)) && self.mode != Mode::Watch
    }

    /// Whether the core may be standing at a catch at any moment, so that looking often is worth it.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.may_stop() && !self.held
    }

    /// Whether the core stands at a catch.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.held
    }

    /// What a snapshot says of it.
    #[must_use]
    pub fn tell(&self, stacks: &[Stack]) -> catch::Tripwire {
        let written = self.control.written();
        let name = |id: &str| stacks.iter().find(|stack| stack.id == id).map_or_else(|| id.into(), |s| s.name.clone());
        catch::Tripwire {
            mode: self.mode.clone(),
            aims: self
                .aims
                .iter()
                .map(|aim| Aimed { stack: name(&aim.stack), pieces: aim.pieces.clone(), wanted: aim.wanted.size() })
                .collect(),
            catches: self.catches.clone(),
            held: self.held,
            note: self.note.clone(),
            register_writes: written.registers,
            word_writes: written.words,
        }
    }

    /// Whether it saw a reset; asks once.
    pub fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.saw_reset)
    }

    /// The target was reset: what was caught is over, nothing is aimed at until the stacks are known again, and a power
    /// cycle may have taken what was set.
    ///
    /// # Errors
    ///
    /// The link failed.
    pub fn after_reset(&mut self) -> Result<(), ReadError> {
        self.caught.clear();
        self.seen.clear();
        self.mark = None;
        self.held = false;
        self.aims.clear();
        self.before.clear();
        let State::Armed(comparators) = &mut self.state else { return Ok(()) };
        comparators.aim(self.control.as_mut(), &[])?;
        comparators.enable(self.control.as_mut())?;
        if self.mode != Mode::Watch {
            halt::run(self.control.as_mut())?;
        }
        Ok(())
    }

    /// Looks what was caught; `last` is the picture that is known so far.
    ///
    /// # Errors
    ///
    /// The link failed.
    pub fn poll(&mut self, source: &mut dyn Source, image: &Image, last: &Snapshot) -> Result<(), ReadError> {
        if !matches!(self.state, State::Armed(_)) {
            return Ok(());
        }
        if self.mode == Mode::Watch {
            return self.note(source, last);
        }
        if self.held {
            let go_on = match &self.release {
                Release::AtOnce => true,
                Release::When(go_on) => go_on.take(),
            };
            return if go_on { self.go_on() } else { Ok(()) };
        }
        for _ in 0..MARKS_AT_ONCE {
            match halt::look(self.control.as_mut())? {
                Seen::Running => break,
                Seen::Stopped => self.stopped(source, image, last)?,
                Seen::StoppedAfterReset => {
                    self.saw_reset = true;
                    return self.after_reset();
                }
            }
            if self.held {
                break;
            }
        }
        Ok(())
    }

    /// Aims at what the stacks ask for now.
    ///
    /// # Errors
    ///
    /// The link failed.
    pub fn aim(
        &mut self,
        source: &mut dyn Source,
        stacks: &[Stack],
        looks: &[StackLook],
        epoch: u32,
    ) -> Result<(), ReadError> {
        let told = |stack: &Stack| looks.iter().find(|look| look.id == stack.id).map_or(0, |look| look.guard);
        if stacks.is_empty() || self.held {
            return Ok(());
        }
        if matches!(self.state, State::New) {
            self.begin(|address| {
                stacks.iter().any(|stack| tripwire::guard(stack.range, told(stack)).contains(address))
            })?;
        }
        let State::Armed(comparators) = &self.state else { return Ok(()) };
        let (reach, count) = (comparators.reach(), comparators.count());
        let aims = match &self.mode {
            Mode::Culprit(name) => {
                let stack = stacks.iter().find(|stack| stack.name == *name).cloned();
                let Some(stack) = stack else {
                    self.note = Some(format!("There is no thread called {name}: nothing is watched."));
                    return self.take(source, Vec::new());
                };
                // What was written counts here and not how deep an SP was: a comparator sees stores.
                let Some(deepest) = stack.peak.or(stack.lowest_sp) else {
                    self.note = Some(format!("{name}'s stack has no mark to aim below: nobody painted it."));
                    return self.take(source, Vec::new());
                };
                let mark = stack.range.top(deepest.bytes).start();
                if self.mark.is_some_and(|known| mark < known) {
                    self.missed(source.now(), epoch, &stack, mark);
                }
                let mark = self.mark.map_or(mark, |known| known.min(mark));
                self.mark = Some(mark);
                tripwire::below_mark(&stack, mark, reach, count).into_iter().collect()
            }
            _ => {
                let now = source.now();
                for stack in stacks {
                    self.seen.entry(stack.id.clone()).or_insert(now);
                }
                // A stack that is not painted yet may be about to be: that is no overflow.
                let settled = |stack: &Stack| {
                    stack.peak.is_some()
                        || self.seen.get(&stack.id).is_some_and(|since| now.saturating_sub(*since) >= SETTLED)
                };
                let guard_of = |stack: &Stack| {
                    let open = !stack.overflowed && !self.caught.contains(&stack.id) && settled(stack);
                    open.then(|| tripwire::guard(stack.range, told(stack)))
                };
                tripwire::aim(stacks, reach, count, guard_of)
            }
        };
        self.take(source, aims)
    }

    /// Lets the core run on, without what has been caught already.
    fn go_on(&mut self) -> Result<(), ReadError> {
        self.held = false;
        let State::Armed(comparators) = &mut self.state else { return Ok(()) };
        let caught = &self.caught;
        self.aims.retain(|aim| !caught.contains(&aim.stack));
        let pieces: Vec<Region> = self.aims.iter().flat_map(|aim| aim.pieces.iter().copied()).collect();
        comparators.aim(self.control.as_mut(), &pieces)?;
        halt::run(self.control.as_mut())
    }

    fn begin(&mut self, ours: impl Fn(u32) -> bool) -> Result<(), ReadError> {
        let action = if self.mode == Mode::Watch { Action::Note } else { Action::Stop };
        match Comparators::begin(self.control.as_mut(), action, self.keeper.clone(), ours) {
            Ok((comparators, note)) => {
                self.note = note;
                if comparators.taken() > 0 {
                    let more = format!("{} comparators are another debugger's and left alone.", comparators.taken());
                    self.note = Some(self.note.take().map_or_else(|| more.clone(), |note| format!("{note} {more}")));
                }
                self.state = State::Armed(comparators);
                if action == Action::Stop {
                    halt::run(self.control.as_mut())?;
                }
                Ok(())
            }
            Err(Refusal::Link(error)) => Err(error),
            Err(refusal) => {
                let text = refusal.to_string();
                let mut letters = text.chars();
                let first = letters.next().map(|letter| letter.to_ascii_uppercase());
                self.note = Some(format!("{}{}.", first.map(String::from).unwrap_or_default(), letters.as_str()));
                self.state = State::Refused;
                Ok(())
            }
        }
    }

    /// Aims, and remembers what lies there.
    fn take(&mut self, source: &mut dyn Source, aims: Vec<Aim>) -> Result<(), ReadError> {
        if aims == self.aims {
            return Ok(());
        }
        let State::Armed(comparators) = &mut self.state else { return Ok(()) };
        let pieces: Vec<Region> = aims.iter().flat_map(|aim| aim.pieces.iter().copied()).collect();
        self.before.retain(|(piece, _)| pieces.contains(piece));
        for piece in &pieces {
            if !self.before.iter().any(|(known, _)| known == piece) {
                self.before.push((*piece, words(source, *piece)?));
            }
        }
        comparators.aim(self.control.as_mut(), &pieces)?;
        self.aims = aims;
        Ok(())
    }

    /// What the comparators noted.
    fn note(&mut self, source: &mut dyn Source, last: &Snapshot) -> Result<(), ReadError> {
        let State::Armed(comparators) = &mut self.state else { return Ok(()) };
        let hits = comparators.matched(self.control.as_mut())?;
        if !hits.is_empty() && halt::was_reset(self.control.as_mut())? {
            // It was the startup code.
            self.saw_reset = true;
            return self.after_reset();
        }
        for aim in self.aims.clone() {
            if !aim.pieces.iter().any(|piece| hits.contains(piece)) || !self.caught.insert(aim.stack.clone()) {
                continue;
            }
            let Some(stack) = last.stacks.iter().find(|stack| stack.id == aim.stack) else { continue };
            let changed = self.changed(source, &aim.pieces)?;
            self.keep(self.catch(CatchKind::Noted, source.now(), last.epoch, stack, changed));
        }
        Ok(())
    }

    /// The core stands behind a store.
    fn stopped(&mut self, source: &mut dyn Source, image: &Image, last: &Snapshot) -> Result<(), ReadError> {
        let State::Armed(comparators) = &mut self.state else { return Ok(()) };
        let hits = comparators.matched(self.control.as_mut())?;
        let mut found = None;
        for aim in &self.aims {
            let changed = self.changed(source, &aim.pieces)?;
            if changed.is_some() || aim.pieces.iter().any(|piece| hits.contains(piece)) {
                found = Some((aim.stack.clone(), changed));
                break;
            }
        }
        // A store that leaves everything as it was has overwritten nothing: a stack is painted anew after a reset.
        let Some((id, changed)) = found.filter(|(_, changed)| changed.is_some()) else { return self.go_on() };
        let Some(stack) = last.stacks.iter().find(|stack| stack.id == id) else {
            // The thread is gone: whoever has its memory now writes what it likes.
            self.caught.insert(id);
            return self.go_on();
        };
        let kind = if matches!(self.mode, Mode::Culprit(_)) { CatchKind::Mark } else { CatchKind::Stopped };
        let registers = halt::registers(self.control.as_mut())?;
        let mut catch = self.catch(kind, source.now(), last.epoch, stack, changed);
        catch.thread = thread(&registers, stack, &last.stacks);
        explain(&mut catch, source, image, &registers, &last.stacks);
        self.keep(catch);
        if kind == CatchKind::Stopped {
            self.caught.insert(id);
            self.held = true;
            return match self.release {
                Release::AtOnce => self.go_on(),
                Release::When(_) => Ok(()),
            };
        }
        let known = self.mark.unwrap_or_else(|| stack.range.end_address());
        let mark = changed.map_or(known, |(address, _)| address.min(known));
        self.mark = Some(mark);
        let State::Armed(comparators) = &self.state else { return Ok(()) };
        let aim = tripwire::below_mark(stack, mark, comparators.reach(), comparators.count());
        self.take(source, aim.into_iter().collect())?;
        self.go_on()
    }

    /// The lowest word of the pieces that is not what it was, and what it is now.
    fn changed(&self, source: &mut dyn Source, pieces: &[Region]) -> Result<Option<(u32, u32)>, ReadError> {
        for piece in pieces.iter().rev() {
            let Some((_, before)) = self.before.iter().find(|(known, _)| known == piece) else { continue };
            let now = words(source, *piece)?;
            if let Some(index) = now.iter().zip(before).position(|(now, before)| now != before) {
                let address = piece.slice(4 * u32::try_from(index).unwrap_or(0), 4).start();
                return Ok(Some((address, now[index])));
            }
        }
        Ok(None)
    }

    fn catch(&self, kind: CatchKind, at: Duration, epoch: u32, stack: &Stack, changed: Option<(u32, u32)>) -> Catch {
        Catch {
            at,
            epoch,
            kind,
            stack: stack.id.clone(),
            owner: stack.name.clone(),
            thread: None,
            address: changed.map(|(address, _)| address),
            value: changed.map(|(_, value)| value),
            depth: changed.map(|(address, _)| stack.range.from(address).size()),
            pc: None,
            by_exception: false,
            chain: Vec::new(),
            complete: false,
            victim: stack.victim.clone(),
        }
    }

    /// The paint tells of a deeper mark than any comparator saw.
    fn missed(&mut self, at: Duration, epoch: u32, stack: &Stack, mark: u32) {
        let mut catch = self.catch(CatchKind::Missed, at, epoch, stack, None);
        catch.depth = Some(stack.range.from(mark).size());
        self.keep(catch);
    }

    fn keep(&mut self, catch: Catch) {
        if self.catches.len() >= KEPT {
            self.catches.remove(0);
        }
        self.catches.push(catch);
    }
}

impl Drop for Tripwire {
    fn drop(&mut self) {
        let State::Armed(comparators) = &mut self.state else { return };
        match comparators.restore(self.control.as_mut()) {
            Ok(()) => tracing::info!("the debug registers were put back as they were found"),
            Err(error) => tracing::warn!("the debug registers were not put back: {error}"),
        }
    }
}

fn words(source: &mut dyn Source, range: Region) -> Result<Vec<u32>, ReadError> {
    let mut bytes = vec![0; range.size() as usize];
    source.read(range, &mut bytes)?;
    Ok(bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
}

/// On whose stack the code runs that stored: the owner's, when an SP lies in its stack or has just left it.
fn thread(registers: &Registers, owner: &Stack, stacks: &[Stack]) -> Option<String> {
    let reach = Region::between(owner.range.start().saturating_sub(BEYOND), owner.range.end_address());
    let in_others = |sp: u32| stacks.iter().any(|stack| stack.id != owner.id && stack.range.contains(sp));
    let process = registers.in_exception().then_some(registers.psp);
    let pointers = || [Some(registers.sp()), process].into_iter().flatten();
    if pointers().any(|sp| reach.contains(sp) && !in_others(sp)) {
        return Some(owner.name.clone());
    }
    stacks.iter().find(|stack| stack.range.contains(registers.sp())).map(|stack| stack.name.clone())
}

/// Adds the chain of calls and the instruction that stored.
fn explain(catch: &mut Catch, source: &mut dyn Source, image: &Image, registers: &Registers, stacks: &[Stack]) {
    let mut blocks: Vec<(Region, Vec<u32>)> = Vec::new();
    for sp in [registers.msp, registers.psp] {
        let above = |stack: &&Stack| sp < stack.range.end_address() && stack.range.start().saturating_sub(BEYOND) <= sp;
        // Of the stacks that an SP may belong to, the nearest: it has run out of that one, or is in it.
        if let Some(stack) = stacks.iter().filter(above).min_by_key(|stack| stack.range.start()) {
            let block = Region::between(sp & !3, stack.range.end_address()).bottom(STACK_AT_ONCE).whole_words();
            blocks.extend(words(source, block).ok().map(|words| (block, words)));
        }
    }
    let mut memory = |address: u32| {
        let known = blocks.iter().find_map(|(block, words)| {
            words.get((block.offset_of(address)? / 4) as usize).copied().filter(|_| address.is_multiple_of(4))
        });
        known.or_else(|| words(source, Region::new(address & !3, 4)).ok()?.first().copied())
    };
    let chain = image.unwinder().chain(image, registers, &mut memory);
    catch.complete = chain.complete;
    let pc = registers.pc() & !1;
    // The core stands at the first instruction of a handler: its frame was the store, in the code it interrupted.
    let entered = chain
        .steps
        .get(1)
        .filter(|next| next.interrupted && image.symbols.at(pc).is_some_and(|symbol| symbol.range.start() == pc));
    match entered {
        Some(next) => {
            catch.by_exception = true;
            catch.pc = Some(next.pc);
        }
        // A comparator stops the core behind the store.
        None => catch.pc = unwind::instruction_before(image, pc),
    }
    catch.chain = calls(image, &chain, if catch.by_exception { None } else { catch.pc });
}

/// The chain with names and lines. `stored` is the instruction that stored, in the innermost function.
fn calls(image: &Image, chain: &Chain, stored: Option<u32>) -> Vec<Call> {
    let mut calls = Vec::new();
    for (index, step) in chain.steps.iter().enumerate() {
        let stored = stored.filter(|_| index == 0);
        let inside = stored.unwrap_or_else(|| step.inside(index == 0));
        let pc = stored.unwrap_or(step.pc);
        let frames = image.lines().at(inside);
        for (depth, frame) in frames.iter().enumerate() {
            calls.push(Call {
                pc,
                function: frame.function.clone(),
                file: frame.file.clone(),
                line: frame.line,
                inlined: depth + 1 < frames.len(),
                interrupted: step.interrupted,
            });
        }
        if frames.is_empty() {
            let symbol = image.symbols.at(inside);
            calls.push(Call {
                pc,
                function: symbol.map_or_else(|| format!("0x{pc:08x}"), |symbol| demangle(&symbol.name)),
                file: None,
                line: None,
                inlined: false,
                interrupted: step.interrupted,
            });
        }
    }
    calls
}
