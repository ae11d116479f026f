use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn span(end_s: u64, length_s: u64) -> Span {
    Span::before(Duration::from_secs(end_s), Duration::from_secs(length_s))
}

fn reading(subject: &str, value: Option<u32>) -> Reading {
    let key = Key { subject: subject.into(), quantity: Quantity::Peak };
    Reading { key, name: subject.into(), whole: Some(1000), value }
}

#[test]
fn all_series_together_stay_in_their_memory() {
    let mut history = History::default();
    // More subjects than there is room for, each long enough to fill the samples and the first levels.
    for subject in 0..(MOST_SERIES as u32 + 40) {
        let name = subject.to_string();
        for tick in 0..40u64 {
            history.push(Duration::from_secs(tick * 1000), reading(&name, Some(tick as u32)));
        }
    }
    assert_eq!(history.iter().count(), MOST_SERIES);
    assert_eq!(history.refused(), 40 * 40);
    assert!(history.bytes() <= MOST_BYTES);
    assert_eq!(MOST_BYTES, MOST_SERIES * SERIES_BYTES);
    // A megabyte is a million bytes: what the documentation says.
    assert_eq!(MOST_BYTES.div_ceil(1_000_000), 35);
}

#[test]
fn what_is_over_is_kept_until_there_is_no_room() {
    let mut history = History::default();
    for subject in 0..MOST_SERIES {
        history.push(SECOND, reading(&subject.to_string(), Some(1)));
    }
    for (subject, at) in [("5", 9), ("3", 7)] {
        let key = Key { subject: subject.into(), quantity: Quantity::Peak };
        history.kept.get_mut(&key).expect("it is there").series.end(Duration::from_secs(at));
    }
    history.push(SECOND, reading("new", Some(1)));
    assert!(history.series(Quantity::Peak, "3").is_none(), "it was over first");
    assert!(history.series(Quantity::Peak, "5").is_some());
    history.push(SECOND, reading("newer", Some(1)));
    assert!(history.series(Quantity::Peak, "5").is_none());
    history.push(SECOND, reading("newest", Some(1)));
    assert_eq!((history.refused(), history.iter().count()), (1, MOST_SERIES));
}

/// Each column as one character: a digit for its mean, `!` before it when no line leads to it, `=` when it is held.
fn drawn(series: &Series, span: Span, count: usize) -> String {
    let column = |column: &Column| match column {
        Column::Nothing => " ".to_owned(),
        Column::Gap => "/".to_owned(),
        Column::Measured(Envelope { held: true, .. }) => "=".to_owned(),
        Column::Measured(Envelope { mean, broken, .. }) => format!("{}{mean:.0}", if *broken { "!" } else { "" }),
    };
    series.columns(span, count).iter().map(column).collect()
}

#[test]
fn columns_tell_gaps_from_what_is_held_and_from_what_was_never_there() {
    let series = |samples: &[(u64, Option<u32>)]| {
        let mut series = Series::default();
        for (second, value) in samples {
            series.push(Duration::from_secs(*second), *value);
        }
        series
    };
    for (samples, ended, expected) in [
        (&[][..], None, "          "),
        (&[(4, Some(1))], None, "    1     "),
        // Between two samples the first one holds.
        (&[(1, Some(1)), (4, Some(2)), (9, Some(3))], None, " 1==2====3"),
        // A gap goes on until something is measured again, and no line leads across it.
        (&[(1, Some(1)), (2, None), (3, None), (5, Some(2))], None, " 1///!2    "),
        (&[(1, Some(1)), (2, None)], None, " 1////////"),
        // What ended leaves nothing behind, and a gap at its end ends with it.
        (&[(1, Some(1)), (3, Some(1))], Some(4), " 1=1      "),
        (&[(1, Some(1)), (2, None)], Some(4), " 1///     "),
        // A gap within a column leaves the column, and cuts the line.
        (&[(1, Some(1)), (2, Some(1)), (2, None), (2, Some(3)), (3, Some(3))], None, " 1!23      "),
    ] {
        let mut series = series(samples);
        if let Some(at) = ended {
            series.end(Duration::from_secs(at));
        }
        assert_eq!(drawn(&series, span(10, 10), 10), expected, "{samples:?}");
    }
}

#[test]
fn a_subject_that_comes_back_begins_a_new_line() {
    let mut series = Series::default();
    series.push(SECOND, Some(1));
    series.end(2 * SECOND);
    series.push(5 * SECOND, Some(2));
    let values: Vec<Option<u32>> = series.iter().map(|(_, value)| value).collect();
    assert_eq!(values, [Some(1), None, Some(2)]);
    assert_eq!(series.ended(), None);
}

#[test]
fn a_time_that_goes_back_counts_as_the_last() {
    let mut series = Series::default();
    series.push(5 * SECOND, Some(1));
    series.push(3 * SECOND, Some(2));
    assert_eq!(series.iter().map(|(at, _)| at).collect::<Vec<_>>(), [5 * SECOND, 5 * SECOND]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Columns that are whole slices of any level hold exactly what brute force finds in them.
    #[test]
    fn envelopes_are_what_brute_force_finds(
        steps in prop::collection::vec((1u64..90_000, prop::option::weighted(0.9, any::<u32>())), 1..6000),
        level in 0u32..4,
        count in 1usize..200,
    ) {
        let mut series = Series::default();
        let mut samples = Vec::new();
        let mut at = 0;
        for (step, value) in steps {
            at += step;
            series.push(Duration::from_millis(at), value);
            samples.push((at, value));
        }
        // As many whole slices of this level as end behind the last sample.
        let width = 500 * 4u64.pow(level + 3);
        let end = (at / width + 1) * width;
        let length = width * count as u64;
        let columns = series.columns(Span::before(Duration::from_millis(end), Duration::from_millis(length)), count);
        for (index, column) in columns.iter().enumerate() {
            let start = end as i64 - length as i64 + (width * index as u64) as i64;
            let inside = samples.iter().filter(|(at, _)| (start..start + width as i64).contains(&(*at as i64)));
            let values: Vec<u32> = inside.filter_map(|(_, value)| *value).collect();
            let expected = values.iter().min().zip(values.iter().max()).map(|(least, most)| (*least, *most));
            let found = column.envelope().filter(|one| !one.held).map(|one| (one.least, one.most));
            // What is older than all that is kept is nothing.
            let first = series.first().map_or(u64::MAX, |first| first.as_millis() as u64);
            if start >= first as i64 || expected.is_none() {
                prop_assert_eq!(found, expected, "column {} of {}", index, count);
            }
        }
        prop_assert!(series.kept() <= SERIES_KEPT);
        prop_assert!(series.bytes() <= SERIES_BYTES);
    }

    /// In any span, however it is divided, no extreme is lost.
    #[test]
    fn no_extreme_of_a_span_is_lost(
        steps in prop::collection::vec((1u64..5000, any::<u32>()), 1..5000),
        from in 0.0f64..1.0,
        count in 1usize..300,
    ) {
        let mut series = Series::default();
        let mut samples = Vec::new();
        let mut at = 0;
        for (step, value) in steps {
            at += step;
            series.push(Duration::from_millis(at), Some(value));
            samples.push((at, value));
        }
        let start = (at as f64 * from) as u64;
        let columns = series.columns(Span::before(Duration::from_millis(at), Duration::from_millis((at - start).max(1))), count);
        let most = columns.iter().filter_map(Column::envelope).map(|one| one.most).max();
        let least = columns.iter().filter_map(Column::envelope).map(|one| one.least).min();
        let inside = || samples.iter().filter(|(when, _)| *when >= start.min(at - 1)).map(|(_, value)| *value);
        prop_assert!(most >= inside().max(), "{most:?} {:?}", inside().max());
        prop_assert!(least <= inside().min());
    }

    #[test]
    fn any_span_has_its_columns(end in any::<u64>(), length in any::<u64>(), at in any::<u64>(), count in 0usize..50) {
        let mut series = Series::default();
        series.push(Duration::from_micros(at), Some(1));
        series.push(Duration::from_micros(at), None);
        series.end(Duration::from_micros(at));
        let span = Span::before(Duration::from_micros(end), Duration::from_micros(length));
        prop_assert_eq!(series.columns(span, count).len(), count);
        prop_assert!(span.middle(count, count.max(1)) >= Duration::ZERO);
    }
}
