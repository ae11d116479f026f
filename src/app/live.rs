//! The live screen: the sampler on its own thread, the screen on this one.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableMouseCapture, EnableMouseCapture, EventStream};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::watch;

use super::{Failure, open::Opened, pass_time};
use crate::cli::{Color, Look};
use crate::sampler::Sampler;
use crate::sampler::observation::Observation;
use crate::tui;
use crate::tui::state::Options;
use crate::tui::update::Effect;

/// One frame at 240x70 with all its escapes fits: it goes out in one write.
const FRAME_BYTES: usize = 64 * 1024;

/// Shows the target until the user quits, or the process is told to end.
///
/// # Errors
///
/// The terminal cannot be used.
pub fn run(opened: Opened, look: &Look) -> Result<(), Failure> {
    let Opened { mut sampler, mut model, run_first } = opened;
    if let Some(time) = run_first {
        eprintln!("running the board for {} of its time...", crate::units::duration(time));
        pass_time(&mut sampler, &mut model, Some(time));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = Options {
        theme: look.theme,
        ascii: look.ascii,
        colour: uses_color(look.color),
        stack_limit: model.limits().stack_percent,
        interest: sampler.interest(),
        ..Options::default()
    };
    let (feed, observations) = watch::channel(None);
    let running = Arc::new(AtomicBool::new(true));
    let sampling = {
        let running = Arc::clone(&running);
        std::thread::Builder::new().name("sampler".into()).spawn(move || sample(&mut sampler, &feed, &running))?
    };
    let outcome = runtime.block_on(async {
        let mut screen = Screen::enter()?;
        let end = ended();
        tokio::pin!(end);
        tokio::select! {
            shown = tui::run(&mut screen.terminal, EventStream::new(), observations, model, &options, carry_out) => {
                shown.map(|_| ()).map_err(|error| Failure::Error(error.to_string()))
            }
            () = &mut end => Ok(()),
        }
    });
    running.store(false, Ordering::Relaxed);
    // A probe that hangs must not keep the user waiting: its thread ends with the process.
    if outcome.is_ok() && !sampling.is_finished() {
        drop(sampling);
    }
    outcome
}

fn uses_color(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// The sampler's thread: refreshes until nobody looks any more.
fn sample(sampler: &mut Sampler, feed: &watch::Sender<Option<Arc<Observation>>>, running: &AtomicBool) {
    while running.load(Ordering::Relaxed) {
        let before = sampler.now();
        let observation = sampler.refresh();
        if feed.send(Some(Arc::new(observation))).is_err() {
            return;
        }
        sampler.wait(sampler.now().saturating_sub(before));
    }
}

/// Returns when the process is told to end, or its terminal is gone.
#[cfg(unix)]
async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut hangup), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::hangup()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = hangup.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Returns when the process is told to end.
#[cfg(not(unix))]
async fn ended() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What the screen asks for and cannot do itself. The answer is shown in the status line.
fn carry_out(effect: Effect, screen: &ratatui::buffer::Buffer) -> Option<String> {
    match effect {
        Effect::Export => Some(match export(screen) {
            Ok(path) => format!("saved {path}"),
            Err(error) => format!("not saved: {error}"),
        }),
        Effect::None | Effect::Quit => None,
    }
}

/// Saves the screen under the first free name.
fn export(screen: &ratatui::buffer::Buffer) -> io::Result<String> {
    for number in 1..1000 {
        let path = format!("highwater-{number}.svg");
        match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(tui::picture::svg(screen, true).as_bytes())?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are a thousand pictures here already"))
}

/// The terminal while the screen is up; dropping it gives it back as it was.
struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    fn enter() -> Result<Self, Failure> {
        enable_raw_mode()?;
        restore_on_panic();
        let mut out = BufWriter::with_capacity(FRAME_BYTES, io::stdout());
        execute!(out, EnterAlternateScreen, EnableMouseCapture, cursor::Hide)?;
        let mut terminal = Terminal::new(CrosstermBackend::new(out))?;
        // A terminal without an alternate screen still shows what was there before.
        terminal.clear()?;
        Ok(Self { terminal })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back; what fails here has nobody left to be told to.
fn leave() {
    let _ = execute!(io::stdout(), DisableMouseCapture, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// A panic of this thread shows its message on a clean terminal. One of another thread (a probe's driver) is caught
/// there and becomes a lost link: its message would only tear the picture.
fn restore_on_panic() {
    let screen_thread = std::thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == screen_thread {
            leave();
            before(info);
        } else {
            tracing::error!("a thread panicked: {info}");
        }
    }));
}
