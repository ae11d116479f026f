//! What changed between two builds: by memory, section, module and name; moved and renamed told from grown.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::listing::{Listing, Row};
use super::owner::last_part;

/// The schema's name and version.
pub const SCHEMA: &str = "highwater/diff@1";

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// File name of the older ELF.
    pub old: String,
    /// File name of the newer ELF.
    pub new: String,
    /// By memory: bytes that are not free. All memories, changed or not.
    pub memories: Vec<Change>,
    /// By section, those that changed.
    pub sections: Vec<Change>,
    /// By crate, library member or file, those that changed.
    pub modules: Vec<Change>,
    /// By function and static, those that changed, the largest change first.
    pub names: Vec<Change>,
    /// Functions and statics that are where they were not, with the same size. They take no more than before.
    pub moved: usize,
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What a person calls it.
    pub name: String,
    /// The name it had, when it was renamed.
    pub was: Option<String>,
    /// The memory and section, for functions and statics: `Flash .text`.
    pub place: Option<String>,
    /// Bytes in the older build; `null` when it was not there.
    pub old: Option<u64>,
    /// Bytes in the newer build; `null` when it is gone.
    pub new: Option<u64>,
}

impl Change {
    /// Bytes more than before.
    #[must_use]
    pub fn growth(&self) -> i64 {
        let bytes = |size: Option<u64>| i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX);
        bytes(self.new).saturating_sub(bytes(self.old))
    }

    /// What happened, in a word: `added`, `removed`, `renamed`, `grown`, `shrunk`, `same`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.old, self.new) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(old), Some(new)) if new > old => "grown",
            (Some(old), Some(new)) if new < old => "shrunk",
            _ if self.was.is_some() => "renamed",
            _ => "same",
        }
    }
}

/// Compares two builds.
#[must_use]
pub fn diff(old: &Listing, new: &Listing) -> Diff {
    let memories = pair(&sums(old, memory_of), &sums(new, memory_of));
    let sections = pair(&sums(old, section_of), &sums(new, section_of));
    let modules = pair(&sums(old, module_of), &sums(new, module_of));
    let (names, moved) = names(old, new);
    Diff {
        schema: SCHEMA,
        old: old.elf.clone(),
        new: new.elf.clone(),
        memories: memories.into_iter().map(|(key, sizes)| change(key, None, sizes)).collect(),
        sections: changed(sections, |key| key),
        modules: changed(modules, |key| key),
        names,
        moved,
    }
}

fn memory_of(row: &Row) -> Option<String> {
    (!row.is_room()).then(|| row.memory.clone())
}

fn section_of(row: &Row) -> Option<String> {
    let section = row.section.as_ref()?;
    Some(if row.stored_copy {
        format!("{} {section} (stored values)", row.memory)
    } else {
        format!("{} {section}", row.memory)
    })
}

fn module_of(row: &Row) -> Option<String> {
    row.module_kind.as_ref()?;
    Some(format!("{} {}", row.memory, row.module.as_deref().unwrap_or("(unknown)")))
}

/// A number for both builds.
type Sizes = (Option<u64>, Option<u64>);

fn sums(listing: &Listing, key: impl Fn(&Row) -> Option<String>) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for row in &listing.rows {
        if let Some(key) = key(row) {
            *sums.entry(key).or_insert(0) += row.size;
        }
    }
    sums
}

fn pair<K: Ord + Clone>(old: &BTreeMap<K, u64>, new: &BTreeMap<K, u64>) -> BTreeMap<K, Sizes> {
    let mut pairs: BTreeMap<K, Sizes> = old.iter().map(|(key, size)| (key.clone(), (Some(*size), None))).collect();
    for (key, size) in new {
        pairs.entry(key.clone()).or_default().1 = Some(*size);
    }
    pairs
}

fn change(name: String, place: Option<String>, (old, new): Sizes) -> Change {
    Change { name, was: None, place, old, new }
}

fn changed(pairs: BTreeMap<String, Sizes>, name: impl Fn(String) -> String) -> Vec<Change> {
    let pairs = pairs.into_iter().filter(|(_, (old, new))| old != new);
    let mut changes: Vec<Change> = pairs.map(|(key, sizes)| change(name(key), None, sizes)).collect();
    largest_first(&mut changes);
    changes
}

fn largest_first(changes: &mut [Change]) {
    changes.sort_by(|one, other| {
        (other.growth().unsigned_abs(), &one.place, &one.name).cmp(&(
            one.growth().unsigned_abs(),
            &other.place,
            &other.name,
        ))
    });
}

/// Where a function or static is, and its name. Crates that were built twice give two of one name: they are one row.
type Key = (String, String);

fn key(row: &Row) -> Option<Key> {
    row.module_kind.as_ref()?;
    let section = row.section.as_deref().unwrap_or("");
    Some((format!("{} {section}", row.memory), row.name.clone()))
}

/// Functions and statics that changed, and how many only moved.
fn names(old: &Listing, new: &Listing) -> (Vec<Change>, usize) {
    let by_key = |listing: &Listing| {
        let mut sizes: BTreeMap<Key, u64> = BTreeMap::new();
        let mut rows: HashMap<Key, Row> = HashMap::new();
        for row in &listing.rows {
            if let Some(key) = key(row) {
                *sizes.entry(key.clone()).or_insert(0) += row.size;
                rows.entry(key).or_insert_with(|| row.clone());
            }
        }
        (sizes, rows)
    };
    let ((old_sizes, old_rows), (new_sizes, new_rows)) = (by_key(old), by_key(new));
    let pairs = pair(&old_sizes, &new_sizes);
    let moved = pairs
        .iter()
        .filter(|(key, (old, new))| {
            let start = |rows: &HashMap<Key, Row>| rows.get(*key).map(|row| row.start);
            old == new && start(&old_rows) != start(&new_rows)
        })
        .count();
    let mut renamed = renames(&pairs, &old_rows, &new_rows);
    let mut changes = Vec::new();
    for (key, sizes) in &pairs {
        let was = renamed.new.remove(key);
        if sizes.0 == sizes.1 || renamed.old.contains(key) {
            continue;
        }
        let (place, name) = key.clone();
        let old = if was.is_some() { sizes.1 } else { sizes.0 };
        changes.push(Change { was: was.map(|(_, name)| name), ..change(name, Some(place), (old, sizes.1)) });
    }
    largest_first(&mut changes);
    (changes, moved)
}

/// Which new names are old things.
#[derive(Default)]
struct Renames {
    /// From the new key to the old one.
    new: HashMap<Key, Key>,
    /// The old keys that are accounted for.
    old: std::collections::HashSet<Key>,
}

/// What two rows must share to be one thing under two names: place, size, and a mark.
type Likeness = (String, u64, String);
/// What is gone and what is new.
type Sides = (Vec<Key>, Vec<Key>);

/// Pairs what is gone with what is new: in the same place, of the same size, with the same bytes or the same last name,
/// and with no other candidate on either side.
fn renames(pairs: &BTreeMap<Key, Sizes>, old_rows: &HashMap<Key, Row>, new_rows: &HashMap<Key, Row>) -> Renames {
    let mut found = Renames::default();
    let marks: [fn(&Row) -> Option<String>; 2] =
        [|row| row.content.clone(), |row| Some(last_part(&row.name).to_owned())];
    for mark in marks {
        let gone = pairs.iter().filter(|(key, (_, new))| new.is_none() && !found.old.contains(*key));
        let added = pairs.iter().filter(|(key, (old, _))| old.is_none() && !found.new.contains_key(*key));
        let mut candidates: HashMap<Likeness, Sides> = HashMap::new();
        for (key, _) in gone {
            if let Some((row, mark)) = old_rows.get(key).and_then(|row| Some((row, mark(row)?))) {
                candidates.entry((key.0.clone(), row.size, mark)).or_default().0.push(key.clone());
            }
        }
        for (key, _) in added {
            if let Some((row, mark)) = new_rows.get(key).and_then(|row| Some((row, mark(row)?))) {
                candidates.entry((key.0.clone(), row.size, mark)).or_default().1.push(key.clone());
            }
        }
        for (old, new) in candidates.into_values() {
            if let ([old], [new]) = (old.as_slice(), new.as_slice()) {
                found.old.insert(old.clone());
                found.new.insert(new.clone(), old.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::listing::{self, ListedMemory};
    use super::*;

    /// `name size start content`
    fn listing(rows: &[(&str, u64, u64, &str)]) -> Listing {
        Listing {
            schema: listing::SCHEMA.into(),
            elf: "a.elf".into(),
            memories: vec![ListedMemory {
                name: "Flash".into(),
                kind: "flash".into(),
                start: 0,
                size: 0x1000,
                used: 0,
            }],
            sections: Vec::new(),
            rows: rows
                .iter()
                .map(|(name, size, start, content)| Row {
                    memory: "Flash".into(),
                    section: Some(".text".into()),
                    kind: "function".into(),
                    name: (*name).into(),
                    module: Some("app".into()),
                    module_kind: Some("crate".into()),
                    start: *start,
                    size: *size,
                    stored_copy: false,
                    content: Some((*content).into()),
                })
                .collect(),
        }
    }

    #[test]
    fn grown_moved_and_renamed_are_told_apart() {
        let old = listing(&[
            ("a::same", 8, 0, "1"),
            ("a::grows", 8, 8, "2"),
            ("a::moves", 8, 16, "3"),
            ("a::old_name", 24, 24, "4"),
            ("a::goes_elsewhere", 40, 48, "5"),
            ("a::goes", 12, 96, "6"),
        ]);
        let new = listing(&[
            ("a::same", 8, 0, "1"),
            ("a::grows", 20, 8, "2b"),
            ("a::moves", 8, 200, "3"),
            ("a::new_name", 24, 24, "4"),
            ("b::goes_elsewhere", 40, 48, "5b"),
            ("a::comes", 12, 96, "7"),
        ]);
        let diff = diff(&old, &new);
        let told: Vec<(String, &str, i64)> = diff
            .names
            .iter()
            .map(|change| {
                let was = change.was.as_ref().map(|was| format!(" was {was}")).unwrap_or_default();
                (format!("{}{was}", change.name), change.word(), change.growth())
            })
            .collect();
        let expected = [
            ("a::comes", "added", 12),
            ("a::goes", "removed", -12),
            ("a::grows", "grown", 12),
            ("a::new_name was a::old_name", "renamed", 0),
            ("b::goes_elsewhere was a::goes_elsewhere", "renamed", 0),
        ];
        let expected: Vec<(String, &str, i64)> =
            expected.iter().map(|(name, word, growth)| ((*name).to_owned(), *word, *growth)).collect();
        assert_eq!(told, expected);
        assert_eq!(diff.moved, 1);
        assert_eq!(diff.memories[0].growth(), 12);
        assert_eq!(diff.sections[0].growth(), 12);
        assert_eq!(diff.modules[0].growth(), 12);
    }

    #[test]
    fn nothing_changed_between_a_build_and_itself() {
        let same = listing(&[("a", 8, 0, "1"), ("a", 8, 8, "1"), ("b", 8, 16, "1")]);
        let diff = diff(&same, &same);
        assert!(diff.sections.is_empty() && diff.modules.is_empty() && diff.names.is_empty(), "{diff:?}");
        assert_eq!(diff.moved, 0);
    }
}
