//! The code addresses that calls and exceptions left in a stack, and the likely deepest chain of calls among them.
//!
//! Nothing unwinds here: there is no frame pointer to follow, and below the SP there are only remains. A word counts
//! as a return address when it is odd, as every Thumb address in a link register is, and the linked bytes before it
//! are a call. Other words may look like that by chance, so what is found is "likely" and never more:
//!
//! ```text
//!   descend:  bl descend        a word 0x3a41 in the stack: odd, in code, and a BL stands at 0x3a3c
//!   0x3a40:   ldr r0, [sp]   <- where the call returns to; the BL tells that the next frame is descend's
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::image::symbols::demangle;
use crate::image::{Image, Machine};
use crate::model::snapshot::{Trace, TraceKind, TracePlace};
use crate::region::{self, Region};

/// The most traces of one stack: as many calls deep is a runaway recursion, whose end shows all there is to see.
const MAX_TRACES: usize = 256;
/// Words that the core stacks on an exception: r0 to r3, r12, lr, pc, xPSR.
const FRAME_WORDS: usize = 8;

/// The words of a stack from somewhere up to its first use.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Address of the first word.
    pub start: u32,
    /// The words in address order.
    pub words: &'a [u32],
    /// Where the SP is, when it is known.
    pub sp: Option<u32>,
}

/// A call instruction, as far as it tells whom it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// `BL`: this address.
    Direct(u32),
    /// `BLX` of a register: anybody.
    Register,
}

/// A trace before its place in the chain is known.
struct Found {
    address: u32,
    value: u32,
    kind: TraceKind,
    /// Start of the function it points into.
    function: Option<u32>,
    /// Whom the instruction before it called.
    call: Option<Call>,
    /// It is the start of another function: a pointer to that one, unless the call before it never returns.
    doubtful: bool,
}

/// Finds the traces in a stack, the deepest first. Only Arm's Thumb code is understood: on others nothing is found.
#[must_use]
pub fn find(image: &Image, span: &Span<'_>) -> Vec<Trace> {
    if image.machine != Machine::Arm {
        return Vec::new();
    }
    let code = Code::new(image);
    let found = code.scan(span);
    let place = |address: u32| match span.sp {
        Some(sp) if address >= sp => TracePlace::Now,
        Some(_) => TracePlace::LeftBehind,
        None => TracePlace::Unknown,
    };
    let places: Vec<TracePlace> = found.iter().map(|found| place(found.address)).collect();
    let chain = chain(&code, &found, &places);
    let top = Region::new(span.start, bytes(span.words.len())).end_address();
    let mut above = top;
    let mut chain_above = top;
    let mut traces: Vec<Trace> = found
        .iter()
        .enumerate()
        .filter(|(index, found)| !found.doubtful || chain.contains(index))
        .map(|(index, found)| {
            let in_chain = chain.contains(&index);
            let from = if in_chain { chain_above } else { above };
            above = found.address;
            if in_chain {
                chain_above = found.address;
            }
            let target = found.value & !1;
            Trace {
                address: found.address,
                value: found.value,
                kind: found.kind,
                place: places[index],
                function: found.function.and_then(|start| code.name(start)),
                offset: found.function.map_or(0, |start| Region::between(start, target).size()),
                calls: match found.call {
                    Some(Call::Direct(callee)) => code.name(callee),
                    _ => None,
                },
                frame: Region::between(found.address, from).size(),
                in_chain,
            }
        })
        .collect();
    traces.reverse();
    traces
}

fn bytes(words: usize) -> u32 {
    u32::try_from(words.saturating_mul(4)).unwrap_or(u32::MAX)
}

/// What the image knows of its code.
struct Code<'a> {
    image: &'a Image,
    regions: Vec<Region>,
}

impl<'a> Code<'a> {
    fn new(image: &'a Image) -> Self {
        let regions = image.sections.iter().filter(|section| section.executable).map(|section| section.run).collect();
        Self { image, regions }
    }

    fn contains(&self, address: u32) -> bool {
        self.regions.iter().any(|region| region.contains(address))
    }

    /// The start of the function around an address.
    fn function(&self, address: u32) -> Option<u32> {
        self.image.symbols.at(address).filter(|symbol| symbol.is_code).map(|symbol| symbol.range.start())
    }

    fn name(&self, start: u32) -> Option<String> {
        self.image.symbols.at(start).filter(|symbol| symbol.is_code).map(|symbol| demangle(&symbol.name))
    }

    /// All that looks like a trace, the outermost first.
    fn scan(&self, span: &Span<'_>) -> Vec<Found> {
        let place = |index: usize| Region::new(span.start, bytes(span.words.len())).slice(bytes(index), 4).start();
        let mut found = Vec::new();
        let mut end = span.words.len();
        while end > 0 && found.len() < MAX_TRACES {
            let index = end - 1;
            let frame = end.checked_sub(FRAME_WORDS).and_then(|start| span.words.get(start..end));
            if let Some([.., lr, pc, _]) = frame.filter(|frame| self.is_exception_frame(frame)) {
                let function = self.function(*pc);
                // A leaf keeps its return address in the link register; in others that one is a remain of their own.
                let caller = self.return_address(place(index - 2), *lr).filter(|caller| caller.function != function);
                found.extend(caller);
                found.push(Found {
                    address: place(index - 1),
                    value: *pc,
                    kind: TraceKind::Interrupted,
                    function,
                    call: None,
                    doubtful: false,
                });
                // The other words are registers: what they hold is not part of the chain.
                end -= FRAME_WORDS;
                continue;
            }
            let outermost = found.is_empty();
            found.extend(self.return_address(place(index), span.words[index]).map(|mut trace| {
                // A thread begins in a function whose last call never returns: the first trace is no pointer.
                trace.doubtful &= !outermost;
                trace
            }));
            end = index;
        }
        found
    }

    fn return_address(&self, address: u32, value: u32) -> Option<Found> {
        let target = value & !1;
        if value == target || !self.contains(target) {
            return None;
        }
        let call = self.call_before(target)?;
        // A call that never returns may be the last instruction of its function: what counts is where it stands.
        let function = self.function(Region::before(target, 2)?.start());
        let doubtful = self.function(target) == Some(target) && function != Some(target);
        Some(Found { address, value, kind: TraceKind::Return, function, call: Some(call), doubtful })
    }

    /// The call that ends just before an address.
    fn call_before(&self, address: u32) -> Option<Call> {
        let halves = |size: u32| self.image.bytes(Region::before(address, size)?);
        if let Some([a, b, c, d]) = halves(4) {
            let (first, second) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
            if first & 0xf800 == 0xf000 && second & 0xd000 == 0xd000 {
                return Some(Call::Direct(region::branch(address, displacement(first, second))));
            }
        }
        let Some([a, b]) = halves(2) else { return None };
        // BLX of a register, and BLXNS into the non-secure world.
        (u16::from_le_bytes([*a, *b]) & 0xff83 == 0x4780).then_some(Call::Register)
    }

    /// The functions that a function calls directly.
    fn called_by(&self, function: u32) -> BTreeSet<u32> {
        /// Larger functions are looked at up to here.
        const AT_MOST: u32 = 4096;
        let range = self.image.symbols.at(function).map_or(Region::default(), |symbol| symbol.range.bottom(AT_MOST));
        // A constant in the code may look like a call: one more that is possible does no harm.
        (4..=range.size())
            .step_by(2)
            .filter_map(|end| match self.call_before(range.bottom(end).end_address())? {
                Call::Direct(callee) => self.function(callee),
                Call::Register => None,
            })
            .collect()
    }

    /// Whether these words are what the core stacks on an exception.
    fn is_exception_frame(&self, words: &[u32]) -> bool {
        let [.., lr, pc, xpsr] = words else { return false };
        let thumb = xpsr & 0x0100_0000 != 0;
        // Bits 20 to 23 are always zero, and no core has that many exceptions.
        let plausible = xpsr & 0x00f0_0000 == 0 && xpsr & 0x1ff < 0x100;
        let returns = lr & 0xffff_ff00 == 0xffff_ff00 || lr & 1 == 1 && self.contains(lr & !1);
        thumb && plausible && returns && pc & 1 == 0 && self.contains(*pc)
    }
}

/// How far a `BL` goes from the instruction after it.
fn displacement(first: u16, second: u16) -> i32 {
    let (first, second) = (u32::from(first), u32::from(second));
    let sign = first >> 10 & 1;
    let high = !(second >> 13 ^ sign) & 1;
    let low = !(second >> 11 ^ sign) & 1;
    let offset = sign << 24 | high << 23 | low << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
    // The 25 bits are a signed number.
    (offset << 7).cast_signed() >> 7
}

/// The likely chain in which each trace calls the function of the next, as indices; the deepest of equals.
///
/// What was left behind is of different times: a shallow call overwrites a part of what a deep one left. So a link
/// counts too when the function calls the next one at another place than the word tells, but it counts for less.
fn chain(code: &Code<'_>, found: &[Found], places: &[TracePlace]) -> Vec<usize> {
    /// A link that the call instruction proves.
    const PROVEN: u32 = 16;
    /// One that another instruction of the same function allows.
    const CALLS: u32 = 8;
    /// One that nothing speaks against. Many of them weigh less than one that something speaks for.
    const POSSIBLE: u32 = 1;
    let callees: Vec<Option<u32>> = found
        .iter()
        .map(|found| match found.call {
            Some(Call::Direct(callee)) => code.function(callee),
            Some(Call::Register) | None => None,
        })
        .collect();
    let mut called: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for function in found.iter().filter_map(|found| found.function) {
        called.entry(function).or_insert_with(|| code.called_by(function));
    }
    let calls = |outer: &Found, inner: &Found| {
        let called = outer.function.and_then(|function| called.get(&function));
        called.is_some_and(|called| inner.function.is_some_and(|function| called.contains(&function)))
    };
    let link = |outer: usize, inner: usize| {
        let remains = places[outer] == TracePlace::Now && places[inner] == TracePlace::LeftBehind;
        let overwritten = places[outer] != TracePlace::Now;
        let (from, to) = (&found[outer], &found[inner]);
        let worth = match from.call {
            Some(Call::Direct(_)) if callees[outer].is_some() && callees[outer] == to.function => PROVEN,
            Some(Call::Direct(_)) if (overwritten || remains) && calls(from, to) => CALLS,
            // A function that has not returned may have called others, through pointers too, before this one.
            Some(Call::Direct(_)) if remains => POSSIBLE,
            Some(Call::Direct(_)) => return None,
            Some(Call::Register) => POSSIBLE,
            // What was interrupted calls nothing. Deeper frames are those of handlers, unless they are remains.
            None if remains => return None,
            None => POSSIBLE,
        };
        // A pointer to a function may stand anywhere: only a call of the next one makes it a return address.
        (worth == PROVEN || !from.doubtful).then_some(worth)
    };
    let mut best: Vec<(u32, Option<usize>)> = Vec::with_capacity(found.len());
    for inner in 0..found.len() {
        let before = (0..inner)
            .filter_map(|outer| Some((best[outer].0 + link(outer, inner)?, outer)))
            .max_by_key(|(score, _)| *score);
        best.push(before.map_or((0, None), |(score, outer)| (score, Some(outer))));
    }
    let mut at = (0..found.len()).filter(|index| !found[*index].doubtful).max_by_key(|index| best[*index].0);
    let mut chain = Vec::new();
    while let Some(index) = at {
        chain.push(index);
        at = best[index].1;
    }
    chain
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn demo() -> Image {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
        Image::open(&path).expect("the demo's ELF opens")
    }

    /// The addresses after all direct calls of the demo's function that calls itself, with that function.
    fn recursion(image: &Image) -> (Region, u32) {
        let code = Code::new(image);
        let symbol = image.symbols.iter().find(|symbol| symbol.name.contains("descend")).expect("the demo descends");
        let range = symbol.range;
        let after = (0..range.size() / 2)
            .map(|half| range.slice(2 * half, 2).start())
            .find(|address| code.call_before(*address) == Some(Call::Direct(range.start())));
        (range, after.expect("it calls itself"))
    }

    #[test]
    fn a_branch_goes_where_the_manual_says() {
        // bl #4, bl #-4 and bl #0x1000, from the address after them.
        for (first, second, expected) in [(0xf000, 0xf802, 4), (0xf7ff, 0xfffe, -4), (0xf001, 0xf800, 0x1000)] {
            assert_eq!(displacement(first, second), expected, "{first:x} {second:x}");
        }
    }

    #[test]
    fn a_recursion_is_found_as_one_chain_and_cut_at_the_sp() {
        let image = demo();
        let (range, after) = recursion(&image);
        let mut words = vec![0; 40];
        for index in [3, 13, 23, 33] {
            words[index] = after | 1;
        }
        // An even one, one with no call before it, and one into RAM.
        (words[5], words[6], words[7]) = (after, range.slice(2, 2).start() | 1, 0x2000_0101);
        let span = Span { start: 0x2000_1000, words: &words, sp: Some(0x2000_1000 + 4 * 20) };
        let traces = find(&image, &span);
        let places: Vec<TracePlace> = traces.iter().map(|trace| trace.place).collect();
        let (now, before) = (TracePlace::Now, TracePlace::LeftBehind);
        assert_eq!(places, [before, before, now, now]);
        assert_eq!(traces.iter().map(|trace| trace.frame).collect::<Vec<_>>(), [40, 40, 40, 28]);
        for trace in &traces {
            assert!(trace.in_chain && trace.kind == TraceKind::Return);
            assert!(trace.function.as_deref().is_some_and(|name| name.ends_with("growth::descend")), "{trace:?}");
            assert_eq!(trace.calls, trace.function);
            assert_eq!(trace.offset, after - range.start());
        }
        assert!(find(&image, &Span { sp: None, ..span }).iter().all(|trace| trace.place == TracePlace::Unknown));
    }

    #[test]
    fn a_stacked_exception_is_one_trace_and_its_registers_are_none() {
        let image = demo();
        let (range, after) = recursion(&image);
        let pc = range.start() + 4;
        // r0 looks like a return address, and is a register.
        let frame = [after | 1, 0, 0, 0, 0, 0xffff_fffd, pc, 0x0100_0000];
        let mut words = vec![0; 8];
        words.extend(frame);
        let traces = find(&image, &Span { start: 0x2000_0000, words: &words, sp: None });
        assert_eq!(traces.len(), 1);
        assert_eq!((traces[0].kind, traces[0].value, traces[0].offset), (TraceKind::Interrupted, pc, 4));
        // Without the Thumb bit it is no frame, and r0 is a word like any other.
        words[15] = 0;
        let traces = find(&image, &Span { start: 0x2000_0000, words: &words, sp: None });
        assert_eq!(traces.iter().map(|trace| trace.value).collect::<Vec<_>>(), [after | 1]);
    }

    #[test]
    fn a_pointer_to_a_function_is_no_return_address() {
        let image = demo();
        let code = Code::new(&image);
        // A function right after one that ends with a call that never returns.
        let (_, after) = recursion(&image);
        let starts = image.symbols.iter().filter(|symbol| symbol.is_code).map(|symbol| symbol.range.start());
        let pointers: Vec<u32> = starts.filter(|start| code.call_before(*start).is_some()).collect();
        assert!(!pointers.is_empty(), "the demo has panics");
        for pointer in pointers {
            let words = [pointer | 1, after | 1];
            let traces = find(&image, &Span { start: 0x2000_0000, words: &words, sp: None });
            assert_eq!(traces.len(), 1, "{pointer:x} {traces:?}");
            // The first of all is believed: a thread's entry ends with a call that never returns.
            let traces = find(&image, &Span { start: 0x2000_0000, words: &words[..1], sp: None });
            assert_eq!(traces.len(), 1, "{pointer:x} {traces:?}");
        }
    }

    #[test]
    fn a_thousand_calls_deep_is_bounded() {
        let image = demo();
        let (_, after) = recursion(&image);
        let words = vec![after | 1; 4096];
        let traces = find(&image, &Span { start: 0x2000_0000, words: &words, sp: None });
        assert_eq!(traces.len(), MAX_TRACES);
    }

    proptest! {
        #[test]
        fn any_words_anywhere_are_looked_at(start: u32, sp: Option<u32>, words in prop::collection::vec(
            prop_oneof![any::<u32>(), 0u32..0x1_0000, Just(0x0100_0000), Just(0xffff_fffd)], 0..200)) {
            thread_local!(static IMAGE: Image = demo());
            IMAGE.with(|image| {
                let traces = find(image, &Span { start, words: &words, sp });
                assert!(traces.len() <= words.len());
            });
        }
    }
}
