//! The section `.stack_sizes`, which LLVM writes with `-fstack-size-section` or `-Z emit-stack-sizes`: for each function
//! its address and, as ULEB128, the bytes of its frame. Functions whose frame is dynamic are left out of it.

use object::read::elf::ElfFile32;
use object::{Endianness, Object, ObjectSection};

/// The most functions that are read.
const MAX_ENTRIES: usize = 1 << 20;

/// Function addresses, without the Thumb bit, with the bytes of their frames.
pub(super) fn read(file: &ElfFile32<'_, Endianness>) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    // Without `--gc-sections` a linker may leave several sections of the name.
    for section in file.sections().filter(|section| section.name_bytes() == Ok(b".stack_sizes")) {
        let data = section.data().unwrap_or_default();
        parse(data, file.is_little_endian(), &mut found);
    }
    found
}

fn parse(mut data: &[u8], little: bool, found: &mut Vec<(u32, u32)>) {
    while found.len() < MAX_ENTRIES
        && let Some((address, rest)) = data.split_first_chunk::<4>()
    {
        let address = if little { u32::from_le_bytes(*address) } else { u32::from_be_bytes(*address) };
        let Some((bytes, rest)) = uleb(rest) else { break };
        found.push((address & !1, bytes));
        data = rest;
    }
}

/// An unsigned LEB128 number and what follows it; `None` when it is cut off or does not fit.
fn uleb(data: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in data.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, &data[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_until_one_is_cut_off() {
        let mut found = Vec::new();
        parse(&[0x01, 0x10, 0, 0, 0x88, 0x02, 0x21, 0x10, 0, 0, 0x10, 0x41, 0x10, 0, 0, 0x80], true, &mut found);
        assert_eq!(found, [(0x1000, 264), (0x1020, 16)]);
        found.clear();
        parse(&[0, 0, 0x10, 0x01, 0x7f], false, &mut found);
        assert_eq!(found, [(0x1000, 127)]);
        assert_eq!(uleb(&[0xff; 12]), None);
        assert_eq!(uleb(&[0xff, 0xff, 0xff, 0xff, 0x7f]), None);
    }
}
