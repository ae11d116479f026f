//! A channel of defmt frames. The decoding is defmt-decoder's, with the table of format strings in the ELF.

use std::panic::{AssertUnwindSafe, catch_unwind};

use defmt_decoder::{DecodeError, Encoding, Frame, Locations, StreamDecoder, Table};

use super::text::clean;
use super::{Level, Line};

/// The name that defmt's loggers give their channel.
pub const CHANNEL: &str = "defmt";
/// The longest frame that is waited for: bytes. A firmware's buffer is smaller.
const MAX_FRAME: usize = 64 * 1024;
/// The most lines of one message.
const MAX_LINES: usize = 100;
/// The longest path in a line: the end of it says more than its beginning.
const PATH_PARTS: usize = 3;

/// The format strings of one firmware.
#[derive(Debug)]
pub struct Formats {
    table: Table,
    places: Locations,
}

impl Formats {
    /// Those of an ELF; `None` when it has none.
    ///
    /// # Errors
    ///
    /// It has some, and they cannot be used: another version of defmt, or damage.
    pub fn of(elf: &[u8]) -> Result<Option<Self>, String> {
        let parsed = catch_unwind(|| Table::parse(elf)).map_err(|_| "defmt-decoder broke down over them".to_owned())?;
        let Some(table) = parsed.map_err(|error| error.to_string())? else { return Ok(None) };
        // Without debug information there are no places, and the lines do without them.
        let places = catch_unwind(|| table.get_locations(elf).ok()).ok().flatten().unwrap_or_default();
        Ok(Some(Self { table, places }))
    }
}

/// Makes lines of bytes, wherever the pieces end that they come in.
pub struct Frames<'t> {
    formats: &'t Formats,
    stream: Box<dyn StreamDecoder + Send + Sync + 't>,
    /// Bytes that no frame has come of yet.
    waiting: usize,
}

impl<'t> Frames<'t> {
    /// At the beginning of a frame.
    #[must_use]
    pub fn new(formats: &'t Formats) -> Self {
        Self { formats, stream: formats.table.new_stream_decoder(), waiting: 0 }
    }

    /// Takes bytes, and gives the lines of the frames that end in them, with a remark where bytes made no sense.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        match self.formats.table.encoding() {
            // A zero ends a frame: one at a time, so that it is known which bytes were no frame.
            Encoding::Rzcobs => bytes.split_inclusive(|byte| *byte == 0).for_each(|piece| self.feed(piece, &mut lines)),
            _ => self.feed(bytes, &mut lines),
        }
        lines
    }

    fn feed(&mut self, piece: &[u8], lines: &mut Vec<Line>) {
        self.stream.received(piece);
        self.waiting += piece.len();
        loop {
            // What comes in may be anything, and the decoder is not ours.
            let decoded =
                catch_unwind(AssertUnwindSafe(|| self.stream.decode().map(|frame| told(self.formats, &frame))));
            match decoded {
                Ok(Ok(told)) => {
                    self.waiting = 0;
                    lines.extend(told);
                }
                Ok(Err(DecodeError::UnexpectedEof)) if self.waiting <= MAX_FRAME => {
                    // Zeros between frames are no frame that has begun.
                    self.waiting = if piece.iter().all(|byte| *byte == 0) { 0 } else { self.waiting };
                    return;
                }
                Ok(Err(DecodeError::Malformed)) if self.formats.table.encoding().can_recover() => {
                    lines.push(self.not_understood());
                }
                Ok(Err(_)) | Err(_) => {
                    lines.push(self.not_understood());
                    self.stream = self.formats.table.new_stream_decoder();
                    return;
                }
            }
        }
    }

    fn not_understood(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.waiting);
        let word = if bytes == 1 { "byte was" } else { "bytes were" };
        Line::remark(format!("{bytes} {word} not understood"))
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
