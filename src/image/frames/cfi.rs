//! Stack frames by the call frame information in `.debug_frame` or `.eh_frame`: the largest distance between a
//! function's canonical frame address and its SP.

use gimli::{BaseAddresses, CfaRule, DebugFrame, EhFrame, EndianSlice, RunTimeEndian, UnwindContext, UnwindSection};
use object::Object;

use crate::image::elf_file::ElfFile;

/// The most functions that are looked at.
const MAX_ENTRIES: usize = 1 << 20;
/// A frame larger than this is taken for damage.
const MAX_FRAME: u64 = 1 << 24;
/// The DWARF number of SP on Arm.
const SP: u16 = 13;

/// What one entry says of the function at `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The function's first address, without the Thumb bit.
    pub(super) address: u32,
    /// The largest offset, in bytes.
    pub(super) bytes: u32,
    /// Every offset counts from SP. From a frame pointer it says nothing of what lies below that.
    pub(super) from_sp: bool,
}

/// All entries of the file.
pub(super) fn entries(file: &ElfFile<'_>) -> Vec<Entry> {
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let mut found = Vec::new();
    let data = file.section(".debug_frame");
    if !data.is_empty() {
        let mut section = DebugFrame::from(EndianSlice::new(&data, endian));
        section.set_address_size(4);
        read(&section, &BaseAddresses::default(), &mut found);
    }
    let data = file.section(".eh_frame");
    if !data.is_empty() {
        let mut section = EhFrame::from(EndianSlice::new(&data, endian));
        section.set_address_size(4);
        let address =
            |name: &str| file.section_by_name(name).map_or(0, |section| object::ObjectSection::address(&section));
        let bases = BaseAddresses::default().set_eh_frame(address(".eh_frame")).set_text(address(".text"));
        read(&section, &bases, &mut found);
    }
    found
}

fn read<'data, S>(section: &S, bases: &BaseAddresses, found: &mut Vec<Entry>)
where
    S: UnwindSection<EndianSlice<'data, RunTimeEndian>>,
    S::Offset: gimli::UnwindOffset<usize>,
{
    let mut context = UnwindContext::new();
    let mut entries = section.entries(bases);
    for _ in 0..MAX_ENTRIES {
        let Ok(Some(entry)) = entries.next() else { break };
        let gimli::CieOrFde::Fde(partial) = entry else { continue };
        let Ok(entry) = partial.parse(S::cie_from_offset) else {
            continue;
        };
        let Ok(mut rows) = entry.rows(section, bases, &mut context) else { continue };
        let mut told = Entry { address: entry.initial_address() as u32 & !1, bytes: 0, from_sp: true };
        let mut any = false;
        while let Ok(Some(row)) = rows.next_row() {
            match row.cfa() {
                CfaRule::RegisterAndOffset { register, offset } => {
                    told.from_sp &= register.0 == SP;
                    if let Ok(bytes) = u64::try_from(*offset)
                        && bytes <= MAX_FRAME
                    {
                        told.bytes = told.bytes.max(bytes as u32);
                        any = true;
                    }
                }
                CfaRule::Expression(_) => told.from_sp = false,
            }
        }
        if any {
            found.push(told);
        }
    }
}
