//! The maps of armlink and of IAR's linker.

use std::collections::HashMap;

use super::{Input, MOST_INPUTS, placed};

/// Whether it is one of armlink's (`--map --list=FILE`; Arm Compiler 5.06, 6.14 and 6.19 were looked at).
pub(super) fn is_armlink(text: &str) -> bool {
    text.contains("Memory Map of the image")
}

/// `0x080000ec   0x080000ec   0x00000008   Code   RO   12  * !!!main   c_w.l(__main.o)`, with or without the second address.
pub(super) fn armlink(text: &str) -> Vec<Input> {
    let input = |line: &str| {
        let mut words = line.split_whitespace();
        let address = hexadecimal(words.next()?)?;
        let mut size = words.next()?;
        // Where it is stored may be a word: `COMPRESSED`, `-`.
        let kind = words.find(|word| {
            let is_size = word.starts_with("0x");
            size = if is_size { word } else { size };
            !is_size
        })?;
        let access = words.next()?;
        if !matches!((kind, access), ("Code" | "Data" | "Zero", "RO" | "RW" | "XO")) {
            return None;
        }
        let _index = words.next()?;
        let section = words.find(|word| *word != "*")?;
        let object: Vec<&str> = words.collect();
        placed(
            address,
            hexadecimal(size)?,
            section,
            Some(object.join(" ")).filter(|object| !object.is_empty())?.as_str(),
        )
    };
    text.lines().filter_map(input).take(MOST_INPUTS).collect()
}

/// Whether it is one of IAR's (`--map FILE`; of version 8.32, 8.40 and 9.30 were looked at).
pub(super) fn is_ilink(text: &str) -> bool {
    text.lines().take(8).any(|line| line.contains("IAR ELF Linker"))
}

/// `  .text   ro code   0x800'1360   0x66  ABImemset.o [4]`, and at the end of the map which library or folder `[4]` is.
pub(super) fn ilink(text: &str) -> Vec<Input> {
    let origins: HashMap<&str, &str> =
        text.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once(" = ")).collect();
    let from = text.find("*** PLACEMENT SUMMARY").unwrap_or(text.len());
    let placement = text[from..].split("*** INIT TABLE").next().unwrap_or_default();
    let placement = placement.split("*** MODULE SUMMARY").next().unwrap_or_default();
    let input = |line: &str| {
        let (what, rest) = line.split_once(" 0x")?;
        let section = what.trim().split("  ").next().filter(|section| !section.is_empty() && *section != "-")?;
        let (address, rest) = rest.split_once(' ')?;
        let (size, object) = rest.trim_start().split_once(' ')?;
        let (address, size) = (grouped(address)?, grouped(size.strip_prefix("0x")?)?);
        match object.trim() {
            // What holds others, which follow, and what is left of it.
            object if object.starts_with('<') => None,
            "- Linker created -" => placed(address, size, section, "linker"),
            object => {
                let (member, number) = object.rsplit_once(' ').unwrap_or((object, ""));
                match origins.get(number).filter(|origin| origin.ends_with(".a")) {
                    Some(library) => placed(address, size, section, &format!("{library}({})", member.trim())),
                    None => placed(address, size, section, member.trim()),
                }
            }
        }
    };
    placement.lines().filter_map(input).take(MOST_INPUTS).collect()
}

fn hexadecimal(word: &str) -> Option<u32> {
    u32::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// A number with a mark between groups of four digits: `800'1360`.
fn grouped(digits: &str) -> Option<u32> {
    u32::from_str_radix(&digits.replace('\'', ""), 16).ok()
}
