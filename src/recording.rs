//! A recording: every question that a run asked its source, with the answer, in order. Played back through the same
//! sampler, it gives the same reports.
//!
//! ```text
//!   magic, version | header | ELF | opening | keyframe | refresh | refresh | ... | keyframe | refresh | ...
//!    8 B    u32 LE             '--- a chunk: kind u8, length, CRC-32 u32 LE of kind and payload, payload
//! ```
//!
//! The file only grows, a chunk at a time, so what a crash leaves at its end is at most one chunk that is cut off. The
//! payload of the header is JSON. The ELF is one raw deflate stream (RFC 1951). From a keyframe to the next, all
//! payloads together are another one, flushed after each chunk; the four bytes that a flush ends with (00 00 FF FF, as in
//! RFC 7692) are left out. A keyframe repeats all that is known, so that reading can begin there, and its payload begins
//! with its time in microseconds. Lengths and numbers are LEB128. What is in a refresh is in [`calls`].

mod bytes;
pub mod calls;
mod chunk;
pub mod header;
pub mod reader;
pub mod shadow;
pub mod writer;

use thiserror::Error;

/// What a recording begins with: no text, and damaged by whatever changes line ends on the way (as PNG's).
pub const MAGIC: [u8; 8] = *b"\x89HWR\r\n\x1a\n";
/// The version that is written. Every older one can be read.
pub const VERSION: u32 = 1;
/// The largest ELF that is put into a recording, in bytes.
pub const MOST_ELF: u64 = 64 << 20;

/// Bytes of one chunk at most, packed or not.
const MOST_CHUNK: usize = 96 << 20;
/// Refreshes from one keyframe to the next: what a jump into the middle decodes at most.
const KEYFRAME_EVERY: u32 = 3000;

/// Why a recording cannot be read.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// The system does not give the file's content.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is something else.
    #[error("is no recording: give a file that `highwater record` made")]
    NoRecording,
    /// It was made by a later version of this tool.
    #[error("has version {0} of the format, and this highwater knows up to {VERSION}: take a newer one")]
    TooNew(u32),
    /// It ends before anything was recorded.
    #[error("ends in its header: the recording was ended before it began")]
    NoHeader,
    /// Its content makes no sense.
    #[error("is damaged: {0}")]
    Damaged(&'static str),
}
