//! A whole recording as one page: played once to see what happened when, and again to draw the moments that are kept.

use std::io::{self, Write};

use super::replay::Player;
use super::{Failure, MALLOC_ALIGN};
use crate::cli::FitArgs;
use crate::report::Report;
use crate::view::html::film::{Film, MOST_MOMENTS, Survey};

/// Writes the page.
///
/// # Errors
///
/// The recording cannot be read any more, nobody has a stack of the name that was asked about, or the output cannot be
/// written.
pub(super) fn write(mut player: Player, fit: &FitArgs) -> Result<(), Failure> {
    let mut survey = Survey::new(player.recording().end().as_secs_f64());
    while player.step() {
        survey.look(&Report::new(player.model()));
    }
    let choice = survey.choose(MOST_MOMENTS);
    player.rewind().map_err(Failure::Error)?;
    let mut film = Film::default();
    for refresh in &choice.refreshes {
        while player.played() <= *refresh as u64 && player.step() {}
        let report = Report::new(player.model());
        film.add(&match &fit.would_fit {
            Some(question) => report.with_fit(player.model(), question, MALLOC_ALIGN).map_err(Failure::Error)?,
            None => report,
        });
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    out.write_all(film.page(&survey, &choice).as_bytes())?;
    Ok(out.flush()?)
}
