//! A whole recording as one page: its moments to scrub through, below a picture of its time.
//!
//! ```text
//!   | 100 %        ___[alert]    |   the picture of all refreshes, extremes kept
//!   |      ___----/              |
//!   o----------o-----------------o   the slider; keys step
//!   verdict, map, tables of that moment
//! ```
//!
//! Each moment is drawn here, by the same code as a page of one report, and taken apart into lines and cells. Most of them
//! are the same from one moment to the next, so each is kept once: the script only puts pieces together, and no figure is
//! drawn in two ways.

mod pieces;
mod plot;
mod survey;

use pieces::Pieces;
use serde::Serialize;

use super::shell::{Code, Page};
use super::{SCRIPT, moment};
use crate::report::Report;
pub use survey::{Choice, Survey};

/// The most moments of one page.
pub const MOST_MOMENTS: usize = 600;

/// What the script reads: see [`Pieces`].
#[derive(Serialize)]
struct Data<'a> {
    schema: &'static str,
    /// Seconds since the attach, of each moment.
    at_s: &'a [f64],
    /// Every piece that any moment has.
    pieces: &'a [String],
    /// Each moment, as runs of pieces.
    moments: &'a [Vec<i64>],
}

/// The moments of a page, as they are drawn one by one.
#[derive(Default)]
pub struct Film {
    at_s: Vec<f64>,
    pieces: Pieces,
    last: Option<(String, String, String)>,
}

impl Film {
    /// Adds the next moment.
    pub fn add(&mut self, report: &Report) {
        let content = moment::content(report);
        self.at_s.push(report.at_s);
        self.pieces.add(&content);
        self.last = Some((moment::title(report), moment::head(report), content));
    }

    /// The page, ended by a line break. Without a script it shows the last moment.
    #[must_use]
    pub fn page(&self, survey: &Survey, choice: &Choice) -> String {
        let Some((title, head, content)) = &self.last else { return String::new() };
        let data = Data {
            schema: "highwater/page@1",
            at_s: &self.at_s,
            pieces: self.pieces.all(),
            moments: self.pieces.moments(),
        };
        // Numbers and texts can always be written.
        let data = serde_json::to_string(&data).unwrap_or_default();
        let timeline = plot::timeline(survey, choice, &self.at_s);
        let body = format!("{head}{timeline}<main id=\"moment\">\n{content}</main>\n");
        Page { title, body: &body, code: Some(Code { script: SCRIPT, data: &data }) }.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::model::snapshot::Snapshot;
    use crate::model::testing;

    fn report(at: u64, peak: u32) -> Report {
        let stacks = vec![testing::stack("</script><!--<script>", peak)];
        Report::new(&Model::new(Snapshot { stacks, ..testing::live(at) }))
    }

    #[test]
    fn what_is_embedded_is_every_moment_as_it_is_drawn() {
        let reports: Vec<Report> =
            [100, 100, 400, 100].into_iter().zip(0..).map(|(peak, at)| report(at, peak)).collect();
        let (mut survey, mut film) = (Survey::new(3.0), Film::default());
        for report in &reports {
            survey.look(report);
            film.add(report);
        }
        let page = film.page(&survey, &survey.choose(MOST_MOMENTS));
        let (_, data) = page.split_once("id=\"data\">").expect("it has data");
        let (data, rest) = data.split_once("</script>").expect("they end");
        assert_eq!(rest.matches("</script").count(), 1, "only the script is left");
        assert!(!data.contains("<!"));
        let data: serde_json::Value = serde_json::from_str(data).expect("it is JSON");
        let pieces: Vec<String> = serde_json::from_value(data["pieces"].clone()).expect("texts");
        let moments: Vec<Vec<i64>> = serde_json::from_value(data["moments"].clone()).expect("runs");
        let drawn: Vec<String> = reports.iter().map(moment::content).collect();
        assert_eq!(pieces::together(&pieces, &moments), drawn);
        assert_eq!(data["at_s"], serde_json::json!([0.0, 1.0, 2.0, 3.0]));
        assert!(page.contains("All 4 refreshes of the recording"));
        assert!(page.contains("script-src 'sha256-"));
    }
}
