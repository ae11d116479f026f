//! The live screen: the sampler on its own thread, the screen on this one.

use std::any::Any;
use std::io::{self, BufWriter, Stdout, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crossterm::event::{DisableMouseCapture, EnableMouseCapture, EventStream};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::{oneshot, watch};

use super::Failure;
use super::desk::Desk;
use super::open::Opened;
use super::replay::Player;
use super::run::{last_words, listen, outcome};
use super::transport::Transport;
use super::watch::{Listening, Watcher};
use crate::cli::{Color, Look};
use crate::config::Rules;
use crate::image::Image;
use crate::image::layout::Memory;
use crate::model::Model;
use crate::sampler::observation::{Facts, Observation, OnDisk};
use crate::sampler::rebuilt::FileNews;
use crate::sampler::{Sampler, first_snapshot, static_snapshot};
use crate::source::{ending, recorder};
use crate::tui::deck::Deck;
use crate::tui::state::Options;
use crate::tui::update::Effect;
use crate::tui::{self, News};

/// One frame at 240x70 with all its escapes fits: it goes out in one write.
const FRAME_BYTES: usize = 64 * 1024;
/// How long the target may take to be detached from.
const DETACHING: Duration = Duration::from_millis(500);
/// In debug builds, the thread that panics: the screen's when a picture is saved, the sampler's at once. The tests of
/// what becomes of the terminal then have no other way to break one.
#[cfg(debug_assertions)]
const BREAK: &str = "HIGHWATER_TEST_PANIC";

/// Shows the target until the user quits, or the process is told to end.
///
/// # Errors
///
/// The terminal cannot be used.
pub fn run(opened: Opened, look: &Look) -> Result<(), Failure> {
    let Opened { mut sampler, model, run_first, go_on, access, watcher, tape, listener } = opened;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (desk, symbols) = Desk::open()?;
    desk.hand_in(sampler.image(), sampler.memories().to_vec());
    let (hear, news) = mpsc::channel();
    if let Some(watcher) = watcher {
        watcher.run(move |news| if hear.send(news).is_ok() { Listening::Yes } else { Listening::No })?;
    }
    let access = access.to_owned();
    let recorder = tape.as_ref().ok().map(|session| session.desk.clone());
    let builds = Builds { news, desk, recorder: recorder.clone() };
    let (feed, observations) = watch::channel(None);
    let running = Arc::new(AtomicBool::new(true));
    let (report, mut stopped) = oneshot::channel();
    let (detach, detached) = mpsc::channel::<()>();
    let image = sampler.image();
    let listening = match listener {
        Some(listener) => Some(listen(listener, Arc::clone(&image), Arc::clone(&running), detach.clone())?),
        None => None,
    };
    let (log, mut exit) = listening.unzip();
    let options =
        Options { interest: sampler.interest(), symbols, access, recorder, log: log.clone(), ..options(&model, look) };
    let stop = Arc::clone(&running);
    let sampling = move || {
        // Its end is the end of this thread, when the sampler has put everything back.
        let _detached = detach;
        // A panic there must not leave a picture that looks live and is not.
        let outcome = catch_unwind(AssertUnwindSafe(move || {
            sample(&mut sampler, run_first, &feed, &stop, &builds);
            sampler.refused().map(str::to_owned)
        }));
        let _ = report.send(match outcome {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(Failure::Unreachable(why)),
            Err(panic) => {
                let why = panic_text(panic.as_ref());
                Err(Failure::Error(format!("the sampler broke down, a bug: {why}")))
            }
        });
    };
    std::thread::Builder::new().name("sampler".into()).spawn(sampling)?;
    // A panic of the screen's thread detaches too: a tripwire must not stay armed.
    let _detaching = Detaching { running, detached };
    let carry_out = |effect, screen: &ratatui::buffer::Buffer| match effect {
        Effect::GoOn => {
            go_on.ask();
            None
        }
        Effect::Record => match &tape {
            Ok(session) => {
                session.toggle();
                None
            }
            Err(why) => Some((*why).to_owned()),
        },
        other => carry_out(other, screen),
    };
    let exited = async {
        match &mut exit {
            Some(exit) => exit.await.ok(),
            None => None,
        }
    };
    let end = runtime.block_on(async {
        let mut screen = Screen::enter()?;
        let end = ended();
        tokio::pin!(end, exited);
        tokio::select! {
            shown = tui::run(&mut screen.terminal, EventStream::new(), observations, model, &options, carry_out) => {
                shown.map(|_| None).map_err(|error| Failure::Error(error.to_string()))
            }
            () = &mut end => Ok(None),
            Some(end) = &mut exited => Ok(Some(end)),
            Ok(Err(failure)) = &mut stopped => Err(failure),
        }
    })?;
    match (end, log) {
        (Some(end), Some(log)) => {
            last_words(&log)?;
            outcome(end, &image)
        }
        _ => Ok(()),
    }
}

/// Shows a recording until the user quits, or the process is told to end.
///
/// # Errors
///
/// The terminal cannot be used.
pub fn play(player: Player, speed: f64, notice: Option<String>, look: &Look) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (desk, symbols) = Desk::open()?;
    desk.hand_in(player.sampler().image(), player.sampler().memories().to_vec());
    let model = player.model().clone();
    let (deck, interest) = (Deck::default(), player.sampler().interest());
    let access = "recording".to_owned();
    let options = Options { interest, symbols, access, notice, deck: Some(deck.clone()), ..options(&model, look) };
    let (feed, news) = watch::channel(None);
    let (wishes, wanted) = mpsc::channel();
    let mut transport = Transport::new(player, speed, deck, feed);
    std::thread::Builder::new().name("player".into()).spawn(move || transport.run(&wanted))?;
    let carry_out = |effect, screen: &ratatui::buffer::Buffer| match effect {
        Effect::Play(play) => {
            // The player's thread only ends with this function.
            let _ = wishes.send(play);
            None
        }
        Effect::Record => Some("this is a recording already".to_owned()),
        other => carry_out(other, screen),
    };
    runtime.block_on(async {
        let mut screen = Screen::enter()?;
        tokio::select! {
            shown = tui::run(&mut screen.terminal, EventStream::new(), news, model, &options, carry_out) => {
                shown.map(|_| ()).map_err(|error| Failure::Error(error.to_string()))
            }
            () = ended() => Ok(()),
        }
    })
}

/// While it lives, the sampler runs; dropping it waits until the sampler has detached from the target. A probe that
/// hangs must not keep the user waiting: then its thread ends with the process.
struct Detaching {
    running: Arc<AtomicBool>,
    detached: mpsc::Receiver<()>,
}

impl Drop for Detaching {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
        ending::begin();
        if self.detached.recv_timeout(DETACHING) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("the probe did not detach within {} s", DETACHING.as_secs_f32());
        }
    }
}

/// Shows what an ELF says, without a target, until the user quits. What is built meanwhile is shown in its place.
///
/// # Errors
///
/// The terminal cannot be used.
pub fn browse(image: Image, memories: Vec<Memory>, look: &Look, rules: Rules, watcher: Watcher) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    let first = first_snapshot(&image, &memories);
    let model = rules.apply(Model::new(first.clone()));
    let (desk, symbols) = Desk::open()?;
    let image = Arc::new(image);
    desk.hand_in(Arc::clone(&image), memories.clone());
    let options = Options { symbols, ..options(&model, look) };
    let (feed, observations) = watch::channel(None);
    let feed = Arc::new(feed);
    // The worst cases follow when every instruction was looked at; those of a new build come with it.
    let later = Arc::clone(&feed);
    let complete = move || {
        let snapshot = static_snapshot(&image, &memories);
        let observation = Some(News::Seen(Arc::new(Observation { snapshot, facts: Facts::default() })));
        later.send_if_modified(|shown| shown.is_none() && std::mem::replace(shown, observation).is_none());
    };
    std::thread::Builder::new().name("worst cases".into()).spawn(complete)?;
    watcher.run(move |news| {
        let mut facts = Facts::default();
        let mut shown = match &*feed.borrow() {
            Some(News::Seen(shown)) => shown.snapshot.clone(),
            _ => first.clone(),
        };
        match news {
            FileNews::Built(image, memories) => {
                let rebuilds = shown.target.rebuilds + 1;
                shown = static_snapshot(&image, &memories);
                shown.target.rebuilds = rebuilds;
                desk.hand_in(image, memories);
            }
            FileNews::Unusable(why) => facts.on_disk = OnDisk::Unusable(why),
        }
        shown.at = begun.elapsed();
        let sent = feed.send(Some(News::Seen(Arc::new(Observation { snapshot: shown, facts }))));
        if sent.is_ok() { Listening::Yes } else { Listening::No }
    })?;
    runtime.block_on(async {
        let mut screen = Screen::enter()?;
        tokio::select! {
            shown = tui::run(&mut screen.terminal, EventStream::new(), observations, model, &options, carry_out) => {
                shown.map(|_| ()).map_err(|error| Failure::Error(error.to_string()))
            }
            () = ended() => Ok(()),
        }
    })
}

fn options(model: &Model, look: &Look) -> Options {
    Options {
        theme: look.theme.unwrap_or_default(),
        ascii: look.ascii.unwrap_or(false),
        keymap: look.keys.clone(),
        colour: uses_color(look.color),
        stack_limit: model.limits().stack_percent,
        ..Options::default()
    }
}

/// What a panic says.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it does not say why".into())
}

fn uses_color(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Where the sampler hears of new builds, and who works them out once it took one over.
struct Builds {
    news: mpsc::Receiver<FileNews>,
    desk: Desk,
    /// Where recordings are ended: one holds one build.
    recorder: Option<recorder::Desk>,
}

/// The sampler's thread: refreshes until nobody looks any more. The emulated board runs as fast as it can until
/// `run_first`, and the screen shows it running.
fn sample(
    sampler: &mut Sampler,
    run_first: Option<Duration>,
    feed: &watch::Sender<Option<News>>,
    running: &AtomicBool,
    builds: &Builds,
) {
    break_for_test("sampler");
    while running.load(Ordering::Relaxed) {
        let before = sampler.now();
        builds.news.try_iter().for_each(|news| sampler.hear(news));
        let image = sampler.image();
        let observation = sampler.refresh();
        if !Arc::ptr_eq(&image, &sampler.image()) {
            builds.desk.hand_in(sampler.image(), sampler.memories().to_vec());
            builds.recorder.iter().for_each(recorder::Desk::close);
        }
        if feed.send(Some(News::Seen(Arc::new(observation)))).is_err() || sampler.refused().is_some() {
            return;
        }
        let left = run_first.and_then(|until| until.checked_sub(sampler.now())).unwrap_or(Duration::MAX);
        sampler.wait_at_most(sampler.now().saturating_sub(before), left);
    }
}

/// From now on a signal does not end the process but sets this, so that what was changed in the target is put back.
///
/// # Errors
///
/// The system gives no thread.
pub fn note_the_end() -> Result<Arc<AtomicBool>, Failure> {
    let noted = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let note = Arc::clone(&noted);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(ended());
        ending::begin();
        note.store(true, Ordering::Relaxed);
    })?;
    Ok(noted)
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
    break_for_test("screen");
    match effect {
        Effect::Export => Some(match export(screen) {
            Ok(path) => format!("saved {path}"),
            Err(error) => format!("not saved: {error}"),
        }),
        Effect::Record => Some("there is no target to record".to_owned()),
        Effect::None | Effect::Quit | Effect::GoOn | Effect::Play(_) | Effect::Baseline | Effect::Acknowledge(_) => {
            None
        }
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

/// Panics if a test asks for it of this thread.
fn break_for_test(thread: &str) {
    #[cfg(debug_assertions)]
    if std::env::var_os(BREAK).is_some_and(|asked| asked == thread) {
        panic!("the {thread} was asked to panic by {BREAK}");
    }
    let _ = thread;
}

/// The terminal while the screen is up.
struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    _lease: Lease,
}

impl Screen {
    fn enter() -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::Error(format!("cannot use the terminal: {error}"));
        let lease = Lease::default();
        restore_on_panic(Arc::clone(&lease.held));
        enable_raw_mode().map_err(failed)?;
        lease.held.store(true, Ordering::Relaxed);
        let mut out = BufWriter::with_capacity(FRAME_BYTES, io::stdout());
        // A terminal without an alternate screen still shows what was there before, so it is cleared. The library's own
        // clearing asks the terminal where its cursor is, and not every terminal answers.
        execute!(out, EnterAlternateScreen, Clear(ClearType::All), EnableMouseCapture, cursor::Hide).map_err(failed)?;
        let terminal = Terminal::new(CrosstermBackend::new(out)).map_err(failed)?;
        Ok(Self { terminal, _lease: lease })
    }
}

/// While it lives, the terminal is ours; dropping it gives the terminal back as it was.
#[derive(Default)]
struct Lease {
    held: Arc<AtomicBool>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        give_back(&self.held);
    }
}

/// Gives the terminal back, once: a second time would put the cursor over what a panic has written by then. What
/// fails here has nobody left to be told to.
fn give_back(held: &AtomicBool) {
    if held.swap(false, Ordering::Relaxed) {
        let _ = execute!(io::stdout(), DisableMouseCapture, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// A panic of this thread shows its message on a clean terminal. One of another thread is caught there: a probe's
/// driver becomes a lost link, and its message would only tear the picture.
fn restore_on_panic(held: Arc<AtomicBool>) {
    let screen_thread = std::thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == screen_thread {
            give_back(&held);
            before(info);
        } else {
            tracing::error!("a thread panicked: {info}");
        }
    }));
}
