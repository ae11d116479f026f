//! The watchpoint comparators of the DWT: found, aimed, asked, and put back as they were.
//!
//! Sources: ARM DDI 0403E C1.8 (v7-M: `DWT_COMPn`, `DWT_MASKn`, `DWT_FUNCTIONn`) and C1.6.5 (`DEMCR`), ARM DDI 0419
//! C1.8 (v6-M), ARM DDI 0553 D1.2.56 and following (v8-M: the other layout of `DWT_FUNCTIONn`, linked pairs; a maker's
//! driver for a Cortex-M33 uses pairs the same way: `DATAVSIZE` 0, the start first, the limit in the next comparator).
//!
//! | | note a store and go on | stop at a store |
//! |---|---|---|
//! | v6-M | `0110`, without `C_DEBUGEN` | `0110`, with it |
//! | v7-M | `1010`: a comparator event, which stops nothing | `0110` |
//! | v8-M | `MATCH` 0101, `ACTION` 00 | `MATCH` 0101, `ACTION` 01 |

use thiserror::Error;

use super::left::{Comparator, Found, Keeper};
use super::{Control, halt};
use crate::region::Region;
use crate::source::ReadError;
use crate::stack::tripwire::Reach;

const CPUID: u32 = 0xe000_ed00;
const DEMCR: u32 = 0xe000_edfc;
const DWT_CTRL: u32 = 0xe000_1000;
const DWT_COMP0: u32 = 0xe000_1020;
const TRCENA: u32 = 1 << 24;
/// `DWT_FUNCTIONn.MATCHED`: set by a match, cleared by a read.
const MATCHED: u32 = 1 << 24;
/// What of `DWT_FUNCTIONn` is written: the rest is read-only.
const WRITABLE: u32 = 0x000f_ffff;
/// v8-M `ID` bit: this comparator can be the limit of the one before it.
const CAN_LIMIT: u32 = 1 << 31;
/// v8-M `MATCH`: the limit of the address range that the comparator before begins.
const LIMIT: u32 = 0b0111;
/// v8-M `DATAVSIZE`: a word.
const WORD: u32 = 0b10 << 10;

/// Why there is no tripwire.
#[derive(Debug, Error)]
pub enum Refusal {
    /// `DWT_CTRL.NUMCOMP` is 0.
    #[error("this core has no watchpoint comparators: the tripwire needs one, the rest of the picture does not")]
    None,
    /// All of them are armed already.
    #[error("all watchpoint comparators are in use by another debugger")]
    Taken,
    /// v6-M cannot note a store without stopping while another debugger is attached.
    #[error("another debugger has halting debug switched on: on this core a watchpoint would stop it")]
    WouldStop,
    /// What is found cannot be kept, so a crash could not be put right.
    #[error("nothing was armed: what was found in the debug registers cannot be kept in {path}: {why}")]
    NotKept {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The link failed.
    #[error(transparent)]
    Link(#[from] ReadError),
}

/// What a comparator does at a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It notes it; the core runs on.
    Note,
    /// The core stops behind the store.
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    V6,
    V7,
    V8,
}

/// A comparator, or a linked pair, that this run may use.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot {
    first: usize,
    limit: Option<usize>,
    aimed: Option<Region>,
}

/// The comparators of one core, from the first look until they are put back.
pub struct Comparators {
    layout: Layout,
    action: Action,
    reach: Reach,
    found: Found,
    slots: Vec<Slot>,
    taken: usize,
    restored: bool,
    keeper: Option<Keeper>,
}

impl Comparators {
    /// Looks what there is and keeps it; arms nothing yet. What an earlier run left behind counts as found the way that
    /// run found it. `ours` says of an address whether only a tripwire would watch it: comparators that are armed there
    /// without a record are an earlier run's.
    ///
    /// # Errors
    ///
    /// See [`Refusal`]. Everything is as it was then.
    pub fn begin(
        control: &mut dyn Control,
        action: Action,
        keeper: Option<Keeper>,
        ours: impl Fn(u32) -> bool,
    ) -> Result<(Self, Option<String>), Refusal> {
        let layout = match control.read(CPUID)? >> 4 & 0xfff {
            0xc20 | 0xc21 | 0xc60 => Layout::V6,
            part if part >> 8 == 0xd => Layout::V8,
            _ => Layout::V7,
        };
        let earlier = keeper.as_ref().and_then(Keeper::load::<Found>);
        let mut found =
            Found { demcr: control.read(DEMCR)?, debug_enabled: halt::is_debugged(control)?, comparators: Vec::new() };
        let mut this = Self {
            layout,
            action,
            reach: Reach::Range,
            found: Found::default(),
            slots: Vec::new(),
            taken: 0,
            restored: false,
            keeper,
        };
        if let Some(earlier) = earlier.as_ref().filter(|_| found.demcr & TRCENA != 0) {
            // Whatever it armed, what it found switched off it may have left switched on.
            (found.demcr, found.debug_enabled) = (earlier.demcr, earlier.debug_enabled);
        }
        this.found = found;
        this.keep()?;
        // Without it the DWT's registers read as anything (C1.6.5).
        let demcr = control.read(DEMCR)?;
        control.write(DEMCR, &[demcr | TRCENA])?;
        let outcome = this.take_over(control, demcr & TRCENA != 0, earlier, ours);
        if outcome.is_err() {
            this.restore(control)?;
        }
        outcome.map(|note| (this, note))
    }

    /// Finds out what is armed and by whom, and takes what is free; gives what a person should know of it.
    fn take_over(
        &mut self,
        control: &mut dyn Control,
        was_on: bool,
        earlier: Option<Found>,
        ours: impl Fn(u32) -> bool,
    ) -> Result<Option<String>, Refusal> {
        let count = (control.read(DWT_CTRL)? >> 28) as usize;
        let mut there = Vec::new();
        for index in 0..count {
            there.push(self.read(control, index)?);
        }
        let is_armed = |comparator: &Comparator| was_on && comparator.function & 0xf != 0;
        let mut note = None;
        match earlier.filter(|earlier| there.iter().any(is_armed) && earlier.comparators.len() == count) {
            Some(earlier) => {
                there = earlier.comparators;
                note = Some(
                    "An earlier run left the comparators armed: what it had found was in its file, and is restored."
                        .into(),
                );
            }
            None => {
                let left = there.iter_mut().enumerate().filter(|(_, it)| is_armed(it) && ours(it.comp));
                let mut indices = Vec::new();
                for (index, comparator) in left {
                    *comparator = Comparator::default();
                    indices.push(index.to_string());
                }
                if !indices.is_empty() {
                    // Who armed it for stopping switched halting debug on, too.
                    self.found.debug_enabled = false;
                    note = Some(format!(
                        "Comparator {} was armed on a guard, by an earlier run without a record: it is used, and \
                         disarmed at the end.",
                        indices.join(", ")
                    ));
                }
            }
        }
        let armed: Vec<usize> = (0..count).filter(|index| is_armed(&there[*index])).collect();
        self.found.comparators = there;
        self.taken = armed.len();
        if count == 0 {
            return Err(Refusal::None);
        }
        if self.layout == Layout::V6 && self.action == Action::Note && self.found.debug_enabled {
            return Err(Refusal::WouldStop);
        }
        self.keep()?;
        self.find_slots(control, &armed)?;
        if self.slots.is_empty() { Err(Refusal::Taken) } else { Ok(note) }
    }

    /// Keeps what was found, before more is changed.
    fn keep(&self) -> Result<(), Refusal> {
        let Some(keeper) = &self.keeper else { return Ok(()) };
        keeper
            .store(&self.found)
            .map_err(|error| Refusal::NotKept { path: keeper.path().display().to_string(), why: error.to_string() })
    }

    /// Which comparators may be used, and what they reach.
    fn find_slots(&mut self, control: &mut dyn Control, armed: &[usize]) -> Result<(), ReadError> {
        let free: Vec<usize> = (0..self.found.comparators.len()).filter(|index| !armed.contains(index)).collect();
        if self.layout == Layout::V8 {
            let mut index = 0;
            let mut pairs = Vec::new();
            while let Some(next) = free.iter().copied().find(|free| *free >= index) {
                let limit = Some(next + 1).filter(|limit| free.contains(limit));
                let can = match limit {
                    Some(limit) => control.read(register(limit, 8))? & CAN_LIMIT != 0,
                    None => false,
                };
                pairs.push(Slot { first: next, limit: limit.filter(|_| can), aimed: None });
                index = next + if can { 2 } else { 1 };
            }
            // A single word where no pair can be made; both kinds together would need two plans.
            let has_pairs = pairs.iter().any(|slot| slot.limit.is_some());
            self.reach = if has_pairs { Reach::Range } else { Reach::Block { largest: 4 } };
            self.slots = pairs.into_iter().filter(|slot| slot.limit.is_some() == has_pairs).collect();
            return Ok(());
        }
        self.slots = free.iter().map(|first| Slot { first: *first, limit: None, aimed: None }).collect();
        if let Some(first) = free.first() {
            // How many bits there are is the maker's choice: all ones are written and read back (C1.8.16).
            let mask = register(*first, 4);
            control.write(register(*first, 8), &[0])?;
            control.write(mask, &[0x1f])?;
            let bits = control.read(mask)? & 0x1f;
            self.reach = Reach::Block { largest: 1 << bits.max(2) };
        }
        Ok(())
    }

    /// How many pieces can be watched at once.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// How many comparators belong to somebody else.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// What one piece can be.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Aims at these pieces, each as [`Comparators::reach`] allows, and at nothing else. Comparators that are aimed
    /// there already are left alone, so that no store slips through.
    ///
    /// # Errors
    ///
    /// The link failed; some may be aimed.
    pub fn aim(&mut self, control: &mut dyn Control, pieces: &[Region]) -> Result<(), ReadError> {
        for slot in 0..self.slots.len() {
            if self.slots[slot].aimed.is_some_and(|aimed| !pieces.contains(&aimed)) {
                self.disarm(control, slot)?;
            }
        }
        for piece in pieces {
            let known = self.slots.iter().any(|slot| slot.aimed == Some(*piece));
            let free = self.slots.iter().position(|slot| slot.aimed.is_none());
            if let Some(slot) = free.filter(|_| !known) {
                self.arm(control, slot, *piece)?;
            }
        }
        Ok(())
    }

    /// Switches the DWT on again: a power cycle has switched it off.
    ///
    /// # Errors
    ///
    /// The link failed.
    pub fn enable(&self, control: &mut dyn Control) -> Result<(), ReadError> {
        let demcr = control.read(DEMCR)?;
        if demcr & TRCENA == 0 { control.write(DEMCR, &[demcr | TRCENA]) } else { Ok(()) }
    }

    /// The pieces that were stored into since the last question; asks only for what is aimed. A comparator that lost
    /// its aim, as one does when the power goes, is aimed again.
    ///
    /// # Errors
    ///
    /// The link failed.
    pub fn matched(&mut self, control: &mut dyn Control) -> Result<Vec<Region>, ReadError> {
        let mut hits = Vec::new();
        for slot in 0..self.slots.len() {
            let Some(piece) = self.slots[slot].aimed else { continue };
            let function = control.read(register(self.slots[slot].first, 8))?;
            if function & 0xf != self.function() & 0xf {
                self.enable(control)?;
                self.arm(control, slot, piece)?;
            } else if function & MATCHED != 0 {
                hits.push(piece);
            }
        }
        Ok(hits)
    }

    /// Puts everything back as it was found, the core's halting debug included; a halted core runs on. Once.
    ///
    /// # Errors
    ///
    /// The link failed: the file stays, and the next run restores from it.
    pub fn restore(&mut self, control: &mut dyn Control) -> Result<(), ReadError> {
        if self.restored {
            return Ok(());
        }
        for slot in 0..self.slots.len() {
            self.disarm(control, slot)?;
        }
        for (index, comparator) in (0..).zip(&self.found.comparators) {
            // Who is armed by another debugger was never touched.
            if self.slots.iter().any(|slot| slot.first == index || slot.limit == Some(index)) {
                control.write(register(index, 0), &[comparator.comp])?;
                if self.layout != Layout::V8 {
                    control.write(register(index, 4), &[comparator.mask])?;
                }
                control.write(register(index, 8), &[comparator.function])?;
            }
        }
        halt::end(control, self.found.debug_enabled)?;
        control.write(DEMCR, &[self.found.demcr])?;
        self.restored = true;
        if let Some(keeper) = &self.keeper {
            keeper.forget();
        }
        Ok(())
    }

    /// Whether another debugger had halting debug switched on.
    #[must_use]
    pub fn is_debugged(&self) -> bool {
        self.found.debug_enabled
    }

    fn read(&self, control: &mut dyn Control, index: usize) -> Result<Comparator, ReadError> {
        let mask = if self.layout == Layout::V8 { 0 } else { control.read(register(index, 4))? };
        Ok(Comparator {
            comp: control.read(register(index, 0))?,
            mask,
            function: control.read(register(index, 8))? & WRITABLE,
        })
    }

    fn function(&self) -> u32 {
        match (self.layout, self.action) {
            (Layout::V6, _) | (Layout::V7, Action::Stop) => 0b0110,
            (Layout::V7, Action::Note) => 0b1010,
            (Layout::V8, Action::Note) => 0b0101 | WORD,
            (Layout::V8, Action::Stop) => 0b0101 | 0b01 << 4 | WORD,
        }
    }

    fn arm(&mut self, control: &mut dyn Control, slot: usize, piece: Region) -> Result<(), ReadError> {
        self.disarm(control, slot)?;
        let Slot { first, limit, .. } = self.slots[slot];
        // A range must not begin before it ends: the function of its first comparator is written last.
        if let Some(limit) = limit {
            control.write(register(limit, 0), &[piece.end_address().saturating_sub(1)])?;
            control.write(register(limit, 8), &[LIMIT | self.function() & 0b11 << 4])?;
        }
        control.write(register(first, 0), &[piece.start()])?;
        if self.layout != Layout::V8 {
            control.write(register(first, 4), &[piece.size().max(1).ilog2()])?;
        }
        let function = if limit.is_some() { self.function() & !WORD } else { self.function() };
        control.write(register(first, 8), &[function])?;
        self.slots[slot].aimed = Some(piece);
        Ok(())
    }

    fn disarm(&mut self, control: &mut dyn Control, slot: usize) -> Result<(), ReadError> {
        let Slot { first, limit, .. } = self.slots[slot];
        self.slots[slot].aimed = None;
        control.write(register(first, 8), &[0])?;
        match limit {
            Some(limit) => control.write(register(limit, 8), &[0]),
            None => Ok(()),
        }
    }
}

/// The register of comparator `index`: 0 `COMP`, 4 `MASK`, 8 `FUNCTION`.
fn register(index: usize, offset: u32) -> u32 {
    DWT_COMP0 + 16 * u32::try_from(index).unwrap_or(0) + offset
}
