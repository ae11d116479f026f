//! A task as rows to read from top to bottom: its awaits, the largest first, and what lives across each.

use super::{Await, Framework, Future, Task};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// How deep it lies: 0 for the task itself.
    pub depth: usize,
    /// `task`, `await`, `arguments`, `local`, `waits_for` or `more`.
    pub what: &'static str,
    /// What it is called.
    pub name: String,
    /// Its type; empty for what has none.
    pub kind: String,
    /// Where it was written; empty where that is not known.
    pub source: String,
    /// Bytes; of an await, of all that lives across it.
    pub size: u32,
}

impl Task {
    /// The task, and at most `top` awaits of each future and `top` locals of each await. A future that is waited for is told
    /// by its largest await.
    #[must_use]
    pub fn rows(&self, top: usize) -> Vec<Row> {
        let mut rows = vec![Row {
            depth: 0,
            what: "task",
            name: self.name.clone(),
            kind: self.words(),
            source: self.source().unwrap_or_default(),
            size: self.size,
        }];
        for future in &self.futures {
            self::future(&mut rows, future, 1, top, top);
        }
        rows
    }

    /// Who runs it, and how many there are of what size.
    #[must_use]
    pub fn words(&self) -> String {
        let framework = match self.framework {
            Framework::Embassy => "embassy",
            Framework::Rtic => "RTIC",
            Framework::Other => "static",
        };
        match self.instances {
            Some(count) if count > 1 => format!("{framework}, {count} of {} B each", self.size / count),
            Some(_) => framework.to_owned(),
            None => format!("{framework}, how many is not told"),
        }
    }
}

fn future(rows: &mut Vec<Row>, future: &Future, depth: usize, awaits: usize, top: usize) {
    for state in future.awaits.iter().take(awaits) {
        let (what, name) = match state.number {
            0 => ("arguments", "before its first poll".to_owned()),
            number => ("await", format!("await {number}")),
        };
        let source = state.source.clone().unwrap_or_default();
        rows.push(Row { depth, what, name, kind: String::new(), source, size: state.size });
        parts(rows, state, depth + 1, top);
    }
    let rest = future.awaits.get(awaits..).unwrap_or_default();
    // Of a future that is waited for only the largest await is told: the others are no part of the sum.
    if let Some(largest) = rest.first().filter(|_| awaits == top) {
        more(rows, depth, rest.len(), largest.size);
    }
}

fn parts(rows: &mut Vec<Row>, state: &Await, depth: usize, top: usize) {
    for part in state.parts.iter().take(top) {
        let (what, name) = match &part.name {
            Some(name) => ("local", name.clone()),
            None => ("waits_for", "waits for".to_owned()),
        };
        rows.push(Row { depth, what, name, kind: part.kind.clone(), source: String::new(), size: part.size });
        for inner in &part.futures {
            future(rows, inner, depth + 1, 1, top);
        }
    }
    let rest = state.parts.get(top..).unwrap_or_default();
    if let Some(largest) = rest.first() {
        more(rows, depth, rest.len(), largest.size);
    }
}

/// What is left out, by the largest of it: awaits share their bytes, and have no sum.
fn more(rows: &mut Vec<Row>, depth: usize, count: usize, largest: u32) {
    let name = format!("… and {count} more, the largest");
    rows.push(Row { depth, what: "more", name, kind: String::new(), source: String::new(), size: largest });
}
