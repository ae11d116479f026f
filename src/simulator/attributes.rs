//! Which core an ELF was built for: the build attributes of its `.ARM.attributes` section.
//!
//! Source: *Addenda to, and Errata in, the ABI for the Arm Architecture*, "Build attributes" (ABI addenda 32).

use super::image::CoreKind;

const TAG_FILE: u64 = 1;
const TAG_CPU_RAW_NAME: u64 = 4;
const TAG_CPU_NAME: u64 = 5;
const TAG_CPU_ARCH: u64 = 6;
const TAG_FP_ARCH: u64 = 10;
const TAG_COMPATIBILITY: u64 = 32;

/// The core that the attributes name, or the plainest one that has what they ask for.
pub(crate) fn core_kind(section: &[u8]) -> Option<CoreKind> {
    let mut reader = Reader(section);
    if reader.byte()? != b'A' {
        return None;
    }
    reader.word()?;
    if reader.text()? != b"aeabi" || reader.number()? != TAG_FILE {
        return None;
    }
    reader.word()?;
    let (mut arch, mut float, mut name) = (None, 0, Vec::new());
    while let Some(tag) = reader.number() {
        match tag {
            TAG_CPU_RAW_NAME => drop(reader.text()?),
            TAG_CPU_NAME => name = reader.text()?.to_ascii_lowercase(),
            TAG_CPU_ARCH => arch = reader.number(),
            TAG_FP_ARCH => float = reader.number()?,
            TAG_COMPATIBILITY => {
                reader.number()?;
                reader.text()?;
            }
            // From 32 on, odd tags carry a string and even ones a number.
            tag if tag > TAG_COMPATIBILITY && tag % 2 == 1 => drop(reader.text()?),
            _ => drop(reader.number()?),
        }
    }
    let float = float != 0;
    let m7 = name.ends_with(b"m7");
    match arch? {
        10 => Some(CoreKind::M3),
        11 | 12 => Some(CoreKind::M0Plus),
        13 if m7 => Some(if float { CoreKind::M7F } else { CoreKind::M7 }),
        13 => Some(if float { CoreKind::M4F } else { CoreKind::M4 }),
        16 => Some(CoreKind::M33),
        17 | 21 => Some(if float { CoreKind::M33F } else { CoreKind::M33 }),
        _ => None,
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn word(&mut self) -> Option<()> {
        self.0 = self.0.get(4..)?;
        Some(())
    }

    /// An unsigned LEB128 number.
    fn number(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }

    /// A string that ends with a zero byte.
    fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(attributes: &[u8]) -> Vec<u8> {
        let mut bytes = b"A\x00\x00\x00\x00aeabi\0\x01\x00\x00\x00\x00".to_vec();
        bytes.extend_from_slice(attributes);
        bytes
    }

    #[test]
    fn the_core_follows_from_architecture_name_and_float() {
        assert_eq!(core_kind(&section(&[6, 10, 7, b'M'])), Some(CoreKind::M3));
        assert_eq!(core_kind(&section(&[6, 12])), Some(CoreKind::M0Plus));
        assert_eq!(core_kind(&section(&[6, 13, 10, 6])), Some(CoreKind::M4F));
        assert_eq!(core_kind(&section(b"\x05Cortex-M7\0\x06\x0d")), Some(CoreKind::M7));
        assert_eq!(core_kind(&section(b"\x43\x32\x2e\x30\x39\0\x06\x11")), Some(CoreKind::M33));
        assert_eq!(core_kind(b"A"), None);
        assert_eq!(core_kind(&section(&[5, b'x'])), None);
    }
}
