//! Bytes, addresses, shares and durations as people read them.

use std::time::Duration;

/// An exact number of bytes: `440 B`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    format!("{bytes} B")
}

/// A size to compare at a glance: `192 B`, `1.0 K`, `48.9 K`, `2.0 M` (1024-based), at most six characters.
#[must_use]
pub fn short(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    // Sizes below 1000 stay exact: a stack of 768 B is known by that number.
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..MIB => format!("{:.1} K", bytes as f64 / KIB as f64),
        MIB.. => format!("{:.1} M", bytes as f64 / MIB as f64),
    }
}

/// A memory's size as data sheets write it: `64 KiB`, `1.5 MiB`, `520 B`.
#[must_use]
pub fn memory(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    let (unit, name) = match bytes {
        0..KIB => return format!("{bytes} B"),
        KIB..MIB => (KIB, "KiB"),
        MIB.. => (MIB, "MiB"),
    };
    if bytes.is_multiple_of(unit) {
        format!("{} {name}", bytes / unit)
    } else {
        format!("{:.1} {name}", bytes as f64 / unit as f64)
    }
}

/// An address in two halves: `2000_4cc8`.
#[must_use]
pub fn address(address: u64) -> String {
    if address > u64::from(u32::MAX) {
        return format!("{:x}_{:04x}_{:04x}", address >> 32, address >> 16 & 0xffff, address & 0xffff);
    }
    format!("{:04x}_{:04x}", address >> 16, address & 0xffff)
}

/// The share of `part` in `whole`, in whole percent, rounded so that danger is never hidden: 100 only when it is
/// full, 0 only when nothing is used. `None` when the whole is empty.
#[must_use]
pub fn percent(part: u64, whole: u64) -> Option<u8> {
    if whole == 0 {
        return None;
    }
    let share = (part.min(whole) as f64 / whole as f64 * 100.0).round() as u8;
    Some(if part == 0 {
        0
    } else if part >= whole {
        100
    } else {
        share.clamp(1, 99)
    })
}

/// A duration at a glance: `0.4 s`, `12 s`, `3 min`, `2.5 h`, `4.0 d`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.1} d", seconds / 86_400.0),
    }
}

/// How long ago something was, to the millisecond while that is of interest: `34 ms`, `1.2 s`.
#[must_use]
pub fn age(age: Duration) -> String {
    if age < Duration::from_secs(1) { format!("{} ms", age.as_millis()) } else { duration(age) }
}

/// A time since the attach as a clock: `00:12`, `2:05:09`, `3d 02:05:09`.
#[must_use]
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes, seconds) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes:02}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}d {hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// A length of time that was chosen: `10 s`, `2 min`, `6 h`, `10 d`.
#[must_use]
pub fn span(length: Duration) -> String {
    match length.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Text from a target or a file, made safe for a terminal: control characters become `?`, and it is cut at `limit`
/// characters with an ellipsis.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    // Nearly all names are, and a large ELF has a million.
    if text.len() <= limit && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let clean = |c: char| {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '?' } else { c }
    };
    let mut safe: String = text.chars().take(limit).map(clean).collect();
    if text.chars().nth(limit).is_some() {
        safe.pop();
        safe.push('…');
    }
    safe
}

/// The name that `text` is most likely meant to be: nearly the same letters.
#[must_use]
pub fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.75;
    let text = text.to_lowercase();
    let scored = names.map(|name| (strsim::jaro_winkler(&text, &name.to_lowercase()), name));
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// A name in which each path is its last part: `<u32 as Display>::fmt`.
#[must_use]
pub fn without_paths(name: &str) -> String {
    let mut short = String::new();
    let mut word = 0;
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let after_word = short.len() > word;
        if c == ':' && after_word && rest.peek() == Some(&':') {
            let mut ahead = rest.clone();
            ahead.next();
            if ahead.peek().is_some_and(|c| c.is_alphanumeric() || *c == '_') {
                short.truncate(word);
                rest = ahead;
                continue;
            }
        }
        short.push(c);
        if !c.is_alphanumeric() && c != '_' {
            word = short.len();
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0 B"),
            (768, "768 B"),
            (999, "999 B"),
            (1000, "1.0 K"),
            (1024, "1.0 K"),
            (50_000, "48.8 K"),
            (2 << 20, "2.0 M"),
        ] {
            assert_eq!(short(bytes), expected);
        }
        for (bytes, expected) in [(65_536, "64 KiB"), (1536, "1.5 KiB"), (520, "520 B"), (1 << 20, "1 MiB")] {
            assert_eq!(memory(bytes), expected);
        }
    }

    #[test]
    fn a_share_never_rounds_danger_away() {
        for (part, whole, expected) in [
            (0, 100, Some(0)),
            (1, 10_000, Some(1)),
            (9_999, 10_000, Some(99)),
            (10, 10, Some(100)),
            (11, 10, Some(100)),
            (1, 0, None),
        ] {
            assert_eq!(percent(part, whole), expected, "{part} of {whole}");
        }
    }

    #[test]
    fn addresses_and_durations() {
        assert_eq!(address(0x2000_4cc8), "2000_4cc8");
        assert_eq!(address(1 << 32), "1_0000_0000");
        assert_eq!(duration(Duration::from_millis(400)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(180)), "3 min");
        assert_eq!(duration(Duration::from_secs(9000)), "2.5 h");
        assert_eq!(duration(Duration::from_secs(345_600)), "4.0 d");
        for (seconds, time, length) in
            [(12, "00:12", "12 s"), (300, "05:00", "5 min"), (7509, "2:05:09", "2 h"), (266_709, "3d 02:05:09", "3 d")]
        {
            assert_eq!(clock(Duration::from_secs(seconds)), time);
            assert_eq!(span(Duration::from_secs(seconds)), length);
        }
    }

    #[test]
    fn a_slip_of_the_pen_has_a_nearest_name() {
        let names = || ["growth", "comms", "margin"].into_iter();
        for (text, expected) in
            [("grwoth", Some("growth")), ("Comms", Some("comms")), ("margn", Some("margin")), ("xyz", None), ("", None)]
        {
            assert_eq!(nearest(text, names()), expected, "{text}");
        }
    }

    #[test]
    fn names_cannot_carry_terminal_escapes() {
        assert_eq!(printable("a\x1b[2Jb\u{202e}c", 100), "a?[2Jb?c");
        assert_eq!(printable("abcdef", 4), "abc…");
    }

    #[test]
    fn paths_are_left_out_inside_of_names() {
        for (name, expected) in [
            ("<u32 as core::fmt::Display>::fmt", "<u32 as Display>::fmt"),
            ("core::array::<impl core::fmt::Debug for [T; N]>::fmt", "array::<impl Debug for [T; N]>::fmt"),
            ("plain", "plain"),
            ("a::b::c", "c"),
            ("::a", "::a"),
            ("", ""),
        ] {
            assert_eq!(without_paths(name), expected);
        }
    }
}
