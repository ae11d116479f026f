//! What a recording says of itself, as JSON: members that a later tool adds are passed over.

use flate2::Crc;
use serde::{Deserialize, Serialize};

use super::RecordingError;
use crate::image::layout::Memory;
use crate::model::snapshot::MemoryKind;
use crate::region::Region;
use crate::units::printable;

/// Memories that are taken from a header at most.
const MOST_MEMORIES: usize = 256;
/// Characters of a name.
const NAME: usize = 256;

/// What a recording says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The tool that made it, with its version.
    pub tool: String,
    /// The firmware's ELF.
    pub elf: Identity,
    /// What lay beside the ELF and is not in the recording: images of `--also`, the folder of `--su`.
    #[serde(default)]
    pub beside: Vec<String>,
    /// Refreshes per second that were asked for; none for as many as the link gave.
    pub rate_hz: Option<f64>,
    /// The memories of the target.
    pub memories: Vec<StoredMemory>,
}

/// Which ELF it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The file's name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The CRC-32 of its bytes.
    pub crc32: u32,
    /// The build id, where it has one.
    #[serde(default)]
    pub build_id: Option<String>,
}

impl Identity {
    /// That of an ELF with this content.
    #[must_use]
    pub fn of(name: &str, content: &[u8], build_id: Option<String>) -> Self {
        let mut crc = Crc::new();
        crc.update(content);
        Self { name: name.to_owned(), size: content.len() as u64, crc32: crc.sum(), build_id }
    }

    /// Whether this content is that ELF's.
    #[must_use]
    pub fn is_of(&self, content: &[u8]) -> bool {
        let other = Self::of("", content, None);
        (self.size, self.crc32) == (other.size, other.crc32)
    }
}

/// A memory as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMemory {
    name: String,
    flash: bool,
    start: u32,
    size: u32,
    size_known: bool,
}

impl Header {
    /// The header of a run.
    #[must_use]
    pub fn new(elf: Identity, beside: Vec<String>, rate_hz: Option<f64>, memories: &[Memory]) -> Self {
        let tool = concat!("highwater ", env!("CARGO_PKG_VERSION")).to_owned();
        let stored = |memory: &Memory| StoredMemory {
            name: memory.name.clone(),
            flash: memory.kind == MemoryKind::Flash,
            start: memory.range.start(),
            size: memory.range.size(),
            size_known: memory.size_known,
        };
        Self { tool, elf, beside, rate_hz, memories: memories.iter().map(stored).collect() }
    }

    /// The memories of the target.
    #[must_use]
    pub fn memories(&self) -> Vec<Memory> {
        let memory = |stored: &StoredMemory| Memory {
            name: stored.name.clone(),
            kind: if stored.flash { MemoryKind::Flash } else { MemoryKind::Ram },
            range: Region::new(stored.start, stored.size),
            size_known: stored.size_known,
        };
        self.memories.iter().map(memory).collect()
    }

    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads it; names are made safe for a terminal.
    pub(super) fn parse(json: &[u8]) -> Result<Self, RecordingError> {
        let mut header: Self =
            serde_json::from_slice(json).map_err(|_| RecordingError::Damaged("its header is not what it should be"))?;
        header.memories.truncate(MOST_MEMORIES);
        header.beside.truncate(MOST_MEMORIES);
        let texts = [&mut header.tool, &mut header.elf.name].into_iter();
        let texts = texts.chain(&mut header.elf.build_id).chain(&mut header.beside);
        for text in texts.chain(header.memories.iter_mut().map(|memory| &mut memory.name)) {
            *text = printable(text, NAME);
        }
        Ok(header)
    }
}
