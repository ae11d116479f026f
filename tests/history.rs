//! What is kept of a week: how much memory it takes, and that no extreme is lost.

use std::time::Duration;

use highwater::model::history::{MOST_BYTES, SERIES_BYTES, SERIES_KEPT, Series, Span};

fn span(end_s: u64, length_s: u64) -> Span {
    Span::before(Duration::from_secs(end_s), Duration::from_secs(length_s))
}

/// A small generator, the same each time.
fn noise(state: &mut u64) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as u32 % 10_000
}

#[test]
fn a_week_at_thirty_hertz_stays_in_its_memory_and_keeps_every_extreme() {
    const WEEK: u64 = 7 * 24 * 3600 * 30;
    let (mut series, mut state) = (Series::default(), 7);
    // The extremes of each hour, found without the series.
    let mut hours = vec![(u32::MAX, 0); 7 * 24];
    for tick in 0..WEEK {
        let value = noise(&mut state);
        let hour = &mut hours[(tick / (3600 * 30)) as usize];
        *hour = (hour.0.min(value), hour.1.max(value));
        series.push(Duration::from_micros(tick * 1_000_000 / 30), Some(value));
    }
    println!(
        "a week at 30 Hz, {WEEK} samples: {} of at most {SERIES_KEPT} kept, {} of at most {SERIES_BYTES} B; all series \
         together at most {MOST_BYTES} B",
        series.kept(),
        series.bytes(),
    );
    assert!(series.kept() <= SERIES_KEPT && series.bytes() <= SERIES_BYTES);
    // A slice for days is 34 min: one column for each 34 min and 8 s, and in each of them what brute force finds.
    let slice = 2048u64;
    let slices = 7 * 24 * 3600 / slice;
    let columns = series.columns(span(slices * slice, slices * slice), slices as usize);
    let mut expected = vec![(u32::MAX, 0); slices as usize];
    state = 7;
    for tick in 0..WEEK {
        let value = noise(&mut state);
        // The last moment of the picture counts as its last column.
        let micros = tick * 1_000_000 / 30;
        let at = if micros == slices * slice * 1_000_000 { slices - 1 } else { micros / 1_000_000 / slice };
        if let Some(cell) = expected.get_mut(at as usize) {
            *cell = (cell.0.min(value), cell.1.max(value));
        }
    }
    let found: Vec<(u32, u32)> =
        columns.iter().map(|column| column.envelope().map_or((1, 0), |one| (one.least, one.most))).collect();
    assert_eq!(found, expected);
    let week = series.columns(span(7 * 24 * 3600, 7 * 24 * 3600), 1);
    let all = hours.iter().fold((u32::MAX, 0), |all, hour| (all.0.min(hour.0), all.1.max(hour.1)));
    assert_eq!(week[0].envelope().map(|one| (one.least, one.most)), Some(all));
}
