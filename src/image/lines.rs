//! From an address to its function, file and line, with the functions that were inlined there, by the debug information.
//!
//! Sections are read when the first address is asked for; after that an address costs one walk over its unit. Everything
//! is counted down from a limit, so that a damaged file gives fewer answers and never takes the process down.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use gimli::{AttributeValue, Dwarf};

use super::dwarf::{Debug, Entry, Slice, Unit};
use super::symbols::demangle;
use crate::units::printable;

/// The most ranges of units that are kept.
const MAX_RANGES: usize = 1 << 20;
/// The most entries, ranges and rows that one question looks at, each.
const MAX_STEPS: usize = 1 << 22;
/// The deepest nesting of inlined functions that is told.
const MAX_INLINED: usize = 64;
/// The most links from an entry to the one that has its name.
const MAX_LINKS: usize = 16;
/// The most answers that are kept for the next time.
const MAX_KNOWN: usize = 1 << 14;
/// The longest path, in characters.
const MAX_PATH: usize = 240;

/// A function at an address. Of several, all but the last were inlined into the one behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name as its author wrote it, printable.
    pub function: String,
    /// The source file, printable and shortened: `src/main.rs`, `core/src/fmt/mod.rs`, `heapless-0.8.0/src/vec.rs`.
    pub file: Option<String>,
    /// The line, counted from 1; for a function that another was inlined into, that of the call.
    pub line: Option<u32>,
}

/// The lines of one image.
pub struct Lines {
    debug: Arc<Debug>,
    /// Ranges of addresses and the number of the unit they belong to, by their start.
    ranges: Vec<(u64, u64, usize)>,
    /// Linkers leave functions that they dropped at address 0: these are believed only when code lies there.
    code_at_zero: bool,
    known: Mutex<HashMap<u32, Arc<[Frame]>>>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lines({} ranges)", self.ranges.len())
    }
}

impl Lines {
    /// Reads where the units lie.
    pub(super) fn read(debug: Arc<Debug>, code_at_zero: bool) -> Self {
        let mut found = Vec::new();
        for number in 0..debug.len() {
            let Some(Ok(mut ranges)) = debug.unit(number).map(|unit| unit.ranges()) else { continue };
            while let Ok(Some(range)) = ranges.next()
                && found.len() < MAX_RANGES
            {
                if (range.begin != 0 || code_at_zero) && range.begin < range.end {
                    found.push((range.begin, range.end, number));
                }
            }
        }
        found.sort_unstable();
        Self { debug, ranges: found, code_at_zero, known: Mutex::default() }
    }

    /// The functions at the instruction at `address`, the innermost inlined one first; empty when nothing is known.
    /// For a return address ask for the byte before it: that one is still in the call.
    #[must_use]
    pub fn at(&self, address: u32) -> Arc<[Frame]> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frames) = known().get(&address) {
            return Arc::clone(frames);
        }
        let frames: Arc<[Frame]> = self.find(u64::from(address)).unwrap_or_default().into();
        let mut known = known();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(address, Arc::clone(&frames));
        frames
    }

    fn believes(&self, start: u64) -> bool {
        start != 0 || self.code_at_zero
    }

    fn find(&self, address: u64) -> Option<Vec<Frame>> {
        // Units do not nest: looking back over a few ranges finds the right one.
        const LOOK_BACK: usize = 16;
        let next = self.ranges.partition_point(|(start, _, _)| *start <= address);
        let near = &self.ranges[next.saturating_sub(LOOK_BACK)..next];
        let (_, _, number) = near.iter().rev().find(|(_, end, _)| address < *end)?;
        let unit = self.debug.unit(*number)?;
        let calls = self.calls(&unit, address);
        let ((dwarf, lines), files) = (unit.lines(), unit.files());
        let rows = Rows { dwarf, unit: lines };
        let (mut file, mut line) = rows.at(address, |start| self.believes(start)).unwrap_or_default();
        if calls.is_empty() {
            return file.is_some().then(|| vec![Frame { function: "?".into(), file, line }]);
        }
        let mut frames = Vec::with_capacity(calls.len());
        for call in calls.into_iter().rev() {
            frames.push(Frame { function: call.function, file, line });
            (file, line) = (call.file.and_then(|index| self::file(files.0, files.1, index)), call.line);
        }
        Some(frames)
    }

    /// The function around an address and what was inlined there, the outermost first.
    fn calls(&self, unit: &Unit<'_>, address: u64) -> Vec<Call> {
        let mut calls: Vec<Call> = Vec::new();
        let mut entries = unit.unit.entries();
        for _ in 0..MAX_STEPS {
            let Ok(Some(entry)) = entries.next_dfs() else { break };
            let tag = entry.tag();
            let function = tag == gimli::DW_TAG_subprogram;
            if let Some(outermost) = calls.first()
                && entry.depth() <= outermost.depth
            {
                break;
            }
            let inlined = tag == gimli::DW_TAG_inlined_subroutine
                && calls.last().is_some_and(|last| entry.depth() > last.depth)
                && calls.len() <= MAX_INLINED;
            if !(function || inlined) || !self.covers(unit, entry, address) {
                continue;
            }
            let number = |name| entry.attr_value(name).and_then(|value| value.udata_value());
            let file = match entry.attr_value(gimli::DW_AT_call_file) {
                Some(AttributeValue::FileIndex(index)) => Some(index),
                other => other.and_then(|value| value.udata_value()),
            };
            let call = Call {
                depth: entry.depth(),
                function: self.name(unit, entry).unwrap_or_else(|| "?".into()),
                file,
                line: number(gimli::DW_AT_call_line).and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0),
            };
            if function {
                calls.clear();
            }
            calls.push(call);
        }
        calls
    }

    fn covers(&self, unit: &Unit<'_>, entry: &Entry, address: u64) -> bool {
        let Ok(mut ranges) = unit.dwarf.die_ranges(&unit.unit, entry) else { return false };
        for _ in 0..MAX_RANGES {
            match ranges.next() {
                Ok(Some(range)) if self.believes(range.begin) && (range.begin..range.end).contains(&address) => {
                    return true;
                }
                Ok(Some(_)) => {}
                _ => return false,
            }
        }
        false
    }

    /// The name of an entry, or of the one it is an instance of. Linked names have the whole path in them.
    fn name(&self, unit: &Unit<'_>, entry: &Entry) -> Option<String> {
        let mut link = match named(unit, entry) {
            Named::Yes(name) => return Some(name),
            Named::By(link) => link,
            Named::No => return None,
        };
        for _ in 0..MAX_LINKS {
            let said = match unit.offset(link) {
                Some(offset) => named(unit, &unit.unit.entry(offset).ok()?),
                None => {
                    let other = self.debug.unit(self.debug.number_of(link)?)?;
                    named(&other, &other.unit.entry(other.offset(link)?).ok()?)
                }
            };
            match said {
                Named::Yes(name) => return Some(name),
                Named::By(next) => link = next,
                Named::No => return None,
            }
        }
        None
    }
}

/// What an entry says of its name.
fn named(unit: &Unit<'_>, entry: &Entry) -> Named {
    let text = |name| {
        let text = unit.dwarf.attr_string(&unit.unit, entry.attr_value(name)?).ok()?;
        Some(demangle(&gimli::Reader::to_string_lossy(&text).ok()?))
    };
    let linked = [gimli::DW_AT_linkage_name, gimli::DW_AT_MIPS_linkage_name].into_iter().find_map(text);
    if let Some(name) = linked {
        return Named::Yes(name);
    }
    let link = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification]
        .into_iter()
        .find_map(|name| unit.reference(&entry.attr_value(name)?));
    match (text(gimli::DW_AT_name), link) {
        (Some(name), _) => Named::Yes(name),
        (None, Some(link)) => Named::By(link),
        (None, None) => Named::No,
    }
}

/// One function around an address.
struct Call {
    depth: isize,
    function: String,
    /// Where it was inlined: the number of the file in the unit's line program, and the line.
    file: Option<u64>,
    line: Option<u32>,
}

/// What an entry says of its name.
enum Named {
    Yes(String),
    /// The entry at that place has it.
    By(usize),
    No,
}

/// The line program of a unit.
struct Rows<'a> {
    dwarf: &'a Dwarf<Slice>,
    unit: &'a gimli::Unit<Slice>,
}

impl Rows<'_> {
    /// File and line of the row that covers `address`, of sequences whose start is believed.
    fn at(&self, address: u64, believes: impl Fn(u64) -> bool) -> Option<(Option<String>, Option<u32>)> {
        let mut rows = self.unit.line_program.clone()?.rows();
        let mut sequence = None;
        let mut last: Option<(u64, u64, Option<u32>)> = None;
        for _ in 0..MAX_STEPS {
            let (_, row) = rows.next_row().ok()??;
            let start = *sequence.get_or_insert(row.address());
            if let Some((from, file, line)) = last
                && believes(start)
                && (from..row.address()).contains(&address)
            {
                return Some((self.file(file), line));
            }
            let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
            last = Some((row.address(), row.file_index(), line));
            if row.end_sequence() {
                (sequence, last) = (None, None);
            }
        }
        None
    }

    fn file(&self, index: u64) -> Option<String> {
        file(self.dwarf, self.unit, index)
    }
}

/// The path of a file of a unit's line program, shortened.
pub(super) fn file<R: gimli::Reader>(dwarf: &Dwarf<R>, unit: &gimli::Unit<R>, index: u64) -> Option<String> {
    let text = |reader: &R| Some(reader.to_string_lossy().ok()?.into_owned());
    let attribute = |value| text(&dwarf.attr_string(unit, value).ok()?);
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(index)?;
    let base = unit.comp_dir.as_ref().and_then(text).unwrap_or_default();
    let mut path = base.clone();
    if file.directory_index() != 0
        && let Some(folder) = file.directory(header)
    {
        path = join(&path, &attribute(folder)?);
    }
    path = join(&path, &attribute(file.path_name())?);
    Some(printable(&shorten(&path, &base), MAX_PATH))
}

fn join(base: &str, path: &str) -> String {
    let rooted = path.starts_with(['/', '\\']) || path.get(1..3).is_some_and(|drive| matches!(drive, ":/" | ":\\"));
    if rooted || base.is_empty() { path.to_owned() } else { format!("{}/{path}", base.trim_end_matches('/')) }
}

/// A path as a reader wants it: below the standard library, below the registry's folder of crates, or below the folder
/// that it shares with the one it was compiled in.
fn shorten(path: &str, base: &str) -> String {
    let clean = clean(path);
    let parts: Vec<&str> = clean.split('/').collect();
    let library = parts.windows(2).position(|pair| pair == ["src", "rust"]).map(|at| at + 2);
    let library = library.or_else(|| parts.iter().position(|part| *part == "rustc").map(|at| at + 2));
    if let Some(at) = library.filter(|at| parts.get(*at) == Some(&"library")) {
        return parts[at + 1..].join("/");
    }
    let registry = |part: &&str| part.starts_with("index.crates.io-") || part.starts_with("github.com-");
    if let Some(at) = parts.iter().position(registry).filter(|at| at + 1 < parts.len()) {
        return parts[at + 1..].join("/");
    }
    // CMSIS packs, wherever they are installed: `ARM/CMSIS/5.6.0/CMSIS/Core/Include/core_cm4.h`.
    let packs = |pair: &[&str]| pair[0].eq_ignore_ascii_case("arm") && pair[1].eq_ignore_ascii_case("packs");
    if let Some(at) = parts.windows(2).position(packs).filter(|at| at + 2 < parts.len()) {
        return parts[at + 2..].join("/");
    }
    let base = self::clean(base);
    let shared = parts.iter().zip(base.split('/')).take_while(|(one, other)| **one == *other).count();
    // Only the root in common says nothing of a project.
    let shared = if shared >= 2 { shared.min(parts.len() - 1) } else { 0 };
    parts[shared..].join("/")
}

/// The path with forward slashes, without `.` and with `..` carried out where that is possible.
fn clean(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for (index, part) in path.split('/').enumerate() {
        match part {
            "." => {}
            "" if index > 0 => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, "" | "..")) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    fn demo() -> Image {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
        Image::open(&path).expect("the demo opens")
    }

    /// The demo's own source says where a function begins, so that the test holds when lines move.
    #[test]
    fn a_function_of_the_demo_has_its_file_and_line() {
        let image = demo();
        let descend = image
            .symbols
            .iter()
            .find(|symbol| symbol.is_code && demangle(&symbol.name) == "demo::threads::growth::descend")
            .expect("the demo has it");
        let source = include_str!("../../target-agent/demo/src/threads/growth.rs");
        let line = source.lines().position(|line| line.starts_with("fn descend")).map(|at| at as u32 + 1);
        let frames = image.lines().at(descend.range.start());
        let outer = frames.last().expect("it is known");
        assert_eq!(outer.function, "demo::threads::growth::descend");
        assert_eq!(outer.file.as_deref(), Some("src/threads/growth.rs"));
        assert_eq!(outer.line, line);
    }

    #[test]
    fn inlined_functions_come_innermost_first_and_in_order() {
        let image = demo();
        let code = image.sections.iter().filter(|section| section.executable);
        let mut deepest = 0;
        let (mut known, mut all) = (0, 0);
        for address in code.flat_map(|section| (section.run.start()..section.run.end_address()).step_by(34)) {
            let Some(symbol) = image.symbols.at(address).filter(|symbol| symbol.is_code) else { continue };
            all += 1;
            let frames = image.lines().at(address);
            deepest = deepest.max(frames.len());
            if let Some(outer) = frames.last() {
                known += 1;
                let name = demangle(&symbol.name);
                // Functions that are the same code share an address under several names.
                assert!(outer.function == name || outer.function.contains("::"), "{address:#x} {name} {frames:?}");
            }
        }
        assert!(deepest >= 3, "{deepest}");
        assert!(known * 10 >= all * 9, "{known} of {all}");
    }

    #[test]
    fn paths_are_shortened() {
        for (path, base, expected) in [
            ("/rustc/5980/library/core/src/fmt/mod.rs", "/rustc/5980", "core/src/fmt/mod.rs"),
            ("/root/.rustup/lib/rustlib/src/rust/library/alloc/src/vec.rs", "/w", "alloc/src/vec.rs"),
            ("/h/registry/src/index.crates.io-1949/heapless-0.8.0/src/vec.rs", "/w", "heapless-0.8.0/src/vec.rs"),
            ("/home/u/app/src/main.rs", "/home/u/app", "src/main.rs"),
            ("/home/u/app/build/../src/main.c", "/home/u/app/build", "src/main.c"),
            ("/opt/sdk/port.c", "/home/u/app", "/opt/sdk/port.c"),
            ("C:/Users/u/AppData/Local/Arm/Packs/ARM/CMSIS/5.6.0/core.h", "C:/w", "ARM/CMSIS/5.6.0/core.h"),
            ("C:\\w\\app\\src\\main.c", "C:\\w\\app", "src/main.c"),
            ("src/main.rs", "", "src/main.rs"),
            ("../../x.c", "", "../../x.c"),
            ("demo/src/x.rs", "demo", "demo/src/x.rs"),
        ] {
            assert_eq!(shorten(path, base), expected, "{path}");
        }
    }

    #[test]
    fn damaged_debug_information_is_survived() {
        use object::{Object, ObjectSection};
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
        let clean = std::fs::read(&path).expect("the demo is there");
        let file = object::File::parse(&*clean).expect("it is an ELF");
        for name in [".debug_info", ".debug_abbrev", ".debug_line", ".debug_ranges", ".debug_str"] {
            let (start, size) = file.section_by_name(name).and_then(|section| section.file_range()).expect(name);
            for step in [61, 997] {
                let mut bytes = clean.clone();
                for at in (start..start + size).step_by(step) {
                    bytes[at as usize] ^= 0x5a;
                }
                let Ok(image) = Image::parse(&path, &bytes) else { continue };
                for address in (0..0x6000).step_by(338) {
                    let _ = image.lines().at(address);
                }
            }
        }
    }
}
