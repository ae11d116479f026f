//! "Would it fit?": what is asked about, a number of bytes or a thread's stack.

use std::str::FromStr;

use super::snapshot::Snapshot;
use crate::units;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A block of so many bytes.
    Bytes(u32),
    /// A stack as large as that of this name, were its thread started now. Its control block is not counted.
    Stack(String),
}

impl FromStr for Question {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().parse::<u64>().map(u32::try_from) {
            Ok(Ok(0) | Err(_)) => Err("a number of bytes from 1 to 4294967295, or a thread's name".into()),
            Ok(Ok(bytes)) => Ok(Self::Bytes(bytes)),
            Err(_) if text.trim().is_empty() => Err("a number of bytes, or a thread's name".into()),
            Err(_) => Ok(Self::Stack(text.trim().to_owned())),
        }
    }
}

impl Question {
    /// How many bytes that is.
    ///
    /// # Errors
    ///
    /// There is no stack of that name, and perhaps one of nearly that name.
    pub fn bytes(&self, snapshot: &Snapshot) -> Result<u32, String> {
        let name = match self {
            Self::Bytes(bytes) => return Ok(*bytes),
            Self::Stack(name) => name,
        };
        if let Some(stack) = snapshot.stacks.iter().find(|stack| stack.name == *name) {
            return Ok(stack.range.size());
        }
        let near = units::nearest(name, snapshot.stacks.iter().map(|stack| stack.name.as_str()));
        let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        Err(format!("no stack is called {}{near}", units::printable(name, 40)))
    }

    /// Whose stack is asked about.
    #[must_use]
    pub fn stack(&self) -> Option<&str> {
        match self {
            Self::Bytes(_) => None,
            Self::Stack(name) => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing;

    #[test]
    fn it_is_a_number_or_the_name_of_a_stack_that_is_there() {
        let snapshot =
            Snapshot { stacks: vec![testing::stack("growth", 0), testing::stack("comms", 0)], ..testing::live(1) };
        let size = snapshot.stacks[0].range.size();
        for (text, expected) in [
            ("2048", Ok(2048)),
            (" 1 ", Ok(1)),
            ("growth", Ok(size)),
            ("growht", Err("no stack is called growht; did you mean growth?".to_owned())),
            ("nobody", Err("no stack is called nobody".to_owned())),
        ] {
            let question: Question = text.parse().expect("it can be asked");
            assert_eq!(question.bytes(&snapshot), expected, "{text}");
        }
        for text in ["0", "4294967296", "", "  "] {
            assert!(text.parse::<Question>().is_err(), "{text:?}");
        }
    }
}
