//! RTT: what a firmware writes into ring buffers in its RAM for a debugger, read while it runs.
//!
//! The control block is SEGGER's (J-Link user guide, UM08001, chapter 16): an identifier of 16 bytes, the numbers of up
//! and down channels, and a descriptor of 24 bytes for each. The host takes bytes out by writing the channel's read
//! offset: one word for each time there was something. That is a write to the target, so it goes through a
//! [`Control`]. probe-rs's own reader needs a `Session`, which halts the core; this one reads the same bytes without.
//!
//! All of it is the target's memory, and may be anything: channels are bounded in number and size, and what points out
//! of the RAM is left alone.

use super::ReadError;
use super::control::Control;
use crate::region::Region;
use crate::units;

/// The symbol of the control block.
pub const SYMBOL: &str = "_SEGGER_RTT";
/// What the control block begins with, once the firmware has set it up.
const ID: &[u8; 16] = b"SEGGER RTT\0\0\0\0\0\0";
/// Identifier and the two numbers of channels: bytes.
const HEADER: u32 = 24;
/// One channel's descriptor: name, buffer, size, write offset, read offset, flags.
const DESCRIPTOR: u32 = 24;
const READ_OFFSET: u32 = 16;
/// Up channels that are looked at; firmware has one to three.
const MAX_CHANNELS: u32 = 8;
/// The largest buffer of a channel that is believed: bytes.
const MAX_BUFFER: u32 = 1 << 20;
/// What is taken out of a channel at one time: bytes.
const MAX_PIECE: u32 = 64 * 1024;
/// The longest name that is read: bytes.
const MAX_NAME: u32 = 32;

/// The up channels of one control block.
#[derive(Clone, Debug)]
pub struct Rtt {
    block: u32,
    memories: Vec<Region>,
    /// Names by channel, as found since the firmware last set the block up.
    names: Option<Vec<String>>,
}

/// What a channel has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The channel's number.
    pub channel: usize,
    /// Its name; `channel N` when it has none.
    pub name: String,
    /// Bytes in the order in which they were written.
    pub bytes: Vec<u8>,
}

/// What one look has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The firmware has set its channels up since the last look: what comes now begins anew.
    pub began: bool,
    /// What there was to read.
    pub pieces: Vec<Piece>,
}

/// One up channel as its descriptor says, once that was believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Channel {
    name: u32,
    buffer: Region,
    write: u32,
    read: u32,
}

impl Rtt {
    /// The control block at `block`, in a target with these `memories`. Nothing is read yet.
    #[must_use]
    pub fn new(block: u32, memories: Vec<Region>) -> Self {
        Self { block, memories, names: None }
    }

    /// Spoils the control block of an earlier run, while the core stands before its first instruction: RAM survives a
    /// reset, and a firmware that has not set its block up yet must not be taken for one that has.
    ///
    /// # Errors
    ///
    /// The link failed.
    pub fn forget(&mut self, control: &mut dyn Control) -> Result<(), ReadError> {
        self.names = None;
        if self.block.is_multiple_of(4) && self.holds(Region::new(self.block, 4)) {
            control.write(self.block, &[0])?;
        }
        Ok(())
    }

    /// Takes out what the firmware has written since the last look.
    ///
    /// # Errors
    ///
    /// The link failed.
    pub fn look(&mut self, control: &mut dyn Control) -> Result<Look, ReadError> {
        let mut look = Look::default();
        let channels = self.channels(control)?;
        let Some(channels) = channels else {
            self.names = None;
            return Ok(look);
        };
        if self.names.as_ref().is_none_or(|names| names.len() != channels.len()) {
            look.began = true;
            let names = channels.iter().enumerate().map(|(number, channel)| self.name(control, number, *channel));
            self.names = Some(names.collect());
        }
        let names = self.names.clone().unwrap_or_default();
        for ((number, channel), name) in channels.into_iter().enumerate().zip(names) {
            let Some(channel) = channel else { continue };
            let bytes = take(control, channel)?;
            if bytes.is_empty() {
                continue;
            }
            let taken = u32::try_from(bytes.len()).unwrap_or(0);
            let read = (channel.read + taken) % channel.buffer.size();
            let number_of = u32::try_from(number).unwrap_or(0);
            control.write(self.block + HEADER + number_of * DESCRIPTOR + READ_OFFSET, &[read])?;
            look.pieces.push(Piece { channel: number, name, bytes });
        }
        Ok(look)
    }

    /// The up channels; `None` while the firmware has not set them up. A channel that makes no sense is `None`.
    fn channels(&self, control: &mut dyn Control) -> Result<Option<Vec<Option<Channel>>>, ReadError> {
        let all = Region::new(self.block, HEADER + MAX_CHANNELS * DESCRIPTOR);
        let Some(memory) = self.memories.iter().find(|memory| memory.covers(Region::new(self.block, HEADER))) else {
            return Ok(None);
        };
        // At the very end of a memory there may be fewer.
        let range = memory.intersection(all).unwrap_or(all);
        if !self.block.is_multiple_of(4) {
            return Ok(None);
        }
        Ok(parse(&control.read_range(range)?, |region| self.holds(region)))
    }

    fn holds(&self, region: Region) -> bool {
        self.memories.iter().any(|memory| memory.covers(region))
    }

    fn name(&self, control: &mut dyn Control, number: usize, channel: Option<Channel>) -> String {
        let unnamed = format!("channel {number}");
        let Some(address) = channel.map(|channel| channel.name).filter(|address| *address != 0) else {
            return unnamed;
        };
        let Some(memory) = self.memories.iter().find(|memory| memory.contains(address)) else { return unnamed };
        let range = memory.intersection(Region::new(address, MAX_NAME));
        let Some(Ok(bytes)) = range.map(|range| control.read_range(range)) else { return unnamed };
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let name = units::printable(&String::from_utf8_lossy(&bytes[..end]), MAX_NAME as usize);
        if name.is_empty() { unnamed } else { name }
    }
}

/// The bytes that wait in a channel, the older part first where the buffer goes round.
fn take(control: &mut dyn Control, channel: Channel) -> Result<Vec<u8>, ReadError> {
    let Channel { buffer, write, read, .. } = channel;
    let end = if write >= read { write } else { buffer.size() };
    let mut bytes = Vec::new();
    for (from, to) in [(read, end), (0, if write < read { write } else { 0 })] {
        let length = (to - from).min(MAX_PIECE - u32::try_from(bytes.len()).unwrap_or(MAX_PIECE));
        if length > 0 {
            bytes.extend(control.read_range(Region::new(buffer.start() + from, length))?);
        }
        if length < to - from {
            break;
        }
    }
    Ok(bytes)
}

/// The up channels of a control block in `bytes`; `holds` says whether the target has memory there.
fn parse(bytes: &[u8], holds: impl Fn(Region) -> bool) -> Option<Vec<Option<Channel>>> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if bytes.get(..16)? != ID {
        return None;
    }
    let count = word(16)?.min(MAX_CHANNELS);
    let channel = |number: u32| {
        let at = (HEADER + number * DESCRIPTOR) as usize;
        let [name, start, size, write, read] = [0, 4, 8, 12, 16].map(|offset| word(at + offset));
        let (start, size) = (start?, size?);
        let (write, read) = (write?, read?);
        let makes_sense = (1..=MAX_BUFFER).contains(&size) && start.checked_add(size).is_some();
        let buffer = makes_sense.then(|| Region::new(start, size)).filter(|buffer| holds(*buffer))?;
        (write < size && read < size).then_some(Channel { name: name?, buffer, write, read })
    };
    Some((0..count).map(channel).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::control::Written;

    const RAM: Region = Region::new(0x2000_0000, 0x1000);

    /// Memory of this process as a target that can be written.
    struct Bytes {
        ram: Vec<u8>,
        written: Vec<(u32, u32)>,
    }

    impl Bytes {
        fn new() -> Self {
            Self { ram: vec![0; RAM.size() as usize], written: Vec::new() }
        }

        fn put(&mut self, address: u32, bytes: &[u8]) {
            let at = RAM.offset_of(address).expect("in RAM") as usize;
            self.ram[at..at + bytes.len()].copy_from_slice(bytes);
        }

        /// A block with one channel: its buffer of 16 bytes at 0x2000_0100, its name at 0x2000_0200.
        fn with_channel(write: u32, read: u32) -> Self {
            let mut memory = Self::new();
            memory.put(RAM.start(), ID);
            for (index, word) in [1, 0, 0x2000_0200, 0x2000_0100, 16, write, read, 0].iter().enumerate() {
                memory.put(RAM.start() + 16 + 4 * u32::try_from(index).unwrap(), &u32::to_le_bytes(*word));
            }
            memory.put(0x2000_0100, b"0123456789abcdef");
            memory.put(0x2000_0200, b"Terminal\0");
            memory
        }
    }

    impl Control for Bytes {
        fn read(&mut self, address: u32) -> Result<u32, ReadError> {
            let bytes = self.read_range(Region::new(address, 4))?;
            Ok(u32::from_le_bytes(bytes.try_into().expect("four")))
        }

        fn write(&mut self, address: u32, words: &[u32]) -> Result<(), ReadError> {
            for (index, word) in words.iter().enumerate() {
                let at = address + 4 * u32::try_from(index).expect("few");
                self.put(at, &word.to_le_bytes());
                self.written.push((at, *word));
            }
            Ok(())
        }

        fn read_range(&mut self, range: Region) -> Result<Vec<u8>, ReadError> {
            let at = RAM.offset_of(range.start()).filter(|_| RAM.covers(range));
            let at = at.ok_or(ReadError::Unreadable { range, why: "no memory".into() })? as usize;
            Ok(self.ram[at..at + range.size() as usize].to_vec())
        }

        fn reset_and_hold(&mut self) -> Result<(), ReadError> {
            Ok(())
        }

        fn written(&self) -> Written {
            Written::default()
        }
    }

    #[test]
    fn bytes_are_taken_in_order_also_where_the_buffer_goes_round() {
        for (write, read, expected, offset) in [
            (5, 0, "01234", Some(5)),
            (3, 12, "cdef012", Some(3)),
            (0, 12, "cdef", Some(0)),
            (7, 7, "", None),
            (15, 0, "0123456789abcde", Some(15)),
        ] {
            let mut memory = Bytes::with_channel(write, read);
            let mut rtt = Rtt::new(RAM.start(), vec![RAM]);
            let look = rtt.look(&mut memory).expect("it reads");
            let text: Vec<u8> = look.pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
            assert_eq!((String::from_utf8_lossy(&text).as_ref(), look.began), (expected, true), "{write} {read}");
            assert!(look.pieces.iter().all(|piece| piece.name == "Terminal"));
            let written: Vec<(u32, u32)> = offset.map(|offset| (RAM.start() + 40, offset)).into_iter().collect();
            assert_eq!(memory.written, written, "one word, and none when there is nothing");
            let again = rtt.look(&mut memory).expect("it reads");
            assert_eq!((again.began, again.pieces), (false, Vec::new()));
        }
    }

    #[test]
    fn what_points_elsewhere_is_left_alone() {
        for (offset, word) in [(28, 0x1fff_fff8), (28, 0x2000_0ff8), (32, 0), (32, u32::MAX), (36, 16), (40, 99)] {
            let mut memory = Bytes::with_channel(5, 0);
            memory.put(RAM.start() + offset, &u32::to_le_bytes(word));
            let look = Rtt::new(RAM.start(), vec![RAM]).look(&mut memory).expect("it reads");
            assert_eq!((look.pieces, memory.written), (Vec::new(), Vec::new()), "{offset}: {word:#x}");
        }
        let mut memory = Bytes::with_channel(5, 0);
        for block in [RAM.start() + 2, RAM.start() - 8, 0, u32::MAX - 3] {
            assert_eq!(Rtt::new(block, vec![RAM]).look(&mut memory).expect("nothing is read").pieces, Vec::new());
        }
    }

    #[test]
    fn a_block_of_an_earlier_run_is_forgotten_and_a_new_one_begins_anew() {
        let mut memory = Bytes::with_channel(5, 0);
        let mut rtt = Rtt::new(RAM.start(), vec![RAM]);
        rtt.forget(&mut memory).expect("it is written");
        assert_eq!(rtt.look(&mut memory), Ok(Look::default()));
        memory.put(RAM.start(), ID);
        let look = rtt.look(&mut memory).expect("it reads");
        assert_eq!((look.began, look.pieces.len()), (true, 1));
    }

    proptest! {
        #[test]
        fn any_control_block_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..256), valid in any::<bool>()) {
            let mut memory = Bytes::new();
            memory.put(RAM.start() + 16, &bytes);
            if valid {
                memory.put(RAM.start(), ID);
            }
            let before = memory.ram.clone();
            let mut rtt = Rtt::new(RAM.start(), vec![RAM]);
            for _ in 0..2 {
                let look = rtt.look(&mut memory).expect("all that is read is there");
                prop_assert!(look.pieces.len() <= MAX_CHANNELS as usize);
            }
            // Nothing but read offsets is ever written.
            for (at, _) in &memory.written {
                prop_assert_eq!((at - RAM.start() - HEADER) % DESCRIPTOR, READ_OFFSET);
            }
            if !valid {
                prop_assert_eq!(before, memory.ram);
            }
        }
    }
}
