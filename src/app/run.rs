//! `highwater run`: flashes, resets, attaches, and shows what the firmware says until it ends.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::listen::{End, Listener};
use super::open::{self, For, Opened, Taping};
use super::wanted::Wanted;
use super::{Failure, live};
use crate::cli::Look;
use crate::console::{Line, Shared};
use crate::image::Image;
use crate::image::symbols::demangle;
use crate::sampler::Sampler;
use crate::source::ReadError;
use crate::units;

/// The time between two looks at what the firmware says: a buffer of 1 KiB holds that long at 100 KB/s.
const PAUSE: Duration = Duration::from_millis(10);

/// Runs a firmware, or listens to one that runs; on the screen, or line by line.
pub(super) fn run(wanted: &Wanted, lines: bool, look: &Look) -> Result<(), Failure> {
    let on_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if on_terminal && !lines {
        let mut opened = open::open(wanted, For::Watching, &Taping::OnRequest)?;
        if let Some(listener) = &mut opened.listener {
            listener.begin().map_err(|error| Failure::Unreachable(error.to_string()))?;
        }
        return live::run(opened, look);
    }
    // Before the target is touched: from then on the process is not to end without a word.
    let ended = live::note_the_end()?;
    let Opened { mut sampler, listener, .. } = open::open(wanted, For::Snapshot, &Taping::Never)?;
    let Some(mut listener) = listener else {
        return Err(Failure::Usage("there is nothing to listen to".into()));
    };
    if !listener.has_rtt() {
        eprintln!(
            "{} has no RTT that is listened to: only what it says by semihosting is heard",
            sampler.image().name()
        );
    }
    listener.begin().map_err(|error| gone(&error))?;
    let end = print(&mut sampler, &mut listener, || ended.load(Ordering::Relaxed))?;
    match end {
        None => Err(Failure::Interrupted),
        Some(end) => outcome(end, &sampler.image()),
    }
}

/// Prints line by line until the firmware ends, or it is over otherwise.
fn print(sampler: &mut Sampler, listener: &mut Listener, over: impl Fn() -> bool) -> Result<Option<End>, Failure> {
    let mut out = io::stdout().lock();
    let mut write = |lines: Vec<Line>| -> io::Result<()> {
        for line in lines {
            writeln!(out, "{}", line.plain())?;
        }
        out.flush()
    };
    while !over() {
        match listener.hear(sampler.now()) {
            Ok(heard) => {
                write(heard.lines)?;
                if heard.end.is_some() {
                    return Ok(heard.end);
                }
            }
            // One look that failed is made up for by the next one.
            Err(ReadError::Busy(why)) => tracing::warn!("{why}"),
            Err(error) => return Err(gone(&error)),
        }
        sampler.wait_at_most(Duration::ZERO, PAUSE);
    }
    write(listener.rest())?;
    Ok(None)
}

/// What the process ends with, and a word about it where that is not plain from the code.
pub(super) fn outcome(end: End, image: &Image) -> Result<(), Failure> {
    match end {
        End::Exit(0) => Ok(()),
        End::Exit(status) => {
            if u32::from(end.code()) != status {
                eprintln!("the firmware ended with the status {status}, which an exit code does not hold");
            }
            Err(Failure::Firmware(end.code()))
        }
        End::Breakpoint(address) => Err(Failure::Error(stands_at(address, image))),
    }
}

/// Where a firmware stands that has stopped itself.
fn stands_at(address: u32, image: &Image) -> String {
    let name =
        image.symbols.at(address).map(|symbol| format!(", in {}", units::printable(&demangle(&symbol.name), 80)));
    format!("the firmware stands at a breakpoint of its own, at {address:#010x}{}", name.unwrap_or_default())
}

/// Listens on a thread of its own until nobody is `running` any more: into the log, and the firmware's exit to `ended`.
/// `detach` is let go when the target has been.
pub(super) fn listen(
    mut listener: Listener,
    image: Arc<Image>,
    running: Arc<AtomicBool>,
    detach: mpsc::Sender<()>,
) -> io::Result<(Shared, oneshot::Receiver<End>)> {
    let log = Shared::default();
    let (report, ended) = oneshot::channel();
    let (heard, mut report) = (log.clone(), Some(report));
    std::thread::Builder::new().name("listener".into()).spawn(move || {
        // Its end is the end of this thread, when the listener has let the core go.
        let _detached = detach;
        let begun = Instant::now();
        while running.load(Ordering::Relaxed) {
            // A link that is lost is the sampler's to get back.
            if let Ok(news) = listener.hear(begun.elapsed()) {
                heard.add(news.lines);
                match news.end {
                    Some(End::Breakpoint(address)) => heard.add(vec![Line::remark(stands_at(address, &image))]),
                    // Nobody takes it when the screen is gone already.
                    Some(end) => drop(report.take().map(|report| report.send(end))),
                    None => {}
                }
            }
            std::thread::sleep(PAUSE);
        }
        drop(listener);
    })?;
    Ok((log, ended))
}

/// What a firmware has said last, for when the screen with it is gone.
pub(super) fn last_words(log: &Shared) -> io::Result<()> {
    /// Lines that fit below a prompt.
    const LINES: usize = 20;
    let log = log.log();
    let mut out = io::stdout().lock();
    for line in log.lines().iter().skip(log.lines().len().saturating_sub(LINES)) {
        writeln!(out, "{}", line.plain())?;
    }
    Ok(())
}

fn gone(error: &ReadError) -> Failure {
    Failure::Unreachable(error.to_string())
}
