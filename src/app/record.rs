//! What a recording is begun with, from the command line or by a key, and `highwater record`.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::open::{self, For, Opened, Taping};
use super::wanted::Wanted;
use super::{Failure, as_last_seen, live, pass_time_until};
use crate::cli::record::RecordArgs;
use crate::config::Settings;
use crate::image::Original;
use crate::recording::header::Header;
use crate::recording::writer::{Head, Writer};
use crate::source::recorder::{Desk, Progress};
use crate::units;

/// How a recording's name ends.
const EXTENSION: &str = "hwr";

/// Where the ELF's content is when a recording begins: it is not kept meanwhile.
#[derive(Clone, Debug)]
pub enum Content {
    /// In a file that is held open: a new build in its place does not matter.
    File(Original),
    /// In this program.
    BuiltIn(&'static [u8]),
}

/// All that a recording of this run begins with.
#[derive(Clone, Debug)]
pub struct Session {
    /// Where it is asked for.
    pub desk: Desk,
    /// What it says of itself.
    pub header: Header,
    /// The ELF; `None` to leave it out.
    pub elf: Option<Content>,
}

impl Session {
    /// What the file begins with. An ELF that was written to since is left out.
    ///
    /// # Errors
    ///
    /// It cannot be packed.
    pub fn head(&self) -> io::Result<Head> {
        let of_this_run = |content: &[u8]| self.header.elf.is_of(content);
        match &self.elf {
            Some(Content::File(original)) => {
                let content = original.bytes().filter(|content| of_this_run(content));
                Head::new(&self.header, content.as_deref())
            }
            Some(Content::BuiltIn(content)) => Head::new(&self.header, Some(content)),
            None => Head::new(&self.header, None),
        }
    }

    /// Begins a recording in the middle of the run, or ends it. Packing the ELF takes its time, on its own thread.
    pub fn toggle(&self) {
        match self.desk.progress() {
            Progress::Beginning => {}
            Progress::On { .. } => self.desk.end(),
            _ if self.desk.is_closed() => {
                let why = "the firmware was built anew; attach again to record that";
                self.desk.fail(PathBuf::from(format!("*.{EXTENSION}")), why.into());
            }
            Progress::Off | Progress::Done { .. } | Progress::Failed { .. } => {
                self.desk.announce();
                let session = self.clone();
                let begin = move || match (session.head(), free_file()) {
                    (Ok(head), Ok((path, file))) => session.desk.begin(path, file, head),
                    (Err(error), _) | (_, Err(error)) => {
                        session.desk.fail(PathBuf::from(format!("*.{EXTENSION}")), error.to_string());
                    }
                };
                if let Err(error) = std::thread::Builder::new().name("packer".into()).spawn(begin) {
                    self.desk.fail(PathBuf::new(), error.to_string());
                }
            }
        }
    }
}

/// The first free name here.
fn free_file() -> io::Result<(PathBuf, File)> {
    for number in 1..1000 {
        let path = PathBuf::from(format!("highwater-{number}.{EXTENSION}"));
        match create(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are a thousand recordings here already"))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).open(path)
}

/// Where `highwater record` writes to. The file is made when the target is reached, and not before.
#[derive(Clone, Debug)]
pub struct Destination {
    file: Option<PathBuf>,
    with_elf: bool,
}

impl Destination {
    /// Makes the file, and writes what a recording begins with.
    ///
    /// # Errors
    ///
    /// The file is there already, or cannot be written.
    pub(super) fn begin(&self, session: &mut Session) -> Result<(PathBuf, Writer), Failure> {
        if !self.with_elf {
            session.elf = None;
        }
        let failed = |path: &Path, error: &io::Error| {
            let shown = path.display();
            Failure::Error(match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    format!("{shown} is there already, and a recording overwrites nothing: name another --output")
                }
                _ => format!("cannot write {shown}: {error}"),
            })
        };
        let (path, file) = match &self.file {
            Some(path) => (path.clone(), create(path).map_err(|error| failed(path, &error))?),
            None => free_file().map_err(|error| failed(Path::new("a recording"), &error))?,
        };
        let writer = session.head().and_then(|head| Writer::new(Box::new(file), &head));
        let writer = writer.map_err(|error| failed(&path, &error))?;
        Ok((path, writer))
    }
}

/// Records until the time is over, or the user ends it.
pub(super) fn record(args: &RecordArgs, settings: &Settings) -> Result<(), Failure> {
    let wanted = Wanted::measure(&args.measure(), settings.rules(None));
    // With a time, the emulated board runs as fast as it can, the same way each time; without one, like a real one.
    let purpose = if args.duration.is_some() { For::Snapshot } else { For::Watching };
    let destination = Destination { file: args.output.clone(), with_elf: !args.without_elf };
    let ended = live::note_the_end()?;
    let Opened { mut sampler, mut model, run_first, tape, .. } =
        open::open(&wanted, purpose, &Taping::FromStart(destination))?;
    let session = tape.map_err(|why| Failure::Error(why.into()))?;
    if io::stderr().is_terminal() {
        let length = args.duration.map(|time| format!("for {}", units::duration(time)));
        eprintln!("recording {}", length.unwrap_or_else(|| "until Ctrl-C".into()));
    }
    let until = args.duration.map_or(Duration::MAX, |time| run_first.unwrap_or_default().saturating_add(time));
    let failed = || match session.desk.progress() {
        Progress::Failed { file, why } => Some((file, why)),
        _ => None,
    };
    pass_time_until(&mut sampler, &mut model, until, |_| ended.load(Ordering::Relaxed) || failed().is_some());
    // What a replay ends with is what a snapshot at the end would have said.
    let last = as_last_seen(&mut sampler, &mut model, |_| {});
    if let Some((file, why)) = failed() {
        return Err(Failure::Error(format!(
            "the recording {} ends early: {why}; it replays up to there",
            file.display()
        )));
    }
    if let Progress::On { file, bytes } = session.desk.progress() {
        let time = units::duration(model.snapshot.at);
        eprintln!("recorded {time} in {} ({})", file.display(), units::short(bytes));
    }
    last
}
