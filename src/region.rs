//! A half-open range of addresses. All address arithmetic of the crate is in this file.

use std::fmt;

/// The bytes from `start` up to, not including, `end()`. A region never wraps past the end of the 32-bit space.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Region {
    start: u32,
    size: u32,
}

impl Region {
    /// The region of `size` bytes at `start`, cut at the end of the 32-bit address space.
    #[must_use]
    pub const fn new(start: u32, size: u32) -> Self {
        let room = u32::MAX - start;
        // A region may end exactly at 2^32, where the room below u32::MAX is one byte short.
        let size = if size as u64 > room as u64 + 1 { room } else { size };
        Self { start, size }
    }

    /// The region from `start` up to, not including, `end`; empty when `end` is not above `start`.
    #[must_use]
    pub const fn between(start: u32, end: u32) -> Self {
        Self { start, size: end.saturating_sub(start) }
    }

    /// The `size` bytes just before `end`; `None` when there are not so many.
    #[must_use]
    pub fn before(end: u32, size: u32) -> Option<Self> {
        Some(Self { start: end.checked_sub(size)?, size })
    }

    /// The first address.
    #[must_use]
    pub const fn start(self) -> u32 {
        self.start
    }

    /// The number of bytes.
    #[must_use]
    pub const fn size(self) -> u32 {
        self.size
    }

    /// The address after the last one; 2^32 for a region that ends with the address space.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.start as u64 + self.size as u64
    }

    /// The address after the last one, saturated to 32 bits for use as an address.
    #[must_use]
    pub const fn end_address(self) -> u32 {
        self.start.saturating_add(self.size)
    }

    /// Whether there is no byte in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.size == 0
    }

    /// Whether `address` lies in it.
    #[must_use]
    pub const fn contains(self, address: u32) -> bool {
        address >= self.start && (address as u64) < self.end()
    }

    /// Whether all of `other` lies in it. An empty region lies in every region that holds its start or ends there.
    #[must_use]
    pub const fn covers(self, other: Region) -> bool {
        other.start >= self.start && other.end() <= self.end()
    }

    /// The bytes that both have; `None` when they share none.
    #[must_use]
    pub fn intersection(self, other: Region) -> Option<Region> {
        let start = self.start.max(other.start);
        let end = self.end().min(other.end());
        (u64::from(start) < end).then(|| Region { start, size: (end - u64::from(start)) as u32 })
    }

    /// Whether they share a byte.
    #[must_use]
    pub fn overlaps(self, other: Region) -> bool {
        self.intersection(other).is_some()
    }

    /// How many bytes `address` lies above the start; `None` when it is outside.
    #[must_use]
    pub fn offset_of(self, address: u32) -> Option<u32> {
        self.contains(address).then(|| address - self.start)
    }

    /// The part of it below `address`.
    #[must_use]
    pub fn below(self, address: u32) -> Region {
        Region::between(self.start, address.clamp(self.start, self.end_address()))
    }

    /// The part of it from `address` on.
    #[must_use]
    pub fn from(self, address: u32) -> Region {
        let start = address.clamp(self.start, self.end_address());
        Region { start, size: (self.end() - u64::from(start)) as u32 }
    }

    /// The last `size` bytes of it, or all of it when it is smaller.
    #[must_use]
    pub fn top(self, size: u32) -> Region {
        let size = size.min(self.size);
        Region { start: self.start.saturating_add(self.size - size), size }
    }

    /// The first `size` bytes of it, or all of it when it is smaller.
    #[must_use]
    pub fn bottom(self, size: u32) -> Region {
        Region { start: self.start, size: size.min(self.size) }
    }

    /// The `size` bytes that start `offset` bytes in, cut at the region's end.
    #[must_use]
    pub fn slice(self, offset: u32, size: u32) -> Region {
        let offset = offset.min(self.size);
        Region { start: self.start.saturating_add(offset), size: size.min(self.size - offset) }
    }

    /// The smallest region that holds both.
    #[must_use]
    pub fn hull(self, other: Region) -> Region {
        let start = self.start.min(other.start);
        let end = self.end().max(other.end());
        Region { start, size: u32::try_from(end - u64::from(start)).unwrap_or(u32::MAX) }
    }

    /// Bytes between the end of `self` and the start of `other`; `None` when `other` starts before that end.
    #[must_use]
    pub fn gap_to(self, other: Region) -> Option<u32> {
        u64::from(other.start).checked_sub(self.end()).map(|gap| gap as u32)
    }

    /// The parts of it that none of `taken` covers, in address order.
    #[must_use]
    pub fn minus(self, taken: &[Region]) -> Vec<Region> {
        let mut taken: Vec<Region> = taken.iter().filter_map(|region| self.intersection(*region)).collect();
        taken.sort();
        let mut free = Vec::new();
        let mut at = u64::from(self.start);
        for region in taken {
            if u64::from(region.start) > at {
                free.push(Region { start: at as u32, size: (u64::from(region.start) - at) as u32 });
            }
            at = at.max(region.end());
        }
        if at < self.end() {
            free.push(Region { start: at as u32, size: (self.end() - at) as u32 });
        }
        free
    }

    /// The words of it: grown downward and upward to 4-byte boundaries.
    #[must_use]
    pub fn words(self) -> Region {
        let start = self.start & !3;
        let end = (self.end() + 3) & !3;
        Region { start, size: u32::try_from(end - u64::from(start)).unwrap_or(u32::MAX - 3) }
    }

    /// The word-aligned part of it: shrunk to 4-byte boundaries.
    #[must_use]
    pub fn whole_words(self) -> Region {
        let start = u64::from(self.start).next_multiple_of(4);
        let end = self.end() & !3;
        if start >= end {
            return Region { start: self.start, size: 0 };
        }
        Region { start: start as u32, size: (end - start) as u32 }
    }

    /// Cuts it at the multiples of `page` (a power of two), in address order.
    pub fn pages(self, page: u32) -> impl Iterator<Item = Region> {
        let mut rest = self;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let room = page - rest.start % page;
            let piece = rest.bottom(room);
            rest = Region { start: rest.start.wrapping_add(piece.size), size: rest.size - piece.size };
            Some(piece)
        })
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}..{:08x}", self.start, self.end())
    }
}

/// Where a branch at `address` by so many bytes goes; the address space is a ring for it, as it is for the core.
#[must_use]
pub const fn branch(address: u32, by: i32) -> u32 {
    address.wrapping_add_signed(by)
}

/// Sorts regions and joins those that touch, overlap, or lie at most `gap` bytes apart.
#[must_use]
pub fn merge(regions: &[Region], gap: u32) -> Vec<Region> {
    let mut sorted: Vec<Region> = regions.iter().copied().filter(|region| !region.is_empty()).collect();
    sorted.sort();
    let mut merged: Vec<Region> = Vec::with_capacity(sorted.len());
    for region in sorted {
        match merged.last_mut() {
            Some(last) if last.gap_to(region).is_none_or(|between| between <= gap) => *last = last.hull(region),
            _ => merged.push(region),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_region() -> impl Strategy<Value = Region> {
        prop_oneof![
            (0u32..200, 0u32..100).prop_map(|(start, size)| Region::new(start, size)),
            (any::<u32>(), any::<u32>()).prop_map(|(start, size)| Region::new(start, size)),
            (u32::MAX - 100..=u32::MAX, 0u32..200).prop_map(|(start, size)| Region::new(start, size)),
        ]
    }

    proptest! {
        #[test]
        fn a_region_never_passes_the_address_space(region in any_region()) {
            prop_assert!(region.end() <= 1 << 32);
        }

        #[test]
        fn below_and_from_split_without_loss(region in any_region(), at in any::<u32>()) {
            prop_assert_eq!(region.below(at).size() + region.from(at).size(), region.size());
        }

        #[test]
        fn what_is_left_and_what_is_taken_add_up(taken in prop::collection::vec((0u32..200, 0u32..40), 0..8)) {
            let whole = Region::new(50, 100);
            let taken: Vec<Region> = taken.into_iter().map(|(start, size)| Region::new(start, size)).collect();
            let left = whole.minus(&taken);
            for address in 0..250 {
                let expected = whole.contains(address) && !taken.iter().any(|region| region.contains(address));
                prop_assert_eq!(left.iter().any(|region| region.contains(address)), expected);
            }
        }

        #[test]
        fn pages_cover_exactly_and_cross_no_boundary(region in any_region()) {
            prop_assume!(region.size() < 100_000);
            let pages: Vec<Region> = region.pages(1024).collect();
            prop_assert_eq!(pages.iter().map(|page| page.size()).sum::<u32>(), region.size());
            for page in pages {
                prop_assert_eq!(u64::from(page.start() / 1024), (page.end() - 1) / 1024);
            }
        }

        #[test]
        fn merging_covers_the_same_addresses_and_more_only_in_gaps(
            parts in prop::collection::vec((0u32..200, 0u32..20), 0..8), gap in 0u32..8,
        ) {
            let parts: Vec<Region> = parts.into_iter().map(|(start, size)| Region::new(start, size)).collect();
            let merged = merge(&parts, gap);
            for part in parts.iter().filter(|part| !part.is_empty()) {
                prop_assert!(merged.iter().any(|region| region.covers(*part)));
            }
            for pair in merged.windows(2) {
                prop_assert!(pair[0].gap_to(pair[1]).is_some_and(|between| between > gap));
            }
        }
    }

    #[test]
    fn the_last_byte_of_the_address_space_can_be_reached() {
        let top = Region::new(0xffff_fff0, 16);
        assert_eq!(top.end(), 1 << 32);
        assert!(top.contains(u32::MAX));
    }
}
