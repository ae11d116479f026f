//! A saved report as rows: `highwater diff` takes what `layout`, `snapshot` or `check` wrote too. A report knows regions and no
//! symbols, so it is compared with what a report of the other build would say.

use std::collections::HashMap;

use serde::Deserialize;

use super::listing::{FREE, ListedMemory, ListedSection, Listing, ROOM, Row, SCHEMA};

/// The schema of the reports that are understood.
pub const REPORT: &str = "highwater/report@1";

/// What is read of a report.
#[derive(Debug, Deserialize)]
pub struct Saved {
    schema: String,
    target: Target,
    regions: Vec<Region>,
}

#[derive(Debug, Deserialize)]
struct Target {
    elf: String,
}

#[derive(Debug, Deserialize)]
struct Region {
    id: String,
    parent: Option<String>,
    memory: String,
    kind: String,
    name: String,
    start: u64,
    size: u64,
    #[serde(default)]
    room: bool,
}

impl Saved {
    /// Whether it is of a version that is understood.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.schema == REPORT
    }

    /// Its regions as rows, one for each part of a memory: what lies in a heap changes while the firmware runs, and is no
    /// difference between builds.
    #[must_use]
    pub fn listing(&self) -> Listing {
        let memories: HashMap<&str, &Region> =
            self.regions.iter().filter(|region| region.parent.is_none()).map(|region| (&*region.id, region)).collect();
        let parts = self.regions.iter().filter_map(|part| Some((*memories.get(part.parent.as_deref()?)?, part)));
        let rows: Vec<Row> = parts.map(|(memory, part)| row(memory, part)).collect();
        let taken = |memory: &Region| {
            let own = rows.iter().filter(|row| row.memory == memory.name && !row.is_room());
            own.fold(0u64, |sum, row| sum.saturating_add(row.size))
        };
        let of = |memory: &&Region| ListedMemory {
            name: memory.name.clone(),
            kind: memory.memory.clone(),
            start: memory.start,
            size: memory.size,
            used: taken(memory),
        };
        Listing {
            schema: SCHEMA.into(),
            elf: self.target.elf.clone(),
            memories: memories.values().map(of).collect(),
            sections: rows.iter().map(|row| ListedSection { name: row.name.clone(), size: row.size }).collect(),
            rows,
        }
    }
}

fn row(memory: &Region, part: &Region) -> Row {
    let is_free = matches!(part.kind.as_str(), "unclaimed" | "free");
    Row {
        memory: memory.name.clone(),
        section: (!is_free).then(|| part.name.clone()),
        kind: match (is_free, part.room) {
            (true, _) => FREE.into(),
            (_, true) => ROOM.into(),
            _ => part.kind.clone(),
        },
        name: part.name.clone(),
        module: None,
        module_kind: None,
        start: part.start,
        size: part.size,
        stored_copy: false,
        content: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_memory_are_rows_and_what_lies_in_them_is_not() {
        let report = r#"{"schema": "highwater/report@1", "target": {"elf": "a\u001b.elf"}, "more": 1, "regions": [
            {"id": "ram", "parent": null, "memory": "ram", "kind": "memory", "name": "RAM", "start": 0, "size": 100},
            {"id": "h", "parent": "ram", "memory": "ram", "kind": "heap", "name": "heap", "start": 0, "size": 60},
            {"id": "b", "parent": "h", "memory": "ram", "kind": "block", "name": "block", "start": 0, "size": 10},
            {"id": "u", "parent": "ram", "memory": "ram", "kind": "unclaimed", "name": "free", "start": 60, "size": 30},
            {"id": "s", "parent": "ram", "memory": "ram", "kind": "stack", "name": "main", "start": 90, "size": 10, "room": true},
            {"id": "x", "parent": "nobody", "memory": "ram", "kind": "bss", "name": "x", "start": 0, "size": 1}]}"#;
        let saved: Saved = serde_json::from_str(report).expect("it is a report");
        assert!(saved.is_known());
        let listing = saved.listing();
        let rows: Vec<_> = listing.rows.iter().map(|row| (row.name.as_str(), row.kind.as_str(), row.size)).collect();
        assert_eq!(rows, [("heap", "heap", 60), ("free", "free", 30), ("main", "room", 10)]);
        assert_eq!((listing.memories.len(), listing.memories[0].used), (1, 60));
    }
}
