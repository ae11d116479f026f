//! The worst ever seen of each stack and heap, kept in a file beside the sources: it goes up when somebody says so, and
//! never by itself.
//!
//! ```toml
//! [stack.growth]
//! peak = 1768
//! build = "387a902d4f20091c"
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::worth::Worth;
use super::{Check, Sense, Unit, Verdict, Watch};
use crate::units;

/// What stands in front of the figures.
const HEAD: &str =
    "# The worst ever seen of each stack and heap, in bytes, and the build that did it. `highwater check --ledger`
# fails on more, and `--update-ledger` raises it.

";

/// The figures of one project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// Stacks by name; threads of one name are one.
    stack: BTreeMap<String, Entry>,
    /// Heaps by name; those of one name are one.
    heap: BTreeMap<String, Entry>,
}

/// The worst of one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The most bytes ever in use.
    peak: u32,
    /// The build that did it, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<String>,
}

/// What an update changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raised {
    /// Stacks and heaps that were not in it.
    pub new: usize,
    /// Those that went up.
    pub higher: usize,
}

impl Ledger {
    /// Reads what [`Ledger::text`] wrote, or a person changed.
    ///
    /// # Errors
    ///
    /// It is no TOML, or has other keys or values; in words that name the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
    }

    /// The file's content: the same figures are the same bytes, one figure a line.
    ///
    /// # Errors
    ///
    /// It cannot be written as TOML, which no name makes it.
    pub fn text(&self) -> Result<String, String> {
        let figures = toml::to_string(self).map_err(|error| error.to_string())?;
        Ok(format!("{HEAD}{figures}"))
    }

    /// Takes what is worse than it was, and what is new, as `build` did it.
    pub fn raise(&mut self, watch: &Watch, build: Option<&str>) -> Raised {
        let mut raised = Raised::default();
        for (kind, name, peak, _) in figures(watch) {
            let entries = if kind == "stack" { &mut self.stack } else { &mut self.heap };
            let entry = Entry { peak, build: build.map(str::to_owned) };
            match entries.get(&name) {
                Some(old) if old.peak >= peak => continue,
                Some(_) => raised.higher += 1,
                None => raised.new += 1,
            }
            entries.insert(name, entry);
        }
        raised
    }

    /// Each figure of the run against the worst ever.
    #[must_use]
    pub fn checks(&self, watch: &Watch) -> Vec<Check> {
        figures(watch)
            .into_iter()
            .map(|(kind, name, peak, worth)| {
                let check = Check::new(kind, &name, "worst ever", Sense::AtMost, Unit::Bytes);
                let entries = if kind == "stack" { &self.stack } else { &self.heap };
                let Some(entry) = entries.get(&name) else {
                    return check.judge(None, "not in the ledger: --update-ledger takes it in");
                };
                let check = check.limit(entry.peak.into(), units::bytes(entry.peak.into()));
                let check = check.weigh(Some(peak.into()), worth, "");
                match (&entry.build, check.verdict) {
                    (Some(build), Verdict::Failed) => {
                        check.noting(format!("it was build {}'s", units::printable(build, 64)))
                    }
                    _ => check,
                }
            })
            .collect()
    }
}

/// The worst of each name in the run: kind, name, bytes, and what they say of the true worst.
fn figures(watch: &Watch) -> Vec<(&'static str, String, u32, Worth)> {
    let mut worst: BTreeMap<(&'static str, &str), (u32, Worth)> = BTreeMap::new();
    let stacks = watch.stacks.iter().map(|((name, _), seen)| ("stack", name.as_str(), seen.deepest));
    let heaps = watch.heaps.iter().map(|((name, _), seen)| ("heap", name.as_str(), seen.peak));
    for (kind, name, seen) in stacks.chain(heaps) {
        let Some(bytes) = seen.bytes() else { continue };
        let (most, worth) = worst.entry((kind, name)).or_insert((bytes, seen.worth()));
        *most = bytes.max(*most);
        if *worth == Worth::Exact {
            *worth = seen.worth();
        }
    }
    // Stacks come first, as in the file.
    let mut figures: Vec<_> =
        worst.into_iter().map(|((kind, name), (peak, worth))| (kind, name.to_owned(), peak, worth)).collect();
    figures.sort_by_key(|(kind, ..)| *kind == "heap");
    figures
}

#[cfg(test)]
mod tests {
    use super::super::watch::{HeapSeen, StackSeen, Worst};
    use super::*;
    use crate::model::snapshot::Trust;

    fn watch(stacks: &[(&str, u32, Option<u32>)], heap: Option<u32>) -> Watch {
        let mut watch = Watch::default();
        for (name, start, deepest) in stacks {
            let seen = StackSeen { size: 4096, deepest: Worst::known(*deepest, Trust::Exact), ..StackSeen::default() };
            watch.stacks.insert(((*name).to_owned(), *start), seen);
        }
        watch
            .heaps
            .insert(("heap".into(), 0), HeapSeen { peak: Worst::known(heap, Trust::Exact), ..HeapSeen::default() });
        watch
    }

    fn verdicts(ledger: &Ledger, watch: &Watch) -> Vec<(String, Verdict)> {
        ledger.checks(watch).into_iter().map(|check| (check.name, check.verdict)).collect()
    }

    #[test]
    fn it_goes_up_when_told_to_and_never_down() {
        let first = watch(
            &[("main", 0, Some(400)), ("worker", 1, Some(100)), ("worker", 2, Some(120)), ("odd", 3, None)],
            Some(9),
        );
        let mut ledger = Ledger::default();
        assert!(verdicts(&ledger, &first).iter().all(|(_, verdict)| *verdict == Verdict::Unknown));
        assert_eq!(ledger.raise(&first, Some("aa")), Raised { new: 3, higher: 0 });
        assert!(verdicts(&ledger, &first).iter().all(|(_, verdict)| *verdict == Verdict::Passed));
        let text = ledger.text().expect("it can be written");
        assert_eq!(Ledger::parse(&text), Ok(ledger.clone()), "{text}");
        assert!(text.contains("[stack.worker]\npeak = 120\nbuild = \"aa\"\n"), "{text}");
        // Less changes nothing, not even whose it was.
        let less = watch(&[("main", 0, Some(300)), ("worker", 1, Some(120))], Some(8));
        assert_eq!(ledger.raise(&less, Some("bb")), Raised::default());
        assert_eq!(ledger.text(), Ok(text));
        let more = watch(&[("main", 0, Some(401))], Some(9));
        let checks = ledger.checks(&more);
        let failed: Vec<&Check> = checks.iter().filter(|check| check.is_failure()).collect();
        assert_eq!((failed.len(), failed[0].name.as_str(), failed[0].excess()), (1, "main", 1.0));
        assert_eq!(failed[0].note, "it was build aa's");
        assert_eq!(ledger.raise(&more, None), Raised { new: 0, higher: 1 });
    }

    #[test]
    fn any_name_is_written_so_that_it_is_read_again() {
        for name in ["a b", "\"]\n[x", "", "ünïcode", "a.b", "#"] {
            let mut ledger = Ledger::default();
            ledger.raise(&watch(&[(name, 0, Some(1))], None), None);
            let text = ledger.text().expect("it can be written");
            assert_eq!(Ledger::parse(&text), Ok(ledger), "{text}");
        }
        for broken in
            ["[stack.main]\npeak = -1", "[stacks.main]\npeak = 1", "peak", "[stack.main]\npeak = 1\nother = 2"]
        {
            assert!(Ledger::parse(broken).is_err(), "{broken}");
        }
    }
}
