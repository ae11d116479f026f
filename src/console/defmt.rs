//! A channel of defmt frames. The decoding is defmt-decoder's, with the table of format strings in the ELF.

mod weigh;

use std::panic::{AssertUnwindSafe, catch_unwind};

use defmt_decoder::{DecodeError, Encoding, Frame, Locations, Table};
use weigh::Strings;

use super::text::clean;
use super::{Level, Line};

/// The name that defmt's loggers give their channel.
pub const CHANNEL: &str = "defmt";
/// The longest frame that is waited for: bytes. A firmware's buffer is smaller.
const MAX_FRAME: usize = 64 * 1024;
/// What the largest numbers of an ELF's headers are aligned to: bytes.
const ALIGNMENT: usize = 8;
/// The most lines of one message.
const MAX_LINES: usize = 100;
/// The longest path in a line: the end of it says more than its beginning.
const PATH_PARTS: usize = 3;

/// The format strings of one firmware.
#[derive(Debug)]
pub struct Formats {
    table: Table,
    strings: Strings,
    places: Locations,
}

impl Formats {
    /// Those of an ELF; `None` when it has none.
    ///
    /// # Errors
    ///
    /// It has some, and they cannot be used: another version of defmt, or damage.
    pub fn of(elf: &[u8]) -> Result<Option<Self>, String> {
        let mut room = Vec::new();
        let elf = aligned(elf, &mut room);
        let parsed = catch_unwind(|| Table::parse(elf)).map_err(|_| "defmt-decoder broke down over them".to_owned())?;
        let Some(table) = parsed.map_err(|error| error.to_string())? else { return Ok(None) };
        let strings = Strings::of(&table)?;
        // Without debug information there are no places, and the lines do without them.
        let places = catch_unwind(|| table.get_locations(elf).ok()).ok().flatten().unwrap_or_default();
        Ok(Some(Self { table, strings, places }))
    }
}

/// The bytes of an ELF where defmt-decoder can read its headers in place: it takes no others than aligned ones, and a file
/// among a program's constants lies anywhere. They are copied into `room` when they must be.
fn aligned<'b>(elf: &'b [u8], room: &'b mut Vec<u8>) -> &'b [u8] {
    if elf.as_ptr().align_offset(ALIGNMENT) == 0 {
        return elf;
    }
    room.resize(elf.len() + ALIGNMENT, 0);
    let start = room.as_ptr().align_offset(ALIGNMENT);
    let copy = &mut room[start..start + elf.len()];
    copy.copy_from_slice(elf);
    copy
}

/// What one frame has come to.
enum Told {
    /// Lines, of that many bytes.
    Lines(Vec<Line>, usize),
    /// More bytes are to come.
    Open,
    /// No frame.
    Nonsense,
}

/// Makes lines of bytes, wherever the pieces end that they come in.
pub struct Frames<'t> {
    formats: &'t Formats,
    /// Bytes that no frame has come of yet.
    open: Vec<u8>,
}

impl<'t> Frames<'t> {
    /// At the beginning of a frame.
    #[must_use]
    pub fn new(formats: &'t Formats) -> Self {
        Self { formats, open: Vec::new() }
    }

    /// Takes bytes, and gives the lines of the frames that end in them, with a remark where bytes made no sense.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        match self.formats.table.encoding() {
            Encoding::Rzcobs => {
                for piece in bytes.split_inclusive(|byte| *byte == 0) {
                    self.open.extend_from_slice(piece);
                    self.close_at_zero(&mut lines);
                }
            }
            _ => {
                for piece in bytes.chunks(MAX_FRAME) {
                    self.open.extend_from_slice(piece);
                    self.close_where_a_frame_ends(&mut lines);
                }
            }
        }
        lines
    }

    /// A zero ends a frame of reverse zero-compressing COBS: damage costs the frames that it is in, and no other.
    fn close_at_zero(&mut self, lines: &mut Vec<Line>) {
        let Some((0, frame)) = self.open.split_last() else {
            if self.open.len() > MAX_FRAME {
                lines.push(self.not_understood());
            }
            return;
        };
        // Zeros between frames are no frame.
        if frame.is_empty() {
            self.open.clear();
            return;
        }
        match rzcobs::decode(frame).map_or(Told::Nonsense, |frame| self.formats.tell(&frame)) {
            Told::Lines(told, _) => {
                lines.extend(told);
                self.open.clear();
            }
            Told::Open | Told::Nonsense => lines.push(self.not_understood()),
        }
    }

    /// Frames that follow each other without a mark: what is behind damage is lost with it.
    fn close_where_a_frame_ends(&mut self, lines: &mut Vec<Line>) {
        loop {
            match self.formats.tell(&self.open) {
                Told::Lines(told, length) => {
                    lines.extend(told);
                    self.open.drain(..length);
                }
                Told::Open if self.open.len() <= MAX_FRAME => return,
                Told::Open | Told::Nonsense => lines.push(self.not_understood()),
            }
        }
    }

    fn not_understood(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.open).len();
        let word = if bytes == 1 { "byte was" } else { "bytes were" };
        Line::remark(format!("{bytes} {word} not understood"))
    }
}

impl Formats {
    /// The lines of the frame that `bytes` begin with.
    fn tell(&self, bytes: &[u8]) -> Told {
        if !self.strings.allow(bytes) {
            return Told::Nonsense;
        }
        // What comes in may be anything, and the decoder is not ours.
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            self.table.decode(bytes).map(|(frame, length)| (told(self, &frame), length))
        }));
        match decoded {
            Ok(Ok((lines, length))) => Told::Lines(lines, length),
            Ok(Err(DecodeError::UnexpectedEof)) => Told::Open,
            Ok(Err(DecodeError::Malformed)) | Err(_) => Told::Nonsense,
        }
    }
}

/// A frame's lines: a message of several goes on below the first.
fn told(formats: &Formats, frame: &Frame<'_>) -> Vec<Line> {
    let place = formats.places.get(&frame.index()).map(|place| {
        let parts: Vec<_> = place.file.iter().map(|part| part.to_string_lossy()).collect();
        let path = parts[parts.len().saturating_sub(PATH_PARTS)..].join("/");
        clean(&format!("{path}:{}", place.line))
    });
    let level = frame.level().and_then(|level| Level::of(level.as_str()));
    let message = frame.display_message().to_string();
    let mut texts = message.lines().map(clean);
    let first = Line {
        level,
        stamp: frame.display_timestamp().map(|stamp| clean(&stamp.to_string())),
        text: texts.next().unwrap_or_default(),
        place,
        ..Line::default()
    };
    let more = texts.take(MAX_LINES - 1).map(|text| Line { level, text, ..Line::default() });
    std::iter::once(first).chain(more).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static FORMATS: LazyLock<Formats> = LazyLock::new(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run/run.elf");
        Formats::of(&std::fs::read(path).expect("it is there")).expect("they are read").expect("it has some")
    });

    /// The frame of the message with that format string, said at `time`.
    fn frame(text: &str, time: u32) -> Vec<u8> {
        let number = FORMATS.strings.number(text).expect("the firmware says it");
        let mut frame = rzcobs::encode(&[&number.to_le_bytes()[..], &time.to_le_bytes()].concat());
        frame.push(0);
        frame
    }

    #[test]
    fn the_strings_are_read_wherever_the_file_lies_in_memory() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run/run.elf");
        let file = std::fs::read(path).expect("it is there");
        for before in 0..ALIGNMENT {
            let shifted = [&vec![0; before][..], &file].concat();
            let formats = Formats::of(&shifted[before..]).expect("they are read").expect("it has some");
            assert_eq!(formats.places.len(), FORMATS.places.len(), "{before} bytes on");
        }
    }

    #[test]
    fn damage_is_remarked_and_costs_the_frames_it_is_in_alone() {
        let good = frame("sensors are up", 7);
        let (told, nothing) = ("7 INFO  sensors are up (run/src/main.rs:37)".to_owned(), Vec::<String>::new());
        let mut damaged = good.clone();
        damaged[0] ^= 0x40;
        let remark = format!("({} bytes were not understood)", good.len());
        for (pieces, expected, what) in [
            (vec![&good[..]], vec![told.clone()], "whole"),
            (vec![&good[..2], &good[2..]], vec![told.clone()], "in two pieces"),
            (vec![&[0, 0], &good, &[0], &good], vec![told.clone(), told.clone()], "zeros in between"),
            (vec![&damaged, &good], vec![remark.clone(), told.clone()], "a damaged one before it"),
            (
                vec![&good[2..], &good],
                vec![format!("({} bytes were not understood)", good.len() - 2), told],
                "half of one",
            ),
            (vec![&good[..2]], nothing, "one that is not complete"),
            (vec![&[0xff; MAX_FRAME + 1]], vec!["(65537 bytes were not understood)".into()], "one without an end"),
        ] {
            let mut frames = Frames::new(&FORMATS);
            let lines = pieces.iter().flat_map(|piece| frames.take(piece));
            assert_eq!(lines.map(|line| line.plain()).collect::<Vec<_>>(), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_lines_and_what_follows_is_understood(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut frames = Frames::new(&FORMATS);
            frames.take(&bytes);
            frames.take(&[0]);
            let lines = frames.take(&frame("sensors are up", 1));
            prop_assert_eq!(lines.len(), 1);
            prop_assert_eq!(lines[0].text.as_str(), "sensors are up");
        }
    }
}
