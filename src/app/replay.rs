//! Plays recordings: through the same sampler and model as a run, to a report or on the screens.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::stream::Stream;
use super::{Failure, MALLOC_ALIGN, film, firmware, live, print};
use crate::cli::Look;
use crate::cli::record::ReplayArgs;
use crate::config::{Rules, Settings};
use crate::image::Image;
use crate::image::layout::Memory;
use crate::model::Model;
use crate::recording::RecordingError;
use crate::recording::reader::{Medium, Recording};
use crate::report::Report;
use crate::sampler::{Options, Sampler, static_snapshot};
use crate::source::replay::Replay;
use crate::source::{Depth, ReadError, Source};
use crate::units::printable;
use crate::view::Format;

/// Refreshes that are played again before a moment that is jumped to: that much of the history is known there. Five
/// minutes at 30 Hz, and about a second of work.
const PLAYED_AGAIN: u64 = 9000;

/// Plays one recording.
pub struct Player {
    recording: Recording,
    image: Arc<Image>,
    memories: Vec<Memory>,
    rules: Rules,
    sampler: Sampler,
    model: Model,
    played: u64,
    /// The refresh that the history begins with.
    since: u64,
}

impl Player {
    /// Opens a recording, with its ELF.
    ///
    /// # Errors
    ///
    /// It is no recording, or its ELF is neither in it nor given.
    pub fn open(args: &ReplayArgs, rules: Rules) -> Result<Self, Failure> {
        let shown = shown(&args.file);
        let failed = |error: RecordingError| Failure::Error(format!("{shown} {error}"));
        let path = args.file.clone();
        let medium = move || File::open(&path).map(|file| Box::new(file) as Box<dyn Medium>);
        let recording = Recording::open(Arc::new(medium)).map_err(failed)?;
        if recording.refreshes() == 0 {
            let text = "has no refresh in it: it was ended before the first one was complete";
            return Err(Failure::Error(format!("{shown} {text}")));
        }
        let image = Arc::new(image(&recording, args)?);
        let memories = recording.header().memories();
        let (sampler, model) = begin(&recording, &image, &memories, rules, 0).map_err(Failure::Error)?;
        Ok(Self { recording, image, memories, rules, sampler, model, played: 0, since: 0 })
    }

    /// What there is to say of a recording that is not whole, or was made with more than is there now.
    pub(super) fn notes(&self, args: &ReplayArgs) -> Vec<String> {
        let mut notes = Vec::new();
        if self.recording.torn() > 0 {
            notes.push(format!(
                "the last {} bytes of {} are cut off or damaged; the {} refreshes before them replay",
                self.recording.torn(),
                shown(&args.file),
                self.recording.refreshes()
            ));
        }
        if !self.recording.header().beside.is_empty() && args.su.is_none() && args.also.is_empty() {
            let beside = self.recording.header().beside.join(", ");
            notes.push(format!("it was recorded with {beside}: give --su and --also again for the same picture"));
        }
        notes
    }

    /// Plays the next refresh; says whether there was one.
    pub fn step(&mut self) -> bool {
        if self.played == self.recording.refreshes() {
            return false;
        }
        let observation = match self.recording.depth(self.played) {
            Depth::Steady => self.sampler.refresh(),
            Depth::Thorough => self.sampler.refresh_thoroughly(),
        };
        self.model.ingest(observation);
        self.played += 1;
        true
    }

    /// Goes to the refresh of that number, counted from one.
    ///
    /// # Errors
    ///
    /// The recording cannot be read any more.
    pub fn go_to(&mut self, refresh: u64) -> Result<(), String> {
        let refresh = refresh.clamp(1, self.recording.refreshes());
        self.approach(refresh)?;
        while self.played < refresh && self.step() {}
        Ok(())
    }

    /// Goes to before the first refresh.
    ///
    /// # Errors
    ///
    /// The recording cannot be read any more.
    pub(super) fn rewind(&mut self) -> Result<(), String> {
        self.begin_at(0)
    }

    /// Goes to the first refresh at or after a time since the attach, or to the last one.
    ///
    /// # Errors
    ///
    /// The recording cannot be read any more.
    pub fn go_to_time(&mut self, at: Duration) -> Result<(), String> {
        let near = self.recording.keyframe_at(at);
        if at <= self.at() && self.played > 1 {
            self.begin_at(self.start_for(near))?;
        } else {
            self.approach(near)?;
        }
        while (self.played == 0 || self.at() < at) && self.step() {}
        Ok(())
    }

    /// Plays from the attach to a time, or to the end, so that the model knows all that the run knew then.
    fn play_until(&mut self, at: Option<Duration>) {
        while at.is_none_or(|at| self.played == 0 || self.at() < at) && self.step() {}
    }

    /// Begins anew where that is needed to come to a refresh, or where it is far less to play.
    fn approach(&mut self, refresh: u64) -> Result<(), String> {
        let start = self.start_for(refresh);
        if refresh <= self.played && self.played > 0 || start > self.played { self.begin_at(start) } else { Ok(()) }
    }

    /// Where to begin for a refresh, so that there is some history before it.
    fn start_for(&self, refresh: u64) -> u64 {
        self.recording.keyframe_before(refresh.saturating_sub(PLAYED_AGAIN))
    }

    fn begin_at(&mut self, refresh: u64) -> Result<(), String> {
        let interest = self.sampler.interest();
        let (sampler, model) = begin(&self.recording, &self.image, &self.memories, self.rules, refresh)?;
        self.sampler = sampler.with_interest(interest);
        self.model = model;
        (self.played, self.since) = (refresh, refresh);
        Ok(())
    }

    /// The time of the refresh that was played last.
    #[must_use]
    pub fn at(&self) -> Duration {
        self.model.snapshot.at
    }

    /// The recording.
    #[must_use]
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Refreshes played, counted from the beginning of the recording.
    #[must_use]
    pub fn played(&self) -> u64 {
        self.played
    }

    /// Whether the model knows all that was recorded up to here.
    #[must_use]
    pub fn knows_all(&self) -> bool {
        self.since == 0
    }

    /// What is known.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What samples the recording.
    #[must_use]
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }
}

/// A sampler and a model that know nothing yet, before the first refresh or at a keyframe.
fn begin(
    recording: &Recording,
    image: &Arc<Image>,
    memories: &[Memory],
    rules: Rules,
    refresh: u64,
) -> Result<(Sampler, Model), String> {
    let unreadable = |error: RecordingError| format!("the recording {error}");
    let source = match refresh {
        0 => Replay::from_start(recording),
        later => Replay::at(recording, later),
    };
    let source: Box<dyn Source> = Box::new(source.map_err(unreadable)?);
    let model = rules.apply(Model::new(static_snapshot(image, memories)));
    let options = Options { rate_hz: recording.header().rate_hz.filter(|rate| rate.is_finite()) };
    let gone = |error: ReadError| error.to_string();
    let mut sampler = Sampler::new(source, Arc::clone(image), memories.to_vec(), options).map_err(gone)?;
    // A run that was recorded had its firmware compared before the first refresh.
    sampler.verify().map_err(gone)?;
    Ok((sampler, model))
}

/// The firmware's ELF: from the recording, or the file that is given, which must be the same.
fn image(recording: &Recording, args: &ReplayArgs) -> Result<Image, Failure> {
    let identity = &recording.header().elf;
    let unfit = |error: &dyn std::error::Error| Failure::Error(error.to_string());
    let content = match (&args.elf, recording.elf()) {
        (None, Some(elf)) => elf.to_vec(),
        (Some(path), _) => {
            let content =
                std::fs::read(path).map_err(|error| Failure::Error(format!("cannot read {}: {error}", shown(path))))?;
            if !identity.is_of(&content) {
                let text = format!(
                    "{} is not the ELF of this recording: that was {} of {} bytes, build id {}",
                    shown(path),
                    identity.name,
                    identity.size,
                    identity.build_id.as_deref().unwrap_or("unknown")
                );
                return Err(Failure::Error(text));
            }
            content
        }
        (None, None) => {
            return Err(Failure::Usage(format!(
                "{} has no ELF in it: give {} of {} bytes with --elf",
                shown(&args.file),
                identity.name,
                identity.size
            )));
        }
    };
    let mut image = Image::parse(Path::new(&identity.name), &content).map_err(|error| unfit(&error))?;
    firmware::beside(&mut image, &args.firmware())?;
    Ok(image)
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), 4096)
}

/// The screens on a terminal; elsewhere, or when a format is asked for, the report of one moment.
pub(super) fn replay(args: &ReplayArgs, look: &Look, settings: &Settings) -> Result<(), Failure> {
    let mut player = Player::open(args, settings.rules(args.sizing.margin))?;
    let notes = player.notes(args);
    for note in &notes {
        eprintln!("note: {note}");
    }
    let on_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if args.format.is_none() && args.fit.would_fit.is_none() && on_terminal {
        if let Some(at) = args.at {
            player.go_to_time(at).map_err(Failure::Error)?;
        }
        return live::play(player, args.speed, notes.into_iter().next(), look);
    }
    if let Some(at) = args.at.filter(|at| *at > player.recording.end()) {
        let (at, end) = (crate::units::duration(at), crate::units::duration(player.recording.end()));
        return Err(Failure::Usage(format!("--at {at} is after the end of the recording, at {end}")));
    }
    if let Some(format) = args.format.filter(|format| format.is_stream()) {
        let mut stream = Stream::new(format, &args.fit, look);
        while args.at.is_none_or(|at| player.played == 0 || player.at() < at) && player.step() {
            stream.tell(&player.model)?;
        }
        return Ok(());
    }
    if args.format == Some(Format::Html) && args.at.is_none() {
        return film::write(player, &args.fit);
    }
    player.play_until(args.at);
    let report = Report::new(&player.model);
    let report = match &args.fit.would_fit {
        Some(question) => report.with_fit(&player.model, question, MALLOC_ALIGN).map_err(Failure::Error)?,
        None => report,
    };
    print(&report, args.format.unwrap_or(Format::Human), look)
}
