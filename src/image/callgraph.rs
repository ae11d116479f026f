//! Who calls whom, read from the linked instructions, and how much stack the longest chain of calls takes.
//!
//! ```text
//!   symbols ──> functions ──> scan of each: calls, tail calls, own depth ──> frames ──> longest path from an entry
//!                                 '── mapping symbols ($t, $d) say what is data
//! ```
//!
//! What cannot be followed is said and not guessed: a call through a pointer, a recursion, a frame of unknown or
//! changing size. The number is then what is proven at least; without any of these it is a bound.
//!
//! What a processor and a kernel push on a thread's stack between two of its instructions belongs to it, and is
//! documented at [`CallGraph::pushed_by_switch`].

mod reason;
pub(crate) mod scan;
pub mod thumb;

use std::collections::{BTreeSet, HashMap, HashSet};

use object::read::elf::ElfFile32;
use object::{Endianness, Object, ObjectSection, elf};

use super::elf_file::ElfFile;
use super::frames::{Frame, Frames, Origin, larger};
use super::{Image, Machine, symbols};
use crate::region::Region;
pub use reason::{Reason, note, recursion};

/// The most functions that are looked at.
const MAX_FUNCTIONS: usize = 1 << 20;
/// The most reasons that one worst case keeps.
const MAX_REASONS: usize = 256;

/// What marks the linked bytes from an address on: the ELF's mapping symbols (ELF for the Arm Architecture, 5.5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// Thumb instructions: `$t`.
    Thumb,
    /// Anything else: data (`$d`) or Arm instructions (`$a`), which no Cortex-M runs.
    Other,
}

/// The deepest that the stack gets below an entry function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorstCase {
    /// Bytes. A bound when `exact`, else what is proven at least.
    pub bytes: u32,
    /// Every call was followed and every frame is known.
    pub exact: bool,
    /// Why it is not exact.
    pub why: Vec<Reason>,
    /// The names of the functions on the longest path, the entry first.
    pub path: Vec<String>,
    /// The function with the largest frame of all that the entry reaches, and the bytes of that frame.
    pub largest: Option<(String, u32)>,
}

/// The functions of a firmware and their calls.
#[derive(Clone, Debug, Default)]
pub struct CallGraph {
    functions: Vec<Function>,
    by_address: HashMap<u32, usize>,
    handlers: Vec<u32>,
    has_float: bool,
    largest_frame: Option<u32>,
}

#[derive(Clone, Debug)]
struct Function {
    /// As linked: names are demangled when somebody wants to read them.
    name: String,
    range: Region,
    frame: Option<Frame>,
    /// Index of the callee, and bytes of this function's own stack below the call.
    calls: Vec<(usize, u32)>,
    indirect: bool,
    /// It calls or runs into bytes that no function claims.
    astray: bool,
}

impl CallGraph {
    /// Reads the calls of an image; `None` when it is not for a Cortex-M. RISC-V is not followed.
    pub(super) fn read(image: &Image, file: &ElfFile<'_>) -> Option<Self> {
        if image.machine != Machine::Arm || !file.is_little_endian() {
            return None;
        }
        let mut frames = Frames::read(file);
        frames.add_usage(&image.usage);
        let mut functions = functions(image);
        let starts: Vec<u32> = functions.iter().map(|function| function.range.start()).collect();
        // The function that an address lies in: a branch into the middle of one is taken for a call of all of it.
        let owner = |functions: &[Function], address: u32| {
            let index = starts.partition_point(|start| *start <= address).checked_sub(1)?;
            functions[index].range.contains(address).then_some(index)
        };
        let code = Linked { image, marks: &image.marks };
        for index in 0..functions.len() {
            let range = functions[index].range;
            let scan = scan::scan(&code, range);
            let told = frames.get(range.start(), &functions[index].name);
            let read =
                scan.as_ref().map(|scan| Frame { bytes: scan.depth, origin: Origin::Code, dynamic: scan.dynamic });
            let frame = match (told, read) {
                // The compiler knows better than its instructions show whether a frame is dynamic.
                (Some(told), Some(read)) => Some(larger(told, Frame { dynamic: false, ..read })),
                (told, read) => told.or(read),
            };
            let bytes = frame.map_or(0, |frame| frame.bytes);
            let mut calls = Vec::new();
            let scan = scan.unwrap_or_default();
            let mut astray = scan.astray;
            let called = scan.calls.iter().map(|target| (*target, bytes));
            for (target, depth) in called.chain(scan.tails.iter().copied()) {
                match owner(&functions, target) {
                    Some(callee) if callee == index && depth == 0 => {}
                    Some(callee) => calls.push((callee, depth)),
                    None => astray = true,
                }
            }
            let function = &mut functions[index];
            function.frame = frame;
            function.calls = calls;
            function.indirect = scan.indirect;
            function.astray = astray;
        }
        let by_address =
            functions.iter().enumerate().map(|(index, function)| (function.range.start(), index)).collect();
        let largest_frame = functions.iter().filter_map(|function| function.frame).map(|frame| frame.bytes).max();
        Some(Self { functions, by_address, handlers: handlers(image), has_float: has_float(file), largest_frame })
    }

    /// The deepest that the stack gets below `entry`, whose Thumb bit may be set: that function's frame and those of
    /// the longest chain of calls. `None` when no function begins there.
    #[must_use]
    pub fn worst_case(&self, entry: u32) -> Option<WorstCase> {
        let entry = *self.by_address.get(&(entry & !1))?;
        let mut walk = Walk { graph: self, depth: HashMap::new(), on_path: HashSet::new(), loops: BTreeSet::new() };
        let bytes = walk.walk(entry);
        let mut why = BTreeSet::new();
        let mut largest: Option<(usize, u32)> = None;
        for index in walk.depth.keys() {
            let function = &self.functions[*index];
            let name = || symbols::demangle(&function.name);
            if function.indirect {
                why.insert(Reason::Indirect(name()));
            }
            match function.frame {
                None => drop(why.insert(Reason::UnknownFrame(name()))),
                Some(frame) if frame.dynamic => drop(why.insert(Reason::Dynamic(name()))),
                Some(_) => {}
            }
            if function.astray {
                why.insert(Reason::UnknownFrame(format!("what {} calls", name())));
            }
            let bytes = function.frame.map_or(0, |frame| frame.bytes);
            // Ties go to the lower address, so that the same image always gives the same answer.
            if largest.is_none_or(|(other, most)| (bytes, other) > (most, *index)) {
                largest = Some((*index, bytes));
            }
            if why.len() > MAX_REASONS {
                why.pop_last();
            }
        }
        why.extend(walk.loops.iter().map(|index| Reason::Recursion(symbols::demangle(&self.functions[*index].name))));
        Some(WorstCase {
            bytes,
            exact: why.is_empty(),
            why: why.into_iter().collect(),
            path: walk.path(entry),
            largest: largest.map(|(index, bytes)| (symbols::demangle(&self.functions[index].name), bytes)),
        })
    }

    /// The worst case of a thread that begins in `entry`: [`CallGraph::worst_case`], and what an interrupt and the
    /// kernel's context switch push on top of it.
    #[must_use]
    pub fn of_thread(&self, entry: u32) -> Option<WorstCase> {
        let worst = self.worst_case(entry)?;
        let bytes = worst.bytes.saturating_add(self.pushed_by_interrupt()).saturating_add(self.pushed_by_switch());
        Some(WorstCase { bytes, ..worst })
    }

    /// The worst case of the only stack of a firmware without a kernel, which begins in `entry`: the chain of calls
    /// below it, and the deepest interrupt handler of the vector table on top. How many interrupts nest is not known, so
    /// this is at least.
    #[must_use]
    pub fn of_only_stack(&self, entry: u32) -> Option<WorstCase> {
        let mut worst = self.worst_case(entry)?;
        let handlers = self.handlers.iter().filter(|handler| **handler != entry & !1);
        let deepest = handlers.filter_map(|handler| self.worst_case(*handler)).max_by_key(|handler| handler.bytes);
        if let Some(handler) = deepest {
            worst.bytes = worst.bytes.saturating_add(handler.bytes).saturating_add(self.pushed_by_interrupt());
            worst.why.push(Reason::Nesting);
            worst.exact = false;
        }
        Some(worst)
    }

    /// Bytes that the processor pushes when an interrupt comes: r0-r3, r12, LR, PC and xPSR, s0-s15 and FPSCR too when
    /// the firmware was built for a floating-point unit, and one word when SP is no multiple of 8 (DDI 0403, B1.5.7).
    #[must_use]
    pub fn pushed_by_interrupt(&self) -> u32 {
        const BASIC: u32 = 32;
        const EXTENDED: u32 = 104;
        const ALIGNMENT: u32 = 4;
        ALIGNMENT + if self.has_float { EXTENDED } else { BASIC }
    }

    /// Whether the firmware was built for a floating-point unit.
    #[must_use]
    pub fn has_float(&self) -> bool {
        self.has_float
    }

    /// Bytes that the kernel's context switch is assumed to push on the thread's stack: r4-r11, and s16-s31 when the
    /// firmware was built for a floating-point unit. FreeRTOS, RTX5, Zephyr and ThreadX do so, give or take a word; a
    /// kernel that saves them elsewhere makes the bound that much too large.
    #[must_use]
    pub fn pushed_by_switch(&self) -> u32 {
        const CORE: u32 = 32;
        const FLOAT: u32 = 64;
        CORE + if self.has_float { FLOAT } else { 0 }
    }

    /// The largest frame of any function, in bytes.
    #[must_use]
    pub fn largest_frame(&self) -> Option<u32> {
        self.largest_frame
    }

    /// The frame of the function that begins at `address`.
    #[must_use]
    pub fn frame(&self, address: u32) -> Option<Frame> {
        self.by_address.get(&(address & !1)).and_then(|index| self.functions[*index].frame)
    }
}

/// One walk from one entry: depth first, without recursion of its own, each function once.
struct Walk<'graph> {
    graph: &'graph CallGraph,
    /// The deepest below each finished function, and the callee that makes it so.
    depth: HashMap<usize, (u32, Option<usize>)>,
    on_path: HashSet<usize>,
    /// The functions that a chain of calls comes back to.
    loops: BTreeSet<usize>,
}

impl Walk<'_> {
    fn walk(&mut self, entry: usize) -> u32 {
        let mut open = vec![(entry, 0)];
        self.on_path.insert(entry);
        while let Some((index, next)) = open.last_mut() {
            let function = &self.graph.functions[*index];
            match function.calls.get(*next) {
                Some((callee, _)) => {
                    *next += 1;
                    if self.on_path.contains(callee) {
                        self.loops.insert(*callee);
                    } else if !self.depth.contains_key(callee) {
                        self.on_path.insert(*callee);
                        open.push((*callee, 0));
                    }
                }
                None => {
                    let index = *index;
                    let own = function.frame.map_or(0, |frame| frame.bytes);
                    let mut deepest = (own, None);
                    for (callee, above) in &function.calls {
                        let below = self.depth.get(callee).map_or(0, |(bytes, _)| *bytes);
                        let bytes = above.saturating_add(below);
                        if bytes > deepest.0 {
                            deepest = (bytes, Some(*callee));
                        }
                    }
                    self.depth.insert(index, deepest);
                    self.on_path.remove(&index);
                    open.pop();
                }
            }
        }
        self.depth.get(&entry).map_or(0, |(bytes, _)| *bytes)
    }

    fn path(&self, entry: usize) -> Vec<String> {
        let mut path = Vec::new();
        let mut at = Some(entry);
        while let Some(index) = at {
            path.push(symbols::demangle(&self.graph.functions[index].name));
            at = self.depth.get(&index).and_then(|(_, callee)| *callee);
            if path.len() > self.depth.len() {
                break;
            }
        }
        path
    }
}

/// The functions by their symbols, in address order, none of which reaches into the next.
fn functions(image: &Image) -> Vec<Function> {
    let mut found: Vec<(u32, u32, &str)> = image
        .symbols
        .iter()
        .filter(|symbol| symbol.is_code)
        .map(|symbol| (symbol.range.start(), symbol.range.size(), &*symbol.name))
        .take(MAX_FUNCTIONS)
        .collect();
    // Of several names for one address, the one with the largest size is kept.
    found.sort_by(|one, other| (one.0, other.1, one.2).cmp(&(other.0, one.1, other.2)));
    found.dedup_by_key(|(start, ..)| *start);
    let mut functions = Vec::with_capacity(found.len());
    for (index, (start, size, name)) in found.iter().enumerate() {
        let Some(section) = image.sections.iter().find(|section| section.executable && section.run.contains(*start))
        else {
            continue;
        };
        // A function in assembly may have no size: it ends where the next one begins.
        let rest = section.run.from(*start);
        let rest = found.get(index + 1).map_or(rest, |(next, ..)| rest.below(*next));
        let range = if *size == 0 { rest } else { rest.bottom((*size).min(rest.size())) };
        if !range.is_empty() {
            let name = (*name).to_owned();
            functions.push(Function { name, range, frame: None, calls: Vec::new(), indirect: false, astray: false });
        }
    }
    functions
}

/// The handlers that the vector table names, without the initial SP and the reset handler.
fn handlers(image: &Image) -> Vec<u32> {
    const MAX_VECTORS: u32 = 16 + 480;
    let Some(table) = super::layout::vectors(image) else { return Vec::new() };
    let mut handlers: Vec<u32> = (2..(table.size() / 4).min(MAX_VECTORS))
        .filter_map(|index| image.word(table.slice(4 * index, 4).start()))
        .filter(|word| word & 1 == 1)
        .map(|word| word & !1)
        .collect();
    handlers.sort_unstable();
    handlers.dedup();
    handlers
}

/// Whether the build attributes ask for a floating-point unit: `Tag_FP_arch` (ABI addenda 32, "Build attributes").
fn has_float(file: &ElfFile32<'_, Endianness>) -> bool {
    const TAG_CPU_RAW_NAME: u64 = 4;
    const TAG_CPU_NAME: u64 = 5;
    const TAG_FP_ARCH: u64 = 10;
    const TAG_COMPATIBILITY: u64 = 32;
    let read = || -> Option<u64> {
        let data = file.section_by_name(".ARM.attributes")?.data().ok()?;
        let section =
            object::read::elf::AttributesSection::<elf::FileHeader32<Endianness>>::new(file.endian(), data).ok()?;
        let mut subsections = section.subsections().ok()?;
        while let Some(subsection) = subsections.next().ok()? {
            let mut parts = subsection.subsubsections();
            while let Some(part) = parts.next().ok()? {
                let mut attributes = part.attributes();
                while let Some(tag) = attributes.read_tag().ok()? {
                    match tag {
                        TAG_FP_ARCH => return attributes.read_integer().ok(),
                        TAG_CPU_RAW_NAME | TAG_CPU_NAME => drop(attributes.read_string().ok()?),
                        TAG_COMPATIBILITY => {
                            attributes.read_integer().ok()?;
                            attributes.read_string().ok()?;
                        }
                        // From 32 on, odd tags carry a string and even ones a number.
                        tag if tag > TAG_COMPATIBILITY && tag % 2 == 1 => drop(attributes.read_string().ok()?),
                        _ => drop(attributes.read_integer().ok()?),
                    }
                }
            }
        }
        None
    };
    read().is_some_and(|arch| arch != 0)
}

/// The linked bytes with what the mapping symbols say of them.
struct Linked<'image> {
    image: &'image Image,
    marks: &'image [(u32, Content)],
}

impl scan::Code for Linked<'_> {
    fn half(&self, address: u32) -> Option<u16> {
        let mark = self.marks.partition_point(|(start, _)| *start <= address).checked_sub(1);
        // An image without mapping symbols was stripped: all that can be reached is taken for code then.
        if mark.is_some_and(|mark| self.marks[mark].1 == Content::Other) {
            return None;
        }
        Some(u16::from_le_bytes(self.image.bytes(Region::new(address, 2))?.try_into().ok()?))
    }

    fn word(&self, address: u32) -> Option<u32> {
        self.image.word(address)
    }

    fn byte(&self, address: u32) -> Option<u8> {
        self.image.bytes(Region::new(address, 1))?.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// Functions 0, 1, ... with these frames, and calls between them.
    fn graph(frames: &[u32], calls: &[(usize, usize)]) -> CallGraph {
        let mut graph = CallGraph::default();
        for (index, bytes) in frames.iter().enumerate() {
            let range = Region::new(0x100 * index as u32, 0x100);
            let frame = Some(Frame { bytes: *bytes, origin: Origin::Code, dynamic: false });
            let calls = calls.iter().filter(|(from, _)| *from == index).map(|(_, to)| (*to, *bytes)).collect();
            let name = format!("f{index}");
            graph.functions.push(Function { name, range, frame, calls, indirect: false, astray: false });
            graph.by_address.insert(range.start(), index);
        }
        graph
    }

    #[test]
    fn the_longest_path_counts_and_its_largest_frame_is_named() {
        let graph = graph(&[8, 100, 16, 90, 400], &[(0, 1), (0, 2), (2, 3), (1, 3)]);
        let worst = graph.worst_case(1).expect("the Thumb bit is no matter");
        assert_eq!((worst.bytes, worst.exact, worst.why.len()), (198, true, 0));
        assert_eq!(worst.path, ["f0", "f1", "f3"]);
        assert_eq!(worst.largest, Some(("f1".into(), 100)), "f4 is not reached");
        assert_eq!(graph.of_thread(0).map(|worst| worst.bytes), Some(198 + 36 + 32));
        assert_eq!(graph.worst_case(0x10), None, "no function begins there");
    }

    #[test]
    fn with_a_floating_point_unit_more_is_pushed() {
        let graph = CallGraph { has_float: true, ..graph(&[0], &[]) };
        assert_eq!(graph.of_thread(0).map(|worst| worst.bytes), Some(108 + 96));
    }

    #[test]
    fn a_tail_call_takes_no_more_than_is_left_of_the_frame() {
        let mut graph = graph(&[64, 48], &[]);
        graph.functions[0].calls = vec![(1, 0)];
        assert_eq!(graph.worst_case(0).map(|worst| worst.bytes), Some(64));
        graph.functions[0].calls = vec![(1, 24)];
        assert_eq!(graph.worst_case(0).map(|worst| worst.bytes), Some(72));
    }

    #[test]
    fn recursion_and_what_is_unknown_are_said() {
        let mut graph = graph(&[8, 16, 32, 64], &[(0, 1), (1, 2), (2, 1), (2, 3), (3, 3)]);
        graph.functions[0].indirect = true;
        graph.functions[3].frame = None;
        graph.functions[3].calls = vec![(3, 0)];
        let worst = graph.worst_case(0).expect("it is there");
        let name = |name: &str| name.to_owned();
        let why = [
            Reason::Recursion(name("f1")),
            Reason::Recursion(name("f3")),
            Reason::Indirect(name("f0")),
            Reason::UnknownFrame(name("f3")),
        ];
        let said: BTreeSet<Reason> = worst.why.iter().cloned().collect();
        assert_eq!((worst.bytes, worst.exact, said), (56, false, why.into_iter().collect()));
    }

    #[test]
    fn interrupts_come_on_top_of_the_only_stack() {
        let graph = CallGraph { handlers: vec![0x100, 0x200], ..graph(&[8, 24, 40], &[]) };
        let worst = graph.of_only_stack(0).expect("it is there");
        assert_eq!((worst.bytes, worst.exact, worst.why), (8 + 40 + 36, false, vec![Reason::Nesting]));
    }

    #[test]
    fn the_demo_is_followed_from_its_instructions() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
        let image = Image::open(&path).expect("the demo opens");
        let graph = image.call_graph().expect("it is for a Cortex-M");
        let find = |name: &str| {
            let symbol = image.symbols.iter().find(|symbol| symbols::demangle(&symbol.name) == name);
            symbol.unwrap_or_else(|| panic!("{name} is linked")).range.start()
        };
        let worst = graph.worst_case(find("demo::threads::growth::run")).expect("it is a function");
        assert!(worst.why.contains(&Reason::Recursion("demo::threads::growth::descend".into())), "{:?}", worst.why);
        let worst = graph.worst_case(find("demo::threads::main::run")).expect("it is a function");
        assert!(worst.why.contains(&Reason::Indirect("core::fmt::write".into())), "{:?}", worst.why);
        let (name, bytes) = worst.largest.expect("it calls");
        assert!(name == "demo::threads::main::log_status" && bytes >= 320, "{name} holds a line of 320 bytes: {bytes}");
        assert!(image.largest_hole() >= Some(bytes), "its debug information counts from the frame pointer");
    }

    proptest! {
        /// Any calls, loops among them: the walk ends, and is at least the entry's own frame.
        #[test]
        fn any_graph_is_survived(
            frames in prop::collection::vec(any::<u32>(), 1..20),
            calls in prop::collection::vec((0usize..20, 0usize..20), 0..80),
        ) {
            let count = frames.len();
            let calls: Vec<_> = calls.into_iter().map(|(from, to)| (from % count, to % count)).collect();
            let worst = graph(&frames, &calls).worst_case(0).expect("it is there");
            prop_assert!(worst.bytes >= frames[0] && worst.path.len() <= count);
        }
    }
}
