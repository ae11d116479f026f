//! The pieces that a recording is made of, and the streams that they hold.

use std::io::{self, Read};

use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

use super::bytes::put;
use super::{MOST_CHUNK, RecordingError};

/// What a chunk is. A kind that a later tool adds is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header,
    Elf,
    Opening,
    Keyframe,
    Steady,
    Thorough,
    Unknown,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Header => b'H',
            Self::Elf => b'E',
            Self::Opening => b'O',
            Self::Keyframe => b'K',
            Self::Steady => b'r',
            Self::Thorough => b'R',
            Self::Unknown => b'?',
        }
    }

    fn of(byte: u8) -> Self {
        let all = [Self::Header, Self::Elf, Self::Opening, Self::Keyframe, Self::Steady, Self::Thorough];
        all.into_iter().find(|kind| kind.byte() == byte).unwrap_or(Self::Unknown)
    }
}

/// A chunk as it is written.
pub(super) fn chunk(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut chunk = Vec::with_capacity(payload.len() + 10);
    chunk.push(kind.byte());
    put(&mut chunk, payload.len() as u64);
    chunk.extend(checksum(kind.byte(), payload).to_le_bytes());
    chunk.extend(payload);
    chunk
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(&[kind]);
    crc.update(payload);
    crc.sum()
}

/// The next chunk; `None` where the file ends, also within a chunk, or is damaged.
pub(super) fn next(from: &mut impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let Some(kind) = byte(from)? else { return Ok(None) };
    let mut size = 0u64;
    for shift in (0..).step_by(7) {
        let Some(byte) = byte(from)? else { return Ok(None) };
        size |= u64::from(byte & 0x7f) << shift;
        match (byte < 0x80, shift) {
            (true, _) => break,
            // A chunk of 2^28 bytes is none.
            (false, 21) => return Ok(None),
            _ => {}
        }
    }
    if size > MOST_CHUNK as u64 {
        return Ok(None);
    }
    let mut rest = Vec::new();
    from.take(size + 4).read_to_end(&mut rest)?;
    if rest.len() as u64 != size + 4 {
        return Ok(None);
    }
    let payload = rest.split_off(4);
    let good = rest == checksum(kind, &payload).to_le_bytes();
    Ok(good.then(|| (Kind::of(kind), payload)))
}

fn byte(from: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = [0];
    loop {
        match from.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What each flush ends with, and what is therefore not stored.
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];

/// Bytes that a stream grows by at a time.
const STEP: usize = 4096;

/// Packs the payloads of one stream.
pub(super) struct Packer(Compress);

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packer({} bytes)", self.0.total_in())
    }
}

impl Packer {
    pub(super) fn new() -> Self {
        Self(Compress::new(Compression::best(), false))
    }

    /// Appends the next payload of the stream, packed.
    pub(super) fn pack(&mut self, mut plain: &[u8], into: &mut Vec<u8>) {
        loop {
            into.reserve(plain.len() / 2 + STEP);
            let before = self.0.total_in();
            // A compressor has no failure that its input brings about.
            let _ = self.0.compress_vec(plain, into, FlushCompress::Sync);
            plain = &plain[(self.0.total_in() - before) as usize..];
            if plain.is_empty() && into.len() < into.capacity() {
                break;
            }
        }
        if into.ends_with(&FLUSHED) {
            into.truncate(into.len() - FLUSHED.len());
        }
    }
}

/// Unpacks them again.
pub(super) struct Unpacker(Decompress);

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unpacker({} bytes)", self.0.total_in())
    }
}

impl Unpacker {
    pub(super) fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// The next payload of the stream, of at most `limit` bytes.
    pub(super) fn unpack(&mut self, packed: &[u8], limit: usize) -> Result<Vec<u8>, RecordingError> {
        let damaged = || RecordingError::Damaged("its compression is broken");
        // Nothing behind a flush is not flushed again.
        if packed.is_empty() {
            return Ok(Vec::new());
        }
        let whole = [packed, &FLUSHED].concat();
        let (mut rest, mut plain) = (whole.as_slice(), Vec::new());
        loop {
            plain.reserve(rest.len() * 2 + STEP);
            let before = self.0.total_in();
            let status = self.0.decompress_vec(rest, &mut plain, FlushDecompress::Sync).map_err(|_| damaged())?;
            rest = &rest[(self.0.total_in() - before) as usize..];
            if plain.len() > limit {
                return Err(RecordingError::Damaged("a chunk is larger than any recorder makes"));
            }
            if status == Status::StreamEnd || plain.len() < plain.capacity() {
                return if rest.is_empty() { Ok(plain) } else { Err(damaged()) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(payloads in prop::collection::vec(prop::collection::vec(0u8..4, 0..3000), 1..4)) {
            let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
            for payload in &payloads {
                let mut packed = Vec::new();
                packer.pack(payload, &mut packed);
                prop_assert_eq!(&unpacker.unpack(&packed, 9000).unwrap(), payload);
            }
        }

        #[test]
        fn damage_is_an_error(bytes: Vec<u8>) {
            let _ = Unpacker::new().unpack(&bytes, 10_000);
            let _ = next(&mut bytes.as_slice()).unwrap();
        }
    }

    #[test]
    fn an_empty_payload_is_unpacked_wherever_it_stands() {
        for payloads in [&[&b""[..], b"", b"one", b"two"][..], &[b"one", b"", b"", b"two"], &[b"one", b"two", b""]] {
            let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
            for payload in payloads {
                let mut packed = Vec::new();
                packer.pack(payload, &mut packed);
                assert_eq!(unpacker.unpack(&packed, 9000).unwrap(), *payload, "{payloads:?}");
            }
        }
    }

    #[test]
    fn a_chunk_that_was_cut_off_or_changed_is_none() {
        let whole = chunk(Kind::Steady, &[7; 300]);
        assert_eq!(next(&mut whole.as_slice()).unwrap(), Some((Kind::Steady, vec![7; 300])));
        for end in 0..whole.len() {
            assert_eq!(next(&mut &whole[..end]).unwrap(), None, "{end}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            assert_eq!(next(&mut changed.as_slice()).unwrap(), None, "{at}");
        }
        // A stream that unpacks to far more than it may is not unpacked to its end.
        let mut packed = Vec::new();
        Packer::new().pack(&vec![0; 1 << 20], &mut packed);
        assert!(Unpacker::new().unpack(&packed, 1000).is_err());
    }
}
