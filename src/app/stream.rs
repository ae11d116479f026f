//! Reports that follow each other on standard output, one for each refresh: `jsonl` and `csv`.

use std::io::{self, Write};
use std::sync::atomic::Ordering;

use super::open::Opened;
use super::wanted::Wanted;
use super::{Failure, MALLOC_ALIGN, live, open, style};
use crate::cli::{FitArgs, Look};
use crate::model::Model;
use crate::model::question::Question;
use crate::report::Report;
use crate::view::{self, Format, text::Style};

/// What was written so far, and how.
pub(super) struct Stream<'a> {
    format: Format,
    style: Style,
    question: Option<&'a Question>,
    written: u64,
    out: io::BufWriter<io::StdoutLock<'static>>,
}

impl<'a> Stream<'a> {
    /// Nothing is written yet.
    pub(super) fn new(format: Format, fit: &'a FitArgs, look: &Look) -> Self {
        let out = io::BufWriter::new(io::stdout().lock());
        Self { format, style: style(look), question: fit.would_fit.as_ref(), written: 0, out }
    }

    /// Writes what is known now; a reader has it at once.
    pub(super) fn tell(&mut self, model: &Model) -> Result<(), Failure> {
        let mut report = Report::new(model);
        if let Some(question) = self.question {
            report = report.with_fit(model, question, MALLOC_ALIGN).map_err(Failure::Error)?;
        }
        view::write_next(&report, self.format, self.written, self.style, &mut self.out)?;
        self.written += 1;
        Ok(self.out.flush()?)
    }
}

/// Watches the target and writes each refresh, until the process is told to end, nobody reads any more, or the time that
/// was asked for is over. A target that goes away is waited for, and each report says so.
pub(super) fn watch(wanted: &Wanted, format: Format, fit: &FitArgs, look: &Look) -> Result<(), Failure> {
    if wanted.stops_for_a_key() {
        return Err(Failure::Usage(
            "in a stream there is no key to let a stopped core go on: --tripwire notes stores without stopping".into(),
        ));
    }
    let ended = live::note_the_end()?;
    let purpose = if wanted.ends_by_itself() { open::For::Snapshot } else { open::For::Watching };
    let Opened { mut sampler, mut model, run_first, .. } = open::open(wanted, purpose, &open::Taping::Never)?;
    let mut stream = Stream::new(format, fit, look);
    while !ended.load(Ordering::Relaxed) && run_first.is_none_or(|end| sampler.now() < end) {
        let before = sampler.now();
        model.ingest(sampler.refresh());
        stream.tell(&model)?;
        if let Some(why) = sampler.refused() {
            return Err(Failure::Unreachable(why.to_owned()));
        }
        if wanted.is_saved() {
            break;
        }
        sampler.wait(sampler.now().saturating_sub(before));
    }
    Ok(())
}
