//! From the registers of a stopped core to its chain of calls, by the call frame information of the image.
//!
//! ```text
//!   pc ─> row of .debug_frame ─> CFA ─> return address, saved registers ─> the caller ─> ...
//!                                         | EXC_RETURN: the frame that the core stacked at an exception
//! ```
//!
//! Memory is read through the caller's function, so that nothing here does any I/O. Every step is checked: a chain that
//! cannot be followed ends there, and says that it is not complete.
//!
//! Sources: DWARF for the Arm Architecture (IHI 0040), ARM DDI 0403E B1.5.6 to B1.5.8 (exception frames, `EXC_RETURN`).

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use gimli::{
    BaseAddresses, CfaRule, DebugFrame, DebugFrameOffset, EndianArcSlice, RegisterRule, RunTimeEndian, UnwindContext,
    UnwindSection,
};
use object::Object;

use super::Image;
use super::elf_file::ElfFile;
use crate::region::Region;

/// The most functions that are kept.
const MAX_ENTRIES: usize = 1 << 20;
/// The most frames of one chain: a runaway recursion in a large stack has that many.
const MAX_FRAMES: usize = 1024;
/// SP, LR and PC among the general registers; DWARF numbers them the same.
const SP: usize = 13;
const LR: usize = 14;
const PC: usize = 15;
/// Return addresses from here on are `EXC_RETURN`.
const EXC_RETURN: u32 = 0xffff_ff00;
/// Words of a basic exception frame, and of one with floating point registers.
const BASIC_FRAME: u32 = 8;
const EXTENDED_FRAME: u32 = 26;

/// What a stopped core had in its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// R0 to R12, the SP in use, LR, and PC: the next instruction.
    pub general: [u32; 16],
    /// The program status, with the number of the exception that is handled in its lowest 9 bits.
    pub xpsr: u32,
    /// The main stack pointer.
    pub msp: u32,
    /// The process stack pointer.
    pub psp: u32,
}

impl Registers {
    /// The next instruction.
    #[must_use]
    pub fn pc(&self) -> u32 {
        self.general[PC]
    }

    /// The stack pointer in use.
    #[must_use]
    pub fn sp(&self) -> u32 {
        self.general[SP]
    }

    /// Whether an exception is being handled.
    #[must_use]
    pub fn in_exception(&self) -> bool {
        self.xpsr & 0x1ff != 0
    }
}

/// One function of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it is: the next instruction of the innermost and of an interrupted one, for others the address that the
    /// call returns to.
    pub pc: u32,
    /// The SP there.
    pub sp: u32,
    /// It did not call the one before it: an exception interrupted it.
    pub interrupted: bool,
}

impl Step {
    /// An address inside the instruction that is being carried out: what to ask [`super::lines::Lines::at`] for.
    #[must_use]
    pub fn inside(&self, is_innermost: bool) -> u32 {
        if is_innermost || self.interrupted { self.pc } else { self.pc.saturating_sub(2) }
    }
}

/// A chain of calls, the innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The functions.
    pub steps: Vec<Step>,
    /// It goes to the end: to a function that nobody called.
    pub complete: bool,
}

type Reader = EndianArcSlice<RunTimeEndian>;

/// The call frame information of one image.
pub struct Unwinder {
    section: DebugFrame<Reader>,
    /// First address, address after the last one, and where the entry lies; in address order.
    entries: Vec<(u32, u32, DebugFrameOffset<usize>)>,
}

impl fmt::Debug for Unwinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unwinder({} functions)", self.entries.len())
    }
}

impl Unwinder {
    /// Reads where the entries lie; it knows nothing when there is no file, or no `.debug_frame` in it.
    pub(super) fn read(file: Option<&ElfFile<'_>>) -> Self {
        let little = file.is_none_or(|file| file.is_little_endian());
        let endian = if little { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let content = file.map(|file| file.section(".debug_frame")).unwrap_or_default();
        let load = |_| -> Result<Reader, Infallible> { Ok(EndianArcSlice::new(Arc::clone(&content), endian)) };
        let Ok(mut section) = <DebugFrame<Reader> as gimli::Section<Reader>>::load(load);
        section.set_address_size(4);
        let bases = BaseAddresses::default();
        let mut entries = Vec::new();
        let mut all = section.entries(&bases);
        while let Ok(Some(entry)) = all.next()
            && entries.len() < MAX_ENTRIES
        {
            let gimli::CieOrFde::Fde(partial) = entry else { continue };
            let offset = DebugFrameOffset(partial.offset());
            let Ok(entry) = partial.parse(DebugFrame::cie_from_offset) else { continue };
            let range = |address: u64| u32::try_from(address).ok();
            // Linkers leave functions that they dropped at address 0, where Arm has its vectors.
            if let (Some(start @ 1..), Some(end)) =
                (range(entry.initial_address()), range(entry.initial_address().saturating_add(entry.len())))
            {
                entries.push((start & !1, end, offset));
            }
        }
        entries.sort_unstable_by_key(|(start, end, offset)| (*start, *end, offset.0));
        Self { section, entries }
    }

    /// The chain of calls from a stopped core's registers; `memory` gives the word at an address.
    pub fn chain(&self, image: &Image, registers: &Registers, memory: &mut dyn FnMut(u32) -> Option<u32>) -> Chain {
        let mut state = State { general: registers.general.map(Some), psp: registers.psp };
        let mut chain = Chain::default();
        let mut interrupted = false;
        let mut context = UnwindContext::new();
        while let (Some(pc), Some(sp)) = (state.general[PC], state.general[SP])
            && chain.steps.len() < MAX_FRAMES
        {
            let step = Step { pc: pc & !1, sp, interrupted };
            let innermost = chain.steps.is_empty();
            let inside = step.inside(innermost);
            if !image.sections.iter().any(|section| section.executable && section.run.contains(inside)) {
                break;
            }
            chain.steps.push(step);
            let known = self.caller(&mut context, inside, &state, memory);
            let back = match known {
                Some(caller) => {
                    state.general = caller;
                    state.general[LR]
                }
                // Code without call frame information is followed only where it cannot have saved LR anywhere else.
                None if innermost || interrupted => state.general[LR],
                None => break,
            };
            interrupted = false;
            match back {
                Some(0 | u32::MAX) => {
                    chain.complete = true;
                    break;
                }
                Some(back) if back >= EXC_RETURN => {
                    if !state.leave_exception(back, memory) {
                        break;
                    }
                    interrupted = true;
                }
                Some(back) => state.general[PC] = Some(back),
                None => break,
            }
        }
        chain
    }

    /// The registers of the caller, but for its PC, which is in LR.
    fn caller(
        &self,
        context: &mut UnwindContext<usize>,
        inside: u32,
        state: &State,
        memory: &mut dyn FnMut(u32) -> Option<u32>,
    ) -> Option<[Option<u32>; 16]> {
        let bases = BaseAddresses::default();
        let next = self.entries.partition_point(|(start, _, _)| *start <= inside);
        let (_, _, offset) = self.entries[..next].last().filter(|(_, end, _)| inside < *end)?;
        let entry = self.section.fde_from_offset(&bases, *offset, DebugFrame::cie_from_offset).ok()?;
        let row = entry.unwind_info_for_address(&self.section, &bases, context, u64::from(inside)).ok()?;
        let offset = |from: u32, by: i64| from.checked_add_signed(i32::try_from(by).ok()?);
        let frame = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset: by } => {
                offset((*state.general.get(usize::from(register.0))?)?, *by)?
            }
            CfaRule::Expression(_) => return None,
        };
        let mut caller = state.general;
        for (register, rule) in row.registers() {
            // Floating point registers are numbered above these, and no return address depends on them.
            let Some(place) = caller.get_mut(usize::from(register.0)) else { continue };
            *place = match rule {
                RegisterRule::Offset(by) => memory(offset(frame, *by)?),
                RegisterRule::ValOffset(by) => offset(frame, *by),
                RegisterRule::SameValue => *place,
                RegisterRule::Register(other) => state.general.get(usize::from(other.0)).copied().flatten(),
                _ => None,
            };
        }
        caller[SP] = Some(frame);
        Some(caller)
    }
}

/// Registers on the way outward; what nobody saved is not known.
struct State {
    general: [Option<u32>; 16],
    psp: u32,
}

impl State {
    /// Takes the frame that the core stacked when the exception came.
    fn leave_exception(&mut self, exc_return: u32, memory: &mut dyn FnMut(u32) -> Option<u32>) -> bool {
        let base = if exc_return & 4 != 0 { Some(self.psp) } else { self.general[SP] };
        let words = if exc_return & 0x10 == 0 { EXTENDED_FRAME } else { BASIC_FRAME };
        let Some(frame) = base.map(|base| Region::new(base, 4 * words)).filter(|frame| frame.size() == 4 * words)
        else {
            return false;
        };
        let mut word = |index: u32| memory(frame.slice(4 * index, 4).start());
        for (index, register) in (0..).zip([0, 1, 2, 3, 12, LR, PC]) {
            self.general[register] = word(index);
        }
        // The core aligned the stack by a word when bit 9 of the stacked status says so.
        let aligned = word(7).is_some_and(|status| status & 1 << 9 != 0);
        self.general[SP] = frame.end_address().checked_add(if aligned { 4 } else { 0 });
        self.general[PC].is_some()
    }
}

/// The instruction just before `pc` in the same function; `None` when `pc` is the function's first or lies in none.
/// Thumb instructions are two or four bytes long, by their first half (ARM DDI 0403E A5.1).
#[must_use]
pub fn instruction_before(image: &Image, pc: u32) -> Option<u32> {
    let function = image.symbols.at(pc.checked_sub(1)?).filter(|symbol| symbol.is_code)?.range;
    if image.symbols.at(pc).is_some_and(|symbol| symbol.is_code && symbol.range.start() == pc) {
        return None;
    }
    let mut at = function.start();
    while at < pc {
        let half = u16::from_le_bytes(image.bytes(Region::new(at, 2))?.try_into().ok()?);
        let next = at.checked_add(if half >> 11 >= 0b11101 { 4 } else { 2 })?;
        if next == pc {
            return Some(at);
        }
        at = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> Image {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
        Image::open(&path).expect("the demo opens")
    }

    fn registers(pc: u32, sp: u32, lr: u32) -> Registers {
        let mut general = [0; 16];
        (general[SP], general[LR], general[PC]) = (sp, lr, pc);
        Registers { general, xpsr: 0, msp: 0, psp: 0x2000_1000 }
    }

    fn function(image: &Image, name: &str) -> Region {
        let named = |symbol: &&crate::image::symbols::Symbol| {
            symbol.is_code && crate::image::symbols::demangle(&symbol.name) == name
        };
        image.symbols.iter().find(named).expect("it is there").range
    }

    #[test]
    fn an_exception_leads_to_the_code_that_it_interrupted() {
        let image = demo();
        let (handler, thread) = (function(&image, "SysTick"), function(&image, "demo::threads::growth::run"));
        let frame = [1, 2, 3, 4, 12, 0, thread.start() + 1, 1 << 24 | 1 << 9];
        let mut memory = |address: u32| frame.get((address.checked_sub(0x2000_1000)? / 4) as usize).copied();
        let chain = image.unwinder().chain(&image, &registers(handler.start(), 0x2000_fff0, 0xffff_fffd), &mut memory);
        let expected = [
            Step { pc: handler.start(), sp: 0x2000_fff0, interrupted: false },
            Step { pc: thread.start(), sp: 0x2000_1024, interrupted: true },
        ];
        assert_eq!(chain, Chain { steps: expected.to_vec(), complete: true });
    }

    #[test]
    fn a_chain_that_leads_nowhere_ends_and_says_so() {
        let image = demo();
        let descend = function(&image, "demo::threads::growth::descend");
        for value in [0x1234_5678, descend.start() + 9] {
            let start = registers(descend.start() + 8, 0x2000_1000, value);
            let chain = image.unwinder().chain(&image, &start, &mut |_| Some(value));
            assert!(!chain.complete && chain.steps.len() <= MAX_FRAMES, "{value:#x}: {}", chain.steps.len());
            let nothing = image.unwinder().chain(&image, &start, &mut |_| None);
            assert!(!nothing.complete);
        }
        let elsewhere = image.unwinder().chain(&image, &registers(0x2000_0000, 0, 0), &mut |_| None);
        assert_eq!(elsewhere, Chain::default());
    }

    #[test]
    fn the_instruction_before_is_found_by_length() {
        let image = demo();
        let descend = function(&image, "demo::threads::growth::descend");
        assert_eq!(instruction_before(&image, descend.start()), None);
        let second = [descend.start() + 2, descend.start() + 4]
            .into_iter()
            .find(|pc| instruction_before(&image, *pc) == Some(descend.start()));
        assert!(second.is_some());
    }
}
