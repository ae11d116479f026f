//! Checks that hold for every walker: blocks fill the ranges, damage in a header is found, and no flipped bit goes unseen.

use super::{Walk, Walker};
use crate::image::Image;
use crate::image::symbols::{Symbol, Symbols};
use crate::memory::Memory;
use crate::model::snapshot::BlockState;
use crate::region::Region;
use crate::source::link::LinkCost;
use crate::source::testing::Bytes;

/// The demo's firmware with these symbols and no others.
pub(super) fn image_with(symbols: Vec<Symbol>) -> Image {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
    let mut image = Image::open(&path).expect("the demo opens");
    image.symbols = Symbols::new(symbols);
    image
}

/// A function of 16 bytes.
pub(super) fn code(name: &str, address: u32) -> Symbol {
    Symbol { is_code: true, is_data: false, ..object(name, Region::new(address, 16)) }
}

/// A static.
pub(super) fn object(name: &str, range: Region) -> Symbol {
    Symbol { name: name.into(), range, is_code: false, is_data: true, section: 0, file: None }
}

pub(super) fn walk(walker: &dyn Walker, bytes: &mut Bytes) -> Option<Walk> {
    let walk = walker.walk(&mut Memory::new(bytes, LinkCost::default(), 1 << 20))?;
    let mut at = u64::from(walk.ranges[0].start());
    for (block, index) in walk.blocks.iter().zip(0..) {
        if let Some(range) = walk.ranges.iter().find(|range| u64::from(range.start()) == u64::from(block.range.start()))
        {
            at = range.start().into();
        }
        assert_eq!(u64::from(block.range.start()), at, "block {index}");
        assert!(!block.range.is_empty() && block.range.covers(block.payload), "block {index}");
        at = block.range.end();
    }
    assert_eq!(
        walk.blocks.iter().map(|block| u64::from(block.range.size())).sum::<u64>(),
        walk.ranges.iter().map(|range| u64::from(range.size())).sum::<u64>()
    );
    Some(walk)
}

/// The blocks that are the program's or nobody's, with their sizes.
pub(super) fn told(walk: &Walk) -> Vec<(BlockState, u32)> {
    let shared = walk.blocks.iter().filter(|block| block.state != BlockState::Own);
    shared.map(|block| (block.state, block.range.size())).collect()
}

/// Flips each of `words` in several ways: each walk ends, and says that there is damage, with a suspect before it.
pub(super) fn damage_is_found(walker: &dyn Walker, bytes: &mut Bytes, words: &[u32]) {
    for address in words {
        let offset = bytes.range.offset_of(*address).expect("inside the memory") as usize;
        let word: [u8; 4] = bytes.content[offset..offset + 4].try_into().expect("a word");
        for flip in [8u32, 1 << 6, 1 << 30, 0x5555_5555, u32::MAX] {
            bytes.poke(*address, u32::from_le_bytes(word) ^ flip);
            if let Some(walk) = walk(walker, bytes) {
                let damage = walk.damage.unwrap_or_else(|| panic!("{address:08x} ^ {flip:08x} goes unseen"));
                assert!(damage.suspect.as_ref().is_none_or(|suspect| suspect.start() < damage.address), "{damage:?}");
            }
        }
        bytes.poke(*address, u32::from_le_bytes(word));
    }
    assert_eq!(walk(walker, bytes).expect("it is whole again").damage, None);
}

/// Flips each bit of each of `words`: each walk ends, and tells of damage or of another heap. What an allocator writes down
/// once cannot be proven wrong, so not every flip is damage.
pub(super) fn no_flip_goes_unseen(walker: &dyn Walker, bytes: &mut Bytes, words: &[u32]) {
    let whole = walk(walker, bytes);
    for (address, bit) in words.iter().flat_map(|address| (0..32).map(move |bit| (*address, bit))) {
        let offset = bytes.range.offset_of(address).expect("inside the memory") as usize + bit / 8;
        bytes.content[offset] ^= 1 << (bit % 8);
        let found = walk(walker, bytes);
        assert_ne!(found, whole, "bit {bit} of {address:08x} goes unseen");
        if let Some(damage) = found.and_then(|walk| walk.damage) {
            assert!(damage.suspect.as_ref().is_none_or(|suspect| suspect.start() < damage.address), "{damage:?}");
        }
        bytes.content[offset] ^= 1 << (bit % 8);
    }
    assert_eq!(walk(walker, bytes), whole, "it is whole again");
}
