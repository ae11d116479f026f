//! What a frame asks of its decoder, before it is decoded.
//!
//! A stack that overflows may have written over the channel's buffer, so that a frame can hold anything. defmt-decoder
//! (1.2) reserves memory by a count that it finds in a frame, and calls itself for each format within a format. Here the
//! same way is gone without keeping anything, and a frame that leads too far is left out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use defmt_decoder::Table;
use defmt_parser::{DisplayHint, Fragment, Parameter, ParserMode, Type};
use serde::Deserialize;

/// Formats within formats.
const MAX_DEPTH: usize = 32;
/// The characters of all format strings that one frame needs, with one more for each.
const MAX_TEXT: usize = 1 << 20;
/// The width that a number may be filled up to: characters.
const MAX_WIDTH: usize = 256;
/// The longest frame whose bytes are read as CBOR, whose items lie within each other as well: bytes.
const MAX_CBOR: usize = 1024;

/// The format strings of a firmware, by their number in its frames.
#[derive(Debug, Deserialize)]
pub(super) struct Strings {
    timestamp: Option<Text>,
    entries: BTreeMap<u16, Text>,
}

#[derive(Debug, Deserialize)]
struct Text {
    string: Tagged,
}

#[derive(Debug, Deserialize)]
struct Tagged {
    string: String,
}

/// Why a frame is followed no further.
enum Stop {
    /// It ends here, or makes no sense: the decoder stops at the same place.
    End,
    /// It leads too far.
    TooMuch,
}

impl Strings {
    /// Those of the decoder's own table, which shows them to nobody, and writes them by serde.
    ///
    /// # Errors
    ///
    /// The table is written in another form than that of defmt-decoder 1.2.
    pub(super) fn of(table: &Table) -> Result<Self, String> {
        // YAML has keys that are no text, which the table has as well.
        let written = yaml_serde::to_value(table).map_err(|error| error.to_string())?;
        yaml_serde::from_value(written).map_err(|error| error.to_string())
    }

    /// The number of a format string.
    #[cfg(test)]
    pub(super) fn number(&self, text: &str) -> Option<u16> {
        self.entries.iter().find(|(_, entry)| entry.string.string == text).map(|(number, _)| *number)
    }

    /// Whether a decoder may have a go at `frame`. One that is incomplete or makes no sense is for it to tell.
    pub(super) fn allow(&self, frame: &[u8]) -> bool {
        let mut walk = Walk { strings: self, length: frame.len(), bytes: frame, text: MAX_TEXT };
        !matches!(walk.frame(), Err(Stop::TooMuch))
    }
}

struct Walk<'a> {
    strings: &'a Strings,
    length: usize,
    bytes: &'a [u8],
    text: usize,
}

impl<'a> Walk<'a> {
    fn frame(&mut self) -> Result<(), Stop> {
        let format = self.string()?;
        if let Some(timestamp) = &self.strings.timestamp {
            self.format(&timestamp.string.string, 0)?;
        }
        self.format(format, 0)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Stop> {
        self.bytes = self.bytes.get(bytes..).ok_or(Stop::End)?;
        Ok(())
    }

    /// A number of up to four bytes, the least first.
    fn number(&mut self, bytes: usize) -> Result<usize, Stop> {
        let digits = self.bytes.get(..bytes).ok_or(Stop::End)?;
        self.skip(bytes)?;
        Ok(digits.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn string(&mut self) -> Result<&'a str, Stop> {
        let number = u16::try_from(self.number(2)?).map_err(|_| Stop::End)?;
        Ok(&self.strings.entries.get(&number).ok_or(Stop::End)?.string.string)
    }

    /// The part of an enum's format that the frame says.
    fn variant(&mut self, format: &'a str) -> Result<&'a str, Stop> {
        let bytes = match format.matches('|').count() {
            0 => return Ok(format),
            1..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        format.split('|').nth(self.number(bytes)?).ok_or(Stop::End)
    }

    fn format(&mut self, format: &str, depth: usize) -> Result<(), Stop> {
        self.text = self.text.checked_sub(format.len() + 1).ok_or(Stop::TooMuch)?;
        if depth > MAX_DEPTH {
            return Err(Stop::TooMuch);
        }
        let mut arguments = BTreeMap::new();
        for fragment in defmt_parser::parse(format, ParserMode::ForwardsCompatible).map_err(|_| Stop::End)? {
            let Fragment::Parameter(Parameter { index, ty, hint }) = fragment else { continue };
            if self.is_wide(hint.as_ref()) {
                return Err(Stop::TooMuch);
            }
            add(&mut arguments, index, ty);
        }
        arguments.into_values().try_for_each(|kind| self.argument(&kind, depth))
    }

    fn argument(&mut self, kind: &Type, depth: usize) -> Result<(), Stop> {
        match kind {
            Type::Bool | Type::I8 | Type::U8 => self.skip(1),
            Type::I16 | Type::U16 | Type::IStr => self.skip(2),
            Type::Char | Type::F32 | Type::I32 | Type::Isize | Type::U32 | Type::Usize => self.skip(4),
            Type::F64 | Type::I64 | Type::U64 => self.skip(8),
            Type::I128 | Type::U128 => self.skip(16),
            // What is cut off at both ends goes over the wire in a power of two.
            Type::BitField(range) => {
                let bytes = usize::from(range.end.saturating_sub(1) / 8 - range.start / 8) + 1;
                self.skip(bytes.next_power_of_two())
            }
            Type::Str | Type::U8Slice => {
                let length = self.number(4)?;
                self.skip(length)
            }
            Type::U8Array(length) => self.skip(*length),
            Type::Debug | Type::Display => {
                let end = self.bytes.iter().position(|byte| *byte == 0xff).ok_or(Stop::End)?;
                self.skip(end + 1)
            }
            Type::Format => {
                let format = self.string()?;
                let format = self.variant(format)?;
                self.format(format, depth + 1)
            }
            Type::FormatSlice => {
                let count = self.number(4)?;
                self.slice(count, depth)
            }
            Type::FormatArray(count) => self.slice(*count, depth),
            Type::FormatSequence => {
                while self.bytes.get(..2).ok_or(Stop::End)? != [0, 0] {
                    let format = self.string()?;
                    self.format(format, depth + 1)?;
                }
                self.skip(2)
            }
        }
    }

    fn slice(&mut self, count: usize, depth: usize) -> Result<(), Stop> {
        let format = self.string()?;
        // Before the first is looked at: memory for all of them is reserved then.
        if count > self.text {
            return Err(Stop::TooMuch);
        }
        for _ in 0..count {
            let variant = self.variant(format)?;
            self.format(variant, depth + 1)?;
        }
        Ok(())
    }

    fn is_wide(&self, hint: Option<&DisplayHint>) -> bool {
        match hint {
            Some(
                DisplayHint::NoHint { zero_pad }
                | DisplayHint::Hexadecimal { zero_pad, .. }
                | DisplayHint::Octal { zero_pad, .. }
                | DisplayHint::Binary { zero_pad, .. },
            ) => *zero_pad > MAX_WIDTH,
            Some(DisplayHint::Cbor) => self.length > MAX_CBOR,
            _ => false,
        }
    }
}

/// Adds to what follows a format string in a frame: each argument once, however often it is shown, and the bit fields of
/// one as the one that holds them all.
fn add(arguments: &mut BTreeMap<usize, Type>, index: usize, kind: Type) {
    match (arguments.entry(index), kind) {
        (Entry::Vacant(entry), kind) => {
            entry.insert(kind);
        }
        (Entry::Occupied(mut entry), Type::BitField(more)) => {
            if let Type::BitField(range) = entry.get_mut() {
                *range = range.start.min(more.start)..range.end.max(more.end);
            }
        }
        (Entry::Occupied(_), _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Format strings by number, from 1.
    fn strings(texts: &[&str]) -> Strings {
        let text = |text: &&str| Text { string: Tagged { string: (*text).to_owned() } };
        Strings { timestamp: None, entries: (1..).zip(texts.iter().map(text)).collect() }
    }

    #[test]
    fn what_a_firmware_may_say_is_allowed_and_what_leads_too_far_is_not() {
        let huge = &[1, 0, 0xff, 0xff, 0xff, 0x0f, 2, 0][..];
        let within: Vec<u8> = [1, 0].into_iter().chain([2, 0].repeat(2000)).collect();
        for (texts, frame, allowed, what) in [
            (&["x"][..], &[1, 0][..], true, "no argument"),
            (&["x"], &[], true, "nothing: the decoder waits"),
            (&["x"], &[9, 0], true, "no such string: the decoder tells"),
            (&["{=u8}"], &[1, 0], true, "incomplete: the decoder waits"),
            (&["{=[?]}", "{=u8}"], &[1, 0, 2, 0, 0, 0, 2, 0, 7, 8], true, "a slice"),
            (&["{=[?]}", "{=u8}"], huge, false, "memory for a count that cannot be"),
            (&["{=[?]}", ""], huge, false, "elements of no bytes"),
            (&["{=[?;99999999]}", "a"], &[1, 0, 2, 0], false, "a count in the ELF"),
            (&["{=?}", "A|B{=u8}"], &[1, 0, 2, 0, 1, 5], true, "an enum"),
            (&["{=?}", "{=?}"], &within, false, "formats within formats"),
            (&["{=u8:0999999999}"], &[1, 0, 1], false, "a number of a milliard digits"),
            (&["{0=u8:0999999999} {0=u8:02}"], &[1, 0, 1], false, "the same, shown twice"),
            (&["{0=0..3} {0=12..14} {=[?]}", ""], &[1, 0, 0xff, 0xff, 0, 0, 0, 0, 2, 0], true, "bit fields"),
            (&["{=[u8]}"], &[1, 0, 0xff, 0xff, 0xff, 0xff, 1], true, "bytes are not reserved beforehand"),
        ] {
            assert_eq!(strings(texts).allow(frame), allowed, "{what}");
        }
    }
}
