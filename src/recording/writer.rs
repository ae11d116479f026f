//! Writes a recording, a refresh at a time.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::calls::{self, Call, Context, Packed};
use super::chunk::{Kind, Packer, chunk};
use super::header::Header;
use super::{KEYFRAME_EVERY, MAGIC, MOST_ELF, VERSION};
use crate::source::Depth;

/// What a recording begins with: ready to be written, because packing a large ELF takes its time.
#[derive(Clone, PartialEq, Eq)]
pub struct Head(Vec<u8>);

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Head({} bytes)", self.0.len())
    }
}

impl Head {
    /// The head of a recording that has the ELF in it, when one is given and it is not too large.
    ///
    /// # Errors
    ///
    /// None that the caller could bring about: packing into memory does not fail.
    pub fn new(header: &Header, elf: Option<&[u8]>) -> io::Result<Self> {
        let mut head = MAGIC.to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend(chunk(Kind::Header, &header.json()));
        if let Some(elf) = elf.filter(|elf| elf.len() as u64 <= MOST_ELF) {
            let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
            packer.write_all(elf)?;
            head.extend(chunk(Kind::Elf, &packer.finish()?));
        }
        Ok(Self(head))
    }
}

/// Writes a recording.
pub struct Writer {
    out: Box<dyn Write + Send>,
    bytes: u64,
    context: Context,
    packed: Packed,
    packer: Packer,
    /// What belongs together is being asked: before the first refresh, or within one.
    open: Option<Kind>,
    since_keyframe: Option<u32>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({} bytes)", self.bytes)
    }
}

impl Writer {
    /// Begins a recording before anything was asked.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn new(out: Box<dyn Write + Send>, head: &Head) -> io::Result<Self> {
        Self::begin(out, head, Context::default(), Some(Kind::Opening))
    }

    /// Begins one in the middle of a run, with what is known by now. It begins with the next refresh.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn continuing(out: Box<dyn Write + Send>, head: &Head, context: Context) -> io::Result<Self> {
        Self::begin(out, head, context, None)
    }

    fn begin(out: Box<dyn Write + Send>, head: &Head, context: Context, open: Option<Kind>) -> io::Result<Self> {
        let (packed, packer) = (Packed::default(), Packer::new());
        let mut writer = Self { out, bytes: 0, context, packed, packer, open, since_keyframe: None };
        writer.append(&head.0)?;
        Ok(writer)
    }

    /// Notes a question and its answer. What is asked between two refreshes belongs to none.
    pub fn call(&mut self, call: &Call) {
        if self.open.is_some() {
            self.packed.push(call, &mut self.context);
        }
    }

    /// A refresh begins.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn refreshing(&mut self, depth: Depth) -> io::Result<()> {
        if self.open == Some(Kind::Opening) && !self.packed.is_empty() {
            self.write(Kind::Opening)?;
        }
        if self.since_keyframe.is_none_or(|refreshes| refreshes >= KEYFRAME_EVERY) {
            self.packer = Packer::new();
            let mut whole = Vec::new();
            self.context.put(&mut whole);
            let mut payload = Vec::new();
            super::bytes::put(&mut payload, u64::try_from(self.context.now.as_micros()).unwrap_or(u64::MAX));
            self.packer.pack(&whole, &mut payload);
            self.append(&chunk(Kind::Keyframe, &payload))?;
            self.since_keyframe = Some(0);
        }
        self.open = Some(match depth {
            Depth::Steady => Kind::Steady,
            Depth::Thorough => Kind::Thorough,
        });
        Ok(())
    }

    /// The refresh is over: from here on a crash does not lose it.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn refreshed(&mut self) -> io::Result<()> {
        if let Some(kind) = self.open.take() {
            self.since_keyframe = self.since_keyframe.map(|refreshes| refreshes + 1);
            self.write(kind)?;
        }
        Ok(())
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the recording; what is known goes on.
    #[must_use]
    pub fn into_context(self) -> Context {
        self.context
    }

    fn write(&mut self, kind: Kind) -> io::Result<()> {
        let packed = self.packed.finish();
        if !calls::fits(&packed) {
            return Err(io::Error::other("one refresh read more than a recording can hold"));
        }
        let mut payload = Vec::new();
        self.packer.pack(&packed, &mut payload);
        self.append(&chunk(kind, &payload))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}
