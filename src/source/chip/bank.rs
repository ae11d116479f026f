//! From the banks of a chip description to the memories that a programmer sees: those that follow each other are one,
//! and what has a purpose of its own keeps its name.

use crate::image::layout::Memory;
use crate::model::snapshot::MemoryKind;
use crate::region::Region;
use crate::units::printable;

/// What probe-rs 0.32 calls a range that it makes up for a flash algorithm which no memory of the description has: option
/// bytes, and external flash as large as on some evaluation board.
const MADE_UP: &str = "synthesized for ";
/// Where most chips have their main RAM: the SRAM region of the address map (ARM DDI 0403E B3.1).
const MAIN_RAM: u32 = 0x2000_0000;
/// What is said of a bank's bus, and not of the bank.
const BUSES: [&str; 3] = ["_ICODE", "_DCODE", "_alias"];
/// Names of banks, by how they begin, and what data sheets call them.
const PURPOSES: [(&str, &str); 6] = [
    ("CCM", "CCM"),
    ("SRAM_ITC", "ITCM"),
    ("SRAM_DTC", "DTCM"),
    ("SRAM_OC", "OCRAM"),
    ("AXISRAM", "AXI SRAM"),
    ("PROGRAM_FLASH", "Flash"),
];

/// One or several banks that follow each other.
struct Bank {
    kind: MemoryKind,
    range: Region,
    /// The description's own name: of the first, when there are several.
    name: Option<String>,
    /// The name of the last.
    last: Option<String>,
    /// It is RAM or flash like any other.
    is_plain: bool,
}

/// The memories of a chip with these banks, each with the name of its description, in address order and without overlaps.
pub(super) fn memories<'a>(banks: impl Iterator<Item = (MemoryKind, Option<&'a str>, Region)>) -> Vec<Memory> {
    let mut banks: Vec<Bank> = banks.filter_map(|(kind, name, range)| Bank::new(kind, name, range)).collect();
    // Of banks at one address, the largest: some memories are as large as their fuses say.
    banks.sort_by_key(|bank| (bank.range.start(), u32::MAX - bank.range.size()));
    let mut joined: Vec<Bank> = Vec::new();
    for mut bank in banks {
        let Some(last) = joined.last_mut() else {
            joined.push(bank);
            continue;
        };
        if last.range.covers(bank.range) {
            continue;
        }
        if last.range.overlaps(bank.range) {
            bank.range = bank.range.from(last.range.end_address());
        }
        let is_like = last.is_plain && bank.is_plain || last.name == bank.name;
        if last.kind == bank.kind && is_like && last.range.gap_to(bank.range) == Some(0) {
            last.range = last.range.hull(bank.range);
            last.last = bank.name;
        } else {
            joined.push(bank);
        }
    }
    let plain_rams = joined.iter().filter(|bank| bank.is_plain && bank.kind == MemoryKind::Ram).count();
    let memory = |bank: &Bank| Memory {
        name: printable(&bank.called(plain_rams == 1), 24),
        kind: bank.kind,
        range: bank.range,
        size_known: true,
    };
    joined.iter().map(memory).collect()
}

/// Whether a name only counts banks: `SRAM2`, `IRAM1` and `IROM1` of CMSIS packs, `BANK_1`.
fn is_plain(name: &str) -> bool {
    let counted = ["SRAM", "IRAM", "RAM", "IROM", "BANK_", "Flash"];
    let first = name.split(" + ").next().unwrap_or(name);
    counted.iter().any(|begin| first.strip_prefix(begin).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit())))
}

impl Bank {
    /// `None` for what is no memory of the chip.
    fn new(kind: MemoryKind, name: Option<&str>, range: Region) -> Option<Self> {
        if range.is_empty() || name.is_some_and(|name| name.starts_with(MADE_UP)) {
            return None;
        }
        let name = name.map(|name| {
            let name = BUSES.iter().find_map(|bus| name.strip_suffix(bus)).unwrap_or(name);
            PURPOSES.iter().find(|(begin, _)| name.starts_with(begin)).map_or(name, |(_, purpose)| *purpose)
        });
        let is_plain = name.is_none_or(is_plain);
        let name = name.map(str::to_owned);
        Some(Self { kind, range, last: name.clone(), name, is_plain })
    }

    /// What a person calls it. Plain RAM beside another keeps its numbers: `SRAM1-3`, `SRAM4`.
    fn called(&self, is_only_plain_ram: bool) -> String {
        let generic = match self.kind {
            MemoryKind::Ram => "RAM",
            MemoryKind::Flash => "Flash",
        };
        let is_main = self.kind == MemoryKind::Flash || is_only_plain_ram || self.range.contains(MAIN_RAM);
        match &self.name {
            Some(name) if !(self.is_plain && is_main) => {
                let number = |name: &str| name.trim_start_matches(|c: char| !c.is_ascii_digit()).to_owned();
                match self.last.as_deref().filter(|last| *last != name).map(number) {
                    Some(last) if self.is_plain && !last.is_empty() => format!("{name}-{last}"),
                    _ => name.clone(),
                }
            }
            _ => generic.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Chip;
    use super::*;

    #[test]
    fn a_chips_memories_are_those_of_its_data_sheet() {
        use MemoryKind::{Flash, Ram};
        for (chip, expected) in [
            (
                "STM32F407VGTx",
                &[
                    (Flash, "Flash", 0x0800_0000, 0x10_0000),
                    (Ram, "CCM", 0x1000_0000, 0x1_0000),
                    (Flash, "OTP", 0x1fff_7800, 0x210),
                    (Ram, "RAM", 0x2000_0000, 0x2_0000),
                ][..],
            ),
            (
                "STM32H743ZITx",
                &[
                    (Ram, "ITCM", 0, 0x1_0000),
                    (Flash, "Flash", 0x0800_0000, 0x20_0000),
                    (Ram, "DTCM", 0x2000_0000, 0x2_0000),
                    (Ram, "AXI SRAM", 0x2400_0000, 0x8_0000),
                    (Ram, "SRAM1-3", 0x3000_0000, 0x4_8000),
                    (Ram, "SRAM4", 0x3800_0000, 0x1_0000),
                ],
            ),
            (
                "nRF5340_xxAA",
                &[
                    (Flash, "Flash", 0, 0x10_0000),
                    (Flash, "Flash", 0x0100_0000, 0x4_0000),
                    (Ram, "RAM", 0x2000_0000, 0x8_0000),
                    (Ram, "RAM", 0x2100_0000, 0x1_0000),
                ],
            ),
            (
                "RP2040",
                &[
                    (Flash, "Flash", 0x1000_0000, 0x800_0000),
                    (Ram, "RAM", 0x2000_0000, 0x4_2000),
                    (Ram, "RAM", 0x2100_0000, 0x4_0000),
                ],
            ),
            (
                "MIMXRT1060",
                &[
                    (Ram, "ITCM", 0, 0x8_0000),
                    (Ram, "DTCM", 0x2000_0000, 0x8_0000),
                    (Ram, "OCRAM", 0x2020_0000, 0x10_0000),
                    (Flash, "FlexSPI1", 0x6000_0000, 0x80_0000),
                ],
            ),
            (
                "MIMXRT1052DVL6B",
                &[
                    (Ram, "ITCM", 0, 0x2_0000),
                    (Flash, "ROMCP", 0x0020_0000, 0x1_8000),
                    (Ram, "DTCM", 0x2000_0000, 0x2_0000),
                    (Ram, "OCRAM", 0x2020_0000, 0x4_0000),
                    (Flash, "FlexSPI", 0x6000_0000, 0x400_0000),
                ],
            ),
            (
                // The same 32 KiB at both of its addresses.
                "STM32G474RETx",
                &[
                    (Flash, "Flash", 0x0800_0000, 0x8_0000),
                    (Ram, "CCM", 0x1000_0000, 0x8000),
                    (Ram, "RAM", 0x2000_0000, 0x1_8000),
                    (Ram, "CCM", 0x2001_8000, 0x8000),
                ],
            ),
            (
                "STM32L476RGTx",
                &[
                    (Flash, "Flash", 0x0800_0000, 0x10_0000),
                    (Ram, "SRAM2", 0x1000_0000, 0x8000),
                    (Ram, "RAM", 0x2000_0000, 0x1_8000),
                ],
            ),
            (
                "LPC55S69JBD100",
                &[
                    (Flash, "Flash", 0, 0x9_d800),
                    (Ram, "SRAMX", 0x0400_0000, 0x8000),
                    (Flash, "Flash", 0x1000_0000, 0x9_d800),
                    (Ram, "RAM", 0x2000_0000, 0x4_4000),
                    (Ram, "USB_RAM", 0x4010_0000, 0x4000),
                ],
            ),
            ("ATSAME70Q21", &[(Flash, "Flash", 0x0040_0000, 0x20_0000), (Ram, "RAM", 0x2040_0000, 0x6_0000)]),
        ] {
            let found = Chip::find(chip, None).unwrap().memories();
            let found: Vec<_> = found
                .iter()
                .map(|memory| (memory.kind, memory.name.as_str(), memory.range.start(), memory.range.size()))
                .collect();
            assert_eq!(found, expected, "{chip}");
        }
    }
}
