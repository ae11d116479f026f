//! Cuts a range so that each byte of it has one owner: the innermost of those that claim it.

use crate::region::Region;

/// A piece of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    /// Where it is.
    pub(super) range: Region,
    /// Which of the claims has it; `None` when there is none.
    pub(super) owner: Option<usize>,
    /// Nobody has it, and it is as short as what the alignment of the next claim may need.
    pub(super) only_aligns: bool,
}

/// The largest alignment that is taken for the reason of a gap, in bytes: a cache line.
const MOST_ALIGNED: u32 = 64;

/// The pieces of `whole` in address order; together they are `whole`. `claims` is in ascending order. Of two claims on
/// one byte the later start has it, and of two with one start the smaller; of two equal ones, the first.
pub(super) fn cut(whole: Region, claims: &[Region]) -> Vec<Tile> {
    let mut order: Vec<usize> = (0..claims.len()).filter(|index| !claims[*index].is_empty()).collect();
    // An outer claim first: the inner ones are laid on top of it.
    order.sort_by_key(|index| (claims[*index].start(), u32::MAX - claims[*index].size(), usize::MAX - index));
    let mut cutter = Cutter { whole, at: whole.start().into(), tiles: Vec::new() };
    let mut open: Vec<usize> = Vec::new();
    for index in order {
        let claim = claims[index];
        if !whole.contains(claim.start()) {
            continue;
        }
        cutter.close(&mut open, claims, claim.start().into());
        cutter.fill(claim.start().into(), None);
        open.push(index);
    }
    cutter.close(&mut open, claims, whole.end());
    cutter.fill(whole.end(), None);
    cutter.tiles
}

/// Whether the bytes are what linkers and assemblers fill gaps with: all of one kind, zeros, ones or no-operations.
pub(super) fn is_filler(bytes: &[u8]) -> bool {
    /// Thumb's no-operations: `NOP` of v7-M (ARM DDI 0403, A7.7.88) and `MOV r8, r8` before it.
    const NO_OPERATION: [[u8; 2]; 2] = [[0x00, 0xbf], [0xc0, 0x46]];
    let uniform = [0x00, 0xff, 0xd4].iter().any(|filler| bytes.iter().all(|byte| byte == filler));
    uniform || NO_OPERATION.iter().any(|word| bytes.chunks(2).all(|chunk| chunk == &word[..chunk.len()]))
}

struct Cutter {
    whole: Region,
    /// The first address that is not handed out yet; 2^32 behind the last byte of the address space.
    at: u64,
    tiles: Vec<Tile>,
}

impl Cutter {
    /// Hands out the bytes of all claims that end before `until`.
    fn close(&mut self, open: &mut Vec<usize>, claims: &[Region], until: u64) {
        while let Some(last) = open.last().copied() {
            let end = claims[last].end().min(self.whole.end());
            if end > until {
                break;
            }
            self.fill(end, Some(last));
            open.pop();
        }
        if let Some(last) = open.last().copied() {
            self.fill(until, Some(last));
        }
    }

    /// Gives the bytes up to `until` to `owner`.
    fn fill(&mut self, until: u64, owner: Option<usize>) {
        let before = self.at.saturating_sub(self.whole.start().into());
        let size = until.saturating_sub(self.at);
        let (Ok(before), Ok(size)) = (u32::try_from(before), u32::try_from(size)) else { return };
        let range = self.whole.slice(before, size);
        if range.is_empty() {
            return;
        }
        // What comes next is as aligned as the address it begins at.
        let alignment = (1u32 << until.trailing_zeros().min(31)).min(MOST_ALIGNED);
        let only_aligns = owner.is_none() && range.size() < alignment;
        self.tiles.push(Tile { range, owner, only_aligns });
        self.at = until;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owners(whole: Region, claims: &[Region]) -> Vec<(u32, u32, Option<usize>)> {
        cut(whole, claims).iter().map(|tile| (tile.range.start(), tile.range.size(), tile.owner)).collect()
    }

    #[test]
    fn inner_claims_are_cut_out_of_outer_ones() {
        let whole = Region::new(0x100, 0x40);
        let claims = [(0x100, 0x10), (0x104, 4), (0x114, 8), (0x114, 8), (0x118, 0x10), (0x138, 0x40)];
        let claims: Vec<Region> = claims.iter().map(|(start, size)| Region::new(*start, *size)).collect();
        assert_eq!(
            owners(whole, &claims),
            [
                (0x100, 4, Some(0)),
                (0x104, 4, Some(1)),
                (0x108, 8, Some(0)),
                (0x110, 4, None),
                (0x114, 4, Some(2)),
                (0x118, 0x10, Some(4)),
                (0x128, 0x10, None),
                (0x138, 8, Some(5)),
            ]
        );
    }

    #[test]
    fn a_gap_that_could_align_the_next_claim_is_told_from_one_that_could_not() {
        let whole = Region::new(0x100, 0x40);
        let claims = [Region::new(0x100, 6), Region::new(0x108, 2), Region::new(0x11a, 2)];
        let gaps: Vec<bool> =
            cut(whole, &claims).iter().filter(|tile| tile.owner.is_none()).map(|tile| tile.only_aligns).collect();
        assert_eq!(gaps, [true, false, true]);
    }

    #[test]
    fn fillers_are_zeros_ones_and_no_operations() {
        for (bytes, expected) in [
            (&[0u8, 0][..], true),
            (&[0xff; 3], true),
            (&[0x00, 0xbf, 0x00, 0xbf], true),
            (&[0xc0, 0x46], true),
            (&[0, 1], false),
            (&[0x00, 0xbf, 0x70, 0x47], false),
        ] {
            assert_eq!(is_filler(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn the_last_byte_of_the_address_space_is_handed_out() {
        let whole = Region::new(0xffff_ffe0, 0x20);
        for claims in [vec![], vec![whole], vec![Region::new(0xffff_fff0, 0x10)], vec![Region::new(0xffff_ffe0, 4)]] {
            assert_eq!(cut(whole, &claims).iter().map(|tile| tile.range.size()).sum::<u32>(), 0x20, "{claims:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_claimed_the_tiles_are_the_whole(
            start in 0u32..64,
            size in 0u32..256,
            mut claims in prop::collection::vec((0u32..320, 0u32..64), 0..40),
        ) {
            claims.sort_unstable();
            let whole = Region::new(start, size);
            let claims: Vec<Region> = claims.iter().map(|(start, size)| Region::new(*start, *size)).collect();
            let mut at = u64::from(start);
            for tile in cut(whole, &claims) {
                prop_assert_eq!(u64::from(tile.range.start()), at);
                prop_assert!(!tile.range.is_empty());
                at = tile.range.end();
                let claimed = |address: u32| claims.iter().any(|claim| claim.contains(address) && whole.contains(claim.start()));
                for address in tile.range.start()..tile.range.end_address() {
                    match tile.owner {
                        Some(owner) => prop_assert!(claims[owner].contains(address)),
                        None => prop_assert!(!claimed(address)),
                    }
                }
            }
            prop_assert_eq!(at, whole.end());
        }
    }
}
