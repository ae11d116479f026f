//! The largest stack frame of the firmware, from the call frame information in `.debug_frame` or `.eh_frame`.
//!
//! Why it matters: a function may reserve its whole frame and write only its far end, which leaves a hole of
//! paint behind. No hole is larger than the largest frame, so a scan that looks that far below the mark misses
//! nothing (see `stack::watermark`).

use gimli::{BaseAddresses, CfaRule, DebugFrame, EhFrame, EndianSlice, RunTimeEndian, UnwindContext, UnwindSection};
use object::read::elf::ElfFile32;
use object::{Endianness, Object};

use super::section_content;

/// The most functions that are looked at.
const MAX_ENTRIES: usize = 1 << 20;
/// A frame larger than this is taken for damage.
const MAX_FRAME: u64 = 1 << 24;

/// The largest distance between a function's canonical frame address and its SP, in bytes; `None` when the file
/// does not tell.
pub(super) fn largest(file: &ElfFile32<'_, Endianness>) -> Option<u32> {
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let debug = section_content(file, ".debug_frame").and_then(|data| {
        let mut section = DebugFrame::from(EndianSlice::new(&data, endian));
        section.set_address_size(4);
        largest_in(&section)
    });
    let eh = section_content(file, ".eh_frame").and_then(|data| {
        let mut section = EhFrame::from(EndianSlice::new(&data, endian));
        section.set_address_size(4);
        largest_in(&section)
    });
    debug.max(eh)
}

fn largest_in<'data, S>(section: &S) -> Option<u32>
where
    S: UnwindSection<EndianSlice<'data, RunTimeEndian>>,
    S::Offset: gimli::UnwindOffset<usize>,
{
    let bases = BaseAddresses::default().set_eh_frame(0).set_text(0);
    let mut context = UnwindContext::new();
    let mut entries = section.entries(&bases);
    let mut largest = None;
    for _ in 0..MAX_ENTRIES {
        let Ok(Some(entry)) = entries.next() else { break };
        let gimli::CieOrFde::Fde(partial) = entry else { continue };
        let Ok(entry) = partial.parse(S::cie_from_offset) else {
            continue;
        };
        let Ok(mut rows) = entry.rows(section, &bases, &mut context) else { continue };
        while let Ok(Some(row)) = rows.next_row() {
            if let CfaRule::RegisterAndOffset { offset, .. } = row.cfa()
                && let Ok(bytes) = u64::try_from(*offset)
                && bytes <= MAX_FRAME
            {
                largest = largest.max(Some(bytes as u32));
            }
        }
    }
    largest
}
