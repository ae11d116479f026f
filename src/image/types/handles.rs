//! Statics that point to a structure of one name: the handles by which a program knows what a kernel keeps for it.

use std::collections::BTreeSet;

use super::{MAX_ELEMENTS, MAX_FIELDS, Shape, Types, index};

/// The most handles that are told.
const MAX_HANDLES: usize = 256;
/// The most types that are looked into.
const MAX_STEPS: usize = 1 << 14;

impl Types {
    /// The pointers to a structure of that name among the statics, in their members and elements too: where each lies,
    /// and what it is called in the program's sources, such as `net.queues[2]`.
    #[must_use]
    pub fn handles(&self, name: &str) -> Vec<(u32, String)> {
        // Only a unit that speaks of the structure has a pointer to it.
        let hash = index::hash(name);
        let first = self.words.partition_point(|(word, _)| *word < hash);
        let units: BTreeSet<u32> =
            self.words[first..].iter().take_while(|(word, _)| *word == hash).map(|(_, unit)| *unit).collect();
        let unit_of = |id: usize| u32::try_from(self.debug.number_of(id)?).ok();
        let mut search = Search { types: self, name, found: Vec::new(), steps: MAX_STEPS };
        for held in &self.statics {
            if let (Some(address), Some(kind)) = (held.address, held.kind)
                && unit_of(kind).is_some_and(|unit| units.contains(&unit))
            {
                search.within(address, kind, &held.name, 0);
            }
        }
        let mut found = search.found;
        found.sort();
        found.dedup_by_key(|(address, _)| *address);
        found
    }
}

/// A search through what statics are made of.
struct Search<'a, 'b> {
    types: &'a Types,
    name: &'b str,
    found: Vec<(u32, String)>,
    steps: usize,
}

impl Search<'_, '_> {
    fn within(&mut self, address: u32, kind: usize, path: &str, depth: usize) {
        let Some(steps) = self.steps.checked_sub(1) else { return };
        self.steps = steps;
        if depth > MAX_FIELDS || self.found.len() >= MAX_HANDLES {
            return;
        }
        let types = self.types;
        match types.shape(types.resolved(kind)) {
            Some(Shape::Pointer { to: Some(to), .. }) if types.held(*to).is_some_and(|held| held.name == self.name) => {
                self.found.push((address, path.to_owned()));
            }
            Some(Shape::Struct(held)) => {
                for member in &held.members {
                    let path = if member.name.is_empty() { path.to_owned() } else { format!("{path}.{}", member.name) };
                    self.within(address.saturating_add(member.offset), member.kind, &path, depth + 1);
                }
            }
            Some(Shape::Array { of: Some(of), counts }) => {
                let of = *of;
                // Plain elements, of which most arrays are made, hold nothing.
                let holds =
                    !matches!(types.shape(types.resolved(of)), Some(Shape::Base { .. } | Shape::Enumeration { .. }));
                let count = super::product(counts).unwrap_or(0).min(MAX_ELEMENTS);
                if let Some(stride) = types.size(of, 0).filter(|_| holds) {
                    for index in 0..count {
                        let at = address.saturating_add(index.saturating_mul(stride));
                        self.within(at, of, &format!("{path}[{index}]"), depth + 1);
                    }
                }
            }
            _ => {}
        }
    }
}
