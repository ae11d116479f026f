//! The report's numbers in Prometheus's text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! What is not known has no sample: a dashboard shows a gap and not a zero.

use std::fmt::Write;

use crate::report::{HeapReport, Report, StackReport};
use crate::sizing::Basis;

/// The `Content-Type` of this format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of number a family holds.
#[derive(Clone, Copy)]
enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only goes up, until the target is reset.
    Counter,
}

/// One family of samples.
struct Family<'a, T> {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&'a T) -> Option<f64>,
}

const fn gauge<'a, T>(name: &'static str, help: &'static str, value: fn(&'a T) -> Option<f64>) -> Family<'a, T> {
    Family { name, kind: Kind::Gauge, help, value }
}

const fn counter<'a, T>(name: &'static str, help: &'static str, value: fn(&'a T) -> Option<f64>) -> Family<'a, T> {
    Family { name, kind: Kind::Counter, help, value }
}

/// The report as text, ended by a line break.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, report);
    out
}

fn write_all(out: &mut String, report: &Report) -> std::fmt::Result {
    let target = &report.target;
    head(out, "highwater_target_info", Kind::Gauge, "What is looked at: always 1.")?;
    let known = |text: &Option<String>| text.clone().unwrap_or_default();
    let labels = [
        ("elf", target.elf.clone()),
        ("build_id", known(&target.build_id)),
        ("chip", known(&target.chip)),
        ("core", known(&target.core)),
        ("kernel", known(&target.kernel)),
        ("source", target.source.clone()),
    ];
    sample(out, "highwater_target_info", &labels, 1.0)?;
    family(out, std::slice::from_ref(report), &report_families(), |_| Vec::new())?;
    family(out, &report.stacks, &stack_families(), |stack| {
        vec![("stack", stack.name.clone()), ("kind", stack.kind.to_owned()), ("id", stack.id.clone())]
    })?;
    family(out, &report.heaps, &heap_families(), |heap| vec![("heap", heap.name.clone()), ("id", heap.id.clone())])?;
    let memories: Vec<_> = report.regions.iter().filter(|region| region.kind == "memory").collect();
    family(
        out,
        &memories,
        &[gauge("highwater_memory_size_bytes", "Bytes of a memory.", |memory| Some(memory.size as f64))],
        |memory| vec![("memory", memory.name.clone())],
    )?;
    let unclaimed: Vec<_> = memories
        .iter()
        .map(|memory| {
            let inside = report.regions.iter().filter(|region| region.parent.as_ref() == Some(&memory.id));
            (&memory.name, inside.filter(|region| region.kind == "unclaimed").map(|region| region.size).sum::<u64>())
        })
        .collect();
    family(
        out,
        &unclaimed,
        &[gauge("highwater_memory_unclaimed_bytes", "Bytes of a memory that nobody claims.", |(_, bytes)| {
            Some(*bytes as f64)
        })],
        |(name, _)| vec![("memory", (*name).clone())],
    )?;
    head(out, "highwater_alert", Kind::Gauge, "1 for each alert that holds now.")?;
    let mut told: Vec<_> =
        report.alerts.iter().map(|alert| (alert.kind, alert.severity, &alert.subject, &alert.id)).collect();
    // Two samples of the same labels would be an error.
    told.sort_unstable();
    told.dedup();
    for (kind, severity, subject, id) in told {
        let mut labels =
            vec![("kind", kind.to_owned()), ("severity", severity.to_owned()), ("subject", subject.clone())];
        labels.extend(id.iter().map(|id| ("id", id.clone())));
        sample(out, "highwater_alert", &labels, 1.0)?;
    }
    Ok(())
}

fn report_families<'a>() -> [Family<'a, Report>; 8] {
    [
        gauge("highwater_up", "1 while the target is read, 0 while it does not answer.", |report| {
            Some(f64::from(u8::from(matches!(report.state, "live" | "saved"))))
        }),
        gauge("highwater_attached_seconds", "Time since the attach.", |report| Some(report.at_s)),
        counter("highwater_resets_total", "Resets of the target since the attach.", |report| Some(report.epoch.into())),
        gauge("highwater_refreshes_per_second", "Refreshes a second, over the last one.", |report| {
            Some(report.link.refresh_hz)
        }),
        gauge("highwater_refresh_bytes", "Bytes of the last refresh.", |report| {
            Some(report.link.bytes_per_refresh.into())
        }),
        gauge("highwater_refresh_gaps", "Ranges that could not be read in the last refresh.", |report| {
            Some(report.link.gaps.into())
        }),
        counter("highwater_core_halts_total", "Times the core was stopped since the attach.", |report| {
            report.link.halts.map(f64::from)
        }),
        counter(
            "highwater_memory_writes_total",
            "Words of memory and registers written in the target since the attach.",
            |report| report.link.writes.map(f64::from),
        ),
    ]
}

fn stack_families<'a>() -> [Family<'a, StackReport>; 10] {
    [
        gauge("highwater_stack_size_bytes", "Bytes of a stack.", |stack| Some(stack.size as f64)),
        gauge("highwater_stack_used_bytes", "Bytes in use, or at the last switch out.", |stack| {
            stack.current.map(f64::from)
        }),
        gauge("highwater_stack_peak_bytes", "Bytes down to the deepest word ever written.", |stack| {
            stack.peak.map(f64::from)
        }),
        gauge("highwater_stack_peak_exact", "1 when the peak is exact, 0 when it is a lower bound.", |stack| {
            stack.peak.map(|_| f64::from(u8::from(stack.trust == "exact")))
        }),
        gauge("highwater_stack_margin_bytes", "Bytes never used.", |stack| stack.margin.map(f64::from)),
        gauge("highwater_stack_worst_case_bytes", "Static worst case, where it is a bound.", |stack| {
            stack.worst_case.filter(|_| stack.worst_case_trust == Some("estimated")).map(f64::from)
        }),
        gauge("highwater_stack_suggested_bytes", "The size to choose.", |stack| stack.suggested.map(f64::from)),
        gauge("highwater_stack_suggested_floor", "1 when the size to choose is a floor: it may need more.", |stack| {
            let basis = stack.suggested_trust.and_then(Basis::named)?;
            Some(f64::from(u8::from(basis.is_floor())))
        }),
        gauge("highwater_stack_overflowed", "1 when the guard at its limit is broken, 0 when it is whole.", |stack| {
            (stack.overflowed || stack.limit_whole).then(|| f64::from(u8::from(stack.overflowed)))
        }),
        gauge("highwater_thread_cpu_ratio", "The share of the time in which the thread ran lately.", |stack| {
            stack.cpu_percent.map(|percent| f64::from(percent) / 100.0)
        }),
    ]
}

fn heap_families<'a>() -> [Family<'a, HeapReport>; 10] {
    [
        gauge("highwater_heap_size_bytes", "Bytes of a heap.", |heap| Some(heap.size as f64)),
        gauge("highwater_heap_used_bytes", "Bytes in use.", |heap| heap.used.map(f64::from)),
        gauge("highwater_heap_peak_bytes", "The most bytes ever in use.", |heap| heap.peak.map(f64::from)),
        gauge("highwater_heap_peak_exact", "1 when the peak is exact, 0 when it is a lower bound or older.", |heap| {
            heap.peak.map(|_| f64::from(u8::from(heap.peak_trust == Some("exact"))))
        }),
        gauge("highwater_heap_free_bytes", "Bytes not in use.", |heap| heap.free.map(f64::from)),
        gauge("highwater_heap_largest_free_bytes", "The largest free block.", |heap| heap.largest_free.map(f64::from)),
        gauge("highwater_heap_fragmentation_ratio", "1 - largest free / free.", |heap| heap.fragmentation),
        gauge("highwater_heap_blocks", "Blocks in use.", |heap| heap.blocks.map(f64::from)),
        counter("highwater_heap_failures_total", "Allocations that failed.", |heap| heap.failures.map(f64::from)),
        gauge(
            "highwater_heap_damaged",
            "1 when its structures make no sense, 0 when they were walked and do.",
            |heap| heap.allocator.map(|_| f64::from(u8::from(heap.damage.is_some()))),
        ),
    ]
}

/// Writes families with a sample for each thing whose number is known.
fn family<'a, T>(
    out: &mut String,
    things: &'a [T],
    families: &[Family<'a, T>],
    labels: impl Fn(&T) -> Vec<(&'static str, String)>,
) -> std::fmt::Result {
    for family in families {
        head(out, family.name, family.kind, family.help)?;
        for thing in things {
            if let Some(value) = (family.value)(thing) {
                sample(out, family.name, &labels(thing), value)?;
            }
        }
    }
    Ok(())
}

fn head(out: &mut String, name: &str, kind: Kind, help: &str) -> std::fmt::Result {
    let kind = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
    };
    writeln!(out, "# HELP {name} {help}")?;
    writeln!(out, "# TYPE {name} {kind}")
}

fn sample(out: &mut String, name: &str, labels: &[(&str, String)], value: f64) -> std::fmt::Result {
    out.push_str(name);
    for (index, (label, text)) in labels.iter().enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        // A label's value escapes backslash, quote and line feed, and nothing else.
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(out, "{before}{label}=\"{text}\"")?;
    }
    if !labels.is_empty() {
        out.push('}');
    }
    writeln!(out, " {value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::model::heap::Heap;
    use crate::model::snapshot::{Damage, Health, Measured, Snapshot, Stack, Trust};
    use crate::model::testing::{live, stack};
    use crate::region::Region;
    use crate::sampler::observation::{Facts, Observation};

    fn export(stacks: Vec<Stack>, heaps: Vec<Heap>) -> String {
        let mut model = Model::new(Snapshot { health: Health::Static, ..live(0) });
        let snapshot = Snapshot { stacks, heaps, ..live(3) };
        model.ingest(Observation { snapshot, facts: Facts::default() });
        text(&Report::new(&model))
    }

    #[test]
    fn what_is_known_has_a_sample_and_what_is_not_has_none() {
        let at_least = Stack { peak: Some(Measured { bytes: 40, trust: Trust::AtLeast }), ..stack("b", 0) };
        let bare = Stack { peak: None, limit_whole: false, ..stack("c", 0) };
        let broken = Stack { overflowed: true, limit_whole: false, ..stack("d", 1000) };
        let place = Region::new(0x2000_0000, 64);
        let peak = Some(Measured { bytes: 32, trust: Trust::AtLeast });
        let damage = Some(Damage { address: 0x2000_1010, what: "a block of 3 B".into(), suspect: None });
        let walked = |start, damage| Heap {
            allocator: Some("heap_4"),
            peak,
            damage,
            ..Heap::unknown("walked", Region::new(start, 64))
        };
        let heaps = vec![Heap::unknown("heap", place), walked(0x2000_0040, None), walked(0x2000_1000, damage)];
        let out = export(vec![stack("a", 800), at_least, bare, broken], heaps);
        for line in [
            "# TYPE highwater_stack_peak_bytes gauge",
            r#"highwater_stack_peak_bytes{stack="a",kind="user",id="a"} 800"#,
            r#"highwater_stack_peak_exact{stack="a",kind="user",id="a"} 1"#,
            r#"highwater_stack_peak_exact{stack="b",kind="user",id="b"} 0"#,
            r#"highwater_stack_suggested_floor{stack="a",kind="user",id="a"} 0"#,
            r#"highwater_stack_suggested_floor{stack="b",kind="user",id="b"} 1"#,
            r#"highwater_stack_overflowed{stack="a",kind="user",id="a"} 0"#,
            r#"highwater_stack_overflowed{stack="d",kind="user",id="d"} 1"#,
            r#"highwater_heap_size_bytes{heap="heap",id="20000000"} 64"#,
            r#"highwater_heap_peak_exact{heap="walked",id="20000040"} 0"#,
            r#"highwater_heap_damaged{heap="walked",id="20000040"} 0"#,
            r#"highwater_heap_damaged{heap="walked",id="20001000"} 1"#,
            "highwater_up 1",
            "# TYPE highwater_resets_total counter",
        ] {
            assert!(out.lines().any(|told| told == line), "no `{line}` in\n{out}");
        }
        for unknown in [
            "highwater_heap_used_bytes{",
            "highwater_thread_cpu_ratio{",
            // Nothing tells whether it overflowed, and nobody looked whether it is damaged.
            r#"highwater_stack_overflowed{stack="c""#,
            r#"highwater_heap_damaged{heap="heap""#,
        ] {
            assert!(!out.contains(unknown), "`{unknown}` in\n{out}");
        }
        assert!(out.ends_with('\n'));
    }

    #[test]
    fn names_from_outside_stay_within_their_quotes() {
        let out = export(vec![stack("a\"} 1\nb\\", 1)], Vec::new());
        assert!(out.contains(r#"stack="a\"} 1\nb\\""#), "{out}");
        assert!(out.lines().all(|line| line.starts_with("# ") || line.starts_with("highwater_")), "{out}");
    }

    #[test]
    fn no_series_is_told_twice() {
        let full = |start| {
            let peak = Some(Measured { bytes: 64, trust: Trust::Exact });
            Heap { peak, ..Heap::unknown("sys_heap", Region::new(start, 64)) }
        };
        let out = export(vec![stack("a", 999), stack("a", 999)], vec![full(0x2000_0000), full(0x2000_1000)]);
        let alerts: Vec<&str> = out.lines().filter(|line| line.starts_with("highwater_alert{")).collect();
        let mut once = alerts.clone();
        once.dedup();
        assert_eq!(alerts, once);
        // Of two heaps with one name, each has its own.
        for id in ["20000000", "20001000"] {
            let of_this = |line: &&str| line.contains(&format!("subject=\"sys_heap\",id=\"{id}\""));
            assert_eq!(alerts.iter().filter(|line| of_this(line)).count(), 1, "{id}: {out}");
        }
    }
}
