//! The loop: what makes it draw, and what makes it end. Time stands still unless everything waits for it.

use std::io;
use std::sync::Arc;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use futures_util::stream;
use highwater::sampler::interest::Wish;
use highwater::sampler::observation::{Facts, Observation};
use highwater::tui::state::Options;
use highwater::tui::update::Effect;
use highwater::tui::{News, run};
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, TestBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use tokio::sync::{mpsc, watch};

use crate::{fixtures, text};

/// A terminal that counts its frames.
struct Counting {
    inner: TestBackend,
    frames: Arc<std::sync::atomic::AtomicUsize>,
}

impl Backend for Counting {
    type Error = <TestBackend as Backend>::Error;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), Self::Error>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        self.frames.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.inner.draw(content)
    }

    fn hide_cursor(&mut self) -> Result<(), Self::Error> {
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> Result<(), Self::Error> {
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> Result<Position, Self::Error> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Self::Error> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> Result<(), Self::Error> {
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> Result<(), Self::Error> {
        self.inner.clear_region(clear_type)
    }

    fn size(&self) -> Result<Size, Self::Error> {
        self.inner.size()
    }

    fn window_size(&mut self) -> Result<WindowSize, Self::Error> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        self.inner.flush()
    }
}

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn stream_of(mut events: mpsc::UnboundedReceiver<Event>) -> impl stream::Stream<Item = io::Result<Event>> + Unpin {
    stream::poll_fn(move |context| events.poll_recv(context).map(|event| event.map(Ok)))
}

fn observation(model: highwater::model::Model) -> Option<News> {
    Some(News::Seen(Arc::new(Observation { snapshot: model.snapshot, facts: Facts::default() })))
}

/// Lets everything else happen, then lets so many milliseconds pass.
async fn pass(milliseconds: u64) {
    tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
}

#[tokio::test(start_paused = true)]
async fn it_draws_what_is_new_at_most_thirty_times_a_second_and_nothing_when_idle() {
    let frames = Arc::default();
    let backend = Counting { inner: TestBackend::new(120, 36), frames: Arc::clone(&frames) };
    let mut terminal = Terminal::new(backend).expect("a test terminal");
    let (keys, events) = mpsc::unbounded_channel();
    let (feed, receiver) = watch::channel(None);
    let options = Options::default();
    let drawn = || frames.load(std::sync::atomic::Ordering::SeqCst);
    let loops = run(&mut terminal, stream_of(events), receiver, fixtures::nothing(), &options, |_, _| None);
    let script = async {
        pass(1000).await;
        let idle = drawn();
        assert_eq!(idle, 1, "the first picture, and nothing while nothing happens");
        for turn in 0..200 {
            let news = if turn % 2 == 0 { fixtures::calm() } else { fixtures::danger() };
            feed.send(observation(news)).expect("the loop listens");
            pass(5).await;
        }
        let busy = drawn() - idle;
        assert!((20..=31).contains(&busy), "{busy} frames in a second of 200 observations");
        pass(1000).await;
        let settled = drawn();
        for _ in 0..100 {
            feed.send(observation(fixtures::danger())).expect("the loop listens");
            pass(100).await;
        }
        assert_eq!(drawn(), settled, "the same again is nothing new");
        keys.send(key(KeyCode::Char('q'))).expect("the loop listens");
    };
    let (model, ()) = tokio::join!(loops, script);
    assert_eq!(model.expect("it ends well").snapshot.stacks.len(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_closes_leaves_the_last_picture_and_the_keys() {
    let mut terminal = Terminal::new(TestBackend::new(120, 36)).expect("a test terminal");
    let (keys, events) = mpsc::unbounded_channel();
    let (feed, receiver) = watch::channel(observation(fixtures::calm()));
    let options = Options::default();
    let mut exported = Vec::new();
    let carry_out = |effect, buffer: &ratatui::buffer::Buffer| {
        assert_eq!(effect, Effect::Export);
        exported.push(text(buffer));
        Some("saved as screen.svg".to_owned())
    };
    let loops = run(&mut terminal, stream_of(events), receiver, fixtures::nothing(), &options, carry_out);
    let script = async {
        pass(100).await;
        drop(feed);
        for code in [KeyCode::Char('2'), KeyCode::Char('x')] {
            keys.send(key(code)).expect("the loop listens");
            pass(100).await;
        }
        drop(keys);
    };
    let (model, ()) = tokio::join!(loops, script);
    model.expect("the end of the events is a good end");
    assert!(exported[0].contains("15872 B"), "{}", exported[0]);
    let screen = text(terminal.backend().buffer());
    assert!(screen.contains("saved as screen.svg"), "{screen}");
}

#[tokio::test(start_paused = true)]
async fn only_while_a_stack_is_shown_word_by_word_are_its_words_asked_for() {
    let mut terminal = Terminal::new(TestBackend::new(120, 36)).expect("a test terminal");
    let (keys, events) = mpsc::unbounded_channel();
    let (_feed, receiver) = watch::channel(None);
    let options = Options::default();
    let interest = options.interest.clone();
    let model = fixtures::word_by_word();
    let growth = model.snapshot.stacks[6].id.clone();
    let loops = run(&mut terminal, stream_of(events), receiver, model, &options, |_, _| None);
    let script = async {
        for (code, expected) in [(KeyCode::Char('2'), None), (KeyCode::Enter, Some(growth)), (KeyCode::Esc, None)] {
            keys.send(key(code)).expect("the loop listens");
            pass(100).await;
            assert_eq!(interest.get(), expected.map(Wish::Stack), "after {code:?}");
        }
        drop(keys);
    };
    let (model, ()) = tokio::join!(loops, script);
    model.expect("the end of the events is a good end");
}

#[tokio::test(start_paused = true)]
async fn a_terminal_that_gives_no_more_input_is_an_error() {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a test terminal");
    let events = stream::iter([Err(io::Error::other("gone"))]);
    let (_feed, receiver) = watch::channel(None);
    let result = run(&mut terminal, events, receiver, fixtures::nothing(), &Options::default(), |_, _| None).await;
    let error = result.expect_err("it cannot go on");
    assert_eq!(error.to_string(), "cannot read keys from the terminal: gone");
}
