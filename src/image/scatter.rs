//! What armlink does its own way: the table from which startup code fills the RAM, and data that it stores compressed.
//!
//! Between `Region$$Table$$Base` and `Region$$Table$$Limit` there are four words for each region that startup code makes:
//! where its content is stored, where it belongs, its bytes there, and the routine that puts it there
//! (`__scatterload_copy`, `__scatterload_zeroinit`, `__decompress1`; Arm Compiler 5.06 was looked at). The section
//! of a region that is stored compressed tells its stored size only: here it gets the one that it has when the program runs.

use super::Image;
use crate::region::Region;

/// The most regions that are looked at.
const MOST_REGIONS: u32 = 1 << 10;
/// The bytes of an entry.
const ENTRY: u32 = 16;

/// Gives regions that are stored compressed the size that they have when the program runs.
pub(super) fn unpack(image: &mut Image) {
    for (run, stored) in packed(image) {
        let next = image.sections.iter().map(|section| section.run.start()).filter(|start| *start > run.start()).min();
        let is_free = next.is_none_or(|next| run.end() <= u64::from(next));
        let known = image.sections.iter_mut().find(|section| {
            // Data that would grow by being compressed is not.
            section.run.start() == run.start() && section.is_stored && section.run.size() < run.size()
        });
        if let Some(section) = known.filter(|_| is_free) {
            section.load = Some(Region::new(stored, section.run.size()));
            section.run = run;
            section.is_packed = true;
            // What lies in the file at that address is not what the program finds there.
            image.segments.retain(|segment| segment.run.start() != run.start());
        }
    }
}

/// The regions that are compressed, and where they are stored.
fn packed(image: &Image) -> Vec<(Region, u32)> {
    let address = |name| image.symbols.address(name);
    // IAR's linker has a table under these names too, of another form.
    let (Some(base), Some(limit), None) =
        (address("Region$$Table$$Base"), address("Region$$Table$$Limit"), address(".iar.init_table$$Base"))
    else {
        return Vec::new();
    };
    let unpacks = image.symbols.iter().filter(|symbol| symbol.is_code && symbol.name.starts_with("__decompress"));
    let unpacks: Vec<u32> = unpacks.map(|symbol| symbol.range.start()).collect();
    let count = (limit.saturating_sub(base) / ENTRY).min(MOST_REGIONS);
    let entries = (0..count).filter_map(|index| {
        let word = |at: u32| image.word(base.checked_add(index * ENTRY + at)?);
        let (stored, start, size, routine) = (word(0)?, word(4)?, word(8)?, word(12)?);
        unpacks.contains(&(routine & !1)).then(|| (Region::new(start, size), stored))
    });
    entries.collect()
}
