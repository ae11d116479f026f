//! Other images in the same flash: a bootloader, a soft device, a file system, as ELF, Intel HEX, UF2 or plain bytes.
//!
//! Only where they lie is of interest: their content is not kept.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Image, MAX_FILE};
use crate::region::{Region, merge};
use crate::units::printable;

/// The most ranges one file may have: more are no image.
const MOST_RANGES: usize = 1 << 16;

/// An image beside the firmware's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The file's name without its folder.
    pub name: String,
    /// What it takes, in address order.
    pub ranges: Vec<Region>,
}

/// A file as the command line names it: `boot.hex`, `data.bin@0x08040000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The file.
    pub path: PathBuf,
    /// Where its first byte lies, for files that do not say so themselves.
    pub address: Option<u32>,
}

/// Why a file cannot be put on the map.
#[derive(Debug, Error)]
pub enum OtherError {
    /// It cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It does not say where it lies.
    #[error("{} does not say where it lies; give its address too: {}@0x08000000", path.display(), path.display())]
    NoAddress {
        /// The file.
        path: PathBuf,
    },
    /// It says itself where it lies.
    #[error("{} says itself where it lies: give it without @ and an address", path.display())]
    HasAddress {
        /// The file.
        path: PathBuf,
    },
    /// It makes no sense.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first thing that made no sense.
        why: String,
    },
}

impl std::str::FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((path, address)) = text.rsplit_once('@') else {
            return Ok(Self { path: text.into(), address: None });
        };
        let digits = address.strip_prefix("0x").or_else(|| address.strip_prefix("0X"));
        let parsed = match digits {
            Some(digits) => u32::from_str_radix(&digits.replace('_', ""), 16),
            None => address.parse(),
        };
        let address = parsed.map_err(|_| format!("`{address}` is not an address: write FILE@0x08000000"))?;
        Ok(Self { path: path.into(), address: Some(address) })
    }
}

impl Other {
    /// Reads where the file lies.
    ///
    /// # Errors
    ///
    /// See [`OtherError`].
    pub fn open(given: &Given) -> Result<Self, OtherError> {
        let unreadable = |why: String| OtherError::Unreadable { path: given.path.clone(), why };
        let found = std::fs::metadata(&given.path).map_err(|error| unreadable(super::plain(&error)))?;
        if found.is_dir() || found.len() > MAX_FILE {
            return Err(unreadable(format!("it is a folder, or larger than {MAX_FILE} bytes")));
        }
        let data = std::fs::read(&given.path).map_err(|error| unreadable(super::plain(&error)))?;
        Self::parse(given, &data)
    }

    /// Reads where the content of the file lies.
    ///
    /// # Errors
    ///
    /// See [`OtherError`].
    pub fn parse(given: &Given, data: &[u8]) -> Result<Self, OtherError> {
        let path = || given.path.clone();
        let damaged = |why: String| OtherError::Damaged { path: path(), why };
        let ranges = match data {
            [0x7f, b'E', b'L', b'F', ..] => Some(elf(&given.path, data).map_err(damaged)?),
            [b':', ..] => Some(intel_hex(&String::from_utf8_lossy(data)).map_err(damaged)?),
            [b'U', b'F', b'2', b'\n', ..] => Some(uf2(data).map_err(damaged)?),
            _ => None,
        };
        let ranges = match (ranges, given.address) {
            (Some(ranges), None) => ranges,
            (Some(_), Some(_)) => return Err(OtherError::HasAddress { path: path() }),
            (None, Some(address)) => vec![Region::new(address, u32::try_from(data.len()).unwrap_or(u32::MAX))],
            (None, None) => return Err(OtherError::NoAddress { path: path() }),
        };
        let name = given.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let ranges: Vec<Region> = merge(&ranges, 0).into_iter().filter(|range| !range.is_empty()).collect();
        if ranges.is_empty() {
            return Err(damaged("it holds no bytes".into()));
        }
        Ok(Self { name: printable(&name, 80), ranges })
    }
}

/// What the segments store, by load address.
fn elf(path: &Path, data: &[u8]) -> Result<Vec<Region>, String> {
    let image = Image::parse(path, data).map_err(|error| error.to_string())?;
    Ok(image.segments.iter().map(|segment| segment.load).collect())
}

/// Intel's "Hexadecimal Object File Format Specification", revision A: records of data, of the upper address bits (02, 04),
/// and of the end.
fn intel_hex(text: &str) -> Result<Vec<Region>, String> {
    let mut ranges: Vec<Region> = Vec::new();
    let mut upper = 0u32;
    for (number, record) in ihex::Reader::new(text).enumerate() {
        let record = record.map_err(|error| format!("record {}: {error}", number + 1))?;
        match record {
            ihex::Record::Data { offset, value } => {
                let start = upper.wrapping_add(offset.into());
                let range = Region::new(start, u32::try_from(value.len()).unwrap_or(u32::MAX));
                extend(&mut ranges, range)?;
            }
            ihex::Record::ExtendedSegmentAddress(segment) => upper = u32::from(segment) << 4,
            ihex::Record::ExtendedLinearAddress(high) => upper = u32::from(high) << 16,
            ihex::Record::EndOfFile => return Ok(ranges),
            ihex::Record::StartSegmentAddress { .. } | ihex::Record::StartLinearAddress(_) => {}
        }
    }
    Err("it has no end record: was it cut off?".into())
}

/// Microsoft's UF2 (github.com/microsoft/uf2, README): blocks of 512 bytes, each with its address.
fn uf2(data: &[u8]) -> Result<Vec<Region>, String> {
    const BLOCK: usize = 512;
    const MAGIC: [(usize, u32); 3] = [(0, 0x0a32_4655), (4, 0x9e5d_5157), (508, 0x0ab1_6f30)];
    const MOST_PAYLOAD: u32 = 476;
    const NOT_MAIN_FLASH: u32 = 1;
    let mut ranges = Vec::new();
    for (number, block) in data.chunks(BLOCK).enumerate() {
        let word = |at: usize| {
            let bytes = block.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_le_bytes).ok_or_else(|| format!("block {number} is cut off"))
        };
        for (at, magic) in MAGIC {
            if word(at)? != magic {
                return Err(format!("block {number} has not the magic number of UF2"));
            }
        }
        let (flags, address, size) = (word(8)?, word(12)?, word(16)?);
        if size > MOST_PAYLOAD {
            return Err(format!("block {number} says it holds {size} bytes, more than a block has"));
        }
        if flags & NOT_MAIN_FLASH == 0 {
            extend(&mut ranges, Region::new(address, size))?;
        }
    }
    Ok(ranges)
}

/// Adds a range; one that goes on where the last one ended makes that longer.
fn extend(ranges: &mut Vec<Region>, range: Region) -> Result<(), String> {
    if let Some(last) = ranges.last_mut().filter(|last| last.end() == u64::from(range.start())) {
        *last = last.hull(range);
    } else if ranges.len() == MOST_RANGES {
        return Err(format!("it has more than {MOST_RANGES} pieces"));
    } else {
        ranges.push(range);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn given(name: &str) -> Given {
        name.parse().expect("it is a file's name")
    }

    fn block(flags: u32, address: u32, size: u32) -> Vec<u8> {
        let mut block = vec![0; 512];
        for (at, word) in
            [(0, 0x0a32_4655), (4, 0x9e5d_5157), (8, flags), (12, address), (16, size), (508, 0x0ab1_6f30u32)]
        {
            block[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        block
    }

    const HEX: &str = ":020000040800F2\n:10010000214601360121470136007EFE09D2190140\n:10011000214601360121470136007EFE09D2190130\n\
                       :020000021000EC\n:0100000055AA\n:00000001FF\n";

    #[test]
    fn each_format_says_where_it_lies() {
        let two_blocks = [block(0, 0x1000_0000, 256), block(0, 0x1000_0100, 256), block(1, 0x10, 4)].concat();
        for (name, data, expected) in [
            ("a.hex", HEX.as_bytes(), vec![(0x0001_0000, 1), (0x0800_0100, 32)]),
            ("a.uf2", &two_blocks[..], vec![(0x1000_0000, 512)]),
            ("a.bin@0x08004000", &[1, 2, 3][..], vec![(0x0800_4000, 3)]),
            ("a.bin@64", &[1][..], vec![(64, 1)]),
        ] {
            let expected: Vec<Region> = expected.into_iter().map(|(start, size)| Region::new(start, size)).collect();
            let other = Other::parse(&given(name), data).expect("it is read");
            assert_eq!(other.ranges, expected, "{name}");
        }
        let demo = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo.elf")).expect("it is there");
        assert_eq!(Other::parse(&given("demo.elf"), &demo).expect("it is read").ranges[0].start(), 0);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = block(0, 0, 477);
        for (name, data, expected) in [
            ("a.bin", &[1, 2][..], "does not say where it lies; give its address too: a.bin@0x08000000"),
            ("a.hex@0x10", HEX.as_bytes(), "says itself where it lies"),
            ("a.hex", b":0100000055AB\n", "record 1"),
            ("a.hex", b":0100000055AA\n", "it has no end record"),
            ("a.hex", b":00000001FF\n", "it holds no bytes"),
            ("a.uf2", &long[..], "says it holds 477 bytes"),
            ("a.uf2", &long[..100], "block 0 is cut off"),
            ("a.elf", b"\x7fELF", "damaged"),
        ] {
            let error = Other::parse(&given(name), data).expect_err("it is refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!("a.bin@zero".parse::<Given>().is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(start in 0usize..4, mut data in prop::collection::vec(any::<u8>(), 0..2000)) {
            let head: &[u8] = [b":0".as_slice(), b"UF2\n", b"\x7fELF", b""][start];
            data.splice(0..0, head.iter().copied());
            let _ = Other::parse(&given("a"), &data);
            let _ = Other::parse(&given("a@0xfffffff0"), &data);
        }
    }
}
