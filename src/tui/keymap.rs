//! Keys of a person's own choice: each does what one of the table's keys does, or nothing.
//!
//! ```toml
//! [keys]
//! "w" = "k"          # w does what k does; k still does it too
//! "k" = "none"       # now it no longer does
//! "ctrl-n" = "tab"
//! ```

use std::collections::BTreeMap;
use std::fmt;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use serde::Deserialize;

use super::keys::{BINDINGS, Binding, Key};
use super::state::Input;
use crate::units;

/// Names of keys that are no character.
const NAMES: [(&str, KeyCode); 15] = [
    ("space", KeyCode::Char(' ')),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("shift-tab", KeyCode::BackTab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
];
/// The word for a key that does nothing.
const NONE: &str = "none";
/// The most keys that can be chosen.
const MAX_KEYS: usize = 256;

/// Which keys stand for which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Keymap {
    /// A person's key, and the key of the table that it stands for.
    pairs: Vec<(Key, Option<Key>)>,
}

impl TryFrom<BTreeMap<String, String>> for Keymap {
    type Error = String;

    fn try_from(table: BTreeMap<String, String>) -> Result<Self, String> {
        if table.len() > MAX_KEYS {
            return Err(format!("{} keys are too many", table.len()));
        }
        let mut pairs = Vec::new();
        for (own, stands_for) in &table {
            let own_key = named(own)?;
            if own_key == Key::Ctrl('c') {
                return Err("ctrl-c always quits: choose another key".into());
            }
            let target = if stands_for == NONE { None } else { Some(bound(stands_for)?) };
            pairs.push((own_key, target));
        }
        Ok(Self { pairs })
    }
}

/// The key of that name.
fn named(name: &str) -> Result<Key, String> {
    let mut letters = name.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return Ok(Key::Plain(KeyCode::Char(letter)));
    }
    if let Some(letter) = name.strip_prefix("ctrl-").filter(|rest| rest.len() == 1) {
        return Ok(Key::Ctrl(letter.chars().next().unwrap_or_default()));
    }
    if let Some(number) = name.strip_prefix('f').and_then(|number| number.parse().ok()).filter(|f| (1..=24).contains(f))
    {
        return Ok(Key::Plain(KeyCode::F(number)));
    }
    if let Some((_, code)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(Key::Plain(*code));
    }
    let names = NAMES.iter().map(|(known, _)| *known);
    let hint = match units::nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are letters, ctrl-x, f1 and so on, and {}", names.collect::<Vec<_>>().join(", ")),
    };
    Err(format!("there is no key `{}`; {hint}", units::printable(name, 40)))
}

/// The key of that name, which does something on some screen.
fn bound(name: &str) -> Result<Key, String> {
    let key = named(name)?;
    match BINDINGS.iter().any(|binding| binding.keys.contains(&key)) {
        true => Ok(key),
        false => Err(format!("`{}` does nothing on any screen; `?` there lists the keys", units::printable(name, 40))),
    }
}

impl Keymap {
    /// The event as the table of keys knows it; `None` for a key that does nothing. What is written into a filter stays
    /// what it is.
    #[must_use]
    pub fn translate(&self, event: Event, input: Input) -> Option<Event> {
        let Event::Key(key) = event else { return Some(event) };
        let pressed = Key::of(key);
        if input == Input::Filter && matches!(pressed, Some(Key::Plain(KeyCode::Char(_)))) {
            return Some(event);
        }
        match self.pairs.iter().find(|(own, _)| Some(*own) == pressed) {
            None => Some(event),
            Some((_, None)) => None,
            Some((_, Some(stands_for))) => {
                let (code, modifiers) = match stands_for {
                    Key::Plain(code) => (*code, KeyModifiers::NONE),
                    Key::Ctrl(letter) => (KeyCode::Char(*letter), KeyModifiers::CONTROL),
                };
                Some(Event::Key(KeyEvent { code, modifiers, ..key }))
            }
        }
    }

    /// The keys that do what a binding says: a person's own first, then the table's that still do.
    #[must_use]
    pub fn keys(&self, binding: &Binding) -> Vec<Key> {
        let stands_for = |target: &Option<Key>| target.is_some_and(|target| binding.keys.contains(&target));
        let own = self.pairs.iter().filter(|(_, target)| stands_for(target)).map(|(own, _)| *own);
        let is_taken = |key: &Key| self.pairs.iter().any(|(own, _)| own == key);
        own.chain(binding.keys.iter().copied().filter(|key| !is_taken(key))).collect()
    }
}

impl fmt::Display for Keymap {
    /// How many there are: the screens list them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of one's own", self.pairs.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keys::{self, Action};
    use crate::tui::state::Screen;

    fn keymap(pairs: &[(&str, &str)]) -> Result<Keymap, String> {
        let owned = |(own, other): &(&str, &str)| ((*own).to_owned(), (*other).to_owned());
        Keymap::try_from(pairs.iter().map(owned).collect::<BTreeMap<_, _>>())
    }

    fn press(key: Key) -> Event {
        match key {
            Key::Plain(code) => Event::Key(KeyEvent::new(code, KeyModifiers::NONE)),
            Key::Ctrl(letter) => Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)),
        }
    }

    #[test]
    fn a_key_does_what_the_one_it_stands_for_does() {
        let keymap = keymap(&[("w", "k"), ("k", "none"), ("ctrl-n", "tab"), ("f2", "space")]).expect("all are keys");
        let does = |name: &str, input: Input| {
            let event = keymap.translate(press(named(name).expect("a key")), input)?;
            keys::action(&event, Screen::Stacks, input)
        };
        for (name, action) in [
            ("w", Some(Action::Up)),
            ("k", None),
            ("up", Some(Action::Up)),
            ("ctrl-n", Some(Action::Next)),
            ("tab", Some(Action::Next)),
            ("f2", Some(Action::Freeze)),
            ("ctrl-c", Some(Action::Quit)),
        ] {
            assert_eq!(does(name, Input::Keys), action, "{name}");
        }
        assert_eq!(does("w", Input::Filter), Some(Action::Type('w')), "what is written stays what it is");
    }

    #[test]
    fn the_help_shows_the_keys_that_work() {
        let keymap = keymap(&[("w", "k"), ("k", "none")]).expect("both are keys");
        let up = keys::bindings(Screen::Map).find(|binding| binding.action == Action::Up).expect("there is one");
        assert_eq!(keymap.keys(up), [Key::Plain(KeyCode::Char('w')), Key::Plain(KeyCode::Up)]);
        assert_eq!(Keymap::default().keys(up), up.keys);
    }

    #[test]
    fn what_is_no_key_is_told_with_what_was_meant() {
        for (own, other, words) in [
            ("entr", "k", "did you mean `enter`?"),
            ("w", "%", "`%` does nothing on any screen"),
            ("ctrl-c", "k", "ctrl-c always quits"),
            ("", "k", "there is no key ``"),
            ("f25", "k", "there is no key `f25`"),
            ("ctrl-\u{e9}", "k", "there is no key"),
        ] {
            let error = keymap(&[(own, other)]).expect_err(own);
            assert!(error.contains(words), "{own}: {error}");
        }
    }
}
