//! An amount as people write it: a share of something, or bytes.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A share of something, or a number of bytes: `20%`, `256B`, `1.5KiB`, `256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub enum Amount {
    /// Whole percents of what it is an amount of.
    Percent(u32),
    /// Bytes.
    Bytes(u64),
}

/// The largest share that means anything: a margin of ten times what is needed.
const MOST_PERCENT: u32 = 1000;

impl Amount {
    /// Bytes, of `whole` when it is a share; rounded down.
    #[must_use]
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Self::Percent(percent) => whole.saturating_mul(percent.into()) / 100,
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Bytes, of `whole` when it is a share; rounded up.
    #[must_use]
    pub fn of_rounded_up(self, whole: u64) -> u64 {
        match self {
            Self::Percent(percent) => whole.saturating_mul(percent.into()).div_ceil(100),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::Bytes(bytes) => write!(f, "{bytes} B"),
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no amount: write 20%, 256B, 1.5KiB or a number of bytes");
        let text = text.trim();
        if let Some(number) = text.strip_suffix('%') {
            let percent: u32 = number.trim().parse().map_err(|_| bad())?;
            return match percent {
                ..=MOST_PERCENT => Ok(Self::Percent(percent)),
                _ => Err(format!("`{text}` is more than {MOST_PERCENT} %")),
            };
        }
        let units = [("KiB", 1024.0), ("MiB", 1_048_576.0), ("K", 1024.0), ("M", 1_048_576.0), ("B", 1.0), ("", 1.0)];
        let (number, unit) = units
            .iter()
            .find_map(|(unit, bytes)| text.strip_suffix(unit).map(|number| (number.trim(), *bytes)))
            .ok_or_else(bad)?;
        let bytes = number.parse::<f64>().map_err(|_| bad())? * unit;
        if !(0.0..=f64::from(u32::MAX)).contains(&bytes) || bytes.fract() != 0.0 {
            return Err(format!("`{text}` is no whole number of bytes from 0 to 4 GiB"));
        }
        Ok(Self::Bytes(bytes as u64))
    }
}

/// A share in whole percents, from 0 to 100: `80%`, `80`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Percent(pub u8);

impl TryFrom<Written> for Percent {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let (text, percent) = match written {
            Written::Bytes(number) => (number.to_string(), Some(number)),
            Written::Text(text) => match text.parse() {
                Ok(Amount::Percent(percent)) => (text, Some(percent)),
                _ => (text, None),
            },
        };
        let percent = percent.filter(|percent| *percent <= 100).and_then(|percent| u8::try_from(percent).ok());
        percent.map(Self).ok_or_else(|| format!("`{text}` is no share: write 80%"))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// How an amount stands in a file: a number is one of bytes.
#[derive(Deserialize)]
#[serde(untagged, expecting = "this is no amount: write \"20%\", \"256B\", \"1.5KiB\" or a number of bytes")]
enum Written {
    Bytes(u32),
    Text(String),
}

impl TryFrom<Written> for Amount {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Bytes(bytes) => Ok(Self::Bytes(bytes.into())),
            Written::Text(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, expected) in [
            ("20%", Amount::Percent(20)),
            (" 20 % ", Amount::Percent(20)),
            ("256B", Amount::Bytes(256)),
            ("256 B", Amount::Bytes(256)),
            ("256", Amount::Bytes(256)),
            ("1.5KiB", Amount::Bytes(1536)),
            ("60 KiB", Amount::Bytes(61_440)),
            ("2K", Amount::Bytes(2048)),
            ("1 MiB", Amount::Bytes(1 << 20)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "%", "-1", "-5%", "2.5%", "1001%", "0.3", "5GiB", "99999MiB", "NaN", "twenty", "20%%"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_rounds_to_the_side_that_is_asked_for() {
        assert_eq!((Amount::Percent(20).of(848), Amount::Percent(20).of_rounded_up(848)), (169, 170));
        assert_eq!(Amount::Bytes(7).of(848), 7);
    }
}
